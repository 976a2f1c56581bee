"""``advrec sweep``: grids, parameters that do not exist, one tidy table, going on after a break."""

import csv
import io
from pathlib import Path

import pytest
from machine import BEGIN, Machine
from numpy.testing import assert_allclose

from advrec_teach.course import jobs, run, store, sweep
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.errors import CourseError

PARAMETERS = '# %% tags=["parameters"]\nPROFILE = "quick"\nSEED = 0\nEPS = 0.5\nNAMES = ["a"]\nFAST = False\n'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "checkout")
    made.lesson(
        "90_swept",
        BEGIN.format(number="90"),
        "assert not (SEED == 1 and EPS == 2.0), 'too much'",
        'claim("product", SEED * EPS)\nclaim("small", EPS < 1)',
        parameters=PARAMETERS,
    )
    return made


@pytest.fixture
def pretend(monkeypatch):
    """Execute nothing; give each job's claims by a rule, and return the list of what was asked for."""
    ran: list[Job] = []

    def executed(work, **_):
        for job in work:
            ran.append(job)
            if job.parameters.get("SEED") == 99:
                yield job, Outcome(jobs.DIED, "in the cell `x`", notebook="{}")
                continue
            value = job.parameters["SEED"] * 10.0
            yield job, Outcome(jobs.OK, "", 1.5, 60.0, [{"name": "a", "kind": "figure", "value": value, "holds": None}])

    monkeypatch.setattr(run, "executed", executed)
    monkeypatch.setattr(store, "package_stamp", lambda: "p")
    monkeypatch.setattr(store, "data_stamp", lambda: "d")
    return ran


def rows(machine: Machine) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(machine.place("sweep/90/claims.csv").read_text(encoding="utf-8"))))


class TestGrid:
    def test_values_are_read_as_python_reads_them(self):
        grid = sweep.read_grid(["EPS=0,0.5,1e-3", "SEED=0:5", "STEP=10:0:-5", "PROFILE=smoke,quick", "SIZES=[1,2],[3]"])
        assert grid == {
            "EPS": [0, 0.5, 1e-3],
            "SEED": [0, 1, 2, 3, 4],
            "STEP": [10, 5],
            "PROFILE": ["smoke", "quick"],
            "SIZES": [[1, 2], [3]],
        }
        assert [type(value) for value in grid["EPS"]] == [int, float, float]
        assert sweep.read_grid(["A=None,3", "B='x, y',z", "C=-1", "D=True"]) == {
            "A": [None, 3],
            "B": ["'x", "y'", "z"],
            "C": [-1],
            "D": [True],
        }
        assert sweep.read_grid(["B='x, y'"]) == {"B": ["x, y"]}

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ([], "needs a parameter"),
            (["EPS"], "can't be read"),
            (["EPS="], "can't be read"),
            (["=1"], "can't be read"),
            (["two words=1"], "can't be read"),
            (["EPS=1", "EPS=2"], "names EPS twice"),
            (["SEED=5:5"], "empty range"),
            (["SEED=0:5:0"], "empty range"),
            (["EPS=1,2,1"], "names a value twice"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, settings, message):
        with pytest.raises(CourseError, match=message):
            sweep.read_grid(settings)


class TestNames:
    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("EPSILON=1", r"90_swept has no parameter EPSILON; its parameters are: PROFILE, SEED, EPS, NAMES, FAST\."),
            ("EPS=large", r"EPS of 90_swept is 0\.5 by default; 'large' is no such value"),
            ("SEED=True", "SEED of 90_swept is 0 by default; True is no such value"),
            ("NAMES=b", r"NAMES of 90_swept is \['a'\] by default; 'b' is no such value"),
            ("FAST=1", "FAST of 90_swept is False by default; 1 is no such value"),
            ("PROFILE=slow", "There is no profile 'slow'; choose one of smoke, quick, full"),
        ],
    )
    def test_each_misfit_is_one_line_and_runs_nothing(self, machine, pretend, setting, message):
        with pytest.raises(CourseError, match=message) as caught:
            sweep.sweep(machine.root, "90", [setting], track="pytorch")
        assert "\n" not in str(caught.value)
        assert pretend == []
        assert not machine.place().exists()

    def test_unknown_lesson_track_and_profile(self, machine, pretend):
        for wanted, options, message in (
            ("42", {}, "no lesson '42'"),
            ("90", {"track": "jax"}, "no track 'jax'"),
            ("90", {"profile": "slow"}, "no profile 'slow'"),
            ("90", {"timeout": 0.0}, "--timeout is 0"),
        ):
            with pytest.raises(CourseError, match=message):
                sweep.sweep(machine.root, wanted, ["SEED=0"], **options)

    def test_the_parameters_cell_decides(self, machine):
        path = machine.lesson(
            "91_other",
            "HIDDEN = 1",
            parameters='# %% tags=["parameters"]\nPROFILE: str = "quick"\nSEED = 0\nSIZE = 2 * SEED\nprint(SEED)\n',
        )
        assert sweep.parameters_of(path, "pytorch") == {"PROFILE": "quick", "SEED": 0, "SIZE": None}


