"""Exercises that ask what a run died of, and answer with what its curves say against a wrong diagnosis."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET, Exercise, Verdict
from advrec_teach.logs import Curves


@dataclass(frozen=True)
class Sign:
    """What a diagnosis leads to expect of one curve.

    Attributes
    ----------
    tag
        The curve's tag; judged is its median over the second half of the run.
    expected
        The end of the sentence "with this diagnosis, ...".
    shown
        How the value is told, with ``{}`` for the value.
    holds
        Whether a value fits.
    """

    tag: str
    expected: str
    shown: str
    holds: Callable[[float], bool]


@dataclass(frozen=True)
class Diagnosis:
    """A letter's meaning and its signs, the most telling first."""

    name: str
    signs: Sequence[Sign]


def second_half(curves: Curves, tag: str) -> float:
    """Return the median of a curve over the second half of its run."""
    steps, values = curves[tag]
    return float(np.median(values[steps >= steps[-1] / 2]))


class DiagnosisExercise(Exercise):
    """An exercise that asks for one letter a run.

    The answer is a pair: a dict from run to letter, and the runs' curves as ``logs.read_events`` returns them, so that
    a wrong diagnosis is answered from the curves that the learner sees.

    Parameters
    ----------
    identifier, title, hints
        See :class:`~advrec_teach.exercises.core.Exercise`.
    truth
        Run to right letter.
    diagnoses
        Letter to diagnosis.
    """

    def __init__(
        self,
        identifier: str,
        title: str,
        *,
        hints: Sequence[str],
        truth: Mapping[str, str],
        diagnoses: Mapping[str, Diagnosis],
    ):
        super().__init__(identifier, title, hints=hints)
        self.truth, self.diagnoses = dict(truth), dict(diagnoses)

    def contradiction(self, letter: str, curves: Curves) -> str | None:
        """Return what these curves say against a diagnosis, or None where every sign fits."""
        for sign in self.diagnoses[letter].signs:
            value = second_half(curves, sign.tag)
            if not sign.holds(value):
                return f"{sign.expected}; here {sign.shown.format(f'{value:.2g}')}"
        return None

    def judge(self, answer: Any) -> Verdict:
        """Compare run by run; each wrong one is told what contradicts it."""
        if answer is None or answer is Ellipsis:
            return Verdict(NOT_ATTEMPTED, "write one letter for each run first.")
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Mapping)):
            return Verdict(NOT_YET, "check() takes a pair: your letters by run, and the curves by run.")
        given, runs = answer
        if not isinstance(given, Mapping):
            first = next(iter(self.truth))
            return Verdict(NOT_YET, f'give the letters as a dict, from run to letter, such as {{"{first}": "a", ...}}.')
        letters = {run: "" if v is None or v is Ellipsis else str(v).strip(" ().").lower() for run, v in given.items()}
        if not any(letters.values()):
            return Verdict(NOT_ATTEMPTED, "write one letter for each run first.")
        if missing := sorted(set(self.truth) - set(runs)):
            return Verdict(NOT_YET, f"there are no curves of {', '.join(missing)}: run the cell that reads the logs.")
        known = ", ".join(sorted(self.diagnoses))
        wrong = []
        for run, right in self.truth.items():
            letter = letters.get(run, "")
            if not letter:
                wrong.append(f"{run}: no letter yet.")
            elif letter not in self.diagnoses:
                wrong.append(f"{run}: {given[run]!r} is none of {known}.")
            elif letter != right:
                against = self.contradiction(letter, runs[run])
                if against is None:  # a run at the edge of its illness
                    against = "no single curve rules it out, but another diagnosis fits them together better"
                wrong.append(f"{run} is not {self.diagnoses[letter].name}: {against}.")
        if wrong:
            found = len(self.truth) - len(wrong)
            return Verdict(NOT_YET, f"{found} of {len(self.truth)} are right.\n" + "\n".join(wrong))
        return Verdict(CORRECT, f"{self.title}.")

    def kept(self, answer: Any, verdict: Verdict) -> Any:
        """Return the learner's letters: nothing later depends on them."""
        return answer[0] if isinstance(answer, tuple) and answer else answer
