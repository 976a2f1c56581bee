"""Exercises of lesson 12: whom a hit ratio counts, a bandwagon, a search step, a bet, a detector that peeks."""

from itertools import combinations
from typing import Any

import numpy as np

from advrec_teach import detection, metrics, profiles
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception


def _array(values: np.ndarray) -> Made:
    """Return an input that stays a NumPy array in both tracks, and is watched for changes."""
    return Made(lambda advrec: values.copy(), values, lambda built: [built])


# --- 12.1: the target's hit ratio


def _hit_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Accounts of which the last few are fake; all scores below zero, in coarse steps, so that ties are common."""
    cases = []
    for n_real, n_fake, k, control in ((60, 11, 3, False), (81, 14, 8, False), (70, 23, 8, True), (93, 17, 6, False)):
        n_items = 25
        scores = rng.normal(size=(n_real + n_fake, n_items))
        owned = rng.random((n_real + n_fake, n_items)) < 0.3
        target = int(rng.integers(n_items))
        owned[:, target] = rng.random(n_real + n_fake) < 0.3
        # The accounts of a control own no target, so leaving out owners does not leave them out.
        owned[n_real:, target] = not control
        # The target stands high, so that hits are common, and what is owned stands higher, as in a trained model.
        scores[:, target] += 1.2
        scores[owned] += 1.0
        scores = np.round(2 * scores) / 2 - 8
        cases.append(
            {"scores": _array(scores), "owned": _array(owned), "target": target, "n_real": n_real, "k": k},
        )
    return cases


def _hits(scores, owned, target, n_real, k, *, rows="real", owners=False, seen="out", shift=0, ties=True, per="asked"):
    """Return the hit ratio with the mistakes that can be made, several at once if need be."""
    chosen = {"real": slice(n_real), "all": slice(None), "end": slice(-n_real, None)}[rows]
    scores, owned = scores[chosen], owned[chosen]
    table = np.array(scores if seen == "in" else np.where(owned, -np.inf if seen == "out" else 0.0, scores))
    table[:, target] = scores[:, target]
    ahead = (table >= table[:, [target]]).sum(axis=1) - 1 if ties else (table > table[:, [target]]).sum(axis=1)
    hit = ahead + shift < k
    asked = np.ones(len(hit), bool) if owners else ~owned[:, target]
    if per == "count":
        return (hit & asked).sum()
    return (hit & asked).sum() / (len(hit) if per == "all" else asked.sum()) * (100 if per == "percent" else 1)


# Name, message and setting of each mistake. Two of them together are recognised as well.
_HIT_MISTAKES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "fake users in the average",
        "your average runs over all accounts. The fake ones are the attacker's own: nobody reads their lists. Which "
        "rows are people?",
        {"rows": "all", "owners": True},
    ),
    (
        "fake users of a control",
        "you leave out everybody who has the target, and with them the fake users of an attack, by luck. Fake users of "
        "a control have no target, and your average counts them. Which rows are people?",
        {"rows": "all"},
    ),
    (
        "users from the wrong end",
        "you take the last n_real rows. The real users stand first, the fake ones are appended.",
        {"rows": "end"},
    ),
    (
        "owners count as hits",
        "users who have the target already are in your average. The recommender would not show it to them again, so "
        "they can be neither won nor lost.",
        {"owners": True},
    ),
    (
        "divided by all real users",
        "you count the right hits and divide by all real users. Those who have the target were never asked: the share "
        "is among those who could be shown it.",
        {"per": "all"},
    ),
    (
        "owned films stand in the list",
        "films that a user has are in your lists, and push the target down. A list holds only what the user does not "
        "have.",
        {"seen": "in"},
    ),
    (
        "owned films set to zero",
        "you set the scores of owned films to 0. Scores may be negative, and then 0 is the best of all. Which value "
        "stands below every score?",
        {"seen": "zero"},
    ),
    (
        "ties in the target's favour",
        "a film with the same score as the target should stand before it. You count only films with a larger score, "
        "so that a model that gives every film one score would show the target to everybody.",
        {"ties": False},
    ),
    (
        "one place short",
        "your list is one place short: with k places, the target may have up to k - 1 films before it.",
        {"shift": 1},
    ),
    (
        "one place long",
        "your list is one place too long. Count the films before the target, not the target itself.",
        {"shift": -1},
    ),
    (
        "a count, not a share",
        "you return how many users were hit. A share can be compared between targets, a count cannot.",
        {"per": "count"},
    ),
    (
        "percent",
        "you return percent. A share lies between 0 and 1; the notebook multiplies where it shows percent.",
        {"per": "percent"},
    ),
)


def _wrong_hits(**mistakes):
    return lambda scores, owned, target, n_real, k: _hits(scores, owned, target, n_real, k, **mistakes)


def _hit_misconceptions() -> tuple[Misconception, ...]:
    """Return every mistake alone, then every two that can be made together."""
    # Where owners are counted, all users are asked; and the first mistake is the second with owners.
    same = (
        {"owners": True, "per": "all"},
        {"rows": "all", "owners": True, "per": "all"},
        {"rows": "all", "owners": True},
    )
    single = [Misconception(name, message, _wrong_hits(**how)) for name, message, how in _HIT_MISTAKES]
    double = [
        Misconception(f"{first}; {second}", f"two things are off. {one} And: {two}", _wrong_hits(**how, **more))
        for (first, one, how), (second, two, more) in combinations(_HIT_MISTAKES, 2)
        if not how.keys() & more.keys() and {**how, **more} not in same
    ]
    return (*single, *double)


# --- 12.2: the bandwagon


def _bandwagon_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Catalogues in which the most popular item is to be avoided and some are equally popular."""
    cases = []
    for n_items, n, length, popular in ((18, 4, 7, 3), (25, 6, 10, 5), (12, 3, 5, 0)):
        popularity = rng.integers(0, 30, size=n_items)
        first, second, third, fourth = (int(item) for item in rng.choice(n_items, 4, replace=False))
        # The top is to be avoided; two that are equally popular stand where the head ends, the larger id outside.
        popularity[first] = 40
        popularity[[second, third]] = 30 + np.array([2, 1])
        equal = [item for item in range(n_items) if item not in (first, second, third, fourth)][:2]
        popularity[equal] = 31 if popular == 3 else 30
        avoid = np.array([first, fourth])
        orders = rng.permuted(np.tile(np.arange(n_items), (n, 1)), axis=1)
        # The first fillers of some orders are to be avoided or popular, so that a careless program holds them.
        orders[0] = np.concatenate([[first, second], orders[0][~np.isin(orders[0], [first, second])]])
        orders[1] = np.concatenate([[fourth], orders[1][orders[1] != fourth]])
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
    return profiles.bandwagon_profiles(popularity, orders, length=length, popular=popular, avoid=avoid)


