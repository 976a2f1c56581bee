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

# %% [markdown]
# **You will be able to**
#
# - write the classical fake profiles, and one that a gradient through a recommender's training found;
# - measure an attack so that neither the fake users nor the noise of training flatter it;
# - look for fake accounts without labels, and say what a detector costs when nobody attacks;
# - name what an attack knows and spends before you compare it with another.

# %% tags=["pytorch"]
import numpy as np
import torch

from advrec_teach import baselines, claim, data, exercise, metrics, plots, poisoning, splits
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow"]
import numpy as np

from advrec_teach import baselines, claim, data, exercise, metrics, plots, poisoning, splits
from advrec_teach import tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"dim": 8, "epochs": 2, "targets": 1, "steps": 2, "generator": 5},
    "quick": {"dim": 64, "epochs": 25, "targets": 2, "steps": 10, "generator": 200},
    "full": {"dim": 128, "epochs": 40, "targets": 8, "steps": 30, "generator": 2000},
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
# **targets** are drawn from the films with 5 to 15 ratings in the training set. An attack has as many fake users as
# 1, 3 or 5 percent of the real ones, and every fake profile is as long as the median real one.

# %%
movies = data.movielens()
split = splits.holdout(movies.ratings, movies.n_users, movies.n_items, test_fraction=0.2, seed=SEED)
train = split.train
N_REAL = train.n_users
LENGTH = int(np.median(train.activity()))
TARGETS = poisoning.target_items(train, SIZES["targets"], low=5, high=15, seed=SEED)
COUNTS = [round(share * N_REAL) for share in (0.01, 0.03, 0.05)]
N_FAKE = COUNTS[-1]

# %% tags=["nbval-ignore-output"]
titles, popularity = movies.items["title"].to_numpy(), train.popularity()
print(f"{N_REAL} real users; {COUNTS} fake users with {LENGTH} films each")
for target in TARGETS:
    print(f"target: {titles[target]}, {popularity[target]} ratings")

# %% [markdown]
# Three recommenders from lesson 01 stand for three families: BPR learns vectors, ItemKNN compares the audiences of
# films, EASE solves one large ridge regression. Each of these functions trains on all accounts that it is given, the
# fake ones at the end, and returns the scores of the real users.


# %%
def bpr(known, *, seed=SEED):
    """Scores of the real users by BPR, trained on `known`."""
    model = advrec.BPRModel(known.n_users, known.n_items, dim=SIZES["dim"], seed=seed)
    advrec.fit_bpr(model, known, epochs=SIZES["epochs"], seed=seed)
    return advrec.numpy(model.score_all())[:N_REAL]


def item_knn(known):
    """Scores of the real users by ItemKNN."""
    return baselines.item_knn_scores(known)[:N_REAL]


INVERSE = poisoning.ease_inverse(train)  # of the real users alone; fake ones are added to it


def ease(known):
    """Scores of the real users by EASE."""
    inverse = poisoning.ease_update(INVERSE, known.table()[N_REAL:])
    return train.table() @ poisoning.ease_weights(inverse)


RECOMMENDERS = {"BPR": bpr, "ItemKNN": item_knn, "EASE": ease}


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

    scores: [accounts, films], larger is better.  owned: the same shape, True where the account has the film.
    target: a film's id.  n_real: the first n_real rows are real users.  k: length of the list.
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


# %%
def measure(scores, known, target):
    """HR@10 and HR@50 (%) and the median place of the target among real users without it."""
    owned = known.table()
    ranks = poisoning.target_ranks(scores, owned, target, n_real=N_REAL)
    hits = {f"HR@{k}": 100 * target_hit_ratio(scores, owned, target, n_real=N_REAL, k=k) for k in (10, 50)}
    return {**hits, "place": float(np.median(ranks[ranks >= 0])) + 1}


def quality(scores):
    """NDCG@20 of the real users."""
    return metrics.ndcg(metrics.top_k(scores, 20, exclude=train), split.test, 20)


