"""Our FGSM and PGD in PyTorch, through the public functions of the track."""

import os

import numpy as np
import torch
from serve import per_call, serve
from torch import nn
from torch.nn import functional as F

from advrec_teach import pytorch as advrec

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
state = {}


def load(path):
    with np.load(path) as stored:
        data = dict(stored)
    layers = []
    for number in range(1, 4):
        weight, bias = data[f"w{number}"], data[f"b{number}"]
        layer = nn.Linear(*weight.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, nn.ReLU()]
    state.update(model=nn.Sequential(*layers[:-1]).eval(), x=data["x"], y=data["y"])


def make(variant, attack, batch, eps, step, steps):
    """Return a function of no argument that returns the attacked batch."""
    model = state["model"]
    x, y = torch.from_numpy(state["x"][:batch]), torch.from_numpy(state["y"][:batch])

    def loss_fn(inputs):
        return F.cross_entropy(model(inputs), y)

    def loss_in_bfloat16(inputs):
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs)
        return F.cross_entropy(logits.float(), y)

    loss = loss_in_bfloat16 if "bf16" in variant else loss_fn
    compile = "compiled" in variant
    if attack == "fgsm":
        if not compile:
            return lambda: x + advrec.fgsm_delta(loss, x, eps=eps)
        step, steps = eps, 1  # one full step from zero is FGSM
    return lambda: x + advrec.pgd_delta(loss, x, eps=eps, step=step, steps=steps, norm="linf", compile=compile)


def attack(library, attack, batch, eps, step, steps, seconds, out=None):
    key = (library, attack, batch)
    if key not in state:
        state[key] = make(library, attack, batch, eps, step, steps)
        state[key]()
    if out is not None:
        np.save(out, state[key]().detach().numpy())
    return per_call(state[key], seconds)


def matmul(size, dtype, seconds):
    """Return the seconds of one product of two square matrices."""
    a = torch.randn(size, size).to(getattr(torch, dtype))
    b = torch.randn(size, size).to(getattr(torch, dtype))
    result = torch.empty_like(a)
    torch.mm(a, b, out=result)
    return per_call(lambda: torch.mm(a, b, out=result), seconds)


if __name__ == "__main__":
    serve({"load": load, "attack": attack, "matmul": matmul})
