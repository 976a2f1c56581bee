"""A peer's HR, NDCG, precision and recall at 10, each library fed the way that suits it best.

The clock runs from the table of scores to the four means. What belongs to the test set alone (qrels, frames and lists
of relevant items) is built before the clock starts. Every library gets the ten best items of each user only, found
with ``argpartition`` (with ``torch.topk`` where the library brings PyTorch): ranking the whole table with its own code
would cost it many times as much.
"""

import numpy as np
from serve import per_call, serve

K = 10
state = {}


def load(path):
    with np.load(path) as stored:
        state.update(dict(stored))
    state["relevant"] = {
        "all": _per_user(state["test_users"], state["test_items"], len(state["scores"])),
        "single": [np.array([item]) for item in state["targets"]],
    }


def _per_user(users, items, n_users):
    order = np.argsort(users, kind="stable")
    ends = np.searchsorted(users[order], np.arange(1, n_users))
    return np.split(items[order], ends)


def _masked(task):
    return np.where(state[f"seen_{task}"], np.float32(-np.inf), state["scores"])


def top_numpy(task):
    """Items and scores of the ten best of each user, best first."""
    masked = _masked(task)
    items = np.argpartition(masked, -K, axis=1)[:, -K:]
    values = np.take_along_axis(masked, items, axis=1)
    order = np.argsort(-values, axis=1)
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(values, order, axis=1)


def top_torch(task):
    """The same with PyTorch."""
    import torch

    scores, seen = torch.from_numpy(state["scores"]), torch.from_numpy(state[f"seen_{task}"])
    found = torch.topk(scores.masked_fill(seen, -torch.inf), K, dim=1)
    return found.indices.numpy(), found.values.numpy()


def users_with_test(task):
    return [user for user, items in enumerate(state["relevant"][task]) if len(items)]


def pytrec_eval(task, find):
    import pytrec_eval

    relevant = state["relevant"][task]
    users = users_with_test(task)
    names = [str(item) for item in range(state["scores"].shape[1])]
    qrels = {str(user): {names[item]: 1 for item in relevant[user]} for user in users}
    wanted = {"hr": "success_10", "ndcg": "ndcg_cut_10", "precision": "P_10", "recall": "recall_10"}
    wanted = wanted if task == "all" else {"hr": "recall_10", "ndcg": "ndcg_cut_10"}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {name.replace("_10", ".10") for name in wanted.values()})
    keys = [(str(user), user) for user in users]

    def measure():
        items, values = find()
        items, values = items.tolist(), values.tolist()
        found = {key: dict(zip(map(names.__getitem__, items[user]), values[user], strict=True)) for key, user in keys}
        each = evaluator.evaluate(found).values()
        return {name: sum(one[measure] for one in each) / len(each) for name, measure in wanted.items()}

    return measure


def recommenders(task, find):
    import pandas as pd
    from recommenders.evaluation import python_evaluation as evaluation

    relevant = state["relevant"][task]
    users = users_with_test(task)
    truth = pd.DataFrame(
        {
            "userID": np.repeat(users, [len(relevant[user]) for user in users]).astype(np.int32),
            "itemID": np.concatenate([relevant[user] for user in users]).astype(np.int32),
            "rating": np.float32(1),
        }
    )
    rows = np.repeat(users, K).astype(np.int32)

    def measure():
        # The library keeps its last merge, keyed by the frames' content: a repeated run must not find it there.
        evaluation.merge_ranking_true_pred.cache_clear()
        items, values = find()
        found = pd.DataFrame(
            {
                "userID": rows,
                "itemID": items[users].ravel().astype(np.int32),
                "prediction": values[users].ravel(),
            }
        )
        settings = {"col_prediction": "prediction", "relevancy_method": None, "k": K}
        recall = evaluation.recall_at_k(truth, found, **settings)
        ndcg = evaluation.ndcg_at_k(truth, found, **settings)
        if task == "single":
            return {"hr": recall, "ndcg": ndcg}
        precision = evaluation.precision_at_k(truth, found, **settings)
        # No hit rate there: the users with a hit are the rows of the merge that the other three share.
        _, hits, n_users = evaluation.merge_ranking_true_pred(
            rating_true=truth,
            rating_pred=found,
            col_user="userID",
            col_item="itemID",
            threshold=evaluation.DEFAULT_THRESHOLD,
            **settings,
        )
        return {"hr": len(hits) / n_users, "ndcg": ndcg, "precision": precision, "recall": recall}

    return measure


