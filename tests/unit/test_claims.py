"""Claims: what is shown, what is judged, and how bands are made."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advrec_teach import claims, paths, session
from advrec_teach.claims import ClaimFailed, claim, example, held, make_band, read
from advrec_teach.errors import CourseError

VALUES = [0.401, 0.398, 0.404, 0.400, 0.399]


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No strictness from outside, a lesson 99 in the profile quick, and its own folder of bands."""
    monkeypatch.delenv("ADVREC_STRICT", raising=False)
    monkeypatch.delenv("ADVREC_CLAIMS", raising=False)
    monkeypatch.setattr(paths, "bands_dir", lambda: tmp_path)
    monkeypatch.setattr(session, "_current", None)
    session.begin("99", "pytorch", "quick", 0)


@pytest.fixture
def shown(monkeypatch):
    """Return what is displayed: a list of (bundle, record)."""
    found = []

    def display(bundle, *, raw, metadata):
        assert raw
        found.append((bundle, metadata["advrec"]))

    monkeypatch.setattr("IPython.display.display", display)
    return found


@pytest.fixture
def band(tmp_path):
    made = make_band(VALUES)
    stored = {"pytorch": {"quick": {"ndcg@20 of BPR": made}}}
    (tmp_path / "99.json").write_text(json.dumps(stored))
    return made


def text(shown, number=-1):
    return shown[number][0]["text/plain"]


@pytest.mark.parametrize("value", [True, np.True_, np.array(True), np.array([1.0]).sum() > 0])
def test_a_direction_that_holds_shows_its_name_alone(shown, value):
    claim("FGM hurts more than noise", value)
    assert text(shown) == "✓ FGM hurts more than noise"
    record = {"name": "FGM hurts more than noise", "kind": "direction", "value": True, "holds": True}
    assert shown[0][1] == record
    assert shown[0][1]["value"] is True  # not NumPy's own, which JSON cannot hold


@pytest.mark.parametrize("value", [False, np.False_])
def test_a_direction_that_fails_says_so(shown, value):
    claim("FGM hurts more than noise", value)
    assert text(shown) == "✗ FGM hurts more than noise: this did not hold in this run"
    assert shown[0][1]["holds"] is False


@pytest.mark.parametrize("value", [0.4, np.float32(0.4), np.float64(0.4), np.array(0.4)])
def test_a_figure_inside_its_band_shows_the_band_and_not_the_value(shown, band, value):
    claim("ndcg@20 of BPR", value)
    low, high = f"{band['low']:.3f}", f"{band['high']:.3f}"
    assert text(shown) == f"✓ ndcg@20 of BPR: inside its band {low} to {high}, 5 seeds"
    assert shown[0][1]["value"] == pytest.approx(0.4) and type(shown[0][1]["value"]) is float
    claim("ndcg@20 of BPR", value + 0.001)
    assert shown[0][0] == shown[1][0]


def test_a_figure_outside_its_band_shows_the_value(shown, band):
    claim("ndcg@20 of BPR", 0.3512345)
    assert text(shown).startswith("✗ ndcg@20 of BPR: 0.3512 is outside its band ")
    assert shown[0][1]["holds"] is False


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_a_band_belong_to_it(shown, band, end):
    claim("ndcg@20 of BPR", band[end])
    claim("ndcg@20 of BPR", band[end] * (1 + 1e-12))
    claim("ndcg@20 of BPR", band[end] * (1 - 1e-12))
    claim("ndcg@20 of BPR", band[end] + (1e-6 if end == "high" else -1e-6))
    assert [record["holds"] for _, record in shown] == [True, True, True, False]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_fails_and_stays_valid_json(shown, band, value):
    claim("ndcg@20 of BPR", value)
    assert "is not a finite number" in text(shown)
    assert shown[0][1]["value"] is None and shown[0][1]["holds"] is False
    json.dumps(shown[0][1], allow_nan=False)


def test_a_figure_without_a_band_is_open(shown):
    claim("unheard of", 12.3456789)
    assert text(shown) == "· unheard of: 12.35; no band is measured for the profile quick"
    assert shown[0][1]["holds"] is None


