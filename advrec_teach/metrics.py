"""Ranking metrics over all items, vectorised: no loop over users, no full sort.

Conventions, the same everywhere:

- ``scores`` is a table ``[n_users, n_items]``, larger is better; ``-inf`` is allowed, NaN raises ValueError.
- ``exclude`` (or ``train``) names the pairs that are no candidates, usually what the user is known to have
  consumed: :class:`~advrec_teach.splits.Interactions` or a boolean table of the same shape.
- A tie counts against the model: among equal scores the items that are not in the test set come first, so
  that a model which gives every item one score earns nothing (:func:`rank_of_target`, :func:`evaluate`).
  Only :func:`top_k`, which knows no test set, puts the smaller item id first.
- Averages run over the users that have something to find.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.splits import Interactions

Exclude = Interactions | NDArray[np.bool_] | None

# Items a group of the first, coarse pass of `_candidates` holds; 8 to 32 are equally fast.
_DEPTH = 16


# --- one target per user -----------------------------------------------------------------------------


def rank_of_target(scores: ArrayLike, targets: ArrayLike, *, exclude: Exclude = None) -> NDArray[np.int64]:
    """Return the position of each user's target item among all candidates.

    The rank is the number of candidates, other than the target, that score at least
    as much as it does; 0 is the best. Counting needs no sort.

    Parameters
    ----------
    scores
        Shape ``[n_users, n_items]``.
    targets
        One item id per user, shape ``[n_users]``; -1 for a user without a target.
    exclude
        Pairs that are no candidates.

    Returns
    -------
    ndarray of int64, shape ``[n_users]``
        0-based ranks, -1 for a user without a target.

    Raises
    ------
    ValueError
        If shapes do not fit, scores hold NaN, or a target is excluded (which means that
        the model is asked about what it was trained on).
    """
    table = _scores(scores)
    wanted = np.asarray(targets)
    n_users, n_items = table.shape
    if wanted.shape != (n_users,) or wanted.dtype.kind not in "iu":
        raise ValueError(f"targets must be {n_users} item ids, one per row of scores.")
    if wanted.size and (wanted.min() < -1 or wanted.max() >= n_items):
        raise ValueError(f"targets must be item ids below {n_items}, or -1 for none.")
    hidden = _exclusion(exclude, table.shape)
    users = np.arange(n_users)
    below = table < table[users, wanted][:, None]
    candidates: NDArray[np.int64] | int = n_items
    if hidden is not None:
        if hidden[users, wanted][wanted >= 0].any():
            raise ValueError(_LEAK)
        np.greater(below, hidden, out=below)  # below and not hidden
        candidates = n_items - _excluded_counts(exclude, hidden)
    ranks = candidates - 1 - _row_counts(below)
    return np.where(wanted >= 0, ranks, -1)


def hit_rate(ranks: ArrayLike, k: int) -> float:
    """Return HR@k: the share of targets among the first ``k``, from :func:`rank_of_target`."""
    found = _ranks(ranks, k)
    return float(np.mean(found < k)) if found.size else float("nan")


def ndcg_single(ranks: ArrayLike, k: int) -> float:
    """Return NDCG@k with one relevant item per user: the mean of 1 / log2(rank + 2), 0 from rank ``k`` on."""
    found = _ranks(ranks, k)
    return float(np.sum(1 / np.log2(found[found < k] + 2)) / found.size) if found.size else float("nan")


def evaluate_single(
    scores: ArrayLike, targets: ArrayLike, *, exclude: Exclude = None, ks: Sequence[int] = (10,)
) -> dict[str, float]:
    """Return HR and NDCG of one held-out item per user, all items ranked.

    Parameters
    ----------
    scores, targets, exclude
        As for :func:`rank_of_target`.
    ks
        Lengths of the list, each at least 1.

    Returns
    -------
    dict
        ``"hr@k"`` and ``"ndcg@k"`` for every k.
    """
    ranks = rank_of_target(scores, targets, exclude=exclude)
    values = {}
    for k in ks:
        values[f"hr@{k}"] = hit_rate(ranks, k)
        values[f"ndcg@{k}"] = ndcg_single(ranks, k)
    return values


# --- one target for all users, as an attacker wants it ------------------------------------------------


def target_ranks(scores: ArrayLike, owned: ArrayLike, target: int, *, n_real: int) -> NDArray[np.int64]:
    """Return the target's place in the list of every real user who does not have it.

    Parameters
    ----------
    scores
        Scores of all accounts or of the real ones alone, real users first, ``[.., n_items]``.
    owned
        What each account has, a boolean table with the same columns; such items are not recommended to it.
    target
        Item id.
    n_real
        Number of real users; all later rows are left out.

    Returns
    -------
    ndarray of int64, shape ``[n_real]``
        0 is the first place; -1 for a user who has the target.
    """
    own = np.asarray(owned, dtype=bool)[:n_real]
    wanted = np.where(own[:, target], -1, target)
    return rank_of_target(np.asarray(scores)[:n_real], wanted, exclude=own)


def target_hit_ratio(scores: ArrayLike, owned: ArrayLike, target: int, *, n_real: int, k: int = 10) -> float:
    """Return the share of real users without the target whose first ``k`` items hold it.

    Parameters
    ----------
    scores, owned, target, n_real
        As for :func:`target_ranks`.
    k
        Length of the list.
    """
    return hit_rate(target_ranks(scores, owned, target, n_real=n_real), k)


# --- a list per user ---------------------------------------------------------------------------------


def top_k(scores: ArrayLike, k: int, *, exclude: Exclude = None) -> NDArray[np.int64]:
    """Return each user's ``k`` best candidates, best first; equal scores by the smaller item id.

    Returns
    -------
    ndarray of int64, shape ``[n_users, k]``
        Item ids; -1 where a user has fewer than ``k`` candidates.

    Raises
    ------
    ValueError
        If ``k`` is below 1, shapes do not fit or scores hold NaN.
    """
    items, _ = _best(_scores(scores), _length(k), exclude, None)
    return items


def precision_per_user(top: ArrayLike, test: Interactions, k: int) -> NDArray[np.float64]:
    """Return precision@k, hits / k, shape ``[n_users]``; NaN for a user without test items."""
    return _precision(_hits(top, test, k), test.activity(), k)


def recall_per_user(top: ArrayLike, test: Interactions, k: int) -> NDArray[np.float64]:
    """Return recall@k, hits / number of test items, shape ``[n_users]``; NaN for a user without any."""
    return _recall(_hits(top, test, k), test.activity(), k)


def ndcg_per_user(top: ArrayLike, test: Interactions, k: int) -> NDArray[np.float64]:
    """Return NDCG@k with binary relevance, shape ``[n_users]``; NaN for a user without test items.

    DCG is the sum of 1 / log2(position + 1) over the hits (positions from 1), and is
    divided by the best that the user's number of test items allows within ``k``
    (Järvelin and Kekäläinen, ACM Transactions on Information Systems 20(4), 2002).
    """
    return _ndcg(_hits(top, test, k), test.activity(), k)


def mrr_per_user(top: ArrayLike, test: Interactions, k: int) -> NDArray[np.float64]:
    """Return 1 / position of the first hit within ``k``, else 0; NaN for a user without test items."""
    return _mrr(_hits(top, test, k), test.activity(), k)


def precision(top: ArrayLike, test: Interactions, k: int) -> float:
    """Return the mean of :func:`precision_per_user` over users with test items."""
    return _mean(precision_per_user(top, test, k))


def recall(top: ArrayLike, test: Interactions, k: int) -> float:
    """Return the mean of :func:`recall_per_user` over users with test items."""
    return _mean(recall_per_user(top, test, k))


def ndcg(top: ArrayLike, test: Interactions, k: int) -> float:
    """Return the mean of :func:`ndcg_per_user` over users with test items."""
    return _mean(ndcg_per_user(top, test, k))


def mrr(top: ArrayLike, test: Interactions, k: int) -> float:
    """Return the mean of :func:`mrr_per_user` over users with test items."""
    return _mean(mrr_per_user(top, test, k))


def evaluate(
    scores: ArrayLike, test: Interactions, *, train: Exclude, ks: Sequence[int] = (5, 10, 20)
) -> dict[str, float]:
    """Return hit rate, precision, recall, NDCG and MRR of the best k, all items ranked.

    Parameters
    ----------
    scores
        Shape ``[n_users, n_items]``.
    test
        What is to be found.
    train
        Pairs that are no candidates; None ranks every item, which is right only if
        the model saw none of them.
    ks
        Lengths of the list, each at least 1.

    Returns
    -------
    dict
        ``"hr@k"``, ``"precision@k"``, ``"recall@k"``, ``"ndcg@k"`` and ``"mrr@k"`` for every
        k, averaged over the users with at least one test item.

    Raises
    ------
    ValueError
        If shapes do not fit, scores hold NaN, or a test pair is excluded.
    """
    table = _scores(scores)
    if table.shape != (test.n_users, test.n_items):
        raise ValueError(f"scores have the shape {table.shape}; the test set has {(test.n_users, test.n_items)}.")
    hidden = _exclusion(train, table.shape)
    if hidden is not None and hidden.ravel()[test.flat()].any():
        raise ValueError(_LEAK)
    _, hits = _best(table, max(map(_length, ks)), train, test.table())
    counts = test.activity()
    values = {}
    for k in ks:
        values[f"hr@{k}"] = _mean(_hit(hits, counts, k))
        values[f"precision@{k}"] = _mean(_precision(hits, counts, k))
        values[f"recall@{k}"] = _mean(_recall(hits, counts, k))
        values[f"ndcg@{k}"] = _mean(_ndcg(hits, counts, k))
        values[f"mrr@{k}"] = _mean(_mrr(hits, counts, k))
    return values


# --- what is recommended, whether right or wrong -----------------------------------------------------


def recommendation_counts(top: ArrayLike, n_items: int) -> NDArray[np.int64]:
    """Return how many lists each item is in, shape ``[n_items]``; entries of -1 are ignored."""
    items = np.asarray(top).ravel()
    return np.bincount(items[items >= 0], minlength=n_items)


def coverage(top: ArrayLike, n_items: int) -> float:
    """Return the share of all items that at least one user is recommended, in [0, 1]."""
    return float(np.mean(recommendation_counts(top, n_items) > 0))


def popularity_bias(top: ArrayLike, popularity: ArrayLike) -> float:
    """Return how much more popular the recommended items are than those that people consumed.

    Parameters
    ----------
    top
        Lists of item ids, shape ``[n_users, k]``.
    popularity
        Training interactions of every item, shape ``[n_items]``.

    Returns
    -------
    float
        The mean popularity of a recommended item over the mean popularity of a
        consumed one, sum(popularity**2) / sum(popularity); 1 is no bias.
    """
    counts = np.asarray(popularity, dtype=np.float64)
    shown = recommendation_counts(top, len(counts))
    return float((shown @ counts / shown.sum()) / (counts @ counts / counts.sum()))


def gini(top: ArrayLike, n_items: int) -> float:
    """Return the Gini coefficient of how often each item is recommended.

    0 if all items are recommended equally often, 1 - 1 / n_items if only one is:
    sum_i (2 i - n - 1) c_i / (n sum(c)) over the counts c in ascending order, i from 1.
    """
    counts = np.sort(recommendation_counts(top, n_items)).astype(np.float64)
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ counts / (n_items * counts.sum()))


# --- the fast parts ----------------------------------------------------------------------------------

_LEAK = "An item to be found is excluded: the model would be evaluated on its training items."


def _best(
    table: NDArray[np.floating], k: int, exclude: Exclude, relevant: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the first k items of every row and whether each is relevant, both [n_users, k].

    Order: score, then irrelevant before relevant, then the smaller id.
    """
    n_users = table.shape[0]
    users, items, values = _candidates(table, k, exclude)
    hit = relevant[users, items] if relevant is not None else np.zeros(len(items), dtype=bool)
    counts = np.bincount(users, minlength=n_users)
    column = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = max(k, int(counts.max(initial=0)))
    if values.dtype == np.float32:
        # One integer holds the whole order, so one plain sort of short rows is enough.
        keys = np.full((n_users, width), np.iinfo(np.uint64).max)
        keys[users, column] = _descending(values) << 32 | hit.astype(np.uint64) << 31 | items.astype(np.uint64)
        keys.sort(axis=1)
        low = keys[:, :k] & 0xFFFFFFFF
        ordered, right = (low & 0x7FFFFFFF).astype(np.int64), (low >> 31).astype(bool)
    else:
        order = np.lexsort((items, hit, -values, users))
        ordered = np.zeros((n_users, width), dtype=np.int64)
        right = np.zeros((n_users, width), dtype=bool)
        ordered[users, column], right[users, column] = items[order], hit[order]
        ordered, right = ordered[:, :k], right[:, :k]
    empty = np.arange(k) >= counts[:, None]
    ordered[empty], right[empty] = -1, False
    return ordered, right


