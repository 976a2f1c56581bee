"""The training loop that every matrix factorisation of the course shares: order, negatives, steps, optimiser."""

import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from advrec_teach.reference import PATIENCE
from advrec_teach.tensorflow import _setup, tensors

History = list[dict[str, float]]
FULL = "has seen every item"
Epoch = Callable[[tf.Tensor, tuple, tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tuple, tf.Tensor]]


def draw_negatives(users: tf.Tensor, seen: tf.Tensor, *, generator: tf.random.Generator | None = None) -> tf.Tensor:
    """Draw for each entry of ``users`` one item uniformly from those that the user has not seen.

    Parameters
    ----------
    users
        User ids, int64, shape [n].
    seen
        Boolean table, shape [n_users, n_items]: True where the user has the item in the training set.
    generator
        Source of the random numbers; None takes TensorFlow's own.

    Returns
    -------
    tf.Tensor
        Item ids, int64, shape [n].

    Raises
    ------
    ValueError
        If one of the users has seen every item (inside a ``tf.function``: InvalidArgumentError).
    """
    if generator is None:
        seed = tf.random.uniform((), maxval=tf.int32.max, dtype=tf.int32)
    else:
        seed = generator.uniform((), maxval=tf.int32.max, dtype=tf.int32)
    try:
        return _draw(tf.cast(users, tf.int64), tf.convert_to_tensor(seen), seed)
    except tf.errors.InvalidArgumentError as error:
        if FULL not in error.message:
            raise
        raise ValueError(f"A user {FULL}, so no negative can be drawn.") from None


@tf.function(autograph=False, reduce_retracing=True)
def _draw(users: tf.Tensor, seen: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw items, then draw again for as long as some are seen, fewer each time."""
    n_items = tf.shape(seen, out_type=tf.int64)[1]
    table, first = tf.reshape(seen, [-1]), users * n_items

    def draw(n: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform([n], tf.stack([seed, k]), maxval=n_items, dtype=tf.int64)

    def redraw(items: tf.Tensor, again: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        fresh = draw(tf.shape(again)[0], k)
        items = tf.tensor_scatter_nd_update(items, again, fresh)
        still = tf.where(tf.gather(table, tf.gather_nd(first, again) + fresh))[:, 0]
        return items, tf.gather(again, still), k + 1

    items = draw(tf.shape(users)[0], tf.constant(0))
    again = tf.where(tf.gather(table, first + items))
    loop = (items, again, tf.constant(1))
    shapes = (items.shape, tf.TensorShape([None, 1]), tf.TensorShape([]))
    patience = tf.cast(PATIENCE * n_items, tf.int32)
    items, again, _ = tf.while_loop(
        lambda i, a, k: (tf.shape(a)[0] > 0) & (k <= patience), redraw, loop, shape_invariants=shapes
    )
    with tf.control_dependencies([tf.debugging.Assert(tf.shape(again)[0] == 0, [FULL])]):
        return tf.identity(items)


def start_state(optimizer: str, table: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return the state of the optimiser before its first step."""
    if optimizer == "sgd":
        return ()
    # Above zero by less than float32 can show beside any square, so that a slope of zero is not divided by zero.
    squares = tf.fill(table.shape, tf.constant(1e-20, table.dtype))
    return (squares,) if optimizer == "adagrad" else (squares, tf.zeros_like(table), tf.zeros((), table.dtype))


def update(
    optimizer: str, table: tf.Tensor, gradient: tf.Tensor, state: tuple[tf.Tensor, ...], rate: tf.Tensor
) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
    """Return the table and the state after one step of the optimiser, with the constants of its paper."""
    if optimizer == "sgd":
        return table - rate * gradient, state
    if optimizer == "adagrad":
        squares = state[0] + gradient * gradient
        return table - rate * gradient * tf.math.rsqrt(squares), (squares,)
    squares, mean, step = state
    step = step + 1
    mean = mean + 0.1 * (gradient - mean)
    squares = 0.999 * squares + 0.001 * gradient * gradient
    root = tf.sqrt(squares / (1 - 0.999**step)) + 1e-8
    return table - rate / (1 - 0.9**step) * mean / root, (squares, mean, step)


def loop(
    step: Callable[[tf.Tensor, tf.Tensor, tuple, tf.Tensor], tuple[tf.Tensor, tuple, tf.Tensor]],
    table: tf.Tensor,
    state: tuple,
    batches: tf.Tensor,
    n_losses: int,
) -> tuple[tf.Tensor, tuple, tf.Tensor]:
    """Run ``step(k, rows, table, state)`` over all batches; return table, state and the mean losses [n_losses].

    One row of ``batches`` holds users, items and negatives, each a third. To be called inside a ``tf.function``.
    """
    n_batches = tf.shape(batches)[0]

    def body(k: tf.Tensor, table: tf.Tensor, state: tuple, total: tf.Tensor) -> tuple:
        table, state, losses = step(k, batches[k], table, state)
        return k + 1, table, state, total + tf.cast(losses, tf.float32)

    first = (tf.constant(0), table, state, tf.zeros(n_losses))
    _, table, state, total = tf.while_loop(lambda k, *_: k < n_batches, body, first)
    return table, state, total / tf.cast(n_batches, tf.float32)


def fit(
    model: Any,
    train: Any,
    run: Callable[..., tuple[tf.Tensor, tuple, tf.Tensor]],
    *,
    names: tuple[str, ...],
    optimizer: str,
    epochs: int,
    batch_size: int,
    seed: int,
    callback: Callable[[Any, dict[str, float]], Any] | None,
    before: Callable[[int], dict[str, float]] = lambda epoch: {},
) -> History:
    """Train ``model`` in place, each epoch visiting every interaction once, and return the epochs' records.

    Parameters
    ----------
    model, train, optimizer, epochs, batch_size, seed, callback
        As in ``fit_bpr``.
    run
        Runs an epoch: maps table, state, batches, a pair of whole numbers (the epoch's own seed) and what
        ``before`` returned to the new table, the new state and the mean losses.
    names
        What those losses are called in a record.
    before
        Called before each epoch with its number; returns what its record holds besides.
    """
    n_users, n = model.user_vectors.shape[0], len(train.users)
    n_batches = -(-n // batch_size)
    size = -(-n // n_batches)
    history: History = []
    with tf.device(_setup.device()):
        random = tensors.generator(seed)
        users, items = (tf.constant(v, tf.int64) for v in (train.users, train.items))
        seen = tf.constant(train.table())
        table = tf.concat((model.user_vectors, model.item_vectors), 0)
        state = start_state(optimizer, table)
        for epoch in range(1, epochs + 1):
            clock = time.perf_counter()
            besides = before(epoch)
            own = random.uniform((2,), maxval=tf.int32.max, dtype=tf.int32)
            order = tf.random.experimental.stateless_shuffle(tf.range(n), own)
            order = tf.concat((order, order[: n_batches * size - n]), 0)
            u, i = tf.gather(users, order), tf.gather(items, order)
            j = draw_negatives(u, seen, generator=random)
            batches = tf.reshape(tf.stack((u, i + n_users, j + n_users)), (3, n_batches, size))
            batches = tf.reshape(tf.transpose(batches, (1, 0, 2)), (n_batches, 3 * size))
            table, state, losses = run(table, state, batches, own, besides)
            model.user_vectors.assign(table[:n_users])
            model.item_vectors.assign(table[n_users:])
            record = {"epoch": epoch, **dict(zip(names, losses.numpy().tolist(), strict=True)), **besides}
            history.append({**record, "seconds": time.perf_counter() - clock})
            if callback is not None and callback(model, history[-1]) is True:
                break
    return history
