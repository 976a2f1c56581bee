"""Privacy in NumPy and float64: per-example gradients, the private step, attack scores; and a small generator.

The *set generator* writes a row item by item and remembers which items it wrote, not in which order: with vectors
``e`` and a start ``s``, the state before place t is tanh(s + sum of e over the items before t), and the logits are
state times ``out`` plus ``bias``; Larochelle and Lauly, "A Neural Autoregressive Topic Model", NIPS 2012, without
their tree. An item that is in the row already is never drawn again.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.reference_behaviour import USED, log_softmax, softmax
from advrec_teach.sequences import check_whole

Array = NDArray[np.float64]
Named = Mapping[str, NDArray[Any]]


# --- the small generator


def set_weights(n_items: int, *, dim: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return the weights that a set generator starts from, by name: the same in both tracks for the same seed.

    ``vectors`` [n_items, dim], ``start`` [dim], ``out`` [dim, n_items] and ``bias`` [n_items].

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2).
    """
    check_whole("n_items", n_items, 2)
    check_whole("dim", dim, 1)
    rng = np.random.default_rng(seed)
    shapes = {"vectors": ((n_items, dim), 0.3), "start": ((dim,), 0.3), "out": ((dim, n_items), 0.1)}
    found = {name: (std * rng.standard_normal(shape)).astype(np.float32) for name, (shape, std) in shapes.items()}
    return {**found, "bias": np.zeros(n_items, np.float32)}


def _forward(w: Named, rows: ArrayLike) -> tuple[NDArray[np.int64], Array, Array, Array]:
    """Return the ids, the states [n, length, dim], the logits and the log-probabilities of the items."""
    ids = np.asarray(rows)
    named = {name: np.asarray(values, np.float64) for name, values in w.items()}
    vectors = named["vectors"][ids]
    states = np.tanh(named["start"] + vectors.cumsum(1) - vectors)
    hot = np.eye(len(named["bias"]))[ids]
    logits = states @ named["out"] + named["bias"] + USED * (hot.cumsum(1) - hot)
    return ids, states, logits, np.take_along_axis(log_softmax(logits), ids[..., None], -1)[..., 0]


def set_log_probabilities(w: Named, rows: ArrayLike) -> Array:
    """Return the logarithm of the set generator's probability of each item given those before it: [n, length]."""
    return _forward(w, rows)[3]


def set_gradients(w: Named, rows: ArrayLike) -> dict[str, Array]:
    """Return each row's own gradient of its mean of -log p, by formula: for a weight [a, ...] shape [n, a, ...]."""
    ids, states, logits, _ = _forward(w, rows)
    n, length = ids.shape
    out = np.asarray(w["out"], np.float64)
    slope = (softmax(logits) - np.eye(out.shape[1])[ids]) / length
    back = (slope @ out.T) * (1 - states**2)
    # The vector of an item moves all later states.
    later = back.sum(1, keepdims=True) - back.cumsum(1)
    vectors = np.zeros((n, *np.shape(w["vectors"])))
    for row in range(n):
        np.add.at(vectors[row], ids[row], later[row])
    return {
        "vectors": vectors,
        "start": back.sum(1),
        "out": np.einsum("ntd,nti->ndi", states, slope),
        "bias": slope.sum(1),
    }


# --- the private step


def norms(gradients: Mapping[str, ArrayLike]) -> Array:
    """Return the length of each example's gradient over all weights together, [n]."""
    squares = [np.square(np.asarray(g, np.float64)).reshape(len(np.asarray(g)), -1).sum(1) for g in gradients.values()]
    return np.sqrt(sum(squares))


def clip_factors(lengths: ArrayLike, *, clip: float) -> Array:
    """Return min(1, clip / length) for each length: what an example's gradient is multiplied with."""
    return clip / np.maximum(np.asarray(lengths, np.float64), clip)


