"""Fake profiles, and how they enter the data, against hand-made cases."""

import numpy as np
import pytest
from population_support import interactions, users_and_items

from advrec_teach import baselines, metrics, profiles


@pytest.fixture(scope="module")
def train():
    return users_and_items()


MAKERS = (profiles.random_profiles, profiles.average_profiles)


# --- profiles


@pytest.mark.parametrize("maker", MAKERS)
def test_profiles_hold_distinct_items_and_none_to_avoid(train, maker):
    made = maker(train, 9, length=4, avoid=[0, 7], seed=1)
    assert made.shape == (9, 4) and made.dtype == np.int64
    assert all(len(set(row)) == 4 for row in made.tolist())
    assert not np.isin(made, [0, 7]).any()
    np.testing.assert_array_equal(made, maker(train, 9, length=4, avoid=[0, 7], seed=1))
    assert (made != maker(train, 9, length=4, avoid=[0, 7], seed=2)).any()


def test_items_are_drawn_by_their_weights():
    weights = np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    with np.errstate(divide="ignore"):
        made = profiles.draw_profiles(np.log(weights), 40000, length=2, seed=0)
    share = weights / weights.sum()
    np.testing.assert_allclose(np.bincount(made[:, 0], minlength=5) / 40000, share, atol=0.012)
    # The second is drawn from what is left: P(second = 0) = sum over first j of p_j p_0 / (1 - p_j).
    second = sum(share[j] * share[0] / (1 - share[j]) for j in range(1, 4))
    assert np.mean(made[:, 1] == 0) == pytest.approx(second, abs=0.012)
    assert not (made == 4).any()


def test_average_profiles_follow_popularity_and_never_hold_an_item_that_nobody_has(train):
    made = profiles.average_profiles(train, 3000, length=1, seed=0)
    counts = np.bincount(made[:, 0], minlength=25)
    np.testing.assert_allclose(counts / 3000, train.popularity() / len(train), atol=0.03)
    assert counts[3] == 0


def test_a_profile_that_cannot_be_filled_is_refused(train):
    with pytest.raises(ValueError, match="1 to 24 items here, not 25"):
        profiles.random_profiles(train, 2, length=25, avoid=[1])
    with pytest.raises(ValueError, match="not 0"):
        profiles.random_profiles(train, 2, length=0)


def test_bandwagon_by_hand():
    popularity = np.array([5, 9, 9, 1, 7, 0])
    orders = np.array([[2, 3, 0, 5, 1, 4], [5, 4, 3, 2, 1, 0]])
    made = profiles.bandwagon_profiles(popularity, orders, length=4, popular=2, avoid=[4])
    np.testing.assert_array_equal(made, [[1, 2, 3, 0], [1, 2, 5, 3]])
    with pytest.raises(ValueError, match="popular is 5"):
        profiles.bandwagon_profiles(popularity, orders, length=4, popular=5)


def test_a_segment_by_hand():
    popularity = np.array([5, 9, 9, 1, 7, 0])
    segment = np.array([True, False, True, True, True, True])
    made = profiles.segment_profiles(popularity, segment, 2, length=3, avoid=[4])
    np.testing.assert_array_equal(made, [[2, 0, 3], [2, 0, 3]])
    assert segment[4]
    with pytest.raises(ValueError, match="holds 4 usable items; a profile is to hold 5"):
        profiles.segment_profiles(popularity, segment, 2, length=5, avoid=[4])


def test_blending_keeps_what_was_asked_for_and_fills_up_in_order():
    first, second = np.tile(np.arange(6), (30, 1)), np.tile(np.arange(3, 9), (30, 1))
    made = profiles.blended_profiles(first, second, keep=2, seed=0)
    assert made.shape == (30, 6)
    for row in made.tolist():
        assert len(set(row)) == 6
        assert set(row[:2]) <= set(range(6))
        assert row[2:] == [item for item in range(3, 9) if item not in row[:2]][:4]
    assert len({tuple(sorted(row[:2])) for row in made.tolist()}) > 5
    np.testing.assert_array_equal(profiles.blended_profiles(first, second, keep=0), second)
    with pytest.raises(ValueError, match="keep is 7"):
        profiles.blended_profiles(first, second, keep=7)


