"""Networks that invent users: an LSTM, its opponents and their game, and a variational autoencoder."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from advrec_teach import reference_behaviour as reference
from advrec_teach.pytorch._networks import Network
from advrec_teach.pytorch.gan import _few_threads, _update
from advrec_teach.pytorch.tensors import numpy, tensor

HISTORY = ("discriminator_loss", "generator_loss", "discriminator_gradient", "generator_gradient")


def gumbel_noise(shape: tuple[int, ...], *, generator: torch.Generator) -> Tensor:
    """Return standard Gumbel noise, -log(-log u) with u uniform between 0 and 1."""
    u = torch.rand(shape, generator=generator, device=generator.device)
    return -torch.log(-torch.log(u.clamp(1e-7, 1 - 1e-7)))


def gumbel_softmax(logits: Tensor, noise: Tensor, *, temperature: float) -> Tensor:
    """Return softmax((logits + noise) / temperature) over the last axis; Jang et al. (2017), Maddison et al. (2017)."""
    return ((logits + noise) / temperature).softmax(-1)


def straight_through(soft: Tensor) -> Tensor:
    """Return the one-hot of the largest entry of each vector, with the gradient of ``soft``; Bengio et al. (2013)."""
    hard = one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())


def reinforce_loss(log_probability: Tensor, rewards: Tensor) -> Tensor:
    """Return -mean (reward - mean reward) log p, whose gradient follows the reward uphill; Williams (1992).

    Parameters
    ----------
    log_probability
        Logarithm of the probability of each drawn row, shape [n].
    rewards
        What each row is worth, shape [n]; a constant to the gradient. Their mean is the baseline.
    """
    rewards = rewards.detach()
    return -((rewards - rewards.mean()) * log_probability).mean()


def _lstm(w: Any, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden state and cell state after ``x``, which is the input times the LSTM's input matrix."""
    i, f, g, o = (x + h @ w["state"] + w["gates"]).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


class SequenceGenerator(Network):
    """An LSTM that writes rows: at each place it draws an item, given those before it, and no item twice.

    Parameters
    ----------
    n_items
        Number of items.
    length
        Items in a row.
    dim
        Length of an item's vector.
    hidden
        Length of the LSTM's state.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2), or a row is longer than there are items.
    """

    def __init__(self, n_items: int, *, length: int = 12, dim: int = 32, hidden: int = 64, seed: int = 0):
        reference.check_length(length, n_items)
        super().__init__(reference.generator_weights(n_items, dim=dim, hidden=hidden, seed=seed))
        self.n_items, self.length = n_items, length

    def logits(self, rows: Tensor) -> Tensor:
        """Return the logits of each item given those before it: int64 [n, any] gives [n, any, n_items].

        An item that stands before it in the row has 1e9 taken from its logit.
        """
        w, n = self.weights, len(rows)
        table = w["vectors"] @ w["input"]
        start = torch.full_like(rows[:, :1], self.n_items)
        inputs = nn.functional.embedding(torch.cat((start, rows[:, :-1]), 1), table)
        h = c = inputs.new_zeros((n, len(w["state"])))
        states = []
        for x in inputs.unbind(1):
            h, c = _lstm(w, x, h, c)
            states.append(h)
        used = one_hot(rows, self.n_items).cumsum(1).roll(1, 1)
        used[:, 0] = 0
        return torch.stack(states, 1) @ w["out"] + w["bias"] + reference.USED * used

    def log_probabilities(self, rows: Tensor) -> Tensor:
        """Return the logarithm of the probability of each item given those before it: [n, any] gives [n, any]."""
        return self.logits(rows).log_softmax(-1).gather(-1, rows.unsqueeze(-1)).squeeze(-1)

    def roll(self, noise: Tensor, *, temperature: float = 1.0, hard: bool = True) -> Tensor:
        """Draw rows with this Gumbel noise and return them relaxed, with a gradient.

        Parameters
        ----------
        noise
            Standard Gumbel noise, shape [n, length, n_items].
        temperature
            Of the Gumbel-softmax.
        hard
            True gives one-hot vectors whose gradient is that of the Gumbel-softmax (straight-through); False the
            Gumbel-softmax itself.

        Returns
        -------
        torch.Tensor
            Shape [n, length, n_items]; the largest entry at each place is the item drawn. The generator reads on
            from what is returned.
        """
        w, n = self.weights, len(noise)
        table = w["vectors"] @ w["input"]
        h = c = noise.new_zeros((n, len(w["state"])))
        used, x, found = noise.new_zeros((n, self.n_items)), table[-1].expand(n, -1), []
        for at in noise.unbind(1):
            h, c = _lstm(w, x, h, c)
            soft = gumbel_softmax(h @ w["out"] + w["bias"] + reference.USED * used, at, temperature=temperature)
            relaxed = straight_through(soft) if hard else soft
            used = used + one_hot(soft.argmax(-1), self.n_items)
            x = relaxed @ table[:-1]
            found.append(relaxed)
        return torch.stack(found, 1)


