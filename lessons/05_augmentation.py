# ---
# jupyter:
#   advrec:
#     title: Do fake users make recommendations better?
#     minutes: 90
#     data: [movielens]
#     prerequisites: ["00", "01", "04"]
# ---

# %% [markdown]
# # 05 · Do fake users make recommendations better?
#
# You will find out what a recommender gains when invented users are added to its training data, what it gains when the
# added users are people, and what a split that comes too late does to the number.

# %% [markdown]
# **You will be able to**
#
# - add invented users to training data without touching the real ones, and compare at an equal number of steps;
# - give a person a vector in a model that was trained without that person;
# - put a paired interval around a difference, and say what it does and does not cover;
# - choose controls that tell "more data" from "more training", "more weight" and "noise";
# - find the two leaks in a pipeline that splits too late.

# %% [markdown]
# *Data augmentation* means to train on more examples than you have: on changed copies of them, or on examples that a
# model has invented. For pictures a mirrored cat is still a cat. For users nobody can look and say so. Lesson 04
# invented users that a judge could hardly tell from people. If they are that good, why not train on them? A small shop
# would like that very much: it has few customers, and could have as many as it likes.

# %% tags=["pytorch"]
import numpy as np
import polars as pl
from scipy import stats

from advrec_teach import augmentation, claim, data, exercise, fidelity, metrics, plots, profiles, sequences, splits
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow"]
import numpy as np
import polars as pl
from scipy import stats

