"""Build the learner's notebooks from the lessons: ``advrec build`` and ``advrec build --check``.

``lessons/NN_*.py`` becomes ``notebooks/{track}/NN_*.ipynb`` and an entry per exercise in
``advrec_teach/exercises/solutions.json``. The executed notebooks under ``solutions/`` come from
``advrec run --solutions``; the build says which of them no longer belong to their lesson.

Everything is read, judged and made in memory before the first file is written, and each file is
replaced in one step: a malformed lesson or an interrupted build leaves every notebook whole.
"""

import contextlib
import json
import os
import re
import textwrap
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advrec_teach.course import colab, lessons, notebook, rules
from advrec_teach.course.lessons import Lesson
from advrec_teach.errors import CourseError
from advrec_teach.tracks import TRACKS

if TYPE_CHECKING:
    from nbformat import NotebookNode

SOLUTIONS = Path("advrec_teach") / "exercises" / "solutions.json"


@dataclass
class Report:
    """What a build did, or what a check found. Paths are relative to the root, with ``/``.

    Attributes
    ----------
    lessons
        Stems of the lessons that were built.
    written, unchanged, removed
        Files that the build replaced, left as they were, or removed because their lesson is gone.
    differing
        Only of a check: files that a build would write or remove, each with the reason.
    stale_solutions
        Executed notebooks that are missing or were made from another lesson text, each with the reason.
    """

    lessons: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    stale_solutions: list[str] = field(default_factory=list)
    checked: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing needs to be done; a plain build leaves stale solutions to ``advrec run``."""
        return not self.differing and not (self.checked and self.stale_solutions)

    def lines(self) -> list[str]:
        """Return what to tell the user, one line each."""
        if self.checked:
            lines = [*self.differing, *self.stale_solutions]
            count = f"{len(self.lessons)} lesson{'' if len(self.lessons) == 1 else 's'}"
            return lines or [f"{count}: notebooks and solutions are up to date."]
        lines = [f"wrote {path}" for path in self.written] + [f"removed {path}" for path in self.removed]
        return (lines or ["Every notebook was up to date."]) + self.stale_solutions


def student_notebook(
    path: Path, track: str, *, validate: bool = True, registry: rules.Registry | None = None
) -> "NotebookNode":
    """Return the learner's notebook of a lesson: solutions cleared, no outputs.

    Parameters
    ----------
    path
        The lesson, ``lessons/NN_*.py`` of a checkout.
    track
        ``"pytorch"`` or ``"tensorflow"``.
    validate
        Judge the lesson first (``rules.check``).
    registry
        Gives a lesson's exercises by identifier; the package's own by default.

    Raises
    ------
    LessonError
        If the lesson is malformed.
    CourseError
        If ``track`` is none, or the checkout has no ``[tool.advrec]``.
    """
    return _notebook(path, track, solved=False, validate=validate, registry=registry)


def solved_notebook(
    path: Path, track: str, *, validate: bool = True, registry: rules.Registry | None = None
) -> "NotebookNode":
    """Return the solved notebook of a lesson, ready to be executed; see :func:`student_notebook`."""
    return _notebook(path, track, solved=True, validate=validate, registry=registry)


def build(
    root: Path,
    lessons: Iterable[str] | None = None,
    check: bool = False,
    *,
    registry: rules.Registry | None = None,
) -> Report:
    """Build the notebooks of a checkout, or check that they are up to date.

    Parameters
    ----------
    root
        The checkout.
    lessons
        Numbers or names of the lessons to build; all where None. Only a build of all
        removes notebooks whose lesson is gone.
    check
        Write nothing; the report then lists what differs, and ``report.ok`` is False.
    registry
        Gives a lesson's exercises by identifier; the package's own by default.

    Raises
    ------
    LessonError
        If a lesson is malformed; then nothing is written.
    """
    root = Path(root)
    place = colab.home(root)
    everything = not (wanted := None if lessons is None else list(lessons))
    chosen = _read(root, wanted)
    others = _neighbours(root, chosen)
    assets = _assets(root)
    for lesson in chosen:
        rules.check(lesson, registry=registry, assets=assets, known=set(others))
    report = Report(lessons=[lesson.stem for lesson in chosen], checked=check)
    files: dict[str, str] = {}
    for lesson in chosen:
        for track in TRACKS:
            made = notebook.make(lesson, track, place, solved=False, others=others)
            files[colab.notebook_path(lesson, track)] = notebook.text(made)
            solved = notebook.make(lesson, track, place, solved=True, others=others)
            if reason := _stale(root / "solutions" / track / f"{lesson.stem}.ipynb", solved):
                name, cure = (
                    f"solutions/{track}/{lesson.stem}.ipynb",
                    f"advrec run {lesson.number} --solutions",
                )
                report.stale_solutions.append(f"{name} {reason}; run `{cure}`.")
    files[SOLUTIONS.as_posix()] = _solutions(root, chosen, everything)
    gone = _gone(root, {lesson.stem for lesson in chosen}) if everything else []
    for name, content in files.items():
        _settle(root, name, content, report)
    for name in gone:
        if check:
            report.differing.append(f"{name} has no lesson any more; run `advrec build`.")
        else:
            (root / name).unlink()
            report.removed.append(name)
    return report


def solution_texts(lesson: Lesson) -> dict[str, dict[str, str]]:
    """Return the solution of each exercise, by identifier and track.

    It is the text of the solution regions below the exercise's card, dedented; for an
    exercise without a region, the solution cell.
    """
    found: dict[str, dict[str, str]] = {}
    for track in TRACKS:
        card = None
        for cell in lesson.view(track):
            if cell.kind == "markdown":
                card = next((entry.identifier for entry in lessons.cards(cell.source)), card)
                continue
            parts = []
            if cell.has("solution"):
                parts = [cell.source]
            elif cell.has("exercise"):
                lines = cell.source.split("\n")
                parts = ["\n".join(lines[begin + 1 : end]) for begin, end in lessons.regions(cell.source)]
            for part in parts:
                text = textwrap.dedent(part).strip("\n")
                known = found.setdefault(str(card), {})
                known[track] = f"{known[track]}\n\n{text}" if track in known else text
    return found


def _notebook(
    path: Path, track: str, *, solved: bool, validate: bool, registry: rules.Registry | None
) -> "NotebookNode":
    if track not in TRACKS:
        raise CourseError(f"There is no track {track!r}; choose one of {', '.join(TRACKS)}.")
    path = Path(path).resolve()
    root = path.parent.parent
    lesson = lessons.read(path)
    others = _neighbours(root, [lesson])
    if validate:
        rules.check(lesson, registry=registry, assets=_assets(root), known=set(others))
    return notebook.make(lesson, track, colab.home(root), solved=solved, others=others)


def _read(root: Path, wanted: list[str] | None) -> list[Lesson]:
    return [lessons.read(path) for path in lessons.select(root, wanted)]


def _neighbours(root: Path, chosen: Iterable[Lesson]) -> dict[str, Lesson]:
    """Return the chosen lessons and those that they name as prerequisites, by number."""
    known = {lesson.number: lesson for lesson in chosen}
    wanted = {number for lesson in known.values() for number in lesson.prerequisites} - set(known)
    for path in lessons.find(root):
        if path.stem[:2] in wanted:
            known[path.stem[:2]] = lessons.read(path)
    return known


def _assets(root: Path) -> set[str] | None:
    """Return the names of the data sources, or None where the checkout lists none."""
    try:
        return set(tomllib.loads((root / "data" / "sources.toml").read_text(encoding="utf-8"))) or None
    except FileNotFoundError:
        return None
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"data/sources.toml is no TOML: {error}.") from None


def _stale(path: Path, solved: "NotebookNode") -> str | None:
    """Return why an executed notebook does not belong to its lesson, or None if it does."""
    import nbformat

    try:
        stored = nbformat.read(path, as_version=4)
    except FileNotFoundError:
        return "is missing"
    except Exception as error:  # whatever a damaged file makes the reader raise
        return f"cannot be read ({' '.join(str(error).split())[:80]})"
    if _sources(stored) != _sources(solved):
        return "was made from another text of its lesson"
    return None


def _sources(made: "NotebookNode") -> list[tuple[str, str, tuple[str, ...]]]:
    return [(cell.cell_type, cell.source, tuple(sorted(cell.metadata.get("tags", [])))) for cell in made.cells]


def _solutions(root: Path, chosen: list[Lesson], everything: bool) -> str:
    """Return the text of solutions.json; a build of some lessons keeps the others' entries."""
    entries: dict[str, Any] = {}
    path = root / SOLUTIONS
    numbers = {lesson.number for lesson in chosen}
    if not everything and path.is_file():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise CourseError(f"{SOLUTIONS.as_posix()} is damaged; run `advrec build` without a lesson.") from None
        entries = {key: value for key, value in stored.items() if key.split(".")[0] not in numbers}
    for lesson in chosen:
        entries.update(solution_texts(lesson))
    order = sorted(entries, key=lambda key: tuple(int(part) for part in key.split(".")))
    return json.dumps({key: entries[key] for key in order}, indent=1, ensure_ascii=False) + "\n"


def _gone(root: Path, stems: set[str]) -> list[str]:
    """Return the notebooks, student and executed, that no lesson stands behind."""
    return [
        path.relative_to(root).as_posix()
        for folder in ("notebooks", "solutions")
        for track in TRACKS
        for path in sorted((root / folder / track).glob("*.ipynb"))
        if re.match(r"\d\d_", path.name) and path.stem not in stems
    ]


def _settle(root: Path, name: str, content: str, report: Report) -> None:
    """Write a file whose content differs, or report that it does."""
    path = root / name
    data = content.encode("utf-8")
    stored = path.read_bytes() if path.is_file() else None
    if stored == data:
        report.unchanged.append(name)
    elif report.checked:
        reason = "is missing" if stored is None else "differs from its lesson"
        report.differing.append(f"{name} {reason}; run `advrec build`.")
    else:
        replace(path, data)
        report.written.append(name)


def replace(path: Path, data: bytes) -> None:
    """Write a file in one step: whoever reads it sees the old content or the new one.

    The temporary name depends on the file alone, so what a killed build left behind is used up
    by the next one.

    Raises
    ------
    CourseError
        If the place cannot be written to: no room, no right.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CourseError(f"{path} cannot be written: {error.strerror or error}.") from None
        raise
