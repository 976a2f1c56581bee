"""``advrec run``: parallel kernels, failures by name, limits, Ctrl-C, what is kept and what is run again."""

import json
import os
import signal
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from machine import BEGIN, Machine, alive, wait_for

from advrec_teach.course import jobs, pool, run, solutions, store
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.errors import CourseError


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "checkout")


def outputs(path: Path) -> str:
    """Return the text that an executed notebook printed."""
    notebook = nbformat.read(path, as_version=4)
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


def meet(own: Path, other: Path) -> str:
    """Return a cell that ends only when the cell of another notebook runs at the same time."""
    return (
        f"import os, time\nfrom pathlib import Path\nPath({str(own)!r}).write_text(str(os.getpid()))\n"
        f"end = time.monotonic() + 60\nwhile not Path({str(other)!r}).exists():\n"
        "    assert time.monotonic() < end\n    time.sleep(0.05)"
    )


class TestParallel:
    def test_two_notebooks_run_at_once_each_with_its_share_of_the_machine(self, machine, tmp_path, monkeypatch):
        names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
        names += ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_CPP_MIN_LOG_LEVEL"]
        names += ["MPLBACKEND", "ADVREC_STRICT", "ADVREC_CLAIMS", "ADVREC_STATE", "OMP_WAIT_POLICY"]
        show = f"import os\nfor name in {names}: print(name, os.environ.get(name))\nprint(os.listdir())"
        a, b = tmp_path / "a", tmp_path / "b"
        machine.notebook("90_first", meet(a, b), show)
        machine.notebook("91_second", meet(b, a), show)
        for name in (*names, "ADVREC_CLAIMS"):
            monkeypatch.setenv(name, "of the caller")
        code = run.run(machine.root, track="pytorch", workers=2, html=False)
        assert code == 0
        assert a.read_text() != b.read_text()
        shown = outputs(machine.place("run/quick/student/pytorch/90_first.ipynb")).splitlines()
        got = dict(line.split(" ", 1) for line in shown[:-1])
        share = str(max(1, jobs.cores() // 2))
        assert [got[name] for name in names[:4]] == [share] * 4
        assert got["TF_NUM_INTEROP_THREADS"] == "1"
        assert got["OMP_WAIT_POLICY"] == "PASSIVE"
        assert got["TF_CPP_MIN_LOG_LEVEL"] == "3"
        assert got["MPLBACKEND"] == "module://matplotlib_inline.backend_inline"
        assert got["ADVREC_STRICT"] == "1"
        assert got["ADVREC_CLAIMS"] == "None"
        assert not Path(got["ADVREC_STATE"]).exists()  # it was a scratch folder, gone by now
        assert shown[-1] == "[]"  # its working folder was its own, and empty

    def test_workers_are_limited_by_the_request_the_work_and_the_memory(self, monkeypatch):
        monkeypatch.setattr(jobs, "cores", lambda: 8)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 6.5e9})())
        assert jobs.workers_for(20) == 3
        assert jobs.workers_for(2) == 2
        assert jobs.workers_for(20, asked=5) == 5
        assert jobs.workers_for(2, asked=5) == 2
        monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1e8})())
        assert jobs.workers_for(20) == 1
        with pytest.raises(CourseError, match="--jobs is 0"):
            jobs.workers_for(20, asked=0)


