"""A peer's FGSM and PGD in TensorFlow: foolbox, ART or cleverhans, whichever is installed here."""

import numpy as np
import tensorflow as tf
from serve import per_call, serve

state = {}


def load(path):
    with np.load(path) as stored:
        data = dict(stored)
    weights = [(data[f"w{number}"], data[f"b{number}"]) for number in range(1, 4)]
    model = tf.keras.Sequential(
        [tf.keras.layers.Input((weights[0][0].shape[0],))]
        + [
            tf.keras.layers.Dense(weight.shape[1], activation="relu" if number < 2 else None)
            for number, (weight, _) in enumerate(weights)
        ]
    )
    model.set_weights([array for pair in weights for array in pair])
    state.update(model=model, x=data["x"], y=data["y"])


def make(library, attack, batch, eps, step, steps):
    """Return a function of no argument that returns the attacked batch as an array or a tensor."""
    model = state["model"]
    x_array, y_array = state["x"][:batch], state["y"][:batch]
    x, y = tf.constant(x_array), tf.constant(y_array)
    if library == "foolbox":
        import foolbox

        wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1), device="/CPU:0")
        if attack == "fgsm":
            method = foolbox.attacks.LinfFastGradientAttack(random_start=False)
        else:
            method = foolbox.attacks.LinfPGD(abs_stepsize=step, steps=steps, random_start=False)
        criterion = foolbox.Misclassification(y)
        # `run` and not the call, which would add a forward pass to see who was fooled.
        return lambda: method.run(wrapped, x, criterion, epsilon=eps)
    if library == "art":
        from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentTensorFlowV2
        from art.estimators.classification import TensorFlowV2Classifier

        classifier = TensorFlowV2Classifier(
            model,
            nb_classes=10,
            input_shape=tuple(x.shape[1:]),
            loss_object=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        if attack == "fgsm":
            method = FastGradientMethod(classifier, norm=np.inf, eps=eps, batch_size=batch)
        else:
            method = ProjectedGradientDescentTensorFlowV2(
                classifier, eps=eps, eps_step=step, max_iter=steps, batch_size=batch, verbose=False
            )
        return lambda: method.generate(x_array, y_array)
    if library == "cleverhans":
        from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
        from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

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
        np.save(out, np.asarray(state[key]()))
    return per_call(state[key], seconds)


if __name__ == "__main__":
    serve({"load": load, "attack": attack})
