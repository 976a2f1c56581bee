"""Read a lesson: one jupytext ``py:percent`` file, ``lessons/NN_snake_case.py``.

The header of the file says what the cells cannot::

    # ---
    # jupyter:
    #   advrec:
    #     title: How little does it take to break a ranking?
    #     minutes: 25
    #     data: [movielens]
    #     prerequisites: ["01"]
    # ---

``title`` may be left out (the first heading, ``# 08 · ...``, is the title; both must
agree), ``minutes`` is the time a learner needs, ``data`` the assets of
``data/sources.toml`` that the lesson loads, ``prerequisites`` the lessons to do before.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from advrec_teach.errors import CourseError
from advrec_teach.tracks import TRACKS

TAGS = frozenset(
    {
        *TRACKS,
        "both-frameworks",
        "exercise",
        "figure",
        "nbval-ignore-output",
        "parameters",
        "solution",
    }
)

_FILE_NAME = re.compile(r"(\d\d)(_[a-z0-9]+)+\.py")
_HEADING = re.compile(r"#[ \t]+(.*)")
_CARD = re.compile(
    r"^###[ \t]+Exercise[ \t]+(?P<id>\S+)[ \t]+·[ \t]+(?P<title>.+?)[ \t]+·[ \t]+"
    r"(?P<minutes>\d+)[ \t]+min[ \t]+·[ \t]+(?P<stars>\*{1,3})[ \t]*$",
    re.MULTILINE,
)
_SETTINGS = {"title", "minutes", "data", "prerequisites"}


class LessonError(CourseError):
    """A lesson is malformed; the message names the file, the cell and its first line."""


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson as written.

    Attributes
    ----------
    number
        Its place in the lesson file, from 1.
    kind
        ``"markdown"``, ``"code"`` or ``"raw"``.
    source
        Its text, solutions included.
    tags
        Its tags, sorted.
    stray
        What else its ``# %%`` line sets, sorted: nothing of it would reach a notebook.
    """

    number: int
    kind: str
    source: str
    tags: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()

    @property
    def track(self) -> str | None:
        """The only track that the cell belongs to, or None for a cell of both."""
        own = [track for track in TRACKS if track in self.tags]
        return own[0] if len(own) == 1 else None

    @property
    def first_line(self) -> str:
        """The first line that is not blank, cut at 60 characters."""
        line = next((line.strip() for line in self.source.splitlines() if line.strip()), "")
        return line if len(line) <= 60 else line[:59] + "…"

    def has(self, tag: str) -> bool:
        """Tell whether the cell carries ``tag``."""
        return tag in self.tags


@dataclass(frozen=True)
class Card:
    """The heading of an exercise: ``### Exercise 08.1 · the signed step · 10 min · **``."""

    identifier: str
    title: str
    minutes: int
    stars: int


