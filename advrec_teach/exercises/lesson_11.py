"""Exercises of lesson 11: beliefs that stay, the move that changes them most, and a free move that is none."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference, reference_defences
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception
from advrec_teach.exercises.losses import quadratic, track_sum

Gradient = Callable[[np.ndarray], np.ndarray]

# --- 11.2: how far a belief moved


def _belief_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Margins on both sides of zero, moved by a little and by a lot."""
    return [
        {"clean": rng.normal(size=7), "moved": rng.normal(size=7)},
        {"clean": 2 * rng.normal(size=5), "moved": 3 * rng.normal(size=5)},
    ]


def _beliefs(clean: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return reference.sigmoid(clean), reference.sigmoid(moved)


def _cross_entropy(clean: np.ndarray, moved: np.ndarray) -> np.ndarray:
    before, _ = _beliefs(clean, moved)
    return before * reference.softplus(-moved) + (1 - before) * reference.softplus(moved)


def _one_side(clean: np.ndarray, moved: np.ndarray) -> float:
    before, _ = _beliefs(clean, moved)
    return float(np.mean(before * (reference.softplus(-moved) - reference.softplus(-clean))))


def _without_sigmoid(clean: np.ndarray, moved: np.ndarray) -> float:
    return float(np.mean(clean * np.log(clean / moved) + (1 - clean) * np.log((1 - clean) / (1 - moved))))


def _squared(clean: np.ndarray, moved: np.ndarray) -> float:
    before, after = _beliefs(clean, moved)
    return float(np.mean((before - after) ** 2))


def _course_belief(advrec: ModuleType) -> Callable[..., Any]:
    def belief_change(clean: Any, moved: Any) -> Any:
        """Return the mean divergence between the beliefs at margins clean and at margins moved."""
        return advrec.smooth_loss(clean, moved)

    return belief_change


BELIEF = (
    Misconception(
        "the label is back",
        "this is the BPR loss of the moved margins: it asks whether the model is right there. What you want to know is "
        "whether it still believes what it believed before; no label enters.",
        lambda clean, moved: reference.bpr_loss(moved, np.zeros_like(moved)),
    ),
    Misconception(
        "the other way round",
        "you weigh by the belief after the move and measure how far the one before it is from there. The divergence is "
        "not the same in both directions: here the belief before the move is the standard.",
        lambda clean, moved: reference_defences.smooth_loss(moved, clean),
    ),
    Misconception(
        "cross entropy",
        "without a move your value is not 0: the uncertainty that the model has anyway is counted as change. Subtract "
        "what the formula has for the belief before the move.",
        lambda clean, moved: float(np.mean(_cross_entropy(clean, moved))),
    ),
    Misconception(
        "one of two outcomes",
        "only the outcome that the user prefers i is counted. The model also has a belief of the other outcome, 1 - "
        "pi, with a term of its own.",
        _one_side,
    ),
    Misconception(
        "squared difference",
        "you square the difference of two beliefs. That is a distance too, but another one: the formula compares "
        "logarithms, so that a belief near 0 or 1 counts for what it is.",
        _squared,
    ),
    Misconception(
        "margins as beliefs",
        "you put the margins into the formula. A margin is any number; a belief lies between 0 and 1: which function "
        "makes one of the other?",
        _without_sigmoid,
    ),
    Misconception(
        "sum instead of mean",
        "you sum over the pairs. With a mean the term keeps its weight whatever the size of the batch.",
        lambda clean, moved: len(clean) * reference_defences.smooth_loss(clean, moved),
    ),
    Misconception(
        "not averaged",
        "the values are right, one for each pair. What is trained on is their mean, one number.",
        lambda clean, moved: (
            _cross_entropy(clean, moved) - _cross_entropy(clean, clean)  # one value a pair
        ),
    ),
)

# --- 11.3: the move that changes them most


def _bowl(rng: np.random.Generator, shape: tuple[int, int], bottom: np.ndarray) -> Made:
    """Return a divergence: 0 at ``bottom``, its lowest point, and bent differently everywhere; the last row is flat."""
    square, fourth = (rng.uniform(0.2, 3.0, size=shape).astype(np.float32) for _ in range(2))
    square[-1] = fourth[-1] = 0
    low = bottom.astype(np.float32)

    def build(advrec: ModuleType) -> Callable[[Any], Any]:
        total, a, b, x = track_sum(), *(advrec.tensor(v) for v in (square, fourth, low))
        return lambda y: total(0.5 * a * (y - x) ** 2 + 0.25 * b * (y - x) ** 4)

    def slope(y: np.ndarray) -> np.ndarray:
        d = y - low.astype(np.float64)
        return square.astype(np.float64) * d + fourth.astype(np.float64) * d**3

    return Made(build, slope)


def _move_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for shape, eps, probe in (((4, 3), 1.5, 0.6), ((5, 6), 2.0, 0.8)):
        x = rng.normal(size=shape).astype(np.float32).astype(np.float64)
        start = rng.normal(size=shape)
        cases.append({"divergence": _bowl(rng, shape, x), "x": x, "start": start, "eps": eps, "probe": probe})
    return cases


def _unit(v: np.ndarray) -> np.ndarray:
    return reference.fgm_delta(v, eps=1.0)


def _steepest(divergence: Gradient, x: np.ndarray, start: np.ndarray, eps: float, probe: float) -> np.ndarray:
    return eps * _unit(divergence(x + probe * _unit(start)))


def _course_move(advrec: ModuleType) -> Callable[..., Any]:
    def smoothing_move(divergence: Any, x: Any, start: Any, *, eps: float, probe: float) -> Any:
        """Return the move of length eps a row along which the divergence rises most, found from a small random move."""
        first = advrec.fgm_delta(lambda y: _inner_product(y, start), start, eps=probe)
        return advrec.fgm_delta(divergence, x + first, eps=eps)

    return smoothing_move


def _inner_product(y: Any, start: Any) -> Any:
    """Return the sum of the products of all entries: its slope is ``start``."""
    return track_sum()(y * start)


MOVE = (
    Misconception(
        "from the spot",
        "you ask for the slope at x itself. There the divergence is 0, which is its lowest value, so its slope is zero "
        "and points nowhere: nothing moves.",
        lambda divergence, x, start, eps, probe: eps * _unit(divergence(x)),
    ),
    Misconception(
        "only noise",
        "you return the random direction, scaled to eps. It was to be the place from which you ask where the "
        "divergence rises.",
        lambda divergence, x, start, eps, probe: eps * _unit(start),
    ),
    Misconception(
        "the probe is kept",
        "your move is the step and the small random move together. The random move was only a place to stand on while "
        "asking; afterwards it is dropped.",
        lambda divergence, x, start, eps, probe: probe * _unit(start) + _steepest(divergence, x, start, eps, probe),
    ),
    Misconception(
        "probe not scaled",
        "the random move has the length that the draw happened to have. Each of its rows should have length probe "
        "before you ask.",
        lambda divergence, x, start, eps, probe: eps * _unit(divergence(x + probe * start)),
    ),
    Misconception(
        "probe as long as the move",
        "you ask at a distance of eps. The argument probe says how far to go for asking: close to x, where only the "
        "curvature counts.",
        lambda divergence, x, start, eps, probe: eps * _unit(divergence(x + eps * _unit(start))),
    ),
    Misconception(
        "raw slope",
        "you multiply the slope by eps. Then a vector whose beliefs hardly change hardly moves: each row should "
        "move by length eps.",
        lambda divergence, x, start, eps, probe: eps * divergence(x + probe * _unit(start)),
    ),
    Misconception(
        "downhill",
        "your move goes against the slope. So close to the lowest point the divergence rises that way too, nearly as "
        "much; but the formula, and every step up, goes along the slope.",
        lambda divergence, x, start, eps, probe: -_steepest(divergence, x, start, eps, probe),
    ),
    Misconception(
        "the moved vectors",
        "you return x plus the move. The move alone is asked for.",
        lambda divergence, x, start, eps, probe: x + _steepest(divergence, x, start, eps, probe),
    ),
)

# --- 11.4: a move that is never begun anew


def _builder(batches: list[Made]) -> Callable[[ModuleType], Any]:
    """Return the function that makes the list of losses in a track."""
    return lambda advrec: [batch.build(advrec) for batch in batches]


def _free_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Batches of four losses, so that a move that is never shortened grows beyond eps; one start at zero, one not."""
    cases = []
    for shape, eps, rate, first in (((4, 3), 0.4, 0.3, 0.0), ((5, 4), 0.7, 0.1, 1.0)):
        batches = [quadratic(rng, shape, flat_rows=1) for _ in range(4)]
        losses = Made(_builder(batches), [batch.truth for batch in batches])
        delta = reference.project(first * rng.normal(size=shape), eps=eps, norm="l2")
        cases.append({"losses": losses, "x": 2 * rng.normal(size=shape), "delta": delta, "eps": eps, "rate": rate})
    return cases


def _free(
    *,
    anew: bool = False,
    at_x: bool = False,
    shorten: bool = True,
    whole: bool = False,
    down: bool = False,
    stay: bool = False,
    move_first: bool = False,
    raw: bool = False,
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return the pass of free training with some of its parts done wrong."""

    def answer(
        losses: list[Gradient], x: np.ndarray, delta: np.ndarray, eps: float, rate: float
    ) -> tuple[np.ndarray, np.ndarray]:
        for loss_fn in losses:
            if anew:
                delta = np.zeros_like(x)
            if move_first:
                delta = reference.project(delta + eps * _unit(loss_fn(x + delta)), eps=eps, norm="l2")
            gradient = loss_fn(x if at_x else x + delta)
            x = (x + delta if stay else x) - rate * gradient
            if not move_first:
                step = eps * (gradient if raw else _unit(gradient)) * (-1 if down else 1)
                delta = delta + step
                if whole:
                    delta = delta * min(1.0, eps / np.linalg.norm(delta))
                elif shorten:
                    delta = reference.project(delta, eps=eps, norm="l2")
        return x, delta

    return answer


def _course_free(advrec: ModuleType) -> Callable[..., Any]:
    def free_pass(losses: Any, x: Any, delta: Any, *, eps: float, rate: float) -> Any:
        """Return vectors and move after one step of free training for each of the losses."""
        for loss_fn in losses:
            _, gradient = advrec.value_and_grad(loss_fn, x + delta)
            x = x - rate * gradient
            step = advrec.fgm_delta(lambda y, g=gradient: _inner_product(y, g), x, eps=eps)
            delta = advrec.project(delta + step, eps=eps, norm="l2")
        return x, delta

    return free_pass


FREE = (
    Misconception(
        "as given",
        "the vectors end where ordinary training ends: every gradient is still taken at a move of zero. Follow delta "
        "through one round of the loop: who has seen it before it is thrown away?",
        _free(anew=True, shorten=False),
    ),
    Misconception(
        "never shortened",
        "the move lives on now. But each batch adds a step of length eps and nothing takes any away, so it leaves the "
        "ball: after four batches it may be four times eps long.",
        _free(shorten=False),
    ),
    Misconception(
        "gradient at the clean vectors",
        "the move lives on, and nobody uses it: your gradient is taken at x. That is ordinary training with a "
        "bystander.",
        _free(at_x=True),
    ),
    Misconception(
        "shortened as a whole",
        "you shorten the table as one long vector, so that a single row hardly moves. Every row has a ball of its own.",
        _free(whole=True),
    ),
    Misconception(
        "a friendly move",
        "your move goes down: model and move both follow the gradient in the same sense. One of them is the attacker.",
        _free(down=True),
    ),
    Misconception(
        "not restored",
        "your vectors stay at the attacked place. The move is where the slope is measured; the step is taken from x "
        "(lesson 10).",
        _free(stay=True),
    ),
    Misconception(
        "a second gradient",
        "you move first and then take another gradient for the model. That is a sound defence, and it costs two "
        "gradients a batch. Free training uses one gradient for both.",
        _free(move_first=True),
    ),
    Misconception(
        "raw slope",
        "your move takes a step of eps times the gradient, and a trained model's gradients are tiny. Give each row "
        "of the step the length eps.",
        _free(raw=True),
    ),
)

EXERCISES = [
    ChoiceExercise(
        "11.1",
        "a heavier penalty as a defence",
        hints=(
            "The attack is a share of each vector's own length, so shorter vectors alone change nothing.",
            "Which vectors does a penalty keep short: those that all users agree on, or those that fit a few ratings?",
            "What was fitted to a few ratings is what a small move undoes. A heavier penalty fits less of it.",
        ),
        answer="b",
        explanation="a penalty that costs next to nothing without an attack keeps clearly more under it. Every defence "
        "below has to be better than this knob, which everybody has.",
        wrong={
            "a": "an attack of a fixed length would indeed hurt short vectors more (lesson 08, trap 1). But here "
            "every vector moves by a share of its own length, so its length alone changes nothing. What else does a "
            "penalty do?",
            "c": "then robustness would need an attack in training. Think of what an overfitted model knows, and "
            "how much of that survives a small move.",
        },
    ),
    FunctionExercise(
        "11.2",
        "a belief compared with itself gives 0, and no label is needed",
        hints=(
            "A margin becomes a belief by the logistic function. Two outcomes are possible: the user prefers i, or j.",
            "log sigmoid(m) is -softplus(-m), and log(1 - sigmoid(m)) is -softplus(m): safe for large margins.",
            "With pi = sigmoid(clean): the mean of pi times (softplus(-moved) - softplus(-clean)) plus (1 - pi) times "
            "(softplus(moved) - softplus(clean)).",
        ),
        cases=_belief_cases,
        reference=lambda clean, moved: np.asarray(reference_defences.smooth_loss(clean, moved)),
        course=_course_belief,
        differentiate=("moved",),
        misconceptions=BELIEF,
    ),
    FunctionExercise(
        "11.3",
        "a small step aside to see where the beliefs change, then one step of length eps from x",
        hints=(
            "What is the slope of a function at its lowest point? So ask somewhere else, close by.",
            "rows_of_length(start, probe) is the step aside. advrec.value_and_grad(divergence, ...) there gives the "
            "slope.",
            "Return rows_of_length(slope, eps); the step aside is not part of it.",
        ),
        cases=_move_cases,
        keywords=("eps", "probe"),
        reference=_steepest,
        course=_course_move,
        misconceptions=MOVE,
    ),
    FunctionExercise(
        "11.4",
        "one gradient serves both: the model steps down, the move steps up, stays in its balls and lives on",
        hints=(
            "Train once with the copied program and once with no move at all, and compare the vectors.",
            "Where is delta when the gradient is taken? It should be what the batch before left behind. And once it "
            "lives on: how long can it get?",
            "Leave out the line that sets delta to zero, and end each round with advrec.project(..., eps=eps, "
            "norm='l2').",
        ),
        cases=_free_cases,
        keywords=("eps", "rate"),
        reference=_free(),
        course=_course_free,
        misconceptions=FREE,
    ),
]