def sample_sequences(generator: SequenceGenerator, n: int, *, seed: int = 0) -> np.ndarray:
    """Return n rows that the generator draws, as an int64 array [n, length].

    Parameters
    ----------
    generator
        The network.
    n
        Number of rows.
    seed
        Seed of the Gumbel noise.
    """
    reference.check_training(n=n)
    random = torch.Generator(generator.weights["bias"].device).manual_seed(seed)
    with torch.no_grad():
        noise = gumbel_noise((n, generator.length, generator.n_items), generator=random)
        return numpy(generator.roll(noise).argmax(-1))


class SequenceDiscriminator(Network):
    """A judge of rows: the logit that a row is real.

    Parameters
    ----------
    n_items
        Number of items.
    kind
        ``"cnn"``: filters over 2, 3 and 4 neighbouring items, each with its largest response; ``"rnn"``: an LSTM, and
        the mean of its states.
    dim
        Length of an item's vector.
    hidden
        Filters of each width, or length of the LSTM's state.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If the kind is unknown or a size is not a whole number from 1 (``n_items``: from 2).
    """

    def __init__(self, n_items: int, *, kind: str = "cnn", dim: int = 32, hidden: int = 32, seed: int = 0):
        super().__init__(reference.discriminator_weights(n_items, kind=kind, dim=dim, hidden=hidden, seed=seed))
        self.n_items, self.kind = n_items, kind

    def forward(self, relaxed: Tensor) -> Tensor:
        """Return the logits [n] of relaxed rows [n, any, n_items]."""
        return self._judge(relaxed @ self.weights["vectors"])

    def score(self, rows: Tensor) -> Tensor:
        """Return the logits [n] of rows of item ids, int64 [n, any]."""
        return self._judge(nn.functional.embedding(rows, self.weights["vectors"]))

    def _judge(self, x: Tensor) -> Tensor:
        w, length = self.weights, x.shape[1]
        if self.kind == "rnn":
            h = c = x.new_zeros((len(x), len(w["state"])))
            states = []
            for at in (x @ w["input"]).unbind(1):
                h, c = _lstm(w, at, h, c)
                states.append(h)
            features = torch.stack(states).mean(0)
        else:
            found = []
            for width in reference.WIDTHS:
                pieces = torch.cat([x[:, k : length - width + 1 + k] for k in range(width)], -1)
                found.append((pieces @ w[f"filter_{width}"] + w[f"bias_{width}"]).relu().amax(1))
            features = torch.cat(found, -1)
        return (features @ w["out"] + w["bias"]).squeeze(-1)


