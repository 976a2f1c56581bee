"""A recommender that reads what a user did in order: self-attention over the last items, and its training."""

import copy
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from advrec_teach.pytorch import _setup
from advrec_teach.pytorch._training import History
from advrec_teach.pytorch.attacks import _direction
from advrec_teach.pytorch.tensors import numpy, tensor
from advrec_teach.reference_sequential import BLOCK, TINY, check_fit_sequential, first_weights
from advrec_teach.sequences import check_sequences


def sequential_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean of -log softmax(logits)[target] over all places that have a target.

    Parameters
    ----------
    logits
        Scores of all items, shape [..., n_items].
    targets
        Item ids, int64, shape [...]; ``n_items``, the padding id, where there is none.
    """
    n_items = logits.shape[-1]
    return nn.functional.cross_entropy(logits.reshape(-1, n_items), targets.reshape(-1), ignore_index=n_items)


def _sampled_loss(
    states: torch.Tensor, targets: torch.Tensor, table: torch.Tensor, others: torch.Tensor
) -> torch.Tensor:
    """Return an estimate of :func:`sequential_loss` that compares each target with the items ``others`` alone."""
    n_items = len(table)
    real = targets < n_items
    wanted = nn.functional.embedding(targets.masked_fill(~real, 0), table)
    score = (states * wanted).sum(-1, keepdim=True)
    # Each of the others, drawn uniformly, stands for n_items / len(others) items.
    rest = states @ table[others].T + math.log(n_items / len(others))
    rest = rest.masked_fill(targets.unsqueeze(-1) == others, float("-inf"))
    losses = torch.cat((score, rest), -1).logsumexp(-1) - score.squeeze(-1)
    return losses.masked_fill(~real, 0).sum() / real.sum()


class _Block(nn.Module):
    """Attention to earlier places, then a small network at each place; both are added to what they read."""

    def __init__(self, dim: int, first: dict[str, np.ndarray]):
        super().__init__()
        self.first, self.second = (nn.LayerNorm(dim, eps=TINY) for _ in range(2))
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.inner, self.outer = (nn.Linear(dim, dim) for _ in range(2))
        for name in ("query", "key", "value", "inner", "outer"):
            # A linear layer multiplies by its transposed matrix.
            getattr(self, name).weight.data = torch.from_numpy(first[name].T.copy())
        for layer in (self.inner, self.outer):
            layer.bias.data.zero_()

    def forward(self, h: torch.Tensor, masks: Any) -> torch.Tensor:
        """Map states of shape [n, any, d] to states of the same shape; the three masks are factors of dropout."""
        x = self.first(h)
        match = self.query(x) @ self.key(x).transpose(1, 2) * h.shape[2] ** -0.5
        later = torch.ones(match.shape[1:], dtype=torch.bool, device=h.device).triu(1)
        weights = match.masked_fill(later, float("-inf")).softmax(-1)
        h = h + masks[0] * (weights @ self.value(x))
        return h + masks[2] * self.outer(masks[1] * self.inner(self.second(h)).relu())


class SequentialModel(nn.Module):
    """SASRec with one head: the score of an item is its vector times the state after a user's last item.

    Parameters
    ----------
    n_items
        Number of items, which is also the padding id.
    dim
        Length d of every vector and state.
    length
        Largest number of items that the model reads.
    blocks
        Number of blocks of attention.
    seed
        Seed of the first weights, which are the same in both tracks.
    std
        Standard deviation of the first entries of the item vectors and positions.

    Attributes
    ----------
    item_vectors
        The table of item vectors, shape [n_items, d]. It turns items into what the model reads, and states into
        scores.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``blocks``: from 0), or ``std`` is not positive.

    Notes
    -----
    Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018. Sequences hold item ids, oldest first,
    then padding, as :func:`advrec_teach.sequences.last_items` makes them. A state depends on the items up to its
    place and on no later one.
    """

    def __init__(
        self, n_items: int, *, dim: int = 64, length: int = 50, blocks: int = 1, seed: int = 0, std: float = 0.05
    ):
        super().__init__()
        first = first_weights(n_items, dim=dim, length=length, blocks=blocks, seed=seed, std=std)
        self.item_vectors = nn.Parameter(torch.from_numpy(first["item_vectors"]))
        self.positions = nn.Parameter(torch.from_numpy(first["positions"]))
        self.blocks = nn.ModuleList(
            _Block(dim, {name: first[f"block_{k}_{name}"] for name in BLOCK}) for k in range(blocks)
        )
        self.norm = nn.LayerNorm(dim, eps=TINY)
        self.to(_setup.device())

    def embed(self, sequences: torch.Tensor, *, table: torch.Tensor | None = None) -> torch.Tensor:
        """Return the vectors of the items that the model reads, zero where there is padding.

        Parameters
        ----------
        sequences
            Item ids, int64, shape [n, any].
        table
            Item vectors, shape [n_items, d]; left out, the model's own.

        Returns
        -------
        torch.Tensor
            Shape [n, any, d].
        """
        table = self.item_vectors if table is None else table
        return nn.functional.embedding(sequences, nn.functional.pad(table, (0, 0, 0, 1)))

    def states(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return what the model knows after each place: vectors and states have shape [n, any, d]."""
        return self._states(vectors, [1.0] * (1 + 3 * len(self.blocks)))

    def _states(self, vectors: torch.Tensor, masks: Any) -> torch.Tensor:
        h = masks[0] * (vectors + self.positions[: vectors.shape[1]])
        for k, block in enumerate(self.blocks):
            h = block(h, masks[1 + 3 * k :])
        return self.norm(h)

    def logits(self, vectors: torch.Tensor, *, table: torch.Tensor | None = None) -> torch.Tensor:
        """Return the scores of all items after each place.

        Parameters
        ----------
        vectors
            What the model reads, shape [n, any, d], from :meth:`embed`.
        table
            Item vectors that the states are compared with, shape [n_items, d]; left out, the model's own.

        Returns
        -------
        torch.Tensor
            Shape [n, any, n_items].
        """
        return self.states(vectors) @ (self.item_vectors if table is None else table).T

    def scores_from(
        self, vectors: torch.Tensor, sequences: torch.Tensor, *, table: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the scores of all items after the last item of each sequence.

        Parameters
        ----------
        vectors
            What the model reads, shape [n, any, d]: :meth:`embed` of the sequences, perturbed or not.
        sequences
            Item ids, int64, shape [n, any]: they say where each sequence ends.
        table
            Item vectors that the states are compared with, shape [n_items, d]; left out, the model's own.

        Returns
        -------
        torch.Tensor
            Shape [n, n_items]. A sequence without items is scored as if it had read one vector of zeros.
        """
        table = self.item_vectors if table is None else table
        last = ((sequences < len(table)).sum(1) - 1).clamp(min=0)
        state = self.states(vectors).gather(1, last[:, None, None].expand(-1, 1, vectors.shape[2]))
        return state.squeeze(1) @ table.T

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the scores of all items after the last item: [n, any] item ids give [n, n_items]."""
        return self.scores_from(self.embed(sequences), sequences)

    def score_all(self, sequences: Any) -> torch.Tensor:
        """Return the scores of all items after the last item of each sequence, without history.

        Parameters
        ----------
        sequences
            Item ids as an array or a tensor, shape [n, at most ``length``].

        Returns
        -------
        torch.Tensor
            Shape [n, n_items].

        Raises
        ------
        ValueError
            If the sequences are no table of item ids, too long, or hold padding before an item.
        """
        length, n_items = len(self.positions), len(self.item_vectors)
        sequences = tensor(check_sequences(numpy(sequences), n_items, width=length))
        with torch.no_grad():
            return self(sequences)

    def copy(self) -> "SequentialModel":
        """Return a model with the same weights in memory of its own."""
        return copy.deepcopy(self)


def fit_sequential(
    model: SequentialModel,
    sequences: Any,
    *,
    epochs: int,
    learning_rate: float = 0.003,
    batch_size: int = 32,
    dropout: float = 0.2,
    negatives: int | None = 256,
    eps: float = 0.0,
    adv_weight: float = 1.0,
    direction: str = "fgm",
    seed: int = 0,
    compile: bool | None = None,
    callback: Callable[[SequentialModel, dict[str, float]], Any] | None = None,
) -> History:
    """Train ``model`` in place to predict every next item, with Adam; an epoch visits each row once, in random order.

    Parameters
    ----------
    model
        What is trained.
    sequences
        Item ids, shape [n, at most ``length`` + 1], from :func:`advrec_teach.sequences.windows`: the model reads
        all columns but the last, and after each item the next one is its target.
    epochs
        Passes over the rows.
    learning_rate
        Step size of Adam.
    batch_size
        Largest number of rows in a step. The rows are split into equal batches; the last is filled up with the first
        few of the epoch.
    dropout
        Share of the entries that are set to zero at random in training: of what is read, of what attention adds, and
        of both layers of the small network.
    negatives
        Number of items, drawn anew for each step and uniformly, that stand for all others in the loss; None, or
        ``n_items`` and more, takes all, which learns more in an epoch and takes several times as long.
    eps
        Above 0, the training is adversarial: each step adds the loss at item vectors that were moved by ``eps`` (L2,
        each place on its own) in the direction in which the loss rises. The move is a constant to the step.
    adv_weight
        Weight of the loss at the moved vectors.
    direction
        ``"fgm"``: in the direction in which the loss rises; ``"random"``: in a random direction, the control that tells
        training against an attack from training with noise.
    seed
        Seed of the order, of the dropout and of the negatives.
    compile
        True compiles the loss with TorchInductor, which takes up to a minute, once; False runs it as it is; None
        takes what is fastest here, which is False.
    callback
        Called after each epoch with the model and the epoch's record; training stops when it returns True.

    Returns
    -------
    list of dict
        One record an epoch: ``epoch`` (from 1), ``loss`` (mean of :func:`sequential_loss` or of its estimate, at
        the unmoved vectors and with dropout), ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range, the sequences are not of the model's items, or a row has nothing to predict.

    Notes
    -----
    The perturbation is :func:`fgm_delta`'s, and the training Miyato, Dai and Goodfellow's, "Adversarial Training
    Methods for Semi-Supervised Text Classification", ICLR 2017, here on items in place of words.
    """
    length, n_items = len(model.positions), len(model.item_vectors)
    rows = tensor(
        check_fit_sequential(
            numpy(sequences),
            n_items,
            length,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            dropout=dropout,
            negatives=negatives,
            eps=eps,
            adv_weight=adv_weight,
            direction=direction,
        )
    )
    device = model.item_vectors.device
    parameters = list(model.parameters())
    adam = torch.optim.Adam(parameters, learning_rate, fused=device.type in ("cpu", "cuda"))
    random = torch.Generator(device).manual_seed(seed)
    n, width = len(rows), rows.shape[1] - 1
    n_batches = -(-n // batch_size)
    size = -(-n // n_batches)
    shape = (1 + (eps > 0), 1 + 3 * len(model.blocks), size, width, model.item_vectors.shape[1])

    def loss_at(vectors: torch.Tensor, targets: torch.Tensor, masks: Any, others: Any) -> torch.Tensor:
        states = model._states(vectors, masks)
        if others is None:
            return sequential_loss(states @ model.item_vectors.T, targets)
        return _sampled_loss(states, targets, model.item_vectors, others)

    at = torch.compile(loss_at) if compile else loss_at

    def slopes(batch: torch.Tensor, masks: Any, others: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the loss of a batch and the gradient of what is minimised."""
        vectors, targets = model.embed(batch[:, :-1]), batch[:, 1:]
        loss = at(vectors, targets, masks[0], others)
        # One way back gives the gradient of the vectors, which makes the attack, and that of the weights.
        rise, *gradients = torch.autograd.grad(loss, [vectors, *parameters])
        if eps > 0:
            if direction == "random":
                rise = torch.randn(rise.shape, generator=random, device=device)
            delta = eps * _direction(rise.flatten(0, 1), "l2").view_as(rise)
            moved = adv_weight * at(model.embed(batch[:, :-1]) + delta, targets, masks[1], others)
            gradients = [a + b for a, b in zip(gradients, torch.autograd.grad(moved, parameters), strict=True)]
        return loss.detach(), gradients

    history: History = []
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        order = torch.randperm(n, generator=random, device=device)
        order = torch.cat((order, order[: n_batches * size - n]))
        losses = []
        for batch in rows[order].split(size):
            masks: Any = torch.ones(shape[:2], device=device)
            if dropout > 0:
                masks = (torch.rand(shape, generator=random, device=device) >= dropout) / (1 - dropout)
            others = None
            if negatives is not None and negatives < n_items:
                others = torch.randint(n_items, (negatives,), generator=random, device=device)
            loss, gradients = slopes(batch, masks, others)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            adam.step()
            losses.append(loss)
        model.zero_grad(set_to_none=True)
        record = {"epoch": epoch, "loss": torch.stack(losses).mean().item(), "seconds": time.perf_counter() - start}
        history.append(record)
        if callback is not None and callback(model, record) is True:
            break
    return history
