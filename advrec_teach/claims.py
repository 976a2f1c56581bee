"""What a lesson found, stated by code: directions and figures with measured bands.

A claim shows the same text on every machine as long as it holds; the value
measured now travels in the output's metadata. Bands are measured over seeds by
``advrec bands`` and never typed by hand.
"""

import html
import json
import math
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from advrec_teach import paths, session
from advrec_teach.errors import CourseError

METADATA_KEY = "advrec"
CONFIDENCE = 0.99
MINIMUM_SEEDS = 5

# One colour a state, readable on light and dark themes.
_COLOURS = {"holds": "#0072B2", "fails": "#D55E00", "open": "#7F7F7F"}
_MARKS = {"holds": "✓", "fails": "✗", "open": "·"}


class ClaimFailed(CourseError):
    """A claim did not hold, and ``ADVREC_STRICT=1`` asked for an error."""


def claim(name: str, value: Any) -> None:
    """State a finding of the lesson and judge it.

    Parameters
    ----------
    name
        The statement, for a direction; the name of the quantity with its unit, for a figure.
    value
        A truth value states a direction. A number (Python, NumPy or a scalar tensor)
        is a figure, judged against its band in ``lessons/bands/``.

    Raises
    ------
    ClaimFailed
        Under ``ADVREC_STRICT=1``, if the claim does not hold or a figure of the
        profile ``quick`` has no band.
    TypeError
        If ``value`` is neither a truth value nor a number.
    """
    kind, measured = _classify(value)
    running = session.current()
    profile = running.profile if running else "quick"
    band = _band(name) if kind == "figure" else None
    recording = os.environ.get("ADVREC_CLAIMS") == "record"

    state, text, holds = _judge(name, kind, measured, band, profile)
    if recording:
        state, text = "open", f"{name}: recorded"
    elif profile == "smoke":
        state, text = "open", f"{name}: shown, not judged in the profile smoke"

    _show(state, text, {"name": name, "kind": kind, "value": _stored(measured), "holds": holds})
    strict = os.environ.get("ADVREC_STRICT") == "1" and not recording and profile != "smoke"
    if strict and (state == "fails" or (state == "open" and profile == "quick")):
        raise ClaimFailed(text)


def example(name: str, value: Any, *, seeds: Sequence[float] | None = None) -> None:
    """Show what a claim looks like, without making one.

    The text is that of :func:`claim`, marked as an example. It looks the same in every
    profile, never raises for its value, and :func:`read` does not count it.

    Parameters
    ----------
    name, value
        As for :func:`claim`.
    seeds
        For a figure: the values that its band is made from, see :func:`make_band`.

    Raises
    ------
    CourseError
        If ``seeds`` makes no band.
    TypeError
        If ``value`` is neither a truth value nor a number.
    """
    kind, measured = _classify(value)
    band = make_band(seeds) if seeds is not None else None
    state, text, holds = _judge(name, kind, measured, band, "quick")
    record = {"name": name, "kind": "example", "value": _stored(measured), "holds": holds}
    _show(state, f"{text} (an example, not a finding)", record)


def read(notebook: Any) -> list[dict[str, Any]]:
    """Return the claims of an executed notebook, in order.

    Parameters
    ----------
    notebook
        A notebook node (``nbformat``), executed.

    Returns
    -------
    list of dict
        ``name``, ``kind`` (``"direction"`` or ``"figure"``), ``value`` (bool, float or
        None where it was not finite) and ``holds`` (bool, or None without a band).
    """
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            record = output.get("metadata", {}).get(METADATA_KEY, {})
            if record.get("kind") in ("direction", "figure"):
                found.append(dict(record))
    return found