class TestFailures:
    def test_each_is_named_and_none_stops_another(self, machine, capsys):
        machine.notebook("90_dead", "import os", "os._exit(3)", "1")
        machine.notebook("91_hangs", "import time", "while True:\n    time.sleep(0.1)")
        machine.notebook("92_raises", "numbers = [1]", "numbers[7]")
        machine.notebook("93_claims", BEGIN.format(number="93"), 'claim("water runs uphill", False)', "1")
        machine.notebook("94_leaves", "import sys\nsys.exit(0)", "print('not reached')")
        machine.notebook(
            "95_missing_data", "from advrec_teach.errors import CourseError", 'raise CourseError("Run this.")'
        )
        machine.notebook("96_fine", BEGIN.format(number="96"), 'claim("water runs downhill", True)')
        code = run.run(machine.root, track="pytorch", timeout=12, workers=2)
        text = capsys.readouterr().out
        assert code == 1
        status = {name: machine.record(name)["status"] for name in ("90_dead", "91_hangs", "92_raises", "93_claims")}
        assert status == {
            "90_dead": "kernel died",
            "91_hangs": "time limit",
            "92_raises": "failed",
            "93_claims": "claim failed",
        }
        assert "90_dead pytorch: kernel died: in the cell `os._exit(3)`" in text
        assert "91_hangs pytorch: time limit: stopped after 12 s in the cell `while True:`" in text
        assert "92_raises pytorch: failed: IndexError: list index out of range (in the cell `numbers[7]`)" in text
        assert "93_claims pytorch: claim failed: water runs uphill: this did not hold in this run" in text
        assert "94_leaves pytorch: failed: it ended before the cell `print('not reached')`" in text
        assert "95_missing_data pytorch: failed: Run this.\n" in text
        assert "6 of 7 notebooks failed:" in text
        row = next(line for line in text.splitlines() if line.startswith("96_fine"))
        assert row.split()[4:] == ["1/1", "ok"]
        fine = machine.record("96_fine")
        assert fine["claims"] == [{"name": "water runs downhill", "kind": "direction", "value": True, "holds": True}]
        # What a failed notebook had shown until then is kept, to be looked at.
        assert "water runs uphill" in machine.place("run/quick/student/pytorch/93_claims.html").read_text()
        assert machine.leftovers() == []

    def test_the_limit_is_that_of_the_whole_notebook(self, machine):
        machine.notebook("90_slow", *["import time\ntime.sleep(1.5)"] * 8)
        assert run.run(machine.root, track="pytorch", timeout=6, html=False) == 1
        assert machine.record("90_slow")["status"] == "time limit"

    def test_without_strictness_a_notebook_goes_on_and_still_fails(self, machine):
        machine.notebook("90_claims", BEGIN.format(number="90"), 'claim("no", False)', 'claim("yes", True)')
        assert run.run(machine.root, track="pytorch", strict=False, html=False) == 1
        got = machine.record("90_claims")
        assert (got["status"], got["message"]) == ("claim failed", "no")
        assert [claim["holds"] for claim in got["claims"]] == [False, True]

    def test_smoke_does_not_judge(self, machine):
        machine.notebook("90_claims", BEGIN.format(number="90"), 'claim("no", False)')
        assert run.run(machine.root, track="pytorch", profile="smoke", html=False) == 0
        assert machine.record("90_claims", profile="smoke")["status"] == "ok"

    def test_a_worker_that_dies_costs_its_own_notebook_only(self, machine, tmp_path):
        # The kernel's parent is the worker.
        machine.notebook(
            "90_kills", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(60)"
        )
        machine.notebook("91_next", "1")
        assert run.run(machine.root, track="pytorch", workers=1, html=False) == 1
        assert machine.record("90_kills")["status"] == "runner died"
        assert machine.record("91_next")["status"] == "ok"

    def test_a_worker_that_stops_answering_is_ended(self, machine, monkeypatch):
        monkeypatch.setattr(pool, "_GRACE_SECONDS", 0.5)
        stop = "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)"
        source = machine.notebook("90_stops", stop).read_text()
        job = Job("90_stops", "pytorch", "quick", solved=False, source=source, limit=3)
        [(_, outcome)] = pool.execute([job], workers=1)
        assert outcome.status == jobs.LOST
        assert "stopped answering" in outcome.message

    def test_a_kernel_that_fails_to_start_is_started_again(self, machine, tmp_path):
        folder, mark = tmp_path / "site", tmp_path / "mark"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(
            f"import os, pathlib, sys\nmark = pathlib.Path({str(mark)!r})\n"
            "if not mark.exists():\n    mark.touch()\n    os._exit(1)\n"
        )
        source = machine.notebook("90_late", "print('here')").read_text()
        job = Job("90_late", "pytorch", "quick", solved=False, source=source, environment={"PYTHONPATH": str(folder)})
        [(_, outcome)] = pool.execute([job], workers=1)
        assert mark.exists()
        assert outcome.status == jobs.OK, outcome.message