@dataclass(frozen=True)
class Lesson:
    """A lesson as written: its header and its cells."""

    path: Path
    number: str
    cells: tuple[Cell, ...]
    header: dict[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """File name without its ending; the notebooks carry the same name."""
        return self.path.stem

    @property
    def label(self) -> str:
        """The lesson's file as messages name it, such as ``lessons/08_fgsm.py``."""
        return f"{self.path.parent.name}/{self.path.name}"

    @cached_property
    def title(self) -> str:
        """The text of the first heading behind its number, empty where it is missing."""
        first = self.cells[0] if self.cells else None
        if first is None or first.kind != "markdown":
            return ""
        found = _HEADING.match(first.source)
        prefix = f"{self.number} · "
        if found is None or not found[1].startswith(prefix):
            return ""
        return found[1].removeprefix(prefix).strip()

    @property
    def minutes(self) -> int:
        """Minutes that a learner needs."""
        return self.header["minutes"]

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the assets that the lesson loads."""
        return tuple(self.header.get("data", ()))

    @property
    def prerequisites(self) -> tuple[str, ...]:
        """Numbers of the lessons to do before this one."""
        return tuple(self.header.get("prerequisites", ()))

    def view(self, track: str) -> list[Cell]:
        """Return the cells of one track, in order, solutions included."""
        return [cell for cell in self.cells if cell.track in (None, track)]

    def error(self, problem: str, cell: Cell | None = None) -> LessonError:
        """Return the error that says where in the lesson ``problem`` is."""
        if cell is None:
            return LessonError(f"{self.label}: {problem}")
        return LessonError(f"{self.label}, cell {cell.number} ({cell.first_line!r}): {problem}")


def cards(source: str) -> list[Card]:
    """Return the exercise cards in the text of a Markdown cell."""
    return [
        Card(found["id"], found["title"], int(found["minutes"]), len(found["stars"]))
        for found in _CARD.finditer(source)
    ]


def read(path: Path) -> Lesson:
    """Read a lesson file, without judging its cells.

    Raises
    ------
    LessonError
        If the file's name, text or header is not that of a lesson.
    """
    import jupytext

    path = Path(path)
    label = f"{path.parent.name}/{path.name}"
    if not (name := _FILE_NAME.fullmatch(path.name)):
        raise LessonError(f"{label}: a lesson's file is called NN_snake_case.py, such as 08_fgsm.py.")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LessonError(f"{label}: there is no such lesson.") from None
    except UnicodeDecodeError as error:
        raise LessonError(f"{label}: byte {error.start} is not UTF-8; save the file as UTF-8.") from None
    if not re.search(r"^# %%", text, re.MULTILINE):
        raise LessonError(f"{label}: it has no cell; cells start with a line `# %%` or `# %% [markdown]`.")
    try:
        notebook = jupytext.reads(text, fmt={"extension": ".py", "format_name": "percent"})
    except Exception as error:  # jupytext lets the errors of its YAML and JSON readers through
        reason = " ".join(str(error).split())
        raise LessonError(f"{label}: jupytext cannot read it ({reason}).") from None
    cells = tuple(
        Cell(
            number,
            cell.cell_type,
            cell.source,
            tuple(sorted(cell.metadata.get("tags", []))),
            tuple(sorted(set(cell.metadata) - {"tags", "lines_to_next_cell"})),
        )
        for number, cell in enumerate(notebook.cells, start=1)
    )
    header = notebook.metadata.get("advrec")
    lesson = Lesson(path, name[1], cells, header if isinstance(header, dict) else {})
    _check_header(lesson, header)
    return lesson


def _check_header(lesson: Lesson, header: Any) -> None:
    """Refuse a header that is missing, misspelt or holds values of the wrong type."""
    if not isinstance(header, dict):
        raise lesson.error(
            "its header has no `advrec:` section below `jupyter:` (minutes, data, prerequisites), or is no YAML."
        )
    if unknown := sorted(set(header) - _SETTINGS):
        raise lesson.error(f"its header knows {', '.join(sorted(_SETTINGS))}, not {', '.join(map(str, unknown))}.")
    minutes = header.get("minutes")
    if isinstance(minutes, bool) or not isinstance(minutes, int) or minutes < 1:
        raise lesson.error(f"`minutes` in its header is {minutes!r}; give a whole number from 1.")
    for key in ("data", "prerequisites"):
        value = header.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            hint = ' in quotes, such as ["01"]' if key == "prerequisites" else ", such as [movielens]"
            raise lesson.error(f"`{key}` in its header is {value!r}; give a list of names{hint}.")
        if len(set(value)) != len(value):
            raise lesson.error(f"`{key}` in its header names something twice.")
    for number in header.get("prerequisites", []):
        if not re.fullmatch(r"\d\d", number) or number >= lesson.number:
            raise lesson.error(
                f"`prerequisites` in its header holds {number!r}; give numbers of two digits, below {lesson.number}."
            )
    if "title" in header and header["title"] != lesson.title:
        raise lesson.error(
            f"`title` in its header is {header['title']!r}, and its first heading says {lesson.title!r}."
        )


def find(root: Path) -> list[Path]:
    """Return the lesson files below ``root``, in the order of their numbers.

    Raises
    ------
    LessonError
        If a Python file in ``lessons/`` is not named like a lesson, or two lessons
        share a number.
    """
    files = sorted((Path(root) / "lessons").glob("*.py"))
    taken: dict[str, Path] = {}
    for path in files:
        if not (name := _FILE_NAME.fullmatch(path.name)):
            raise LessonError(f"lessons/{path.name}: a lesson's file is called NN_snake_case.py, such as 08_fgsm.py.")
        if other := taken.get(name[1]):
            raise LessonError(f"lessons/{path.name}: lessons/{other.name} already has number {name[1]}.")
        taken[name[1]] = path
    return files


def select(root: Path, wanted: Iterable[str] | None) -> list[Path]:
    """Return the files of the lessons called ``wanted``: numbers, names or file names.

    Raises
    ------
    CourseError
        If one of them does not exist.
    """
    files = find(root)
    if wanted is None or not (names := list(wanted)):
        return files
    chosen = set()
    for name in names:
        key = Path(str(name)).name.removesuffix(".py")
        matches = [path for path in files if key in (path.stem, path.stem[:2]) or key.zfill(2) == path.stem[:2]]
        if not matches:
            known = ", ".join(path.stem for path in files) or "none yet"
            raise CourseError(f"There is no lesson {name!r}; the lessons are: {known}.")
        chosen.update(matches)
    return [path for path in files if path in chosen]


def regions(source: str) -> Iterator[tuple[int, int]]:
    """Yield the line numbers (from 0) of each BEGIN SOLUTION and its END SOLUTION.

    Raises
    ------
    ValueError
        If a marker has no partner, or a region stands inside another.
    """
    begin = None
    for number, line in enumerate(source.split("\n")):
        if "BEGIN SOLUTION" in line:
            if begin is not None:
                raise ValueError("a BEGIN SOLUTION stands inside another")
            begin = number
        elif "END SOLUTION" in line:
            if begin is None:
                raise ValueError("an END SOLUTION has no BEGIN SOLUTION before it")
            yield begin, number
            begin = None
    if begin is not None:
        raise ValueError("a BEGIN SOLUTION has no END SOLUTION after it")
