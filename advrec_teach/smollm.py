"""SmolLM2-135M-Instruct as both tracks read it: weights in safetensors, a config and a tokenizer, made once from GGUF.

The file that ``advrec data smollm2`` fetches holds the weights in 4 and 8 bits. Neither framework computes with
those, so the first use writes them out as float16 beside it (half the disk of float32, and the rounding is a hundredth
of what the 4 bits have already cost). Knows no framework.
"""

import json
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advrec_teach import data
from advrec_teach.errors import CourseError

FOLDER = "converted"
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"

_CONTROL = 3  # GGUF's mark of a token that stands for no text
_OUTSIDE = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
_INSIDE = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def model_path() -> Path:
    """Return the folder of the converted model: ``model.safetensors``, ``config.json`` and ``tokenizer.json``.

    The first call converts, which takes some seconds and 270 MB of disk; a call that fails leaves nothing behind.

    Raises
    ------
    CourseError
        If the model is not on this machine, its file is damaged, or the disk refuses.
    """
    source = data.smollm2_path()
    folder = source.parent / FOLDER
    if all((folder / name).is_file() for name in (WEIGHTS, CONFIG, TOKENIZER)):
        return folder
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{FOLDER}-", dir=source.parent))
        try:
            convert(source, work)
            work.chmod(0o755)
            try:
                os.replace(work, folder)
            except OSError:
                # Another process was faster, or half a folder is in the way.
                if not all((folder / name).is_file() for name in (WEIGHTS, CONFIG, TOKENIZER)):
                    shutil.rmtree(folder, ignore_errors=True)
                    os.replace(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise CourseError(
            f"SmolLM2 could not be converted in {source.parent}: {error.strerror or error}. Nothing was kept. It needs "
            "about 300 MB there; free some space, or name another folder in ADVREC_DATA."
        ) from error
    return folder


def convert(source: Path, folder: Path) -> None:
    """Write the model of the GGUF file ``source`` into ``folder``, which exists.

    Raises
    ------
    CourseError
        If ``source`` is no whole GGUF file of a Llama with tied embeddings.
    OSError
        If the disk refuses.
    """
    from safetensors.numpy import save

    fields, tensors = _read(source)
    config = _config(fields)
    weights = {_name(name): _weight(_name(name), tensor, config) for name, tensor in tensors.items()}
    # Serialised first and written by Python: a full disk is then an OSError, and not the library's own.
    (folder / WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    tokens, merges, kinds = (fields[f"tokenizer.ggml.{key}"] for key in ("tokens", "merges", "token_type"))
    (folder / TOKENIZER).write_text(_tokenizer(tokens, merges, kinds).to_str(), encoding="utf-8")


def _read(source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the tensors of a GGUF file."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(source)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        if fields["general.architecture"] != "llama" or len(reader.tensors) < 1:
            raise ValueError(f"it holds {fields['general.architecture']}")
        return fields, {tensor.name: tensor for tensor in reader.tensors}
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise CourseError(
            f"{source} is damaged ({' '.join(str(error).split())[:80]}). Delete it and run `advrec data smollm2`."
        ) from error


def _config(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the config of the network in the words of Hugging Face."""
    llama = {key.removeprefix("llama."): value for key, value in fields.items() if key.startswith("llama.")}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float16",
        "vocab_size": llama["vocab_size"],
        "hidden_size": llama["embedding_length"],
        "intermediate_size": llama["feed_forward_length"],
        "num_hidden_layers": llama["block_count"],
        "num_attention_heads": llama["attention.head_count"],
        "num_key_value_heads": llama["attention.head_count_kv"],
        "head_dim": llama["rope.dimension_count"],
        "max_position_embeddings": llama["context_length"],
        # Stored as float32; the shortest decimal of it is what the network was trained with.
        "rms_norm_eps": float(str(np.float32(llama["attention.layer_norm_rms_epsilon"]))),
        "rope_parameters": {"rope_type": "default", "rope_theta": float(llama["rope.freq_base"])},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def _name(name: str) -> str:
    """Return what Hugging Face calls a tensor of GGUF."""
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    _, layer, kind, _ = name.split(".")
    return f"model.layers.{layer}.{_INSIDE[kind]}.weight"


def _weight(name: str, tensor: Any, config: dict[str, Any]) -> NDArray[np.float16]:
    """Return a tensor as float16, the rows of queries and keys in the order of the original model."""
    from gguf.quants import dequantize

    weight = dequantize(tensor.data, tensor.tensor_type)
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}.get(name.split(".")[-2])
    if heads:
        # GGUF rotates neighbours in a head, the original one half against the other.
        weight = weight.reshape(config[heads], -1, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
    return np.ascontiguousarray(weight, dtype=np.float16)


def _tokenizer(tokens: list[str], merges: list[str], kinds: list[int]) -> Any:
    """Return the byte-level BPE tokenizer: every digit by itself, a blank belongs to the word after it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    pairs = [(first, second) for first, second in (merge.split(" ") for merge in merges)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocabulary, pairs))
    made.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    made.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return made


@cache
def tokenizer() -> Any:
    """Return the model's ``tokenizers.Tokenizer``, the same in both tracks.

    Its own ``encode`` may read marks such as ``<|im_end|>`` in a text as what they stand for; see :func:`encode`.

    Raises
    ------
    CourseError
        As :func:`model_path`.
    """
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model_path() / TOKENIZER))


def encode(text: str, *, marks: bool = False) -> list[int]:
    """Return the token ids of a text, at least one.

    Parameters
    ----------
    text
        What is read.
    marks
        Read ``<|im_start|>``, ``<|im_end|>`` and ``<|endoftext|>`` as the model's own marks. Left out, they stay plain
        characters: the text of a stranger cannot end somebody else's turn.

    Raises
    ------
    ValueError
        If the text is empty.
    """
    if not text:
        raise ValueError("The text is empty: a language model needs at least one token.")
    made = tokenizer()
    made.encode_special_tokens = not marks
    return made.encode(text).ids


def decode(ids: Any) -> str:
    """Return the text of these token ids."""
    return tokenizer().decode([int(number) for number in np.asarray(ids).reshape(-1)], skip_special_tokens=False)


def plain_words() -> NDArray[np.int64]:
    """Return the ids of tokens that are a blank and at least three lower-case letters, in order.

    A text made of such words is read back as the same tokens.
    """
    vocabulary = tokenizer().get_vocab()
    found = [number for token, number in vocabulary.items() if re.fullmatch("Ġ[a-z]{3,}", token)]
    return np.array(sorted(found), np.int64)
