"""Exercises whose answer is one of a few options: predictions made before running."""

from collections.abc import Mapping, Sequence
from typing import Any

from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET, Exercise, Verdict


class ChoiceExercise(Exercise):
    """An exercise that asks for a letter.

    Parameters
    ----------
    identifier, title, hints
        See :class:`~advrec_teach.exercises.core.Exercise`.
    answer
        The right letter.
    explanation
        What the learner reads on the right answer: why it is so.
    wrong
        For each other letter, the thought behind it and what speaks against it.
    """

    def __init__(
        self,
        identifier: str,
        title: str,
        *,
        hints: Sequence[str],
        answer: str,
        explanation: str,
        wrong: Mapping[str, str],
    ):
        super().__init__(identifier, title, hints=hints)
        if answer in wrong or len(wrong) < 2 or len(set(wrong.values())) != len(wrong):
            raise ValueError(
                f"exercise {identifier} needs one right letter and two wrong ones, each with its own message"
            )
        self.answer, self.explanation, self.wrong = answer, explanation, dict(wrong)

    def judge(self, answer: Any) -> Verdict:
        """Compare the letter; case, blanks, brackets and a full stop do not matter."""
        letter = "" if answer is None or answer is Ellipsis else str(answer).strip(" \t\n().").lower()
        if not letter:
            return Verdict(NOT_ATTEMPTED, "write your letter first, then look at what comes next.")
        if letter == self.answer:
            return Verdict(CORRECT, self.explanation)
        if letter in self.wrong:
            return Verdict(NOT_YET, self.wrong[letter])
        letters = ", ".join(sorted([self.answer, *self.wrong]))
        return Verdict(NOT_YET, f"{answer!r} is none of the options; choose one of {letters}, in quotes.")

    def kept(self, answer: Any, verdict: Verdict) -> Any:
        """Return the learner's choice: nothing later depends on it."""
        return answer
