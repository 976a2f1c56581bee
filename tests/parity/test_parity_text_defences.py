"""Adversarial training of text classifiers and attacks on them, in both tracks, against the network in NumPy."""

import importlib

import numpy as np
import pytest
from test_parity_bert import LENGTHS, TOLERANCE, ids_of, logits_of, texts_of

from advrec_teach import reference_text as reference
from advrec_teach.reference_text_defences import START, step_length, unit_noise, unit_texts
from advrec_teach.texts import EncodedTexts

EPS, WEIGHTS = 0.4, np.array([0.7, 1.6], np.float32)
LABELS = np.array([0, 1, 1, 0])


@pytest.fixture(scope="module")
def model(advrec):
    return advrec.TextClassifier(layers=2, precision="float32", seed=5)


@pytest.fixture(scope="module")
def weights():
    return reference.stored_weights(2)


@pytest.fixture
def trainer(advrec, track, model):
    """Return a function that makes the trainer of a defence."""
    module = importlib.import_module(f"advrec_teach.{track}.text_defences")

    def make(defence, **settings):
        given = {"eps": EPS, "steps_inner": 3, "step_inner": None, "adv_weight": 0.8, "layer": 0}
        rng = np.random.default_rng(1)
        return module.RobustTextTrainer(model, WEIGHTS, decay=0.0, defence=defence, rng=rng, **(given | settings))

    return make


def at(advrec, model, ids, move, layer=0):
    """Return pooled vectors and logits at a move."""
    vectors = model.pool(ids, move=advrec.tensor(move), layer=layer)
    return advrec.numpy(vectors), advrec.numpy(model.head(vectors))


def head_slope(pooled, logits, scale):
    """Return the gradient of sum(scale * -log softmax) for the head."""
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    return pooled.T @ ((chances - np.eye(2)[LABELS]) * scale[:, None])


def slope_at(advrec, model, ids, move, layer=0):
    """Return the slope of the weighted loss for the move."""

    def loss(m):
        return advrec.text_loss(model.logits(ids, move=m, layer=layer), LABELS, WEIGHTS)

    return advrec.numpy(advrec.value_and_grad(loss, advrec.tensor(move))[1])


def ball(move):
    length = np.sqrt((move**2).sum((1, 2), keepdims=True))
    return move * np.minimum(1, EPS / np.maximum(length, 1e-30))


def path(advrec, model, ids, start, steps, step, layer=0):
    """Return the places that projected ascent passes, the last one included."""
    places = [start]
    for _ in range(steps):
        slope = slope_at(advrec, model, ids, places[-1], layer)
        places.append(ball(places[-1] + step * unit_texts(slope)))
    return places


