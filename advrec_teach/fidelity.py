"""How far invented users are from real ones, in NumPy, and the simple models that a network has to beat.

Everything here takes *rows*: tables of item ids [n, length], each row a piece of one user's history, oldest first,
with every item at most once. A divergence of 0 between two sets of rows would mean equal frequencies. Real users do
not reach it, as two samples never agree exactly: compare with a second set of real rows of the same size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.sequences import check_whole

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


# --- frequencies and their divergence


def popularity(rows: ArrayLike, n_items: int) -> Array:
    """Return how often each item occurs, [n_items]."""
    return np.bincount(_rows(rows, n_items).ravel(), minlength=n_items).astype(np.float64)


def transitions(rows: ArrayLike, n_items: int) -> Array:
    """Return how often each item is followed by each other one, [n_items, n_items]: from the row to the column."""
    rows = _rows(rows, n_items)
    pairs = rows[:, :-1] * n_items + rows[:, 1:]
    return np.bincount(pairs.ravel(), minlength=n_items**2).reshape(n_items, n_items).astype(np.float64)


def cooccurrences(rows: ArrayLike, n_items: int) -> Array:
    """Return how many rows hold both items of each pair, whatever their order: symmetric, 0 on the diagonal."""
    table = interaction_table(rows, n_items).astype(np.float64)
    together = table.T @ table
    np.fill_diagonal(together, 0)
    return together


def interaction_table(rows: ArrayLike, n_items: int) -> NDArray[np.float32]:
    """Return which items each row holds, as a table of 0 and 1: [n, n_items]."""
    rows = _rows(rows, n_items)
    table = np.zeros((len(rows), n_items), np.float32)
    np.put_along_axis(table, rows, 1, axis=1)
    return table


def js_divergence(p: ArrayLike, q: ArrayLike) -> float:
    """Return the Jensen-Shannon divergence of two tables of counts, in bits: 0 if proportional, 1 if disjoint.

    Raises
    ------
    ValueError
        If the shapes differ, or a table is negative somewhere or holds nothing.
    """
    one, other = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if one.shape != other.shape or any(t.min(initial=0) < 0 or t.sum() <= 0 for t in (one, other)):
        raise ValueError("p and q are counts: tables of one shape, not negative, not all zero.")
    one, other = one / one.sum(), other / other.sum()
    middle = (one + other) / 2

    def kl(a: Array) -> float:
        some = a > 0
        return float((a[some] * np.log2(a[some] / middle[some])).sum())

    return (kl(one) + kl(other)) / 2


def divergences(real: ArrayLike, fake: ArrayLike, n_items: int) -> dict[str, float]:
    """Return the Jensen-Shannon divergences of popularity, transitions and co-occurrence, in bits.

    Parameters
    ----------
    real, fake
        Rows of item ids. The fewer rows, the larger every divergence: compare only figures of as many rows.
    n_items
        Number of items.
    """
    counts = {"popularity": popularity, "transitions": transitions, "co-occurrence": cooccurrences}
    return {name: js_divergence(count(real, n_items), count(fake, n_items)) for name, count in counts.items()}


# --- a judge's verdict


def two_sample_auc(real_scores: ArrayLike, fake_scores: ArrayLike) -> float:
    """Return the share of pairs of a real and a fake row in which the real one scores higher; 1/2 is a coin's.

    The area under the ROC curve, which needs no threshold. A tie counts one half. Lopez-Paz and Oquab, "Revisiting
    Classifier Two-Sample Tests", ICLR 2017, count right verdicts instead. The judge must not have seen the rows.

    Parameters
    ----------
    real_scores, fake_scores
        The judge's logits "real" of rows that it was not trained on, [n] and [m].
    """
    real, fake = np.asarray(real_scores, np.float64)[:, None], np.asarray(fake_scores, np.float64)
    return float((real > fake).mean() + (real == fake).mean() / 2)


# --- diversity and copying


def mean_overlap(rows: ArrayLike, n_items: int) -> float:
    """Return how many items two different rows share on average: high where all rows are alike."""
    table = interaction_table(rows, n_items).astype(np.float64)
    n, totals = len(table), table.sum(0)
    return float((totals**2 - totals).sum() / (n * (n - 1)))


def nearest_overlap(rows: ArrayLike, train: ArrayLike, n_items: int) -> NDArray[np.int64]:
    """Return for each row how many items it shares with the training row that is nearest to it, [n]."""
    table, known = interaction_table(rows, n_items), interaction_table(train, n_items)
    return np.rint((table @ known.T).max(axis=1)).astype(np.int64)


def copied_runs(rows: ArrayLike, train: ArrayLike, n_items: int, *, run: int = 3) -> float:
    """Return the share of runs of ``run`` neighbouring items that occur, in this order, in the training rows.

    Raises
    ------
    ValueError
        If a run is longer than a row.
    """
    check_whole("run", run, 1)

    def runs(rows: ArrayLike) -> Rows:
        rows = _rows(rows, n_items)
        if run > rows.shape[1]:
            raise ValueError(f"run is {run} and a row holds {rows.shape[1]} items.")
        pieces = np.lib.stride_tricks.sliding_window_view(rows, run, axis=1)
        return (pieces * n_items ** np.arange(run)).sum(-1)

    return float(np.isin(runs(rows), runs(train)).mean())


# --- models without a network


@dataclass(frozen=True)
class Bigram:
    """A model in which an item depends on the one before it alone.

    Attributes
    ----------
    start
        Probability of each item at the first place, [n_items].
    follow
        Probability of each item (column) after each other one (row), [n_items, n_items].
    """

    start: Array
    follow: Array

    def log_probabilities(self, rows: ArrayLike) -> Array:
        """Return the logarithm of the probability of each item given those before it, no item twice: [n, length]."""
        n_items = len(self.start)
        rows = _rows(rows, n_items)
        left, found = np.ones((len(rows), n_items)), []
        for place in range(rows.shape[1]):
            p = left * (self.follow[rows[:, place - 1]] if place else self.start)
            at = (np.arange(len(rows)), rows[:, place])
            found.append(np.log(p[at] / p.sum(1)))
            left[at] = 0
        return np.stack(found, axis=1)


def fit_bigram(rows: ArrayLike, n_items: int, *, smoothing: float = 5.0) -> Bigram:
    """Return the bigram model of these rows.

    Parameters
    ----------
    rows
        Item ids, [n, length].
    n_items
        Number of items.
    smoothing
        Transitions that are added to every item's own, shared out by popularity.

    Raises
    ------
    ValueError
        If ``smoothing`` is not positive.
    """
    if smoothing <= 0:
        raise ValueError(f"smoothing is {smoothing!r}; give a positive number of transitions.")
    prior = (popularity(rows, n_items) + 0.1) / (np.size(rows) + 0.1 * n_items)
    first = np.bincount(_rows(rows, n_items)[:, 0], minlength=n_items)
    follow = transitions(rows, n_items) + smoothing * prior
    np.fill_diagonal(follow, 0)
    start = (first + smoothing * prior) / (first.sum() + smoothing)
    return Bigram(start, follow / follow.sum(1, keepdims=True))


def sample_bigram(model: Bigram, n: int, *, length: int, seed: int = 0, unique: bool = True) -> Rows:
    """Return n rows that the bigram model draws, [n, length].

    Parameters
    ----------
    model
        The bigram model.
    n, length
        Number of rows; items in a row.
    seed
        Seed of the draw.
    unique
        True draws no item twice in a row.
    """
    rng = np.random.default_rng(seed)
    left = np.ones((n, len(model.start)))
    rows = np.zeros((n, length), np.int64)
    for place in range(length):
        p = left * (model.follow[rows[:, place - 1]] if place else model.start)
        cumulative = p.cumsum(1)
        drawn = (cumulative < rng.random((n, 1)) * cumulative[:, -1:]).sum(1)
        rows[:, place] = np.minimum(drawn, len(model.start) - 1)
        if unique:
            left[np.arange(n), rows[:, place]] = 0
    return rows


def sample_popularity(weights: ArrayLike, n: int, *, length: int, seed: int = 0) -> Rows:
    """Return n rows of different items, drawn one after the other by popularity alone, [n, length].

    Parameters
    ----------
    weights
        How popular each item is, [n_items], positive.
    n, length
        Number of rows; items in a row.
    seed
        Seed of the draw.
    """
    weights = np.asarray(weights, np.float64)
    # The largest of log weight + Gumbel noise are a draw without putting back.
    keys = np.log(weights) + np.random.default_rng(seed).gumbel(size=(n, len(weights)))
    return np.argsort(-keys, axis=1)[:, :length]


def _rows(rows: ArrayLike, n_items: int) -> Rows:
    found = np.asarray(rows)
    if found.ndim != 2 or found.dtype.kind not in "iu" or not found.size:
        raise ValueError(f"rows have shape {found.shape} and type {found.dtype}; give a table of item ids.")
    if found.min() < 0 or found.max() >= n_items:
        raise ValueError(f"rows hold ids from {found.min()} to {found.max()}; items go from 0 to {n_items - 1}.")
    return found.astype(np.int64)
