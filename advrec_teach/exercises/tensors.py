"""Exercises whose answer has to stay in the learner's framework."""

from collections.abc import Callable
from typing import Any

import numpy as np

from advrec_teach import tracks
from advrec_teach.exercises.core import CORRECT, Verdict
from advrec_teach.exercises.functions import FunctionExercise, _build, _kind


class TensorExercise(FunctionExercise):
    """A function that returns a tensor: the right numbers as a float or in a NumPy array are refused.

    For results that need no gradient of their own, where ``differentiate`` would ask too much.
    """

    def _judge(self, answer: Callable[..., Any]) -> Verdict:
        verdict = super()._judge(answer)
        if verdict.status != CORRECT:
            return verdict
        advrec = tracks.module()
        result = self._call(answer, {name: _build(value, advrec) for name, value in self._cases()[0].items()})
        if isinstance(result, type(advrec.tensor(0.0))):
            return verdict
        found = "an array of NumPy's" if isinstance(result, np.ndarray | np.generic) else _kind(result)
        return self._wrong(
            f"the value is right, but your function returns {found}, and a tensor is asked for. Stay in the "
            "framework: no gradient passes float(), .item(), .numpy() or a function of NumPy's."
        )
