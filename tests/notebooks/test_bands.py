"""``advrec bands``: bands over seeds, what refuses to become one, and what stays in the file."""

import json
from pathlib import Path

import numpy as np
import pytest
from machine import BEGIN, Machine
from numpy.testing import assert_allclose

from advrec_teach import claims
from advrec_teach.course import bands, jobs, run, store
from advrec_teach.course.jobs import Outcome
from advrec_teach.errors import CourseError


def figure(name: str, value: float | None) -> dict:
    return {"name": name, "kind": "figure", "value": value, "holds": None if value is not None else False}


def direction(name: str, value: bool) -> dict:
    return {"name": name, "kind": "direction", "value": value, "holds": value}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "checkout")
    made.lesson("90_measured")
    made.lesson("91_other")
    return made


@pytest.fixture
def rule(monkeypatch):
    """Execute nothing: claims come from a function of (track, seed) that a test puts into the list."""
    rules: list = [lambda track, seed: [figure("a", 1.0 + seed), direction("b", True)]]

    def executed(work, **_):
        for job in work:
            assert job.environment["ADVREC_CLAIMS"] == "record" and job.environment["ADVREC_STRICT"] is None
            got = rules[0](job.track, job.parameters["SEED"])
            yield job, got if isinstance(got, Outcome) else Outcome(jobs.OK, claims=got)

    monkeypatch.setattr(run, "executed", executed)
    monkeypatch.setattr(store, "package_stamp", lambda: "p")
    monkeypatch.setattr(store, "data_stamp", lambda: "d")
    return rules


def stored(machine: Machine, number: str = "90") -> dict:
    return json.loads((machine.root / "lessons/bands" / f"{number}.json").read_text(encoding="utf-8"))


def test_bands_are_those_of_the_values_of_all_seeds(machine, rule, capsys):
    rule[0] = lambda track, seed: [figure("a", 0.4 + seed / 100), direction("b", True), figure("c", seed * 100.0)]
    assert bands.bands(machine.root, ["90"], seeds=6) == 0
    got = stored(machine)
    assert list(got) == ["pytorch", "tensorflow"]
    for track in got:
        assert list(got[track]) == ["quick"]
        assert list(got[track]["quick"]) == ["a", "c"]
        values = [0.4 + seed / 100 for seed in range(6)]
        band = got[track]["quick"]["a"]
        assert {key: band[key] for key in claims.make_band(values)} == claims.make_band(values)
        assert band["values"] == values
        assert_allclose([band["mean"], band["sd"]], [np.mean(values), np.std(values, ddof=1)], rtol=1e-12)
    assert not (machine.root / "lessons/bands/91.json").exists()
    text = capsys.readouterr().out
    assert "90_measured pytorch quick, 6 seeds" in text
    row = next(line for line in text.splitlines() if line.strip().startswith("a "))
    assert row.split() == ["a", "0.4250", "0.019", "0.343", "0.507"]


