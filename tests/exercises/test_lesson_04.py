"""Lesson 04: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach import paths
from advrec_teach.course import lessons
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET
from advrec_teach.exercises.lesson_04 import repaired_listing


@pytest.fixture
def maths(track):
    """Return softmax, a one-hot vector of the largest, a way to hold a tensor constant, and some more."""
    if track == "pytorch":
        import torch

        return {
            "softmax": lambda x: x.softmax(-1),
            "hard": lambda x: torch.nn.functional.one_hot(x.argmax(-1), x.shape[-1]),
            "constant": lambda x: x.detach(),
            "mean": torch.mean,
            "sum": torch.sum,
            "exp": torch.exp,
            "log": torch.log,
            "sigmoid": torch.sigmoid,
            "std": lambda x: x.std(unbiased=False),
            "join": torch.cat,
            "tanh": torch.tanh,
            "ids": lambda x: x.argmax(-1),
        }
    import tensorflow as tf

    return {
        "softmax": tf.nn.softmax,
        "hard": lambda x: tf.one_hot(tf.argmax(x, -1), x.shape[-1]),
        "constant": tf.stop_gradient,
        "mean": tf.reduce_mean,
        "sum": tf.reduce_sum,
        "exp": tf.exp,
        "log": tf.math.log,
        "sigmoid": tf.sigmoid,
        "std": tf.math.reduce_std,
        "join": lambda parts: tf.concat(parts, 0),
        "tanh": tf.tanh,
        "ids": lambda x: tf.argmax(x, -1),
    }


# --- 04.1 and 04.5


@pytest.mark.parametrize(("identifier", "right", "wrong"), [("04.1", "a", "bc"), ("04.5", "c", "abd")])
def test_the_predictions(advrec, identifier, right, wrong):
    assert exercise(identifier).judge(right).status == CORRECT
    assert exercise(identifier).judge(None).status == NOT_ATTEMPTED
    assert len({refused(identifier, letter) for letter in wrong}) == len(wrong)
    refused(identifier, "z", "none of the options")


# --- 04.2


def draws(maths):
    softmax, hard, constant = maths["softmax"], maths["hard"], maths["constant"]

    def straight(soft):
        return hard(soft) + (soft - constant(soft))

    return softmax, hard, constant, straight


def test_right_draws_pass(advrec, maths):
    softmax, hard, constant, straight = draws(maths)

    def in_one(logits, noise, *, temperature):
        return straight(softmax((logits + noise) / temperature))

    def other_way_round(logits, noise, *, temperature):
        soft = softmax((logits + noise) / temperature)
        return soft + constant(hard(logits + noise) - soft)

    def packaged(logits, noise, *, temperature):
        return advrec.straight_through(advrec.gumbel_softmax(logits, noise, temperature=temperature))

    for answer in (in_one, other_way_round, packaged, exercise("04.2").course(advrec)):
        assert exercise("04.2").judge(answer).status == CORRECT, exercise("04.2").judge(answer).message


def test_draws(advrec, maths):
    softmax, hard, constant, straight = draws(maths)

    def minus(logits, noise, *, temperature):
        soft = softmax((logits + noise) / temperature)
        return hard(soft) + (constant(soft) - soft)

    def added(logits, noise, *, temperature):
        soft = softmax((logits + noise) / temperature)
        return hard(soft) + soft

    def both_constant(logits, noise, *, temperature):
        soft = softmax((logits + noise) / temperature)
        return hard(soft) + (constant(soft) - constant(soft))

    def nothing(logits, noise, *, temperature):
        straight(softmax(logits + noise))

    def no_noise_back(logits, noise, *, temperature):
        soft = softmax(logits / temperature)
        return hard(logits + noise) + (soft - constant(soft))

    messages = {
        refused("04.2", lambda x, g, *, temperature: hard(x + g), "no gradient passes"),
        refused("04.2", lambda x, g, *, temperature: softmax((x + g) / temperature), "not one-hot"),
        refused("04.2", lambda x, g, *, temperature: straight(softmax(x / temperature)), "nothing is drawn"),
        refused("04.2", lambda x, g, *, temperature: straight(softmax(x / temperature + g)), "too late"),
        refused("04.2", lambda x, g, *, temperature: straight(softmax(x + g)), "temperature 1"),
        refused("04.2", lambda x, g, *, temperature: straight(softmax((x + g) * temperature)), "divide"),
        refused("04.2", lambda x, g, *, temperature: hard(x + g) + (x - constant(x)), "past the softmax"),
        refused("04.2", no_noise_back, "softmax without it"),
        refused("04.2", added, "as a constant"),
        refused("04.2", minus, "opposite sign"),
        refused("04.2", lambda x, g, *, temperature: maths["ids"](x + g), "shape"),
        refused("04.2", nothing, "`return`"),
    }
    assert len(messages) == 12
    refused("04.2", both_constant, "no gradient passes")
    message = refused("04.2", lambda x, g, *, temperature: straight(softmax(2 * (x + g) / temperature)), "gradient of")
    assert "weights" not in message and "returned value" not in message


# --- 04.3


def test_policy_losses(advrec, maths):
    mean, constant, exp = maths["mean"], maths["constant"], maths["exp"]

    def right(log_p, rewards):
        return -mean((rewards - mean(rewards)) * log_p)

    def other_way(log_p, rewards):
        return -mean(rewards * (log_p - mean(log_p)))

    def summed(log_p, rewards):
        return maths["sum"]((mean(rewards) - rewards) * log_p) / len(rewards)

    for answer in (right, other_way, summed, advrec.reinforce_loss):
        assert exercise("04.3").judge(answer).status == CORRECT

    def standardised(log_p, rewards):
        return right(log_p, (rewards - mean(rewards)) / maths["std"](rewards))

    messages = {
        refused("04.3", lambda p, r: -right(p, r), "*less* likely"),
        refused("04.3", lambda p, r: -mean(r * p), "baseline"),
        refused("04.3", lambda p, r: mean(r * p), "two things are missing"),
        refused(
            "04.3", lambda p, r: -mean((r - (maths["sum"](r) - r) / (len(r) - 1)) * p), "leaves out the row itself"
        ),
        refused("04.3", lambda p, r: -maths["sum"]((r - mean(r)) * p), "take the mean"),
        refused("04.3", lambda p, r: right(exp(p), r), "probability itself"),
        refused("04.3", standardised, "standard deviation"),
        refused("04.3", lambda p, r: -mean(r) * mean(p), "apart"),
        refused("04.3", lambda p, r: -mean(r), "cannot change them"),
        refused("04.3", lambda p, r: right(constant(p), r), "no gradient reaches log_probability"),
        refused("04.3", lambda p, r: -(r - mean(r)) * p, "shape"),
    }
    assert len(messages) == 11


# --- 04.4: the listing, from the lesson itself


@pytest.fixture
def printed(advrec, track):
    """Return the listing as the lesson prints it."""
    lesson = lessons.read(paths.repository() / "lessons" / "04_fake_behaviour.py")
    cells = [c for c in lesson.cells if c.kind == "code" and c.has(track) and "class ArticleGAN" in c.source]
    (given,) = (cell for cell in cells if cell.has("exercise"))
    framework = __import__({"pytorch": "torch", "tensorflow": "tensorflow"}[track])
    scope = {"advrec": advrec, "torch": framework, "tf": framework}
    exec(given.source, scope)
    return scope["ArticleGAN"]


def changed(*bases, **methods):
    """Return a class with these methods in place of the first base's own."""
    return type("Changed", bases, {name: staticmethod(method) for name, method in methods.items()})


