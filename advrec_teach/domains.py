"""Short texts of six domains with labels: a small set of the course's own, and readers of public sets.

The own set, ``domain_sentences.csv``, holds 30 sentences a domain, half of them good news and half of them bad. They
were written for this course and are free for any use (CC0 1.0). The public sets are not part of the course: their terms
differ, and the learner downloads them into a folder. Nothing here touches the network.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from advrec_teach.errors import CourseError

SCHEMA = pl.Schema({"text": pl.String, "label": pl.Int8})
"""Of every frame that is returned: the text, and 1 for a good word, 0 for a bad one."""

DOMAINS = ("product", "film", "news", "music", "service", "finance")

Rows = Iterator[tuple[str, int]]


def sentences(domain: str) -> pl.DataFrame:
    """Return the course's own sentences of a domain, 30 rows, as `SCHEMA`.

    Raises
    ------
    CourseError
        If the domain is none of `DOMAINS`.
    """
    frame = pl.read_csv(Path(__file__).with_name("domain_sentences.csv"))
    return frame.filter(pl.col("domain") == _known(domain)).select("text", "label").cast(SCHEMA)


def public(domain: str, folder: Path | str) -> pl.DataFrame:
    """Return a public set that was downloaded into ``folder``, as `SCHEMA`; neutral texts are left out.

    ========= ================================================= =========================================
    domain    set                                               files in the folder
    ========= ================================================= =========================================
    product   Amazon review polarity (Zhang, Zhao, LeCun 2015)  ``test.csv``
    film      sentence polarity v1.0 (Pang and Lee 2005)        ``rt-polarity.pos``, ``rt-polarity.neg``
    news      Affective Text (Strapparava and Mihalcea 2007)    ``affectivetext_test.xml``,
                                                                ``affectivetext_test.valence.gold``
    music     Amazon reviews, Digital Music (Ni et al. 2019)    ``Digital_Music_5.json``
    service   Twitter US Airline Sentiment (CrowdFlower 2015)   ``Tweets.csv``
    finance   Financial PhraseBank (Malo et al. 2014)           ``Sentences_AllAgree.txt``
    ========= ================================================= =========================================

    Read the terms of each set before you use it: some allow research only, none of them is the course's.

    Raises
    ------
    CourseError
        If the domain is unknown, a file is missing, or a file has not the form that its set has.
    """
    names, read = _READERS[_known(domain)]
    paths = [Path(folder) / name for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise CourseError(f"{' and '.join(missing)} of the public {domain} set is not in {folder}: download it there.")
    try:
        rows = list(read(*paths))
    except (ValueError, KeyError, TypeError, IndexError, pl.exceptions.PolarsError) as error:
        listed = " and ".join(path.name for path in paths)
        raise CourseError(f"{listed} has not the form of the public {domain} set: {error}.") from error
    if {label for _, label in rows} != {0, 1} or not all(text.strip() for text, _ in rows):
        raise CourseError(f"{' and '.join(names)} should hold texts of both classes, none of them empty.")
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _known(domain: str) -> str:
    if domain not in DOMAINS:
        raise CourseError(f"domain is one of {', '.join(DOMAINS)}, not {domain!r}.")
    return domain


def _amazon_polarity(path: Path) -> Rows:
    """Rows ``"class","title","text"`` without a head; class 1 is bad, 2 is good."""
    frame = pl.read_csv(path, has_header=False, new_columns=["class", "title", "text"], infer_schema=False)
    labels = {"1": 0, "2": 1}
    for kind, title, text in frame.select("class", "title", "text").fill_null("").iter_rows():
        yield f"{title}. {text}", labels[kind]


def _sentence_polarity(good: Path, bad: Path) -> Rows:
    """One text a line, in Latin-1; one file a class."""
    for path, label in ((good, 1), (bad, 0)):
        for line in path.read_text(encoding="latin-1").splitlines():
            if line.strip():
                yield line.strip(), label


def _affective_text(headlines: Path, gold: Path) -> Rows:
    """Lines ``<instance id="n">headline</instance>``, and lines ``n valence`` from -100 to 100."""
    found = re.findall(r'<instance id="(\d+)">(.*?)</instance>', headlines.read_text(encoding="utf-8"))
    valence = {key: int(value) for key, value in map(str.split, gold.read_text(encoding="utf-8").splitlines())}
    for key, text in found:
        if valence[key]:
            yield text, int(valence[key] > 0)


def _digital_music(path: Path) -> Rows:
    """One JSON object a line with ``reviewText`` and ``overall``, 1 to 5 stars; 3 is neutral."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["overall"] != 3 and row.get("reviewText", "").strip():
            yield row["reviewText"], int(row["overall"] > 3)


def _airlines(path: Path) -> Rows:
    """Columns ``airline_sentiment`` (positive, neutral, negative) and ``text``, among others."""
    frame = pl.read_csv(path, infer_schema=False)
    labels = {"negative": 0, "positive": 1}
    for kind, text in frame.select("airline_sentiment", "text").iter_rows():
        if kind != "neutral":
            yield text, labels[kind]


def _phrasebank(path: Path) -> Rows:
    """Lines ``sentence@class`` in Latin-1, class positive, neutral or negative."""
    labels = {"negative": 0, "positive": 1}
    for line in filter(str.strip, path.read_text(encoding="latin-1").splitlines()):
        text, at, kind = line.rpartition("@")
        if not at:
            raise ValueError("a line has no @")
        if kind.strip() != "neutral":
            yield text, labels[kind.strip()]


_READERS: dict[str, tuple[tuple[str, ...], Callable[..., Rows]]] = {
    "product": (("test.csv",), _amazon_polarity),
    "film": (("rt-polarity.pos", "rt-polarity.neg"), _sentence_polarity),
    "news": (("affectivetext_test.xml", "affectivetext_test.valence.gold"), _affective_text),
    "music": (("Digital_Music_5.json",), _digital_music),
    "service": (("Tweets.csv",), _airlines),
    "finance": (("Sentences_AllAgree.txt",), _phrasebank),
}
