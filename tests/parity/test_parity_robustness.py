"""Attacks on all vectors of a model: equal to NumPy, within their budget, and never at the model's cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_parity_adversarial import slopes
from test_parity_bpr import TOLERANCE, interactions, vectors

from advrec_teach import reference
from advrec_teach.reference import ATTACKS

STEPS = 5


def attacked(advrec, seed=0, std=0.5):
    """Return a model, its loss and the triples of the loss."""
    train = interactions(seed=seed % 50)
    negatives = np.array([np.flatnonzero(~row)[0] for row in train.table()])[train.users]
    triples = train.users, train.items, negatives
    model = advrec.BPRModel(30, 40, dim=6, seed=seed, std=std)
    return model, advrec.ranking_loss(*(advrec.tensor(ids) for ids in triples)), triples


def moves(advrec, model, loss_fn, **settings):
    """Return what each vector moves by, users first, shape [n, d]."""
    pair = advrec.attack_vectors(model, loss_fn, steps=STEPS, **settings)
    return np.concatenate([advrec.numpy(t) for t in pair]) - np.concatenate(vectors(advrec, model))


def test_loss_and_gradient_equal_the_reference(advrec):
    model, loss_fn, triples = attacked(advrec)
    pair = tuple(advrec.tensor(v) for v in vectors(advrec, model))
    value, gradient = advrec.value_and_grad(loss_fn, pair)
    loss, truth = slopes([v.astype(np.float64) for v in vectors(advrec, model)], triples)
    assert float(value) == pytest.approx(loss, abs=TOLERANCE)
    for ours, theirs in zip(gradient, truth, strict=True):
        np.testing.assert_allclose(advrec.numpy(ours), theirs, atol=1e-7)
    _, doubled = advrec.value_and_grad(lambda x: 2 * loss_fn(x), pair)
    np.testing.assert_allclose(advrec.numpy(doubled[0]), 2 * truth[0], atol=2e-7)


def test_many_triples_are_summed_as_a_few(advrec):
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, n, 20_001) for n in (30, 40, 40)]
    model = advrec.BPRModel(30, 40, dim=4, seed=1, std=0.5)
    pair = tuple(advrec.tensor(v) for v in vectors(advrec, model))
    value, gradient = advrec.value_and_grad(advrec.ranking_loss(*map(advrec.tensor, ids)), pair)
    loss, truth = slopes([v.astype(np.float64) for v in vectors(advrec, model)], ids)
    assert float(value) == pytest.approx(loss, abs=TOLERANCE)
    for ours, theirs in zip(gradient, truth, strict=True):
        np.testing.assert_allclose(advrec.numpy(ours), theirs, atol=1e-6)


def test_attacks_equal_the_reference(advrec):
    model, loss_fn, triples = attacked(advrec)
    start = [v.astype(np.float64) for v in vectors(advrec, model)]
    _, gradient = slopes(start, triples)
    eps = 0.8
    expected = {
        "fgsm": [reference.fgsm_delta(g, eps=eps / np.sqrt(6)) for g in gradient],
        "fgm": [reference.fgm_delta(g, eps=eps) for g in gradient],
    }
    delta = [np.zeros(v.shape) for v in start]
    step = reference.step_of(eps, STEPS)
    for _ in range(STEPS):
        _, gradient = slopes([v + d for v, d in zip(start, delta, strict=True)], triples)
        delta = [
            reference.project(d + reference.fgm_delta(g, eps=step), eps=eps, norm="l2")
            for d, g in zip(delta, gradient, strict=True)
        ]
    expected["pgd"] = delta
    for method, truth in expected.items():
        ours = moves(advrec, model, loss_fn, method=method, eps=eps)
        np.testing.assert_allclose(ours, np.concatenate(truth), atol=2e-5, err_msg=method)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20), eps=st.floats(0.01, 3))
def test_no_attack_leaves_its_budget_or_lowers_the_loss(advrec, seed, eps):
    model, loss_fn, _ = attacked(advrec, seed)
    before = vectors(advrec, model)
    start = float(loss_fn(tuple(advrec.tensor(v) for v in before)))
    for method in ATTACKS:
        pair = advrec.attack_vectors(model, loss_fn, method=method, eps=eps, steps=STEPS, seed=seed)
        delta = np.concatenate([advrec.numpy(t) for t in pair]) - np.concatenate(before)
        assert np.linalg.norm(delta, axis=1).max() <= eps * (1 + 1e-4) + 1e-6
        # Noise may lower it; and so may one long step of an attack, beyond where the slope points.
        if method == "pgd" or (method != "random" and eps < 0.3):
            assert float(loss_fn(pair)) >= start - 1e-6
    for ours, theirs in zip(before, vectors(advrec, model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("method", ATTACKS)
def test_a_radius_of_zero_moves_nothing(advrec, method):
    model, loss_fn, _ = attacked(advrec)
    np.testing.assert_array_equal(moves(advrec, model, loss_fn, method=method, eps=0.0), 0)


def test_many_steps_beat_one_and_one_beats_noise(advrec):
    """On average over models: the order that every curve of the course rests on."""
    losses = {method: [] for method in ATTACKS}
    for seed in range(8):
        model, loss_fn, _ = attacked(advrec, seed)
        for method in ATTACKS:
            pair = advrec.attack_vectors(model, loss_fn, method=method, eps=0.8, steps=STEPS, seed=seed)
            losses[method].append(float(loss_fn(pair)))
    mean = {method: np.mean(values) for method, values in losses.items()}
    assert mean["pgd"] > mean["fgm"] > mean["fgsm"] > mean["random"]


def test_noise_repeats_with_its_seed(advrec):
    model, loss_fn, _ = attacked(advrec)
    first, same, other = (moves(advrec, model, loss_fn, method="random", eps=1.0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.1
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1.0, atol=TOLERANCE)


def test_a_curve_holds_every_method_and_radius(advrec):
    model, loss_fn, _ = attacked(advrec)
    seen = []

    def measure(scores):
        assert isinstance(scores, np.ndarray) and scores.shape == (30, 40)
        seen.append(scores)
        return scores.mean()

    curve = advrec.robustness_curve(model, loss_fn, measure, epsilons=[0.0, 0.5], steps=STEPS)
    assert [(record["method"], record["eps"]) for record in curve] == [(m, e) for m in ATTACKS for e in (0.0, 0.5)]
    p, q = vectors(advrec, model)
    np.testing.assert_allclose(seen[0], p @ q.T, atol=TOLERANCE)
    assert [record["value"] for record in curve] == [float(scores.mean()) for scores in seen]
    clean, hit = (record["loss"] for record in curve if record["method"] == "pgd")
    assert hit > clean
    one = advrec.robustness_curve(model, loss_fn, measure, epsilons=[0.5], methods=["fgm"])
    assert one == [record for record in curve if record["method"] == "fgm" and record["eps"] == 0.5]


def test_mistakes_are_named(advrec):
    model, loss_fn, (users, items, negatives) = attacked(advrec)
    for settings_, message in (
        ({"method": "cw", "eps": 1.0}, "method is 'cw'"),
        ({"method": "fgm", "eps": -1.0}, "eps is -1.0"),
        ({"method": "pgd", "eps": 1.0, "steps": 0}, "steps is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            advrec.attack_vectors(model, loss_fn, **settings_)
    with pytest.raises(ValueError, match="three equally long lists"):
        advrec.ranking_loss(advrec.tensor(users), advrec.tensor(items[:-1]), advrec.tensor(negatives))
    nobody = advrec.tensor(users[:0])
    with pytest.raises(ValueError, match="three equally long lists"):
        advrec.ranking_loss(nobody, nobody, nobody)
