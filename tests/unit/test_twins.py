"""The tracks are twins: the same modules, names, keyword arguments and documentation.

Each track is read in a process of its own, since no process holds both frameworks.
"""

import ast
import inspect
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import advrec_teach

TRACKS = ("pytorch", "tensorflow")
PACKAGE = Path(advrec_teach.__file__).parent

# What one track has and the other has no use for.
ONLY = {"pytorch": set(), "tensorflow": {"_compiled.py", "_quiet.py"}}

READ = """
import importlib, inspect, json, sys
track = importlib.import_module("advrec_teach." + sys.argv[1])

def parameters(function):
    return [
        [p.name, p.kind.name, "-" if p.default is p.empty else repr(p.default)]
        for p in inspect.signature(function).parameters.values()
    ]

found = {}
for name in track.__all__:
    thing = getattr(track, name)
    found[name] = {"parameters": parameters(thing), "doc": inspect.getdoc(thing) or "", "module": thing.__module__}
    if inspect.isclass(thing):
        for method, code in vars(thing).items():
            if not method.startswith("_") and inspect.isfunction(code):
                # the one method whose name the framework dictates
                method = {"forward": "call"}.get(method, method)
                found[f"{name}.{method}"] = {"parameters": parameters(code), "doc": inspect.getdoc(code) or ""}
public = [n for n, v in vars(track).items() if not n.startswith("_") and not inspect.ismodule(v)]
other = {"pytorch": "tensorflow", "tensorflow": "torch"}[sys.argv[1]]
print(json.dumps({"found": found, "public": public, "all": track.__all__, "other": other in sys.modules}))
"""


@cache
def read(track):
    """Return what a track offers."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READ, track], capture_output=True, text=True, env=environment, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_both_offer_the_same_names():
    first, second = (read(track) for track in TRACKS)
    assert first["all"] == second["all"] == sorted(first["all"])
    assert set(first["found"]) == set(second["found"])
    for track in (first, second):
        assert set(track["public"]) == set(track["all"])


def test_signatures_are_equal():
    first, second = (read(track)["found"] for track in TRACKS)
    differing = {
        name: (first[name]["parameters"], second[name]["parameters"])
        for name in first
        if first[name]["parameters"] != second[name]["parameters"]
    }
    assert not differing


def test_settings_of_attacks_and_training_are_keyword_only():
    found = read("pytorch")["found"]
    positional = {
        "loss_fn",
        "x",
        "delta",
        "model",
        "train",
        "measure",
        "generator",
        "discriminator",
        "sample_real",
        "sequences",
        "patients",
        "rows",
        "table",
        "real",
        "fake",
        "logits",
        "texts",
        "memory",
        "continuations",
        "noise",
        "n",
    }
    for name in (
        "fgsm_delta",
        "fgm_delta",
        "pgd_delta",
        "random_delta",
        "project",
        "fit_bpr",
        "fit_adversarial",
        "fit_defended",
        "attack_vectors",
        "robustness_curve",
        "fit_gan",
        "fit_sequential",
        "fit_text_classifier",
        "fit_robust_text",
        "attack_texts",
        "text_logits",
        "read_continuations",
        "text_slopes",
        "text_vectors",
        "TextClassifier",
        "fit_ward",
        "fit_generator",
        "fit_discriminator",
        "fit_vae",
        "fit_sequence_gan",
        "fit_cfgan",
        "fit_irgan",
        "item_mixture",
        "gumbel_softmax",
        "sample_sequences",
        "sample_vae",
        "setup",
    ):
        for parameter, kind, _ in found[name]["parameters"]:
            assert kind == "KEYWORD_ONLY" or parameter in positional, f"{name}({parameter}) may be given by place"


@pytest.mark.parametrize("track", TRACKS)
def test_every_public_name_is_documented(track):
    for name, entry in read(track)["found"].items():
        assert entry["doc"], f"{name} has no docstring"
        names = [p for p, _, _ in entry["parameters"] if p != "self"]
        if len(names) > 1 and "Parameters\n---" in entry["doc"]:
            section = entry["doc"].split("Parameters\n")[1]
            missing = [p for p in names if p not in section]
            assert not missing, f"{name} does not explain {missing}"


def test_both_tell_the_same_story():
    first, second = (read(track)["found"] for track in TRACKS)
    for name in first:
        sections = [
            [
                line
                for line, under in zip(e["doc"].split("\n"), e["doc"].split("\n")[1:], strict=False)
                if "---" in under
            ]
            for e in (first[name], second[name])
        ]
        assert sections[0] == sections[1], name


@pytest.mark.parametrize("track", TRACKS)
def test_a_track_does_not_import_the_other_framework(track):
    assert read(track)["other"] is False


def test_both_have_the_same_modules():
    files = {t: {p.name for p in (PACKAGE / t).glob("*.py")} for t in TRACKS}
    assert files["pytorch"] - ONLY["pytorch"] == files["tensorflow"] - ONLY["tensorflow"]
    for track in TRACKS:
        assert ONLY[track] <= files[track]


def imported(path):
    """Return every module that a file names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("track", "other"), [("pytorch", "tensorflow"), ("tensorflow", "pytorch")])
def test_no_module_of_a_track_names_the_other(track, other):
    frameworks = {"pytorch": ("torch",), "tensorflow": ("tensorflow", "keras")}[other]
    for path in (PACKAGE / track).glob("*.py"):
        for name in imported(path):
            assert not name.startswith(f"advrec_teach.{other}"), f"{path.name} imports {name}"
            assert name.split(".")[0] not in frameworks, f"{path.name} imports {name}"


def test_the_reference_knows_no_framework():
    for path in PACKAGE.glob("reference*.py"):
        for name in imported(path):
            assert name.split(".")[0] not in ("torch", "tensorflow", "keras"), f"{path.name} imports {name}"


def test_reading_signatures_would_see_a_difference():
    """The comparison is of names, kinds and defaults, so a changed default counts."""
    parameters = {
        tuple((p.name, p.kind.name, repr(p.default)) for p in inspect.signature(f).parameters.values())
        for f in (lambda *, eps=1: None, lambda *, eps=2: None, lambda eps=1: None, lambda *, epsilon=1: None)
    }
    assert len(parameters) == 4
