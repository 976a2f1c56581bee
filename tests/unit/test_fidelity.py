"""Measures of fidelity, diversity and copying, and the models without a network."""

import numpy as np
import pytest

from advrec_teach import fidelity

ROWS = np.array([[0, 1, 2], [2, 1, 3], [0, 1, 3]])


def random_rows(n=200, length=4, n_items=9, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(n_items)[:length] for _ in range(n)])


def test_counts_are_those_by_hand():
    assert fidelity.popularity(ROWS, 5).tolist() == [2, 3, 2, 2, 0]
    follow = fidelity.transitions(ROWS, 5)
    assert follow.sum() == 6 and follow[0, 1] == 2 and follow[1, 2] == follow[2, 1] == 1 and follow[1, 3] == 2
    together = fidelity.cooccurrences(ROWS, 5)
    assert (together == together.T).all() and together[0, 1] == 2 and together[1, 3] == 2 and together[2, 3] == 1
    assert not together.diagonal().any() and together.sum() == 2 * 9
    assert fidelity.interaction_table(ROWS, 5).tolist() == [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 0, 1, 0]]


def test_divergence_lies_between_equal_and_disjoint():
    assert fidelity.js_divergence([1, 2, 3], [2, 4, 6]) == pytest.approx(0)
    assert fidelity.js_divergence([1, 0], [0, 5]) == pytest.approx(1)
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    m = (p + q) / 2
    by_hand = 0.5 * (0.5 * np.log2(0.5 / m[0])) + 0.5 * (0.25 * np.log2(0.25 / m[0]) + 0.25 * np.log2(0.25 / m[2]))
    assert fidelity.js_divergence(p, q) == pytest.approx(by_hand) == pytest.approx(fidelity.js_divergence(q, p))


def test_divergences_see_what_they_should():
    rows = random_rows(2000)
    turned = rows[:, ::-1]
    same = fidelity.divergences(rows, rows, 9)
    assert list(same) == ["popularity", "transitions", "co-occurrence"] and max(same.values()) == pytest.approx(0)
    chain = (np.arange(9)[:, None] + np.arange(4)) % 9
    order = fidelity.divergences(chain, chain[:, ::-1], 9)
    assert order["transitions"] == pytest.approx(1) and order["co-occurrence"] == pytest.approx(0)
    assert fidelity.divergences(rows, turned, 9)["popularity"] == pytest.approx(0)


@pytest.mark.parametrize(("p", "q"), [([1, 2], [1, 2, 3]), ([1, -1], [1, 1]), ([0, 0], [1, 1]), ([1, 1], [0, 0])])
def test_what_is_no_count_is_refused(p, q):
    with pytest.raises(ValueError, match="counts"):
        fidelity.js_divergence(p, q)


def test_auc_of_a_judge():
    assert fidelity.two_sample_auc([1, 2, -1, 3], [-1, -2]) == pytest.approx((8 - 0.5) / 8)
    assert fidelity.two_sample_auc(np.ones(10), np.ones(3)) == 0.5  # giving all rows one score is a coin's
    scores = np.random.default_rng(0).normal(size=(2, 50))
    assert fidelity.two_sample_auc(*scores) == pytest.approx(1 - fidelity.two_sample_auc(*scores[::-1]))
    assert fidelity.two_sample_auc(*np.exp(scores)) == fidelity.two_sample_auc(*scores)  # no threshold


def test_overlaps_and_copies():
    assert fidelity.mean_overlap(ROWS, 5) == pytest.approx((2 + 2 + 2) / 3)
    assert fidelity.nearest_overlap(ROWS, ROWS[:1], 5).tolist() == [3, 2, 2]
    assert fidelity.copied_runs(ROWS, ROWS[:1], 5, run=2) == pytest.approx(3 / 6)
    assert fidelity.copied_runs(ROWS, ROWS, 5, run=3) == 1
    assert fidelity.copied_runs(ROWS[:, ::-1], ROWS, 5, run=3) == 0
    with pytest.raises(ValueError, match="run is 4"):
        fidelity.copied_runs(ROWS, ROWS, 5, run=4)


def test_the_bigram_model_is_a_distribution_and_knows_its_rows():
    model = fidelity.fit_bigram(ROWS, 5, smoothing=1.0)
    assert model.start.sum() == pytest.approx(1) and model.follow.sum(1) == pytest.approx(np.ones(5))
    assert model.follow[0].argmax() == 1 and not model.follow.diagonal().any()
    assert model.start[0] > model.start[2] > model.start[1] > model.start[4] > 0
    # The probabilities of all rows of two different items add up to 1.
    pairs = np.array([(i, j) for i in range(5) for j in range(5) if i != j])
    assert np.exp(model.log_probabilities(pairs).sum(1)).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="smoothing is 0"):
        fidelity.fit_bigram(ROWS, 5, smoothing=0)


def test_bigram_draws_follow_the_model():
    model = fidelity.fit_bigram(random_rows(), 9)
    rows = fidelity.sample_bigram(model, 20_000, length=3, seed=1)
    assert all(len(set(row)) == 3 for row in rows[:200])
    assert np.bincount(rows[:, 0], minlength=9) / len(rows) == pytest.approx(model.start, abs=0.015)
    after = rows[rows[:, 0] == 4, 1]
    assert np.bincount(after, minlength=9) / len(after) == pytest.approx(model.follow[4], abs=0.04)
    assert (rows == fidelity.sample_bigram(model, 20_000, length=3, seed=1)).all()
    twice = fidelity.sample_bigram(model, 500, length=8, seed=1, unique=False)
    assert any(len(set(row)) < 8 for row in twice)


def test_draws_by_popularity():
    rows = fidelity.sample_popularity([1, 2, 3, 4], 20_000, length=2, seed=0)
    assert np.bincount(rows[:, 0], minlength=4) / len(rows) == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.015)
    assert (rows[:, 0] != rows[:, 1]).all()


@pytest.mark.parametrize("rows", [np.zeros(3, int), np.zeros((2, 2)), np.zeros((0, 2), int), [[0, 5]], [[-1, 0]]])
def test_rows_that_are_none_are_refused(rows):
    with pytest.raises(ValueError, match="rows"):
        fidelity.popularity(rows, 5)
