"""Bilinear sampling: backward warping and sampling at points.

Three border modes, drawn for one row `a b c d` and positions left and right of it:

    zero     0 0 0 | a b c d | 0 0 0    corners outside count 0, half-in positions fade out
    edge     a a a | a b c d | d d d    positions are clamped (tensorflow-addons' behaviour)
    authors  the sampler of the DDFlow and SelFlow code: 0 outside, 0 at the last row and column
             even for x = w - 1 exactly, linear extrapolation for -1 < x < 0
"""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops._backend import take_rows
from kcorr.ops.grid import geometry_dtype

BORDERS = ("zero", "edge", "authors")


def backward_warp(image, flow, border="zero"):
    """Samples `image` at `p + flow(p)`: pulls frame 2 back onto frame 1.

    A NaN or infinite flow vector, or one that points far outside, samples nothing: the result is 0
    there and `inside` 0, its gradient is 0, and its neighbours are not touched. (With border "edge"
    a finite vector is clamped, however far outside it points; `inside` is 0 all the same.) A NaN in
    the image spoils every sample of the pixels around it, also those that give it no weight.

    Args:
        image: [b, h2, w2, c]. Frame 2; float16 and bfloat16 are sampled in float32.
        flow: [b, h, w, 2] pixels, (x, y), frame 1 to frame 2.
        border: "zero" (default), "edge" or "authors", see the module's drawing.

    Returns:
        warped: [b, h, w, c], dtype of the image.
        inside: [b, h, w, 1], dtype of the image, 1 where the position lies within the centres of
            the border pixels: 0 <= x <= w2 - 1 and 0 <= y <= h2 - 1.

    Raises:
        ValueError: `border` is unknown or the shapes do not fit.

    Source: Jaderberg et al., Spatial Transformer Networks, NeurIPS 2015, eq. 5 (the sampler);
    border "authors": the released code of DDFlow (Liu et al., AAAI 2019).
    """
    image, flow = ops.convert_to_tensor(image), ops.convert_to_tensor(flow)
    check_shapes("backward_warp", image=(image, "b h2 w2 c"), flow=(flow, "b h w 2"))
    height, width = ops.shape(flow)[1:3]
    dtype = geometry_dtype(image, flow)
    x, y = ops.unstack(ops.cast(flow, dtype), axis=-1)
    x = x + ops.arange(width, dtype=dtype)
    y = y + ops.expand_dims(ops.arange(height, dtype=dtype), 1)
    return _sample(image, x, y, border)


def sample_points(image, points, border="zero"):
    """Bilinear values of `image` at `points`.

    Args:
        image: [b, h, w, c].
        points: [b, n, 2] pixels, (x, y). Bad ones are treated as `backward_warp` treats vectors.
        border: see `backward_warp`.

    Returns:
        values: [b, n, c], dtype of the image.
        inside: [b, n, 1], dtype of the image, 1 where the point lies in the picture.

    Raises:
        ValueError: `border` is unknown or the shapes do not fit.
    """
    image, points = ops.convert_to_tensor(image), ops.convert_to_tensor(points)
    check_shapes("sample_points", image=(image, "b h w c"), points=(points, "b n 2"))
    points = ops.cast(points, geometry_dtype(image, points))
    return _sample(image, *ops.unstack(points, axis=-1), border)


def _sample(image, x, y, border):
    """Values [b, ..., c] of `image` at x, y [b, ...], and which of these lie inside, [b, ..., 1].

    x and y, and the two pixels around each position, are axes of one tensor: as tensors of their
    own they make twice as many operations, and a network traces dozens of warps.
    """
    if border not in BORDERS:
        raise ValueError(f"border must be one of {', '.join(BORDERS)}, got {border!r}")
    dtype, rank = x.dtype, len(x.shape)
    batch, height, width = ops.shape(image)[:3]
    channels = image.shape[-1] or ops.shape(image)[-1]
    table = ops.reshape(ops.cast(image, dtype), [batch * height * width, channels])
    position = ops.stack([x, y])  # [2, b, ...]
    last = ops.reshape(ops.stack([width - 1, height - 1]), [2] + [1] * rank)
    limit = ops.cast(last, dtype)
    # Comparisons with NaN are false, so a NaN position is neither near nor inside. Positions are
    # replaced before the arithmetic: this stops NaN in the value and in the gradient.
    inside = ops.all((position >= 0) & (position <= limit), axis=0)
    if border == "edge":
        near = ops.all(ops.isfinite(position), axis=0)
        position = ops.clip(ops.where(near, position, 0.0), 0.0, limit)
    else:
        # At x >= w - 1 the weights of "authors" cancel, but for rounding, and normalising features
        # to unit length would blow what is left of them up by as much as 1e6: so not near.
        beyond = 0 if border == "authors" else 1
        near = ops.all((position > -1) & (position < limit + beyond), axis=0)
        position = ops.where(near, position, 0.0)
    index, weight = _corners(position, last, border)
    (columns, rows), (column_weights, row_weights) = ops.unstack(index), ops.unstack(weight)
    first = ops.arange(batch, dtype="int32") * (height * width)
    first = ops.reshape(first, [-1] + [1] * (rank - 1))
    index = ops.expand_dims(first + rows * width, 1) + columns  # [2 rows, 2 columns, b, ...]
    weight = ops.expand_dims(ops.expand_dims(row_weights, 1) * column_weights, -1)
    total = 0.0
    for row, row_weight in zip(ops.unstack(index), ops.unstack(weight), strict=True):
        for pixel, share in zip(ops.unstack(row), ops.unstack(row_weight), strict=True):
            total = total + take_rows(table, pixel) * share
    # The weights of "zero" and "authors" vanish outside by themselves; only positions that were
    # replaced above must be silenced. Not by a product: pixel (0, 0), which they read, may be NaN.
    total = ops.where(ops.expand_dims(near, -1), total, 0.0)
    return ops.cast(total, image.dtype), ops.cast(ops.expand_dims(inside, -1), image.dtype)


def _corners(position, last, border):
    """The two pixels around each position along both axes, and their weights: [2, 2, b, ...] each.

    `position` and the integers `last`, of the last pixel, have x and y on their first axis; of the
    result the second axis is that of the two pixels.
    """
    if border == "authors":
        # Integer cast truncates towards zero; both corners are clipped and the weights computed
        # from the clipped integers, which is what zeroes the last row and column.
        low = ops.cast(position, "int32")
        low, high = ops.clip(low, 0, last), ops.clip(low + 1, 0, last)
        weights = [
            ops.cast(high, position.dtype) - position,
            position - ops.cast(low, position.dtype),
        ]
        return ops.stack([low, high], axis=1), ops.stack(weights, axis=1)
    floor = ops.floor(position)
    low = ops.cast(floor, "int32")
    high_weight = position - ops.stop_gradient(floor)
    index = ops.stack([low, low + 1], axis=1)
    weight = ops.stack([1.0 - high_weight, high_weight], axis=1)
    last = ops.expand_dims(last, 1)
    if border == "zero":
        weight = weight * ops.cast((index >= 0) & (index <= last), weight.dtype)
    return ops.clip(index, 0, last), weight
