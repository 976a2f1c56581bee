"""The benchmarks' own arithmetic and plumbing; nothing here is timed and no peer is needed."""

import json
import re
import sys

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import peers, report, sides, tables, tune_bpr
from benchmarks.parts import attacks, bpr, evaluation, overheads, words
from benchmarks.runners import serve

# --- ratios and verdicts


def test_a_ratio_is_taken_round_by_round():
    # Each round the machine is another three times as slow; the peer always takes twice our time.
    ours = [1.0, 3.0, 9.0, 27.0]
    found = tables.ratio([2 * t for t in ours], ours)
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)


def test_a_ratio_is_a_median_with_quartiles():
    found = tables.ratio([1.0, 2.0, 3.0, 4.0, 100.0], [1.0] * 5)
    assert (found.value, found.low, found.high) == (3.0, 2.0, 4.0)
    assert tables.ratio([3.0], [2.0]) == tables.Ratio(1.5, 1.5, 1.5)


@pytest.mark.parametrize(("peer", "ours"), [([1.0], [1.0, 2.0]), ([], []), ([0.0], [1.0]), ([1.0], [-1.0])])
def test_samples_that_make_no_ratio_are_refused(peer, ours):
    with pytest.raises(ValueError, match=r"paired|positive"):
        tables.ratio(peer, ours)


def test_the_verdict_is_against_the_fastest_peer():
    samples = {"ours": [1.0, 1.0], "slow": [9.0, 9.0], "quick": [2.0, 2.0]}
    held = tables.against_fastest("twice as fast", samples, "ours", 2.0)
    assert (held.against, held.measured, held.holds) == ("quick", 2.0, True)
    missed = tables.against_fastest("three times as fast", samples, "ours", 3.0)
    assert (missed.against, missed.holds) == ("quick", False)
    # "within three times the seconds" is a ratio of at least one third.
    behind = {"ours": [2.9], "compiled": [1.0]}
    assert tables.against_fastest("within 3 times", behind, "ours", 1 / 3).holds
    assert not tables.against_fastest("within 3 times", {**behind, "ours": [3.1]}, "ours", 1 / 3).holds
    with pytest.raises(ValueError, match="no peer"):
        tables.against_fastest("alone", {"ours": [1.0]}, "ours", 1.0)


def test_a_limit_is_judged_inclusively():
    assert tables.at_most("seconds", 0.1, 0.1).holds
    assert not tables.at_most("seconds", 0.1001, 0.1).holds


def test_overhead_and_epoch_arithmetic():
    assert overheads.overhead([11.0, 22.0, 33.0], [10.0, 20.0, 30.0]) == pytest.approx(0.1)
    assert bpr.per_epoch(long=5.0, short=1.0, epochs=22, fewer=2) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="not more"):
        bpr.per_epoch(1.0, 1.0, epochs=2, fewer=2)


# --- tables


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2 s"), (0.01234, "12.3 ms"), (0.000456, "456 µs"), (3e-8, "30 ns"), (100.4, "100 s")]
)
def test_seconds_are_readable(value, text):
    assert tables.seconds(value) == text


def test_a_markdown_table_is_aligned_and_safe():
    lines = tables.markdown(["a", "b"], [["x|y", "1"], ["two\nlines", "22"]]).splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert lines[0].startswith("| a") and set(lines[1]) == set("|- ")
    assert "x\\|y" in lines[2] and "two lines" in lines[3]
    with pytest.raises(ValueError, match="1 cells under 2"):
        tables.markdown(["a", "b"], [["x"]])


def test_results_hold_figures_versions_and_verdicts(tmp_path):
    verdict = tables.at_most("limit", 2.0, 1.0)
    settings = {
        "title": "T",
        "tables": [("H", tables.markdown(["a"], [["1"]]))],
        "verdicts": [verdict],
        "versions": {"peer": {"package": "1.2"}},
        "settings": {"rounds": 3},
        "figures": {"x": [1.0]},
        "load_before": 0.25,
        "folder": tmp_path,
    }
    text = report.write("part", quick=True, **settings)
    assert not list(tmp_path.iterdir()), "a quick run keeps nothing"
    assert report.write("part", quick=False, **settings) == text
    assert (tmp_path / "part.md").read_text() == text
    assert "MISSED" in text and "peer: package 1.2" in text and "load average before the run 0.25" in text
    record = json.loads((tmp_path / "part.json").read_text())
    assert record["targets"] == [{"target": "limit", "wanted": 1.0, "against": "", "measured": 2.0, "holds": False}]
    assert record["figures"] == {"x": [1.0]} and record["versions"]["peer"] == {"package": "1.2"}
    assert "numpy" in record["versions"]["ours"]


