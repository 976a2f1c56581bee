"""Generative adversarial networks in TensorFlow: losses from logits, toy data, and the training loop.

A *logit* s is what a discriminator returns; its probability "real" is sigmoid(s). A
*critic*'s score has no such meaning. Every loss takes logits or scores of any shape.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from advrec_teach import reference_gan
from advrec_teach.tensorflow import _setup, tensors

Sampler = Callable[[int, tf.random.Generator], tf.Tensor]
Loss = str | tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]

HISTORY = ("discriminator_loss", "generator_loss", "discriminator_gradient", "generator_gradient")
_ACTIVATIONS = {
    "relu": keras.ops.relu,
    "leaky_relu": lambda x: keras.ops.leaky_relu(x, negative_slope=0.2),
    "tanh": keras.ops.tanh,
}


def discriminator_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor, *, smoothing: float = 0.0) -> tf.Tensor:
    """Return -mean log D(real) - mean log(1 - D(fake)) from logits; Goodfellow et al. (2014), equation 1.

    The label of a real sample is 1 - ``smoothing`` (one-sided label smoothing; Salimans et al., 2016).
    """
    plain = tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(tf.nn.softplus(fake_logits))
    # softplus(s) - softplus(-s) = s: what a label below 1 adds.
    return plain + smoothing * tf.reduce_mean(real_logits)


def generator_loss(fake_logits: tf.Tensor, *, kind: str = "non-saturating") -> tf.Tensor:
    """Return the generator's loss for the logits (or critic's scores) of its samples.

    Parameters
    ----------
    fake_logits
        Logits or scores, any shape.
    kind
        ``"minimax"``: mean log(1 - D); ``"non-saturating"``: -mean log D (both Goodfellow et al., 2014);
        ``"wasserstein"``: -mean score (Arjovsky et al., 2017).

    Raises
    ------
    ValueError
        If ``kind`` is none of these.
    """
    reference_gan.check_kind(kind)
    if kind == "minimax":
        return -tf.reduce_mean(tf.nn.softplus(fake_logits))
    if kind == "non-saturating":
        return tf.reduce_mean(tf.nn.softplus(-fake_logits))
    return -tf.reduce_mean(fake_logits)


def critic_loss(real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """Return mean score(fake) - mean score(real); Arjovsky et al. (2017), equation 2, as a loss."""
    return tf.reduce_mean(fake_scores) - tf.reduce_mean(real_scores)


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor],
    real: tf.Tensor,
    fake: tf.Tensor,
    *,
    generator: tf.random.Generator,
) -> tf.Tensor:
    """Return mean (norm of the critic's slope - 1)^2 at random points between real and fake.

    Gulrajani et al. (2017), equation 3, without its weight. Under an outer tape the penalty
    can be differentiated with respect to the critic's parameters.

    Parameters
    ----------
    critic
        Maps examples of shape (n, ...) to n scores, each from its own example alone.
    real, fake
        As many real as fake examples, shape (n, ...).
    generator
        Draws the places between them.
    """
    mix = generator.uniform((len(real),) + (1,) * (len(real.shape) - 1))
    between = tf.stop_gradient(mix * real + (1 - mix) * fake)
    with tf.GradientTape() as tape:
        tape.watch(between)
        scores = tf.reduce_sum(critic(between))
    slopes = tf.reshape(tape.gradient(scores, between), (len(real), -1))
    # The small term keeps the root differentiable where the critic is flat.
    norms = tf.sqrt(tf.reduce_sum(slopes**2, axis=1) + 1e-12)
    return tf.reduce_mean((norms - 1) ** 2)


def mlp(sizes: Sequence[int], *, activation: str = "relu", seed: int = 0) -> keras.Sequential:
    """Return a multilayer perceptron on the device, without an activation at its end.

    Parameters
    ----------
    sizes
        Width of the input, of every hidden layer and of the output.
    activation
        ``"relu"``, ``"leaky_relu"`` (slope 0.2) or ``"tanh"`` between the layers.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If the activation is unknown or the sizes are not at least two positive numbers.
    """
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; choose one of {', '.join(_ACTIVATIONS)}.")
    weights = reference_gan.mlp_weights(sizes, seed=seed)
    hidden = [keras.layers.Dense(size, activation=_ACTIVATIONS[activation]) for size in sizes[1:-1]]
    with tf.device(_setup.device()):
        model = keras.Sequential([keras.Input((sizes[0],)), *hidden, keras.layers.Dense(sizes[-1])])
    for layer, pair in zip(model.layers, weights, strict=True):
        layer.set_weights(pair)
    return model


def gaussian_data(*, mean: float, std: float) -> Sampler:
    """Return a sampler of N(mean, std^2): ``sample_real(n, generator)`` draws n points, shape (n, 1)."""

    def sample_real(n: int, generator: tf.random.Generator) -> tf.Tensor:
        return generator.normal((n, 1), mean=mean, stddev=std)

    return sample_real


def ring_data(*, modes: int = 8, radius: float = 2.0, std: float = 0.05) -> Sampler:
    """Return a sampler of a ring of Gaussian clusters in the plane, shape (n, 2).

    Parameters
    ----------
    modes
        Number of clusters, all equally likely.
    radius
        Distance of their centres from the origin.
    std
        Standard deviation of each cluster in both directions.
    """
    centres = tensors.tensor(reference_gan.ring_centres(modes=modes, radius=radius))

    def sample_real(n: int, generator: tf.random.Generator) -> tf.Tensor:
        chosen = generator.uniform((n,), maxval=modes, dtype=tf.int32)
        return tf.gather(centres, chosen) + generator.normal((n, 2), stddev=std)

    return sample_real


def sample(generator: keras.Model, n: int, *, noise_dim: int, seed: int = 0) -> tf.Tensor:
    """Return n samples of the generator.

    Parameters
    ----------
    generator
        Maps standard normal noise of shape (n, noise_dim) to samples; used in evaluation mode.
    n
        Number of samples.
    noise_dim
        Width of the noise.
    seed
        Seed of the noise.
    """
    with tf.device(_setup.device()):
        return generator(tensors.generator(seed).normal((n, noise_dim)), training=False)


def fit_gan(
    generator: keras.Model,
    discriminator: keras.Model,
    sample_real: Sampler,
    *,
    steps: int,
    batch_size: int = 256,
    noise_dim: int = 2,
    loss: Loss = "non-saturating",
    learning_rates: tuple[float, float] = (1e-3, 1e-3),
    betas: tuple[float, float] = (0.5, 0.9),
    discriminator_steps: int = 1,
    penalty: float = 0.0,
    clip: float | None = None,
    seed: int = 0,
    every: int | None = None,
    callback: Callable[[int], Any] | None = None,
) -> dict[str, np.ndarray]:
    """Train generator and discriminator in turns, both with Adam, and return what happened.

    One step is ``discriminator_steps`` updates of the discriminator, each on new real and new fake samples,
    then one update of the generator. All steps between two calls of ``callback`` are one ``tf.function``.

    Parameters
    ----------
    generator, discriminator
        Noise (batch_size, noise_dim) to samples; samples to logits, or to scores for a Wasserstein critic.
    sample_real
        ``sample_real(n, generator)`` returns n real samples on the device.
    steps
        Updates of the generator.
    batch_size, noise_dim
        Samples of each kind an update; width of the standard normal noise.
    loss
        A ``kind`` of :func:`generator_loss` (with ``"wasserstein"`` the discriminator's own loss is
        :func:`critic_loss`), or a pair ``(discriminator_loss(real, fake), generator_loss(fake))``.
    learning_rates
        Of the generator and of the discriminator.
    betas
        Decay rates of both Adams.
    discriminator_steps
        Updates of the discriminator a step.
    penalty
        Weight of :func:`gradient_penalty` in the discriminator's loss.
    clip
        Bound that every parameter of the discriminator is clipped to after each of its updates
        (Arjovsky et al., 2017, algorithm 1).
    seed
        Seed of noise and data.
    every, callback
        ``callback(step)`` is called before the first step, every ``every`` steps, and after the last.

    Returns
    -------
    dict
        Arrays of length ``steps``: ``discriminator_loss`` (before its last update, without penalty),
        ``generator_loss``, and the Euclidean norms of the gradients that the last update of each used,
        ``discriminator_gradient`` and ``generator_gradient``.

    Raises
    ------
    ValueError
        If a setting cannot be used; the message says what to mend.
    """
    reference_gan.check_fit_gan(
        loss,
        steps=steps,
        batch_size=batch_size,
        noise_dim=noise_dim,
        discriminator_steps=discriminator_steps,
        penalty=penalty,
        clip=clip,
        every=every,
    )
    d_loss, g_loss = _losses(loss)
    g_variables, d_variables = generator.trainable_variables, discriminator.trainable_variables
    rng = tensors.generator(seed)
    g_adam = keras.optimizers.Adam(learning_rates[0], *betas, epsilon=1e-8)
    d_adam = keras.optimizers.Adam(learning_rates[1], *betas, epsilon=1e-8)
    with tf.device(_setup.device()):
        g_adam.build(g_variables)
        d_adam.build(d_variables)

    def noise() -> tf.Tensor:
        return rng.normal((batch_size, noise_dim))

    def discriminator_update() -> tuple[tf.Tensor, tf.Tensor]:
        real, fake = sample_real(batch_size, rng), generator(noise(), training=True)
        with tf.GradientTape() as tape:
            # One pass for both kinds: half the overhead of two.
            logits = discriminator(tf.concat([real, fake], axis=0), training=True)
            value = d_loss(*tf.split(logits, 2))
            total = value
            if penalty:
                total = value + penalty * gradient_penalty(discriminator, real, fake, generator=rng)
        norm = _update(d_adam, d_variables, _gradients(tape, total, d_variables))
        if clip is not None:
            for variable in d_variables:
                variable.assign(tf.clip_by_value(variable, -clip, clip))
        return value, norm

    def generator_update() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            value = g_loss(discriminator(generator(noise(), training=True), training=True))
        return value, _update(g_adam, g_variables, _gradients(tape, value, g_variables))

    @tf.function
    def train(n: tf.Tensor) -> tf.Tensor:
        rows = tf.TensorArray(tf.float32, size=n, element_shape=(len(HISTORY),))
        for step in tf.range(n):
            d_value = d_norm = tf.constant(0.0)
            for _ in tf.range(discriminator_steps):
                d_value, d_norm = discriminator_update()
            g_value, g_norm = generator_update()
            rows = rows.write(step, tf.stack([d_value, g_value, d_norm, g_norm]))
        return rows.stack()

    with tf.device(_setup.device()):
        # Traced here, once: a call that traces would warn after some runs, as every run traces its own.
        run = train.get_concrete_function(tf.TensorSpec((), tf.int32))
    history = []
    chunk = every if callback and every else steps
    for start in range(0, steps, chunk):
        if callback and every:
            callback(start)
        with tf.device(_setup.device()):
            history.append(run(tf.constant(min(chunk, steps - start))))
    if callback:
        callback(steps)
    return dict(zip(HISTORY, np.concatenate([part.numpy() for part in history]).T, strict=True))


def _losses(
    loss: Loss,
) -> tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]:
    """Return the two loss functions that ``loss`` names, or the pair that it is."""
    if isinstance(loss, tuple):
        return loss
    own = critic_loss if loss == "wasserstein" else discriminator_loss
    return own, lambda fake: generator_loss(fake, kind=loss)


def _gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: list[keras.Variable]) -> list[tf.Tensor]:
    """Return the gradients of ``loss``, zero for a variable that it does not depend on."""
    return tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _update(
    optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable], gradients: list[tf.Tensor]
) -> tf.Tensor:
    """Make one step against these gradients; return their norm."""
    optimizer.apply(gradients, variables)
    return tf.linalg.global_norm(gradients)
