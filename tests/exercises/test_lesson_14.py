"""Lesson 14: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import itertools

import numpy as np
import pytest
from verdicts import refused

from advrec_teach import classification
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED
from advrec_teach.exercises.lesson_14 import GIVEN

# --- 14.1


@pytest.mark.parametrize("letter", ["a", "c", "d"])
def test_the_prediction(advrec, letter):
    message = refused("14.1", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("14.1").judge("b").status == CORRECT
    assert exercise("14.1").judge(None).status == NOT_ATTEMPTED


# --- 14.2


def test_the_mean_of_what_is_there(advrec, ops):
    def real(ids, *, unlike=(0,)):
        mask = np.isin(advrec.numpy(ids), unlike, invert=True)
        return advrec.tensor(mask[..., None], "float32")

    def total(t):
        return ops.sum(t, 1)

    def right(states, ids):
        return total(states * real(ids)) / total(real(ids))

    def by_weights(states, ids):
        mask = real(ids)[:, :, 0]
        share = mask / ops.sum(mask, 1)[:, None]
        return ops.matmul(share[:, None, :], states)[:, 0]

    def text_by_text(states, ids):
        lengths = (advrec.numpy(ids) != 0).sum(axis=1)
        return np.stack([advrec.numpy(states)[k, :n].mean(axis=0) for k, n in enumerate(lengths)])

    for answer in (right, by_weights):
        assert exercise("14.2").judge(answer).status == CORRECT
    # Right numbers that no network could be trained through.
    refused("14.2", text_by_text, "NumPy")

    def inner(states, ids):
        mask = real(ids, unlike=(0, 101, 102))
        return total(states * mask) / total(mask)

    def largest(states, ids):
        return np.where(advrec.numpy(real(ids)) > 0, advrec.numpy(states), -np.inf).max(axis=1)

    messages = {
        refused("14.2", lambda states, ids: ops.mean(states, 1), "padding included"),
        refused("14.2", lambda states, ids: ops.mean(states * real(ids), 1), "still in the number"),
        refused("14.2", lambda states, ids: total(states * real(ids)), "you return a sum"),
        refused("14.2", lambda states, ids: total(states) / total(real(ids)), "padding are in the sum"),
        refused("14.2", lambda states, ids: total(states * real(ids)) / ops.mean(total(real(ids))), "mean length"),
        refused("14.2", lambda states, ids: total(states * real(ids)) / ops.sum(real(ids)), "whole batch"),
        refused("14.2", lambda states, ids: states[:, 0], "[CLS]"),
        refused("14.2", inner, "leave out [CLS] and [SEP]"),
        refused("14.2", largest, "largest entry"),
        refused(
            "14.2",
            lambda states, ids: total(states * (1 - real(ids))) / total(1 - real(ids)),
            "1 where the padding is",
        ),
        refused("14.2", lambda states, ids: ops.mean(states * real(ids), 2), "last axis"),
    }
    assert len(messages) == 11
    stack = "stack" if advrec.__name__.endswith("pytorch") else "tf.stack"
    refused("14.2", lambda states, ids: [right(states, ids)[k] for k in range(len(ids))], stack)
    refused("14.2", lambda states, ids: right(states, ids)[0], "shape")
    refused("14.2", lambda states, ids: 2 * right(states, ids), "expected")


# --- 14.3


def test_a_loss_with_weights(advrec, ops):
    def hot(labels, classes):
        return advrec.tensor(np.eye(classes)[advrec.numpy(labels)])

    def log_beliefs(logits):
        logits = logits - advrec.tensor(advrec.numpy(logits).max(axis=1, keepdims=True))
        return logits - ops.log(ops.sum(ops.exp(logits), 1))[:, None]

    def losses(logits, labels):
        return -ops.sum(hot(labels, logits.shape[1]) * log_beliefs(logits), 1)

    def of(labels, class_weights):
        return ops.sum(hot(labels, class_weights.shape[0]) * class_weights, 1)

    def right(logits, labels, class_weights):
        return ops.mean(of(labels, class_weights) * losses(logits, labels))

    def from_one_table(logits, labels, class_weights):
        return -ops.sum(hot(labels, logits.shape[1]) * class_weights * log_beliefs(logits)) / logits.shape[0]

    for answer in (right, from_one_table, advrec.text_loss):
        assert exercise("14.3").judge(answer).status == CORRECT

    def over_weights(logits, labels, class_weights):
        return ops.sum(of(labels, class_weights) * losses(logits, labels)) / ops.sum(of(labels, class_weights))

    def by_guess(logits, labels, class_weights):
        guess = advrec.tensor(advrec.numpy(logits).argmax(axis=1))
        return ops.mean(of(guess, class_weights) * losses(logits, labels))

    def reversed_weights(logits, labels, class_weights):
        return right(logits, labels, advrec.tensor(advrec.numpy(class_weights)[::-1].copy()))

    messages = {
        refused("14.3", over_weights, "sum of the weights"),
        refused("14.3", lambda z, y, w: ops.mean(losses(z, y)), "no effect"),
        refused("14.3", reversed_weights, "wrong order"),
        refused("14.3", by_guess, "the model predicts"),
        refused("14.3", lambda z, y, w: ops.sum(of(y, w) * losses(z, y)), "you sum over the texts"),
        refused("14.3", lambda z, y, w: of(y, w) * losses(z, y), "one for each text"),
        refused("14.3", lambda z, y, w: ops.mean(losses(z * w, y)), "multiply the logits"),
        refused("14.3", lambda z, y, w: ops.mean(losses(z, y) - ops.log(of(y, w))), "inside the logarithm"),
        refused("14.3", lambda z, y, w: -right(z, y, w), "the sign is not"),
        refused("14.3", lambda z, y, w: ops.mean(of(y, w) * (1 - ops.exp(-losses(z, y)))), "minus its logarithm"),
        refused("14.3", lambda z, y, w: -ops.mean(of(y, w) * ops.exp(-losses(z, y))), "without the logarithm"),
        refused("14.3", lambda z, y, w: ops.mean(losses(z, y) / of(y, w)), "by its weight"),
        refused("14.3", lambda z, y, w: right(z, y, w) / z.shape[1], "n times classes"),
    }
    assert len(messages) == 13
    refused("14.3", lambda z, y, w: float(right(z, y, w)), "no gradient")

    def overflowing(logits, labels, class_weights):
        p = ops.exp(logits) / ops.sum(ops.exp(logits), 1)[:, None]
        return -ops.mean(of(labels, class_weights) * ops.log(ops.sum(hot(labels, logits.shape[1]) * p, 1)))

    refused("14.3", overflowing, "overflows")
    refused("14.3", lambda z, y, w: 3 * right(z, y, w), "expected")


# --- 14.4


def test_calibration_in_one_number(advrec):
    def binned(probabilities, labels, bins):
        """Return the share, the mean confidence and the share of right ones of every bin that is not empty."""
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        edges = np.linspace(0, 1, bins + 1)
        rows = []
        for low, high in itertools.pairwise(edges):
            inside = (confidence > low) & (confidence <= high)
            if inside.any():
                rows.append((inside.mean(), confidence[inside].mean(), right[inside].mean()))
        return np.array(rows).T

    def of(combine):
        def answer(probabilities, labels, *, bins=10):
            return combine(*binned(probabilities, labels, bins))

        return answer

    right = of(lambda share, sure, hit: share @ np.abs(hit - sure))

    def by_bincount(probabilities, labels, *, bins=10):
        confidence = probabilities.max(axis=1)
        place = np.minimum(np.floor(confidence * bins), bins - 1).astype(int)
        gap = (probabilities.argmax(axis=1) == labels) - confidence
        return np.abs(np.bincount(place, weights=gap)).sum() / len(labels)

    for answer in (right, by_bincount, classification.calibration_error):
        assert exercise("14.4").judge(answer).status == CORRECT

    def one_class(probabilities, labels, *, bins=10):
        p, place = probabilities[:, 1], np.minimum((probabilities[:, 1] * bins).astype(int), bins - 1)
        gaps = [(place == b).sum() * abs((labels == 1)[place == b].mean() - p[place == b].mean()) for b in set(place)]
        return sum(gaps) / len(labels)

    def all_bins(probabilities, labels, *, bins=10):
        _share, sure, hit = binned(probabilities, labels, bins)
        return np.abs(hit - sure).sum() / bins

    def counted(probabilities, labels, *, bins=10):
        return len(labels) * right(probabilities, labels, bins=bins)

    def largest(probabilities, labels):
        return probabilities.max(axis=1)

    def by(confidence, *, low=0.0, closed=True, middle=False, more=0):
        """Bins from ``low`` to 1 of a chosen number; the last one holds 1 if ``closed``."""

        def answer(probabilities, labels, *, bins=10):
            sure, hit = confidence(probabilities, labels), probabilities.argmax(axis=1) == labels
            width, error = (1 - low) / bins, 0.0
            for b in range(bins + more):
                start = low + b * width
                inside = (start <= sure) & (sure < start + width) | (closed and b == bins - 1) & (sure == 1)
                if inside.any():
                    meant = start + width / 2 if middle else sure[inside].mean()
                    error += inside.mean() * abs(hit[inside].mean() - meant)
            return error

        return answer

    def with_empty_bins(probabilities, labels, *, bins=10):
        found = classification.reliability_bins(probabilities, labels, bins=bins)
        return found.counts @ np.abs(found.accuracy - found.confidence) / len(labels)

    messages = {
        refused("14.4", of(lambda share, sure, hit: np.abs(hit - sure).mean()), "counts the same in your mean"),
        refused("14.4", all_bins, "those that are empty"),
        refused("14.4", of(lambda share, sure, hit: share @ (hit - sure)), "too sure cancel bins that are not"),
        refused("14.4", of(lambda share, sure, hit: share @ (sure - hit)), "which of the two is subtracted"),
        refused("14.4", of(lambda share, sure, hit: abs(share @ (sure - hit))), "all predictions at once"),
        refused("14.4", of(lambda share, sure, hit: np.abs(hit - sure).max()), "largest gap"),
        refused("14.4", of(lambda share, sure, hit: share @ (hit - sure) ** 2), "you square"),
        refused("14.4", counted, "by its count"),
        refused("14.4", one_class, "probability of class 1"),
        refused("14.4", lambda p, y, *, bins=10: right(p, y, bins=10), "is not used"),
        refused("14.4", by(lambda p, y: p[:, 1]), "always the probability of class 1"),
        refused("14.4", by(lambda p, y: p[np.arange(len(p)), y]), "of the true class"),
        refused("14.4", by(largest, middle=True), "middle of each bin"),
        refused("14.4", by(largest, low=0.5), "from one half to 1"),
        refused("14.4", by(largest, closed=False), "none of your bins"),
        refused("14.4", by(largest, closed=False, more=1), "a bin of its own"),
        refused("14.4", with_empty_bins, "no prediction in it"),
    }
    assert len(messages) == 17
    refused("14.4", lambda p, y, *, bins=10: right(p, y, bins=bins) / 2, "expected")


# --- 14.5


def given():
    scope = {"np": np}
    exec(compile(GIVEN, "<the notebook>", "exec"), scope)
    return scope["share_right"]


def test_the_listing_as_given_is_not_attempted(advrec):
    verdict = exercise("14.5").judge(given())
    assert verdict.status == NOT_ATTEMPTED and "as it was given" in verdict.message


def test_the_listing_in_the_lesson_is_the_one_that_the_check_knows():
    from advrec_teach import paths

    lesson = (paths.repository() / "lessons/14_bert.py").read_text(encoding="utf-8")
    assert GIVEN.strip() in lesson


def test_the_listing(advrec):
    def labels_of(rows):
        return np.array([label for _, label in rows])

    def right(rows, logits):
        return (logits.argmax(axis=1) == labels_of(rows)).mean()

    def one_by_one(rows, logits):
        hits = 0
        for (_, label), (no, yes) in zip(rows, logits, strict=True):
            hits += int(yes > no) == label
        return hits / len(rows)

    assert exercise("14.5").judge(right).status == CORRECT
    assert exercise("14.5").judge(one_by_one).status == CORRECT

    def word_by_word(padding):
        def answer(rows, logits):
            longest = max(len(ids) for ids, _ in rows)
            labels = [[label] * len(ids) + [padding] * (longest - len(ids)) for ids, label in rows]
            predicted = logits.argmax(axis=1)
            pairs = [(guess, label) for guess, line in zip(predicted, labels, strict=True) for label in line]
            return np.mean([guess == label for guess, label in pairs if label is not None])

        return answer

    def still_the_third_axis(rows, logits):
        return (logits.argmax(axis=2) == labels_of(rows)).mean()

    messages = {
        refused("14.5", still_the_third_axis, "asks for a third axis"),
        refused("14.5", word_by_word(0), "the padding is counted"),
        refused("14.5", word_by_word(-100), "counts as wrong each time"),
        refused("14.5", word_by_word(None), "share of right words"),
        refused(
            "14.5",
            lambda rows, logits: np.mean([a == b for a, b in zip(logits.argmax(0), labels_of(rows), strict=False)]),
            "along axis 0",
        ),
        refused("14.5", lambda rows, logits: ((logits[:, 1] > 0) == labels_of(rows)).mean(), "is above 0"),
        refused("14.5", lambda rows, logits: 1 - right(rows, logits), "that are wrong"),
        refused("14.5", lambda rows, logits: len(rows) * right(rows, logits), "how many reviews"),
        refused("14.5", lambda rows, logits: right(rows[1:], logits[1:]), "first review is missing"),
    }
    assert len(messages) == 9
    refused("14.5", lambda rows, logits: right(rows, logits) ** 2, "expected")
    refused("14.5", lambda rows, logits: logits.argmax(axis=1) == labels_of(rows), "shape")