# --- peers


def test_every_peer_is_pinned_and_its_choices_are_locked():
    known = peers.read()
    wanted = {name for libraries in attacks.LIBRARIES.values() for name in libraries}
    wanted |= {*evaluation.LIBRARIES, *bpr.COMPILED, *bpr.FRAMEWORKS, words.PEER}
    assert set(known) == wanted
    for name, peer in known.items():
        assert peer.constraints.is_file(), f"no constraints for {name}"
        locked = dict(line.split("==") for line in peer.constraints.read_text().split())
        normal = {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in locked.items()}
        for requirement in peer.install + peer.install_without_dependencies:
            package, version = re.sub(r"\[.*\]", "", requirement).split("==")
            assert normal[re.sub(r"[-_.]+", "-", package).lower()] == version, f"{name}: {requirement}"
        # Left to itself pip takes a CUDA build of several GB.
        assert normal.get("torch", "2.13.0") == "2.13.0"
        assert not [package for package in normal if package.startswith("nvidia-")]


def test_an_unpinned_peer_is_refused(tmp_path):
    path = tmp_path / "peers.toml"
    path.write_text('[loose]\ninstall = ["torch"]\nreports = ["torch"]\n')
    with pytest.raises(peers.PeerError, match=r"loose: 'torch' is not pinned"):
        peers.read(path)


def test_another_recipe_makes_another_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "CONSTRAINTS", tmp_path)
    first = peers.Peer("a", ("x==1",), (), ("x",))
    before = first.fingerprint()
    assert before == peers.Peer("a", ("x==1",), (), ("x",)).fingerprint()
    assert before != peers.Peer("a", ("x==2",), (), ("x",)).fingerprint()
    (tmp_path / "a.txt").write_text("y==3\n")
    assert before != first.fingerprint()


# --- sides

RUNNER = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import os
from serve import serve

def double(number):
    print("a library that talks")
    return 2 * number

def fail():
    raise KeyError("why")

def leave():
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)

def threads():
    return os.environ["OMP_NUM_THREADS"]

