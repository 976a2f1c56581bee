"""The process that executes notebooks, one after the other, with papermill.

It imports the notebook libraries once (about a second and a half) and keeps them.
Jobs come in as lines of JSON on standard input, events go out as lines of JSON on
standard output; when standard input closes, the process ends and takes its kernel with it.
A Ray task calls :func:`execute` directly.
"""

import json
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.log import logger
from traitlets.config import Config

from advrec_teach import claims
from advrec_teach.course import jobs
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.course.watch import Watch, kill

Notify = Callable[[int, int], None]

# A Unix socket's path may not be longer than about 104 bytes.
_LONGEST_SOCKET = 100
# A busy machine now and then fails to start a kernel; that says nothing about the notebook.
_STARTS = 3
_BESIDE = ThreadPoolExecutor(1)


class _Engine(NBClientEngine):
    """papermill's engine, that keeps the notebook when a run breaks off and reports each cell."""

    notebook: Any = None
    position: int | None = None
    notify: Notify = staticmethod(lambda done, total: None)
    watch: Watch | None = None

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, log_output=False, start_timeout=60, **kwargs):
        cls.notebook = nb_man.nb
        begin = nb_man.cell_start

        def cell_start(cell, cell_index=None, **rest):
            cls.position = cell_index
            cls.notify(cell_index, len(nb_man.nb.cells))
            begin(cell, cell_index, **rest)

        nb_man.cell_start = cell_start
        client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            timeout=None,
            log=logger,
            config=_transport(),
        )
        with client.setup_kernel():
            client.reset_execution_trackers()
            client.papermill_execute_cells()
            client.set_widgets_metadata()
            if cls.watch is not None:
                cls.watch.sample()


papermill_engines.register("advrec", _Engine)


def _transport() -> Config:
    """Return the setting for sockets in the file system, where they work: no two kernels pick the same port."""
    # Left alone, the kernel manager puts sockets into the kernel's working folder and its file into the system's.
    sockets = tempfile.mkdtemp(dir=os.environ["JUPYTER_RUNTIME_DIR"])
    manager = {"connection_file": f"{sockets}/c.json"}
    if os.name == "posix" and len(sockets) <= _LONGEST_SOCKET - len("/s-5"):
        manager |= {"transport": "ipc", "ip": f"{sockets}/s"}
    return Config({"KernelManager": manager})


@contextmanager
def _environment(changes: dict[str, str | None]) -> Iterator[None]:
    """Set and remove variables of this process, which its kernel inherits, and put them back."""
    before = {name: os.environ.get(name) for name in changes}
    try:
        _apply(changes)
        yield
    finally:
        _apply(before)


