"""The package's skin: a cheap import, errors in one line, paths, tracks and sessions."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import advrec_teach
from advrec_teach import errors, paths, session, tracks
from advrec_teach.errors import CourseError

HEAVY = {
    "IPython",
    "jax",
    "keras",
    "matplotlib",
    "numpy",
    "pandas",
    "polars",
    "rich",
    "scipy",
    "sklearn",
    "tensorflow",
    "torch",
    "typer",
}


def _imports(statement):
    """Return the top-level packages, and the advrec modules, that a fresh interpreter holds after ``statement``."""
    code = (
        "import sys, json; before = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = json.loads(run.stdout.splitlines()[-1])
    return {name.partition(".")[0] for name in names}, {n for n in names if n.startswith("advrec_teach")}


def test_the_import_is_cheap_because_it_imports_next_to_nothing():
    packages, modules = _imports("import advrec_teach")
    assert packages <= {"advrec_teach", "importlib", "warnings", "_weakref", "weakref"}
    assert modules == {"advrec_teach"}


@pytest.mark.parametrize(
    "statement",
    [
        "from advrec_teach import claim",
        "import advrec_teach.errors, advrec_teach.paths, advrec_teach.session, advrec_teach.tracks",
        "import advrec_teach.plots",
        "import advrec_teach.exercises",
    ],
)
def test_the_core_imports_no_framework_and_nothing_heavy(statement):
    packages, _ = _imports(statement)
    assert not packages & HEAVY


def test_the_check_above_can_fail():
    assert "numpy" in _imports("import numpy")[0] & HEAVY


def test_function_exercises_need_numpy_and_no_framework():
    packages, _ = _imports("import advrec_teach.exercises.functions, advrec_teach.exercises.choices")
    assert packages & HEAVY == {"numpy"}


def test_claim_and_exercise_are_reached_from_the_package():
    from advrec_teach.claims import claim
    from advrec_teach.exercises import exercise

    assert advrec_teach.claim is claim and advrec_teach.exercise is exercise
    assert "claim" in vars(advrec_teach)  # looked up once
    assert set(advrec_teach.__all__) <= {"claim", "exercise"}
    with pytest.raises(AttributeError, match="has no attribute 'claims_made'"):
        _ = advrec_teach.claims_made


def test_the_version_is_that_of_the_project_file():
    import tomllib

    root = paths.repository()
    if root is None:
        pytest.skip("installed from a wheel")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert advrec_teach.__version__ == project["version"]


def test_a_course_error_is_one_line_in_a_notebook():
    from IPython.core.interactiveshell import InteractiveShell

    error = CourseError("MovieLens is not here yet. Run `advrec data movielens`.")
    assert error._render_traceback_() == ["CourseError: MovieLens is not here yet. Run `advrec data movielens`."]

    shell = InteractiveShell.instance()
    printed = []
    shell._showtraceback = lambda kind, value, lines: printed.extend(lines)
    try:
        shell.run_cell("from advrec_teach.errors import CourseError\nraise CourseError('say this')")
    finally:
        InteractiveShell.clear_instance()
    assert printed == ["CourseError: say this"]


def test_a_failed_claim_is_a_course_error():
    from advrec_teach.claims import ClaimFailed

    assert issubclass(ClaimFailed, errors.CourseError)
    assert ClaimFailed("x")._render_traceback_() == ["ClaimFailed: x"]


# --- paths


def test_this_test_runs_from_the_checkout():
    root = Path(__file__).resolve().parents[2]
    assert paths.repository() == root
    assert paths.bands_dir() == root / "lessons" / "bands"
    assert paths.sources_file() == root / "data" / "sources.toml"


def test_data_and_state_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ADVREC_DATA", str(tmp_path / "d"))
    monkeypatch.setenv("ADVREC_STATE", "~/s")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.data_dir() == tmp_path / "d"
    assert paths.state_dir() == tmp_path / "s"


def test_defaults_in_a_checkout_and_in_a_wheel(monkeypatch):
    monkeypatch.delenv("ADVREC_DATA", raising=False)
    monkeypatch.delenv("ADVREC_STATE", raising=False)
    assert paths.data_dir() == paths.repository() / "data"
    assert "advrec_teach" in paths.state_dir().parts[-1]
    assert paths.repository() not in paths.state_dir().parents

    monkeypatch.setattr(paths, "repository", lambda: None)
    package = Path(advrec_teach.__file__).parent
    assert paths.data_dir().parts[-2:] == ("advrec_teach", "data")
    assert paths.bands_dir() == package / "_bands"
    assert paths.sources_file() == package / "_sources.toml"


def test_an_empty_setting_counts_as_none(monkeypatch):
    monkeypatch.setenv("ADVREC_DATA", "")
    assert paths.data_dir() == paths.repository() / "data"


# --- tracks


@pytest.fixture
def no_track(monkeypatch):
    monkeypatch.setattr(tracks, "_active", None)
    for name in tracks.TRACKS:
        monkeypatch.delitem(sys.modules, f"advrec_teach.{name}", raising=False)


def test_no_track_is_one_clear_line(no_track):
    with pytest.raises(CourseError, match="run the set-up cell"):
        tracks.current()


@pytest.mark.parametrize("name", tracks.TRACKS)
def test_the_only_imported_track_counts_until_one_is_set_up(no_track, monkeypatch, name):
    stand_in = object()
    monkeypatch.setitem(sys.modules, f"advrec_teach.{name}", stand_in)
    assert tracks.current() == name and tracks.module() is stand_in
    other = next(track for track in tracks.TRACKS if track != name)
    monkeypatch.setitem(sys.modules, f"advrec_teach.{other}", object())
    with pytest.raises(CourseError, match="No track is set up"):
        tracks.current()
    tracks.activate(name)
    assert tracks.current() == name and tracks.module() is stand_in


def test_an_unknown_track_is_refused(no_track):
    with pytest.raises(CourseError, match="no track 'jax'; choose one of pytorch, tensorflow"):
        tracks.activate("jax")
    with pytest.raises(CourseError):
        tracks.current()


def test_every_track_has_a_title():
    assert set(tracks.TITLES) == set(tracks.TRACKS)


# --- session


@pytest.fixture
def no_session(monkeypatch):
    monkeypatch.setattr(session, "_current", None)


def test_a_session_is_what_was_begun(no_session):
    assert session.current() is None
    begun = session.begin("08", "tensorflow", "full", 2**32 - 1)
    assert session.current() is begun
    assert (begun.lesson, begun.track, begun.profile, begun.seed) == ("08", "tensorflow", "full", 2**32 - 1)
    assert session.begin(None, "pytorch", "smoke", 0).lesson is None


@pytest.mark.parametrize(
    ("lesson", "profile", "seed", "message"),
    [
        ("08", "fast", 0, "PROFILE is 'fast'; choose one of smoke, quick, full"),
        ("08", None, 0, "PROFILE is None"),
        ("8", "quick", 0, "lesson is '8'"),
        (8, "quick", 0, "lesson is 8"),
        ("ab", "quick", 0, "lesson is 'ab'"),
        ("08", "quick", -1, "SEED is -1"),
        ("08", "quick", 2**32, "SEED is 4294967296"),
        ("08", "quick", 1.0, r"SEED is 1\.0"),
        ("08", "quick", True, "SEED is True"),
        ("08", "quick", None, "SEED is None"),
    ],
)
def test_a_bad_setting_is_one_clear_line_and_changes_nothing(no_session, lesson, profile, seed, message):
    with pytest.raises(CourseError, match=message):
        session.begin(lesson, "pytorch", profile, seed)
    assert session.current() is None
