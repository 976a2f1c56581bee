"""Defences beside adversarial personalised ranking: smooth and robust losses, cheaper and borrowed attacks."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from advrec_teach.reference import check_fit, check_sizes, radius_of
from advrec_teach.reference_defences import FAST_STEP, PROBE, check_defence
from advrec_teach.tensorflow._training import History, fit, loop, update
from advrec_teach.tensorflow.adversarial import WINDOWS
from advrec_teach.tensorflow.bpr import BPRModel


def smooth_loss(clean: tf.Tensor, moved: tf.Tensor) -> tf.Tensor:
    """Return the mean Kullback-Leibler divergence between what a model believes of pairs before and after a move.

    Parameters
    ----------
    clean, moved
        Margins before and after, shape [n]: the beliefs are Bernoulli(sigmoid(clean)) and Bernoulli(sigmoid(moved)).

    Notes
    -----
    As :func:`advrec_teach.reference_defences.smooth_loss`. Its gradient reaches both margins.
    """
    belief, softplus = tf.sigmoid(clean), tf.nn.softplus
    rise = belief * (softplus(-moved) - softplus(-clean)) + (1 - belief) * (softplus(moved) - softplus(clean))
    return tf.reduce_mean(rise)


def robust_loss(margin: tf.Tensor, *, exponent: float) -> tf.Tensor:
    """Return the mean of (1 - sigmoid(m)^exponent) / exponent, which no single pair can raise above 1 / exponent.

    Parameters
    ----------
    margin
        Margins, shape [n].
    exponent
        Above 0, at most 1; towards 0 the loss becomes the BPR loss.

    Notes
    -----
    As :func:`advrec_teach.reference_defences.robust_loss`.
    """
    return tf.reduce_mean((1 - tf.sigmoid(margin) ** exponent) / exponent)


def _unit(way: tf.Tensor, eps: Any) -> tf.Tensor:
    """Return every row of ``way`` with length eps; a row of zeros stays."""
    # Slopes of a trained model are tiny; a length of 0 stays below anything that is divided by it.
    return way * (eps / tf.maximum(tf.norm(way, axis=1, keepdims=True), 1e-30))


def _project(delta: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """Return every row, shortened to length eps if it is longer."""
    return delta * tf.minimum(eps / tf.maximum(tf.norm(delta, axis=1, keepdims=True), 1e-30), 1.0)


def _label_slope(margin: tf.Tensor) -> tf.Tensor:
    """Return the slope of the BPR loss: what the model believes, less what the label says."""
    return -tf.sigmoid(-margin)


def _losses(
    defence: str, table: tf.Tensor, rows: tf.Tensor, way: tf.Tensor, s: dict[str, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return losses, gradient and move of a batch; ``s`` holds the settings.

    See :func:`advrec_teach.reference_defences.defended_gradient`.
    """
    eps, weight, label, softplus = s["eps"], s["adv_weight"], _label_slope, tf.nn.softplus
    mean = tf.reduce_mean

    def slopes(outer: Callable[[tf.Tensor], tf.Tensor], vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the margins of the batch at ``vectors``, and the slopes of a loss summed into a table."""
        p, qi, qj = tf.split(vectors, 3)
        difference = qi - qj
        margin = tf.reduce_sum(p * difference, 1)
        slope = (outer(margin) / tf.cast(tf.size(margin), margin.dtype))[:, None]
        dqi = slope * p
        gradient = tf.concat((slope * difference, dqi, -dqi), 0)
        return margin, tf.math.unsorted_segment_sum(gradient, rows, table.shape[0])

    def at(delta: tf.Tensor) -> tf.Tensor:
        return vectors + tf.gather(delta, rows)

    vectors = tf.gather(table, rows)
    if defence == "robust":
        margin, gradient = slopes(lambda m: label(m) * tf.sigmoid(m) ** s["exponent"], vectors)
        loss = robust_loss(margin, exponent=s["exponent"])
        return tf.stack((loss, loss)), gradient, tf.zeros_like(table)
    if defence in ("free", "fast", "noise"):
        delta = way if defence == "free" else _unit(way, eps)
        if defence == "fast":
            _, gradient = slopes(label, at(delta))
            delta = _project(delta + _unit(gradient, FAST_STEP * eps), eps)
        margin, gradient = slopes(label, at(delta))
        loss = mean(softplus(-margin))
        if defence == "free":
            delta = _project(delta + _unit(gradient, eps), eps)
        return tf.stack((loss, loss)), gradient, delta
    if defence == "ensemble":
        margin, gradient = slopes(label, vectors)
        _, borrowed = slopes(label, tf.gather(way, rows))
        delta = _unit(borrowed, eps)
        moved, more = slopes(label, at(delta))
        return tf.stack((mean(softplus(-margin)), mean(softplus(-moved)))), gradient + weight * more, delta
    p, qi, qj = tf.split(vectors, 3)
    margin = tf.reduce_sum(p * (qi - qj), 1)
    belief = tf.sigmoid(margin)
    _, gradient = slopes(lambda m: tf.sigmoid(m) - belief, at(_unit(way, PROBE)))
    delta = _unit(gradient, eps)
    moved, more = slopes(lambda m: tf.sigmoid(m) - belief, at(delta))
    through = weight if defence == "trades" else 0.0
    _, gradient = slopes(lambda m: label(m) + through * belief * (1 - belief) * (m - moved), vectors)
    return tf.stack((mean(softplus(-margin)), smooth_loss(margin, moved))), gradient + weight * more, delta


def _epoch(
    defence: str,
    optimizer: str,
    table: tf.Tensor,
    state: tuple,
    batches: tf.Tensor,
    delta: tf.Tensor,
    pool: tf.Tensor,
    first: tf.Tensor,
    s: dict[str, tf.Tensor],
) -> tuple[tf.Tensor, tuple, tf.Tensor]:
    """Run through all batches with steps of a defence; the state holds the optimiser's and the move.

    ``pool`` holds random directions, or the tables of the models that make moves, which take turns from ``first`` on.
    """

    def step(k: tf.Tensor, rows: tf.Tensor, table: tf.Tensor, state: tuple) -> tuple:
        inner, delta = state
        if defence == "free":
            way = delta
        elif defence == "ensemble":
            turn = (first + k) % (1 + pool.shape[0])
            way = tf.where(turn == 0, table, tf.gather(pool, tf.maximum(turn - 1, 0)))
        elif defence == "robust":
            way = table
        else:
            way = tf.slice(pool, (k % WINDOWS, 0), table.shape)
        losses, gradient, delta = _losses(defence, table, rows, way, s)
        decay = 2 * s["regularisation"] * 3 / tf.cast(tf.size(rows), table.dtype)
        gradient += tf.math.unsorted_segment_sum(decay * tf.gather(table, rows), rows, table.shape[0])
        table, inner = update(optimizer, table, gradient, inner, s["rate"])
        return table, (inner, delta), losses

    return loop(step, table, (state, delta), batches, 2)


_plain = tf.function(_epoch, autograph=False)
_xla = tf.function(_epoch, autograph=False, jit_compile=True)


def fit_defended(
    model: BPRModel,
    train: Any,
    *,
    epochs: int,
    defence: str,
    eps: float | Callable[[int], float] = 0.5,
    adv_weight: float = 1.0,
    exponent: float = 0.5,
    replays: int = 4,
    others: Sequence[BPRModel] = (),
    learning_rate: float = 0.05,
    regularisation: float = 0.005,
    batch_size: int = 1024,
    seed: int = 0,
    optimizer: str = "adagrad",
    compile: bool | None = None,
    callback: Callable[[BPRModel, dict[str, float]], Any] | None = None,
) -> History:
    """Train ``model`` in place with one of the defences of lesson 11.

    Parameters
    ----------
    model, train, epochs, learning_rate, regularisation, batch_size, seed, optimizer, compile, callback
        As in :func:`fit_bpr`. Start from a model that ``fit_bpr`` has trained.
    defence
        ``"robust"``: the bounded loss :func:`robust_loss`, nothing is moved. ``"vat"``: the BPR loss plus
        ``adv_weight`` times :func:`smooth_loss` at the move that raises it most, beliefs before the move held fixed.
        ``"trades"``: the same, beliefs not held fixed. ``"fast"``: the BPR loss at a move of one step from a random
        start, and nowhere else. ``"free"``: the BPR loss at a move that is never begun anew; each gradient serves the
        model and the move. ``"ensemble"``: as :func:`fit_adversarial`, but the model and ``others`` take turns in
        making the move. ``"noise"``: the BPR loss at a random move of length eps, the control of those that move.
    eps
        Length of the move of every vector; or a function of the epoch's number (from 1) that returns it.
    adv_weight
        Weight of the loss at the moved vectors in ``"vat"``, ``"trades"`` and ``"ensemble"``.
    exponent
        Of :func:`robust_loss`.
    replays
        Steps that ``"free"`` takes on a batch before the next one.
    others
        Trained models, for ``"ensemble"`` only; they stay as they are.

    Returns
    -------
    list of dict
        One record an epoch: ``epoch`` (from 1), ``loss`` and ``adversarial_loss`` (means over the batches, without
        regularisation and weight; equal where a defence takes one loss only), ``eps``, ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range, model and interactions differ in size, or a user has every item, so
        that no negative can be drawn.

    Notes
    -----
    :func:`advrec_teach.reference_defences.defended_gradient` holds the formulas. A batch costs one gradient in
    ``"robust"`` and ``"noise"``, two in ``"fast"``, three in ``"vat"`` and ``"trades"``, ``replays`` in ``"free"``, and
    two or three in ``"ensemble"``. Zhang and Sabuncu (NeurIPS 2018); Miyato,
    Maeda, Koyama and Ishii (TPAMI 2019), one power iteration; Zhang et al. (ICML 2019), one inner step; Wong, Rice and
    Kolter (ICLR 2020); Shafahi et al. (NeurIPS 2019); Tramèr et al. (ICLR 2018). All moves are balls of length eps
    around each vector.
    """
    check_sizes(model.user_vectors.shape[0], model.item_vectors.shape[0], train)
    check_fit(epochs, learning_rate, regularisation, batch_size, optimizer, None, train)
    shape = (train.n_users + train.n_items, model.item_vectors.shape[1])
    check_defence(defence, eps, adv_weight, exponent, replays, others, shape)
    run = _plain if compile is False else _xla
    settings = {"rate": learning_rate, "regularisation": regularisation, "adv_weight": adv_weight, "exponent": exponent}
    settings = {name: tf.constant(value, tf.float32) for name, value in settings.items()}
    kept: dict[str, Any] = {"delta": None, "steps": 0}

    def epoch(table: tf.Tensor, state: tuple, batches: tf.Tensor, own: tf.Tensor, besides: dict) -> tuple:
        if defence == "free":
            batches = tf.repeat(batches, replays, 0)
        if defence == "ensemble":
            pool = tf.stack([tf.concat((other.user_vectors, other.item_vectors), 0) for other in others])
        else:
            rows = shape[0] + WINDOWS if defence in ("vat", "trades", "fast", "noise") else 0
            pool = tf.random.stateless_normal((rows, shape[1]), own)
        radius = tf.constant(besides["eps"], tf.float32)
        first = tf.constant(kept["steps"])
        delta = tf.zeros_like(table) if kept["delta"] is None else kept["delta"]
        table, (state, kept["delta"]), losses = run(
            defence, optimizer, table, state, batches, delta, pool, first, settings | {"eps": radius}
        )
        kept["steps"] += batches.shape[0]
        return table, state, losses

    return fit(
        model,
        train,
        epoch,
        names=("loss", "adversarial_loss"),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        callback=callback,
        before=lambda number: {"eps": radius_of(eps, number)},
    )
