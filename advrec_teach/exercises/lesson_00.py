"""Exercises of lesson 00: rows of length one, the long tail, and a gradient check that is wrong."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import tracks
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.differences import numerical_gradient_exercise
from advrec_teach.exercises.functions import FunctionExercise, Misconception


def _table_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return tables whose rows differ in length by orders of magnitude, one of them with a row of zeros.

    The last one is as short as the gradients of a trained model: a constant that keeps 0 / 0 away shows there.
    """
    spread = 10.0 ** np.array([[-2], [0], [1], [0]])
    with_zeros = rng.normal(size=(4, 3)) * spread
    with_zeros[3] = 0
    return [{"x": with_zeros}, {"x": rng.normal(size=(2, 5)) + 0.5}, {"x": 1e-5 * rng.normal(size=(3, 4))}]


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
            Misconception(
                "short rows left short",
                "you divide by the length or by 1, whichever is larger. That does keep 0 / 0 away, but every row "
                "shorter than 1 stays as short as it was. Only a length of exactly 0 needs another divisor.",
                lambda x: x / np.maximum(_length(x), 1),
            ),
            Misconception(
                "a constant of 1e-6 below the line",
                "you add 1e-6 to the length so as not to divide by 0. The rows of this course "
                "are often gradients, and many are not much longer than that: they come out far too short. Treat "
                "only a length of exactly 0 apart.",
                lambda x: x / (_length(x) + 1e-6),
            ),
            Misconception(
                "a constant of 1e-8 below the line",
                "you add 1e-8 to the length so as not to divide by 0. The shortest rows, such as those of a flat "
                "gradient, then stay a little below length one. Treat only a length of exactly 0 apart.",
                lambda x: x / (_length(x) + 1e-8),
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
    numerical_gradient_exercise(),
]
