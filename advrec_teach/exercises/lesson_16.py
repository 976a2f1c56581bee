"""Exercises of lesson 16: HotFlip's estimate, what counts as a success, who may come in, and what withstands swaps."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import text_attacks
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception


def _plain(array: np.ndarray) -> Made:
    """Hand over a NumPy array as it is, in both tracks, and watch it."""
    return Made(lambda advrec: array.copy(), array, watch=lambda given: [given])


# --- 16.1: HotFlip's estimate


def _estimate_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Texts of some places, with more words than places and fewer; no vector has length 1."""
    cases = []
    for places, words, width in ((4, 7, 3), (6, 2, 5)):
        gradient, old, vectors = (rng.normal(size=(n, width)) for n in (places, places, words))
        cases.append({"gradient": _plain(gradient), "old": _plain(old), "vectors": _plain(1.7 * vectors)})
    return cases


def _distances(old: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(vectors[None] - old[:, None], axis=2))


def _rows_of_length_one(array: np.ndarray) -> np.ndarray:
    return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True))


ESTIMATE = (
    Misconception(
        "the old word is not subtracted",
        "you have v_j . g. That would be the change if the new word came on top of the old one. It comes in its place: "
        "which vector leaves?",
        lambda gradient, old, vectors: gradient @ vectors.T,
    ),
    Misconception(
        "the wrong way round",
        "your estimate is that of the way back, from the new word to the old one: its sign is the other. A swap that "
        "raises the loss should get a positive number.",
        lambda gradient, old, vectors: -text_attacks.swap_estimates(gradient, old, vectors),
    ),
    Misconception(
        "both vectors added",
        "you add the vector that leaves. The move goes from v_i to v_j: what is their difference?",
        lambda gradient, old, vectors: gradient @ vectors.T + (gradient * old).sum(axis=1, keepdims=True),
    ),
    Misconception(
        "one sum for all places",
        "you subtract one sum over all places. Each place loses its own v_i . g_t: one number a row.",
        lambda gradient, old, vectors: gradient @ vectors.T - (gradient * old).sum(),
    ),
    Misconception(
        "the old words of other places",
        "you subtract products of a place's gradient with the old words of other places. Each place loses its own "
        "v_i . g_t: multiply entry by entry, then sum along axis 1.",
        lambda gradient, old, vectors: gradient @ vectors.T - (gradient @ old.T).sum(axis=1, keepdims=True),
    ),
    Misconception(
        "divided by the length of the move",
        "you divide by the length of the move: that is the slope in its direction, the change for a step of length 1. "
        "The swap goes the whole way, so the length counts.",
        lambda gradient, old, vectors: text_attacks.swap_estimates(gradient, old, vectors) / _distances(old, vectors),
    ),
    Misconception(
        "gradient of length 1",
        "you bring each gradient to length 1. Then places cannot be compared with each other any more: a place with a "
        "steep gradient changes the loss more.",
        lambda gradient, old, vectors: text_attacks.swap_estimates(_rows_of_length_one(gradient), old, vectors),
    ),
    Misconception(
        "sign of the gradient",
        "you take the sign of the gradient, as FGSM does for its move. Here the move is given, a word's vector minus "
        "another's, and you ask what it does to the loss: that needs the gradient itself.",
        lambda gradient, old, vectors: text_attacks.swap_estimates(np.sign(gradient), old, vectors),
    ),
    Misconception(
        "cosines",
        "this is the cosine of the new word's vector and the gradient. It says which way, not how far; and the "
        "old word "
        "does not appear.",
        lambda gradient, old, vectors: _rows_of_length_one(gradient) @ _rows_of_length_one(vectors).T,
    ),
    Misconception(
        "words by places",
        "the numbers are right, the axes are not: a row is a place, a column is a word.",
        lambda gradient, old, vectors: text_attacks.swap_estimates(gradient, old, vectors).T,
    ),
    Misconception(
        "absolute change",
        "you take the absolute value: swaps that lower the loss then look like swaps that raise it. An attacker wants "
        "the second kind.",
        lambda gradient, old, vectors: np.abs(text_attacks.swap_estimates(gradient, old, vectors)),
    ),
    Misconception(
        "old words times vectors",
        "you multiply the old vectors with the new ones: no gradient, so nothing about the loss. The gradient "
        "multiplies "
        "both vectors.",
        lambda gradient, old, vectors: (
            gradient @ vectors.T - old @ vectors.T if len(old) != len(vectors) else old @ vectors.T
        ),
    ),
)

