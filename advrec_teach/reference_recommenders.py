"""The truth about two recommenders that are trained as games, CFGAN and IRGAN, in NumPy float64.

Both tracks are tested against these functions, and exercises are judged by them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.reference import check_count, sigmoid
from advrec_teach.reference_behaviour import log_softmax, softmax

Array = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]
Named = Mapping[str, ArrayLike]

# --- first weights


def generator_weights(n: int, *, hidden: int, seed: int) -> Weights:
    """Return the first weights of CFGAN's generator, rows of ``n`` entries to ``hidden`` neurons and back.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1.
    """
    check_count("n", n)
    return _layers_of(n, hidden, n, seed)


def discriminator_weights(n: int, *, hidden: int, seed: int) -> Weights:
    """Return the first weights of CFGAN's discriminator, which reads a row and its condition, ``2 n`` entries.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1.
    """
    check_count("n", n)
    return _layers_of(2 * n, hidden, 1, seed)


def _layers_of(inputs: int, hidden: int, outputs: int, seed: int) -> Weights:
    check_count("hidden", hidden)
    rng = np.random.default_rng(seed)
    return {
        "inner": _uniform(rng, (inputs, hidden)),
        "inner_bias": np.zeros(hidden, np.float32),
        "outer": _uniform(rng, (hidden, outputs)),
        "outer_bias": np.zeros(outputs, np.float32),
    }


def _uniform(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return Glorot's uniform weights: within sqrt(6 / (inputs + outputs)) of 0."""
    edge = np.sqrt(6 / sum(shape))
    return rng.uniform(-edge, edge, shape).astype(np.float32)


# --- CFGAN


def generate(w: Named, rows: ArrayLike) -> Array:
    """Return the generator's row for each row: sigmoid neurons inside, numbers without bounds outside."""
    return _layers(w, np.asarray(rows, dtype=np.float64))


def judge(w: Named, rows: ArrayLike, condition: ArrayLike) -> Array:
    """Return the discriminator's logits, shape [n_rows], for rows beside the rows that they were made for."""
    both = np.concatenate((np.asarray(rows, np.float64), np.asarray(condition, np.float64)), axis=1)
    return _layers(w, both)[:, 0]


def _layers(w: Named, x: Array) -> Array:
    v = {name: np.asarray(values, np.float64) for name, values in w.items()}
    return sigmoid(x @ v["inner"] + v["inner_bias"]) @ v["outer"] + v["outer_bias"]


def masked(made: ArrayLike, rows: ArrayLike, chosen: ArrayLike) -> Array:
    """Return what the discriminator sees of a made row: the entries that are 1 in ``rows`` or in ``chosen``.

    Parameters
    ----------
    made
        Rows from the generator, shape [n_rows, n].
    rows
        The real rows, 0 and 1, of the same shape.
    chosen
        Entries of partial masking, 0 and 1, of the same shape: zeros of ``rows`` that are shown all the same.

    Notes
    -----
    Chae et al. (2018): r_hat * (e_u + k_u).
    """
    return np.asarray(made, np.float64) * np.maximum(np.asarray(rows, np.float64), np.asarray(chosen, np.float64))


def zero_reconstruction(made: ArrayLike, chosen: ArrayLike) -> float:
    """Return the mean over rows of the sum of squares of the chosen entries (Chae et al., 2018, equation of ZR)."""
    return float(np.mean(np.sum(np.asarray(made, np.float64) ** 2 * np.asarray(chosen, np.float64), axis=1)))


def reconstruction(made: ArrayLike, rows: ArrayLike) -> float:
    """Return the mean over rows of the sum of (1 - entry)^2 over the entries that are 1 in ``rows``."""
    return float(np.mean(np.sum((1 - np.asarray(made, np.float64)) ** 2 * np.asarray(rows, np.float64), axis=1)))


# --- IRGAN


def mixture(logits: ArrayLike, table: ArrayLike, *, share: float) -> Array:
    """Return from what IRGAN's generator draws: (1 - share) softmax(logits) + share, spread over a user's items.

    Parameters
    ----------
    logits
        The generator's scores, shape [n_users, n_items].
    table
        The training items, 0 and 1, of the same shape. A user without any draws from the softmax alone.
    share
        Weight of the training items, from 0 to 1.
    """
    known = np.asarray(table, np.float64)
    count = known.sum(axis=1, keepdims=True)
    weight = np.where(count > 0, share, 0.0)
    return (1 - weight) * softmax(logits) + weight * known / np.maximum(count, 1)


def draw(probabilities: ArrayLike, uniform: ArrayLike) -> NDArray[np.int64]:
    """Return for each uniform number the first item at which the running sum of its row exceeds it.

    probabilities: [n_users, n_items].  uniform: [n_users, n_draws], in [0, 1).
    """
    total = np.cumsum(np.asarray(probabilities, np.float64), axis=1)
    found = [np.searchsorted(t, u * t[-1], side="right") for t, u in zip(total, np.asarray(uniform), strict=True)]
    return np.minimum(np.stack(found), total.shape[1] - 1)


def policy_loss(logits: ArrayLike, items: ArrayLike, rewards: ArrayLike) -> float:
    """Return -mean reward * log p(item), whose gradient is IRGAN's step for its generator.

    Parameters
    ----------
    logits
        Scores of all items, shape [n_users, n_items]; p is their softmax.
    items
        Drawn item ids, shape [n_users, n_draws].
    rewards
        What each is worth, of the same shape; constants to the gradient.

    Notes
    -----
    Wang et al. (2017), equation 5, for many draws at once: the policy gradient of Williams (1992).
    """
    return float(
        -np.mean(np.take_along_axis(log_softmax(logits), np.asarray(items), axis=1) * np.asarray(rewards, np.float64))
    )


def reward(logits: ArrayLike) -> Array:
    """Return IRGAN's reward 2 (sigmoid(s) - 1/2) for logits of the discriminator, as its authors' program has it."""
    return 2 * sigmoid(logits) - 1


# --- what a user may ask for


def check_rows(rows: Any, n: int) -> NDArray[np.float32]:
    """Return a table of 0 and 1 as float32.

    Raises
    ------
    ValueError
        If it is no table of ``n`` columns, or holds anything but 0 and 1.
    """
    table = np.asarray(rows)
    if table.ndim != 2 or table.shape[1] != n or not len(table):
        raise ValueError(f"rows must be a table of {n} columns; the shape is {table.shape}.")
    if not np.isin(table, (0, 1)).all():
        raise ValueError("rows must hold 0 and 1 and nothing else.")
    return table.astype(np.float32)


def check_shares(**shares: float) -> None:
    """Raise a ValueError if one of these is not within [0, 1]."""
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value!r}; it is a share, from 0 to 1.")


def check_positive(**values: float) -> None:
    """Raise a ValueError if one of these is not above 0 and finite."""
    for name, value in values.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name} is {value!r}; it must be above 0.")


def check_not_negative(**values: float) -> None:
    """Raise a ValueError if one of these is below 0 or not finite."""
    for name, value in values.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} is {value!r}; it must not be negative.")
