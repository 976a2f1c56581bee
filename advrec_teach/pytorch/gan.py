"""Generative adversarial networks in PyTorch: losses from logits, toy data, and the training loop.

A *logit* s is what a discriminator returns; its probability "real" is sigmoid(s). A
*critic*'s score has no such meaning. Every loss takes logits or scores of any shape.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from advrec_teach import reference_gan
from advrec_teach.pytorch import _setup

Sampler = Callable[[int, torch.Generator], Tensor]
Loss = str | tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]

HISTORY = ("discriminator_loss", "generator_loss", "discriminator_gradient", "generator_gradient")
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
}


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return -mean log D(real) - mean log(1 - D(fake)) from logits; Goodfellow et al. (2014), equation 1.

    The label of a real sample is 1 - ``smoothing`` (one-sided label smoothing; Salimans et al., 2016).
    """
    # softplus(s) - softplus(-s) = s: what a label below 1 adds.
    return softplus(-real_logits).mean() + softplus(fake_logits).mean() + smoothing * real_logits.mean()


def generator_loss(fake_logits: Tensor, *, kind: str = "non-saturating") -> Tensor:
    """Return the generator's loss for the logits (or critic's scores) of its samples.

    Parameters
    ----------
    fake_logits
        Logits or scores, any shape.
    kind
        ``"minimax"``: mean log(1 - D); ``"non-saturating"``: -mean log D (both Goodfellow et al., 2014);
        ``"wasserstein"``: -mean score (Arjovsky et al., 2017).

    Raises
    ------
    ValueError
        If ``kind`` is none of these.
    """
    reference_gan.check_kind(kind)
    if kind == "minimax":
        return -softplus(fake_logits).mean()
    if kind == "non-saturating":
        return softplus(-fake_logits).mean()
    return -fake_logits.mean()


