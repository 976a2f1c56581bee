"""Exercises that ask for a letter."""

import pytest

from advrec_teach import tracks
from advrec_teach.exercises import core, progress
from advrec_teach.exercises.choices import ChoiceExercise

WRONG = {"a": "Too small.", "c": "Too large."}


def make(**changes):
    settings = {"hints": ("one", "two", "three"), "answer": "b", "explanation": "Half.", "wrong": WRONG}
    return ChoiceExercise("99.2", "a guess", **{**settings, **changes})


@pytest.mark.parametrize("answer", ["b", "B", " b ", "b)", "(b)", "b."])
def test_the_right_letter_however_it_is_written(answer):
    verdict = make().judge(answer)
    assert (verdict.status, verdict.message) == ("correct", "Half.")


@pytest.mark.parametrize(("answer", "message"), [("a", "Too small."), ("C", "Too large.")])
def test_each_wrong_letter_has_its_own_message(answer, message):
    verdict = make().judge(answer)
    assert (verdict.status, verdict.message) == ("not yet", message)


@pytest.mark.parametrize("answer", [..., None, "", "  "])
def test_no_letter_is_not_attempted(answer):
    assert make().judge(answer).status == "not attempted"


@pytest.mark.parametrize("answer", ["d", "half", 2, 0.5, ["b"], b"b"])
def test_anything_else_is_told_the_letters(answer):
    verdict = make().judge(answer)
    assert verdict.status == "not yet" and "choose one of a, b, c, in quotes" in verdict.message


def test_check_returns_the_choice_and_records_it(monkeypatch, tmp_path):
    monkeypatch.setenv("ADVREC_STATE", str(tmp_path))
    monkeypatch.setattr(tracks, "current", lambda: "tensorflow")
    shown = []
    monkeypatch.setattr(core, "_show", lambda status, text: shown.append(text))
    assert make().check("c") == "c"
    assert make().check("b") == "b"
    assert shown == ["99.2 not yet: Too large.", "99.2 correct: Half."]
    record = progress.record_of("tensorflow", "99.2")
    assert (record["status"], record["attempts"]) == ("correct", 2)
    assert progress.progress("pytorch") == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": "a"},
        {"wrong": {"a": "Too small."}},
        {"wrong": {"a": "The same.", "c": "The same."}},
    ],
)
def test_options_have_to_be_told_apart(changes):
    with pytest.raises(ValueError, match="needs one right letter and two wrong ones"):
        make(**changes)
