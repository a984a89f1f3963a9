"""Training pairs from one picture: random affine and thin-plate warps, so the flow is known."""

import functools
import math

import tensorflow as tf

from kcorr import schema
from kcorr.ops import backward_warp, pixel_grid, sample_points, tps_grid
from kcorr.pipelines._seeds import draw, draw_normal
from kcorr.pipelines.colour import to_float

_SIDE = 10  # control points along each axis


def warp_pair(
    example,
    crop=15,
    deformation=0.001,
    strong_deformation=0.01,
    translation=0.1,
    scale=0.1,
    rotation=5.0,
    first_share=0.5,
    border="edge",
):
    """Two views of `image1`, with the exact map between them.

    The picture I is warped twice: image2 = I o g1 and image1 = image2 o g2, so that pixel p of
    image1 came from `grid(p) = g2(p)` in image2. The warp g1 is there because pictures are mostly
    centred and upright, and image2 would always be, too. Both are affine maps plus the thin-plate
    kernels of 10 x 10 control points whose weights are drawn directly (`kcorr.ops.tps_grid`).

    Args:
        example: an example dict; only its image1 and its seed are used. A static size makes it
            several times faster (`random_crop` or `resize_example` before it).
        crop: pixels cut off on each side after warping, which removes most of the border.
        deformation: deviation of the kernel weights.
        strong_deformation: deviation of a random half of them, drawn instead.
        translation: deviation, in units of half a side.
        scale: deviation of the scale from 1.
        rotation: deviation, in degrees.
        first_share: the deformations of g1 relative to those of g2.
        border: what lies outside the picture, see `kcorr.ops.backward_warp`.

    Returns:
        An example with image1, image2 (float32 in [0, 1], [h - 2 crop, w - 2 crop, 3]), grid,
        flow (= grid - pixel_grid, pixels), valid (1 = shows the picture in both views, and its
        match lies in image2), and the seed.

    Raises:
        ValueError: nothing is left after the crop.

    Source: Thewlis et al., ICCV 2017 and 2019 (DVE, released code, whose defaults these are; DVE
    warps 100 x 100 and crops 15).
    """
    image = to_float({schema.IMAGE1: example[schema.IMAGE1]})[schema.IMAGE1]
    height, width = image.shape[:2]
    if min(height or 2**30, width or 2**30) <= 2 * crop:
        raise ValueError(f"nothing of a {height}x{width} picture is left after cropping {crop}")
    height, width = _size(image)
    coefficients = []
    for salt, share in ((20, first_share), (30, 1.0)):
        weights = _weights(example, salt, deformation * share, strong_deformation * share)
        affine = _affine(example, salt + 5, translation, scale, rotation)
        coefficients.append(tf.concat([weights, affine], axis=0))
    first, second = tf.unstack(_warps(tf.stack(coefficients), height, width))

    # Where image2 shows the picture and not what lies around it, as a fourth channel: it tells of
    # every pixel of image1 whether what it took from there is real.
    image2, inside = backward_warp(image[None], (first - pixel_grid(height, width))[None], border)
    image2 = tf.concat([image2, inside], axis=-1)
    rows, columns = slice(crop, height - crop), slice(crop, width - crop)
    places = second[rows, columns]
    image1, _ = sample_points(image2, tf.reshape(places, [1, -1, 2]), border)
    image1 = tf.reshape(image1, [*_size(places), 4])
    grid = places - float(crop)
    last = tf.cast(tf.stack([width, height]) - 2 * crop - 1, tf.float32)
    matched = tf.reduce_all((grid >= 0) & (grid <= last), axis=-1, keepdims=True)
    return {
        schema.IMAGE1: image1[..., :3],
        schema.IMAGE2: image2[0, rows, columns, :3],
        schema.GRID: grid,
        schema.FLOW: grid - pixel_grid(*_size(grid)),
        schema.VALID: tf.cast(matched & (image1[..., 3:] > 0.999), tf.float32),
        **{key: example[key] for key in example if key not in schema.FIELDS},
    }


def _weights(example, salt, deviation, strong):
    """Kernel weights [100, 2]: of N(0, deviation), half of the numbers of N(0, strong)."""
    shape = (_SIDE * _SIDE, 2)
    chosen = draw(example, salt, shape) < 0.5
    normal = draw_normal(example, salt + 1, shape)
    return normal * tf.where(chosen, strong, deviation)


def _affine(example, salt, translation, scale, rotation):
    """Affine part [3, 2], rows for (1, x, y)."""
    turn, size, x, y = tf.unstack(draw_normal(example, salt, (4,)))
    turn, size = turn * (rotation * math.pi / 180), 1 + size * scale
    cosine, sine = size * tf.cos(turn), size * tf.sin(turn)
    return tf.stack([[x * translation, y * translation], [cosine, -sine], [sine, cosine]])


def _warps(coefficients, height, width):
    """Grids [n, h, w, 2] of coefficients [n, 103, 2]."""
    if not (isinstance(height, int) and isinstance(width, int)):
        return tps_grid(coefficients[:, :-3], coefficients[:, -3:], height, width)
    # The grid is linear in the coefficients, so of a size that does not change only the grids of
    # unit coefficients are needed, once: a matrix product instead of five million logarithms.
    basis = tf.matmul(_basis(height, width), tf.concat(tf.unstack(coefficients), axis=-1))
    half = tf.constant([width - 1, height - 1], tf.float32) / 2
    grids = (tf.reshape(basis, [height, width, -1, 2]) + 1) * half
    return tf.transpose(grids, [2, 0, 1, 3])


@functools.lru_cache(maxsize=4)
def _basis(height, width):
    """Values of the 103 basis functions at every pixel, float32 [h * w, 103], in [-1, 1]."""
    with tf.init_scope():
        unit = tf.eye(_SIDE * _SIDE + 3)
        columns = []
        for each in tf.split(unit, _SIDE * _SIDE + 3):
            each = tf.transpose(each)[None] * [1.0, 0.0]
            grid = tps_grid(each[:, :-3], each[:, -3:], height, width)
            columns.append(tf.reshape(grid[..., 0] * (2 / max(width - 1, 1)) - 1, [-1]))
        return tf.stack(columns, axis=-1)


def _size(array):
    """(height, width), integers where they are known."""
    shape = tf.shape(array)
    return tuple(array.shape[axis] or shape[axis] for axis in (0, 1))
