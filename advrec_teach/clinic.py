"""Patients of the GAN clinic: settings of small pairs on the plane, and their first weights.

A *ward* is a stack of such pairs, trained side by side by ``fit_ward`` in either track. They share nothing but the
time: each has weights, data and noise of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from advrec_teach import reference_gan
from advrec_teach.reference import check_count

HISTORY = (
    "discriminator_loss",
    "generator_loss",
    "discriminator_gradient",
    "generator_gradient",
    "accuracy",
)
LOSSES = ("non-saturating", "minimax")


@dataclass(frozen=True)
class Patient:
    """Settings of one pair; ``dataclasses.replace`` makes another one that differs in what is named.

    Attributes
    ----------
    loss
        The generator's: ``"non-saturating"`` or ``"minimax"`` (Goodfellow et al., 2014).
    generator_rate, discriminator_rate
        Learning rates; two time scales where they differ (Heusel et al., 2017).
    generator_width, discriminator_width
        Neurons of each of the two hidden layers.
    start
        Distance by which the untrained generator's samples are shifted away from the data.
    dropout
        Probability that a hidden neuron of the discriminator is left out (Srivastava et al., 2014).
    l2
        Weight of the sum of squares of the discriminator's weights (not its biases) in its loss.
    smoothing
        What the label of a real sample is lowered by (one-sided label smoothing; Salimans et al., 2016).
    spectral
        Whether every weight matrix of the discriminator is divided by its largest singular value
        (Miyato et al., 2018).
    penalty
        Weight of the gradient penalty in the discriminator's loss (Gulrajani et al., 2017).
    """

    loss: str = "non-saturating"
    generator_rate: float = 1e-3
    discriminator_rate: float = 4e-3
    generator_width: int = 64
    discriminator_width: int = 64
    start: float = 0.0
    dropout: float = 0.0
    l2: float = 0.0
    smoothing: float = 0.0
    spectral: bool = False
    penalty: float = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        if self.loss not in LOSSES:
            raise ValueError(f"loss is {self.loss!r}; choose one of {', '.join(LOSSES)}.")
        for name in ("generator_width", "discriminator_width"):
            check_count(name, getattr(self, name))
        for name in ("generator_rate", "discriminator_rate", "l2", "penalty"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number from 0.")
        for name in ("dropout", "smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number from 0 to below 1.")


def sizes(patients: Sequence[Patient], *, noise_dim: int) -> tuple[list[int], list[int]]:
    """Return the layer sizes of the generators' stack and of the discriminators', wide enough for every patient."""
    wide = [max(getattr(p, f"{player}_width") for p in patients) for player in ("generator", "discriminator")]
    return [noise_dim, wide[0], wide[0], 2], [2, wide[1], wide[1], 1]


def first_weights(
    patients: Sequence[Patient], seeds: Sequence[int], *, noise_dim: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the first weights of all generators and of all discriminators, one flat row a pair.

    The rows go through the seeds of the first patient, then of the second, and so on. A network that is narrower
    than its stack is filled up with zeros; those have gradient zero, and training leaves them alone.
    """
    g_sizes, d_sizes = sizes(patients, noise_dim=noise_dim)
    g_rows, d_rows = [], []
    for patient in patients:
        for seed in seeds:
            own = [noise_dim, patient.generator_width, patient.generator_width, 2]
            row = _padded(own, g_sizes, seed)
            row[-2] += patient.start
            g_rows.append(row)
            own = [2, patient.discriminator_width, patient.discriminator_width, 1]
            d_rows.append(_padded(own, d_sizes, seed + 100))
    return np.stack(g_rows), np.stack(d_rows)


def _padded(own: list[int], wide: list[int], seed: int) -> NDArray[np.float32]:
    """Return the weights of a perceptron with sizes ``own`` inside one with sizes ``wide``, flat."""
    parts = []
    for place, (weights, bias) in enumerate(reference_gan.mlp_weights(own, seed=seed)):
        matrix = np.zeros((wide[place], wide[place + 1]), np.float32)
        matrix[: weights.shape[0], : weights.shape[1]] = weights
        parts += [matrix.ravel(), np.pad(bias, (0, wide[place + 1] - len(bias)))]
    return np.concatenate(parts)


def check_ward(
    patients: Sequence[Patient],
    seeds: Sequence[int],
    *,
    steps: int,
    batch_size: int,
    noise_dim: int,
    samples: int,
    every: int | None,
) -> None:
    """Raise a ValueError that says what to mend if ``fit_ward`` cannot run with these settings."""
    if not patients or not all(isinstance(patient, Patient) for patient in patients):
        raise ValueError("patients is no list of Patient; give at least one.")
    if not len(seeds):
        raise ValueError("seeds is empty; give at least one.")
    counts = {"steps": steps, "batch_size": batch_size, "noise_dim": noise_dim, "samples": samples}
    for name, value in (counts | {"every": 1 if every is None else every}).items():
        check_count(name, value)


def unlabelled() -> dict[str, Patient]:
    """Return six patients whose illness the exercise of lesson 03 asks for; to look here is to look it up."""
    fast = Patient(generator_rate=1.5e-4, discriminator_rate=2e-2)
    return {
        "run-1": replace(fast, generator_rate=2e-4, start=14.0, loss="minimax"),
        "run-2": Patient(penalty=1.0),
        "run-3": replace(fast, generator_rate=2e-4),
        "run-4": Patient(generator_rate=5e-3, discriminator_rate=1e-3),
        "run-5": replace(fast, generator_rate=2e-4, dropout=0.3),
        "run-6": replace(fast, generator_rate=1e-4, start=12.0),
    }
