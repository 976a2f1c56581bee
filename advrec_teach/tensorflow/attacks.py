"""Perturbations of an input: one signed step, one scaled, many projected, and noise of the same size.

Every attack takes ``loss_fn``, which maps the perturbed input to one number, and ``x``, the input: a
tensor of shape [n, ...] whose first axis counts the examples, or a tuple or list of such tensors, each
then having a ball of its own. The loss is summed or averaged over the examples; sign and length are taken
per example, so either gives the same perturbation. An attack returns ``delta``, nested as ``x``: the
attacked input is ``x + delta``. It changes neither ``x`` nor a variable. An empty batch gives an empty
delta. A gradient that is not finite is passed on, so that it can be seen, and never replaced. Every
attack may be called inside a ``tf.function``.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from advrec_teach.reference import check_ball, check_steps
from advrec_teach.tensorflow._compiled import compiled
from advrec_teach.tensorflow.tensors import Tensors, value_and_grad


def _each(function: Callable[..., tf.Tensor], *trees: Any) -> Any:
    """Apply ``function`` to tensors, or place by place to tuples or lists of them."""
    if not isinstance(trees[0], (tuple, list)):
        return function(*(tf.convert_to_tensor(t) for t in trees))
    return type(trees[0])(function(*(tf.convert_to_tensor(t) for t in leaves)) for leaves in zip(*trees, strict=True))


def _inner(t: tf.Tensor) -> list[int]:
    """Return all axes but the first, which counts the examples."""
    if t.shape.rank == 0:
        raise ValueError("x is a single number; its first axis has to count the examples.")
    return list(range(1, t.shape.rank))


def _length(t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the Euclidean length of each example, shaped so that it divides ``t``, and ``t`` scaled to length 1.

    An example of zeros has length 0 and stays zero.
    """
    # Divided by its largest entry first: squares of very small entries round to 0, of very large ones to infinity.
    largest = tf.reduce_max(tf.abs(t), axis=_inner(t), keepdims=True)
    t = t / tf.where(largest > 0, largest, tf.ones_like(largest))
    length = tf.sqrt(tf.reduce_sum(t * t, axis=_inner(t), keepdims=True))
    return largest * length, t / tf.where(length > 0, length, tf.ones_like(length))


def _direction(t: tf.Tensor, norm: str) -> tf.Tensor:
    """Return the unit step of steepest ascent in the given norm."""
    return tf.sign(t) if norm == "linf" else _length(t)[1]


def _project(t: tf.Tensor, eps: Any, norm: str) -> tf.Tensor:
    """Return the point of the ball that is nearest to ``t``."""
    if norm == "linf":
        return tf.clip_by_value(t, -eps, eps)
    length, unit = _length(t)
    return tf.where(length > eps, eps * unit, t)


def fgsm_delta(loss_fn: Callable[[Any], tf.Tensor], x: Tensors, *, eps: float) -> Any:
    """Return eps * sign(gradient): every coordinate moves by eps in the direction that raises the loss.

    Goodfellow, Shlens and Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or :func:`value_and_grad` refuses ``loss_fn`` or ``x``.
    """
    eps = check_ball(eps, "linf")
    _, gradient = value_and_grad(loss_fn, x)
    return _each(lambda g: eps * _direction(g, "linf"), gradient)


def fgm_delta(loss_fn: Callable[[Any], tf.Tensor], x: Tensors, *, eps: float) -> Any:
    """Return eps * gradient / ||gradient||_2, the length taken per example (over all axes but the first).

    Miyato, Dai and Goodfellow, "Adversarial Training Methods for Semi-Supervised Text Classification",
    ICLR 2017. An example whose gradient is zero is not moved.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or :func:`value_and_grad` refuses ``loss_fn`` or ``x``.
    """
    eps = check_ball(eps, "l2")
    _, gradient = value_and_grad(loss_fn, x)
    return _each(lambda g: eps * _direction(g, "l2"), gradient)


def random_delta(x: Tensors, *, eps: float, norm: str, generator: tf.random.Generator | None) -> Any:
    """Return noise of exactly the size of an attack: the control that every attack is compared with.

    Parameters
    ----------
    x
        Input; only its shape and type matter.
    eps, norm
        ``"linf"``: every coordinate is eps or -eps, the size of FGSM; ``"l2"``: every example has length
        eps, the size of FGM, in a uniformly random direction.
    generator
        Source of the random numbers, from ``generator(seed)``; None takes TensorFlow's own.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or ``norm`` is unknown.
    """
    eps = check_ball(eps, norm)
    return _each(lambda t: eps * _direction(_gaussian(t, generator), norm), x)


