# ---
# jupyter:
#   advrec:
#     title: Does it survive words?
#     minutes: 100
#     data: [reviews, minilm]
#     prerequisites: ["00", "08", "14", "15"]
# ---

# %% [markdown]
# # 16 · Does it survive words?
#
# You will find out whether somebody who changes two words of a review can turn a classifier around, what a gradient
# is worth for that, which training helps, and how many of these "successes" a human reader would call one.

# %% [markdown]
# **You will be able to**
#
# - estimate from one gradient what every swap of a word would do to the loss (HotFlip), and check it;
# - tell an edit of a text from an edit of token ids that is none;
# - say what a swap must keep, and write that down as rules;
# - compare attacks by success rate *and* number of queries, with the controls that belong to them;
# - judge a defence against words, typos and texts from other domains, and read the examples before you believe a rate.

# %% tags=["pytorch"]
import numpy as np
from IPython.display import HTML
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from advrec_teach import claim, data, domains, exercise, plots, text_attacks, texts
from advrec_teach import pytorch as advrec
from advrec_teach.errors import CourseError

# %% tags=["tensorflow"]
import numpy as np
from IPython.display import HTML
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from advrec_teach import claim, data, domains, exercise, plots, text_attacks, texts
from advrec_teach import tensorflow as advrec
from advrec_teach.errors import CourseError

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"layers": 1, "words": 8, "train": 96, "test": 80, "attacked": 8, "steps": 3, "more": 2, "tries": 2},
    "quick": {
        "layers": 2,
        "words": 16,
        "train": 3200,
        "test": 600,
        "attacked": 50,
        "steps": 110,
        "more": 30,
        "tries": 4,
    },
    "full": {
        "layers": 6,
        "words": 60,
        "train": 15000,
        "test": 4000,
        "attacked": 300,
        "steps": 900,
        "more": 300,
        "tries": 20,
    },
}[PROFILE]
WORDS, TRIES, TOKENS = SIZES["words"], SIZES["tries"], 2 * SIZES["words"] + 4
EDITS = 2  # words that an attack may change in a text
device = advrec.setup(lesson="16", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## A classifier to fool
#
# Reviews, split and classifier are those of lesson 14: the first layers of MiniLM (a small BERT), the mean over the
# words' vectors, and a linear head that gives a **logit**, a score, for each class; "does the customer recommend the
# product?". Its AUC is the chance that a review that recommends gets a higher score than one that does not. We keep the
# first words of each review, and the text that we attack is exactly the text that the model reads: nothing is cut off
# behind your back.

# %%
frame = texts.labelled_reviews(data.reviews())
split = texts.split_by_product(frame, seed=SEED)


def sample(part, count):
    """The beginnings of a random sample of reviews, and their labels: 1 for recommended."""
    chosen = part.sample(min(count, part.height), seed=SEED, shuffle=True)
    return [text_attacks.first_words(text, WORDS) for text in chosen["text"]], chosen["label"].to_numpy().astype(int)


def encode(listed, labels=None):
    """Texts as MiniLM's token ids."""
    return texts.encode(listed, labels, max_length=TOKENS)


train, train_labels = sample(split.train, SIZES["train"])
test, test_labels = sample(split.test, SIZES["test"])

# %%
SETTINGS = {"batch_size": 16, "class_weights": texts.balanced_weights(train_labels), "seed": SEED}
model = advrec.TextClassifier(layers=SIZES["layers"], seed=SEED)
history = advrec.fit_text_classifier(model, encode(train, train_labels), steps=SIZES["steps"], rate=3e-4, **SETTINGS)


def classifier(model):
    """The classifier as an attacker meets it: texts go in, logits [n, 2] come out."""
    return lambda listed: advrec.text_logits(model, encode(listed))


def auc(model):
    """How well the model ranks the test reviews; 0.5 is a coin."""
    logits = classifier(model)(test)
    return roc_auc_score(test_labels, logits[:, 1] - logits[:, 0])


claim("AUC of the classifier on test reviews, nothing attacked", auc(model))

# %% [markdown]
# We attack a sample with as many of each class: `SIZES["attacked"]` reviews that do not recommend and as many that do.
# The **margin** of a text is the logit of the right class less that of the other: below 0, the text is wrong.

# %%
chosen = np.concatenate([np.flatnonzero(test_labels == kind)[: SIZES["attacked"]] for kind in (0, 1)])
target, labels = [test[row] for row in chosen], test_labels[chosen]
claim(
    "share of the sample that the classifier gets right",
    (text_attacks.margins(classifier(model)(target), labels) > 0).mean(),
)

# %% [markdown]
# ## What would a swap do?
#
# **Question.** A review of sixteen words, a vocabulary of thousands: tens of thousands of possible swaps. How many of
# them must an attacker try?
#
# HotFlip (Ebrahimi et al., 2018) tries none at first. The word $i$ at place $t$ is read as its vector $v_i$, and the
# loss has a gradient $g_t$ with respect to that vector. Putting word $j$ there is a move from $v_i$ to $v_j$, and to
# first order it changes the loss by
#
# $$\Delta_{tj} = (v_j - v_i)^\top g_t .$$
#
# One backward pass gives this for *every* place and *every* word. `advrec.text_slopes(model, batch)` returns the
# gradients $g_t$ of each text's own loss; the vectors $v$ are the rows of the model's table of words.
#
# ### Exercise 16.1 · HotFlip's estimate · 10 min · **
#
# Write the estimate for a whole text, in NumPy: all places, all words.


# %% tags=["exercise"]
def swap_estimates(gradient, old, vectors):
    """First-order change of the loss when the word at a place becomes another word.

    gradient, old: arrays [t, d], gradient at and vector of the word at each place.  vectors: array [V, d] of the words
    that may come in.  Returns an array [t, V].
    """
    # BEGIN SOLUTION
    return gradient @ vectors.T - (gradient * old).sum(axis=1, keepdims=True)
    # END SOLUTION


swap_estimates = exercise("16.1").check(swap_estimates)

# %% [markdown]
# Stuck? `exercise("16.1").hint()` gives three hints, one at a time.
#
# A first-order estimate is a promise about *small* moves, and the way from one word to the next is no small move. We
# measure: in some reviews one word becomes each of 40 others, and we compare the estimate with the true change of the
# loss. As a check of the formula itself, we also compare it with the true change after a hundredth of the way. We ask
# for the *order* of the 40 (rank correlation: 1 if both orders agree, 0 if they have nothing to do with each other).


# %%
VECTORS = advrec.numpy(model.embed(np.arange(texts.tokenizer().get_vocab_size())[None]))[0]
print(f"{len(VECTORS)} tokens, each a vector of {VECTORS.shape[1]} numbers")
precise = advrec.TextClassifier(layers=SIZES["layers"], precision="float32")
precise.assign(model)  # exact enough for a tiny move


def one_place(row, rng):
    """Estimates and true changes of the loss for 40 words at a random place of a text."""
    batch = encode(target[row : row + 1], labels[row : row + 1])
    place = rng.integers(1, batch.lengths[0] - 1)
    old, new = advrec.numpy(model.embed(batch.ids))[0], VECTORS[rng.integers(1996, 29000, size=40)]
    guess = swap_estimates(advrec.text_slopes(precise, batch)[0], old, new)[place]
    ids, right = np.repeat(batch.ids, 40, axis=0), np.repeat(batch.labels, 40)

    def loss(share):
        moved = np.repeat(old[None], 40, axis=0)
        moved[:, place] += share * (new - old[place])
        logits = advrec.numpy(precise.logits(ids, embeddings=advrec.tensor(moved)))
        return np.logaddexp(0, -text_attacks.margins(logits, right))

    before, after, near = (loss(share) for share in (0.0, 1.0, 0.01))
    return guess, after - before, near - before


# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(SEED)
rows = rng.permutation(len(target))[:8]
guesses, full, little = (np.stack(part) for part in zip(*(one_place(row, rng) for row in rows)))
correlations = {
    "the whole way": np.mean([spearmanr(a, b)[0] for a, b in zip(guesses, full)]),
    "a hundredth of the way": np.mean([spearmanr(a, b)[0] for a, b in zip(guesses, little)]),
    "the whole way, words shuffled": np.mean([spearmanr(a, rng.permutation(b))[0] for a, b in zip(guesses, full)]),
}
claim("rank correlation of estimate and true change, the whole way", correlations["the whole way"])
claim(
    "after a hundredth of the way the rank correlation is above 0.95",
    bool(correlations["a hundredth of the way"] > 0.95),
)
claim("with the words shuffled it is below 0.2", bool(abs(correlations["the whole way, words shuffled"]) < 0.2))
plots.table([{"estimate against true change": k, "rank correlation": v} for k, v in correlations.items()])

# %% tags=["nbval-ignore-output", "figure"]
figure, axes = plots.figure("The estimate tells better swaps from worse, roughly")
axes.scatter(guesses.ravel(), full.ravel(), s=8, color=plots.ATTACKED, alpha=0.5)
ends = np.array([guesses.min(), guesses.max()])
axes.plot(ends, ends, color="black", linewidth=0.8, linestyle=":")
axes.annotate("estimate = truth", (ends[1], ends[1]), (-95, -46), textcoords="offset points", fontsize=8)
plots.label(axes, x="estimated change of the loss", y="true change of the loss")

# %% [markdown]
# *Takeaway:* for tiny moves the estimate is right, as it must be; for whole words it still knows the better from the
# worse, but not by how much: look where the large true changes lie beside the dotted line. Use it to choose which swaps
# to try, and believe the loss.
#
# ## Is it still a text?
#
# **Question.** HotFlip returns token ids. Write them out as a text and read that text again: do you get the same ids?
#
# A text that nobody attacked should survive that. For the attack we let HotFlip swap two tokens, and give it two
# vocabularies to choose from: whole words only, or pieces only. A **piece** begins with `##` and continues the word
# before it; an attacker may like pieces, since they look like a slip of the finger.

# %%
names_of = [texts.tokenizer().id_to_token(token) for token in range(len(VECTORS))]
is_piece = np.array([name.startswith("##") for name in names_of])
is_word = np.array([name.isascii() and name.isalpha() and len(name) > 2 for name in names_of])


def flip_ids(batch, allowed, flips=2):
    """Ids after the highest estimates over all places and the allowed tokens, one flip after the other."""
    ids, taken = batch.ids.copy(), np.zeros(batch.ids.shape, bool)
    for _ in range(flips):
        moved = texts.EncodedTexts(ids, batch.lengths, batch.labels)
        for row, gradient in enumerate(advrec.text_slopes(model, moved)):
            inside = slice(1, batch.lengths[row] - 1)
            guess = swap_estimates(gradient[inside], VECTORS[ids[row, inside]], VECTORS)
            guess[:, ~allowed] = guess[taken[row, inside]] = -np.inf
            place, token = np.unravel_index(guess.argmax(), guess.shape)
            ids[row, 1 + place], taken[row, 1 + place] = token, True
    return texts.EncodedTexts(ids, batch.lengths, batch.labels)


def written(batch):
    """The texts that these ids spell, as the tokenizer writes them."""
    return [texts.tokenizer().decode(row[1 : n - 1].tolist()) for row, n in zip(batch.ids, batch.lengths)]


def survive(batch):
    """Share of the texts whose ids come back when they are written and read again."""
    again = encode(written(batch))
    pairs = zip(batch.ids, batch.lengths, again.ids, again.lengths)
    return np.mean([m == n and (a[:n] == b[:n]).all() for a, n, b, m in pairs])


# %% tags=["nbval-ignore-output"]
whole = encode(target[::2], labels[::2])
flipped = {"whole words": flip_ids(whole, is_word), "pieces": flip_ids(whole, is_piece)}
for name, batch in flipped.items():
    print(f"{name:12}", written(batch)[0])
plots.table(
    {"two tokens swapped for": name, "ids come back": survive(batch)}
    for name, batch in ({"nothing (not attacked)": whole} | flipped).items()
)

# %% [markdown]
# A piece melts into the word before it (at the very beginning its `##` is read as signs), and the tokenizer mostly cuts
# what it reads elsewhere: most of the ids that were judged **do not exist as a text**. Nobody can type those into a
# review form. So whatever counts a success has to read the text again. It has to look at two more things, and the next
# listing looks at none of the three.
#
# ### Exercise 16.2 · bug hunt: what counts as a success · 15 min · **
#
# The rate should say: of the texts that the classifier got *right* before the attack, which share is *wrong* now, when
# the attacked text is read anew? Three things are wrong with the listing; each makes attacks look stronger or weaker
# than they are.


# %% tags=["exercise"]
def success_rate(before, after, reread, labels):
    """Share of the texts on which the attack succeeded.

    before: logits [n, 2] of the texts as they were.  after: logits of the ids that the attack returned.
    reread: logits of the attacked texts, written and read again.  labels: the right classes [n].
    """
    predicted = before.argmax(axis=1)
    fooled = after.argmax(axis=1) != predicted
    return fooled.mean()


# %% tags=["solution"]
def success_rate(before, after, reread, labels):
    """Share of the texts right before the attack that are wrong when read again after it."""
    right = before.argmax(axis=1) == labels
    fooled = reread.argmax(axis=1) != labels
    return (right & fooled).sum() / right.sum()


# %%
success_rate = exercise("16.2").check(success_rate)

# %% tags=["nbval-ignore-output"]
before = classifier(model)(target[::2])
rates = []
for name, batch in flipped.items():
    after, reread = advrec.text_logits(model, batch), classifier(model)(written(batch))
    by_ids = success_rate(before, after, after, whole.labels)
    rates.append({"swapped for": name, "judged by ids": by_ids})
    rates[-1]["judged by the text"] = success_rate(before, after, reread, whole.labels)
claim(
    "not attacked, 9 of 10 texts come back or more; after swaps for pieces fewer than half",
    bool(survive(whole) >= 0.9 and survive(flipped["pieces"]) < 0.5),
)
claim(
    "pieces: judged by ids the success rate is higher than judged by the text",
    bool(rates[1]["judged by ids"] > rates[1]["judged by the text"]),
)
plots.table(rates)

# %% [markdown]
# *Takeaway:* a loop over ids reports successes that nobody can have. How many depends on what it may choose from, and
# you don't know before you have read the texts again. From here on an attack changes **words of a string**, and
# whatever is counted was read by the tokenizer from that string.
#
# ## What must a swap keep?
#
# The strings above are still nonsense. An edit is of use to somebody only if a human reader takes the text for what it
# was. We ask four things of a swap, and none of them is meaning itself:
#
# - **a whole word for a whole word**: no piece, no sign, no digit, and never the word itself;
# - **no stop words**: "not", "but", "very" carry the grammar and the negation. They neither go nor come;
# - **words that customers write**, with the same ending ("loved" for "liked", not "like"): a poor man's part of speech,
#   since no tagger ships with the course;
# - **close in meaning**, as MiniLM sees it: the cosine of the two words' vectors is at least 0.5, and that of the two
#   *sentences* at least 0.8. For both we take all six layers, which the classifier does not have.
#
# And a **budget**: two words a review.
#
# ### Exercise 16.3 · the words that may come in · 10 min · **
#
# Write the first two rules. Capitals do not matter: "Not" is a stop word, and "love" is no swap for "Love".


# %% tags=["exercise"]
def permitted(old, tokens, *, stop_words):
    """Say of each token whether it may replace the word `old`.

    old: a word of the text, perhaps with capitals.  tokens: list of strings from the vocabulary, such as "dress",
    "##ing", "!", "[MASK]".  stop_words: set of words in small letters.
    Returns an array of truth values, one for each token: False for all if `old` is a stop word itself.
    """
    # BEGIN SOLUTION
    old = old.lower()
    fits = [token.isalpha() and token not in stop_words and token != old for token in tokens]
    return np.array(fits) & (old not in stop_words)
    # END SOLUTION


permitted = exercise("16.3").check(permitted)


# %% tags=["nbval-ignore-output"]
encoder = advrec.TextClassifier(layers=6)  # MiniLM as it is: what it says about closeness was never trained here


def vectors_of(listed):
    """MiniLM's vectors of texts, of length 1: array [n, 384]."""
    found = advrec.text_vectors(encoder, encode(listed))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


vocabulary = sorted(texts.tokenizer().get_vocab())
common = text_attacks.common_words(split.train["text"])
swaps = text_attacks.Swaps(common, vectors_of(common), least=0.5)
left = [
    {
        "word": word,
        "tokens": len(vocabulary),
        "rules 1 and 2": int(permitted(word, vocabulary, stop_words=text_attacks.STOP_WORDS).sum()),
        "customers write it": int(permitted(word, common, stop_words=text_attacks.STOP_WORDS).sum()),
        "close": len(swaps(word)),
        "closest": ", ".join(swaps(word)[:3]),
    }
    for word in ("dress", "comfortable", "cheap", "disappointed")
]
plots.table(left)

# %%
antonyms = [("comfortable", "uncomfortable"), ("cheap", "expensive"), ("good", "bad")]
claim(
    "the rules let in 'uncomfortable' for 'comfortable', 'expensive' for 'cheap' and 'bad' for 'good'",
    all(new in swaps(old) for old, new in antonyms),
)

# %% [markdown]
# *Takeaway:* vectors put words close together that occur in similar sentences, and antonyms (words that mean the
# opposite) do. A threshold on the cosine lets them in; remember that when a success rate looks high.
#
# ## How often does it work, and what does it cost?
#
# The search goes in rounds. In each, a rule names a few swaps of each text, the classifier is shown all of them (each
# is a **query**), and the best is made, of the best three the first that keeps the sentence's vector close. Four rules:
#
# - **HotFlip**: the swaps with the highest estimates. Each round needs a gradient: the attacker owns the model;
# - **leave one out**: first hide each word once and see how much the right class loses; then try swaps of the most
#   important word, then of the next. Only logits are needed (the idea of TextFooler, Jin et al., 2020);
# - **random, best of few**: random swaps, as many as HotFlip tries: the control of the gradient;
# - **random, unseen**: one random swap a round, made whatever it does: the control of searching at all.
#
# **Question.** Which of the four fools most? Which is the cheapest?


# %%
meaning = vectors_of(target)


def close(rows, listed):
    """Whether texts still mean, to MiniLM, what the numbered ones meant."""
    return (vectors_of(listed) * meaning[rows]).sum(axis=1) >= 0.8


def token_vectors(words):
    """The vectors of words, each of them one token: array [n, 384]."""
    return VECTORS[[texts.tokenizer().token_to_id(word) for word in words]]


# %%
def hotflip(model, listed=target, labels=labels, accept=close, tries=TRIES, edits=EDITS, options=swaps):
    """HotFlip against a model."""

    def slopes(rows, listed):
        return advrec.text_slopes(model, encode(listed, labels[rows]))

    propose = text_attacks.by_gradient(
        options, slopes, token_vectors, count=tries, max_length=TOKENS, estimate=swap_estimates
    )
    return text_attacks.search(listed, labels, classifier(model), propose, edits=edits, accept=accept)


def at_random(model, options=swaps, listed=target, labels=labels, accept=close, tries=TRIES, keep_best=True):
    """Random edits: the best of a few, or one that is made unseen."""
    propose = text_attacks.by_chance(options, count=tries, seed=SEED)
    return text_attacks.search(
        listed, labels, classifier(model), propose, edits=EDITS, accept=accept, keep_best=keep_best
    )


def leave_one_out(model, options, accept=close):
    """The most important words first; hiding them is paid for in queries."""
    order = text_attacks.leave_one_out(target, labels, classifier(model), options)
    propose = text_attacks.by_order(options, order, count=TRIES, seed=SEED)
    spent = [len(words) for words in order]
    return text_attacks.search(target, labels, classifier(model), propose, edits=EDITS, accept=accept, spent=spent)


# %% tags=["nbval-ignore-output"]
attacks = {
    "HotFlip": hotflip(model),
    "leave one out": leave_one_out(model, swaps),
    "random, best of few": at_random(model),
    "random, unseen": at_random(model, tries=1, keep_best=False),
}


def report(attacks):
    """A table of success, queries and words changed."""
    return plots.table(
        {
            "attack": name,
            "success rate": attack.success,
            "queries a text": attack.queries[attack.right].mean(),
            "gradients a text": attack.rounds[attack.right].mean() if name == "HotFlip" else 0.0,
            "words changed where fooled": np.mean(
                [len(e) for e, won in zip(attack.edits, attack.fooled) if won] or [0]
            ),
        }
        for name, attack in attacks.items()
    )


report(attacks)

# %% tags=["nbval-ignore-output", "figure"]
roles = {"HotFlip": "attacked", "leave one out": "extra", "random, best of few": "random", "random, unseen": "clean"}
figure, axes = plots.figure("With a gradient, as many queries fool more")
spent = np.arange(0, max(attack.queries.max() for attack in attacks.values()) + 1)
for name, attack in attacks.items():
    plots.line(axes, spent, [attack.success_after(q) for q in spent], roles[name], name, marker="")
axes.set_ylim(0, None)
axes.set_xticks(range(0, spent[-1] + 1, 5))
plots.label(axes, x="queries that a text may cost", y="share of texts fooled", legend=True)

# %%
gradient, importance, few, unseen = attacks.values()
claim("success rate of HotFlip", gradient.success)
claim("HotFlip fools more often than as many random swaps", bool(gradient.success > few.success))
claim("random swaps made unseen fool less than half as often as HotFlip", bool(unseen.success < gradient.success / 2))
again = text_attacks.margins(classifier(model)(gradient.after), labels)
claim("every success is one when its text is read once more", bool((again[gradient.fooled] < 0.05).all()))

# %% [markdown]
# *Takeaway:* searching is what makes swaps dangerous: swaps from the same list made unseen cost least and do little.
# With a gradient, as many queries fool more texts (gradients stand beside them in the table). It is not needed: leave
# one out, which sees only logits, fools texts as well, for more queries (in the figure it starts late, since it hides
# every word once before it swaps any). So hiding the weights makes an attack dearer, not impossible; so does a limit on
# queries.
#
# What do the constraints cost the attacker? The same HotFlip again, with one constraint after the other let go. In the
# last row any word that customers write may come in, if its ending fits: nobody asks whether it is close.

# %% tags=["nbval-ignore-output"]
anything = text_attacks.Swaps(common, swaps.vectors, least=-1)
loose = {"all constraints": gradient, "the sentence may drift": hotflip(model, accept=None)}
loose["no closeness asked"] = hotflip(model, accept=None, options=anything)
plots.table(
    {
        "constraints": name,
        "success, one word changed": (attack.fooled & (attack.rounds == 1)).sum() / attack.right.sum(),
        "success, two words": attack.success,
    }
    for name, attack in loose.items()
)

# %%
claim(
    "HotFlip fools more texts where no closeness is asked than under all constraints",
    bool(loose["no closeness asked"].success > gradient.success),
)

# %% [markdown]
# A success rate without the list of constraints beside it says nothing. And a rate under all constraints still does not
# say that a reader would be taken in. Read what was fooled. Struck out: the customer's word; in bold: the attack's.

# %% tags=["nbval-ignore-output"]
names = {0: "does not recommend", 1: "recommends"}
won = np.flatnonzero(gradient.fooled)
picked = np.random.default_rng(SEED).permutation(won)[:8]
HTML(
    text_attacks.marked_table(
        [(names[labels[row]], text_attacks.marked(target[row], gradient.edits[row])) for row in picked],
        heads=("the customer", "what the classifier now gets wrong"),
    )
)

# %% [markdown]
# ## Would a reader agree?
#
# **Question.** Of the "successes" in such a table, how many still say what the customer said?
#
# One reader, the author of this lesson, went through 60 successes drawn from one run of it (texts of eighteen words, at
# most three words changed, five tries), 20 of each kind, and put each into one of three boxes: **same** (opinion and
# facts of the customer are still there), **other** (an opinion or a fact has changed: the classifier may be *right* to
# change its mind), **unclear** (nonsense, or a contradiction). The texts and the verdicts ship with the course. No
# panel of people was asked, and the reader knew which text was attacked.

# %%
verdicts = text_attacks.judged_edits()
boxes = ("same", "other", "unclear")
kinds = {
    name: [row["verdict"] for row in verdicts if row["kind"] == name]
    for name in ("words, no closeness asked", "words, all constraints", "typos")
}
claim(
    "of the judged swaps under all constraints fewer than two thirds still say the same",
    kinds["words, all constraints"].count("same") / 20 < 2 / 3,
)
plots.table(
    {"successes": name, "read": len(found)} | {box: found.count(box) for box in boxes} for name, found in kinds.items()
)

# %% tags=["nbval-ignore-output"]
changed = [row for row in verdicts if row["kind"] == "words, all constraints" and row["verdict"] == "other"]
HTML(
    text_attacks.marked_table(
        [(row["before"], row["after"]) for row in changed], heads=("the customer", "judged: other")
    )
)

# %% [markdown]
# *Takeaway:* with 20 texts a kind, a share is known to about a fifth in either direction, so do not read a ranking of
# the two upper rows out of the table. For the point it is enough: a rate of "successes" under cosine constraints is
# **not** a rate of adversarial examples. Some texts become nonsense, others say something else. A study that asked
# people found that published attacks often did not keep the meaning, and that with constraints strict enough for
# people most of the successes were gone (Morris et al., 2020). Typos are the exception here: all twenty were
# understood. Judge some of your own run above before you go on.
#
# ## One letter
#
# **Question.** "Disapponted": you read over it. What does a model do that knows 30,522 tokens?
#
# Four slips of a finger: two neighbours change places, one letter is missing, one that lies beside it on the keyboard
# comes in after it, or in its place. The first and the last letter of a word stay, and words have four letters or more
# (Pruthi et al., 2019).


# %%
def pieces(word):
    """The tokens that a word is cut into."""
    return texts.tokenizer().encode(word, add_special_tokens=False).tokens


plots.table(
    {"written": word, "read": " ".join(pieces(word)), "tokens": len(pieces(word))}
    for word in ("disappointed", "disapponted", "comfortable", "comfotrable", "soft", "sift")
)

# %% tags=["nbval-ignore-output"]
typed = {
    "leave one out": leave_one_out(model, text_attacks.typos, accept=None),
    "random, best of few": at_random(model, text_attacks.typos, accept=None),
    "random, unseen": at_random(model, text_attacks.typos, accept=None, tries=1, keep_best=False),
    "swaps, leave one out": leave_one_out(model, swaps, accept=None),
}
report(typed)

# %%
words = [word for word in common if len(word) > 3][:300]
rng = np.random.default_rng(SEED)
mistyped = [rng.choice(text_attacks.typos(word)) for word in words]
claim(
    "tokens of a common word with one typo, on average (without a typo: 1)",
    np.mean([len(pieces(word)) for word in mistyped]),
)
claim("success rate of typos in the most important words", typed["leave one out"].success)
claim(
    "typos made unseen fool less often than typos in the most important words",
    bool(typed["random, unseen"].success < typed["leave one out"].success),
)

# %% [markdown]
# *Takeaway:* one wrong letter, and a common word is read as two or three pieces, which say little by themselves. Typos
# need no gradient, no synonym and no grammar, and in our small reading they did not change what a reader understands.
# Compare the first row with the last: swaps chosen in the same way, and no sentence asked to stay close in either. One
# answer is to put a model that restores words in front of the classifier (Pruthi et al., 2019).
#
# ## Which training helps against words?
#
# Everybody gets the same few more steps on the same reviews, from the same start. What differs is what the model is
# shown:
#
# - **as they are**: the control of training on;
# - **random swaps**: two words a review, from the same options: the control of "more variety";
# - **attacked swaps**: up to two swaps that HotFlip made against the model at the start; texts that it gets wrong stay
#   as they are;
# - **FGM**, the fast gradient method of lesson 15: the reviews as they are, and in each step also with their words'
#   vectors moved by a length EPS along the gradient. A step costs two gradients here.
#
# Then a *new* attack is made against each of the four: HotFlip for swaps, leave one out for typos. No constraint on the
# sentence, to save time. And one more trap: a model that says "recommended" to nearly everything is right about few
# unhappy reviews, so there are few to fool, and its rate looks fine. So we take the success rate of each class by
# itself and then their **mean**, and show what was right before. (Do not compare these rates with those above: other
# constraints, another mean.)
#
# ### Exercise 16.4 · predict: who withstands HotFlip? · 5 min · *
#
# Against a new HotFlip attack, which training lowers the success rate, compared with training on reviews as they are?
#
# - **a**: attacked swaps and FGM both do, by about as much: one gradient is behind both;
# - **b**: attacked swaps do, clearly; random swaps and FGM do less, or nothing;
# - **c**: random swaps and attacked swaps both do, by about as much: they come from the same list.

# %% tags=["exercise"]
# Your letter, in quotes: "a", "b" or "c".
# BEGIN SOLUTION
prediction = "b"
# END SOLUTION
prediction = exercise("16.4").check(prediction)

# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(SEED)
part = rng.permutation(len(train))[: 9 * SIZES["more"]]
learned, learned_labels = [train[row] for row in part], train_labels[part]
against = hotflip(model, learned, learned_labels, accept=None, tries=1, edits=2)
materials = {
    "as they are": learned,
    "random swaps": [text_attacks.random_edits(text, swaps, edits=2, rng=rng) for text in learned],
    "attacked swaps": list(against.after),
}
models = {}
for name, listed in materials.items():
    models[name] = model.copy()
    advrec.fit_text_classifier(models[name], encode(listed, learned_labels), steps=SIZES["more"], **SETTINGS)
EPS = 0.2  # less than a fifth of the length of one word's vector, for all words of a text together
models["FGM"] = model.copy()
more = {"steps": SIZES["more"], "defence": "fgm", "eps": EPS}
history = advrec.fit_robust_text(models["FGM"], encode(learned, learned_labels), **more, **SETTINGS)


# %% tags=["nbval-ignore-output"]
def judge(model):
    """AUC, what is right before, and the success of a new HotFlip and of typos, each the mean over both classes."""
    swapped, typing = hotflip(model, accept=None), leave_one_out(model, text_attacks.typos, accept=None)
    row = {"AUC": auc(model)} | {f"right: {names[kind]}": swapped.right[labels == kind].mean() for kind in (0, 1)}
    return row | {"HotFlip": swapped.by_class().mean(), "typos": typing.by_class().mean()}


judged = {name: judge(model) for name, model in models.items()}
plots.table({"trained on": name} | row for name, row in judged.items())

# %%
on, shuffled, hardened, moved = judged.values()
claim("HotFlip's success rate against training on reviews as they are", on["HotFlip"])
claim("HotFlip's success rate against training on attacked swaps", hardened["HotFlip"])
claim("training on attacked swaps lowers HotFlip's success rate", bool(hardened["HotFlip"] < on["HotFlip"]))
claim(
    "neither random swaps nor FGM lower it as much as attacked swaps",
    bool(hardened["HotFlip"] < min(shuffled["HotFlip"], moved["HotFlip"])),
)
claim("all AUCs are within 0.06 of each other", bool(np.ptp([row["AUC"] for row in judged.values()]) < 0.06))

# %% [markdown]
# *Takeaway:* a model that was shown the attack's own swaps withstands the next ones better (at each of our five seeds,
# at one of them by little); random swaps, of which there are even more, are no substitute. FGM is no reliable help:
# while this lesson was written it lowered HotFlip's rate at some seeds and at others not, and never as far, at the one
# length EPS that we show. A small move of all vectors (lesson 15) is not the jump from one word to another, but it is
# not nothing. Look at the AUC, too: what a defence costs belongs beside what it buys. And remember the reader: some of
# the attacked swaps turn "comfortable" into "uncomfortable" and keep the label. Training on them may teach the model to
# look away from words that carry an opinion. Does that cost anything where opinions are written in other words?
#
# ## Another domain
#
# **Question.** The model has only ever read about clothes. What does it make of films, news and quarterly reports, and
# is it easier to fool there?
#
# The course has 30 sentences of its own for each of six domains, half of them good news. Sentences of public sets can
# be read in their place: download one into a folder and call `domains.public("film", folder)`. A set that is missing
# says so in one line.

# %%
try:
    domains.public("film", "downloads")
except CourseError as error:
    print(error)
for row in domains.sentences("finance").head(2).iter_rows(named=True):
    print(row["label"], row["text"])

# %% tags=["nbval-ignore-output"]
switch = []
for domain in domains.DOMAINS:
    frame = domains.sentences(domain)
    listed, truth = frame["text"].to_list(), frame["label"].to_numpy().astype(int)
    row = {"domain": domain}
    shown = {"before": model} | {name: models[name] for name in ("as they are", "attacked swaps", "FGM")}
    for name, other in shown.items():
        logits = classifier(other)(listed)
        row[f"AUC, {name}"] = roc_auc_score(truth, logits[:, 1] - logits[:, 0])
    attack = hotflip(model, listed, truth, accept=None)
    blind = at_random(model, swaps, listed, truth, accept=None)
    switch.append(row | {"right before": attack.right.mean(), "HotFlip": attack.success, "random": blind.success})
mean = {column: float(np.mean([row[column] for row in switch])) for column in switch[0] if column != "domain"}
plots.table([*switch, {"domain": "mean"} | mean])

# %%
claim("mean AUC over the six domains, before any more training", mean["AUC, before"])
claim("every domain is ranked better than by a coin", bool(min(row["AUC, before"] for row in switch) > 0.5))
claim("their mean AUC is below that of clothes", bool(mean["AUC, as they are"] < on["AUC"]))
claim(
    "mean AUC over the domains, as they are less attacked swaps", mean["AUC, as they are"] - mean["AUC, attacked swaps"]
)
claim("over the domains HotFlip fools more often than as many random swaps", bool(mean["HotFlip"] > mean["random"]))

# %% tags=["nbval-ignore-output", "figure"]
figure, axes = plots.figure("Other domains: better than a coin, on average worse than clothes", size=(8.5, 3.8))
place = np.arange(len(switch))
for shift, (name, colour) in enumerate(
    {"as they are": plots.CLEAN, "attacked swaps": plots.DEFENDED, "FGM": plots.EXTRA}.items()
):
    axes.bar(place + 0.26 * (shift - 1), [row[f"AUC, {name}"] for row in switch], 0.26, color=colour, label=name)
axes.axhline(on["AUC"], color="black", linewidth=0.8, linestyle=":")
axes.annotate("clothes", (4.75, on["AUC"]), (0, 3), textcoords="offset points", fontsize=8)
axes.set_xticks(place, [row["domain"] for row in switch])
axes.set_ylim(0.5, 1.1)
axes.legend(title="trained on", ncols=3, fontsize=8, loc="upper right")
plots.label(axes, x="domain (30 sentences each)", y="AUC, from a coin upwards")

# %% [markdown]
# *Takeaway:* what the model learned about clothes carries over in part, and HotFlip still beats random swaps. Whether a
# domain is *easier* to fool we cannot say: its sentences have half as many words as our reviews, so two words are a
# larger part of them. With 30 sentences a row is a rough figure; the mean over six is less so. Compare the last row
# with clothes, the dotted line: what changing the domain costs, what more training on clothes changes elsewhere, and
# what it changes when the swaps are in it. One run of so small a sample cannot show a cost of a few hundredths; at each
# of the five seeds at which we ran the lesson the swaps lost something there, at two of them next to nothing, and
# always on the same sentences. That hints at a cost elsewhere and does not prove one: look which domains make up the
# difference in your run. Our sentences are short, clear and written by one person. Real headlines and tweets are
# harder, which is what the readers of public sets are for.
#
# ## What can go wrong
#
# - **A rate without a reader.** The success rate counts flips of the classifier. You saw how many of them a reader
#   would accept.
# - **One list of swaps.** All numbers are under our options, our thresholds, two words and these few tries. A larger
#   search can only find more: a rate is a lower bound of what is possible.
# - **A poor man's part of speech.** Endings are no grammar: "design" became "achieve". A tagger or a language model
#   would refuse more.
# - **The settings were chosen while looking at test reviews**, at the same seeds on which the claims were then checked.
#   The order of the methods is a finding about these runs.
# - **One round of attacked swaps.** They were made once, against the model at the start, and the random ones were drawn
#   once, too. Ivgi and Berant (2021) made both anew in every step: random ones then did better than attacked ones that
#   were made once, and attacked ones made anew improved robustness enough, they find, to be worth their higher cost. We
#   did not measure that.
# - **Small samples.** A hundred reviews, two classes, one domain: differences of a few hundredths are nothing.
#
# **Ethics.** Who rewrites reviews so that a filter misjudges them? Sellers who want bad reviews to pass as good ones,
# or to slip forbidden goods past a moderator; spammers, for whom misspelling has been a trade for decades. But also
# people who write around censors, and customers whose honest complaint a filter would hide. The same typos come from
# people with dyslexia, from second-language writers and from small keyboards: a classifier that one letter turns around
# treats them worse every day, with no attacker in sight. That is the stronger reason to measure it. Attack systems that
# are yours, or whose owner agreed.
#
# ## What we learned
#
# - One gradient orders all swaps of a text, roughly; it is a guide for tries, not a measure.
# - Count only what was right before, is wrong now, and was read from a text.
# - Searching is what hurts; a gradient finds more with as many queries, and logits alone are enough to fool some.
# - Constraints by cosine let antonyms in. Read your examples, and report the share that still means the same.
# - Our one reader understood all twenty typos that had fooled the model.
# - Training on attacked swaps helps against swaps; random swaps are no substitute, and vectors moved by EPS help less,
#   or not at all.
# - A model that leans to one class looks robust. Take the rate of each class.
#
# **Next:** lesson 17 lets a language model rank goods, and tries to talk it into something.
#
# ## Further reading
#
# - Javid Ebrahimi, Anyi Rao, Daniel Lowd, Dejing Dou: *HotFlip: White-Box Adversarial Examples for Text
#   Classification*. ACL 2018.
# - Di Jin, Zhijing Jin, Joey Tianyi Zhou, Peter Szolovits: *Is BERT Really Robust? A Strong Baseline for Natural
#   Language Attack on Text Classification and Entailment*. AAAI 2020. TextFooler.
# - Maor Ivgi, Jonathan Berant: *Achieving Model Robustness through Discrete Adversarial Training*. EMNLP 2021.
# - Danish Pruthi, Bhuwan Dhingra, Zachary C. Lipton: *Combating Adversarial Misspellings with Robust Word Recognition*.
#   ACL 2019.
# - John X. Morris, Eli Lifland, Jack Lanchantin, Yangfeng Ji, Yanjun Qi: *Reevaluating Adversarial Examples in Natural
#   Language*. Findings of EMNLP 2020.
# - John X. Morris, Eli Lifland, Jin Yong Yoo, Jake Grigsby, Di Jin, Yanjun Qi: *TextAttack: A Framework for Adversarial
#   Attacks, Data Augmentation, and Adversarial Training in NLP*. EMNLP 2020, system demonstrations. A library of such
#   attacks.
