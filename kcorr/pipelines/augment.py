"""Random changes of one example, drawn from its stateless seed.

Geometry is changed for every key at once, flows with their signs; photometry touches images only.
Each function takes and returns an example dict of `kcorr.pipelines.examples`.
"""

import tensorflow as tf

from kcorr import schema
from kcorr.pipelines.records import SEED

IMAGES = (schema.IMAGE0, schema.IMAGE1, schema.IMAGE2)
FLOWS = (schema.FLOW, schema.FLOW_BACKWARD)
_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def _draw(example, salt, shape=(), low=0.0, high=1.0, dtype=tf.float32):
    seed = tf.random.experimental.stateless_fold_in(example[SEED], salt)
    return tf.random.stateless_uniform(shape, seed, low, high, dtype)


def _maps(example):
    """The keys that are pictures or pixel maps."""
    return [key for key in example if key != SEED and key in schema.FIELDS]


def random_crop(example, size):
    """Cuts one window of `size` (height, width) out of every key.

    Raises:
        InvalidArgumentError: (when it runs) the picture is smaller than `size`.
    """
    height, width = size
    shape = tf.shape(example[schema.IMAGE1])
    tf.debugging.assert_greater_equal(
        shape[:2], [height, width], f"the pictures are smaller than the crop {height}x{width}"
    )
    top = _draw(example, 1, (), 0, shape[0] - height + 1, tf.int32)
    left = _draw(example, 2, (), 0, shape[1] - width + 1, tf.int32)
    out = dict(example)
    for key in _maps(example):
        out[key] = example[key][top : top + height, left : left + width]
        out[key].set_shape([height, width, example[key].shape[-1]])
    return out


def random_flips(example, left_right=0.5, up_down=0.5):
    """Mirrors every key, each direction with its own probability; flows change sign."""
    out = dict(example)
    for salt, axis, probability in ((3, 1, left_right), (4, 0, up_down)):
        flip = _draw(example, salt) < probability
        sign = [-1.0, 1.0] if axis == 1 else [1.0, -1.0]
        for key in _maps(example):
            flipped = tf.reverse(out[key], [axis])
            if key in FLOWS:
                flipped = flipped * tf.constant(sign)
            flipped.set_shape(out[key].shape)
            out[key] = tf.where(flip, flipped, out[key])
    return out


def random_channel_order(example):
    """One of the six orders of RGB, the same for all images (DDFlow's only colour change)."""
    which = _draw(example, 5, (), 0, len(_PERMUTATIONS), tf.int32)
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
        contrast: largest relative change of the distance from the mean.
        gamma: largest change of the logarithm of the exponent.
        between: share of the change that is drawn for each image on its own.

    Returns:
        The example with images clipped to [0, 1].
    """
    common = _draw(example, 6, (3,), -1.0, 1.0)
    out = dict(example)
    for number, key in enumerate(IMAGES):
        if key not in example:
            continue
        own = _draw(example, 7 + number, (3,), -1.0, 1.0)
        change = (1 - between) * common + between * own
        image = example[key]
        mean = tf.reduce_mean(image, axis=(0, 1), keepdims=True)
        image = mean + (image - mean) * (1 + contrast * change[0]) + brightness * change[1]
        image = tf.clip_by_value(image, 1e-4, 1.0) ** tf.exp(gamma * change[2])
        out[key] = image
    return out
