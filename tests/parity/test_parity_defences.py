"""The defences of both tracks: losses and one batch against NumPy, and what must hold of every run."""

import numpy as np
import pytest
from test_parity_adversarial import fixed_negatives as fixed_negatives
from test_parity_bpr import TOLERANCE, interactions, vectors

from advrec_teach import reference, reference_defences
from advrec_teach.reference_defences import DEFENCES, defended_gradient

SETTINGS = {"adv_weight": 0.6, "exponent": 0.4}


def batch():
    """Return a table of vectors, the rows of a batch, and random directions."""
    # The direction of a row whose slopes nearly cancel has few digits in float32; in this batch none does.
    rng = np.random.default_rng(1)
    rows = np.concatenate((rng.integers(12, size=30), 12 + rng.integers(15, size=60)))
    return rng.normal(0, 0.5, (27, 4)), rows, rng.normal(size=(27, 4))


def one_batch(advrec, track, defence, table, rows, way, eps):
    """Return the track's losses, gradient and move of a batch."""
    table, rows, way = (advrec.tensor(v) for v in (table, rows, way))
    if track == "tensorflow":
        from advrec_teach.tensorflow.defences import _losses

        settings = {name: advrec.tensor(np.float32(value)) for name, value in {**SETTINGS, "eps": eps}.items()}
        return [advrec.numpy(t) for t in _losses(defence, table, rows, way, settings)]
    import torch

    from advrec_teach.pytorch.defences import DefenceTrainer

    settings = {**SETTINGS, "replays": 1, "others": [], "generator": None}
    # Only the step is looked at, so that the directions of an epoch are drawn from PyTorch's own generator.
    trainer = DefenceTrainer(table, 30, defence=defence, optimizer="sgd", rate=1.0, regularisation=0.0, **settings)
    trainer.eps = eps
    trainer.delta.copy_(way if defence == "free" else trainer.delta)
    with torch.no_grad():
        losses = trainer.losses(rows, way)
    return [np.array([float(loss) for loss in losses]), trainer.gradient.numpy(), trainer.delta.numpy()]


@pytest.mark.parametrize("defence", DEFENCES)
def test_a_batch_equals_the_reference(advrec, track, defence):
    table, rows, way = batch()
    way = 0.1 * way if defence == "free" else way
    inputs = [v.astype(np.float32) for v in (table, way)]
    losses, gradient, move = defended_gradient(defence, inputs[0], rows, inputs[1], eps=0.7, **SETTINGS)
    ours = one_batch(advrec, track, defence, table, rows, way, 0.7)
    np.testing.assert_allclose(ours[0], losses, atol=TOLERANCE)
    np.testing.assert_allclose(ours[1], gradient, atol=TOLERANCE)
    # A row outside the batch may be moved as well: nobody looks at it.
    seen = np.unique(rows)
    np.testing.assert_allclose(ours[2][seen], move[seen], atol=TOLERANCE)


def test_losses_equal_the_reference_and_differ_where_they_should(advrec):
    rng = np.random.default_rng(1)
    clean, moved = (rng.normal(0, 3, 50).astype(np.float32) for _ in range(2))
    ours = float(advrec.smooth_loss(advrec.tensor(clean), advrec.tensor(moved)))
    assert ours == pytest.approx(reference_defences.smooth_loss(clean, moved), abs=TOLERANCE)
    assert float(advrec.smooth_loss(advrec.tensor(clean), advrec.tensor(clean))) == pytest.approx(0, abs=1e-6)
    far = advrec.tensor(np.float32([-100, 100]))
    assert np.isfinite(float(advrec.smooth_loss(far, -far)))
    for exponent in (0.01, 0.5, 1.0):
        loss = float(advrec.robust_loss(advrec.tensor(clean), exponent=exponent))
        assert loss == pytest.approx(reference_defences.robust_loss(clean, exponent=exponent), abs=1e-4)
    nearly = reference_defences.robust_loss(clean, exponent=1e-6)
    assert nearly == pytest.approx(reference.bpr_loss(clean, np.zeros(50)), abs=1e-3)


