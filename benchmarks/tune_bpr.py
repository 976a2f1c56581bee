"""``python -m benchmarks.tune_bpr [SIDE ...]``: the learning curves from which the BPR part's settings are chosen.

Every side is fitted on the training part with a few settings, numbers of epochs and seeds, and judged by NDCG@10 of
the validation item, all items ranked. The test item plays no part. The curves are kept in ``results/bpr_tuning.json``;
for each side, the setting that reaches the target in the least time becomes its setting in ``bpr_settings.toml``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.parts import bpr

GRIDS: dict[str, dict[str, list]] = {
    "implicit": {"learning_rate": [0.02, 0.03, 0.05, 0.1], "regularisation": [0.003, 0.01, 0.02]},
    "cornac": {"learning_rate": [0.05, 0.07, 0.1, 0.2], "regularisation": [0.003, 0.005, 0.01]},
    "lenskit": {
        "learning_rate": [0.005, 0.01, 0.02, 0.05],
        "regularisation": [0.01],
        "batch_size": [2048, 8192],
        "method": ["AdamW"],
    },
    "recbole": {"learning_rate": [0.002, 0.005, 0.01, 0.02], "batch_size": [2048, 8192]},
    "ours (PyTorch)": {"learning_rate": [0.05, 0.1, 0.2], "batch_size": [1024, 4096, 8192], "std": [0.05]},
    "ours (TensorFlow)": {"learning_rate": [0.05, 0.1, 0.2], "batch_size": [1024, 4096, 8192], "std": [0.05]},
}
EPOCHS = (3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
SEEDS = (0, 1, 2, 3, 4)


def reach(curve: list[list[float]], target: float) -> int | None:
    """The fewest epochs at which the mean reaches the target, and is still there at the next number measured."""
    means = [[epochs, mean] for epochs, mean, *_ in curve]
    for (epochs, mean), (_, following) in itertools.pairwise(means):
        if mean >= target and following >= target:
            return int(epochs)
    return None


def main(arguments: list[str] | None = None) -> None:
    """Measure the sides that were asked for and put their curves into the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune_bpr", description=__doc__.partition("\n")[0])
    parser.add_argument("sides", nargs="*", metavar="SIDE")
    chosen = parser.parse_args(arguments).sides or list(GRIDS)
    target = bpr.read_settings()["target"]
    path = report.RESULTS / "bpr_tuning.json"
    curves = json.loads(path.read_text()) if path.exists() else {}
    split = bpr.split()
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        bpr.write_inputs(inputs, split)
        for name in chosen:
            curves[name] = []
            # One thread: how good a model is does not hang on it, and the curves need not be timed.
            with bpr.start(name, threads=1) as side:
                side.ask("load", path=str(inputs))
                for values in itertools.product(*GRIDS[name].values()):
                    settings = dict(zip(GRIDS[name], values, strict=True))
                    curve = []
                    for epochs in EPOCHS:
                        quality = [
                            bpr.quality(side, name, settings, epochs, seed, split, part="train", folder=Path(folder))
                            for seed in SEEDS
                        ]
                        ndcg = [value for _, value in quality]
                        curve.append([epochs, round(statistics.mean(ndcg), 5), round(statistics.stdev(ndcg), 5)])
                    curves[name].append({"settings": settings, "epochs, mean ndcg@10, sd": curve})
                    print(name, settings, f"reaches {target:g} after {reach(curve, target)} epochs", curve, flush=True)
            path.write_text(json.dumps(curves, indent=1) + "\n")


if __name__ == "__main__":
    main()
