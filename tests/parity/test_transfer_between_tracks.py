"""A perturbation that was made in one track works on the model that the other track trained.

Both begin with the same first vectors and then see the data in an order of their own, so their coordinates agree and
their vectors do not. Each track runs in a process of its own; the losses are computed here, in NumPy float64.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from advrec_teach import data, reference, splits

TRACKS = ("pytorch", "tensorflow")
DIRECTIONS = [("pytorch", "tensorflow"), ("tensorflow", "pytorch")]
SHARE = 0.2

# Trains two models, one of them with other first vectors, and attacks the first; the triples come from the test.
MAKE = """
import importlib, sys
import numpy as np
from advrec_teach.splits import Interactions

track, source, target, ops = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4]
advrec = importlib.import_module("advrec_teach." + track)
sys.path.insert(0, ops)
ops = importlib.import_module("ops_" + track)
advrec.setup(device="cpu")
given = np.load(source, allow_pickle=False)
n_users, n_items = (int(n) for n in given["sizes"])
train = Interactions(given["users"], given["items"], n_users, n_items)
users, items, others = (advrec.tensor(given[name]) for name in ("users", "items", "others"))


def loss_fn(x):
    p, q = x
    p_u = ops.take(p, users)
    return advrec.bpr_loss(ops.sum(p_u * ops.take(q, items), 1), ops.sum(p_u * ops.take(q, others), 1))


found = {}
for name, seed in (("same", 0), ("other", 1)):
    model = advrec.BPRModel(n_users, n_items, dim=16, seed=seed)
    found[name + "_first"] = advrec.numpy(model.user_vectors).copy()
    advrec.fit_bpr(model, train, epochs=40, batch_size=128, seed=0)
    vectors = [advrec.numpy(v).copy() for v in (model.user_vectors, model.item_vectors)]
    eps = float(given["share"]) * float(np.median(np.linalg.norm(vectors[0], axis=1)))
    x = tuple(advrec.tensor(v) for v in vectors)
    delta = advrec.pgd_delta(loss_fn, x, eps=eps, step=eps / 8, steps=20, norm="l2")
    for part, vector, move in zip(("p", "q"), vectors, delta):
        found[f"{name}_{part}"], found[f"{name}_d{part}"] = vector, advrec.numpy(move)
    found[name + "_eps"] = eps
assert {"pytorch": "tensorflow", "tensorflow": "torch"}[track] not in sys.modules
np.savez(target, **found)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the triples, and for each track the vectors and perturbations that it made."""
    folder = tmp_path_factory.mktemp("transfer")
    films = data.movielens(source="synthetic")
    train = splits.holdout(films.ratings, films.n_users, films.n_items, seed=0).train
    table, rng = train.table(), np.random.default_rng(0)
    others = np.array([rng.choice(np.flatnonzero(~table[u])) for u in train.users])
    triples = {"users": train.users, "items": train.items, "others": others}
    np.savez(folder / "given.npz", sizes=np.array([films.n_users, films.n_items]), share=np.array(SHARE), **triples)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    found = {}
    for track in TRACKS:
        target = folder / f"{track}.npz"
        command = [sys.executable, "-c", MAKE, track, folder / "given.npz", target, Path(__file__).parent]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, env=environment, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        with np.load(target, allow_pickle=False) as arrays:
            found[track] = {name: arrays[name].astype(np.float64) for name in arrays.files}
    return triples, found


def loss(triples, p, q):
    u, i, j = triples["users"], triples["items"], triples["others"]
    return reference.bpr_loss((p[u] * q[i]).sum(1), (p[u] * q[j]).sum(1))


def rises(triples, victim, victim_name, maker, maker_name):
    """Return by how much the victim's loss rises under the maker's perturbation, its own, and noise of that size."""
    p, q = victim[f"{victim_name}_p"], victim[f"{victim_name}_q"]
    clean = loss(triples, p, q)

    def rise(dp, dq):
        return loss(triples, p + dp, q + dq) - clean

    rng, eps = np.random.default_rng(1), float(maker[f"{maker_name}_eps"])
    noise = [rise(*(reference.noise(rng.normal(size=t.shape), eps=eps, norm="l2") for t in (p, q))) for _ in range(10)]
    borrowed = rise(maker[f"{maker_name}_dp"], maker[f"{maker_name}_dq"])
    return borrowed, rise(victim[f"{victim_name}_dp"], victim[f"{victim_name}_dq"]), max(map(abs, noise))


def test_the_tracks_share_their_first_vectors_and_not_their_last(made):
    _, found = made
    ours, theirs = (found[track] for track in TRACKS)
    np.testing.assert_array_equal(ours["same_first"], theirs["same_first"])
    assert np.abs(ours["same_p"] - theirs["same_p"]).max() > 0.1


@pytest.mark.parametrize(("maker", "victim"), DIRECTIONS)
def test_a_perturbation_crosses_over(made, maker, victim):
    triples, found = made
    borrowed, own, noise = rises(triples, found[victim], "same", found[maker], "same")
    lengths = np.linalg.norm(found[maker]["same_dp"], axis=1)
    assert lengths.max() <= 1.0001 * found[maker]["same_eps"]
    assert borrowed > 5 * noise
    assert own > borrowed > own / 3


@pytest.mark.parametrize(("maker", "victim"), DIRECTIONS)
def test_the_control_other_first_vectors_other_coordinates(made, maker, victim):
    triples, found = made
    borrowed, own, _ = rises(triples, found[victim], "other", found[maker], "same")
    assert borrowed < own / 4
