# ---
# jupyter:
#   advrec:
#     title: How little does it take to break a ranking?
#     minutes: 75
#     data: [movielens]
#     prerequisites: ["00", "01"]
# ---

# %% [markdown]
# # 08 · How little does it take to break a ranking?
#
# You will find out how far a trained recommender's vectors have to move before its lists fall apart: when they
# move at random, and when one gradient says where to.

# %% [markdown]
# **You will be able to**
#
# - write the fast gradient sign method (FGSM) and the fast gradient method (FGM) from their equations, and say
#   which limit each of them keeps;
# - compare an attack with random noise of exactly the same size, and read the difference;
# - find out which users and which films an attack hurts;
# - recognise four traps: a size without a scale, a norm over the wrong axis, a disaster that is none, and a
#   wrong guess about what makes an attack strong.

# %% tags=["pytorch"]
import math

import numpy as np
import polars as pl
import torch

from advrec_teach import baselines, claim, data, exercise, metrics, plots, splits
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow"]
import math

import numpy as np
import polars as pl

from advrec_teach import baselines, claim, data, exercise, metrics, plots, splits
from advrec_teach import tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"dim": 8, "epochs": 2, "draws": 1},
    "quick": {"dim": 64, "epochs": 40, "draws": 5},
    "full": {"dim": 256, "epochs": 40, "draws": 20},
}[PROFILE]
EPSILONS = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0]
device = advrec.setup(lesson="08", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## A recommender to attack
#
# **Question.** Before anything is attacked: does the model know more than what is popular?
#
# The model is the matrix factorisation of lesson 01, trained with the BPR loss on four fifths of the MovieLens
# ratings. A user $u$ has a vector $p_u$, a film $i$ has a vector $q_i$, and the score is their dot product
# $s_{ui} = p_u^\top q_i$. The other fifth is the test set. As in lesson 01, a rating counts as interest, whatever its
# stars: the model learns what people chose to watch.

# %%
movies = data.movielens()
split = splits.holdout(movies.ratings, movies.n_users, movies.n_items, test_fraction=0.2, seed=SEED)
model = advrec.BPRModel(movies.n_users, movies.n_items, dim=SIZES["dim"], seed=SEED)
history = advrec.fit_bpr(model, split.train, epochs=SIZES["epochs"], batch_size=1024, seed=SEED)

# Plain tensors: the attack changes copies, never the model.
p = advrec.tensor(advrec.numpy(model.user_vectors))
q = advrec.tensor(advrec.numpy(model.item_vectors))

# %% [markdown]
# NDCG@20 (lesson 01) judges a list of 20 films against the films that the user rated in the test set. Films of
# the training set are never recommended. We keep the value of every user: later we ask who suffers.


# %%
def ndcg_of_scores(scores):
    """NDCG@20 of every user, shape [n_users]; nan for a user without a test film."""
    top = metrics.top_k(scores, 20, exclude=split.train)
    return metrics.ndcg_per_user(top, split.test, 20)


def ndcg(p, q):
    """NDCG@20 of every user for user vectors p [n_users, d] and item vectors q [n_items, d]."""
    return ndcg_of_scores(advrec.numpy(p) @ advrec.numpy(q).T)


clean = np.nanmean(ndcg(p, q))
popularity = np.nanmean(ndcg_of_scores(baselines.popularity_scores(split.train)))
chance = np.nanmean(ndcg_of_scores(baselines.random_scores(split.train, seed=SEED)))

# %%
claim("ndcg@20 of BPR, not attacked", clean)
claim("ndcg@20 of popularity", popularity)
claim("BPR recommends better than popularity, and popularity better than chance", clean > popularity > chance)

# %% [markdown]
# There is something to lose.
#
# ## What does the attacker move?
#
# An attack on an image adds a small $\delta$ to the pixels. A recommender's input is a pair of ids, and there is no
# user 17.01. What can move slightly is the **vector** behind the id:
#
# $$s_{ui}(\delta) = (p_u + \delta_u)^\top (q_i + \delta_i).$$
#
# Who could do that? Someone who writes fake ratings moves vectors a little at the next training (lesson 12).
# Someone who edits an item's picture or text moves a vector that is computed from it (lessons 13 and 17). Here we
# grant the attacker a **worst-case budget**: knowledge of the whole model (a *white-box* attack), and a move of every
# vector, each by no more than $\varepsilon$. What the attacker makes of that budget depends on the method, and the
# methods of this lesson are only the first step.
#
# The attacker needs something to raise. Take the loss that the model was trained on: over triples of a user $u$,
# a film $i$ that the user rated and a film $j$ that the user did not,
#
# $$L(P, Q) = \operatorname{mean}_{(u,i,j)} \; -\log \sigma\!\left(p_u^\top q_i - p_u^\top q_j\right),$$
#
# with the logistic function $\sigma(t) = 1 / (1 + e^{-t})$.


# %% tags=["pytorch"]
def ranking_loss(users, rated, unrated):
    """The BPR loss of these triples as a function of all user and item vectors."""

    def loss_fn(p, q):
        positive = (p[users] * q[rated]).sum(dim=1)
        negative = (p[users] * q[unrated]).sum(dim=1)
        return advrec.bpr_loss(positive, negative)

    return loss_fn


# %% tags=["tensorflow"]
def ranking_loss(users, rated, unrated):
    """The BPR loss of these triples as a function of all user and item vectors."""

    def loss_fn(p, q):
        p_u = tf.gather(p, users)
        positive = tf.reduce_sum(p_u * tf.gather(q, rated), axis=1)
        negative = tf.reduce_sum(p_u * tf.gather(q, unrated), axis=1)
        return advrec.bpr_loss(positive, negative)

    return loss_fn


# %% [markdown]
# Every rating of the training set gives one triple; $j$ is drawn once, from the films that $u$ has not rated.

# %%
users = advrec.tensor(split.train.users)
rated = advrec.tensor(split.train.items)
seen = advrec.tensor(split.train.table())
unrated = advrec.draw_negatives(users, seen, generator=advrec.generator(SEED))
loss_fn = ranking_loss(users, rated, unrated)

loss, gradient = advrec.value_and_grad(lambda x: loss_fn(x, q), p)
slopes = np.linalg.norm(advrec.numpy(gradient), axis=1)
lengths = np.linalg.norm(advrec.numpy(p), axis=1)

# %% [markdown]
# The gradient has the shape of $P$. Row $u$ is the direction in which moving $p_u$ raises the loss fastest, and the
# length of the row is the slope of the loss in that direction. Compare how far users differ in the length of their
# vectors and in their slopes, each as a multiple of the median user's.

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("Users differ far more in slope than in length")
bins = np.logspace(-1.5, 1.5, 40)
axis.hist(lengths / np.median(lengths), bins=bins, color=plots.CLEAN, alpha=0.7, label="length of the vector")
axis.hist(slopes / np.median(slopes), bins=bins, color=plots.ATTACKED, alpha=0.7, label="slope of the loss")
axis.set_xscale("log")
plots.label(axis, x="multiple of the median user's", y="users", legend=True)

# %% [markdown]
# *Takeaway:* users differ in their slopes far more than in their lengths. An attacker who steps in proportion to the
# raw gradient hardly moves the flat ones. Both methods below take that away, each in its own way.
#
# ## One signed step
#
# **Question.** Every coordinate may move by at most $\varepsilon$. Which $\delta$ raises the loss most?
#
# All $\delta$ that keep to this limit, $||\delta||_\infty \le \varepsilon$, form a cube around $x$: the *ball* of
# radius
# $\varepsilon$ in the maximum norm. For a small step the loss is nearly linear, $L(x + \delta) \approx L(x) + \nabla_x
# L(x)^\top \delta$. A sum of products is largest when every $\delta_k$ takes its full $\varepsilon$ with the sign of
# its own gradient:
#
# $$\delta_{\text{FGSM}} = \varepsilon \, \operatorname{sign} \nabla_x L(x)
# \qquad\text{solves}\qquad \max_{||\delta||_\infty \le \varepsilon} \nabla_x L(x)^\top \delta .$$
#
# This is the **fast gradient sign method** of Goodfellow, Shlens and Szegedy (2015). Mind the *S*: it stands for
# the sign.
#
# ### Exercise 08.1 · the signed step · 10 min · *
#
# Write FGSM. `advrec.value_and_grad(loss_fn, x)` gives the loss and its gradient with respect to `x` (lesson 00).
# Return the perturbation $\delta$ alone, not the attacked input.


# %% tags=["pytorch", "exercise"]
def fgsm_delta(loss_fn, x, *, eps):
    """Move every coordinate of x by eps in the direction that raises the loss.

    loss_fn: maps a tensor like x to one number.  x: tensor of any shape.  eps: size of the step, at least 0.
    Returns delta, of the shape of x; x itself stays as it is.
    """
    # BEGIN SOLUTION
    _, gradient = advrec.value_and_grad(loss_fn, x)
    return eps * gradient.sign()
    # END SOLUTION


fgsm_delta = exercise("08.1").check(fgsm_delta)


# %% tags=["tensorflow", "exercise"]
def fgsm_delta(loss_fn, x, *, eps):
    """Move every coordinate of x by eps in the direction that raises the loss.

    loss_fn: maps a tensor like x to one number.  x: tensor of any shape.  eps: size of the step, at least 0.
    Returns delta, of the shape of x; x itself stays as it is.
    """
    # BEGIN SOLUTION
    _, gradient = advrec.value_and_grad(loss_fn, x)
    return eps * tf.sign(gradient)
    # END SOLUTION


fgsm_delta = exercise("08.1").check(fgsm_delta)

# %% [markdown]
# Stuck? `exercise("08.1").hint()` gives three hints, one at a time.
#
# ## One step of a given length
#
# **Question.** And if it is the *length* of the move that is limited, $||\delta||_2 \le \varepsilon$?
#
# The limit is now a ball in the everyday sense. The best direction is the gradient's own, stretched or shrunk to length
# $\varepsilon$:
#
# $$\delta_{\text{FGM}} = \varepsilon \, \frac{g}{||g||_2}, \qquad g = \nabla_x L(x).$$
#
# This is the **fast gradient method** that Miyato, Dai and Goodfellow (2017) used on word embeddings and He et al.
# (2018) on recommenders. It is often written out as "fast gradient sign method"; it has no sign in it.
#
# One detail decides everything: *whose* length? An example is one user or one film, so the norm is taken **per
# row**, over all axes but the first. A row that no triple touches has gradient zero and must stay where it is.
#
# ### Exercise 08.2 · the step of length epsilon · 15 min · **
#
# Write FGM for a table of vectors. Each row moves by exactly `eps`, or not at all if its gradient is zero.


# %% tags=["pytorch", "exercise"]
def fgm_delta(loss_fn, x, *, eps):
    """Move every row of x by length eps along its own gradient.

    loss_fn: maps a tensor like x to one number.  x: tensor of shape [n, d].  eps: length of a row's step.
    Returns delta of shape [n, d]; a row whose gradient is zero does not move.
    """
    # BEGIN SOLUTION
    _, gradient = advrec.value_and_grad(loss_fn, x)
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    return eps * gradient / torch.where(length > 0, length, 1.0)
    # END SOLUTION


fgm_delta = exercise("08.2").check(fgm_delta)


# %% tags=["tensorflow", "exercise"]
def fgm_delta(loss_fn, x, *, eps):
    """Move every row of x by length eps along its own gradient.

    loss_fn: maps a tensor like x to one number.  x: tensor of shape [n, d].  eps: length of a row's step.
    Returns delta of shape [n, d]; a row whose gradient is zero does not move.
    """
    # BEGIN SOLUTION
    _, gradient = advrec.value_and_grad(loss_fn, x)
    length = tf.norm(gradient, axis=1, keepdims=True)
    return eps * tf.math.divide_no_nan(gradient, length)
    # END SOLUTION


fgm_delta = exercise("08.2").check(fgm_delta)

# %% [markdown]
# ## Does the loss rise as the gradient promised?
#
# **Question.** The step was derived from a straight line. For which $\varepsilon$ is the line still true?
#
# An attack moves both tables, each along its own gradient at the clean point. The control moves them by the same
# lengths in random directions: `advrec.random_delta` scales Gaussian noise to exactly the size of the attack.


# %%
def attack(method, loss_fn, p, q, *, eps):
    """User and item vectors after one step of `method`, which is fgsm_delta or fgm_delta."""
    delta_p = method(lambda x: loss_fn(x, q), p, eps=eps)
    delta_q = method(lambda x: loss_fn(p, x), q, eps=eps)
    return p + delta_p, q + delta_q


def noise(p, q, *, eps, seed):
    """User and item vectors after a random move of the same size: the control."""
    generator = advrec.generator(seed)
    delta_p = advrec.random_delta(p, eps=eps, norm="l2", generator=generator)
    delta_q = advrec.random_delta(q, eps=eps, norm="l2", generator=generator)
    return p + delta_p, q + delta_q


# %% [markdown]
# The straight line predicts a rise of $\varepsilon \sum_r ||g_r||_2$, summed over all rows $r$ of both tables.

# %%
_, gradient_p = advrec.value_and_grad(lambda x: loss_fn(x, q), p)
_, gradient_q = advrec.value_and_grad(lambda x: loss_fn(p, x), q)
steepness = sum(np.linalg.norm(advrec.numpy(g), axis=1).sum() for g in (gradient_p, gradient_q))

start = float(loss)
rise = {eps: float(loss_fn(*attack(fgm_delta, loss_fn, p, q, eps=eps))) - start for eps in EPSILONS}
noise_rise = {eps: float(loss_fn(*noise(p, q, eps=eps, seed=SEED))) - start for eps in EPSILONS}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("The loss rises at least as fast as the gradient promised")
plots.line(axis, EPSILONS, [start + rise[eps] for eps in EPSILONS], "attacked", "FGM")
plots.line(axis, EPSILONS, [start + eps * steepness for eps in EPSILONS], "extra", "straight line", marker="")
plots.line(axis, EPSILONS, [start + noise_rise[eps] for eps in EPSILONS], "random", "random, same length")
plots.label(axis, x=r"length of every row's move $\varepsilon$", y="BPR loss of the triples", legend=True)

# %%
claim("rise of the loss at eps = 0.05 over the straight line's", rise[0.05] / (0.05 * steepness))
claim(
    "at eps = 0.05 noise of the same length changes the loss by less than a tenth",
    abs(noise_rise[0.05]) < rise[0.05] / 10,
)

# %% [markdown]
# *Takeaway:* for small steps the line holds, beyond it the loss bends upwards and the attack gains more than it was
# promised. Noise does next to nothing at first. Why? The first-order change of the loss is the slope times the cosine
# between the move and the gradient. For FGM this cosine is 1. For a random direction in $d$ dimensions it is 0 on
# average and about $\pm 1/\sqrt{d}$ in size, up for one row and down for the next; over hundreds of rows that cancels.

# %%
generator = advrec.generator(SEED)
direction = advrec.numpy(advrec.random_delta(p, eps=1.0, norm="l2", generator=generator))
unit = advrec.numpy(fgm_delta(lambda x: loss_fn(x, q), p, eps=1.0))
cosine_squared = (direction * unit).sum(axis=1) ** 2

claim("mean squared cosine of noise and gradient, times d (in theory 1)", cosine_squared.mean() * SIZES["dim"])

# %% [markdown]
# ## What is left of the ranking?
#
# **Question.** The loss is the attacker's target, not yours. You care for the lists. Guess before you run on: every
# vector moves by a tenth of the median user vector's length. How much of NDCG@20 does noise cost, how much FGM?
#
# To compare all methods at the same length, FGSM gets $\varepsilon / \sqrt{d}$: a row of $d$ steps of that size
# has length $\varepsilon$.


# %%
def cost(attacked):
    """NDCG@20 lost against the clean model, in percent; negative if something was gained."""
    return 100 * (1 - np.nanmean(ndcg(*attacked)) / clean)


def noise_cost_at(eps):
    """The control, averaged over a few draws."""
    return np.mean([cost(noise(p, q, eps=eps, seed=SEED + draw)) for draw in range(SIZES["draws"])])


root_d = math.sqrt(SIZES["dim"])
fgm_cost = {eps: cost(attack(fgm_delta, loss_fn, p, q, eps=eps)) for eps in EPSILONS}
fgsm_cost = {eps: cost(attack(fgsm_delta, loss_fn, p, q, eps=eps / root_d)) for eps in EPSILONS}
noise_cost = {eps: noise_cost_at(eps) for eps in EPSILONS}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("From a certain size on, a gradient step costs far more than noise")
plots.line(axis, EPSILONS, list(fgm_cost.values()), "attacked", "FGM")
plots.line(axis, EPSILONS, list(fgsm_cost.values()), "extra", "FGSM, same length")
plots.line(axis, EPSILONS, list(noise_cost.values()), "random", "random, same length")
tenth = 0.1 * np.median(lengths)
axis.axvline(tenth, color="black", linewidth=0.8, linestyle=(0, (1, 3)))
axis.annotate("a tenth of the\nmedian user vector", (tenth, 60), xytext=(5, 0), textcoords="offset points")
plots.label(axis, x=r"length of every row's move $\varepsilon$", y="NDCG@20 lost (%)", legend=True)

# %%
claim("NDCG@20 lost at a tenth of the median length, FGM (%)", cost(attack(fgm_delta, loss_fn, p, q, eps=tenth)))
claim("NDCG@20 lost at a tenth of the median length, noise (%)", noise_cost_at(tenth))
claim("NDCG@20 lost at eps = 1, FGM (%)", fgm_cost[1.0])
claim("NDCG@20 lost at eps = 1, noise (%)", noise_cost[1.0])
claim(
    "FGM costs more than twice what noise costs at eps = 0.5 and 1",
    all(fgm_cost[e] > 2 * noise_cost[e] for e in (0.5, 1.0)),
)
claim(
    "FGM costs more than FGSM of the same length at eps = 0.5 and above",
    all(fgm_cost[e] > fgsm_cost[e] for e in EPSILONS[3:]),
)

# %% [markdown]
# *Takeaway:* tiny moves cost next to nothing, whoever makes them: a ranking has slack. From about a tenth of a
# vector's length on, the gradient does several times the harm of chance; for very large moves chance catches up. FGSM
# wastes a little, because it spends as much on coordinates that hardly matter as on those that do.
#
# What does such a list look like to the person who gets it? Take a user whose clean NDCG@20 is the median.

# %% tags=["nbval-ignore-output"]
titles = movies.items["title"].to_numpy()
quality = ndcg(p, q)
who = int(np.argsort(quality)[np.isfinite(quality).sum() // 2])
wanted = set(split.test.items[split.test.users == who])


def list_of(vectors):
    """The first ten films for `who`; a star marks a film of the test set."""
    scores = advrec.numpy(vectors[0]) @ advrec.numpy(vectors[1]).T
    top = metrics.top_k(scores, 10, exclude=split.train)[who]
    return [("★ " if item in wanted else "") + titles[item] for item in top]


lists = {
    "clean": list_of((p, q)),
    "random, eps = 1": list_of(noise(p, q, eps=1.0, seed=SEED)),
    "FGM, eps = 1": list_of(attack(fgm_delta, loss_fn, p, q, eps=1.0)),
}
pl.Config.set_fmt_str_lengths(60)
pl.DataFrame({f"{kind}: {sum('★' in film for film in films)} ★": films for kind, films in lists.items()})

# %% [markdown]
# One list proves nothing, and yours may even gain a star. Look at something else: the attacked list is a list of real
# films, and no error appears anywhere. That is what makes such an attack unpleasant: it shows only in the averages.
#
# ## Who suffers?
#
# **Question.** The average hides people. Who loses more: those with few ratings, or those with many?
#
# We sort the users by the number of their training ratings, cut them into four groups of equal size, and compare.

# %%
groups = np.array_split(np.argsort(split.train.activity(), kind="stable"), 4)
names = ["fewest", "few", "many", "most"]
per_user = {
    "clean": ndcg(p, q),
    "FGM": ndcg(*attack(fgm_delta, loss_fn, p, q, eps=1.0)),
    "random": np.mean([ndcg(*noise(p, q, eps=1.0, seed=SEED + draw)) for draw in range(SIZES["draws"])], axis=0),
}
lost = {
    kind: [100 * (1 - np.nanmean(per_user[kind][g]) / np.nanmean(per_user["clean"][g])) for g in groups]
    for kind in ("random", "FGM")
}

# %% [markdown]
# And the films? Sort them by popularity and cut them into fifths. Which share of all recommended places, 20 for every
# user, does each fifth get?

# %%
by_popularity = np.array_split(np.argsort(split.train.popularity(), kind="stable"), 5)


def exposure(vectors):
    """Share of all recommended places that each fifth of the films gets, least popular first, in percent."""
    scores = advrec.numpy(vectors[0]) @ advrec.numpy(vectors[1]).T
    top = metrics.top_k(scores, 20, exclude=split.train)
    counts = metrics.recommendation_counts(top, movies.n_items)
    return [100 * counts[group].sum() / counts.sum() for group in by_popularity]


shares = {
    "clean": exposure((p, q)),
    "random": exposure(noise(p, q, eps=1.0, seed=SEED)),
    "FGM": exposure(attack(fgm_delta, loss_fn, p, q, eps=1.0)),
}

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("All groups of users lose; places leave the most popular fifth of the films", columns=2)
places = np.arange(4)
for shift, (kind, colour) in enumerate({"random": plots.RANDOM, "FGM": plots.ATTACKED}.items()):
    axes[0].bar(places + 0.4 * shift - 0.2, lost[kind], width=0.38, color=colour, label=kind)
axes[0].set_xticks(places, names)
axes[0].set_ylim(0, 1.4 * max(lost["FGM"]))  # room for the legend
plots.label(axes[0], x="users by number of ratings", y="NDCG@20 lost at eps = 1 (%)", legend=True)
places = np.arange(5)
for shift, (kind, colour) in enumerate({"clean": plots.CLEAN, "random": plots.RANDOM, "FGM": plots.ATTACKED}.items()):
    axes[1].bar(places + 0.28 * shift - 0.28, shares[kind], width=0.26, color=colour, label=kind)
axes[1].set_xticks(places, ["1st: least", "2nd", "3rd", "4th", "5th: most"])
plots.label(axes[1], x="films by popularity, in fifths", y="share of recommended places (%)", legend=True)

# %%
claim("FGM costs every group of users more than noise does", all(a > b for a, b in zip(lost["FGM"], lost["random"])))
claim("FGM takes more places from the most popular fifth than noise does", shares["FGM"][-1] < shares["random"][-1])
claim("places of the most popular fifth after FGM, eps = 1 (%)", shares["FGM"][-1])

# %% [markdown]
# *Takeaway:* no group of users is safe, and every one loses far more than at random. On the side of the films, places
# leave the most popular fifth, most of them for the next one. Noise does some of that too, which is why it stands in
# the figure.
#
# ## Trap 1: a size without a scale
#
# **Question.** Multiply every user vector by 10 and divide every film vector by 10. Every score stays as it was, so
# does every list. Is the model now harder to attack?
#
# We attack both versions with the same $\varepsilon$, first the user vectors alone, then the film vectors alone.


# %%
def cost_in_units(scale, eps, moved):
    """NDCG@20 lost (%) in the version with p * scale and q / scale when only the `moved` table moves."""
    p_scaled, q_scaled = p * scale, q / scale
    if moved == "users":
        delta = fgm_delta(lambda x: loss_fn(x, q_scaled), p_scaled, eps=eps)
        return cost((p_scaled + delta, q_scaled))
    delta = fgm_delta(lambda x: loss_fn(p_scaled, x), q_scaled, eps=eps)
    return cost((p_scaled, q_scaled + delta))


in_units = {
    (moved, scale): [cost_in_units(scale, eps, moved) for eps in EPSILONS]
    for moved in ("users", "films")
    for scale in (1, 10)
}

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("The same model looks robust or fragile when only its units change", columns=2, sharey=True)
for axis, moved in zip(axes, ("users", "films")):
    plots.line(axis, EPSILONS, in_units[moved, 1], "attacked", "as trained")
    plots.line(axis, EPSILONS, in_units[moved, 10], "extra", "users x 10, films / 10")
    plots.label(axis, x=r"$\varepsilon$", y="NDCG@20 lost (%)", title=f"the vectors of {moved} move", legend=True)

# %%
claim(
    "users x 10: moving users by eps = 2 costs less than a tenth of what it did",
    in_units["users", 10][-1] < in_units["users", 1][-1] / 10,
)
claim(
    "films / 10: moving films by eps = 0.25 costs more than moving them by eps = 1 did",
    in_units["films", 10][2] > in_units["films", 1][4],
)

# %% [markdown]
# *Takeaway:* no, nothing about the model changed. A move of the same length is a small share of a long vector and a
# large share of a short one, so by choosing units one can get any verdict. $\varepsilon$ means nothing by itself: state
# it as a share of the vectors' length, or keep the vectors at a fixed length. When somebody reports "robust at
# $\varepsilon = 0.5$", ask how long the vectors are, and which of them may move.
#
# ## Trap 2: a norm over the wrong axis
#
# **Question.** What happens if the norm is taken over the whole table at once, rather than row by row? The program
# runs, the shapes fit, and the perturbation has length $\varepsilon$.


# %%
def whole_table(loss_fn, x, *, eps):
    """The trap: the gradient of all rows together is scaled to length eps."""
    _, gradient = advrec.value_and_grad(loss_fn, x)
    return eps * gradient / float(np.linalg.norm(advrec.numpy(gradient)))


trap_cost = cost(attack(whole_table, loss_fn, p, q, eps=1.0))
claim("with one norm for the whole table eps = 1 costs less than a twentieth of FGM", trap_cost < fgm_cost[1.0] / 20)

# %% [markdown]
# *Takeaway:* the table has about a thousand rows or more, and all of them now share one $\varepsilon$. The attack seems
# harmless, and the model seems robust. With a batch it is the same mistake: the strength of the attack then depends on
# the batch size. Exercise 08.2 asked for the row.
#
# ## Trap 3: a disaster that is none
#
# **Question.** Here is a one-step attack on the user vectors as many tutorials write it. It reports a disaster at a
# very small $\varepsilon$, and its author is proud. Which control did the author leave out?


# %% tags=["pytorch"]
def tutorial_attack(loss_fn, p, *, eps):
    """Return the user vectors after one signed step of size eps; p has shape [n_users, d]."""
    _, gradient = advrec.value_and_grad(loss_fn, p)
    attacked = p + eps * gradient.sign()
    return attacked.clamp(0, 1)


# %% tags=["tensorflow"]
def tutorial_attack(loss_fn, p, *, eps):
    """Return the user vectors after one signed step of size eps; p has shape [n_users, d]."""
    _, gradient = advrec.value_and_grad(loss_fn, p)
    attacked = p + eps * tf.sign(gradient)
    return tf.clip_by_value(attacked, 0.0, 1.0)


# %% tags=["nbval-ignore-output"]
def cost_of(program, eps):
    """NDCG@20 lost (%) when `program` moves the user vectors."""
    return cost((program(lambda x: loss_fn(x, q), p, eps=eps), q))


print(f"NDCG@20 lost at eps = 0.01: {cost_of(tutorial_attack, 0.01):.1f} %")

# %% [markdown]
# ### Exercise 08.3 · bug hunt: the proud attack · 10 min · **
#
# Think of a call of `tutorial_attack` whose result you know beforehand, and try it. Then find the faulty line, and
# write the function without the fault. It returns the attacked vectors, as above.


# %% tags=["pytorch", "exercise"]
def attacked_users(loss_fn, p, *, eps):
    """Return the user vectors after one signed step of size eps; p has shape [n_users, d]."""
    # BEGIN SOLUTION
    # Pixels live in [0, 1]; the coordinates of a vector do not, so nothing is clipped.
    _, gradient = advrec.value_and_grad(loss_fn, p)
    return p + eps * gradient.sign()
    # END SOLUTION


attacked_users = exercise("08.3").check(attacked_users)


# %% tags=["tensorflow", "exercise"]
def attacked_users(loss_fn, p, *, eps):
    """Return the user vectors after one signed step of size eps; p has shape [n_users, d]."""
    # BEGIN SOLUTION
    # Pixels live in [0, 1]; the coordinates of a vector do not, so nothing is clipped.
    _, gradient = advrec.value_and_grad(loss_fn, p)
    return p + eps * tf.sign(gradient)
    # END SOLUTION


attacked_users = exercise("08.3").check(attacked_users)

# %% tags=["nbval-ignore-output"]
broken, mended = ({eps: cost_of(program, eps) for eps in (0.01, 0.0)} for program in (tutorial_attack, attacked_users))
plots.table(
    [{"eps": eps, "tutorial, lost (%)": broken[eps], "repaired, lost (%)": mended[eps]} for eps in (0.01, 0.0)],
    digits=2,
)

# %%
claim("the tutorial's program costs at eps = 0 nearly all that it costs at 0.01", broken[0.0] > 0.9 * broken[0.01])
claim("after the repair eps = 0 costs nothing", mended[0.0] == 0)

# %% [markdown]
# *Takeaway:* run every attack with $\varepsilon = 0$ first. If that costs anything, you are not measuring the attack.
# Pixels live between 0 and 1, and clipping keeps an attacked image an image; a vector has no such box, and half of its
# coordinates are negative.
#
# ## Trap 4: why is this attack strong?
#
# So far the attacker knew the ratings: the film $i$ of a triple came from the training set, the **true label**. An
# attacker who holds the model but not the ratings can let the model itself say what a user likes: the 20 films that it
# scores highest, the **predicted label**. (Kurakin, Goodfellow and Bengio, 2017, advise predicted labels for another
# reason: a model that is trained on attacks with true labels can learn to read the label off the perturbation.)
#
# ### Exercise 08.4 · predict: the attacker without data · 5 min · *
#
# FGM at the same length, with predicted labels and without any look at the ratings. Against the attacker with true
# labels, it will do
#
# - **a**: less damage, because some of its labels are wrong;
# - **b**: about the same damage, because both follow the same model;
# - **c**: more damage.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b" or "c".
# BEGIN SOLUTION
prediction = "c"
# END SOLUTION
prediction = exercise("08.4").check(prediction)


# %%
def best_20(scores, allowed):
    """Pairs (users, films): for every user the up to 20 allowed films of the highest scores."""
    top = metrics.top_k(np.where(allowed, scores, -1e9), 20)
    pairs = np.repeat(np.arange(len(top)), 20), top.reshape(-1)
    keep = allowed[pairs]
    return pairs[0][keep], pairs[1][keep]


def cost_with(pairs, table, eps):
    """NDCG@20 lost (%) under FGM on triples of these pairs and films outside `table`."""
    own_users, own_films = (advrec.tensor(ids) for ids in pairs)
    outside = advrec.draw_negatives(own_users, advrec.tensor(table), generator=advrec.generator(SEED))
    return cost(attack(fgm_delta, ranking_loss(own_users, own_films, outside), p, q, eps=eps))


scores = advrec.numpy(p) @ advrec.numpy(q).T
ratings = split.train.table()
everything, nothing = np.ones_like(ratings), np.zeros_like(ratings)
predicted_cost = {eps: cost_with(best_20(scores, everything), nothing, eps) for eps in EPSILONS}

# %%
claim(
    "predicted labels cost more than true ones at eps = 0.25, 0.5 and 1",
    all(predicted_cost[e] > fgm_cost[e] for e in EPSILONS[2:5]),
)

# %% [markdown]
# More damage with *less* knowledge. It is tempting to stop here and to conclude that predicted labels are the better
# labels. But the two attacks differ in more than the source of their labels: the predicted ones are also the films that
# the model scores **highest**, and every user has the same number of them.
#
# **Question.** Is it the source, or the place in the ranking? Keep the source fixed, true labels, and change only the
# place: for every user the 20 rated films of the highest scores, 20 at random, and the 20 of the lowest.

# %%
shuffled = np.random.default_rng(SEED).random(scores.shape)
orders = {"highest": scores, "random": shuffled, "lowest": -scores}
true_cost = {
    name: {eps: cost_with(best_20(order, ratings), ratings, eps) for eps in EPSILONS} for name, order in orders.items()
}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("What counts is where the attacked films stand, not who named them", size=(9.2, 3.6))
plots.line(axis, EPSILONS, list(predicted_cost.values()), "extra", "predicted labels: the model's top 20")
for (name, values), alpha in zip(true_cost.items(), (1.0, 0.65, 0.35)):
    plots.line(axis, EPSILONS, list(values.values()), "attacked", f"true labels: 20 of {name} score", alpha=alpha)
plots.line(axis, EPSILONS, list(noise_cost.values()), "random", "random move")
plots.label(axis, x=r"length of every row's move $\varepsilon$", y="NDCG@20 lost (%)")
legend = axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))

# %%
at_half = {name: values[0.5] for name, values in true_cost.items()}
claim(
    "true labels at eps = 0.5: highest scores cost more than random, random more than lowest",
    at_half["highest"] > at_half["random"] > at_half["lowest"],
)
claim("NDCG@20 lost at eps = 0.5, predicted labels (%)", predicted_cost[0.5])
claim("NDCG@20 lost at eps = 0.5, true labels of the highest scores (%)", at_half["highest"])

# %% [markdown]
# *Takeaway:* the source hardly matters, the place does. Why? A triple pulls on the gradient with weight
# $\sigma(-(s_{ui} - s_{uj}))$: those that the model already ranks badly pull hardest. Given all true labels, FGM spends
# its step on pushing films further down that were in nobody's list. Given only films at the top, it must push there,
# where NDCG is counted. Two things follow: hiding the ratings is no defence, and an attack that raises the training
# loss is not yet the attack that hurts the lists most. And a third, for every experiment: when two things differ at
# once, change them one at a time before you name the cause.
#
# ## What can go wrong
#
# - **One step is a lower bound on the damage.** What FGM does not break, several steps may (lesson 09), and trap 4
#   showed that the same step with other triples does far more. Never call a model robust because it survived one
#   method.
# - **The budget is an assumption.** All vectors moving by the same length is more than real attackers usually reach,
#   and some reach further for a few items. Say which budget you mean, and why.
# - **One data set, one model.** How large the damage is depends on both; a claim here holds for this model on
#   MovieLens-100K.
#
# **Misuse.** Everything here can serve somebody who wants to push an item or to spoil a competitor's lists. It is
# taught because the people who run recommenders cannot defend what they have not measured, and because one-step
# attacks have been public knowledge for years. Try them on models that are yours, or whose owner has agreed; the
# users behind a ranking did not volunteer for your experiment.
#
# ## What we learned
#
# - An id cannot move slightly, its vector can. The gradient with respect to the vector says where to.
# - FGSM takes the sign (every coordinate moves by $\varepsilon$), FGM the direction (every row moves by length
#   $\varepsilon$). From about a tenth of a vector's length on, both do several times the harm of noise.
# - A result needs its controls: noise of the same size, and $\varepsilon = 0$.
# - $\varepsilon$ needs a scale, the norm needs the right axis, and the triples decide what is attacked.
#
# **Next:** lesson 09 takes many steps instead of one.
#
# ## Further reading
#
# - Ian J. Goodfellow, Jonathon Shlens, Christian Szegedy: *Explaining and Harnessing Adversarial Examples*.
#   ICLR 2015. The linear argument and FGSM.
# - Takeru Miyato, Andrew M. Dai, Ian Goodfellow: *Adversarial Training Methods for Semi-Supervised Text
#   Classification*. ICLR 2017. The scaled step on embeddings.
# - Xiangnan He, Zhankui He, Xiaoyu Du, Tat-Seng Chua: *Adversarial Personalized Ranking for Recommendation*.
#   SIGIR 2018. The same step on the vectors of a recommender.
# - Alexey Kurakin, Ian Goodfellow, Samy Bengio: *Adversarial Machine Learning at Scale*. ICLR 2017. True against
#   predicted labels.
# - Yashar Deldjoo, Tommaso Di Noia, Felice Antonio Merra: *A Survey on Adversarial Recommender Systems: From
#   Attack/Defense Strategies to Generative Adversarial Networks*. ACM Computing Surveys 54(2), 2021.
