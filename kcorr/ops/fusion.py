"""One flow from several estimates of the same flow."""

import itertools

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops.grid import geometry_dtype


def fuse_flows(flows, tolerance=None):
    """The mean of several estimates, and where they agree.

    The fusion rule of DistillFlow's model distillation is not known to us. This is the simplest
    one: the mean of each direction, after which `fb_occlusion` of the two means tells afresh what
    is hidden, and if wanted only pixels count on which any two estimates agree.

    Args:
        flows: list of [b, h, w, 2] pixels, at least one.
        tolerance: pixels; estimates agree where any two ends lie closer than this. None: wherever
            all are finite.

    Returns:
        flow: [b, h, w, 2] pixels, float32 (float64 for float64 flows), 0 where one is not finite.
        agree: [b, h, w, 1], 1 where the estimates are finite and agree. No gradient.

    Raises:
        ValueError: no flow, shapes that differ, or a tolerance that is not positive.

    Source: the idea, several teachers whose predictions are ensembled: Liu et al., DistillFlow,
    TPAMI 2021 (model distillation).
    """
    flows = [ops.convert_to_tensor(flow) for flow in flows]
    if not flows or (tolerance is not None and not tolerance > 0):
        raise ValueError(
            f"fuse_flows expects at least one flow and a positive tolerance or None, got "
            f"{len(flows)} flows and tolerance {tolerance!r}"
        )
    check_shapes("fuse_flows", **{f"flow{i}": (flow, "b h w 2") for i, flow in enumerate(flows)})
    dtype = geometry_dtype(*flows)
    flows = [ops.cast(flow, dtype) for flow in flows]
    finite = ops.all(ops.isfinite(sum(flows)), axis=-1, keepdims=True)
    flows = [ops.where(finite, flow, 0.0) for flow in flows]
    agree = finite
    if tolerance is not None:
        for one, other in itertools.combinations(flows, 2):
            gap = ops.sum(ops.square(one - other), axis=-1, keepdims=True)
            agree = agree & (gap < tolerance * tolerance)
    return sum(flows) / len(flows), ops.stop_gradient(ops.cast(agree, dtype))