def listed(program):
    """Return how many faults the check counts, and its message."""
    verdict = exercise("04.4").judge(program)
    assert verdict.status in (NOT_YET, NOT_ATTEMPTED), verdict.message
    return verdict.message


def test_the_listing_as_printed_has_six_faults(printed):
    verdict = exercise("04.4").judge(printed)
    assert verdict.status == NOT_ATTEMPTED
    assert "all six" in verdict.message and "(6)" in verdict.message and "(7)" not in verdict.message
    assert exercise("04.4").judge(None).status == NOT_ATTEMPTED
    assert issubclass(type(exercise("04.4").kept(printed, verdict)), type)
    assert exercise("04.4").kept(printed, verdict) is not printed


def test_the_course_version_has_none(advrec):
    assert exercise("04.4").judge(repaired_listing()).status == CORRECT


def test_the_faults_go_one_by_one(advrec, maths, printed):
    whole = repaired_listing()()
    scored = changed(printed, score=lambda judge, batches: maths["join"]([judge(b) for b in batches]))
    assert "5 faults remain" in listed(scored) and "data set" not in listed(scored)

    def only_discriminator(real, fake):
        return advrec.discriminator_loss(real, fake), printed().losses(real, fake)[1]

    half = changed(scored, losses=only_discriminator)
    assert "4 faults remain" in listed(half) and "averages D itself" in listed(half)
    both = changed(scored, losses=whole.losses)
    assert "3 faults remain" in listed(both)

    # Noise into a matrix; still one number, still cut.
    def one_number(w, z):
        return maths["ids"](maths["tanh"](z @ w["input"]) @ w["out"])[:, :1]

    linear = changed(both, generate=one_number)
    assert "2 faults remain" in listed(linear) and "behind the decimal point" not in listed(linear)

    # A row at last, of ids, through which no gradient passes.
    def ids(w, z):
        return maths["hard"](maths["tanh"](z @ w["input"]) @ w["out"])

    cut = changed(both, generate=ids)
    assert "1 fault remains" in listed(cut) and "no gradient" in listed(cut)
    assert exercise("04.4").judge(changed(both, generate=whole.generate)).status == CORRECT


