"""The two logarithms of a discriminator's loss, as programs compute them that are wrong for far logits."""

from collections.abc import Callable
from typing import Any

import numpy as np

# The means of -log D and of -log(1 - D), each a function of logits.
Parts = tuple[Callable[[np.ndarray], Any], Callable[[np.ndarray], Any]]

# Logits that a confident discriminator can give. At the first, float32 rounds sigmoid to 1; at the second, exp
# overflows as well.
SURE, FAR = 30.0, 200.0


def _probability(s: np.ndarray) -> np.ndarray:
    """Return sigmoid in float32, as a program that computes it first would get it."""
    return np.float32(1) / (np.float32(1) + np.exp(-np.float32(s)))


def _inside(constant: float) -> Parts:
    """Return -log D and -log(1 - D) with a small constant added inside the logarithm."""
    small = np.float32(constant)
    return (
        lambda s: -np.log(_probability(s) + small).mean(),
        lambda s: -np.log(np.float32(1) - _probability(s) + small).mean(),
    )


def _clipped(constant: float) -> Parts:
    """Return -log D and -log(1 - D) of a probability that is clipped to [constant, 1 - constant]."""
    low, high = np.float32(constant), np.float32(1) - np.float32(constant)
    return (
        lambda s: -np.log(np.clip(_probability(s), low, high)).mean(),
        lambda s: -np.log(np.float32(1) - np.clip(_probability(s), low, high)).mean(),
    )


def _bounded() -> Parts:
    """Return -log D and -log(1 - D) with logarithms that stop at -100, as PyTorch's cross-entropy has them."""
    return (
        lambda s: np.minimum(-np.log(_probability(s)), 100).mean(),
        lambda s: np.minimum(-np.log(np.float32(1) - _probability(s)), 100).mean(),
    )


def by_probability() -> Parts:
    """Return -log D and -log(1 - D) by way of D."""
    return lambda s: -np.log(_probability(s)).mean(), lambda s: -np.log(np.float32(1) - _probability(s)).mean()


def _by_exp() -> Parts:
    """Return -log D and -log(1 - D) with the exponential written out."""
    one = np.float32(1)
    return (
        lambda s: np.log(one + np.exp(-np.float32(s))).mean(),
        lambda s: np.log(one + np.exp(np.float32(s))).mean(),
    )


# Programs that stay finite by a trick, and what a learner should know about each. The value at which the loss
# stops rising follows from the constant.
TRICKS: tuple[tuple[str, Parts, str], ...] = (
    *(
        (
            f"{constant:g} inside the logarithm",
            _inside(constant),
            f"you add {constant:g} inside the logarithm. The loss stays finite, but the worst sample of all costs "
            f"{-np.log(constant):.1f}, whatever its logit, and its slope is gone: nothing is learned from it.",
        )
        for constant in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
    ),
    *(
        (
            f"probability clipped at {constant:g}",
            _clipped(constant),
            f"you clip the probability at {constant:g}, or hand probabilities to a cross-entropy that does so. The "
            "loss stays finite, but beyond the clip it is flat: the samples that are most wrong have no gradient.",
        )
        for constant in (1e-5, 1e-6, 1e-7)
    ),
    (
        "cross-entropy on probabilities",
        _bounded(),
        "your logarithm stops at -100, as that of a binary cross-entropy on *probabilities* does. The cross-entropy "
        "that takes logits needs no such stop.",
    ),
    (
        "exponential written out",
        _by_exp(),
        "the formulas are right, and log(1 + exp(s)) never rounds a probability. But exp(200) is larger than any "
        "float32, so the result is infinite. Your framework has this very function in a form that does not overflow: "
        "see the section above.",
    ),
)