def critic_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Return mean score(fake) - mean score(real); Arjovsky et al. (2017), equation 2, as a loss."""
    return fake_scores.mean() - real_scores.mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, generator: torch.Generator
) -> Tensor:
    """Return mean (norm of the critic's slope - 1)^2 at random points between real and fake.

    Gulrajani et al. (2017), equation 3, without its weight. The penalty keeps its graph,
    so that it can be differentiated with respect to the critic's parameters.

    Parameters
    ----------
    critic
        Maps examples of shape (n, ...) to n scores, each from its own example alone.
    real, fake
        As many real as fake examples, shape (n, ...).
    generator
        Draws the places between them.
    """
    mix = torch.rand((len(real),) + (1,) * (real.ndim - 1), generator=generator, device=real.device)
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    (slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # The small term keeps the root differentiable where the critic is flat.
    norms = (slopes.flatten(1).square().sum(1) + 1e-12).sqrt()
    return (norms - 1).square().mean()


def mlp(sizes: Sequence[int], *, activation: str = "relu", seed: int = 0) -> nn.Sequential:
    """Return a multilayer perceptron on the device, without an activation at its end.

    Parameters
    ----------
    sizes
        Width of the input, of every hidden layer and of the output.
    activation
        ``"relu"``, ``"leaky_relu"`` (slope 0.2) or ``"tanh"`` between the layers.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If the activation is unknown or the sizes are not at least two positive numbers.
    """
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; choose one of {', '.join(_ACTIVATIONS)}.")
    layers: list[nn.Module] = []
    for weights, bias in reference_gan.mlp_weights(sizes, seed=seed):
        linear = nn.Linear(*weights.shape)
        linear.weight.data = torch.from_numpy(np.ascontiguousarray(weights.T))
        linear.bias.data = torch.from_numpy(bias)
        layers += [linear, _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1]).to(_setup.device())


def gaussian_data(*, mean: float, std: float) -> Sampler:
    """Return a sampler of N(mean, std^2): ``sample_real(n, generator)`` draws n points, shape (n, 1)."""

    def sample_real(n: int, generator: torch.Generator) -> Tensor:
        return mean + std * torch.randn((n, 1), generator=generator, device=generator.device)

    return sample_real


def ring_data(*, modes: int = 8, radius: float = 2.0, std: float = 0.05) -> Sampler:
    """Return a sampler of a ring of Gaussian clusters in the plane, shape (n, 2).

    Parameters
    ----------
    modes
        Number of clusters, all equally likely.
    radius
        Distance of their centres from the origin.
    std
        Standard deviation of each cluster in both directions.
    """
    centres = torch.from_numpy(reference_gan.ring_centres(modes=modes, radius=radius)).float().to(_setup.device())

    def sample_real(n: int, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(modes, (n,), generator=generator, device=generator.device)
        return centres[chosen] + std * torch.randn((n, 2), generator=generator, device=generator.device)

    return sample_real


def sample(generator: nn.Module, n: int, *, noise_dim: int, seed: int = 0) -> Tensor:
    """Return n samples of the generator, without history.

    Parameters
    ----------
    generator
        Maps standard normal noise of shape (n, noise_dim) to samples; used in evaluation mode.
    n
        Number of samples.
    noise_dim
        Width of the noise.
    seed
        Seed of the noise.
    """
    device = next(generator.parameters()).device
    rng = torch.Generator(device).manual_seed(seed)
    was_training = generator.training
    generator.eval()
    try:
        with torch.no_grad():
            return generator(torch.randn((n, noise_dim), generator=rng, device=device))
    finally:
        generator.train(was_training)


def fit_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    sample_real: Sampler,
    *,
    steps: int,
    batch_size: int = 256,
    noise_dim: int = 2,
    loss: Loss = "non-saturating",
    learning_rates: tuple[float, float] = (1e-3, 1e-3),
    betas: tuple[float, float] = (0.5, 0.9),
    discriminator_steps: int = 1,
    penalty: float = 0.0,
    clip: float | None = None,
    seed: int = 0,
    every: int | None = None,
    callback: Callable[[int], Any] | None = None,
) -> dict[str, np.ndarray]:
    """Train generator and discriminator in turns, both with Adam, and return what happened.

    One step is ``discriminator_steps`` updates of the discriminator, each on new real and new fake samples,
    then one update of the generator. Everything stays on the models' device.

    Parameters
    ----------
    generator, discriminator
        Noise (batch_size, noise_dim) to samples; samples to logits, or to scores for a Wasserstein critic.
    sample_real
        ``sample_real(n, generator)`` returns n real samples on the device.
    steps
        Updates of the generator.
    batch_size, noise_dim
        Samples of each kind an update; width of the standard normal noise.
    loss
        A ``kind`` of :func:`generator_loss` (with ``"wasserstein"`` the discriminator's own loss is
        :func:`critic_loss`), or a pair ``(discriminator_loss(real, fake), generator_loss(fake))``.
    learning_rates
        Of the generator and of the discriminator.
    betas
        Decay rates of both Adams.
    discriminator_steps
        Updates of the discriminator a step.
    penalty
        Weight of :func:`gradient_penalty` in the discriminator's loss.
    clip
        Bound that every parameter of the discriminator is clipped to after each of its updates
        (Arjovsky et al., 2017, algorithm 1).
    seed
        Seed of noise and data.
    every, callback
        ``callback(step)`` is called before the first step, every ``every`` steps, and after the last.

    Returns
    -------
    dict
        Arrays of length ``steps``: ``discriminator_loss`` (before its last update, without penalty),
        ``generator_loss``, and the Euclidean norms of the gradients that the last update of each used,
        ``discriminator_gradient`` and ``generator_gradient``.

    Raises
    ------
    ValueError
        If a setting cannot be used; the message says what to mend.
    """
    reference_gan.check_fit_gan(
        loss,
        steps=steps,
        batch_size=batch_size,
        noise_dim=noise_dim,
        discriminator_steps=discriminator_steps,
        penalty=penalty,
        clip=clip,
        every=every,
    )
    d_loss, g_loss = _losses(loss)
    g_parameters, d_parameters = list(generator.parameters()), list(discriminator.parameters())
    device = g_parameters[0].device
    rng = torch.Generator(device).manual_seed(seed)
    fused = device.type in ("cpu", "cuda")
    g_adam = torch.optim.Adam(g_parameters, learning_rates[0], betas=betas, fused=fused)
    d_adam = torch.optim.Adam(d_parameters, learning_rates[1], betas=betas, fused=fused)
    history = torch.zeros((steps, len(HISTORY)), device=device)

    def noise() -> Tensor:
        return torch.randn((batch_size, noise_dim), generator=rng, device=device)

    def discriminator_update() -> tuple[Tensor, Tensor]:
        real = sample_real(batch_size, rng)
        with torch.no_grad():
            fake = generator(noise())
        # One pass for both kinds: half the overhead of two.
        value = d_loss(*discriminator(torch.cat([real, fake])).split(batch_size))
        total = value
        if penalty:
            total = value + penalty * gradient_penalty(discriminator, real, fake, generator=rng)
        norm = _update(d_adam, d_parameters, total)
        if clip is not None:
            with torch.no_grad():
                for parameter in d_parameters:
                    parameter.clamp_(-clip, clip)
        return value.detach(), norm

    def generator_update() -> tuple[Tensor, Tensor]:
        value = g_loss(discriminator(generator(noise())))
        return value.detach(), _update(g_adam, g_parameters, value)

    generator.train()
    discriminator.train()
    with _few_threads(batch_size * max(parameter.numel() for parameter in g_parameters + d_parameters)):
        for step in range(steps):
            if callback and every and step % every == 0:
                callback(step)
            for _ in range(discriminator_steps):
                d_value, d_norm = discriminator_update()
            g_value, g_norm = generator_update()
            history[step] = torch.stack([d_value, g_value, d_norm, g_norm])
    if callback:
        callback(steps)
    return dict(zip(HISTORY, history.cpu().numpy().T, strict=True))


@contextmanager
def _few_threads(products: int) -> Iterator[None]:
    """Use one thread inside where the largest matrix product has so few multiplications.

    A second thread gains nothing there, and beside another busy process it costs a factor of thirty, because the
    threads wait for each other in a loop.
    """
    threads = torch.get_num_threads()
    if products < 2**22:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _losses(loss: Loss) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return the two loss functions that ``loss`` names, or the pair that it is."""
    if isinstance(loss, tuple):
        return loss
    own = critic_loss if loss == "wasserstein" else discriminator_loss
    return own, lambda fake: generator_loss(fake, kind=loss)


def _update(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], loss: Tensor) -> Tensor:
    """Make one step down ``loss`` in these parameters alone; return the norm of its gradient."""
    gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return torch.cat([gradient.flatten() for gradient in gradients]).norm()
