"""Exercises of lesson 08: one gradient step against a ranking."""

from typing import Any

import numpy as np

from advrec_teach import reference
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Misconception
from advrec_teach.exercises.losses import quadratic


def _cases(rng: np.random.Generator, name: str, *, flat_rows: int = 0) -> list[dict[str, Any]]:
    """Return tables of vectors, some entries beyond 1; one loss is as flat as a real model's, about 1e-5."""
    cases = []
    for shape, eps, scale in (((4, 3), 0.3, 1.0), ((6, 5), 1.7, 1.0), ((5, 4), 1.0, 1e-5)):
        x = 2 * rng.normal(size=shape)
        cases.append({"loss_fn": quadratic(rng, shape, flat_rows=flat_rows, scale=scale), name: x, "eps": eps})
    return cases


def _fgsm_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    return _cases(rng, "x", flat_rows=1)


def _fgm_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    return _cases(rng, "x", flat_rows=1)


def _user_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    return _cases(rng, "p")


def _attacked_users(loss_fn, p, eps):
    return p + eps * np.sign(loss_fn(p))


def _naive_fgm(loss_fn, x, eps):
    gradient = loss_fn(x)
    with np.errstate(invalid="ignore"):
        return eps * gradient / np.linalg.norm(gradient, axis=1, keepdims=True)


def _column_fgm(loss_fn, x, eps):
    gradient = loss_fn(x)
    return eps * gradient / np.linalg.norm(gradient, axis=0, keepdims=True)


def _l1_fgm(loss_fn, x, eps):
    gradient = loss_fn(x)
    length = np.abs(gradient).sum(axis=1, keepdims=True)
    return eps * gradient / np.where(length > 0, length, 1)


def _shortened_fgm(constant):
    def wrong(loss_fn, x, eps):
        gradient = loss_fn(x)
        return eps * gradient / (np.linalg.norm(gradient, axis=1, keepdims=True) + constant)

    return wrong


def _clipped_fgm(loss_fn, x, eps):
    gradient = loss_fn(x)
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    return gradient * np.minimum(1, eps / np.where(length > 0, length, 1))


def _squared_fgm(loss_fn, x, eps):
    gradient = loss_fn(x)
    squared = (gradient**2).sum(axis=1, keepdims=True)
    return eps * gradient / np.where(squared > 0, squared, 1)


