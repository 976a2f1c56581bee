# ---
# jupyter:
#   advrec:
#     title: Why does the textbook generator loss stall?
#     minutes: 80
#     data: []
#     prerequisites: ["00"]
# ---

# %% [markdown]
# # 02 · Why does the textbook generator loss stall?
#
# You will find out why a generator can stop learning exactly when its opponent is best, what two other losses do
# about it, and what they cost.

# %% [markdown]
# **You will be able to**
#
# - derive what the best discriminator answers, and check a trained one against it;
# - write the minimax, the non-saturating and the Wasserstein loss from logits, so that no logit breaks them;
# - find what is wrong in a pair of losses as tutorials print them;
# - say, for a given distance and a given opponent, how hard each loss pulls on the generator;
# - judge a generator by its distance to the data and by the modes it covers, and change one thing at a time before
#   you say what made the difference.

# %% tags=["pytorch"]
import numpy as np
import torch
from scipy.special import rel_entr

from advrec_teach import claim, exercise, plots, reference_gan
from advrec_teach import pytorch as advrec

# %% tags=["tensorflow"]
import numpy as np
from scipy.special import rel_entr

from advrec_teach import claim, exercise, plots, reference_gan
from advrec_teach import tensorflow as advrec

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"points": 500, "updates": 20, "line": 20, "ring": 20, "width": 16},
    "quick": {"points": 4000, "updates": 200, "line": 300, "ring": 300, "width": 64},
    "full": {"points": 20000, "updates": 2000, "line": 2000, "ring": 6000, "width": 256},
}[PROFILE]
KINDS = ("minimax", "non-saturating", "wasserstein")
device = advrec.setup(lesson="02", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## Two players
#
# A **generator** $G$ turns noise $z$ into a sample $x = G(z)$. A **discriminator** $D$ sees a sample and says how
# probable it is that the sample is real. It does so with a **logit** $s(x)$, any number, and
# $D(x) = \sigma(s(x)) = 1 / (1 + e^{-s(x)})$. Goodfellow et al. (2014) let the two play for one number,
#
# $$\min_G \max_D \; V(D, G), \qquad
# V = \mathbb{E}_{x \sim p}\big[\log D(x)\big] + \mathbb{E}_{z}\big[\log(1 - D(G(z)))\big],$$
#
# where $p$ is the density of the real data; $q$ will be the density of the fakes. The discriminator **maximises its
# own log-likelihood** of telling real from fake. That it "maximises the generator's loss", as one often reads, is
# true only while the generator's loss is this same $V$; below it will not be.
#
# ```mermaid
# flowchart LR
#     accTitle: One step of the game - the discriminator learns from samples, the generator from it
#     z[noise z] --> G[generator G]
#     G --> f[fake sample]
#     r[real sample] --> D[discriminator D]
#     f --> D
#     D --> s[logit s]
#     s -- "1. loss of D: call real real, fake fake" --> D
#     s -- "2. loss of G: be called real" --> G
# ```
#
# The two take turns, and each step changes one player only. Everything here happens on a line or in a plane, where
# every claim of the theory can be looked at. Users and films come back in lesson 04.
#
# ## What does the best discriminator answer?
#
# **Question.** At some point real samples are three times as dense as fake ones. What should $D$ say there? Write a
# number down before you read on.
#
# For a fixed generator, $V$ is an integral over $p(x) \log D(x) + q(x) \log(1 - D(x))$, and every $x$ can be treated
# by itself. Set the derivative with respect to $D$ to zero:
#
# $$\frac{p}{D} - \frac{q}{1 - D} = 0 \quad\Longrightarrow\quad D^*(x) = \frac{p(x)}{p(x) + q(x)} .$$
#
# Put in $p = 3q$ and compare with your number. Does a *trained* network find this by itself? It never sees a
# density, only samples. Two Gaussians of different width make it interesting.

# %%
rng = np.random.default_rng(SEED)
grid = np.linspace(-6, 6, 1201)
dx = grid[1] - grid[0]


def density(x, mean, std):
    """The Gaussian density at x."""
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))


p, q = density(grid, 1.0, 0.7), density(grid, -1.0, 1.2)
real = advrec.tensor(rng.normal(1.0, 0.7, (SIZES["points"], 1)))
fake = advrec.tensor(rng.normal(-1.0, 1.2, (SIZES["points"], 1)))

# %% [markdown]
# The discriminator is a small network from samples to logits, `advrec.mlp([1, 64, 64, 1])`. Training it is ordinary
# training: compute the loss of real and fake logits, follow the gradient. `advrec.discriminator_loss` is $-V$; how
# it is computed comes next.


# %% tags=["pytorch"]
def train_discriminator(loss, *, steps=SIZES["updates"]):
    """Return a discriminator that was trained with `loss(real_logits, fake_logits)`."""
    D = advrec.mlp([1, 64, 64, 1], seed=SEED)
    optimizer = torch.optim.Adam(D.parameters(), lr=0.005)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(D(real), D(fake)).backward()
        optimizer.step()
    return D


