"""Our FGSM and PGD in TensorFlow, through the public functions of the track."""

import numpy as np
import tensorflow as tf
from serve import per_call, serve

from advrec_teach import tensorflow as advrec

state = {}


def load(path):
    with np.load(path) as stored:
        data = dict(stored)
    weights = [(data[f"w{number}"], data[f"b{number}"]) for number in range(1, 4)]
    arrays = [array for pair in weights for array in pair]

    def network(policy):
        model = tf.keras.Sequential(
            [tf.keras.layers.Input((weights[0][0].shape[0],))]
            + [
                tf.keras.layers.Dense(weight.shape[1], activation="relu" if number < 2 else None, dtype=policy)
                for number, (weight, _) in enumerate(weights)
            ]
        )
        model.set_weights(arrays)
        return model

    state.update(model=network("float32"), bf16=network("mixed_bfloat16"), x=data["x"], y=data["y"])


def make(variant, attack, batch, eps, step, steps):
    """Return a function of no argument that returns the attacked batch."""
    model = state["bf16" if "bf16" in variant else "model"]
    x, y = tf.constant(state["x"][:batch]), tf.constant(state["y"][:batch], tf.int32)

    def loss_fn(inputs):
        logits = tf.cast(model(inputs), tf.float32)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))

    compile = "XLA" in variant
    if attack == "fgsm":
        step, steps = (eps, 1) if compile else (step, steps)  # one full step from zero is FGSM

    def attacked(inputs):
        if attack == "fgsm" and not compile:
            return inputs + advrec.fgsm_delta(loss_fn, inputs, eps=eps)
        return inputs + advrec.pgd_delta(loss_fn, inputs, eps=eps, step=step, steps=steps, norm="linf", compile=compile)

    # The way to call an attack often: inside the caller's own tf.function, as a training step does.
    function = tf.function(attacked) if "graph" in variant else attacked
    return lambda: function(x)


def attack(library, attack, batch, eps, step, steps, seconds, out=None):
    key = (library, attack, batch)
    if key not in state:
        state[key] = make(library, attack, batch, eps, step, steps)
        state[key]()
    if out is not None:
        np.save(out, state[key]().numpy())
    return per_call(state[key], seconds)


def matmul(size, dtype, seconds):
    """Return the seconds of one product of two square matrices."""
    a = tf.cast(tf.random.normal((size, size)), dtype)
    b = tf.cast(tf.random.normal((size, size)), dtype)
    product = tf.function(tf.matmul)
    product(a, b)
    return per_call(lambda: product(a, b), seconds)


if __name__ == "__main__":
    serve({"load": load, "attack": attack, "matmul": matmul})
