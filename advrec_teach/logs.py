"""Reading TensorBoard event files, whichever framework wrote them."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from advrec_teach.errors import CourseError

Curves = dict[str, tuple[np.ndarray, np.ndarray]]


def keep_tensorflow_out() -> None:
    """Let TensorBoard's package use its own small stand-in for TensorFlow.

    It loads TensorFlow wherever that is installed, unless a module of this name is there; the name is its own switch
    for installations without TensorFlow. Nothing happens where TensorFlow is imported already.
    """
    if "tensorflow" not in sys.modules:
        sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))


def read_events(folder: str | Path) -> dict[str, Curves]:
    """Return the scalar curves of every run under a folder.

    Parameters
    ----------
    folder
        Holds event files, each run in a folder of its own.

    Returns
    -------
    dict
        Name of the run (its path under ``folder``) to its curves: tag to (steps, values), two arrays.

    Raises
    ------
    CourseError
        If there is no event file.
    """
    keep_tensorflow_out()
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, TENSORS, EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    root = Path(folder)
    runs = sorted({path.parent for path in root.rglob("events.out.tfevents.*")})
    if not runs:
        raise CourseError(f"There is no event file under {root}.")
    found: dict[str, Curves] = {}
    for run in runs:
        events = EventAccumulator(str(run), size_guidance={SCALARS: 0, TENSORS: 0})  # 0: keep all of them
        events.Reload()
        curves = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
        # TensorFlow 2 writes a scalar as a tensor without axes.
        for tag in events.Tags()["tensors"]:
            curves[tag] = [(e.step, float(make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
        name = run.relative_to(root).as_posix()
        found[name] = {
            tag: (np.array([step for step, _ in points]), np.array([value for _, value in points]))
            for tag, points in sorted(curves.items())
        }
    return found
