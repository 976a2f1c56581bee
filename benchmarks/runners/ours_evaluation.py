"""Our evaluation, from the table of scores to the means."""

import numpy as np
from serve import per_call, serve

from advrec_teach import metrics
from advrec_teach.splits import Interactions

K = 10
state = {}


def load(path):
    with np.load(path) as stored:
        data = dict(stored)
    shape = data["scores"].shape

    def interactions(users, items):
        made = Interactions(users.astype(np.int64), items.astype(np.int64), *shape)
        made.table()  # built once per split, like the peers' qrels
        return made

    state.update(
        scores=data["scores"],
        targets=data["targets"],
        test=interactions(data["test_users"], data["test_items"]),
        seen={task: interactions(*np.nonzero(data[f"seen_{task}"])) for task in ("all", "single")},
    )


def _all():
    found = metrics.evaluate(state["scores"], state["test"], train=state["seen"]["all"], ks=(K,))
    return {name: found[f"{name}@{K}"] for name in ("hr", "ndcg", "precision", "recall")}


def _single():
    found = metrics.evaluate_single(state["scores"], state["targets"], exclude=state["seen"]["single"], ks=(K,))
    return {name: found[f"{name}@{K}"] for name in ("hr", "ndcg")}


TASKS = {"all": _all, "single": _single}


def values(library, task):
    """Return the means themselves."""
    return TASKS[task]()


def measure(library, task, ready, seconds):
    """Return the seconds of one evaluation."""
    return per_call(TASKS[task], seconds)


if __name__ == "__main__":
    serve({"load": load, "values": values, "measure": measure})
