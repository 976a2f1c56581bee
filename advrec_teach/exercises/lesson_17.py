"""Lesson 17: the likelihood of a title, a gain with its interval, swaps of tokens, an instruction in a description."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception
from advrec_teach.reference_behaviour import log_softmax
from advrec_teach.reference_language import best_swaps, mean_log_likelihood

# --- 17.1: the likelihood of a title


def _likelihood_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Titles of different length, one title alone, and titles that fill the table; token 0 may be part of a title."""
    cases = []
    for lengths, width, filler in (([2, 4, 1], 6, 0), ([3], 4, 0), ([3, 3], 4, 0), ([1, 3], 5, 2)):
        n = len(lengths)
        ids = rng.integers(0, 7, (n, width))
        ids[0, 1] = 0
        ids[np.arange(width) > np.array(lengths)[:, None]] = filler
        cases.append(
            {
                "logits": rng.normal(0, 2, (n, width, 7)).astype(np.float32),
                "ids": ids,
                "lengths": np.array(lengths),
            }
        )
    return cases


def _likelihood(
    *,
    shift: int = 1,
    padding: bool = False,
    over: Callable[[np.ndarray], np.ndarray] | None = None,
    prompt: bool = False,
    raw: bool = False,
    product: bool = False,
    linear: bool = False,
    sign: int = 1,
    axis: int = -1,
) -> Callable[..., np.ndarray]:
    """Return the mean log-likelihood with some of its parts done wrong."""

    def answer(logits: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        log_p = logits if raw else np.moveaxis(log_softmax(np.moveaxis(logits, axis, -1)), -1, axis)
        if shift == 1:
            said, read = log_p[:, :-1], ids[:, 1:]
        elif shift == 0:
            said, read = log_p[:, 1:], ids[:, 1:]
        else:
            said, read = log_p[:, 1:], ids[:, :-1]
        chosen = np.take_along_axis(said, read[..., None], 2)[..., 0]
        if linear:
            chosen = np.exp(chosen)
        real = np.arange(chosen.shape[1]) < lengths[:, None]
        if prompt:
            chosen = np.take_along_axis(log_p, ids[..., None], 2)[..., 0]
            return np.array([row[:count].mean() for row, count in zip(chosen, lengths, strict=True)])
        total = chosen.sum(1) if padding else (chosen * real).sum(1)
        if product:
            return sign * total
        if over is not None:
            return total / over(lengths)
        found = total / (chosen.shape[1] if padding else lengths)
        return sign * (np.log(found) if linear else found)

    return answer


def _by_ids(*, by_lengths: bool) -> Callable[..., np.ndarray]:
    """Return the mean where token 0 counts as padding, divided by ``lengths`` or by the tokens that are left."""

    def answer(logits: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        read = ids[:, 1:]
        chosen = np.take_along_axis(log_softmax(logits)[:, :-1], read[..., None], 2)[..., 0]
        real = read != 0
        return (chosen * real).sum(1) / (lengths if by_lengths else real.sum(1))

    return answer


def _half_padded(logits: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return _likelihood()(logits, ids, lengths) * lengths / (ids.shape[1] - 1)


def _one_number(logits: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.asarray(_likelihood()(logits, ids, lengths).mean())


def _course_likelihood(advrec: ModuleType) -> Callable[..., Any]:
    def log_likelihood(logits: Any, ids: Any, lengths: Any) -> Any:
        """Return the mean log-probability of the tokens of each title."""
        return advrec.mean_log_likelihood(logits, ids, lengths)

    return log_likelihood


LIKELIHOOD = (
    Misconception(
        "as given",
        "this is the program as it stood, with both faults. Entry [:, k] was said after token k was read: which token "
        "is it about? And what do the rows hold after a short title?",
        _likelihood(shift=0, padding=True),
        as_given=True,
    ),
    Misconception(
        "padding counted",
        "the shift is right now. But your mean runs over the whole row: a short title's padding is scored as if it "
        "were text. Use lengths.",
        _likelihood(padding=True),
    ),
    Misconception(
        "padding told by the ids",
        "the shift is right now. But you take token 0 for padding: a title may hold it, and padding may be any token. "
        "`lengths` says where a title ends.",
        _by_ids(by_lengths=True),
    ),
    Misconception(
        "padding told by the ids, and counted so",
        "the shift is right now. But you take token 0 for padding, in the sum and in the count: a title may hold it, "
        "and padding may be any token. `lengths` says how many tokens a title has.",
        _by_ids(by_lengths=False),
    ),
    Misconception(
        "no shift",
        "the padding is out now. But you still look up a token in what the model says *after* it has read that token: "
        "that is about the next one.",
        _likelihood(shift=0),
    ),
    Misconception(
        "shifted the wrong way",
        "you look up token k in what the model says after token k + 1. It has already read the answer, and talks about "
        "what comes later.",
        _likelihood(shift=-1),
    ),
    Misconception(
        "shifted the wrong way, padding counted",
        "you look up token k in what the model says after token k + 1, and your mean counts the padding.",
        _likelihood(shift=-1, padding=True),
    ),
    Misconception(
        "the prompt's token for the title's last",
        "your sum starts with the prompt's last token and leaves out the title's last one: column 0 of ids is no part "
        "of the title.",
        _likelihood(prompt=True),
    ),
    Misconception(
        "sum",
        "you return the sum over a title's tokens. The ranker compares titles of different length, so it takes the "
        "mean.",
        _likelihood(product=True),
    ),
    Misconception(
        "divided by the width",
        "your sum leaves the padding out, but you divide by the width of the table: a short title looks more probable "
        "than it is.",
        _half_padded,
    ),
    Misconception(
        "one more token",
        "you divide by one more than the tokens of the title: the prompt's last token is in ids, but not in the sum.",
        _likelihood(over=lambda lengths: lengths + 1),
    ),
    Misconception(
        "logits for probabilities",
        "you average raw logits. They are no log-probabilities until log_softmax has been taken over the vocabulary.",
        _likelihood(raw=True),
    ),
    Misconception(
        "wrong axis",
        "your log_softmax runs over the tokens of the text. It belongs over the vocabulary, the last axis.",
        _likelihood(axis=1),
    ),
    Misconception(
        "mean of probabilities",
        "you average probabilities and take the logarithm of the mean. The likelihood of a text is a product, so the "
        "logarithms are averaged.",
        _likelihood(linear=True),
    ),
    Misconception(
        "a loss",
        "you return the negative: the loss of a language model. A ranker wants the probable title on top.",
        _likelihood(sign=-1),
    ),
    Misconception(
        "one number",
        "you return one number for all titles. The ranker needs one for each row.",
        _one_number,
    ),
)

# --- 17.2: a gain with its interval


def _array(values: np.ndarray) -> Made:
    return Made(lambda advrec: values.copy(), values, lambda built: [built])


def _gain_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for n in (4, 7, 30):
        before = rng.integers(1, 12, n)
        cases.append({"before": _array(before), "after": _array(np.clip(before - rng.integers(-1, 6, n), 1, 11))})
    return cases


def _gain(
    *,
    sign: int = 1,
    paired: bool = True,
    ddof: int = 1,
    root: bool = True,
    factor: float = 1.96,
    total: bool = False,
    swapped: bool = False,
    ends: bool = False,
) -> Callable[..., np.ndarray]:
    """Return a gain and its interval with some of its parts done wrong: one array, as both numbers may come in one."""

    def answer(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        up = sign * (before - after)
        spread = up.std(ddof=ddof) if paired else np.sqrt(before.var(ddof=ddof) + after.var(ddof=ddof))
        half = factor * spread / (np.sqrt(len(up)) if root else 1)
        mean = up.sum() if total else up.mean()
        if ends:
            return np.array([mean - half, mean + half])
        return np.array([half, mean] if swapped else [mean, half])

    return answer


def _divided_by_n(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    mean, half = _gain()(before, after)
    return np.array([mean, half / np.sqrt(len(before))])


def _no_two_numbers(result: Any, truth: np.ndarray, **_: Any) -> str | None:
    """Say so where the result is anything but two numbers."""
    if isinstance(result, tuple) or result.shape != truth.shape:
        return "the function should return two numbers: the mean gain, and half the width of its interval."
    return None


GAIN = (
    Misconception(
        "a loss",
        "your gain has the wrong sign: a film that goes from place 9 to place 2 gains seven places.",
        _gain(sign=-1),
    ),
    Misconception(
        "not paired",
        "your interval is that of two groups of different people: it carries how much users differ among themselves. "
        "These are the same users twice, so take each one's difference first.",
        _gain(paired=False),
    ),
    Misconception(
        "spread of users",
        "your half width is about the spread of single users. The mean of n users varies less: by the square root of "
        "n.",
        _gain(root=False),
    ),
    Misconception(
        "divided by n",
        "you divide the standard deviation by n. The mean of n users varies less by the square root of n only.",
        _divided_by_n,
    ),
    Misconception(
        "standard error",
        "you return one standard error. A 95 % interval reaches 1.96 of them to each side.",
        _gain(factor=1.0),
    ),
    Misconception(
        "population",
        "your standard deviation divides by n. From a sample of users it divides by n - 1 (ddof=1).",
        _gain(ddof=0),
    ),
    Misconception(
        "whole width",
        "you return the whole width of the interval. Asked for is half of it, what stands behind the +-.",
        _gain(factor=3.92),
    ),
    Misconception(
        "sum",
        "your gain is the sum over users; asked for is the mean.",
        _gain(total=True),
    ),
    Misconception(
        "ends",
        "you return the two ends of the interval. Asked for are its middle and half of its width.",
        _gain(ends=True),
    ),
    Misconception(
        "the other way round",
        "you return the half width first. The mean gain comes first.",
        _gain(swapped=True),
    ),
)

# --- 17.3: which tokens the slope promises most of


def _swap_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for places, vocabulary, width, k in ((2, 9, 4, 3), (3, 12, 5, 1), (1, 8, 3, 4)):
        # Vectors of very different length, as in a real table.
        table = rng.normal(size=(vocabulary, width)) * rng.uniform(0.2, 3, (vocabulary, 1))
        cases.append(
            {
                "slope": rng.normal(size=(places, width)).astype(np.float32),
                "table": table.astype(np.float32),
                "k": k,
            }
        )
    return cases


def _by(value: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    """Return the k tokens for which ``value`` of slope and table, [places, vocabulary], is largest."""
    return lambda slope, table, k: np.argsort(-value(slope, table), axis=1, kind="stable")[:, :k]


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _distance(slope: np.ndarray, table: np.ndarray) -> np.ndarray:
    return np.linalg.norm(slope[:, None] - table, axis=2)


def _course_swaps(advrec: ModuleType) -> Callable[..., Any]:
    def best_swaps(slope: Any, table: Any, k: int) -> Any:
        """Return the k tokens of each place that promise the largest rise, the best first."""
        return advrec.best_swaps(slope, table, k)

    return best_swaps


def _ascending(slope: np.ndarray, table: np.ndarray, k: int) -> np.ndarray:
    return best_swaps(slope, table, k)[:, ::-1]


def _values(slope: np.ndarray, table: np.ndarray, k: int) -> np.ndarray:
    return -np.sort(-(slope @ table.T), axis=1)[:, :k]


def _together(slope: np.ndarray, table: np.ndarray, k: int) -> np.ndarray:
    best = np.argsort(-(slope @ table.T).sum(0), kind="stable")[:k]
    return np.tile(best, (len(slope), 1))


def _transposed(slope: np.ndarray, table: np.ndarray, k: int) -> np.ndarray:
    return best_swaps(slope, table, k).T


SWAPS = (
    Misconception(
        "down the slope",
        "your tokens promise the largest *fall*. The shop wants its score to rise.",
        _by(lambda slope, table: -(slope @ table.T)),
    ),
    Misconception(
        "angle",
        "you compare directions (cosines). A long vector along the slope changes the score more than a short one: take "
        "the inner product itself.",
        _by(lambda slope, table: _unit(slope) @ _unit(table).T),
    ),
    Misconception(
        "nearest to the slope",
        "you look for the vector nearest to the slope. The slope is a direction, no place: what counts is how far a "
        "vector reaches along it.",
        _by(lambda slope, table: -_distance(slope, table)),
    ),
    Misconception(
        "size of the change",
        "you take the largest change, up or down. A large fall is no gain.",
        _by(lambda slope, table: abs(slope @ table.T)),
    ),
    Misconception(
        "worst first",
        "these are the right tokens in the wrong order: the best one comes first.",
        _ascending,
    ),
    Misconception(
        "values",
        "you return what the tokens promise. The search needs the tokens: their rows in the table.",
        _values,
    ),
    Misconception(
        "one list for all",
        "you give every place the same tokens, by the slope added over the places. Each place has a slope of its own.",
        _together,
    ),
    Misconception(
        "longest vectors",
        "your tokens are those with the longest vectors, whatever the slope.",
        _by(lambda slope, table: np.tile(np.linalg.norm(table, axis=1), (len(slope), 1))),
    ),
    Misconception(
        "transposed",
        "your table has one column for each place; asked for is one row: shape [places, k].",
        _transposed,
    ),
)


def _no_whole_numbers(result: Any, truth: np.ndarray, **_: Any) -> str | None:
    """Say so where the right tokens come as floating-point numbers."""
    if isinstance(result, tuple) or result.dtype.kind != "f" or not np.array_equal(result, truth):
        return None
    return f"these are the right tokens, but as {result.dtype}. They pick rows of the table: return whole numbers."


EXERCISES = [
    FunctionExercise(
        "17.1",
        "each title token is looked up in what was said before it, and padding does not count",
        hints=(
            "Write a row down: prompt token, two title tokens, padding. Draw an arrow from each logit to the token "
            "that it is about.",
            "The title's tokens are ids[:, 1:]. What was said about them stands one place further left. Then only the "
            "first `lengths` entries of a row are real.",
            "Look up ids[:, 1:] in log_softmax(logits)[:, :-1], multiply by a mask of the first `lengths` places, sum "
            "over the row and divide by lengths.",
        ),
        cases=_likelihood_cases,
        reference=lambda logits, ids, lengths: mean_log_likelihood(logits, ids, lengths),
        course=_course_likelihood,
        misconceptions=LIKELIHOOD,
    ),
    FunctionExercise(
        "17.2",
        "the difference first, then its mean and 1.96 standard errors",
        hints=(
            "One number for each user: by how many places did the film rise in their list?",
            "The mean of these numbers is the gain. Their standard deviation, divided by the square root of their "
            "count, is its standard error.",
            "up = before - after; return the two numbers up.mean() and 1.96 * up.std(ddof=1) / np.sqrt(len(up)).",
        ),
        cases=_gain_cases,
        reference=_gain(),
        course=lambda advrec: _gain(),
        notice=_no_two_numbers,
        misconceptions=GAIN,
    ),
    FunctionExercise(
        "17.3",
        "what a token promises is its vector's inner product with the slope",
        hints=(
            "To first order, what does the score gain if the vector at a place moves from e to w?",
            "It gains slope . (w - e). The part with e is the same for every w, so it changes no order.",
            "The inner products of slope and table have shape [places, tokens]; return the columns of the k largest in "
            "each row, the largest first.",
        ),
        cases=_swap_cases,
        reference=best_swaps,
        course=_course_swaps,
        notice=_no_whole_numbers,
        misconceptions=SWAPS,
    ),
    ChoiceExercise(
        "17.4",
        "two opposite instructions",
        hints=(
            "Look back at what three phrases in the title did to the answer. Did they ask for anything?",
            "Two things may happen to the answer: the model does as it is told, or it reacts to a text that has "
            "changed. Which of them can tell Yes from No?",
            "The two sentences differ in one word of six. A model that follows instructions reads two opposites; one "
            "that reacts to a changed text reads nearly the same twice.",
        ),
        answer="c",
        explanation="the answer rises whichever is demanded, and the demand for Yes does not add surely more "
        "than its opposite. So it is not obedience that raises it. The next table has sentences that demand nothing.",
        wrong={
            "a": "so it would be if the model did as it is told. What did phrases that ask for nothing do to the same "
            "answer?",
            "b": "both do raise it. But for the demand itself to count, this model would have to tell the two "
            "sentences apart in the right direction.",
        },
    ),
]
