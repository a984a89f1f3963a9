"""Flow should change only where the picture does."""

from keras import ops

from kcorr.losses._arguments import floats, mask_like, sum_pixels, where_counted


def edge_aware_smoothness(flow, image, order=1, edge_constant=150.0, mask=None):
    """Charbonnier penalty of the flow's differences, weighted down at edges of the image.

    With D the difference of two neighbours (order 1: `x[i + 1] - x[i]`) or of two differences
    (order 2: `x[i] - 2 x[i + 1] + x[i + 2]`) along one axis, and dI the difference of the image
    over the same span (`I[i + order] - I[i]`):

        term = mean over pixels and both flow channels of
               exp(-edge_constant * mean over colours of |dI|) * sqrt(D ** 2 + 1e-6)

    and the loss is the mean of the horizontal and the vertical term. A constant flow costs 0.001
    on a plain image. Flow and image live on the same grid; the sources use a quarter of the frame's
    size (flow of pyramid level 2, the image resized to it), weight 4 with order 1 on FlyingChairs
    and Sintel, weight 2 with order 2 on KITTI, beside a census loss of twice this library's scale.

    Args:
        flow: [b, h, w, 2] pixels (any channels are taken: a disparity has one).
        image: [b, h, w, c] in [0, 1]: where the flow starts, i.e. frame 1 for a forward flow. It
            receives no gradient.
        order: 1 punishes motion that is not constant, 2 motion that is not affine along an axis.
        edge_constant: how fast the penalty vanishes at edges; 0 ignores them.
        mask: [b, h, w, 1], 1 = counts; a difference counts when every pixel in it does. None
            counts everything.

    Returns:
        [b], 0 where nothing counts.

    Raises:
        ValueError: shapes do not fit, or `order` is neither 1 nor 2.

    Source: Jonschkowski et al., What Matters in Unsupervised Optical Flow, ECCV 2020
    (UFlow): penalty, edge weight and constants as in its released code.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    flow, image = floats(flow=flow, image=image)
    image = ops.stop_gradient(image)
    mask = mask_like(mask, flow)
    flow, image = where_counted(flow, mask), where_counted(image, mask)
    return 0.5 * sum(_along(axis, flow, image, mask, order, edge_constant) for axis in (1, 2))


def _along(axis, flow, image, mask, order, edge_constant):
    difference = flow
    for _ in range(order):
        first, second = _ends(difference, axis, 1)
        difference = second - first
        first, second = _ends(mask, axis, 1)
        mask = first * second
    first, second = _ends(image, axis, order)
    edge = ops.mean(ops.abs(second - first), axis=-1, keepdims=True)
    weight = ops.exp(-edge_constant * edge) * mask
    # sqrt's slope is infinite at 0; 1e-6 also rounds the penalty off below a thousandth of a pixel.
    penalty = ops.sqrt(ops.square(difference) + 1e-6)
    return sum_pixels(weight * penalty) / (flow.shape[-1] * sum_pixels(mask) + 1e-6)


def _ends(x, axis, distance):
    """All pixels that have a neighbour `distance` further along the axis, and those neighbours."""
    if axis == 1:
        return x[:, :-distance], x[:, distance:]
    return x[:, :, :-distance], x[:, :, distance:]
