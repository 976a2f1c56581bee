# ---
# jupyter:
#   advrec:
#     title: "My GAN fails: of what?"
#     minutes: 90
#     data: []
#     prerequisites: ["00", "02"]
# ---

# %% [markdown]
# # 03 · My GAN fails: of what?
#
# You will find out how to tell four illnesses of a GAN apart from its curves alone, and which of seven well-known
# cures help against which of them.

# %% [markdown]
# **You will be able to**
#
# - write training curves to event files, read them back, and look at them in TensorBoard;
# - say which curve tells a discriminator that is too strong from a vanishing gradient, and mode collapse from learning
#   rates out of balance;
# - write one-sided label smoothing and the power iteration behind spectral normalisation;
# - measure a cure beside the untreated patient and on a healthy one, one change at a time, over seeds;
# - diagnose runs that nobody labelled, and say which curve contradicts another diagnosis.

# %% tags=["pytorch"]
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from IPython import get_ipython

from advrec_teach import claim, clinic, exercise, logs, plots, reference_gan
from advrec_teach import pytorch as advrec
from advrec_teach.clinic import Patient

logs.keep_tensorflow_out()  # TensorBoard would load it, if it is installed
from torch.utils.tensorboard import SummaryWriter

# %% tags=["tensorflow"]
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from IPython import get_ipython

from advrec_teach import claim, clinic, exercise, logs, plots, reference_gan
from advrec_teach import tensorflow as advrec
from advrec_teach.clinic import Patient

