"""CFGAN and IRGAN, in each track against NumPy, and their training."""

import numpy as np
import pytest

from advrec_teach import reference_recommenders as ref
from advrec_teach.splits import Interactions

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
N, ROWS = 9, 6


def table(seed=0, shape=(ROWS, N)):
    """Return rows of 0 and 1, in each at least one of both."""
    rows = (np.random.default_rng(seed).uniform(size=shape) < 0.4).astype(np.float32)
    rows[:, 0], rows[:, 1] = 1, 0
    return rows


def groups(n_users=12, n_items=10):
    """Return interactions of two groups of users with two groups of items."""
    users, items = np.nonzero((np.arange(n_users)[:, None] + np.arange(n_items)) % 2 == 0)
    keep = (users * 3 + items) % 5 != 0
    return Interactions(users[keep], items[keep], n_users, n_items)


def softplus(x):
    return np.logaddexp(0, x)


def slope(function, x, step=1e-5):
    found = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        move = np.zeros(x.shape)
        move[place] = step
        found[place] = (function(x + move) - function(x - move)) / (2 * step)
    return found


def networks(advrec):
    return advrec.RowGenerator(N, hidden=5, seed=3), advrec.RowDiscriminator(N, hidden=4, seed=4)


# --- values


def test_first_weights_are_the_same_in_both_tracks(advrec):
    generator, discriminator = networks(advrec)
    for network, expected in (
        (generator, ref.generator_weights(N, hidden=5, seed=3)),
        (discriminator, ref.discriminator_weights(N, hidden=4, seed=4)),
    ):
        for found in (network.named_weights(), network.copy().named_weights()):
            assert set(found) == set(expected) == {"inner", "inner_bias", "outer", "outer_bias"}
            for name, values in expected.items():
                np.testing.assert_array_equal(found[name], values)


def test_networks_equal_the_reference(advrec):
    generator, discriminator = networks(advrec)
    rows, other = table(), table(1)
    made = ref.generate(generator.named_weights(), rows)
    np.testing.assert_allclose(advrec.numpy(generator(advrec.tensor(rows))), made, **CLOSE)
    np.testing.assert_allclose(advrec.numpy(generator.score_all(rows)), made, **CLOSE)
    found = discriminator(advrec.tensor(other), advrec.tensor(rows))
    np.testing.assert_allclose(advrec.numpy(found), ref.judge(discriminator.named_weights(), other, rows), **CLOSE)


def test_draws_and_mixture_equal_the_reference(advrec):
    rng = np.random.default_rng(0)
    logits, known = rng.normal(size=(4, 7)).astype(np.float32), table(2, (4, 7))
    known[3] = 0
    expected = ref.mixture(logits, known, share=0.3)
    found = advrec.item_mixture(advrec.tensor(logits), advrec.tensor(known), share=0.3)
    np.testing.assert_allclose(advrec.numpy(found), expected, **CLOSE)
    np.testing.assert_allclose(expected.sum(1), 1)
    np.testing.assert_allclose(expected[3], ref.softmax(logits[3]))
    uniform = rng.uniform(size=(4, 50)).astype(np.float32)
    drawn = advrec.numpy(advrec.draw_items(found, advrec.tensor(uniform)))
    np.testing.assert_array_equal(drawn, ref.draw(expected, uniform))


def test_draws_follow_the_probabilities(advrec):
    p = np.array([[0.5, 0.0, 0.3, 0.2], [0.0, 0.0, 0.0, 1.0]], np.float32)
    uniform = np.random.default_rng(1).uniform(size=(2, 20000)).astype(np.float32)
    drawn = advrec.numpy(advrec.draw_items(advrec.tensor(p), advrec.tensor(uniform)))
    shares = np.stack([np.bincount(row, minlength=4) / len(row) for row in drawn])
    np.testing.assert_allclose(shares, p, atol=0.02)
    assert shares[0, 1] == 0
    edges = np.array([[0.0, np.nextafter(np.float32(1), np.float32(0))]] * 2, np.float32)
    assert advrec.numpy(advrec.draw_items(advrec.tensor(p), advrec.tensor(edges))).tolist() == [[0, 3], [3, 3]]


def test_the_policy_loss_and_its_gradient_equal_the_reference(advrec):
    rng = np.random.default_rng(5)
    logits, items, rewards = rng.normal(size=(3, 6)), rng.integers(6, size=(3, 4)), rng.normal(size=(3, 4))
    arguments = [advrec.tensor(v) for v in (items, rewards)]
    value, gradient = advrec.value_and_grad(lambda z: advrec.policy_loss(z, *arguments), advrec.tensor(logits))
    np.testing.assert_allclose(float(value), ref.policy_loss(logits, items, rewards), **CLOSE)
    expected = slope(lambda z: ref.policy_loss(z, items, rewards), logits)
    np.testing.assert_allclose(advrec.numpy(gradient), expected, **CLOSE)


