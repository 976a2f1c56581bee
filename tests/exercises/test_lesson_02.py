"""Lesson 02: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import ast

import numpy as np
import pytest
from scipy.special import rel_entr

from advrec_teach import paths, reference_gan
from advrec_teach.course import lessons
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET


@pytest.fixture
def maths(track):
    """Return sigmoid, log and absolute value under one set of names; the rest is in ``ops``."""
    if track == "pytorch":
        import torch

        return torch.sigmoid, torch.log, torch.abs
    import tensorflow as tf

    return tf.sigmoid, tf.math.log, tf.abs


def refused(identifier, answer, *words):
    verdict = exercise(identifier).judge(answer)
    assert verdict.status == NOT_YET
    for word in words:
        assert word in verdict.message
    return verdict.message


def test_right_answers_pass(advrec, ops):
    def gan_losses(real_logits, fake_logits):
        own = ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))
        return own, ops.mean(ops.softplus(-fake_logits))

    def modes_covered(samples, centres, *, radius, minimum):
        near = ops.norm(samples[:, None] - centres[None], 2)[..., 0] <= radius
        return ops.sum(ops.cast(ops.sum(ops.cast(near, "int64"), 0) >= minimum, "int64"))

    assert exercise("02.1").judge(gan_losses).status == CORRECT
    assert exercise("02.2").judge("c").status == CORRECT
    assert exercise("02.3").judge(advrec.generator_loss).status == CORRECT
    assert exercise("02.4").judge(modes_covered).status == CORRECT


@pytest.mark.parametrize("identifier", ["02.1", "02.3", "02.4"])
def test_the_courses_own_version_passes(advrec, identifier):
    entry = exercise(identifier)
    assert entry.judge(entry.course(advrec)).status == CORRECT


def test_the_tutorials_losses(advrec, ops, maths):
    sigmoid, log, _ = maths
    d_loss, g_loss, mean = advrec.discriminator_loss, advrec.generator_loss, ops.mean

    def probabilities(real, fake):
        return sigmoid(real), sigmoid(fake)

    def tutorial(real, fake):
        real, fake = probabilities(real, fake)
        return mean(real) + mean(fake), -mean(fake)

    def plain(real, fake):
        real, fake = probabilities(real, fake)
        return -mean(log(real)) - mean(log(1 - fake)), -mean(log(fake))

    def signs_only(real, fake):
        return mean(sigmoid(fake)) - mean(sigmoid(real)), -mean(sigmoid(fake))

    messages = {
        refused("02.1", tutorial, "calling everything fake"),
        refused("02.1", lambda r, f: (d_loss(r, f), -mean(sigmoid(f))), "averages D itself"),
        refused("02.1", lambda r, f: (tutorial(r, f)[0], g_loss(f)), "generator's loss is right now"),
        refused("02.1", signs_only, "without the logarithms"),
        refused("02.1", lambda r, f: (-d_loss(r, f), g_loss(f)), "value of the game"),
        refused("02.1", lambda r, f: (d_loss(f, r), g_loss(f)), "labels are swapped"),
        refused("02.1", plain, "Use the logits themselves"),
        refused("02.1", d_loss, "2 values"),
        refused("02.1", lambda r, f: (d_loss(r, f), g_loss(f, kind="minimax")), "returned value 2"),
    }
    assert len(messages) == 9


def test_the_three_losses(advrec, ops, maths):
    sigmoid, log, _ = maths
    mean, softplus = ops.mean, ops.softplus

    def but(**wrong):
        def answer(fake_logits, *, kind):
            other = wrong.get(kind.replace("-", "_"))
            return advrec.generator_loss(fake_logits, kind=kind) if other is None else other(fake_logits)

        return answer

    plain = but(minimax=lambda s: mean(log(1 - sigmoid(s))), non_saturating=lambda s: -mean(log(sigmoid(s))))
    exchanged = but(minimax=lambda s: mean(softplus(-s)), non_saturating=lambda s: -mean(softplus(s)))
    summed = but(
        minimax=lambda s: -ops.sum(softplus(s)),
        non_saturating=lambda s: ops.sum(softplus(-s)),
        wasserstein=lambda s: -ops.sum(s),
    )
    messages = {
        refused("02.3", plain, "Work with the logits"),
        refused("02.3", exchanged, "each other's"),
        refused("02.3", but(non_saturating=lambda s: mean(softplus(s))), "called real"),
        refused("02.3", but(minimax=lambda s: mean(softplus(s))), "opposite sign"),
        refused("02.3", but(wasserstein=lambda s: -mean(sigmoid(s))), "no logit"),
        refused("02.3", but(wasserstein=mean), "lowers the scores"),
        refused("02.3", summed, "add the losses"),
        refused("02.3", but(minimax=lambda s: -softplus(s)), "shape"),
    }
    assert len(messages) == 8


def test_counting_modes(advrec, ops, maths):
    _, _, absolute = maths

    def distances(samples, centres):
        return ops.norm(samples[:, None] - centres[None], 2)[..., 0]

    def count(near, at_least):
        return ops.sum(ops.cast(ops.sum(ops.cast(near, "int64"), 0) >= at_least, "int64"))

    def nearest(samples, centres, *, radius, minimum):
        table = advrec.numpy(distances(samples, centres))
        return int(((table == table.min(axis=1, keepdims=True)).sum(axis=0) >= minimum).sum())

    def any_sample(samples, centres, *, radius, minimum):
        return count(distances(samples, centres) <= radius, 1)

    def squared(samples, centres, *, radius, minimum):
        return count(distances(samples, centres) ** 2 <= radius, minimum)

    def hits(samples, centres, *, radius, minimum):
        return ops.sum(ops.cast(distances(samples, centres) <= radius, "int64"))

    def square(samples, centres, *, radius, minimum):
        apart = absolute(samples[:, None] - centres[None])
        return count((apart[..., 0] <= radius) & (apart[..., 1] <= radius), minimum)

    def more_than(samples, centres, *, radius, minimum):
        return count(distances(samples, centres) <= radius, minimum + 1)

    messages = {
        refused("02.4", nearest, "however far away"),
        refused("02.4", any_sample, "as soon as one"),
        refused("02.4", squared, "squared distance"),
        refused("02.4", hits, "Count the modes"),
        refused("02.4", square, "corners"),
        refused("02.4", more_than, "at least, not more than"),
        refused("02.4", lambda samples, centres, *, radius, minimum: distances(samples, centres), "shape"),
    }
    assert len(messages) == 7


def test_tied_samples_cannot_decide_a_case():
    """Rounding to float32 must not move a sample of any case over the radius."""
    for case in exercise("02.4")._cases():
        for factor in (1 - 1e-4, 1 + 1e-4):
            wider = {**case, "radius": case["radius"] * factor}
            assert reference_gan.modes_covered(**wider) == reference_gan.modes_covered(**case)


@pytest.mark.parametrize("letter", ["a", "b", "d"])
def test_the_prediction(advrec, letter):
    message = refused("02.2", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("02.2").judge(None).status == NOT_ATTEMPTED


def lesson_functions(*names):
    """Return functions that the lesson defines for both tracks, by name."""
    lesson = lessons.read(paths.repository() / "lessons" / "02_gan_losses.py")
    scope = {"np": np, "rel_entr": rel_entr}
    for cell in lesson.cells:
        if cell.kind == "code" and cell.track is None:
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef) and node.name in names:
                    exec(ast.unparse(node), scope)
    return [scope[name] for name in names]


def test_the_lessons_distances_are_the_packages():
    density, js, wasserstein = lesson_functions("density", "js", "wasserstein")
    grid = np.linspace(-20, 30, 5001)
    for mean in (0.0, 1.0, 12.0):
        p, q = density(grid, 0, 1), density(grid, mean, 2)
        assert q == pytest.approx(reference_gan.gaussian(grid, mean, 2))
        assert js(p, q, 0.01) == pytest.approx(reference_gan.js_divergence(p, q, 0.01), abs=1e-12)
    x, y = np.random.default_rng(0).normal(size=(2, 300))
    assert wasserstein(x, y + 1) == pytest.approx(reference_gan.wasserstein_1d(x, y + 1))
