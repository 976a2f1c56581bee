"""Exercises of lesson 04: gradients through a draw, and a listing that cannot invent users."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference_behaviour, reference_gan, tracks
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET, Exercise, Verdict
from advrec_teach.exercises.functions import FunctionExercise, Misconception
from advrec_teach.exercises.losses import track_sum

# --- 04.2: one-hot forwards, Gumbel-softmax backwards


class DrawExercise(FunctionExercise):
    """A function of logits and noise, judged by its value and by the gradient that passes it.

    The gradient is that of sum(weights * value), ``weights`` being an input of every case that the learner's function
    does not get.
    """

    def _call(self, answer: Callable[..., Any], built: dict[str, Any]) -> Any:
        advrec, total = tracks.module(), track_sum()
        logits, noise, weights = (built[name] for name in ("logits", "noise", "weights"))

        def draw(x: Any) -> Any:
            return answer(x, noise, temperature=built["temperature"])

        value = draw(logits)
        if value is None or value is Ellipsis:
            return value
        try:
            _, slope = advrec.value_and_grad(lambda x: total(weights * draw(x)), logits)
        except Exception:  # the value could be computed, so what failed is the way back: no gradient passes
            slope = 0 * logits
        return value, slope

    def _first_difference(self, cases: list[dict], results: list[Any], truths: list[Any]) -> str | None:
        fault = super()._first_difference(cases, results, truths)
        if fault is None or "weights of shape" not in fault:
            return fault
        what = {"returned value 1:": "in the value,", "returned value 2:": "in the gradient of the logits,"}
        for old, new in what.items():
            fault = fault.replace(old, new)
        return fault.split("weights of shape")[0].rstrip(", ") + fault[fault.index(", in the ") :]


def _draw_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "logits": 2 * rng.normal(size=shape),
            "noise": rng.gumbel(size=shape),
            "weights": rng.normal(size=shape),
            "temperature": temperature,
        }
        for shape, temperature in (((6, 5), 0.5), ((4, 3, 7), 2.0))
    ]


def _soft(logits, noise, temperature):
    return reference_behaviour.gumbel_softmax(logits, noise, temperature=temperature)


def _hard(logits):
    return np.eye(logits.shape[-1])[logits.argmax(-1)]


def _slope(soft, weights, temperature):
    """Return the gradient of sum(weights * soft) with respect to the logits."""
    return soft * (weights - (soft * weights).sum(-1, keepdims=True)) / temperature


def _draw(logits, noise, weights, temperature):
    return _hard(logits + noise), _slope(_soft(logits, noise, temperature), weights, temperature)


def _without_noise(logits, noise, weights, temperature):
    return _draw(logits, 0 * noise, weights, temperature)


def _noise_added_late(logits, noise, weights, temperature):
    value = logits / temperature + noise
    return _hard(value), _slope(reference_behaviour.softmax(value), weights, temperature)


def _noise_lost_on_the_way_back(logits, noise, weights, temperature):
    return _hard(logits + noise), _slope(_soft(logits, 0 * noise, temperature), weights, temperature)


def _forgotten_temperature(logits, noise, weights, temperature):
    return _hard(logits + noise), _slope(_soft(logits, noise, 1.0), weights, 1.0)


def _multiplied(logits, noise, weights, temperature):
    value = (logits + noise) * temperature
    return _hard(value), _slope(reference_behaviour.softmax(value), weights, 1 / temperature)


def _added(logits, noise, weights, temperature):
    hard, slope = _draw(logits, noise, weights, temperature)
    return hard + _soft(logits, noise, temperature), slope


def _past_the_softmax(logits, noise, weights, temperature):
    return _hard(logits + noise), weights


def _noise_subtracted(logits, noise, weights, temperature):
    return _draw(logits, -noise, weights, temperature)


def _over_the_first_axis(logits, noise, weights, temperature):
    value = np.exp((logits + noise) / temperature)
    soft = value / value.sum(0)
    return _hard(soft), soft * (weights - (soft * weights).sum(0)) / temperature


def _other_items(result, truth, **_):
    """Say so when the vectors are one-hot, and of other items than the noise that was given draws."""
    value, right = np.asarray(result[0]), np.asarray(truth[0])
    if value.shape != right.shape or not np.allclose(np.sort(value, -1), np.sort(right, -1), atol=1e-5):
        return None
    if np.allclose(value, right, atol=1e-5):
        return None
    return (
        "your vectors are one-hot, but of other items than the largest of logits + noise. Use the noise that you are "
        "given: a framework's own Gumbel-softmax draws noise of its own."
    )


def _but(value=None, slope=None):
    """Return the right draw with its value or its gradient replaced."""

    def answer(logits, noise, weights, temperature):
        right = _draw(logits, noise, weights, temperature)
        soft = _soft(logits, noise, temperature)
        return right[0] if value is None else value(soft), right[1] if slope is None else slope(right[1])

    return answer


def _draw_of_course(advrec: ModuleType) -> Callable[..., Any]:
    def draw(logits: Any, noise: Any, *, temperature: float) -> Any:
        """One-hot vectors of the largest logits + noise, with the gradient of the Gumbel-softmax."""
        return advrec.straight_through(advrec.gumbel_softmax(logits, noise, temperature=temperature))

    return draw


# --- 04.3: the policy gradient


def _reward_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {"log_probability": -rng.uniform(0.2, 3, n), "rewards": offset + rng.normal(size=n)}
        for n, offset in ((6, 3.0), (9, -1.5))
    ]


def _reinforce(log_probability, rewards):
    return reference_behaviour.reinforce_loss(log_probability, rewards)


def _centred(rewards):
    return rewards - rewards.mean()


def _reinforce_of_course(advrec: ModuleType) -> Callable[..., Any]:
    return advrec.reinforce_loss


# --- 04.5: the listing


class ListingExercise(Exercise):
    """A class that is repaired fault by fault: the check runs each of its methods and says which faults remain."""

    def kept(self, answer: Any, verdict: Verdict) -> Any:
        """Return the learner's class when nothing is wrong with it, else the course's."""
        return answer if verdict.status == CORRECT else repaired_listing()

    def judge(self, answer: Any) -> Verdict:
        """Run the three methods on small inputs and collect the faults that are left."""
        if answer is None or answer is Ellipsis:
            return Verdict(NOT_ATTEMPTED, "Nothing further on needs the class.")
        missing = [name for name in ("generate", "losses", "score") if not callable(getattr(answer, name, None))]
        if missing:
            return Verdict(NOT_YET, f"check() takes the class with its three methods, and {missing[0]} is missing.")
        try:
            program = answer() if isinstance(answer, type) else answer
        except Exception as error:
            return Verdict(NOT_YET, f"the class cannot be made without arguments: {_words(error)}")
        faults = remaining_faults(program)
        if not faults:
            return Verdict(CORRECT, "no fault remains.")
        listed = " ".join(f"({number}) {text}" for number, text in enumerate(faults.values(), start=1))
        if list(faults) == list(PRINTED):
            return Verdict(NOT_ATTEMPTED, f"this is the listing as printed, with all six of its faults: {listed}")
        many = "1 fault remains" if len(faults) == 1 else f"{len(faults)} faults remain"
        return Verdict(NOT_YET, f"{many}: {listed}")


# What the listing as printed does wrong, in the order of the check.
PRINTED = {
    "noise as ids": "in generate, noise that differs only behind the decimal point gives the very same rows: Gaussian "
    "numbers are cut to whole ones and looked up as ids.",
    "one number": "generate returns one number for a row where there should be a choice among all items at each place.",
    "cut": "no gradient reaches the weights through what generate returns, so the generator cannot learn.",
    "discriminator": "in losses, the discriminator's is smallest when it calls real and fake rows fake.",
    "generator": "in losses, the generator's averages D itself, not -log D as the text derives.",
    "data set": "score hands the whole data set to the judge, which takes one batch of rows: it stops.",
}
# What half a repair does wrong.
HALF = {
    "stops": "{name} stops with {error}",
    "shape": "generate returns shape {shape} where [n, length, n_items] = {expected} is asked for.",
    "same": "generate writes the same film at every place of a row: an average over the places is left.",
    "look-up": "in generate, no gradient goes back to the noise: its Gaussian numbers are still cut to whole ones, now "
    "of another size, and looked up as ids.",
    "soft": "the rows that generate returns are no one-hot vectors. Real rows are, so the discriminator needs nothing "
    "else to tell them apart.",
    "sum": "in losses, the {player}'s grows with the number of rows: take means over them.",
    "no logarithm": "in losses, the discriminator's wants the right answers now, but averages probabilities where the "
    "text has logarithms.",
    "minus": "in losses, the discriminator's has the sign of the game's value: a loss is made small.",
    "minimax": "in losses, the generator's is mean log(1 - D(fake)), which wants the same as -log D and stalls early "
    "(lesson 02).",
    "caught": "in losses, the generator's falls when its rows are called fake.",
    "labels": "in losses, the discriminator's wants real rows called fake, and fake ones real.",
    "swapped": "losses returns the two in the wrong order: first the discriminator's, then the generator's.",
    "clipped": "in losses, logits of 200 give {found:.4g} where the text's give {expected:.4g}: a number is added in "
    "the logarithm, or the probability is clipped, and there no gradient is left. Work from the logits (lesson 02).",
    "overflow": "in losses, a logit of 200 gives a loss that is not finite: work from the logits (lesson 02).",
    "other loss": "in losses, the {player}'s is {found:.4g} on logits where the text's gives {expected:.4g}.",
    "no pair": "losses should return two numbers, first the discriminator's, then the generator's.",
    "list": "score returns a list of tensors, and should return one tensor: join the logits of the batches.",
    "order": "score should return one logit for each row of the data set, in its order.",
}


def _inputs() -> dict[str, Any]:
    rng = np.random.default_rng(404)
    n, length, dim, n_items = 60, 5, 4, 7
    z = rng.normal(size=(n, length, dim))
    # The same whole parts with other fractions; truncation goes towards zero, so the sign stays.
    other = np.trunc(z) + np.sign(z) * np.clip(np.abs(rng.permutation(np.abs(z) % 1)), 0.01, 0.99)
    shapes = {"vectors": (n_items, dim), "input": (dim, dim), "last": (dim, 1), "out": (dim, n_items)}
    return {
        "w": {name: 2 * rng.normal(size=shape) for name, shape in shapes.items()},
        "z": z,
        "other": other,
        "weights": rng.normal(size=(n, length, n_items)),
        "real": rng.normal(size=8) + 1,
        "fake": rng.normal(size=8) - 0.5,
        "batches": [rng.normal(size=(rows, length, n_items)) for rows in (3, 2)],
    }


def remaining_faults(program: Any) -> dict[str, str]:
    """Return the faults of a program with the listing's three methods, by name, each with its text."""
    advrec, inputs = tracks.module(), _inputs()
    faults: dict[str, str] = {}
    for name, look in (("generate", _look_at_rows), ("losses", _look_at_losses), ("score", _look_at_scores)):
        try:
            with np.errstate(all="ignore"):
                found = look(program, inputs, advrec)
        except Exception as error:
            found = {f"{name} stops": HALF["stops"].format(name=name, error=_words(error))}
        faults |= found
    return faults


