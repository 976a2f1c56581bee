"""Many small GANs side by side in TensorFlow: every tensor has one more axis in front, the pair."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from advrec_teach import clinic
from advrec_teach.clinic import HISTORY, Patient
from advrec_teach.tensorflow import _setup, tensors

Sampler = Callable[[int, tf.random.Generator], tf.Tensor]
Layers = list[tuple[tf.Tensor, tf.Tensor]]


def power_iteration(weights: tf.Tensor, u: tf.Tensor, *, steps: int = 1) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the largest singular value of each matrix, and the vector to go on from.

    Miyato et al. (2018), algorithm 1. The vectors are held fixed, so that the value's gradient with respect to the
    weights is the outer product of the two singular vectors.

    Parameters
    ----------
    weights
        Matrices, shape (..., n, m).
    u
        Where the last call ended, shape (..., m, 1); anything but zero at first.
    steps
        Iterations.
    """
    fixed, u = tf.stop_gradient(weights), tf.convert_to_tensor(u)
    for _ in range(steps):
        v = tf.math.l2_normalize(fixed @ u, axis=-2, epsilon=1e-24)
        u = tf.math.l2_normalize(tf.matmul(fixed, v, transpose_a=True), axis=-2, epsilon=1e-24)
    return tf.matmul(v, weights @ u, transpose_a=True), u


def fit_ward(
    patients: Sequence[Patient],
    sample_real: Sampler,
    *,
    seeds: Sequence[int],
    steps: int,
    batch_size: int = 64,
    noise_dim: int = 2,
    betas: tuple[float, float] = (0.5, 0.9),
    seed: int = 0,
    noise: Sampler | None = None,
    samples: int = 1000,
    every: int | None = None,
    callback: Callable[[int, np.ndarray], Any] | None = None,
) -> dict[str, np.ndarray]:
    """Train one pair for each patient and each seed, all at once, and return what happened.

    One step is one update of every discriminator, then one of every generator, each by Adam on its own loss. No pair
    sees another: the losses are added up, and the sum's gradient with respect to a pair's weights is that
    of its own loss. All steps between two calls of ``callback`` are one ``tf.function``.

    Parameters
    ----------
    patients
        Settings of the pairs.
    sample_real
        ``sample_real(n, generator)`` returns n real samples of the plane on the device.
    seeds
        Seeds of the first weights; each patient gets one pair a seed.
    steps
        Updates of each player.
    batch_size, noise_dim
        Samples of each kind an update; width of the noise.
    betas
        Decay rates of all Adams.
    seed
        Seed of noise, data and dropout.
    noise
        Draws noise of shape (n, noise_dim) as ``sample_real`` draws data; standard normal by default.
    samples
        Points of every generator that the callback gets.
    every, callback
        ``callback(step, points)`` is called before the first step, every ``every`` steps, and after the
        last, with an array of shape (patients, seeds, samples, 2).

    Returns
    -------
    dict
        Arrays of shape (steps, patients, seeds): ``discriminator_loss`` and ``generator_loss`` (without
        smoothing, L2 or penalty, so that patients can be compared), the norms of the gradients used,
        ``discriminator_gradient`` and ``generator_gradient``, and ``accuracy``, the share of the batch that the
        discriminator judges rightly.

    Raises
    ------
    ValueError
        If a setting cannot be used; the message says what to mend.
    """
    clinic.check_ward(
        patients, seeds, steps=steps, batch_size=batch_size, noise_dim=noise_dim, samples=samples, every=every
    )
    with tf.device(_setup.device()):
        return _fit_ward(
            patients, sample_real, seeds, steps, batch_size, noise_dim, betas, seed, noise, samples, every, callback
        )


