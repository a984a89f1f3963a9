"""The structured hinge of deep matching: the right displacement must score best, by a margin."""

from keras import ops

from kcorr.ops._arguments import check_shapes, sizes
from kcorr.ops.grid import geometry_dtype


def structured_hinge(scores, displacement, mask=None, sigma=3.0, tolerance=1):
    """Sum over displacements of what scores better than the right one, less a margin.

        loss(p) = sum_q max(0, 1 - g(q - G(p)) + S(q | p) - S(G(p) | p))
        g(z) = exp(-|z|^2 / (2 sigma^2))

    Args:
        scores: [b, 2R + 1, 2R + 1, i, j], see `kcorr.ops.deep_matching`; -inf adds nothing.
        displacement: [b, i, j, 2], the right one G(p) - p in steps, rounded to the next. A point
            whose own lies outside of the window does not count.
        mask: [b, i, j, 1], 1 = the point counts; None counts all.
        sigma: of the margin, in steps. The paper does not give it; a public re-implementation has
            3 pixels.
        tolerance: decoded scores are -inf where no maximum led, often next to the right place. So
            the best score at most so many steps from it, in x and y, stands for S(G(p) | p); a
            point that has none there does not count. Ours: the paper does not say. (Without, what
            is left of the loss is least where all scores are the same, which networks then learn.)

    Returns:
        [b]: the mean over points that count of their sum over displacements; 0 where none counts.
        The paper's loss is the sum over points.

    Raises:
        ValueError: shapes that do not fit, a sigma that is not above 0, or a negative tolerance.

    Source: Thewlis et al., BMVC 2016, section 4.
    """
    scores, displacement = ops.convert_to_tensor(scores), ops.convert_to_tensor(displacement)
    check_shapes(
        "structured_hinge",
        scores=(scores, "b k k i j"),
        displacement=(displacement, "b i j 2"),
        **({} if mask is None else {"mask": (mask, "b i j 1")}),
    )
    if sigma <= 0:
        raise ValueError(f"sigma must be above 0, got {sigma}")
    if tolerance < 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance}")
    dtype = geometry_dtype(scores)
    scores = ops.cast(scores, dtype)
    count = scores.shape[1]
    radius = count // 2
    # Rounded, and made whole before it is clipped: NaN then reads some displacement.
    right = ops.cast(ops.round(displacement), "int32")
    inside = ops.all((right >= -radius) & (right <= radius), axis=-1)
    counts = ops.cast(inside, dtype) * (1.0 if mask is None else ops.cast(mask[..., 0], dtype))
    right = ops.clip(right, -radius, radius) + radius
    target = _best_near(scores, right, tolerance)
    found = target > -float("inf")
    counts = counts * ops.cast(found, dtype)
    # What is -inf is replaced before it is subtracted, so that no gradient is NaN.
    target = ops.where(found, target, 0.0)
    known = scores > -float("inf")
    scores = ops.where(known, scores, ops.stop_gradient(target)[:, None, None] - 2.0)
    margin = 1.0 - _bumps(right, count, sigma, dtype)
    loss = ops.sum(ops.relu(margin + scores - target[:, None, None]), axis=(1, 2))
    total = ops.sum(ops.where(counts > 0, loss * counts, 0.0), axis=(1, 2))
    return total / (ops.sum(counts, axis=(1, 2)) + 1e-6)


def _best_near(scores, right, tolerance):
    """The best score within some steps of the right displacements: [b, i, j]."""
    batch, count, _, rows, columns = sizes(scores)
    flat, best = ops.reshape(scores, [batch, count * count, rows, columns]), None
    steps = range(-tolerance, tolerance + 1)
    for y in (right[..., 1] + dy for dy in steps):
        for x in (right[..., 0] + dx for dx in steps):
            inside = (x >= 0) & (x < count) & (y >= 0) & (y < count)
            index = ops.clip(y, 0, count - 1) * count + ops.clip(x, 0, count - 1)
            value = ops.take_along_axis(flat, index[:, None], axis=1)[:, 0]
            value = ops.where(inside, value, -float("inf"))
            best = value if best is None else ops.maximum(best, value)
    return best


def _bumps(right, count, sigma, dtype):
    """g around the right displacement: [b, count, count, i, j]."""
    steps = ops.reshape(ops.arange(count, dtype=dtype), [1, count, 1, 1])
    along = ops.cast(right[:, None], dtype)
    x, y = (ops.exp(-ops.square(steps - along[..., axis]) / (2.0 * sigma**2)) for axis in (0, 1))
    return y[:, :, None] * x[:, None]