# %% tags=["tensorflow"]
def train_discriminator(loss, *, steps=SIZES["updates"]):
    """Return a discriminator that was trained with `loss(real_logits, fake_logits)`."""
    D = advrec.mlp([1, 64, 64, 1], seed=SEED)
    optimizer = tf.keras.optimizers.Adam(0.005)
    # Adam's own variables have to exist before the step is traced; `apply` below updates those it was built for.
    optimizer.build(D.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(D(real), D(fake))
        optimizer.apply(tape.gradient(value, D.trainable_variables))

    for _ in range(steps):
        step()
    return D


# %%
def answers(D):
    """D's probability "real" at every point of the grid."""
    logits = advrec.numpy(D(advrec.tensor(grid[:, None])))[:, 0]
    return 1 / (1 + np.exp(-logits.astype(float)))


def error(D):
    """Mean distance from p / (p + q), over real and fake samples alike."""
    return np.sum(np.abs(answers(D) - p / (p + q)) * (p + q) / 2) * dx


trained = train_discriminator(advrec.discriminator_loss)
untrained = train_discriminator(advrec.discriminator_loss, steps=0)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("Where it saw samples, a trained discriminator finds p / (p + q)", columns=2)
axes[0].fill_between(grid, p, color=plots.REAL, alpha=0.5, label="real, p")
axes[0].fill_between(grid, q, color=plots.FAKE, alpha=0.5, label="fake, q")
plots.label(axes[0], x="x", y="density", legend=True)
axes[1].plot(grid, p / (p + q), color="black", label="best answer, p / (p + q)")
axes[1].plot(grid, answers(trained), color=plots.CLEAN, linestyle="--", label="trained D")
axes[1].plot(grid, answers(untrained), color=plots.RANDOM, linestyle=":", label="untrained D")
plots.label(axes[1], x="x", y='probability "real"', legend=True)

# %%
claim("training brings the discriminator at least five times nearer to it", error(trained) < error(untrained) / 5)

# %% [markdown]
# *Takeaway:* a discriminator is a density ratio in disguise: $s^* = \log p - \log q$. Far out on the right, where
# hardly any sample falls, it guesses wrong, and no loss corrects it there.
#
# Now put $D^*$ back into $V$. With $m = (p + q)/2$ the logarithms become those of the **Jensen-Shannon divergence**:
#
# $$V(D^*, G) = 2\,\mathrm{JS}(p, q) - 2 \log 2, \qquad
# \mathrm{JS}(p, q) = \tfrac12 \mathbb{E}_p\!\left[\log \tfrac{p}{m}\right]
# + \tfrac12 \mathbb{E}_q\!\left[\log \tfrac{q}{m}\right].$$
#
# JS is 0 when $p = q$ and $\log 2$ when the two do not overlap. A generator that plays against the best
# discriminator lowers JS. Check the identity on the trained network: its loss should be $2 \log 2 - 2\,\mathrm{JS}$.


# %%
def js(p, q, dx):
    """Jensen-Shannon divergence of two densities on a grid; rel_entr(a, b) is a log(a / b), and 0 where a is 0."""
    m = (p + q) / 2
    return 0.5 * np.sum(rel_entr(p, m) + rel_entr(q, m)) * dx


def loss_of(D):
    """The discriminator's loss on all samples."""
    return float(advrec.numpy(advrec.discriminator_loss(D(real), D(fake))))


predicted = 2 * np.log(2) - 2 * js(p, q, dx)
claim(
    "the trained discriminator's loss is 2 log 2 - 2 JS within a twentieth",
    abs(loss_of(trained) / predicted - 1) < 0.05,
)
claim("the untrained discriminator's loss is far above it", loss_of(untrained) > 1.5 * predicted)
claim("loss of the trained discriminator (nats)", loss_of(trained))

# %% [markdown]
# ## What does float32 make of log(1 - D)?
#
# **Question.** A discriminator is very sure and wrong: it gives a fake the logit 20. $\log(1 - D)$ should be about
# $-20$. What does a program get that computes $D$ first?
#
# Numbers in float32 have about seven digits. $\sigma(20)$ is $1 - 2 \cdot 10^{-9}$, which rounds to exactly 1, and
# the logarithm of $1 - 1$ is minus infinity. The way out is not to compute $D$ at all. With
# $\operatorname{softplus}(s) = \log(1 + e^s)$, which every framework computes without overflow,
#
# $$-\log D = \operatorname{softplus}(-s), \qquad -\log(1 - D) = \operatorname{softplus}(s).$$


# %% tags=["pytorch"]
def plain(s):
    """log(1 - D), by way of D."""
    return torch.log(1 - torch.sigmoid(s))


def safe(s):
    """log(1 - D), straight from the logit."""
    return -torch.nn.functional.softplus(s)


# %% tags=["tensorflow"]
def plain(s):
    """log(1 - D), by way of D."""
    return tf.math.log(1 - tf.sigmoid(s))


def safe(s):
    """log(1 - D), straight from the logit."""
    return -tf.nn.softplus(s)


# %% tags=["nbval-ignore-output"]
def value_and_slope(form, s):
    """The form's value at the logit s, and its derivative."""
    value, slope = advrec.value_and_grad(form, advrec.tensor(float(s)))
    return float(value), float(slope)


columns = ("plain", "its slope", "from the logit", "its slope, -D")
rows = []
for s in (-20, 2, 10, 15, 20, 200):
    numbers = (*value_and_slope(plain, s), *value_and_slope(safe, s))
    rows.append({"s": s} | {name: f"{number:.6g}" for name, number in zip(columns, numbers)})
plots.table(rows)

# %%
claim("at a logit of 20 the plain form is minus infinity", value_and_slope(plain, 20)[0] == -np.inf)
claim("its slope there is not a number", np.isnan(value_and_slope(plain, 20)[1]))
claim("the form from the logit gives -20 and the slope -1", np.allclose(value_and_slope(safe, 20), (-20, -1)))

# %% [markdown]
# The slope is `nan` because of the chain rule: the derivative of the logarithm, $1 / (1 - D)$, is infinite, that of
# the sigmoid, $D (1 - D)$, is zero, and infinity times zero is not a number.
#
# *Takeaway:* one such sample in a batch makes the mean infinite, and one slope that is not a number ends the training:
# from then on every weight is `nan`. Before that point the plain form loses digits without a word: compare the rows
# of 10 and 15. So discriminators return logits, and losses take logits.
#
# ## Bug hunt: a pair of losses from a tutorial
#
# A widely read tutorial derives, correctly, $L_G = -\log D(G(z))$ and $L_D = -[\log D(x) + \log(1 - D(G(z)))]$. Its
# program then does what the next cell does. It runs, and its loss falls. We train a discriminator with it, on the same
# samples as before, and compare.


# %% tags=["pytorch"]
def tutorial_losses(real_logits, fake_logits):
    """Return the discriminator's and the generator's loss."""
    d_real, d_fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    discriminator = d_real.mean() + d_fake.mean()
    generator = -d_fake.mean()
    return discriminator, generator


# %% tags=["tensorflow"]
def tutorial_losses(real_logits, fake_logits):
    """Return the discriminator's and the generator's loss."""
    d_real, d_fake = tf.sigmoid(real_logits), tf.sigmoid(fake_logits)
    discriminator = tf.reduce_mean(d_real) + tf.reduce_mean(d_fake)
    generator = -tf.reduce_mean(d_fake)
    return discriminator, generator


# %% tags=["nbval-ignore-output"]
by_tutorial = train_discriminator(lambda real, fake: tutorial_losses(real, fake)[0])

fig, axis = plots.figure("With the tutorial's loss the discriminator calls everything fake")
axis.plot(grid, answers(trained), color=plots.CLEAN, label="-log D(real) - log(1 - D(fake))")
axis.plot(grid, answers(by_tutorial), color=plots.ATTACKED, linestyle="--", label="tutorial's program")
plots.label(axis, x="x", y='probability "real"', legend=True)


def tutorial_loss_of(D):
    """The tutorial's loss of the discriminator, on all samples."""
    return float(advrec.numpy(tutorial_losses(D(real), D(fake))[0]))


def called_real(D, samples):
    """Share of the samples that D gives more than one half."""
    return float(np.mean(advrec.numpy(D(samples)) > 0))


networks = {"untrained": untrained, "trained by the tutorial": by_tutorial, "trained by -V": trained}
plots.table(
    {"discriminator": name, "tutorial's loss": tutorial_loss_of(D), "real samples called real": called_real(D, real)}
    for name, D in networks.items()
)

# %%
claim(
    "training brings the tutorial's loss below a tenth",
    tutorial_loss_of(by_tutorial) < 0.1 < tutorial_loss_of(untrained),
)
claim("the discriminator that it made calls no real sample real", called_real(by_tutorial, real) == 0)
claim("trained with the right loss, it calls more than nine tenths of them real", called_real(trained, real) > 0.9)

# %% [markdown]
# ### Exercise 02.1 · bug hunt: what the text derives · 15 min · **
#
# Each player's loss is wrong. Write the pair that the tutorial's *text* derives, from logits, finite for every logit,
# and so that the framework can differentiate it. Stuck? `exercise("02.1").hint()`.


# %% tags=["pytorch", "exercise"]
def gan_losses(real_logits, fake_logits):
    """Return the two losses of the tutorial's text: L_D first, then L_G = -mean log D(fake).

    real_logits, fake_logits: tensors of the same shape.  Returns two scalar tensors that can be differentiated,
    each a mean over the samples (L_D: the sum of two means).
    """
    # BEGIN SOLUTION
    softplus = torch.nn.functional.softplus
    discriminator = softplus(-real_logits).mean() + softplus(fake_logits).mean()
    generator = softplus(-fake_logits).mean()
    return discriminator, generator
    # END SOLUTION


gan_losses = exercise("02.1").check(gan_losses)


# %% tags=["tensorflow", "exercise"]
def gan_losses(real_logits, fake_logits):
    """Return the two losses of the tutorial's text: L_D first, then L_G = -mean log D(fake).

    real_logits, fake_logits: tensors of the same shape.  Returns two scalar tensors that can be differentiated,
    each a mean over the samples (L_D: the sum of two means).
    """
    # BEGIN SOLUTION
    softplus = tf.nn.softplus
    discriminator = tf.reduce_mean(softplus(-real_logits)) + tf.reduce_mean(softplus(fake_logits))
    generator = tf.reduce_mean(softplus(-fake_logits))
    return discriminator, generator
    # END SOLUTION


gan_losses = exercise("02.1").check(gan_losses)

# %%
repaired = train_discriminator(lambda real, fake: gan_losses(real, fake)[0])
claim("after the repair the discriminator is as near to p / (p + q) as before", error(repaired) < 1.5 * error(trained))

# %% [markdown]
# *Takeaway:* a loss that falls proves nothing. Ask what its smallest value would mean: here it means "everything is
# fake".
#
# ## Three things to tell the generator
#
# The discriminator's loss is settled. For the generator there are three in use:
#
# | name | loss of one fake with logit $s$ | idea |
# |---|---|---|
# | minimax (the textbook's) | $\log(1 - D)$ | lower the value $V$ that the discriminator raises |
# | non-saturating | $-\log D$ | raise the probability of being called real |
# | Wasserstein | $-s$ | raise the opponent's score; no sigmoid anywhere |
#
# For a single sample all three fall as $s$ rises: they agree on where its logit should go. They do not agree on how
# much each sample of a batch counts, so the gradient of the whole batch can point elsewhere. The opponent in the last
# row is called a **critic**: its score is no logit, and it has a loss of its own,
# $\operatorname{mean} s(\text{fake}) - \operatorname{mean} s(\text{real})$ (Arjovsky, Chintala and Bottou, 2017). Why
# that makes sense comes in the next section.
#
# ### Exercise 02.2 · predict: two pulls on one sample · 5 min · *
#
# A fake has the logit $-10$. The **pull** of a loss on it is the size of its derivative with respect to $s$. Compare
# the pull of the first two rows of the table: by which factor do they differ?
#
# - **a**: not at all, because both want the same;
# - **b**: by about 10;
# - **c**: by about 100;
# - **d**: by more than 10,000.
#
# And which of the two is the stronger one, at $-10$ and at $+10$? Write both down *before* you run on.

# %% tags=["exercise"]
prediction = None
# BEGIN SOLUTION
prediction = "d"
# END SOLUTION
prediction = exercise("02.2").check(prediction)

# %% [markdown]
# ### Exercise 02.3 · three losses from logits · 15 min · **
#
# Write all three, as means over the samples, finite for every logit, so that the framework can differentiate them.


# %% tags=["pytorch", "exercise"]
def generator_loss(fake_logits, *, kind):
    """Return the generator's loss for the logits (or the critic's scores) of its samples.

    fake_logits: tensor of any shape.  kind: "minimax", "non-saturating" or "wasserstein", nothing else.
    Returns a scalar tensor that can be differentiated.
    """
    # BEGIN SOLUTION
    softplus = torch.nn.functional.softplus
    if kind == "minimax":
        return -softplus(fake_logits).mean()
    if kind == "non-saturating":
        return softplus(-fake_logits).mean()
    return -fake_logits.mean()
    # END SOLUTION


generator_loss = exercise("02.3").check(generator_loss)


# %% tags=["tensorflow", "exercise"]
def generator_loss(fake_logits, *, kind):
    """Return the generator's loss for the logits (or the critic's scores) of its samples.

    fake_logits: tensor of any shape.  kind: "minimax", "non-saturating" or "wasserstein", nothing else.
    Returns a scalar tensor that can be differentiated.
    """
    # BEGIN SOLUTION
    if kind == "minimax":
        return -tf.reduce_mean(tf.nn.softplus(fake_logits))
    if kind == "non-saturating":
        return tf.reduce_mean(tf.nn.softplus(-fake_logits))
    return -tf.reduce_mean(fake_logits)
    # END SOLUTION


generator_loss = exercise("02.3").check(generator_loss)

# %% [markdown]
# Now draw the pull. The framework differentiates; $-D$, $-(1 - D)$ and $-1$ are what pencil and paper say. The
# tutorial's $-D(G(z))$ is drawn beside them.

# %%
LOOK = {
    "minimax": {"color": plots.EXTRA, "linestyle": "-."},
    "non-saturating": {"color": "#56B4E9", "linestyle": "--"},
    "wasserstein": {"color": "black", "linestyle": "-"},
}
s = np.linspace(-12, 12, 241)


def pull(loss):
    """Size of the derivative of one sample's loss, at every logit s; the mean's 1/n is taken out again."""
    _, gradient = advrec.value_and_grad(loss, advrec.tensor(s))
    return np.abs(advrec.numpy(gradient)) * len(s)


pulls = {kind: pull(lambda s, kind=kind: generator_loss(s, kind=kind)) for kind in KINDS}
tutorial_pull = pull(lambda s: tutorial_losses(s, s)[1])

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("The minimax loss lets go where the generator needs it most", columns=2, size=(8.4, 4))
for axis, title in zip(axes, ("shaded: recognised as fake", "the same, logarithmic")):
    for kind in KINDS:
        axis.plot(s, pulls[kind], label=kind, **LOOK[kind])
    axis.plot(s, tutorial_pull, color=plots.RANDOM, linestyle=":", label="tutorial's (loss -D)")
    axis.axvspan(-12, -5, color=plots.RANDOM, alpha=0.12)
    plots.label(axis, x="logit s of a fake", y="size of the derivative", title=title)
axes[1].set_yscale("log")
legend = fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)

