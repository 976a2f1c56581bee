"""The frame of the exercises: registry, verdicts, hints, solutions, and how functions are judged.

A track is played by NumPy here; the lessons' own tests run in the real ones.
"""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from advrec_teach import tracks
from advrec_teach.errors import CourseError
from advrec_teach.exercises import core, progress
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception


def _tensor(array, dtype=None):
    array = np.asarray(array)
    return array.astype(np.float32 if array.dtype.kind == "f" else array.dtype)


@pytest.fixture(autouse=True)
def numpy_track(monkeypatch, tmp_path):
    """A NumPy track, its progress in an empty folder."""
    monkeypatch.setenv("ADVREC_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(tracks, "current", lambda: "pytorch")
    monkeypatch.setattr(tracks, "module", lambda: SimpleNamespace(tensor=_tensor, numpy=np.asarray))
    monkeypatch.setattr(progress, "_unsaved", {})


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr(core, "_show", lambda status, text: texts.append((status, text)))
    return texts


def scale(x, *, factor):
    return factor * x


def make(**changes):
    settings = {
        "hints": ("look", "look closer", "multiply"),
        "cases": lambda rng: [
            {"x": rng.normal(size=(3, 2)), "factor": 0.5},
            {"x": np.ones(4), "factor": 3.0},
        ],
        "keywords": ("factor",),
        "reference": scale,
        "course": lambda advrec: scale,
        "misconceptions": (
            Misconception("adds", "That adds the factor.", lambda x, *, factor: x + factor),
            Misconception("divides", "That divides.", lambda x, *, factor: x / factor),
            Misconception("as found", "The bug is still there.", lambda x, *, factor: -factor * x, as_given=True),
        ),
    }
    return FunctionExercise("99.1", "scaling", **{**settings, **changes})


def test_a_right_answer_is_kept_and_recorded(shown):
    def mine(x, *, factor):
        return x * factor

    assert make().check(mine) is mine
    assert shown == [("correct", "99.1 correct: scaling. From here on the notebook uses your function.")]
    assert progress.record_of("pytorch", "99.1") == {
        "status": "correct",
        "attempts": 1,
        "hints": 0,
        "solution_seen": False,
    }


def test_a_wrong_answer_is_replaced_by_the_course_s(shown):
    assert make().check(lambda x, *, factor: x + factor) is scale
    status, text = shown[0]
    assert status == "not yet" and "That adds the factor." in text and "course's function" in text
    assert progress.record_of("pytorch", "99.1")["status"] == "not yet"


def _stub(x, *, factor):
    """A docstring."""
    ...  # YOUR CODE HERE


def _only_docstring(x, *, factor):
    """Return factor times x."""


def _passes(x, *, factor):
    pass


def _closure():
    kept = 1

    def stub(x, *, factor):
        """Mention kept, and do nothing."""
        if False:
            return kept
        ...

    return stub


def _raises(x, *, factor):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [_stub, _only_docstring, _passes, _closure(), _raises, ..., None])
def test_an_untouched_stub_is_not_attempted_and_not_counted(shown, answer):
    assert make().check(answer) is scale
    assert shown[0][0] == "not attempted"
    assert progress.record_of("pytorch", "99.1")["attempts"] == 0


def test_the_program_of_a_bug_hunt_counts_as_not_attempted():
    verdict = make().judge(lambda x, *, factor: -factor * x)
    assert verdict.status == "not attempted" and verdict.message.startswith("The bug is still there.")


def test_a_solved_exercise_stays_solved_when_the_stub_runs_again(shown):
    make().check(scale)
    make().check(_stub)
    make().check(lambda x, *, factor: x)
    record = progress.record_of("pytorch", "99.1")
    assert record["status"] == "correct" and record["attempts"] == 2


def _forgets_to_return(x, *, factor):
    scaled = factor * x  # noqa: F841


