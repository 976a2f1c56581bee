"""The text classifier of the course in NumPy and float64, and what both tracks share of it.

The encoder is BERT: Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding", NAACL 2019, here cut to its first layers. A text's vector is the mean of its last states, as
in Sentence-BERT: Reimers and Gurevych, EMNLP-IJCNLP 2019. Ids of 0 are padding.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.data import minilm_path
from advrec_teach.errors import CourseError
from advrec_teach.reference_behaviour import log_softmax
from advrec_teach.sequences import check_whole

Array = NDArray[np.float64]
LAYERS, WIDTH, HEADS, TINY = 6, 384, 12, 1e-12
ACTIVATIONS = {"tanh": "gelu_pytorch_tanh", "erf": "gelu"}
PRECISIONS = ("float32", "bfloat16")
# Miyato, Dai and Goodfellow's rule of thumb and BERT's: no step is longer than this.
CLIP = 1.0


def stored_weights(layers: int = LAYERS) -> dict[str, NDArray[np.float32]]:
    """Return the pretrained weights of the word embeddings and the first layers, by their names in the file.

    Raises
    ------
    CourseError
        If the model is not on this machine, or its file cannot be read.
    """
    import safetensors
    import safetensors.numpy

    path = minilm_path() / "model.safetensors"
    try:
        stored = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, OSError):
        raise CourseError(
            f"{path} cannot be read. Delete the folder {path.parent} and run `advrec data minilm`."
        ) from None
    kept = tuple(f"encoder.layer.{k}." for k in range(layers))
    return {
        name: value
        for name, value in stored.items()
        if name.startswith(kept) or (name.startswith("embeddings.") and value.dtype == np.float32)
    }


def first_head(classes: int, seed: int) -> NDArray[np.float32]:
    """Return the matrix of the head that training starts from, shape [384, classes]; its biases start at 0."""
    return np.random.default_rng(seed).normal(0.0, 0.02, (WIDTH, classes)).astype(np.float32)


def word_embeddings(weights: Mapping[str, ArrayLike], ids: ArrayLike) -> Array:
    """Return the vectors of the words ``ids``, before positions are added: shape [n, t, 384]."""
    return np.asarray(weights["embeddings.word_embeddings.weight"], np.float64)[np.asarray(ids)]


def states(
    weights: Mapping[str, ArrayLike], ids: ArrayLike, embeddings: ArrayLike, *, activation: str = "tanh"
) -> Array:
    """Return the last states of the encoder, shape [n, t, 384].

    Parameters
    ----------
    weights
        From :func:`stored_weights`; as many layers are run as it holds.
    ids
        Word ids, shape [n, t]; only where they are 0, the padding, is looked at, which no word attends to.
    embeddings
        Word embeddings, shape [n, t, 384].
    activation
        ``"tanh"`` for the approximation of GELU that Keras computes, ``"erf"`` for its definition.
    """
    w = {name: np.asarray(value, np.float64) for name, value in weights.items() if "word_embeddings" not in name}
    real = np.asarray(ids) != 0
    x = np.asarray(embeddings, np.float64)
    n, t, d = x.shape

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + TINY)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def heads(x: Array, name: str) -> Array:
        return linear(x, name).reshape(n, t, HEADS, d // HEADS).transpose(0, 2, 1, 3)

    x = x + w["embeddings.position_embeddings.weight"][:t] + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    k = 0
    while f"encoder.layer.{k}.attention.self.query.weight" in w:
        name = f"encoder.layer.{k}"
        query, key, value = (heads(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        match = query @ key.transpose(0, 1, 3, 2) / np.sqrt(d // HEADS)
        match = np.where(real[:, None, None, :], match, -1e30)
        read = (np.exp(log_softmax(match)) @ value).transpose(0, 2, 1, 3).reshape(n, t, d)
        x = norm(x + linear(read, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = gelu(linear(x, f"{name}.intermediate.dense"), activation)
        x = norm(x + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        k += 1
    return x


def gelu(x: ArrayLike, activation: str = "tanh") -> Array:
    """Return x times the normal distribution function at x, or its approximation by a tanh.

    Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, 2016.
    """
    from scipy.special import erf

    x = np.asarray(x, np.float64)
    if activation == "erf":
        return x * (1 + erf(x / np.sqrt(2))) / 2
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def mean_pool(states: ArrayLike, ids: ArrayLike) -> Array:
    """Return the mean of a text's states over its real words, shape [n, d]; padding (id 0) does not count."""
    real = (np.asarray(ids) != 0)[..., None]
    return (np.asarray(states, np.float64) * real).sum(1) / real.sum(1)


