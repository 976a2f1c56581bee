"""Exercises of lesson 12: whom a hit ratio counts, a bandwagon, a bet on push and nuke, a detector that peeks."""

from typing import Any

import numpy as np

from advrec_teach import poisoning
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception


def _array(values: np.ndarray) -> Made:
    """Return an input that stays a NumPy array in both tracks, and is watched for changes."""
    return Made(lambda advrec: values.copy(), values, lambda built: [built])


# --- 12.1: the target's hit ratio


def _hit_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Accounts of which the last few are fake; some real users own the target too."""
    cases = []
    for n_real, n_fake, k in ((14, 4, 3), (23, 6, 6), (12, 8, 1)):
        n_items = 15
        scores = rng.normal(size=(n_real + n_fake, n_items))
        owned = rng.random((n_real + n_fake, n_items)) < 0.3
        target = int(rng.integers(n_items))
        owned[:, target] = rng.random(n_real + n_fake) < 0.3
        # The last case is a control: its accounts own no target, so leaving out owners does not leave them out.
        owned[n_real:, target] = k > 1
        # The target stands high, so that hits are common, and what is owned stands higher, as in a trained model.
        scores[:, target] += 1.2
        scores[owned] += 1.0
        cases.append(
            {"scores": _array(scores), "owned": _array(owned), "target": target, "n_real": n_real, "k": k},
        )
    return cases


def _hits(scores, owned, target, n_real, k, *, fakes=False, owners=False, seen=False, shift=0, per="asked"):
    """Return the hit ratio with the mistakes that can be made."""
    rows = slice(None) if fakes else slice(n_real)
    scores, owned = scores[rows], owned[rows]
    table = scores if seen else np.where(owned, -np.inf, scores)
    table = np.array(table)
    table[:, target] = scores[:, target]
    ahead = (table >= table[:, [target]]).sum(axis=1) - 1
    hit = ahead + shift < k
    asked = np.ones(len(hit), bool) if owners else ~owned[:, target]
    return (hit & asked).sum() / (len(hit) if per == "all" else asked.sum())


def _wrong_hits(**mistakes):
    return lambda scores, owned, target, n_real, k: _hits(scores, owned, target, n_real, k, **mistakes)


def _count_hits(scores, owned, target, n_real, k):
    return _hits(scores, owned, target, n_real, k) * (~owned[:n_real, target]).sum()


# --- 12.2: the bandwagon


def _bandwagon_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Catalogues in which the most popular item is to be avoided and some are equally popular."""
    cases = []
    for n_items, n, length, popular in ((18, 4, 7, 3), (25, 6, 10, 5), (12, 3, 5, 0)):
        popularity = rng.integers(0, 30, size=n_items)
        popularity[rng.choice(n_items, 2, replace=False)] = 20
        orders = rng.permuted(np.tile(np.arange(n_items), (n, 1)), axis=1)
        top = int(np.argsort(-popularity, kind="stable")[0])
        avoid = np.array([top, (top + 1 + int(rng.integers(n_items - 1))) % n_items])
        # The first filler of some orders is among the popular, so that a careless program holds it twice.
        second = int(np.argsort(-popularity, kind="stable")[1])
        orders[0] = np.concatenate([[top, second], orders[0][~np.isin(orders[0], [top, second])]])
        cases.append(
            {
                "popularity": _array(popularity),
                "orders": _array(orders),
                "length": length,
                "popular": popular,
                "avoid": _array(avoid),
            }
        )
    return cases


def _bandwagon(popularity, orders, length, popular, avoid):
    return poisoning.bandwagon_profiles(popularity, orders, length=length, popular=popular, avoid=avoid)


def _careless_bandwagon(*, rising=False, keep_avoided=False, twice=False, extra=False, fixed=False, only_fillers=False):
    def wrong(popularity, orders, length, popular, avoid):
        ranking = np.argsort(popularity if rising else -popularity, kind="stable")
        head = ranking[:popular] if keep_avoided else ranking[~np.isin(ranking, avoid)][:popular]
        taken = list(avoid) if not keep_avoided else []
        taken += [] if twice else list(head)
        size = length if extra else length - popular
        rows = [orders[0]] * len(orders) if fixed else orders
        if only_fillers:
            rows, head, size = orders, head[:0], length
            taken = list(avoid)
        rest = [row[~np.isin(row, taken)][:size] for row in rows]
        return np.array([np.concatenate([head, fillers]) for fillers in rest])

    return wrong


