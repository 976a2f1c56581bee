"""Notebooks in parallel processes on this machine.

Each of the few worker processes (:mod:`advrec_teach.course.worker`) executes one notebook
after the other. Whatever ends the run, an error or Ctrl-C, no worker and no kernel outlives it.
"""

import json
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from advrec_teach.course import jobs
from advrec_teach.course.jobs import Job, Outcome

# What a worker may take beyond its notebook's limit, to write the HTML page and answer.
_GRACE_SECONDS = 120.0

Progress = Callable[[Job, int, int], None]
Event = tuple["_Worker", dict[str, Any] | None]


class _Worker:
    """One worker process, the thread that reads its events, and the job it has."""

    def __init__(self, events: "queue.SimpleQueue[Event]", scratch: Path):
        self.job: Job | None = None
        self.deadline = float("inf")
        self._log = open(scratch / f"worker-{time.monotonic_ns()}.log", "w+b")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "advrec_teach.course.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._read, args=(events,), daemon=True).start()

    def _read(self, events: "queue.SimpleQueue[Event]") -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            events.put((self, json.loads(line)))
        events.put((self, None))

    def start(self, job: Job) -> None:
        """Hand over the next job."""
        self.job = job
        self.deadline = time.monotonic() + job.limit + _GRACE_SECONDS
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(job.to_json() + "\n")
            self.process.stdin.flush()
        except OSError:
            # It is gone; the reader's end-of-file says so in its turn.
            return

    def last_words(self) -> str:
        """Return the last line that the process wrote about itself."""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit code {self.process.wait()}"

    def kill(self) -> None:
        """End the process and everything it started."""
        if self._log.closed:
            return
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            children = []
        self.process.kill()
        for child in children:
            try:
                child.kill()
            except psutil.Error:
                continue
        self.process.wait()
        self._log.close()


def execute(
    work: Sequence[Job], *, workers: int, progress: Progress = lambda job, done, total: None
) -> Generator[tuple[Job, Outcome], None, None]:
    """Execute jobs and yield each with its outcome as it ends.

    Closing the generator, or an exception inside it such as KeyboardInterrupt, kills what runs.

    Parameters
    ----------
    work
        The jobs, in the order in which they are started.
    workers
        How many run at once.
    progress
        Called with a job, the index of the cell that starts, and the number of cells.
    """
    waiting = deque(work)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    scratch = Path(tempfile.mkdtemp(prefix="advrec-"))
    crew: list[_Worker] = []
    try:
        for _ in range(min(workers, len(waiting))):
            crew.append(_Worker(events, scratch))
        for worker in crew:
            worker.start(replace(waiting.popleft(), scratch=str(scratch)))
        while any(worker.job for worker in crew):
            worker, outcome = _next(events, crew, progress)
            if outcome is None:
                continue
            job, worker.job = worker.job, None
            assert job is not None
            if worker.process.poll() is not None or outcome.status == jobs.LOST:
                crew.remove(worker)
                worker.kill()
                if waiting:
                    worker = _Worker(events, scratch)
                    crew.append(worker)
            if waiting:
                worker.start(replace(waiting.popleft(), scratch=str(scratch)))
            yield replace(job, scratch=None), outcome
    finally:
        with uninterrupted():
            for worker in crew:
                worker.kill()
            shutil.rmtree(scratch, ignore_errors=True)


def _next(
    events: "queue.SimpleQueue[Event]", crew: list[_Worker], progress: Progress
) -> tuple[_Worker, Outcome | None]:
    """Wait for one event and return its worker, with an outcome if its job has ended."""
    while True:
        for worker in crew:
            if worker.job is not None and time.monotonic() > worker.deadline:
                worker.kill()
                return worker, Outcome(jobs.LOST, "its process stopped answering and was ended")
        try:
            worker, event = events.get(timeout=1)
        except queue.Empty:
            continue
        if worker not in crew or worker.job is None:
            continue
        if event is None:
            return worker, Outcome(jobs.LOST, f"its process ended: {worker.last_words()}")
        if "outcome" in event:
            return worker, Outcome.from_json(event["outcome"])
        progress(worker.job, event["done"], event["total"])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait while something is put in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def terminable() -> Iterator[None]:
    """Treat a polite request to end (SIGTERM) like Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
