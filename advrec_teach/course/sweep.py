"""``advrec sweep``: a lesson over a grid of its parameters, its claims' values in one table."""

import ast
import csv
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advrec_teach.course import console, jobs, lessons, points, store
from advrec_teach.course.jobs import Job
from advrec_teach.errors import CourseError
from advrec_teach.session import PROFILES

_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?\d+))?")
BEFORE = ("lesson", "track")
AFTER = ("claim", "kind", "value", "holds", "seconds", "peak_mb", "status", "message")


def sweep(
    root: Path,
    wanted: str,
    settings: Sequence[str],
    *,
    track: str | None = None,
    profile: str = "quick",
    workers: int | None = None,
    timeout: float | None = None,
    fresh: bool = False,
    cluster: str | None = None,
) -> int:
    """Execute a solved lesson at every point of a grid and write the claims' values.

    The table, ``build/sweep/NN/claims.csv``, has one row per point, track and claim (one without a
    claim for a point that failed) and is rewritten after every execution.

    Parameters
    ----------
    root
        The checkout.
    wanted
        The lesson, by number or name.
    settings
        ``"NAME=values"``; the values are separated by commas, or a range of whole
        numbers ``first:end`` or ``first:end:step``, without its end.
    track
        One track, or None for both.
    profile
        The profile of every point, unless PROFILE is swept.
    workers, timeout, cluster
        As for :func:`advrec_teach.course.run.run`.
    fresh
        Execute again what an earlier sweep has done.

    Returns
    -------
    int
        0 if every execution ended well, else 1.

    Raises
    ------
    CourseError
        If a setting can't be read, or the lesson has no such parameter.
    """
    tracks = jobs.check_tracks(track)
    jobs.check_profile(value=profile)
    path = lessons.select(root, [wanted])[0]
    grid = read_grid(settings)
    for name in tracks:
        check_names(path, name, grid)
    work = []
    for point in itertools.product(*grid.values()):
        parameters = {"PROFILE": profile, **dict(zip(grid, point, strict=True))}
        chosen = jobs.check_profile(value=parameters["PROFILE"])
        for name in tracks:
            work.append(
                Job(
                    path.stem,
                    name,
                    chosen,
                    lesson_file=str(path),
                    parameters=parameters,
                    limit=jobs.check_limit(timeout, chosen),
                )
            )
    place = root / "build" / "sweep" / path.stem[:2]
    table = place / "claims.csv"
    columns = list(dict.fromkeys(["PROFILE", *grid]))

    def write_table(results: dict[str, points.Result]) -> None:
        ordered = [results[job.identity] for job in work if job.identity in results]
        store.write(table, to_csv(ordered, columns))

    results = points.collect(
        root,
        work,
        place / "points",
        workers=workers,
        cluster=cluster,
        fresh=fresh,
        after=write_table,
    )
    failed = [(job, outcome) for job, outcome in results if not outcome.ok]
    for job, outcome in failed:
        print(console.describe(job, outcome))
    count = sum(len(outcome.claims) for _, outcome in results)
    print(
        f"{len(results) - len(failed)} of {len(results)} executions ended well; "
        f"{count} values of claims in {table.relative_to(root)}"
    )
    return 1 if failed else 0


def read_grid(settings: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each parameter, in the order given.

    Raises
    ------
    CourseError
        If a setting is not ``NAME=values``, a name comes twice, or a range is empty.
    """
    if not settings:
        raise CourseError("A sweep needs a parameter: -p NAME=value,value or -p SEED=0:5.")
    grid: dict[str, list[Any]] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier() or not text.strip():
            raise CourseError(f"-p {setting!r} can't be read; write NAME=value,value or NAME=first:end.")
        if name in grid:
            raise CourseError(f"-p names {name} twice.")
        grid[name] = _values(setting, text.strip())
    return grid


def _values(setting: str, text: str) -> list[Any]:
    if found := _RANGE.fullmatch(text):
        first, end, step = int(found[1]), int(found[2]), int(found[3] or 1)
        values: list[Any] = list(range(first, end, step)) if step else []
        if not values:
            raise CourseError(f"-p {setting!r} is an empty range.")
        return values
    try:
        # Python's own reading, so that lists, text in quotes and None work; a single value gets its comma.
        values = list(ast.literal_eval(f"({text},)" if not text.endswith(",") else f"({text})"))
    except (ValueError, SyntaxError):
        values = [_word(part.strip()) for part in text.split(",")]
    if len({repr(value) for value in values}) != len(values):
        raise CourseError(f"-p {setting!r} names a value twice.")
    return values


def _word(text: str) -> Any:
    """Return a number if the text is one, else the text itself, as in PROFILE=smoke,quick."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def check_names(path: Path, track: str, grid: dict[str, list[Any]]) -> None:
    """Check that a lesson has these parameters and that the values are of their kind.

    Raises
    ------
    CourseError
        Naming the first that does not fit and what there is.
    """
    defaults = parameters_of(path, track)
    for name, values in grid.items():
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            raise CourseError(f"{path.stem} has no parameter {name}; its parameters are: {known}.")
        default = defaults[name]
        for value in values:
            if not _fits(value, default):
                raise CourseError(f"{name} of {path.stem} is {default!r} by default; {value!r} is no such value.")
            if name == "PROFILE" and value not in PROFILES:
                jobs.check_profile(value=value)


def _fits(value: Any, default: Any) -> bool:
    if default is None or value is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, int | float):
        return isinstance(value, int | float)
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple)
    return isinstance(value, type(default))


def parameters_of(path: Path, track: str) -> dict[str, Any]:
    """Return the names that the cell tagged ``parameters`` assigns, with their values.

    A value that is computed rather than written down comes back as None.

    Parameters
    ----------
    path
        The lesson's file.
    track
        The track, for a lesson whose parameters differ.
    """
    found: dict[str, Any] = {}
    for cell in lessons.read(path).view(track):
        if not cell.has("parameters"):
            continue
        for statement in ast.parse(cell.source).body:
            if isinstance(statement, ast.Assign):
                targets, value = statement.targets, statement.value
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                targets, value = [statement.target], statement.value
            else:
                continue
            for target in targets:
                if isinstance(target, ast.Name):
                    found[target.id] = _literal(value)
    return found


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def to_csv(results: Sequence[points.Result], parameters: Sequence[str]) -> str:
    """Return the tidy table of a sweep as CSV text.

    Parameters
    ----------
    results
        Jobs with their outcomes.
    parameters
        Names of the columns of parameters.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*BEFORE, *parameters, *AFTER])
    for job, outcome in results:
        before = [job.name, job.track, *(job.parameters[name] for name in parameters)]
        after = [f"{outcome.seconds:.3f}", f"{outcome.peak_mb:.1f}", outcome.status, outcome.message]
        for claim in outcome.claims or [{}]:
            writer.writerow([*before, *(claim.get(name) for name in ("name", "kind", "value", "holds")), *after])
    return buffer.getvalue()
