"""Lesson 03: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import ast

import numpy as np
import pytest
from verdicts import refused

from advrec_teach import clinic, paths
from advrec_teach.course import lessons
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


@pytest.fixture
def share(ops):
    """Return the share of the entries that a condition holds for."""
    return lambda condition: ops.mean(ops.cast(condition, "float32"))


@pytest.fixture
def turned(track):
    """Return the transpose of a matrix."""
    if track == "pytorch":
        return lambda t: t.T
    import tensorflow as tf

    return tf.transpose


def stretched(ops, turned):
    """Return the right answer to 03.4."""

    def answer(weights, u, *, steps):
        for _ in range(steps):
            v = ops.matmul(weights, u)
            v = v / ops.norm(v, None)
            u = ops.matmul(turned(weights), v)
            u = u / ops.norm(u, None)
        return ops.sum(v * ops.matmul(weights, u))

    return answer


def test_right_answers_pass(advrec, ops, share, turned):
    def accuracy(real_logits, fake_logits):
        return (share(real_logits > 0) + share(fake_logits < 0)) / 2

    def smoothed(real, fake, *, smoothing):
        label = 1 - smoothing
        on_real = label * ops.softplus(-real) + smoothing * ops.softplus(real)
        return ops.mean(on_real) + ops.mean(ops.softplus(fake))

    assert exercise("03.1").judge(accuracy).status == CORRECT
    assert exercise("03.2").judge("d").status == CORRECT
    assert exercise("03.3").judge(smoothed).status == CORRECT
    assert exercise("03.4").judge(stretched(ops, turned)).status == CORRECT


@pytest.mark.parametrize("identifier", ["03.1", "03.3", "03.4"])
def test_the_courses_own_version_passes(advrec, identifier):
    entry = exercise(identifier)
    assert entry.judge(entry.course(advrec)).status == CORRECT


def test_the_monitor(advrec, ops, share):
    def both(real_rule, fake_rule):
        return lambda real, fake: (share(real_rule(real)) + share(fake_rule(fake))) / 2

    def pooled(real, fake):
        right, wrong = advrec.numpy(real) > 0, advrec.numpy(fake) < 0
        return float(np.concatenate([right, wrong]).mean())

    messages = {
        refused("03.1", both(lambda s: s > 0.5, lambda s: s > 0.5), "both faults"),
        refused("03.1", both(lambda s: s > 0, lambda s: s > 0), "called real"),
        refused("03.1", both(lambda s: s > 0.5, lambda s: s < 0.5), "threshold of a probability"),
        refused("03.1", both(lambda s: s > 0.5, lambda s: s < -0.5), "minus one half"),
        refused("03.1", both(lambda s: s < 0, lambda s: s > 0), "counts the mistakes"),
        refused("03.1", lambda real, fake: share(real > 0), "only real samples count"),
        refused("03.1", lambda real, fake: share(fake < 0), "only fakes count"),
        refused("03.1", lambda real, fake: share(real > 0) + share(fake < 0), "gets 2"),
        refused("03.1", pooled, "all samples at once"),
    }
    assert len(messages) == 9


@pytest.mark.parametrize("letter", ["a", "b", "c", "e"])
def test_the_prediction(advrec, letter):
    message = refused("03.2", letter)
    assert ("none of the options" in message) == (letter == "e")
    assert exercise("03.2").judge(None).status == NOT_ATTEMPTED


def test_label_smoothing(advrec, ops):
    plus, mean = ops.softplus, ops.mean

    def smoothed(on_real, on_fake=lambda s, e: plus(s)):
        return lambda real, fake, *, smoothing: mean(on_real(real, smoothing)) + mean(on_fake(fake, smoothing))

    def right(s, e):
        return (1 - e) * plus(-s) + e * plus(s)

    def fakes_too(s, e):
        return (1 - e) * plus(s) + e * plus(-s)

    messages = {
        refused("03.3", smoothed(lambda s, e: plus(-s)), "no effect"),
        refused("03.3", smoothed(right, fakes_too), "fakes, too"),
        refused("03.3", smoothed(lambda s, e: plus(-s), fakes_too), "labels of the fakes"),
        refused("03.3", smoothed(lambda s, e: (1 - e) * plus(-s)), "second half"),
        refused("03.3", smoothed(lambda s, e: e * plus(-s) + (1 - e) * plus(s)), "nearly fake"),
        refused("03.3", smoothed(lambda s, e: (1 + e) * plus(-s) - e * plus(s)), "above 1"),
        refused("03.3", smoothed(lambda s, e: plus(-(1 - e) * s)), "multiply the logit"),
        refused("03.3", smoothed(lambda s, e: right(s, e / 2)), "half of what"),
    }
    assert len(messages) == 8
    refused(
        "03.3",
        lambda real, fake, *, smoothing: advrec.numpy(advrec.discriminator_loss(real, fake, smoothing=smoothing)),
        "no gradient",
    )


def test_the_largest_singular_value(advrec, ops, turned):
    right = stretched(ops, turned)

    def grows(weights, u, *, steps):
        for _ in range(steps):
            v = ops.matmul(weights, u)
            u = ops.matmul(turned(weights), v)
        return ops.sum(v * ops.matmul(weights, u))

    def behind(weights, u, *, steps):
        for _ in range(steps):
            before = u / ops.norm(u, None)
            v = ops.matmul(weights, u)
            v = v / ops.norm(v, None)
            u = ops.matmul(turned(weights), v)
        return ops.sum(v * ops.matmul(weights, before))

    def exact(weights, u, *, steps):
        return float(np.linalg.norm(advrec.numpy(weights), 2))

    messages = {
        refused("03.4", grows, "grow from step to step"),
        refused("03.4", lambda weights, u, *, steps: ops.norm(weights, None), "Frobenius"),
        refused("03.4", lambda weights, u, *, steps: right(weights, u, steps=steps) ** 2, "square of the value"),
        refused("03.4", lambda weights, u, *, steps: right(weights, u, steps=1), "after one"),
        refused("03.4", lambda weights, u, *, steps: right(weights, u, steps=steps + 1), "further than asked"),
        refused("03.4", exact, "exact value"),
        refused("03.4", behind, "half a step behind"),
        refused("03.4", lambda weights, u, *, steps: float(np.abs(advrec.numpy(weights)).max()), "largest entry"),
    }
    assert len(messages) == 8


# --- the diagnosis


def curves(accuracy, pull, modes, share, loss):
    """Return flat curves with these values; the first half of each run says nothing."""
    steps = np.arange(10)
    values = {"accuracy": accuracy, "gradient/generator": pull, "samples/modes": modes, "samples/share": share}
    values["loss/discriminator"] = loss
    return {tag: (steps, np.where(steps < 5, 0.0, value)) for tag, value in values.items()}


RUNS = {
    "run-1": curves(1.0, 1e-10, 0, 0.0, 0.0),
    "run-2": curves(0.6, 0.5, 8, 0.35, 1.33),
    "run-3": curves(0.92, 4.0, 2, 0.8, 0.45),
    "run-4": curves(0.5, 0.6, 1, 0.1, 1.39),
    "run-5": curves(0.9, 4.0, 2, 0.7, 0.5),
    "run-6": curves(1.0, 30.0, 0, 0.0, 0.0),
}
RIGHT = {"run-1": "e", "run-2": "a", "run-3": "d", "run-4": "c", "run-5": "d", "run-6": "b"}


def test_the_right_diagnoses_pass():
    entry = exercise("03.5")
    assert entry.judge((RIGHT, RUNS)).status == CORRECT
    assert entry.judge(({run: f" {letter.upper()}) " for run, letter in RIGHT.items()}, RUNS)).status == CORRECT
    assert entry.kept((RIGHT, RUNS), entry.judge((RIGHT, RUNS))) == RIGHT


@pytest.mark.parametrize(
    "answer", [None, ..., (dict.fromkeys(RIGHT), RUNS), (dict.fromkeys(RIGHT, ...), RUNS), ({}, RUNS)]
)
def test_no_letter_is_not_attempted(answer):
    assert exercise("03.5").judge(answer).status == NOT_ATTEMPTED


def test_every_wrong_diagnosis_is_contradicted_by_a_curve():
    entry = exercise("03.5")
    for run, right in RIGHT.items():
        assert entry.contradiction(right, RUNS[run]) is None
        for letter in set("abcde") - {right}:
            against = entry.contradiction(letter, RUNS[run])
            message = refused("03.5", ({**RIGHT, run: letter}, RUNS), "5 of 6 are right", f"{run} is not", against)
            assert "here" in against and message.count("is not") == 1


def test_what_contradicts_a_diagnosis_is_told_with_its_value():
    refused("03.5", ({**RIGHT, "run-1": "b"}, RUNS), "its gradient has size 1e-10")
    refused("03.5", ({**RIGHT, "run-6": "e"}, RUNS), "nothing would reach the generator", "size 30")
    refused("03.5", ({**RIGHT, "run-2": "c"}, RUNS), "three modes at most", "8 are covered")
    refused("03.5", ({**RIGHT, "run-4": "a"}, RUNS), "most of the eight modes", "1 are covered")
    refused("03.5", ({**RIGHT, "run-4": "d"}, RUNS), "be right about most samples", "share of 0.5")
    refused("03.5", ({**RIGHT, "run-3": "b"}, RUNS), "nearly every sample", "0.92")


def test_an_answer_of_another_form_is_named():
    refused("03.5", RIGHT, "takes a pair")
    refused("03.5", (list(RIGHT), RUNS), "takes a pair")
    refused("03.5", ({**RIGHT, "run-2": "f"}, RUNS), "'f' is none of a, b, c, d, e")
    refused("03.5", ({**RIGHT, "run-2": None}, RUNS), "run-2: no letter yet")
    refused("03.5", (RIGHT, {"run-1": RUNS["run-1"]}), "there are no curves of run-2")
    odd = {**RUNS, "run-3": curves(0.6, 0.5, 8, 0.35, 1.3)}
    refused("03.5", ({**RIGHT, "run-3": "a"}, odd), "no single curve rules it out")


def test_the_runs_are_those_of_the_clinic_and_of_the_lesson():
    entry = exercise("03.5")
    assert list(entry.truth) == list(clinic.unlabelled())
    lesson = lessons.read(paths.repository() / "lessons" / "03_gan_clinic.py")
    (cell,) = [cell for cell in lesson.cells if cell.kind == "code" and 'exercise("03.5").check' in cell.source]
    given = [node.value for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)][:2]
    stub, solved = (ast.literal_eval(value) for value in given)
    assert list(stub) == list(entry.truth) and solved == entry.truth
