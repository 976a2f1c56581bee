"""Adversarial personalised ranking: BPR trained on its own worst case, the vectors moved by FGM."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from advrec_teach.pytorch._training import History, Trainer, fit
from advrec_teach.pytorch.bpr import BPRModel
from advrec_teach.reference import check_adversary, check_fit, check_sizes, radius_of

# Drawing as many directions anew in every step would take longer than the step. An epoch draws a pool this much longer
# than the table, and each step looks at it one row further on: a vector meets another direction at every step.
WINDOWS = 256


def noise_pool(table: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Return an epoch's random directions, ``WINDOWS`` rows more than the table has."""
    shape = (len(table) + WINDOWS, table.shape[1])
    return torch.randn(shape, generator=generator, device=table.device, dtype=table.dtype)


class AdversarialTrainer(Trainer):
    """Steps on L + lambda * L_adv; the move of the vectors is found first and then held fixed."""

    def __init__(
        self,
        table: torch.Tensor,
        size: int,
        *,
        adv_weight: float,
        direction: str,
        moved: tuple[slice, ...],
        generator: torch.Generator,
        **settings: Any,
    ):
        super().__init__(table, size, **settings)
        self.adv_weight, self.direction, self.generator, self.moved = adv_weight, direction, generator, moved
        self.delta = torch.zeros_like(table)
        self.pool, self.steps_done = table.new_empty(0), 0
        self.begin(0.0)
        self.work = torch.empty_like(self.vectors)

    def slopes(self, vectors: torch.Tensor, weight: float) -> torch.Tensor:
        """Write ``weight`` times the slopes of the BPR loss over ``vectors``, and return the loss."""
        p, qi, qj = vectors.view(3, -1, vectors.shape[1]).unbind()
        difference = torch.sub(qi, qj, out=self.difference)
        margin = torch.linalg.vecdot(p, difference)
        slope = (torch.sigmoid(-margin) * (-weight / len(margin))).unsqueeze(1)
        torch.mul(p, slope, out=qi)
        torch.neg(qi, out=qj)
        torch.mul(difference, slope, out=p)
        return torch.nn.functional.softplus(-margin).mean()

    def begin(self, eps: float) -> None:
        """Set the radius of an epoch, and draw the directions of its noise."""
        self.eps = eps
        if self.direction == "random":
            self.pool = noise_pool(self.table, self.generator)

    def move(self) -> None:
        """Point every row of ``delta`` along its own gradient, or anywhere, with length eps.

        A row outside the batch may move as well: nothing gathers it.
        """
        first = self.steps_done % WINDOWS
        self.steps_done += 1
        noise = self.pool[first : first + len(self.table)]
        for rows in self.moved:
            way = noise[rows] if self.direction == "random" else self.gradient[rows]
            length = torch.linalg.vector_norm(way, dim=1, keepdim=True)
            if self.direction == "raw":
                length = length.norm() * torch.count_nonzero(length).clamp(min=1).rsqrt()
            # Slopes of a trained model are tiny; a length of 0 stays below anything that is divided by it.
            length = length.clamp_(min=1e-30)
            torch.mul(way, self.eps / length, out=self.delta[rows])

    def step(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Train on one batch and return its losses, clean and adversarial."""
        torch.index_select(self.table, 0, rows, out=self.vectors)
        dtype = self.difference.dtype
        decay = 2 * self.regularisation / (len(rows) // 3)
        work = self.work.copy_(self.vectors).to(dtype)
        clean = self.slopes(work, 1.0)
        self.gradient.zero_().index_add_(0, rows, work.to(self.table.dtype))
        self.move()
        torch.index_select(self.delta, 0, rows, out=self.work)
        work = self.work.add_(self.vectors).to(dtype)
        attacked = self.slopes(work, self.adv_weight)
        self.gradient.index_add_(0, rows, self.vectors.mul_(decay).add_(work))
        self.update()
        return clean, attacked


def fit_adversarial(
    model: BPRModel,
    train: Any,
    *,
    epochs: int,
    eps: float | Callable[[int], float],
    adv_weight: float = 1.0,
    direction: str = "fgm",
    tables: Sequence[str] = ("users", "items"),
    learning_rate: float = 0.05,
    regularisation: float = 0.005,
    batch_size: int = 1024,
    seed: int = 0,
    optimizer: str = "adagrad",
    compile: bool | None = None,
    precision: str | None = None,
    callback: Callable[[BPRModel, dict[str, float]], Any] | None = None,
) -> History:
    """Train ``model`` in place on L + lambda * L_adv, the BPR loss and the same loss at attacked vectors.

    Parameters
    ----------
    model, train, epochs, learning_rate, regularisation, batch_size, seed, optimizer, compile, precision, callback
        As in :func:`fit_bpr`. Start from a model that ``fit_bpr`` has trained: from random vectors the attack
        points nowhere, and training collapses.
    eps
        Length of the move of every vector; or a function of the epoch's number (from 1) that returns it.
    adv_weight
        lambda, the weight of the loss at the attacked vectors.
    direction
        ``"fgm"``: along each vector's own gradient in this batch; ``"random"``: in a random direction, the
        control that tells training against an attack from training with noise; ``"raw"``: along each vector's own
        gradient, all of a table scaled by one factor, so that the lengths of a batch's moves differ and their root
        mean square is eps.
    tables
        Which vectors the attack moves: ``"users"``, ``"items"`` or both.

    Returns
    -------
    list of dict
        One record an epoch: ``epoch`` (from 1), ``loss`` and ``adversarial_loss`` (means over the batches,
        without regularisation and without lambda), ``eps``, ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range, model and interactions differ in size, or a user has every item, so
        that no negative can be drawn.

    Notes
    -----
    He, He, Du and Chua, "Adversarial Personalized Ranking for Recommendation", SIGIR 2018: with the loss L of
    a batch, Gamma = dL/dtheta and delta = eps * Gamma / ||Gamma||_2 for each vector, the step is taken along
    the gradient of L(theta) + lambda * L(theta + delta), delta being held fixed. Only vectors of the batch
    move. Gradients are taken by formula, as in ``fit_bpr``.
    """
    check_sizes(model.user_vectors.shape[0], model.item_vectors.shape[0], train)
    check_fit(epochs, learning_rate, regularisation, batch_size, optimizer, precision, train)
    check_adversary(eps, adv_weight, direction, tables)
    parts = {"users": slice(None, train.n_users), "items": slice(train.n_users, None)}

    def start(table: torch.Tensor, size: int, generator: torch.Generator) -> Trainer:
        return AdversarialTrainer(
            table,
            size,
            optimizer=optimizer,
            rate=learning_rate,
            regularisation=regularisation,
            dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32,
            adv_weight=adv_weight,
            direction=direction,
            moved=tuple(part for name, part in parts.items() if name in tables),
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
