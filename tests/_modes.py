"""Runs a function in every way a user may run it: the numbers must not depend on the way."""

import keras
import numpy as np


def every_mode(function, *arrays):
    """Yields (name, results) of `function(*arrays)` eagerly, in a graph, and compiled.

    Under TensorFlow the graph is traced for float inputs of unknown sizes ([None, None, None, c]
    for images, [None, None, c] for points), so nothing may lean on static shapes. Under jax the one
    compiled mode is `jax.jit`.

    Args:
        function: takes backend tensors, returns a tensor or a tuple of them.
        arrays: numpy arrays.

    Yields:
        The mode's name and a list of numpy arrays.
    """
    yield "eager", _numpy(function(*[keras.ops.convert_to_tensor(array) for array in arrays]))
    if keras.backend.backend() == "jax":
        import jax

        yield "jit", _numpy(jax.jit(function)(*arrays))
        return
    import tensorflow as tf

    specs = [
        tf.TensorSpec([None] * (array.ndim - 1) + [array.shape[-1]], array.dtype)
        for array in arrays
    ]
    tensors = [tf.constant(array) for array in arrays]
    yield "dynamic graph", _numpy(tf.function(function, input_signature=specs)(*tensors))
    yield "XLA", _numpy(tf.function(function, jit_compile=True)(*tensors))


def assert_same_in_every_mode(function, *arrays, rtol=1e-5, atol=1e-5):
    """Asserts that every mode gives what the eager one gives."""
    modes = every_mode(function, *arrays)
    _, expected = next(modes)
    for name, results in modes:
        assert len(results) == len(expected)
        for result, truth in zip(results, expected, strict=True):
            np.testing.assert_allclose(result, truth, rtol=rtol, atol=atol, err_msg=name)


def _numpy(results):
    if not isinstance(results, (tuple, list)):
        results = [results]
    return [np.asarray(keras.ops.convert_to_numpy(result)) for result in results]
