"""How a defender looks for fake accounts, and what he does with what he finds.

Nothing here knows a framework, and nothing but :func:`precision_recall` knows who is fake.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.splits import Interactions


def _unit_rows(table: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return every row of zeros and ones divided by its length: products are cosines. A row of zeros stays."""
    return table / np.sqrt(np.maximum(table.sum(axis=1, keepdims=True), 1))


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
        ``"popularity"``: mean over the items of the logarithm of their number of users; ``"similarity"``: mean
        cosine to the nearest users (Chirita, Nejdl and Zamfir, WIDM 2005, for ratings).
    """
    table = train.table().astype(np.float32)
    lengths = np.maximum(train.activity(), 1)
    rows = _unit_rows(table)
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -1)
    k = min(neighbours, len(cosine) - 1)
    nearest = np.partition(cosine, -k, axis=1)[:, -k:]
    return {
        "popularity": table @ np.log(np.maximum(train.popularity(), 1)) / lengths,
        "similarity": nearest.mean(axis=1).astype(np.float64),
    }


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
    from scipy.linalg import eigh

    table = train.table().astype(np.float32)
    centred = table - table.mean(axis=1, keepdims=True)
    scaled = centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-12)
    covariance = (scaled @ scaled.T).astype(np.float64) / train.n_items
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


def without_users(train: Interactions, flagged: ArrayLike) -> Interactions:
    """Return the interactions of the users who are not flagged; ids and sizes stay as they are."""
    keep = ~np.asarray(flagged, dtype=bool)[train.users]
    return Interactions(train.users[keep], train.items[keep], train.n_users, train.n_items)


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
    rows = _unit_rows(train.table().astype(np.float64))
    return 1 / np.maximum(((rows @ rows.T) ** power).sum(axis=1), 1)
