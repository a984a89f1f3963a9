"""Training views of one picture: random affine and thin-plate warps, so the flow is known.

`WARPS` holds the published settings: `published_pair(example, "smallnet")`. Changes of colour come
after the warp (`random_appearance`), and so do mirror images of a pair (`mirror_second`).
"""

import functools
import math

import tensorflow as tf

from kcorr import schema
from kcorr.ops import backward_warp, invert_points, pixel_grid, sample_points, tps_grid
from kcorr.pipelines._seeds import draw, draw_normal
from kcorr.pipelines.colour import to_float
from kcorr.pipelines.geometry import resize_example

_SIDE = 10  # control points along each axis

# DVE's training warps (released code); those of the earlier papers are the same as far as is known.
_TRAINING = {
    "deformation": 0.001,
    "strong_deformation": 0.01,
    "translation": 0.1,
    "scale": 0.1,
    "rotation": 5.0,
    "first_share": 0.5,
    "first_affine_share": 1.0,
}
# Matching is measured under half of them, alike for both warps (DVE).
_EVALUATION = {
    "deformation": 0.0005,
    "strong_deformation": 0.005,
    "translation": 0.05,
    "scale": 0.05,
    "rotation": 2.5,
    "first_share": 1.0,
    "first_affine_share": 1.0,
}
# A regressor's single views (DVE's WarperSingle): half of the kernel weights are 0.
_SINGLE = {
    "deformation": 0.0005,
    "strong_deformation": 0.0,
    "translation": 0.02,
    "scale": 0.02,
    "rotation": 2.0,
}
# The side of the warped square and what is cut off around it; the network sees what is left.
_SIDES = {
    "smallnet": {"side": 100, "crop": 15},  # 70x70, features 35x35
    "hourglass": {"side": 136, "crop": 20},  # 96x96, features 48x48
    "landmarks": {"side": 100, "crop": 10},  # 80x80 (ICCV 2017, from memory)
}

# {name: {kind: arguments}}; kinds are those of `published_pair` and `published_view`.
WARPS = {
    name: {
        "training": {**sides, **_TRAINING},
        "evaluation": {**sides, **_EVALUATION},
        # The strong variant of the symmetric object frames: 30 degrees, a fifth of the width.
        "hard": {**sides, **_TRAINING, "rotation": 30.0, "translation": 0.4},
        "single": {**sides, **_SINGLE},
    }
    for name, sides in _SIDES.items()
}
_PAIRS = ("training", "evaluation", "hard")


def published_pair(example, name="smallnet", kind="training", resized=True, **changes):
    """`warp_pair` of the picture at a published size, with the published deviations.

    Args:
        example: an example dict with image1, of any size.
        name: of `WARPS`: "smallnet" (a view is 70x70), "hourglass" (96x96), "landmarks" (80x80).
        kind: "training"; "evaluation": half the deviations, the same for both warps; "hard":
            30 degrees and a fifth of the width.
        resized: whether the picture first becomes a square of the published side, points too; else
            give a `crop` that goes with its size.
        **changes: arguments of `warp_pair` that replace the published ones.

    Returns:
        As `warp_pair`.

    Raises:
        ValueError: an unknown name or kind.

    Source: Thewlis et al., ICCV 2019 (DVE, released code); "hard": Thewlis et al., NeurIPS 2018.
    """
    example, options = _published(example, name, kind, _PAIRS, resized)
    return warp_pair(example, **{**options, **changes})


def published_view(example, name="smallnet", kind="single", resized=True, **changes):
    """`warp_view` of the picture at a published size, with the published deviations.

    Args:
        example: an example dict with image1, of any size.
        name: of `WARPS`.
        kind: "single", a regressor's; or that of a pair, whose second warp it then is.
        resized: see `published_pair`.
        **changes: arguments of `warp_view` that replace the published ones.

    Returns:
        As `warp_view`.

    Raises:
        ValueError: an unknown name or kind.

    Source: Thewlis et al., ICCV 2019 (DVE, released code).
    """
    example, options = _published(example, name, kind, ("single", *_PAIRS), resized)
    options = {key: value for key, value in options.items() if not key.startswith("first_")}
    return warp_view(example, **{**options, **changes})


