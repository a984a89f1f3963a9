"""Forward splatting: pushes values along a flow, the adjoint of backward warping."""

from keras import ops

from kcorr.ops._backend import custom_gradient, scatter_add
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
        ValueError: a tensor has not four axes or the flow has not two channels.

    Source: summation splatting, Niklaus and Liu, Softmax Splatting, CVPR 2020.
    """
    values, flow = ops.convert_to_tensor(values), ops.convert_to_tensor(flow)
    if len(values.shape) != 4 or len(flow.shape) != 4 or flow.shape[-1] != 2:
        raise ValueError(
            f"forward_splat expects values [b, h, w, c] and flow [b, h, w, 2], got "
            f"{tuple(values.shape)} and {tuple(flow.shape)}"
        )
    dtype = geometry_dtype(values, flow)
    batch, height, width = ops.shape(flow)[:3]
    channels = values.shape[-1] or ops.shape(values)[-1]
    points = pixel_grid(height, width, dtype) + ops.cast(flow, dtype)
    # Comparisons with NaN are false. Positions are replaced before the arithmetic, which stops NaN
    # in the value and in the gradient.
    size = ops.cast(ops.stack([width, height]), dtype)
    near = ops.all((points > -1) & (points < size), axis=-1, keepdims=True)
    points = ops.where(near, points, 0.0)
    corner = ops.stop_gradient(ops.floor(points))
    right, bottom = (points - corner)[..., :1], (points - corner)[..., 1:]
    # One scatter of 4 c numbers to the top left corner of each landing place instead of four: the
    # random access is what costs. The cells are those of the image framed by one pixel before.
    silent = ops.where(near, ops.cast(values, dtype), 0.0)
    x_weights = ops.concatenate([1.0 - right, right], axis=-1)
    weights = ops.concatenate([x_weights * (1.0 - bottom), x_weights * bottom], axis=-1)
    updates = ops.expand_dims(weights, -1) * ops.expand_dims(silent, -2)
    column, row = ops.cast(corner[..., 0], "int32") + 1, ops.cast(corner[..., 1], "int32") + 1
    first = ops.reshape(ops.arange(batch, dtype="int32"), [-1, 1, 1]) * (height + 1)
    cell = (first + row) * (width + 1) + column
    cells = batch * (height + 1) * (width + 1)
    count = batch * height * width
    updates = ops.reshape(updates, [count, 4 * channels])
    summed = _scatter(ops.reshape(cell, [count]), updates, cells)
    summed = ops.reshape(summed, [batch, height + 1, width + 1, 4, channels])
    total = (
        summed[:, 1:, 1:, 0]
        + summed[:, 1:, :-1, 1]
        + summed[:, :-1, 1:, 2]
        + summed[:, :-1, :-1, 3]
    )
    return ops.cast(total, values.dtype)


def _scatter(indices, updates, size):
    """`scatter_add` whose gradient is one gather: TensorFlow's own guards every index first."""

    @custom_gradient
    def scatter(updates):
        return scatter_add(indices, updates, size), lambda up: ops.take(up, indices, axis=0)

    return scatter(updates)


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
