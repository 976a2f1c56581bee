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
# - find two faults in a pair of losses as tutorials print them;
# - say, for a given distance and a given opponent, how hard each loss pulls on the generator;
# - judge a generator by its distance to the data and by the modes it covers, each beside a control.

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
    "quick": {"points": 4000, "updates": 300, "line": 300, "ring": 400, "width": 64},
    "full": {"points": 20000, "updates": 2000, "line": 2000, "ring": 6000, "width": 256},
}[PROFILE]
KINDS = ("minimax", "non-saturating", "wasserstein")
advrec.setup(lesson="02", profile=PROFILE, seed=SEED)

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
# **Question.** At some point real samples are three times as dense as fake ones. What should $D$ say there?
#
# For a fixed generator, $V$ is an integral over $p(x) \log D(x) + q(x) \log(1 - D(x))$, and every $x$ can be treated
# by itself. Set the derivative with respect to $D$ to zero:
#
# $$\frac{p}{D} - \frac{q}{1 - D} = 0 \quad\Longrightarrow\quad D^*(x) = \frac{p(x)}{p(x) + q(x)} .$$
#
# So the answer is three quarters. Does a *trained* network find this by itself? It never sees a density, only
# samples. Two Gaussians of different width make it interesting.

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
fig, axes = plots.figure("A trained discriminator finds the ratio of densities that it never saw", columns=2)
axes[0].fill_between(grid, p, color=plots.REAL, alpha=0.5, label="real, p")
axes[0].fill_between(grid, q, color=plots.FAKE, alpha=0.5, label="fake, q")
plots.label(axes[0], x="x", y="density", legend=True)
axes[1].plot(grid, p / (p + q), color="black", label="best answer, p / (p + q)")
axes[1].plot(grid, answers(trained), color=plots.CLEAN, linestyle="--", label="trained D")
axes[1].plot(grid, answers(untrained), color=plots.RANDOM, linestyle=":", label="untrained D")
plots.label(axes[1], x="x", y='probability "real"', legend=True)

# %%
claim("mean distance of the trained discriminator from p / (p + q)", error(trained))
claim("training brings the discriminator at least five times nearer to it", error(trained) < error(untrained) / 5)

# %% [markdown]
# *Takeaway:* a discriminator is a density ratio in disguise: $s^* = \log p - \log q$. Far out on the right, where no
# sample falls, it guesses wrong, and no loss corrects it there.
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


rows = []
for s in (-20, 2, 10, 15, 20, 200):
    (value, slope), (safe_value, safe_slope) = value_and_slope(plain, s), value_and_slope(safe, s)
    rows.append({"s": s, "plain": value, "its slope": slope, "from the logit": safe_value, "its slope, -D": safe_slope})
plots.table(rows, digits=5)

# %%
claim("at a logit of 20 the plain form is minus infinity", value_and_slope(plain, 20)[0] == -np.inf)
claim("its slope there is not a number", np.isnan(value_and_slope(plain, 20)[1]))
claim("the form from the logit gives -20 and the slope -1", np.allclose(value_and_slope(safe, 20), (-20, -1)))

# %% [markdown]
# *Takeaway:* one such sample in a batch makes the mean infinite, and one slope that is not a number ends the training:
# from then on every weight is `nan`. Before that point the plain form loses digits without a word: compare the rows
# of 10 and 15. So discriminators return logits, and losses take logits.
#
# ## Bug hunt: a pair of losses from a tutorial
#
# A widely read tutorial derives, correctly, $L_G = -\log D(G(z))$ and $L_D = -[\log D(x) + \log(1 - D(G(z)))]$. Its
# program then does what the next cell does. It runs, and its loss falls nicely. We train a discriminator with it, on
# the same samples as before, and compare.


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


# %%
def called_real(D, samples):
    """Share of the samples that D gives more than one half."""
    return float(np.mean(advrec.numpy(D(samples)) > 0))


claim(
    "trained with the tutorial's loss, the discriminator calls no real sample real", called_real(by_tutorial, real) == 0
)
claim("trained with the right loss, it calls more than nine tenths of them real", called_real(trained, real) > 0.9)

# %% [markdown]
# ### Exercise 02.1 · bug hunt: what the text derives · 15 min · **
#
# There are two faults, one for each player. Write the pair of losses that the tutorial's *text* derives, from logits
# and finite for every logit.


