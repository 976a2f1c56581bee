"""Exercises of lesson 06: membership, hits at few false alarms, a promise, the private step, a wrong account."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference_privacy
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception

# --- 06.2: hits at few false alarms


def _array(values: np.ndarray) -> Made:
    """Return an input that stays a NumPy array in both tracks, and is watched for changes."""
    return Made(lambda advrec: values.copy(), values, lambda built: [built])


def _score_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Unequal numbers, scores below zero, ties, nobody who may be accused, and shares that round up and down."""
    cases = []
    for n, m, fpr, shift in ((150, 240, 0.05, 1.0), (90, 61, 0.1, 0.7), (70, 40, 0.01, 2.0), (400, 67, 0.1, 1.0)):
        members, others = rng.normal(shift, 1, size=n) - 4, rng.normal(0, 1, size=m) - 4
        cases.append({"members": _array(members), "others": _array(others), "fpr": fpr})
    tied = [np.round(2 * rng.normal(shift, 1, size=n)) / 2 for n, shift in ((80, 1.0), (100, 0.0))]
    return [*cases, {"members": _array(tied[0]), "others": _array(tied[1]), "fpr": 0.1}]


def _above(others: np.ndarray, place: int) -> float:
    """Return the score of this place among the others, the highest being place 0."""
    return float(np.sort(others)[::-1][min(place, len(others) - 1)])


def _allowed(others: np.ndarray, fpr: float) -> int:
    return int(fpr * len(others) + 1e-9)


def _hits(members: np.ndarray, threshold: float) -> float:
    return float(np.mean(members > threshold))


def _both(members: np.ndarray, others: np.ndarray, fpr: float) -> float:
    pooled = np.concatenate((members, others))
    return _hits(members, _above(pooled, _allowed(pooled, fpr)))


ROUNDED = (
    "so that more than a share fpr of the others may be accused. The text has floor: at most that many, never more."
)
HITS = (
    Misconception(
        "threshold from the members",
        "your threshold comes from the members' own scores, so you find the same share of members whatever the scores "
        "are. False alarms are accusations of others: the threshold is a score of theirs.",
        lambda members, others, fpr: _hits(members, _above(members, _allowed(members, fpr))),
    ),
    Misconception(
        "threshold from both",
        "your threshold comes from members and others together. Only others count as false alarms, so only their "
        "scores set it.",
        _both,
    ),
    Misconception(
        "share of the accused",
        "you return the share of the accused who are members. That is the precision, and it depends on how many "
        "members there are; asked for is the share of the members who are accused.",
        lambda members, others, fpr: (
            (members > _above(others, _allowed(others, fpr))).sum()
            / max(1, sum((v > _above(others, _allowed(others, fpr))).sum() for v in (members, others)))
        ),
    ),
    Misconception(
        "false alarms returned",
        "you return the share of the others who are accused, which is the false positive rate. The threshold is right; "
        "now count the members above it.",
        lambda members, others, fpr: _hits(others, _above(others, _allowed(others, fpr))),
    ),
    Misconception(
        "one too many",
        "with your threshold one of the others too many may be accused: whoever has the score of the threshold counts "
        "as accused. Is that an accusation *above* the threshold, as the text has it?",
        lambda members, others, fpr: float(np.mean(members >= _above(others, _allowed(others, fpr)))),
    ),
    Misconception(
        "one too few",
        "your threshold is one place too high. If k of the others may be accused, these are, sorted from the highest, "
        "the scores with the numbers 0 to k - 1: the threshold is number k.",
        lambda members, others, fpr: _hits(members, _above(others, max(0, _allowed(others, fpr) - 1))),
    ),
    Misconception(
        "the wrong end",
        "you accuse people with low scores. A high score is suspect: the few allowed false alarms are the highest "
        "scores of the others.",
        lambda members, others, fpr: float(np.mean(members < np.sort(others)[_allowed(others, fpr)])),
    ),
    Misconception(
        "low threshold",
        "your threshold is a low score, so that nearly all others are accused. The share fpr is counted from the "
        "highest score downwards.",
        lambda members, others, fpr: _hits(members, float(np.sort(others)[_allowed(others, fpr)])),
    ),
    Misconception(
        "number instead of share",
        "you return how many members are accused. Divide by how many there are.",
        lambda members, others, fpr: float((members > _above(others, _allowed(others, fpr))).sum()),
    ),
    Misconception(
        "interpolated quantile",
        "your threshold is a quantile that lies between two scores (NumPy's default interpolates). Take a score of "
        "theirs: the one below the highest floor(fpr m).",
        lambda members, others, fpr: _hits(members, float(np.quantile(others, 1 - fpr))),
    ),
    Misconception(
        "rounded",
        f"the number of those who may be accused is rounded to the nearest, at times rounded up, {ROUNDED}",
        lambda members, others, fpr: _hits(members, _above(others, round(fpr * len(others)))),
    ),
    Misconception(
        "rounded up",
        f"the number of those who may be accused is rounded up, {ROUNDED}",
        lambda members, others, fpr: _hits(members, _above(others, int(np.ceil(fpr * len(others) - 1e-9)))),
    ),
    Misconception(
        "members and others swapped",
        "members and others are swapped: you return the share of the others above a score of the members.",
        lambda members, others, fpr: _hits(others, _above(members, _allowed(members, fpr))),
    ),
    Misconception(
        "always one per cent",
        "a share of false alarms that the caller chooses changes nothing: use the argument fpr.",
        lambda members, others, fpr: _hits(members, _above(others, _allowed(others, 0.01))),
    ),
    Misconception(
        "the AUC",
        "this is the AUC, an average over all thresholds. Asked for are the hits at one of them.",
        lambda members, others, fpr: reference_privacy.auc(members, others),
    ),
)

