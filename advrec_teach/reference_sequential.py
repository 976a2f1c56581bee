"""The sequential model of the course in NumPy and float64, and what both tracks share of it.

The model is SASRec: Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, with one head and
trained on the cross-entropy over all items, which Klenitskiy and Vasilev found to serve it better than the paper's
one sampled negative ("Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.sequences import check_sequences, check_whole

Array = NDArray[np.float64]
# Added to a variance before it divides.
TINY = 1e-5
BLOCK = ("scale_1", "shift_1", "query", "key", "value", "scale_2", "shift_2", "inner", "bias_1", "outer", "bias_2")


def first_weights(
    n_items: int, *, dim: int, length: int, blocks: int, seed: int, std: float
) -> dict[str, NDArray[np.float32]]:
    """Return the weights that training starts from, by name, in the order in which they are used.

    ``item_vectors`` [n_items, d] and ``positions`` [length, d] are normal with standard deviation ``std``; matrices
    [d, d] of the blocks, which multiply from the right, are normal with variance 1 / d; scales are 1, shifts and
    biases 0.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``blocks``: from 0), or ``std`` is not positive.
    """
    for name, value in (("n_items", n_items), ("dim", dim), ("length", length)):
        check_whole(name, value, 1)
    check_whole("blocks", blocks, 0)
    if not 0 < std < np.inf:
        raise ValueError(f"std is {std!r}; give a positive number.")
    rng = np.random.default_rng(seed)

    def make(name: str) -> Array:
        if name in ("query", "key", "value", "inner", "outer"):
            return rng.normal(0.0, dim**-0.5, (dim, dim))
        return np.ones(dim) if name.startswith("scale") else np.zeros(dim)

    weights = {name: rng.normal(0.0, std, (n, dim)) for name, n in (("item_vectors", n_items), ("positions", length))}
    for k in range(blocks):
        weights |= {f"block_{k}_{name}": make(name) for name in BLOCK}
    weights |= {"scale": np.ones(dim), "shift": np.zeros(dim)}
    return {name: value.astype(np.float32) for name, value in weights.items()}


def embed(weights: Mapping[str, ArrayLike], sequences: ArrayLike) -> Array:
    """Return the vectors of the items in ``sequences``, shape [n, any, d], zero where there is padding."""
    table = np.asarray(weights["item_vectors"], np.float64)
    return np.concatenate((table, np.zeros((1, table.shape[1]))))[np.asarray(sequences)]


def states(weights: Mapping[str, ArrayLike], vectors: ArrayLike) -> Array:
    """Return what the model knows after each item: vectors of shape [n, any, d] give states of the same shape.

    A block adds to each place what attention gathers from this place and those before it, then what a small network
    makes of the place itself; both read their input normalised.
    """
    w = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    h = np.asarray(vectors, np.float64)
    n, d = h.shape[1:]
    h = h + w["positions"][:n]
    later = np.triu(np.ones((n, n), bool), 1)
    blocks = sum(name.endswith("_query") for name in w)
    for k in range(blocks):
        b = {name: w[f"block_{k}_{name}"] for name in BLOCK}
        x = _normalise(h, b["scale_1"], b["shift_1"])
        match = (x @ b["query"]) @ np.swapaxes(x @ b["key"], 1, 2) / np.sqrt(d)
        match = np.exp(np.where(later, -np.inf, match - match.max(-1, keepdims=True)))
        h = h + match / match.sum(-1, keepdims=True) @ (x @ b["value"])
        x = _normalise(h, b["scale_2"], b["shift_2"])
        h = h + np.maximum(x @ b["inner"] + b["bias_1"], 0) @ b["outer"] + b["bias_2"]
    return _normalise(h, w["scale"], w["shift"])


def _normalise(x: Array, scale: Array, shift: Array) -> Array:
    """Return each vector with mean 0 and variance 1, then scaled and shifted (Ba, Kiros and Hinton, 2016)."""
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + TINY) * scale + shift


def sequential_loss(logits: ArrayLike, targets: ArrayLike) -> float:
    """Return the mean of -log softmax(logits)[target] over all places that have a target.

    Parameters
    ----------
    logits
        Shape [..., n_items].
    targets
        Item ids, shape [...]; ``n_items`` where there is none.
    """
    scores, wanted = np.asarray(logits, np.float64), np.asarray(targets)
    real = wanted < scores.shape[-1]
    scores, wanted = scores[real], wanted[real]
    top = scores.max(-1)
    log_sum = top + np.log(np.exp(scores - top[:, None]).sum(-1))
    return float(np.mean(log_sum - scores[np.arange(len(scores)), wanted]))


# --- checks that both tracks share


def check_fit_sequential(
    sequences: ArrayLike,
    n_items: int,
    length: int,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    dropout: float,
    negatives: int | None,
    eps: float,
    adv_weight: float,
    direction: str = "fgm",
) -> NDArray[np.int64]:
    """Check the settings of ``fit_sequential`` and return its sequences as an int64 array.

    Raises
    ------
    ValueError
        If a setting is out of its range, or a sequence has nothing to predict.
    """
    check_whole("epochs", epochs, 0)
    check_whole("batch_size", batch_size, 1)
    if negatives is not None:
        check_whole("negatives", negatives, 1)
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate is {learning_rate!r}; give a positive number.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout!r}; give a share from 0, below 1.")
    for name, value in (("eps", eps), ("adv_weight", adv_weight)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} is {value!r}; give a number that is not negative.")
    if direction not in ("fgm", "random"):
        raise ValueError(f'direction is {direction!r}; choose "fgm" or "random".')
    rows = check_sequences(sequences, n_items, width=length + 1)
    if not len(rows):
        raise ValueError("sequences hold no row, so there is nothing to learn from.")
    short = np.flatnonzero((rows < n_items).sum(1) < 2)
    if len(short):
        raise ValueError(f"Row {short[0]} of sequences has fewer than two items, so there is nothing to predict.")
    return rows
