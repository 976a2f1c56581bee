"""What a learner calls: JupyterLab with the notebooks, and the state of the exercises."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from advrec_teach import exercises as package
from advrec_teach import paths
from advrec_teach.course import console, jobs
from advrec_teach.errors import CourseError
from advrec_teach.exercises import core, progress
from advrec_teach.tracks import TITLES, TRACKS

# JupyterLab asks the network for news, for its newest version and for extensions; a course need not.
_OFFLINE = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def lab(root: Path, lesson: str | None, track: str, extra: Sequence[str] = ()) -> int:
    """Start JupyterLab in ``notebooks/`` and return its exit code when it ends.

    Parameters
    ----------
    root
        The checkout.
    lesson
        The lesson to open, by number or name, or None.
    track
        The track of that lesson.
    extra
        Arguments for JupyterLab.

    Raises
    ------
    CourseError
        If JupyterLab or the notebook is not there.
    """
    jobs.check_track(value=track)
    if find_spec("jupyterlab") is None:
        raise CourseError("JupyterLab is not installed: pip install 'advrec-teach[course]'.")
    home = root / "notebooks"
    if not home.is_dir():
        raise CourseError("There are no notebooks yet; make them with `advrec build`.")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={home}", *_OFFLINE]
    if lesson is not None:
        command.append(f"--LabApp.default_url=/lab/tree/{_notebook(home, lesson, track)}")
    # A framework whose waiting threads spin is slowed many times by a browser that wants a core.
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    server = subprocess.Popen([*command, *extra], env=environment)
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            continue  # JupyterLab got it as well, and asks whether to stop


def _notebook(home: Path, lesson: str, track: str) -> str:
    """Return the path of a lesson's notebook below the notebooks' folder."""
    from advrec_teach.course import lessons

    path = f"{track}/{lessons.select(home.parent, [lesson])[0].stem}.ipynb"
    if not (home / path).is_file():
        raise CourseError(f"notebooks/{path} is not there; make it with `advrec build`.")
    return path


def progress_table() -> str:
    """Return the state of every exercise in each track as a table.

    An exercise's own title is what a right answer does, so it would give the answer away: the name shown is that of the
    card in the lesson, or where there are no lessons, the title of what is solved already.
    """
    names = _card_titles()
    rows = [("exercise", "title", *(TITLES[track] for track in TRACKS))]
    solved = dict.fromkeys(TRACKS, 0)
    for lesson in _lessons_with_exercises():
        for identifier, entry in core.exercises(lesson).items():
            states = []
            for track in TRACKS:
                record = progress.record_of(track, identifier)
                solved[track] += record["status"] == core.CORRECT
                states.append(_state(record))
            known = any(progress.record_of(track, identifier)["status"] == core.CORRECT for track in TRACKS)
            rows.append((identifier, names.get(identifier, entry.title if known else ""), *states))
    if len(rows) == 1:
        return "There are no exercises."
    counts = ", ".join(f"{TITLES[track]} {solved[track]} of {len(rows) - 1}" for track in TRACKS)
    return f"{console.align(rows)}\n\nSolved: {counts}. Kept in {progress.progress_file()}"


def _card_titles() -> dict[str, str]:
    """Return the titles on the exercise cards of this checkout's lessons, by identifier; none in an installed wheel."""
    root = paths.repository()
    if root is None:
        return {}
    from advrec_teach.course import lessons

    titles = {}
    for path in sorted((root / "lessons").glob("[0-9][0-9]_*.py")):
        # The cards alone: a lesson that is being written need not be whole to be listed.
        text = path.read_text(encoding="utf-8", errors="replace").replace("\n# ", "\n")
        titles.update({card.identifier: card.title for card in lessons.cards(text)})
    return titles


def _lessons_with_exercises() -> list[str]:
    files = Path(package.__file__).parent.glob("lesson_[0-9][0-9].py")
    return sorted(path.stem.removeprefix("lesson_") for path in files)


def _state(record: dict) -> str:
    """Return a record in words: status, then attempts and help where there were any."""
    details = []
    if record["attempts"]:
        details.append(f"{record['attempts']} attempt{'s' if record['attempts'] > 1 else ''}")
    if record["hints"]:
        details.append(f"{record['hints']} hint{'s' if record['hints'] > 1 else ''}")
    if record["solution_seen"]:
        details.append("solution seen")
    return record["status"] + (f" ({', '.join(details)})" if details else "")
