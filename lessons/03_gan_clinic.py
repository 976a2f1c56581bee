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
# You will find out how to tell four illnesses of a GAN apart from its curves alone, and which of eight well-known
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
    "full": {"steps": 400, "every": 20, "seeds": 20},
}[PROFILE]
SEEDS = [SEED + 1000 * k for k in range(SIZES["seeds"])]
device = advrec.setup(lesson="03", profile=PROFILE, seed=SEED)

# %% [markdown]
# ## A healthy pair
#
# The data are the ring of lesson 02: eight Gaussian clusters (**modes**) in the plane. The generator, from here on
# **G**, and the discriminator, **D**, are perceptrons with two hidden layers. A `Patient` holds the settings of such a
# pair. Its defaults are those of a *healthy* one: the non-saturating loss, 64 neurons a layer, and learning rates of
# 0.001 for G and 0.004 for D.
#
# `advrec.fit_ward` trains many pairs side by side, a whole **ward**. All tensors have one more axis in front, the
# pair: weights have the shape `[pairs, inputs, outputs]`, samples `[pairs, n, 2]`. The losses of all pairs are added
# up. A pair's weights occur in its own loss only, so the gradient of the sum with respect to them is the gradient of
# *its* loss: the pairs share the time and nothing else. That is how this lesson can afford a hundred and more of them.
#
# Two measures from outside judge the samples, as in lesson 02: how many modes are covered, and the share of samples
# near one. Both need a yardstick: what do they say of the data, and of a circle that has no modes at all?

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

    History: name to array [steps, patients, seeds].  Judgements: array [times, patients, seeds, 2].
    Samples: array [patients, seeds, n, 2].
    """
    judged, last = [], []

    def look(step, points):
        judged.append([[judge(pair) for pair in patient] for patient in points])
        last[:] = [points]

    settings = {"steps": SIZES["steps"], "every": SIZES["every"], "callback": look, "seed": SEED}
    history = advrec.fit_ward(patients, ring, seeds=seeds, **settings)
    return history, np.array(judged, dtype=float), last[0]


# %%
turn = np.random.default_rng(SEED).uniform(0, 2 * np.pi, 1000)
circle = judge(2.0 * np.stack([np.cos(turn), np.sin(turn)], axis=1))
data = judge(advrec.numpy(ring(1000, advrec.generator(SEED))))
claim(
    "the data cover all eight modes with a share of over 0.95, a circle without modes with a share of less than a half",
    data[0] == circle[0] == 8 and data[1] > 0.95 and circle[1] < 0.5,
)

# %% [markdown]
# *Takeaway:* all modes covered is not yet health, a plain circle gets that far. The share says how much is missing.
#
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
# Each patient below differs from the one that it is derived from in what is named, and in nothing else. Where both
# rates change, the cause is the pair of them, not one of the two:
#
# | patient | how it was made sick | what that does |
# |---|---|---|
# | *rates out of balance* | healthy, with the two rates exchanged | the opponent is always late |
# | *mode collapse* | healthy, but G learns 6.7 times slower and D 5 times faster | some modes are good enough |
# | *D too strong* | *mode collapse*, and G starts 12 away (ring radius: 2) | the opponent wins before the game begins |
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
# `loss/generator`, groups curves in the display. `logs.read_events` reads them back, with TensorBoard's own reader,
# whichever framework wrote them; the curves of these five runs, and of six more at the end, are drawn from what it
# *read*.


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
    found = {tag: (steps, history[name][steps, place, 0]) for tag, name in TAGS.items()}  # step, patient, seed
    looks = np.arange(len(judged)) * SIZES["every"]
    return found | {f"samples/{what}": (looks, judged[:, place, 0, k]) for k, what in enumerate(("modes", "share"))}


def half(curves, tag, reading=np.median):
    """A reading of one curve over the second half of its run: by default the median."""
    steps, values = curves[tag]
    return float(reading(values[steps >= SIZES["steps"] / 2]))


for place, name in enumerate(patients):
    write_run(LOGS / "known" / name, curves_of(history, judged, place))
runs = logs.read_events(LOGS / "known")

# %% [markdown]
# In JupyterLab or Colab, set the switch to `True`: TensorBoard opens below the cell, with all runs in one picture per
# tag. Give the curves of gradients a logarithmic axis there (a button below the chart, or in the menu of its three
# dots). The switch is off so that nothing is started when the notebook is executed without a person.

# %%
SHOW_TENSORBOARD = False
if SHOW_TENSORBOARD:
    program = Path(sys.executable).with_name("tensorboard")
    if program.is_file():  # the one that belongs to this kernel
        os.environ["TENSORBOARD_BINARY"] = str(program)
    get_ipython().run_line_magic("load_ext", "tensorboard")
    get_ipython().run_line_magic("tensorboard", f"--logdir '{LOGS}'")

# %% [markdown]
# The same curves, drawn here. Losses are in nats, the unit of the natural logarithm; the size of a gradient is its norm
# over all weights of G. Look for the illness in the losses first, then in the other panels.

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
fig, axes = plots.figure("No curve settles it alone: accuracy, gradient and modes together do", rows=2, columns=3)
for axis, (tag, title) in zip(axes.flat, PANELS.items()):
    for name in patients:
        steps, values = runs[name][tag]
        axis.plot(steps, values, label=name, linewidth=1.3, **LOOK[name])
    plots.label(axis, x="step", y=title)
axes[1, 0].set_yscale("log")
axes[0, 1].set_yscale("symlog")
axes[0, 0].axhline(2 * np.log(2), color=plots.RANDOM, linewidth=0.8)
axes[1, 2].axhline(circle[1], color=plots.RANDOM, linewidth=0.8)
axes[1, 2].text(0, circle[1], "plain circle", color=plots.RANDOM, fontsize=8, va="bottom")
legend = fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "The same five at the end: only the healthy pair serves the ring",
    columns=5,
    size=(12, 2.1),
    sharex=True,
    sharey=True,
)
around = np.linspace(0, 2 * np.pi, 40)
edge = near * np.stack([np.cos(around), np.sin(around)])  # what counts as near
for place, (axis, name) in enumerate(zip(axes, patients)):
    axis.scatter(*samples[place, 0].T, s=1, color=plots.FAKE)
    for centre in centres:
        axis.plot(*(centre[:, None] + edge), color=plots.REAL, linewidth=1)
    plots.label(axis, x="$x_1$", y="$x_2$" if place == 0 else "", title=name)
    axis.set(xlim=(-4.5, 14), ylim=(-4.5, 4.5), aspect="equal")


# %%
sure, pull, modes, loss = (
    {name: half(runs[name], tag) for name in patients}
    for tag in ("accuracy", "gradient/generator", "samples/modes", "loss/discriminator")
)
swing = {name: half(runs[name], "accuracy", np.std) for name in patients}
far = ("D too strong", "vanishing gradient")
claim(
    "the healthy run covers more than five modes, each of the four sick ones fewer than four",
    modes["healthy"] > 5 and max(modes[name] for name in list(patients)[1:]) < 4,
)
claim(
    "in both runs that start far away D is right about more than 99 in 100 samples, and its loss is below 0.1",
    min(sure[name] for name in far) > 0.99 and max(loss[name] for name in far) < 0.1,
)
claim(
    "the gradient of D too strong is over a million times that of the vanishing one, and larger than the healthy one",
    pull["D too strong"] > max(1e6 * pull["vanishing gradient"], pull["healthy"]),
)
claim(
    "with rates out of balance the discriminator's loss is nearer to 2 log 2 than in the healthy run",
    abs(loss["rates out of balance"] - 2 * np.log(2)) < abs(loss["healthy"] - 2 * np.log(2)),
)
claim(
    "with rates out of balance the accuracy swings (standard deviation) at least twice as much as in any other run",
    swing["rates out of balance"] > 2 * max(swing[name] for name in patients if name != "rates out of balance"),
)

# %% [markdown]
# *Takeaway:* read the curves in this order.
#
# 1. **Accuracy of D.** Near 1, more so than in collapse: the discriminator has won. Is it *too strong*, or has the
#    gradient *vanished*?
# 2. **G's gradient** answers that; modes and the loss of D are the same in both. Too strong: the generator is pulled
#    hard, harder than a healthy one. Vanished: it is far below the $10^{-8}$ in Adam's denominator (lesson 02), so next
#    to nothing arrives. (The losses of G come from different formulas and cannot be compared; the gradients can.)
# 3. Accuracy below 1 and swinging up and down from check to check, on the whole little better than a coin's, with few
#    modes: the generator runs ahead, *rates out of balance*. (Below a coin's is no sign error: D judges where G was.)
# 4. Accuracy below 1 without such large swings: look at the **modes**. All of them: we call it healthy, and the share
#    says how far along. Here it ends little above that of a plain circle: the ring is covered, its clusters are hardly
#    found yet. Few, with a discriminator that is right far more often than not: *collapse*. It knows the modes that are
#    never served; it just cannot make the generator go there.
#
# And the loss of D? The textbook says that at the best end it is $2 \log 2$ (the grey line). The patient whose
# generator runs ahead swings around that line, with few modes served at a time; the healthy one is not there yet. **A
# run whose discriminator has been left behind can look, in D's loss, nearer to the ideal than a healthy one.**
#
# Is it just a matter of waiting? Try it: guess who recovers alone, set `steps` of your profile in `SIZES` to 3000, and
# run down to here. Set it back before the trial. The claims of this lesson are about a few hundred steps.
#
# ## Eight cures
#
# The medicine chest. Doses are in brackets; each cure changes that one thing (*two time scales*: both rates), and
# all but *two time scales* and *smaller G* act on the discriminator only.
#
# | cure | what it does |
# |---|---|
# | **two time scales** (G 0.001, D 0.004) | separate learning rates, D's the larger; Heusel et al. (2017) |
# | **smaller D** (16 neurons a layer instead of 64) | an opponent that can draw fewer lines |
# | **smaller G** (16 instead of 64) | a generator that can bend its samples less |
# | **dropout** (0.3) | leaves out hidden neurons at random; Srivastava et al. (2014) |
# | **L2** (0.001) | adds $\lambda \sum W^2$ to the loss; long weights cost |
# | **label smoothing** (0.1) | real samples get the label 0.9, so certainty costs; Salimans et al. (2016) |
# | **spectral norm** | divides each matrix by its largest singular value: slope of D at most 1; Miyato et al. (2018) |
# | **gradient penalty** (1) | pushes D's slope between real and fake to 1; Gulrajani et al. (2017), lesson 02 |
#
# The core of two of them you write yourself; the trial below runs the package's versions.
#
# ### Exercise 03.3 · one-sided label smoothing · 10 min · **
#
# With a label $t$ in place of 1, a real sample costs $-t \log D - (1 - t) \log (1 - D)$. Without smoothing the best
# logit of a real sample is infinite. With $t = 0.9$ it is $\log 9$, and more certainty costs again. Why on one side
# only? With a label $t'$ above 0 for fakes, the best answer where there are only fakes becomes $t'$ instead of 0, and
# the best discriminator $\big(t\,p + t' q\big) / (p + q)$ has the fakes' density $q$ in the numerator, beside the
# data's density $p$ (lesson 02): samples that are already wrong are told to stay.
#
# Write the loss from logits, finite for every logit: the check tries one of 200. Stuck? `exercise("03.3").hint()`.


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
# $u$: the weights hardly move from one update to the next, so $u$ should not be far off. The cell after the exercise
# tests one update at the healthy rate. (Training also needs the gradient through $W$, with $u$ and $v$ held fixed; the
# check looks at the value only.)


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
estimate = {n: float(largest_singular_value(advrec.tensor(matrix), start, steps=n)) for n in (1, 5, 100)}
kept = advrec.tensor(reference_gan.power_iteration(matrix, advrec.numpy(start), steps=100)[1])

# One update of Adam moves every entry by about the learning rate.
moved = matrix + 4e-3 * np.sign(np.random.default_rng(SEED + 1).normal(size=matrix.shape)).astype(np.float32)
fresh_or_kept = [float(largest_singular_value(advrec.tensor(moved), u, steps=1)) for u in (start, kept)]
off = np.abs(np.array(fresh_or_kept) / np.linalg.norm(moved, 2) - 1)
claim(
    "after an update, one round trip from the kept u is within 2 % of the exact value, one from a fresh start is not",
    off[1] < 0.02 < off[0],
)
print({"exact": round(float(exact), 2)} | {f"after {n}": round(value, 2) for n, value in estimate.items()})

# %% [markdown]
# ## The trial
#
# **Question.** Which cures help against which illness? Before you run on, pick one for each of the four.
#
# A trial needs controls. The **untreated** patient stands beside every cure. The **healthy** one gets every cure, too,
# since a cure that makes the healthy sick is none. And every pairing of patient and cure has several pairs with other
# first weights: modes and shares are means over these pairs and the last three looks, the gradient is the median over
# the last quarter. One dose per cure, one cure at a time.
#
# *Two time scales* sets the rates to those of the healthy pair. So it undoes a cause, and is the **positive control**:
# it shows that this trial can see a recovery at all. The second cell below lists the patients that it turns into the
# healthy pair, setting by setting.
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
[name for name, patient in patients.items() if replace(patient, **CURES["two time scales"]) == healthy]

# %%
tail = -max(1, SIZES["steps"] // 4)  # the last quarter of the run


def over_seeds(reading):
    """Table [patients, cures] of the mean over seeds of `reading(history, judged)`, which gives [cures, seeds]."""
    return np.array([reading(history, judged).mean(axis=1) for history, judged, _ in trial.values()])


covered = over_seeds(lambda history, judged: judged[-3:, ..., 0].mean(axis=0))
close = over_seeds(lambda history, judged: judged[-3:, ..., 1].mean(axis=0))
force = over_seeds(lambda history, judged: np.log10(np.median(history["generator_gradient"][tail:], axis=0) + 1e-20))

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "Apart from undoing the cause, no cure adds two modes to more than one patient", rows=3, size=(10, 8.4)
)
scales = [("modes covered, of 8", covered, 0, 8, ".1f"), ("share of samples near a mode", close, 0, 0.9, ".2f")]
scales.append(("size of G's gradient", force, -6, 2, ".1f"))
for axis, (title, table, low, high, digits) in zip(axes, scales):
    axis.imshow(table, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        bright = (value - low) / (high - low) > 0.55
        text = f"$10^{{{value:{digits}}}}$" if table is force else f"{value:{digits}}"
        axis.text(column, row, text, ha="center", va="center", color="black" if bright else "white")
    axis.set_yticks(range(len(patients)), list(patients))
    axis.set_xticks(range(len(CURES)), list(CURES) if axis is axes[-1] else [], rotation=20)
    axis.grid(False)
    mean = "geometric mean" if table is force else "mean"
    axis.set_title(f"{title} ({mean} of {len(SEEDS)} pairs)", fontsize=10)

# %%
row, column = list(patients).index, list(CURES).index


def cell(table, patient, *cures):
    """The table's entries of one patient under these cures."""
    return np.array([table[row(patient), column(cure)] for cure in cures])


