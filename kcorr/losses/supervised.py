"""Endpoint error against a flow that is known, at full size or at every level of a pyramid."""

from keras import ops

from kcorr.losses._arguments import floats, mask_like, pair, sum_pixels, where_counted
from kcorr.losses.robust import check_penalty, power


def endpoint_error(flow, target, valid=None, epsilon=0.0, exponent=1.0):
    """Mean distance between the ends of the flow vectors, `sum(e * valid) / (sum(valid) + 1e-6)`.

    Args:
        flow: [b, h, w, 2] pixels.
        target: [b, h, w, 2] pixels; it receives no gradient.
        valid: [b, h, w, 1], 1 = the target is known; None counts everything.
        epsilon: with `exponent`, makes the error robust: `(e + epsilon) ** exponent`. The defaults
            are the plain Euclidean error; PWC-Net fine-tunes with 0.01 and 0.4.
        exponent: see `epsilon`.

    Returns:
        [b] pixels (if not made robust), 0 where nothing is valid.

    Raises:
        ValueError: shapes do not fit, or the penalty is not differentiable (see `robust`).

    Source: the released code of SelFlow (Liu et al., CVPR 2019), full-resolution output only; Sun
    et al., PWC-Net, CVPR 2018 (robust form; it takes the L1 norm of the error vector, this
    takes the Euclidean one, so that the error does not depend on the direction).
    """
    check_penalty(epsilon, exponent)
    flow, target = pair(flow=flow, target=target)
    valid = mask_like(valid, flow)
    difference = where_counted(flow - ops.stop_gradient(target), valid)
    # 1e-12 keeps the gradient of the norm finite at 0 and adds a millionth of a pixel.
    error = ops.sqrt(ops.sum(ops.square(difference), axis=-1, keepdims=True) + 1e-12)
    error = power(error, epsilon, exponent)
    return sum_pixels(error * valid) / (sum_pixels(valid) + 1e-6)


def pyramid_endpoint_error(
    flow_pyramid, target, valid=None, weights=None, epsilon=0.0, exponent=1.0
):
    """Endpoint error of every level of a pyramid, in pixels of the full-size target.

    With H x W the target's size and h x w a level's, level flow w_L in pixels of its own grid:

        t_L = sum_A(valid * target) / sum_A(valid)      known vectors averaged over the area A that
                                                        a level's pixel covers; 0 if none is known
        v_L = sum_A(valid) / |A|                        the known share of that area
        e_L = | (W/w, H/h) * w_L - t_L |                Euclidean, in pixels of the target
        loss_L = sum(v_L * (e_L + epsilon) ** exponent) / (sum(v_L) + 1e-6)
        loss = sum_L(weight_L * loss_L) / sum_L(weight_L)

    (Scaling w_L up is the same as scaling t_L down to the level's pixels and counting the error in
    pixels of the target.) So a level's loss is comparable with any other's whatever its size, and
    the whole is comparable with `endpoint_error`. A level's pixel (x, y) covers
    [x W/w, (x + 1) W/w) x [y H/h, (y + 1) H/h) of the target, also where the ratio is no integer:
    a 375-row target has 188 rows at level 1.

    FlowNet's and PWC-Net's weights (0.32, 0.08, 0.02, 0.01, 0.005 from level 6 to 2) multiply sums
    over pixels; as weights of means, which are wanted here, they are in the ratio 1, 1, 1, 2, 4.

    Args:
        flow_pyramid: sequence of [b, h, w, 2], in any order, each in pixels of its own grid.
        target: [b, H, W, 2] pixels; it receives no gradient.
        valid: [b, H, W, 1], 1 = the target is known; None counts everything.
        weights: one number for each level, in the order of `flow_pyramid`; None weighs all alike.
        epsilon: of the robust form, see `endpoint_error`.
        exponent: of the robust form.

    Returns:
        [b] pixels of the target (if not made robust), 0 where nothing is valid.

    Raises:
        ValueError: shapes do not fit, the pyramid is empty, or `weights` has another length, a
            negative entry or no positive one.

    Source: multi-level training as in Dosovitskiy et al., FlowNet, ICCV 2015, and Sun et al.,
    PWC-Net, CVPR 2018; normalisation and averaging are this library's.
    """
    levels = list(flow_pyramid)
    weights = [1.0] * len(levels) if weights is None else [float(weight) for weight in weights]
    if not levels:
        raise ValueError("flow_pyramid is empty: expected at least one level")
    if len(weights) != len(levels) or min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(
            f"weights must be {len(levels)} numbers, one for each level, none negative and one "
            f"positive, got {weights}"
        )
    (target,) = floats(target=target)
    valid = mask_like(valid, target)
    target = where_counted(ops.stop_gradient(target), valid)
    total = 0.0
    for weight, flow in zip(weights, levels, strict=True):
        (flow,) = floats(flow=flow)
        if weight == 0:
            continue
        level_target, level_valid = downsample_target(target, valid, ops.shape(flow)[1:3])
        error = endpoint_error(
            flow * _scale(flow, target), level_target, level_valid, epsilon, exponent
        )
        total = total + weight * error
    return total / sum(weights)


def downsample_target(target, valid, size):
    """Averages the known vectors over the area that each pixel of a coarser grid covers.

    The vectors keep the unit of the target's own pixels (`pyramid_endpoint_error` has the formula).

    Args:
        target: [b, H, W, c], finite everywhere.
        valid: [b, H, W, 1], 1 = known.
        size: (rows, columns) of the coarser grid, integers or scalar tensors.

    Returns:
        target: [b, h, w, c], 0 where nothing is known.
        valid: [b, h, w, 1], the known share of the area, in [0, 1].
    """
    static = all(isinstance(length, int) for length in size)
    if static and tuple(size) == tuple(target.shape[1:3]):
        return where_counted(target, valid), valid
    height, width = ops.shape(target)[1:3]
    rows = _area_weights(height, size[0], target.dtype)
    columns = _area_weights(width, size[1], target.dtype)

    def average(x):
        return ops.einsum("jx,bixc->bijc", columns, ops.einsum("iy,byxc->bixc", rows, x))

    share = average(valid)
    known = share > 0
    summed = average(target * valid)
    return ops.where(known, summed / ops.where(known, share, ops.ones_like(share)), 0.0), share


def _area_weights(old, new, dtype):
    """[new, old]: the share of each new cell that each old pixel fills; rows sum to 1."""
    ratio = ops.cast(old, dtype) / ops.cast(new, dtype)
    start = ops.expand_dims(ops.arange(new, dtype=dtype) * ratio, 1)
    pixel = ops.expand_dims(ops.arange(old, dtype=dtype), 0)
    overlap = ops.minimum(start + ratio, pixel + 1) - ops.maximum(start, pixel)
    return ops.maximum(overlap, 0.0) / ratio


def _scale(flow, target):
    """(W/w, H/h): turns pixels of the flow's grid into pixels of the target's."""
    small, large = ops.shape(flow)[1:3], ops.shape(target)[1:3]
    ratios = [ops.cast(large[i], flow.dtype) / ops.cast(small[i], flow.dtype) for i in (1, 0)]
    return ops.stack(ratios)
