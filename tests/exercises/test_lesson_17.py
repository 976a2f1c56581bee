"""Lesson 17: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


@pytest.fixture
def pieces(advrec, track):
    """Return log-softmax, look-up and mask in the track's own calls."""
    if track == "pytorch":
        import torch

        def mask(lengths, width):
            return (torch.arange(width) < lengths[:, None]).float()

        return torch.log_softmax, lambda table, ids: table.gather(2, ids[..., None])[..., 0], mask
    import tensorflow as tf

    return (
        tf.nn.log_softmax,
        lambda table, ids: tf.gather(table, ids, axis=2, batch_dims=2),
        lambda lengths, width: tf.sequence_mask(lengths, width, dtype=tf.float32),
    )


def test_the_likelihood_of_a_title(advrec, ops, pieces):
    log_softmax, look_up, mask = pieces

    def right(logits, ids, lengths):
        values = look_up(log_softmax(logits, -1)[:, :-1], ids[:, 1:])
        return ops.sum(values * mask(lengths, values.shape[1]), 1) / ops.cast(lengths, "float32")

    def by_rows(logits, ids, lengths):
        values = advrec.numpy(look_up(log_softmax(logits, -1)[:, :-1], ids[:, 1:]))
        return advrec.tensor([row[:count].mean() for row, count in zip(values, advrec.numpy(lengths), strict=True)])

    assert exercise("17.1").judge(right).status == CORRECT
    assert exercise("17.1").judge(by_rows).status == CORRECT
    assert exercise("17.1").judge(advrec.mean_log_likelihood).status == CORRECT

    def values_of(logits, ids, lengths, early=True):
        table = log_softmax(logits, -1)
        return advrec.numpy(look_up(table[:, :-1] if early else table[:, 1:], ids[:, 1:]))

    def masked(values, lengths):
        return values * (np.arange(values.shape[1]) < advrec.numpy(lengths)[:, None])

    def as_given(logits, ids, lengths):
        return advrec.tensor(values_of(logits, ids, lengths, early=False).mean(1))

    def padded(logits, ids, lengths):
        return advrec.tensor(values_of(logits, ids, lengths).mean(1))

    def late(logits, ids, lengths):
        return advrec.tensor(
            masked(values_of(logits, ids, lengths, early=False), lengths).sum(1) / advrec.numpy(lengths)
        )

    def summed(logits, ids, lengths):
        return advrec.tensor(masked(values_of(logits, ids, lengths), lengths).sum(1))

    def by_width(logits, ids, lengths):
        return advrec.tensor(masked(values_of(logits, ids, lengths), lengths).mean(1))

    def one_more(logits, ids, lengths):
        return advrec.tensor(masked(values_of(logits, ids, lengths), lengths).sum(1) / (advrec.numpy(lengths) + 1))

    def raw(logits, ids, lengths):
        values = advrec.numpy(look_up(logits[:, :-1], ids[:, 1:]))
        return advrec.tensor(masked(values, lengths).sum(1) / advrec.numpy(lengths))

    def backwards(logits, ids, lengths):
        values = advrec.numpy(look_up(log_softmax(logits, -1)[:, 1:], ids[:, :-1]))
        return advrec.tensor(masked(values, lengths).sum(1) / advrec.numpy(lengths))

    def told_by_ids(logits, ids, lengths):
        read = advrec.numpy(ids)[:, 1:]
        return advrec.tensor((values_of(logits, ids, lengths) * (read != 0)).sum(1) / advrec.numpy(lengths))

    def mean_by_ids(logits, ids, lengths):
        real = advrec.numpy(ids)[:, 1:] != 0
        return advrec.tensor((values_of(logits, ids, lengths) * real).sum(1) / real.sum(1))

    def over_time(logits, ids, lengths):
        values = advrec.numpy(look_up(log_softmax(logits, 1)[:, :-1], ids[:, 1:]))
        return advrec.tensor(masked(values, lengths).sum(1) / advrec.numpy(lengths))

    verdict = exercise("17.1").judge(as_given)
    assert verdict.status == NOT_ATTEMPTED and "both faults" in verdict.message
    messages = {
        refused("17.1", padded, "padding is scored"),
        refused("17.1", late, "*after* it has read"),
        refused("17.1", backwards, "already read the answer"),
        refused("17.1", summed, "the sum over a title's tokens"),
        refused("17.1", by_width, "divide by the width"),
        refused("17.1", one_more, "one more than the tokens"),
        refused("17.1", raw, "raw logits"),
        refused("17.1", told_by_ids, "take token 0 for padding"),
        refused("17.1", mean_by_ids, "in the sum and in the count"),
        refused("17.1", over_time, "over the tokens of the text"),
        refused("17.1", lambda *given: -by_rows(*given), "return the negative"),
        refused("17.1", lambda *given: ops.mean(by_rows(*given)), "one number for all titles"),
    }
    assert len(messages) == 12
    refused("17.1", lambda *given: 2 * by_rows(*given), "expected")


