"""Crops, mirrors and sizes: changes of geometry that keep every key of an example in step.

Each change here moves a pixel p to `scale * p + offset`. Pictures and maps are resampled, flows and
disparities scaled, positions (grids, points) scaled and shifted. `occlusion` keeps its meaning: a
pixel that was hidden stays marked, one that merely leaves a crop is not marked anew (that is what a
student learns from a teacher).
"""

import tensorflow as tf

from kcorr import schema
from kcorr.ops import resize
from kcorr.pipelines._seeds import draw

_FLOWS = (
    schema.FLOW,
    schema.FLOW_BACKWARD,
    schema.FLOW_PREVIOUS,
    schema.TEACHER_FLOW,
    schema.TEACHER_FLOW_BACKWARD,
)
_POSITIONS = (schema.GRID, schema.POINTS1, schema.POINTS2)
_LABELS = (schema.SUPERPIXELS, schema.OBJECTS)  # numbers that have no mean
_LAST = {schema.CROP: "with_crop_offset", schema.HALLUCINATED: "challenge"}
_SMALL = ("error", "resize")


def random_crop(example, size, small="error"):
    """Cuts one random window out of every picture and map.

    Args:
        example: an example dict with image1; pictures may have any size.
        size: (height, width) of the window.
        small: what to do with pictures smaller than the window: "error", or "resize" to enlarge
            them by the least factor that makes them fit, flows included.

    Returns:
        The example, of static size.

    Raises:
        ValueError: unknown `small`, or the example has a student's `crop` already.
        tf.errors.InvalidArgumentError: (when it runs) a picture is smaller than `size`.
    """
    if small not in _SMALL:
        raise ValueError(f"small must be one of {', '.join(_SMALL)}, got {small!r}")
    if small == "resize":
        example = _enlarged(example, size)
    shape = tf.shape(example[schema.IMAGE1])
    height, width = size
    with tf.control_dependencies(_at_least(shape, size, "the pictures are smaller than the crop")):
        top = draw(example, 1, (), 0, shape[0] - height + 1, tf.int32)
        left = draw(example, 2, (), 0, shape[1] - width + 1, tf.int32)

    def window(key, value):
        value = value[top : top + height, left : left + width]
        return tf.ensure_shape(value, [height, width, value.shape[-1]])

    return _changed(example, window, offset=-tf.cast(tf.stack([left, top]), tf.float32))


def random_flips(example, left_right=0.5, up_down=0.5):
    """Mirrors every picture and map; flows change sign.

    Args:
        example: an example dict with image1.
        left_right: probability of swapping left and right.
        up_down: probability of turning upside down, independent of the other.

    Returns:
        The example.

    Raises:
        ValueError: a disparity would become negative (left_right must be 0), or the example has a
            student's `crop` already.
    """
    if left_right and schema.DISPARITY in example:
        raise ValueError("disparities have no mirror image: pass left_right=0")
    mirrored = tf.stack([draw(example, 3) < left_right, draw(example, 4) < up_down])
    axes = tf.boolean_mask([1, 0], mirrored)
    scale = tf.where(mirrored, -1.0, 1.0)
    last = _width_height(example) - 1

    def mirror(key, value):
        return tf.ensure_shape(tf.reverse(value, axes), value.shape)

    return _changed(example, mirror, scale, tf.where(mirrored, last, 0.0))


def resize_example(example, size):
    """Resizes every picture and map to one size; flows, disparities and positions are rescaled.

    Pictures are filtered against aliasing. Unknown pixels (`valid` 0) do not leak into flow and
    disparity: those are averaged over their known neighbours, and are known where these have at
    least half of the weight.

    Args:
        example: an example dict with image1.
        size: (height, width), integers or scalar tensors.

    Returns:
        The example.

    Raises:
        ValueError: the example has a student's `crop` already.
    """
    old = _width_height(example)
    scale = tf.cast(tf.stack([size[1], size[0]]), tf.float32) / old
    valid = example.get(schema.VALID)
    static = [side if isinstance(side, int) else None for side in size]

    def resample(key, value):
        if value.dtype == tf.uint8:
            picture = tf.image.resize(value, size, antialias=True)
            new = tf.cast(tf.clip_by_value(tf.round(picture), 0, 255), tf.uint8)
        elif key in schema.IMAGES:
            new = tf.image.resize(value, size, antialias=True)
        elif key in (schema.FLOW, schema.DISPARITY) and valid is not None:
            weight = _resized(valid, size)
            new = _resized(value * valid, size) / tf.maximum(weight, 0.5)
            new = tf.where(weight >= 0.5, new, 0.0)
        elif key in _LABELS:
            new = resize(value[None], size, "nearest")[0]
        elif value.shape[-1] == 1 and key != schema.DISPARITY:
            new = tf.cast(_resized(value, size) >= 0.5, tf.float32)
        else:
            new = _resized(value, size)
        return tf.ensure_shape(new, [*static, value.shape[-1]])

    # Pixels are squares: their centres p + 1/2 are what is scaled.
    return _changed(example, resample, scale, (scale - 1) / 2)


