"""A peer's FGSM and PGD in PyTorch: torchattacks, foolbox, ART or cleverhans, whichever is installed here."""

import os

import numpy as np
import torch
from serve import per_call, serve
from torch import nn

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


def make(library, attack, batch, eps, step, steps):
    """Return a function of no argument that returns the attacked batch as an array or a tensor."""
    model = state["model"]
    x_array, y_array = state["x"][:batch], state["y"][:batch]
    x, y = torch.from_numpy(x_array), torch.from_numpy(y_array)
    if library == "torchattacks":
        import torchattacks

        if attack == "fgsm":
            method = torchattacks.FGSM(model, eps=eps)
        else:
            method = torchattacks.PGD(model, eps=eps, alpha=step, steps=steps, random_start=False)
        return lambda: method(x, y)
    if library == "foolbox":
        import foolbox

        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
        if attack == "fgsm":
            method = foolbox.attacks.LinfFastGradientAttack(random_start=False)
        else:
            method = foolbox.attacks.LinfPGD(abs_stepsize=step, steps=steps, random_start=False)
        criterion = foolbox.Misclassification(y)
        # `run` and not the call, which would add a forward pass to see who was fooled.
        return lambda: method.run(wrapped, x, criterion, epsilon=eps)
    if library == "art":
        from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier

        classifier = PyTorchClassifier(
            model, nn.CrossEntropyLoss(), input_shape=x.shape[1:], nb_classes=10, device_type="cpu"
        )
        if attack == "fgsm":
            method = FastGradientMethod(classifier, norm=np.inf, eps=eps, batch_size=batch)
        else:
            method = ProjectedGradientDescentPyTorch(
                classifier, eps=eps, eps_step=step, max_iter=steps, batch_size=batch, verbose=False
            )
        return lambda: method.generate(x_array, y_array)
    if library == "cleverhans":
        from cleverhans.torch.attacks.fast_gradient_method import fast_gradient_method
        from cleverhans.torch.attacks.projected_gradient_descent import projected_gradient_descent

        if attack == "fgsm":
            return lambda: fast_gradient_method(model, x, eps, np.inf, y=y)
        return lambda: projected_gradient_descent(
            model, x, eps, step, steps, np.inf, y=y, rand_init=False, sanity_checks=False
        )
    raise ValueError(f"unknown library {library}")


def attack(library, attack, batch, eps, step, steps, seconds, out=None):
    key = (library, attack, batch)
    if key not in state:
        state[key] = make(library, attack, batch, eps, step, steps)
        state[key]()
    if out is not None:
        result = state[key]()
        result = result if isinstance(result, np.ndarray) else result.detach().numpy()
        np.save(out, result)
    return per_call(state[key], seconds)


if __name__ == "__main__":
    serve({"load": load, "attack": attack})
