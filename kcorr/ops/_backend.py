"""The few things that keras.ops does badly or not at all: a TensorFlow branch and a plain one.

This is the only file under ops, layers, losses, metrics and models that may import TensorFlow. The
plain branch is written in keras.ops (or in the backend's own scatter), so that everything above
runs under `KERAS_BACKEND=jax` too.
"""

import keras
from keras import ops

TENSORFLOW = keras.backend.backend() == "tensorflow"
if TENSORFLOW:
    import tensorflow as tf
elif keras.backend.backend() == "jax":
    import jax
else:
    raise ImportError(
        f"kcorr runs on the Keras backends 'tensorflow' and 'jax', not on "
        f"{keras.backend.backend()!r}: set the environment variable KERAS_BACKEND"
    )


def resize_bilinear(image, size, align_corners):
    """Bilinear resize of `image` [b, h, w, c] to `size` (rows, columns), dynamic sizes allowed.

    TensorFlow's own kernel is used for float32, because it is several times faster than gathers and
    has a gradient and an XLA kernel; it returns float32 only, so other types take the plain way.
    (`keras.ops.image.resize` refuses dynamic sizes in Keras 3.14.1 to 3.15.1.)
    """
    if TENSORFLOW and image.dtype == "float32":
        return tf.raw_ops.ResizeBilinear(
            images=image,
            size=tf.cast(tf.stack(list(size)), tf.int32),
            align_corners=align_corners,
            half_pixel_centers=not align_corners,
        )
    for axis in (1, 2):
        image = _lerp_axis(image, axis, size[axis - 1], align_corners)
    return image


def source_positions(old, new, align_corners):
    """Positions on an axis of `old` pixels that the `new` pixels sample: float32 [new]."""
    index = ops.arange(new, dtype="float32")
    old, new = ops.cast(old, "float32"), ops.cast(new, "float32")
    if align_corners:
        return index * ((old - 1) / ops.maximum(new - 1, 1.0))
    return (index + 0.5) * (old / new) - 0.5


def _lerp_axis(image, axis, new, align_corners):
    old = ops.shape(image)[axis]
    position = source_positions(old, new, align_corners)
    position = ops.clip(position, 0.0, ops.cast(old - 1, "float32"))
    low = ops.cast(ops.floor(position), "int32")
    weight = ops.cast(position - ops.floor(position), image.dtype)
    weight = ops.reshape(weight, [-1] + [1] * (3 - axis))
    first = ops.take(image, low, axis=axis)
    second = ops.take(image, ops.minimum(low + 1, old - 1), axis=axis)
    return first + (second - first) * weight


def scatter_add(indices, updates, size):
    """Sums `updates` [n, c] into the rows `indices` [n] (int32) of a zero tensor [size, c]."""
    if TENSORFLOW:
        # unsorted_segment_sum runs in parallel on the CPU and has an XLA kernel; scatter_nd is
        # single-threaded there.
        return tf.math.unsorted_segment_sum(updates, indices, size)
    return jax.ops.segment_sum(updates, indices, num_segments=size)


def custom_gradient(function):
    """`function(*tensors) -> (output, pullback)` with `pullback(upstream) -> gradients`.

    The same contract on both backends; `keras.ops.custom_gradient` differs between them in how it
    passes the upstream gradient.
    """
    if TENSORFLOW:
        return tf.custom_gradient(function)
    return jax.custom_gradient(function)
