"""Networks that invent users: an LSTM, its opponents and their game, and a variational autoencoder."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from advrec_teach import reference_behaviour as reference
from advrec_teach.tensorflow import _setup, tensors
from advrec_teach.tensorflow._networks import Moments, Network, Weights, adam_step, start_moments
from advrec_teach.tensorflow.tensors import numpy, tensor

HISTORY = ("discriminator_loss", "generator_loss", "discriminator_gradient", "generator_gradient")


def gumbel_noise(shape: tuple[int, ...], *, generator: tf.random.Generator) -> tf.Tensor:
    """Return standard Gumbel noise, -log(-log u) with u uniform between 0 and 1."""
    with tf.device(_setup.device()):
        return _gumbel(generator.uniform(shape))


def _gumbel(u: tf.Tensor) -> tf.Tensor:
    return -tf.math.log(-tf.math.log(tf.clip_by_value(u, 1e-7, 1 - 1e-7)))


def gumbel_softmax(logits: tf.Tensor, noise: tf.Tensor, *, temperature: float) -> tf.Tensor:
    """Return softmax((logits + noise) / temperature) over the last axis; Jang et al. (2017), Maddison et al. (2017)."""
    return tf.nn.softmax((logits + noise) / temperature)


def straight_through(soft: tf.Tensor) -> tf.Tensor:
    """Return the one-hot of the largest entry of each vector, with the gradient of ``soft``; Bengio et al. (2013)."""
    hard = tf.one_hot(tf.argmax(soft, -1), soft.shape[-1], dtype=soft.dtype)
    return hard + (soft - tf.stop_gradient(soft))


def reinforce_loss(log_probability: tf.Tensor, rewards: tf.Tensor) -> tf.Tensor:
    """Return -mean (reward - mean reward) log p, whose gradient follows the reward uphill; Williams (1992).

    Parameters
    ----------
    log_probability
        Logarithm of the probability of each drawn row, shape [n].
    rewards
        What each row is worth, shape [n]; a constant to the gradient. Their mean is the baseline.
    """
    rewards = tf.stop_gradient(rewards)
    return -tf.reduce_mean((rewards - tf.reduce_mean(rewards)) * log_probability)


# --- networks as functions of their weights


def _lstm(w: Weights, x: tf.Tensor, h: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return hidden state and cell state after ``x``, which is the input times the LSTM's input matrix."""
    i, f, g, o = tf.split(x + h @ w["state"] + w["gates"], 4, -1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def _logits(w: Weights, rows: tf.Tensor) -> tf.Tensor:
    n_items = w["bias"].shape[0]
    table = w["vectors"] @ w["input"]
    inputs = tf.gather(table, tf.concat((tf.fill(tf.shape(rows[:, :1]), tf.cast(n_items, rows.dtype)), rows), 1))
    h = c = tf.zeros((tf.shape(rows)[0], w["state"].shape[0]))
    states = []
    for place in range(rows.shape[1]):
        h, c = _lstm(w, inputs[:, place], h, c)
        states.append(h)
    used = tf.cumsum(tf.one_hot(rows, n_items), axis=1, exclusive=True)
    return tf.tensordot(tf.stack(states, 1), w["out"], 1) + w["bias"] + reference.USED * used


def _log_probabilities(w: Weights, rows: tf.Tensor) -> tf.Tensor:
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(rows, _logits(w, rows))


def _roll(w: Weights, noise: tf.Tensor, temperature: Any, hard: bool) -> tf.Tensor:
    n_items = w["bias"].shape[0]
    table = w["vectors"] @ w["input"]
    n = tf.shape(noise)[0]
    h = c = tf.zeros((n, w["state"].shape[0]))
    used, x, found = tf.zeros((n, n_items)), tf.repeat(table[-1:], n, 0), []
    for place in range(noise.shape[1]):
        h, c = _lstm(w, x, h, c)
        logits = h @ w["out"] + w["bias"] + reference.USED * used
        soft = gumbel_softmax(logits, noise[:, place], temperature=temperature)
        relaxed = straight_through(soft) if hard else soft
        used = used + tf.one_hot(tf.argmax(soft, -1), n_items)
        x = relaxed @ table[:-1]
        found.append(relaxed)
    return tf.stack(found, 1)


def _judge(w: Weights, x: tf.Tensor) -> tf.Tensor:
    """Return the logits of rows of vectors [n, any, dim]; a recurrent judge is known by its state matrix."""
    length = x.shape[1]
    if "state" in w:
        h = c = tf.zeros((tf.shape(x)[0], w["state"].shape[0]))
        states = []
        inputs = tf.tensordot(x, w["input"], 1)
        for place in range(length):
            h, c = _lstm(w, inputs[:, place], h, c)
            states.append(h)
        features = tf.add_n(states) / length
    else:
        found = []
        for width in reference.WIDTHS:
            pieces = tf.concat([x[:, k : length - width + 1 + k] for k in range(width)], -1)
            responses = tf.tensordot(pieces, w[f"filter_{width}"], 1) + w[f"bias_{width}"]
            found.append(tf.reduce_max(tf.nn.relu(responses), 1))
        features = tf.concat(found, -1)
    return tf.squeeze(features @ w["out"] + w["bias"], -1)


def _score(w: Weights, rows: tf.Tensor) -> tf.Tensor:
    return _judge(w, tf.gather(w["vectors"], rows))


def _judge_relaxed(w: Weights, relaxed: tf.Tensor) -> tf.Tensor:
    return _judge(w, tf.tensordot(relaxed, w["vectors"], 1))


def _encode(w: Weights, table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    x = tf.math.divide_no_nan(table, tf.norm(table, axis=1, keepdims=True))
    mean, log_variance = tf.split(tf.tanh(x @ w["read"] + w["read_bias"]) @ w["code"] + w["code_bias"], 2, -1)
    return mean, log_variance


def _decode(w: Weights, codes: tf.Tensor) -> tf.Tensor:
    return tf.tanh(codes @ w["write"] + w["write_bias"]) @ w["out"] + w["bias"]


# --- networks as objects


class SequenceGenerator(Network):
    """An LSTM that writes rows: at each place it draws an item, given those before it, and no item twice.

    Parameters
    ----------
    n_items
        Number of items.
    length
        Items in a row.
    dim
        Length of an item's vector.
    hidden
        Length of the LSTM's state.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2), or a row is longer than there are items.
    """

    def __init__(self, n_items: int, *, length: int = 12, dim: int = 32, hidden: int = 64, seed: int = 0):
        reference.check_length(length, n_items)
        weights = reference.generator_weights(n_items, dim=dim, hidden=hidden, seed=seed)
        super().__init__(weights, {"n_items": n_items, "length": length, "dim": dim, "hidden": hidden})
        self.n_items, self.length = n_items, length

    def logits(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the logits of each item given those before it: int64 [n, any] gives [n, any, n_items].

        An item that stands before it in the row has 1e9 taken from its logit.
        """
        return _logits(self._tensors(), rows)

    def log_probabilities(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the logarithm of the probability of each item given those before it: [n, any] gives [n, any]."""
        return _log_probabilities(self._tensors(), rows)

    def roll(self, noise: tf.Tensor, *, temperature: float = 1.0, hard: bool = True) -> tf.Tensor:
        """Draw rows with this Gumbel noise and return them relaxed, with a gradient.

        Parameters
        ----------
        noise
            Standard Gumbel noise, shape [n, length, n_items].
        temperature
            Of the Gumbel-softmax.
        hard
            True gives one-hot vectors whose gradient is that of the Gumbel-softmax (straight-through); False the
            Gumbel-softmax itself.

        Returns
        -------
        tf.Tensor
            Shape [n, length, n_items]; the largest entry at each place is the item drawn. The generator reads on
            from what is returned.
        """
        return _roll(self._tensors(), noise, temperature, hard)


def sample_sequences(generator: SequenceGenerator, n: int, *, seed: int = 0) -> np.ndarray:
    """Return n rows that the generator draws, as an int64 array [n, length].

    Parameters
    ----------
    generator
        The network.
    n
        Number of rows.
    seed
        Seed of the Gumbel noise.
    """
    reference.check_training(n=n)
    shape = (n, generator.length, generator.n_items)
    noise = gumbel_noise(shape, generator=tensors.generator(seed))
    return numpy(tf.argmax(generator.roll(noise), -1))


class SequenceDiscriminator(Network):
    """A judge of rows: the logit that a row is real.

    Parameters
    ----------
    n_items
        Number of items.
    kind
        ``"cnn"``: filters over 2, 3 and 4 neighbouring items, each with its largest response; ``"rnn"``: an LSTM, and
        the mean of its states.
    dim
        Length of an item's vector.
    hidden
        Filters of each width, or length of the LSTM's state.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If the kind is unknown or a size is not a whole number from 1 (``n_items``: from 2).
    """

    def __init__(self, n_items: int, *, kind: str = "cnn", dim: int = 32, hidden: int = 32, seed: int = 0):
        weights = reference.discriminator_weights(n_items, kind=kind, dim=dim, hidden=hidden, seed=seed)
        super().__init__(weights, {"n_items": n_items, "kind": kind, "dim": dim, "hidden": hidden})
        self.n_items, self.kind = n_items, kind

    def call(self, relaxed: tf.Tensor) -> tf.Tensor:
        """Return the logits [n] of relaxed rows [n, any, n_items]."""
        return _judge_relaxed(self._tensors(), relaxed)

    def score(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the logits [n] of rows of item ids, int64 [n, any]."""
        return _score(self._tensors(), rows)


class InteractionVAE(Network):
    """A variational autoencoder of who rated what: no order, one code of a few numbers for each user.

    Parameters
    ----------
    n_items
        Number of items.
    hidden
        Width of the layer before and behind the code.
    latent
        Length of the code.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2).

    Notes
    -----
    Liang, Krishnan, Hoffman and Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018.
    """

    def __init__(self, n_items: int, *, hidden: int = 100, latent: int = 16, seed: int = 0):
        weights = reference.vae_weights(n_items, hidden=hidden, latent=latent, seed=seed)
        super().__init__(weights, {"n_items": n_items, "hidden": hidden, "latent": latent})
        self.n_items, self.latent = n_items, latent

    def encode(self, table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and logarithm of the variance of each code, [n, latent], for a 0-1 table [n, n_items]."""
        return _encode(self._tensors(), table)

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Return the logits of all items, [n, n_items], for codes [n, latent]."""
        return _decode(self._tensors(), codes)


def vae_loss(
    logits: tf.Tensor, table: tf.Tensor, mean: tf.Tensor, log_variance: tf.Tensor, *, beta: float
) -> tf.Tensor:
    """Return the mean over users of -sum x log softmax(logits) + beta KL(N(mean, variance), N(0, 1)).

    Parameters
    ----------
    logits, table
        The decoder's logits and what the user rated (0 or 1), both [n, n_items].
    mean, log_variance
        What the encoder returned, [n, latent].
    beta
        Weight of the divergence; 1 gives the bound of Kingma and Welling (2014).
    """
    reconstruction = -tf.reduce_sum(table * tf.nn.log_softmax(logits), 1)
    divergence = 0.5 * tf.reduce_sum(mean**2 + tf.exp(log_variance) - log_variance - 1, 1)
    return tf.reduce_mean(reconstruction + beta * divergence)


def sample_vae(model: InteractionVAE, n: int, *, length: int, seed: int = 0) -> np.ndarray:
    """Return n rows, int64 [n, length]: a code from N(0, 1) each, then ``length`` different items of its decoder.

    Parameters
    ----------
    model
        The autoencoder.
    n
        Number of rows.
    length
        Items in a row, drawn one after the other without putting back. Their order means nothing.
    seed
        Seed of codes and items.
    """
    reference.check_training(n=n)
    reference.check_length(length, model.n_items)
    random = tensors.generator(seed)
    with tf.device(_setup.device()):
        codes = random.normal((n, model.latent))
        noise = gumbel_noise((n, model.n_items), generator=random)
        return numpy(tf.math.top_k(model.decode(codes) + noise, length).indices).astype(np.int64)


# --- training


def fit_generator(
    generator: SequenceGenerator,
    rows: Any,
    *,
    epochs: int,
    learning_rate: float = 0.005,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Train the generator in place to give real rows a high probability, with Adam: maximum likelihood.

    Parameters
    ----------
    generator
        What is trained.
    rows
        Real rows, item ids [n, length].
    epochs
        Passes over the rows, in random order.
    learning_rate, batch_size
        Of Adam; rows in a step.
    seed
        Seed of the order.

    Returns
    -------
    ndarray
        The mean of -log p of an item in each epoch, in nats.

    Raises
    ------
    ValueError
        If a setting or the rows cannot be used; the message says what to mend.
    """
    reference.check_training(epochs=epochs, batch_size=batch_size, rates=(learning_rate,))
    data = tensor(reference.check_rows(rows, generator.n_items, length=generator.length))
    return _fit(generator, _fit_generator, (data,), epochs, batch_size, learning_rate, seed, generator.length)


def fit_discriminator(
    discriminator: SequenceDiscriminator,
    real: Any,
    fake: Any,
    *,
    epochs: int,
    learning_rate: float = 0.002,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Train the discriminator in place to tell real rows from fake ones, with Adam.

    Parameters
    ----------
    discriminator
        What is trained.
    real, fake
        Rows of item ids, [n, length], as many real as fake.
    epochs
        Passes over both.
    learning_rate, batch_size
        Of Adam; rows of each kind in a step.
    seed
        Seed of the order.

    Returns
    -------
    ndarray
        The mean loss of each epoch.

    Raises
    ------
    ValueError
        If a setting or the rows cannot be used; the message says what to mend.
    """
    reference.check_training(epochs=epochs, batch_size=batch_size, rates=(learning_rate,))
    real, fake = (reference.check_rows(rows, discriminator.n_items) for rows in (real, fake))
    reference.check_equal(len(real), len(fake))
    data = tensor(real), tensor(fake)
    return _fit(discriminator, _fit_discriminator, data, epochs, batch_size, learning_rate, seed, real.shape[1])


def fit_vae(
    model: InteractionVAE,
    table: Any,
    *,
    epochs: int,
    beta: float = 1.0,
    dropout: float = 0.5,
    learning_rate: float = 0.002,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Train the autoencoder in place, with Adam; ``beta`` grows from 0 over the first half of the steps.

    Parameters
    ----------
    model
        What is trained.
    table
        Who rated what, 0 or 1, shape [n, n_items].
    epochs
        Passes over the rows of the table.
    beta
        Weight of the divergence in :func:`vae_loss`, from the middle of the training on.
    dropout
        Share of the entries that the encoder does not see.
    learning_rate, batch_size
        Of Adam; rows in a step.
    seed
        Seed of order, dropout and codes.

    Returns
    -------
    ndarray
        The mean loss of each epoch.

    Raises
    ------
    ValueError
        If a setting or the table cannot be used; the message says what to mend.
    """
    reference.check_training(epochs=epochs, batch_size=batch_size, rates=(learning_rate,))
    reference.check_vae(beta=beta, dropout=dropout)
    data = tensor(reference.check_table(table, model.n_items))
    settings = tf.constant(beta, tf.float32), tf.constant(dropout, tf.float32)
    return _fit(model, _fit_vae, (data, *settings), epochs, batch_size, learning_rate, seed, model.latent)


def fit_sequence_gan(
    generator: SequenceGenerator,
    discriminator: SequenceDiscriminator,
    rows: Any,
    *,
    steps: int,
    estimator: str = "straight-through",
    temperature: float = 1.0,
    learning_rates: tuple[float, float] = (0.0005, 0.002),
    discriminator_steps: int = 1,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Let the two play: the discriminator learns to tell rows apart, the generator to be called real, both with Adam.

    Parameters
    ----------
    generator, discriminator
        The players, trained in place.
    rows
        Real rows, item ids [n, length].
    steps
        Updates of the generator.
    estimator
        How the generator's gradient passes the draw. ``"straight-through"``: the discriminator sees one-hot rows, the
        gradient is that of the Gumbel-softmax; ``"gumbel"``: it sees the Gumbel-softmax itself; both with the
        non-saturating loss. ``"reinforce"``: :func:`reinforce_loss` with the discriminator's logit of the whole row
        as its reward.
    temperature
        Of the Gumbel-softmax.
    learning_rates
        Of the generator and of the discriminator.
    discriminator_steps
        Updates of the discriminator a step.
    batch_size
        Rows of each kind in an update.
    seed
        Seed of noise and order.

    Returns
    -------
    dict
        Arrays of length ``steps``: ``discriminator_loss`` (before its last update), ``generator_loss``, and the norms
        of the last gradients, ``discriminator_gradient`` and ``generator_gradient``.

    Raises
    ------
    ValueError
        If a setting or the rows cannot be used; the message says what to mend.

    Notes
    -----
    Yu, Zhang, Wang and Yu, "SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient", AAAI 2017, reward
    every place by the mean over completed rows; here every place gets the reward of its own row.
    """
    reference.check_training(
        steps=steps, batch_size=batch_size, discriminator_steps=discriminator_steps, rates=learning_rates,
        temperature=temperature,
    )  # fmt: skip
    reference.check_choice("estimator", estimator, reference.ESTIMATORS)
    data = tensor(reference.check_rows(rows, generator.n_items, length=generator.length))
    with tf.device(_setup.device()):
        own, other = generator._tensors(), discriminator._tensors()
        key = tensors.generator(seed).uniform((), maxval=tf.int32.max, dtype=tf.int32)
        own, other, history = _play(
            own, other, data, key, tf.constant(steps), tf.constant(discriminator_steps),
            tf.constant(temperature, tf.float32), tuple(tf.constant(rate, tf.float32) for rate in learning_rates),
            estimator=estimator, batch_size=batch_size, length=generator.length,
        )  # fmt: skip
    generator._assign(own)
    discriminator._assign(other)
    return dict(zip(HISTORY, numpy(history).T, strict=True))


def _step(
    w: Weights,
    moments: Moments,
    k: tf.Tensor,
    loss: Callable[[Weights], tf.Tensor],
    rate: tf.Tensor,
    b1: float,
    b2: float,
) -> tuple[Weights, Moments, tf.Tensor, tf.Tensor]:
    """Make Adam's step number k, from 0; return weights, moments, loss and the norm of its gradient."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(w)
        value = loss(w)
    slopes = {n: tf.convert_to_tensor(g) for n, g in tape.gradient(value, w).items()}
    w, moments = adam_step(w, moments, k, slopes, rate, b1, b2)
    return w, moments, value, tf.linalg.global_norm(list(slopes.values()))


def _loop(
    w: Weights, places: tf.Tensor, rate: tf.Tensor, loss: Callable[[Weights, tf.Tensor, tf.Tensor], tf.Tensor]
) -> tuple[Weights, tf.Tensor]:
    """Minimise ``loss(weights, places, k)`` over the rows of ``places``; return the weights and every loss."""
    n = tf.shape(places)[0]

    def body(k: tf.Tensor, w: Weights, moments: Moments, losses: tf.TensorArray) -> tuple:
        w, moments, value, _ = _step(w, moments, k, lambda w: loss(w, places[k], k), rate, 0.9, 0.999)
        return k + 1, w, moments, losses.write(k, value)

    losses = tf.TensorArray(tf.float32, size=n, element_shape=())
    _, w, _, losses = tf.while_loop(lambda k, *_: k < n, body, (tf.constant(0), w, start_moments(w), losses))
    return w, losses.stack()


@tf.function(autograph=False, reduce_retracing=True)
def _fit_generator(w: Weights, places: tf.Tensor, rate: tf.Tensor, key: tf.Tensor, length: int, data: Any) -> Any:
    def loss(w: Weights, at: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        return -tf.reduce_mean(_log_probabilities(w, tf.ensure_shape(tf.gather(data, at), (None, length))))

    return _loop(w, places, rate, loss)


@tf.function(autograph=False, reduce_retracing=True)
def _fit_discriminator(
    w: Weights, places: tf.Tensor, rate: tf.Tensor, key: tf.Tensor, length: int, real: Any, fake: Any
) -> Any:
    def loss(w: Weights, at: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        both = tf.ensure_shape(tf.concat((tf.gather(real, at), tf.gather(fake, at)), 0), (None, length))
        good, bad = tf.split(_score(w, both), 2)
        return tf.reduce_mean(tf.nn.softplus(-good)) + tf.reduce_mean(tf.nn.softplus(bad))

    return _loop(w, places, rate, loss)


@tf.function(autograph=False, reduce_retracing=True)
def _fit_vae(
    w: Weights, places: tf.Tensor, rate: tf.Tensor, key: tf.Tensor, latent: int, data: Any, beta: Any, dropout: Any
) -> Any:
    steps = tf.cast(tf.shape(places)[0], tf.float32)

    def loss(w: Weights, at: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        x = tf.gather(data, at)
        seen = tf.random.stateless_uniform(tf.shape(x), tf.stack((key, 2 * k))) >= dropout
        mean, log_variance = _encode(w, x * tf.cast(seen, x.dtype))
        noise = tf.random.stateless_normal(tf.shape(mean), tf.stack((key, 2 * k + 1)))
        codes = tf.ensure_shape(mean + tf.exp(0.5 * log_variance) * noise, (None, latent))
        weight = beta * tf.minimum(1.0, 2 * tf.cast(k + 1, tf.float32) / steps)
        return vae_loss(_decode(w, codes), x, mean, log_variance, beta=weight)

    return _loop(w, places, rate, loss)


def _fit(
    model: Network,
    run: Callable[..., tuple[Weights, tf.Tensor]],
    data: tuple[tf.Tensor, ...],
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    size: int,
) -> np.ndarray:
    """Run a training of all epochs in one compiled function; return the mean loss of each epoch."""
    n = len(data[0])
    n_batches = -(-n // batch_size)
    width = -(-n // n_batches)
    with tf.device(_setup.device()):
        keys = tensors.generator(seed).uniform((epochs + 1, 2), maxval=tf.int32.max, dtype=tf.int32)
        orders = []
        for epoch in range(epochs):
            order = tf.random.experimental.stateless_shuffle(tf.range(n), keys[epoch])
            orders.append(tf.concat((order, order[: n_batches * width - n]), 0))
        places = tf.reshape(tf.stack(orders), (epochs * n_batches, width))
        rate = tf.constant(learning_rate, tf.float32)
        weights, losses = run(model._tensors(), places, rate, keys[-1, 0], size, *data)
    model._assign(weights)
    return numpy(losses).reshape(epochs, n_batches).mean(1).astype(np.float64)


@tf.function(autograph=False, reduce_retracing=True)
def _play(
    own: Weights,
    other: Weights,
    data: tf.Tensor,
    key: tf.Tensor,
    steps: tf.Tensor,
    discriminator_steps: tf.Tensor,
    temperature: tf.Tensor,
    rates: tuple[tf.Tensor, tf.Tensor],
    *,
    estimator: str,
    batch_size: int,
    length: int,
) -> tuple[Weights, Weights, tf.Tensor]:
    """Play the whole game; ``own`` are the generator's weights, ``other`` those of the discriminator."""
    shape = (batch_size, length, own["bias"].shape[0])
    hard = estimator != "gumbel"

    def fakes(w: Weights, number: tf.Tensor) -> tf.Tensor:
        noise = _gumbel(tf.random.stateless_uniform(shape, tf.stack((key, number))))
        return _roll(w, noise, temperature, hard)

    def discriminator_update(k: tf.Tensor, own: Weights, other: Weights, moments: Moments) -> tuple:
        fake = fakes(own, 3 * k)
        at = tf.random.stateless_uniform(
            (batch_size,), tf.stack((key, 3 * k + 1)), maxval=tf.shape(data)[0], dtype=tf.int32
        )
        real = tf.ensure_shape(tf.gather(data, at), (batch_size, length))

        def loss(w: Weights) -> tf.Tensor:
            good, bad = _score(w, real), _judge_relaxed(w, fake)
            return tf.reduce_mean(tf.nn.softplus(-good)) + tf.reduce_mean(tf.nn.softplus(bad))

        return _step(other, moments, k, loss, rates[1], 0.5, 0.9)

    def generator_update(k: tf.Tensor, own: Weights, other: Weights, moments: Moments) -> tuple:
        number = 3 * k + 2
        if estimator == "reinforce":
            drawn = tf.argmax(fakes(own, number), -1)
            rewards = _score(other, drawn)

            def loss(w: Weights) -> tf.Tensor:
                return reinforce_loss(tf.reduce_sum(_log_probabilities(w, drawn), 1), rewards)
        else:

            def loss(w: Weights) -> tf.Tensor:
                return tf.reduce_mean(tf.nn.softplus(-_judge_relaxed(other, fakes(w, number))))

        return _step(own, moments, k, loss, rates[0], 0.5, 0.9)

    def body(
        k: tf.Tensor, own: Weights, other: Weights, first: Moments, second: Moments, rows: tf.TensorArray
    ) -> tuple:
        zero = tf.constant(0.0)
        _, other, second, d_loss, d_norm = tf.while_loop(
            lambda j, *_: j < discriminator_steps,
            lambda j, other, second, *_: (
                j + 1, *discriminator_update(k * discriminator_steps + j, own, other, second)
            ),
            (tf.constant(0), other, second, zero, zero),
        )  # fmt: skip
        own, first, g_loss, g_norm = generator_update(k, own, other, first)
        return k + 1, own, other, first, second, rows.write(k, tf.stack((d_loss, g_loss, d_norm, g_norm)))

    rows = tf.TensorArray(tf.float32, size=steps, element_shape=(len(HISTORY),))
    start = (tf.constant(0), own, other, start_moments(own), start_moments(other), rows)
    _, own, other, _, _, rows = tf.while_loop(lambda k, *_: k < steps, body, start)
    return own, other, rows.stack()
