"""Defences beside adversarial personalised ranking: smooth and robust losses, cheaper and borrowed attacks."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from advrec_teach.pytorch._training import History, Trainer, fit
from advrec_teach.pytorch.adversarial import WINDOWS, noise_pool
from advrec_teach.pytorch.bpr import BPRModel
from advrec_teach.reference import check_fit, check_sizes, radius_of
from advrec_teach.reference_defences import FAST_STEP, PROBE, check_defence


def smooth_loss(clean: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Return the mean Kullback-Leibler divergence between what a model believes of pairs before and after a move.

    Parameters
    ----------
    clean, moved
        Margins before and after, shape [n]: the beliefs are Bernoulli(sigmoid(clean)) and Bernoulli(sigmoid(moved)).

    Notes
    -----
    As :func:`advrec_teach.reference_defences.smooth_loss`. Its gradient reaches both margins.
    """
    belief, softplus = torch.sigmoid(clean), torch.nn.functional.softplus
    rise = belief * (softplus(-moved) - softplus(-clean)) + (1 - belief) * (softplus(moved) - softplus(clean))
    return rise.mean()


def robust_loss(margin: torch.Tensor, *, exponent: float) -> torch.Tensor:
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
    return ((1 - torch.sigmoid(margin) ** exponent) / exponent).mean()


def _unit(way: torch.Tensor, eps: float, out: torch.Tensor) -> torch.Tensor:
    """Write every row of ``way`` with length eps; a row of zeros stays."""
    # Slopes of a trained model are tiny; a length of 0 stays below anything that is divided by it.
    length = torch.linalg.vector_norm(way, dim=1, keepdim=True).clamp_(min=1e-30)
    return torch.mul(way, eps / length, out=out)


def _project(delta: torch.Tensor, eps: float) -> torch.Tensor:
    """Shorten in place every row that is longer than eps."""
    length = torch.linalg.vector_norm(delta, dim=1, keepdim=True).clamp_(min=1e-30)
    return delta.mul_((eps / length).clamp_(max=1))


