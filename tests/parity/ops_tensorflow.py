"""Operations that tests write differently in each track; see ops_pytorch.py for the twin."""

import numpy as np
import tensorflow as tf

sum = tf.reduce_sum
mean = tf.reduce_mean
tanh = tf.tanh
softplus = tf.nn.softplus
matmul = tf.matmul
sign = tf.sign
log = tf.math.log
exp = tf.exp
where = tf.where
ones_like = tf.ones_like
clip = tf.clip_by_value


def norm(t, axis):
    """Return lengths along ``axis``, which stays as an axis of one entry; of the whole tensor for None."""
    return tf.norm(t, axis=axis, keepdims=axis is not None)


def parameter(array):
    """Return a trainable variable that holds ``array``."""
    return tf.Variable(array)


def take(table, rows):
    """Return the given rows of a table."""
    return tf.gather(table, rows)


def gaussian(shape, generator):
    """Return the standard normal draws that ``random_delta`` makes from the same generator."""
    return generator.normal(shape)


def cast(t, name):
    """Return ``t`` with entries of the named type."""
    return tf.cast(t, name)


class Published:
    """The update rules as their papers print them, in float64: Keras keeps its guard inside the square root."""

    def __init__(self, name, rate):
        self.name, self.rate, self.t = name, rate, 0
        self.mean, self.squares = {}, {}

    def step(self, gradients):
        """Return what each variable moves by."""
        self.t += 1
        moves = []
        for k, g in enumerate(np.asarray(v, np.float64) for v in gradients):
            if self.name == "sgd":
                moves.append(-self.rate * g)
            elif self.name == "adagrad":
                self.squares[k] = self.squares.get(k, 0) + g**2
                moves.append(-self.rate * g / (np.sqrt(self.squares[k]) + 1e-10))
            else:
                self.mean[k] = 0.9 * self.mean.get(k, 0) + 0.1 * g
                self.squares[k] = 0.999 * self.squares.get(k, 0) + 0.001 * g**2
                mean, squares = self.mean[k] / (1 - 0.9**self.t), self.squares[k] / (1 - 0.999**self.t)
                moves.append(-self.rate * mean / (np.sqrt(squares) + 1e-8))
        return moves


def fit_by_autograd(model, triples, *, optimizer, learning_rate, regularisation, steps):
    """Train on all triples at once with the framework's own gradient."""
    rule = Published(optimizer, learning_rate)
    users, items, negatives = triples
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            p, qi = tf.gather(model.user_vectors, users), tf.gather(model.item_vectors, items)
            qj = tf.gather(model.item_vectors, negatives)
            loss = -tf.reduce_mean(tf.math.log_sigmoid(tf.reduce_sum(p * qi, 1) - tf.reduce_sum(p * qj, 1)))
            penalty = tf.reduce_mean(tf.reduce_sum(p**2 + qi**2 + qj**2, 1))
            total = loss + regularisation * penalty
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(total, model.trainable_variables)]
        for variable, move in zip(model.trainable_variables, rule.step(gradients), strict=True):
            variable.assign(variable + move.astype(np.float32))
        losses.append(float(loss))
    return losses
