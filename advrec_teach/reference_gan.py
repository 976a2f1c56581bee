"""The truth about generative adversarial networks, in NumPy float64.

Both tracks are tested against these functions, and exercises are judged by them.
A *logit* s is what a discriminator returns; its probability "real" is
D = sigmoid(s). A *critic* returns a score without any such meaning.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach.reference import check_count

KINDS = ("minimax", "non-saturating", "wasserstein")

Array = NDArray[np.float64]


def _softplus(x: ArrayLike) -> Array:
    """Return log(1 + exp(x)) without overflow."""
    return np.logaddexp(0.0, np.asarray(x, dtype=np.float64))


def _sigmoid(x: ArrayLike) -> Array:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return np.exp(-_softplus(-np.asarray(x, dtype=np.float64)))


def check_kind(kind: str) -> None:
    """Raise a ValueError that lists the kinds if ``kind`` is not one of :data:`KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")


# --- losses


def discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike, *, smoothing: float = 0.0) -> float:
    """Return the discriminator's loss, -mean log D(x) - mean log(1 - D(G(z))).

    Goodfellow et al. (2014), equation 1, with the sign of a loss. With logits, -log D = softplus(-s) and
    -log(1 - D) = softplus(s): neither is ever infinite. With one-sided label smoothing (Salimans et al.,
    2016) the label of a real sample is 1 - smoothing, and its loss -(1 - smoothing) log D - smoothing log(1 - D).
    """
    real = np.asarray(real_logits, dtype=np.float64)
    on_real = (1 - smoothing) * _softplus(-real) + smoothing * _softplus(real)
    return float(np.mean(on_real) + np.mean(_softplus(fake_logits)))


def generator_loss(fake_logits: ArrayLike, *, kind: str = "non-saturating") -> float:
    """Return the generator's loss for the logits (or critic's scores) of its samples.

    Parameters
    ----------
    fake_logits
        Logits or scores of fake samples, any shape.
    kind
        ``"minimax"``: mean log(1 - D), Goodfellow et al. (2014), equation 1;
        ``"non-saturating"``: -mean log D, the same paper, section 3;
        ``"wasserstein"``: -mean score, Arjovsky et al. (2017), equation 2.

    Raises
    ------
    ValueError
        If ``kind`` is none of these.
    """
    check_kind(kind)
    fake = np.asarray(fake_logits, dtype=np.float64)
    if kind == "minimax":
        return float(-np.mean(_softplus(fake)))
    if kind == "non-saturating":
        return float(np.mean(_softplus(-fake)))
    return float(-np.mean(fake))


def generator_gradient(fake_logits: ArrayLike, *, kind: str = "non-saturating") -> Array:
    """Return the derivative of one sample's generator loss with respect to its logit.

    It is -D (minimax), -(1 - D) (non-saturating) or -1 (Wasserstein); the shape is that of ``fake_logits``.

    Raises
    ------
    ValueError
        If ``kind`` is not one of :data:`KINDS`.
    """
    check_kind(kind)
    fake = np.asarray(fake_logits, dtype=np.float64)
    if kind == "minimax":
        return -_sigmoid(fake)
    if kind == "non-saturating":
        return -_sigmoid(-fake)
    return -np.ones_like(fake)


def critic_loss(real_scores: ArrayLike, fake_scores: ArrayLike) -> float:
    """Return mean score(fake) - mean score(real); Arjovsky et al. (2017), equation 2, as a loss."""
    return float(np.mean(np.asarray(fake_scores)) - np.mean(np.asarray(real_scores)))


def slope_penalty(slopes: ArrayLike) -> float:
    """Return mean (norm - 1)^2 over the critic's input gradients; Gulrajani et al. (2017), equation 3.

    Parameters
    ----------
    slopes
        One gradient an example, shape (n, ...); the norm is taken per example.
    """
    slopes = np.asarray(slopes, dtype=np.float64)
    norms = np.linalg.norm(slopes.reshape(len(slopes), -1), axis=1)
    return float(np.mean((norms - 1.0) ** 2))


def accuracy(real_logits: ArrayLike, fake_logits: ArrayLike) -> float:
    """Return the mean of two shares: of real samples called real (s > 0), and of fakes called fake (s < 0)."""
    return float((np.mean(np.asarray(real_logits) > 0) + np.mean(np.asarray(fake_logits) < 0)) / 2)


def power_iteration(weights: ArrayLike, u: ArrayLike, *, steps: int = 1) -> tuple[float, Array]:
    """Return an estimate of the largest singular value of a matrix, and the vector to go on from.

    Miyato et al. (2018), algorithm 1: v = W u / |W u|, u = W^T v / |W^T v|, and the value is v^T W u.

    Parameters
    ----------
    weights
        Matrix W, shape (n, m).
    u
        Start, shape (m, 1), not zero.
    steps
        Iterations, from 1.
    """
    matrix, right = np.asarray(weights, dtype=np.float64), np.asarray(u, dtype=np.float64)
    for _ in range(steps):
        left = matrix @ right / np.linalg.norm(matrix @ right)
        right = matrix.T @ left / np.linalg.norm(matrix.T @ left)
    return float((left.T @ matrix @ right)[0, 0]), right


# --- densities and distances


def gaussian(x: ArrayLike, mean: float, std: float) -> Array:
    """Return the density of N(mean, std^2) at ``x``."""
    z = (np.asarray(x, dtype=np.float64) - mean) / std
    return np.exp(-0.5 * z**2) / (std * np.sqrt(2.0 * np.pi))


def optimal_discriminator(p: ArrayLike, q: ArrayLike) -> Array:
    """Return D*(x) = p / (p + q), the best answer where real has density p and fake has density q.

    Goodfellow et al. (2014), proposition 1. Where both densities are zero any answer is as good: 1/2.
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    total = p + q
    return np.divide(p, total, out=np.full(np.shape(total), 0.5), where=total > 0)


def js_divergence(p: ArrayLike, q: ArrayLike, dx: float) -> float:
    """Return the Jensen-Shannon divergence of two densities on one evenly spaced grid, in nats.

    It is KL(p, m) / 2 + KL(q, m) / 2 with m = (p + q) / 2, lies between 0 and log 2, and with the best
    discriminator the minimax game's value is 2 JS - 2 log 2 (Goodfellow et al., 2014, theorem 1).

    Parameters
    ----------
    p, q
        Densities at the same points, shape (n,).
    dx
        Distance of neighbouring points.
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    m = (p + q) / 2.0

    def kl(a: Array) -> float:
        inside = a > 0  # 0 log 0 = 0
        return float(np.sum(a[inside] * np.log(a[inside] / m[inside])) * dx)

    return kl(p) / 2.0 + kl(q) / 2.0


def wasserstein_1d(x: ArrayLike, y: ArrayLike) -> float:
    """Return the Wasserstein-1 (earth mover's) distance of two samples on the line.

    It is the area between their distribution functions, in the unit of x; for samples
    of equal size the mean distance of the sorted values. The sizes may differ.
    """
    x, y = np.sort(np.ravel(x).astype(np.float64)), np.sort(np.ravel(y).astype(np.float64))
    points = np.sort(np.concatenate([x, y]))
    below_x = np.searchsorted(x, points[:-1], side="right") / len(x)
    below_y = np.searchsorted(y, points[:-1], side="right") / len(y)
    return float(np.sum(np.abs(below_x - below_y) * np.diff(points)))


# --- the toy problem in the plane


def ring_centres(*, modes: int = 8, radius: float = 2.0) -> Array:
    """Return the centres of ``modes`` clusters on a circle, shape (modes, 2)."""
    angles = 2.0 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def modes_covered(samples: ArrayLike, centres: ArrayLike, *, radius: float, minimum: int) -> int:
    """Return how many centres have at least ``minimum`` samples within ``radius``.

    Parameters
    ----------
    samples
        Points, shape (n, d).
    centres
        Where the real clusters are, shape (modes, d).
    radius
        Largest distance of a sample that belongs to a cluster.
    minimum
        Samples that a cluster needs to count as covered.
    """
    return int(np.sum(np.sum(_distances(samples, centres) <= radius, axis=0) >= minimum))


def share_near_modes(samples: ArrayLike, centres: ArrayLike, *, radius: float) -> float:
    """Return the share of the samples that lie within ``radius`` of some centre."""
    return float(np.mean(np.min(_distances(samples, centres), axis=1) <= radius))


def _distances(samples: ArrayLike, centres: ArrayLike) -> Array:
    """Return the Euclidean distances, shape (n, modes)."""
    difference = np.asarray(samples, dtype=np.float64)[:, None] - np.asarray(centres, dtype=np.float64)
    return np.linalg.norm(difference, axis=2)


# --- a multilayer perceptron


def mlp_weights(sizes: Sequence[int], *, seed: int = 0) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return the first weights of a perceptron: the same in both tracks for the same seed.

    Parameters
    ----------
    sizes
        Width of the input, of every hidden layer and of the output.
    seed
        Seed of the random numbers.

    Returns
    -------
    list of (weights, bias)
        Shapes (sizes[i], sizes[i + 1]) and (sizes[i + 1],), float32. Weights are Glorot uniform (Glorot and
        Bengio, 2010), biases uniform within 1 / sqrt(sizes[i]), so that the kinks of a
        rectifier on the line do not all lie at zero.

    Raises
    ------
    ValueError
        If there are fewer than two sizes or one is not positive.
    """
    if len(sizes) < 2 or any(size < 1 for size in sizes):
        raise ValueError(f"sizes is {list(sizes)}; give at least an input and an output width, each from 1.")
    rng = np.random.default_rng(seed)
    layers = []
    for wide, narrow in pairwise(sizes):
        bound = np.sqrt(6.0 / (wide + narrow))
        weights = rng.uniform(-bound, bound, (wide, narrow)).astype(np.float32)
        bias = rng.uniform(-1.0, 1.0, narrow).astype(np.float32) / np.float32(np.sqrt(wide))
        layers.append((weights, bias))
    return layers


def check_fit_gan(
    loss: object,
    *,
    steps: int,
    batch_size: int,
    noise_dim: int,
    discriminator_steps: int,
    penalty: float,
    clip: float | None,
    every: int | None,
) -> None:
    """Raise a ValueError that says what to mend if ``fit_gan`` cannot run with these settings."""
    if isinstance(loss, str):
        check_kind(loss)
    elif not (isinstance(loss, tuple) and len(loss) == 2 and all(callable(part) for part in loss)):
        raise ValueError(
            f"loss is {loss!r}; give one of {', '.join(KINDS)}, or a pair of functions "
            "(discriminator_loss(real, fake), generator_loss(fake))."
        )
    counts = {
        "steps": steps,
        "batch_size": batch_size,
        "noise_dim": noise_dim,
        "discriminator_steps": discriminator_steps,
        "every": 1 if every is None else every,
    }
    for name, value in counts.items():
        check_count(name, value)
    if penalty < 0:
        raise ValueError(f"penalty is {penalty!r}; give its weight, 0 for none.")
    if clip is not None and clip <= 0:
        raise ValueError(f"clip is {clip!r}; give a positive bound, or None for no clipping.")
