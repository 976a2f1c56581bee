"""Fake profiles, what they do and how they are looked for, against loops and hand-made cases."""

import numpy as np
import pytest

from advrec_teach import baselines, poisoning
from advrec_teach.splits import Interactions


def interactions(table):
    users, items = np.nonzero(table)
    return Interactions(users, items, *table.shape)


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(5)
    table = rng.random((40, 25)) < rng.uniform(0.1, 0.7, size=25)
    table[:, 3] = False  # an item that nobody has
    return interactions(table)


MAKERS = (poisoning.random_profiles, poisoning.average_profiles, poisoning.copied_profiles)


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
        made = poisoning.draw_profiles(np.log(weights), 40000, length=2, seed=0)
    share = weights / weights.sum()
    np.testing.assert_allclose(np.bincount(made[:, 0], minlength=5) / 40000, share, atol=0.012)
    # The second is drawn from what is left: P(second = 0) = sum over first j of p_j p_0 / (1 - p_j).
    second = sum(share[j] * share[0] / (1 - share[j]) for j in range(1, 4))
    assert np.mean(made[:, 1] == 0) == pytest.approx(second, abs=0.012)
    assert not (made == 4).any()


def test_average_profiles_follow_popularity_and_never_hold_an_item_that_nobody_has(train):
    made = poisoning.average_profiles(train, 3000, length=1, seed=0)
    counts = np.bincount(made[:, 0], minlength=25)
    np.testing.assert_allclose(counts / 3000, train.popularity() / len(train), atol=0.03)
    assert counts[3] == 0


def test_copies_are_parts_of_different_users(train):
    table = train.table()
    made = poisoning.copied_profiles(train, 20, length=3, avoid=[0], seed=2)
    for row in made:
        assert table[:, row].all(axis=1).any()
    with pytest.raises(ValueError, match="users have 24 items to copy"):
        poisoning.copied_profiles(train, 20, length=24)


def test_a_profile_that_cannot_be_filled_is_refused(train):
    with pytest.raises(ValueError, match="1 to 24 items here, not 25"):
        poisoning.random_profiles(train, 2, length=25, avoid=[1])
    with pytest.raises(ValueError, match="not 0"):
        poisoning.random_profiles(train, 2, length=0)


def test_bandwagon_by_hand():
    popularity = np.array([5, 9, 9, 1, 7, 0])
    orders = np.array([[2, 3, 0, 5, 1, 4], [5, 4, 3, 2, 1, 0]])
    made = poisoning.bandwagon_profiles(popularity, orders, length=4, popular=2, avoid=[4])
    np.testing.assert_array_equal(made, [[1, 2, 3, 0], [1, 2, 5, 3]])
    with pytest.raises(ValueError, match="popular is 5"):
        poisoning.bandwagon_profiles(popularity, orders, length=4, popular=5)


def test_blending_keeps_what_was_asked_for_and_fills_up_in_order():
    first, second = np.tile(np.arange(6), (30, 1)), np.tile(np.arange(3, 9), (30, 1))
    made = poisoning.blended_profiles(first, second, keep=2, seed=0)
    assert made.shape == (30, 6)
    for row in made.tolist():
        assert len(set(row)) == 6
        assert set(row[:2]) <= set(range(6))
        assert row[2:] == [item for item in range(3, 9) if item not in row[:2]][:4]
    assert len({tuple(sorted(row[:2])) for row in made.tolist()}) > 5
    np.testing.assert_array_equal(poisoning.blended_profiles(first, second, keep=0), second)
    with pytest.raises(ValueError, match="keep is 7"):
        poisoning.blended_profiles(first, second, keep=7)


def test_targets_come_from_the_band(train):
    counts = train.popularity()
    found = poisoning.target_items(train, 3, low=5, high=20, seed=0)
    assert ((counts[found] >= 5) & (counts[found] <= 20)).all() and len(set(found)) == 3
    with pytest.raises(ValueError, match="Only 1 items have 0 to 0 users"):
        poisoning.target_items(train, 2, low=0, high=0)


def test_the_target_takes_the_last_place_and_injection_appends(train):
    profiles = np.array([[1, 2, 4], [5, 6, 7]])
    made = poisoning.with_target(profiles, 3)
    np.testing.assert_array_equal(made, [[1, 2, 3], [5, 6, 3]])
    np.testing.assert_array_equal(profiles[:, 2], [4, 7])
    known = poisoning.inject(train, made)
    assert known.n_users == 42 and len(known) == len(train) + 6
    np.testing.assert_array_equal(known.table()[:40], train.table())
    np.testing.assert_array_equal(np.flatnonzero(known.table()[41]), [3, 5, 6])
    with pytest.raises(ValueError, match="holds item 5 already"):
        poisoning.with_target(profiles, 5)
    with pytest.raises(ValueError, match="more than once"):
        poisoning.inject(train, [[1, 1, 2]])
    with pytest.raises(ValueError, match="table of item ids"):
        poisoning.inject(train, [1, 2])


def test_the_cohort_shares_the_audience():
    table = np.zeros((8, 5), bool)
    table[:4, [0, 1]] = True
    table[2:6, 2] = True
    table[6:, 3] = True
    np.testing.assert_array_equal(poisoning.cohort(interactions(table), 0, 2), [1, 2])


# --- the measure