regularisers = ("dropout", "L2", "label smoothing")
slopes = ("spectral norm", "gradient penalty")
others = [cure for cure in CURES if cure not in ("untreated", "two time scales")]
gain = {cure: covered[:, column(cure)] - covered[:, column("untreated")] for cure in CURES}
claim(
    "two time scales add at least three modes to each of the four sick patients",
    gain["two time scales"][1:].min() > 3,
)
claim(
    "no other cure adds two modes or more to more than one patient",
    max(np.sum(gain[cure] >= 2) for cure in others) <= 1,
)
claim(
    "of the patients that start far away, no other cure brings one to a single mode in this time",
    max(cell(covered, name, *others).max() for name in far) < 1,
)

# %%
claim(
    "rates out of balance: no cure that acts on D alone brings it to three modes, a smaller G adds some",
    max(cell(covered, "rates out of balance", "smaller D", *regularisers, *slopes)) < 3
    and gain["smaller G"][row("rates out of balance")] > 0,
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
    "vanishing gradient: either limit on the slope makes it more than a million times as large, dropout even smaller",
    min(cell(force, "vanishing gradient", *slopes)) > cell(force, "vanishing gradient", "untreated")[0] + 6
    and cell(force, "vanishing gradient", "dropout")[0] < cell(force, "vanishing gradient", "untreated")[0],
)
claim(
    "D too strong: L2 and either limit on the slope calm the generator's gradient",
    max(cell(force, "D too strong", "L2", *slopes)) < cell(force, "D too strong", "untreated")[0],
)
claim(
    "dropout, L2 and label smoothing add less than one mode and a half to every patient",
    max(gain[cure].max() for cure in regularisers) < 1.5,
)

