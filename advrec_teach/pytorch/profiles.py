"""Fake profiles that are made by a gradient through a surrogate, or by a generator trained on real ones."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advrec_teach import baselines, profiles
from advrec_teach.pytorch import _setup, gan, tensors
from advrec_teach.splits import Interactions


def poisoned_weights(inverse: Tensor, fake: Tensor, target: int) -> Tensor:
    """Return EASE's weights towards the target after training with fake rows, without training anew.

    Parameters
    ----------
    inverse
        P = (X^T X + lambda I)^-1 of the real users, shape [n_items, n_items].
    fake
        Rows of the fake users, entries from 0 to 1, shape [m, n_items].
    target
        Item id.

    Returns
    -------
    torch.Tensor
        The column of B that scores the target, shape [n_items]; differentiable in ``fake``.

    Notes
    -----
    m fake rows change the inverse by a matrix of rank m (Woodbury): P' = P - P F^T (I + F P F^T)^-1 F P. Only the
    target's column of it is needed: B_it = -P'_it / P'_tt, and 0 for i = t.
    """
    seen = fake @ inverse
    small = torch.eye(len(fake), dtype=fake.dtype, device=fake.device) + seen @ fake.T
    column = inverse[:, target] - seen.T @ torch.linalg.solve(small, seen[:, target])
    keep = torch.ones_like(column)
    keep[target] = 0
    return -column / column[target] * keep


def gradient_profiles(
    train: Interactions,
    n: int,
    *,
    target: int,
    inverse: NDArray[np.floating],
    length: int,
    avoid: Sequence[int] | NDArray[np.integer] = (),
    k: int = 50,
    steps: int = 10,
    temperature: float = 0.05,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return fillers that raise the target in a surrogate recommender, found through the surrogate's training.

    Parameters
    ----------
    train
        The real users' interactions, which this attacker knows.
    n
        Number of fake users, whose rows are found together.
    target
        The item that they push; it counts as the last item of every profile.
    inverse
        The surrogate, EASE on ``train``, as :func:`advrec_teach.baselines.ease_inverse` returns it,
        shape ``[n_items, n_items]``.
    length
        Items in a profile.
    avoid
        Items that no profile may hold.
    k
        Length of the list that the target is to enter.
    steps
        Steps of the search.
    temperature
        Width of the soft step that stands for "enters the list", in units of the score.
    seed
        Seed of the rows that the search starts from, drawn by popularity.

    Returns
    -------
    ndarray of int64, shape ``[n, length]``
        Fillers, the most useful first, without the target.

    Raises
    ------
    ValueError
        If ``steps`` is below 1 or ``temperature`` is not positive.

    Notes
    -----
    The surrogate is EASE, whose training has a closed form (:func:`poisoned_weights`), so the gradient goes
    through all of it. The search is conditional gradient (Frank and Wolfe, 1956) over rows whose entries are 0 to
    1: every step moves towards the ``length`` fillers that the gradient likes best. The best whole rows met are kept.
    """
    if steps < 1 or not temperature > 0:
        raise ValueError("steps must be at least 1 and temperature positive.")
    table = train.table()
    others = table[~table[:, target]]
    clean = others @ baselines.ease_weights(inverse)
    threshold = tensors.tensor(np.sort(np.where(others, -np.inf, clean), axis=1)[:, -k])
    audience, known = tensors.tensor(others.astype(np.float32)), tensors.tensor(inverse)
    never = torch.zeros(train.n_items, dtype=torch.bool, device=_setup.device())
    never[[target, *avoid]] = True

    def loss_fn(rows: Tensor) -> Tensor:
        scores = audience @ poisoned_weights(known, rows, target)
        return torch.sigmoid((threshold - scores) / temperature).mean()

    def with_items(items: Tensor) -> Tensor:
        rows = torch.zeros((n, train.n_items), device=_setup.device()).scatter_(1, items, 1.0)
        rows[:, target] = 1
        return rows

    start = profiles.average_profiles(train, n, length=length, avoid=[target, *avoid], seed=seed)
    best_items, best = tensors.tensor(start), float("inf")
    rows = with_items(best_items[:, :-1])
    for step in range(steps):
        _, gradient = tensors.value_and_grad(loss_fn, rows)
        items = gradient.masked_fill(never, torch.inf).topk(length, largest=False).indices
        rows = rows + 2 / (step + 2) * (with_items(items[:, :-1]) - rows)
        items = rows.masked_fill(never, -1).topk(length).indices
        value = float(loss_fn(with_items(items[:, :-1])))
        if value < best:
            best_items, best = items, value
    return tensors.numpy(best_items)


def generated_profiles(
    train: Interactions,
    n: int,
    *,
    length: int,
    avoid: Sequence[int] | NDArray[np.integer] = (),
    hidden: int = 64,
    latent: int = 16,
    steps: int = 200,
    batch_size: int = 128,
    learning_rate: float = 1e-2,
    beta: float = 0.2,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return profiles drawn from a variational autoencoder that was trained on real ones.

    Parameters
    ----------
    train
        The real users' interactions, which this attacker knows.
    n
        Number of profiles.
    length
        Items in each.
    avoid
        Items that no profile may hold.
    hidden, latent
        Width of the one hidden layer of encoder and decoder; width of the code z.
    steps, batch_size, learning_rate
        Steps of Adam, and the real users in each.
    beta
        Weight of the divergence of z from a standard normal.
    seed
        Seed of weights, noise and draws.

    Returns
    -------
    ndarray of int64, shape ``[n, length]``
        For each profile a code z is drawn, decoded to a chance for every item, and items are drawn from those.

    Raises
    ------
    ValueError
        If a size or a number of steps is below 1.

    Notes
    -----
    The model is that of Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, with its
    multinomial likelihood; they recommend with it, here it makes users.
    """
    if min(hidden, latent, steps, batch_size) < 1:
        raise ValueError("hidden, latent, steps and batch_size must be at least 1.")
    real = tensors.tensor(train.table()[train.activity() > 0].astype(np.float32))
    inputs = real / real.sum(dim=1, keepdim=True).sqrt()
    encoder = gan.mlp([train.n_items, hidden, 2 * latent], activation="tanh", seed=seed)
    decoder = gan.mlp([latent, hidden, train.n_items], activation="tanh", seed=seed + 1)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    adam = torch.optim.Adam(parameters, learning_rate)
    rng = tensors.generator(seed)
    for _ in range(steps):
        batch = torch.randint(len(real), (batch_size,), generator=rng, device=real.device)
        mean, log_variance = encoder(inputs[batch]).split(latent, dim=1)
        noise = torch.randn(mean.shape, generator=rng, device=real.device)
        logits = decoder(mean + noise * torch.exp(0.5 * log_variance))
        likelihood = (real[batch] * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        adam.zero_grad()
        (beta * divergence - likelihood).backward()
        adam.step()
    with torch.no_grad():
        logits = decoder(torch.randn((n, latent), generator=rng, device=real.device))
    return profiles.draw_profiles(tensors.numpy(logits), n, length=length, avoid=avoid, seed=seed)