def _look_at_rows(program: Any, inputs: dict[str, Any], advrec: ModuleType) -> dict[str, str]:
    total = track_sum()
    w = {name: advrec.tensor(value) for name, value in inputs["w"].items()}
    z, other = advrec.tensor(inputs["z"]), advrec.tensor(inputs["other"])
    rows = program.generate(w, z)
    values, faults = advrec.numpy(rows), []
    if np.array_equal(values, advrec.numpy(program.generate(w, other))):
        faults.append("noise as ids")
    n, length, _ = inputs["z"].shape
    expected = (n, length, inputs["w"]["out"].shape[1])
    if values.size == n or (values.ndim == 3 and values.shape[2] == 1):
        faults.append("one number")

    def slope(name: str | None) -> np.ndarray:
        """Return the gradient with respect to one of the weights, or (None) to the noise."""

        def objective(value: Any) -> Any:
            made = program.generate(w, value) if name is None else program.generate({**w, name: value}, z)
            return total(made * advrec.tensor(inputs["weights"]) if values.shape == expected else made)

        try:
            return advrec.numpy(advrec.value_and_grad(objective, z if name is None else w[name])[1])
        except Exception:  # the rows could be made, so it is the way back that is missing
            return np.zeros(1)

    moved = any(np.abs(slope(name)).max() > 1e-7 for name in w)
    if not moved:
        faults.append("cut")
    found = {name: PRINTED[name] for name in faults}
    if moved and "noise as ids" not in faults and np.abs(slope(None)).max() <= 1e-7:
        found["look-up"] = HALF["look-up"]
    if values.shape == expected and np.allclose(values, values[:, :1], atol=1e-5):
        found["same"] = HALF["same"]
    if "one number" not in faults and values.shape != expected:
        found["shape"] = HALF["shape"].format(shape=values.shape, expected=expected)
    elif values.shape == expected and not np.allclose(np.sort(values, -1), np.eye(expected[2])[-1], atol=1e-5):
        found["soft"] = HALF["soft"]
    return found


