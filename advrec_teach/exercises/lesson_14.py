"""Exercises of lesson 14: padding and buckets, a mean, a weighted loss, calibration, and a listing to repair."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import classification, reference_text
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.core import NOT_ATTEMPTED, NOT_YET, Verdict
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception
from advrec_teach.reference_behaviour import log_softmax

Rows = Sequence[tuple[list[int], int]]


def _plain(array: np.ndarray) -> Made:
    """Return an array that stays one in both tracks."""
    return Made(lambda advrec: array.copy(), array, watch=lambda given: [given])


# --- 14.2: the mean of what is there


def _pool_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Texts of different lengths, as ids padded with 0; the states of padding are not zero."""
    cases = []
    for width, lengths in ((5, (5, 3, 4)), (7, (4, 7, 3, 6))):
        ids = rng.integers(1000, 9000, size=(len(lengths), width))
        ids[np.arange(width) >= np.array(lengths)[:, None]] = 0
        ids[:, 0] = 101
        ids[np.arange(len(lengths)), np.array(lengths) - 1] = 102
        cases.append({"states": rng.normal(size=(*ids.shape, 4)) + 0.5, "ids": ids})
    return cases


def _real(ids: np.ndarray) -> np.ndarray:
    return (ids != 0)[..., None].astype(np.float64)


def _course_pool(advrec: ModuleType) -> Callable[..., Any]:
    def mean_pool(states: Any, ids: Any) -> Any:
        """Return the mean state of every text over its real tokens."""
        real = advrec.tensor(advrec.numpy(ids) != 0, "float32")[:, :, None]
        # Sums along axis 1 as products of matrices, which both tracks write alike.
        ones = advrec.tensor(np.ones((*advrec.numpy(ids).shape[:1], 1, advrec.numpy(ids).shape[1])))
        return ((ones @ (states * real)) / (ones @ real))[:, 0]

    return mean_pool


POOL = (
    Misconception(
        "padding counted",
        "your mean runs over all positions, padding included. A short text in a wide batch then has a vector that is "
        "mostly padding. Which positions hold a token?",
        lambda states, ids: states.mean(axis=1),
    ),
    Misconception(
        "zeros counted",
        "the states of padding are out of the sum, and still in the number that you divide by: the vector of a short "
        "text comes out too short. Divide by the number of real tokens of each text.",
        lambda states, ids: (states * _real(ids)).sum(1) / ids.shape[1],
    ),
    Misconception(
        "never divided",
        "you return a sum: a long text has a longer vector than a short one that says the same. Divide by the number "
        "of real tokens.",
        lambda states, ids: (states * _real(ids)).sum(1),
    ),
    Misconception(
        "divided, padding in the sum",
        "you divide by the number of real tokens, but the states of padding are in the sum. They are not zero: the "
        "network computes them too.",
        lambda states, ids: states.sum(1) / _real(ids).sum(1),
    ),
    Misconception(
        "one length for all",
        "you divide every text by the same number, the mean length of the batch. Each text has a length of its own: "
        "sum the mask along axis 1 only.",
        lambda states, ids: (states * _real(ids)).sum(1) / _real(ids).sum(1).mean(),
    ),
    Misconception(
        "all tokens of the batch",
        "you divide every text by the number of tokens in the whole batch. Each text has a length of its own: sum the "
        "mask along axis 1 only, and keep that axis.",
        lambda states, ids: (states * _real(ids)).sum(1) / _real(ids).sum(),
    ),
    Misconception(
        "the first token",
        "you take the state of [CLS]. Some networks are trained to collect the text there; this one was trained with "
        "the mean over its tokens.",
        lambda states, ids: states[:, 0],
    ),
    Misconception(
        "without the special tokens",
        "you leave out [CLS] and [SEP] as well. They are tokens: their ids are not 0, and the network was trained with "
        "them in the mean.",
        lambda states, ids: _inner_mean(states, ids),
    ),
    Misconception(
        "the largest",
        "you take the largest entry instead of the mean.",
        lambda states, ids: np.where(_real(ids) > 0, states, -np.inf).max(1),
    ),
    Misconception(
        "the mask the wrong way round",
        "your mask is 1 where the padding is: you average what should be left out.",
        lambda states, ids: (states * (1 - _real(ids))).sum(1) / (1 - _real(ids)).sum(1),
    ),
    Misconception(
        "mean over the width of the state",
        "you average over the last axis: what is left is one number for each token. The mean runs over the tokens, "
        "axis 1.",
        lambda states, ids: (states * _real(ids)).mean(2),
    ),
)


