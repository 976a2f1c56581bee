"""Lesson 12: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach import metrics, profiles
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


def search_step(rows, gradient, *, share, length, avoid):
    moved = (1 - share) * rows
    for account, row in enumerate(gradient):
        allowed = [film for film in range(len(row)) if film not in avoid]
        for film in sorted(allowed, key=lambda film: -row[film])[:length]:
            moved[account, film] += share
    return moved


def flag(values, *, share):
    distance = np.abs(values - np.median(values))
    limit = np.sort(distance)[::-1][round(share * len(values)) - 1]
    return distance >= limit


def test_right_answers_pass(advrec):
    assert exercise("12.1").judge(hit_ratio).status == CORRECT
    assert exercise("12.1").judge(metrics.target_hit_ratio).status == CORRECT
    assert exercise("12.2").judge(bandwagon).status == CORRECT
    assert exercise("12.2").judge(profiles.bandwagon_profiles).status == CORRECT
    assert exercise("12.3").judge(search_step).status == CORRECT
    assert exercise("12.4").judge("b").status == CORRECT
    assert exercise("12.5").judge(flag).status == CORRECT


def test_the_hit_ratio_takes_all_rows_at_once(advrec):
    """`scores` and `owned` have the same shape, so a table of all accounts can be made first and cut later."""

    def whole_tables(scores, owned, target, *, n_real, k):
        table = np.where(owned, -np.inf, scores)
        ahead = (table >= scores[:, [target]]).sum(axis=1) - 1
        return (ahead < k)[:n_real][~owned[:n_real, target]].mean()

    assert exercise("12.1").judge(whole_tables).status == CORRECT


def hits(*, people=None, ask=None, hide=-np.inf, limit=0, over=None, strict=False):
    """Return a wrong program for the hit ratio."""

    def program(scores, owned, target, *, n_real, k):
        which = {None: slice(n_real), "all": slice(None), "end": slice(len(scores) - n_real, None)}[people]
        table = (scores.copy() if hide is None else np.where(owned, hide, scores))[which]
        own, aim = scores[which, target][:, None], owned[which, target]
        table[:, target] = own[:, 0]
        ahead = (table > own).sum(axis=1) if strict else (table >= own).sum(axis=1) - 1
        hit, asked = ahead < k + limit, ~aim if ask is None else np.ones(len(aim), bool)
        counted = float((hit & asked).sum())
        if over == "count":
            return counted
        return counted / (len(aim) if over == "all" else asked.sum()) * (100 if over == "percent" else 1)

    return program


def test_whom_the_hit_ratio_counts(advrec):
    messages = {
        refused("12.1", hits(people="all", ask="all"), "all accounts"),
        refused("12.1", hits(people="all"), "control"),
        refused("12.1", hits(people="end"), "last n_real rows"),
        refused("12.1", hits(ask="all"), "neither won nor lost"),
        refused("12.1", hits(over="all"), "never asked"),
        refused("12.1", hits(hide=None), "push the target down"),
        refused("12.1", hits(hide=0.0), "may be negative"),
        refused("12.1", hits(strict=True), "same score"),
        refused("12.1", hits(limit=-1), "one place short"),
        refused("12.1", hits(limit=1), "too long"),
        refused("12.1", hits(over="count"), "cannot"),
        refused("12.1", hits(over="percent"), "percent"),
    }
    assert len(messages) == 12


def test_two_mistakes_at_once_are_both_named(advrec):
    refused("12.1", hits(ask="all", hide=None), "two things", "neither won nor lost", "push the target down")
    refused("12.1", hits(over="percent", strict=True), "two things", "same score", "percent")


def test_the_bandwagon(advrec):
    def answer(*, rising=False, larger=False, avoided=(), twice=False, long=False, same=False, headless=False, cut=0):
        def program(popularity, orders, *, length, popular, avoid):
            ranking = np.argsort(popularity if rising else -popularity, kind="stable")
            if larger:
                ranking = np.argsort(popularity, kind="stable")[::-1]
            barred = [] if "head" in avoided else list(avoid)
            head = [film for film in ranking if film not in barred][: 0 if headless else popular]
            if cut:
                head = [film for film in ranking[:popular] if film not in barred]
            taken = ([] if "fillers" in avoided else list(avoid)) + ([] if twice else head)
            rows = [orders[0]] * len(orders) if same else orders
            n = length if long or headless else length - popular
            return np.array([head + [film for film in row if film not in taken][:n] for row in rows])

        return program

    messages = {
        refused("12.2", answer(rising=True), "least popular"),
        refused("12.2", answer(larger=True), "smaller id"),
        refused("12.2", answer(avoided=("head", "fillers")), "head", "in avoid"),
        refused("12.2", answer(avoided=("fillers",)), "the fillers of profile", "in avoid"),
        refused("12.2", answer(twice=True), "twice"),
        refused("12.2", answer(long=True), "on top"),
        refused("12.2", answer(cut=True), "cut first"),
        refused("12.2", answer(same=True), "the same fillers"),
        refused("12.2", answer(headless=True), "random throughout"),
    }
    assert len(messages) == 9


def test_a_list_of_rows_is_told_to_become_an_array(advrec):
    refused("12.2", lambda *given, **settings: bandwagon(*given, **settings).tolist(), "np.array")
    refused("12.2", lambda *given, **settings: list(bandwagon(*given, **settings)), "np.array")


def test_the_step_of_the_search(advrec):
    def answer(change=lambda best, rows, share: rows + share * (best - rows), wish=lambda g: g, barred=True):
        def program(rows, gradient, *, share, length, avoid):
            liked = np.broadcast_to(wish(gradient), gradient.shape).copy()
            if barred:
                liked[:, avoid] = -np.inf
            best = np.zeros_like(rows)
            np.put_along_axis(best, np.argsort(-liked, axis=1)[:, :length], 1, axis=1)
            return change(best, rows, share)

        return program

    messages = {
        refused("12.3", answer(wish=lambda g: -g), "smallest"),
        refused("12.3", answer(wish=np.abs), "without its sign"),
        refused("12.3", answer(wish=lambda g: g.mean(axis=0)), "one profile"),
        refused("12.3", answer(barred=False), "in avoid"),
        refused("12.3", answer(lambda best, rows, share: best), "only a share of the way"),
        refused("12.3", answer(lambda best, rows, share: share * best), "behind"),
        refused("12.3", answer(lambda best, rows, share: rows + share * best), "grow beyond"),
        refused("12.3", answer(lambda best, rows, share: share * rows + (1 - share) * best), "other way round"),
        refused("12.3", lambda rows, gradient, *, share, length, avoid: rows + share * gradient, "gradient itself"),
    }
    assert len(messages) == 9


def marked(distance, rounded=round):
    """Return a detector that flags the accounts of the largest distance."""

    def program(values, *, share):
        flagged = np.zeros(len(values), dtype=bool)
        apart = distance(values, round((1 - share) * len(values)))
        flagged[np.argsort(-apart, kind="stable")[: int(rounded(share * len(values)))]] = True
        return flagged

    return program


def usual(values, first):
    """Return the right distance, whatever number of accounts is to be left over."""
    return np.abs(values - np.median(values))


def test_the_detector_without_labels(advrec):
    def beyond_a_limit(values, *, share):
        apart = np.abs(values - np.median(values))
        return apart > 3 * 1.4826 * np.median(apart)

    messages = {
        refused("12.5", marked(lambda v, n: np.abs(v - v.mean())), "mean of all"),
        refused("12.5", marked(lambda v, n: v), "large values only"),
        refused("12.5", marked(lambda v, n: -v), "small values only"),
        refused("12.5", marked(lambda v, n: -np.abs(v - np.median(v))), "most ordinary"),
        refused("12.5", marked(lambda v, n: np.abs(v)), "from zero"),
        refused("12.5", beyond_a_limit, "fixed limit"),
    }
    assert len(messages) == 6


def test_a_detector_that_still_peeks_at_the_order_is_refused(advrec):
    refused("12.5", marked(lambda v, n: np.abs(v - np.median(v[:n]))), "standing first")
    refused("12.5", marked(lambda v, n: np.abs(v - v[:n].mean())), "standing first")
    refused("12.5", marked(lambda v, n: np.abs(v - np.median(v[: len(v) // 2]))))


def test_what_is_no_mask_of_the_right_size_is_refused(advrec):
    refused("12.5", lambda values, *, share: flag(values, share=share).astype(float), "dtype bool")
    refused("12.5", lambda values, *, share: np.flatnonzero(flag(values, share=share)), "ids of accounts")
    refused("12.5", marked(usual, np.ceil), "you flag")
    refused("12.5", marked(usual, np.floor), "you flag")


def test_the_tutorials_program_needs_what_nobody_knows(advrec):
    def tutorial_flag(values, n_real):
        distance = np.abs(values - values[:n_real].mean())
        flagged = np.zeros(len(values), dtype=bool)
        flagged[np.argsort(-distance)[: len(values) - n_real]] = True
        return flagged

    refused("12.5", tutorial_flag, "share")


@pytest.mark.parametrize("letter", ["a", "c", "d"])
def test_the_prediction(advrec, letter):
    message = refused("12.4", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("12.4").judge(None).status == NOT_ATTEMPTED
