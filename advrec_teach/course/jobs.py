"""One execution of a notebook: what is asked for, what came of it, and the environment it runs in.

Nothing here imports a notebook library, so that the command line can plan, resume
and summarise a run without paying for one.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from advrec_teach.errors import CourseError
from advrec_teach.session import PROFILES
from advrec_teach.tracks import TRACKS

OK = "ok"
FAILED = "failed"
CLAIM = "claim failed"
DIED = "kernel died"
LIMIT = "time limit"
LOST = "runner died"

# Seconds that a whole notebook may take before it is stopped, several times what
# the profile promises: this catches what hangs, not what is slow.
LIMITS = {"smoke": 300.0, "quick": 900.0, "full": 12 * 3600.0}

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass(frozen=True)
class Job:
    """One notebook to execute.

    Attributes
    ----------
    name
        File name of the lesson without its ending, ``"08_fgsm"``.
    track, profile
        As in :class:`advrec_teach.session.Session`.
    solved
        Whether it is the solved notebook or the one that a learner opens.
    source
        The notebook's JSON text, or None to build it from ``lesson_file``.
    lesson_file
        Path of the lesson's source, for a solved notebook.
    checked
        Whether the lesson has to keep all rules of the build; one that is being written may not yet.
    parameters
        What papermill sets below the cell tagged ``parameters``; empty injects no cell.
    environment
        Variables of the kernel; None removes one.
    limit
        Seconds that the whole notebook may take.
    html
        Whether an HTML page is made of the executed notebook.
    key
        Hash of everything that decides the result, or an empty string.
    scratch
        Folder for temporary files, or None for the system's.
    """

    name: str
    track: str
    profile: str
    solved: bool = True
    source: str | None = None
    lesson_file: str | None = None
    checked: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str | None] = field(default_factory=dict)
    limit: float = LIMITS["quick"]
    html: bool = False
    key: str = ""
    scratch: str | None = None

    @property
    def lesson(self) -> str:
        """The lesson's two digits."""
        return self.name[:2]

    @property
    def form(self) -> str:
        """``"solved"`` or ``"student"``."""
        return "solved" if self.solved else "student"

    @property
    def identity(self) -> str:
        """What tells this job from every other one of the same call."""
        return json.dumps([self.name, self.track, self.profile, self.form, self.parameters], sort_keys=True)

    @property
    def title(self) -> str:
        """What messages call this job: lesson, track and the parameters that differ between jobs."""
        extra = ", ".join(f"{k}={v}" for k, v in self.parameters.items() if k != "PROFILE")
        return f"{self.name} {self.track}" + (f" ({extra})" if extra else "")

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Return the job that ``to_json`` wrote."""
        return cls(**json.loads(text))


@dataclass
class Outcome:
    """What came of a job.

    Attributes
    ----------
    status
        ``OK``, ``FAILED``, ``CLAIM``, ``DIED``, ``LIMIT`` or ``LOST``.
    message
        One line on what went wrong, empty when nothing did.
    seconds
        Wall-clock seconds from the start of the kernel to its end.
    peak_mb
        Largest resident memory of the kernel and its children, in MB (10^6 bytes).
    claims
        As :func:`advrec_teach.claims.read` returns them.
    notebook, page
        Text of the executed notebook and of its HTML page, as far as there are any.
    """

    status: str
    message: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    claims: list[dict[str, Any]] = field(default_factory=list)
    notebook: str | None = None
    page: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the notebook ran to its end and every claim that was judged held."""
        return self.status == OK

    @property
    def held(self) -> tuple[int, int]:
        """How many claims held, and how many there are."""
        return sum(claim["holds"] is True for claim in self.claims), len(self.claims)

    def to_json(self) -> str:
        """Return the outcome as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """Return the outcome that ``to_json`` wrote."""
        return cls(**json.loads(text))


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def workers_for(count: int, asked: int | None = None) -> int:
    """Return how many notebooks run at once.

    Parameters
    ----------
    count
        Notebooks to run.
    asked
        The learner's ``--jobs``, or None for as many as cores and memory allow
        (2 GB each).

    Raises
    ------
    CourseError
        If ``asked`` is less than one.
    """
    if asked is not None:
        if asked < 1:
            raise CourseError(f"--jobs is {asked}; give 1 or more.")
        return max(1, min(asked, count))
    import psutil

    fits = int(psutil.virtual_memory().available // 2_000_000_000)
    return max(1, min(cores(), count, fits))


def kernel_environment(threads: int, *, record: bool = False, strict: bool = True) -> dict[str, str | None]:
    """Return the variables that a kernel starts with.

    They have to be set before a framework is imported: a kernel that shares the
    machine with another one and keeps all cores spins more than it computes.

    Parameters
    ----------
    threads
        Threads of this kernel.
    record
        Take the claims' values without judging them.
    strict
        Stop at the first claim that does not hold.
    """
    environment: dict[str, str | None] = dict(threads_environment(threads))
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    environment["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    environment["ADVREC_CLAIMS"] = "record" if record else None
    environment["ADVREC_STRICT"] = "1" if strict and not record else None
    if data := os.environ.get("ADVREC_DATA"):
        environment["ADVREC_DATA"] = os.path.abspath(os.path.expanduser(data))
    return environment


def threads_environment(threads: int) -> dict[str, str]:
    """Return the variables that hold a kernel to so many threads, and let threads that wait sleep.

    Where other programs want the cores too, PyTorch's threads otherwise spin while they wait for one that was put
    aside, and a small operation takes ten times as long.
    """
    held = dict.fromkeys(_THREADS, str(max(1, threads)))
    return {**held, "TF_NUM_INTEROP_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``, else raise CourseError."""
    if value not in choices:
        raise CourseError(f"There is no {name} {value!r}; choose one of {', '.join(choices)}.")
    return value


check_profile = partial(check_choice, "profile", choices=PROFILES)
check_track = partial(check_choice, "track", choices=TRACKS)


def check_tracks(track: str | None) -> tuple[str, ...]:
    """Return the one track asked for, or all."""
    return TRACKS if track is None else (check_track(track),)


def check_seed(seed: int | None) -> int | None:
    """Return the seed if it is one, else raise CourseError."""
    if seed is not None and not 0 <= seed < 2**32:
        raise CourseError(f"--seed is {seed}; choose a whole number from 0 to 4294967295.")
    return seed


def check_limit(timeout: float | None, profile: str) -> float:
    """Return the time limit of a notebook in seconds."""
    if timeout is None:
        return LIMITS[profile]
    if not timeout > 0:
        raise CourseError(f"--timeout is {timeout:g}; give more than 0 seconds.")
    return timeout


def require_frameworks(tracks: Iterable[str]) -> None:
    """Check that each track's framework is installed, without importing it.

    Raises
    ------
    CourseError
        Naming the first one that is missing and its extra.
    """
    from importlib.util import find_spec

    for track, module in (("pytorch", "torch"), ("tensorflow", "tensorflow")):
        if track in tracks and find_spec(module) is None:
            other = next(name for name in TRACKS if name != track)
            raise CourseError(
                f"The track {track} needs its framework: pip install 'advrec-teach[{track}]', "
                f"or choose --track {other}."
            )
    if find_spec("papermill") is None or find_spec("psutil") is None:
        raise CourseError("Running notebooks needs papermill: pip install 'advrec-teach[course]'.")
