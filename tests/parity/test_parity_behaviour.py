"""The networks that invent and judge users, in each track against NumPy, and their training."""

import numpy as np
import pytest

from advrec_teach import fidelity
from advrec_teach import reference_behaviour as ref

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
V, L = 9, 5


def rows_of(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(V)[:L] for _ in range(n)])


def chains(n=300, seed=0):
    """Return rows in which each item is followed by its successor."""
    return (np.random.default_rng(seed).integers(V, size=(n, 1)) + np.arange(L)) % V


def gumbel(*shape, seed=3):
    return np.float32(np.random.default_rng(seed).gumbel(size=shape))


def slope(function, x, step=1e-5):
    found = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        move = np.zeros(x.shape)
        move[place] = step
        found[place] = (function(x + move) - function(x - move)) / (2 * step)
    return found


def small_generator(advrec, **settings):
    return advrec.SequenceGenerator(V, **{"length": L, "dim": 4, "hidden": 6, "seed": 2, **settings})


def near_one_place(found, expected):
    """Compare logits; those of used items are huge, and compared as such."""
    np.testing.assert_allclose(found, expected, **CLOSE)


# --- values


def test_first_weights_are_the_same_in_both_tracks(advrec):
    made = {
        "generator": small_generator(advrec),
        "cnn": advrec.SequenceDiscriminator(V, kind="cnn", dim=4, hidden=5, seed=1),
        "rnn": advrec.SequenceDiscriminator(V, kind="rnn", dim=4, hidden=5, seed=1),
        "vae": advrec.InteractionVAE(V, hidden=6, latent=3, seed=4),
    }
    expected = {
        "generator": ref.generator_weights(V, dim=4, hidden=6, seed=2),
        "cnn": ref.discriminator_weights(V, kind="cnn", dim=4, hidden=5, seed=1),
        "rnn": ref.discriminator_weights(V, kind="rnn", dim=4, hidden=5, seed=1),
        "vae": ref.vae_weights(V, hidden=6, latent=3, seed=4),
    }
    for name, network in made.items():
        found = network.named_weights()
        assert set(found) == set(expected[name])
        for key, values in expected[name].items():
            np.testing.assert_array_equal(found[key], values)
        for key, values in network.copy().named_weights().items():
            np.testing.assert_array_equal(found[key], values)


def test_the_generator_equals_the_reference(advrec):
    model, rows = small_generator(advrec), rows_of()
    w = model.named_weights()
    near_one_place(advrec.numpy(model.logits(advrec.tensor(rows))), ref.generator_logits(w, rows))
    found = advrec.numpy(model.log_probabilities(advrec.tensor(rows)))
    np.testing.assert_allclose(found, ref.log_probabilities(w, rows), **CLOSE)
    short = advrec.numpy(model.log_probabilities(advrec.tensor(rows[:, :3])))
    np.testing.assert_allclose(short, found[:, :3], **CLOSE)


def test_drawn_rows_equal_the_reference_and_hold_no_item_twice(advrec):
    model, noise = small_generator(advrec), gumbel(50, L, V)
    drawn = advrec.numpy(model.roll(advrec.tensor(noise)))
    expected = ref.roll(model.named_weights(), noise)
    np.testing.assert_allclose(drawn, ref.one_hot(expected, V), atol=1e-6)
    assert all(len(set(row)) == L for row in expected)
    soft = advrec.numpy(model.roll(advrec.tensor(noise), hard=False, temperature=0.5))
    np.testing.assert_allclose(soft.sum(-1), 1, atol=1e-5)
    assert (soft.max(-1) < 0.999).any()
    # At the first place nothing was fed back yet.
    logits = ref.generator_logits(model.named_weights(), expected)
    first = ref.gumbel_softmax(logits[:, 0], noise[:, 0], temperature=0.5)
    np.testing.assert_allclose(soft[:, 0], first, **CLOSE)