# %%
mild = ("untreated", *regularisers, "gradient penalty")
claim(
    "the healthy pair keeps more than five modes untreated, with dropout, L2, label smoothing and gradient penalty",
    min(cell(covered, "healthy", *mild)) > 5,
)
claim(
    "with a smaller D it covers fewer modes than with any of these, and loses more than half of its share near one",
    cell(covered, "healthy", "smaller D")[0] < min(cell(covered, "healthy", *mild))
    and cell(close, "healthy", "smaller D")[0] < cell(close, "healthy", "untreated")[0] / 2,
)
claim(
    "with a smaller G it covers fewer modes, and with spectral norm it loses share near one",
    cell(covered, "healthy", "smaller G")[0] < cell(covered, "healthy", "untreated")[0]
    and cell(close, "healthy", "spectral norm")[0] < cell(close, "healthy", "untreated")[0],
)
claim("share near a mode of the healthy pair, untreated", cell(close, "healthy", "untreated")[0])

# %% [markdown]
# *Takeaway:* no cure helps against everything, except healthy rates. Three patients become the healthy pair by them.
# The two that start far away keep their start (and one its loss), and are still behind at the end.
#
# - **Two time scales** make the healthy pair out of three of the five, so their three entries are the same to the last
#   digit. The healthy patient's own untreated entry has the same settings and the same first weights, but other noise
#   and other batches. So what those two differ by is chance, and one draw of it: with other first weights it can be
#   several times as large, so a small difference elsewhere says nothing.
# - **Spectral norm and gradient penalty**, the two limits on D's slope, bring a gradient back from nowhere, and make a
#   collapsed generator spread. The price is that of lesson 02: what spreads leaves samples between the modes. Spectral
#   norm costs the healthy pair share, too. They do not slow a generator down that runs ahead.
# - **L2** is a weak limit on the slope, since shorter weights make a flatter function, and on the gradients it acts
#   like one. In this dose it spreads nobody.
# - **Dropout and label smoothing** bring few modes or none here. They do change other things: compare their columns
#   with *untreated* in the lower two tables; dropout makes a vanished gradient vanish further. A guess about label
#   smoothing: it keeps the discriminator's logits of real samples small, but says nothing about those of *fakes*, and
#   the fakes are what the generator is judged by. Elsewhere both may help; here, in this dose, they do not.
# - **A smaller discriminator** is bad advice in this clinic, although it is often given: it costs the healthy pair
#   modes, and most of its share near them. Does it teach too little, with a quarter of the neurons? Again, a guess.
# - **A smaller generator** helps the patient whose generator runs ahead, at some values of `SEED` to nearly the whole
#   ring and at others to little, and it costs the healthy one modes.
#
# Some cures bring back a gradient and still cover no mode in this time: the generator of these patients is slow, and
# its way is long. A cure is not yet a recovery.
#
# ## How fast must the discriminator be?
#
# **Question.** Two time scales changed two numbers at once. What if you keep the generator's rate, and change only the
# discriminator's, from half of it to 32 times as much?
#
# Such a sweep changes two things as well: the *ratio* of the rates and D's own speed. So one more patient keeps the
# healthy ratio of four, with both rates an eighth of the healthy ones.

