"""The NumPy truth about generative adversarial networks, against closed forms and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm, wasserstein_distance

from advrec_teach import reference_gan as ref

GRID = np.linspace(-30, 30, 60001)
DX = GRID[1] - GRID[0]
reals = st.floats(-50, 50)


def logits(n):
    return arrays(float, n, elements=reals)


@given(logits(5), logits(7))
def test_losses_are_the_textbook_formulas(real, fake):
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    # Written with 1 - D = sigmoid(-s), the plain logarithms are good to this size of logit.
    plain = -np.mean(np.log(d_real)) - np.mean(np.log(1 / (1 + np.exp(fake))))
    assert ref.discriminator_loss(real, fake) == pytest.approx(plain, rel=1e-9, abs=1e-12)
    assert ref.generator_loss(fake, kind="minimax") == pytest.approx(
        np.mean(np.log(1 / (1 + np.exp(fake)))), rel=1e-9, abs=1e-12
    )
    assert ref.generator_loss(fake) == pytest.approx(-np.mean(np.log(d_fake)), rel=1e-9, abs=1e-12)
    assert ref.generator_loss(fake, kind="wasserstein") == pytest.approx(-np.mean(fake))
    assert ref.critic_loss(real, fake) == pytest.approx(np.mean(fake) - np.mean(real))


@pytest.mark.parametrize("kind", ref.KINDS)
def test_the_gradient_is_the_slope_of_the_loss(kind):
    fake = np.array([-6.0, -0.3, 0.0, 2.0, 9.0])
    h = 1e-6
    slopes = [
        (ref.generator_loss(fake[i : i + 1] + h, kind=kind) - ref.generator_loss(fake[i : i + 1] - h, kind=kind))
        / (2 * h)
        for i in range(len(fake))
    ]
    assert ref.generator_gradient(fake, kind=kind) == pytest.approx(slopes, abs=1e-8)


def test_losses_stay_finite_where_a_plain_logarithm_does_not():
    far = np.array([-1000.0, 1000.0])
    assert ref.discriminator_loss(far, far) == pytest.approx(1000.0)
    assert ref.generator_loss(far, kind="minimax") == pytest.approx(-500.0)
    assert ref.generator_loss(far) == pytest.approx(500.0)
    assert np.isfinite(ref.generator_gradient(far, kind="minimax")).all()


@pytest.mark.parametrize("function", [ref.generator_loss, ref.generator_gradient])
def test_an_unknown_kind_is_named(function):
    with pytest.raises(ValueError, match="'hinge'; choose one of minimax, non-saturating, wasserstein"):
        function(np.zeros(3), kind="hinge")


@given(st.floats(0.01, 3), st.floats(0.01, 3), st.floats(1e-4, 1 - 1e-4))
def test_no_answer_beats_the_optimal_discriminator(p, q, other):
    def loss(d):
        return -p * np.log(d) - q * np.log(1 - d)

    assert loss(ref.optimal_discriminator(p, q)) <= loss(other) + 1e-12


def test_the_optimal_discriminator_where_nothing_is():
    assert ref.optimal_discriminator([0.0, 1.0, 0.0], [0.0, 0.0, 2.0]).tolist() == [0.5, 1.0, 0.0]


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 3.0, 10.0])
def test_the_games_value_is_the_jensen_shannon_divergence(distance):
    """Goodfellow et al. (2014), theorem 1: the best discriminator's loss is 2 log 2 - 2 JS."""
    p, q = ref.gaussian(GRID, 0, 1), ref.gaussian(GRID, distance, 1)
    best = np.clip(ref.optimal_discriminator(p, q), 1e-300, None)
    other = np.clip(ref.optimal_discriminator(q, p), 1e-300, None)
    loss = -np.sum(p * np.log(best) + q * np.log(other)) * DX
    assert loss == pytest.approx(2 * np.log(2) - 2 * ref.js_divergence(p, q, DX), abs=1e-9)


def test_jensen_shannon_lies_between_zero_and_log_two():
    p = ref.gaussian(GRID, 0, 1)
    values = [ref.js_divergence(p, ref.gaussian(GRID, d, 1), DX) for d in (0, 1, 2, 4, 8, 16)]
    assert values[0] == pytest.approx(0, abs=1e-12)
    assert values == sorted(values)
    assert values[-1] == pytest.approx(np.log(2), abs=1e-9)
    assert ref.js_divergence(p, ref.gaussian(GRID, 2, 3), DX) == pytest.approx(
        ref.js_divergence(ref.gaussian(GRID, 2, 3), p, DX)
    )


def test_the_density_is_that_of_scipy():
    assert ref.gaussian(GRID[::100], 1.5, 0.4) == pytest.approx(norm(1.5, 0.4).pdf(GRID[::100]))


@given(arrays(float, st.integers(1, 12), elements=reals), arrays(float, st.integers(1, 12), elements=reals))
def test_the_wasserstein_distance_is_that_of_scipy(x, y):
    assert ref.wasserstein_1d(x, y) == pytest.approx(wasserstein_distance(x, y), abs=1e-9)


@given(arrays(float, 9, elements=reals), st.floats(-20, 20))
def test_a_shift_moves_every_grain_of_sand_by_its_length(x, shift):
    assert ref.wasserstein_1d(x, x + shift) == pytest.approx(abs(shift), abs=1e-9)


def test_the_slope_penalty_is_taken_per_example():
    slopes = np.array([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
    assert ref.slope_penalty(slopes) == pytest.approx((16 + 0 + 1) / 3)
    assert ref.slope_penalty(slopes.reshape(3, 2, 1)) == ref.slope_penalty(slopes)


def test_modes_need_enough_samples_close_enough():
    centres = ref.ring_centres(modes=4, radius=1.0)
    assert centres == pytest.approx(np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]), abs=1e-12)
    samples = np.concatenate([np.tile(centres[0], (5, 1)), np.tile(centres[1], (2, 1)), [[0.0, 0.0]] * 3])
    assert ref.modes_covered(samples, centres, radius=0.1, minimum=1) == 2
    assert ref.modes_covered(samples, centres, radius=0.1, minimum=3) == 1
    assert ref.modes_covered(samples, centres, radius=1.0, minimum=3) == 4
    assert ref.share_near_modes(samples, centres, radius=0.1) == pytest.approx(0.7)


def test_the_radius_itself_belongs_to_a_mode():
    assert ref.modes_covered([[0.0, 3.0]], [[0.0, 0.0]], radius=3.0, minimum=1) == 1
    assert ref.modes_covered([[0.0, 3.001]], [[0.0, 0.0]], radius=3.0, minimum=1) == 0


def test_first_weights_are_seeded_and_bounded():
    one, again, other = (ref.mlp_weights([3, 50, 2], seed=seed) for seed in (1, 1, 2))
    assert [(w.shape, b.shape) for w, b in one] == [((3, 50), (50,)), ((50, 2), (2,))]
    assert all(
        np.array_equal(a, b) for pair, twin in zip(one, again, strict=True) for a, b in zip(pair, twin, strict=True)
    )
    assert not np.array_equal(one[0][0], other[0][0])
    assert np.abs(one[0][0]).max() <= np.sqrt(6 / 53)
    assert np.abs(one[0][1]).max() <= 1 / np.sqrt(3)
    assert one[0][0].dtype == one[0][1].dtype == np.float32


@pytest.mark.parametrize("sizes", [[], [3], [3, 0], [2, -1, 1]])
def test_sizes_of_a_perceptron_are_checked(sizes):
    with pytest.raises(ValueError, match="give at least an input and an output width"):
        ref.mlp_weights(sizes)
