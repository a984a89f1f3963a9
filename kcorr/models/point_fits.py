"""How what turns landmarks or labels into annotated points learns: shared by its networks."""

import keras
import numpy as np
from keras import ops


def check_points(function, inputs, layout, axes, points):
    """`inputs` of so many axes and points [b, p, 2] as float32 arrays.

    Raises:
        ValueError: shapes that do not fit; `function` and `layout` name what was expected.
    """
    inputs, points = np.asarray(inputs, "float32"), np.asarray(points, "float32")
    fits = inputs.ndim == axes and points.ndim == 3 and points.shape[-1] == 2
    if not fits or len(inputs) != len(points):
        raise ValueError(
            f"{function} expects {layout} and points [b, p, 2], got {inputs.shape} and "
            f"{points.shape}"
        )
    return inputs, points


def fit_points(
    network,
    key,
    inputs,
    points,
    visible,
    size,
    *,
    epochs,
    batch_size,
    learning_rate,
    drops,
    decay,
    callbacks,
):
    """Teaches a network points: smooth L1 of ten times the coordinates in [-1, 1], AMSGrad.

    Args:
        network: built; takes {`key`: inputs} and gives `normalised` [b, p, 2].
        key: name of its input.
        inputs: a numpy array.
        points: [b, p, 2] pixels.
        visible: [b, p, 1], > 0.5 = counts; None counts all.
        size: (height, width) of the pictures.
        epochs, batch_size, learning_rate, drops, decay, callbacks: see `fit_virtual_points`.
    """
    counted = np.ones((*points.shape[:2], 1), np.float32)
    if visible is not None:
        counted = (np.asarray(visible) > 0.5).astype(np.float32)
    targets = np.concatenate([2 * points / (np.array(size[::-1]) - 1) - 1, counted], axis=-1)
    steps = -(-len(inputs) // batch_size)
    rate = learning_rate
    if drops:
        rates = [learning_rate * 0.1**k for k in range(len(drops) + 1)]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([d * steps for d in drops], rates)
    learner = Learner(network, key, decay)
    learner.compile(
        optimizer=keras.optimizers.Adam(rate, amsgrad=True, epsilon=1e-8), loss=_smooth_l1
    )
    learner.fit(
        inputs, targets, batch_size, epochs, verbose=0, shuffle=True, callbacks=list(callbacks)
    )


class Learner(keras.Model):
    """The one output that is learned, with a weight decay in the gradient, as PyTorch's Adam."""

    def __init__(self, network, key, decay):
        super().__init__()
        self.network, self.key, self.decay = network, key, decay

    def call(self, inputs, training=False):
        weights = self.network.trainable_variables
        self.add_loss(self.decay / 2 * sum(ops.sum(ops.square(one)) for one in weights))
        return self.network({self.key: inputs}, training=training)["normalised"]


def _smooth_l1(targets, predicted):
    """[b], of ten times the coordinates; targets [b, p, 3] hold what counts in the last place."""
    error = keras.losses.huber(10 * targets[..., :2], 10 * predicted, delta=1.0)
    return ops.mean(error * targets[..., 2], axis=1)
