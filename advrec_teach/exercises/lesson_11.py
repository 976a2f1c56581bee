"""Exercises of lesson 11: beliefs that stay, a free move that is none, a front, and the layer that is protected."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference, reference_defences, tracks
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.core import CORRECT, Verdict
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


def _apart(power: int) -> Callable[..., float]:
    """Return the mean of the beliefs' absolute difference to this power."""

    def answer(clean: np.ndarray, moved: np.ndarray) -> float:
        before, after = _beliefs(clean, moved)
        return float(np.mean(np.abs(before - after) ** power))

    return answer


# Margins of a hundred, one way and the other, and one pair that stays where it was.
LARGE = (np.array([100.0, -100.0, 100.0]), np.array([-100.0, 100.0, 100.0]))


class BeliefExercise(FunctionExercise):
    """Tries a function that is right for small margins on large ones, where 32 bits lose the second outcome."""

    def _judge(self, answer: Any) -> Verdict:
        verdict = super()._judge(answer)
        if verdict.status != CORRECT:
            return verdict
        advrec = tracks.module()
        found = float(advrec.numpy(answer(*(advrec.tensor(margin) for margin in LARGE))))
        right = reference_defences.smooth_loss(*LARGE)
        if abs(found - right) < 1e-3 * right:
            return verdict
        return self._wrong(
            f"right for small margins. With the margins {LARGE[0].tolist()} moved to {LARGE[1].tolist()} your function "
            f"returns {found:.4g}, and the divergence is {right:.4g}: in 32 bits sigmoid(100) is exactly 1, so that "
            "1 - sigmoid is 0 and has no logarithm, and a belief that is clipped before the logarithm is no longer the "
            "model's. Write log sigmoid(m) as the equation above the exercise does, and no logarithm is left."
        )


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
        _apart(2),
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
    Misconception(
        "minus the divergence",
        "the size is right, the sign is not: a divergence is never negative. Each term is the belief times the "
        "logarithm of the belief before over the one after; softplus brings a minus of its own.",
        lambda clean, moved: -reference_defences.smooth_loss(clean, moved),
    ),
    Misconception(
        "both directions",
        "you average the divergence with the one in the other direction. That is symmetric, and another measure: here "
        "the belief before the move is the standard.",
        lambda clean, moved: (
            (reference_defences.smooth_loss(clean, moved) + reference_defences.smooth_loss(moved, clean)) / 2
        ),
    ),
    Misconception(
        "logarithm to base 2",
        "your value is the divergence in bits: a logarithm to base 2. The formula and the losses of the course use the "
        "natural one.",
        lambda clean, moved: reference_defences.smooth_loss(clean, moved) / np.log(2),
    ),
    Misconception(
        "absolute difference",
        "you take the distance of two beliefs. The formula compares logarithms, so that a belief near 0 or 1 counts "
        "for what it is.",
        _apart(1),
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
        d = rng.normal(size=shape)
        cases.append({"divergence": _bowl(rng, shape, x), "x": x, "d": d, "eps": eps, "probe": probe})
    return cases


def _unit(v: np.ndarray) -> np.ndarray:
    return reference.fgm_delta(v, eps=1.0)


def _over(v: np.ndarray, axis: int | None) -> np.ndarray:
    return v / np.linalg.norm(v, axis=axis, keepdims=True)


def _steepest(divergence: Gradient, x: np.ndarray, d: np.ndarray, eps: float, probe: float) -> np.ndarray:
    return eps * _unit(divergence(x + probe * _unit(d)))


def _course_move(advrec: ModuleType) -> Callable[..., Any]:
    def smoothing_move(divergence: Any, x: Any, d: Any, *, eps: float, probe: float) -> Any:
        """Return the move of length eps a row along which the divergence rises most, found from a small random move."""
        first = advrec.fgm_delta(lambda y: _inner_product(y, d), d, eps=probe)
        return advrec.fgm_delta(divergence, x + first, eps=eps)

    return smoothing_move


def _inner_product(y: Any, d: Any) -> Any:
    """Return the sum of the products of all entries: its slope is ``d``."""
    return track_sum()(y * d)


MOVE = (
    Misconception(
        "from the spot",
        "you ask for the slope at x itself. There the divergence is 0, which is its lowest value, so its slope is zero "
        "and points nowhere: nothing moves.",
        lambda divergence, x, d, eps, probe: eps * _unit(divergence(x)),
    ),
    Misconception(
        "only noise",
        "you return the random direction, scaled to eps. It was to be the place from which you ask where the "
        "divergence rises.",
        lambda divergence, x, d, eps, probe: eps * _unit(d),
    ),
    Misconception(
        "the probe is kept",
        "your move is the step and the small random move together. The random move was only a place to stand on while "
        "asking; afterwards it is dropped.",
        lambda divergence, x, d, eps, probe: probe * _unit(d) + _steepest(divergence, x, d, eps, probe),
    ),
    Misconception(
        "probe not scaled",
        "the random move has the length that the draw happened to have. Each of its rows should have length probe "
        "before you ask.",
        lambda divergence, x, d, eps, probe: eps * _unit(divergence(x + probe * d)),
    ),
    Misconception(
        "probe as long as the move",
        "you ask at a distance of eps. The argument probe says how far to go for asking: close to x, where only the "
        "curvature counts.",
        lambda divergence, x, d, eps, probe: eps * _unit(divergence(x + eps * _unit(d))),
    ),
    Misconception(
        "raw slope",
        "you multiply the slope by eps. Then a vector whose beliefs hardly change hardly moves: each row should "
        "move by length eps.",
        lambda divergence, x, d, eps, probe: eps * divergence(x + probe * _unit(d)),
    ),
    Misconception(
        "downhill",
        "your move goes against the slope. So close to the lowest point the divergence rises that way too, nearly as "
        "much; but the formula, and every step up, goes along the slope.",
        lambda divergence, x, d, eps, probe: -_steepest(divergence, x, d, eps, probe),
    ),
    Misconception(
        "the moved vectors",
        "you return x plus the move. The move alone is asked for.",
        lambda divergence, x, d, eps, probe: x + _steepest(divergence, x, d, eps, probe),
    ),
    Misconception(
        "one length for the table",
        "you divide by the length of the whole table: its rows share one eps. Every vector has a move of length eps of "
        "its own; rows_of_length divides row by row.",
        lambda divergence, x, d, eps, probe: eps * _over(divergence(x + probe * _unit(d)), None),
    ),
    Misconception(
        "columns instead of rows",
        "you divide by the lengths of the columns. A vector is a row here: its length is the norm along axis 1.",
        lambda divergence, x, d, eps, probe: eps * _over(divergence(x + probe * _unit(d)), 0),
    ),
    Misconception(
        "as short as the probe",
        "the direction is right, the length is not: your move is as long as the step aside. The move has length eps a "
        "row.",
        lambda divergence, x, d, eps, probe: probe * _unit(divergence(x + probe * _unit(d))),
    ),
    Misconception(
        "far from the vectors",
        "you ask at the random step alone, without x. The step aside starts at the vectors: the place is x plus it.",
        lambda divergence, x, d, eps, probe: eps * _unit(divergence(probe * _unit(d))),
    ),
    Misconception(
        "signs instead of lengths",
        "you take the signs of the slope, which is the step of the box (lesson 08). Here a row moves by length eps "
        "along its slope.",
        lambda divergence, x, d, eps, probe: eps * np.sign(divergence(x + probe * _unit(d))),
    ),
    Misconception(
        "two steps",
        "you step aside along the slope once more and ask again. That finds the direction better, and costs a gradient "
        "more; here one step is asked for.",
        lambda divergence, x, d, eps, probe: (
            eps * _unit(divergence(x + probe * _unit(divergence(x + probe * _unit(d)))))
        ),
    ),
)

# --- 11.4: a move that is never begun anew


def _builder(batches: list[Made]) -> Callable[[ModuleType], Any]:
    """Return the function that makes the list of losses in a track."""
    return lambda advrec: [batch.build(advrec) for batch in batches]


def _free_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Batches of four losses, so that a move that is never shortened grows beyond eps; starts at zero and elsewhere.

    The last case starts against the first slope, so that a step ends inside the ball, where nothing is shortened.
    """
    cases: list[dict[str, Any]] = []
    for shape, eps, rate, first in (((4, 3), 0.4, 0.3, 0.0), ((5, 4), 0.7, 0.1, 1.0)):
        batches = [quadratic(rng, shape, flat_rows=1) for _ in range(4)]
        losses = Made(_builder(batches), [batch.truth for batch in batches])
        delta = reference.project(first * rng.normal(size=shape), eps=eps, norm="l2")
        cases.append({"losses": losses, "x": 2 * rng.normal(size=shape), "delta": delta, "eps": eps, "rate": rate})
    x = 2 * rng.normal(size=cases[0]["x"].shape)
    against = -0.6 * 0.4 * _unit(cases[0]["losses"].truth[0](x))
    return [*cases, cases[0] | {"x": x, "delta": against}]


def _ball(delta: np.ndarray, eps: float) -> np.ndarray:
    return reference.project(delta, eps=eps, norm="l2")


def _whole_ball(delta: np.ndarray, eps: float) -> np.ndarray:
    return delta * min(1.0, eps / np.linalg.norm(delta))


def _as_it_is(delta: np.ndarray, eps: float) -> np.ndarray:
    return delta


def _free(
    *,
    anew: bool = False,
    zero_first: bool = False,
    at_x: bool = False,
    keep: Callable[[np.ndarray, float], np.ndarray] = _ball,
    at_the_end: bool = False,
    down: bool = False,
    model_up: bool = False,
    stay: bool = False,
    move_first: bool = False,
    second: bool = False,
    length: Callable[[np.ndarray], np.ndarray] = _unit,
    batches: int | None = None,
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return the pass of free training with some of its parts done wrong."""

    def answer(
        losses: list[Gradient], x: np.ndarray, delta: np.ndarray, eps: float, rate: float
    ) -> tuple[np.ndarray, np.ndarray]:
        delta = np.zeros_like(x) if zero_first else delta
        for loss_fn in losses[:batches]:
            if anew:
                delta = np.zeros_like(x)
            if move_first:
                delta = keep(delta + eps * _unit(loss_fn(x + delta)), eps)
            gradient = loss_fn(x if at_x else x + delta)
            x = (x + delta if stay else x) + (rate if model_up else -rate) * gradient
            if second:
                gradient = loss_fn(x + delta)
            if not move_first:
                step = eps * length(gradient) * (-1 if down else 1)
                delta = delta + step if at_the_end else keep(delta + step, eps)
        return x, keep(delta, eps) if at_the_end else delta

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
        _free(anew=True, keep=_as_it_is),
    ),
    Misconception(
        "never shortened",
        "the move lives on now. But each batch adds a step of length eps and nothing takes any away, so it leaves the "
        "ball: after four batches it may be four times eps long.",
        _free(keep=_as_it_is),
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
        _free(keep=_whole_ball),
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
        _free(length=lambda gradient: gradient),
    ),
    Misconception(
        "the sphere for the ball",
        "you give every row of the move the length eps after each step. A ball has an inside: a step that turns back "
        "makes the move shorter than eps, and there it may stay. Shorten what is too long, and only that.",
        _free(keep=lambda delta, eps: eps * _unit(delta)),
    ),
    Misconception(
        "begun anew once",
        "inside the loop the move lives on now, but you set it to zero before the loop: what the pass before left "
        "behind is lost. The argument delta is where the move goes on.",
        _free(zero_first=True),
    ),
    Misconception(
        "shortened at the end",
        "you shorten the move once, after the last batch. Until then it leaves the ball, and the gradients are taken "
        "out there: shorten it after every step.",
        _free(at_the_end=True),
    ),
    Misconception(
        "a box for the ball",
        "you clip the entries one by one: that is a box, and its corners are longer than eps. A row stays in a ball: "
        "its length counts.",
        _free(keep=lambda delta, eps: np.clip(delta, -eps, eps)),
    ),
    Misconception(
        "a gradient for each",
        "you take the gradient again for the move, after the model's step. That makes two gradients a batch; free "
        "training lets both use the first.",
        _free(second=True),
    ),
    Misconception(
        "the signs of the slope",
        "your step takes the signs of the gradient, which is the step of the box. Give each row of the step the "
        "length eps along its gradient.",
        _free(length=np.sign),
    ),
    Misconception(
        "the model goes up",
        "your model follows the gradient upwards, as the move does. Then nobody learns: the model steps down, the "
        "move up.",
        _free(model_up=True),
    ),
    Misconception(
        "only the first batch",
        "your function returns after the first batch: look at how far `return` stands from the margin.",
        _free(batches=1),
    ),
    Misconception(
        "the other way round",
        "you return the move first and the vectors second. The docstring asks for x and delta, in this order.",
        lambda losses, x, delta, eps, rate: _free()(losses, x, delta, eps, rate)[::-1],
    ),
)

