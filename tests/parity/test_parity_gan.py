"""GAN losses, penalty, networks and the training loop of each track, against NumPy."""

import numpy as np
import pytest

from advrec_teach import reference_gan as ref

CLOSE = {"rel": 1e-5, "abs": 1e-6}


def variables(model):
    return list(model.parameters()) if hasattr(model, "parameters") else model.trainable_variables


def weights(advrec, model):
    return [advrec.numpy(v).copy() for v in variables(model)]


def set_weights(advrec, model, values):
    for variable, value in zip(variables(model), values, strict=True):
        value = advrec.tensor(np.broadcast_to(np.float32(value), tuple(variable.shape)))
        variable.data.copy_(value) if hasattr(variable, "data") else variable.assign(value)


# --- losses


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 1000.0])
def test_losses_agree_with_the_reference(advrec, scale):
    rng = np.random.default_rng(3)
    real, fake = (np.float32(scale * rng.normal(size=(64, 1))) for _ in range(2))
    tensors = advrec.tensor(real), advrec.tensor(fake)
    assert float(advrec.discriminator_loss(*tensors)) == pytest.approx(ref.discriminator_loss(real, fake), **CLOSE)
    assert float(advrec.critic_loss(*tensors)) == pytest.approx(ref.critic_loss(real, fake), **CLOSE)
    for kind in ref.KINDS:
        loss, gradient = advrec.value_and_grad(lambda s, kind=kind: advrec.generator_loss(s, kind=kind), tensors[1])
        assert float(loss) == pytest.approx(ref.generator_loss(fake, kind=kind), **CLOSE)
        expected = ref.generator_gradient(fake, kind=kind) / fake.size
        assert advrec.numpy(gradient) == pytest.approx(expected, **CLOSE)
        # Relative, too: a vanishing gradient has to vanish at the right rate.
        visible = np.abs(expected) > 1e-30
        assert advrec.numpy(gradient)[visible] == pytest.approx(expected[visible], rel=1e-4)


def test_the_non_saturating_loss_is_the_default(advrec):
    fake = advrec.tensor([[-2.0], [1.0]])
    assert float(advrec.generator_loss(fake)) == float(advrec.generator_loss(fake, kind="non-saturating"))


def test_an_unknown_kind_is_named(advrec):
    with pytest.raises(ValueError, match="'hinge'; choose one of"):
        advrec.generator_loss(advrec.tensor([0.0]), kind="hinge")


# --- gradient penalty


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_penalty_of_a_plane_is_that_of_its_slope(advrec, ops, width):
    rng = np.random.default_rng(width)
    w = np.float32(rng.normal(size=(width, 1)))
    real, fake = (advrec.tensor(rng.normal(size=(16, width))) for _ in range(2))

    def penalty(slope):
        return advrec.gradient_penalty(lambda x: ops.matmul(x, slope), real, fake, generator=advrec.generator(0))

    value, gradient = advrec.value_and_grad(penalty, advrec.tensor(w))
    length = np.linalg.norm(w)
    assert float(value) == pytest.approx((length - 1) ** 2, **CLOSE)
    # The outer derivative is what trains the critic.
    assert advrec.numpy(gradient) == pytest.approx(2 * (length - 1) * w / length, **CLOSE)


@pytest.mark.parametrize("shape", [(8, 3), (8, 2, 4)])
def test_the_penalty_takes_one_norm_an_example(advrec, ops, shape):
    # Half the squared length has slope x, and between x and x lies only x.
    x = np.float32(np.random.default_rng(0).normal(size=shape))

    def critic(x):
        return ops.sum(0.5 * x * x, tuple(range(1, len(shape))))

    value = advrec.gradient_penalty(critic, advrec.tensor(x), advrec.tensor(x), generator=advrec.generator(0))
    assert advrec.numpy(value) == pytest.approx(ref.slope_penalty(x), **CLOSE)


def test_the_penalty_looks_between_real_and_fake(advrec, ops):
    """With slope x at x, real at 0 and fake at 2, E (x - 1)^2 over x uniform in (0, 2) is 1/3."""
    n = 20_000
    real, fake = advrec.tensor(np.zeros((n, 1))), advrec.tensor(np.full((n, 1), 2.0))
    value = advrec.gradient_penalty(lambda x: 0.5 * x * x, real, fake, generator=advrec.generator(0))
    assert advrec.numpy(value) == pytest.approx(1 / 3, abs=0.01)


def test_the_penalty_of_a_flat_critic_can_be_differentiated(advrec, ops):
    x = advrec.tensor(np.ones((4, 2)))

    def penalty(slope):
        return advrec.gradient_penalty(lambda x: ops.matmul(x, slope), x, x, generator=advrec.generator(0))

    value, gradient = advrec.value_and_grad(penalty, advrec.tensor(np.zeros((2, 1))))
    assert float(value) == pytest.approx(1, abs=1e-5)
    assert np.isfinite(advrec.numpy(gradient)).all()


