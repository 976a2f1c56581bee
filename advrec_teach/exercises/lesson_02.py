"""Exercises of lesson 02: the losses of a generative adversarial network."""

from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference_gan
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Misconception

# A logit that a confident discriminator can give, and a plain logarithm in float32 cannot stand.
FAR = 200.0


def _sigmoid(s):
    return np.exp(-np.logaddexp(0, -s))


def _softplus(s):
    return np.logaddexp(0, s)


# --- 02.1: the tutorial's pair of losses


def _pair_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return logits of a discriminator that guesses, of one that is right, and of one that is far too sure."""
    near = {"real_logits": rng.normal(size=(6, 1)), "fake_logits": rng.normal(size=(6, 1))}
    right = {"real_logits": 2 + rng.normal(size=(5, 1)), "fake_logits": -1 + rng.normal(size=(5, 1))}
    far = {"real_logits": np.array([[0.5], [-FAR]]), "fake_logits": np.array([[-FAR], [FAR]])}
    return [near, right, far]


def _pair(real_logits, fake_logits):
    return (
        reference_gan.discriminator_loss(real_logits, fake_logits),
        reference_gan.generator_loss(fake_logits),
    )


def _pair_of_tutorial(real_logits, fake_logits):
    d_real, d_fake = _sigmoid(real_logits), _sigmoid(fake_logits)
    return d_real.mean() + d_fake.mean(), -d_fake.mean()


def _pair_of_course(advrec: ModuleType):
    def gan_losses(real_logits, fake_logits):
        return advrec.discriminator_loss(real_logits, fake_logits), advrec.generator_loss(fake_logits)

    return gan_losses


def _pair_plain(real_logits, fake_logits):
    """Return the right formulas with plain logarithms, in the precision of a learner's tensors."""
    with np.errstate(divide="ignore", over="ignore"):
        real, fake = (1 / (1 + np.exp(-np.float32(s))) for s in (real_logits, fake_logits))
        return -np.log(real).mean() - np.log(1 - fake).mean(), -np.log(fake).mean()


# --- 02.3: three losses of the generator


def _generator_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    near, far = rng.normal(size=(7, 1)), np.array([[-FAR], [FAR], [0.5]])
    return [{"fake_logits": s, "kind": kind} for s in (near, far) for kind in reference_gan.KINDS]


def _generator_but(**wrong):
    """Return the generator's losses with some kinds replaced; names are the kinds with underscores."""

    def answer(fake_logits, kind):
        if (other := wrong.get(kind.replace("-", "_"))) is not None:
            return other(fake_logits)
        return reference_gan.generator_loss(fake_logits, kind=kind)

    return answer


def _generator_plain(fake_logits, kind):
    with np.errstate(divide="ignore", over="ignore"):
        fake = 1 / (1 + np.exp(-np.float32(fake_logits)))
        plain = {"minimax": np.log(1 - fake), "non-saturating": -np.log(fake), "wasserstein": -fake_logits}
    return plain[kind].mean()


# --- 02.4: counting modes


