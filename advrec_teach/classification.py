"""How good a classifier is, and whether its probabilities mean what they say. Plain NumPy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach import reference_behaviour


class ReliabilityBins(NamedTuple):
    """Predictions sorted into bins of equal width by their confidence; empty bins hold NaN.

    Attributes
    ----------
    counts
        Predictions in every bin, int64, shape ``[bins]``.
    confidence, accuracy
        Mean confidence and share of right predictions in every bin, shape ``[bins]``.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the probabilities of logits ``[n, classes]``, rows summing to 1, finite for every finite logit."""
    return reference_behaviour.softmax(_table(logits, "logits"))


def log_loss(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean cross-entropy of logits ``[n, classes]`` at the labels ``[n]``, in nats."""
    table = _table(logits, "logits")
    true = _labels(labels, table)
    return float(-reference_behaviour.log_softmax(table)[np.arange(len(true)), true].mean())


def accuracy(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Return the share of predictions that equal the label, both ``[n]``."""
    guess, true = _pair(predicted, labels)
    return float((guess == true).mean())


def f1_per_class(predicted: ArrayLike, labels: ArrayLike, *, classes: int = 2) -> NDArray[np.float64]:
    """Return the F1 of every class, shape ``[classes]``: 2 TP / (2 TP + FP + FN), 0 where a class is never hit.

    Raises
    ------
    ValueError
        If shapes differ, nothing is given, or a class is out of range.
    """
    guess, true = _pair(predicted, labels)
    if min(guess.min(), true.min()) < 0 or max(guess.max(), true.max()) >= classes:
        raise ValueError(f"Classes must be 0 to {classes - 1}.")
    hits = np.bincount(true[guess == true], minlength=classes)
    named = np.bincount(guess, minlength=classes) + np.bincount(true, minlength=classes)
    return np.asarray(2 * hits / np.maximum(named, 1), dtype=np.float64)


def macro_f1(predicted: ArrayLike, labels: ArrayLike, *, classes: int = 2) -> float:
    """Return the mean of the classes' F1: every class counts the same, however rare."""
    return float(f1_per_class(predicted, labels, classes=classes).mean())


def reliability_bins(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = 10) -> ReliabilityBins:
    """Sort predictions by confidence into bins of equal width and look how often each bin is right.

    The prediction is the class of the largest probability, its confidence is that probability. A bin holds the
    confidences above its lower edge, up to and with its upper one.

    Parameters
    ----------
    probabilities
        Shape ``[n, classes]``.
    labels
        True classes, shape ``[n]``.
    bins
        Number of bins between 0 and 1.

    Raises
    ------
    ValueError
        If shapes differ, nothing is given, ``bins`` is below 1 or a probability is not within 0 and 1.
    """
    table = _table(probabilities, "probabilities")
    true = _labels(labels, table)
    if bins < 1:
        raise ValueError(f"There must be at least one bin, not {bins}.")
    if table.min() < 0 or table.max() > 1 + 1e-9:
        raise ValueError("Probabilities lie between 0 and 1; these do not. Were logits given?")
    confidence = table.max(axis=1)
    right = table.argmax(axis=1) == true
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=values, minlength=bins) / counts for values in (confidence, right)]
    return ReliabilityBins(counts, *means)


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy, each bin by its count.

    sum_b n_b / n |accuracy_b - confidence_b| over the bins of `reliability_bins`; 0 is best (Naeini et al., 2015,
    "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et al., 2017, "On Calibration of Modern
    Neural Networks"). See `reliability_bins` for the parameters.
    """
    found = reliability_bins(probabilities, labels, bins=bins)
    filled = found.counts > 0
    gaps = np.abs(found.accuracy - found.confidence)[filled]
    return float(found.counts[filled] @ gaps / found.counts.sum())


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature T > 0 at which softmax(logits / T) has the lowest log loss (Guo et al., 2017).

    Found by a search for the root of the slope in log T; it is between 1/20 and 20, and changes no prediction. Fit it
    on data that the model was not trained on.
    """
    table = _table(logits, "logits")
    true = _labels(labels, table)
    at_label = table[np.arange(len(true)), true]

    def slope(inverse: float) -> float:
        """Return the slope of the log loss in 1/T, which rises with 1/T."""
        return float(((softmax(inverse * table) * table).sum(axis=1) - at_label).mean())

    low, high = 1 / 20, 20.0
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / float(np.sqrt(low * high))


def _table(values: ArrayLike, name: str) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"{name} must be a table of texts by classes; the shape is {table.shape}.")
    return table


def _labels(labels: ArrayLike, table: NDArray[np.float64]) -> NDArray[np.int64]:
    true = np.asarray(labels)
    if true.shape != table.shape[:1] or true.dtype.kind not in "iub":
        raise ValueError(f"labels must hold one whole number for each of the {len(table)} rows.")
    if true.min() < 0 or true.max() >= table.shape[1]:
        raise ValueError(f"Labels must be 0 to {table.shape[1] - 1}.")
    return true.astype(np.int64)


def _pair(predicted: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    guess, true = np.asarray(predicted), np.asarray(labels)
    if guess.ndim != 1 or guess.shape != true.shape or not guess.size:
        raise ValueError(f"Predictions and labels must be [n], at least one; they are {guess.shape} and {true.shape}.")
    return guess.astype(np.int64), true.astype(np.int64)
