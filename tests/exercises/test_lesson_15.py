"""Lesson 15: right answers pass, and each wrong answer is refused with its own message, in both tracks."""

import numpy as np
import pytest
from verdicts import refused

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED

BOTH = (1, 2)


@pytest.fixture
def track_ops(advrec, track):
    """Return sum over axes that stay, square root, sign and largest absolute entry of a text, in the track's words."""
    if track == "pytorch":
        import torch

        def total(t, axes):
            return torch.sum(t) if axes is None else torch.sum(t, dim=axes, keepdim=True)

        return total, torch.sqrt, torch.sign, lambda t: torch.amax(abs(t), dim=BOTH, keepdim=True), torch.clamp
    import tensorflow as tf

    def total(t, axes):
        return tf.reduce_sum(t) if axes is None else tf.reduce_sum(t, axis=axes, keepdims=True)

    return total, tf.sqrt, tf.sign, lambda t: tf.reduce_max(abs(t), axis=BOTH, keepdims=True), tf.clip_by_value


@pytest.fixture
def moves(advrec, ops, track_ops):
    """Return a maker of the move with one thing changed."""
    total, root, sign, largest, _ = track_ops

    def make(*, mask="first", over=BOTH, squared=False, way_of=None, factor=1.0, safe=True):
        def answer(way, ids, *, eps):
            real = advrec.tensor((advrec.numpy(ids) != 0)[..., None].astype(np.float32))
            way = way * real if mask == "first" else way
            if way_of is not None:
                moved = way_of(way)
            else:
                length = total(way**2, over)
                length = length if squared else root(length)
                moved = way / (ops.where(length > 0, length, ops.ones_like(length)) if safe else length)
            return factor * eps * (moved * real if mask == "last" else moved)

        return answer

    make.sign, make.largest = sign, largest
    return make


def test_a_move_for_each_text(advrec, ops, moves, track_ops):
    total, root, _, _, clip = track_ops

    def by_factor(factor):
        """Return the move that multiplies what is no padding by a factor made of its length and eps."""

        def answer(way, ids, *, eps):
            way = way * advrec.tensor((advrec.numpy(ids) != 0)[..., None].astype(np.float32))
            return way * factor(root(total(way**2, BOTH)), eps)

        return answer

    def by_package(way, ids, *, eps):
        real = advrec.tensor((advrec.numpy(ids) != 0)[..., None].astype(np.float32))
        return advrec.fgm_delta(lambda x: ops.sum(x * way * real), 0 * way, eps=eps)

    def long_way(way, ids, *, eps):
        rows = []
        for text, word in zip(advrec.numpy(way), advrec.numpy(ids), strict=True):
            kept = np.where((word != 0)[:, None], text, 0)
            size = np.linalg.norm(kept)
            rows.append(eps * kept / size if size > 0 else kept)
        return advrec.tensor(np.stack(rows))

    hardly_more = by_factor(lambda length, eps: eps / (length + 1e-8))
    for right in (moves(), by_package, long_way, hardly_more):
        assert exercise("15.1").judge(right).status == CORRECT
    assert exercise("15.1").judge(None).status == NOT_ATTEMPTED
    messages = {
        refused("15.1", moves(over=None), "the length of the whole batch. Then"),
        refused("15.1", moves(mask="never", over=None), "padding included"),
        refused("15.1", moves(over=(2,)), "every *word* the length eps"),
        refused("15.1", moves(mask="never", over=(2,)), "words and padding alike"),
        refused("15.1", moves(mask="never"), "padding moves with it"),
        refused("15.1", moves(mask="last"), "still counts in the length"),
        refused("15.1", moves(squared=True), "its square root"),
        refused("15.1", moves(over=(1,)), "each coordinate has a length"),
        refused("15.1", moves(way_of=moves.sign), "you take the signs"),
        refused("15.1", moves(way_of=lambda way: way), "divide by nothing"),
        refused("15.1", moves(factor=-1.0), "against the direction"),
        refused("15.1", moves(way_of=lambda w: w / (moves.largest(w) + 1e-30)), "the largest entry"),
        refused("15.1", moves(safe=False), "0 divided by 0"),
        refused("15.1", by_factor(lambda length, eps: clip(eps / length, 0.0, 1.0)), "you shorten the directions"),
        refused(
            "15.1", by_factor(lambda length, eps: eps / clip(length, 1e-3, 1e9)), "a text whose direction is short"
        ),
    }
    assert len(messages) == 15
    refused("15.1", moves(factor=2.0), "expected")


def pieces(advrec):
    def slope(loss_fn, x, w):
        return advrec.value_and_grad(lambda v: loss_fn(v, w), x)[1]

    def gradient(loss_fn, x, w):
        return advrec.value_and_grad(lambda v: loss_fn(x, v), w)[1]

    return slope, gradient


