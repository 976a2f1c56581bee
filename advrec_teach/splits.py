"""Interactions and the two ways in which the course splits them into training and test data."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

NO_TARGET = -1


@dataclass(frozen=True, eq=False)
class Interactions:
    """A set of (user, item) pairs: who consumed what, without a rating.

    Parameters
    ----------
    users, items
        Zero-based ids, shape ``[n]``, integers. Stored as read-only ``int64`` arrays, in the given order.
    n_users, n_items
        The sizes of the catalogue, which may be larger than the largest id plus one.

    Raises
    ------
    ValueError
        If the arrays differ in shape, hold anything but whole numbers, an id is out of range, or a pair
        occurs twice.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    n_users: int
    n_items: int

    def __post_init__(self) -> None:
        for name, size in (("users", self.n_users), ("items", self.n_items)):
            object.__setattr__(self, name, _ids(getattr(self, name), size, name))
        if self.users.shape != self.items.shape:
            raise ValueError(f"users and items differ in length: {len(self.users)} and {len(self.items)}.")
        ordered = np.sort(self._flat)
        twice = np.flatnonzero(ordered[1:] == ordered[:-1])
        if twice.size:
            user, item = divmod(int(ordered[twice[0]]), self.n_items)
            raise ValueError(f"The pair (user {user}, item {item}) occurs more than once.")

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.users)

    @cached_property
    def _flat(self) -> NDArray[np.int64]:
        """Positions of the pairs in a row-major [n_users, n_items] table."""
        flat = self.users * self.n_items + self.items
        flat.flags.writeable = False
        return flat

    @cached_property
    def _table(self) -> NDArray[np.bool_]:
        table = np.zeros((self.n_users, self.n_items), dtype=bool)
        table.ravel()[self._flat] = True
        table.flags.writeable = False
        return table

    def flat(self) -> NDArray[np.int64]:
        """Return each pair's position in the flattened table, ``user * n_items + item``, read-only."""
        return self._flat

    def table(self) -> NDArray[np.bool_]:
        """Return the pairs as a dense boolean table, shape ``[n_users, n_items]``, read-only, made once."""
        return self._table

    def matrix(self) -> sparse.csr_array:
        """Return the pairs as a sparse boolean matrix, shape ``[n_users, n_items]``."""
        ones = np.ones(len(self), dtype=bool)
        return sparse.csr_array((ones, (self.users, self.items)), shape=(self.n_users, self.n_items))

    def popularity(self) -> NDArray[np.int64]:
        """Return how many users each item has, shape ``[n_items]``."""
        return np.bincount(self.items, minlength=self.n_items)

    def activity(self) -> NDArray[np.int64]:
        """Return how many items each user has, shape ``[n_users]``."""
        return np.bincount(self.users, minlength=self.n_users)

    def union(self, other: "Interactions") -> "Interactions":
        """Return the pairs of both, which must share their sizes and no pair.

        Raises
        ------
        ValueError
            If the sizes differ or a pair is in both.
        """
        if (self.n_users, self.n_items) != (other.n_users, other.n_items):
            raise ValueError("Only interactions of the same users and items can be united.")
        users = np.concatenate([self.users, other.users])
        items = np.concatenate([self.items, other.items])
        return Interactions(users, items, self.n_users, self.n_items)


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Each user's last item for the test, the one before it for validation, the rest for training.

    Attributes
    ----------
    train
        All other interactions.
    validation, test
        The item held out for each user, ``int64``, shape ``[n_users]``; -1 for a user without one.
    """

    train: Interactions
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @cached_property
    def known(self) -> Interactions:
        """Training and validation pairs together: what is known of a user when the test item is predicted."""
        users = np.flatnonzero(self.validation != NO_TARGET)
        n_users, n_items = self.train.n_users, self.train.n_items
        return self.train.union(Interactions(users, self.validation[users], n_users, n_items))


@dataclass(frozen=True, eq=False)
class Holdout:
    """Three disjoint random parts of all interactions.

    Attributes
    ----------
    train, validation, test
        Interactions; ``validation`` is empty unless it was asked for.
    """

    train: Interactions
    validation: Interactions
    test: Interactions


def leave_one_out(ratings: pl.DataFrame, n_users: int, n_items: int) -> LeaveOneOut:
    """Hold out the last two items of every user, in the order of time.

    Every rating counts as one positive interaction, whatever its value. MovieLens
    users rated many films within one second: equal times are ordered by item id, the
    larger id being the later one. A user with fewer than three ratings stays in the
    training set and has no targets.

    Parameters
    ----------
    ratings
        Columns ``user``, ``item`` (zero-based ids) and ``time`` (seconds).
    n_users, n_items
        Sizes of the catalogue.

    Raises
    ------
    ValueError
        If a column is missing, an id is out of range or a pair occurs twice.
    """
    every = _interactions(ratings, n_users, n_items, "time")
    order = np.lexsort((every.items, ratings["time"].to_numpy(), every.users))
    users, items = every.users[order], every.items[order]
    ends = np.cumsum(every.activity())
    enough = every.activity() >= 3
    test = np.full(n_users, NO_TARGET)
    validation = np.full(n_users, NO_TARGET)
    test[enough] = items[ends[enough] - 1]
    validation[enough] = items[ends[enough] - 2]
    keep = np.ones(len(items), dtype=bool)
    keep[ends[enough] - 1] = False
    keep[ends[enough] - 2] = False
    for target in (validation, test):
        target.flags.writeable = False
    return LeaveOneOut(Interactions(users[keep], items[keep], n_users, n_items), validation, test)


def holdout(
    ratings: pl.DataFrame,
    n_users: int,
    n_items: int,
    *,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.0,
    seed: int = 0,
) -> Holdout:
    """Split all ratings at random, as the 80/20 split of the CFGAN experiments does.

    Every rating counts as one positive interaction, whatever its value. The split is
    over all ratings, not per user: a user may have no test item.

    Parameters
    ----------
    ratings
        Columns ``user`` and ``item`` (zero-based ids).
    n_users, n_items
        Sizes of the catalogue.
    test_fraction, validation_fraction
        Shares of all ratings, each in [0, 1), together below 1. The test part depends on ``seed`` and
        ``test_fraction`` only, so that asking for a validation part changes no test rating.
    seed
        Seed of the shuffle.

    Raises
    ------
    ValueError
        If a column is missing, a fraction or an id is out of range, or a pair occurs twice.
    """
    if min(test_fraction, validation_fraction) < 0 or test_fraction + validation_fraction >= 1:
        raise ValueError("test_fraction and validation_fraction are shares: not negative, together below 1.")
    every = _interactions(ratings, n_users, n_items)
    order = np.random.default_rng(seed).permutation(len(every))
    n_test = round(test_fraction * len(every))
    n_validation = round(validation_fraction * len(every))
    parts = np.split(order, [n_test, n_test + n_validation])
    # In the order of the ratings: what comes out does not hint at how the parts were drawn.
    test, validation, train = (
        Interactions(every.users[part], every.items[part], n_users, n_items) for part in map(np.sort, parts)
    )
    return Holdout(train, validation, test)


def _interactions(ratings: pl.DataFrame, n_users: int, n_items: int, *also: str) -> Interactions:
    missing = [name for name in ("user", "item", *also) if name not in ratings.columns]
    if missing:
        raise ValueError(f"The ratings have no column {missing[0]!r}; they have {', '.join(ratings.columns)}.")
    return Interactions(ratings["user"].to_numpy(), ratings["item"].to_numpy(), n_users, n_items)


def _ids(values: ArrayLike, size: int, name: str) -> NDArray[np.int64]:
    """Return a read-only int64 copy of one-dimensional ids, checked against [0, size)."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"{name} must be a one-dimensional array of whole numbers.")
    array = array.astype(np.int64)
    if array.size and (array.min() < 0 or array.max() >= size):
        raise ValueError(f"{name} must be at least 0 and below {size}; found {array.min()} to {array.max()}.")
    array.flags.writeable = False
    return array
