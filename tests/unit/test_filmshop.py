"""The film shop: titles as one says them, and lists that give nothing away."""

import numpy as np
import polars as pl
import pytest

from advrec_teach import data
from advrec_teach.errors import CourseError
from advrec_teach.filmshop import film_lists, film_titles


def shop(titles):
    """Return MovieLens with these titles and nothing else."""
    items = pl.DataFrame({"item": range(len(titles)), "title": titles})
    return data.MovieLens(ratings=pl.DataFrame(), items=items, users=pl.DataFrame())


def test_titles_are_as_one_says_them():
    given = ["Lion King, The (1994)", "Heat (1995)", "Postino, Il (Postman, The) (1994)", "Crow, A Tale, An (1996)"]
    assert film_titles(shop(given)) == ["The Lion King", "Heat", "Il Postino", "An Crow, A Tale"]


@pytest.fixture(scope="module")
def movies():
    return data.movielens()


def test_what_is_ranked_is_popular_and_new_but_for_the_first(movies):
    lists = film_lists(movies, n_users=20, length=4, size=6, pool=50, seed=3)
    assert len(lists) == 20 and lists.histories.shape == (20, 4) and lists.candidates.shape == (20, 6)
    counts = np.bincount(movies.ratings["item"].to_numpy(), minlength=movies.n_items)
    popular = set(np.argsort(-counts, kind="stable")[:50])
    for user, history, candidates in zip(lists.users, lists.histories, lists.candidates, strict=True):
        own = movies.ratings.filter(pl.col("user") == user)
        time, rating = dict(own.select("item", "time").iter_rows()), dict(own.select("item", "rating").iter_rows())
        assert set(candidates) <= popular and len(set(candidates)) == 6
        assert all(rating[film] >= 4 for film in [*history, candidates[0]])
        assert max(time[film] for film in history) <= time[candidates[0]]
        assert not set(candidates[1:]) & set(time) and candidates[0] not in history


def test_the_seed_decides_and_a_part_keeps_its_rows(movies):
    one, same, other = (film_lists(movies, n_users=8, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.candidates, same.candidates) and not np.array_equal(one.users, other.users)
    part = one.part(slice(2, 5))
    assert len(part) == 3 and np.array_equal(part.histories, one.histories[2:5])


def test_too_many_users_are_refused(movies):
    with pytest.raises(CourseError, match="5000 were asked for"):
        film_lists(movies, n_users=5000)
