"""Polyharmonic splines (thin plates and their relatives) and the warps made of them.

Two parametrisations live here. `tps_fit` solves for the spline through given points, as
tensorflow-addons' `interpolate_spline` did, in pixels or any other unit. `tps_grid` evaluates a
random warp whose kernel weights are drawn directly, as Thewlis et al. make their training pairs.

The system of a spline is badly conditioned (10^6 for a dozen points and order 3) and its terms
cancel when evaluated, so TensorFlow computes fits and values in float64 throughout, a quarter
slower; jax has no float64 by default and stays in the caller's type.
"""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops._backend import TENSORFLOW
from kcorr.ops.grid import geometry_dtype, pixel_grid
from kcorr.ops.sample import backward_warp


def tps_fit(control, values, order=2, regularisation=0.0):
    """Fits f(x) = sum_j w_j phi(|x - c_j|) + a_0 + a x to values at control points.

    phi(r) is r^order for odd and r^order log r for even orders: 1 a linear kernel, 2 the thin
    plate, 3 cubic. The weights obey sum_j w_j = 0 and sum_j w_j c_j = 0, so an affine map is
    reproduced exactly with zero weights. Points are centred and scaled before the system is solved,
    which loses nothing and keeps float32 accurate for pixel coordinates.

    Args:
        control: [b, n, d] points c_j, n > d, not all on one line.
        values: [b, n, k] values at them.
        order: 1, 2, 3, ...
        regularisation: added to the diagonal of phi; above 0 the spline smooths instead of passing
            through the values.

    Returns:
        weights: [b, n, k], float32 (float64 if a tensor is).
        affine: [b, 1 + d, k], rows for (1, x, y, ...).

    Raises:
        ValueError: `order` below 1, negative `regularisation`, or misshapen tensors. Coincident or
            collinear points make the system singular, which the backend reports.

    Source: Bookstein, IEEE TPAMI 1989 (order 2); Duchon 1977.
    """
    control, values, dtype = _points(control, values)
    weights, affine = _fit(control, values, order, regularisation)
    return ops.cast(weights, dtype), ops.cast(affine, dtype)


def _fit(control, values, order, regularisation):
    """`tps_fit` in the precise type."""
    if order < 1 or order != int(order):
        raise ValueError(f"order must be 1, 2, 3, ..., got {order}")
    if isinstance(regularisation, (int, float)) and regularisation < 0:
        raise ValueError(f"regularisation must be at least 0, got {regularisation}")
    dtype = _precise(geometry_dtype(control, values))
    control, values = ops.cast(control, dtype), ops.cast(values, dtype)
    batch, count = ops.shape(control)[:2]
    dimensions = control.shape[-1]
    # The fit does not depend on centre and scale, so neither has a gradient. From order 4 on the
    # logarithm of the scale is no affine function any more: those stay in the caller's unit.
    centre = ops.stop_gradient(ops.mean(control, axis=1, keepdims=True))
    local = control - centre
    scale = ops.sqrt(ops.mean(ops.sum(local * local, axis=-1), axis=1))
    scale = ops.stop_gradient(ops.reshape(ops.maximum(scale, 1e-6), [batch, 1, 1]))
    if order > 3:
        scale = ops.ones_like(scale)
    local = local / scale

    kernel = _kernel(_squared_distances(local, local), order)
    kernel = kernel + ops.eye(count, dtype=dtype) * (regularisation / scale**order)
    ones = ops.ones_like(local[..., :1])
    basis = ops.concatenate([ones, local], axis=-1)
    lower = ops.concatenate(
        [
            ops.transpose(basis, [0, 2, 1]),
            ops.zeros([batch, 1 + dimensions, 1 + dimensions], dtype=dtype),
        ],
        axis=-1,
    )
    system = ops.concatenate([ops.concatenate([kernel, basis], axis=-1), lower], axis=1)
    empty = ops.zeros([batch, 1 + dimensions, values.shape[-1]], dtype=dtype)
    solution = ops.solve(system, ops.concatenate([values, empty], axis=1))
    weights, affine = solution[:, :count], solution[:, count:]

    # Back to the caller's unit: phi(r / s) = phi(r) / s^order, less (r / s)^2 log s for order 2,
    # which the side conditions reduce to a constant.
    constant, linear = affine[:, :1], affine[:, 1:] / scale
    if order == 2:
        spread = ops.sum(local * local, axis=-1, keepdims=True)
        constant = constant - ops.log(scale) * ops.sum(weights * spread, axis=1, keepdims=True)
    constant = constant - ops.matmul(centre, linear)
    return weights / scale**order, ops.concatenate([constant, linear], axis=1)


