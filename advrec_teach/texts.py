"""Reviews as labelled texts, the tokens of a BERT, and batches of texts of similar length. Knows no framework."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from advrec_teach import data
from advrec_teach.errors import CourseError

NO_LABEL = -1
"""The label of a text whose class is not known."""

PADDING = 0
"""The id of MiniLM's padding token."""

_SAME_START = 60  # characters: two reviews that agree in so many are taken for the same text


@dataclass(frozen=True, eq=False)
class EncodedTexts:
    """Texts as token ids, one row a text, padded on the right.

    Attributes
    ----------
    ids
        Token ids, ``int32``, shape ``[n, width]``; `PADDING` after a text's last token. Every text starts with
        [CLS] and ends with [SEP].
    lengths
        Tokens of every text, the two special ones included, ``int64``, shape ``[n]``.
    labels
        The class of every text, ``int32``, shape ``[n]``; `NO_LABEL` where it is unknown.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or a text has no token or more than the width.
    """

    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int32]

    def __post_init__(self) -> None:
        for name, kind in (("ids", np.int32), ("lengths", np.int64), ("labels", np.int32)):
            array = np.array(getattr(self, name), dtype=kind)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.ids.ndim != 2 or self.lengths.shape != self.ids.shape[:1] or self.labels.shape != self.ids.shape[:1]:
            shapes = f"{self.ids.shape}, {self.lengths.shape} and {self.labels.shape}"
            raise ValueError(f"ids must be [n, width], lengths and labels [n]; their shapes are {shapes}.")
        if len(self) and (self.lengths.min() < 1 or self.lengths.max() > self.ids.shape[1]):
            raise ValueError(f"Every text needs 1 to {self.ids.shape[1]} tokens.")

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.ids)

    def take(self, rows: ArrayLike) -> "EncodedTexts":
        """Return the texts at these positions, in that order, as wide as before."""
        chosen = np.asarray(rows)
        return EncodedTexts(self.ids[chosen], self.lengths[chosen], self.labels[chosen])

    def batch(
        self, rows: ArrayLike, *, multiple: int = 1
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Return ids, mask and labels of these texts, no wider than the longest of them needs.

        Parameters
        ----------
        rows
            Positions, shape ``[b]``, at least one.
        multiple
            The width is rounded up to a multiple of this, at most to the width of all: fewer different shapes,
            for code that is compiled once per shape.

        Returns
        -------
        tuple
            ``ids`` ``[b, t]``, ``mask`` ``[b, t]`` (1 for a token, 0 for padding) and ``labels`` ``[b]``, all int32.
        """
        chosen = np.asarray(rows)
        lengths = self.lengths[chosen]
        width = min(-(-int(lengths.max()) // multiple) * multiple, self.ids.shape[1])
        mask = (np.arange(width) < lengths[:, None]).astype(np.int32)
        return self.ids[chosen, :width], mask, self.labels[chosen]


@dataclass(frozen=True, eq=False)
class ReviewSplit:
    """Three parts of the reviews that share no product and no text.

    Attributes
    ----------
    train, validation, test
        Frames as `labelled_reviews` returns them.
    """

    train: pl.DataFrame
    validation: pl.DataFrame
    test: pl.DataFrame


def labelled_reviews(frame: pl.DataFrame) -> pl.DataFrame:
    """Clean the reviews of `advrec_teach.data.reviews`: what a classifier may read, and what it has to say.

    A review without a text is dropped (without looking at its title). Of reviews that agree in their first 60
    characters, capitals, spaces and punctuation aside, the first is kept: they are one text sent in several times.
    The title stands in front of the text. The rating is kept to look at it, never to learn from it.

    Returns
    -------
    polars.DataFrame
        ``text`` (title and text), ``label`` (1 if the customer recommends the product, else 0, int8), ``rating``
        (int8), ``product`` (int32), ``department``; the order of the source.
    """
    key = (
        pl.col("text")
        .str.to_lowercase()
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
        .str.strip_chars()
        .str.slice(0, _SAME_START)
    )
    title = pl.col("title").fill_null("").str.strip_chars()
    stop = pl.when(title == "").then(pl.lit("")).when(title.str.contains(r"[.!?]$")).then(pl.lit(" "))
    return (
        frame.filter(pl.col("text").fill_null("").str.strip_chars() != "")
        .with_columns(key=key)
        .unique("key", keep="first", maintain_order=True)
        .select(
            text=title + stop.otherwise(pl.lit(". ")) + pl.col("text").str.strip_chars(),
            label=pl.col("recommended").cast(pl.Int8),
            rating="rating",
            product="product",
            department="department",
        )
    )


def split_by_product(
    frame: pl.DataFrame, *, test_fraction: float = 0.2, validation_fraction: float = 0.1, seed: int = 0
) -> ReviewSplit:
    """Split labelled reviews so that all reviews of a product fall into one part.

    Products are taken in a random order; the first ones, until they hold the share asked for, are the test part, the
    next ones the validation part. The shares are met to within half the reviews of one product.

    Parameters
    ----------
    frame
        As `labelled_reviews` returns it; only the column ``product`` is looked at.
    test_fraction, validation_fraction
        Shares of the reviews, each in [0, 1), together below 1.
    seed
        Seed of the order of the products.

    Raises
    ------
    ValueError
        If the shares are out of range.
    """
    if min(test_fraction, validation_fraction) < 0 or test_fraction + validation_fraction >= 1:
        raise ValueError("test_fraction and validation_fraction are shares: not negative, together below 1.")
    products, member, counts = np.unique(frame["product"].to_numpy(), return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(products))
    # A product belongs to the part in which the middle of its reviews lies.
    middle = np.cumsum(counts[order]) - counts[order] / 2
    edges = np.array([test_fraction, test_fraction + validation_fraction]) * frame.height
    part = np.empty(len(products), dtype=np.int64)
    part[order] = np.searchsorted(edges, middle, side="right")
    test, validation, train = (frame.filter(part[member] == number) for number in range(3))
    return ReviewSplit(train, validation, test)


@cache
def tokenizer() -> Any:
    """Return MiniLM's tokenizer, a ``tokenizers.Tokenizer``, with the file's own padding and truncation switched off.

    It is one object for all: set nothing on it. `encode` cuts and pads by itself.

    Raises
    ------
    CourseError
        If the model, or the package ``tokenizers``, is not on this machine.
    """
    try:
        from tokenizers import Tokenizer  # slow, and only the lessons on language need it
    except ImportError as error:
        raise CourseError("The package tokenizers is not installed. Run `make course`.") from error
    made = Tokenizer.from_file(str(data.minilm_path() / "tokenizer.json"))
    made.no_padding()
    made.no_truncation()
    return made


def encode(texts: Sequence[str], labels: ArrayLike | None = None, *, max_length: int) -> EncodedTexts:
    """Turn texts into MiniLM's token ids.

    Parameters
    ----------
    texts
        n texts, none of them empty.
    labels
        The class of every text, whole numbers, shape ``[n]``; unknown (`NO_LABEL`) if left out.
    max_length
        The most tokens that a text may keep, [CLS] and [SEP] included, 3 to 512; the end of a longer text is cut off,
        the closing [SEP] is not.

    Returns
    -------
    EncodedTexts
        As wide as the longest text that is left.

    Raises
    ------
    ValueError
        If a text is empty, ``max_length`` is out of range, or the labels are not one whole number a text.
    CourseError
        If the model is not on this machine.
    """
    if not 3 <= max_length <= 512:
        raise ValueError(f"max_length must be 3 to 512 tokens, not {max_length}.")
    listed = list(texts)
    blank = next((place for place, text in enumerate(listed) if not text.strip()), None)
    if blank is not None:
        raise ValueError(f"Text {blank} is empty.")
    known = np.full(len(listed), NO_LABEL) if labels is None else np.asarray(labels)
    if known.shape != (len(listed),) or (known.size and known.dtype.kind not in "iub"):
        raise ValueError(f"labels must hold one whole number for each of the {len(listed)} texts.")
    found = [encoding.ids for encoding in tokenizer().encode_batch(listed)]
    kept = [row if len(row) <= max_length else [*row[: max_length - 1], row[-1]] for row in found]
    lengths = np.array([len(row) for row in kept], dtype=np.int64)
    ids = np.full((len(kept), lengths.max(initial=0)), PADDING, dtype=np.int32)
    for place, row in enumerate(kept):
        ids[place, : len(row)] = row
    return EncodedTexts(ids, lengths, known.astype(np.int32))


def length_buckets(
    lengths: ArrayLike, batch_size: int, rng: np.random.Generator, *, pool: int = 50
) -> Iterator[NDArray[np.int64]]:
    """Yield batches of texts of similar length, every text once, the batches in random order.

    The texts are shuffled and dealt into pools of ``pool`` batches. Each pool is sorted by length and cut into
    batches: within one, lengths are close, and which texts meet changes from epoch to epoch.

    Parameters
    ----------
    lengths
        Tokens of every text, shape ``[n]``.
    batch_size
        Texts in a batch, at least 1; one batch may hold fewer.
    rng
        Source of both shuffles.
    pool
        Batches in a pool, at least 1; with 1 the batches are plain random ones.

    Yields
    ------
    numpy.ndarray
        Positions of the texts of a batch, int64.

    Raises
    ------
    ValueError
        If ``batch_size`` or ``pool`` is below 1.
    """
    if batch_size < 1 or pool < 1:
        raise ValueError("batch_size and pool must be at least 1.")
    sizes = np.asarray(lengths)
    shuffled = rng.permutation(len(sizes))
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(sizes), pool * batch_size):
        part = shuffled[start : start + pool * batch_size]
        part = part[np.argsort(sizes[part], kind="stable")]
        batches += [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
    for place in rng.permutation(len(batches)):
        yield batches[place]


def balanced_weights(labels: ArrayLike, classes: int = 2) -> NDArray[np.float64]:
    """Return the weight of each class that gives all classes the same total, shape ``[classes]``.

    n / (classes * n_c): the mean weight of a text is 1.

    Raises
    ------
    ValueError
        If a class has no text, or a label is out of range.
    """
    found = np.asarray(labels)
    if found.size and (found.min() < 0 or found.max() >= classes):
        raise ValueError(f"Labels must be 0 to {classes - 1}.")
    counts = np.bincount(found, minlength=classes)
    if counts.min() == 0:
        raise ValueError(f"Class {int(counts.argmin())} has no text.")
    return np.asarray(len(found) / (classes * counts), dtype=np.float64)