def step_of(advrec, move, *, stay=False, clean=1.0, attacked=1.0, alone=False, factor=1.0):
    slope, gradient = pieces(advrec)

    def answer(loss_fn, words, ids, weights, *, eps):
        delta = factor * move(slope(loss_fn, words, weights), ids, eps=eps)
        here = words + delta if stay else words
        there = delta if alone else here + delta
        return clean * gradient(loss_fn, here, weights) + attacked * gradient(loss_fn, there, weights)

    return answer


def through_the_move(track, move):
    """Return the two losses' gradient that also follows the move, in the track's own words."""
    if track == "pytorch":
        import torch

        def answer(loss_fn, words, ids, weights, *, eps):
            with torch.enable_grad():
                x, w = words.clone().requires_grad_(), weights.clone().requires_grad_()
                (slope,) = torch.autograd.grad(loss_fn(x, w), x, create_graph=True)
                loss = loss_fn(words, w) + loss_fn(words + move(slope, ids, eps=eps), w)
                return torch.autograd.grad(loss, w)[0]

        return answer
    import tensorflow as tf

    def answer(loss_fn, words, ids, weights, *, eps):
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(words)
                clean = loss_fn(words, weights)
            slope = inner.gradient(clean, words)
            loss = clean + loss_fn(words + move(slope, ids, eps=eps), weights)
        return outer.gradient(loss, weights)

    return answer


def test_the_copied_step(advrec, moves, track):
    def with_pair(loss_fn, words, ids, weights, *, eps):
        _, (slope, clean) = advrec.value_and_grad(lambda pair: loss_fn(*pair), (words, weights))
        move = moves()(slope, ids, eps=eps)
        return advrec.value_and_grad(lambda w: loss_fn(words + move, w), weights)[1] + clean

    def put_back(loss_fn, words, ids, weights, *, eps):
        slope, gradient = pieces(advrec)
        kept = words
        words = words + moves()(slope(loss_fn, words, weights), ids, eps=eps)
        attacked = gradient(loss_fn, words, weights)
        return gradient(loss_fn, kept, weights) + attacked

    def both_moved(move):
        def answer(loss_fn, words, ids, weights, *, eps):
            slope, gradient = pieces(advrec)
            words = words + move(slope(loss_fn, words, weights), ids, eps=eps)
            return gradient(loss_fn, words, weights) + gradient(loss_fn, words, weights)

        return answer

    for right in (step_of(advrec, moves()), with_pair, put_back):
        assert exercise("15.2").judge(right).status == CORRECT
    copied = exercise("15.2").judge(step_of(advrec, moves(mask="never", over=None), stay=True))
    assert copied.status == NOT_ATTEMPTED and "as it was copied" in copied.message
    messages = {
        refused("15.2", step_of(advrec, moves(), stay=True), "moved twice for the other"),
        refused("15.2", step_of(advrec, moves(mask="never"), stay=True), "Two things are left"),
        refused("15.2", step_of(advrec, moves(mask="never", over=None)), "the texts still share one length: those"),
        refused("15.2", step_of(advrec, moves(over=None)), "padding stays. But"),
        refused("15.2", step_of(advrec, moves(mask="never")), "padding still moves with them"),
        refused("15.2", step_of(advrec, moves(mask="last")), "still counts in the length"),
        refused("15.2", step_of(advrec, moves(), clean=0.0), "at the moved words alone"),
        refused("15.2", step_of(advrec, moves(), attacked=0.0), "reaches nobody"),
        refused("15.2", step_of(advrec, moves(), clean=2.0, attacked=0.0), "doubled loss"),
        refused("15.2", step_of(advrec, moves(), clean=2.0), "counted twice"),
        refused("15.2", step_of(advrec, moves(), clean=0.5, attacked=0.5), "you average"),
        refused("15.2", step_of(advrec, moves(), factor=-1.0), "goes against the slope"),
        refused("15.2", step_of(advrec, moves(), alone=True), "without the words"),
        refused("15.2", step_of(advrec, moves(over=(2,))), "every *word* of yours"),
        refused("15.2", step_of(advrec, moves(mask="never", over=(2,))), "words and padding alike"),
        refused("15.2", both_moved(moves()), "do not overwrite them"),
        refused("15.2", both_moved(moves(mask="never", over=None)), "still share one length. Do not"),
        refused("15.2", both_moved(moves(mask="never")), "now, and padding moves too"),
        refused("15.2", through_the_move(track, moves()), "also goes through the move"),
    }
    assert len(messages) == 19
    refused("15.2", step_of(advrec, moves(), attacked=3.0), "expected")


