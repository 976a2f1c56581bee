# ---
# jupyter:
#   advrec:
#     title: What can a user do who only has accounts?
#     minutes: 90
#     data: [movielens]
#     prerequisites: ["00", "01", "08"]
# ---

# %% [markdown]
# # 12 · What can a user do who only has accounts?
#
# You will find out how far a few fake accounts can carry an unknown film, or bury a famous one, which of them a
# defender can see, and what the defence costs the real users.
#
# **You will be able to**
#
# - write the classical fake profiles, and one that a gradient through a recommender's training found;
# - measure an attack so that neither the fake users nor the noise of training flatter it;
# - look for fake accounts without labels, and say what a detector costs when nobody attacks;
# - name what an attack knows and spends before you compare it with another.

# %% tags=["pytorch"]
import numpy as np
import torch

from advrec_teach import baselines, claim, data, detection, exercise, metrics, plots, profiles, splits
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow"]
import numpy as np

from advrec_teach import baselines, claim, data, detection, exercise, metrics, plots, profiles, splits
from advrec_teach import tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"dim": 8, "epochs": 2, "targets": 1, "again": 1, "steps": 2, "generator": 5},
    "quick": {"dim": 64, "epochs": 20, "targets": 3, "again": 2, "steps": 10, "generator": 200},
    "full": {"dim": 128, "epochs": 40, "targets": 10, "again": 10, "steps": 30, "generator": 2000},
}[PROFILE]
device = advrec.setup(lesson="12", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## Everything is fixed before the first fake
#
# Lesson 08 moved vectors directly. Nobody outside the company can do that. What anybody can do is open accounts and
# click. This is **poisoning**: the attacker changes the *training data*, and the recommender does the rest by itself
# at its next training. In the field's older word, the profiles are **shilling** profiles.
#
# Whoever chooses the target *after* looking at the results has measured nothing, so we fix everything now. The
# **targets** are drawn from the films with 5 to 15 ratings in the training set. They are few, so HR@50 is drawn with
# their range. An attack has as many fake users as 1 or 5 percent of the real ones, and every fake profile
# is as long as the median real one.

# %%
movies = data.movielens()
split = splits.holdout(movies.ratings, movies.n_users, movies.n_items, test_fraction=0.2, seed=SEED)
train = split.train
N_REAL = train.n_users
LENGTH = int(np.median(train.activity()))
TARGETS = profiles.target_items(train, SIZES["targets"], low=5, high=15, seed=SEED)
COUNTS = [round(share * N_REAL) for share in (0.01, 0.05)]
N_FAKE = COUNTS[-1]
titles, popularity = movies.items["title"].to_numpy(), train.popularity()
print(f"{N_REAL} real users; {COUNTS} fake users with {LENGTH} films each")
for target in TARGETS:
    print(f"target: {titles[target]}, {popularity[target]} ratings")

# %% [markdown]
# Three recommenders from lesson 01 stand for three families: BPR learns vectors, ItemKNN compares the audiences of
# films, EASE solves one large ridge regression. Each of these functions trains on all accounts that it is given, the
# fake ones at the end, and returns a score of every film for every account.


# %%
def bpr(known, *, seed=SEED):
    """Scores of all accounts by BPR, trained on them."""
    model = advrec.BPRModel(known.n_users, known.n_items, dim=SIZES["dim"], seed=seed)
    tuned = {"learning_rate": 0.1, "regularisation": 0.01, "batch_size": 2048}  # as in lesson 10
    advrec.fit_bpr(model, known, epochs=SIZES["epochs"], **tuned, seed=seed)
    return advrec.numpy(model.score_all())


INVERSE = baselines.ease_inverse(train)  # of the real users alone; fake ones are added to it


def ease(known):
    """Scores of all accounts by EASE."""
    inverse = baselines.ease_update(INVERSE, known.table()[N_REAL:])
    return known.table() @ baselines.ease_weights(inverse)


RECOMMENDERS = {"BPR": bpr, "ItemKNN": baselines.item_knn_scores, "EASE": ease}


# %% [markdown]
# ## Whom does a hit ratio count?
#
# **Question.** An attack on a shop with 943 customers adds 47 accounts, and each of them now holds the target. Which
# of the 990 accounts belong in the average?
#
# The **target hit ratio** HR@k is the share of users whose first $k$ recommendations hold the target. Three rules keep
# it honest.
#
# - Only **real** users count. The fake ones belong to the attacker, who does not need to be convinced.
# - Of those, only users who do **not have** the target. A recommender never shows people what they have.
# - A list holds only films that the user does not have, as in every lesson.
#
# ### Exercise 12.1 · the target's hit ratio · 15 min · **
#
# `scores` and `owned` are NumPy arrays with a row for every account, real users first. A film with the same score as
# the target stands before it.


# %% tags=["exercise"]
def target_hit_ratio(scores, owned, target, *, n_real, k):
    """Return the share of real users without the target whose first k films hold it.

    scores: [accounts, films], larger is better, may be negative.  owned: the same shape, True where the account has
    the film.  target: a film's id.  n_real: the first n_real rows are real users.  k: length of the list.
    """
    # BEGIN SOLUTION
    asked = ~owned[:n_real, target]
    table = np.where(owned[:n_real], -np.inf, scores[:n_real])[asked]
    ahead = (table >= table[:, [target]]).sum(axis=1) - 1
    return float((ahead < k).mean())
    # END SOLUTION


target_hit_ratio = exercise("12.1").check(target_hit_ratio)


# %% [markdown]
# A hit ratio is blind below the list: a film that climbs from place 900 to place 60 has moved far and shows nothing.
# So we look at the first 10 places, at the first 50, and at the median user's **place** of the target.
#
# One more thing moves a film: chance. Train BPR again on the same data with another seed, and every film changes its
# place a little. An attack has to beat that.


# %%
def measure(scores, known, films):
    """HR@10 and HR@50 (%) and the median place of each film, among real users without it: arrays [films]."""
    owned, found = known.table(), {"HR@10": [], "HR@50": [], "place": []}
    for film in films:
        for k in (10, 50):
            found[f"HR@{k}"].append(100 * target_hit_ratio(scores, owned, film, n_real=N_REAL, k=k))
        ranks = metrics.target_ranks(scores, owned, film, n_real=N_REAL)
        found["place"].append(np.median(ranks[ranks >= 0]) + 1)
    return {key: np.array(values) for key, values in found.items()}


def quality(scores):
    """NDCG@20 of the real users."""
    return metrics.ndcg(metrics.top_k(scores[:N_REAL], 20, exclude=train), split.test, 20)


clean_scores = {name: recommend(train) for name, recommend in RECOMMENDERS.items()}
again = [clean_scores["BPR"]] + [bpr(train, seed=SEED + 1000 + k) for k in range(SIZES["again"])]
pushed = {}  # what was measured, by attack and recommender
for name, scores in clean_scores.items():
    pushed["none", name] = {**measure(scores, train, TARGETS), "NDCG@20": np.array(quality(scores))}


def effect(attack, name, key="HR@50"):
    """The mean over the targets."""
    return float(pushed[attack, name][key].mean())


retrained = [measure(scores, train, TARGETS) for scores in again]
wobble = max(found["HR@50"].mean() for found in retrained)

# %% tags=["nbval-ignore-output"]
rows = [{"recommender": n, **{key: effect("none", n, key) for key in pushed["none", n]}} for n in RECOMMENDERS]
for found, scores in zip(retrained[1:], again[1:]):
    rows.append({"recommender": "BPR, another seed", **{key: values.mean() for key, values in found.items()}})
    rows[-1]["NDCG@20"] = quality(scores)
plots.table(rows)

# %%
claim(
    "before any attack the targets are in the first ten of fewer than one user in two hundred",
    all(effect("none", name, "HR@10") < 0.5 for name in RECOMMENDERS),
)
claim("training anew brings no target into the first fifty of one user in a hundred", wobble < 1)
claim("ndcg@20 of BPR, not attacked", effect("none", "BPR", "NDCG@20"))
claim("ndcg@20 of EASE, not attacked", effect("none", "EASE", "NDCG@20"))

# %% [markdown]
# ## What the attacker knows
#
# A profile has two parts: the **target**, and **fillers** that decide *whose* neighbour the fake user becomes. The
# attacks differ only in the fillers.
#
# | attack | fillers | what the attacker must know |
# |---|---|---|
# | random | drawn uniformly from the catalogue | the catalogue |
# | average | drawn by popularity | every film's number of ratings |
# | bandwagon | half of them the most popular films, half random | the names of a few hits |
# | segment | the most popular films of the target's years | the hits, and each film's year |
# | recent | the most popular films of the last three years | the same |
# | gradient | those that raise the target most in a recommender of the attacker's own, the *surrogate* | all ratings |
# | generated | drawn from a model of real users | all ratings |
# | blended | half gradient, half generated | all ratings, and how the defender looks |
#
# The budget is the same for all: the number of accounts, and films per account. Whoever knows *all ratings* is an
# insider or has scraped public profiles.
#
# In the classical setting users give stars, and the average attack gives every filler its own mean rating (Lam and
# Riedl, 2004). Here there are no stars, only chosen or not, and what an average user still shows is *what is chosen
# how often*. The **segment** attack (Mobasher et al., 2007) aims at people who like one kind of film; the kind here is
# the time when it was made. Why the *recent* films should be worth trying you will see below.
#
# ### Exercise 12.2 · the bandwagon · 15 min · **
#
# Write the bandwagon's fillers. The head is the same in every profile: the `popular` most popular films. The rest
# comes from `orders`, where each account has all film ids in a random order of its own. Nothing may stand twice, and
# nothing from `avoid`. The target is not part of it; it takes the last filler's place later, which keeps a **control**
# possible: the same accounts without the target.


# %% tags=["exercise"]
def bandwagon_profiles(popularity, orders, *, length, popular, avoid):
    """Return one row of film ids for each account: the head, most popular first, then fillers in the given order.

    popularity: [films], ties go to the smaller id.  orders: [accounts, films], random orders of all ids.
    length: films in a profile.  popular: films in its head.  avoid: ids that no profile may hold.
    Returns an array of ids, [accounts, length].
    """
    # BEGIN SOLUTION
    ranking = np.argsort(-popularity, kind="stable")
    head = ranking[~np.isin(ranking, avoid)][:popular]
    taken = np.concatenate([head, avoid])
    rest = [order[~np.isin(order, taken)][: length - popular] for order in orders]
    return np.array([np.concatenate([head, fillers]) for fillers in rest])
    # END SOLUTION


bandwagon_profiles = exercise("12.2").check(bandwagon_profiles)

# %%
rng = np.random.default_rng(SEED)
orders = rng.permuted(np.tile(np.arange(movies.n_items), (N_FAKE, 1)), axis=1)
years = movies.items["year"].fill_null(0).to_numpy().astype(int)
settings = {"length": LENGTH, "avoid": TARGETS, "seed": SEED}


def same_time(film):
    """True for films of this film's year, and of as many years around it as make twice a profile."""
    apart = np.abs(years - years[film])
    return apart <= np.sort(apart)[2 * LENGTH]


fillers = {
    "random": profiles.random_profiles(train, N_FAKE, **settings),
    "average": profiles.average_profiles(train, N_FAKE, **settings),
    "bandwagon": bandwagon_profiles(popularity, orders, length=LENGTH, popular=LENGTH // 2, avoid=TARGETS),
    "segment": {
        t: profiles.segment_profiles(popularity, same_time(t), N_FAKE, length=LENGTH, avoid=TARGETS) for t in TARGETS
    },
    "recent": profiles.segment_profiles(popularity, years > years.max() - 3, N_FAKE, length=LENGTH, avoid=TARGETS),
}

# %% [markdown]
# ## Push
#
# **Question.** 47 accounts, five percent, and a film that hardly anybody has rated. In how many of the real users'
# first fifty will it be? Write down a number for each of the first five rows of the table.
#
# `profiles.with_target` puts the target in place of the last filler, `profiles.inject` appends the profiles to the
# training data as new users. Then the recommender is trained, from the start. BPR takes longest, so it meets fewer
# attacks: of the five here the *average* and the *recent* profiles.


# %%
def push(recommend, made, *, with_target=True):
    """Train with fake users and measure; `made` are fillers, the same for all targets or a dict with a set for each."""
    rows = []
    for t in TARGETS:
        own = made[t] if isinstance(made, dict) else made
        known = profiles.inject(train, profiles.with_target(own, t) if with_target else own)
        scores = recommend(known)
        rows.append({**measure(scores, known, [t]), "NDCG@20": np.array([quality(scores)])})
    return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}


for attack, made in fillers.items():
    for name, recommend in RECOMMENDERS.items():
        if name != "BPR" or attack in ("average", "recent"):
            pushed[attack, name] = push(recommend, made)


def overview(attacks, names):
    """A row for every attack: HR@50 and place in these recommenders, and how much of NDCG@20 is left in the worst."""
    rows = []
    for attack in attacks:
        row = {"attack": attack}
        for name in names:
            tried = (attack, name) in pushed
            row |= {f"{name} {key}": effect(attack, name, key) if tried else None for key in ("HR@50", "place")}
        kept = [effect(attack, n, "NDCG@20") / effect("none", n, "NDCG@20") for n in names if (attack, n) in pushed]
        rows.append({**row, "NDCG@20 kept (%)": 100 * min(kept)})
    return rows


# %% tags=["nbval-ignore-output"]
classical = ("random", "average", "bandwagon")
claim(
    "in ItemKNN recent films reach at least three times the HR@50 of random, average and bandwagon",
    effect("recent", "ItemKNN") > 3 * max(effect(attack, "ItemKNN") for attack in classical),
)
claim(
    "average profiles at least halve the target's place in BPR",
    effect("average", "BPR", "place") < effect("none", "BPR", "place") / 2,
)
claim(
    "in ItemKNN random profiles throw their own target back",
    effect("random", "ItemKNN", "place") > effect("none", "ItemKNN", "place"),
)
claim(
    "no attack costs the real users a twentieth of NDCG@20",
    all(found["NDCG@20"].mean() > 0.95 * effect("none", name, "NDCG@20") for (_, name), found in pushed.items()),
)
plots.table(overview(("none", *fillers), RECOMMENDERS), digits=1)

# %% [markdown]
# ## Why so little?
#
# Average and bandwagon profiles carry the film hundreds of places up and still show it to few. It now has as many
# ratings as an ordinary film, and ordinary films are seldom in a first fifty. Random ones do not even that, and in
# ItemKNN they do harm: the target's audience grows by people who share nothing with anyone, and its similarities
# shrink. In ItemKNN profiles of one kind of film (*segment*, *recent*) get further, with no more knowledge than a film
# guide gives; in EASE they are no further than the bandwagon. The real users lose little: NDCG@20 keeps more than
# nineteen twentieths. But what works best here costs most, and a dashboard may show that.
#
# If you guessed large numbers, you may have read papers about **stars**.
#
# **Question.** The same 47 accounts give the target five stars. What happens to a list that is sorted by mean rating,
# damped as film sites do it, with ten imagined ratings of average height for every film? And, as the control, to a
# list that is sorted by the *number* of ratings? Both are the same for everybody, up to the films that a user has.

# %%
film, stars = movies.ratings["item"].to_numpy(), movies.ratings["rating"].to_numpy()
VOTES = np.bincount(film, minlength=movies.n_items)
TOTAL = np.bincount(film, weights=stars, minlength=movies.n_items)


def one_list(n_fake, *, by):
    """HR@50 (%) of the targets in one list for all, after n_fake ratings of five stars for each."""
    found = []
    for t in TARGETS:
        fake = n_fake * (np.arange(movies.n_items) == t)
        votes, total = VOTES + fake, TOTAL + 5 * fake
        score = votes if by == "number" else (total + 10 * stars.mean()) / (votes + 10)
        found.append(target_hit_ratio(np.tile(score, (N_REAL, 1)), train.table(), t, n_real=N_REAL, k=50))
    return 100 * np.mean(found)


lists = [{"fake users": n, **{f"by {by}": one_list(n, by=by) for by in ("stars", "number")}} for n in (0, *COUNTS)]
claim("5 % of fake users put the target into everybody's first fifty by stars", lists[-1]["by stars"] > 99)
claim("without them, or by number, it is in nobody's", lists[0]["by stars"] == lists[-1]["by number"] == 0)
plots.table(lists, digits=2)

# %% [markdown]
# *Takeaway:* what an account can do depends on what is counted. A mean of few votes is at the mercy of the next
# voters; a number of choices has to be outnumbered. When a paper says that a few percent of fake profiles take over a
# recommender, look up which of the two it attacks.
#
# ## Through the training, by gradient
#
# **Question.** These fillers are guesses. Which fillers *should* an attacker choose who knows all ratings?
#
# What the attacker wants depends on the fake rows through the recommender's whole training:
#
# $$\max_F \; \text{hits}\big(\theta^*(F)\big), \qquad \theta^*(F) = \text{the model trained on real rows and } F .$$
#
# Li et al. (2016) differentiated through the training of a matrix factorisation, and Tang, Wen and Wang (2020) did so
# exactly, step by step. There is a recommender for which "exactly" is one line: EASE, whose training is a formula. Let
# $X$ be the table of the real users, [943, 1682], with $x_{ui} = 1$ where user $u$ has film $i$, and $I$ the identity.
# EASE needs $P = (X^\top X + \lambda I)^{-1}$, [1682, 1682]; $\lambda = 500$ is its regularisation, the value that
# lesson 01 used. The $m$ fake rows $F$, [m, 1682], change it to
#
# $$P' = P - P F^\top (I + F P F^\top)^{-1} F P, \qquad s_{ut} = -\sum_{i \ne t} x_{ui} \, P'_{it} / P'_{tt},$$
#
# where $s_{ut}$ is user $u$'s score of the target $t$: a small $m \times m$ system and no retraining. This is the
# **surrogate**: the attacker's own model, at home. `poisoned_weights` returns the column $-P'_{it} / P'_{tt}$.


# %% tags=["pytorch"]
def poisoned_weights(inverse, fake, target):
    """EASE's weights towards the target, [films], trained with the rows `fake`, [m, films], as well."""
    seen = fake @ inverse
    small = torch.eye(len(fake), device=fake.device) + seen @ fake.T
    column = inverse[:, target] - seen.T @ torch.linalg.solve(small, seen[:, target])
    weights = -column / column[target]
    return weights * (torch.arange(len(weights), device=fake.device) != target)


# %% tags=["tensorflow"]
def poisoned_weights(inverse, fake, target):
    """EASE's weights towards the target, [films], trained with the rows `fake`, [m, films], as well."""
    seen = fake @ inverse
    small = tf.eye(len(fake)) + seen @ tf.transpose(fake)
    change = tf.transpose(seen) @ tf.linalg.solve(small, seen[:, target, None])
    column = inverse[:, target] - change[:, 0]
    weights = -column / column[target]
    return tf.where(tf.range(len(weights)) == target, 0.0, weights)


# %%
# Is the formula the training? Compare it with EASE trained anew on all accounts.
target = int(TARGETS[0])
known = profiles.inject(train, profiles.with_target(fillers["average"], target))
fake_rows = advrec.tensor(known.table()[N_REAL:].astype(np.float32))
by_formula = advrec.numpy(poisoned_weights(advrec.tensor(INVERSE), fake_rows, target))
trained = baselines.ease_scores(known)[:N_REAL, target]
claim(
    "the formula gives the target's scores of a newly trained EASE to a thousandth of the largest",
    np.abs(train.table() @ by_formula - trained).max() < 1e-3 * np.abs(trained).max(),
)

# %% [markdown]
# Now let $F$ hold numbers between 0 and 1, a *relaxed* profile, and take the gradient of a soft hit ratio: for every
# user without the target, $\sigma\big((s_{ut} - c_u) / \tau\big)$, where $c_u$ is the user's fiftieth score before the
# attack. It is a step from 0 to 1 at the border of the list, made soft so that it has a slope; $\tau = 0.05$ is its
# width, in units of the score.
#
# How do you move whole rows without leaving the budget? Each row sums to its length. Over such rows a linear function
# is largest at whole profiles, those with a 1 at the films of the largest gradient. So each step goes a share of the
# way towards *them*: the **conditional gradient** of Frank and Wolfe (1956). The search below starts from the average
# attack's rows. The shares are $2/2$, $2/3$, $2/4$ and so on, and the target itself stays in every row.
#
# ### Exercise 12.3 · a step that keeps the budget · 15 min · ***
#
# Write one such step for all rows. Both arrays are NumPy's; the notebook puts the target back afterwards.


# %% tags=["exercise"]
def search_step(rows, gradient, *, share, length, avoid):
    """Return the rows, moved a share of the way to the whole profiles that raise the aim most.

    rows: NumPy array [accounts, films], entries from 0 to 1; every row sums to length.  gradient: the same shape, of
    the aim with respect to rows; larger is better.  share: 0 to 1.  length: films in a profile.  avoid: ids that the
    whole profiles may not hold.  Returns a new array; rows and gradient stay as they are.
    """
    # BEGIN SOLUTION
    liked = gradient.copy()
    liked[:, avoid] = -np.inf
    best = np.zeros_like(rows)
    np.put_along_axis(best, np.argsort(-liked, axis=1)[:, :length], 1, axis=1)
    return rows + share * (best - rows)
    # END SOLUTION


search_step = exercise("12.3").check(search_step)

# %%
asked = train.table()[~train.table()[:, target]]  # users without the target, [users, films]
before = asked @ baselines.ease_weights(INVERSE)
border = advrec.tensor(np.sort(np.where(asked, -np.inf, before), axis=1)[:, -50])
audience, inverse = advrec.tensor(asked.astype(np.float32)), advrec.tensor(INVERSE)


# %% tags=["pytorch"]
def soft_hits(rows):
    """Soft share of users whose first fifty the target enters, as a function of the fake rows."""
    scores = audience @ poisoned_weights(inverse, rows, target)
    return torch.sigmoid((scores - border) / 0.05).mean()


# %% tags=["tensorflow"]
def soft_hits(rows):
    """Soft share of users whose first fifty the target enters, as a function of the fake rows."""
    scores = tf.linalg.matvec(audience, poisoned_weights(inverse, rows, target))
    return tf.reduce_mean(tf.sigmoid((scores - border) / 0.05))


# %%
rows, course = np.array(advrec.numpy(fake_rows)), []
for number in range(SIZES["steps"]):
    value, gradient = advrec.value_and_grad(soft_hits, advrec.tensor(rows))
    course.append(100 * float(value))
    rows = search_step(rows, advrec.numpy(gradient), share=2 / (number + 2), length=LENGTH - 1, avoid=TARGETS)
    rows[:, target] = 1
    rows = rows.astype(np.float32)
print("median of the borders c_u:", round(float(np.median(advrec.numpy(border))), 2))
print("soft hit ratio (%), step by step:", np.round(course, 1))


# %% [markdown]
# `advrec.gradient_profiles` does the same for every target, and keeps the best whole profiles that it meets.
#
# ## Made by a generator
#
# The gradient does not ask whether its profiles look like people. A generator asks nothing else. Lin et al. (2020) use
# a GAN; here a **variational autoencoder** (Liang et al., 2018) is trained on the real rows.

# %%
fillers["gradient"] = {
    t: advrec.gradient_profiles(train, N_FAKE, target=int(t), inverse=INVERSE, k=50, steps=SIZES["steps"], **settings)
    for t in TARGETS
}
fillers["generated"] = advrec.generated_profiles(train, N_FAKE, steps=SIZES["generator"], **settings)
for attack in ("gradient", "generated"):
    for name, recommend in RECOMMENDERS.items():
        pushed[attack, name] = push(recommend, fillers[attack])
for name in ("ItemKNN", "EASE"):  # the control: the same fillers alone
    pushed["gradient, no target", name] = push(RECOMMENDERS[name], fillers["gradient"], with_target=False)


def first(made, n):
    """The first n profiles."""
    return {t: rows[:n] for t, rows in made.items()} if isinstance(made, dict) else made[:n]


ATTACKS = ("random", "average", "bandwagon", "generated", "segment", "recent", "gradient")
fewer = {
    (attack, n): push(RECOMMENDERS["ItemKNN"], first(fillers[attack], n)) for attack in ATTACKS for n in COUNTS[:-1]
}

# %%
GUESS = {"color": plots.RANDOM}
LOOK = {
    "random": {**GUESS, "linestyle": ":", "marker": "s"},
    "average": {**GUESS, "linestyle": "-.", "marker": "P"},
    "bandwagon": {**GUESS, "linestyle": "--", "marker": "x"},
    "generated": {"color": plots.FAKE, "linestyle": "--", "marker": "v"},
    "segment": {"color": "black", "linestyle": ":", "marker": "o"},
    "recent": {"color": "black", "linestyle": "-", "marker": "*", "markersize": 8},
    "gradient": {"color": plots.ATTACKED, "linestyle": "-", "marker": "^"},
    "blended": {"color": plots.EXTRA, "linestyle": "-.", "marker": "D"},
}


def points(axis, attacks, key="HR@50"):
    """Draw the mean over the targets, with a line from the least to the largest."""
    for place, attack in enumerate(attacks):
        tried = [k for k, name in enumerate(RECOMMENDERS) if (attack, name) in pushed]
        x = np.array(tried) + 0.12 * (place - (len(attacks) - 1) / 2)
        found = [pushed[attack, list(RECOMMENDERS)[k]][key] for k in tried]
        axis.vlines(x, [f.min() for f in found], [f.max() for f in found], color=LOOK[attack]["color"], alpha=0.5)
        axis.plot(x, [f.mean() for f in found], **{**LOOK[attack], "linestyle": ""}, label=attack)
    axis.set_xticks(range(len(RECOMMENDERS)), RECOMMENDERS)


# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "Most guesses move the place; recent hits and the gradient bring the film into view", columns=2, size=(11.5, 4.2)
)
for attack in ATTACKS:
    places = [fewer[attack, n]["place"].mean() for n in COUNTS[:-1]]
    places = [effect("none", "ItemKNN", "place"), *places, effect(attack, "ItemKNN", "place")]
    axes[0].plot([0, 1, 5], places, **LOOK[attack])