def _changes_its_input(x, *, factor):
    x *= factor
    return x.copy()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (_forgets_to_return, "returned nothing"),
        (lambda x, *, factor: (factor * x)[:-1], "has shape (2, 2), expected (3, 2)"),
        (lambda x, *, factor: np.full(x.shape, np.nan), "nan or infinity"),
        (lambda x, *, factor: np.full(x.shape, np.inf), "nan or infinity"),
        (lambda x, *, factor: factor * x + 0.001, "entry [0, 0] of the result is"),
        (lambda x, *, factor: x.astype(str), "expected numbers"),
        (lambda x, *, factor: "a text", "has shape (), expected (3, 2)"),
        (lambda x, *, factor: (x, x), "should return one value, it returned 2"),
        (lambda x: x, "stopped with TypeError"),
        (lambda x, *, factor: x[10], "stopped with IndexError"),
        (_changes_its_input, "changed the input x in place"),
        ([1.0, 2.0], "takes the function itself, and this is a list"),
        (3.0, "takes the function itself, and this is a float"),
    ],
)
def test_what_is_wrong_is_said(answer, message):
    verdict = make().judge(answer)
    assert verdict.status == "not yet"
    assert message in verdict.message


def test_an_error_names_the_learner_s_own_line():
    def mine(x, *, factor):
        return np.linalg.inv(x @ x) * factor

    assert "at `return np.linalg.inv(x @ x) * factor`" in make().judge(mine).message


def test_the_tolerance_is_relative_and_small():
    exercise = make()
    assert exercise.judge(lambda x, *, factor: factor * x * (1 + 3e-6)).status == "correct"
    assert exercise.judge(lambda x, *, factor: factor * x * (1 + 1e-4)).status == "not yet"


@pytest.mark.parametrize(
    ("truth", "answer", "right"),
    [
        (np.inf, np.inf, True),
        (np.inf, -np.inf, False),
        (np.inf, 5.0, False),
        (-np.inf, np.nan, False),
        (np.nan, np.nan, True),
        (np.nan, 1.0, False),
    ],
)
def test_infinite_truths_have_to_be_met_exactly(truth, answer, right):
    exercise = make(
        cases=lambda rng: [{"x": np.ones(2), "factor": 1.0}],
        reference=lambda x, factor: np.array([1.0, truth]),
    )
    verdict = exercise.judge(lambda x, *, factor: np.array([1.0, answer]))
    assert (verdict.status == "correct") is right


def test_a_division_by_zero_in_an_answer_warns_nobody(recwarn):
    assert make().judge(lambda x, *, factor: x / np.zeros_like(x)).status == "not yet"
    assert not recwarn.list


def test_several_values_are_compared_one_by_one():
    both = make(reference=lambda x, factor: (factor * x, x.sum()))
    assert both.judge(lambda x, *, factor: (factor * x, x.sum())).status == "correct"
    assert both.judge(lambda x, *, factor: [factor * x, x.sum()]).status == "correct"
    assert "returned value 2" in both.judge(lambda x, *, factor: (factor * x, x.sum() + 1)).message
    assert "should return 2 values, it returned 3" in both.judge(lambda x, *, factor: (x, x, x)).message
    assert "should return 2 values, it returned one value" in both.judge(lambda x, *, factor: x).message
    assert "returned a dict" in both.judge(lambda x, *, factor: {"a": x, "b": x}).message


def test_plain_numbers_count_as_several_values_where_several_are_asked_for():
    both = make(reference=lambda x, factor: (factor * x.sum(), x.sum()))
    assert both.judge(lambda x, *, factor: (float(factor * x.sum()), float(x.sum()))).status == "correct"
    message = both.judge(lambda x, *, factor: (float(factor * x.sum()), 1.0)).message
    assert "returned value 2: the result is 1" in message
    assert "should return 2 values, it returned 3" in both.judge(lambda x, *, factor: [1.0, 2.0, 3.0]).message


def test_plain_and_numpy_truth_values_may_stand_in_one_list():
    both = make(
        cases=lambda rng: [{"x": 1.0, "factor": 2.0}], reference=lambda x, factor: np.array([x > factor, x < factor])
    )
    assert both.judge(lambda x, *, factor: [x > factor, np.float64(x) < factor]).status == "correct"
    assert both.judge(lambda x, *, factor: (np.float64(x) > factor, x < factor)).status == "correct"
    assert both.judge(lambda x, *, factor: [x > factor, np.float64(x) > factor]).status == "not yet"


def _slopes(loss_fn, x):
    """Central differences, in place of a framework; a cut is played by a plain float."""
    if type(loss_fn(x)) is float:  # a NumPy number is an instance too
        raise ValueError("not a tensor")
    return loss_fn(x), np.array([(loss_fn(x + h) - loss_fn(x - h)) / 2e-3 for h in 1e-3 * np.eye(len(x))])


