"""Language models of both tracks: a small Llama against NumPy, kept prompts against whole texts, and the slope."""

import json

import numpy as np
import pytest

from advrec_teach import reference_language as reference
from advrec_teach.reference_behaviour import log_softmax

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 11,
    "hidden_size": 12,
    "intermediate_size": 10,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-2,  # far from every framework's own, so that a default in its place is seen
    "rope_parameters": {"rope_type": "default", "rope_theta": 50.0},
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a small Llama."""
    from safetensors.numpy import save_file

    rng, place = np.random.default_rng(17), tmp_path_factory.mktemp("llama")
    d, inner, heads, shared = 12, 10, 6, 2
    shapes = {"embed_tokens": (11, d), "norm": (d,)}
    for layer in range(2):
        shapes |= {
            f"layers.{layer}.{name}": shape
            for name, shape in {
                "input_layernorm": (d,),
                "self_attn.q_proj": (2 * heads, d),
                "self_attn.k_proj": (2 * shared, d),
                "self_attn.v_proj": (2 * shared, d),
                "self_attn.o_proj": (d, 2 * heads),
                "post_attention_layernorm": (d,),
                "mlp.gate_proj": (inner, d),
                "mlp.up_proj": (inner, d),
                "mlp.down_proj": (d, inner),
            }.items()
        }
    weights = {f"model.{n}.weight": rng.normal(0, 0.5, shape).astype(np.float32) for n, shape in shapes.items()}
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    (place / "config.json").write_text(json.dumps(CONFIG))
    return place


@pytest.fixture(scope="module")
def model(advrec, folder):
    """Return the small Llama of this track."""
    advrec.setup(device="cpu")
    return advrec.LanguageModel(folder)


def truth(folder, ids):
    """Return states and log-probabilities of what comes next, in NumPy."""
    weights, config = reference.read_weights(folder)
    states = reference.llama_states(weights, config, ids)
    return states, log_softmax(states @ weights["embed_tokens.weight"].T)


def test_states_and_logits(advrec, model, folder):
    ids = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]
    states = model.states(model.embed(ids))
    for row, text in enumerate(ids):
        wanted, log_p = truth(folder, text)
        np.testing.assert_allclose(advrec.numpy(states)[row], wanted, atol=1e-5)
        found = log_softmax(advrec.numpy(model.logits(states))[row].astype(np.float64))
        np.testing.assert_allclose(found, log_p, atol=1e-5)


def test_continuations_of_kept_prompts(advrec, model, folder):
    """Prompts and texts of different length, out of order and one prompt twice, in batches smaller than both."""
    prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]
    texts, rows, scored = [[1, 2], [3, 4, 5, 6], [7], [8, 9, 10]], [2, 0, 1, 2], [2, 3, 1, 0]
    memory = model.read(prompts, batch_size=2)
    found, states = advrec.read_continuations(model, memory, texts, rows=rows, scored=scored, batch_size=3)
    assert found.shape == (4, 3) and states.shape == (4, 12)
    for k, (text, row) in enumerate(zip(texts, rows, strict=True)):
        ids = prompts[row] + text
        wanted, log_p = truth(folder, ids)
        start = len(prompts[row]) - 1
        each = [log_p[start + place, token] for place, token in enumerate(text[: scored[k]])]
        np.testing.assert_allclose(found[k, : scored[k]], each, atol=1e-5)
        assert np.isnan(found[k, scored[k] :]).all()
        np.testing.assert_allclose(states[k], wanted[-1], atol=1e-5)
    np.testing.assert_allclose(advrec.numpy(memory.last)[1], truth(folder, [4])[0][-1], atol=1e-5)


def test_a_slope_reaches_the_vectors_of_a_continuation(advrec, model, ops):
    memory = model.read([[1, 2, 3], [4]]).take([1, 0])
    vectors = model.embed([[5, 6], [7, 8]])

    def loss(v):
        return ops.sum(model.logits(model.states(v, after=memory))[:, -1, 0])

    _, slope = advrec.value_and_grad(loss, vectors)
    found, x = advrec.numpy(slope), advrec.numpy(vectors).astype(np.float64)
    for place in ((0, 0, 3), (1, 1, 7), (1, 0, 0)):
        move = np.zeros_like(x)
        move[place] = 1e-2
        up, down = (float(loss(advrec.tensor(x + sign * move))) for sign in (1, -1))
        assert found[place] == pytest.approx((up - down) / 2e-2, abs=2e-3)


def test_log_likelihoods_and_swaps(advrec):
    rng = np.random.default_rng(0)
    logits, ids, lengths = rng.normal(size=(3, 5, 7)), rng.integers(0, 7, (3, 5)), np.array([4, 1, 2])
    found = advrec.mean_log_likelihood(advrec.tensor(logits), ids, lengths)
    np.testing.assert_allclose(advrec.numpy(found), reference.mean_log_likelihood(logits, ids, lengths), atol=1e-5)
    slope, table = rng.normal(size=(3, 4)), rng.normal(size=(9, 4))
    swaps = advrec.best_swaps(advrec.tensor(slope), advrec.tensor(table), 4)
    np.testing.assert_array_equal(advrec.numpy(swaps), reference.best_swaps(slope, table, 4))


@pytest.mark.parametrize(
    ("texts", "settings", "words"),
    [
        ([], {}, "at least one"),
        ([[1], []], {}, "at least one token"),
        ([[1]], {"rows": [2]}, "one of 2 prompts"),
        ([[1], [2]], {"rows": [0]}, "one of 2 prompts"),
        ([[1]], {"rows": [0], "scored": [2]}, "at most as many"),
        ([[1]], {"rows": [0], "scored": [-1]}, "at most as many"),
    ],
)
def test_mistakes_are_named(advrec, model, texts, settings, words):
    memory = model.read([[1], [2]])
    with pytest.raises(ValueError, match=words):
        advrec.read_continuations(model, memory, texts, **settings)


def test_the_real_model_says_what_numpy_says(advrec):
    from advrec_teach import smollm

    advrec.setup(device="cpu")
    real = advrec.LanguageModel()
    prompt, text = smollm.encode("Films I love: Toy Story, Aladdin.\nI also love"), smollm.encode(" The Lion King")
    found, states = advrec.read_continuations(real, real.read([prompt]), [text])
    wanted, log_p = truth(smollm.model_path(), prompt + text)
    each = [log_p[len(prompt) - 1 + place, token] for place, token in enumerate(text)]
    np.testing.assert_allclose(found[0], each, atol=1e-4)
    np.testing.assert_allclose(states[0], wanted[-1], atol=1e-3)
