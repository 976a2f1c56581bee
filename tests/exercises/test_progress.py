"""The file that a learner's progress is kept in."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from advrec_teach.exercises import progress
from advrec_teach.exercises.progress import progress_file, record_of, update

FRESH = {"status": "not attempted", "attempts": 0, "hints": 0, "solution_seen": False}


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("ADVREC_STATE", str(tmp_path / "not" / "there"))
    monkeypatch.setattr(progress, "_unsaved", {})


def test_nothing_is_recorded_at_first():
    assert progress.progress() == {}
    assert progress.progress("pytorch") == {}
    assert record_of("pytorch", "00.1") == FRESH
    assert not progress_file().parent.exists()


def test_records_are_kept_by_track():
    assert update("pytorch", "00.1", status="correct", attempts=2) == {
        **FRESH,
        "status": "correct",
        "attempts": 2,
    }
    update("pytorch", "00.1", hints=1)
    update("tensorflow", "00.1", attempts=1)
    assert record_of("pytorch", "00.1") == {**FRESH, "status": "correct", "attempts": 2, "hints": 1}
    assert record_of("tensorflow", "00.1") == {**FRESH, "attempts": 1}
    assert json.loads(progress_file().read_text()) == progress.progress()


def test_a_fresh_record_is_not_shared():
    record_of("pytorch", "00.1")["attempts"] = 9
    assert record_of("pytorch", "00.1") == FRESH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        '{"pytorch": []}',
        '{"pytorch": {"00.1": []}}',
        '{"pytorch": {"00.1": {"status": "correct"}}}',
        '{"pytorch": {"00.1": {"status": 1, "attempts": "x", "hints": null, "solution_seen": 0}}}',
        "\xff\xfe",
    ],
)
def test_a_damaged_file_counts_as_empty_and_is_mended(text):
    progress_file().parent.mkdir(parents=True)
    progress_file().write_text(text, encoding="latin-1")
    assert record_of("pytorch", "00.1") == FRESH
    update("pytorch", "00.1", hints=2)
    assert record_of("pytorch", "00.1") == {**FRESH, "hints": 2}
    assert json.loads(progress_file().read_text())["pytorch"]["00.1"]["hints"] == 2


def test_a_damaged_part_does_not_cost_the_rest():
    update("pytorch", "00.1", hints=1)
    stored = json.loads(progress_file().read_text())
    stored["pytorch"]["00.2"] = "damaged"
    progress_file().write_text(json.dumps(stored))
    assert progress.progress() == {"pytorch": {"00.1": {**FRESH, "hints": 1}}}


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_file(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ADVREC_STATE", str(tmp_path / "file" / "below"))
    update("pytorch", "00.1", hints=1)
    update("pytorch", "00.1", attempts=3)
    assert record_of("pytorch", "00.1") == {**FRESH, "hints": 1, "attempts": 3}

    # Once a folder can be written, what this kernel remembers goes there too.
    monkeypatch.setenv("ADVREC_STATE", str(tmp_path / "mended"))
    update("pytorch", "00.2", status="correct")
    stored = json.loads(progress_file().read_text())["pytorch"]
    assert stored["00.1"]["attempts"] == 3 and stored["00.2"]["status"] == "correct"
    assert progress._unsaved == {}


def test_two_notebooks_write_at_once_and_lose_nothing():
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: update("pytorch", f"00.{k}", attempts=k), range(40)))
    assert {key: record["attempts"] for key, record in progress.progress("pytorch").items()} == {
        f"00.{k}": k for k in range(40)
    }


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(monkeypatch):
    update("pytorch", "00.1", hints=1)
    before = progress_file().read_bytes()

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress.os, "replace", full)
    update("pytorch", "00.1", hints=2)
    assert progress_file().read_bytes() == before
    assert [path.name for path in progress_file().parent.glob(".progress-*")] == []
    assert record_of("pytorch", "00.1")["hints"] == 2