serve({{"double": double, "fail": fail, "leave": leave, "threads": threads}})
"""


@pytest.fixture
def side(tmp_path):
    script = tmp_path / "runner.py"
    script.write_text(RUNNER.format(folder=str(sides.HERE / "runners")))
    with sides.Side("peer", sys.executable, str(script), threads=1) as made:
        yield made


def test_a_side_answers_whatever_its_libraries_print(side):
    assert side.ask("double", number=21) == 42
    assert side.ask("threads") == "1"
    with pytest.raises(sides.SideError, match=r"peer: 'fail' failed(.|\n)*KeyError: 'why'"):
        side.ask("fail")
    assert side.ask("double", number=1) == 2, "an error does not end the side"


def test_a_side_that_dies_says_its_last_words(side):
    with pytest.raises(sides.SideError, match=r"peer died during 'leave', exit status 3\nlast words"):
        side.ask("leave")


def test_a_sample_is_the_time_of_one_call(monkeypatch):
    clock = iter([10.0, 10.5, 11.0, 11.5])
    monkeypatch.setattr(serve.time, "perf_counter", lambda: next(clock))
    calls = []
    assert serve.per_call(lambda: calls.append(1), seconds=1.2) == 0.5
    assert len(calls) == 3


def test_a_sample_has_one_call_at_least(monkeypatch):
    clock = iter([10.0, 14.0])
    monkeypatch.setattr(serve.time, "perf_counter", lambda: next(clock))
    assert serve.per_call(lambda: None, seconds=0.0) == 4.0


def test_every_round_asks_all_sides_and_begins_with_another():
    order = []

    def asked(name):
        order.append(name)
        return float(len(order))

    samples = sides.interleave({name: (lambda n=name: asked(n)) for name in "abc"}, rounds=3, pause=0.0)
    assert "".join(order) == "abcbcacab"
    assert samples == {"a": [1.0, 6.0, 8.0], "b": [2.0, 4.0, 9.0], "c": [3.0, 5.0, 7.0]}


# --- equal work


def test_attacked_batches_are_compared_entry_by_entry():
    x = np.zeros((2, 2))
    a = np.array([[0.1, -0.1], [0.1, 0.1]])
    b = np.array([[0.1, -0.1], [0.1, -0.1]])
    assert attacks.same_share(a, b) == 0.75
    assert attacks.same_share(a, a + 1e-6) == 1.0
    assert attacks.same_sign(a, b, x) == 0.75
    assert attacks.same_sign(a, 0.5 * a, x) == 1.0
    with pytest.raises(ValueError, match="shapes"):
        attacks.same_share(a, b[:1])


def test_attack_inputs_never_meet_the_clipping_of_a_peer(tmp_path):
    attacks.write_inputs(tmp_path / "inputs.npz")
    with np.load(tmp_path / "inputs.npz") as stored:
        x = stored["x"]
        assert x.min() - attacks.EPS > 0 and x.max() + attacks.EPS < 1
        assert [stored[f"w{n}"].shape for n in (1, 2, 3)] == [(784, 512), (512, 512), (512, 10)]
        assert len(x) == max(attacks.SIZES)
    assert attacks.FLOP_PER_EXAMPLE == 4 * (784 * 512 + 512 * 512 + 512 * 10)


def test_means_are_compared_and_names_have_to_agree():
    values = {"ours": {"hr": 0.5, "ndcg": 0.25}, "peer": {"hr": 0.5, "ndcg": 0.26}}
    assert evaluation.differences(values) == {"peer": pytest.approx(0.01)}
    with pytest.raises(ValueError, match="gave"):
        evaluation.differences({**values, "peer": {"hr": 0.5}})


def test_every_side_of_the_fit_has_its_settings():
    chosen = bpr.read_settings()
    for name in (*bpr.OURS, *bpr.COMPILED, *bpr.FRAMEWORKS):
        assert chosen[name]["epochs"] > 0 and chosen[name]["threads"] > 0 and chosen[name]["settings"]


def test_a_target_is_reached_where_the_curve_stays_above_it():
    curve = [[3, 0.04, 0.001], [5, 0.051, 0.001], [8, 0.049, 0.001], [12, 0.05, 0.001], [16, 0.052, 0.001]]
    assert tune_bpr.reach(curve, 0.05) == 12
    assert tune_bpr.reach(curve, 0.04) == 3
    assert tune_bpr.reach(curve, 0.0515) is None, "one lucky point at the end is not enough"


# --- the command


def test_an_attack_is_summed_up_over_the_texts_that_it_turned():
    found = {"fooled": [True, False, True, False], "changed": [2, 2, 1, 0], "queries": 60}
    assert words.summary(found, 4) == {"turned": 0.5, "queries": 15.0, "words": 1.5}
    assert words.summary({"fooled": [False], "changed": [2], "queries": 3}, 1)["words"] == 0.0


def test_an_unknown_part_is_one_clear_line(capsys):
    with pytest.raises(SystemExit):
        command.main(["atacks"])
    said = capsys.readouterr().err
    assert "unknown part atacks; there are attacks, bpr, adversarial, texts, evaluation, words, overheads" in said


@pytest.mark.parametrize(("holds", "quick", "status"), [(True, False, 0), (False, False, 1), (False, True, 0)])
def test_the_exit_status_says_whether_all_targets_hold(monkeypatch, capsys, holds, quick, status):
    verdict = tables.Verdict("as fast", 1.0, "peer", 0.5, holds)
    monkeypatch.setattr(attacks, "run", lambda quick, say: ("the table", [verdict]))
    assert command.main(["attacks", *(["--quick"] if quick else [])]) == status
    out, err = capsys.readouterr()
    assert out == "the table\n"
    assert ("missed: as fast: 0.5, wanted 1 (against peer)" in err) is not holds
