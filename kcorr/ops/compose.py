"""The algebra of flows: one after another, and backwards."""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops._backend import take_rows
from kcorr.ops.grid import geometry_dtype, pixel_grid
from kcorr.ops.sample import backward_warp, sample_points
from kcorr.ops.splat import forward_splat


def compose_flow(first, second):
    """The flow from frame 1 to frame 3, given 1 to 2 and 2 to 3.

    flow(p) = first(p) + second(p + first(p)). Where p leaves frame 2, or where either flow is NaN
    or infinite, the result is 0 and `inside` 0.

    Args:
        first: [b, h, w, 2] pixels, (x, y), frame 1 to frame 2.
        second: [b, h, w, 2] pixels, frame 2 to frame 3.

    Returns:
        flow: [b, h, w, 2] pixels, float32 (float64 for float64 flows).
        inside: [b, h, w, 1], 1 where p + first(p) lies in frame 2 and everything is known there.

    Raises:
        ValueError: the shapes do not fit.
    """
    first, second = _floats("compose_flow", first=first, second=second)
    # An unknown vector travels as zero beside a mark, so that it does not spread to samples that
    # give it no weight.
    unknown = ~ops.all(ops.isfinite(second), axis=-1, keepdims=True)
    mark = ops.cast(unknown, second.dtype)
    sampled, inside = backward_warp(
        ops.concatenate([ops.where(unknown, 0.0, second), mark], -1), first
    )
    inside = inside * ops.cast(sampled[..., 2:] < 1e-4, inside.dtype)
    # Replaced before the sum: a NaN that is masked after it still has a NaN gradient.
    first = ops.where(inside > 0, first, 0.0)
    return first + sampled[..., :2] * inside, inside


def invert_flow(flow, iterations=8, tolerance=0.1):
    """The flow from frame 2 back to frame 1: v with v(q) + flow(q + v(q)) = 0.

    Newton's method on that equation, which needs no small motion, started at the mean of the
    reversed vectors that land around q. Where the flow is smooth the result is exact to rounding,
    also where it magnifies and leaves holes in the splat; where several pixels land on one (an
    occlusion) the inverse is one of the answers, and where none lands it does not exist.

    Args:
        flow: [b, h, w, 2] pixels, (x, y), frame 1 to frame 2. NaN and infinite vectors count as
            unknown.
        iterations: Newton steps. Four suffice for a smooth flow.
        tolerance: pixels; largest |v(q) + flow(q + v(q))| of a covered pixel.

    Returns:
        inverse: [b, h, w, 2] pixels, frame 2 to frame 1, float32 (float64 for a float64 flow), 0
            where not covered.
        covered: [b, h, w, 1], 1 where q is the target of a point inside frame 1.

    Raises:
        ValueError: the flow is not [b, h, w, 2].
    """
    (flow,) = _floats("invert_flow", flow=flow)
    known = ops.all(ops.isfinite(flow), axis=-1, keepdims=True)
    flow = ops.where(known, flow, 0.0)
    mask = ops.cast(known, flow.dtype)
    height, width = ops.shape(flow)[1:3]
    grid = pixel_grid(height, width, flow.dtype)
    limit = ops.cast(ops.stack([width - 1, height - 1]), flow.dtype)

    # What no vector reaches starts at the nearest guess there is, its own vector reversed.
    landed = forward_splat(ops.concatenate([-flow * mask, mask], -1), ops.where(known, flow, 1e9))
    weight = landed[..., 2:]
    start = ops.where(weight > 0.1, landed[..., :2] / ops.maximum(weight, 0.1), -flow)
    table = ops.concatenate([flow, mask, _slopes(flow)], -1)

    # The search has no gradient; one last step from its end, differentiable in the flow, has that
    # of the implicit function.
    point = ops.stop_gradient(_within(grid + start, limit))
    fixed = ops.stop_gradient(table)

    def search(_, point):
        values = _look(fixed, point, grid)
        step = _newton(values[..., 3:], point + values[..., :2] - grid)
        return _within(point - step, limit)

    # A loop of the graph: unrolled, XLA fuses the steps into one another and takes ten times
    # longer.
    point = ops.stop_gradient(ops.fori_loop(0, iterations, search, point))
    values = _look(table, point, grid)
    residual = point + values[..., :2] - grid
    close = ops.sum(residual * residual, axis=-1, keepdims=True) <= tolerance * tolerance
    covered = close & (values[..., 2:3] > 1.0 - 1e-4)
    inverse = point - grid - _newton(ops.stop_gradient(values[..., 3:]), residual)
    return ops.where(covered, inverse, 0.0), ops.cast(covered, flow.dtype)