def test_a_move_of_words_or_states_is_that_of_the_reference(advrec, model, weights):
    ids = ids_of()
    words = reference.word_embeddings(weights, ids)
    move = np.random.default_rng(0).normal(0, 0.05, words.shape) * (ids != 0)[..., None]
    _, logits = at(advrec, model, ids, move)
    np.testing.assert_allclose(logits, logits_of(weights, ids, words + move, classes=2), atol=TOLERANCE)
    last = reference.states(weights, ids, words) + move
    expected = reference.mean_pool(last, ids) @ reference.first_head(2, 5).astype(np.float64)
    np.testing.assert_allclose(at(advrec, model, ids, move, layer=2)[1], expected, atol=TOLERANCE)
    first = advrec.TextClassifier(layers=1, precision="float32", seed=5)
    moved = at(advrec, model, ids, move, layer=1)[1]
    assert np.abs(moved - at(advrec, model, ids, 0 * move)[1]).max() > 1e-4
    states = reference.states(reference.stored_weights(1), ids, words)
    np.testing.assert_allclose(advrec.numpy(first.states(ids))[ids != 0], states[ids != 0], atol=TOLERANCE)
    np.testing.assert_allclose(at(advrec, model, ids, move * (ids == 0)[..., None], layer=1)[1],
                               at(advrec, model, ids, 0 * move)[1], atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("defence", ["fgm", "pgd", "freelb", "random", "smooth"])
def test_the_gradient_of_the_weights_is_that_of_the_losses_at_the_moves(advrec, model, trainer, defence, layer):
    ids, factors = ids_of(), np.random.default_rng(2).uniform(0.5, 1.5, (4, 384)).astype(np.float32)
    made = trainer(defence, layer=layer, steps_inner=1 if defence == "smooth" else 3)
    noise = unit_noise(ids, np.random.default_rng(1), 384)
    made.noise = advrec.tensor(noise)
    loss, gradients = made.slopes(advrec.tensor(ids, "int32"), advrec.tensor(LABELS, "int64"), advrec.tensor(factors))
    found = advrec.numpy(dict(zip(model.trained(), gradients, strict=True))[next(
        name for name, value in model.trained().items() if value is model.weight)])  # fmt: skip
    scale, still = WEIGHTS[LABELS] / 4, np.zeros(noise.shape)

    # The head sees the vectors after dropout's factors, and so does the loss whose slope the move follows.
    def head_at(move):
        pooled = at(advrec, model, ids, move, layer)[0] * factors
        return pooled, advrec.numpy(model.head(advrec.tensor(pooled)))

    def slope(move, beliefs=None):
        def loss_fn(m):
            logits = model.head(model.pool(ids, move=m, layer=layer) * advrec.tensor(factors))
            if beliefs is not None:
                return advrec.belief_divergence(advrec.tensor(beliefs), logits)
            return advrec.text_loss(logits, LABELS, WEIGHTS)

        return advrec.numpy(advrec.value_and_grad(loss_fn, advrec.tensor(move))[1])

    def ascent(start, steps):
        places, step = [start], step_length(EPS, 3, None)
        for _ in range(steps):
            places.append(ball(places[-1] + step * unit_texts(slope(places[-1]))))
        return places

    pooled, logits = head_at(still)
    expected = head_slope(pooled, logits, scale)
    value = reference.text_loss(logits, LABELS, WEIGHTS)
    if defence == "freelb":
        places = ascent(START * EPS * noise, 2)
        expected = sum(head_slope(*head_at(place), scale) for place in places) / 3
        value = np.mean([reference.text_loss(head_at(place)[1], LABELS, WEIGHTS) for place in places])
    elif defence == "smooth":
        move = EPS * unit_texts(slope(EPS * noise, beliefs=logits))
        there, after = head_at(move)
        chances = [np.exp(z) / np.exp(z).sum(1, keepdims=True) for z in (logits, after)]
        expected = expected + 0.8 * there.T @ (chances[1] - chances[0]) / 4
    else:
        move = {"random": EPS * noise, "fgm": EPS * unit_texts(slope(still)), "pgd": ascent(still, 3)[-1]}[defence]
        expected = expected + 0.8 * head_slope(*head_at(move), scale)
    assert float(loss) == pytest.approx(value, abs=TOLERANCE)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def matrix_of(track, model):
    """Return a matrix inside the first layer, the name it has in the reference, and whether it is turned there."""
    if track == "pytorch":
        return model.encoder.encoder.layer[0].output.dense.weight, False
    return model.encoder.transformer_layers[0]._feedforward_output_dense.kernel, True


@pytest.mark.parametrize("defence", ["fgm", "freelb"])
def test_inside_the_network_the_gradient_is_that_of_the_reference(advrec, track, model, trainer, weights, defence):
    """Along a random direction of one matrix, against a difference in float64 with the moves held fixed."""
    ids, name = ids_of(), "encoder.layer.0.output.dense.weight"
    made, factors = trainer(defence), np.ones((4, 384), np.float32)
    noise = unit_noise(ids, np.random.default_rng(1), 384)
    made.noise = advrec.tensor(noise)
    _, gradients = made.slopes(advrec.tensor(ids, "int32"), advrec.tensor(LABELS, "int64"), advrec.tensor(factors))
    matrix, turned = matrix_of(track, model)
    place = [value is matrix for value in model.trained().values()].index(True)
    found = advrec.numpy(gradients[place])
    found = found.T if turned else found
    still, step = np.zeros(noise.shape), step_length(EPS, 3, None)
    if defence == "fgm":
        moves = {1.0: still, 0.8: EPS * unit_texts(slope_at(advrec, model, ids, still))}
        terms = list(moves.items())
    else:
        terms = [(1 / 3, move) for move in path(advrec, model, ids, START * EPS * noise, 2, step)]
    words = reference.word_embeddings(weights, ids)
    way = np.random.default_rng(3).normal(size=found.shape)

    def value(size):
        bent = dict(weights) | {name: weights[name].astype(np.float64) + size * way}
        return sum(
            share * reference.text_loss(logits_of(bent, ids, words + move, classes=2), LABELS, WEIGHTS)
            for share, move in terms
        )

    assert (found * way).sum() == pytest.approx((value(1e-4) - value(-1e-4)) / 2e-4, rel=2e-3, abs=1e-4)


def test_noise_is_as_long_as_a_move_and_leaves_padding_alone():
    ids = ids_of()
    noise = unit_noise(ids, np.random.default_rng(0), 384)
    assert noise.dtype == np.float32 and np.abs(noise[ids == 0]).max() == 0
    np.testing.assert_allclose(np.sqrt((noise**2).sum((1, 2))), 1, rtol=1e-5)
    assert not unit_texts(np.zeros((2, 3, 4))).any()


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("method", ["fgm", "pgd", "random"])
def test_attacked_logits(advrec, model, method, layer):
    texts = EncodedTexts(ids_of(), LENGTHS, LABELS)
    found = advrec.attack_texts(model, texts, method=method, eps=EPS, steps=3, layer=layer, seed=3)
    assert found.shape == (4, 2) and found.dtype == np.float32
    order = np.argsort(texts.lengths, kind="stable")
    ids = texts.ids[order]

    def slope(move):
        def loss_fn(m):
            return advrec.text_loss(model.logits(ids, move=m, layer=layer), LABELS[order])

        return advrec.numpy(advrec.value_and_grad(loss_fn, advrec.tensor(move))[1])

    move = np.zeros((*ids.shape, 384))
    if method == "random":
        move = EPS * unit_noise(ids, np.random.default_rng(3), 384)
    elif method == "fgm":
        move = EPS * unit_texts(slope(move))
    else:
        for _ in range(3):
            move = ball(move + step_length(EPS, 3, None) * unit_texts(slope(move)))
    expected = np.empty((4, 2))
    expected[order] = at(advrec, model, ids, move, layer)[1]
    np.testing.assert_allclose(found, expected, atol=5 * TOLERANCE)
    np.testing.assert_allclose(
        advrec.attack_texts(model, texts, method=method, eps=0.0), advrec.text_logits(model, texts), atol=1e-6
    )


def test_attacks_need_labels_and_change_no_weight(advrec, model):
    texts = texts_of(9)
    before = {name: advrec.numpy(value).copy() for name, value in model.trained().items()}
    clean = advrec.text_logits(model, texts)
    found = advrec.attack_texts(model, texts, method="pgd", eps=EPS, steps=2, batch_size=4)
    rows = np.arange(9)
    assert (found[rows, texts.labels] - found[rows, 1 - texts.labels]).mean() < (
        clean[rows, texts.labels] - clean[rows, 1 - texts.labels]
    ).mean()
    for name, value in model.trained().items():
        np.testing.assert_array_equal(advrec.numpy(value), before[name])
    empty = texts.take(np.arange(0))
    assert advrec.attack_texts(model, empty, eps=EPS).shape == (0, 2)
    unknown = EncodedTexts(texts.ids, texts.lengths, np.full(9, -1))
    with pytest.raises(ValueError, match="Labels run from -1 to -1, and the model knows 0 to 1"):
        advrec.attack_texts(model, unknown, eps=EPS)


@pytest.mark.parametrize("defence", ["fgm", "pgd", "freelb", "smooth", "random"])
def test_training_learns_and_repeats_itself(advrec, defence):
    texts, fresh = texts_of(64), texts_of(40, seed=1)
    settings = {"steps": 16, "rate": 1e-3, "batch_size": 16, "defence": defence, "eps": 0.1, "seed": 2}
    found = []
    for _ in range(2):
        model = advrec.TextClassifier(layers=1, precision="float32")
        before = advrec.numpy(model.embed(fresh.ids)).copy()
        history = advrec.fit_robust_text(model, texts, validation=fresh, evaluate_every=8, **settings)
        assert [record["step"] for record in history] == [8, 16]
        np.testing.assert_array_equal(advrec.numpy(model.embed(fresh.ids)), before)
        found.append(advrec.text_logits(model, fresh))
    assert (found[0].argmax(1) == fresh.labels).mean() > 0.9
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


def test_assign_takes_over_the_trained_weights(advrec):
    texts = texts_of(16)
    model, other = (advrec.TextClassifier(layers=1, precision="float32", seed=seed) for seed in (0, 1))
    advrec.fit_text_classifier(other, texts, steps=2, batch_size=8)
    model.assign(other)
    np.testing.assert_allclose(advrec.text_logits(model, texts), advrec.text_logits(other, texts), atol=1e-6)


def test_belief_divergence(advrec):
    a, b = np.array([[1.0, 0.2], [0.3, 2.0]]), np.array([[0.1, 0.4], [0.0, -1.0]])
    p, q = (np.exp(z) / np.exp(z).sum(1, keepdims=True) for z in (a, b))
    expected = (p * np.log(p / q)).sum(1).mean()
    assert float(advrec.belief_divergence(advrec.tensor(a), advrec.tensor(b))) == pytest.approx(expected, abs=1e-6)
    assert float(advrec.belief_divergence(advrec.tensor(a), advrec.tensor(a))) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"defence": "vat"}, "defence is 'vat'; choose one of fgm, pgd, freelb, smooth, random"),
        ({"eps": -1.0}, "eps"),
        ({"steps_inner": 0}, "steps_inner is 0"),
        ({"step_inner": 0.0}, "step_inner is 0.0"),
        ({"adv_weight": -1.0}, "adv_weight is -1.0"),
        ({"layer": 3}, "layer is 3; the model has 2"),
        ({"rate": 0.0}, "rate is 0.0"),
    ],
)
def test_a_bad_setting_is_named(advrec, model, settings, message):
    with pytest.raises(ValueError, match=message):
        advrec.fit_robust_text(model, texts_of(), steps=1, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "fgsm"}, "method is 'fgsm'; choose one of fgm, pgd, random"),
        ({"steps": 0}, "steps is 0"),
        ({"step": -1.0}, "step is -1.0"),
        ({"layer": 5}, "layer is 5; the model has 2"),
    ],
)
def test_a_bad_attack_is_named(advrec, model, settings, message):
    with pytest.raises(ValueError, match=message):
        advrec.attack_texts(model, texts_of(), **({"eps": 0.1} | settings))


def test_a_move_after_a_layer_that_is_not_there_is_named(advrec, model):
    ids = ids_of()
    with pytest.raises(ValueError, match="layer is 3; the model has 2, and 0 stands for the words"):
        model.logits(ids, move=advrec.tensor(np.zeros((*ids.shape, 384))), layer=3)
