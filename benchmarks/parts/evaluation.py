"""Evaluating 943 users x 1,682 items, beside pytrec_eval, recommenders, ranx, lenskit and torchmetrics."""

from __future__ import annotations

import os
import statistics
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import peers as peers_module
from benchmarks import report
from benchmarks.sides import Side, interleave, ours
from benchmarks.tables import Verdict, against_fastest, markdown, ratio, seconds

LIBRARIES = ("pytrec_eval", "recommenders", "ranx", "lenskit", "torchmetrics")
TASKS = {
    "all": ("every held-out item of a user (HR, NDCG, precision, recall at 10)", 3.0),
    "single": ("one held-out item per user (HR, NDCG at 10)", 8.0),
}
TOLERANCE = 2e-6
"""Largest difference between two sides' means; torchmetrics computes in float32."""


def write_inputs(path: Path) -> None:
    """Write one table of real scores (EASE on the 80/20 split's training part) and both test sets."""
    from advrec_teach.baselines import ease_scores
    from advrec_teach.data import movielens
    from advrec_teach.splits import holdout, leave_one_out

    data = movielens()
    split = holdout(data.ratings, data.n_users, data.n_items)
    last = leave_one_out(data.ratings, data.n_users, data.n_items)
    scores = ease_scores(split.train)
    # Equal scores are ordered differently by every library: an offset below the scores' own rounding tells
    # them apart, the same for all sides.
    scores = scores + np.random.default_rng(0).uniform(0, 1e-4, scores.shape).astype(np.float32)
    np.savez(
        path,
        scores=scores,
        seen_all=split.train.table(),
        test_users=split.test.users,
        test_items=split.test.items,
        seen_single=last.known.table(),
        targets=last.test,
    )


def differences(values: dict[str, dict[str, float]], ours: str = "ours") -> dict[str, float]:
    """The largest difference of each side's means from ours; every side has to give the same names."""
    largest = {}
    for name, found in values.items():
        if name == ours:
            continue
        if found.keys() != values[ours].keys():
            raise ValueError(f"{name} gave {sorted(found)}, we gave {sorted(values[ours])}")
        largest[name] = max(abs(found[metric] - values[ours][metric]) for metric in found)
    return largest


def run(*, quick: bool, say=print) -> tuple[str, list[Verdict]]:
    """Measure, print and keep."""
    rounds, sample = (2, 0.05) if quick else (11, 0.3)
    threads = os.cpu_count() or 1
    load = os.getloadavg()[0]
    known = peers_module.read()
    for name in LIBRARIES:
        peers_module.ensure(known[name], say=say)
    tables, verdicts, figures = [], [], {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        inputs = Path(folder) / "inputs.npz"
        write_inputs(inputs)
        us = stack.enter_context(ours("ours", "ours_evaluation.py", threads=threads))
        others = {
            name: stack.enter_context(Side(name, known[name].python, "evaluation_peers.py", threads=threads))
            for name in LIBRARIES
        }
        sides = {"ours": us, **others}
        for side in sides.values():
            side.ask("load", path=str(inputs))
        for task, (title, wanted) in TASKS.items():
            say(f"evaluation: {title}")
            values = {name: side.ask("values", library=name, task=task) for name, side in sides.items()}
            apart = differences(values)
            for name, difference in apart.items():
                if difference > TOLERANCE:
                    raise ValueError(f"{name} differs by {difference:.2e}: {values[name]} against {values['ours']}")
            calls = {
                name: partial(side.ask, "measure", library=name, task=task, ready=False, seconds=sample)
                for name, side in sides.items()
            }
            for name, side in others.items():
                calls[f"{name}, given the top 10"] = partial(
                    side.ask, "measure", library=name, task=task, ready=True, seconds=sample
                )
            samples = interleave(calls, rounds=rounds)
            figures[task] = {"seconds": samples, "values": values, "difference": apart}
            judged = {name: samples[name] for name in sides}
            verdicts.append(
                against_fastest(f"evaluation of {title}: times as fast as the fastest", judged, "ours", wanted)
            )
            rows = [["ours", seconds(statistics.median(samples["ours"])), "1", "-", "-"]]
            for name in LIBRARIES:
                from_scores = ratio(samples[name], samples["ours"])
                given = samples[f"{name}, given the top 10"]
                rows.append(
                    [
                        name,
                        seconds(statistics.median(samples[name])),
                        f"{from_scores.value:.1f}x ({from_scores.low:.1f} to {from_scores.high:.1f})",
                        seconds(statistics.median(given)),
                        f"{apart[name]:.0e}",
                    ]
                )
            header = ["side", "seconds", "times ours", "its metrics alone, top 10 given", "largest difference in value"]
            tables.append((title, markdown(header, rows)))
    text = report.write(
        "evaluation",
        title="Evaluation: 943 users x 1,682 items",
        tables=tables,
        verdicts=verdicts,
        versions={name: peers_module.versions(known[name]) for name in LIBRARIES},
        settings={"threads": threads, "rounds": rounds, "seconds_per_sample": sample, "tolerance": TOLERANCE},
        figures=figures,
        quick=quick,
        load_before=load,
    )
    return text, verdicts
