"""What two cameras and two times say about each other: the constraints of Flow2Stereo.

Image 1 is the left camera's at time t, 2 the right one's, 3 and 4 are theirs at t + 1. A point p of
image 1 is seen at p_r = p + w12(p) by the right camera, and at p_l = p + w13(p) by the left one a
frame later. Whichever way one walks to image 4, one must arrive at the same place.
"""

from keras import ops

from kcorr.losses._arguments import floats, mask_like
from kcorr.losses.robust import robust_mean
from kcorr.ops.sample import backward_warp

_SEEN = 1 - 1e-4  # what is left of a visibility of 1 after interpolation in float32


def quadrilateral(
    flow12,
    flow13,
    flow24,
    flow34,
    hidden12=None,
    hidden13=None,
    hidden24=None,
    hidden34=None,
    epsilon=0.01,
    exponent=0.4,
):
    """Over the right camera or over the next frame: both ways from image 1 to image 4 must agree.

        e_u = u12(p) + u24(p_r) - u13(p) - u34(p_l)        e_v = v24(p_r) - v13(p)

    since disparities have no vertical part. Counted is a p that is visible on both ways.

    Args:
        flow12, flow13: [b, h, w, 2] pixels, on image 1's grid.
        flow24: [b, h, w, 2], on image 2's grid.
        flow34: [b, h, w, 2], on image 3's grid.
        hidden12, hidden13, hidden24, hidden34: [b, h, w, 1], 1 = hidden, each on its flow's grid;
            None hides nothing (but what leaves the picture).
        epsilon, exponent: of `kcorr.losses.robust`.

    Returns:
        [b], mean of robust(e_u) plus mean of robust(e_v); 0 where nothing counts.

    Raises:
        ValueError: shapes do not fit.

    Source: Liu et al., Flow2Stereo, CVPR 2020 (L_q).
    """
    error, seen = quadrilateral_error(
        flow12, flow13, flow24, flow34, hidden12, hidden13, hidden24, hidden34
    )
    return _mean_of_both(error, seen, epsilon, exponent)


def triangle(
    flow12,
    flow14,
    flow24,
    hidden12=None,
    hidden14=None,
    hidden24=None,
    epsilon=0.01,
    exponent=0.4,
):
    """Across, or over the right camera: both ways from image 1 to image 4 must agree.

        e_u = u14(p) - u24(p_r) - u12(p)        e_v = v14(p) - v24(p_r)

    Args:
        flow12, flow14: [b, h, w, 2] pixels, on image 1's grid.
        flow24: [b, h, w, 2], on image 2's grid.
        hidden12, hidden14, hidden24: [b, h, w, 1], 1 = hidden, each on its flow's grid; None hides
            nothing (but what leaves the picture).
        epsilon, exponent: of `kcorr.losses.robust`.

    Returns:
        [b], mean of robust(e_u) plus mean of robust(e_v); 0 where nothing counts.

    Raises:
        ValueError: shapes do not fit.

    Source: Liu et al., Flow2Stereo, CVPR 2020 (L_t).
    """
    error, seen = triangle_error(flow12, flow14, flow24, hidden12, hidden14, hidden24)
    return _mean_of_both(error, seen, epsilon, exponent)


def quadrilateral_error(
    flow12,
    flow13,
    flow24,
    flow34,
    hidden12=None,
    hidden13=None,
    hidden24=None,
    hidden34=None,
):
    """`e` [b, h, w, 2] pixels, and [b, h, w, 1], 1 where it counts; see `quadrilateral`."""
    flow12, flow13, flow24, flow34 = floats(
        flow12=flow12, flow13=flow13, flow24=flow24, flow34=flow34
    )
    there24, seen24 = _at(flow24, hidden24, flow12)
    there34, seen34 = _at(flow34, hidden34, flow13)
    across = flow12[..., :1] + there24[..., :1] - flow13[..., :1] - there34[..., :1]
    error = ops.concatenate([across, there24[..., 1:] - flow13[..., 1:]], axis=-1)
    return error, _seen(flow12, hidden12) * _seen(flow13, hidden13) * seen24 * seen34


def triangle_error(flow12, flow14, flow24, hidden12=None, hidden14=None, hidden24=None):
    """`e` [b, h, w, 2] pixels, and [b, h, w, 1], 1 where it counts; see `triangle`."""
    flow12, flow14, flow24 = floats(flow12=flow12, flow14=flow14, flow24=flow24)
    there, seen24 = _at(flow24, hidden24, flow12)
    across = flow14[..., :1] - there[..., :1] - flow12[..., :1]
    error = ops.concatenate([across, flow14[..., 1:] - there[..., 1:]], axis=-1)
    return error, _seen(flow12, hidden12) * _seen(flow14, hidden14) * seen24


def _at(flow, hidden, places):
    """A flow at the ends of another one, and where all of it that takes part is visible there."""
    known = ops.all(ops.isfinite(flow), axis=-1, keepdims=True)
    seen = _seen(flow, hidden) * ops.cast(known, flow.dtype)
    # Unknown vectors travel as zero, so that they do not spread.
    table = ops.concatenate([ops.where(known, flow, ops.zeros_like(flow)), seen], axis=-1)
    values, inside = backward_warp(table, places)
    visible = ops.stop_gradient(ops.cast(values[..., 2:] > _SEEN, flow.dtype) * inside)
    return values[..., :2], visible


def _seen(flow, hidden):
    """1 where visible, [b, h, w, 1], without gradient."""
    if hidden is None:
        return ops.ones_like(flow[..., :1])
    return 1.0 - mask_like(hidden, flow)


def _mean_of_both(error, seen, epsilon, exponent):
    # robust_mean divides the sum of both channels by two.
    return 2.0 * robust_mean(error, seen, epsilon, exponent)
