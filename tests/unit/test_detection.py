"""How fake accounts are looked for, against loops and hand-made cases."""

import numpy as np
import pytest
from population_support import interactions, users_and_items

from advrec_teach import detection


@pytest.fixture(scope="module")
def train():
    return users_and_items()


def test_statistics_against_loops(train):
    found = detection.profile_statistics(train, neighbours=3)
    table, counts = train.table(), train.popularity()
    for user in (0, 17, 39):
        own = np.flatnonzero(table[user])
        cosines = [(table[user] & table[v]).sum() / np.sqrt(len(own) * table[v].sum()) for v in range(40) if v != user]
        assert found["popularity"][user] == pytest.approx(np.log(counts[own]).mean(), rel=1e-6)
        assert found["similarity"][user] == pytest.approx(np.mean(sorted(cosines)[-3:]), rel=1e-5)


def test_pca_against_the_whole_decomposition(train):
    table = train.table().astype(float)
    scaled = (table - table.mean(axis=1, keepdims=True)) / table.std(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(scaled @ scaled.T / 25)
    expected = -(vectors[:, -2:] ** 2).sum(axis=1)
    np.testing.assert_allclose(detection.pca_suspicion(train, components=2), expected, atol=1e-5)


def test_the_budget_is_kept_and_precision_and_recall_counted():
    flagged = detection.most_suspicious([5.0, 1.0, 9.0, 3.0, 7.0], 0.4)
    np.testing.assert_array_equal(flagged, [False, False, True, False, True])
    assert detection.precision_recall(flagged, n_real=3) == (0.5, 0.5)
    assert detection.precision_recall(flagged, n_real=5) == (0.0, 0.0)
    assert detection.precision_recall(np.zeros(4, bool), n_real=2) == (0.0, 0.0)
    with pytest.raises(ValueError, match=r"share is 1\.5"):
        detection.most_suspicious([1.0], 1.5)


def test_copies_share_one_vote_and_originals_keep_theirs():
    table = np.zeros((7, 30), bool)
    for user in range(3):
        table[user, 5 * user : 5 * user + 5] = True
    table[3:, 20:25] = True
    np.testing.assert_allclose(detection.likeness_weights(interactions(table)), [1, 1, 1, 0.25, 0.25, 0.25, 0.25])
    with pytest.raises(ValueError, match="power must be positive"):
        detection.likeness_weights(interactions(table), power=0)


def test_flagged_users_lose_their_interactions_and_keep_their_ids(train):
    flagged = np.arange(40) % 4 == 0
    left = detection.without_users(train, flagged)
    assert (left.n_users, left.n_items) == (40, 25)
    np.testing.assert_array_equal(left.table()[~flagged], train.table()[~flagged])
    assert not left.table()[flagged].any()