# %%
RATES = [5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 3.2e-2]
by_rate = [replace(healthy, discriminator_rate=rate) for rate in RATES]
slow = replace(healthy, generator_rate=1e-3 / 8, discriminator_rate=4e-3 / 8)
rate_history, rate_judged, _ = train([*by_rate, slow], SEEDS)
modes_at, share_at = (rate_judged[-3:, ..., k].mean(axis=(0, 2)) for k in (0, 1))
right_at = np.median(rate_history["accuracy"][tail:], axis=0).mean(axis=1)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "With a faster discriminator the ring is covered, with a much faster one it is not", columns=2, size=(9.6, 3.8)
)
ratios = np.array(RATES) / healthy.generator_rate
plots.line(axes[0], ratios, modes_at[:-1], "extra", "mean")
axes[0].plot(ratios, rate_judged[-3:, :-1, :, 0].mean(axis=0), "o", color=plots.RANDOM, markersize=4, alpha=0.7)
axes[0].plot(4, modes_at[-1], "*", color="black", markersize=10)
axes[0].annotate("both rates an eighth", (4, modes_at[-1]), (6, -12), textcoords="offset points", fontsize=8)
plots.line(axes[1], ratios, share_at[:-1], "fake", "share near a mode")
plots.line(axes[1], ratios, right_at[:-1], "clean", "accuracy of D")
for axis, title in zip(axes, ("modes covered, of 8", "share")):
    axis.set_xscale("log", base=2)
    axis.axvline(1, color=plots.RANDOM, linewidth=0.8)
    plots.label(axis, x="learning rate of D over that of G", y=title)