def test_each_of_several_values_is_differentiated(monkeypatch):
    track = SimpleNamespace(tensor=lambda a: np.asarray(a, float), numpy=np.asarray, value_and_grad=_slopes)
    monkeypatch.setattr(tracks, "module", lambda: track)
    both = make(
        cases=lambda rng: [{"x": rng.normal(size=3), "y": rng.normal(size=3)}],
        keywords=(),
        # The second value does not depend on y, so nothing is asked of its gradient there.
        reference=lambda x, y: ((x * y).sum(), (x**2).sum()),
        differentiate=("x", "y"),
    )
    assert both.judge(lambda x, y: ((x * y).sum(), (x**2).sum())).status == "correct"
    message = both.judge(lambda x, y: ((x * y).sum(), float((x**2).sum()))).message
    assert "no gradient of returned value 2 reaches x" in message and ".item()" in message
    first = both._cases()[0]["x"]
    message = both.judge(lambda x, y: ((x * y).sum(), (first**2).sum() + 0 * x.sum())).message
    assert "the gradient of returned value 2 with respect to x" in message


def test_a_misconception_has_to_explain_every_case():
    # Equal to "adds" on the second case alone.
    verdict = make().judge(lambda x, *, factor: x + 3.0)
    assert verdict.status == "not yet" and "That adds" not in verdict.message


def test_a_misconception_that_fails_on_a_case_explains_nothing():
    def impossible(x, *, factor):
        raise ZeroDivisionError

    wrong = Misconception("impossible", "never", impossible)
    assert "never" not in make(misconceptions=(wrong,) * 3).judge(lambda x, *, factor: x).message


def test_made_inputs_are_built_in_the_track_and_watched():
    weights = np.ones(2, dtype=np.float32)

    def build(advrec):
        return SimpleNamespace(weights=weights, tensor=advrec.tensor)

    made = Made(build, truth=np.ones(2), watch=lambda model: [model.weights])
    exercise = make(
        cases=lambda rng: [{"model": made, "x": np.arange(2.0)}],
        keywords=(),
        reference=lambda model, x: model @ x,
    )
    assert exercise.judge(lambda model, x: model.weights @ x).status == "correct"

    def trains(model, x):
        value = model.weights @ x
        model.weights += 1
        return value

    assert "changed a parameter of model in place" in exercise.judge(trains).message


def test_cases_are_the_same_at_every_check():
    seen = []

    def mine(x, *, factor):
        seen.append(x.copy())
        return factor * x

    exercise = make()
    exercise.judge(mine), exercise.judge(mine)
    assert np.array_equal(seen[0], seen[2]) and not np.array_equal(seen[0], np.zeros((3, 2)))


def test_the_reference_gets_the_numbers_that_the_tensors_hold():
    # 1e8 + 1 is not a float32: were the truth computed from it, a right answer would be refused.
    exercise = make(
        cases=lambda rng: [{"x": np.array([1e8 + 1]), "factor": 1.0}],
        reference=lambda x, factor: x - 1e8,
    )
    assert exercise.judge(lambda x, *, factor: x - np.float32(1e8)).status == "correct"


def test_hints_come_one_at_a_time(shown):
    exercise = make()
    for _ in range(3):
        exercise.hint()
    assert [text for _, text in shown] == [
        "Hint 1 of 3: look",
        "Hint 2 of 3: look closer",
        "Hint 3 of 3: multiply",
    ]
    exercise.hint()
    assert len(shown) == 7 and "solution()" in shown[-1][1]
    assert progress.record_of("pytorch", "99.1")["hints"] == 3


def test_hints_advance_where_nothing_can_be_saved(shown, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ADVREC_STATE", str(tmp_path / "file" / "below"))
    exercise = make()
    exercise.hint(), exercise.hint()
    assert [text for _, text in shown] == ["Hint 1 of 3: look", "Hint 2 of 3: look closer"]


def test_the_solution_is_shown_in_the_track_and_remembered(monkeypatch, tmp_path):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda value, **_: displayed.append(value.data))
    monkeypatch.setattr(core, "_solutions", lambda: {"99.1": {"pytorch": "torch's", "tensorflow": "tf's"}})
    make().solution()
    assert displayed == ["torch's"]
    assert progress.record_of("pytorch", "99.1")["solution_seen"] is True