@pytest.mark.parametrize("defence", ["vat", "trades", "robust"])
def test_slopes_are_those_of_the_losses(defence):
    """The reference's gradients against differences of its losses, the move held fixed."""
    table, rows, way = batch()
    _, gradient, move = defended_gradient(defence, table, rows, way, eps=0.7, **SETTINGS)
    u, i, j = np.split(rows, 3)

    def margin(v):
        return np.sum(v[u] * (v[i] - v[j]), axis=1)

    def objective(v):
        if defence == "robust":
            return reference_defences.robust_loss(margin(v), exponent=SETTINGS["exponent"])
        before = margin(v if defence == "trades" else table)
        smooth = reference_defences.smooth_loss(before, margin(v + move))
        return np.mean(reference.softplus(-margin(v))) + SETTINGS["adv_weight"] * smooth

    for place in ((u[0], 1), (i[0], 2), (j[0], 0)):
        step = np.zeros_like(table)
        step[place] = 1e-5
        slope = (objective(table + step) - objective(table - step)) / 2e-5
        assert gradient[place] == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("compile", [None, False])
def test_a_step_of_training_follows_the_gradient(advrec, fixed_negatives, compile):
    train, (u, i, j) = fixed_negatives
    model, other = (advrec.BPRModel(12, 15, dim=4, seed=seed, std=0.5) for seed in (3, 4))
    table, lent = (np.concatenate(vectors(advrec, m)).astype(np.float64) for m in (model, other))
    rows = np.concatenate((u, i + 12, j + 12))
    settings = {"batch_size": 10**6, "learning_rate": 0.5, "regularisation": 0.1, "optimizer": "sgd"}
    turns = advrec.fit_defended(
        model, train, epochs=2, defence="ensemble", eps=0.7, others=[other], compile=compile, **settings
    )
    for record, way in zip(turns, (table, lent), strict=True):
        way = table if record["epoch"] == 1 else way
        losses, gradient, _ = defended_gradient("ensemble", table, rows, way, eps=0.7, adv_weight=1.0, exponent=0.5)
        decay = np.zeros_like(table)
        np.add.at(decay, rows, 0.2 / len(u) * table[rows])
        table = table - 0.5 * (gradient + decay)
        assert [record["loss"], record["adversarial_loss"]] == pytest.approx(losses, abs=TOLERANCE)
    np.testing.assert_allclose(np.concatenate(vectors(advrec, model)), table, atol=TOLERANCE)


def test_free_training_keeps_its_move_over_batches_replays_and_epochs(advrec, fixed_negatives):
    train, (u, i, j) = fixed_negatives
    model = advrec.BPRModel(12, 15, dim=4, seed=3, std=0.5)
    table = np.concatenate(vectors(advrec, model)).astype(np.float64)
    rows, move = np.concatenate((u, i + 12, j + 12)), np.zeros_like(table)
    settings = {"batch_size": 10**6, "learning_rate": 0.5, "regularisation": 0.0, "optimizer": "sgd"}
    advrec.fit_defended(model, train, epochs=2, defence="free", eps=0.4, replays=3, **settings)
    for _ in range(6):
        _, gradient, after = defended_gradient("free", table, rows, move, eps=0.4, **SETTINGS)
        table, move = table - 0.5 * gradient, after
    np.testing.assert_allclose(np.concatenate(vectors(advrec, model)), table, atol=TOLERANCE)


@pytest.mark.parametrize("defence", ["free", "noise", "fast"])
def test_without_radius_it_is_plain_training(advrec, defence):
    fitted = []
    for fit, settings in (
        (advrec.fit_bpr, {}),
        (advrec.fit_defended, {"defence": defence, "eps": 0.0, "replays": 1}),
    ):
        model = advrec.BPRModel(30, 40, dim=8, seed=0)
        # The directions of an epoch come from the same source as its order: one epoch has the same order in both.
        settings = settings | {"epochs": 1, "batch_size": 10**6, "regularisation": 0.1, "optimizer": "sgd"}
        fit(model, interactions(), seed=4, learning_rate=1e-3, **settings)
        fitted.append(np.concatenate(vectors(advrec, model)))
    np.testing.assert_allclose(fitted[0], fitted[1], atol=TOLERANCE)


