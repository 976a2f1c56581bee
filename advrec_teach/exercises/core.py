"""The frame of all exercises: registry, verdicts, hints and solutions.

A lesson's module ``lesson_NN.py`` holds ``EXERCISES``, a list of
:class:`~advrec_teach.exercises.functions.FunctionExercise` and
:class:`~advrec_teach.exercises.choices.ChoiceExercise`. In a notebook::

    fgsm_delta = exercise("08.1").check(fgsm_delta)   # the learner's when right, else the course's
    exercise("08.1").hint()                           # three, one at a time
    exercise("08.1").solution()                       # cut from the lesson by the build

``check`` never raises for what the answer does; it says *correct*, *not attempted*, or what is wrong.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from typing import Any

from advrec_teach import tracks
from advrec_teach.errors import CourseError
from advrec_teach.exercises import progress

NOT_ATTEMPTED = "not attempted"
NOT_YET = "not yet"
CORRECT = "correct"

_STYLE = {CORRECT: ("✓", "#0072B2"), NOT_YET: ("✗", "#D55E00"), NOT_ATTEMPTED: ("·", "#7F7F7F")}


@dataclass(frozen=True)
class Verdict:
    """What a check found: ``status`` is one of the three, ``message`` is for the learner."""

    status: str
    message: str


class Exercise:
    """One exercise of a lesson.

    Parameters
    ----------
    identifier
        ``"NN.k"``: lesson and number.
    title
        As on the exercise's card.
    hints
        Exactly three, from a nudge to almost the answer.

    Raises
    ------
    ValueError
        If the identifier is malformed or there are not three hints.
    """

    def __init__(self, identifier: str, title: str, *, hints: Sequence[str]):
        lesson, _, number = identifier.partition(".")
        if not (len(lesson) == 2 and lesson.isdigit() and number.isdigit()):
            raise ValueError(f'an exercise is called "NN.k", not {identifier!r}')
        if len(hints) != 3 or not all(hints):
            raise ValueError(f"exercise {identifier} needs three hints, it has {len(hints)}")
        self.identifier, self.title, self.hints = identifier, title, tuple(hints)

    def judge(self, answer: Any) -> Verdict:
        """Return the verdict on ``answer`` without showing or recording it."""
        raise NotImplementedError

    def kept(self, answer: Any, verdict: Verdict) -> Any:
        """Return what the notebook goes on with after this verdict."""
        raise NotImplementedError

    def check(self, answer: Any) -> Any:
        """Judge the answer, show the verdict, and return what the notebook goes on with.

        A right answer is returned as it is; otherwise the course's own version comes
        back, so that the rest of the notebook runs either way.
        """
        track = tracks.current()
        verdict = self.judge(answer)
        before = progress.record_of(track, self.identifier)
        attempted = verdict.status != NOT_ATTEMPTED
        # A later run of an untouched notebook must not take back what was already solved.
        status = CORRECT if before["status"] == CORRECT else verdict.status if attempted else before["status"]
        progress.update(track, self.identifier, status=status, attempts=before["attempts"] + (1 if attempted else 0))
        _show(verdict.status, f"{self.identifier} {verdict.status}: {verdict.message}")
        return self.kept(answer, verdict)

    def hint(self) -> None:
        """Show the next hint; after the third, show all of them again."""
        track = tracks.current()
        shown = progress.record_of(track, self.identifier)["hints"]
        if shown >= len(self.hints):
            for number, text in enumerate(self.hints, start=1):
                _show(NOT_ATTEMPTED, f"Hint {number} of {len(self.hints)}: {text}")
            _show(NOT_ATTEMPTED, f'That was all. exercise("{self.identifier}").solution() shows the solution.')
            return
        progress.update(track, self.identifier, hints=shown + 1)
        _show(NOT_ATTEMPTED, f"Hint {shown + 1} of {len(self.hints)}: {self.hints[shown]}")

    def solution(self) -> None:
        """Show the lesson's own solution in this track."""
        from IPython.display import Code, display

        track = tracks.current()
        text = _solutions().get(self.identifier, {}).get(track)
        if text is None:
            raise CourseError(f"No solution of {self.identifier} is stored; run `advrec build` in the checkout.")
        progress.update(track, self.identifier, solution_seen=True)
        display(Code(text, language="python"))


@cache
def exercises(lesson: str) -> dict[str, Exercise]:
    """Return the exercises of a lesson by identifier, empty where the lesson has none.

    Parameters
    ----------
    lesson
        Two digits, such as ``"08"``.
    """
    name = f"advrec_teach.exercises.lesson_{lesson}"
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return {}
    found = {entry.identifier: entry for entry in module.EXERCISES}
    if len(found) != len(module.EXERCISES) or not all(key.startswith(f"{lesson}.") for key in found):
        raise ValueError(f"{name} lists an exercise twice or of another lesson")
    return found


def exercise(identifier: str) -> Exercise:
    """Return the exercise called ``identifier``, such as ``"08.1"``.

    Raises
    ------
    CourseError
        If there is none of that name; the message lists the lesson's exercises.
    """
    lesson = str(identifier).partition(".")[0]
    found = exercises(lesson)
    if identifier not in found:
        known = ", ".join(sorted(found)) or "none"
        raise CourseError(f"There is no exercise {identifier!r}; lesson {lesson} has: {known}.")
    return found[identifier]


@cache
def _solutions() -> dict[str, dict[str, str]]:
    path = resources.files("advrec_teach.exercises") / "solutions.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _show(status: str, text: str) -> None:
    from IPython.display import display

    mark, colour = _STYLE[status]
    rich = (
        f'<div style="border-left:4px solid {colour};padding:2px 8px;white-space:pre-wrap">'
        f'<b style="color:{colour}">{mark}</b> {html.escape(text)}</div>'
    )
    display({"text/plain": f"{mark} {text}", "text/html": rich}, raw=True)
