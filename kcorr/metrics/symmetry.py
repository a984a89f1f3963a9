"""Errors of objects with an n-fold symmetry: up to the symmetry, and about its axis; in numpy."""

import numpy as np

from kcorr.metrics.points import mean_of, point_errors


def powers_of(permutation):
    """A permutation applied 0, 1, 2, ... times until it is the identity again.

    Args:
        permutation: [n], such as `symmetric_points` of `NFoldObject`.

    Returns:
        [k, n] integers; the first row is 0, 1, ..., n - 1.

    Raises:
        ValueError: no permutation.
    """
    permutation = np.asarray(permutation)
    start = np.arange(len(permutation))
    if permutation.ndim != 1 or not np.array_equal(np.sort(permutation), start):
        raise ValueError(f"expected each of 0..{len(permutation) - 1} once, got {permutation}")
    found = [start]
    while not np.array_equal(permutation[found[-1]], start):
        found.append(permutation[found[-1]])
    return np.stack(found)


def errors_up_to_symmetry(predicted, target, permutations, visible=None):
    """Point errors of each picture under the permutation of its points that fits best.

    An n-fold object has no first leg: a match that takes every leg to the next one is as right as
    one that takes it to itself, if it does so with all of them.

    Args:
        predicted: [b, n, 2] pixels.
        target: [b, n, 2] pixels.
        permutations: [k, n], from `powers_of`.
        visible: [b, n, 1] of the targets, > 0.5 = counts. Of a prediction whose own point does not
            count nothing is said here: leave it out beforehand.

    Returns:
        (errors [b, n] pixels, NaN where the permuted target does not count; which permutation, [b];
        0 where none leaves anything that counts).

    Raises:
        ValueError: shapes that do not fit.
    """
    target, permutations = np.asarray(target), np.asarray(permutations)
    visible = None if visible is None else np.asarray(visible)
    each = np.stack(
        [
            point_errors(predicted, target[:, one], None if visible is None else visible[:, one])
            for one in permutations
        ]
    )
    means = mean_of(each, axis=-1)
    best = np.argmin(np.where(np.isnan(means), np.inf, means), axis=0)
    return each[best, np.arange(len(best))], best


def axis_angles(vectors, axis=(0.0, 0.0, 1.0)):
    """Angles between labels and an axis, whose direction does not matter.

    The middle of an n-fold object must be mapped to the axis of the rotations: for a label that
    knows nothing of it the mean angle is 57.3 degrees, 1 radian.

    Args:
        vectors: [..., 3], labels.
        axis: (x, y, z).

    Returns:
        [...] degrees, 0 to 90; 90 for a label of length 0.
    """
    vectors, axis = np.asarray(vectors, "float64"), np.asarray(axis, "float64")
    length = np.linalg.norm(vectors, axis=-1) * np.linalg.norm(axis)
    along = np.abs(vectors @ axis)
    cosine = np.divide(along, length, out=np.zeros_like(along), where=length > 0)
    return np.degrees(np.arccos(np.clip(cosine, 0, 1)))
