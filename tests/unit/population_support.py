"""A small population for tests of fake accounts."""

import numpy as np

from advrec_teach.splits import Interactions


def interactions(table):
    """Return the interactions that a table of truth values, users by items, holds."""
    users, items = np.nonzero(table)
    return Interactions(users, items, *table.shape)


def users_and_items():
    """Return 40 users and 25 items of unequal popularity, item 3 among them, which nobody has."""
    rng = np.random.default_rng(5)
    table = rng.random((40, 25)) < rng.uniform(0.1, 0.7, size=25)
    table[:, 3] = False
    return interactions(table)
