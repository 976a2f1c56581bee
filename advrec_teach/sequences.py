"""From interactions to sequences: every user's items in the order of time, in rows of equal length.

A row holds item ids, oldest first, and is filled up at its end with the *padding id*, which is ``n_items``: one more
than the largest item id. Padding behind the last item cannot reach a model that reads from left to right, so a row
means the same with more of it.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.splits import Interactions


def last_items(interactions: Interactions, *, length: int) -> NDArray[np.int64]:
    """Return the last items of every user: what a model reads to predict the next one.

    Parameters
    ----------
    interactions
        Pairs in which each user's items stand in the order of time, as in
        :func:`~advrec_teach.splits.leave_one_out`: its ``train`` for the validation items, its ``known`` for the
        test items.
    length
        Number of items kept; the oldest are dropped.

    Returns
    -------
    ndarray of int64, shape ``[n_users, length]``
        Item ids, oldest first, then padding (``n_items``). A user without items has a row of padding.

    Raises
    ------
    ValueError
        If ``length`` is not a whole number from 1.
    """
    check_whole("length", length, 1)
    items, starts, counts = _by_user(interactions)
    kept = np.minimum(counts, length)
    return _rows(items, starts + counts - kept, kept, length, interactions.n_items)


def windows(interactions: Interactions, *, length: int, stride: int | None = None) -> NDArray[np.int64]:
    """Return the rows that a sequential model is trained on: windows over each user's items.

    Each row has one item more than the model reads: the model sees all but the last, and each of them is followed
    by the item to predict. Windows are laid from a user's last item backwards; the first may be shorter.

    Parameters
    ----------
    interactions
        Pairs in which each user's items stand in the order of time, as in
        :func:`~advrec_teach.splits.leave_one_out`.
    length
        Number of items that the model reads.
    stride
        Distance between the ends of two windows of a user. Left out, it is ``length``, and every item but a user's
        first is predicted exactly once.

    Returns
    -------
    ndarray of int64, shape ``[n_windows, length + 1]``
        Item ids, oldest first, then padding (``n_items``); at least two items in each row. Users are in the order
        of their ids, and each one's latest window comes first. A user with fewer than two items has no row.

    Raises
    ------
    ValueError
        If ``length`` or ``stride`` is not a whole number from 1, or ``stride`` is larger than ``length``.
    """
    check_whole("length", length, 1)
    stride = length if stride is None else stride
    check_whole("stride", stride, 1)
    if stride > length:
        raise ValueError(f"stride is {stride} and length {length}: with a stride above the length, items are skipped.")
    items, starts, counts = _by_user(interactions)
    # A window more for every stride that the user's items reach beyond the first window.
    number = np.where(counts < 2, 0, 1 + np.maximum(-(-(counts - length - 1) // stride), 0))
    users = np.repeat(np.arange(interactions.n_users), number)
    place = np.arange(len(users)) - np.repeat(np.cumsum(number) - number, number)
    ends = counts[users] - place * stride
    kept = np.minimum(ends, length + 1)
    return _rows(items, starts[users] + ends - kept, kept, length + 1, interactions.n_items)


def _by_user(interactions: Interactions) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return all items, user by user in their given order, with each user's first place and number of items."""
    counts = interactions.activity()
    order = np.argsort(interactions.users, kind="stable")
    return interactions.items[order], np.cumsum(counts) - counts, counts


def _rows(
    items: NDArray[np.int64], first: NDArray[np.int64], kept: NDArray[np.int64], width: int, padding: int
) -> NDArray[np.int64]:
    """Return rows of ``width`` ids: ``kept`` items each from the place ``first``, then padding."""
    step = np.arange(width)
    real = step < kept[:, None]
    rows = np.full(real.shape, padding, dtype=np.int64)
    rows[real] = items[(first[:, None] + step)[real]]
    return rows


# --- checks that both tracks share


def check_whole(name: str, value: Any, least: int) -> None:
    """Check that a setting is a whole number from ``least``.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} is {value!r}; give a whole number from {least}.")


def check_sequences(sequences: ArrayLike, n_items: int, *, width: int | None = None) -> NDArray[np.int64]:
    """Return sequences as an int64 array after checking that they are what :func:`windows` describes.

    Parameters
    ----------
    sequences
        Shape ``[n, any]``.
    n_items
        Number of items of the model, which is also the padding id.
    width
        Largest number of columns allowed.

    Raises
    ------
    ValueError
        If the array is no table of whole numbers, is too wide, an id is out of range, or padding stands before an
        item.
    """
    rows = np.asarray(sequences)
    if rows.ndim != 2 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"sequences have shape {rows.shape} and type {rows.dtype}; give a table of item ids, one row a sequence."
        )
    if width is not None and rows.shape[1] > width:
        raise ValueError(f"sequences have {rows.shape[1]} columns and the model takes {width}: make them shorter.")
    if rows.size and (rows.min() < 0 or rows.max() > n_items):
        raise ValueError(
            f"sequences hold ids from {rows.min()} to {rows.max()}; "
            f"items go from 0 to {n_items - 1}, and padding is {n_items}."
        )
    real = rows < n_items
    if (real[:, 1:] > real[:, :-1]).any():
        raise ValueError("Padding stands before an item in sequences: fill each row up at its end.")
    return rows.astype(np.int64)
