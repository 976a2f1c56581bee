"""Baselines against loops and optimality conditions."""

import numpy as np
import pytest

from advrec_teach import baselines, data, metrics, splits
from advrec_teach.splits import Interactions


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(5)
    table = rng.random((30, 17)) < rng.uniform(0.05, 0.6, size=17)
    table[:, 4] = False  # an item that nobody has
    users, items = np.nonzero(table)
    return Interactions(users, items, *table.shape)


def test_every_baseline_scores_all_pairs_in_float32(train):
    for function in (
        baselines.popularity_scores,
        baselines.random_scores,
        baselines.item_knn_scores,
        baselines.ease_scores,
    ):
        scores = function(train)
        assert scores.shape == (30, 17)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()


def test_popularity_is_the_same_count_for_everyone(train):
    np.testing.assert_array_equal(baselines.popularity_scores(train), np.tile(train.table().sum(axis=0), (30, 1)))


def test_random_scores_follow_the_seed(train):
    one, same, other = (baselines.random_scores(train, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.mean(one == other) < 0.01
    assert one.min() >= 0
    assert one.max() < 1


@pytest.mark.parametrize(("neighbours", "shrink"), [(3, 0.0), (3, 7.5), (100, 2.0)])
def test_item_knn_equals_its_definition(train, neighbours, shrink):
    table = train.table()
    expected = np.zeros(table.shape)
    for i in range(17):
        similar = np.zeros(17)
        for j in range(17):
            both = np.sum(table[:, i] & table[:, j])
            if i != j and both:
                similar[j] = both / (np.sqrt(table[:, i].sum() * table[:, j].sum()) + shrink)
        kept = similar >= np.sort(similar)[-min(neighbours, 17)]
        expected[:, i] = table @ np.where(kept, similar, 0)
    found = baselines.item_knn_scores(train, neighbours=neighbours, shrink=shrink)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("regularisation", [0.5, 20.0, 500.0])
def test_ease_solves_its_constrained_problem(train, regularisation):
    """Off the diagonal the gradient of |X - XB|^2 + lambda |B|^2 vanishes; on it B is zero."""
    table = train.table().astype(np.float64)
    scores = baselines.ease_scores(train, regularisation=regularisation).astype(np.float64)
    # More users than items and full column rank but for the empty item, so scores = X B determines B.
    filled = np.flatnonzero(train.popularity())
    weights = np.linalg.lstsq(table[:, filled], scores, rcond=None)[0]
    full = np.zeros((17, 17))
    full[filled] = weights
    gradient = table.T @ (scores - table) + regularisation * full
    np.fill_diagonal(gradient, 0)
    assert np.abs(gradient).max() < 1e-4 * max(regularisation, 1)
    assert np.abs(np.diag(full)).max() < 1e-5
    assert np.abs(full).max() > 1e-3


@pytest.mark.parametrize(
    "call",
    [
        lambda train: baselines.item_knn_scores(train, neighbours=0),
        lambda train: baselines.item_knn_scores(train, shrink=-1),
        lambda train: baselines.ease_scores(train, regularisation=0),
        lambda train: baselines.ease_scores(train, regularisation=float("nan")),
    ],
)
def test_settings_out_of_range_are_refused(train, call):
    with pytest.raises(ValueError, match="must be"):
        call(train)


def test_what_knows_more_ranks_better_on_the_synthetic_ratings():
    films = data.movielens("synthetic")
    split = splits.holdout(films.ratings, films.n_users, films.n_items)
    found = [
        metrics.evaluate(function(split.train), split.test, train=split.train, ks=(10,))["ndcg@10"]
        for function in (baselines.random_scores, baselines.popularity_scores, baselines.ease_scores)
    ]
    assert found[0] < 0.7 * found[1] < 0.7 * 0.9 * found[2]
