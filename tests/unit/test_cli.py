"""The command line: each mistake is one clear line, and the small commands do what they say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from advrec_teach import __version__, fetch
from advrec_teach.course import cli, jobs, learner, report, run, store
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.errors import CourseError
from advrec_teach.exercises import exercise, progress

PYPROJECT = '[tool.advrec]\nrepository = "https://github.com/advrec-teach/advrec-teach"\nbranch = "main"\n'
LESSON = """\
# ---
# jupyter:
#   advrec:
#     minutes: {minutes}
#     data: [{data}]
#     prerequisites: []
# ---

# %% [markdown]
# # {number} · {title}

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a checkout with two lessons and no notebook."""
    (tmp_path / "lessons").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    for number, name, title, minutes, data in (
        ("90", "90_first", "How far?", 5, "movielens"),
        ("91", "91_second", "This | or that?", 20, "movielens, reviews"),
    ):
        text = LESSON.format(number=number, title=title, minutes=minutes, data=data)
        (tmp_path / "lessons" / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


def call(root: Path, capsys, *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, output and errors."""
    with pytest.raises(SystemExit) as end:
        cli.main(["--root", str(root), *arguments])
    code = end.value.code
    out, err = capsys.readouterr()
    return 0 if code is None else int(code), out, err


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["run", "42"], "There is no lesson '42'; the lessons are: 90_first, 91_second."),
            (["run", "90", "--track", "jax"], "There is no track 'jax'; choose one of pytorch, tensorflow."),
            (["run", "--profile", "slow"], "There is no profile 'slow'; choose one of smoke, quick, full."),
            (["run", "90"], "notebooks/pytorch/90_first.ipynb is not there; make it with `advrec build`."),
            (["run", "90", "--solved", "--jobs", "0"], "--jobs is 0; give 1 or more."),
            (["run", "90", "--solved", "--timeout", "0"], "--timeout is 0; give more than 0 seconds."),
            (["run", "90", "--seed", "-1"], "--seed is -1; choose a whole number from 0 to 4294967295."),
            (["run", "90", "--solutions", "--seed", "1"], "--solutions runs with the lessons' own parameters"),
            (["sweep", "90", "-p", "EPS=1"], "90_first has no parameter EPS; its parameters are: PROFILE, SEED."),
            (["sweep", "90"], "A sweep needs a parameter"),
            (["bands", "90", "--seeds", "3"], "--seeds is 3; a band needs at least 5."),
            (["bands", "90", "--profile", "smoke"], "The profile smoke is never judged"),
            (["data", "netflix"], "netflix"),
            (["lab", "42"], "There is no lesson '42'"),
            (["lab", "90"], "notebooks/pytorch/90_first.ipynb is not there; make it with `advrec build`."),
            (["map"], "README.md can't be read"),
        ],
    )
    def test_each_is_one_line_and_exit_code_one(self, root, capsys, arguments, message):
        code, out, err = call(root, capsys, *arguments)
        assert code == 1
        assert err.startswith("advrec: ") and message in err
        assert err.count("\n") == 1
        assert out == ""

    def test_a_folder_that_is_no_checkout(self, tmp_path, capsys):
        code, _, err = call(tmp_path, capsys, "run")
        assert (code, err) == (1, f"advrec: {tmp_path} is no checkout of the course: it has no folder lessons.\n")

    def test_an_installed_wheel_is_no_checkout(self, monkeypatch, capsys):
        monkeypatch.setattr("advrec_teach.paths.repository", lambda: None)
        with pytest.raises(SystemExit):
            cli.main(["run"])
        assert capsys.readouterr().err == (
            "advrec: This command needs a checkout of the course; run it from one, or give --root.\n"
        )

    def test_a_framework_that_is_not_installed(self, root, capsys, monkeypatch):
        from importlib import util

        found = util.find_spec
        monkeypatch.setattr(util, "find_spec", lambda name, *a: None if name == "tensorflow" else found(name, *a))
        code, _, err = call(root, capsys, "run", "--solved")
        assert code == 1
        assert err == (
            "advrec: The track tensorflow needs its framework: pip install 'advrec-teach[tensorflow]', "
            "or choose --track pytorch.\n"
        )

    def test_an_unknown_option_is_a_usage_error(self, root, capsys):
        code, _, err = call(root, capsys, "run", "--fast")
        assert code == 2
        assert "No such option: --fast" in err

    def test_an_interrupt_is_said_in_one_line(self, root, capsys, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(run, "run", interrupted)
        assert call(root, capsys, "run") == (130, "", "advrec: stopped\n")


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code in (None, 0)
    assert capsys.readouterr().out == f"advrec-teach {__version__}\n"


def test_help_imports_no_library_of_notebooks_or_numbers():
    code = (
        "import sys\nfrom advrec_teach.course import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'polars', 'torch', 'tensorflow', 'nbformat', 'jupytext', 'papermill', 'psutil', "
        "'rich', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "sweep" in done.stdout and "bands" in done.stdout


class TestData:
    def test_names_go_to_the_fetcher(self, root, capsys, monkeypatch):
        asked = []
        monkeypatch.setattr(fetch, "fetch", lambda names, **_: asked.append(names))
        assert call(root, capsys, "data", "movielens", "reviews")[0] == 0
        assert call(root, capsys, "data")[0] == 0
        assert asked == [["movielens", "reviews"], None]


class TestMap:
    def test_the_readme_gets_the_table_between_its_markers(self, root, capsys):
        text = f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nThe end \\1.\n"
        (root / "README.md").write_text(text)
        job = Job("90_first", "tensorflow", "quick", environment={"OMP_NUM_THREADS": "2"})
        report.note(root, job, Outcome(jobs.OK, "", 31.24, 1449.0, [{"holds": True}] * 3))
        report.note(root, Job("91_second", "pytorch", "quick"), Outcome(jobs.OK, "", 150.0, 800.0, []))
        assert not report.readme_is_current(root)
        assert call(root, capsys, "map")[:2] == (0, "README.md has a new course map.\n")
        assert report.readme_is_current(root)
        assert call(root, capsys, "map")[:2] == (0, "The course map in README.md is up to date.\n")
        lines = (root / "README.md").read_text().splitlines()
        assert (lines[0], lines[-1]) == ("# Title", "The end \\1.")
        rows = [line for line in lines if line.startswith("| **")]
        assert rows == [
            "| **90** [PyTorch](notebooks/pytorch/90_first.ipynb) · [TensorFlow](notebooks/tensorflow/90_first.ipynb) "
            "| How far? | 5 min | – | 31 s, 1.4 GB |",
            "| **91** [PyTorch](notebooks/pytorch/91_second.ipynb) · "
            "[TensorFlow](notebooks/tensorflow/91_second.ipynb) "
            "| This \\| or that? | 20 min | 2.5 min, 0.8 GB | – |",
        ]

    def test_a_new_measurement_keeps_the_others(self, root):
        for name, track, seconds in (("91_second", "pytorch", 3.0), ("90_first", "pytorch", 1.0)):
            report.note(root, Job(name, track, "quick"), Outcome(jobs.OK, seconds=seconds))
        report.note(root, Job("90_first", "pytorch", "quick"), Outcome(jobs.OK, seconds=2.0))
        costs = json.loads(report.costs_file(root).read_text())
        assert {name: entry["pytorch"]["seconds"] for name, entry in costs.items()} == {
            "90_first": 2.0,
            "91_second": 3.0,
        }
        assert list(costs) == sorted(costs)

    @pytest.mark.parametrize("text", ["no marker", f"{report.BEGIN}\n", f"{report.BEGIN}{report.END}" * 2])
    def test_a_readme_without_its_two_markers(self, root, capsys, text):
        (root / "README.md").write_text(text)
        code, _, err = call(root, capsys, "map")
        assert code == 1 and "needs the two lines" in err
        assert (root / "README.md").read_text() == text


class TestCourse:
    @pytest.fixture
    def calls(self, monkeypatch):
        """Replace what takes long by a record of how it was called."""
        from advrec_teach.course import build

        made: dict[str, list] = {"fetch": [], "check": [], "run": []}
        monkeypatch.setattr(fetch, "fetch", lambda names, **_: made["fetch"].append(names))
        found = build.Report(lessons=[], checked=True)
        made["report"] = [found]

        def check(root, lessons=None, check=False, **_):
            made["check"].append(check)
            return found

        monkeypatch.setattr(build, "build", check)
        monkeypatch.setattr(run, "run", lambda root, **options: made["run"].append(options) or 0)
        return made

    def test_data_notebooks_and_every_solved_lesson(self, root, capsys, calls):
        code, out, _ = call(root, capsys, "course", "--jobs", "2")
        assert (code, out) == (0, "")
        assert calls["fetch"] == [["movielens", "reviews"]]
        assert calls["check"] == [True]
        assert calls["run"] == [{"solved": True, "resume": True, "workers": 2, "timeout": None}]

    def test_a_second_call_checks_notebooks_only_if_something_changed(self, root, capsys, calls, monkeypatch):
        call(root, capsys, "course")
        call(root, capsys, "course")
        assert len(calls["check"]) == 1
        assert len(calls["run"]) == len(calls["fetch"]) == 2  # these know for themselves what is done
        (root / "notebooks" / "90_first.ipynb").write_text("edited by hand")
        call(root, capsys, "course")
        assert len(calls["check"]) == 2
        monkeypatch.setattr(store, "package_stamp", lambda: "another")
        call(root, capsys, "course")
        assert len(calls["check"]) == 3

    def test_notebooks_that_differ_are_named_each_time_and_fail_after_everything_ran(self, root, capsys, calls):
        calls["report"][0].differing.append("notebooks/pytorch/90_first.ipynb is missing; run `advrec build`.")
        calls["report"][0].stale_solutions.append("solutions/pytorch/90_first.ipynb is missing; run it.")
        for _ in range(2):
            code, out, _ = call(root, capsys, "course")
            assert code == 1
            assert out.splitlines() == [
                "notebooks/pytorch/90_first.ipynb is missing; run `advrec build`.",
                "solutions/pytorch/90_first.ipynb is missing; run it.",
            ]
        assert len(calls["run"]) == 2

    def test_a_failing_lesson_fails(self, root, capsys, calls, monkeypatch):
        monkeypatch.setattr(run, "run", lambda *_, **__: 1)
        assert call(root, capsys, "course")[0] == 1

    def test_data_that_cannot_be_had_is_one_line(self, root, capsys, calls, monkeypatch):
        def offline(*_, **__):
            raise CourseError("The network is not there.")

        monkeypatch.setattr(fetch, "fetch", offline)
        assert call(root, capsys, "course") == (1, "", "advrec: The network is not there.\n")
        assert calls["run"] == []


class TestLab:
    @pytest.fixture
    def command(self, monkeypatch):
        """Start nothing; return what would have been started. The server outlives one Ctrl-C."""
        seen: list = []

        class Server:
            def __init__(self, command, env):
                seen.append((command, env))
                self.interrupts = 1

            def wait(self):
                if self.interrupts:
                    self.interrupts -= 1
                    raise KeyboardInterrupt
                return 0

        monkeypatch.setattr(subprocess, "Popen", Server)
        return seen

    def test_it_opens_the_notebooks_and_asks_the_network_for_nothing(self, root, capsys, command):
        assert call(root, capsys, "lab")[0] == 0
        [(arguments, environment)] = command
        assert arguments[:3] == [sys.executable, "-m", "jupyterlab"]
        assert f"--ServerApp.root_dir={root / 'notebooks'}" in arguments
        assert environment["TF_CPP_MIN_LOG_LEVEL"] == "3"
        assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
        assert not any("default_url" in argument for argument in arguments)

    def test_jupyterlab_knows_the_settings(self, root):
        """The settings that keep it off the network are real ones, and are taken as they are meant."""
        labapp = pytest.importorskip("jupyterlab.labapp")
        app = labapp.LabApp()
        app.parse_command_line(list(learner._OFFLINE))
        assert app.news_url is None
        assert app.check_for_updates_class.__name__ == "NeverCheckForUpdate"
        assert app.extension_manager == "readonly"

    def test_a_lesson_and_more_arguments(self, root, capsys, command):
        notebook = root / "notebooks/tensorflow/91_second.ipynb"
        notebook.parent.mkdir()
        notebook.touch()
        assert call(root, capsys, "lab", "91", "--track", "tensorflow", "--", "--no-browser", "--port=9")[0] == 0
        arguments = command[0][0]
        assert "--LabApp.default_url=/lab/tree/tensorflow/91_second.ipynb" in arguments
        assert arguments[-2:] == ["--no-browser", "--port=9"]

    def test_arguments_without_a_lesson(self, root, capsys, command):
        assert call(root, capsys, "lab", "--", "--no-browser", "--port=9")[0] == 0
        assert command[0][0][-2:] == ["--no-browser", "--port=9"]

    def test_without_jupyterlab(self, root, capsys, monkeypatch):
        monkeypatch.setattr(learner, "find_spec", lambda name: None)
        assert call(root, capsys, "lab")[2] == (
            "advrec: JupyterLab is not installed: pip install 'advrec-teach[course]'.\n"
        )


class TestProgress:
    def test_each_exercise_in_both_tracks(self, root, capsys, tmp_path, monkeypatch):
        monkeypatch.setenv("ADVREC_STATE", str(tmp_path / "state"))
        progress.update("pytorch", "08.1", status="correct", attempts=2, hints=1)
        progress.update("tensorflow", "08.1", status="not yet", attempts=1, solution_seen=True)
        code, out, _ = call(root, capsys, "progress")
        assert code == 0
        lines = out.splitlines()
        assert lines[0].split() == ["exercise", "title", "PyTorch", "TensorFlow"]
        row = next(line for line in lines if line.startswith("08.1"))
        assert row.endswith("correct (2 attempts, 1 hint)  not yet (1 attempt, solution seen)")
        total = sum(line[:2].isdigit() for line in lines)
        assert f"Solved: PyTorch 1 of {total}, TensorFlow 0 of {total}." in out
        assert str(tmp_path / "state") in out

    def test_it_needs_no_checkout(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setenv("ADVREC_STATE", str(tmp_path))
        monkeypatch.setattr("advrec_teach.paths.repository", lambda: None)
        with pytest.raises(SystemExit) as end:
            cli.main(["progress"])
        assert end.value.code in (None, 0)
        assert "08.1" in capsys.readouterr().out

    def test_without_a_checkout_only_what_is_solved_is_named(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setenv("ADVREC_STATE", str(tmp_path))
        monkeypatch.setattr("advrec_teach.paths.repository", lambda: None)
        progress.update("pytorch", "08.1", status="correct", attempts=1)
        progress.update("pytorch", "08.2", status="not yet", attempts=1)
        out = learner.progress_table()
        assert exercise("08.1").title in out
        assert exercise("08.2").title not in out and exercise("00.3").title not in out

    def test_in_a_checkout_the_names_are_those_of_the_cards(self, monkeypatch, tmp_path):
        monkeypatch.setenv("ADVREC_STATE", str(tmp_path / "state"))
        monkeypatch.setattr("advrec_teach.paths.repository", lambda: tmp_path)
        (tmp_path / "lessons").mkdir()
        card = "# %% [markdown]\n# Text.\n#\n# ### Exercise 00.3 · bug hunt: look closely · 15 min · **\n#\n# More.\n"
        (tmp_path / "lessons" / "00_start_here.py").write_text(card, encoding="utf-8")
        progress.update("pytorch", "00.1", status="correct", attempts=1)
        rows = {line[:4]: line for line in learner.progress_table().splitlines()}
        assert "bug hunt: look closely" in rows["00.3"] and exercise("00.3").title not in rows["00.3"]
        assert exercise("00.1").title in rows["00.1"]


def test_the_data_stamp_follows_what_is_there_and_checked(monkeypatch):
    def stamp(absent: list[str]) -> str:
        store.data_stamp.cache_clear()
        monkeypatch.setattr(fetch, "missing", lambda *_, **__: absent)
        return store.data_stamp()

    names = list(fetch.sources())
    try:
        assert stamp(names) != stamp(names[1:]) != stamp([])
        assert stamp([]) == stamp([])
    finally:
        store.data_stamp.cache_clear()


def test_the_package_stamp_follows_its_files(tmp_path, monkeypatch):
    import advrec_teach

    package = tmp_path / "advrec_teach"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("a = 1\n")
    monkeypatch.setattr(advrec_teach, "__file__", str(package / "__init__.py"))

    def stamp() -> str:
        store.package_stamp.cache_clear()
        return store.package_stamp()

    try:
        first = stamp()
        (package / "__pycache__" / "x.py").write_text("")
        assert stamp() == first
        (package / "b.py").write_text("")
        second = stamp()
        os.rename(package / "b.py", package / "c.py")
        assert len({first, second, stamp()}) == 3
    finally:
        store.package_stamp.cache_clear()
