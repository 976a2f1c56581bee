"""How a factorisation model fares when its vectors are moved: one loss, four ways to move, a range of lengths."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from advrec_teach.pytorch.attacks import fgm_delta, fgsm_delta, pgd_delta, random_delta
from advrec_teach.pytorch.bpr import BPRModel
from advrec_teach.pytorch.tensors import generator, numpy
from advrec_teach.reference import ATTACKS, check_attack, check_ball, step_of


class _RankingLoss(torch.autograd.Function):
    """The mean BPR loss of triples, its gradient taken by formula.

    With many triples a table of all scores is cheaper than gathering and scattering vectors: three products of
    matrices, and only single numbers are gathered.
    """

    @staticmethod
    def forward(ctx: Any, p: torch.Tensor, q: torch.Tensor, *triples: torch.Tensor) -> torch.Tensor:
        users, items, negatives = triples
        chosen, other = users * len(q) + items, users * len(q) + negatives
        scores = (p @ q.T).view(-1)
        margin = scores.index_select(0, chosen) - scores.index_select(0, other)
        slope = torch.sigmoid(-margin) / -len(margin)
        slopes = scores.zero_().index_add_(0, chosen, slope).index_add_(0, other, slope, alpha=-1)
        ctx.save_for_backward(p, q, slopes.view(len(p), len(q)))
        return torch.nn.functional.softplus(-margin).mean()

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        p, q, slopes = ctx.saved_tensors
        return upstream[0] * (slopes @ q), upstream[0] * (slopes.T @ p), None, None, None


def ranking_loss(
    users: torch.Tensor, items: torch.Tensor, negatives: torch.Tensor
) -> Callable[[tuple[torch.Tensor, torch.Tensor]], torch.Tensor]:
    """Return the mean BPR loss of these triples as a function of all vectors, a pair (p, q).

    Parameters
    ----------
    users, items, negatives
        Ids of users, of items that they chose and of items that they did not, int64, each of shape [n].

    Returns
    -------
    function
        Maps a pair of tensors, shapes [n_users, d] and [n_items, d], to one number. Any attack takes it as its
        ``loss_fn``. Its gradient is :func:`bpr_gradients`, summed over the triples of each vector.

    Raises
    ------
    ValueError
        If the three differ in shape or are empty.
    """
    if not users.shape == items.shape == negatives.shape or users.ndim != 1 or len(users) == 0:
        raise ValueError("users, items and negatives hold one id for each triple: give three equally long lists.")
    return lambda pair: _RankingLoss.apply(*pair, users, items, negatives)


def attack_vectors(
    model: BPRModel,
    loss_fn: Callable[[Any], torch.Tensor],
    *,
    method: str,
    eps: float,
    steps: int = 20,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return copies of all vectors, each moved by at most length eps so that ``loss_fn`` rises; the model stays.

    Parameters
    ----------
    model
        Whose vectors are attacked.
    loss_fn
        What the attack raises: a function of the pair (p, q), as from :func:`ranking_loss`.
    method
        ``"random"``: noise of length eps; ``"fgsm"``: the signed step of that length, eps / sqrt(d) a
        coordinate; ``"fgm"``: the scaled step; ``"pgd"``: ``steps`` steps of 2.5 eps / steps within the ball,
        from zero.
    eps
        Length of the move of each vector, or, for ``"pgd"``, its limit.
    seed
        Seed of the noise.

    Returns
    -------
    p, q
        Tensors of shape [n_users, d] and [n_items, d].

    Raises
    ------
    ValueError
        If ``eps`` is negative or not finite, ``steps`` is below 1, or the method is unknown.
    """
    eps = check_ball(eps, "l2")
    check_attack(method, steps)
    x = (model.user_vectors.detach().clone(), model.item_vectors.detach().clone())
    if method == "random":
        delta = random_delta(x, eps=eps, norm="l2", generator=generator(seed))
    elif method == "fgsm":
        delta = fgsm_delta(loss_fn, x, eps=eps / np.sqrt(x[0].shape[1]))
    elif method == "fgm":
        delta = fgm_delta(loss_fn, x, eps=eps)
    else:
        delta = pgd_delta(loss_fn, x, eps=eps, step=step_of(eps, steps), steps=steps, norm="l2")
    return x[0] + delta[0], x[1] + delta[1]


def robustness_curve(
    model: BPRModel,
    loss_fn: Callable[[Any], torch.Tensor],
    measure: Callable[[np.ndarray], float],
    *,
    epsilons: Sequence[float],
    methods: Sequence[str] = ATTACKS,
    steps: int = 20,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Measure a model under every method and at every length of the move.

    Parameters
    ----------
    model, loss_fn, steps, seed
        As in :func:`attack_vectors`.
    measure
        Maps all scores, an array of shape [n_users, n_items], to one number, such as NDCG@20.
    epsilons, methods
        Lengths of the move, and names of methods as in :func:`attack_vectors`.

    Returns
    -------
    list of dict
        One record for each method and length: ``method``, ``eps``, ``value`` (what ``measure`` returned) and
        ``loss`` (``loss_fn`` at the moved vectors).

    Raises
    ------
    ValueError
        As :func:`attack_vectors`.
    """
    records = []
    for method in methods:
        for eps in epsilons:
            pair = attack_vectors(model, loss_fn, method=method, eps=eps, steps=steps, seed=seed)
            value = float(measure(numpy(pair[0] @ pair[1].T)))
            records.append({"method": method, "eps": float(eps), "value": value, "loss": float(loss_fn(pair))})
    return records