class InteractionVAE(Network):
    """A variational autoencoder of who rated what: no order, one code of a few numbers for each user.

    Parameters
    ----------
    n_items
        Number of items.
    hidden
        Width of the layer before and behind the code.
    latent
        Length of the code.
    seed
        Seed of the first weights, which are the same in both tracks.

    Raises
    ------
    ValueError
        If a size is not a whole number from 1 (``n_items``: from 2).

    Notes
    -----
    Liang, Krishnan, Hoffman and Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018.
    """

    def __init__(self, n_items: int, *, hidden: int = 100, latent: int = 16, seed: int = 0):
        super().__init__(reference.vae_weights(n_items, hidden=hidden, latent=latent, seed=seed))
        self.n_items, self.latent = n_items, latent

    def encode(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of each code, [n, latent], for a 0-1 table [n, n_items]."""
        w = self.weights
        x = nn.functional.normalize(table, dim=1)
        mean, log_variance = ((x @ w["read"] + w["read_bias"]).tanh() @ w["code"] + w["code_bias"]).chunk(2, -1)
        return mean, log_variance

    def decode(self, codes: Tensor) -> Tensor:
        """Return the logits of all items, [n, n_items], for codes [n, latent]."""
        w = self.weights
        return (codes @ w["write"] + w["write_bias"]).tanh() @ w["out"] + w["bias"]


def vae_loss(logits: Tensor, table: Tensor, mean: Tensor, log_variance: Tensor, *, beta: float) -> Tensor:
    """Return the mean over users of -sum x log softmax(logits) + beta KL(N(mean, variance), N(0, 1)).

    Parameters
    ----------
    logits, table
        The decoder's logits and what the user rated (0 or 1), both [n, n_items].
    mean, log_variance
        What the encoder returned, [n, latent].
    beta
        Weight of the divergence; 1 gives the bound of Kingma and Welling (2014).
    """
    reconstruction = -(table * logits.log_softmax(-1)).sum(1)
    divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
    return (reconstruction + beta * divergence).mean()


def sample_vae(model: InteractionVAE, n: int, *, length: int, seed: int = 0) -> np.ndarray:
    """Return n rows, int64 [n, length]: a code from N(0, 1) each, then ``length`` different items of its decoder.

    Parameters
    ----------
    model
        The autoencoder.
    n
        Number of rows.
    length
        Items in a row, drawn one after the other without putting back. Their order means nothing.
    seed
        Seed of codes and items.
    """
    reference.check_training(n=n)
    reference.check_length(length, model.n_items)
    random = torch.Generator(model.weights["bias"].device).manual_seed(seed)
    with torch.no_grad():
        codes = torch.randn((n, model.latent), generator=random, device=random.device)
        noise = gumbel_noise((n, model.n_items), generator=random)
        return numpy((model.decode(codes) + noise).topk(length).indices)


def fit_generator(
    generator: SequenceGenerator,
    rows: Any,
    *,
    epochs: int,
    learning_rate: float = 0.005,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Train the generator in place to give real rows a high probability, with Adam: maximum likelihood.

    Parameters
    ----------
    generator
        What is trained.
    rows
        Real rows, item ids [n, length].
    epochs
        Passes over the rows, in random order.
    learning_rate, batch_size
        Of Adam; rows in a step.
    seed
        Seed of the order.

    Returns
    -------
    ndarray
        The mean of -log p of an item in each epoch, in nats.

    Raises
    ------
    ValueError
        If a setting or the rows cannot be used; the message says what to mend.
    """
    reference.check_training(epochs=epochs, batch_size=batch_size, rates=(learning_rate,))
    data = tensor(reference.check_rows(rows, generator.n_items, length=generator.length))

    def loss(places: Tensor) -> Tensor:
        return -generator.log_probabilities(data[places]).mean()

    return _fit(generator, loss, len(data), epochs, batch_size, learning_rate, seed)


def fit_discriminator(
    discriminator: SequenceDiscriminator,
    real: Any,
    fake: Any,
    *,
    epochs: int,
    learning_rate: float = 0.002,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Train the discriminator in place to tell real rows from fake ones, with Adam.

    Parameters
    ----------
    discriminator
        What is trained.
    real, fake
        Rows of item ids, [n, length], as many real as fake.
    epochs
        Passes over both.
    learning_rate, batch_size
        Of Adam; rows of each kind in a step.
    seed
        Seed of the order.

    Returns
    -------
    ndarray
        The mean loss of each epoch.

    Raises
    ------
    ValueError
        If a setting or the rows cannot be used; the message says what to mend.
    """
    reference.check_training(epochs=epochs, batch_size=batch_size, rates=(learning_rate,))
    both = [tensor(reference.check_rows(rows, discriminator.n_items)) for rows in (real, fake)]
    reference.check_equal(len(both[0]), len(both[1]))

    def loss(places: Tensor) -> Tensor:
        good, bad = discriminator.score(torch.cat([rows[places] for rows in both])).chunk(2)
        return softplus(-good).mean() + softplus(bad).mean()

    return _fit(discriminator, loss, len(both[0]), epochs, batch_size, learning_rate, seed)


def fit_vae(
    model: InteractionVAE,
    table: Any,
    *,
    epochs: int,
    beta: float = 1.0,
    dropout: float = 0.5,
    learning_rate: float = 0.002,
    batch_size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Train the autoencoder in place, with Adam; ``beta`` grows from 0 over the first half of the steps.

    Parameters
    ----------
    model
        What is trained.
    table
        Who rated what, 0 or 1, shape [n, n_items].
    epochs
        Passes over the rows of the table.
    beta
        Weight of the divergence in :func:`vae_loss`, from the middle of the training on.
    dropout
        Share of the entries that the encoder does not see.
    learning_rate, batch_size
        Of Adam; rows in a step.
    seed
        Seed of order, dropout and codes.

    Returns
    -------
    ndarray
        The mean loss of each epoch.

    Raises
    ------
    ValueError
        If a setting or the table cannot be used; the message says what to mend.
    """
    reference.check_training(epochs=epochs, batch_size=batch_size, rates=(learning_rate,))
    reference.check_vae(beta=beta, dropout=dropout)
    data = tensor(reference.check_table(table, model.n_items))
    random = torch.Generator(data.device).manual_seed(seed + 1)
    steps, step = epochs * -(-len(data) // batch_size), 0

    def loss(places: Tensor) -> Tensor:
        nonlocal step
        step += 1
        x = data[places]
        seen = torch.rand(x.shape, generator=random, device=x.device) >= dropout
        mean, log_variance = model.encode(x * seen)
        noise = torch.randn(mean.shape, generator=random, device=x.device)
        codes = mean + (0.5 * log_variance).exp() * noise
        return vae_loss(model.decode(codes), x, mean, log_variance, beta=beta * min(1.0, 2 * step / steps))

    return _fit(model, loss, len(data), epochs, batch_size, learning_rate, seed)


def fit_sequence_gan(
    generator: SequenceGenerator,
    discriminator: SequenceDiscriminator,
    rows: Any,
    *,
    steps: int,
    estimator: str = "straight-through",
    temperature: float = 1.0,
    learning_rates: tuple[float, float] = (0.0005, 0.002),
    discriminator_steps: int = 1,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Let the two play: the discriminator learns to tell rows apart, the generator to be called real, both with Adam.

    Parameters
    ----------
    generator, discriminator
        The players, trained in place.
    rows
        Real rows, item ids [n, length].
    steps
        Updates of the generator.
    estimator
        How the generator's gradient passes the draw. ``"straight-through"``: the discriminator sees one-hot rows, the
        gradient is that of the Gumbel-softmax; ``"gumbel"``: it sees the Gumbel-softmax itself; both with the
        non-saturating loss. ``"reinforce"``: :func:`reinforce_loss` with the discriminator's logit of the whole row
        as its reward.
    temperature
        Of the Gumbel-softmax.
    learning_rates
        Of the generator and of the discriminator.
    discriminator_steps
        Updates of the discriminator a step.
    batch_size
        Rows of each kind in an update.
    seed
        Seed of noise and order.

    Returns
    -------
    dict
        Arrays of length ``steps``: ``discriminator_loss`` (before its last update), ``generator_loss``, and the norms
        of the last gradients, ``discriminator_gradient`` and ``generator_gradient``.

    Raises
    ------
    ValueError
        If a setting or the rows cannot be used; the message says what to mend.

    Notes
    -----
    Yu, Zhang, Wang and Yu, "SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient", AAAI 2017, reward
    every place by the mean over completed rows; here every place gets the reward of its own row.
    """
    reference.check_training(
        steps=steps, batch_size=batch_size, discriminator_steps=discriminator_steps, rates=learning_rates,
        temperature=temperature,
    )  # fmt: skip
    reference.check_choice("estimator", estimator, reference.ESTIMATORS)
    data = tensor(reference.check_rows(rows, generator.n_items, length=generator.length))
    random = torch.Generator(data.device).manual_seed(seed)
    shape = (batch_size, generator.length, generator.n_items)
    own, other = list(generator.parameters()), list(discriminator.parameters())
    fused = data.device.type in ("cpu", "cuda")
    adams = [
        torch.optim.Adam(parameters, rate, betas=(0.5, 0.9), fused=fused)
        for parameters, rate in zip((own, other), learning_rates, strict=True)
    ]

    def fakes() -> Tensor:
        noise = gumbel_noise(shape, generator=random)
        return generator.roll(noise, temperature=temperature, hard=estimator != "gumbel")

    def discriminator_update() -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            fake = fakes()
        places = torch.randint(len(data), (batch_size,), generator=random, device=data.device)
        loss = softplus(-discriminator.score(data[places])).mean() + softplus(discriminator(fake)).mean()
        return loss.detach(), _update(adams[1], other, loss)

    def generator_update() -> tuple[Tensor, Tensor]:
        if estimator == "reinforce":
            with torch.no_grad():
                drawn = fakes().argmax(-1)
                rewards = discriminator.score(drawn)
            loss = reinforce_loss(generator.log_probabilities(drawn).sum(1), rewards)
        else:
            loss = softplus(-discriminator(fakes())).mean()
        return loss.detach(), _update(adams[0], own, loss)

    history = torch.zeros((steps, len(HISTORY)), device=data.device)
    with _few_threads(_products(own + other, batch_size)):
        for step in range(steps):
            for _ in range(discriminator_steps):
                d_loss, d_norm = discriminator_update()
            g_loss, g_norm = generator_update()
            history[step] = torch.stack([d_loss, g_loss, d_norm, g_norm])
    return dict(zip(HISTORY, history.cpu().numpy().T, strict=True))


def _products(parameters: list[nn.Parameter], batch_size: int) -> int:
    """Return the multiplications of the largest product of matrices in a step."""
    return batch_size * max(parameter.numel() for parameter in parameters)


def _batches(n: int, batch_size: int, random: torch.Generator) -> Iterator[Tensor]:
    """Yield places in random order, in equal batches; the last is filled up with the first few."""
    n_batches = -(-n // batch_size)
    size = -(-n // n_batches)
    order = torch.randperm(n, generator=random, device=random.device)
    yield from torch.cat((order, order[: n_batches * size - n])).split(size)


def _fit(
    model: nn.Module, loss: Any, n: int, epochs: int, batch_size: int, learning_rate: float, seed: int
) -> np.ndarray:
    """Minimise ``loss(places)`` over batches of n places; return the mean loss of each epoch."""
    parameters = list(model.parameters())
    device = parameters[0].device
    adam = torch.optim.Adam(parameters, learning_rate, fused=device.type in ("cpu", "cuda"))
    random = torch.Generator(device).manual_seed(seed)
    means = []
    with _few_threads(_products(parameters, batch_size)):
        for _ in range(epochs):
            losses = []
            for places in _batches(n, batch_size, random):
                value = loss(places)
                _update(adam, parameters, value)
                losses.append(value.detach())
            means.append(torch.stack(losses).mean().item())
    return np.array(means)
