"""From samples to ratios, verdicts and tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times as long a peer takes as we do.

    ``value`` is the median over the rounds of (seconds of the peer / our seconds in the same round): what slows the
    whole machine for a while slows both sides of a round. ``low`` and ``high`` are the quartiles.
    """

    value: float
    low: float
    high: float


def ratio(peer: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Compare two sides round by round."""
    if len(peer) != len(ours) or not ours:
        raise ValueError(f"{len(peer)} samples of the peer against {len(ours)} of ours; rounds have to be paired")
    if min(*peer, *ours) <= 0:
        raise ValueError("a sample is not a positive number of seconds")
    each = sorted(a / b for a, b in zip(peer, ours, strict=True))
    if len(each) == 1:
        return Ratio(each[0], each[0], each[0])
    low, middle, high = statistics.quantiles(each, n=4, method="inclusive")
    return Ratio(middle, low, high)


@dataclass(frozen=True)
class Verdict:
    """Whether a target holds, and against whom."""

    target: str
    wanted: float
    against: str
    measured: float
    holds: bool


def against_fastest(target: str, samples: Mapping[str, Sequence[float]], ours: str, wanted: float) -> Verdict:
    """Compare with the peer that takes the least time: at least ``wanted`` times its seconds over ours."""
    peers = {name: ratio(times, samples[ours]).value for name, times in samples.items() if name != ours}
    if not peers:
        raise ValueError(f"no peer was measured for: {target}")
    fastest = min(peers, key=lambda name: peers[name])
    return Verdict(target, wanted, fastest, peers[fastest], peers[fastest] >= wanted)


def at_most(target: str, measured: float, limit: float, *, against: str = "") -> Verdict:
    """Judge a figure that has to stay at or below a limit."""
    return Verdict(target, limit, against, measured, measured <= limit)


def seconds(value: float) -> str:
    """Print a duration with three digits in the unit that suits it."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table; a cell may not break it."""
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells under {len(header)} headings: {row}")
    clean = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    widths = [max(3, len(header[i]), *(len(row[i]) for row in clean)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, clean)])


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """List the targets and whether they hold."""
    rows = [
        [v.target, f"{v.wanted:g}", f"{v.measured:.3g}", v.against or "-", "holds" if v.holds else "MISSED"]
        for v in verdicts
    ]
    return markdown(["target", "wanted", "measured", "against", "verdict"], rows)


def as_json(verdicts: Sequence[Verdict]) -> list[dict]:
    """Turn verdicts into what a results file keeps."""
    return [asdict(v) for v in verdicts]