def test_a_band_belongs_to_its_track_and_profile(shown, band):
    session.begin("99", "tensorflow", "quick", 0)
    claim("ndcg@20 of BPR", 0.4)
    session.begin("99", "pytorch", "full", 0)
    claim("ndcg@20 of BPR", 0.4)
    session.begin("98", "pytorch", "quick", 0)
    claim("ndcg@20 of BPR", 0.4)
    assert [record["holds"] for _, record in shown] == [None, None, None]


def test_a_band_that_was_measured_anew_is_used(shown, band, tmp_path):
    claim("ndcg@20 of BPR", 0.4)
    path = tmp_path / "99.json"
    path.write_text(path.read_text().replace('"high": ', '"high": -'))
    os.utime(path, (1, 1))
    claim("ndcg@20 of BPR", 0.4)
    assert [record["holds"] for _, record in shown] == [True, False]


def test_smoke_shows_and_does_not_judge(shown, band, monkeypatch):
    monkeypatch.setenv("ADVREC_STRICT", "1")
    session.begin("99", "pytorch", "smoke", 0)
    claim("ndcg@20 of BPR", 0.1)
    claim("a direction", False)
    assert {text(shown, 0), text(shown, 1)} == {
        "· ndcg@20 of BPR: shown, not judged in the profile smoke",
        "· a direction: shown, not judged in the profile smoke",
    }


def test_recording_never_judges_and_keeps_the_value(shown, monkeypatch):
    monkeypatch.setenv("ADVREC_STRICT", "1")
    monkeypatch.setenv("ADVREC_CLAIMS", "record")
    claim("ndcg@20 of BPR", 0.1)
    claim("a direction", False)
    assert [record["value"] for _, record in shown] == [0.1, False]
    assert text(shown, 0) == "· ndcg@20 of BPR: recorded"


@pytest.mark.parametrize(
    ("name", "value"), [("d", False), ("ndcg@20 of BPR", 0.1), ("no band", 0.4), ("ndcg@20 of BPR", math.nan)]
)
def test_strict_raises_after_showing(shown, band, monkeypatch, name, value):
    monkeypatch.setenv("ADVREC_STRICT", "1")
    with pytest.raises(ClaimFailed, match=name):
        claim(name, value)
    assert len(shown) == 1 and shown[0][1]["holds"] is not True


def test_strict_lets_what_holds_pass(shown, band, monkeypatch):
    monkeypatch.setenv("ADVREC_STRICT", "1")
    claim("d", True)
    claim("ndcg@20 of BPR", 0.4)
    # A lone figure of the profile full may be without a band: it takes a GPU to measure one.
    session.begin("99", "pytorch", "full", 0)
    claim("ndcg@20 of BPR", 0.4)


def test_without_a_lesson_a_claim_is_shown(shown, monkeypatch):
    monkeypatch.setattr(session, "_current", None)
    claim("d", True)
    claim("f", 1.0)
    assert [record["holds"] for _, record in shown] == [True, None]


@pytest.mark.parametrize(
    "value",
    ["0.5", b"1", None, [1.0], {}, 1j, np.array([1.0, 2.0]), np.array([True, False]), np.array(["a"])],
)
def test_anything_else_is_refused(shown, value):
    for show in (claim, example):
        with pytest.raises(TypeError, match="takes a truth value or one number, not"):
            show("x", value)
    assert not shown


def test_names_are_escaped_in_html(shown):
    claim("a < b & c", True)
    assert "a &lt; b &amp; c" in shown[0][0]["text/html"] and "a < b" in shown[0][0]["text/plain"]


@pytest.mark.parametrize("strict", ["0", "1"])
@pytest.mark.parametrize("profile", session.PROFILES)
def test_an_example_looks_like_a_claim_and_is_none(shown, monkeypatch, strict, profile):
    monkeypatch.setenv("ADVREC_STRICT", strict)
    session.begin("99", "pytorch", profile, 0)
    example("d", True)
    example("d", False)
    example("f", 0.4, seeds=VALUES)
    example("f", 0.5, seeds=VALUES)
    example("f", 0.5)
    example("f", math.nan, seeds=VALUES)
    marked = " (an example, not a finding)"
    assert [bundle["text/plain"] for bundle, _ in shown] == [
        "✓ d" + marked,
        "✗ d: this did not hold in this run" + marked,
        "✓ f: inside its band 0.388 to 0.413, 5 seeds" + marked,
        "✗ f: 0.5 is outside its band 0.388 to 0.413, 5 seeds" + marked,
        "· f: 0.5; no band is measured for the profile quick" + marked,
        "✗ f: nan is not a finite number" + marked,
    ]
    assert {record["kind"] for _, record in shown} == {"example"}
    json.dumps([record for _, record in shown], allow_nan=False)


