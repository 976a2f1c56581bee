"""The kind of network whose weights have the names of the reference, and Adam on weights by name."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from advrec_teach.tensorflow import _setup
from advrec_teach.tensorflow.tensors import numpy

Weights = dict[str, tf.Tensor]
Moments = tuple[Weights, Weights]


class Network(keras.Model):
    """A network whose variables have names, which are those of the reference."""

    def __init__(self, weights: Mapping[str, np.ndarray], settings: dict[str, Any]):
        super().__init__()
        self.weights_by_name = {}
        with tf.device(_setup.device()):
            for name, values in weights.items():
                variable = self.add_weight(shape=values.shape, initializer="zeros", name=name, dtype="float32")
                variable.assign(values)
                self.weights_by_name[name] = variable
        self._settings = settings

    def _tensors(self) -> Weights:
        """Return all weights by name."""
        return {name: tf.convert_to_tensor(variable) for name, variable in self.weights_by_name.items()}

    def _assign(self, weights: Weights) -> None:
        for name, value in weights.items():
            self.weights_by_name[name].assign(value)

    def named_weights(self) -> dict[str, np.ndarray]:
        """Return a copy of all weights, by the names of the reference."""
        return {name: numpy(value).copy() for name, value in self.weights_by_name.items()}

    def copy(self) -> Any:
        """Return a network with the same weights in memory of its own."""
        other = type(self)(**self._settings)
        other._assign(self._tensors())
        return other


def start_moments(w: Weights) -> Moments:
    """Return Adam's moments before its first step."""
    return tuple({name: tf.zeros_like(value) for name, value in w.items()} for _ in range(2))  # type: ignore[return-value]


def adam_step(
    w: Weights,
    moments: Moments,
    k: tf.Tensor,
    slopes: Weights,
    rate: tf.Tensor,
    b1: float = 0.9,
    b2: float = 0.999,
) -> tuple[Weights, Moments]:
    """Make Adam's step number k, from 0, along these slopes; return weights and moments."""
    t = tf.cast(k + 1, tf.float32)
    first = {n: b1 * moments[0][n] + (1 - b1) * g for n, g in slopes.items()}
    second = {n: b2 * moments[1][n] + (1 - b2) * g * g for n, g in slopes.items()}
    step = rate / (1 - b1**t)
    root = tf.sqrt(1 - b2**t)
    return {n: w[n] - step * first[n] / (tf.sqrt(second[n]) / root + 1e-8) for n in w}, (first, second)
