"""Two recommenders that are trained as games: CFGAN, which makes rows, and IRGAN, which draws items."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from advrec_teach import reference_recommenders as reference
from advrec_teach.pytorch._networks import Network
from advrec_teach.pytorch._training import History
from advrec_teach.pytorch.bpr import BPRModel
from advrec_teach.pytorch.tensors import numpy, tensor
from advrec_teach.reference import check_count, check_sizes

softplus = nn.functional.softplus


class RowGenerator(Network):
    """CFGAN's generator: it maps a row of 0 and 1 to a row of numbers, the scores.

    Parameters
    ----------
    n
        Entries of a row.
    hidden
        Neurons of the hidden layer.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1.
    """

    def __init__(self, n: int, *, hidden: int = 400, seed: int = 0):
        super().__init__(reference.generator_weights(n, hidden=hidden, seed=seed))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return a row of numbers for each row: [n_rows, n] gives [n_rows, n]."""
        w = self.weights
        return torch.sigmoid(rows @ w["inner"] + w["inner_bias"]) @ w["outer"] + w["outer_bias"]

    def score_all(self, rows: Any) -> torch.Tensor:
        """Return the made rows without history, for rows as an array or a tensor, shape [n_rows, n]."""
        with torch.no_grad():
            return self(tensor(np.asarray(numpy(rows), np.float32)))