def _inner_mean(states: np.ndarray, ids: np.ndarray) -> np.ndarray:
    inner = ((ids != 0) & (ids != 101) & (ids != 102))[..., None].astype(np.float64)
    return (states * inner).sum(1) / inner.sum(1)


# --- 14.3: a loss with weights


def _loss_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Batches with more of one class than of the other, weights not balanced in them, and logits beyond exp's reach."""
    return [
        {
            "logits": rng.normal(size=(6, 2)),
            "labels": np.array([1, 1, 0, 1, 1, 0]),
            "class_weights": np.array([2.7, 0.6]),
        },
        {
            "logits": 2 * rng.normal(size=(7, 3)),
            "labels": np.array([2, 0, 1, 2, 2, 0, 1]),
            "class_weights": np.array([0.5, 3.0, 1.2]),
        },
        {
            "logits": np.array([[200.0, -200.0], [-3.0, 1.0], [-150.0, 250.0], [0.5, -0.5]]),
            "labels": np.array([1, 1, 1, 0]),
            "class_weights": np.array([1.6, 0.7]),
        },
    ]


def _beyond_reach(result: Any, truth: np.ndarray, **_inputs: Any) -> str | None:
    """Say where an infinite loss comes from."""
    if isinstance(result, np.ndarray) and result.shape == truth.shape and not np.isfinite(result.astype(float)).all():
        return (
            "the result is inf or nan. With logits of a few hundred exp() overflows, and the logarithm of a "
            "probability that has become 0 is not finite: use a log_softmax or the framework's cross-entropy, which "
            "never leave the logarithm."
        )
    return None


def _losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -log_softmax(logits)[np.arange(len(labels)), labels]


def _weighed_by(choose: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., float]:
    """Return the loss whose weights are picked by the classes that ``choose`` makes of logits and labels."""
    return lambda logits, labels, class_weights: float(
        (class_weights[choose(logits, labels)] * _losses(logits, labels)).mean()
    )


