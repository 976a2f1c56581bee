"""The reference against hand-made values, finite differences and the properties that define each thing."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from advrec_teach import reference

NORMS = ("linf", "l2")
entries = st.floats(-1e3, 1e3, allow_nan=False)
radii = st.just(0.0) | st.floats(1e-6, 100)
arrays = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=5), elements=entries)


def sizes(delta, norm):
    rows = np.abs(delta).reshape(len(delta), -1)
    return np.array([row.max() if norm == "linf" else math.hypot(*row) for row in rows])


# --- losses


@given(hnp.arrays(np.float64, 7, elements=st.floats(-1e4, 1e4)))
def test_logistic_functions_agree_with_scipy(x):
    np.testing.assert_allclose(reference.sigmoid(x), special.expit(x), rtol=1e-12)
    np.testing.assert_allclose(reference.log_sigmoid(x), special.log_expit(x), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(reference.softplus(x), -special.log_expit(-x), rtol=1e-12, atol=1e-300)


def test_logistic_functions_are_exact_far_out():
    with np.errstate(all="raise", under="ignore"):
        assert reference.sigmoid(-1e5) == 0 and reference.sigmoid(1e5) == 1
        assert reference.log_sigmoid(-1e5) == -1e5
        assert reference.softplus(1e5) == 1e5


def test_bpr_loss_by_hand():
    assert reference.bpr_loss([1.0, -2.0], [1.0, -2.0]) == pytest.approx(np.log(2))
    assert reference.bpr_loss([3.0], [1.0]) == pytest.approx(-np.log(1 / (1 + np.exp(-2.0))))
    assert reference.bpr_loss([0.0], [800.0]) == 800.0


def test_bpr_gradients_match_finite_differences():
    rng = np.random.default_rng(0)
    vectors = [rng.normal(size=(5, 3)) for _ in range(3)]
    loss, *gradients = reference.bpr_gradients(*vectors)
    p, qi, qj = vectors
    assert loss == pytest.approx(reference.bpr_loss((p * qi).sum(1), (p * qj).sum(1)))
    h = 1e-6
    for which, gradient in enumerate(gradients):
        for place in np.ndindex(5, 3):
            moved = [v.copy() for v in vectors]
            moved[which][place] += h
            up = reference.bpr_gradients(*moved)[0]
            moved[which][place] -= 2 * h
            down = reference.bpr_gradients(*moved)[0]
            assert gradient[place] == pytest.approx((up - down) / (2 * h), abs=1e-9)


# --- perturbations


def test_steps_by_hand():
    gradient = np.array([[3.0, -4.0], [0.0, 0.0], [0.0, 5.0]])
    np.testing.assert_array_equal(reference.fgsm_delta(gradient, eps=0.5), [[0.5, -0.5], [0, 0], [0, 0.5]])
    np.testing.assert_allclose(reference.fgm_delta(gradient, eps=0.5), [[0.3, -0.4], [0, 0], [0, 0.5]])


def test_length_is_taken_over_all_axes_but_the_first():
    gradient = np.array([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 2.0]]])
    np.testing.assert_allclose(reference.fgm_delta(gradient, eps=1), [[[0.5] * 2] * 2, [[0, 0], [0, 1]]])
    np.testing.assert_allclose(reference.fgm_delta([3.0, -0.1], eps=2.0), [2.0, -2.0])


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200])
def test_length_survives_very_small_and_very_large_entries(scale):
    np.testing.assert_allclose(reference.fgm_delta(np.array([[3.0, 4.0]]) * scale, eps=1), [[0.6, 0.8]])
    far = reference.project(np.array([[3.0, 4.0]]) * scale, eps=scale, norm="l2")
    np.testing.assert_allclose(far, np.array([[0.6, 0.8]]) * scale)


@given(arrays, radii)
def test_attack_and_noise_have_the_same_size(gradient, eps):
    moved = sizes(gradient, "l2") > 0
    length = sizes(reference.fgm_delta(gradient, eps=eps), "l2")
    np.testing.assert_allclose(length, np.where(moved, eps, 0), rtol=1e-12)
    signed = reference.fgsm_delta(gradient, eps=eps)
    np.testing.assert_array_equal(np.abs(signed), np.where(gradient == 0, 0, eps))
    np.testing.assert_array_equal(reference.noise(gradient, eps=eps, norm="linf"), signed)
    np.testing.assert_array_equal(reference.noise(gradient, eps=eps, norm="l2"), reference.fgm_delta(gradient, eps=eps))


@pytest.mark.parametrize("norm", NORMS)
@given(delta=arrays, eps=radii)
def test_projection_lands_in_the_ball_and_stays(norm, delta, eps):
    inside = reference.project(delta, eps=eps, norm=norm)
    assert np.all(sizes(inside, norm) <= eps * (1 + 1e-12))
    np.testing.assert_allclose(reference.project(inside, eps=eps, norm=norm), inside, rtol=1e-12)
    kept = sizes(delta, norm) <= eps
    np.testing.assert_array_equal(inside[kept], delta[kept])
    if eps == 0:
        np.testing.assert_array_equal(inside, 0)


@pytest.mark.parametrize("norm", NORMS)
@given(delta=arrays, eps=st.floats(0.01, 10), seed=st.integers(0, 2**32 - 1))
def test_projection_is_the_nearest_point(norm, delta, eps, seed):
    nearest = reference.project(delta, eps=eps, norm=norm)
    other = reference.project(np.random.default_rng(seed).normal(0, eps, delta.shape), eps=eps, norm=norm)
    # A point is nearest in a convex set if and only if no way into the set leads back towards delta.
    inner = ((delta - nearest) * (other - nearest)).reshape(len(delta), -1).sum(axis=1)
    assert np.all(inner <= 1e-9 * (1 + np.abs(delta).max()))


@pytest.mark.parametrize("norm", NORMS)
def test_iterated_ascent_of_a_linear_loss_ends_on_the_border(norm):
    slope = np.array([[1.0, -2.0, 2.0], [0.0, 3.0, -4.0]])
    x = np.ones((2, 3))
    delta = reference.pgd_delta(lambda _: slope, x, eps=1.0, step=0.3, steps=7, norm=norm)
    np.testing.assert_allclose(delta, reference.noise(slope, eps=1.0, norm=norm))
    one = reference.pgd_delta(lambda _: slope, x, eps=1.0, step=1.0, steps=1, norm=norm)
    np.testing.assert_allclose(one, reference.noise(slope, eps=1.0, norm=norm))
    none = reference.pgd_delta(lambda _: slope, x, eps=1.0, step=1.0, steps=0, norm=norm, start=9 * x)
    np.testing.assert_allclose(none, reference.project(9 * x, eps=1.0, norm=norm))


@pytest.mark.parametrize("norm", NORMS)
def test_empty_batch_gives_an_empty_delta(norm):
    assert reference.project(np.zeros((0, 3)), eps=1, norm=norm).shape == (0, 3)
    assert reference.noise(np.zeros((0, 3)), eps=1, norm=norm).shape == (0, 3)


# --- refusals


@pytest.mark.parametrize("eps", [-1e-9, -1.0, np.nan, np.inf])
def test_a_radius_that_is_no_radius_is_refused(eps):
    for call in (
        lambda: reference.fgsm_delta([1.0], eps=eps),
        lambda: reference.fgm_delta([1.0], eps=eps),
        lambda: reference.project([1.0], eps=eps, norm="l2"),
        lambda: reference.noise([1.0], eps=eps, norm="linf"),
    ):
        with pytest.raises(ValueError, match=r"eps is .*not negative"):
            call()


def test_an_unknown_norm_is_refused_by_name():
    with pytest.raises(ValueError, match="norm is 'L2'; choose \"linf\""):
        reference.project([1.0], eps=1, norm="L2")
    with pytest.raises(ValueError, match="norm is 2"):
        reference.noise([1.0], eps=1, norm=2)


@pytest.mark.parametrize(("step", "steps", "word"), [(-1, 1, "step is"), (1, -1, "steps is"), (1, 1.5, "steps is")])
def test_steps_that_are_no_steps_are_refused(step, steps, word):
    with pytest.raises(ValueError, match=word):
        reference.pgd_delta(lambda x: x, [1.0], eps=1, step=step, steps=steps, norm="l2")


def test_a_single_number_has_no_examples():
    with pytest.raises(ValueError, match="first axis"):
        reference.fgm_delta(1.0, eps=1.0)


def fit_settings(**changes):
    table = np.eye(3, dtype=bool)
    train = SimpleNamespace(users=np.arange(3), items=np.arange(3), table=lambda: table)
    good = {"epochs": 1, "learning_rate": 0.1, "regularisation": 0.0, "batch_size": 8, "optimizer": "adam"}
    return {**good, "precision": None, "train": train, **changes}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", -1),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", np.nan),
        ("regularisation", -0.1),
        ("optimizer", "Adam"),
        ("precision", "float16"),
    ],
)
def test_a_bad_training_setting_is_refused_by_name(name, value):
    reference.check_fit(**fit_settings())
    with pytest.raises(ValueError, match=f"^{name} is "):
        reference.check_fit(**fit_settings(**{name: value}))


def test_training_needs_interactions_and_something_to_draw():
    empty = SimpleNamespace(users=np.zeros(0, int), items=np.zeros(0, int), table=lambda: np.zeros((1, 1), bool))
    with pytest.raises(ValueError, match="no interaction"):
        reference.check_fit(**fit_settings(train=empty))
    full = np.array([[True, False], [True, True]])
    train = SimpleNamespace(users=np.array([0, 1, 1]), items=np.array([0, 0, 1]), table=lambda: full)
    with pytest.raises(ValueError, match="User 1 has every item"):
        reference.check_fit(**fit_settings(train=train))