def _careless_bandwagon(*, rising=False, larger=False, extra=False, fixed=False, only_fillers=False):
    def wrong(popularity, orders, length, popular, avoid):
        ranking = np.argsort(popularity if rising else -popularity, kind="stable")
        if larger:
            ranking = np.argsort(popularity, kind="stable")[::-1]
        head = ranking[~np.isin(ranking, avoid)][: 0 if only_fillers else popular]
        size = length if extra or only_fillers else length - popular
        rows = [orders[0]] * len(orders) if fixed else orders
        rest = [row[~np.isin(row, [*avoid, *head])][:size] for row in rows]
        return np.array([np.concatenate([head, fillers]) for fillers in rest])

    return wrong


def _bandwagon_notice(result, truth, *, popularity, orders, length, popular, avoid):
    """Say what is wrong with profiles that no misconception explains, in terms of what they hold."""
    if isinstance(result, tuple):
        sizes = {np.size(part) if not isinstance(part, tuple) else len(part) for part in result}
        if len(sizes) > 1:
            return f"your profiles hold {min(sizes)} to {max(sizes)} items; each has length = {length}."
        return None
    if result.ndim != 2 or len(result) != len(truth) or result.dtype.kind not in "iuf":
        return None
    for number, row in enumerate(result):
        barred = row[np.isin(row, avoid)]
        if len(barred):
            # Which part it stands in says which line to look at.
            place = int(np.flatnonzero(np.isin(row, avoid))[0])
            part = "head" if place < popular else "fillers"
            return (
                f"the {part} of profile {number} hold{'s' if part == 'head' else ''} item {int(barred[0])}, which is "
                "in avoid. If that is the target, the control is no control. Take such items out before you count."
            )
        if len(np.unique(row)) < len(row):
            return (
                f"profile {number} holds an item twice: one of its fillers is in the head as well. Which items are "
                "taken before the fillers are chosen?"
            )
    if result.shape[1] < length:
        return (
            f"your profiles hold {result.shape[1]} items, length is {length}. Did you cut first and take out what is "
            "in avoid afterwards? Then something is missing."
        )
    if not np.array_equal(result, truth) and np.array_equal(np.sort(result, axis=1), np.sort(truth, axis=1)):
        return "your profiles hold the right items in another order: the head first, the most popular at the front."
    return None