def invert_points(grid, points, method="newton", iterations=8, tolerance=0.05):
    """Where the points of one view lie in another that was pulled from it: q with grid(q) = point.

    Newton's method on the bilinear grid, started at the pixel whose place is nearest: exact to
    rounding where the grid is smooth. Beyond the view the grid goes on as at its border, so that a
    point that lies outside gets a place outside.

    Args:
        grid: [b, h, w, 2] pixels, (x, y): the place in the first view of each pixel of the second.
        points: [b, n, 2] pixels of the first view.
        method: "newton", or "nearest": the pixel whose place is nearest, for numbers that were
            reported so. That is off by up to 0.7 px, and points outside snap to the border.
        iterations: Newton steps.
        tolerance: pixels; largest |grid(q) - point| of a place that was found by "newton"; by
            "nearest" it is 1.

    Returns:
        places: [b, n, 2] pixels of the second view, float32 (float64 for a float64 grid).
        found: [b, n, 1], 1 where q lies in the second view and solves the equation.

    Raises:
        ValueError: an unknown `method`, or the shapes do not fit.

    Source: "nearest": Thewlis et al., ICCV 2019 (DVE, released code).
    """
    if method not in ("newton", "nearest"):
        raise ValueError(f"method must be newton or nearest, got {method!r}")
    grid, points = ops.convert_to_tensor(grid), ops.convert_to_tensor(points)
    check_shapes("invert_points", grid=(grid, "b h w 2"), points=(points, "b n 2"))
    dtype = geometry_dtype(grid, points)
    grid, points = ops.cast(grid, dtype), ops.cast(points, dtype)
    height, width = ops.shape(grid)[1:3]
    own = pixel_grid(height, width, dtype)
    known = ops.all(ops.isfinite(points), axis=-1, keepdims=True)
    points = ops.where(known, points, 0.0)
    distances = sum(
        ops.square(ops.reshape(grid[..., i], [-1, 1, height * width]) - points[..., i : i + 1])
        for i in (0, 1)
    )
    nearest = ops.cast(ops.argmin(distances, axis=-1), "int32")
    places = take_rows(ops.reshape(own, [height * width, 2]), nearest)
    if method == "nearest":
        close = ops.expand_dims(ops.min(distances, axis=-1), -1) <= 1.0
        return places, ops.cast(close & known, dtype)
    flow = grid - own
    table = ops.concatenate([flow, _slopes(flow)], -1)

    def step(_, places):
        values, _ = sample_points(table, places, "edge")
        return places - _newton(values[..., 2:], places + values[..., :2] - points)

    places = ops.fori_loop(0, iterations, step, places)
    residual = places + sample_points(flow, places, "edge")[0] - points
    close = ops.sum(residual * residual, axis=-1, keepdims=True) <= tolerance * tolerance
    # A hair for rounding: a point on the border lies inside.
    last = ops.cast(ops.stack([width - 1, height - 1]), dtype) + 1e-3
    inside = ops.all((places >= -1e-3) & (places <= last), axis=-1, keepdims=True)
    return places, ops.cast(close & inside & known, dtype)


def _look(table, point, grid):
    """Values of `table` at the absolute positions `point`, which lie inside it."""
    return backward_warp(table, point - grid, border="edge")[0]


def _slopes(flow):
    """Derivatives (u_x, v_x, u_y, v_y) of a flow, central differences inside: [b, h, w, 4]."""
    slopes = []
    for axis in (2, 1):
        size = ops.shape(flow)[axis]
        index = ops.arange(size, dtype="int32")
        before, after = ops.maximum(index - 1, 0), ops.minimum(index + 1, size - 1)
        distance = ops.cast(ops.maximum(after - before, 1), flow.dtype)
        distance = ops.reshape(distance, [-1] + [1] * (3 - axis))
        slopes.append((ops.take(flow, after, axis) - ops.take(flow, before, axis)) / distance)
    return ops.concatenate(slopes, axis=-1)


def _newton(slopes, residual):
    """The step (I + D flow)^-1 residual, or the residual itself where that is singular."""
    a, b = 1.0 + slopes[..., 0:1], slopes[..., 2:3]
    c, d = slopes[..., 1:2], 1.0 + slopes[..., 3:4]
    determinant = a * d - b * c
    regular = ops.abs(determinant) > 0.05
    determinant = ops.where(regular, determinant, 1.0)
    x, y = residual[..., 0:1], residual[..., 1:2]
    step = ops.concatenate([d * x - b * y, a * y - c * x], axis=-1) / determinant
    return ops.where(regular, step, residual)


def _within(point, limit):
    return ops.minimum(ops.maximum(point, 0.0), limit)


def _floats(function, **flows):
    flows = {name: ops.convert_to_tensor(flow) for name, flow in flows.items()}
    check_shapes(function, **{name: (flow, "b h w 2") for name, flow in flows.items()})
    dtype = geometry_dtype(*flows.values())
    return tuple(ops.cast(flow, dtype) for flow in flows.values())
