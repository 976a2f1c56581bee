"""Operations that tests write differently in each track; see ops_tensorflow.py for the twin."""

import torch

sum = torch.sum
mean = torch.mean
tanh = torch.tanh
softplus = torch.nn.functional.softplus
matmul = torch.matmul
sign = torch.sign
log = torch.log
exp = torch.exp
where = torch.where
ones_like = torch.ones_like
clip = torch.clamp


def norm(t, axis):
    """Return lengths along ``axis``, which stays as an axis of one entry; of the whole tensor for None."""
    return torch.linalg.vector_norm(t, dim=axis, keepdim=axis is not None)


def parameter(array):
    """Return a trainable parameter that holds ``array``."""
    return torch.nn.Parameter(torch.tensor(array))


def take(table, rows):
    """Return the given rows of a table."""
    return table[rows]


def gaussian(shape, generator):
    """Return the standard normal draws that ``random_delta`` makes from the same generator."""
    return torch.randn(shape, generator=generator)


def cast(t, name):
    """Return ``t`` with entries of the named type."""
    return t.to(getattr(torch, name))


def fit_by_autograd(model, triples, *, optimizer, learning_rate, regularisation, steps):
    """Train on all triples at once with the framework's own gradient and optimiser."""
    make = {"adagrad": torch.optim.Adagrad, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
    optimizer = make(model.parameters(), lr=learning_rate)
    users, items, negatives = (torch.tensor(v) for v in triples)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        p, qi, qj = model.user_vectors[users], model.item_vectors[items], model.item_vectors[negatives]
        loss = -torch.nn.functional.logsigmoid((p * qi).sum(1) - (p * qj).sum(1)).mean()
        penalty = (p.square() + qi.square() + qj.square()).sum(1).mean()
        (loss + regularisation * penalty).backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