def test_an_example_with_too_few_seeds_is_one_clear_line(shown):
    with pytest.raises(CourseError, match="at least 5 seeds; 2 given"):
        example("f", 0.4, seeds=VALUES[:2])


def _cell(*records, kind="display_data"):
    return {"outputs": [{"output_type": kind, "metadata": {"advrec": record}} for record in records]}


def test_claims_are_read_back_in_order(shown, band):
    claim("d", False)
    example("e", False)
    claim("ndcg@20 of BPR", 0.4)
    records = [record for _, record in shown]
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": "text"},
            _cell(records[0], records[1]),
            {"outputs": [{"output_type": "stream", "text": "hello"}]},
            _cell({"exercise": "08.1"}),
            _cell(records[2]),
        ]
    }
    found = read(notebook)
    assert [record["name"] for record in found] == ["d", "ndcg@20 of BPR"]
    assert found[1] == records[2] and found[1] is not records[2]
    assert held(found) == (1, 2)
    assert held([]) == (0, 0)
    assert held([{"holds": None}, {"holds": True}]) == (1, 2)


def test_a_band_of_five_seeds_by_hand():
    # mean .4004, s = .0023022, t(.995, 4) = 4.60409, k = 4.60409 sqrt(6/5) = 5.04353: .3888 to .4120.
    made = make_band(VALUES)
    assert made["mean"] == pytest.approx(0.4004, abs=1e-12)
    assert made["sd"] == pytest.approx(math.sqrt(2.12e-5 / 4), rel=1e-9)
    assert made["k"] == pytest.approx(5.04353, abs=1e-5)
    assert (made["low"], made["high"], made["seeds"], made["digits"]) == (0.388, 0.413, 5, 3)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([0.5] * 5, 0.5, 0.5),
        ([0.1 + 0.2] * 5, 0.3, 0.3),
        ([0.7999999999999999] * 5, 0.8, 0.8),
        ([0.43215] * 5, 0.432, 0.433),
        ([-0.43215] * 5, -0.433, -0.432),
        ([1234.0] * 5, 1230, 1240),
        ([0.0] * 5, 0, 0),
    ],
)
def test_bands_are_rounded_outwards_to_three_digits(values, low, high):
    made = make_band(values)
    assert (made["low"], made["high"]) == (low, high)


@pytest.mark.parametrize("values", [[], [0.4], VALUES[:4]])
def test_a_band_needs_five_seeds(values):
    with pytest.raises(CourseError, match=f"at least 5 seeds; {len(values)} given"):
        make_band(values)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_band_needs_finite_values(bad):
    with pytest.raises(CourseError, match="nan or infinity"):
        make_band([*VALUES, bad])


@given(st.lists(st.floats(-1e6, 1e6).map(lambda v: 0.0 if abs(v) < 1e-6 else v), min_size=5, max_size=12))
def test_a_band_is_the_exact_interval_rounded_outwards_by_less_than_a_digit(values):
    made = make_band(values)
    exact_low, exact_high = made["mean"] - made["k"] * made["sd"], made["mean"] + made["k"] * made["sd"]
    size = max(abs(exact_low), abs(exact_high))
    assert made["low"] <= exact_low + 1e-9 * size
    assert made["high"] >= exact_high - 1e-9 * size
    # Outwards, and by less than one unit of the third digit.
    assert exact_low - made["low"] <= 0.0101 * size + 1e-3
    assert made["high"] - exact_high <= 0.0101 * size + 1e-3
    assert claims._judge("f", "figure", made["mean"], made, "quick")[2] is True


def test_the_band_covers_the_next_draw_of_a_normal_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = rng.normal(5.0, 2.0, size=(4000, 6))
    inside = 0
    for *seeds, following in draws:
        made = make_band(seeds)
        inside += made["low"] <= following <= made["high"]
    # Binomial(4000, .99): three standard deviations are .0047; rounding outwards only adds.
    assert 0.985 <= inside / 4000 <= 0.996
