"""Lesson 00: right answers pass, wrong ones get their own message in both tracks, and its map tells the truth."""

import ast
import re

import numpy as np
import pytest

from advrec_teach import data, paths
from advrec_teach.exercises import exercise, exercises
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET

LESSON = paths.repository() / "lessons" / "00_start_here.py"


def refused(identifier, answer, *words):
    verdict = exercise(identifier).judge(answer)
    assert verdict.status == NOT_YET
    for word in words:
        assert word in verdict.message
    return verdict.message


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
        refused("00.1", lambda x: ops.norm(x, 1), "shape"),
        refused("00.1", lambda x: 2 * x, "expected"),
    }
    assert len(messages) == 8


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


def test_other_right_answers_pass(advrec):
    exact = lambda f, x, *, step=0.01: advrec.value_and_grad(f, x)[1]  # noqa: E731
    assert exercise("00.3").judge(exact).status == CORRECT
    assert exercise("00.3").judge(exercise("00.3").course(advrec)).status == CORRECT
    one_side = difference(advrec, own=1e-3, formula=lambda after, here, before, step: (after - here) / step)
    assert exercise("00.3").judge(lambda f, x, *, step=1e-3: one_side(f, x, step=min(step, 1e-3))).status == CORRECT


@pytest.mark.parametrize("step", [1e-8, 1e-9, 1e-12])
def test_a_step_that_is_lost_counts_as_not_attempted(advrec, step):
    verdict = exercise("00.3").judge(difference(advrec, own=step))
    assert verdict.status == NOT_ATTEMPTED and "nothing but zeros" in verdict.message


def test_the_colleague_s_program_is_not_attempted_and_the_solution_is_right(advrec):
    tree = ast.parse(LESSON.read_text(encoding="utf-8"))
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "numerical_gradient"]
    assert len(found) == 2
    verdicts = []
    for function in found:
        scope = {"advrec": advrec, "np": np}
        exec(compile(ast.Module([function], []), str(LESSON), "exec"), scope)
        verdicts.append(exercise("00.3").judge(scope["numerical_gradient"]).status)
    assert verdicts == [NOT_ATTEMPTED, CORRECT]


def test_wrong_differences_are_told_apart(advrec):
    def judged(formula=None, **settings):
        return difference(advrec, formula=formula, **settings)

    messages = {
        refused("00.3", judged(lambda after, here, before, step: (after - before) / step), "twice as large"),
        refused("00.3", judged(lambda after, here, before, step: (after - here) / (2 * step)), "half as large"),
        refused("00.3", judged(lambda after, here, before, step: (before - after) / (2 * step)), "wrong sign"),
        refused("00.3", judged(move_all=True), "same number"),
        refused("00.3", judged(own=1.0), "too large", "smaller one"),
        refused("00.3", judged(own=1e-6), "rough", "larger step"),
        refused("00.3", lambda f, x: x, "TypeError"),
        refused("00.3", lambda f, x, *, step=0.01: x, "expected"),
        refused("00.3", lambda f, x, *, step=0.01: x[0], "shape"),
    }
    assert len(messages) == 9


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
    named = re.findall(r"\b\d\d\b", title.partition("lessons in five parts")[2])
    assert named == sorted(number for number, (_, state) in syllabus().items() if state == "ready")


def test_the_lesson_has_its_three_exercises():
    assert list(exercises("00")) == ["00.1", "00.2", "00.3"]
