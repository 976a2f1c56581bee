"""What holds for every exercise of every lesson: its own solution passes, its stub is not attempted."""

import json
from itertools import combinations

import numpy as np
import pytest

from advrec_teach import paths
from advrec_teach.exercises import exercises
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.core import NOT_ATTEMPTED
from advrec_teach.exercises.functions import FunctionExercise, _difference, _numpy_inputs, _truth
from advrec_teach.tracks import TRACKS

LESSONS = sorted(path.name[:2] for path in (paths.repository() / "lessons").glob("[0-9][0-9]_*.py"))
ALL = [entry for lesson in LESSONS for entry in exercises(lesson).values()]
FUNCTIONS = [entry for entry in ALL if isinstance(entry, FunctionExercise)]
SOLUTIONS = json.loads((paths.repository() / "advrec_teach/exercises/solutions.json").read_text(encoding="utf-8"))


def by_name(entries):
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.identifier)


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_has_three_exercises_with_a_prediction(lesson):
    found = exercises(lesson).values()
    assert len(found) >= 3
    assert any(isinstance(entry, ChoiceExercise) for entry in found)
    assert any(isinstance(entry, FunctionExercise) for entry in found)


@by_name(ALL)
@pytest.mark.parametrize("name", TRACKS)
def test_the_solved_notebook_was_judged_correct(entry, name):
    """The committed solution was executed, and its check said so; nbval holds it to that."""
    (path,) = (paths.repository() / "solutions" / name).glob(f"{entry.identifier[:2]}_*.ipynb")
    shown = [
        output["data"]["text/plain"]
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
        if "text/plain" in output.get("data", {})
    ]
    assert any("".join(text).startswith(f"✓ {entry.identifier} correct") for text in shown)


@by_name(ALL)
@pytest.mark.parametrize("name", TRACKS)
def test_a_solution_is_stored(entry, name):
    assert SOLUTIONS[entry.identifier][name].strip()


@by_name(FUNCTIONS)
def test_an_untouched_stub_is_not_attempted(entry, advrec):
    def stub(*positional, **keywords):
        """What the learner finds."""
        ...  # YOUR CODE HERE

    assert entry.judge(stub).status == NOT_ATTEMPTED
    assert entry.judge(None).status == NOT_ATTEMPTED


@by_name(FUNCTIONS)
def test_misconceptions_differ_from_the_truth_and_from_each_other(entry):
    """Otherwise a right answer could be called wrong, or a wrong one by another's name."""
    cases = entry._cases()
    with np.errstate(all="ignore"):
        outcomes = {"the reference": [_truth(entry.reference(**_numpy_inputs(case))) for case in cases]}
        for wrong in entry.misconceptions:
            outcomes[wrong.name] = [_truth(wrong.answer(**_numpy_inputs(case))) for case in cases]
        for (one, first), (other, second) in combinations(outcomes.items(), 2):
            same = all(_difference(a, b, entry.tolerance) is None for a, b in zip(first, second, strict=True))
            assert not same, f"{one} and {other} give the same results on every case"


@by_name(FUNCTIONS)
def test_messages_are_the_misconceptions_own(entry):
    messages = [wrong.message for wrong in entry.misconceptions]
    assert len(set(messages)) == len(messages) >= 3
