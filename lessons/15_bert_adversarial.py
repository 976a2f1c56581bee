# ---
# jupyter:
#   advrec:
#     title: What does adversarial fine-tuning change?
#     minutes: 100
#     data: [reviews, minilm]
#     prerequisites: ["00", "08", "10", "11", "14"]
# ---

# %% [markdown]
# # 15 · What does adversarial fine-tuning change?
#
# You will find out what four ways of fine-tuning BERT against moved words buy and cost, next to two controls: plain
# training, and training with noise of the same size. And you will see which lines of the usual listing go wrong
# without a message.

# %% [markdown]
# **You will be able to**
#
# - move the words of each text of a batch by a length of its own, and put everything back;
# - find the faults of a copied `attack()` / `restore()` listing;
# - fine-tune with FGM, PGD, FreeLB and a smooth loss, and say what each costs;
# - tell a gain in clean quality from the noise of a test sample;
# - draw the loss around a text, and say which layer a defence protects.

# %% tags=["pytorch"]
import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from advrec_teach import claim, classification, data, exercise, plots, texts
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow"]
import numpy as np
from sklearn.metrics import roc_auc_score

from advrec_teach import claim, classification, data, exercise, plots, texts
from advrec_teach import tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"layers": 1, "tokens": 12, "train": 200, "test": 60, "attacked": 24, "start": 6, "steps": 2},
    "quick": {"layers": 2, "tokens": 20, "train": 4000, "test": 500, "attacked": 96, "start": 100, "steps": 20},
    "full": {"layers": 6, "tokens": 96, "train": 15000, "test": 4000, "attacked": 400, "start": 900, "steps": 400},
}[PROFILE]
device = advrec.setup(lesson="15", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## What is there to move?
#
# **Question.** Lesson 08 moved the vectors of a recommender. A text is made of words: half a word does not exist. What
# can an attack with a gradient move?
#
# The reviews, the split by products and the classifier are those of lesson 14: the first layers of MiniLM (a small
# network of BERT's kind), the mean over the words, one linear head; "does the customer recommend the product?". We read
# the title and the first words only, and two layers, so that many short trainings fit into this lesson.

# %%
frame = texts.labelled_reviews(data.reviews())
split = texts.split_by_product(frame, seed=SEED)


def encoded(part, count):
    """A random sample of reviews as token ids with labels: 1 for recommended."""
    chosen = part.sample(min(count, part.height), seed=SEED, shuffle=True)
    return texts.encode(chosen["text"].to_list(), chosen["label"].to_numpy(), max_length=SIZES["tokens"])


train, test = encoded(split.train, SIZES["train"]), encoded(split.test, SIZES["test"])
class_weights = texts.balanced_weights(train.labels)

# %% [markdown]
# Attacks cost many gradients, so they get fewer texts, as many of each class. Four reviews of five recommend, and an
# attack on such a sample would mostly be one on the larger class. The attacked texts come from the split's validation
# products: neither the training nor the test sample shares a product with them, and nothing is chosen with them here.

# %%
pool = encoded(split.validation, 8 * SIZES["attacked"])
of_class = [np.flatnonzero(pool.labels == label)[: SIZES["attacked"] // 2] for label in (0, 1)]
target = pool.take(np.concatenate(of_class))
SETTINGS = {"batch_size": 16, "class_weights": class_weights, "rate": 2e-4}
model = advrec.TextClassifier(layers=SIZES["layers"], seed=SEED)
history = advrec.fit_text_classifier(model, train, steps=SIZES["start"], **(SETTINGS | {"rate": 3e-4}), seed=SEED)
start = model.copy()

# %% [markdown]
# The network does not read ids. It looks up a vector $x_{it}$ for the word at place $t$ of text $i$, and only then
# computes. These vectors can move by any small step $\delta_{it}$, and
#
# $$\max_{||\delta_i||_2 \le \varepsilon} L\big(\theta; \, x_i + \delta_i, \, y_i\big)$$
#
# is the attack of lesson 08 again. The length is taken over **all words of one text together**:
# $||\delta_i||_2^2 = \sum_t ||\delta_{it}||_2^2$. What is a large $\varepsilon$? Compare it with the length of one
# word's vector.

# %%
real = target.ids != texts.PADDING
words = advrec.numpy(model.embed(target.ids)) * real[..., None]
MEDIAN = float(np.median(np.linalg.norm(words[real], axis=1)))
EPS = 0.15 * MEDIAN
of_text = np.sqrt((words**2).sum((1, 2)))
claim("median length of a word's vector", MEDIAN)
claim("EPS is less than a twentieth of the median length of a whole text", bool(np.median(of_text) > 20 * EPS))

# %% [markdown]
# *Takeaway:* from here on EPS is 0.15 of the median length of **one** word, for all words of a text together. Beside
# the length of a whole text that is small.
#
# ## One move for each text
#
# FGM, the fast gradient method (Miyato et al., 2017), goes $\varepsilon$ along the gradient, each text by a length of
# its own:
#
# $$\delta_i = \varepsilon \, \frac{g_i}{||g_i||_2}, \qquad g = \nabla_x L(\theta; x, y) .$$
#
# Two things are easy to get wrong. A batch holds many texts, and the length is that of *one* text, over its places and
# coordinates. And short texts are filled up with padding (id 0), which is no word: it must not move, nor count. With as
# few tokens as here padding is rare; in the profile `full` it is common.
#
# ### Exercise 15.1 · a move for each text · 10 min · **
#
# Write the move for any direction `way`: a gradient, or noise. It is used for both below. Every text moves by exactly
# eps, however long or short its direction is; only a text without any direction (all zeros) stays.


# %% tags=["pytorch", "exercise"]
def text_moves(way, ids, *, eps):
    """The move of each text: along its own part of `way`, of length eps over its real words together.

    way: tensor [n, t, d];  ids: tensor [n, t], 0 for padding.  Returns a tensor [n, t, d]; padding gets 0.
    """
    # BEGIN SOLUTION
    way = way * (ids != 0).unsqueeze(-1)
    length = torch.sqrt((way**2).sum(dim=(1, 2), keepdim=True))
    return eps * way / torch.where(length > 0, length, 1.0)
    # END SOLUTION


text_moves = exercise("15.1").check(text_moves)


# %% tags=["tensorflow", "exercise"]
def text_moves(way, ids, *, eps):
    """The move of each text: along its own part of `way`, of length eps over its real words together.

    way: tensor [n, t, d];  ids: tensor [n, t], 0 for padding.  Returns a tensor [n, t, d]; padding gets 0.
    """
    # BEGIN SOLUTION
    way = way * tf.cast(ids != 0, way.dtype)[..., None]
    length = tf.sqrt(tf.reduce_sum(way**2, axis=(1, 2), keepdims=True))
    return eps * tf.math.divide_no_nan(way, length)
    # END SOLUTION


text_moves = exercise("15.1").check(text_moves)

# %% [markdown]
# Stuck? `exercise("15.1").hint()` gives three hints, one at a time.
#
# **Question.** Guess the AUC on 64 of the attacked texts (the larger table below uses all, so its numbers differ):
# without a move, after noise of length EPS, after FGM of length EPS. (AUC is the chance that a review that recommends
# gets a higher score than one that does not; 0.5 is a coin. An attack can go below it: then the order is mostly the
# wrong way round.)


# %%
def auc(logits, labels):
    """Area under the ROC curve of the difference of the two logits."""
    return roc_auc_score(labels, logits[:, 1] - logits[:, 0])


batch = target.take(np.random.default_rng(SEED).permutation(len(target))[:64])
ids = advrec.tensor(batch.ids, "int32")
x = model.embed(ids)
noise = advrec.tensor(np.random.default_rng(SEED).normal(size=words[: len(batch)].shape))
_, slope = advrec.value_and_grad(lambda e: advrec.text_loss(model.logits(ids, embeddings=e), batch.labels), x)
moved = {"no move": x, "noise": x + text_moves(noise, ids, eps=EPS), "FGM": x + text_moves(slope, ids, eps=EPS)}
aucs = {name: auc(advrec.numpy(model.logits(ids, embeddings=place)), batch.labels) for name, place in moved.items()}
plots.table([{"move of length EPS": name, "AUC": value} for name, value in aucs.items()])

# %%
claim("noise of length EPS changes the AUC by less than 0.03", abs(aucs["noise"] - aucs["no move"]) < 0.03)
claim("FGM of length EPS takes more than 0.1 of AUC", bool(aucs["no move"] - aucs["FGM"] > 0.1))
claim(
    "the package's attack does the same",
    bool(abs(auc(advrec.attack_texts(model, batch, method="fgm", eps=EPS), batch.labels) - aucs["FGM"]) < 0.02),
)

# %% [markdown]
# *Takeaway:* the same length, at random, does next to nothing; along the gradient it does a lot. It is the direction
# that hurts, in thousands of dimensions, as in lesson 08. `advrec.attack_texts` does this for any number of texts, with
# FGM, noise, or PGD (projected gradient descent, lesson 09: several steps, each followed by a step back into the ball).
#
# ## The listing that everybody copies
#
# **Question.** Which of the lines below can go wrong without a message?
#
# Fine-tuning against such moves is often shown as a helper with two methods and five lines in the loop:
#
#     loss(batch).backward()       # the gradient of the weights, and of the table of words
#     fgm.attack()                 # table += eps * gradient / norm(gradient)
#     loss(batch).backward()       # adds the gradient at the moved words
#     fgm.restore()                # table back
#     optimizer.step()
#
# Read it with care. `attack()` moves the rows of the **table of words** (one row for each word of the vocabulary), so a
# word that stands in two texts gets one common move. The norm is taken over the whole table: all texts of the batch
# share one $\varepsilon$. If 16 gradients were equally long, each text would get a quarter of it; below you see how far
# from equal they are. And without `restore()` the optimiser goes on from the moved table, and nothing complains.
#
# Add the move as a tensor of its own, for one pass, and there is nothing to restore, as long as you do not overwrite
# the words with it. The norm must still be right.
#
# ### Exercise 15.2 · bug hunt: the copied step · 15 min · **
#
# Here is such a step without a table. It runs, and every number looks plausible. It is to return the gradient of the
# weights of *the loss at the words plus the loss at the moved words*, each text moved by a length eps of its own. Find
# what is wrong and mend it. `text_moves` from above is at hand.


# %% tags=["exercise"]
def robust_gradient(loss_fn, words, ids, weights, *, eps):
    """The gradient of loss(words) + loss(words + move) for the weights; the move is held fixed.

    loss_fn(words, weights): one number;  words: tensor [n, t, d];  ids: tensor [n, t], 0 for padding;
    weights: tensor [d].  Returns a tensor [d].
    """
    _, slope = advrec.value_and_grad(lambda x: loss_fn(x, weights), words)
    move = eps * slope / np.linalg.norm(advrec.numpy(slope))
    words = words + move
    _, clean = advrec.value_and_grad(lambda w: loss_fn(words, w), weights)
    _, attacked = advrec.value_and_grad(lambda w: loss_fn(words + move, w), weights)
    return clean + attacked


# %% tags=["solution"]
def robust_gradient(loss_fn, words, ids, weights, *, eps):
    """The gradient of loss(words) + loss(words + move) for the weights; the move is held fixed."""
    _, slope = advrec.value_and_grad(lambda x: loss_fn(x, weights), words)
    move = text_moves(slope, ids, eps=eps)
    _, clean = advrec.value_and_grad(lambda w: loss_fn(words, w), weights)
    _, attacked = advrec.value_and_grad(lambda w: loss_fn(words + move, w), weights)
    return clean + attacked


# %%
robust_gradient = exercise("15.2").check(robust_gradient)

# %% [markdown]
# How much does the shared norm matter on real texts? In one batch of 64 texts, compare the lengths that the texts get.
# Equal gradients would give each an eighth of EPS.

# %%
whole = advrec.numpy(slope)
shared = EPS * np.sqrt((whole**2).sum((1, 2))) / np.sqrt((whole**2).sum())
own = np.sqrt((advrec.numpy(text_moves(slope, ids, eps=EPS)) ** 2).sum((1, 2)))
fig, axis = plots.figure("One norm for the batch: most texts hardly move", size=(7, 3.4))
axis.bar(np.arange(len(shared)), np.sort(shared / EPS)[::-1], color=plots.FAKE, label="one norm for the batch")
axis.plot([-0.5, len(shared) - 0.5], [1, 1], color=plots.ATTACKED, label="one norm for each text")
axis.set_ylim(0, 1.35)
axis.legend(loc="upper right", ncols=2)
plots.label(axis, x="text of the batch, longest move first", y="length of the move / EPS")

# %%
claim("with its own norm every text moves by EPS", bool(np.allclose(own, EPS, rtol=1e-3)))
claim("with one norm for 64 texts, half of them move by less than a tenth of EPS", bool(np.median(shared) < 0.1 * EPS))

# %% [markdown]
# *Takeaway:* with one norm for the batch no text moves by all of EPS, and half of them by less than a tenth of it. What
# you train against is then another attack than the one you wrote down.
#
# ## Four ways to train, two controls, and what they cost
#
# **Question.** Guess which row below costs most a step, and which row tells you whether the *direction* of the moves
# matters.
#
# All of them go on from `start`; `plain` and `random` are the controls. A *pass* is one forward and one backward pass
# through the network.
#
# | name | what is minimised | passes a step |
# |---|---|---|
# | `plain`, a control | $L(x)$ | 1 |
# | `random`, a control | $L(x) + L(x + \text{noise})$ | 2 |
# | `fgm` | $L(x) + L(x + \delta_{FGM})$ | 2: the gradient of the words comes with the first backward pass |
# | `pgd` | $L(x) + L(x + \delta_{PGD})$, three steps inside | 4, two of them for the words only |
# | `freelb` | mean of $L(x + \delta_1), L(x + \delta_2), L(x + \delta_3)$ on the way up | 3 |
# | `smooth` | $L(x) + D(\pi(x) \,||\, \pi(x + \delta))$, no label in $\delta$ | 3, one for the words only |
#
# The **smooth** loss is that of lesson 11: beliefs $\pi$ that a move should not change, with the divergence $D$ of
# Kullback and Leibler; so train virtual adversarial training (VAT; Miyato et al., 2019) and a method for language
# models called SMART (Jiang et al., 2020). **FreeLB** (Zhu et al., 2020) asks why PGD throws away the weights'
# gradients at its first steps: each backward pass computes them next to the words' for little more. It averages them,
# and starts at a random place in the ball.
#
# ### Exercise 15.3 · nothing thrown away · 15 min · ***
#
# Write FreeLB's gradient of the weights: at each of `steps` places take the gradients of the weights *and* of the
# words, both from one pass: `advrec.value_and_grad` also takes a pair, and
# `value_and_grad(lambda pair: loss_fn(*pair), (place, weights))` returns the loss and a pair of gradients. The weights'
# are averaged; the words' make the next place: a step of length `step` for each text, then back
# into the ball of length `eps` (`advrec.project(move, eps=eps, norm="l2")`). The first place is `words + start`.


# %% tags=["pytorch", "exercise"]
def freelb_gradient(loss_fn, words, ids, weights, start, *, eps, step, steps):
    """The mean over the places of the gradient of loss_fn(place, weights) for the weights.

    loss_fn(words, weights): one number;  words, start: tensors [n, t, d];  ids: tensor [n, t], 0 for padding;
    weights: tensor [d].  Returns a tensor [d].
    """
    # BEGIN SOLUTION
    move, total = start, 0 * weights
    for _ in range(steps):
        _, (slope, gradient) = advrec.value_and_grad(lambda pair: loss_fn(*pair), (words + move, weights))
        total = total + gradient / steps
        move = advrec.project(move + text_moves(slope, ids, eps=step), eps=eps, norm="l2")
    return total
    # END SOLUTION


freelb_gradient = exercise("15.3").check(freelb_gradient)


# %% tags=["tensorflow", "exercise"]
def freelb_gradient(loss_fn, words, ids, weights, start, *, eps, step, steps):
    """The mean over the places of the gradient of loss_fn(place, weights) for the weights.

    loss_fn(words, weights): one number;  words, start: tensors [n, t, d];  ids: tensor [n, t], 0 for padding;
    weights: tensor [d].  Returns a tensor [d].
    """
    # BEGIN SOLUTION
    move, total = start, 0 * weights
    for _ in range(steps):
        _, (slope, gradient) = advrec.value_and_grad(lambda pair: loss_fn(*pair), (words + move, weights))
        total = total + gradient / steps
        move = advrec.project(move + text_moves(slope, ids, eps=step), eps=eps, norm="l2")
    return total
    # END SOLUTION


freelb_gradient = exercise("15.3").check(freelb_gradient)

# %% [markdown]
# `advrec.fit_robust_text` trains with any of them; the moves inside are twice as long as EPS, so that the attack of
# length EPS that is met later is well inside what training met. (The words' own vectors are not trained, so a length
# means the same before and after.) All see balanced class weights. Two things could make a defence look better than it
# is: that it trained longer, and that it computed more. So there are two rows of plain training: **plain** takes as
# many steps as the defences, and **plain, twice** takes twice as many, which is as many passes as FGM's; PGD, FreeLB
# and smooth take more, and no row of plain matches theirs. The row **start** is where all of them began.
#
# ### Exercise 15.4 · predict: noise of the same size · 5 min · *
#
# `random` trains with noise exactly as long as FGM's moves, for as many steps as `plain`. Against `plain`, its AUC
# under FGM will be
#
# - **a**: much higher: the network learns that small changes of the words do not matter;
# - **b**: about the same: in so many dimensions noise hardly has a part along the gradient;
# - **c**: much lower: noise blurs the words.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b" or "c".
# BEGIN SOLUTION
prediction = "b"
# END SOLUTION
prediction = exercise("15.4").check(prediction)


# %%
def judge(model):
    """Clean macro-F1 and AUC on the test sample; both on the attacked sample after each kind of move."""
    logits = advrec.text_logits(model, test)
    row = {
        "F1": classification.macro_f1(logits.argmax(1), test.labels),
        "AUC": auc(logits, test.labels),
        "logits": logits,
    }
    moved = {"no move": advrec.text_logits(model, target)}
    for method in ("random", "fgm", "pgd"):
        moved[method] = advrec.attack_texts(model, target, method=method, eps=EPS, steps=3)
    row |= {method: auc(found, target.labels) for method, found in moved.items()}
    f1 = {method: classification.macro_f1(found.argmax(1), target.labels) for method, found in moved.items()}
    return row | {f"F1, {method}": value for method, value in f1.items()}


runs, kept = {}, {}


def run(name, fit, *, steps=SIZES["steps"], keep=False, seed=SEED + 1, **settings):
    """Train from `start`, judge, and keep the row (and, where asked, a copy of the model) under its name."""
    model.assign(start)
    records = fit(model, train, steps=steps, evaluate_every=1, **SETTINGS, **settings, seed=seed)
    seconds = np.median([record["seconds"] for record in records[1:]])
    runs[name] = judge(model) | {"seconds a step": seconds}
    if keep:
        kept[name] = model.copy()


# %% tags=["nbval-ignore-output"]
model.assign(start)
runs["start"] = judge(model)
run("plain", advrec.fit_text_classifier, keep=True)
run("plain, twice", advrec.fit_text_classifier, steps=2 * SIZES["steps"])
for name in ("random", "fgm", "pgd", "freelb", "smooth"):
    run(name, advrec.fit_robust_text, defence=name, eps=2 * EPS, keep=name == "fgm")
shown = ("F1", "AUC", "no move", "random", "fgm", "pgd")
plots.table([{"trained": name} | {key: row[key] for key in shown} for name, row in runs.items()])

# %% [markdown]
# The columns F1 and AUC are of the whole test sample. (Macro-F1 is the mean of the F1 of the two classes, so that the
# rare class counts as much as the common one.) *no move* to *pgd* are AUC on the attacked sample. Here is its macro-F1.
# An attack may push texts over the line between the classes without turning their order round, or the other way about,
# so the two need not fall alike: at one of our five seeds FGM training kept slightly less macro-F1 under FGM than plain
# training did.

# %% tags=["nbval-ignore-output"]
plots.table(
    {"trained": name} | {f"F1, {move}": row[f"F1, {move}"] for move in ("no move", "random", "fgm", "pgd")}
    for name, row in runs.items()
)

# %%
plain, twice, noisy = runs["plain"], runs["plain, twice"], runs["random"]
ROBUST = ("fgm", "pgd", "freelb", "smooth")
claim("AUC of plain, no move", plain["no move"])
claim("AUC of plain under FGM", plain["fgm"])
claim("AUC of plain with twice the steps, under FGM", twice["fgm"])
claim("AUC of FGM training under FGM", runs["fgm"]["fgm"])
claim("macro-F1 under FGM: FGM training minus plain", runs["fgm"]["F1, fgm"] - plain["F1, fgm"])
gained = {name: row["fgm"] - plain["fgm"] for name, row in runs.items()}
claim(
    "at equal steps, noise changes the AUC under FGM by less than a third of what FGM training gains",
    bool(abs(gained["random"]) < gained["fgm"] / 3),
)
for name in ROBUST:
    lead = min(runs[name][m] - max(row[m] for row in (plain, twice, noisy)) for m in ("fgm", "pgd"))
    claim(f"{name} keeps more AUC than both rows of plain and noise, under FGM and under PGD", bool(lead > 0))

# %%
fig, axis = plots.figure("All four keep more under attack; training with noise does not", size=(9.5, 3.8))
groups = {"no move": plots.CLEAN, "random": plots.RANDOM, "fgm": plots.FAKE, "pgd": plots.ATTACKED}
for shift, (key, colour) in enumerate(groups.items()):
    heights = [row[key] for row in runs.values()]
    axis.bar(np.arange(len(runs)) + 0.2 * (shift - 1.5), heights, 0.2, color=colour, label=key)
axis.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
axis.set_xticks(range(len(runs)), runs)
axis.set_ylim(0, 1.3)
axis.set_yticks(np.linspace(0, 1, 6))
axis.legend(title="move of length EPS", ncols=4, loc="upper center")
plots.label(axis, x="trained with", y="AUC on the attacked sample")

# %% [markdown]
# *Takeaway:* fine-tuning against moved words is a defence against moved words, whichever of the four names it has, and
# more of plain training does not replace it: not as many steps, not twice as many. Read `random` beside `plain`, which
# had as many steps: noise of the same length gives no such gain. Beside `plain, twice` it would be judged for its steps
# as well. How far the four stand apart here says little: one setting each, one short training.
#
# ## Does clean quality rise?
#
# **Question.** Papers report that such training also makes BERT *better* on texts that nobody attacked (FreeLB does, on
# GLUE, a collection of tasks on English sentences). Compare the columns F1 and AUC of the table with the two rows of
# plain training. Is what you see a difference, or luck?
#
# There are two kinds of luck. Which reviews are in the test sample: draw it again and again from itself, with
# repetition, and look at the *difference* of two models on the same draw (a paired bootstrap). And the luck of
# training, above all the order in which it saw the texts: train `plain` once more with another seed, which draws
# another order (and what dropout hides), for as many steps. What that changes is no method's merit.


# %%
def f1_draws(logits, draws):
    """Macro-F1 on each draw; `draws` [n_draws, n] counts how often a text was drawn."""
    says, label = logits.argmax(1) == 1, test.labels == 1
    scores = []
    for guess, truth in ((says, label), (~says, ~label)):
        hits, wrong = draws @ (guess & truth), draws @ (guess ^ truth)
        scores.append(2 * hits / (2 * hits + wrong))
    return np.mean(scores, axis=0)


model.assign(start)
advrec.fit_text_classifier(model, train, **SETTINGS, steps=SIZES["steps"], seed=SEED + 2)
clean = {"plain, other order": advrec.text_logits(model, test)}
clean |= {name: runs[name]["logits"] for name in ("plain, twice", "random", *ROBUST)}
draws = np.random.default_rng(SEED).multinomial(len(test), np.full(len(test), 1 / len(test)), size=1000)
base = f1_draws(plain["logits"], draws)
gains = {name: np.quantile(f1_draws(logits, draws) - base, (0.05, 0.5, 0.95)) for name, logits in clean.items()}

# %%
fig, axis = plots.figure("On one test sample a difference in F1 is uncertain by more than a point", size=(8, 3.8))
colours = {name: plots.DEFENDED if name in ROBUST else plots.RANDOM for name in gains}
for place, (name, (low, middle, high)) in enumerate(gains.items()):
    label = {"fgm": "defence", "random": "control"}.get(name)
    axis.plot([low, high], [place, place], color=colours[name], linewidth=3, label=label)
    axis.plot(middle, place, "o", color=colours[name])
axis.axvline(0, color="black", linewidth=0.8)
axis.set_yticks(range(len(gains)), gains)
axis.set_ylim(-0.6, len(gains) - 0.4)
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plots.label(axis, x="macro-F1 less that of plain, as many steps: median and 5 to 95 % of 1,000 draws", y="")

# %%
width = min(gains[name][2] - gains[name][0] for name in ROBUST)
above = [runs[name]["AUC"] - twice["AUC"] for name in ROBUST]
claim("clean F1 of plain", plain["F1"])
claim("clean AUC of plain", plain["AUC"])
claim("no defence's clean AUC is more than 0.01 above plain with twice the steps", bool(max(above) < 0.01))
claim("each defence keeps the clean AUC within 0.05 of plain with twice the steps", bool(min(above) > -0.05))
claim("F1 of each defence against plain: the interval is wider than 0.01", bool(width > 0.01))

# %% [markdown]
# *Takeaway:* no defence is clearly above plain training with twice the steps in clean AUC. Of F1 nothing is claimed, up
# or down. Look where `plain, twice` and `plain, other order` lie: only the count of steps differs there (and with it
# how the learning rate falls), or only the order and the dropout. F1 also depends on where a model draws the line
# between the classes; AUC needs no line. And an interval that leaves zero out is no proof for the method: it knows the
# luck of the test sample, not that of training. Run the notebook with another `SEED` and watch which rows change sides.
# If a paper reports a gain of half a point, ask for its seeds.
#
# ## What does a step cost?
#
# **Question.** The passes are counted above. Will the clock agree?

# %% tags=["nbval-ignore-output"]
per_step = {name: row["seconds a step"] for name, row in runs.items() if "seconds a step" in row}
plots.table([{"trained": n, "seconds a step": s, "against plain": s / per_step["plain"]} for n, s in per_step.items()])

# %% [markdown]
# *Takeaway:* the bill is about the count of passes; less where a pass is for the words only, and the step of the
# optimiser is paid once, however many passes there were. The column is one measurement of your machine, so no claim is
# made of it: `plain` and `plain, twice` take the same step, and what lies between them is the error of the clock.
#
# ## How far does it reach?
#
# **Question.** Training met moves of length 2 EPS. What happens at shorter moves, and at that length itself?

# %%
half = target.take(np.arange(0, len(target), 2))
FACTORS = (1 / 3, 1, 2)
curves = {}
for name, methods in {"plain": ("random", "fgm", "pgd"), "fgm": ("fgm", "pgd")}.items():
    model.assign(kept[name])
    none = auc(advrec.text_logits(model, half), half.labels)
    for method in methods:
        found = [advrec.attack_texts(model, half, method=method, eps=k * EPS, steps=3) for k in FACTORS]
        curves[name, method] = [none, *(auc(logits, half.labels) for logits in found)]

# %%
fig, axes = plots.figure("Adversarial training makes the fall come later; it does not stop it", columns=2, sharey=True)
at = np.array((0, *FACTORS)) * EPS / MEDIAN
for axis, method in zip(axes, ("fgm", "pgd")):
    plots.line(axis, at, curves["plain", "random"], "random", "plain, noise")
    plots.line(axis, at, curves["plain", method], "attacked", "plain")
    plots.line(axis, at, curves["fgm", method], "defended", "trained with FGM")
    plots.label(axis, x="length of a text's move / median length of a word", y="", title=method.upper())
    axis.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
    axis.set_ylim(0, 1)
axes[0].set_ylabel("AUC")
legend = axes[0].legend(loc="lower left")

# %%
lead = [np.subtract(curves["fgm", m], curves["plain", m])[2:].min() for m in ("fgm", "pgd")]
claim("from EPS on, FGM training is above plain under FGM and under PGD", bool(min(lead) > 0))
claim("at 2 EPS, under PGD, FGM training is below a coin as well", bool(curves["fgm", "pgd"][-1] < 0.5))

# %% [markdown]
# *Takeaway:* from EPS on, the trained model is above plain training for as many steps. And it ends nowhere near safety:
# a move of 2 EPS, as long as those met in training, beats the trained model too. The dotted line is a coin; below it
# the attack has turned the order round. Always show the whole curve; a single $\varepsilon$ can be chosen to look good.
# (A small sample and one seed: read the shape, not the third digit.)
#
# ## The loss around a text
#
# **Question.** The attack climbs a hill. How does the hill look across, where noise goes? Draw the mean loss of some
# texts when they move along their own attack direction, and when they move along a random one; for both models, each
# with its own attack direction.

# %%
few = target.take(np.linspace(0, len(target) - 1, 16).astype(int))
few_ids, ticks = advrec.tensor(few.ids, "int32"), np.linspace(-2, 2, 7)
aside = np.random.default_rng(SEED).normal(size=(*few.ids.shape, words.shape[2]))
aside = advrec.numpy(text_moves(advrec.tensor(aside), few_ids, eps=EPS))


def lines_through(trained):
    """Mean loss on a line along the attack and on one along noise, at `ticks` times EPS."""
    model.assign(trained)
    e = model.embed(few_ids)
    _, way = advrec.value_and_grad(lambda x: advrec.text_loss(model.logits(few_ids, embeddings=x), few.labels), e)
    uphill = advrec.numpy(text_moves(way, few_ids, eps=EPS))
    many, lines = advrec.tensor(np.tile(few.ids, (len(ticks), 1)), "int32"), {}
    for name, direction in (("along the attack", uphill), ("along noise", aside)):
        places = np.concatenate([advrec.numpy(e) + a * direction for a in ticks])
        logits = advrec.numpy(model.logits(many, embeddings=advrec.tensor(places))).reshape(len(ticks), len(few), 2)
        wrong_by = logits[:, np.arange(len(few)), 1 - few.labels] - logits[:, np.arange(len(few)), few.labels]
        lines[name] = np.logaddexp(0, wrong_by).mean(axis=1)
    return lines


hills = {name: lines_through(trained) for name, trained in kept.items()}

# %%
fig, axes = plots.figure("Uphill along the attack, nearly level along noise", columns=2, sharey=True)
for axis, direction in zip(axes, ("along the attack", "along noise")):
    plots.line(axis, ticks, hills["plain"][direction], "attacked", "plain")
    plots.line(axis, ticks, hills["fgm"][direction], "defended", "trained with FGM")
    plots.label(axis, x="length of the move / EPS", y="", title=direction)
axes[0].set_ylabel("mean loss")
legend = axes[0].legend(loc="upper left")

# %%
climbs = {name: lines["along the attack"] for name, lines in hills.items()}
ramp = {name: climb[-1] - climb.min() for name, climb in climbs.items()}
claim("the hill of FGM training is less than 0.8 times as high as plain's", bool(ramp["fgm"] < 0.8 * ramp["plain"]))
across = np.ptp(hills["plain"]["along noise"])
claim("along noise the loss of plain changes by less than a tenth of its hill", bool(across < ramp["plain"] / 10))

# %% [markdown]
# *Takeaway:* noise walks along the hill, the attack up. Training makes the hill less steep; it does not level it.
# Compare the two curves in the middle as well, where nothing moves.
#
# ## Which layer?
#
# **Question.** Instead of the words, FGM in training can move the states after the first layer: half of the network,
# and the words themselves, then never see a move. Whom does that protect?
#
# Lengths are not comparable between layers, so the move after layer 1 is in units of the states there.

# %%
inner = np.linalg.norm(advrec.numpy(advrec.TextClassifier(layers=1).states(batch.ids)), axis=2)
EPS_1 = 0.15 * float(np.median(inner[batch.ids != texts.PADDING]))
model.assign(start)
settings = SETTINGS | {"steps": SIZES["steps"], "seed": SEED + 1}
advrec.fit_robust_text(model, train, defence="fgm", eps=2 * EPS_1, layer=1, **settings)
kept["fgm, layer 1"], y = model.copy(), target.labels
layers = {}
for name, trained in kept.items():
    model.assign(trained)
    row = {"fgm, words": runs[name]["fgm"] if name in runs else auc(advrec.attack_texts(model, target, eps=EPS), y)}
    for method in ("random", "fgm"):
        found = advrec.attack_texts(model, target, method=method, eps=EPS_1, layer=1)
        row[f"{method}, after layer 1"] = auc(found, y)
    layers[name] = row
plots.table([{"trained": name} | row for name, row in layers.items()])

# %%
on_words, on_states = "fgm, words", "fgm, after layer 1"
plain_row, words_row, states_row = (layers[name] for name in ("plain", "fgm", "fgm, layer 1"))
claim("trained on words: keeps more than plain on the words", bool(words_row[on_words] > plain_row[on_words]))
claim("trained after layer 1: keeps more than plain there", bool(states_row[on_states] > plain_row[on_states]))
claim(
    "in each place, the model that trained there keeps more than the other one",
    bool(words_row[on_words] > states_row[on_words] and states_row[on_states] > words_row[on_states]),
)
claim("AUC after FGM on the states: trained on the words", words_row[on_states])

# %% [markdown]
# *Takeaway:* as for the recommender that reads (lesson 11), in each place the model that trained there keeps more than
# the other one. In the other place training gains less than the one made for it, or even loses: compare each row with
# `plain`, which had as many steps. Nothing here shows why. Choose the layer by asking what an attacker can reach.
#
# ## What can go wrong
#
# - **Nobody can send you half a word.** A move of vectors is not a text. Whether such training helps against *written*
#   attacks is another question, which lesson 16 asks.
# - **Too long a move** in training ends at the majority class, or at a coin: the label can no longer be seen through
#   it. Set $\varepsilon$ against the length of a word's vector, and look at the share of each class that is predicted.
# - **One setting each.** We gave each method one strength, one number of inner steps and few steps. The order of the
#   four says nothing about what they could do.
# - **The attack is the one that was trained against.** A stronger one (more steps, other starts) finds more; what is
#   left is an upper bound.
#
# **Ethics.** A robust classifier of reviews is used to decide which customers are heard. Robust to moved vectors does
# not mean fair to those who write in another style: check the errors by group, too.
#
# ## What we learned
#
# - A text's move has one length over all its real words; a shared norm or a moved table is another attack.
# - Adversarial fine-tuning keeps more AUC under attack than plain training for as many steps, or for twice as many. Its
#   macro-F1 need not follow. Noise of the same length does not help in that way.
# - Compare at equal steps and at equal cost; a control with other steps mixes two causes.
# - Clean AUC was not clearly above plain training with twice the steps, and of F1 no claim holds. Papers have seen
#   quality rise elsewhere: measure it, with both kinds of luck.
# - Attacked at the words or at the states, the model that trained in that place keeps more than the one that trained in
#   the other.
# - The price goes roughly with the count of passes.
#
# **Next:** lesson 16 attacks with words that somebody could write.
#
# ## Further reading
#
# - Takeru Miyato, Andrew M. Dai, Ian Goodfellow: *Adversarial Training Methods for Semi-Supervised Text
#   Classification*. ICLR 2017. FGM.
# - Aleksander Madry, Aleksandar Makelov, Ludwig Schmidt, Dimitris Tsipras, Adrian Vladu: *Towards Deep Learning Models
#   Resistant to Adversarial Attacks*. ICLR 2018. PGD.
# - Chen Zhu, Yu Cheng, Zhe Gan, Siqi Sun, Tom Goldstein, Jingjing Liu: *FreeLB: Enhanced Adversarial Training for
#   Natural Language Understanding*. ICLR 2020.
# - Haoming Jiang, Pengcheng He, Weizhu Chen, Xiaodong Liu, Jianfeng Gao, Tuo Zhao: *SMART: Robust and Efficient
#   Fine-Tuning for Pre-trained Natural Language Models through Principled Regularized Optimization*. ACL 2020.
# - Takeru Miyato, Shin-ichi Maeda, Masanori Koyama, Shin Ishii: *Virtual Adversarial Training: A Regularization Method
#   for Supervised and Semi-Supervised Learning*. IEEE TPAMI 41(8), 2019.