LOSS = (
    Misconception(
        "divided by the weights",
        "you divide by the sum of the weights in the batch. That is what PyTorch's cross_entropy(weight=...) does. The "
        "formula divides by n: a batch with many rare texts then counts more, as it should when every text keeps its "
        "weight.",
        lambda logits, labels, class_weights: float(
            (class_weights[labels] * _losses(logits, labels)).sum() / class_weights[labels].sum()
        ),
    ),
    Misconception(
        "no weights",
        "this is the plain mean: the weights have no effect.",
        lambda logits, labels, class_weights: float(_losses(logits, labels).mean()),
    ),
    Misconception(
        "weights reversed",
        "the weights stand in the wrong order: class 0 gets the weight of the last class. class_weights[c] belongs to "
        "class c.",
        lambda logits, labels, class_weights: _weighed_by(lambda z, y: len(class_weights) - 1 - y)(
            logits, labels, class_weights
        ),
    ),
    Misconception(
        "the predicted class's weight",
        "you weigh a text by the class that the model predicts. Then the model can lower its loss by predicting the "
        "class with the small weight. The weight belongs to the true label.",
        _weighed_by(lambda logits, labels: logits.argmax(axis=1)),
    ),
    Misconception(
        "sum instead of mean",
        "you sum over the texts. With 1/n the loss does not depend on the size of the batch.",
        lambda logits, labels, class_weights: float((class_weights[labels] * _losses(logits, labels)).sum()),
    ),
    Misconception(
        "one value a text",
        "the values are right, one for each text. What is trained on is their mean, one number.",
        lambda logits, labels, class_weights: class_weights[labels] * _losses(logits, labels),
    ),
    Misconception(
        "weighted logits",
        "you multiply the logits by the weights. That changes what the model believes, not how much a text counts: "
        "weigh the loss of each text.",
        lambda logits, labels, class_weights: float(_losses(logits * class_weights, labels).mean()),
    ),
    Misconception(
        "weighted probabilities",
        "the weight stands inside the logarithm. There it only adds a constant to the loss, and no gradient feels it: "
        "weigh the loss of each text.",
        lambda logits, labels, class_weights: float((_losses(logits, labels) - np.log(class_weights[labels])).mean()),
    ),
    Misconception(
        "no minus",
        "the size is right, the sign is not: a loss falls when the true label becomes more likely.",
        lambda logits, labels, class_weights: -float((class_weights[labels] * _losses(logits, labels)).mean()),
    ),
    Misconception(
        "mean over the classes too",
        "the loss is too small by the number of classes: the mean runs over all n times classes entries of a table, in "
        "which each text has only one that is not 0. Sum over the classes first, then take the mean over the n texts.",
        lambda logits, labels, class_weights: float(
            (class_weights[labels] * _losses(logits, labels)).mean() / logits.shape[1]
        ),
    ),
    Misconception(
        "divided by each weight",
        "you divide the loss of each text by its weight, so that the rare class counts even less. A weight of 3 is to "
        "make a text count three times: multiply.",
        lambda logits, labels, class_weights: float((_losses(logits, labels) / class_weights[labels]).mean()),
    ),
    Misconception(
        "the logarithm is missing",
        "you take minus the probability of the label, without the logarithm. The loss is never negative, and a text "
        "that the model is sure about, and wrong, has to cost much.",
        lambda logits, labels, class_weights: -float((class_weights[labels] * np.exp(-_losses(logits, labels))).mean()),
    ),
    Misconception(
        "probability instead of its logarithm",
        "you take one minus the probability of the label. The cross-entropy takes minus its logarithm: a text that the "
        "model is sure about, and wrong, has to cost much more than 1.",
        lambda logits, labels, class_weights: float(
            (class_weights[labels] * (1 - np.exp(-_losses(logits, labels)))).mean()
        ),
    ),
)

# --- 14.4: calibration in one number


def _calibration_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Predictions with empty bins, bins of different sizes, and both too sure and not sure enough."""
    cases = []
    for n, classes, bins, scale, share in ((40, 2, 10, 2.0, 0.4), (60, 3, 10, 0.7, 0.1), (50, 2, 4, 1.0, 0.25)):
        logits = scale * rng.normal(size=(n, classes)) + np.linspace(0, 1, classes)
        p = classification.softmax(logits)
        right = p.argmax(axis=1)
        flipped = rng.random(n) < share
        labels = np.where(flipped, (right + 1) % classes, right)
        cases.append({"probabilities": _plain(p), "labels": _plain(labels), "bins": bins})
    del cases[0]["bins"]  # the default
    # Three that are certain, one of them wrong, beside others in the last bin that are nearly certain and right.
    sure = np.array([1.0, 0.0, 1.0, 0.93, 0.96, 0.08, 0.97, 0.71, 0.64, 0.33, 0.27])
    labels = np.array([1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1])
    cases.append({"probabilities": _plain(np.stack([1 - sure, sure], axis=1)), "labels": _plain(labels), "bins": 10})
    return cases


def _bins(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of predictions and the gap, accuracy minus confidence, of every bin that is not empty."""
    found = classification.reliability_bins(probabilities, labels, bins=bins)
    filled = found.counts > 0
    gap = found.accuracy - found.confidence
    return found.counts[filled] / len(labels), gap[filled]


def _of_bins(combine: Callable[[np.ndarray, np.ndarray], float]) -> Callable[..., float]:
    return lambda probabilities, labels, bins=10: float(combine(*_bins(probabilities, labels, bins)))


