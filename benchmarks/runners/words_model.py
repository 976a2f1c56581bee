"""The classifier that both sides attack: the course's own, with the weights that the part has trained."""

import json
import re
from pathlib import Path

import numpy as np

from advrec_teach import pytorch as advrec
from advrec_teach import texts

state = {}


def load(path):
    """Read texts, labels, swaps and weights from a folder."""
    advrec.setup(device="cpu")
    given = json.loads((Path(path) / "texts.json").read_text())
    model = advrec.TextClassifier(layers=given["layers"], precision="float32")
    with np.load(Path(path) / "weights.npz") as stored:
        for name, parameter in model.trained().items():
            parameter.data.copy_(advrec.tensor(stored[name]))
    state.update(given, model=model, queries=0)


def logits(listed):
    """Return the logits of texts, and count them."""
    state["queries"] += len(listed)
    return advrec.text_logits(state["model"], texts.encode(listed, max_length=state["tokens"]))


def options(word):
    """Return what may stand for a word."""
    return state["swaps"].get(word.lower(), [])


def asked(function):
    """Return what a function returns and how many texts the classifier was shown meanwhile."""
    state["queries"] = 0
    return function(), state["queries"]


def misread(before, after):
    """Say which texts were right before and are wrong after the attack."""
    labels = np.array(state["labels"])
    right, wrong = (logits(listed).argmax(1) == labels for listed in (before, after))
    return [bool(value) for value in right & ~wrong]


def changed(before, after):
    """Return how many words differ."""
    word = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
    return [
        sum(a.lower() != b.lower() for a, b in zip(word.findall(x), word.findall(y), strict=True))
        for x, y in zip(before, after, strict=True)
    ]
