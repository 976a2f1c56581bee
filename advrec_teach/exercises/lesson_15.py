"""Exercises of lesson 15: a move for each text, a copied step and its faults, a path whose gradients all count."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference, tracks
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.core import CORRECT, Verdict
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception, _build, _numerical_gradient
from advrec_teach.exercises.losses import track_sum

Way = Callable[..., np.ndarray]


def _ids(lengths: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return word ids of texts of these lengths, padded with 0."""
    ids = rng.integers(1, 90, (len(lengths), max(lengths)))
    return np.where(np.arange(max(lengths)) < np.array(lengths)[:, None], ids, 0)


# --- 15.1: a move for each text


def _moves(
    mask: str = "first",
    over: tuple[int, ...] | None = (1, 2),
    power: float = 0.5,
    unit: Callable[[np.ndarray], np.ndarray] | None = None,
    sign: float = 1.0,
) -> Callable[..., np.ndarray]:
    """Return the move with parts done wrong; ``mask`` tells when padding is set to 0: first, last, never."""

    def answer(way: np.ndarray, ids: np.ndarray, eps: float) -> np.ndarray:
        real = (np.asarray(ids) != 0)[..., None]
        way = way * real if mask == "first" else way
        if unit is not None:
            moved = unit(way)
        else:
            length = (way**2).sum(axis=over, keepdims=True) ** power
            moved = way / np.where(length > 0, length, 1.0)
        return sign * eps * (moved * real if mask == "last" else moved)

    return answer


RIGHT = _moves()


def _only_shortened(way: np.ndarray, ids: np.ndarray, eps: float) -> np.ndarray:
    """Clip the length: what is shorter than eps stays as short as it is."""
    way = way * (np.asarray(ids) != 0)[..., None]
    length = np.sqrt((way**2).sum((1, 2), keepdims=True))
    return way * np.minimum(eps / np.where(length > 0, length, 1.0), 1.0)


FAINT = 5e-4
"""Length of the shortest direction: many texts of the notebook have a gradient much shorter than EPS."""


