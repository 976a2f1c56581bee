"""The surrogate's formula, and the profiles made by gradient and by generator, in each track."""

import numpy as np
import pytest

from advrec_teach import baselines, metrics, profiles
from advrec_teach.splits import Interactions


@pytest.fixture(scope="module")
def train():
    """Two groups of users with a taste of their own, and an item that nearly nobody has."""
    rng = np.random.default_rng(3)
    chance = np.full((80, 30), 0.08)
    chance[:40, :14] = 0.6
    chance[40:, 14:28] = 0.6
    chance[:, 29] = 0.02
    table = rng.random((80, 30)) < chance
    table[0, 29] = True
    users, items = np.nonzero(table)
    return Interactions(users, items, 80, 30)


def by_hand(train, rows, target, regularisation):
    """EASE's weights towards the target, by an inverse of everything, in float64."""
    table = np.concatenate([train.table().astype(float), rows])
    inverse = np.linalg.inv(table.T @ table + regularisation * np.eye(30))
    weights = -inverse[:, target] / inverse[target, target]
    weights[target] = 0
    return weights


def test_the_formula_equals_training_anew(advrec, train):
    rows = np.random.default_rng(0).random((6, 30)).astype(np.float32)
    inverse = advrec.tensor(baselines.ease_inverse(train, regularisation=20.0))
    found = advrec.numpy(advrec.poisoned_weights(inverse, advrec.tensor(rows), 29))
    np.testing.assert_allclose(found, by_hand(train, rows.astype(float), 29, 20.0), atol=1e-5)


def test_its_gradient_equals_differences(advrec, ops, train):
    rng = np.random.default_rng(1)
    rows, direction = rng.random((4, 30)).astype(np.float32), rng.normal(size=30).astype(np.float32)
    inverse = advrec.tensor(baselines.ease_inverse(train, regularisation=20.0))
    along = advrec.tensor(direction)
    _, gradient = advrec.value_and_grad(
        lambda x: ops.sum(advrec.poisoned_weights(inverse, x, 29) * along), advrec.tensor(rows)
    )
    for place in ((0, 3), (2, 17), (3, 29)):
        step = np.zeros((4, 30))
        step[place] = 1e-5
        ahead, back = (by_hand(train, rows + sign * step, 29, 20.0) @ direction for sign in (1, -1))
        assert advrec.numpy(gradient)[place] == pytest.approx((ahead - back) / 2e-5, rel=1e-3, abs=1e-5)


def surrogate_hits(train, rows, k=5):
    known = profiles.inject(train, profiles.with_target(rows, 29))
    scores = baselines.ease_scores(known, regularisation=20.0)
    return metrics.target_hit_ratio(scores, known.table(), 29, n_real=80, k=k)


def test_gradient_profiles_beat_what_they_started_from(advrec, train):
    settings = {"length": 8, "avoid": [28], "seed": 4}
    start = profiles.average_profiles(train, 12, length=8, avoid=[28, 29], seed=4)
    inverse = baselines.ease_inverse(train, regularisation=20.0)
    made = advrec.gradient_profiles(train, 12, target=29, inverse=inverse, k=5, steps=8, temperature=0.1, **settings)
    assert made.shape == (12, 8) and made.dtype == np.int64
    assert all(len(set(row)) == 8 for row in made.tolist())
    assert not np.isin(made, [28, 29]).any()
    assert surrogate_hits(train, made) > surrogate_hits(train, start) + 0.1


def test_generated_profiles_look_like_the_group_that_they_imitate(advrec, train):
    made = advrec.generated_profiles(train, 60, length=8, avoid=[29], steps=150, hidden=16, latent=4, seed=2)
    assert made.shape == (60, 8) and made.dtype == np.int64
    assert all(len(set(row)) == 8 for row in made.tolist()) and not (made == 29).any()
    # Real users hold films of one group; random ones of both alike.
    one_sided = np.abs((made < 14).sum(axis=1) - ((made >= 14) & (made < 28)).sum(axis=1)).mean()
    random = profiles.random_profiles(train, 60, length=8, avoid=[29], seed=2)
    control = np.abs((random < 14).sum(axis=1) - ((random >= 14) & (random < 28)).sum(axis=1)).mean()
    assert one_sided > 1.5 * control
    again = advrec.generated_profiles(train, 60, length=8, avoid=[29], steps=150, hidden=16, latent=4, seed=2)
    np.testing.assert_array_equal(made, again)


def test_settings_out_of_range_are_refused(advrec, train):
    search = {"target": 29, "inverse": np.eye(30), "length": 4}
    with pytest.raises(ValueError, match="steps must be at least 1"):
        advrec.gradient_profiles(train, 2, **search, steps=0)
    with pytest.raises(ValueError, match="temperature positive"):
        advrec.gradient_profiles(train, 2, **search, temperature=0)
    with pytest.raises(ValueError, match="at least 1"):
        advrec.generated_profiles(train, 2, length=4, steps=0)
