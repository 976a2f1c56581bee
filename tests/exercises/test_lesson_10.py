"""Lesson 10: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import pytest
from verdicts import refused

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


def slope(advrec, loss_fn, x):
    return advrec.value_and_grad(loss_fn, x)[1]


@pytest.fixture
def step(advrec, ops):
    """Return a maker of steps: the right one, with one thing changed."""

    def make(*, clean=1.0, attacked=None, delta=None, rate=None):
        def answer(loss_fn, x, *, eps, adv_weight, rate=rate):
            weight = adv_weight if attacked is None else attacked
            moved = advrec.fgm_delta(loss_fn, x, eps=eps) if delta is None else delta(loss_fn, x, eps)
            first = adv_weight if clean == "lambda" else clean
            return x - rate * (first * slope(advrec, loss_fn, x) + weight * slope(advrec, loss_fn, x + moved))

        return answer

    return make


def through_the_inner_step(advrec, track):
    """Return the step that differentiates the perturbation as well, which each framework allows in its own way."""
    if track == "pytorch":
        import torch

        def inner(loss_fn, y):
            return torch.autograd.grad(loss_fn(y), y, create_graph=True)[0]

        def unit(g):
            squared = (g * g).sum(dim=1, keepdim=True)
            return torch.where(squared > 0, g / torch.where(squared > 0, squared, 1.0).sqrt(), 0.0)
    else:
        import tensorflow as tf

        def inner(loss_fn, y):
            with tf.GradientTape() as tape:
                tape.watch(y)
                value = loss_fn(y)
            return tape.gradient(value, y)

        def unit(g):
            squared = tf.reduce_sum(g * g, axis=1, keepdims=True)
            return tf.where(squared > 0, g / tf.sqrt(tf.where(squared > 0, squared, 1.0)), 0.0)

    def answer(loss_fn, x, *, eps, adv_weight, rate):
        def objective(y):
            return loss_fn(y) + adv_weight * loss_fn(y + eps * unit(inner(loss_fn, y)))

        return x - rate * slope(advrec, objective, x)

    return answer


def test_right_answers_pass(advrec, ops, step):
    assert exercise("10.1").judge(step()).status == CORRECT

    def in_one_go(loss_fn, x, *, eps, adv_weight, rate):
        delta = advrec.fgm_delta(loss_fn, x, eps=eps)
        return x - rate * slope(advrec, lambda y: loss_fn(y) + adv_weight * loss_fn(y + delta), x)

    def inner_step_inside(loss_fn, x, *, eps, adv_weight, rate):
        # The package's attacks hold their result fixed, wherever they are called.
        def objective(y):
            return loss_fn(y) + adv_weight * loss_fn(y + advrec.fgm_delta(loss_fn, y, eps=eps))

        return x - rate * slope(advrec, objective, x)

    assert exercise("10.1").judge(in_one_go).status == CORRECT
    assert exercise("10.1").judge(inner_step_inside).status == CORRECT

    def every_batch(losses, x, **settings):
        for loss_fn in losses:
            x = step()(loss_fn, x, **settings)
        return x

    def subtracted(losses, x, *, eps, adv_weight, rate):
        for loss_fn in losses:
            clean, delta = slope(advrec, loss_fn, x), advrec.fgm_delta(loss_fn, x, eps=eps)
            x = x + delta
            attacked = slope(advrec, loss_fn, x)
            x = x - delta
            x = x - rate * (clean + adv_weight * attacked)
        return x

    def restored(losses, x, *, eps, adv_weight, rate):
        for loss_fn in losses:
            backup, clean = x, slope(advrec, loss_fn, x)
            x = x + advrec.fgm_delta(loss_fn, x, eps=eps)
            attacked = slope(advrec, loss_fn, x)
            x = backup - rate * (clean + adv_weight * attacked)
        return x

    assert exercise("10.2").judge(every_batch).status == CORRECT
    assert exercise("10.2").judge(subtracted).status == CORRECT
    assert exercise("10.2").judge(restored).status == CORRECT
    assert exercise("10.3").judge("b").status == CORRECT
    assert exercise("10.4").judge(scores(ops)).status == CORRECT


def test_one_step(advrec, ops, track, step):
    def whole(loss_fn, x, eps):
        gradient = slope(advrec, loss_fn, x)
        return eps * gradient / ops.norm(gradient, None)

    def columns(loss_fn, x, eps):
        gradient = slope(advrec, loss_fn, x)
        return eps * gradient / ops.norm(gradient, 0)

    def not_restored(loss_fn, x, *, eps, **settings):
        return step()(loss_fn, x, eps=eps, **settings) + advrec.fgm_delta(loss_fn, x, eps=eps)

    def uphill(loss_fn, x, *, rate, **settings):
        return step()(loss_fn, x, rate=-rate, **settings)

    def two_updates(loss_fn, x, *, eps, adv_weight, rate):
        x = x - rate * slope(advrec, loss_fn, x)
        return step(clean=0.0)(loss_fn, x, eps=eps, adv_weight=adv_weight, rate=rate)

    def slope_alone(loss_fn, x, *, rate, **settings):
        return x - step()(loss_fn, x, rate=1.0, **settings)

    def no_rate(loss_fn, x, *, rate, **settings):
        return step()(loss_fn, x, rate=1.0, **settings)

    def still(loss_fn, x, eps):
        return 0 * x

    def weights(first, second):
        def answer(loss_fn, x, *, eps, adv_weight, rate):
            delta = advrec.fgm_delta(loss_fn, x, eps=eps)
            clean, attacked = slope(advrec, loss_fn, x), slope(advrec, loss_fn, x + delta)
            return x - rate * (first(adv_weight) * clean + second(adv_weight) * attacked)

        return answer

    def both_attacked(loss_fn, x, *, eps, adv_weight, rate):
        attacked = slope(advrec, loss_fn, x + advrec.fgm_delta(loss_fn, x, eps=eps))
        return x - rate * (attacked + adv_weight * attacked)

    def delta_as_slope(loss_fn, x, *, eps, adv_weight, rate):
        return x - rate * (slope(advrec, loss_fn, x) + adv_weight * advrec.fgm_delta(loss_fn, x, eps=eps))

    def value(loss_fn, x, *, eps, adv_weight, rate):
        clean, _ = advrec.value_and_grad(loss_fn, x)
        attacked, _ = advrec.value_and_grad(loss_fn, x + advrec.fgm_delta(loss_fn, x, eps=eps))
        return x - rate * (clean + adv_weight * attacked)

    messages = {
        refused("10.1", weights(lambda w: 1 - w, lambda w: w), "a mixture of the two losses"),
        refused("10.1", weights(lambda w: 1, lambda w: 1 - w), "caring more would count less"),
        refused("10.1", both_attacked, "asks for the slope at x itself"),
        refused("10.1", delta_as_slope, "add the perturbation itself"),
        refused("10.1", value, "that is the loss itself"),
        refused("10.1", step(attacked=0.0), "ordinary training"),
        refused("10.1", step(delta=still), "both of your slopes are taken at x"),
        refused("10.1", step(clean=0.0), "attacked vectors alone"),
        refused("10.1", step(attacked=1.0), "adv_weight does not weigh"),
        refused("10.1", step(clean="lambda", attacked=1.0), "Which of the two losses"),
        refused("10.1", not_restored, "taken from the attacked vectors"),
        refused("10.1", uphill, "both losses rise"),
        refused("10.1", step(delta=lambda f, x, eps: -advrec.fgm_delta(f, x, eps=eps)), "lowers the loss"),
        refused("10.1", step(delta=lambda f, x, eps: advrec.fgsm_delta(f, x, eps=eps)), "FGSM"),
        refused("10.1", step(delta=lambda f, x, eps: eps * slope(advrec, f, x)), "eps times the gradient"),
        refused("10.1", step(delta=whole), "as a whole"),
        refused("10.1", step(delta=columns), "length of the columns"),
        refused("10.1", through_the_inner_step(advrec, track), "held fixed"),
        refused("10.1", two_updates, "two steps"),
        refused("10.1", slope_alone, "slope of the objective"),
        refused("10.1", no_rate, "rate is missing"),
    }
    assert len(messages) == 21
    refused("10.1", lambda loss_fn, x, *, eps, adv_weight, rate: 2 * x, "expected")

    def no_tuple(loss_fn, x, *, eps, adv_weight, rate):
        return x - rate * advrec.value_and_grad(loss_fn, x)

    refused("10.1", no_tuple, "did a call return two things")
    refused("10.1", lambda loss_fn, x, *, eps, adv_weight, rate: x - rate * None, "something is None")


def test_a_tape_that_does_not_watch(track):
    if track != "tensorflow":
        pytest.skip("a tape of TensorFlow")
    import tensorflow as tf

    def answer(loss_fn, x, *, eps, adv_weight, rate):
        with tf.GradientTape() as tape:
            loss = loss_fn(x)
        return x - rate * tape.gradient(loss, x)

    refused("10.1", answer, "a tape did not watch")


def test_a_pass_over_the_batches(advrec, step):
    def copied(losses, x, *, eps, adv_weight, rate):
        for loss_fn in losses:
            clean = slope(advrec, loss_fn, x)
            x = x + advrec.fgm_delta(loss_fn, x, eps=eps)
            attacked = slope(advrec, loss_fn, x)
            x = x - rate * (clean + adv_weight * attacked)
        return x

    def another(losses, x, *, eps, adv_weight, rate):
        for loss_fn in losses:
            clean = slope(advrec, loss_fn, x)
            x = x + advrec.fgm_delta(loss_fn, x, eps=eps)
            attacked = slope(advrec, loss_fn, x)
            x = x - advrec.fgm_delta(loss_fn, x, eps=eps)
            x = x - rate * (clean + adv_weight * attacked)
        return x

    def at_the_end(losses, x, *, eps, adv_weight, rate):
        total = 0 * x
        for loss_fn in losses:
            clean, delta = slope(advrec, loss_fn, x), advrec.fgm_delta(loss_fn, x, eps=eps)
            x, total = x + delta, total + delta
            x = x - rate * (clean + adv_weight * slope(advrec, loss_fn, x))
        return x - total

    def one_for_all(losses, x, *, eps, **settings):
        delta = advrec.fgm_delta(losses[0], x, eps=eps)
        for loss_fn in losses:
            x = step(delta=lambda f, x, eps: delta)(loss_fn, x, eps=eps, **settings)
        return x

    def from_the_start(losses, x, **settings):
        for loss_fn in losses:
            new = step()(loss_fn, x, **settings)
        return new

    def each(one):
        def answer(losses, x, **settings):
            for loss_fn in losses:
                x = one(loss_fn, x, **settings)
            return x

        return answer

    def two_updates(loss_fn, x, *, eps, adv_weight, rate):
        x = x - rate * slope(advrec, loss_fn, x)
        return step(clean=0.0)(loss_fn, x, eps=eps, adv_weight=adv_weight, rate=rate)

    def backed_up_once(losses, x, *, eps, adv_weight, rate):
        backup = x
        for loss_fn in losses:
            clean = slope(advrec, loss_fn, x)
            attacked = slope(advrec, loss_fn, x + advrec.fgm_delta(loss_fn, x, eps=eps))
            x = backup - rate * (clean + adv_weight * attacked)
        return x

    def first_only(losses, x, **settings):
        for loss_fn in losses:
            x = step()(loss_fn, x, **settings)
            return x

    def both_attacked(loss_fn, x, *, eps, adv_weight, rate):
        attacked = slope(advrec, loss_fn, x + advrec.fgm_delta(loss_fn, x, eps=eps))
        return x - rate * (1 + adv_weight) * attacked

    def accumulated(losses, x, *, rate, **settings):
        return x + sum(step()(loss_fn, x, rate=rate, **settings) - x for loss_fn in losses)

    messages = {
        refused("10.2", backed_up_once, "Back up in each round"),
        refused("10.2", first_only, "inside the loop"),
        refused("10.2", each(both_attacked), "The clean one belongs to x"),
        refused("10.2", each(step(clean=0.0)), "the clean loss has lost its term"),
        refused("10.2", accumulated, "take one step"),
        refused("10.2", copied, "rate of 0"),
        refused("10.2", another, "not the one that you had added"),
        refused("10.2", at_the_end, "at the end"),
        refused("10.2", one_for_all, "perturbation of the first"),
        refused("10.2", from_the_start, "only the last batch counts"),
        refused("10.2", each(step(delta=lambda f, x, eps: 0 * x)), "nothing is attacked"),
        refused("10.2", each(step(attacked=0.0)), "ordinary training"),
        refused("10.2", each(two_updates), "two steps"),
    }
    assert len(messages) == 13


def test_a_backup_that_is_no_copy(advrec, track):
    if track != "pytorch":
        pytest.skip("tensors of TensorFlow can't be changed in place")

    def alias(losses, x, *, eps, adv_weight, rate):
        for loss_fn in losses:
            backup, clean = x, slope(advrec, loss_fn, x)
            x += advrec.fgm_delta(loss_fn, x, eps=eps)
            x = backup - rate * (clean + adv_weight * slope(advrec, loss_fn, x))
        return x

    refused("10.2", alias, "a second name")


@pytest.mark.parametrize("letter", ["a", "c", "d"])
def test_the_prediction(advrec, letter):
    message = refused("10.3", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("10.3").judge(None).status == NOT_ATTEMPTED


def scores(ops, *, users_move=lambda flag: flag, items_move=lambda flag: flag, reduce=None):
    """Return the score function with one thing changed."""

    def answer(p, q, users, items, delta_p, delta_q, *, adversarial):
        p = p + delta_p if users_move(adversarial) else p
        q = q + delta_q if items_move(adversarial) else q
        products = ops.take(p, users) * ops.take(q, items)
        return ops.sum(products, 1) if reduce is None else reduce(products)

    return answer


def test_two_faults_in_a_score(advrec, ops):
    def reversed_flag(flag):
        return not flag

    def always(flag):
        return True

    def never(flag):
        return False

    def every_pair(p, q, users, items, delta_p, delta_q, *, adversarial):
        if adversarial:
            p, q = p + delta_p, q + delta_q
        # The values of a product of matrices, p[users] @ q[items].T.
        return ops.sum(ops.take(p, users)[:, None] * ops.take(q, items)[None], 2)

    both = {"users_move": reversed_flag, "items_move": reversed_flag}
    messages = {
        refused("10.4", scores(ops, **both, reduce=lambda t: t), "both faults"),
        refused("10.4", scores(ops, **both), "has no effect"),
        refused("10.4", scores(ops, reduce=lambda t: t), "a dot product"),
        refused("10.4", scores(ops, users_move=always, items_move=always), "both values of the flag"),
        refused("10.4", scores(ops, users_move=never, items_move=never), "neither value"),
        refused("10.4", scores(ops, items_move=never), "only the users"),
        refused("10.4", scores(ops, users_move=never), "only the items"),
        refused("10.4", scores(ops, reduce=lambda t: ops.sum(t, 0)), "over the pairs"),
        refused("10.4", scores(ops, reduce=lambda t: ops.sum(t, 1)[:, None]), "a table with one column"),
        refused("10.4", every_pair, "multiply row by row"),
        refused("10.4", scores(ops, reduce=lambda t: ops.mean(t, 1)), "mean over the coordinates"),
        refused("10.4", scores(ops, reduce=lambda t: ops.sum(t)), "sum over everything"),
    }
    assert len(messages) == 12
