"""What the course teaches, in NumPy and float64: the truth that both tracks are compared with.

Nothing here is written for speed. Every function states its shapes and where its formula
comes from; the tracks in :mod:`advrec_teach.pytorch` and :mod:`advrec_teach.tensorflow`
agree with it to 1e-5 in float32, and a test says so.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
NORMS = ("linf", "l2")
OPTIMIZERS = ("adagrad", "adam", "sgd")
DIRECTIONS = ("fgm", "random", "raw")
TABLES = ("users", "items")
ATTACKS = ("random", "fgsm", "fgm", "pgd")
# How often a negative is drawn again, for each item there is: a user with one unseen item fails to draw it that many
# times with a probability of exp(-50), a user with none always.
PATIENCE = 50


def check_ball(eps: float, norm: str) -> float:
    """Return ``eps`` as a float after checking that it and ``norm`` describe a ball.

    Parameters
    ----------
    eps
        Radius, in the units of the perturbed input.
    norm
        ``"linf"`` (largest coordinate) or ``"l2"`` (Euclidean length of one example).

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, or ``norm`` is unknown.
    """
    radius = float(eps)
    if not 0 <= radius < np.inf:
        raise ValueError(f"eps is {radius}; give a finite radius that is not negative.")
    if norm not in NORMS:
        raise ValueError(f'norm is {norm!r}; choose "linf" (largest coordinate) or "l2" (length).')
    return radius


def check_steps(step: float, steps: int) -> tuple[float, int]:
    """Return step size and number of steps of an iterated attack after checking both.

    Raises
    ------
    ValueError
        If ``step`` is negative or not finite, or ``steps`` is not a whole number from 0.
    """
    size = float(step)
    if not 0 <= size < np.inf:
        raise ValueError(f"step is {size}; give a finite step size that is not negative.")
    if isinstance(steps, bool) or int(steps) != steps or steps < 0:
        raise ValueError(f"steps is {steps!r}; give a whole number of steps that is not negative.")
    return size, int(steps)


def check_count(name: str, value: float, least: int = 1) -> None:
    """Check that a setting counts something: a whole number from ``least``, of whatever type.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name} is {value!r}; give a whole number from {least}.")


def check_fit(
    epochs: int,
    learning_rate: float,
    regularisation: float,
    batch_size: int,
    optimizer: str,
    precision: str | None,
    train: Any,
) -> None:
    """Check the settings of ``fit_bpr``, the same in both tracks.

    Raises
    ------
    ValueError
        If a setting is out of its range, there is no interaction, or a user has every item, so that no
        negative can be drawn.
    """
    for name, value, least in (("epochs", epochs, 0), ("batch_size", batch_size, 1)):
        check_count(name, value, least)
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate is {learning_rate!r}; give a positive number.")
    if not 0 <= regularisation < np.inf:
        raise ValueError(f"regularisation is {regularisation!r}; give a number that is not negative.")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer is {optimizer!r}; choose one of {', '.join(OPTIMIZERS)}.")
    if precision not in (None, "float32", "bfloat16"):
        raise ValueError(f'precision is {precision!r}; choose "float32" or "bfloat16", or leave it out.')
    if len(train.users) == 0:
        raise ValueError("train holds no interaction, so there is nothing to learn from.")
    full = np.flatnonzero(train.table().all(axis=1))
    if len(full):
        raise ValueError(f"User {full[0]} has every item in train, so no negative can be drawn for that user.")


def check_adversary(eps: Any, adv_weight: float, direction: str, tables: Any) -> None:
    """Check the settings that ``fit_adversarial`` has beside those of ``fit_bpr``, the same in both tracks.

    Raises
    ------
    ValueError
        If a setting is out of its range. A function given as ``eps`` is checked when it is called.
    """
    if not callable(eps):
        check_ball(eps, "l2")
    if not 0 <= adv_weight < np.inf:
        raise ValueError(f"adv_weight is {adv_weight!r}; give a number that is not negative.")
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}; choose one of {', '.join(DIRECTIONS)}.")
    if isinstance(tables, str) or not tables or not set(tables) <= set(TABLES):
        raise ValueError(f'tables is {tables!r}; give ("users",), ("items",) or ("users", "items").')


