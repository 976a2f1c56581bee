"""Adversarial training of text classifiers: what both tracks share, and its moves in NumPy. Knows no framework.

A move is what is added to the vectors of a text's words, or to the states after a layer: an array [n, t, 384], of which
each text's part has a length of its own, over all its words together. Padding never moves.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.reference import check_ball
from advrec_teach.reference_text import check_layer
from advrec_teach.sequences import check_whole

DEFENCES = ("fgm", "pgd", "freelb", "smooth", "random")
METHODS = ("fgm", "pgd", "random")
NOISY = ("freelb", "smooth", "random")
"""The defences that need a random direction for each text."""

START = 1 / np.sqrt(3)
"""Share of eps at which FreeLB starts: the root mean square of a uniform draw from -eps to eps."""

GOLDEN = 2.5
"""PGD's steps together are so many times as long as eps."""


def unit_noise(ids: ArrayLike, rng: np.random.Generator, width: int) -> NDArray[np.float32]:
    """Return a random direction for each text: length 1 over its real words, shape [n, t, width]; padding gets 0.

    Parameters
    ----------
    ids
        Word ids, shape [n, t], padded with 0.
    rng
        Source of the draws.
    width
        Numbers of a word's vector.
    """
    ids = np.asarray(ids)
    noise = rng.standard_normal((*ids.shape, width), dtype=np.float32)
    noise[ids == 0] = 0
    length = np.sqrt(np.einsum("ntd,ntd->n", noise, noise))
    noise *= (1 / np.where(length > 0, length, 1.0)).astype(np.float32)[:, None, None]
    return noise


def unit_texts(gradient: ArrayLike) -> NDArray:
    """Return the gradient [n, t, d] with length 1 for each text, the length over all its words; zeros stay zeros.

    Miyato, Dai and Goodfellow, "Adversarial Training Methods for Semi-Supervised Text Classification", ICLR 2017.
    """
    g = np.asarray(gradient)
    length = np.sqrt((g.astype(np.float64) ** 2).sum((1, 2), keepdims=True))
    return g / np.where(length > 0, length, 1.0)


def step_length(eps: float, steps: int, step: float | None) -> float:
    """Return the length of a step of PGD inside: what was asked for, or 2.5 eps shared by the steps, at most eps."""
    return min(eps, GOLDEN * eps / max(steps, 1)) if step is None else step


def check_defence_text(
    defence: str, layers: int, *, eps: float, steps_inner: int, step_inner: float | None, adv_weight: float, layer: int
) -> None:
    """Check the settings of ``fit_robust_text``.

    Raises
    ------
    ValueError
        If one is out of its range.
    """
    if defence not in DEFENCES:
        raise ValueError(f"defence is {defence!r}; choose one of {', '.join(DEFENCES)}.")
    _check_move(eps, steps_inner, step_inner, "steps_inner", "step_inner")
    if not 0 <= adv_weight < np.inf:
        raise ValueError(f"adv_weight is {adv_weight!r}; give a number that is not negative.")
    check_layer(layer, layers)


def check_attack_text(
    method: str, labels: ArrayLike, layers: int, classes: int, *, eps: float, steps: int, step: float | None, layer: int
) -> None:
    """Check the settings of ``attack_texts``.

    Raises
    ------
    ValueError
        If one is out of its range, or a label is no class.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}.")
    _check_move(eps, steps, step, "steps", "step")
    check_layer(layer, layers)
    found = np.asarray(labels)
    if found.size and (found.min() < 0 or found.max() >= classes):
        raise ValueError(f"Labels run from {found.min()} to {found.max()}, and the model knows 0 to {classes - 1}.")


def _check_move(eps: float, steps: int, step: float | None, steps_name: str, step_name: str) -> None:
    check_ball(eps, "l2")
    check_whole(steps_name, steps, 1)
    if step is not None and not 0 < step < np.inf:
        raise ValueError(f"{step_name} is {step!r}; give a positive number, or leave it out.")