# %%
paper = {kind: np.abs(reference_gan.generator_gradient(s, kind=kind)) for kind in KINDS}
at = int(np.argmin(np.abs(s + 10)))
claim("the derivatives are D, 1 - D and 1 in size", all(np.allclose(pulls[k], paper[k], atol=1e-5) for k in KINDS))
claim(
    "at a logit of -10 non-saturating pulls more than twenty thousand times as hard as minimax",
    pulls["non-saturating"][at] > 20_000 * pulls["minimax"][at],
)
claim(
    "at a logit of +10 it is the other way round",
    pulls["minimax"][-1 - at] > 20_000 * pulls["non-saturating"][-1 - at],
)
claim("the tutorial's loss lets go at both ends", max(tutorial_pull[at], tutorial_pull[-1 - at]) < 1e-4)

# %% [markdown]
# *Takeaway:* that a loss **saturates** means: it goes flat where the generator is worst. The pulls $D$ and $1 - D$
# are mirror images that add up to 1: minimax works on the samples that already pass, non-saturating on those that are
# recognised. Only the critic's treats all alike.
#
# ## Which distance can feel how far?
#
# **Question.** Two Gaussians move apart. What does JS say about the way from 5 to 8 standard deviations?
#
# A rival of JS is the **Wasserstein distance**: the least work of turning one heap of sand into the other, weight
# times way. On a line the cheapest plan moves the smallest grain to the smallest, and so on: the mean distance between
# samples of equal rank.


