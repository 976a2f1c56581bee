"""Set-up of a TensorFlow notebook: device, seeds, deterministic kernels."""

import os
import random
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from advrec_teach import session, tracks
from advrec_teach.errors import CourseError

if keras.backend.backend() != "tensorflow":
    raise CourseError(
        f"Keras runs on {keras.backend.backend()} in this notebook; restart the kernel and import "
        "advrec_teach.tensorflow before keras."
    )

_device: str | None = None


def _chosen(name: str | None) -> tuple[str, list]:
    """Return the name of the device that the user asked for, else of the best, and the GPUs that it takes.

    ``"cuda"`` means a GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if name is None:
        return ("gpu:0", gpus[:1]) if gpus else ("cpu", [])
    kind, _, index = name.lower().replace("cuda", "gpu").partition(":") if isinstance(name, str) else ("", "", "")
    if kind not in ("cpu", "gpu") or not (index or "0").isdigit():
        raise CourseError(f'There is no device {name!r}; choose "cpu" or "gpu", or leave it out.')
    if kind == "cpu":
        return "cpu", []
    if int(index or 0) >= len(gpus):
        raise CourseError(
            f"TensorFlow finds {len(gpus)} GPUs on this machine, so {name!r} cannot be used; "
            "leave device out to take the best there is."
        )
    return f"gpu:{index or 0}", [gpus[int(index or 0)]]


def _show(gpus: list) -> None:
    """Let TensorFlow see these GPUs and no other, and take their memory as it is needed, not all at once."""
    try:
        if tf.config.get_visible_devices("GPU") != gpus:
            tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            if not tf.config.experimental.get_memory_growth(gpu):
                tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        raise CourseError(
            "TensorFlow has already started with other devices: restart the kernel and run the set-up cell first."
        ) from None


def device() -> str:
    """Return the device that everything is placed on: the visible GPU, else the processor."""
    global _device
    if _device is None:
        _device = "gpu:0" if tf.config.get_visible_devices("GPU") else "cpu"
    return _device


def _threads() -> int:
    """Limit TensorFlow to the threads that the environment grants, and return how many it uses."""
    granted = os.environ.get("TF_NUM_INTRAOP_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    if granted.isdigit() and int(granted) > 0:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(int(granted))
            tf.config.threading.set_inter_op_parallelism_threads(int(granted))
        except RuntimeError:
            pass  # TensorFlow has started and keeps what it started with
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tf.config.threading.get_intra_op_parallelism_threads() or usable


def setup(*, lesson: str | None = None, profile: str = "quick", seed: int = 0, device: str | None = None) -> str:
    """Prepare this notebook: choose the device, fix every seed, ask for deterministic kernels.

    Prints one line that says what was chosen. Of several GPUs TensorFlow sees only the chosen one, and takes
    its memory as it is needed.

    Parameters
    ----------
    lesson
        Two-digit number of the lesson, such as ``"08"``.
    profile
        ``"smoke"``, ``"quick"`` or ``"full"``.
    seed
        Seed of Python, NumPy and TensorFlow, a whole number from 0 to 2**32 - 1.
    device
        ``"cpu"``, ``"gpu"`` (or ``"cuda"``) or ``"gpu:1"``; left out, the best there is.

    Returns
    -------
    str
        Name of the device.

    Raises
    ------
    CourseError
        If profile, lesson or seed is not one of those above, the machine lacks the device, or TensorFlow
        already runs on another.
    """
    global _device
    chosen, gpus = _chosen(device)
    session.begin(lesson, "tensorflow", profile, seed)
    tracks.activate("tensorflow")
    _show(gpus)
    _device = "gpu:0" if gpus else "cpu"  # the only GPU that TensorFlow sees is its first
    threads = _threads()
    random.seed(seed)
    np.random.seed(seed)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    # Recent GPUs round the factors of a float32 product to 10 bits unless told otherwise; float32 means float32 here.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    print(
        f"TensorFlow {tf.__version__} on {chosen}, "
        f"{threads} thread{'' if threads == 1 else 's'}, seed {seed}, profile {profile}"
    )
    return chosen