class TestTable:
    def test_every_point_of_the_grid_in_both_tracks(self, machine, pretend):
        assert sweep.sweep(machine.root, "90", ["EPS=0.5,1", "SEED=0:3"]) == 0
        got = rows(machine)
        assert list(got[0]) == (
            [
                "lesson",
                "track",
                "PROFILE",
                "EPS",
                "SEED",
                "claim",
                "kind",
                "value",
                "holds",
                "seconds",
                "peak_mb",
                "status",
                "message",
            ]
        )
        points = [(row["track"], row["EPS"], row["SEED"]) for row in got]
        tracks = ("pytorch", "tensorflow")
        assert points == [(track, eps, seed) for eps in ("0.5", "1") for seed in "012" for track in tracks]
        assert all(float(row["value"]) == 10 * int(row["SEED"]) for row in got)
        assert {row["PROFILE"] for row in got} == {"quick"}

    def test_profile_can_be_swept(self, machine, pretend):
        assert sweep.sweep(machine.root, "90", ["PROFILE=smoke,full", "SEED=1"], track="pytorch") == 0
        assert [row["PROFILE"] for row in rows(machine)] == ["smoke", "full"]
        assert [(job.profile, job.limit) for job in sorted(pretend, key=lambda job: job.limit)] == [
            ("smoke", jobs.LIMITS["smoke"]),
            ("full", jobs.LIMITS["full"]),
        ]

    def test_only_new_points_are_executed(self, machine, pretend):
        sweep.sweep(machine.root, "90", ["SEED=0:2"], track="pytorch")
        sweep.sweep(machine.root, "90", ["SEED=0:4"], track="pytorch")
        assert [job.parameters["SEED"] for job in pretend] == [0, 1, 2, 3]
        assert [row["SEED"] for row in rows(machine)] == ["0", "1", "2", "3"]
        machine.lesson("90_swept", "1", parameters=PARAMETERS)
        sweep.sweep(machine.root, "90", ["SEED=0:2"], track="pytorch")
        assert len(pretend) == 6
        sweep.sweep(machine.root, "90", ["SEED=0:2"], track="pytorch")
        assert len(pretend) == 6
        sweep.sweep(machine.root, "90", ["SEED=0:2"], track="pytorch", fresh=True)
        assert len(pretend) == 8

    def test_a_point_that_failed_has_a_row_and_is_tried_again(self, machine, pretend, capsys):
        for calls in (1, 2):
            assert sweep.sweep(machine.root, "90", ["SEED=1,99"], track="pytorch") == 1
            assert [job.parameters["SEED"] for job in pretend].count(99) == calls
        assert len(pretend) == 3
        good, bad = rows(machine)
        assert (good["status"], bad["status"]) == ("ok", "kernel died")
        assert (bad["claim"], bad["value"], bad["message"]) == ("", "", "in the cell `x`")
        assert "90_swept pytorch (SEED=99): kernel died: in the cell `x`" in capsys.readouterr().out
        assert len(list(machine.place("sweep/90/points").glob("*.ipynb"))) == 1

    def test_a_break_keeps_what_was_done(self, machine, pretend, monkeypatch):
        whole = run.executed

        def broken(work, **options):
            for count, result in enumerate(whole(work, **options)):
                if count == 2:
                    raise KeyboardInterrupt
                yield result

        monkeypatch.setattr(run, "executed", broken)
        with pytest.raises(KeyboardInterrupt):
            sweep.sweep(machine.root, "90", ["SEED=0:5"], track="pytorch")
        assert [row["SEED"] for row in rows(machine)] == ["0", "1"]
        assert machine.leftovers() == []
        monkeypatch.setattr(run, "executed", whole)
        pretend.clear()
        sweep.sweep(machine.root, "90", ["SEED=0:5"], track="pytorch")
        assert [job.parameters["SEED"] for job in pretend] == [2, 3, 4]
        assert [row["SEED"] for row in rows(machine)] == ["0", "1", "2", "3", "4"]


def test_real_kernels_see_the_parameters_and_claims_are_recorded_unjudged(machine):
    assert sweep.sweep(machine.root, "90", ["SEED=1,3", "EPS=0.5,2.0"], track="pytorch", workers=2) == 1
    got = {(int(row["SEED"]), float(row["EPS"]), row["claim"]): row for row in rows(machine)}
    assert len(got) == 7
    for (seed, eps, name), row in got.items():
        if (seed, eps) == (1, 2.0):
            assert (name, row["status"]) == ("", "failed")
            assert "AssertionError: too much" in row["message"]
        elif name == "product":
            assert_allclose(float(row["value"]), seed * eps, rtol=0)
        else:
            # In a run that judges, the claim that failed would have stopped the notebook.
            assert (name, row["value"], row["holds"]) == ("small", str(eps < 1), str(eps < 1))
