"""Attacks that change words of a text: edits, what they may be, the search for one that fools. Knows no framework.

A text stays a string throughout. Whatever a search reports was measured on strings that the classifier's own tokenizer
read anew: an edit that exists only as token ids is no edit of a text.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advrec_teach import texts

WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
"""What counts as a word: letters, with an apostrophe inside."""

STOP_WORDS = frozenset(
    """
    a about above after again all also although always am an and another any anyone anything are aren as at away
    back be because been before being below between both but by can cannot could couldn did didn do does doesn
    doing don done down during each either else enough even ever every everyone everything few for from further
    get gets getting go goes going got had hadn has hasn have having he her here hers herself him himself his how
    however i if in into is isn it its itself just least less made make makes many may maybe me might mine more
    most much must my myself near neither never no nobody none nor not nothing now of off often on once one only
    onto or other others otherwise our ours out over own per perhaps quite rather really same seem seemed seems
    several shall she should shouldn since so some someone something sometimes still such than that the their them
    then there these they this those though through till to together too toward under unless until up upon us very
    was wasn we were weren what when where whether which while who whom whose why will with within without won
    would wouldn yeah yes yet you your yours yourself
    """.split()  # noqa: SIM905
)
"""Words that no edit touches and none brings in: grammar, and above all what negates."""

KEYBOARD = {
    key: tuple(near)
    for key, near in {
        "a": "qwsz", "b": "vghn", "c": "xdfv", "d": "serfcx", "e": "wsdr", "f": "drtgvc", "g": "ftyhbv", "h": "gyujnb",
        "i": "ujko", "j": "huikmn", "k": "jiolm", "l": "kop", "m": "njk", "n": "bhjm", "o": "iklp", "p": "ol",
        "q": "wa", "r": "edft", "s": "awedxz", "t": "rfgy", "u": "yhji", "v": "cfgb", "w": "qase", "x": "zsdc",
        "y": "tghu", "z": "asx",
    }.items()
}  # fmt: skip
"""Keys beside each key of an English keyboard."""

SHORTEST_TYPO = 4

Edit = tuple[int, str]
"""The number of a word in its text, and what is written in its place."""
Logits = Callable[[Sequence[str]], NDArray]
"""Maps n texts to logits [n, classes]: the only door to the classifier. Each text counts as one query."""
Options = Callable[[str], Sequence[str]]
"""Maps a word to what may stand in its place."""


def words(text: str) -> list[str]:
    """Return the words of a text, in order, as they are written."""
    return WORD.findall(text)


def rewrite(text: str, edits: Mapping[int, str]) -> str:
    """Return the text with some of its words, given by number, written differently; a capital stays a capital.

    Raises
    ------
    IndexError
        If the text has no such word.
    """
    found = list(WORD.finditer(text))
    for number in sorted(edits, reverse=True):
        if not 0 <= number < len(found):
            raise IndexError(f"Word {number} is asked for; the text has {len(found)}.")
        word, new = found[number], edits[number]
        if word.group()[0].isupper():
            shouted = len(word.group()) > 1 and word.group().isupper()
            new = new.upper() if shouted else new[:1].upper() + new[1:]
        text = text[: word.start()] + new + text[word.end() :]
    return text


def without(text: str, number: int) -> str:
    """Return the text with word ``number`` replaced by [MASK], MiniLM's sign for a hidden word."""
    word = list(WORD.finditer(text))[number]
    return f"{text[: word.start()]}[MASK]{text[word.end() :]}"


def first_words(text: str, count: int) -> str:
    """Return the beginning of a text, ``count`` of its parts between blanks at most, single blanks between them."""
    return " ".join(text.split()[:count])


def editable(word: str) -> bool:
    """Say whether an edit may touch this word: three letters or more, nothing but letters, no stop word."""
    return len(word) > 2 and word.isascii() and word.isalpha() and word.lower() not in STOP_WORDS