def test_a_missing_solution_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(core, "_solutions", lambda: {"99.1": {"tensorflow": "tf's"}})
    with pytest.raises(CourseError, match=r"No solution of 99\.1 is stored; run `advrec build`"):
        make().solution()


def test_solutions_are_read_from_the_package(monkeypatch, tmp_path):
    (tmp_path / "solutions.json").write_text(json.dumps({"99.1": {"pytorch": "x"}}))
    monkeypatch.setattr(core.resources, "files", lambda package: tmp_path)
    core._solutions.cache_clear()
    try:
        assert core._solutions() == {"99.1": {"pytorch": "x"}}
    finally:
        core._solutions.cache_clear()


def test_an_exercise_is_found_by_its_number(monkeypatch):
    first = make()
    monkeypatch.setattr(core, "exercises", lambda lesson: {"99.1": first} if lesson == "99" else {})
    assert core.exercise("99.1") is first
    with pytest.raises(CourseError, match=r"no exercise '99\.7'; lesson 99 has: 99\.1\."):
        core.exercise("99.7")


@pytest.mark.parametrize("name", ["77.1", "", "08", 8.1, "../x", None])
def test_an_unknown_exercise_is_one_clear_line(name):
    with pytest.raises(CourseError, match="There is no exercise"):
        core.exercise(name)


def test_an_error_inside_a_lesson_s_module_is_not_hidden(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")

    monkeypatch.setattr(core, "import_module", broken)
    core.exercises.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="elsewhere"):
        core.exercises("98")


@pytest.mark.parametrize("identifiers", [("97.1", "97.1"), ("97.1", "96.1")])
def test_a_lesson_that_lists_an_exercise_wrongly_is_refused(monkeypatch, identifiers):
    entries = []
    for identifier in identifiers:
        entry = make()
        entry.identifier = identifier
        entries.append(entry)
    monkeypatch.setattr(core, "import_module", lambda name: SimpleNamespace(EXERCISES=entries))
    core.exercises.cache_clear()
    with pytest.raises(ValueError, match="twice or of another lesson"):
        core.exercises("97")


@pytest.mark.parametrize("identifier", ["8.1", "081", "08.x", "ab.1", "08."])
def test_a_malformed_identifier_is_refused(identifier):
    with pytest.raises(ValueError, match=r'is called "NN\.k"'):
        core.Exercise(identifier, "title", hints=("a", "b", "c"))


@pytest.mark.parametrize("hints", [(), ("a", "b"), ("a", "b", ""), ("a", "b", "c", "d")])
def test_an_exercise_has_three_hints(hints):
    with pytest.raises(ValueError, match="needs three hints"):
        core.Exercise("08.1", "title", hints=hints)


def test_an_exercise_has_three_misconceptions():
    wrong = Misconception("a", "b", scale)
    with pytest.raises(ValueError, match="needs three named misconceptions, it has 2"):
        make(misconceptions=(wrong, wrong))


def test_a_verdict_is_displayed_as_text_and_as_escaped_html(monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: displayed.append(bundle))
    core._show("not yet", "a < b")
    assert displayed[0]["text/plain"] == "✗ a < b"
    assert "a &lt; b" in displayed[0]["text/html"]


def test_the_function_that_was_lent_does_not_pass_as_the_learners(shown):
    """A check cell run twice would otherwise call the course's function correct."""
    exercise = make()
    lent = exercise.check(lambda x, *, factor: x + factor)
    assert lent is scale
    assert exercise.check(lent) is scale
    assert [status for status, _ in shown] == ["not yet", "not attempted"]
    assert "run the cell that defines yours" in shown[-1][1]


def test_a_list_of_rows_is_told_to_become_an_array():
    for rows in (lambda x: list(x), lambda x: x.tolist()):
        table = make(cases=lambda rng: [{"x": rng.normal(size=(3, 2)), "factor": 0.5}])
        message = table.judge(lambda x, *, factor, rows=rows: rows(x * factor)).message
        assert "returned a list of rows: np.array(rows)" in message


def test_a_notice_may_refuse_what_has_the_right_value_and_does_not_hide_a_misconception():
    noticed = make(notice=lambda result, truth, x, factor: "not by half" if factor == 0.5 else None)
    assert "not by half" in noticed.judge(lambda x, *, factor: x * factor).message
    assert "adds the factor" in noticed.judge(lambda x, *, factor: x + factor).message