axes[0].invert_yaxis()
plots.label(axes[0], x="fake users (% of the real ones)", y="median place of the target", title="ItemKNN")
points(axes[1], ATTACKS)
plots.label(axes[1], x="", y="HR@50 (%), mean and range of the targets", title="5 % fake users", legend=True)

rows = overview(("none", "segment", "recent", "gradient", "generated"), RECOMMENDERS)
for row in rows:
    row |= {
        "largest HR@10": max(effect(row["attack"], n, "HR@10") for n in RECOMMENDERS if (row["attack"], n) in pushed)
    }
    del row["NDCG@20 kept (%)"]
plots.table(rows, digits=2)

# %%
guesses = ("random", "average", "bandwagon", "generated")
claim(
    "the gradient reaches a higher HR@50 than random to generated profiles, over one and a half times outside BPR",
    all(
        effect("gradient", n) > (1 if n == "BPR" else 1.5) * effect(a, n)
        for a in guesses
        for n in RECOMMENDERS
        if (a, n) in pushed
    ),
)
claim(
    "in EASE it also reaches over one and a half times that of recent films",
    effect("gradient", "EASE") > 1.5 * effect("recent", "EASE"),
)
claim("in ItemKNN it does not reach twice that", effect("gradient", "ItemKNN") < 2 * effect("recent", "ItemKNN"))
claim(
    "without the target, the same profiles leave HR@50 below 1 %",
    all(effect("gradient, no target", n) < 1 for n in ("ItemKNN", "EASE")),
)
claim("HR@50 of the target, gradient, ItemKNN (%)", effect("gradient", "ItemKNN"))
claim("HR@50 of the target, gradient, EASE (%)", effect("gradient", "EASE"))
claim("BPR: the gradient's gain is above the noise of retraining", effect("gradient", "BPR") > wobble + 1)
claim("even so, HR@10 stays below 3 %", all(effect("gradient", n, "HR@10") < 3 for n in RECOMMENDERS))

