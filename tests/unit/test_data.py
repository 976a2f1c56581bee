"""Loaders: columns and types of the real and the synthetic data, and what is said when something is missing."""

import numpy as np
import polars as pl
import pytest

from advrec_teach import data, fetch
from advrec_teach.errors import CourseError
from advrec_teach.splits import holdout, leave_one_out


def needs(name):
    return pytest.mark.skipif(bool(fetch.missing([name])), reason=f"run `advrec data {name}`")


SOURCES = [pytest.param("real", marks=needs("movielens")), "synthetic"]


@pytest.mark.parametrize("source", SOURCES)
def test_both_movielens_sources_keep_the_same_promises(source):
    films = data.movielens(source)
    assert films.ratings.schema == data.RATINGS_SCHEMA
    assert films.items.schema == data.ITEMS_SCHEMA
    assert films.users.schema == data.USERS_SCHEMA
    assert films.items["item"].to_list() == list(range(films.n_items))
    assert films.users["user"].to_list() == list(range(films.n_users))
    assert films.ratings["user"].is_between(0, films.n_users - 1).all()
    assert films.ratings["item"].is_between(0, films.n_items - 1).all()
    assert films.ratings["rating"].unique().sort().to_list() == [1, 2, 3, 4, 5]
    assert not films.ratings.select("user", "item").is_duplicated().any()
    assert films.ratings.group_by("user").len()["len"].min() >= 20
    assert set(films.users["gender"]) == {"F", "M"}
    assert sum(films.ratings.null_count().row(0)) + sum(films.users.null_count().row(0)) == 0
    # A film without a year, and its lack of a genre, are part of the promise.
    assert films.items["year"].null_count() == 1
    unknown = films.items.filter(pl.col("year").is_null())
    assert unknown["genres"].to_list() == [["unknown"]]
    places = films.items["genres"].explode().replace_strict({g: n for n, g in enumerate(data.GENRES)})
    assert places.null_count() == 0
    assert films.items["genres"].list.len().min() >= 1
    for genres in films.items["genres"]:
        order = [data.GENRES.index(genre) for genre in genres]
        assert order == sorted(set(order))
    # Several ratings in one second: the order of a user's history needs a rule for ties.
    assert films.ratings.select("user", "time").is_duplicated().any()


@needs("movielens")
def test_the_real_ratings_are_movielens_100k():
    films = data.movielens()
    assert (films.n_users, films.n_items, len(films.ratings)) == (943, 1682, 100_000)
    assert films.ratings["rating"].value_counts().sort("rating")["count"].to_list() == [
        6110,
        11370,
        27145,
        34174,
        21201,
    ]
    assert films.items["title"][0] == "Toy Story (1995)"
    assert films.items["genres"][0].to_list() == ["Animation", "Children's", "Comedy"]
    assert films.items["year"].min() == 1922
    assert films.ratings.row(0) == (195, 241, 3, 881250949)
    assert films.users.row(0) == (0, 24, "M", "technician")
    assert films.users["occupation"].n_unique() == 21
    split = leave_one_out(films.ratings, films.n_users, films.n_items)
    assert (len(split.train), split.validation.min() >= 0, split.test.min() >= 0) == (98_114, True, True)
    parts = holdout(films.ratings, films.n_users, films.n_items)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (80_000, 0, 20_000)


@pytest.mark.parametrize("source", [pytest.param("real", marks=needs("reviews")), "synthetic"])
def test_both_sources_of_reviews_keep_the_same_promises(source):
    reviews = data.reviews(source)
    assert reviews.schema == data.REVIEWS_SCHEMA
    gaps = dict(zip(reviews.columns, reviews.null_count().row(0), strict=True))
    assert {name for name, count in gaps.items() if count} == {
        "text",
        "title",
        "division",
        "department",
        "category",
    }
    assert gaps["division"] == gaps["department"] == gaps["category"]
    assert reviews["rating"].unique().sort().to_list() == [1, 2, 3, 4, 5]
    assert 0.75 < reviews["recommended"].mean() < 0.9
    assert reviews["age"].is_between(18, 99).all()
    assert reviews["helpful"].min() == 0
    assert "Initmates" not in reviews["division"].unique()
    assert "Intimates" in reviews["division"].unique()
    rating = reviews.group_by("recommended").agg(pl.col("rating").mean()).sort("recommended")["rating"]
    assert rating[1] > rating[0] + 1


