"""Two recommenders that are trained as games: CFGAN, which makes rows, and IRGAN, which draws items."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from advrec_teach import reference_recommenders as reference
from advrec_teach.reference import check_count, check_sizes
from advrec_teach.tensorflow import _setup, tensors
from advrec_teach.tensorflow._networks import Moments, Network, Weights, adam_step, start_moments
from advrec_teach.tensorflow._training import History
from advrec_teach.tensorflow.bpr import BPRModel
from advrec_teach.tensorflow.tensors import numpy, tensor

# Adam's state: the number of the step, from 0, and the moments.
State = tuple[tf.Tensor, Moments]


class RowGenerator(Network):
    """CFGAN's generator: it maps a row of 0 and 1 to a row of numbers, the scores.

    Parameters
    ----------
    n
        Entries of a row.
    hidden
        Neurons of the hidden layer.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1.
    """

    def __init__(self, n: int, *, hidden: int = 400, seed: int = 0):
        super().__init__(reference.generator_weights(n, hidden=hidden, seed=seed), {"n": n, "hidden": hidden})

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        """Return a row of numbers for each row: [n_rows, n] gives [n_rows, n]."""
        return _generate(self._tensors(), rows)

    def score_all(self, rows: Any) -> tf.Tensor:
        """Return the made rows without history, for rows as an array or a tensor, shape [n_rows, n]."""
        return tf.stop_gradient(self(tensor(np.asarray(numpy(rows), np.float32))))


class RowDiscriminator(Network):
    """CFGAN's discriminator: it judges a row beside the row that it was made for.

    Parameters
    ----------
    n
        Entries of a row.
    hidden
        Neurons of the hidden layer.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1.
    """

    def __init__(self, n: int, *, hidden: int = 125, seed: int = 0):
        super().__init__(reference.discriminator_weights(n, hidden=hidden, seed=seed), {"n": n, "hidden": hidden})

    def call(self, rows: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        """Return logits, shape [n_rows]: large where a row looks real. Both arguments have the shape [n_rows, n]."""
        return _judge(self._tensors(), rows, condition)


def _generate(w: Weights, rows: tf.Tensor) -> tf.Tensor:
    return tf.sigmoid(rows @ w["inner"] + w["inner_bias"]) @ w["outer"] + w["outer_bias"]


def _judge(w: Weights, rows: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
    n = rows.shape[1]
    first = rows @ w["inner"][:n] + condition @ w["inner"][n:] + w["inner_bias"]
    return tf.squeeze(tf.sigmoid(first) @ w["outer"] + w["outer_bias"], 1)


def _start(w: Weights) -> State:
    return tf.constant(0), start_moments(w)


def _descend(
    w: Weights, state: State, tape: tf.GradientTape, loss: tf.Tensor, rate: tf.Tensor
) -> tuple[Weights, State]:
    """Take one step of Adam down the loss that this tape has recorded; return weights and state."""
    k, moments = state
    w, moments = adam_step(w, moments, k, tape.gradient(loss, w), rate)
    return w, (k + 1, moments)


def _walk(step: Callable[..., tuple], batches: tf.Tensor, weights: Weights, state: State) -> tuple:
    """Run ``step(ids, weights, state)`` over all batches; return weights, state and the mean of what it reports."""

    def body(k: tf.Tensor, weights: Weights, state: State, total: tf.Tensor) -> tuple:
        weights, state, loss = step(batches[k], weights, state)
        return k + 1, weights, state, total + loss

    n = tf.shape(batches)[0]
    first = (tf.constant(0), weights, state, tf.constant(0.0))
    _, weights, state, total = tf.while_loop(lambda k, *_: k < n, body, first)
    return weights, state, total / tf.cast(n, tf.float32)


@tf.function(autograph=False, jit_compile=True)
def _judge_pass(
    d: Weights, state: State, g: Weights, real: tf.Tensor, mask: tf.Tensor, batches: tf.Tensor, rate: tf.Tensor
) -> tuple:
    """Run one pass of the discriminator of CFGAN."""
    # Nothing but the discriminator changes in this pass, so all rows are made at once.
    fake = _generate(g, real) * mask

    def step(ids: tf.Tensor, d: Weights, state: State) -> tuple:
        x, f = tf.gather(real, ids), tf.gather(fake, ids)
        with tf.GradientTape() as tape:
            tape.watch(d)
            on_real, on_fake = tf.nn.softplus(-_judge(d, x, x)), tf.nn.softplus(_judge(d, f, x))
            loss = tf.reduce_mean(on_real) + tf.reduce_mean(on_fake)
        return *_descend(d, state, tape, loss, rate), loss

    return _walk(step, batches, d, state)


@tf.function(autograph=False, jit_compile=True)
def _generate_pass(
    g: Weights,
    state: State,
    d: Weights,
    real: tf.Tensor,
    mask: tf.Tensor,
    pulled: tf.Tensor,
    batches: tf.Tensor,
    settings: tf.Tensor,
) -> tuple:
    """Run one pass of the generator of CFGAN; without weights ``d`` it has no opponent."""
    rate, regularisation, zero_weight = tf.unstack(settings)

    def step(ids: tf.Tensor, g: Weights, state: State) -> tuple:
        x, m, z = (tf.gather(t, ids) for t in (real, mask, pulled))
        with tf.GradientTape() as tape:
            tape.watch(g)
            made = _generate(g, x)
            if d:
                loss = tf.reduce_mean(tf.nn.softplus(-_judge(d, made * m, x)))
            else:
                loss = tf.reduce_mean(tf.reduce_sum(tf.square(1 - made) * x, 1))
            penalty = 0.5 * regularisation * tf.add_n([tf.reduce_sum(w * w) for w in g.values()])
            total = loss + penalty + zero_weight * tf.reduce_mean(tf.reduce_sum(made * made * z, 1))
        return *_descend(g, state, tape, total, rate), loss

    return _walk(step, batches, g, state)


@tf.function(autograph=False)
def _zeros(real: tf.Tensor, share: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return 1 at a share of the zeros of ``real``, drawn one by one."""
    drawn = tf.random.stateless_uniform(tf.shape(real), seed) < share
    return tf.cast(drawn, tf.float32) * (1 - real)


