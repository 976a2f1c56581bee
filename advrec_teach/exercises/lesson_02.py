"""Exercises of lesson 02: the losses of a generative adversarial network."""

from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference_gan
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Misconception
from advrec_teach.exercises.logarithms import FAR, SURE, TRICKS, by_probability
from advrec_teach.reference import sigmoid, softplus

# --- 02.1: the tutorial's pair of losses


def _pair_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return logits of a discriminator that guesses, of one that is right, and of two that are far too sure."""
    near = {"real_logits": rng.normal(size=(6, 1)), "fake_logits": rng.normal(size=(6, 1))}
    right = {"real_logits": 2 + rng.normal(size=(5, 1)), "fake_logits": -1 + rng.normal(size=(5, 1))}
    sure, far = ({"real_logits": np.array([[0.5], [-s]]), "fake_logits": np.array([[-s], [s]])} for s in (SURE, FAR))
    return [near, right, sure, far]


def _own(real_logits, fake_logits):
    return reference_gan.discriminator_loss(real_logits, fake_logits)


def _pair(real_logits, fake_logits):
    return _own(real_logits, fake_logits), reference_gan.generator_loss(fake_logits)


def _pair_but(discriminator=None, generator=None):
    """Return the right pair with one or both of its losses replaced; each gets both kinds of logits."""

    def answer(real_logits, fake_logits):
        own, other = _pair(real_logits, fake_logits)
        return (
            discriminator(real_logits, fake_logits) if discriminator else own,
            generator(real_logits, fake_logits) if generator else other,
        )

    return answer


def _pair_from(parts):
    """Return the pair with these forms of -log D and -log(1 - D)."""
    minus_log, minus_log_of_rest = parts
    return lambda real_logits, fake_logits: (
        minus_log(real_logits) + minus_log_of_rest(fake_logits),
        minus_log(fake_logits),
    )


def _tutorials_own(real_logits, fake_logits):
    return sigmoid(real_logits).mean() + sigmoid(fake_logits).mean()


def _tutorials_other(real_logits, fake_logits):
    return -sigmoid(fake_logits).mean()


def _difference_of_probabilities(real_logits, fake_logits):
    return sigmoid(fake_logits).mean() - sigmoid(real_logits).mean()


def _pair_of_course(advrec: ModuleType):
    def gan_losses(real_logits, fake_logits):
        return advrec.discriminator_loss(real_logits, fake_logits), advrec.generator_loss(fake_logits)

    return gan_losses


# --- 02.3: three losses of the generator


def _generator_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    near, sure, far = (
        rng.normal(size=(7, 1)),
        np.array([[-SURE], [SURE], [1.5]]),
        np.array([[-FAR], [FAR], [0.5]]),
    )
    return [{"fake_logits": s, "kind": kind} for s in (near, sure, far) for kind in reference_gan.KINDS]


def _generator_but(**wrong):
    """Return the generator's losses with some kinds replaced; names are the kinds with underscores."""

    def answer(fake_logits, kind):
        if (other := wrong.get(kind.replace("-", "_"))) is not None:
            return other(fake_logits)
        return reference_gan.generator_loss(fake_logits, kind=kind)

    return answer


def _generator_from(parts):
    """Return the generator's losses with these forms of -log D and -log(1 - D)."""
    minus_log, minus_log_of_rest = parts
    return _generator_but(minimax=lambda s: -minus_log_of_rest(s), non_saturating=minus_log)


def _generator_of_mean(fake_logits, kind):
    return reference_gan.generator_loss(fake_logits.mean(), kind=kind)


# --- 02.4: counting modes