def project(delta: Tensors, *, eps: float, norm: str) -> Any:
    """Return the point of the ball of radius eps that is nearest to ``delta``, per example.

    ``"linf"`` clips every coordinate to [-eps, eps]; ``"l2"`` shortens an example that is longer than eps
    to length eps and leaves the others as they are.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or ``norm`` is unknown.
    """
    eps = check_ball(eps, norm)
    return _each(lambda t: _project(t, eps, norm), delta)


def pgd_delta(
    loss_fn: Callable[[Any], tf.Tensor],
    x: Tensors,
    *,
    eps: float,
    step: float,
    steps: int,
    norm: str,
    generator: tf.random.Generator | None = None,
    compile: bool = False,
) -> Any:
    """Return the perturbation that projected gradient ascent reaches.

    Parameters
    ----------
    loss_fn, x
        As for every attack (see the module).
    eps, norm
        Ball that the perturbation stays in: ``"linf"`` or ``"l2"``.
    step, steps
        Length of one step, in the same norm, and the number of steps.
    generator
        None starts at zero; a generator starts at a point drawn uniformly from the ball.
    compile
        Compile the whole loop with XLA once and keep the result (see
        :mod:`advrec_teach.tensorflow._compiled` for how long). The first call takes about a second.

    Raises
    ------
    ValueError
        If ``eps`` or ``step`` is negative or not finite, ``steps`` is not a whole number from 0, ``norm``
        is unknown, or :func:`value_and_grad` refuses ``loss_fn`` or ``x``.

    Notes
    -----
    delta <- project(delta + step * direction), the direction being the sign of the gradient ("linf") or the
    gradient over its length ("l2"): Madry et al., "Towards Deep Learning Models Resistant to Adversarial
    Attacks", ICLR 2018.
    """
    eps = check_ball(eps, norm)
    step, steps = check_steps(step, steps)
    x = _each(lambda t: t, x)
    start = None if generator is None else _each(lambda t: _inside(t, eps, norm, generator), x)
    if compile and tf.executing_eagerly():
        return compiled(loss_fn, _loop, norm, steps)(x, start, tf.constant((eps, step)))
    return _loop(loss_fn, norm, steps, x, start, (eps, step))


def _loop(loss_fn: Callable[[Any], tf.Tensor], norm: str, steps: int, x: Any, start: Any, sizes: Any) -> Any:
    """Take the steps of :func:`pgd_delta`: one after the other, or as a loop of the graph being built.

    ``sizes`` are the radius of the ball and the length of a step; no start means zero.
    """

    def ascend(delta: Any) -> Any:
        _, gradient = value_and_grad(loss_fn, _each(tf.add, x, delta))

        def move(d: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
            eps, step = (tf.cast(s, d.dtype) if tf.is_tensor(s) else s for s in (sizes[0], sizes[1]))
            return _project(d + step * _direction(g, norm), eps, norm)

        return _each(move, delta, gradient)

    delta = _each(tf.zeros_like, x) if start is None else start
    if tf.executing_eagerly() or steps == 1:
        for _ in range(steps):
            delta = ascend(delta)
        return delta
    return tf.while_loop(lambda k, _: k < steps, lambda k, d: (k + 1, ascend(d)), (0, delta))[1]


def _gaussian(t: tf.Tensor, generator: tf.random.Generator | None) -> tf.Tensor:
    """Return standard normal draws, shaped as ``t``."""
    draw = tf.random.normal if generator is None else generator.normal
    return tf.cast(draw(tf.shape(t)), t.dtype)


def _inside(t: tf.Tensor, eps: float, norm: str, generator: tf.random.Generator) -> tf.Tensor:
    """Return draws from the uniform distribution on the ball of each example."""
    if norm == "linf":
        return tf.cast(eps * (2 * generator.uniform(tf.shape(t)) - 1), t.dtype)
    direction = _direction(_gaussian(t, generator), "l2")
    # The volume within radius r grows as r**m in m dimensions: the m-th root of a uniform draw is the radius.
    m = tf.cast(tf.reduce_prod(tf.shape(t)[1:]), t.dtype)
    shape = tf.concat((tf.shape(t)[:1], tf.ones_like(tf.shape(t)[1:])), 0)
    return eps * tf.cast(generator.uniform(shape), t.dtype) ** (1 / m) * direction