# %% [markdown]
# *Takeaway:* of these, the gradient's profiles go furthest, and they **transfer**: found on EASE, they work on
# recommenders that the attacker never saw. HR@50 tells it so. The median place tells it differently: in BPR, generated
# profiles lift the target higher for the median user, and show it to hardly anybody. And look at the ranges: the target
# matters, too.
#
# How much of that is the gradient? What do its profiles look like? For each target, the share of their films that some
# simple lists hold as well:

# %%
rows = []
for t in TARGETS:
    held = np.unique(fillers["gradient"][t])
    simple = {
        "most popular (%)": np.argsort(-popularity, kind="stable")[:LENGTH],
        "its segment (%)": fillers["segment"][t],
        "recent (%)": fillers["recent"],
        "first target's (%)": fillers["gradient"][TARGETS[0]],
    }
    shares = {name: 100 * np.isin(held, films).mean() for name, films in simple.items()}
    rows.append({"target": titles[t], "films in all profiles": len(held), **shares})
for t in TARGETS:
    print(f"{titles[t]}:", "; ".join(titles[i] for i in fillers["gradient"][t][0][:6]), "...")
plots.table(rows, digits=0)

# %% [markdown]
# All accounts of an attack hold almost the same list, and all targets have almost the same one, whatever their year;
# many of its films are recent hits. It seems that the gradient looks for people who can be won, not for those who like
# films like the target. That is the row *recent* of the table: without any gradient it does more than half of the work
# in ItemKNN, much less in EASE and in BPR. Part of what all those ratings buy is to know which group to aim at.
#
# ## Trap: an evaluation that fools itself
#
# **Question.** Somebody reports that the same attack on EASE reaches the first **ten** of nearly five percent of all
# users. You measured next to nothing. The program is the one below; what does it count?

