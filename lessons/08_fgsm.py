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
#   which ball each of them fills;
# - compare an attack with random noise of exactly the same size, and read the difference;
# - find out which users and which films an attack hurts;
# - recognise four traps: a size without a scale, a norm over the wrong axis, a repair taken from image
#   tutorials, and an attack that aims at the wrong label.

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
    "quick": {"dim": 64, "epochs": 20, "draws": 5},
    "full": {"dim": 256, "epochs": 20, "draws": 20},
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
# $s_{ui} = p_u^\top q_i$. The other fifth is the test set.

# %%
movies = data.movielens()
split = splits.holdout(movies.ratings, movies.n_users, movies.n_items, test_fraction=0.2, seed=SEED)
model = advrec.BPRModel(movies.n_users, movies.n_items, dim=SIZES["dim"], seed=SEED)
history = advrec.fit_bpr(model, split.train, epochs=SIZES["epochs"], seed=SEED)

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
# There is something to lose. Now we try to make it lose it.
#
# ## What does the attacker move?
#
# An attack on an image adds a small $\delta$ to the pixels. A recommender's input is a pair of ids, and an id has
# no neighbour: user 17 plus a bit is not a user. What can move a bit is the **vector** behind the id:
#
# $$s_{ui}(\delta) = (p_u + \delta_u)^\top (q_i + \delta_i).$$
#
# Who could do that? Someone who writes fake ratings moves vectors a little at the next training (lesson 12).
# Someone who edits an item's picture or text moves a vector that is computed from it (lessons 13 and 17). Here we
# take the **worst case** of all of them: an attacker who knows the model (a *white-box* attacker) and moves every
# vector, but each of them by no more than $\varepsilon$. What survives this survives the others of that size.
#
# The attacker needs something to raise. Take the loss that the model was trained on: over triples of a user $u$,
# a film $i$ that the user rated and a film $j$ that the user did not,
#
# $$L(P, Q) = \operatorname{mean}_{(u,i,j)} \; -\log \sigma\!\left(p_u^\top q_i - p_u^\top q_j\right).$$


# %% tags=["pytorch"]
def ranking_loss(users, liked, other):
    """The BPR loss of these triples as a function of all user and item vectors."""

    def loss_fn(p, q):
        positive = (p[users] * q[liked]).sum(dim=1)
        negative = (p[users] * q[other]).sum(dim=1)
        return advrec.bpr_loss(positive, negative)

    return loss_fn


# %% tags=["tensorflow"]
def ranking_loss(users, liked, other):
    """The BPR loss of these triples as a function of all user and item vectors."""

    def loss_fn(p, q):
        p_u = tf.gather(p, users)
        positive = tf.reduce_sum(p_u * tf.gather(q, liked), axis=1)
        negative = tf.reduce_sum(p_u * tf.gather(q, other), axis=1)
        return advrec.bpr_loss(positive, negative)

    return loss_fn


# %% [markdown]
# Every rating of the training set gives one triple; $j$ is drawn once, from the films that $u$ has not rated.

# %%
users = advrec.tensor(split.train.users)
liked = advrec.tensor(split.train.items)
seen = advrec.tensor(split.train.table())
other = advrec.draw_negatives(users, seen, generator=advrec.generator(SEED))
loss_fn = ranking_loss(users, liked, other)

loss, gradient = advrec.value_and_grad(lambda p: loss_fn(p, q), p)
slopes = np.linalg.norm(advrec.numpy(gradient), axis=1)
lengths = np.linalg.norm(advrec.numpy(p), axis=1)

# %% [markdown]
# The gradient has the shape of $P$: one row a user, which says in which direction this user's vector makes the loss
# rise fastest. Look at both sizes: how long the vectors are, and how steep the loss is at each of them.

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("Vectors have much the same length, slopes do not", columns=2)
axes[0].hist(lengths, bins=30, color=plots.CLEAN)
plots.label(axes[0], x="length of a user's vector $||p_u||_2$", y="users")
axes[1].hist(np.log10(slopes + 1e-12), bins=30, color=plots.ATTACKED)
plots.label(axes[1], x=r"slope at that user, $\log_{10} ||\nabla_{p_u} L||_2$", y="users")