def _candidates(
    table: NDArray[np.floating], k: int, exclude: Exclude
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.floating]]:
    """Return users, items and scores of a few more than the k best of every row, ids ascending.

    Every row is cut into groups of items and each group's best score taken. At least
    k items reach the k-th best of those, so nothing below it can be among the first
    k: one pass over the table and a partition of a table 16 times smaller, instead of
    a partition of the whole. All ties with the k-th item are among the candidates.
    """
    n_users, n_items = table.shape
    groups = min(n_items, max(-(-n_items // _DEPTH), 4 * k))
    depth = -(-n_items // groups)
    lowest = -np.inf
    masked = np.full((n_users, depth * groups), lowest, dtype=table.dtype)
    masked[:, :n_items] = table
    hidden = _exclusion(exclude, table.shape)
    if isinstance(exclude, Interactions):
        masked.ravel()[exclude.users * masked.shape[1] + exclude.items] = lowest
    elif hidden is not None:
        masked[:, :n_items][hidden] = lowest
    best = masked.reshape(n_users, depth, groups).max(axis=1)
    position = max(groups - k, 0)
    floor = np.partition(best, position, axis=1)[:, position]
    users, items = np.divmod(np.flatnonzero(masked >= floor[:, None]), masked.shape[1])
    values = masked[users, items]
    # A floor of -inf lets the padding and the excluded items through.
    real = items < n_items
    if hidden is not None:
        real[real] &= ~hidden[users[real], items[real]]
    return users[real], items[real], values[real]


def _descending(values: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return integers below 2**32 that sort ascending as the floats sort descending."""
    bits = (values + np.float32(0)).view(np.uint32)  # adding zero makes -0.0 equal to 0.0
    return np.where(bits >> 31, bits, ~bits & 0x7FFFFFFF).astype(np.uint64)


def _row_counts(table: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of true entries per row; narrow sums are several times as fast as int64."""
    narrow = np.uint16 if table.shape[1] < 2**16 else np.uint32
    return table.view(np.uint8).sum(axis=1, dtype=narrow).astype(np.int64)


def _excluded_counts(exclude: Exclude, hidden: NDArray[np.bool_]) -> NDArray[np.int64]:
    return exclude.activity() if isinstance(exclude, Interactions) else _row_counts(hidden)


# --- shared pieces -----------------------------------------------------------------------------------


def _precision(hits: NDArray[np.bool_], counts: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    found: NDArray[np.int64] = hits[:, :k].sum(axis=1)
    return _only(found / k, counts)


def _recall(hits: NDArray[np.bool_], counts: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    found: NDArray[np.int64] = hits[:, :k].sum(axis=1)
    return _only(found / np.maximum(counts, 1), counts)


def _hit(hits: NDArray[np.bool_], counts: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    return _only(np.where(hits[:, :k].any(axis=1), 1.0, 0.0), counts)


def _ndcg(hits: NDArray[np.bool_], counts: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    discount = 1 / np.log2(np.arange(k) + 2)
    ideal = np.cumsum(discount)[np.clip(counts, 1, k) - 1]
    return _only(np.matmul(hits[:, :k], discount) / ideal, counts)


def _mrr(hits: NDArray[np.bool_], counts: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    reciprocal = np.where(hits[:, :k], 1 / np.arange(1, k + 1), 0.0)
    return _only(reciprocal.max(axis=1), counts)


def _only(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(counts > 0, values, np.nan)


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean without NaN; NaN if nothing is left."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")


def _hits(top: ArrayLike, test: Interactions, k: int) -> NDArray[np.bool_]:
    """Return which entries of the first k columns of ``top`` are test items, shape [n_users, k]."""
    items = np.asarray(top)
    if items.ndim != 2 or items.shape[0] != test.n_users or items.shape[1] < _length(k):
        raise ValueError(f"top must have {test.n_users} rows of at least {k} item ids; its shape is {items.shape}.")
    first = items[:, :k]
    if first.size and (first.min() < -1 or first.max() >= test.n_items):
        raise ValueError(f"top must hold item ids below {test.n_items}, or -1 for none.")
    return test.table()[np.arange(test.n_users)[:, None], first] & (first >= 0)


def _ranks(ranks: ArrayLike, k: int) -> NDArray[np.int64]:
    _length(k)
    array = np.asarray(ranks)
    return array[array >= 0]


def _length(k: int) -> int:
    if k < 1:
        raise ValueError(f"The length of a list must be at least 1, not {k}.")
    return int(k)


def _scores(scores: ArrayLike) -> NDArray[np.floating]:
    """Return scores as a two-dimensional float32 or float64 table, converted only where nothing is lost."""
    table = np.asarray(scores)
    if table.ndim != 2:
        raise ValueError(f"scores must be a table of users by items; its shape is {table.shape}.")
    if table.dtype not in (np.float32, np.float64):
        table = table.astype(np.float32 if table.dtype == np.float16 else np.float64)
    # The largest value is NaN as soon as one is: cheaper than looking at each.
    if table.size and np.isnan(table.max()):
        raise ValueError("The scores hold NaN: the model diverged. Lower its learning rate.")
    return table


def _exclusion(exclude: Exclude, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    if exclude is None:
        return None
    hidden = exclude.table() if isinstance(exclude, Interactions) else np.asarray(exclude)
    if hidden.shape != shape or hidden.dtype != np.bool_:
        raise ValueError(f"exclude must be a boolean table of the shape {shape}, as the scores.")
    return hidden