def _mode_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return rings whose clusters hold many samples, few, or none, with samples in between and outside."""
    cases = []
    for modes, radius, minimum, counts in ((8, 0.3, 5, (9, 3, 5, 4, 1, 0, 12, 5)), (5, 0.6, 3, (3, 0, 2, 8, 6))):
        centres = reference_gan.ring_centres(modes=modes, radius=2.0)
        angles = 2 * np.pi * rng.random(sum(counts))
        # Well inside the circle, so that rounding cannot decide.
        places = 0.5 * radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        inside = np.repeat(centres, counts, axis=0) + places
        # Near an empty mode: in the corner of its square but outside its circle. Near a poor one: a little too far.
        empty, poor = counts.index(0), counts.index(1 if modes == 8 else 2)
        corner = centres[empty] + radius * np.full((minimum, 2), 0.85)
        beside = centres[poor] + radius * np.tile([1.5, 0.0], (minimum, 1))
        between = 0.5 * np.repeat(centres, minimum, axis=0)
        samples = rng.permutation(np.concatenate([inside, corner, beside, between]))
        cases.append({"samples": samples, "centres": centres, "radius": radius, "minimum": minimum})
    return cases


def _distances(samples, centres):
    return np.linalg.norm(samples[:, None] - centres[None], axis=2)


def _nearest_only(samples, centres, radius, minimum):
    counts = np.bincount(_distances(samples, centres).argmin(axis=1), minlength=len(centres))
    return (counts >= minimum).sum()


def _in_a_square(samples, centres, radius, minimum):
    near = (np.abs(samples[:, None] - centres[None]) <= radius).all(axis=2)
    return (near.sum(axis=0) >= minimum).sum()


def _modes_of_course(advrec: ModuleType):
    def modes_covered(samples, centres, *, radius, minimum):
        return reference_gan.modes_covered(advrec.numpy(samples), advrec.numpy(centres), radius=radius, minimum=minimum)

    return modes_covered


EXERCISES = [
    FunctionExercise(
        "02.1",
        "the discriminator wants real called real and fake called fake; the generator wants fake called real",
        hints=(
            "Take the two players one by one. Which answers D(real) and D(fake) make the tutorial's first loss as "
            "small as it can be? Does the discriminator win with them?",
            "The text says L_D = -mean log D(real) - mean log(1 - D(fake)) and L_G = -mean log D(fake). Neither "
            "logarithm is in the program, and one sign is missing.",
            "From logits: -log D is softplus(-s), and -log(1 - D) is softplus(s). So the first loss is softplus of "
            "minus the real logits plus softplus of the fake ones, each averaged; the second is softplus of minus "
            "the fake logits, averaged.",
        ),
        cases=_pair_cases,
        reference=_pair,
        course=_pair_of_course,
        misconceptions=(
            Misconception(
                "as in the tutorial",
                "these are still the tutorial's losses: the first is smallest when D(real) and D(fake) are both 0, so "
                "the discriminator is paid for calling everything fake.",
                _pair_of_tutorial,
            ),
            Misconception(
                "only the discriminator repaired",
                "the discriminator's loss is right now. The generator's still averages D itself, not its "
                "logarithm: the text derives -log D, and the two have different gradients.",
                lambda real_logits, fake_logits: (
                    _pair(real_logits, fake_logits)[0],
                    -_sigmoid(fake_logits).mean(),
                ),
            ),
            Misconception(
                "only the generator repaired",
                "the generator's loss is right now. The discriminator's still rewards calling real samples fake.",
                lambda real_logits, fake_logits: (
                    _pair_of_tutorial(real_logits, fake_logits)[0],
                    _pair(real_logits, fake_logits)[1],
                ),
            ),
            Misconception(
                "sign repaired, logarithm forgotten",
                "the discriminator now wants the right answers, but without the logarithms: your losses average "
                "probabilities. A probability is flat at both ends, so a player who is badly wrong learns nothing.",
                lambda real_logits, fake_logits: (
                    _sigmoid(fake_logits).mean() - _sigmoid(real_logits).mean(),
                    -_sigmoid(fake_logits).mean(),
                ),
            ),
            Misconception(
                "value instead of loss",
                "your first result is the value of the game, which the discriminator wants large. A loss is made "
                "small, so its sign is the other one.",
                lambda real_logits, fake_logits: (
                    -_pair(real_logits, fake_logits)[0],
                    _pair(real_logits, fake_logits)[1],
                ),
            ),
            Misconception(
                "labels swapped",
                "your discriminator learns to call real samples fake and fake ones real: the two labels are swapped.",
                lambda real_logits, fake_logits: (
                    reference_gan.discriminator_loss(fake_logits, real_logits),
                    _pair(real_logits, fake_logits)[1],
                ),
            ),
            Misconception(
                "plain logarithms",
                "the formulas are right and stop working when the discriminator is sure: with a logit of 200 the "
                "probability rounds to 1, and log(1 - D) is infinite. Use the logits themselves, as in the section "
                "above.",
                _pair_plain,
            ),
        ),
    ),
    ChoiceExercise(
        "02.2",
        "a discriminator that is sure",
        hints=(
            "For each loss, write down its derivative with respect to the logit s. D = sigmoid(s) has the "
            "derivative D (1 - D).",
            "The derivatives are -D for minimax, -(1 - D) for non-saturating and -1 for Wasserstein.",
            "A logit of -10 means that D is nearly 0. Put that into the three derivatives.",
        ),
        answer="c",
        explanation="the slopes are -D, -(1 - D) and -1, and D is nearly 0 here. The next cells draw them.",
        wrong={
            "a": "all three want the same thing of the generator, but they do not ask for it with the same force: take "
            "the derivative of each with respect to s, at s = -10.",
            "b": "the minimax game is indeed lost most clearly here. But a loss that can hardly get worse is flat: how "
            "much does log(1 - D) change when D goes from nearly 0 to twice that?",
        },
    ),
    FunctionExercise(
        "02.3",
        "three losses of the generator, finite for every logit",
        hints=(
            "Write each loss down with D first, then replace D by the logit: -log D = softplus(-s), and "
            "-log(1 - D) = softplus(s).",
            "minimax is the mean of log(1 - D), which is minus softplus(s). non-saturating is the mean of -log D. "
            "wasserstein has no D at all: s is the critic's score.",
            "The three results are -mean(softplus(s)), mean(softplus(-s)) and -mean(s).",
        ),
        cases=_generator_cases,
        keywords=("kind",),
        reference=reference_gan.generator_loss,
        course=lambda advrec: advrec.generator_loss,
        misconceptions=(
            Misconception(
                "plain logarithms",
                "right for ordinary logits, infinite for large ones: sigmoid(200) rounds to 1, and log(1 - 1) is "
                "minus infinity. Work with the logits, not with D.",
                _generator_plain,
            ),
            Misconception(
                "minimax and non-saturating exchanged",
                "your minimax and your non-saturating loss are each other's. Which of them contains log(1 - D), the "
                "term of the discriminator's own loss?",
                _generator_but(
                    minimax=lambda s: _softplus(-s).mean(),
                    non_saturating=lambda s: -_softplus(s).mean(),
                ),
            ),
            Misconception(
                "label of a fake",
                "your non-saturating loss is -log(1 - D), the discriminator's loss on a fake: lowering it makes the "
                "samples easier to catch. The generator wants its samples called real.",
                _generator_but(non_saturating=lambda s: _softplus(s).mean()),
            ),
            Misconception(
                "sign of the minimax loss",
                "your minimax loss has the opposite sign: the generator makes log(1 - D) small, not large.",
                _generator_but(minimax=lambda s: _softplus(s).mean()),
            ),
            Misconception(
                "sigmoid on a critic",
                "your Wasserstein loss puts a sigmoid on the score. A critic's score is no logit; it is averaged as "
                "it is.",
                _generator_but(wasserstein=lambda s: -_sigmoid(s).mean()),
            ),
            Misconception(
                "sign of the Wasserstein loss",
                "your Wasserstein loss lowers the scores of fakes. That is the critic's aim; the generator wants them "
                "high.",
                _generator_but(wasserstein=lambda s: s.mean()),
            ),
            Misconception(
                "sum instead of mean",
                "you add the losses of all samples up. Their mean is asked for: a sum grows with the batch, and with "
                "it every step.",
                lambda fake_logits, kind: fake_logits.size * reference_gan.generator_loss(fake_logits, kind=kind),
            ),
        ),
    ),
    FunctionExercise(
        "02.4",
        "a mode counts when enough samples lie close enough",
        hints=(
            "First make a table of distances with one row a sample and one column a centre. Broadcasting does it: "
            "samples[:, None] - centres has shape [n, modes, 2].",
            "Compare the table with the radius, and count the samples in each column.",
            "A mode is covered when its count is at least `minimum`. Return how many are.",
        ),
        cases=_mode_cases,
        keywords=("radius", "minimum"),
        reference=reference_gan.modes_covered,
        course=_modes_of_course,
        misconceptions=(
            Misconception(
                "nearest centre without a radius",
                "you give every sample to its nearest centre, however far away that is. Samples between the clusters "
                "then count as hits, and noise seems to cover everything.",
                _nearest_only,
            ),
            Misconception(
                "one sample is enough",
                "you count a mode as soon as one sample is near. A single stray sample is no coverage: use `minimum`.",
                lambda samples, centres, radius, minimum: reference_gan.modes_covered(
                    samples, centres, radius=radius, minimum=1
                ),
            ),
            Misconception(
                "squared distance",
                "you compare the squared distance with the radius. Take the root, or square the radius too.",
                lambda samples, centres, radius, minimum: reference_gan.modes_covered(
                    samples, centres, radius=np.sqrt(radius), minimum=minimum
                ),
            ),
            Misconception(
                "samples instead of modes",
                "you count the samples that lie near some centre. That is a useful number too, but it is high even "
                "when all of them sit in one mode. Count the modes.",
                lambda samples, centres, radius, minimum: (_distances(samples, centres).min(axis=1) <= radius).sum(),
            ),
            Misconception(
                "a square around the centre",
                "you compare each coordinate with the radius: that is a square, and its corners are too far away.",
                _in_a_square,
            ),
            Misconception(
                "more than instead of at least",
                "a mode with exactly `minimum` samples counts as well: at least, not more than.",
                lambda samples, centres, radius, minimum: reference_gan.modes_covered(
                    samples, centres, radius=radius, minimum=minimum + 1
                ),
            ),
        ),
    ),
]