# %% [markdown]
# *Takeaway:* users differ in their slopes far more than in their lengths. An attacker who steps in proportion to the
# raw gradient hardly moves the flat ones. Both methods below take that away, each in its own way.
#
# ## One signed step
#
# **Question.** Every coordinate may move by at most $\varepsilon$. Which $\delta$ raises the loss most?
#
# For a small step the loss is nearly linear, $L(x + \delta) \approx L(x) + \nabla_x L(x)^\top \delta$. A sum of
# products is largest when every $\delta_k$ takes its full $\varepsilon$ with the sign of its own gradient:
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
# Then the best direction is the gradient's own, stretched or shrunk to length $\varepsilon$:
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
    delta_p = method(lambda moved: loss_fn(moved, q), p, eps=eps)
    delta_q = method(lambda moved: loss_fn(p, moved), q, eps=eps)
    return p + delta_p, q + delta_q


def noise(p, q, *, eps, seed, norm="l2"):
    """User and item vectors after a random move of the same size: the control."""
    generator = advrec.generator(seed)
    delta_p = advrec.random_delta(p, eps=eps, norm=norm, generator=generator)
    delta_q = advrec.random_delta(q, eps=eps, norm=norm, generator=generator)
    return p + delta_p, q + delta_q


# %% [markdown]
# The straight line predicts a rise of $\varepsilon \sum_r ||g_r||_2$, summed over all rows $r$ of both tables.

# %%
_, gradient_p = advrec.value_and_grad(lambda moved: loss_fn(moved, q), p)
_, gradient_q = advrec.value_and_grad(lambda moved: loss_fn(p, moved), q)
steepness = sum(np.linalg.norm(advrec.numpy(g), axis=1).sum() for g in (gradient_p, gradient_q))

start = float(loss)
rise = {eps: float(loss_fn(*attack(fgm_delta, loss_fn, p, q, eps=eps))) - start for eps in EPSILONS}
noise_rise = {eps: float(loss_fn(*noise(p, q, eps=eps, seed=SEED))) - start for eps in EPSILONS}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("The loss rises at least as fast as the gradient promised")
plots.line(axis, EPSILONS, [start + rise[eps] for eps in EPSILONS], "attacked", "FGM")
plots.line(axis, EPSILONS, [start + eps * steepness for eps in EPSILONS], "extra", "straight line", marker="")
plots.line(axis, EPSILONS, [start + noise_rise[eps] for eps in EPSILONS], "random", "random, same length")
plots.label(axis, x=r"length of every row's move $\varepsilon$", y="BPR loss of the triples (nats)", legend=True)

# %%
claim("rise of the loss at eps = 0.05 over the straight line's", rise[0.05] / (0.05 * steepness))
claim(
    "at eps = 0.05 noise of the same length changes the loss by less than a tenth",
    abs(noise_rise[0.05]) < rise[0.05] / 10,
)

# %% [markdown]
# *Takeaway:* for small steps the line holds, beyond it the loss bends upwards and the attack gains more than it was
# promised. Noise does next to nothing at first. Why? In $d$ dimensions a random direction makes nearly a right angle
# with any fixed one: its expected squared cosine is $1/d$. The gradient's direction has cosine 1.

# %%
generator = advrec.generator(SEED)
direction = advrec.numpy(advrec.random_delta(p, eps=1.0, norm="l2", generator=generator))
unit = advrec.numpy(fgm_delta(lambda moved: loss_fn(moved, q), p, eps=1.0))
cosine_squared = (direction * unit).sum(axis=1) ** 2

claim("mean squared cosine of noise and gradient, times d", cosine_squared.mean() * SIZES["dim"])

# %% [markdown]
# ## What is left of the ranking?
#
# **Question.** The loss is the attacker's target, not yours. You care for the lists. Guess: with every vector moved
# by a tenth of its length, how much of NDCG@20 is lost at random, and how much under FGM?
#
# To compare all methods at the same length, FGSM gets $\varepsilon / \sqrt{d}$: a row of $d$ steps of that size
# has length $\varepsilon$.


# %%
def drop(attacked):
    """Relative change of NDCG@20 against the clean model, in percent."""
    return 100 * (np.nanmean(ndcg(*attacked)) / clean - 1)


def mean_noise_drop(eps):
    """The control, averaged over a few draws."""
    return np.mean([drop(noise(p, q, eps=eps, seed=SEED + draw)) for draw in range(SIZES["draws"])])


