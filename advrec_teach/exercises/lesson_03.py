"""Exercises of lesson 03: a monitor that lies, two cures, and six runs to diagnose."""

from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference_gan
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.diagnoses import Diagnosis, DiagnosisExercise, Sign
from advrec_teach.exercises.functions import FunctionExercise, Misconception
from advrec_teach.exercises.logarithms import FAR, SURE, TRICKS, by_probability
from advrec_teach.reference import sigmoid, softplus

# What happens to a right answer of 03.1, 03.3 and 03.4: the trial runs the package's versions.
USED = "The next cell uses your function."

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
    """Return ordinary logits, and those of a discriminator that is sure, and wrong, of some samples."""
    cases = []
    for n, smoothing in ((6, 0.1), (5, 0.25), (4, 0.0)):
        real, fake = 1 + rng.normal(size=(n, 1)), rng.normal(size=(n, 1))
        cases.append({"real_logits": real, "fake_logits": fake, "smoothing": smoothing})
    for far in (SURE, FAR):
        real, fake = np.array([[0.5], [-far], [far]]), np.array([[-far], [far], [-0.5]])
        cases.append({"real_logits": real, "fake_logits": fake, "smoothing": 0.1})
    return cases


# The means of -log D and of -log(1 - D), from logits.
STABLE = lambda s: softplus(-s).mean(), lambda s: softplus(s).mean()


def _clamped(limit):
    return lambda s: softplus(-np.clip(s, -limit, limit)).mean(), lambda s: softplus(np.clip(s, -limit, limit)).mean()


def _smoothed(rule, parts=STABLE):
    """Return the loss that a rule makes of these two means, called a and b: ``rule(a, b, real, fake, e)``."""
    return lambda real_logits, fake_logits, smoothing: rule(*parts, real_logits, fake_logits, smoothing)


def _on_real(a, b, real, e):
    return (1 - e) * a(real) + e * b(real)


def _right(a, b, real, fake, e):
    return _on_real(a, b, real, e) + b(fake)


# Wrong losses: name, what the learner reads, and the rule.
LOSSES = (
    (
        "not smoothed",
        "`smoothing` has no effect: this is the loss of lesson 02.",
        lambda a, b, real, fake, e: a(real) + b(fake),
    ),
    (
        "both sides",
        "you smooth the labels of fakes, too. Salimans et al. (2016) warn of that: where there are hardly any "
        "real samples, a fake's label above 0 tells the generator to stay where it is.",
        lambda a, b, real, fake, e: _on_real(a, b, real, e) + _on_real(b, a, fake, e),
    ),
    (
        "fakes only",
        "you smooth the labels of the fakes. It is the real samples whose label is lowered.",
        lambda a, b, real, fake, e: a(real) + _on_real(b, a, fake, e),
    ),
    (
        "weight only",
        "you multiply the real samples' loss by 1 - smoothing and stop there. That weighs them less, but the "
        "best answer is still a logit without end: the second half of the cross-entropy is missing.",
        lambda a, b, real, fake, e: (1 - e) * a(real) + b(fake),
    ),
    (
        "label and rest exchanged",
        "your real samples have the label `smoothing`: nearly fake. Exchange the two weights.",
        lambda a, b, real, fake, e: _on_real(a, b, real, 1 - e) + b(fake),
    ),
    (
        "label raised",
        "your real samples have a label above 1. Smoothing lowers it.",
        lambda a, b, real, fake, e: _on_real(a, b, real, -e) + b(fake),
    ),
    (
        "logit scaled",
        "you multiply the logit by the label. The label weighs the two logarithms, not the logit inside.",
        lambda a, b, real, fake, e: a((1 - e) * real) + b(fake),
    ),
    (
        "half of the smoothing",
        "you lower the label by half of what was asked for: label smoothing over two classes does that, and "
        "here the label is 1 - smoothing.",
        lambda a, b, real, fake, e: _right(a, b, real, fake, e / 2),
    ),
    (
        "smoothing fixed",
        "you always smooth by 0.1. How much is asked for is the argument `smoothing`.",
        lambda a, b, real, fake, e: _right(a, b, real, fake, 0.1),
    ),
    (
        "real and fake exchanged",
        "you treat the first argument as the fakes: the real logits come first.",
        lambda a, b, real, fake, e: _right(a, b, fake, real, e),
    ),
    (
        "halved",
        "your loss is half of what it should be: one mean over real and fake samples together, or half of the sum. "
        "Add two means, one over the real samples and one over the fakes.",
        lambda a, b, real, fake, e: _right(a, b, real, fake, e) / 2,
    ),
    (
        "sums instead of means",
        "you add the losses of all samples up. Their means are asked for: a sum grows with the batch.",
        lambda a, b, real, fake, e: len(fake) * _right(a, b, real, fake, e),
    ),
    (
        "sign turned",
        "the sign is turned: your value falls when the discriminator gets worse. A logarithm of a probability is "
        "negative, and a loss takes it with a minus.",
        lambda a, b, real, fake, e: -_right(a, b, real, fake, e),
    ),
    (
        "fakes called real",
        "your fakes cost -log D: that is what the *generator* pays. The discriminator wants them called fake.",
        lambda a, b, real, fake, e: _on_real(a, b, real, e) + a(fake),
    ),
)
OVERFLOW = (
    "with a logit of 30 a probability rounds to 1 and log(1 - D) is infinite. Work with the logits: "
    "-log D = softplus(-s), -log(1 - D) = softplus(s)."
)


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


