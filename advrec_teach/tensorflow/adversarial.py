"""Adversarial personalised ranking: BPR trained on its own worst case, the vectors moved by FGM."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from advrec_teach.reference import check_adversary, check_fit, check_sizes, radius_of
from advrec_teach.tensorflow._training import History, fit, loop, update
from advrec_teach.tensorflow.bpr import BPRModel, bpr_gradients

# Drawing as many directions anew in every step would take longer than the step. An epoch draws a pool this much longer
# than the table, and each step looks at it one row further on: a vector meets another direction at every step.
WINDOWS = 256


def _move(way: tf.Tensor, eps: tf.Tensor, n_users: int | None = None) -> tf.Tensor:
    """Return every row with length eps; with ``n_users`` in root mean square over the moved rows of each table."""
    length = tf.norm(way, axis=1, keepdims=True)
    if n_users is not None:
        length = tf.concat(
            [tf.fill(tf.shape(part), _root_mean_square(part)) for part in (length[:n_users], length[n_users:])], 0
        )
    # Slopes of a trained model are tiny; a length of 0 stays below anything that is divided by it.
    return way * (eps / tf.maximum(length, 1e-30))


def _root_mean_square(lengths: tf.Tensor) -> tf.Tensor:
    """Return the root mean square of those lengths that are not 0."""
    moved = tf.math.count_nonzero(lengths, dtype=lengths.dtype)
    return tf.norm(lengths) * tf.math.rsqrt(tf.maximum(moved, 1.0))


def _epoch(
    optimizer: str,
    dtype: tf.DType,
    direction: str,
    tables: tuple[bool, bool],
    n_users: int,
    table: tf.Tensor,
    state: tuple,
    batches: tf.Tensor,
    rate: tf.Tensor,
    regularisation: tf.Tensor,
    adv_weight: tf.Tensor,
    eps: tf.Tensor,
    pool: tf.Tensor,
) -> tuple[tf.Tensor, tuple, tf.Tensor]:
    """Run through all batches with steps on L + lambda * L_adv."""

    def slopes(vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, dp, dqi, dqj = bpr_gradients(*tf.split(tf.cast(vectors, dtype), 3))
        return tf.cast(loss, tf.float32), tf.cast(tf.concat((dp, dqi, dqj), 0), table.dtype)

    def step(k: tf.Tensor, rows: tf.Tensor, table: tf.Tensor, state: tuple) -> tuple:
        vectors = tf.gather(table, rows)
        clean, slope = slopes(vectors)
        gradient = tf.math.unsorted_segment_sum(slope, rows, table.shape[0])
        # A vector outside the batch may get noise as well: nothing gathers it.
        way = tf.slice(pool, (k % WINDOWS, 0), table.shape) if direction == "random" else gradient
        delta = _move(way, eps, n_users if direction == "raw" else None)
        if not all(tables):
            users = tf.range(table.shape[0])[:, None] < n_users
            delta = tf.where(users == tf.constant(tables[0]), delta, tf.zeros_like(delta))
        attacked, slope = slopes(vectors + tf.gather(delta, rows))
        weight = 2 * regularisation * 3 / tf.cast(tf.size(rows), table.dtype)
        slope = adv_weight * slope + weight * vectors
        gradient += tf.math.unsorted_segment_sum(slope, rows, table.shape[0])
        table, state = update(optimizer, table, gradient, state, rate)
        return table, state, tf.stack((clean, attacked))

    return loop(step, table, state, batches, 2)


_plain = tf.function(_epoch, autograph=False)
_xla = tf.function(_epoch, autograph=False, jit_compile=True)


def fit_adversarial(
    model: BPRModel,
    train: Any,
    *,
    epochs: int,
    eps: float | Callable[[int], float],
    adv_weight: float = 1.0,
    direction: str = "fgm",
    tables: Sequence[str] = ("users", "items"),
    learning_rate: float = 0.05,
    regularisation: float = 0.005,
    batch_size: int = 1024,
    seed: int = 0,
    optimizer: str = "adagrad",
    compile: bool | None = None,
    precision: str | None = None,
    callback: Callable[[BPRModel, dict[str, float]], Any] | None = None,
) -> History:
    """Train ``model`` in place on L + lambda * L_adv, the BPR loss and the same loss at attacked vectors.

    Parameters
    ----------
    model, train, epochs, learning_rate, regularisation, batch_size, seed, optimizer, compile, precision, callback
        As in :func:`fit_bpr`. Start from a model that ``fit_bpr`` has trained: from random vectors the attack
        points nowhere, and training collapses.
    eps
        Length of the move of every vector; or a function of the epoch's number (from 1) that returns it.
    adv_weight
        lambda, the weight of the loss at the attacked vectors.
    direction
        ``"fgm"``: along each vector's own gradient in this batch; ``"random"``: in a random direction, the
        control that tells training against an attack from training with noise; ``"raw"``: along each vector's own
        gradient, all of a table scaled by one factor, so that the lengths of a batch's moves differ and their root
        mean square is eps.
    tables
        Which vectors the attack moves: ``"users"``, ``"items"`` or both.

    Returns
    -------
    list of dict
        One record an epoch: ``epoch`` (from 1), ``loss`` and ``adversarial_loss`` (means over the batches,
        without regularisation and without lambda), ``eps``, ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range, model and interactions differ in size, or a user has every item, so
        that no negative can be drawn.

    Notes
    -----
    He, He, Du and Chua, "Adversarial Personalized Ranking for Recommendation", SIGIR 2018: with the loss L of
    a batch, Gamma = dL/dtheta and delta = eps * Gamma / ||Gamma||_2 for each vector, the step is taken along
    the gradient of L(theta) + lambda * L(theta + delta), delta being held fixed. Only vectors of the batch
    move. Gradients are taken by formula, as in ``fit_bpr``.
    """
    check_sizes(model.user_vectors.shape[0], model.item_vectors.shape[0], train)
    check_fit(epochs, learning_rate, regularisation, batch_size, optimizer, precision, train)
    check_adversary(eps, adv_weight, direction, tables)
    run = _plain if compile is False else _xla
    dtype = tf.bfloat16 if precision == "bfloat16" else tf.float32
    moved = ("users" in tables, "items" in tables)
    rate, decay, weight = (tf.constant(v, tf.float32) for v in (learning_rate, regularisation, adv_weight))

    def epoch(table: tf.Tensor, state: tuple, batches: tf.Tensor, own: tf.Tensor, besides: dict) -> tuple:
        radius = tf.constant(besides["eps"], tf.float32)
        rows = table.shape[0] + WINDOWS if direction == "random" else 0
        pool = tf.random.stateless_normal((rows, table.shape[1]), own)
        return run(
            optimizer,
            dtype,
            direction,
            moved,
            train.n_users,
            table,
            state,
            batches,
            rate,
            decay,
            weight,
            radius,
            pool,
        )

    return fit(
        model,
        train,
        epoch,
        names=("loss", "adversarial_loss"),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        callback=callback,
        before=lambda number: {"eps": radius_of(eps, number)},
    )