# %% tags=["nbval-ignore-output"]
known = profiles.inject(train, profiles.with_target(fillers["gradient"][target], target))
owned, scores = known.table(), ease(known)

hidden = owned.copy()
hidden[:, target] = False  # so that the target is a candidate for everybody
ahead = (np.where(hidden, -np.inf, scores) > scores[:, [target]]).sum(axis=1)
trap = {
    "all accounts": 100 * np.mean(ahead < 10),
    "the fake accounts alone": 100 * np.mean(ahead[N_REAL:] < 10),
    "real users without the target": 100 * target_hit_ratio(scores, owned, target, n_real=N_REAL, k=10),
}
claim(
    "the careless average is at least three points above the honest one",
    trap["all accounts"] > trap["real users without the target"] + 3,
)
plots.table([{"average over": who, "HR@10 of the target (%)": value} for who, value in trap.items()], digits=2)

# %% [markdown]
# The fake users are shown their own target, and they are 47 of 990 accounts. *Takeaway:* count real users without the
# target, fix the settings before you look, and compare with a model that was **trained anew**.
#
# ## Nuke
#
# **Question.** A competitor wants a popular film *gone*. An account cannot say "I do not like it": in implicit feedback
# there is no such click. What is left?
#
# The fake users take the films that share the victim's audience, its **cohort**, all but the victim. They raise its
# companions, and they teach the recommender that people with this taste do *not* choose it. The victims are drawn,
# again beforehand, from the films with 180 to 260 ratings. The control: as many fake users with fillers drawn by
# popularity.
#
# ### Exercise 12.4 · predict: push or nuke? · 5 min · *
#
# One yardstick for both: by how many percentage points HR@k of the film changes, among the real users who do not have
# it. The accounts are the same, 5 %. Which moves more, pushing an unknown film by gradient or burying a popular one,
# in ItemKNN and EASE?
#
# - **a**: pushing, in the first ten and in the first fifty;
# - **b**: burying in the first ten, pushing in the first fifty;
# - **c**: burying, in the first ten and in the first fifty.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b" or "c".
# BEGIN SOLUTION
prediction = "b"
# END SOLUTION
prediction = exercise("12.4").check(prediction)

