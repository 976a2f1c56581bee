"""Exercises of lesson 09: many projected steps, and defences that only hide the gradient."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from advrec_teach import reference
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Misconception
from advrec_teach.exercises.losses import quadratic

# The loss of a model that tosses a coin for every pair: -log(1/2).
COIN = math.log(2)
STEPS = {"l2": reference.fgm_delta, "linf": reference.fgsm_delta}


# --- 09.1: projection


def _ball_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return tables with rows inside the ball, rows outside and a row of zeros, for both norms."""
    cases = []
    for norm, shape, eps in (("linf", (5, 4), 0.6), ("l2", (6, 3), 0.9), ("l2", (5, 8), 1.3), ("linf", (4, 6), 0.2)):
        delta = rng.normal(size=shape)
        delta *= np.linspace(0.1, 2.5, shape[0])[:, None] * eps / np.linalg.norm(delta, axis=1, keepdims=True)
        if norm == "linf":
            delta *= 2
        delta[1] = 0
        cases.append({"delta": delta, "eps": eps, "norm": norm})
    # With eps = 0 the ball is a point: rows of zeros and others have to come out as zeros, not as 0 / 0.
    cases.append({"delta": np.array([[0.0, 0.0, 0.0], [0.3, -0.4, 1.2]]), "eps": 0.0, "norm": "l2"})
    return cases


def _lengths(delta: np.ndarray, axis: int | None = 1) -> np.ndarray:
    length = np.sqrt((delta**2).sum(axis=axis, keepdims=True))
    return np.where(length > 0, length, 1)


