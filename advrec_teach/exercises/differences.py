"""The exercise on a gradient check by central differences, whose step is lost in float32."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import tracks
from advrec_teach.exercises.core import NOT_ATTEMPTED, Verdict
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception

GOOD_STEP = 1e-2
# The step that cases pass themselves: there, a difference is far from the slope, and what is right is known.
LARGE_STEP = 1.0
# Three neighbouring float32 numbers at 1: the losses of two points this close differ in the last digit or not at all.
NEIGHBOURS = 2.5e-7

# The program that the bug hunt starts from, as the lesson has it.
GIVEN = '''
def numerical_gradient(loss_fn, x, *, step=1e-8):
    """Gradient of loss_fn at x, one coordinate at a time; a tensor of the shape of x."""
    slopes = np.zeros(advrec.numpy(x).shape)
    for place in np.ndindex(slopes.shape):
        move = np.zeros(slopes.shape)
        move[place] = step
        after, before = loss_fn(x + advrec.tensor(move)), loss_fn(x - advrec.tensor(move))
        slopes[place] = (float(after) - float(before)) / (2 * step)
    return advrec.tensor(slopes)
'''


@dataclass(frozen=True)
class Bent:
    """The loss sum(w exp(x A)) in NumPy, w and A positive; without A it is sum(w exp(x)).

    All its derivatives are positive, so a difference over too large a step errs upwards everywhere, while
    rounding errs both ways.
    """

    w: np.ndarray
    matrix: np.ndarray | None = None

    def _grown(self, x: np.ndarray) -> np.ndarray:
        return self.w * np.exp(x if self.matrix is None else x @ self.matrix)

    def __call__(self, x: np.ndarray) -> float:
        """Return the loss at x."""
        return float(self._grown(x).sum())

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the gradient at x, from the formula."""
        return self._grown(x) if self.matrix is None else self._grown(x) @ self.matrix.T

    def difference(self, x: np.ndarray, ahead: float, behind: float) -> np.ndarray:
        """Return (L(x + ahead e_k) - L(x - behind e_k)) / (ahead + behind) for every coordinate k."""
        slopes = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            unit = np.zeros_like(x)
            unit[place] = 1
            slopes[place] = (self(x + ahead * unit) - self(x - behind * unit)) / (ahead + behind)
        return slopes

    def central(self, x: np.ndarray, step: float | None) -> np.ndarray:
        """Return the central differences at x; without a step, what a good one comes to: the gradient."""
        return self.gradient(x) if step is None else self.difference(x, step, step)


def bent_loss(rng: np.random.Generator, shape: tuple[int, int], *, outputs: int = 0) -> Made:
    """Return a :class:`Bent` loss for x of this shape, near 1; with ``outputs``, it multiplies x with a matrix."""
    w = rng.uniform(0.5, 1.5, size=(shape[0], outputs or shape[1]))
    w = (w / w.sum()).astype(np.float32)
    matrix = rng.uniform(0.2, 0.6, size=(shape[1], outputs)).astype(np.float32) if outputs else None

    def build(advrec: ModuleType) -> Callable[[Any], Any]:
        weights = advrec.tensor(w)
        right = None if matrix is None else advrec.tensor(matrix)
        if tracks.current() == "pytorch":
            return lambda x: (weights * (x if right is None else x @ right).exp()).sum()
        import tensorflow as tf

        # Summed by hand: a GPU may round the numbers that go into a product of matrices to ten bits.
        product = (lambda x: x) if right is None else lambda x: tf.reduce_sum(x[:, :, None] * right, axis=1)
        return lambda x: tf.reduce_sum(weights * tf.exp(product(x)))

    return Made(build, Bent(w.astype(np.float64), None if matrix is None else matrix.astype(np.float64)))


