"""Lesson 00: right answers pass, wrong ones get their own message in both tracks, and its map tells the truth."""

import ast
import re

import numpy as np
import pytest
from verdicts import refused

from advrec_teach import data, paths
from advrec_teach.exercises import exercise, exercises
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED
from advrec_teach.exercises.differences import GIVEN, bent_loss, gradient_cases

LESSON = paths.repository() / "lessons" / "00_start_here.py"


# --- 00.1, rows of length one


def test_rows_of_length_one(advrec, ops):
    def mine(x):
        length = ops.norm(x, 1)
        return x / ops.where(length > 0, length, ops.ones_like(length))

    assert exercise("00.1").judge(mine).status == CORRECT
    assert exercise("00.1").judge(lambda x: x / (ops.norm(x, 1) + 1e-12)).status == CORRECT
    # The gradient of sum(x^2) / 2 is x, so the course's FGM scales the rows of x.
    by_attack = lambda x: advrec.fgm_delta(lambda y: ops.sum(y * y) / 2, x, eps=1.0)  # noqa: E731
    assert exercise("00.1").judge(by_attack).status == CORRECT


def test_the_course_s_own_version_is_right_and_used(advrec):
    entry = exercise("00.1")
    own = entry.course(advrec)
    assert entry.judge(own).status == CORRECT
    rows = advrec.numpy(own(advrec.tensor(np.array([[3.0, 4.0], [0.0, 0.0]]))))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)


def test_wrong_lengths_are_told_apart(advrec, ops):
    def over(length):
        """Divide by a length that NumPy computes; rows of zeros are left alone."""

        def answer(x):
            found = length(advrec.numpy(x))
            return x / advrec.tensor(np.where(found > 0, found, 1))

        return answer

    messages = {
        refused("00.1", lambda x: x / ops.norm(x, 1), "nan"),
        refused("00.1", lambda x: x / ops.norm(x, None), "whole table"),
        refused("00.1", over(lambda x: np.linalg.norm(x, axis=0, keepdims=True)), "columns"),
        refused("00.1", over(lambda x: np.abs(x).sum(1, keepdims=True)), "absolute values"),
        refused("00.1", over(lambda x: (x**2).sum(1, keepdims=True)), "root is missing"),
        refused("00.1", over(lambda x: np.abs(x).max(1, keepdims=True)), "largest"),
        refused("00.1", over(lambda x: np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1)), "shorter than 1"),
        refused("00.1", lambda x: x / (ops.norm(x, 1) + 1e-6), "add 1e-6"),
        refused("00.1", lambda x: x / (ops.norm(x, 1) + 1e-8), "add 1e-8"),
        refused("00.1", lambda x: ops.norm(x, 1), "shape"),
        refused("00.1", lambda x: 2 * x, "expected"),
    }
    assert len(messages) == 11


# --- 00.2, the long tail


