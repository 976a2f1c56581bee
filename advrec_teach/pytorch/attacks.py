"""Perturbations of an input: one signed step, one scaled, many projected, and noise of the same size.

Every attack takes ``loss_fn``, which maps the perturbed input to one number, and ``x``, the input: a
tensor of shape [n, ...] whose first axis counts the examples, or a tuple or list of such tensors, each
then having a ball of its own. The loss is summed or averaged over the examples; sign and length are taken
per example, so either gives the same perturbation. An attack returns ``delta``, nested as ``x``: the
attacked input is ``x + delta``. It changes neither ``x`` nor a parameter nor a parameter's ``.grad``. An
empty batch gives an empty delta. A gradient that is not finite is passed on, so that it can be seen, and
never replaced.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from advrec_teach.pytorch.tensors import Tensors, differentiate, recording, value_and_grad
from advrec_teach.reference import check_ball, check_steps


def _each(function: Callable[..., torch.Tensor], *trees: Any) -> Any:
    """Apply ``function`` to tensors, or place by place to tuples or lists of them."""
    if isinstance(trees[0], torch.Tensor):
        return function(*trees)
    return type(trees[0])(function(*leaves) for leaves in zip(*trees, strict=True))


def _rows(t: torch.Tensor) -> torch.Tensor:
    """Return [n, ...] as [n, m], one row an example; a list of n numbers counts as n examples."""
    if t.ndim == 0:
        raise ValueError("x is a single number; its first axis has to count the examples.")
    return t.unsqueeze(1) if t.ndim == 1 else t.flatten(1)


def _length(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the Euclidean length of each example, shaped so that it divides ``t``, and ``t`` scaled to length 1.

    An example of zeros has length 0 and stays zero.
    """
    shape = (-1,) + (1,) * (t.ndim - 1)
    rows = _rows(t)
    # Divided by its largest entry first: squares of very small entries round to 0, of very large ones to infinity.
    largest = rows.abs().amax(1, keepdim=True)
    rows = rows / torch.where(largest > 0, largest, 1.0)
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    unit = (rows / torch.where(length > 0, length, 1.0)).view_as(t)
    return (largest * length).view(shape), unit


def _sign(t: torch.Tensor) -> torch.Tensor:
    """Return the sign of each entry; unlike ``torch.sign``, what is not a number stays so."""
    # Clamped to 0, only what is not a number is left to add; several times as fast as looking it up with `where`.
    return t.sign().add_(t.clamp(0, 0))


def _direction(t: torch.Tensor, norm: str) -> torch.Tensor:
    """Return the unit step of steepest ascent in the given norm."""
    if norm == "linf" or t.numel() == 0:
        return _sign(t)
    return _length(t)[1]


def _project(t: torch.Tensor, eps: Any, norm: str) -> torch.Tensor:
    """Return the point of the ball that is nearest to ``t``."""
    if norm == "linf" or t.numel() == 0:
        return torch.clamp(t, -eps, eps)
    length, unit = _length(t)
    return torch.where(length > eps, eps * unit, t)


def fgsm_delta(loss_fn: Callable[[Any], torch.Tensor], x: Tensors, *, eps: float) -> Any:
    """Return eps * sign(gradient): every coordinate moves by eps in the direction that raises the loss.

    Goodfellow, Shlens and Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or :func:`value_and_grad` refuses ``loss_fn`` or ``x``.
    """
    eps = check_ball(eps, "linf")
    _, gradient = value_and_grad(loss_fn, x)
    return _each(lambda g: _direction(g, "linf").mul_(eps), gradient)


def fgm_delta(loss_fn: Callable[[Any], torch.Tensor], x: Tensors, *, eps: float) -> Any:
    """Return eps * gradient / ||gradient||_2, the length taken per example (over all axes but the first).

    Miyato, Dai and Goodfellow, "Adversarial Training Methods for Semi-Supervised Text Classification",
    ICLR 2017. An example whose gradient is zero is not moved.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or :func:`value_and_grad` refuses ``loss_fn`` or ``x``.
    """
    eps = check_ball(eps, "l2")
    _, gradient = value_and_grad(loss_fn, x)
    return _each(lambda g: _direction(g, "l2").mul_(eps), gradient)


def random_delta(x: Tensors, *, eps: float, norm: str, generator: torch.Generator | None) -> Any:
    """Return noise of exactly the size of an attack: the control that every attack is compared with.

    Parameters
    ----------
    x
        Input; only its shape, type and device matter.
    eps, norm
        ``"linf"``: every coordinate is eps or -eps, the size of FGSM; ``"l2"``: every example has length
        eps, the size of FGM, in a uniformly random direction.
    generator
        Source of the random numbers, from ``generator(seed)``; None takes PyTorch's own.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or ``norm`` is unknown.
    """
    eps = check_ball(eps, norm)
    return _each(lambda t: eps * _direction(_gaussian(t, generator), norm), x)