def radius_of(eps: Any, epoch: int) -> float:
    """Return the radius in an epoch, ``eps`` itself or what it returns for the epoch's number.

    Raises
    ------
    ValueError
        If it is negative or not finite.
    """
    return check_ball(eps(epoch) if callable(eps) else eps, "l2")


def check_attack(method: str, steps: int) -> None:
    """Check the name of an attack and its number of steps.

    Raises
    ------
    ValueError
        If the method is unknown or ``steps`` is not a whole number from 1.
    """
    if method not in ATTACKS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(ATTACKS)}.")
    if check_steps(0, steps)[1] < 1:
        raise ValueError(f"steps is {steps!r}; an attack takes at least one step.")


def step_of(eps: float, steps: int) -> float:
    """Return the length of a step of ``"pgd"``: 2.5 eps / steps, or eps where there is one step.

    Together the steps can then cross the ball and turn; Madry et al., "Towards Deep Learning Models Resistant to
    Adversarial Attacks", ICLR 2018, use this length.
    """
    return min(eps, 2.5 * eps / steps)


def check_sizes(n_users: int, n_items: int, train: Any) -> None:
    """Check that a model was made for the users and items of the interactions.

    Raises
    ------
    ValueError
        If the numbers of users or of items differ.
    """
    if (n_users, n_items) != (train.n_users, train.n_items):
        raise ValueError(
            f"The model holds {n_users} users and {n_items} items, train {train.n_users} and {train.n_items}: "
            "make the model with the sizes of train."
        )


# --- losses


def softplus(x: ArrayLike) -> Array:
    """Return log(1 + exp(x)) for each entry, without overflow for large x."""
    return np.logaddexp(0.0, np.asarray(x, dtype=np.float64))


def log_sigmoid(x: ArrayLike) -> Array:
    """Return log(sigmoid(x)) = -softplus(-x) for each entry, exact where sigmoid(x) rounds to 0."""
    return -softplus(-np.asarray(x, dtype=np.float64))