def _look_at_losses(program: Any, inputs: dict[str, Any], advrec: ModuleType) -> dict[str, str]:
    real, fake = (inputs[name].astype(np.float32) for name in ("real", "fake"))

    def pair(real: np.ndarray, fake: np.ndarray) -> tuple[float, ...]:
        return tuple(float(value) for value in program.losses(advrec.tensor(real), advrec.tensor(fake)))

    try:
        found = pair(real, fake)
    except TypeError:
        found = ()
    if len(found) != 2:
        return {"no pair": HALF["no pair"]}

    def sigmoid(s: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-s))

    own = reference_gan.discriminator_loss(real, fake)
    known: tuple[dict[float, str], ...] = (
        {
            sigmoid(real).mean() + sigmoid(fake).mean(): "discriminator",
            sigmoid(fake).mean() - sigmoid(real).mean(): "no logarithm",
            1 - sigmoid(real).mean() + sigmoid(fake).mean(): "no logarithm",
            -own: "minus",
            reference_gan.discriminator_loss(-real, -fake): "labels",
            len(real) * own: "sum",
        },
        {
            -sigmoid(fake).mean(): "generator",
            reference_gan.generator_loss(fake, kind="minimax"): "minimax",
            reference_gan.discriminator_loss(fake, fake) - reference_gan.generator_loss(fake): "caught",
            len(fake) * reference_gan.generator_loss(fake): "sum",
        },
    )
    faults = {}
    truths = own, reference_gan.generator_loss(fake)
    if np.allclose(found[::-1], truths, rtol=1e-4):
        return {"swapped": HALF["swapped"]}
    for player, value, truth, wrong in zip(("discriminator", "generator"), found, truths, known, strict=True):
        if np.isclose(value, truth, rtol=1e-4):
            continue
        names = [name for other, name in wrong.items() if np.isclose(value, other, rtol=1e-4, atol=1e-6)]
        if names:
            text = PRINTED[names[0]] if names[0] in PRINTED else HALF[names[0]]
            faults[f"{player}"] = text.format(player=player)
        else:
            faults[f"{player}"] = HALF["other loss"].format(player=player, found=value, expected=truth)
    if not faults:
        real, fake = (np.array(logits, np.float32) for logits in ([-200.0, 1.0], [200.0, -200.0]))
        sure, expected = (
            pair(real, fake),
            (reference_gan.discriminator_loss(real, fake), reference_gan.generator_loss(fake)),
        )
        if not np.isfinite(sure).all():
            faults["overflow"] = HALF["overflow"]
        elif not np.allclose(sure, expected, rtol=1e-3):
            faults["clipped"] = HALF["clipped"].format(found=sum(sure), expected=sum(expected))
    return faults