def test_a_gain_and_its_interval(advrec):
    def right(before, after):
        up = before - after
        return up.mean(), 1.96 * up.std(ddof=1) / np.sqrt(len(up))

    def by_hand(before, after):
        up = [float(b - a) for b, a in zip(before, after, strict=True)]
        mean = sum(up) / len(up)
        variance = sum((u - mean) ** 2 for u in up) / (len(up) - 1)
        return mean, 1.96 * (variance / len(up)) ** 0.5

    assert exercise("17.2").judge(right).status == CORRECT
    assert exercise("17.2").judge(by_hand).status == CORRECT
    assert exercise("17.2").judge(lambda before, after: np.array(right(before, after))).status == CORRECT
    assert exercise("17.2").judge(lambda before, after: list(right(before, after))).status == CORRECT

    def with_half(half):
        return lambda before, after: ((before - after).mean(), half(before, after, len(before)))

    messages = {
        refused("17.2", lambda before, after: right(after, before), "wrong sign"),
        refused(
            "17.2",
            with_half(lambda b, a, n: 1.96 * np.sqrt((b.var(ddof=1) + a.var(ddof=1)) / n)),
            "two groups of different people",
        ),
        refused("17.2", with_half(lambda b, a, n: 1.96 * (b - a).std(ddof=1)), "spread of single users"),
        refused("17.2", with_half(lambda b, a, n: 1.96 * (b - a).std(ddof=1) / n), "standard deviation by n."),
        refused("17.2", with_half(lambda b, a, n: (b - a).std(ddof=1) / np.sqrt(n)), "one standard error"),
        refused("17.2", with_half(lambda b, a, n: 1.96 * (b - a).std() / np.sqrt(n)), "ddof=1"),
        refused("17.2", with_half(lambda b, a, n: 3.92 * (b - a).std(ddof=1) / np.sqrt(n)), "the whole width"),
        refused("17.2", lambda before, after: right(before, after)[::-1], "half width first"),
        refused(
            "17.2",
            lambda before, after: (right(before, after)[0] - right(before, after)[1], sum(right(before, after))),
            "two ends",
        ),
    }
    assert len(messages) == 9
    refused("17.2", lambda before, after: right(before, after)[0], "should return two numbers")
    refused("17.2", lambda before, after: (before - after, right(before, after)[1]), "should return two numbers")
    refused("17.2", lambda before, after: (*right(before, after), len(before)), "should return two numbers")


def test_what_the_slope_promises(advrec, ops):
    def promised(slope, table):
        return advrec.numpy(slope) @ advrec.numpy(table).T

    def by(value):
        return lambda slope, table, k: advrec.tensor(np.argsort(-value(slope, table), axis=1)[:, :k])

    def unit(x):
        x = advrec.numpy(x)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    right = by(promised)
    assert exercise("17.3").judge(right).status == CORRECT
    assert exercise("17.3").judge(advrec.best_swaps).status == CORRECT
    assert exercise("17.3").judge(by(lambda s, t: promised(s, t) - promised(s, t).mean(1, keepdims=True))).status == (
        CORRECT
    )
    messages = {
        refused("17.3", by(lambda s, t: -promised(s, t)), "largest *fall*"),
        refused("17.3", by(lambda s, t: unit(s) @ unit(t).T), "compare directions"),
        refused(
            "17.3",
            by(lambda s, t: -np.linalg.norm(advrec.numpy(s)[:, None] - advrec.numpy(t), axis=2)),
            "nearest to the slope",
        ),
        refused("17.3", by(lambda s, t: abs(promised(s, t))), "up or down"),
        refused("17.3", lambda s, t, k: advrec.tensor(advrec.numpy(right(s, t, k))[:, ::-1].copy()), "wrong order"),
        refused(
            "17.3",
            lambda s, t, k: advrec.tensor(-np.sort(-promised(s, t), axis=1)[:, :k]),
            "what the tokens promise",
        ),
        refused("17.3", by(lambda s, t: np.tile(promised(s, t).sum(0), (len(s), 1))), "the same tokens"),
        refused("17.3", lambda *given: advrec.tensor(advrec.numpy(right(*given)).astype(np.float32)), "whole numbers"),
        refused("17.3", lambda *given: advrec.numpy(right(*given)).astype(float), "whole numbers"),
    }
    assert len(messages) == 9


def test_an_instruction_that_says_no():
    assert exercise("17.4").judge("c").status == CORRECT
    assert len({refused("17.4", letter) for letter in ("a", "b")}) == 2