# --- networks and data

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_perceptron_is_the_same_function_in_both_tracks(advrec, activation):
    sizes = [3, 16, 8, 2]
    x = np.float32(np.random.default_rng(1).normal(size=(10, 3)))
    expected = x.astype(np.float64)
    layers = ref.mlp_weights(sizes, seed=7)
    for number, (w, b) in enumerate(layers):
        expected = expected @ w + b
        if number < len(layers) - 1:
            expected = ACTIVATIONS[activation](expected)
    result = advrec.mlp(sizes, activation=activation, seed=7)(advrec.tensor(x))
    assert advrec.numpy(result) == pytest.approx(expected, **CLOSE)


def test_an_unknown_activation_is_named(advrec):
    with pytest.raises(ValueError, match="'swish'; choose one of relu, leaky_relu, tanh"):
        advrec.mlp([1, 1], activation="swish")
    with pytest.raises(ValueError, match="give at least an input"):
        advrec.mlp([1])


def test_the_samplers_draw_what_they_say(advrec):
    x = advrec.numpy(advrec.gaussian_data(mean=3.0, std=0.5)(20_000, advrec.generator(0)))
    assert x.shape == (20_000, 1)
    assert (x.mean(), x.std()) == (pytest.approx(3.0, abs=0.02), pytest.approx(0.5, abs=0.02))
    ring = advrec.numpy(advrec.ring_data(modes=5, radius=3.0, std=0.1)(20_000, advrec.generator(0)))
    centres = ref.ring_centres(modes=5, radius=3.0)
    assert ring.shape == (20_000, 2)
    assert ref.modes_covered(ring, centres, radius=0.3, minimum=3_700) == 5
    # Within three standard deviations of a Gaussian in the plane: 1 - exp(-9/2).
    assert ref.share_near_modes(ring, centres, radius=0.3) == pytest.approx(1 - np.exp(-4.5), abs=0.004)


