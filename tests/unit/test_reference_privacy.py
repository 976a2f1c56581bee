"""The truth of lesson 06: gradients by difference, clipping, attack scores, and the bound of a promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advrec_teach import accounting
from advrec_teach import reference_privacy as reference
from advrec_teach.errors import CourseError

scores = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


def test_the_gradients_are_those_of_differences():
    rng = np.random.default_rng(0)
    w = {k: v.astype(np.float64) for k, v in reference.set_weights(6, dim=3, seed=1).items()}
    rows = np.stack([rng.choice(6, 4, replace=False) for _ in range(3)])
    found = reference.set_gradients(w, rows)
    for name, values in w.items():
        for place in np.ndindex(values.shape):
            moved = []
            for sign in (1, -1):
                other = {k: v.copy() for k, v in w.items()}
                other[name][place] += sign * 1e-5
                moved.append(-reference.set_log_probabilities(other, rows).mean(1))
            np.testing.assert_allclose(found[name][(slice(None), *place)], (moved[0] - moved[1]) / 2e-5, atol=1e-8)


def test_probabilities_of_the_next_item_sum_to_one_and_leave_out_what_was_there():
    w = reference.set_weights(5, dim=2, seed=0)
    total = sum(np.exp(reference.set_log_probabilities(w, [[1, 3, i]])[0, 2]) for i in (0, 2, 4))
    assert total == pytest.approx(1)
    assert np.exp(reference.set_log_probabilities(w, [[1, 3, 3]])[0, 2]) == 0


@given(st.integers(0, 10**6), st.floats(0.01, 10))
@settings(max_examples=50, deadline=None)
def test_nobody_moves_the_sum_by_more_than_the_clip(seed, clip):
    rng = np.random.default_rng(seed)
    gradients = {"a": 10 * rng.normal(size=(5, 3, 2)), "b": rng.normal(size=(5, 4))}
    silence = {name: np.zeros(g.shape[1:]) for name, g in gradients.items()}
    common = {"clip": clip, "noise_multiplier": 1.0, "batch_size": 1}
    everybody = reference.private_gradient(gradients, silence, **common)
    fewer = reference.private_gradient({k: g[1:] for k, g in gradients.items()}, silence, **common)
    moved = np.sqrt(sum(np.square(everybody[k] - fewer[k]).sum() for k in gradients))
    assert moved <= clip * (1 + 1e-9)
    assert moved == pytest.approx(min(clip, reference.norms(gradients)[0]))


@given(scores, scores, st.floats(0, 0.99))
@settings(deadline=None)
def test_attack_scores_are_what_their_words_say(own, rest, fpr):
    pairs = [(a > b) + (a == b) / 2 for a in own for b in rest]
    assert reference.auc(own, rest) == pytest.approx(np.mean(pairs))
    best = max(
        np.mean(np.array(own) > t) for t in [*rest, max(own + rest)] if np.mean(np.array(rest) > t) <= fpr + 1e-12
    )
    assert reference.tpr_at_fpr(own, rest, fpr=fpr) == pytest.approx(best)


def test_scores_that_cannot_be_used():
    with pytest.raises(ValueError, match="at least one of each"):
        reference.auc([], [1.0])
    with pytest.raises(ValueError, match="numbers"):
        reference.tpr_at_fpr([np.nan], [1.0])
    with pytest.raises(ValueError, match="below 1"):
        reference.tpr_at_fpr([1.0], [1.0], fpr=1.0)


def test_the_bound_of_a_promise():
    assert reference.largest_tpr(epsilon=0.0, delta=0.0, fpr=0.2) == pytest.approx(0.2)
    assert reference.largest_tpr(epsilon=1.0, delta=0.001, fpr=0.01) == pytest.approx(np.e * 0.01 + 0.001)
    assert 0.99 < reference.largest_tpr(epsilon=8.0, delta=0.001, fpr=0.01) <= 1
    # Two normals one standard deviation apart at noise multiplier 2: the best attack stays below the bound.
    from scipy.stats import norm

    pytest.importorskip("dp_accounting")
    epsilon = accounting.epsilon(noise_multiplier=2.0, sample_rate=1.0, steps=1, delta=0.01, method="pld")
    for fpr in (0.01, 0.1, 0.5):
        best = norm.sf(norm.isf(fpr) - 0.5)
        assert best <= reference.largest_tpr(epsilon=epsilon, delta=0.01, fpr=fpr)


SETTINGS = {"noise_multiplier": 1.5, "sample_rate": 0.1, "steps": 50, "delta": 1e-3}


def test_the_account_grows_with_what_is_spent():
    pytest.importorskip("dp_accounting")
    usual = accounting.epsilon(**SETTINGS)
    assert accounting.epsilon(**SETTINGS | {"steps": 100}) > usual
    assert accounting.epsilon(**SETTINGS | {"sample_rate": 0.2}) > usual
    assert accounting.epsilon(**SETTINGS | {"noise_multiplier": 3.0}) < usual
    assert accounting.epsilon(**SETTINGS | {"delta": 1e-5}) > usual
    assert accounting.epsilon(**SETTINGS, method="pld") < usual


def test_one_step_without_drawing_is_the_gaussian_mechanism():
    from scipy.optimize import brentq
    from scipy.stats import norm

    pytest.importorskip("dp_accounting")

    def delta(epsilon, sigma=2.0):
        """Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy", ICML 2018."""
        a, b = 0.5 / sigma, epsilon * sigma
        return norm.cdf(a - b) - np.exp(epsilon) * norm.cdf(-a - b)

    exact = brentq(lambda e: delta(e) - 1e-3, 0.01, 10)
    one = {"noise_multiplier": 2.0, "sample_rate": 1.0, "steps": 1, "delta": 1e-3}
    assert accounting.epsilon(**one, method="pld") == pytest.approx(exact, rel=1e-3)
    assert exact < accounting.epsilon(**one) < 1.5 * exact


def test_the_noise_for_an_epsilon_spends_it():
    pytest.importorskip("dp_accounting")
    common = {"sample_rate": 0.1, "steps": 50, "delta": 1e-3}
    noise = accounting.noise_for(epsilon=2.0, **common)
    assert accounting.epsilon(noise_multiplier=noise, **common) == pytest.approx(2.0, rel=0.01)
    assert accounting.epsilon(noise_multiplier=noise, **common) <= 2.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"noise_multiplier": 0.0}, "no epsilon"),
        ({"sample_rate": 1.5}, "a probability"),
        ({"steps": 0}, "steps"),
        ({"delta": 1.0}, "between 0 and 1"),
        ({"method": "guess"}, "rdp, pld"),
    ],
)
def test_settings_of_the_account_that_cannot_be_used(changed, words):
    with pytest.raises(ValueError, match=words):
        accounting.epsilon(**SETTINGS | changed)


def test_a_missing_library_is_one_line_with_its_command(monkeypatch):
    import importlib

    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    for name, command in (("dp_accounting", "dp-accounting==0.6.0"), ("opacus.optimizers", "opacus==1.6.0")):
        with pytest.raises(CourseError, match=f"pip install --no-deps {command}") as caught:
            accounting.library(name)
        assert "\n" not in str(caught.value)
