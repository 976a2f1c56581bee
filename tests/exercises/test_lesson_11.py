"""Lesson 11: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach import reference_defences
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


@pytest.fixture
def sigmoid(ops):
    """Return the logistic function from what both tracks call by the same name."""
    return lambda t: 0.5 * (1 + ops.tanh(0.5 * t))


def parts(ops, sigmoid, clean, moved):
    """Return the terms of the two outcomes, one value for each pair."""
    belief = sigmoid(clean)
    first = belief * (ops.softplus(-moved) - ops.softplus(-clean))
    return first, (1 - belief) * (ops.softplus(moved) - ops.softplus(clean))


def rows_of_length(ops, v, length):
    size = ops.norm(v, 1)
    return length * v / ops.where(size > 0, size, ops.ones_like(size))


def test_a_change_of_belief(advrec, ops, sigmoid):
    def right(clean, moved):
        first, second = parts(ops, sigmoid, clean, moved)
        return ops.mean(first + second)

    def cross(clean, moved):
        belief = sigmoid(clean)
        return ops.mean(belief * ops.softplus(-moved) + (1 - belief) * ops.softplus(moved))

    assert exercise("11.2").judge(right).status == CORRECT
    assert exercise("11.2").judge(advrec.smooth_loss).status == CORRECT
    messages = {
        refused("11.2", lambda clean, moved: ops.mean(ops.softplus(-moved)), "no label enters"),
        refused("11.2", lambda clean, moved: right(moved, clean), "not the same in both directions"),
        refused("11.2", cross, "is not 0"),
        refused("11.2", lambda clean, moved: ops.mean(parts(ops, sigmoid, clean, moved)[0]), "only the outcome"),
        refused("11.2", lambda clean, moved: ops.mean((sigmoid(clean) - sigmoid(moved)) ** 2), "you square"),
        refused("11.2", lambda clean, moved: ops.sum(sum(parts(ops, sigmoid, clean, moved))), "you sum over the pairs"),
        refused("11.2", lambda clean, moved: sum(parts(ops, sigmoid, clean, moved)), "one for each pair"),
    }
    messages |= {
        refused("11.2", lambda clean, moved: -right(clean, moved), "never negative"),
        refused("11.2", lambda clean, moved: (right(clean, moved) + right(moved, clean)) / 2, "symmetric"),
        refused("11.2", lambda clean, moved: right(clean, moved) / np.log(2), "in bits"),
        refused("11.2", lambda clean, moved: ops.mean(abs(sigmoid(clean) - sigmoid(moved))), "distance of two"),
    }
    assert len(messages) == 11
    refused("11.2", lambda clean, moved: 2 * right(clean, moved), "expected")
    refused("11.2", lambda clean, moved: float(right(clean, moved)), "no gradient reaches")
    refused("11.2", lambda clean, moved: right(advrec.tensor(advrec.numpy(clean)), moved), "no gradient reaches clean")


def test_a_change_of_belief_at_large_margins(advrec, ops, sigmoid):
    """The formula typed in as it stands is right for small margins, and nan or far off for margins of a hundred."""

    def formula(a, b):
        return ops.mean(a * ops.log(a / b) + (1 - a) * ops.log((1 - a) / (1 - b)))

    def typed_in(clean, moved):
        return formula(sigmoid(clean), sigmoid(moved))

    def clipped(clean, moved):
        return formula(*(1e-7 + (1 - 2e-7) * sigmoid(m) for m in (clean, moved)))

    def simplified(clean, moved):
        return ops.mean(ops.softplus(moved) - ops.softplus(clean) - sigmoid(clean) * (moved - clean))

    refused("11.2", typed_in, "returns nan", "divergence is 66.67", "no logarithm is left")
    refused("11.2", clipped, "right for small margins", "divergence is 66.67")
    refused("11.2", lambda clean, moved: typed_in(moved, clean), "not the same in both directions")
    assert exercise("11.2").judge(simplified).status == CORRECT


def test_the_move_that_changes_most(advrec, ops):
    def slope(divergence, y):
        return advrec.value_and_grad(divergence, y)[1]

    def unit(v, length):
        return rows_of_length(ops, v, length)

    def right(divergence, x, start, *, eps, probe):
        return unit(slope(divergence, x + unit(start, probe)), eps)

    def by_fgm(divergence, x, start, *, eps, probe):
        return advrec.fgm_delta(divergence, x + unit(start, probe), eps=eps)

    assert exercise("11.3").judge(right).status == CORRECT
    assert exercise("11.3").judge(by_fgm).status == CORRECT

    def from_the_spot(divergence, x, start, *, eps, probe):
        return unit(slope(divergence, x), eps)

    def noise(divergence, x, start, *, eps, probe):
        return unit(start, eps)

    def kept(divergence, x, start, **settings):
        return unit(start, settings["probe"]) + right(divergence, x, start, **settings)

    def not_scaled(divergence, x, start, *, eps, probe):
        return unit(slope(divergence, x + probe * start), eps)

    def too_far(divergence, x, start, *, eps, probe):
        return right(divergence, x, start, eps=eps, probe=eps)

    def raw(divergence, x, start, *, eps, probe):
        return eps * slope(divergence, x + unit(start, probe))

    def down(divergence, x, start, **settings):
        return -right(divergence, x, start, **settings)

    def moved(divergence, x, start, **settings):
        return x + right(divergence, x, start, **settings)

    def over(axis):
        def answer(divergence, x, start, *, eps, probe):
            found = slope(divergence, x + unit(start, probe))
            return eps * found / ops.norm(found, axis)

        return answer

    def short(divergence, x, start, *, eps, probe):
        return right(divergence, x, start, eps=probe, probe=probe)

    def far(divergence, x, start, *, eps, probe):
        return unit(slope(divergence, unit(start, probe)), eps)

    def signs(divergence, x, start, *, eps, probe):
        return eps * ops.sign(slope(divergence, x + unit(start, probe)))

    def twice(divergence, x, start, *, eps, probe):
        return right(divergence, x, right(divergence, x, start, eps=probe, probe=probe), eps=eps, probe=probe)

    messages = {
        refused("11.3", from_the_spot, "at x itself"),
        refused("11.3", noise, "random direction, scaled to eps"),
        refused("11.3", kept, "afterwards it is dropped"),
        refused("11.3", not_scaled, "happened to have"),
        refused("11.3", too_far, "at a distance of eps"),
        refused("11.3", raw, "multiply the slope by eps"),
        refused("11.3", down, "goes against the slope"),
        refused("11.3", moved, "x plus the move"),
        refused("11.3", over(None), "length of the whole table"),
        refused("11.3", over(0), "lengths of the columns"),
        refused("11.3", short, "as long as the step aside"),
        refused("11.3", far, "without x"),
        refused("11.3", signs, "the signs of the slope"),
        refused("11.3", twice, "costs a gradient more"),
    }
    assert len(messages) == 14


@pytest.mark.parametrize("letter", ["a", "c", "d"])
@pytest.mark.parametrize("identifier", ["11.1", "11.6"])
def test_the_predictions(advrec, identifier, letter):
    message = refused(identifier, letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise(identifier).judge("b").status == CORRECT
    assert exercise(identifier).judge(None).status == NOT_ATTEMPTED


def free(
    advrec,
    ops,
    *,
    anew=False,
    zero=False,
    at=None,
    step=None,
    shorten=None,
    last=None,
    stay=False,
    first=False,
    second=False,
    up=False,
    batches=None,
):
    """Return the pass of free training with one thing changed."""

    def unit(gradient, eps):
        return rows_of_length(ops, gradient, eps)

    def short(delta, eps):
        return advrec.project(delta, eps=eps, norm="l2")

    step, shorten = step or unit, shorten or short

    def answer(losses, x, delta, *, eps, rate):
        delta = 0 * x if zero else delta
        for loss_fn in losses[:batches]:
            delta = 0 * x if anew else delta
            if first:
                delta = shorten(delta + step(advrec.value_and_grad(loss_fn, x + delta)[1], eps), eps)
            _, gradient = advrec.value_and_grad(loss_fn, x if at == "x" else x + delta)
            x = (x + delta if stay else x) - (-rate if up else rate) * gradient
            if second:
                _, gradient = advrec.value_and_grad(loss_fn, x + delta)
            if not first:
                delta = shorten(delta + step(gradient, eps), eps)
        return x, last(delta, eps) if last else delta

    return answer


def test_a_move_that_lives_on(advrec, ops):
    def whole(delta, eps):
        return delta * min(1.0, eps / float(ops.norm(delta, None)))

    def sphere(delta, eps):
        return rows_of_length(ops, delta, eps)

    def ball(delta, eps):
        return advrec.project(delta, eps=eps, norm="l2")

    def box(delta, eps):
        return advrec.project(delta, eps=eps, norm="linf")

    def kept(delta, eps):
        return delta

    def down(gradient, eps):
        return -rows_of_length(ops, gradient, eps)

    assert exercise("11.4").judge(free(advrec, ops)).status == CORRECT
    messages = {
        refused("11.4", free(advrec, ops, anew=True, shorten=kept), "where ordinary training ends"),
        refused("11.4", free(advrec, ops, shorten=kept), "leaves the ball"),
        refused("11.4", free(advrec, ops, at="x"), "bystander"),
        refused("11.4", free(advrec, ops, shorten=whole), "one long vector"),
        refused("11.4", free(advrec, ops, step=down), "your move goes down"),
        refused("11.4", free(advrec, ops, stay=True), "stay at the attacked place"),
        refused("11.4", free(advrec, ops, first=True), "two gradients a batch"),
        refused("11.4", free(advrec, ops, step=lambda g, eps: eps * g), "eps times the gradient"),
        refused("11.4", free(advrec, ops, shorten=sphere), "A ball has an inside"),
        refused("11.4", free(advrec, ops, zero=True), "before the loop"),
        refused("11.4", free(advrec, ops, shorten=kept, last=ball), "after the last batch"),
        refused("11.4", free(advrec, ops, shorten=box), "that is a box"),
        refused("11.4", free(advrec, ops, second=True), "again for the move"),
        refused("11.4", free(advrec, ops, step=lambda g, eps: eps * ops.sign(g)), "takes the signs"),
        refused("11.4", free(advrec, ops, up=True), "nobody learns"),
        refused("11.4", free(advrec, ops, batches=1), "after the first batch"),
        refused("11.4", lambda *args, **settings: free(advrec, ops)(*args, **settings)[::-1], "in this order"),
    }
    assert len(messages) == 17
    refused("11.4", lambda *args, **settings: free(advrec, ops)(*args, **settings)[0], "should return 2 values")


def beats(a, b):
    """Return whether a is at least as good as b in both respects and better in one."""
    return a[0] >= b[0] and a[1] >= b[1] and (a[0] > b[0] or a[1] > b[1])


def test_the_front(advrec):
    def front(beaten):
        return lambda points: [not any(beaten(a, b) for a in points) for b in points]

    def as_good(points):
        pairs = list(enumerate(points))
        return [not any(j != k and a[0] >= b[0] and a[1] >= b[1] for j, a in pairs) for k, b in pairs]

    def ends(points):
        return [x == max(a for a, _ in points) or y == max(b for _, b in points) for x, y in points]

    def largest_sum(points):
        return [x + y == max(a + b for a, b in points) for x, y in points]

    assert exercise("11.5").judge(front(beats)).status == CORRECT
    assert exercise("11.5").judge(lambda points: np.array(front(beats)(points))).status == CORRECT
    messages = {
        refused("11.5", as_good, "two equal points"),
        refused("11.5", front(lambda a, b: a[0] >= b[0] and a[1] >= b[1]), "as good as itself"),
        refused("11.5", front(lambda a, b: a[0] > b[0] and a[1] > b[1]), "is enough to beat a point"),
        refused("11.5", front(lambda a, b: a[0] > b[0] or a[1] > b[1]), "made of compromises"),
        refused("11.5", front(lambda a, b: beats(b, a)), "smaller value wins"),
        refused("11.5", lambda points: [not on for on in front(beats)(points)], "those on the front"),
        refused("11.5", ends, "the ends of the front"),
        refused("11.5", largest_sum, "largest sum"),
    }
    assert len(messages) == 8
    refused("11.5", lambda points: [p for p in points if not any(beats(a, p) for a in points)], "should return")


def test_the_lesson_and_the_package_mean_the_same(advrec):
    """A step of the exercise's free training is the reference's, which the package is held to."""
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(6, 3)), rng.normal(size=(8, 3))
    u, i, j = rng.integers(6, size=20), rng.integers(8, size=20), rng.integers(8, size=20)
    ids = [advrec.tensor(v) for v in (u, i, j)]
    loss_fn = advrec.ranking_loss(*ids)
    table, delta = np.concatenate((p, q)), 0.1 * rng.normal(size=(14, 3))
    course = exercise("11.4").course(advrec)
    x, after = course(
        [lambda t: loss_fn((t[:6], t[6:]))], advrec.tensor(table), advrec.tensor(delta), eps=0.4, rate=0.3
    )
    rows = np.concatenate((u, i + 6, j + 6))
    settings = {"eps": 0.4, "adv_weight": 1.0, "exponent": 0.5}
    _, gradient, move = reference_defences.defended_gradient("free", table, rows, delta, **settings)
    np.testing.assert_allclose(advrec.numpy(x), table - 0.3 * gradient, atol=1e-5)
    np.testing.assert_allclose(advrec.numpy(after), move, atol=1e-5)
