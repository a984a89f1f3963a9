"""Affine changes of frames, and what they make of images, masks and flows.

An affine map is a matrix M [2, 3] from pixels of the old frame to pixels of the new one, (x, y):
`p -> M[:, :2] p + M[:, 2]`. A crop with the top left pixel c is [I | -c], the mirror image of a
frame of width w is [[-1, 0, w - 1], [0, 1, 0]].
"""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops.grid import geometry_dtype, pixel_grid
from kcorr.ops.sample import sample_points

METHODS = ("bilinear", "nearest")


def transform_points(affine, points):
    """Where an affine map takes points.

    Args:
        affine: [b, 2, 3].
        points: [b, n, 2] pixels, (x, y).

    Returns:
        [b, n, 2] pixels, float32 (float64 if an argument is).

    Raises:
        ValueError: the shapes do not fit.
    """
    affine, points = _floats(affine, points)
    check_shapes("transform_points", affine=(affine, "b 2 3"), points=(points, "b n 2"))
    # Not a matrix product: GPUs round its factors to ten bits, half a pixel in a thousand.
    x, y = points[..., 0:1], points[..., 1:2]
    across, down, shift = (ops.expand_dims(affine[..., i], 1) for i in range(3))
    return across * x + down * y + shift


def compose_affine(second, first):
    """The map that does `first` and then `second`: p -> second(first(p)).

    Args:
        second, first: [b, 2, 3].

    Returns:
        [b, 2, 3].

    Raises:
        ValueError: the shapes do not fit.
    """
    second, first = _floats(second, first)
    check_shapes("compose_affine", second=(second, "b 2 3"), first=(first, "b 2 3"))
    # The columns of `first` are two directions and a point: only the point is shifted.
    shift = ops.expand_dims(second[..., 2], 1)
    linear = ops.concatenate([second[..., :2], ops.zeros_like(second[..., 2:])], axis=-1)
    columns = transform_points(linear, ops.transpose(first, (0, 2, 1)))
    columns = ops.concatenate([columns[:, :2], columns[:, 2:] + shift], axis=1)
    return ops.transpose(columns, (0, 2, 1))


def invert_affine(affine):
    """The map back. Infinite or NaN for a map that has none, whose transforms are then invalid.

    Args:
        affine: [b, 2, 3].

    Returns:
        [b, 2, 3].

    Raises:
        ValueError: the shape does not fit.
    """
    (affine,) = _floats(affine)
    check_shapes("invert_affine", affine=(affine, "b 2 3"))
    a, b, c, d = affine[:, 0, 0], affine[:, 0, 1], affine[:, 1, 0], affine[:, 1, 1]
    determinant = a * d - b * c
    linear = ops.stack([ops.stack([d, -b], -1), ops.stack([-c, a], -1)], 1)
    linear = linear / ops.reshape(determinant, [-1, 1, 1])
    x, y = affine[:, 0:1, 2], affine[:, 1:2, 2]
    shift = -(linear[..., 0] * x + linear[..., 1] * y)
    return ops.concatenate([linear, ops.expand_dims(shift, -1)], axis=-1)


def transform_image(image, affine, size, border="zero", method="bilinear"):
    """The frame as it looks after an affine map: new(A p) = old(p).

    Args:
        image: [b, h, w, c], floating point.
        affine: [b, 2, 3], A, old pixels to new pixels.
        size: (height, width) of the new frame, integers or scalar tensors.
        border: what lies outside the old frame, see `kcorr.ops.backward_warp`.
        method: "bilinear", or "nearest" for labels.

    Returns:
        image: [b, height, width, c], dtype of the image.
        inside: [b, height, width, 1], dtype of the image, 1 where the old frame shows.

    Raises:
        ValueError: `method` or `border` is unknown, or the shapes do not fit.
    """
    image = ops.convert_to_tensor(image)
    _check_method(method)
    check_shapes("transform_image", image=(image, "b h w c"), affine=(affine, "b 2 3"))
    points, _ = _sources(affine, size, method)
    values, inside = sample_points(image, points, border)
    shape = [ops.shape(image)[0], *size]
    channels = image.shape[-1] or ops.shape(image)[-1]
    return ops.reshape(values, [*shape, channels]), ops.reshape(inside, [*shape, 1])


def transform_flow(flow, affine1, affine2, size, valid=None, method="bilinear"):
    """The flow between two frames after each has gone through an affine map of its own.

    With A1 and A2 the maps of frames 1 and 2, the new flow is exactly

        w'(A1 p) = A2(p + w(p)) - A1 p

    so for A1 = A2 its linear part times w. The backward flow is transformed with the maps swapped.

    Args:
        flow: [b, h, w, 2] pixels, (x, y), frame 1 to frame 2.
        affine1: [b, 2, 3], A1, old pixels of frame 1 to new ones.
        affine2: [b, 2, 3], A2, old pixels of frame 2 to new ones.
        size: (height, width) of the new frames, integers or scalar tensors.
        valid: [b, h, w, 1], 1 = the flow is known. None: where it is finite. Confidence is
            transformed with its flow: pass it here.
        method: how w is looked up between pixels: "bilinear", where all pixels that take part must
            be known, or "nearest", which keeps sparse ground truth and mixes no two motions.

    Returns:
        flow: [b, height, width, 2] new pixels, float32 (float64 for float64), 0 where not valid.
        valid: [b, height, width, 1], 1 where the pixel comes from inside the old frame 1 and its
            flow is known there. A target outside the new frame 2 is known, too.

    Raises:
        ValueError: `method` is unknown or the shapes do not fit.
    """
    _check_method(method)
    flow, affine1, affine2 = _floats(flow, affine1, affine2)
    check_shapes(
        "transform_flow",
        flow=(flow, "b h w 2"),
        affine1=(affine1, "b 2 3"),
        affine2=(affine2, "b 2 3"),
    )
    known = ops.all(ops.isfinite(flow), axis=-1, keepdims=True)
    if valid is not None:
        known = known & (ops.convert_to_tensor(valid) > 0.5)
    # Unknown vectors travel as zero beside a mark, so that they do not spread.
    table = ops.concatenate([ops.where(known, flow, 0.0), ops.cast(known, flow.dtype)], axis=-1)
    looked_up, points = _sources(affine1, size, method)
    values, inside = sample_points(table, looked_up)
    valid = (inside > 0) & (values[..., 2:] > 1 - 1e-4)
    # Replaced before the sum: the points of a singular map are infinite.
    ends = ops.where(valid, points + values[..., :2], 0.0)
    new = transform_points(affine2, ends) - ops.reshape(
        pixel_grid(*size, dtype=flow.dtype), [1, -1, 2]
    )
    shape = [ops.shape(flow)[0], *size]
    return (
        ops.reshape(ops.where(valid, new, 0.0), [*shape, 2]),
        ops.reshape(ops.cast(valid, flow.dtype), [*shape, 1]),
    )


def _sources(affine, size, method):
    """Old positions of the new pixels, [b, n, 2]: the ones to look up, and the exact ones."""
    inverse = invert_affine(affine)
    grid = ops.reshape(pixel_grid(*size, dtype=inverse.dtype), [1, -1, 2])
    points = transform_points(inverse, ops.repeat(grid, ops.shape(inverse)[0], axis=0))
    return (ops.floor(points + 0.5) if method == "nearest" else points), points


def _check_method(method):
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")


def _floats(*tensors):
    tensors = [ops.convert_to_tensor(tensor) for tensor in tensors]
    dtype = geometry_dtype(*tensors)
    return [ops.cast(tensor, dtype) for tensor in tensors]