# %%
VICTIMS = profiles.target_items(train, SIZES["targets"], low=180, high=260, seed=SEED)
crowd = profiles.average_profiles(train, N_FAKE, length=LENGTH, avoid=VICTIMS, seed=SEED)


def mean(found):
    """HR@10 and HR@50, the mean over the victims."""
    return {key: np.mean([row[key].mean() for row in found]) for key in ("HR@10", "HR@50")}


def nuke(recommend):
    """The victims' hit ratios with the cohort of each raised, and with the control's fake users."""
    raised = []
    for v in VICTIMS:
        known = profiles.inject(train, np.tile(profiles.cohort(train, int(v), LENGTH), (N_FAKE, 1)))
        raised.append(measure(recommend(known), known, [v]))
    known = profiles.inject(train, crowd)
    return mean(raised), mean([measure(recommend(known), known, VICTIMS)])


victims_again = [measure(scores, train, VICTIMS) for scores in again]
moved = {}  # change in points, by kind, recommender and measure
for name, recommend in RECOMMENDERS.items():
    trained = victims_again if name == "BPR" else [measure(clean_scores[name], train, VICTIMS)]
    raised, usual = nuke(recommend)
    for key, before in mean(trained).items():
        moved["nuke", name, key], moved["control", name, key] = raised[key] - before, usual[key] - before
        moved["push", name, key] = effect("gradient", name, key) - effect("none", name, key)
        moved["noise", name, key] = [found[key].mean() - before for found in trained]

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "ItemKNN, EASE: burying moves the first ten more, pushing the first fifty", columns=2, size=(11, 3.8), sharey=True
)
kinds = {"push": plots.ATTACKED, "nuke": "black", "control": plots.RANDOM}
labels = {"push": "push, by gradient", "nuke": "nuke, by cohort", "control": "control of the nuke"}
for axis, key in zip(axes, ("HR@10", "HR@50")):
    for shift, (kind, colour) in enumerate(kinds.items()):
        x = np.arange(3) + 0.27 * (shift - 1)
        heights = [moved[kind, name, key] for name in RECOMMENDERS]
        axis.bar(x, heights, width=0.25, color=colour, label=labels[kind])
        for place, value in zip(x, heights):
            axis.annotate(f"{value:+.1f}", (place, max(value, 0)), ha="center", va="bottom", fontsize=8)
    noise = moved["noise", "BPR", key]
    axis.fill_between(
        [-0.45, 0.45], min(noise), max(noise), color=plots.CLEAN, alpha=0.35, label="victims, BPR retrained", zorder=0
    )
    axis.set_xticks(range(3), RECOMMENDERS)
    plots.label(axis, x="", y="change (points)" if key == "HR@10" else "", title=key, legend=key == "HR@50")

