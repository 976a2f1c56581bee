"""Training data with more users in it: what is added, how long is trained on it, and how a gain is measured.

Framework-free. Rows are what :mod:`advrec_teach.fidelity` describes: tables of item ids [n, length], oldest first.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach import profiles, sequences
from advrec_teach.sequences import check_whole
from advrec_teach.splits import Interactions

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


def full_rows(interactions: Interactions, *, length: int, stride: int | None = None) -> Rows:
    """Return the windows over each user's items that are full: item ids, [n, length], no padding.

    Parameters
    ----------
    interactions
        Pairs in which each user's items stand in the order of time.
    length
        Items in a row, from 2.
    stride
        Distance between the ends of two windows of a user, at most ``length - 1``, which is the default: then two
        neighbouring windows share one item.

    Raises
    ------
    ValueError
        If ``length`` or ``stride`` is out of its range.
    """
    check_whole("length", length, 2)
    rows = sequences.windows(interactions, length=length - 1, stride=stride)
    return rows[rows[:, -1] < interactions.n_items]


def hold_out_last(log: Interactions, n: int) -> tuple[Interactions, Interactions]:
    """Return two parts of a log: all but the last ``n`` items of every user, and these.

    Parameters
    ----------
    log
        Pairs in which each user's items stand in the order of time.
    n
        Items held out for each user. A user with no more than ``n`` keeps all in the first part.

    Raises
    ------
    ValueError
        If ``n`` is not a whole number from 1.
    """
    check_whole("n", n, 1)
    counts = log.activity()
    order = np.argsort(log.users, kind="stable")
    before = np.empty(len(log), np.int64)
    before[order] = np.arange(len(log)) - np.repeat(np.cumsum(counts) - counts, counts)
    own = counts[log.users]
    late = (own > n) & (before >= own - n)
    first, last = (Interactions(log.users[m], log.items[m], log.n_users, log.n_items) for m in (~late, late))
    return first, last


def split_then_invent(
    log: Interactions, invent: Callable[[Rows, int], ArrayLike], n: int, *, held_out: int, length: int
) -> tuple[Interactions, Interactions]:
    """Return training data with ``n`` invented users, and the test data of the real ones.

    Parameters
    ----------
    log
        Real users' pairs, each user's in the order of time.
    invent
        Called with the full rows of the *training* part and ``n``; returns invented rows of item ids, [n, any].
    n
        Number of invented users; they follow the real ones.
    held_out
        Each real user's last items, which are the test.
    length
        Items in the rows that ``invent`` gets.
    """
    train, test = hold_out_last(log, held_out)
    rows = full_rows(train, length=length, stride=max(1, length // 4))
    return profiles.inject(train, invent(rows, n)), test


def schedule(rows: ArrayLike, n: int, *, seed: int = 0) -> Rows:
    """Return exactly ``n`` rows: shuffled passes over all rows, the last one cut short.

    Training on the schedule once takes the same number of steps however many different rows there are.

    Raises
    ------
    ValueError
        If there are no rows, or ``n`` is not a whole number from 1.
    """
    table = np.asarray(rows)
    check_whole("n", n, 1)
    if table.ndim != 2 or not len(table):
        raise ValueError(f"rows have the shape {table.shape}; give a table with at least one row.")
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(table)) for _ in range(-(-n // len(table)))])
    return table[order[:n]].astype(np.int64)


def noisy_rows(rows: ArrayLike, n_items: int, *, share: float, seed: int = 0) -> Rows:
    """Return the rows with about this share of their items replaced by random other ones; no item twice in a row.

    Raises
    ------
    ValueError
        If ``share`` is not in [0, 1], or a row would use more items than there are.
    """
    made = np.array(rows, dtype=np.int64)
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share!r}; give a number from 0 to 1.")
    if 2 * made.shape[1] > n_items:
        raise ValueError(f"rows of {made.shape[1]} items need at least {2 * made.shape[1]} items to choose from.")
    rng = np.random.default_rng(seed)
    keys = rng.random((len(made), n_items))
    np.put_along_axis(keys, made, 2.0, axis=1)  # what is in the row already comes last
    others = np.argsort(keys, axis=1)[:, : made.shape[1]]
    return np.where(rng.random(made.shape) < share, others, made)


def sparsest(train: Interactions, *, share: float = 0.1) -> NDArray[np.int64]:
    """Return the ids of the users with the fewest training items, ``share`` of all users; ties by the smaller id.

    Raises
    ------
    ValueError
        If ``share`` is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share!r}; give a number above 0, at most 1.")
    return np.argsort(train.activity(), kind="stable")[: max(1, round(share * train.n_users))]


def fold_in(item_vectors: ArrayLike, owned: ArrayLike, *, penalty: float) -> Array:
    """Return a vector for every user from fixed item vectors: ridge regression of what the user has.

    The vector p minimises sum_i (r_i - p . q_i)^2 + penalty ||p||^2 over all items i, where r_i is 1 for an item that
    the user has, else 0: p = (Q^T Q + penalty I)^-1 Q^T r. It is a user's step of alternating least squares without
    weights (Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008).

    Parameters
    ----------
    item_vectors
        Q, [n_items, d].
    owned
        Truth values or 0 and 1, [n_users, n_items].
    penalty
        Weight of the vector's squared length, positive.

    Returns
    -------
    ndarray of float64, shape ``[n_users, d]``

    Raises
    ------
    ValueError
        If the penalty is not positive.
    """
    if not penalty > 0:
        raise ValueError(f"penalty is {penalty!r}; give a positive number.")
    q, r = np.asarray(item_vectors, np.float64), np.asarray(owned, np.float64)
    return np.asarray(np.linalg.solve(q.T @ q + penalty * np.eye(q.shape[1]), q.T @ r.T).T, np.float64)


def paired_interval(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of ``first - second`` and the ends of its confidence interval, by Student's t.

    Parameters
    ----------
    first, second
        One value for each repetition, [n], n from 2; place k of both comes from the same repetition.
    level
        Confidence, in (0, 1).

    Returns
    -------
    tuple of float
        Mean, lower end, upper end.

    Raises
    ------
    ValueError
        If the shapes differ, there are fewer than two repetitions, or ``level`` is out of its range.
    """
    from scipy import stats

    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or one.ndim != 1 or len(one) < 2:
        raise ValueError("first and second hold one value for each repetition, at least two.")
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}; give a number between 0 and 1.")
    d = one - other
    half = stats.t.ppf((1 + level) / 2, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)
