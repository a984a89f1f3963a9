"""How pictures look, changed after every view was warped, each image for itself."""

import tensorflow as tf

from kcorr import schema
from kcorr.pipelines._seeds import SEED, draw, draw_normal, folded
from kcorr.pipelines.challenges import random_jitter
from kcorr.pipelines.colour import to_float

# Principal components of the colours of ImageNet, on [0, 1]: the eigenvalues and, in columns, the
# eigenvectors that public AlexNet-style trainings carry.
_EIGENVALUES = (0.2175, 0.0188, 0.0045)
_EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


def random_appearance(example, jpeg=True, jitter=0.4, lighting=0.1):
    """JPEG noise, colour jitter and lighting, drawn for each image on its own.

    To come after the warp: done before it, both views would share the change.

    Args:
        example: an example dict with images, uint8 or float32 in [0, 1].
        jpeg: whether to add the noise of `random_jpeg`.
        jitter: largest relative change of brightness, contrast and saturation
            (`kcorr.pipelines.random_jitter`).
        lighting: deviation, see `random_lighting`.

    Returns:
        The example, images float32 in [0, 1].

    Source: Thewlis et al., ICCV 2019 (DVE, released code, whose defaults these are). The order of
    brightness, contrast and saturation is drawn there and fixed here.
    """
    out = dict(example)
    for number, key in enumerate(schema.IMAGES):
        if key in example:
            own = {key: example[key], SEED: folded(example[SEED], 91 + number)}
            own = random_jpeg(own) if jpeg else to_float(own)
            own = random_jitter(own, brightness=jitter, contrast=jitter, saturation=jitter)
            out[key] = random_lighting(own, lighting)[key]
    return out


def random_jpeg(example, quality=(30, 98), spread=0.5, smallest=0.8):
    """Resizes each image at random, stores it as JPEG and resizes it back.

    Args:
        example: an example dict with images, uint8 or float32 in [0, 1].
        quality: (lowest, highest) JPEG quality, drawn uniformly.
        spread: deviation of the factor of the size, whose mean is 1.
        smallest: least factor of the size.

    Returns:
        The example, images float32 in [0, 1].

    Raises:
        ValueError: a quality outside 1 to 100, or a `smallest` that is not above 0.

    Source: Thewlis et al., ICCV 2019 (DVE, released code, whose defaults these are).
    """
    low, high = quality
    if not 1 <= low <= high <= 100 or not smallest > 0:
        raise ValueError(
            f"expected 1 <= lowest <= highest quality <= 100 and smallest above 0, got {quality} "
            f"and {smallest}"
        )
    out = to_float(example)
    for number, key in enumerate(schema.IMAGES):
        if key not in example:
            continue
        own = {SEED: folded(example[SEED], 101 + number)}
        factor = tf.maximum(1 + spread * draw_normal(own, 0), smallest)
        size = tf.cast(tf.shape(out[key])[:2], tf.float32)
        size = tf.cast(tf.maximum(tf.round(size * factor), 1), tf.int32)
        image = tf.clip_by_value(tf.image.resize(out[key], size), 0.0, 1.0)
        drawn = draw(own, 1, (), low, high + 1, tf.int32)
        image = tf.image.adjust_jpeg_quality(image, drawn)
        image = tf.image.resize(image, tf.shape(out[key])[:2])
        out[key] = tf.ensure_shape(tf.clip_by_value(image, 0.0, 1.0), out[key].shape)
    return out


def random_lighting(example, deviation=0.1):
    """Adds to each image a colour along the principal components of natural colours.

    Args:
        example: an example dict with images, uint8 or float32 in [0, 1].
        deviation: of the share of each component's eigenvalue.

    Returns:
        The example, images float32, clipped to [0, 1].

    Source: Krizhevsky et al., NeurIPS 2012 (AlexNet).
    """
    out = to_float(example)
    for number, key in enumerate(schema.IMAGES):
        if key in example:
            share = draw_normal(example, 111 + number, (3,)) * deviation * _EIGENVALUES
            shift = tf.linalg.matvec(tf.constant(_EIGENVECTORS), share)
            out[key] = tf.clip_by_value(out[key] + shift, 0.0, 1.0)
    return out
