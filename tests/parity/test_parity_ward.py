"""Many small GANs side by side in each track, against NumPy."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from advrec_teach import clinic
from advrec_teach import reference_gan as ref
from advrec_teach.clinic import Patient

CLOSE = {"rel": 1e-5, "abs": 1e-5}
SMALL = Patient(generator_width=5, discriminator_width=4)


# --- spectral norm


@pytest.mark.parametrize("shape", [(5, 3), (3, 7), (4, 4)])
def test_power_iteration_agrees_with_the_reference(advrec, shape):
    rng = np.random.default_rng(shape[0])
    weights, u = np.float32(rng.normal(size=shape)), np.float32(rng.normal(size=(shape[1], 1)))
    for steps in (1, 3):
        value, after = advrec.power_iteration(advrec.tensor(weights), advrec.tensor(u), steps=steps)
        expected, expected_u = ref.power_iteration(weights, u, steps=steps)
        assert float(advrec.numpy(value).squeeze()) == pytest.approx(expected, **CLOSE)
        assert advrec.numpy(after) == pytest.approx(expected_u, **CLOSE)
    value, _ = advrec.power_iteration(advrec.tensor(weights), advrec.tensor(u), steps=200)
    assert float(advrec.numpy(value).squeeze()) == pytest.approx(np.linalg.norm(weights, 2), rel=1e-4)


def test_power_iteration_takes_a_stack_and_has_the_gradient_of_a_singular_value(advrec, ops):
    rng = np.random.default_rng(0)
    stack, us = np.float32(rng.normal(size=(3, 4, 5))), np.float32(rng.normal(size=(3, 5, 1)))
    value, _ = advrec.power_iteration(advrec.tensor(stack), advrec.tensor(us), steps=200)
    assert advrec.numpy(value).ravel() == pytest.approx([np.linalg.norm(w, 2) for w in stack], rel=1e-4)

    def total(w):
        return ops.sum(advrec.power_iteration(w, advrec.tensor(us), steps=200)[0])

    _, gradient = advrec.value_and_grad(total, advrec.tensor(stack))
    left, _, right = np.linalg.svd(stack)
    expected = left[:, :, :1] * right[:, :1]
    assert advrec.numpy(gradient) == pytest.approx(expected, abs=1e-2)


# --- label smoothing


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_label_smoothing_agrees_with_the_reference(advrec, smoothing):
    real, fake = np.float32(np.random.default_rng(1).normal(size=(2, 32, 1)) * 3)
    value = advrec.discriminator_loss(advrec.tensor(real), advrec.tensor(fake), smoothing=smoothing)
    assert float(value) == pytest.approx(ref.discriminator_loss(real, fake, smoothing=smoothing), **CLOSE)


# --- one step, in NumPy


def unpacked(row, sizes):
    layers, start = [], 0
    for n, m in pairwise(sizes):
        layers.append((row[start : start + n * m].reshape(n, m), row[start + n * m : start + n * m + m]))
        start += n * m + m
    return layers


def network(layers, x):
    for weights, bias in layers[:-1]:
        x = np.maximum(x @ weights + bias, 0)
    return x @ layers[-1][0] + layers[-1][1]


def slope(function, row):
    """Central differences in float64."""
    moves = np.eye(len(row)) * 1e-6
    return np.array([(function(row + move) - function(row - move)) / 2e-6 for move in moves])


def adam(row, gradient, rate):
    return row - rate * gradient / (np.abs(gradient) + 1e-8)


def softplus(s):
    return np.logaddexp(0, s)


def expected_step(patient, seed, real, noise):
    """Return what the history should say after one step of one pair without dropout, penalty or spectral norm."""
    (g,), (d,) = (w.astype(np.float64) for w in clinic.first_weights([patient], [seed], noise_dim=noise.shape[1]))
    g_sizes, d_sizes = clinic.sizes([patient], noise_dim=noise.shape[1])

    def fakes(row):
        return network(unpacked(row, g_sizes), noise)

    def logits(row, x):
        return network(unpacked(row, d_sizes), x)[:, 0]

    def own(row):
        squares = sum((weights**2).sum() for weights, _ in unpacked(row, d_sizes))
        loss = ref.discriminator_loss(logits(row, real), logits(row, fakes(g)), smoothing=patient.smoothing)
        return loss + patient.l2 * squares

    loss = ref.discriminator_loss(logits(d, real), logits(d, fakes(g)))
    right = ref.accuracy(logits(d, real), logits(d, fakes(g)))
    d_gradient = slope(own, d)
    d = adam(d, d_gradient, patient.discriminator_rate)

    def other(row):
        return ref.generator_loss(logits(d, fakes(row)), kind=patient.loss)

    g_gradient = slope(other, g)
    return loss, other(g), np.linalg.norm(d_gradient), np.linalg.norm(g_gradient), right


@pytest.mark.parametrize(
    "change",
    [{}, {"loss": "minimax"}, {"l2": 0.1}, {"smoothing": 0.2}, {"start": 3.0}, {"discriminator_rate": 0.1}],
    ids=str,
)
def test_one_step_is_the_one_that_numpy_gives(advrec, change):
    rng = np.random.default_rng(5)
    real, noise = (np.float32(rng.normal(size=(6, 2))) for _ in range(2))
    patients, seeds = [SMALL, replace(SMALL, **change)], [3, 8]

    def fixed(points):
        return lambda n, generator: advrec.tensor(np.tile(points, (n // len(points), 1)))

    history = advrec.fit_ward(patients, fixed(real), seeds=seeds, steps=1, batch_size=6, noise=fixed(noise))
    assert tuple(history) == clinic.HISTORY
    for place, patient in enumerate(patients):
        for number, seed in enumerate(seeds):
            found = [history[name][0, place, number] for name in clinic.HISTORY]
            expected = expected_step(patient, seed, real.astype(float), noise.astype(float))
            assert found == pytest.approx(expected, rel=2e-4, abs=1e-5)


# --- the ward as a whole


def short(advrec, patients, **settings):
    defaults = {"seeds": [0, 1], "steps": 8, "batch_size": 16, "samples": 50}
    return advrec.fit_ward(patients, advrec.ring_data(), **{**defaults, **settings})


EVERYTHING = (
    SMALL,
    replace(SMALL, dropout=0.4),
    replace(SMALL, penalty=1.0),
    replace(SMALL, spectral=True),
    replace(SMALL, l2=0.01, smoothing=0.1, loss="minimax"),
)


def test_a_seed_fixes_the_ward(advrec):
    one, again, other = (short(advrec, EVERYTHING, seed=seed) for seed in (0, 0, 1))
    for name, values in one.items():
        assert values.shape == (8, 5, 2)
        assert np.isfinite(values).all()
        assert np.array_equal(values, again[name])
        assert not np.array_equal(values, other[name])


def test_every_setting_changes_the_run(advrec):
    found = short(advrec, EVERYTHING)["discriminator_loss"]
    for place in range(1, len(EVERYTHING)):
        assert np.abs(found[-1, place] - found[-1, 0]).max() > 1e-4


def test_pairs_do_not_see_each_other(advrec):
    """The neighbour's settings change nothing, as long as they draw the same random numbers."""
    calm = short(advrec, [SMALL, SMALL])
    wild = short(advrec, [SMALL, replace(SMALL, discriminator_rate=1.0, l2=1.0, loss="minimax")])
    for name in calm:
        assert wild[name][:, 0] == pytest.approx(calm[name][:, 0], **CLOSE)
    assert not np.allclose(calm["discriminator_loss"][:, 1], wild["discriminator_loss"][:, 1])


