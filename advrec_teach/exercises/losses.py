"""Losses for random cases: made in the learner's framework, with their gradient in NumPy."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import tracks
from advrec_teach.exercises.functions import Made


def quadratic(rng: np.random.Generator, shape: tuple[int, ...], *, flat_rows: int = 0, scale: float = 1.0) -> Made:
    """Return L(x) = sum(w x + a x^2 / 2) with random w and a > 0, entry by entry.

    Parameters
    ----------
    rng
        Source of w and a.
    shape
        Shape of x.
    flat_rows
        The loss does not depend on the last so many rows: their gradient is zero.
    scale
        Factor of the loss, and so of its slopes.

    Returns
    -------
    Made
        Its ``truth`` is the gradient function in NumPy, x -> w + a x.
    """
    w = rng.normal(size=shape).astype(np.float32)
    a = rng.uniform(0.5, 1.5, size=shape).astype(np.float32)
    w, a = w * np.float32(scale), a * np.float32(scale)
    if flat_rows:
        w[-flat_rows:] = 0
        a[-flat_rows:] = 0

    def build(advrec: ModuleType) -> Callable[[Any], Any]:
        total = track_sum()
        slope, bend = advrec.tensor(w), advrec.tensor(a)
        return lambda x: total(slope * x + 0.5 * bend * x * x)

    def gradient(x: np.ndarray) -> np.ndarray:
        return w.astype(np.float64) + a.astype(np.float64) * x

    return Made(build, gradient)


def track_sum() -> Callable[[Any], Any]:
    """Return the active track's sum over all entries."""
    if tracks.current() == "pytorch":
        import torch

        return torch.sum
    import tensorflow as tf

    return tf.reduce_sum