# %% tags=["pytorch", "exercise"]
def gan_losses(real_logits, fake_logits):
    """Return the discriminator's loss and the non-saturating loss of the generator.

    real_logits, fake_logits: tensors of the same shape.  Returns two numbers, each a mean over its samples.
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
    """Return the discriminator's loss and the non-saturating loss of the generator.

    real_logits, fake_logits: tensors of the same shape.  Returns two numbers, each a mean over its samples.
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
# fake". Stuck in the exercise? `exercise("02.1").hint()`.
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
# All three fall as $s$ rises: they agree on *where* to go. The opponent in the last row is called a **critic**: its
# score is no logit, and it has a loss of its own, $\operatorname{mean} s(\text{fake}) - \operatorname{mean}
# s(\text{real})$ (Arjovsky, Chintala and Bottou, 2017). Why that makes sense comes in the next section.
#
# ### Exercise 02.2 · predict: a discriminator that is sure · 5 min · *
#
# Training has just begun, the fakes are bad, and the discriminator has noticed: every fake gets the logit $-10$. How
# hard does each loss pull, that is, how large is the size of its derivative with respect to $s$?
#
# - **a**: all three pull alike, because all want the same;
# - **b**: minimax pulls hardest, because the game is being lost most clearly;
# - **c**: minimax hardly pulls at all, the other two do.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
prediction = None
# BEGIN SOLUTION
prediction = "c"
# END SOLUTION
prediction = exercise("02.2").check(prediction)

# %% [markdown]
# ### Exercise 02.3 · three losses from logits · 15 min · **
#
# Write all three, as means over the samples, finite for every logit.


# %% tags=["pytorch", "exercise"]
def generator_loss(fake_logits, *, kind):
    """Return the generator's loss for the logits (or the critic's scores) of its samples.

    fake_logits: tensor of any shape.  kind: "minimax", "non-saturating" or "wasserstein".  Returns one number.
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

    fake_logits: tensor of any shape.  kind: "minimax", "non-saturating" or "wasserstein".  Returns one number.
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
fig, axes = plots.figure("The minimax loss lets go where the generator needs it most", columns=2)
for axis in axes:
    for kind in KINDS:
        axis.plot(s, pulls[kind], label=kind, **LOOK[kind])
    axis.plot(s, tutorial_pull, color=plots.RANDOM, linestyle=":", label="tutorial, -D")
    axis.axvspan(-12, -5, color=plots.RANDOM, alpha=0.12)
plots.label(axes[0], x="logit s of a fake", y="size of the derivative", title="shaded: recognised as fake", legend=True)
plots.label(axes[1], x="logit s of a fake", y="size of the derivative", title="the same, logarithmic")
axes[1].set_yscale("log")

# %%
paper = {kind: np.abs(reference_gan.generator_gradient(s, kind=kind)) for kind in KINDS}
at = int(np.argmin(np.abs(s + 10)))
claim("the derivatives are D, 1 - D and 1 in size", all(np.allclose(pulls[k], paper[k], atol=1e-5) for k in KINDS))
claim("at a logit of -10 minimax pulls less than a ten-thousandth", pulls["minimax"][at] < 1e-4)
claim("there the other two pull with nearly all their force", min(pulls[k][at] for k in KINDS[1:]) > 0.99)
claim("the tutorial's loss lets go at both ends", max(tutorial_pull[at], tutorial_pull[-1 - at]) < 1e-4)

# %% [markdown]
# *Takeaway:* that a loss **saturates** means: it goes flat where the generator is worst. The non-saturating loss has
# the same aim and the opposite slopes: it pulls hard on samples that are recognised, and lets go of those that pass.
#
# ## Which distance can feel how far?
#
# **Question.** Two Gaussians move apart. What does JS say about the way from 5 to 8 standard deviations?
#
# A rival of JS is the **Wasserstein distance**: the least work of turning one heap of sand into the other, weight
# times way. On a line the cheapest plan moves the smallest grain to the smallest, and so on: the mean distance of the
# sorted samples.


# %%
def wasserstein(x, y):
    """Wasserstein-1 distance of two samples of equal size on the line, in the unit of x."""
    return np.mean(np.abs(np.sort(np.ravel(x)) - np.sort(np.ravel(y))))


shifts = np.linspace(0, 8, 33)
wide = np.linspace(-10, 20, 6001)
x, y = rng.normal(size=(2, 20_000))
p_wide = density(wide, 0, 1)
js_of = np.array([js(p_wide, density(wide, d, 1), wide[1] - wide[0]) for d in shifts])
w_of = np.array([wasserstein(x, y + d) for d in shifts])

# %% tags=["nbval-ignore-output"]
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
# *Takeaway:* JS answers "do they overlap?", Wasserstein answers "how far?". A slope that is zero cannot say in which
# direction to move, however carefully it is computed.
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

# %%
z = advrec.tensor(rng.normal(size=20_000))


def pull_at(kind, d):
    """Size of the gradient on the generator's shift at distance d, against the best opponent."""
    slope, offset = (1.0, 0.0) if kind == "wasserstein" else (d, d**2 / 2)

    def loss(theta):
        return generator_loss(slope * (theta + z) + offset, kind=kind)

    return abs(float(advrec.value_and_grad(loss, advrec.tensor(-d))[1]))


