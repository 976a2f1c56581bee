"""Language models in NumPy float64: a Llama of any size, log-likelihoods, first-order estimates of a changed token.

The truth that both tracks are tested against, and the few checks that they share.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.reference_behaviour import log_softmax

Floats = NDArray[np.float64]


def pad(texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return token ids as one table, padded with 0 at the end, and the number of tokens of each text.

    Raises
    ------
    ValueError
        If there is no text, or one is empty.
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    if not len(lengths) or lengths.min() < 1:
        raise ValueError("A language model reads texts of at least one token, and at least one of them.")
    ids = np.zeros((len(lengths), lengths.max()), np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return ids, lengths


def check_rows(rows: Any, n: int, prompts: int) -> NDArray[np.int64]:
    """Return which prompt each of n texts goes on with; without ``rows`` each has its own.

    Raises
    ------
    ValueError
        If a text has none.
    """
    found = np.arange(n) if rows is None else np.asarray(rows, np.int64)
    if found.shape != (n,) or (n and not 0 <= found.min() <= found.max() < prompts):
        raise ValueError(f"rows names one of {prompts} prompts for each of {n} texts.")
    return found


def check_scored(scored: Any, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many tokens of each text are scored; without ``scored`` all.

    Raises
    ------
    ValueError
        If a text has fewer.
    """
    found = lengths if scored is None else np.broadcast_to(np.asarray(scored, np.int64), lengths.shape)
    if (found < 0).any() or (found > lengths).any():
        raise ValueError("scored is a number of tokens from the start of each text, at most as many as it has.")
    return found


def read_weights(folder: Path) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Return the weights, in float64, and the config of a Llama in a folder."""
    from safetensors.numpy import load_file

    weights = load_file(folder / "model.safetensors")
    return (
        {name.removeprefix("model."): weight.astype(np.float64) for name, weight in weights.items()},
        json.loads((folder / "config.json").read_text(encoding="utf-8")),
    )


def _norm(x: Floats, scale: Floats, eps: float) -> Floats:
    """Scale vectors to a mean square of 1 (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019)."""
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps) * scale


def _rotate(x: Floats, base: float) -> Floats:
    """Turn the pairs (k, k + d/2) of the heads [heads, t, d] by their position times base ** (-2k/d)."""
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[1])[:, None] * base ** (-np.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), -1)


def llama_states(weights: Mapping[str, Floats], config: Mapping[str, Any], ids: ArrayLike) -> Floats:
    """Return the states of one text: shape [t, width], after the last norm.

    Parameters
    ----------
    weights, config
        As :func:`read_weights` returns them.
    ids
        Token ids, shape [t].

    Notes
    -----
    Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023.
    """
    heads, shared = config["num_attention_heads"], config["num_key_value_heads"]
    eps, base = config["rms_norm_eps"], config["rope_parameters"]["rope_theta"]
    x = weights["embed_tokens.weight"][np.asarray(ids)]
    t = len(x)
    future = np.triu(np.full((t, t), -np.inf), 1)
    for number in range(config["num_hidden_layers"]):
        layer = {
            name.removeprefix(f"layers.{number}.").removesuffix(".weight"): weight
            for name, weight in weights.items()
            if name.startswith(f"layers.{number}.")
        }
        y = _norm(x, layer["input_layernorm"], eps)
        q, k, v = (
            (y @ layer[f"self_attn.{name}_proj"].T).reshape(t, count, -1).swapaxes(0, 1)
            for name, count in (("q", heads), ("k", shared), ("v", shared))
        )
        k, v = (np.repeat(part, heads // shared, axis=0) for part in (_rotate(k, base), v))
        scores = _rotate(q, base) @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]) + future
        mixed = np.exp(log_softmax(scores)) @ v
        x = x + mixed.swapaxes(0, 1).reshape(t, -1) @ layer["self_attn.o_proj"].T
        y = _norm(x, layer["post_attention_layernorm"], eps)
        gate = y @ layer["mlp.gate_proj"].T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ layer["mlp.up_proj"].T)) @ layer["mlp.down_proj"].T
    return _norm(x, weights["norm.weight"], eps)


def token_log_probabilities(logits: ArrayLike, ids: ArrayLike) -> Floats:
    """Return the log-probability of each token of texts that continue one token.

    Parameters
    ----------
    logits
        What the model says after each token, shape [n, t, vocabulary].
    ids
        The tokens read, shape [n, t].

    Returns
    -------
    numpy.ndarray
        Shape [n, t - 1]: of token 1 given token 0, of token 2 given both, and so on.
    """
    after = log_softmax(np.asarray(logits, np.float64))[:, :-1]
    return np.take_along_axis(after, np.asarray(ids)[:, 1:, None], axis=2)[..., 0]


def mean_log_likelihood(logits: ArrayLike, ids: ArrayLike, lengths: ArrayLike) -> Floats:
    """Return the mean log-probability of the tokens of each text that continues one token, shape [n].

    Parameters
    ----------
    logits
        What the model says after each token, shape [n, t, vocabulary].
    ids
        The tokens read: the last of a prompt, the text, padding; shape [n, t].
    lengths
        Tokens of each text, at least one and at most t - 1: shape [n].
    """
    values, count = token_log_probabilities(logits, ids), np.asarray(lengths)
    real = np.arange(values.shape[1]) < count[:, None]
    return np.where(real, values, 0.0).sum(1) / count


def best_swaps(slope: ArrayLike, table: ArrayLike, k: int) -> NDArray[np.int64]:
    """Return the k tokens of each position that promise the largest rise, the best first: shape [positions, k].

    To first order a loss with the gradient g at the vector e changes by g . (w - e) when w stands there instead;
    g . e is the same for all tokens.

    Parameters
    ----------
    slope
        Gradient with respect to the vectors of the positions, shape [positions, width].
    table
        Vectors of the tokens, shape [vocabulary, width].
    k
        How many.

    Notes
    -----
    Ebrahimi et al., "HotFlip: White-Box Adversarial Examples for Text Classification", ACL 2018.
    """
    promised = np.asarray(slope, np.float64) @ np.asarray(table, np.float64).T
    return np.argsort(-promised, axis=1, kind="stable")[:, :k]