def average(rows):
    """The mean of every number over the targets."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


clean_scores = {name: recommend(train) for name, recommend in RECOMMENDERS.items()}
clean = {
    name: {**average([measure(scores, train, t) for t in TARGETS]), "NDCG@20": quality(scores)}
    for name, scores in clean_scores.items()
}

# %% [markdown]
# One more thing moves a target: chance. Train BPR again on the same data with another seed, and every film changes
# its place a little. An attack has to beat that.

# %%
again = [bpr(train, seed=SEED + 1000 + k) for k in range(2)]
retrained = [average([measure(scores, train, t) for t in TARGETS]) for scores in (clean_scores["BPR"], *again)]
wobble = max(row["HR@50"] for row in retrained)

# %% tags=["nbval-ignore-output"]
rows = [{"recommender": name, **row} for name, row in clean.items()]
rows += [{"recommender": "BPR, another seed", **row, "NDCG@20": quality(s)} for row, s in zip(retrained[1:], again)]
plots.table(rows)

# %%
claim(
    "before any attack the targets are in the first ten of fewer than one user in two hundred",
    all(row["HR@10"] < 0.5 for row in clean.values()),
)
claim("training anew brings no target into the first fifty of one user in a hundred", wobble < 1)
claim("ndcg@20 of BPR, not attacked", clean["BPR"]["NDCG@20"])
claim("ndcg@20 of EASE, not attacked", clean["EASE"]["NDCG@20"])

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
# | gradient | those that raise the target most in a surrogate recommender | all ratings |
# | generated | drawn from a model of real users | all ratings |
# | copied | cut from a real user's profile | some real profiles |
# | blended | half gradient, half generated | all ratings, and how the defender looks |
#
# The budget is the same for all: the number of accounts, and films per account. Whoever knows *all ratings* is an
# insider or has scraped public profiles; keep that in mind when you compare rows.
#
# **The average attack is not what it was.** In the classical setting users give stars, and the average attack gives
# every filler its own mean rating, so that the fake user agrees with everybody (Lam and Riedl, 2004). Here there are
# no stars, only chosen or not. What an average user still shows is *what is chosen how often*, so the fillers are
# drawn by popularity.
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
settings = {"length": LENGTH, "avoid": TARGETS, "seed": SEED}
fillers = {
    "random": poisoning.random_profiles(train, N_FAKE, **settings),
    "average": poisoning.average_profiles(train, N_FAKE, **settings),
    "bandwagon": bandwagon_profiles(popularity, orders, length=LENGTH, popular=LENGTH // 2, avoid=TARGETS),
}

# %% [markdown]
# ## Push
#
# **Question.** 47 accounts, five percent, and a film that ten people have rated. In how many of the real users' first
# ten will it be? Write down a number.
#
# `poisoning.with_target` puts the target in place of the last filler, `poisoning.inject` appends the profiles to the
# training data as new users. Then the recommender is trained, from the start.


# %%
def push(name, profiles, *, with_target=True):
    """Train with fake users and measure; `profiles` are the fillers, the same for all targets or one set for each."""
    rows = []
    for t in TARGETS:
        own = profiles[t] if isinstance(profiles, dict) else profiles
        known = poisoning.inject(train, poisoning.with_target(own, t) if with_target else own)
        scores = RECOMMENDERS[name](known)
        rows.append({**measure(scores, known, t), "NDCG@20": quality(scores)})
    return average(rows)


pushed = {(attack, name): push(name, rows) for attack, rows in fillers.items() for name in RECOMMENDERS}
control = {name: push(name, fillers["average"], with_target=False) for name in ("ItemKNN", "EASE")}

# %% tags=["nbval-ignore-output"]
rows = [{"attack": "none", "recommender": name, **row} for name, row in clean.items()]
rows += [{"attack": "average, no target", "recommender": name, **row} for name, row in control.items()]
rows += [{"attack": attack, "recommender": name, **row} for (attack, name), row in pushed.items()]
plots.table(rows, digits=3)

# %%
classical = ("random", "average", "bandwagon")
claim(
    "at 5 % no classical attack brings the target into the first ten of one user in a hundred",
    all(pushed[attack, name]["HR@10"] < 1 for attack in classical for name in RECOMMENDERS),
)
claim(
    "yet average profiles at least halve its place in BPR",
    pushed["average", "BPR"]["place"] < clean["BPR"]["place"] / 2,
)
claim(
    "in ItemKNN random profiles throw their own target back",
    pushed["random", "ItemKNN"]["place"] > clean["ItemKNN"]["place"],
)
claim(
    "the same accounts without the target leave its place in EASE within a tenth",
    abs(control["EASE"]["place"] / clean["EASE"]["place"] - 1) < 0.1,
)
claim(
    "no attack costs the real users a twentieth of NDCG@20",
    all(row["NDCG@20"] > 0.95 * clean[name]["NDCG@20"] for (_, name), row in pushed.items()),
)

# %% [markdown]
# ## Why so little?
#
# Hundreds of places up, and still hardly anybody sees it. The target now has as many ratings as an ordinary film, and
# ordinary films are seldom in a first ten. Random fillers even do harm in ItemKNN: the target's audience grows by
# people who share nothing with anyone, and its similarities shrink. The real users notice nothing: their NDCG@20
# hardly moves, so a dashboard that watches quality will never show an attack.
#
# If you guessed a large number, you may have read papers about **stars**. There, a list is often sorted by
# predicted stars, and an average is easy to move when few people voted.
#
# **Question.** The same 47 accounts give the target five stars. What happens to a list that is sorted by mean rating,
# damped as film sites do it, with ten imagined ratings of average height for every film?


# %%
def by_stars(target, n_fake):
    """HR@50 (%) of the target in a list by damped mean rating, after n_fake ratings of five stars."""
    film, stars = movies.ratings["item"].to_numpy(), movies.ratings["rating"].to_numpy()
    total = np.bincount(film, weights=stars, minlength=movies.n_items) + 10 * stars.mean()
    votes = np.bincount(film, minlength=movies.n_items) + 10
    total[target] += 5 * n_fake
    votes[target] += n_fake
    scores = np.tile(total / votes, (N_REAL, 1))
    return 100 * target_hit_ratio(scores, train.table(), target, n_real=N_REAL, k=50)


stars = {n: np.mean([by_stars(t, n) for t in TARGETS]) for n in (0, *COUNTS)}
claim("5 % of fake users put the target into everybody's first fifty, by stars", stars[N_FAKE] > 99)
claim("without them it is in nobody's", stars[0] == 0)

# %% [markdown]
# *Takeaway:* what an account can do depends on what is counted. A mean of few votes is at the mercy of the next
# voters; a count of choices has to be outnumbered. When a paper says that one percent of fake profiles takes over a
# recommender, look up which of the two it attacks.
#
# ## Through the training, by gradient
#
# **Question.** The classical fillers are guesses. Which fillers *should* an attacker choose who knows all ratings?
#
# What the attacker wants depends on the fake rows through the recommender's whole training:
#
# $$\max_F \; \text{hits}\big(\theta^*(F)\big), \qquad \theta^*(F) = \text{the model trained on real rows and } F .$$
#
# Li et al. (2016) differentiated through the training of a matrix factorisation, and Tang, Wen and Wang (2020) showed
# that doing so exactly, step by step, makes the attack much stronger. There is a recommender for which "exactly" is one
# line: EASE, whose training is a formula. With the inverse $P = (X^\top X + \lambda I)^{-1}$ of the real users, $m$
# fake rows $F$ change it to
#
# $$P' = P - P F^\top (I + F P F^\top)^{-1} F P, \qquad s_{ut} = -\sum_i x_{ui} \, P'_{it} / P'_{tt},$$
#
# a small $m \times m$ system and no retraining. This is the **surrogate**: the attacker's own model, at home.


# %% tags=["pytorch"]
def poisoned_weights(inverse, fake, target):
    """EASE's weights towards the target, trained with the rows `fake` as well."""
    seen = fake @ inverse
    small = torch.eye(len(fake), device=fake.device) + seen @ fake.T
    column = inverse[:, target] - seen.T @ torch.linalg.solve(small, seen[:, target])
    weights = -column / column[target]
    return weights * (torch.arange(len(weights), device=fake.device) != target)