def test_targets_come_from_the_band(train):
    counts = train.popularity()
    found = profiles.target_items(train, 3, low=5, high=20, seed=0)
    assert ((counts[found] >= 5) & (counts[found] <= 20)).all() and len(set(found)) == 3
    with pytest.raises(ValueError, match="Only 1 items have 0 to 0 users"):
        profiles.target_items(train, 2, low=0, high=0)


def test_the_target_takes_the_last_place_and_injection_appends(train):
    rows = np.array([[1, 2, 4], [5, 6, 7]])
    made = profiles.with_target(rows, 3)
    np.testing.assert_array_equal(made, [[1, 2, 3], [5, 6, 3]])
    np.testing.assert_array_equal(rows[:, 2], [4, 7])
    known = profiles.inject(train, made)
    assert known.n_users == 42 and len(known) == len(train) + 6
    np.testing.assert_array_equal(known.table()[:40], train.table())
    np.testing.assert_array_equal(np.flatnonzero(known.table()[41]), [3, 5, 6])
    with pytest.raises(ValueError, match="holds item 5 already"):
        profiles.with_target(rows, 5)
    with pytest.raises(ValueError, match="more than once"):
        profiles.inject(train, [[1, 1, 2]])
    with pytest.raises(ValueError, match="table of item ids"):
        profiles.inject(train, [1, 2])


def test_the_cohort_shares_the_audience():
    table = np.zeros((8, 5), bool)
    table[:4, [0, 1]] = True
    table[2:6, 2] = True
    table[6:, 3] = True
    np.testing.assert_array_equal(profiles.cohort(interactions(table), 0, 2), [1, 2])


# --- the measure


def test_ranks_and_hits_against_a_loop(train):
    rng = np.random.default_rng(0)
    known = profiles.inject(train, [[3, 4], [3, 5]])
    scores, owned = rng.normal(size=(42, 25)), known.table()
    for target in (3, 11):
        expected = []
        for user in range(40):
            if owned[user, target]:
                expected.append(-1)
                continue
            expected.append(sum(s > scores[user, target] for s in scores[user][~owned[user]]))
        ranks = metrics.target_ranks(scores, owned, target, n_real=40)
        np.testing.assert_array_equal(ranks, expected)
        np.testing.assert_array_equal(metrics.target_ranks(scores[:40], owned, target, n_real=40), expected)
        asked = np.array(expected)[np.array(expected) >= 0]
        assert metrics.target_hit_ratio(scores, owned, target, n_real=40, k=4) == np.mean(asked < 4)


# --- EASE


def test_the_update_equals_a_new_inverse(train):
    inverse = baselines.ease_inverse(train, regularisation=7.0)
    gram = train.table().T.astype(float) @ train.table() + 7 * np.eye(25)
    np.testing.assert_allclose(inverse, np.linalg.inv(gram), atol=1e-10)
    known = profiles.inject(train, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    updated = baselines.ease_update(inverse, known.table()[40:])
    np.testing.assert_allclose(updated, baselines.ease_inverse(known, regularisation=7.0), atol=1e-10)
    np.testing.assert_array_equal(baselines.ease_update(inverse, known.table()[:0]), inverse)
    scores = known.table() @ baselines.ease_weights(updated)
    np.testing.assert_allclose(scores, baselines.ease_scores(known, regularisation=7.0), atol=1e-5)


def test_a_users_weight_counts_as_that_many_users(train):
    weights = np.ones(40)
    weights[5], weights[6] = 3, 0
    table = train.table().astype(float)
    rows = np.concatenate([table[:6], table[[5, 5]], table[7:]])
    expected = np.linalg.inv(rows.T @ rows + 2 * np.eye(25))
    np.testing.assert_allclose(baselines.ease_inverse(train, regularisation=2.0, weights=weights), expected, atol=1e-7)
    with pytest.raises(ValueError, match="must not be negative"):
        baselines.ease_inverse(train, weights=-weights)
    with pytest.raises(ValueError, match="must be positive"):
        baselines.ease_inverse(train, regularisation=0)