legend = axes[1].legend(frameon=False)

# %%
at = {rate: place for place, rate in enumerate(RATES)}
claim(
    "a D half as fast covers fewer than three modes, one four times as fast more than six, one 32 times as fast fewer",
    modes_at[at[5e-4]] < 3 and modes_at[at[4e-3]] > max(6, modes_at[at[3.2e-2]]),
)
claim("the accuracy of D rises from half over four to 32 times", right_at[0] < right_at[3] < right_at[5])
claim(
    "the healthy ratio with both rates an eighth covers at least two modes fewer than the healthy pair",
    modes_at[-1] <= modes_at[at[4e-3]] - 2,
)

# %% [markdown]
# *Takeaway:* at this rate of the generator there is a healthy range: with a discriminator half as fast most modes are
# left out, and with a very much faster one fewer are covered, too. (At 32 times the share is high while modes are lost:
# the pattern of collapse.) The grey dots are single pairs, the line is their mean; three pairs are few, so look at
# another `SEED` before you trust an edge. The black star says that the ratio is not all:
# with both players slow, the healthy ratio covers few modes in this time. No theory tells you where the range lies:
# Heusel et al. (2017) prove that two time scales converge under conditions that are hard to check for a real network;
# nothing there names the rates for yours. So watch the accuracy: it is cheap, and it rises with D's rate.
#
# ## Six runs without a label
#
# The package hides six more patients. The next cell trains them and writes six event files, without a word on how they
# were made. Each differs from the five patients above in at least one setting.

