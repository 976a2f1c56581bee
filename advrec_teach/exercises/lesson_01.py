"""Exercises of lesson 01: metrics by hand, the BPR loss, negative sampling, an evaluation that flatters."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import metrics, reference
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.core import Verdict
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception


def _array(values: np.ndarray) -> Made:
    """Return an input that stays a NumPy array in both tracks, and is watched for changes."""
    return Made(lambda advrec: values.copy(), values, lambda built: [built])


def _discount(k: int) -> np.ndarray:
    return 1 / np.log2(np.arange(k) + 2)


# --- 01.1: ranks -> NDCG


def _rank_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Ranks at the top, on both sides of the cut and far below; then a recommender that never hits."""
    some = np.concatenate([[0, 0, 4, 5, 6], rng.integers(0, 40, size=9)])
    return [
        {"ranks": _array(rng.permutation(some)), "k": 5},
        {"ranks": _array(rng.permutation(some)), "k": 1},
        {"ranks": _array(rng.integers(20, 90, size=6)), "k": 10},
    ]


def _gain(ranks: np.ndarray, k: int, *, shift: int = 2, keep: int = 0) -> np.ndarray:
    """Return each user's gain, with the mistakes that can be made: the shift in the logarithm, the cut."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ranks < k + keep, 1 / np.log2(ranks + shift), 0.0)


def _mean_over_hits(ranks: np.ndarray, k: int) -> float:
    hits = int((ranks < k).sum())
    return float(_gain(ranks, k).sum() / hits) if hits else float("nan")


def _mean_over_some_hits(ranks: np.ndarray, k: int) -> float:
    return float(_gain(ranks, k).sum() / max((ranks < k).sum(), 1))


# --- 01.2: the BPR loss

CUT_OFF = (
    "your result is finite, and too small where the margin is very negative: a limit (clamp, clip) or a small number "
    "inside the logarithm keeps it so. Beyond that the loss stops growing and its gradient is 0, just where the "
    "order is worst. Which function gives -log sigmoid(x) in one piece?"
)


class LossExercise(FunctionExercise):
    """Knows a loss that is cut off, wherever the cut is: right for ordinary scores, finite but too small for large."""

    def _named(self, cases: list[dict[str, Any]], results: list[Any]) -> Verdict | None:
        named = super()._named(cases, results)
        if named or any(np.shape(result) != () for result in results):
            return named
        ordinary, large = (float(result) - self.reference(**case) for result, case in zip(results, cases, strict=True))
        return self._wrong(CUT_OFF) if abs(ordinary) < 1e-4 and np.isfinite(large) and large < -1 else None


def _triple_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """One case of ordinary vectors; one whose margins run into the thousands, on both sides."""
    cases = []
    for scale in (1.0, 40.0):
        p, q = rng.normal(size=(5, 3)), rng.normal(size=(7, 3))
        users, liked, other = rng.integers(5, size=6), rng.integers(7, size=6), rng.integers(7, size=6)
        users[:2], liked[:2], other[:2] = 0, [1, 2], [2, 1]
        p[0], q[1], q[2] = [1, 0, 0], [1, 1, 0], [-1, 0, 1]
        ids = {"users": users, "liked": liked, "other": other}
        cases.append({"p": scale * p, "q": scale * q, **ids})
    return cases


def _margins(p: np.ndarray, q: np.ndarray, users: np.ndarray, liked: np.ndarray, other: np.ndarray) -> Any:
    return np.sum(p[users] * (q[liked] - q[other]), axis=1)


def _naive_loss(**inputs: np.ndarray) -> Any:
    with np.errstate(over="ignore", divide="ignore"):
        return -np.mean(np.log(1 / (1 + np.exp(-_margins(**inputs)))))


def _loss_with_a_small_number(**inputs: np.ndarray) -> Any:
    return -np.mean(np.log(reference.sigmoid(_margins(**inputs)) + 1e-8))


def _no_sum_over_d(p: np.ndarray, q: np.ndarray, users: np.ndarray, liked: np.ndarray, other: np.ndarray) -> Any:
    return np.mean(reference.softplus(-(p[users] * (q[liked] - q[other]))))


def _all_pairs(p: np.ndarray, q: np.ndarray, users: np.ndarray, liked: np.ndarray, other: np.ndarray) -> Any:
    return np.mean(reference.softplus(-(p[users] @ (q[liked] - q[other]).T)))


def _course_loss(advrec: ModuleType) -> Callable[..., Any]:
    take = _rows(advrec)

    def bpr_loss(p: Any, q: Any, users: Any, liked: Any, other: Any) -> Any:
        # The loss only depends on the difference of both scores, which is one product the less.
        margin = (take(p, users) * (take(q, liked) - take(q, other))) @ advrec.tensor(np.ones((p.shape[1], 1)))
        return advrec.bpr_loss(margin, 0 * margin)

    return bpr_loss


def _rows(advrec: ModuleType) -> Callable[[Any, Any], Any]:
    """Return the track's way to take rows of a table."""
    if advrec.__name__.endswith("pytorch"):
        return lambda table, rows: table[rows]
    import tensorflow as tf

    return tf.gather


