"""Per-example gradients, clipping, and a training that adds noise; and the small generator that learns so."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from advrec_teach import reference_behaviour
from advrec_teach import reference_privacy as reference
from advrec_teach.pytorch._networks import Network
from advrec_teach.pytorch.gan import _few_threads
from advrec_teach.pytorch.tensors import tensor

Weights = Mapping[str, Tensor]


def set_log_probabilities(weights: Weights, rows: Tensor) -> Tensor:
    """Return the logarithm of the set generator's probability of each item: int64 [..., any] gives [..., any].

    Parameters
    ----------
    weights
        The weights by name, as :meth:`SetGenerator.tensors` gives them.
    rows
        Item ids; one row, or rows.
    """
    vectors = weights["vectors"][rows]
    states = (weights["start"] + vectors.cumsum(-2) - vectors).tanh()
    places = rows.unsqueeze(-1)
    hot = (places == torch.arange(len(weights["bias"]), device=rows.device)).to(states.dtype)
    used = hot.cumsum(-2) - hot
    logits = states @ weights["out"] + weights["bias"] + reference_behaviour.USED * used
    return logits.log_softmax(-1).gather(-1, places).squeeze(-1)


class SetGenerator(Network):
    """A small generator: each item depends on which items stand before it, whatever their order.

    Parameters
    ----------
    n_items
        Number of items.
    length
        Items in a row.
    dim
        Length of an item's vector.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2), or a row is longer than there are items.

    Notes
    -----
    Larochelle and Lauly, "A Neural Autoregressive Topic Model", NIPS 2012, without their tree.
    """

    def __init__(self, n_items: int, *, length: int = 12, dim: int = 16, seed: int = 0):
        reference_behaviour.check_length(length, n_items)
        super().__init__(reference.set_weights(n_items, dim=dim, seed=seed))
        self.n_items, self.length = n_items, length

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights by name, without history."""
        return {name: value.detach() for name, value in self.weights.items()}

    def log_probabilities(self, rows: Tensor) -> Tensor:
        """Return the logarithm of the probability of each item given those before it: [n, any] gives [n, any]."""
        return set_log_probabilities(dict(self.weights.items()), rows)

    def roll(self, noise: Tensor) -> Tensor:
        """Return the one-hot rows that are drawn with this Gumbel noise, both [n, length, n_items]."""
        w, rows = self.weights, torch.zeros_like(noise)
        used, state = noise.new_zeros(noise[:, 0].shape), w["start"].expand(len(noise), -1)
        for place in range(noise.shape[1]):
            logits = state.tanh() @ w["out"] + w["bias"] + reference_behaviour.USED * used
            drawn = (logits + noise[:, place]).argmax(-1, keepdim=True)
            rows[:, place].scatter_(1, drawn, 1.0)
            used = used + rows[:, place]
            state = state + w["vectors"][drawn[:, 0]]
        return rows


def example_gradients(
    loss_fn: Callable[[Any, Tensor], Tensor], weights: Weights, examples: Tensor
) -> dict[str, Tensor]:
    """Return each example's own gradient: for a weight of shape [a, ...] a tensor [n, a, ...].

    Parameters
    ----------
    loss_fn
        Maps the weights by name and one example to a tensor that holds one number.
    weights
        Tensors by name.
    examples
        n examples, along the first axis.
    """
    return vmap(grad(loss_fn), in_dims=(None, 0))(dict(weights), examples)


def private_gradient(
    gradients: Weights, noise: Weights, *, clip: float, noise_multiplier: float, batch_size: float
) -> dict[str, Tensor]:
    """Return (sum of the clipped gradients + noise_multiplier clip noise) / batch_size, for each weight.

    Parameters
    ----------
    gradients
        Each example's own gradient, [n, ...] for each weight. They are clipped by their length over all weights.
    noise
        Standard normal numbers of each weight's shape.
    clip
        Largest length of an example's gradient.
    noise_multiplier
        Standard deviation of the noise in units of ``clip``.
    batch_size
        The expected number of examples, which does not depend on who was drawn.

    Notes
    -----
    Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang, "Deep Learning with Differential Privacy", CCS 2016.
    """
    flat = [g.flatten(1) for g in gradients.values()]
    lengths = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in flat]).norm(dim=0)
    factors = (clip / lengths.clamp(min=clip)).unsqueeze(0)
    return {
        name: ((factors @ g).reshape(noise[name].shape) + noise_multiplier * clip * noise[name]) / batch_size
        for (name, g) in zip(gradients, flat, strict=True)
    }


def _loss(weights: Weights, rows: Tensor) -> Tensor:
    return -set_log_probabilities(weights, rows).mean()


def fit_private(
    generator: SetGenerator,
    rows: Any,
    *,
    steps: int,
    clip: float | None = None,
    noise_multiplier: float = 0.0,
    learning_rate: float = 0.01,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Train the generator in place by likelihood with Adam, on batches drawn by Poisson sampling, or with DP-SGD.

    Parameters
    ----------
    generator
        What is trained.
    rows
        Real rows, item ids [n, length]; one row a person.
    steps
        Number of steps.
    clip
        Largest length of a row's gradient; None takes the batch's gradient as it is, without privacy.
    noise_multiplier
        Standard deviation of the noise in units of ``clip``.
    learning_rate
        Of Adam, which sees the noisy gradient only and so costs no privacy.
    batch_size
        Expected number of rows in a batch; each is in it with probability batch_size / n.
    seed
        Seed of batches and noise.

    Returns
    -------
    ndarray
        The number of rows in each step's batch.

    Raises
    ------
    ValueError
        If a setting or the rows cannot be used; the message says what to mend.
    """
    data = tensor(reference_behaviour.check_rows(rows, generator.n_items, length=generator.length))
    reference_behaviour.check_training(rates=(learning_rate,))
    reference.check_private(
        clip=clip, noise_multiplier=noise_multiplier, steps=steps, batch_size=batch_size, n=len(data)
    )
    random = torch.Generator(data.device).manual_seed(seed)
    parameters = dict(generator.weights.items())
    adam = torch.optim.Adam(parameters.values(), learning_rate, fused=data.device.type in ("cpu", "cuda"))
    sizes = []
    with _few_threads(batch_size * max(p.numel() for p in parameters.values())):
        for _ in range(steps):
            drawn = torch.rand(len(data), generator=random, device=data.device) < batch_size / len(data)
            batch = data[drawn]
            sizes.append(len(batch))
            found = _gradient(generator, batch, clip, noise_multiplier, batch_size, random)
            for name, parameter in parameters.items():
                parameter.grad = found[name]
            adam.step()
            adam.zero_grad()
    return np.array(sizes)


def _gradient(
    generator: SetGenerator, batch: Tensor, clip: float | None, sigma: float, size: int, random: torch.Generator
) -> Weights:
    """Return the gradient of one step: of the batch as a whole, or the private one."""
    weights = generator.tensors()
    if clip is None:
        leaves = {name: value.requires_grad_() for name, value in weights.items()}
        if not len(batch):
            return {name: torch.zeros_like(value) for name, value in leaves.items()}
        return dict(zip(leaves, torch.autograd.grad(_loss(leaves, batch), list(leaves.values())), strict=True))
    noise = {name: torch.randn(v.shape, generator=random, device=v.device) for name, v in weights.items()}
    return private_gradient(
        example_gradients(_loss, weights, batch), noise, clip=clip, noise_multiplier=sigma, batch_size=size
    )
