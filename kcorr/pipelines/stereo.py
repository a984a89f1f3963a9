"""Stereo sets of four pictures: mirrors that keep left on the left, and a student's harder task."""

import tensorflow as tf

from kcorr import schema
from kcorr.pipelines._seeds import SEED, draw, folded
from kcorr.pipelines.geometry import random_flips
from kcorr.pipelines.hallucination import noise_at, noise_mask
from kcorr.pipelines.views import view

FOUR = (schema.IMAGE1, schema.IMAGE2, schema.IMAGE3, schema.IMAGE4)
_SWAPPED = dict(zip(FOUR, (FOUR[1], FOUR[0], FOUR[3], FOUR[2]), strict=True))


def mirror_stereo(example, left_right=0.5, up_down=0.5):
    """Mirrors four pictures; with left and right, the cameras change places, too.

    In a mirror the left camera stands on the right: were the pictures mirrored alone, disparities
    would be negative.

    Args:
        example: an example dict with image1 (left, t), image2 (right, t), image3 and image4 (both
            at t + 1), and no other map than `superpixels`.
        left_right: probability of swapping left and right.
        up_down: probability of turning upside down, independent of the other.

    Returns:
        The example.

    Raises:
        ValueError: the example lacks one of the pictures, or holds another map.
    """
    _check(example)
    turned = random_flips(example, left_right=0.0, up_down=up_down)
    others = [schema.SUPERPIXELS] if schema.SUPERPIXELS in example else []
    mirrored = random_flips({key: turned[key] for key in (*FOUR, *others, SEED)}, 1.0, 0.0)
    swap = draw(example, 71) < left_right
    out = dict(turned)
    for key in (*FOUR, *others):
        out[key] = tf.where(swap, mirrored[_SWAPPED.get(key, key)], turned[key])
        out[key].set_shape(turned[key].shape)
    return out


def proxy_task(example, size, scale=(0.5, 1.0), noise=0.03, patches=(0, 4), shape="rectangles"):
    """Adds what a student of Flow2Stereo sees: a crop of every picture, made smaller, with noise.

    All four pictures are made smaller and cropped alike, so that rows still agree between left and
    right. To be the last change of an example. The ranges are this library's: the authors' are not
    known.

    Args:
        example: an example dict with image1 to image4 and, for its shape, `superpixels`
            (`kcorr.pipelines.with_superpixels`).
        size: (height, width) of what the student sees, at most that of the pictures.
        scale: (smallest, largest) factor that the pictures are made smaller by, at most 1; it is
            never so small that the picture would not fill `size`.
        noise: largest deviation of the Gaussian noise, drawn for each picture.
        patches: (fewest, most) patches of uniform noise in each picture, chosen for each anew.
        shape: of the patches, "rectangles" or "superpixels". The latter follow the outlines of one
            picture; in the other three they lie near them, as far as things have moved.

    Returns:
        The example and, for each image k, `student_image<k>` float32 [h, w, 3] in [0, 1],
        `student_affine<k>` [2, 3] and `student_noise<k>` [h, w, 1], 1 = inside a patch.

    Raises:
        ValueError: a scale above 1 or not above 0, an unknown shape, or the example lacks one of
            the pictures or the superpixels.
        tf.errors.InvalidArgumentError: (when it runs) a picture is smaller than `size`.

    Source: Liu et al., Flow2Stereo, CVPR 2020: which tasks; not how strong.
    """
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"scale must be 0 < smallest <= largest <= 1, got {scale}")
    _check(example, maps=True)
    affine = _smaller_window(example, size, scale)
    out = dict(example)
    for number, key in enumerate(FOUR):
        own = {**example, SEED: folded(example[SEED], 80 + number)}
        image = view(example, key, affine, size)
        image += draw(own, 1, (), 0.0, noise) * tf.random.stateless_normal(
            [*size, 3], folded(own[SEED], 2)
        )
        mask = noise_mask(own, affine, size, shape, fewest=patches[0], most=patches[1])
        image = noise_at(own, tf.clip_by_value(image, 0.0, 1.0), mask)
        out[schema.student(key)] = tf.ensure_shape(image, [*size, 3])
        out[schema.student_affine(key)] = affine
        out[schema.student_noise(key)] = tf.ensure_shape(mask, [*size, 1])
    out.pop(schema.SUPERPIXELS, None)  # served their purpose
    return out


def _smaller_window(example, size, scale):
    """A random map [2, 3] that makes a picture smaller and shows a window that it fills."""
    shape = tf.shape(example[schema.IMAGE1])[:2]
    wanted, have = tf.cast(tf.stack(size), tf.float32), tf.cast(shape, tf.float32)
    fits = tf.debugging.Assert(
        tf.reduce_all(have >= wanted),
        [f"the pictures are smaller than the student's {size[0]}x{size[1]}: they are", shape],
    )
    with tf.control_dependencies([fits]):
        factor = tf.maximum(draw(example, 72, (), *scale), tf.reduce_max(wanted / have))
    # Whole pixels, so that a factor of 1 copies; a hair for what rounding takes off.
    places = tf.floor(have * factor - wanted + 1e-3) + 1
    corner = tf.minimum(tf.floor(draw(example, 73, (2,)) * places), places - 1)
    # Pixels are squares: their centres p + 1/2 are what is scaled.
    offset = (factor - 1) / 2 - tf.reverse(corner, [0])
    zero = tf.zeros_like(factor)
    return tf.stack(
        [tf.stack([factor, zero, offset[0]]), tf.stack([zero, factor, offset[1]])], axis=0
    )


def _check(example, maps=False):
    missing = [key for key in FOUR if key not in example]
    if missing:
        raise ValueError(f"the example lacks {', '.join(missing)}: expected image1 to image4")
    others = sorted(set(example) & set(schema.FIELDS) - {*FOUR, schema.SUPERPIXELS})
    if others and not maps:
        raise ValueError(f"mirror_stereo cannot mirror {', '.join(others)}")
