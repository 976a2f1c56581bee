"""Lesson 02: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import ast

import numpy as np
import pytest
from scipy.special import rel_entr
from verdicts import refused

from advrec_teach import paths, reference_gan
from advrec_teach.course import lessons
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


@pytest.fixture
def maths(track):
    """Return sigmoid, log and absolute value under one set of names; the rest is in ``ops``."""
    if track == "pytorch":
        import torch

        return torch.sigmoid, torch.log, torch.abs
    import tensorflow as tf

    return tf.sigmoid, tf.math.log, tf.abs


@pytest.fixture
def exp(track):
    """Return the framework's exponential."""
    if track == "pytorch":
        import torch

        return torch.exp
    import tensorflow as tf

    return tf.exp


def test_right_answers_pass(advrec, ops):
    def gan_losses(real_logits, fake_logits):
        own = ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))
        return own, ops.mean(ops.softplus(-fake_logits))

    def modes_covered(samples, centres, *, radius, minimum):
        near = ops.norm(samples[:, None] - centres[None], 2)[..., 0] <= radius
        return ops.sum(ops.cast(ops.sum(ops.cast(near, "int64"), 0) >= minimum, "int64"))

    assert exercise("02.1").judge(gan_losses).status == CORRECT
    assert exercise("02.2").judge("d").status == CORRECT
    assert exercise("02.3").judge(advrec.generator_loss).status == CORRECT
    assert exercise("02.4").judge(modes_covered).status == CORRECT


@pytest.mark.parametrize("identifier", ["02.1", "02.3", "02.4"])
def test_the_courses_own_version_passes(advrec, identifier):
    entry = exercise(identifier)
    assert entry.judge(entry.course(advrec)).status == CORRECT


@pytest.fixture
def unrecorded(track, advrec):
    """Ways to lose the gradient that learners know: a number, NumPy, and a cut."""
    if track == "pytorch":
        return {"number": lambda v: v.item(), "array": advrec.numpy, "cut": lambda v: v.detach()}
    import tensorflow as tf

    return {"number": lambda v: float(v.numpy()), "array": advrec.numpy, "cut": tf.stop_gradient}


@pytest.fixture
def cross_entropy(track):
    """Return the framework's own cross-entropies of probabilities against ones and against zeros, as means."""
    if track == "pytorch":
        import torch

        entropy = torch.nn.functional.binary_cross_entropy
        return lambda d: entropy(d, torch.ones_like(d)), lambda d: entropy(d, torch.zeros_like(d))
    import tensorflow as tf

    entropy = tf.keras.losses.BinaryCrossentropy()
    return lambda d: entropy(tf.ones_like(d), d), lambda d: entropy(tf.zeros_like(d), d)


def pair(real, fake, minus_log, minus_log_of_rest):
    return minus_log(real) + minus_log_of_rest(fake), minus_log(fake)


def test_the_tutorials_losses(advrec, ops, maths):
    sigmoid, _, _ = maths
    d_loss, g_loss, mean, softplus = advrec.discriminator_loss, advrec.generator_loss, ops.mean, ops.softplus

    def probabilities(real, fake):
        return sigmoid(real), sigmoid(fake)

    def tutorial(real, fake):
        real, fake = probabilities(real, fake)
        return mean(real) + mean(fake), -mean(fake)

    def signs_only(real, fake):
        return mean(sigmoid(fake)) - mean(sigmoid(real)), -mean(sigmoid(fake))

    def sign_and_generator(real, fake):
        d_real, d_fake = probabilities(real, fake)
        return -(mean(d_real) - mean(d_fake)), g_loss(fake)

    def summed(real, fake):
        own = ops.sum(softplus(-real)) + ops.sum(softplus(fake))
        return own, ops.sum(softplus(-fake))

    messages = {
        refused("02.1", tutorial, "calling everything fake"),
        refused("02.1", lambda r, f: (d_loss(r, f), -mean(sigmoid(f))), "averages D itself"),
        refused("02.1", lambda r, f: (tutorial(r, f)[0], g_loss(f)), "generator's loss is right now"),
        refused("02.1", signs_only, "without the logarithms"),
        refused("02.1", sign_and_generator, "difference of two probabilities"),
        refused("02.1", lambda r, f: (mean(1 - sigmoid(r)) + mean(sigmoid(f)), g_loss(f)), "or D itself"),
        refused("02.1", lambda r, f: (-d_loss(r, f), g_loss(f)), "value of the game"),
        refused("02.1", lambda r, f: (d_loss(f, r), g_loss(f)), "labels are swapped"),
        refused("02.1", lambda r, f: (mean(softplus(-r)) + mean(softplus(-f)), g_loss(f)), "fake ones too"),
        refused("02.1", lambda r, f: (d_loss(r, f), g_loss(f, kind="minimax")), "half of the value V"),
        refused("02.1", lambda r, f: (d_loss(r, f), mean(softplus(f))), "learns to be caught"),
        refused("02.1", lambda r, f: (d_loss(r, f), -g_loss(f)), "falls when the samples are caught"),
        refused("02.1", lambda r, f: (d_loss(r, f), g_loss(r)), "from the real logits"),
        refused("02.1", lambda r, f: (g_loss(f), d_loss(r, f)), "wrong order"),
        refused("02.1", lambda r, f: (d_loss(r, f) / 2, g_loss(f)), "real and fake samples together"),
        refused("02.1", summed, "grows with the batch"),
        refused("02.1", d_loss, "returned one value"),
        refused("02.1", lambda r, f: {"D": d_loss(r, f), "G": g_loss(f)}, "returned a dict"),
    }
    assert len(messages) == 18


