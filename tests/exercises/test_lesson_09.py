"""Lesson 09: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import math

import numpy as np
import pytest
from verdicts import refused

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


def slope(advrec, loss_fn, x):
    return advrec.value_and_grad(loss_fn, x)[1]


def one_step(advrec, norm):
    return {"l2": advrec.fgm_delta, "linf": advrec.fgsm_delta}[norm]


def pgd_of(advrec, *, at=lambda x, delta: x + delta, keep=None, sign=1, norm_of=lambda norm: norm):
    """Return a learner's loop in the track's framework, with parts that may be wrong."""

    def pgd(loss_fn, x, start, *, eps, step, steps, norm):
        norm = norm_of(norm)
        delta = start
        for _ in range(steps):
            delta = delta + sign * one_step(advrec, norm)(loss_fn, at(x, delta), eps=step)
            delta = advrec.project(delta, eps=eps, norm=norm) if keep is None else keep(x, delta, eps, norm)
        return delta

    return pgd


def signs(*, noise, one_step, many_steps, transfer, unbounded):
    white_box = max(one_step, many_steps)
    return [noise > white_box, many_steps < one_step, transfer > white_box, unbounded < math.log(2)]


def test_right_answers_pass(advrec, ops):
    def project(delta, *, eps, norm):
        if norm == "linf":
            return ops.clip(delta, -eps, eps)
        length = ops.norm(delta, 1)
        return ops.where(length > eps, eps * delta / length, delta)

    def project_by_factor(delta, *, eps, norm):
        if norm == "linf":
            return ops.clip(delta, -eps, eps)
        return delta * ops.clip(eps / (ops.norm(delta, 1) + 1e-12), 0.0, 1.0)

    def repaired(loss_fn, x, *, eps, step, steps):
        attacked = x
        for _ in range(steps):
            moved = attacked + advrec.fgm_delta(loss_fn, attacked, eps=step)
            attacked = x + advrec.project(moved - x, eps=eps, norm="l2")
        return attacked

    assert exercise("09.1").judge(project).status == CORRECT
    assert exercise("09.1").judge(project_by_factor).status == CORRECT
    assert exercise("09.1").judge(advrec.project).status == CORRECT
    assert exercise("09.2").judge(pgd_of(advrec)).status == CORRECT
    assert exercise("09.3").judge("b").status == CORRECT
    assert exercise("09.4").judge(repaired).status == CORRECT
    assert exercise("09.5").judge(signs).status == CORRECT
    assert exercise("09.5").judge(lambda **report: tuple(signs(**report))).status == CORRECT
    with_numpy = lambda **report: [*signs(**report)[:3], report["unbounded"] < np.log(2)]  # noqa: E731
    assert exercise("09.5").judge(with_numpy).status == CORRECT
    in_tensors = lambda **report: [advrec.tensor(sign) for sign in signs(**report)]  # noqa: E731
    assert exercise("09.5").judge(in_tensors).status == CORRECT


def test_the_lessons_loop_is_the_packages(advrec, ops):
    """Later lessons call ``advrec.pgd_delta``; the learner has written the same."""
    weight = advrec.tensor(np.random.default_rng(0).normal(size=(6, 4)))
    x = advrec.tensor(np.random.default_rng(1).normal(size=(6, 4)))
    loss_fn = lambda x: ops.sum(ops.softplus(weight * x))  # noqa: E731
    for norm in ("l2", "linf"):
        settings = {"eps": 0.5, "step": 0.2, "steps": 5, "norm": norm}
        ours = pgd_of(advrec)(loss_fn, x, 0 * x, **settings)
        np.testing.assert_allclose(
            advrec.numpy(ours), advrec.numpy(advrec.pgd_delta(loss_fn, x, **settings)), atol=1e-6
        )


def test_the_courses_own_versions_are_right(advrec):
    for identifier in ("09.1", "09.2", "09.4", "09.5"):
        entry = exercise(identifier)
        assert entry.judge(entry.course(advrec)).status == CORRECT


def test_the_projection(advrec, ops):
    def but(*, l2=None, linf=None):
        def answer(delta, *, eps, norm):
            wrong = {"l2": l2, "linf": linf}[norm]
            return advrec.project(delta, eps=eps, norm=norm) if wrong is None else wrong(delta, eps)

        return answer

    def shortened(axis):
        return lambda delta, eps: delta * ops.clip(eps / (ops.norm(delta, axis) + 1e-12), 0.0, 1.0)

    def largest(delta, eps):
        biggest = advrec.tensor(np.abs(advrec.numpy(delta)).max(axis=1, keepdims=True) + 1e-12)
        return delta * ops.clip(eps / biggest, 0.0, 1.0)

    def nan_row(delta, eps):
        length = ops.norm(delta, 1)
        scaled = delta / length
        return ops.where(length > eps, eps * scaled, length * scaled)

    def no_radius(delta, eps):
        return delta * ops.clip(eps / ops.norm(delta, 1), 0.0, 1.0)

    def always_edge(delta, *, eps, norm):
        return eps * (ops.sign(delta) if norm == "linf" else delta / (ops.norm(delta, 1) + 1e-12))

    messages = {
        refused("09.1", but(l2=lambda delta, eps: eps * delta / (ops.norm(delta, 1) + 1e-12)), "short ones as well"),
        refused("09.1", but(l2=shortened(None)), "table as a whole"),
        refused("09.1", but(l2=shortened(0)), "columns"),
        refused("09.1", but(l2=lambda delta, eps: ops.clip(delta, -eps, eps)), "root of d"),
        refused("09.1", but(linf=shortened(1)), "each coordinate by itself"),
        refused("09.1", but(linf=largest), "whole row"),
        refused("09.1", but(linf=lambda delta, eps: ops.clip(delta, -1e9, eps)), "two sides"),
        refused("09.1", but(linf=lambda delta, eps: eps * ops.sign(delta)), "within the limit"),
        refused("09.1", but(l2=nan_row), "nan"),
        refused("09.1", but(l2=no_radius), "eps is 0 as well"),
        refused("09.1", always_edge, "in both norms"),
        refused("09.1", lambda delta, *, eps, norm: eps * delta, "multiply by eps"),
        refused("09.1", lambda delta, *, eps, norm: eps * delta + 1, "expected"),
    }
    assert len(messages) == 13


def test_the_loop(advrec, ops):
    def edge(x, delta, eps, norm):
        if norm == "l2":
            return eps * delta / (ops.norm(delta, 1) + 1e-12)
        return eps * delta / advrec.tensor(np.abs(advrec.numpy(delta)).max(axis=1, keepdims=True) + 1e-12)

    def at_the_end(loss_fn, x, start, *, eps, step, steps, norm):
        free = pgd_of(advrec, keep=lambda x, delta, eps, norm: delta)
        delta = free(loss_fn, x, start, eps=eps, step=step, steps=steps, norm=norm)
        return advrec.project(delta, eps=eps, norm=norm)

    def raw(loss_fn, x, start, *, eps, step, steps, norm):
        delta = start
        for _ in range(steps):
            delta = advrec.project(delta + step * slope(advrec, loss_fn, x + delta), eps=eps, norm=norm)
        return delta

    def only(step_of):
        def answer(loss_fn, x, start, *, eps, step, steps, norm):
            delta = start
            for _ in range(steps):
                delta = advrec.project(delta + step_of(loss_fn, x + delta, eps=step), eps=eps, norm=norm)
            return delta

        return answer

    def raw_in_l2(loss_fn, x, start, *, eps, step, steps, norm):
        run = pgd_of(advrec) if norm == "linf" else raw
        return run(loss_fn, x, start, eps=eps, step=step, steps=steps, norm=norm)

    def early_return(loss_fn, x, start, *, eps, step, steps, norm):
        return pgd_of(advrec)(loss_fn, x, start, eps=eps, step=step, steps=1, norm=norm)

    def from_zero(loss_fn, x, start, **settings):
        return pgd_of(advrec)(loss_fn, x, 0 * x, **settings)

    def whole_steps(loss_fn, x, start, *, eps, step, steps, norm):
        return pgd_of(advrec)(loss_fn, x, start, eps=eps, step=eps, steps=steps, norm=norm)

    def around_zero(x, delta, eps, norm):
        return advrec.project(x + delta, eps=eps, norm=norm) - x

    messages = {
        refused("09.2", pgd_of(advrec, at=lambda x, delta: x), "the gradient at x"),
        refused("09.2", pgd_of(advrec, keep=lambda x, delta, eps, norm: delta), "leaves the ball"),
        refused("09.2", at_the_end, "project once"),
        refused("09.2", pgd_of(advrec, sign=-1), "lower the loss"),
        refused("09.2", pgd_of(advrec, keep=edge), "short ones as well"),
        refused("09.2", pgd_of(advrec, keep=around_zero), "stands around x"),
        refused("09.2", from_zero, "whatever start is"),
        refused("09.2", whole_steps, "called step"),
        refused("09.2", raw, "gradient itself"),
        refused("09.2", early_return, "inside the loop"),
        refused("09.2", lambda f, x, start, **s: x + pgd_of(advrec)(f, x, start, **s), "Return delta alone"),
        refused("09.2", pgd_of(advrec, norm_of=lambda norm: "l2"), "depend on the norm"),
        refused("09.2", pgd_of(advrec, at=lambda x, delta: delta), "at delta itself"),
        refused("09.2", only(advrec.fgm_delta), "still has a given length"),
        refused("09.2", only(advrec.fgsm_delta), "still take signed steps"),
        refused("09.2", raw_in_l2, 'only for "linf"'),
    }
    assert len(messages) == 16


@pytest.mark.parametrize("letter", ["a", "c", "d"])
def test_the_prediction(advrec, letter):
    message = refused("09.3", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("09.3").judge(None).status == NOT_ATTEMPTED


def test_the_ball_that_travels(advrec, ops):
    def tidy(loss_fn, x, *, eps, step, steps):
        for _ in range(steps):
            moved = x + advrec.fgm_delta(loss_fn, x, eps=step)
            x = x + advrec.project(moved - x, eps=eps, norm="l2")
        return x

    def free(loss_fn, x, *, eps, step, steps):
        for _ in range(steps):
            x = x + advrec.fgm_delta(loss_fn, x, eps=step)
        return x

    def cut_down(loss_fn, x, *, eps, step, steps):
        return free(loss_fn, x, eps=eps, step=min(step, eps / steps), steps=steps)

    def at_the_end(loss_fn, x, *, eps, step, steps):
        return x + advrec.project(free(loss_fn, x, eps=eps, step=step, steps=steps) - x, eps=eps, norm="l2")

    def loop(**parts):
        run = pgd_of(advrec, **parts)
        return lambda f, x, *, eps, step, steps: x + run(f, x, 0 * x, eps=eps, step=step, steps=steps, norm="l2")

    def around_zero(x, delta, eps, norm):
        return advrec.project(x + delta, eps=eps, norm=norm) - x

    def edge(x, delta, eps, norm):
        return eps * delta / (ops.norm(delta, 1) + 1e-12)

    def own_rule(loss_fn, x, *, eps, step, steps):
        return loop()(loss_fn, x, eps=eps, step=2.5 * eps / steps, steps=steps)

    messages = {
        refused("09.4", tidy, "still travels"),
        refused("09.4", free, "nothing is projected"),
        refused("09.4", loop(keep=around_zero), "the attacked vectors themselves"),
        refused("09.4", loop(at=lambda x, delta: x), "clean point"),
        refused("09.4", at_the_end, "in each round"),
        refused("09.4", loop(keep=edge), "short moves as well"),
        refused("09.4", cut_down, "so short"),
        refused("09.4", lambda f, x, *, eps, step, steps: loop()(f, x, eps=eps, step=eps, steps=steps), "has size eps"),
        refused("09.4", own_rule, "size of your own"),
        refused("09.4", lambda f, x, **s: loop()(f, x, **s) - x, "returns the attacked vectors"),
    }
    assert len(messages) == 10


def test_the_four_signs(advrec):
    def against(pick):
        def answer(*, noise, one_step, many_steps, transfer, unbounded):
            white_box = pick(one_step, many_steps)
            return [noise > white_box, many_steps < one_step, transfer > white_box, unbounded < math.log(2)]

        return answer

    def or_equal(*, noise, one_step, many_steps, transfer, unbounded):
        white_box = max(one_step, many_steps)
        return [noise >= white_box, many_steps <= one_step, transfer >= white_box, unbounded <= math.log(2)]

    def no_coin(**report):
        return [*signs(**report)[:3], report["unbounded"] <= report["many_steps"]]

    def inverted(number):
        return lambda **report: [sign != (place == number) for place, sign in enumerate(signs(**report))]

    messages = {
        refused("09.5", lambda **report: [not sign for sign in signs(**report)], "wrong way round"),
        refused("09.5", against(lambda one, many: one), "one-step attack alone"),
        refused("09.5", against(lambda one, many: many), "many-step attack alone"),
        refused("09.5", against(min), "weaker"),
        refused("09.5", or_equal, "equally much"),
        refused("09.5", no_coin, "without a limit"),
        refused("09.5", inverted(0), "first sign"),
        refused("09.5", inverted(3), "fourth sign"),
        refused("09.5", lambda **report: [*signs(**report)[:3], report["unbounded"] < 0.5], "a coin's loss"),
        refused("09.5", lambda **report: any(signs(**report)), "one answer"),
    }
    assert len(messages) == 10