from advrec_teach import augmentation, claim, data, exercise, fidelity, metrics, plots, profiles, sequences, splits
from advrec_teach import tensorflow as advrec

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
NAMES = ("films", "length", "people", "rows", "repetitions", "hidden", "likelihood", "dim", "budget", "passes")
SIZES = {
    "smoke": (60, 12, 60, 40, 3, 8, 1, 8, 320, 2),
    "quick": (200, 12, 240, 240, 8, 48, 15, 24, 4800, 8),
    "full": (500, 20, 400, 900, 20, 256, 20, 64, 36000, 30),
}[PROFILE]
SIZES = dict(zip(NAMES, SIZES))
V, L, N, R = SIZES["films"], SIZES["length"], SIZES["rows"], SIZES["repetitions"]
HELD = 5
device = advrec.setup(lesson="05", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## A shop with little data
#
# **Question.** If adding users does not help, how do you know that *anything* could have helped?
#
# An experiment that finds nothing is worth something only if it could have found something. So we keep real people
# aside whom the shop does not know. Whatever invented users can do, we expect as many real people to do at least as
# well: people are what the inventor tries to imitate. They are our **positive control**: they show whether the test can
# see help where there should be some.
#
# As in lesson 04 only the films with the most ratings take part, and films rated within one second are put in random
# order.

# %%
movies = data.movielens()
ratings = movies.ratings
most = np.sort(np.argsort(-np.bincount(ratings["item"], minlength=movies.n_items), kind="stable")[:V])
number = np.full(movies.n_items, -1)
number[most] = np.arange(V)
log = ratings.filter(pl.col("item").is_in(most))
log = log.with_columns(tie=pl.Series(np.random.default_rng(SEED).random(len(log)))).sort("user", "time", "tie")
users, films = log["user"].to_numpy(), number[log["item"].to_numpy()]
enough = np.flatnonzero(np.bincount(users, minlength=movies.n_users) >= 3 * HELD)


def history_of(people):
    """The ratings of these users in the order of time, with new user ids from 0."""
    new = np.full(movies.n_users, -1)
    new[people] = np.arange(len(people))
    theirs = new[users] >= 0
    return splits.Interactions(new[users[theirs]], films[theirs], len(people), V)


# %% [markdown]
# One *repetition* draws two groups of people that share nobody: the shop's customers, and strangers. The last five
# films of each customer are the **test**. Of their earlier ratings the shop has only some, drawn at random (*thinned*):
# as many as `N` rows of `L` films hold, and at least one of each customer. What is added is as much again. Real and
# added data weigh the same.
#
# The strangers serve in three roles:
#
# - **Thinned people**: as many strangers as there are customers, thinned as the customers are. It is as if a second
#   shop like ours gave us its data. This is the control that is like for like.
# - **New people**: `N` whole rows, `L` films as they were rated, one after the other. The customers' ratings have
#   holes, so a whole row brings more than another person. Read it as an upper bound. They come from half of the
#   strangers.
# - **Others**: as many whole rows of the other half. Nobody trains on them: they are the yardstick for the rest.


# %%
def thinned(past, rng):
    """N * L of these ratings, drawn at random, at least one of each person."""
    luck = rng.random(len(past))
    luck[np.flatnonzero(np.diff(past.users, append=-1))] = -1  # everybody keeps one film, the last
    kept = np.sort(np.argsort(luck)[: N * L])
    return splits.Interactions(past.users[kept], past.items[kept], past.n_users, V)


def world(repetition):
    """The shop's training and test data; thinned people; rows of new people; rows of others."""
    rng = np.random.default_rng(1000 * SEED + repetition)
    people = rng.permutation(enough)
    customers, strangers = people[: SIZES["people"]], people[SIZES["people"] :]
    past, test = augmentation.hold_out_last(history_of(customers), HELD)
    train = thinned(past, rng)
    halves = [augmentation.full_rows(history_of(half), length=L) for half in np.array_split(strangers, 2)]
    new_people, others = (rng.permutation(rows)[:N] for rows in halves)
    alike, _ = augmentation.hold_out_last(history_of(strangers[: SIZES["people"]]), HELD)
    return train, test, thinned(alike, rng), new_people, others


train, test, thin_people, new_people, others = world(0)
sparse = augmentation.sparsest(train)
activity = train.activity()

# %% tags=["nbval-ignore-output"]
plots.table(
    {
        "who": name,
        "people": len(ids),
        "training ratings": int(activity[ids].sum()),
        "median": float(np.median(activity[ids])),
        "test ratings": int(test.activity()[ids].sum()),
    }
    for name, ids in {"all customers": np.arange(train.n_users), "sparsest tenth": sparse}.items()
)

# %% [markdown]
# The **sparsest tenth** are the customers with the fewest *training* ratings. (Counting test ratings as well would let
# the test choose who is judged.) They are the ones whom fake users are usually promised to help.

# %%
claim(
    "no film that is to be found is in the training data, and real and added ratings are equally many",
    not np.isin(test.flat(), train.flat()).any() and len(train) == len(thin_people) == new_people.size,
)

# %% [markdown]
# ## How do you add a user?
#
# **Question.** The data are two arrays, users and films. What can go wrong when rows are appended?
#
# ### Exercise 05.1 · add users, touch nobody · 10 min · *
#
# Write it in NumPy. Row $k$ becomes one new user with the id `n_users + k`. The order within a row is the order in
# time. The sequential model below reads it from the order of the pairs.


# %% tags=["exercise"]
def with_users(users, items, n_users, rows):
    """The data with each row appended as a new user: user ids, film ids, and the new number of users.

    users, items: ids, arrays of shape [n]; some of the users from 0 to n_users - 1 may have no pair.
    rows: film ids, array of shape [n_rows, length], oldest first.
    """
    # BEGIN SOLUTION
    n_rows, length = rows.shape
    new = n_users + np.repeat(np.arange(n_rows), length)
    return np.concatenate([users, new]), np.concatenate([items, rows.ravel()]), n_users + n_rows
    # END SOLUTION


with_users = exercise("05.1").check(with_users)

# %% [markdown]
# Stuck? `exercise("05.1").hint()` gives three hints, one at a time.


# %%
def add(data, rows):
    """Training data with these rows appended as new users."""
    made, items, n = with_users(data.users, data.items, data.n_users, np.asarray(rows))
    return splits.Interactions(made, items, n, data.n_items)


def beside(data, more):
    """Training data with the people of another shop as new users."""
    ids, items = np.append(data.users, data.n_users + more.users), np.append(data.items, more.items)
    return splits.Interactions(ids, items, data.n_users + more.n_users, V)


nobody = splits.Interactions(train.users[:0], train.items[:0], train.n_users, V)
both = add(train, new_people)
claim(
    "the real users' part is as it was, and each new user has one row, in its order",
    np.array_equal(both.table()[: train.n_users], train.table())
    and np.array_equal(both.items[len(train) :].reshape(N, L), new_people),
)

# %% [markdown]
# ## Whom do we add?
#
# **Question.** Which rows would tell "new information" from "more of the same"?
#
# Beside the two kinds of people, four kinds of rows, all made from the *training* data alone:
#
# | rows | made how | what they would show |
# |---|---|---|
# | **LSTM** | the generator of lesson 04, by maximum likelihood | whether a good imitation helps |
# | **bigram** | each film drawn after the one before | whether a simple imitation does as well |
# | **noise** | real rows, a third of the films replaced at random | what rows cost that are a little wrong |
# | **copies** | real rows, once more | what mere *re-weighting* does: nothing is new in them |
#
# The copies are the **null control**: a gain that copies have too is no gain from invention. They do not weigh all
# alike. A row of `L` films can come only from a customer with as many training ratings. In `quick` that is fewer than
# half of the customers, and none of the sparsest tenth; the table above shows how few ratings those have. So copies
# give the active customers more weight, and no inventor here has ever read a sparse one.


# %%
def lstm_users(rows, n, seed):
    """Rows drawn from an LSTM that learned these rows by maximum likelihood."""
    model = advrec.SequenceGenerator(V, length=L, hidden=SIZES["hidden"], seed=seed)
    advrec.fit_generator(model, rows, epochs=SIZES["likelihood"], seed=seed)
    return advrec.sample_sequences(model, n, seed=seed)


def copied_users(rows, n, seed):
    """Rows as they are, no row twice while there are others."""
    return augmentation.schedule(rows, n, seed=seed)


MAKERS = {
    "LSTM": lstm_users,
    "bigram": lambda rows, n, seed: fidelity.sample_bigram(fidelity.fit_bigram(rows, V), n, length=L, seed=seed),
    "noise": lambda rows, n, seed: augmentation.noisy_rows(copied_users(rows, n, seed), V, share=1 / 3, seed=seed),
    "copies": copied_users,
}


def added_rows(train, new_people, seed):
    """The rows of all five kinds, N of each."""
    rows = augmentation.full_rows(train, length=L, stride=L // 4)
    return {"new people": new_people} | {name: make(rows, N, seed) for name, make in MAKERS.items()}


kinds = added_rows(train, new_people, SEED)

# %% [markdown]
# Before we use them: are they what they are meant to be? As in lesson 04 we measure their distance to other people, and
# what they copied. The yardstick are the `others`, who share nobody with the customers or with the new people. (The
# thinned people are no rows of `L` films, so they cannot stand in this table.)

# %% tags=["nbval-ignore-output"]
known = augmentation.full_rows(train, length=L, stride=L // 4)
looks = {
    name: fidelity.divergences(others, rows, V)
    | {
        "shared with nearest training row": fidelity.nearest_overlap(rows, known, V).mean(),
        "runs of three copied (%)": 100 * fidelity.copied_runs(rows, known, V),
    }
    for name, rows in kinds.items()
}
plots.table({"rows": name, **values} for name, values in looks.items())

# %%
near = {name: values["shared with nearest training row"] for name, values in looks.items()}
claim(
    "copies share every film with a training row, and the LSTM at most one more than new people do",
    near["copies"] == L and near["LSTM"] < near["new people"] + 1,
)
claim("no row of the yardstick is a row of the new people", not (others[:, None] == new_people).all(axis=2).any())
claim(
    "new people are nearest; the LSTM's co-occurrence is as far off as that of its own training rows (0.03 bits)",
    all(looks["new people"][k] < looks[name][k] for name in MAKERS for k in ("transitions", "co-occurrence"))
    and abs(looks["LSTM"]["co-occurrence"] - looks["copies"]["co-occurrence"]) < 0.03,
)

# %% [markdown]
# *Takeaway:* the LSTM writes rows of its own: it copies hardly more than new people do by chance. More the table does
# not show. New people stand nearest, but they and the yardstick are whole rows, while the four others come from thinned
# ones; how much of the lead is that, the table does not tell. Noise stands about as near to people as the LSTM does, so
# with so few rows these distances hardly tell wrong films from right ones: they are mostly sampling error. And in
# popularity the LSTM is farther off than copies are.
#
# ## Two recommenders, one budget
#
# **Question.** "Real" is trained for ten passes, "real and fake" for ten passes. Is that fair?
#
# The second has twice as many rows, so ten passes are twice as many steps. It may be better because it was trained
# longer. So everybody gets the same number of *steps*: `augmentation.schedule` repeats shuffled passes until a fixed
# number of rows is reached. The **sequential model** (SASRec: attention over a user's last films, scores for the next
# one; Kang and McAuley, 2018) goes through such a schedule once.


# %%
def sequential_scores(data, readers, seed, share=1):
    """Train the sequential model on `data` for this share of the budget; scores of all films for readers, [n, V]."""
    budget = round(share * SIZES["budget"])
    rows = augmentation.schedule(sequences.windows(data, length=L - 1), budget, seed=seed)
    model = advrec.SequentialModel(V, dim=SIZES["dim"], length=L - 1, seed=seed)
    advrec.fit_sequential(model, rows, epochs=1, learning_rate=0.005, batch_size=32, negatives=None, seed=seed)
    return advrec.numpy(model.score_all(sequences.last_items(readers, length=L - 1)))


def bpr_model(data, seed, share=1):
    """Train BPR on `data` for this share of the budget: half as much data gets twice as many passes."""
    passes = max(1, round(share * SIZES["passes"] * 2 * N * L / len(data)))
    everyone = splits.Interactions(data.users, data.items, SIZES["people"] + max(N, SIZES["people"]), V)
    model = advrec.BPRModel(everyone.n_users, V, dim=SIZES["dim"], seed=seed)
    advrec.fit_bpr(model, everyone, epochs=passes, learning_rate=0.1, regularisation=0.01, batch_size=256, seed=seed)
    return advrec.numpy(model.user_vectors), advrec.numpy(model.item_vectors)


def ndcg(scores, train, test):
    """NDCG@20 of every customer's held-out films, all films ranked but those that the customer has; [people]."""
    return metrics.ndcg_per_user(metrics.top_k(scores, 20, exclude=train), test, 20)


# %% [markdown]
# **BPR** (lesson 01) has a vector for each user. Train it on fakes alone, and the real users' vectors are the random
# numbers that they started as.
#
# **Question.** What is the vector of a person whom training has never seen?
#
# The film vectors $Q$ are there, and so is what the person has: $r_i$ is 1 for a film of theirs, else 0. **Folding in**
# asks for the vector whose scores come closest, with a penalty on its length (*ridge regression*):
#
# $$p_u = \arg\min_p \; \sum_{i} (r_{ui} - p^\top q_i)^2 + \lambda \, ||p||_2^2
# \; = \; (Q^\top Q + \lambda I)^{-1} Q^\top r_u .$$
#
# It is a user's step of alternating least squares (Hu, Koren and Volinsky, 2008, use it with weights). The sum runs
# over *all* films: what somebody does not have says something too.
#
# ### Exercise 05.2 · a vector for a stranger · 15 min · **
#
# Write it in NumPy, for all users at once.


# %% tags=["exercise"]
def fold_in(Q, owned, *, penalty):
    """Vectors of users from fixed film vectors, shape [n_users, d].

    Q: film vectors, shape [n_films, d].  owned: 0 or 1, shape [n_users, n_films].  penalty: lambda.
    """
    # BEGIN SOLUTION
    square = Q.T @ Q + penalty * np.eye(Q.shape[1])
    return np.linalg.solve(square, Q.T @ owned.T).T
    # END SOLUTION


fold_in = exercise("05.2").check(fold_in)


# %%
def folded_scores(Q, train):
    """Scores of all films for all customers, whose vectors come from the film vectors and their training films."""
    Q = Q.astype(np.float64)
    return fold_in(Q, train.table().astype(np.float64), penalty=10.0) @ Q.T


# %% [markdown]
# Folding changes the recommender. So when BPR on fakes, folded, differs from BPR on real users, is it the fakes or the
# folding? The control: BPR on *real* users, folded as well. Below every BPR is folded, and for the models that saw the
# real users their own vectors are measured beside it.
#
# ## One seed is an anecdote
#
# **Question.** NDCG@20 moves even when nothing changes but the seed. How large must a gain be before you believe it?
#
# We repeat everything $n$ times: other people, another generator, other first weights. Within a repetition all arms
# share people, test and seed, so part of their ups and downs is common. Take the *difference within each repetition*,
# $d_1, \dots, d_n$. Its mean has the 95 % interval
#
# $$\bar d \pm t_{0.975,\, n-1} \, \frac{s_d}{\sqrt n}, \qquad s_d^2 = \frac{1}{n-1} \sum_k (d_k - \bar d)^2 ,$$
#
# where $t$ is Student's: with few repetitions $s_d$ itself is uncertain, and $t$ pays for that.
#
# ### Exercise 05.3 · an interval for a gain · 10 min · **
#
# `stats.t` is SciPy's t distribution.


# %% tags=["exercise"]
def paired_interval(augmented, plain, *, level):
    """Mean gain, lower end, upper end of its confidence interval.

    augmented, plain: NDCG@20 in each repetition, shape [n]; place k of both is the same repetition.  level: 0.95, say.
    """
    # BEGIN SOLUTION
    d = augmented - plain
    half = stats.t.ppf((1 + level) / 2, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half
    # END SOLUTION


paired_interval = exercise("05.3").check(paired_interval)

# %% [markdown]
# Now one repetition of the whole experiment: *arms* are what the recommenders train on. "Half the steps" and "copies"
# are there to show what the number of steps and the weights do by themselves.


# %%
def judged(data, train, test, seed, share=1):
    """NDCG@20 of every customer, by recommender, for both trained on `data`."""
    P, Q = bpr_model(data, seed, share)
    found = {
        "sequential": ndcg(sequential_scores(data, train, seed, share), train, test),
        "BPR, folded": ndcg(folded_scores(Q, train), train, test),
    }
    if data.activity()[: train.n_users].all():  # only then do the customers have vectors of their own
        found["BPR, own"] = ndcg((P @ Q.T)[: train.n_users], train, test)
    return found


def repetition(k):
    """All arms of repetition k: arm, then recommender, then the mean for all customers and for the sparsest tenth."""
    train, test, thin_people, new_people, _ = world(k)
    seed, sparse = 1000 * SEED + k, augmentation.sparsest(train)
    rows = added_rows(train, new_people, seed)
    arms = {"real": train} | {f"real + {name}": add(train, new) for name, new in rows.items()}
    arms |= {"real + thinned people": beside(train, thin_people), "thinned people only": beside(nobody, thin_people)}
    arms["LSTM only"] = add(nobody, rows["LSTM"])
    found = {name: judged(data, train, test, seed) for name, data in arms.items()}
    found["real, half the steps"] = judged(train, train, test, seed, share=0.5)
    popular = np.tile(train.popularity().astype(np.float64), (train.n_users, 1))
    found["popularity"] = {"no model": ndcg(popular, train, test)}
    return {
        arm: {name: (values.mean(), values[sparse].mean()) for name, values in by.items()} for arm, by in found.items()
    }


# %% [markdown]
# ### Exercise 05.4 · predict: what do LSTM users bring? · 5 min · *
#
# To the real rows as many LSTM users are added, and everybody gets the same number of steps. Compared with training on
# the real rows alone, the sequential model's NDCG@20
#
# - **a**: gains about as much as from thinned people, since a judge can hardly tell invented users from people;
# - **b**: gains less than half of what thinned people bring, or loses, but less than with noise;
# - **c**: loses at least as much as with noise, since what is invented is wrong.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b" or "c".
# BEGIN SOLUTION
prediction = "b"
# END SOLUTION
prediction = exercise("05.4").check(prediction)

# %%
everything = [repetition(k) for k in range(R)]
SHOWN = ("sequential", "BPR, folded")


def of(arm, recommender, whom=0):
    """The values of one arm in all repetitions; whom: 0 for all customers, 1 for the sparsest tenth."""
    return np.array([one[arm][recommender][whom] for one in everything])


def gain(arm, recommender, whom=0, over="real", level=0.95):
    """Mean gain of an arm over another, and the ends of its interval."""
    return np.array(paired_interval(of(arm, recommender, whom), of(over, recommender, whom), level=level))


# %% [markdown]
# ## First the controls
#
# **Question.** Does the experiment see what it should see, and nothing where nothing is?

# %%
steps = gain("real", "sequential", over="real, half the steps")
claim("twice the steps on the same rows raise NDCG@20 of the sequential model", steps[1] > 0)
claim("NDCG@20 of the sequential model, real", of("real", "sequential").mean())
claim("NDCG@20 of BPR, real, own vectors", of("real", "BPR, own").mean())
claim("NDCG@20 of popularity", of("popularity", "no model").mean())
claim(
    "folded in or with its own vectors, BPR on real users differs by less than 0.015",
    abs(of("real", "BPR, folded") - of("real", "BPR, own")).mean() < 0.015,
)
halved = of("real, half the steps", "BPR, folded"), of("real", "BPR, folded")
low, high = stats.ttest_ind(*halved).confidence_interval(0.95)
mean, lower, upper = paired_interval(*halved, level=0.95)
claim(
    "BPR, half the steps against all: the paired interval is narrower by more than a third",
    upper - lower < (high - low) / 1.5,
)

# %% [markdown]
# *Takeaway:* twice the steps alone raise the sequential model's score. Whoever trains it on "both" for as many *passes*
# as on "real" would call that the merit of the fakes. And pairs pay, the more the two arms share. BPR with half of the
# steps has the same people, rows and first weights: what they have in common goes out of the difference. Where two
# trainings also differ by chance of their own, such as other rows in another order, expect the pairs to take away less.
#
# ## Do they help?
#
# **Question.** Which of the two kinds of people and the four kinds of rows would you buy?

# %% tags=["nbval-ignore-output", "figure"]
COLOURS = {
    "thinned people": plots.REAL,
    "new people": plots.REAL,
    "LSTM": plots.FAKE,
    "bigram": plots.FAKE,
    "copies": plots.EXTRA,
    "noise": plots.RANDOM,
}
title = "People help the sequential model, whole rows help BPR, no help seen from invented users"
fig, axes = plots.figure(title, columns=2, size=(10, 3.8), sharey=True)
for axis, recommender in zip(axes, SHOWN):
    for place, (name, colour) in enumerate(COLOURS.items()):
        mean, low, high = gain(f"real + {name}", recommender)
        d = of(f"real + {name}", recommender) - of("real", recommender)
        axis.plot(d, np.full(R, place + 0.25), ".", color=colour, alpha=0.5)
        axis.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color=colour, capsize=4)
    axis.axvline(0, color="black", linewidth=0.8)
    plots.label(axis, x="gain in NDCG@20 over real alone", y="", title=recommender)
axes[0].set_yticks(range(len(COLOURS)), [f"+ {name}" for name in COLOURS])
axes[0].invert_yaxis()

# %% [markdown]
# Large dots are means with their 95 % intervals, small dots single repetitions. The two panels have different scales.
# Look at the small dots of the LSTM: with one seed you could have published a gain or a loss.

# %%
bring = {(name, who): gain(f"real + {name}", who) for name in COLOURS for who in SHOWN}
for who in SHOWN:
    claim(f"gain from thinned people, {who}", bring["thinned people", who][0])
    claim(f"gain from new people, {who}", bring["new people", who][0])
    claim(f"gain from LSTM users, {who}", bring["LSTM", who][0])
claim(
    "like for like: thinned people help the sequential model, the interval lies above 0",
    bring["thinned people", "sequential"][1] > 0,
)
claim(
    "new people with whole rows help both recommenders: their intervals lie above 0",
    all(bring["new people", who][1] > 0 for who in SHOWN),
)
claim(
    "thinned people bring BPR less than half of what whole rows do, and not reliably more than copies (99 %)",
    bring["thinned people", "BPR, folded"][0] < bring["new people", "BPR, folded"][0] / 2
    and gain("real + thinned people", "BPR, folded", over="real + copies", level=0.99)[1] < 0,
)

# %%
people = {"sequential": "thinned people", "BPR, folded": "new people"}
claim(
    "LSTM and bigram users bring less than half: sequential, of what thinned people bring; BPR, of what whole rows do",
    all(bring[name, who][0] < bring[people[who], who][0] / 2 for name in ("LSTM", "bigram") for who in SHOWN),
)
claim(
    "in neither recommender do LSTM users bring reliably more than copies: the 99 % intervals reach below 0",
    all(gain("real + LSTM", who, over="real + copies", level=0.99)[1] < 0 for who in SHOWN),
)
claim(
    "noise costs the sequential model on average, and more than LSTM users do",
    bring["noise", "sequential"][0] < min(0, bring["LSTM", "sequential"][0]),
)

# %% [markdown]
# *Takeaway:* for the sequential model the experiment can see help. As many people as the shop has, known as badly as
# the shop knows its own, raise the score. From invented users we saw no such help.
#
# For BPR the like-for-like control finds little: what thinned people bring it is not reliably more than what copies
# bring, in which nothing is new. More than half of what BPR gained from new people came with their *whole rows*. (These
# differ from thinned people in more than holes: active people have more whole rows. We did not take that apart.) So the
# right panel can hardly tell useless invented users from useful ones. The inventor reads thinned ratings, so thinned
# people are the best that it can imitate, and even they did not reliably beat copies. Without this control you might
# have taken the panel for evidence.
#
# In the left panel, there is a reason that a better generator would not remove: whatever it writes is computed from
# rows that the recommender has, and only from a part of them. So it cannot hold anything about people that is not in
# there. What an inventor *can* add is what its maker built in, such as a smoothness that the recommender lacks. (That
# is what mirrored cats do: whoever mirrors them *knows* that left and right do not matter.) Here we could not measure
# that it was worth anything.
#
# ## Real, fake, both
#
# **Question.** If fakes add nothing, could they at least *replace* people?

# %% tags=["nbval-ignore-output", "figure"]
ARMS = {
    "real": plots.REAL,
    "LSTM only": plots.FAKE,
    "real + LSTM": plots.FAKE,
    "thinned people only": plots.REAL,
    "real + thinned people": plots.REAL,
}
fig, axes = plots.figure(
    "Fakes alone cost the sequential model much, BPR had little to lose", columns=2, size=(10, 3.4), sharey=True
)
for axis, recommender in zip(axes, SHOWN):
    values = [of(arm, recommender) for arm in ARMS]
    error = [stats.t.ppf(0.975, R - 1) * v.std(ddof=1) / np.sqrt(R) for v in values]
    axis.barh(range(len(ARMS)), [v.mean() for v in values], xerr=error, color=list(ARMS.values()), capsize=3)
    axis.axvline(of("popularity", "no model").mean(), color="black", linestyle=":", linewidth=1)
    plots.label(axis, x="NDCG@20 (dotted: popularity)", y="", title=recommender)
axes[0].set_yticks(range(len(ARMS)), list(ARMS))
axes[0].invert_yaxis()

# %%
alone = {who: gain("LSTM only", who) for who in SHOWN}
strangers = {who: gain("thinned people only", who) for who in SHOWN}
claim("LSTM users alone cost the sequential model: the interval lies below 0", alone["sequential"][2] < 0)
claim("change from real to LSTM users alone, BPR, folded", alone["BPR, folded"][0])
claim(
    "thinned strangers alone serve the sequential model better than LSTM users alone: the interval lies above 0",
    gain("thinned people only", "sequential", over="LSTM only")[1] > 0,
)
claim("and cost it less than a quarter as much", strangers["sequential"][0] > alone["sequential"][0] / 4)
claim(
    "trained on thinned strangers alone, BPR, folded, loses less than a hundredth on average, if anything",
    strangers["BPR, folded"][0] > -0.01,
)

# %% [markdown]
# *Takeaway:* the sequential model loses much when it has LSTM rows alone. Strangers alone, thinned as the customers
# are, cost it little or nothing. So it is not simply that the customers themselves are missing. The model lives on what
# follows what, so a likely reason is that the LSTM's imitation of that is poorer than the real thing; the distances
# above are too coarse to show it. Folded BPR loses little on average with LSTM rows alone. But look at
# the dotted line before you call that a success: with so few ratings BPR stands hardly above popularity, so there was
# little to lose. (The intervals at the bars also hold how much people differ between repetitions. To compare two arms,
# read the claims: they use pairs.)
#
# ## The sparsest tenth
#
# **Question.** Fakes are promised to help those who have little. Do they, and how well could we tell?

# %% tags=["nbval-ignore-output", "figure"]
SPARSE = {"real + thinned people": plots.REAL, "real + new people": plots.REAL, "real + LSTM": plots.FAKE}
SPARSE |= {"real + copies": plots.EXTRA, "real, half the steps": plots.RANDOM}
rows = [(arm, whom) for arm in SPARSE for whom in (0, 1)]
fig, axes = plots.figure("For the sparsest tenth most intervals are much wider", columns=2, size=(10, 4.2), sharey=True)
for axis, recommender in zip(axes, SHOWN):
    for place, (arm, whom) in enumerate(rows):
        mean, low, high = gain(arm, recommender, whom)
        shape = {"fmt": "o", "mfc": "white"} if whom else {"fmt": "o"}
        axis.errorbar(mean, place, xerr=[[mean - low], [high - mean]], color=SPARSE[arm], capsize=4, **shape)
    axis.axvline(0, color="black", linewidth=0.8)
    plots.label(axis, x="gain in NDCG@20 over real alone", y="", title=recommender)
axes[0].set_yticks(range(len(rows)), [f"{arm}, {('all', 'sparsest')[whom]}" for arm, whom in rows])
axes[0].invert_yaxis()

# %%
pairs = [f"real + {name}" for name in COLOURS]
widths = [np.mean([np.diff(gain(arm, who, whom)[1:]) for arm in pairs for who in SHOWN]) for whom in (0, 1)]
claim("the intervals of the sparsest tenth are on average more than 1.5 times as wide", widths[1] > 1.5 * widths[0])
claim("mean width of an interval, sparsest tenth", widths[1])
claim(
    "new people with whole rows help the sparsest tenth of BPR, folded, too, on average",
    gain("real + new people", "BPR, folded", 1)[0] > 0,
)
claim(
    "LSTM users do not help the sparsest tenth reliably more than copies: the 99 % intervals reach below 0",
    all(gain("real + LSTM", who, 1, over="real + copies", level=0.99)[1] < 0 for who in SHOWN),
)

# %% [markdown]
# *Takeaway:* a tenth of the people means wide intervals: a small gain could hide in them. Look at the open dots of BPR.
# If the LSTM's stands above 0, does that of the copies stand as high, in which nothing is new? If it does not, look at
# the widths: does either interval leave out 0? So the honest verdict for the sparsest is not "fakes do not help" but
# "we saw no reliable help beyond what copies give, and would have missed a small one". Anyone who reports a gain for
# sparse users owes you the width, and the copies. In BPR new people with whole rows help them on average. Look at the
# open dots of the thinned people: how much is left like for like? The grey rows are a yardstick: what half of the
# training costs each recommender.
#
# And remember whom the inventor has read. In `quick` no customer of the sparsest tenth has enough ratings for a row:
# the inventor is asked to help people of whom it has read nothing.
#
# ## A number about something else
#
# **Question.** What does a split that comes too late do to the number?
#
# Published experiments that find help from fake users may have inventors that know more, such as the text of reviews.
# Others may have split too late: leaks like that have been found in many fields (Kapoor and Narayanan, 2023). Here is a
# pipeline in the order in which one would type it.
#
# ### Exercise 05.5 · bug hunt: split too late · 15 min · ***
#
# Two faults let the test into the training or the invented users into the test. Nothing stops, and a score comes out
# that is about something else. Mend both. (`L` and `HELD` are the notebook's: your function has `length` and
# `held_out`.)


# %%
def shipped_data(log, invent, n):
    """Training data with n invented users, and the test data."""
    rows = augmentation.full_rows(log, length=L, stride=L // 4)
    everyone = profiles.inject(log, invent(rows, n))
    return augmentation.hold_out_last(everyone, HELD)


# %% tags=["exercise"]
def augmented_data(log, invent, n, *, held_out, length):
    """Training data of all real users with n invented ones after them, and the test data of the real ones.

    log: an Interactions, each user's pairs in the order of time.  invent(rows, n) returns n invented rows.
    held_out: each real user's last films, the test.  length: films in a row, for `augmentation.full_rows`.
    """
    # BEGIN SOLUTION
    train, test = augmentation.hold_out_last(log, held_out)
    rows = augmentation.full_rows(train, length=length, stride=length // 4)
    return profiles.inject(train, invent(rows, n)), test
    # END SOLUTION


augmented_data = exercise("05.5").check(augmented_data)

# %% [markdown]
# What do the two faults do to the result? We report what the shipped pipeline reports, and beside it the first fault
# alone: its LSTM has read the test films, but only real users are tested. The mended pipeline needs no run of its own:
# it makes the arm "real + LSTM", which is claimed below. To save time this table takes the first five repetitions.


# %%
def leaked(k):
    """NDCG@20 of the sequential model in repetition k: as the shipped pipeline reports it, and of real users alone."""
    train, test, *_ = world(k)
    seed, log = 1000 * SEED + k, train.union(test)  # behind each customer's training films stand the test films

    def invent(rows, n):
        return lstm_users(rows, n, seed)

    fakes = invent(augmentation.full_rows(log, length=L, stride=L // 4), N)
    seen, everybody = shipped_data(log, lambda rows, n: fakes, N)
    shipped = ndcg(sequential_scores(seen, seen, seed), seen, everybody)
    real = ndcg(sequential_scores(add(train, fakes), train, seed), train, test)
    return {
        "as shipped": np.nanmean(shipped),
        "real users alone": real.mean(),
        "fakes": np.nanmean(shipped[len(real) :]),
    }


leaks = [leaked(k) for k in range(min(R, 5))]
plain, clean = (of(arm, "sequential")[: len(leaks)] for arm in ("real", "real + LSTM"))
wrong = {name: np.array([leak[name] for leak in leaks]) for name in leaks[0]}

# %% tags=["nbval-ignore-output"]
cases = {"mended": clean, "the LSTM has read the test": wrong["real users alone"], "as shipped": wrong["as shipped"]}
plots.table(
    {"pipeline": name, "NDCG@20": values.mean()}
    | dict(zip(("gain over real", "from", "to"), paired_interval(values, plain, level=0.95)))
    for name, values in cases.items()
)

# %%
log = train.union(test)
rows = added_rows(train, new_people, 1000 * SEED)["LSTM"]
made, held = augmented_data(log, lambda known, n: lstm_users(known, n, 1000 * SEED), N, held_out=HELD, length=L)
claim(
    "the mended pipeline makes the arm real + LSTM, and its test",
    np.array_equal(made.flat(), add(train, rows).flat()) and set(held.flat()) == set(test.flat()),
)
peek = paired_interval(wrong["real users alone"], clean, level=0.95)
claim("what an LSTM that has read the test adds for real users, over a clean one", peek[0])
claim("on average over the repetitions that is more than nothing", peek[0] > 0)
claim(
    "as shipped, fakes are in the test, and the model predicts their last films worse than those of people",
    wrong["fakes"].mean() < wrong["real users alone"].mean(),
)

# %% [markdown]
# *Takeaway:* the first fault hands the answers over. What the leaky LSTM adds has two parts, and we did not take them
# apart: it has read the answers, and it has read *more*, as with the test films more customers are long enough for a
# row. No pair of a customer and their test film is in the training data, and every check for that passes: the leak goes
# *through the generator*. Whether it also makes a gain over real alone: look at the interval. The second fault works
# the other way here: the model predicts the LSTM's draws worse than people, so the shipped number is lower than with
# the first fault alone, and it is about the wrong users. Two faults can hide each other. Split first, then let nothing
# that is made from data see more than the training part.
#
# ## What can go wrong
#
# - **The positive control is not like for like.** The customers' ratings are thinned. With whole rows of new people
#   alone you would have read BPR's panel as a test that sees help. With thinned people it hardly is one. Ask of a
#   positive control what it has that the treatment could never have.
# - **A like-for-like gain in BPR** over copies may hide in the interval. More repetitions, more people, or longer
#   training might show it.
# - **The inventor reads a part.** Only customers with at least `L` training ratings give it rows. Rows of any length
#   would let it read the others.
# - **Repetitions are not independent.** All of ours draw from the same MovieLens users, so an interval says how the
#   result varies over draws from *these* people, and is somewhat too narrow for others. Nadeau and Bengio (2003) treat
#   the problem.
# - **Many intervals.** We look at dozens. Of twenty 95 % intervals for nothing, one lies off 0 by chance, on average.
#   That is why "not reliably more" above uses 99 %.
# - **One shop, one inventor, one amount.** Short rows, few films, as many added users as real rows, an LSTM trained for
#   seconds. An inventor that was trained on *other* people, or knows texts, brings information from outside and may
#   help: AugCF (Wang et al., 2019) does that with reviews, and ASReP (Liu et al., 2021) reports gains for short
#   histories with invented earlier items. Ask of each what its copies would have given.
# - **About half of the steps go to the added rows.** That is a price that every augmentation pays at an equal budget,
#   and new people pay it too.
# - **Folding with one lambda**, not tuned. It serves all arms alike, so differences stand; the level may not.
#
# **Misuse.** Fake users in training data are also what a poisoner adds (lesson 12). If you augment, mark the rows,
# never count them as customers, and do not train the next generator on the output of the last: tails of the
# distribution get lost (Shumailov et al., 2024).
#
# ## What we learned
#
# - Here people help the sequential model, like for like, and from invented users we saw no reliable help: neither LSTM
#   nor bigram. Noise costs it on average.
# - More than half of what BPR gained from new people came with whole rows. Where even people, like for like, do not
#   reliably beat copies, "fakes do not help" says little about fakes.
# - A positive control shows what the test can see, and has to be like for like. A null control, copies, shows what
#   re-weighting towards active customers does.
# - An inventor that has read only your training data, or a part of them, has no information about people that your
#   recommender has not.
# - Fakes *alone* are a poor stand-in for people for the sequential model. Where they seem to do, look at popularity
#   first.
# - Same steps for all arms, differences within repetitions, Student's t, the width beside every "no effect".
# - Split first. A leak through a generator is invisible to checks of the training data.
#
# **Next:** lesson 06 asks whether fake users are at least private.
#
# ## Further reading
#
# - Wang-Cheng Kang, Julian McAuley: *Self-Attentive Sequential Recommendation*. ICDM 2018.
# - Yifan Hu, Yehuda Koren, Chris Volinsky: *Collaborative Filtering for Implicit Feedback Datasets*. ICDM 2008.
# - Claude Nadeau, Yoshua Bengio: *Inference for the Generalization Error*. Machine Learning 52, 2003.
# - Qinyong Wang, Hongzhi Yin, Hao Wang, Quoc Viet Hung Nguyen, Zi Huang, Lizhen Cui: *Enhancing Collaborative Filtering
#   with Generative Augmentation*. KDD 2019.
# - Zhiwei Liu, Ziwei Fan, Yu Wang, Philip S. Yu: *Augmenting Sequential Recommendation with Pseudo-Prior Items via
#   Reversely Pre-training Transformer*. SIGIR 2021.
# - Sayash Kapoor, Arvind Narayanan: *Leakage and the Reproducibility Crisis in Machine-Learning-Based Science*.
#   Patterns 4(9), 2023.
# - Ilia Shumailov, Zakhar Shumaylov, Yiren Zhao, Nicolas Papernot, Ross Anderson, Yarin Gal: *AI Models Collapse When
#   Trained on Recursively Generated Data*. Nature 631, 2024.
