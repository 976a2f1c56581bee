"""The sequential model of both tracks: weights, logits and gradients against NumPy, and the training loop."""

import numpy as np
import pytest

from advrec_teach import reference_sequential as reference

TOLERANCE = 1e-5
SMALL = {"dim": 3, "length": 4, "blocks": 1, "std": 0.5}
SEED = 18  # of a model in which no slope is too small to compare
TRAINED = [  # the names of PyTorch's parameters, in the order of BLOCK
    "first.weight",
    "first.bias",
    "query.weight",
    "key.weight",
    "value.weight",
    "second.weight",
    "second.bias",
    "inner.weight",
    "inner.bias",
    "outer.weight",
    "outer.bias",
]


def rows_of(n=40, n_items=12, width=6, seed=0):
    """Return sequences in which an item is followed by one of the two after it, some of them shorter than others."""
    rng = np.random.default_rng(seed)
    rows = (rng.integers(n_items, size=(n, 1)) + np.cumsum(rng.integers(1, 3, (n, width)), 1)) % n_items
    lengths = rng.integers(2, width + 1, n)
    lengths[:2] = 2, width
    return np.where(np.arange(width) < lengths[:, None], rows, n_items)


def weights_of(advrec, model):
    """Return a model's weights under the names of the reference."""
    if hasattr(model, "_named"):
        return {name: advrec.numpy(variable).copy() for name, variable in model._named.items()}
    found = {name: advrec.numpy(value).copy() for name, value in model.named_parameters()}
    names = {"item_vectors": "item_vectors", "positions": "positions"}
    for k in range(len(model.blocks)):
        names |= {f"block_{k}_{n}": f"blocks.{k}.{t}" for n, t in zip(reference.BLOCK, TRAINED, strict=True)}
    names |= {"scale": "norm.weight", "shift": "norm.bias"}
    matrices = ("query", "key", "value", "inner", "outer")
    return {n: found[t].T if n.endswith(matrices) else found[t] for n, t in names.items()}


def trained(advrec, n_items=12, **sizes):
    """Return a model whose scales and biases are no longer those that it starts from."""
    model = advrec.SequentialModel(n_items, **{"dim": 6, "length": 5, "blocks": 2, "seed": 3, "std": 0.3, **sizes})
    advrec.fit_sequential(model, rows_of(n_items=n_items), epochs=2, learning_rate=0.03, batch_size=10)
    return model


def slope(function, x, step=1e-5):
    """Return the gradient of a function of one array, by central differences."""
    found = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[place] += step
        behind[place] -= step
        found[place] = (function(ahead) - function(behind)) / (2 * step)
    return found


# --- model


def test_first_weights_are_the_same_in_both_tracks(advrec):
    sizes = {"dim": 4, "length": 6, "blocks": 2, "seed": 5, "std": 0.2}
    expected = reference.first_weights(30, **sizes)
    found = weights_of(advrec, advrec.SequentialModel(30, **sizes))
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    other = weights_of(advrec, advrec.SequentialModel(30, **{**sizes, "seed": 6}))
    assert np.abs(other["item_vectors"] - found["item_vectors"]).max() > 0.1


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_vectors_states_and_scores_equal_the_reference(advrec, blocks):
    model = trained(advrec, blocks=blocks)
    w = weights_of(advrec, model)
    rows = rows_of()[:, :5]
    ids = advrec.tensor(rows)
    vectors = reference.embed(w, rows)
    states = reference.states(w, vectors)
    logits = states @ w["item_vectors"].T.astype(np.float64)
    last = (rows < 12).sum(1) - 1
    np.testing.assert_array_equal(advrec.numpy(model.embed(ids)), vectors.astype(np.float32))
    np.testing.assert_allclose(advrec.numpy(model.states(model.embed(ids))), states, atol=TOLERANCE)
    np.testing.assert_allclose(advrec.numpy(model.logits(model.embed(ids))), logits, atol=TOLERANCE)
    expected = logits[np.arange(len(rows)), last]
    for found in (model(ids), model.scores_from(model.embed(ids), ids), model.score_all(ids), model.score_all(rows)):
        np.testing.assert_allclose(advrec.numpy(found), expected, atol=TOLERANCE)
    assert not getattr(model.score_all(rows), "requires_grad", False)


