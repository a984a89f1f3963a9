"""The soft ternary census transform and its distance, a brightness-robust comparison of images.

Every pixel is described by the signs of its differences to the pixels around it, made soft so that
they have a gradient. The distance of two images is what the photometric loss of DDFlow minimises.
"""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops._backend import custom_gradient
from kcorr.ops.grid import geometry_dtype

# Luma of ITU-R BT.601 as the authors round it, on grey values from 0 to 255.
_GREY = (0.2989 * 255, 0.587 * 255, 0.114 * 255)
_SOFTNESS = 0.81  # t = d / sqrt(0.81 + d^2): half a grey level is already most of a sign
_SATURATION = 0.1  # s / (0.1 + s): two clearly different signs count about 1


def census_transform(image, radius=3):
    """Soft ternary signature of every pixel: t = d / sqrt(0.81 + d^2) in (-1, 1).

    d is the grey difference (0 to 255) of a neighbour and the pixel itself; neighbours outside the
    image are 0.

    Args:
        image: [b, h, w, 3] RGB, or [b, h, w, 1] grey, in [0, 1].
        radius: the neighbourhood has (2 radius + 1)^2 pixels.

    Returns:
        [b, h, w, (2 radius + 1)^2], float32 (float64 for a float64 image), row by row from the top
        left neighbour; the channel in the middle is the pixel itself, 0.

    Raises:
        ValueError: `radius` is below 1 or the image is not [b, h, w, 1 or 3].

    Source: Stein, DAGM 2004 (census for flow); this soft form: Meister et al., UnFlow, AAAI 2018,
    and the released code of DDFlow (Liu et al., AAAI 2019).
    """
    grey = _grey(image, radius)
    height, width = ops.shape(grey)[1:3]
    padded = ops.pad(grey, [[0, 0], [radius, radius], [radius, radius]])
    side = 2 * radius + 1
    signs = []
    for row in range(side):
        for column in range(side):
            d = padded[:, row : row + height, column : column + width] - grey
            signs.append(d * ops.rsqrt(_SOFTNESS + d * d))
    return ops.stack(signs, axis=-1)


def census_distance(image1, image2, radius=3):
    """Soft Hamming distance of the census transforms: sum over channels of s / (0.1 + s).

    s is the squared difference of the two signatures. The same numbers as from
    `census_transform`, several times faster: the pair (p, q) gives the same s as (q, p), so half of
    the neighbours suffice, and no tensor with (2 radius + 1)^2 channels is ever stored.

    Args:
        image1: [b, h, w, 3] RGB, or [b, h, w, 1] grey, in [0, 1].
        image2: the same shape.
        radius: as in `census_transform`.

    Returns:
        [b, h, w, 1], float32 (float64 for float64 images), from 0 to 46.83 for radius 3. Near the
        border it compares zeros; a loss masks `radius` pixels there.

    Raises:
        ValueError: `radius` is below 1, an image is not [b, h, w, 1 or 3], or their sizes differ.

    Source: as `census_transform`.
    """
    first, second = _grey(image1, radius), _grey(image2, radius)
    check_shapes("census_distance", image1=(first, "b h w"), image2=(second, "b h w"))
    dtype = geometry_dtype(first, second)
    first, second = ops.cast(first, dtype), ops.cast(second, dtype)
    batch, height, width = ops.shape(first)
    # Rows of w + r numbers one behind another, r empty rows above and below each image: a
    # neighbour is then a fixed step along one axis, and slices of one axis are plain copies. The r
    # numbers behind a row serve the next row too.
    pitch, rows = width + radius, height + 2 * radius
    steps = list(range(1, radius + 1))
    for dy in range(1, radius + 1):
        steps += [dy * pitch + dx for dx in range(-radius, radius + 1)]

    def flatten(grey):
        padded = ops.pad(grey, [[0, 0], [radius, radius], [0, radius]])
        return ops.pad(ops.reshape(padded, [-1]), [[radius, radius]])

    distance = _pair_distance(steps, batch * rows * pitch + 2 * radius)
    flat = distance(flatten(first), flatten(second))
    # `distance` leaves out steps[-1] numbers at both ends: the empty rows of the first and the
    # last image and the r numbers beyond.
    missing = radius * pitch
    flat = ops.pad(flat, [[missing, missing]])
    image = ops.reshape(flat, [batch, rows, pitch])[:, radius : radius + height, :width]
    return ops.expand_dims(image, -1)


def _pair_distance(steps, size):
    """The distance of two flat images over all pairs (i, i + step) and (i, i - step).

    Its gradient is written out: automatic differentiation would keep some ten tensors per step.
    """
    margin = steps[-1]
    span = size - margin  # of the pair index i
    inner = size - 2 * margin  # of the pixels that have all their neighbours

    def both_ends(pairs, sign):
        """Sums over the pairs a pixel begins plus `sign` times those it ends: [inner]."""
        begins = sum(pairs)[margin : margin + inner]
        ends = sum(
            pair[margin - step : margin - step + inner]
            for step, pair in zip(steps, pairs, strict=True)
        )
        return begins + ends if sign > 0 else ends - begins

    @custom_gradient
    def distance(first, second):
        likeness, slopes1, slopes2 = [], [], []
        for step in steps:
            d1 = first[step : step + span] - first[:span]
            d2 = second[step : step + span] - second[:span]
            r1, r2 = ops.rsqrt(_SOFTNESS + d1 * d1), ops.rsqrt(_SOFTNESS + d2 * d2)
            difference = d1 * r1 - d2 * r2
            # s / (0.1 + s) = 1 - 0.1 q and its derivative is 0.2 (t1 - t2) q^2.
            q = 1.0 / (_SATURATION + difference * difference)
            slope = difference * (q * q)
            likeness.append(q)
            slopes1.append(slope * (r1 * r1 * r1))
            slopes2.append(slope * (r2 * r2 * r2))

        def gradients(upstream):
            upstream = ops.pad(upstream, [[margin, margin]])
            weights = [upstream[step : step + span] + upstream[:span] for step in steps]
            factor = 2 * _SATURATION * _SOFTNESS

            def one(slopes):
                pairs = [w * slope for w, slope in zip(weights, slopes, strict=True)]
                return ops.pad(factor * both_ends(pairs, -1), [[margin, margin]])

            return one(slopes1), -one(slopes2)

        return 2.0 * len(steps) - _SATURATION * both_ends(likeness, 1), gradients

    return distance


def _grey(image, radius):
    """Grey values [b, h, w] from 0 to 255 of an RGB or grey image."""
    image = ops.convert_to_tensor(image)
    if radius < 1:
        raise ValueError(f"radius must be at least 1, got {radius}")
    if len(image.shape) != 4 or image.shape[-1] not in (1, 3):
        raise ValueError(f"the census expects [b, h, w, 1 or 3], got {tuple(image.shape)}")
    image = ops.cast(image, geometry_dtype(image))
    if image.shape[-1] == 1:
        return image[..., 0] * 255.0
    # A product with a vector is twice as fast as three strided slices on a CPU.
    return ops.matmul(image, ops.convert_to_tensor(_GREY, image.dtype))