def gradient_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return three points with coordinates far enough from 0 that a step of 1e-8 is lost in float32."""
    cases = []
    for shape, outputs, settings in (((1, 5), 0, {}), ((2, 3), 0, {"step": LARGE_STEP}), ((2, 3), 4, {})):
        x = rng.uniform(0.5, 1.5, size=shape) * rng.choice([-1, 1], size=shape)
        cases.append({"loss_fn": bent_loss(rng, shape, outputs=outputs), "x": x, **settings})
    return cases


def course_version(advrec: ModuleType) -> Callable[..., Any]:
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


def is_given(answer: Any) -> bool:
    """Say whether a function is the program that the bug hunt starts from, unchanged."""
    scope: dict[str, Any] = {}
    exec(compile(GIVEN, "<given>", "exec"), scope)
    given, code = scope["numerical_gradient"], getattr(answer, "__code__", None)
    if code is None or answer.__kwdefaults__ != given.__kwdefaults__:
        return False
    same = ("co_code", "co_names", "co_varnames", "co_consts", "co_freevars")
    return all(getattr(code, part) == getattr(given.__code__, part) for part in same)


def _lost(loss_fn: Bent, x: np.ndarray, step: float | None = None) -> np.ndarray:
    return np.zeros_like(x) if step is None else loss_fn.central(x, step)


def _all_at_once(loss_fn: Bent, x: np.ndarray, step: float | None = None) -> np.ndarray:
    if step is None:
        return np.full_like(x, loss_fn.gradient(x).sum())
    return np.full_like(x, (loss_fn(x + step) - loss_fn(x - step)) / (2 * step))


def _one_side(ahead: float, behind: float, factor: float = 1.0) -> Callable[..., np.ndarray]:
    """Return the answer that moves to one side only, times a factor."""

    def answer(loss_fn: Bent, x: np.ndarray, step: float | None = None) -> np.ndarray:
        slopes = loss_fn.gradient(x) if step is None else loss_fn.difference(x, ahead * step, behind * step)
        return factor * slopes

    return answer


LOST = (
    "left to its own step, the function returns nothing but zeros: the two losses agree in every digit that float32 "
    "keeps."
)
FRAMEWORK = (
    "you call the loss once and take the gradient that the framework finds. That is the very thing which this function "
    "is there to test, and a program cannot check itself: use differences of the loss alone."
)
IGNORED = (
    "a step that the caller chooses changes nothing, or less than it should: the function takes one of its own. "
    "Only the default is to change; with a step of 1 the result has to be the difference over a step of 1."
)

MISCONCEPTIONS = (
    Misconception("step lost in rounding", LOST, _lost),
    Misconception("step ignored", IGNORED, lambda loss_fn, x, step=None: loss_fn.gradient(x)),
    Misconception(
        "one side, upwards",
        "you compare the loss after the move with the loss at x itself. Such a one-sided difference errs in proportion "
        "to the step; with a point on each side of x that error cancels.",
        _one_side(1, 0),
    ),
    Misconception(
        "one side, downwards",
        "you compare the loss at x itself with the loss before it. Such a one-sided difference errs in proportion to "
        "the step; with a point on each side of x that error cancels.",
        _one_side(0, 1),
    ),
    Misconception(
        "half of the distance",
        "every slope is twice as large as it should be. How far apart are the two points at which you take the loss?",
        lambda loss_fn, x, step=None: 2 * loss_fn.central(x, step),
    ),
    Misconception(
        "one side, both steps",
        "every slope is about half as large as it should be. If only one of the points moves, the distance between "
        "them is one step, not two.",
        _one_side(1, 0, 0.5),
    ),
    Misconception(
        "sign",
        "every slope has the wrong sign: the loss after the move comes first in the difference.",
        lambda loss_fn, x, step=None: -loss_fn.central(x, step),
    ),
    Misconception(
        "all coordinates at once",
        "every coordinate gets the same number, the sum of all slopes: you move all coordinates at once. Move one at "
        "a time, and leave the others where they are.",
        _all_at_once,
    ),
)


class GradientCheck(FunctionExercise):
    """A function exercise that watches where the loss is asked for, and tells a rounded difference from a bent one."""

    def _judge(self, answer: Any) -> Verdict:
        # For every case: how often the loss was called, and how far the farthest point was from x.
        self._calls: list[int] = []
        self._moved: list[float] = []
        verdict = super()._judge(answer)
        if verdict.status != NOT_ATTEMPTED and is_given(answer):
            return self._not_attempted(f"As given, {LOST}")
        return verdict

    def _call(self, answer: Callable[..., Any], built: dict[str, Any]) -> Any:
        loss_fn, start = built["loss_fn"], tracks.module().numpy(built["x"])
        calls, moved = 0, 0.0

        def watched(point: Any) -> Any:
            nonlocal calls, moved
            if "float64" in str(getattr(point, "dtype", "")):
                raise TypeError(
                    "the loss got float64. That would cure the rounding if the loss computed in float64 as well, but "
                    "a model's weights are float32 and do not multiply with it: leave x as it is, look at the step"
                )
            calls += 1
            moved = max(moved, _distance(point, start))
            return loss_fn(point)

        result = super()._call(answer, {**built, "loss_fn": watched})
        self._calls.append(calls)
        self._moved.append(moved)
        return result

    def _named(self, cases: list[dict], results: list[Any]) -> Verdict | None:
        if self._calls[0] == 1 and self._fits(results[0], self._right(cases[0])):
            return self._wrong(FRAMEWORK)
        if verdict := super()._named(cases, results):
            return verdict
        chosen = next(place for place, case in enumerate(cases) if "step" in case)
        if not self._fits(results[chosen], self._right(cases[chosen])):
            return self._wrong_formula(cases[chosen], results[chosen], self._moved[chosen])
        own = [place for place, case in enumerate(cases) if "step" not in case]
        return self._wrong_step(
            [results[place] for place in own],
            [self._right(cases[place]) for place in own],
            max(self._moved[place] for place in own),
        )

    def _right(self, case: Mapping[str, Any]) -> np.ndarray:
        return np.asarray(self.reference(**_numbers(case)))

    def _fits(self, result: Any, truth: np.ndarray) -> bool:
        if getattr(result, "shape", None) != truth.shape or result.dtype.kind not in "iuf":
            return False
        return bool((np.abs(result - truth) <= self.tolerance * (1 + np.abs(truth))).all())

    def _wrong_formula(self, case: Mapping[str, Any], result: Any, moved: float) -> Verdict | None:
        """Return what is wrong where the case chooses the step: the function's own step may be wrong as well."""
        for wrong in self.misconceptions:
            if self._fits(result, wrong.answer(**_numbers(case))):
                return self._wrong(wrong.message)
        return self._wrong(IGNORED) if 0 < moved < case["step"] / 2 or not np.any(result) else None

    def _wrong_step(self, results: list[Any], truths: list[np.ndarray], moved: float) -> Verdict | None:
        """Return what is wrong with the function's own step, for a function that is right where it is given one."""
        if any(getattr(r, "shape", None) != t.shape for r, t in zip(results, truths, strict=True)):
            return None
        if not np.any(np.concatenate([r.ravel() for r in results])):
            return self._wrong(LOST)
        error = np.concatenate([(r - t).ravel() for r, t in zip(results, truths, strict=True)])
        truth = np.concatenate([t.ravel() for t in truths])
        if not np.isfinite(error).all():
            return None
        if moved < NEIGHBOURS:
            return self._wrong(
                "your step is hardly larger than the gap between two neighbouring float32 numbers near 1. The two "
                "losses differ by a unit or two in their last digit, or not at all, so a slope comes out far too "
                "large, or 0. Take a much larger step."
            )
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


