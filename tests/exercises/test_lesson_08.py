"""Lesson 08: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import pytest
from verdicts import refused

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


def slope(advrec, loss_fn, x):
    return advrec.value_and_grad(loss_fn, x)[1]


def test_right_answers_pass(advrec, ops):
    assert exercise("08.1").judge(lambda f, x, *, eps: eps * ops.sign(slope(advrec, f, x))).status == CORRECT
    assert exercise("08.1").judge(advrec.fgsm_delta).status == CORRECT
    assert exercise("08.2").judge(advrec.fgm_delta).status == CORRECT
    repaired = lambda f, p, *, eps: p + eps * ops.sign(slope(advrec, f, p))  # noqa: E731
    assert exercise("08.3").judge(repaired).status == CORRECT
    assert exercise("08.4").judge("c").status == CORRECT


def test_the_signed_step(advrec, ops):
    def whole(f, x, eps):
        return eps * slope(advrec, f, x) / ops.norm(slope(advrec, f, x), None)

    def moves_flat(comparison):
        def answer(f, x, *, eps):
            gradient = slope(advrec, f, x)
            up = gradient > 0 if comparison == ">" else gradient >= 0
            return ops.where(up, eps * ops.ones_like(gradient), -eps * ops.ones_like(gradient))

        return answer

    messages = {
        refused("08.1", lambda f, x, *, eps: eps * slope(advrec, f, x), "the gradient itself"),
        refused("08.1", lambda f, x, *, eps: -eps * ops.sign(slope(advrec, f, x)), "lowers the loss"),
        refused("08.1", lambda f, x, *, eps: x + eps * ops.sign(slope(advrec, f, x)), "the step alone"),
        refused("08.1", lambda f, x, *, eps: advrec.fgm_delta(f, x, eps=eps), "FGM"),
        refused("08.1", lambda f, x, *, eps: eps * ops.sign(x), "sign of x"),
        refused("08.1", lambda f, x, *, eps: 2 * eps * ops.sign(slope(advrec, f, x)), "expected"),
        refused("08.1", lambda f, x, *, eps: ops.sign(slope(advrec, f, x)), "eps is missing"),
        refused("08.1", lambda f, x, *, eps: whole(f, x, eps), "divide the gradient by its norm"),
        refused("08.1", moves_flat(">"), "moves all the same"),
        refused("08.1", moves_flat(">="), "moves upwards"),
    }
    assert len(messages) == 10


def test_the_step_of_length_epsilon(advrec, ops):
    def over(axis):
        return lambda f, x, *, eps: eps * slope(advrec, f, x) / ops.norm(slope(advrec, f, x), axis)

    def naive(f, x, *, eps):
        gradient = slope(advrec, f, x)
        return eps * gradient / ops.norm(gradient, 1)

    def below_the_line(constant):
        def answer(f, x, *, eps):
            gradient = slope(advrec, f, x)
            return eps * gradient / (ops.norm(gradient, 1) + constant)

        return answer

    def clipped(f, x, *, eps):
        gradient = slope(advrec, f, x)
        return gradient * ops.clip(eps / (ops.norm(gradient, 1) + 1e-30), 0.0, 1.0)

    def without_the_axis(f, x, *, eps):
        gradient = slope(advrec, f, x)
        return eps * gradient / ops.norm(gradient, 1)[:, 0]

    def squared(f, x, *, eps):
        gradient = slope(advrec, f, x)
        length = ops.norm(gradient, 1) ** 2
        return eps * gradient / ops.where(length > 0, length, ops.ones_like(length))

    messages = {
        refused("08.2", lambda f, x, *, eps: advrec.fgsm_delta(f, x, eps=eps), "FGSM"),
        refused("08.2", over(None), "whole table"),
        refused("08.2", over(0), "columns"),
        refused("08.2", naive, "nan"),
        refused("08.2", squared, "root is missing"),
        refused("08.2", lambda f, x, *, eps: x + advrec.fgm_delta(f, x, eps=eps), "the step alone"),
        refused("08.2", lambda f, x, *, eps: -advrec.fgm_delta(f, x, eps=eps), "against the gradient"),
        refused("08.2", below_the_line(1e-6), "1e-6"),
        refused("08.2", below_the_line(1e-8), "1e-8"),
        refused("08.2", clipped, "stretched"),
        refused("08.2", without_the_axis, "axis get lost"),
    }
    assert len(messages) == 11


def test_the_line_from_an_image_tutorial(advrec, ops):
    def own_range(f, p, *, eps):
        values = advrec.numpy(p)
        return ops.clip(stepped(f, p, eps), float(values.min()), float(values.max()))

    def stepped(f, p, eps):
        return p + eps * ops.sign(slope(advrec, f, p))

    messages = {
        refused("08.3", lambda f, p, *, eps: ops.clip(stepped(f, p, eps), 0.0, 1.0), "from 0 to 1"),
        refused("08.3", lambda f, p, *, eps: ops.clip(stepped(f, p, eps), -1.0, 1.0), "from -1 to 1"),
        refused("08.3", lambda f, p, *, eps: stepped(f, p, eps) - p, "without p"),
        refused("08.3", lambda f, p, *, eps: stepped(f, p, eps) - p + ops.clip(p, 0.0, 1.0), "before the step"),
        refused("08.3", lambda f, p, *, eps: p - eps * ops.sign(slope(advrec, f, p)), "against the gradient"),
        refused("08.3", lambda f, p, *, eps: p + advrec.fgm_delta(f, p, eps=eps), "that of FGM"),
        refused("08.3", own_range, "smallest and largest"),
    }
    assert len(messages) == 7


@pytest.mark.parametrize("letter", ["a", "b", "d"])
def test_the_prediction(advrec, letter):
    message = refused("08.4", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("08.4").judge(None).status == NOT_ATTEMPTED
