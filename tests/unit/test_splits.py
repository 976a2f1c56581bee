"""Splits against their definitions, on random ratings."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advrec_teach.splits import Interactions, holdout, leave_one_out


@st.composite
def rating_tables(draw):
    """A frame of distinct (user, item) pairs with few distinct times, in random order."""
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    every = [(user, item) for user in range(n_users) for item in range(n_items)]
    pairs = draw(st.lists(st.sampled_from(every), unique=True, max_size=40))
    times = draw(st.lists(st.integers(0, 5), min_size=len(pairs), max_size=len(pairs)))
    frame = pl.DataFrame(
        {"user": [u for u, _ in pairs], "item": [i for _, i in pairs], "time": times},
        schema={"user": pl.Int32, "item": pl.Int32, "time": pl.Int64},
    )
    return frame, n_users, n_items


def pairs_of(interactions: Interactions) -> list[tuple[int, int]]:
    return sorted(zip(interactions.users.tolist(), interactions.items.tolist(), strict=True))


@given(rating_tables())
def test_leave_one_out_follows_its_definition(table):
    ratings, n_users, n_items = table
    split = leave_one_out(ratings, n_users, n_items)
    kept = []
    for user in range(n_users):
        history = sorted((time, item) for u, item, time in ratings.iter_rows() if u == user)
        items = [item for _, item in history]
        if len(items) < 3:
            assert (split.validation[user], split.test[user]) == (-1, -1)
            kept += [(user, item) for item in items]
        else:
            assert (split.validation[user], split.test[user]) == (items[-2], items[-1])
            kept += [(user, item) for item in items[:-2]]
    assert pairs_of(split.train) == sorted(kept)
    held = [(user, int(item)) for user, item in enumerate(split.validation) if item >= 0]
    assert pairs_of(split.known) == sorted(kept + held)


@given(rating_tables(), st.floats(0, 0.6), st.floats(0, 0.39), st.integers(0, 3))
def test_holdout_parts_are_disjoint_complete_and_of_the_asked_size(table, test_share, validation_share, seed):
    ratings, n_users, n_items = table
    split = holdout(
        ratings, n_users, n_items, test_fraction=test_share, validation_fraction=validation_share, seed=seed
    )
    parts = [pairs_of(part) for part in (split.train, split.validation, split.test)]
    everything = sorted((user, item) for user, item, _ in ratings.iter_rows())
    assert sorted(parts[0] + parts[1] + parts[2]) == everything
    assert len(split.test) == round(test_share * len(everything))
    assert len(split.validation) == round(validation_share * len(everything))
    without = holdout(ratings, n_users, n_items, test_fraction=test_share, seed=seed)
    assert pairs_of(without.test) == parts[2]


def test_holdout_depends_on_the_seed_and_on_nothing_else():
    ratings = pl.DataFrame({"user": np.arange(600) // 30, "item": np.arange(600) % 30})
    first, again, other = (holdout(ratings, 20, 30, seed=seed) for seed in (1, 1, 2))
    assert pairs_of(first.test) == pairs_of(again.test)
    assert pairs_of(first.test) != pairs_of(other.test)


def test_holdout_is_spread_over_users_and_over_the_order_of_the_ratings():
    ratings = pl.DataFrame({"user": np.arange(10_000) // 100, "item": np.arange(10_000) % 100})
    test = holdout(ratings, 100, 100).test
    # 2,000 of 10,000: each half holds 1,000 with a standard deviation of 20.
    assert abs(np.sum(test.users < 50) - 1000) < 100
    assert test.activity().min() > 0


@pytest.mark.parametrize("shares", [(-0.1, 0.0), (0.5, 0.5), (1.0, 0.0), (0.2, -0.1)])
def test_holdout_refuses_impossible_shares(shares):
    ratings = pl.DataFrame({"user": [0], "item": [0]})
    with pytest.raises(ValueError, match="together below 1"):
        holdout(ratings, 1, 1, test_fraction=shares[0], validation_fraction=shares[1])


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match=r"no column 'time'; they have user, item"):
        leave_one_out(pl.DataFrame({"user": [0], "item": [0]}), 1, 1)


@given(rating_tables())
def test_the_forms_of_interactions_agree(table):
    ratings, n_users, n_items = table
    some = Interactions(ratings["user"].to_numpy(), ratings["item"].to_numpy(), n_users, n_items)
    dense = np.zeros((n_users, n_items), dtype=bool)
    for user, item, _ in ratings.iter_rows():
        dense[user, item] = True
    assert len(some) == dense.sum()
    np.testing.assert_array_equal(some.table(), dense)
    np.testing.assert_array_equal(some.matrix().toarray(), dense)
    np.testing.assert_array_equal(np.sort(some.flat()), np.flatnonzero(dense))
    np.testing.assert_array_equal(some.popularity(), dense.sum(axis=0))
    np.testing.assert_array_equal(some.activity(), dense.sum(axis=1))
    assert some.matrix().dtype == bool


def test_interactions_cannot_be_changed_behind_their_back():
    users = np.array([0, 1])
    some = Interactions(users, [1, 0], 2, 2)
    users[0] = 1
    assert some.users.tolist() == [0, 1]
    for array in (some.users, some.items, some.table(), some.flat()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [
        ([0, 0], [1, 1], r"\(user 0, item 1\) occurs more than once"),
        ([0, 2], [0, 0], "users must be at least 0 and below 2; found 0 to 2"),
        ([0, -1], [0, 0], "found -1 to 0"),
        ([0], [3], "items must be at least 0 and below 3"),
        ([0, 1], [0], "differ in length: 2 and 1"),
        ([0.0], [0], "whole numbers"),
        ([[0]], [[0]], "one-dimensional"),
    ],
)
def test_impossible_interactions_are_refused(users, items, message):
    with pytest.raises(ValueError, match=message):
        Interactions(users, items, 2, 3)


def test_union_refuses_a_shared_pair_and_other_sizes():
    some = Interactions([0], [1], 2, 3)
    assert pairs_of(some.union(Interactions([1], [1], 2, 3))) == [(0, 1), (1, 1)]
    with pytest.raises(ValueError, match="more than once"):
        some.union(Interactions([0], [1], 2, 3))
    with pytest.raises(ValueError, match="same users and items"):
        some.union(Interactions([0], [1], 2, 4))
