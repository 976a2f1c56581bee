"""What an attack with words asks of a classifier beside its logits: slopes at the words, and vectors of whole texts."""

import numpy as np
import torch

from advrec_teach.pytorch.bert import TextClassifier, text_loss
from advrec_teach.pytorch.tensors import numpy
from advrec_teach.reference_text import WIDTH
from advrec_teach.text_attacks import check_labels
from advrec_teach.texts import EncodedTexts


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
    for rows in np.split(order, range(batch_size, len(order), batch_size)):
        if len(rows):
            ids, _, labels = texts.batch(rows)
            words = model.embed(ids).detach().requires_grad_()
            # The sum of the texts' losses, of which each depends on its own words only.
            loss = len(rows) * text_loss(model.logits(ids, embeddings=words), labels)
            found[rows, : ids.shape[1]] = numpy(torch.autograd.grad(loss, words)[0])
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
    with torch.inference_mode():
        for rows in np.split(order, range(batch_size, len(order), batch_size)):
            if len(rows):
                found[rows] = numpy(model.pool(texts.batch(rows)[0]))
    return found