def test_it_repeats_and_leaves_the_others_alone(advrec):
    other = advrec.BPRModel(30, 40, dim=8, seed=5)
    before = np.concatenate(vectors(advrec, other))

    def fit(defence):
        model = advrec.BPRModel(30, 40, dim=8, seed=0)
        others = [other] if defence == "ensemble" else []
        history = advrec.fit_defended(
            model,
            interactions(),
            epochs=3,
            defence=defence,
            eps=lambda epoch: 0.1 * epoch,
            others=others,
            batch_size=64,
        )
        assert [record["eps"] for record in history] == pytest.approx([0.1, 0.2, 0.3])
        return np.concatenate(vectors(advrec, model))

    for defence in DEFENCES:
        np.testing.assert_array_equal(fit(defence), fit(defence))
    np.testing.assert_array_equal(np.concatenate(vectors(advrec, other)), before)


def test_one_factor_for_all_gradients_of_a_table(advrec, fixed_negatives):
    """``direction="raw"``: lengths as the gradients', their root mean square over the moved rows of a table eps."""
    train, (u, i, j) = fixed_negatives
    model = advrec.BPRModel(12, 15, dim=4, seed=3, std=0.5)
    start = [v.astype(np.float64) for v in vectors(advrec, model)]

    def slopes(p, q):
        loss, dp, dqi, dqj = reference.bpr_gradients(p[u], q[i], q[j])
        total = [np.zeros(p.shape), np.zeros(q.shape)]
        np.add.at(total[0], u, dp)
        np.add.at(total[1], i, dqi)
        np.add.at(total[1], j, dqj)
        return loss, total

    _, gradient = slopes(*start)
    moved = []
    for v, g in zip(start, gradient, strict=True):
        length = np.linalg.norm(g, axis=1)
        moved.append(v + 0.7 * g / np.sqrt(np.mean(length[length > 0] ** 2)))
    (record,) = advrec.fit_adversarial(
        model, train, epochs=1, eps=0.7, direction="raw", batch_size=10**6, learning_rate=1e-9, optimizer="sgd"
    )
    assert record["adversarial_loss"] == pytest.approx(slopes(*moved)[0], abs=TOLERANCE)


def test_noise_at_the_places_is_weaker_than_the_attack(advrec):
    rows = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    ends = []
    for direction in ("fgm", "random", "random"):
        model = advrec.SequentialModel(10, dim=4, length=3)
        advrec.fit_sequential(model, rows, epochs=3, dropout=0.0, eps=0.5, direction=direction, negatives=None)
        ends.append(advrec.numpy(model.item_vectors))
    assert np.abs(ends[0] - ends[1]).max() > 1e-5
    np.testing.assert_array_equal(ends[1], ends[2])
    with pytest.raises(ValueError, match="direction is 'up'"):
        advrec.fit_sequential(model, rows, epochs=1, eps=0.5, direction="up")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"defence": "magic"}, "defence is 'magic'"),
        ({"defence": "free", "eps": -1.0}, "eps is -1.0"),
        ({"defence": "free", "replays": 0}, "replays is 0"),
        ({"defence": "vat", "adv_weight": -1}, "adv_weight is -1"),
        ({"defence": "robust", "exponent": 0}, "exponent is 0"),
        ({"defence": "robust", "exponent": 2}, "exponent is 2"),
        ({"defence": "ensemble"}, "others are the models"),
        ({"defence": "free", "optimizer": "lbfgs"}, "optimizer is 'lbfgs'"),
    ],
)
def test_mistakes_are_named(advrec, settings, message):
    model = advrec.BPRModel(30, 40, dim=8)
    with pytest.raises(ValueError, match=message):
        advrec.fit_defended(model, interactions(), epochs=1, **settings)


def test_others_must_fit(advrec):
    model, other = advrec.BPRModel(30, 40, dim=8), advrec.BPRModel(30, 40, dim=4)
    with pytest.raises(ValueError, match="One of the others differs"):
        advrec.fit_defended(model, interactions(), epochs=1, defence="ensemble", others=[other])