def test_other_tracks_profiles_and_lessons_stay(machine, rule):
    bands.bands(machine.root, [])
    before = stored(machine)
    rule[0] = lambda track, seed: [figure("new", 2.0 + seed)]
    assert bands.bands(machine.root, ["90"], track="tensorflow", profile="full") == 0
    got = stored(machine)
    assert got["pytorch"] == before["pytorch"]
    assert got["tensorflow"]["quick"] == before["tensorflow"]["quick"]
    assert list(got["tensorflow"]["full"]) == ["new"]
    # Measured anew, a track and profile are replaced as a whole: claims that are gone leave no band.
    assert bands.bands(machine.root, ["90"], track="pytorch", fresh=True) == 0
    assert list(stored(machine)["pytorch"]["quick"]) == ["new"]
    assert set(stored(machine, "91")) == {"pytorch", "tensorflow"}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda seed: [direction("it holds", seed not in (1, 3))], "'it holds' did not hold at SEED 1, 3"),
        (lambda seed: [figure("loss", None if seed == 2 else 1.0)], "'loss' was not finite at SEED 2"),
        (
            lambda seed: Outcome(jobs.LIMIT, "stopped after 9 s") if seed == 4 else [figure("a", 1.0)],
            "SEED 4: time limit: stopped after 9 s",
        ),
        (
            lambda seed: [figure(f"value {seed}", 1.0)],
            "the claims at SEED 1 differ from those at SEED 0: value 0; value 1",
        ),
        (
            lambda seed: [figure("a", 1.0)] + ([figure("b", 1.0)] if seed == 3 else []),
            "the claims at SEED 3 differ from those at SEED 0: b",
        ),
        (lambda seed: [figure("a", 1.0), figure("a", 2.0)], "two claims have the same name: a"),
    ],
    ids=["direction", "not finite", "failed", "name with a value", "extra", "twice"],
)
def test_what_is_no_band_is_refused_and_the_old_stays(machine, rule, capsys, broken, message):
    bands.bands(machine.root, ["90"])
    before = stored(machine)
    good = rule[0]
    rule[0] = lambda track, seed: broken(seed) if track == "pytorch" else good(track, seed + 1)
    capsys.readouterr()
    assert bands.bands(machine.root, ["90"], fresh=True) == 1
    assert f"refused: {message}" in capsys.readouterr().out
    got = stored(machine)
    assert got["pytorch"] == before["pytorch"]
    assert got["tensorflow"]["quick"]["a"]["mean"] == before["tensorflow"]["quick"]["a"]["mean"] + 1


def test_a_lesson_of_directions_alone_has_an_empty_band(machine, rule):
    rule[0] = lambda track, seed: [direction("it holds", True)]
    assert bands.bands(machine.root, ["90"], track="pytorch") == 0
    assert stored(machine) == {"pytorch": {"quick": {}}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 4}, "--seeds is 4; a band needs at least 5"),
        ({"profile": "smoke"}, "smoke is never judged"),
        ({"profile": "slow"}, "no profile 'slow'"),
        ({"track": "jax"}, "no track 'jax'"),
    ],
)
def test_requests_that_make_no_sense(machine, rule, options, message):
    with pytest.raises(CourseError, match=message):
        bands.bands(machine.root, ["90"], **options)


def test_a_damaged_file_is_not_overwritten(machine, rule):
    path = machine.root / "lessons/bands/90.json"
    path.write_text('{"pytorch": ')
    with pytest.raises(CourseError, match=r"lessons/bands/90\.json is damaged"):
        bands.bands(machine.root, ["90"])
    assert path.read_text() == '{"pytorch": '


def test_real_seeds_give_a_band_that_claims_judge_by(machine, monkeypatch):
    """The whole way: five kernels, the file, and a claim that reads it."""
    machine.lesson(
        "90_measured",
        BEGIN.format(number="90"),
        'import numpy\nclaim("draw", numpy.random.default_rng(SEED).normal())\nclaim("finite", True)',
    )
    assert bands.bands(machine.root, ["90"], track="pytorch", workers=2) == 0
    values = [np.random.default_rng(seed).normal() for seed in range(5)]
    band = stored(machine)["pytorch"]["quick"]["draw"]
    assert_allclose(band["values"], values, rtol=1e-15)
    assert band["low"] < min(values) and band["high"] > max(values)
    from advrec_teach import paths, session

    monkeypatch.setattr(paths, "bands_dir", lambda: machine.root / "lessons/bands")
    monkeypatch.setattr(session, "_current", None)
    session.begin("90", "pytorch", "quick", 0)
    monkeypatch.setenv("ADVREC_STRICT", "1")
    monkeypatch.delenv("ADVREC_CLAIMS", raising=False)
    claims.claim("draw", values[0])
    with pytest.raises(claims.ClaimFailed, match="outside its band"):
        claims.claim("draw", band["high"] + 1)
