"""Random changes of colour, drawn from an example's stateless seed; geometry stays."""

import tensorflow as tf

from kcorr.pipelines._seeds import draw
from kcorr.schema import IMAGES

_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def to_float(example):
    """Images of an example or a batch as float32 in [0, 1]; those that are float already stay."""
    out = dict(example)
    for key in IMAGES:
        if key in example and example[key].dtype == tf.uint8:
            out[key] = tf.cast(example[key], tf.float32) * (1 / 255)
    return out


def random_channel_order(example):
    """One of the six orders of RGB, the same for all images (DDFlow's only colour change)."""
    which = draw(example, 5, (), 0, len(_PERMUTATIONS), tf.int32)
    order = tf.gather(tf.constant(_PERMUTATIONS), which)
    out = dict(example)
    for key in IMAGES:
        if key in example:
            out[key] = tf.gather(example[key], order, axis=-1)
            out[key].set_shape(example[key].shape)
    return out


def random_colour(example, brightness=0.1, contrast=0.2, gamma=0.2, between=0.25):
    """Brightness, contrast and gamma of the images.

    Args:
        example: an example dict.
        brightness: largest shift, in units of [0, 1].
        contrast: largest relative change of the distance from the images' common mean.
        gamma: largest change of the logarithm of the exponent.
        between: share of the change that is drawn for each image on its own.

    Returns:
        The example with images float32, clipped to [0, 1].
    """
    common = draw(example, 6, (3,), -1.0, 1.0)
    levels = tf.range(256, dtype=tf.float32) / 255
    present = [key for key in IMAGES if key in example]
    # One mean for all: with one each, the same colour would be another in the next frame.
    mean = tf.add_n([_mean(example[key]) for key in present]) / len(present)
    out = dict(example)
    for key in present:
        own = draw(example, 7 + IMAGES.index(key), (3,), -1.0, 1.0)
        change = (1 - between) * common + between * own
        image = example[key]
        # Of bytes all 256 values once, then a look-up: five times faster than every pixel's power.
        values = levels if image.dtype == tf.uint8 else image
        values = mean + (values - mean) * (1 + contrast * change[0]) + brightness * change[1]
        values = tf.clip_by_value(values, 0.0, 1.0) ** tf.exp(gamma * change[2])
        if image.dtype == tf.uint8:
            values = tf.gather(values, tf.cast(image, tf.int32))
        out[key] = values
    return out


def _mean(image):
    mean = tf.reduce_mean(tf.cast(image, tf.float32))
    return mean / 255 if image.dtype == tf.uint8 else mean
