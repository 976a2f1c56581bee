"""``python -m benchmarks [PART ...] [--quick]``: measure beside the peers, print the tables, keep them."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

PARTS = ("attacks", "bpr", "adversarial", "texts", "evaluation", "words", "overheads")


def main(arguments: list[str] | None = None) -> int:
    """Run the parts that were asked for; the exit status says whether every target held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all if left out")
    parser.add_argument(
        "--quick", action="store_true", help="a few samples, to see that everything runs; keeps no results"
    )
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; there are {', '.join(PARTS)}")
    if os.getloadavg()[0] > 0.5:
        print(
            f"The machine is busy (load average {os.getloadavg()[0]:.1f}); these figures are not final.",
            file=sys.stderr,
        )
    missed = []
    for part in options.parts or PARTS:
        module = importlib.import_module(f"benchmarks.parts.{part}")
        text, verdicts = module.run(quick=options.quick, say=lambda line: print(line, file=sys.stderr, flush=True))
        print(text, flush=True)
        missed += [verdict for verdict in verdicts if not verdict.holds]
    for verdict in missed:
        print(
            f"missed: {verdict.target}: {verdict.measured:.3g}, wanted {verdict.wanted:g}"
            + (f" (against {verdict.against})" if verdict.against else ""),
            file=sys.stderr,
        )
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())
