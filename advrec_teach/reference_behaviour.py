"""Networks that invent users, and networks that judge them, in NumPy and float64; and what both tracks share of them.

A *row* holds ``length`` different item ids, the oldest first: a piece of one user's history. A *relaxed* row holds a
vector of ``n_items`` numbers at each place, of which a one-hot vector is the special case of an item.

The generator is an LSTM (Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997). A user
rates a film once, so it never draws an item that is in the row already.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.sequences import check_whole

Array = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]
Named = Mapping[str, NDArray[Any]]

KINDS = ("cnn", "rnn")
ESTIMATORS = ("straight-through", "gumbel", "reinforce")
# Widths of the convolutional discriminator's filters: how many neighbouring items each of them sees.
WIDTHS = (2, 3, 4)
# Added to the logit of an item that is in the row already: its probability is 0 in float32.
USED = -1e9


# --- first weights


def generator_weights(n_items: int, *, dim: int, hidden: int, seed: int) -> Weights:
    """Return the weights that a generator starts from, by name: the same in both tracks for the same seed.

    ``vectors`` [n_items + 1, dim], whose last row is what the generator reads before the first item; ``input``
    [dim, 4 hidden], ``state`` [hidden, 4 hidden] and ``gates`` [4 hidden] of the LSTM, in the order input, forget,
    candidate, output; ``out`` [hidden, n_items] and ``bias`` [n_items].

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2).
    """
    _sizes(n_items=n_items, dim=dim, hidden=hidden)
    rng = np.random.default_rng(seed)
    return {
        "vectors": _normal(rng, (n_items + 1, dim), 0.3),
        **_lstm_weights(rng, dim, hidden),
        "out": _normal(rng, (hidden, n_items), hidden**-0.5),
        "bias": np.zeros(n_items, np.float32),
    }


def discriminator_weights(n_items: int, *, kind: str, dim: int, hidden: int, seed: int) -> Weights:
    """Return the weights that a discriminator starts from, by name: the same in both tracks for the same seed.

    ``vectors`` [n_items, dim]; for ``"cnn"`` a filter ``filter_w`` [w dim, hidden] and a bias ``bias_w`` [hidden] for
    each width w; for ``"rnn"`` the LSTM's ``input``, ``state`` and ``gates``; and ``out`` [features, 1], ``bias`` [1].

    Raises
    ------
    ValueError
        If the kind is unknown or a size is not a whole number from 1 (``n_items``: from 2).
    """
    check_choice("kind", kind, KINDS)
    _sizes(n_items=n_items, dim=dim, hidden=hidden)
    rng = np.random.default_rng(seed)
    weights = {"vectors": _normal(rng, (n_items, dim), 0.3)}
    features = hidden
    if kind == "cnn":
        features = hidden * len(WIDTHS)
        for width in WIDTHS:
            weights[f"filter_{width}"] = _normal(rng, (width * dim, hidden), (width * dim) ** -0.5)
            weights[f"bias_{width}"] = np.zeros(hidden, np.float32)
    else:
        weights |= _lstm_weights(rng, dim, hidden)
    return {**weights, "out": _normal(rng, (features, 1), features**-0.5), "bias": np.zeros(1, np.float32)}


def vae_weights(n_items: int, *, hidden: int, latent: int, seed: int) -> Weights:
    """Return the weights that a variational autoencoder starts from, by name: the same in both tracks.

    ``read`` [n_items, hidden] and ``read_bias``; ``code`` [hidden, 2 latent] and ``code_bias``, means first, then
    logarithms of the variances; ``write`` [latent, hidden] and ``write_bias``; ``out`` [hidden, n_items], ``bias``.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2).
    """
    _sizes(n_items=n_items, hidden=hidden, latent=latent)
    rng = np.random.default_rng(seed)
    layers = (("read", n_items, hidden), ("code", hidden, 2 * latent), ("write", latent, hidden))
    weights = {}
    for name, wide, narrow in layers:
        weights[name] = _normal(rng, (wide, narrow), (2 / (wide + narrow)) ** 0.5)
        weights[f"{name}_bias"] = np.zeros(narrow, np.float32)
    return {**weights, "out": _normal(rng, (hidden, n_items), hidden**-0.5), "bias": np.zeros(n_items, np.float32)}


def _lstm_weights(rng: np.random.Generator, dim: int, hidden: int) -> Weights:
    gates = np.zeros(4 * hidden, np.float32)
    gates[hidden : 2 * hidden] = 1  # remembers at first
    shapes = {"input": (dim, 4 * hidden), "state": (hidden, 4 * hidden)}
    return {name: _normal(rng, shape, shape[0] ** -0.5) for name, shape in shapes.items()} | {"gates": gates}


def _normal(rng: np.random.Generator, shape: tuple[int, int], std: float) -> NDArray[np.float32]:
    return (std * rng.standard_normal(shape)).astype(np.float32)


def _sizes(n_items: int, **sizes: int) -> None:
    check_whole("n_items", n_items, 2)
    for name, size in sizes.items():
        check_whole(name, size, 1)


# --- generator


def lstm_step(w: Named, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """Return hidden state and cell state, [n, hidden], after one more input x [n, dim]."""
    i, f, g, o = np.split(x @ w["input"] + h @ w["state"] + w["gates"], 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def generator_logits(w: Named, sequences: ArrayLike) -> Array:
    """Return the logits of each item of the rows [n, length], given those before it: shape [n, length, n_items].

    An item that stands before it in the row has :data:`USED` added to its logit.
    """
    rows = np.asarray(sequences)
    n_items = len(w["bias"])
    h = c = np.zeros((len(rows), len(w["state"])))
    used, found = np.zeros((len(rows), n_items)), []
    x = np.tile(np.asarray(w["vectors"][-1], np.float64), (len(rows), 1))
    for place in range(rows.shape[1]):
        h, c = lstm_step(w, x, h, c)
        found.append(h @ w["out"] + w["bias"] + USED * used)
        used[np.arange(len(rows)), rows[:, place]] = 1
        x = np.asarray(w["vectors"], np.float64)[rows[:, place]]
    return np.stack(found, axis=1)


def log_probabilities(w: Named, sequences: ArrayLike) -> Array:
    """Return the logarithm of the generator's probability of each item, given those before it: [n, length]."""
    logits = generator_logits(w, sequences)
    chosen = np.take_along_axis(logits, np.asarray(sequences)[..., None], axis=-1)[..., 0]
    return chosen - _logsumexp(logits)