def _stretch(weights, u, steps):
    """Return |W u| with the last u."""
    return np.linalg.norm(weights @ reference_gan.power_iteration(weights, u, steps=steps)[1])


def _long_v(weights, u, steps):
    """Return v^T W u where v keeps its length."""
    for _ in range(steps):
        v = weights @ u
        u = weights.T @ v / np.linalg.norm(weights.T @ v)
    return (v.T @ weights @ u)[0, 0]


def _by_largest_entry(weights, u, steps):
    for _ in range(steps):
        v = weights @ u / np.abs(weights @ u).max()
        u = weights.T @ v / np.abs(weights.T @ v).max()
    return (v.T @ weights @ u)[0, 0]


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
                "the generator would still feel a pull",
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
            Misconception(
                "per cent",
                "you count in per cent. A share lies between 0 and 1.",
                _shares(_above(0), _below(0), lambda real, fake: 50 * (real.mean() + fake.mean())),
            ),
            Misconception(
                "mean probability",
                "you average how *sure* the discriminator is. Accuracy counts judgements: each sample is judged "
                "rightly or it is not.",
                _shares(sigmoid, lambda s: 1 - sigmoid(s)),
            ),
            Misconception(
                "probability above 0",
                "you compare a probability with 0. It is always above, so every sample counts as called real.",
                _shares(lambda s: np.ones_like(s), lambda s: np.zeros_like(s)),
            ),
            Misconception(
                "product of the shares",
                "you multiply the two shares. A discriminator that says *real* to everything would get 0, and a coin "
                "one quarter: take their mean.",
                _shares(_above(0), _below(0), lambda real, fake: real.mean() * fake.mean()),
            ),
        ),
        used=USED,
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
        explanation="one is more than a billion times as large as the other, while accuracy, modes and D's loss "
        "agree. (The loss of G differs, too, but the two runs compute it by different formulas.)",
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
            *(Misconception(name, message, _smoothed(rule)) for name, message, rule in LOSSES),
            Misconception(
                "by way of D", f"right for ordinary logits, but {OVERFLOW}", _smoothed(_right, by_probability())
            ),
            *(
                Misconception(f"{name}, by way of D", f"{message} And {OVERFLOW}", _smoothed(rule, by_probability()))
                for name, message, rule in LOSSES
            ),
            *(Misconception(name, message, _smoothed(_right, parts)) for name, parts, message in TRICKS),
            *(
                Misconception(
                    f"logits clamped at {limit}",
                    f"you clamp the logits at {limit}. The loss stays finite, but beyond that it is flat: the samples "
                    "that are most wrong have no gradient. softplus needs no clamp.",
                    _smoothed(_right, _clamped(limit)),
                )
                for limit in (10, 15, 16, 20, 30, 50, 80, 88, 100)
            ),
        ),
        used=USED,
    ),
    FunctionExercise(
        "03.4",
        "by products with vectors alone the largest singular value is found",
        hints=(
            "Write down the shapes first: W is [n, m] and u is [m, 1]. Which shape has v, and which of the two "
            "products needs the transpose for that?",
            "Each of the two vectors is divided by its own length right after its product, and the next product takes "
            "the *new* one. A length is the root of the sum of squares.",
            "Repeat `steps` times: v = W u / |W u|, u = W^T v / |W^T v|. Then v^T W u, with the last v and the last u, "
            "is a matrix of one entry: return that entry.",
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
                "this is the square of the value, an eigenvalue of W^T W: one factor W too many, a missing root, "
                "or u is never divided by its length.",
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
                "this is the largest entry of the matrix. A matrix stretches some vector by at least that much, and "
                "usually by more.",
                lambda weights, u, steps: np.abs(weights).max(),
            ),
            Misconception(
                "v not divided",
                "your v is never divided by its length. So the result is the square of a stretch, not the stretch.",
                _long_v,
            ),
            Misconception(
                "u never moved",
                "your u stays where it started, so every step repeats the first half of the first one. After v comes "
                "the new u.",
                lambda weights, u, steps: np.linalg.norm(weights @ u),
            ),
            Misconception(
                "half a step further",
                "you measure how far W stretches the last u. That is half a step *further* than asked: v^T W u takes "
                "the v that this u was made from.",
                _stretch,
            ),
            Misconception(
                "root forgotten",
                "this is u^T W^T W u, the *square* of how far W stretches the last u: a root is missing.",
                lambda weights, u, steps: _stretch(weights, u, steps) ** 2,
            ),
            Misconception(
                "divided by the largest entry",
                "you divide each vector by its largest entry. Its length is the root of the sum of squares.",
                _by_largest_entry,
            ),
        ),
        used=USED,
    ),
    DiagnosisExercise(
        "03.5",
        "all six are recognised. D's loss alone would not have told b from e, or a from c safely",
        hints=(
            "Sort the runs by the accuracy of the discriminator first: nearly 1; lower, with small swings; or swinging "
            "widely up and down around a coin's.",
            "Where it is nearly 1, only the generator's gradient tells which of two illnesses it is. Where it is "
            "lower, look at the modes, and at the share of samples near one.",
            "A loss of the discriminator near 2 log 2 is a sign of nothing: a generator that serves all modes gets "
            "it, and so does a discriminator that has been left behind. The modes decide.",
        ),
        truth=TRUTH,
        diagnoses=DIAGNOSES,
    ),
]
