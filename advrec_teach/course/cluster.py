"""Notebooks on the machines of a Ray cluster.

Each notebook is one Ray task, and Ray starts it again elsewhere when its machine is
lost. Notebooks come back as bytes, so that the machines need no common disk for results;
what they need is this package in the same version, the frameworks and the data.
"""

import logging
import os
import socket
import zlib
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from advrec_teach.course import jobs, pool, store
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.errors import CourseError

# How often Ray starts a notebook again after losing its machine.
RETRIES = 5
# Threads of one notebook, where a machine has that many cores.
THREADS = 2
_CONNECT_SECONDS = 5.0


def execute(work: Sequence[Job], *, address: str) -> Generator[tuple[Job, Outcome], None, None]:
    """Execute jobs on the cluster and yield each with its outcome as it ends, once.

    Closing the generator, or an exception inside it such as KeyboardInterrupt, cancels what runs.

    Parameters
    ----------
    work
        The jobs, in the order in which they are submitted.
    address
        ``"host:port"`` of the head, ``"ray://host:port"``, or ``"auto"`` on a machine of the cluster.

    Raises
    ------
    CourseError
        If Ray is not installed or no cluster answers.
    """
    ray = _connect(address)
    pending: dict[Any, Job] = {}
    try:
        threads, gpus = _share(ray)
        remote = ray.remote(_task)
        for job in work:
            job = replace(_portable(job), environment={**job.environment, **jobs.threads_environment(threads)})
            need = {"num_cpus": threads, "num_gpus": 1 if gpus and job.profile == "full" else 0}
            # Ray's own retries are for lost machines and processes; a failing notebook is a result.
            task = remote.options(**need, max_retries=RETRIES, retry_exceptions=False)
            pending[task.remote(job.to_json(), store.package_stamp())] = job
        while pending:
            # A timeout, so that Ctrl-C is noticed between two results.
            ready, _ = ray.wait(list(pending), num_returns=1, timeout=1)
            for reference in ready:
                job = pending.pop(reference)
                yield replace(job, source=None), _receive(ray, reference)
    finally:
        with pool.uninterrupted():
            for reference in pending:
                ray.cancel(reference, force=True)
            ray.shutdown()


def _task(text: str, stamp: str) -> bytes:
    """Execute one job on the machine that Ray chose; runs there."""
    from advrec_teach.course import worker

    if store.package_stamp() != stamp:
        message = f"{socket.gethostname()} has another version of advrec-teach; install the same everywhere"
        outcome = Outcome(jobs.FAILED, message)
    else:
        outcome = worker.execute(Job.from_json(text))
    return zlib.compress(outcome.to_json().encode(), level=1)


def _receive(ray: ModuleType, reference: Any) -> Outcome:
    try:
        return Outcome.from_json(zlib.decompress(ray.get(reference)).decode())
    except ray.exceptions.RayError as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return Outcome(jobs.LOST, f"{type(error).__name__}: {first}")


def _connect(address: str) -> ModuleType:
    """Join the cluster at ``address`` and return Ray."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise CourseError("--cluster needs Ray: pip install 'advrec-teach[cluster]'.") from None
    _check_reachable(address)
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise CourseError(f"No Ray cluster could be joined at {address!r}: {reason}") from error
    return ray


def _check_reachable(address: str) -> None:
    """Refuse an address that nobody listens at; Ray itself would try for minutes."""
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdigit():
        raise CourseError(f"--cluster is {address!r}; give host:port of the cluster's head, or auto.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise CourseError(f"No Ray cluster answers at {address}: {error}.") from None


def _share(ray: ModuleType) -> tuple[int, bool]:
    """Return the threads that every machine can give a notebook, and whether there are GPUs."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    smallest = min((int(have["CPU"]) for have in machines if have.get("CPU", 0) >= 1), default=0)
    if smallest < 1:
        raise CourseError("The Ray cluster has no machine with a processor to offer.")
    return min(THREADS, smallest), any(have.get("GPU", 0) >= 1 for have in machines)


def _portable(job: Job) -> Job:
    """Return the job with its notebook's text in it: the other machines have no checkout."""
    if job.source is not None:
        return job
    assert job.lesson_file is not None
    return replace(job, source=_solved(job.lesson_file, job.track, job.checked), lesson_file=None)


@cache
def _solved(lesson_file: str, track: str, checked: bool) -> str:
    import nbformat

    from advrec_teach.course import build

    return nbformat.writes(build.solved_notebook(Path(lesson_file), track, validate=checked))
