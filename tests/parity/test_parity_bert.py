"""The text classifier of both tracks: the pretrained network, logits, gradients and training against NumPy."""

import numpy as np
import pytest

from advrec_teach import reference_text as reference
from advrec_teach.text_training import training_batches
from advrec_teach.texts import EncodedTexts

TOLERANCE = 1e-5
LENGTHS = (9, 4, 6, 2)


def ids_of(lengths=LENGTHS, seed=0):
    """Return word ids, padded with 0."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1000, 20000, (len(lengths), max(lengths)))
    return np.where(np.arange(max(lengths)) < np.array(lengths)[:, None], ids, 0)


def texts_of(n=24, seed=0):
    """Return short texts that hold one of two words, which is their label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    lengths = rng.integers(3, 8, n)
    ids = ids_of(lengths, seed)
    ids[:, 1] = np.where(labels == 1, 2204, 2919)  # good, bad
    return EncodedTexts(ids, lengths, labels)


@pytest.fixture(scope="module")
def model(advrec):
    return advrec.TextClassifier(layers=2, classes=3, precision="float32", seed=5)


@pytest.fixture(scope="module")
def weights():
    return reference.stored_weights(2)


def logits_of(weights, ids, embeddings=None, activation="tanh", classes=3, seed=5):
    embeddings = reference.word_embeddings(weights, ids) if embeddings is None else embeddings
    found = reference.states(weights, ids, embeddings, activation=activation)
    return reference.mean_pool(found, ids) @ reference.first_head(classes, seed).astype(np.float64)


def test_words_states_and_logits_are_those_of_the_pretrained_network(advrec, model, weights):
    ids = ids_of()
    words = reference.word_embeddings(weights, ids)
    np.testing.assert_allclose(advrec.numpy(model.embed(ids)), words, atol=1e-7)
    real = ids != 0
    states = advrec.numpy(model.states(ids))
    np.testing.assert_allclose(states[real], reference.states(weights, ids, words)[real], atol=TOLERANCE)
    logits = advrec.numpy(model.logits(ids))
    assert logits.shape == (4, 3) and logits.dtype == np.float32
    np.testing.assert_allclose(logits, logits_of(weights, ids), atol=TOLERANCE)


def test_all_six_layers_and_the_definition_of_gelu(advrec):
    ids, weights = ids_of((5, 3)), reference.stored_weights(6)
    whole = advrec.TextClassifier(layers=6, classes=3, activation="erf", precision="float32", seed=5)
    found = advrec.numpy(whole.logits(ids))
    np.testing.assert_allclose(found, logits_of(weights, ids, activation="erf"), atol=TOLERANCE)
    assert np.abs(found - logits_of(weights, ids)).max() > TOLERANCE


def test_moved_words_change_the_logits_and_padding_does_not(advrec, model, weights):
    ids = ids_of()
    words = reference.word_embeddings(weights, ids)
    move = np.random.default_rng(1).normal(0, 0.1, words.shape)
    moved = advrec.numpy(model.logits(ids, embeddings=advrec.tensor(words + move)))
    np.testing.assert_allclose(moved, logits_of(weights, ids, words + move), atol=TOLERANCE)
    in_padding = advrec.tensor(words + move * (ids == 0)[..., None])
    plain = advrec.numpy(model.logits(ids))
    np.testing.assert_allclose(advrec.numpy(model.logits(ids, embeddings=in_padding)), plain, atol=1e-6)
    wider = np.pad(ids, ((0, 0), (0, 5)))
    np.testing.assert_allclose(advrec.numpy(model.logits(wider)), plain, atol=1e-6)


def test_the_gradient_of_the_words_is_that_of_the_reference(advrec, model, weights):
    ids, labels, factors = ids_of(), np.array([0, 2, 1, 1]), np.array([1.0, 2.0, 0.5])
    words = reference.word_embeddings(weights, ids)

    def loss(e):
        return advrec.text_loss(model.logits(ids, embeddings=e), labels, factors)

    value, gradient = advrec.value_and_grad(loss, advrec.tensor(words))
    gradient = advrec.numpy(gradient)

    def at(embeddings):
        return reference.text_loss(logits_of(weights, ids, embeddings), labels, factors)

    assert float(value) == pytest.approx(at(words), abs=TOLERANCE)
    assert np.abs(gradient[ids == 0]).max() == 0
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=words.shape)
        slope = (at(words + 1e-4 * direction) - at(words - 1e-4 * direction)) / 2e-4
        assert (gradient * direction).sum() == pytest.approx(slope, abs=1e-4)


def test_text_loss_weighs_classes(advrec):
    logits, labels, factors = np.array([[1.0, 0.2], [0.3, 0.9], [2.0, 1.0]]), [0, 0, 1], [0.5, 3.0]
    for given in (None, factors):
        found = float(advrec.text_loss(advrec.tensor(logits), labels, given))
        assert found == pytest.approx(reference.text_loss(logits, labels, given), abs=1e-6)


def test_logits_of_many_texts_come_in_their_order(advrec, model):
    texts = texts_of(11)
    found = advrec.text_logits(model, texts, batch_size=4)
    np.testing.assert_allclose(found, advrec.numpy(model.logits(texts.ids)), atol=1e-6)
    assert advrec.text_logits(model, texts.take(np.arange(0))).shape == (0, 3)


# --- training


