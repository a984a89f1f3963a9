"""Bilinear sampling: backward warping and sampling at points.

Three border modes, drawn for one row `a b c d` and positions left and right of it:

    zero     0 0 0 | a b c d | 0 0 0    corners outside count 0, half-in positions fade out
    edge     a a a | a b c d | d d d    positions are clamped (tensorflow-addons' behaviour)
    authors  the sampler of the DDFlow and SelFlow code: 0 outside, 0 at the last row and column
             even for x = w - 1 exactly, linear extrapolation for -1 < x < 0
"""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops.grid import geometry_dtype, pixel_grid

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
    batch, height, width = ops.shape(flow)[:3]
    dtype = geometry_dtype(image, flow)
    points = pixel_grid(height, width, dtype) + ops.cast(flow, dtype)
    points = ops.reshape(points, [batch, height * width, 2])
    warped, inside = sample_points(image, points, border)
    channels = image.shape[-1] or ops.shape(image)[-1]
    return (
        ops.reshape(warped, [batch, height, width, channels]),
        ops.reshape(inside, [batch, height, width, 1]),
    )


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
    if border not in BORDERS:
        raise ValueError(f"border must be one of {', '.join(BORDERS)}, got {border!r}")
    image, points = ops.convert_to_tensor(image), ops.convert_to_tensor(points)
    check_shapes("sample_points", image=(image, "b h w c"), points=(points, "b n 2"))
    dtype = geometry_dtype(image, points)
    batch, height, width = ops.shape(image)[:3]
    channels = image.shape[-1] or ops.shape(image)[-1]
    table = ops.reshape(ops.cast(image, dtype), [batch * height * width, channels])
    points = ops.cast(points, dtype)
    x, y = points[..., 0], points[..., 1]
    right, bottom = ops.cast(width - 1, dtype), ops.cast(height - 1, dtype)
    # Comparisons with NaN are false, so a NaN position is neither near nor inside. Positions are
    # replaced before the arithmetic: this stops NaN in the value and in the gradient.
    inside = (x >= 0) & (x <= right) & (y >= 0) & (y <= bottom)
    if border == "edge":
        near = ops.isfinite(x) & ops.isfinite(y)
        x, y = (
            ops.clip(ops.where(near, x, 0.0), 0.0, right),
            ops.clip(ops.where(near, y, 0.0), 0.0, bottom),
        )
    else:
        # At x >= w - 1 the weights of "authors" cancel, but for rounding, and normalising features
        # to unit length would blow what is left of them up by as much as 1e6: so not near.
        beyond = 0 if border == "authors" else 1
        near = (x > -1) & (x < right + beyond) & (y > -1) & (y < bottom + beyond)
        x, y = ops.where(near, x, 0.0), ops.where(near, y, 0.0)
    first = ops.expand_dims(ops.arange(batch, dtype="int32") * (height * width), 1)
    columns = _corners(x, width, border)
    rows = [(first + row * width, weight) for row, weight in _corners(y, height, border)]
    total = 0.0
    for row, row_weight in rows:
        for column, column_weight in columns:
            weight = ops.expand_dims(row_weight * column_weight, -1)
            total = total + ops.take(table, row + column, axis=0) * weight
    # The weights of "zero" and "authors" vanish outside by themselves; only positions that were
    # replaced above must be silenced. Not by a product: pixel (0, 0), which they read, may be NaN.
    total = ops.where(ops.expand_dims(near, -1), total, 0.0)
    return ops.cast(total, image.dtype), ops.cast(ops.expand_dims(inside, -1), image.dtype)


def _corners(position, size, border):
    """The two pixels around each position along one axis: [(index int32, weight), ...]."""
    if border == "authors":
        # Integer cast truncates towards zero; both corners are clipped and the weights computed
        # from the clipped integers, which is what zeroes the last row and column.
        low = ops.cast(position, "int32")
        low, high = ops.clip(low, 0, size - 1), ops.clip(low + 1, 0, size - 1)
        return [
            (low, ops.cast(high, position.dtype) - position),
            (high, position - ops.cast(low, position.dtype)),
        ]
    floor = ops.floor(position)
    low = ops.cast(floor, "int32")
    high_weight = position - ops.stop_gradient(floor)
    corners = []
    for index, weight in ((low, 1.0 - high_weight), (low + 1, high_weight)):
        if border == "zero":
            weight = weight * ops.cast((index >= 0) & (index <= size - 1), weight.dtype)
        corners.append((ops.clip(index, 0, size - 1), weight))
    return corners