class TestEnding:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupt_ends_every_kernel_and_leaves_no_part(self, machine, tmp_path, number):
        temporary = tmp_path / "t"
        temporary.mkdir()
        waits = "import os\nfrom pathlib import Path\nPath({!r}).write_text(str(os.getpid()))\nwhile True:\n    pass"
        marks = [tmp_path / "pid0", tmp_path / "pid1"]
        machine.notebook("89_done", "1")
        for count, mark in enumerate(marks):
            machine.notebook(f"9{count}_waits", waits.format(str(mark)))
        process = machine.start("run", "--track", "pytorch", "--jobs", "3", "--no-html", TMPDIR=str(temporary))
        try:
            wait_for(lambda: all(mark.exists() and mark.read_text() for mark in marks))
            wait_for(machine.place("run/quick/student/pytorch/89_done.json").exists)
            everything = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
            assert {int(mark.read_text()) for mark in marks} <= set(everything)
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 130
        assert err.splitlines()[-1] == "advrec: stopped"
        assert "Traceback" not in err
        wait_for(lambda: not alive(everything), 5)
        assert machine.leftovers() == []
        assert sorted(path.name for path in machine.place("run/quick/student/pytorch").iterdir()) == [
            "89_done.ipynb",
            "89_done.json",
        ]
        assert list(temporary.iterdir()) == []

    def test_kernels_do_not_outlive_a_killed_run(self, machine, tmp_path):
        mark = tmp_path / "pid"
        machine.notebook(
            "90_waits",
            f"import os\nfrom pathlib import Path\nPath({str(mark)!r}).write_text(str(os.getpid()))\nwhile True: pass",
        )
        process = machine.start("run", "--track", "pytorch")
        try:
            wait_for(lambda: mark.exists() and bool(mark.read_text()))
            everything = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        finally:
            process.kill()
            process.communicate()
        wait_for(lambda: not alive([*everything, int(mark.read_text())]), 20)


class TestCost:
    def test_seconds_and_peak_memory_are_those_of_the_kernel_and_its_children(self, machine):
        take = "import time\nheld = bytearray(300_000_000)\nfor i in range(0, len(held), 4096): held[i] = 1\n"
        machine.notebook("90_small", "1")
        machine.notebook("91_large", take + "del held", "1")
        child = (
            f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {take + 'time.sleep(2.5)'!r}], check=True)"
        )
        machine.notebook("92_child", child)
        assert run.run(machine.root, track="pytorch", workers=1, html=False) == 0
        small, large, child_ = (machine.record(name) for name in ("90_small", "91_large", "92_child"))
        assert 20 < small["peak_mb"] < 200
        assert 290 < large["peak_mb"] - small["peak_mb"] < 400  # although it was given back at once
        assert 290 < child_["peak_mb"] - small["peak_mb"] < 450
        assert child_["seconds"] > 2.5


