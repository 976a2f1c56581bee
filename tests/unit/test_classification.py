"""Macro-F1, log loss, reliability and temperature: against scikit-learn, against loops, and by their properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from advrec_teach import classification


def sample(seed, n=50, classes=3):
    rng = np.random.default_rng(seed)
    return 2 * rng.normal(size=(n, classes)), rng.integers(classes, size=n)


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_agrees_with_scikit_learn(seed, classes):
    logits, labels = sample(seed, classes=classes)
    p = classification.softmax(logits)
    guess = p.argmax(1)
    every = list(range(classes))
    assert classification.accuracy(guess, labels) == pytest.approx(sk.accuracy_score(labels, guess))
    np.testing.assert_allclose(
        classification.f1_per_class(guess, labels, classes=classes),
        sk.f1_score(labels, guess, labels=every, average=None, zero_division=0),
    )
    assert classification.macro_f1(guess, labels, classes=classes) == pytest.approx(
        sk.f1_score(labels, guess, labels=every, average="macro", zero_division=0)
    )
    assert classification.log_loss(logits, labels) == pytest.approx(sk.log_loss(labels, p, labels=every))


def test_calibration_by_hand():
    p = np.array([[0.45, 0.55], [0.42, 0.58], [0.05, 0.95], [0.9, 0.1]])
    labels = np.array([1, 0, 1, 1])
    bins = classification.reliability_bins(p, labels)
    assert bins.counts.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 1, 1]
    assert bins.confidence[5] == pytest.approx(0.565) and bins.accuracy[5] == 0.5
    assert np.isnan(bins.accuracy[0]) and bins.accuracy[8] == 0 and bins.accuracy[9] == 1
    assert classification.calibration_error(p, labels) == pytest.approx((2 * 0.065 + 0.9 + 0.05) / 4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 15))
def test_calibration_error_is_a_share_and_one_bin_is_the_whole(seed, bins):
    logits, labels = sample(seed)
    p = classification.softmax(logits)
    assert 0 <= classification.calibration_error(p, labels, bins=bins) <= 1
    whole = abs(p.max(1).mean() - classification.accuracy(p.argmax(1), labels))
    assert classification.calibration_error(p, labels, bins=1) == pytest.approx(whole)
    assert classification.calibration_error(p, labels, bins=bins) >= whole - 1e-12


def test_labels_drawn_from_the_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(100_000, 2))
    p = classification.softmax(logits)
    labels = (rng.random(len(p)) < p[:, 1]).astype(int)
    assert classification.calibration_error(p, labels) < 0.01
    assert classification.fit_temperature(logits, labels) == pytest.approx(1, abs=0.03)
    assert classification.fit_temperature(3 * logits, labels) == pytest.approx(3, abs=0.1)


@given(st.integers(0, 2**32 - 1))
def test_no_other_temperature_has_a_lower_loss(seed):
    logits, labels = sample(seed)
    best = classification.fit_temperature(logits, labels)
    assert 1 / 20 <= best <= 20
    losses = [classification.log_loss(logits / t, labels) for t in (best, *np.geomspace(1 / 20, 20, 41))]
    assert losses[0] <= min(losses) + 1e-9


def test_large_logits_stay_finite():
    logits = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]])
    np.testing.assert_array_equal(classification.softmax(logits), np.eye(2))
    assert classification.log_loss(logits, [1, 1]) == pytest.approx(1000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: classification.softmax([1.0, 2.0]), "table of texts by classes"),
        (lambda: classification.log_loss(np.zeros((2, 2)), [0]), "one whole number for each of the 2 rows"),
        (lambda: classification.log_loss(np.zeros((2, 2)), [0, 2]), "0 to 1"),
        (lambda: classification.macro_f1([0, 1], [0, 2]), "0 to 1"),
        (lambda: classification.accuracy([0, 1], [0]), "at least one"),
        (lambda: classification.accuracy([], []), "at least one"),
        (lambda: classification.calibration_error([[2.0, -1.0]], [0]), "Were logits given"),
        (lambda: classification.reliability_bins([[0.5, 0.5]], [0], bins=0), "at least one bin"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
