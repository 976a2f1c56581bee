"""Attacks and noise of both tracks against the reference, and the properties that define them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from advrec_teach import reference

NORMS = ("linf", "l2")
TOLERANCE = 1e-5
# float32 rounds a length to about this share of itself
ROUNDING = 3e-6

entries = st.floats(-1000, 1000, width=32, allow_subnormal=False)
shapes = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)
arrays = hnp.arrays(np.float32, shapes, elements=entries)
radii = st.just(0.0) | st.floats(1e-3, 100)


def sizes(delta, norm):
    rows = np.abs(np.asarray(delta, np.float64)).reshape(len(delta), -1)
    return rows.max(axis=1) if norm == "linf" else np.sqrt((rows**2).sum(axis=1))


@pytest.fixture(scope="module")
def triples():
    """Vectors of users, chosen items and other items."""
    rng = np.random.default_rng(3)
    return [rng.normal(0, 0.5, (12, 8)) for _ in range(3)]


@pytest.fixture(scope="module")
def loss_fn(ops):
    """Return the mean BPR loss of (p, qi, qj)."""
    return lambda v: ops.mean(ops.softplus(-ops.sum(v[0] * (v[1] - v[2]), 1)))


# --- parity


@pytest.mark.parametrize("eps", [0.0, 0.01, 2.0])
def test_one_step_attacks(advrec, triples, loss_fn, eps):
    x = tuple(advrec.tensor(v) for v in triples)
    _, *gradients = reference.bpr_gradients(*triples)
    for name in ("fgsm_delta", "fgm_delta"):
        deltas = getattr(advrec, name)(loss_fn, x, eps=eps)
        assert type(deltas) is tuple
        for delta, gradient in zip(deltas, gradients, strict=True):
            expected = getattr(reference, name)(gradient, eps=eps)
            np.testing.assert_allclose(advrec.numpy(delta), expected, atol=TOLERANCE)


@pytest.mark.parametrize("norm", NORMS)
def test_projected_ascent_compiled(advrec, ops, triples, norm, quick_compiler):
    test_projected_ascent(advrec, ops, triples, norm, True)


@pytest.mark.parametrize(("norm", "compile"), [("linf", False), ("l2", False), ("linf", True)])
def test_projected_ascent(advrec, ops, triples, norm, compile):
    p, qi, qj = triples
    settings = {"eps": 0.3, "step": 0.07, "steps": 12, "norm": norm}
    smallest = np.inf

    def gradient_fn(moved):
        nonlocal smallest
        gradient = reference.bpr_gradients(moved, qi, qj)[1]
        smallest = min(smallest, np.abs(gradient).min())
        return gradient

    expected = reference.pgd_delta(gradient_fn, p, **settings)
    # The sign of a gradient that rounding could turn over would compare nothing.
    assert smallest > 1e-6
    ti, tj = advrec.tensor(qi), advrec.tensor(qj)
    delta = advrec.pgd_delta(
        lambda v: ops.mean(ops.softplus(-ops.sum(v * (ti - tj), 1))), advrec.tensor(p), compile=compile, **settings
    )
    np.testing.assert_allclose(advrec.numpy(delta), expected, atol=TOLERANCE)


@pytest.mark.parametrize("norm", NORMS)
def test_noise(advrec, ops, norm):
    shape = (5, 3, 2)
    gaussian = advrec.numpy(ops.gaussian(shape, advrec.generator(4)))
    x = advrec.tensor(np.zeros(shape))
    delta = advrec.random_delta(x, eps=0.7, norm=norm, generator=advrec.generator(4))
    expected = reference.noise(gaussian, eps=0.7, norm=norm)
    np.testing.assert_allclose(advrec.numpy(delta), expected, atol=TOLERANCE)


@pytest.mark.parametrize("norm", NORMS)
@given(delta=arrays, eps=radii)
def test_projection(advrec, norm, delta, eps):
    inside = advrec.numpy(advrec.project(advrec.tensor(delta), eps=eps, norm=norm))
    np.testing.assert_allclose(inside, reference.project(delta, eps=eps, norm=norm), rtol=ROUNDING, atol=1e-30)
    assert np.all(sizes(inside, norm) <= eps * (1 + ROUNDING))
    again = advrec.numpy(advrec.project(advrec.tensor(inside), eps=eps, norm=norm))
    np.testing.assert_allclose(again, inside, rtol=ROUNDING)
    kept = sizes(delta, norm) <= eps * (1 - ROUNDING)
    np.testing.assert_array_equal(inside[kept], delta[kept])
    if eps == 0:
        np.testing.assert_array_equal(inside, 0)


# --- properties


@given(x=arrays, eps=radii)
def test_every_attack_stays_in_its_ball(advrec, ops, x, eps):
    moved = advrec.tensor(x)

    def loss(v):
        return ops.sum(ops.tanh(v / 100) * v)

    signed, scaled = advrec.fgsm_delta(loss, moved, eps=eps), advrec.fgm_delta(loss, moved, eps=eps)
    assert np.all(sizes(advrec.numpy(signed), "linf") <= eps * (1 + ROUNDING))
    assert np.all(sizes(advrec.numpy(scaled), "l2") <= eps * (1 + ROUNDING))
    for norm in NORMS:
        settings = {"eps": eps, "step": eps / 2, "steps": 4, "norm": norm}
        for start in (None, advrec.generator(1)):
            delta = advrec.numpy(advrec.pgd_delta(loss, moved, generator=start, **settings))
            assert np.all(sizes(delta, norm) <= eps * (1 + ROUNDING))
    np.testing.assert_array_equal(advrec.numpy(moved), x)


@given(seed=st.integers(0, 2**32 - 1), eps=st.floats(0.001, 1))
def test_no_attack_lowers_a_convex_loss(advrec, ops, seed, eps):
    rng = np.random.default_rng(seed)
    other = advrec.tensor(rng.normal(size=(5, 4)))
    p = advrec.tensor(rng.normal(size=(5, 4)))

    def loss(v):
        return ops.sum(ops.softplus(-ops.sum(v * other, 1)))

    clean = float(advrec.numpy(loss(p)))
    deltas = [attack(loss, p, eps=eps) for attack in (advrec.fgsm_delta, advrec.fgm_delta)]
    # A convex function lies above its tangent, and every step of ascent moves up the tangent.
    deltas += [advrec.pgd_delta(loss, p, eps=eps, step=eps / 4, steps=5, norm=norm) for norm in NORMS]
    for delta in deltas:
        assert float(advrec.numpy(loss(p + delta))) > clean


@pytest.mark.parametrize("norm", NORMS)
def test_attack_beats_noise_of_the_same_size(advrec, ops, triples, norm):
    p, other = advrec.tensor(triples[0]), advrec.tensor(triples[1] - triples[2])

    def loss(v):
        return ops.mean(ops.softplus(-ops.sum(v * other, 1)))

    attack = advrec.fgsm_delta if norm == "linf" else advrec.fgm_delta
    hit = float(advrec.numpy(loss(p + attack(loss, p, eps=0.3))))
    source = advrec.generator(0)
    for _ in range(50):
        noise = advrec.random_delta(p, eps=0.3, norm=norm, generator=source)
        assert float(advrec.numpy(loss(p + noise))) < hit
    iterated = advrec.pgd_delta(loss, p, eps=0.3, step=0.1, steps=10, norm=norm)
    assert float(advrec.numpy(loss(p + iterated))) >= hit - 1e-6


def test_sum_and_mean_give_the_same_perturbation(advrec, ops, triples):
    p, other = advrec.tensor(triples[0]), advrec.tensor(triples[1] - triples[2])
    for attack in (advrec.fgsm_delta, advrec.fgm_delta):
        summed, averaged = (
            attack(lambda v, r=reduce: r(ops.softplus(-ops.sum(v * other, 1))), p, eps=1.0)
            for reduce in (ops.sum, ops.mean)
        )
        np.testing.assert_allclose(advrec.numpy(summed), advrec.numpy(averaged), atol=1e-6)


def test_one_example_is_attacked_as_it_would_be_alone(advrec, ops):
    x = np.random.default_rng(0).normal(size=(3, 2, 2))

    def loss(v):
        return ops.sum(v * v * v)

    for norm in NORMS:
        settings = {"eps": 0.2, "step": 0.1, "steps": 3, "norm": norm}
        together = advrec.numpy(advrec.pgd_delta(loss, advrec.tensor(x), **settings))
        for k in range(3):
            alone = advrec.numpy(advrec.pgd_delta(loss, advrec.tensor(x[k : k + 1]), **settings))
            np.testing.assert_allclose(together[k : k + 1], alone, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e15])
def test_length_survives_very_small_and_very_large_gradients(advrec, ops, scale):
    slope = advrec.tensor(np.array([[3.0, 4.0]]) * scale)
    delta = advrec.fgm_delta(lambda v: ops.sum(v * slope), advrec.tensor([[1.0, 1.0]]), eps=1.0)
    np.testing.assert_allclose(advrec.numpy(delta), [[0.6, 0.8]], atol=1e-6)
    far = advrec.project(slope, eps=scale, norm="l2")
    np.testing.assert_allclose(advrec.numpy(far) / scale, [[0.6, 0.8]], atol=1e-6)


def test_zero_gradient_moves_nothing(advrec, ops):
    x = advrec.tensor(np.zeros((2, 3)))
    for attack in (advrec.fgsm_delta, advrec.fgm_delta):
        np.testing.assert_array_equal(advrec.numpy(attack(lambda v: ops.sum(v * v), x, eps=1.0)), 0)


def test_what_is_not_a_number_is_seen(advrec, ops):
    x = advrec.tensor([[1.0, 2.0], [1.0, 1.0]])
    slope = advrec.tensor([[np.nan, 1.0], [1.0, 1.0]])
    for attack in (advrec.fgsm_delta, advrec.fgm_delta):
        delta = advrec.numpy(attack(lambda v: ops.sum(v * slope), x, eps=1.0))
        assert np.isnan(delta[0]).any() and np.isfinite(delta[1]).all()
    for norm in NORMS:
        delta = advrec.pgd_delta(lambda v: ops.sum(v * slope), x, eps=1.0, step=0.5, steps=3, norm=norm)
        assert np.isnan(advrec.numpy(delta)[0]).any()


@pytest.mark.parametrize("norm", NORMS)
def test_empty_batch_gives_an_empty_delta(advrec, ops, norm):
    x = advrec.tensor(np.zeros((0, 3)))
    settings = {"eps": 1.0, "step": 0.5, "steps": 2, "norm": norm}
    for delta in (
        advrec.fgsm_delta(ops.sum, x, eps=1.0),
        advrec.fgm_delta(ops.sum, x, eps=1.0),
        advrec.pgd_delta(ops.sum, x, **settings),
        advrec.pgd_delta(ops.sum, x, generator=advrec.generator(0), **settings),
        advrec.random_delta(x, eps=1.0, norm=norm, generator=advrec.generator(0)),
        advrec.project(x, eps=1.0, norm=norm),
    ):
        assert advrec.numpy(delta).shape == (0, 3)


@pytest.mark.parametrize("norm", NORMS)
def test_noise_has_exactly_the_size_of_an_attack(advrec, norm):
    x = advrec.tensor(np.zeros((200, 6)))
    delta = advrec.numpy(advrec.random_delta(x, eps=0.5, norm=norm, generator=advrec.generator(0)))
    np.testing.assert_allclose(sizes(delta, norm), 0.5, rtol=ROUNDING)
    # Every direction is as likely as its opposite: the mean of 200 is within five standard errors of 0.
    assert np.abs(delta.mean(axis=0)).max() < 5 * delta.std() / np.sqrt(200)
    free = advrec.numpy(advrec.random_delta(x, eps=0.5, norm=norm, generator=None))
    np.testing.assert_allclose(sizes(free, norm), 0.5, rtol=ROUNDING)


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_fill_the_ball_evenly(advrec, ops, norm):
    x = advrec.tensor(np.zeros((4000, 3)))
    settings = {"eps": 2.0, "step": 1.0, "steps": 0, "norm": norm}
    start = advrec.numpy(advrec.pgd_delta(ops.sum, x, generator=advrec.generator(0), **settings))
    # The share of points within radius r is the share of the volume, (r / eps) ** 3, in both norms.
    for radius in (0.5, 1.0, 1.5, 1.9):
        share = (radius / 2.0) ** 3
        error = 5 * np.sqrt(share * (1 - share) / 4000)
        assert np.mean(sizes(start, norm) <= radius) == pytest.approx(share, abs=error)
    assert np.abs(start.mean(axis=0)).max() < 5 * start.std() / np.sqrt(4000)


def test_no_parameter_is_touched(advrec, ops, quick_compiler):
    weights = ops.parameter(np.array([[2.0], [-3.0]], np.float32))
    x = advrec.tensor(np.ones((4, 2)))

    def loss(v):
        return ops.sum(ops.tanh(ops.matmul(v, weights)))

    advrec.fgsm_delta(loss, x, eps=0.1)
    advrec.fgm_delta(loss, x, eps=0.1)
    for compile in (False, True):
        advrec.pgd_delta(loss, x, eps=0.1, step=0.05, steps=3, norm="l2", compile=compile)
    np.testing.assert_array_equal(advrec.numpy(weights), [[2], [-3]])
    assert getattr(weights, "grad", None) is None
    assert getattr(weights, "requires_grad", True) and getattr(weights, "trainable", True)
    np.testing.assert_array_equal(advrec.numpy(x), 1)


def test_half_precision_stays_half_precision(advrec, ops):
    x = advrec.tensor(np.ones((4, 2)), "bfloat16")
    for norm in NORMS:
        delta = advrec.pgd_delta(lambda v: ops.sum(v * v), x, eps=0.5, step=0.25, steps=3, norm=norm)
        assert delta.dtype == x.dtype
        noise = advrec.random_delta(x, eps=0.5, norm=norm, generator=advrec.generator(0))
        assert noise.dtype == x.dtype


# --- refusals


@pytest.mark.parametrize("eps", [-0.1, np.nan, np.inf])
def test_a_radius_that_is_no_radius_is_refused(advrec, ops, eps):
    x = advrec.tensor([[1.0]])
    calls = [
        lambda: advrec.fgsm_delta(ops.sum, x, eps=eps),
        lambda: advrec.fgm_delta(ops.sum, x, eps=eps),
        lambda: advrec.random_delta(x, eps=eps, norm="l2", generator=None),
        lambda: advrec.project(x, eps=eps, norm="linf"),
        lambda: advrec.pgd_delta(ops.sum, x, eps=eps, step=0.1, steps=1, norm="l2"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"eps is .*not negative"):
            call()


def test_other_mistakes_are_named(advrec, ops):
    x = advrec.tensor([[1.0]])
    with pytest.raises(ValueError, match="norm is 'l3'"):
        advrec.project(x, eps=1.0, norm="l3")
    with pytest.raises(ValueError, match="norm is 'inf'"):
        advrec.random_delta(x, eps=1.0, norm="inf", generator=None)
    with pytest.raises(ValueError, match="steps is -1"):
        advrec.pgd_delta(ops.sum, x, eps=1.0, step=0.1, steps=-1, norm="l2")
    with pytest.raises(ValueError, match="step is nan"):
        advrec.pgd_delta(ops.sum, x, eps=1.0, step=np.nan, steps=1, norm="l2")
    with pytest.raises(ValueError, match="first axis"):
        advrec.fgm_delta(ops.sum, advrec.tensor(1.0), eps=1.0)


# --- compiled forms


@pytest.mark.pytorch
def test_a_compiled_step_sees_what_its_loss_reads():
    import torch

    from advrec_teach import pytorch as advrec

    def attack(slope, scale):
        x = torch.zeros(1, 2)
        loss = lambda v: (v * slope).sum() * scale  # noqa: E731
        return advrec.pgd_delta(loss, x, eps=1.0, step=0.5, steps=3, norm="linf", compile=True).tolist()

    up, down = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, -1.0]])
    assert attack(up, 1.0) == [[1, 1]]
    assert attack(down, 1.0) == [[1, -1]]
    assert attack(up, -1.0) == [[-1, -1]]


@pytest.mark.tensorflow
@pytest.mark.parametrize("norm", NORMS)
def test_attacks_inside_a_graph_equal_those_outside(norm):
    import tensorflow as tf

    from advrec_teach import tensorflow as advrec

    x = tf.constant(np.random.default_rng(0).normal(size=(4, 3)), tf.float32)

    def loss(v):
        return tf.reduce_sum(tf.tanh(v) * v)

    def attack(x):
        pgd = advrec.pgd_delta(loss, x, eps=0.3, step=0.1, steps=5, norm=norm)
        return advrec.fgsm_delta(loss, x, eps=0.3), advrec.fgm_delta(loss, x, eps=0.3), pgd

    graph = tf.function(attack, input_signature=[tf.TensorSpec([None, 3])])
    for inside, outside in zip(graph(x), attack(x), strict=True):
        np.testing.assert_allclose(inside, outside, atol=1e-6)


NOTEBOOK = """
import tensorflow as tf
from advrec_teach import tensorflow as advrec

