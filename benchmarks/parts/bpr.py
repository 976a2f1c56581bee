"""BPR (d = 64) on MovieLens-100K, last item held out, beside implicit, cornac, lenskit and recbole."""

from __future__ import annotations

import os
import statistics
import tempfile
import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers as peers_module
from benchmarks import report
from benchmarks.sides import HERE, Side, interleave, ours
from benchmarks.tables import Verdict, against_fastest, markdown, ratio, seconds

OURS = {"ours (PyTorch)": "pytorch", "ours (TensorFlow)": "tensorflow"}
COMPILED = ("implicit", "cornac")
FRAMEWORKS = ("lenskit", "recbole")
DIM = 64
SEEDS = (0, 1, 2, 3, 4)


def read_settings(path: Path = HERE / "bpr_settings.toml") -> dict[str, Any]:
    """Read the epochs, threads and settings of every side."""
    return tomllib.loads(path.read_text())


def split() -> Any:
    """Split MovieLens-100K: each user's last item is the test, the one before it the validation."""
    from advrec_teach.data import movielens
    from advrec_teach.splits import leave_one_out

    data = movielens()
    return leave_one_out(data.ratings, data.n_users, data.n_items)


def write_inputs(path: Path, parts: Any) -> None:
    """Write the training pairs, those that are known when the test item is predicted, and the test items."""
    np.savez(
        path,
        train_users=parts.train.users,
        train_items=parts.train.items,
        known_users=parts.known.users,
        known_items=parts.known.items,
        test=parts.test,
        n_users=parts.train.n_users,
        n_items=parts.train.n_items,
    )


def start(name: str, threads: int | None = None) -> Side:
    """Start a side, with the threads that suit it best unless told otherwise."""
    threads = threads or read_settings()[name]["threads"]
    if name in OURS:
        return ours(name, "ours_bpr.py", threads=threads, environment={"ADVREC_TRACK": OURS[name]})
    known = peers_module.read()
    peers_module.ensure(known[name])
    return Side(name, known[name].python, "bpr_peers.py", threads=threads)


def quality(
    side: Side, name: str, settings: dict, epochs: int, seed: int, parts: Any, *, part: str, folder: Path
) -> tuple[float, float]:
    """Fit once and return the seconds and NDCG@10, by one and the same code for all sides.

    ``part`` "train" is judged by the validation item, "known" by the test item.
    """
    from advrec_teach.metrics import evaluate_single

    out = folder / "scores.npy"
    passed = side.ask(
        "fit", library=name, part=part, dim=DIM, epochs=epochs, seed=seed, settings=settings, out=str(out)
    )
    exclude, targets = (parts.train, parts.validation) if part == "train" else (parts.known, parts.test)
    return passed, evaluate_single(np.load(out), targets, exclude=exclude, ks=(10,))["ndcg@10"]


def per_epoch(long: float, short: float, epochs: int, fewer: int) -> float:
    """Seconds of one epoch: what more epochs cost more, so that the setting up of a fit does not count."""
    if epochs <= fewer:
        raise ValueError(f"{epochs} epochs are not more than {fewer}")
    return (long - short) / (epochs - fewer)


def run(*, quick: bool, say=print) -> tuple[str, list[Verdict]]:
    """Measure, print and keep."""
    rounds, seeds = (2, SEEDS[:2]) if quick else (9, SEEDS)
    load = os.getloadavg()[0]
    chosen = read_settings()
    names = [*OURS, *COMPILED, *FRAMEWORKS]
    known = peers_module.read()
    parts = split()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        inputs = Path(folder) / "inputs.npz"
        write_inputs(inputs, parts)
        sides = {name: stack.enter_context(start(name)) for name in names}
        first, ndcg, validation = {}, {}, {}
        for name, side in sides.items():
            say(f"bpr: quality of {name}")
            side.ask("load", path=str(inputs))
            entry = chosen[name]
            common = {"parts": parts, "folder": Path(folder)}
            runs = [
                quality(side, name, entry["settings"], entry["epochs"], seed, part="known", **common) for seed in seeds
            ]
            first[name] = runs[0][0]
            ndcg[name] = [value for _, value in runs]
            validation[name] = [
                quality(side, name, entry["settings"], entry["epochs"], seed, part="train", **common)[1]
                for seed in seeds
            ]

        def fit(name: str, epochs: int) -> float:
            return sides[name].ask(
                "fit",
                library=name,
                part="known",
                dim=DIM,
                epochs=epochs,
                seed=0,
                settings=chosen[name]["settings"],
            )

        say("bpr: seconds")
        whole = interleave({name: (lambda n=name: fit(n, chosen[n]["epochs"])) for name in names}, rounds=rounds)
        # An epoch is timed over at least 20 of them, so that its figure does not hang on a few.
        many = 22
        long = interleave({name: (lambda n=name: fit(n, many)) for name in names}, rounds=rounds)
        short = interleave({name: (lambda n=name: fit(n, 2)) for name in names}, rounds=rounds)
        epoch = {
            name: [per_epoch(a, b, many, 2) for a, b in zip(long[name], short[name], strict=True)] for name in names
        }
    figures.update(
        {"fit": whole, "epoch": epoch, "first fit": first, "test ndcg@10": ndcg, "validation ndcg@10": validation}
    )
    verdicts = []
    for mine in OURS:
        track = mine[6:-1]
        verdicts += [
            against_fastest(
                f"BPR, {track}: an epoch in at most half the seconds of lenskit and of recbole",
                {name: epoch[name] for name in (mine, *FRAMEWORKS)},
                mine,
                2.0,
            ),
            against_fastest(
                f"BPR, {track}: the whole fit within 3 times the seconds of implicit and of cornac",
                {name: whole[name] for name in (mine, *COMPILED)},
                mine,
                1 / 3,
            ),
        ]
    rows = []
    for name in names:
        entry = chosen[name]
        cells = [name, str(entry["threads"]), str(entry["epochs"])]
        for values in (validation[name], ndcg[name]):
            cells.append(f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}")
        cells += [
            seconds(statistics.median(epoch[name])),
            seconds(statistics.median(whole[name])),
            seconds(first[name]),
        ]
        for mine in OURS:
            cells.append(f"{ratio(epoch[name], epoch[mine]).value:.2f}x, {ratio(whole[name], whole[mine]).value:.2f}x")
        rows.append(cells)
    header = [
        "side",
        "threads",
        "epochs",
        "NDCG@10, validation",
        "NDCG@10, test",
        "an epoch",
        "whole fit",
        "first fit of a process",
        "epoch, fit over ours (PyTorch)",
        "epoch, fit over ours (TensorFlow)",
    ]
    heading = f"Fit to the same NDCG@10 ({len(seeds)} seeds, mean ± standard deviation)"
    text = report.write(
        "bpr",
        title="BPR matrix factorisation, d = 64, MovieLens-100K, last item held out, all items ranked",
        tables=[(heading, markdown(header, rows))],
        verdicts=verdicts,
        versions={name: peers_module.versions(known[name]) for name in (*COMPILED, *FRAMEWORKS)},
        settings={"rounds": rounds, "seeds": list(seeds), "sides": chosen},
        figures=figures,
        quick=quick,
        load_before=load,
    )
    return text, verdicts