def _look_at_scores(program: Any, inputs: dict[str, Any], advrec: ModuleType) -> dict[str, str]:
    batches = [advrec.tensor(batch) for batch in inputs["batches"]]
    expected = np.concatenate([batch.sum(axis=(1, 2)) for batch in inputs["batches"]])

    class WholeDataSet(Exception):
        pass

    def judge(rows: Any) -> Any:
        if isinstance(rows, list | tuple):
            raise WholeDataSet
        ones = advrec.tensor(np.ones((inputs["batches"][0].shape[2], 1)))
        # One logit a row: the sum of its entries.
        return advrec.tensor(np.ones(1)) * _row_sums(rows @ ones)

    try:
        scores = program.score(judge, batches)
    except WholeDataSet:
        return {"data set": PRINTED["data set"]}
    if isinstance(scores, list | tuple):
        return {"list": HALF["list"]}
    found = advrec.numpy(scores)
    if found.shape != expected.shape or not np.allclose(found, expected, atol=1e-4):
        return {"order": HALF["order"]}
    return {}


def _row_sums(values: Any) -> Any:
    """Return the sums over all axes but the first, in the active track."""
    if tracks.current() == "pytorch":
        return values.flatten(1).sum(1)
    import tensorflow as tf

    return tf.reduce_sum(values, axis=(1, 2))