def fit_cfgan(
    generator: RowGenerator,
    discriminator: RowDiscriminator | None,
    rows: Any,
    *,
    epochs: int,
    learning_rate: float = 1e-4,
    discriminator_rate: float = 1e-4,
    regularisation: float = 1e-3,
    partial_masking: float = 0.7,
    zero_share: float = 0.7,
    zero_weight: float = 0.03,
    generator_steps: int = 4,
    discriminator_steps: int = 2,
    batch_size: int = 32,
    seed: int = 0,
    callback: Callable[[RowGenerator, dict[str, float]], Any] | None = None,
) -> History:
    """Train a generator of rows in place, with Adam, against a discriminator or without one.

    Parameters
    ----------
    generator
        What recommends.
    discriminator
        Its opponent, trained in place. None: the generator minimises the mean over rows of
        sum (1 - entry)^2 over the ones of the row, in place of the opponent's judgement.
    rows
        0 and 1, shape [n_rows, n], such as the training table or its transpose.
    epochs
        Rounds, each of ``discriminator_steps`` and then ``generator_steps`` passes over all rows.
    learning_rate, discriminator_rate
        Step sizes of Adam. A ``discriminator_rate`` of 0 leaves the opponent as it is.
    regularisation
        Weight of half the squared norm of the generator's weights.
    partial_masking
        Share of a row's zeros, drawn anew for every round, at which the opponent sees the made row too. 0: it sees
        the made row only where the real one has a 1; 1: it sees the whole row.
    zero_share, zero_weight
        Share of a row's zeros, drawn in the same way, at which the made row is pulled to 0, and the weight of their
        squares.
    generator_steps, discriminator_steps
        Passes of each in a round.
    batch_size
        Largest number of rows in a step. The rows are split into equal batches; the last is filled up with the
        first few of the pass.
    seed
        Seed of the order and of the zeros.
    callback
        Called after each round with the generator and the record; training stops when it returns True.

    Returns
    -------
    list of dict
        One record a round: ``epoch`` (from 1), ``discriminator_loss``, ``generator_loss`` (the part of the opponent
        or of the ones alone), both means over the round, and ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range or the rows are no table of 0 and 1 of the generator's width.

    Notes
    -----
    Chae, Kang, Kim and Lee, "CFGAN: A Generic Collaborative Filtering Framework based on Generative Adversarial
    Networks", CIKM 2018. The defaults are those of the authors' program for MovieLens-100K, but for one batch size
    for both networks, and zeros that are drawn one by one, each with the given probability.
    """
    for name, count in (("epochs", epochs), ("generator_steps", generator_steps), ("batch_size", batch_size)):
        check_count(name, count)
    check_count("discriminator_steps", discriminator_steps)
    reference.check_positive(learning_rate=learning_rate)
    reference.check_not_negative(
        discriminator_rate=discriminator_rate, regularisation=regularisation, zero_weight=zero_weight
    )
    reference.check_shares(partial_masking=partial_masking, zero_share=zero_share)

    real = tensor(reference.check_rows(numpy(rows), generator.weights_by_name["inner"].shape[0]))
    n = real.shape[0]
    n_batches = -(-n // batch_size)
    size = -(-n // n_batches)
    trained = discriminator is not None and discriminator_rate > 0
    history: History = []
    with tf.device(_setup.device()):
        random = tensors.generator(seed)
        g, d = generator._tensors(), {} if discriminator is None else discriminator._tensors()
        state_g, state_d = _start(g), _start(d)
        settings = tf.constant([learning_rate, regularisation, zero_weight], tf.float32)
        rate = tf.constant(discriminator_rate, tf.float32)

        def own() -> tf.Tensor:
            return random.uniform((2,), maxval=tf.int32.max, dtype=tf.int32)

        def batches() -> tf.Tensor:
            order = tf.random.experimental.stateless_shuffle(tf.range(n), own())
            return tf.reshape(tf.concat((order, order[: n_batches * size - n]), 0), (n_batches, size))

        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            mask = real + _zeros(real, tf.constant(partial_masking, tf.float32), own())
            pulled = _zeros(real, tf.constant(zero_share, tf.float32), own())
            on_d, on_g = [], []
            for _ in range(discriminator_steps if trained else 0):
                d, state_d, loss = _judge_pass(d, state_d, g, real, mask, batches(), rate)
                on_d.append(loss)
            for _ in range(generator_steps):
                g, state_g, loss = _generate_pass(g, state_g, d, real, mask, pulled, batches(), settings)
                on_g.append(loss)
            generator._assign(g)
            if discriminator is not None:
                discriminator._assign(d)
            losses = {
                "discriminator_loss": float(np.mean(on_d)) if on_d else 0.0,
                "generator_loss": float(np.mean(on_g)),
            }
            history.append({"epoch": epoch, **losses, "seconds": time.perf_counter() - start})
            if callback is not None and callback(generator, history[-1]) is True:
                break
    return history


# --- IRGAN


def item_mixture(logits: tf.Tensor, table: tf.Tensor, *, share: float) -> tf.Tensor:
    """Return from what IRGAN's generator draws: (1 - share) softmax(logits) + share, spread over a user's items.

    Parameters
    ----------
    logits
        The generator's scores, shape [n_users, n_items].
    table
        The training items, 0 and 1 as float32, of the same shape. A user without any draws from the softmax alone.
    share
        Weight of the training items, from 0 to 1.
    """
    count = tf.reduce_sum(table, 1, keepdims=True)
    weight = tf.where(count > 0, share, 0.0)
    return (1 - weight) * tf.nn.softmax(logits) + weight * table / tf.maximum(count, 1)


def draw_items(probabilities: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Return for each uniform number the first item at which the running sum of its row exceeds it.

    Parameters
    ----------
    probabilities
        Shape [n_users, n_items]; rows that sum to 1.
    uniform
        Numbers in [0, 1), shape [n_users, n_draws].

    Returns
    -------
    tf.Tensor
        Item ids, int64, shape [n_users, n_draws].
    """
    total = tf.cumsum(probabilities, axis=1)
    found = tf.searchsorted(total, uniform * total[:, -1:], side="right", out_type=tf.int64)
    return tf.minimum(found, tf.cast(tf.shape(total)[1] - 1, tf.int64))


def _pick(table: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Return the entries at the given columns of each row."""
    return tf.gather(table, items, batch_dims=1)


def policy_loss(logits: tf.Tensor, items: tf.Tensor, rewards: tf.Tensor) -> tf.Tensor:
    """Return -mean reward * log p(item), whose gradient is IRGAN's step for its generator.

    Parameters
    ----------
    logits
        Scores of all items, shape [n_users, n_items]; p is their softmax.
    items
        Drawn item ids, int64, shape [n_users, n_draws].
    rewards
        What each is worth, of the same shape; a constant to the gradient.

    Notes
    -----
    Wang et al., "IRGAN: A Minimax Game for Unifying Generative and Discriminative Information Retrieval Models",
    SIGIR 2017, equation 5, for many draws at once.
    """
    return -tf.reduce_mean(_pick(tf.nn.log_softmax(logits), items) * tf.stop_gradient(rewards))


@tf.function(autograph=False)
def _tell_apart(
    d: Weights, state: State, g: Weights, positives: tf.Tensor, uniform: tf.Tensor, settings: tf.Tensor
) -> tuple:
    """Run the discriminator's steps of IRGAN; ``uniform`` has one table for each."""
    rate, regularisation, temperature = tf.unstack(settings)
    sharp = tf.nn.softmax(tf.matmul(g["users"], g["items"], transpose_b=True) / temperature)
    losses = []
    for u in tf.unstack(uniform):
        drawn = draw_items(sharp, u)
        with tf.GradientTape() as tape:
            tape.watch(d)
            logits = tf.matmul(d["users"], d["items"], transpose_b=True)
            on_real = tf.reduce_sum(tf.nn.softplus(-logits) * positives)
            loss = on_real + tf.reduce_mean(tf.nn.softplus(_pick(logits, drawn)))
            penalty = 0.5 * regularisation * tf.add_n([tf.reduce_sum(w * w) for w in d.values()]) / sharp.shape[0]
            total = loss + penalty
        d, state = _descend(d, state, tape, total, rate)
        losses.append(loss)
    return d, state, tf.reduce_mean(losses)


@tf.function(autograph=False)
def _draw_better(
    g: Weights, state: State, d: Weights, table: tf.Tensor, uniform: tf.Tensor, settings: tf.Tensor
) -> tuple:
    """Run the generator's steps of IRGAN; ``uniform`` has one table for each."""
    rate, share = tf.unstack(settings)
    judged = tf.matmul(d["users"], d["items"], transpose_b=True)
    found = []
    for u in tf.unstack(uniform):
        with tf.GradientTape() as tape:
            tape.watch(g)
            logits = tf.matmul(g["users"], g["items"], transpose_b=True)
            mixed = tf.stop_gradient(item_mixture(logits, table, share=share))
            drawn = draw_items(mixed, u)
            weight = tf.stop_gradient(_pick(tf.nn.softmax(logits), drawn)) / _pick(mixed, drawn)
            rewards = weight * (2 * tf.sigmoid(_pick(judged, drawn)) - 1)
            loss = policy_loss(logits, drawn, rewards)
        g, state = _descend(g, state, tape, loss, rate)
        found.append(tf.reduce_mean(rewards))
    return g, state, tf.reduce_mean(found)


def _vectors(model: BPRModel) -> Weights:
    return {"users": tf.convert_to_tensor(model.user_vectors), "items": tf.convert_to_tensor(model.item_vectors)}


def fit_irgan(
    generator: BPRModel,
    discriminator: BPRModel,
    train: Any,
    *,
    epochs: int,
    learning_rate: float = 0.001,
    discriminator_rate: float = 0.01,
    regularisation: float = 1e-3,
    generator_steps: int = 5,
    discriminator_steps: int = 5,
    draws: int = 32,
    share: float = 0.2,
    temperature: float = 0.2,
    seed: int = 0,
    callback: Callable[[BPRModel, dict[str, float]], Any] | None = None,
) -> History:
    """Train a generator that draws items, and the discriminator that tells them from real ones, in place with Adam.

    Parameters
    ----------
    generator, discriminator
        Matrix factorisations of the same users and items.
    train
        The interactions, a :class:`advrec_teach.splits.Interactions`.
    epochs
        Rounds, each of ``discriminator_steps`` and then ``generator_steps`` steps; a step uses all users at once.
    learning_rate, discriminator_rate
        Step sizes of Adam. A ``discriminator_rate`` of 0 leaves the opponent as it is.
    regularisation
        Weight of half the squared norm of the discriminator's vectors, over the number of users.
    generator_steps, discriminator_steps
        Steps of each in a round.
    draws
        Items that the generator draws for a user in each step.
    share
        Weight of a user's training items in what is drawn for the generator's own step (:func:`item_mixture`); the
        rewards are weighted so that the expected step is that of its softmax.
    temperature
        The discriminator's negatives are drawn from softmax(scores / temperature).
    seed
        Seed of the draws.
    callback
        Called after each round with the generator and the record; training stops when it returns True.

    Returns
    -------
    list of dict
        One record a round: ``epoch`` (from 1), ``discriminator_loss`` (mean over positives plus mean over drawn
        items), ``reward`` (mean of 2 (D - 1/2) over the items that the softmax draws), ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range or models and interactions differ in size.

    Notes
    -----
    Wang et al., SIGIR 2017; reward, share and temperature as in the authors' program. Theirs steps user by user with
    plain gradient steps and has a bias per item; this one steps on all users at once, with Adam and without biases.
    """
    for model in (generator, discriminator):
        check_sizes(model.user_vectors.shape[0], model.item_vectors.shape[0], train)
    for name, count in (("epochs", epochs), ("generator_steps", generator_steps), ("draws", draws)):
        check_count(name, count)
    check_count("discriminator_steps", discriminator_steps)
    reference.check_positive(learning_rate=learning_rate, temperature=temperature)
    reference.check_not_negative(discriminator_rate=discriminator_rate, regularisation=regularisation)
    reference.check_shares(share=share)
    table = tensor(np.float32(train.table()))
    n_users = table.shape[0]
    history: History = []
    with tf.device(_setup.device()):
        positives = table / tf.reduce_sum(table)
        random = tensors.generator(seed)
        g, d = _vectors(generator), _vectors(discriminator)
        state_g, state_d = _start(g), _start(d)
        for_d = tf.constant([discriminator_rate, regularisation, temperature], tf.float32)
        for_g = tf.constant([learning_rate, share], tf.float32)
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            told = 0.0
            if discriminator_rate > 0:
                uniform = random.uniform((discriminator_steps, n_users, draws))
                d, state_d, told = _tell_apart(d, state_d, g, positives, uniform, for_d)
            uniform = random.uniform((generator_steps, n_users, draws))
            g, state_g, worth = _draw_better(g, state_g, d, table, uniform, for_g)
            for model, w in ((generator, g), (discriminator, d)):
                model.user_vectors.assign(w["users"])
                model.item_vectors.assign(w["items"])
            losses = {"discriminator_loss": float(told), "reward": float(worth)}
            history.append({"epoch": epoch, **losses, "seconds": time.perf_counter() - start})
            if callback is not None and callback(generator, history[-1]) is True:
                break
    return history