class RowDiscriminator(Network):
    """CFGAN's discriminator: it judges a row beside the row that it was made for.

    Parameters
    ----------
    n
        Entries of a row.
    hidden
        Neurons of the hidden layer.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1.
    """

    def __init__(self, n: int, *, hidden: int = 125, seed: int = 0):
        super().__init__(reference.discriminator_weights(n, hidden=hidden, seed=seed))

    def forward(self, rows: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return logits, shape [n_rows]: large where a row looks real. Both arguments have the shape [n_rows, n]."""
        w, n = self.weights, rows.shape[1]
        first = rows @ w["inner"][:n] + condition @ w["inner"][n:] + w["inner_bias"]
        return (torch.sigmoid(first) @ w["outer"] + w["outer_bias"]).squeeze(1)


def fit_cfgan(
    generator: RowGenerator,
    discriminator: RowDiscriminator | None,
    rows: Any,
    *,
    epochs: int,
    learning_rate: float = 1e-4,
    discriminator_rate: float = 1e-4,
    regularisation: float = 1e-3,
    partial_masking: float = 0.7,
    zero_share: float = 0.7,
    zero_weight: float = 0.03,
    generator_steps: int = 4,
    discriminator_steps: int = 2,
    batch_size: int = 32,
    seed: int = 0,
    callback: Callable[[RowGenerator, dict[str, float]], Any] | None = None,
) -> History:
    """Train a generator of rows in place, with Adam, against a discriminator or without one.

    Parameters
    ----------
    generator
        What recommends.
    discriminator
        Its opponent, trained in place. None: the generator minimises the mean over rows of
        sum (1 - entry)^2 over the ones of the row, in place of the opponent's judgement.
    rows
        0 and 1, shape [n_rows, n], such as the training table or its transpose.
    epochs
        Rounds, each of ``discriminator_steps`` and then ``generator_steps`` passes over all rows.
    learning_rate, discriminator_rate
        Step sizes of Adam. A ``discriminator_rate`` of 0 leaves the opponent as it is.
    regularisation
        Weight of half the squared norm of the generator's weights.
    partial_masking
        Share of a row's zeros, drawn anew for every round, at which the opponent sees the made row too. 0: it sees
        the made row only where the real one has a 1; 1: it sees the whole row.
    zero_share, zero_weight
        Share of a row's zeros, drawn in the same way, at which the made row is pulled to 0, and the weight of their
        squares.
    generator_steps, discriminator_steps
        Passes of each in a round.
    batch_size
        Largest number of rows in a step. The rows are split into equal batches; the last is filled up with the
        first few of the pass.
    seed
        Seed of the order and of the zeros.
    callback
        Called after each round with the generator and the record; training stops when it returns True.

    Returns
    -------
    list of dict
        One record a round: ``epoch`` (from 1), ``discriminator_loss``, ``generator_loss`` (the part of the opponent
        or of the ones alone), both means over the round, and ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range or the rows are no table of 0 and 1 of the generator's width.

    Notes
    -----
    Chae, Kang, Kim and Lee, "CFGAN: A Generic Collaborative Filtering Framework based on Generative Adversarial
    Networks", CIKM 2018. The defaults are those of the authors' program for MovieLens-100K, but for one batch size
    for both networks, and zeros that are drawn one by one, each with the given probability.
    """
    for name, count in (("epochs", epochs), ("generator_steps", generator_steps), ("batch_size", batch_size)):
        check_count(name, count)
    check_count("discriminator_steps", discriminator_steps)
    reference.check_positive(learning_rate=learning_rate)
    reference.check_not_negative(
        discriminator_rate=discriminator_rate, regularisation=regularisation, zero_weight=zero_weight
    )
    reference.check_shares(partial_masking=partial_masking, zero_share=zero_share)
    real = tensor(reference.check_rows(numpy(rows), generator.weights["inner"].shape[0]))
    device, n = real.device, len(real)
    random = torch.Generator(device).manual_seed(seed)
    made_by = list(generator.parameters())
    judged_by = [] if discriminator is None or discriminator_rate == 0 else list(discriminator.parameters())
    fused = device.type in ("cpu", "cuda")
    steps_g = torch.optim.Adam(made_by, learning_rate, fused=fused)
    steps_d = torch.optim.Adam(judged_by, discriminator_rate, fused=fused) if judged_by else None
    n_batches = -(-n // batch_size)
    size = -(-n // n_batches)

    def batches() -> tuple[torch.Tensor, ...]:
        order = torch.randperm(n, generator=random, device=device)
        return torch.cat((order, order[: n_batches * size - n])).split(size)

    def zeros(share: float) -> torch.Tensor:
        return (torch.rand(real.shape, generator=random, device=device) < share) * (1 - real)

    def discriminator_update(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        assert discriminator is not None
        with torch.no_grad():
            fake = generator(x) * mask
        loss = softplus(-discriminator(x, x)).mean() + softplus(discriminator(fake, x)).mean()
        return _step(steps_d, judged_by, loss, loss)

    def generator_update(x: torch.Tensor, mask: torch.Tensor, pulled: torch.Tensor) -> torch.Tensor:
        made = generator(x)
        if discriminator is None:
            loss = ((1 - made).square() * x).sum(1).mean()
        else:
            loss = softplus(-discriminator(made * mask, x)).mean()
        penalty = 0.5 * regularisation * sum(w.square().sum() for w in made_by)
        return _step(steps_g, made_by, loss + zero_weight * (made.square() * pulled).sum(1).mean() + penalty, loss)

    history: History = []
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        mask, pulled = real + zeros(partial_masking), zeros(zero_share)
        on_d = [real.new_zeros(())]
        if steps_d is not None:
            passes = (b for _ in range(discriminator_steps) for b in batches())
            on_d = [discriminator_update(real[b], mask[b]) for b in passes]
        passes = (b for _ in range(generator_steps) for b in batches())
        on_g = [generator_update(real[b], mask[b], pulled[b]) for b in passes]
        losses = {"discriminator_loss": torch.stack(on_d).mean(), "generator_loss": torch.stack(on_g).mean()}
        record = {"epoch": epoch, **{name: float(value) for name, value in losses.items()}}
        history.append({**record, "seconds": time.perf_counter() - start})
        if callback is not None and callback(generator, history[-1]) is True:
            break
    return history


def _step(optimizer: Any, parameters: list[nn.Parameter], total: torch.Tensor, reported: torch.Tensor) -> torch.Tensor:
    """Take one step down ``total`` and return ``reported`` without history."""
    for parameter, gradient in zip(parameters, torch.autograd.grad(total, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return reported.detach()


# --- IRGAN


def item_mixture(logits: torch.Tensor, table: torch.Tensor, *, share: float) -> torch.Tensor:
    """Return from what IRGAN's generator draws: (1 - share) softmax(logits) + share, spread over a user's items.

    Parameters
    ----------
    logits
        The generator's scores, shape [n_users, n_items].
    table
        The training items, 0 and 1 as float32, of the same shape. A user without any draws from the softmax alone.
    share
        Weight of the training items, from 0 to 1.
    """
    count = table.sum(1, keepdim=True)
    weight = torch.where(count > 0, share, 0.0)
    return (1 - weight) * logits.softmax(1) + weight * table / count.clamp(min=1)


def draw_items(probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Return for each uniform number the first item at which the running sum of its row exceeds it.

    Parameters
    ----------
    probabilities
        Shape [n_users, n_items]; rows that sum to 1.
    uniform
        Numbers in [0, 1), shape [n_users, n_draws].

    Returns
    -------
    torch.Tensor
        Item ids, int64, shape [n_users, n_draws].
    """
    total = probabilities.cumsum(1)
    found = torch.searchsorted(total, uniform * total[:, -1:], right=True)
    return found.clamp(max=total.shape[1] - 1)


def policy_loss(logits: torch.Tensor, items: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
    """Return -mean reward * log p(item), whose gradient is IRGAN's step for its generator.

    Parameters
    ----------
    logits
        Scores of all items, shape [n_users, n_items]; p is their softmax.
    items
        Drawn item ids, int64, shape [n_users, n_draws].
    rewards
        What each is worth, of the same shape; a constant to the gradient.

    Notes
    -----
    Wang et al., "IRGAN: A Minimax Game for Unifying Generative and Discriminative Information Retrieval Models",
    SIGIR 2017, equation 5, for many draws at once.
    """
    return -(logits.log_softmax(1).gather(1, items) * rewards.detach()).mean()


def fit_irgan(
    generator: BPRModel,
    discriminator: BPRModel,
    train: Any,
    *,
    epochs: int,
    learning_rate: float = 0.001,
    discriminator_rate: float = 0.01,
    regularisation: float = 1e-3,
    generator_steps: int = 5,
    discriminator_steps: int = 5,
    draws: int = 32,
    share: float = 0.2,
    temperature: float = 0.2,
    seed: int = 0,
    callback: Callable[[BPRModel, dict[str, float]], Any] | None = None,
) -> History:
    """Train a generator that draws items, and the discriminator that tells them from real ones, in place with Adam.

    Parameters
    ----------
    generator, discriminator
        Matrix factorisations of the same users and items.
    train
        The interactions, a :class:`advrec_teach.splits.Interactions`.
    epochs
        Rounds, each of ``discriminator_steps`` and then ``generator_steps`` steps; a step uses all users at once.
    learning_rate, discriminator_rate
        Step sizes of Adam. A ``discriminator_rate`` of 0 leaves the opponent as it is.
    regularisation
        Weight of half the squared norm of the discriminator's vectors, over the number of users.
    generator_steps, discriminator_steps
        Steps of each in a round.
    draws
        Items that the generator draws for a user in each step.
    share
        Weight of a user's training items in what is drawn for the generator's own step (:func:`item_mixture`); the
        rewards are weighted so that the expected step is that of its softmax.
    temperature
        The discriminator's negatives are drawn from softmax(scores / temperature).
    seed
        Seed of the draws.
    callback
        Called after each round with the generator and the record; training stops when it returns True.

    Returns
    -------
    list of dict
        One record a round: ``epoch`` (from 1), ``discriminator_loss`` (mean over positives plus mean over drawn
        items), ``reward`` (mean of 2 (D - 1/2) over the items that the softmax draws), ``seconds``.

    Raises
    ------
    ValueError
        If a setting is out of its range or models and interactions differ in size.

    Notes
    -----
    Wang et al., SIGIR 2017; reward, share and temperature as in the authors' program. Theirs steps user by user with
    plain gradient steps and has a bias per item; this one steps on all users at once, with Adam and without biases.
    """
    for model in (generator, discriminator):
        check_sizes(model.user_vectors.shape[0], model.item_vectors.shape[0], train)
    for name, count in (("epochs", epochs), ("generator_steps", generator_steps), ("draws", draws)):
        check_count(name, count)
    check_count("discriminator_steps", discriminator_steps)
    reference.check_positive(learning_rate=learning_rate, temperature=temperature)
    reference.check_not_negative(discriminator_rate=discriminator_rate, regularisation=regularisation)
    reference.check_shares(share=share)
    table = tensor(np.float32(train.table()))
    device, n_users = table.device, table.shape[0]
    positives = table / table.sum()
    random = torch.Generator(device).manual_seed(seed)
    fused = device.type in ("cpu", "cuda")
    made_by, judged_by = list(generator.parameters()), list(discriminator.parameters())
    steps_g = torch.optim.Adam(made_by, learning_rate, fused=fused)
    steps_d = torch.optim.Adam(judged_by, discriminator_rate, fused=fused) if discriminator_rate > 0 else None

    def uniform() -> torch.Tensor:
        return torch.rand((n_users, draws), generator=random, device=device)

    def discriminator_update(drawn: torch.Tensor) -> torch.Tensor:
        logits = discriminator.user_vectors @ discriminator.item_vectors.T
        loss = (softplus(-logits) * positives).sum() + softplus(logits.gather(1, drawn)).mean()
        penalty = 0.5 * regularisation / n_users * sum(w.square().sum() for w in judged_by)
        return _step(steps_d, judged_by, loss + penalty, loss)

    def generator_update() -> torch.Tensor:
        logits = generator.user_vectors @ generator.item_vectors.T
        with torch.no_grad():
            mixed = item_mixture(logits, table, share=share)
            drawn = draw_items(mixed, uniform())
            weight = logits.softmax(1).gather(1, drawn) / mixed.gather(1, drawn)
            rewards = 2 * torch.sigmoid(discriminator.score_all().gather(1, drawn)) - 1
        return _step(steps_g, made_by, policy_loss(logits, drawn, weight * rewards), (weight * rewards).mean())

    history: History = []
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        on_d = [table.new_zeros(())]
        if steps_d is not None:
            sharp = (generator.score_all() / temperature).softmax(1)
            on_d = [discriminator_update(draw_items(sharp, uniform())) for _ in range(discriminator_steps)]
        on_g = [generator_update() for _ in range(generator_steps)]
        losses = {"discriminator_loss": torch.stack(on_d).mean(), "reward": torch.stack(on_g).mean()}
        record = {"epoch": epoch, **{name: float(value) for name, value in losses.items()}}
        history.append({**record, "seconds": time.perf_counter() - start})
        if callback is not None and callback(generator, history[-1]) is True:
            break
    return history