root_d = math.sqrt(SIZES["dim"])
fgm_drop = {eps: drop(attack(fgm_delta, loss_fn, p, q, eps=eps)) for eps in EPSILONS}
fgsm_drop = {eps: drop(attack(fgsm_delta, loss_fn, p, q, eps=eps / root_d)) for eps in EPSILONS}
noise_drop = {eps: mean_noise_drop(eps) for eps in EPSILONS}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("A gradient step costs several times what noise of its length costs")
plots.line(axis, EPSILONS, list(noise_drop.values()), "random", "random")
plots.line(axis, EPSILONS, list(fgsm_drop.values()), "attacked", "FGSM, same length", alpha=0.6, marker="v")
plots.line(axis, EPSILONS, list(fgm_drop.values()), "attacked", "FGM")
axis.axvline(0.1 * np.median(lengths), color="black", linewidth=0.8, linestyle=(0, (1, 3)))
axis.annotate(
    "a tenth of the\nmedian user vector",
    (0.1 * np.median(lengths), -45),
    xytext=(5, 0),
    textcoords="offset points",
)
plots.label(axis, x=r"length of every row's move $\varepsilon$", y="change of NDCG@20 (%)", legend=True)

# %%
claim(
    "FGM costs more NDCG@20 than noise of the same length at eps = 0.25 and above",
    all(fgm_drop[eps] < noise_drop[eps] for eps in EPSILONS[2:]),
)
claim("change of ndcg@20 at eps = 0.5 under FGM (%)", fgm_drop[0.5])
claim("change of ndcg@20 at eps = 0.5 under noise (%)", noise_drop[0.5])
claim("change of ndcg@20 at eps = 1 under FGSM of the same length (%)", fgsm_drop[1.0])
claim(
    "at the same length FGM costs more than FGSM at eps = 0.5 and above",
    all(fgm_drop[eps] < fgsm_drop[eps] for eps in EPSILONS[3:]),
)

# %% [markdown]
# *Takeaway:* the gradient makes a move of the same length several times as harmful as chance, yet a sturdy ranking
# does not fall over at a touch: tiny moves cost next to nothing. FGSM wastes a little, because it spends as much on
# coordinates that hardly matter as on those that do.
#
# What does such a list look like to the person who gets it? Take the user with the most test films.

# %% tags=["nbval-ignore-output"]
titles = movies.items["title"].to_numpy()
who = int(np.argmax(np.bincount(split.test.users, minlength=movies.n_users)))
wanted = set(split.test.items[split.test.users == who])


def list_of(vectors):
    """The first ten films for `who`; a star marks a film of the test set."""
    scores = advrec.numpy(vectors[0]) @ advrec.numpy(vectors[1]).T
    top = metrics.top_k(scores, 10, exclude=split.train)[who]
    return [("★ " if item in wanted else "  ") + titles[item] for item in top]


pl.DataFrame(
    {
        "clean": list_of((p, q)),
        "random, eps = 1": list_of(noise(p, q, eps=1.0, seed=SEED)),
        "FGM, eps = 1": list_of(attack(fgm_delta, loss_fn, p, q, eps=1.0)),
    }
)

# %% [markdown]
# The attacked list is still a list of real films, and nothing about it looks broken. That is what makes such an
# attack unpleasant: nobody sees an error, the shop only sells less.
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
    kind: [100 * (np.nanmean(per_user[kind][g]) / np.nanmean(per_user["clean"][g]) - 1) for g in groups]
    for kind in ("random", "FGM")
}

# %% [markdown]
# The same for films: how often does a film of each fifth of the popularity scale stand in somebody's top 20?

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
fig, axes = plots.figure("All groups of users lose; little-rated films enter the lists", columns=2)
places = np.arange(4)
for shift, (kind, colour) in enumerate({"random": plots.RANDOM, "FGM": plots.ATTACKED}.items()):
    axes[0].bar(places + 0.4 * shift - 0.2, lost[kind], width=0.38, color=colour, label=kind)