def tps_evaluate(points, control, weights, affine, order=2):
    """Values of a fitted spline.

    Args:
        points: [b, m, d] where to evaluate.
        control: [b, n, d] as given to `tps_fit`.
        weights: [b, n, k] from `tps_fit`.
        affine: [b, 1 + d, k] from `tps_fit`.
        order: as given to `tps_fit`.

    Returns:
        [b, m, k], float32 (float64 if a tensor is).
    """
    tensors = [ops.convert_to_tensor(t) for t in (points, control, weights, affine)]
    dtype = geometry_dtype(*tensors)
    points, control, weights, affine = (ops.cast(t, _precise(dtype)) for t in tensors)
    kernel = _kernel(_squared_distances(points, control), order)
    result = ops.matmul(kernel, weights) + ops.matmul(points, affine[:, 1:]) + affine[:, :1]
    return ops.cast(result, dtype)


def tps_interpolate(control, values, points, order=2, regularisation=0.0):
    """`tps_fit` to values at control points, evaluated at `points`: [b, m, k].

    Args:
        control: [b, n, d] points with known values.
        values: [b, n, k] the values.
        points: [b, m, d] where to evaluate.
        order: see `tps_fit`.
        regularisation: see `tps_fit`.

    Returns:
        [b, m, k], float32 (float64 if a tensor is). The numbers of tensorflow-addons'
        `interpolate_spline`.
    """
    control, values, _ = _points(control, values)
    points = ops.convert_to_tensor(points)
    dtype = geometry_dtype(control, points)
    weights, affine = _fit(control, values, order, regularisation)
    return ops.cast(tps_evaluate(points, control, weights, affine, order), dtype)


def tps_warp(
    image, source, destination, order=2, regularisation=0.0, boundary_points=0, border="edge"
):
    """Warps an image so that its points `source` come to lie at `destination`.

    The backward flow source - destination is interpolated from the destination points to every
    pixel and the image sampled with it. With the defaults these are the numbers of
    tensorflow-addons' `sparse_image_warp`.

    Args:
        image: [b, h, w, c].
        source: [b, n, 2] pixels, (x, y), in the image.
        destination: [b, n, 2] pixels, where they shall be in the result.
        order: of the spline, see `tps_fit`.
        regularisation: see `tps_fit`.
        boundary_points: 0, or how many points to hold still along each edge of the picture, its
            first corner included: 1 holds the four corners, 2 also the middles of the edges, ...
        border: of `backward_warp`.

    Returns:
        warped: [b, h, w, c], dtype of the image.
        flow: [b, h, w, 2] pixels, from the warped image to `image`.

    Raises:
        ValueError: as `tps_fit` and `backward_warp`, or negative `boundary_points`.
    """
    image = ops.convert_to_tensor(image)
    source, destination, dtype = _points(source, destination)
    if source.shape[-1] != 2:
        raise ValueError(f"points are [b, n, 2], got {tuple(source.shape)}")
    if boundary_points < 0:
        raise ValueError(f"boundary_points must be at least 0, got {boundary_points}")
    batch, height, width = ops.shape(image)[:3]
    motion = source - destination
    if boundary_points:
        frame = _boundary(height, width, boundary_points, dtype)
        frame = ops.broadcast_to(frame, [batch, 4 * boundary_points, 2])
        destination = ops.concatenate([destination, frame], axis=1)
        motion = ops.concatenate([motion, ops.zeros_like(frame)], axis=1)
    grid = ops.reshape(pixel_grid(height, width, dtype), [1, height * width, 2])
    grid = ops.broadcast_to(grid, [batch, height * width, 2])
    flow = tps_interpolate(destination, motion, grid, order, regularisation)
    flow = ops.reshape(flow, [batch, height, width, 2])
    return backward_warp(image, flow, border)[0], flow


