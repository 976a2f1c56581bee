"""A language model that goes on with a text: what it makes of prompts is kept, continuations are read after it.

What looks inside takes vectors of tokens as an argument, so that an attack can move them:
``model.states(model.embed(ids), after=memory)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from advrec_teach.pytorch import _setup
from advrec_teach.pytorch.tensors import numpy, tensor
from advrec_teach.reference_language import check_rows, check_scored, pad


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

    keys: torch.Tensor
    values: torch.Tensor
    lengths: NDArray[np.int64]
    last: torch.Tensor

    def take(self, rows: Any) -> "Memory":
        """Return the memory of the prompts at these positions, in that order; a prompt may be taken often."""
        rows = numpy(rows).astype(np.int64)
        lengths, places = self.lengths[rows], tensor(rows)
        keys, values = (kept[:, :, :, : lengths.max()].index_select(1, places) for kept in (self.keys, self.values))
        return Memory(keys, values, lengths, self.last[places])


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
        from transformers import LlamaForCausalLM
        from transformers.utils import logging

        from advrec_teach.smollm import model_path

        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            network = LlamaForCausalLM.from_pretrained(
                str(folder or model_path()), dtype=torch.float32, local_files_only=True, use_safetensors=True
            )
        finally:
            if shown:
                logging.enable_progress_bar()
        network.requires_grad_(False)
        self.network: Any = network.eval().to(_setup.device())
        self.table: torch.Tensor = self.network.model.embed_tokens.weight.data

    def embed(self, ids: Any) -> torch.Tensor:
        """Return the vectors of tokens ``ids`` [n, t]: shape [n, t, width]."""
        return self.table[tensor(ids, "int64")]

    def states(self, vectors: torch.Tensor, *, after: Memory | None = None) -> torch.Tensor:
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
        torch.Tensor
            Shape [n, t, width], after the last norm; a gradient reaches ``vectors``.
        """
        return self._run(vectors, after, keep=False).last_hidden_state

    def _run(self, vectors: torch.Tensor, after: Memory | None, *, keep: bool) -> Any:
        from transformers import DynamicCache

        n, t = vectors.shape[:2]
        cache, positions, mask = None, torch.arange(t, device=vectors.device).expand(n, t), None
        if after is not None:
            cache = DynamicCache(ddp_cache_data=list(zip(after.keys, after.values, strict=True)))
            lengths = tensor(after.lengths)[:, None]
            read = (torch.arange(after.keys.shape[3], device=vectors.device) < lengths)[:, None, None]
            past = torch.ones(t, t, dtype=torch.bool, device=vectors.device).tril()
            # Given with all four axes, the mask is used as it is; a flat one is looked at first: a GPU would wait.
            mask = torch.cat((read.expand(n, 1, t, -1), past.expand(n, 1, t, t)), 3)
            positions = positions + lengths
        elif keep:
            cache = DynamicCache()
        return self.network.model(
            inputs_embeds=vectors,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=cache is not None,
        )

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
        keys: Any = []
        values: Any = []
        last: Any = []
        with torch.inference_mode():
            for first in range(0, len(ids), batch_size):
                part = slice(first, first + batch_size)
                longest = int(lengths[part].max())
                found = self._run(self.embed(ids[part, :longest]), None, keep=True)
                room = (0, 0, 0, int(lengths.max()) - longest)
                for kept, name in ((keys, "keys"), (values, "values")):
                    stacked = torch.stack([getattr(layer, name) for layer in found.past_key_values.layers])
                    kept.append(torch.nn.functional.pad(stacked, room))
                ends = tensor(lengths[part] - 1, "int64")
                last.append(found.last_hidden_state[torch.arange(len(ends), device=ends.device), ends])
            together = torch.cat(keys, 1), torch.cat(values, 1), torch.cat(last)
        # Outside of inference mode they may take part in what is differentiated.
        keys, values, last = (part.clone() for part in together)
        return Memory(keys, values, lengths, last)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return what comes next after these states [..., width]: one logit a token, shape [..., vocabulary]."""
        return states @ self.table.T


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
    with torch.inference_mode():
        for part in np.split(order, range(batch_size, len(order), batch_size)):
            width = int(lengths[part].max())
            kept = memory.take(rows[part])
            out = model.states(model.embed(ids[part, :width]), after=kept)
            ends = tensor(lengths[part] - 1, "int64")
            states[part] = numpy(out[torch.arange(len(part), device=ends.device), ends])
            # The state before a token says how probable it is; for the first that is the prompt's last.
            text, place = np.nonzero(np.arange(width) < scored[part, None])
            if len(text):
                before = torch.cat((kept.last[:, None], out[:, :-1]), 1)[tensor(text), tensor(place)]
                chosen = tensor(ids[part][text, place], "int64")
                logits = model.logits(before)
                value = logits.gather(1, chosen[:, None])[:, 0] - logits.logsumexp(1)
                found[part[text], place] = numpy(value)
    return found, states


def mean_log_likelihood(logits: torch.Tensor, ids: Any, lengths: Any) -> torch.Tensor:
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
    values = torch.log_softmax(logits, -1)[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
    real = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
    return (values * real).sum(1) / lengths


def best_swaps(slope: torch.Tensor, table: torch.Tensor, k: int) -> torch.Tensor:
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
    return (slope @ table.T).topk(k, dim=1).indices
