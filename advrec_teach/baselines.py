"""Recommenders without a gradient, which every neural model has to beat first."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.splits import Interactions


def popularity_scores(train: Interactions) -> NDArray[np.float32]:
    """Score every item by its number of training users, the same for every user.

    Returns
    -------
    ndarray of float32, shape ``[n_users, n_items]``
    """
    return np.repeat(train.popularity().astype(np.float32)[None], train.n_users, axis=0)


def random_scores(train: Interactions, *, seed: int = 0) -> NDArray[np.float32]:
    """Score at random, uniformly in [0, 1): the floor of every metric.

    Returns
    -------
    ndarray of float32, shape ``[n_users, n_items]``
    """
    return np.random.default_rng(seed).random((train.n_users, train.n_items), dtype=np.float32)


def item_knn_scores(train: Interactions, *, neighbours: int = 200, shrink: float = 5.0) -> NDArray[np.float32]:
    """Score an item by its similarity to what the user has: nearest neighbours among items.

    The similarity of items i and j is |users of both| / (sqrt(|users of i| |users of j|) + shrink), the
    cosine of their columns with a shrinkage against chance overlap (Sarwar et al., WWW 2001). Every item
    keeps its nearest neighbours only.

    The defaults were chosen on MovieLens-100K from 5 to 800 neighbours and a shrinkage of 0 to 200: they come
    nearest to both the best NDCG@10 on the validation items of ``leave_one_out`` and the best NDCG@20 on the
    validation part of ``holdout(validation_fraction=0.1)``, within 2 % of each. Test items played no part.

    Parameters
    ----------
    train
        Training interactions.
    neighbours
        Similar items kept for every item, at least 1.
    shrink
        Added to the denominator, not negative.

    Returns
    -------
    ndarray of float32, shape ``[n_users, n_items]``

    Raises
    ------
    ValueError
        If a setting is out of range.
    """
    if neighbours < 1 or shrink < 0:
        raise ValueError("neighbours must be at least 1 and shrink not negative.")
    ratings = train.table().astype(np.float32)
    norms = np.sqrt(train.popularity().astype(np.float32))
    # Items nobody has would divide by zero; their similarity is zero whatever the denominator.
    similarity = ratings.T @ ratings / np.maximum(np.outer(norms, norms) + np.float32(shrink), 1e-6)
    np.fill_diagonal(similarity, 0)
    if neighbours < train.n_items:
        # Row i holds the neighbours of item i. Ties with the last one kept are kept too.
        last = np.partition(similarity, -neighbours, axis=1)[:, -neighbours]
        similarity[similarity < last[:, None]] = 0
    return (ratings @ similarity.T).astype(np.float32, copy=False)


def ease_scores(train: Interactions, *, regularisation: float = 500.0) -> NDArray[np.float32]:
    """Score with EASE, a linear autoencoder whose weights have a closed form.

    B = I - P diag(P)^-1 with P = (X^T X + lambda I)^-1 and a zero diagonal
    (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, section 3.1); scores are X B.

    The default was chosen on MovieLens-100K from 20 to 2000: it has the best NDCG@20 on the validation part of
    ``holdout(validation_fraction=0.1)``, and an NDCG@10 within 2 % of the best on the validation items of
    ``leave_one_out``. Test items played no part.

    Parameters
    ----------
    train
        Training interactions X, ``[n_users, n_items]``.
    regularisation
        lambda, the weight of the squared norm of B; positive.

    Returns
    -------
    ndarray of float32, shape ``[n_users, n_items]``

    Raises
    ------
    ValueError
        If ``regularisation`` is not positive.
    """
    weights = ease_weights(ease_inverse(train, regularisation=regularisation))
    return train.table().astype(np.float32) @ weights


def ease_inverse(
    train: Interactions, *, regularisation: float = 500.0, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return P = (X^T W X + lambda I)^-1, from which EASE's weights follow: B = I - P diag(P)^-1.

    Parameters
    ----------
    train
        Interactions X.
    regularisation
        lambda, positive.
    weights
        How much each user counts, the diagonal of W, not negative; None counts everybody alike.

    Returns
    -------
    ndarray of float64, shape ``[n_items, n_items]``

    Raises
    ------
    ValueError
        If ``regularisation`` is not positive or a weight is negative.

    Notes
    -----
    Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019; the weights are ours.
    """
    if not regularisation > 0:
        raise ValueError("regularisation must be positive.")
    table = train.table().astype(np.float32)
    counted = table
    if weights is not None:
        w = np.asarray(weights, dtype=np.float32)
        if (w < 0).any():
            raise ValueError("A user's weight must not be negative.")
        counted = w[:, None] * table
    # Counts below 2**24 are exact in float32; the inverse is computed in float64.
    gram = (table.T @ counted).astype(np.float64)
    gram[np.diag_indices_from(gram)] += regularisation
    from scipy.linalg import lapack

    factor, _ = lapack.dpotrf(gram, lower=1)
    lower, _ = lapack.dpotri(factor, lower=1)
    return np.tril(lower) + np.tril(lower, -1).T


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


def ease_weights(inverse: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return EASE's item-to-item weights B from :func:`ease_inverse`; scores are X B."""
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)
