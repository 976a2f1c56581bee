"""Lesson 07: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED


def test_what_the_opponent_sees(advrec, ops):
    def loss(judge, shown, rows, *, real=None, condition=None, signs=(-1, 1), over=None):
        over = over or ops.mean
        on_real = ops.softplus(signs[0] * judge(rows if real is None else real, rows))
        on_made = ops.softplus(signs[1] * judge(shown, rows if condition is None else condition))
        return over(on_real) + over(on_made)

    def right(judge, made, rows, chosen):
        return loss(judge, made * (rows + chosen), rows)

    def by_where(judge, made, rows, chosen):
        shown = ops.where(rows + chosen > 0, made, 0 * made)
        return advrec.discriminator_loss(judge(rows, rows), judge(shown, rows))

    assert exercise("07.1").judge(right).status == CORRECT
    assert exercise("07.1").judge(by_where).status == CORRECT

    def with_mask(mask, **settings):
        return lambda judge, made, rows, chosen: loss(judge, made * mask(rows, chosen), rows, **settings)

    def both(rows, chosen):
        return rows + chosen

    def made_condition(judge, made, rows, chosen):
        shown = made * (rows + chosen)
        return loss(judge, shown, rows, condition=shown)

    def mask_as_row(judge, made, rows, chosen):
        return loss(judge, made * (rows + chosen), rows, real=rows + chosen)

    messages = {
        refused("07.1", with_mask(lambda rows, chosen: 1), "sees the whole made row"),
        refused("07.1", with_mask(lambda rows, chosen: rows), "at the ones alone"),
        refused("07.1", with_mask(lambda rows, chosen: chosen), "at the chosen zeros, and not"),
        refused("07.1", with_mask(lambda rows, chosen: 1 - rows - chosen), "hides what should be seen"),
        refused("07.1", with_mask(both, signs=(1, -1)), "rewarded for calling real rows made"),
        refused("07.1", with_mask(both, signs=(-1, -1)), "what the generator wants"),
        refused("07.1", with_mask(both, over=ops.sum), "you sum over the rows"),
        refused("07.1", with_mask(both, over=lambda v: v), "one number for each row"),
        refused("07.1", made_condition, "beside itself"),
        refused("07.1", mask_as_row, "the mask in place of the real row"),
        refused("07.1", lambda *args: right(*args) / 2, "half of what it should be"),
        refused("07.1", lambda *args: -right(*args), "that of a gain"),
        refused(
            "07.1", lambda judge, made, rows, k: ops.mean(ops.softplus(judge(made * (rows + k), rows))), "the real"
        ),
        refused("07.1", lambda judge, made, rows, k: ops.mean(ops.softplus(-judge(rows, rows))), "leave out the made"),
    }
    messages |= {
        refused(
            "07.1",
            lambda judge, made, rows, k: advrec.discriminator_loss(judge(rows, rows), judge(rows, made * (rows + k))),
            "What is judged comes first",
        ),
        refused(
            "07.1",
            lambda judge, made, rows, k: ops.mean(judge(made * (rows + k), rows)) - ops.mean(judge(rows, rows)),
            "average the logits themselves",
        ),
    }
    assert len(messages) == 16
    refused("07.1", lambda *args: 3 * right(*args), "expected")
    refused("07.1", lambda *args: float(right(*args)), "the value is right", "a float", "a tensor is asked for")
    refused("07.1", lambda *args: advrec.numpy(right(*args)), "the value is right", "an array of NumPy's")


def test_pay_for_what_was_drawn(advrec, ops):
    def lesson(logits, items, rewards):
        return advrec.policy_loss(logits, items, rewards)

    def by_hand(logits, items, rewards):
        top = logits - advrec.tensor(advrec.numpy(logits).max(1, keepdims=True))
        sums = advrec.tensor(np.ones((top.shape[1], 1)))
        log_p = top - ops.log(ops.matmul(2.718281828459045**top, sums))
        return -ops.mean(rewards * pick(log_p, items))

    def pick(values, items):
        one_hot = np.eye(values.shape[1], dtype=np.float32)[advrec.numpy(items)]  # [users, draws, films]
        found = ops.matmul(advrec.tensor(one_hot), values[:, :, None])
        return found[:, :, 0]

    assert exercise("07.3").judge(lesson).status == CORRECT
    assert exercise("07.3").judge(by_hand).status == CORRECT

    def per_draw(logits, items):
        """Log-probabilities of the drawn films, safe for large scores."""
        return pick(logits - rowwise(logits), items)

    def rowwise(logits):
        top = advrec.tensor(advrec.numpy(logits).max(1, keepdims=True))
        ones = advrec.tensor(np.ones((logits.shape[1], 1)))
        return top + ops.log(ops.matmul(2.718281828459045 ** (logits - top), ones))

    def weighted(worth, over=ops.mean):
        return lambda logits, items, rewards: -over(worth(rewards) * per_draw(logits, items))

    def drawn_only(logits, items, rewards):
        few = pick(logits, items)
        return -ops.mean(rewards * (few - rowwise(few)))

    def users(v):
        return advrec.tensor(advrec.numpy(v).mean(1, keepdims=True))

    messages = {
        refused("07.3", lambda z, i, r: -ops.mean(r * 2.718281828459045 ** per_draw(z, i)), "the probability itself"),
        refused("07.3", lambda z, i, r: -ops.mean(r * pick(z, i)), "weight the scores"),
        refused("07.3", lambda z, i, r: ops.mean(r * ops.softplus(-pick(z, i))), "a sigmoid of each score"),
        refused("07.3", drawn_only, "over the films that were drawn"),
        refused("07.3", lambda z, i, r: ops.mean(r * per_draw(z, i)), "less likely what was paid for"),
        refused("07.3", weighted(ops.ones_like), "whatever it is worth"),
        refused("07.3", weighted(lambda r: r - ops.mean(r)), "take the mean reward off"),
        refused("07.3", weighted(lambda r: r - users(r)), "each user's mean reward"),
        refused("07.3", weighted(lambda r: r, ops.sum), "sum over users and draws"),
        refused("07.3", weighted(lambda r: r, lambda v: v), "a number for each draw"),
        refused("07.3", lambda z, i, r: i.shape[1] * lesson(z, i, r), "average over the users"),
    }
    assert len(messages) == 11
    refused("07.3", lambda z, i, r: float(lesson(z, i, r)), "no gradient reaches logits")
    refused("07.3", lambda z, i, r: 2 * lesson(z, i, r), "expected")


def test_the_best_model(advrec):
    def right(validation, test):
        return test[np.unravel_index(validation.argmax(), validation.shape)]

    def loops(validation, test):
        place = max(np.ndindex(validation.shape), key=lambda p: validation[p])
        return float(test[place])

    assert exercise("07.4").judge(right).status == CORRECT
    assert exercise("07.4").judge(loops).status == CORRECT
    assert exercise("07.4").judge(lambda v, t: t.ravel()[v.argmax()]).status == CORRECT

    def copied(validation, test):
        best = 0.0
        for run in test:
            for value in run:
                if value > best:
                    best = value
        return best

    def each(v, t):
        return t[np.arange(len(t)), v.argmax(axis=1)]

    messages = {
        refused("07.4", copied, "the test films chose the model"),
        refused("07.4", lambda v, t: v.max(), "flattered"),
        refused("07.4", lambda v, t: each(v, t).mean(), "average over the runs"),
        refused("07.4", lambda v, t: each(v, t).max(), "the run that is best on test films"),
        refused("07.4", lambda v, t: t[v.max(axis=1).argmax()].max(), "test films choose the round"),
        refused("07.4", lambda v, t: t[v.max(axis=1).argmax()][-1], "the last round of the run"),
        refused("07.4", lambda v, t: t[v[:, -1].argmax(), -1], "the last rounds only"),
        refused("07.4", lambda v, t: t.mean(), "nobody chose"),
        refused("07.4", lambda v, t: t.max(axis=1).mean(), "in every run the test films chose"),
        refused("07.4", lambda v, t: t.ravel()[v.argmin()], "*lowest* precision"),
        refused("07.4", lambda v, t: v.ravel()[t.argmax()], "wrong way round"),
        refused("07.4", lambda v, t: t.ravel()[(v + t).argmax()], "sum of both tables"),
    }
    assert len(messages) == 12


@pytest.mark.parametrize(("identifier", "right", "wrong"), [("07.2", "c", "abd"), ("07.5", "b", "acde")])
def test_the_predictions(advrec, identifier, right, wrong):
    assert exercise(identifier).judge(right).status == CORRECT
    assert exercise(identifier).judge(None).status == NOT_ATTEMPTED
    messages = [refused(identifier, letter) for letter in wrong]
    assert len(set(messages)) == len(wrong) and "none of the options" in messages[-1]
