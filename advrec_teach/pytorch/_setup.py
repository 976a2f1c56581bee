"""Set-up of a PyTorch notebook: device, seeds, deterministic kernels."""

import os
import random

import numpy as np
import torch

from advrec_teach import session, tracks
from advrec_teach.errors import CourseError

_device: torch.device | None = None


def _best() -> torch.device:
    """Return the fastest kind of device that this machine has."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _named(name: str) -> torch.device:
    """Return the device that the user asked for; ``"gpu"`` means the first CUDA device."""
    text = name.lower().replace("gpu", "cuda") if isinstance(name, str) else name
    try:
        chosen = torch.device(text)
    except (RuntimeError, TypeError):
        raise CourseError(f'There is no device {name!r}; choose "cpu", "cuda" or "mps", or leave it out.') from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise CourseError(
            f"This machine has {torch.cuda.device_count()} CUDA devices, so {name!r} cannot be used; "
            "leave device out to take the best there is."
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise CourseError('This machine has no "mps" device; leave device out to take the best there is.')
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise CourseError(f'The course does not run on {name!r}; choose "cpu", "cuda" or "mps".')
    return chosen


def device() -> torch.device:
    """Return the device that ``setup`` chose, else the best of this machine."""
    global _device
    if _device is None:
        _device = _best()
    return _device


def setup(*, lesson: str | None = None, profile: str = "quick", seed: int = 0, device: str | None = None) -> str:
    """Prepare this notebook: choose the device, fix every seed, ask for deterministic kernels.

    Prints one line that says what was chosen.

    Parameters
    ----------
    lesson
        Two-digit number of the lesson, such as ``"08"``.
    profile
        ``"smoke"``, ``"quick"`` or ``"full"``.
    seed
        Seed of Python, NumPy and PyTorch, a whole number from 0 to 2**32 - 1.
    device
        ``"cpu"``, ``"cuda"`` (or ``"gpu"``), ``"cuda:1"``, ``"mps"``; left out, the best there is.

    Returns
    -------
    str
        Name of the device.

    Raises
    ------
    CourseError
        If profile, lesson or seed is not one of those above, or the machine lacks the device.
    """
    global _device
    chosen = _best() if device is None else _named(device)
    session.begin(lesson, "pytorch", profile, seed)
    tracks.activate("pytorch")
    _device = chosen
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    # cuBLAS reads this when its context is made; it does nothing elsewhere.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling every new tensor with NaN finds reads of unset memory, which is a debugging aid, and costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    # Recent GPUs round the factors of a float32 product to 10 bits unless told otherwise; float32 means float32 here.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    threads = torch.get_num_threads()
    print(
        f"PyTorch {torch.__version__.split('+')[0]} on {chosen}, "
        f"{threads} thread{'' if threads == 1 else 's'}, seed {seed}, profile {profile}"
    )
    return str(chosen)