def _fit_ward(
    patients: Sequence[Patient],
    sample_real: Sampler,
    seeds: Sequence[int],
    steps: int,
    batch_size: int,
    noise_dim: int,
    betas: tuple[float, float],
    seed: int,
    noise: Sampler | None,
    samples: int,
    every: int | None,
    callback: Callable[[int, np.ndarray], Any] | None,
) -> dict[str, np.ndarray]:
    """Do what :func:`fit_ward` says, on the current device."""
    rng = tensors.generator(seed)
    g_sizes, d_sizes = clinic.sizes(patients, noise_dim=noise_dim)
    rows = [patient for patient in patients for _ in seeds]
    g, d = (tf.Variable(weights) for weights in clinic.first_weights(patients, seeds, noise_dim=noise_dim))

    def column(name: str) -> tf.Tensor:
        return tf.constant([float(getattr(row, name)) for row in rows])

    def those(name: str) -> list[int]:
        return [k for k, row in enumerate(rows) if getattr(row, name)]

    minimax = tf.constant([row.loss == "minimax" for row in rows])[:, None]
    l2, smoothing, penalty = column("l2"), column("smoothing"), column("penalty")
    dropped, limited, penalised = those("dropout"), those("spectral"), those("penalty")
    keep = 1 - tf.constant([rows[k].dropout for k in dropped], tf.float32, shape=(len(dropped), 1, 1))
    spectral = column("spectral")[:, None, None] > 0
    us = [tf.Variable(rng.normal((len(rows), width, 1))) for width in d_sizes[1:]]

    def discriminators(flat: tf.Tensor, *, iterations: int = 1) -> Layers:
        layers = _layers(flat, d_sizes)
        if not limited:
            return layers
        divided = []
        for u, (weights, bias) in zip(us, layers, strict=True):
            largest, after = power_iteration(weights, u, steps=iterations)
            u.assign(after)
            divided.append((weights / tf.where(spectral, largest, 1.0), bias))
        return divided

    def drop(x: tf.Tensor) -> tf.Tensor:
        if not dropped:
            return x
        shape = (len(dropped), *x.shape[1:])
        kept = tf.cast(rng.uniform(shape) < keep, tf.float32) / keep
        return x * tf.tensor_scatter_nd_update(tf.ones_like(x), [[k] for k in dropped], kept)

    def draw(sampler: Sampler, generator: tf.random.Generator, n: int) -> tf.Tensor:
        return tf.reshape(sampler(len(rows) * n, generator), (len(rows), n, -1))

    def normal(n: int, generator: tf.random.Generator) -> tf.Tensor:
        return generator.normal((n, noise_dim))

    def fakes(flat: tf.Tensor, generator: tf.random.Generator, n: int) -> tf.Tensor:
        return _network(_layers(flat, g_sizes), draw(noise or normal, generator, n))

    g_adam, d_adam = (
        _Adam(w, column(f"{player}_rate"), betas) for w, player in ((g, "generator"), (d, "discriminator"))
    )
    discriminators(d, iterations=10)  # the first singular values should be near, too

    @tf.autograph.experimental.do_not_convert  # plain tensors need no conversion, which costs seconds
    def step() -> tf.Tensor:
        real, fake = draw(sample_real, rng, batch_size), fakes(g, rng, batch_size)
        with tf.GradientTape() as tape:
            layers = discriminators(tf.convert_to_tensor(d))
            logits = _network(layers, tf.concat([real, fake], axis=1), drop)[..., 0]
            on_real, on_fake = tf.split(logits, 2, axis=1)
            d_loss = tf.reduce_mean(tf.nn.softplus(-on_real), 1) + tf.reduce_mean(tf.nn.softplus(on_fake), 1)
            squares = tf.add_n([tf.reduce_sum(weights**2, (1, 2)) for weights, _ in layers])
            # softplus(s) - softplus(-s) = s: what a label below 1 adds.
            total = tf.reduce_sum(d_loss + smoothing * tf.reduce_mean(on_real, 1) + l2 * squares)
            if penalised:
                own = [(tf.gather(weights, penalised), tf.gather(bias, penalised)) for weights, bias in layers]
                each = _penalty(own, tf.gather(real, penalised), tf.gather(fake, penalised), rng)
                total += tf.reduce_sum(tf.gather(penalty, penalised) * each)
        d_gradient = tape.gradient(total, d)
        d_adam.step(d, d_gradient)

        with tf.GradientTape() as tape:
            judged = _network(
                discriminators(tf.convert_to_tensor(d)), fakes(tf.convert_to_tensor(g), rng, batch_size), drop
            )[..., 0]
            g_loss = tf.reduce_mean(tf.where(minimax, -tf.nn.softplus(judged), tf.nn.softplus(-judged)), 1)
            total = tf.reduce_sum(g_loss)
        g_gradient = tape.gradient(total, g)
        g_adam.step(g, g_gradient)
        hits = [tf.reduce_mean(tf.cast(hit, tf.float32), 1) for hit in (on_real > 0, on_fake < 0)]
        norms = [tf.norm(gradient, axis=1) for gradient in (d_gradient, g_gradient)]
        return tf.stack([d_loss, g_loss, *norms, (hits[0] + hits[1]) / 2])

    @tf.function
    def train(n: tf.Tensor) -> tf.Tensor:
        found = tf.TensorArray(tf.float32, size=n, element_shape=(len(HISTORY), len(rows)))
        for number in tf.range(n):
            found = found.write(number, step())
        return found.stack()

    # Traced here, once: a call that traces would warn after some runs, as every run traces its own.
    run = train.get_concrete_function(tf.TensorSpec((), tf.int32))

    def look(number: int) -> None:
        if callback:
            points = fakes(tf.convert_to_tensor(g), tensors.generator(seed + 1), samples)
            callback(number, points.numpy().reshape(len(patients), len(seeds), samples, 2))

    history = []
    chunk = every or steps
    for start in range(0, steps, chunk):
        if every:
            look(start)
        history.append(run(tf.constant(min(chunk, steps - start))).numpy())
    look(steps)
    shaped = np.concatenate(history).reshape(steps, len(HISTORY), len(patients), len(seeds))
    return dict(zip(HISTORY, np.moveaxis(shaped, 1, 0), strict=True))


