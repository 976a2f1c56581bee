"""Our BPR matrix factorisation in PyTorch, through the public functions of the track."""

import os
import time

import numpy as np
import torch
from serve import serve

from advrec_teach import pytorch as advrec
from advrec_teach.splits import Interactions

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
state = {}


def load(path):
    with np.load(path) as stored:
        data = dict(stored)
    sizes = int(data["n_users"]), int(data["n_items"])
    for part in ("train", "known"):
        state[part] = Interactions(data[f"{part}_users"], data[f"{part}_items"], *sizes)


def fit(library, part, dim, epochs, seed, settings, out=None):
    """Fit once on a part of the data ("train" or "known"); return the seconds."""
    train = state[part]
    train.table()  # what is made once per split, as the peers' data sets are
    std = settings.pop("std", 0.1)
    start = time.perf_counter()
    model = advrec.BPRModel(train.n_users, train.n_items, dim=dim, seed=seed, std=std)
    advrec.fit_bpr(model, train, epochs=epochs, seed=seed, **settings)
    passed = time.perf_counter() - start
    if out is not None:
        np.save(out, advrec.numpy(model.score_all()))
    return passed


if __name__ == "__main__":
    serve({"load": load, "fit": fit})