def test_the_prediction_is_what_the_data_says():
    movies = data.movielens()
    counts = np.sort(np.bincount(movies.ratings["item"], minlength=movies.n_items))[::-1]
    share = counts[: movies.n_items // 10].sum() / counts.sum()
    assert min([0.1, 0.4, 0.8], key=lambda option: abs(option - share)) == 0.4
    assert exercise("00.2").judge("b").status == CORRECT


def test_the_wrong_letters_are_answered():
    assert (
        len({refused("00.2", "a", "equally often"), refused("00.2", "c", "shop"), refused("00.2", "d", "a, b, c")}) == 3
    )
    assert exercise("00.2").judge(...).status == NOT_ATTEMPTED


# --- 00.3, the check that is wrong


def difference(advrec, *, own=1e-2, formula=None, move_all=False):
    """Return an answer to 00.3 with another step, another formula or another move."""
    formula = formula or (lambda after, here, before, step: (after - before) / (2 * step))

    def answer(loss_fn, x, *, step=own):
        slopes = np.zeros(tuple(x.shape))
        for place in np.ndindex(slopes.shape):
            move = np.full(slopes.shape, float(move_all) * step)
            move[place] = step
            points = x + advrec.tensor(move), x, x - advrec.tensor(move)
            slopes[place] = formula(*(float(loss_fn(point)) for point in points), step)
        return advrec.tensor(slopes)

    return answer


@pytest.mark.parametrize("step", [1e-1, 3e-2, 1e-2, 1e-3])
def test_every_sensible_step_passes(advrec, step):
    assert exercise("00.3").judge(difference(advrec, own=step)).status == CORRECT


def test_the_course_s_own_difference_passes(advrec):
    assert exercise("00.3").judge(exercise("00.3").course(advrec)).status == CORRECT


def test_the_large_step_is_far_from_the_slope():
    """Else nobody who ignores the step would be found out; the reference agrees with its own definition."""
    for case in gradient_cases(np.random.default_rng(0)):
        loss, x = case["loss_fn"].truth, case["x"]
        slope, step = loss.gradient(x), case.get("step", 1e-5)
        move = np.zeros_like(x)
        move[0, 1] = step
        by_hand = (loss(x + move) - loss(x - move)) / (2 * step)
        assert loss.central(x, step)[0, 1] == pytest.approx(by_hand, rel=1e-12)
        if "step" in case:
            # sinh(1) is 1.1752: the difference of exp over a step of 1, relative to its slope.
            np.testing.assert_allclose(loss.central(x, step) / slope, np.sinh(1), rtol=1e-12)
        else:
            np.testing.assert_allclose(loss.central(x, step), slope, rtol=1e-8)


@pytest.mark.parametrize("outputs", [0, 4])
def test_the_loss_is_the_same_in_the_track_and_in_numpy(advrec, outputs):
    rng = np.random.default_rng(1)
    made, x = bent_loss(rng, (2, 3), outputs=outputs), rng.normal(size=(2, 3)).astype(np.float32)
    value, gradient = advrec.value_and_grad(made.build(advrec), advrec.tensor(x))
    assert float(value) == pytest.approx(made.truth(x.astype(float)), rel=1e-5)
    np.testing.assert_allclose(advrec.numpy(gradient), made.truth.gradient(x.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("step", [1e-8, 1e-9, 1e-12])
def test_another_program_whose_step_is_lost_was_an_attempt(advrec, step):
    refused("00.3", difference(advrec, own=step), "nothing but zeros")


def functions_of_the_lesson():
    """Return the trees of both versions of the program in the lesson: as given, and solved."""
    tree = ast.parse(LESSON.read_text(encoding="utf-8"))
    return [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "numerical_gradient"]


def compiled(function, advrec, **replaced):
    """Return a function of the lesson, with parts of its text replaced."""
    text = ast.unparse(function)
    for old, new in replaced.values():
        assert old in text
        text = text.replace(old, new)
    scope = {"advrec": advrec, "np": np}
    exec(compile(text, str(LESSON), "exec"), scope)
    return scope["numerical_gradient"]


def test_the_colleague_s_program_is_not_attempted_and_the_solution_is_right(advrec):
    found = functions_of_the_lesson()
    verdicts = [exercise("00.3").judge(compiled(function, advrec)) for function in found]
    assert [verdict.status for verdict in verdicts] == [NOT_ATTEMPTED, CORRECT]
    assert "nothing but zeros" in verdicts[0].message


@pytest.mark.parametrize(
    "change", [("step=1e-08", "step=1e-12"), ("2 * step", "step * 2"), ("(float(", "1.0 * (float(")]
)
def test_a_changed_program_was_an_attempt(advrec, change):
    refused("00.3", compiled(functions_of_the_lesson()[0], advrec, change=change), "nothing but zeros")


def test_the_given_program_is_the_lesson_s():
    (given,) = ast.parse(GIVEN).body
    assert ast.dump(given) == ast.dump(functions_of_the_lesson()[0])


def test_wrong_differences_are_told_apart(advrec):
    def judged(formula=None, **settings):
        return difference(advrec, formula=formula, **settings)

    ignoring = judged(own=1e-2)
    messages = {
        refused("00.3", judged(lambda after, here, before, step: (after - before) / step), "twice as large"),
        refused("00.3", judged(lambda after, here, before, step: (after - here) / (2 * step)), "half as large"),
        refused("00.3", judged(lambda after, here, before, step: (before - after) / (2 * step)), "wrong sign"),
        refused("00.3", judged(lambda after, here, before, step: (after - here) / step), "loss after the move"),
        refused("00.3", judged(lambda after, here, before, step: (here - before) / step), "loss before it"),
        refused("00.3", judged(move_all=True), "same number"),
        refused("00.3", judged(own=2.0), "too large", "smaller one"),
        refused("00.3", judged(own=1e-6), "rough", "larger step"),
        refused("00.3", judged(own=1e-7), "neighbouring float32 numbers", "much larger"),
        refused("00.3", lambda f, x, *, step=0.01: ignoring(f, x), "a step that the caller chooses"),
        refused("00.3", lambda f, x, *, step=0.01: advrec.value_and_grad(f, x)[1], "cannot check itself"),
        refused("00.3", lambda f, x, *, step=0.01: advrec.tensor(wide(advrec, f, x)), "TypeError", "got float64"),
        refused("00.3", lambda f, x: x, "TypeError"),
        refused("00.3", lambda f, x, *, step=0.01: x, "expected"),
        refused("00.3", lambda f, x, *, step=0.01: x[0], "shape"),
    }
    assert len(messages) == 15


def wide(advrec, loss_fn, x):
    """Ask for the loss at a float64 copy of x."""
    if hasattr(x, "double"):
        return [[float(loss_fn(x.double()))]]
    import tensorflow as tf

    return [[float(loss_fn(tf.cast(x, tf.float64)))]]


@pytest.mark.parametrize("limit", [1e-3, 1e-2, 1e-1])
def test_ignoring_or_limiting_the_step_is_found_with_every_step_of_its_own(advrec, limit):
    inner = difference(advrec)
    refused("00.3", lambda f, x, *, step=0.01: inner(f, x, step=limit), "a step that the caller chooses")
    refused("00.3", lambda f, x, *, step=0.01: inner(f, x, step=min(step, limit)), "a step that the caller chooses")


@pytest.mark.parametrize("step", [1e-1, 1e-2, 1e-3])
def test_a_one_sided_difference_is_found_with_every_step_of_its_own(advrec, step):
    upwards = difference(advrec, own=step, formula=lambda after, here, before, step: (after - here) / step)
    refused("00.3", upwards, "one-sided")


@pytest.mark.parametrize("step", [1e-5, 3e-6, 1e-6, 3e-7])
def test_a_rough_difference_is_never_called_bent(advrec, step):
    verdict = exercise("00.3").judge(difference(advrec, own=step))
    assert "too large: with your step" not in verdict.message


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_a_bent_difference_is_never_called_rough(advrec, step):
    assert "loss bends" in refused("00.3", difference(advrec, own=step))


# --- the map


def syllabus():
    """Return {number: (name, state)} of the map of the course in the lesson."""
    text = LESSON.read_text(encoding="utf-8")
    return {
        number: (name, state)
        for number, name, state in re.findall(r'^#\s+L(\d\d)\["(\d\d [^"]+)"\]:::(\w+)$', text, re.MULTILINE)
    }


def test_the_map_has_every_lesson_once():
    text = LESSON.read_text(encoding="utf-8")
    assert sorted(re.findall(r"^#\s+L(\d\d)\[", text, re.MULTILINE)) == [f"{n:02d}" for n in range(23)]
    assert all(name.startswith(f"{number} ") for number, (name, _) in syllabus().items())
    assert {state for _, state in syllabus().values()} == {"ready", "planned"}


def test_the_map_calls_ready_what_is_ready_and_nothing_else():
    """A new lesson has to be marked in the map; its name there is its file's."""
    stems = {path.stem[:2]: path.stem for path in LESSON.parent.glob("[0-9][0-9]_*.py")}
    ready = {number for number, (_, state) in syllabus().items() if state == "ready"}
    assert ready == set(stems)
    for number in ready:
        assert re.sub(r"[^a-z0-9]+", "_", syllabus()[number][0].lower()) == stems[number]


def test_the_alternative_text_of_the_map_agrees():
    (title,) = re.findall(r"accTitle: The map of the course: (.+)", LESSON.read_text(encoding="utf-8"))
    named = []
    for first, last in re.findall(r"\b(\d\d)(?: to (\d\d))?\b", title.partition("lessons in five parts")[2]):
        named += [f"{number:02}" for number in range(int(first), int(last or first) + 1)]
    assert named == sorted(number for number, (_, state) in syllabus().items() if state == "ready")


def test_the_lesson_has_its_three_exercises():
    assert list(exercises("00")) == ["00.1", "00.2", "00.3"]