def _project_but(**wrong: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Return the projection with the rule of one norm replaced."""

    def answer(delta: np.ndarray, eps: float, norm: str) -> np.ndarray:
        return wrong[norm](delta, eps) if norm in wrong else reference.project(delta, eps=eps, norm=norm)

    return answer


def _shortened(delta: np.ndarray, eps: float, axis: int | None) -> np.ndarray:
    return delta * np.minimum(1, eps / _lengths(delta, axis))


def _zero_row_is_nan(delta: np.ndarray, eps: float) -> np.ndarray:
    return np.where(np.any(delta != 0, axis=1, keepdims=True), _shortened(delta, eps, 1), np.nan)


# --- 09.2: the loop


def _pgd_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return runs that reach the edge of the ball, from its centre and from inside it; one loss is very flat."""
    cases = []
    for shape, norm, eps, step, steps, scale in (
        ((4, 3), "l2", 0.9, 0.4, 4, 1.0),
        ((5, 4), "linf", 0.5, 0.3, 3, 1.0),
        ((4, 5), "l2", 1.2, 0.2, 5, 1e-5),
    ):
        start = reference.project(rng.normal(size=shape), eps=0.8 * eps, norm=norm)
        if norm == "l2" and steps == 4:
            start = np.zeros(shape)
        cases.append(
            {
                "loss_fn": quadratic(rng, shape, flat_rows=1, scale=scale),
                "x": 2 * rng.normal(size=shape),
                "start": start,
                "eps": eps,
                "step": step,
                "steps": steps,
                "norm": norm,
            }
        )
    return cases


def _ascend(
    loss_fn: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    start: np.ndarray,
    eps: float,
    step: float,
    steps: int,
    norm: str,
    *,
    at: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda x, delta: x + delta,
    move: Callable[[np.ndarray, float, str], np.ndarray] = lambda gradient, step, norm: STEPS[norm](gradient, eps=step),
    keep: Callable[[np.ndarray, np.ndarray, float, str], np.ndarray] = lambda x, delta, eps, norm: reference.project(
        delta, eps=eps, norm=norm
    ),
) -> np.ndarray:
    """Return what projected gradient ascent reaches, with any of its three parts replaced."""
    delta = start
    for _ in range(steps):
        delta = keep(x, delta + move(loss_fn(at(x, delta)), step, norm), eps, norm)
    return delta


def _pgd_but(**wrong: Any) -> Callable[..., np.ndarray]:
    """Return projected gradient ascent with parts replaced."""
    return lambda loss_fn, x, start, eps, step, steps, norm: _ascend(loss_fn, x, start, eps, step, steps, norm, **wrong)


def _to_the_edge(x: np.ndarray, delta: np.ndarray, eps: float, norm: str) -> np.ndarray:
    """Return delta brought to size eps, whether it was too long or too short."""
    if norm == "linf":
        largest = np.abs(delta).max(axis=1, keepdims=True)
        return eps * delta / np.where(largest > 0, largest, 1)
    return eps * delta / _lengths(delta)


def _ball_around_zero(x: np.ndarray, delta: np.ndarray, eps: float, norm: str) -> np.ndarray:
    return reference.project(x + delta, eps=eps, norm=norm) - x


def _project_at_the_end(loss_fn, x, start, eps, step, steps, norm):
    free = _ascend(loss_fn, x, start, eps, step, steps, norm, keep=lambda x, delta, eps, norm: delta)
    return reference.project(free, eps=eps, norm=norm)


def _best_step_only(loss_fn, x, start, eps, step, steps, norm):
    return _ascend(loss_fn, x, start, eps, step, 1, norm)


# --- 09.4: the ball that travels


def _travel_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return attacks whose steps together are longer than eps; in one of them a single step is."""
    cases = []
    for shape, eps, step, steps in (((4, 3), 0.8, 0.5, 4), ((5, 4), 0.5, 0.7, 3), ((3, 5), 1.5, 0.4, 6)):
        loss_fn = quadratic(rng, shape, flat_rows=1)
        cases.append({"loss_fn": loss_fn, "x": 2 * rng.normal(size=shape), "eps": eps, "step": step, "steps": steps})
    return cases


def _attacked(loss_fn, x, eps, step, steps, **wrong):
    return x + _ascend(loss_fn, x, np.zeros_like(x), eps, step, steps, "l2", **wrong)


def _attacked_but(**wrong: Any) -> Callable[..., np.ndarray]:
    return lambda loss_fn, x, eps, step, steps: _attacked(loss_fn, x, eps, step, steps, **wrong)


def _travelling_ball(loss_fn, x, eps, step, steps):
    for _ in range(steps):
        x = x + reference.project(reference.fgm_delta(loss_fn(x), eps=step), eps=eps, norm="l2")
    return x


def _attacked_at_the_end(loss_fn, x, eps, step, steps):
    return x + _project_at_the_end(loss_fn, x, np.zeros_like(x), eps, step, steps, "l2")


def _shorter_steps(loss_fn, x, eps, step, steps):
    for _ in range(steps):
        x = x + reference.fgm_delta(loss_fn(x), eps=min(step, eps / steps))
    return x


def _course_attack(advrec: Any) -> Callable[..., Any]:
    return lambda loss_fn, x, *, eps, step, steps: (
        x + advrec.pgd_delta(loss_fn, x, eps=eps, step=step, steps=steps, norm="l2")
    )


def _course_pgd(advrec: Any) -> Callable[..., Any]:
    def pgd(loss_fn: Any, x: Any, start: Any, *, eps: float, step: float, steps: int, norm: str) -> Any:
        one_step = {"l2": advrec.fgm_delta, "linf": advrec.fgsm_delta}[norm]
        delta = start
        for _ in range(steps):
            delta = advrec.project(delta + one_step(loss_fn, x + delta, eps=step), eps=eps, norm=norm)
        return delta

    return pgd


# --- 09.5: signs of a hidden gradient


def _sign_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return reports: a healthy one, one for each sign, one that nothing moves, and random ones."""
    names = ("noise", "one_step", "many_steps", "transfer", "unbounded")
    rows = [
        (0.14, 0.23, 0.26, 0.20, 640.0),
        (0.14, 0.13, 0.13, 0.25, 0.13),
        (0.20, 0.14, 0.26, 0.20, 3.0),
        (0.14, 0.30, 0.13, 0.20, 0.75),
        (0.14, 0.23, 0.26, 0.31, 2.0),
        (0.14, 0.23, 0.26, 0.20, 0.6),
        (0.14, 0.23, 0.26, 0.20, 0.45),
        (0.13, 0.13, 0.13, 0.13, 0.9),
        (0.20, 0.30, 0.14, 0.20, 0.69),
        *(tuple(row) for row in rng.uniform(0.1, 0.5, size=(4, 5)) * [1, 1, 1, 1, 3]),
    ]
    return [dict(zip(names, map(float, row), strict=True)) for row in rows]


def _signs_against(pick: Callable[[float, float], float]) -> Callable[..., np.ndarray]:
    """Return the signs with a given notion of what the white-box attack reaches."""

    def answer(noise: float, one_step: float, many_steps: float, transfer: float, unbounded: float) -> np.ndarray:
        white_box = pick(one_step, many_steps)
        return np.array([noise > white_box, many_steps < one_step, transfer > white_box, unbounded < COIN])

    return answer


_signs = _signs_against(max)


def _signs_or_equal(noise, one_step, many_steps, transfer, unbounded):
    white_box = max(one_step, many_steps)
    return np.array([noise >= white_box, many_steps <= one_step, transfer >= white_box, unbounded <= COIN])


def _signs_without_coin(noise, one_step, many_steps, transfer, unbounded):
    signs = _signs(noise, one_step, many_steps, transfer, unbounded)
    return np.array([*signs[:3], unbounded <= many_steps])


def _signs_inverted(number: int) -> Callable[..., np.ndarray]:
    """Return the signs with the one at this place negated."""

    def answer(**report: float) -> np.ndarray:
        signs = _signs(**report)
        signs[number] = not signs[number]
        return signs

    return answer


def _course_signs(advrec: Any) -> Callable[..., Any]:
    return lambda **report: _signs(**report).tolist()


EXERCISES = [
    FunctionExercise(
        "09.1",
        "what is inside the ball stays, what is outside goes to the nearest point of its edge",
        hints=(
            'Take the two norms one by one. For "linf" every coordinate has a limit of its own; for "l2" the row as a '
            "whole has one.",
            'For "linf" clip every coordinate to the range from -eps to eps. For "l2" compute the length of every '
            "row, axis kept, as in exercise 08.2.",
            'For "l2" multiply every row by the smaller of 1 and eps / length: short rows keep their length, long ones '
            "get length eps. A row of zeros needs a length that can be divided by.",
        ),
        cases=_ball_cases,
        keywords=("eps", "norm"),
        reference=lambda delta, eps, norm: reference.project(delta, eps=eps, norm=norm),
        course=lambda advrec: advrec.project,
        misconceptions=(
            Misconception(
                "short rows stretched",
                "every row comes out with length eps, the short ones as well. A point inside the ball is its own "
                "nearest point: it has to stay where it is.",
                _project_but(l2=lambda delta, eps: eps * delta / _lengths(delta)),
            ),
            Misconception(
                "one length for the whole table",
                "you shorten the table as a whole until all rows together have length eps. Every row is an example "
                "with a ball of its own.",
                _project_but(l2=lambda delta, eps: _shortened(delta, eps, None)),
            ),
            Misconception(
                "lengths of columns",
                "you take lengths down the columns, over all examples at once. An example is a row: which axis runs "
                "along it?",
                _project_but(l2=lambda delta, eps: _shortened(delta, eps, 0)),
            ),
            Misconception(
                "clipped for both norms",
                'you clip the coordinates for "l2" too. A row of d coordinates, each at eps, has length eps times the '
                "root of d: that is outside the ball.",
                _project_but(l2=lambda delta, eps: np.clip(delta, -eps, eps)),
            ),
            Misconception(
                "shortened for both norms",
                'you shorten rows to length eps for "linf" too. There the limit is on each coordinate by itself.',
                _project_but(linf=lambda delta, eps: _shortened(delta, eps, 1)),
            ),
            Misconception(
                "row scaled to its largest coordinate",
                'for "linf" you shrink the whole row until its largest coordinate fits. That point is in the ball, but '
                "it is not the nearest one: coordinates that were within their limit move too.",
                _project_but(
                    linf=lambda delta, eps: (
                        delta * np.minimum(1, eps / np.maximum(np.abs(delta).max(axis=1, keepdims=True), 1e-12))
                    )
                ),
            ),
            Misconception(
                "only the upper side",
                'for "linf" you stop coordinates at eps, but not at -eps: the ball has two sides.',
                _project_but(linf=lambda delta, eps: np.minimum(delta, eps)),
            ),
            Misconception(
                "every coordinate at the edge",
                'for "linf" you send every coordinate to eps or -eps. A coordinate that is within the limit stays.',
                _project_but(linf=lambda delta, eps: eps * np.sign(delta)),
            ),
            Misconception(
                "zero row",
                "a row of zeros comes out as nan, because 0 was divided by 0. Such a row is inside every ball: it "
                "stays zero.",
                _project_but(l2=lambda delta, eps: _zero_row_is_nan(delta, eps)),
            ),
            Misconception(
                "zero row in a ball without radius",
                "a row of zeros comes out as nan when eps is 0 as well: the factor eps / length is then 0 / 0. Such a "
                "row is inside every ball, also inside the smallest: it stays zero.",
                _project_but(
                    l2=lambda delta, eps: _zero_row_is_nan(delta, eps) if eps == 0 else _shortened(delta, eps, 1)
                ),
            ),
            Misconception(
                "always to the edge",
                "every row comes out at the edge, whatever its size, in both norms. A point inside the ball is its own "
                "nearest point: it has to stay where it is.",
                _project_but(
                    l2=lambda delta, eps: eps * delta / _lengths(delta), linf=lambda delta, eps: eps * np.sign(delta)
                ),
            ),
            Misconception(
                "scaled by eps",
                "you multiply by eps, so that every row gets smaller or larger by the same factor. A row inside the "
                "ball stays as it is; one outside comes to its edge.",
                lambda delta, eps, norm: eps * delta,
            ),
        ),
    ),
    FunctionExercise(
        "09.2",
        "each step follows the gradient where delta stands now, and ends in the ball",
        hints=(
            "One step of PGD is a step of lesson 08, taken from where you are now: advrec.fgm_delta or "
            "advrec.fgsm_delta, with the step size in place of eps.",
            "Where are you now? At x + delta, and delta changes in every round. That is where the gradient is needed.",
            "In every round: delta = delta + one_step(loss_fn, x + delta, eps=step), then "
            "delta = project(delta, eps=eps, norm=norm). Begin with delta = start, and return delta.",
        ),
        cases=_pgd_cases,
        keywords=("eps", "step", "steps", "norm"),
        reference=_ascend,
        course=_course_pgd,
        misconceptions=(
            Misconception(
                "gradient at the clean point",
                "every step goes in the same direction: you take the gradient at x, where the attack began. Then many "
                "steps are one long step. Where does delta stand in the second round?",
                _pgd_but(at=lambda x, delta: x),
            ),
            Misconception(
                "no projection",
                "the steps are right, but delta leaves the ball: its rows end up as long as all steps together. An "
                "attack with a larger budget is no better attack.",
                _pgd_but(keep=lambda x, delta, eps, norm: delta),
            ),
            Misconception(
                "projection at the end",
                "you project once, after the last step. In between the attack looks at gradients outside the ball, at "
                "points that it can't have.",
                _project_at_the_end,
            ),
            Misconception(
                "descent",
                "the steps go against the gradient and lower the loss. That is training; an attacker wants the "
                "opposite.",
                _pgd_but(move=lambda gradient, step, norm: -STEPS[norm](gradient, eps=step)),
            ),
            Misconception(
                "every delta brought to size eps",
                "after each step you bring delta to size eps, short ones as well. The step size then loses its "
                "meaning: the first step already jumps to the edge. What does projection do with a point inside?",
                _pgd_but(keep=_to_the_edge),
            ),
            Misconception(
                "a ball around zero",
                "you project x + delta, so the attacked vectors end up near 0. The ball stands around x: it limits "
                "how far you move, not where you are.",
                _pgd_but(keep=_ball_around_zero),
            ),
            Misconception(
                "start ignored",
                "you begin with delta = 0 whatever start is. The start is an argument, so that an attack can begin at "
                "a random point of the ball.",
                lambda loss_fn, x, start, eps, step, steps, norm: _ascend(
                    loss_fn, x, np.zeros_like(x), eps, step, steps, norm
                ),
            ),
            Misconception(
                "eps in place of step",
                "each of your steps has size eps. That is allowed to a step size, but this one is called step.",
                lambda loss_fn, x, start, eps, step, steps, norm: _ascend(loss_fn, x, start, eps, eps, steps, norm),
            ),
            Misconception(
                "raw gradient",
                "your step is the step size times the gradient itself. On a flat loss that hardly moves; each step of "
                "PGD has size step, whatever the slope.",
                _pgd_but(move=lambda gradient, step, norm: step * gradient),
            ),
            Misconception(
                "one step",
                "you take one step, whatever `steps` is. Does the return stand inside the loop?",
                _best_step_only,
            ),
            Misconception(
                "attacked input",
                "you return the attacked input, x plus delta. Return delta alone, so that its size can be measured.",
                lambda loss_fn, x, start, eps, step, steps, norm: (
                    x + _ascend(loss_fn, x, start, eps, step, steps, norm)
                ),
            ),
            Misconception(
                "gradient at delta",
                "you take the gradient at delta itself, a small table near zero. The loss is one of vectors: the "
                "attacked ones stand at x + delta.",
                _pgd_but(at=lambda x, delta: delta),
            ),
            Misconception(
                "step of a length in both norms",
                'with norm = "linf" the ball is right, but your step still has a given length. For "linf" a step moves '
                "every coordinate by step: that is advrec.fgsm_delta.",
                _pgd_but(move=lambda gradient, step, norm: STEPS["l2"](gradient, eps=step)),
            ),
            Misconception(
                "signed step in both norms",
                'with norm = "l2" the ball is right, but you still take signed steps. A step of given length is '
                "advrec.fgm_delta.",
                _pgd_but(move=lambda gradient, step, norm: STEPS["linf"](gradient, eps=step)),
            ),
            Misconception(
                "raw gradient in l2",
                'for "l2" your step is the step size times the gradient itself; only for "linf" its size is step. '
                "Divide each row of the gradient by its length first, as advrec.fgm_delta does.",
                _pgd_but(
                    move=lambda gradient, step, norm: step * np.sign(gradient) if norm == "linf" else step * gradient
                ),
            ),
            Misconception(
                "always the length",
                'with norm = "linf" you still take steps of a given length, or shorten to one. Both the step and the '
                "ball depend on the norm.",
                lambda loss_fn, x, start, eps, step, steps, norm: _ascend(loss_fn, x, start, eps, step, steps, "l2"),
            ),
        ),
    ),
    ChoiceExercise(
        "09.3",
        "how long should a step be?",
        hints=(
            "Follow one step of 4 eps: where does it end, and where is delta after the projection?",
            "And the next step: where does it read the gradient, and is it the same gradient as before?",
            "Each round brings a fresh gradient, and the projection makes of a long step a turn along the edge. Is "
            "there a reason for this loss to fall on the way?",
        ),
        answer="b",
        explanation="each step ends outside, comes back to the edge and turns towards the newest gradient. Whether "
        "long steps overshoot depends on the loss; the figure shows what they do here.",
        wrong={
            "a": "overshooting is what long steps do where the loss bends down again behind a summit, and in a deep "
            "network it would be a good guess. This loss is nearly convex: further in the direction of the gradient is "
            "higher. Run on and look.",
            "c": "the first step is FGM, true. But the second one starts at the edge, with the gradient that it finds "
            "there; the projection keeps the direction that it adds. Run on and look.",
        },
    ),
    FunctionExercise(
        "09.4",
        "the ball stays where the attack began",
        hints=(
            "An attack has a budget. Measure what this one spends: how long are the rows of attacked - x, against eps?",
            "Follow the name x through the second round. What does it stand for then, and around what is the "
            "difference moved - x projected?",
            "Keep the clean x under its own name. In each round project (attacked + step) - x, with the x of the "
            "beginning, and set attacked to x plus that.",
        ),
        cases=_travel_cases,
        keywords=("eps", "step", "steps"),
        reference=_attacked,
        course=_course_attack,
        misconceptions=(
            Misconception(
                "as given",
                "the ball still travels: in each round it stands around the point that the last round reached, so "
                "every step may use the whole of eps again.",
                _travelling_ball,
            ),
            Misconception(
                "no projection",
                "nothing is projected now, so the steps add up and leave the ball. The projection is not the fault; "
                "what it is around is.",
                _attacked_but(keep=lambda x, delta, eps, norm: delta),
            ),
            Misconception(
                "a ball around zero",
                "you project the attacked vectors themselves. That keeps them near 0 and destroys the model even at "
                "eps = 0. It is the move away from the clean x that is limited.",
                _attacked_but(keep=_ball_around_zero),
            ),
            Misconception(
                "gradient at the clean point",
                "the budget is kept, but all steps now follow the gradient at the clean point. Each step needs the "
                "gradient where it starts.",
                _attacked_but(at=lambda x, delta: x),
            ),
            Misconception(
                "projection at the end",
                "the budget is kept at the end, but the steps in between leave the ball and follow gradients from out "
                "there. Project in each round.",
                _attacked_at_the_end,
            ),
            Misconception(
                "every delta brought to size eps",
                "you bring the move to length eps in every round, short moves as well. Projection leaves alone what "
                "is inside.",
                _attacked_but(keep=_to_the_edge),
            ),
            Misconception(
                "steps cut down",
                "you make the steps so short that all of them together have length eps. That keeps the budget, but "
                "the caller chose the step, and a path that bends does not reach the edge.",
                _shorter_steps,
            ),
            Misconception(
                "eps in place of step",
                "the ball is right, but each of your steps has size eps. The caller chose the step: use it.",
                lambda loss_fn, x, eps, step, steps: _attacked(loss_fn, x, eps, eps, steps),
            ),
            Misconception(
                "rule in place of step",
                "the ball is right, but you compute a step size of your own. The caller chose the step: use it.",
                lambda loss_fn, x, eps, step, steps: _attacked(loss_fn, x, eps, 2.5 * eps / steps, steps),
            ),
            Misconception(
                "perturbation only",
                "you return the perturbation. This function returns the attacked vectors.",
                lambda loss_fn, x, eps, step, steps: _attacked(loss_fn, x, eps, step, steps) - x,
            ),
        ),
    ),
    FunctionExercise(
        "09.5",
        "four comparisons, each of which a model that hides nothing passes",
        hints=(
            "The attacker with the gradient may use one step or many, whichever gives the higher loss. Give that "
            "number a name first.",
            "Two of the signs compare this number: once with noise, once with the attack that was made on another "
            "model. Neither may be larger.",
            "white_box = max(one_step, many_steps); then [noise > white_box, many_steps < one_step, "
            "transfer > white_box, unbounded < math.log(2)].",
        ),
        cases=_sign_cases,
        keywords=("noise", "one_step", "many_steps", "transfer", "unbounded"),
        reference=_signs,
        course=_course_signs,
        misconceptions=(
            Misconception(
                "signs of health",
                "each of the four is the wrong way round: you say True where the model passes. True is to mean that "
                "something is suspicious.",
                lambda **report: ~_signs(**report),
            ),
            Misconception(
                "only one step",
                "you compare with the one-step attack alone. An attacker may take many steps: a model on which one "
                "step is weak and many are strong hides nothing.",
                _signs_against(lambda one, many: one),
            ),
            Misconception(
                "only many steps",
                "you compare with the many-step attack alone. If one step did more, the attacker takes that one. (That "
                "one did more is a sign of its own, the second.)",
                _signs_against(lambda one, many: many),
            ),
            Misconception(
                "the weaker attack",
                "you compare with the weaker of the two white-box attacks. The attacker takes the stronger one.",
                _signs_against(min),
            ),
            Misconception(
                "equal is suspicious",
                "you raise an alarm where two attacks do equally much. None of them is then beaten by the other.",
                _signs_or_equal,
            ),
            Misconception(
                "no coin",
                "you compare the attack without a limit with the attack within it. More is not enough: without a limit "
                "nothing is left of the model, so what loss must it at least reach?",
                _signs_without_coin,
            ),
            *(
                Misconception(
                    f"{name} the wrong way round",
                    f"the {place} sign is the wrong way round: you say True where the model passes. True is to mean "
                    "that something is suspicious; the other three are right.",
                    _signs_inverted(number),
                )
                for number, (name, place) in enumerate(
                    (("noise", "first"), ("steps", "second"), ("transfer", "third"), ("coin", "fourth"))
                )
            ),
            Misconception(
                "another threshold",
                "the first three signs are right. In the fourth you compare with another number than a coin's loss: "
                "what is -log(1/2)?",
                lambda **report: np.array([*_signs(**report)[:3], report["unbounded"] < 0.5]),
            ),
            Misconception(
                "one alarm for all",
                "you return one answer for the whole report. The four signs point to different faults, so return all "
                "four, in order.",
                lambda **report: _signs(**report).any(),
            ),
        ),
    ),
]