def path_of(
    advrec,
    move,
    *,
    shares=None,
    keep=None,
    zero=False,
    first=False,
    clean=0.0,
    long=False,
    at_words=False,
    drift=False,
    replace=False,
    about_zero=False,
    factor=1.0,
):
    slope_of, gradient_of = pieces(advrec)
    keep = keep or (lambda delta, eps: advrec.project(delta, eps=eps, norm="l2"))

    def answer(loss_fn, words, ids, weights, start, *, eps, step, steps):
        delta, total = (0 * start if zero else start), clean * gradient_of(loss_fn, words, weights)
        for share in np.full(steps, 1 / steps) if shares is None else shares(steps):
            if not first:
                total = total + float(share) * gradient_of(loss_fn, words + delta, weights)
            slope = slope_of(loss_fn, words if at_words else words + delta, weights)
            moved = (0 if replace else delta) + factor * move(slope, ids, eps=eps if long else step)
            if drift:
                words = words + delta
            delta = keep(words + moved, eps) - words if about_zero else keep(moved, eps)
            if first:
                total = total + float(share) * gradient_of(loss_fn, words + delta, weights)
        return total

    return answer


def test_nothing_is_thrown_away(advrec, ops, moves, track_ops):
    total, root, _, _, clip = track_ops

    def listed(loss_fn, words, ids, weights, start, *, eps, step, steps):
        found, move = [], start
        for _ in range(steps):
            _, (slope, gradient) = advrec.value_and_grad(lambda pair: loss_fn(*pair), (words + move, weights))
            found.append(gradient)
            move = advrec.project(move + moves()(slope, ids, eps=step), eps=eps, norm="l2")
        return sum(found) / len(found)

    wasteful, thrifty = (exercise("15.3").judge(answer) for answer in (path_of(advrec, moves()), listed))
    assert wasteful.status == thrifty.status == CORRECT
    # Two calls at each of three places, and one that this answer makes for nothing.
    assert "the loss 7 times at 3 places" in wasteful.message and "to improve" not in thrifty.message
    right = moves()

    def only(place):
        return lambda steps: np.eye(steps)[place]

    def sphere(delta, eps):
        return moves()(delta, advrec.tensor(np.ones(delta.shape[:2], np.int64)), eps=eps)

    def word_by_word(delta, eps):
        return delta * clip(eps / root(total(delta**2, (2,))), 0.0, 1.0)

    messages = {
        refused("15.3", path_of(advrec, right, shares=only(-1)), "at the last place alone"),
        refused("15.3", path_of(advrec, right, shares=only(0)), "at the first place"),
        refused("15.3", path_of(advrec, right, shares=only(-1), first=True), "that the last step reaches"),
        refused("15.3", path_of(advrec, right, shares=np.ones), "you add the gradients up"),
        refused("15.3", path_of(advrec, right, keep=lambda delta, eps: delta), "leaves the ball"),
        refused("15.3", path_of(advrec, right, first=True), "the first place is missing"),
        refused("15.3", path_of(advrec, right, zero=True), "starts at the words"),
        refused("15.3", path_of(advrec, right, clean=1.0), "PGD's habit"),
        refused("15.3", path_of(advrec, right, long=True), "as long as the ball is wide"),
        refused("15.3", path_of(advrec, right, at_words=True), "a straight line"),
        refused("15.3", path_of(advrec, right, drift=True), "words go along"),
        refused("15.3", path_of(advrec, moves(over=None)), "share one length over the whole batch"),
        refused("15.3", path_of(advrec, moves(mask="never")), "padding moves along"),
        refused("15.3", path_of(advrec, right, factor=-1.0), "your path goes down"),
        refused("15.3", path_of(advrec, right, keep=sphere), "A ball has an inside"),
        refused("15.3", path_of(advrec, right, keep=lambda d, eps: clip(d, -eps, eps)), "that is a box"),
        refused("15.3", path_of(advrec, right, replace=True), "takes the place of the move"),
        refused("15.3", path_of(advrec, right, about_zero=True), "your ball lies around zero"),
        refused("15.3", path_of(advrec, right, keep=word_by_word), "each word's move by itself"),
        refused("15.3", path_of(advrec, moves(mask="never", over=None)), "whole batch, padding included"),
    }
    assert len(messages) == 20


@pytest.mark.parametrize("letter", ["a", "c", "d"])
def test_the_prediction(advrec, letter):
    message = refused("15.4", letter)
    assert ("none of the options" in message) == (letter == "d")
    assert exercise("15.4").judge("b").status == CORRECT
    assert exercise("15.4").judge(None).status == NOT_ATTEMPTED
