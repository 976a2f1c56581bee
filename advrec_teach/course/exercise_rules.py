"""Rules for exercises: a card, an answer to clear, a check with hints, in both tracks."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from advrec_teach.course.lessons import Cell, Lesson, LessonError, cards, regions
from advrec_teach.tracks import TITLES, TRACKS

HINTS = 3

Registry = Callable[[str], Mapping[str, Any]]


def checked(source: str) -> list[str]:
    """Return the identifiers of all ``exercise("NN.k").check(`` calls in the code, in order."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "check"):
            continue
        maker = node.func.value
        if (
            isinstance(maker, ast.Call)
            and isinstance(maker.func, ast.Name)
            and maker.func.id == "exercise"
            and len(maker.args) == 1
            and isinstance(maker.args[0], ast.Constant)
        ):
            found.append((node.lineno, str(maker.args[0].value)))
    return [identifier for _, identifier in sorted(found)]


def problems(lesson: Lesson, registry: Registry) -> Iterator[LessonError]:
    """Yield everything that is wrong with a lesson's exercises.

    Parameters
    ----------
    lesson
        A lesson whose code cells are Python.
    registry
        Gives the registered exercises of a lesson's number, by identifier.
    """
    yield from _cards(lesson)
    registered = registry(lesson.number)
    reported: set[tuple[int, str]] = set()
    for track in TRACKS:
        # A cell of both tracks is judged twice and reported once.
        for cell, text in _exercise_flow(lesson, track, registered):
            if (cell.number, text) not in reported:
                reported.add((cell.number, text))
                yield lesson.error(text, cell)


def _cards(lesson: Lesson) -> Iterator[LessonError]:
    seen = 0
    for cell in lesson.cells:
        if cell.kind != "markdown":
            continue
        headings = re.findall(r"^#+[ \t]*Exercise\b.*$", cell.source, re.MULTILINE)
        found = cards(cell.source)
        if len(headings) != len(found):
            yield lesson.error(
                f"an exercise's card reads `### Exercise {lesson.number}.1 · title · 10 min · **`.", cell
            )
            return
        if found and cell.track:
            yield lesson.error("an exercise's card stands in a cell of both tracks.", cell)
        if len(found) > 1:
            yield lesson.error("a cell holds one exercise's card, not two.", cell)
        for card in found:
            seen += 1
            if card.identifier != f"{lesson.number}.{seen}":
                yield lesson.error(f"exercise {card.identifier} comes where {lesson.number}.{seen} is due.", cell)
                return


def _exercise_flow(lesson: Lesson, track: str, registered: Mapping[str, Any]) -> Iterator[tuple[Cell, str]]:
    """Follow one track's cells: every card has its answer and then its check before the next card."""
    card: str | None = None
    card_cell: Cell | None = None
    answered = done = True
    view = lesson.view(track)

    def unfinished() -> Iterator[tuple[Cell, str]]:
        if card_cell is not None and not answered:
            yield card_cell, f"exercise {card} has no cell tagged exercise in the {TITLES[track]} track."
        if card_cell is not None and not done:
            yield (
                card_cell,
                f"exercise {card} has no check in the {TITLES[track]} track: "
                f'exercise("{card}").check(...) is missing before the next card.',
            )

    for place, cell in enumerate(view):
        if cell.kind == "markdown":
            for found in cards(cell.source):
                yield from unfinished()
                card, card_cell, answered, done = found.identifier, cell, False, False
            continue
        if cell.has("exercise") and cell.has("solution"):
            yield cell, "a cell is tagged exercise or solution, not both."
        elif cell.has("exercise"):
            answered = True
            if card is None:
                yield cell, "an exercise stands below its card, `### Exercise ...`."
            following = next((other for other in view[place + 1 :] if other.kind == "code"), None)
            solved_after = following is not None and following.has("solution")
            if not any(regions(cell.source)) and not solved_after:
                yield (
                    cell,
                    "an exercise has no solution: neither a solution region nor a solution cell after it.",
                )
        elif cell.has("solution"):
            before = next((other for other in reversed(view[:place]) if other.kind == "code"), None)
            if before is None or not (before.has("exercise") or before.has("solution")):
                yield cell, "a solution cell stands right after the exercise that it solves."
        for identifier in checked(cell.source):
            yield from _registered(cell, identifier, registered)
            if identifier != card:
                place_of = f"below the card of {card}" if card else "before any card"
                yield cell, f"the check of exercise {identifier} stands {place_of}."
            elif cell.has("solution"):
                yield cell, "a check stands outside solution cells: a learner's notebook has none of them."
            done = done or identifier == card
    yield from unfinished()


def _registered(cell: Cell, identifier: str, registered: Mapping[str, Any]) -> Iterator[tuple[Cell, str]]:
    exercise = registered.get(identifier)
    lesson = identifier.split(".")[0]
    if exercise is None:
        yield (
            cell,
            f"exercise {identifier} is checked, and advrec_teach/exercises/lesson_{lesson}.py has none of it.",
        )
    elif len(exercise.hints) != HINTS:
        yield cell, f"exercise {identifier} has {len(exercise.hints)} hints; it needs {HINTS}."
