"""Errors of key points, in numpy: pixels, per cent of the distance of the eyes or of the width.

A prediction that is not finite is an error of infinite size; a point that does not count is NaN in
maps of errors, and left out of means.
"""

import numpy as np


def point_errors(predicted, target, visible=None):
    """Distance of each predicted point from the true one.

    Args:
        predicted: [..., n, 2] pixels, (x, y). May lie outside the picture.
        target: [..., n, 2] pixels.
        visible: [..., n, 1], > 0.5 = counts; None counts everything.

    Returns:
        [..., n] float64 pixels: infinite where the prediction is not finite, NaN where the point
        does not count.

    Raises:
        ValueError: shapes that do not fit.
    """
    predicted, target = np.asarray(predicted, "float64"), np.asarray(target, "float64")
    fits = predicted.shape == target.shape and predicted.ndim > 1 and predicted.shape[-1] == 2
    if not fits or (visible is not None and np.shape(visible) != (*target.shape[:-1], 1)):
        marks = "" if visible is None else f" and visible {np.shape(visible)}"
        raise ValueError(
            "points expect predicted and target [..., n, 2] and visible [..., n, 1], got "
            f"{predicted.shape} and {target.shape}{marks}"
        )
    finite = np.isfinite(predicted).all(axis=-1)
    apart = np.where(finite[..., None], predicted, 0) - target
    errors = np.where(finite, np.hypot(*np.moveaxis(apart, -1, 0)), np.inf)
    counted = True if visible is None else np.asarray(visible)[..., 0] > 0.5
    return np.where(counted, errors, np.nan)


def inter_ocular_error(predicted, target, eyes=(0, 1), visible=None):
    """Mean error of each picture's points in per cent of the distance of the eyes.

    Args:
        predicted: [b, n, 2] pixels.
        target: [b, n, 2] pixels.
        eyes: indices of the two eyes: (0, 1) in the five points of CelebA, MAFL and AFLW, (36, 45),
            the outer corners, in the 68 points of 300-W.
        visible: [b, n, 1], > 0.5 = counts. The eyes' distance is that of the true points, marked or
            not.

    Returns:
        [b] float64 per cent, NaN for a picture none of whose points counts.

    Raises:
        ValueError: shapes that do not fit, or two eyes at one place.

    Source: Thewlis et al., ICCV 2017 and 2019 (DVE, released code); infinite errors are ours.
    """
    target = np.asarray(target, "float64")
    errors = point_errors(predicted, target, visible)
    if errors.ndim != 2:
        raise ValueError(f"inter_ocular_error expects [b, n, 2], got {target.shape}")
    distance = np.linalg.norm(target[:, eyes[0]] - target[:, eyes[1]], axis=-1)
    if not (distance > 0).all():
        where = int(np.flatnonzero(~(distance > 0))[0])
        raise ValueError(f"the eyes of picture {where} are at one place, expected a distance")
    return 100 * mean_of(errors, axis=-1) / distance


def mean_shape(points, visible=None):
    """The mean of each point over pictures: what a predictor that never looks would say.

    Args:
        points: [b, n, 2] pixels.
        visible: [b, n, 1], > 0.5 = counts.

    Returns:
        [n, 2] float64 pixels, NaN for a point that is never visible.
    """
    points = np.asarray(points, "float64")
    if visible is not None:
        points = np.where(np.asarray(visible) > 0.5, points, np.nan)
    return mean_of(points, axis=0)


def mean_of(values, axis=None):
    """The mean of what is not NaN; NaN, without a warning, where all is."""
    values = np.asarray(values, "float64")
    counted = ~np.isnan(values)
    number = counted.sum(axis=axis)
    total = np.where(counted, values, 0).sum(axis=axis)
    mean = np.divide(total, number, out=np.full(np.shape(total), np.nan), where=number > 0)
    return float(mean) if mean.ndim == 0 else mean