def one_step_of_adam(advrec, start, texts, *, rate, seed):
    """Return what AdamW's first step does to the head: a step of the rate against the sign of the slope."""
    ids, labels, factors = next(training_batches(texts, len(texts), start.dropout, np.random.default_rng(seed)))
    pooled = advrec.numpy(start.pool(ids)) * factors
    logits = advrec.numpy(start.head(advrec.tensor(pooled)))
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    slope = pooled.T @ (chances - np.eye(start.classes)[labels]) / len(labels)
    return slope, advrec.numpy(start.weight) * (1 - rate * 0.01) - rate * np.sign(slope)


def test_the_first_step_is_adamws(advrec):
    texts = texts_of()
    model = advrec.TextClassifier(layers=1, precision="float32", dropout=0.25, seed=2)
    rate = 0.01
    slope, expected = one_step_of_adam(advrec, model, texts, rate=rate, seed=4)
    before = {name: advrec.numpy(value).copy() for name, value in model.trained().items()}
    advrec.fit_text_classifier(model, texts, steps=1, rate=rate, warmup=0.0, batch_size=len(texts), seed=4)
    clear = np.abs(slope) > 3e-4  # elsewhere the constant beside the root matters
    assert clear.mean() > 0.5
    np.testing.assert_allclose(advrec.numpy(model.weight)[clear], expected[clear], atol=1e-5)
    for name, value in model.trained().items():
        moved = np.abs(advrec.numpy(value) - before[name]).max()
        assert 0 < moved < 1.2 * rate, name


def test_training_learns_and_leaves_the_words_alone(advrec):
    texts, fresh = texts_of(64), texts_of(40, seed=1)
    model = advrec.TextClassifier(layers=1, precision="float32")
    before = advrec.numpy(model.embed(fresh.ids)).copy()
    untouched = model.copy()
    history = advrec.fit_text_classifier(
        model, texts, steps=24, rate=1e-3, batch_size=16, evaluate_every=8, validation=fresh, class_weights=[1.0, 1.5]
    )
    assert [record["step"] for record in history] == [8, 16, 24]
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    logits = advrec.text_logits(model, fresh)
    assert (logits.argmax(1) == fresh.labels).mean() > 0.95
    assert history[-1]["validation_f1"] > 0.95
    expected = reference.text_loss(logits, fresh.labels, [1.0, 1.5])
    assert history[-1]["validation_loss"] == pytest.approx(expected, abs=1e-4)
    np.testing.assert_array_equal(advrec.numpy(model.embed(fresh.ids)), before)
    assert np.abs(advrec.text_logits(untouched, fresh) - logits).max() > 0.1
    again = advrec.TextClassifier(layers=1, precision="float32")
    advrec.fit_text_classifier(again, texts, steps=24, rate=1e-3, batch_size=16, class_weights=[1.0, 1.5])
    np.testing.assert_allclose(advrec.text_logits(again, fresh), logits, atol=1e-4)


def test_patience_stops_and_puts_back_the_best_weights(advrec):
    texts, fresh = texts_of(32), texts_of(20, seed=1)
    wrong = EncodedTexts(fresh.ids, fresh.lengths, 1 - fresh.labels)  # learning makes these worse
    model = advrec.TextClassifier(layers=1, precision="float32", dropout=0.0)
    seen = []
    history = advrec.fit_text_classifier(
        model,
        texts,
        steps=40,
        rate=1e-3,
        batch_size=16,
        evaluate_every=4,
        validation=wrong,
        patience=2,
        callback=lambda trained, record: seen.append(advrec.text_logits(trained, wrong)),
    )
    losses = [record["validation_loss"] for record in history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 10
    np.testing.assert_allclose(advrec.text_logits(model, wrong), seen[best], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"warmup": 1.0}, "warmup is 1.0"),
        ({"decay": -1.0}, "decay is -1.0"),
        ({"class_weights": [1.0]}, "give one positive number for each of 2 classes"),
        ({"class_weights": [1.0, 0.0]}, "give one positive number for each of 2 classes"),
        ({"patience": 1}, "patience needs validation texts"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
    ],
)
def test_a_bad_setting_is_named_before_anything_is_trained(advrec, small, settings, message):
    before = advrec.numpy(small.weight).copy()
    with pytest.raises(ValueError, match=message):
        advrec.fit_text_classifier(small, texts_of(), **{"steps": 1, **settings})
    np.testing.assert_array_equal(advrec.numpy(small.weight), before)


@pytest.fixture(scope="module")
def small(advrec):
    return advrec.TextClassifier(layers=1)


def test_texts_without_a_known_label_cannot_be_learned(advrec, small):
    texts = texts_of()
    with pytest.raises(ValueError, match="Labels run from -1 to -1, and the model knows 0 to 1"):
        advrec.fit_text_classifier(small, EncodedTexts(texts.ids, texts.lengths, np.full(24, -1)), steps=1)
    with pytest.raises(ValueError, match="no text to learn from"):
        advrec.fit_text_classifier(small, texts.take(np.arange(0)), steps=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 7}, "the pretrained network has 6"),
        ({"layers": 0}, "layers is 0"),
        ({"classes": 1}, "classes is 1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"precision": "half"}, "precision is 'half'"),
    ],
)
def test_a_classifier_that_cannot_be_is_named(advrec, settings, message):
    with pytest.raises(ValueError, match=message):
        advrec.TextClassifier(**settings)


def test_bfloat16_is_near_float32(advrec, model):
    ids = ids_of()
    half = advrec.TextClassifier(layers=2, classes=3, precision="bfloat16", seed=5)
    found = advrec.numpy(half.logits(ids))
    assert found.dtype == np.float32
    assert 0 < np.abs(found - advrec.numpy(model.logits(ids))).max() < 0.02
