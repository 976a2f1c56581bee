"""Robust fine-tuning of a text classifier beside plain fine-tuning, and that beside the Trainer of Hugging Face."""

from __future__ import annotations

import os
import statistics

from benchmarks import report
from benchmarks.sides import interleave, ours
from benchmarks.tables import Verdict, at_most, markdown, ratio, seconds

LAYERS, BATCH, TEXTS = 2, 16, 800
WIDTH, LONG = 20, 96
"""Tokens of a text in lesson 15, and in its profile `full`, at which the Trainer stands beside."""
LIMITS = {"fgm": 2.05, "freelb": 3.0, "pgd": 3.6}
TRAINER_LIMIT = 0.55


def run(*, quick: bool, say=print) -> tuple[str, list[Verdict]]:
    """Measure, print and keep."""
    rounds, count = (2, 3) if quick else (9, 9)
    load = os.getloadavg()[0]
    rows, verdicts, figures = [], [], {}
    for track in ("pytorch", "tensorflow"):
        with ours(track, "ours_texts.py", threads=1, environment={"ADVREC_TRACK": track}) as side:
            side.ask("load", layers=LAYERS, widths=[WIDTH, LONG], count=TEXTS)
            say(f"texts: steps in {track}")
            calls = {
                name: (lambda s=side, n=name: s.ask("steps", method=n, width=WIDTH, batch=BATCH, count=count))
                for name in ("plain", *LIMITS)
            }
            interleave(calls, rounds=1)  # graphs and caches are made here
            samples = interleave(calls, rounds=rounds)
            figures[track] = samples
            row = [track]
            for name, times in samples.items():
                share = ratio(times, samples["plain"]).value
                row.append(seconds(statistics.median(times)) + ("" if name == "plain" else f" ({share:.2f}x)"))
                if name in LIMITS:
                    verdicts.append(at_most(f"{track}: a step of {name} over a plain one", share, LIMITS[name]))
            rows.append(row)
            if track == "pytorch":
                say("texts: the Trainer")
                calls = {
                    "ours": lambda s=side: s.ask("steps", method="plain", width=LONG, batch=BATCH, count=count),
                    "Trainer": lambda s=side: s.ask("trainer", width=LONG, batch=BATCH, count=count),
                }
                interleave(calls, rounds=1)
                peer = interleave(calls, rounds=rounds)
                figures["Trainer"] = peer
                share = ratio(peer["ours"], peer["Trainer"]).value
                long = [[*(seconds(statistics.median(peer[name])) for name in peer), f"{share:.2f}x"]]
                verdicts.append(
                    at_most("PyTorch: a plain step over one of the Trainer", share, TRAINER_LIMIT, against="Trainer")
                )
    text = report.write(
        "texts",
        title=f"Fine-tuning {LAYERS} layers of MiniLM on reviews, batches of {BATCH}, one thread",
        tables=[
            (f"Seconds of a step, at most {WIDTH} tokens", markdown(["track", "plain", *LIMITS], rows)),
            (
                f"Seconds of a plain step in PyTorch, at most {LONG} tokens; the Trainer pads to {LONG}, in float32",
                markdown(["ours", "Trainer", "ours over Trainer"], long),
            ),
        ],
        verdicts=verdicts,
        versions={},
        settings={"rounds": rounds, "steps": count, "layers": LAYERS, "batch": BATCH, "widths": [WIDTH, LONG]},
        figures=figures,
        quick=quick,
        load_before=load,
    )
    return text, verdicts
