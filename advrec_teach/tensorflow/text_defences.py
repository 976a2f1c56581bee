"""Adversarial training of text classifiers, and attacks on them: each text's words move by a length of their own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from advrec_teach.reference_text import CLIP, WIDTH
from advrec_teach.reference_text_defences import (
    NOISY,
    START,
    check_attack_text,
    check_defence_text,
    step_length,
    unit_noise,
)
from advrec_teach.tensorflow import _setup
from advrec_teach.tensorflow.attacks import _loop, fgm_delta, project
from advrec_teach.tensorflow.bert import TextClassifier, TextTrainer, text_logits, text_loss
from advrec_teach.tensorflow.tensors import numpy, tensor
from advrec_teach.text_training import History, fit
from advrec_teach.texts import EncodedTexts

_IDS = tf.TensorSpec((None, None), tf.int32)
_FACTORS = tf.TensorSpec((None, WIDTH), tf.float32)
_MOVE = tf.TensorSpec((None, None, WIDTH), tf.float32)


def belief_divergence(clean: tf.Tensor, moved: tf.Tensor) -> tf.Tensor:
    """Return the mean Kullback-Leibler divergence from the beliefs at ``clean`` to those at ``moved``.

    Parameters
    ----------
    clean, moved
        Logits before and after a move, shape [n, classes]; a gradient reaches both.
    """
    before, after = tf.nn.log_softmax(clean), tf.nn.log_softmax(moved)
    return tf.reduce_mean(tf.reduce_sum(tf.exp(before) * (before - after), 1))


def _along(gradient: tf.Tensor, length: float) -> tf.Tensor:
    """Return the gradient with this length for each text; zeros stay zeros."""
    size = tf.sqrt(tf.reduce_sum(gradient * gradient, (1, 2), keepdims=True))
    return gradient * (length / tf.maximum(size, 1e-30))


class _Passes:
    """The passes that training is made of, each one graph for batches of any shape, made once for each model.

    ``learn`` returns loss, logits and the gradient for the weights at a move; ``both`` the slope of the move as well;
    ``feel`` the slope alone. With ``beliefs``, targets are the logits that the divergence starts from, else labels.
    What weighs a whole loss is multiplied into ``weights``, those of the classes, of which the divergence looks at the
    first: so no gradient has to be multiplied afterwards.
    """

    def __init__(self, model: TextClassifier, layer: int, beliefs: bool):
        self.model, self.layer, self.beliefs = model, layer, beliefs
        targets = tf.TensorSpec((None, None), tf.float32) if beliefs else tf.TensorSpec((None,), tf.int64)
        shapes = (_IDS, targets, _FACTORS, _MOVE, tf.TensorSpec((None,), tf.float32))
        self.learn, self.both, self.feel = (
            tf.function(function, input_signature=shapes, autograph=False)
            for function in (self._learn, self._both, self._feel)
        )

    def _loss(
        self, ids: tf.Tensor, targets: tf.Tensor, factors: tf.Tensor, move: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self.model.head(self.model.pool(ids, move=move, layer=self.layer) * factors)
        loss = weights[0] * belief_divergence(targets, logits) if self.beliefs else text_loss(logits, targets, weights)
        return loss, logits

    def _learn(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        values = [parameter.value for parameter in self.model.trained().values()]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss, logits = self._loss(*batch)
        return loss, logits, tape.gradient(loss, values)

    def _both(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor], tf.Tensor]:
        watched = [*(parameter.value for parameter in self.model.trained().values()), batch[3]]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            loss, logits = self._loss(*batch)
        *gradients, slope = tape.gradient(loss, watched)
        return loss, logits, gradients, slope

    def _feel(self, *batch: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(batch[3])
            loss, _ = self._loss(*batch)
        return tape.gradient(loss, batch[3])


def _passes(model: TextClassifier, layer: int, *, beliefs: bool = False) -> _Passes:
    """Return the passes of a model, made when they are first asked for."""
    made = model.__dict__.setdefault("_robust_passes", {})
    if (layer, beliefs) not in made:
        made[layer, beliefs] = _Passes(model, layer, beliefs)
    return made[layer, beliefs]


class RobustTextTrainer(TextTrainer):
    """Steps of adversarial training: a batch's words are moved first, then the weights learn at the moved place."""

    def __init__(
        self,
        model: TextClassifier,
        class_weights: np.ndarray,
        *,
        decay: float,
        defence: str,
        eps: float,
        steps_inner: int,
        step_inner: float | None,
        adv_weight: float,
        layer: int,
        rng: np.random.Generator,
    ):
        super().__init__(model, class_weights, decay=decay)
        self.defence, self.eps, self.adv_weight, self.layer = defence, eps, adv_weight, layer
        self.steps_inner, self.step_inner = steps_inner, step_length(eps, steps_inner, step_inner)
        self.rng, self.passes = rng, _passes(model, layer)
        self.noise = tf.zeros((0, 0, WIDTH))
        shapes = [tf.TensorSpec(parameter.shape, tf.float32) for parameter in self.parameters]
        self._apply = tf.function(self._apply_gradients, input_signature=(shapes,), autograph=False)

    def step(self, ids: np.ndarray, labels: np.ndarray, factors: np.ndarray, rate: float) -> tf.Tensor:
        """Train on one batch and return its loss without a move (FreeLB: the mean of its moved losses)."""
        with tf.device(_setup.device()):
            if self.defence in NOISY:
                self.noise = tensor(unit_noise(ids, self.rng, WIDTH))
            self.adam.learning_rate = rate
            loss, gradients = self.slopes(tensor(ids, "int32"), tensor(labels, "int64"), tensor(factors))
            self._apply(gradients)
            return loss

    def _apply_gradients(self, gradients: list[tf.Tensor]) -> None:
        gradients, _ = tf.clip_by_global_norm(gradients, CLIP)
        self.adam.apply(gradients, self.parameters)

    def slopes(self, ids: tf.Tensor, labels: tf.Tensor, factors: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss of a batch and the gradient of what is minimised, for each of the parameters."""
        batch = (ids, labels, factors)
        if self.defence == "freelb":
            return self._freelb(batch)
        still = tf.zeros((*ids.shape, WIDTH))
        if self.defence == "smooth":
            return self._smooth(batch, still)
        if self.defence == "random":
            clean, _, gradients = self.passes.learn(*batch, still, self.class_weights)
            move = self.eps * self.noise
        else:
            # The backward pass that the weights need anyway gives the first slope of the words with it.
            clean, _, gradients, slope = self.passes.both(*batch, still, self.class_weights)
            move = self._ascend(batch, slope)
        _, _, attacked = self.passes.learn(*batch, move, self.adv_weight * self.class_weights)
        return clean, _summed(gradients, attacked)

    def _ascend(self, batch: tuple[tf.Tensor, ...], slope: tf.Tensor) -> tf.Tensor:
        """Return the move that one step (FGM) or some (PGD) reach; ``slope`` is the first one, at no move."""
        if self.defence == "fgm":
            return _along(slope, self.eps)
        move = project(_along(slope, self.step_inner), eps=self.eps, norm="l2")
        for _ in range(self.steps_inner - 1):
            slope = self.passes.feel(*batch, move, self.class_weights)
            move = project(move + _along(slope, self.step_inner), eps=self.eps, norm="l2")
        return move

    def _freelb(self, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Average the gradients of the weights over all places that the move passes."""
        move, weights = START * self.eps * self.noise, self.class_weights / self.steps_inner
        total, parts = tf.zeros(()), list[Any]()
        for _ in range(self.steps_inner - 1):
            loss, _, gradients, slope = self.passes.both(*batch, move, weights)
            move = project(move + _along(slope, self.step_inner), eps=self.eps, norm="l2")
            total, parts = total + loss, [*parts, gradients]
        loss, _, gradients = self.passes.learn(*batch, move, weights)
        return total + loss, _summed(*parts, gradients)

    def _smooth(self, batch: tuple[tf.Tensor, ...], still: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Punish what a move changes of the beliefs, which are held fixed where nothing moves."""
        ids, _, factors = batch
        clean, belief, gradients = self.passes.learn(*batch, still, self.class_weights)
        change = _passes(self.model, self.layer, beliefs=True)
        # At no move the divergence is at its lowest and has no slope: it is asked for one at a random place.
        move = self.eps * self.noise
        for _ in range(self.steps_inner):
            move = _along(change.feel(ids, belief, factors, move, tf.ones(1)), self.eps)
        _, _, smooth = change.learn(ids, belief, factors, move, tf.fill((1,), self.adv_weight))
        return clean, _summed(gradients, smooth)


def _summed(*gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the sums of gradients, parameter by parameter."""
    return [tf.add_n(parts) for parts in zip(*gradients, strict=True)]


def fit_robust_text(
    model: TextClassifier,
    texts: EncodedTexts,
    *,
    steps: int,
    defence: str = "fgm",
    eps: float = 0.2,
    steps_inner: int | None = None,
    step_inner: float | None = None,
    adv_weight: float = 1.0,
    layer: int = 0,
    rate: float = 2e-4,
    batch_size: int = 32,
    warmup: float = 0.1,
    decay: float = 0.01,
    class_weights: Any = None,
    validation: EncodedTexts | None = None,
    evaluate_every: int | None = None,
    patience: int | None = None,
    seed: int = 0,
    callback: Callable[[TextClassifier, dict[str, float]], Any] | None = None,
) -> History:
    """Train ``model`` in place while the words of each batch are moved; the words' own vectors stay as they are.

    Parameters
    ----------
    model, texts, steps, rate, batch_size, warmup, decay, class_weights, validation, evaluate_every, patience, seed, \
callback
        As in :func:`fit_text_classifier`.
    defence
        ``"fgm"``: the loss plus ``adv_weight`` times the loss after one step along its slope. ``"pgd"``: the same
        after ``steps_inner`` projected steps. ``"freelb"``: the mean of the losses at all places that ``steps_inner``
        projected steps from a random start pass, and no other loss. ``"smooth"``: the loss plus ``adv_weight`` times
        the change of the beliefs, :func:`belief_divergence`, after a move that raises it, which needs no label.
        ``"random"``: the loss plus ``adv_weight`` times the loss after noise of length eps, the control of the others.
    eps
        Largest length of a text's move, over all its words together, in the units of the words' vectors.
    steps_inner
        Gradients that a move takes; left out, 3 for ``"pgd"`` and ``"freelb"``, 1 for ``"smooth"``. The others have
        no use for it.
    step_inner
        Length of a step of ``"pgd"`` and ``"freelb"``; left out, 2.5 eps / ``steps_inner``, at most eps.
    adv_weight
        Weight of the second loss.
    layer
        What is moved: 0 for the words, k for the states after layer k.

    Returns
    -------
    list of dict
        As :func:`fit_text_classifier`. ``loss`` is the one without a move; of ``"freelb"``, the mean of the moved ones.

    Raises
    ------
    ValueError
        If a setting is out of its range, or a label is no class.

    Notes
    -----
    A step costs about two of ordinary training in ``"fgm"`` and ``"random"``, three in ``"freelb"`` and ``"smooth"``,
    three and a half in ``"pgd"`` with three steps. Miyato, Dai and Goodfellow (ICLR 2017); Madry et al. (ICLR 2018);
    Zhu, Cheng, Gan, Sun, Goldstein and Liu, "FreeLB", ICLR 2020; Miyato, Maeda, Koyama and Ishii (TPAMI 2019) and
    Jiang et al., "SMART", ACL 2020.
    """
    inner = steps_inner if steps_inner is not None else 1 if defence == "smooth" else 3
    check_defence_text(
        defence,
        len(model.encoder.transformer_layers),
        eps=eps,
        steps_inner=inner,
        step_inner=step_inner,
        adv_weight=adv_weight,
        layer=layer,
    )
    return fit(
        model,
        lambda weights: RobustTextTrainer(
            model,
            weights,
            decay=decay,
            defence=defence,
            eps=eps,
            steps_inner=inner,
            step_inner=step_inner,
            adv_weight=adv_weight,
            layer=layer,
            rng=np.random.default_rng((seed, 1)),
        ),
        texts,
        classes=model.classes,
        dropout=model.dropout,
        steps=steps,
        rate=rate,
        batch_size=batch_size,
        warmup=warmup,
        decay=decay,
        class_weights=class_weights,
        validation=validation,
        evaluate_every=evaluate_every,
        patience=patience,
        seed=seed,
        callback=callback,
    )


def attack_texts(
    model: TextClassifier,
    texts: EncodedTexts,
    *,
    method: str = "fgm",
    eps: float,
    steps: int = 5,
    step: float | None = None,
    layer: int = 0,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Return the logits of texts whose words were moved against their labels: shape [n, classes], float32.

    Parameters
    ----------
    model, texts
        What is attacked; the texts have labels.
    method
        ``"fgm"``: one step of length eps along the slope of the loss; ``"pgd"``: ``steps`` projected steps from no
        move; ``"random"``: noise of length eps, the control.
    eps
        Largest length of a text's move, over all its words together; padding never moves. 0 attacks nothing.
    steps, step
        Of PGD: number and length; the length left out, 2.5 eps / ``steps``, at most eps.
    layer
        What is moved: 0 for the words, k for the states after layer k.
    batch_size
        Texts that are attacked together.
    seed
        Of the noise, which is the same in both tracks.

    Raises
    ------
    ValueError
        If a setting is out of its range, or a label is no class.
    """
    check_attack_text(
        method,
        texts.labels,
        len(model.encoder.transformer_layers),
        model.classes,
        eps=eps,
        steps=steps,
        step=step,
        layer=layer,
    )
    if eps == 0:
        return text_logits(model, texts, batch_size=batch_size)
    found = np.empty((len(texts), model.classes), np.float32)
    order, rng = np.argsort(texts.lengths, kind="stable"), np.random.default_rng(seed)
    attack = _attack(model, method, steps if method == "pgd" else 1, layer)
    sizes = tf.constant((eps, step_length(eps, steps, step)))
    with tf.device(_setup.device()):
        for rows in np.split(order, range(batch_size, len(order), batch_size)):
            if not len(rows):
                continue
            ids = texts.ids[rows, : texts.lengths[rows].max()]
            noise = unit_noise(ids, rng, WIDTH) if method == "random" else np.zeros((1, 1, WIDTH), np.float32)
            given = (tensor(ids, "int32"), tensor(texts.labels[rows], "int64"), tensor(noise), sizes)
            found[rows] = numpy(attack(*given))
    return found


def _attack(model: TextClassifier, method: str, steps: int, layer: int) -> Callable[..., tf.Tensor]:
    """Return the logits after an attack as one graph for batches of any shape, made once for each model and attack."""
    graphs = model.__dict__.setdefault("_attacks", {})
    if (method, steps, layer) not in graphs:

        def logits(ids: tf.Tensor, labels: tf.Tensor, noise: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
            words = model.embed(ids)

            def loss_fn(move: tf.Tensor) -> tf.Tensor:
                return text_loss(model.logits(ids, embeddings=words, move=move, layer=layer), labels)

            still = tf.zeros_like(words)
            if method == "random":
                move = sizes[0] * noise
            elif method == "fgm":
                move = sizes[0] * fgm_delta(loss_fn, still, eps=1.0)
            else:
                move = _loop(loss_fn, "l2", steps, still, None, sizes)
            return model.logits(ids, embeddings=words, move=move, layer=layer)

        shapes = (_IDS, tf.TensorSpec((None,), tf.int64), _MOVE, tf.TensorSpec((2,), tf.float32))
        graphs[method, steps, layer] = tf.function(logits, input_signature=shapes, autograph=False)
    return graphs[method, steps, layer]
