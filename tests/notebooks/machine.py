"""A checkout whose lessons do what the tests of running need, without a framework or data."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from small_lesson import PYPROJECT

HEADER = """\
# ---
# jupyter:
#   advrec:
#     minutes: 1
#     data: []
#     prerequisites: []
# ---
"""
PARAMETERS = '# %% tags=["parameters"]\nPROFILE = "quick"\nSEED = 0\n'
BEGIN = """
import os
from pathlib import Path

from advrec_teach import claim, session

session.begin("{number}", "pytorch", PROFILE, SEED)
"""


class Machine:
    """A checkout in a folder: lessons, the learner's notebooks, and the command line that works in it."""

    def __init__(self, root: Path):
        self.root = root
        for name in ("lessons/bands", "notebooks/pytorch", "notebooks/tensorflow"):
            (root / name).mkdir(parents=True)
        (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")

    def lesson(self, name: str, *cells: str, parameters: str = PARAMETERS) -> Path:
        """Write a lesson of these code cells."""
        number = name[:2]
        parts = [HEADER, f"# %% [markdown]\n# # {number} · What is asked?\n", parameters]
        parts += [f"# %%{cell if cell.startswith(chr(10)) else chr(10) + cell}\n" for cell in cells]
        path = self.root / "lessons" / f"{name}.py"
        path.write_text("\n".join(parts), encoding="utf-8")
        return path

    def notebook(self, name: str, *cells: str, track: str = "pytorch") -> Path:
        """Write a learner's notebook of these code cells, and a lesson of that name."""
        from nbformat import write
        from nbformat.v4 import new_code_cell, new_notebook

        parameters = new_code_cell('PROFILE = "quick"\nSEED = 0', metadata={"tags": ["parameters"]})
        made = new_notebook(
            cells=[parameters, *map(new_code_cell, cells)],
            metadata={"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}},
        )
        path = self.root / "notebooks" / track / f"{name}.ipynb"
        write(made, path)
        if not (self.root / "lessons" / f"{name}.py").exists():
            self.lesson(name)
        return path

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``advrec`` in this checkout."""
        return subprocess.Popen(
            [sys.executable, "-m", "advrec_teach.course.cli", "--root", str(self.root), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            # A shell that starts the tests in the background lets them, and what they start, ignore the interrupt.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``advrec`` in this checkout to its end."""
        process = self.start(*arguments, **environment)
        try:
            out, err = process.communicate(timeout=240)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def place(self, *parts: str) -> Path:
        """Return a path below ``build/``."""
        return self.root.joinpath("build", *parts)

    def record(self, name: str, *, form: str = "student", track: str = "pytorch", profile: str = "quick") -> dict:
        """Return the record of an execution."""
        return json.loads(self.place("run", profile, form, track, f"{name}.json").read_text(encoding="utf-8"))

    def leftovers(self) -> list[Path]:
        """Return temporary files that were left in the checkout."""
        return [path for path in self.root.rglob("*") if path.suffix in (".part", ".tmp")]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def alive(pids: Sequence[int]) -> list[int]:
    """Return those of the processes that still run."""
    running = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                running.append(pid)
        except psutil.NoSuchProcess:
            continue
    return running