def make_band(values: Sequence[float]) -> dict[str, float | int]:
    """Return the band that a figure's next seed falls in with 99 % confidence.

    The band is the prediction interval of one more draw, mean +- k s with
    k = t(0.995, n - 1) sqrt(1 + 1/n), for n values of a normal variable with sample
    standard deviation s (Hahn, "Factors for calculating two-sided prediction intervals
    for samples from a normal distribution", Journal of the American Statistical
    Association 64, 1969), rounded
    outwards to three significant digits of the larger end.

    Parameters
    ----------
    values
        One finite value a seed, at least five.

    Raises
    ------
    CourseError
        If there are fewer than five values or one is not finite.
    """
    from scipy.stats import t

    numbers = [float(value) for value in values]
    n = len(numbers)
    if n < MINIMUM_SEEDS:
        raise CourseError(f"A band needs at least {MINIMUM_SEEDS} seeds; {n} given.")
    if not all(math.isfinite(number) for number in numbers):
        raise CourseError("A band needs finite values; a seed gave nan or infinity.")
    mean = math.fsum(numbers) / n
    sd = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (n - 1))
    k = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * math.sqrt(1 + 1 / n)
    low, high = mean - k * sd, mean + k * sd
    digits = _decimals(max(abs(low), abs(high)))
    scale = 10.0**digits
    # The small offset keeps a value that already is a multiple from being pushed a step further by rounding.
    low = math.floor(low * scale + 1e-9) / scale
    high = math.ceil(high * scale - 1e-9) / scale
    return {"mean": mean, "sd": sd, "seeds": n, "k": k, "low": low, "high": high, "digits": max(digits, 0)}


def bands_file(lesson: str) -> Path:
    """Return the path of a lesson's bands, ``NN.json``."""
    return paths.bands_dir() / f"{lesson}.json"


def _classify(value: Any) -> tuple[str, Any]:
    """Return ("direction", bool) or ("figure", float) for Python, NumPy and tensor scalars."""
    if isinstance(value, bool):
        return "direction", value
    refusal = f"A claim takes a truth value or one number, not {type(value).__name__}"
    if isinstance(value, str | bytes):  # float() would read digits out of it
        raise TypeError(f"{refusal}.")
    try:
        if "bool" in str(getattr(value, "dtype", "")):
            return "direction", bool(value)
        return "figure", float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        shape = tuple(getattr(value, "shape", ()))
        raise TypeError(f"{refusal} of shape {shape}." if shape else f"{refusal}.") from error


def _judge(
    name: str, kind: str, measured: Any, band: dict[str, Any] | None, profile: str
) -> tuple[str, str, bool | None]:
    """Return the state ("holds", "fails" or "open"), the text to show, and whether the claim holds."""
    if kind == "direction":
        holds = bool(measured)
        return ("holds", name, True) if holds else ("fails", f"{name}: this did not hold in this run", False)
    if not math.isfinite(measured):
        return "fails", f"{name}: {measured} is not a finite number", False
    if band is None:
        return "open", f"{name}: {measured:.4g}; no band is measured for the profile {profile}", None
    # An end of a band is a rounded decimal; a value that equals it up to float64 rounding is inside.
    slack = 1e-9 * max(abs(band["low"]), abs(band["high"]))
    if band["low"] - slack <= measured <= band["high"] + slack:
        return "holds", f"{name}: inside its band {_interval(band)}", True
    return "fails", f"{name}: {measured:.4g} is outside its band {_interval(band)}", False


def _stored(measured: Any) -> Any:
    """Return the value as JSON can hold it: None where it is not finite."""
    return measured if isinstance(measured, bool) or math.isfinite(measured) else None


@lru_cache(maxsize=8)
def _bands(path: Path, _stamp: float) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _band(name: str) -> dict[str, Any] | None:
    """Return the committed band of this figure for the running lesson, track and profile."""
    running = session.current()
    if running is None or running.lesson is None:
        return None
    path = bands_file(running.lesson)
    if not path.is_file():
        return None
    bands = _bands(path, path.stat().st_mtime)
    return bands.get(running.track, {}).get(running.profile, {}).get(name)


def _decimals(magnitude: float) -> int:
    """Return the decimals that show three significant digits of ``magnitude``."""
    return 3 if magnitude == 0 else 2 - math.floor(math.log10(magnitude))


def _interval(band: dict[str, Any]) -> str:
    digits = int(band["digits"])
    return f"{band['low']:.{digits}f} to {band['high']:.{digits}f}, {band['seeds']} seeds"


def _show(state: str, text: str, record: dict[str, Any]) -> None:
    from IPython.display import display

    mark = _MARKS[state]
    rich = (
        f'<div style="border-left:4px solid {_COLOURS[state]};padding:2px 8px">'
        f'<b style="color:{_COLOURS[state]}">{mark}</b> {html.escape(text)}</div>'
    )
    bundle = {"text/plain": f"{mark} {text}", "text/html": rich}
    display(bundle, raw=True, metadata={METADATA_KEY: record})


def held(records: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Return how many of these claims held, and how many there are."""
    records = list(records)
    return sum(record["holds"] is True for record in records), len(records)
