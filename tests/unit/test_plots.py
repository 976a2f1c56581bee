"""One style and one palette: what every figure of the course relies on."""

import itertools

import matplotlib
import numpy as np
import polars as pl
import pytest

from advrec_teach import plots

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def _lab(colour):
    """Return CIELAB coordinates (D65) of an sRGB colour with entries from 0 to 1."""
    rgb = np.asarray(colour, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x = matrix @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Viénot, Brettel and Mollon, "Digital video colourmaps for checking the legibility of displays by
# dichromats", Color Research & Application 24, 1999: linear RGB as seen without one kind of cone.
_DICHROMAT = {
    "protanopia": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deuteranopia": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


def _seen(colour, kind):
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    if kind is None:
        return rgb
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(_DICHROMAT[kind]) @ linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("kind", [None, "protanopia", "deuteranopia"])
@pytest.mark.parametrize(
    "roles",
    [*itertools.combinations(["clean", "random", "attacked", "defended"], 2), ("real", "fake")],
)
def test_roles_that_share_a_figure_differ_for_every_eye(roles, kind):
    first, second = (_lab(_seen(plots.ROLES[role]["color"], kind)) for role in roles)
    # A difference of 2.3 is just noticeable; the lines also differ in style and marker.
    assert np.linalg.norm(first - second) > 10


def test_roles_that_share_a_figure_differ_in_print():
    four = [plots.ROLES[role] for role in ("clean", "random", "attacked", "defended")]
    assert len({role["linestyle"] for role in four}) == 4
    assert len({role["marker"] for role in four}) == 4


def test_a_figure_states_its_finding():
    figure, axes = plots.figure("A few films hold most ratings")
    assert figure.get_suptitle() == "A few films hold most ratings"
    assert not axes.spines["top"].get_visible() and not axes.spines["right"].get_visible()


def test_panels_and_their_size():
    figure, axes = plots.figure("Two", columns=2, sharey=True)
    assert axes.shape == (2,) and tuple(figure.get_size_inches()) == (8.4, 3.6)
    assert axes[0].get_shared_y_axes().joined(axes[0], axes[1])
    assert plots.figure("Rows", rows=2, columns=4)[0].get_size_inches() == pytest.approx((12.0, 7.2))
    assert plots.figure("Own", size=(5, 2))[0].get_size_inches() == pytest.approx((5, 2))


def test_the_title_fits_above_the_panels():
    figure, axes = plots.figure("A title that stands above its panels and covers none", columns=2)
    figure.canvas.draw()
    title = figure._suptitle.get_window_extent()
    assert title.x1 <= figure.bbox.x1
    assert all(title.y0 >= panel.get_window_extent().y1 for panel in axes)


def test_a_line_has_the_look_of_its_role_and_may_be_changed():
    _, axes = plots.figure("t")
    plots.line(axes, [1, 2], [3, 4], "attacked", "FGM", marker="")
    (drawn,) = axes.get_lines()
    assert drawn.get_color() == plots.ATTACKED and drawn.get_linestyle() == "--"
    assert drawn.get_marker() == "" and drawn.get_label() == "FGM"
    with pytest.raises(KeyError, match="attacker"):
        plots.line(axes, [1], [1], "attacker", "x")


def test_labels_and_legend():
    _, axes = plots.figure("t")
    plots.line(axes, [1, 2], [3, 4], "clean", "clean")
    plots.label(axes, x="epsilon", y="NDCG@20")
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left")) == ("epsilon", "NDCG@20", "")
    assert axes.get_legend() is None
    plots.label(axes, x="epsilon", y="NDCG@20", title="BPR", legend=True)
    assert axes.get_title("left") == "BPR" and axes.get_legend() is not None


def test_a_table_rounds_floats_and_nothing_else():
    rows = ({"model": name, "n": 12345, "ndcg": value} for name, value in [("a", 0.12345), ("b", np.float32(0.5))])
    frame = plots.table(rows, digits=2)
    assert frame.equals(pl.DataFrame({"model": ["a", "b"], "n": [12345, 12345], "ndcg": [0.12, 0.5]}))
    assert plots.table([]).is_empty()