def roll(w: Named, noise: ArrayLike) -> NDArray[np.int64]:
    """Return the rows that the generator draws with this Gumbel noise [n, length, n_items]: argmax(logits + noise)."""
    noise = np.asarray(noise, np.float64)
    rows = np.zeros(noise.shape[:2], np.int64)
    for place in range(noise.shape[1]):
        # What stands at later places does not reach these logits.
        rows[:, place] = (generator_logits(w, rows[:, : place + 1])[:, place] + noise[:, place]).argmax(-1)
    return rows


def gumbel_softmax(logits: ArrayLike, noise: ArrayLike, *, temperature: float) -> Array:
    """Return softmax((logits + noise) / temperature) over the last axis.

    With standard Gumbel noise, -log(-log u), the largest entry is a draw from softmax(logits), whatever the
    temperature; the vector comes near to its one-hot as the temperature goes to 0. Jang, Gu and Poole, "Categorical
    Reparameterization with Gumbel-Softmax", and Maddison, Mnih and Teh, "The Concrete Distribution", both ICLR 2017.
    """
    return softmax((np.asarray(logits, np.float64) + np.asarray(noise, np.float64)) / temperature)


def reinforce_loss(log_probability: ArrayLike, rewards: ArrayLike) -> float:
    """Return -mean (reward - mean reward) log p, whose gradient follows the reward uphill; Williams (1992).

    Parameters
    ----------
    log_probability
        Logarithm of the probability of each drawn row, shape [n].
    rewards
        What each row is worth, shape [n]; a constant to the gradient. Their mean is the baseline.
    """
    rewards = np.asarray(rewards, np.float64)
    return float(-np.mean((rewards - rewards.mean()) * np.asarray(log_probability, np.float64)))


# --- discriminators


def one_hot(rows: ArrayLike, n_items: int) -> Array:
    """Return rows of item ids [n, length] as relaxed rows [n, length, n_items]."""
    return np.eye(n_items)[np.asarray(rows)]


def discriminator_logits(w: Named, relaxed: ArrayLike) -> Array:
    """Return the logits "real" of relaxed rows [n, length, n_items]: shape [n].

    A convolutional one, known by its filters, takes for each filter the largest response over all places (Kim,
    "Convolutional Neural Networks for Sentence Classification", EMNLP 2014); a recurrent one takes the mean of the
    LSTM's states over all places.
    """
    x = np.asarray(relaxed, np.float64) @ w["vectors"]
    n, length = x.shape[:2]
    if "state" in w:
        h = c = np.zeros((n, len(w["state"])))
        states = []
        for place in range(length):
            h, c = lstm_step(w, x[:, place], h, c)
            states.append(h)
        features = np.mean(states, axis=0)
    else:
        found = []
        for width in WIDTHS:
            pieces = np.concatenate([x[:, k : length - width + 1 + k] for k in range(width)], axis=-1)
            found.append(np.maximum(pieces @ w[f"filter_{width}"] + w[f"bias_{width}"], 0).max(axis=1))
        features = np.concatenate(found, axis=-1)
    return (features @ w["out"] + w["bias"])[:, 0]


# --- variational autoencoder


