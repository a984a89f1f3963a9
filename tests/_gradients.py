"""Gradients for tests, the same call under every Keras backend, and their slow truth."""

import keras
import numpy as np


def gradient(function, *arrays):
    """Gradients of `sum(function(*arrays))` with respect to each of `arrays`.

    Args:
        function: takes backend tensors, returns one tensor; everything it does must be keras.ops
            (or the backend's own) for the gradient to exist.
        arrays: numpy arrays of a floating dtype, which is kept (float64 needs jax's x64 mode,
            which is switched on here for the length of the call).

    Returns:
        A list with one numpy array per argument; zeros where the function does not depend on it.
    """
    arrays = [np.asarray(array) for array in arrays]
    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        variables = [tf.constant(array) for array in arrays]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            total = tf.reduce_sum(function(*variables))
        found = tape.gradient(total, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(value).numpy() for value in found]
    if name == "jax":
        import jax

        with _jax_x64(any(array.dtype == np.float64 for array in arrays)):
            constants = [jax.numpy.asarray(array) for array in arrays]
            found = jax.grad(
                lambda *xs: jax.numpy.sum(function(*xs)), argnums=tuple(range(len(constants)))
            )(*constants)
            return [np.asarray(value) for value in found]
    raise NotImplementedError(f"no gradient helper for the {name} backend")


def evaluate(function, *arrays):
    """`function(*arrays)` as numpy, in the arrays' own precision (float64 under jax too)."""
    arrays = [np.asarray(array) for array in arrays]
    if keras.backend.backend() == "jax":
        with _jax_x64(any(array.dtype == np.float64 for array in arrays)):
            return np.asarray(function(*[keras.ops.convert_to_tensor(array) for array in arrays]))
    return keras.ops.convert_to_numpy(
        function(*[keras.ops.convert_to_tensor(array) for array in arrays])
    )


def finite_difference(function, *arrays, step=1e-6, entries=None, seed=0):
    """Central differences of `sum(function(*arrays))`, the slow truth of `gradient`.

    Args:
        function: as in `gradient`; it must compute in float64 when given float64.
        arrays: numpy arrays, cast to float64.
        step: half the distance of the two samples.
        entries: how many entries of each array are differentiated, drawn at random; None is all.
        seed: of the draw.

    Returns:
        A list of pairs (indices [k] into the flattened array, differences [k]), one per argument.
    """
    arrays = [np.array(array, "float64") for array in arrays]
    random = np.random.default_rng(seed)
    results = []
    for array in arrays:
        flat = array.reshape(-1)  # a view: writing to it moves the argument
        indices = np.arange(flat.size)
        if entries is not None and entries < flat.size:
            indices = random.choice(flat.size, entries, replace=False)
        differences = []
        for index in indices:
            centre = flat[index]
            values = []
            for offset in (step, -step):
                flat[index] = centre + offset
                values.append(np.sum(evaluate(function, *arrays), dtype="float64"))
            flat[index] = centre
            differences.append((values[0] - values[1]) / (2 * step))
        results.append((indices, np.array(differences)))
    return results


def assert_gradient(function, *arrays, step=1e-6, rtol=1e-5, atol=1e-7, entries=20, seed=0):
    """Asserts that `gradient` agrees with `finite_difference`, both in float64."""
    arrays = [np.array(array, "float64") for array in arrays]
    found = gradient(function, *arrays)
    truth = finite_difference(function, *arrays, step=step, entries=entries, seed=seed)
    for position, (value, (indices, expected)) in enumerate(zip(found, truth, strict=True)):
        assert value.dtype == np.float64, f"argument {position}: computed in {value.dtype}"
        np.testing.assert_allclose(
            value.reshape(-1)[indices],
            expected,
            rtol=rtol,
            atol=atol,
            err_msg=f"gradient with respect to argument {position}",
        )


def _jax_x64(enabled):
    import contextlib

    import jax

    if not enabled:
        return contextlib.nullcontext()
    if hasattr(jax, "enable_x64"):  # jax 0.8 moved it out of jax.experimental
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()