# %% tags=["tensorflow"]
def poisoned_weights(inverse, fake, target):
    """EASE's weights towards the target, trained with the rows `fake` as well."""
    seen = fake @ inverse
    small = tf.eye(len(fake)) + seen @ tf.transpose(fake)
    change = tf.transpose(seen) @ tf.linalg.solve(small, seen[:, target, None])
    column = inverse[:, target] - change[:, 0]
    weights = -column / column[target]
    return tf.where(tf.range(len(weights)) == target, 0.0, weights)


# %% [markdown]
# Is the formula the training? Put real fake profiles in, and compare with EASE trained anew on all accounts.

# %%
known = poisoning.inject(train, poisoning.with_target(fillers["average"], TARGETS[0]))
fake_rows = advrec.tensor(known.table()[N_REAL:].astype(np.float32))
by_formula = advrec.numpy(poisoned_weights(advrec.tensor(INVERSE), fake_rows, int(TARGETS[0])))
trained = baselines.ease_scores(known)[:N_REAL, TARGETS[0]]
claim(
    "the formula gives the target's scores of a newly trained EASE to a thousandth of the largest",
    np.abs(train.table() @ by_formula - trained).max() < 1e-3 * np.abs(trained).max(),
)

# %% [markdown]
# Now let $F$ hold numbers between 0 and 1, a *relaxed* profile, and take the gradient of a soft hit ratio: for every
# user without the target, $\sigma\big((s_{ut} - c_u) / \tau\big)$, where $c_u$ is the user's fiftieth score before the
# attack. The budget says that a row sums to its length. Over such rows, a linear function is largest at whole
# profiles, namely at the fillers of the largest gradient. So each step asks the gradient for its favourite
# fillers, moves the rows a bit towards them, and at the end the best whole profiles are kept (the *conditional
# gradient* of Frank and Wolfe, 1956). `advrec.gradient_profiles` does this; the next cells show its first look around,
# from the average attack.


# %% tags=["pytorch"]
asked = train.table()[~train.table()[:, TARGETS[0]]]
before = asked @ poisoning.ease_weights(INVERSE)
cut = advrec.tensor(np.sort(np.where(asked, -np.inf, before), axis=1)[:, -50])
audience, inverse = advrec.tensor(asked.astype(np.float32)), advrec.tensor(INVERSE)


def soft_hits(rows):
    """Soft share of users whose first fifty the target enters, as a function of the fake rows."""
    scores = audience @ poisoned_weights(inverse, rows, int(TARGETS[0]))
    return torch.sigmoid((scores - cut) / 0.05).mean()


# %% tags=["tensorflow"]
asked = train.table()[~train.table()[:, TARGETS[0]]]
before = asked @ poisoning.ease_weights(INVERSE)
cut = advrec.tensor(np.sort(np.where(asked, -np.inf, before), axis=1)[:, -50])
audience, inverse = advrec.tensor(asked.astype(np.float32)), advrec.tensor(INVERSE)


