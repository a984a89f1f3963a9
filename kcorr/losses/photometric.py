"""Do the two frames look the same once the second is pulled back onto the first?"""

from keras import ops

from kcorr.losses._arguments import mask_like, pair
from kcorr.losses.robust import robust_mean
from kcorr.ops.census import census_distance


def photometric(image1, warped2, mask=None):
    """Robust brightness difference.

    Args:
        image1: [b, h, w, c]. Frame 1, in [0, 1].
        warped2: [b, h, w, c]. Frame 2 warped onto frame 1, in [0, 1].
        mask: [b, h, w, 1], 1 = counts, normally 1 - occlusion; None counts everything.

    Returns:
        [b], with the scale of `robust_mean`: 0.2377340 for two identical colour images.

    Raises:
        ValueError: shapes do not fit.

    Source: Liu et al., DDFlow, AAAI 2019.
    """
    image1, warped2 = pair(image1=image1, warped2=warped2)
    return robust_mean(image1 - warped2, mask)


def census(image1, warped2, mask=None, radius=3):
    """Robust soft Hamming distance of the two census transforms: the main loss of the family.

    It compares the order of grey values around a pixel, so it forgives changes of brightness and
    contrast. The `radius` outermost pixels do not count, because their patches leave the picture.

    Args:
        image1: [b, h, w, 3]. Frame 1, in [0, 1].
        warped2: [b, h, w, 3]. Frame 2 warped onto frame 1, in [0, 1]; gradients flow through both.
            A value that is not finite is read as 0 where the mask is 0.
        mask: [b, h, w, 1], 1 = counts, normally 1 - occlusion; None counts everything.
        radius: of the patch, in pixels; 3 compares 48 neighbours.

    Returns:
        [b], with the scale of `robust_mean`: 0.0792447 for two identical images, at most 2.33 for
        radius 3. 0 for a picture that is not larger than its border.

    Raises:
        ValueError: shapes do not fit.

    Source: Meister et al., UnFlow, AAAI 2018 (ternary census); constants and border as
    in the released code of DDFlow (Liu et al., AAAI 2019).
    """
    image1, warped2 = pair(image1=image1, warped2=warped2)
    mask = mask_like(mask, image1)
    # A patch may reach into places that do not count, so their values stay unless they would
    # spread: only NaN and infinity are taken out.
    image1, warped2 = (
        ops.where(ops.logical_or(mask > 0, ops.isfinite(image)), image, ops.zeros_like(image))
        for image in (image1, warped2)
    )
    distance = census_distance(image1, warped2, radius)
    return robust_mean(distance, mask * interior_mask(mask, radius))


def interior_mask(x, border):
    """[b, h, w, c] -> [1, h, w, 1], 1 where a pixel has `border` others between it and the outside.

    Sizes may be dynamic.
    """
    height, width = ops.shape(x)[1:3]
    rows, columns = ops.arange(height), ops.arange(width)
    rows = ops.logical_and(rows >= border, rows < height - border)
    columns = ops.logical_and(columns >= border, columns < width - border)
    inside = ops.logical_and(ops.reshape(rows, [1, -1, 1, 1]), ops.reshape(columns, [1, 1, -1, 1]))
    return ops.cast(inside, x.dtype)
