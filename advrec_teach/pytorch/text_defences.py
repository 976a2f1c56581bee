"""Adversarial training of text classifiers, and attacks on them: each text's words move by a length of their own."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from advrec_teach.pytorch.attacks import fgm_delta, pgd_delta, project
from advrec_teach.pytorch.bert import TextClassifier, TextTrainer, text_logits, text_loss
from advrec_teach.pytorch.tensors import numpy, tensor
from advrec_teach.reference_text import WIDTH
from advrec_teach.reference_text_defences import (
    NOISY,
    START,
    check_attack_text,
    check_defence_text,
    step_length,
    unit_noise,
)
from advrec_teach.text_training import History, fit
from advrec_teach.texts import EncodedTexts


def belief_divergence(clean: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Return the mean Kullback-Leibler divergence from the beliefs at ``clean`` to those at ``moved``.

    Parameters
    ----------
    clean, moved
        Logits before and after a move, shape [n, classes]; a gradient reaches both.
    """
    before, after = torch.log_softmax(clean, 1), torch.log_softmax(moved, 1)
    return (before.exp() * (before - after)).sum(1).mean()


def _along(gradient: torch.Tensor, length: float) -> torch.Tensor:
    """Return the gradient with this length for each text; zeros stay zeros."""
    size = torch.linalg.vector_norm(gradient.flatten(1), dim=1).clamp_(min=1e-30)
    return gradient * (length / size)[:, None, None]


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
        self.noise = torch.empty(0)

    def _in_full(self) -> AbstractContextManager[Any]:
        """Return a region without rounding to bfloat16, for the head."""
        if self.model.precision == "float32":
            return nullcontext()
        return torch.autocast(self.model.weight.device.type, torch.bfloat16, enabled=False)

    def _learn(self, loss: torch.Tensor, *move: torch.Tensor) -> None:
        """Add the gradient of a loss to what the parameters, and the move if one is given, hold of it already."""
        with self._in_full():
            torch.autograd.backward(loss, inputs=[*self.parameters, *move])

    def _feel(self, loss: torch.Tensor, move: torch.Tensor) -> torch.Tensor:
        """Return the slope of the move alone: nothing is computed for the parameters."""
        with self._in_full():
            return torch.autograd.grad(loss, [move])[0]

    def step(self, ids: np.ndarray, labels: np.ndarray, factors: np.ndarray, rate: float) -> torch.Tensor:
        """Train on one batch and return its loss without a move (FreeLB: the mean of its moved losses)."""
        if self.defence in NOISY:
            self.noise = tensor(unit_noise(ids, self.rng, WIDTH))
        return super().step(ids, labels, factors, rate)

    def slopes(
        self, ids: torch.Tensor, labels: torch.Tensor, factors: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the loss of a batch and the gradient of what is minimised, for each of the parameters."""
        # Within one region the weights are rounded to bfloat16 once, not anew in every pass. Gradients are taken
        # outside of it, as those of a plain step are, and each is added up at once, while it is in the cache.
        for parameter in self.parameters:
            parameter.grad = None
        with self.model._autocast():
            loss = self._slopes(ids, labels, factors)
        gradients = []
        for parameter in self.parameters:
            assert parameter.grad is not None
            gradients.append(parameter.grad)
            parameter.grad = None
        return loss, gradients

    def _slopes(self, ids: torch.Tensor, labels: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch, and leave the gradient of what is minimised with the parameters."""
        words = self.model.embed(ids).detach()

        def logits(move: torch.Tensor) -> torch.Tensor:
            vectors = self.model.pool(ids, embeddings=words, move=move, layer=self.layer)
            with self._in_full():
                return self.model.head(vectors * factors)

        def loss_at(move: torch.Tensor) -> torch.Tensor:
            return text_loss(logits(move), labels, self.class_weights)

        if self.defence == "freelb":
            return self._freelb(loss_at)
        if self.defence == "smooth":
            return self._smooth(logits, torch.zeros_like(words), labels)
        move = torch.zeros_like(words).requires_grad_(self.defence != "random")
        clean = loss_at(move)
        if self.defence == "random":
            self._learn(clean)
            move = self.eps * self.noise
        else:
            # The backward pass that the weights need anyway gives the first slope of the words with it.
            self._learn(clean, move)
            move = self._ascend(loss_at, move.grad)
        self._learn(self.adv_weight * loss_at(move))
        return clean.detach()

    def _ascend(self, loss_at: Callable[[torch.Tensor], torch.Tensor], slope: Any) -> torch.Tensor:
        """Return the move that one step (FGM) or some (PGD) reach; ``slope`` is the first one, at no move."""
        if self.defence == "fgm":
            return _along(slope, self.eps)
        move = project(_along(slope, self.step_inner), eps=self.eps, norm="l2")
        for _ in range(self.steps_inner - 1):
            move.requires_grad_()
            slope = self._feel(loss_at(move), move)
            move = project(move.detach() + _along(slope, self.step_inner), eps=self.eps, norm="l2")
        return move

    def _freelb(self, loss_at: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Average the gradients of the weights over all places that the move passes."""
        move, share = START * self.eps * self.noise, 1 / self.steps_inner
        total = torch.zeros((), device=move.device)
        for _ in range(self.steps_inner - 1):
            move.requires_grad_()
            loss = share * loss_at(move)
            self._learn(loss, move)
            slope: Any = move.grad
            move = project(move.detach() + _along(slope, self.step_inner), eps=self.eps, norm="l2")
            total = total + loss.detach()
        loss = share * loss_at(move)
        self._learn(loss)
        return total + loss.detach()

    def _smooth(
        self, logits: Callable[[torch.Tensor], torch.Tensor], still: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Punish what a move changes of the beliefs, which are held fixed where nothing moves."""
        first = logits(still)
        clean = text_loss(first, labels, self.class_weights)
        self._learn(clean)
        belief = first.detach()
        # At no move the divergence is at its lowest and has no slope: it is asked for one at a random place.
        move = self.eps * self.noise
        for _ in range(self.steps_inner):
            move.requires_grad_()
            move = _along(self._feel(belief_divergence(belief, logits(move)), move), self.eps)
        self._learn(self.adv_weight * belief_divergence(belief, logits(move)))
        return clean.detach()


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
        defence, model.layers, eps=eps, steps_inner=inner, step_inner=step_inner, adv_weight=adv_weight, layer=layer
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
    check_attack_text(method, texts.labels, model.layers, model.classes, eps=eps, steps=steps, step=step, layer=layer)
    if eps == 0:
        return text_logits(model, texts, batch_size=batch_size)
    found = np.empty((len(texts), model.classes), np.float32)
    order, rng = np.argsort(texts.lengths, kind="stable"), np.random.default_rng(seed)
    for rows in np.split(order, range(batch_size, len(order), batch_size)):
        if not len(rows):
            continue
        ids, labels = tensor(texts.ids[rows, : texts.lengths[rows].max()]), tensor(texts.labels[rows])
        words = model.embed(ids).detach()

        def loss_fn(move: torch.Tensor, ids: Any = ids, labels: Any = labels, words: Any = words) -> torch.Tensor:
            return text_loss(model.logits(ids, embeddings=words, move=move, layer=layer), labels)

        still = torch.zeros_like(words)
        if method == "random":
            move = eps * tensor(unit_noise(numpy(ids), rng, WIDTH))
        elif method == "fgm":
            move = fgm_delta(loss_fn, still, eps=eps)
        else:
            move = pgd_delta(loss_fn, still, eps=eps, step=step_length(eps, steps, step), steps=steps, norm="l2")
        with torch.inference_mode():
            found[rows] = numpy(model.logits(ids, embeddings=words, move=move, layer=layer))
    return found
