"""A recommender that reads what a user did in order: self-attention over the last items, and its training."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from advrec_teach.reference_sequential import BLOCK, TINY, check_fit_sequential, first_weights
from advrec_teach.sequences import check_sequences
from advrec_teach.tensorflow import _setup
from advrec_teach.tensorflow._training import History
from advrec_teach.tensorflow.attacks import _direction
from advrec_teach.tensorflow.tensors import generator, numpy, tensor

Weights = dict[str, tf.Tensor]


def sequential_loss(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return the mean of -log softmax(logits)[target] over all places that have a target.

    Parameters
    ----------
    logits
        Scores of all items, shape [..., n_items].
    targets
        Item ids, int64, shape [...]; ``n_items``, the padding id, where there is none.
    """
    n_items = logits.shape[-1]
    real = targets < n_items
    # Any item will do where there is no target: its loss is not counted.
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(real, targets, 0), logits)
    return tf.reduce_sum(tf.where(real, losses, 0.0)) / tf.reduce_sum(tf.cast(real, losses.dtype))


def _sampled_loss(states: tf.Tensor, targets: tf.Tensor, table: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Return an estimate of :func:`sequential_loss` that compares each target with the items ``others`` alone."""
    n_items = table.shape[0]
    real = targets < n_items
    score = tf.reduce_sum(states * tf.gather(table, tf.where(real, targets, 0)), -1, keepdims=True)
    # Each of the others, drawn uniformly, stands for n_items / len(others) items.
    rest = tf.matmul(states, tf.gather(table, others), transpose_b=True) + math.log(n_items / others.shape[0])
    rest = tf.where(targets[..., None] == others, rest.dtype.min, rest)
    losses = tf.reduce_logsumexp(tf.concat((score, rest), -1), -1) - score[..., 0]
    return tf.reduce_sum(tf.where(real, losses, 0.0)) / tf.reduce_sum(tf.cast(real, losses.dtype))


def _embed(table: tf.Tensor, sequences: tf.Tensor) -> tf.Tensor:
    """Return the rows of ``table``, and zeros for the padding id behind its last row."""
    return tf.gather(tf.pad(table, ((0, 1), (0, 0))), sequences)


def _normalise(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Return each vector with mean 0 and variance 1, then scaled and shifted."""
    x = x - tf.reduce_mean(x, -1, keepdims=True)
    return x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + TINY) * scale + shift


def _block(w: Weights, h: tf.Tensor, masks: Any) -> tf.Tensor:
    """Attention to earlier places, then a small network at each place; both are added to what they read.

    The three masks are factors of dropout.
    """
    x = _normalise(h, w["scale_1"], w["shift_1"])
    match = tf.matmul(x @ w["query"], x @ w["key"], transpose_b=True) * h.shape[2] ** -0.5
    places = tf.range(tf.shape(h)[1])
    match = tf.where(places[:, None] >= places, match, match.dtype.min)
    h = h + masks[0] * (tf.nn.softmax(match) @ (x @ w["value"]))
    x = _normalise(h, w["scale_2"], w["shift_2"])
    return h + masks[2] * (masks[1] * tf.nn.relu(x @ w["inner"] + w["bias_1"]) @ w["outer"] + w["bias_2"])


def _states(w: Weights, vectors: tf.Tensor, masks: Any) -> tf.Tensor:
    """Return the states after each place, computed with the weights ``w`` and the given factors of dropout."""
    h = masks[0] * (vectors + w["positions"][: tf.shape(vectors)[1]])
    blocks = sum(name.endswith("_query") for name in w)
    for k in range(blocks):
        h = _block({name: w[f"block_{k}_{name}"] for name in BLOCK}, h, masks[1 + 3 * k :])
    return _normalise(h, w["scale"], w["shift"])


