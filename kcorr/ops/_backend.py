"""The few things that keras.ops does badly or not at all: a TensorFlow branch and a plain one.

This is the only file under ops, layers, losses, metrics and models that may import TensorFlow. The
plain branch is written in keras.ops (or in the backend's own scatter), so that everything above
runs under `KERAS_BACKEND=jax` too.
"""

import contextlib
import contextvars
import math

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
_forward = contextvars.ContextVar("forward_only", default=False)


def resize_bilinear(image, size, align_corners):
    """Bilinear resize of `image` [b, h, w, c] to `size` (rows, columns), dynamic sizes allowed.

    TensorFlow's own kernel is used for float32 where it is right, because it is several times
    faster than gathers and has a gradient. With half-pixel centres XLA's version of it (2.21) takes
    a wrong pixel where a position is an integer but for rounding (5 to 9 pixels, the fifth), so it
    is only used for sizes whose ratio has no rounding. The kernel returns float32 only; other types
    take the plain way. (`keras.ops.image.resize` refuses dynamic sizes in Keras 3.14.1 to 3.15.1.)
    """
    exact = align_corners or all(map(_exact_ratio, image.shape[1:3], size))
    if TENSORFLOW and image.dtype == "float32" and exact:
        return tf.raw_ops.ResizeBilinear(
            images=image,
            size=tf.cast(tf.stack(list(size)), tf.int32),
            align_corners=align_corners,
            half_pixel_centers=not align_corners,
        )
    for axis in (1, 2):
        image = _lerp_axis(image, axis, size[axis - 1], align_corners)
    return image


def _exact_ratio(old, new):
    """Whether both sizes are known and old / new has a power of two as its denominator."""
    if not (isinstance(old, int) and isinstance(new, int)):
        return False
    denominator = new // math.gcd(old, new)
    return denominator & (denominator - 1) == 0


def source_positions(old, new, align_corners):
    """Positions on an axis of `old` pixels that the `new` pixels sample: float32 [new]."""
    index = ops.arange(new, dtype="float32")
    old, new = ops.cast(old, "float32"), ops.cast(new, "float32")
    if align_corners:
        return index * ((old - 1) / ops.maximum(new - 1, 1.0))
    return (index + 0.5) * (old / new) - 0.5


def _lerp_axis(image, axis, new, align_corners):
    # Integers: XLA may evaluate one float expression twice with different roundings, once for the
    # pixel and once for its weight, which must not disagree on what lies below the position.
    old = ops.shape(image)[axis]
    if TENSORFLOW:  # elsewhere sizes are known, and must stay numbers to be so under jax.jit
        old, new = ops.cast(old, "int32"), ops.cast(new, "int32")
    index = ops.arange(new, dtype="int32")
    if align_corners:
        place, unit = index * (old - 1), ops.maximum(new - 1, 1)
    else:
        place, unit = (2 * index + 1) * old - new, 2 * new
    low = ops.clip(place // unit, 0, old - 1)
    weight = ops.cast(place - low * unit, image.dtype) / ops.cast(unit, image.dtype)
    weight = ops.reshape(ops.clip(weight, 0, 1), [-1] + [1] * (3 - axis))
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


def segment_max(values, indices, size):
    """The largest of `values` [n] of each index [n] (int32): [size], the least number for none."""
    if TENSORFLOW:
        return tf.math.unsorted_segment_max(values, indices, size)
    return jax.ops.segment_max(values, indices, num_segments=size)


def take_rows(table, index):
    """Rows of `table` [n, c] at `index` [...] (int32, 0 <= index < n) -> [..., c].

    `keras.ops.take` looks for negative indices first, which is several passes over them.
    """
    return tf.gather(table, index) if TENSORFLOW else ops.take(table, index, axis=0)


def gather_in_rows(table, index):
    """Picks numbers from each row: `table` [n, m] at `index` [n, k] (int32) -> [n, k].

    Counted within a row, an index fits 32 bits where a table of several gigabytes as a whole does
    not; `keras.ops.take_along_axis` is five times slower under TensorFlow.
    """
    if TENSORFLOW:
        return tf.gather(table, index, batch_dims=1)
    return ops.take_along_axis(table, index, axis=1)


def matmul(first, second, transpose_first=False, transpose_second=False):
    """Batched matrix product; a transposition is left to the kernel instead of being copied."""
    if TENSORFLOW:
        return tf.matmul(first, second, transpose_a=transpose_first, transpose_b=transpose_second)
    first = ops.swapaxes(first, -1, -2) if transpose_first else first
    second = ops.swapaxes(second, -1, -2) if transpose_second else second
    return ops.matmul(first, second)


def custom_gradient(function):
    """`function(*tensors) -> (output, pullback)` with `pullback(upstream) -> gradients`.

    The same contract on both backends; `keras.ops.custom_gradient` differs between them in how it
    passes the upstream gradient.
    """
    if not TENSORFLOW:
        return jax.custom_gradient(function)
    if _forward.get():
        return lambda *tensors: function(*tensors)[0]
    return tf.custom_gradient(function)


@contextlib.contextmanager
def forward_only():
    """For graphs that nobody trains: in this block `custom_gradient` leaves pullbacks out.

    A SavedModel would hold all of them, though nothing there asks for one, and losses that make
    their gradients with their values would do so for nothing (`forward_is_all`).
    """
    token = _forward.set(True)
    try:
        yield
    finally:
        _forward.reset(token)


def forward_is_all():
    """Whether the function that `custom_gradient` wraps is asked for its value alone."""
    return TENSORFLOW and _forward.get()


def scan(step, carry, rows, shapes):
    """`carry, outputs = step(carry, row)` for each row of the tensors `rows`, one after the other.

    Like `jax.lax.scan`, which `keras.ops.scan` is not under TensorFlow (3.15: what it stacks must
    have the shape of what it carries).

    Args:
        step: takes the carry and a list of one row of each tensor, returns the next carry and a
            list of outputs. It is never differentiated.
        carry: a tensor, or () for none.
        rows: tensors [k, ...] of one dtype.
        shapes: of the outputs of one step, in integers or scalar tensors.

    Returns:
        The last carry and a list of the outputs [k, ...].
    """
    if not TENSORFLOW:
        return jax.lax.scan(step, carry, rows)
    count = rows[0].shape[0]
    count = tf.shape(rows[0])[0] if count is None else count
    known = [[side if isinstance(side, int) else None for side in shape] for shape in shapes]
    stacks = [tf.TensorArray(rows[0].dtype, count, element_shape=shape) for shape in known]

    def body(index, carry, stacks):
        carry, outputs = step(carry, [row[index] for row in rows])
        pairs = zip(stacks, outputs, strict=True)
        return index + 1, carry, [stack.write(index, output) for stack, output in pairs]

    # One at a time: two steps at once would be twice the memory.
    _, carry, stacks = tf.while_loop(
        lambda index, *_: index < count, body, (0, carry, stacks), parallel_iterations=1
    )
    return carry, [stack.stack() for stack in stacks]


def each_example(function, tensors, shapes):
    """`function(*rows)` of each example of the tensors [b, ...], its outputs stacked to [b, ...].

    Under TensorFlow one example after the other, elsewhere all at once.

    Args:
        function: takes tensors without their batch axis, returns a list. Never differentiated.
        tensors: of one dtype.
        shapes: of the outputs for one example, see `scan`.
    """
    if not TENSORFLOW:
        return jax.vmap(function)(*tensors)
    return scan(lambda _, row: ((), function(*row)), (), tensors, shapes)[1]