@pytest.mark.parametrize("kind", ref.KINDS)
def test_the_discriminators_equal_the_reference(advrec, kind):
    judge = advrec.SequenceDiscriminator(V, kind=kind, dim=4, hidden=5, seed=1)
    rows = rows_of()
    w = judge.named_weights()
    relaxed = np.float32(np.random.default_rng(0).dirichlet(np.ones(V), size=(7, L)))
    np.testing.assert_allclose(
        advrec.numpy(judge(advrec.tensor(relaxed))), ref.discriminator_logits(w, relaxed), **CLOSE
    )
    expected = ref.discriminator_logits(w, ref.one_hot(rows, V))
    np.testing.assert_allclose(advrec.numpy(judge.score(advrec.tensor(rows))), expected, **CLOSE)
    np.testing.assert_allclose(advrec.numpy(judge(advrec.tensor(ref.one_hot(rows, V)))), expected, **CLOSE)


def test_the_autoencoder_equals_the_reference(advrec):
    model = advrec.InteractionVAE(V, hidden=6, latent=3, seed=4)
    w, table = model.named_weights(), fidelity.interaction_table(rows_of(), V)
    table[0] = 0  # a user without items has a code as well
    codes = np.float32(np.random.default_rng(0).normal(size=(len(table), 3)))
    encoded = [advrec.numpy(t) for t in model.encode(advrec.tensor(table))]
    for found, expected in zip(encoded, ref.vae_encode(w, table), strict=True):
        np.testing.assert_allclose(found, expected, **CLOSE)
    logits = advrec.numpy(model.decode(advrec.tensor(codes)))
    np.testing.assert_allclose(logits, ref.vae_decode(w, codes), **CLOSE)
    for beta in (0.0, 1.0, 0.3):
        found = advrec.vae_loss(*map(advrec.tensor, (logits, table, *encoded)), beta=beta)
        assert float(found) == pytest.approx(ref.vae_loss(logits, table, *encoded, beta=beta), rel=1e-5)


# --- losses and gradients


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_gumbel_softmax_and_its_straight_through_gradient(advrec, ops, temperature):
    rng = np.random.default_rng(1)
    logits, noise, weights = rng.normal(size=(6, V)), gumbel(6, V), rng.normal(size=(6, V))
    tensors = advrec.tensor(noise), advrec.tensor(weights)

    def relaxed(x):
        return advrec.gumbel_softmax(x, tensors[0], temperature=temperature)

    expected = ref.gumbel_softmax(np.float32(logits), noise, temperature=temperature)
    np.testing.assert_allclose(advrec.numpy(relaxed(advrec.tensor(logits))), expected, **CLOSE)
    hard = advrec.numpy(advrec.straight_through(relaxed(advrec.tensor(logits))))
    np.testing.assert_allclose(hard, np.eye(V)[(logits + noise).argmax(-1)], atol=1e-6)
    exact = slope(lambda x: (weights * ref.gumbel_softmax(x, noise, temperature=temperature)).sum(), logits)
    for draw in (relaxed, lambda x: advrec.straight_through(relaxed(x))):
        _, found = advrec.value_and_grad(lambda x, draw=draw: ops.sum(draw(x) * tensors[1]), advrec.tensor(logits))
        np.testing.assert_allclose(advrec.numpy(found), exact, atol=2e-5)


def test_the_policy_gradient_holds_its_rewards_fixed(advrec):
    rng = np.random.default_rng(2)
    log_p, rewards = -rng.uniform(0.1, 3, 12), 5 + rng.normal(size=12)
    loss, gradient = advrec.value_and_grad(
        lambda x: advrec.reinforce_loss(x, advrec.tensor(rewards)), advrec.tensor(log_p)
    )
    assert float(loss) == pytest.approx(ref.reinforce_loss(log_p, rewards), abs=1e-5)
    np.testing.assert_allclose(advrec.numpy(gradient), -(rewards - rewards.mean()) / 12, atol=1e-6)
    with pytest.raises(ValueError, match="does not depend"):
        advrec.value_and_grad(lambda r: advrec.reinforce_loss(advrec.tensor(log_p), r), advrec.tensor(rewards))