def soft_hits(rows):
    """Soft share of users whose first fifty the target enters, as a function of the fake rows."""
    scores = tf.linalg.matvec(audience, poisoned_weights(inverse, rows, int(TARGETS[0])))
    return tf.reduce_mean(tf.sigmoid((scores - cut) / 0.05))


# %% tags=["nbval-ignore-output"]
_, gradient = advrec.value_and_grad(soft_hits, fake_rows)
slope = advrec.numpy(gradient).mean(axis=0)
slope[TARGETS] = -np.inf
print("the fillers that the gradient likes best:")
for film in np.argsort(-slope)[:5]:
    print(f"  {titles[film]}, {popularity[film]} ratings")

# %%
fillers["gradient"] = {
    t: advrec.gradient_profiles(train, N_FAKE, target=int(t), k=50, steps=SIZES["steps"], **settings) for t in TARGETS
}

# %% [markdown]
# ## Made by a generator
#
# The gradient does not ask whether its profiles look like people. A generator asks nothing else. Lin et al. (2020)
# build fake profiles with a GAN that completes pieces of real ones. Here a **variational autoencoder** does the job: an
# encoder maps a real row to a distribution over a short code $z$, a decoder maps $z$ to a chance for every film, and
# training makes real rows likely while it keeps the codes close to a standard normal. To make a user, draw $z$ and draw
# films by the decoder's chances. The control is shameless: **copied** profiles, pieces of real ones.

# %%
fillers["generated"] = advrec.generated_profiles(train, N_FAKE, steps=SIZES["generator"], **settings)
fillers["copied"] = poisoning.copied_profiles(train, N_FAKE, **settings)
for attack in ("gradient", "generated"):
    for name in RECOMMENDERS:
        pushed[attack, name] = push(name, fillers[attack])
bare = {}
for name in ("ItemKNN", "EASE"):
    pushed["copied", name] = push(name, fillers["copied"])
    bare[name] = push(name, fillers["gradient"], with_target=False)  # the control: the same fillers alone


# %% [markdown]
# How does it grow with the number of accounts? ItemKNN is quick to train, so it draws the curve.


# %%
def first(profiles, n):
    """The first n profiles."""
    return {t: rows[:n] for t, rows in profiles.items()} if isinstance(profiles, dict) else profiles[:n]


ATTACKS = ("random", "average", "bandwagon", "generated", "gradient")
curve = {
    attack: [clean["ItemKNN"]["HR@50"]]
    + [push("ItemKNN", first(fillers[attack], n))["HR@50"] for n in COUNTS[:-1]]
    + [pushed[attack, "ItemKNN"]["HR@50"]]
    for attack in ATTACKS
}

# %% tags=["nbval-ignore-output"]
LOOK = {
    "random": {"color": plots.RANDOM, "linestyle": ":", "marker": "s"},
    "average": {"color": plots.EXTRA, "linestyle": "-.", "marker": "P"},
    "bandwagon": {"color": "black", "linestyle": "--", "marker": "x"},
    "generated": {"color": plots.FAKE, "linestyle": "--", "marker": "v"},
    "gradient": {"color": plots.ATTACKED, "linestyle": "-", "marker": "^"},
    "blended": {"color": plots.ATTACKED, "alpha": 0.5, "marker": "D"},
    "copied": {"color": plots.REAL, "marker": "o"},
}
fig, axes = plots.figure("Only the gradient brings the target into view", columns=2, size=(11, 3.8), sharey=True)
for attack in ATTACKS:
    axes[0].plot([0, 1, 3, 5], curve[attack], label=attack, **LOOK[attack])
plots.label(axes[0], x="fake users (% of the real ones)", y="HR@50 of the target (%)", title="ItemKNN", legend=True)
places = np.arange(3)
for shift, attack in enumerate(ATTACKS):
    heights = [pushed[attack, name]["HR@50"] for name in RECOMMENDERS]
    axes[1].bar(places + 0.16 * (shift - 2), heights, width=0.15, color=LOOK[attack]["color"], label=attack)
axes[1].set_xticks(places, RECOMMENDERS)
plots.label(axes[1], x="recommender", y="", title="5 % fake users")

# %%
others = ATTACKS[:-1]
claim(
    "in every recommender, gradient-made profiles reach more than one and a half times the HR@50 of any others",
    all(
        pushed["gradient", name]["HR@50"] > 1.5 * max(pushed[a, name]["HR@50"] for a in others) for name in RECOMMENDERS
    ),
)
claim(
    "ItemKNN, which the attacker never saw, is hit more than EASE",
    pushed["gradient", "ItemKNN"]["HR@50"] > pushed["gradient", "EASE"]["HR@50"],
)
claim("without the target, the same profiles leave HR@50 below 1 %", all(row["HR@50"] < 1 for row in bare.values()))
claim("HR@50 of the target, gradient, ItemKNN (%)", pushed["gradient", "ItemKNN"]["HR@50"])
claim("HR@50 of the target, gradient, EASE (%)", pushed["gradient", "EASE"]["HR@50"])
claim("BPR: the gradient's gain is above the noise of retraining", pushed["gradient", "BPR"]["HR@50"] > wobble + 1)
claim("even so, HR@10 stays below 3 %", all(pushed["gradient", name]["HR@10"] < 3 for name in RECOMMENDERS))

