"""The robust penalty of DDFlow and SelFlow, and the masked reduction that goes with it."""

from keras import ops

from kcorr.losses._arguments import floats, mask_like, sum_pixels, where_counted
from kcorr.ops.grid import geometry_dtype


def robust(x, epsilon=0.01, exponent=0.4):
    """Generalised Charbonnier penalty `(|x| + epsilon) ** exponent`, element by element.

    Args:
        x: any shape; half precision is computed in float32.
        epsilon: keeps the slope at 0 finite: it is `exponent * epsilon ** (exponent - 1)` beside 0
            (6.34 by default) and 0 at 0 itself.
        exponent: 1 is the absolute value, smaller forgives outliers more.

    Returns:
        The shape of `x`, float32 (float64 if `x` is).

    Raises:
        ValueError: `epsilon` is not positive although `exponent` is below 1 (the gradient at 0
            would be infinite), or `exponent` is not positive.

    Source: Liu et al., DDFlow, AAAI 2019 (psi); Sun et al., A Quantitative Analysis of
    Current Practices in Optical Flow Estimation, IJCV 2014 (generalised Charbonnier).
    """
    check_penalty(epsilon, exponent)
    x = ops.convert_to_tensor(x)
    x = ops.cast(x, geometry_dtype(x))
    # |x| with slope 0 at 0 on every backend: jax's own abs has slope 1 there, so that pixels which
    # are already right would be pushed with the steepest slope there is.
    magnitude = x * ops.stop_gradient(ops.sign(x))
    return power(magnitude, epsilon, exponent)


def robust_mean(x, mask=None, epsilon=0.01, exponent=0.4):
    """The authors' reduction, `sum(robust(x) * mask) / (2 * sum(mask) + 1e-6)`, per example.

    The sum runs over all channels of `x` while the mask has one, so the constant 2 makes it a true
    mean for two channels only (a flow): three colour channels weigh 1.5 times a mean, a census
    distance half of one. Weights of other terms are tuned against that scale; it is kept.
    (The authors pool over the batch; one example gives the same number.)

    Args:
        x: [b, h, w, c]. Anything, NaN too, may stand where the mask is 0.
        mask: [b, h, w, 1], 1 = counts; None counts everything. It receives no gradient.
        epsilon: of `robust`.
        exponent: of `robust`.

    Returns:
        [b], 0 where nothing counts.

    Raises:
        ValueError: shapes do not fit, or the penalty is not differentiable (see `robust`).

    Source: the released code of DDFlow (Liu et al., AAAI 2019).
    """
    (x,) = floats(x=x)
    mask = mask_like(mask, x)
    penalty = robust(where_counted(x, mask), epsilon, exponent)
    return sum_pixels(penalty * mask) / (2.0 * sum_pixels(mask) + 1e-6)


def power(magnitude, epsilon, exponent):
    """`(magnitude + epsilon) ** exponent` of something that is not negative."""
    magnitude = magnitude + epsilon if epsilon else magnitude
    # x ** 1 would cost a logarithm and an exponential a pixel.
    return magnitude if exponent == 1 else ops.power(magnitude, exponent)


def check_penalty(epsilon, exponent):
    """Raises ValueError unless `(|x| + epsilon) ** exponent` has a finite gradient everywhere."""
    if not exponent > 0:
        raise ValueError(f"exponent must be positive, got {exponent}")
    if epsilon < 0 or (exponent < 1 and epsilon == 0):
        raise ValueError(
            f"epsilon must be positive when exponent is below 1 (the gradient at 0 is infinite "
            f"otherwise) and never negative, got epsilon {epsilon}, exponent {exponent}"
        )