traced = []
slope = tf.constant([[1.0, 1.0]])
scale = 1.0

def score(x):
    traced.append(1)
    return tf.reduce_sum(x * slope)

def attack():
    loss_fn = lambda x: (lambda y: scale * score(y))(x)
    delta = advrec.pgd_delta(loss_fn, tf.zeros((1, 2)), eps=1.0, step=0.5, steps=3, norm="linf", compile=True)
    return delta.numpy().tolist()
"""


@pytest.mark.tensorflow
def test_a_compiled_loop_is_kept_and_never_stale(monkeypatch):
    import tensorflow as tf

    from advrec_teach.tensorflow import _compiled

    monkeypatch.setattr(_compiled, "_cache", type(_compiled._cache)())
    monkeypatch.setattr(_compiled, "_KEPT", 3)
    notebook = {}
    exec(NOTEBOOK, notebook)  # a notebook's cells: every name is a global one
    assert notebook["attack"]() == [[1, 1]]
    once = len(notebook["traced"])
    assert notebook["attack"]() == [[1, 1]]
    assert len(notebook["traced"]) == once, "the same code over the same objects was compiled twice"
    notebook["slope"] = tf.constant([[1.0, -1.0]])  # read by a function that the loss calls
    assert notebook["attack"]() == [[1, -1]]
    notebook["scale"] = -1.0  # read by a function inside the loss
    assert notebook["attack"]() == [[-1, 1]]
    notebook["score"] = lambda x: tf.reduce_sum(x[:, 0])
    assert notebook["attack"]() == [[-1, 0]]
    assert len(_compiled._cache) == 3


@pytest.mark.tensorflow
def test_a_compiled_loop_sees_enclosing_variables_defaults_and_self(monkeypatch):
    import tensorflow as tf

    from advrec_teach import tensorflow as advrec
    from advrec_teach.tensorflow import _compiled

    monkeypatch.setattr(_compiled, "_cache", type(_compiled._cache)())
    up, down = tf.constant([[1.0, 1.0]]), tf.constant([[1.0, -1.0]])
    variable = tf.Variable(up)

    class Loss:
        def __init__(self, slope):
            self.slope = slope

        def value(self, x):
            return tf.reduce_sum(x * self.slope)

        __call__ = value

    def attack(loss_fn):
        settings = {"eps": 1.0, "step": 0.5, "steps": 3, "norm": "linf", "compile": True}
        return advrec.pgd_delta(loss_fn, tf.zeros((1, 2)), **settings).numpy().tolist()

    for slope, expected in ((up, [[1, 1]]), (down, [[1, -1]])):
        assert attack(lambda x: tf.reduce_sum(x * slope)) == expected  # noqa: B023
        assert attack(lambda x, s=slope: tf.reduce_sum(x * s)) == expected
        assert attack(Loss(slope).value) == expected
        assert attack(Loss(slope)) == expected
        variable.assign(slope)
        assert attack(lambda x: tf.reduce_sum(x * variable)) == expected
