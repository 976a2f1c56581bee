"""A language model that goes on with a text: what it makes of prompts is kept, continuations are read after it.

What looks inside takes vectors of tokens as an argument, so that an attack can move them:
``model.states(model.embed(ids), after=memory)``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advrec_teach.reference_language import check_rows, check_scored, pad
from advrec_teach.tensorflow import _setup
from advrec_teach.tensorflow.tensors import numpy, tensor


@dataclass(frozen=True, eq=False)
class Memory:
    """What a language model keeps of n prompts, so that it need not read them again.

    Attributes
    ----------
    keys, values
        One tensor a layer, stacked: shape [layers, n, key heads, longest prompt, width of a head]. What stands after
        the end of a shorter prompt is never looked at.
    lengths
        Tokens of every prompt, int64, shape [n].
    last
        The last state of every prompt, which says what comes next: shape [n, width].
    """

    keys: tf.Tensor
    values: tf.Tensor
    lengths: NDArray[np.int64]
    last: tf.Tensor

    def take(self, rows: Any) -> "Memory":
        """Return the memory of the prompts at these positions, in that order; a prompt may be taken often."""
        rows = numpy(rows).astype(np.int64)
        lengths, places = self.lengths[rows], tensor(rows)
        keys, values = (tf.gather(kept[:, :, :, : lengths.max()], places, axis=1) for kept in (self.keys, self.values))
        return Memory(keys, values, lengths, tf.gather(self.last, places))


class LanguageModel:
    """SmolLM2-135M-Instruct: a Llama of 30 layers, 576 wide, 49,152 tokens, float32, never trained here.

    Parameters
    ----------
    folder
        Another Llama with tied embeddings: a folder with ``config.json`` and ``model.safetensors``.

    Attributes
    ----------
    table
        The vectors of all tokens, shape [vocabulary, width]; the same table says what comes next.

    Raises
    ------
    CourseError
        If the model is not on this machine, or cannot be converted.

    Notes
    -----
    Allal et al., "SmolLM2: When Smol Goes Big -- Data-Centric Training of a Small Language Model", 2025. Grouped
    queries: Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints",
    EMNLP 2023. Rotated positions: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
    """

    def __init__(self, folder: Path | None = None):
        import keras_hub

        from advrec_teach.smollm import CONFIG, model_path

        folder = folder or model_path()
        with tf.device(_setup.device()):
            self.network: Any = keras_hub.models.Backbone.from_preset(str(folder), dtype="float32")
            self.network.trainable = False
            self.table: tf.Tensor = tf.convert_to_tensor(self.network.token_embedding.embeddings)
        # KerasHub leaves the constant of the norms at its own default, whatever the config says.
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        self._eps, self._base = config["rms_norm_eps"], self.network.rope_max_wavelength
        # Reading is one graph for texts of any shape. A slope is taken without it: the graph of its gradient would
        # take longer to make than a lesson's few slopes take.
        vectors = tf.TensorSpec((None, None, self.table.shape[1]), tf.float32)
        shared = self.network.num_key_value_heads
        kept = tf.TensorSpec((self.network.num_layers, None, shared, None, self._head_width()), tf.float32)
        lengths = tf.TensorSpec((None,), tf.int64)
        self._graph = tf.function(self._run, input_signature=(vectors, kept, kept, lengths), autograph=False)

    def _head_width(self) -> int:
        return self.network.transformer_layers[0]._self_attention_layer._query_dense.kernel.shape[-1]

    def embed(self, ids: Any) -> tf.Tensor:
        """Return the vectors of tokens ``ids`` [n, t]: shape [n, t, width]."""
        return tf.gather(self.table, tensor(ids, "int32"))

    def states(self, vectors: tf.Tensor, *, after: Memory | None = None) -> tf.Tensor:
        """Return the states of texts: what the model knows after each of their tokens.

        Parameters
        ----------
        vectors
            Vectors of the tokens, shape [n, t, width]. Shorter texts are padded at the end with anything: no token
            looks at a later one.
        after
            The memory of n prompts; row r of ``vectors`` goes on with prompt r. Left out, the texts start here.

        Returns
        -------
        tf.Tensor
            Shape [n, t, width], after the last norm; a gradient reaches ``vectors``.
        """
        with tf.device(_setup.device()):
            return self._run(vectors, *self._kept(vectors, after))[0]

    def _kept(self, vectors: tf.Tensor, after: Memory | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return keys, values and lengths of what was read before; without memory it has no tokens."""
        if after is not None:
            return after.keys, after.values, tensor(after.lengths, "int64")
        n, shared = tf.shape(vectors)[0], self.network.num_key_value_heads
        nothing = tf.zeros((self.network.num_layers, n, shared, 0, self._head_width()))
        return nothing, nothing, tf.zeros((n,), tf.int64)

    def _run(
        self, x: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return the states of texts that go on with what was read, and the keys and values that they add."""
        n, t, p = tf.shape(x)[0], tf.shape(x)[1], tf.shape(keys)[3]
        half = self._head_width() // 2
        turns = tf.constant(self._base ** (-np.arange(half) / half), tf.float32)
        places = tf.cast(lengths, tf.float32)[:, None] + tf.range(tf.cast(t, tf.float32))
        angles = (places[..., None] * turns)[:, None]
        cos, sin = tf.cos(angles), tf.sin(angles)
        read = tf.sequence_mask(lengths, p)[:, None, None, :]
        past = tf.linalg.band_part(tf.ones((t, t), tf.bool), -1, 0)[None, None]
        seen = tf.concat((tf.tile(read, (1, 1, t, 1)), tf.tile(past, (n, 1, 1, 1))), -1)
        mask = tf.where(seen, 0.0, -1e9)[:, :, None]
        new_keys, new_values = [], []
        for number, layer in enumerate(self.network.transformer_layers):
            attention = layer._self_attention_layer
            y = self._norm(x, layer._self_attention_layernorm)
            q, k, v = (
                self._heads(y, dense)
                for dense in (attention._query_dense, attention._key_dense, attention._value_dense)
            )
            q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
            new_keys.append(k)
            new_values.append(v)
            x += self._attend(
                q, tf.concat((keys[number], k), 2), tf.concat((values[number], v), 2), mask, attention._output_dense
            )
            y = self._norm(x, layer._feedforward_layernorm)
            gate = tf.nn.silu(_product(y, layer._feedforward_gate_dense.kernel))
            x += _product(
                gate * _product(y, layer._feedforward_intermediate_dense.kernel), layer._feedforward_output_dense.kernel
            )
        return self._norm(x, self.network.layer_norm), tf.stack(new_keys), tf.stack(new_values)

    def _norm(self, x: tf.Tensor, norm: Any) -> tf.Tensor:
        """Scale vectors to a mean square of 1, then by the layer's scale."""
        return x * tf.math.rsqrt(tf.reduce_mean(x**2, -1, keepdims=True) + self._eps) * norm.scale

    def _heads(self, y: tf.Tensor, dense: Any) -> tf.Tensor:
        """Return the heads of queries, keys or values: shape [n, heads, t, width of a head]."""
        width, heads, size = dense.kernel.shape
        product = _product(y, tf.reshape(dense.kernel, (width, heads * size)))
        return tf.transpose(tf.reshape(product, (tf.shape(y)[0], tf.shape(y)[1], heads, size)), (0, 2, 1, 3))

    def _attend(self, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask: tf.Tensor, output: Any) -> tf.Tensor:
        """Return what the queries find; the query heads of one group share keys and values."""
        shape, shared, size = tf.shape(q), k.shape[1], q.shape[-1]
        n, t, groups = shape[0], shape[2], q.shape[1] // shared
        together = tf.reshape(q, (n, shared, groups * t, size)) / np.sqrt(size)
        scores = tf.reshape(tf.matmul(together, k, transpose_b=True), (n, shared, groups, t, tf.shape(k)[2])) + mask
        weights = tf.reshape(tf.nn.softmax(scores), (n, shared, groups * t, tf.shape(k)[2]))
        found = tf.reshape(tf.matmul(weights, v), (n, shared * groups, t, size))
        joined = tf.reshape(tf.transpose(found, (0, 2, 1, 3)), (n, t, shared * groups * size))
        kernel = tf.convert_to_tensor(output.kernel)
        return _product(joined, tf.reshape(kernel, (shared * groups * size, kernel.shape[-1])))

    def read(self, prompts: Sequence[Sequence[int]], *, batch_size: int = 16) -> Memory:
        """Read prompts and return what to keep of them.

        Parameters
        ----------
        prompts
            Token ids of each, at least one.
        batch_size
            Prompts that go through the network together.

        Raises
        ------
        ValueError
            If there is no prompt, or one is empty.
        """
        ids, lengths = pad(prompts)
        keys: list[Any] = []
        values: list[Any] = []
        last: list[Any] = []
        with tf.device(_setup.device()):
            for first in range(0, len(ids), batch_size):
                part = slice(first, first + batch_size)
                longest = int(lengths[part].max())
                vectors = self.embed(ids[part, :longest])
                states, *added = self._graph(vectors, *self._kept(vectors, None))
                room = [[0, 0]] * 3 + [[0, int(lengths.max()) - longest], [0, 0]]
                for kept, new in zip((keys, values), added, strict=True):
                    kept.append(tf.pad(new, room))
                last.append(tf.gather(states, tensor(lengths[part] - 1, "int64"), batch_dims=1))
            return Memory(tf.concat(keys, 1), tf.concat(values, 1), lengths, tf.concat(last, 0))

    def logits(self, states: tf.Tensor) -> tf.Tensor:
        """Return what comes next after these states [..., width]: one logit a token, shape [..., vocabulary]."""
        return tf.matmul(states, self.table, transpose_b=True)


def _product(x: tf.Tensor, matrix: Any) -> tf.Tensor:
    """Return x [n, t, a] times a matrix [a, b] as one product of matrices."""
    matrix = tf.convert_to_tensor(matrix)
    flat = tf.matmul(tf.reshape(x, (-1, matrix.shape[0])), matrix)
    return tf.reshape(flat, (tf.shape(x)[0], tf.shape(x)[1], matrix.shape[1]))


def _rotate(x: tf.Tensor, cos: tf.Tensor, sin: tf.Tensor) -> tf.Tensor:
    """Turn the pairs (k, k + d/2) of the heads [n, heads, t, d]."""
    first, second = tf.split(x, 2, axis=-1)
    return tf.concat((first * cos - second * sin, second * cos + first * sin), -1)


def read_continuations(
    model: LanguageModel,
    memory: Memory,
    continuations: Sequence[Sequence[int]],
    *,
    rows: Any = None,
    scored: Any = None,
    batch_size: int = 32,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-probability of every token of the continuations, and their last states.

    Parameters
    ----------
    model
        The language model.
    memory
        The prompts that it has read.
    continuations
        Token ids of each text, at least one.
    rows
        Which prompt each of them goes on with; left out, the first with the first and so on.
    scored
        How many tokens of each are scored, from its start; left out, all. What is not scored is only read, which saves
        the largest product of the network.
    batch_size
        Texts that go through the network together, those of similar length.

    Returns
    -------
    log_probabilities : numpy.ndarray
        float32, shape [n, largest number scored], nan where a text has no such token or it is not scored: the mean
        over a row that leaves nan out is the mean log-likelihood of that text.
    states : numpy.ndarray
        The state after the last token of each, float32, shape [n, width].

    Raises
    ------
    ValueError
        If a continuation is empty, a row is no prompt, or more tokens are to be scored than there are.
    """
    ids, lengths = pad(continuations)
    rows = check_rows(rows, len(ids), len(memory.lengths))
    scored = check_scored(scored, lengths)
    found = np.full((len(ids), int(scored.max(initial=0))), np.nan, np.float32)
    states = np.empty((len(ids), memory.last.shape[1]), np.float32)
    order = np.lexsort((rows, lengths))
    with tf.device(_setup.device()):
        for part in np.split(order, range(batch_size, len(order), batch_size)):
            width = int(lengths[part].max())
            kept = memory.take(rows[part])
            vectors = model.embed(ids[part, :width])
            out, _, _ = model._graph(vectors, *model._kept(vectors, kept))
            states[part] = numpy(tf.gather(out, tensor(lengths[part] - 1, "int64"), batch_dims=1))
            # The state before a token says how probable it is; for the first that is the prompt's last.
            text, place = np.nonzero(np.arange(width) < scored[part, None])
            if len(text):
                places = tensor(np.stack((text, place), 1), "int64")
                before = tf.gather_nd(tf.concat((kept.last[:, None], out[:, :-1]), 1), places)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    tensor(ids[part][text, place], "int64"), model.logits(before)
                )
                found[part[text], place] = -numpy(losses)
    return found, states


def mean_log_likelihood(logits: tf.Tensor, ids: Any, lengths: Any) -> tf.Tensor:
    """Return the mean log-probability of the tokens of each text that continues one token, shape [n].

    Parameters
    ----------
    logits
        What the model says after each token, shape [n, t, vocabulary].
    ids
        The tokens read: the last of a prompt, the text, padding; shape [n, t].
    lengths
        Tokens of each text, at least one and at most t - 1: shape [n].
    """
    ids, lengths = tensor(ids, "int64"), tensor(lengths, "int64")
    values = tf.gather(tf.nn.log_softmax(logits)[:, :-1], ids[:, 1:], axis=2, batch_dims=2)
    real = tf.sequence_mask(lengths, tf.shape(values)[1], dtype=values.dtype)
    return tf.reduce_sum(values * real, 1) / tf.cast(lengths, values.dtype)


def best_swaps(slope: tf.Tensor, table: tf.Tensor, k: int) -> tf.Tensor:
    """Return the k tokens of each position that promise the largest rise, the best first: shape [positions, k].

    To first order a loss with the gradient g at the vector e changes by g . (w - e) when w stands there instead;
    g . e is the same for all tokens.

    Parameters
    ----------
    slope
        Gradient with respect to the vectors of the positions, shape [positions, width].
    table
        Vectors of the tokens, shape [vocabulary, width].
    k
        How many.

    Notes
    -----
    Ebrahimi et al., "HotFlip: White-Box Adversarial Examples for Text Classification", ACL 2018.
    """
    return tf.math.top_k(tf.matmul(slope, table, transpose_b=True), k).indices