def test_another_table_takes_the_place_of_the_models_own(advrec):
    model = trained(advrec)
    w = weights_of(advrec, model)
    rows = rows_of()[:, :5]
    ids = advrec.tensor(rows)
    other = {**w, "item_vectors": w["item_vectors"][::-1].copy()}
    table = advrec.tensor(other["item_vectors"])
    logits = reference.states(w, reference.embed(other, rows)) @ other["item_vectors"].T
    vectors = model.embed(ids, table=table)
    np.testing.assert_allclose(advrec.numpy(model.logits(vectors, table=table)), logits, atol=TOLERANCE)
    expected = logits[np.arange(len(rows)), (rows < 12).sum(1) - 1]
    np.testing.assert_allclose(advrec.numpy(model.scores_from(vectors, ids, table=table)), expected, atol=TOLERANCE)


def test_a_state_sees_no_later_item_and_no_padding(advrec):
    model = trained(advrec)
    rows = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 9, 8], [1, 2, 3, 12, 12]])
    states = advrec.numpy(model.states(model.embed(advrec.tensor(rows))))
    np.testing.assert_allclose(states[1, :3], states[0, :3], atol=1e-6)
    assert np.abs(states[1, 3] - states[0, 3]).max() > 1e-2
    np.testing.assert_allclose(
        advrec.numpy(model.score_all(rows[2:])), advrec.numpy(model.score_all(rows[2:, :3])), atol=1e-6
    )
    # The order counts, not only what was read.
    turned = advrec.numpy(model.score_all(rows[:1, [1, 0, 2, 3, 4]]))
    assert np.abs(turned - advrec.numpy(model.score_all(rows[:1]))).max() > 1e-4
    empty = advrec.numpy(model.score_all(np.full((1, 5), 12)))
    assert empty.shape == (1, 12) and np.isfinite(empty).all()


def test_loss_counts_places_with_a_target(advrec):
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(0, 3, (4, 5, 7)), rng.integers(8, size=(4, 5))
    assert (targets == 7).any() and (targets < 7).any()
    loss = advrec.numpy(advrec.sequential_loss(advrec.tensor(logits), advrec.tensor(targets)))
    assert loss.shape == () and loss == pytest.approx(reference.sequential_loss(logits, targets), abs=TOLERANCE)
    flat = advrec.sequential_loss(advrec.tensor(logits[0]), advrec.tensor(targets[0]))
    assert advrec.numpy(flat) == pytest.approx(reference.sequential_loss(logits[0], targets[0]), abs=TOLERANCE)


def test_gradients_of_vectors_and_of_the_table_equal_the_reference(advrec):
    model = trained(advrec, blocks=1)
    w = weights_of(advrec, model)
    rows = rows_of(4)
    inputs, targets = rows[:, :-1], rows[:, 1:]
    ids, wanted = advrec.tensor(inputs), advrec.tensor(targets)
    table = w["item_vectors"].astype(np.float64)

    def at_vectors(vectors):
        return reference.sequential_loss(reference.states(w, vectors) @ table.T, targets)

    def at_table(table):
        vectors = reference.embed({"item_vectors": table}, inputs)
        return reference.sequential_loss(reference.states(w, vectors) @ table.T, targets)

    vectors = model.embed(ids)
    value, gradient = advrec.value_and_grad(lambda v: advrec.sequential_loss(model.logits(v), wanted), vectors)
    start = reference.embed(w, inputs)
    assert advrec.numpy(value) == pytest.approx(at_vectors(start), abs=TOLERANCE)
    np.testing.assert_allclose(advrec.numpy(gradient), slope(at_vectors, start), atol=TOLERANCE)
    # Where nothing is predicted from, nothing can be attacked.
    assert not advrec.numpy(gradient)[targets == 12].any() and np.abs(advrec.numpy(gradient)).max() > 1e-2

    def loss_fn(t):
        return advrec.sequential_loss(model.logits(model.embed(ids, table=t), table=t), wanted)

    value, gradient = advrec.value_and_grad(loss_fn, advrec.tensor(w["item_vectors"]))
    assert advrec.numpy(value) == pytest.approx(at_table(table), abs=TOLERANCE)
    np.testing.assert_allclose(advrec.numpy(gradient), slope(at_table, table), atol=TOLERANCE)


