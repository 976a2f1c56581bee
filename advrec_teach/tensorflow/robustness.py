"""How a factorisation model fares when its vectors are moved: one loss, four ways to move, a range of lengths."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from advrec_teach.reference import ATTACKS, check_attack, check_ball, step_of
from advrec_teach.tensorflow import _setup
from advrec_teach.tensorflow.attacks import fgm_delta, fgsm_delta, pgd_delta, random_delta
from advrec_teach.tensorflow.bpr import BPRModel
from advrec_teach.tensorflow.tensors import generator, numpy


def ranking_loss(
    users: tf.Tensor, items: tf.Tensor, negatives: tf.Tensor
) -> Callable[[tuple[tf.Tensor, tf.Tensor]], tf.Tensor]:
    """Return the mean BPR loss of these triples as a function of all vectors, a pair (p, q).

    Parameters
    ----------
    users, items, negatives
        Ids of users, of items that they chose and of items that they did not, int64, each of shape [n].

    Returns
    -------
    function
        Maps a pair of tensors, shapes [n_users, d] and [n_items, d], to one number. Any attack takes it as its
        ``loss_fn``. Its gradient is :func:`bpr_gradients`, summed over the triples of each vector.

    Raises
    ------
    ValueError
        If the three differ in shape or are empty.
    """
    if not users.shape == items.shape == negatives.shape or users.shape.rank != 1 or users.shape[0] == 0:
        raise ValueError("users, items and negatives hold one id for each triple: give three equally long lists.")

    # With many triples a table of all scores is cheaper than gathering and scattering vectors: three products of
    # matrices, and only single numbers are gathered.
    @tf.function(autograph=False, reduce_retracing=True)
    def slopes(p: tf.Tensor, q: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        n_items = tf.shape(q, out_type=tf.int64)[0]
        chosen, other = users * n_items + items, users * n_items + negatives
        scores = tf.reshape(tf.matmul(p, q, transpose_b=True), [-1])
        margin = tf.gather(scores, chosen) - tf.gather(scores, other)
        slope = -tf.sigmoid(-margin) / tf.cast(tf.size(margin), margin.dtype)
        places, weights = tf.concat((chosen, other), 0), tf.concat((slope, -slope), 0)
        table = tf.reshape(tf.math.unsorted_segment_sum(weights, places, tf.size(scores)), [tf.shape(p)[0], -1])
        return tf.reduce_mean(tf.nn.softplus(-margin)), tf.matmul(table, q), tf.matmul(table, p, transpose_a=True)

    @tf.custom_gradient
    def loss(p: tf.Tensor, q: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        value, dp, dq = slopes(p, q)
        return value, lambda upstream: (upstream * dp, upstream * dq)

    return lambda pair: loss(*pair)


def attack_vectors(
    model: BPRModel,
    loss_fn: Callable[[Any], tf.Tensor],
    *,
    method: str,
    eps: float,
    steps: int = 20,
    seed: int = 0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return copies of all vectors, each moved by at most length eps so that ``loss_fn`` rises; the model stays.

    Parameters
    ----------
    model
        Whose vectors are attacked.
    loss_fn
        What the attack raises: a function of the pair (p, q), as from :func:`ranking_loss`.
    method
        ``"random"``: noise of length eps; ``"fgsm"``: the signed step of that length, eps / sqrt(d) a
        coordinate; ``"fgm"``: the scaled step; ``"pgd"``: ``steps`` steps of 2.5 eps / steps within the ball,
        from zero.
    eps
        Length of the move of each vector, or, for ``"pgd"``, its limit.
    seed
        Seed of the noise.

    Returns
    -------
    p, q
        Tensors of shape [n_users, d] and [n_items, d].

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, ``steps`` is below 1, or the method is unknown.
    """
    eps = check_ball(eps, "l2")
    check_attack(method, steps)
    with tf.device(_setup.device()):
        x = (tf.convert_to_tensor(model.user_vectors), tf.convert_to_tensor(model.item_vectors))
        if method == "random":
            delta = random_delta(x, eps=eps, norm="l2", generator=generator(seed))
        elif method == "fgsm":
            delta = fgsm_delta(loss_fn, x, eps=eps / np.sqrt(x[0].shape[1]))
        elif method == "fgm":
            delta = fgm_delta(loss_fn, x, eps=eps)
        else:
            delta = pgd_delta(loss_fn, x, eps=eps, step=step_of(eps, steps), steps=steps, norm="l2")
        return x[0] + delta[0], x[1] + delta[1]


def robustness_curve(
    model: BPRModel,
    loss_fn: Callable[[Any], tf.Tensor],
    measure: Callable[[np.ndarray], float],
    *,
    epsilons: Sequence[float],
    methods: Sequence[str] = ATTACKS,
    steps: int = 20,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Measure a model under every method and at every length of the move.

    Parameters
    ----------
    model, loss_fn, steps, seed
        As in :func:`attack_vectors`.
    measure
        Maps all scores, an array of shape [n_users, n_items], to one number, such as NDCG@20.
    epsilons, methods
        Lengths of the move, and names of methods as in :func:`attack_vectors`.

    Returns
    -------
    list of dict
        One record for each method and length: ``method``, ``eps``, ``value`` (what ``measure`` returned) and
        ``loss`` (``loss_fn`` at the moved vectors).

    Raises
    ------
    ValueError
        As :func:`attack_vectors`.
    """
    records = []
    for method in methods:
        for eps in epsilons:
            pair = attack_vectors(model, loss_fn, method=method, eps=eps, steps=steps, seed=seed)
            with tf.device(_setup.device()):
                scores = numpy(tf.matmul(pair[0], pair[1], transpose_b=True))
            value = float(measure(scores))
            records.append({"method": method, "eps": float(eps), "value": value, "loss": float(loss_fn(pair))})
    return records