def _move_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Texts of different lengths with a slope at the padding too; one has a faint slope, and one has none at all."""
    cases: list[dict[str, Any]] = []
    for lengths, d, eps in (((5, 2, 4), 3, 0.7), ((3, 6, 1, 4), 2, 1.6)):
        ids = _ids(lengths, rng)
        way = rng.normal(size=(*ids.shape, d)) * rng.uniform(0.3, 4.0, size=(len(ids), 1, 1))
        cases.append({"way": way, "ids": ids, "eps": eps})
    faint = cases[0]["way"][2]
    faint *= FAINT / np.linalg.norm(faint[cases[0]["ids"][2] != 0])
    cases[1]["way"][2] = 0
    return cases


def _course_moves(advrec: ModuleType) -> Callable[..., Any]:
    def text_moves(way: Any, ids: Any, *, eps: float) -> Any:
        """Return the move of each text: along its part of way, of length eps over its real words together."""
        real = advrec.tensor((advrec.numpy(ids) != 0)[..., None].astype(np.float32))
        total = track_sum()
        return advrec.fgm_delta(lambda x: total(x * way * real), 0 * way, eps=eps)

    return text_moves


def _at_the_edges(result: np.ndarray, truth: np.ndarray, way: np.ndarray, ids: np.ndarray, eps: float) -> str | None:
    """Say so where a text without a direction became not a number, or one with a faint direction moves too little."""
    still = (truth == 0).all(axis=(1, 2))
    faint = ~still & (np.linalg.norm(way, axis=(1, 2)) < 0.1)
    if result.shape == truth.shape and faint.any() and np.allclose(result[~faint], truth[~faint], atol=1e-3):
        moved = np.linalg.norm(result[faint], axis=(1, 2))
    else:
        moved = np.array([eps])
    if (moved < 0.999 * eps).all():
        return (
            "a text whose direction is short moves by less than eps: a number that is too large for it stands beside "
            "its length, or under it. Shorten and lengthen: every text gets exactly eps."
        )
    if result.shape == truth.shape and still.any() and np.isnan(result[still]).any():
        return (
            "a text whose `way` is all zeros became not a number: 0 divided by 0. It should stay where it is: divide "
            "by something else where the length is 0."
        )
    return None


MOVES = (
    Misconception(
        "one length for the batch",
        "you divide by the length of the whole batch. Then the texts share one eps, and those with small gradients "
        "hardly move. Each text has a length of its own: over which axes is it taken?",
        _moves(over=None),
    ),
    Misconception(
        "one length for the batch, padding too",
        "you divide by the length of the whole batch, padding included. Each text has a length of its own, over its "
        "real words: take it over the places and the coordinates of one text.",
        _moves(mask="never", over=None),
    ),
    Misconception(
        "a length for each word",
        "you give every *word* the length eps. A text of many words then moves much further than a short one; here the "
        "words of one text share one eps.",
        _moves(over=(2,)),
    ),
    Misconception(
        "a length for each word, padding too",
        "you give every place the length eps, words and padding alike. Padding is no word and stays; and the words of "
        "one text share one eps.",
        _moves(mask="never", over=(2,)),
    ),
    Misconception(
        "padding moves",
        "each text has its own length, but padding moves with it. Where ids is 0 there is no word: set the direction "
        "to 0 there before you take the length.",
        _moves(mask="never"),
    ),
    Misconception(
        "padding counted",
        "padding does not move, but it still counts in the length you divide by, so that texts with padding move by "
        "less than eps. In which order do the two things have to happen?",
        _moves(mask="last"),
    ),
    Misconception(
        "squared length",
        "you divide by the sum of squares. The length is its square root.",
        _moves(power=1.0),
    ),
    Misconception(
        "a length for each coordinate",
        "you sum over the places only, so that each coordinate has a length of its own. A text's length goes over its "
        "places and its coordinates.",
        _moves(over=(1,)),
    ),
    Misconception(
        "signs",
        "you take the signs, which is the step of the box (lesson 08). FGM scales the direction as it is, by its "
        "Euclidean length.",
        _moves(unit=np.sign),
    ),
    Misconception(
        "not scaled",
        "you multiply by eps and divide by nothing. A text that the model is sure of has a tiny gradient, and would "
        "hardly move.",
        _moves(unit=lambda way: way),
    ),
    Misconception(
        "only shortened",
        "you shorten the directions that are longer than eps and leave the others as short as they are. Shorten *and* "
        "lengthen: every text that has a direction gets exactly eps.",
        _only_shortened,
    ),
    Misconception("downhill", "your move goes against the direction: the loss would fall.", _moves(sign=-1.0)),
    Misconception(
        "largest entry",
        "you divide by the largest entry of a text. The length is Euclidean: the root of the sum of squares.",
        _moves(unit=lambda way: way / np.maximum(np.abs(way).max(axis=(1, 2), keepdims=True), 1e-300)),
    ),
)

# --- 15.2 and 15.3: gradients of the weights at moved words


@dataclass(frozen=True)
class _Bent:
    """L(x, w) = sum(a (x w)^2 / 2 + b x w), entry by entry; w holds one number a coordinate."""

    a: np.ndarray
    b: np.ndarray

    def value(self, x: np.ndarray, w: np.ndarray) -> float:
        """Return the loss."""
        return float((0.5 * self.a * (x * w) ** 2 + self.b * x * w).sum())

    def slope(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient for the words."""
        return (self.a * x * w + self.b) * w

    def gradient(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient for the weights."""
        return ((self.a * x * w + self.b) * x).sum((0, 1))


def _loss(shape: tuple[int, ...], rng: np.random.Generator) -> Made:
    a = rng.uniform(0.2, 1.5, shape).astype(np.float32)
    # Texts that the model gets wrong have large slopes, others small ones.
    b = (rng.normal(size=shape) * rng.uniform(0.2, 3.0, (shape[0], 1, 1))).astype(np.float32)

    def build(advrec: ModuleType) -> Callable[[Any, Any], Any]:
        total, bend, tilt = track_sum(), advrec.tensor(a), advrec.tensor(b)
        return lambda x, w: total(0.5 * bend * (x * w) ** 2 + tilt * x * w)

    return Made(build, _Bent(a.astype(np.float64), b.astype(np.float64)))


def _step_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for lengths, d, eps in (((4, 2, 3), 3, 0.8), ((2, 5, 3, 1), 4, 1.5)):
        ids = _ids(lengths, rng)
        words, weights = rng.normal(size=(*ids.shape, d)), rng.normal(size=d)
        cases.append({"loss_fn": _loss(words.shape, rng), "words": words, "ids": ids, "weights": weights, "eps": eps})
    return cases


def _step(
    *,
    move: Way = RIGHT,
    stay: bool = False,
    clean: float = 1.0,
    attacked: float = 1.0,
    at_move_only: bool = False,
    sign: float = 1.0,
) -> Callable[..., np.ndarray]:
    """Return the gradient of the two losses with some of its parts done wrong."""

    def answer(loss_fn: _Bent, words: np.ndarray, ids: np.ndarray, weights: np.ndarray, eps: float) -> np.ndarray:
        delta = sign * move(loss_fn.slope(words, weights), ids, eps)
        here = words + delta if stay else words
        there = delta if at_move_only else here + delta
        return clean * loss_fn.gradient(here, weights) + attacked * loss_fn.gradient(there, weights)

    return answer


def _through_the_move(
    loss_fn: _Bent, words: np.ndarray, ids: np.ndarray, weights: np.ndarray, eps: float
) -> np.ndarray:
    """Return the gradient of the two losses where the move is not held fixed but follows the weights."""

    def attacked(weights: np.ndarray) -> float:
        return loss_fn.value(words + RIGHT(loss_fn.slope(words, weights), ids, eps), weights)

    return loss_fn.gradient(words, weights) + _numerical_gradient(attacked, {"weights": weights}, "weights")


def _course_step(advrec: ModuleType) -> Callable[..., Any]:
    moves = _course_moves(advrec)

    def robust_gradient(loss_fn: Any, words: Any, ids: Any, weights: Any, *, eps: float) -> Any:
        """Return the gradient for the weights of the loss at the words plus the loss at the moved words."""
        _, (slope, clean) = advrec.value_and_grad(lambda pair: loss_fn(*pair), (words, weights))
        there = words + moves(slope, ids, eps=eps)
        return clean + advrec.value_and_grad(lambda w: loss_fn(there, w), weights)[1]

    return robust_gradient


_SHARED = _moves(mask="never", over=None)
_PADDED = _moves(mask="never")

STEP = (
    Misconception(
        "as given",
        "the function is still as it was copied. Ask three questions of it: whose length is divided by? Where does "
        "padding go? And where do the words stand when the *clean* gradient is taken?",
        _step(move=_SHARED, stay=True),
        as_given=True,
    ),
    Misconception(
        "never restored",
        "each text has its own length now. But your words are still moved when the clean gradient is taken, and moved "
        "twice for the other: what was moved has to be put back, or never be overwritten.",
        _step(stay=True),
    ),
    Misconception(
        "never restored, padding moves",
        "each text has its own length now. Two things are left: padding moves too, and the words are still moved when "
        "the clean gradient is taken.",
        _step(move=_PADDED, stay=True),
    ),
    Misconception(
        "one norm for the batch",
        "the words are back in their place. But the texts still share one length: those with small gradients hardly "
        "move. `text_moves` gives each text its own.",
        _step(move=_SHARED),
    ),
    Misconception(
        "one norm for the batch, padding left alone",
        "the words are back and padding stays. But the texts still share one length: take it over the places and "
        "coordinates of one text.",
        _step(move=_moves(over=None)),
    ),
    Misconception(
        "padding moves",
        "each text has a length of its own and the words are back. But padding still moves with them, and takes a part "
        "of the length: where ids is 0 there is no word.",
        _step(move=_PADDED),
    ),
    Misconception(
        "padding counted",
        "padding does not move any more, but it still counts in the length, so that texts with padding move by less "
        "than eps.",
        _step(move=_moves(mask="last")),
    ),
    Misconception(
        "a length for each word",
        "every *word* of yours moves by eps. The words of one text share one eps: `text_moves` takes care of that.",
        _step(move=_moves(over=(2,))),
    ),
    Misconception(
        "a length for each word, padding too",
        "every place of yours moves by eps, words and padding alike. Padding stays, and the words of one text share "
        "one eps: `text_moves` takes care of both.",
        _step(move=_moves(mask="never", over=(2,))),
    ),
    Misconception(
        "both at the moved words",
        "the second move is gone, but both gradients are taken at the moved words now. The clean one belongs to the "
        "words as they were given: do not overwrite them.",
        _step(clean=0.0, attacked=2.0),
    ),
    Misconception(
        "both at the moved words, one norm for the batch",
        "the second move is gone, but both gradients are taken at the moved words now, and the texts still share one "
        "length. Do not overwrite the words, and let `text_moves` make the move.",
        _step(move=_SHARED, clean=0.0, attacked=2.0),
    ),
    Misconception(
        "both at the moved words, padding moves",
        "the second move is gone, but both gradients are taken at the moved words now, and padding moves too. Do not "
        "overwrite the words, and let `text_moves` make the move.",
        _step(move=_PADDED, clean=0.0, attacked=2.0),
    ),
    Misconception(
        "gradient through the move",
        "your gradient also goes through the move, which depends on the weights. The move is held fixed: take it "
        "before the gradient of the weights is recorded.",
        _through_the_move,
    ),
    Misconception(
        "attacked loss only",
        "you return the gradient at the moved words alone. Both losses are asked for: without a move and with it.",
        _step(clean=0.0),
    ),
    Misconception(
        "clean loss only",
        "what you return is the gradient without any move, twice or once: the move reaches nobody.",
        _step(attacked=0.0),
    ),
    Misconception(
        "clean loss twice",
        "both your gradients are taken at the clean words: that is ordinary training with a doubled loss.",
        _step(clean=2.0, attacked=0.0),
    ),
    Misconception(
        "accumulated twice",
        "the clean gradient is counted twice: once as itself, and once where the gradients of the pass that found the "
        "move were left lying in the weights.",
        _step(clean=2.0),
    ),
    Misconception(
        "mean of the two",
        "you average the two gradients. The docstring asks for their sum: the loss plus the loss.",
        _step(clean=0.5, attacked=0.5),
    ),
    Misconception(
        "downhill",
        "your move goes against the slope: the second loss is taken at words that make it easier.",
        _step(sign=-1.0),
    ),
    Misconception(
        "at the move alone",
        "your second gradient is taken at the move, without the words. The place is the words plus the move.",
        _step(at_move_only=True),
    ),
)


def _path_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return steps that leave the ball, and steps that stay inside."""
    cases = []
    for lengths, d, eps, step, steps in (((4, 2, 3), 3, 0.8, 0.6, 3), ((2, 5, 3, 1), 4, 2.0, 0.4, 4)):
        ids = _ids(lengths, rng)
        words, weights = rng.normal(size=(*ids.shape, d)), rng.normal(size=d)
        start = _moves()(rng.normal(size=words.shape), ids, 0.5 * eps)
        cases.append(
            {"loss_fn": _loss(words.shape, rng), "words": words, "ids": ids, "weights": weights, "start": start}
            | {"eps": eps, "step": step, "steps": steps}
        )
    return cases


def _in_balls(move: np.ndarray, eps: float) -> np.ndarray:
    """Shorten each word's move by itself."""
    length = np.linalg.norm(move, axis=2, keepdims=True)
    return move * np.minimum(1.0, eps / np.where(length > 0, length, 1.0))


def _in_ball(move: np.ndarray, eps: float) -> np.ndarray:
    return reference.project(move, eps=eps, norm="l2")


def _path(
    *,
    shares: Callable[[int], np.ndarray] = lambda steps: np.full(steps, 1 / steps),
    keep: Callable[[np.ndarray, float], np.ndarray] = _in_ball,
    from_zero: bool = False,
    move_first: bool = False,
    clean: float = 0.0,
    move: Way = RIGHT,
    long: bool = False,
    at_words: bool = False,
    drift: bool = False,
    replace: bool = False,
    about_zero: bool = False,
    sign: float = 1.0,
) -> Callable[..., np.ndarray]:
    """Return FreeLB's gradient with some of its parts done wrong; ``shares`` weigh the places."""

    def answer(
        loss_fn: _Bent,
        words: np.ndarray,
        ids: np.ndarray,
        weights: np.ndarray,
        start: np.ndarray,
        eps: float,
        step: float,
        steps: int,
    ) -> np.ndarray:
        delta = np.zeros_like(start) if from_zero else start
        total = clean * loss_fn.gradient(words, weights)
        for share in shares(steps):
            if not move_first:
                total = total + share * loss_fn.gradient(words + delta, weights)
            slope = loss_fn.slope(words if at_words else words + delta, weights)
            moved = sign * move(slope, ids, eps if long else step)
            if not replace:
                moved = delta + moved
            if drift:
                words = words + delta
            delta = keep(words + moved, eps) - words if about_zero else keep(moved, eps)
            if move_first:
                total = total + share * loss_fn.gradient(words + delta, weights)
        return total

    return answer


def _only(place: int) -> Callable[[int], np.ndarray]:
    return lambda steps: np.eye(steps)[place]


def _course_path(advrec: ModuleType) -> Callable[..., Any]:
    moves = _course_moves(advrec)

    def freelb_gradient(
        loss_fn: Any, words: Any, ids: Any, weights: Any, start: Any, *, eps: float, step: float, steps: int
    ) -> Any:
        """Return the mean over the places of a path of the gradient for the weights."""
        move, total = start, 0 * weights
        for _ in range(steps):
            _, (slope, gradient) = advrec.value_and_grad(lambda pair: loss_fn(*pair), (words + move, weights))
            total = total + gradient / steps
            move = advrec.project(move + moves(slope, ids, eps=step), eps=eps, norm="l2")
        return total

    return freelb_gradient


PATH = (
    Misconception(
        "only the last place",
        "you return the gradient at the last place alone: that is PGD, which throws the others away. FreeLB averages "
        "the gradients of all places.",
        _path(shares=_only(-1)),
    ),
    Misconception(
        "only the first place",
        "you return the gradient at the first place: does `return` stand inside the loop, or does nobody use the move?",
        _path(shares=_only(0)),
    ),
    Misconception(
        "after the last step",
        "you return the gradient at the place that the last step reaches: that is PGD, and one gradient more. FreeLB "
        "averages the gradients that it meets on the way.",
        _path(shares=_only(-1), move_first=True),
    ),
    Misconception(
        "sum instead of mean",
        "you add the gradients up. Their mean is asked for: with a sum, more steps would mean a larger step of the "
        "weights.",
        _path(shares=np.ones),
    ),
    Misconception(
        "never shortened",
        "your path leaves the ball: each step adds length, and nothing takes any away. After each step, back into the "
        "ball of length eps.",
        _path(keep=lambda move, eps: move),
    ),
    Misconception(
        "the first place is missing",
        "you step first and take the gradient of the weights afterwards. So the first place is missing and one after "
        "the last is in. One backward pass at each place gives both gradients.",
        _path(move_first=True),
    ),
    Misconception(
        "starts at zero",
        "your path starts at the words. It starts at `words + start`.",
        _path(from_zero=True),
    ),
    Misconception(
        "the clean gradient too",
        "you add the gradient without a move. That is PGD's habit; FreeLB's loss is the mean over the places only.",
        _path(clean=1.0),
    ),
    Misconception(
        "steps that replace",
        "each of your steps takes the place of the move so far. A path adds them up: move + step, then back into the "
        "ball.",
        _path(replace=True),
    ),
    Misconception(
        "a ball around zero",
        "you project the place, words and move together, so that your ball lies around zero. It lies around the words: "
        "project the move alone, and add it to the words.",
        _path(about_zero=True),
    ),
    Misconception(
        "a ball for each word",
        "you shorten each word's move by itself. The ball is that of a text: the length goes over its words together.",
        _path(keep=_in_balls),
    ),
    Misconception(
        "steps of length eps",
        "your steps are as long as the ball is wide. They have the length `step`; eps is for the ball.",
        _path(long=True),
    ),
    Misconception(
        "slope at the words",
        "you ask for the direction at the words every time, so that the path is a straight line. Ask at the place "
        "where you stand.",
        _path(at_words=True),
    ),
    Misconception(
        "never restored",
        "your words go along with the move: after each round they stand at the last place, and the move is added once "
        "more. The place is always the words as given plus the move.",
        _path(drift=True),
    ),
    Misconception(
        "one norm for the batch",
        "your steps share one length over the whole batch. Each text takes a step of its own length: `text_moves`.",
        _path(move=_moves(over=None)),
    ),
    Misconception(
        "one norm for the batch, padding too",
        "your steps share one length over the whole batch, padding included. Each text takes a step of its own length, "
        "and padding stays: `text_moves`.",
        _path(move=_SHARED),
    ),
    Misconception(
        "padding moves",
        "padding moves along. Where ids is 0 there is no word: `text_moves` leaves it alone.",
        _path(move=_PADDED),
    ),
    Misconception(
        "downhill", "your path goes down: the places make the loss smaller. An attack goes up.", _path(sign=-1.0)
    ),
    Misconception(
        "the sphere for the ball",
        "you give the move the length eps after every step. A ball has an inside: shorten what is too long, and only "
        "that.",
        _path(keep=lambda move, eps: eps * reference.fgm_delta(move, eps=1.0)),
    ),
    Misconception(
        "a box for the ball",
        "you clip the entries one by one: that is a box. A text stays in a ball: its length counts.",
        _path(keep=lambda move, eps: np.clip(move, -eps, eps)),
    ),
)


class PathExercise(FunctionExercise):
    """FreeLB's gradient: a right one that takes more passes than places is accepted with a remark."""

    def _judge(self, answer: Any) -> Verdict:
        verdict = super()._judge(answer)
        if verdict.status != CORRECT:
            return verdict
        advrec, case, calls = tracks.module(), self._cases()[0], 0
        built = {name: _build(value, advrec) for name, value in case.items()}
        loss_fn = built["loss_fn"]

        def counted(*inputs: Any) -> Any:
            nonlocal calls
            calls += 1
            return loss_fn(*inputs)

        self._call(answer, built | {"loss_fn": counted})
        if calls <= case["steps"]:
            return verdict
        remark = (
            f"One thing to improve: you compute the loss {calls} times at {case['steps']} places. One call of "
            "value_and_grad with a pair gives both gradients of a place, and nothing is thrown away."
        )
        return Verdict(CORRECT, f"{verdict.message} {remark}")


EXERCISES = [
    FunctionExercise(
        "15.1",
        "one length for each text, over its real words; padding stays",
        hints=(
            "Two things happen to `way`: padding is set to 0, and each text is scaled. Does the order matter?",
            "(ids != 0) with one axis more is 1 for a word and 0 for padding. A text's length is the root of the sum "
            "of squares over axes 1 and 2 together, kept as axes so that it divides.",
            "way = way * mask; length = sqrt(sum of way**2 over (1, 2), axes kept); return eps * way / length, with 1 "
            "in place of a length of 0.",
        ),
        cases=_move_cases,
        keywords=("eps",),
        reference=_moves(),
        course=_course_moves,
        misconceptions=MOVES,
        notice=_at_the_edges,
    ),
    FunctionExercise(
        "15.2",
        "each text has its own length, padding stays, and the words were never overwritten",
        hints=(
            "Follow `words` through the function line by line. At which place is each of the two gradients taken?",
            "And the move: by whose length is it divided? You wrote a function that does it for each text.",
            "move = text_moves(slope, ids, eps=eps), and leave out the line that overwrites words.",
        ),
        cases=_step_cases,
        keywords=("eps",),
        reference=_step(),
        course=_course_step,
        misconceptions=STEP,
    ),
    PathExercise(
        "15.3",
        "each place gives both gradients: that of the weights is averaged, that of the words makes the next place",
        hints=(
            "advrec.value_and_grad takes a pair: value_and_grad(lambda pair: loss_fn(*pair), (place, weights)) returns "
            "both gradients of one pass.",
            "One round: gradients at words + move; add the weights' one, divided by steps; then step and project.",
            "total = total + gradient / steps; move = advrec.project(move + text_moves(slope, ids, eps=step), eps=eps, "
            "norm='l2'); begin with move = start.",
        ),
        cases=_path_cases,
        keywords=("eps", "step", "steps"),
        reference=_path(),
        course=_course_path,
        misconceptions=PATH,
    ),
    ChoiceExercise(
        "15.4",
        "noise of the same size",
        hints=(
            "What did noise of length EPS do to the AUC of the start model, a few cells above?",
            "A text's move has thousands of coordinates. How large a part of a random direction lies along one given "
            "direction?",
            "If the noise changes the loss by next to nothing, what can training with it teach?",
        ),
        answer="b",
        explanation="in thousands of dimensions a random direction is nearly at right angles to the gradient: the loss "
        "hardly changes, so there is hardly anything to learn from it. In the table, compare `random` with `plain`, "
        "which takes as many steps; `plain, twice` differs in its steps as well.",
        wrong={
            "a": "that would be so if the attack were noise. Look at what noise of this length did to the start "
            "model's AUC: there is next to nothing that training could learn to withstand.",
            "c": "noise of this length did not blur the words: it changed the start model's AUC by next to nothing. "
            "Why should training with it do more?",
        },
    ),
]
