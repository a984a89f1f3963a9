"""Stereo with a flow network: disparity, depth, and whether the pair is rectified at all."""

import math

import numpy as np

from kcorr.models.predict import Predictor

VERTICAL_LIMIT = 1.0  # pixels; a rectified pair has no vertical motion but the network's errors
SWAP_LIMIT = 0.5  # pixels; scenes without near things have a median of about 0


def predict_disparity(network, left, right, occlusion=True, max_side=None):
    """Disparity of one rectified stereo pair: the flow from left to right without its sign.

    In a rectified pair a point lies in the same row of both pictures, and in the right one further
    to the left: d = x_left - x_right = -u >= 0. The network's v is ignored, and a u above 0, which
    no point in front of the cameras has, counts as infinitely far.

    Args:
        network: a flow network, see `kcorr.models.predict`; or a `Predictor` of one, for many pairs
            (`occlusion` and `max_side` are then the predictor's own).
        left: [h, w, 3], uint8, uint16 or float in [0, 1], of any size.
        right: like `left`, of the same size.
        occlusion: also what the right camera does not see; twice the work.
        max_side: the network sees pictures shrunk to this longest side.

    Returns:
        A dict of float32 arrays:
        disparity: [h, w, 1] pixels, of the left picture, >= 0.
        occlusion: [h, w, 1], 1 = hidden from the right camera, if `occlusion`.
        flow: [h, w, 2] pixels, left to right, as the network gave it (see `rectification_problem`).

    Raises:
        ValueError: see `kcorr.models.predict`.

    Source: Liu et al., Flow2Stereo, CVPR 2020 (stereo as a special case of flow).
    """
    if not isinstance(network, Predictor):
        network = Predictor(network, occlusion, max_side, compiled=False)
    result = network(left, right)
    keys = [key for key in ("occlusion", "flow") if key in result]
    disparity = disparity_of_flow(result["flow"])
    return {"disparity": disparity, **{key: result[key] for key in keys}}


def disparity_of_flow(flow):
    """[..., 2] pixels from left to right -> [..., 1] pixels x_left - x_right, at least 0."""
    return np.maximum(-np.asarray(flow)[..., :1], 0)


def depth_of_disparity(disparity, focal, baseline, offset=0.0):
    """Distance from the cameras' plane, `focal * baseline / (disparity + offset)`.

    Args:
        disparity: [...] pixels; not finite is unknown.
        focal: focal length of the rectified cameras, pixels of the disparity's picture.
        baseline: distance of the cameras, in the unit that the depth shall have.
        offset: x of the right camera's principal point minus that of the left one, pixels
            (Middlebury's "doffs"); 0 where both are the same.

    Returns:
        [...] in the baseline's unit, dtype of the disparity (float64 for integers). Infinite where
        `disparity + offset` is not positive, NaN where it is not finite.

    Raises:
        ValueError: `focal` or `baseline` is not a positive number, or `offset` not a number.
    """
    for name, value in (("focal", focal), ("baseline", baseline)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value!r}, expected a number above 0")
    if not math.isfinite(offset):
        raise ValueError(f"offset is {offset!r}, expected a number of pixels")
    disparity = np.asarray(disparity)
    if disparity.dtype.kind != "f":
        disparity = disparity.astype("float64")
    shifted = disparity + disparity.dtype.type(offset)
    some = np.isfinite(shifted) & (shifted > 0)
    depth = np.where(np.isfinite(shifted), np.inf, np.nan).astype(disparity.dtype)
    with np.errstate(over="ignore"):  # a disparity of nearly nothing is infinitely far
        np.divide(focal * baseline, shifted, out=depth, where=some, casting="same_kind")
    return depth


def rectification_problem(flow):
    """Says what a flow from left to right reveals about the pair, or None where it looks fine.

    Args:
        flow: [h, w, 2] pixels.

    Returns:
        A sentence: the pictures are swapped (the median of u is above 0.5 px), or not rectified
        (the median of |v| is above 1 px); medians, because a few wrong vectors are normal.
    """
    flow = np.asarray(flow)
    known = np.isfinite(flow).all(axis=-1)
    if not known.any():
        return None
    u, v = np.median(flow[known][:, 0]), np.median(np.abs(flow[known][:, 1]))
    if u > SWAP_LIMIT:
        return (
            f"most points lie {u:.1f} px further right in the right picture: are left and right "
            "swapped?"
        )
    if v > VERTICAL_LIMIT:
        return (
            f"points lie {v:.1f} px higher or lower in the right picture (median): the pair is not "
            "rectified, and its disparity is not reliable"
        )
    return None