# --- 06.4: the private gradient


def _gradient_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Rows longer and shorter than the clip, and an expected size that is not the number of rows."""
    cases: list[dict[str, Any]] = []
    for n, p, clip, sigma, size in ((6, 4, 1.5, 0.7, 8), (5, 7, 0.4, 1.9, 3), (7, 3, 2.0, 0.0, 10)):
        rows = rng.normal(size=(n, p)) * rng.uniform(0.1, 3.0, size=(n, 1))
        rows[0] *= 0.3 * clip / np.linalg.norm(rows[0])
        rows[1] *= 3 * clip / np.linalg.norm(rows[1])
        settings = {"clip": clip, "sigma": sigma, "batch_size": size}
        cases.append({"gradients": rows, "noise": rng.normal(size=p), **settings})
    # Somebody whose gradient is zero: dividing by her length would spoil everything.
    still = {**cases[0], "gradients": np.concatenate((cases[0]["gradients"], np.zeros((1, 4))))}
    return [*cases, still]


def _private(
    gradients: np.ndarray,
    noise: np.ndarray,
    clip: float,
    sigma: float,
    batch_size: float,
    *,
    shorten: Callable[[np.ndarray, float], np.ndarray] | None = None,
    scale: Callable[..., float] = lambda n, clip, size: clip,
    divide: Callable[[int, float], float] = lambda n, size: size,
) -> np.ndarray:
    """Return the private gradient with one thing changed."""
    clipped = (shorten or _each)(gradients, clip)
    n = len(gradients)
    return (clipped.sum(0) + sigma * scale(n, clip, batch_size) * noise) / divide(n, batch_size)


def _each(g: np.ndarray, clip: float) -> np.ndarray:
    return g * reference_privacy.clip_factors(np.linalg.norm(g, axis=1, keepdims=True), clip=clip)


def _whole(g: np.ndarray, clip: float) -> np.ndarray:
    return g * reference_privacy.clip_factors(np.linalg.norm(g.sum(0)), clip=clip)


def _mean_clipped(gradients: np.ndarray, noise: np.ndarray, clip: float, sigma: float, batch_size: float) -> np.ndarray:
    mean = gradients.sum(0) / batch_size
    return mean * reference_privacy.clip_factors(np.linalg.norm(mean), clip=clip) + sigma * clip * noise / batch_size


def _mean_clipped_rows(
    gradients: np.ndarray, noise: np.ndarray, clip: float, sigma: float, batch_size: float
) -> np.ndarray:
    mean = gradients.mean(0)
    return mean * reference_privacy.clip_factors(np.linalg.norm(mean), clip=clip) + sigma * clip * noise / batch_size


def _by(lengths: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return a clipping by some other idea of the rows' lengths."""
    return lambda g, clip: g * reference_privacy.clip_factors(lengths(g), clip=clip)