# --- one step, against the gradient of the reference


def first_step(before, after, function, rate):
    """Assert that each weight with a slope went down by Adam's first step, which is the rate."""
    for name, values in before.items():
        w = {key: np.asarray(value, np.float64) for key, value in before.items()}
        found = slope(lambda x, name=name, w=w: function(w | {name: x}), w[name], step=1e-4)
        sure = np.abs(found) > 1e-4
        assert sure.any()
        np.testing.assert_allclose((after[name] - values)[sure], -rate * np.sign(found)[sure], rtol=0.02)


@pytest.mark.parametrize("masking", [0.0, 1.0])
def test_a_step_of_both_players(advrec, masking):
    rows = table()
    generator, discriminator = networks(advrec)
    first, opponent = generator.named_weights(), discriminator.named_weights()
    settings = {"partial_masking": masking, "zero_share": 1.0, "zero_weight": 0.2, "regularisation": 0.1}
    steps = {"generator_steps": 1, "discriminator_steps": 1, "batch_size": ROWS, "learning_rate": 0.01}
    history = advrec.fit_cfgan(generator, discriminator, rows, epochs=1, discriminator_rate=0.02, **settings, **steps)
    zeros = 1 - rows

    def loss_d(w):
        shown = ref.masked(ref.generate(first, rows), rows, masking * zeros)
        return softplus(-ref.judge(w, rows, rows)).mean() + softplus(ref.judge(w, shown, rows)).mean()

    def loss_g(w):
        made = ref.generate(w, rows)
        told = softplus(-ref.judge(discriminator.named_weights(), ref.masked(made, rows, masking * zeros), rows)).mean()
        penalty = 0.05 * sum(np.sum(np.square(v)) for v in w.values())
        return told + 0.2 * ref.zero_reconstruction(made, zeros) + penalty

    first_step(opponent, discriminator.named_weights(), loss_d, 0.02)
    first_step(first, generator.named_weights(), loss_g, 0.01)
    np.testing.assert_allclose(history[0]["discriminator_loss"], loss_d(opponent), **CLOSE)


def test_a_step_without_an_opponent(advrec):
    rows = table()
    generator, _ = networks(advrec)
    first = generator.named_weights()
    settings = {"zero_share": 1.0, "zero_weight": 0.2, "regularisation": 0.0, "learning_rate": 0.01}
    advrec.fit_cfgan(generator, None, rows, epochs=1, generator_steps=1, batch_size=ROWS, **settings)

    def loss(w):
        made = ref.generate(w, rows)
        return ref.reconstruction(made, rows) + 0.2 * ref.zero_reconstruction(made, 1 - rows)

    first_step(first, generator.named_weights(), loss, 0.01)


# --- training


def test_a_generator_without_opponent_learns_the_rows(advrec):
    train = groups()
    generator = advrec.RowGenerator(10, hidden=8, seed=0)
    history = advrec.fit_cfgan(
        generator, None, train.table(), epochs=60, learning_rate=0.02, generator_steps=1, batch_size=5, zero_weight=0.3
    )
    assert [record["epoch"] for record in history] == list(range(1, 61))
    assert history[-1]["generator_loss"] < 0.5 * history[0]["generator_loss"]
    scores = advrec.numpy(generator.score_all(train.table()))
    same = (np.arange(12)[:, None] + np.arange(10)) % 2 == 0
    assert scores[same].min() > scores[~same].max()


def test_training_depends_on_its_seed_alone(advrec):
    def run(seed):
        generator, discriminator = networks(advrec)
        advrec.fit_cfgan(generator, discriminator, table(), epochs=2, learning_rate=0.01, batch_size=3, seed=seed)
        return generator.named_weights()["inner"]

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_a_rate_of_0_leaves_the_opponent_as_it_is(advrec):
    generator, discriminator = networks(advrec)
    before, first = discriminator.named_weights(), generator.named_weights()
    history = advrec.fit_cfgan(generator, discriminator, table(), epochs=2, discriminator_rate=0.0)
    assert history[-1]["discriminator_loss"] == 0
    for name, values in discriminator.named_weights().items():
        np.testing.assert_array_equal(values, before[name])
    assert not np.array_equal(generator.named_weights()["outer"], first["outer"])


