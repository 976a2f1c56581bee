"""Sequences: what stands in a row, in what order, and what a window predicts."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advrec_teach import sequences
from advrec_teach.splits import Interactions, leave_one_out


def history(counts, n_items=50, seed=0):
    """Return interactions of users with so many items each, and every user's items in their order."""
    rng = np.random.default_rng(seed)
    lists = [rng.permutation(n_items)[:count] for count in counts]
    # Users in disorder, each one's items in order.
    turns = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    left = [iter(items) for items in lists]
    return Interactions(turns, np.array([next(left[u]) for u in turns], int), len(counts), n_items), lists


def items_of(row, n_items=50):
    """Return a row without its padding, which has to stand at the end."""
    real = row < n_items
    assert not (real[1:] & ~real[:-1]).any() and (row[~real] == n_items).all()
    return list(row[real])


def test_last_items_are_the_latest_in_order():
    interactions, lists = history([3, 0, 7, 1, 4])
    rows = sequences.last_items(interactions, length=4)
    assert rows.shape == (5, 4) and rows.dtype == np.int64
    assert [items_of(row) for row in rows] == [list(items[-4:]) for items in lists]


def test_rows_follow_the_split_by_time():
    ratings = pl.DataFrame(
        {
            "user": [0, 0, 0, 0, 0, 1, 1, 1, 1],
            "item": [5, 1, 3, 2, 4, 0, 5, 2, 3],
            "time": [9, 2, 2, 7, 1, 4, 3, 2, 1],
        }
    )
    split = leave_one_out(ratings, 2, 6)
    # User 0 by time: 4, then 1 and 3 in one second, then 2 and 5; user 1: 3, 2, 5, 0.
    np.testing.assert_array_equal(sequences.last_items(split.train, length=4), [[4, 1, 3, 6], [3, 2, 6, 6]])
    np.testing.assert_array_equal(sequences.last_items(split.known, length=3), [[1, 3, 2], [3, 2, 5]])
    np.testing.assert_array_equal(sequences.windows(split.train, length=2), [[4, 1, 3], [3, 2, 6]])
    assert split.validation.tolist() == [2, 5] and split.test.tolist() == [5, 0]


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=6), length=st.integers(1, 12), seed=st.integers(0, 10**6)
)
def test_windows_predict_every_item_but_the_first_once(counts, length, seed):
    interactions, lists = history(counts, seed=seed)
    rows = sequences.windows(interactions, length=length)
    assert rows.shape[1] == length + 1 and rows.dtype == np.int64
    found = [items_of(row) for row in rows]
    # A user's windows, latest first, put together again by the item that two neighbours share.
    expected = []
    for items in lists:
        end = len(items)
        while end > 1:
            expected.append(list(items[max(0, end - length - 1) : end]))
            end -= length
    assert found == expected
    predicted = sorted(item for row in found for item in row[1:])
    assert predicted == sorted(item for items in lists for item in items[1:])


@given(st.integers(2, 40), st.integers(1, 12), st.data())
def test_a_smaller_stride_overlaps_and_skips_nothing(count, length, data):
    stride = data.draw(st.integers(1, length))
    interactions, (items,) = history([count])
    rows = [items_of(row) for row in sequences.windows(interactions, length=length, stride=stride)]
    ends = [count - k * stride for k in range(len(rows))]
    assert rows == [list(items[max(0, end - length - 1) : end]) for end in ends]
    assert rows[-1][0] == items[0] and all(row[0] != items[0] for row in rows[:-1])
    assert {item for row in rows for item in row[1:]} == set(items[1:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "length is 0; give a whole number from 1"),
        ({"length": 2.0}, "length is 2.0; give"),
        ({"length": True}, "length is True; give"),
        ({"length": 5, "stride": 0}, "stride is 0; give"),
        ({"length": 5, "stride": 6}, "stride is 6 and length 5: with a stride above the length, items are skipped"),
    ],
)
def test_mistakes_are_named(settings, message):
    interactions, _ = history([5])
    with pytest.raises(ValueError, match=message):
        sequences.windows(interactions, **settings)
    if "stride" not in settings:
        with pytest.raises(ValueError, match=message):
            sequences.last_items(interactions, **settings)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([1, 2], r"shape \(2,\)"),
        ([[0.5, 1.0]], "type float64"),
        ([[0, 1, 2, 3]], "4 columns and the model takes 3"),
        ([[0, -1, 5]], "ids from -1 to 5; items go from 0 to 4, and padding is 5"),
        ([[0, 6, 5]], "ids from 0 to 6"),
        ([[0, 1, 5], [5, 0, 1]], "Padding stands before an item"),
    ],
)
def test_wrong_sequences_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        sequences.check_sequences(rows, 5, width=3)


def test_right_sequences_pass():
    rows = sequences.check_sequences(np.array([[0, 4, 5], [5, 5, 5]], np.int32), 5, width=3)
    assert rows.dtype == np.int64 and rows.tolist() == [[0, 4, 5], [5, 5, 5]]
    assert sequences.check_sequences(np.zeros((0, 3), int), 5).shape == (0, 3)
