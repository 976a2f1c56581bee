"""Slopes at the words and vectors of texts, in both tracks, against the network in NumPy."""

import numpy as np
import pytest
from test_parity_bert import LENGTHS, TOLERANCE, ids_of, logits_of

from advrec_teach import reference_text as reference
from advrec_teach.texts import EncodedTexts

LABELS = np.array([0, 2, 1, 0])


@pytest.fixture(scope="module")
def model(advrec):
    return advrec.TextClassifier(layers=2, classes=3, precision="float32", seed=5)


@pytest.fixture(scope="module")
def texts():
    return EncodedTexts(ids_of(), LENGTHS, LABELS)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_slope_is_that_of_the_texts_own_loss(advrec, model, texts, batch_size):
    found = advrec.text_slopes(model, texts, batch_size=batch_size)
    assert found.shape == (4, 9, 384) and found.dtype == np.float32
    assert not found[texts.ids == 0].any()
    weights, rng = reference.stored_weights(2), np.random.default_rng(1)
    words = reference.word_embeddings(weights, texts.ids)
    for row in range(4):
        way = rng.normal(size=words.shape) * (np.arange(4) == row)[:, None, None] * (texts.ids != 0)[..., None]
        way /= np.linalg.norm(way)
        losses = [
            4 * reference.text_loss(logits_of(weights, texts.ids, words + step * way), LABELS) for step in (1e-4, -1e-4)
        ]
        assert np.isclose((found * way).sum(), (losses[0] - losses[1]) / 2e-4, atol=TOLERANCE)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_vector_is_the_mean_of_the_states(advrec, model, texts, batch_size):
    weights = reference.stored_weights(2)
    states = reference.states(weights, texts.ids, reference.word_embeddings(weights, texts.ids))
    found = advrec.text_vectors(model, texts, batch_size=batch_size)
    np.testing.assert_allclose(found, reference.mean_pool(states, texts.ids), atol=TOLERANCE)


def test_a_new_model_state_is_seen(advrec, texts):
    model = advrec.TextClassifier(layers=1, classes=3, precision="float32", seed=1)
    before = advrec.text_slopes(model, texts)
    model.assign(advrec.TextClassifier(layers=1, classes=3, precision="float32", seed=2))
    assert np.abs(advrec.text_slopes(model, texts) - before).max() > 1e-6
    assert np.allclose(advrec.text_slopes(model.copy(), texts), advrec.text_slopes(model, texts), atol=1e-6)


def test_no_texts_and_unknown_labels(advrec, model, texts):
    assert advrec.text_vectors(model, texts.take(np.arange(0))).shape == (0, 384)
    assert advrec.text_slopes(model, texts.take(np.arange(0))).shape == (0, 9, 384)
    with pytest.raises(ValueError, match="knows 0 to 2"):
        advrec.text_slopes(model, EncodedTexts(texts.ids, LENGTHS, [-1, 0, 0, 0]))