# --- 12.4: a detector without labels


def _statistic_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Skewed statistics with a heavy group on one side, which pulls the mean but not the median."""
    cases = []
    for n, odd, side, share in ((40, 9, 4.0, 0.1), (61, 14, -5.0, 0.2), (33, 7, 3.0, 0.15)):
        values = rng.normal(size=n)
        values[:odd] = side + 2.5 * rng.random(odd)
        cases.append({"values": _array(rng.permutation(values) + 1.0), "share": share})
    return cases


def _flag(values, share, *, centre=np.median, distance=np.abs, from_zero=False):
    apart = distance(values - (0 if from_zero else centre(values)))
    return poisoning.most_suspicious(apart, share)


def _wrong_flag(**mistakes):
    return lambda values, share: _flag(values, share, **mistakes)


def _beyond_three(values, share):
    apart = np.abs(values - np.median(values))
    return apart > 3 * 1.4826 * np.median(apart)


def _course_flag(advrec):
    def flag(values, *, share):
        return poisoning.most_suspicious(poisoning.suspicion(values), share)

    return flag


EXERCISES = [
    FunctionExercise(
        "12.1",
        "real users who do not have the target, and films that they do not have",
        hints=(
            "Three questions: whose lists count, which films can stand in a list, and how many of those stand before "
            "the target.",
            "Keep the first n_real rows, then those of them whose owned[:, target] is False. A film that a user owns "
            "can't be in that user's list: give it the score minus infinity.",
            "ahead = (table >= table[:, [target]]).sum(axis=1) - 1 counts the films before the target, the target "
            "itself taken out. A hit has ahead < k; return the mean over the users that are left.",
        ),
        cases=_hit_cases,
        keywords=("n_real", "k"),
        reference=_hits,
        course=lambda advrec: poisoning.target_hit_ratio,
        misconceptions=(
            Misconception(
                "fake users in the average",
                "your average runs over all accounts. The fake ones are the attacker's own: nobody reads their lists. "
                "Which rows are people?",
                _wrong_hits(fakes=True, owners=True),
            ),
            Misconception(
                "fake users of a control",
                "you leave out everybody who has the target, and with them the fake users of an attack, by luck. Fake "
                "users of a control have no target, and your average counts them. Which rows are people?",
                _wrong_hits(fakes=True),
            ),
            Misconception(
                "owners count as hits",
                "users who have the target already are in your average. The recommender would not show it to them "
                "again, so they can be neither won nor lost.",
                _wrong_hits(owners=True),
            ),
            Misconception(
                "divided by all real users",
                "you count the right hits and divide by all real users. Those who have the target were never asked: "
                "the share is among those who could be shown it.",
                _wrong_hits(per="all"),
            ),
            Misconception(
                "owned films stand in the list",
                "films that a user has are in your lists, and push the target down. A list holds only what the user "
                "does not have.",
                _wrong_hits(seen=True),
            ),
            Misconception(
                "one place short",
                "your list is one place short: with k places, the target may have up to k - 1 films before it.",
                _wrong_hits(shift=1),
            ),
            Misconception(
                "one place long",
                "your list is one place too long. Count the films before the target, not the target itself.",
                _wrong_hits(shift=-1),
            ),
            Misconception(
                "a count, not a share",
                "you return how many users were hit. A share can be compared between targets, a count cannot.",
                _count_hits,
            ),
        ),
    ),
    FunctionExercise(
        "12.2",
        "the popular head, then each account's own fillers, nothing twice and nothing to avoid",
        hints=(
            "The head is the same in every profile. The rest comes from each account's own order, its first items "
            "that may be used.",
            "np.argsort(-popularity, kind='stable') ranks the items; take out what is in avoid (np.isin), then cut "
            "after popular. A filler must be neither in avoid nor in the head.",
            "For each order: fillers = order[~np.isin(order, taken)][: length - popular], with taken = head and avoid "
            "together; the profile is np.concatenate([head, fillers]).",
        ),
        cases=_bandwagon_cases,
        keywords=("length", "popular", "avoid"),
        reference=_bandwagon,
        course=lambda advrec: poisoning.bandwagon_profiles,
        misconceptions=(
            Misconception(
                "least popular",
                "your head holds the least popular items: argsort puts the smallest first. A bandwagon rides on what "
                "everybody knows.",
                _careless_bandwagon(rising=True),
            ),
            Misconception(
                "avoided items",
                "a profile holds an item that it was to avoid. If that is the target, the control is no control.",
                _careless_bandwagon(keep_avoided=True),
            ),
            Misconception(
                "an item twice",
                "a profile holds an item twice: one of its fillers is in the head as well. Which items are taken "
                "before the fillers are chosen?",
                _careless_bandwagon(twice=True),
            ),
            Misconception(
                "too long",
                "your profiles have length fillers and the head on top. The whole profile has length items: longer "
                "ones would stand out, and compare unfairly.",
                _careless_bandwagon(extra=True),
            ),
            Misconception(
                "the same fillers",
                "all profiles have the same fillers. Each account has an order of its own, a row of orders.",
                _careless_bandwagon(fixed=True),
            ),
            Misconception(
                "no head",
                "your profiles are random throughout: the popular items are missing.",
                _careless_bandwagon(only_fillers=True),
            ),
        ),
    ),
    ChoiceExercise(
        "12.3",
        "push or nuke",
        hints=(
            "How far must each film move in the lists to be called a success?",
            "The unknown film has to climb over hundreds of others for a person who has never been near it. The "
            "popular one stands at the edge of many lists: a few films that overtake it are enough.",
            "And the accounts need not name the victim: raising fifty films that its audience likes is what the "
            "bandwagon does best.",
        ),
        answer="b",
        explanation="a film near the edge of many lists falls out of them when its companions rise by a little. The "
        "next cells measure it, beside accounts with the same number of films drawn by popularity.",
        wrong={
            "a": "a fake account can't say anything about the film that it attacks, that is true. But a place in a "
            "list is relative: what happens to a film when the films beside it rise?",
            "c": "think of the distance to travel. An unknown film starts hundreds of places below the list; where "
            "does a film stand that many users are shown today?",
        },
    ),
    FunctionExercise(
        "12.4",
        "the centre is the median of all accounts, and the number of flags is chosen beforehand",
        hints=(
            "The tutorial uses n_real twice. Each time, ask what an operator would have to know to write that line.",
            "Without labels, the centre must come from all accounts, fakes included. Which average hardly moves when a "
            "minority is far out? And the number of flags is a budget: share times the number of accounts, rounded.",
            "apart = np.abs(values - np.median(values)); the round(share * len(values)) accounts with the largest "
            "apart are flagged: np.argsort(-apart)[:number].",
        ),
        cases=_statistic_cases,
        keywords=("share",),
        reference=_flag,
        course=_course_flag,
        misconceptions=(
            Misconception(
                "mean of all accounts",
                "you measure from the mean of all accounts. No label is used, but the fakes pull the mean towards "
                "themselves, and real users at the other end come out as strange. Which average does not follow them?",
                _wrong_flag(centre=np.mean),
            ),
            Misconception(
                "only what is large",
                "you flag large values only. Fake profiles may stand out below as well as above: random fillers are "
                "unusually unpopular.",
                _wrong_flag(distance=lambda apart: apart),
            ),
            Misconception(
                "only what is small",
                "you flag small values only. Profiles written by one hand are unusually alike, which is a large value.",
                _wrong_flag(distance=lambda apart: -apart),
            ),
            Misconception(
                "distance from zero",
                "you measure from zero. What is usual is not zero: a statistic needs a centre.",
                _wrong_flag(from_zero=True),
            ),
            Misconception(
                "least suspicious",
                "you flag the accounts nearest to the centre: the most ordinary ones.",
                _wrong_flag(distance=lambda apart: -np.abs(apart)),
            ),
            Misconception(
                "a limit instead of a share",
                "you flag whatever lies beyond a fixed limit. How many that are depends on the data; here the number "
                "of flags is the budget that was asked for.",
                _beyond_three,
            ),
        ),
    ),
]
