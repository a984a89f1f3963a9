"""Quasi-dense matches against ground-truth flow: accuracy at T pixels, in numpy.

Matches are [n, 5]: x1, y1, x2, y2 in pixels of the two pictures, and a score. A match stands on
the pixel nearest to (x1, y1); its displacement is (x2 - x1, y2 - y1).
"""

import numpy as np

from kcorr.metrics.flow import endpoint_error_map


def densify_matches(matches, size, radius=8):
    """Every pixel takes the displacement of its nearest match, if one is near.

    Near is within `radius` in the largest of |dx| and |dy|, so that one match covers a square of
    (2 radius + 1)^2 pixels: 289 by default. Of several matches the nearest in that distance
    counts, of equally near ones that with the highest score (NaN is lowest), of equal ones the
    first.

    Args:
        matches: [n, 5], or [n, 4] of equal scores. Those outside the picture cover what of their
            square lies inside.
        size: (height, width) of picture 1.
        radius: pixels, from 0.

    Returns:
        flow: [h, w, 2] float32 pixels, 0 where no match is near.
        known: [h, w, 1] float32, 1 where one is.

    Raises:
        ValueError: another shape, coordinates that are not finite, or a wrong size or radius.

    Source: Revaud et al., DeepMatching, IJCV 2016, accuracy@T. What decides between equally near
    matches, the papers do not say; the score is our reading.
    """
    matches = as_matches(matches)
    (height, width), radius = _whole(size, "size", 2, 1), _whole([radius], "radius", 1, 0)[0]
    flow = np.zeros((height + 2 * radius, width + 2 * radius, 2), np.float32)
    known = np.zeros((*flow.shape[:2], 1), np.float32)
    place = _pixels(matches)
    near = ((place >= -radius) & (place < np.array([width, height]) + radius)).all(axis=1)
    # Of writes to one place the last stays: so from far to near, and then from low to high scores.
    order = np.lexsort((-np.arange(len(matches)), np.nan_to_num(matches[:, 4], nan=-np.inf)))
    order = order[near[order]]
    place, moved = place[order] + radius, (matches[:, 2:4] - matches[:, :2])[order]
    for distance in range(radius, -1, -1):
        ring = _ring(distance)
        # What lies beyond the margin belongs to no pixel: it is held back on the margin's rim.
        rows = np.clip(place[:, None, 1] + ring[:, 1], 0, len(flow) - 1)
        columns = np.clip(place[:, None, 0] + ring[:, 0], 0, flow.shape[1] - 1)
        flow[rows, columns] = moved[:, None]
        known[rows, columns] = 1
    inside = (slice(radius, radius + height), slice(radius, radius + width))
    return flow[inside].copy(), known[inside].copy()


def matching_accuracy(matches, flow, valid=None, thresholds=(2, 5, 10), radius=8):
    """Accuracy@T: the share of pixels whose densified match is right to T pixels.

    Pixels near no match count as wrong, so that few sure matches do not beat many good ones.

    Args:
        matches: [n, 5] or [n, 4], see `densify_matches`; verified, for the papers' protocol.
        flow: [h, w, 2] pixels, ground truth. May hold anything where `valid` is 0.
        valid: [h, w, 1], > 0.5 = ground truth exists; None counts everything.
        thresholds: pixels; an error of exactly T is right.
        radius: pixels, see `densify_matches`.

    Returns:
        A dict: "acc@T" for each T, shares in [0, 1]; "epe", the mean error in pixels of the matches
        themselves, of those that start where there is ground truth; "matches", how many there are;
        "covered", the share of pixels near a match. Shares and "epe" are NaN where nothing counts.

    Raises:
        ValueError: shapes that do not fit, or ground truth that is not finite where it is valid.

    Source: Revaud et al., IJCV 2016; Thewlis et al., Fully-Trainable Deep Matching, BMVC 2016.
    """
    flow = np.asarray(flow)
    if flow.ndim != 3 or flow.shape[-1] != 2:
        raise ValueError(f"flow has shape {flow.shape}, expected [h, w, 2]")
    height, width = flow.shape[:2]
    counted = np.ones((height, width), bool)
    if valid is not None:
        if np.shape(valid) != (height, width, 1):
            raise ValueError(f"valid has shape {np.shape(valid)}, expected {(height, width, 1)}")
        counted = np.asarray(valid)[..., 0] > 0.5
    if not np.isfinite(flow[counted]).all():
        raise ValueError("the ground truth is not finite where it is valid")
    target = np.where(counted[..., None], flow, 0.0)
    matches = as_matches(matches)
    dense, known = densify_matches(matches, (height, width), radius)
    error = np.where(known > 0, endpoint_error_map(dense, target), np.inf)[counted]
    place = _pixels(matches)
    inside = ((place >= 0) & (place < [width, height])).all(axis=1)
    column, row = place[inside].T
    moved = (matches[:, 2:4] - matches[:, :2])[inside]
    error_of_matches = np.linalg.norm(moved - target[row, column], axis=-1)[counted[row, column]]
    return {
        **{f"acc@{threshold:g}": _mean(error <= threshold) for threshold in thresholds},
        "epe": _mean(error_of_matches),
        "matches": len(matches),
        "covered": _mean(known[..., 0][counted]),
    }


def as_matches(matches):
    """Matches as float64 [n, 5]; of [n, 4], with score 1.

    Raises:
        ValueError: another shape, or coordinates that are not finite.
    """
    matches = np.asarray(matches, "float64")
    if matches.ndim != 2 or matches.shape[1] not in (4, 5):
        raise ValueError(f"matches have shape {matches.shape}, expected [n, 5] or [n, 4]")
    if not np.isfinite(matches[:, :4]).all():
        raise ValueError("matches have coordinates that are not finite")
    if matches.shape[1] == 4:
        matches = np.concatenate([matches, np.ones((len(matches), 1))], axis=1)
    return matches


def _pixels(matches):
    """(x, y) of the pixel that each match stands on; those beyond all pictures stay beyond."""
    return np.clip(np.rint(matches[:, :2]), -(2**40), 2**40).astype(np.int64)


def _ring(distance):
    """(x, y) of the pixels at a distance from the middle, by the larger of |x| and |y|."""
    side = np.arange(-distance, distance + 1)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    on = np.maximum(np.abs(x), np.abs(y)) == distance
    return np.stack([x[on], y[on]], axis=-1)


def _whole(numbers, name, count, least):
    values = np.asarray(numbers)
    if values.shape != (count,) or values.dtype.kind not in "iu" or values.min() < least:
        shown = numbers if count > 1 else numbers[0]
        raise ValueError(f"{name} is {shown!r}, expected whole numbers from {least}")
    return [int(value) for value in values]


def _mean(values):
    return float(values.mean()) if values.size else float("nan")
