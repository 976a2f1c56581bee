"""Exercises of lesson 05: users that are added, folded-in vectors, a paired interval, a bet, a split that came late."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from scipy import stats

from advrec_teach import augmentation, profiles
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.core import CORRECT, Verdict
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception
from advrec_teach.splits import Interactions


def _array(values: np.ndarray) -> Made:
    """Return an input that stays a NumPy array in both tracks, and is watched for changes."""
    return Made(lambda advrec: values.copy(), values, lambda built: [built])


def _as_it_is(thing: Any) -> Made:
    """Return an input that both tracks and the reference get as it is."""
    return Made(lambda advrec: thing, thing)


def _by_user(users: Any, items: Any) -> tuple[Any, Any]:
    """Return the pairs user by user, each user's in the given order: the order of the users means nothing."""
    if getattr(users, "ndim", 0) == 1 and getattr(items, "shape", None) == users.shape:
        order = np.argsort(users, kind="stable")
        return users[order], items[order]
    return users, items


# --- 05.1: users are added


def _user_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return cases whose last users have no pairs, so that n_users is not the largest id plus one."""
    cases = []
    for n_users, active, n_items, n_rows, length in ((7, 5, 30, 4, 6), (9, 6, 40, 5, 3)):
        flat = rng.permutation(active * n_items)[:20]
        users, items = np.divmod(flat, n_items)
        rows = np.stack([rng.permutation(n_items)[:length] for _ in range(n_rows)])
        cases.append({"users": _array(users), "items": _array(items), "n_users": n_users, "rows": _array(rows)})
    return cases


def _with_users(users, items, n_users, rows, *, start=None, each=True, order="C", lay=np.repeat, tell=None, real=True):
    """Return the data with rows appended, with the mistakes that can be made."""
    n_rows, length = rows.shape
    first = n_users if start is None else start(users, n_users)
    ids = lay(np.arange(n_rows), length) if each and lay is np.repeat else np.tile(np.arange(n_rows), length)
    new = first + (ids if each else np.zeros(n_rows * length, np.int64))
    fresh = rows.ravel(order=order)
    total = n_users + n_rows if tell is None else tell(n_users, rows)
    if not real:
        return (*_by_user(new, fresh), total)
    return (*_by_user(np.concatenate([users, new]), np.concatenate([items, fresh])), total)


def _wrong_users(**mistakes: Any) -> Callable[..., Any]:
    return lambda users, items, n_users, rows: _with_users(users, items, n_users, rows, **mistakes)


def _sorted_rows(users, items, n_users, rows):
    return _with_users(users, items, n_users, np.sort(rows, axis=1))


def _occurring_users(users, items, n_users, rows):
    return _with_users(users, items, int(users.max()) + 1, rows)


def _newest_first(users, items, n_users, rows):
    return _with_users(users, items, n_users, rows[:, ::-1])


class UsersExercise(FunctionExercise):
    """Compares users and items user by user: only that the new users come last, and whole ids, matter beside that."""

    _slip = ""

    def judge(self, answer: Any) -> Verdict:
        """Try the function on every case; then look at the order of the users and the kind of their ids."""
        self._slip = ""
        verdict = super().judge(answer)
        return self._wrong(self._slip) if verdict.status == CORRECT and self._slip else verdict

    def _call(self, answer: Callable[..., Any], built: dict[str, Any]) -> Any:
        n_users = built["n_users"]  # before the answer can do anything to the inputs
        result = super()._call(answer, built)
        if isinstance(result, tuple | list) and len(result) == 3:
            users, items = np.asarray(result[0]), np.asarray(result[1])
            if users.dtype.kind == "f" or items.dtype.kind == "f":
                self._slip = (
                    "the numbers are right, but some ids are floats, and an id is a place in a table: make them whole "
                    "numbers."
                )
            elif users.ndim == 1 and np.any(np.diff((users >= n_users).astype(int)) < 0):
                self._slip = (
                    "the pairs are right, but new users come before real ones in your lists. Append them: the part of "
                    "the real ones stays as it was, and where it was."
                )
            return (*_by_user(users, items), result[2])
        return result


def _course_users(advrec: ModuleType) -> Callable[..., Any]:
    def with_users(users: Any, items: Any, n_users: int, rows: Any) -> Any:
        """Return user ids, item ids and the number of users, with each row appended as a new user."""
        return _with_users(users, items, n_users, rows)

    return with_users


USERS = (
    Misconception(
        "ids of real users",
        "your new users have ids from 0: those belong to real users, whose histories now hold invented films. Where do "
        "free ids begin?",
        _wrong_users(start=lambda users, n_users: 0),
    ),
    Misconception(
        "ids after the largest that occurs",
        "your new ids begin after the largest id that occurs in `users`. A real user without a training pair has an id "
        "too, and you gave it away: n_users says how many there are.",
        _wrong_users(start=lambda users, n_users: users.max() + 1),
    ),
    Misconception(
        "the users that occur",
        "you count the users that occur in `users`. The last users have no pair, and they are users all the same: take "
        "n_users, for the first new id and for the new number.",
        _occurring_users,
    ),
    Misconception(
        "a gap",
        "your new ids begin one too late. Ids start at 0, so the first free one is n_users itself.",
        _wrong_users(start=lambda users, n_users: n_users + 1),
    ),
    Misconception(
        "one user for all rows",
        "all rows went to one new user. Each row is a user of its own.",
        _wrong_users(each=False),
    ),
    Misconception(
        "ids tiled",
        "your ids run 0, 1, 2, ... along a row, so that each film of a row goes to another user: people are shuffled "
        "together. The id stays the same along a row: np.repeat or np.tile?",
        _wrong_users(lay=np.tile),
    ),
    Misconception(
        "films column by column",
        "you read the films of the table column by column, and the ids row by row: each new user gets films of several "
        "rows. Both must run in the same order.",
        _wrong_users(order="F"),
    ),
    Misconception(
        "films sorted",
        "the films of a row come out sorted by id. Their order is the order in time, and one of the recommenders reads "
        "nothing else.",
        _sorted_rows,
    ),
    Misconception(
        "newest first",
        "your rows run newest first. They come oldest first, and the pairs of a user stand in the order of time.",
        _newest_first,
    ),
    Misconception(
        "the number of users is the old one",
        "the pairs are right, the number of users is the old one. A model with so many vectors has none for the new "
        "users.",
        _wrong_users(tell=lambda n_users, rows: n_users),
    ),
    Misconception(
        "the number of users counts films",
        "the pairs are right, but your number of users counts one for each film that was added. A row is one user.",
        _wrong_users(tell=lambda n_users, rows: n_users + rows.size),
    ),
    Misconception(
        "the real users are gone",
        "you return the new pairs alone. The real ones stay: the new ones come to them.",
        _wrong_users(real=False),
    ),
)


# --- 05.2: folding in


def _fold_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for n_users, n_films, d, penalty in ((4, 12, 3, 2.0), (5, 20, 4, 0.7)):
        owned = (rng.random((n_users, n_films)) < 0.35).astype(np.float64)
        owned[:, 0] = 1
        cases.append({"Q": _array(rng.normal(size=(n_films, d))), "owned": _array(owned), "penalty": penalty})
    return cases


def _own_films_only(Q, owned, penalty):
    d = Q.shape[1]
    return np.stack([np.linalg.solve(Q[r > 0].T @ Q[r > 0] + penalty * np.eye(d), Q[r > 0].sum(0)) for r in owned])


FOLD = (
    Misconception(
        "no penalty",
        "your vectors are those of least squares without a penalty. With few films a vector would grow to fit them "
        "exactly: where does lambda stand?",
        lambda Q, owned, penalty: np.linalg.lstsq(Q, owned.T, rcond=None)[0].T,
    ),
    Misconception(
        "own films only",
        "you sum over the films that the user has. There every target is 1, and a vector that likes everything fits "
        "well: what somebody does not have says something too, so the sum runs over all films.",
        _own_films_only,
    ),
    Misconception(
        "sum of the films' vectors",
        "you add up the vectors of a user's films. That is Q^T r alone: the matrix in front of it is missing, which "
        "takes back what films have in common.",
        lambda Q, owned, penalty: owned @ Q,
    ),
    Misconception(
        "mean of the films' vectors",
        "you take the mean of the vectors of a user's films. The formula solves a system: something stands in front "
        "of the sum.",
        lambda Q, owned, penalty: owned @ Q / owned.sum(1, keepdims=True),
    ),
    Misconception(
        "lambda on every entry",
        "you add lambda to every entry of the matrix. Times the identity, it stands on the diagonal alone.",
        lambda Q, owned, penalty: np.linalg.solve(Q.T @ Q + penalty, Q.T @ owned.T).T,
    ),
    Misconception(
        "lambda times the number of films",
        "your penalty is multiplied by the number of films: you took the mean of the squares, and the formula has "
        "their sum.",
        lambda Q, owned, penalty: augmentation.fold_in(Q, owned, penalty=penalty * len(Q)),
    ),
    Misconception(
        "lambda squared",
        "your penalty is lambda squared. lambda multiplies the squared length, once.",
        lambda Q, owned, penalty: augmentation.fold_in(Q, owned, penalty=penalty**2),
    ),
    Misconception(
        "half of lambda",
        "your penalty is half of lambda. The derivatives of both terms bring a factor of 2, so it falls out.",
        lambda Q, owned, penalty: augmentation.fold_in(Q, owned, penalty=penalty / 2),
    ),
    Misconception(
        "a fixed lambda",
        "your penalty is 10 whatever `penalty` says: the notebook calls with 10, other callers need not.",
        lambda Q, owned, penalty: augmentation.fold_in(Q, owned, penalty=10.0),
    ),
    Misconception(
        "minus lambda",
        "you take lambda away from the diagonal. A penalty is added: that keeps vectors short.",
        lambda Q, owned, penalty: np.linalg.solve(Q.T @ Q - penalty * np.eye(Q.shape[1]), Q.T @ owned.T).T,
    ),
    Misconception(
        "one column a user",
        "the numbers are right and stand the wrong way round: your table has a column for each user. A vector is a "
        "row here.",
        lambda Q, owned, penalty: augmentation.fold_in(Q, owned, penalty=penalty).T,
    ),
    Misconception(
        "scores",
        "you return the scores of all films. The vectors are asked for; the notebook multiplies them with Q.",
        lambda Q, owned, penalty: augmentation.fold_in(Q, owned, penalty=penalty) @ Q.T,
    ),
)


def _course_fold(advrec: ModuleType) -> Callable[..., Any]:
    def fold_in(Q: Any, owned: Any, *, penalty: float) -> Any:
        """Return the vectors of users from fixed item vectors, by ridge regression."""
        return augmentation.fold_in(Q, owned, penalty=penalty)

    return fold_in


# --- 05.3: a paired interval


def _interval_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for n, level in ((6, 0.95), (9, 0.9), (5, 0.95)):
        plain = 0.2 + 0.03 * rng.normal(size=n)
        gain = 0.004 + 0.01 * rng.normal(size=n)
        cases.append({"augmented": _array(plain + gain), "plain": _array(plain), "level": level})
    return cases


def _around(center: float, half: float) -> tuple[float, float, float]:
    return center, center - half, center + half


def _interval(augmented, plain, level, *, flip=False, z=False, sided=2, df=1, ddof=1, root=True, scale=1.0):
    d = (plain - augmented) if flip else (augmented - plain)
    share = (1 + level) / 2 if sided == 2 else level
    factor = stats.norm.ppf(share) if z else stats.t.ppf(share, len(d) - df)
    return _around(d.mean(), scale * factor * d.std(ddof=ddof) / (np.sqrt(len(d)) if root else 1))


def _wrong_interval(**mistakes: Any) -> Callable[..., Any]:
    return lambda augmented, plain, level: _interval(augmented, plain, level, **mistakes)


def _with_factor(share: Callable[[float], float]) -> Callable[..., Any]:
    def answer(augmented: np.ndarray, plain: np.ndarray, level: float) -> tuple[float, float, float]:
        d = augmented - plain
        return _around(d.mean(), stats.t.ppf(share(level), len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)))

    return answer


def _reordered(*places: int) -> Callable[..., Any]:
    def answer(augmented: np.ndarray, plain: np.ndarray, level: float) -> tuple[float, ...]:
        values = _interval(augmented, plain, level)
        return tuple(values[place] for place in places)

    return answer


class IntervalExercise(FunctionExercise):
    """Takes the three values as one array too: the notebook unpacks either."""

    def _call(self, answer: Callable[..., Any], built: dict[str, Any]) -> Any:
        result = super()._call(answer, built)
        return tuple(result) if isinstance(result, np.ndarray) and result.shape == (3,) else result


def _unpaired(equal: bool) -> Callable[..., Any]:
    def answer(augmented: np.ndarray, plain: np.ndarray, level: float) -> tuple[float, float, float]:
        found = stats.ttest_ind(augmented, plain, equal_var=equal).confidence_interval(level)
        return float(augmented.mean() - plain.mean()), float(found.low), float(found.high)

    return answer


def _unpaired_by_hand(augmented, plain, level):
    n = len(plain)
    error = np.sqrt((augmented.var(ddof=1) + plain.var(ddof=1)) / n)
    return _around(augmented.mean() - plain.mean(), stats.t.ppf((1 + level) / 2, n - 1) * error)


def _place(choose: Callable[[np.ndarray], int], spread: bool) -> Callable[..., Any]:
    """Return an answer that reports the gain of one repetition, with the interval around it or shrunk to it."""

    def answer(augmented: np.ndarray, plain: np.ndarray, level: float) -> tuple[float, float, float]:
        d = augmented - plain
        mean, _, high = _interval(augmented, plain, level)
        return _around(d[choose(d)], (high - mean) if spread else 0.0)

    return answer


_PAIRS = (
    "your interval compares two groups as if they had nothing to do with each other. Place k of both is the same "
    "repetition, with the same people and the same test: look at the differences, in which what both share is gone."
)
_ONE = "you report one repetition. With another seed it would have been another number: all of them count."
_BEST = (
    "you report the best repetition. The largest of several numbers that scatter around 0 lies above 0: choosing after "
    "looking makes a gain of nothing."
)
INTERVAL = (
    Misconception("unpaired", _PAIRS, _unpaired(True)),
    Misconception("unpaired, unequal variances", _PAIRS + " Two variances do not mend that.", _unpaired(False)),
    Misconception("unpaired, by hand", _PAIRS + " Their variances do not add up.", _unpaired_by_hand),
    Misconception(
        "sd instead of standard error",
        "your half width belongs to a single repetition: it does not shrink with more of them. The mean of n "
        "repetitions scatters less than one does, by which factor?",
        _wrong_interval(root=False),
    ),
    Misconception(
        "normal instead of t",
        "you take the factor of the normal distribution. That is right if the standard deviation is known; from a few "
        "repetitions it is itself uncertain, and Student's t, with n - 1 degrees of freedom, pays for that.",
        _wrong_interval(z=True),
    ),
    Misconception(
        "normal and population sd",
        "you take the factor of the normal distribution and divide the sum of squares by n. Both make the interval too "
        "narrow for few repetitions: Student's t, and n - 1.",
        _wrong_interval(z=True, ddof=0),
    ),
    Misconception(
        "population sd",
        "you divide the sum of squares by n. Around a mean that was computed from the same numbers they scatter too "
        "little: n - 1, which is ddof=1 in NumPy.",
        _wrong_interval(ddof=0),
    ),
    Misconception(
        "one-sided",
        "your factor leaves out 1 - level on each side, so twice that in all. An interval with two ends shares it "
        "between them: which quantile is that?",
        _wrong_interval(sided=1),
    ),
    Misconception(
        "level taken for alpha",
        "your quantile is 1 - level / 2: that is for an alpha, the share outside. level is the share inside.",
        _with_factor(lambda level: 1 - level / 2),
    ),
    Misconception(
        "always 95 %",
        "your quantile is 0.975 whatever `level` says. How much lies above the upper end for another level?",
        _with_factor(lambda level: 0.975),
    ),
    Misconception(
        "low, mean, high",
        "the numbers are right, and stand in another order: first the mean, then the lower end, then the upper.",
        _reordered(1, 0, 2),
    ),
    Misconception(
        "mean, high, low",
        "the numbers are right, but the ends are exchanged: the lower one comes first.",
        _reordered(0, 2, 1),
    ),
    Misconception(
        "degrees of freedom",
        "your t has n degrees of freedom. One was used up by the mean.",
        _wrong_interval(df=0),
    ),
    Misconception(
        "plain minus augmented",
        "the sign is turned round: a gain is what the augmented has more than the plain.",
        _wrong_interval(flip=True),
    ),
    Misconception(
        "one standard error",
        "your interval is one standard error wide on each side. The factor t, which makes it a 95 % interval, is "
        "missing.",
        lambda augmented, plain, level: _around(
            (augmented - plain).mean(), (augmented - plain).std(ddof=1) / np.sqrt(len(plain))
        ),
    ),
    Misconception(
        "the range",
        "you return the smallest and the largest difference. That range grows with more repetitions; an interval for "
        "the mean has to shrink.",
        lambda augmented, plain, level: (
            (augmented - plain).mean(), (augmented - plain).min(), (augmented - plain).max(),
        ),
    ),
    Misconception("one seed", _ONE, _place(lambda d: 0, True)),
    Misconception("one seed, no interval", _ONE + " And your interval has no width.", _place(lambda d: 0, False)),
    Misconception("the best seed", _BEST, _place(lambda d: int(d.argmax()), True)),
    Misconception(
        "the best seed, no interval",
        _BEST + " And your interval has no width.",
        _place(lambda d: int(d.argmax()), False),
    ),
)  # fmt: skip


def _course_interval(advrec: ModuleType) -> Callable[..., Any]:
    def paired_interval(augmented: Any, plain: Any, *, level: float) -> Any:
        """Return the mean gain and the ends of its confidence interval."""
        return augmentation.paired_interval(augmented, plain, level=level)

    return paired_interval


# --- 05.5: a split that came late


class Echo:
    """An inventor that shows what it has read: its rows are those that it got, with every id moved by one."""

    def __init__(self, n_items: int):
        self.n_items = n_items

    def __call__(self, rows: Any, n: int) -> np.ndarray:
        """Return n rows."""
        table = np.asarray(rows)
        if len(table) == 0:
            raise ValueError(
                "`invent` got no rows: `L` and `HELD` are the notebook's, and your function has `length` and `held_out`"
            )
        return (table[np.arange(n) % len(table)] + 1) % self.n_items


def _log_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for n_users, n_items, n, held_out, length in ((5, 40, 6, 2, 4), (4, 50, 5, 3, 8)):
        counts = rng.integers(length + held_out + 4, n_items // 2, size=n_users)
        users = np.repeat(np.arange(n_users), counts)
        items = np.concatenate([rng.permutation(n_items)[:c] for c in counts])
        log, echo = Interactions(users, items, n_users, n_items), Echo(n_items)
        cases.append({"log": _as_it_is(log), "invent": _as_it_is(echo), "n": n, "held_out": held_out, "length": length})
    return cases


def _flat(result: Any) -> Any:
    """Return training and test data as arrays; how many users the test knows of does not matter."""
    if not (isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(r, Interactions) for r in result)):
        return result
    train, test = result
    return (*_by_user(train.users, train.items), train.n_users, *_by_user(test.users, test.items))


def _rows(data: Interactions, length: int, stride: int | None = None) -> np.ndarray:
    return augmentation.full_rows(data, length=length, stride=stride or length // 4)


def _pipeline(log, invent, n, held_out, length, *, reads="train", into="train", tested="real", fakes=True, stride=None):
    """Return what a pipeline makes; each setting is a place where it can go wrong."""
    train, test = augmentation.hold_out_last(log, held_out)
    rows = invent(_rows({"train": train, "log": log, "test": log}[reads], length, stride), n)
    if not fakes:
        return _flat((train, test))
    if into == "log":
        return _flat((profiles.inject(log, rows), test))
    everyone = augmentation.hold_out_last(profiles.inject(log, rows), held_out)
    if tested == "all":
        return _flat(everyone)
    if tested == "short":
        return _flat((everyone[0], test))
    if tested == "added":
        return _flat((profiles.inject(train, rows), everyone[1]))
    return _flat((profiles.inject(train, rows), test))


def _wrong_pipeline(**mistakes: Any) -> Callable[..., Any]:
    return lambda log, invent, n, held_out, length: _pipeline(log, invent, n, held_out, length, **mistakes)


def _test_first(log, invent, n, held_out, length):
    train, test = augmentation.hold_out_last(log, held_out)
    return _flat((test, profiles.inject(train, invent(_rows(train, length), n))))


class SplitExercise(FunctionExercise):
    """Compares training and test data as arrays."""

    def _call(self, answer: Callable[..., Any], built: dict[str, Any]) -> Any:
        result = super()._call(answer, built)
        flat = _flat(result)
        if flat is result and result is not None and result is not Ellipsis:
            raise TypeError("return two Interactions, the training data and the test data")
        return flat


def _course_pipeline(advrec: ModuleType) -> Callable[..., Any]:
    def augmented_data(log: Any, invent: Any, n: int, *, held_out: int, length: int) -> Any:
        """Return training data with n invented users, and the test data of the real ones."""
        return augmentation.split_then_invent(log, invent, n, held_out=held_out, length=length)

    return augmented_data


SPLIT = (
    Misconception(
        "as given",
        "this is the program as it was shipped. Ask of every line: which ratings does it see, and which users?",
        _wrong_pipeline(reads="log", tested="all"),
        as_given=True,
    ),
    Misconception(
        "the split is early, the rows are old",
        "the invented users are in the training data alone now, but `invent` still reads rows of the whole log. What "
        "it has read there, it writes into the training data: also the films of the test.",
        _wrong_pipeline(reads="log"),
    ),
    Misconception(
        "invented users in the test",
        "the inventor no longer reads the test. But the split still runs over everybody: the last films of invented "
        "users are in the test, and whoever predicts the inventor well scores well. Whom do you want to serve?",
        _wrong_pipeline(tested="all"),
    ),
    Misconception(
        "shortened invented users",
        "the test is that of the real users, but the invented ones have lost their last films: they went through the "
        "split as well. Nobody tests them, so they may keep all.",
        _wrong_pipeline(tested="short"),
    ),
    Misconception(
        "shortened invented users, old rows",
        "the test is that of the real users. But the inventor still reads the whole log, and the invented users lack "
        "their last films: cutting those off does not take back what it has read.",
        _wrong_pipeline(reads="log", tested="short"),
    ),
    Misconception(
        "added users tested",
        "the training data are right. The test holds the last films of invented users too, which are in the training "
        "data at the same time.",
        _wrong_pipeline(tested="added"),
    ),
    Misconception(
        "trained on the test",
        "the films of the test are still in the training data: the invented users were added to the log, not to its "
        "training part.",
        _wrong_pipeline(into="log"),
    ),
    Misconception(
        "trained on the test, old rows",
        "the films of the test are still in the training data, and the inventor reads them: after the split go on with "
        "its training part alone.",
        _wrong_pipeline(into="log", reads="log"),
    ),
    Misconception(
        "no stride",
        "split and training data are right, but the rows start at other places: keep stride=length // 4 as shipped.",
        lambda log, invent, n, held_out, length: _pipeline(log, invent, n, held_out, length, stride=length - 1),
    ),
    Misconception(
        "test first",
        "both are right, and stand the wrong way round: training data first.",
        _test_first,
    ),
    Misconception(
        "nobody added",
        "the split is right, but nobody was added to the training data.",
        _wrong_pipeline(fakes=False),
    ),
)

EXERCISES = [
    UsersExercise(
        "05.1",
        "add users, touch nobody",
        hints=(
            "Three things change: the list of users grows, the list of films grows by as much, and the number of "
            "users grows by the number of rows.",
            "For two rows of three films, and five users so far, the new ids are 5, 5, 5, 6, 6, 6, and the films stand "
            "row after row.",
            "`np.repeat(np.arange(n_rows), length)` gives 0, 0, 0, 1, 1, 1, and `rows.ravel()` reads row by row. Add "
            "n_users to the first, and append both with `np.concatenate`.",
        ),
        cases=_user_cases,
        reference=_with_users,
        course=_course_users,
        misconceptions=USERS,
    ),
    FunctionExercise(
        "05.2",
        "a vector for a stranger",
        hints=(
            "The second form of the equation has a matrix that is the same for all users, and a vector for each.",
            "The matrix has d rows and d columns: Q^T Q plus lambda on the diagonal. For all users at once, Q^T r "
            "becomes a table with a column for each user.",
            "`np.linalg.solve(A, B)` solves A X = B for all columns of B: A = Q.T @ Q + penalty * np.eye(d), "
            "B = Q.T @ owned.T. Turn the result, so that each user is a row.",
        ),
        cases=_fold_cases,
        keywords=("penalty",),
        reference=lambda Q, owned, penalty: augmentation.fold_in(Q, owned, penalty=penalty),
        course=_course_fold,
        misconceptions=FOLD,
    ),
    IntervalExercise(
        "05.3",
        "an interval for a gain",
        hints=(
            "First make one number a repetition: its difference. Everything else is about these n numbers.",
            "Three factors make the half width: a quantile of t with n - 1 degrees of freedom, the standard deviation "
            "with ddof=1, and one over the root of n.",
            "For 95 % in the middle, 2.5 % lie above: the quantile is stats.t.ppf((1 + level) / 2, n - 1). The ends "
            "are the mean minus and plus t s / sqrt(n).",
        ),
        cases=_interval_cases,
        keywords=("level",),
        reference=_interval,
        course=_course_interval,
        misconceptions=INTERVAL,
        tolerance=1e-6,
    ),
    ChoiceExercise(
        "05.4",
        "predict: what do LSTM users bring?",
        hints=(
            "Where does the LSTM have its knowledge of people from?",
            "What could it tell the recommender that the recommender cannot read in the same rows itself? And what "
            "could new people?",
            "There is a control that brings no information at all: copies. Would you expect the LSTM to do far better?",
        ),
        answer="b",
        explanation="The LSTM has read nothing but the rows that the recommender reads too. New people bring what is "
        "not in them. Below you see how much that is, and what the controls bring.",
        wrong={
            "a": "A judge asks whether a row looks like people. The recommender asks what it can learn from it that it "
            "does not know yet. The LSTM learned from the recommender's own training rows: what could be new in its?",
            "c": "The LSTM makes mistakes, but it puts likely films after likely films; noise puts any film anywhere. "
            "Which of the two misleads a model more that learns what follows what?",
        },
    ),
    SplitExercise(
        "05.5",
        "bug hunt: split too late",
        hints=(
            "Go through the three lines of the shipped program and write beside each which ratings it sees, and whose. "
            "(`L` and `HELD` are the notebook's; use `length` and `held_out`.)",
            "What is the earliest place at which the test can be taken away? Whatever stands before it sees the test.",
            "Split the log first. Take the rows from the training part, let `invent` write from them, inject into the "
            "training part, and return the test as it came out of the split.",
        ),
        cases=_log_cases,
        keywords=("held_out", "length"),
        reference=_pipeline,
        course=_course_pipeline,
        misconceptions=SPLIT,
    ),
]