def _layers(flat: tf.Tensor, sizes: list[int]) -> Layers:
    """Return the matrices and biases that the flat rows hold."""
    shapes = [shape for n, m in pairwise(sizes) for shape in ((n, m), (1, m))]
    parts = tf.split(flat, [n * m for n, m in shapes], axis=1)
    shaped = [tf.reshape(part, (-1, *shape)) for part, shape in zip(parts, shapes, strict=True)]
    return list(zip(shaped[::2], shaped[1::2], strict=True))


def _network(layers: Layers, x: tf.Tensor, drop: Callable[[tf.Tensor], tf.Tensor] | None = None) -> tf.Tensor:
    """Return what each perceptron makes of its own examples, shape (pairs, n, outputs)."""
    for weights, bias in layers[:-1]:
        x = tf.nn.relu(x @ weights + bias)
        x = drop(x) if drop else x
    weights, bias = layers[-1]
    return x @ weights + bias


def _penalty(layers: Layers, real: tf.Tensor, fake: tf.Tensor, rng: tf.random.Generator) -> tf.Tensor:
    """Return the gradient penalty of each discriminator, see ``gradient_penalty``; dropout plays no part in it."""
    mix = rng.uniform((*real.shape[:2], 1))
    between = mix * real + (1 - mix) * fake
    with tf.GradientTape() as tape:
        tape.watch(between)
        scores = tf.reduce_sum(_network(layers, between))
    slopes = tape.gradient(scores, between)
    return tf.reduce_mean((tf.sqrt(tf.reduce_sum(slopes**2, 2) + 1e-12) - 1) ** 2, 1)


class _Adam:
    """Adam (Kingma and Ba, 2015) on flat rows, each with a learning rate of its own."""

    def __init__(self, weights: tf.Variable, rates: tf.Tensor, betas: tuple[float, float]):
        self.mean, self.square = (tf.Variable(tf.zeros(weights.shape)) for _ in range(2))
        self.rates, self.betas = rates[:, None], betas
        self.steps = tf.Variable(0.0)

    def step(self, weights: tf.Variable, gradient: tf.Tensor) -> None:
        """Move the weights against the gradient, in place."""
        first, second = self.betas
        steps = self.steps.assign_add(1.0)
        mean = self.mean.assign(first * self.mean + (1 - first) * gradient)
        square = self.square.assign(second * self.square + (1 - second) * gradient**2)
        root = tf.sqrt(square / (1 - second**steps)) + 1e-8
        weights.assign_sub(self.rates * mean / (1 - first**steps) / root)