@pytest.mark.parametrize("constant", [1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12])
def test_a_constant_inside_the_logarithm(advrec, ops, maths, constant):
    sigmoid, log, _ = maths
    forms = (lambda s: -ops.mean(log(sigmoid(s) + constant)), lambda s: -ops.mean(log(1 - sigmoid(s) + constant)))
    refused("02.1", lambda real, fake: pair(real, fake, *forms), f"you add {constant:g} inside")
    refused("02.3", by_kind(advrec, minimax=lambda s: -forms[1](s), non_saturating=forms[0]), f"{constant:g} inside")


@pytest.mark.parametrize("constant", [1e-5, 1e-6, 1e-7])
def test_a_clipped_probability(advrec, ops, maths, constant):
    sigmoid, log, _ = maths

    def clipped(s):
        return ops.clip(sigmoid(s), constant, 1 - constant)

    forms = (lambda s: -ops.mean(log(clipped(s))), lambda s: -ops.mean(log(1 - clipped(s))))
    refused("02.1", lambda real, fake: pair(real, fake, *forms), f"clip the probability at {constant:g}")
    refused("02.3", by_kind(advrec, minimax=lambda s: -forms[1](s), non_saturating=forms[0]), "beyond the clip")


def test_a_cross_entropy_of_probabilities(advrec, maths, cross_entropy):
    """PyTorch's stops its logarithms at -100, that of Keras clips the probabilities."""
    sigmoid, _, _ = maths
    forms = tuple(lambda s, entropy=entropy: entropy(sigmoid(s)) for entropy in cross_entropy)
    refused("02.1", lambda real, fake: pair(real, fake, *forms), "cross-entropy")
    refused("02.3", by_kind(advrec, minimax=lambda s: -forms[1](s), non_saturating=forms[0]), "cross-entropy")


def test_logarithms_that_leave_float32(advrec, ops, maths, exp):
    sigmoid, log, _ = maths
    plain = (lambda s: -ops.mean(log(sigmoid(s))), lambda s: -ops.mean(log(1 - sigmoid(s))))
    written_out = (lambda s: ops.mean(log(1 + exp(-s))), lambda s: ops.mean(log(1 + exp(s))))
    refused("02.1", lambda real, fake: pair(real, fake, *plain), "Use the logits themselves")
    refused("02.1", lambda real, fake: pair(real, fake, *written_out), "exp(200)")
    minimax, other = lambda s: -plain[1](s), plain[0]
    refused("02.3", by_kind(advrec, minimax=minimax, non_saturating=other), "Work with the logits")
    refused("02.3", by_kind(advrec, minimax=minimax), "Write log(1 - D) with softplus")
    refused("02.3", by_kind(advrec, non_saturating=other), "Write -log D with softplus")
    both = by_kind(advrec, minimax=lambda s: -written_out[1](s), non_saturating=written_out[0])
    refused("02.3", both, "exp(200)")


@pytest.mark.parametrize("way", ["number", "array", "cut"])
def test_a_loss_has_to_have_a_gradient(advrec, unrecorded, way):
    """Its value alone would pass, and the training behind it break or stand still."""
    cut = unrecorded[way]

    def both(real, fake):
        if way == "cut":
            return advrec.discriminator_loss(real, cut(fake)), advrec.generator_loss(fake)
        return cut(advrec.discriminator_loss(real, fake)), cut(advrec.generator_loss(fake))

    def one(fake, *, kind):
        return (
            advrec.generator_loss(cut(fake), kind=kind) if way == "cut" else cut(advrec.generator_loss(fake, kind=kind))
        )

    refused("02.1", both, "no gradient of returned value 1 reaches", ".item()")
    refused("02.3", one, "no gradient reaches fake_logits", ".item()")


