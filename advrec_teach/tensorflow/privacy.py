"""Per-example gradients, clipping, and a training that adds noise; and the small generator that learns so."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from advrec_teach import reference_behaviour
from advrec_teach import reference_privacy as reference
from advrec_teach.tensorflow import _setup, tensors
from advrec_teach.tensorflow._networks import Network, adam_step, start_moments
from advrec_teach.tensorflow.tensors import numpy, tensor

Weights = Mapping[str, tf.Tensor]


def set_log_probabilities(weights: Weights, rows: tf.Tensor) -> tf.Tensor:
    """Return the logarithm of the set generator's probability of each item: int64 [..., any] gives [..., any].

    Parameters
    ----------
    weights
        The weights by name, as :meth:`SetGenerator.tensors` gives them.
    rows
        Item ids; one row, or rows.
    """
    n_items = weights["bias"].shape[0]
    states = tf.tanh(weights["start"] + tf.cumsum(tf.gather(weights["vectors"], rows), axis=-2, exclusive=True))
    used = tf.cumsum(tf.one_hot(rows, n_items), axis=-2, exclusive=True)
    logits = tf.linalg.matmul(states, weights["out"]) + weights["bias"] + reference_behaviour.USED * used
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(rows, logits)


class SetGenerator(Network):
    """A small generator: each item depends on which items stand before it, whatever their order.

    Parameters
    ----------
    n_items
        Number of items.
    length
        Items in a row.
    dim
        Length of an item's vector.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2), or a row is longer than there are items.

    Notes
    -----
    Larochelle and Lauly, "A Neural Autoregressive Topic Model", NIPS 2012, without their tree.
    """

    def __init__(self, n_items: int, *, length: int = 12, dim: int = 16, seed: int = 0):
        reference_behaviour.check_length(length, n_items)
        weights = reference.set_weights(n_items, dim=dim, seed=seed)
        super().__init__(weights, {"n_items": n_items, "length": length, "dim": dim})
        self.n_items, self.length = n_items, length

    def tensors(self) -> dict[str, tf.Tensor]:
        """Return all weights by name, without history."""
        return {name: tf.identity(value) for name, value in self._tensors().items()}

    def log_probabilities(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the logarithm of the probability of each item given those before it: [n, any] gives [n, any]."""
        return set_log_probabilities(self._tensors(), rows)

    def roll(self, noise: tf.Tensor) -> tf.Tensor:
        """Return the one-hot rows that are drawn with this Gumbel noise, both [n, length, n_items]."""
        w, n_items = self._tensors(), self.n_items
        used, rows = tf.zeros_like(noise[:, 0]), []
        state = tf.repeat(w["start"][None], tf.shape(noise)[0], 0)
        for place in range(noise.shape[1]):
            logits = tf.tanh(state) @ w["out"] + w["bias"] + reference_behaviour.USED * used
            drawn = tf.argmax(logits + noise[:, place], -1)
            rows.append(tf.one_hot(drawn, n_items))
            used = used + rows[-1]
            state = state + tf.gather(w["vectors"], drawn)
        return tf.stack(rows, 1)