# %% tags=["nbval-ignore-output"]
def wasserstein(x, y):
    """Wasserstein-1 distance of two samples of equal size on the line, in the unit of x."""
    return np.mean(np.abs(np.sort(np.ravel(x)) - np.sort(np.ravel(y))))


shifts = np.linspace(0, 8, 33)
wide = np.linspace(-10, 20, 6001)
x, y = rng.normal(size=(2, 20_000))
p_wide = density(wide, 0, 1)
js_of = np.array([js(p_wide, density(wide, d, 1), wide[1] - wide[0]) for d in shifts])
w_of = np.array([wasserstein(x, y + d) for d in shifts])

fig, axes = plots.figure("Jensen-Shannon stops counting once the two no longer overlap", columns=2)
axes[0].plot(shifts, js_of, **LOOK["minimax"])
axes[0].axhline(np.log(2), color=plots.RANDOM, linestyle=":")
axes[0].text(0.1, np.log(2) - 0.01, "log 2", va="top", color=plots.RANDOM)
plots.label(axes[0], x="distance of the means (standard deviations)", y="Jensen-Shannon divergence (nats)")
axes[1].plot(shifts, w_of, **LOOK["wasserstein"])
plots.label(axes[1], x="distance of the means (standard deviations)", y="Wasserstein distance")

# %%
far = shifts >= 5
claim("from 5 units on JS rises by less than a twentieth of log 2", np.ptp(js_of[far]) < np.log(2) / 20)
claim("at 8 units JS is log 2 within a thousandth", abs(js_of[-1] - np.log(2)) < 1e-3)
claim("the Wasserstein distance is the shift, within a fiftieth", np.abs(w_of[far] / shifts[far] - 1).max() < 0.02)

# %% [markdown]
# *Takeaway:* JS answers "do they overlap?", Wasserstein answers "how far?". Where JS is flat, its slope still
# has a sign, but a size that rounding and the noise of a batch drown.
#
# But nobody hands the generator these distances: it feels them through its opponent. For JS that is the best
# discriminator. For Wasserstein it is the best critic *whose slope is nowhere larger than 1*, because of the
# Kantorovich-Rubinstein duality:
#
# $$W(p, q) = \max_{|s'| \le 1} \; \mathbb{E}_{p}[s(x)] - \mathbb{E}_{q}[s(x)],$$
#
# which is the critic's loss with its sign turned. Let the real data be $N(0, 1)$ and the generator $x = \theta + z$ at
# distance $d$, $\theta = -d$. Then the best opponents are known: the logit $\log p - \log q = d\,x + d^2/2$, and the
# critic $s(x) = x$. How hard do they pull on $\theta$?