def test_a_sampler_is_fixed_by_its_generator(advrec):
    draw = advrec.ring_data()
    one, again, other = (advrec.numpy(draw(50, advrec.generator(seed))) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_neighbouring_seeds_share_no_numbers(advrec):
    draw = advrec.gaussian_data(mean=0.0, std=1.0)
    streams = [advrec.numpy(draw(2000, advrec.generator(seed))).ravel() for seed in range(4)]
    for one in range(4):
        for other in range(one):
            assert len(np.intersect1d(streams[one], streams[other])) < 10


def test_samples_are_fixed_by_the_seed(advrec):
    generator = advrec.mlp([3, 8, 2], seed=0)
    one, again, other = (advrec.numpy(advrec.sample(generator, 20, noise_dim=3, seed=s)) for s in (1, 1, 2))
    assert one.shape == (20, 2)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


# --- training


def dirac(advrec, *, b=-1.0, w=0.5, c=0.2, x=2.0):
    """Return a generator that always says b, a discriminator w x + c, and real data that is always x."""
    generator, discriminator = advrec.mlp([1, 1]), advrec.mlp([1, 1])
    set_weights(advrec, generator, [0.0, b])
    set_weights(advrec, discriminator, [w, c])
    real = advrec.tensor(np.full((4, 1), x))
    return generator, discriminator, lambda n, rng: real


def adam(gradient, rate):
    """Adam's first step."""
    return -rate * gradient / (np.abs(gradient) + 1e-8)


@pytest.mark.parametrize("kind", ref.KINDS)
@pytest.mark.parametrize(("clip", "penalty"), [(None, 0.0), (0.3, 2.0)])
def test_one_step_is_the_one_that_paper_and_pencil_gives(advrec, kind, clip, penalty):
    b, w, c, x = -1.0, 0.5, 0.2, 2.0
    generator, discriminator, data = dirac(advrec, b=b, w=w, c=c, x=x)
    history = advrec.fit_gan(
        generator, discriminator, data, steps=1, batch_size=4, noise_dim=1, loss=kind, learning_rates=(0.1, 0.05),
        penalty=penalty, clip=clip,
    )  # fmt: skip
    real, fake = w * x + c, w * b + c
    sigmoid = lambda s: 1 / (1 + np.exp(-s))  # noqa: E731
    if kind == "wasserstein":
        d_value, slope_real, slope_fake = fake - real, -1.0, 1.0
    else:
        d_value = ref.discriminator_loss([real], [fake])
        slope_real, slope_fake = -sigmoid(-real), sigmoid(fake)
    d_gradient = np.array(
        [slope_real * x + slope_fake * b + penalty * 2 * (abs(w) - 1) * np.sign(w), slope_real + slope_fake]
    )
    w, c = np.array([w, c]) + adam(d_gradient, 0.05)
    if clip is not None:
        w, c = np.clip([w, c], -clip, clip)
    fake = w * b + c
    # The noise has weight 0 and mean near 0, yet its weight has a gradient: compare the bias's part below.
    g_gradient = float(ref.generator_gradient([fake], kind=kind)[0]) * w

    assert history["discriminator_loss"] == pytest.approx([d_value], **CLOSE)
    assert history["discriminator_gradient"] == pytest.approx([np.linalg.norm(d_gradient)], **CLOSE)
    assert history["generator_loss"] == pytest.approx([ref.generator_loss([fake], kind=kind)], **CLOSE)
    assert history["generator_gradient"][0] >= abs(g_gradient) * (1 - 1e-5)
    assert [float(v.squeeze()) for v in weights(advrec, discriminator)] == pytest.approx([w, c], **CLOSE)
    moved = b + adam(g_gradient, 0.1)
    assert float(weights(advrec, generator)[1].squeeze()) == pytest.approx(moved, **CLOSE)


@pytest.mark.parametrize("times", [1, 3])
def test_the_discriminator_is_updated_as_often_as_asked(advrec, times):
    """A critic on fixed data has a fixed slope, so that each of Adam's steps has the length of its rate."""
    generator, discriminator, data = dirac(advrec, b=-1.0, w=0.5, x=2.0)
    advrec.fit_gan(
        generator, discriminator, data, steps=4, batch_size=4, noise_dim=1, loss="wasserstein",
        learning_rates=(0.0, 0.01), discriminator_steps=times,
    )  # fmt: skip
    assert weights(advrec, discriminator)[0].squeeze() == pytest.approx(0.5 + 0.01 * 4 * times, abs=1e-5)


def test_each_player_moves_only_itself(advrec):
    for rates, moves in (((0.01, 0.0), (True, False)), ((0.0, 0.01), (False, True))):
        players = advrec.mlp([2, 8, 1], seed=1), advrec.mlp([1, 8, 1], seed=2)
        before = [weights(advrec, player) for player in players]
        advrec.fit_gan(*players, advrec.gaussian_data(mean=1, std=1), steps=2, noise_dim=2, learning_rates=rates)
        for player, old, expected in zip(players, before, moves, strict=True):
            new = weights(advrec, player)
            assert all(np.array_equal(a, b) != expected for a, b in zip(old, new, strict=True))


def train(advrec, seed, **settings):
    generator, discriminator = advrec.mlp([1, 16, 1], activation="tanh"), advrec.mlp([1, 32, 1], seed=1)
    defaults = {"steps": 10, "noise_dim": 1, "batch_size": 64, "seed": seed}
    data = advrec.gaussian_data(mean=1.5, std=0.5)
    return generator, advrec.fit_gan(generator, discriminator, data, **{**defaults, **settings})


def test_a_seed_fixes_the_run(advrec):
    (_, one), (_, again), (_, other) = (train(advrec, seed) for seed in (0, 0, 1))
    assert set(one) == {"discriminator_loss", "generator_loss", "discriminator_gradient", "generator_gradient"}
    for name, values in one.items():
        assert values.shape == (10,)
        assert np.isfinite(values).all()
        assert np.array_equal(values, again[name])
        assert not np.array_equal(values, other[name])


def test_the_callback_does_not_change_the_run(advrec):
    called = []
    _, watched = train(advrec, 0, every=4, callback=called.append)
    _, alone = train(advrec, 0)
    assert called == [0, 4, 8, 10]
    assert all(np.array_equal(watched[name], alone[name]) for name in alone)


def test_a_pair_of_functions_is_a_loss(advrec):
    pair = (advrec.discriminator_loss, lambda fake: advrec.generator_loss(fake, kind="minimax"))
    _, own = train(advrec, 0, loss=pair)
    _, named = train(advrec, 0, loss="minimax")
    assert all(np.array_equal(own[name], named[name]) for name in own)


@pytest.mark.parametrize(
    "settings",
    [{"loss": "minimax"}, {"loss": "non-saturating"}, {"loss": "wasserstein", "clip": 0.05}],
    ids=lambda settings: settings["loss"],
)
def test_a_generator_near_its_data_learns_them(advrec, settings):
    untrained, _ = train(advrec, 0, steps=1, learning_rates=(0.0, 0.0))
    trained, _ = train(advrec, 0, steps=300, learning_rates=(2e-3, 5e-3), discriminator_steps=5, **settings)
    real = advrec.numpy(advrec.gaussian_data(mean=1.5, std=0.5)(4000, advrec.generator(9)))
    before, after = (
        ref.wasserstein_1d(advrec.numpy(advrec.sample(g, 4000, noise_dim=1)), real) for g in (untrained, trained)
    )
    assert after < before / 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "hinge"}, "kind is 'hinge'"),
        ({"loss": ("minimax", "minimax")}, "pair of functions"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"noise_dim": -1}, "noise_dim is -1"),
        ({"discriminator_steps": 0}, "discriminator_steps is 0"),
        ({"every": 0}, "every is 0"),
        ({"penalty": -1.0}, "penalty is -1.0"),
        ({"clip": 0.0}, "clip is 0.0"),
    ],
)
def test_settings_that_cannot_work_are_named(advrec, settings, words):
    with pytest.raises(ValueError, match=words):
        train(advrec, 0, **settings)


def test_training_leaves_the_number_of_threads_alone(advrec, track):
    if track != "pytorch":
        pytest.skip("TensorFlow's threads are fixed when it starts")
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        train(advrec, 0)
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError):
            train(advrec, 0, every=1, callback=lambda step: 1 // step)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