def token_places(listed: Sequence[str], *, max_length: int) -> list[NDArray[np.int64]]:
    """Return where the classifier reads each word: for each text, one number a word.

    Parameters
    ----------
    listed
        The texts.
    max_length
        The most tokens that are read, as in :func:`advrec_teach.texts.encode`.

    Returns
    -------
    list of numpy.ndarray
        The place of the word's token; -1 for a word of several pieces, or one that is cut off.
    """
    places = []
    for text, encoding in zip(listed, texts.tokenizer().encode_batch(list(listed)), strict=True):
        at = {span: place for place, span in enumerate(encoding.offsets) if 0 < place < max_length - 1}
        places.append(np.array([at.get(word.span(), -1) for word in WORD.finditer(text)], dtype=np.int64))
    return places


def common_words(listed: Iterable[str], *, least: int = 8) -> list[str]:
    """Return the words that swaps are chosen from, most frequent first.

    Words in small letters that `editable` allows, that are one token of MiniLM, and that at least ``least`` of the
    texts use: what customers write.
    """
    counts = Counter(word for text in listed for word in {word.lower() for word in words(text)})
    vocabulary = texts.tokenizer().get_vocab()
    kept = [(-count, word) for word, count in counts.items() if count >= least and word in vocabulary]
    return [word for _, word in sorted(kept) if editable(word)]