def _one_class(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Bin by the probability of class 1 and compare with the share of class 1."""
    p, happy = probabilities[:, 1], labels == 1
    place = np.minimum((p * bins).astype(int), bins - 1)
    return float(
        sum(
            (place == b).mean() * abs(happy[place == b].mean() - p[place == b].mean())
            for b in range(bins)
            if b in place
        )
    )


def _by(confidence: Callable[[np.ndarray, np.ndarray], np.ndarray], *, keep_one: bool = True) -> Callable[..., float]:
    """Return the error in bins by another number than the largest probability; maybe without numbers equal to 1."""

    def answer(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
        chosen, right = confidence(probabilities, labels), probabilities.argmax(axis=1) == labels
        place = np.minimum((chosen * bins).astype(int), bins - 1)
        place = place if keep_one else np.where(chosen < 1, place, -1)
        inside = [place == b for b in range(bins) if b in place]
        return float(sum(rows.mean() * abs(right[rows].mean() - chosen[rows].mean()) for rows in inside))

    return answer


def _bin_of_its_own(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = (confidence * bins).astype(int)
    inside = [place == b for b in range(bins + 1) if b in place]
    return float(sum(rows.mean() * abs(right[rows].mean() - confidence[rows].mean()) for rows in inside))


def _from_middles(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    found = classification.reliability_bins(probabilities, labels, bins=bins)
    filled = found.counts > 0
    gaps = np.abs(found.accuracy - (np.arange(bins) + 0.5) / bins)[filled]
    return float(found.counts[filled] @ gaps / len(labels))


def _upper_half(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Spread the bins over the confidences from one half to 1; what lies below is in none."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.ceil((2 * confidence - 1) * bins).astype(int) - 1
    inside = [place == b for b in range(bins) if b in place]
    return float(sum(rows.mean() * abs(right[rows].mean() - confidence[rows].mean()) for rows in inside))


def _no_mean(result: Any, truth: np.ndarray, **_inputs: Any) -> str | None:
    """Say where a nan comes from."""
    if isinstance(result, np.ndarray) and result.shape == truth.shape and np.isnan(result.astype(float)).any():
        return "the result is nan: a bin with no prediction in it has no mean. Leave empty bins out of the sum."
    return None


def _course_calibration(advrec: ModuleType) -> Callable[..., Any]:
    def calibration_error(probabilities: Any, labels: Any, *, bins: int = 10) -> float:
        """Return the expected calibration error."""
        return classification.calibration_error(probabilities, labels, bins=bins)

    return calibration_error


CALIBRATION = (
    Misconception(
        "bins of equal weight",
        "every bin counts the same in your mean. A bin with two predictions should count less than one with twenty: "
        "weigh by n_b / n.",
        _of_bins(lambda share, gap: np.abs(gap).mean()),
    ),
    Misconception(
        "all bins in the mean",
        "you divide by the number of bins, also by those that are empty, and every bin counts the same. Weigh each by "
        "n_b / n.",
        lambda probabilities, labels, bins=10: float(np.abs(_bins(probabilities, labels, bins)[1]).sum() / bins),
    ),
    Misconception(
        "gaps that cancel",
        "your gaps keep their signs, so that bins that are too sure cancel bins that are not sure enough. Take the "
        "absolute value in each bin.",
        _of_bins(lambda share, gap: share @ gap),
    ),
    Misconception(
        "gaps that cancel, other sign",
        "your gaps keep their signs, and bins that are too sure cancel bins that are not sure enough. Take the "
        "absolute value in each bin; then it does not matter which of the two is subtracted.",
        _of_bins(lambda share, gap: -(share @ gap)),
    ),
    Misconception(
        "one bin",
        "you compare the mean confidence with the accuracy over all predictions at once. Somebody who says 0.8 to "
        "everything passes that. The gap is taken inside each bin.",
        _of_bins(lambda share, gap: abs(share @ gap)),
    ),
    Misconception(
        "the largest gap",
        "you return the largest gap. That is a measure too, the maximum calibration error; here the bins are averaged "
        "by their share of the predictions.",
        _of_bins(lambda share, gap: np.abs(gap).max()),
    ),
    Misconception(
        "squared gaps",
        "you square the gaps. The formula takes their absolute values.",
        _of_bins(lambda share, gap: share @ gap**2),
    ),
    Misconception(
        "counts instead of shares",
        "your sum weighs each bin by its count. Divide by the number of predictions: the error is between 0 and 1.",
        lambda probabilities, labels, bins=10: float(
            len(labels) * classification.calibration_error(probabilities, labels, bins=bins)
        ),
    ),
    Misconception(
        "the probability of class 1",
        "you sort by the probability of class 1. The confidence is the probability of the predicted class, the largest "
        "of the row, and what it is compared with is the share of right predictions.",
        _one_class,
    ),
    Misconception(
        "confidence of class 1, right by the prediction",
        "your confidence is always the probability of class 1, also where the model predicts another class. It is the "
        "probability of the class that is predicted, the largest of the row.",
        _by(lambda p, labels: p[:, 1]),
    ),
    Misconception(
        "the probability of the true class",
        "you sort by the probability of the true class. The model does not know the label when it states its "
        "confidence: take the largest probability of the row.",
        _by(lambda p, labels: p[np.arange(len(p)), labels]),
    ),
    Misconception(
        "the middle of the bin",
        "you compare with the middle of each bin. The formula compares with conf_b, the mean confidence of the "
        "predictions in it, which may lie anywhere between the edges.",
        _from_middles,
    ),
    Misconception(
        "bins over the upper half",
        "your bins run from one half to 1. They run from 0 to 1, in equal widths: some will be empty, and with three "
        "classes a confidence may be below one half.",
        _upper_half,
    ),
    Misconception(
        "confidence 1 left out",
        "a confidence of exactly 1 is in none of your bins. The last bin holds its upper edge as well.",
        _by(lambda p, labels: p.max(axis=1), keep_one=False),
    ),
    Misconception(
        "a bin of its own",
        "a confidence of exactly 1 opens a bin of its own. It belongs into the last one, with all that is close to 1.",
        _bin_of_its_own,
    ),
    Misconception(
        "always ten bins",
        "right with ten bins. The argument bins is not used.",
        lambda probabilities, labels, bins=10: classification.calibration_error(probabilities, labels, bins=10),
    ),
)

# --- 14.5: a listing to repair

GIVEN = '''
def share_right(rows, logits):
    """The share of reviews whose predicted class is the label, after a borrowed listing.

    rows: list of pairs (token ids, label), one a review.  logits: array [n, 2].
    """
    longest = max(len(ids) for ids, _ in rows)
    labels = [[label] * len(ids) for ids, label in rows]
    labels = [label + [0] * (longest - len(label)) for label in labels]
    predicted = logits.argmax(axis=2)
    right = [guess == label for guess, label in zip(predicted, labels) for label in label]
    return np.mean(right)
'''
UNTOUCHED = "This is the listing as it was given. Run it on one review: which line stops, and what shape has its array?"
THIRD_AXIS = (
    "axis=2 asks for a third axis, and logits [n, 2] have two. A network that labels every word has logits [n, words, "
    "classes]; this one says one thing about a review. Which axis holds the classes?"
)


def is_given(answer: Any) -> bool:
    """Say whether a function is the listing that the bug hunt starts from, unchanged."""
    scope: dict[str, Any] = {"np": np}
    exec(compile(GIVEN, "<given>", "exec"), scope)
    return _same_code(getattr(answer, "__code__", None), scope["share_right"].__code__)


def _same_code(one: Any, other: Any) -> bool:
    """Compare two code objects, those of comprehensions inside them too, by all but their place."""
    if one is None or any(
        getattr(one, part) != getattr(other, part) for part in ("co_code", "co_names", "co_varnames", "co_freevars")
    ):
        return False
    pairs = list(zip(one.co_consts, other.co_consts, strict=False))
    return len(one.co_consts) == len(other.co_consts) and all(
        _same_code(a, b) if hasattr(b, "co_code") else a == b for a, b in pairs
    )


def _listing_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Reviews of very different lengths; the long ones are judged otherwise than the short ones."""
    cases = []
    for lengths, labels, hits in (
        ((9, 2, 3, 2, 4), (1, 0, 1, 1, 0), (0, 1, 1, 1, 0)),
        ((3, 8, 2, 6, 2, 3, 5), (0, 1, 1, 0, 1, 1, 1), (1, 1, 0, 0, 1, 0, 0)),
    ):
        rows = [
            ([101, *rng.integers(1000, 9000, size=n - 2).tolist(), 102], y)
            for n, y in zip(lengths, labels, strict=True)
        ]
        predicted = np.where(np.array(hits) == 1, labels, 1 - np.array(labels))
        # Both logits have the same sign in most rows: the larger one counts, not the sign.
        logits = rng.normal(size=(len(rows), 1)) + np.where(np.arange(2) == predicted[:, None], 0.4, -0.4)
        cases.append({"rows": rows, "logits": _plain(logits)})
    return cases


def _shares(*, padding: int | None, words: bool = True) -> Callable[[Rows, np.ndarray], float]:
    """Return the listing made to run: a label for every word, and for the padding if it has one."""

    def answer(rows: Rows, logits: np.ndarray) -> float:
        longest = max(len(ids) for ids, _ in rows)
        right: list[bool] = []
        for (ids, label), guess in zip(rows, logits.argmax(axis=1), strict=True):
            right += [guess == label] * (len(ids) if words else 1)
            right += [] if padding is None else [guess == padding] * (longest - len(ids))
        return float(np.mean(right))

    return answer


def _share_right(rows: Rows, logits: np.ndarray) -> float:
    return float(np.mean(logits.argmax(axis=1) == np.array([label for _, label in rows])))


class ListingExercise(FunctionExercise):
    """Knows the listing as it was given, and the fault that stops it."""

    def _judge(self, answer: Any) -> Verdict:
        verdict = super()._judge(answer)
        if verdict.status != NOT_ATTEMPTED and is_given(answer):
            return self._not_attempted(UNTOUCHED)
        if verdict.status == NOT_YET and "AxisError" in verdict.message and "axis 2" in verdict.message:
            return self._wrong(THIRD_AXIS)
        return verdict


def _course_share(advrec: ModuleType) -> Callable[..., Any]:
    def share_right(rows: Any, logits: Any) -> float:
        """Return the share of reviews whose predicted class is the label."""
        return _share_right(rows, logits)

    return share_right


LISTING = (
    Misconception(
        "padding is a class",
        "it runs, and the padding is counted: after its last word every review has the label 0, which is the class "
        "'not recommended'. A batch with one long review then looks as if most customers were unhappy. Does a review "
        "need labels for its words at all?",
        _shares(padding=0),
    ),
    Misconception(
        "padding is always wrong",
        "the padding has a label that is no class now, and is still compared: it counts as wrong each time. Does a "
        "review need labels for its words at all?",
        _shares(padding=-100),
    ),
    Misconception(
        "a review counts once a word",
        "the padding is out. But a review of nine tokens counts nine times and one of two counts twice: this is the "
        "share of right words, not of reviews. The label belongs to the review.",
        _shares(padding=None),
    ),
    Misconception(
        "argmax over the reviews",
        "argmax along axis 0 finds the review with the largest logit, for each of the classes. You want the class with "
        "the largest logit, for each review.",
        lambda rows, logits: float(
            np.mean([guess == label for guess, (_, label) in zip(logits.argmax(axis=0), rows, strict=False)])
        ),
    ),
    Misconception(
        "a threshold at zero",
        "you ask whether the logit of class 1 is above 0. With two logits the larger one wins: they may both be "
        "negative.",
        lambda rows, logits: float(np.mean((logits[:, 1] > 0) == np.array([label for _, label in rows]))),
    ),
    Misconception(
        "the share of wrong ones",
        "you count the reviews that are wrong.",
        lambda rows, logits: 1 - _share_right(rows, logits),
    ),
    Misconception(
        "a number of reviews",
        "you return how many reviews are right. The share of them is asked for.",
        lambda rows, logits: len(rows) * _share_right(rows, logits),
    ),
    Misconception(
        "one review short",
        "the first review is missing from the mean.",
        lambda rows, logits: _share_right(rows[1:], logits[1:]),
    ),
)

EXERCISES = [
    ChoiceExercise(
        "14.1",
        "predict: what do buckets save?",
        hints=(
            "Padding appears where lengths in a batch differ. Look at the picture above the card: how much do they "
            "differ among whole reviews?",
            "And after the cut? How many reviews are longer than the cut, and how long are they then?",
            "Most reviews are cut, so most have the same length. What could sorting by length still change?",
        ),
        answer="b",
        explanation="Buckets gain what the lengths differ by. Whole reviews have from a dozen to well over a hundred "
        "tokens; after the cut most have exactly as many as are allowed, and a random batch is full already.",
        wrong={
            "a": "That would be so if the cut left the lengths as different as they were. Look at the picture: how "
            "many reviews end left of the line, and what length do all the others get?",
            "c": "That is the wrong way round. In which of the two cases do the lengths in a random batch differ more?",
        },
    ),
    FunctionExercise(
        "14.2",
        "the mean of what is there",
        hints=(
            "Which entries of `ids` belong to padding? Make a mask of ones and zeros from that.",
            "The mask has the shape [n, t] and the states [n, t, d]: give the mask a third axis of length one.",
            "Multiply the states by the mask, sum along axis 1, and divide by the sum of the mask along axis 1. In "
            "PyTorch `(ids != 0).unsqueeze(-1)`, in TensorFlow `tf.cast(ids != 0, states.dtype)[:, :, None]`.",
        ),
        cases=_pool_cases,
        reference=reference_text.mean_pool,
        course=_course_pool,
        misconceptions=POOL,
        tensor=True,
    ),
    FunctionExercise(
        "14.3",
        "a loss with weights",
        hints=(
            "First get the loss of every text by itself, n numbers; then think about weights.",
            "The weight of a text is class_weights at its label. Multiply, then take the plain mean.",
            'In PyTorch `torch.nn.functional.cross_entropy(logits, labels, reduction="none")` and '
            "`class_weights[labels]`; in TensorFlow `tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, "
            "logits=logits)` and `tf.gather(class_weights, labels)`.",
        ),
        cases=_loss_cases,
        reference=reference_text.text_loss,
        course=lambda advrec: advrec.text_loss,
        misconceptions=LOSS,
        differentiate=("logits",),
        notice=_beyond_reach,
        used="The training below uses the package's text_loss, which computes the same.",
    ),
    FunctionExercise(
        "14.4",
        "calibration in one number",
        hints=(
            "Two arrays of length n are all you need: the confidence, and whether the prediction is right.",
            "`(confidence * bins).astype(int)` is the number of the bin. A confidence of exactly 1 would open a bin of "
            "its own: keep it in the last one.",
            "For each bin that is not empty: the share of predictions in it, times the absolute difference of its mean "
            "confidence and its share of right ones. Sum over the bins.",
        ),
        cases=_calibration_cases,
        keywords=("bins",),
        reference=lambda probabilities, labels, bins=10: classification.calibration_error(
            probabilities, labels, bins=bins
        ),
        course=_course_calibration,
        misconceptions=CALIBRATION,
        notice=_no_mean,
    ),
    ListingExercise(
        "14.5",
        "bug hunt: a borrowed listing",
        hints=(
            "Write the shapes beside every line, for three reviews of 4, 2 and 3 tokens.",
            "How many answers does the network give about a review? How many labels does the listing make of one?",
            "One label a review is all it takes: no widths, no padding, no inner loop. The class is the larger of the "
            "two logits in each row, `argmax(axis=1)`.",
        ),
        cases=_listing_cases,
        reference=_share_right,
        course=_course_share,
        misconceptions=LISTING,
    ),
]
