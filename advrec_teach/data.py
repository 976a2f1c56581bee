"""The course's data sets and pretrained models, as typed frames and paths.

Nothing here touches the network: what is missing is named, with the command that fetches it. Every loader
of a data set also makes a small synthetic one with the same columns and types.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from advrec_teach import paths
from advrec_teach.errors import CourseError

GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)

RATINGS_SCHEMA = pl.Schema({"user": pl.Int32, "item": pl.Int32, "rating": pl.Int8, "time": pl.Int64})
ITEMS_SCHEMA = pl.Schema({"item": pl.Int32(), "title": pl.String(), "year": pl.Int16(), "genres": pl.List(pl.String())})
USERS_SCHEMA = pl.Schema({"user": pl.Int32, "age": pl.Int16, "gender": pl.String, "occupation": pl.String})
REVIEWS_SCHEMA = pl.Schema(
    {
        "text": pl.String,
        "title": pl.String,
        "rating": pl.Int8,
        "recommended": pl.Boolean,
        "age": pl.Int16,
        "product": pl.Int32,
        "helpful": pl.Int32,
        "division": pl.String,
        "department": pl.String,
        "category": pl.String,
    }
)


@dataclass(frozen=True, eq=False)
class MovieLens:
    """Ratings of films, with what is known of films and users.

    Attributes
    ----------
    ratings : polars.DataFrame
        One row a rating, in the order of the source. ``user``, ``item`` (zero-based ids, int32),
        ``rating`` (1 to 5, int8), ``time`` (seconds since 1970, int64). No pair occurs twice.
    items : polars.DataFrame
        One row an item, sorted by id. ``item`` (int32), ``title`` (year included, not always unique),
        ``year`` (int16, null where unknown), ``genres`` (list of :data:`GENRES`, in that order).
    users : polars.DataFrame
        One row a user, sorted by id. ``user`` (int32), ``age`` (years, int16), ``gender`` (``"F"`` or
        ``"M"``, as the source has it), ``occupation`` (one of 21 words).
    """

    ratings: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame

    @property
    def n_users(self) -> int:
        """The number of users."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """The number of items, rated or not."""
        return len(self.items)


def movielens(source: str = "real") -> MovieLens:
    """Return MovieLens-100K: 100,000 ratings by 943 users of 1,682 films, 1997 to 1998.

    Parameters
    ----------
    source
        ``"real"``, or ``"synthetic"`` for 120 invented users and 200 invented films with four tastes.

    Raises
    ------
    CourseError
        If the data is not on this machine, cannot be read, or ``source`` is unknown.

    References
    ----------
    Harper and Konstan, "The MovieLens Datasets: History and Context", ACM Transactions on
    Interactive Intelligent Systems 5(4), article 19, 2015.
    """
    if _source(source) == "synthetic":
        return _synthetic_movielens()
    ratings, items, users = (_read(_asset("movielens", f"{name}.parquet")) for name in ("ratings", "items", "users"))
    # The identifiers of the source run from 1 without a gap.
    return MovieLens(
        ratings=ratings.select(
            user=pl.col("user_id") - 1, item=pl.col("movie_id") - 1, rating="rating", time="timestamp"
        ).cast(RATINGS_SCHEMA),
        items=items.sort("movie_id")
        .select(
            item=pl.col("movie_id") - 1,
            title=pl.col("movie_title").str.strip_chars(),
            year=pl.col("movie_title").str.extract(r".*\((\d{4})\)"),
            genres=pl.concat_list(
                pl.when(pl.col(genre) == 1).then(pl.lit(genre)) for genre in GENRES
            ).list.drop_nulls(),
        )
        .cast(ITEMS_SCHEMA),
        users=users.sort("user_id")
        .select(user=pl.col("user_id") - 1, age="age", gender="gender", occupation="occupation")
        .cast(USERS_SCHEMA),
    )


def reviews(source: str = "real") -> pl.DataFrame:
    """Return the Women's E-Commerce Clothing Reviews, one row a review, in the order of the source.

    Columns
    -------
    ``text`` (the review; null in 845 of 23,486 rows), ``title`` (null where none was
    given), ``rating`` (1 to 5, int8), ``recommended`` (would the customer recommend it, bool), ``age``
    (of the customer in years, int16), ``product`` (id, int32), ``helpful`` (customers who found the review
    helpful, int32), ``division``, ``department``, ``category`` (from coarse to fine, null in 14 rows).

    Parameters
    ----------
    source
        ``"real"``, or ``"synthetic"`` for 400 invented reviews.

    Raises
    ------
    CourseError
        If the data is not on this machine, cannot be read, or ``source`` is unknown.
    """
    if _source(source) == "synthetic":
        return _synthetic_reviews()
    # The source misspells one division.
    return (
        _read(_asset("reviews", "reviews.parquet"))
        .select(
            text="Review Text",
            title="Title",
            rating="Rating",
            recommended="Recommended IND",
            age="Age",
            product="Clothing ID",
            helpful="Positive Feedback Count",
            division=pl.col("Division Name").replace("Initmates", "Intimates"),
            department="Department Name",
            category="Class Name",
        )
        .cast(REVIEWS_SCHEMA)
    )


def minilm_path() -> Path:
    """Return the folder of all-MiniLM-L6-v2: a BERT of 6 layers, 384 wide, with its tokenizer, safetensors.

    Raises
    ------
    CourseError
        If it is not on this machine.
    """
    return _asset("minilm", "model.safetensors").parent


def smollm2_path() -> Path:
    """Return the GGUF file of SmolLM2-135M-Instruct, weights in 4 bits (Q4_1).

    Raises
    ------
    CourseError
        If it is not on this machine.
    """
    return _asset("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


_TITLES = {
    "movielens": "MovieLens-100K",
    "reviews": "The set of clothing reviews",
    "minilm": "The model all-MiniLM-L6-v2",
    "smollm2": "The model SmolLM2-135M-Instruct",
}


def _asset(name: str, file: str) -> Path:
    path = paths.data_dir() / name / file
    if not path.is_file():
        raise CourseError(f"{_TITLES[name]} is not here yet. Run `advrec data {name}`.")
    return path


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        name = path.parent.name
        raise CourseError(
            f"{path} cannot be read. Delete the folder {path.parent} and run `advrec data {name}`."
        ) from error


def _source(source: str) -> str:
    if source not in ("real", "synthetic"):
        raise CourseError(f'source is "real" or "synthetic", not {source!r}.')
    return source


def _synthetic_movielens() -> MovieLens:
    """Make users with one of four tastes, films of four kinds, a long tail and at least 20 ratings a user."""
    rng = np.random.default_rng(19970920)
    n_users, n_items, kinds = 120, 200, ("Action", "Comedy", "Drama", "Sci-Fi")
    kind = rng.integers(len(kinds), size=n_items)
    taste = rng.integers(len(kinds), size=n_users)
    fit = taste[:, None] == kind
    appeal = -0.8 * np.log(1 + rng.permutation(n_items))  # popularity falls as a power of the rank
    # The largest of utility + Gumbel noise is a draw without replacement, weighted by exp(utility).
    drawn = np.argsort(-(appeal + 2.0 * fit + rng.gumbel(size=(n_users, n_items))), axis=1)
    activity = np.clip(20 + rng.exponential(15, size=n_users), 20, n_items // 2).astype(int)
    chosen = np.arange(n_items) < activity[:, None]
    users = np.nonzero(chosen)[0]
    items = drawn[chosen]
    liking = 3 + fit[users, items] + rng.normal(scale=0.9, size=len(items))
    # A user comes once and rates a film every minute or so; some fall into the same second.
    start = rng.integers(874_724_710, 893_286_638, size=n_users)
    time = start[users] + rng.integers(0, 60 * activity[users])
    shuffled = rng.permutation(len(users))
    ratings = pl.DataFrame(
        {"user": users, "item": items, "rating": np.clip(np.rint(liking), 1, 5).astype(int), "time": time}
    )[shuffled]
    years = rng.integers(1930, 1999, size=n_items)
    second = rng.integers(len(kinds), size=n_items)
    films = {
        "item": np.arange(n_items),
        "title": ["unknown", *(f"Film {n} ({year})" for n, year in enumerate(years[1:], start=1))],
        "year": [None, *years[1:].tolist()],
        "genres": [
            ["unknown"] if n == 0 else [kinds[k] for k in sorted({int(kind[n]), int(second[n])})]
            for n in range(n_items)
        ],
    }
    people = {
        "user": np.arange(n_users),
        "age": rng.integers(7, 74, size=n_users),
        "gender": rng.choice(["F", "M"], size=n_users, p=[0.29, 0.71]).tolist(),
        "occupation": rng.choice(["student", "engineer", "writer", "other"], size=n_users).tolist(),
    }
    return MovieLens(
        ratings=ratings.cast(RATINGS_SCHEMA),
        items=pl.DataFrame(films, strict=False).cast(ITEMS_SCHEMA),
        users=pl.DataFrame(people).cast(USERS_SCHEMA),
    )


_PRAISE = (
    "I love the fabric",
    "it fits perfectly",
    "so soft and flattering",
    "the colour is beautiful",
    "I get compliments every time",
)
_BLAME = (
    "the fabric is scratchy",
    "it runs far too small",
    "the seams came apart",
    "the colour is nothing like the picture",
    "I sent it back",
)
_PRODUCTS = (
    ("General", "Dresses", "Dresses"),
    ("General", "Tops", "Knits"),
    ("General Petite", "Bottoms", "Jeans"),
    ("Intimates", "Intimate", "Lounge"),
)


def _synthetic_reviews() -> pl.DataFrame:
    """Make reviews whose words tell whether the customer recommends, with the gaps of the real ones."""
    rng = np.random.default_rng(20180203)
    rows = []
    for number in range(400):
        recommended = bool(rng.random() < 0.82)
        kinds = rng.random(3) < (0.85 if recommended else 0.2)
        phrases = [rng.choice(_PRAISE if good else _BLAME) for good in kinds]
        product = int(rng.integers(40))
        named = number != 7  # one row without a division, department and category
        rows.append(
            {
                "text": None if number % 29 == 3 else ". ".join(p[0].upper() + p[1:] for p in phrases) + ".",
                "title": None if rng.random() < 0.16 else str(phrases[0]).capitalize(),
                "rating": int(rng.integers(4, 6) if recommended else rng.integers(1, 4)),
                "recommended": recommended,
                "age": int(np.clip(rng.normal(43, 12), 18, 99)),
                "product": product,
                "helpful": int(rng.geometric(0.3) - 1),
                **dict(
                    zip(
                        ("division", "department", "category"),
                        _PRODUCTS[product % 4] if named else (None,) * 3,
                        strict=True,
                    )
                ),
            }
        )
    return pl.DataFrame(rows, schema=REVIEWS_SCHEMA)
