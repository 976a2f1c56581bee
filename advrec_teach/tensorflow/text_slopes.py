"""What an attack with words asks of a classifier beside its logits: slopes at the words, and vectors of whole texts."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from advrec_teach.reference_text import WIDTH
from advrec_teach.tensorflow import _setup
from advrec_teach.tensorflow.bert import TextClassifier, text_loss
from advrec_teach.tensorflow.tensors import numpy, tensor
from advrec_teach.text_attacks import check_labels
from advrec_teach.texts import EncodedTexts

_IDS, _LABELS = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int64)


def text_slopes(model: TextClassifier, texts: EncodedTexts, *, batch_size: int = 64) -> np.ndarray:
    """Return the gradient of each text's own loss for its tokens' vectors: shape [n, t, 384], float32, 0 at padding.

    What HotFlip multiplies with the way from one word to another (Ebrahimi et al., ACL 2018). No text's gradient
    depends on which others share its batch; the classes are not weighted.

    Parameters
    ----------
    model, texts
        What is attacked; the texts have labels.
    batch_size
        Texts that go through the network together; those of similar length do.

    Raises
    ------
    ValueError
        If a label is no class.
    """
    check_labels(texts.labels, model.classes)
    found = np.zeros((*texts.ids.shape, WIDTH), np.float32)
    order = np.argsort(texts.lengths, kind="stable")
    with tf.device(_setup.device()):
        for rows in np.split(order, range(batch_size, len(order), batch_size)):
            if len(rows):
                ids, _, labels = texts.batch(rows)
                found[rows, : ids.shape[1]] = numpy(_graphs(model)[0](tensor(ids, "int32"), tensor(labels, "int64")))
    return found


def text_vectors(model: TextClassifier, texts: EncodedTexts, *, batch_size: int = 64) -> np.ndarray:
    """Return the vector of each text, the mean of the last states over its tokens: shape [n, 384], float32.

    Parameters
    ----------
    model, texts
        The encoder and what it reads; the head takes no part.
    batch_size
        Texts that go through the network together; those of similar length do.
    """
    found = np.empty((len(texts), WIDTH), np.float32)
    order = np.argsort(texts.lengths, kind="stable")
    with tf.device(_setup.device()):
        for rows in np.split(order, range(batch_size, len(order), batch_size)):
            if len(rows):
                found[rows] = numpy(_graphs(model)[1](tensor(texts.batch(rows)[0], "int32")))
    return found


def _graphs(model: TextClassifier) -> tuple[Callable[..., tf.Tensor], Callable[..., tf.Tensor]]:
    """Return slopes and vectors as graphs for batches of any shape, made once for each model."""

    def slopes(ids: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        words = model.embed(ids)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(words)
            # The sum of the texts' losses, of which each depends on its own words only.
            loss = tf.cast(tf.size(labels), tf.float32) * text_loss(model.logits(ids, embeddings=words), labels)
        return tape.gradient(loss, words)

    if "_slopes" not in model.__dict__:
        model.__dict__["_slopes"] = (
            tf.function(slopes, input_signature=(_IDS, _LABELS), autograph=False),
            tf.function(lambda ids: model.pool(ids), input_signature=(_IDS,), autograph=False),
        )
    return model.__dict__["_slopes"]