# %% tags=["nbval-ignore-output"]
z = advrec.tensor(rng.normal(size=20_000))


def pull_at(kind, d):
    """Size of the gradient on the generator's shift at distance d, against the best opponent."""
    slope, offset = (1.0, 0.0) if kind == "wasserstein" else (d, d**2 / 2)

    def loss(theta):
        return generator_loss(slope * (theta + z) + offset, kind=kind)

    return abs(float(advrec.value_and_grad(loss, advrec.tensor(-d))[1]))


distances = np.linspace(0.25, 6, 24)
best_pull = {kind: np.array([pull_at(kind, d) for d in distances]) for kind in KINDS}

fig, axis = plots.figure("Minimax lets go of a generator that is far away; close by, only the critic still pulls")
for kind in KINDS:
    axis.plot(distances, best_pull[kind], label=kind, **LOOK[kind])
axis.set_yscale("log")
plots.label(
    axis, x="distance d from the data (standard deviations)", y="size of the gradient on the shift", legend=True
)

# %%
close, near_by, far_off = (int(np.argmin(np.abs(distances - d))) for d in (0.25, 3, 6))
change = {kind: best_pull[kind][far_off] / best_pull[kind][near_by] for kind in KINDS}
strongest = distances[np.argmax(best_pull["minimax"])]
claim("minimax pulls hardest at a distance between 1 and 2 standard deviations", 1 < strongest < 2)
claim("from 3 to 6 units the minimax gradient loses nine tenths of its size", change["minimax"] < 0.1)
claim("over the same way the non-saturating gradient grows", change["non-saturating"] > 1.5)
claim(
    "at a quarter of a unit both logarithmic pulls are below a sixth, the critic's is 1",
    max(best_pull[k][close] for k in KINDS[:2]) < 1 / 6 and abs(best_pull["wasserstein"][close] - 1) < 1e-4,
)

# %% [markdown]
# *Takeaway:* here is the stall. Beyond the hump of its curve, the farther away the generator is, the weaker minimax
# pulls. The non-saturating loss overdoes it: its gradient *grows* with the distance, because the best logit's slope,
# $d$, does. Arjovsky and Bottou (2017) show that against the best discriminator it follows
# $\mathrm{KL}(q, p) - 2\,\mathrm{JS}$, a mixture that partly pushes the two apart, and that its noise can be violent.
# At the other end, both logarithmic pulls fade as the generator arrives, and it comes to rest. The critic pulls with
# the same force to the end, since a distance has the same slope near and far. Keep that in mind for the game below.
#
# ## Does a better discriminator teach better?
#
# **Question.** Freeze a generator far from its data, and let only the opponent learn. Does the generator's gradient
# become larger or smaller as the opponent gets better?
#
# `advrec.fit_gan` plays the game: a step is `discriminator_steps` updates of the opponent on new samples, then one
# of the generator, each by Adam on its own loss. It returns both losses and the sizes of both gradients. A generator
# with learning rate 0 is frozen. The critic's slope has to be limited: here all its weights are **clipped** to
# $[-0.05, 0.05]$ after each update, the first way to limit a critic (Arjovsky, Chintala and Bottou). That keeps
# the slope below *some* constant instead of 1, so the critic measures the distance in a unit that nobody knows.

# %% tags=["nbval-ignore-output"]
STRONG = {"discriminator_steps": 5, "learning_rates": (2e-3, 5e-3)}
SETTINGS = {kind: {"loss": kind, **STRONG} for kind in KINDS}
SETTINGS["wasserstein"]["clip"] = 0.05


def players():
    """A new generator from noise to the line, and a new opponent from the line to one number."""
    generator = advrec.mlp([1, 32, 1], activation="tanh", seed=SEED)
    return generator, advrec.mlp([1, 64, 64, 1], activation="leaky_relu", seed=SEED + 100)


far_data = advrec.gaussian_data(mean=6.0, std=0.5)
frozen = {}
for kind in KINDS:
    settings = {**SETTINGS[kind], "discriminator_steps": 1, "learning_rates": (0.0, 5e-3)}
    history = advrec.fit_gan(*players(), far_data, steps=SIZES["updates"], noise_dim=1, seed=SEED, **settings)
    frozen[kind] = history["generator_gradient"]

fig, axis = plots.figure("The better the discriminator, the less the minimax generator can learn from it")
for kind in KINDS:
    axis.plot(1 + np.arange(len(frozen[kind])), frozen[kind], label=kind, **LOOK[kind])
axis.set(xscale="log", yscale="log")
plots.label(axis, x="updates of the opponent", y="size of the generator's gradient", legend=True)

# %%
claim(
    "while the discriminator learns, the minimax gradient falls below a ten-thousandth of its start",
    frozen["minimax"][-1] < frozen["minimax"][0] / 1e4,
)
claim("the non-saturating gradient grows instead", frozen["non-saturating"][-1] > frozen["non-saturating"][0])
claim("the clipped critic's gradient grows too", frozen["wasserstein"][-1] > frozen["wasserstein"][0])

# %% [markdown]
# A new network is nearly flat, and its slope grows while it learns; the generator's gradient is a product with that
# slope. The clip stops the critic's growth, nothing stops the discriminator's. For minimax the other factor, $D$,
# shrinks much faster.
#
# *Takeaway:* with the textbook loss you must not train the discriminator too well, which is an odd thing to ask of a
# teacher. That is the practical meaning of "stalls".
#
# ## A game on the line
#
# **Question.** Does it matter in real play, where both learn? Adam divides every gradient by its own recent size, so
# a merely *small* gradient should not hurt.
#
# We train from the same start, with the same opponent, five updates of the opponent a step, and watch the Wasserstein
# distance between fresh samples and fresh data. Four controls: the untrained generator (the start), two real samples
# (the best anyone can reach), minimax with data *nearer* to the start, and minimax with the far data but a *weaker*
# opponent, one update a step. An untrained generator's samples lie around 0. The far data lie around 6, twelve of their
# own standard deviations away, the nearer ones around 2, four away.