def test_a_copy_has_memory_of_its_own(advrec):
    model = trained(advrec)
    before = weights_of(advrec, model)
    twin = model.copy()
    for name, values in weights_of(advrec, twin).items():
        np.testing.assert_array_equal(values, before[name])
    advrec.fit_sequential(twin, rows_of(), epochs=1)
    for name, values in weights_of(advrec, twin).items():
        assert np.abs(values - before[name]).max() > 0, name
    for name, values in weights_of(advrec, model).items():
        np.testing.assert_array_equal(values, before[name])


# --- training


def reference_slopes(w, rows, eps, adv_weight):
    """Return the loss and the gradient of what is minimised, the perturbation being a constant."""
    inputs, targets = rows[:, :-1], rows[:, 1:]

    def loss_at(w, delta):
        states = reference.states(w, reference.embed(w, inputs) + delta)
        return reference.sequential_loss(states @ w["item_vectors"].T, targets)

    rise = slope(lambda delta: loss_at(w, delta), np.zeros((*inputs.shape, w["positions"].shape[1])))
    length = np.linalg.norm(rise, axis=-1, keepdims=True)
    delta = eps * rise / np.where(length > 1e-8, length, np.inf)

    def total(w):
        return loss_at(w, 0) + (adv_weight * loss_at(w, delta) if eps else 0)

    return loss_at(w, 0), {name: slope(lambda x, n=name: total({**w, n: x}), w[name]) for name in w}


@pytest.mark.parametrize(("eps", "adv_weight"), [(0.0, 1.0), (0.3, 1.0), (0.3, 0.5)])
def test_training_equals_adam_on_the_reference(advrec, eps, adv_weight):
    rows = rows_of(6, n_items=5, width=5)
    model = advrec.SequentialModel(5, **SMALL, seed=SEED)
    w = {name: values.astype(np.float64) for name, values in weights_of(advrec, model).items()}
    history = advrec.fit_sequential(
        model,
        rows,
        epochs=3,
        learning_rate=0.01,
        batch_size=10**6,
        dropout=0.0,
        eps=eps,
        adv_weight=adv_weight,
    )
    losses, mean, squares = [], dict.fromkeys(w, 0.0), dict.fromkeys(w, 0.0)
    for t in range(1, 4):
        loss, slopes = reference_slopes(w, rows, eps, adv_weight)
        losses.append(loss)
        for name, g in slopes.items():
            # Adam divides a slope by its own size, so one that rounding can turn over would compare nothing.
            assert np.abs(g[np.abs(g) > 1e-9]).min() > 1e-4, name
            g = np.where(np.abs(g) > 1e-9, g, 0)
            mean[name] = 0.9 * mean[name] + 0.1 * g
            squares[name] = 0.999 * squares[name] + 0.001 * g**2
            move = mean[name] / (1 - 0.9**t) / (np.sqrt(squares[name] / (1 - 0.999**t)) + 1e-8)
            w[name] = w[name] - 0.01 * move
    np.testing.assert_allclose([record["loss"] for record in history], losses, atol=TOLERANCE)
    for name, values in weights_of(advrec, model).items():
        np.testing.assert_allclose(values, w[name], atol=5 * TOLERANCE, err_msg=name)


