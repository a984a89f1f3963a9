"""Calls of networks for tests: the same under every backend, as numpy."""

import functools

import keras
import numpy as np


def call(network, images, **options):
    """`network(images, **options)` as numpy; under jax compiled, which there is faster than not."""
    if keras.backend.backend() == "jax":
        weights = [weight.value for weight in network.trainable_variables]
        fixed = [weight.value for weight in network.non_trainable_variables]
        outputs = _compiled_call(network, tuple(options.items()))(weights, fixed, images)
    else:
        outputs = network(images, **options)
    return keras.tree.map_structure(lambda x: np.asarray(keras.ops.convert_to_numpy(x)), outputs)


@functools.cache  # per network, so that calls with pictures of the same size share one compilation
def _compiled_call(network, options):
    import jax

    return jax.jit(lambda w, f, x: network.stateless_call(w, f, x, **dict(options))[0])


def weight_gradients(network, images, total, **options):
    """{path: numpy gradient or None} of `total(outputs)` with respect to every weight."""
    paths = [weight.path for weight in network.trainable_variables]
    if keras.backend.backend() == "jax":
        import jax

        weights = [weight.value for weight in network.trainable_variables]
        fixed = [weight.value for weight in network.non_trainable_variables]
        found = jax.jit(
            jax.grad(lambda w: total(network.stateless_call(w, fixed, images, **options)[0]))
        )(weights)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = total(network(images, **options))
        found = tape.gradient(value, [weight.value for weight in network.trainable_variables])
    return {
        path: None if value is None else np.asarray(value)
        for path, value in zip(paths, found, strict=True)
    }