def test_half_repairs_have_messages_of_their_own(advrec, maths, printed):
    good = repaired_listing()
    whole = good()
    mean, sigmoid, log = maths["mean"], maths["sigmoid"], maths["log"]

    def losses(own=None, other=None):
        def pair(real, fake):
            return (
                advrec.discriminator_loss(real, fake) if own is None else own(real, fake),
                advrec.generator_loss(fake) if other is None else other(fake),
            )

        return changed(good, losses=pair)

    def by_probability(real, fake):
        return -mean(log(sigmoid(real))) - mean(log(1 - sigmoid(fake)))

    def soft(w, z):
        return maths["softmax"](maths["tanh"](z @ w["input"]) @ w["out"])

    def embedded(w, z):
        return advrec.straight_through(maths["softmax"](printed_states(w, z) @ w["out"]))

    def printed_states(w, z):
        whole_part = advrec.tensor(np.trunc(advrec.numpy(z)))
        return maths["tanh"](whole_part @ w["input"])

    messages = {
        refused("04.4", losses(lambda r, f: mean(sigmoid(f)) - mean(sigmoid(r))), "averages probabilities"),
        refused("04.4", losses(lambda r, f: -advrec.discriminator_loss(r, f)), "game's value"),
        refused("04.4", losses(other=lambda f: advrec.generator_loss(f, kind="minimax")), "stalls early"),
        refused(
            "04.4",
            losses(other=lambda f: mean(advrec.discriminator_loss(f, f) - advrec.generator_loss(f))),
            "called fake",
        ),
        refused("04.4", losses(by_probability), "not finite"),
        refused(
            "04.4", losses(lambda r, f: -mean(log(sigmoid(r) + 1e-8)) - mean(log(1 - sigmoid(f) + 1e-8))), "clipped"
        ),
        refused("04.4", losses(lambda r, f: advrec.discriminator_loss(-r, -f)), "wants real rows called fake"),
        refused("04.4", changed(good, losses=lambda r, f: whole.losses(r, f)[::-1]), "wrong order"),
        refused("04.4", changed(good, generate=lambda w, z: whole.generate(w, z)[:, 0]), "generate returns shape"),
        refused(
            "04.4", losses(lambda r, f: 2 * advrec.discriminator_loss(r, f)), "discriminator's is", "where the text's"
        ),
        refused("04.4", changed(good, losses=lambda r, f: advrec.generator_loss(f)), "two numbers"),
        refused("04.4", changed(good, generate=soft), "no one-hot vectors"),
        refused("04.4", changed(good, generate=embedded), "behind the decimal point"),
        refused("04.4", changed(good, generate=lambda w, z: maths["ids"](soft(w, z))), "shape"),
        refused("04.4", changed(good, generate=lambda w, z: w["unknown"]), "generate stops with KeyError"),
        refused("04.4", changed(good, score=lambda judge, batches: judge(batches)), "whole data set"),
        refused("04.4", changed(good, score=lambda judge, batches: judge(batches[0])), "one logit for each row"),
        refused("04.4", type("Empty", (), {}), "is missing"),
    }
    assert len(messages) == 18
    for right in (
        changed(good, generate=lambda w, z: advrec.straight_through(maths["softmax"](z @ w["input"] @ w["out"]))),
        changed(good, score=lambda judge, batches: judge(maths["join"](batches))),
    ):
        assert exercise("04.4").judge(right).status == CORRECT
    assert exercise("04.4").judge(whole).status == CORRECT  # an object will do as well as its class
