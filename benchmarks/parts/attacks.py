"""FGSM and PGD on the same three-layer network, beside torchattacks, foolbox, ART and cleverhans."""

from __future__ import annotations

import itertools
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

WIDTHS = (784, 512, 512, 10)
SIZES = (32, 256, 2048)
EPS, STEP, STEPS = 0.1, 0.01, 20
VARIANTS = {
    "pytorch": ("eager", "compiled", "bf16", "bf16 compiled"),
    "tensorflow": ("graph", "eager", "XLA", "bf16 graph", "bf16 XLA"),
}
"""Ways to call our attacks; the first is what peers are compared with."""
LIBRARIES = {
    "pytorch": ("torchattacks", "foolbox", "art", "cleverhans"),
    "tensorflow": ("foolbox", "art", "cleverhans"),
}
FLOP_PER_EXAMPLE = 4 * sum(a * b for a, b in itertools.pairwise(WIDTHS))
"""Forward, and backward to the input: two products of 2ab operations for each layer."""


def write_inputs(path: Path, seed: int = 0) -> None:
    """Write weights (He initialisation), inputs and labels.

    The inputs lie in [0.3, 0.7], so that with eps = 0.1 no side's clipping to [0, 1] ever acts and all sides have to
    arrive at the same numbers.
    """
    rng = np.random.default_rng(seed)
    arrays = {}
    for number, (a, b) in enumerate(itertools.pairwise(WIDTHS), start=1):
        arrays[f"w{number}"] = (rng.standard_normal((a, b)) * np.sqrt(2 / a)).astype(np.float32)
        arrays[f"b{number}"] = (rng.standard_normal(b) * 0.1).astype(np.float32)
    arrays["x"] = rng.uniform(0.3, 0.7, (max(SIZES), WIDTHS[0])).astype(np.float32)
    arrays["y"] = rng.integers(0, WIDTHS[-1], max(SIZES))
    np.savez(path, **arrays)


def same_share(a: np.ndarray, b: np.ndarray, *, eps: float = EPS) -> float:
    """The share of entries in which two attacked batches agree to a thousandth of eps."""
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {a.shape} and {b.shape}")
    return float(np.mean(np.abs(a - b) <= 1e-3 * eps))


def same_sign(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> float:
    """The share of entries that two attacks move in the same direction."""
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {a.shape} and {b.shape}")
    return float(np.mean(np.sign(a - x) == np.sign(b - x)))


def run(*, quick: bool, say=print) -> tuple[str, list[Verdict]]:
    """Measure, print and keep."""
    rounds, sample = (2, 0.05) if quick else (9, 0.3)
    threads = os.cpu_count() or 1
    load = os.getloadavg()[0]
    known = peers_module.read()
    names = sorted({name for libraries in LIBRARIES.values() for name in libraries})
    for name in names:
        peers_module.ensure(known[name], say=say)
    tables, verdicts, figures = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        write_inputs(inputs)
        with np.load(inputs) as stored:
            x = stored["x"]
        for track, libraries in LIBRARIES.items():
            found = _track(track, libraries, known, inputs, x, rounds, sample, threads, say)
            tables += found[0]
            verdicts += found[1]
            figures[track] = found[2]
    text = report.write(
        "attacks",
        title="Attacks: FGSM and PGD",
        tables=tables,
        verdicts=verdicts,
        versions={name: peers_module.versions(known[name]) for name in names},
        settings={
            "widths": WIDTHS,
            "eps": EPS,
            "step": STEP,
            "steps": STEPS,
            "threads": threads,
            "rounds": rounds,
            "seconds_per_sample": sample,
        },
        figures=figures,
        quick=quick,
        load_before=load,
    )
    return text, verdicts


def _track(track, libraries, known, inputs, x, rounds, sample, threads, say):
    rows, variant_rows, verdicts, figures = [], [], [], {}
    variants = VARIANTS[track]
    base = variants[0]
    with ExitStack() as stack:
        us = stack.enter_context(ours("ours", f"ours_attacks_{track}.py", threads=threads))
        others = {
            name: stack.enter_context(Side(name, known[name].python, f"attacks_{track}.py", threads=threads))
            for name in libraries
        }
        for side in (us, *others.values()):
            side.ask("load", path=str(inputs))
        peak = 2 * 2048**3 / min(us.ask("matmul", size=2048, dtype="float32", seconds=0.5) for _ in range(5)) / 1e9
        figures["matrix product, GFLOP/s"] = peak
        for attack in ("fgsm", "pgd"):
            steps = STEPS if attack == "pgd" else 1
            for batch in SIZES:
                say(f"{track}: {attack}, B = {batch}")
                common = {"attack": attack, "batch": batch, "eps": EPS, "step": STEP, "steps": STEPS}

                def adversarial(side, label, common=common):
                    out = inputs.parent / "out.npy"
                    side.ask("attack", library=label, seconds=0.0, out=str(out), **common)
                    return np.load(out)

                reference = adversarial(us, base)
                agree = {name: same_share(adversarial(side, name), reference) for name, side in others.items()}
                for name, share in agree.items():
                    # Signs of gradients that are zero up to rounding differ between orders of summation.
                    if share < 0.99:
                        raise ValueError(f"{track}, {attack}, B = {batch}: {name} agrees on {share:.1%} only")
                calls = {
                    name: partial(side.ask, "attack", library=name, seconds=sample, **common)
                    for name, side in others.items()
                }
                calls["ours"] = partial(us.ask, "attack", library=base, seconds=sample, **common)
                samples = interleave(calls, rounds=rounds)
                key = f"{attack} B={batch}"
                figures[key] = {"seconds": samples, "agree": agree}
                verdict = against_fastest(
                    f"{track}: {attack.upper()} at B = {batch} at least as fast as the fastest", samples, "ours", 1.0
                )
                verdicts.append(verdict)
                time = statistics.median(samples["ours"])
                useful = steps * batch * FLOP_PER_EXAMPLE / time / 1e9
                figures[key]["useful GFLOP/s"] = useful
                cells = []
                for name in libraries:
                    times = ratio(samples[name], samples["ours"])
                    cells.append(f"{seconds(statistics.median(samples[name]))} ({times.value:.2f}x)")
                rows.append([attack.upper(), str(batch), seconds(time), *cells, f"{useful:.0f} ({useful / peak:.0%})"])
                shares = {v: same_sign(adversarial(us, v), reference, x[:batch]) for v in variants}
                calls = {v: partial(us.ask, "attack", library=v, seconds=sample, **common) for v in variants}
                samples = interleave(calls, rounds=rounds, pause=0.02)
                figures[key]["variants"] = {"seconds": samples, "equal signs": shares}
                cells = []
                for v in variants:
                    gain = ratio(samples[base], samples[v]).value
                    cells.append(f"{seconds(statistics.median(samples[v]))} ({gain:.2f}x, {shares[v]:.1%})")
                variant_rows.append([attack.upper(), str(batch), *cells])
    heading = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}[track]
    tables = [
        (
            f"{heading}: time of a call (times ours)",
            markdown(["attack", "B", "ours", *libraries, f"useful GFLOP/s (of {peak:.0f} in a matrix product)"], rows),
        ),
        (
            f"{heading}: our variants, time of a call (times as fast as {base}, equal signs)",
            markdown(["attack", "B", *variants], variant_rows),
        ),
    ]
    return tables, verdicts, figures