def vae_encode(w: Named, table: ArrayLike) -> tuple[Array, Array]:
    """Return mean and logarithm of the variance of each user's code, [n, latent], for a 0-1 table [n, n_items]."""
    x = np.asarray(table, np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    mean, log_variance = np.split(np.tanh(x @ w["read"] + w["read_bias"]) @ w["code"] + w["code_bias"], 2, axis=-1)
    return mean, log_variance


def vae_decode(w: Named, codes: ArrayLike) -> Array:
    """Return the logits of all items, [n, n_items], for codes [n, latent]."""
    return np.tanh(np.asarray(codes, np.float64) @ w["write"] + w["write_bias"]) @ w["out"] + w["bias"]


def vae_loss(logits: ArrayLike, table: ArrayLike, mean: ArrayLike, log_variance: ArrayLike, *, beta: float) -> float:
    """Return the mean over users of -sum x log softmax(logits) + beta KL(N(mean, variance), N(0, 1)).

    With beta = 1 it is the negative of the evidence lower bound (Kingma and Welling, "Auto-Encoding Variational
    Bayes", ICLR 2014) with the multinomial likelihood of Liang, Krishnan, Hoffman and Jebara, "Variational
    Autoencoders for Collaborative Filtering", WWW 2018.
    """
    logits, x = np.asarray(logits, np.float64), np.asarray(table, np.float64)
    mean, log_variance = np.asarray(mean, np.float64), np.asarray(log_variance, np.float64)
    reconstruction = -(x * log_softmax(logits)).sum(axis=1)
    divergence = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1)
    return float((reconstruction + beta * divergence).mean())


# --- arithmetic


def log_softmax(logits: ArrayLike) -> Array:
    """Return the logarithm of softmax over the last axis."""
    logits = np.asarray(logits, np.float64)
    return logits - _logsumexp(logits)[..., None]


def softmax(logits: ArrayLike) -> Array:
    """Return softmax over the last axis."""
    return np.exp(log_softmax(logits))


def _logsumexp(logits: Array) -> Array:
    largest = logits.max(axis=-1, keepdims=True)
    return (largest + np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True)))[..., 0]


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


# --- checks that both tracks share


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise a ValueError unless ``value`` is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")


def check_rows(rows: ArrayLike, n_items: int, *, length: int | None = None) -> NDArray[np.int64]:
    """Return rows as an int64 array after checking that each holds different items of the model.

    Raises
    ------
    ValueError
        If the array is no table of whole numbers, has no row, is not ``length`` wide, an id is out of range, or a
        row holds an item twice.
    """
    found = np.asarray(rows)
    if found.ndim != 2 or found.dtype.kind not in "iu" or not found.size:
        raise ValueError(f"rows have shape {found.shape} and type {found.dtype}; give a table of item ids.")
    if length is not None and found.shape[1] != length:
        raise ValueError(f"rows have {found.shape[1]} columns and the model takes {length}.")
    if found.min() < 0 or found.max() >= n_items:
        raise ValueError(
            f"rows hold ids from {found.min()} to {found.max()}; items go from 0 to {n_items - 1}, without padding."
        )
    ordered = np.sort(found, axis=1)
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        raise ValueError("A row holds an item twice; the generator draws each item once, so it cannot learn that.")
    return found.astype(np.int64)


def check_training(*, rates: tuple[float, ...] = (), temperature: float = 1.0, **counts: int) -> None:
    """Raise a ValueError that says what to mend if a training cannot run with these settings."""
    for name, value in counts.items():
        check_whole(name, value, 1)
    if any(rate < 0 for rate in rates):
        raise ValueError(f"learning rates are {rates!r}; none of them may be negative.")
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature!r}; give a positive number.")


def check_length(length: int, n_items: int) -> None:
    """Raise a ValueError unless a row of so many different items can be drawn."""
    check_whole("length", length, 1)
    if length > n_items:
        raise ValueError(f"length is {length} and there are {n_items} items; a row holds each item once.")


def check_equal(real: int, fake: int) -> None:
    """Raise a ValueError unless there are as many real rows as fake ones."""
    if real != fake:
        raise ValueError(f"there are {real} real and {fake} fake rows; give as many of each.")


def check_vae(*, beta: float, dropout: float) -> None:
    """Raise a ValueError unless the autoencoder can be trained with these settings."""
    if beta < 0:
        raise ValueError(f"beta is {beta!r}; give a weight from 0.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout!r}; give a share from 0, below 1.")


def check_table(table: ArrayLike, n_items: int) -> NDArray[np.float32]:
    """Return a 0-1 table as float32 after checking its shape and entries.

    Raises
    ------
    ValueError
        If it is not [n, n_items], or holds anything but 0 and 1.
    """
    found = np.asarray(table)
    if found.ndim != 2 or found.shape[1] != n_items or not len(found):
        raise ValueError(f"the table has shape {found.shape}; give one row a user and {n_items} columns.")
    if not np.isin(found, (0, 1)).all():
        raise ValueError("the table holds other numbers than 0 and 1.")
    return found.astype(np.float32)
