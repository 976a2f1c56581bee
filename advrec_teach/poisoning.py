"""Fake accounts: profiles to inject, what they do to a target item, and how a defender looks for them.

Nothing here knows a framework. A *profile* is a row of distinct item ids; ``n`` profiles of one length are an
array ``[n, length]``, most useful fillers first. Profiles made by a gradient or by a generator are in the tracks.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach import metrics
from advrec_teach.baselines import ease_inverse as ease_inverse
from advrec_teach.baselines import ease_weights as ease_weights
from advrec_teach.splits import Interactions

Profiles = NDArray[np.int64]

# --- what the attacker writes ------------------------------------------------------------------------


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


def copied_profiles(
    train: Interactions, n: int, *, length: int, avoid: Sequence[int] | NDArray[np.integer] = (), seed: int = 0
) -> Profiles:
    """Return profiles cut from real users, each from another one: what an attacker could simply copy.

    Parameters
    ----------
    train
        Interactions of the users who are copied.
    n, length, avoid, seed
        As for :func:`draw_profiles`. A user with fewer than ``length`` items is not copied.

    Raises
    ------
    ValueError
        If fewer than ``n`` users have enough items.
    """
    table = train.table().copy()
    table[:, np.asarray(avoid, dtype=np.int64)] = False
    enough = np.flatnonzero(table.sum(axis=1) >= length)
    if len(enough) < n:
        raise ValueError(f"Only {len(enough)} users have {length} items to copy; {n} profiles were asked for.")
    chosen = np.random.default_rng(seed).choice(enough, n, replace=False)
    return draw_profiles(np.where(table[chosen], 0.0, -np.inf), n, length=length, seed=seed)


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


# --- what it does ------------------------------------------------------------------------------------


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
    return metrics.rank_of_target(np.asarray(scores)[:n_real], wanted, exclude=own)


def target_hit_ratio(scores: ArrayLike, owned: ArrayLike, target: int, *, n_real: int, k: int = 10) -> float:
    """Return the share of real users without the target whose first ``k`` items hold it.

    Parameters
    ----------
    scores, owned, target, n_real
        As for :func:`target_ranks`.
    k
        Length of the list.
    """
    return metrics.hit_rate(target_ranks(scores, owned, target, n_real=n_real), k)


# --- EASE, a recommender with a closed form, to be attacked through ----------------------------------


def ease_update(inverse: NDArray[np.floating], rows: ArrayLike) -> NDArray[np.float64]:
    """Return the inverse that :func:`ease_inverse` would find with these users added, without inverting anew.

    Parameters
    ----------
    inverse
        P of the users so far, ``[n_items, n_items]``.
    rows
        The new users' rows F, ``[m, n_items]``.

    Notes
    -----
    Woodbury: P' = P - P F^T (I + F P F^T)^-1 F P, a matrix of rank m.
    """
    added = np.asarray(rows, dtype=np.float64)
    seen = added @ inverse
    return inverse - seen.T @ np.linalg.solve(np.eye(len(added)) + seen @ added.T, seen)


# --- what the defender sees --------------------------------------------------------------------------


def _unit_rows(train: Interactions, dtype: type[np.floating]) -> NDArray[np.floating]:
    """Return every user's row divided by its length, so that products of rows are cosines; no items, a row of zeros."""
    return train.table().astype(dtype) / np.sqrt(np.maximum(train.activity(), 1))[:, None].astype(dtype)


def profile_statistics(train: Interactions, *, neighbours: int = 20) -> dict[str, NDArray[np.float64]]:
    """Return numbers that describe every user's profile, without knowing who is fake.

    Parameters
    ----------
    train
        All interactions, those of fake users among them.
    neighbours
        Nearest other users that a user is compared with.

    Returns
    -------
    dict of ndarray, each of shape ``[n_users]``
        ``"length"``: logarithm of the number of items; ``"popularity"``: mean over the items of the logarithm of
        their number of users; ``"similarity"``: mean cosine to the nearest users (Chirita, Nejdl and Zamfir,
        WIDM 2005, for ratings); ``"concentration"``: the largest, over the user's items, of how alike the
        item's users are (see :func:`audience_likeness`).
    """
    table = train.table().astype(np.float32)
    lengths = np.maximum(train.activity(), 1)
    rows = _unit_rows(train, np.float32)
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -1)
    k = min(neighbours, len(cosine) - 1)
    nearest = np.partition(cosine, -k, axis=1)[:, -k:]
    likeness = audience_likeness(train)
    return {
        "length": np.log(lengths),
        "popularity": table @ np.log(np.maximum(train.popularity(), 1)) / lengths,
        "similarity": nearest.mean(axis=1).astype(np.float64),
        "concentration": np.where(train.table(), likeness, -np.inf).max(axis=1, initial=0.0),
    }