def repaired_listing() -> type:
    """Return the course's own version of the listing, in the active track."""
    advrec = tracks.module()
    tanh: Any
    softmax: Any
    join: Any
    if tracks.current() == "pytorch":
        import torch

        tanh, softmax, join = torch.tanh, torch.nn.Softmax(-1), torch.cat
    else:
        import tensorflow as tf

        def join(parts: Any) -> Any:
            return tf.concat(parts, 0)

        tanh, softmax = tf.tanh, tf.nn.softmax

    class ArticleGAN:
        """Fake rows by a GAN, repaired."""

        def generate(self, w: Any, z: Any) -> Any:
            """Fake rows from Gaussian noise z [n, length, d]: one-hot vectors [n, length, n_items]."""
            return advrec.straight_through(softmax(tanh(z @ w["input"]) @ w["out"]))

        def losses(self, real_logits: Any, fake_logits: Any) -> Any:
            """Return the discriminator's loss and the generator's, from logits."""
            return advrec.discriminator_loss(real_logits, fake_logits), advrec.generator_loss(fake_logits)

        def score(self, judge: Any, batches: Any) -> Any:
            """Return the judge's logits of all rows of a data set, which is a list of batches."""
            return join([judge(batch) for batch in batches])

    return ArticleGAN


def _words(error: Exception) -> str:
    # TensorFlow's messages begin with the name of a node, in double braces.
    text = " ".join(re.sub(r"\{\{.*?\}\}", "", str(error)).split())[:160].rstrip(" .")
    return f"{type(error).__name__}: {text}."


