"""What is added to training data, and how a gain is measured."""

import numpy as np
import pytest
from scipy import stats

from advrec_teach import augmentation, profiles
from advrec_teach.splits import Interactions

V = 40


@pytest.fixture
def log():
    rng = np.random.default_rng(0)
    counts = [3, 12, 20, 5, 9]
    users = np.repeat(np.arange(5), counts)
    items = np.concatenate([rng.permutation(V)[:c] for c in counts])
    return Interactions(users, items, 6, V)


def test_full_rows_hold_no_padding_and_follow_the_order(log):
    rows = augmentation.full_rows(log, length=6, stride=2)
    assert rows.shape[1] == 6 and rows.max() < V
    histories = {u: list(log.items[log.users == u]) for u in range(6)}
    for row in rows:
        assert any(list(row) == h[k : k + 6] for h in histories.values() for k in range(len(h)))
    assert len(augmentation.full_rows(log, length=20)) == 1
    with pytest.raises(ValueError, match="length"):
        augmentation.full_rows(log, length=1)


def test_the_last_items_are_held_out(log):
    train, test = augmentation.hold_out_last(log, 5)
    for user in range(6):
        own = log.items[log.users == user]
        cut = len(own) - 5 if len(own) > 5 else len(own)
        np.testing.assert_array_equal(train.items[train.users == user], own[:cut])
        np.testing.assert_array_equal(test.items[test.users == user], own[cut:])
    order = np.random.default_rng(1).permutation(5)[log.users]
    mixed = np.argsort(order, kind="stable")
    again, _ = augmentation.hold_out_last(Interactions(log.users[mixed], log.items[mixed], 6, V), 5)
    assert set(again.flat()) == set(train.flat())
    with pytest.raises(ValueError, match="n is 0"):
        augmentation.hold_out_last(log, 0)


def test_what_is_invented_has_not_seen_the_test(log):
    seen = []

    def invent(rows, n):
        seen.append(rows)
        return rows[np.arange(n) % len(rows)]

    train, test = augmentation.split_then_invent(log, invent, 7, held_out=3, length=4)
    known, held = augmentation.hold_out_last(log, 3)
    np.testing.assert_array_equal(seen[0], augmentation.full_rows(known, length=4, stride=1))
    assert train.n_users == 13 and set(test.flat()) == set(held.flat())
    np.testing.assert_array_equal(train.table()[:6], known.table())
    np.testing.assert_array_equal(train.items, profiles.inject(known, invent(seen[0], 7)).items)


def test_a_schedule_is_whole_passes_cut_short():
    rows = np.arange(15).reshape(5, 3)
    made = augmentation.schedule(rows, 13, seed=3)
    assert made.shape == (13, 3)
    for k in (0, 5):
        np.testing.assert_array_equal(np.sort(made[k : k + 5], axis=0), rows)
    assert len(np.unique(made[10:, 0])) == 3
    np.testing.assert_array_equal(made, augmentation.schedule(rows, 13, seed=3))
    for wrong in ((rows[:0], 3), (rows[0], 3), (rows, 0)):
        with pytest.raises(ValueError):
            augmentation.schedule(*wrong)


def test_noise_replaces_a_share_and_repeats_nothing():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.permutation(V)[:10] for _ in range(300)])
    made = augmentation.noisy_rows(rows, V, share=1 / 3, seed=1)
    assert abs((made != rows).mean() - 1 / 3) < 0.03
    assert all(len(set(row)) == 10 for row in made)
    np.testing.assert_array_equal(augmentation.noisy_rows(rows, V, share=0), rows)
    everything = augmentation.noisy_rows(rows, V, share=1)
    assert not any(set(a) & set(b) for a, b in zip(rows, everything, strict=True))
    with pytest.raises(ValueError, match="share"):
        augmentation.noisy_rows(rows, V, share=1.5)
    with pytest.raises(ValueError, match="at least 20"):
        augmentation.noisy_rows(rows, 19, share=0.5)


def test_the_sparsest_are_chosen_by_training_counts(log):
    np.testing.assert_array_equal(augmentation.sparsest(log, share=0.5), [5, 0, 3])
    assert len(augmentation.sparsest(log)) == 1
    with pytest.raises(ValueError, match="share"):
        augmentation.sparsest(log, share=0)


def test_folding_in_is_the_minimum():
    rng = np.random.default_rng(0)
    q, r = rng.normal(size=(30, 4)), (rng.random((5, 30)) < 0.3).astype(float)

    def loss(p):
        return ((r - p @ q.T) ** 2).sum() + 2 * (p**2).sum()

    p = augmentation.fold_in(q, r, penalty=2)
    assert all(loss(p + 1e-3 * rng.normal(size=p.shape)) > loss(p) for _ in range(20))
    assert np.linalg.norm(augmentation.fold_in(q, r, penalty=1e6)) < 1e-3
    exact = augmentation.fold_in(q, p @ q.T, penalty=1e-9)
    np.testing.assert_allclose(exact, p, atol=1e-6)
    with pytest.raises(ValueError, match="penalty"):
        augmentation.fold_in(q, r, penalty=0)


def test_a_paired_interval_is_that_of_scipy():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=9), rng.normal(size=9)
    mean, low, high = augmentation.paired_interval(first, second, level=0.9)
    ends = stats.ttest_rel(first, second).confidence_interval(0.9)
    np.testing.assert_allclose((mean, low, high), ((first - second).mean(), ends.low, ends.high))
    for wrong in ((first, second[:8]), (first[:1], second[:1])):
        with pytest.raises(ValueError, match="at least two"):
            augmentation.paired_interval(*wrong)
    with pytest.raises(ValueError, match="level"):
        augmentation.paired_interval(first, second, level=95)


def test_a_paired_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    d = rng.normal(0.3, 1, size=(2000, 6))
    found = [augmentation.paired_interval(row, np.zeros(6)) for row in d]
    assert abs(np.mean([low < 0.3 < high for _, low, high in found]) - 0.95) < 0.015
