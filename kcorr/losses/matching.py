"""The structured hinge of deep matching: the right displacement must score best, by a margin."""

from keras import ops

from kcorr.ops._arguments import check_shapes, sizes
from kcorr.ops.grid import geometry_dtype

# Below the least score of a point, what stands for the -inf of a right displacement.
_FLOOR = 1.0


def structured_hinge(scores, displacement, mask=None, sigma=3.0):
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

    Returns:
        [b]: the mean over points that count of their sum over displacements; 0 where none counts.
        The papers' loss is the sum over points. Where the right displacement has no score (-inf: no
        maximum led there), one below the least of its point's stands for it, without a gradient.

    Raises:
        ValueError: shapes that do not fit, or a sigma that is not above 0.

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
    dtype = geometry_dtype(scores)
    scores = ops.cast(scores, dtype)
    batch, count, _, rows, columns = sizes(scores)
    radius = count // 2
    # Rounded, and made whole before it is clipped: NaN then reads some displacement.
    right = ops.cast(ops.round(displacement), "int32")
    inside = ops.all((right >= -radius) & (right <= radius), axis=-1)
    counts = ops.cast(inside, dtype) * (1.0 if mask is None else ops.cast(mask[..., 0], dtype))
    right = ops.clip(right, -radius, radius) + radius
    known = scores > -float("inf")
    least = ops.min(ops.where(known, scores, float("inf")), axis=(1, 2))
    index = right[..., 1] * count + right[..., 0]
    flat = ops.reshape(scores, [batch, count * count, rows, columns])
    target = ops.take_along_axis(flat, index[:, None], axis=1)[:, 0]
    found = target > -float("inf")
    floor = ops.stop_gradient(ops.where(ops.isfinite(least), least, 0.0) - _FLOOR)
    target = ops.where(found, target, floor)
    # What is -inf is replaced before it is subtracted, so that no gradient is NaN.
    scores = ops.where(known, scores, ops.stop_gradient(target)[:, None, None] - 2.0)
    margin = 1.0 - _bumps(right, count, sigma, dtype)
    loss = ops.sum(ops.relu(margin + scores - target[:, None, None]), axis=(1, 2))
    total = ops.sum(ops.where(counts > 0, loss * counts, 0.0), axis=(1, 2))
    return total / (ops.sum(counts, axis=(1, 2)) + 1e-6)


def _bumps(right, count, sigma, dtype):
    """g around the right displacement: [b, count, count, i, j]."""
    steps = ops.reshape(ops.arange(count, dtype=dtype), [1, count, 1, 1])
    along = ops.cast(right[:, None], dtype)
    x, y = (ops.exp(-ops.square(steps - along[..., axis]) / (2.0 * sigma**2)) for axis in (0, 1))
    return y[:, :, None] * x[:, None]