def _mode_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return rings whose clusters hold many samples, few, or none, with samples in between and outside.

    The first case is made of numbers that float32 holds exactly: one mode lives on a sample exactly at the radius.
    """
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    inside = np.array([[0.125, 0.0], [-0.25, 0.0], [4.0, 0.25], [4.0, 0.5], [0.0, 4.125]])
    cases: list[dict[str, Any]] = [{"samples": inside, "centres": corners, "radius": 0.5, "minimum": 2}]
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
        # On the diagonal, and within the circle: they make up what one mode lacks.
        lacking = counts.index(3 if modes == 8 else 0)
        diagonal = centres[lacking] + radius * np.full((minimum, 2), -0.6)
        samples = rng.permutation(np.concatenate([inside, corner, beside, between, diagonal]))
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


def _strictly_inside(samples, centres, radius, minimum):
    return ((_distances(samples, centres) < radius).sum(axis=0) >= minimum).sum()


def _by_blocks(samples, centres, radius, minimum):
    near = np.abs(samples[:, None] - centres[None]).sum(axis=2) <= radius
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
            "The text says L_D = -mean log D(real) - mean log(1 - D(fake)) and L_G = -mean log D(fake). None of "
            "the three logarithms is in the program, and the first term of L_D has lost its sign.",
            "From logits: -log D is softplus(-s), and -log(1 - D) is softplus(s). So the first loss is softplus of "
            "minus the real logits plus softplus of the fake ones, each averaged; the second is softplus of minus "
            "the fake logits, averaged.",
        ),
        cases=_pair_cases,
        reference=_pair,
        course=_pair_of_course,
        differentiate=("real_logits", "fake_logits"),
        traced=("real_logits", "fake_logits"),
        misconceptions=(
            Misconception(
                "as in the tutorial",
                "these are still the tutorial's losses: the first is smallest when D(real) and D(fake) are both 0, so "
                "the discriminator is paid for calling everything fake.",
                _pair_but(_tutorials_own, _tutorials_other),
            ),
            Misconception(
                "only the discriminator repaired",
                "the discriminator's loss is right now. The generator's still averages D itself, not its "
                "logarithm: the text derives -log D, and the two have different gradients.",
                _pair_but(generator=_tutorials_other),
            ),
            Misconception(
                "only the generator repaired",
                "the generator's loss is right now. The discriminator's still rewards calling real samples fake.",
                _pair_but(_tutorials_own),
            ),
            Misconception(
                "signs repaired, logarithms forgotten",
                "the discriminator now wants the right answers, but without the logarithms: your losses average "
                "probabilities. A probability is flat at both ends, so a player who is badly wrong learns nothing.",
                _pair_but(_difference_of_probabilities, _tutorials_other),
            ),
            Misconception(
                "sign of the discriminator repaired, logarithms forgotten",
                "the generator's loss is right, and the discriminator now wants the right answers. But its loss is "
                "the difference of two probabilities; the text derives the logarithms.",
                _pair_but(_difference_of_probabilities),
            ),
            Misconception(
                "probability of being wrong in place of its logarithm",
                "the generator's loss is right, and so are the signs. In the discriminator's, both terms average 1 - D "
                "or D itself where the text takes a logarithm.",
                _pair_but(lambda real, fake: 1 - sigmoid(real).mean() + sigmoid(fake).mean()),
            ),
            Misconception(
                "value instead of loss",
                "your first result is the value of the game, which the discriminator wants large. A loss is made "
                "small, so its sign is the other one.",
                _pair_but(lambda real, fake: -_own(real, fake)),
            ),
            Misconception(
                "labels swapped",
                "your discriminator learns to call real samples fake and fake ones real: the two labels are swapped.",
                _pair_but(lambda real, fake: _own(fake, real)),
            ),
            Misconception(
                "everything called real",
                "your discriminator wants real samples called real, and fake ones too: look at the term of the fakes.",
                _pair_but(lambda real, fake: softplus(-real).mean() + softplus(-fake).mean()),
            ),
            Misconception(
                "minimax for the generator",
                "your second result is mean log(1 - D(fake)), the generator's half of the value V. It wants the same, "
                "but the text derives -log D(fake), and the slopes differ.",
                _pair_but(generator=lambda real, fake: -softplus(fake).mean()),
            ),
            Misconception(
                "label of the generator's fakes",
                "your second result is -mean log(1 - D(fake)): with it the generator learns to be caught. It wants its "
                "samples called real.",
                _pair_but(generator=lambda real, fake: softplus(fake).mean()),
            ),
            Misconception(
                "sign of the generator's loss",
                "your second result has the opposite sign: it falls when the samples are caught.",
                _pair_but(generator=lambda real, fake: -softplus(-fake).mean()),
            ),
            Misconception(
                "generator judged by real samples",
                "your second result is computed from the real logits. They do not depend on the generator: which "
                "samples did it make?",
                _pair_but(generator=lambda real, fake: softplus(-real).mean()),
            ),
            Misconception(
                "results exchanged",
                "both losses are right, but in the wrong order: the discriminator's comes first.",
                lambda real_logits, fake_logits: _pair(real_logits, fake_logits)[::-1],
            ),
            Misconception(
                "mean over real and fake together",
                "your first result is half of what it should be: you average over real and fake samples together. The "
                "text adds two means, one over the real samples and one over the fakes.",
                _pair_but(lambda real, fake: _own(real, fake) / 2),
            ),
            Misconception(
                "sums instead of means",
                "you add the losses of all samples up. Their means are asked for: a sum grows with the batch, and with "
                "it every step.",
                lambda real_logits, fake_logits: tuple(
                    len(fake_logits) * part for part in _pair(real_logits, fake_logits)
                ),
            ),
            Misconception(
                "plain logarithms",
                "the formulas are right and stop working when the discriminator is sure: with a logit of 30 the "
                "probability rounds to 1, and log(1 - D) is infinite. Use the logits themselves, as in the section "
                "above.",
                _pair_from(by_probability()),
            ),
            *(Misconception(name, message, _pair_from(parts)) for name, parts, message in TRICKS),
        ),
    ),
    ChoiceExercise(
        "02.2",
        "two pulls on one sample",
        hints=(
            "For each of the two losses, write down its derivative with respect to the logit s. D = sigmoid(s) has "
            "the derivative D (1 - D).",
            "The derivatives are -D for minimax and -(1 - D) for non-saturating. What is D at s = -10, roughly?",
            "D / (1 - D) is e to the power of s, because s is the logarithm of these odds. What is e to the power "
            "of 10?",
        ),
        answer="d",
        explanation="the slopes are -D and -(1 - D), and D / (1 - D) = e^s: at -10 the factor is e^10, some 22,000. "
        "The next cells draw it.",
        wrong={
            "a": "both want the same thing of the generator, but they do not ask for it with the same force: take "
            "the derivative of each with respect to s, at s = -10.",
            "b": "the logit is ten away from undecided, but the pull does not fall in step with it: a logit is a "
            "*logarithm*. Of what?",
            "c": "you are on the way: the factor is more than the size of the logit. Take both derivatives and divide "
            "one by the other; what is left is a power of e, not of the logit.",
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
        differentiate=("fake_logits",),
        traced=("fake_logits",),
        misconceptions=(
            Misconception(
                "plain logarithms",
                "right for ordinary logits, infinite for large ones: sigmoid(30) rounds to 1, and log(1 - 1) is "
                "minus infinity. Work with the logits, not with D.",
                _generator_from(by_probability()),
            ),
            Misconception(
                "plain logarithm in minimax",
                "your minimax loss is right for ordinary logits, and infinite for large ones: sigmoid(30) rounds to "
                "1. Write log(1 - D) with softplus, from the logit.",
                _generator_but(minimax=lambda s: -by_probability()[1](s)),
            ),
            Misconception(
                "plain logarithm in non-saturating",
                "your non-saturating loss is right for ordinary logits, and infinite for -200: there sigmoid is 0. "
                "Write -log D with softplus, from the logit.",
                _generator_but(non_saturating=by_probability()[0]),
            ),
            Misconception(
                "minimax and non-saturating exchanged",
                "your minimax and your non-saturating loss are each other's. Which of them contains log(1 - D), the "
                "term of the discriminator's own loss?",
                _generator_but(
                    minimax=lambda s: softplus(-s).mean(),
                    non_saturating=lambda s: -softplus(s).mean(),
                ),
            ),
            Misconception(
                "signs inside both softplus",
                "the sign inside softplus is wrong in both logarithmic losses: your minimax is log D, your "
                "non-saturating -log(1 - D). Check with s = 5: which of softplus(5) and softplus(-5) is nearly 0?",
                _generator_but(
                    minimax=lambda s: -softplus(-s).mean(),
                    non_saturating=lambda s: softplus(s).mean(),
                ),
            ),
            Misconception(
                "label of a fake",
                "your non-saturating loss is -log(1 - D), the discriminator's loss on a fake: lowering it makes the "
                "samples easier to catch. The generator wants its samples called real.",
                _generator_but(non_saturating=lambda s: softplus(s).mean()),
            ),
            Misconception(
                "sign of the non-saturating loss",
                "your non-saturating loss has the opposite sign: it falls when D does. The loss is *minus* log D.",
                _generator_but(non_saturating=lambda s: -softplus(-s).mean()),
            ),
            Misconception(
                "sign of the minimax loss",
                "your minimax loss has the opposite sign: the generator makes log(1 - D) small, not large.",
                _generator_but(minimax=lambda s: softplus(s).mean()),
            ),
            Misconception(
                "sign inside softplus of the minimax loss",
                "your minimax loss is log D; log(1 - D) is asked for. Lowering log D lowers D: the samples get caught.",
                _generator_but(minimax=lambda s: -softplus(-s).mean()),
            ),
            Misconception(
                "one loss for both names",
                "your minimax loss is the non-saturating one. Minimax lowers log(1 - D), the term of the value V that "
                "the generator can change.",
                _generator_but(minimax=lambda s: softplus(-s).mean()),
            ),
            Misconception(
                "sigmoid on a critic",
                "your Wasserstein loss puts a sigmoid on the score. A critic's score is no logit; it is averaged as "
                "it is.",
                _generator_but(wasserstein=lambda s: -sigmoid(s).mean()),
            ),
            Misconception(
                "sign of the Wasserstein loss",
                "your Wasserstein loss lowers the scores of fakes. That is the critic's aim; the generator wants them "
                "high.",
                _generator_but(wasserstein=lambda s: s.mean()),
            ),
            Misconception(
                "kind not used",
                "you return the non-saturating loss whatever `kind` says.",
                lambda fake_logits, kind: reference_gan.generator_loss(fake_logits),
            ),
            Misconception(
                "mean before softplus",
                "you average the logits first and take softplus of the average. Every sample has its own loss; the "
                "mean is taken over the losses.",
                _generator_of_mean,
            ),
            Misconception(
                "sum instead of mean",
                "you add the losses of all samples up. Their mean is asked for: a sum grows with the batch, and with "
                "it every step.",
                lambda fake_logits, kind: fake_logits.size * reference_gan.generator_loss(fake_logits, kind=kind),
            ),
            *(Misconception(name, message, _generator_from(parts)) for name, parts, message in TRICKS),
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
                "less than instead of at most",
                "a sample exactly at the radius counts as well: the distance is at most the radius, not less.",
                _strictly_inside,
            ),
            Misconception(
                "sum of the coordinates' distances",
                "you add up the distances along the coordinates: that is a walk around two corners, and longer than "
                "the Euclidean distance. Samples on the diagonal of a mode get lost.",
                _by_blocks,
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
