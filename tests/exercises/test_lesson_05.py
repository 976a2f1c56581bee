"""Lesson 05: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from scipy import stats
from verdicts import refused

from advrec_teach import augmentation, profiles
from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET


def right_users(users, items, n_users, rows):
    new = n_users + np.repeat(np.arange(len(rows)), rows.shape[1])
    return np.concatenate([users, new]), np.concatenate([items, rows.ravel()]), n_users + len(rows)


def test_adding_users(advrec):
    def by_loop(users, items, n_users, rows):
        """Add users, one pair after the other."""
        who, what = list(users), list(items)
        for k, row in enumerate(rows):
            for film in row:
                who.append(n_users + k)
                what.append(film)
        return who, what, n_users + len(rows)

    def by_grid(users, items, n_users, rows):
        grid = np.broadcast_to(n_users + np.arange(len(rows))[:, None], rows.shape)
        return [np.append(users, grid), np.append(items, rows), n_users + rows.shape[0]]

    for right in (right_users, by_loop, by_grid):
        assert exercise("05.1").judge(right).status == CORRECT

    def over(users=None, rows=None, shift=None, total=None):
        def answer(u, i, n, r):
            made = right_users(u, i, n, rows(r) if rows else r)
            ids = made[0].copy()
            if shift:
                ids[len(u) :] += shift(u, n)
            if users:
                ids[len(u) :] = users(n, r)
            return ids, made[1], total(n, r) if total else made[2]

        return answer

    messages = {
        refused("05.1", over(shift=lambda u, n: -n), "belong to real users"),
        refused("05.1", over(shift=lambda u, n: u.max() + 1 - n), "largest id that occurs"),
        refused("05.1", over(shift=lambda u, n: 1), "one too late"),
        refused("05.1", over(users=lambda n, r: n), "one new user"),
        refused("05.1", over(users=lambda n, r: n + np.tile(np.arange(len(r)), r.shape[1])), "np.repeat or np.tile"),
        refused("05.1", over(rows=lambda r: r.T.reshape(r.shape)), "column by column"),
        refused("05.1", over(rows=lambda r: np.sort(r, axis=1)), "sorted by id"),
        refused("05.1", over(total=lambda n, r: n), "the number of users is the old one"),
        refused("05.1", over(total=lambda n, r: n + r.size), "one for each film"),
        refused("05.1", lambda u, i, n, r: right_users(u[:0], i[:0], n, r), "alone"),
    }
    messages |= {
        refused("05.1", over(rows=lambda r: r[:, ::-1]), "newest first"),
        refused("05.1", lambda u, i, n, r: right_users(u, i, u.max() + 1, r), "take n_users"),
        refused("05.1", lambda u, i, n, r: right_users(u, i, len(np.unique(u)), r), "take n_users"),
    }
    assert len(messages) == 12

    def new_first(users, items, n_users, rows):
        ids, films, total = right_users(users[:0], items[:0], n_users, rows)
        return np.concatenate([ids, users]), np.concatenate([films, items]), total

    def floats(users, items, n_users, rows):
        ids, films, total = right_users(users, items, n_users, rows)
        return ids.astype(float), films, total

    def sorted_by_user(users, items, n_users, rows):
        ids, films, total = right_users(users, items, n_users, rows)
        order = np.argsort(ids, kind="stable")
        return ids[order], films[order], total

    refused("05.1", new_first, "Append them")
    refused("05.1", floats, "whole numbers")
    assert exercise("05.1").judge(sorted_by_user).status == CORRECT
    refused("05.1", lambda u, i, n, r: right_users(u, i, n, r)[:2], "3 values")
    refused("05.1", lambda u, i, n, r: right_users(u[::-1].copy(), i, n, r), "returned value")

    def in_place(users, items, n_users, rows):
        made = right_users(users, items, n_users, rows)
        users[:] = 0
        return made

    refused("05.1", in_place, "changed")


def test_folding_in(advrec):
    def right(Q, owned, *, penalty):
        return owned @ Q @ np.linalg.inv(Q.T @ Q + penalty * np.eye(Q.shape[1]))

    def stacked(Q, owned, *, penalty):
        d = Q.shape[1]
        tall = np.vstack([Q, np.sqrt(penalty) * np.eye(d)])
        goal = np.vstack([owned.T, np.zeros((d, len(owned)))])
        return np.linalg.lstsq(tall, goal, rcond=None)[0].T

    def by_loop(Q, owned, *, penalty):
        return [np.linalg.solve(Q.T @ Q + penalty * np.identity(Q.shape[1]), Q.T @ r) for r in owned]

    assert exercise("05.2").judge(right).status == CORRECT
    assert exercise("05.2").judge(stacked).status == CORRECT
    assert exercise("05.2").judge(lambda Q, o, *, penalty: np.array(by_loop(Q, o, penalty=penalty))).status == CORRECT

    def own(Q, owned, *, penalty):
        square = [Q[r > 0].T @ Q[r > 0] + penalty * np.eye(Q.shape[1]) for r in owned]
        return np.stack([np.linalg.solve(s, Q.T @ r) for s, r in zip(square, owned, strict=True)])

    messages = {
        refused("05.2", lambda Q, o, *, penalty: right(Q, o, penalty=0), "without a penalty"),
        refused("05.2", own, "over all films"),
        refused("05.2", lambda Q, o, *, penalty: o @ Q, "you add up"),
        refused("05.2", lambda Q, o, *, penalty: o @ Q / o.sum(1)[:, None], "the mean of the vectors"),
        refused("05.2", lambda Q, o, *, penalty: o @ Q @ np.linalg.inv(Q.T @ Q + penalty), "every entry"),
        refused("05.2", lambda Q, o, *, penalty: right(Q, o, penalty=penalty * len(Q)), "number of films"),
        refused("05.2", lambda Q, o, *, penalty: right(Q, o, penalty=penalty**2), "lambda squared"),
        refused("05.2", lambda Q, o, *, penalty: right(Q, o, penalty=penalty).T, "column for each user"),
        refused("05.2", lambda Q, o, *, penalty: right(Q, o, penalty=penalty) @ Q.T, "scores of all films"),
    }
    messages |= {
        refused("05.2", lambda Q, o, *, penalty: right(Q, o, penalty=penalty / 2), "half of lambda"),
        refused("05.2", lambda Q, o, *, penalty: right(Q, o, penalty=10), "whatever `penalty` says"),
        refused("05.2", lambda Q, o, *, penalty: right(Q, o, penalty=-penalty), "penalty is added"),
    }
    assert len(messages) == 12
    refused("05.2", lambda Q, o, *, penalty: 2 * right(Q, o, penalty=penalty), "expected")


def test_a_paired_interval(advrec):
    def around(center, half):
        return center, center - half, center + half

    def by_test(augmented, plain, *, level):
        found = stats.ttest_rel(augmented, plain)
        ends = found.confidence_interval(level)
        return np.mean(augmented) - np.mean(plain), ends.low, ends.high

    def by_scipy(augmented, plain, *, level):
        d = np.asarray(augmented) - np.asarray(plain)
        low, high = stats.t.interval(level, len(d) - 1, loc=d.mean(), scale=stats.sem(d))
        return [d.mean(), low, high]

    def width(d, level, *, n=1, ddof=1, z=False, root=True, share=None):
        share = (1 + level) / 2 if share is None else share
        factor = stats.norm.ppf(share) if z else stats.t.ppf(share, len(d) - n)
        return factor * d.std(ddof=ddof) / (np.sqrt(len(d)) if root else 1)

    def wrong(**how):
        return lambda a, p, *, level: around((a - p).mean(), width(a - p, level, **how))

    assert exercise("05.3").judge(wrong()).status == CORRECT
    assert exercise("05.3").judge(by_test).status == CORRECT
    assert exercise("05.3").judge(by_scipy).status == CORRECT

    assert exercise("05.3").judge(lambda a, p, *, level: np.array(by_scipy(a, p, level=level))).status == CORRECT

    def unpaired(a, p, *, level):
        found = stats.ttest_ind(a, p, equal_var=False).confidence_interval(level)
        return a.mean() - p.mean(), found.low, found.high

    messages = {
        refused("05.3", unpaired, "as if they had nothing to do"),
        refused("05.3", wrong(root=False), "does not shrink"),
        refused("05.3", wrong(z=True), "normal distribution. That is right"),
        refused("05.3", wrong(z=True, ddof=0), "Both make"),
        refused("05.3", wrong(ddof=0), "ddof=1"),
        refused("05.3", wrong(n=0), "n degrees of freedom"),
        refused(
            "05.3", lambda a, p, *, level: around((a - p).mean(), width(a - p, level, share=level)), "on each side"
        ),
        refused("05.3", lambda a, p, *, level: around((p - a).mean(), width(a - p, level)), "turned round"),
        refused("05.3", lambda a, p, *, level: around((a - p).mean(), stats.sem(a - p)), "one standard error"),
        refused("05.3", lambda a, p, *, level: ((a - p).mean(), (a - p).min(), (a - p).max()), "range"),
        refused("05.3", lambda a, p, *, level: around((a - p)[0], width(a - p, level)), "one repetition"),
        refused("05.3", lambda a, p, *, level: around((a - p).max(), width(a - p, level)), "best repetition"),
    }
    for share, says in ((lambda level: 1 - level / 2, "that is for an alpha"), (lambda level: 0.975, "0.975 whatever")):
        refused(
            "05.3",
            lambda a, p, *, level, share=share: around((a - p).mean(), width(a - p, level, share=share(level))),
            says,
        )
    refused("05.3", lambda a, p, *, level: [by_scipy(a, p, level=level)[k] for k in (1, 0, 2)], "another order")
    refused("05.3", lambda a, p, *, level: [by_scipy(a, p, level=level)[k] for k in (0, 2, 1)], "ends are exchanged")
    assert len(messages) == 12
    refused("05.3", lambda a, p, *, level: around((a - p)[0], 0.0), "one repetition")
    refused("05.3", lambda a, p, *, level: around((a - p).max(), 0.0), "best repetition")
    refused("05.3", lambda a, p, *, level: (a - p).mean(), "3 values")


def test_what_fakes_bring(advrec):
    messages = {exercise("05.4").judge(letter).message for letter in "abc"}
    assert [exercise("05.4").judge(letter).status for letter in "abc"] == [NOT_YET, CORRECT, NOT_YET]
    assert len(messages) == 3
    assert exercise("05.4").judge(...).status == NOT_ATTEMPTED


def test_a_split_that_came_late(advrec):
    def rows_of(data, length):
        return augmentation.full_rows(data, length=length, stride=length // 4)

    def right(log, invent, n, *, held_out, length):
        train, test = augmentation.hold_out_last(log, held_out)
        return profiles.inject(train, invent(rows_of(train, length), n)), test

    def later(log, invent, n, *, held_out, length):
        """Split the real users, then everybody, and take what is right of each."""
        known, _ = augmentation.hold_out_last(log, held_out)
        fakes = invent(rows_of(known, length), n)
        _, test = augmentation.hold_out_last(log, held_out)
        padded = type(test)(test.users, test.items, test.n_users + n, test.n_items)
        return [profiles.inject(known, fakes), padded]

    assert exercise("05.5").judge(right).status == CORRECT
    assert exercise("05.5").judge(later).status == CORRECT

    def shipped(log, invent, n, *, held_out, length):
        return augmentation.hold_out_last(profiles.inject(log, invent(rows_of(log, length), n)), held_out)

    assert exercise("05.5").judge(shipped).status == NOT_ATTEMPTED
    assert "as it was shipped" in exercise("05.5").judge(shipped).message

    def old_rows(log, invent, n, *, held_out, length):
        train, test = augmentation.hold_out_last(log, held_out)
        return profiles.inject(train, invent(rows_of(log, length), n)), test

    def fakes_tested(log, invent, n, *, held_out, length):
        train, _ = augmentation.hold_out_last(log, held_out)
        return augmentation.hold_out_last(profiles.inject(log, invent(rows_of(train, length), n)), held_out)

    def short(log, invent, n, **sizes):
        _, test = augmentation.hold_out_last(log, sizes["held_out"])
        return fakes_tested(log, invent, n, **sizes)[0], test

    def short_old(log, invent, n, **sizes):
        _, test = augmentation.hold_out_last(log, sizes["held_out"])
        return shipped(log, invent, n, **sizes)[0], test

    def both(log, invent, n, **sizes):
        return right(log, invent, n, **sizes)[0], fakes_tested(log, invent, n, **sizes)[1]

    def on_the_test(log, invent, n, *, held_out, length):
        train, test = augmentation.hold_out_last(log, held_out)
        return profiles.inject(log, invent(rows_of(train, length), n)), test

    def nobody(log, invent, n, *, held_out, length):
        return augmentation.hold_out_last(log, held_out)

    messages = {
        refused("05.5", old_rows, "also the films of the test"),
        refused("05.5", fakes_tested, "Whom do you want to serve"),
        refused("05.5", short, "lost their last films"),
        refused("05.5", short_old, "still reads the whole log"),
        refused("05.5", both, "at the same time"),
        refused("05.5", on_the_test, "still in the training data"),
        refused("05.5", nobody, "nobody was added"),
    }
    assert len(messages) == 7

    def no_stride(log, invent, n, *, held_out, length):
        train, test = augmentation.hold_out_last(log, held_out)
        return profiles.inject(train, invent(augmentation.full_rows(train, length=length), n)), test

    def notebook_sizes(log, invent, n, *, held_out, length):
        train, test = augmentation.hold_out_last(log, 5)
        return profiles.inject(train, invent(rows_of(train, 12), n)), test

    refused("05.5", no_stride, "keep stride")
    refused("05.5", lambda log, invent, n, **sizes: right(log, invent, n, **sizes)[::-1], "training data first")
    refused("05.5", notebook_sizes, "`invent` got no rows", "`length` and `held_out`")
    refused("05.5", lambda log, invent, n, **sizes: right(log, invent, n, **sizes)[0], "two Interactions")


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_the_course_version_is_right(advrec, number):
    entry = exercise(f"05.{number}")
    assert entry.judge(entry.course(advrec)).status == CORRECT


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_the_stub_is_not_attempted(advrec, number):
    def stub(*values, **settings):
        """Do nothing yet."""

    assert exercise(f"05.{number}").judge(stub).status == NOT_ATTEMPTED
