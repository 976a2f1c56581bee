"""Fake profiles: what an attacker who has only accounts can write, and how it enters the data.

Nothing here knows a framework. A *profile* is a row of distinct item ids; ``n`` profiles of one length are an
array ``[n, length]``, most useful fillers first. Profiles made by a gradient or by a generator are in the tracks.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.splits import Interactions

Profiles = NDArray[np.int64]


def target_items(train: Interactions, n: int, *, low: int, high: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw target items from a band of popularity, before anything is attacked.

    Parameters
    ----------
    train
        The real users' interactions.
    n
        Number of targets.
    low, high
        Least and largest number of training users of a target, both included.
    seed
        Seed of the draw.

    Returns
    -------
    ndarray of int64, shape ``[n]``
        Item ids, ascending.

    Raises
    ------
    ValueError
        If the band holds fewer than ``n`` items.
    """
    counts = train.popularity()
    band = np.flatnonzero((counts >= low) & (counts <= high))
    if len(band) < n:
        raise ValueError(f"Only {len(band)} items have {low} to {high} users; {n} targets were asked for.")
    return np.sort(np.random.default_rng(seed).choice(band, n, replace=False))


def draw_profiles(
    log_weights: ArrayLike, n: int, *, length: int, avoid: Sequence[int] | NDArray[np.integer] = (), seed: int = 0
) -> Profiles:
    """Draw rows of distinct items, each item with a chance in proportion to its weight.

    The items are those of the largest perturbed weights, log w + Gumbel noise, which is the same as drawing one
    after the other without replacement (Kool, van Hoof and Welling, ICML 2019).

    Parameters
    ----------
    log_weights
        Logarithms of the weights, ``[n_items]`` or a row for each profile, ``[n, n_items]``; -inf for never.
    n
        Number of profiles.
    length
        Items in each.
    avoid
        Items that no profile may hold, such as the target.
    seed
        Seed of the draw.

    Returns
    -------
    ndarray of int64, shape ``[n, length]``
        Item ids in the order drawn.

    Raises
    ------
    ValueError
        If a profile is to hold more items than there are.
    """
    weights = np.asarray(log_weights, dtype=np.float64)
    keys = weights + np.random.default_rng(seed).gumbel(size=(n, weights.shape[-1]))
    keys[:, np.asarray(avoid, dtype=np.int64)] = -np.inf
    possible = int(np.isfinite(keys).sum(axis=1).min(initial=keys.shape[1]))
    if not 1 <= length <= possible:
        raise ValueError(f"A profile holds 1 to {possible} items here, not {length}.")
    return np.argsort(-keys, axis=1, kind="stable")[:, :length].astype(np.int64)


def random_profiles(
    train: Interactions, n: int, *, length: int, avoid: Sequence[int] | NDArray[np.integer] = (), seed: int = 0
) -> Profiles:
    """Return profiles whose items are drawn uniformly from the catalogue: the random attack's fillers.

    Parameters
    ----------
    train
        Interactions, of which only the size of the catalogue is used.
    n, length, avoid, seed
        As for :func:`draw_profiles`.
    """
    return draw_profiles(np.zeros(train.n_items), n, length=length, avoid=avoid, seed=seed)


def average_profiles(
    train: Interactions, n: int, *, length: int, avoid: Sequence[int] | NDArray[np.integer] = (), seed: int = 0
) -> Profiles:
    """Return profiles whose items are drawn by popularity: the average attack, for data without ratings.

    On ratings, the average attack gives every filler its mean rating (Lam and Riedl, WWW 2004). Without ratings
    there is nothing to average; what an item's average still says is how often it is chosen.

    Parameters
    ----------
    train
        Interactions, of which only the items' popularity is used.
    n, length, avoid, seed
        As for :func:`draw_profiles`.
    """
    with np.errstate(divide="ignore"):
        weights = np.log(train.popularity())
    return draw_profiles(weights, n, length=length, avoid=avoid, seed=seed)


def bandwagon_profiles(
    popularity: ArrayLike,
    orders: ArrayLike,
    *,
    length: int,
    popular: int,
    avoid: Sequence[int] | NDArray[np.integer] = (),
) -> Profiles:
    """Return profiles that all hold the most popular items, filled up at random: the bandwagon attack.

    Parameters
    ----------
    popularity
        Number of users of every item, ``[n_items]``. Of equally popular items the smaller id comes first.
    orders
        All item ids in a random order, anew for each profile, ``[n, n_items]``.
    length
        Items in a profile.
    popular
        How many of the most popular items each profile holds; they stand first, the most popular at the front.
        The rest are the first items of the profile's order that it does not hold yet.
    avoid
        Items that no profile may hold, such as the target.

    Returns
    -------
    ndarray of int64, shape ``[n, length]``

    Raises
    ------
    ValueError
        If ``popular`` is negative or larger than ``length``.
    """
    if not 0 <= popular <= length:
        raise ValueError(f"popular is {popular}; of {length} items it can be 0 to {length}.")
    ranking = np.argsort(-np.asarray(popularity), kind="stable")
    head = ranking[~np.isin(ranking, avoid)][:popular]
    taken = np.concatenate([head, np.asarray(avoid, dtype=np.int64)])
    rest = [order[~np.isin(order, taken)][: length - popular] for order in np.asarray(orders)]
    return np.array([np.concatenate([head, fillers]) for fillers in rest], dtype=np.int64)


