"""Exercises of lesson 03: a monitor that lies, two cures, and six runs to diagnose."""

from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference_gan
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.diagnoses import Diagnosis, DiagnosisExercise, Sign
from advrec_teach.exercises.functions import FunctionExercise, Misconception

# --- 03.1: the monitor


def _logit_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return batches of unequal size; many logits lie between 0 and one half, where the thresholds differ."""
    cases = []
    for n, m, shift in ((9, 7, 0.3), (6, 10, 0.0), (8, 8, 1.0)):
        real, fake = shift + rng.normal(size=(n, 1)), 0.2 + 0.6 * rng.normal(size=(m, 1))
        real[:2], fake[:2] = [[0.25], [0.4]], [[0.3], [0.1]]
        cases.append({"real_logits": real, "fake_logits": fake})
    return cases


def _shares(real_rule, fake_rule, combine=lambda real, fake: (real.mean() + fake.mean()) / 2):
    return lambda real_logits, fake_logits: combine(real_rule(real_logits), fake_rule(fake_logits))


def _above(threshold):
    return lambda s: (s > threshold).astype(float)


def _below(threshold):
    return lambda s: (s < threshold).astype(float)


def _accuracy_of_course(advrec: ModuleType):
    def accuracy(real_logits, fake_logits):
        return reference_gan.accuracy(advrec.numpy(real_logits), advrec.numpy(fake_logits))

    return accuracy


# --- 03.3: label smoothing


def _smoothing_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for n, smoothing in ((6, 0.1), (5, 0.25), (4, 0.0)):
        real, fake = 1 + rng.normal(size=(n, 1)), rng.normal(size=(n, 1))
        cases.append({"real_logits": real, "fake_logits": fake, "smoothing": smoothing})
    return cases


def _softplus(s):
    return np.logaddexp(0, s)


def _smoothed(on_real, on_fake=lambda s, e: _softplus(s)):
    """Return a loss with these losses of one real and of one fake logit, given the smoothing e."""
    return lambda real_logits, fake_logits, smoothing: (
        on_real(real_logits, smoothing).mean() + on_fake(fake_logits, smoothing).mean()
    )


def _right(s, e):
    return (1 - e) * _softplus(-s) + e * _softplus(s)


def _smoothed_of_course(advrec: ModuleType):
    return lambda real_logits, fake_logits, *, smoothing: advrec.discriminator_loss(
        real_logits, fake_logits, smoothing=smoothing
    )


# --- 03.4: the largest singular value


def _matrix_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {"weights": rng.normal(size=(n, m)), "u": rng.normal(size=(m, 1)), "steps": steps}
        for n, m, steps in ((5, 3, 2), (4, 6, 3), (4, 4, 5))
    ]


def _value(weights, u, steps):
    return reference_gan.power_iteration(weights, u, steps=steps)[0]


def _not_normalised(weights, u, steps):
    for _ in range(steps):
        v = weights @ u
        u = weights.T @ v
    return (v.T @ weights @ u)[0, 0]


def _last_u_forgotten(weights, u, steps):
    for _ in range(steps):
        before = u / np.linalg.norm(u)
        v = weights @ u / np.linalg.norm(weights @ u)
        u = weights.T @ v / np.linalg.norm(weights.T @ v)
    return (v.T @ weights @ before)[0, 0]


def _value_of_course(advrec: ModuleType):
    def largest_singular_value(weights, u, *, steps):
        return advrec.power_iteration(weights, u, steps=steps)[0][0, 0]

    return largest_singular_value


# --- 03.5: the diagnosis

ACCURACY, PULL = "accuracy", "gradient/generator"
MODES, SHARE, LOSS = "samples/modes", "samples/share", "loss/discriminator"

_SEPARATED = Sign(
    ACCURACY,
    "its discriminator would judge nearly every sample rightly",
    "it is right about a share of {} only",
    lambda v: v >= 0.97,
)
DIAGNOSES = {
    "a": Diagnosis(
        "healthy",
        (
            Sign(
                MODES,
                "a healthy run covers most of the eight modes",
                "{} are covered in the second half",
                lambda v: v >= 5.5,
            ),
        ),
    ),
    "b": Diagnosis(
        "a discriminator that is too strong",
        (
            _SEPARATED,
            Sign(
                PULL,
                "the generator would still feel a pull, a larger one than in the healthy run",
                "its gradient has size {}",
                lambda v: v > 1e-2,
            ),
        ),
    ),
    "c": Diagnosis(
        "a case of learning rates out of balance, the generator ahead",
        (
            Sign(
                ACCURACY,
                "its discriminator would be little better than a coin",
                "it is right about a share of {}",
                lambda v: v < 0.78,
            ),
            Sign(
                MODES,
                "its generator would rush from place to place and serve three modes at most",
                "{} are covered in the second half",
                lambda v: v <= 3,
            ),
        ),
    ),
    "d": Diagnosis(
        "mode collapse",
        (
            Sign(
                MODES,
                "a collapsed generator serves some modes, and few of the eight",
                "{} are covered in the second half",
                lambda v: 1 <= v <= 5,
            ),
            Sign(
                ACCURACY,
                "its discriminator would know the modes that are never served, and be right about most samples",
                "it is right about a share of {} only",
                lambda v: v > 0.78,
            ),
            Sign(
                SHARE,
                "what it makes would be good: a large share of its samples lies near a mode",
                "the share is {}",
                lambda v: v > 0.25,
            ),
        ),
    ),
    "e": Diagnosis(
        "a vanishing gradient",
        (
            Sign(
                PULL,
                "nothing would reach the generator",
                "its gradient has size {}",
                lambda v: v < 1e-5,
            ),
        ),
    ),
}

TRUTH = {"run-1": "e", "run-2": "a", "run-3": "d", "run-4": "c", "run-5": "d", "run-6": "b"}

EXERCISES = [
    FunctionExercise(
        "03.1",
        "a real sample is judged rightly above a logit of 0, a fake below it",
        hints=(
            "Feed the program a discriminator that is always right: logits of +10 for real samples, of -10 for fakes. "
            "What should a monitor say, and what does this one say?",
            "What does it mean for a *fake* to be judged rightly? And which logit has a probability of one half?",
            "Count the real logits above 0 and the fake ones below 0, each as a share of its own kind, and take "
            "the mean of the two shares.",
        ),
        cases=_logit_cases,
        reference=lambda real_logits, fake_logits: reference_gan.accuracy(real_logits, fake_logits),
        course=_accuracy_of_course,
        misconceptions=(
            Misconception(
                "as given",
                "both faults are still there: a fake that is *called real* counts as right, and a logit is compared "
                "with a probability's threshold.",
                _shares(_above(0.5), _above(0.5)),
            ),
            Misconception(
                "fakes still called real",
                "the threshold is right now. But your monitor is pleased with a fake that is called real: a "
                "discriminator that says *real* to everything would get 1.",
                _shares(_above(0), _above(0)),
            ),
            Misconception(
                "threshold of a probability",
                "fakes count rightly now. But these are logits: one half is the threshold of a probability. Which "
                "logit has that probability?",
                _shares(_above(0.5), _below(0.5)),
            ),
            Misconception(
                "mirrored threshold",
                "you compare fakes with minus one half. A logit between -0.5 and 0.5 is a judgement, too: everything "
                "below 0 says *fake*.",
                _shares(_above(0.5), _below(-0.5)),
            ),
            Misconception(
                "errors counted",
                "your monitor counts the mistakes: it falls when the discriminator gets better.",
                _shares(_below(0), _above(0)),
            ),
            Misconception(
                "real samples only",
                "only real samples count. A discriminator that says *real* to everything would look perfect.",
                _shares(_above(0), _below(0), lambda real, fake: real.mean()),
            ),
            Misconception(
                "fakes only",
                "only fakes count. A discriminator that says *fake* to everything would look perfect.",
                _shares(_above(0), _below(0), lambda real, fake: fake.mean()),
            ),
            Misconception(
                "sum of the shares",
                "you add the two shares, so that a perfect discriminator gets 2. Take their mean.",
                _shares(_above(0), _below(0), lambda real, fake: real.mean() + fake.mean()),
            ),
            Misconception(
                "all samples in one heap",
                "you take the share over all samples at once. With more fakes than real samples the fakes then count "
                "more; the mean of the two shares does not depend on the sizes.",
                _shares(_above(0), _below(0), lambda real, fake: np.concatenate([real, fake]).mean()),
            ),
        ),
    ),
    ChoiceExercise(
        "03.2",
        "which curve tells the two apart",
        hints=(
            "The two runs have the same discriminator, as fast and as far ahead. So what do the curves say that are "
            "computed from its answers alone?",
            "Lesson 02: against such a discriminator one of the two losses pulls with D, the other with 1 - D. What is "
            "D of a fake here?",
            "The pull itself is a curve: it is the size of the generator's gradient.",
        ),
        answer="d",
        explanation="one is hundreds of millions of times as large as the other, while nothing else differs much.",
        wrong={
            "a": "in both runs the discriminator wins without effort, so its loss is nearly 0 in both. What differs is "
            "what it hands on to the generator.",
            "b": "in both runs the discriminator is right about every sample. A share of 1 cannot say how far away the "
            "fakes are, or whether the generator feels it.",
            "c": "neither run reaches a mode in this time, one because it gets no direction, the other because the way "
            "is long. Modes come last: look for what comes first.",
        },
    ),
    FunctionExercise(
        "03.3",
        "the label of real samples is lowered, that of fakes stays 0",
        hints=(
            "A real sample with the label t costs -t log D - (1 - t) log(1 - D). Which t is asked for, and which t "
            "did lesson 02 use?",
            "One-sided means: only real samples get another label. The fakes' half of the loss stays as it was.",
            "From logits: the average of (1 - smoothing) * softplus(-real) + smoothing * softplus(real), plus the "
            "average of softplus(fake).",
        ),
        cases=_smoothing_cases,
        keywords=("smoothing",),
        reference=lambda real_logits, fake_logits, smoothing: reference_gan.discriminator_loss(
            real_logits, fake_logits, smoothing=smoothing
        ),
        course=_smoothed_of_course,
        differentiate=("real_logits", "fake_logits"),
        traced=("real_logits", "fake_logits"),
        misconceptions=(
            Misconception(
                "not smoothed",
                "`smoothing` has no effect: this is the loss of lesson 02.",
                _smoothed(lambda s, e: _softplus(-s)),
            ),
            Misconception(
                "both sides",
                "you smooth the labels of fakes, too. Salimans et al. (2016) warn of that: where there are hardly any "
                "real samples, a fake's label above 0 tells the generator to stay where it is.",
                _smoothed(_right, lambda s, e: (1 - e) * _softplus(s) + e * _softplus(-s)),
            ),
            Misconception(
                "fakes only",
                "you smooth the labels of the fakes. It is the real samples whose label is lowered.",
                _smoothed(lambda s, e: _softplus(-s), lambda s, e: (1 - e) * _softplus(s) + e * _softplus(-s)),
            ),
            Misconception(
                "weight only",
                "you multiply the real samples' loss by 1 - smoothing and stop there. That weighs them less, but the "
                "best answer is still a logit without end: the second half of the cross-entropy is missing.",
                _smoothed(lambda s, e: (1 - e) * _softplus(-s)),
            ),
            Misconception(
                "label and rest exchanged",
                "your real samples have the label `smoothing`: nearly fake. Exchange the two weights.",
                _smoothed(lambda s, e: e * _softplus(-s) + (1 - e) * _softplus(s)),
            ),
            Misconception(
                "label raised",
                "your real samples have a label above 1. Smoothing lowers it.",
                _smoothed(lambda s, e: (1 + e) * _softplus(-s) - e * _softplus(s)),
            ),
            Misconception(
                "logit scaled",
                "you multiply the logit by the label. The label weighs the two logarithms, not the logit inside.",
                _smoothed(lambda s, e: _softplus(-(1 - e) * s)),
            ),
            Misconception(
                "half of the smoothing",
                "you lower the label by half of what was asked for: label smoothing over two classes does that, and "
                "here the label is 1 - smoothing.",
                _smoothed(lambda s, e: _right(s, e / 2)),
            ),
        ),
    ),
    FunctionExercise(
        "03.4",
        "by products with vectors alone the largest singular value is found",
        hints=(
            "Each step is two products and two divisions: v from W u, u from W transposed times v, each divided by its "
            "own length.",
            "After the last step, v W u is one number: v and u have length 1, so it is by how much W stretches u.",
            "Repeat `steps` times: v = W u / |W u|, u = W^T v / |W^T v|. Then return the only entry of v^T W u.",
        ),
        cases=_matrix_cases,
        keywords=("steps",),
        reference=_value,
        course=_value_of_course,
        misconceptions=(
            Misconception(
                "not normalised",
                "the vectors are never divided by their lengths: they grow from step to step, and so does the result.",
                _not_normalised,
            ),
            Misconception(
                "norm of the matrix",
                "this is the root of the sum of all squares (the Frobenius norm). It counts every direction; asked for "
                "is the stretch in the one direction that is stretched most.",
                lambda weights, u, steps: np.linalg.norm(weights),
            ),
            Misconception(
                "squared",
                "this is the square of the value: an eigenvalue of W^T W. One more root, or one factor W less.",
                lambda weights, u, steps: _value(weights, u, steps) ** 2,
            ),
            Misconception(
                "one step",
                "your result does not depend on `steps`: you stop after one.",
                lambda weights, u, steps: _value(weights, u, 1),
            ),
            Misconception(
                "one step too many",
                "you go one step further than asked: the loop runs `steps` times.",
                lambda weights, u, steps: _value(weights, u, steps + 1),
            ),
            Misconception(
                "exact decomposition",
                "this is the exact value. It is what the iteration comes near to; a decomposition at every update is "
                "what it is there to avoid.",
                lambda weights, u, steps: np.linalg.norm(weights, 2),
            ),
            Misconception(
                "old vector",
                "you multiply by the u from before the last step. It is half a step behind.",
                _last_u_forgotten,
            ),
            Misconception(
                "largest entry",
                "this is the largest entry of the matrix. A matrix stretches a vector by more than any of its entries.",
                lambda weights, u, steps: np.abs(weights).max(),
            ),
        ),
    ),
    DiagnosisExercise(
        "03.5",
        "all six are recognised: the last thing that a clinician looks at is the loss",
        hints=(
            "Sort the runs by the accuracy of the discriminator first: nearly 1, clearly between, or near a coin's.",
            "Where it is nearly 1, only the generator's gradient tells which of two illnesses it is. Where it is "
            "lower, look at the modes, and at the share of samples near one.",
            "A loss of the discriminator near 2 log 2 is a sign of nothing: a generator that serves all modes gets "
            "it, and so does a discriminator that has been left behind. The modes decide.",
        ),
        truth=TRUTH,
        diagnoses=DIAGNOSES,
    ),
]
