"""Occlusion from the disagreement of the forward and the backward flow."""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops.grid import geometry_dtype
from kcorr.ops.sample import backward_warp


def fb_occlusion(
    forward, backward, alpha1=0.01, alpha2=0.5, outside_is_occluded=True, border="zero"
):
    """Forward-backward check: which pixels of frame 1 are hidden in frame 2.

    A pixel p is occluded where |w_f + w_b'|^2 > alpha1 (|w_f|^2 + |w_b'|^2) + alpha2, with w_b' the
    backward flow at p + w_f(p). Swap the two flows for the occlusion of frame 2. No gradient
    passes.

    A pixel whose flow is NaN or infinite, or that arrives at such a backward flow, is occluded:
    nothing confirms that it is visible.

    Args:
        forward: [b, h, w, 2] pixels, (x, y), frame 1 to frame 2.
        backward: [b, h, w, 2] pixels, frame 2 to frame 1.
        alpha1: tolerance that grows with the motion, no unit. 0.01 in the authors' code.
        alpha2: constant tolerance, pixels squared. 0.5 in the authors' code; their papers print
            0.05.
        outside_is_occluded: whether a pixel that leaves the frame is occluded by definition. The
            authors' code has no such rule: there the sampled backward flow is 0 outside, so that
            only pixels that moved more than 0.71 px count as occluded.
        border: of `backward_warp`. With "authors" and `outside_is_occluded=False` this is the
            authors' code to the letter.

    Returns:
        [b, h, w, 1], float32 (float64 for float64 flows), 1 = hidden in frame 2.

    Raises:
        ValueError: the shapes do not fit, or `border` is unknown.

    Source: Sundaram et al., ECCV 2010; constants: Meister et al., UnFlow, AAAI 2018, and the
    released code of DDFlow (Liu et al., AAAI 2019).
    """
    forward, backward = ops.convert_to_tensor(forward), ops.convert_to_tensor(backward)
    check_shapes("fb_occlusion", forward=(forward, "b h w 2"), backward=(backward, "b h w 2"))
    dtype = geometry_dtype(forward, backward)
    forward = ops.stop_gradient(ops.cast(forward, dtype))
    backward = ops.stop_gradient(ops.cast(backward, dtype))
    # An unknown vector travels as zero beside a mark, so that it does not spread to samples that
    # give it no weight.
    unknown = ~ops.all(ops.isfinite(backward), axis=-1, keepdims=True)
    marked = ops.concatenate([ops.where(unknown, 0.0, backward), ops.cast(unknown, dtype)], -1)
    returned, inside = backward_warp(marked, forward, border)
    returned, unknown = returned[..., :2], ops.abs(returned[..., 2:]) > 1e-4
    mismatch = _squared_length(forward + returned)
    allowed = alpha1 * (_squared_length(forward) + _squared_length(returned)) + alpha2
    # Stated as visibility, because a comparison with NaN is false; inf <= inf needs its own guard.
    visible = (mismatch <= allowed) & ops.isfinite(mismatch) & ~unknown
    if outside_is_occluded:
        visible = visible & (inside > 0)
    return 1.0 - ops.cast(visible, dtype)


def _squared_length(flow):
    return ops.sum(flow * flow, axis=-1, keepdims=True)