@dataclass(frozen=True, eq=False)
class Swaps:
    """Words that may stand for each other because an encoder puts them close together.

    Attributes
    ----------
    words
        V different words in small letters.
    vectors
        One vector a word, shape ``[V, d]``; they are brought to length 1.
    least
        The least cosine of two words that may be swapped; -1 allows all.

    Raises
    ------
    ValueError
        If the shapes do not fit, a word occurs twice, or a vector is zero.
    """

    words: Sequence[str]
    vectors: NDArray
    least: float = 0.6
    _row: dict[str, int] = field(init=False, repr=False)
    _known: dict[str, list[str]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        vectors = np.asarray(self.vectors, np.float32)
        row = {word: number for number, word in enumerate(self.words)}
        if vectors.ndim != 2 or len(vectors) != len(self.words) or len(row) != len(self.words):
            raise ValueError(f"{len(self.words)} words need as many vectors, and each word once.")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (lengths > 0).all():
            raise ValueError("A word has the vector zero, which has no direction.")
        object.__setattr__(self, "vectors", vectors / lengths)
        object.__setattr__(self, "_row", row)

    def cosines(self, word: str) -> NDArray:
        """Return the cosine of a known word with all words, shape [V]."""
        return self.vectors @ self.vectors[self._row[word.lower()]]

    def __call__(self, word: str) -> list[str]:
        """Return what may stand for a word, closest first; nothing for a word that is not known or not editable.

        A swap brings in another word, not another form of the same one ("love", "loving"), and one with the same
        ending ("loved" for "liked", not "like"), so that the sentence has a chance to stay one.
        """
        word = word.lower()
        if word not in self._row or not editable(word):
            return []
        if word not in self._known:
            cosines = self.cosines(word)
            order = np.argsort(-cosines, kind="stable")
            close = (self.words[number] for number in order if cosines[number] >= self.least)
            self._known[word] = [
                other for other in close if ending(other) == ending(word) and stem(other) != stem(word)
            ]
        return self._known[word]


ENDINGS = ("ing", "ed", "ly", "est", "er", "s")


def ending(word: str) -> str:
    """Return which of `ENDINGS` a word has, "" if none: a poor man's part of speech, as the course has no tagger.

    At least three letters stand before an ending, and "ss" is none: "dress" has no ending, "dresses" has.
    """
    fits = (end for end in ENDINGS if word.endswith(end) and len(word) - len(end) >= 3 and not word.endswith("ss"))
    return next(fits, "")


def stem(word: str) -> str:
    """Return a word without its ending, without a last "e" or "i", and without a doubled last letter."""
    left = word[: len(word) - len(ending(word))]
    left = left[:-1] if len(left) > 3 and left[-1] in "ei" else left
    return left[:-1] if len(left) > 3 and left[-1] == left[-2] else left


def typos(word: str, *, kinds: Sequence[str] = ("swap", "drop", "insert", "key")) -> list[str]:
    """Return all ways to mistype a word in one place; the first and the last letter stay (Pruthi et al., 2019).

    Parameters
    ----------
    word
        A word that `editable` allows, with four letters or more; others have no typos.
    kinds
        ``"swap"``: two neighbours change places; ``"drop"``: one is missing; ``"insert"``: one that lies beside it on
        the keyboard slips in after it; ``"key"``: one that lies beside it is struck in its place.

    Raises
    ------
    ValueError
        If a kind is unknown.
    """
    if unknown := set(kinds) - {"swap", "drop", "insert", "key"}:
        raise ValueError(f"No such kind of typo: {', '.join(sorted(unknown))}.")
    word = word.lower()
    if not editable(word) or len(word) < SHORTEST_TYPO:
        return []
    made: list[str] = []
    for k in range(1, len(word) - 1):
        head, letter, tail = word[:k], word[k], word[k + 1 :]
        if "swap" in kinds and k + 2 < len(word):
            made.append(head + tail[0] + letter + tail[1:])
        if "drop" in kinds:
            made.append(head + tail)
        for near in KEYBOARD[letter]:
            if "insert" in kinds:
                made.append(head + letter + near + tail)
            if "key" in kinds:
                made.append(head + near + tail)
    return [new for new in dict.fromkeys(made) if new != word]


def swap_estimates(gradient: ArrayLike, old: ArrayLike, vectors: ArrayLike) -> NDArray:
    """Return HotFlip's estimate of how much the loss rises when the word at a place becomes another.

    (v_j - v_i) . g for each place, whose word i stands at v_i and has the gradient g, and each word j.

    Parameters
    ----------
    gradient, old
        Gradient of the loss with respect to the words' vectors, and these vectors, both of shape ``[t, d]``.
    vectors
        Vectors of the words that may come in, shape ``[V, d]``.

    Returns
    -------
    numpy.ndarray
        Shape ``[t, V]``.

    Notes
    -----
    Ebrahimi, Rao, Lowd and Dou, "HotFlip: White-Box Adversarial Examples for Text Classification", ACL 2018.
    """
    g = np.asarray(gradient)
    return np.asarray(g @ np.asarray(vectors).T - (g * np.asarray(old)).sum(axis=-1, keepdims=True))


@dataclass
class State:
    """Where the search stands with one text: its number, its text as it is now, and the words already changed."""

    row: int
    text: str
    edited: set[int] = field(default_factory=set)


Propose = Callable[[Sequence[State]], list[list[Edit]]]
"""Maps the texts that are not fooled yet to the edits that are tried on each: one round of a search."""


def _open(state: State, options: Options) -> list[tuple[int, Sequence[str]]]:
    """Return the words of a text that may still be changed, by number, with what may stand in their place."""
    listed = ((number, options(word)) for number, word in enumerate(words(state.text)) if number not in state.edited)
    return [(number, found) for number, found in listed if len(found)]


def by_chance(options: Options, *, count: int, seed: int = 0) -> Propose:
    """Propose ``count`` edits drawn at random: a word that may be changed, and one of its options."""
    rng = np.random.default_rng(seed)

    def propose(states: Sequence[State]) -> list[list[Edit]]:
        return [_draw(state) for state in states]

    def _draw(state: State) -> list[Edit]:
        left = _open(state, options)
        if not left:
            return []
        drawn: dict[Edit, None] = {}
        for _ in range(4 * count):  # some draws repeat
            number, found = left[rng.integers(len(left))]
            drawn[number, found[int(rng.integers(len(found)))]] = None
            if len(drawn) == count:
                break
        return list(drawn)

    return propose


def by_gradient(
    options: Options,
    slopes: Callable[[Sequence[int], Sequence[str]], NDArray],
    vectors: Callable[[Sequence[str]], NDArray],
    *,
    count: int,
    max_length: int,
    estimate: Callable[[NDArray, NDArray, NDArray], NDArray] = swap_estimates,
) -> Propose:
    """Propose the ``count`` swaps whose estimate is highest.

    Parameters
    ----------
    options
        What may stand for a word; each is one token.
    slopes
        Maps numbers of texts, and what these texts are now, to the gradient of each text's own loss with respect to
        the vectors of its tokens, shape ``[n, t, d]``.
    vectors
        Maps n words, each of them one token, to their vectors, shape ``[n, d]``.
    count
        Swaps a round.
    max_length
        The most tokens that are read.
    estimate
        As `swap_estimates`.
    """

    def propose(states: Sequence[State]) -> list[list[Edit]]:
        listed = [state.text for state in states]
        gradients = slopes([state.row for state in states], listed)
        places = token_places(listed, max_length=max_length)
        return [_best(*given) for given in zip(states, gradients, places, strict=True)]

    def _best(state: State, gradient: NDArray, places: NDArray) -> list[Edit]:
        edits: list[Edit] = []
        scores: list[NDArray] = []
        spelled = words(state.text)
        for number, found in _open(state, options):
            if places[number] < 0:
                continue
            old, new = vectors([spelled[number].lower()]), vectors(found)
            scores.append(np.ravel(estimate(gradient[places[number]][None], old, new)))
            edits += [(number, word) for word in found]
        if not edits:
            return []
        order = np.argsort(-np.concatenate(scores), kind="stable")[:count]
        return [edits[place] for place in order]

    return propose


def leave_one_out(listed: Sequence[str], labels: ArrayLike, logits: Logits, options: Options) -> list[list[Edit]]:
    """Return the words that may be changed, the most important first, as edits that hide them: one query a word.

    A word is important if the margin of the right class falls much when the word is hidden, see `without` (the first
    half of Jin et al., "Is BERT Really Robust?", AAAI 2020, which deletes the word). Texts without such a word have an
    empty list.
    """
    numbers = [[number for number, _ in _open(State(row, text), options)] for row, text in enumerate(listed)]
    hidden = [without(text, number) for text, mine in zip(listed, numbers, strict=True) for number in mine]
    whose = np.repeat(np.asarray(labels), [len(mine) for mine in numbers])
    found = margins(logits(hidden), whose) if hidden else np.empty(0)
    order: list[list[Edit]] = []
    for mine, part in zip(numbers, np.split(found, np.cumsum([len(mine) for mine in numbers])[:-1]), strict=True):
        order.append([(mine[place], "[MASK]") for place in np.argsort(part, kind="stable")])
    return order


def by_order(options: Options, order: Sequence[Sequence[Edit]], *, count: int, seed: int = 0) -> Propose:
    """Propose edits of the most important word not yet changed: ``count`` of its options, drawn at random.

    ``order`` is what `leave_one_out` returned for the same texts. A text gets as many options as the other searches
    do; where its most important word has fewer, the next word fills up.
    """
    rng = np.random.default_rng(seed)

    def propose(states: Sequence[State]) -> list[list[Edit]]:
        return [_next(state) for state in states]

    def _next(state: State) -> list[Edit]:
        left = dict(_open(state, options))
        edits: list[Edit] = []
        for number, _ in order[state.row]:
            if number in left and len(edits) < count:
                found = left[number]
                drawn = rng.permutation(len(found))[: count - len(edits)]
                edits += [(number, found[place]) for place in drawn]
        return edits

    return propose


def check_labels(labels: ArrayLike, classes: int) -> None:
    """Raise a ValueError if a label is no class."""
    found = np.asarray(labels)
    if found.size and (found.min() < 0 or found.max() >= classes):
        raise ValueError(f"Labels run from {found.min()} to {found.max()}, and the model knows 0 to {classes - 1}.")


def margins(logits: ArrayLike, labels: ArrayLike) -> NDArray:
    """Return the logit of the right class minus the largest other one, shape [n]: below 0 where a text is wrong."""
    found, right = np.array(logits, np.float64), np.asarray(labels)
    rows = np.arange(len(found))
    own = found[rows, right]
    found[rows, right] = -np.inf
    return np.asarray(own - found.max(axis=1))


@dataclass(frozen=True, eq=False)
class AttackedTexts:
    """What a search made of n texts.

    Attributes
    ----------
    before, after
        The texts as they were and as they are.
    labels
        The right classes, shape ``[n]``.
    right
        Whether the classifier was right about the text before; only these are attacked, shape ``[n]``.
    fooled
        Whether it is wrong about what the search left, where it was right before, shape ``[n]``.
    edits
        For each text the words changed: by number, what is written now.
    queries
        Texts that the classifier was shown for each text, shape ``[n]``; gradients are counted by ``rounds``.
    rounds
        Rounds that each text was in, shape ``[n]``.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    labels: NDArray[np.int64]
    right: NDArray[np.bool_]
    fooled: NDArray[np.bool_]
    edits: tuple[dict[int, str], ...]
    queries: NDArray[np.int64]
    rounds: NDArray[np.int64]

    @property
    def success(self) -> float:
        """Share of the texts that the classifier was right about and is wrong about now; nan if it was never right."""
        return float(self.fooled.sum() / self.right.sum()) if self.right.any() else float("nan")

    def by_class(self) -> NDArray[np.float64]:
        """Return `success` for each class by itself, shape [classes]; nan for one in which nothing was right.

        A classifier that leans to one class has few texts of the other to lose, and one rate for all hides that.
        """
        of_class = [self.labels == kind for kind in range(int(self.labels.max(initial=0)) + 1)]
        with np.errstate(invalid="ignore"):
            return np.array([self.fooled[rows].sum() / np.float64(self.right[rows].sum()) for rows in of_class])

    def success_after(self, queries: int) -> float:
        """Share of the texts, among those right before, that were fooled with at most so many queries."""
        return float((self.fooled & (self.queries <= queries)).sum() / max(self.right.sum(), 1))


def search(
    listed: Sequence[str],
    labels: ArrayLike,
    logits: Logits,
    propose: Propose,
    *,
    edits: int,
    accept: Callable[[Sequence[int], Sequence[str]], NDArray] | None = None,
    keep_best: bool = True,
    spent: ArrayLike | None = None,
) -> AttackedTexts:
    """Change a word a round until the classifier is wrong, or ``edits`` words are changed.

    In a round `propose` names edits of each text; the classifier is shown all of them, in one call; the edit with the
    smallest margin of the right class is made. All candidates of a round are one batch, and a text that is fooled
    takes no part in the next one.

    Parameters
    ----------
    listed, labels
        n texts and their right classes. A text that is wrong before the attack is left alone and is no success.
    logits
        The classifier.
    propose
        `by_gradient`, `by_chance`, `by_order` or another rule.
    edits
        Budget: words that may be changed in a text.
    accept
        Maps numbers of texts and candidates to whether they may be used, such as "still means the same". Of the
        edits of a round only the best three are asked about. It does not see the classifier.
    keep_best
        Make an edit only if it lowers the margin; else the best of the round is made anyway.
    spent
        Queries that were made beforehand, shape ``[n]``.

    Raises
    ------
    ValueError
        If the budget is negative, or texts and labels differ in number.
    """
    right_class = np.asarray(labels, np.int64)
    if edits < 0 or right_class.shape != (len(listed),):
        raise ValueError(f"edits must not be negative, and {len(listed)} texts need as many labels.")
    queries = np.ones(len(listed), np.int64) + (0 if spent is None else np.asarray(spent, np.int64))
    rounds = np.zeros(len(listed), np.int64)
    margin = margins(logits(listed), right_class) if len(listed) else np.empty(0)
    right = margin > 0
    states = [State(row, text) for row, text in enumerate(listed)]
    done: list[dict[int, str]] = [{} for _ in listed]
    for _ in range(edits):
        active = [state for state in states if margin[state.row] > 0]
        proposed = propose(active) if active else []
        tried = [
            (state, edit, rewrite(state.text, {edit[0]: edit[1]}))
            for state, found in zip(active, proposed, strict=True)
            for edit in found
        ]
        if not tried:
            break
        rows = np.array([state.row for state, _, _ in tried])
        np.add.at(queries, rows, 1)
        rounds[np.unique(rows)] += 1
        found = margins(logits([text for _, _, text in tried]), right_class[rows])
        for place in _chosen(rows, found, [text for _, _, text in tried], accept):
            state, (number, word), text = tried[place]
            if found[place] < margin[state.row] or not keep_best:
                state.text, margin[state.row] = text, found[place]
                done[state.row][number] = word
            state.edited.add(number)
    return AttackedTexts(
        before=tuple(listed),
        after=tuple(state.text for state in states),
        labels=right_class,
        right=right,
        fooled=right & (margin <= 0),
        edits=tuple(done),
        queries=queries,
        rounds=rounds,
    )


def _chosen(
    rows: NDArray, margin: NDArray, candidates: Sequence[str], accept: Callable[..., NDArray] | None, *, most: int = 3
) -> list[int]:
    """Return the place of the best candidate of each text that is accepted, if one of its ``most`` best is."""
    order = np.lexsort((margin, rows))
    first = np.r_[True, rows[order][1:] != rows[order][:-1]]
    rank = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    if accept is None:
        return [int(place) for place in order[rank == 0]]
    best: dict[int, int] = {}
    for level in range(most):  # the second best is asked about only where the best was refused
        asked = [int(place) for place in order[rank == level] if int(rows[place]) not in best]
        if not asked:
            break
        allowed = accept([int(rows[place]) for place in asked], [candidates[place] for place in asked])
        best |= {int(rows[place]): place for place, fits in zip(asked, allowed, strict=True) if fits}
    return list(best.values())


def random_edits(text: str, options: Options, *, edits: int, rng: np.random.Generator) -> str:
    """Return the text with up to ``edits`` of its words changed at random, each to one of its options."""
    left = [(number, found) for number, found in _open(State(0, text), options)]
    chosen = rng.permutation(len(left))[:edits]
    return rewrite(text, {left[k][0]: left[k][1][rng.integers(len(left[k][1]))] for k in chosen})


def marked(before: str, edits: Mapping[int, str]) -> str:
    """Return HTML of a text with its changes: the old word struck out, the new one in bold; everything is escaped."""
    parts, end = [], 0
    for number, word in enumerate(WORD.finditer(before)):
        if number not in edits:
            continue
        new = words(rewrite(word.group(), {0: edits[number]}))
        parts.append(html.escape(before[end : word.start()]))
        parts.append(f"<del>{html.escape(word.group())}</del> <b>{html.escape(' '.join(new))}</b>")
        end = word.end()
    return "".join(parts) + html.escape(before[end:])


def marked_table(rows: Sequence[tuple[str, str]], *, heads: tuple[str, str]) -> str:
    """Return an HTML table of two columns: a plain text, which is escaped, and HTML as `marked` makes it."""
    head = "".join(f"<th style='text-align:left'>{html.escape(name)}</th>" for name in heads)
    body = "".join(
        f"<tr><td style='text-align:left'>{html.escape(left)}</td><td style='text-align:left'>{right}</td></tr>"
        for left, right in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def judged_edits() -> list[dict[str, str]]:
    """Return 60 attacked reviews as dicts: ``kind``, ``recommends``, ``before``, ``after``, one reader's ``verdict``.

    The verdict is "same" (opinion and facts are still there), "other" (one of them has changed) or "unclear". Drawn at
    random from the successes of one run of lesson 16, five tries a round; the reviews are in the public domain (CC0).
    """
    import csv
    from pathlib import Path

    with Path(__file__).with_name("judged_edits.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