# %%
unknown = clinic.unlabelled()
unknown_history, unknown_judged, _ = train(list(unknown.values()), [SEED])
for place, name in enumerate(unknown):
    write_run(LOGS / "unknown" / name, curves_of(unknown_history, unknown_judged, place))
cases = logs.read_events(LOGS / "unknown")

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    "Six runs: of what does each of them fail, if it does?", rows=6, columns=6, size=(12, 11), sharex=True, sharey="col"
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
    line[0].axhline(2 * np.log(2), color=plots.RANDOM, linewidth=0.8)
    line[1].set_yscale("symlog")
    line[0].set_ylabel(name)
for axis in axes[-1]:
    axis.set_xlabel("step")

# %% [markdown]
# ### Exercise 03.5 · graded: six diagnoses · 10 min · **
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
def fitting(curves):
    """The letters that no curve of this run speaks against."""
    return [letter for letter in "abcde" if exercise("03.5").contradiction(letter, curves) is None]


truth = exercise("03.5").truth
claim(
    "in each run, exactly the right diagnosis is contradicted by none of the curves",
    all(fitting(cases[name]) == [letter] for name, letter in truth.items()),
)
at_end = {name: half(curves, "loss/discriminator") for name, curves in cases.items()}
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
#   four patterns of curves may look alike, or may not: nothing here shows it. A cure that does nothing here may help
#   there (and the other way round).
# - **One dose.** Each cure was given once. "Dropout does not help" means: 0.3 did not, with these nets, in this time.
# - **Modes are counted with the truth in hand.** In practice nobody tells you the modes. Lesson 04 judges generated
#   users by statistics and by a second classifier instead, and lesson 05 by what they are good for.
# - **Names are syndromes.** *D too strong* and *mode collapse* had the same rates here, and only the start differed.
#   Name what you see, then change one thing at a time to find the cause.
# - **The monitor is code, too.** Exercise 03.1.
#
# **Misuse.** Stabilising a generator of fake behaviour helps whoever runs it, also somebody who wants fake accounts to
# look real. Keep what you generate labelled, and its settings with it: curves alone do not say how samples were made.
#
# ## What we learned
#
# - The loss of D alone does not diagnose a GAN. Accuracy of D, size of G's gradient, modes and share together do.
# - A vanished gradient comes back with a limit on the slope; that patient's modes came, here and in this time, with
#   healthy rates only. Rates out of balance need other rates; a smaller generator helped as well, how much depends on
#   the seed. Collapse needs the healthy rates (both were changed, so which of the two mattered is open), or a flatter
#   opponent; the flatter one leaves most samples between the modes.
# - Every cure stands beside the untreated patient *and* is given to the healthy one, over seeds.
# - Advice that is everywhere (a smaller D, dropout, label smoothing) added few modes or none here; the first did harm.
#   A smaller *generator*, where it ran ahead, did help.
# - A measure needs yardsticks: the data, a circle without modes, and what chance does to the same settings.
#
# **Next:** lesson 04 generates users instead of points.
#
# ## Further reading
#
# - Tim Salimans, Ian Goodfellow, Wojciech Zaremba, Vicki Cheung, Alec Radford, Xi Chen: *Improved Techniques for
#   Training GANs*. NIPS 2016. Label smoothing and more.
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
