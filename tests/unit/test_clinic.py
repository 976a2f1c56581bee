"""Settings of the clinic's patients, and their first weights."""

import numpy as np
import pytest

from advrec_teach import clinic
from advrec_teach import reference_gan as ref
from advrec_teach.clinic import Patient


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "hinge"}, "loss is 'hinge'; choose one of non-saturating, minimax"),
        ({"generator_width": 0}, "generator_width is 0"),
        ({"discriminator_width": 2.5}, "discriminator_width is 2.5"),
        ({"generator_rate": -1.0}, "generator_rate is -1.0"),
        ({"l2": -1.0}, "l2 is -1.0"),
        ({"penalty": -1.0}, "penalty is -1.0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"smoothing": -0.1}, "smoothing is -0.1"),
    ],
)
def test_settings_that_cannot_work_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        Patient(**settings)


def test_first_weights_are_those_of_a_perceptron_filled_up_with_zeros():
    patients = [Patient(generator_width=3, discriminator_width=4, start=2.0), Patient()]
    g, d = clinic.first_weights(patients, [7, 9], noise_dim=2)
    g_sizes, d_sizes = clinic.sizes(patients, noise_dim=2)
    assert (g_sizes, d_sizes) == ([2, 64, 64, 2], [2, 64, 64, 1])
    assert g.shape == (4, 2 * 64 + 64 + 64 * 64 + 64 + 64 * 2 + 2)
    matrix = g[0, : 2 * 64].reshape(2, 64)
    layers = ref.mlp_weights([2, 3, 3, 2], seed=7)
    assert np.array_equal(matrix[:, :3], layers[0][0]) and not matrix[:, 3:].any()
    assert g[0, -2:] == pytest.approx(layers[-1][1] + [2, 0])
    assert np.array_equal(d[1, -1:], ref.mlp_weights([2, 4, 4, 1], seed=109)[-1][1])
    assert np.array_equal(g[3, : 2 * 64].reshape(2, 64), ref.mlp_weights([2, 64, 64, 2], seed=9)[0][0])


def test_unlabelled_runs_have_six_settings():
    found = clinic.unlabelled()
    assert list(found) == [f"run-{k}" for k in range(1, 7)]
    assert len(set(found.values())) == 6