def test_a_narrow_network_in_a_wide_stack_is_itself(advrec):
    """The zeros that fill it up are never trained."""
    rng = np.random.default_rng(2)
    points = np.float32(rng.normal(size=(16, 2)))

    def fixed(n, generator):
        return advrec.tensor(np.tile(points, (n // 16, 1)))

    wide = replace(SMALL, generator_width=12, discriminator_width=9)
    settings = {"seeds": [4], "steps": 6, "batch_size": 16, "noise": fixed}
    alone = advrec.fit_ward([SMALL], fixed, **settings)
    beside = advrec.fit_ward([SMALL, wide], fixed, **settings)
    for name in alone:
        assert beside[name][:, 0] == pytest.approx(alone[name][:, 0], rel=1e-3, abs=1e-5)


def test_spectral_norm_bounds_the_slope(advrec):
    """With a slope of at most 1 the logits of real and fake samples lie no further apart than the samples do."""
    fast = replace(SMALL, discriminator_width=16, discriminator_rate=0.02, generator_rate=0.0, start=8.0)
    found = short(advrec, [fast, replace(fast, spectral=True)], steps=60)["discriminator_loss"][-1]
    assert found[1].min() > 10 * found[0].max()


def test_the_callback_sees_the_samples_and_does_not_change_the_run(advrec):
    seen = []
    watched = short(advrec, EVERYTHING, every=3, callback=lambda step, points: seen.append((step, points.shape)))
    assert seen == [(step, (5, 2, 50, 2)) for step in (0, 3, 6, 8)]
    alone = short(advrec, EVERYTHING)
    for name in alone:
        assert watched[name] == pytest.approx(alone[name], **CLOSE)


def test_a_start_moves_the_untrained_samples(advrec):
    seen = []
    short(
        advrec, [SMALL, replace(SMALL, start=5.0)], steps=1, every=1, callback=lambda step, points: seen.append(points)
    )
    moved = seen[0][1] - seen[0][0]
    assert moved[..., 0].mean() == pytest.approx(5, abs=1) and abs(moved[..., 1].mean()) < 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seeds": []}, "seeds is empty"),
        ({"steps": 0}, "steps is 0"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"samples": 0}, "samples is 0"),
        ({"every": 0}, "every is 0"),
    ],
)
def test_settings_that_cannot_work_are_named(advrec, settings, words):
    with pytest.raises(ValueError, match=words):
        short(advrec, [SMALL], **settings)
    with pytest.raises(ValueError, match="no list of Patient"):
        short(advrec, [{}])
