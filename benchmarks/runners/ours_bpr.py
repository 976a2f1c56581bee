"""Our matrix factorisation, trained with BPR and adversarially, through the public functions of one track."""

import importlib
import os
import statistics
import time

import numpy as np
from serve import serve

from advrec_teach.metrics import evaluate_single
from advrec_teach.splits import Interactions

advrec = importlib.import_module(f"advrec_teach.{os.environ['ADVREC_TRACK']}")
state = {}


def load(path):
    with np.load(path) as stored:
        data = dict(stored)
    sizes = int(data["n_users"]), int(data["n_items"])
    for part in ("train", "known"):
        state[part] = Interactions(data[f"{part}_users"], data[f"{part}_items"], *sizes)
        state[part].table()  # what is made once per split, as the peers' data sets are
    state["test"] = data["test"]


def fit(library, part, dim, epochs, seed, settings, out=None):
    """Fit once on a part of the data ("train" or "known"); return the seconds."""
    train = state[part]
    std = settings.pop("std", 0.1)
    start = time.perf_counter()
    model = advrec.BPRModel(train.n_users, train.n_items, dim=dim, seed=seed, std=std)
    advrec.fit_bpr(model, train, epochs=epochs, seed=seed, **settings)
    passed = time.perf_counter() - start
    if out is not None:
        np.save(out, advrec.numpy(model.score_all()))
    return passed


def epoch(kind, dim, epochs):
    """Train with the package's own settings; return the median seconds of an epoch, the first left out."""
    train = state["known"]
    model = advrec.BPRModel(train.n_users, train.n_items, dim=dim)
    if kind == "bpr":
        history = advrec.fit_bpr(model, train, epochs=epochs)
    else:
        history = advrec.fit_adversarial(model, train, epochs=epochs, eps=0.5, adv_weight=1.0)
    return statistics.median(record["seconds"] for record in history[1:])


def curve(dim, epsilons, steps):
    """Measure a trained model under every attack and at every length; return seconds and the values."""
    train = state["known"]
    if "model" not in state:
        state["model"] = advrec.BPRModel(train.n_users, train.n_items, dim=dim)
        advrec.fit_bpr(state["model"], train, epochs=40)
    users, items, seen = (advrec.tensor(v) for v in (train.users, train.items, train.table()))

    def ndcg(scores):
        return evaluate_single(scores, state["test"], exclude=train, ks=(10,))["ndcg@10"]

    start = time.perf_counter()
    negatives = advrec.draw_negatives(users, seen, generator=advrec.generator(0))
    loss_fn = advrec.ranking_loss(users, items, negatives)
    records = advrec.robustness_curve(state["model"], loss_fn, ndcg, epsilons=epsilons, steps=steps)
    return time.perf_counter() - start, records


if __name__ == "__main__":
    serve({"load": load, "fit": fit, "epoch": epoch, "curve": curve})
