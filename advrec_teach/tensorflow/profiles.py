"""Fake profiles that are made by a gradient through a surrogate, or by a generator trained on real ones."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advrec_teach import baselines, profiles
from advrec_teach.splits import Interactions
from advrec_teach.tensorflow import _setup, gan, tensors


def poisoned_weights(inverse: tf.Tensor, fake: tf.Tensor, target: int) -> tf.Tensor:
    """Return EASE's weights towards the target after training with fake rows, without training anew.

    Parameters
    ----------
    inverse
        P = (X^T X + lambda I)^-1 of the real users, shape [n_items, n_items].
    fake
        Rows of the fake users, entries from 0 to 1, shape [m, n_items].
    target
        Item id.

    Returns
    -------
    tf.Tensor
        The column of B that scores the target, shape [n_items]; differentiable in ``fake``.

    Notes
    -----
    m fake rows change the inverse by a matrix of rank m (Woodbury): P' = P - P F^T (I + F P F^T)^-1 F P. Only the
    target's column of it is needed: B_it = -P'_it / P'_tt, and 0 for i = t.
    """
    seen = tf.matmul(fake, inverse)
    small = tf.eye(tf.shape(fake)[0], dtype=fake.dtype) + tf.matmul(seen, fake, transpose_b=True)
    change = tf.matmul(seen, tf.linalg.solve(small, seen[:, target, None]), transpose_a=True)
    column = inverse[:, target] - change[:, 0]
    keep = 1 - tf.one_hot(target, tf.shape(inverse)[0], dtype=column.dtype)
    return -column / column[target] * keep


def gradient_profiles(
    train: Interactions,
    n: int,
    *,
    target: int,
    inverse: NDArray[np.floating],
    length: int,
    avoid: Sequence[int] | NDArray[np.integer] = (),
    k: int = 50,
    steps: int = 10,
    temperature: float = 0.05,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return fillers that raise the target in a surrogate recommender, found through the surrogate's training.

    Parameters
    ----------
    train
        The real users' interactions, which this attacker knows.
    n
        Number of fake users, whose rows are found together.
    target
        The item that they push; it counts as the last item of every profile.
    inverse
        The surrogate, EASE on ``train``, as :func:`advrec_teach.baselines.ease_inverse` returns it,
        shape ``[n_items, n_items]``.
    length
        Items in a profile.
    avoid
        Items that no profile may hold.
    k
        Length of the list that the target is to enter.
    steps
        Steps of the search.
    temperature
        Width of the soft step that stands for "enters the list", in units of the score.
    seed
        Seed of the rows that the search starts from, drawn by popularity.

    Returns
    -------
    ndarray of int64, shape ``[n, length]``
        Fillers, the most useful first, without the target.

    Raises
    ------
    ValueError
        If ``steps`` is below 1 or ``temperature`` is not positive.

    Notes
    -----
    The surrogate is EASE, whose training has a closed form (:func:`poisoned_weights`), so the gradient goes
    through all of it. The search is conditional gradient (Frank and Wolfe, 1956) over rows whose entries are 0 to
    1: every step moves towards the ``length`` fillers that the gradient likes best. The best whole rows met are kept.
    """
    if steps < 1 or not temperature > 0:
        raise ValueError("steps must be at least 1 and temperature positive.")
    table = train.table()
    others = table[~table[:, target]]
    clean = others @ baselines.ease_weights(inverse)
    threshold = tensors.tensor(np.sort(np.where(others, -np.inf, clean), axis=1)[:, -k])
    audience, known = tensors.tensor(others.astype(np.float32)), tensors.tensor(inverse)
    never = np.zeros(train.n_items, dtype=bool)
    never[[target, *avoid]] = True

    def loss_fn(rows: tf.Tensor) -> tf.Tensor:
        scores = tf.linalg.matvec(audience, poisoned_weights(known, rows, target))
        return tf.reduce_mean(tf.sigmoid((threshold - scores) / temperature))

    def with_items(items: tf.Tensor) -> tf.Tensor:
        rows = tf.reduce_max(tf.one_hot(items, train.n_items), axis=1)
        return tf.maximum(rows, tf.one_hot(target, train.n_items))

    @tf.function
    def step(rows: tf.Tensor, share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        _, gradient = tensors.value_and_grad(loss_fn, rows)
        items = tf.math.top_k(tf.where(never, -np.inf, -gradient), length).indices
        rows = rows + share * (with_items(items[:, :-1]) - rows)
        items = tf.math.top_k(tf.where(never, -1.0, rows), length).indices
        return rows, items, loss_fn(with_items(items[:, :-1]))

    best_items = profiles.average_profiles(train, n, length=length, avoid=[target, *avoid], seed=seed)
    best = float("inf")
    with tf.device(_setup.device()):
        rows = with_items(tensors.tensor(best_items[:, :-1]))
        for number in range(steps):
            rows, items, value = step(rows, tf.constant(2 / (number + 2)))
            if float(value) < best:
                best_items, best = tensors.numpy(items).astype(np.int64), float(value)
    return best_items


def generated_profiles(
    train: Interactions,
    n: int,
    *,
    length: int,
    avoid: Sequence[int] | NDArray[np.integer] = (),
    hidden: int = 64,
    latent: int = 16,
    steps: int = 200,
    batch_size: int = 128,
    learning_rate: float = 1e-2,
    beta: float = 0.2,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return profiles drawn from a variational autoencoder that was trained on real ones.

    Parameters
    ----------
    train
        The real users' interactions, which this attacker knows.
    n
        Number of profiles.
    length
        Items in each.
    avoid
        Items that no profile may hold.
    hidden, latent
        Width of the one hidden layer of encoder and decoder; width of the code z.
    steps, batch_size, learning_rate
        Steps of Adam, and the real users in each.
    beta
        Weight of the divergence of z from a standard normal.
    seed
        Seed of weights, noise and draws.

    Returns
    -------
    ndarray of int64, shape ``[n, length]``
        For each profile a code z is drawn, decoded to a chance for every item, and items are drawn from those.

    Raises
    ------
    ValueError
        If a size or a number of steps is below 1.

    Notes
    -----
    The model is that of Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, with its
    multinomial likelihood; they recommend with it, here it makes users.
    """
    if min(hidden, latent, steps, batch_size) < 1:
        raise ValueError("hidden, latent, steps and batch_size must be at least 1.")
    real = tensors.tensor(train.table()[train.activity() > 0].astype(np.float32))
    inputs = real / tf.sqrt(tf.reduce_sum(real, axis=1, keepdims=True))
    encoder = gan.mlp([train.n_items, hidden, 2 * latent], activation="tanh", seed=seed)
    decoder = gan.mlp([latent, hidden, train.n_items], activation="tanh", seed=seed + 1)
    variables = [*encoder.trainable_variables, *decoder.trainable_variables]
    rng = tensors.generator(seed)
    adam = keras.optimizers.Adam(learning_rate, epsilon=1e-8)
    with tf.device(_setup.device()):
        adam.build(variables)

    @tf.function
    def fit(n_steps: tf.Tensor) -> None:
        for _ in tf.range(n_steps):
            batch = rng.uniform((batch_size,), maxval=len(real), dtype=tf.int32)
            chosen = tf.gather(real, batch)
            with tf.GradientTape() as tape:
                mean, log_variance = tf.split(encoder(tf.gather(inputs, batch)), 2, axis=1)
                logits = decoder(mean + rng.normal((batch_size, latent)) * tf.exp(0.5 * log_variance))
                likelihood = tf.reduce_mean(tf.reduce_sum(chosen * tf.nn.log_softmax(logits), axis=1))
                terms = mean**2 + tf.exp(log_variance) - 1 - log_variance
                loss = beta * tf.reduce_mean(tf.reduce_sum(terms, axis=1)) / 2 - likelihood
            adam.apply(tape.gradient(loss, variables), variables)

    with tf.device(_setup.device()):
        fit(tf.constant(steps))
        logits = decoder(rng.normal((n, latent)))
    return profiles.draw_profiles(tensors.numpy(logits), n, length=length, avoid=avoid, seed=seed)