def private_gradient(
    gradients: Mapping[str, ArrayLike],
    noise: Mapping[str, ArrayLike],
    *,
    clip: float,
    noise_multiplier: float,
    batch_size: float,
) -> dict[str, Array]:
    """Return (sum of the clipped gradients + noise_multiplier clip noise) / batch_size, for each weight.

    Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang, "Deep Learning with Differential Privacy", CCS 2016.

    Parameters
    ----------
    gradients
        Each example's own gradient, [n, ...] for each weight. They are clipped by their length over all weights.
    noise
        Standard normal numbers of each weight's shape.
    clip
        Largest length of an example's gradient.
    noise_multiplier
        Standard deviation of the noise in units of ``clip``.
    batch_size
        The *expected* number of examples, which does not depend on who was drawn.
    """
    factors = clip_factors(norms(gradients), clip=clip)
    return {
        name: (np.tensordot(factors, np.asarray(g, np.float64), 1) + noise_multiplier * clip * np.asarray(noise[name]))
        / batch_size
        for name, g in gradients.items()
    }


# --- attacks


def auc(members: ArrayLike, others: ArrayLike) -> float:
    """Return the chance that a member scores higher than somebody else, ties counted half; 1/2 is a coin's."""
    own, rest = _scores(members, others)
    ordered = np.sort(rest)
    below, up_to = (np.searchsorted(ordered, own, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(rest)))


def tpr_at_fpr(members: ArrayLike, others: ArrayLike, *, fpr: float = 0.01) -> float:
    """Return the share of members that are found when at most a share ``fpr`` of the others is accused.

    A score above the threshold is accused. The threshold is the lowest that accuses at most floor(fpr n) of the n
    others. Carlini, Chien, Nasr, Song, Terzis and Tramèr, "Membership Inference Attacks From First Principles", IEEE
    S&P 2022, argue for this number: an average such as the AUC hides the few who are found for certain.

    Raises
    ------
    ValueError
        If there are no scores, or ``fpr`` is not from 0 to below 1.
    """
    own, rest = _scores(members, others)
    if not 0 <= fpr < 1:
        raise ValueError(f"fpr is {fpr!r}; give a share from 0 to below 1.")
    # Against 0.29 * 100 = 28.999999999999996.
    allowed = int(fpr * len(rest) + 1e-9)
    return float((own > np.sort(rest)[::-1][allowed]).mean())


def largest_tpr(*, epsilon: float, delta: float, fpr: float) -> float:
    """Return the share of members that any attack can find at this rate of false alarms, under (epsilon, delta).

    The smaller of e^epsilon fpr + delta and 1 - e^-epsilon (1 - delta - fpr), and at most 1; Kairouz, Oh and
    Viswanath, "The Composition Theorem for Differential Privacy", ICML 2015.
    """
    return float(min(1.0, np.exp(epsilon) * fpr + delta, 1 - np.exp(-epsilon) * (1 - delta - fpr)))


def _scores(members: ArrayLike, others: ArrayLike) -> tuple[Array, Array]:
    own, rest = (np.asarray(values, np.float64).ravel() for values in (members, others))
    if not own.size or not rest.size or np.isnan(own).any() or np.isnan(rest).any():
        raise ValueError("members and others are scores: numbers, at least one of each.")
    return own, rest


# --- what both tracks check


def check_private(*, clip: float | None, noise_multiplier: float, steps: int, batch_size: int, n: int) -> None:
    """Raise a ValueError that says what to mend if a private training cannot run with these settings."""
    check_whole("steps", steps, 1)
    check_whole("batch_size", batch_size, 1)
    if batch_size > n:
        raise ValueError(f"batch_size is {batch_size}; it is an expected number out of {n} rows.")
    if clip is not None and not 0 < clip < float("inf"):
        raise ValueError(f"clip is {clip!r}; give a positive length, or None for ordinary steps.")
    if not 0 <= noise_multiplier < float("inf"):
        raise ValueError(f"noise_multiplier is {noise_multiplier!r}; give a number from 0.")
    if clip is None and noise_multiplier:
        raise ValueError("noise without clip protects nobody: give clip as well.")
