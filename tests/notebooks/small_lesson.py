"""A small lesson that keeps every rule, in a small checkout, for the tests to break in one place."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

PYPROJECT = """\
[tool.advrec]
repository = "https://github.com/advrec-teach/advrec-teach"
branch = "main"
"""

LESSON = '''\
# ---
# jupyter:
#   advrec:
#     minutes: 7
#     data: []
#     prerequisites: []
# ---

# %% [markdown]
# # 95 · How far is one step?
#
# You will find out how far one step goes.

# %% tags=["pytorch", "nbval-ignore-output"]
from advrec_teach import claim, exercise, pytorch as advrec

import torch

# %% tags=["tensorflow", "nbval-ignore-output"]
from advrec_teach import claim, exercise, tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %%
size = {"smoke": 2, "quick": 4, "full": 8}[PROFILE]

# %% [markdown]
# ### Exercise 95.1 · the signed step · 10 min · **
#
# Write the step.

# %% tags=["pytorch", "exercise"]
def step(x, *, eps):
    """Move every coordinate of x by eps in the direction of its sign."""
    # BEGIN SOLUTION
    direction = torch.sign(x)
    # END SOLUTION
    # BEGIN SOLUTION
    moved = eps * direction
    # END SOLUTION
    return moved


step = exercise("95.1").check(step)

# %% tags=["tensorflow", "exercise"]
def step(x, *, eps):
    """Move every coordinate of x by eps in the direction of its sign."""
    # BEGIN SOLUTION
    direction = tf.sign(x)
    # END SOLUTION
    # BEGIN SOLUTION
    moved = eps * direction
    # END SOLUTION
    return moved


step = exercise("95.1").check(step)

# %% [markdown]
# ### Exercise 95.2 · guess the length · 2 min · *
#
# Which is longer? (a) the first, (b) the second.

# %% tags=["exercise"]
# BEGIN SOLUTION
scratch = ["a", "b"]
prediction = scratch[1]
# END SOLUTION
prediction = exercise("95.2").check(prediction)

# %% [markdown]
# ### Exercise 95.3 · find the bug · 5 min · ***

# %% tags=["exercise"]
def length(values):
    """Return the sum of the magnitudes."""
    return sum(values)

# %% tags=["solution"]
def length(values):
    """Return the sum of the magnitudes."""
    return sum(abs(value) for value in values)

# %%
length = exercise("95.3").check(length)

# %%
claim("the length is positive", length([3.0, -1.0]) > 0)

# %%
claim("four values go in", size in (2, 4, 8))

# %%
claim("length of the step", length([0.5] * 4))

# %% tags=["nbval-ignore-output"]
print(size)
'''


@dataclass
class Checkout:
    """A small checkout, with one sound lesson to start from."""

    root: Path

    @property
    def lesson(self) -> Path:
        return self.root / "lessons" / "95_small_lesson.py"

    def write(self, text: str, name: str = "95_small_lesson.py") -> Path:
        path = self.root / "lessons" / name
        path.write_text(text, encoding="utf-8")
        return path

    def change(self, old: str, new: str) -> Path:
        """Replace ``old``, which must be there once, in the sound lesson."""
        assert LESSON.count(old) == 1, f"{old!r} is {LESSON.count(old)} times in the lesson"
        return self.write(LESSON.replace(old, new))


def registry(number: str) -> dict[str, SimpleNamespace]:
    """Return three registered exercises for the small lesson, whatever its number."""
    return {f"{number}.{k}": SimpleNamespace(hints=("look", "think", "write")) for k in (1, 2, 3)}