# --- 16.2: what counts as a success


def _success_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Texts right and wrong before; attacks that work, work by ids only, help the classifier, or do nothing."""
    cases = []
    for repeats in ((4, 3, 2, 3, 1, 2, 1), (3, 1, 3, 1, 2, 1, 2)):
        # Right before? wrong by ids? wrong when read again?
        kinds = [(1, 1, 1), (1, 1, 0), (1, 0, 0), (0, 1, 1), (0, 0, 0), (1, 0, 1), (0, 1, 0)]
        rows = rng.permutation(np.repeat(kinds, repeats, axis=0))
        labels = rng.integers(0, 2, size=len(rows))
        logits = []
        for wrong in (1 - rows[:, 0], rows[:, 1], rows[:, 2]):
            predicted = np.where(wrong == 1, 1 - labels, labels)
            # Both logits have the same sign in most rows.
            logits.append(rng.normal(size=(len(rows), 1)) + np.where(np.arange(2) == predicted[:, None], 0.4, -0.4))
        before, after, reread = logits
        names = ("before", "after", "reread", "labels")
        cases.append(dict(zip(names, map(_plain, (before, after, reread, labels)), strict=True)))
    return cases


def _rate(*, ids: bool, predicted: bool, everybody: bool) -> Callable[..., float]:
    """Return the listing with some of its three faults: judged by ids, against the prediction, of all texts."""

    def answer(before: np.ndarray, after: np.ndarray, reread: np.ndarray, labels: np.ndarray) -> float:
        guess = before.argmax(axis=1)
        fooled = (after if ids else reread).argmax(axis=1) != (guess if predicted else labels)
        return float(fooled.mean() if everybody else fooled[guess == labels].mean())

    return answer


def _course_success(advrec: ModuleType) -> Callable[..., Any]:
    return _rate(ids=False, predicted=False, everybody=False)


SUCCESS = (
    Misconception(
        "as given",
        "this is the listing as it was given. Take a text that the classifier got wrong before the attack: when does "
        "the listing count it?",
        _rate(ids=True, predicted=True, everybody=True),
        as_given=True,
    ),
    Misconception(
        "still by ids",
        "labels and texts are right now, but you judge by the ids that the attack returned. They need not exist as a "
        "text: which logits belong to the text that somebody would read?",
        _rate(ids=True, predicted=False, everybody=False),
    ),
    Misconception(
        "against the prediction, all texts",
        "the texts are read again. But you compare with what was predicted before: a text that was wrong and that the "
        "attack puts right counts as a success. Whose answer should the attacked text be compared with, and "
        "which texts "
        "should count?",
        _rate(ids=False, predicted=True, everybody=True),
    ),
    Misconception(
        "wrong before counts",
        "you compare with the labels, and a text that was wrong before and still is counts as a success, although "
        "nothing was done. Which texts can an attack succeed on at all?",
        _rate(ids=False, predicted=False, everybody=True),
    ),
    Misconception(
        "wrong before counts, by ids",
        "you compare with the labels, but by the ids of the attack, and over all texts: a text that was wrong before "
        "counts although nothing was done. Two faults are left.",
        _rate(ids=True, predicted=False, everybody=True),
    ),
    Misconception(
        "share of all texts",
        "you count the right successes and divide by all texts. A text that was wrong before cannot be won: divide by "
        "those that were right.",
        lambda before, after, reread, labels: float(
            ((before.argmax(1) == labels) & (reread.argmax(1) != labels)).mean()
        ),
    ),
    Misconception(
        "a number of texts",
        "this is how many texts were fooled. A share is asked for.",
        lambda before, after, reread, labels: int(((before.argmax(1) == labels) & (reread.argmax(1) != labels)).sum()),
    ),
    Misconception(
        "both must be fooled",
        "you ask that ids and text both fool the classifier. The ids are of no interest: a text that fools when it is "
        "read is a success, whatever the ids did.",
        lambda before, after, reread, labels: float(
            ((after.argmax(1) != labels) & (reread.argmax(1) != labels))[before.argmax(1) == labels].mean()
        ),
    ),
    Misconception(
        "wrong before in the count only",
        "you divide by the texts that were right, but count also those that were wrong before and still are.",
        lambda before, after, reread, labels: float(
            (reread.argmax(1) != labels).sum() / (before.argmax(1) == labels).sum()
        ),
    ),
    Misconception(
        "survival",
        "this is the share that the attack did not fool. You want the others.",
        lambda before, after, reread, labels: float((reread.argmax(1) == labels)[before.argmax(1) == labels].mean()),
    ),
    Misconception(
        "share of the wrong ones",
        "you divide by the texts that are wrong in the end. The question is: of those that were right at first, "
        "how many "
        "are wrong now?",
        lambda before, after, reread, labels: float(
            ((before.argmax(1) == labels) & (reread.argmax(1) != labels)).sum() / (reread.argmax(1) != labels).sum()
        ),
    ),
)

# --- 16.3: who may come in

STOPS = {"not", "but", "the", "very", "is"}
TOKENS = [
    "dress",
    "##ing",
    "not",
    "love",
    "!",
    "[MASK]",
    "size",
    "but",
    "##dress",
    "3",
    "x",
    "xs",
    "lovely",
    "the",
    "a1",
    "skirt",
    "[CLS]",
]


def _permitted_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Words in small letters and with capitals, words of the list, and stop words."""
    cases = []
    for old in ("love", "Love", "DRESS", "hated", "not", "Not", "Skirt"):
        tokens = [TOKENS[place] for place in rng.permutation(len(TOKENS))]
        cases.append({"old": old, "tokens": tokens, "stop_words": set(STOPS)})
    return cases


