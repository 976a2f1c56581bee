"""What a lesson must hold to be built; every refusal names the cell.

The rules are judged on the lesson file and, where the two tracks may differ, on
each track's own cells.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from advrec_teach.course import diagrams, exercise_rules
from advrec_teach.course.exercise_rules import Registry
from advrec_teach.course.lessons import TAGS, Cell, Lesson, LessonError, regions
from advrec_teach.tracks import TITLES, TRACKS

MAX_LINES = 30
MIN_CLAIMS = 3

_FRAMEWORK = re.compile(r"\b(?:pytorch|tensorflow|keras)\b|\btorch\.|\btf\.", re.IGNORECASE)
_MODULES = {"pytorch": {"torch"}, "tensorflow": {"tensorflow", "tf", "keras", "keras_hub"}}


def check(
    lesson: Lesson,
    *,
    registry: Registry | None = None,
    assets: Collection[str] | None = None,
    known: Collection[str] | None = None,
) -> None:
    """Refuse a malformed lesson.

    Parameters
    ----------
    lesson
        The lesson as read.
    registry
        Gives the exercises of a lesson's number, by identifier; the package's own by default.
    assets
        Names that the lesson's ``data`` may hold; not judged where None.
    known
        Numbers of the lessons that ``prerequisites`` may name; not judged where None.

    Raises
    ------
    LessonError
        On the first broken rule; the message says how many more there are.
    """
    found = list(problems(lesson, registry=registry, assets=assets, known=known))
    if not found:
        return
    rest = len(found) - 1
    more = f" (and {rest} more problem{'' if rest == 1 else 's'})" if rest else ""
    raise LessonError(f"{found[0]}{more}")


def problems(
    lesson: Lesson,
    *,
    registry: Registry | None = None,
    assets: Collection[str] | None = None,
    known: Collection[str] | None = None,
) -> Iterator[LessonError]:
    """Yield everything that is wrong with a lesson; the parameters are those of :func:`check`."""
    yield from _header(lesson, assets, known)
    sound = True
    for problem in _cells(lesson):
        sound = False
        yield problem
    yield from _parameters(lesson)
    # What follows reads the code as a syntax tree, and the cells of each track.
    if not sound:
        return
    yield from _twins(lesson)
    yield from _frameworks(lesson)
    yield from exercise_rules.problems(lesson, registry or _package_registry)
    yield from _claims(lesson)
    yield from _diagrams(lesson)


def _package_registry(number: str) -> Mapping[str, Any]:
    from advrec_teach.exercises import exercises

    return exercises(number)


def _header(lesson: Lesson, assets: Collection[str] | None, known: Collection[str] | None) -> Iterator[LessonError]:
    first = lesson.cells[0]
    if not lesson.title:
        yield lesson.error(f"the first cell is Markdown and starts with `# {lesson.number} · Title`.", first)
    for name in lesson.data:
        if assets is not None and name not in assets:
            listed = ", ".join(sorted(assets)) or "none"
            yield lesson.error(f"`data` in its header names {name!r}; data/sources.toml lists: {listed}.")
    for number in lesson.prerequisites:
        if known is not None and number not in known:
            yield lesson.error(f"`prerequisites` in its header names {number!r}, and there is no such lesson.")


def _cells(lesson: Lesson) -> Iterator[LessonError]:
    """Rules that one cell can break on its own."""
    for cell in lesson.cells:
        if cell.kind not in ("code", "markdown"):
            yield lesson.error(f"a {cell.kind} cell shows nothing; use a Markdown or a code cell.", cell)
            continue
        if cell.stray:
            yield lesson.error(
                f'the `# %%` line holds more than [markdown] and tags=["..."]: {", ".join(cell.stray)}.', cell
            )
        for tag in cell.tags:
            if tag not in TAGS:
                yield lesson.error(f"unknown tag {tag!r}; the tags are: {', '.join(sorted(TAGS))}.", cell)
        if all(cell.has(track) for track in TRACKS):
            yield lesson.error("a cell of both tracks carries no track's tag; remove both.", cell)
        if not cell.source.strip():
            yield lesson.error("the cell is empty.", cell)
        yield from _solution_markers(lesson, cell)
        if cell.kind == "code":
            yield from _code(lesson, cell)


def _solution_markers(lesson: Lesson, cell: Cell) -> Iterator[LessonError]:
    try:
        found = list(regions(cell.source))
    except ValueError as error:
        yield lesson.error(f"{error}.", cell)
        return
    if cell.has("exercise") and cell.kind != "code":
        yield lesson.error("only code cells carry the tag exercise; a card is known by its heading.", cell)
    if not found:
        return
    if cell.kind != "code":
        yield lesson.error("a solution region stands in a code cell, not in Markdown.", cell)
    elif not cell.has("exercise"):
        yield lesson.error("a solution region stands in a cell tagged exercise.", cell)
    lines = cell.source.split("\n")
    for begin, end in found:
        for number in (begin, end):
            if not re.fullmatch(r"\s*# (BEGIN|END) SOLUTION\s*", lines[number]):
                yield lesson.error(
                    "a solution marker stands alone in its line: # BEGIN SOLUTION, # END SOLUTION.", cell
                )
        if not any(line.strip() for line in lines[begin + 1 : end]):
            yield lesson.error("a solution region is empty.", cell)


def _code(lesson: Lesson, cell: Cell) -> Iterator[LessonError]:
    lines = [line for line in cell.source.split("\n") if not re.search(r"# (BEGIN|END) SOLUTION", line)]
    if len(lines) > MAX_LINES:
        yield lesson.error(f"the cell has {len(lines)} lines, at most {MAX_LINES} are read; split it.", cell)
    if marker := re.search(r"\b(NBVAL|PYTEST_VALIDATE)_[A-Z_]+", cell.source):
        yield lesson.error(f"{marker[0]} steers nbval from inside the code; use the tag nbval-ignore-output.", cell)
    try:
        ast.parse(cell.source)
    except SyntaxError as error:
        bad = cell.source.split("\n")[(error.lineno or 1) - 1].strip()
        if bad.startswith(("%", "!")):
            yield lesson.error(f"line {error.lineno} is a magic command ({bad}); use plain Python.", cell)
        else:
            yield lesson.error(f"line {error.lineno} is no Python: {error.msg} ({bad}).", cell)


def _parameters(lesson: Lesson) -> Iterator[LessonError]:
    found = [cell for cell in lesson.cells if cell.has("parameters")]
    if not found:
        yield lesson.error('no cell is tagged parameters; add one with PROFILE = "quick" and SEED = 0.')
    for cell in found[1:]:
        yield lesson.error(f"cell {found[0].number} is the parameters cell already; keep one.", cell)
    for cell in found[:1]:
        if cell.kind != "code" or cell.track:
            yield lesson.error("the parameters cell is a code cell of both tracks.", cell)
            continue
        values = _literals(cell.source)
        if values is None:
            yield lesson.error("the parameters cell holds nothing but `NAME = value` with plain values.", cell)
        elif values.get("PROFILE") != "quick" or type(values.get("SEED")) is not int or values["SEED"] != 0:
            yield lesson.error('the parameters cell sets PROFILE = "quick" and SEED = 0.', cell)


def _literals(source: str) -> dict[str, Any] | None:
    """Return the values that a cell assigns, or None if it does anything else."""
    values = {}
    try:
        for node in ast.parse(source).body:
            if not isinstance(node, ast.Assign) or len(node.targets) != 1:
                return None
            target = node.targets[0]
            if not isinstance(target, ast.Name) or target.id in values:
                return None
            values[target.id] = ast.literal_eval(node.value)
    except (SyntaxError, ValueError):
        return None
    return values


def _twins(lesson: Lesson) -> Iterator[LessonError]:
    """Refuse a cell of one track that has no twin right beside it."""
    first, second = TRACKS
    cells = list(lesson.cells)
    index = 0
    while index < len(cells):
        cell = cells[index]
        after = cells[index + 1] if index + 1 < len(cells) else None
        if cell.track == second:
            yield lesson.error(f"a {second} cell without its {first} twin right before it.", cell)
        elif cell.track == first:
            if after is None or after.track != second:
                yield lesson.error(f"a {first} cell without its {second} twin right after it.", cell)
            else:
                index += 1
                if (cell.kind, set(cell.tags) - {first}) != (after.kind, set(after.tags) - {second}):
                    yield lesson.error(
                        f"it differs from its twin, cell {cell.number}, in kind or in further tags.",
                        after,
                    )
        index += 1


def _frameworks(lesson: Lesson) -> Iterator[LessonError]:
    for cell in lesson.cells:
        if cell.track is None:
            named = None if cell.has("both-frameworks") else _FRAMEWORK.search(cell.source)
            if named:
                yield lesson.error(
                    f"a cell of both tracks names a framework ({named[0]}); write it without, tag the cell "
                    "pytorch or tensorflow, or tag it both-frameworks if it is about the two.",
                    cell,
                )
                continue
            foreign = set().union(*_MODULES.values())
        else:
            foreign = _MODULES[next(track for track in TRACKS if track != cell.track)]
        if cell.kind == "code" and (used := sorted(_roots(cell.source) & foreign)):
            where = f"a {cell.track} cell" if cell.track else "a cell of both tracks"
            yield lesson.error(f"{where} uses {used[0]}.", cell)


def _roots(source: str) -> set[str]:
    """Return the first parts of all names and imports in the code."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Import):
            names.update(entry.name.split(".")[0] for entry in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def _claims(lesson: Lesson) -> Iterator[LessonError]:
    for track in TRACKS:
        names: dict[str, int] = {}
        compared = 0
        for cell in lesson.view(track):
            calls = claim_calls(cell) if cell.kind == "code" else []
            if calls and not cell.has("nbval-ignore-output"):
                compared += 1
            for name in calls:
                if name is not None and name in names:
                    yield lesson.error(f"cell {names[name]} already makes the claim {name!r}.", cell)
                elif name is not None:
                    names[name] = cell.number
        if compared < MIN_CLAIMS:
            yield lesson.error(
                f"its {TITLES[track]} track has {compared} compared claim cells, and needs {MIN_CLAIMS}: "
                "cells that call claim(...) and are not tagged nbval-ignore-output."
            )


def claim_calls(cell: Cell) -> list[str | None]:
    """Return the name of each claim that a code cell makes, None where the name is computed."""
    found = []
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "claim":
            first = node.args[0] if node.args else None
            name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
            found.append(name)
    return found


def _diagrams(lesson: Lesson) -> Iterator[LessonError]:
    for cell in lesson.cells:
        if cell.kind == "markdown":
            for problem in diagrams.problems(lesson.path.parent, cell.source):
                yield lesson.error(problem, cell)
