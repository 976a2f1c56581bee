"""Adversarial training beside plain training, and a whole robustness curve, in both tracks."""

from __future__ import annotations

import os
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import report
from benchmarks.parts import bpr
from benchmarks.sides import interleave
from benchmarks.tables import Verdict, against_fastest, at_most, markdown, ratio, seconds

EPSILONS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0)
STEPS = 20
EPOCHS = 9
ELLIOT = 7.0
"""Seconds of an epoch of Elliot's AMF (d = 64, TensorFlow 2.3.2) on a machine of this kind, measured once: it needs a
Python that the peers' environments no longer have."""


def run(*, quick: bool, say=print) -> tuple[str, list[Verdict]]:
    """Measure, print and keep."""
    rounds = 2 if quick else 9
    load = os.getloadavg()[0]
    rows, curves, verdicts, figures = [], [], [], {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        inputs = Path(folder) / "inputs.npz"
        bpr.write_inputs(inputs, bpr.split())
        sides = {track: stack.enter_context(bpr.start(name)) for name, track in bpr.OURS.items()}
        for track, side in sides.items():
            side.ask("load", path=str(inputs))
            say(f"adversarial: epochs in {track}")
            calls = {
                kind: (lambda s=side, k=kind: s.ask("epoch", kind=k, dim=bpr.DIM, epochs=EPOCHS))
                for kind in ("bpr", "adversarial")
            }
            samples = interleave(calls, rounds=rounds)
            plain, hard = (statistics.median(samples[kind]) for kind in ("bpr", "adversarial"))
            times = ratio(samples["adversarial"], samples["bpr"]).value
            rows.append([track, seconds(plain), seconds(hard), f"{times:.2f}x", f"{ELLIOT / hard:.0f}x"])
            verdicts.append(at_most(f"{track}: an epoch of adversarial training over a plain one", times, 2.2))
            verdicts.append(
                against_fastest(
                    f"{track}: an epoch at least 40 times as fast as Elliot's AMF",
                    {"Elliot (7.0 s, another day)": [ELLIOT] * rounds, "ours": samples["adversarial"]},
                    "ours",
                    40.0,
                )
            )
            say(f"adversarial: robustness curves in {track}")
            answers = [side.ask("curve", dim=bpr.DIM, epsilons=EPSILONS, steps=STEPS) for _ in range(2 if quick else 4)]
            first, again = answers[0][0], statistics.median(answer[0] for answer in answers[1:])
            curves.append([track, seconds(first), seconds(again)])
            verdicts.append(at_most(f"{track}: seconds of a robustness curve, the first", first, 20.0))
            figures[track] = {"epoch": samples, "curve": [a[0] for a in answers], "values": answers[0][1]}
    sizes = f"{len(EPSILONS)} lengths x 4 attacks, PGD with {STEPS} steps, 943 users x 1,682 items"
    text = report.write(
        "adversarial",
        title="Adversarial training and robustness curves, d = 64, MovieLens-100K",
        tables=[
            (
                "Seconds of an epoch, batch 1,024",
                markdown(
                    ["track", "BPR", "adversarial", "adversarial over BPR", "Elliot's AMF (7.0 s) over ours"], rows
                ),
            ),
            (f"A robustness curve: {sizes}", markdown(["track", "the first", "again"], curves)),
        ],
        verdicts=verdicts,
        versions={},
        settings={"rounds": rounds, "epochs": EPOCHS, "epsilons": EPSILONS, "steps": STEPS},
        figures=figures,
        quick=quick,
        load_before=load,
    )
    return text, verdicts