def test_a_callback_ends_the_training(advrec):
    generator, discriminator = networks(advrec)
    seen = []
    advrec.fit_cfgan(generator, discriminator, table(), epochs=9, callback=lambda g, r: seen.append(r["epoch"]) or True)
    assert seen == [1]


def factorisations(advrec, train):
    return [advrec.BPRModel(train.n_users, train.n_items, dim=4, seed=seed) for seed in (0, 1)]


def test_irgan_learns_what_its_opponent_pays_for(advrec):
    """A frozen opponent that likes item 3 alone teaches the generator to draw it."""
    train = groups()
    generator, discriminator = factorisations(advrec, train)
    items = np.full((10, 4), -3.0, np.float32)
    items[3] = 3.0
    for model, name, values in (
        (discriminator, "item_vectors", items),
        (discriminator, "user_vectors", np.ones((12, 4), np.float32)),
    ):
        set_vectors(model, name, values)
    advrec.fit_irgan(generator, discriminator, train, epochs=40, learning_rate=0.05, discriminator_rate=0.0, share=0.0)
    drawn = ref.softmax(advrec.numpy(generator.score_all()))
    assert drawn[:, 3].min() > 0.9
    np.testing.assert_array_equal(advrec.numpy(discriminator.item_vectors), items)


def set_vectors(model, name, values):
    variable = getattr(model, name)
    if hasattr(variable, "assign"):
        variable.assign(values)
    else:
        import torch

        variable.data = torch.from_numpy(values)


def test_irgans_opponent_learns_to_tell_apart(advrec):
    train = groups()
    generator, discriminator = factorisations(advrec, train)
    history = advrec.fit_irgan(generator, discriminator, train, epochs=40, learning_rate=1e-6, discriminator_rate=0.05)
    assert history[-1]["discriminator_loss"] < 0.8 * history[0]["discriminator_loss"]
    scores = advrec.numpy(discriminator.score_all())
    assert scores[train.table()].mean() > scores[~train.table()].mean() + 1


def test_irgan_depends_on_its_seed_alone(advrec):
    train = groups()

    def run(seed):
        generator, discriminator = factorisations(advrec, train)
        advrec.fit_irgan(generator, discriminator, train, epochs=2, seed=seed, callback=lambda g, r: r["epoch"] == 2)
        return advrec.numpy(generator.item_vectors)

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


# --- what is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"generator_steps": 0}, "generator_steps is 0"),
        ({"discriminator_steps": 0}, "discriminator_steps is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"discriminator_rate": -1.0}, "discriminator_rate is -1.0"),
        ({"zero_weight": -1.0}, "zero_weight is -1.0"),
        ({"partial_masking": 1.5}, "partial_masking is 1.5"),
        ({"zero_share": -0.1}, "zero_share is -0.1"),
        ({"rows": table()[:, :4]}, "a table of 9 columns"),
        ({"rows": table() / 2}, "0 and 1"),
    ],
)
def test_cfgan_names_a_wrong_setting(advrec, settings, message):
    generator, discriminator = networks(advrec)
    with pytest.raises(ValueError, match=message):
        advrec.fit_cfgan(generator, discriminator, **({"rows": table(), "epochs": 1} | settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"draws": 0}, "draws is 0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"share": 2.0}, "share is 2.0"),
        ({"regularisation": -1.0}, "regularisation is -1.0"),
    ],
)
def test_irgan_names_a_wrong_setting(advrec, settings, message):
    train = groups()
    with pytest.raises(ValueError, match=message):
        advrec.fit_irgan(*factorisations(advrec, train), train, **({"epochs": 1} | settings))


def test_sizes_must_fit(advrec):
    for make in (advrec.RowGenerator, advrec.RowDiscriminator):
        for n, hidden in ((0, 4), (4, 0)):
            with pytest.raises(ValueError, match="whole number"):
                make(n, hidden=hidden)
    train, other = groups(), groups(n_users=14)
    with pytest.raises(ValueError):
        advrec.fit_irgan(*factorisations(advrec, other), train, epochs=1)


def test_the_reference_is_consistent():
    rows, made = table(), np.random.default_rng(0).normal(size=(ROWS, N))
    chosen = 1 - rows
    np.testing.assert_allclose(ref.masked(made, rows, chosen), made)
    np.testing.assert_allclose(ref.masked(made, rows, 0 * rows), made * rows)
    np.testing.assert_allclose(ref.zero_reconstruction(made, chosen), ((made * chosen) ** 2).sum(1).mean())
    assert ref.reconstruction(rows, rows) == 0
    np.testing.assert_allclose(ref.reward(np.array([0.0, 1e3, -1e3])), [0, 1, -1])
