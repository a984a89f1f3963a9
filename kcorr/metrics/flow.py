"""The benchmarks' definitions of flow, disparity and occlusion errors, in numpy.

Every function takes one picture or any number of leading axes. A prediction that is not finite is
an error of infinite size: it is an outlier, and makes a mean infinite instead of leaving it out.
"""

import numpy as np


def endpoint_error_map(flow, target):
    """Distance between the ends of the predicted and the true vectors.

    Args:
        flow: [..., h, w, 2] pixels, the prediction.
        target: [..., h, w, 2] pixels. Entries without ground truth may hold anything finite.

    Returns:
        [..., h, w, 1] float64 pixels, infinite where the prediction is not finite.

    Raises:
        ValueError: the shapes differ or the last axis is not 2.
    """
    flow, target = _pair("flow", flow, "target", target, channels=2)
    return _distance(flow, target)


def disparity_error_map(disparity, target):
    """Distance between the predicted and the true disparity.

    Args:
        disparity: [..., h, w, 1] pixels, the prediction.
        target: [..., h, w, 1] pixels. Entries without ground truth may hold anything finite.

    Returns:
        [..., h, w, 1] float64 pixels, infinite where the prediction is not finite.

    Raises:
        ValueError: the shapes differ or the last axis is not 1.
    """
    return _distance(*_pair("disparity", disparity, "target", target, channels=1))


def flow_outliers(flow, target, absolute=3.0, relative=0.05):
    """Fl of KITTI 2015: more than 3 px AND more than 5 % of the true length wrong, both strictly.

    Args:
        flow: [..., h, w, 2] pixels, the prediction.
        target: [..., h, w, 2] pixels.
        absolute: pixels.
        relative: share of the true vector's length.

    Returns:
        [..., h, w, 1] bool.

    Raises:
        ValueError: the shapes differ or the last axis is not 2.

    Source: Menze and Geiger, Object Scene Flow for Autonomous Vehicles, CVPR 2015.
    """
    flow, target = _pair("flow", flow, "target", target, channels=2)
    length = np.sqrt(np.sum(np.square(target), axis=-1, keepdims=True))
    return _outliers(_distance(flow, target), length, absolute, relative)


def kitti2012_outliers(flow, target, absolute=3.0):
    """Out-Noc and Out-All of KITTI 2012: more than 3 px wrong, however long the true vector is.

    Args:
        flow: [..., h, w, 2] pixels, the prediction.
        target: [..., h, w, 2] pixels.
        absolute: pixels.

    Returns:
        [..., h, w, 1] bool.

    Raises:
        ValueError: the shapes differ or the last axis is not 2.

    Source: Geiger et al., Are We Ready for Autonomous Driving, CVPR 2012.
    """
    return endpoint_error_map(flow, target) > absolute


def disparity_outliers(disparity, target, absolute=3.0, relative=0.05):
    """D1 of KITTI 2015: more than 3 px AND more than 5 % of the true disparity wrong, strictly.

    Args:
        disparity: [..., h, w, 1] pixels, the prediction.
        target: [..., h, w, 1] pixels.
        absolute: pixels.
        relative: share of the true disparity.

    Returns:
        [..., h, w, 1] bool.

    Raises:
        ValueError: the shapes differ or the last axis is not 1.

    Source: Menze and Geiger, Object Scene Flow for Autonomous Vehicles, CVPR 2015.
    """
    disparity, target = _pair("disparity", disparity, "target", target, channels=1)
    return _outliers(_distance(disparity, target), np.abs(target), absolute, relative)


def occlusion_counts(predicted, target, valid=None):
    """Hits and misses of a predicted occlusion; occluded (> 0.5) is the positive class.

    Args:
        predicted: [..., h, w, 1], 1 = hidden. A value that is not finite is wrong either way.
        target: [..., h, w, 1], 1 = hidden.
        valid: [..., h, w, 1], > 0.5 = counts; None counts everything.

    Returns:
        (true positives, false positives, false negatives), integers, over all leading axes.

    Raises:
        ValueError: the shapes differ or the last axis is not 1.
    """
    predicted, target = _pair("predicted", predicted, "target", target, channels=1)
    counted = np.ones(target.shape, bool)
    if valid is not None:
        counted = _pair("valid", valid, "target", target, channels=1)[0] > 0.5
    hidden = target > 0.5
    said_hidden = np.where(np.isfinite(predicted), predicted > 0.5, ~hidden)
    return (
        int(np.sum(counted & said_hidden & hidden)),
        int(np.sum(counted & said_hidden & ~hidden)),
        int(np.sum(counted & ~said_hidden & hidden)),
    )


def f_score(true_positives, false_positives, false_negatives):
    """`2 P R / (P + R)`, that is `2 tp / (2 tp + fp + fn)`; NaN where all three are 0."""
    total = 2 * true_positives + false_positives + false_negatives
    return 2 * true_positives / total if total else float("nan")


def occlusion_f_score(predicted, target, valid=None):
    """F-measure of a predicted occlusion, pixels of all leading axes pooled.

    Arguments and errors are those of `occlusion_counts`.

    Returns:
        A float in [0, 1], 1 = perfect; NaN where nothing is hidden and nothing was said to be.
    """
    return f_score(*occlusion_counts(predicted, target, valid))


def _distance(predicted, target):
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.sqrt(np.sum(np.square(predicted - target), axis=-1, keepdims=True))
    # Not NaN: a NaN is not greater than 3, so it would count as correct.
    finite = np.all(np.isfinite(predicted), axis=-1, keepdims=True)
    return np.where(finite, error, np.inf)


def _outliers(error, length, absolute, relative):
    # Both conditions at once, without dividing by a length that may be 0.
    return error > np.maximum(absolute, relative * length)


def _pair(name, value, other_name, other, channels):
    # float64, so that float32 inputs are compared with the thresholds without further rounding.
    value, other = np.asarray(value, "float64"), np.asarray(other, "float64")
    for label, array in ((name, value), (other_name, other)):
        if array.ndim < 3 or array.shape[-1] != channels:
            raise ValueError(f"{label} must be [..., h, w, {channels}], got shape {array.shape}")
    if value.shape != other.shape:
        raise ValueError(
            f"{name} and {other_name} must have the same shape, got {value.shape} and {other.shape}"
        )
    return value, other