# %%
two = ("ItemKNN", "EASE")
claim(
    "in the first ten, burying moves more than pushing",
    all(-moved["nuke", n, "HR@10"] > 2 * moved["push", n, "HR@10"] for n in two),
)
claim(
    "in the first fifty, pushing moves more than burying",
    all(moved["push", n, "HR@50"] > 2 * abs(moved["nuke", n, "HR@50"]) for n in two),
)
claim(
    "in the first ten, the control's fake users change less than half as much as the cohort's",
    all(abs(moved["control", n, "HR@10"]) < 0.5 * -moved["nuke", n, "HR@10"] for n in two),
)

# %% [markdown]
# *Takeaway:* what cannot be said can still be done. But which is easier has no answer without $k$. To climb into the
# first ten, an unknown film has to pass hundreds of others; to fall out of it, a few have to pass. In the first fifty
# the pushed film arrives, and most lists keep the popular one. Whoever reports one $k$ has chosen the verdict. In BPR
# look at the blue band first: how much the *victims* move when BPR is trained anew without an attack. It judges the
# black and the grey bar: a black one inside it, or one that the control matches, is no finding. It does not judge the
# push, whose targets hardly moved when BPR was trained anew (above).
#
# ## What can the defender see?
#
# **Question.** The defender has the accounts and no labels. Which numbers would you compute from a profile?
#
# Two are usual: the mean **popularity** of its films (on a logarithmic scale), and its **similarity** to its nearest
# neighbours, a cosine between profiles (Chirita, Nejdl and Zamfir, 2005). An account far from the usual, on either
# side, is suspicious. A third looks at all users together. Mehta and Nejdl (2009) compute the **principal
# components** (PCA) of the users' rows: the few directions of taste that most real people share in some measure. A
# profile that follows none of them is suspicious.
#
# How many accounts are flagged is a decision about people, not a result: how many may be checked by hand, or lose their
# say? We take 5 %.
#
# ### Exercise 12.5 · bug hunt: a detector that peeks · 15 min · **
#
# Here is a detector with an excellent score in its own notebook. It cannot be used in any shop. Find the two places
# where it knows what nobody knows, and write `flag` without them: distance from the **median** of the accounts, and
# a given `share` of them flagged.


# %%
def tutorial_flag(values, n_real):
    """Return which accounts are flagged as fake; values: one statistic of every account, real ones first."""
    usual = values[:n_real].mean()
    distance = np.abs(values - usual)
    n_fake = len(values) - n_real
    flagged = np.zeros(len(values), dtype=bool)
    flagged[np.argsort(-distance)[:n_fake]] = True
    return flagged


# %% tags=["exercise"]
def flag(values, *, share):
    """Return the accounts whose value lies farthest from the median of all, an array of truth values [accounts].

    values: one statistic of every account, [accounts], in any order.  share: how many to flag, as a share of the
    accounts; round(share * accounts) of them.
    """
    # BEGIN SOLUTION
    # No label: the centre comes from everybody, and the number of flags is a decision of the operator.
    distance = np.abs(values - np.median(values))
    flagged = np.zeros(len(values), dtype=bool)
    flagged[np.argsort(-distance)[: round(share * len(values))]] = True
    return flagged
    # END SOLUTION


flag = exercise("12.5").check(flag)

# %% [markdown]
# **Recall** is the share of the fake accounts that are flagged, **precision** the share of the flagged that are fake.
# Labels enter here and nowhere before.
#
# And an attacker who knows that somebody looks? That attacker takes half of the fillers from the gradient's profile,
# drawn anew for every account, and half from the generator's. We call these profiles **blended**.

