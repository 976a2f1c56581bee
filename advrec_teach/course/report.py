"""The course map in the README: what each lesson asks and what it costs, from measured runs.

``benchmarks/lessons.json`` holds seconds and peak memory of every solved lesson, written by
``advrec run --solutions``; ``advrec map`` puts the table between two markers of ``README.md``.
"""

import platform
import re
from datetime import date
from pathlib import Path
from typing import Any

from advrec_teach.course import jobs, lessons, store
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.errors import CourseError
from advrec_teach.tracks import TITLES, TRACKS

BEGIN = "<!-- course map -->"
END = "<!-- /course map -->"


def costs_file(root: Path) -> Path:
    """Return the path of the measured costs of all lessons."""
    return root / "benchmarks" / "lessons.json"


def note(root: Path, job: Job, outcome: Outcome) -> None:
    """Record what a solved lesson cost, beside what is recorded of the others."""
    path = costs_file(root)
    costs = store.read_json(path) or {}
    _, total = outcome.held
    costs.setdefault(job.name, {})[job.track] = {
        "seconds": round(outcome.seconds, 1),
        "peak_mb": round(outcome.peak_mb),
        "claims": total,
        "threads": int(job.environment.get("OMP_NUM_THREADS") or 0),
        "machine": f"{jobs.cores()} cores, {platform.machine()}",
        "date": date.today().isoformat(),
    }
    store.write(path, store.dumps({name: costs[name] for name in sorted(costs)}))


def course_table(root: Path) -> str:
    """Return the course map as a Markdown table, one row a lesson.

    Raises
    ------
    CourseError
        If a lesson is malformed.
    """
    costs: dict[str, Any] = store.read_json(costs_file(root)) or {}
    lines = [
        "| Lesson | The question | Your time | " + " | ".join(f"Runs in ({TITLES[t]})" for t in TRACKS) + " |",
        "| --- | --- | --- | " + " | ".join("---" for _ in TRACKS) + " |",
    ]
    for path in lessons.find(root):
        lesson = lessons.read(path)
        links = " · ".join(f"[{TITLES[t]}](notebooks/{t}/{lesson.stem}.ipynb)" for t in TRACKS)
        cells = [
            f"**{lesson.number}** {links}",
            lesson.title,
            f"{lesson.minutes} min",
            *(_cost(costs.get(lesson.stem, {}).get(track)) for track in TRACKS),
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _cost(measured: dict[str, Any] | None) -> str:
    """Return seconds and memory in two significant digits, a dash where nothing was measured."""
    if not measured:
        return "–"
    seconds, memory = measured["seconds"], measured["peak_mb"] / 1000
    time = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
    return f"{time}, {memory:.1f} GB"


def _with_table(root: Path) -> tuple[str, str]:
    """Return the README as it is, and as it has to be."""
    try:
        text = (root / "README.md").read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(f"README.md can't be read: {error.strerror}.") from error
    pattern = re.compile(rf"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise CourseError(f"README.md needs the two lines {BEGIN} and {END}, once.")
    table = f"{BEGIN}\n\n{course_table(root)}\n\n{END}"
    return text, pattern.sub(lambda _: table, text)


def readme_is_current(root: Path) -> bool:
    """Tell whether the README's course map is what the lessons and measurements give."""
    text, wanted = _with_table(root)
    return text == wanted


def write_map(root: Path) -> bool:
    """Put the course map into the README; return whether that changed anything."""
    text, wanted = _with_table(root)
    if text != wanted:
        store.write(root / "README.md", wanted)
    return text != wanted