def example_gradients(
    loss_fn: Callable[[Any, tf.Tensor], tf.Tensor], weights: Weights, examples: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Return each example's own gradient: for a weight of shape [a, ...] a tensor [n, a, ...].

    Parameters
    ----------
    loss_fn
        Maps the weights by name and one example to a tensor that holds one number.
    weights
        Tensors by name.
    examples
        n examples, along the first axis.
    """
    fixed = dict(weights)

    def one(example: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fixed)
            value = loss_fn(fixed, example)
        return {name: tf.convert_to_tensor(g) for name, g in tape.gradient(value, fixed).items()}

    return tf.vectorized_map(one, examples, fallback_to_while_loop=False)


def private_gradient(
    gradients: Weights, noise: Weights, *, clip: float, noise_multiplier: float, batch_size: float
) -> dict[str, tf.Tensor]:
    """Return (sum of the clipped gradients + noise_multiplier clip noise) / batch_size, for each weight.

    Parameters
    ----------
    gradients
        Each example's own gradient, [n, ...] for each weight. They are clipped by their length over all weights.
    noise
        Standard normal numbers of each weight's shape.
    clip
        Largest length of an example's gradient.
    noise_multiplier
        Standard deviation of the noise in units of ``clip``.
    batch_size
        The expected number of examples, which does not depend on who was drawn.

    Notes
    -----
    Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang, "Deep Learning with Differential Privacy", CCS 2016.
    """
    n = tf.shape(next(iter(gradients.values())))[0]
    flat = {name: tf.reshape(g, tf.stack((n, tf.size(noise[name])))) for name, g in gradients.items()}
    lengths = tf.sqrt(tf.add_n([tf.reduce_sum(g**2, 1) for g in flat.values()]))
    factors = (clip / tf.maximum(lengths, clip))[None]
    return {
        name: (tf.reshape(factors @ g, noise[name].shape) + noise_multiplier * clip * noise[name]) / batch_size
        for name, g in flat.items()
    }


def _loss(weights: Weights, rows: tf.Tensor) -> tf.Tensor:
    return -tf.reduce_mean(set_log_probabilities(weights, rows))


@tf.function(autograph=False, reduce_retracing=True)
def _train(
    w: dict[str, tf.Tensor],
    data: tf.Tensor,
    key: tf.Tensor,
    steps: tf.Tensor,
    size: tf.Tensor,
    clip: tf.Tensor,
    sigma: tf.Tensor,
    rate: tf.Tensor,
    *,
    private: bool,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    share = size / tf.cast(tf.shape(data)[0], tf.float32)

    def draw(k: tf.Tensor, number: int) -> tf.Tensor:
        return tf.stack((key, k * (len(w) + 1) + number))

    def gradient(k: tf.Tensor, w: dict[str, tf.Tensor], batch: tf.Tensor) -> dict[str, tf.Tensor]:
        if private:
            noise = {name: tf.random.stateless_normal(w[name].shape, draw(k, 1 + j)) for j, name in enumerate(w)}
            # One row more, taken out again: a batch that happens to be empty has gradients to sum as well.
            more = example_gradients(_loss, w, tf.concat((batch, data[:1]), 0))
            found = {name: g[:-1] for name, g in more.items()}
            return private_gradient(found, noise, clip=clip, noise_multiplier=sigma, batch_size=size)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(w)
            # An empty batch has the gradient 0.
            total = -tf.reduce_sum(set_log_probabilities(w, batch))
            value = total / tf.cast(tf.maximum(tf.size(batch), 1), tf.float32)
        return {name: tf.convert_to_tensor(g) for name, g in tape.gradient(value, w).items()}

    def body(k: tf.Tensor, w: dict[str, tf.Tensor], moments: Any, sizes: tf.TensorArray) -> tuple:
        drawn = tf.random.stateless_uniform(tf.shape(data)[:1], draw(k, 0)) < share
        batch = tf.ensure_shape(tf.boolean_mask(data, drawn), (None, data.shape[1]))
        w, moments = adam_step(w, moments, k, gradient(k, w, batch), rate)
        return k + 1, w, moments, sizes.write(k, tf.shape(batch)[0])

    sizes = tf.TensorArray(tf.int32, size=steps, element_shape=())
    _, w, _, sizes = tf.while_loop(lambda k, *_: k < steps, body, (tf.constant(0), w, start_moments(w), sizes))
    return w, sizes.stack()


def fit_private(
    generator: SetGenerator,
    rows: Any,
    *,
    steps: int,
    clip: float | None = None,
    noise_multiplier: float = 0.0,
    learning_rate: float = 0.01,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Train the generator in place by likelihood with Adam, on batches drawn by Poisson sampling, or with DP-SGD.

    Parameters
    ----------
    generator
        What is trained.
    rows
        Real rows, item ids [n, length]; one row a person.
    steps
        Number of steps.
    clip
        Largest length of a row's gradient; None takes the batch's gradient as it is, without privacy.
    noise_multiplier
        Standard deviation of the noise in units of ``clip``.
    learning_rate
        Of Adam, which sees the noisy gradient only and so costs no privacy.
    batch_size
        Expected number of rows in a batch; each is in it with probability batch_size / n.
    seed
        Seed of batches and noise.

    Returns
    -------
    ndarray
        The number of rows in each step's batch.

    Raises
    ------
    ValueError
        If a setting or the rows cannot be used; the message says what to mend.
    """
    data = tensor(reference_behaviour.check_rows(rows, generator.n_items, length=generator.length))
    reference_behaviour.check_training(rates=(learning_rate,))
    reference.check_private(
        clip=clip, noise_multiplier=noise_multiplier, steps=steps, batch_size=batch_size, n=len(data)
    )
    with tf.device(_setup.device()):
        key = tensors.generator(seed).uniform((), maxval=tf.int32.max, dtype=tf.int32)
        numbers = [tf.constant(v, tf.float32) for v in (batch_size, clip or 1.0, noise_multiplier, learning_rate)]
        weights, sizes = _train(generator._tensors(), data, key, tf.constant(steps), *numbers, private=clip is not None)
    generator._assign(weights)
    return numpy(sizes).astype(np.int64)