# --- 11.5: the front

Points = list[tuple[float, float]]


def _front_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Points in general position; points equal in one respect or both; axes in other units; one that beats all."""
    apart = [(float(a), float(b)) for a, b in rng.uniform(size=(7, 2)).round(3)]
    equal = [(0.4, 0.2), (0.4, 0.2), (0.4, 0.1), (0.3, 0.2), (0.2, 0.3), (0.1, 0.3), (0.1, 0.1)]
    arc = [(0.1, 9.0), (0.5, 5.2), (0.6, 3.0), (0.9, 1.0), (0.4, 5.1)]
    one = [(0.3, 0.1), (0.9, 0.8), (0.1, 0.2)]
    return [{"points": points} for points in (apart, equal, arc, one)]


def _front(beaten: Callable[[Points, int], bool]) -> Callable[..., np.ndarray]:
    """Return the function that keeps the points that are not beaten."""
    return lambda points: np.array([not beaten(points, place) for place in range(len(points))])


def _dominated(points: Points, place: int) -> bool:
    x, y = points[place]
    return any(a >= x and b >= y and (a > x or b > y) for a, b in points)


def _course_front(advrec: ModuleType) -> Callable[..., Any]:
    def front(points: Points) -> list[bool]:
        """Return True for each point that no other is at least as good as in both respects and better in one."""
        return [not _dominated(points, place) for place in range(len(points))]

    return front


FRONT = (
    Misconception(
        "equal points beat each other",
        "two equal points throw each other off your front: each is at least as good as the other in both respects. To "
        "beat a point, another has to be *better* in one respect at least.",
        _front(lambda points, k: any(j != k and np.all(np.array(p) >= points[k]) for j, p in enumerate(points))),
    ),
    Misconception(
        "a point beats itself",
        "nothing is left on your front: you compare each point with itself too, and it is as good as itself. To beat "
        "a point, another has to be *better* in one respect at least.",
        _front(lambda points, k: True),
    ),
    Misconception(
        "better in both only",
        "your front keeps points that another one matches in one respect and beats in the other. Nobody would choose "
        "them: as good in both, better in one, is enough to beat a point.",
        _front(lambda points, k: any(a > points[k][0] and b > points[k][1] for a, b in points)),
    ),
    Misconception(
        "better in one is enough",
        "you throw a point off as soon as another is better in *one* respect. Then only a point that is best in both "
        "is left. A front is made of compromises: another one has to be as good in the other respect as well.",
        _front(lambda points, k: any(a > points[k][0] or b > points[k][1] for a, b in points)),
    ),
    Misconception(
        "smaller is better",
        "your front is that of a price: a smaller value wins. Here both numbers are NDCG, and more is better.",
        _front(lambda points, k: _dominated([(-a, -b) for a, b in points], k)),
    ),
    Misconception(
        "the beaten ones",
        "you mark the points that are beaten. True is for those on the front.",
        _front(lambda points, k: not _dominated(points, k)),
    ),
    Misconception(
        "the best of each",
        "you keep the points that are best in one of the two respects: the ends of the front. Between them stand "
        "compromises that nobody beats.",
        _front(lambda points, k: points[k][0] < max(p[0] for p in points) and points[k][1] < max(p[1] for p in points)),
    ),
    Misconception(
        "the largest sum",
        "you add the two numbers and keep the largest sum. That fixes how much clean quality an attacked one is worth; "
        "a front leaves the choice open.",
        _front(lambda points, k: sum(points[k]) < max(map(sum, points))),
    ),
)

EXERCISES = [
    ChoiceExercise(
        "11.1",
        "a heavier penalty as a defence",
        hints=(
            "The attack is a share of each vector's own length, so shorter vectors alone change nothing.",
            "Which vectors does a penalty keep short: those that all users agree on, or those that fit a few ratings?",
            "Perhaps what was fitted to a few ratings is what a small move undoes. A heavier penalty fits less of it.",
        ),
        answer="b",
        explanation="no attack in training, and still some robustness for next to nothing. This is what a defence has "
        "to beat.",
        wrong={
            "a": "an attack of a fixed length would indeed hurt short vectors more (lesson 08, trap 1). But here every "
            "vector moves by a share of its own length, so its length alone changes nothing. What else does a penalty "
            "do?",
            "c": "then robustness would need an attack in training. Think of what an overfitted model knows, and how "
            "much of that survives a small move.",
        },
    ),
    BeliefExercise(
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
        differentiate=("clean", "moved"),
        misconceptions=BELIEF,
    ),
    FunctionExercise(
        "11.3",
        "a small step aside to see where the beliefs change, then one step of length eps from x",
        hints=(
            "What is the slope of a function at its lowest point? So ask somewhere else, close by.",
            "rows_of_length(d, probe) is the step aside. advrec.value_and_grad(divergence, ...) there gives the slope.",
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
    FunctionExercise(
        "11.5",
        "no other is as good in both respects and better in one",
        hints=(
            "Take one point. Which points would make you say: nobody needs this one?",
            "A point is beaten by one that is at least as good in both numbers and better in at least one.",
            "[not any(a >= x and b >= y and (a > x or b > y) for a, b in points) for x, y in points]",
        ),
        cases=_front_cases,
        reference=_front(_dominated),
        course=_course_front,
        misconceptions=FRONT,
    ),
    ChoiceExercise(
        "11.6",
        "the layer that is protected",
        hints=(
            "The film vectors are one table, read and compared. What is attacked in training: the table or the places?",
            "A move at the places changes the state. The scores compare it with film vectors that did not move.",
            "Training protects against what it has met. Which of the two layers moved while the model trained?",
        ),
        answer="b",
        explanation="training protects the layer that it attacks. The other one gains little, or nothing, or loses.",
        wrong={
            "a": "the film vectors are one table, but the attack in training moves the places where they are read, "
            "after the look-up. The vectors at the output never moved while it trained.",
            "c": "that would be so if the attack in training reached the output. It moves what is read.",
        },
    ),
]
