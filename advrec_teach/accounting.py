"""What a private training has spent: a thin front of the library dp-accounting.

Epsilon is for adding or removing one example, whose batches are drawn by Poisson sampling: every example is in a batch
with probability ``sample_rate``, independently of all others and of all other steps.
"""

import importlib
import logging
from types import ModuleType
from typing import Any

from advrec_teach.errors import CourseError
from advrec_teach.sequences import check_whole

METHODS = ("rdp", "pld")
# What is told to whom misses a library; without the dependencies, which would replace newer ones that are there.
INSTALL = {"dp_accounting": "dp-accounting==0.6.0 dm-tree==0.1.10", "opacus": "opacus==1.6.0"}


def epsilon(*, noise_multiplier: float, sample_rate: float, steps: int, delta: float, method: str = "rdp") -> float:
    """Return the epsilon that so many steps of DP-SGD have spent at this delta.

    Parameters
    ----------
    noise_multiplier
        Standard deviation of the noise over the clipping length; positive.
    sample_rate
        Probability that an example is in a batch, above 0 and at most 1.
    steps
        Number of steps.
    delta
        Between 0 and 1; below 1 / (number of examples) to mean anything.
    method
        ``"rdp"``: Rényi divergences (Mironov, "Rényi Differential Privacy of the Sampled Gaussian Mechanism", 2019);
        ``"pld"``: the distribution of the privacy loss itself, tighter and slower. Both are upper bounds.

    Raises
    ------
    CourseError
        If dp-accounting is not installed.
    ValueError
        If a setting is out of its range.
    """
    _check(noise_multiplier=noise_multiplier, sample_rate=sample_rate, steps=steps, delta=delta, method=method)
    found = _library()
    accountant = _accountant(found, method)
    accountant.compose(_event(found, noise_multiplier, sample_rate, steps))
    return float(accountant.get_epsilon(delta))


def noise_for(*, epsilon: float, sample_rate: float, steps: int, delta: float, method: str = "rdp") -> float:
    """Return the smallest noise multiplier with which so many steps spend at most ``epsilon``, within a thousandth.

    The other settings and what is raised are those of :func:`epsilon`.
    """
    if not 0 < epsilon < float("inf"):
        raise ValueError(f"epsilon is {epsilon!r}; give a positive number.")
    _check(noise_multiplier=1.0, sample_rate=sample_rate, steps=steps, delta=delta, method=method)
    found = _library()
    noise_multiplier = found.calibrate_dp_mechanism(
        lambda: _accountant(found, method),
        lambda noise: _event(found, noise, sample_rate, steps),
        epsilon,
        delta,
        bracket_interval=found.LowerEndpointAndGuess(0.0, 1.0),
        tol=1e-3,
    )
    return float(noise_multiplier)


def library(name: str) -> ModuleType:
    """Return the module ``name`` of one of the two libraries of this lesson, ``dp_accounting`` or ``opacus``.

    Raises
    ------
    CourseError
        If it is not installed; the message holds the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        command = f"pip install --no-deps {INSTALL[name.partition('.')[0]]}"
        raise CourseError(f"{name} cannot be imported ({error}): run `{command}`, restart and try again.") from error


def _library() -> ModuleType:
    for part in ("pld", "rdp"):
        library(f"dp_accounting.{part}")
    # It warns of every order of the divergence that it leaves out, which only makes the bound larger.
    logging.getLogger("absl").setLevel(logging.ERROR)
    return library("dp_accounting")


def _accountant(found: Any, method: str) -> Any:
    return found.rdp.RdpAccountant() if method == "rdp" else found.pld.PLDAccountant()


def _event(found: Any, noise_multiplier: float, sample_rate: float, steps: int) -> Any:
    step = found.PoissonSampledDpEvent(sample_rate, found.GaussianDpEvent(noise_multiplier))
    return found.SelfComposedDpEvent(step, steps)


def _check(*, noise_multiplier: float, sample_rate: float, steps: int, delta: float, method: str) -> None:
    check_whole("steps", steps, 1)
    if not 0 < noise_multiplier < float("inf"):
        raise ValueError(f"noise_multiplier is {noise_multiplier!r}; without noise there is no epsilon.")
    if not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate is {sample_rate!r}; it is a probability above 0.")
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta!r}; it lies between 0 and 1.")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}.")