class TestResume:
    def test_only_what_changed_or_failed_runs_again(self, machine, capsys, monkeypatch):
        monkeypatch.setattr(store, "package_stamp", lambda: "p")
        monkeypatch.setattr(store, "data_stamp", lambda: "d")
        machine.notebook("90_a", "1")
        machine.notebook("91_b", "1 / 0")
        ran = []

        def executed(work, **_):
            for job in work:
                ran.append(job.lesson)
                bad = "1 / 0" in (job.source or "")
                yield job, Outcome(jobs.FAILED if bad else jobs.OK, notebook=job.source)

        monkeypatch.setattr(run, "executed", executed)

        def again(**options) -> list[str]:
            ran.clear()
            run.run(machine.root, track="pytorch", workers=1, html=False, resume=True, **options)
            return sorted(ran)

        assert again() == ["90", "91"]
        capsys.readouterr()
        assert again() == ["91"]  # it had failed
        assert capsys.readouterr().out.count("kept from an earlier run") == 1
        machine.notebook("91_b", "2")
        assert again() == ["91"]
        assert again() == []
        (machine.root / "constraints.txt").write_text("numpy==1.0\n")
        assert again() == ["90", "91"]
        assert again() == []
        (machine.root / "lessons/bands/90.json").write_text("{}\n")
        assert again() == ["90"]
        assert again(seed=3) == ["90", "91"]
        assert again(seed=3) == []
        assert again(seed=3, strict=False) == ["90", "91"]  # what was judged strictly is another result
        assert again(seed=3) == ["90", "91"]
        machine.place("run/quick/student/pytorch/90_a.ipynb").unlink()
        assert again(seed=3) == ["90"]
        machine.place("run/quick/student/pytorch/90_a.json").write_text('{"key": ')
        assert again(seed=3) == ["90"]

    def test_package_and_data_count(self, machine, monkeypatch):
        job = Job("90_a", "pytorch", "quick")
        keys = set()
        for package in ("p", "q"):
            for data in ("d", "e"):
                monkeypatch.setattr(store, "package_stamp", lambda package=package: package)
                monkeypatch.setattr(store, "data_stamp", lambda data=data: data)
                keys.add(store.key(machine.root, b"", job))
        assert len(keys) == 4

    def test_a_run_without_html_leaves_no_page_of_an_earlier_one(self, machine):
        machine.notebook("90_a", "1")
        page = machine.place("run/quick/student/pytorch/90_a.html")
        run.run(machine.root, track="pytorch")
        assert "<html" in page.read_text(encoding="utf-8")
        run.run(machine.root, track="pytorch", html=False)
        assert not page.exists()

    def test_a_second_call_with_nothing_to_do_imports_no_notebook_library(self, machine):
        machine.notebook("90_a", "1")
        assert machine.call("run", "--track", "pytorch", "--no-html").returncode == 0
        # Libraries that take a second to import are made impossible to import.
        block = machine.root / "block"
        for name in ("nbformat", "papermill", "jupytext", "nbconvert"):
            (block / name).mkdir(parents=True)
            (block / name / "__init__.py").write_text("raise RuntimeError('imported')")
        done = machine.call("run", "--track", "pytorch", "--no-html", "--resume", PYTHONPATH=str(block))
        assert done.returncode == 0, done.stderr
        assert "kept from an earlier run" in done.stdout


