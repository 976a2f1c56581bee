"""Metrics against slow definitions that are right at a glance, and their invariances."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advrec_teach import metrics
from advrec_teach.splits import Interactions

KS = (1, 3, 10)


@st.composite
def worlds(draw, ties=True):
    """Scores, excluded pairs and disjoint test pairs, with many or no equal scores."""
    n_users, n_items = draw(st.integers(1, 5)), draw(st.integers(1, 45))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shape = (n_users, n_items)
    if ties:
        scores = rng.integers(-2, 3, size=shape).astype(dtype)
        scores[rng.random(shape) < draw(st.sampled_from([0.0, 0.2]))] = -np.inf
        scores[(rng.random(shape) < 0.5) & (scores == 0)] = -0.0
    else:
        scores = (rng.permuted(np.arange(n_users * n_items).reshape(shape), axis=1) - 20.0).astype(dtype)
    kind = rng.choice(3, size=shape, p=draw(st.sampled_from([(0.6, 0.2, 0.2), (0.1, 0.8, 0.1), (0.3, 0, 0.7)])))
    return scores, kind == 1, pairs(kind == 2)


def pairs(table):
    users, items = np.nonzero(table)
    return Interactions(users, items, *table.shape)


def ranking(scores, excluded, test):
    """The candidates of one user, best first; among equals those of the test set last, then by id."""
    candidates = [item for item in range(len(scores)) if not excluded[item]]
    return sorted(candidates, key=lambda item: (-scores[item], item in test, item))


def slow_evaluate(scores, excluded, test, k):
    rows = []
    for user in range(len(scores)):
        wanted = {int(item) for item in test.items[test.users == user]}
        if not wanted:
            continue
        hits = [item in wanted for item in ranking(scores[user], excluded[user], wanted)[:k]]
        gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
        reciprocal = next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0)
        rows.append((any(hits), sum(hits) / k, sum(hits) / len(wanted), gain / ideal, reciprocal))
    means = np.mean(rows, axis=0) if rows else [math.nan] * 5
    return dict(zip((f"{name}@{k}" for name in ("hr", "precision", "recall", "ndcg", "mrr")), means, strict=True))


@given(worlds(), st.sampled_from(["interactions", "table"]))
def test_evaluate_equals_its_definition(world, form):
    scores, excluded, test = world
    train = pairs(excluded) if form == "interactions" else excluded
    found = metrics.evaluate(scores, test, train=train, ks=KS)
    expected = {}
    for k in KS:
        expected |= slow_evaluate(scores, excluded, test, k)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name


@given(worlds(), st.integers(1, 60))
def test_top_k_equals_a_full_sort(world, k):
    scores, excluded, _ = world
    found = metrics.top_k(scores, k, exclude=pairs(excluded))
    for user, row in enumerate(found):
        expected = ranking(scores[user], excluded[user], set())[:k]
        assert row.tolist() == expected + [-1] * (k - len(expected))


@given(worlds())
def test_rank_of_target_counts_the_candidates_that_are_not_worse(world):
    scores, excluded, test = world
    targets = np.full(len(scores), -1)
    targets[test.users] = test.items
    found = metrics.rank_of_target(scores, targets, exclude=pairs(excluded))
    for user, target in enumerate(targets):
        expected = -1
        if target >= 0:
            expected = ranking(scores[user], excluded[user], {target}).index(target)
        assert found[user] == expected
    np.testing.assert_array_equal(found, metrics.rank_of_target(scores, targets, exclude=excluded))


@given(worlds(), st.sampled_from(KS))
def test_one_target_is_the_special_case_of_many(world, k):
    scores, excluded, test = world
    last = {int(user): int(item) for user, item in zip(test.users, test.items, strict=True)}
    targets = np.array([last.get(user, -1) for user in range(len(scores))])
    single = Interactions(list(last), list(last.values()), *scores.shape) if last else pairs(excluded & False)
    one = metrics.evaluate_single(scores, targets, exclude=excluded, ks=(k,))
    many = metrics.evaluate(scores, single, train=excluded, ks=(k,))
    assert one.keys() == {f"hr@{k}", f"ndcg@{k}"}
    for name, value in one.items():
        assert many[name] == pytest.approx(value, abs=1e-12, nan_ok=True)


@given(worlds(ties=False), st.sampled_from(KS))
def test_evaluate_agrees_with_the_metrics_of_a_list_when_no_scores_are_equal(world, k):
    scores, excluded, test = world
    found = metrics.evaluate(scores, test, train=excluded, ks=(k,))
    top = metrics.top_k(scores, k, exclude=excluded)
    for name in ("precision", "recall", "ndcg", "mrr"):
        assert getattr(metrics, name)(top, test, k) == pytest.approx(found[f"{name}@{k}"], nan_ok=True)
        per_user = getattr(metrics, f"{name}_per_user")(top, test, k)
        assert per_user.shape == (len(scores),)
        np.testing.assert_array_equal(np.isnan(per_user), test.activity() == 0)


@given(worlds(), st.randoms(use_true_random=False))
def test_renaming_the_items_changes_nothing(world, random):
    scores, excluded, test = world
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    renamed = test.table()[:, order]
    before = metrics.evaluate(scores, test, train=excluded, ks=KS)
    after = metrics.evaluate(scores[:, order], pairs(renamed), train=excluded[:, order], ks=KS)
    assert before == pytest.approx(after, abs=1e-12, nan_ok=True)


@given(worlds(), st.sampled_from([lambda x: 8 * x - 3, np.arctan, lambda x: np.sign(x) * x * x]))
def test_a_monotone_change_of_the_scores_changes_nothing(world, change):
    scores, excluded, test = world
    before = metrics.evaluate(scores, test, train=excluded, ks=KS)
    after = metrics.evaluate(change(scores), test, train=excluded, ks=KS)
    assert before == pytest.approx(after, abs=0, rel=0, nan_ok=True)


@given(worlds())
def test_bounds_and_growth_with_k(world):
    scores, excluded, test = world
    if not len(test):
        return
    found = metrics.evaluate(scores, test, train=excluded, ks=range(1, 51))
    assert all(0 <= value <= 1 + 1e-12 for value in found.values())
    for name in ("hr", "recall", "mrr"):
        series = [found[f"{name}@{k}"] for k in range(1, 51)]
        assert all(late >= early - 1e-12 for early, late in itertools.pairwise(series))
    # At 50 of at most 45 items, everything that is a candidate is found.
    assert found["recall@50"] == pytest.approx(1)
    assert found["hr@50"] == 1


@given(worlds())
def test_the_ideal_scores_reach_one_and_constant_scores_earn_only_what_is_left(world):
    scores, excluded, test = world
    if not len(test):
        return
    ideal = metrics.evaluate(test.table().astype(np.float32), test, train=excluded, ks=KS)
    assert all(ideal[f"{name}@{k}"] == pytest.approx(1) for k in KS for name in ("hr", "ndcg", "mrr"))
    flat = metrics.evaluate(np.zeros_like(scores), test, train=excluded, ks=(1,))
    irrelevant = (~excluded & ~test.table()).sum(axis=1)[test.activity() > 0]
    assert flat["hr@1"] == pytest.approx(np.mean(irrelevant == 0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8])
def test_every_number_type_gives_the_same_ranking(dtype):
    scores = np.random.default_rng(3).permuted(np.tile(np.arange(200), (7, 1)), axis=1)
    expected = np.argsort(-scores, axis=1)[:, :13]
    np.testing.assert_array_equal(metrics.top_k(scores.astype(dtype), 13), expected)
    ranks = metrics.rank_of_target(scores.astype(dtype), expected[:, 4])
    np.testing.assert_array_equal(ranks, np.full(7, 4))


def test_scores_of_all_magnitudes_and_signs_sort_as_numbers():
    row = np.array([0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, np.inf, -np.inf, 1.0, -1.0, 2.0], dtype=np.float32)
    for scores in (row[None], row[None].astype(np.float64)):
        found = metrics.top_k(scores, len(row))[0]
        assert found.tolist() == [6, 4, 10, 8, 2, 0, 1, 3, 9, 5, 7]


def test_more_items_than_16_bits_can_count():
    n_items = 70_001
    scores = np.arange(n_items, dtype=np.float32)[None]
    for target in (0, 1, 69_999, 70_000):
        assert metrics.rank_of_target(scores, np.array([target])).tolist() == [70_000 - target]
    assert metrics.top_k(scores, 3).tolist() == [[70_000, 69_999, 69_998]]


def test_the_size_of_the_course_against_a_full_sort():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((943, 1682), dtype=np.float32)
    train = pairs(rng.random(scores.shape) < 0.06)
    masked = np.where(train.table(), -np.inf, scores)
    np.testing.assert_array_equal(
        metrics.top_k(scores, 20, exclude=train), np.argsort(-masked, axis=1, kind="stable")[:, :20]
    )


def test_the_input_is_left_alone():
    scores = np.arange(12, dtype=np.float32).reshape(2, 6)
    kept = scores.copy()
    train, test = Interactions([0], [5], 2, 6), Interactions([1], [5], 2, 6)
    metrics.evaluate(scores, test, train=train)
    metrics.evaluate_single(scores, np.array([0, 5]), exclude=train)
    np.testing.assert_array_equal(scores, kept)


def test_values_worked_out_by_hand():
    top = np.array([[3, 1, 4, 0], [2, 0, 1, 4]])
    test = Interactions([0, 0, 0, 1], [1, 0, 2, 2], 2, 5)
    assert metrics.precision(top, test, 4) == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert metrics.recall(top, test, 4) == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.mrr(top, test, 4) == pytest.approx((1 / 2 + 1) / 2)
    gain = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert metrics.ndcg(top, test, 4) == pytest.approx((gain / ideal + 1) / 2)
    assert metrics.hit_rate([0, 9, 10, -1], 10) == pytest.approx(2 / 3)
    assert metrics.ndcg_single([0, 2, 10, -1], 10) == pytest.approx((1 + 1 / 2) / 3)


def test_coverage_gini_and_popularity_bias():
    top = np.array([[0, 1], [0, 2], [0, -1]])
    assert metrics.recommendation_counts(top, 4).tolist() == [3, 1, 1, 0]
    assert metrics.coverage(top, 4) == 0.75
    everyone = np.arange(12).reshape(6, 2)
    assert metrics.gini(everyone, 12) == pytest.approx(0)
    assert metrics.gini(np.zeros((6, 1), dtype=int), 12) == pytest.approx(1 - 1 / 12)
    counts = [3, 1, 1, 0]
    differences = sum(abs(a - b) for a in counts for b in counts)
    assert metrics.gini(top, 4) == pytest.approx(differences / (2 * 4 * sum(counts)))
    popularity = [10, 4, 1, 5]
    shown = (10 * 3 + 4 + 1) / 5
    consumed = (100 + 16 + 1 + 25) / 20
    assert metrics.popularity_bias(top, popularity) == pytest.approx(shown / consumed)


def test_popularity_bias_is_one_when_lists_follow_consumption():
    assert metrics.popularity_bias(np.array([[0], [0], [0], [1]]), [3, 1]) == pytest.approx(1)


SCORES = np.arange(12.0).reshape(2, 6)
TEST = Interactions([0, 1], [1, 2], 2, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.evaluate(SCORES, TEST, train=TEST), "evaluated on its training items"),
        (lambda: metrics.rank_of_target(SCORES, [1, 2], exclude=TEST), "evaluated on its training items"),
        (lambda: metrics.evaluate(np.where(SCORES > 3, np.nan, SCORES), TEST, train=None), "NaN"),
        (lambda: metrics.rank_of_target(np.where(SCORES > 3, np.nan, SCORES), [1, 2]), "NaN"),
        (lambda: metrics.top_k(np.full((2, 6), np.nan), 3), "NaN"),
        (lambda: metrics.evaluate(SCORES[:, :5], TEST, train=None), r"\(2, 5\).*\(2, 6\)"),
        (lambda: metrics.evaluate(SCORES, TEST, train=np.zeros((2, 5), bool)), "boolean table"),
        (lambda: metrics.evaluate(SCORES, TEST, train=np.zeros((2, 6))), "boolean table"),
        (lambda: metrics.evaluate(SCORES, TEST, train=None, ks=(0,)), "at least 1, not 0"),
        (lambda: metrics.top_k(SCORES, 0), "at least 1, not 0"),
        (lambda: metrics.top_k(SCORES[0], 1), "table of users by items"),
        (lambda: metrics.rank_of_target(SCORES, [1]), "2 item ids"),
        (lambda: metrics.rank_of_target(SCORES, [1.0, 2.0]), "2 item ids"),
        (lambda: metrics.rank_of_target(SCORES, [1, 6]), "below 6"),
        (lambda: metrics.rank_of_target(SCORES, [1, -2]), "below 6"),
        (lambda: metrics.precision([[0, 1]], TEST, 2), "2 rows of at least 2"),
        (lambda: metrics.precision([[0], [1]], TEST, 2), "2 rows of at least 2"),
        (lambda: metrics.ndcg([[0], [6]], TEST, 1), "below 6"),
        (lambda: metrics.hit_rate([0], 0), "at least 1"),
    ],
)
def test_misuse_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_nobody_to_evaluate_gives_nan():
    empty = Interactions([], [], 2, 6)
    assert all(math.isnan(value) for value in metrics.evaluate(SCORES, empty, train=None).values())
    assert all(math.isnan(value) for value in metrics.evaluate_single(SCORES, [-1, -1]).values())
