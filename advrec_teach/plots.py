"""One palette and one style for every figure of the course.

A colour means the same in every lesson. The colours are those of Okabe and Ito
(2008, "Color Universal Design"), which stay apart under the common forms of colour
blindness; line styles and markers repeat the difference for print.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLEAN = "#0072B2"
RANDOM = "#7F7F7F"
ATTACKED = "#D55E00"
DEFENDED = "#009E73"
REAL = "#0072B2"
FAKE = "#E69F00"
EXTRA = "#CC79A7"
# Roles that a series can have; their line style and marker go with them.
ROLES: Mapping[str, dict[str, Any]] = {
    "clean": {"color": CLEAN, "linestyle": "-", "marker": "o"},
    "random": {"color": RANDOM, "linestyle": ":", "marker": "s"},
    "attacked": {"color": ATTACKED, "linestyle": "--", "marker": "^"},
    "defended": {"color": DEFENDED, "linestyle": "-.", "marker": "D"},
    "real": {"color": REAL, "linestyle": "-", "marker": "o"},
    "fake": {"color": FAKE, "linestyle": "--", "marker": "v"},
    "extra": {"color": EXTRA, "linestyle": "-.", "marker": "P"},
}

_STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "figure.dpi": 96,
    "savefig.dpi": 96,
    "font.size": 10,
}


def figure(
    title: str, *, columns: int = 1, rows: int = 1, size: tuple[float, float] | None = None, **subplots: Any
) -> "tuple[Figure, Any]":
    """Return a figure and its axes in the course's style.

    Parameters
    ----------
    title
        The finding, as a sentence without a full stop.
    columns, rows
        Panels.
    size
        Width and height in inches; by default fitted to the panels.
    **subplots
        Passed to ``matplotlib.pyplot.subplots``, such as ``sharey=True``.
    """
    import matplotlib.pyplot as plt

    plt.rcParams.update(_STYLE)
    made, axes = plt.subplots(
        rows,
        columns,
        figsize=size or (min(6.4 if columns == 1 else 4.2 * columns, 12.0), 3.6 * rows),
        layout="constrained",
        **subplots,
    )
    made.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return made, axes


def line(axes: "Axes", x: Sequence[float], y: Sequence[float], role: str, label: str, **settings: Any) -> None:
    """Draw one series in the colour, line style and marker of its role.

    Raises
    ------
    KeyError
        If ``role`` is not one of :data:`ROLES`.
    """
    axes.plot(x, y, label=label, **{**ROLES[role], **settings})


def label(axes: "Axes", *, x: str, y: str, title: str | None = None, legend: bool = False) -> None:
    """Label the axes (with units) and, where more than one thing is drawn, add the legend."""
    axes.set(xlabel=x, ylabel=y)
    if title:
        axes.set_title(title)
    if legend:
        axes.legend(frameon=False)


def table(rows: Iterable[Mapping[str, Any]], *, digits: int = 3) -> Any:
    """Return rows as a data frame that a notebook shows, floats rounded to ``digits`` decimals."""
    import polars as pl
    import polars.selectors as cs

    frame = pl.DataFrame([dict(row) for row in rows])
    return frame.with_columns(cs.float().round(digits))
