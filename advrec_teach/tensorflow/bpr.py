"""Matrix factorisation trained with the BPR loss: model and training loop."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from advrec_teach.reference import check_fit, check_sizes
from advrec_teach.tensorflow import _setup
from advrec_teach.tensorflow._training import History, fit, loop, update


def bpr_loss(positive: tf.Tensor, negative: tf.Tensor) -> tf.Tensor:
    """Return the BPR loss: the mean of softplus(-(positive - negative)), as a tensor of one number.

    Parameters
    ----------
    positive, negative
        Scores of items that the users chose and of items that they did not, of equal shape.

    Notes
    -----
    -log sigmoid(s_ui - s_uj), Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit
    Feedback", UAI 2009, without its regularisation term.
    """
    return tf.reduce_mean(tf.nn.softplus(negative - positive))


class BPRModel(keras.Model):
    """Matrix factorisation: the score of item i for user u is p_u . q_i, without biases.

    Parameters
    ----------
    n_users, n_items
        Number of users and of items.
    dim
        Length d of every vector.
    seed
        Seed of the first vectors, which are the same in both tracks.
    std
        Standard deviation of their entries.

    Attributes
    ----------
    user_vectors, item_vectors
        The matrices P, shape [n_users, d], and Q, shape [n_items, d].
    """

    def __init__(self, n_users: int, n_items: int, *, dim: int = 64, seed: int = 0, std: float = 0.1):
        super().__init__()
        rng = np.random.default_rng(seed)
        first = [rng.normal(0.0, std, (n, dim)).astype(np.float32) for n in (n_users, n_items)]
        with tf.device(_setup.device()):
            for name, vectors in zip(("user_vectors", "item_vectors"), first, strict=True):
                variable = self.add_weight(shape=vectors.shape, initializer="zeros", name=name, dtype="float32")
                variable.assign(vectors)
                setattr(self, name, variable)
        self._sizes = {"n_users": n_users, "n_items": n_items, "dim": dim}

    def call(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return the scores of pairs: users and items of shape [n] give scores of shape [n]."""
        return tf.reduce_sum(tf.gather(self.user_vectors, users) * tf.gather(self.item_vectors, items), -1)

    def score_all(self, users: tf.Tensor | None = None) -> tf.Tensor:
        """Return all items' scores, shape [len(users), n_items], without history; None means every user."""
        chosen = tf.convert_to_tensor(self.user_vectors) if users is None else tf.gather(self.user_vectors, users)
        return tf.stop_gradient(tf.matmul(chosen, tf.convert_to_tensor(self.item_vectors), transpose_b=True))

    def copy(self) -> "BPRModel":
        """Return a model with the same vectors in memory of its own."""
        twin = type(self)(**self._sizes)
        twin.user_vectors.assign(self.user_vectors)
        twin.item_vectors.assign(self.item_vectors)
        return twin


def bpr_gradients(p_u: tf.Tensor, q_i: tf.Tensor, q_j: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the mean BPR loss of n triples and its gradient with respect to their vectors, by formula.

    Parameters
    ----------
    p_u, q_i, q_j
        Vectors of users, chosen items and other items, each of shape [n, d].

    Returns
    -------
    loss, dp, dqi, dqj
        As in :func:`advrec_teach.reference.bpr_gradients`; equal to what a tape finds, without its
        bookkeeping.
    """
    difference = q_i - q_j
    margin = tf.reduce_sum(p_u * difference, 1)
    slope = (-tf.sigmoid(-margin) / tf.cast(tf.size(margin), margin.dtype))[:, None]
    dqi = slope * p_u
    return tf.reduce_mean(tf.nn.softplus(-margin)), slope * difference, dqi, -dqi


def _epoch(
    optimizer: str,
    dtype: tf.DType,
    table: tf.Tensor,
    state: tuple,
    batches: tf.Tensor,
    rate: tf.Tensor,
    regularisation: tf.Tensor,
) -> tuple[tf.Tensor, tuple, tf.Tensor]:
    """Run through all batches with steps on the BPR loss."""

    def step(k: tf.Tensor, rows: tf.Tensor, table: tf.Tensor, state: tuple) -> tuple:
        vectors = tf.cast(tf.gather(table, rows), dtype)
        p, qi, qj = tf.split(vectors, 3)
        loss, dp, dqi, dqj = bpr_gradients(p, qi, qj)
        weight = tf.cast(2 * regularisation, dtype) / tf.cast(tf.shape(p)[0], dtype)
        slopes = tf.cast(tf.concat((dp, dqi, dqj), 0) + weight * vectors, table.dtype)
        gradient = tf.math.unsorted_segment_sum(slopes, rows, table.shape[0])
        return *update(optimizer, table, gradient, state, rate), loss[None]

    return loop(step, table, state, batches, 1)


_plain = tf.function(_epoch, autograph=False)
_xla = tf.function(_epoch, autograph=False, jit_compile=True)


def fit_bpr(
    model: BPRModel,
    train: Any,
    *,
    epochs: int,
    learning_rate: float = 0.05,
    regularisation: float = 0.005,
    batch_size: int = 1024,
    seed: int = 0,
    optimizer: str = "adagrad",
    compile: bool | None = None,
    precision: str | None = None,
    callback: Callable[[BPRModel, dict[str, float]], Any] | None = None,
) -> History:
    """Train ``model`` in place on the BPR loss; every epoch visits each interaction once, in random order.

    Parameters
    ----------
    model
        What is trained. Its vectors are the only parameters, and both have the same length d.
    train
        The interactions, a :class:`advrec_teach.splits.Interactions`.
    epochs
        Passes over the interactions.
    learning_rate
        Step size of the optimiser.
    regularisation
        Weight of ||p_u||^2 + ||q_i||^2 + ||q_j||^2, averaged over the batch and added to the loss.
    batch_size
        Largest number of triples in a step. The interactions are split into equal batches; the last is
        filled up with the first few of the epoch.
    seed
        Seed of the order and of the negatives.
    optimizer
        ``"adagrad"``, ``"adam"`` or ``"sgd"``, with the defaults of their papers.
    compile
        True compiles the whole epoch with XLA, which takes about a second, once; False runs it as a plain
        graph; None takes what is fastest here, which is True.
    precision
        ``"bfloat16"`` computes scores and slopes in bfloat16; sums and vectors stay float32.
    callback
        Called after each epoch with the model and the epoch's record; training stops when it returns True.

    Returns
    -------
    list of dict
        One record an epoch: ``epoch`` (from 1), ``loss`` (mean BPR loss, without regularisation),
        ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range, model and interactions differ in size, or a user has every item, so
        that no negative can be drawn.

    Notes
    -----
    The gradient is taken by formula (:func:`bpr_gradients`) and summed into one table of all vectors, which
    gives the same numbers as automatic differentiation in a fraction of the time. A test holds the two equal.
    The defaults were tuned on validation items of MovieLens-100K, d = 64, for 40 to 60 epochs.
    """
    check_sizes(model.user_vectors.shape[0], model.item_vectors.shape[0], train)
    check_fit(epochs, learning_rate, regularisation, batch_size, optimizer, precision, train)
    run = _plain if compile is False else _xla
    dtype = tf.bfloat16 if precision == "bfloat16" else tf.float32
    rate, decay = tf.constant(learning_rate, tf.float32), tf.constant(regularisation, tf.float32)
    return fit(
        model,
        train,
        lambda table, state, batches, *_: run(optimizer, dtype, table, state, batches, rate, decay),
        names=("loss",),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        callback=callback,
    )
