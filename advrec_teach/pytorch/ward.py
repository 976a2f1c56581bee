"""Many small GANs side by side in PyTorch: every tensor has one more axis in front, the pair."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from advrec_teach import clinic
from advrec_teach.clinic import HISTORY, Patient
from advrec_teach.pytorch import _setup

Sampler = Callable[[int, torch.Generator], Tensor]
Layers = list[tuple[Tensor, Tensor]]


def power_iteration(weights: Tensor, u: Tensor, *, steps: int = 1) -> tuple[Tensor, Tensor]:
    """Return the largest singular value of each matrix, and the vector to go on from.

    Miyato et al. (2018), algorithm 1. The vectors are held fixed, so that the value's gradient with respect to the
    weights is the outer product of the two singular vectors.

    Parameters
    ----------
    weights
        Matrices, shape (..., n, m).
    u
        Where the last call ended, shape (..., m, 1); anything but zero at first.
    steps
        Iterations.
    """
    fixed = weights.detach()
    for _ in range(steps):
        v = normalize(fixed @ u, dim=-2)
        u = normalize(fixed.mT @ v, dim=-2)
    return v.mT @ weights @ u, u


def fit_ward(
    patients: Sequence[Patient],
    sample_real: Sampler,
    *,
    seeds: Sequence[int],
    steps: int,
    batch_size: int = 64,
    noise_dim: int = 2,
    betas: tuple[float, float] = (0.5, 0.9),
    seed: int = 0,
    noise: Sampler | None = None,
    samples: int = 1000,
    every: int | None = None,
    callback: Callable[[int, np.ndarray], Any] | None = None,
) -> dict[str, np.ndarray]:
    """Train one pair for each patient and each seed, all at once, and return what happened.

    One step is one update of every discriminator, then one of every generator, each by Adam on its own loss. No pair
    sees another: the losses are added up, and the sum's gradient with respect to a pair's weights is that
    of its own loss.

    Parameters
    ----------
    patients
        Settings of the pairs.
    sample_real
        ``sample_real(n, generator)`` returns n real samples of the plane on the device.
    seeds
        Seeds of the first weights; each patient gets one pair a seed.
    steps
        Updates of each player.
    batch_size, noise_dim
        Samples of each kind an update; width of the noise.
    betas
        Decay rates of all Adams.
    seed
        Seed of noise, data and dropout.
    noise
        Draws noise of shape (n, noise_dim) as ``sample_real`` draws data; standard normal by default.
    samples
        Points of every generator that the callback gets.
    every, callback
        ``callback(step, points)`` is called before the first step, every ``every`` steps, and after the
        last, with an array of shape (patients, seeds, samples, 2).

    Returns
    -------
    dict
        Arrays of shape (steps, patients, seeds): ``discriminator_loss`` and ``generator_loss`` (without
        smoothing, L2 or penalty, so that patients can be compared), the norms of the gradients used,
        ``discriminator_gradient`` and ``generator_gradient``, and ``accuracy``, the share of the batch that the
        discriminator judges rightly.

    Raises
    ------
    ValueError
        If a setting cannot be used; the message says what to mend.
    """
    clinic.check_ward(
        patients, seeds, steps=steps, batch_size=batch_size, noise_dim=noise_dim, samples=samples, every=every
    )
    device = _setup.device()
    rng = torch.Generator(device).manual_seed(seed)
    g_sizes, d_sizes = clinic.sizes(patients, noise_dim=noise_dim)
    rows = [patient for patient in patients for _ in seeds]
    first = clinic.first_weights(patients, seeds, noise_dim=noise_dim)
    g, d = (torch.from_numpy(weights).to(device) for weights in first)

    def column(name: str) -> Tensor:
        return torch.tensor([float(getattr(row, name)) for row in rows], device=device)

    def those(name: str) -> Tensor:
        return torch.tensor([k for k, row in enumerate(rows) if getattr(row, name)], dtype=torch.long, device=device)

    minimax = torch.tensor([row.loss == "minimax" for row in rows], device=device)[:, None]
    l2, smoothing, penalty = column("l2"), column("smoothing"), column("penalty")
    dropped, limited, penalised = those("dropout"), those("spectral"), those("penalty")
    keep = 1 - column("dropout")[dropped][:, None, None]
    spectral = column("spectral")[:, None, None] > 0
    us = [torch.randn((len(rows), width, 1), generator=rng, device=device) for width in d_sizes[1:]]

    def discriminators(flat: Tensor, *, iterations: int = 1) -> Layers:
        layers = _layers(flat, d_sizes)
        if not len(limited):
            return layers
        divided = []
        for place, (weights, bias) in enumerate(layers):
            largest, us[place] = power_iteration(weights, us[place], steps=iterations)
            divided.append((weights / torch.where(spectral, largest, 1.0), bias))
        return divided

    def drop(x: Tensor) -> Tensor:
        if not len(dropped):
            return x
        shape = (len(dropped), *x.shape[1:])
        kept = (torch.rand(shape, generator=rng, device=device) < keep) / keep
        return x * torch.ones_like(x).index_copy(0, dropped, kept)

    def draw(sampler: Sampler, generator: torch.Generator, n: int) -> Tensor:
        return sampler(len(rows) * n, generator).reshape(len(rows), n, -1)

    def normal(n: int, generator: torch.Generator) -> Tensor:
        return torch.randn((n, noise_dim), generator=generator, device=device)

    def fakes(flat: Tensor, generator: torch.Generator, n: int) -> Tensor:
        return _network(_layers(flat, g_sizes), draw(noise or normal, generator, n))

    g_adam, d_adam = (
        _Adam(w, column(f"{player}_rate"), betas) for w, player in ((g, "generator"), (d, "discriminator"))
    )
    with torch.no_grad():
        discriminators(d, iterations=10)  # the first singular values should be near, too
    history = torch.zeros((steps, len(HISTORY), len(rows)), device=device)

    def step() -> Tensor:
        with torch.no_grad():
            real, fake = draw(sample_real, rng, batch_size), fakes(g, rng, batch_size)
        d_now = d.detach().requires_grad_()
        layers = discriminators(d_now)
        logits = _network(layers, torch.cat([real, fake], dim=1), drop)[..., 0]
        on_real, on_fake = logits.split(batch_size, dim=1)
        d_loss = softplus(-on_real).mean(1) + softplus(on_fake).mean(1)
        squares = sum(weights.square().sum((1, 2)) for weights, _ in layers)
        # softplus(s) - softplus(-s) = s: what a label below 1 adds.
        total = (d_loss + smoothing * on_real.mean(1) + l2 * squares).sum()
        if len(penalised):
            own = [(weights[penalised], bias[penalised]) for weights, bias in layers]
            total = total + (penalty[penalised] * _penalty(own, real[penalised], fake[penalised], rng)).sum()
        (d_gradient,) = torch.autograd.grad(total, d_now)
        d_adam.step(d, d_gradient)

        g_now = g.detach().requires_grad_()
        judged = _network(discriminators(d), fakes(g_now, rng, batch_size), drop)[..., 0]
        g_loss = torch.where(minimax, -softplus(judged), softplus(-judged)).mean(1)
        (g_gradient,) = torch.autograd.grad(g_loss.sum(), g_now)
        g_adam.step(g, g_gradient)
        right = ((on_real > 0).float().mean(1) + (on_fake < 0).float().mean(1)) / 2
        return torch.stack([d_loss, g_loss, d_gradient.norm(dim=1), g_gradient.norm(dim=1), right]).detach()

    def look(number: int) -> None:
        if callback:
            with torch.no_grad():
                points = fakes(g, torch.Generator(device).manual_seed(seed + 1), samples)
            callback(number, points.cpu().numpy().reshape(len(patients), len(seeds), samples, 2))

    for number in range(steps):
        if every and number % every == 0:
            look(number)
        history[number] = step()
    look(steps)
    shaped = history.cpu().numpy().reshape(steps, len(HISTORY), len(patients), len(seeds))
    return dict(zip(HISTORY, np.moveaxis(shaped, 1, 0), strict=True))


def _layers(flat: Tensor, sizes: list[int]) -> Layers:
    """Return the matrices and biases that the flat rows hold."""
    shapes = [shape for n, m in pairwise(sizes) for shape in ((n, m), (1, m))]
    parts = flat.split([n * m for n, m in shapes], dim=1)
    shaped = [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
    return list(zip(shaped[::2], shaped[1::2], strict=True))


def _network(layers: Layers, x: Tensor, drop: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Return what each perceptron makes of its own examples, shape (pairs, n, outputs)."""
    for weights, bias in layers[:-1]:
        x = torch.relu(torch.baddbmm(bias, x, weights))
        x = drop(x) if drop else x
    weights, bias = layers[-1]
    return torch.baddbmm(bias, x, weights)


def _penalty(layers: Layers, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """Return the gradient penalty of each discriminator, see ``gradient_penalty``; dropout plays no part in it."""
    mix = torch.rand((*real.shape[:2], 1), generator=rng, device=real.device)
    between = (mix * real + (1 - mix) * fake).requires_grad_()
    (slopes,) = torch.autograd.grad(_network(layers, between).sum(), between, create_graph=True)
    return ((slopes.square().sum(2) + 1e-12).sqrt() - 1).square().mean(1)


class _Adam:
    """Adam (Kingma and Ba, 2015) on flat rows, each with a learning rate of its own."""

    def __init__(self, weights: Tensor, rates: Tensor, betas: tuple[float, float]):
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)
        self.rates, self.betas, self.steps = rates[:, None], betas, 0

    def step(self, weights: Tensor, gradient: Tensor) -> None:
        """Move the weights against the gradient, in place."""
        self.steps += 1
        first, second = self.betas
        self.mean.lerp_(gradient, 1 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (self.square / (1 - second**self.steps)).sqrt_().add_(1e-8)
        weights.sub_(self.rates * self.mean / (1 - first**self.steps) / root)