# %%
BUDGET = 0.05
DETECTORS = ("popularity", "similarity", "PCA")
fillers["blended"] = {
    t: profiles.blended_profiles(rows, fillers["generated"], keep=LENGTH // 2, seed=SEED)
    for t, rows in fillers["gradient"].items()
}
for name, recommend in RECOMMENDERS.items():
    pushed["blended", name] = push(recommend, fillers["blended"])


def recalls(made):
    """Recall of every detector against these fillers with their target, in percent, the mean over targets."""
    found = {key: [] for key in DETECTORS}
    for t in TARGETS:
        own = made[t] if isinstance(made, dict) else made
        known = profiles.inject(train, profiles.with_target(own, t))
        flags = {key: flag(values, share=BUDGET) for key, values in detection.profile_statistics(known).items()}
        flags["PCA"] = detection.most_suspicious(detection.pca_suspicion(known), BUDGET)
        for key in DETECTORS:
            found[key].append(100 * flags[key][N_REAL:].mean())
    return {key: float(np.mean(values)) for key, values in found.items()}


caught = {attack: recalls(made) for attack, made in fillers.items()}

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "Copies are seen; the blend is not, and it pays for that mostly in ItemKNN",
    columns=2,
    size=(11.5, 4.2),
    width_ratios=(1, 1.2),
)
grid = np.array([[caught[attack][key] for key in DETECTORS] for attack in caught])
axes[0].imshow(grid, cmap="Greys", vmin=0, vmax=140, aspect="auto")
axes[0].grid(False)
for (row, column), value in np.ndenumerate(grid):
    axes[0].text(column, row, f"{value:.0f}", ha="center", va="center", color="white" if value > 70 else "black")
axes[0].set_xticks(range(len(DETECTORS)), DETECTORS)
axes[0].set_yticks(range(len(caught)), list(caught))
plots.label(axes[0], x="", y="", title="fake accounts flagged (%)")
points(axes[1], ("recent", "gradient", "blended"))
plots.label(axes[1], x="", y="HR@50 (%), mean and range", title="their effect, undefended", legend=True)

# %%
claim("PCA flags more than nine tenths of the random profiles", caught["random"]["PCA"] > 90)
claim("similarity flags more than nine tenths of the gradient's", caught["gradient"]["similarity"] > 90)
claim("no detector flags half of the blended profiles", max(caught["blended"].values()) < 50)
kept = {name: effect("blended", name) / effect("gradient", name) for name in RECOMMENDERS}
claim(
    "of the gradient's HR@50 the blend keeps more than three quarters on EASE, less on ItemKNN, over half on BPR",
    bool(kept["EASE"] > 0.75 > kept["ItemKNN"] and kept["BPR"] > 0.5),
)

# %% tags=["nbval-ignore-output"]
rows = []
for attack in ("gradient", "blended"):
    chosen = np.unique(fillers["gradient"][target])
    known = profiles.inject(train, profiles.with_target(fillers[attack][target], target))
    owned = known.table()
    weights = baselines.ease_weights(baselines.ease_update(INVERSE, owned[N_REAL:]))[chosen, target]
    together = owned[:, chosen].T.astype(float) @ owned[:, target]
    cosine = together / np.sqrt(owned[:, chosen].sum(axis=0) * owned[:, target].sum())
    rows.append({"attack": attack, "accounts with both": together.mean(), "EASE's weight": weights.mean()})
    rows[-1]["cosine"] = cosine.mean()
plots.table(rows)

# %% [markdown]
# *Takeaway:* no detector sees everything. Comparing profiles finds copies. PCA finds profiles that follow nobody, and
# passes the gradient's, which follow a direction of taste that real people share. Who reads off the best of the three
# per row has used the labels, and three detectors at 5 % may flag up to 15 %.
#
# The blend passes them all. What does that cost the attacker? Much on ItemKNN, where a cosine falls with the accounts
# that hold both films. On EASE little or nothing: its regression shares out the credit for the target among the films
# of an account, so half as many chosen films in each account earn nearly the same weight apiece. On BPR it
# gains at one seed and loses at the next. Test a detector against attacks that were made *with it in mind*.
#
# With as many flags as fake users, precision nearly equals recall. That is luck. Let the attack be smaller, or leave it
# out: `flag` still flags its share, while the tutorial's program is told how many to flag. (Without fakes the
# tutorial's program flags nobody; its 0 in the table stands for 0 of 0.) And if a shop shows flagged accounts popular
# films, who is flagged by mistake loses the list of their own.


# %%
def judged(attack, n):
    """Who is flagged by similarity, by `flag` and by the tutorial's program, when n fake users attack."""
    made = fillers[attack][target][:n]
    known = profiles.inject(train, profiles.with_target(made, target))
    likeness = detection.profile_statistics(known)["similarity"]
    found = {"fake users": n, "flagged": int(flag(likeness, share=BUDGET).sum())}
    for who, flags in (("flag", flag(likeness, share=BUDGET)), ("tutorial_flag", tutorial_flag(likeness, N_REAL))):
        found[f"precision of {who} (%)"] = 100 * detection.precision_recall(flags, n_real=N_REAL)[0]
    return found


precision = [judged("gradient", n) for n in (0, *COUNTS)]
quiet = flag(detection.profile_statistics(train)["similarity"], share=BUDGET)
served = {}
for who, scores in {
    "a list of their own": clean_scores["BPR"],
    "popular films": baselines.popularity_scores(train),
}.items():
    top = metrics.top_k(scores, 20, exclude=train)
    served[who] = float(np.nanmean(metrics.ndcg_per_user(top, split.test, 20)[quiet]))
print("nobody attacks; NDCG@20 of the 5 % flagged:", {who: round(value, 2) for who, value in served.items()})
claim("at 1 % of fake users most flagged accounts belong to real people", precision[1]["precision of flag (%)"] < 50)
claim("popular films serve the people who are flagged worse", served["popular films"] < served["a list of their own"])
plots.table(precision, digits=0)

# %% [markdown]
# ## What helps, and what it costs
#
# Two defences, each against the gradient's profiles and against the blended ones. Beside every row stands NDCG@20 of
# the real users, including those whom a defence throws out.
#
# - **filter**: flag 5 % by similarity, train BPR without them. Who is thrown out is served by popularity.
# - **alike count once**: nobody is thrown out. In EASE, account $u$ gets the weight $1 / \sum_v \cos(u, v)^8$, the
#   sum over all accounts, $u$ included. The power makes a cosine of 1 count fully and one of 0.5 hardly (1/256): an
#   original keeps its vote, and fifty copies share one.


# %%
def filtered_bpr(known):
    """BPR without the accounts that stand out by similarity; real ones among them are served by popularity."""
    flagged = flag(detection.profile_statistics(known)["similarity"], share=BUDGET)
    scores = np.array(bpr(detection.without_users(known, flagged)))
    scores[flagged] = popularity
    return scores