def audience_likeness(train: Interactions, *, smallest: int = 5) -> NDArray[np.float64]:
    """Return how alike the users of each item are, in standard errors above a random group of that size.

    For an item with n users: the mean cosine of two of its users' profiles, less that of any two users, times n
    (a mean over n (n - 1) / 2 pairs varies about as 1 / n). A group that was written by one hand stands out.

    Parameters
    ----------
    train
        All interactions.
    smallest
        Items with fewer users get 0: a handful of people is alike by chance.

    Returns
    -------
    ndarray of float64, shape ``[n_items]``
    """
    table, rows = train.table().astype(np.float32), _unit_rows(train, np.float32)
    # The squared length of a sum of unit vectors is the sum of all their cosines, each with itself included.
    together = np.square(table.T @ rows).sum(axis=1, dtype=np.float64)
    n = train.popularity().astype(np.float64)
    pairs = np.maximum(n * (n - 1), 1)
    everybody = np.square(rows.sum(axis=0, dtype=np.float64)).sum()
    usual = (everybody - len(rows)) / (len(rows) * (len(rows) - 1))
    return np.where(n >= smallest, n * ((together - n) / pairs - usual), 0.0)


def suspicion(values: ArrayLike) -> NDArray[np.float64]:
    """Return how far each account's value lies from the median of all, in robust standard deviations.

    The median and the median absolute deviation (times 1.4826, which makes it the standard deviation of a
    Gaussian) stay put while fewer than half of the accounts are fake, and need no label.

    Parameters
    ----------
    values
        One statistic of every account, shape ``[n_users]``, as from :func:`profile_statistics`.
    """
    statistic = np.asarray(values, dtype=np.float64)
    apart = np.abs(statistic - np.median(statistic))
    return apart / max(1.4826 * float(np.median(apart)), 1e-12)


def pca_suspicion(train: Interactions, *, components: int = 3) -> NDArray[np.float64]:
    """Return how little each user has in common with the main directions of all users.

    Every user's row is centred and scaled to unit variance; users are the variables. A user's share in the first
    principal components, the sum of squared loadings, is small for a profile that follows nobody; its
    negative is the suspicion (Mehta and Nejdl, User Modeling and User-Adapted Interaction 19, 2009).

    Parameters
    ----------
    train
        All interactions, those of fake users among them.
    components
        Number of principal components.

    Returns
    -------
    ndarray of float64, shape ``[n_users]``
    """
    table = train.table().astype(np.float32)
    centred = table - table.mean(axis=1, keepdims=True)
    scaled = centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-12)
    covariance = (scaled @ scaled.T).astype(np.float64) / train.n_items
    from scipy.linalg import eigh

    n = len(covariance)
    _, vectors = eigh(covariance, subset_by_index=[n - components, n - 1])
    return -np.square(vectors).sum(axis=1)


def most_suspicious(suspicion: ArrayLike, share: float) -> NDArray[np.bool_]:
    """Return which users are flagged: the given share of all accounts, the most suspicious ones.

    Raises
    ------
    ValueError
        If ``share`` is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; it is a share of the accounts, 0 to 1.")
    values = np.asarray(suspicion)
    flagged = np.zeros(len(values), dtype=bool)
    flagged[np.argsort(-values, kind="stable")[: round(share * len(values))]] = True
    return flagged


def precision_recall(flagged: ArrayLike, *, n_real: int) -> tuple[float, float]:
    """Return the share of flagged accounts that are fake, and the share of fake accounts that are flagged.

    Only here does the label count: fake are the users from ``n_real`` on.
    """
    marks = np.asarray(flagged, dtype=bool)
    caught = int(marks[n_real:].sum())
    precision = caught / max(1, int(marks.sum()))
    return precision, caught / max(1, len(marks) - n_real)


def likeness_weights(train: Interactions, *, power: float = 8.0) -> NDArray[np.float64]:
    """Return weights that let accounts with nearly the same profile count as one.

    The weight of a user is 1 / (sum over all users v of cos(u, v)^power), the user's own 1 included: 1 for a user
    who is like nobody, 1/m for each of m copies.

    Parameters
    ----------
    train
        All interactions.
    power
        The larger, the more alike two profiles must be to count as one; positive.

    Returns
    -------
    ndarray of float64, shape ``[n_users]``

    Raises
    ------
    ValueError
        If ``power`` is not positive.
    """
    if not power > 0:
        raise ValueError("power must be positive.")
    rows = _unit_rows(train, np.float64)
    return 1 / np.maximum(((rows @ rows.T) ** power).sum(axis=1), 1)


def without_users(train: Interactions, flagged: ArrayLike) -> Interactions:
    """Return the interactions of the users who are not flagged; ids and sizes stay as they are."""
    keep = ~np.asarray(flagged, dtype=bool)[train.users]
    return Interactions(train.users[keep], train.items[keep], train.n_users, train.n_items)