def _permitted(
    old: str,
    tokens: Sequence[str],
    stop_words: set[str],
    *,
    capitals: bool = True,
    pieces: bool = True,
    letters: bool = True,
    comes: bool = True,
    goes: bool = True,
    itself: bool = True,
) -> np.ndarray:
    """Apply the rules; each switch leaves one out."""
    low = old.lower() if capitals else old
    found = [
        (not letters or token.lstrip("#" if not pieces else "").isalpha())
        and (letters or not pieces or not token.startswith("##"))
        and (not comes or token not in stop_words)
        and (not itself or token != low)
        for token in tokens
    ]
    return np.array(found) & (not goes or low not in stop_words)


def _without(**rules: bool) -> Callable[..., np.ndarray]:
    return lambda old, tokens, stop_words: _permitted(old, tokens, stop_words, **rules)


def _course_permitted(advrec: ModuleType) -> Callable[..., Any]:
    def permitted(old: str, tokens: Sequence[str], *, stop_words: set[str]) -> np.ndarray:
        """Say of each token whether it may replace the word."""
        return _permitted(old, tokens, stop_words)

    return permitted


PERMITTED = (
    Misconception(
        "capitals",
        'right for words in small letters. "Not" is a stop word as well, and "love" is the same word as "Love": the '
        "tokens and the stop words are in small letters, and the word may not be.",
        _without(capitals=False),
    ),
    Misconception(
        "pieces come in",
        'you let in tokens such as "##ing". They continue a word, so they melt into the one before them.',
        _without(pieces=False),
    ),
    Misconception(
        "signs and digits come in",
        'you let in tokens such as "!", "3" or "[MASK]". Which strings hold nothing but letters?',
        _without(letters=False),
    ),
    Misconception(
        "pieces, signs and digits come in",
        'you let in anything that is no stop word, "##ing" and "[MASK]" as well. Which strings hold nothing but '
        "letters?",
        _without(letters=False, pieces=False),
    ),
    Misconception(
        "stop words come in",
        'a stop word may come in: "love" may become "not". They should neither go nor come.',
        _without(comes=False),
    ),
    Misconception(
        "stop words go",
        'a stop word may go: "not" may become "dress". If the word itself is a stop word, nothing may replace it.',
        _without(goes=False),
    ),
    Misconception(
        "stop words go and come",
        "you never look at the stop words. They should neither go nor come.",
        _without(goes=False, comes=False),
    ),
    Misconception(
        "the word itself",
        "the word may replace itself. That is no swap, and it would use up the budget.",
        _without(itself=False),
    ),
    Misconception(
        "digits come in",
        'you let in "3" or "a1". Which strings hold nothing but letters? isalnum() also takes digits.',
        lambda old, tokens, stop_words: (
            np.array([token.isalnum() and token not in stop_words and token != old.lower() for token in tokens])
            & (old.lower() not in stop_words)
        ),
    ),
    Misconception(
        "one letter does not come in",
        "you refuse short tokens. The two rules say nothing of a word's length.",
        lambda old, tokens, stop_words: (
            _permitted(old, tokens, stop_words) & np.array([len(token) > 1 for token in tokens])
        ),
    ),
    Misconception(
        "the same beginning",
        'you refuse words that begin like the old one, such as "lovely" for "love". Only the word itself is no swap.',
        lambda old, tokens, stop_words: (
            _permitted(old, tokens, stop_words) & np.array([not token.startswith(old.lower()) for token in tokens])
        ),
    ),
    Misconception(
        "the other way round",
        "your truth values are the opposite: True means that the token may come in.",
        lambda old, tokens, stop_words: ~_permitted(old, tokens, stop_words),
    ),
)