def with_crop_offset(example, size, authors=False):
    """Adds a random student's crop, to be the last change of geometry.

    The objective cuts it out of pictures and teacher's flow (`kcorr.objectives.DistilledFlow`),
    since a live teacher must see the whole pictures.

    Args:
        example: an example dict with image1.
        size: (height, width) of the student's crop.
        authors: leave out the last row and column of positions, as the authors' exclusive upper
            bound does.

    Returns:
        The example, with `crop` float32 [2], the (x, y) of the crop's top left pixel.

    Raises:
        tf.errors.InvalidArgumentError: (when it runs) a picture is smaller than the crop.

    Source: Liu et al., DDFlow, AAAI 2019, and its released code (one offset a batch there).
    """
    shape = tf.shape(example[schema.IMAGE1])
    return {**example, schema.CROP: crop_offset(example, shape, size, authors)}


def crop_offset(example, shape, size, authors):
    """A random (x, y), float32 [2], of a window of `size` in pictures of `shape` (rows first)."""
    with tf.control_dependencies(_at_least(shape, size, "the pictures are smaller than the crop")):
        places = shape[:2] - tf.constant(size) + (0 if authors else 1)
    # A crop as large as the picture has one place for the authors, too.
    row_column = draw(example, 13, (2,)) * tf.cast(tf.maximum(places, 1), tf.float32)
    # Rounding in float32 may reach the number of places itself.
    row_column = tf.minimum(tf.floor(row_column), tf.cast(tf.maximum(places, 1) - 1, tf.float32))
    return tf.reverse(row_column, [0])


def _width_height(example):
    shape = tf.shape(example[schema.IMAGE1])
    return tf.cast(tf.stack([shape[1], shape[0]]), tf.float32)


def _resized(value, size):
    return resize(value[None], size)[0]


def _enlarged(example, size):
    """The example, enlarged if it is smaller than `size` (height, width)."""
    shape = tf.shape(example[schema.IMAGE1])[:2]
    factor = tf.reduce_max(tf.constant(size, tf.float64) / tf.cast(shape, tf.float64))
    larger = tf.cast(tf.math.ceil(tf.cast(shape, tf.float64) * factor - 1e-6), tf.int32)

    def enlarge():
        return resize_example(example, (larger[0], larger[1]))

    return tf.cond(factor > 1, enlarge, lambda: dict(example))


def _at_least(shape, size, message):
    return [
        tf.debugging.Assert(
            tf.reduce_all(shape[:2] >= tf.constant(size)),
            [f"{message} {size[0]}x{size[1]} (rows x columns): they are", shape[0], shape[1]],
        )
    ]


def _changed(example, resample, scale=None, offset=0.0):
    """The example after p -> scale * p + offset; `resample(key, map)` moves the pixels."""
    for key, made_by in _LAST.items():
        if key in example:
            raise ValueError(f"{made_by} must come after every change of geometry")
    out = dict(example)
    for key, value in example.items():
        if key not in schema.FIELDS:
            continue
        if schema.FIELDS[key].shape.startswith("b h w"):
            value = resample(key, value)
        if scale is not None and key in _FLOWS:
            value = value * scale
        elif scale is not None and key == schema.DISPARITY:
            value = value * scale[0]
        elif key in _POSITIONS:
            value = value * (1.0 if scale is None else scale) + offset
        out[key] = value
    return out
