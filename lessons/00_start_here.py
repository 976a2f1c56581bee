# ---
# jupyter:
#   advrec:
#     title: Does my machine work, and how does this course talk to me?
#     minutes: 50
#     data: [movielens, reviews]
#     prerequisites: []
# ---

# %% [markdown]
# # 00 · Does my machine work, and how does this course talk to me?
#
# Start here. You will find out whether your machine runs this course, what its data looks like from close up, how
# the course tells you that you are right or wrong, and why one gradient is enough to cause trouble.

# %% [markdown]
# **You will be able to**
#
# - read the line that says what your machine computes on, and choose a profile that fits it;
# - tell a finding that holds from one that fails, and ask for a check, a hint or a solution;
# - name three facts about the film ratings and two about the reviews that a model will stumble over;
# - compute a gradient with respect to an *input*, and check it in a way that does not fool you.

# %% tags=["pytorch", "nbval-ignore-output"]
import time

import numpy as np
import polars as pl
import torch

from advrec_teach import claim, claims, data, exercise, plots
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow", "nbval-ignore-output"]
import time

import numpy as np
import polars as pl

from advrec_teach import claim, claims, data, exercise, plots
from advrec_teach import tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% [markdown]
# Every lesson starts with these two settings. `SEED` fixes all random numbers. `PROFILE` says how much to compute:
#
# | profile | what for | where |
# |---|---|---|
# | `smoke` | does the notebook run at all? Its results mean nothing. | anywhere, in seconds |
# | `quick` | to learn from; the findings are judged for this profile | two processor cores, a minute or two |
# | `full` | the sizes of the papers | a GPU |
#
# The next cell turns the profile into sizes, in plain sight, and names the device. `cpu` is fine: every lesson is
# made to teach on a laptop.

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"matrix": 64, "draws": 10},
    "quick": {"matrix": 1024, "draws": 200},
    "full": {"matrix": 8192, "draws": 2000},
}[PROFILE]
device = advrec.setup(lesson="00", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## Does my machine work?
#
# **Question.** Nearly everything in this course comes down to products of matrices. Does your device get them right,
# and how many times as fast as plain NumPy is it? Guess a factor.
#
# Two things differ there. NumPy computes with float64, numbers of about sixteen digits; models use float32, with
# about seven digits and half the memory. And the device may be another one. So NumPy runs twice below, the second time
# in float32. That is a **control**: a measurement in which everything is the same but the one thing in question. A
# GFLOP is a billion additions or multiplications. The time on the device includes bringing the result back.
#
# `advrec.tensor` puts numbers on the device (as float32), `advrec.numpy` brings them back. These two, and what you
# meet below, have the same names in both tracks of the course.

# %%
rng = np.random.default_rng(SEED)
left, right = rng.normal(size=(2, SIZES["matrix"], SIZES["matrix"]))
on_device = advrec.tensor(left), advrec.tensor(right)


def seconds(product):
    """Seconds of the fastest of three runs, after one run to warm up."""
    product()
    runs = []
    for _ in range(3):
        start = time.perf_counter()
        product()
        runs.append(time.perf_counter() - start)
    return min(runs)


# %% tags=["nbval-ignore-output"]
work = 2 * SIZES["matrix"] ** 3 / 1e9  # a multiplication and an addition for each of n^3 pairs
left_32, right_32 = left.astype(np.float32), right.astype(np.float32)
times = {
    "NumPy, float64": seconds(lambda: left @ right),
    "NumPy, float32": seconds(lambda: left_32 @ right_32),
    f"{device}, float32": seconds(lambda: advrec.numpy(on_device[0] @ on_device[1])),
}
slowest = times["NumPy, float64"]
plots.table([{"on": on, "GFLOP/s": round(work / t), "times as fast": f"{slowest / t:.1f}"} for on, t in times.items()])

# %%
truth = left @ right
error = np.linalg.norm(advrec.numpy(on_device[0] @ on_device[1]) - truth) / np.linalg.norm(truth)

claim("the device multiplies matrices as NumPy does, to three digits", error < 1e-3)

# %% [markdown]
# The table shows *your* machine, so it differs from everybody else's. The line below it does not.
#
# *Takeaway:* compare the last row with the one above it to see what the device does, and the first two rows to see
# what fewer digits do. Twice as many float32 as float64 numbers fit into the same registers and the same memory, so
# you can expect a factor of about two from them alone. The price is digits, and further down it comes due.

# %% [markdown]
# ## How does the course tell me what it found?
#
# That line is a **claim**. The text of a lesson never states a measured number: numbers in prose go stale. A claim
# is a line of code that measures and judges, each time the notebook runs. There are two kinds:
#
# - a **direction** is true or false, as the one above;
# - a **measured number** is judged against its **band**: the range in which the value for one more seed falls in 99
#   of 100 runs, computed from at least five seeds and stored with the lesson. Nobody types a tolerance. (A count in
#   a data set has no chance in it; its band is as narrow as rounding allows.)
#
# A claim that holds shows the same text on every machine. **Question:** what does one look like that fails? Here are
# examples, made to fail or to hold. Five seeds of a die thrown a thousand times give the band of its mean.

# %%
means = [np.random.default_rng(seed).integers(1, 7, size=1000).mean() for seed in range(5)]
fair = np.random.default_rng(5).integers(1, 7, size=1000).mean()
loaded = np.maximum(np.random.default_rng(5).integers(1, 7, size=1000), 3).mean()  # no one, no two

claims.example("mean of a fair die", fair, seeds=means)
claims.example("mean of a loaded die", loaded, seeds=means)
claims.example("a fair die shows a six every time", fair == 6)

# %% [markdown]
# *Takeaway:* a failing claim shows the value that it got and the band that it missed. On your machine the notebook
# goes on; where the course is tested, it stops. If a claim of a lesson fails for you in the profile `quick` with
# `SEED = 0`, the course wants to know.

# %% [markdown]
# ## How do I know that my answer is right?
#
# Every exercise has a card with minutes and one to three stars, a function to complete, and a check. The check tries
# your function on random inputs and says **correct**, **not attempted**, or what is wrong. When your function is
# right the notebook goes on with yours, else with the course's own: you can always read on.
#
# ### Exercise 00.1 · rows of length one · 10 min · *
#
# Vectors are compared by direction in nearly every lesson. Write the function that scales each row $x_r$ of a table
# to length one,
#
# $$\hat x_r = \frac{x_r}{||x_r||_2}, \qquad ||x_r||_2 = \sqrt{\textstyle\sum_k x_{rk}^2},$$
#
# and leaves a row of zeros as it is. Put your code in place of the line `YOUR CODE HERE` and run the cell.


# %% tags=["pytorch", "exercise"]
def unit_vectors(x):
    """Scale every row of x, a tensor of shape [n, d], to length 1; a row of zeros stays zero."""
    # BEGIN SOLUTION
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / torch.where(length > 0, length, 1.0)
    # END SOLUTION


unit_vectors = exercise("00.1").check(unit_vectors)


# %% tags=["tensorflow", "exercise"]
def unit_vectors(x):
    """Scale every row of x, a tensor of shape [n, d], to length 1; a row of zeros stays zero."""
    # BEGIN SOLUTION
    length = tf.norm(x, axis=1, keepdims=True)
    return tf.math.divide_no_nan(x, length)
    # END SOLUTION


unit_vectors = exercise("00.1").check(unit_vectors)

# %% [markdown]
# Stuck? In a new cell, run `exercise("00.1").hint()`; there are three hints, one at a time.
# `exercise("00.1").solution()` shows the solution in this track. What you solved is kept on your machine and
# nowhere else; `advrec progress` in a terminal lists it.
#
# The check knows the mistakes that people make. Here is somebody else's answer, and what the check says to it (`judge`
# is a check that is not recorded):


# %%
def somebody_else(x):
    """Divide every row by the sum of its entries, signs dropped."""
    total = np.abs(advrec.numpy(x)).sum(axis=1, keepdims=True)
    return x / advrec.tensor(np.maximum(total, 1e-12))


print(exercise("00.1").judge(somebody_else).message)

# %% [markdown]
# ## Who watched what?
#
# **Question.** The first data set is MovieLens-100K (Harper and Konstan, 2015): people, films, and stars from 1 to 5.
# Before you look: are people kind or harsh with their stars? How much of the table of people and films is filled?

# %%
pl.Config.set_fmt_str_lengths(60)  # show whole titles
movies = data.movielens()
ratings = movies.ratings
print(f"{len(ratings):,} ratings by {movies.n_users:,} users of {movies.n_items:,} films")
ratings.head(5)

# %% [markdown]
# A row is one rating: the numbers of a user and of a film (both from 0), the stars, and the time in seconds since
# 1970. That is all a classic recommender sees. To a person it says more with the titles beside it. Take a user in
# the middle: about half of the others have rated fewer films.

# %%
activity = np.bincount(ratings["user"], minlength=movies.n_users)
middle = int(np.argsort(activity, kind="stable")[movies.n_users // 2])
history = ratings.filter(pl.col("user") == middle).join(movies.items, on="item")
history = history.with_columns(at=pl.from_epoch("time"), genres=pl.col("genres").list.join(", "))

best_first = history.sort("rating", "item", descending=[True, False])
pl.concat([best_first.head(6), best_first.tail(4)]).select("rating", "title", "genres")

# %% [markdown]
# Six films at the top of this person's list, four at the bottom. You could recommend something now, and that is the
# point. Or is the taste that you see only in your eye?
#
# Ask the rows. Take each genre of which this user rated at least ten films: what is the mean of its stars? The control
# are the same stars, shuffled among the same films two thousand times. They have no taste; 95 of 100 of their means
# fall between "low" and "high".

# %%
history = history.sort("item")
own = history["rating"].to_numpy()
shuffled = np.random.default_rng(SEED).permuted(np.tile(own, (2000, 1)), axis=1)
rows, above = [], {}
for genre in ("Action", "Adventure", "Comedy", "Drama", "Thriller"):
    has = history["genres"].str.contains(genre).to_numpy()
    by_chance = shuffled[:, has].mean(axis=1)
    low, high = np.quantile(by_chance, [0.025, 0.975])
    above[genre] = own[has].mean() > high
    rows.append({"genre": genre, "films": has.sum(), "mean stars": own[has].mean(), "low": low, "high": high})

plots.table(rows, digits=2)

# %%
claim("this user gives dramas more stars than chance does", above["Drama"])
claim("of the five genres, dramas alone are above what chance gives", sum(above.values()) == 1)

# %% [markdown]
# *Takeaway:* some taste is there (dramas), and much that looks like taste is not told apart from chance by so few
# stars: most of those favourites are action films, and this user's action films do no better than shuffled
# ones. A recommender gets better by asking many users at once.
#
# Now the same user in the order of time.

# %%
in_time = ratings.sort("user", "time", "item")
gaps = in_time.select(pl.col("time").diff().over("user")).drop_nulls()["time"].to_numpy()

history.sort("time", "item").head(8).select("at", "rating", "title")

# %%
claim("more than half of all ratings carry the same second as the user's rating before", (gaps == 0).mean() > 0.5)
claim("nine of ten ratings follow within two minutes of the user's rating before", (gaps < 120).mean() > 0.9)

# %% [markdown]
# *Takeaway:* nobody watches films at that pace. Even the user above, who pauses more than the claims say of all
# ratings, rated more films that evening than an evening holds. So the times say when somebody *rated*, not when
# somebody watched. A guess that fits: people went through lists of films and ticked from memory. The data alone cannot
# prove it. Remember it when a method promises to learn from "sequences" (lesson 04), and when a split takes
# "the last film" of a user (lesson 01).

# %% [markdown]
# ### Exercise 00.2 · predict: how long is the tail? · 3 min · *
#
# Sort the films by the number of their ratings. The few with the most are called the **head**, the many others the
# **tail**. The head, taken here as the most popular **tenth** of the films, gets
#
# - **a**: about a tenth of all ratings, because tastes differ;
# - **b**: about two fifths;
# - **c**: about four fifths, as the well-known 80/20 rule says, or more.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
prediction = None
# BEGIN SOLUTION
prediction = "b"
# END SOLUTION
prediction = exercise("00.2").check(prediction)

# %%
popularity = np.sort(np.bincount(ratings["item"], minlength=movies.n_items))[::-1]
tenth = movies.n_items // 10
stars = np.bincount(ratings["rating"], minlength=6)[1:]

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("People are kind with their stars, and the tail of films is long", columns=2)
axes[0].bar(np.arange(1, 6), stars, color=plots.REAL)
plots.label(axes[0], x="stars", y="ratings")
rank = np.arange(1, movies.n_items + 1)
axes[1].fill_between(rank[:tenth], popularity[:tenth], color=plots.EXTRA, label="most popular tenth")
axes[1].fill_between(rank[tenth:], popularity[tenth:], color=plots.REAL, label="the long tail")
plots.label(axes[1], x="films, most popular first", y="ratings of the film", legend=True)

# %%
claim(
    "share of all ratings that the most popular tenth of the films gets (%)",
    100 * popularity[:tenth].sum() / len(ratings),
)
claim("ratings of four and five stars outnumber those of one and two", stars[3:].sum() > stars[:2].sum())
claim("half of the films have fewer than thirty ratings", np.median(popularity) < 30)

# %% [markdown]
# *Takeaway:* a recommender that shows everybody the same popular films will look quite good (lesson 01 measures
# how good), and about the films in the tail nobody knows much. Both facts come back: attacks push lists into the
# tail (lesson 08), and programs that make up users like to copy the head (lesson 04).
#
# Now the whole table at once: a dot for every rating, the busiest users on top, the most popular films on the left.

# %% tags=["nbval-ignore-output"]
table = np.zeros((movies.n_users, movies.n_items), dtype=np.float32)
table[ratings["user"], ratings["item"]] = 1
by_user = np.argsort(-table.sum(axis=1), kind="stable")
by_film = np.argsort(-table.sum(axis=0), kind="stable")

fig, axis = plots.figure("Nearly all of the table is empty, and one corner is crowded", size=(7.5, 4.4))
axis.imshow(table[by_user][:, by_film], cmap="Blues", vmin=0, vmax=0.8, aspect="auto", interpolation="antialiased")
axis.grid(False)
plots.label(axis, x="films, most popular first", y="users, busiest first")

# %%
claim("filled share of the table of users and films (%)", 100 * table.mean())

# %% [markdown]
# *Takeaway:* to recommend is to guess what belongs in the pale part. An empty place is not a "no": mostly it is a
# film that this person never heard of.

# %% [markdown]
# ## Which films are alike?
#
# **Question.** Give every film the column of users who rated it. Which films have the columns most like that of *Star
# Trek: The Wrath of Khan*? The obvious measure is the dot product of two columns, which counts the users that
# two films share. Guess which films win.
#
# The control beside it is your function of exercise 00.1: scale the columns to length one first. Then the dot product
# is the **cosine** of the angle between them, and being popular no longer helps by itself.

# %%
columns = table.T.copy()  # one row a film
directions = advrec.numpy(unit_vectors(advrec.tensor(columns)))
titles = movies.items["title"].to_numpy()
khan = int(np.flatnonzero(titles == "Star Trek: The Wrath of Khan (1982)")[0])


def nearest(vectors, n):
    """Titles of the n films whose vectors have the largest dot product with that of `khan`, itself left out."""
    scores = vectors @ vectors[khan]
    scores[khan] = -np.inf
    return titles[np.argsort(-scores, kind="stable")[:n]].tolist()


pl.DataFrame({"shared users": nearest(columns, 6), "cosine": nearest(directions, 6)})

# %%
claim(
    "by cosine the three films nearest to The Wrath of Khan are Star Trek films",
    all(title.startswith("Star Trek") for title in nearest(directions, 3)),
)
claim(
    "by the number of shared users none of the three nearest is a Star Trek film",
    not any(title.startswith("Star Trek") for title in nearest(columns, 3)),
)

# %% [markdown]
# *Takeaway:* no title, genre or plot went into this: only who rated what. That is the whole idea of *collaborative
# filtering*, and lesson 01 makes a recommender of it that is hard to beat. And see what one missing division does.

# %% [markdown]
# ## What do people write?
#
# **Question.** The second data set holds reviews of clothes, each with the customer's answer to "would you recommend
# it?". The language model of lesson 14 will read them. Read two before you guess: can one tell the answer from the
# *length* of a review?

# %%
reviews = data.reviews().drop_nulls("text").with_columns(words=pl.col("text").str.split(" ").list.len())
short = reviews.filter(pl.col("words") < 30)

for recommended in (True, False):
    row = short.filter(pl.col("recommended") == recommended).row(1, named=True)
    print(f"{row['department']}, {row['rating']} stars, recommended: {recommended}\n  {row['text']}\n")

# %% tags=["nbval-ignore-output"]
colours = {True: plots.REAL, False: plots.EXTRA}
names = {True: "recommended", False: "not recommended"}
fig, axes = plots.figure("Most reviews recommend, and the lengths of both kinds overlap", columns=2)
for place, (answer, colour) in enumerate(colours.items()):
    part = reviews.filter(pl.col("recommended") == answer)
    axes[0].bar(place, len(part), color=colour, width=0.6)
    axes[1].hist(
        part["words"],
        bins=np.arange(0, 121, 5),
        density=True,
        histtype="step",
        color=colour,
        label=names[answer],
        linewidth=2,
    )
axes[0].set_xticks([0, 1], list(names.values()))
plots.label(axes[0], x="", y="reviews")
plots.label(axes[1], x="words", y="share of the reviews, per word", legend=True)

# %%
medians = reviews.group_by("recommended").agg(pl.col("words").median()).sort("recommended")["words"]

claim("share of the reviews that recommend (%)", 100 * reviews["recommended"].mean())
claim("the median lengths of both kinds differ by less than a tenth", abs(medians[1] / medians[0] - 1) < 0.1)

long = reviews.filter(pl.col("text").str.len_chars() >= 500)["text"]
finished = long.str.contains(r"[.!?]\s*$").mean()
few_words = reviews.group_by(pl.col("words") < 30).agg(pl.col("recommended").mean()).sort("words")["recommended"]
claim(
    "reviews of fewer than thirty words recommend more often, by less than ten in a hundred",
    0 < few_words[1] - few_words[0] < 0.1,
)
claim("nine of ten reviews of 500 characters or more end without a full stop", finished < 0.1)

# %% [markdown]
# *Takeaway:* length tells a little, for the short reviews recommend somewhat more often, and far too little to answer
# by. The first claim is also the accuracy of a program that answers "recommended" without reading. Any model
# has to beat that control, and lesson 14 will use a measure that the control cannot cheat. And mind the right
# edge of the figure: the shop cut its reviews at a fixed number of characters, in the middle of a thought.

# %% [markdown]
# ## Where does the gradient point?
#
# One tool runs through the whole course. Training asks: *how should the weights move so that the loss falls?* An
# attack asks: *how should the **input** move so that the loss rises?* Both answers are gradients of the same loss.
#
# Take the smallest recommender there is: a user with vector $p$, a film $i$ that the user likes, another film $j$. The
# loss is small when the liked film scores higher (you will derive it in lesson 01). The function
# $\sigma(s) = 1 / (1 + e^{-s})$ squeezes any number to between 0 and 1.
#
# $$L(p) = -\log \sigma(s), \qquad s = p^\top q_i - p^\top q_j, \qquad
# \nabla_p L = -\sigma(-s)\,(q_i - q_j).$$

# %%
dim = 64
p, q_i, q_j = rng.normal(size=(3, 1, dim)) / np.sqrt(dim) * 2
user, liked, other = (advrec.tensor(vector) for vector in (p, q_i.T, q_j.T))  # shapes [1, d], [d, 1], [d, 1]


def loss_fn(user):
    """The loss for one user, one liked and one other film, as a function of the user's vector alone."""
    return advrec.bpr_loss(user @ liked, user @ other)


# %% [markdown]
# The framework finds the gradient by itself. `advrec.value_and_grad(loss_fn, x)` returns the loss and its gradient
# with respect to `x`. It is the one function of the package to know by heart, so here is the heart of it:


# %% tags=["pytorch"]
def by_hand(loss_fn, x):
    """The loss at x and its gradient there."""
    x = x.detach().requires_grad_()  # cut off from the past, and watched from here on
    value = loss_fn(x)
    (gradient,) = torch.autograd.grad(value, x)  # x alone: no weight gets a .grad
    return value.detach(), gradient


# %% tags=["tensorflow"]
def by_hand(loss_fn, x):
    """The loss at x and its gradient there."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:  # weights are not recorded
        tape.watch(x)
        value = loss_fn(x)
    return value, tape.gradient(value, x)


# %%
value, gradient = advrec.value_and_grad(loss_fn, user)
gradient = advrec.numpy(gradient)
formula = -1 / (1 + np.exp(p @ (q_i - q_j).T)) * (q_i - q_j)

claim(
    "value_and_grad written out by hand gives what the package gives",
    np.allclose(advrec.numpy(by_hand(loss_fn, user)[1]), gradient),
)
claim(
    "the gradient agrees with the formula to five digits",
    np.abs(gradient - formula).max() < 1e-5 * np.abs(formula).max(),
)

# %% [markdown]
# Mostly there is no formula at hand. Then one measures: move one coordinate a little to both sides, and look how much
# the loss changes. This is a **central difference**,
#
# $$\frac{\partial L}{\partial x_k} \approx \frac{L(x + h\,e_k) - L(x - h\,e_k)}{2h},$$
#
# with a step $h$ and the vector $e_k$ that is 1 in place $k$ and 0 elsewhere.

# %% [markdown]
# ### Exercise 00.3 · bug hunt: the check that is wrong · 15 min · **
#
# A colleague checks `value_and_grad` with the program below, and reports: "Your gradient is broken." The formula of the
# difference is typed in correctly, and programs like this one stand in many tutorials. Run it, compare its slopes with
# the other two columns, and find out what is wrong. Then repair the function. Callers may still choose a `step`, and
# get the difference over that step; and it stays a *difference*, with the loss called on tensors as it is now.


# %% tags=["exercise", "nbval-ignore-output"]
def numerical_gradient(loss_fn, x, *, step=1e-8):
    """Gradient of loss_fn at x, one coordinate at a time; a tensor of the shape of x."""
    slopes = np.zeros(advrec.numpy(x).shape)
    for place in np.ndindex(slopes.shape):
        move = np.zeros(slopes.shape)
        move[place] = step
        after, before = loss_fn(x + advrec.tensor(move)), loss_fn(x - advrec.tensor(move))
        slopes[place] = (float(after) - float(before)) / (2 * step)
    return advrec.tensor(slopes)


colleague = advrec.numpy(numerical_gradient(loss_fn, user))
answers = {"formula": formula, "value_and_grad": gradient, "colleague": colleague}
pl.DataFrame({name: np.round(slopes[0, :6].astype(float), 4) for name, slopes in answers.items()})


# %% tags=["solution"]
def numerical_gradient(loss_fn, x, *, step=1e-2):
    """Gradient of loss_fn at x, one coordinate at a time; a tensor of the shape of x."""
    # The loss is float32, with about seven digits: near 1 it cannot change by so little as 1e-8 times a slope, even
    # where an entry of x, well below 1, does move. A step of 1e-2 changes the loss in its third or fourth digit.
    slopes = np.zeros(advrec.numpy(x).shape)
    for place in np.ndindex(slopes.shape):
        move = np.zeros(slopes.shape)
        move[place] = step
        after, before = loss_fn(x + advrec.tensor(move)), loss_fn(x - advrec.tensor(move))
        slopes[place] = (float(after) - float(before)) / (2 * step)
    return advrec.tensor(slopes)


# %%
numerical_gradient = exercise("00.3").check(numerical_gradient)

# %% [markdown]
# With the repaired check, we can see how bad each step is. The control is the same difference in float64, in which
# NumPy computes and which keeps about sixteen digits. **Question:** is the smallest step the best one there?


# %%
def off(slopes):
    """Distance from the formula, relative to its length."""
    return np.linalg.norm(slopes - formula) / np.linalg.norm(formula)


def in_float64(step):
    """The same central differences in NumPy, all coordinates at once."""
    moves = step * np.eye(dim)
    after, before = (np.logaddexp(0, -(p + sign * moves) @ (q_i - q_j).T) for sign in (1, -1))
    return (after - before).T / (2 * step)


steps = 10.0 ** np.arange(-13, 1)
error_32 = [off(advrec.numpy(numerical_gradient(loss_fn, user, step=float(step)))) for step in steps]
error_64 = [off(in_float64(step)) for step in steps]

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("A step can be too small as well as too large")
plots.line(axis, steps, error_32, "extra", "float32, this track")
plots.line(axis, steps, error_64, "random", "float64, the control")
axis.set_xscale("log")
axis.set_yscale("log")
plots.label(axis, x="step h", y="relative error of the slope", legend=True)

# %%
at = {round(np.log10(step)): place for place, step in enumerate(steps)}

claim("in float32 the step 1e-8 misses the slope altogether", error_32[at[-8]] > 0.5)
claim("in float64 the step 1e-8 is right to five digits", error_64[at[-8]] < 1e-5)
claim("in float32 the step 1e-2 is right to two digits", error_32[at[-2]] < 1e-2)
claim("in float64, too, the smallest step is not the best", min(error_64) < error_64[0] / 10)

# %% [markdown]
# *Takeaway:* two errors pull in opposite directions. A large step sees the curve where it should see a line; a
# small one loses the difference in the rounding. An error of 1 means that all slopes came out as zero. Some steps do
# *worse*: there a rounded loss jumps now and then to its neighbour among the float32 numbers, and that jump, divided by
# a tiny $2h$, gives a slope many times too large. So test a gradient with a step that fits the precision, and
# mistrust a check that has never been seen to *pass*. A wrong check is worse than none: here it would have
# "repaired" a correct program.

# %% [markdown]
# ## Why is a gradient dangerous?
#
# **Question.** Move the user's vector by a tenth of its own length. By how much does the loss change if the direction
# is random? And how many times as much does it rise along the gradient? Guess a factor, then look: this is the whole
# course in one picture.
#
# The control is a crowd of random directions. We draw their mean, and also the *luckiest* of all.

# %%
lengths = np.linspace(0, 0.1, 11) * np.linalg.norm(p)
uphill = advrec.numpy(unit_vectors(advrec.tensor(gradient)))
random = advrec.numpy(unit_vectors(advrec.tensor(rng.normal(size=(SIZES["draws"], dim)))))


def losses(directions, length):
    """The loss after a move of this length, for every direction."""
    return np.logaddexp(0, -(p + length * directions) @ (q_i - q_j).T)


attacked = [losses(uphill, length).max() for length in lengths]
mean = [losses(random, length).mean() for length in lengths]
luckiest = [losses(random, length).max() for length in lengths]

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("The gradient beats the luckiest of many random moves")
share = 100 * lengths / np.linalg.norm(p)
plots.line(axis, share, attacked, "attacked", "along the gradient")
plots.line(axis, share, luckiest, "random", "luckiest random direction", linestyle="--")
plots.line(axis, share, mean, "random", "mean of the random directions")
plots.label(axis, x="length of the move (% of the length of the user's vector)", y="loss", legend=True)

# %%
rise = attacked[-1] - attacked[0]
usual = np.abs(losses(random, lengths[-1]) - mean[0]).mean()  # up or down
print(f"along the gradient the loss rises {rise / usual:.1f} times as much as a random move usually changes it")

# %%
claim("the gradient's move does at least five times as much as a random one usually does", rise > 5 * usual)
claim(
    "a move along the gradient raises the loss more than the luckiest random one of its length",
    attacked[-1] > luckiest[-1],
)
claim(
    "the mean of the random moves raises the loss by less than a tenth of that",
    mean[-1] - mean[0] < rise / 10,
)

# %% [markdown]
# *Takeaway:* chance hardly finds the bad direction in a space of many dimensions; the gradient names it. Whoever can
# compute (or guess) gradients can bend a model with moves that are small beside the vectors themselves. Whoever
# trains on such moves can defend it. Lesson 08 makes this exact, and so do lessons 09 to 11.

# %% [markdown]
# ## How does it all connect?
#
# People rate, buy and write. A **recommender** turns that into vectors and the vectors into ranked lists; more
# and more, a **language model** helps by reading texts. Lists are money, so somebody will try to bend them: with
# fake accounts, with edited texts, or by finding the model's weak directions. **Adversarial learning** is the
# study of models with an opponent. It comes in two forms here: a *generator* and a *discriminator* that train
# each other, and an *attacker* who strengthens what it cannot break.
#
# ```mermaid
# flowchart TB
#   accTitle: How recommender, language model, generator, attacker and training connect
#   disc["discriminator D"]:::fake -- "real or fake?" --> gen["generator G"]:::fake
#   gen -- "fakes to judge" --> disc
#   gen -- "fake behaviour" --> log["behaviour log<br>who rated what"]
#   att["attacker<br>input moves, loss rises"]:::attack -- "fake accounts" --> log
#   att -- "moved vectors" --> rec["recommender<br>vectors p, q"]
#   att -- "edited words" --> text["texts<br>titles, reviews"]
#   att -. "adversarial training:<br>train on the attack" .-> opt["optimiser<br>weights move, loss falls"]:::defend
#   log --> rec
#   text --> lm["language model<br>BERT, LLM"]
#   opt --> rec
#   opt --> lm
#   rec --> list["ranked list"]
#   lm --> list
#   list -- "people choose" --> log
#   classDef fake fill:#FDF3DE,stroke:#E69F00,stroke-width:2px
#   classDef attack fill:#FBE7DA,stroke:#D55E00,stroke-width:2px
#   classDef defend fill:#DCF2EA,stroke:#009E73,stroke-width:2px
# ```

# %% [markdown]
# ## Where does the course go?
#
# Five parts, 23 lessons. Blue lessons are ready, the dashed ones are not written yet. Part A comes first; after
# that B, C and D can be taken in any order, and E builds on what you have.
#
# ```mermaid
# ---
# config:
#   flowchart:
#     rankSpacing: 18
#     nodeSpacing: 14
#     padding: 8
#     wrappingWidth: 260
#     subGraphTitleMargin: {top: 2, bottom: 14}
# ---
# flowchart TB
#   accTitle: The map of the course: 23 lessons in five parts; 00 to 12 and 14 ready
#   subgraph A["A · Start"]
#     L00["00 Start here"]:::ready
#     L01["01 Recommend and measure"]:::ready
#   end
#   subgraph B["B · Generators against discriminators"]
#     L02["02 GAN losses"]:::ready
#     L03["03 GAN clinic"]:::ready
#     L04["04 Fake behaviour"]:::ready
#     L05["05 Augmentation"]:::ready
#     L06["06 Privacy"]:::ready
#     L07["07 GAN recommenders"]:::ready
#   end
#   subgraph C["C · Attack and defend embeddings"]
#     L08["08 FGSM"]:::ready
#     L09["09 PGD"]:::ready
#     L10["10 Adversarial training"]:::ready
#     L11["11 Better defences"]:::ready
#     L12["12 Poisoning"]:::ready
#     L13["13 Multimodal"]:::planned
#   end
#   subgraph D["D · Language models"]
#     L14["14 BERT"]:::ready
#     L15["15 BERT adversarial"]:::planned
#     L16["16 Text attacks"]:::planned
#     L17["17 LLM recommender"]:::planned
#   end
#   subgraph E["E · Ship it"]
#     L18["18 Tracking"]:::planned
#     L19["19 Scale"]:::planned
#     L20["20 Federated"]:::planned
#     L21["21 Deploy"]:::planned
#     L22["22 Capstone"]:::planned
#   end
#   A --> B
#   A --> C
#   A --> D
#   B --> E
#   C --> E
#   D --> E
#   classDef ready fill:#D6E9F5,stroke:#0072B2,stroke-width:2px
#   classDef planned fill:#FFFFFF,stroke:#7F7F7F,stroke-dasharray:4 3
# ```

# %% [markdown]
# ## What can go wrong
#
# - **"... is not here yet. Run `advrec data ...`."** A data set is missing. Run that command in a terminal, or
#   `make course` in the folder of the course, which fetches everything.
# - **A number differs a little from somebody else's.** Other processors and other versions round differently; that
#   is what bands are for. A number that jumps between two runs with the same seed is a bug: please report it.
# - **A lesson takes forever.** Look at the first line for the device and the threads, close other notebooks (each
#   holds its own framework and its memory), or choose `PROFILE = "smoke"` to see that it runs.
# - **A small data set with a history.** MovieLens-100K is from the late nineties, its people volunteered, and
#   those with few ratings were left out. What holds here may fail in your shop; the course says where it knows.
#
# **Use and misuse.** You will build attacks. They are here because nobody can defend what they cannot measure,
# and all of them are public. Run them against your own models, or with the owner's consent. And remember what the
# tables are made of: the person in the middle of the list above is real, has an age and a job in the data, and
# told us a taste in a few dozen rows. Do not try to find out who it is.

# %% [markdown]
# ## What we learned
#
# - The set-up line names device, seed and profile; claims say what was found, and whether it still holds.
# - A check compares your function with the truth on random cases; hints and solution are one call away.
# - Film ratings are kind, sparse and long-tailed, and their times say when somebody rated, not watched. Most
#   reviews recommend, so accuracy alone says little; and long ones are cut off.
# - `value_and_grad` gives the gradient with respect to any input. Check gradients with a step that fits the precision.
# - The gradient finds in one step what chance does not find in many tries.
#
# **Next:** lesson 01 builds a recommender, and finds out what "good" means.

# %% [markdown]
# ## Further reading
#
# - F. Maxwell Harper, Joseph A. Konstan: *The MovieLens Datasets: History and Context*. ACM Transactions on
#   Interactive Intelligent Systems 5(4), 2015. Where the ratings come from, told by the people who collected them.
# - Atılım Güneş Baydin, Barak A. Pearlmutter, Alexey Andreyevich Radul, Jeffrey Mark Siskind: *Automatic
#   Differentiation in Machine Learning: a Survey*. Journal of Machine Learning Research 18(153), 2018. How a
#   framework finds gradients, and why finite differences are only a check.
# - Badrul Sarwar, George Karypis, Joseph Konstan, John Riedl: *Item-Based Collaborative Filtering Recommendation
#   Algorithms*. WWW 2001. Films alike by their users, as you did with cosines.
# - Yashar Deldjoo, Tommaso Di Noia, Felice Antonio Merra: *A Survey on Adversarial Recommender Systems: From
#   Attack/Defense Strategies to Generative Adversarial Networks*. ACM Computing Surveys 54(2), 2021. A map of
#   the field that this course walks through.
