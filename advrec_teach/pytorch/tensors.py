"""Tensors on the device, and the one seam that every attack uses: ``value_and_grad``."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from advrec_teach.pytorch import _setup

Tensors = torch.Tensor | tuple[torch.Tensor, ...] | list[torch.Tensor]


def tensor(array: Any, dtype: torch.dtype | str | None = None) -> torch.Tensor:
    """Return ``array`` as a tensor on the device that ``setup`` chose.

    Parameters
    ----------
    array
        Anything that NumPy can read, or a tensor.
    dtype
        Type of the entries, such as ``torch.float32`` or ``"float32"``. Left out, floating-point numbers
        become float32, whole numbers int64, and booleans stay booleans.

    Raises
    ------
    ValueError
        If the entries are neither numbers nor booleans, or the rows differ in length.
    """
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype)
    if not isinstance(array, torch.Tensor):
        array = np.asarray(array)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"A tensor holds numbers or booleans, and this array holds {array.dtype}.")
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.astype(np.int64)  # torch computes with few of the unsigned types
        # Never the caller's own memory: a tensor that changes must not change a frozen data set.
        array = torch.from_numpy(np.array(array, order="C"))
    if dtype is None:
        dtype = torch.float32 if array.is_floating_point() else torch.int64
        dtype = torch.bool if array.dtype == torch.bool else dtype
    return array.to(_setup.device(), dtype)


def numpy(t: Any) -> np.ndarray:
    """Return a tensor's entries as a NumPy array in main memory; bfloat16 becomes float32."""
    if not isinstance(t, torch.Tensor):
        return np.asarray(t)
    t = t.detach().cpu()
    return (t.float() if t.dtype == torch.bfloat16 else t).numpy()


def generator(seed: int) -> torch.Generator:
    """Return a random generator on the device, its state fixed by ``seed``."""
    return torch.Generator(_setup.device()).manual_seed(seed)


def _leaf(t: torch.Tensor) -> torch.Tensor:
    """Return ``t`` cut off from whatever computed it, and ready to be differentiated."""
    if not t.is_floating_point():
        raise ValueError(
            "x holds whole numbers (ids), which have no gradient: perturb the vectors that they stand for."
        )
    t = t.detach()
    return (t.clone() if t.is_inference() else t).requires_grad_()


def value_and_grad(loss_fn: Callable[[Any], torch.Tensor], x: Tensors) -> tuple[torch.Tensor, Any]:
    """Return the value of ``loss_fn(x)`` and its gradient with respect to ``x`` alone.

    Parameters
    ----------
    loss_fn
        Maps ``x`` to a tensor that holds one number.
    x
        A tensor of floating-point numbers, or a tuple or list of them, which ``loss_fn`` then gets as its
        one argument.

    Returns
    -------
    value, gradient
        The loss without history, and the gradient, shaped and nested as ``x``. Parameters that ``loss_fn``
        uses keep their ``.grad`` as it was.

    Raises
    ------
    ValueError
        If ``x`` holds whole numbers, the loss is not one number, or the loss does not depend on ``x``.
    """
    with recording():
        return differentiate(loss_fn, x)


def recording() -> AbstractContextManager[Any]:
    """Let PyTorch record what is computed, wherever it was told not to."""
    if torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
        return nullcontext()
    return _recording()


@contextmanager
def _recording() -> Iterator[None]:
    with torch.inference_mode(False), torch.enable_grad():
        yield


def differentiate(loss_fn: Callable[[Any], torch.Tensor], x: Tensors) -> tuple[torch.Tensor, Any]:
    """Do the work of :func:`value_and_grad` for a caller that has opened :func:`recording` for many calls."""
    single = isinstance(x, torch.Tensor)
    inputs: Any = (x,) if single else x
    leaves = [_leaf(t) for t in inputs]
    value = loss_fn(leaves[0] if single else type(x)(leaves))
    if not isinstance(value, torch.Tensor):
        raise ValueError(f"loss_fn returned a {type(value).__name__}; return a tensor that holds one number.")
    if value.numel() != 1:
        raise ValueError(
            f"loss_fn returned shape {tuple(value.shape)}; return one number: sum or average over examples."
        )
    gradients: tuple[Any, ...] = (None,)
    if value.requires_grad:
        gradients = torch.autograd.grad(value, leaves, allow_unused=True)
    if any(g is None for g in gradients):
        raise ValueError("The loss does not depend on x, so it has no gradient: use loss_fn's argument in it.")
    return value.detach().reshape(()), gradients[0] if single else type(x)(gradients)
