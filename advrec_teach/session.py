"""What the running notebook is: its lesson, track, profile and seed."""

from dataclasses import dataclass

from advrec_teach.errors import CourseError

PROFILES = ("smoke", "quick", "full")


@dataclass(frozen=True)
class Session:
    """The notebook that runs in this kernel.

    Attributes
    ----------
    lesson
        Two-digit number of the lesson, or None outside a lesson.
    track
        ``"pytorch"`` or ``"tensorflow"``.
    profile
        ``"smoke"`` proves that the lesson runs, ``"quick"`` teaches on two CPU
        cores, ``"full"`` is the scale of the papers.
    seed
        Seed of all random generators.
    """

    lesson: str | None
    track: str
    profile: str
    seed: int


_current: Session | None = None


def begin(lesson: str | None, track: str, profile: str, seed: int) -> Session:
    """Record the running notebook and return the record.

    Raises
    ------
    CourseError
        If the profile or the lesson is unknown, or the seed is not a whole number from 0.
    """
    global _current
    if profile not in PROFILES:
        raise CourseError(f"PROFILE is {profile!r}; choose one of {', '.join(PROFILES)}.")
    if lesson is not None and not (isinstance(lesson, str) and len(lesson) == 2 and lesson.isdigit()):
        raise CourseError(f'lesson is {lesson!r}; give its two digits as text, such as "08".')
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise CourseError(f"SEED is {seed!r}; choose a whole number from 0 to 4294967295.")
    _current = Session(lesson, track, profile, seed)
    return _current


def current() -> Session | None:
    """Return the record of the running notebook, or None before ``setup``."""
    return _current
