"""Lesson 16: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach import text_attacks
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET

pytestmark = pytest.mark.usefixtures("advrec")


def test_the_estimate_of_a_swap():
    def at_once(gradient, old, vectors):
        return gradient @ vectors.T - (gradient * old).sum(axis=1, keepdims=True)

    def in_a_loop(gradient, old, vectors):
        return np.array([[(v - o) @ g for v in vectors] for g, o in zip(gradient, old, strict=True)])

    def with_einsum(gradient, old, vectors):
        return np.einsum("td,tvd->tv", gradient, vectors[None] - old[:, None])

    for right in (at_once, in_a_loop, with_einsum, text_attacks.swap_estimates):
        assert exercise("16.1").judge(right).status == CORRECT

    def divided(gradient, old, vectors):
        return in_a_loop(gradient, old, vectors) / np.linalg.norm(vectors[None] - old[:, None], axis=2)

    def unit(array):
        return array / np.linalg.norm(array, axis=1, keepdims=True)

    messages = {
        refused("16.1", lambda gradient, old, vectors: gradient @ vectors.T, "which vector leaves"),
        refused("16.1", lambda gradient, old, vectors: -at_once(gradient, old, vectors), "the way back"),
        refused("16.1", lambda gradient, old, vectors: at_once(gradient, -old, vectors), "you add the vector"),
        refused("16.1", divided, "length of the move"),
        refused("16.1", lambda gradient, old, vectors: at_once(unit(gradient), old, vectors), "to length 1"),
        refused("16.1", lambda gradient, old, vectors: at_once(np.sign(gradient), old, vectors), "as FGSM does"),
        refused("16.1", lambda gradient, old, vectors: unit(gradient) @ unit(vectors).T, "cosine"),
        refused("16.1", lambda gradient, old, vectors: at_once(gradient, old, vectors).T, "the axes are not"),
        refused("16.1", lambda gradient, old, vectors: abs(at_once(gradient, old, vectors)), "absolute"),
        refused("16.1", lambda gradient, old, vectors: gradient @ vectors.T - (gradient * old).sum(), "all places"),
        refused(
            "16.1",
            lambda gradient, old, vectors: gradient @ vectors.T - (gradient @ old.T).sum(axis=1, keepdims=True),
            "other places",
        ),
    }
    assert len(messages) == 11
    refused("16.1", lambda gradient, old, vectors: 2 * at_once(gradient, old, vectors), "expected")


def given(before, after, reread, labels):
    predicted = before.argmax(axis=1)
    fooled = after.argmax(axis=1) != predicted
    return fooled.mean()


def test_what_counts_as_a_success():
    def right(before, after, reread, labels):
        known = before.argmax(axis=1) == labels
        return (known & (reread.argmax(axis=1) != labels)).sum() / known.sum()

    def by_selection(before, after, reread, labels):
        known = before.argmax(axis=1) == labels
        return np.mean(reread[known].argmax(axis=1) != labels[known])

    for answer in (right, by_selection):
        assert exercise("16.2").judge(answer).status == CORRECT
    assert exercise("16.2").judge(given).status == NOT_ATTEMPTED

    def of_all(before, after, reread, labels):
        return ((before.argmax(axis=1) == labels) & (reread.argmax(axis=1) != labels)).mean()

    messages = {
        refused("16.2", lambda before, after, reread, labels: right(before, after, after, labels), "by the ids that"),
        refused("16.2", lambda before, after, reread, labels: given(before, reread, reread, labels), "puts right"),
        refused(
            "16.2", lambda before, after, reread, labels: (reread.argmax(1) != labels).mean(), "nothing was done. Which"
        ),
        refused("16.2", lambda before, after, reread, labels: (after.argmax(1) != labels).mean(), "Two faults"),
        refused("16.2", of_all, "divide by all texts"),
        refused("16.2", lambda before, after, reread, labels: 1 - right(before, after, reread, labels), "did not fool"),
        refused(
            "16.2",
            lambda before, after, reread, labels: int(len(labels) * of_all(before, after, reread, labels) + 0.5),
            "how many texts",
        ),
        refused(
            "16.2",
            lambda before, after, reread, labels: (
                (reread.argmax(1) != labels).sum() / (before.argmax(1) == labels).sum()
            ),
            "count also those",
        ),
    }
    assert len(messages) == 8
    for share in (0.0, 1.0):
        assert exercise("16.2").judge(lambda *_, share=share: share).status == NOT_YET


def test_who_may_come_in():
    def right(old, tokens, *, stop_words):
        low = old.lower()
        fits = [token.isalpha() and token not in stop_words and token != low for token in tokens]
        return np.array(fits) & (low not in stop_words)

    def as_a_list(old, tokens, *, stop_words):
        return [right(old, [token], stop_words=stop_words)[0] for token in tokens]

    for answer in (right, as_a_list):
        assert exercise("16.3").judge(answer).status == CORRECT

    def rule(test, goes=True, low=str.lower):
        def answer(old, tokens, *, stop_words):
            fits = np.array([test(token, low(old), stop_words) for token in tokens])
            return fits & (not goes or low(old) not in stop_words)

        return answer

    messages = {
        refused("16.3", rule(lambda t, w, s: t.isalpha() and t not in s and t != w, low=str), "right for words in"),
        refused("16.3", rule(lambda t, w, s: t.lstrip("#").isalpha() and t not in s and t != w), "continue a word"),
        refused("16.3", rule(lambda t, w, s: not t.startswith("##") and t not in s and t != w), "nothing but letters"),
        refused("16.3", rule(lambda t, w, s: t not in s and t != w), "anything that is no stop word"),
        refused("16.3", rule(lambda t, w, s: t.isalpha() and t != w), "a stop word may come in"),
        refused("16.3", rule(lambda t, w, s: t.isalpha() and t not in s and t != w, goes=False), "a stop word may go"),
        refused("16.3", rule(lambda t, w, s: t.isalpha() and t != w, goes=False), "never look at the stop words"),
        refused("16.3", rule(lambda t, w, s: t.isalpha() and t not in s), "may replace itself"),
        refused("16.3", rule(lambda t, w, s: t.isalnum() and t not in s and t != w), "isalnum"),
        refused("16.3", rule(lambda t, w, s: t.isalpha() and len(t) > 1 and t not in s and t != w), "short tokens"),
        refused("16.3", rule(lambda t, w, s: t.isalpha() and t not in s and not t.startswith(w)), "begin like"),
    }
    assert len(messages) == 11

    def themselves(old, tokens, *, stop_words):
        return np.array(tokens)[right(old, tokens, stop_words=stop_words)]

    refused("16.3", themselves, "the tokens themselves")


@pytest.mark.parametrize("letter", ["a", "c"])
def test_the_prediction(letter):
    assert exercise("16.4").judge("b").status == CORRECT
    assert exercise("16.4").judge(letter).status == NOT_YET