def _apply(changes: dict[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def execute(job: Job, notify: Notify = lambda done, total: None) -> Outcome:
    """Execute one notebook and return what came of it; nothing is written outside a scratch folder.

    Parameters
    ----------
    job
        What to execute.
    notify
        Called with the index of each cell that starts and the number of cells.
    """
    scratch = Path(tempfile.mkdtemp(prefix="advrec-", dir=job.scratch))
    # The learner's own progress, start-up files and history stay out of it.
    private: dict[str, str | None] = {
        "ADVREC_STATE": str(scratch / "state"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "r"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    for folder in ("state", "ipython", "r", "work"):
        (scratch / folder).mkdir()
    # Made while the kernel works and this process waits for it.
    exporter = _BESIDE.submit(_exporter) if job.html else None
    try:
        with _environment({**job.environment, **private}):
            outcome = _execute(job, notify, str(scratch / "work"))
        if exporter is not None and outcome.notebook is not None:
            outcome.page = exporter.result().from_notebook_node(nbformat.reads(outcome.notebook, as_version=4))[0]
        return outcome
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _execute(job: Job, notify: Notify, folder: str) -> Outcome:
    try:
        notebook = _notebook(job)
    except Exception as error:
        return Outcome(jobs.FAILED, _line(error))
    start = time.perf_counter()
    watch = Watch(job.limit)
    watch.start()
    status, message = jobs.OK, ""
    try:
        for attempt in range(1, _STARTS + 1):
            status, message = _attempt(notebook, job, notify, folder, watch)
            kill(watch.kernels())
            if status == jobs.OK or watch.expired or _Engine.position is not None or attempt == _STARTS:
                break
    finally:
        watch.close()
        kill(watch.kernels())
    if watch.expired:
        status, message = jobs.LIMIT, f"stopped after {job.limit:g} s {_where(_Engine.notebook)}"
    outcome = Outcome(status, message, time.perf_counter() - start, watch.peak / 1e6)
    if _Engine.notebook is not None:
        executed = _Engine.notebook
        outcome.claims = claims.read(executed)
        outcome.notebook = nbformat.writes(executed) + "\n"
        if outcome.ok:
            outcome.status, outcome.message = _judge(job, executed, outcome.claims)
    return outcome


def _attempt(notebook: Any, job: Job, notify: Notify, folder: str, watch: Watch) -> tuple[str, str]:
    """Execute the notebook in a new kernel; return status and message."""
    _Engine.notebook, _Engine.position, _Engine.notify, _Engine.watch = None, None, notify, watch
    try:
        papermill.execute_notebook(
            notebook,
            None,
            parameters=job.parameters or None,
            engine_name="advrec",
            progress_bar=False,
            request_save_on_cell_execute=False,
            autosave_cell_every=0,
            cwd=folder,
        )
    except PapermillExecutionError as error:
        return _failure(error)
    except Exception as error:
        return _broken(error)
    return jobs.OK, ""


def _notebook(job: Job) -> Any:
    if job.source is not None:
        return nbformat.reads(job.source, as_version=4)
    from advrec_teach.course import build

    assert job.lesson_file is not None
    make = build.solved_notebook if job.solved else build.student_notebook
    return make(Path(job.lesson_file), job.track, validate=job.checked)


def _failure(error: PapermillExecutionError) -> tuple[str, str]:
    """Return status and message for a cell that raised."""
    text = " ".join(str(error.evalue).split())
    if error.ename == "ClaimFailed":
        return jobs.CLAIM, text
    if error.ename == "CourseError":
        return jobs.FAILED, text
    return jobs.FAILED, f"{error.ename}: {_cut(text)} (in the cell {_opening(error.source)})"


def _broken(error: Exception) -> tuple[str, str]:
    """Return status and message for a run that broke off outside a cell's own code."""
    if type(error).__name__ == "DeadKernelError" or "Kernel died" in str(error):
        return jobs.DIED, _where(_Engine.notebook)
    return jobs.FAILED, _line(error)


def _judge(job: Job, executed: Any, records: list[dict[str, Any]]) -> tuple[str, str]:
    """Return status and message for a notebook whose every cell came back without an error."""
    for cell in executed.cells:
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            # papermill takes sys.exit() for success and leaves the rest of the notebook.
            return jobs.FAILED, f"it ended before the cell {_opening(cell.source)}"
    if job.profile != "smoke" and job.environment.get("ADVREC_CLAIMS") != "record":
        failed = [record["name"] for record in records if record["holds"] is False]
        if failed:
            return jobs.CLAIM, "; ".join(failed)
    return jobs.OK, ""


def _where(notebook: Any) -> str:
    if notebook is None or _Engine.position is None:
        return "before the first cell"
    return f"in the cell {_opening(notebook.cells[_Engine.position].source)}"


def _opening(source: str) -> str:
    """Return the first line of a cell that says something, quoted."""
    lines = [line.strip() for line in source.splitlines()]
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return f"`{_cut(first, 60)}`"


def _cut(text: str, length: int = 200) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _line(error: BaseException) -> str:
    from advrec_teach.errors import CourseError

    text = " ".join(str(error).split())
    return text if isinstance(error, CourseError) else f"{type(error).__name__}: {_cut(text)}"


@cache
def _exporter() -> Any:
    """Return what makes HTML pages, imported and its templates compiled, which takes about a second, once."""
    from nbconvert.exporters.html import HTMLExporter

    exporter = HTMLExporter(template_name="lab")
    exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("0")]))
    return exporter


def main() -> None:
    """Execute the jobs that come in on standard input until it closes."""
    # Whatever else prints, in this process or its kernel, must not get between the events.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # Ctrl-C goes to every process of the terminal; the parent decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    incoming: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            incoming.put(line)
        # The parent closed the pipe, or is gone.
        kill(psutil.Process().children(recursive=True))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()

    def send(**event: Any) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    while True:
        job = Job.from_json(incoming.get())
        outcome = execute(job, lambda done, total: send(done=done, total=total))
        send(outcome=outcome.to_json())


if __name__ == "__main__":
    main()
