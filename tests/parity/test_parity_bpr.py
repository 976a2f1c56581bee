"""BPR of both tracks: loss, gradient by formula, negatives, and the training loop."""

import importlib

import numpy as np
import pytest

from advrec_teach import reference
from advrec_teach.splits import Interactions

TOLERANCE = 1e-5


def interactions(n_users=30, n_items=40, share=0.2, seed=0):
    table = np.random.default_rng(seed).random((n_users, n_items)) < share
    table[:, 0] = False
    table[np.arange(n_users), 1 + np.arange(n_users) % (n_items - 1)] = True
    users, items = np.nonzero(table)
    order = np.random.default_rng(seed).permutation(len(users))
    return Interactions(users[order], items[order], n_users, n_items)


def vectors(advrec, model):
    return advrec.numpy(model.user_vectors).copy(), advrec.numpy(model.item_vectors).copy()


def first_slopes(start, triples, regularisation):
    """Return the gradient of the regularised loss with respect to all vectors, users first."""
    (p, q), (u, i, j) = start, triples
    _, dp, dqi, dqj = reference.bpr_gradients(p[u], q[i], q[j])
    slopes = [np.zeros(p.shape), np.zeros(q.shape)]
    weight = 2 * regularisation / len(u)
    np.add.at(slopes[0], u, dp + weight * p[u])
    np.add.at(slopes[1], i, dqi + weight * q[i])
    np.add.at(slopes[1], j, dqj + weight * q[j])
    return np.concatenate(slopes)


# --- loss and gradient


def test_loss(advrec):
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(0, 3, 50), rng.normal(0, 3, 50)
    loss = advrec.numpy(advrec.bpr_loss(advrec.tensor(positive), advrec.tensor(negative)))
    assert loss.shape == () and loss == pytest.approx(reference.bpr_loss(positive, negative), abs=TOLERANCE)
    far = advrec.numpy(advrec.bpr_loss(advrec.tensor([-500.0]), advrec.tensor([500.0])))
    assert far == 1000


def test_gradient_by_formula_equals_reference_and_automatic_differentiation(advrec, ops):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(0, 0.7, (20, 6)) for _ in range(3)]
    tensors = tuple(advrec.tensor(a) for a in arrays)
    by_formula = advrec.bpr_gradients(*tensors)

    def loss_fn(triple):
        p, qi, qj = triple
        return advrec.bpr_loss(ops.sum(p * qi, 1), ops.sum(p * qj, 1))

    value, automatic = advrec.value_and_grad(loss_fn, tensors)
    expected = reference.bpr_gradients(*arrays)
    for ours, tape, truth in zip(by_formula, (value, *automatic), expected, strict=True):
        np.testing.assert_allclose(advrec.numpy(ours), truth, atol=TOLERANCE)
        np.testing.assert_allclose(advrec.numpy(ours), advrec.numpy(tape), atol=1e-7)


# --- model


def test_model_scores(advrec):
    model = advrec.BPRModel(5, 7, dim=3, seed=2)
    p, q = vectors(advrec, model)
    assert p.shape == (5, 3) and q.shape == (7, 3)
    users, items = np.array([0, 4, 2]), np.array([6, 0, 2])
    pairs = advrec.numpy(model(advrec.tensor(users), advrec.tensor(items)))
    np.testing.assert_allclose(pairs, (p[users] * q[items]).sum(1), atol=1e-7)
    np.testing.assert_allclose(advrec.numpy(model.score_all()), p @ q.T, atol=1e-7)
    np.testing.assert_allclose(advrec.numpy(model.score_all(advrec.tensor(users))), p[users] @ q.T, atol=1e-7)
    assert not getattr(model.score_all(), "requires_grad", False)


def test_first_vectors_are_the_same_in_both_tracks(advrec):
    p, q = vectors(advrec, advrec.BPRModel(400, 300, dim=8, seed=5, std=0.2))
    rng = np.random.default_rng(5)
    np.testing.assert_array_equal(p, rng.normal(0, 0.2, (400, 8)).astype(np.float32))
    np.testing.assert_array_equal(q, rng.normal(0, 0.2, (300, 8)).astype(np.float32))
    other, _ = vectors(advrec, advrec.BPRModel(400, 300, dim=8, seed=6, std=0.2))
    assert np.abs(p - other).max() > 0.1