def test_gumbel_noise_is_standard_and_fixed_by_its_generator(advrec):
    draw = advrec.numpy(advrec.gumbel_noise((20_000,), generator=advrec.generator(1)))
    assert draw.mean() == pytest.approx(0.5772, abs=0.03) and draw.var() == pytest.approx(np.pi**2 / 6, abs=0.08)
    again, other = (advrec.numpy(advrec.gumbel_noise((20_000,), generator=advrec.generator(s))) for s in (1, 2))
    assert np.array_equal(draw, again) and not np.array_equal(draw, other)


# --- training


def test_likelihood_learns_a_chain(advrec):
    model = small_generator(advrec, hidden=16)
    history = advrec.fit_generator(model, chains(), epochs=15, learning_rate=0.02, batch_size=50)
    assert history.shape == (15,) and history[-1] < 0.7 < 1.5 < history[0]
    drawn = advrec.sample_sequences(model, 200, seed=1)
    assert drawn.dtype == np.int64 and drawn.shape == (200, L)
    assert (np.diff(drawn, axis=1) % V == 1).mean() > 0.9
    assert np.array_equal(drawn, advrec.sample_sequences(model, 200, seed=1))
    assert not np.array_equal(drawn, advrec.sample_sequences(model, 200, seed=2))


@pytest.mark.parametrize("kind", ref.KINDS)
def test_a_discriminator_learns_order(advrec, kind):
    judge = advrec.SequenceDiscriminator(V, kind=kind, seed=0)
    real, fake = chains(), np.random.default_rng(1).permuted(chains(seed=1), axis=1)
    history = advrec.fit_discriminator(judge, real, fake, epochs=15, learning_rate=0.01)
    assert history.shape == (15,) and history[-1] < history[0] / 2
    scores = [advrec.numpy(judge.score(advrec.tensor(rows))) for rows in (chains(seed=2), fake)]
    assert fidelity.two_sample_auc(*scores) > 0.95


def test_the_autoencoder_learns_what_goes_together(advrec):
    groups = np.random.default_rng(0).integers(2, size=(400, 1))
    table = ((np.arange(10) < 5) == groups).astype(int)
    model = advrec.InteractionVAE(10, hidden=20, latent=2, seed=0)
    history = advrec.fit_vae(model, table, epochs=100, learning_rate=0.01, dropout=0.2, beta=0.5)
    assert history.shape == (100,) and history[-1] < history[0]
    rows = advrec.sample_vae(model, 2000, length=4, seed=1)
    assert rows.dtype == np.int64 and all(len(set(row)) == 4 for row in rows)
    assert np.isin((rows < 5).sum(1), (0, 4)).mean() > 0.8
    assert np.array_equal(rows, advrec.sample_vae(model, 2000, length=4, seed=1))


@pytest.mark.parametrize("estimator", ref.ESTIMATORS)
def test_a_game_moves_both_players_and_is_fixed_by_its_seed(advrec, estimator):
    def game(seed):
        players = small_generator(advrec), advrec.SequenceDiscriminator(V, dim=4, hidden=5)
        settings = {"steps": 4, "batch_size": 16, "discriminator_steps": 2, "estimator": estimator, "seed": seed}
        return players, advrec.fit_sequence_gan(*players, chains(), **settings)

    (players, one), (_, again), (_, other) = game(0), game(0), game(1)
    assert list(one) == ["discriminator_loss", "generator_loss", "discriminator_gradient", "generator_gradient"]
    for name, values in one.items():
        assert values.shape == (4,) and np.isfinite(values).all()
        assert np.array_equal(values, again[name]) and not np.array_equal(values, other[name])
    fresh = small_generator(advrec), advrec.SequenceDiscriminator(V, dim=4, hidden=5)
    for player, before in zip(players, fresh, strict=True):
        moved = [
            np.abs(a - b).max()
            for a, b in zip(player.named_weights().values(), before.named_weights().values(), strict=True)
        ]
        assert max(moved) > 1e-4