# %% [markdown]
# *Takeaway:* knowledge is worth more than accounts. With the same budget, fillers that were chosen through the
# training do several times what guesses do, and they **transfer**: found on EASE, they work on recommenders that the
# attacker never saw, on ItemKNN even better. What do they look like? One group of well-known films that the same
# kind of people watch: the attack wins a segment, not the public.

# %% [markdown]
# ## Trap: an evaluation that fools itself
#
# **Question.** Somebody reports that the same attack on EASE reaches the first **ten** of nearly five percent of all
# users. You measured next to nothing. The program is the one below; what does it count?

# %%
target = TARGETS[0]
known = poisoning.inject(train, poisoning.with_target(fillers["gradient"][target], target))
owned = known.table()
everybody = owned @ poisoning.ease_weights(poisoning.ease_update(INVERSE, owned[N_REAL:]))

hidden = owned.copy()
hidden[:, target] = False  # so that the target is a candidate for everybody
ahead = (np.where(hidden, -np.inf, everybody) > everybody[:, [target]]).sum(axis=1)
careless = 100 * np.mean(ahead < 10)
honest = 100 * target_hit_ratio(everybody, owned, target, n_real=N_REAL, k=10)

# %% tags=["nbval-ignore-output"]
plots.table(
    [
        {"average over": "all accounts", "HR@10 of the target (%)": careless},
        {"average over": "the fake accounts alone", "HR@10 of the target (%)": 100 * np.mean(ahead[N_REAL:] < 10)},
        {"average over": "real users without the target", "HR@10 of the target (%)": honest},
    ],
    digits=2,
)

# %%
claim("the careless average is at least three points above the honest one", careless > honest + 3)

# %% [markdown]
# The fake users are shown their own target, and there are nearly as many of them as the report has hits. *Takeaway:*
# three habits protect you. Count real users without the target. Fix the target and the attack's settings before you
# look. And compare with a model that was **trained anew**, if possible with as many fake users without the target, not
# with an old figure: retraining moves films too.
#
# ## Nuke
#
# **Question.** A competitor wants a popular film *gone*. An account cannot say "I do not like it": in implicit
# feedback there is no such click. What is left?
#
# A place in a list is relative. A film also falls when others rise. So the fake users take the films that share the
# victim's audience, its **cohort**, all but the victim. They raise its companions, and they teach the recommender that
# people with this taste do *not* choose it.
#
# ### Exercise 12.3 · predict: push or nuke? · 5 min · *
#
# With the same accounts, 5 % of the users, which is easier?
#
# - **a**: pushing an unknown film, because a fake user can name it, and cannot name what it wants to bury;
# - **b**: burying a popular film;
# - **c**: neither; both move fewer users' lists than retraining does.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b" or "c".
# BEGIN SOLUTION
prediction = "b"
# END SOLUTION
prediction = exercise("12.3").check(prediction)

# %% [markdown]
# The victims are drawn, again beforehand, from the films with 180 to 260 ratings. The control: as many fake users with
# fillers drawn by popularity.

# %%
VICTIMS = poisoning.target_items(train, SIZES["targets"], low=180, high=260, seed=SEED)
crowd = poisoning.average_profiles(train, N_FAKE, length=LENGTH, avoid=VICTIMS, seed=SEED)


def nuke(name):
    """HR@10 (%) of the victims: clean, with the cohort raised, and with the control's fake users."""
    before = average([measure(clean_scores[name], train, v) for v in VICTIMS])["HR@10"]
    raised, usual = [], []
    for v in VICTIMS:
        cohort = np.tile(poisoning.cohort(train, int(v), LENGTH), (N_FAKE, 1))
        for rows, profiles in ((raised, cohort), (usual, crowd)):
            known = poisoning.inject(train, profiles)
            rows.append(measure(RECOMMENDERS[name](known), known, v))
    return {"clean": before, "control": average(usual)["HR@10"], "nuked": average(raised)["HR@10"]}


nuked = {name: nuke(name) for name in RECOMMENDERS}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("A popular film falls when its companions are raised")
for shift, (kind, colour) in enumerate(
    {"clean": plots.CLEAN, "control": plots.RANDOM, "nuked": plots.ATTACKED}.items()
):
    heights = [nuked[name][kind] for name in RECOMMENDERS]
    axis.bar(places + 0.27 * (shift - 1), heights, width=0.25, color=colour, label=kind)
axis.set_xticks(places, RECOMMENDERS)
plots.label(axis, x="recommender", y="HR@10 of the victims (%)", legend=True)

# %%
claim(
    "burying takes the victims from more than a third of their lists, in ItemKNN and EASE",
    all(nuked[name]["nuked"] < 0.67 * nuked[name]["clean"] for name in ("ItemKNN", "EASE")),
)
claim(
    "the control's fake users change less than half as much there",
    all(
        abs(nuked[name]["control"] - nuked[name]["clean"]) < 0.5 * (nuked[name]["clean"] - nuked[name]["nuked"])
        for name in ("ItemKNN", "EASE")
    ),
)
claim("in BPR they stand below the control too", nuked["BPR"]["nuked"] < nuked["BPR"]["control"])