def test_a_copy_has_memory_of_its_own(advrec):
    model = advrec.BPRModel(30, 40, dim=4, seed=1)
    before = vectors(advrec, model)
    twin = model.copy()
    for ours, theirs in zip(before, vectors(advrec, twin), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    advrec.fit_bpr(twin, interactions(), epochs=1)
    assert np.abs(vectors(advrec, twin)[0] - before[0]).max() > 0
    np.testing.assert_array_equal(vectors(advrec, model)[0], before[0])


# --- negatives


def test_negatives_are_unseen_and_uniform(advrec):
    seen = np.zeros((3, 6), bool)
    seen[0, [1, 2]] = True
    seen[1, :5] = True
    users = np.repeat([0, 1, 2], 4000)
    drawn = advrec.numpy(
        advrec.draw_negatives(advrec.tensor(users), advrec.tensor(seen), generator=advrec.generator(0))
    )
    assert drawn.shape == users.shape and drawn.dtype == np.int64
    counts = np.array([np.bincount(drawn[users == u], minlength=6) for u in range(3)])
    assert not counts[seen].any()
    for u in range(3):
        share = 1 / (~seen[u]).sum()
        error = 5 * np.sqrt(4000 * share * (1 - share))
        np.testing.assert_allclose(counts[u][~seen[u]], 4000 * share, atol=error)


def test_negatives_repeat_with_their_generator(advrec):
    train = interactions()
    users, seen = advrec.tensor(train.users), advrec.tensor(train.table())

    def draw(seed):
        return advrec.numpy(advrec.draw_negatives(users, seen, generator=advrec.generator(seed)))

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()
    free = advrec.numpy(advrec.draw_negatives(users, seen))
    assert not train.table()[train.users, free].any()
    source = advrec.generator(1)
    first, second = (advrec.numpy(advrec.draw_negatives(users, seen, generator=source)) for _ in range(2))
    assert (first != second).any()
    assert advrec.numpy(advrec.draw_negatives(users[:0], seen)).shape == (0,)


def test_a_user_who_has_seen_everything_is_refused(advrec):
    seen = np.zeros((2, 5), bool)
    seen[1] = True
    users = advrec.tensor([0, 0, 0])
    assert advrec.numpy(advrec.draw_negatives(users, advrec.tensor(seen))).shape == (3,)
    with pytest.raises(ValueError, match="has seen every item"):
        advrec.draw_negatives(advrec.tensor([0, 1, 0]), advrec.tensor(seen))


def test_one_unseen_item_is_found_among_many(advrec):
    seen = np.ones((1, 2000), bool)
    seen[0, 777] = False
    drawn = advrec.draw_negatives(advrec.tensor(np.zeros(50, int)), advrec.tensor(seen), generator=advrec.generator(0))
    np.testing.assert_array_equal(advrec.numpy(drawn), 777)


# --- training


@pytest.mark.parametrize("compile", [None, False])
@pytest.mark.parametrize("regularisation", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_training_equals_the_frameworks_own(advrec, ops, track, monkeypatch, optimizer, regularisation, compile):
    train = interactions(n_users=6, n_items=7, share=0.3)
    # The same negative for a user at every draw: the triples then do not depend on the order of the epoch.
    unseen = np.array([np.flatnonzero(~row)[-1] for row in train.table()])
    triples = train.users, train.items, unseen[train.users]
    module = importlib.import_module(f"advrec_teach.{track}._training")
    table = advrec.tensor(unseen)
    monkeypatch.setattr(module, "draw_negatives", lambda users, seen, generator: ops.take(table, users))
    settings = {"learning_rate": 0.05, "regularisation": regularisation, "optimizer": optimizer}
    model, twin = (advrec.BPRModel(6, 7, dim=3, seed=92, std=0.5) for _ in range(2))
    # The first step of Adagrad and Adam divides a slope by its own size, so one that rounding can turn over would
    # compare nothing.
    slopes = first_slopes(vectors(advrec, model), triples, regularisation)
    assert np.abs(slopes[slopes != 0]).min() > 1e-3
    history = advrec.fit_bpr(model, train, epochs=6, batch_size=10**6, compile=compile, **settings)
    losses = ops.fit_by_autograd(twin, triples, steps=6, **settings)
    np.testing.assert_allclose([record["loss"] for record in history], losses, atol=TOLERANCE)
    for ours, theirs in zip(vectors(advrec, model), vectors(advrec, twin), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_the_first_step_equals_the_reference(advrec, ops, track, monkeypatch):
    train = interactions()
    unseen = np.array([np.flatnonzero(~row)[0] for row in train.table()])
    module = importlib.import_module(f"advrec_teach.{track}._training")
    table = advrec.tensor(unseen)
    monkeypatch.setattr(module, "draw_negatives", lambda users, seen, generator: ops.take(table, users))
    model = advrec.BPRModel(30, 40, dim=8, seed=1)
    p, q = (v.astype(np.float64) for v in vectors(advrec, model))
    u, i, j = train.users, train.items, unseen[train.users]
    loss, dp, dqi, dqj = reference.bpr_gradients(p[u], q[i], q[j])
    np.subtract.at(p, u, dp)
    np.subtract.at(q, i, dqi)
    np.subtract.at(q, j, dqj)
    (record,) = advrec.fit_bpr(
        model, train, epochs=1, batch_size=10**6, learning_rate=1.0, regularisation=0.0, optimizer="sgd"
    )
    assert record["loss"] == pytest.approx(loss, abs=TOLERANCE)
    for ours, theirs in zip(vectors(advrec, model), (p, q), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 100, 10**6])
def test_an_epoch_visits_every_interaction(advrec, track, monkeypatch, batch_size):
    train = interactions(n_users=12, n_items=15)
    n = len(train)
    module = importlib.import_module(f"advrec_teach.{track}._training")
    draw, visited = module.draw_negatives, []

    def watch(users, seen, *, generator):
        visited.append(advrec.numpy(users))
        return draw(users, seen, generator=generator)

    monkeypatch.setattr(module, "draw_negatives", watch)
    advrec.fit_bpr(advrec.BPRModel(12, 15, dim=2), train, epochs=2, batch_size=batch_size)
    batches = -(-n // batch_size)
    for users in visited:
        assert n <= len(users) < n + batches and len(users) % batches == 0
        np.testing.assert_array_equal(np.sort(users[:n]), np.sort(train.users))
    assert (visited[0] != visited[1]).any()


def test_training_learns_repeats_and_depends_on_its_seed(advrec):
    train = interactions()

    def fit(seed, **changes):
        model = advrec.BPRModel(30, 40, dim=8, seed=0)
        history = advrec.fit_bpr(model, train, epochs=60, seed=seed, batch_size=64, **changes)
        return model, history

    model, history = fit(0)
    assert [record["epoch"] for record in history] == list(range(1, 61))
    assert all(set(record) == {"epoch", "loss", "seconds"} and record["seconds"] > 0 for record in history)
    assert history[0]["loss"] == pytest.approx(np.log(2), abs=0.05)
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    scores = advrec.numpy(model.score_all())
    table = train.table()
    below = [(row[~hit][None] < row[hit][:, None]).mean() for row, hit in zip(scores, table, strict=True)]
    assert np.mean(below) > 0.9
    again, _ = fit(0)
    np.testing.assert_array_equal(vectors(advrec, again)[0], vectors(advrec, model)[0])
    other, _ = fit(1)
    assert np.abs(vectors(advrec, other)[0] - vectors(advrec, model)[0]).max() > 1e-3


def test_bfloat16_rounds_the_slopes_and_nothing_else(advrec):
    train = interactions()
    moves = []
    for precision in ("float32", "bfloat16"):
        model = advrec.BPRModel(30, 40, dim=8, seed=0, std=0.5)
        before = np.concatenate(vectors(advrec, model))
        settings = {"learning_rate": 1.0, "optimizer": "sgd", "batch_size": 10**6, "regularisation": 0.1}
        advrec.fit_bpr(model, train, epochs=1, precision=precision, **settings)
        after = np.concatenate(vectors(advrec, model))
        assert after.dtype == np.float32
        moves.append(after - before)
    error = np.linalg.norm(moves[1] - moves[0]) / np.linalg.norm(moves[0])
    # bfloat16 keeps 8 bits, so that one rounding is off by up to 2 ** -9 of a number; a slope is rounded a few times.
    assert 2**-12 < error < 2**-6


def test_compiling_changes_nothing_but_the_time(advrec, quick_compiler):
    train = interactions()
    fitted = []
    for compile in (True, False):
        model = advrec.BPRModel(30, 40, dim=8, seed=0)
        advrec.fit_bpr(model, train, epochs=3, batch_size=64, compile=compile)
        fitted.append(vectors(advrec, model)[0])
    np.testing.assert_allclose(*fitted, atol=TOLERANCE)


def test_callback_sees_the_trained_model_and_can_stop(advrec):
    seen = []

    def callback(model, record):
        seen.append((record["epoch"], vectors(advrec, model)[0]))
        return record["epoch"] == 3

    model = advrec.BPRModel(30, 40, dim=8)
    history = advrec.fit_bpr(model, interactions(), epochs=9, callback=callback)
    assert [epoch for epoch, _ in seen] == [1, 2, 3] and len(history) == 3
    assert np.abs(seen[0][1] - seen[1][1]).max() > 0
    np.testing.assert_array_equal(seen[2][1], vectors(advrec, model)[0])


def test_no_epoch_changes_nothing(advrec):
    model = advrec.BPRModel(30, 40, dim=8)
    before = vectors(advrec, model)[0]
    assert advrec.fit_bpr(model, interactions(), epochs=0) == []
    np.testing.assert_array_equal(vectors(advrec, model)[0], before)


def test_mistakes_are_named(advrec):
    model = advrec.BPRModel(30, 40, dim=8)
    with pytest.raises(ValueError, match="optimizer is 'lbfgs'"):
        advrec.fit_bpr(model, interactions(), epochs=1, optimizer="lbfgs")
    with pytest.raises(ValueError, match="User 0 has every item"):
        full = Interactions(np.zeros(2, int), np.arange(2), 1, 2)
        advrec.fit_bpr(advrec.BPRModel(1, 2), full, epochs=1)
    with pytest.raises(ValueError, match="model holds 3 users and 4 items, train 30 and 40"):
        advrec.fit_bpr(advrec.BPRModel(3, 4), interactions(), epochs=1)