axes[0].set_xticks(places, names)
axes[0].set_ylim(1.4 * min(lost["FGM"]), 0)  # room for the legend
plots.label(axes[0], x="users by number of ratings", y="change of NDCG@20 (%), eps = 1", legend=True)
places = np.arange(5)
for shift, (kind, colour) in enumerate({"clean": plots.CLEAN, "random": plots.RANDOM, "FGM": plots.ATTACKED}.items()):
    axes[1].bar(places + 0.28 * shift - 0.28, shares[kind], width=0.26, color=colour, label=kind)
axes[1].set_xticks(places, ["least", "", "", "", "most"])
plots.label(axes[1], x="films by popularity, in fifths", y="share of recommended places (%)", legend=True)

# %%
claim(
    "FGM costs every group of users more than noise does",
    all(a < b for a, b in zip(lost["FGM"], lost["random"])),
)
claim("FGM moves recommended places away from the most popular fifth", shares["FGM"][-1] < shares["clean"][-1])
claim("places of the most popular fifth after FGM, eps = 1 (%)", shares["FGM"][-1])

# %% [markdown]
# *Takeaway:* no group of users is safe, and the groups differ far less from each other than each of them from its
# control. On the side of the films, places move from the most popular fifth to films that fewer people know: the
# attack pushes down what the model rates highest, and what it rates highest is mostly popular.
#
# ## Trap 1: a size without a scale
#
# **Question.** Multiply every user vector by 10 and divide every film vector by 10. Every score stays as it was, so
# does every list. Is the model now harder to attack?
#
# We attack the user vectors of both versions with the same $\varepsilon$.


# %%
def users_drop(scale, eps):
    """Loss of NDCG@20 when only the user vectors move, in the version with p * scale and q / scale."""
    p_scaled, q_scaled = p * scale, q / scale
    delta = fgm_delta(lambda moved: loss_fn(moved, q_scaled), p_scaled, eps=eps)
    return drop((p_scaled + delta, q_scaled))


scales = {scale: [users_drop(scale, eps) for eps in EPSILONS] for scale in (1, 10)}
in_own_units = {1: scales[1], 10: [users_drop(10, 10 * eps) for eps in EPSILONS]}

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("The same model looks robust when only its units change", columns=2, sharey=True)
for scale, role in ((1, "attacked"), (10, "extra")):
    shares_of_length = np.array(EPSILONS) / np.median(lengths)
    plots.line(axes[0], EPSILONS, scales[scale], role, f"user vectors x {scale}")
    plots.line(axes[1], 100 * shares_of_length, in_own_units[scale], role, f"user vectors x {scale}")
plots.label(axes[0], x=r"$\varepsilon$", y="change of NDCG@20 (%)", title="at the same number", legend=True)
plots.label(axes[1], x=r"$\varepsilon$, % of the median user vector", y="", title="at the same share of the length")

# %%
claim("in other units the same eps = 2 costs less than a tenth as much", scales[10][-1] > scales[1][-1] / 10)
claim(
    "at the same share of the length the effect is the same", np.allclose(in_own_units[1], in_own_units[10], atol=0.5)
)

# %% [markdown]
# *Takeaway:* $\varepsilon$ means nothing by itself. State it as a share of the vectors' length, or keep the vectors
# at a fixed length. A defence that merely lets vectors grow passes every test at a fixed $\varepsilon$: when somebody
# reports "robust at $\varepsilon = 0.5$", ask how long the vectors are.
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


trap_drop = drop(attack(whole_table, loss_fn, p, q, eps=1.0))
claim(
    "with one norm for the whole table eps = 1 costs less than a twentieth of FGM",
    trap_drop > fgm_drop[1.0] / 20,
)

# %% [markdown]
# *Takeaway:* the table has hundreds of rows, and all of them now share one $\varepsilon$. The attack seems harmless,
# and the model seems robust. With a batch it is the same mistake: the strength of the attack then depends on the
# batch size. Exercise 08.2 asked for the row.
#
# ## Trap 3: a repair from another field
#
# **Question.** Here is a one-step attack on the user vectors as many tutorials write it. It reports a disaster, and
# its author is proud. Which control did the author leave out?


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
def drop_of(program, eps):
    """Loss of NDCG@20 when `program` moves the user vectors."""
    return drop((program(lambda moved: loss_fn(moved, q), p, eps=eps), q))