import tensorflow as tf

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% tags=["nbval-ignore-output"]
SIZES = {
    "smoke": {"steps": 20, "every": 10, "seeds": 1},
    "quick": {"steps": 400, "every": 20, "seeds": 3},
    "full": {"steps": 4000, "every": 100, "seeds": 10},
}[PROFILE]
SEEDS = [SEED + 1000 * k for k in range(SIZES["seeds"])]
device = advrec.setup(lesson="03", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## A healthy pair
#
# The data are the ring of lesson 02: eight Gaussian clusters (**modes**) in the plane. Generator and discriminator are
# perceptrons with two hidden layers. A `Patient` holds the settings of such a pair. Its defaults are those of a
# *healthy* one: the non-saturating loss, and a discriminator that learns four times as fast as the generator.
#
# `advrec.fit_ward` trains many pairs side by side, a whole **ward**. All tensors have one more axis in front, the
# pair: weights have the shape `[pairs, inputs, outputs]`, samples `[pairs, n, 2]`. The losses of all pairs are added
# up. A pair's weights occur in its own loss only, so the gradient of the sum with respect to them is the gradient of
# *its* loss: the pairs share the time and nothing else. That is how this lesson can afford a hundred and more of them.
#
# Two measures from outside judge the samples, as in lesson 02: how many modes are covered, and the share of samples
# near one.

# %%
RING = {"modes": 8, "radius": 2.0, "std": 0.1}
ring = advrec.ring_data(**RING)
centres = reference_gan.ring_centres(modes=8, radius=2.0)
near = 3 * RING["std"]


def judge(points):
    """Modes covered by at least one sample in a hundred, and the share of samples near a mode."""
    modes = reference_gan.modes_covered(points, centres, radius=near, minimum=len(points) // 100)
    return modes, reference_gan.share_near_modes(points, centres, radius=near)


def train(patients, seeds):
    """Train one pair for each patient and seed; return history, judgements on the way, and the last samples.

    Judgements: array [times, patients, seeds, 2].  Samples: array [patients, seeds, n, 2].
    """
    judged, last = [], []

    def look(step, points):
        judged.append([[judge(pair) for pair in patient] for patient in points])
        last[:] = [points]

    settings = {"steps": SIZES["steps"], "every": SIZES["every"], "callback": look, "seed": SEED}
    history = advrec.fit_ward(patients, ring, seeds=seeds, **settings)
    return history, np.array(judged, dtype=float), last[0]


# %% [markdown]
# ## What does the monitor count?
#
# **Question.** Before anything is diagnosed: does the instrument tell the truth?
#
# One of the curves is the **accuracy** of the discriminator, the share of samples that it judges rightly: 1 when it
# tells all apart, one half when it might as well toss a coin. Here is a monitor of the kind that sits in many training
# loops.


# %% tags=["pytorch"]
def copied_monitor(real_logits, fake_logits):
    """Return the discriminator's accuracy."""
    on_real = (real_logits > 0.5).float().mean()
    on_fake = (fake_logits > 0.5).float().mean()
    return (on_real + on_fake) / 2


# %% tags=["tensorflow"]
def copied_monitor(real_logits, fake_logits):
    """Return the discriminator's accuracy."""
    on_real = tf.reduce_mean(tf.cast(real_logits > 0.5, tf.float32))
    on_fake = tf.reduce_mean(tf.cast(fake_logits > 0.5, tf.float32))
    return (on_real + on_fake) / 2


# %% [markdown]
# ### Exercise 03.1 · bug hunt: the monitor that lies · 10 min · *
#
# Ask it about a discriminator whose accuracy you know. Then write the monitor without its faults. A logit of exactly 0
# does not occur.


# %% tags=["pytorch", "exercise"]
def accuracy(real_logits, fake_logits):
    """Return the mean of two shares: of real samples judged rightly, and of fake samples judged rightly.

    real_logits: [n, 1].  fake_logits: [m, 1].  Returns a scalar tensor.
    """
    # BEGIN SOLUTION
    on_real = (real_logits > 0).float().mean()
    on_fake = (fake_logits < 0).float().mean()
    return (on_real + on_fake) / 2
    # END SOLUTION


accuracy = exercise("03.1").check(accuracy)


# %% tags=["tensorflow", "exercise"]
def accuracy(real_logits, fake_logits):
    """Return the mean of two shares: of real samples judged rightly, and of fake samples judged rightly.

    real_logits: [n, 1].  fake_logits: [m, 1].  Returns a scalar tensor.
    """
    # BEGIN SOLUTION
    on_real = tf.reduce_mean(tf.cast(real_logits > 0, tf.float32))
    on_fake = tf.reduce_mean(tf.cast(fake_logits < 0, tf.float32))
    return (on_real + on_fake) / 2
    # END SOLUTION


accuracy = exercise("03.1").check(accuracy)

# %%
perfect = advrec.tensor([[4.0], [9.0]]), advrec.tensor([[-4.0], [-9.0]])
gullible = advrec.tensor([[4.0], [9.0]]), advrec.tensor([[4.0], [9.0]])
told = {program: [float(program(*logits)) for logits in (perfect, gullible)] for program in (copied_monitor, accuracy)}
claim(
    "the copied monitor gives 1/2 to a perfect discriminator and 1 to one that calls all real",
    told[copied_monitor] == [0.5, 1],
)
claim("the repaired monitor gives 1 to the first and 1/2 to the second", told[accuracy] == [1, 0.5])

# %% [markdown]
# *Takeaway:* with the copied monitor the run looks best when the discriminator has given up. Test an instrument on a
# case whose answer you know, before you trust it on one that you do not. `fit_ward` keeps the repaired one.
#
# ## Four illnesses
#
# Each patient below differs from the one that it is derived from in what is named, and in nothing else:
#
# | patient | how it was made sick | what that does |
# |---|---|---|
# | *rates out of balance* | healthy, but G learns four times as fast as D | the opponent is always late |
# | *mode collapse* | healthy, but D learns 133 times as fast as G | some modes are good enough |
# | *D too strong* | the same rates, and G starts twelve units away | the opponent wins before the game begins |
# | *vanishing gradient* | *D too strong*, with the minimax loss (lesson 02) | its victory silences the loss |
#
# The illnesses are made, so we know their causes. A clinician sees only the curves.

# %%
healthy = Patient()
collapse = replace(healthy, generator_rate=1.5e-4, discriminator_rate=2e-2)
strong = replace(collapse, start=12.0)
patients = {
    "healthy": healthy,
    "rates out of balance": replace(healthy, generator_rate=4e-3, discriminator_rate=1e-3),
    "mode collapse": collapse,
    "D too strong": strong,
    "vanishing gradient": replace(strong, loss="minimax"),
}

# %% [markdown]
# ### Exercise 03.2 · predict: which curve? · 5 min · *
#
# *D too strong* and *vanishing gradient* have the same fast discriminator and the same far start. One of these curves
# tells the two runs apart at a glance. Which?
#
# - **a**: the loss of the discriminator;
# - **b**: its accuracy;
# - **c**: the number of modes covered;
# - **d**: the size of the generator's gradient.
#
# Write down your letter *before* you run on.

# %% tags=["exercise"]
prediction = None
# BEGIN SOLUTION
prediction = "d"
# END SOLUTION
prediction = exercise("03.2").check(prediction)

# %%
history, judged, samples = train(list(patients.values()), [SEED])

# %% [markdown]
# ## Into the log, and out again
#
# A run that fails at night leaves nothing but its log. So the curves go into **event files**, the format of
# TensorBoard: one folder per run, in it pairs of a step and a value under a *tag*. A tag with a slash, such as
# `loss/generator`, groups curves in the display.


# %% tags=["pytorch"]
def write_run(folder, curves):
    """Write one run's curves, tag to (steps, values), as an event file."""
    with SummaryWriter(folder) as writer:
        for tag, (steps, values) in curves.items():
            for step, value in zip(steps, values):
                writer.add_scalar(tag, float(value), int(step))


# %% tags=["tensorflow"]
def write_run(folder, curves):
    """Write one run's curves, tag to (steps, values), as an event file."""
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for tag, (steps, values) in curves.items():
            for step, value in zip(steps, values):
                tf.summary.scalar(tag, float(value), step=int(step))
    writer.close()


# %%
LOGS = Path(tempfile.mkdtemp(prefix="advrec_03_"))
TAGS = {
    "loss/discriminator": "discriminator_loss",
    "loss/generator": "generator_loss",
    "gradient/discriminator": "discriminator_gradient",
    "gradient/generator": "generator_gradient",
    "accuracy": "accuracy",
}


def curves_of(history, judged, place):
    """The curves of one patient's first pair: every fifth step, and each judgement of its samples."""
    steps = np.arange(0, SIZES["steps"], 5)
    found = {tag: (steps, history[name][steps, place, 0]) for tag, name in TAGS.items()}
    looks = np.arange(len(judged)) * SIZES["every"]
    return found | {f"samples/{what}": (looks, judged[:, place, 0, k]) for k, what in enumerate(("modes", "share"))}


for place, name in enumerate(patients):
    write_run(LOGS / "known" / name, curves_of(history, judged, place))

# %% [markdown]
# `logs.read_events` reads them back, with TensorBoard's own reader, whichever framework wrote them. Is everything
# there? From here on the lesson looks at what it *read*.

# %%
runs = logs.read_events(LOGS / "known")
written = {name: curves_of(history, judged, place) for place, name in enumerate(patients)}
claim(
    "every curve comes back from the event files as it was written",
    all(
        np.array_equal(runs[name][tag][0], steps) and np.allclose(runs[name][tag][1], values)
        for name, curves in written.items()
        for tag, (steps, values) in curves.items()
    ),
)

# %% [markdown]
# In JupyterLab or Colab, set the switch to `True`: TensorBoard opens below the cell, with all runs in one picture per
# tag. Give the curves of gradients a logarithmic axis there (the button below each chart). The switch is off so that
# nothing is started when the notebook is executed without a person.

# %%
SHOW_TENSORBOARD = False
if SHOW_TENSORBOARD:
    program = Path(sys.executable).with_name("tensorboard")
    if program.is_file():  # the one that belongs to this kernel
        os.environ["TENSORBOARD_BINARY"] = str(program)
    get_ipython().run_line_magic("load_ext", "tensorboard")
    get_ipython().run_line_magic("tensorboard", f"--logdir '{LOGS}'")

# %% [markdown]
# The same curves, drawn here. Look for the illness in the losses first, then in the other panels.

# %% tags=["nbval-ignore-output"]
LOOK = {
    "healthy": {"color": plots.CLEAN, "linestyle": "-"},
    "rates out of balance": {"color": "#56B4E9", "linestyle": "--"},
    "mode collapse": {"color": plots.EXTRA, "linestyle": "-."},
    "D too strong": {"color": plots.ATTACKED, "linestyle": "-"},
    "vanishing gradient": {"color": "black", "linestyle": ":"},
}
PANELS = {
    "loss/discriminator": "loss of D (nats)",
    "loss/generator": "loss of G (nats)",
    "accuracy": "accuracy of D",
    "gradient/generator": "size of G's gradient",
    "samples/modes": "modes covered",
    "samples/share": "share near a mode",
}
fig, axes = plots.figure("Losses tell least: gradient, accuracy and modes tell the five apart", rows=2, columns=3)
for axis, (tag, title) in zip(axes.flat, PANELS.items()):
    for name in patients:
        steps, values = runs[name][tag]
        axis.plot(steps, values, label=name, linewidth=1.3, **LOOK[name])
    plots.label(axis, x="step", y=title)
axes[1, 0].set_yscale("log")
axes[0, 1].set_yscale("symlog")
axes[0, 0].axhline(2 * np.log(2), color=plots.RANDOM, linewidth=0.8)
legend = fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "The same five at the end: only the healthy pair serves the ring",
    columns=5,
    size=(12, 3.2),
    sharex=True,
    sharey=True,
)
for place, (axis, name) in enumerate(zip(axes, patients)):
    axis.scatter(*samples[place, 0].T, s=2, color=plots.FAKE)
    axis.scatter(*centres.T, s=110, facecolors="none", edgecolors=plots.REAL, linewidths=1)
    plots.label(axis, x="$x_1$", y="$x_2$" if place == 0 else "", title=name)
    axis.set(xlim=(-5, 14), ylim=(-6, 6))


# %%
def half(name, tag):
    """Median of a curve over the second half of the run, as read from the log."""
    steps, values = runs[name][tag]
    return float(np.median(values[steps >= SIZES["steps"] / 2]))


seen = {tag: {name: half(name, tag) for name in patients} for tag in PANELS}
sure, pull, modes, loss = (
    seen[tag] for tag in ("accuracy", "gradient/generator", "samples/modes", "loss/discriminator")
)
claim("the healthy run covers more than five modes", modes["healthy"] > 5)
claim("each of the four sick runs covers fewer than four", max(modes[name] for name in list(patients)[1:]) < 4)
claim(
    "in both runs that start far away, the discriminator is right about more than 99 in 100 samples",
    min(sure["D too strong"], sure["vanishing gradient"]) > 0.99,
)
claim(
    "the gradient of D too strong is over a million times that of the vanishing one",
    pull["D too strong"] > 1e6 * pull["vanishing gradient"],
)
claim("and it is larger than the healthy gradient", pull["D too strong"] > pull["healthy"])
claim(
    "with rates out of balance the discriminator's loss is nearer to 2 log 2 than in the healthy run",
    abs(loss["rates out of balance"] - 2 * np.log(2)) < abs(loss["healthy"] - 2 * np.log(2)),
)
claim(
    "the collapsed generator has a larger share of samples near a mode than the one that is too fast",
    seen["samples/share"]["mode collapse"] > seen["samples/share"]["rates out of balance"],
)

# %% [markdown]
# *Takeaway:* read the curves in this order.
#
# 1. **Accuracy of D.** Near 1: the discriminator has won. Is it *too strong*, or has the gradient *vanished*?
# 2. **G's gradient** answers that, and nothing else does. Too strong: the generator is pulled hard, harder than a
#    healthy one, and is on its way. Vanished: nothing arrives, so waiting is no use.
# 3. Accuracy well below 1: look at the **modes**. All of them: healthy. Few, with a large share near them and a
#    discriminator that is right far more often than not: *collapse*. It knows the modes that are never served; it just
#    cannot make the generator go there.
# 4. Few modes, samples near none for long, an accuracy that swings from check to check and is on the whole little
#    better than a coin's: the generator runs ahead, *rates out of balance*.
#
# And the losses? The textbook says that at the best end the discriminator's loss is $2 \log 2$ (the grey line). The
# patient whose generator runs ahead swings around that line, with rubbish for samples. **A discriminator that has been
# left behind looks just like one that has been satisfied.**
#
# ## Seven cures
#
# The medicine chest. Doses are in brackets; each cure changes that one thing, and all but the first two act on the
# discriminator only.
#
# | cure | what it does |
# |---|---|
# | **two time scales** (G 0.001, D 0.004) | separate learning rates, D's the larger; Heusel et al. (2017) |
# | **sizes** (16 neurons instead of 64) | a smaller discriminator, or a smaller generator |
# | **dropout** (0.3) | leaves out hidden neurons at random; Srivastava et al. (2014) |
# | **L2** (0.001) | adds $\lambda \sum W^2$ to the loss; long weights cost |
# | **label smoothing** (0.1) | real samples get the label 0.9, so certainty costs; Salimans et al. (2016) |
# | **spectral norm** | divides each matrix by its largest singular value: slope at most 1; Miyato et al. (2018) |
# | **gradient penalty** (1) | pushes the slope between real and fake to 1; Gulrajani et al. (2017), lesson 02 |
#
# Two of them you write yourself.
#
# ### Exercise 03.3 · one-sided label smoothing · 10 min · **
#
# With a label $t$ in place of 1, a real sample costs $-t \log D - (1 - t) \log (1 - D)$. Without smoothing the best
# logit of a real sample is infinite. With $t = 0.9$ it is $\log 9$, and more certainty costs again. Why on one side
# only? With a label $t'$ above 0 for fakes, the best answer where there are only fakes becomes $t'$ instead of 0, and
# the best discriminator $\big(t\,p + t' q\big) / (p + q)$ has the fakes' density $q$ above the line: samples that are
# already wrong are told to stay.
#
# Write the loss from logits, finite for every logit. Stuck? `exercise("03.3").hint()`.


# %% tags=["pytorch", "exercise"]
def smoothed_loss(real_logits, fake_logits, *, smoothing):
    """Return the discriminator's loss with the label 1 - smoothing for real samples and 0 for fakes.

    real_logits, fake_logits: [n, 1].  Returns a scalar tensor: the sum of the two means.
    """
    # BEGIN SOLUTION
    softplus = torch.nn.functional.softplus
    on_real = (1 - smoothing) * softplus(-real_logits) + smoothing * softplus(real_logits)
    return on_real.mean() + softplus(fake_logits).mean()
    # END SOLUTION


smoothed_loss = exercise("03.3").check(smoothed_loss)


# %% tags=["tensorflow", "exercise"]
def smoothed_loss(real_logits, fake_logits, *, smoothing):
    """Return the discriminator's loss with the label 1 - smoothing for real samples and 0 for fakes.

    real_logits, fake_logits: [n, 1].  Returns a scalar tensor: the sum of the two means.
    """
    # BEGIN SOLUTION
    softplus = tf.nn.softplus
    on_real = (1 - smoothing) * softplus(-real_logits) + smoothing * softplus(real_logits)
    return tf.reduce_mean(on_real) + tf.reduce_mean(softplus(fake_logits))
    # END SOLUTION


smoothed_loss = exercise("03.3").check(smoothed_loss)

# %%
logits = np.linspace(-2, 8, 1001)
fake = advrec.tensor([[-3.0]])
costs = [float(smoothed_loss(advrec.tensor([[s]]), fake, smoothing=0.1)) for s in logits]
claim(
    "with a smoothing of 0.1 the cheapest logit of a real sample is log 9, within a hundredth",
    abs(logits[np.argmin(costs)] - np.log(9)) < 0.01,
)

# %% [markdown]
# ### Exercise 03.4 · how far does a matrix stretch? · 15 min · **
#
# A layer $x \mapsto W^\top x$ stretches no vector by more than the **largest singular value** of $W$; divided by it,
# a layer stretches by at most 1, and so does a chain of such layers with ReLU between them. A full decomposition at
# every update would be slow. The **power iteration** multiplies a vector back and forth instead,
#
# $$v \leftarrow \frac{W u}{||W u||}, \qquad u \leftarrow \frac{W^\top v}{||W^\top v||}, \qquad
# \sigma \approx v^\top W u ,$$
#
# and each round trip favours the direction that is stretched most. Training makes one round trip per update and keeps
# $u$: the weights hardly move from one update to the next, so $u$ is never far off.


# %% tags=["pytorch", "exercise"]
def largest_singular_value(weights, u, *, steps):
    """Return v^T W u after `steps` round trips, as a scalar tensor.

    weights: W, [n, m].  u: where the iteration starts, [m, 1].
    """
    # BEGIN SOLUTION
    for _ in range(steps):
        v = weights @ u
        v = v / torch.linalg.vector_norm(v)
        u = weights.T @ v
        u = u / torch.linalg.vector_norm(u)
    return (v.T @ weights @ u)[0, 0]
    # END SOLUTION


largest_singular_value = exercise("03.4").check(largest_singular_value)


# %% tags=["tensorflow", "exercise"]
def largest_singular_value(weights, u, *, steps):
    """Return v^T W u after `steps` round trips, as a scalar tensor.

    weights: W, [n, m].  u: where the iteration starts, [m, 1].
    """
    # BEGIN SOLUTION
    for _ in range(steps):
        v = weights @ u
        v = v / tf.norm(v)
        u = tf.transpose(weights) @ v
        u = u / tf.norm(u)
    return (tf.transpose(v) @ weights @ u)[0, 0]
    # END SOLUTION


largest_singular_value = exercise("03.4").check(largest_singular_value)

# %%
matrix = reference_gan.mlp_weights([64, 64], seed=SEED)[0][0]
start = advrec.tensor(np.random.default_rng(SEED).normal(size=(64, 1)))
exact = np.linalg.norm(matrix, 2)
found = {n: float(largest_singular_value(advrec.tensor(matrix), start, steps=n)) for n in (1, 5, 100)}
claim("the estimate rises with the number of steps", found[1] < found[5] < found[100])
claim("after 100 steps it is the exact value within 2 %", abs(found[100] / exact - 1) < 0.02)

# %% [markdown]
# ## The trial
#
# **Question.** Which cures help against which illness? Guess a table before you run on: four illnesses, seven cures.
#
# A trial needs controls. The **untreated** patient stands beside every cure. The **healthy** one gets every cure, too,
# since a cure that makes the healthy sick is none. And every cell has several pairs with other first weights. One
# dose per cure, one change at a time.
#
# The next cell trains more than a hundred pairs, one ward per patient; it is the longest wait of this lesson.

# %%
CURES = {
    "untreated": {},
    "two time scales": {"generator_rate": 1e-3, "discriminator_rate": 4e-3},
    "smaller D": {"discriminator_width": 16},
    "smaller G": {"generator_width": 16},
    "dropout": {"dropout": 0.3},
    "L2": {"l2": 1e-3},
    "label smoothing": {"smoothing": 0.1},
    "spectral norm": {"spectral": True},
    "gradient penalty": {"penalty": 1.0},
}
trial = {
    name: train([replace(patient, **change) for change in CURES.values()], SEEDS) for name, patient in patients.items()
}

# %%
tail = -max(1, SIZES["steps"] // 4)


def over_seeds(reading):
    """Table [patients, cures] of the mean over seeds of `reading(history, judged)`, which gives [cures, seeds]."""
    return np.array([reading(history, judged).mean(axis=1) for history, judged, _ in trial.values()])


covered = over_seeds(lambda history, judged: judged[-3:, ..., 0].mean(axis=0))
close = over_seeds(lambda history, judged: judged[-3:, ..., 1].mean(axis=0))
force = over_seeds(lambda history, judged: np.log10(np.median(history["generator_gradient"][tail:], axis=0) + 1e-20))

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "Only two time scales help everywhere; a smaller discriminator harms the healthy", rows=3, size=(10, 8.4)
)
scales = [("modes covered, of 8", covered, 0, 8, ".1f"), ("share of samples near a mode", close, 0, 0.9, ".2f")]
scales.append(("size of G's gradient, power of ten", force, -6, 2, ".1f"))
for axis, (title, table, low, high, digits) in zip(axes, scales):
    axis.imshow(table, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        bright = (value - low) / (high - low) > 0.55
        axis.text(column, row, f"{value:{digits}}", ha="center", va="center", color="black" if bright else "white")
    axis.set_yticks(range(len(patients)), list(patients))
    axis.set_xticks(range(len(CURES)), list(CURES) if axis is axes[-1] else [], rotation=20)
    axis.grid(False)
    axis.set_title(f"{title} (mean of {len(SEEDS)} pairs)", fontsize=10)

# %%
row, column = list(patients).index, list(CURES).index


def cell(table, patient, *cures):
    """The table's entries of one patient under these cures."""
    return np.array([table[row(patient), column(cure)] for cure in cures])


sick = list(patients)[1:]
regularisers = ("dropout", "L2", "label smoothing")
slopes = ("spectral norm", "gradient penalty")

# %%
claim(
    "with two time scales every sick patient covers at least three modes more than untreated",
    all(cell(covered, p, "two time scales")[0] > cell(covered, p, "untreated")[0] + 3 for p in sick),
)
claim(
    "rates out of balance: no cure that acts on D alone brings it to three modes",
    max(cell(covered, "rates out of balance", "smaller D", *regularisers, *slopes)) < 3,
)
claim(
    "mode collapse: gradient penalty covers at least two modes more, spectral norm covers more, too",
    np.all(cell(covered, "mode collapse", *slopes) > cell(covered, "mode collapse", "untreated")[0] + [0, 2]),
)
claim(
    "mode collapse: with either, less than half of the share near a mode is left",
    max(cell(close, "mode collapse", *slopes)) < cell(close, "mode collapse", "untreated")[0] / 2,
)
claim(
    "mode collapse: dropout, L2 and label smoothing each add less than one mode and a half",
    max(cell(covered, "mode collapse", *regularisers)) < cell(covered, "mode collapse", "untreated")[0] + 1.5,
)

# %%
claim(
    "vanishing gradient: either limit on the slope makes it more than a million times as large",
    min(cell(force, "vanishing gradient", *slopes)) > cell(force, "vanishing gradient", "untreated")[0] + 6,
)
claim(
    "vanishing gradient: with a smaller D, dropout or label smoothing it stays below a millionth",
    max(cell(force, "vanishing gradient", "smaller D", "dropout", "label smoothing")) < -6,
)
claim(
    "vanishing gradient: L2 brings it to between the two",
    -6 < cell(force, "vanishing gradient", "L2")[0] < min(cell(force, "vanishing gradient", *slopes)),
)
claim(
    "D too strong: L2 and either limit on the slope calm the generator's gradient",
    max(cell(force, "D too strong", "L2", *slopes)) < cell(force, "D too strong", "untreated")[0],
)
claim(
    "D too strong: dropout makes it more violent",
    cell(force, "D too strong", "dropout")[0] > cell(force, "D too strong", "untreated")[0],
)

# %%
mild = (*regularisers, "gradient penalty")
claim(
    "the healthy pair keeps more than five modes with dropout, L2, label smoothing and gradient penalty",
    min(cell(covered, "healthy", *mild)) > 5,
)
claim(
    "with a smaller D it covers fewer modes than with any of these, and keeps less than half of its share near one",
    cell(covered, "healthy", "smaller D")[0] < min(cell(covered, "healthy", *mild))
    and cell(close, "healthy", "smaller D")[0] < cell(close, "healthy", "untreated")[0] / 2,
)
claim(
    "the healthy pair loses share near a mode with spectral norm",
    cell(close, "healthy", "spectral norm")[0] < cell(close, "healthy", "untreated")[0],
)
claim("modes covered by the healthy pair, untreated", cell(covered, "healthy", "untreated")[0])
claim("share near a mode of the healthy pair, untreated", cell(close, "healthy", "untreated")[0])

# %% [markdown]
# *Takeaway:* no cure helps against everything, and one stands out because it removes the cause.
#
# - **Two time scales** help every patient: all four were made sick by their rates, wholly or in part. That is the
#   honest reason, and no magic. How much depends on the rates, the next section shows.
# - **The limits on the slope** bring a gradient back from nowhere, and make a collapsed generator spread. The price is
#   that of lesson 02: what spreads leaves samples between the modes. They do not slow a generator down that runs ahead.
# - **L2** is a weak limit on the slope, since shorter weights make a flatter function, and it acts like one.
# - **Dropout and label smoothing** hardly move any patient here. Label smoothing keeps the discriminator's logits of
#   real samples small, but it says nothing about those of *fakes*, and the fakes are what the generator is judged by.
#   Dropout even makes the pull of a strong discriminator more violent; why, we leave open. Elsewhere they may help;
#   here, in this dose, they do not.
# - **A smaller discriminator** is bad advice in this clinic, although it is often given: with a quarter of the neurons
#   it teaches so little that the healthy pair loses most of its precision. A smaller *generator* slows the generator
#   down. Look in the figure which patients gain by that, and who loses.
#
# Some cures bring back a gradient and still cover no mode in this time: the generator of these patients is slow, and
# its way is long. A cure is not yet a recovery. `PROFILE = "full"` waits for longer.
#
# ## Two time scales, one change
#
# **Question.** Two time scales changed two numbers at once. Is it the *ratio* of the rates that heals, or just one of
# them?
#
# Keep the generator's rate, and change only the discriminator's: from half of it to 32 times as much.

# %%
RATES = [5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 3.2e-2]
by_rate = [replace(healthy, discriminator_rate=rate) for rate in RATES]
rate_history, rate_judged, _ = train(by_rate, SEEDS)
modes_at, share_at = (rate_judged[-3:, ..., k].mean(axis=(0, 2)) for k in (0, 1))
right_at = np.median(rate_history["accuracy"][tail:], axis=0).mean(axis=1)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure("A discriminator that is faster, but not much faster, covers the ring", columns=2)
ratios = np.array(RATES) / healthy.generator_rate
plots.line(axes[0], ratios, modes_at, "extra", "mean")
axes[0].plot(ratios, rate_judged[-3:, ..., 0].mean(axis=0), "o", color=plots.RANDOM, markersize=4, alpha=0.7)
plots.line(axes[1], ratios, share_at, "fake", "share near a mode")
plots.line(axes[1], ratios, right_at, "clean", "accuracy of D")
for axis, title in zip(axes, ("modes covered, of 8", "share")):
    axis.set_xscale("log", base=2)
    axis.axvline(1, color=plots.RANDOM, linewidth=0.8)
    plots.label(axis, x="learning rate of D over that of G", y=title)
axes[1].legend(frameon=False)

# %%
at = {rate: place for place, rate in enumerate(RATES)}
claim(
    "with a D half as fast fewer than three modes are covered, with one four times as fast more than six",
    modes_at[at[5e-4]] < 3 and modes_at[at[4e-3]] > 6,
)
claim(
    "the share near a mode is larger with a D four times as fast than with equal rates, by a tenth or more",
    share_at[at[4e-3]] > share_at[at[1e-3]] + 0.1,
)
claim("with a D 32 times as fast fewer are covered than with four times", modes_at[at[3.2e-2]] < modes_at[at[4e-3]])
claim("the accuracy of D rises from half over four to 32 times", right_at[0] < right_at[3] < right_at[5])

# %% [markdown]
# *Takeaway:* it is the balance. Too slow, and the discriminator chases a generator that is somewhere else by now. Too
# fast, and it defends the first modes found. In between lies a healthy range. Where that ends, chance decides: the grey
# dots are single pairs, and at equal rates they can lie far apart. With a single seed you could report either. Where it
# lies, no theory tells you: Heusel et al. (2017) prove that two time scales converge under conditions that are hard to
# check for a real network; their rates they had to choose by trying. So watch the accuracy: it is cheap, and it rises
# with the ratio.
#
# ## Six runs without a label
#
# These six were sent in from outside: six event files, and not a word on how they were made. Rates, starts and extras
# differ from those above.

# %%
unknown = clinic.unlabelled()
unknown_history, unknown_judged, _ = train(list(unknown.values()), [SEED])
for place, name in enumerate(unknown):
    write_run(LOGS / "unknown" / name, curves_of(unknown_history, unknown_judged, place))
cases = logs.read_events(LOGS / "unknown")

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "Six runs: of what does each of them fail, if it does?", rows=6, columns=6, size=(12, 11), sharex=True
)
for line, (name, curves) in zip(axes, cases.items()):
    for axis, (tag, title) in zip(line, PANELS.items()):
        axis.plot(*curves[tag], color=plots.CLEAN, linewidth=1.2)
        axis.tick_params(labelsize=8)
        if axis is axes[0][list(PANELS).index(tag)]:
            axis.set_title(title, fontsize=9)
        if tag == "gradient/generator":
            axis.set(yscale="log", ylim=(1e-12, 1e3))
        elif not tag.startswith("loss"):
            axis.set_ylim(0, 8.5 if tag == "samples/modes" else 1.05)
    line[0].set_ylabel(name)
for axis in axes[-1]:
    axis.set_xlabel("step")

# %% [markdown]
# ### Exercise 03.5 · graded: six diagnoses · 20 min · ***
#
# Give each run one letter. The runs are in `cases`, and in TensorBoard under `unknown`; one diagnosis may occur twice.
#
# - **a**: healthy;
# - **b**: discriminator too strong;
# - **c**: learning rates out of balance, the generator ahead;
# - **d**: mode collapse;
# - **e**: vanishing gradient.
#
# The check says how many are right, and for each wrong one which curve speaks against it.

# %% tags=["exercise"]
diagnosis = {"run-1": None, "run-2": None, "run-3": None, "run-4": None, "run-5": None, "run-6": None}
# BEGIN SOLUTION
diagnosis = {"run-1": "e", "run-2": "a", "run-3": "d", "run-4": "c", "run-5": "d", "run-6": "b"}
# END SOLUTION
diagnosis = exercise("03.5").check((diagnosis, cases))


# %%
def contradicted(letter, name):
    """Whether some curve of this run speaks against this letter."""
    return exercise("03.5").contradiction(letter, cases[name]) is not None


truth = exercise("03.5").truth
claim(
    "each run's right diagnosis is contradicted by none of its curves",
    not any(contradicted(letter, name) for name, letter in truth.items()),
)
claim(
    "every wrong diagnosis of every run is contradicted by one of its curves",
    all(contradicted(letter, name) for name, right in truth.items() for letter in "abcde" if letter != right),
)
at_end = {name: np.median(curves["loss/discriminator"][1][tail // 5 :]) for name, curves in cases.items()}
claim(
    "the loss of D is within 0.2 of 2 log 2 in the healthy run and in the one out of balance, and in no other",
    {name for name, value in at_end.items() if abs(value - 2 * np.log(2)) < 0.2}
    == {name for name, letter in truth.items() if letter in "ac"},
)

# %% [markdown]
# *Takeaway:* a diagnosis is good when it says which curve would have looked otherwise, had another one been true. Two
# of the six have a discriminator's loss near $2 \log 2$. One is well, the other is not.
#
# ## What can go wrong
#
# - **Toys.** Eight clusters in the plane, small perceptrons, a few hundred steps. On pictures and on lists of items the
#   four patterns of curves are the same in kind; the doses are not, and a cure that does nothing here may help there
#   (and the other way round).
# - **One dose.** Each cure was given once. "Dropout does not help" means: 0.3 did not, with these nets, in this time.
# - **Modes are counted with the truth in hand.** In practice nobody tells you the modes. Lesson 04 judges generated
#   users by statistics and by a second classifier instead, and lesson 05 by what they are good for.
# - **Names are syndromes.** *D too strong* and *mode collapse* had the same rates here, and only the start differed.
#   Name what you see, then change one thing at a time to find the cause.
# - **The monitor is code, too.** Exercise 03.1.
#
# **Misuse.** Stabilising a generator of fake behaviour helps whoever runs it, also somebody who wants fake accounts to
# look real. Keep what you generate labelled, and the logs with it: a log says how samples were made.
#
# ## What we learned
#
# - Losses alone do not diagnose a GAN. Accuracy of D, size of G's gradient, modes and share do, in this order.
# - A vanishing gradient needs a loss or a limit on the slope; rates out of balance need rates; collapse needs a slower
#   opponent or a flatter one.
# - Every cure stands beside the untreated patient *and* is given to the healthy one, over seeds.
# - Advice that is everywhere (a smaller D, dropout, label smoothing) did nothing here, or harm.
#
# **Next:** lesson 04 generates users instead of points.
#
# ## Further reading
#
# - Tim Salimans, Ian Goodfellow, Wojciech Zaremba, Vicki Cheung, Alec Radford, Xi Chen: *Improved Techniques for
#   Training GANs*. NIPS 2016. Label smoothing and more. Often cited with a wrong author and year.
# - Martin Heusel, Hubert Ramsauer, Thomas Unterthiner, Bernhard Nessler, Sepp Hochreiter: *GANs Trained by a Two
#   Time-Scale Update Rule Converge to a Local Nash Equilibrium*. NIPS 2017.
# - Takeru Miyato, Toshiki Kataoka, Masanori Koyama, Yuichi Yoshida: *Spectral Normalization for Generative Adversarial
#   Networks*. ICLR 2018.
# - Ishaan Gulrajani, Faruk Ahmed, Martin Arjovsky, Vincent Dumoulin, Aaron Courville: *Improved Training of
#   Wasserstein GANs*. NIPS 2017. The gradient penalty.
# - Nitish Srivastava, Geoffrey Hinton, Alex Krizhevsky, Ilya Sutskever, Ruslan Salakhutdinov: *Dropout: A Simple Way to
#   Prevent Neural Networks from Overfitting*. Journal of Machine Learning Research 15, 2014.
# - Martin Arjovsky, Léon Bottou: *Towards Principled Methods for Training Generative Adversarial Networks*. ICLR 2017.
#   Why gradients vanish as the discriminator improves.
# - Karol Kurach, Mario Lučić, Xiaohua Zhai, Marcin Michalski, Sylvain Gelly: *A Large-Scale Study on Regularization and
#   Normalization in GANs*. ICML 2019. The same question, on pictures and over many settings.