def _truth_values(result: Any, truth: Any, **inputs: Any) -> str | None:
    """Ask for one truth value a token where a list of tokens came back."""
    if isinstance(result, np.ndarray) and result.dtype.kind in "UO":
        return "your function returns the tokens themselves. It should say True or False for each of them."
    return None


EXERCISES = [
    FunctionExercise(
        "16.1",
        "HotFlip's estimate",
        hints=(
            "Multiply out the equation: (v_j - v_i) . g is v_j . g minus v_i . g. Which of the two depends on "
            "the word, "
            "and which only on the place?",
            "The first is one matrix product of shapes [t, d] and [d, V]. The second is one number for each place.",
            "`gradient @ vectors.T` minus `(gradient * old).sum(axis=1, keepdims=True)`.",
        ),
        cases=_estimate_cases,
        reference=text_attacks.swap_estimates,
        course=lambda advrec: text_attacks.swap_estimates,
        misconceptions=ESTIMATE,
    ),
    FunctionExercise(
        "16.2",
        "bug hunt: what counts as a success",
        hints=(
            "Take four texts: right before or wrong before, fooled or not. Which of them does the listing count? Which "
            "should it?",
            "An attacked text is wrong if it differs from its *label*; it can only be won if it was right "
            "before; and it "
            "is the text that counts, not the ids.",
            "`right = before.argmax(axis=1) == labels` and `wrong = reread.argmax(axis=1) != labels`. The rate is the "
            "number of texts with both, over the number with the first.",
        ),
        cases=_success_cases,
        reference=_rate(ids=False, predicted=False, everybody=False),
        course=_course_success,
        misconceptions=SUCCESS,
    ),
    FunctionExercise(
        "16.3",
        "the words that may come in",
        hints=(
            'Which method of a string says that it holds nothing but letters? Try it on "##ing" and "[MASK]".',
            "Bring `old` to small letters first. Then there are three conditions on a token, and one on `old` alone.",
            "`np.array([t.isalpha() and t not in stop_words and t != old for t in tokens])`, and all of it False if "
            "`old` is in `stop_words`.",
        ),
        cases=_permitted_cases,
        keywords=("stop_words",),
        reference=_permitted,
        course=_course_permitted,
        misconceptions=PERMITTED,
        notice=_truth_values,
    ),
    ChoiceExercise(
        "16.4",
        "predict: who withstands HotFlip?",
        hints=(
            "FGM moves the vectors of a text by a small length in all. How long is the way from one word to the next?",
            "Random swaps made unseen fooled the model rarely. How much can a model learn from examples that it "
            "gets right?",
            "Which of the three shows the model what the attack will use?",
        ),
        answer="b",
        explanation="The attack's own swaps are what the next attack will try again, and the model has seen "
        "them with the "
        "right label. Random swaps seldom fool the model, so there is less to learn from them.",
        wrong={
            "a": "Both come from one gradient, but not from one move: FGM takes a short step off the words, a "
            "swap jumps "
            "to another word. Compare the two lengths.",
            "c": "They come from the same list, but random swaps made unseen hardly fooled the model. What is there to "
            "learn from a text that it already gets right?",
        },
    ),
]