def test_training_learns_repeats_and_depends_on_its_seed(advrec):
    rows = rows_of(60)

    def fit(seed, **changes):
        model = advrec.SequentialModel(12, dim=8, length=5, seed=0)
        history = advrec.fit_sequential(
            model, rows, epochs=30, learning_rate=0.02, batch_size=16, seed=seed, dropout=0.1, **changes
        )
        return model, history

    model, history = fit(0)
    assert [record["epoch"] for record in history] == list(range(1, 31))
    assert all(set(record) == {"epoch", "loss", "seconds"} and record["seconds"] > 0 for record in history)
    # It starts at a guess among 12 items and comes near the coin that chooses between two.
    assert history[0]["loss"] == pytest.approx(np.log(12), abs=0.4)
    assert history[-1]["loss"] < np.log(3)
    best = advrec.numpy(model.score_all(np.array([[3, 4, 6, 7, 9]]))).argsort()[0, -2:]
    assert set(best) == {10, 11}
    again, _ = fit(0)
    for name, values in weights_of(advrec, again).items():
        np.testing.assert_array_equal(values, weights_of(advrec, model)[name])
    other, _ = fit(1)
    assert np.abs(weights_of(advrec, other)["item_vectors"] - weights_of(advrec, model)["item_vectors"]).max() > 1e-3


def test_dropout_is_drawn_in_training_only(advrec):
    losses = {}
    for dropout in (0.0, 0.5):
        model = advrec.SequentialModel(12, dim=8, length=5, seed=0, std=1.0)
        settings = {"epochs": 1, "learning_rate": 1e-12, "batch_size": 10**6}
        losses[dropout] = [
            advrec.fit_sequential(model, rows_of(), dropout=dropout, seed=seed, **settings)[0]["loss"]
            for seed in range(3)
        ]
        first, second = (advrec.numpy(model.score_all(rows_of()[:, :5])) for _ in range(2))
        np.testing.assert_array_equal(first, second)
    assert np.ptp(losses[0.0]) < TOLERANCE
    assert np.ptp(losses[0.5]) > 1e-3


def test_some_items_stand_for_all(advrec):
    rows = rows_of(400, n_items=300)
    losses = {}
    for negatives in (None, 300, 299, 20):
        model = advrec.SequentialModel(300, dim=8, length=5, seed=0, std=1.0)
        settings = {"epochs": 1, "learning_rate": 1e-12, "batch_size": 10, "dropout": 0.0}
        losses[negatives] = advrec.fit_sequential(model, rows, negatives=negatives, **settings)[0]["loss"]
    w = weights_of(advrec, model)
    logits = reference.states(w, reference.embed(w, rows[:, :-1])) @ w["item_vectors"].T
    # The loss is a mean of means of batches, and rows differ in length.
    assert losses[None] == pytest.approx(reference.sequential_loss(logits, rows[:, 1:]), rel=0.02)
    assert losses[300] == losses[None] != losses[299]
    assert losses[299] == pytest.approx(losses[None], rel=0.03)
    # Few items miss the ones with the largest scores most of the time: the mean of a logarithm is too small.
    assert losses[20] < losses[299] + 0.1 and losses[20] == pytest.approx(losses[None], rel=0.3)


def test_adversarial_training_withstands_more(advrec):
    rows = rows_of(60)
    ids, wanted = advrec.tensor(rows[:, :-1]), advrec.tensor(rows[:, 1:])
    rise, lengths = {}, {}
    for eps in (0.0, 0.5):
        model = advrec.SequentialModel(12, dim=8, length=5, seed=0, std=0.3)
        advrec.fit_sequential(model, rows, epochs=40, learning_rate=0.01, batch_size=20, dropout=0.0, eps=eps)
        vectors = model.embed(ids)

        def loss(v, model=model):
            return advrec.sequential_loss(model.logits(v), wanted)

        attacked = vectors + advrec.fgm_delta(loss, vectors, eps=1.0)
        rise[eps] = float(advrec.numpy(loss(attacked))) - float(advrec.numpy(loss(vectors)))
        lengths[eps] = np.linalg.norm(weights_of(advrec, model)["item_vectors"], axis=1).mean()
    assert 0 < rise[0.5] < 0.7 * rise[0.0], (rise, lengths)


