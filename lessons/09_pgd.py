# ---
# jupyter:
#   advrec:
#     title: Is one step enough?
#     minutes: 90
#     data: [movielens]
#     prerequisites: ["00", "01", "08"]
# ---

# %% [markdown]
# # 09 · Is one step enough?
#
# You will find out what an attacker gains who takes twenty small steps instead of one, what such an attack can do for a
# single film, whether it works on a model that it was not made on, and how a model can look robust only because its
# gradient is hidden.

# %% [markdown]
# **You will be able to**
#
# - write projected gradient descent (PGD) as an attack, with the projection onto a ball in two norms;
# - choose step size, number of steps and restarts by measurement, and check that an attack kept its budget;
# - tell what raises a loss from what hurts a list, and write a loss for the goal that you mean;
# - predict when a perturbation transfers to another model, and when it can't;
# - expose a defence that only hides the gradient, by four comparisons, and break it.

# %% tags=["pytorch"]
import math

import numpy as np
import torch
from scipy.stats import spearmanr

from advrec_teach import claim, data, exercise, metrics, plots, splits
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow"]
import math

import numpy as np
from scipy.stats import spearmanr

from advrec_teach import claim, data, exercise, metrics, plots, splits
from advrec_teach import tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"dim": 8, "epochs": 2, "steps": 4, "draws": 2},
    "quick": {"dim": 64, "epochs": 40, "steps": 20, "draws": 20},
    "full": {"dim": 256, "epochs": 40, "steps": 100, "draws": 50},
}[PROFILE]
SHARES = [0.05, 0.1, 0.2, 0.4, 0.8]
device = advrec.setup(lesson="09", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## The model of lesson 08, as one table
#
# The model, the split and the judge are those of lesson 08: matrix factorisation trained with the BPR loss on four
# fifths of the MovieLens ratings, and NDCG@20 on the other fifth. One thing is new, and only to save writing: all
# vectors stand in **one table** $x$, the users first, then the films. Every row is one example, with a budget of its
# own.

# %%
movies = data.movielens()
n_users, n_films = movies.n_users, movies.n_items
split = splits.holdout(movies.ratings, n_users, n_films, test_fraction=0.2, seed=SEED)


def trained(*, first, order):
    """All vectors of a trained model, users first; `first` seeds the first vectors, `order` the training."""
    model = advrec.BPRModel(n_users, n_films, dim=SIZES["dim"], seed=first)
    advrec.fit_bpr(model, split.train, epochs=SIZES["epochs"], batch_size=1024, seed=order)
    return advrec.tensor(np.concatenate([advrec.numpy(model.user_vectors), advrec.numpy(model.item_vectors)]))


x = trained(first=SEED, order=SEED)
unit = np.median(np.linalg.norm(advrec.numpy(x)[:n_users], axis=1))

# %% [markdown]
# Trap 1 of lesson 08 was a size without a scale. Here $\varepsilon$ is always a **share** of `unit`, the length of the
# median user's vector: 0.2 means that every row may move by a fifth of that length.
#
# The loss is the BPR loss of one triple per rating, as in lesson 08. It computes all scores by one product of matrices
# and picks the pairs that it needs, which is several times as fast as picking vectors.


# %% tags=["pytorch"]
def ranking_loss(users, rated, unrated):
    """The BPR loss of these triples as a function of the table of all vectors."""
    rated_at, unrated_at = (advrec.tensor(users * n_films + films) for films in (rated, unrated))

    def loss_fn(x):
        scores = (x[:n_users] @ x[n_users:].T).reshape(-1)
        return advrec.bpr_loss(scores.index_select(0, rated_at), scores.index_select(0, unrated_at))

    return loss_fn


# %% tags=["tensorflow"]
def ranking_loss(users, rated, unrated):
    """The BPR loss of these triples as a function of the table of all vectors."""
    rated_at, unrated_at = (advrec.tensor(users * n_films + films) for films in (rated, unrated))

    @tf.function
    def loss_fn(x):
        scores = tf.reshape(tf.matmul(x[:n_users], x[n_users:], transpose_b=True), [-1])
        return advrec.bpr_loss(tf.gather(scores, rated_at), tf.gather(scores, unrated_at))

    return loss_fn


# %%
seen = split.train.table()
users, rated = split.train.users, split.train.items
drawn = advrec.draw_negatives(advrec.tensor(users), advrec.tensor(seen), generator=advrec.generator(SEED))
loss_fn = ranking_loss(users, rated, advrec.numpy(drawn))


def ndcg(x):
    """Mean NDCG@20 of the table of vectors x."""
    vectors = advrec.numpy(x)
    top = metrics.top_k(vectors[:n_users] @ vectors[n_users:].T, 20, exclude=split.train)
    return np.nanmean(metrics.ndcg_per_user(top, split.test, 20))


clean = ndcg(x)


def cost(attacked):
    """NDCG@20 lost against the clean model, in percent; negative if something was gained."""
    return 100 * (1 - ndcg(attacked) / clean)


def random_move(eps, seed=SEED):
    """The control: a random move of length eps for every row."""
    return advrec.random_delta(x, eps=eps, norm="l2", generator=advrec.generator(seed))


claim("ndcg@20 of the model, not attacked", clean)

# %% [markdown]
# ## What does one step overlook?
#
# **Question.** FGM reads the gradient once, at the clean point, and then goes all of $\varepsilon$ in that direction.
# When it has arrived: does the gradient still point the same way?
#
# We move every row by FGM, read the gradient again, and compare the two row by row: the cosine of the angle between
# them is 1 where nothing has turned and 0 at a right angle. The control moves by the same length at random.


# %%
def agreement(delta):
    """Median over all rows of the cosine between the gradient at x and the gradient at x + delta."""
    _, before = advrec.value_and_grad(loss_fn, x)
    _, after = advrec.value_and_grad(loss_fn, x + delta)
    before, after = advrec.numpy(before), advrec.numpy(after)
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return np.median((before * after).sum(axis=1) / np.where(lengths > 0, lengths, 1))


after_fgm = {share: agreement(advrec.fgm_delta(loss_fn, x, eps=share * unit)) for share in SHARES}
after_noise = {share: agreement(random_move(share * unit)) for share in SHARES}
claim("median cosine of the gradients before and after FGM, share 0.2", after_fgm[0.2])
claim("median cosine of the gradients before and after FGM, share 0.8", after_fgm[0.8])

# %% tags=["nbval-ignore-output"]
plots.table(
    [{"share": s, "cosine after FGM": after_fgm[s], "after a random move": after_noise[s]} for s in SHARES], digits=2
)

# %% [markdown]
# *Takeaway:* after a small step the old direction is nearly right; after a large one it is stale. A random move turns
# the gradient about as much. It is the distance that counts: after it, you need to look again. At the moderate sizes
# the turn looks small; watch below how small turns add up over many steps.
#
# ## The nearest point of a ball
#
# So take small steps, and look again after each. But then the steps add up, and nothing keeps their sum within the
# budget. The attack has to stay in the **ball** $B_\varepsilon = \{\delta : ||\delta|| \le \varepsilon\}$. If a step
# leaves it, go to the point of the ball that is nearest. That is the **projection** $\Pi_\varepsilon$:
#
# $$\Pi_\varepsilon(\delta)_k = \min(\max(\delta_k, -\varepsilon), \varepsilon) \quad\text{for } ||\cdot||_\infty,
# \qquad
# \Pi_\varepsilon(\delta) = \delta \cdot \min\!\left(1, \frac{\varepsilon}{||\delta||_2}\right) \quad\text{for }
# ||\cdot||_2 .$$
#
# For the maximum norm each coordinate is cut off by itself. For the length the row as a whole is shortened, if it is
# too long. In both, a point inside the ball is its own nearest point, and stays.
#
# ### Exercise 09.1 · the projection · 10 min · *
#
# Write both. Every row is an example with a ball of its own; a row of zeros stays zero.


# %% tags=["pytorch", "exercise"]
def project(delta, *, eps, norm):
    """Return for every row of delta the nearest point of the ball of radius eps.

    delta: tensor of shape [n, d].  eps: radius, at least 0.  norm: "linf" (each coordinate) or "l2" (length of a row).
    Returns a tensor of shape [n, d]; delta itself stays as it is.
    """
    # BEGIN SOLUTION
    if norm == "linf":
        return delta.clamp(-eps, eps)
    length = torch.linalg.vector_norm(delta, dim=1, keepdim=True)
    return torch.where(length > eps, eps * delta / length, delta)
    # END SOLUTION


project = exercise("09.1").check(project)


# %% tags=["tensorflow", "exercise"]
def project(delta, *, eps, norm):
    """Return for every row of delta the nearest point of the ball of radius eps.

    delta: tensor of shape [n, d].  eps: radius, at least 0.  norm: "linf" (each coordinate) or "l2" (length of a row).
    Returns a tensor of shape [n, d]; delta itself stays as it is.
    """
    # BEGIN SOLUTION
    if norm == "linf":
        return tf.clip_by_value(delta, -eps, eps)
    length = tf.norm(delta, axis=1, keepdims=True)
    return tf.where(length > eps, eps * delta / length, delta)
    # END SOLUTION


project = exercise("09.1").check(project)

# %% [markdown]
# ## Many steps
#
# **Projected gradient descent**, PGD, repeats two things: a step of size $\alpha$ in the steepest direction *at the
# point reached so far*, and the projection. (It is called descent because optimisers descend; an attacker climbs.)
#
# $$\delta^{(0)} = \delta_{\text{start}}, \qquad
# \delta^{(t+1)} = \Pi_\varepsilon\!\left(\delta^{(t)} + \alpha\, s\!\left(\nabla_x L(x + \delta^{(t)})\right)\right).$$
#
# The direction $s(g)$ fits the norm: $\operatorname{sign}(g)$ for the maximum norm, $g / ||g||_2$ row by row for the
# length. You know both steps: they are FGSM and FGM of lesson 08, with $\alpha$ in the place of $\varepsilon$. Kurakin,
# Goodfellow and Bengio (2017) iterated the signed step; Madry et al. (2018) added the random start and made it the
# attack to measure defences with; Anelli et al. (2021) took it to the vectors of recommenders.
#
# ### Exercise 09.2 · the loop · 15 min · **
#
# Write PGD. Use `advrec.fgm_delta` or `advrec.fgsm_delta` for a step, and your `project`. Think about the place at
# which each step needs the gradient.


# %% tags=["exercise"]
def pgd(loss_fn, x, start, *, eps, step, steps, norm):
    """Return the perturbation that `steps` steps of projected gradient ascent reach.

    loss_fn: maps a tensor like x to one number.  x, start: tensors of shape [n, d]; start lies in the ball.
    eps: radius of the ball.  step: size of each step, in the same norm.  norm: "linf" or "l2".
    Returns delta of shape [n, d], in the ball.
    """
    # BEGIN SOLUTION
    one_step = {"l2": advrec.fgm_delta, "linf": advrec.fgsm_delta}[norm]
    delta = start
    for _ in range(steps):
        delta = delta + one_step(loss_fn, x + delta, eps=step)
        delta = project(delta, eps=eps, norm=norm)
    return delta
    # END SOLUTION


pgd = exercise("09.2").check(pgd)

# %% [markdown]
# Two choices are left: how long a step is, and where to start. A common rule takes $\alpha = 2.5\,\varepsilon / T$ for
# $T$ steps. We begin with that, from $\delta = 0$, and write it down once.

# %%
STEPS = SIZES["steps"]
still = 0 * x


def pgd_from_zero(loss_fn, x, *, eps, norm="l2"):
    """PGD from zero, with the customary rule for the step."""
    return pgd(loss_fn, x, 0 * x, eps=eps, step=2.5 * eps / STEPS, steps=STEPS, norm=norm)


def loss_at(delta):
    """The loss of the attacked table."""
    return float(loss_fn(x + delta))


eps = 0.2 * unit
deltas = {
    "random": random_move(eps),
    "FGM": advrec.fgm_delta(loss_fn, x, eps=eps),
    "PGD": pgd_from_zero(loss_fn, x, eps=eps),
}
losses = {name: loss_at(delta) for name, delta in deltas.items()}

# %% [markdown]
# To see what happens on the way, we call PGD for one step at a time. A second run begins at a **random start**, drawn
# uniformly from the ball; two more random starts show how much depends on the draw.


# %%
def random_start(x, *, eps, seed):
    """One draw from the ball for every row: the package's PGD with a random start and no step."""
    return advrec.pgd_delta(x=x, loss_fn=loss_fn, eps=eps, step=0, steps=0, norm="l2", generator=advrec.generator(seed))


def losses_on_the_way(delta):
    """Losses after 0, 1, ... STEPS steps of PGD that begins at delta."""
    losses = [loss_at(delta)]
    for _ in range(STEPS):
        delta = pgd(loss_fn, x, delta, eps=eps, step=2.5 * eps / STEPS, steps=1, norm="l2")
        losses.append(loss_at(delta))
    return losses


way_zero = losses_on_the_way(still)
starts = [random_start(x, eps=eps, seed=SEED + draw) for draw in range(3)]
way_random = losses_on_the_way(starts[0])

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("Small steps overtake the one long step")
plots.line(axis, range(STEPS + 1), way_zero, "attacked", "PGD from zero")
plots.line(axis, range(STEPS + 1), way_random, "attacked", "PGD from a random start", linestyle=":", marker=None)
axis.axhline(losses["FGM"], color=plots.EXTRA, linestyle="-.", linewidth=1, label="FGM: one step")
axis.axhline(losses["random"], color=plots.RANDOM, linestyle=":", label="random, same length")
axis.set_xticks(range(0, STEPS + 1, max(1, STEPS // 5)))
plots.label(axis, x="steps taken", y="BPR loss of the triples", legend=True)

# %%
gain = way_zero[-1] - loss_at(still)
settings = {"eps": eps, "step": 2.5 * eps / STEPS, "steps": STEPS}
others = [loss_at(pgd(loss_fn, x, start, norm="l2", **settings)) for start in starts[1:]]
gains_random = np.array([way_random[-1], *others]) - loss_at(still)
claim("rise of the loss by PGD over the rise by FGM, share 0.2", gain / (losses["FGM"] - loss_at(still)))
claim(
    "three random starts gain less than the start from zero, but more than 0.9 of it",
    bool(np.all((gains_random < gain) & (gains_random > 0.9 * gain))),
)
# %% [markdown]
# *Takeaway:* within the same ball, many steps reach a higher loss than one. From zero the line bends where the steps
# have used up the budget: eight steps of $\varepsilon / 8$ reach the edge, from there on the projection works, and the
# attack can only turn. A random start begins near the edge, with its budget all but spent in a useless direction (in
# many dimensions nearly all of a ball lies close to its edge), and is slower. All three get to about the same height,
# slightly below the start from zero. Madry et al. (2018) saw little difference between starts on image classifiers. So
# restarts bring nothing here; they are an insurance, and where they *do* differ much, you want to know why.
#
# ## How long should a step be?
#
# ### Exercise 09.3 · predict: the step · 5 min · *
#
# The budget is $\varepsilon$, the attack takes 20 steps with projection. The rule makes each step $\varepsilon/8$
# long. What happens with steps of $4\varepsilon$, each of which is four times as long as the whole budget?
#
# - **a**: they overshoot, and the loss stays below that of steps of $\varepsilon/8$;
# - **b**: they reach at least as high a loss;
# - **c**: every step ends at the edge at once, so that twenty do no more than one: they are FGM.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b" or "c".
# BEGIN SOLUTION
prediction = "b"
# END SOLUTION
prediction = exercise("09.3").check(prediction)

# %% [markdown]
# We try step sizes from $\varepsilon/100$ to $4\varepsilon$, and measure two controls. One leaves the projection out: a
# ball that is large enough never stops a step. The other keeps the rule and changes the number of steps.

# %%
FACTORS = [0.01, 0.125, 0.5, 4.0]


def reached(factor, *, room, steps=STEPS):
    """Loss and largest length of a row, over eps, after steps of size factor * eps in a ball of size room."""
    delta = pgd(loss_fn, x, still, eps=room, step=factor * eps, steps=steps, norm="l2")
    return loss_at(delta), np.linalg.norm(advrec.numpy(delta), axis=1).max() / eps


inside = [reached(factor, room=eps) for factor in FACTORS]
free = [reached(factor, room=1e6 * eps) for factor in FACTORS]
COUNTS = [2, 5, 20]
by_count = [reached(2.5 / count, room=eps, steps=count)[0] for count in COUNTS]

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("Steps have to be long enough to reach the edge, and few are nearly enough", columns=3)
plots.line(axes[0], FACTORS, [run[0] for run in inside], "attacked", "PGD")
plots.line(axes[1], COUNTS, by_count, "attacked", "PGD")
plots.line(axes[2], FACTORS, [run[1] for run in inside], "attacked", "with projection")
plots.line(axes[2], FACTORS, [run[1] for run in free], "attacked", "without", linestyle=":", marker=None)
axes[2].set_yscale("log")
for axis in axes:
    axis.set_xscale("log")
for axis in axes[:2]:
    axis.axhline(losses["FGM"], color=plots.EXTRA, linestyle="-.", linewidth=1, label="FGM")
axes[1].minorticks_off()
axes[1].set_xticks(COUNTS, map(str, COUNTS))
plots.label(axes[0], x=r"size of a step, over $\varepsilon$", y="BPR loss of the triples", legend=True)
plots.label(axes[1], x="number of steps, size by the rule", y="BPR loss of the triples", legend=True)
plots.label(
    axes[2], x=r"size of a step, over $\varepsilon$", y=r"longest row of $\delta$, over $\varepsilon$", legend=True
)

# %%
rises = [run[0] - loss_at(still) for run in inside]
claim("steps of eps / 100 reach less than a quarter of the rise that steps of eps / 8 reach", rises[0] < rises[1] / 4)
claim("steps of 4 eps reach at least as much as steps of eps / 8", rises[3] >= rises[1])
claim(
    "five steps reach more than 0.9 of what twenty reach",
    by_count[1] - loss_at(still) > 0.9 * (by_count[2] - loss_at(still)),
)

# %% [markdown]
# *Takeaway:* steps that are too short never arrive, and such an attack flatters the model. Long ones even do better
# here: it is the fresh gradients that win, and a long step with its projection turns the row towards the newest one.
# (We keep the customary rule.) One reason to expect this: while one of the two tables stands still, the BPR loss is a
# convex function of the other, and on such a surface a jump to the far edge keeps climbing. But the attack moves both
# tables: it is only a reason to expect it; the figure is the evidence. In a deep network long steps can overshoot: try
# several sizes, every time. And whoever forgets the projection gets a splendid attack, with another budget.
#
# ## Does the order hold at every size?
#
# **Question.** Noise, one step, many steps, all with the same budget. Is the order the same for every $\varepsilon$, in
# the loss and in the lists?
#
# (We stay with the length. For the maximum norm you have everything in `pgd`: exchange the norm and compare with FGSM.)

# %%
grid = {"random": [], "FGM": [], "PGD": []}
for share in SHARES:
    grid["random"].append(random_move(share * unit))
    grid["FGM"].append(advrec.fgm_delta(loss_fn, x, eps=share * unit))
    grid["PGD"].append(pgd_from_zero(loss_fn, x, eps=share * unit))
loss_of = {name: [loss_at(delta) for delta in deltas] for name, deltas in grid.items()}
cost_of = {name: [cost(x + delta) for delta in deltas] for name, deltas in grid.items()}

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("In the loss the order holds at every size; in the lists it does not", columns=2)
for name, role in {"random": "random", "FGM": "extra", "PGD": "attacked"}.items():
    plots.line(axes[0], SHARES, loss_of[name], role, name)
    plots.line(axes[1], SHARES, cost_of[name], role, name)
axes[0].set_yscale("log")
axes[0].minorticks_off()
axes[0].set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
plots.label(axes[0], x="length of every row's move (share)", y="BPR loss of the triples", legend=True)
plots.label(axes[1], x="length of every row's move (share)", y="NDCG@20 lost (%)", legend=True)


# %%
def ordered(*rows):
    """Whether the first row is above the second at every size, the second above the third, and so on."""
    return bool(np.all(np.diff(rows, axis=0) < 0))


claim(
    "loss, moves of a given length: PGD > FGM > random at every size",
    ordered(loss_of["PGD"], loss_of["FGM"], loss_of["random"]),
)
claim(
    "lists, shares up to 0.2: PGD costs more than FGM, FGM more than random",
    ordered(*(cost_of[n][:3] for n in ("PGD", "FGM", "random"))),
)
claim("NDCG@20 lost at share 0.2, PGD (%)", cost_of["PGD"][2])
claim(
    "share 0.8: PGD doubles the loss of FGM, and yet costs the lists less",
    loss_of["PGD"][4] > 2 * loss_of["FGM"][4] and cost_of["PGD"][4] < cost_of["FGM"][4],
)

# %% [markdown]
# As long as the budget is moderate, twenty steps cost more than one, in both panels. At the largest size they part: PGD
# does exactly what it was told, the loss is several times that of FGM, and the lists suffer *less*.
#
# **Question.** What could the loss reward that the lists do not feel? Look at $-\log \sigma$ of a pair far in the
# wrong order.
#
# %% [markdown]
# It grows without limit. A pair that is lost already can always be made worse, and PGD is better at that than one step.
# A list hardly feels it. The control is a loss with a ceiling: $\sigma(s_j - s_i)$, at most 1 for every pair of a rated
# film $i$ and an unrated film $j$.


# %% tags=["pytorch"]
pairs = [advrec.tensor(users * n_films + films) for films in (rated, advrec.numpy(drawn))]


def bounded_loss(x):
    """Mean over the same triples of the sigmoid of (score of the unrated film minus score of the rated film)."""
    scores = (x[:n_users] @ x[n_users:].T).reshape(-1)
    rated_score, unrated_score = (scores.index_select(0, places) for places in pairs)
    return torch.sigmoid(unrated_score - rated_score).mean()


# %% tags=["tensorflow"]
pairs = [advrec.tensor(users * n_films + films) for films in (rated, advrec.numpy(drawn))]


@tf.function
def bounded_loss(x):
    """Mean over the same triples of the sigmoid of (score of the unrated film minus score of the rated film)."""
    scores = tf.reshape(tf.matmul(x[:n_users], x[n_users:], transpose_b=True), [-1])
    rated_score, unrated_score = (tf.gather(scores, places) for places in pairs)
    return tf.reduce_mean(tf.sigmoid(unrated_score - rated_score))


# %%
far = SHARES[4] * unit
bounded = {
    "FGM": cost(x + advrec.fgm_delta(bounded_loss, x, eps=far)),
    "PGD": cost(x + pgd_from_zero(bounded_loss, x, eps=far)),
}
print(f"NDCG@20 lost, share 0.8, bounded loss: FGM {bounded['FGM']:.1f} %, PGD {bounded['PGD']:.1f} %")
claim("share 0.8, bounded loss: PGD costs the lists more than FGM", bounded["PGD"] > bounded["FGM"])

# %% [markdown]
# *Takeaway:* with a ceiling on what a pair can count, the order holds in the lists too. So the invariant belongs to the
# loss, and a loss without limit can draw an attack to where it no longer hurts. If many steps give a lower **loss**
# than one, your attack is broken or badly set: steps of $\varepsilon/100$ were. If they do less damage to the lists,
# look at your loss.
#
# ### The better aim or the better climber?
#
# **Question.** Trap 4 of lesson 08 aimed FGM at each user's 20 films of the highest scores. Twenty steps at all triples
# against *one* step with this aim: which costs more? (Aim, source of the positives and kind of the others change
# together, as in trap 4: the comparison is of two complete attacks.)

# %%
scores = advrec.numpy(x)[:n_users] @ advrec.numpy(x)[n_users:].T
everybody = np.repeat(np.arange(n_users), 20)
any_film = advrec.draw_negatives(
    advrec.tensor(everybody), advrec.tensor(np.zeros_like(seen)), generator=advrec.generator(SEED)
)
aimed_loss = ranking_loss(everybody, metrics.top_k(scores, 20).reshape(-1), advrec.numpy(any_film))
aimed = {"FGM": advrec.fgm_delta(aimed_loss, x, eps=eps), "PGD": pgd_from_zero(aimed_loss, x, eps=eps)}
claim(
    "share 0.2: one aimed step costs the lists more than PGD at all triples, and raises their loss less",
    cost(x + aimed["FGM"]) > cost(x + deltas["PGD"]) and loss_at(aimed["FGM"]) < loss_at(deltas["PGD"]),
)
# %% tags=["nbval-ignore-output"]
rows = [("all triples", "FGM", deltas["FGM"]), ("all triples", "PGD", deltas["PGD"])]
rows += [("top 20", name, delta) for name, delta in aimed.items()]
plots.table(
    [{"aim": a, "method": m, "loss of all triples": loss_at(d), "NDCG@20 lost (%)": cost(x + d)} for a, m, d in rows]
)

# %% [markdown]
# *Takeaway:* aim first, climb later. A good optimiser of the wrong loss loses to a single step on the right one.
#
# ## An attack too good
#
# **Question.** Here is PGD as many programs have it, short and tidy, and far stronger than yours. How?


# %%
def tidy_pgd(loss_fn, x, *, eps, step, steps):
    """Return the attacked vectors after PGD, every row moved by eps at most; x has shape [n, d]."""
    for _ in range(steps):
        moved = x + advrec.fgm_delta(loss_fn, x, eps=step)
        x = x + advrec.project(moved - x, eps=eps, norm="l2")
    return x


# %% tags=["nbval-ignore-output"]
settings = {"eps": eps, "step": 2.5 * eps / STEPS, "steps": STEPS}
tidy = tidy_pgd(loss_fn, x, **settings)
print(f"NDCG@20 lost: {cost(tidy):.1f} %; with the PGD of exercise 09.2: {cost(x + deltas['PGD']):.1f} %")

# %% [markdown]
# ### Exercise 09.4 · bug hunt: the tidy attack · 10 min · **
#
# Every row was to move by `eps` at most. Measure by how much the rows did move. Then find the fault, and write the
# function without it. It returns the attacked vectors, as above, and the caller chooses `eps`, `step` and `steps`.


# %% tags=["exercise"]
def attacked_by_pgd(loss_fn, x, *, eps, step, steps):
    """Return the attacked vectors after PGD, every row moved by eps at most; x has shape [n, d]."""
    # BEGIN SOLUTION
    # The tidy program reuses the name x, so its ball is drawn anew around each point that it reaches.
    attacked = x
    for _ in range(steps):
        moved = attacked + advrec.fgm_delta(loss_fn, attacked, eps=step)
        attacked = x + advrec.project(moved - x, eps=eps, norm="l2")
    return attacked
    # END SOLUTION


attacked_by_pgd = exercise("09.4").check(attacked_by_pgd)


# %%
def spent(attacked):
    """The longest move of a row, over eps."""
    return np.linalg.norm(advrec.numpy(attacked - x), axis=1).max() / eps


mended = attacked_by_pgd(loss_fn, x, **settings)
near = abs(float(loss_fn(mended)) - losses["PGD"]) < 0.01 * losses["PGD"]
claim("the tidy attack spends more than twice its budget", spent(tidy) > 2)
claim("after the repair no row moves further than eps, and the loss is that of PGD", spent(mended) < 1.0001 and near)

# %% [markdown]
# *Takeaway:* the ball belongs around the point where the attack began. After every attack, measure the largest move: it
# is one line, and it catches this bug, a forgotten projection and a wrong axis alike.
#
# ## One film into many lists
#
# So far the attacker wanted to spoil. Now somebody wants to **promote**: an unpopular film is to appear in as many
# lists of 20 as possible. That is a *targeted* attack, and we limit it hard: only this film's vector may move.
#
# **Question.** How far does it have to move until a quarter of all users see it? And does the attack need a gradient to
# know where?
#
# Let $b_u$ be the score of the film in place 20 of user $u$'s list: the bar. The film $t$ is in the list if
# $p_u^\top q_t \ge b_u$. Counting users is a staircase with gradient zero, so the loss counts them softly,
#
# $$L(q_t) = \operatorname{mean}_u \, \sigma\!\left(p_u^\top q_t - b_u\right),$$
#
# over all users who have not rated the film. A user far above or far below the bar adds hardly any gradient; those near
# it decide.

# %%
p, q = x[:n_users], x[n_users:]
top = metrics.top_k(scores, 20, exclude=split.train)
height = scores[np.arange(n_users), top[:, -1]]
films = np.flatnonzero(split.train.popularity() == 10)[:5]


def reach(film, vector):
    """Percent of the users who have not rated `film` and get it into their list if it has this vector."""
    audience = ~seen[:, film]
    return 100 * np.mean((advrec.numpy(p) @ advrec.numpy(vector)[0] >= height)[audience])


# %% tags=["pytorch"]
def promotion(film):
    """The soft share of users whose bar the film clears, as a function of its vector [1, d]."""
    audience = advrec.tensor(np.flatnonzero(~seen[:, film]))
    others, bar = p[audience], advrec.tensor(height)[audience]
    return lambda v: torch.sigmoid((others * v).sum(dim=1) - bar).mean()


# %% tags=["tensorflow"]
def promotion(film):
    """The soft share of users whose bar the film clears, as a function of its vector [1, d]."""
    audience = advrec.tensor(np.flatnonzero(~seen[:, film]))
    others, bar = tf.gather(p, audience), tf.gather(advrec.tensor(height), audience)

    @tf.function
    def soft_share(v):
        return tf.reduce_mean(tf.sigmoid(tf.reduce_sum(others * v, axis=1) - bar))

    return soft_share


# %% [markdown]
# Five films with ten ratings each in the training set, and two controls: random moves of the same length, and a move
# **without any gradient**, straight in the direction of the mean of all users' vectors. The scale is now the median
# *film* vector.

# %%
film_unit = np.median(np.linalg.norm(advrec.numpy(q), axis=1))
mean_user = advrec.numpy(p).mean(axis=0, keepdims=True)
to_mean_user = advrec.tensor(mean_user / np.linalg.norm(mean_user))
FAR = [0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0]
reached_by = {name: np.zeros((len(films), len(FAR))) for name in ("random", "to the mean user", "PGD")}
promoted = {}
for row, film in enumerate(films):
    v, soft = q[int(film) : int(film) + 1], promotion(film)
    for column, share in enumerate(FAR):
        e = share * film_unit
        promoted[film, share] = advrec.numpy(pgd_from_zero(soft, v, eps=e))
        reached_by["PGD"][row, column] = reach(film, v + advrec.tensor(promoted[film, share]))
        reached_by["to the mean user"][row, column] = reach(film, v + e * to_mean_user)
        source = advrec.generator(SEED + row)
        moves = [advrec.random_delta(v, eps=e, norm="l2", generator=source) for _ in range(SIZES["draws"])]
        reached_by["random"][row, column] = np.mean([reach(film, v + move) for move in moves])

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("A straight move to the mean user promotes almost as well as PGD")
for film_reach in reached_by["PGD"]:
    axis.plot(FAR, film_reach, color=plots.ATTACKED, alpha=0.25, linewidth=1)
axis.plot([], [], color=plots.ATTACKED, alpha=0.25, linewidth=1, label="PGD, each film")
for name, role in {"random": "random", "to the mean user": "clean", "PGD": "attacked"}.items():
    plots.line(axis, FAR, reached_by[name].mean(axis=0), role, f"{name}, mean of {len(films)} films")
axis.axhline(25, color="black", linewidth=0.8)
plots.label(axis, x="length of the film's move (share of the median film vector)", y="users reached (%)", legend=True)

# %%
mean_reach = {name: values.mean(axis=0) for name, values in reached_by.items()}
prices, places = [], []
for film in films:
    after = advrec.numpy(x).copy()
    after[n_users + film] += promoted[film, 1.5][0]
    lists = metrics.top_k(after[:n_users] @ after[n_users:].T, 20, exclude=split.train)
    prices.append(cost(after))
    places.append(1 + np.median(np.argwhere(lists == film)[:, 1]))
print("NDCG@20 lost (%), each film at share 1.5:", *(f"{price:.1f}" for price in prices), end="; ")
print(f"noise on all rows, share 0.2: {cost(x + deltas['random']):.1f}")
print("median place in the lists that it enters:", *places)

claim("share at which PGD reaches a quarter of the users, mean of the films", np.interp(25, mean_reach["PGD"], FAR))
claim(
    "share 1.5: without a gradient the film reaches more than 0.9 of the users that PGD reaches",
    mean_reach["to the mean user"][4] > 0.9 * mean_reach["PGD"][4],
)
claim(
    "share 0.75: PGD reaches more than twice as many users as the move without a gradient",
    mean_reach["PGD"][1] > 2 * mean_reach["to the mean user"][1],
)
claim(
    "rank correlation of the films' scores for the mean user with their popularity",
    spearmanr(advrec.numpy(q) @ mean_user[0], split.train.popularity()).statistic,
)
claim("NDCG@20 lost when one film is lifted to share 1.5, mean of the films (%)", np.mean(prices))

# %% [markdown]
# *Takeaway:* a move longer than the median vector reaches a quarter of the users, and a longer one nearly everybody:
# the length is the limit. And there is no secret weakness of the film to find. The mean user's vector points to
# **popularity**, and a long move needs nothing else. Only in short moves, which reach few users, does the gradient find
# something of its own.
#
# The price is seen in the averages. A single film costs the lists about as much as noise on *all* vectors, because it
# stands near the top of the lists that it enters. You still have to know what to look for: noise costs the same.
#
# ## Does it work on another model?
#
# **Question.** An attacker seldom holds your model. Suppose that they train one of their own on the same ratings and
# make the perturbation there. What is it worth on yours?
#
# Two victims, both trained on the same data and equally good. The first began with the *same first vectors* and saw the
# data in another order; the second began with *other first vectors*. For each: noise, the borrowed perturbation, and as
# the upper mark the victim's own PGD.

# %%
victims = {
    "same first vectors": trained(first=SEED, order=SEED + 100),
    "other first vectors": trained(first=SEED + 100, order=SEED + 100),
}


def lost_by(victim, delta):
    """NDCG@20 that the victim loses, in percent."""
    return 100 * (1 - ndcg(victim + delta) / ndcg(victim))


lost = {name: {} for name in victims}
for name, victim in victims.items():
    lost[name]["random"] = lost_by(victim, random_move(eps, seed=SEED + 1))
    lost[name]["borrowed"] = lost_by(victim, deltas["PGD"])
    lost[name]["own PGD"] = lost_by(victim, pgd_from_zero(loss_fn, victim, eps=eps))

same, other = lost["same first vectors"], lost["other first vectors"]
claim(
    "both victims are within 5 % of the model's NDCG@20", all(abs(ndcg(v) / clean - 1) < 0.05 for v in victims.values())
)
claim(
    "same first vectors: the borrowed perturbation costs more than three times what noise costs",
    same["borrowed"] > 3 * same["random"],
)
claim(
    "other first vectors: it costs less than a quarter of the victim's own PGD",
    other["borrowed"] < other["own PGD"] / 4,
)

# %% [markdown]
# On the second victim the perturbation is worth no more than noise.
#
# **Question.** Is that model safe?

# %% [markdown]
# Think of what a score is: $p_u^\top q_i$. Turn all vectors of a model by the same rotation $R$, possibly with a
# mirror (an orthogonal matrix), and every score stays,
#
# $$(p_u R)^\top (q_i R) = p_u^\top R R^\top q_i = p_u^\top q_i .$$
#
# So the coordinates of a model mean nothing by themselves; the first vectors decide which way it is turned. The
# borrowed perturbation may be right, in coordinates that the victim does not use. If the attacker knows *some* of the
# victim's vectors, $R$ can be found: $R = U V^\top$ from the singular value decomposition
# $Q_{\text{own}}^\top Q_{\text{victim}} = U \Sigma V^\top$ turns the attacker's film vectors onto the victim's as
# closely as any orthogonal matrix can (Schönemann, 1966). We hand over the
# film vectors only, which an app that ranks on the phone has to carry along.
#
# If that works, *what* carries over? The last section found one direction that all films share, popularity. So there
# are three controls: a turn at random; a turn that brings only the **mean** film vector onto the victim's, the rest at
# random; and the right turn, of the perturbation without its part along the mean film vector.


# %%
def fitted_turn(own, victim):
    """The orthogonal matrix R that brings own @ R closest to victim; both of shape [n, d]."""
    left, _, right = np.linalg.svd(own.T @ victim)
    return left @ right


def random_turn(seed):
    """A random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(SIZES["dim"], SIZES["dim"])))[0]


def mirror(a, b):
    """The reflection that brings the direction of a onto that of b."""
    w = a / np.linalg.norm(a) - b / np.linalg.norm(b)
    w /= np.linalg.norm(w)
    return np.eye(len(a)) - 2 * np.outer(w, w)


# %%
own_films, delta = advrec.numpy(q), advrec.numpy(deltas["PGD"])
mean_film = own_films.mean(axis=0)
axis_of_mean = mean_film / np.linalg.norm(mean_film)
rest = delta - np.outer(delta @ axis_of_mean, axis_of_mean)
for name, victim in victims.items():
    its_films, start = advrec.numpy(victim)[n_users:], random_turn(SEED)
    right = fitted_turn(own_films, its_films)
    only_mean = start @ mirror(mean_film @ start, its_films.mean(axis=0))
    turns = {"turned at random": (delta, start), "only the mean vector turned": (delta, only_mean)}
    turns |= {"turned, without the mean": (rest, right), "turned": (delta, right)}
    for kind, (made, turn) in turns.items():
        lost[name][kind] = lost_by(victim, advrec.tensor(made @ turn))

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("Most of what carries over is one shared direction", columns=2, sharey=True)
kinds = ["random", "turned at random", "borrowed", "turned, without the mean"]
kinds += ["only the mean vector turned", "turned", "own PGD"]
for axis, (name, values) in zip(axes, lost.items()):
    colours = [plots.RANDOM] * 2 + [plots.ATTACKED] * 5
    axis.barh(kinds[::-1], [values[kind] for kind in kinds[::-1]], 0.6, color=colours[::-1])
    plots.label(axis, x="NDCG@20 lost, share 0.2 (%)", y="", title=f"victim with {name}")

# %%
claim("other first vectors: NDCG@20 lost by the borrowed perturbation, turned (%)", other["turned"])
claim(
    "turned, it costs both victims more than 0.85 of their own PGD, turned at random less than a quarter",
    all(v["turned"] > 0.85 * v["own PGD"] and v["turned at random"] < v["own PGD"] / 4 for v in lost.values()),
)
claim(
    "with only the mean vector turned, it costs both between a half and 0.85",
    all(0.5 < v["only the mean vector turned"] / v["own PGD"] < 0.85 for v in lost.values()),
)
claim(
    "turned, but without its part along the mean, it costs both less than a third",
    all(v["turned, without the mean"] < v["own PGD"] / 3 for v in lost.values()),
)
claim("the turn helps on the victim with the same first vectors too", same["turned"] > same["borrowed"] + 3)

# %% [markdown]
# *Takeaway:* the right turn makes a borrowed attack as good as the victim's own, or nearly. Most of what carries over
# is the one direction of popularity, which is easily found; the rest of the geometry adds about a third. Even the
# victim with the same first vectors gains by the turn: the order of the data turns a model a little too. Random first
# vectors hide a model a little; they do not defend it. (Perturbations of *inputs* that all models share, such as
# pictures and words, need no turning: Papernot, McDaniel and Goodfellow (2016) carried them even between different
# kinds of models.)
#
# ## A defence that is none
#
# A colleague stores the vectors rounded: every coordinate becomes a multiple of 0.25. So few different
# values are left, at most 16, that each fits into four bits. The lists suffer a little; then she runs FGM
# against it and is delighted.


# %% tags=["pytorch"]
GRID = 0.25


def rounded(x):
    """Every coordinate as the nearest multiple of GRID; its derivative is 0 wherever it has one."""
    return GRID * torch.round(x / GRID)


# %% tags=["tensorflow"]
GRID = 0.25


@tf.custom_gradient
def rounded(x):
    """Every coordinate as the nearest multiple of GRID; its derivative is 0 wherever it has one."""
    # tf.round has no derivative in TensorFlow: a tape returns None there, and the attack would stop. We state the true
    # one. A custom gradient returns two things: the value, and a function from the gradient behind to the one before.
    return GRID * tf.round(x / GRID), tf.zeros_like


# %%
def rounded_loss(x):
    """The loss of the model that rounds its vectors before it uses them."""
    return loss_fn(rounded(x))


clean_rounded = ndcg(rounded(x))


def cost_rounded(delta):
    """NDCG@20 that the rounding model loses against its own clean value, in percent."""
    return 100 * (1 - ndcg(rounded(x + delta)) / clean_rounded)


one_step = {share: advrec.fgm_delta(rounded_loss, x, eps=share * unit) for share in SHARES}

claim("NDCG@20 that the rounding itself costs (%)", 100 * (1 - clean_rounded / clean))
print("Different values in the rounded vectors:", len(np.unique(advrec.numpy(rounded(x)))))
claim("FGM costs the rounding model nothing at any size", all(cost_rounded(d) == 0 for d in one_step.values()))

# %% [markdown]
# **Question.** "Four bits, and robust against FGM at every $\varepsilon$." (The rounding itself costs about what a
# small noise does.) Do you believe it? What would you run before you answer?

# %% [markdown]
# A staircase is flat: its derivative is zero almost everywhere. FGM asks for the slope, gets zero, and stays where it
# is. That says something about the question, not about the model. Such a defence **masks its gradient**. Most of
# the defences that Athalye, Carlini and Wagner (2018) examined did so in some way, often without wanting to. Carlini et
# al. (2019) list what to check. Four of their checks, in our terms, each about the **loss** under attack:
#
# 1. Does *noise* reach a higher loss than the attack with the gradient?
# 2. Do *many steps* reach a lower loss than one?
# 3. Does an attack that was made on *another model* reach a higher loss than one made on this model?
# 4. Give the attacker an *unlimited* budget, say 10 times the vectors' length. Nothing should be left of the model
#    then. Is it still better than a coin? A coin that decides which film of a pair is better has the loss
#    $-\log\tfrac12 = \log 2$.
#
# "The attack with the gradient", or **white-box attack**, is the better of one step and many. A yes is a sign that the
# gradient is hidden, or the attack broken or badly set.
#
# ### Exercise 09.5 · four signs · 15 min · **
#
# Write the checks. All five numbers are losses; the answer is a list of four truth values, in the order above, `True`
# for each sign that shows. Two attacks that do equally much are no sign.


# %% tags=["exercise"]
def signs_of_masking(*, noise, one_step, many_steps, transfer, unbounded):
    """Return four truth values: noise wins, more steps lose, the borrowed attack wins, no limit and still no ruin.

    noise: loss after a random move.  one_step, many_steps: after FGM and PGD with this model's own gradient.
    transfer: after an attack that was made on another model.  All four with the same eps.
    unbounded: after FGM or PGD, whichever is higher, with a budget far beyond the length of the vectors.
    """
    # BEGIN SOLUTION
    white_box = max(one_step, many_steps)
    return [noise > white_box, many_steps < one_step, transfer > white_box, unbounded < math.log(2)]
    # END SOLUTION


signs_of_masking = exercise("09.5").check(signs_of_masking)

# %% [markdown]
# We fill in the report for two models: the unprotected one, attacked from the victim with the same first vectors, and
# the rounding one, attacked from the unprotected one.


# %%
def report(loss, borrowed):
    """The five losses, all at share 0.2, except the last: share 10."""
    far = 10 * unit
    steps = [pgd_from_zero(loss, x, eps=e) for e in (eps, far)]
    single = [advrec.fgm_delta(loss, x, eps=e) for e in (eps, far)]
    under = [float(loss(x + delta)) for delta in (random_move(eps), single[0], steps[0], borrowed, single[1], steps[1])]
    names = ("noise", "one_step", "many_steps", "transfer")
    return {**dict(zip(names, under)), "unbounded": max(under[4:])}


# %%
from_victim = pgd_from_zero(loss_fn, victims["same first vectors"], eps=eps)
reports = {"unprotected": report(loss_fn, from_victim), "rounding": report(rounded_loss, deltas["PGD"])}
signs = {name: signs_of_masking(**values) for name, values in reports.items()}
_, slope = advrec.value_and_grad(rounded_loss, x)
claim("the unprotected model shows none of the four signs", not any(signs["unprotected"]))
claim(
    "the rounding model: noise wins, the borrowed attack wins, no limit and still no ruin",
    list(map(bool, signs["rounding"])) == [True, False, True, True],
)
claim("and every entry of its gradient is zero", not np.any(advrec.numpy(slope)))

# %% tags=["nbval-ignore-output"]
plots.table([{"model": name, **values} for name, values in reports.items()])

# %% [markdown]
# *Takeaway:* three signs of four. (The second stays silent, because one step of zero and many steps of zero are equal.)
# The fastest check of all is the last claim above: look at the gradient itself. Note that all of them ask about the
# loss. The lists would not do: at the largest size PGD did less to them than FGM, and nothing was hidden.
#
# ## Breaking it
#
# **Question.** How do you climb a staircase that has no slope?

# %% [markdown]
# Go backwards through something smooth that looks like
# it: compute the loss *with* the rounding, but in the gradient pretend that $\operatorname{round}(x) \approx x$, whose
# derivative is 1. Athalye, Carlini and Wagner (2018) call this **BPDA**, backward pass differentiable approximation.


# %% tags=["pytorch"]
def smooth_behind(x):
    """The value of rounded(x), the derivative of x."""
    return x + (rounded(x) - x).detach()


# %% tags=["tensorflow"]
def smooth_behind(x):
    """The value of rounded(x), the derivative of x."""
    return x + tf.stop_gradient(rounded(x) - x)


# %%
through = pgd_from_zero(lambda x: loss_fn(smooth_behind(x)), x, eps=eps)
against_rounding = {
    "random move": cost_rounded(deltas["random"]),
    "FGM": cost_rounded(one_step[0.2]),
    "PGD, BPDA": cost_rounded(through),
    "PGD, borrowed": cost_rounded(deltas["PGD"]),
}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("The rounding stops the gradient, not the attack")
colours = [plots.RANDOM, plots.EXTRA, plots.ATTACKED, plots.ATTACKED]
axis.bar(list(against_rounding), list(against_rounding.values()), 0.6, color=colours)
axis.axhline(cost_of["PGD"][2], color=plots.CLEAN, linewidth=1, label="PGD against the unprotected model")
axis.text(1, 0.5, "0", ha="center")
axis.set_ylim(0, 1.35 * cost_of["PGD"][2])  # room for the legend
plots.label(axis, x="attack on the rounding model", y="NDCG@20 lost, share 0.2 (%)", legend=True)

# %%
claim(
    "the better of BPDA and the borrowed attack costs it more than 0.85 of what PGD costs the unprotected model",
    max(against_rounding["PGD, BPDA"], against_rounding["PGD, borrowed"]) > 0.85 * cost_of["PGD"][2],
)
# %% [markdown]
# *Takeaway:* the rounding was worth almost nothing, and no attack that uses its gradient would ever have told. The
# attack that simply ignored the rounding does at least as well as BPDA at this size: report the strongest attack that
# you have, not the cleverest.
#
# ## What can go wrong
#
# - **PGD is still a lower bound.** It is the strongest attack of this lesson for one loss, not the worst case. With
#   another aim a single step did more.
# - **Checks expose, they don't certify.** A model that shows none of the signs may still hide its gradient in a way
#   that these four don't see.
# - **A perturbation of vectors is an assumption**, as in lesson 08. The transfer above says so: without the victim's
#   coordinates it is worth no more than noise. Attacks on what a stranger *can* touch follow in lessons 12, 13, 16 and
#   17.
# - **One data set, one kind of model.** That long steps and a single start suffice is a finding about this loss.
#
# **Misuse.** Promoting an item against its users' interest is fraud wherever money is made with a place in a list. It
# is taught because whoever runs a recommender has to know what it looks like and what it costs, and because a defence
# that was never attacked in earnest harms those who trust in it. Attack models that are yours, or whose owner has
# agreed.
#
# ## What we learned
#
# - PGD repeats a step of lesson 08 and a projection; gradient at $x + \delta$, ball around $x$.
# - At the same budget the loss obeys PGD > one step > noise at every size. The lists do so only as far as the loss
#   speaks for them; a loss with a ceiling speaks better at large sizes.
# - A budget is measured after the attack, not promised before it.
# - A borrowed perturbation needs the victim's coordinates; a rotation supplies them. Most of what
#   carries over is the direction of popularity.
# - "The gradient finds nothing" is a reason for suspicion, until noise, borrowed attacks and an unlimited budget find
#   nothing either.
#
# **Next:** lesson 10 trains a model that withstands the attack, and you now know how to test whether it does.
#
# ## Further reading
#
# - Aleksander Madry, Aleksandar Makelov, Ludwig Schmidt, Dimitris Tsipras, Adrian Vladu: *Towards Deep Learning Models
#   Resistant to Adversarial Attacks*. ICLR 2018. PGD with random starts, and training against it.
# - Alexey Kurakin, Ian Goodfellow, Samy Bengio: *Adversarial Examples in the Physical World*. ICLR 2017, workshop
#   track. The iterated signed step.
# - Vito Walter Anelli, Alejandro Bellogín, Yashar Deldjoo, Tommaso Di Noia, Felice Antonio Merra: *MSAP: Multi-Step
#   Adversarial Perturbations on Recommender Systems Embeddings*. FLAIRS 34, 2021. Many steps against BPR.
# - Anish Athalye, Nicholas Carlini, David Wagner: *Obfuscated Gradients Give a False Sense of Security: Circumventing
#   Defenses to Adversarial Examples*. ICML 2018. Masked gradients and BPDA.
# - Nicholas Carlini, Anish Athalye, Nicolas Papernot, Wieland Brendel, Jonas Rauber, Dimitris Tsipras, Ian Goodfellow,
#   Aleksander Madry, Alexey Kurakin: *On Evaluating Adversarial Robustness*. 2019, arXiv:1902.06705. The checks.
# - Nicolas Papernot, Patrick McDaniel, Ian Goodfellow: *Transferability in Machine Learning: from Phenomena to
#   Black-Box Attacks using Adversarial Samples*. 2016, arXiv:1605.07277.
# - Peter H. Schönemann: *A Generalized Solution of the Orthogonal Procrustes Problem*. Psychometrika 31, 1966.