def _zero_row(result: np.ndarray, truth: np.ndarray, gradients: np.ndarray, **_: Any) -> str | None:
    """Say why there is no number, where a row is zero."""
    if np.isnan(result).any() and not gradients.any(axis=1).all():
        return (
            "a person whose gradient is zero makes your result NaN: zero over zero. Compute a factor that is finite "
            "for her too."
        )
    return None


def _wrong(**changes: Any) -> Callable[..., np.ndarray]:
    return lambda **inputs: _private(**inputs, **changes)


BATCH = (
    "you clip the gradient of the batch. That limits the step and not the person: one who pulls harder than all others "
    "together still sets its direction. Each row has to be shortened by itself, before the sum."
)
COUNT = (
    "you divide by the number of people who happened to be drawn. That number depends on whether a person is in the "
    "batch, which is what must not show: divide by the expected size."
)
STEP = (
    Misconception("the sum is clipped", BATCH, _wrong(shorten=_whole)),
    Misconception("the mean is clipped", f"your mean has length C at most, its rows have any. {BATCH}", _mean_clipped),
    Misconception(
        "the mean of the rows is clipped",
        f"your mean of those drawn has length C at most, its rows have any. {BATCH}",
        _mean_clipped_rows,
    ),
    Misconception(
        "one length for the whole matrix",
        "you take one length for the whole matrix, and shorten all rows by one factor. Whoever pulls hard then makes "
        "everybody else small, and still sets the direction: each row has a length of its own.",
        _wrong(shorten=_by(lambda g: np.asarray(np.linalg.norm(g)))),
    ),
    Misconception(
        "length squared",
        "your lengths are squared: the root of the sum of squares is missing.",
        _wrong(shorten=_by(lambda g: (g**2).sum(axis=1, keepdims=True))),
    ),
    Misconception(
        "sum of absolute values",
        "your lengths are sums of absolute values. The length of the text is the root of the sum of squares, which the "
        "noise is measured against.",
        _wrong(shorten=_by(lambda g: np.abs(g).sum(axis=1, keepdims=True))),
    ),
    Misconception(
        "lengthened",
        "you lengthen the short rows and leave the long ones. It is the other way round: a factor is never above 1.",
        _wrong(
            shorten=lambda g, clip: g * np.maximum(1, clip / np.maximum(1e-9, np.linalg.norm(g, axis=1, keepdims=True)))
        ),
    ),
    Misconception(
        "not clipped",
        "your rows keep their lengths. Without clipping a person may move the sum as far as she likes, and no noise is "
        "large enough.",
        _wrong(shorten=lambda g, clip: g),
    ),
    Misconception(
        "all of length C",
        "you bring *every* row to length C. Only what is longer is shortened; a short gradient stays as it is.",
        _wrong(shorten=lambda g, clip: clip * g / np.linalg.norm(g, axis=1, keepdims=True)),
    ),
    Misconception(
        "coordinates clipped",
        "you clip each coordinate to the range from -C to C. A row may then still be much longer than C: it is its "
        "length that counts.",
        _wrong(shorten=lambda g, clip: np.clip(g, -clip, clip)),
    ),
    Misconception(
        "columns instead of rows",
        "you shorten columns. A person is a row: take lengths along axis 1.",
        _wrong(shorten=lambda g, clip: g * reference_privacy.clip_factors(np.linalg.norm(g, axis=0), clip=clip)),
    ),
    Misconception(
        "noise without C",
        "your noise does not know C. Sigma is in units of C: a person may move the sum by C, and that is what the "
        "noise has to cover.",
        _wrong(scale=lambda n, clip, size: 1.0),
    ),
    Misconception(
        "noise for each person",
        "you add noise for every person in the batch, so that it grows with their number. It is added once, to the "
        "sum.",
        _wrong(scale=lambda n, clip, size: n * clip),
    ),
    Misconception(
        "noise after the division",
        "your noise is not divided: it is as large beside the mean as it should be beside the sum. Add it to the sum, "
        "then divide both.",
        _wrong(scale=lambda n, clip, size: size * clip),
    ),
    Misconception(
        "noise forgotten",
        "there is no noise. Clipping alone hides nobody: whoever is in the batch still pulls in her own direction.",
        _wrong(scale=lambda n, clip, size: 0.0),
    ),
    Misconception("divided by those drawn", COUNT, _wrong(divide=lambda n, size: n)),
    Misconception(
        "not divided",
        "you return the sum. Divide it by the expected size, clipped gradients and noise alike.",
        _wrong(divide=lambda n, size: 1.0),
    ),
    Misconception(
        "noise subtracted",
        "the noise has the wrong sign. It would hide as well, but then two programs with the same noise do not agree.",
        _wrong(scale=lambda n, clip, size: -clip),
    ),
)


