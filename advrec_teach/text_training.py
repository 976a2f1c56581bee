"""The training loop of the text classifiers, which knows no framework: batches, warm-up, early stopping.

Everything random is drawn here, so that both tracks see the same batches and the same dropout.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from advrec_teach.classification import macro_f1
from advrec_teach.reference_text import WIDTH, check_fit_text, rate_factor, text_loss
from advrec_teach.texts import EncodedTexts, length_buckets

History = list[dict[str, float]]


class Trainer(Protocol):
    """What the loop needs of a track: one step of the optimiser, logits, and weights that can be put back."""

    def step(self, ids: NDArray, labels: NDArray, factors: NDArray, rate: float) -> Any:
        """Train on one batch and return its loss; ``factors`` [n, 384] are those of dropout."""

    def logits(self, texts: EncodedTexts) -> NDArray:
        """Return the logits of all texts, in their order."""

    def snapshot(self) -> Any:
        """Return a copy of all that is trained."""

    def restore(self, snapshot: Any) -> None:
        """Put the weights back to what they were when ``snapshot`` was made."""


def training_batches(
    texts: EncodedTexts, batch_size: int, dropout: float, rng: np.random.Generator
) -> Iterator[tuple[NDArray, NDArray, NDArray]]:
    """Yield batches without end: ids [n, width], labels [n], factors of dropout [n, 384].

    An epoch visits each text once, texts of similar length together; a batch is as wide as its longest text.
    """
    while True:
        for rows in length_buckets(texts.lengths, batch_size, rng):
            ids, _, labels = texts.batch(rows)
            kept = rng.random((len(rows), WIDTH), dtype=np.float32) >= dropout
            yield ids, labels, (kept / (1 - dropout)).astype(np.float32)


def fit(
    model: Any,
    make_trainer: Callable[[NDArray[np.float32]], Trainer],
    texts: EncodedTexts,
    *,
    classes: int,
    dropout: float,
    steps: int,
    rate: float,
    batch_size: int,
    warmup: float,
    decay: float,
    class_weights: Any,
    validation: EncodedTexts | None,
    evaluate_every: int | None,
    patience: int | None,
    seed: int,
    callback: Callable[[Any, dict[str, float]], Any] | None,
) -> History:
    """Train ``model`` in place; ``make_trainer`` gets the weights of the classes. As in ``fit_text_classifier``."""
    weights = check_fit_text(
        texts.labels,
        classes,
        steps=steps,
        rate=rate,
        batch_size=batch_size,
        warmup=warmup,
        decay=decay,
        class_weights=class_weights,
        evaluate_every=evaluate_every,
        patience=patience,
    )
    if patience is not None and validation is None:
        raise ValueError("patience needs validation texts, which tell when to stop.")
    every = evaluate_every or max(steps // 4, 1)
    batches = training_batches(texts, batch_size, dropout, np.random.default_rng(seed))
    trainer = make_trainer(weights)
    best, kept, waited = np.inf, None, 0
    history: History = []
    losses: list[Any] = []
    clock = time.perf_counter()
    for step in range(1, steps + 1):
        now = rate * rate_factor(step - 1, steps, warmup)
        losses.append(trainer.step(*next(batches), now))
        if step % every and step != steps:
            continue
        record = {"step": step, "loss": float(np.mean([float(loss) for loss in losses])), "rate": now}
        record["seconds"] = time.perf_counter() - clock
        if validation is not None:
            logits = trainer.logits(validation)
            record["validation_loss"] = text_loss(logits, validation.labels, weights)
            record["validation_f1"] = macro_f1(logits.argmax(1), validation.labels, classes=classes)
            if record["validation_loss"] < best:
                best, kept, waited = record["validation_loss"], trainer.snapshot(), 0
            else:
                waited += 1
        history.append(record)
        losses, clock = [], time.perf_counter()
        if callback is not None and callback(model, record) is True:
            break
        if patience is not None and waited >= patience:
            break
    if patience is not None and kept is not None:
        trainer.restore(kept)
    return history
