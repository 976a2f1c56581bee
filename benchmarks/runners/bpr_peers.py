"""A peer's BPR matrix factorisation: implicit, cornac, lenskit or recbole, whichever is installed here.

Each library gets the interactions as its own data set, made before the clock starts, and is timed in its fit alone.
"""

import os
import time
import warnings
from pathlib import Path

import numpy as np
from serve import serve

warnings.filterwarnings("ignore")
THREADS = int(os.environ["OMP_NUM_THREADS"])
state = {}


def load(path):
    with np.load(path) as stored:
        state.update({name: stored[name] for name in stored})
    state["n_users"], state["n_items"] = (int(state[name]) for name in ("n_users", "n_items"))


def _implicit(part):
    import implicit
    from scipy.sparse import csr_matrix

    users, items = state[f"{part}_users"], state[f"{part}_items"]
    shape = state["n_users"], state["n_items"]
    matrix = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=shape)

    def fit(epochs, seed, learning_rate, regularisation):
        model = implicit.cpu.bpr.BayesianPersonalizedRanking(
            factors=state["dim"],
            learning_rate=learning_rate,
            regularization=regularisation,
            iterations=epochs,
            num_threads=THREADS,
            random_state=seed,
        )
        start = time.perf_counter()
        model.fit(matrix, show_progress=False)
        passed = time.perf_counter() - start
        return passed, lambda: model.user_factors @ model.item_factors.T

    return fit


def _cornac(part):
    import cornac

    users, items = state[f"{part}_users"], state[f"{part}_items"]
    data = cornac.data.Dataset.from_uir([(int(u), int(i), 1.0) for u, i in zip(users, items, strict=True)])

    def fit(epochs, seed, learning_rate, regularisation):
        # A seed would take it down to one thread: the numbers are drawn afresh in each fit.
        model = cornac.models.BPR(
            k=state["dim"],
            max_iter=epochs,
            learning_rate=learning_rate,
            lambda_reg=regularisation,
            num_threads=THREADS,
            seed=None,
        )
        start = time.perf_counter()
        model.fit(data)
        passed = time.perf_counter() - start

        def scores():
            known = model.u_factors @ model.i_factors.T + model.i_biases
            table = np.full((state["n_users"], state["n_items"]), -np.inf, np.float32)
            rows = np.fromiter(data.uid_map.keys(), np.int64)
            columns = np.fromiter(data.iid_map.keys(), np.int64)
            places = np.fromiter(data.uid_map.values(), np.int64), np.fromiter(data.iid_map.values(), np.int64)
            table[np.ix_(rows, columns)] = known[np.ix_(*places)]
            return table

        return passed, scores

    return fit


def _lenskit(part):
    import pandas as pd
    import torch
    from lenskit.data import from_interactions_df
    from lenskit.flexmf import FlexMFImplicitScorer
    from lenskit.logging import LoggingConfig
    from lenskit.training import TrainingOptions

    quiet = LoggingConfig()
    quiet.level = 40
    quiet.apply()
    torch.set_num_threads(THREADS)
    frame = pd.DataFrame({"user_id": state[f"{part}_users"], "item_id": state[f"{part}_items"]})
    data = from_interactions_df(frame)

    def fit(epochs, seed, learning_rate, regularisation, batch_size, method):
        scorer = FlexMFImplicitScorer(
            preset="bpr",
            embedding_size=state["dim"],
            epochs=epochs,
            learning_rate=learning_rate,
            regularization=regularisation,
            batch_size=batch_size,
            reg_method=method,
        )
        start = time.perf_counter()
        scorer.train(data, TrainingOptions(rng=seed, device="cpu"))
        passed = time.perf_counter() - start

        def scores():
            users = scorer.users.numbers(np.arange(state["n_users"]), missing="negative")
            items = scorer.items.numbers(np.arange(state["n_items"]), missing="negative")
            table = np.full((state["n_users"], state["n_items"]), -np.inf, np.float32)
            model = scorer.model
            known = (model.u_embed.weight @ model.i_embed.weight.T).detach().numpy()
            rows, columns = np.flatnonzero(users >= 0), np.flatnonzero(items >= 0)
            table[np.ix_(rows, columns)] = known[np.ix_(users[rows], items[columns])]
            return table

        return passed, scores

    return fit


def _recbole(part):
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.general_recommender.bpr import BPR
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    torch.set_num_threads(THREADS)
    folder = Path.cwd() / part / "movielens"
    folder.mkdir(parents=True, exist_ok=True)
    users, items = state[f"{part}_users"], state[f"{part}_items"]
    lines = [f"{u}\t{i}" for u, i in zip(users, items, strict=True)]
    (folder / "movielens.inter").write_text("\n".join(["user_id:token\titem_id:token", *lines]) + "\n")

    def fit(epochs, seed, learning_rate, batch_size):
        config = Config(
            model="BPR",
            dataset="movielens",
            config_dict={
                "data_path": str(folder.parent),
                "load_col": {"inter": ["user_id", "item_id"]},
                "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "RO", "group_by": "none", "mode": "full"},
                "embedding_size": state["dim"],
                "epochs": epochs,
                "learning_rate": learning_rate,
                "train_batch_size": batch_size,
                "use_gpu": False,
                "show_progress": False,
                "reproducibility": False,
                "state": "ERROR",
                "seed": seed,
            },
        )
        init_seed(seed, False)
        dataset = create_dataset(config)
        training, _, _ = data_preparation(config, dataset)
        model = BPR(config, training.dataset)
        trainer = Trainer(config, model)
        start = time.perf_counter()
        trainer.fit(training, None, saved=False, verbose=False, show_progress=False)
        passed = time.perf_counter() - start

        def scores():
            table = np.full((state["n_users"], state["n_items"]), -np.inf, np.float32)
            tokens = [dataset.field2id_token[name][1:].astype(np.int64) for name in ("user_id", "item_id")]
            known = (model.user_embedding.weight @ model.item_embedding.weight.T).detach().numpy()
            table[np.ix_(*tokens)] = known[1:, 1:]
            return table

        return passed, scores

    return fit


LIBRARIES = {"implicit": _implicit, "cornac": _cornac, "lenskit": _lenskit, "recbole": _recbole}


def fit(library, part, dim, epochs, seed, settings, out=None):
    """Fit once on a part of the data ("train" or "known"); return the seconds."""
    state["dim"] = dim
    key = (library, part)
    if key not in state:
        state[key] = LIBRARIES[library](part)
    passed, scores = state[key](epochs, seed, **settings)
    if out is not None:
        np.save(out, scores().astype(np.float32))
    return passed


if __name__ == "__main__":
    serve({"load": load, "fit": fit})
