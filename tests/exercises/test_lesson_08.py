"""Lesson 08: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import pytest

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET


def slope(advrec, loss_fn, x):
    return advrec.value_and_grad(loss_fn, x)[1]


def refused(identifier, answer, *words):
    verdict = exercise(identifier).judge(answer)
    assert verdict.status == NOT_YET
    for word in words:
        assert word in verdict.message
    return verdict.message


def test_right_answers_pass(advrec, ops):
    assert exercise("08.1").judge(lambda f, x, *, eps: eps * ops.sign(slope(advrec, f, x))).status == CORRECT
    assert exercise("08.1").judge(advrec.fgsm_delta).status == CORRECT
    assert exercise("08.2").judge(advrec.fgm_delta).status == CORRECT
    repaired = lambda f, p, *, eps: p + eps * ops.sign(slope(advrec, f, p))  # noqa: E731
    assert exercise("08.3").judge(repaired).status == CORRECT
    assert exercise("08.4").judge("c").status == CORRECT


def test_the_signed_step(advrec, ops):
    messages = {
        refused("08.1", lambda f, x, *, eps: eps * slope(advrec, f, x), "the gradient itself"),
        refused("08.1", lambda f, x, *, eps: -eps * ops.sign(slope(advrec, f, x)), "lowers the loss"),
        refused("08.1", lambda f, x, *, eps: x + eps * ops.sign(slope(advrec, f, x)), "the step alone"),
        refused("08.1", lambda f, x, *, eps: advrec.fgm_delta(f, x, eps=eps), "FGM"),
        refused("08.1", lambda f, x, *, eps: eps * ops.sign(x), "sign of x"),
        refused("08.1", lambda f, x, *, eps: 2 * eps * ops.sign(slope(advrec, f, x)), "expected"),
    }
    assert len(messages) == 6


def test_the_step_of_length_epsilon(advrec, ops):
    def over(axis):
        return lambda f, x, *, eps: eps * slope(advrec, f, x) / ops.norm(slope(advrec, f, x), axis)

    def naive(f, x, *, eps):
        gradient = slope(advrec, f, x)
        return eps * gradient / ops.norm(gradient, 1)

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
    }
    assert len(messages) == 6


def test_the_line_from_an_image_tutorial(advrec, ops):
    def stepped(f, p, eps):
        return p + eps * ops.sign(slope(advrec, f, p))

    messages = {
        refused("08.3", lambda f, p, *, eps: ops.clip(stepped(f, p, eps), 0.0, 1.0), "tutorial"),
        refused("08.3", lambda f, p, *, eps: ops.clip(stepped(f, p, eps), -1.0, 1.0), "from -1 to 1"),
        refused("08.3", lambda f, p, *, eps: stepped(f, p, eps) - p, "without p"),
        refused("08.3", lambda f, p, *, eps: stepped(f, p, eps) - p + ops.clip(p, 0.0, 1.0), "before the step"),
        refused("08.3", lambda f, p, *, eps: p - eps * ops.sign(slope(advrec, f, p)), "against the gradient"),
    }
    assert len(messages) == 5


@pytest.mark.parametrize("letter", ["a", "b", "d"])
def test_the_prediction(advrec, letter):
    message = refused("08.4", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("08.4").judge(None).status == NOT_ATTEMPTED