broken = {eps: drop_of(tutorial_attack, eps) for eps in (0.01, 0.0)}
plots.table([{"eps": eps, "change of NDCG@20 (%)": value} for eps, value in broken.items()], digits=2)

# %% [markdown]
# ### Exercise 08.3 · bug hunt: a line from an image tutorial · 10 min · **
#
# The missing control is $\varepsilon = 0$, and it gives the program away. Find the faulty line above, and write the
# function without the fault. It returns the attacked vectors, as above.


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

# %%
mended = {eps: drop_of(attacked_users, eps) for eps in (0.01, 0.0)}
claim("after the repair an attack of size 0 changes nothing", mended[0.0] == 0)
claim("nearly all of the reported damage came from the faulty line", mended[0.01] > broken[0.0] / 10)

# %% [markdown]
# *Takeaway:* run every attack with $\varepsilon = 0$ first. If that costs anything, you are not measuring the attack.
#
# ## Trap 4: whose label?
#
# So far the attacker knew the ratings: the liked film $i$ of a triple came from the training set, the **true label**.
# An attacker who holds the model but not the log can let the model itself say what is liked: its own top 20 of every
# user, the **predicted label**. (Kurakin, Goodfellow and Bengio, 2017, advise predicted labels for another reason:
# a model that is trained on attacks with true labels can read the label off the perturbation.)
#
# ### Exercise 08.4 · predict: the attacker without data · 5 min · *
#
# FGM at the same length, once with true and once with predicted labels. The lists are judged on the test set. The
# attacker who knows only the model will do
#
# - **a**: less damage, because its labels are partly wrong;
# - **b**: the same damage, because both follow the same model;
# - **c**: more damage.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
prediction = None
# BEGIN SOLUTION
prediction = "c"
# END SOLUTION
prediction = exercise("08.4").check(prediction)

# %%
scores = advrec.numpy(p) @ advrec.numpy(q).T
top = metrics.top_k(scores, 20, exclude=split.train)
guess_users = advrec.tensor(np.repeat(np.arange(movies.n_users), 20))
guess_items = advrec.tensor(top.reshape(-1))
guess_other = advrec.draw_negatives(guess_users, seen, generator=advrec.generator(SEED))
predicted_loss = ranking_loss(guess_users, guess_items, guess_other)

predicted_drop = {eps: drop(attack(fgm_delta, predicted_loss, p, q, eps=eps)) for eps in EPSILONS}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("An attacker without the log does more harm than one who has it")
plots.line(axis, EPSILONS, list(noise_drop.values()), "random", "random")
plots.line(axis, EPSILONS, list(fgm_drop.values()), "attacked", "FGM, true labels")
plots.line(axis, EPSILONS, list(predicted_drop.values()), "extra", "FGM, predicted labels")
plots.label(axis, x=r"length of every row's move $\varepsilon$", y="change of NDCG@20 (%)", legend=True)

# %%
claim(
    "predicted labels cost more NDCG@20 than true ones at eps = 0.25, 0.5 and 1",
    all(predicted_drop[eps] < fgm_drop[eps] for eps in EPSILONS[2:5]),
)
claim("change of ndcg@20 at eps = 0.5 with predicted labels (%)", predicted_drop[0.5])

# %% [markdown]
# *Takeaway:* the damage counts where the list is made, at the top of what the user has **not** seen. The true labels
# are training films, which the list leaves out anyway; raising their loss reaches the list only by detour. The
# predicted labels *are* the list. Two things follow: keeping the log secret is no defence, and an evaluation that
# uses only the training loss for its attack makes the model look better than it is.
#
# ## What can go wrong
#
# - **One step is a lower bound.** What FGM does not break, several steps may (lesson 09). Never call a model robust
#   because it survived one method.
# - **The budget is an assumption.** All vectors moving by the same length is a worst case that real attackers seldom
#   reach, and some reach more for a few items. Say which budget you mean, and why.
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
# - An id cannot move a bit, its vector can. The gradient with respect to the vector says where to.
# - FGSM takes the sign (every coordinate moves by $\varepsilon$), FGM the direction (every row moves by length
#   $\varepsilon$). At equal length both do several times the harm of noise.
# - A result needs its controls: noise of the same size, and $\varepsilon = 0$.
# - $\varepsilon$ needs a scale, the norm needs the right axis, and the label decides what is attacked.
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
