"""Many executions of lessons whose claims are wanted as values: what a sweep and bands share.

Every point is one small JSON file below ``build/``, written when it ends and named by the hash
of all that decides it; a point that is there is not executed again.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from advrec_teach.course import console, jobs, run, store
from advrec_teach.course.jobs import Job, Outcome

Result = tuple[Job, Outcome]


def collect(
    root: Path,
    work: Sequence[Job],
    place: Path,
    *,
    workers: int | None,
    cluster: str | None,
    fresh: bool = False,
    after: Callable[[dict[str, Result]], None] = lambda results: None,
) -> list[Result]:
    """Execute solved lessons, recording their claims, and return all outcomes in the jobs' order.

    Parameters
    ----------
    root
        The checkout.
    work
        Jobs without environment and key; these are added here.
    place
        Folder of the points.
    workers
        Notebooks at once, or None.
    cluster
        Address of a Ray cluster, or None.
    fresh
        Execute again what is there.
    after
        Called with the outcomes so far, by :attr:`Job.identity`, after each.
    """
    count = jobs.workers_for(len(work), workers)
    environment = jobs.kernel_environment(jobs.cores() // count, record=True)
    work = [replace(job, environment=environment) for job in work]
    work = [replace(job, key=store.key(root, run.source_of(root, job), job)) for job in work]
    results: dict[str, Result] = {}
    for job in work:
        stored = None if fresh else store.read_json(_file(place, job))
        if isinstance(stored, dict) and stored.get("key") == job.key and stored["status"] == jobs.OK:
            results[job.identity] = (job, store.outcome_of(stored))
    waiting = [job for job in work if job.identity not in results]
    after(results)
    with (
        console.Console(len(waiting)) as screen,
        closing(run.executed(waiting, workers=count, cluster=cluster, screen=screen)) as ended,
    ):
        for job, outcome in ended:
            copy = _file(place, job).with_suffix(".ipynb")
            if outcome.notebook is not None and not outcome.ok:
                store.write(copy, outcome.notebook)  # to see what went wrong
            else:
                copy.unlink(missing_ok=True)
            results[job.identity] = (job, run.without_texts(outcome))
            store.write(_file(place, job), store.dumps(store.record(job, outcome)))
            screen.end(job, outcome)
            after(results)
    if len(waiting) < len(work):
        print(f"{len(work) - len(waiting)} of {len(work)} executions were kept from an earlier call.")
    return [results[job.identity] for job in work]


def _file(place: Path, job: Job) -> Path:
    return place / f"{job.key}.json"
