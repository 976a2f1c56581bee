"""A text classifier: the first layers of a pretrained BERT, the mean over real words, one linear head; its training.

What looks inside takes the word embeddings as an argument, so that an attack can move them:
``model.logits(ids, embeddings=e)`` is what the network says of the words ``ids`` when they stand at ``e``.
"""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from advrec_teach.pytorch import _setup
from advrec_teach.pytorch.tensors import numpy, tensor
from advrec_teach.reference_text import ACTIVATIONS, CLIP, check_classifier, check_layer, first_head, stored_weights
from advrec_teach.text_training import History, fit
from advrec_teach.texts import EncodedTexts

ATTENTION = "advrec"
"""The name under which Transformers finds the attention of this module."""


def _fast_bfloat16() -> bool:
    """Return whether the device multiplies bfloat16 in hardware."""
    device = _setup.device()
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _attention(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, **given: Any
) -> tuple[torch.Tensor, None]:
    """Return attention for Transformers, shape [n, t, heads, width]; a CPU computes it in float32 at any precision.

    PyTorch's backward pass through attention in bfloat16 takes a CPU ten times as long as the one in float32.
    """
    whole: AbstractContextManager[Any] = nullcontext()
    dtype = query.dtype
    if query.device.type == "cpu" and dtype == torch.bfloat16:
        whole = torch.autocast("cpu", enabled=False)
        query, key, value = query.float(), key.float(), value.float()
    with whole:
        found = nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=given["scaling"])
    return found.transpose(1, 2).to(dtype), None


def _encoder(layers: int, activation: str) -> Any:
    """Return the first layers of the pretrained network, without the layer that BERT pools with."""
    from transformers import AttentionInterface, BertConfig, BertModel

    from advrec_teach.data import minilm_path

    AttentionInterface.register(ATTENTION, _attention)

    config = BertConfig.from_json_file(minilm_path() / "config.json")
    config.num_hidden_layers, config.hidden_act = layers, ACTIVATIONS[activation]
    # Dropout inside the encoder would slow every step down and buy nothing in the few hundred that the course makes.
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    config._attn_implementation = ATTENTION
    encoder = BertModel(config, add_pooling_layer=False)
    stored = stored_weights(layers)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            parameter.copy_(torch.from_numpy(stored[name]))
    return encoder


