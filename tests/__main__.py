"""All tests, in the order in which a failure is cheapest: ``make test`` calls ``python -m tests``.

A step that fails does not keep the later ones from running; the summary at the end names it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
CORES = os.cpu_count() or 1
OFFLINE = ("student notebooks, smoke", "solutions, nbval")


def steps() -> list[tuple[str, list[str]]]:
    """Return the name and the command of every step."""
    pytest = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    workers = ["-n", str(min(CORES, 8))]
    return [
        ("lint", [PYTHON, "-m", "ruff", "check"]),
        ("format", [PYTHON, "-m", "ruff", "format", "--check"]),
        ("types", [PYTHON, "-m", "mypy"]),
        ("data", [PYTHON, "-m", "advrec_teach.course.cli", "data"]),
        ("notebooks are fresh", [PYTHON, "-m", "advrec_teach.course.cli", "build", "--check"]),
        ("tests, PyTorch", [*pytest, *workers, "-m", "not tensorflow", "tests"]),
        ("tests, TensorFlow", [*pytest, *workers, "-m", "tensorflow", "tests"]),
        (
            "student notebooks, smoke",
            [PYTHON, "-m", "advrec_teach.course.cli", "run", "--student", "--profile", "smoke", "--no-html"],
        ),
        (
            "solutions, nbval",
            [
                *pytest,
                *workers,
                *("--dist", "loadfile", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=600"),
                "solutions",
            ],
        ),
    ]


def environment(step: str) -> dict[str, str]:
    """Return the environment of a step: one thread a worker, claims judged, no hub, progress kept apart.

    A step that executes notebooks has no network: what they need has been fetched before.
    """
    offline = [str(ROOT / "tests" / "offline")] if step in OFFLINE else []
    path = os.pathsep.join([*offline, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {
        **os.environ,
        **({"PYTHONPATH": path} if path else {}),
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "ADVREC_STRICT": "1",
        "ADVREC_STATE": str(ROOT / "build" / "test-state"),
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }


def main() -> int:
    """Run the steps named on the command line (by a part of their name), or all; return 1 if one failed."""
    wanted = sys.argv[1:]
    chosen = [step for step in steps() if not wanted or any(word in step[0] for word in wanted)]
    if not chosen:
        print(f"No step is called {' or '.join(wanted)}: {', '.join(name for name, _ in steps())}.", file=sys.stderr)
        return 1
    outcome = []
    for name, command in chosen:
        print(f"--- {name}", flush=True)
        start = time.perf_counter()
        code = subprocess.run(command, cwd=ROOT, env=environment(name)).returncode
        outcome.append((name, time.perf_counter() - start, code))
    print("--- summary")
    for name, seconds, code in outcome:
        print(f"{'ok    ' if code == 0 else 'FAILED'} {seconds:7.1f} s  {name}")
    failed = sum(code != 0 for _, _, code in outcome)
    print(f"{len(outcome) - failed} passed, {failed} failed", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
