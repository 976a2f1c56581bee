"""Swaps of words on one text classifier, beside TextAttack with the same swaps, rules and budget."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import peers as peers_module
from benchmarks import report
from benchmarks.sides import Side, interleave, ours
from benchmarks.tables import Verdict, against_fastest, at_most, markdown, ratio, seconds

PEER = "textattack"
LAYERS, WORDS, COUNT, EDITS = 2, 16, 4, 2


def write_inputs(folder: Path, *, attacked: int, steps: int) -> None:
    """Train the classifier of lesson 16 and write it with the texts to attack and four swaps a word."""
    from advrec_teach import data, text_attacks, texts
    from advrec_teach import pytorch as advrec

    advrec.setup(device="cpu", seed=0)
    split = texts.split_by_product(texts.labelled_reviews(data.reviews()), seed=0)

    def sample(part, count):
        chosen = part.sample(min(count, part.height), seed=0, shuffle=True)
        return [text_attacks.first_words(text, WORDS) for text in chosen["text"]], chosen["label"].to_numpy()

    tokens = 2 * WORDS + 4
    train, labels = sample(split.train, 3200)
    model = advrec.TextClassifier(layers=LAYERS, precision="float32", seed=0)
    weights = texts.balanced_weights(labels)
    encoded = texts.encode(train, labels, max_length=tokens)
    advrec.fit_text_classifier(model, encoded, steps=steps, rate=3e-4, batch_size=16, class_weights=weights)
    encoder = advrec.TextClassifier(layers=6, precision="float32")
    common = text_attacks.common_words(split.train["text"])
    vectors = advrec.text_vectors(encoder, texts.encode(common, max_length=tokens))
    swaps = text_attacks.Swaps(common, vectors, least=0.5)
    # Words with fewer than four swaps are left alone, so that a round is one word on both sides.
    listed = {word: swaps(word)[:COUNT] for word in common if len(swaps(word)) >= COUNT}
    test, truth = sample(split.test, 2000)
    rows = np.concatenate([np.flatnonzero(truth == kind)[:attacked] for kind in (0, 1)])
    given = {"texts": [test[row] for row in rows], "labels": truth[rows].tolist(), "swaps": listed}
    given |= {"layers": LAYERS, "tokens": tokens, "count": COUNT, "edits": EDITS}
    (folder / "texts.json").write_text(json.dumps(given))
    np.savez(folder / "weights.npz", **{name: advrec.numpy(value) for name, value in model.trained().items()})


def summary(found: dict, n: int) -> dict[str, float]:
    """Return the share of all texts that were turned, the queries a text, the words changed where it worked."""
    won = [words for words, fooled in zip(found["changed"], found["fooled"], strict=True) if fooled]
    return {"turned": len(won) / n, "queries": found["queries"] / n, "words": statistics.mean(won) if won else 0.0}


def run(*, quick: bool, say=print) -> tuple[str, list[Verdict]]:
    """Measure, print and keep."""
    rounds, attacked, steps = (2, 8, 20) if quick else (5, 100, 110)
    threads, load = os.cpu_count() or 1, os.getloadavg()[0]
    peer = peers_module.read()[PEER]
    peers_module.ensure(peer, say=say)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        say("words: the classifier is trained")
        write_inputs(Path(folder), attacked=attacked, steps=steps)
        sides = {
            "ours": stack.enter_context(ours("ours", "ours_words.py", threads=threads)),
            PEER: stack.enter_context(Side(PEER, peer.python, "textattack_words.py", threads=threads)),
        }
        for side in sides.values():
            side.ask("load", path=folder)
        say("words: both attack")
        found = {name: side.ask("values") for name, side in sides.items()}
        samples = interleave({name: partial(side.ask, "measure") for name, side in sides.items()}, rounds=rounds)
    n = 2 * attacked
    figures = {name: summary(values, n) for name, values in found.items()}
    same = np.mean(np.array(found["ours"]["fooled"]) == np.array(found[PEER]["fooled"]))
    verdicts = [
        against_fastest("a search of swaps: times as fast as TextAttack", samples, "ours", 1.0),
        at_most("texts on which the two differ in success, share", float(1 - same), 0.05, against=PEER),
    ]
    rows = []
    for name, values in figures.items():
        apart = ratio(samples[name], samples["ours"])
        cells = [f"{values['turned']:.3f}", f"{values['queries']:.1f}", f"{values['words']:.2f}"]
        rows.append([name, *cells, seconds(statistics.median(samples[name]) / n), f"{apart.value:.1f}x"])
    header = ["side", "texts turned", "queries a text", "words changed where turned", "seconds a text", "times ours"]
    text = report.write(
        "words",
        title="Swaps of words: one classifier, the same swaps, two words a text",
        tables=[(f"{n} reviews, words in the order of their importance, {COUNT} swaps each", markdown(header, rows))],
        verdicts=verdicts,
        versions={PEER: peers_module.versions(peer)},
        settings={"threads": threads, "rounds": rounds, "attacked": n, "steps": steps, "swaps": COUNT, "words": EDITS},
        figures={"seconds": samples, "values": figures, "same": float(same)},
        quick=quick,
        load_before=load,
    )
    return text, verdicts