def tps_grid(weights, affine, height, width):
    """The random thin-plate warp of a training pair, evaluated at every pixel.

    In coordinates n = 2 x / (size - 1) - 1 of [-1, 1], with m x m control points on a regular grid:
    g(n) = sum_j w_j U(|n - c_j|^2) + affine (1, n_x, n_y), U(D) = D log(D + 1e-5). No side
    conditions hold the weights, so they carry an affine part of their own.

    Args:
        weights: [b, m * m, 2], in (x, y), for control points row by row from the top left; the
            papers use m = 10. Zero is no deformation.
        affine: [b, 3, 2], rows for (1, n_x, n_y); [[0, 0], [1, 0], [0, 1]] is the identity.
        height: rows, an integer or a scalar tensor.
        width: columns, an integer or a scalar tensor.

    Returns:
        [b, h, w, 2] pixels, (x, y): where to sample. `grid - pixel_grid(h, w)` is the flow.

    Raises:
        ValueError: the number of weights is not a square, or the shapes do not fit.

    Source: Thewlis et al., ICCV 2017 and 2019 (DVE, released code).
    """
    weights, affine = ops.convert_to_tensor(weights), ops.convert_to_tensor(affine)
    side = round(weights.shape[1] ** 0.5)
    if side * side != weights.shape[1] or side < 2:
        raise ValueError(f"weights are [b, m * m, 2] with m >= 2, got {tuple(weights.shape)}")
    check_shapes("tps_grid", weights=(weights, "b m*m 2"), affine=(affine, "b 3 2"))
    dtype = geometry_dtype(weights, affine)
    weights, affine = ops.cast(weights, dtype), ops.cast(affine, dtype)
    last = ops.cast(ops.stack([width - 1, height - 1]), dtype)
    half = ops.maximum(last, 1.0) / 2.0
    points = ops.reshape(pixel_grid(height, width, dtype) / half - 1.0, [height * width, 2])
    control = ops.reshape(pixel_grid(side, side, dtype) * (2.0 / (side - 1)) - 1.0, [-1, 2])
    squared = _squared_distances(points, control)
    kernel = squared * ops.log(squared + 1e-5)
    basis = ops.concatenate([kernel, ops.ones_like(points[:, :1]), points], axis=-1)
    grid = ops.matmul(basis, ops.concatenate([weights, affine], axis=1))
    grid = ops.reshape(grid, [ops.shape(weights)[0], height, width, 2])
    return (grid + 1.0) * half


def _precise(dtype):
    return "float64" if TENSORFLOW else dtype


def _points(first, second):
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    if len(first.shape) != 3 or len(second.shape) != 3:
        raise ValueError(
            f"expected points [b, n, d] and values [b, n, k], got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    counts = {n for n in (first.shape[1], second.shape[1]) if n is not None}
    if len(counts) > 1 or min(counts, default=99) <= first.shape[-1]:
        raise ValueError(
            f"expected at least {first.shape[-1] + 1} points and as many values, got "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    dtype = geometry_dtype(first, second)
    return ops.cast(first, dtype), ops.cast(second, dtype), dtype


def _squared_distances(first, second):
    """Squared distances [..., m, n] of points [..., m, d] and [..., n, d]."""
    # Differences, not |x|^2 - 2 x y + |y|^2: in float32 the latter is wrong near a control point.
    total = 0.0
    for axis in range(first.shape[-1]):
        difference = ops.expand_dims(first[..., axis], -1) - ops.expand_dims(second[..., axis], -2)
        total = total + difference * difference
    return total


def _kernel(squared, order):
    """phi(r) from r^2: r^order, times log r for even orders."""
    # 0 at a control point and with slope 0 there, although root and logarithm have none.
    apart = squared > 0
    safe = ops.where(apart, squared, 1.0)
    if order % 2 == 0:
        return 0.5 * squared ** (order // 2) * ops.log(safe)
    root = ops.where(apart, ops.sqrt(safe), 0.0)
    # Not `squared ** 0`, whose gradient at 0 is NaN.
    return root if order == 1 else root * squared ** (order // 2)


def _boundary(height, width, per_edge, dtype):
    """Evenly spaced points on the picture's border: [1, 4 * per_edge, 2]."""
    steps = ops.cast(ops.arange(per_edge), dtype) / per_edge
    zero, one = ops.zeros_like(steps), ops.ones_like(steps)
    x = ops.concatenate([steps, one, 1.0 - steps, zero])
    y = ops.concatenate([zero, steps, one, 1.0 - steps])
    last = ops.cast(ops.stack([width - 1, height - 1]), dtype)
    return ops.expand_dims(ops.stack([x, y], axis=-1) * last, 0)