# --- 12.3: one step of the search


def _step_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Rows that sum to their length; gradients that are mostly negative, and largest where items are barred."""
    cases = []
    for n, n_items, length, share in ((4, 12, 4, 1 / 3), (6, 20, 7, 0.5), (3, 9, 2, 0.2)):
        rows = _whole_rows(np.argsort(rng.random((n, n_items)), axis=1)[:, :length], n_items)
        rows = 0.7 * rows + 0.3 * _whole_rows(np.argsort(rng.random((n, n_items)), axis=1)[:, :length], n_items)
        gradient = rng.normal(size=(n, n_items)) - 0.8
        avoid = rng.choice(n_items, 2, replace=False)
        gradient[:, avoid] += 4
        settings = {"share": share, "length": length, "avoid": _array(avoid)}
        cases.append({"rows": _array(rows), "gradient": _array(gradient), **settings})
    return cases


def _whole_rows(items: np.ndarray, n_items: int) -> np.ndarray:
    """Return rows of 0 and 1 from rows of item ids."""
    rows = np.zeros((len(items), n_items))
    np.put_along_axis(rows, items, 1.0, axis=1)
    return rows


def _search_step(rows, gradient, share, length, avoid, *, wish=lambda g: g, barred=True, stay=None):
    """Return the step with the mistakes that can be made."""
    liked = np.array(np.broadcast_to(wish(gradient), gradient.shape))
    if barred:
        liked[:, avoid] = -np.inf
    best = _whole_rows(np.argsort(-liked, axis=1, kind="stable")[:, :length], rows.shape[1])
    return (1 - share if stay is None else stay) * rows + share * best


def _wrong_step(**mistakes):
    return lambda rows, gradient, share, length, avoid: _search_step(rows, gradient, share, length, avoid, **mistakes)


def _course_step(advrec):
    def search_step(rows, gradient, *, share, length, avoid):
        return _search_step(rows, gradient, share, length, avoid)

    return search_step


# --- 12.5: a detector without labels


def _statistic_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Skewed statistics with a heavy group on one side, which stands anywhere: at the end, at the front, mixed."""
    cases = []
    for n, odd, side, share, place in (
        (40, 9, 4.0, 0.1, "mixed"),
        (61, 27, -5.0, 0.2, "front"),
        (33, 7, 3.0, 0.15, "end"),
        (50, 23, 4.0, 0.25, "end"),
        (45, 21, 6.0, 0.3, "front"),
    ):
        values = rng.normal(size=n)
        values[:odd] = side + 2.5 * rng.random(odd)
        order = {"mixed": rng.permutation(n), "front": np.arange(n), "end": np.arange(n)[::-1]}[place]
        cases.append({"values": _array(values[order] - 0.75 * side), "share": share})
    return cases


