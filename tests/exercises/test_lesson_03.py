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


@pytest.fixture
def sigmoid(track):
    """Return the framework's own sigmoid."""
    if track == "pytorch":
        import torch

        return torch.sigmoid
    import tensorflow as tf

    return tf.sigmoid


@pytest.fixture
def log(track):
    """Return the framework's own logarithm."""
    if track == "pytorch":
        import torch

        return torch.log
    import tensorflow as tf

    return tf.math.log


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


def test_the_monitor(advrec, ops, share, sigmoid):
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
        refused("03.1", lambda real, fake: 50 * (share(real > 0) + share(fake < 0)), "per cent"),
        refused("03.1", lambda real, fake: (ops.mean(sigmoid(real)) + 1 - ops.mean(sigmoid(fake))) / 2, "how *sure*"),
        refused("03.1", lambda real, fake: share(real > 0) * share(fake < 0), "multiply the two shares"),
        refused("03.1", both(lambda s: sigmoid(s) > 0, lambda s: sigmoid(s) < 0), "always above"),
    }
    assert len(messages) == 13


@pytest.mark.parametrize("letter", ["a", "b", "c", "e"])
def test_the_prediction(advrec, letter):
    message = refused("03.2", letter)
    assert ("none of the options" in message) == (letter == "e")
    assert exercise("03.2").judge(None).status == NOT_ATTEMPTED


def test_where_a_right_answer_is_used_is_told_as_it_is(advrec):
    """The trial of the lesson runs the package's versions, so the message must not promise more."""
    for identifier in ("03.1", "03.3", "03.4"):
        entry = exercise(identifier)
        assert "The next cell uses your function" in entry.judge(entry.course(advrec)).message


def test_label_smoothing(advrec, ops):
    plus, mean = ops.softplus, ops.mean

    def smoothed(on_real, on_fake=lambda s, e: plus(s)):
        return lambda real, fake, *, smoothing: mean(on_real(real, smoothing)) + mean(on_fake(fake, smoothing))

    def right(s, e):
        return (1 - e) * plus(-s) + e * plus(s)

    def fakes_too(s, e):
        return (1 - e) * plus(s) + e * plus(-s)

    def summed(real, fake, *, smoothing):
        return ops.sum(right(real, smoothing)) + ops.sum(plus(fake))

    messages = {
        refused("03.3", smoothed(lambda s, e: plus(-s)), "no effect"),
        refused("03.3", smoothed(right, fakes_too), "fakes, too"),
        refused("03.3", smoothed(lambda s, e: plus(-s), fakes_too), "labels of the fakes"),
        refused("03.3", smoothed(lambda s, e: (1 - e) * plus(-s)), "second half"),
        refused("03.3", smoothed(lambda s, e: e * plus(-s) + (1 - e) * plus(s)), "nearly fake"),
        refused("03.3", smoothed(lambda s, e: (1 + e) * plus(-s) - e * plus(s)), "above 1"),
        refused("03.3", smoothed(lambda s, e: plus(-(1 - e) * s)), "multiply the logit"),
        refused("03.3", smoothed(lambda s, e: right(s, e / 2)), "half of what"),
        refused(
            "03.3", lambda real, fake, *, smoothing: smoothed(right)(real, fake, smoothing=smoothing) / 2, "half of"
        ),
        refused("03.3", lambda real, fake, *, smoothing: -smoothed(right)(real, fake, smoothing=smoothing), "sign is"),
        refused("03.3", smoothed(right, lambda s, e: plus(-s)), "*generator* pays"),
        refused("03.3", summed, "grows with the batch"),
        refused(
            "03.3", lambda real, fake, *, smoothing: smoothed(right)(real, fake, smoothing=0.1), "always smooth by"
        ),
        refused(
            "03.3", lambda real, fake, *, smoothing: smoothed(right)(fake, real, smoothing=smoothing), "come first"
        ),
    }
    assert len(messages) == 14
    refused(
        "03.3",
        lambda real, fake, *, smoothing: advrec.numpy(advrec.discriminator_loss(real, fake, smoothing=smoothing)),
        "no gradient",
    )