# --- 01.3: the first unseen proposal


def _proposal_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Rows whose first proposals are often seen, and which all hold an unseen one."""
    cases = []
    for n, tries in ((9, 4), (12, 6)):
        n_users, n_items = n + 3, 20
        seen = rng.random((n_users, n_items)) < 0.6
        seen[:, [0, 10, 2]] = [True, False, True]
        users = rng.integers(n_users, size=n)
        proposals = rng.choice(np.setdiff1d(np.arange(3, n_items), 10), size=(n, tries))
        # Item 10 is unseen by everybody, and others lie on both sides of its number; the first rows meet a seen
        # one on either side of it.
        proposals[:, tries // 2] = 10
        proposals[: n // 2, 0], proposals[: n // 2, -1] = 0, 2
        cases.append({"proposals": proposals, "users": users, "seen": seen})
    return cases


def _first(proposals: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.take_along_axis(proposals, wanted.argmax(axis=1)[:, None], axis=1)[:, 0]


def _first_unseen(proposals: np.ndarray, users: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return _first(proposals, ~seen[users[:, None], proposals])


def _last_unseen(proposals: np.ndarray, users: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return _first(proposals[:, ::-1], ~seen[users[:, None], proposals][:, ::-1])


def _smallest_unseen(proposals: np.ndarray, users: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return np.where(seen[users[:, None], proposals], seen.shape[1], proposals).min(axis=1)


def _of_wrong_users(proposals: np.ndarray, users: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return _first(proposals, ~seen[np.arange(len(users))[:, None], proposals])


def _unseen_by_all(proposals: np.ndarray, users: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return _first(proposals, ~np.any(seen, axis=0)[proposals])


def _course_first_unseen(advrec: ModuleType) -> Callable[..., Any]:
    if advrec.__name__.endswith("pytorch"):

        def first_unseen(proposals: Any, users: Any, seen: Any) -> Any:
            unseen = ~seen[users[:, None], proposals]
            return proposals.gather(1, unseen.int().argmax(dim=1, keepdim=True))[:, 0]
    else:
        import tensorflow as tf

        def first_unseen(proposals: Any, users: Any, seen: Any) -> Any:
            unseen = ~tf.gather(tf.gather(seen, users), proposals, batch_dims=1)
            # Falling weights make the first one the largest, so that no tie is left to argmax.
            weights = tf.cast(unseen, tf.int32) * tf.range(tf.shape(proposals)[1], 0, -1)
            return tf.gather(proposals, tf.argmax(weights, axis=1), batch_dims=1)

    return first_unseen


# --- 01.5: a flattering NDCG


def _list_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Users with none, few and many test items; lists with no, some and many hits."""
    cases = []
    for k, longer in ((4, 0), (6, 2)):
        n_users, n_items = 12, 25
        test = rng.random((n_users, n_items)) < np.linspace(0.05, 0.6, n_users)[:, None]
        test[:2] = False
        test[2], test[3] = np.arange(n_items) == 0, np.arange(n_items) < 2
        top = np.array([rng.permutation(n_items)[: k + longer] for _ in range(n_users)])
        top[2], top[3, 1] = 1 + np.arange(k + longer), 0
        top[3, [0, *range(2, k + longer)]] = 5 + np.arange(k + longer - 1)
        cases.append({"top": _array(top), "test": _array(test), "k": k})
    return cases


