"""A film shop that a language model serves: readable titles, and for every user a few films to rank."""

import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from advrec_teach.data import MovieLens
from advrec_teach.errors import CourseError

_ARTICLES = re.compile(r"(.*), (The|A|An|L'|La|Le|Les|Il|El|Das|Der|Die)$")


@dataclass(frozen=True, eq=False)
class FilmLists:
    """Users with what they liked and what is to be ranked for them.

    Attributes
    ----------
    users
        Ids, shape [n].
    histories
        Films that the user liked before, the latest last: shape [n, length].
    candidates
        Films to rank: shape [n, size]. The first is one that the user liked afterwards, the others are popular ones
        that the user never rated.
    """

    users: NDArray[np.int64]
    histories: NDArray[np.int64]
    candidates: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.users)

    def part(self, rows: slice) -> "FilmLists":
        """Return some of the users."""
        return FilmLists(self.users[rows], self.histories[rows], self.candidates[rows])


def film_titles(movies: MovieLens) -> list[str]:
    """Return the titles as one would say them: no year, no second title, the article in front."""
    found = []
    for title in movies.items["title"].to_list():
        short = re.sub(r"\s*\([^)]*\)", "", title).strip()
        moved = _ARTICLES.fullmatch(short)
        found.append(f"{moved[2]} {moved[1]}" if moved else short)
    return found


def film_lists(
    movies: MovieLens, *, n_users: int, length: int = 5, size: int = 10, pool: int = 100, seed: int = 0
) -> FilmLists:
    """Draw users and the films to rank for them.

    The liked film comes from the same pool as the others, so that popularity alone does not give it away: it is the
    last of the pool that the user rated with 4 or 5 after ``length`` others. Films in the pool that the user has
    rated, whatever the rating, are no candidates.

    Parameters
    ----------
    movies
        MovieLens.
    n_users
        How many users.
    length
        Films in a history.
    size
        Films to rank.
    pool
        The candidates are among so many films with the most ratings.
    seed
        Seed of the draws.

    Raises
    ------
    CourseError
        If there are fewer users with such a history and enough films left.
    """
    rng = np.random.default_rng(seed)
    popular = np.argsort(-np.bincount(movies.ratings["item"].to_numpy(), minlength=movies.n_items), kind="stable")
    popular = popular[:pool]
    rated = {int(user): set(items) for user, items in movies.ratings.group_by("user").agg("item").iter_rows()}
    order = movies.ratings.filter(pl.col("rating") >= 4).sort("user", "time", "item")
    liked = {int(user): items for user, items in order.group_by("user", maintain_order=True).agg("item").iter_rows()}
    users, histories, candidates = [], [], []
    for user in rng.permutation(sorted(liked)):
        films = liked[int(user)]
        places = [place for place in range(length, len(films)) if films[place] in popular]
        unseen = [film for film in popular if film not in rated[int(user)]]
        if places and len(unseen) >= size - 1:
            last = places[-1]
            users.append(user)
            histories.append(films[last - length : last])
            candidates.append([films[last], *rng.choice(unseen, size - 1, replace=False)])
        if len(users) == n_users:
            return FilmLists(np.array(users), np.array(histories), np.array(candidates))
    raise CourseError(f"Only {len(users)} users have such lists; {n_users} were asked for.")
