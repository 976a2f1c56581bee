"""Lesson 12: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach import poisoning
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED

# --- right answers, written as a learner might


def hit_ratio(scores, owned, target, *, n_real, k):
    hits = []
    for user in range(n_real):
        if not owned[user, target]:
            rivals = [s for film, s in enumerate(scores[user]) if not owned[user, film] and film != target]
            hits.append(sum(s >= scores[user, target] for s in rivals) < k)
    return np.mean(hits)


def bandwagon(popularity, orders, *, length, popular, avoid):
    ranking = sorted(range(len(popularity)), key=lambda film: (-popularity[film], film))
    head = [film for film in ranking if film not in avoid][:popular]
    rows = []
    for order in orders:
        row = list(head)
        for film in order:
            if len(row) < length and film not in row and film not in avoid:
                row.append(film)
        rows.append(row)
    return np.array(rows)


def flag(values, *, share):
    distance = np.abs(values - np.median(values))
    limit = np.sort(distance)[::-1][round(share * len(values)) - 1]
    return distance >= limit


def test_right_answers_pass(advrec):
    assert exercise("12.1").judge(hit_ratio).status == CORRECT
    assert exercise("12.1").judge(poisoning.target_hit_ratio).status == CORRECT
    assert exercise("12.2").judge(bandwagon).status == CORRECT
    assert exercise("12.2").judge(poisoning.bandwagon_profiles).status == CORRECT
    assert exercise("12.3").judge("b").status == CORRECT
    assert exercise("12.4").judge(flag).status == CORRECT


def test_whom_the_hit_ratio_counts(advrec):
    def answer(*, people=None, ask=None, hide=True, limit=0, over=None):
        def program(scores, owned, target, *, n_real, k):
            rows = len(scores) if people == "all" else n_real
            table = np.where(owned, -np.inf, scores)[:rows] if hide else scores[:rows].copy()
            table[:, target] = scores[:rows, target]
            hit = (table >= table[:, [target]]).sum(axis=1) - 1 < k + limit
            asked = np.ones(rows, bool) if ask == "all" else ~owned[:rows, target]
            if over == "count":
                return float((hit & asked).sum())
            return (hit & asked).sum() / (rows if over == "all" else asked.sum())

        return program

    messages = {
        refused("12.1", answer(people="all", ask="all"), "all accounts"),
        refused("12.1", answer(people="all"), "control"),
        refused("12.1", answer(ask="all"), "neither won nor lost"),
        refused("12.1", answer(over="all"), "never asked"),
        refused("12.1", answer(hide=False), "push the target down"),
        refused("12.1", answer(limit=-1), "one place short"),
        refused("12.1", answer(limit=1), "too long"),
        refused("12.1", answer(over="count"), "cannot"),
    }
    assert len(messages) == 8


def test_the_bandwagon(advrec):
    def answer(*, rising=False, avoided=False, twice=False, long=False, same=False, headless=False):
        def program(popularity, orders, *, length, popular, avoid):
            ranking = np.argsort(popularity if rising else -popularity, kind="stable")
            barred = [] if avoided else list(avoid)
            head = [film for film in ranking if film not in barred][: 0 if headless else popular]
            taken = barred if twice else barred + head
            rows = [orders[0]] * len(orders) if same else orders
            n = length if long or headless else length - popular
            return np.array([head + [film for film in row if film not in taken][:n] for row in rows])

        return program

    messages = {
        refused("12.2", answer(rising=True), "least popular"),
        refused("12.2", answer(avoided=True), "avoid"),
        refused("12.2", answer(twice=True), "twice"),
        refused("12.2", answer(long=True), "on top"),
        refused("12.2", answer(same=True), "the same fillers"),
        refused("12.2", answer(headless=True), "random throughout"),
    }
    assert len(messages) == 6


def test_the_detector_without_labels(advrec):
    def answer(distance):
        def program(values, *, share):
            flagged = np.zeros(len(values), dtype=bool)
            flagged[np.argsort(-distance(values), kind="stable")[: round(share * len(values))]] = True
            return flagged

        return program

    def beyond_a_limit(values, *, share):
        apart = np.abs(values - np.median(values))
        return apart > 3 * 1.4826 * np.median(apart)

    messages = {
        refused("12.4", answer(lambda v: np.abs(v - v.mean())), "mean"),
        refused("12.4", answer(lambda v: v), "large values only"),
        refused("12.4", answer(lambda v: -v), "small values only"),
        refused("12.4", answer(lambda v: -np.abs(v - np.median(v))), "most ordinary"),
        refused("12.4", answer(np.abs), "from zero"),
        refused("12.4", beyond_a_limit, "fixed limit"),
    }
    assert len(messages) == 6


def test_the_tutorials_program_needs_what_nobody_knows(advrec):
    def tutorial_flag(values, n_real):
        distance = np.abs(values - values[:n_real].mean())
        flagged = np.zeros(len(values), dtype=bool)
        flagged[np.argsort(-distance)[: len(values) - n_real]] = True
        return flagged

    refused("12.4", tutorial_flag, "share")


@pytest.mark.parametrize("letter", ["a", "c", "d"])
def test_the_prediction(advrec, letter):
    message = refused("12.3", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("12.3").judge(None).status == NOT_ATTEMPTED