class TestSolutions:
    @pytest.fixture(autouse=True)
    def any_lesson(self, monkeypatch):
        """Judge no rules: these lessons have no exercises."""
        original = run.plan
        monkeypatch.setattr(run, "plan", lambda *a, **k: original(*a, **{**k, "checked": False}))

    def test_they_are_kept_with_outputs_and_nothing_of_this_machine(self, machine):
        lesson = machine.lesson(
            "90_holds", BEGIN.format(number="90"), 'claim("it holds", True)', "print(PROFILE, SEED)\n6 * 7"
        )
        assert run.run(machine.root, track="pytorch", solutions=True) == 0
        path = machine.root / "solutions/pytorch/90_holds.ipynb"
        first = path.read_bytes()
        stored = nbformat.read(path, as_version=4)
        nbformat.validate(stored)
        from advrec_teach.course import build

        wanted = build.solved_notebook(lesson, "pytorch", validate=False)
        assert [cell.source for cell in stored.cells] == [cell.source for cell in wanted.cells]
        assert [cell.id for cell in stored.cells] == [cell.id for cell in wanted.cells]
        assert [cell.metadata for cell in stored.cells] == [cell.metadata for cell in wanted.cells]
        assert stored.metadata == wanted.metadata
        code = [cell for cell in stored.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
        assert code[-1].outputs[0].text == "quick 0\n"
        assert code[-1].outputs[1].data["text/plain"] == "42"
        text = first.decode()
        assert "papermill" not in text and str(machine.root) not in text
        path.unlink()
        assert run.run(machine.root, track="pytorch", solutions=True, resume=True) == 0
        assert path.read_bytes() == first
        costs = json.loads((machine.root / "benchmarks/lessons.json").read_text())
        assert costs["90_holds"]["pytorch"]["seconds"] > 0
        assert costs["90_holds"]["pytorch"]["claims"] == 1

    def test_a_claim_that_fails_or_is_not_judged_leaves_the_old_one(self, machine):
        old = machine.root / "solutions/pytorch/90_fails.ipynb"
        old.parent.mkdir(parents=True)
        old.write_text("old")
        machine.lesson("90_fails", BEGIN.format(number="90"), 'claim("it holds", SEED > 0)')
        machine.lesson("91_open", BEGIN.format(number="91"), 'claim("a figure", 0.5)')
        assert run.run(machine.root, track="pytorch", solutions=True, strict=False, html=False) == 1
        assert old.read_text() == "old"
        assert sorted(path.name for path in old.parent.iterdir()) == ["90_fails.ipynb"]
        assert not (machine.root / "benchmarks/lessons.json").exists()

    def test_clean_keeps_what_is_not_of_the_machine(self):
        notebook = {
            "cells": [
                {
                    "cell_type": "code",
                    "execution_count": 4,
                    "id": "a",
                    "metadata": {"papermill": {"duration": 1}, "tags": [], "execution": {}},
                    "outputs": [{"output_type": "stream", "name": "stdout", "text": ["é"]}],
                    "source": ["1"],
                },
                {"cell_type": "markdown", "id": "b", "metadata": {"tags": ["figure"]}, "source": []},
            ],
            "metadata": {
                "papermill": {"input_path": "/home/x"},
                "language_info": {"name": "python", "version": "3.11.9"},
                "kernelspec": {"name": "python3"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        got = json.loads(solutions.clean(json.dumps(notebook)))
        assert got["metadata"] == {"language_info": {"name": "python"}, "kernelspec": {"name": "python3"}}
        assert got["cells"][0]["metadata"] == {}
        assert got["cells"][0]["execution_count"] == 4
        assert got["cells"][0]["outputs"] == notebook["cells"][0]["outputs"]
        assert got["cells"][1]["metadata"] == {"tags": ["figure"]}
        assert "é" in solutions.clean(json.dumps(notebook))

    def test_other_parameters_are_refused(self, machine):
        machine.lesson("90_a")
        for options in ({"seed": 1}, {"profile": "smoke"}):
            with pytest.raises(CourseError, match="own parameters"):
                run.run(machine.root, solutions=True, **options)


class TestWriting:
    def test_a_failed_write_leaves_the_old_file_and_no_part(self, tmp_path, monkeypatch):
        path = tmp_path / "a.json"
        store.write(path, "old")

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(CourseError, match=r"a\.json can't be written: No space left on device"):
            store.write(path, "new")
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
        assert path.read_text() == "old"

    def test_modes_follow_the_umask(self, tmp_path):
        store.write(tmp_path / "a", "text")
        plain = tmp_path / "b"
        plain.touch()
        assert (tmp_path / "a").stat().st_mode == plain.stat().st_mode

    def test_jobs_and_outcomes_survive_the_way_to_another_process(self):
        job = Job("08_fgsm", "pytorch", "quick", parameters={"EPS": 0.5}, environment={"A": None})
        assert Job.from_json(job.to_json()) == job
        outcome = Outcome(jobs.CLAIM, "é\n", 1.5, 2.5, [{"name": "n", "holds": None}], "{}", None)
        assert Outcome.from_json(outcome.to_json()) == outcome
        assert "\n" not in job.to_json() and "\n" not in outcome.to_json()


def test_known_long_notebooks_start_first(machine):
    work = [Job(f"9{k}_x", "pytorch", "quick", solved=False) for k in range(3)]
    for job, seconds in zip(work, (5.0, 50.0, 20.0), strict=True):
        store.save(machine.root, job, Outcome(jobs.OK, seconds=seconds))
    new = Job("99_new", "pytorch", "quick", solved=False)
    ordered = run._longest_first(machine.root, [*work, new])
    assert [job.name for job in ordered] == ["99_new", "91_x", "92_x", "90_x"]


def test_time_is_measured_per_notebook_and_the_table_names_each(machine, capsys):
    machine.notebook("90_a", "import time\ntime.sleep(1)")
    machine.notebook("90_a", "1", track="tensorflow")
    start = time.monotonic()
    assert run.run(machine.root, ["90"], html=False, workers=2) == 0
    wall = time.monotonic() - start
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "lesson"
    assert [line.split()[:2] for line in lines[2:4]] == [["90_a", "pytorch"], ["90_a", "tensorflow"]]
    assert 1 < float(lines[2].split()[2]) < wall
