"""Tensors on the device, and the one seam that every attack uses: ``value_and_grad``."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from advrec_teach.tensorflow import _setup

Tensors: TypeAlias = "tf.Tensor | tuple[tf.Tensor, ...] | list[tf.Tensor]"


def tensor(array: Any, dtype: tf.DType | str | None = None) -> tf.Tensor:
    """Return ``array`` as a tensor on the device that ``setup`` chose.

    Parameters
    ----------
    array
        Anything that NumPy can read, or a tensor.
    dtype
        Type of the entries, such as ``tf.float32`` or ``"float32"``. Left out, floating-point numbers
        become float32, whole numbers int64, and booleans stay booleans.

    Raises
    ------
    ValueError
        If the entries are neither numbers nor booleans, or the rows differ in length.
    """
    if not tf.is_tensor(array) and not hasattr(array, "assign"):
        array = np.asarray(array)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"A tensor holds numbers or booleans, and this array holds {array.dtype}.")
    with tf.device(_setup.device()):
        array = tf.convert_to_tensor(array)
        if dtype is None:
            dtype = tf.float32 if array.dtype.is_floating else tf.int64
            dtype = tf.bool if array.dtype == tf.bool else dtype
        return tf.identity(tf.cast(array, dtype))


def numpy(t: Any) -> np.ndarray:
    """Return a tensor's entries as a NumPy array in main memory; bfloat16 becomes float32."""
    if not tf.is_tensor(t) and not hasattr(t, "assign"):
        return np.asarray(t)
    t = tf.convert_to_tensor(t)
    return (tf.cast(t, tf.float32) if t.dtype == tf.bfloat16 else t).numpy()


def generator(seed: int) -> tf.random.Generator:
    """Return a random generator on the device, its state fixed by ``seed``."""
    with tf.device(_setup.device()):
        # As the key, not as the counter that from_seed makes of it: there, seed 1 is seed 0 four numbers later.
        return tf.random.Generator.from_key_counter(key=seed, counter=(0, 0), alg="philox")


def _leaf(t: Any) -> tf.Tensor:
    """Return ``t`` as a tensor cut off from whatever computed it."""
    t = tf.convert_to_tensor(t)
    if not t.dtype.is_floating:
        raise ValueError(
            "x holds whole numbers (ids), which have no gradient: perturb the vectors that they stand for."
        )
    return tf.stop_gradient(t)


def value_and_grad(loss_fn: Callable[[Any], tf.Tensor], x: Tensors) -> tuple[tf.Tensor, Any]:
    """Return the value of ``loss_fn(x)`` and its gradient with respect to ``x`` alone.

    Parameters
    ----------
    loss_fn
        Maps ``x`` to a tensor that holds one number.
    x
        A tensor of floating-point numbers, or a tuple or list of them, which ``loss_fn`` then gets as its
        one argument.

    Returns
    -------
    value, gradient
        The loss without history, and the gradient, shaped and nested as ``x``. Variables that ``loss_fn``
        uses are not watched.

    Raises
    ------
    ValueError
        If ``x`` holds whole numbers, the loss is not one number, or the loss does not depend on ``x``.
    """
    single = not isinstance(x, (tuple, list))
    leaves = [_leaf(t) for t in ((x,) if single else x)]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(leaves)
        value = loss_fn(leaves[0] if single else type(x)(leaves))
    if not tf.is_tensor(value):
        raise ValueError(f"loss_fn returned a {type(value).__name__}; return a tensor that holds one number.")
    if value.shape.num_elements() not in (None, 1):
        raise ValueError(
            f"loss_fn returned shape {tuple(value.shape)}; return one number: sum or average over examples."
        )
    gradients = tape.gradient(value, leaves)
    if any(g is None for g in gradients):
        raise ValueError("The loss does not depend on x, so it has no gradient: use loss_fn's argument in it.")
    # A gather leaves its gradient as a list of rows; made whole, it can be added to x.
    gradients = [tf.convert_to_tensor(g) for g in gradients]
    return tf.stop_gradient(tf.reshape(value, ())), gradients[0] if single else type(x)(gradients)