class TextClassifier(nn.Module):
    """The first layers of MiniLM, a pretrained BERT; the mean of its states over the real words; a linear head.

    Parameters
    ----------
    layers
        How many of the six layers are used, the first ones.
    classes
        Number of classes.
    dropout
        Share of a text's vector that is set to zero at random in training, before the head.
    activation
        ``"tanh"`` computes the approximation of GELU that Keras has, so that both tracks agree; ``"erf"`` its
        definition, with which the network was trained.
    precision
        ``"float32"``, or ``"bfloat16"`` for the products inside the network; left out, bfloat16 where the device
        multiplies it in hardware and this track gains by it.
    seed
        Seed of the head's first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    CourseError
        If the pretrained model is not on this machine.

    Notes
    -----
    Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", NAACL 2019;
    Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained
    Transformers", NeurIPS 2020; the mean as in Reimers and Gurevych, "Sentence-BERT", EMNLP-IJCNLP 2019.
    """

    def __init__(
        self,
        *,
        layers: int = 2,
        classes: int = 2,
        dropout: float = 0.1,
        activation: str = "tanh",
        precision: str | None = None,
        seed: int = 0,
    ):
        super().__init__()
        check_classifier(layers, classes, dropout, activation, precision)
        self.layers, self.classes, self.dropout = layers, classes, dropout
        self.precision = precision or ("bfloat16" if _fast_bfloat16() else "float32")
        self.encoder: Any = _encoder(layers, activation)
        head = first_head(classes, seed)
        self.weight, self.bias = nn.Parameter(torch.from_numpy(head)), nn.Parameter(torch.zeros(classes))
        self.to(_setup.device())

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.weight.device.type, torch.bfloat16)

    def embed(self, ids: Any) -> torch.Tensor:
        """Return the vectors of the words ``ids`` [n, t], before positions are added: shape [n, t, 384]."""
        return self.encoder.embeddings.word_embeddings(tensor(ids, "int64"))

    def states(
        self, ids: Any, *, embeddings: torch.Tensor | None = None, move: torch.Tensor | None = None, layer: int = 0
    ) -> torch.Tensor:
        """Return the last states of the encoder, shape [n, t, 384], float32.

        Parameters
        ----------
        ids
            Word ids, shape [n, t], padded with 0; no word attends to padding.
        embeddings
            What stands in the place of the words' vectors, shape [n, t, 384].
        move, layer
            What is added to the states after this layer, shape [n, t, 384]; with layer 0 to the words' vectors.
        """
        ids = tensor(ids, "int64")
        embeddings = self.embed(ids) if embeddings is None else embeddings
        moves: AbstractContextManager[Any] = nullcontext()
        if move is not None:
            check_layer(layer, self.layers)
            embeddings = embeddings + move if layer == 0 else embeddings
            if layer > 0:
                moves = self.encoder.encoder.layer[layer - 1].register_forward_hook(lambda _, __, state: state + move)
        # Given with all four axes, the mask is used as it is; a flat one is looked at first, which makes a GPU wait.
        real = (ids != 0)[:, None, None, :].expand(-1, 1, ids.shape[1], -1)
        with self._autocast(), moves:
            found = self.encoder(inputs_embeds=embeddings, attention_mask=real)
        return found.last_hidden_state.float()

    def pool(
        self, ids: Any, *, embeddings: torch.Tensor | None = None, move: torch.Tensor | None = None, layer: int = 0
    ) -> torch.Tensor:
        """Return a text's vector, the mean of its states over its real words: shape [n, 384]."""
        ids = tensor(ids, "int64")
        real = (ids != 0).unsqueeze(-1)
        return (self.states(ids, embeddings=embeddings, move=move, layer=layer) * real).sum(1) / real.sum(1)

    def head(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the logits of texts with these vectors: shape [n, classes]."""
        return vectors @ self.weight + self.bias

    def logits(
        self, ids: Any, *, embeddings: torch.Tensor | None = None, move: torch.Tensor | None = None, layer: int = 0
    ) -> torch.Tensor:
        """Return the logits of texts, shape [n, classes], without dropout; parameters as in :meth:`states`."""
        return self.head(self.pool(ids, embeddings=embeddings, move=move, layer=layer))

    forward = logits

    def trained(self) -> dict[str, nn.Parameter]:
        """Return what training changes, by name: the layers and the head. The vectors of the words stay."""
        return {name: value for name, value in self.named_parameters() if ".embeddings." not in name}

    def copy(self) -> "TextClassifier":
        """Return a model with the same weights in memory of its own."""
        return copy.deepcopy(self)

    def assign(self, other: "TextClassifier") -> None:
        """Take over what training changes from a model with as many layers and classes."""
        with torch.no_grad():
            for mine, theirs in zip(self.trained().values(), other.trained().values(), strict=True):
                mine.copy_(theirs)


def text_loss(logits: torch.Tensor, labels: Any, class_weights: Any = None) -> torch.Tensor:
    """Return the mean over texts of w[label] * -log softmax(logits)[label]; without weights every w is 1.

    Parameters
    ----------
    logits
        Shape [n, classes].
    labels
        Whole numbers, shape [n].
    class_weights
        One positive number a class. Those that are balanced have mean 1 over the texts, so that they change what
        the loss cares for and not how large it is.
    """
    labels = tensor(labels, "int64")
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    return losses.mean() if class_weights is None else (tensor(class_weights)[labels] * losses).mean()


def text_logits(model: TextClassifier, texts: EncodedTexts, *, batch_size: int = 64) -> np.ndarray:
    """Return the logits of all texts, shape [n, classes], float32, in their order.

    Texts of similar length go through the network together, so that little of the work is padding.
    """
    found = np.empty((len(texts.ids), model.classes), np.float32)
    order = np.argsort(texts.lengths, kind="stable")
    with torch.inference_mode():
        for rows in np.split(order, range(batch_size, len(order), batch_size)):
            if len(rows):
                found[rows] = numpy(model.logits(texts.batch(rows)[0]))
    return found


class TextTrainer:
    """Training steps of one classifier with AdamW, whose gradient is shortened to length 1 where it is longer."""

    def __init__(self, model: TextClassifier, class_weights: np.ndarray, *, decay: float):
        self.model, self.class_weights = model, tensor(class_weights)
        named = model.trained()
        self.parameters = list(named.values())
        # Matrices are pulled towards zero, scales and biases are not.
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": decay},
            {"params": [p for p in self.parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(groups, fused=model.weight.device.type in ("cpu", "cuda"))

    def loss_at(
        self, ids: torch.Tensor, labels: torch.Tensor, factors: torch.Tensor, embeddings: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of a batch whose words stand at ``embeddings``."""
        vectors = self.model.pool(ids, embeddings=embeddings)
        return text_loss(self.model.head(vectors * factors), labels, self.class_weights)

    def slopes(
        self, ids: torch.Tensor, labels: torch.Tensor, factors: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the loss of a batch and the gradient of what is minimised, for each of the parameters."""
        loss = self.loss_at(ids, labels, factors, self.model.embed(ids).detach())
        return loss.detach(), list(torch.autograd.grad(loss, self.parameters))

    def step(self, ids: np.ndarray, labels: np.ndarray, factors: np.ndarray, rate: float) -> torch.Tensor:
        """Train on one batch and return its loss."""
        loss, gradients = self.slopes(tensor(ids), tensor(labels), tensor(factors))
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(self.parameters, CLIP)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None
        return loss

    def logits(self, texts: EncodedTexts) -> np.ndarray:
        """Return the logits of all texts, in their order."""
        return text_logits(self.model, texts)

    def snapshot(self) -> list[torch.Tensor]:
        """Return a copy of all that is trained."""
        return [parameter.detach().clone() for parameter in self.parameters]

    def restore(self, snapshot: list[torch.Tensor]) -> None:
        """Put the weights back to what they were when ``snapshot`` was made."""
        with torch.no_grad():
            for parameter, values in zip(self.parameters, snapshot, strict=True):
                parameter.copy_(values)


def fit_text_classifier(
    model: TextClassifier,
    texts: EncodedTexts,
    *,
    steps: int,
    rate: float = 2e-4,
    batch_size: int = 32,
    warmup: float = 0.1,
    decay: float = 0.01,
    class_weights: Any = None,
    validation: EncodedTexts | None = None,
    evaluate_every: int | None = None,
    patience: int | None = None,
    seed: int = 0,
    callback: Callable[[TextClassifier, dict[str, float]], Any] | None = None,
) -> History:
    """Train the layers and the head of ``model`` in place with AdamW; the vectors of the words stay as they are.

    Parameters
    ----------
    model
        What is trained.
    texts
        Encoded texts with labels; texts of similar length come in one batch, an epoch visits each once.
    steps
        Number of batches.
    rate
        Largest learning rate. It rises in a straight line over the share ``warmup`` of the steps, then falls to 0.
    batch_size
        Texts in a batch.
    warmup
        Share of the steps in which the rate rises.
    decay
        AdamW's pull of the matrices towards zero.
    class_weights
        Weights of the classes in the loss, as in :func:`text_loss`.
    validation
        Texts on which loss and macro-F1 are taken.
    evaluate_every
        Steps from one record to the next; left out, a quarter of all.
    patience
        Stop when the validation loss has not fallen in so many records in a row, and put back the weights of the
        best record. None trains to the end and keeps the last weights.
    seed
        Seed of the order and of the dropout, which are the same in both tracks.
    callback
        Called after each record with the model and the record; training stops when it returns True.

    Returns
    -------
    list of dict
        Records: ``step``, ``loss`` (mean since the last record, with dropout), ``rate``, ``seconds`` (of training),
        and with ``validation`` also ``validation_loss`` (weighted as in training) and ``validation_f1`` (macro).

    Raises
    ------
    ValueError
        If a setting is out of its range, or a label is no class.

    Notes
    -----
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """
    return fit(
        model,
        lambda weights: TextTrainer(model, weights, decay=decay),
        texts,
        classes=model.classes,
        dropout=model.dropout,
        steps=steps,
        rate=rate,
        batch_size=batch_size,
        warmup=warmup,
        decay=decay,
        class_weights=class_weights,
        validation=validation,
        evaluate_every=evaluate_every,
        patience=patience,
        seed=seed,
        callback=callback,
    )
