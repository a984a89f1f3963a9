"""Forward splatting: pushes values along a flow, the adjoint of backward warping."""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops._backend import custom_gradient, scatter_add, take_rows
from kcorr.ops.grid import geometry_dtype, pixel_grid


def forward_splat(values, flow):
    """Adds every pixel's value to the four pixels around `p + flow(p)`, with bilinear weights.

    The exact adjoint of `backward_warp(·, flow, border="zero")` in its image: for all x and y,
    <backward_warp(x, flow), y> = <x, forward_splat(y, flow)>. Values that land on one pixel are
    summed, not averaged: divide by `range_map(flow)` for the mean. What lands outside is dropped,
    corner by corner; a NaN or infinite flow vector, or one that points far outside, adds nothing.

    Args:
        values: [b, h, w, c], on the grid where the flow starts; float16 and bfloat16 are summed in
            float32.
        flow: [b, h, w, 2] pixels, (x, y).

    Returns:
        [b, h, w, c], dtype of the values, on the grid where the flow ends (of the same size).

    Raises:
        ValueError: the shapes do not fit.

    Source: summation splatting, Niklaus and Liu, Softmax Splatting, CVPR 2020.
    """
    values, flow = ops.convert_to_tensor(values), ops.convert_to_tensor(flow)
    check_shapes("forward_splat", values=(values, "b h w c"), flow=(flow, "b h w 2"))
    dtype = geometry_dtype(values, flow)
    summed = _splat(ops.cast(values, dtype), ops.cast(flow, dtype))
    return ops.cast(summed, values.dtype)


@custom_gradient
def _splat(values, flow):
    """The splat and its pullback, which is a warp: automatic differentiation is far slower."""
    batch, height, width = ops.shape(flow)[:3]
    channels = values.shape[-1] or ops.shape(values)[-1]
    count = batch * height * width
    points = pixel_grid(height, width, flow.dtype) + flow
    # Comparisons with NaN are false. Positions are replaced before the arithmetic, which stops NaN
    # in the value and in the gradient.
    size = ops.cast(ops.stack([width, height]), flow.dtype)
    near = ops.all((points > -1) & (points < size), axis=-1, keepdims=True)
    points = ops.where(near, points, 0.0)
    values = ops.where(near, values, 0.0)
    corner = ops.floor(points)
    right, bottom = (points - corner)[..., :1], (points - corner)[..., 1:]
    weights = [(1.0 - right) * (1.0 - bottom), right * (1.0 - bottom)]
    weights += [(1.0 - right) * bottom, right * bottom]
    # One scatter of 4 c numbers to the top left corner of each landing place instead of four: the
    # random access is what costs. The cells are those of the image framed by one pixel before.
    column, row = ops.cast(corner[..., 0], "int32") + 1, ops.cast(corner[..., 1], "int32") + 1
    first = ops.reshape(ops.arange(batch, dtype="int32"), [-1, 1, 1]) * (height + 1)
    cell = ops.reshape((first + row) * (width + 1) + column, [count])
    updates = ops.concatenate([weight * values for weight in weights], axis=-1)
    updates = ops.reshape(updates, [count, 4 * channels])
    cells = scatter_add(cell, updates, batch * (height + 1) * (width + 1))
    cells = ops.reshape(cells, [batch, height + 1, width + 1, 4, channels])
    total = (
        cells[:, 1:, 1:, 0] + cells[:, 1:, :-1, 1] + cells[:, :-1, 1:, 2] + cells[:, :-1, :-1, 3]
    )

    def pullback(upstream):
        framed = ops.pad(upstream, [[0, 0], [1, 1], [1, 1], [0, 0]])
        views = [framed[:, :-1, :-1], framed[:, :-1, 1:], framed[:, 1:, :-1], framed[:, 1:, 1:]]
        table = ops.reshape(ops.concatenate(views, -1), [-1, 4 * channels])
        found = ops.reshape(take_rows(table, cell), [batch, height, width, 4 * channels])
        corners = ops.split(found, 4, axis=-1)
        to_values = sum(weight * value for weight, value in zip(weights, corners, strict=True))
        a, b, c, d = (ops.sum(values * value, axis=-1, keepdims=True) for value in corners)
        to_x = (1.0 - bottom) * (b - a) + bottom * (d - c)
        to_y = (1.0 - right) * (c - a) + right * (d - b)
        to_flow = ops.concatenate([to_x, to_y], axis=-1)
        return ops.where(near, to_values, 0.0), ops.where(near, to_flow, 0.0)

    return total, pullback


def range_map(flow):
    """How much of frame 1 lands on each pixel of frame 2: the splat of ones.

    Given the backward flow it tells, on frame 1, which pixels nothing comes back to: below 1 (the
    usual threshold) they are taken as occluded.

    Args:
        flow: [b, h, w, 2] pixels, (x, y).

    Returns:
        [b, h, w, 1], float32 (float64 for a float64 flow), at least 0; 1 everywhere for a zero
        flow.

    Source: Wang et al., Occlusion Aware Unsupervised Learning of Optical Flow, CVPR 2018.
    """
    flow = ops.convert_to_tensor(flow)
    dtype = geometry_dtype(flow)
    return forward_splat(ops.ones_like(flow[..., :1], dtype=dtype), flow)
