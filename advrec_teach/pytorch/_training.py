"""The training loop that every matrix factorisation of the course shares: order, negatives, steps, optimiser."""

import time
from collections.abc import Callable
from typing import Any

import torch

from advrec_teach.reference import PATIENCE

History = list[dict[str, float]]


def draw_negatives(
    users: torch.Tensor, seen: torch.Tensor, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Draw for each entry of ``users`` one item uniformly from those that the user has not seen.

    Parameters
    ----------
    users
        User ids, int64, shape [n].
    seen
        Boolean table, shape [n_users, n_items]: True where the user has the item in the training set.
    generator
        Source of the random numbers; None takes PyTorch's own.

    Returns
    -------
    torch.Tensor
        Item ids, int64, shape [n].

    Raises
    ------
    ValueError
        If one of the users has seen every item.
    """
    n_items = seen.shape[1]

    def draw(n: int) -> torch.Tensor:
        return torch.randint(n_items, (n,), generator=generator, device=users.device)

    items = draw(len(users))
    again = seen[users, items].nonzero().squeeze(1)
    for _ in range(PATIENCE * n_items):
        if not len(again):
            return items
        items[again] = draw(len(again))
        again = again[seen[users[again], items[again]]]
    raise ValueError(f"User {int(users[again[0]])} has seen every item, so no negative can be drawn.")


class Trainer:
    """Training steps on one table of all vectors, users first, in memory that is claimed once.

    A step is a few passes over some hundred kilobytes; claiming them anew from the system at every step would take
    longer than the passes.

    Parameters
    ----------
    table
        All vectors, shape [n_users + n_items, d], changed in place.
    size
        Triples in a batch.
    optimizer, rate, regularisation
        As in ``fit_bpr``.
    dtype
        What scores and slopes are computed in.
    """

    def __init__(
        self,
        table: torch.Tensor,
        size: int,
        *,
        optimizer: str,
        rate: float,
        regularisation: float,
        dtype: torch.dtype,
    ):
        self.table, self.optimizer, self.rate, self.regularisation = table, optimizer, rate, regularisation
        self.gradient, self.scratch = torch.empty_like(table), torch.empty_like(table)
        # Above zero by less than float32 can show beside any square, so that a slope of zero is not divided by zero.
        self.squares = torch.full_like(table, 1e-20) if optimizer != "sgd" else table.new_empty(0)
        self.mean = torch.zeros_like(table) if optimizer == "adam" else table.new_empty(0)
        self.steps = table.new_zeros(())
        self.vectors = table.new_empty((3 * size, table.shape[1]))
        self.difference = table.new_empty((size, table.shape[1]), dtype=dtype)

    def step(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Train on one batch, whose ``rows`` of the table are users, items and negatives; return its losses.

        The slopes are those of :func:`bpr_gradients`, each written over the vector that it belongs to.
        """
        # index_select is several times as fast as square brackets.
        torch.index_select(self.table, 0, rows, out=self.vectors)
        vectors = self.vectors.to(self.difference.dtype)  # the same memory, unless the precision differs
        p, qi, qj = vectors.view(3, -1, vectors.shape[1]).unbind()
        difference = torch.sub(qi, qj, out=self.difference)
        margin = torch.linalg.vecdot(p, difference)
        slope = (torch.sigmoid(-margin) / -len(margin)).unsqueeze(1)
        decay = 2 * self.regularisation / len(margin)
        qi.mul_(decay).addcmul_(slope, p)
        qj.mul_(decay).addcmul_(slope, p, value=-1)
        p.mul_(decay).addcmul_(slope, difference)
        self.gradient.zero_().index_add_(0, rows, vectors.to(self.table.dtype))
        self.update()
        return (torch.nn.functional.softplus(-margin).mean(),)

    def update(self) -> None:
        """Take one step of the optimiser on the whole table, with the constants of its paper."""
        table, gradient, squares, scratch = self.table, self.gradient, self.squares, self.scratch
        if self.optimizer == "sgd":
            table.sub_(gradient, alpha=self.rate)
        elif self.optimizer == "adagrad":
            squares.addcmul_(gradient, gradient)
            table.addcmul_(gradient, torch.rsqrt(squares, out=scratch), value=-self.rate)
        else:
            self.steps.add_(1)
            self.mean.lerp_(gradient, 0.1)
            squares.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            torch.div(squares, 1 - 0.999**self.steps, out=scratch).sqrt_().add_(1e-8)
            torch.div(self.mean, scratch, out=scratch).mul_(self.rate / (1 - 0.9**self.steps))
            table.sub_(scratch)


def fit(
    model: Any,
    train: Any,
    start: Callable[[torch.Tensor, int, torch.Generator], Trainer],
    *,
    names: tuple[str, ...],
    epochs: int,
    batch_size: int,
    seed: int,
    compile: bool | None,
    callback: Callable[[Any, dict[str, float]], Any] | None,
    before: Callable[[Trainer, int], dict[str, float]] = lambda trainer, epoch: {},
) -> History:
    """Train ``model`` in place, each epoch visiting every interaction once, and return the epochs' records.

    Parameters
    ----------
    model, train, epochs, batch_size, seed, compile, callback
        As in ``fit_bpr``.
    start
        Makes the trainer from the table of all vectors, the size of a batch and the source of random numbers.
    names
        What the losses that a step returns are called in a record.
    before
        Called before each epoch with the trainer and the epoch's number; returns what its record holds besides.
    """
    device = model.user_vectors.device
    random = torch.Generator(device).manual_seed(seed)
    users, items = (torch.tensor(v, dtype=torch.int64, device=device) for v in (train.users, train.items))
    seen = torch.tensor(train.table(), device=device)
    n_users, n = model.user_vectors.shape[0], len(users)
    n_batches = -(-n // batch_size)
    size = -(-n // n_batches)
    history: History = []
    with torch.no_grad():
        table = torch.cat((model.user_vectors, model.item_vectors))
        trainer = start(table, size, random)
        step = torch.compile(trainer.step) if compile else trainer.step
        for epoch in range(1, epochs + 1):
            clock = time.perf_counter()
            besides = before(trainer, epoch)
            order = torch.randperm(n, generator=random, device=device)
            order = torch.cat((order, order[: n_batches * size - n]))
            u, i = users.index_select(0, order), items.index_select(0, order)
            j = draw_negatives(u, seen, generator=random)
            triples = torch.stack((u, i + n_users, j + n_users)).view(3, n_batches, size)
            batches = triples.transpose(0, 1).reshape(n_batches, 3 * size)
            losses = [torch.stack(step(rows)) for rows in batches]
            model.user_vectors.copy_(table[:n_users])
            model.item_vectors.copy_(table[n_users:])
            means = torch.stack(losses).float().mean(0).tolist()
            record = {"epoch": epoch, **dict(zip(names, means, strict=True)), **besides}
            history.append({**record, "seconds": time.perf_counter() - clock})
            if callback is not None and callback(model, history[-1]) is True:
                break
    return history
