"""Landmarks without labels: K probability maps that move with the object and differ from another.

Everything here is counted in cells of the maps, not in pixels of the picture: only so does the
published balance (500 of `pooled_diversity` to one of `probability_alignment`) make sense. That is
kcorr's reading; the paper does not name its unit.

The views are those of a pair batch: the grid lives on the first (more warped) view and says where
its pixels lie in the second one. The paper's x is the second view, its x' = x o g the first one.
(Its equations 2, 3 and 5 say Phi(x o g) = g(Phi(x)), which holds for the inverse of g; equation 6,
which is used here, is consistent with warping backwards.)
"""

from keras import ops

from kcorr.losses._arguments import floats
from kcorr.ops.grid import pixel_grid
from kcorr.ops.lattice import at_cells, cell_axes, cell_strides, mask_at_cells
from kcorr.ops.sample import sample_points
from kcorr.ops.spatial import soft_argmax


def probability_alignment(first, second, grid, mask=None, lattice="centre"):
    """Mean squared distance of a place drawn from one map and a warped place drawn from the other.

        mean over k of  sum_u sum_v |u - g(v)|^2 p_k(u) q_k(v)
          = mean over k of  |mean of p_k - mean of g under q_k|^2 + Var p_k + Var of g under q_k

    which is computed in the second form: in linear time, without cancellation, and it shows that
    the maps must agree and be sharp. 0 is reached by points only.

    Args:
        first: [b, h, w, k], q: probabilities of the first view, `kcorr.ops.spatial_softmax`.
        second: [b, h, w, k], p: of the second view.
        grid: [b, H, W, 2] pixels: where each pixel of the first view lies in the second one.
            It receives no gradient.
        mask: [b, H, W, 1] or [b, h, w, 1], 1 = counts: of the first view, read as by
            `kcorr.ops.expected_distance`. Cells that do not count, and those where the grid is not
            finite, are taken out of q, and a landmark counts as much as is left of its q. (kcorr's
            addition, the paper has none.) None counts all.
        lattice: "centre" or "topleft", see `kcorr.ops.lattice`.

    Returns:
        [b], squared cells; 0 where nothing counts.

    Raises:
        ValueError: shapes do not fit.

    Source: Thewlis et al., ICCV 2017, eq. 6.
    """
    first, second = _maps(first, second)
    places, known = _places_in_cells(first, grid, mask, lattice)
    q = first * known
    weight = ops.sum(q, axis=(1, 2))
    q = q / ops.expand_dims(ops.expand_dims(ops.where(weight > 0, weight, 1.0), 1), 1)
    mean_q, spread_q = _moments(q, places)
    mean_p, spread_p = _moments(second, _own_places(second))
    loss = ops.sum(ops.square(mean_p - mean_q), axis=-1) + spread_p + spread_q
    # Without gradient: a landmark must not buy itself out by leaving the part that counts.
    weight = ops.stop_gradient(weight)
    return ops.sum(ops.where(weight > 0, loss, 0.0) * weight, axis=-1) / first.shape[-1]


def coordinate_alignment(first, second, grid, mask=None, lattice="centre"):
    """Squared distance between the warped landmarks of one view and those of the other.

        mean over k of |mean of p_k - g(mean of q_k)|^2

    It does not care how spread the maps are, and is what `probability_alignment` becomes for sharp
    ones.

    Args:
        first, second, grid, mask, lattice: as in `probability_alignment`, but that a landmark
            counts or does not: grid and mask are read bilinearly at its place, at their border
            beyond it.

    Returns:
        [b], squared cells. Landmarks next to a cell that does not count, or where the grid is not
        finite, do not count.

    Raises:
        ValueError: shapes do not fit.

    Source: Thewlis et al., ICCV 2017, eq. 5.
    """
    first, second = _maps(first, second)
    places, known = _places_in_cells(first, grid, mask, lattice)
    points = soft_argmax(first, normalised=True)
    moved, _ = sample_points(ops.concatenate([places, known], axis=-1), points, "edge")
    moved, known = moved[..., :2], moved[..., 2] > 1 - 1e-4
    distance = ops.sum(ops.square(soft_argmax(second, normalised=True) - moved), axis=-1)
    return ops.sum(ops.where(known, distance, 0.0), axis=-1) / first.shape[-1]


