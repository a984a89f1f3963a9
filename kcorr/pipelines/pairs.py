"""Pairs of views, wherever they come from: mirrored second views, and pairs of a video."""

import tensorflow as tf

from kcorr import schema
from kcorr.ops import pixel_grid, sample_points
from kcorr.pipelines._seeds import draw
from kcorr.pipelines.warps import inside_view

# What has no place in image2, or a place that is mirrored here.
_MIRRORED = {
    schema.IMAGE1,
    schema.IMAGE2,
    schema.GRID,
    schema.FLOW,
    schema.VALID,
    schema.OCCLUSION,
    schema.COORDINATES1,
    schema.COORDINATES2,
    schema.COUNTERPART,
    schema.COUNTERPART_VALID,
    schema.POINTS1,
    schema.POINTS2,
    schema.VISIBLE,
    schema.IDENTITY,
}


def mirror_second(example, probability=0.5, swap=None):
    """Mirrors image2 from left to right at random, and with it all that points into it.

    A pixel's match moves from x to w - 1 - x, exactly, also for odd widths; the features of a
    network with stride 2 mirror onto each other for even widths only.

    Args:
        example: a pair: image1, image2, grid, and flow, points2, coordinates2 and what belongs to
            image1 if it has them.
        probability: of the mirror image.
        swap: for points with a left and a right: the index of each point's counterpart, its own
            where it has none. In the mirror the left eye is where the right one was, so that
            points2 then keep the meaning of their names and not the place of points1. None keeps
            the place.

    Returns:
        The example, with `mirrored` [1], 1 where it was done. With `swap` a point is visible if
        both it and its counterpart are.

    Raises:
        ValueError: the example has no grid, or a map whose mirror image is not known; or `swap` is
            not its own inverse.

    Source: Thewlis et al., NeurIPS 2018, eq. 4.
    """
    _need(example, "mirror_second", schema.IMAGE1, schema.IMAGE2, schema.GRID)
    unknown = sorted(set(example) & set(schema.FIELDS) - _MIRRORED)
    if unknown:
        raise ValueError(f"mirror_second cannot mirror {', '.join(unknown)}")
    mirrored = draw(example, 14) < probability
    image2, grid = example[schema.IMAGE2], example[schema.GRID]
    last = tf.cast(tf.shape(image2)[1] - 1, tf.float32)

    def across(places):
        return tf.concat([last - places[..., :1], places[..., 1:]], axis=-1)

    new = {schema.IMAGE2: tf.reverse(image2, [1]), schema.GRID: across(grid)}
    if schema.COORDINATES2 in example:
        new[schema.COORDINATES2] = tf.reverse(example[schema.COORDINATES2], [1])
    if schema.FLOW in example:
        new[schema.FLOW] = example[schema.FLOW] + (new[schema.GRID] - grid)
    if schema.POINTS2 in example:
        new[schema.POINTS2] = across(example[schema.POINTS2])
        if swap is not None:
            swap = _involution(swap, example[schema.POINTS2].shape[0])
            new[schema.POINTS2] = tf.gather(new[schema.POINTS2], swap)
            if schema.VISIBLE in example:
                seen = example[schema.VISIBLE]
                new[schema.VISIBLE] = seen * tf.gather(seen, swap)
    chosen = {key: tf.where(mirrored, value, example[key]) for key, value in new.items()}
    chosen = {key: tf.ensure_shape(value, example[key].shape) for key, value in chosen.items()}
    return {**example, **chosen, schema.MIRRORED: tf.cast(mirrored, tf.float32)[None]}


def video_pair(example, still=0.001):
    """A pair of frames and their flow as a pair of views: grid = pixel + flow.

    Args:
        example: an example dict with image1, image2, flow, and valid, occlusion, points1, points2
            and visible if it has them.
        still: pixels whose flow is at most this long do not count: a static background says nothing
            about the object. The papers' are 0 (robot arm) and 0.001 (car). None counts all.

    Returns:
        The example with grid and valid (1 = known, moves, not hidden, and its match lies in
        image2). Points without points2 move with the nearest pixel's flow.

    Raises:
        ValueError: no flow, or no second image.

    Source: Thewlis et al., NeurIPS 2017.
    """
    _need(example, "video_pair", schema.IMAGE1, schema.IMAGE2, schema.FLOW)
    flow = example[schema.FLOW]
    shape = tf.shape(flow)
    size = tuple(flow.shape[axis] or shape[axis] for axis in (0, 1))
    grid = pixel_grid(*size) + flow
    valid = example.get(schema.VALID, 1.0) * inside_view(grid, size)
    if schema.OCCLUSION in example:
        valid *= 1 - example[schema.OCCLUSION]
    if still is not None:
        valid *= tf.cast(tf.norm(flow, axis=-1, keepdims=True) > still, tf.float32)
    out = {key: value for key, value in example.items() if key != schema.OCCLUSION}
    out |= {schema.GRID: grid, schema.VALID: valid}
    if schema.POINTS1 in example and schema.POINTS2 not in example:
        # The nearest pixel's: between two pixels of different objects neither one's would be left.
        points = example[schema.POINTS1]
        moved, known = sample_points(flow[None], tf.round(points)[None], "edge")
        out[schema.POINTS2] = points + moved[0]
        seen = example.get(schema.VISIBLE, 1.0) * known[0]
        out[schema.VISIBLE] = seen * inside_view(out[schema.POINTS2], size)
    return out


def _need(example, function, *keys):
    missing = [key for key in keys if key not in example]
    if missing:
        raise ValueError(f"{function} needs {', '.join(missing)}, and the example has none")


def _involution(swap, count):
    swap = list(swap)
    inverse = sorted(range(len(swap)), key=swap.__getitem__)
    if count not in (None, len(swap)) or sorted(swap) != list(range(len(swap))) or inverse != swap:
        raise ValueError(
            f"swap must name each of {count or 'the'} points' counterpart, and back, got {swap}"
        )
    return tf.constant(swap, tf.int32)
