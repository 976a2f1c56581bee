"""What lesson 11 teaches, in NumPy and float64: smooth and robust losses of a pair, and the gradients of the defences.

A triple (u, i, j) has the margin m = p_u . (q_i - q_j), and the model believes with probability sigmoid(m) that u
prefers i. Everything here is a function of margins, or of one table that holds the vectors of all users, then those of
all items.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from advrec_teach.reference import Array, check_ball, check_count, fgm_delta, project, sigmoid, softplus

DEFENCES = ("robust", "vat", "trades", "fast", "free", "ensemble", "noise")
# Length of the first, random move along which the divergence has a slope at all.
PROBE = 0.1
# Length of the one step of "fast", in units of eps.
FAST_STEP = 1.25


def smooth_loss(clean: ArrayLike, moved: ArrayLike) -> float:
    """Return the mean Kullback-Leibler divergence between what a model believes of pairs before and after a move.

    Parameters
    ----------
    clean, moved
        Margins before and after, shape [n]: the beliefs are Bernoulli(sigmoid(clean)) and Bernoulli(sigmoid(moved)).

    Notes
    -----
    With pi = sigmoid(clean) it is pi log(pi / pi') + (1 - pi) log((1 - pi) / (1 - pi')). No label enters. Miyato,
    Maeda, Koyama and Ishii, "Virtual Adversarial Training", TPAMI 41(8), 2019; Zhang et al., "Theoretically Principled
    Trade-off between Robustness and Accuracy", ICML 2019.
    """
    a, b = (np.asarray(m, np.float64) for m in (clean, moved))
    belief = sigmoid(a)
    return float(np.mean(belief * (softplus(-b) - softplus(-a)) + (1 - belief) * (softplus(b) - softplus(a))))


def robust_loss(margin: ArrayLike, *, exponent: float) -> float:
    """Return the mean of (1 - sigmoid(m)^exponent) / exponent, which no single pair can raise above 1 / exponent.

    Parameters
    ----------
    margin
        Margins, shape [n].
    exponent
        Above 0, at most 1; towards 0 the loss becomes the BPR loss.

    Notes
    -----
    The generalised cross entropy of Zhang and Sabuncu, NeurIPS 2018, for a pair. Its slope is that of the BPR loss
    times sigmoid(m)^exponent: a pair that the model is sure to have wrong hardly pulls.
    """
    return float(np.mean((1 - sigmoid(margin) ** exponent) / exponent))


def defended_gradient(
    defence: str,
    table: ArrayLike,
    rows: ArrayLike,
    way: ArrayLike,
    *,
    eps: float,
    adv_weight: float,
    exponent: float,
) -> tuple[Array, Array, Array]:
    """Return the losses of a batch under a defence, the gradient for its step, and the move that it made.

    Parameters
    ----------
    defence
        One of :data:`DEFENCES`.
    table
        All vectors, shape [n_users + n_items, d].
    rows
        Rows of ``table``: users, items and negatives of the batch, a third each.
    way
        Shape of ``table``. ``"vat"``, ``"trades"``, ``"fast"``, ``"noise"``: a random direction for each row.
        ``"free"``: the move left by the step before. ``"ensemble"``: the table of the model that makes the move.
    eps, adv_weight, exponent
        As in ``fit_defended``.

    Returns
    -------
    losses
        Shape [2]: the loss at the vectors (for ``"fast"``, ``"free"`` and ``"noise"``, which do not look there, the
        same as the second), and the loss or divergence at the moved vectors.
    gradient
        Shape of ``table``, without regularisation.
    move
        Shape of ``table``: the move at which the second loss was taken; for ``"free"`` the next step's.
    """
    x, start = np.asarray(table, np.float64), np.asarray(way, np.float64)
    u, i, j = np.split(np.asarray(rows), 3)

    def margin(v: Array) -> Array:
        return np.sum(v[u] * (v[i] - v[j]), axis=1)

    def gradient(v: Array, slope: Array) -> Array:
        slope = slope[:, None] / len(u)
        total = np.zeros_like(v)
        np.add.at(total, u, slope * (v[i] - v[j]))
        np.add.at(total, i, slope * v[u])
        np.add.at(total, j, -slope * v[u])
        return total

    def bpr(v: Array) -> tuple[float, Array]:
        m = margin(v)
        return float(np.mean(softplus(-m))), gradient(v, sigmoid(m) - 1)

    none = np.zeros_like(x)
    if defence == "robust":
        m = margin(x)
        slope = (sigmoid(m) - 1) * sigmoid(m) ** exponent
        loss = robust_loss(m, exponent=exponent)
        return np.array([loss, loss]), gradient(x, slope), none
    if defence == "free":
        loss, slope = bpr(x + start)
        return np.array([loss, loss]), slope, project(start + fgm_delta(slope, eps=eps), eps=eps, norm="l2")
    if defence == "noise":
        move = fgm_delta(start, eps=eps)
        loss, slope = bpr(x + move)
        return np.array([loss, loss]), slope, move
    if defence == "fast":
        first = fgm_delta(start, eps=eps)
        move = project(first + fgm_delta(bpr(x + first)[1], eps=FAST_STEP * eps), eps=eps, norm="l2")
        loss, slope = bpr(x + move)
        return np.array([loss, loss]), slope, move
    clean, slope = bpr(x)
    if defence == "ensemble":
        move = fgm_delta(bpr(start)[1], eps=eps)
        attacked, more = bpr(x + move)
        return np.array([clean, attacked]), slope + adv_weight * more, move
    belief = sigmoid(margin(x))
    probe = x + fgm_delta(start, eps=PROBE)
    move = fgm_delta(gradient(probe, sigmoid(margin(probe)) - belief), eps=eps)
    m, moved = margin(x), margin(x + move)
    more = gradient(x + move, sigmoid(moved) - belief)
    if defence == "trades":
        more = more + gradient(x, belief * (1 - belief) * (m - moved))
    return np.array([clean, smooth_loss(m, moved)]), slope + adv_weight * more, move


# --- checks that both tracks share


def check_defence(
    defence: str, eps: Any, adv_weight: float, exponent: float, replays: int, others: Any, shape: tuple[int, ...]
) -> None:
    """Check the settings that ``fit_defended`` has beside those of ``fit_bpr``, the same in both tracks.

    Raises
    ------
    ValueError
        If a setting is out of its range. A function given as ``eps`` is checked when it is called.
    """
    if defence not in DEFENCES:
        raise ValueError(f"defence is {defence!r}; choose one of {', '.join(DEFENCES)}.")
    if not callable(eps):
        check_ball(eps, "l2")
    if not 0 <= adv_weight < np.inf:
        raise ValueError(f"adv_weight is {adv_weight!r}; give a number that is not negative.")
    if not 0 < exponent <= 1:
        raise ValueError(f"exponent is {exponent!r}; give a number above 0, at most 1.")
    check_count("replays", replays)
    if (defence == "ensemble") != bool(len(others)):
        raise ValueError('others are the models that make moves in the defence "ensemble": give them there only.')
    for other in others:
        if (other.user_vectors.shape[0] + other.item_vectors.shape[0], other.item_vectors.shape[1]) != shape:
            raise ValueError("One of the others differs from the model in its number of vectors or in their length.")
