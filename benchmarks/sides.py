"""Sides of a comparison: one process each, kept alive, asked in turn so that all see the same machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class SideError(RuntimeError):
    """A side failed; the message is its own traceback."""


class Side:
    """A process that runs one of ``runners/*.py`` with a given interpreter.

    Parameters
    ----------
    name
        How tables call it.
    python
        Interpreter of the side's environment.
    runner
        File name below ``runners/``.
    threads
        Threads given to its numerical libraries.
    environment
        Further environment variables.
    """

    def __init__(
        self,
        name: str,
        python: Path | str,
        runner: str,
        *,
        threads: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.threads = threads
        variables = dict(os.environ)
        variables.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        variables["TF_NUM_INTRAOP_THREADS"] = str(threads)
        variables.update({"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONWARNINGS": "ignore"})
        variables.update(environment or {})
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self._folder = tempfile.TemporaryDirectory(prefix="advrec-bench-")
        self._process = subprocess.Popen(
            [str(python), str(HERE / "runners" / runner)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=variables,
            cwd=self._folder.name,
        )

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send one command and wait for its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"command": command, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise SideError(f"{self.name} died before '{command}'\n{self._said()}") from None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise SideError(f"{self.name} died during '{command}', exit status {status}\n{self._said()}")
        answer = json.loads(line)
        if "error" in answer:
            raise SideError(f"{self.name}: '{command}' failed\n{answer['error']}")
        return answer["value"]

    def _said(self, lines: int = 15) -> str:
        self._log.seek(0)
        return "".join(self._log.readlines()[-lines:])

    def close(self) -> None:
        """End the process; a side that does not stop when its input ends is killed."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ours(name: str, runner: str, **settings: Any) -> Side:
    """Start a side that runs in the course's own environment."""
    return Side(name, sys.executable, runner, **settings)


def interleave(calls: Mapping[str, Callable[[], float]], *, rounds: int, pause: float = 0.1) -> dict[str, list[float]]:
    """Ask every side once per round; each round begins with another side.

    The pause lets the last side's waiting threads go to sleep before the next side is timed.
    """
    names = list(calls)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(pause)
            samples[name].append(calls[name]())
    return samples
