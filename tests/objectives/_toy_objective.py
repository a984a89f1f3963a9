"""An objective small enough that a step of training takes milliseconds."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kcorr.objectives import FusedAdam, Objective


class Toy(Objective):
    """Learns y from x; `size` is a second term, so that there are weights to choose.

    `spread` is watched: no part of the loss, and as large as what is.
    """

    term_names = ("fit", "size")
    watched_names = ("spread",)
    observed_names = ("error",)

    def terms(self, batch, training):
        y = ops.cast(self.network(batch["x"], training=training), "float32")
        return {
            "fit": ops.mean(ops.square(y - batch["y"]), axis=-1),
            "size": ops.mean(ops.abs(y), axis=-1),
            "spread": ops.max(ops.abs(y), axis=-1),
        }

    def observe(self, batch):
        y = ops.cast(self.network(batch["x"], training=False), "float32")
        return {"error": ops.max(ops.abs(y - batch["y"]), axis=-1)}


def toy_network(dtype="float32", hidden=8):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(hidden, "tanh", dtype=dtype), keras.layers.Dense(2, dtype=dtype)]
    network = keras.Sequential([keras.Input((4,)), *layers], name="toy")
    network.dtype_policy = dtype
    return network


def toy(optimizer=None, dtype="float32", jit_compile=False, hidden=8, **kwargs):
    """A compiled toy; the default optimizer has slots, decay and averages."""
    objective = Toy(toy_network(dtype, hidden), **kwargs)
    objective.build()
    if optimizer is None:
        optimizer = FusedAdam(1e-2, weight_decay=0.004, use_ema=True, ema_momentum=0.9)
    objective.compile(optimizer, jit_compile=jit_compile)
    return objective


def toy_arrays(count=24):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 4)).astype("float32")
    return {"x": x, "y": 0.5 * x[:, :2]}


def toy_batch(count=6):
    return {name: tf.constant(value) for name, value in toy_arrays(count).items()}


def bad_batch(count=6):
    """One NaN in one example."""
    arrays = toy_arrays(count)
    arrays["x"][count // 2, 0] = np.nan
    return {name: tf.constant(value) for name, value in arrays.items()}


def toy_data(count=24, batch=6, repeat=False):
    data = tf.data.Dataset.from_tensor_slices(toy_arrays(count)).batch(batch)
    return data.repeat() if repeat else data


def state(objective):
    """Copies of the network's weights and of all the optimizer's variables."""
    variables = [*objective.network.weights, *objective.optimizer.variables]
    return [ops.convert_to_numpy(variable).copy() for variable in variables]


def assert_same_state(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def fit(objective, data, **kwargs):
    """A quiet fit; returns the history's dict."""
    return objective.fit(data, verbose=0, shuffle=False, **kwargs).history


def compiled_step(objective):
    """A function of a batch: one step as `fit` does it, without fit's end, where Keras writes the
    averages into the network."""
    objective.make_train_function()

    def step(batch):
        logs = objective.train_function(iter(tf.data.Dataset.from_tensors(batch)))
        return {name: float(value) for name, value in logs.items()}

    return step
