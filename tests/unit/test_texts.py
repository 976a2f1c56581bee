"""Reviews as labelled texts, their tokens and their batches."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advrec_teach import data, paths, texts
from advrec_teach.errors import CourseError


@pytest.fixture(scope="module")
def synthetic():
    return texts.labelled_reviews(data.reviews("synthetic"))


def test_reviews_without_text_and_copies_are_gone():
    raw = pl.DataFrame(
        {
            "text": ["Lovely fabric.", None, "lovely FABRIC!", "  ", "x" * 60 + " tail", "X" * 60 + "another", "Fine"],
            "title": ["Great!", "No text", None, None, "Long", None, None],
            "rating": [5, 4, 5, 3, 2, 1, 3],
            "recommended": [True, True, True, False, False, False, True],
            "product": [1, 2, 3, 4, 5, 6, 7],
            "department": ["Tops"] * 7,
        }
    ).cast({"rating": pl.Int8, "product": pl.Int32})
    found = texts.labelled_reviews(raw)
    assert found["text"].to_list() == ["Great! Lovely fabric.", "Long. " + "x" * 60 + " tail", "Fine"]
    assert found["label"].to_list() == [1, 0, 1] and found["product"].to_list() == [1, 5, 7]


def test_the_real_reviews():
    found = texts.labelled_reviews(data.reviews())
    assert 22_000 < found.height < 22_641
    assert found["text"].null_count() == 0 and set(found["label"]) == {0, 1}


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.4), st.floats(0, 0.4))
def test_a_split_keeps_products_and_reviews_together(seed, test, validation):
    frame = texts.labelled_reviews(data.reviews("synthetic"))
    split = texts.split_by_product(frame, test_fraction=test, validation_fraction=validation, seed=seed)
    parts = (split.train, split.validation, split.test)
    assert sum(part.height for part in parts) == frame.height
    products = [set(part["product"]) for part in parts]
    assert len(set().union(*products)) == sum(map(len, products))
    largest = frame["product"].value_counts()["count"].max()
    assert abs(split.test.height - test * frame.height) <= largest
    assert abs(split.validation.height - validation * frame.height) <= 2 * largest


def test_a_split_depends_on_its_seed_alone(synthetic):
    one, same, other = (texts.split_by_product(synthetic, seed=seed) for seed in (3, 3, 4))
    assert one.test.equals(same.test) and not one.test.equals(other.test)


def test_tokens_are_cut_and_padded():
    found = texts.encode(["Too short.", "soooo comfy " * 40], [0, 1], max_length=12)
    assert found.ids.shape == (2, 12) and found.ids.dtype == np.int32
    assert found.lengths.tolist() == [5, 12] and found.labels.tolist() == [0, 1]
    assert (found.ids[:, 0] == 101).all() and found.ids[0, 4] == found.ids[1, 11] == 102
    assert (found.ids[0, 5:] == texts.PADDING).all()
    assert texts.encode(["hello"], max_length=512).ids.shape == (1, 3)
    assert texts.encode(["hello"], max_length=3).labels.tolist() == [texts.NO_LABEL]
    assert len(texts.encode([], max_length=8)) == 0


def test_batches_are_no_wider_than_needed():
    found = texts.encode(["short", "a much longer text than the other one here"], [0, 1], max_length=32)
    ids, mask, labels = found.batch([0])
    assert ids.shape == (1, 3) and mask.tolist() == [[1, 1, 1]] and labels.tolist() == [0]
    assert found.batch([0], multiple=4)[0].shape == (1, 4)
    ids, mask, _ = found.batch([1, 0])
    assert mask.sum(axis=1).tolist() == found.lengths[[1, 0]].tolist() and ((ids != 0) == mask).all()
    assert found.take([1]).labels.tolist() == [1]


@given(st.integers(0, 200), st.integers(1, 20), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_buckets_visit_every_text_once(n, size, pool, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 100, size=n)
    batches = list(texts.length_buckets(lengths, size, rng, pool=pool))
    assert sorted(np.concatenate([*batches, np.empty(0, int)]).tolist()) == list(range(n))
    assert all(1 <= len(rows) <= size for rows in batches) and len(batches) == -(-n // size)


def test_buckets_hold_texts_of_similar_length_in_random_order():
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 100, size=3200)
    batches = list(texts.length_buckets(lengths, 32, rng))
    assert np.mean([np.ptp(lengths[rows]) for rows in batches]) < 5
    means = [lengths[rows].mean() for rows in batches]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3


def test_balanced_weights_give_classes_the_same_total():
    labels = np.array([0, 1, 1, 1, 1, 2, 2, 1])
    weights = texts.balanced_weights(labels, classes=3)
    np.testing.assert_allclose(np.bincount(labels) * weights, 8 / 3)
    assert weights[labels].mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: texts.encode(["fine", " "], max_length=8), "Text 1 is empty"),
        (lambda: texts.encode(["fine"], max_length=2), "3 to 512"),
        (lambda: texts.encode(["fine"], [0, 1], max_length=8), "each of the 1 texts"),
        (lambda: texts.encode(["fine"], [0.5], max_length=8), "whole number"),
        (lambda: texts.EncodedTexts(np.ones((2, 3)), np.ones(1), np.ones(2)), "their shapes are"),
        (lambda: texts.EncodedTexts(np.ones((1, 3)), np.array([4]), np.ones(1)), "1 to 3 tokens"),
        (lambda: list(texts.length_buckets([3], 0, np.random.default_rng(0))), "at least 1"),
        (lambda: texts.balanced_weights([0, 0]), "Class 1 has no text"),
        (lambda: texts.balanced_weights([0, 2]), "0 to 1"),
        (lambda: texts.split_by_product(pl.DataFrame({"product": [1]}), test_fraction=1.0), "below 1"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_model_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path)
    texts.tokenizer.cache_clear()
    with pytest.raises(CourseError, match="advrec data minilm"):
        texts.tokenizer()
    texts.tokenizer.cache_clear()
