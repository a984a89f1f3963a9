"""What makes a student's task harder than its teacher's: DistillFlow's challenging transformations.

Three families: occlusion (a crop, and noise in patches of the target frame), colour, and geometry.
The teacher sees the example's images as they are. What the student sees stands beside them, with
the affine map of each image, by which the objective moves the teacher's flow and its confidence
exactly onto what the student sees (`kcorr.ops.transform_flow`).
"""

import tensorflow as tf

from kcorr import schema
from kcorr.pipelines._seeds import SEED, draw, folded
from kcorr.pipelines.hallucination import noise_at, noise_mask
from kcorr.pipelines.views import random_affines, view

# All of these are this library's or ARFlow's: the numbers of SelFlow and DistillFlow are not known.
OCCLUSION = {"shape": "superpixels", "fewest": 8, "most": 15}
COLOUR = {
    "brightness": 0.5,
    "contrast": 0.5,
    "saturation": 0.5,
    "gamma": (0.7, 1.5),
    "blur": 1.0,
    "between": 0.25,
}
_TARGET = schema.IMAGE2
_BLUR_RADIUS = 3


def challenge(example, size, occlusion=OCCLUSION, colour=None, geometry=None):
    """Adds what a student sees: a crop of every image, changed by the families that are given.

    To be the last change of an example. `challenge(example, size)` is SelFlow's hallucination:
    a crop, and superpixels of image2, the target frame of a pair and the middle one of five,
    replaced by noise; the other frames stay clean. (Which frames the authors corrupt is not known.)
    `challenge(example, size, colour=COLOUR, geometry=GEOMETRY)` is DistillFlow's student.

    Args:
        example: an example dict with images; for superpixels also `superpixels`
            (`kcorr.pipelines.with_superpixels`).
        size: (height, width) of what the student sees, at most that of the images.
        occlusion: a dict: shape ("superpixels" or "rectangles"), and the arguments of
            `superpixel_mask` or `rectangle_mask`; None for no noise.
        colour: arguments of `random_jitter`; None changes no colour.
        geometry: arguments of `random_affines`; None only crops, which then copies pixels.

    Returns:
        The example and, for each image k, `student_image<k>` float32 [h, w, 3] in [0, 1] and
        `student_affine<k>` [2, 3]; also `hallucinated` [h, w, 1], 1 = noise in `student_image2`.

    Raises:
        ValueError: an unknown shape or range, or no `superpixels` although they are wanted.
        tf.errors.InvalidArgumentError: (when it runs) an image is smaller than `size`.

    Source: Liu et al., SelFlow, CVPR 2019, and DistillFlow, TPAMI 2021; geometry and colour ranges:
    Liu et al., ARFlow, CVPR 2020, its released configuration.
    """
    affines = random_affines(example, size, **(geometry or {}))
    seen = {key: view(example, key, affine, size) for key, affine in affines.items()}
    if colour is not None:
        seen = random_jitter({**seen, SEED: folded(example[SEED], 61)}, **colour)
    mask = tf.zeros([*size, 1])
    if occlusion is not None:
        mask = noise_mask(example, affines[_TARGET], size, **occlusion)
        seen[_TARGET] = noise_at(example, seen[_TARGET], mask)
    out = dict(example)
    for key, affine in affines.items():
        out[schema.student(key)] = tf.ensure_shape(seen[key], [*size, 3])
        out[schema.student_affine(key)] = tf.ensure_shape(affine, [2, 3])
    out[schema.HALLUCINATED] = tf.ensure_shape(mask, [*size, 1])
    out.pop(schema.SUPERPIXELS, None)  # served their purpose
    return out


def random_jitter(
    example, brightness=0.0, contrast=0.0, saturation=0.0, gamma=(1.0, 1.0), blur=0.0, between=0.0
):
    """Strong changes of colour, and blur: of float images, those of DistillFlow's student.

    Args:
        example: an example dict with float32 images in [0, 1].
        brightness: largest relative change of all values.
        contrast: largest relative change of the distance from the images' common mean.
        saturation: largest relative change of the distance from a pixel's grey.
        gamma: (smallest, largest) exponent.
        blur: largest deviation of a Gaussian, in pixels; half of the examples are blurred.
        between: share of the change of brightness, contrast, saturation and gamma that is drawn for
            each image on its own.

    Returns:
        The example, clipped to [0, 1].
    """
    present = [key for key in schema.IMAGES if key in example]
    mean = tf.add_n([tf.reduce_mean(example[key]) for key in present]) / len(present)
    common = draw(example, 62, (4,), -1.0, 1.0)
    sigma = draw(example, 63, (), -blur, blur) if blur else None
    out = dict(example)
    for key in present:
        own = draw(example, 64 + schema.IMAGES.index(key), (4,), -1.0, 1.0)
        gain, spread, colours, exponent = tf.unstack((1 - between) * common + between * own)
        image = example[key] * (1 + brightness * gain)
        image = mean + (image - mean) * (1 + contrast * spread)
        grey = tf.image.rgb_to_grayscale(image)
        image = grey + (image - grey) * (1 + saturation * colours)
        low, high = gamma
        image = tf.clip_by_value(image, 0.0, 1.0) ** (low + (high - low) * (exponent + 1) / 2)
        out[key] = image if sigma is None else _blurred(image, sigma)
    return out


def _blurred(image, sigma):
    """Gaussian blur; as it is for a deviation that is not positive."""
    offsets = tf.range(-_BLUR_RADIUS, _BLUR_RADIUS + 1, dtype=tf.float32)
    weights = tf.exp(-tf.square(offsets / tf.maximum(sigma, 1e-3)) / 2)
    weights /= tf.reduce_sum(weights)
    for axis in (0, 1):
        pad = [[_BLUR_RADIUS] * 2 if axis == i else [0, 0] for i in range(3)]
        padded, length = tf.pad(image, pad, "SYMMETRIC"), image.shape[axis]
        places = range(2 * _BLUR_RADIUS + 1)
        parts = [tf.gather(padded, tf.range(i, i + length), axis=axis) for i in places]
        image = tf.add_n([part * weights[i] for i, part in zip(places, parts, strict=True)])
    return image