EXERCISES = [
    ChoiceExercise(
        "04.1",
        "what reaches the generator",
        hints=(
            "Before the generator draws, make the smallest change to one logit that you can think of. What happens to "
            "the item that is drawn?",
            "Nearly always the same item is drawn, so the judge sees the same item, and its answer does not change.",
            "The slope of something that does not change is 0. And where the item does change, it jumps.",
        ),
        answer="a",
        explanation="exactly zero, wherever it exists. The drawn item is a step function of the logits: flat, then a "
        "jump. Automatic differentiation says so too, and no number of samples helps.",
        wrong={
            "b": "a noisy gradient has at least the right mean. Here every single draw has slope 0, and so has their "
            "mean: a small change of a logit leaves the drawn item as it is, nearly always.",
            "c": "the judge never sees the probabilities, only the item. A probability that moves a little and leaves "
            "the drawn item the same leaves the judge's answer the same.",
        },
    ),
    DrawExercise(
        "04.2",
        "forwards a one-hot vector, backwards the Gumbel-softmax",
        hints=(
            "You need two tensors: the Gumbel-softmax, which has a gradient, and the one-hot vector of its largest "
            "entry, which has none.",
            "Write a sum whose value is the one-hot vector and in which only the Gumbel-softmax has a gradient. A "
            "tensor minus itself is zero, and has a gradient if one of the two is held constant.",
            "hard + soft - constant(soft), where soft = softmax((logits + noise) / temperature), hard is the one-hot "
            "of its argmax, and constant(...) is your framework's way to stop a gradient.",
        ),
        cases=_draw_cases,
        keywords=("temperature",),
        notice=_other_items,
        used="The comparison after exercise 04.3 uses your function.",
        reference=_draw,
        course=_draw_of_course,
        misconceptions=(
            Misconception(
                "gradient cut",
                "the rows are right, and no gradient passes: one-hot vectors alone are as flat as a drawn id.",
                _but(slope=lambda slope: 0 * slope),
            ),
            Misconception(
                "soft rows",
                "this is the Gumbel-softmax itself. Its gradient is right, but its vectors are not one-hot: the "
                "discriminator would see at a glance which rows are fake.",
                _but(value=lambda soft: soft),
            ),
            Misconception(
                "noise forgotten",
                "your item is always the one of the largest logit: nothing is drawn. Where did the noise go?",
                _without_noise,
            ),
            Misconception(
                "noise subtracted",
                "you take the noise away. Gumbel noise is not symmetric: subtracted, it draws from other probabilities "
                "than those of the logits.",
                _noise_subtracted,
            ),
            Misconception(
                "softmax over the first axis",
                "your softmax runs over the first axis, so the rows of a batch compete. The items stand on the last.",
                _over_the_first_axis,
            ),
            Misconception(
                "noise added after the temperature",
                "the noise comes too late: added after the division it draws from other probabilities than those of "
                "the logits. The temperature divides the sum.",
                _noise_added_late,
            ),
            Misconception(
                "noise forgotten on the way back",
                "the items are drawn with the noise, but the gradient is that of a softmax without it.",
                _noise_lost_on_the_way_back,
            ),
            Misconception(
                "temperature forgotten",
                "the rows are right, as any temperature draws the same item. The gradient is that of temperature 1.",
                _forgotten_temperature,
            ),
            Misconception(
                "straight past the softmax",
                "the rows are right, and the gradient is that of the bare logits: it goes past the softmax. The second "
                "term has to be the Gumbel-softmax.",
                _past_the_softmax,
            ),
            Misconception(
                "multiplied by the temperature",
                "you multiply by the temperature. A low temperature should sharpen the softmax: divide.",
                _multiplied,
            ),
            Misconception(
                "constant forgotten",
                "your value is the sum of the one-hot vector and the soft one. The soft one has to be taken away "
                "again, as a constant.",
                _added,
            ),
            Misconception(
                "sign of the gradient",
                "the rows are right, and the gradient has the opposite sign: which of your two soft terms is constant?",
                _but(slope=lambda slope: -slope),
            ),
        ),
    ),
    FunctionExercise(
        "04.3",
        "rows that earn more than the mean become more likely",
        hints=(
            "Take two rows, one with a reward above the mean, one below. Which way should the probability of each go?",
            "A loss is made small. To make log p of a good row large, its factor in the loss has to be negative.",
            "Minus the mean over rows of (reward - mean reward) times log_probability, with the rewards held constant.",
        ),
        cases=_reward_cases,
        reference=_reinforce,
        course=_reinforce_of_course,
        differentiate=("log_probability",),
        used="The comparison that comes next uses your function.",
        misconceptions=(
            Misconception(
                "sign",
                "with this loss rows that earn much become *less* likely: a loss is made small.",
                lambda log_probability, rewards: -_reinforce(log_probability, rewards),
            ),
            Misconception(
                "no baseline",
                "the direction is right on average. But without the baseline every row of a batch with positive "
                "rewards is pushed up, good or bad, and the gradient is far noisier.",
                lambda log_probability, rewards: -np.mean(rewards * log_probability),
            ),
            Misconception(
                "baseline without the row itself",
                "your baseline leaves out the row itself. That is right on average, too, and a factor n / (n - 1) "
                "larger; the formula here takes the mean reward of the whole batch.",
                lambda log_probability, rewards: (
                    _reinforce(log_probability, rewards) * len(rewards) / (len(rewards) - 1)
                ),
            ),
            Misconception(
                "sign, and no baseline",
                "two things are missing: the minus, as a loss is made small, and the baseline.",
                lambda log_probability, rewards: np.mean(rewards * log_probability),
            ),
            Misconception(
                "sum",
                "your loss grows with the number of rows: take the mean.",
                lambda log_probability, rewards: -np.sum(_centred(rewards) * log_probability),
            ),
            Misconception(
                "probability in place of its logarithm",
                "you weigh the probability itself. The gradient of log p is that of p divided by p: without the "
                "logarithm, rows that are drawn often count twice.",
                lambda log_probability, rewards: -np.mean(_centred(rewards) * np.exp(log_probability)),
            ),
            Misconception(
                "standardised rewards",
                "you also divide the rewards by their standard deviation. That changes the size of the step from batch "
                "to batch; the formula only takes the mean away.",
                lambda log_probability, rewards: -np.mean(_centred(rewards) / rewards.std() * log_probability),
            ),
            Misconception(
                "standardised rewards, by n - 1",
                "you also divide the rewards by their standard deviation, taken with n - 1. That changes the size of "
                "the step from batch to batch; the formula only takes the mean away.",
                lambda log_probability, rewards: -np.mean(_centred(rewards) / rewards.std(ddof=1) * log_probability),
            ),
            Misconception(
                "means of centred rewards",
                "your loss is 0 on every batch: rewards without their mean average to 0. Multiply each row's by its "
                "log-probability first, then take the mean.",
                lambda log_probability, rewards: 0 * rewards.mean(),
            ),
            Misconception(
                "means before the product",
                "you average rewards and log-probabilities apart. What counts is which row earned what.",
                lambda log_probability, rewards: -rewards.mean() * log_probability.mean(),
            ),
            Misconception(
                "log-probability forgotten",
                "your loss does not contain the log-probabilities, so it cannot change them.",
                lambda log_probability, rewards: -rewards.mean(),
            ),
        ),
    ),
    ListingExercise(
        "04.4",
        "a listing repaired fault by fault",
        hints=(
            "Run each method by itself and ask for things that you know: shapes, a loss for logits that are surely "
            "right, and rows for two different noises. The check's message counts what is left.",
            "generate: Gaussian numbers are no ids, so they belong in a matrix product with w['input'], not in a "
            "table. A row needs logits for every item at every place: w['out'] has the shape for that. Then the "
            "straight-through trick, here without Gumbel noise, since z is noise already.",
            "generate: straight_through(softmax(tanh(z @ w['input']) @ w['out'])). losses: softplus(-real) + "
            "softplus(fake), each averaged, and softplus(-fake) averaged. score: call the judge for each batch, and "
            "join the results.",
        ),
    ),
    ChoiceExercise(
        "04.5",
        "who comes nearest to people",
        hints=(
            "Co-occurrence asks which films stand in one row, whatever their order.",
            "The bigram knows the film before, the autoencoder a short code of the whole row. What does the LSTM know "
            "when it draws a film?",
            "It knows every film that it has drawn so far. And it learned from every item of every real row, where the "
            "game only passes on what a judge has learned so far.",
        ),
        answer="c",
        explanation="maximum likelihood. Two likely reasons: each film is drawn knowing all before it, and every real "
        "row said at every place what should have been more likely there.",
        wrong={
            "a": "that is the hope. But it starts from nothing, and all it hears is the judge's gradient, through a "
            "biased detour. Our few updates do not bring it to people.",
            "b": "it is hard to beat in what it counts, which is neighbours. But it forgets what stood before, and "
            "co-occurrence looks at the whole row.",
            "d": "a good guess: it knows which films go together, better than the bigram. But all it knows of a row is "
            "a short code, and it draws each film without looking at the others. The LSTM looks at all before.",
        },
    ),
]