EXERCISES = [
    FunctionExercise(
        "08.1",
        "every coordinate moves by eps, with the sign of its own gradient",
        hints=(
            "You need two things: the gradient of the loss at x, and its sign. The first comes from "
            "advrec.value_and_grad(loss_fn, x), which returns two values.",
            "The loss should rise, so the step goes along the gradient, not against it as in training.",
            "delta = eps times the sign of the gradient; return delta and leave x alone.",
        ),
        cases=_fgsm_cases,
        keywords=("eps",),
        reference=lambda loss_fn, x, eps: reference.fgsm_delta(loss_fn(x), eps=eps),
        course=lambda advrec: advrec.fgsm_delta,
        misconceptions=(
            Misconception(
                "raw gradient",
                "your step is eps times the gradient itself. Its size then depends on how steep the loss is: "
                "flat coordinates hardly move, and no coordinate is sure to move by eps. What makes every "
                "coordinate move by the same amount?",
                lambda loss_fn, x, eps: eps * loss_fn(x),
            ),
            Misconception(
                "descent",
                "your step goes against the gradient and lowers the loss. That is training; an attacker wants "
                "the opposite.",
                lambda loss_fn, x, eps: -eps * np.sign(loss_fn(x)),
            ),
            Misconception(
                "attacked input",
                "you return the attacked input, x plus the step. The function is to return the step alone, so "
                "that its size can be measured and projected.",
                lambda loss_fn, x, eps: x + eps * np.sign(loss_fn(x)),
            ),
            Misconception(
                "norm instead of sign",
                "you scale the gradient to length eps. That is the next section's method (FGM); here every "
                "coordinate moves by eps.",
                lambda loss_fn, x, eps: reference.fgm_delta(loss_fn(x), eps=eps),
            ),
            Misconception(
                "one norm for the whole table",
                "you divide the gradient by its norm. That keeps its direction and sets its length; here every "
                "coordinate moves by eps, whatever its share of the gradient.",
                lambda loss_fn, x, eps: eps * loss_fn(x) / np.linalg.norm(loss_fn(x)),
            ),
            Misconception(
                "eps forgotten",
                "every coordinate moves by 1: the sign is right, and eps is missing.",
                lambda loss_fn, x, eps: np.sign(loss_fn(x)),
            ),
            Misconception(
                "a flat coordinate moves",
                "a coordinate whose gradient is 0 moves all the same. No direction raises the loss there, so it "
                "stays; the sign of 0 is 0.",
                lambda loss_fn, x, eps: np.where(loss_fn(x) > 0, eps, -eps),
            ),
            Misconception(
                "a flat coordinate moves upwards",
                "a coordinate whose gradient is 0 moves upwards. No direction raises the loss there, so it stays; "
                "the sign of 0 is 0.",
                lambda loss_fn, x, eps: np.where(loss_fn(x) >= 0, eps, -eps),
            ),
            Misconception(
                "sign of the input",
                "you take the sign of x. The direction comes from the gradient of the loss at x.",
                lambda loss_fn, x, eps: eps * np.sign(x),
            ),
        ),
    ),
    FunctionExercise(
        "08.2",
        "every row moves by length eps along its own gradient, and flat rows stay",
        hints=(
            "Start as in 08.1. Then every row of the gradient has to be divided by its own length.",
            "A row is all that belongs to one user or film: take the norm over axis 1 and keep that axis, so "
            "that the division broadcasts over the row.",
            "A row of zeros has length 0, and 0 / 0 is not a number. Put 1 in place of a length of 0 before "
            "you divide, or use a division that returns 0 there.",
        ),
        cases=_fgm_cases,
        keywords=("eps",),
        reference=lambda loss_fn, x, eps: reference.fgm_delta(loss_fn(x), eps=eps),
        course=lambda advrec: advrec.fgm_delta,
        misconceptions=(
            Misconception(
                "sign instead of norm",
                "you take the sign of the gradient. That is FGSM: its rows have length eps times the root of d. "
                "FGM keeps the gradient's direction and only sets its length.",
                lambda loss_fn, x, eps: reference.fgsm_delta(loss_fn(x), eps=eps),
            ),
            Misconception(
                "one norm for the whole table",
                "you divide by the norm of the whole table, so all rows together have length eps. Each row is an "
                "example of its own and moves by eps.",
                lambda loss_fn, x, eps: eps * loss_fn(x) / np.linalg.norm(loss_fn(x)),
            ),
            Misconception(
                "norm over columns",
                "you take the norm down the columns, over all users at once. An example is a row: which axis "
                "runs along it?",
                _column_fgm,
            ),
            Misconception(
                "zero row",
                "rows with a gradient of zero come out as nan, because 0 was divided by 0. A film that no triple "
                "contains has such a row, and one nan spoils every score that it touches.",
                _naive_fgm,
            ),
            Misconception(
                "descent",
                "the length is right, and the step goes against the gradient: it lowers the loss.",
                lambda loss_fn, x, eps: -reference.fgm_delta(loss_fn(x), eps=eps),
            ),
            Misconception(
                "sum of absolute values",
                "you divide by the sum of the absolute values, the L1 norm. A row then moves by less than eps; the "
                "length asked for is the root of the sum of squares.",
                _l1_fgm,
            ),
            Misconception(
                "clipped, not scaled",
                "you only shorten rows that are longer than eps. The slopes of a trained model are far below 1, so "
                "almost nothing would move: a short gradient has to be stretched to length eps.",
                _clipped_fgm,
            ),
            Misconception(
                "a constant of 1e-6 below the line",
                "you add 1e-6 to the length so as not to divide by 0. Look at the histogram of slopes: many are not "
                "much larger than that, and their rows now move by far less than eps.",
                _shortened_fgm(1e-6),
            ),
            Misconception(
                "a constant of 1e-8 below the line",
                "you add 1e-8 to the length so as not to divide by 0. The flattest rows of a trained model then move "
                "by a little less than eps. Treat only a length of exactly 0 apart.",
                _shortened_fgm(1e-8),
            ),
            Misconception(
                "squared norm",
                "you divide by the squared length: the root is missing, and a row's step has length eps over the "
                "gradient's length.",
                _squared_fgm,
            ),
            Misconception(
                "attacked input",
                "you return the attacked input, x plus the step. Return the step alone.",
                lambda loss_fn, x, eps: x + reference.fgm_delta(loss_fn(x), eps=eps),
            ),
        ),
    ),
    FunctionExercise(
        "08.3",
        "the step is left as it is: vectors have no box to stay in",
        hints=(
            "A step of size 0 should change nothing. Call tutorial_attack with eps = 0: does it give back p?",
            "Print a few coordinates of p before and after. Which of them change although eps is 0?",
            "Pixels lie between 0 and 1, so image tutorials clip to that range. Coordinates of a vector may be "
            "negative or large: take the clipping out.",
        ),
        cases=_user_cases,
        keywords=("eps",),
        reference=_attacked_users,
        # The course's function is the repaired program; it exists only as an exercise.
        course=lambda advrec: lambda loss_fn, p, *, eps: p + advrec.fgsm_delta(loss_fn, p, eps=eps),
        misconceptions=(
            Misconception(
                "as given",
                "the program still clips to the range from 0 to 1, as the tutorial's does: every coordinate of p "
                "outside that range is lost, whatever eps is.",
                lambda loss_fn, p, eps: np.clip(_attacked_users(loss_fn, p, eps), 0, 1),
            ),
            Misconception(
                "wider box",
                "you clip to the range from -1 to 1. That keeps the signs, but still cuts every longer coordinate.",
                lambda loss_fn, p, eps: np.clip(_attacked_users(loss_fn, p, eps), -1, 1),
            ),
            Misconception(
                "perturbation only",
                "you return the step without p. This function returns the attacked vectors.",
                lambda loss_fn, p, eps: eps * np.sign(loss_fn(p)),
            ),
            Misconception(
                "clipped before the step",
                "you clip p before the step instead of after it, and its coordinates are lost all the same. Do vectors "
                "need clipping at all?",
                lambda loss_fn, p, eps: np.clip(p, 0, 1) + eps * np.sign(loss_fn(p)),
            ),
            Misconception(
                "clipped to its own range",
                "you clip to the smallest and largest coordinate of p. With eps = 0 that changes nothing, but it stops "
                "the step at the edge of the range, and an attacker knows no such edge.",
                lambda loss_fn, p, eps: np.clip(_attacked_users(loss_fn, p, eps), p.min(), p.max()),
            ),
            Misconception(
                "another step",
                "the clipping is gone, but the step is now that of FGM. Repair the fault, keep the method.",
                lambda loss_fn, p, eps: p + reference.fgm_delta(loss_fn(p), eps=eps),
            ),
            Misconception(
                "descent",
                "the clipping is gone, but your step now lowers the loss: it goes against the gradient.",
                lambda loss_fn, p, eps: p - eps * np.sign(loss_fn(p)),
            ),
        ),
    ),
    ChoiceExercise(
        "08.4",
        "the attacker without data",
        hints=(
            "The damage is counted at the top of the lists. Which films does each attack push down?",
            "True labels are all rated films: many of them stand far down in the ranking, and pushing those further "
            "down changes no list.",
            "Predicted labels are the model's top 20: the attack pushes exactly where NDCG is counted.",
        ),
        answer="c",
        explanation="it aims at what the model ranks highest. Whether that is the reason is the next question.",
        wrong={
            "a": "some of these labels are indeed wrong as guesses of taste. But the attack need not be right about "
            "taste: think about which films it pushes down, and where they stand in the ranking.",
            "b": "the model is the same, the triples are not: compare where in the ranking the films of the two "
            "attacks stand.",
        },
    ),
]