def test_a_rate_of_zero_leaves_a_player_alone(advrec):
    for rates, still in (((0.0, 0.01), 0), ((0.01, 0.0), 1)):
        players = small_generator(advrec), advrec.SequenceDiscriminator(V, dim=4, hidden=5)
        before = [player.named_weights() for player in players]
        advrec.fit_sequence_gan(*players, chains(), steps=2, batch_size=8, learning_rates=rates)
        same = [
            all(np.array_equal(old[k], v) for k, v in player.named_weights().items())
            for player, old in zip(players, before, strict=True)
        ]
        assert same[still] and not same[1 - still]


def test_the_first_loss_of_a_game_is_that_of_the_reference(advrec):
    """One batch that holds the same row again and again, so that no draw decides."""
    row = np.tile(np.arange(L), (6, 1))
    players = small_generator(advrec), advrec.SequenceDiscriminator(V, dim=4, hidden=5)
    w = players[1].named_weights()
    history = advrec.fit_sequence_gan(*players, row, steps=1, batch_size=4, learning_rates=(0.0, 0.0))
    real = ref.discriminator_logits(w, ref.one_hot(row[:1], V))[0]
    fake_part = history["discriminator_loss"][0] - np.logaddexp(0, -real)
    assert 0 < fake_part < 5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a: a.SequenceGenerator(3, length=5), "length is 5 and there are 3 items"),
        (lambda a: a.SequenceGenerator(9, length=0), "length is 0"),
        (lambda a: a.SequenceGenerator(9, length=5, hidden=0), "hidden is 0"),
        (lambda a: a.SequenceDiscriminator(9, kind="lstm"), "kind is 'lstm'; choose one of cnn, rnn"),
        (lambda a: a.InteractionVAE(1), "n_items is 1"),
        (lambda a: a.fit_generator(small_generator(a), rows_of()[:, :4], epochs=1), "4 columns and the model takes 5"),
        (lambda a: a.fit_generator(small_generator(a), rows_of() + 5, epochs=1), "without padding"),
        (lambda a: a.fit_generator(small_generator(a), np.zeros((3, L), int), epochs=1), "an item twice"),
        (lambda a: a.fit_generator(small_generator(a), rows_of() * 1.0, epochs=1), "table of item ids"),
        (lambda a: a.fit_generator(small_generator(a), rows_of(), epochs=0), "epochs is 0"),
        (lambda a: a.fit_generator(small_generator(a), rows_of(), epochs=1, learning_rate=-1.0), "negative"),
        (
            lambda a: a.fit_discriminator(a.SequenceDiscriminator(V), rows_of(4), rows_of(5), epochs=1),
            "4 real and 5 fake rows",
        ),
        (lambda a: a.fit_vae(a.InteractionVAE(V), np.full((2, V), 2), epochs=1), "other numbers than 0 and 1"),
        (lambda a: a.fit_vae(a.InteractionVAE(V), np.ones((2, 3)), epochs=1), "9 columns"),
        (lambda a: a.fit_vae(a.InteractionVAE(V), np.ones((2, V)), epochs=1, dropout=1.0), "dropout is 1.0"),
        (lambda a: a.fit_vae(a.InteractionVAE(V), np.ones((2, V)), epochs=1, beta=-1.0), "beta is -1.0"),
        (lambda a: a.sample_vae(a.InteractionVAE(V), 3, length=10), "length is 10"),
        (lambda a: a.sample_sequences(small_generator(a), 0), "n is 0"),
        (lambda a: _game(a, estimator="concrete"), "estimator is 'concrete'"),
        (lambda a: _game(a, temperature=0.0), "temperature is 0.0"),
        (lambda a: _game(a, steps=0), "steps is 0"),
        (lambda a: _game(a, learning_rates=(0.1, -0.1)), "negative"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(advrec, call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call(advrec)
    assert "\n" not in str(caught.value)


def _game(advrec, **settings):
    players = small_generator(advrec), advrec.SequenceDiscriminator(V)
    return advrec.fit_sequence_gan(*players, rows_of(), **{"steps": 1, **settings})