# %%
def play(data, **settings):
    """Train a new pair; return its distances to the data on the way, its history, and samples at the end."""
    generator, opponent = players()
    target = advrec.numpy(data(SIZES["points"], advrec.generator(SEED + 1)))
    way, samples = [], []

    def measure(step):
        drawn = advrec.sample(generator, SIZES["points"], noise_dim=1, seed=SEED)
        samples.append(advrec.numpy(drawn)[:, 0])
        way.append(wasserstein(samples[-1], target))

    history = advrec.fit_gan(
        generator, opponent, data, steps=SIZES["line"], noise_dim=1, seed=SEED,
        every=SIZES["line"] // 20, callback=measure, **settings,
    )  # fmt: skip
    return np.array(way), history, samples[-1]


games = {kind: play(far_data, **SETTINGS[kind]) for kind in KINDS}
nearer, _, _ = play(advrec.gaussian_data(mean=2.0, std=0.5), **SETTINGS["minimax"])
weaker, _, _ = play(far_data, **{**SETTINGS["minimax"], "discriminator_steps": 1})
one, other = (advrec.numpy(far_data(SIZES["points"], advrec.generator(SEED + k))) for k in (1, 2))
noise_floor = wasserstein(one, other)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "Far from the data and against a strong opponent, minimax does not move", columns=3, size=(12, 3.8)
)
steps = np.linspace(0, SIZES["line"], len(nearer))
for kind in KINDS:
    axes[0].plot(steps, games[kind][0], label=kind, **LOOK[kind])
    axes[1].plot(1 + np.arange(SIZES["line"]), games[kind][1]["generator_gradient"], **LOOK[kind])
axes[0].plot(steps, nearer, color=plots.DEFENDED, linestyle=":", label="minimax, data nearer")
axes[0].plot(steps, weaker, color=plots.ATTACKED, linestyle=":", label="minimax, weaker opponent")
axes[0].axhline(noise_floor, color=plots.RANDOM, linestyle=":", label="two real samples")
bins = np.linspace(4, 8, 61)
axes[2].hist(one[:, 0], bins, density=True, color=plots.RANDOM, alpha=0.4, label="data")
for kind in KINDS[1:]:
    axes[2].hist(games[kind][2], bins, density=True, histtype="step", linewidth=1.8, label=kind, **LOOK[kind])
plots.label(axes[0], x="steps", y="Wasserstein distance to the data", title="distance")
plots.label(axes[1], x="steps", y="size of the generator's gradient", title="gradient")
plots.label(axes[2], x="x", y="density", title="samples at the end", legend=True)
axes[0].set_yscale("log")
axes[1].set_yscale("log")
legend = fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)