distances = np.linspace(0.25, 6, 24)
best_pull = {kind: np.array([pull_at(kind, d) for d in distances]) for kind in KINDS}

# %% tags=["nbval-ignore-output"]
fig, axis = plots.figure("Against the best opponent, minimax fades with distance, the others do not")
for kind in KINDS:
    axis.plot(distances, best_pull[kind], label=kind, **LOOK[kind])
axis.set_yscale("log")
plots.label(
    axis, x="distance d from the data (standard deviations)", y="size of the gradient on the shift", legend=True
)

# %%
near_by, far_off = (int(np.argmin(np.abs(distances - d))) for d in (3, 6))
change = {kind: best_pull[kind][far_off] / best_pull[kind][near_by] for kind in KINDS}
claim("from 3 to 6 units the minimax gradient loses nine tenths of its size", change["minimax"] < 0.1)
claim("over the same way the non-saturating gradient grows", change["non-saturating"] > 1.5)
claim("the critic's gradient is 1 everywhere", np.allclose(best_pull["wasserstein"], 1, atol=1e-4))

# %% [markdown]
# *Takeaway:* here is the stall. The farther away the generator is, and the better its opponent, the weaker minimax
# pulls. The non-saturating loss overdoes it: its gradient *grows* with the distance, because the best logit does.
# Arjovsky and Bottou (2017) show that against the best discriminator it follows $\mathrm{KL}(q, p) - 2\,\mathrm{JS}$, a
# mixture that partly pushes the two apart, and that its noise can be violent.
#
# ## Does a better discriminator teach better?
#
# **Question.** Freeze a generator far from its data, and let only the opponent learn. Does the generator's gradient
# become more or less useful as the opponent gets better?
#
# `advrec.fit_gan` plays the game: a step is `discriminator_steps` updates of the opponent on new samples, then one
# of the generator, each by Adam on its own loss. It returns both losses and the sizes of both gradients. A generator
# with learning rate 0 is frozen. The critic's slope has to be limited: here all its weights are **clipped** to
# $[-0.05, 0.05]$ after each update, the first remedy, by Arjovsky, Chintala and Bottou. That keeps the slope below
# *some* constant instead of 1, so the critic measures the distance in a unit that nobody knows.

# %%
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

# %% tags=["nbval-ignore-output"]
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
claim("the clipped critic's gradient does not vanish either", frozen["wasserstein"][-1] > frozen["wasserstein"][0] / 10)

# %% [markdown]
# *Takeaway:* with the textbook loss you must not train the discriminator too well, which is an odd thing to ask of a
# teacher. That is the practical meaning of "stalls".
#
# ## A game on the line
#
# **Question.** Does it matter in real play, where both learn? Adam divides every gradient by its own recent size, so
# a merely *small* gradient should not hurt.
#
# We train from the same start, with the same opponent, five updates of the opponent a step, and watch the Wasserstein
# distance between fresh samples and fresh data. Three controls: the untrained generator (the start), two real samples
# (the best anyone can reach), and the minimax loss with data *near* the start.


