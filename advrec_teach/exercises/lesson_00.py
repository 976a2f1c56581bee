"""Exercises of lesson 00: rows of length one, the long tail, and a gradient check that is wrong."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import tracks
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.core import Verdict
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception

GOOD_STEP = 1e-2


def _table_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return tables whose rows differ in length by orders of magnitude, one of them with a row of zeros."""
    spread = 10.0 ** np.array([[-2], [0], [1], [0]])
    with_zeros = rng.normal(size=(4, 3)) * spread
    with_zeros[3] = 0
    return [{"x": with_zeros}, {"x": rng.normal(size=(2, 5)) + 0.5}]


def _divided(x: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return x / length, and zero where length is zero."""
    return np.divide(x, length, out=np.zeros_like(x), where=np.broadcast_to(length, x.shape) > 0)


def _length(x: np.ndarray, axis: int | None = 1) -> np.ndarray:
    return np.linalg.norm(x, axis=axis, keepdims=True)


def _unit_vectors(advrec: ModuleType) -> Callable[[Any], Any]:
    """Return the course's own version in the active track."""
    if tracks.current() == "pytorch":
        import torch

        def unit_vectors(x: Any) -> Any:
            """Scale every row of x to length 1; a row of zeros stays zero."""
            length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
            return x / torch.where(length > 0, length, 1.0)
    else:
        import tensorflow as tf

        def unit_vectors(x: Any) -> Any:
            """Scale every row of x to length 1; a row of zeros stays zero."""
            return tf.math.divide_no_nan(x, tf.norm(x, axis=1, keepdims=True))

    return unit_vectors


def _numerical_gradient(advrec: ModuleType) -> Callable[..., Any]:
    """Return the course's own version, which is the same in both tracks."""

    def numerical_gradient(loss_fn: Callable[[Any], Any], x: Any, *, step: float = GOOD_STEP) -> Any:
        """Gradient of loss_fn at x by central differences; a tensor of the shape of x."""
        slopes = np.zeros(advrec.numpy(x).shape)
        for place in np.ndindex(slopes.shape):
            move = np.zeros(slopes.shape)
            move[place] = step
            after, before = loss_fn(x + advrec.tensor(move)), loss_fn(x - advrec.tensor(move))
            slopes[place] = (float(after) - float(before)) / (2 * step)
        return advrec.tensor(slopes)

    return numerical_gradient


def bent_loss(rng: np.random.Generator, shape: tuple[int, ...]) -> Made:
    """Return the loss sum(w exp(x)) with positive weights w that sum to one.

    All its derivatives are positive and equal, so a difference over too large a step errs upwards everywhere,
    while rounding errs both ways. Its ``truth`` is the gradient in NumPy, x -> w exp(x).
    """
    w = rng.uniform(0.5, 1.5, size=shape)
    w = (w / w.sum()).astype(np.float32)

    def build(advrec: ModuleType) -> Callable[[Any], Any]:
        weights = advrec.tensor(w)
        if tracks.current() == "pytorch":
            return lambda x: (weights * x.exp()).sum()
        import tensorflow as tf

        return lambda x: tf.reduce_sum(weights * tf.exp(x))

    return Made(build, lambda x: w.astype(np.float64) * np.exp(x))


def _gradient_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return two points with coordinates far enough from 0 that a step of 1e-8 is lost in float32."""
    cases = []
    for shape, settings in (((1, 5), {}), ((2, 3), {"step": 0.02})):
        x = rng.uniform(0.5, 1.5, size=shape) * rng.choice([-1, 1], size=shape)
        cases.append({"loss_fn": bent_loss(rng, shape), "x": x, **settings})
    return cases


def _as_given(loss_fn: Callable, x: np.ndarray, step: float = 1e-8) -> np.ndarray:
    return np.zeros_like(x) if step < 1e-7 else loss_fn(x)


class GradientCheck(FunctionExercise):
    """A function exercise that also tells a rounded difference from a bent one."""

    def _named(self, cases: list[dict], results: list[Any]) -> Verdict | None:
        if verdict := super()._named(cases, results):
            return verdict
        # Judged on the first case, which leaves the step to the function.
        truth = self.reference(case_loss(cases[0]), np.asarray(cases[0]["x"]))
        error = results[0] - truth if getattr(results[0], "shape", None) == truth.shape else None
        if error is None or not np.isfinite(error).all() or (np.abs(error) > 10 * np.abs(truth)).any():
            return None
        significant = error[np.abs(error) > self.tolerance * (1 + np.abs(truth))]
        if (significant > 0).all() and len(significant) > 1 and (error > 0).all():
            return self._wrong(
                "every slope comes out too large: with your step the loss bends noticeably between the two points. "
                "Take a smaller one."
            )
        if (np.abs(error) < np.maximum(np.abs(truth), 0.5)).all():
            return self._wrong(
                "the slopes are near the truth but rough, some too large and some too small. The two losses still "
                "agree in nearly all of their digits, so their difference is mostly rounding. Take a larger step."
            )
        return None


def case_loss(case: dict[str, Any]) -> Any:
    """Return what the reference gets for the loss of a case."""
    return case["loss_fn"].truth


EXERCISES = [
    FunctionExercise(
        "00.1",
        "every row has length one, and a row of zeros stays",
        hints=(
            "You need one length per row. The length is the root of the sum of squares; both frameworks have a "
            "function called norm for it.",
            "A row runs along axis 1. Keep that axis (its size becomes 1), so that the division broadcasts over "
            "the row.",
            "0 / 0 is not a number: before you divide, put 1 in place of a length of 0, or use a division that "
            "returns 0 there.",
        ),
        cases=_table_cases,
        reference=lambda x: _divided(x, _length(x)),
        course=_unit_vectors,
        misconceptions=(
            Misconception(
                "zero row",
                "a row of zeros comes out as nan, because 0 was divided by 0. Its direction is unknown, so it is "
                "to stay zero; one nan would spoil every sum that it enters.",
                lambda x: x / _length(x),
            ),
            Misconception(
                "one norm for the whole table",
                "you divide by the length of the whole table, taken as one long vector. Then the rows "
                "keep their different lengths. Each row has a length of its own: which axis runs along it?",
                lambda x: x / _length(x, axis=None),
            ),
            Misconception(
                "norm over columns",
                "you made the columns length one. A row runs along axis 1.",
                lambda x: _divided(x, _length(x, axis=0)),
            ),
            Misconception(
                "sum instead of length",
                "you divide by the sum of the absolute values. That is a length too, the L1 norm, but the one "
                "asked for is the root of the sum of squares.",
                lambda x: _divided(x, np.abs(x).sum(axis=1, keepdims=True)),
            ),
            Misconception(
                "squared norm",
                "you divide by the sum of squares: the root is missing. Try a row of length 2; it comes out with "
                "length 1/2.",
                lambda x: _divided(x, _length(x) ** 2),
            ),
            Misconception(
                "largest entry",
                "you divide by the largest absolute entry, so the largest entry becomes 1, and the length "
                "something above it.",
                lambda x: _divided(x, np.abs(x).max(axis=1, keepdims=True)),
            ),
        ),
    ),
    ChoiceExercise(
        "00.2",
        "how long is the tail?",
        hints=(
            "If all films were rated equally often, the most popular tenth would get a tenth. Are they?",
            "Everybody has heard of the hits, and people rate what they have seen. So it is more than a tenth.",
            "It is far from everything too: each of these people rated at least twenty films, and few people's "
            "twenty are all hits.",
        ),
        answer="b",
        explanation="several times their share, and still far from everything. The next cells measure it.",
        wrong={
            "a": "that would be so if every film were rated about equally often. But what people have not heard of "
            "they do not rate.",
            "c": "in a shop with millions of goods that can happen. This catalogue has fewer than two thousand films, "
            "and only people with at least twenty ratings were kept, so the tail gets more of the attention.",
        },
    ),
    GradientCheck(
        "00.3",
        "the step is large enough for float32 and small enough for the curve",
        hints=(
            "Print the two losses of one coordinate with all their digits. In how many of them do they differ?",
            "Tensors of this course are float32, with about seven digits. What is 1 + 1e-8 in seven digits?",
            "The formula is fine; the default of step is not. Choose one that changes some of the digits in the "
            "middle, such as the third.",
        ),
        cases=_gradient_cases,
        keywords=("step",),
        reference=lambda loss_fn, x, step=None: loss_fn(x),
        course=_numerical_gradient,
        # A difference in float32 is no exact derivative: this accepts every sensible step and no wrong formula.
        tolerance=5e-3,
        misconceptions=(
            Misconception(
                "step lost in rounding",
                "left to its own step, the function still loses the slope: at the points of this check it returns "
                "nothing but zeros.",
                _as_given,
                as_given=True,
            ),
            Misconception(
                "half of the distance",
                "every slope is twice as large as it should be. How far apart are the two points at which you take "
                "the loss?",
                lambda loss_fn, x, step=None: 2 * loss_fn(x),
            ),
            Misconception(
                "one side, both steps",
                "every slope is half as large as it should be. If only one of the points moves, the distance "
                "between them is one step, not two.",
                lambda loss_fn, x, step=None: loss_fn(x) / 2,
            ),
            Misconception(
                "sign",
                "every slope has the wrong sign: the loss after the move comes first in the difference.",
                lambda loss_fn, x, step=None: -loss_fn(x),
            ),
            Misconception(
                "all coordinates at once",
                "every coordinate gets the same number, the sum of all slopes: you move all coordinates at "
                "once. Move one at a time, and leave the others where they are.",
                lambda loss_fn, x, step=None: np.full_like(x, loss_fn(x).sum()),
            ),
        ),
    ),
]
