"""Adversarial training of both tracks: one step against NumPy, and what must hold of every run."""

import importlib

import numpy as np
import pytest
from test_parity_bpr import TOLERANCE, interactions, vectors

from advrec_teach import reference


@pytest.fixture
def fixed_negatives(advrec, ops, track, monkeypatch):
    """Return interactions and triples: each user has one negative, so that they do not depend on the epoch's order."""
    train = interactions(n_users=12, n_items=15)
    unseen = np.array([np.flatnonzero(~row)[-1] for row in train.table()])
    module = importlib.import_module(f"advrec_teach.{track}._training")
    table = advrec.tensor(unseen)
    monkeypatch.setattr(module, "draw_negatives", lambda users, seen, generator: ops.take(table, users))
    return train, (train.users, train.items, unseen[train.users])


def slopes(start, triples):
    """Return the BPR loss and its gradient with respect to both tables."""
    (p, q), (u, i, j) = start, triples
    loss, dp, dqi, dqj = reference.bpr_gradients(p[u], q[i], q[j])
    gradient = [np.zeros(p.shape), np.zeros(q.shape)]
    np.add.at(gradient[0], u, dp)
    np.add.at(gradient[1], i, dqi)
    np.add.at(gradient[1], j, dqj)
    return loss, gradient


def one_step(start, triples, *, eps, weight, regularisation, tables):
    """Return both losses and the tables after a step of plain gradient descent of length 1."""
    start = [v.astype(np.float64) for v in start]
    loss, clean = slopes(start, triples)
    moved = [
        v + (reference.fgm_delta(g, eps=eps) if name in tables else 0)
        for name, v, g in zip(("users", "items"), start, clean, strict=True)
    ]
    attacked_loss, attacked = slopes(moved, triples)
    u, i, j = triples
    decay = 2 * regularisation / len(u)
    shrink = [np.zeros(v.shape) for v in start]
    np.add.at(shrink[0], u, decay * start[0][u])
    for ids in (i, j):
        np.add.at(shrink[1], ids, decay * start[1][ids])
    after = [v - g - weight * a - s for v, g, a, s in zip(start, clean, attacked, shrink, strict=True)]
    return loss, attacked_loss, after


@pytest.mark.parametrize("compile", [None, False])
@pytest.mark.parametrize("tables", [("users", "items"), ("users",), ("items",)])
def test_a_step_equals_the_reference(advrec, fixed_negatives, tables, compile):
    train, triples = fixed_negatives
    model = advrec.BPRModel(12, 15, dim=4, seed=3, std=0.5)
    loss, attacked, after = one_step(
        vectors(advrec, model), triples, eps=0.7, weight=0.6, regularisation=0.1, tables=tables
    )
    (record,) = advrec.fit_adversarial(
        model,
        train,
        epochs=1,
        eps=0.7,
        adv_weight=0.6,
        tables=tables,
        batch_size=10**6,
        learning_rate=1.0,
        regularisation=0.1,
        optimizer="sgd",
        compile=compile,
    )
    assert record["loss"] == pytest.approx(loss, abs=TOLERANCE)
    assert record["adversarial_loss"] == pytest.approx(attacked, abs=TOLERANCE)
    assert attacked > loss + 0.1 and record["eps"] == 0.7
    for ours, truth in zip(vectors(advrec, model), after, strict=True):
        np.testing.assert_allclose(ours, truth, atol=TOLERANCE)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_without_weight_it_is_plain_training(advrec, optimizer):
    train = interactions()
    fitted = []
    for fit in (
        lambda model, **settings: advrec.fit_bpr(model, train, **settings),
        lambda model, **settings: advrec.fit_adversarial(model, train, eps=0.5, adv_weight=0.0, **settings),
    ):
        model = advrec.BPRModel(30, 40, dim=8, seed=0)
        history = fit(model, epochs=3, batch_size=64, seed=4, regularisation=0.1, optimizer=optimizer)
        fitted.append((vectors(advrec, model)[1], [record["loss"] for record in history]))
    np.testing.assert_allclose(fitted[0][1], fitted[1][1], atol=TOLERANCE)
    np.testing.assert_allclose(fitted[0][0], fitted[1][0], atol=TOLERANCE)