# %%
def play(data, **settings):
    """Train a new pair; return its distances to the data on the way, and its history."""
    generator, opponent = players()
    target = advrec.numpy(data(SIZES["points"], advrec.generator(SEED + 1)))
    way = []

    def measure(step):
        samples = advrec.sample(generator, SIZES["points"], noise_dim=1, seed=SEED)
        way.append(wasserstein(advrec.numpy(samples), target))

    history = advrec.fit_gan(
        generator, opponent, data, steps=SIZES["line"], noise_dim=1, seed=SEED,
        every=SIZES["line"] // 20, callback=measure, **settings,
    )  # fmt: skip
    return np.array(way), history


games = {kind: play(far_data, **SETTINGS[kind]) for kind in KINDS}
near, _ = play(advrec.gaussian_data(mean=2.0, std=0.5), **SETTINGS["minimax"])
one, other = (advrec.numpy(far_data(SIZES["points"], advrec.generator(SEED + k))) for k in (1, 2))
noise_floor = wasserstein(one, other)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("Far from the data, the textbook loss does not move; the other two do", columns=2)
steps = np.linspace(0, SIZES["line"], len(near))
for kind in KINDS:
    axes[0].plot(steps, games[kind][0], label=kind, **LOOK[kind])
    axes[1].plot(1 + np.arange(SIZES["line"]), games[kind][1]["generator_gradient"], **LOOK[kind])
axes[0].plot(steps, near, color=plots.EXTRA, linestyle=":", label="minimax, data near the start")
axes[0].axhline(noise_floor, color=plots.RANDOM, linestyle=":", label="two real samples")
axes[0].legend(loc="upper right", bbox_to_anchor=(1, 0.93))
plots.label(axes[0], x="steps", y="Wasserstein distance to the data")
plots.label(axes[1], x="steps", y="size of the generator's gradient")
axes[1].set_yscale("log")

# %%
start = games["minimax"][0][0]
end = {kind: games[kind][0][-1] for kind in KINDS}
claim("against a strong opponent minimax covers less than a tenth of its way", end["minimax"] > 0.9 * start)
claim("non-saturating and Wasserstein cover more than nine tenths of it", max(end[k] for k in KINDS[1:]) < 0.1 * start)
claim("from a start near the data minimax covers more than nine tenths too", near[-1] < 0.1 * near[0])
claim(
    "at the end the non-saturating generator is nearer than the clipped critic's",
    end["non-saturating"] < end["wasserstein"],
)
claim("wasserstein distance to the data, non-saturating", end["non-saturating"])
claim("wasserstein distance of two real samples", noise_floor)

# %% [markdown]
# *Takeaway:* the textbook loss is not wrong, it is wrong *far from the data*. Near them it works. And Adam does not
# rescue it: what is left of the gradient is smaller than the constant that keeps Adam from dividing by zero, and below
# that there is only rounding. The clipped critic brings its generator home from anywhere, but is blunt at the end: it
# pulls one way until it is overrun, then the other.
#
# The duality had a condition: a critic's slope must not exceed 1. What if nobody sees to it?

# %%
_, unlimited = play(far_data, loss="wasserstein", **STRONG)
limited = games["wasserstein"][1]
tail = slice(-SIZES["line"] // 10, None)
size = {
    name: np.abs(history["discriminator_loss"][tail]).mean()
    for name, history in (("limited", limited), ("unlimited", unlimited))
}
claim(
    "without a limit the critic's loss is more than a hundred times as large", size["unlimited"] > 100 * size["limited"]
)

# %% [markdown]
# *Takeaway:* without the limit the critic wins by shouting: it multiplies its scores without end, and its loss
# says nothing about the distance any more. A limit is part of the method, so say which one you use. Clipping is
# simple and crude (its inventors call it "clearly terrible"). The plane below uses the usual successor, the
# **gradient penalty** of Gulrajani et al. (2017): it adds
# $\lambda \operatorname{mean} (||\nabla_x s(x)||_2 - 1)^2$ to the critic's loss, at random points between real and
# fake samples.
#
# ## Eight clusters in the plane
#
# **Question.** Near its data every loss pulls. Does it also pull *everywhere*?
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
# The same opponent for all three losses: strong, and with a learning rate four times the generator's. One more run
# with *equal* learning rates asks whether it is the loss alone that decides. The other controls: the untrained
# generator, fresh real samples, and the cheapest generator of all, one Gaussian cloud with the mean and the covariance
# of the data.

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
        generator, opponent, ring, steps=SIZES["ring"], noise_dim=2, seed=SEED,
        loss=loss, learning_rates=rates, discriminator_steps=5, penalty=penalty,
    )  # fmt: skip
    return advrec.sample(generator, n, noise_dim=2, seed=SEED)


