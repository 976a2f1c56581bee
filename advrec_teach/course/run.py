"""``advrec run``: execute notebooks in parallel, report on them, keep what came out.

One notebook that fails stops no other. Results are written by this process alone, each
file in one step, so that Ctrl-C leaves nothing half-written.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from advrec_teach.course import console, jobs, lessons, pool, store
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.errors import CourseError

Row = tuple[Job, Outcome, bool]


def run(
    root: Path,
    wanted: Iterable[str] = (),
    *,
    track: str | None = None,
    profile: str | None = None,
    solved: bool = False,
    solutions: bool = False,
    seed: int | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    resume: bool = False,
    html: bool = True,
    strict: bool = True,
    cluster: str | None = None,
) -> int:
    """Execute lessons and print a summary.

    Parameters
    ----------
    root
        The checkout.
    wanted
        Lessons by number or name; all of them if empty.
    track
        One track, or None for both.
    profile
        ``"smoke"``, ``"quick"`` (default) or ``"full"``.
    solved
        Execute the solved notebooks, made from the lessons, instead of ``notebooks/``.
    solutions
        Execute the solved notebooks with their own parameters and, where all claims hold,
        put them into ``solutions/`` with their outputs.
    seed
        Sets SEED; None leaves the lesson's own.
    workers
        Notebooks at once; None for as many as cores and memory allow.
    timeout
        Seconds that one notebook may take; None for the profile's limit.
    resume
        Skip what ran well before with the same source, package, data, pins and parameters.
    html
        Make HTML pages.
    strict
        Stop a notebook at its first claim that does not hold.
    cluster
        Address of a Ray cluster, or None for this machine.

    Returns
    -------
    int
        0 if every notebook ran and every claim that was judged held, else 1.

    Raises
    ------
    CourseError
        If the request makes no sense; nothing has run then.
    """
    if solutions and (seed is not None or profile not in (None, "quick")):
        raise CourseError("--solutions runs with the lessons' own parameters; leave out --seed and --profile.")
    chosen = jobs.check_profile(value=profile or "quick")
    jobs.check_seed(seed)
    work = plan(
        root,
        lessons.select(root, wanted),
        tracks=jobs.check_tracks(track),
        profile=chosen,
        solved=solved or solutions,
        checked=solutions,
        parameters={} if solutions else {"PROFILE": chosen, **({} if seed is None else {"SEED": seed})},
        limit=jobs.check_limit(timeout, chosen),
        html=html,
    )
    count = jobs.workers_for(len(work), workers)
    work = [replace(job, environment=jobs.kernel_environment(jobs.cores() // count, strict=strict)) for job in work]
    work = [replace(job, key=store.key(root, source_of(root, job), job)) for job in work]
    rows = perform(root, work, workers=count, resume=resume, cluster=cluster, solutions=solutions)
    return report(root, rows)


def plan(
    root: Path,
    files: Sequence[Path],
    *,
    tracks: Sequence[str],
    profile: str,
    solved: bool,
    parameters: dict,
    checked: bool = False,
    limit: float,
    html: bool,
) -> list[Job]:
    """Return the jobs of these lessons in both tracks, in the order of the lessons.

    Raises
    ------
    CourseError
        If there is no lesson, or a learner's notebook has not been built.
    """
    if not files:
        raise CourseError(f"There is no lesson in {root / 'lessons'}.")
    work = [
        Job(
            name=path.stem,
            track=track,
            profile=profile,
            solved=solved,
            lesson_file=str(path),
            checked=checked,
            parameters=parameters,
            limit=limit,
            html=html,
        )
        for path in files
        for track in tracks
    ]
    return work if solved else [replace(job, source=source_of(root, job).decode()) for job in work]


def source_of(root: Path, job: Job) -> bytes:
    """Return the committed text that a job is made from."""
    if job.solved:
        assert job.lesson_file is not None
        return Path(job.lesson_file).read_bytes()
    path = root / "notebooks" / job.track / f"{job.name}.ipynb"
    if not path.is_file():
        raise CourseError(f"{path.relative_to(root)} is not there; make it with `advrec build`.")
    return path.read_bytes()


def perform(
    root: Path,
    work: Sequence[Job],
    *,
    workers: int,
    resume: bool = False,
    cluster: str | None = None,
    solutions: bool = False,
) -> list[Row]:
    """Execute the jobs, save what comes of each at once, and return all rows in the jobs' order."""
    rows: dict[str, Row] = {}
    if resume:
        for job in work:
            if (outcome := store.kept(root, job)) is not None and (not solutions or _is_stored(root, job)):
                rows[job.identity] = (job, outcome, True)
    waiting = _longest_first(root, [job for job in work if job.identity not in rows])
    with (
        console.Console(len(waiting)) as screen,
        closing(executed(waiting, workers=workers, cluster=cluster, screen=screen)) as results,
    ):
        for job, outcome in results:
            store.save(root, job, outcome)
            if solutions and outcome.ok:
                outcome = _store_solution(root, job, outcome)
            rows[job.identity] = (job, without_texts(outcome), False)
            screen.end(job, outcome)
    return [rows[job.identity] for job in work]


def executed(
    work: Sequence[Job], *, workers: int, cluster: str | None, screen: console.Console
) -> Generator[tuple[Job, Outcome], None, None]:
    """Execute jobs here or on a cluster, yielding each with its outcome as it ends."""
    if not work:
        return
    if cluster is None:
        jobs.require_frameworks({job.track for job in work})
        with pool.terminable(), closing(pool.execute(work, workers=workers, progress=screen.cell)) as results:
            yield from results
        return
    from advrec_teach.course import cluster as ray_cluster

    with pool.terminable(), closing(ray_cluster.execute(work, address=cluster)) as results:
        yield from results


def without_texts(outcome: Outcome) -> Outcome:
    """Return the outcome without its notebook and page, which are on disk by now."""
    return replace(outcome, notebook=None, page=None)


def _longest_first(root: Path, work: Sequence[Job]) -> list[Job]:
    """Order jobs so that the longest known start first and cores are not left idle at the end."""

    def known(job: Job) -> float:
        stored = store.read_json(store.folder(root, job) / f"{job.name}.json")
        return stored.get("seconds", 0.0) if isinstance(stored, dict) else float("inf")

    return sorted(work, key=known, reverse=True)


def _is_stored(root: Path, job: Job) -> bool:
    from advrec_teach.course import solutions

    return solutions.is_stored(root, job)


def _store_solution(root: Path, job: Job, outcome: Outcome) -> Outcome:
    from advrec_teach.course import solutions

    return solutions.put(root, job, outcome)


def report(root: Path, rows: Sequence[Row]) -> int:
    """Print the summary table and what failed; return the exit code."""
    print(console.summary(rows))
    failed = [(job, outcome) for job, outcome, _ in rows if not outcome.ok]
    if failed:
        print(f"\n{len(failed)} of {len(rows)} notebooks failed:")
        for job, outcome in failed:
            print(f"  {console.describe(job, outcome)}")
    places = sorted({str(store.folder(root, job).relative_to(root)) for job, _, _ in rows})
    print(f"\nExecuted copies: {', '.join(places)}")
    return 1 if failed else 0
