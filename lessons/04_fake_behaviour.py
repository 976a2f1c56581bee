# ---
# jupyter:
#   advrec:
#     title: Can a network invent plausible users?
#     minutes: 110
#     data: [movielens]
#     prerequisites: ["00", "01", "02"]
# ---

# %% [markdown]
# # 04 · Can a network invent plausible users?
#
# You will find out how near invented histories come to those of people, which networks get there, and how little a
# judge is worth before you have seen it judge real users against real users.

# %% [markdown]
# **You will be able to**
#
# - clean a log of ratings, and say for each kind of dirt whether cleaning brings back what was lost;
# - turn a log into rows for a network without padding most of them;
# - explain why a drawn item stops the gradient, and write two ways around it: straight-through and policy gradient;
# - train an LSTM by likelihood and in a game, and a variational autoencoder, and say what each of them learns;
# - judge fake users by fidelity, by a classifier, and by what they copied, between a floor and a ceiling.

# %% tags=["pytorch"]
import numpy as np
import polars as pl
import torch

from advrec_teach import claim, data, exercise, fidelity, plots, sequences, splits
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow"]
import numpy as np
import polars as pl

from advrec_teach import claim, data, exercise, fidelity, plots, sequences, splits
from advrec_teach import tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
NAMES = ("films", "length", "hidden", "likelihood", "vae", "game", "tune", "rows", "judge")
SIZES = {
    "smoke": (60, 6, 8, 1, 2, 3, 3, 200, 1),
    "quick": (200, 12, 64, 3, 25, 110, 80, 3000, 4),
    "full": (500, 20, 256, 5, 100, 20000, 2000, 20000, 10),
}[PROFILE]
SIZES = dict(zip(NAMES, SIZES))
V, L = SIZES["films"], SIZES["length"]
device = advrec.setup(lesson="04", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## A log as it comes from a shop
#
# **Question.** A log has duplicates, holes and a robot in it. What can cleaning bring back, and what not?
#
# MovieLens is clean, because somebody cleaned it. Most logs are not. So we take a copy and dirty it ourselves, in five
# ways: stars are lost, more often low ones; times are lost; some times are in milliseconds; some rows are sent twice;
# and a robot gives five stars to six hundred films within one second. Since we did it, we can say afterwards which rows
# came back. Each row keeps a number, `row`, that the cleaning may not look at.

# %%
movies = data.movielens()
truth = movies.ratings.with_row_index("row").cast({"row": pl.Int64})
rng = np.random.default_rng(SEED)
n = len(truth)
hit = {
    "stars lost": rng.random(n) < np.where(truth["rating"] <= 2, 0.15, 0.05),
    "time lost": rng.random(n) < 0.05,
    "milliseconds": rng.random(n) < 0.05,
    "sent twice": rng.random(n) < 0.03,
}
dirty = truth.with_columns(
    rating=pl.when(~pl.Series(hit["stars lost"])).then("rating"),
    time=pl.when(~pl.Series(hit["time lost"])).then(pl.col("time") * np.where(hit["milliseconds"], 1000, 1)),
)
robot = {"row": -1, "user": movies.n_users, "item": np.arange(600), "rating": 5, "time": 880000000}
robot = pl.DataFrame(robot, schema=dirty.schema)
dirty = pl.concat([dirty, dirty.filter(hit["sent twice"]), robot]).sample(fraction=1, shuffle=True, seed=SEED)
dirty.drop("row").head(8)

# %% [markdown]
# The cleaning: a time that would lie in the far future is in milliseconds. Equal rows are one. For the robot we need a
# rule, and a rule needs a reason: a person may tick off a page of films within a second (lesson 00), but nobody reads
# hundreds of titles in one.


# %%
def cleaned(log, *, per_second=200):
    """The log with all times in seconds, no row twice, and nobody who gives more than `per_second` ratings a second."""
    log = log.with_columns(time=pl.when(pl.col("time") > 10**11).then(pl.col("time") // 1000).otherwise("time"))
    log = log.unique(["user", "item", "rating", "time"], keep="first", maintain_order=True)
    pace = log.drop_nulls("time").group_by("user", "time").len().group_by("user").agg(pl.col("len").max())
    return log.join(pace.filter(pl.col("len") > per_second), on="user", how="anti")


log = cleaned(dirty)
whole = log.drop_nulls().sort("row")
expected = truth.filter(~(hit["stars lost"] | hit["time lost"]))
pace = truth.group_by("user", "time").len()["len"].max()
claim("every row whose dirt was only form came back whole, once, and no robot with it", whole.equals(expected))
claim("no real user comes near half of the pace that the rule forbids", pace < 200 / 2)

# %% [markdown]
# *Takeaway:* dirt of *form* (units, duplicates, robots) could be undone, because the information was still there. What
# is *missing* cannot. Two ways to go on are common: drop the rows, or fill the holes. Which is better?
#
# Look at the stars first. Filling with the mean is the textbook answer. The control: as many stars lost by chance.

# %%
mean = truth["rating"].mean()
by_chance = truth.filter(rng.random(n) >= hit["stars lost"].mean())["rating"].mean()
left = log["rating"].mean()
print(f"mean stars: {mean:.3f} in truth, {left:.3f} left, {by_chance:.3f} left after losses by chance")
claim(
    "the stars that are left are too kind: they move the mean up, five times as far as losses by chance move it",
    left - mean > 5 * abs(by_chance - mean),
)

# %% [markdown]
# Low stars were lost more often, so what is left is too kind. (It is called *missing not at random*.) Filling with the
# mean of what is left keeps that wrong mean. Nothing *in the log* says why stars are missing, so no filling that only
# looks at the log can be trusted to mend it. For this lesson there is a way out: we need to know who rated what, not
# how, so a row without stars stays.
#
# A row without a *time* has no place in a user's order. How many neighbours in the order are still true if we drop
# such rows, and if we fill in the user's median time?


# %%
def neighbours(log):
    """All triples (user, film, next film) of a log in the order of time."""
    sorted_log = log.sort("user", "time", "item")
    return sorted_log.select("user", "item", next=pl.col("item").shift(-1).over("user")).drop_nulls()


def true_share(log):
    """The share of a log's neighbours that are neighbours in the true log."""
    found = neighbours(log)
    return found.join(neighbours(truth), on=["user", "item", "next"]).height / found.height


dropped = log.drop_nulls("time")
filled = log.with_columns(time=pl.col("time").fill_null(pl.col("time").median().over("user").cast(pl.Int64)))
shares = {"dropped": true_share(dropped), "filled": true_share(filled)}
print({name: f"{share:.1%} of the neighbours are true" for name, share in shares.items()})
claim("of the neighbours in the filled log a smaller share is true", shares["filled"] < shares["dropped"])

# %% [markdown]
# *Takeaway:* a hole that is filled looks like data and is none. Where the question needs the value, dropping the row
# left a truer order than filling the hole. Where it does not, nothing has to be filled. From here on we use the log as
# MovieLens publishes it.
#
# ## From a log to rows
#
# **Question.** A network wants rows of equal length. How much of them is padding?
#
# A **session** is what a user does without a long pause, here half an hour. Sessions differ in length. To train on them
# in batches, all rows of a batch are filled up with **padding** to its longest. Sorting the sessions by length into
# **buckets** first puts rows of about one length into a batch.

# %%
ordered = truth.sort("user", "time")
pause = ordered.select(pl.col("time").diff().over("user") > 1800)["time"]
sessions = ordered.select(session=pause.fill_null(True).cum_sum())
lengths = sessions.group_by("session", maintain_order=True).len()["len"].to_numpy()


def padding(lengths, batch=64):
    """The share of padding when rows of these lengths are batched in the given order."""
    batches = np.split(lengths, range(batch, len(lengths), batch))
    return 1 - lengths.sum() / sum(len(b) * b.max() for b in batches)


shuffled = padding(rng.permutation(lengths))
bucketed = padding(np.sort(lengths))
print(f"padding: {shuffled:.0%} in random order, {bucketed:.0%} in buckets")
claim("buckets take away more than two thirds of the padding", bucketed < shuffled / 3)

# %% [markdown]
# We go one step further. The generator writes rows of one fixed length, so we cut every history into windows
# (`sequences.windows`) and keep the full ones: no padding at all. (What that leaves out is printed below.) From here on
# a *row* is such a window, no longer a line of the log. To make this lesson fit a laptop, only the films with the most
# ratings take part.
#
# Films that a user rated within the same second have no order. Sorting them by id would invent one, for a network to
# learn. So they are put in random order.
#
# The rows come from three groups of *people* that share nobody: `train` to learn from, `real` to compare with, and
# `ceiling`, who play the role of perfect fakes. For training, windows may overlap, which gives more rows.

# %%
most = np.sort(np.argsort(-np.bincount(truth["item"], minlength=movies.n_items), kind="stable")[:V])
number = np.full(movies.n_items, -1)
number[most] = np.arange(V)
log = truth.filter(pl.col("item").is_in(most)).with_columns(
    tie=pl.Series(rng.random(int(np.isin(truth["item"], most).sum())))
)
log = log.sort("user", "time", "tie")
users, films = log["user"].to_numpy(), number[log["item"].to_numpy()]


def rows_of(people, *, stride=L - 1):
    """All full windows of these users: item ids, shape [n, L], oldest first."""
    some = np.isin(users, people)
    history = splits.Interactions(users[some], films[some], movies.n_users, V)
    found = sequences.windows(history, length=L - 1, stride=stride)
    return found[found[:, -1] < V]


# %%
people = rng.permutation(movies.n_users)
train_people, real_people, ceiling_people = np.split(people, [int(0.6 * len(people)), int(0.8 * len(people))])
train = rows_of(train_people, stride=L // 3)
real, ceiling = rows_of(real_people), rows_of(ceiling_people)
N = min(len(real), len(ceiling))
real, ceiling = rng.permutation(real)[:N], rng.permutation(ceiling)[:N]
titles = movies.items["title"].to_numpy()[most]
print(f"{len(train)} rows to learn from, {N} to compare with, {N} of other people;", end=" ")
print(f"{rows_of(people).size / len(truth):.0%} of all ratings are in a full row of these films")
print(" → ".join(titles[real[0]][:6]))

# %% [markdown]
# ## How would you notice that a user is invented?
#
# **Question.** How different are two sets of *real* people?
#
# Count something in real rows, count it in fake rows, and compare the two distributions by their Jensen-Shannon
# divergence (lesson 02), here in bits: 0 for equal ones, 1 for ones that share nothing. What to count:
#
# - **popularity**: how often each film occurs;
# - **transitions**: how often film $j$ comes right after film $i$, for each pair of the $V$ films;
# - **co-occurrence**: how often $i$ and $j$ are in the same row, in whatever order.
#
# A divergence alone says nothing. The **ceiling** is what other real people get. The **floor** is a draw by popularity
# alone, each film on its own. A third control is `shuffled`: the rows of the ceiling with their films in random order.

# %% tags=["nbval-ignore-output"]
floor_model = fidelity.popularity(train, V)


def floor(n, seed):
    """Rows of different films, drawn by popularity alone."""
    return fidelity.sample_popularity(floor_model, n, length=L, seed=seed)


simple = {
    "ceiling": ceiling,
    "shuffled": rng.permuted(ceiling, axis=1),
    "floor": floor(N, SEED),
}
far = {name: fidelity.divergences(real, rows, V) for name, rows in simple.items()}
plots.table({"rows": name, **values} for name, values in far.items())

# %% [markdown]
# There is an order in the data, and there is taste. Popularity sees neither: the floor is drawn by it, and looks as
# real as people. But look at the ceiling: real people are far from other real people in the transitions. Why? There are
# many more pairs of films than transitions in the rows, so most pairs that occur in one set never occur in the other.
# If that is the reason, fewer rows must make it worse.

# %%
claim("ceiling: divergence of transitions (bits)", far["ceiling"]["transitions"])
claim(
    "order: shuffled people are further off in transitions; taste: the floor is further off in co-occurrence",
    far["shuffled"]["transitions"] > far["ceiling"]["transitions"] + 0.015
    and far["floor"]["co-occurrence"] > far["ceiling"]["co-occurrence"] + 0.05,
)
one, other = (fidelity.transitions(rows, V) > 0 for rows in (real, ceiling))
few = fidelity.divergences(real[: N // 4], ceiling[: N // 4], V)
claim(
    "fewer than a third of the transitions occur in both sets; a quarter of the rows diverge more, in all three",
    (one & other).sum() < (one | other).sum() / 3 and all(few[k] > far["ceiling"][k] for k in few),
)

# %% [markdown]
# *Takeaway:* a divergence is a property of the two distributions *and* of the number of rows. Compare at equal numbers,
# and next to the ceiling. A generator that is judged on few rows beside one judged on many starts behind.
#
# ## A judge that learns
#
# **Question.** Counting sees what you thought of counting. Could a network find the rest?
#
# The **classifier two-sample test** (Lopez-Paz and Oquab, 2017): train a network to tell real rows from fake ones, then
# let it score rows of people whom it has never seen. They count right verdicts; we count in which share of all pairs of
# a real and a fake row the real one has the higher score, the **AUC** (area under the ROC curve). It needs no
# threshold: 1/2 is a coin, 1 never errs. The networks are the two that also serve as discriminators: a **CNN**, whose
# filters see two, three or four neighbouring films, with the largest response of each over the whole row (Kim, 2014);
# and an **RNN**, an LSTM (next section) that reads the row and averages its states.
#
# Each judge is first asked about two cases whose answer we know: other people, and the floor. The *margin* is three
# standard deviations of a coin's AUC over independent rows. Ours are not quite: several windows come from one person.
# So we allow the ceiling a little more than a margin.

# %% tags=["nbval-ignore-output"]
half = rng.permutation(train_people)
first, second = rows_of(half[: len(half) // 2], stride=3), rows_of(half[len(half) // 2 :], stride=3)
M = min(len(first), len(second), SIZES["rows"])
first, second = rng.permutation(first)[:M], rng.permutation(second)[:M]


def told_apart(learn, test, *, kind="rnn", epochs=SIZES["judge"]):
    """A judge's AUC: trained on `first` against `learn`, tested on `real` against `test`."""
    judge = advrec.SequenceDiscriminator(V, kind=kind, seed=SEED)
    advrec.fit_discriminator(judge, first, learn, epochs=epochs, learning_rate=0.003, seed=SEED)
    scores = [advrec.numpy(judge.score(advrec.tensor(rows))) for rows in (real, test)]
    return fidelity.two_sample_auc(*scores)


coin = {kind: told_apart(second, ceiling, kind=kind) for kind in ("cnn", "rnn")}
sure = {kind: told_apart(floor(M, SEED + 1), floor(N, SEED + 2), kind=kind) for kind in ("cnn", "rnn")}
longer = told_apart(floor(M, SEED + 1), floor(N, SEED + 2), kind="cnn", epochs=3 * SIZES["judge"])
margin = 3 * np.sqrt(1 / (6 * N))
rows = {
    "CNN": (coin["cnn"], sure["cnn"]),
    "RNN": (coin["rnn"], sure["rnn"]),
    "CNN, three times the training": (None, longer),
}
plots.table({"judge": name, "AUC, other people": other, "AUC, floor": low} for name, (other, low) in rows.items())

# %%
claim("ceiling: both judges are a coin, within six hundredths", max(abs(v - 0.5) for v in coin.values()) < 0.06)
claim(
    "floor: the RNN's AUC is above a coin's by more than four margins, the CNN's is below the RNN's",
    sure["rnn"] > 0.5 + 4 * margin and sure["cnn"] < sure["rnn"],
)
claim(
    "floor: three times the training closes more than half of the CNN's gap to the RNN",
    longer > (sure["cnn"] + sure["rnn"]) / 2,
)

# %% [markdown]
# *Takeaway:* the RNN is shown to work in both directions: it finds the floor, and next to nothing where nothing is. The
# CNN's lower figure does not mean that a CNN sees less. With more training it sees more, so a good part of what we
# compared is how fast the two learn. (We did not train the RNN for longer; it might see more as well.) A judge that
# finds little may just need longer. From here on the RNN judges, with equal training for all, and the CNN will play.
#
# ## Two models of the next film
#
# **Question.** How much of a history has to be remembered to continue it?
#
# The simplest model that has an order is the **bigram**: the next film depends on the last one only, by counted
# transitions. It is the opponent to beat. The network is an **LSTM** (Hochreiter and Schmidhuber, 1997), which carries
# a state $h$ and a memory $c$ along:
#
# $$\begin{aligned} (i, f, g, o) &= x W + h U + b, \\ c &\leftarrow \sigma(f) \odot c + \sigma(i) \odot \tanh(g), \\
# h &\leftarrow \sigma(o) \odot \tanh(c), \qquad \text{logits of the next film} = h\, W_{\text{out}} + b_{\text{out}} .
# \end{aligned}$$
#
# A person rates a film once. Both models know that rule: films that are in the row already have probability 0. Here is
# the LSTM's step once by hand, beside the package's.

# %%
lstm = advrec.SequenceGenerator(V, length=L, hidden=SIZES["hidden"], seed=SEED)


def lstm_step(w, x, h, c):
    """State and memory after the input x; w holds the weights by name."""
    i, f, g, o = np.split(x @ w["input"] + h @ w["state"] + w["gates"], 4, axis=-1)
    c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
    return np.tanh(c) / (1 + np.exp(-o)), c


w, h = lstm.named_weights(), np.zeros((N, SIZES["hidden"]))
h, c = lstm_step(w, w["vectors"][[V] * N], h, h)  # the start, which has a vector of its own
h, c = lstm_step(w, w["vectors"][real[:, 0]], h, c)  # each row's first film
by_hand = h @ w["out"] + w["bias"]
package = advrec.numpy(lstm.logits(advrec.tensor(real)))[:, 1]
allowed = np.arange(V) != real[:, :1]
claim("the logits of the second film are those by hand", np.allclose(by_hand[allowed], package[allowed], atol=1e-5))

# %% [markdown]
# Training by **maximum likelihood**: make real rows probable, one film at a time, given the true films before it,
#
# $$\min_\theta \; -\frac{1}{L} \sum_{t=1}^{L} \log p_\theta(i_t \mid i_1, \dots, i_{t-1}).$$
#
# No opponent is needed. On people whom no model has seen, we compare the mean of $-\log p$.
#
# Counted transitions have gaps: most pairs never occur. **Smoothing** fills them by mixing in popularity. We take two
# bigrams, a *sharp* one with hardly any of it and a *smooth* one with much.

# %% tags=["nbval-ignore-output"]
bigram, smooth = fidelity.fit_bigram(train, V, smoothing=5), fidelity.fit_bigram(train, V, smoothing=300)
advrec.fit_generator(lstm, train, epochs=SIZES["likelihood"], seed=SEED)
share = floor_model / floor_model.sum()


def surprise(log_p):
    """Mean of -log p of an item, in nats."""
    return float(-np.mean(log_p))


surprised = {
    "popularity": surprise(fidelity.Bigram(share, np.tile(share, (V, 1))).log_probabilities(real)),
    "sharp bigram": surprise(bigram.log_probabilities(real)),
    "smooth bigram": surprise(smooth.log_probabilities(real)),
    "LSTM": surprise(advrec.numpy(lstm.log_probabilities(advrec.tensor(real)))),
}
sharp_far, smooth_far = (
    fidelity.divergences(real, fidelity.sample_bigram(b, N, length=L, seed=SEED), V) for b in (bigram, smooth)
)
plots.table({"model": name, "-log p of a film (nats)": value} for name, value in surprised.items())

# %%
claim("new people: -log p of a film, LSTM (nats)", surprised["LSTM"])
claim(
    "the LSTM is surprised less than the smooth bigram, and that less than popularity",
    surprised["LSTM"] < surprised["smooth bigram"] < surprised["popularity"],
)
claim(
    "the sharp bigram is surprised most of all, and yet its rows are nearer to people than the smooth one's",
    surprised["sharp bigram"] > surprised["popularity"]
    and all(sharp_far[k] < smooth_far[k] for k in ("transitions", "co-occurrence")),
)

# %% [markdown]
# *Takeaway:* the last film helps: the smooth bigram predicts better than popularity. The LSTM, which also sees the
# films before it, predicts better still. How much of that is memory we did not take apart: it also learns what similar
# films have in common, which a table of counts cannot.
#
# The two bigrams hold a surprise: the one that predicts worse imitates better. The sharp one hardly ever writes a pair
# that nobody wrote; but new people do write new pairs, and each of them costs it much. Predicting and imitating are two
# tasks, and a baseline has to be set for the task. Ours is to imitate, so the sharp bigram is the opponent from here
# on. (We saw that it imitates better on the rows of `real`, which also judge everyone. That choice can only help the
# bigram.)
#
# To *invent* a user, draw the first film, feed it back, draw the next.
#
# ## Why can't the judge just teach it?
#
# A GAN does without likelihood. The generator draws a row, the discriminator says what it thinks of it, and the
# gradient of that answer tells the generator how to change. In lesson 02, points in a plane were moved that way. Here
# is the smallest possible generator of *items*: six logits. It draws item $k$, the judge's answer to it is $v_k$.
#
# ### Exercise 04.1 · predict: what reaches the generator · 5 min · *
#
# The loss is the judge's answer to the *drawn* item. Its slope with respect to a logit is
#
# - **a**: zero, in every draw;
# - **b**: noisy, but right on average;
# - **c**: that of the item's probability times the answer.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b" or "c".
# BEGIN SOLUTION
prediction = "a"
# END SOLUTION
prediction = exercise("04.1").check(prediction)

# %% [markdown]
# A draw from $\operatorname{softmax}(l)$ can be written without a roulette wheel: add independent **Gumbel noise** $g_k
# = -\log(-\log u_k)$ to the logits, and take the largest (the *Gumbel-max trick*). All chance is in $g$, which does
# not depend on $l$. So we can hold the noise, move one logit a little, and look who changes.

# %%
draws = 20000
logits = np.array([1.0, 0.5, 0.0, 0.0, -0.5, -1.0], np.float32)
answers = np.array([2.0, 5.0, 3.0, 4.0, 1.0, 6.0], np.float32)
p = np.exp(logits) / np.exp(logits).sum()
noise = advrec.numpy(advrec.gumbel_noise((draws, 6), generator=advrec.generator(SEED)))

drawn = (logits + noise).argmax(axis=1)
moved = (logits + noise + np.array([1e-4, 0, 0, 0, 0, 0])).argmax(axis=1)
often = np.bincount(drawn, minlength=6) / draws
claim(
    "items come as often as their probabilities say; a logit moved by 0.0001 changes no more than a draw in a thousand",
    np.allclose(often, p, atol=0.01) and (moved != drawn).mean() < 0.001,
)

# %% [markdown]
# *Takeaway:* the *mean* answer over all draws is $\sum_k p_k v_k$. Differentiate it with respect to the logit $l_k$,
# and you get its slope, $p_k (v_k - \sum_m p_m v_m)$. A *drawn* answer has none. What the generator needs is the first;
# a framework can only differentiate the second. There are two ways out.
#
# ## Way out 1: draw softly, look hard
#
# Replace the largest by a soft largest, the **Gumbel-softmax** (Jang, Gu and Poole, 2017; Maddison, Mnih and Teh,
# 2017):
#
# $$s = \operatorname{softmax}\!\left(\frac{l + g}{\tau}\right).$$
#
# It has a gradient, and for a small temperature $\tau$ it is nearly one-hot. Nearly is not enough: a real row *is*
# one-hot, so a discriminator would only have to look for fractions. The **straight-through** trick (Bengio, Léonard and
# Courville, 2013) shows it the one-hot vector and pretends on the way back that it saw $s$.
#
# ### Exercise 04.2 · straight through · 15 min · **
#
# Return one-hot vectors of the items that are drawn, with the gradient of the Gumbel-softmax. Use the noise that you
# are given: then a draw can be repeated, and checked.


# %% tags=["pytorch", "exercise"]
def draw(logits, noise, *, temperature):
    """One-hot vectors of the largest logits + noise, with the gradient of the Gumbel-softmax.

    logits, noise: tensors of one shape [..., n_items].  temperature: tau, positive.
    Returns a tensor of that shape whose vectors are one-hot, and through which a gradient reaches the logits.
    """
    # BEGIN SOLUTION
    soft = ((logits + noise) / temperature).softmax(dim=-1)
    hard = torch.nn.functional.one_hot(soft.argmax(dim=-1), soft.shape[-1])
    return hard + (soft - soft.detach())
    # END SOLUTION


draw = exercise("04.2").check(draw)


# %% tags=["tensorflow", "exercise"]
def draw(logits, noise, *, temperature):
    """One-hot vectors of the largest logits + noise, with the gradient of the Gumbel-softmax.

    logits, noise: tensors of one shape [..., n_items].  temperature: tau, positive.
    Returns a tensor of that shape whose vectors are one-hot, and through which a gradient reaches the logits.
    """
    # BEGIN SOLUTION
    soft = tf.nn.softmax((logits + noise) / temperature)
    hard = tf.one_hot(tf.argmax(soft, axis=-1), soft.shape[-1])
    return hard + (soft - tf.stop_gradient(soft))
    # END SOLUTION


draw = exercise("04.2").check(draw)

# %% [markdown]
# Stuck? `exercise("04.2").hint()` gives three hints, one at a time.
#
# ## Way out 2: try, and repeat what paid
#
# The other way needs no gradient of the judge at all. **REINFORCE** (Williams, 1992), a *policy gradient*, writes the
# slope of the mean answer as a mean that can be drawn:
#
# $$\nabla \, \mathbb{E}[v] = \mathbb{E}\big[ (v - b)\, \nabla \log p(\text{drawn}) \big] .$$
#
# Rows that earn more than $b$ become more likely, others less. The **baseline** $b$, here the mean reward of the batch,
# leaves the mean where it is (but for a factor $1 - 1/n$, as each row is part of its own baseline) and calms the noise.
# SeqGAN (Yu et al., 2017) trains its generator of text that way.
#
# ### Exercise 04.3 · the policy gradient · 10 min · **
#
# Write the *loss* whose gradient is that. The framework differentiates it for you.


# %% tags=["pytorch", "exercise"]
def policy_loss(log_probability, rewards):
    """The loss whose gradient makes rows with more than the mean reward more likely.

    log_probability: logarithm of each drawn row's probability, shape [n].  rewards: what each row earned, shape [n];
    constants to the gradient.  Returns a mean over the rows.
    """
    # BEGIN SOLUTION
    better = (rewards - rewards.mean()).detach()
    return -(better * log_probability).mean()
    # END SOLUTION


policy_loss = exercise("04.3").check(policy_loss)


# %% tags=["tensorflow", "exercise"]
def policy_loss(log_probability, rewards):
    """The loss whose gradient makes rows with more than the mean reward more likely.

    log_probability: logarithm of each drawn row's probability, shape [n].  rewards: what each row earned, shape [n];
    constants to the gradient.  Returns a mean over the rows.
    """
    # BEGIN SOLUTION
    better = tf.stop_gradient(rewards - tf.reduce_mean(rewards))
    return -tf.reduce_mean(better * log_probability)
    # END SOLUTION


policy_loss = exercise("04.3").check(policy_loss)

# %% [markdown]
# **Question.** Which of the two is nearer to the true slope: on average, and in a single draw?
#
# For six logits the exact slope is known. We estimate it with each draw by itself, with *your* two functions, and take
# the mean and the spread over all draws. For the policy gradient that is the chain rule: the slope of your loss with
# respect to $\log p_k$, times the slope of $\log p_k$ with respect to the logits, which is $\text{onehot}_k - p$.


# %% tags=["nbval-ignore-output"]
def straight_through_slopes(temperature):
    """One estimate of the slope for every draw, shape [draws, 6]."""
    fixed, v, ones = (advrec.tensor(a) for a in (noise, answers[:, None], np.ones((1, draws))))
    tiled = advrec.tensor(np.tile(logits, (draws, 1)))
    return advrec.numpy(advrec.value_and_grad(lambda x: ones @ (draw(x, fixed, temperature=temperature) @ v), tiled)[1])


exact = p * (answers - p @ answers)  # the slope of the mean answer, sum of p_k v_k
score, earned = np.eye(6)[drawn] - p, advrec.tensor(answers[drawn])
log_p = advrec.tensor(np.log(p)[drawn])
better = -draws * advrec.numpy(advrec.value_and_grad(lambda x: policy_loss(x, earned), log_p)[1])
estimates = {
    "policy gradient, no baseline": answers[drawn][:, None] * score,
    "policy gradient": better[:, None] * score,
    "straight-through, tau = 1": straight_through_slopes(1.0),
    "straight-through, tau = 0.2": straight_through_slopes(0.2),
}
error = {name: np.linalg.norm(e.mean(0) - exact) / np.linalg.norm(exact) for name, e in estimates.items()}
spread = {name: np.sqrt(e.var(0).sum()) / np.linalg.norm(exact) for name, e in estimates.items()}
plots.table(
    {"estimate": k, "error of the mean / slope": error[k], "spread of one draw / slope": spread[k]} for k in estimates
)

# %%
claim(
    "policy gradient: its mean is right within a tenth, and the baseline calms it",
    error["policy gradient"] < 0.1 and spread["policy gradient"] < spread["policy gradient, no baseline"],
)
sharp, soft = (f"straight-through, tau = {tau}" for tau in ("0.2", "1"))
claim(
    "straight-through: with tau = 1 its mean is off by more than a tenth; a small tau mends that, and spreads further",
    error[soft] > 0.1 > error[sharp] and spread[sharp] > spread[soft],
)

# %% [markdown]
# *Takeaway:* bias or noise, your choice. Straight-through uses how the judge's answer changes in every direction. With
# a large $\tau$ it is calm and off, with a small one nearly right and noisy. The policy gradient uses one number a
# draw, and is right on average. Here there is one draw among six items. A row has `L` draws among `V`, so do not expect
# these figures there.
#
# ## Bug hunt: a listing that cannot work
#
# A widely copied listing promises "fake user behaviour with a GAN". Here it is in our words, with all its faults, cut
# down to what it does. (We have defined what it leaves undefined: batch size, shapes, optimisers.) The text around it
# derives $-\log D(G(z))$ for the generator and $-[\log D(x) + \log(1 - D(G(z)))]$ for the discriminator.
#
# `generate` makes fake rows from noise, with weights `w`: an item's vectors, `w["vectors"]` [n_items, d]; matrices
# `w["input"]` [d, d], `w["last"]` [d, 1] and `w["out"]` [d, n_items]. `losses` takes logits and returns two numbers:
# the discriminator's, a sum of two means over rows, and the generator's, one such mean. `score` asks a judge, a network
# that takes *one* tensor of rows, for the logits of a whole data set, which is a list of batches, and returns them in
# one tensor. (`advrec.straight_through(soft)` is the package's trick of exercise 04.2, for probabilities that you have
# already.)
#
# ### Exercise 04.4 · bug hunt: six faults · 25 min · ***
#
# The check runs each method and says which faults **remain**. Repair them one by one, in the cell below: run it, read,
# repair, run again.


# %% tags=["pytorch", "exercise"]
class ArticleGAN:
    """Fake rows by a GAN, after a widely copied listing."""

    def generate(self, w, z):
        """Fake rows from Gaussian noise z [n, length, d]: one-hot vectors [n, length, n_items]."""
        x = w["vectors"][z.long() % len(w["vectors"])].mean(dim=2)  # the Embedding layer
        number = torch.sigmoid(x.mean(dim=1) @ w["last"])
        return (number * w["out"].shape[1]).long()

    def losses(self, real_logits, fake_logits):
        """The discriminator's loss and the generator's, from logits."""
        d_real, d_fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
        return d_real.mean() + d_fake.mean(), -d_fake.mean()

    def score(self, judge, batches):
        """The judge's logits of all rows of a data set, which is a list of batches."""
        return judge(batches)


# %% tags=["tensorflow", "exercise"]
class ArticleGAN:
    """Fake rows by a GAN, after a widely copied listing."""

    def generate(self, w, z):
        """Fake rows from Gaussian noise z [n, length, d]: one-hot vectors [n, length, n_items]."""
        ids = tf.cast(z, tf.int64) % len(w["vectors"])
        x = tf.reduce_mean(tf.gather(w["vectors"], ids), axis=2)  # the Embedding layer
        number = tf.sigmoid(tf.reduce_mean(x, axis=1) @ w["last"])
        return tf.cast(number * w["out"].shape[1], tf.int64)

    def losses(self, real_logits, fake_logits):
        """The discriminator's loss and the generator's, from logits."""
        d_real, d_fake = tf.sigmoid(real_logits), tf.sigmoid(fake_logits)
        return tf.reduce_mean(d_real) + tf.reduce_mean(d_fake), -tf.reduce_mean(d_fake)

    def score(self, judge, batches):
        """The judge's logits of all rows of a data set, which is a list of batches."""
        return judge(batches)


# %% tags=["pytorch", "solution"]
class ArticleGAN:
    """Fake rows by a GAN, repaired."""

    def generate(self, w, z):
        """Fake rows from Gaussian noise z [n, length, d]: one-hot vectors [n, length, n_items]."""
        soft = (torch.tanh(z @ w["input"]) @ w["out"]).softmax(dim=-1)
        return advrec.straight_through(soft)

    def losses(self, real_logits, fake_logits):
        """The discriminator's loss and the generator's, from logits."""
        softplus = torch.nn.functional.softplus
        return softplus(-real_logits).mean() + softplus(fake_logits).mean(), softplus(-fake_logits).mean()

    def score(self, judge, batches):
        """The judge's logits of all rows of a data set, which is a list of batches."""
        return torch.cat([judge(batch) for batch in batches])


# %% tags=["tensorflow", "solution"]
class ArticleGAN:
    """Fake rows by a GAN, repaired."""

    def generate(self, w, z):
        """Fake rows from Gaussian noise z [n, length, d]: one-hot vectors [n, length, n_items]."""
        soft = tf.nn.softmax(tf.tanh(z @ w["input"]) @ w["out"])
        return advrec.straight_through(soft)

    def losses(self, real_logits, fake_logits):
        """The discriminator's loss and the generator's, from logits."""
        discriminator = tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(tf.nn.softplus(fake_logits))
        return discriminator, tf.reduce_mean(tf.nn.softplus(-fake_logits))

    def score(self, judge, batches):
        """The judge's logits of all rows of a data set, which is a list of batches."""
        return tf.concat([judge(batch) for batch in batches], axis=0)


# %%
ArticleGAN = exercise("04.4").check(ArticleGAN)

# %% [markdown]
# One of the faults hides well, because nothing stops: a look-up cuts every Gaussian number between -1 and 1, which are
# most of them, to film 0.
#
# *Takeaway:* a listing that runs is no proof. Ask of each part what you know beforehand: the shape, the value on an
# easy case, and whether a gradient arrives. The text has two slips as well. The discriminator does not "maximise the
# generator's loss", it maximises its own log-likelihood (lesson 02), and *Improved Techniques for Training GANs* is by
# Salimans et al. (2016).
#
# ## The game
#
# **Question.** Can the LSTM learn from a discriminator alone? And if it comes from maximum likelihood already, does the
# game make it better?
#
# `advrec.fit_sequence_gan` is the loop: the discriminator (here the CNN) learns from a batch of real and drawn rows,
# then the generator takes one step with one of the two gradients, with the package's versions of your two functions.
# The temperature is $\tau = 1$, at which the comparison above found the straight-through slope well off. The generator
# starts **from scratch**, or **after likelihood**, as SeqGAN does. The discriminator starts untrained; SeqGAN's has
# been trained before. Two further runs change one thing each: one shows the discriminator the soft vectors $s$
# themselves, one takes steps of a tenth of the size. For comparison stand the network before any training, and the
# floor. The left panel shows running means, and leaves out the games from scratch and in small steps.


# %%
def play(start, estimator, *, steps, rate):
    """A generator after `steps` of the game, and the game's history."""
    generator, opponent = start.copy(), advrec.SequenceDiscriminator(V, seed=SEED)
    history = advrec.fit_sequence_gan(
        generator, opponent, train, steps=steps, estimator=estimator, learning_rates=(rate, 0.002), seed=SEED
    )
    return generator, history


scratch = advrec.SequenceGenerator(V, length=L, hidden=SIZES["hidden"], seed=SEED)
games = {
    "scratch, straight-through": play(scratch, "straight-through", steps=SIZES["game"], rate=0.003),
    "likelihood, straight-through": play(lstm, "straight-through", steps=SIZES["tune"], rate=0.001),
    "likelihood, policy gradient": play(lstm, "reinforce", steps=SIZES["tune"], rate=0.001),
    "likelihood, soft": play(lstm, "gumbel", steps=SIZES["tune"], rate=0.001),
    "likelihood, small steps": play(lstm, "straight-through", steps=SIZES["tune"], rate=0.0001),
}
networks = {"untrained": scratch, "likelihood": lstm} | {name: generator for name, (generator, _) in games.items()}
invented = {name: advrec.sample_sequences(g, N, seed=SEED) for name, g in networks.items()}
far |= {name: fidelity.divergences(real, rows, V) for name, rows in invented.items()}

# %% tags=["nbval-ignore-output"]
LOOKS = {"straight-through": ("fake", "-"), "policy gradient": ("extra", "-."), "soft": ("fake", "--")}
fig, axes = plots.figure("Shown soft rows, the discriminator wins; no game brings the LSTM nearer to people", columns=2)
for name, (role, dashes) in LOOKS.items():
    values = games[f"likelihood, {name}"][1]["discriminator_loss"]
    means = np.convolve(values, np.ones(5) / 5, mode="valid")  # of five steps each
    plots.line(axes[0], np.arange(len(means)), means, role, name, marker="", linestyle=dashes)
axes[0].axhline(2 * np.log(2), color=plots.RANDOM, linewidth=1)
plots.label(axes[0], x="step of the game, after likelihood", y="discriminator's loss (grey: a coin)", legend=True)
names = ["ceiling", "likelihood", *(k for k in games if k.startswith("likelihood"))]
names += [*(k for k in games if k.startswith("scratch")), "untrained", "floor"]
axes[1].barh(
    names[::-1],
    [far[k]["co-occurrence"] for k in names[::-1]],
    color=[
        plots.REAL if k == "ceiling" else plots.RANDOM if k in ("floor", "untrained") else plots.FAKE
        for k in names[::-1]
    ],
)
plots.label(axes[1], x="divergence of co-occurrence (bits)", y="")

# %%
end = {name: history["discriminator_loss"][-20:].mean() for name, (_, history) in games.items()}
claim(
    "shown soft rows, the discriminator ends with less than two thirds of the loss that one-hot rows leave it",
    end["likelihood, soft"] < min(end["likelihood, straight-through"], end["likelihood, policy gradient"]) * 2 / 3,
)
claim(
    "from scratch, straight-through ends further from people than the floor, in popularity and co-occurrence",
    all(far["scratch, straight-through"][k] > far["floor"][k] for k in ("popularity", "co-occurrence")),
)
start = far["likelihood"]["co-occurrence"]
tuned = {name: far[name]["co-occurrence"] - start for name in games if name.startswith("likelihood")}
claim(
    "after likelihood, straight-through takes the co-occurrence further from people, soft rows further still",
    0 < tuned["likelihood, straight-through"] < tuned["likelihood, soft"],
)
claim(
    "no game after likelihood brings it nearer by more than a hundredth of a bit, and small steps move it by less",
    min(tuned.values()) > -0.01 and abs(tuned["likelihood, small steps"]) < 0.01,
)

# %% [markdown]
# *Takeaway:* from scratch, the straight-through game did not lead towards people: in the figure it ends even further
# off than the same network before any training. What more steps would do, we did not see. After likelihood, none of our
# games brought the LSTM nearer; in small steps it hardly moved, which says little about the game.
#
# One doubt stays. In the left panel the discriminator's loss on one-hot rows keeps near a coin's: it has learned little
# that it could pass on. We did *not* train it before the game, as SeqGAN does. Whether a better prepared opponent would
# change the outcome is left open here; the cell above is the place to try it.
#
# That none of the games won fits what others found with more patience: on text, Caccia et al. (2020) report that
# networks trained by likelihood beat GANs at every balance of quality and diversity. It is not *impossible*: de Masson
# d'Autume et al. (2019) train a GAN of text from scratch, with very large batches and a reward for every word, and come
# out about level with likelihood. (`PROFILE = "full"` plays more than a hundred times as long as we do.)
#
# ## A variational autoencoder beside it
#
# **Question.** Must a user be written down film by film?
#
# A **variational autoencoder** (VAE; Kingma and Welling, 2014) takes a user as a whole. Its encoder turns the films $x$
# of a row, 0 or 1 for each, into a distribution over a short code, its decoder turns a code $z$ into probabilities of
# all films. Liang et al. (2018) built it for recommenders:
#
# $$\min \; \mathbb{E}_{z \sim q(z \mid x)} \Big[ -\sum_i x_i \log \operatorname{softmax}_i\, d(z) \Big]
# + \beta\, \mathrm{KL}\big( q(z \mid x) \,\big\|\, \mathcal{N}(0, 1) \big).$$
#
# The first part asks for the films back. The second, weighted by $\beta$, is small when the codes of people are spread
# like the noise (KL is the Kullback-Leibler divergence, 0 for equal distributions). To invent a user, draw $z$ from
# that noise, $\mathcal{N}(0, 1)$, then films from the decoder. No item is drawn in training, so nothing cuts the
# gradient: the noise is in the code, and a Gaussian code is $z = \mu + \sigma \odot \epsilon$. Here $\mu$ and $\sigma$
# come from the encoder, and $\epsilon$ is drawn from $\mathcal{N}(0, 1)$, so $z$ has a gradient. We take vectors rather
# than sequences because a VAE with an LSTM as its decoder tends to ignore the code (Bowman et al., 2016), and would
# then be our LSTM again.
#
# The price is plain: a vector has no order, so the order of an invented row is only that in which its films were drawn.
# The control: shuffle its rows, and shuffle people's.

# %%
vae = advrec.InteractionVAE(V, seed=SEED)
advrec.fit_vae(vae, fidelity.interaction_table(train, V), epochs=SIZES["vae"], beta=1.0, seed=SEED)
invented["VAE"] = advrec.sample_vae(vae, N, length=L, seed=SEED)
invented["VAE, shuffled"] = rng.permuted(invented["VAE"], axis=1)
invented["bigram"] = fidelity.sample_bigram(bigram, N, length=L, seed=SEED)
far |= {name: fidelity.divergences(real, invented[name], V) for name in ("VAE", "VAE, shuffled", "bigram")}
lost = {
    name: far[shuffled]["transitions"] - far[name]["transitions"]
    for name, shuffled in {"ceiling": "shuffled", "VAE": "VAE, shuffled"}.items()
}
claim(
    "the VAE is nearer to people than the bigram in co-occurrence, and further off in transitions",
    far["VAE"]["co-occurrence"] < far["bigram"]["co-occurrence"]
    and far["VAE"]["transitions"] > far["bigram"]["transitions"],
)
claim(
    "shuffling moves the VAE's transitions less than half as far as people's",
    abs(lost["VAE"]) < lost["ceiling"] / 2,
)

# %% [markdown]
# *Takeaway:* the VAE knows better which films go together, and has hardly an order that could be lost. The bigram knows
# neighbours, and forgets what stood before them.
#
# ## All of them before the judges
#
# ### Exercise 04.5 · predict: who comes nearest? · 5 min · *
#
# All candidates stand before all measures: transitions, co-occurrence, and a fresh RNN as judge for each. Two controls
# stand beside them, the floor and `copies`, which are rows of the training people handed out as they are. Of the four
# below, the nearest to people in *co-occurrence* is
#
# - **a**: the LSTM that learned in the game from scratch (straight-through), since it was trained to be taken for real;
# - **b**: the sharp bigram, which is hard to beat on little data;
# - **c**: the LSTM that learned by maximum likelihood;
# - **d**: the VAE, which knows the taste of a whole user.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b", "c" or "d".
# BEGIN SOLUTION
prediction = "c"
# END SOLUTION
prediction = exercise("04.5").check(prediction)

# %%
theirs = rows_of(train_people)  # windows that share one film at most, as those of `real` and `ceiling`
makers = {
    "floor": floor,
    "bigram": lambda n, seed: fidelity.sample_bigram(bigram, n, length=L, seed=seed),
    "VAE": lambda n, seed: advrec.sample_vae(vae, n, length=L, seed=seed),
    "LSTM, likelihood": lambda n, seed: advrec.sample_sequences(lstm, n, seed=seed),
    "LSTM, likelihood, then game": lambda n, seed: advrec.sample_sequences(
        networks["likelihood, straight-through"], n, seed=seed
    ),
    "LSTM, game from scratch": lambda n, seed: advrec.sample_sequences(
        networks["scratch, straight-through"], n, seed=seed
    ),
    "copies": lambda n, seed: np.random.default_rng(seed).permutation(theirs)[np.arange(n) % len(theirs)],
}
tests = {name: make(N, SEED + 2) for name, make in makers.items()}
caught = {name: told_apart(make(M, SEED + 1), tests[name]) for name, make in makers.items()}
caught["ceiling"], tests["ceiling"] = coin["rnn"], ceiling
far |= {name: fidelity.divergences(real, rows, V) for name, rows in tests.items()}

# %% tags=["nbval-ignore-output"]
order = [
    "ceiling",
    "copies",
    "LSTM, likelihood",
    "LSTM, likelihood, then game",
    "VAE",
    "bigram",
    "LSTM, game from scratch",
    "floor",
]
fig, axes = plots.figure(
    "Likelihood, bigram and VAE come nearer to people than the floor, the game from scratch does not",
    columns=3,
    size=(12, 3.8),
    sharey=True,
)
for axis, key in zip(axes, ("transitions", "co-occurrence", None)):
    values = [far[name][key] if key else caught[name] for name in order]
    colours = [
        plots.REAL if name in ("ceiling", "copies") else plots.RANDOM if name == "floor" else plots.FAKE
        for name in order
    ]
    axis.barh(order, values, color=colours)
    axis.axvline(values[0], color="black", linewidth=1, linestyle=":")
    axis.invert_yaxis() if axis is axes[0] else None
    plots.label(axis, x=f"divergence of {key} (bits)" if key else "AUC of the judge (0.5: a coin)", y="")
axes[2].set_xlim(0.5, 1)
print(f"LSTM's AUC less the ceiling's: {caught['LSTM, likelihood'] - caught['ceiling']:.3f}; the margin: {margin:.3f}")
plots.table({"rows": name, **far[name], "AUC": caught[name]} for name in order)

# %%
game = "LSTM, game from scratch"
ours, lead = far["LSTM, likelihood"], far["bigram"]["transitions"] - far["LSTM, likelihood"]["transitions"]
claim(
    "of the four candidates the LSTM by likelihood is nearest to people in co-occurrence",
    all(ours["co-occurrence"] < far[name]["co-occurrence"] for name in ("bigram", "VAE", game)),
)
claim(
    "in transitions it and the bigram are level, within three hundredths of a bit, and nearer than the other two",
    abs(lead) < 0.03
    and all(
        far[k]["transitions"] < far[name]["transitions"]
        for k in ("bigram", "LSTM, likelihood")
        for name in ("VAE", game)
    ),
)
claim(
    "the judge tells the LSTM by likelihood and the bigram apart less than the floor and both games",
    max(caught["LSTM, likelihood"], caught["bigram"])
    < min(caught[k] for k in ("floor", game, "LSTM, likelihood, then game")),
)
claim("LSTM by likelihood: AUC of the judge", caught["LSTM, likelihood"])

# %% [markdown]
# *Takeaway:* of the four, an LSTM trained by likelihood on a few hundred people comes nearest to new people in what
# goes together. (The dotted lines mark the ceiling.) In what follows on what, the bigram, which counts pairs, is level
# with it. Who is second depends on what you ask: the VAE is nearer than the bigram in co-occurrence and further off in
# transitions. So keep both kinds of measure.
#
# Hold the judge's AUC for the LSTM against the ceiling's, too: how far apart they lie, and the margin, is printed above
# the table. The margin is meant for independent rows, so a difference of about one margin does not settle whether this
# judge can tell the LSTM's rows from people's. And a judge has no verdict "real", only "not caught": more rows, or a
# stronger network, may still find out what this one missed.
#
# One row of the table is too good: `copies`.
#
# ## Invented, or copied?
#
# **Question.** How do you notice a generator that repeats what it has seen?
#
# The counts cannot, and neither can our judge: it learns from windows of training people as real, and copies are
# windows of training people. So look at the distance to the *training* rows: how many films a row shares with the
# nearest of them, and how many runs of three films stand there in the same order. As always the number to hold it
# against is that of new people, who share films with training people without having copied anyone. And for diversity,
# how many films two rows of one set share.
#
# We also make a generator that we *know* to copy: the same LSTM, trained far too long on few rows. Its nearest row is
# sought among those few only. New people share fewer films with the nearest of few rows than with the nearest of all,
# so the `ceiling` of the table is not its control; the claim holds it against new people and the *same* few rows.

# %% tags=["nbval-ignore-output"]
known = train[rng.permutation(len(train))[:100]]
parrot = advrec.SequenceGenerator(V, length=L, hidden=SIZES["hidden"], seed=SEED)
advrec.fit_generator(parrot, known, epochs=30 * SIZES["likelihood"], learning_rate=0.01, seed=SEED)
candidates = tests | {"parrot": advrec.sample_sequences(parrot, N, seed=SEED)}
seen = dict.fromkeys(candidates, train) | {"parrot": known, "copies": theirs}
copied = {
    name: {
        "nearest training row": fidelity.nearest_overlap(rows, seen[name], V).mean(),
        "runs of three copied (%)": 100 * fidelity.copied_runs(rows, seen[name], V, run=3),
        "films shared by two rows": fidelity.mean_overlap(rows, V),
    }
    for name, rows in candidates.items()
}
new_people = fidelity.nearest_overlap(ceiling, known, V).mean()
plots.table({"rows": name, **values} for name, values in copied.items())

# %%
near = {name: values["nearest training row"] for name, values in copied.items()}
alike = {name: values["films shared by two rows"] for name, values in copied.items()}
claim(
    "copies keep the judge within a tenth of a coin, though they share every film with a training row",
    abs(caught["copies"] - 0.5) < 0.1 and near["copies"] == L,
)
claim(
    "with the nearest training row the LSTM shares at most half a film more than new people, the parrot three more",
    near["LSTM, likelihood"] < near["ceiling"] + 0.5 and near["parrot"] > new_people + 3,
)
claim(
    "two rows of the LSTM share as many films as two of people, within a tenth; after the game two rows share more",
    abs(alike["LSTM, likelihood"] / alike["ceiling"] - 1) < 0.1
    and alike["LSTM, likelihood, then game"] > alike["LSTM, likelihood"],
)

# %% [markdown]
# *Takeaway:* three questions, three measures. Fidelity: is it like people? Diversity: are its rows unlike each other?
# Copying: is it unlike the people it learned from? Copies pass the first two and fail the third; the floor passes the
# last two and fails the first. And "no nearer than new people on average" is not "private": one user who is copied
# whole vanishes in a mean. Lesson 06 looks at the single user.
#
# ## What can go wrong
#
# - **A judge without a ceiling.** An AUC of 0.6 may be the generator's fault or the sample's. Let it judge real
#   people against real people first.
# - **Windows of one user in both halves.** Split by *people*. Two windows of one user are alike, and a judge that saw
#   one may recognise the other.
# - **What the rows leave out.** Few films, short rows, no stars, no times. "Plausible" means plausible in these
#   respects, and the order is that of *rating*, not of watching.
# - **One setting.** Our games are short and were tuned little. That likelihood wins here says what a few seconds of
#   each are worth, on this data.
# - **Cleaning with hindsight.** We knew the dirt. In your own log, find a check for every rule that does not use it.
#
# **Misuse.** A generator of plausible users is a generator of fake accounts: lesson 12 shows what they do to a
# recommender. Label what you invent, keep it out of systems in which people are counted, and never publish it as
# "anonymous data" because nobody in it exists.
#
# ## What we learned
#
# - Dirt of form can be cleaned, holes cannot. Whether to drop or keep a row with a hole depends on the question.
# - A drawn item has no slope. Straight-through is calm and off with a large $\tau$, nearly right and noisy with a small
#   one. The policy gradient is right on average and noisy; a baseline calms it.
# - Likelihood beats the game on this budget, and a bigram is no straw man.
# - A VAE on vectors knows taste and hardly an order.
# - A judge is worth what it did on the ceiling and on the floor, at the training it had.
# - Every figure needs its floor, its ceiling and equal numbers of rows; fidelity without a look at copying is half a
#   result.
#
# **Next:** lesson 05 asks whether fake users make recommendations better.
#
# ## Further reading
#
# - David Lopez-Paz, Maxime Oquab: *Revisiting Classifier Two-Sample Tests*. ICLR 2017.
# - Eric Jang, Shixiang Gu, Ben Poole: *Categorical Reparameterization with Gumbel-Softmax*. ICLR 2017.
# - Chris J. Maddison, Andriy Mnih, Yee Whye Teh: *The Concrete Distribution: A Continuous Relaxation of Discrete Random
#   Variables*. ICLR 2017. The same distribution, found at the same time.
# - Yoshua Bengio, Nicholas Léonard, Aaron Courville: *Estimating or Propagating Gradients Through Stochastic Neurons
#   for Conditional Computation*. 2013, arXiv:1308.3432. Straight-through.
# - Ronald J. Williams: *Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning*.
#   Machine Learning 8, 1992. REINFORCE.
# - Lantao Yu, Weinan Zhang, Jun Wang, Yong Yu: *SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient*.
#   AAAI 2017.
# - Diederik P. Kingma, Max Welling: *Auto-Encoding Variational Bayes*. ICLR 2014.
# - Dawen Liang, Rahul G. Krishnan, Matthew D. Hoffman, Tony Jebara: *Variational Autoencoders for Collaborative
#   Filtering*. WWW 2018.
# - Samuel R. Bowman, Luke Vilnis, Oriol Vinyals, Andrew M. Dai, Rafal Jozefowicz, Samy Bengio: *Generating Sentences
#   from a Continuous Space*. CoNLL 2016. A sequence VAE whose decoder ignores the code.
# - Massimo Caccia, Lucas Caccia, William Fedus, Hugo Larochelle, Joelle Pineau, Laurent Charlin: *Language GANs Falling
#   Short*. ICLR 2020. Likelihood against GANs, compared at equal diversity.
# - Cyprien de Masson d'Autume, Mihaela Rosca, Jack Rae, Shakir Mohamed: *Training Language GANs from Scratch*. NeurIPS
#   2019. What it takes.
# - Sepp Hochreiter, Jürgen Schmidhuber: *Long Short-Term Memory*. Neural Computation 9(8), 1997.
# - Yoon Kim: *Convolutional Neural Networks for Sentence Classification*. EMNLP 2014.