# %% [markdown]
# *Takeaway:* what cannot be said can still be done. To climb into a list, a film has to pass hundreds of others; to
# fall out of it, a few have to pass. Whoever watches only for films that *rise* suddenly will not see this one: the
# films that rise are popular, and rise a little. Look at BPR's control before you take its bar for an attack, though:
# there, any new training moves a film at the edge of many lists.
#
# ## What can the defender see?
#
# **Question.** The defender has the accounts and no labels. Which numbers would you compute from a profile?
#
# Four are usual: its **length**; the mean **popularity** of its films (on a logarithmic scale); its **similarity** to
# its nearest neighbours, a cosine between profiles (Chirita, Nejdl and Zamfir, 2005); and the **concentration** on some
# film whose users are unusually alike. An account far from the usual, on either side, is suspicious.
#
# A fifth looks at all users together. Mehta and Nejdl (2009) compute the **principal components** (PCA) of the users'
# rows: the few directions of taste that most real people share in some measure. A profile that follows none of them
# is suspicious.
#
# ### Exercise 12.4 · bug hunt: a detector that peeks · 15 min · **
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
    """Return the accounts whose value lies farthest from the median of all, a boolean array [accounts].

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


flag = exercise("12.4").check(flag)

# %% [markdown]
# The share is a decision about people, not a result: how many accounts may be checked by hand, or lose their say? We
# take 5 %. With that, judge every detector against every attack. **Recall** is the share of the fake accounts that are
# flagged, **precision** the share of the flagged that are fake. Labels enter here and nowhere before.

# %%
BUDGET = 0.05
DETECTORS = ("length", "popularity", "similarity", "concentration", "PCA")


def detect(profiles):
    """Flags of every detector against these fillers with their target, a dict for each target."""
    found = []
    for t in TARGETS:
        own = profiles[t] if isinstance(profiles, dict) else profiles
        known = poisoning.inject(train, poisoning.with_target(own, t))
        flags = {key: flag(values, share=BUDGET) for key, values in poisoning.profile_statistics(known).items()}
        flags["PCA"] = poisoning.most_suspicious(poisoning.pca_suspicion(known), BUDGET)
        found.append(flags)
    return found


def recalls(profiles):
    """Recall of every detector in percent, the mean over targets."""
    found = detect(profiles)
    pairs = {key: [poisoning.precision_recall(flags[key], n_real=N_REAL) for flags in found] for key in DETECTORS}
    return {key: 100 * float(np.mean([recall for _, recall in values])) for key, values in pairs.items()}


caught = {attack: recalls(rows) for attack, rows in fillers.items()}

# %% [markdown]
# ## An attacker who knows the detector
#
# The gradient's profiles are all alike; that is how they agree. An attacker who knows that somebody compares profiles
# gives something up: half of the fillers by gradient, drawn anew for every account, and half by the generator. We call
# them **blended**.

# %%
fillers["blended"] = {
    t: poisoning.blended_profiles(rows, fillers["generated"], keep=LENGTH // 2, seed=SEED)
    for t, rows in fillers["gradient"].items()
}
caught["blended"] = recalls(fillers["blended"])
for name in RECOMMENDERS:
    pushed["blended", name] = push(name, fillers["blended"])

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "What works is caught, and what escapes does nothing, until the attacker blends",
    columns=2, size=(11.5, 4.2), width_ratios=(1.2, 1),
)  # fmt: skip
grid = np.array([[caught[attack][key] for key in DETECTORS] for attack in caught])
axes[0].imshow(grid, cmap="Greys", vmin=0, vmax=140, aspect="auto")
axes[0].grid(False)
for (row, column), value in np.ndenumerate(grid):
    axes[0].text(column, row, f"{value:.0f}", ha="center", va="center", color="white" if value > 70 else "black")
axes[0].set_xticks(range(len(DETECTORS)), DETECTORS, rotation=20)
axes[0].set_yticks(range(len(caught)), list(caught))
plots.label(axes[0], x="", y="", title="fake accounts flagged (%)")
for attack in caught:
    x, y = max(caught[attack].values()), pushed[attack, "EASE"]["HR@50"]
    axes[1].plot(x, y, markersize=8, **LOOK[attack])
    axes[1].annotate(attack, (x, y), xytext=(6, 4), textcoords="offset points")
axes[1].set_xlim(-5, 125)
plots.label(
    axes[1], x="flagged by the best of the five (%)", y="HR@50 of the target, EASE (%)", title="against their effect"
)

# %%
claim("PCA flags more than nine tenths of the random profiles", caught["random"]["PCA"] > 90)
claim("PCA flags less than a tenth of the gradient's", caught["gradient"]["PCA"] < 10)
claim("similarity flags more than nine tenths of the gradient's", caught["gradient"]["similarity"] > 90)
claim("length flags none of any attack", all(row["length"] == 0 for row in caught.values()))
claim("no detector flags half of the blended profiles", max(caught["blended"].values()) < 50)
claim(
    "on BPR and EASE they keep more than three quarters of the gradient's HR@50",
    all(pushed["blended", name]["HR@50"] > 0.75 * pushed["gradient", name]["HR@50"] for name in ("BPR", "EASE")),
)
claim(
    "on ItemKNN they keep less than three quarters",
    pushed["blended", "ItemKNN"]["HR@50"] < 0.75 * pushed["gradient", "ItemKNN"]["HR@50"],
)

# %% [markdown]
# *Takeaway:* each detector has the attack that it was made for. PCA looks for profiles that follow nobody, finds the
# random ones, and takes the gradient's for the best of citizens, since they follow one direction perfectly. Copied
# profiles mostly pass, and do nothing. An attacker who knows the detector pays little to get past it: half of the
# chosen fillers will do. So test a detector against attacks that were made *with it in mind*, or you have tested the
# past.
#
# What about precision? There are about as many flags here as fake users, so it nearly equals recall. That is luck. Let
# the attack be smaller, or leave it out: the detector still flags its share.

# %%
few = poisoning.inject(train, poisoning.with_target(fillers["gradient"][TARGETS[0]][: COUNTS[0]], TARGETS[0]))
likeness = poisoning.profile_statistics(few)["similarity"]
precision, _ = poisoning.precision_recall(flag(likeness, share=BUDGET), n_real=N_REAL)
told, _ = poisoning.precision_recall(tutorial_flag(likeness, N_REAL), n_real=N_REAL)
quiet = flag(poisoning.profile_statistics(train)["similarity"], share=BUDGET)
own_list = metrics.ndcg_per_user(metrics.top_k(clean_scores["BPR"], 20, exclude=train), split.test, 20)
popular_list = metrics.ndcg_per_user(
    metrics.top_k(baselines.popularity_scores(train), 20, exclude=train), split.test, 20
)
claim("at 1 % of fake users more than four of five flagged accounts belong to real people", precision < 0.2)
claim(
    "the tutorial's program, which is told how many to flag, shows at least four times that precision",
    told > 4 * precision,
)
claim(
    "nobody attacks, and 5 % of the people get popular films instead of a list of their own, which serves them worse",
    np.nanmean(popular_list[quiet]) < np.nanmean(own_list[quiet]),
)

# %% [markdown]
# ## What helps, and what it costs
#
# Five defences, each against the gradient's profiles and against the blended ones. Beside every row stands NDCG@20 of
# the real users, including those whom a defence throws out.
#
# - **filter**: flag 5 % by similarity, train without them. Who is thrown out is served by popularity.
# - **alike count once**: nobody is thrown out. Account $u$ gets the weight $1 / \sum_v \cos(u, v)^8$: an original
#   keeps its vote, and fifty copies share one.
# - **cap**: no account weighs more than one of median length.
# - **more regularisation**, four times as much.
# - **adversarial training** of BPR (lesson 10), which withstands moved vectors.


# %%
def filtered_bpr(known):
    """BPR without the accounts that stand out by similarity; real ones among them are served by popularity."""
    flagged = flag(poisoning.profile_statistics(known)["similarity"], share=BUDGET)
    scores = bpr(poisoning.without_users(known, flagged))
    out = flagged[:N_REAL]
    scores[out] = baselines.popularity_scores(train)[out]
    return scores


def adversarial_bpr(known):
    """BPR whose last two fifths of the epochs are adversarial."""
    early = SIZES["epochs"] * 3 // 5
    model = advrec.BPRModel(known.n_users, known.n_items, dim=SIZES["dim"], seed=SEED)
    advrec.fit_bpr(model, known, epochs=early, seed=SEED)
    advrec.fit_adversarial(model, known, epochs=SIZES["epochs"] - early, eps=0.5, seed=SEED)
    return advrec.numpy(model.score_all())[:N_REAL]


# %%
def weighted_ease(known, weights, *, regularisation=500.0):
    """EASE in which account u counts weights[u] times."""
    inverse = poisoning.ease_inverse(known, weights=weights, regularisation=regularisation)
    return train.table() @ poisoning.ease_weights(inverse)


RECOMMENDERS |= {
    "BPR, filtered": filtered_bpr,
    "BPR, adversarial training": adversarial_bpr,
    "EASE, alike count once": lambda known: weighted_ease(known, poisoning.likeness_weights(known)),
    "EASE, cap": lambda known: weighted_ease(known, np.minimum(1, LENGTH / np.maximum(known.activity(), 1))),
    "EASE, four times lambda": lambda known: weighted_ease(known, None, regularisation=2000.0),
}
DEFENCES = list(RECOMMENDERS)[3:]
for name in DEFENCES:
    for attack in ("gradient", "blended"):
        pushed[attack, name] = push(name, fillers[attack])

# %% tags=["nbval-ignore-output"]
shown = ["BPR", "BPR, filtered", "BPR, adversarial training", "EASE", *DEFENCES[2:]]
rows = np.arange(len(shown))
fig, axes = plots.figure(
    "Comparing profiles stops copies; nothing here stops the blend", columns=2, size=(11, 4), sharey=True
)
for shift, attack in ((-0.18, "gradient"), (0.18, "blended")):
    values = {key: [pushed[attack, name][key] for name in shown] for key in ("HR@50", "NDCG@20")}
    look = {"color": plots.ATTACKED, "alpha": LOOK[attack].get("alpha", 1)}
    axes[0].barh(rows + shift, values["HR@50"], height=0.34, label=attack, **look)
    axes[1].plot(values["NDCG@20"], rows + shift, LOOK[attack]["marker"], label=attack, **look)
for name, reach in (("BPR", (0, 2)), ("EASE", (3, 6))):
    level = clean[name]["NDCG@20"]
    axes[1].plot([level, level], [reach[0] - 0.4, reach[1] + 0.4], color=plots.CLEAN, label=f"{name}, no attack")
axes[0].set_yticks(rows, shown)
axes[0].invert_yaxis()
axes[0].set_xlim(0, 22)  # room for the legend
plots.label(axes[0], x="HR@50 of the target (%)", y="", legend=True)
plots.label(axes[1], x="NDCG@20 of the real users", y="", legend=True)


# %%
def effect(attack, name, key="HR@50"):
    """The measured value."""
    return pushed[attack, name][key]


claim(
    "counting alike accounts once leaves less than a fifth of the gradient's effect",
    effect("gradient", "EASE, alike count once") < 0.2 * effect("gradient", "EASE"),
)
claim(
    "and costs less than a fiftieth of NDCG@20",
    effect("gradient", "EASE, alike count once", "NDCG@20") > 0.98 * clean["EASE"]["NDCG@20"],
)
claim(
    "against the blend it leaves more than half",
    effect("blended", "EASE, alike count once") > 0.5 * effect("blended", "EASE"),
)
claim(
    "filtering leaves less than a fifth of the gradient's effect on BPR",
    effect("gradient", "BPR, filtered") < 0.2 * effect("gradient", "BPR"),
)
claim(
    "a cap does not halve the effect and costs NDCG@20",
    effect("gradient", "EASE, cap") > 0.5 * effect("gradient", "EASE")
    and effect("gradient", "EASE, cap", "NDCG@20") < clean["EASE"]["NDCG@20"],
)
claim(
    "adversarial training does not lower the effect on BPR",
    effect("gradient", "BPR, adversarial training") > effect("gradient", "BPR"),
)

# %% [markdown]
# *Takeaway:* the two defences that compare profiles remove the copies, one by throwing people out, the other by not
# counting the same vote twice. Neither sees the blend. The other three do not know what they are looking
# for. A cap hits devoted users and leaves fakes of median size alone. More regularisation costs quality, and the target
# stays in view. Adversarial training prepares for vectors that move a little, while poisoning changes what the vectors
# are trained *on*; here it even plays into the attacker's hands. Robust against one attack is not robust against
# another.
#
# What is left for the blend? Things outside the rating table: when accounts were opened, how they pay, whether a film's
# new users arrive in one night. Making accounts expensive works against all rows of the attacker's table at once.
#
# ## What can go wrong
#
# - **One budget, one catalogue.** MovieLens-100K is dense: the median user has dozens of films, and the films in
#   people's first ten have hundreds of choices. Where items have a handful of clicks each, the same accounts may reach
#   further. Measure it before you quote this lesson.
# - **A surrogate is a guess.** That EASE's profiles transfer to BPR and ItemKNN here does not mean that they transfer
#   everywhere. And an attacker rarely has all ratings.
# - **A stopped search is no proof.** The gradient search finds good rows, not the best ones. A defence that survives
#   these profiles has survived these profiles.
# - **Accuracy is no alarm.** The real users' NDCG@20 hardly moved under any attack.
#
# **Misuse.** Fake accounts that push or bury a work harm its makers, its rivals and everyone who trusts the list; in
# many countries they are unlawful, and everywhere they break the rules of the site. Detection can harm too: its false
# alarms are people, often those with unusual taste, who lose their voice without being told. Run these attacks on
# data sets and on systems that are yours. When you find a hole in somebody else's, tell the owner first. And when you
# defend, count whom your defence silences.
#
# ## What we learned
#
# - An account is a row of the training data. What it can do depends on what is counted: votes of few are easily
#   outvoted, choices of many are not.
# - Ready-made profiles move an unknown film hundreds of places and into hardly anybody's view; those found through the
#   training of a surrogate bring it into the first fifty of many, and transfer.
# - Burying a popular film by raising its companions is easier than raising an unknown one.
# - A detector finds the attack it was made for, flags people when nobody attacks, and is passed by a blend.
# - Counting alike accounts once stops copies at little cost. Nothing here stopped the attacker who knew the defence.
#
# **Next:** lesson 13, where the attacker edits the picture.
#
# ## Further reading
#
# - Shyong K. Lam, John Riedl: *Shilling Recommender Systems for Fun and Profit*. WWW 2004. Random and average attacks,
#   on stars.
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
# - Harald Steck: *Embarrassingly Shallow Autoencoders for Sparse Data*. WWW 2019. EASE.
# - Dawen Liang, Rahul G. Krishnan, Matthew D. Hoffman, Tony Jebara: *Variational Autoencoders for Collaborative
#   Filtering*. WWW 2018. The generator's model.