def test_compiling_changes_nothing_but_the_time(advrec, quick_compiler):
    fitted = []
    for compile in (True, False):
        model = advrec.SequentialModel(12, dim=8, length=5, seed=0)
        # XLA draws other numbers from the same seed, so there is no dropout here.
        settings = {"epochs": 2, "batch_size": 16, "dropout": 0.0, "eps": 0.1}
        advrec.fit_sequential(model, rows_of(), compile=compile, **settings)
        fitted.append(weights_of(advrec, model)["item_vectors"])
    np.testing.assert_allclose(*fitted, atol=TOLERANCE)


def test_callback_sees_the_trained_model_and_can_stop(advrec):
    seen = []

    def callback(model, record):
        seen.append((record["epoch"], weights_of(advrec, model)["item_vectors"]))
        return record["epoch"] == 3

    model = advrec.SequentialModel(12, dim=8, length=5)
    history = advrec.fit_sequential(model, rows_of(), epochs=9, callback=callback)
    assert [epoch for epoch, _ in seen] == [1, 2, 3] and len(history) == 3
    assert np.abs(seen[0][1] - seen[1][1]).max() > 0
    np.testing.assert_array_equal(seen[2][1], weights_of(advrec, model)["item_vectors"])


def test_no_epoch_changes_nothing(advrec):
    model = advrec.SequentialModel(12, dim=8, length=5)
    before = weights_of(advrec, model)
    assert advrec.fit_sequential(model, rows_of(), epochs=0) == []
    for name, values in weights_of(advrec, model).items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": -1}, "epochs is -1; give a whole number from 0"),
        ({"batch_size": 0}, "batch_size is 0; give a whole number from 1"),
        ({"learning_rate": 0}, "learning_rate is 0; give a positive number"),
        ({"dropout": 1.0}, "dropout is 1.0; give a share from 0, below 1"),
        ({"negatives": 0}, "negatives is 0; give a whole number from 1"),
        ({"eps": -0.1}, "eps is -0.1; give a number that is not negative"),
        ({"adv_weight": float("nan")}, "adv_weight is nan; give a number that is not negative"),
        ({"sequences": np.zeros((0, 4), int)}, "hold no row"),
        ({"sequences": [[0, 1], [2, 12]]}, "Row 1 of sequences has fewer than two items"),
        ({"sequences": [[0, 1, 2, 3, 4, 5, 6]]}, "7 columns and the model takes 6"),
        ({"sequences": [[12, 1, 2]]}, "Padding stands before an item"),
        ({"sequences": [[0, 13]]}, "ids from 0 to 13"),
    ],
)
def test_mistakes_are_named(advrec, settings, message):
    model = advrec.SequentialModel(12, dim=8, length=5)
    with pytest.raises(ValueError, match=message):
        advrec.fit_sequential(model, **{"sequences": rows_of(), "epochs": 1, **settings})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"dim": 0}, "dim is 0; give a whole number from 1"),
        ({"length": 2.5}, "length is 2.5; give"),
        ({"blocks": -1}, "blocks is -1; give a whole number from 0"),
        ({"std": 0.0}, "std is 0.0; give a positive number"),
    ],
)
def test_wrong_sizes_are_named(advrec, sizes, message):
    with pytest.raises(ValueError, match=message):
        advrec.SequentialModel(12, **sizes)
    with pytest.raises(ValueError, match="6 columns and the model takes 5"):
        advrec.SequentialModel(12, dim=2, length=5).score_all(rows_of())