def _published(example, name, kind, kinds, resized):
    """The example, at a preset's size if `resized`, and the preset's other arguments."""
    if name not in WARPS or kind not in kinds:
        raise ValueError(
            f"no published warp {name!r} of kind {kind!r}; known are {', '.join(WARPS)}, each "
            f"{' or '.join(kinds)}"
        )
    options = dict(WARPS[name][kind])
    side = options.pop("side")
    return resize_example(example, (side, side)) if resized else example, options


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
    first_affine_share=1.0,
    point_method="newton",
):
    """Two views of `image1`, with the exact map between them.

    The picture I is warped twice: image2 = I o g1 and image1 = image2 o g2, so that pixel p of
    image1 came from `grid(p) = g2(p)` in image2. The warp g1 is there because pictures are mostly
    centred and upright, and image2 would always be, too. Both are affine maps plus the thin-plate
    kernels of 10 x 10 control points whose weights are drawn directly (`kcorr.ops.tps_grid`).

    Args:
        example: an example dict; its image1, its points1 and visible if it has them, and its seed
            are used. A static size makes it several times faster (`random_crop` or
            `resize_example` before it).
        crop: pixels cut off on each side after warping, which removes most of the border.
        deformation: deviation of the kernel weights.
        strong_deformation: deviation of a random half of them, drawn instead.
        translation: deviation, in units of half a side.
        scale: deviation of the scale from 1.
        rotation: deviation, in degrees.
        first_share: the deformations of g1 relative to those of g2.
        border: what lies outside the picture, see `kcorr.ops.backward_warp`.
        first_affine_share: the affine deviations of g1 relative to those of g2.
        point_method: how points are carried along, see `kcorr.ops.invert_points`: "newton" is
            exact, "nearest" the authors' whole pixels, for numbers reported with them.

    Returns:
        An example with image1, image2 (float32 in [0, 1], [h - 2 crop, w - 2 crop, 3]), grid,
        flow (= grid - pixel_grid, pixels), valid (1 = shows the picture in both views, and its
        match lies in image2), and the seed; of a picture with points1 also points1, points2 (where
        those points lie in the views) and visible (1 = was visible, and lies in both views).

    Raises:
        ValueError: nothing is left after the crop, or an unknown `point_method`.

    Source: Thewlis et al., ICCV 2017 and 2019 (DVE, released code, whose defaults these are; DVE
    warps 100 x 100 and crops 15).
    """
    image = _picture(example, crop)
    height, width = _size(image)
    bends, moves = (deformation, strong_deformation), (translation, scale, rotation)
    weaker = [
        *(first_share * bend for bend in bends),
        *(first_affine_share * move for move in moves),
    ]
    coefficients = [
        _coefficients(example, 20, *weaker),
        _coefficients(example, 30, *bends, *moves),
    ]
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
    out = {
        schema.IMAGE1: image1[..., :3],
        schema.IMAGE2: image2[0, rows, columns, :3],
        schema.GRID: grid,
        schema.FLOW: grid - pixel_grid(*_size(grid)),
        schema.VALID: inside_view(grid, _size(grid)) * tf.cast(image1[..., 3:] > 0.999, tf.float32),
        **_unmoved(example),
    }
    if schema.POINTS1 in example:
        # The points' places before the crop: what leaves the view is still known then.
        points2, seen2 = _carried(first, example[schema.POINTS1], crop, point_method)
        points1, seen1 = _carried(second, points2 + float(crop), crop, point_method)
        out |= {
            schema.POINTS1: points1,
            schema.POINTS2: points2,
            schema.VISIBLE: example.get(schema.VISIBLE, 1.0) * seen1 * seen2,
        }
    return out


