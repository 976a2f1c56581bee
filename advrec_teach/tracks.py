"""Which track (framework) this kernel works in."""

import sys
from importlib import import_module
from types import ModuleType

from advrec_teach.errors import CourseError

TRACKS = ("pytorch", "tensorflow")
TITLES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}

_active: str | None = None


def activate(name: str) -> None:
    """Make ``name`` the track of this kernel; ``setup`` of either track calls it.

    Raises
    ------
    CourseError
        If ``name`` is not a track.
    """
    global _active
    if name not in TRACKS:
        raise CourseError(f"There is no track {name!r}; choose one of {', '.join(TRACKS)}.")
    _active = name


def current() -> str:
    """Return the active track, or the only one that has been imported.

    Raises
    ------
    CourseError
        If no track was chosen, or both were imported and neither was set up.
    """
    if _active is not None:
        return _active
    imported = [name for name in TRACKS if f"advrec_teach.{name}" in sys.modules]
    if len(imported) == 1:
        return imported[0]
    raise CourseError("No track is set up yet: run the set-up cell at the top of the notebook first.")


def module() -> ModuleType:
    """Return the active track's module, ``advrec_teach.pytorch`` or ``advrec_teach.tensorflow``."""
    return import_module(f"advrec_teach.{current()}")