@pytest.mark.tensorflow
def test_a_loss_has_to_work_inside_a_tf_function():
    import tensorflow as tf

    from advrec_teach import tensorflow as advrec

    advrec.setup(device="cpu")

    def gan_losses(real, fake):
        rows = fake.numpy().shape[0]
        own = tf.reduce_sum(tf.nn.softplus(-real)) / rows + tf.reduce_sum(tf.nn.softplus(fake)) / rows
        return own, tf.reduce_sum(tf.nn.softplus(-fake)) / rows

    def generator_loss(fake, *, kind):
        return rows_mean(fake) if kind == "wasserstein" else advrec.generator_loss(fake, kind=kind)

    def rows_mean(fake):
        return -tf.add_n([fake[row, 0] for row in range(len(fake.numpy()))]) / len(fake.numpy())

    refused("02.1", gan_losses, "not inside tf.function")
    refused("02.3", generator_loss, "not inside tf.function")


def by_kind(advrec, **wrong):
    """Return the course's losses with some kinds replaced; names are the kinds with underscores."""

    def answer(fake_logits, *, kind):
        other = wrong.get(kind.replace("-", "_"))
        return advrec.generator_loss(fake_logits, kind=kind) if other is None else other(fake_logits)

    return answer


def test_the_three_losses(advrec, ops, maths):
    sigmoid, _, _ = maths
    mean, softplus = ops.mean, ops.softplus

    def but(**wrong):
        return by_kind(advrec, **wrong)

    exchanged = but(minimax=lambda s: mean(softplus(-s)), non_saturating=lambda s: -mean(softplus(s)))
    inside = but(minimax=lambda s: -mean(softplus(-s)), non_saturating=lambda s: mean(softplus(s)))
    averaged = but(minimax=lambda s: -softplus(mean(s)), non_saturating=lambda s: softplus(-mean(s)))
    summed = but(
        minimax=lambda s: -ops.sum(softplus(s)),
        non_saturating=lambda s: ops.sum(softplus(-s)),
        wasserstein=lambda s: -ops.sum(s),
    )
    messages = {
        refused("02.3", exchanged, "each other's"),
        refused("02.3", inside, "both logarithmic losses"),
        refused("02.3", but(non_saturating=lambda s: mean(softplus(s))), "called real"),
        refused("02.3", but(non_saturating=lambda s: -mean(softplus(-s))), "falls when D does"),
        refused("02.3", but(minimax=lambda s: mean(softplus(s))), "opposite sign"),
        refused("02.3", but(minimax=lambda s: -mean(softplus(-s))), "Lowering log D"),
        refused("02.3", but(minimax=lambda s: mean(softplus(-s))), "is the non-saturating one"),
        refused("02.3", but(wasserstein=lambda s: -mean(sigmoid(s))), "no logit"),
        refused("02.3", but(wasserstein=mean), "lowers the scores"),
        refused("02.3", lambda s, *, kind: mean(softplus(-s)), "whatever `kind` says"),
        refused("02.3", averaged, "average the logits first"),
        refused("02.3", summed, "add the losses"),
        refused("02.3", but(minimax=lambda s: -softplus(s)), "shape"),
    }
    assert len(messages) == 13


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

    def strictly(samples, centres, *, radius, minimum):
        return count(distances(samples, centres) < radius, minimum)

    def by_blocks(samples, centres, *, radius, minimum):
        return count(ops.sum(absolute(samples[:, None] - centres[None]), -1) <= radius, minimum)

    messages = {
        refused("02.4", strictly, "at most the radius"),
        refused("02.4", by_blocks, "two corners"),
        refused("02.4", nearest, "however far away"),
        refused("02.4", any_sample, "as soon as one"),
        refused("02.4", squared, "squared distance"),
        refused("02.4", hits, "Count the modes"),
        refused("02.4", square, "corners"),
        refused("02.4", more_than, "at least, not more than"),
        refused("02.4", lambda samples, centres, *, radius, minimum: distances(samples, centres), "shape"),
    }
    assert len(messages) == 9


def test_tied_samples_cannot_decide_a_case():
    """Rounding to float32 must not move a sample over the radius; the first case is exact in float32."""
    exact, *others = exercise("02.4")._cases()
    assert all(np.array_equal(exact[name], np.float32(exact[name])) for name in ("samples", "centres", "radius"))
    for case in others:
        for factor in (1 - 1e-4, 1 + 1e-4):
            wider = {**case, "radius": case["radius"] * factor}
            assert reference_gan.modes_covered(**wider) == reference_gan.modes_covered(**case)


@pytest.mark.parametrize("letter", ["a", "b", "c", "e"])
def test_the_prediction(advrec, letter):
    message = refused("02.2", letter)
    assert ("none of the options" in message) == (letter == "e")
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