@needs("reviews")
def test_the_real_reviews_are_all_there():
    reviews = data.reviews()
    assert len(reviews) == 23_486
    assert reviews["recommended"].sum() == 19_314
    assert reviews["text"].null_count() == 845
    assert reviews["title"].null_count() == 3_810


def test_the_synthetic_data_is_the_same_every_time():
    first, second = data.movielens("synthetic"), data.movielens("synthetic")
    for name in ("ratings", "items", "users"):
        assert getattr(first, name).equals(getattr(second, name))
    assert data.reviews("synthetic").equals(data.reviews("synthetic"))


def test_the_synthetic_ratings_have_a_long_tail_and_tastes():
    films = data.movielens("synthetic")
    counts = np.sort(np.bincount(films.ratings["item"], minlength=films.n_items))[::-1]
    assert counts[: films.n_items // 10].sum() > 0.25 * counts.sum()
    # Every user has a favourite kind of film; dealt out at random, the same ratings show less of one.
    first = films.items["genres"].list.first().to_numpy()[films.ratings["item"]]
    dealt = np.random.default_rng(0).permutation(first)

    def favourite(genre):
        counted = pl.DataFrame({"user": films.ratings["user"], "genre": genre}).group_by("user", "genre").len()
        return counted.group_by("user").agg(pl.col("len").max() / pl.col("len").sum())["len"].mean()

    assert favourite(first) > favourite(dealt) + 0.05


def test_the_words_of_the_synthetic_reviews_tell_the_label():
    known = data.reviews("synthetic").filter(pl.col("text").is_not_null())
    praise = known["text"].str.to_lowercase().str.count_matches(r"love|perfectly|soft|beautiful|compliments")
    found = praise >= 2
    assert (found == known["recommended"]).mean() > 0.8


LOADERS = {
    "movielens": data.movielens,
    "reviews": data.reviews,
    "minilm": data.minilm_path,
    "smollm2": data.smollm2_path,
}


@pytest.mark.parametrize("name", LOADERS)
def test_what_is_missing_is_named_with_its_command(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ADVREC_DATA", str(tmp_path))
    with pytest.raises(CourseError, match=rf"is not here yet\. Run `advrec data {name}`\.$"):
        LOADERS[name]()
    assert list(tmp_path.iterdir()) == []


def test_the_paths_point_at_what_was_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVREC_DATA", str(tmp_path))
    for file in ("minilm/model.safetensors", "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).touch()
    assert data.minilm_path() == tmp_path / "minilm"
    assert data.smollm2_path() == tmp_path / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_every_loader_reads_files_that_the_list_names():
    listed = fetch.sources()
    assert set(listed) == set(LOADERS) == set(data._TITLES)
    assert {"ratings.parquet", "items.parquet", "users.parquet"} == set(listed["movielens"].files)
    assert "reviews.parquet" in listed["reviews"].files
    assert {"model.safetensors", "config.json", "tokenizer.json"} < set(listed["minilm"].files)
    assert "SmolLM2-135M-Instruct.Q4_1.gguf" in listed["smollm2"].files


def test_a_damaged_file_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVREC_DATA", str(tmp_path))
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "reviews.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(CourseError, match=r"Delete the folder .*reviews and run `advrec data reviews`\.$"):
        data.reviews()


@pytest.mark.parametrize("loader", [data.movielens, data.reviews])
def test_an_unknown_source_is_refused(loader):
    with pytest.raises(CourseError, match='source is "real" or "synthetic", not \'kaggle\''):
        loader("kaggle")