def test_a_loss_that_is_not_finite_for_every_logit_is_refused(advrec, ops, sigmoid, log):
    """The text promises a finite loss, so each arithmetic that breaks it is refused by name."""
    plus, mean = ops.softplus, ops.mean

    def by_probability(inside=0.0, limit=None):
        def answer(real, fake, *, smoothing):
            if limit:
                real, fake = ops.clip(real, -limit, limit), ops.clip(fake, -limit, limit)
            d_real, d_fake = sigmoid(real), sigmoid(fake)
            on_real = -(1 - smoothing) * log(d_real + inside) - smoothing * log(1 - d_real + inside)
            return mean(on_real) + mean(-log(1 - d_fake + inside))

        return answer

    def clamped(limit):
        def answer(real, fake, *, smoothing):
            real, fake = ops.clip(real, -limit, limit), ops.clip(fake, -limit, limit)
            return mean((1 - smoothing) * plus(-real) + smoothing * plus(real)) + mean(plus(fake))

        return answer

    def unsmoothed(real, fake, *, smoothing):
        return -mean(log(sigmoid(real))) - mean(log(1 - sigmoid(fake)))

    messages = {
        refused("03.3", by_probability(), "right for ordinary logits", "log(1 - D) is infinite", "softplus"),
        refused("03.3", by_probability(inside=1e-8), "1e-08 inside the logarithm"),
        refused("03.3", clamped(20.0), "clamp the logits at 20"),
        refused("03.3", clamped(50.0), "clamp the logits at 50"),
        refused("03.3", unsmoothed, "has no effect", "log(1 - D) is infinite"),
    }
    assert len(messages) == 5
    refused("03.3", by_probability(limit=10.0))
    assert exercise("03.3").judge(from_logits(ops)).status == CORRECT


def from_logits(ops):
    """Return another right form of the loss: that of lesson 02, and the smoothing times the logit."""

    def answer(real, fake, *, smoothing):
        return ops.mean(ops.softplus(-real) + smoothing * real) + ops.mean(ops.softplus(fake))

    return answer


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

    def last(weights, u, steps):
        for _ in range(steps):
            v = ops.matmul(weights, u)
            v = v / ops.norm(v, None)
            u = ops.matmul(turned(weights), v)
            u = u / ops.norm(u, None)
        return u

    def further(weights, u, *, steps):
        return ops.norm(ops.matmul(weights, last(weights, u, steps)), None)

    def undivided(*, long_v):
        def answer(weights, u, *, steps):
            for _ in range(steps):
                v = ops.matmul(weights, u)
                v = v if long_v else v / ops.norm(v, None)
                u = ops.matmul(turned(weights), v)
                u = u / ops.norm(u, None) if long_v else u
            return ops.sum(v * ops.matmul(weights, u))

        return answer

    def by_largest_entry(weights, u, *, steps):
        def divided(x):
            return x / float(np.abs(advrec.numpy(x)).max())

        for _ in range(steps):
            v = divided(ops.matmul(weights, u))
            u = divided(ops.matmul(turned(weights), v))
        return ops.sum(v * ops.matmul(weights, u))

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
        refused("03.4", lambda weights, u, *, steps: float(np.abs(advrec.numpy(weights)).max()), "largest entry of"),
        refused("03.4", lambda weights, u, *, steps: ops.norm(ops.matmul(weights, u), None), "stays where it started"),
        refused("03.4", further, "half a step *further*"),
        refused("03.4", lambda weights, u, *, steps: further(weights, u, steps=steps) ** 2, "a root is missing"),
        refused("03.4", by_largest_entry, "by its largest entry"),
        refused("03.4", undivided(long_v=True), "your v is never divided"),
    }
    assert len(messages) == 13
    refused("03.4", undivided(long_v=False), "square of the value", "or u is never divided")


def test_a_matrix_of_one_entry_and_exchanged_transposes_are_named(advrec, ops, turned):
    def one_entry(weights, u, *, steps):
        return ops.norm(stretched(ops, turned)(weights, u, steps=steps)[None, None], 1)

    def exchanged(weights, u, *, steps):
        return ops.matmul(turned(weights), u)

    refused("03.4", one_entry, "has shape (1, 1), expected (): take its only entry")
    refused("03.4", exchanged, "stopped with", "A transpose may be missing")


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
    refused("03.5", (list(RIGHT.values()), RUNS), "letters as a dict")
    refused("03.5", (RIGHT, list(RUNS)), "takes a pair")
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