# %%
start = games["minimax"][0][0]
end = {kind: games[kind][0][-1] for kind in KINDS}
width_of = {kind: games[kind][2].std() / one.std() for kind in KINDS}
gradient = games["minimax"][1]["generator_gradient"]
claim(
    "far away and against a strong opponent minimax covers less than a tenth of its way", end["minimax"] > 0.9 * start
)
claim("non-saturating and Wasserstein cover more than nine tenths of it", max(end[k] for k in KINDS[1:]) < 0.1 * start)
claim("with data nearer to the start minimax covers more than nine tenths too", nearer[-1] < 0.1 * nearer[0])
claim("with a weaker opponent it covers more than three quarters, from far away", weaker[-1] < 0.25 * weaker[0])
claim(
    "in the first ten steps the stalled gradient shrinks faster than Adam forgets", gradient[10] < gradient[0] * 0.9**5
)
claim(
    "at the end the stalled gradient is smaller than Adam's constant, 1e-8",
    np.median(gradient[-SIZES["line"] // 10 :]) < 1e-8,
)
claim("the non-saturating samples are as wide as the data, within a tenth", abs(width_of["non-saturating"] - 1) < 0.1)
claim("the clipped critic's samples are narrower, by more than a tenth", width_of["wasserstein"] < 0.9)
claim("standard deviation of the non-saturating samples, by that of the data", width_of["non-saturating"])

# %% [markdown]
# *Takeaway:* the textbook loss is not wrong. It stalls where two things meet, a far start *and* a strong opponent; take
# either away, and it moves. Adam does not rescue it. Adam divides by the root of a running mean of squares, and
# with our decay of 0.9 that root can shrink by a factor of $\sqrt{0.9}$ a step at most. The gradient shrinks faster,
# so the *ratio* falls from step to step, and the sum of all those steps stays short. Later the gradient stops
# shrinking, but by then it is smaller than the constant, $10^{-8}$, that keeps Adam from dividing by zero.
#
# The clipped critic brings its generator home, but not to rest. Its pull does not fade on arrival: it draws all samples
# one way together until they are past the data, then back. What comes out is a heap at about the right place, and too
# narrow. The distance alone would not have told you: look at the histogram.
#
# The duality had a condition: a critic's slope must not exceed 1. What if nobody sees to it? A critic's loss with its
# sign turned is an estimate of the distance, so we can look whether it is one.

# %% tags=["nbval-ignore-output"]
critics = {"limited": games["wasserstein"], "unlimited": play(far_data, loss="wasserstein", **STRONG)}
fig, axes = plots.figure("A limited critic's loss follows the distance, an unlimited one's does not", columns=2)
told, agreement = {}, {}
for axis, (name, (way, history, _)) in zip(axes, critics.items()):
    told[name] = -history["discriminator_loss"]
    at_way = np.minimum(np.arange(len(way)) * (SIZES["line"] // 20), SIZES["line"] - 1)
    agreement[name] = np.corrcoef(way, told[name][at_way])[0, 1]
    axis.plot(way, told[name][at_way], color="black", marker="o", linewidth=0.8)
    axis.plot(way[:1], told[name][:1], color=plots.ATTACKED, marker="o", markersize=9, linestyle="", label="start")
    plots.label(axis, x="Wasserstein distance to the data", y="critic's loss, sign turned", title=name, legend=True)

# %%
largest = {name: np.abs(values).max() for name, values in told.items()}
claim(
    "at its largest, the unlimited critic's loss is over a thousand times that of the limited one",
    largest["unlimited"] > 1000 * largest["limited"],
)
claim("the limited critic's loss follows the distance: their correlation is above 0.7", agreement["limited"] > 0.7)
claim("the unlimited critic's does not: it is below 0.5", agreement["unlimited"] < 0.5)

# %% [markdown]
# *Takeaway:* without a limit the critic wins by shouting: it multiplies its scores, and its loss says nothing about
# the distance any more, although at first its generator runs in the right direction. (The limited critic's first point
# is off its line, too: a critic that has not learned yet knows no distance.) A limit is part of the method, so say
# which one you use.
#
# Clipping is simple and crude (its inventors call it "clearly terrible"). The plane below uses the usual successor,
# the **gradient penalty** of Gulrajani et al. (2017): it adds
# $\lambda \operatorname{mean} (||\nabla_x s(x)||_2 - 1)^2$ to the critic's loss, at random points between real and
# fake samples. The duality asks for a slope of *at most* 1. The penalty pushes it *to* 1, because the best critic has
# exactly that slope on the way from fakes to data, as $s(x) = x$ had above. We take $\lambda = 1$; Gulrajani et al.
# took 10.
#
# ## Eight clusters in the plane
#
# **Question.** Wasserstein is said to cure a generator that serves only a few kinds of samples. Is it its loss that
# cures, or the limit on the slope that comes with it?
#
# The real data are now eight small Gaussian clusters (**modes**) on a ring, as in Metz et al. (2017). A generator that
# serves one mode perfectly fools the discriminator for a while; such a **mode collapse** is what recommenders know as
# showing everybody the same. So two numbers are needed: how many modes are covered, and how many samples are near one.
#
# ### Exercise 02.4 · how many modes? · 15 min · **
#
# A mode is covered when at least `minimum` samples lie within `radius` of its centre.


# %% tags=["pytorch", "exercise"]
def modes_covered(samples, centres, *, radius, minimum):
    """Return the number of centres with at least `minimum` samples within `radius` (Euclidean, inclusive).

    samples: [n, 2].  centres: [modes, 2].  Returns a whole number.
    """
    # BEGIN SOLUTION
    distance = torch.linalg.vector_norm(samples[:, None] - centres, dim=2)
    near = (distance <= radius).sum(dim=0)
    return int((near >= minimum).sum())
    # END SOLUTION


modes_covered = exercise("02.4").check(modes_covered)


# %% tags=["tensorflow", "exercise"]
def modes_covered(samples, centres, *, radius, minimum):
    """Return the number of centres with at least `minimum` samples within `radius` (Euclidean, inclusive).

    samples: [n, 2].  centres: [modes, 2].  Returns a whole number.
    """
    # BEGIN SOLUTION
    distance = tf.norm(samples[:, None] - centres, axis=2)
    near = tf.reduce_sum(tf.cast(distance <= radius, tf.int64), axis=0)
    return int(tf.reduce_sum(tf.cast(near >= minimum, tf.int64)))
    # END SOLUTION


modes_covered = exercise("02.4").check(modes_covered)

# %% [markdown]
# The opponent is strong again, with a learning rate four times the generator's. The usual comparison, non-saturating
# without a penalty against Wasserstein with one, changes *two* things at once. So we train every loss both ways: a
# penalty can be added to a discriminator's loss just as well. One more run slows the opponent down to the generator's
# learning rate and changes nothing else. Further controls: the untrained generator, fresh real samples, and two
# generators that know no mode at all: one Gaussian cloud with the mean and the covariance of the data, and the circle
# on which the modes lie. Guess how many modes the circle covers.
#
# The next cell trains seven pairs; it is the longest wait of this lesson.

# %%
RING = {"modes": 8, "radius": 2.0, "std": 0.1}
ring = advrec.ring_data(**RING)
centres = reference_gan.ring_centres(modes=8, radius=2.0)
n, width = SIZES["points"], SIZES["width"]


def play_ring(loss, *, rates=(5e-4, 2e-3), penalty=0.0):
    """Train a new pair on the ring; return samples of its generator."""
    generator = advrec.mlp([2, width, width, 2], seed=SEED)
    opponent = advrec.mlp([2, width, width, 1], seed=SEED + 100)
    advrec.fit_gan(
        generator, opponent, ring, steps=SIZES["ring"], batch_size=128, noise_dim=2, seed=SEED,
        loss=loss, learning_rates=rates, discriminator_steps=5, penalty=penalty,
    )  # fmt: skip
    return advrec.sample(generator, n, noise_dim=2, seed=SEED)


samples = {kind: play_ring(kind) for kind in KINDS}
samples |= {f"{kind} + penalty": play_ring(kind, penalty=1.0) for kind in KINDS}
samples["non-saturating, slower opponent"] = play_ring("non-saturating", rates=(5e-4, 5e-4))

# %%
samples["untrained"] = advrec.sample(advrec.mlp([2, width, width, 2], seed=SEED), n, noise_dim=2, seed=SEED)
samples["real"] = ring(n, advrec.generator(SEED + 1))
data = advrec.numpy(ring(n, advrec.generator(SEED + 2)))
samples["one cloud"] = advrec.tensor(rng.multivariate_normal(data.mean(0), np.cov(data.T), n))
angle = rng.uniform(0, 2 * np.pi, (n, 1))
samples["circle"] = advrec.tensor(RING["radius"] * np.hstack([np.cos(angle), np.sin(angle)]))

near_mode = 3 * RING["std"]
modes = {
    name: modes_covered(points, advrec.tensor(centres), radius=near_mode, minimum=n // 100)
    for name, points in samples.items()
}
share = {
    name: reference_gan.share_near_modes(advrec.numpy(points), centres, radius=near_mode)
    for name, points in samples.items()
}

# %% tags=["nbval-ignore-output"]
penalised = [f"{kind} + penalty" for kind in KINDS]
drawn = (*KINDS, "non-saturating, slower opponent", *penalised, "circle")
fig, axes = plots.figure(
    "Without a penalty no loss covers the ring, with it each does, and so does a bare circle",
    rows=2, columns=4, size=(12, 6.8), sharex=True, sharey=True,
)  # fmt: skip
turn = np.linspace(0, 2 * np.pi, 60)
for axis, name in zip(axes.flat, drawn):
    axis.scatter(*advrec.numpy(samples[name])[:1000].T, s=3, color=plots.FAKE)
    for x1, x2 in centres:
        axis.plot(x1 + near_mode * np.cos(turn), x2 + near_mode * np.sin(turn), color=plots.REAL, linewidth=1)
    axis.set(aspect="equal", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))
    axis.set_title("\n".join([*name.split(", "), f"modes {modes[name]}, share {share[name]:.2f}"]), fontsize=10)
for axis in axes[1]:
    axis.set_xlabel("$x_1$")
for axis in axes[:, 0]:
    axis.set_ylabel("$x_2$")
order = ("real", *drawn, "one cloud")
plots.table([{"samples": k, "modes covered": modes[k], "share near a mode": share[k]} for k in order], digits=2)

# %%
free, slower = "non-saturating", "non-saturating, slower opponent"
claim("real samples cover all eight modes, an untrained generator none", (modes["real"], modes["untrained"]) == (8, 0))
claim("without a penalty no loss covers more than four, Wasserstein included", max(modes[k] for k in KINDS) <= 4)
claim("with the same penalty each of the three covers all eight", all(modes[k] == 8 for k in penalised))
claim(
    "with it, the three shares near a mode differ by less than a tenth",
    np.ptp([share[k] for k in penalised]) < 0.1,
)
claim("each of them is larger than that of one cloud", min(share[k] for k in penalised) > share["one cloud"])
claim("a circle covers all eight as well", modes["circle"] == 8)
claim(
    "the circle has a larger share near a mode than any of the three with a penalty",
    share["circle"] > max(share[k] for k in penalised),
)
claim(
    "non-saturating samples are nearer to a mode without the penalty than with it",
    share[free] > share[f"{free} + penalty"],
)
claim(
    "of all trained pairs, Wasserstein without a limit has the smallest share",
    min(share[k] for k in drawn[:-1]) == share["wasserstein"],
)
claim("with a slower opponent, non-saturating covers more modes", modes[slower] > modes[free])
claim("with a slower opponent, a smaller share of its samples is near a mode", share[slower] < share[free])
claim("share of the samples near a mode, Wasserstein with penalty", share["wasserstein + penalty"])

# %% [markdown]
# *Takeaway:* it was the limit. With the same penalty the three losses cover the same modes with about the same
# precision; without one, none of them covers the ring, and Wasserstein, which needs the limit most, has the smallest
# share. The price shows in the same table: what covers all modes leaves samples between them, what makes clean samples
# makes few kinds. A slower opponent moves along the same trade-off, with no penalty at all. Fedus et al. (2018) report
# that gradient penalties help the non-saturating loss on images, too.
#
# The circle is the sober control. "All modes covered" sounds like eight clusters found, and it is not: after these few
# steps the penalised generators have found the *ring*, and are less precise than a generator without any idea of a
# cluster. Longer training (`PROFILE = "full"`) asks whether the clusters come.
#
# So when somebody shows you two rows of a table that differ in loss *and* penalty, ask for the other two.
#
# ## What can go wrong
#
# - **Toys.** On a line and in a plane, densities are known and clouds overlap soon. Pictures, and worse, lists of
#   items, hardly overlap at all; there the stall is the rule, and discrete items have a trouble of their own
#   (lesson 04).
# - **One setting.** Which loss looks best depends on the opponent's strength, learning rates and time; our runs are
#   short, and a penalty that costs precision now may not later. Lucic et al. (2018) found that with enough tuning most
#   losses reach similar quality. Compare losses at equal effort, over seeds.
# - **Two changes at once.** A method is often a loss *and* a limit *and* a schedule. Change one at a time.
# - **A falling loss is no progress.** Both players move; only a measure from outside (a distance, covered modes, each
#   with its control) says whether samples get better.
#
# **Misuse.** A generator that is good at being taken for real is a tool for fake accounts and fake reviews. The course
# uses it to make training data and to test defences; what it makes is labelled as made, and stays out of systems in
# which real people are counted.
#
# ## What we learned
#
# - The best discriminator answers $p / (p + q)$; against it the minimax game measures Jensen-Shannon, which goes flat
#   when nothing overlaps.
# - Minimax pulls with $D$, non-saturating with $1 - D$, Wasserstein with 1. A far start and a strong opponent together
#   make the first vanish.
# - Losses take logits: `softplus` in place of the logarithm of a rounded probability.
# - A critic measures distance only while its slope is limited, by clipping or by a penalty.
# - In our plane the limit on the slope, and the opponent's speed, decided more than which of the three losses was used.
#
# **Next:** lesson 03 is a clinic for GANs that fail.
#
# ## Further reading
#
# - Ian J. Goodfellow, Jean Pouget-Abadie, Mehdi Mirza, Bing Xu, David Warde-Farley, Sherjil Ozair, Aaron Courville,
#   Yoshua Bengio: *Generative Adversarial Nets*. NIPS 2014. The game, the best discriminator, and the non-saturating
#   loss.
# - Martin Arjovsky, Léon Bottou: *Towards Principled Methods for Training Generative Adversarial Networks*. ICLR 2017.
#   Why gradients vanish as the discriminator improves.
# - Martin Arjovsky, Soumith Chintala, Léon Bottou: *Wasserstein Generative Adversarial Networks*. ICML 2017. The
#   critic, and clipping.
# - Ishaan Gulrajani, Faruk Ahmed, Martin Arjovsky, Vincent Dumoulin, Aaron Courville: *Improved Training of
#   Wasserstein GANs*. NIPS 2017. The gradient penalty.
# - Luke Metz, Ben Poole, David Pfau, Jascha Sohl-Dickstein: *Unrolled Generative Adversarial Networks*. ICLR 2017.
#   Modes on a ring.
# - Tim Salimans, Ian Goodfellow, Wojciech Zaremba, Vicki Cheung, Alec Radford, Xi Chen: *Improved Techniques for
#   Training GANs*. NIPS 2016. What to try when training fails; often cited with the wrong authors and year.
# - William Fedus, Mihaela Rosca, Balaji Lakshminarayanan, Andrew M. Dai, Shakir Mohamed, Ian Goodfellow: *Many Paths to
#   Equilibrium: GANs Do Not Need to Decrease a Divergence At Every Step*. ICLR 2018. Penalties on the non-saturating
#   loss.
# - Mario Lucic, Karol Kurach, Marcin Michalski, Sylvain Gelly, Olivier Bousquet: *Are GANs Created Equal? A Large-Scale
#   Study*. NeurIPS 2018.
