"""Lesson 06: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


@pytest.mark.parametrize(("identifier", "right"), [("06.1", "b"), ("06.3", "c")])
def test_the_predictions(advrec, identifier, right):
    messages = {refused(identifier, letter) for letter in "abc" if letter != right}
    assert len(messages) == 2
    refused(identifier, "d", "none of the options")
    assert exercise(identifier).judge(right).status == CORRECT
    assert exercise(identifier).judge(None).status == NOT_ATTEMPTED


def test_hits_at_few_false_alarms(advrec):
    def threshold(scores, fpr, more=0):
        return np.sort(scores)[::-1][max(0, int(fpr * len(scores)) + more)]

    def sorted_others(members, others, *, fpr=0.01):
        return np.mean(members > threshold(others, fpr))

    def by_search(members, others, *, fpr=0.01):
        """Try every score as a threshold."""
        candidates = np.concatenate((others, [others.max()]))
        kept = [t for t in candidates if (others > t).sum() <= fpr * len(others)]
        return float((members > min(kept)).sum() / len(members))

    def by_partition(members, others, *, fpr=0.01):
        k = int(fpr * len(others))
        return sum(m > -np.partition(-others, k)[k] for m in members) / len(members)

    for right in (sorted_others, by_search, by_partition):
        assert exercise("06.2").judge(right).status == CORRECT

    def accused(members, others, fpr):
        return members > threshold(others, fpr), others > threshold(others, fpr)

    def precision(members, others, *, fpr=0.01):
        own, rest = accused(members, others, fpr)
        return own.sum() / max(1, own.sum() + rest.sum())

    def both(members, others, *, fpr=0.01):
        return np.mean(members > threshold(np.concatenate((members, others)), fpr))

    def low(members, others, *, fpr=0.01):
        return np.mean(members > np.sort(others)[int(fpr * len(others))])

    def fixed(members, others, *, fpr=0.01):
        return np.mean(members > threshold(others, 0.01))

    def wrong_end(members, others, *, fpr=0.01):
        return np.mean(members < np.sort(others)[int(fpr * len(others))])

    def area(members, others, *, fpr=0.01):
        above = members[:, None] > others
        return np.mean(above + 0.5 * (members[:, None] == others))

    def placed(members, others, place):
        return np.mean(members > np.sort(others)[::-1][place])

    refused("06.2", lambda m, o, *, fpr: placed(m, o, round(fpr * len(o))), "rounded up")
    refused("06.2", lambda m, o, *, fpr: placed(m, o, int(np.ceil(fpr * len(o)))), "rounded up")
    refused("06.2", lambda m, o, *, fpr: np.mean(o > threshold(m, fpr)), "swapped")
    messages = {
        refused("06.2", lambda m, o, *, fpr: np.mean(m > threshold(m, fpr)), "the members' own scores"),
        refused("06.2", both, "members and others together"),
        refused("06.2", precision, "precision"),
        refused("06.2", lambda m, o, *, fpr: accused(m, o, fpr)[1].mean(), "false positive rate"),
        refused("06.2", lambda m, o, *, fpr: np.mean(m >= threshold(o, fpr)), "one of the others too many"),
        refused("06.2", lambda m, o, *, fpr: np.mean(m > threshold(o, fpr, -1)), "one place too high"),
        refused("06.2", wrong_end, "low scores"),
        refused("06.2", low, "nearly all others"),
        refused("06.2", lambda m, o, *, fpr: accused(m, o, fpr)[0].sum(), "how many members"),
        refused("06.2", lambda m, o, *, fpr: np.mean(m > np.quantile(o, 1 - fpr)), "between two scores"),
        refused("06.2", fixed, "changes nothing"),
        refused("06.2", area, "an average over all thresholds"),
    }
    assert len(messages) == 12

    def in_place(members, others, *, fpr=0.01):
        others.sort()
        return np.mean(members > others[::-1][int(fpr * len(others))])

    refused("06.2", in_place, "changed")


def step(ops, rows=None, noise=None, divide=None):
    """Return the private gradient with one thing changed."""

    def answer(gradients, z, *, clip, sigma, batch_size):
        lengths = ops.norm(gradients, 1)
        default = gradients * ops.where(lengths > clip, clip / lengths, ops.ones_like(lengths))
        clipped = rows(gradients, clip) if rows else default
        n = len(gradients)
        size = noise(n, clip, batch_size) if noise else clip
        total = ops.sum(clipped, 0) + sigma * size * z
        return total / (divide(n, batch_size) if divide else batch_size)

    return answer


def test_the_private_gradient(advrec, ops):
    assert exercise("06.4").judge(step(ops)).status == CORRECT

    def row_by_row(gradients, noise, *, clip, sigma, batch_size):
        total = sigma * clip * noise
        for row in gradients:
            length = float(ops.norm(row, None))
            total = total + (row * (clip / length) if length > clip else row)
        return total / batch_size

    def by_the_package(gradients, noise, *, clip, sigma, batch_size):
        settings = {"clip": clip, "noise_multiplier": sigma, "batch_size": batch_size}
        return advrec.private_gradient({"w": gradients}, {"w": noise}, **settings)["w"]

    assert exercise("06.4").judge(row_by_row).status == CORRECT
    assert exercise("06.4").judge(by_the_package).status == CORRECT

    def shortened(g, clip, axis):
        lengths = ops.norm(g, axis)
        return g * ops.where(lengths > clip, clip / lengths, ops.ones_like(lengths))

    def summed(g, clip):
        return g * min(1.0, clip / float(ops.norm(ops.sum(g, 0), None)))

    def mean_clipped(gradients, noise, *, clip, sigma, batch_size):
        mean = ops.sum(gradients, 0) / batch_size
        return mean * min(1.0, clip / float(ops.norm(mean, None))) + sigma * clip * noise / batch_size

    messages = {
        refused("06.4", step(ops, rows=lambda g, c: g), "keep their lengths"),
        refused("06.4", step(ops, rows=lambda g, c: c * g / ops.norm(g, 1)), "*every* row"),
        refused("06.4", step(ops, rows=lambda g, c: ops.clip(g, -c, c)), "each coordinate"),
        refused("06.4", step(ops, rows=lambda g, c: shortened(g, c, 0)), "shorten columns"),
        refused("06.4", step(ops, rows=summed), "the gradient of the batch"),
        refused("06.4", step(ops, noise=lambda n, c, b: 1.0), "does not know C"),
        refused("06.4", step(ops, noise=lambda n, c, b: n * c), "for every person"),
        refused("06.4", step(ops, noise=lambda n, c, b: b * c), "is not divided"),
        refused("06.4", step(ops, noise=lambda n, c, b: 0.0), "no noise"),
        refused("06.4", step(ops, divide=lambda n, b: n), "happened to be drawn"),
        refused("06.4", step(ops, divide=lambda n, b: 1.0), "you return the sum"),
        refused("06.4", step(ops, noise=lambda n, c, b: -c), "wrong sign"),
    }
    assert len(messages) == 12

    def by(lengths):
        return lambda g, c: g * ops.where(lengths(g) > c, c / lengths(g), ops.ones_like(lengths(g)))

    def no_factor(g, c):
        lengths = ops.norm(g, 1)
        return g / lengths * ops.where(lengths > c, c * ops.ones_like(lengths), lengths)

    def longer(g, c):
        lengths = ops.norm(g, 1)
        return g * ops.where(lengths > c, ops.ones_like(lengths), c / (lengths + 1e-12))

    refused("06.4", step(ops, rows=lambda g, c: g * min(1.0, c / float(ops.norm(g, None)))), "the whole matrix")
    refused("06.4", step(ops, rows=by(lambda g: ops.norm(g, 1) ** 2)), "squared")
    refused("06.4", step(ops, rows=no_factor), "NaN")
    refused("06.4", step(ops, rows=longer), "lengthen")
    assert refused("06.4", mean_clipped, "the gradient of the batch") not in messages

    def in_numpy(*inputs, **settings):
        return advrec.numpy(step(ops)(*inputs, **settings))

    refused("06.4", in_numpy, "the value is right", "an array of NumPy's", "a tensor is asked for")
    refused("06.4", lambda *inputs, **settings: in_numpy(*inputs, **settings).tolist(), "a list", "a tensor")


def spent(account, *, n_people, batch_size, epochs, noise_std, clip, delta, **changed):
    steps = epochs * int(np.ceil(n_people / batch_size))
    settings = {"noise_multiplier": noise_std / clip, "sample_rate": batch_size / n_people, "steps": steps}
    return account(
        **settings | {k: f(n_people, batch_size, epochs, noise_std, clip) for k, f in changed.items()}, delta=delta
    )


def with_faults(**changed):
    return lambda account, **training: spent(account, **training, **changed)


def test_the_account(advrec):
    assert exercise("06.5").judge(with_faults()).status == CORRECT

    def upside_down(account, *, n_people, batch_size, epochs, noise_std, clip, delta):
        batches = -(-n_people // batch_size)
        sigma = noise_std / clip
        return account(delta=delta, steps=batches * epochs, sample_rate=batch_size / n_people, noise_multiplier=sigma)

    assert exercise("06.5").judge(upside_down).status == CORRECT
    faults = {
        "noise_multiplier": lambda n, b, e, s, c: s,
        "sample_rate": lambda n, b, e, s, c: 1 / n,
        "steps": lambda n, b, e, s, c: e,
    }
    given = exercise("06.5").judge(with_faults(**faults))
    assert given.status == NOT_ATTEMPTED and "three faults" in given.message

    def only(*names):
        return with_faults(**{name: faults[name] for name in names})

    messages = {
        refused("06.5", only("sample_rate", "steps"), "two remain", "The rate", "The steps"),
        refused("06.5", only("noise_multiplier", "steps"), "two remain", "The noise", "The steps"),
        refused("06.5", only("noise_multiplier", "sample_rate"), "two remain", "The noise", "The rate"),
        refused("06.5", only("noise_multiplier"), "one remains", "The noise"),
        refused("06.5", only("sample_rate"), "one remains", "The rate"),
        refused("06.5", only("steps"), "one remains", "The steps"),
        refused("06.5", with_faults(noise_multiplier=lambda n, b, e, s, c: s * c), "multiply the noise by C"),
        refused("06.5", with_faults(noise_multiplier=lambda n, b, e, s, c: s / (c * b)), "size of a batch as well"),
        refused("06.5", with_faults(sample_rate=lambda n, b, e, s, c: 1 / b), "one over the size"),
        refused("06.5", with_faults(sample_rate=lambda n, b, e, s, c: 1.0), "everybody were in every batch"),
        refused("06.5", with_faults(steps=lambda n, b, e, s, c: e * (n // b)), "an epoch down"),
        refused("06.5", with_faults(steps=lambda n, b, e, s, c: e * n), "for every person in an epoch"),
    }
    assert len(messages) == 12
    refused("06.5", with_faults(noise_multiplier=lambda n, b, e, s, c: c / s), "upside down")
    refused("06.5", with_faults(sample_rate=lambda n, b, e, s, c: n / b), "above 1")
    refused("06.5", with_faults(sample_rate=lambda n, b, e, s, c: 1 / np.ceil(n / b)), "only where the batches")
    refused("06.5", with_faults(steps=lambda n, b, e, s, c: int(np.ceil(e * n / b))), "in each epoch")
    refused("06.5", with_faults(steps=lambda n, b, e, s, c: e * b), "people in a batch")

    def summed(account, **training):
        one = spent(account, **training, steps=lambda n, b, e, s, c: 1)
        return one * training["epochs"] * int(np.ceil(training["n_people"] / training["batch_size"]))

    refused("06.5", summed, "do not simply add up")
    assert "0x" not in refused("06.5", lambda account, **training: 1.0)
    refused("06.5", with_faults(steps=lambda n, b, e, s, c: e * n / b), "whole steps")