def sigmoid(x: ArrayLike) -> Array:
    """Return 1 / (1 + exp(-x)) for each entry, without overflow on either side."""
    x = np.asarray(x, dtype=np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def bpr_loss(positive: ArrayLike, negative: ArrayLike) -> float:
    """Return the BPR loss: the mean of softplus(-(positive - negative)).

    Parameters
    ----------
    positive, negative
        Scores of items that the users chose and of items that they did not, shape [n].

    Notes
    -----
    -log sigmoid(s_ui - s_uj), Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit
    Feedback", UAI 2009, without its regularisation term.
    """
    return float(np.mean(softplus(np.asarray(negative, np.float64) - np.asarray(positive, np.float64))))


def bpr_gradients(p_u: ArrayLike, q_i: ArrayLike, q_j: ArrayLike) -> tuple[float, Array, Array, Array]:
    """Return the mean BPR loss of n triples and its gradient with respect to their vectors.

    Parameters
    ----------
    p_u, q_i, q_j
        Vectors of users, chosen items and other items, each of shape [n, d].

    Returns
    -------
    loss, dp, dqi, dqj
        The loss, then three gradients of shape [n, d]. With x = p_u . (q_i - q_j) the loss of one triple
        has the slope -sigmoid(-x), so dp = -sigmoid(-x) (q_i - q_j) / n, and so on.
    """
    p, qi, qj = (np.asarray(v, dtype=np.float64) for v in (p_u, q_i, q_j))
    margin = np.sum(p * (qi - qj), axis=1)
    slope = -sigmoid(-margin)[:, None] / len(margin)
    return float(np.mean(softplus(-margin))), slope * (qi - qj), slope * p, -slope * p


# --- perturbations


def _length(v: ArrayLike) -> tuple[Array, Array]:
    """Return the Euclidean length of each example, shaped so that it divides ``v``, and ``v`` scaled to length 1.

    An example of zeros has length 0 and stays zero.
    """
    v = np.asarray(v, dtype=np.float64)
    if v.ndim == 0:
        raise ValueError("x is a single number; its first axis has to count the examples.")
    axes = tuple(range(1, v.ndim))
    # Divided by its largest entry first: squares of very small entries round to 0, of very large ones to infinity.
    largest = np.max(np.abs(v), axis=axes, keepdims=True, initial=0.0)
    v = v / np.where(largest > 0, largest, 1.0)
    length = np.sqrt(np.sum(v**2, axis=axes, keepdims=True))
    return largest * length, v / np.where(length > 0, length, 1.0)


def fgsm_delta(gradient: ArrayLike, *, eps: float) -> Array:
    """Return eps * sign(gradient), the fast gradient sign step.

    Goodfellow, Shlens and Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015.
    """
    return check_ball(eps, "linf") * np.sign(np.asarray(gradient, dtype=np.float64))


def fgm_delta(gradient: ArrayLike, *, eps: float) -> Array:
    """Return eps * gradient / ||gradient||_2, the length taken per example (all axes but the first).

    Miyato, Dai and Goodfellow, "Adversarial Training Methods for Semi-Supervised Text Classification",
    ICLR 2017. An example whose gradient is zero is not moved.
    """
    return check_ball(eps, "l2") * _length(gradient)[1]


def project(delta: ArrayLike, *, eps: float, norm: str) -> Array:
    """Return the point of the ball of radius eps that is nearest to ``delta``, per example.

    ``"linf"`` clips every coordinate to [-eps, eps]; ``"l2"`` shortens an example that is longer than
    eps to length eps and leaves the others as they are.
    """
    eps = check_ball(eps, norm)
    delta = np.asarray(delta, dtype=np.float64)
    if norm == "linf":
        return np.clip(delta, -eps, eps)
    length, unit = _length(delta)
    return np.where(length > eps, eps * unit, delta)


def noise(gaussian: ArrayLike, *, eps: float, norm: str) -> Array:
    """Turn standard normal draws into noise of exactly the size of an attack: the control of every attack.

    ``"linf"``: eps * sign(gaussian), the size of FGSM; ``"l2"``: eps * gaussian / ||gaussian||_2 per
    example, the size of FGM.
    """
    check_ball(eps, norm)
    return fgsm_delta(gaussian, eps=eps) if norm == "linf" else fgm_delta(gaussian, eps=eps)


def pgd_delta(
    gradient_fn: Callable[[Array], ArrayLike],
    x: ArrayLike,
    *,
    eps: float,
    step: float,
    steps: int,
    norm: str,
    start: ArrayLike | None = None,
) -> Array:
    """Return the perturbation that projected gradient ascent reaches from ``start`` (else from zero).

    Parameters
    ----------
    gradient_fn
        Maps x + delta to the gradient of the loss there, same shape as ``x``.
    x
        Input, shape [n, ...].
    eps, norm
        Ball that the perturbation stays in.
    step, steps
        Length of one step (in the same norm) and their number.

    Notes
    -----
    delta <- project(delta + step * direction), the direction being the sign of the gradient ("linf") or the
    gradient over its length ("l2"): Madry et al., "Towards Deep Learning Models Resistant to Adversarial
    Attacks", ICLR 2018.
    """
    step, steps = check_steps(step, steps)
    x = np.asarray(x, dtype=np.float64)
    delta = np.zeros_like(x) if start is None else project(start, eps=eps, norm=norm)
    for _ in range(steps):
        delta = project(delta + noise(gradient_fn(x + delta), eps=step, norm=norm), eps=eps, norm=norm)
    return delta


# --- generative adversarial networks