def _flag(values, share, *, centre=lambda values, share: np.median(values), distance=np.abs):
    return detection.most_suspicious(distance(values - centre(values, share)), share)


def _wrong_flag(**mistakes):
    return lambda values, share: _flag(values, share, **mistakes)


def _first_part(average):
    """Return the average of those accounts that come first, as many as the share would leave over."""
    return lambda values, share: average(values[: round((1 - share) * len(values))])


def _beyond_three(values, share):
    apart = np.abs(values - np.median(values))
    return apart > 3 * 1.4826 * np.median(apart)


def _flag_notice(result, truth, *, values, share):
    """Refuse what is no array of truth values, or flags another number of accounts."""
    if isinstance(result, tuple) or result.ndim != 1:
        return None
    if result.dtype.kind != "b" and result.shape != truth.shape:
        return (
            f"you return {len(result)} numbers, which look like ids of accounts. Return an array of truth values, one "
            "for every account, True where it is flagged."
        )
    if result.dtype.kind != "b" and np.isin(result, (0, 1)).all():
        return (
            "you return numbers, 0 and 1. Return truth values, dtype bool: the notebook uses them as a mask, and 0 and "
            "1 would be taken for ids."
        )
    if result.dtype.kind == "b" and result.shape == truth.shape and result.sum() != truth.sum():
        return (
            f"you flag {int(result.sum())} of {len(values)} accounts; share = {share} makes it {int(truth.sum())}, "
            "which is share times the number of accounts, rounded."
        )
    return None