class SequentialModel(keras.Model):
    """SASRec with one head: the score of an item is its vector times the state after a user's last item.

    Parameters
    ----------
    n_items
        Number of items, which is also the padding id.
    dim
        Length d of every vector and state.
    length
        Largest number of items that the model reads.
    blocks
        Number of blocks of attention.
    seed
        Seed of the first weights, which are the same in both tracks.
    std
        Standard deviation of the first entries of the item vectors and positions.

    Attributes
    ----------
    item_vectors
        The table of item vectors, shape [n_items, d]. It turns items into what the model reads, and states into
        scores.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``blocks``: from 0), or ``std`` is not positive.

    Notes
    -----
    Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018. Sequences hold item ids, oldest first,
    then padding, as :func:`advrec_teach.sequences.last_items` makes them. A state depends on the items up to its
    place and on no later one.
    """

    def __init__(
        self, n_items: int, *, dim: int = 64, length: int = 50, blocks: int = 1, seed: int = 0, std: float = 0.05
    ):
        super().__init__()
        first = first_weights(n_items, dim=dim, length=length, blocks=blocks, seed=seed, std=std)
        self._named = {}
        with tf.device(_setup.device()):
            for name, values in first.items():
                variable = self.add_weight(shape=values.shape, initializer="zeros", name=name, dtype="float32")
                variable.assign(values)
                self._named[name] = variable
        self.item_vectors, self.positions = self._named["item_vectors"], self._named["positions"]
        self._sizes = {"n_items": n_items, "dim": dim, "length": length, "blocks": blocks}

    def _tensors(self) -> Weights:
        """Return all weights by name, in the order of the variables."""
        return {name: tf.convert_to_tensor(variable) for name, variable in self._named.items()}

    def embed(self, sequences: tf.Tensor, *, table: tf.Tensor | None = None) -> tf.Tensor:
        """Return the vectors of the items that the model reads, zero where there is padding.

        Parameters
        ----------
        sequences
            Item ids, int64, shape [n, any].
        table
            Item vectors, shape [n_items, d]; left out, the model's own.

        Returns
        -------
        tf.Tensor
            Shape [n, any, d].
        """
        return _embed(tf.convert_to_tensor(self.item_vectors if table is None else table), sequences)

    def states(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return what the model knows after each place: vectors and states have shape [n, any, d]."""
        return _states(self._tensors(), vectors, [1.0] * (1 + 3 * self._sizes["blocks"]))

    def logits(self, vectors: tf.Tensor, *, table: tf.Tensor | None = None) -> tf.Tensor:
        """Return the scores of all items after each place.

        Parameters
        ----------
        vectors
            What the model reads, shape [n, any, d], from :meth:`embed`.
        table
            Item vectors that the states are compared with, shape [n_items, d]; left out, the model's own.

        Returns
        -------
        tf.Tensor
            Shape [n, any, n_items].
        """
        table = tf.convert_to_tensor(self.item_vectors if table is None else table)
        return tf.matmul(self.states(vectors), table, transpose_b=True)

    def scores_from(self, vectors: tf.Tensor, sequences: tf.Tensor, *, table: tf.Tensor | None = None) -> tf.Tensor:
        """Return the scores of all items after the last item of each sequence.

        Parameters
        ----------
        vectors
            What the model reads, shape [n, any, d]: :meth:`embed` of the sequences, perturbed or not.
        sequences
            Item ids, int64, shape [n, any]: they say where each sequence ends.
        table
            Item vectors that the states are compared with, shape [n_items, d]; left out, the model's own.

        Returns
        -------
        tf.Tensor
            Shape [n, n_items]. A sequence without items is scored as if it had read one vector of zeros.
        """
        table = tf.convert_to_tensor(self.item_vectors if table is None else table)
        real = tf.cast(sequences < table.shape[0], tf.int32)
        last = tf.maximum(tf.reduce_sum(real, 1) - 1, 0)
        state = tf.gather(self.states(vectors), last, batch_dims=1)
        return tf.matmul(state, table, transpose_b=True)

    def call(self, sequences: tf.Tensor) -> tf.Tensor:
        """Map states of shape [n, any, d] to states of the same shape; the three masks are factors of dropout."""
        return self.scores_from(self.embed(sequences), sequences)

    def score_all(self, sequences: Any) -> tf.Tensor:
        """Return the scores of all items after the last item of each sequence, without history.

        Parameters
        ----------
        sequences
            Item ids as an array or a tensor, shape [n, at most ``length``].

        Returns
        -------
        tf.Tensor
            Shape [n, n_items].

        Raises
        ------
        ValueError
            If the sequences are no table of item ids, too long, or hold padding before an item.
        """
        sequences = tensor(check_sequences(numpy(sequences), self._sizes["n_items"], width=self._sizes["length"]))
        with tf.device(_setup.device()):
            return tf.stop_gradient(self.scores_from(self.embed(sequences), sequences))

    def copy(self) -> "SequentialModel":
        """Return a model with the same weights in memory of its own."""
        twin = type(self)(**self._sizes)
        for name, variable in self._named.items():
            twin._named[name].assign(variable)
        return twin


def _slopes(
    w: Weights,
    batch: tf.Tensor,
    masks: tf.Tensor,
    others: tf.Tensor | None,
    s: Weights,
    adversarial: bool,
    noise: tf.Tensor | None,
) -> tuple[tf.Tensor, Weights]:
    """Return the loss of a batch and the gradient of what is minimised; ``s`` holds the settings.

    ``noise`` holds directions that replace those in which the loss rises.
    """
    inputs, targets = batch[:, :-1], batch[:, 1:]

    def loss_at(vectors: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
        states = _states(w, vectors, masks)
        if others is None:
            return sequential_loss(tf.matmul(states, w["item_vectors"], transpose_b=True), targets)
        return _sampled_loss(states, targets, w["item_vectors"], others)

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(w)
        vectors = _embed(w["item_vectors"], inputs)
        loss = loss_at(vectors, masks[0])
    # One way back gives the gradient of the vectors, which makes the attack, and that of the weights.
    rise, slopes = tape.gradient(loss, (vectors, w))
    if adversarial:
        rise = rise if noise is None else noise
        delta = s["eps"] * tf.reshape(_direction(tf.reshape(rise, (-1, rise.shape[2])), "l2"), tf.shape(rise))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(w)
            moved = s["adv_weight"] * loss_at(_embed(w["item_vectors"], inputs) + delta, masks[1])
        more = tape.gradient(moved, w)
        slopes = {name: slopes[name] + more[name] for name in w}
    return loss, slopes


def _epoch(
    adversarial: bool,
    direction: str,
    negatives: int | None,
    w: Weights,
    state: tuple,
    rows: tf.Tensor,
    batches: tf.Tensor,
    seed: tf.Tensor,
    s: Weights,
) -> tuple[Weights, tuple, tf.Tensor]:
    """Run through all batches, whose rows are named by number; ``s`` holds the settings, ``state`` Adam's."""
    n_batches = tf.shape(batches)[0]
    blocks = sum(name.endswith("_query") for name in w)
    shape = (1 + adversarial, 1 + 3 * blocks, batches.shape[1], rows.shape[1] - 1, w["positions"].shape[1])

    def step(k: tf.Tensor, w: Weights, mean: Weights, squares: Weights, t: tf.Tensor, total: tf.Tensor) -> tuple:
        draw = tf.random.stateless_uniform(shape, tf.stack((seed, k)))
        others = None
        if negatives is not None:
            others = tf.random.stateless_uniform(
                (negatives,), tf.stack((k, seed)), maxval=w["item_vectors"].shape[0], dtype=tf.int64
            )
        masks = tf.where(draw >= s["dropout"], 1 / (1 - s["dropout"]), 0.0)
        batch = tf.gather(rows, batches[k])
        noise = None
        if adversarial and direction == "random":
            noise = tf.random.stateless_normal((*shape[2:4], shape[4]), tf.stack((seed, -1 - k)))
        loss, g = _slopes(w, batch, masks, others, s, adversarial, noise)
        t = t + 1
        mean = {n: mean[n] + 0.1 * (g[n] - mean[n]) for n in w}
        squares = {n: 0.999 * squares[n] + 0.001 * g[n] * g[n] for n in w}
        rate = s["rate"] / (1 - 0.9**t)
        w = {n: w[n] - rate * mean[n] / (tf.sqrt(squares[n] / (1 - 0.999**t)) + 1e-8) for n in w}
        return k + 1, w, mean, squares, t, total + loss

    start = (tf.constant(0), w, *state, tf.constant(0.0))
    _, w, mean, squares, t, total = tf.while_loop(lambda k, *_: k < n_batches, step, start)
    return w, (mean, squares, t), total / tf.cast(n_batches, tf.float32)


_plain = tf.function(_epoch, autograph=False)
_xla = tf.function(_epoch, autograph=False, jit_compile=True)


def fit_sequential(
    model: SequentialModel,
    sequences: Any,
    *,
    epochs: int,
    learning_rate: float = 0.003,
    batch_size: int = 32,
    dropout: float = 0.2,
    negatives: int | None = 256,
    eps: float = 0.0,
    adv_weight: float = 1.0,
    direction: str = "fgm",
    seed: int = 0,
    compile: bool | None = None,
    callback: Callable[[SequentialModel, dict[str, float]], Any] | None = None,
) -> History:
    """Train ``model`` in place to predict every next item, with Adam; an epoch visits each row once, in random order.

    Parameters
    ----------
    model
        What is trained.
    sequences
        Item ids, shape [n, at most ``length`` + 1], from :func:`advrec_teach.sequences.windows`: the model reads
        all columns but the last, and after each item the next one is its target.
    epochs
        Passes over the rows.
    learning_rate
        Step size of Adam.
    batch_size
        Largest number of rows in a step. The rows are split into equal batches; the last is filled up with the first
        few of the epoch.
    dropout
        Share of the entries that are set to zero at random in training: of what is read, of what attention adds, and
        of both layers of the small network.
    negatives
        Number of items, drawn anew for each step and uniformly, that stand for all others in the loss; None, or
        ``n_items`` and more, takes all, which learns more in an epoch and takes several times as long.
    eps
        Above 0, the training is adversarial: each step adds the loss at item vectors that were moved by ``eps`` (L2,
        each place on its own) in the direction in which the loss rises. The move is a constant to the step.
    adv_weight
        Weight of the loss at the moved vectors.
    direction
        ``"fgm"``: in the direction in which the loss rises; ``"random"``: in a random direction, the control that tells
        training against an attack from training with noise.
    seed
        Seed of the order, of the dropout and of the negatives.
    compile
        True compiles the whole epoch with XLA, which takes some seconds, once, and draws other numbers from the same
        seed; False runs it as a plain graph; None takes what is fastest here, which is False.
    callback
        Called after each epoch with the model and the epoch's record; training stops when it returns True.

    Returns
    -------
    list of dict
        One record an epoch: ``epoch`` (from 1), ``loss`` (mean of :func:`sequential_loss` or of its estimate, at
        the unmoved vectors and with dropout), ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range, the sequences are not of the model's items, or a row has nothing to predict.

    Notes
    -----
    The perturbation is :func:`fgm_delta`'s, and the training Miyato, Dai and Goodfellow's, "Adversarial Training
    Methods for Semi-Supervised Text Classification", ICLR 2017, here on items in place of words.
    """
    sizes = model._sizes
    rows = tensor(
        check_fit_sequential(
            numpy(sequences),
            sizes["n_items"],
            sizes["length"],
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            dropout=dropout,
            negatives=negatives,
            eps=eps,
            adv_weight=adv_weight,
            direction=direction,
        )
    )
    if negatives is not None and negatives >= sizes["n_items"]:
        negatives = None
    run = _xla if compile else _plain
    n = rows.shape[0]
    n_batches = -(-n // batch_size)
    size = -(-n // n_batches)
    history: History = []
    with tf.device(_setup.device()):
        random = generator(seed)
        settings = {"rate": learning_rate, "dropout": dropout, "eps": eps, "adv_weight": adv_weight}
        settings = {name: tf.constant(value, tf.float32) for name, value in settings.items()}
        w = model._tensors()
        state = (
            {k: tf.zeros_like(v) for k, v in w.items()},
            {k: tf.zeros_like(v) for k, v in w.items()},
            tf.constant(0.0),
        )
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            draw = random.uniform((3,), maxval=tf.int32.max, dtype=tf.int32)
            order = tf.random.experimental.stateless_shuffle(tf.range(n), draw[:2])
            order = tf.concat((order, order[: n_batches * size - n]), 0)
            batches = tf.reshape(order, (n_batches, size))
            w, state, loss = run(eps > 0, direction, negatives, w, state, rows, batches, draw[2], settings)
            for name, values in w.items():
                model._named[name].assign(values)
            record = {"epoch": epoch, "loss": float(loss), "seconds": time.perf_counter() - start}
            history.append(record)
            if callback is not None and callback(model, record) is True:
                break
    return history