def _gains(top: np.ndarray, test: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return DCG, the right ideal DCG and the number of test items of every user."""
    hits = np.take_along_axis(test, top[:, :k], axis=1)
    counts = test.sum(axis=1)
    best = np.concatenate([[0.0], np.cumsum(_discount(k))])
    return hits @ _discount(k), best[np.minimum(counts, k)], counts


def list_ndcg(top: np.ndarray, test: np.ndarray, k: int) -> float:
    """Return the mean NDCG@k over the users with a test item; the answer to exercise 01.5."""
    gain, ideal, counts = _gains(top, test, k)
    return float(np.mean(gain[counts > 0] / ideal[counts > 0]))


def _own_ideal(top: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    hits = np.take_along_axis(test, top[:, :k], axis=1)
    return np.sort(hits, axis=1)[:, ::-1] @ _discount(k)


def _as_found(top: np.ndarray, test: np.ndarray, k: int) -> float:
    gain, _, _ = _gains(top, test, k)
    ideal = _own_ideal(top, test, k)
    return float(np.mean(gain[ideal > 0] / ideal[ideal > 0]))


def _own_ideal_all_users(top: np.ndarray, test: np.ndarray, k: int) -> float:
    gain, _, counts = _gains(top, test, k)
    ideal = _own_ideal(top, test, k)
    return float(np.mean((gain / np.where(ideal > 0, ideal, 1))[counts > 0]))


def _users_with_a_hit(top: np.ndarray, test: np.ndarray, k: int) -> float:
    gain, ideal, _ = _gains(top, test, k)
    return float(np.mean(gain[gain > 0] / ideal[gain > 0]))


def _full_lists(top: np.ndarray, test: np.ndarray, k: int) -> float:
    gain, _, counts = _gains(top, test, k)
    return float(np.mean(gain[counts > 0] / _discount(k).sum()))


def _everybody(top: np.ndarray, test: np.ndarray, k: int) -> float:
    gain, ideal, _ = _gains(top, test, k)
    return float(np.mean(gain / np.where(ideal > 0, ideal, 1)))


def _uncut_ideal(top: np.ndarray, test: np.ndarray, k: int) -> float:
    gain, _, counts = _gains(top, test, k)
    best = np.concatenate([[0.0], np.cumsum(_discount(test.shape[1]))])
    return float(np.mean(gain[counts > 0] / best[counts[counts > 0]]))


EXERCISES = [
    FunctionExercise(
        "01.1",
        "1 / log2(rank + 2) for every target above the cut, 0 below it, averaged over all users",
        hints=(
            "Work out by hand what a user with rank 0 should get, and one with rank k.",
            "np.where(condition, a, b) takes a where the condition holds and b elsewhere. The condition compares "
            "ranks with k.",
            "gain = np.where(ranks < k, 1 / np.log2(ranks + 2), 0), and then its mean over all users.",
        ),
        cases=_rank_cases,
        reference=lambda ranks, k: float(_gain(ranks, k).mean()),
        course=lambda advrec: metrics.ndcg_single,
        misconceptions=(
            Misconception(
                "ranks counted from 1",
                "you divide by log2(rank + 1). That is right for positions that start at 1; these ranks start at 0, "
                "and the first place comes out as a division by zero.",
                lambda ranks, k: float(_gain(ranks, k, shift=1).mean()),
            ),
            Misconception(
                "natural logarithm",
                "you take the natural logarithm. The first place must be worth exactly 1: which base does that?",
                lambda ranks, k: float((_gain(ranks, k) / np.log(2)).mean()),
            ),
            Misconception(
                "no cut",
                "you give every target its gain, however far down it is. What is not on the list of k films earns "
                "nothing.",
                lambda ranks, k: float(_gain(ranks, k, keep=10**6).mean()),
            ),
            Misconception(
                "cut one too late",
                "you let rank k count. Ranks start at 0, so the k films of the list have the ranks 0 to k - 1.",
                lambda ranks, k: float(_gain(ranks, k, keep=1).mean()),
            ),
            Misconception(
                "mean over the hits",
                "you average over the users with a hit only. A user whose film was missed counts too, with 0; "
                "otherwise a recommender looks better the fewer users it serves.",
                _mean_over_hits,
            ),
            Misconception(
                "mean over the hits, 0 where there is none",
                "you divide by the number of hits. Divide by the number of users: one whose film was missed counts "
                "too, with 0.",
                _mean_over_some_hits,
            ),
            Misconception(
                "hit rate",
                "you count the hits. That is HR@k; NDCG@k also asks how far up the hit is.",
                lambda ranks, k: float((ranks < k).mean()),
            ),
            Misconception(
                "no average",
                "you return one value a user. Average them to one number.",
                _gain,
            ),
        ),
    ),
    LossExercise(
        "01.2",
        "the mean of softplus(-(s_ui - s_uj)), finite however large the scores are",
        hints=(
            "Start with the rows that you need: the user vectors of `users`, the film vectors of `liked` and of "
            "`other`. All three have shape [n, d].",
            "A score is the sum over d of the product of two rows: multiply entry by entry, sum over axis 1. Do not "
            "use a matrix product, which would pair every user with every film.",
            "-log sigmoid(x) = softplus(-x). Take your framework's softplus of (score of other - score of liked), "
            "and then the mean.",
        ),
        cases=_triple_cases,
        reference=lambda **inputs: float(np.mean(reference.softplus(-_margins(**inputs)))),
        course=_course_loss,
        differentiate=("p", "q"),
        misconceptions=(
            Misconception(
                "overflow",
                "the formula is right, and your result is infinite for large scores: sigmoid(x) rounds to 0 there, and "
                "its logarithm is minus infinity. Which function gives -log sigmoid(x) in one piece?",
                _naive_loss,
            ),
            Misconception("cut off", CUT_OFF, _loss_with_a_small_number),
            Misconception(
                "sum over d forgotten",
                "you take the softplus of every product and average over n times d of them. A score is one number a "
                "triple: the sum of the products over d (axis 1) comes before the softplus.",
                _no_sum_over_d,
            ),
            Misconception(
                "liked and other swapped",
                "your loss falls when the film that the user did NOT choose gets the higher score. Check the sign of "
                "the difference.",
                lambda **inputs: float(np.mean(reference.softplus(_margins(**inputs)))),
            ),
            Misconception(
                "sum instead of mean",
                "you return the sum over the triples. The size of a step would then grow with the batch; take the "
                "mean.",
                lambda **inputs: float(np.sum(reference.softplus(-_margins(**inputs)))),
            ),
            Misconception(
                "missing minus",
                "you return the mean of log sigmoid, which is what BPR maximises. A loss is to be minimised: turn the "
                "sign round.",
                lambda **inputs: -float(np.mean(reference.softplus(-_margins(**inputs)))),
            ),
            Misconception(
                "no logarithm",
                "you average minus the sigmoid itself. Where the model is badly wrong its slope is nearly 0, so that "
                "it would learn least from its worst mistakes. The logarithm is missing.",
                lambda **inputs: -float(np.mean(reference.sigmoid(_margins(**inputs)))),
            ),
            Misconception(
                "every user with every film",
                "you pair every user of the batch with every film of the batch, a table of n times n scores. A triple "
                "is one user with its own two films: multiply row by row and sum over axis 1.",
                _all_pairs,
            ),
            Misconception(
                "no average",
                "you return one loss a triple. Average them to one number.",
                lambda **inputs: reference.softplus(-_margins(**inputs)),
            ),
        ),
    ),
    FunctionExercise(
        "01.3",
        "each row takes its first proposal that this user has not seen",
        hints=(
            "First make a table of the shape of `proposals` that says which of them are unseen: look up "
            "seen[user of the row, proposal].",
            "The position of the first True in a row is its argmax. argmax wants numbers: cast the booleans to whole "
            "numbers first. To be sure that it takes the first of several ones, multiply them with falling weights: "
            "tries, tries - 1, ..., 1.",
            "Then pick, in every row, the proposal at that position: that is a gather along axis 1.",
        ),
        cases=_proposal_cases,
        reference=_first_unseen,
        course=_course_first_unseen,
        traced=("proposals", "users"),
        misconceptions=(
            Misconception(
                "seen items not left out",
                "you take the first proposal whatever it is. A film that the user has rated then stands on both sides "
                "of the loss and is pushed up and down at once.",
                lambda proposals, users, seen: proposals[:, 0],
            ),
            Misconception(
                "inverted",
                "you take the first proposal that the user HAS seen: `seen` is True for those to leave out.",
                lambda proposals, users, seen: _first(proposals, seen[users[:, None], proposals]),
            ),
            Misconception(
                "row numbers for users",
                "you look up row r of `seen` for row r of the batch. The user of that row is users[r].",
                _of_wrong_users,
            ),
            Misconception(
                "position instead of item",
                "you return where in the row the film stands. Return the film: proposals at that position.",
                lambda proposals, users, seen: (~seen[users[:, None], proposals]).argmax(axis=1),
            ),
            Misconception(
                "last instead of first",
                "you take the last unseen proposal. That is as random as the first, but the function is to return the "
                "first.",
                _last_unseen,
            ),
            Misconception(
                "smallest id",
                "you take the unseen proposal with the smallest film id. The proposals come in random order, and the "
                "first one in the row is asked for; the smallest id would favour some films over others.",
                _smallest_unseen,
            ),
            Misconception(
                "unseen by everybody",
                "you leave out what anybody has seen. A film that this user has not seen is a fair negative, however "
                "many others have.",
                _unseen_by_all,
            ),
        ),
    ),
    ChoiceExercise(
        "01.4",
        "training films left in the ranking",
        hints=(
            "A model is trained to put certain films of this user at the top. Which ones?",
            "HR@10 only counts the held-out film. It shares its ten places with everything else that scores high.",
            "How many of the ten places are left for a film that the model has not been trained on for this user?",
        ),
        answer="b",
        explanation="the training films take the places at the top, and the held-out film is none of them. The better "
        "a model fits its training data, the more it loses.",
        wrong={
            "a": "the user does like those films, true. But what is counted is the one held-out film, and it is none "
            "of the training films.",
            "c": "few films in the catalogue, but where do they stand? Think of the scores that training gives them.",
        },
    ),
    FunctionExercise(
        "01.5",
        "the ideal comes from the test films, and every user with a test film counts",
        hints=(
            "Take one user with five test films and a list with a single hit, at the first place. What does the "
            "program give, and what would a perfect list have earned?",
            "The ideal list holds test films only, as many as there are, but no more than k. Its gain does not depend "
            "on the list that you judge.",
            "counts = test.sum(axis=1); the ideal is the sum of the first min(counts, k) discounts. Then average "
            "over the users with counts > 0, whether they have a hit or not.",
        ),
        cases=_list_cases,
        reference=list_ndcg,
        course=lambda advrec: list_ndcg,
        misconceptions=(
            Misconception(
                "as given",
                "the function still does what the copied program did: a single hit at the first place earns 1, however "
                "many test films were missed.",
                _as_found,
                as_given=True,
            ),
            Misconception(
                "ideal from the list's own hits",
                "users without a hit now count, but the ideal is still made from the hits of the list itself. A list "
                "that finds one film of ten at the first place would be perfect. What could the best list have found?",
                _own_ideal_all_users,
            ),
            Misconception(
                "only users with a hit",
                "the ideal is right now, but users without a hit are still left out. They are the ones whom the "
                "recommender failed; they count with 0.",
                _users_with_a_hit,
            ),
            Misconception(
                "ideal of k places for everybody",
                "your ideal list has k test films for every user. Who has fewer than k test films can't reach 1, "
                "however good the list is.",
                _full_lists,
            ),
            Misconception(
                "users with nothing to find",
                "you count users without any test film, with 0. There was nothing to find for them, so no list could "
                "do better: leave them out.",
                _everybody,
            ),
            Misconception(
                "0 / 0 for users with nothing to find",
                "the result is nan: the ideal of a user without a test film is 0, and 0 / 0 is nan. Leave out users "
                "without a test film before you divide.",
                lambda top, test, k: float("nan"),
            ),
            Misconception(
                "ideal longer than the list",
                "your ideal counts all test films of a user. A list of k films can hold at most k of them: cut the "
                "ideal at k.",
                _uncut_ideal,
            ),
        ),
    ),
]