def ranx(task, find):
    import numba
    from ranx import evaluate

    relevant = state["relevant"][task]
    users = users_with_test(task)
    qrels = numba.typed.List()
    for user in users:
        qrels.append(np.stack([np.sort(relevant[user]), np.ones(len(relevant[user]))], axis=1).astype(np.float64))
    wanted = {"hr": "hit_rate@10", "ndcg": "ndcg@10", "precision": "precision@10", "recall": "recall@10"}
    wanted = wanted if task == "all" else {"hr": "hit_rate@10", "ndcg": "ndcg@10"}

    def measure():
        items, values = find()
        # The arrays that its own Run class would make, without the detour through strings and dictionaries.
        found = np.stack([items[users], values[users]], axis=2).astype(np.float64)
        means = evaluate(qrels, found, list(wanted.values()))
        return {name: float(means[metric]) for name, metric in wanted.items()}

    return measure


def lenskit(task, find):
    from lenskit.data import ItemList
    from lenskit.data.vocab import Vocabulary
    from lenskit.metrics import NDCG, Hit, Precision, Recall
    from lenskit.metrics.ranking import LogRankWeight

    relevant = state["relevant"][task]
    users = users_with_test(task)
    vocabulary = Vocabulary(np.arange(state["scores"].shape[1]), name="item")
    truth = [ItemList(item_nums=relevant[user], vocabulary=vocabulary) for user in users]
    # Its defaults are other definitions: a discount of 1 at the first two places, and, when recall is given a length,
    # a division by min(length, relevant items). These settings are the definitions that the other libraries share.
    discount = LogRankWeight(offset=1)
    metrics = {"hr": Hit(K), "ndcg": NDCG(K, weight=discount), "precision": Precision(K), "recall": Recall()}
    if task == "single":
        metrics = {"hr": metrics["hr"], "ndcg": metrics["ndcg"]}

    def measure():
        items, _ = find()
        totals = dict.fromkeys(metrics, 0.0)
        for user, test in zip(users, truth, strict=True):
            found = ItemList(item_nums=items[user], vocabulary=vocabulary, ordered=True)
            for name, metric in metrics.items():
                totals[name] += metric.measure_list(found, test)
        return {name: float(total / len(users)) for name, total in totals.items()}

    return measure


def torchmetrics(task, find):
    import torch
    from torchmetrics.functional.retrieval import (
        retrieval_hit_rate,
        retrieval_normalized_dcg,
        retrieval_precision,
        retrieval_recall,
    )

    relevant = state["relevant"][task]
    users = users_with_test(task)
    tests = [torch.from_numpy(relevant[user]) for user in users]
    metrics = {
        "hr": retrieval_hit_rate,
        "ndcg": retrieval_normalized_dcg,
        "precision": retrieval_precision,
        "recall": retrieval_recall,
    }
    if task == "single":
        metrics = {"hr": metrics["hr"], "ndcg": metrics["ndcg"]}

    def measure():
        items, values = (torch.from_numpy(array) for array in find())
        totals = dict.fromkeys(metrics, 0.0)
        for user, test in zip(users, tests, strict=True):
            hits = torch.isin(items[user], test)
            # What the list missed follows below it, so that the totals are known.
            missed = len(test) - int(hits.sum())
            target = torch.cat([hits, torch.ones(missed, dtype=torch.bool)])
            preds = torch.cat([values[user], values[user, -1] - 1 - torch.arange(missed)])
            for name, metric in metrics.items():
                totals[name] += metric(preds, target, top_k=K)
        return {name: float(total / len(users)) for name, total in totals.items()}

    return measure


LIBRARIES = {
    "pytrec_eval": (pytrec_eval, top_numpy),
    "recommenders": (recommenders, top_numpy),
    "ranx": (ranx, top_numpy),
    "lenskit": (lenskit, top_torch),
    "torchmetrics": (torchmetrics, top_torch),
}


def _prepare(library, task, ready):
    key = (library, task, ready)
    if key not in state:
        make, find = LIBRARIES[library]
        given = find(task)
        state[key] = make(task, (lambda: given) if ready else (lambda: find(task)))
        state[key]()
    return state[key]


def values(library, task):
    """Return the means themselves."""
    return _prepare(library, task, False)()


def measure(library, task, ready, seconds):
    """Return the seconds of one evaluation; with ``ready`` the ten best items are given for nothing."""
    return per_call(_prepare(library, task, ready), seconds)


if __name__ == "__main__":
    serve({"load": load, "values": values, "measure": measure})