def project(delta: Tensors, *, eps: float, norm: str) -> Any:
    """Return the point of the ball of radius eps that is nearest to ``delta``, per example.

    ``"linf"`` clips every coordinate to [-eps, eps]; ``"l2"`` shortens an example that is longer than eps
    to length eps and leaves the others as they are.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or ``norm`` is unknown.
    """
    eps = check_ball(eps, norm)
    return _each(lambda t: _project(t, eps, norm), delta)


def pgd_delta(
    loss_fn: Callable[[Any], torch.Tensor],
    x: Tensors,
    *,
    eps: float,
    step: float,
    steps: int,
    norm: str,
    generator: torch.Generator | None = None,
    compile: bool = False,
) -> Any:
    """Return the perturbation that projected gradient ascent reaches.

    Parameters
    ----------
    loss_fn, x
        As for every attack (see the module).
    eps, norm
        Ball that the perturbation stays in: ``"linf"`` or ``"l2"``.
    step, steps
        Length of one step, in the same norm, and the number of steps.
    generator
        None starts at zero; a generator starts at a point drawn uniformly from the ball.
    compile
        Compile each step with TorchInductor once per loss and shape, and keep the result. The first call takes
        some ten seconds; afterwards a step saves a tenth to a quarter. ``loss_fn`` has to be written in
        operations that ``torch.func.grad`` knows, and mistakes in it come back as PyTorch's own errors.

    Raises
    ------
    ValueError
        If ``eps`` or ``step`` is negative or not finite, ``steps`` is not a whole number from 0, ``norm``
        is unknown, or :func:`value_and_grad` refuses ``loss_fn`` or ``x``.

    Notes
    -----
    delta <- project(delta + step * direction), the direction being the sign of the gradient ("linf") or the
    gradient over its length ("l2"): Madry et al., "Towards Deep Learning Models Resistant to Adversarial
    Attacks", ICLR 2018.
    """
    eps = check_ball(eps, norm)
    step, steps = check_steps(step, steps)
    delta = _each(torch.zeros_like if generator is None else lambda t: _inside(t, eps, norm, generator), x)
    if compile:
        place = (x if isinstance(x, torch.Tensor) else x[0]).device
        radius, size = (torch.tensor(v, device=place) for v in (eps, step))
        with torch.no_grad():
            for _ in range(steps):
                delta = _compiled()(loss_fn, x, delta, radius, size, norm)
        return delta
    gradient = None
    with recording():
        for _ in range(steps):
            _, gradient = differentiate(loss_fn, _each(torch.add, x, delta))
            delta = _each(lambda d, g: _move(d, g, eps, step, norm), delta, gradient)
    if gradient is not None and norm == "linf":
        delta = _each(lambda d, g: d.add_(g.clamp(0, 0)), delta, gradient)
    return delta


def _move(delta: torch.Tensor, gradient: torch.Tensor, eps: float, step: float, norm: str) -> torch.Tensor:
    """Take one step of projected ascent; ``delta`` is overwritten, the gradient may be anybody's."""
    if norm == "linf":
        # torch.sign makes 0 of what is not a number; looked at once, after the last step, it costs nothing.
        return delta.add_(gradient.sign(), alpha=step).clamp_(-eps, eps)
    return _project(delta.add_(_direction(gradient, norm), alpha=step), eps, norm)


@cache
def _compiled() -> Callable[..., Any]:
    """Return the compiled step; its guards see for themselves when a loss or what it reads has changed."""
    return torch.compile(_step)


def _step(
    loss_fn: Callable[[Any], torch.Tensor], x: Any, delta: Any, eps: torch.Tensor, step: torch.Tensor, norm: str
) -> Any:
    """Take one step of projected ascent in the form that the compiler reads: no side effect, no tape."""
    gradient = torch.func.grad(loss_fn)(_each(torch.add, x, delta))

    def move(d: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return _project(d + (step * _direction(g, norm)).to(d.dtype), eps.to(d.dtype), norm)

    return _each(move, delta, gradient)


def _gaussian(t: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Return standard normal draws, shaped as ``t``."""
    return torch.randn(t.shape, generator=generator, dtype=t.dtype, device=t.device)


def _inside(t: torch.Tensor, eps: float, norm: str, generator: torch.Generator | None) -> torch.Tensor:
    """Return draws from the uniform distribution on the ball of each example."""
    if norm == "linf":
        return eps * (2 * torch.rand(t.shape, generator=generator, dtype=t.dtype, device=t.device) - 1)
    if t.numel() == 0:
        return torch.zeros_like(t)
    direction = _rows(_direction(_gaussian(t, generator), "l2"))
    # The volume within radius r grows as r**m in m dimensions: the m-th root of a uniform draw is the radius.
    draw = torch.rand((len(t), 1), generator=generator, dtype=t.dtype, device=t.device)
    return (eps * draw ** (1 / direction.shape[1]) * direction).view_as(t)