def weighted_ease(known):
    """EASE in which accounts that are alike count once."""
    inverse = baselines.ease_inverse(known, weights=detection.likeness_weights(known))
    return known.table() @ baselines.ease_weights(inverse)


DEFENCES = {"BPR, filtered": filtered_bpr, "EASE, alike count once": weighted_ease}
for name, recommend in DEFENCES.items():
    for attack in ("gradient", "blended"):
        pushed[attack, name] = push(recommend, fillers[attack])

# %% tags=["nbval-ignore-output"]
shown = ["BPR", "BPR, filtered", "EASE", "EASE, alike count once"]
fig, axes = plots.figure(
    "Comparing profiles stops copies; nothing here stops the blend", columns=2, size=(11.5, 4.2), sharey=True
)
for shift, attack in ((-0.18, "gradient"), (0.18, "blended")):
    y = np.arange(len(shown)) + shift
    found = [pushed[attack, name]["HR@50"] for name in shown]
    axes[0].barh(y, [f.mean() for f in found], height=0.34, color=LOOK[attack]["color"], label=attack)
    axes[0].hlines(y, [f.min() for f in found], [f.max() for f in found], color="black", linewidth=1)
    for place, f in zip(y, found):
        axes[0].annotate(f"{f.mean():.1f}", (f.max() + 0.5, place), va="center", fontsize=8)
    kept = [100 * effect(attack, name, "NDCG@20") / effect("none", name.split(",")[0], "NDCG@20") for name in shown]
    axes[1].plot(kept, y, **{**LOOK[attack], "linestyle": ""}, label=attack)
axes[1].axvline(100, color=plots.CLEAN, label="undefended, no attack")
axes[0].set_yticks(range(len(shown)), shown)
axes[0].invert_yaxis()
axes[0].set_xlim(0, 1.4 * axes[0].get_xlim()[1])  # room for the legend
plots.label(axes[0], x="HR@50 of the target (%), mean and range", y="", legend=True)
plots.label(axes[1], x="NDCG@20 of the real users, kept (%)", y="", legend=True)

# %%
claim(
    "the two defences that compare profiles leave less than a fifth of the gradient's effect",
    effect("gradient", "EASE, alike count once") < 0.2 * effect("gradient", "EASE")
    and effect("gradient", "BPR, filtered") < 0.2 * effect("gradient", "BPR"),
)
claim(
    "counting alike accounts once costs less than a fiftieth of NDCG@20",
    effect("gradient", "EASE, alike count once", "NDCG@20") > 0.98 * effect("none", "EASE", "NDCG@20"),
)
claim(
    "against the blend it leaves more than half",
    effect("blended", "EASE, alike count once") > 0.5 * effect("blended", "EASE"),
)

# %% [markdown]
# *Takeaway:* both defences remove the copies, one by throwing people out, the other by not counting copies twice.
# Neither stops the blend. There the filter throws out mostly real people, and pays for that in NDCG@20 with nothing to
# show for it; counting alike accounts once costs little.
#
# What is left for the blend? Things outside the rating table, such as when accounts were opened and what one costs.
#
# ## What can go wrong
#
# - **Few targets, one catalogue.** The ranges in the figures are those of a few films; another draw may lie outside.
#   Where items have a handful of clicks each, the same accounts may reach further.
# - **A surrogate is a guess.** That EASE's profiles transfer to BPR and ItemKNN here does not mean that they transfer
#   everywhere. And an attacker rarely has all ratings.
# - **A stopped search is no proof.** The gradient search finds good rows, not the best ones. A defence that survives
#   these profiles has survived these profiles.
#
# **Misuse.** Fake accounts that push or bury a work harm its makers, its rivals and everyone who trusts the list; in
# many countries they are unlawful, and everywhere they break the rules of the site. Detection can harm too: its false
# alarms are people who lose their voice without being told. Run these attacks on data sets and on systems that are
# yours. When you find a hole in somebody else's, tell the owner first.
#
# ## What we learned
#
# - What an account can do depends on what is counted: a mean of few stars is easily moved, a number of choices is not.
# - Most ready-made profiles move an unknown film far and hardly into view. Recent hits do better in ItemKNN,
#   profiles found by a surrogate's training best, and they transfer.
# - In ItemKNN and EASE burying moves the first ten more, pushing the first fifty: no verdict without $k$.
# - A detector flags people when nobody attacks, and is passed by a blend that was made against it.
# - Counting alike accounts once stops copies at little cost. Nothing here stopped the attacker who knew the defence.
#
# **Next:** lesson 13, where the attacker edits the picture.
#
# ## Further reading
#
# - Shyong K. Lam, John Riedl: *Shilling Recommender Systems for Fun and Profit*. WWW 2004. Random and average attacks,
#   on stars.
# - Bamshad Mobasher, Robin Burke, Runa Bhaumik, Chad Williams: *Toward Trustworthy Recommender Systems: An Analysis of
#   Attack Models and Algorithm Robustness*. ACM Transactions on Internet Technology 7 (4), 2007. The segment attack.
# - Bo Li, Yining Wang, Aarti Singh, Yevgeniy Vorobeychik: *Data Poisoning Attacks on Factorization-Based Collaborative
#   Filtering*. NIPS 2016. The gradient through the training.
# - Jiaxi Tang, Hongyi Wen, Ke Wang: *Revisiting Adversarially Learned Injection Attacks Against Recommender Systems*.
#   RecSys 2020. The exact gradient, the surrogate, and transfer.
# - Chen Lin, Si Chen, Hui Li, Yanghua Xiao, Lianyun Li, Qian Yang: *Attacking Recommender Systems with Augmented User
#   Profiles*. CIKM 2020. Profiles made by a GAN.
# - Paul-Alexandru Chirita, Wolfgang Nejdl, Cristian Zamfir: *Preventing Shilling Attacks in Online Recommender
#   Systems*. WIDM 2005. Statistics of a profile.
# - Bhaskar Mehta, Wolfgang Nejdl: *Unsupervised Strategies for Shilling Detection and Robust Collaborative Filtering*.
#   User Modeling and User-Adapted Interaction 19, 2009. PCA.
# - Marguerite Frank, Philip Wolfe: *An Algorithm for Quadratic Programming*. Naval Research Logistics Quarterly 3,
#   1956. The conditional gradient.
# - Harald Steck: *Embarrassingly Shallow Autoencoders for Sparse Data*. WWW 2019. EASE.
# - Dawen Liang, Rahul G. Krishnan, Matthew D. Hoffman, Tony Jebara: *Variational Autoencoders for Collaborative
#   Filtering*. WWW 2018. The generator's model.
