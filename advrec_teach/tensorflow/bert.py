"""A text classifier: the first layers of a pretrained BERT, the mean over real words, one linear head; its training.

What looks inside takes the word embeddings as an argument, so that an attack can move them:
``model.logits(ids, embeddings=e)`` is what the network says of the words ``ids`` when they stand at ``e``.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from advrec_teach.reference_text import CLIP, WIDTH, check_classifier, check_layer, first_head
from advrec_teach.tensorflow import _setup
from advrec_teach.tensorflow.tensors import numpy, tensor
from advrec_teach.text_training import History, fit
from advrec_teach.texts import EncodedTexts


@cache
def _pretrained() -> Any:
    """Return the whole pretrained network, which is read once and only copied from."""
    import keras_hub

    from advrec_teach.data import minilm_path

    with tf.device(_setup.device()):
        return keras_hub.models.BertBackbone.from_preset(str(minilm_path()), dtype="float32")


def _backbone(layers: int, activation: str, precision: str) -> Any:
    """Return a network of the first layers with the pretrained weights, in memory of its own."""
    whole = _pretrained()
    # Dropout inside the encoder would slow every step down and buy nothing in the few hundred that the course makes.
    settings = whole.get_config() | {"num_layers": layers, "dropout": 0.0, "name": "bert"}
    settings["dtype"] = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    backbone = type(whole)(**settings)
    for name in ("token_embedding", "position_embedding", "segment_embedding", "embeddings_layer_norm"):
        getattr(backbone, name).set_weights(getattr(whole, name).get_weights())
    for layer, pretrained in zip(backbone.transformer_layers, whole.transformer_layers, strict=False):
        layer.set_weights(pretrained.get_weights())
        if activation == "erf":
            layer._feedforward_intermediate_dense.activation = keras.activations.gelu
    return backbone


class TextClassifier(keras.Model):
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
        # On a processor TensorFlow gains nothing by bfloat16.
        precision = precision or ("float32" if _setup.device() == "cpu" else "bfloat16")
        self._settings: dict[str, Any] = {"layers": layers, "classes": classes, "dropout": dropout}
        self._settings |= {"activation": activation, "precision": precision, "seed": seed}
        self.classes, self.dropout, self.precision = classes, dropout, precision
        with tf.device(_setup.device()):
            self.encoder = _backbone(layers, activation, precision)
            self.weight = self.add_weight(shape=(WIDTH, classes), initializer="zeros", name="head", dtype="float32")
            self.bias = self.add_weight(shape=(classes,), initializer="zeros", name="head_bias", dtype="float32")
        self.weight.assign(first_head(classes, seed))

    def embed(self, ids: Any) -> tf.Tensor:
        """Return the vectors of the words ``ids`` [n, t], before positions are added: shape [n, t, 384]."""
        return tf.gather(tf.convert_to_tensor(self.encoder.token_embedding.embeddings), tensor(ids, "int32"))

    def states(
        self, ids: Any, *, embeddings: tf.Tensor | None = None, move: tf.Tensor | None = None, layer: int = 0
    ) -> tf.Tensor:
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
        ids = tensor(ids, "int32")
        encoder, mask = self.encoder, ids != 0
        x = self.embed(ids) if embeddings is None else embeddings
        if move is not None:
            check_layer(layer, len(encoder.transformer_layers))
            x = x + move if layer == 0 else x
        x = encoder.embeddings_add((x, encoder.position_embedding(x), encoder.segment_embedding(tf.zeros_like(ids))))
        x = encoder.embeddings_layer_norm(x)
        for number, block in enumerate(encoder.transformer_layers, 1):
            x = block(x, padding_mask=mask)
            if move is not None and layer == number:
                x = x + tf.cast(move, x.dtype)
        return tf.cast(x, tf.float32)

    def pool(
        self, ids: Any, *, embeddings: tf.Tensor | None = None, move: tf.Tensor | None = None, layer: int = 0
    ) -> tf.Tensor:
        """Return a text's vector, the mean of its states over its real words: shape [n, 384]."""
        ids = tensor(ids, "int32")
        real = tf.cast(ids != 0, tf.float32)[..., None]
        states = self.states(ids, embeddings=embeddings, move=move, layer=layer)
        return tf.reduce_sum(states * real, 1) / tf.reduce_sum(real, 1)

    def head(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return the logits of texts with these vectors: shape [n, classes]."""
        return tf.matmul(vectors, tf.convert_to_tensor(self.weight)) + tf.convert_to_tensor(self.bias)

    def logits(
        self, ids: Any, *, embeddings: tf.Tensor | None = None, move: tf.Tensor | None = None, layer: int = 0
    ) -> tf.Tensor:
        """Return the logits of texts, shape [n, classes], without dropout; parameters as in :meth:`states`."""
        return self.head(self.pool(ids, embeddings=embeddings, move=move, layer=layer))

    call = logits

    def trained(self) -> dict[str, Any]:
        """Return what training changes, by name: the layers and the head. The vectors of the words stay."""
        layers = [variable for layer in self.encoder.transformer_layers for variable in layer.trainable_variables]
        return {variable.path: variable for variable in (*layers, self.weight, self.bias)}

    def copy(self) -> "TextClassifier":
        """Return a model with the same weights in memory of its own."""
        other = type(self)(**self._settings)
        other.assign(self)
        return other

    def assign(self, other: "TextClassifier") -> None:
        """Take over what training changes from a model with as many layers and classes."""
        for mine, theirs in zip(self.trained().values(), other.trained().values(), strict=True):
            mine.assign(theirs)


def text_loss(logits: tf.Tensor, labels: Any, class_weights: Any = None) -> tf.Tensor:
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
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if class_weights is not None:
        losses *= tf.gather(tensor(class_weights), labels)
    return tf.reduce_mean(losses)


def text_logits(model: TextClassifier, texts: EncodedTexts, *, batch_size: int = 64) -> np.ndarray:
    """Return the logits of all texts, shape [n, classes], float32, in their order.

    Texts of similar length go through the network together, so that little of the work is padding.
    """
    found = np.empty((len(texts.ids), model.classes), np.float32)
    order = np.argsort(texts.lengths, kind="stable")
    with tf.device(_setup.device()):
        for rows in np.split(order, range(batch_size, len(order), batch_size)):
            if len(rows):
                found[rows] = numpy(_graph(model)(tensor(texts.batch(rows)[0], "int32")))
    return found


def _graph(model: TextClassifier) -> Callable:
    """Return the logits of ``model`` as one graph for batches of any shape, made once for each model."""
    if not hasattr(model, "_graph"):
        shape = tf.TensorSpec((None, None), tf.int32)
        model._graph = tf.function(model.logits, input_signature=(shape,), autograph=False)
    return model._graph


class TextTrainer:
    """Training steps of one classifier with AdamW, whose gradient is shortened to length 1 where it is longer."""

    def __init__(self, model: TextClassifier, class_weights: np.ndarray, *, decay: float):
        self.model, self.class_weights = model, tensor(class_weights)
        named = model.trained()
        self.parameters = list(named.values())
        # Keras adds its constant before the bias is corrected, PyTorch after: this one is near PyTorch's 1e-8.
        self.adam = keras.optimizers.AdamW(weight_decay=decay, epsilon=1e-9)
        # Matrices are pulled towards zero, scales and biases are not.
        self.adam.exclude_from_weight_decay(var_list=[p for p in self.parameters if "kernel" not in p.path])
        self.adam.build(self.parameters)
        shapes = (
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int64),
            tf.TensorSpec((None, WIDTH), tf.float32),
        )
        self._step = tf.function(self._update, input_signature=shapes, autograph=False)

    def loss_at(self, ids: tf.Tensor, labels: tf.Tensor, factors: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
        """Return the loss of a batch whose words stand at ``embeddings``."""
        vectors = self.model.pool(ids, embeddings=embeddings)
        return text_loss(self.model.head(vectors * factors), labels, self.class_weights)

    def slopes(self, ids: tf.Tensor, labels: tf.Tensor, factors: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss of a batch and the gradient of what is minimised, for each of the parameters."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([parameter.value for parameter in self.parameters])
            loss = self.loss_at(ids, labels, factors, self.model.embed(ids))
        return loss, tape.gradient(loss, [parameter.value for parameter in self.parameters])

    def _update(self, ids: tf.Tensor, labels: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
        loss, gradients = self.slopes(ids, labels, factors)
        gradients, _ = tf.clip_by_global_norm(gradients, CLIP)
        self.adam.apply(gradients, self.parameters)
        return loss

    def step(self, ids: np.ndarray, labels: np.ndarray, factors: np.ndarray, rate: float) -> tf.Tensor:
        """Train on one batch and return its loss."""
        with tf.device(_setup.device()):
            self.adam.learning_rate = rate
            return self._step(tensor(ids, "int32"), tensor(labels, "int64"), tensor(factors))

    def logits(self, texts: EncodedTexts) -> np.ndarray:
        """Return the logits of all texts, in their order."""
        return text_logits(self.model, texts)

    def snapshot(self) -> list[np.ndarray]:
        """Return a copy of all that is trained."""
        return [numpy(parameter.value).copy() for parameter in self.parameters]

    def restore(self, snapshot: list[np.ndarray]) -> None:
        """Put the weights back to what they were when ``snapshot`` was made."""
        for parameter, values in zip(self.parameters, snapshot, strict=True):
            parameter.assign(values)


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