class DefenceTrainer(Trainer):
    """Steps of one of the defences; the move of the vectors is found first and then held fixed."""

    def __init__(
        self,
        table: torch.Tensor,
        size: int,
        *,
        defence: str,
        adv_weight: float,
        exponent: float,
        replays: int,
        others: Sequence[torch.Tensor],
        generator: torch.Generator | None,
        **settings: Any,
    ):
        super().__init__(table, size, dtype=torch.float32, **settings)
        self.defence, self.adv_weight, self.exponent, self.replays = defence, adv_weight, exponent, replays
        self.others, self.generator = others, generator
        self.delta, self.slope = torch.zeros_like(table), torch.empty_like(table)
        self.work = torch.empty_like(self.vectors)
        self.pool, self.steps_done = table.new_empty(0), 0
        self.begin(0.0)

    def begin(self, eps: float) -> None:
        """Set the radius of an epoch, and draw the directions in which its moves start."""
        self.eps = eps
        if self.defence in ("vat", "trades", "fast", "noise"):
            self.pool = noise_pool(self.table, self.generator)

    def slopes(
        self,
        rows: torch.Tensor,
        outer: Callable[[torch.Tensor], torch.Tensor],
        weight: float = 1.0,
        delta: torch.Tensor | None = None,
        table: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Write to ``work`` the slopes of a loss at the moved vectors of the batch, and return the margins there.

        ``outer`` maps margins to the slope of the loss of each.
        """
        work = torch.index_select(self.table if table is None else table, 0, rows, out=self.work)
        if delta is not None:
            work.add_(torch.index_select(delta, 0, rows, out=self.vectors))
        p, qi, qj = work.view(3, -1, work.shape[1]).unbind()
        difference = torch.sub(qi, qj, out=self.difference)
        margin = torch.linalg.vecdot(p, difference)
        slope = (outer(margin) * (weight / len(margin))).unsqueeze(1)
        torch.mul(p, slope, out=qi)
        torch.neg(qi, out=qj)
        torch.mul(difference, slope, out=p)
        return margin

    def collect(self, rows: torch.Tensor, into: torch.Tensor, *, fresh: bool = True) -> torch.Tensor:
        """Sum the slopes of the batch's vectors into a table."""
        return (into.zero_() if fresh else into).index_add_(0, rows, self.work)

    def step(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Train on one batch and return its losses, at the vectors and at the moved ones."""
        losses: tuple[torch.Tensor, ...] = ()
        for _ in range(self.replays if self.defence == "free" else 1):
            first = self.steps_done % WINDOWS
            if self.defence == "free":
                way = self.delta
            elif self.defence == "ensemble":
                way = (self.table, *self.others)[self.steps_done % (1 + len(self.others))]
            else:
                way = self.pool[first : first + len(self.table)]
            self.steps_done += 1
            losses = self.losses(rows, way)
            decay = 2 * self.regularisation / (len(rows) // 3)
            vectors = torch.index_select(self.table, 0, rows, out=self.vectors)
            self.gradient.index_add_(0, rows, vectors.mul_(decay))
            self.update()
        return losses

    def losses(self, rows: torch.Tensor, way: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Write ``gradient`` and ``delta``, and return the losses.

        See :func:`advrec_teach.reference_defences.defended_gradient`.
        """
        softplus, weight, eps = torch.nn.functional.softplus, self.adv_weight, self.eps
        label = _label_slope
        if self.defence == "robust":
            power = self.exponent
            margin = self.slopes(rows, lambda m: label(m) * torch.sigmoid(m) ** power)
            self.collect(rows, self.gradient)
            loss = robust_loss(margin, exponent=power)
            return loss, loss
        if self.defence == "free":
            loss = softplus(-self.slopes(rows, label, delta=way)).mean()
            self.collect(rows, self.gradient)
            _project(self.delta.add_(_unit(self.gradient, eps, self.slope)), eps)
            return loss, loss
        if self.defence == "noise":
            loss = softplus(-self.slopes(rows, label, delta=_unit(way, eps, self.delta))).mean()
            self.collect(rows, self.gradient)
            return loss, loss
        if self.defence == "fast":
            self.slopes(rows, label, delta=_unit(way, eps, self.delta))
            _project(self.delta.add_(_unit(self.collect(rows, self.slope), FAST_STEP * eps, self.slope)), eps)
            loss = softplus(-self.slopes(rows, label, delta=self.delta)).mean()
            self.collect(rows, self.gradient)
            return loss, loss
        margin = self.slopes(rows, label)
        clean = softplus(-margin).mean()
        if self.defence == "ensemble":
            self.collect(rows, self.gradient)
            source = self.gradient
            if way is not self.table:
                self.slopes(rows, label, table=way)
                source = self.collect(rows, self.slope)
            _unit(source, eps, self.delta)
            attacked = softplus(-self.slopes(rows, label, weight, self.delta)).mean()
            self.collect(rows, self.gradient, fresh=False)
            return clean, attacked
        belief = torch.sigmoid(margin)
        self.slopes(rows, lambda m: torch.sigmoid(m) - belief, delta=_unit(way, PROBE, self.delta))
        _unit(self.collect(rows, self.slope), eps, self.delta)
        moved = self.slopes(rows, lambda m: torch.sigmoid(m) - belief, weight, self.delta)
        self.collect(rows, self.gradient)
        through = weight if self.defence == "trades" else 0.0
        self.slopes(rows, lambda m: label(m) + through * belief * (1 - belief) * (m - moved))
        self.collect(rows, self.gradient, fresh=False)
        return clean, smooth_loss(margin, moved)


def _label_slope(margin: torch.Tensor) -> torch.Tensor:
    """Return the slope of the BPR loss: what the model believes, less what the label says."""
    return -torch.sigmoid(-margin)


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

    def start(table: torch.Tensor, size: int, generator: torch.Generator) -> Trainer:
        return DefenceTrainer(
            table,
            size,
            optimizer=optimizer,
            rate=learning_rate,
            regularisation=regularisation,
            defence=defence,
            adv_weight=adv_weight,
            exponent=exponent,
            replays=replays,
            others=[torch.cat((other.user_vectors, other.item_vectors)).detach() for other in others],
            generator=generator,
        )

    def before(trainer: Trainer, epoch: int) -> dict[str, float]:
        radius = radius_of(eps, epoch)
        trainer.begin(radius)  # type: ignore[attr-defined]
        return {"eps": radius}

    return fit(
        model,
        train,
        start,
        names=("loss", "adversarial_loss"),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        compile=compile,
        callback=callback,
        before=before,
    )
