"""Adversarial training of text classifiers, and attacks on them: each text's words move by a length of their own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from advrec_teach.reference_text import WIDTH
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
from advrec_teach.tensorflow.bert import TextClassifier, TextTrainer, text_loss, text_logits
from advrec_teach.tensorflow.tensors import numpy, tensor
from advrec_teach.text_training import History, fit
from advrec_teach.texts import EncodedTexts

_IDS = tf.TensorSpec((None, None), tf.int32)
_LABELS = tf.TensorSpec((None,), tf.int64)
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
        self.rng = rng
        self._step = tf.function(
            self._update_moved, input_signature=(_IDS, _LABELS, _FACTORS, _MOVE), autograph=False
        )
        self.noise: tf.Tensor | None = None

    def step(self, ids: np.ndarray, labels: np.ndarray, factors: np.ndarray, rate: float) -> tf.Tensor:
        """Train on one batch and return its loss without a move (FreeLB: the mean of its moved losses)."""
        noisy = self.defence in NOISY
        noise = unit_noise(ids, self.rng, WIDTH) if noisy else np.zeros((1, 1, WIDTH), np.float32)
        with tf.device(_setup.device()):
            self.adam.learning_rate = rate
            return self._step(tensor(ids, "int32"), tensor(labels, "int64"), tensor(factors), tensor(noise))

    def _update_moved(self, ids: tf.Tensor, labels: tf.Tensor, factors: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        self.noise = noise
        return self._update(ids, labels, factors)

    def slopes(self, ids: tf.Tensor, labels: tf.Tensor, factors: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss of a batch and the gradient of what is minimised, for each of the parameters."""
        words = self.model.embed(ids)

        def logits(move: tf.Tensor) -> tf.Tensor:
            vectors = self.model.pool(ids, embeddings=words, move=move, layer=self.layer)
            return self.model.head(vectors * factors)

        def loss_at(move: tf.Tensor) -> tf.Tensor:
            return text_loss(logits(move), labels, self.class_weights)

        still = tf.zeros_like(words)
        if self.defence == "freelb":
            return self._freelb(loss_at)
        if self.defence == "smooth":
            return self._smooth(logits, still, labels)
        if self.defence == "random":
            clean, gradients = self._learn(loss_at, still)
            move = self.eps * self.noise
        else:
            # The backward pass that the weights need anyway gives the first slope of the words with it.
            clean, gradients, slope = self._learn_and_feel(loss_at, still)
            move = self._ascend(loss_at, slope)
        _, attacked = self._learn(lambda move: self.adv_weight * loss_at(move), move)
        return clean, _summed(gradients, attacked)

    def _learn(
        self, loss_at: Callable[[tf.Tensor], tf.Tensor], move: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss at a move and its gradient for the weights."""
        values = [parameter.value for parameter in self.parameters]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss = loss_at(move)
        return loss, tape.gradient(loss, values)

    def _learn_and_feel(
        self, loss_at: Callable[[tf.Tensor], tf.Tensor], move: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
        """Return the loss at a move, its gradient for the weights, and its slope for the move, of one pass."""
        values = [parameter.value for parameter in self.parameters]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*values, move])
            loss = loss_at(move)
        *gradients, slope = tape.gradient(loss, [*values, move])
        return loss, gradients, slope

    def _feel(self, loss_at: Callable[[tf.Tensor], tf.Tensor], move: tf.Tensor) -> tf.Tensor:
        """Return the slope of the loss for the move alone."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(move)
            loss = loss_at(move)
        return tape.gradient(loss, move)

    def _ascend(self, loss_at: Callable[[tf.Tensor], tf.Tensor], slope: tf.Tensor) -> tf.Tensor:
        """Return the move that one step (FGM) or some (PGD) reach; ``slope`` is the first one, at no move."""
        if self.defence == "fgm":
            return _along(slope, self.eps)
        move = project(_along(slope, self.step_inner), eps=self.eps, norm="l2")
        for _ in range(self.steps_inner - 1):
            slope = self._feel(loss_at, move)
            move = project(move + _along(slope, self.step_inner), eps=self.eps, norm="l2")
        return move

    def _freelb(self, loss_at: Callable[[tf.Tensor], tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Average the gradients of the weights over all places that the move passes."""
        move, share = START * self.eps * self.noise, 1 / self.steps_inner

        def part(move: tf.Tensor) -> tf.Tensor:
            return share * loss_at(move)

        total, gradients = tf.zeros(()), None
        for _ in range(self.steps_inner - 1):
            loss, found, slope = self._learn_and_feel(part, move)
            move = project(move + _along(slope, self.step_inner), eps=self.eps, norm="l2")
            total, gradients = total + loss, found if gradients is None else _summed(gradients, found)
        loss, found = self._learn(part, move)
        return total + loss, found if gradients is None else _summed(gradients, found)

    def _smooth(
        self, logits: Callable[[tf.Tensor], tf.Tensor], still: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Punish what a move changes of the beliefs, which are held fixed where nothing moves."""
        beliefs = []

        def loss_at(move: tf.Tensor) -> tf.Tensor:
            beliefs.append(logits(move))
            return text_loss(beliefs[0], labels, self.class_weights)

        clean, gradients = self._learn(loss_at, still)
        belief = tf.stop_gradient(beliefs[0])

        def change(move: tf.Tensor) -> tf.Tensor:
            return self.adv_weight * belief_divergence(belief, logits(move))

        # At no move the divergence is at its lowest and has no slope: it is asked for one at a random place.
        move = self.eps * self.noise
        for _ in range(self.steps_inner):
            move = _along(self._feel(lambda m: belief_divergence(belief, logits(m)), move), self.eps)
        _, smooth = self._learn(change, move)
        return clean, _summed(gradients, smooth)


def _summed(first: list[tf.Tensor], second: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the sums of gradients."""
    return [a + b for a, b in zip(first, second, strict=True)]


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
        defence, len(model.encoder.transformer_layers), eps=eps, steps_inner=inner, step_inner=step_inner, adv_weight=adv_weight, layer=layer
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
        method, texts.labels, len(model.encoder.transformer_layers), model.classes, eps=eps, steps=steps, step=step, layer=layer
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

        shapes = (_IDS, _LABELS, _MOVE, tf.TensorSpec((2,), tf.float32))
        graphs[method, steps, layer] = tf.function(logits, input_signature=shapes, autograph=False)
    return graphs[method, steps, layer]
