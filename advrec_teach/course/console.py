"""What a run shows: one progress bar on a terminal, plain lines elsewhere, and a summary table."""

import sys
from collections.abc import Sequence
from typing import Any

from advrec_teach.course.jobs import Job, Outcome


class Console:
    """Progress of a run.

    Parameters
    ----------
    total
        Notebooks to execute.
    quiet
        Whether to show nothing.
    """

    def __init__(self, total: int, *, quiet: bool = False):
        self._total, self._ended, self._quiet = total, 0, quiet
        self._running: dict[str, float] = {}
        self._titles: dict[str, str] = {}
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> "Console":
        if sys.stderr.isatty() and not self._quiet and self._total:
            from rich.console import Console as Screen
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                TextColumn("{task.fields[ended]}/{task.total:.0f} notebooks"),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=Screen(stderr=True),
                transient=True,
            )
            self._task = self._progress.add_task("starting", total=self._total, ended=0)
            self._progress.start()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._progress is not None:
            self._progress.stop()

    def cell(self, job: Job, done: int, total: int) -> None:
        """Note that a cell of a job starts."""
        self._titles[job.identity] = job.title
        self._running[job.identity] = done / max(1, total)
        self._show()

    def end(self, job: Job, outcome: Outcome) -> None:
        """Note that a job has ended."""
        self._running.pop(job.identity, None)
        self._ended += 1
        if self._progress is None:
            if not self._quiet:
                print(f"[{self._ended}/{self._total}] {describe(job, outcome)}", file=sys.stderr, flush=True)
        elif not outcome.ok:
            self._progress.console.print(describe(job, outcome), markup=False, highlight=False)
        self._show()

    def _show(self) -> None:
        if self._progress is not None:
            self._progress.update(
                self._task,
                completed=self._ended + sum(self._running.values()),
                ended=self._ended,
                description=", ".join(sorted(self._titles[identity] for identity in self._running)),
            )


def describe(job: Job, outcome: Outcome) -> str:
    """Return one line on what came of a job."""
    if outcome.ok:
        return f"{job.title}: {outcome.seconds:.1f} s"
    return f"{job.title}: {outcome.status}: {outcome.message}"


def summary(rows: Sequence[tuple[Job, Outcome, bool]]) -> str:
    """Return the table of a run as text.

    Parameters
    ----------
    rows
        Job, outcome, and whether it was kept from an earlier run.
    """
    table = [("lesson", "track", "seconds", "peak MB", "claims held", "")]
    for job, outcome, kept in rows:
        held, total = outcome.held
        judged = f"{held}/{total}" if job.profile != "smoke" else f"{total} shown"
        state = outcome.status if not outcome.ok else ("kept from an earlier run" if kept else "ok")
        if outcome.ok and job.profile != "smoke" and (without := sum(c["holds"] is None for c in outcome.claims)):
            state += f", {without} without a band"
        table.append((job.name, job.track, f"{outcome.seconds:.1f}", f"{outcome.peak_mb:.0f}", judged, state))
    return align(table, right=(2, 3, 4))


def align(table: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Return rows of text as columns, a rule below the first row."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
    return "\n".join(lines)