samples = {"untrained": advrec.sample(advrec.mlp([2, width, width, 2], seed=SEED), n, noise_dim=2, seed=SEED)}
samples["minimax"] = play_ring("minimax")
samples["non-saturating"] = play_ring("non-saturating")
samples["wasserstein"] = play_ring("wasserstein", penalty=1.0)
samples["non-saturating, equal rates"] = play_ring("non-saturating", rates=(1e-3, 1e-3))

# %%
samples["real"] = ring(n, advrec.generator(SEED + 1))
data = advrec.numpy(ring(n, advrec.generator(SEED + 2)))
samples["one cloud"] = advrec.tensor(rng.multivariate_normal(data.mean(0), np.cov(data.T), n))

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
drawn = ("untrained", "minimax", "non-saturating", "wasserstein")
fig, axes = plots.figure(
    "Against a strong opponent, the logarithmic losses lose modes, and the critic loses precision",
    columns=4, size=(12, 3.6), sharex=True, sharey=True,
)  # fmt: skip
for axis, name in zip(axes, drawn):
    axis.scatter(*data[:1000].T, s=3, color=plots.REAL, alpha=0.3, label="real")
    axis.scatter(*advrec.numpy(samples[name])[:1000].T, s=3, color=plots.FAKE, label="fake")
    axis.set_aspect("equal")
    plots.label(axis, x="$x_1$", y="$x_2$" if name == drawn[0] else "", title=f"{name}: {modes[name]} modes")
axes[0].legend(loc="upper right", markerscale=4)
order = ("real", "untrained", "one cloud", *KINDS, "non-saturating, equal rates")
plots.table([{"samples": k, "modes covered": modes[k], "share near a mode": share[k]} for k in order], digits=2)

# %%
claim("real samples cover all eight modes, an untrained generator none", (modes["real"], modes["untrained"]) == (8, 0))
claim("the critic covers all eight", modes["wasserstein"] == 8)
claim("the non-saturating loss covers at most four", modes["non-saturating"] <= 4)
claim("its samples are nearer to a mode than the critic's", share["non-saturating"] > share["wasserstein"])
claim(
    "every trained generator puts more near a mode than one cloud does",
    min(share[k] for k in KINDS) > share["one cloud"],
)
claim(
    "with equal learning rates the non-saturating loss covers more modes",
    modes["non-saturating, equal rates"] > modes["non-saturating"],
)
claim("share of the critic's samples near a mode", share["wasserstein"])

# %% [markdown]
# *Takeaway:* no loss wins on both counts. The critic feels every mode, because all of them are somewhere and
# distance counts; between them it leaves samples on the way. The non-saturating loss makes clean samples of few modes;
# where minimax ends depends on luck. And the last control is the sober one: the same loss covers more with a slower
# discriminator. The loss is one dial among several, and the next lesson turns the others.
#
# ## What can go wrong
#
# - **Toys.** On a line and in a plane, densities are known and clouds overlap soon. Pictures, and worse, lists of
#   items, hardly overlap at all; there the stall is the rule, and discrete items have a trouble of their own
#   (lesson 04).
# - **One setting.** Which loss looks best depends on the opponent's strength, learning rates and time. Lucic et al.
#   (2018) found that with enough tuning most losses reach similar quality. Compare losses at equal effort, over seeds.
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
# - Minimax pulls with $D$, non-saturating with $1 - D$, Wasserstein with 1. A strong opponent makes the first vanish.
# - Losses take logits: `softplus` in place of the logarithm of a rounded probability.
# - A critic measures distance only while its slope is limited, by clipping or by a penalty.
# - The loss decides less than the balance of the two players.
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
# - Mario Lucic, Karol Kurach, Marcin Michalski, Sylvain Gelly, Olivier Bousquet: *Are GANs Created Equal? A Large-Scale
#   Study*. NeurIPS 2018.