def warp_view(
    example,
    crop=15,
    deformation=0.0005,
    strong_deformation=0.0,
    translation=0.02,
    scale=0.02,
    rotation=2.0,
    border="edge",
    point_method="newton",
):
    """One warped view of `image1` with its points: how a regressor's few pictures become many.

    Args:
        example: an example dict with image1, and points1 and visible if it has them.
        crop: pixels cut off on each side after warping.
        deformation, strong_deformation, translation, scale, rotation: deviations, see `warp_pair`.
        border: what lies outside the picture, see `kcorr.ops.backward_warp`.
        point_method: see `warp_pair`.

    Returns:
        An example with image1 (float32 in [0, 1], [h - 2 crop, w - 2 crop, 3]), valid (1 = shows
        the picture), points1 and visible (1 = was visible, and lies in the view) if there are
        points, and the seed.

    Raises:
        ValueError: nothing is left after the crop, or an unknown `point_method`.

    Source: Thewlis et al., ICCV 2019 (DVE, released code, whose defaults these are).
    """
    image = _picture(example, crop)
    height, width = _size(image)
    drawn = _coefficients(
        example, 20, deformation, strong_deformation, translation, scale, rotation
    )
    (warp,) = tf.unstack(_warps(drawn[None], height, width))
    rows, columns = slice(crop, height - crop), slice(crop, width - crop)
    flow = (warp - pixel_grid(height, width))[None]
    warped, inside = backward_warp(image[None], flow, border)
    out = {
        schema.IMAGE1: warped[0, rows, columns],
        schema.VALID: inside[0, rows, columns],
        **_unmoved(example),
    }
    if schema.POINTS1 in example:
        points, seen = _carried(warp, example[schema.POINTS1], crop, point_method)
        out |= {schema.POINTS1: points, schema.VISIBLE: example.get(schema.VISIBLE, 1.0) * seen}
    return out


def inside_view(points, size):
    """1 where points [..., 2] lie within the centres of the border pixels of a view of `size`."""
    last = tf.cast(tf.stack([size[1], size[0]]), tf.float32) - 1
    within = tf.reduce_all((points >= 0) & (points <= last), axis=-1, keepdims=True)
    return tf.cast(within, tf.float32)


def _picture(example, crop):
    """image1 as floats, if anything of it is left after the crop."""
    image = to_float({schema.IMAGE1: example[schema.IMAGE1]})[schema.IMAGE1]
    height, width = image.shape[:2]
    if min(height or 2**30, width or 2**30) <= 2 * crop:
        raise ValueError(f"nothing of a {height}x{width} picture is left after cropping {crop}")
    return image


def _unmoved(example):
    """What has no place in the picture: the seed, and what a person is called."""
    kept = {schema.IDENTITY} | (set(example) - set(schema.FIELDS))
    return {key: value for key, value in example.items() if key in kept}


def _carried(warp, points, crop, method):
    """Points [n, 2] of a picture in its cropped view, and whether they lie in it [n, 1]."""
    places, found = invert_points(warp[None], points[None], method)
    places = places[0] - float(crop)
    height, width = _size(warp)
    seen = inside_view(places, (height - 2 * crop, width - 2 * crop))
    return places, found[0] * seen


def _coefficients(example, salt, deformation, strong, translation, scale, rotation):
    """Kernel weights and affine part of one random warp, [103, 2]."""
    weights = _weights(example, salt, deformation, strong)
    affine = _affine(example, salt + 5, translation, scale, rotation)
    return tf.concat([weights, affine], axis=0)


def _weights(example, salt, deviation, strong):
    """Kernel weights [100, 2]: of N(0, deviation), half of the numbers of N(0, strong)."""
    shape = (_SIDE * _SIDE, 2)
    chosen = draw(example, salt, shape) < 0.5
    normal = draw_normal(example, salt + 1, shape)
    return normal * tf.where(chosen, float(strong), float(deviation))


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