def _course_flag(advrec):
    def flag(values, *, share):
        return _flag(values, share)

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
        course=lambda advrec: metrics.target_hit_ratio,
        misconceptions=_hit_misconceptions(),
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
        course=lambda advrec: profiles.bandwagon_profiles,
        notice=_bandwagon_notice,
        misconceptions=(
            Misconception(
                "least popular",
                "your head holds the least popular items: argsort puts the smallest first. A bandwagon rides on what "
                "everybody knows.",
                _careless_bandwagon(rising=True),
            ),
            Misconception(
                "the larger id first",
                "of equally popular items the smaller id goes first, and yours is the larger: an ascending order "
                "turned round turns the ties round too.",
                _careless_bandwagon(larger=True),
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
    FunctionExercise(
        "12.3",
        "a share of the way towards the whole profiles that the gradient likes best",
        hints=(
            "Two parts: for every account the whole profile that the gradient likes best, then a move of all rows "
            "towards those profiles.",
            "The best whole profile has a 1 at the length films with the largest entries of that account's row of the "
            "gradient, once those in avoid are set to minus infinity (in a copy), and 0 elsewhere.",
            "best = np.zeros_like(rows); np.put_along_axis(best, np.argsort(-liked, axis=1)[:, :length], 1, axis=1). "
            "Then rows + share * (best - rows).",
        ),
        cases=_step_cases,
        keywords=("share", "length", "avoid"),
        reference=_search_step,
        course=_course_step,
        misconceptions=(
            Misconception(
                "descent",
                "your profiles hold the films with the smallest gradient, which lower the aim fastest: argsort puts "
                "the smallest first. The attacker wants more hits.",
                _wrong_step(wish=lambda g: -g),
            ),
            Misconception(
                "largest without sign",
                "you choose by the size of the gradient without its sign. A film with a large negative entry would "
                "lower the aim.",
                _wrong_step(wish=np.abs),
            ),
            Misconception(
                "a plain gradient step",
                "you add a share of the gradient itself. Then entries leave the range 0 to 1, and no row sums to its "
                "length any more. The step goes towards whole profiles.",
                lambda rows, gradient, share, length, avoid: rows + share * gradient,
            ),
            Misconception(
                "all the way",
                "you return the best whole profiles themselves. The step goes only a share of the way: the gradient "
                "was taken at rows and is true near them.",
                lambda rows, gradient, share, length, avoid: _search_step(rows, gradient, 1.0, length, avoid),
            ),
            Misconception(
                "only what is new",
                "you return share times the best profiles and leave the old rows behind.",
                _wrong_step(stay=0),
            ),
            Misconception(
                "added on top",
                "you add a share of the best profiles and keep all of the old rows: their sums grow beyond length. "
                "What goes in at one film has to come out at others.",
                _wrong_step(stay=1),
            ),
            Misconception(
                "barred films",
                "your best profiles hold films that are in avoid.",
                _wrong_step(barred=False),
            ),
            Misconception(
                "one profile for all",
                "all accounts move towards one profile, that of the mean gradient. Each row of the gradient belongs to "
                "one account.",
                _wrong_step(wish=lambda g: g.mean(axis=0)),
            ),
            Misconception(
                "share the wrong way round",
                "you keep share of the old rows and take 1 - share of the best profiles; it is the other way round.",
                lambda rows, gradient, share, length, avoid: _search_step(rows, gradient, 1 - share, length, avoid),
            ),
        ),
    ),
    ChoiceExercise(
        "12.4",
        "push or nuke",
        hints=(
            "Ask for each of the two films: in how many lists of ten, and of fifty, does it stand before the attack?",
            "Only what crosses the border of the list counts. A film can't leave lists in which it does not stand, and "
            "a film that was lifted from place 800 to place 30 has entered one kind of list and not the other.",
            "Look at HR@50 and the largest HR@10 of the gradient in the table of *Made by a generator*. Then ask in "
            "which lists a popular film stands just inside the border, and in which it stands far inside.",
        ),
        answer="b",
        explanation="the border decides. In the first ten the unknown film hardly arrives, while the popular one "
        "stands near the border of many lists; in the first fifty the one arrives in many, the other seldom leaves. "
        "The next cells measure it.",
        wrong={
            "a": "think of the border of the short list. Did the table of *Made by a generator* show the target in "
            "many first tens? And what happens to a film at place nine when the films beside it rise?",
            "c": "think of the border of the long list. The table of *Made by a generator* shows what pushing does "
            "there; and a film at place fifteen may fall by twenty places without leaving the first fifty.",
        },
    ),
    FunctionExercise(
        "12.5",
        "the centre is the median of all accounts, and the number of flags is chosen beforehand",
        hints=(
            "The tutorial uses n_real twice. Each time, ask what an operator would have to know to write that line.",
            "Without labels, the centre must come from all accounts, fakes included. Which average hardly moves when a "
            "minority is far out? And the number of flags is a budget: share times the number of accounts, rounded.",
            "apart = np.abs(values - np.median(values)); the round(share * len(values)) accounts with the largest "
            "apart are flagged: np.argsort(-apart)[:number].",
        ),
        cases=_statistic_cases,
        notice=_flag_notice,
        keywords=("share",),
        reference=_flag,
        course=_course_flag,
        misconceptions=(
            Misconception(
                "mean of all accounts",
                "you measure from the mean of all accounts. No label is used, but the fakes pull the mean towards "
                "themselves, and real users at the other end come out as strange. Which average does not follow them?",
                _wrong_flag(centre=lambda values, share: values.mean()),
            ),
            Misconception(
                "median of the first accounts",
                "your median is that of the first accounts alone, as many as are not to be flagged. That still relies "
                "on the real ones standing first. Shuffle the accounts: the flags must move with them.",
                _wrong_flag(centre=_first_part(np.median)),
            ),
            Misconception(
                "mean of the first accounts",
                "your mean is that of the first accounts alone, as many as are not to be flagged. That still relies on "
                "the real ones standing first, and nobody knows where they stand.",
                _wrong_flag(centre=_first_part(np.mean)),
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
                _wrong_flag(centre=lambda values, share: 0),
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
