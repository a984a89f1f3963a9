"""Equivariance of points under a known warp."""

import numpy as np
from keras import ops

from kcorr.metrics.points import point_errors
from kcorr.ops import sample_points


def equivariance_errors(points1, points2, grid, valid=None):
    """How far points found in the second view are from where the warp takes those of the first.

    Args:
        points1: [b, n, 2] pixels, found in image1.
        points2: [b, n, 2] pixels, found in image2.
        grid: [b, h, w, 2] pixels, where each pixel of image1 lies in image2.
        valid: [b, h, w, 1], > 0.5 = the grid's entry counts; a point does where all four entries
            around it do.

    Returns:
        [b, n] float64 pixels of image2: NaN for a point that lies outside image1 or its valid part,
        infinite for one that is not finite.

    Raises:
        ValueError: shapes that do not fit.
    """
    points1, grid = np.asarray(points1, "float32"), np.asarray(grid, "float32")
    known = np.isfinite(grid).all(axis=-1, keepdims=True)
    if valid is not None:
        known &= np.asarray(valid) > 0.5
    table = np.concatenate([np.where(known, grid, 0), known], axis=-1)
    values, inside = (
        ops.convert_to_numpy(one) for one in sample_points(table, points1, border="edge")
    )
    counted = (inside > 0.5) & (values[..., 2:] > 1 - 1e-4)
    errors = point_errors(points2, values[..., :2], counted)
    return np.where(np.isfinite(points1).all(axis=-1), errors, np.inf)