def test_ranks_and_hits_against_a_loop(train):
    rng = np.random.default_rng(0)
    known = poisoning.inject(train, [[3, 4], [3, 5]])
    scores, owned = rng.normal(size=(42, 25)), known.table()
    for target in (3, 11):
        expected = []
        for user in range(40):
            if owned[user, target]:
                expected.append(-1)
                continue
            expected.append(sum(s > scores[user, target] for s in scores[user][~owned[user]]))
        ranks = poisoning.target_ranks(scores, owned, target, n_real=40)
        np.testing.assert_array_equal(ranks, expected)
        np.testing.assert_array_equal(poisoning.target_ranks(scores[:40], owned, target, n_real=40), expected)
        asked = np.array(expected)[np.array(expected) >= 0]
        assert poisoning.target_hit_ratio(scores, owned, target, n_real=40, k=4) == np.mean(asked < 4)


# --- EASE


def test_the_update_equals_a_new_inverse(train):
    inverse = poisoning.ease_inverse(train, regularisation=7.0)
    gram = train.table().T.astype(float) @ train.table() + 7 * np.eye(25)
    np.testing.assert_allclose(inverse, np.linalg.inv(gram), atol=1e-10)
    known = poisoning.inject(train, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    updated = poisoning.ease_update(inverse, known.table()[40:])
    np.testing.assert_allclose(updated, poisoning.ease_inverse(known, regularisation=7.0), atol=1e-10)
    np.testing.assert_array_equal(poisoning.ease_update(inverse, known.table()[:0]), inverse)
    scores = known.table() @ poisoning.ease_weights(updated)
    np.testing.assert_allclose(scores, baselines.ease_scores(known, regularisation=7.0), atol=1e-5)


def test_a_users_weight_counts_as_that_many_users(train):
    weights = np.ones(40)
    weights[5], weights[6] = 3, 0
    table = train.table().astype(float)
    rows = np.concatenate([table[:6], table[[5, 5]], table[7:]])
    expected = np.linalg.inv(rows.T @ rows + 2 * np.eye(25))
    np.testing.assert_allclose(poisoning.ease_inverse(train, regularisation=2.0, weights=weights), expected, atol=1e-7)
    with pytest.raises(ValueError, match="must not be negative"):
        poisoning.ease_inverse(train, weights=-weights)
    with pytest.raises(ValueError, match="must be positive"):
        poisoning.ease_inverse(train, regularisation=0)


# --- detection


def test_statistics_against_loops(train):
    found = poisoning.profile_statistics(train, neighbours=3)
    table, counts = train.table(), train.popularity()
    for user in (0, 17, 39):
        own = np.flatnonzero(table[user])
        cosines = [(table[user] & table[v]).sum() / np.sqrt(len(own) * table[v].sum()) for v in range(40) if v != user]
        assert found["length"][user] == pytest.approx(np.log(len(own)))
        assert found["popularity"][user] == pytest.approx(np.log(counts[own]).mean(), rel=1e-6)
        assert found["similarity"][user] == pytest.approx(np.mean(sorted(cosines)[-3:]), rel=1e-5)
    likeness = poisoning.audience_likeness(train, smallest=5)
    rows = table / np.sqrt(table.sum(axis=1, keepdims=True))
    cosine = rows @ rows.T
    usual = cosine[~np.eye(40, dtype=bool)].mean()
    for item in range(25):
        who = np.flatnonzero(table[:, item])
        if len(who) < 5:
            assert likeness[item] == 0
            continue
        pairs = cosine[np.ix_(who, who)][~np.eye(len(who), dtype=bool)]
        assert likeness[item] == pytest.approx(len(who) * (pairs.mean() - usual), abs=1e-4)
    assert found["concentration"][0] == pytest.approx(likeness[table[0]].max())


def test_suspicion_is_a_robust_distance():
    values = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    np.testing.assert_allclose(poisoning.suspicion(values), np.abs(values - 3) / 1.4826)
    assert np.isfinite(poisoning.suspicion(np.ones(4))).all()


def test_pca_against_the_whole_decomposition(train):
    table = train.table().astype(float)
    scaled = (table - table.mean(axis=1, keepdims=True)) / table.std(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(scaled @ scaled.T / 25)
    expected = -(vectors[:, -2:] ** 2).sum(axis=1)
    np.testing.assert_allclose(poisoning.pca_suspicion(train, components=2), expected, atol=1e-5)


def test_the_budget_is_kept_and_precision_and_recall_counted():
    flagged = poisoning.most_suspicious([5.0, 1.0, 9.0, 3.0, 7.0], 0.4)
    np.testing.assert_array_equal(flagged, [False, False, True, False, True])
    assert poisoning.precision_recall(flagged, n_real=3) == (0.5, 0.5)
    assert poisoning.precision_recall(flagged, n_real=5) == (0.0, 0.0)
    assert poisoning.precision_recall(np.zeros(4, bool), n_real=2) == (0.0, 0.0)
    with pytest.raises(ValueError, match=r"share is 1\.5"):
        poisoning.most_suspicious([1.0], 1.5)


def test_copies_share_one_vote_and_originals_keep_theirs():
    table = np.zeros((7, 30), bool)
    for user in range(3):
        table[user, 5 * user : 5 * user + 5] = True
    table[3:, 20:25] = True
    np.testing.assert_allclose(poisoning.likeness_weights(interactions(table)), [1, 1, 1, 0.25, 0.25, 0.25, 0.25])
    with pytest.raises(ValueError, match="power must be positive"):
        poisoning.likeness_weights(interactions(table), power=0)


def test_flagged_users_lose_their_interactions_and_keep_their_ids(train):
    flagged = np.arange(40) % 4 == 0
    left = poisoning.without_users(train, flagged)
    assert (left.n_users, left.n_items) == (40, 25)
    np.testing.assert_array_equal(left.table()[~flagged], train.table()[~flagged])
    assert not left.table()[flagged].any()
