"""The private step and the small generator: both tracks against NumPy in float64."""

import numpy as np
import pytest

from advrec_teach import reference_privacy as reference

N_ITEMS, LENGTH, DIM = 12, 5, 4


def rows_of(n=9, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice(N_ITEMS, LENGTH, replace=False) for _ in range(n)])


def small(advrec, seed=3):
    return advrec.SetGenerator(N_ITEMS, length=LENGTH, dim=DIM, seed=seed)


def row_loss(advrec, ops):
    return lambda weights, row: -ops.mean(advrec.set_log_probabilities(weights, row))


def test_the_generator_equals_the_reference(advrec):
    model, rows = small(advrec), rows_of()
    weights = reference.set_weights(N_ITEMS, dim=DIM, seed=3)
    assert set(model.named_weights()) == set(weights)
    for name, values in weights.items():
        np.testing.assert_array_equal(model.named_weights()[name], values)
    found = advrec.numpy(model.log_probabilities(advrec.tensor(rows)))
    np.testing.assert_allclose(found, reference.set_log_probabilities(weights, rows), atol=1e-5)
    one = advrec.set_log_probabilities(model.tensors(), advrec.tensor(rows[0]))
    np.testing.assert_allclose(advrec.numpy(one), found[0], atol=1e-6)


def test_each_example_has_the_gradient_of_the_formula(advrec, ops):
    model, rows = small(advrec), rows_of()
    found = advrec.example_gradients(row_loss(advrec, ops), model.tensors(), advrec.tensor(rows))
    truth = reference.set_gradients(model.named_weights(), rows)
    assert set(found) == set(truth)
    for name, values in truth.items():
        np.testing.assert_allclose(advrec.numpy(found[name]), values, atol=1e-5)


@pytest.mark.parametrize(("clip", "noise_multiplier"), [(0.3, 0.0), (0.7, 1.5), (100.0, 0.2)])
def test_the_private_gradient_equals_the_reference(advrec, ops, clip, noise_multiplier):
    model, rows = small(advrec), rows_of()
    rng = np.random.default_rng(0)
    noise = {name: rng.normal(size=values.shape) for name, values in model.named_weights().items()}
    gradients = advrec.example_gradients(row_loss(advrec, ops), model.tensors(), advrec.tensor(rows))
    settings = {"clip": clip, "noise_multiplier": noise_multiplier, "batch_size": 8}
    found = advrec.private_gradient(gradients, {k: advrec.tensor(v) for k, v in noise.items()}, **settings)
    truth = reference.private_gradient(reference.set_gradients(model.named_weights(), rows), noise, **settings)
    for name, values in truth.items():
        np.testing.assert_allclose(advrec.numpy(found[name]), values, atol=1e-5)


def test_drawn_rows_follow_the_reference_and_hold_no_item_twice(advrec):
    model = small(advrec)
    rows = advrec.sample_sequences(model, 4000, seed=1)
    assert rows.shape == (4000, LENGTH) and all(len(set(row)) == LENGTH for row in rows)
    weights = model.named_weights()
    first = np.exp([reference.set_log_probabilities(weights, [[i]])[0, 0] for i in range(N_ITEMS)])
    np.testing.assert_allclose(np.bincount(rows[:, 0], minlength=N_ITEMS) / 4000, first, atol=0.03)
    after = np.exp([reference.set_log_probabilities(weights, [[0, i]])[0, 1] for i in range(N_ITEMS)])
    second = rows[rows[:, 0] == 0, 1]
    np.testing.assert_allclose(np.bincount(second, minlength=N_ITEMS) / len(second), after, atol=0.12)
    np.testing.assert_array_equal(rows, advrec.sample_sequences(model, 4000, seed=1))


def test_training_learns_with_clipping_and_less_with_noise(advrec):
    rows = np.sort(rows_of(60), axis=1)
    surprise = {}
    for name, settings in {
        "plain": {},
        "clipped": {"clip": 0.3},
        "private": {"clip": 0.3, "noise_multiplier": 5.0},
    }.items():
        model = small(advrec)
        before = -reference.set_log_probabilities(model.named_weights(), rows).mean()
        sizes = advrec.fit_private(model, rows, steps=60, batch_size=20, learning_rate=0.02, seed=1, **settings)
        assert sizes.shape == (60,) and abs(sizes.mean() - 20) < 4 and sizes.std() > 1
        surprise[name] = -reference.set_log_probabilities(model.named_weights(), rows).mean()
    assert surprise["plain"] < before - 0.2 and surprise["clipped"] < before - 0.2
    assert surprise["private"] > surprise["clipped"]


def test_training_is_fixed_by_its_seed(advrec):
    def trained(seed):
        model = small(advrec)
        advrec.fit_private(model, rows_of(20), steps=3, batch_size=5, clip=1.0, noise_multiplier=1.0, seed=seed)
        return model.named_weights()["vectors"]

    np.testing.assert_array_equal(trained(1), trained(1))
    assert not np.array_equal(trained(1), trained(2))


def test_an_empty_batch_is_a_step(advrec):
    for settings in ({}, {"clip": 1.0, "noise_multiplier": 1.0}):
        model = small(advrec)
        sizes = advrec.fit_private(model, rows_of(20), steps=12, batch_size=1, seed=0, **settings)
        assert (sizes == 0).any()
        assert all(np.isfinite(v).all() for v in model.named_weights().values())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "steps"),
        ({"batch_size": 21}, "out of 20 rows"),
        ({"clip": 0.0}, "positive length"),
        ({"clip": 1.0, "noise_multiplier": -1.0}, "from 0"),
        ({"noise_multiplier": 1.0}, "give clip as well"),
        ({"learning_rate": -1.0}, "rate"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(advrec, settings, words):
    with pytest.raises(ValueError, match=words) as caught:
        advrec.fit_private(small(advrec), rows_of(20), **({"steps": 2, "batch_size": 4} | settings))
    assert "\n" not in str(caught.value)