def pooled_diversity(probabilities, window=3):
    """How much the maps overlap, block by block: K - sum over blocks of max_k P_k.

    P_k is the sum of a map over blocks of window x window cells. 0 if no two landmarks share a
    block, K - 1 if all maps are equal. Only the largest map of a block receives a gradient.

    Args:
        probabilities: [b, h, w, k].
        window: cells along a side of a block, m. The paper does not say; 2 to 5 are kcorr's
            suggestion. Blocks at the right and lower border hold what there is.

    Returns:
        [b], from 0 to K - 1.

    Raises:
        ValueError: not [b, h, w, k], or a `window` below 1.

    Source: Thewlis et al., ICCV 2017, eq. 8 (L_div of the pooled maps).
    """
    if window < 1 or window != int(window):
        raise ValueError(f"window must be a whole number of cells, at least 1, got {window}")
    (probabilities,) = floats(probabilities=probabilities)
    # "same" would pad on both sides. A mean times the number of cells, because zeros are padded in.
    height, width = ops.shape(probabilities)[1:3]
    padding = [[0, 0], [0, -height % window], [0, -width % window], [0, 0]]
    pooled = ops.average_pool(ops.pad(probabilities, padding), window, strides=window)
    largest = ops.max(pooled, axis=-1) * float(window * window)
    return probabilities.shape[-1] - ops.sum(largest, axis=(1, 2))


def quadratic_diversity(probabilities, own=False):
    """How much the maps overlap: (1 / K^2) sum over pairs of maps and cells of p_r p_r'.

    Args:
        probabilities: [b, h, w, k].
        own: whether a map's overlap with itself counts, as printed in the paper. Then the loss
            cannot reach 0 (points in K different cells cost 1 / K) and rewards blurred maps.

    Returns:
        [b].

    Raises:
        ValueError: not [b, h, w, k].

    Source: Thewlis et al., ICCV 2017, eq. 7.
    """
    (probabilities,) = floats(probabilities=probabilities)
    overlap = ops.square(ops.sum(probabilities, axis=-1))
    if not own:
        overlap = overlap - ops.sum(ops.square(probabilities), axis=-1)
    return ops.sum(overlap, axis=(1, 2)) / float(probabilities.shape[-1] ** 2)


def _maps(first, second):
    first, second = floats(first=first, second=second)
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"first and second must have the same landmarks, got shapes {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    return first, second


def _places_in_cells(first, grid, mask, lattice):
    """Where the cells of the first view lie on the second one's map, in its cells; which count.

    Returns:
        [b, h, w, 2] and [b, h, w, 1].
    """
    grid = ops.cast(ops.convert_to_tensor(grid), first.dtype)
    if len(grid.shape) != 4 or grid.shape[-1] != 2:
        raise ValueError(f"grid must be [b, h, w, 2], got shape {tuple(grid.shape)}")
    batch, height, width = ops.shape(first)[:3]
    places, known = at_cells("the loss", ops.stop_gradient(grid), height, width, lattice)
    strides = cell_strides("the loss", grid, height, width)
    columns, rows = cell_axes(height, width, strides, lattice, first.dtype)
    stride = ops.cast(ops.stack(strides[::-1]), first.dtype)
    places = (places - ops.stack([columns[0], rows[0]])) / stride
    if mask is not None:
        mask = ops.cast(ops.convert_to_tensor(mask), first.dtype)
        known = known * mask_at_cells("the loss", mask, height, width, lattice)
    return ops.reshape(places, [batch, height, width, 2]), ops.reshape(
        known, [batch, height, width, 1]
    )


def _own_places(maps):
    height, width = ops.shape(maps)[1:3]
    return ops.expand_dims(pixel_grid(height, width, maps.dtype), 0)


def _moments(maps, places):
    """Mean [b, k, 2] and variance [b, k] of places [b or 1, h, w, 2] under maps that sum to 1."""
    places = ops.expand_dims(places, 3)
    weights = ops.expand_dims(maps, -1)
    mean = ops.sum(weights * places, axis=(1, 2))
    # From the mean, in a second pass: sums of squares would cancel.
    offset = places - ops.expand_dims(ops.expand_dims(mean, 1), 1)
    return mean, ops.sum(weights * ops.square(offset), axis=(1, 2, 4))