def _course_gradient(advrec: ModuleType) -> Callable[..., Any]:
    def noisy_gradient(gradients: Any, noise: Any, *, clip: float, sigma: float, batch_size: float) -> Any:
        """Return the private gradient of a batch, shape [p]."""
        settings = {"clip": clip, "noise_multiplier": sigma, "batch_size": batch_size}
        return advrec.private_gradient({"all": gradients}, {"all": noise}, **settings)["all"]

    return noisy_gradient


# --- 06.5: a wrong account


class _Account:
    """An account with a short name in messages."""

    def __call__(self, *, noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
        return _made_up(noise_multiplier=noise_multiplier, sample_rate=sample_rate, steps=steps, delta=delta)

    def __repr__(self) -> str:
        return "the account of the check"


def _made_up(*, noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Return a number that rises and falls with the settings as an epsilon does, each in its own way."""
    if steps != int(steps):
        raise TypeError(f"steps is {steps}; an accountant counts whole steps")
    return float(sample_rate * np.sqrt(steps * np.log(1 / delta)) / noise_multiplier + steps * sample_rate**2)


def _account_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for people, size, epochs, std, clip in ((1000, 64, 10, 0.6, 0.3), (377, 50, 7, 3.0, 2.0), (5000, 250, 3, 0.9, 1.5)):
        settings = {"n_people": people, "batch_size": size, "epochs": epochs, "noise_std": std, "clip": clip}
        cases.append({"account": _Account(), **settings, "delta": 1e-4})
    return cases


def _spent(
    account: Callable[..., float],
    n_people: int,
    batch_size: int,
    epochs: int,
    noise_std: float,
    clip: float,
    delta: float,
    *,
    faults: str = "",
) -> float:
    """Return what was spent; ``faults`` names what is wrong: noise, rate, steps, and others made on the way."""
    noise = noise_std if "noise" in faults else noise_std / clip
    noise = noise_std * clip if "times" in faults else noise
    noise = noise_std / (clip * batch_size) if "mean" in faults else noise
    rate = 1 / n_people if "rate" in faults else batch_size / n_people
    rate = 1 / batch_size if "inverse" in faults else rate
    rate = 1.0 if "everybody" in faults else rate
    per_epoch = 1 if "steps" in faults else -(-n_people // batch_size)
    per_epoch = n_people // batch_size if "down" in faults else per_epoch
    per_epoch = n_people if "people" in faults else per_epoch
    per_epoch = batch_size if "persons" in faults else per_epoch
    noise = clip / noise_std if "flipped" in faults else noise
    rate = n_people / batch_size if "over" in faults else rate
    rate = 1 / -(-n_people // batch_size) if "whole" in faults else rate
    steps = -(-epochs * n_people // batch_size) if "once" in faults else epochs * per_epoch
    if "sum" in faults:
        return steps * account(noise_multiplier=noise, sample_rate=rate, steps=1, delta=delta)
    return account(noise_multiplier=noise, sample_rate=rate, steps=steps, delta=delta)


def _fault(name: str, message: str, faults: str, *, as_given: bool = False) -> Misconception:
    return Misconception(name, message, lambda **inputs: _spent(**inputs, faults=faults), as_given=as_given)


NOISE = "The noise: sigma is in units of C, and noise_std is not."
RATE = "The rate: how likely is it that a given person is in a batch of batch_size out of n_people?"
STEPS = "The steps: noise is added at every step, and an epoch has many."
ACCOUNT = (
    _fault("as given", "As given, all three faults are in it.", "noise rate steps", as_given=True),
    _fault("rate and steps", f"one fault is mended, two remain. {RATE} {STEPS}", "rate steps"),
    _fault("noise and steps", f"one fault is mended, two remain. {NOISE} {STEPS}", "noise steps"),
    _fault("noise and rate", f"one fault is mended, two remain. {NOISE} {RATE}", "noise rate"),
    _fault("noise", f"two faults are mended, one remains. {NOISE}", "noise"),
    _fault("rate", f"two faults are mended, one remains. {RATE}", "rate"),
    _fault("steps", f"two faults are mended, one remains. {STEPS}", "steps"),
    _fault(
        "times C",
        "you multiply the noise by C. Sigma times C is the standard deviation of the noise: which of the three do you "
        "have, and which do you want?",
        "times",
    ),
    _fault(
        "noise of the mean",
        "you divide the noise by the size of a batch as well. noise_std is that of the noise beside the *sum*, and so "
        "is sigma C.",
        "mean",
    ),
    _fault(
        "one over the size",
        "your rate is one over the size of a batch. Larger batches would then be safer for the person; she is in them "
        "more often.",
        "inverse",
    ),
    _fault(
        "everybody in every batch",
        "your rate is 1, as if everybody were in every batch. That is safe, and far from the truth: being drawn rarely "
        "is what protects.",
        "everybody",
    ),
    _fault(
        "clip over noise",
        "your sigma is upside down: more noise would then spend more.",
        "flipped",
    ),
    _fault(
        "people over batch",
        "your rate is above 1, and a chance is not: it is upside down.",
        "over",
    ),
    _fault(
        "one over the steps",
        "your rate is one over the steps of an epoch. That is B over N only where the batches come out even; the "
        "chance to be drawn is batch_size / n_people.",
        "whole",
    ),
    _fault(
        "rounded once",
        "you round once, at the end of all epochs. The text rounds up in each epoch.",
        "once",
    ),
    _fault(
        "batch size for steps",
        "you count as many steps in an epoch as there are people in a batch. How many *batches* does an epoch have?",
        "persons",
    ),
    _fault(
        "steps times one step",
        "you take the epsilon of one step times the steps. That is a bound, and far too large: epsilons of many steps "
        "do not simply add up, so give the steps to the accountant.",
        "sum",
    ),
    _fault(
        "rounded down",
        "you round the number of steps in an epoch down. The text rounds up; an account should never be kinder than "
        "the training.",
        "down",
    ),
    _fault(
        "a step for each person",
        "you count a step for every person in an epoch. A step takes a whole batch.",
        "people",
    ),
)

EXERCISES = [
    ChoiceExercise(
        "06.1",
        "what is remembered shows before it is repeated",
        answer="b",
        explanation="training pushes up the likelihood of the members' rows, and of others' only as far as they are "
        "alike. The difference is there in the copy with the fewest passes, by likelihood alone and calibrated, long "
        "before a row is likely enough to be drawn.",
        wrong={
            "a": "copying and remembering are not the same. Training makes the members' rows more likely; does a row "
            "have to become likely enough to be *drawn* before its likelihood says something?",
            "c": "it invents new rows, and still it was trained to make the members' rows likely, and no others. Which "
            "of the two kinds did its training push up?",
        },
        hints=(
            "What did training maximise, and for whose rows?",
            "Compare the mean of -log p on members with that on others. Which is smaller after training?",
            "Every step makes members more likely. Others gain only as far as they are like members.",
        ),
    ),
    FunctionExercise(
        "06.2",
        "few are accused, and the hits among the members counted",
        hints=(
            "Who is accused wrongly? So whose scores decide how low the threshold may go?",
            "Sort the scores of the others from the highest. If k of them may be accused, which one may not?",
            "k = int(fpr * len(others)). The threshold is number k of the sorted scores, counted from 0; return the "
            "share of members above it.",
        ),
        cases=_score_cases,
        keywords=("fpr",),
        reference=lambda members, others, fpr: reference_privacy.tpr_at_fpr(members, others, fpr=fpr),
        course=lambda advrec: reference_privacy.tpr_at_fpr,
        misconceptions=HITS,
    ),
    ChoiceExercise(
        "06.3",
        "epsilon is an exponent",
        answer="c",
        explanation="e^8 is nearly 3000, so the bound is far above 1. The promise allows an attack to find nearly "
        "everybody, which does not say that one does. And without a delta the sentence is not even a promise.",
        wrong={
            "a": "you multiply 1 % by epsilon. In the definition epsilon stands in an exponent.",
            "b": "that is 1 % times 8 e: epsilon is the power, not a factor. How large is e to the power of 8?",
        },
        hints=(
            "Put f = 0.01 and epsilon = 8 into the bound above the exercise.",
            "e is about 2.7, so e^2 is more than 7 and e^4 more than 50. And e^8?",
            "The bound is e^8 times 0.01. A share of members is at most 1.",
        ),
    ),
    FunctionExercise(
        "06.4",
        "each person is clipped, the sum is hidden",
        hints=(
            "Do it in the order of the equation: a length for each row, a factor for each row, the sum, the noise, the "
            "division.",
            "The factor is C over the length where the length is larger than C, and 1 elsewhere: C over the larger of "
            "the two does both.",
            "(sum over rows of gradients * clip / max(length, clip), plus sigma * clip * noise) / batch_size; keep the "
            "axis of the lengths so that they multiply rows.",
        ),
        tensor=True,
        cases=_gradient_cases,
        keywords=("clip", "sigma", "batch_size"),
        reference=_private,
        course=_course_gradient,
        misconceptions=STEP,
        notice=_zero_row,
    ),
    FunctionExercise(
        "06.5",
        "the account counts every step, at its rate, with its noise",
        hints=(
            "Take the four settings one by one, and say in words what each of them counts. Compare with the numbers of "
            "the training.",
            "Write down sigma for noise_std = 0.6 and C = 0.3, the chance to be drawn for 64 of 356 people, and the "
            "number of batches in an epoch.",
            "sigma = noise_std / clip; q = batch_size / n_people; steps = epochs times (n_people / batch_size "
            "rounded up).",
        ),
        cases=_account_cases,
        keywords=("n_people", "batch_size", "epochs", "noise_std", "clip", "delta"),
        reference=_spent,
        course=lambda advrec: _course_account,
        misconceptions=ACCOUNT,
    ),
]


def _course_account(
    account: Callable[..., float],
    *,
    n_people: int,
    batch_size: int,
    epochs: int,
    noise_std: float,
    clip: float,
    delta: float,
) -> float:
    """Return the epsilon of a whole training."""
    steps = epochs * -(-n_people // batch_size)
    return account(noise_multiplier=noise_std / clip, sample_rate=batch_size / n_people, steps=steps, delta=delta)