def text_loss(logits: ArrayLike, labels: ArrayLike, class_weights: ArrayLike | None = None) -> float:
    """Return the mean over texts of w[label] * -log softmax(logits)[label]; without weights every w is 1."""
    labels = np.asarray(labels)
    losses = -log_softmax(logits)[np.arange(len(labels)), labels]
    weights = np.ones_like(losses) if class_weights is None else np.asarray(class_weights, np.float64)[labels]
    return float((weights * losses).mean())


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Return what the learning rate is multiplied with at step number ``step`` of ``steps``, counted from 0.

    It rises in a straight line over the share ``warmup`` of the steps, and falls in one to 0 after the last.
    """
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return (steps - step) / (steps - rising)


def check_classifier(layers: int, classes: int, dropout: float, activation: str, precision: str | None) -> None:
    """Check the settings of ``TextClassifier``.

    Raises
    ------
    ValueError
        If one is out of its range.
    """
    check_whole("layers", layers, 1)
    check_whole("classes", classes, 2)
    if layers > LAYERS:
        raise ValueError(f"layers is {layers}; the pretrained network has {LAYERS}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout!r}; give a share from 0, below 1.")
    if activation not in ACTIVATIONS:
        raise ValueError(f'activation is {activation!r}; choose "tanh" or "erf".')
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(f'precision is {precision!r}; choose "float32" or "bfloat16", or leave it out.')


def check_layer(layer: int, layers: int) -> None:
    """Check the place of a move: 0 for the words, k for the states after layer k.

    Raises
    ------
    ValueError
        If the model has no such layer.
    """
    check_whole("layer", layer, 0)
    if layer > layers:
        raise ValueError(f"layer is {layer}; the model has {layers}, and 0 stands for the words.")


def check_fit_text(
    labels: ArrayLike,
    classes: int,
    *,
    steps: int,
    rate: float,
    batch_size: int,
    warmup: float,
    decay: float,
    class_weights: ArrayLike | None,
    evaluate_every: int | None,
    patience: int | None,
) -> NDArray[np.float32]:
    """Check the settings of ``fit_text_classifier`` and return the weights of the classes.

    Raises
    ------
    ValueError
        If a setting is out of its range, or a label is no class.
    """
    labels = np.asarray(labels)
    check_whole("steps", steps, 0)
    check_whole("batch_size", batch_size, 1)
    for name, whole in (("evaluate_every", evaluate_every), ("patience", patience)):
        if whole is not None:
            check_whole(name, whole, 1)
    if not 0 < rate < np.inf:
        raise ValueError(f"rate is {rate!r}; give a positive number.")
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup is {warmup!r}; give a share of the steps from 0, below 1.")
    if not 0 <= decay < np.inf:
        raise ValueError(f"decay is {decay!r}; give a number that is not negative.")
    if not len(labels):
        raise ValueError("There is no text to learn from.")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"Labels run from {labels.min()} to {labels.max()}, and the model knows 0 to {classes - 1}.")
    if class_weights is None:
        return np.ones(classes, np.float32)
    weights = np.asarray(class_weights, np.float32)
    if weights.shape != (classes,) or not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(
            f"class_weights holds {class_weights!r}; give one positive number for each of {classes} classes."
        )
    return weights
