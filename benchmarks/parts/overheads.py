"""What the course itself costs: importing the package, and running a notebook through `advrec run`."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks import report
from benchmarks.sides import HERE, interleave
from benchmarks.tables import Verdict, at_most, markdown, ratio, seconds

ROOT = HERE.parent
IMPORT_LIMIT = 0.1
OVERHEAD_LIMIT = 0.10
PROFILE = "smoke"
LESSONS = ("00_start_here", "08_fgsm")
"""A lesson that hardly computes and one that does; timing all of them would take an hour."""
TIMED_IMPORT = (
    "import sys, time; before = set(sys.modules); start = time.perf_counter(); import {module};"
    "print(time.perf_counter() - start, 'torch' in sys.modules or 'tensorflow' in sys.modules)"
)


def import_seconds(module: str) -> float:
    """Import a module in a fresh interpreter and return the seconds; no framework may come with it."""
    command = [sys.executable, "-c", TIMED_IMPORT.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    passed, framework = done.stdout.split()
    if framework == "True":
        raise ValueError(f"import {module} brings a framework with it")
    return float(passed)


def timed(command: Sequence[str], environment: dict[str, str]) -> float:
    """Run a command to its end and return the seconds of the whole process."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    passed = time.perf_counter() - start
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise RuntimeError(f"{' '.join(command[:4])} ... failed\n{tail}")
    return passed


def overhead(through: Sequence[float], bare: Sequence[float]) -> float:
    """The median over the rounds of (seconds through `advrec run` / seconds bare) - 1."""
    return ratio(through, bare).value - 1


def run(*, quick: bool, say=print) -> tuple[str, list[Verdict]]:
    """Measure, print and keep."""
    from advrec_teach.course import jobs

    rounds = 2 if quick else 4
    load = os.getloadavg()[0]
    say("overheads: import")
    imports = interleave(
        {
            "advrec_teach": lambda: import_seconds("advrec_teach"),
            "advrec_teach.course.cli": lambda: import_seconds("advrec_teach.course.cli"),
        },
        rounds=3 if quick else 21,
        pause=0.0,
    )
    median = {name: statistics.median(samples) for name, samples in imports.items()}
    verdicts = [at_most("seconds of `import advrec_teach`", median["advrec_teach"], IMPORT_LIMIT)]
    tables = [
        (
            "Import in a fresh interpreter, no framework loaded",
            markdown(["module", "median"], [[name, seconds(value)] for name, value in median.items()]),
        )
    ]
    rows, figures = [], {"import": imports}
    advrec = [sys.executable, "-m", "advrec_teach.course.cli"]
    threads = {name: str(value) for name, value in jobs.kernel_environment(jobs.cores()).items() if value}
    for track in ("pytorch", "tensorflow"):
        names = LESSONS[:1] if quick else LESSONS
        notebooks = [ROOT / "notebooks" / track / f"{name}.ipynb" for name in names]
        say(f"overheads: {', '.join(names)} in {track}, {rounds} rounds")
        with tempfile.TemporaryDirectory() as folder:
            # The learner's progress stays out of both sides.
            environment = {**os.environ, **threads, "ADVREC_STATE": folder}
            runner = str(HERE / "runners" / "bare_nbclient.py")
            parameters = json.dumps({"PROFILE": PROFILE})
            bare = [sys.executable, runner, folder, parameters, *map(str, notebooks)]
            through = [*advrec, "run", *names, "--track", track, "--profile", PROFILE, "--jobs", "1"]
            samples = interleave(
                {
                    "bare": lambda c=bare, e=environment: timed(c, e),
                    "run": lambda c=through, e=environment: timed(c, e),
                },
                rounds=rounds,
                pause=0.0,
            )
        figures[f"run, {track}"] = {"notebooks": names, "seconds": samples}
        share = overhead(samples["run"], samples["bare"])
        rows.append(
            [
                track,
                str(len(names)),
                *(seconds(statistics.median(samples[name])) for name in ("bare", "run")),
                f"{share:.1%}",
            ]
        )
        verdicts.append(
            at_most(f"overhead of `advrec run` over bare nbclient, {track}, profile {PROFILE}", share, OVERHEAD_LIMIT)
        )
    header = ["track", "notebooks", "bare nbclient", "advrec run", "overhead"]
    tables.append(
        (
            f"The learner's notebooks, profile {PROFILE}, one after the other, from start to end of the process",
            markdown(header, rows),
        )
    )
    text = report.write(
        "overheads",
        title="Overheads of the course itself",
        tables=tables,
        verdicts=verdicts,
        versions={},
        settings={"rounds": rounds, "profile": PROFILE},
        figures=figures,
        quick=quick,
        load_before=load,
    )
    return text, verdicts