def segment_profiles(
    popularity: ArrayLike, segment: ArrayLike, n: int, *, length: int, avoid: Sequence[int] | NDArray[np.integer] = ()
) -> Profiles:
    """Return profiles that all hold the most popular items of one segment: the segment attack.

    Whoever knows what kind of item the target is, and which items of that kind are popular, aims at the people who
    like the kind (Mobasher, Burke, Bhaumik and Williams, ACM Transactions on Internet Technology 7, 2007).

    Parameters
    ----------
    popularity
        Number of users of every item, ``[n_items]``. Of equally popular items the smaller id comes first.
    segment
        True where an item is of that kind, ``[n_items]``.
    n
        Number of profiles; all are the same.
    length
        Items in a profile.
    avoid
        Items that no profile may hold, such as the target.

    Returns
    -------
    ndarray of int64, shape ``[n, length]``
        The most popular item first.

    Raises
    ------
    ValueError
        If the segment holds fewer than ``length`` items that may be used.
    """
    usable = np.asarray(segment, dtype=bool).copy()
    usable[np.asarray(avoid, dtype=np.int64)] = False
    ranking = np.argsort(-np.asarray(popularity), kind="stable")
    chosen = ranking[usable[ranking]][:length]
    if len(chosen) < length:
        raise ValueError(f"The segment holds {len(chosen)} usable items; a profile is to hold {length}.")
    return np.tile(chosen, (n, 1)).astype(np.int64)


def blended_profiles(first: ArrayLike, second: ArrayLike, *, keep: int, seed: int = 0) -> Profiles:
    """Return profiles that hold ``keep`` items of one profile and fill up with those of another.

    Parameters
    ----------
    first, second
        Profiles of one length, as many of each, ``[n, length]``.
    keep
        Items kept of ``first``, drawn for each profile anew; the others come from ``second``, in its order.
    seed
        Seed of the draw.

    Raises
    ------
    ValueError
        If the shapes differ or ``keep`` is not between 0 and the length.
    """
    one, other = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    if one.shape != other.shape or not 0 <= keep <= one.shape[1]:
        raise ValueError(f"The profiles have shapes {one.shape} and {other.shape}; keep is {keep}.")
    kept = np.random.default_rng(seed).permuted(one, axis=1)[:, :keep]
    rows = []
    for own, more in zip(kept, other, strict=True):
        # A profile of `length` items has at least length - keep that are not among the kept ones.
        rows.append(np.concatenate([own, more[~np.isin(more, own)][: one.shape[1] - keep]]))
    return np.array(rows, dtype=np.int64).reshape(one.shape)


def with_target(profiles: ArrayLike, target: int) -> Profiles:
    """Return the profiles with the target in place of their last filler, so that the length stays.

    Raises
    ------
    ValueError
        If a profile holds the target already.
    """
    made = np.array(profiles, dtype=np.int64)
    if (made == target).any():
        raise ValueError(f"A profile holds item {target} already; draw profiles with avoid=[{target}].")
    made[:, -1] = target
    return made


def inject(train: Interactions, profiles: ArrayLike) -> Interactions:
    """Return the interactions with the profiles appended as new users, after the real ones.

    Parameters
    ----------
    train
        The real users' interactions, n_users of them; they keep their ids and their order.
    profiles
        Item ids, ``[n, length]``; profile k becomes user ``n_users + k``.

    Raises
    ------
    ValueError
        If the profiles are not a table, hold an unknown item, or hold an item twice.
    """
    rows = np.asarray(profiles)
    if rows.ndim != 2:
        raise ValueError(f"profiles must be a table of item ids, one row a profile; the shape is {rows.shape}.")
    n, length = rows.shape
    users = np.concatenate([train.users, np.repeat(train.n_users + np.arange(n), length)])
    items = np.concatenate([train.items, rows.ravel().astype(np.int64)])
    return Interactions(users, items, train.n_users + n, train.n_items)


def cohort(train: Interactions, item: int, n: int) -> NDArray[np.int64]:
    """Return the ``n`` items that share their audience with ``item`` most (cosine), nearest first."""
    table = train.table().astype(np.float64)
    both = table.T @ table[:, item]
    similarity = both / np.sqrt(np.maximum(train.popularity(), 1) * max(1, train.popularity()[item]))
    similarity[item] = -1
    return np.argsort(-similarity, kind="stable")[:n]