def _distance(point: Any, start: np.ndarray) -> float:
    """Return the largest move of a coordinate, 0 where the point is no tensor with numbers in it."""
    try:
        reached = np.asarray(tracks.module().numpy(point), dtype=np.float64)
        return float(np.abs(reached - start).max())
    except Exception:  # a symbolic tensor, or another shape: the loss itself will say what is wrong
        return 0.0


def _numbers(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case as the NumPy reference gets it."""
    x = np.asarray(case["x"], dtype=np.float32).astype(np.float64)
    return {**case, "loss_fn": case["loss_fn"].truth, "x": x}


def numerical_gradient_exercise() -> GradientCheck:
    """Return exercise 00.3."""
    return GradientCheck(
        "00.3",
        "the step is large enough for float32 and small enough for the curve",
        hints=(
            "Print the two losses of one coordinate with all their digits. In how many of them do they differ?",
            "The loss is a float32 number, and those keep about seven digits. By how much does a loss near 1 have to "
            "change before its seventh digit does? And by how much can it change when one entry of x moves by 1e-8?",
            "The formula is fine; the default of step is not. Choose one with which the two losses differ from their "
            "third or fourth digit on.",
        ),
        cases=gradient_cases,
        keywords=("step",),
        reference=lambda loss_fn, x, step=None: loss_fn.central(x, step),
        course=course_version,
        # A difference in float32 is no exact derivative: this accepts every sensible step and no wrong formula.
        tolerance=5e-3,
        misconceptions=MISCONCEPTIONS,
    )