def test_without_radius_the_two_losses_are_one(advrec):
    model = advrec.BPRModel(30, 40, dim=8, seed=0)
    history = advrec.fit_adversarial(model, interactions(), epochs=2, eps=0.0, batch_size=64)
    for record in history:
        assert record["adversarial_loss"] == pytest.approx(record["loss"], abs=1e-6)


def test_the_attack_is_stronger_than_noise_of_its_length(advrec):
    losses = {}
    for direction in ("fgm", "random"):
        model = advrec.BPRModel(30, 40, dim=8, seed=0, std=0.5)
        (record,) = advrec.fit_adversarial(
            model, interactions(), epochs=1, eps=0.5, direction=direction, batch_size=10**6, learning_rate=1e-9
        )
        losses[direction] = record["adversarial_loss"] - record["loss"]
    assert losses["fgm"] > 3 * abs(losses["random"]) > 0


def test_a_schedule_sets_the_radius_of_every_epoch(advrec):
    asked = []

    def rising(epoch):
        asked.append(epoch)
        return 0.1 * epoch

    model = advrec.BPRModel(30, 40, dim=8)
    history = advrec.fit_adversarial(model, interactions(), epochs=3, eps=rising)
    assert asked == [1, 2, 3]
    assert [record["eps"] for record in history] == pytest.approx([0.1, 0.2, 0.3])
    gaps = [record["adversarial_loss"] - record["loss"] for record in history]
    assert gaps[0] < gaps[1] < gaps[2]


def test_it_repeats_and_depends_on_its_seed(advrec):
    def fit(seed, direction):
        model = advrec.BPRModel(30, 40, dim=8, seed=0)
        advrec.fit_adversarial(model, interactions(), epochs=2, eps=0.5, seed=seed, direction=direction, batch_size=64)
        return vectors(advrec, model)[0]

    for direction in ("fgm", "random"):
        np.testing.assert_array_equal(fit(0, direction), fit(0, direction))
        assert np.abs(fit(0, direction) - fit(1, direction)).max() > 1e-3


def test_bfloat16_rounds_the_slopes(advrec):
    moves = []
    for precision in ("float32", "bfloat16"):
        model = advrec.BPRModel(30, 40, dim=8, seed=0, std=0.5)
        before = np.concatenate(vectors(advrec, model))
        settings = {"learning_rate": 1.0, "optimizer": "sgd", "batch_size": 10**6, "regularisation": 0.1}
        advrec.fit_adversarial(model, interactions(), epochs=1, eps=0.3, precision=precision, **settings)
        moves.append(np.concatenate(vectors(advrec, model)) - before)
    error = np.linalg.norm(moves[1] - moves[0]) / np.linalg.norm(moves[0])
    assert 2**-12 < error < 2**-5


def test_callback_stops(advrec):
    model = advrec.BPRModel(30, 40, dim=8)
    history = advrec.fit_adversarial(model, interactions(), epochs=9, eps=0.5, callback=lambda m, r: r["epoch"] == 2)
    assert len(history) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eps": -1.0}, "eps is -1.0"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"eps": lambda epoch: -2.0}, "eps is -2.0"),
        ({"eps": 0.5, "adv_weight": -1}, "adv_weight is -1"),
        ({"eps": 0.5, "direction": "sign"}, "direction is 'sign'"),
        ({"eps": 0.5, "tables": "users"}, "tables is 'users'"),
        ({"eps": 0.5, "tables": ()}, r"tables is \(\)"),
        ({"eps": 0.5, "tables": ("films",)}, "tables is"),
        ({"eps": 0.5, "optimizer": "lbfgs"}, "optimizer is 'lbfgs'"),
    ],
)
def test_mistakes_are_named(advrec, settings, message):
    model = advrec.BPRModel(30, 40, dim=8)
    before = vectors(advrec, model)[0]
    with pytest.raises(ValueError, match=message):
        advrec.fit_adversarial(model, interactions(), epochs=1, **settings)
    np.testing.assert_array_equal(vectors(advrec, model)[0], before)
