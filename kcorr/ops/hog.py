"""Pixel descriptors of oriented gradients, and the patches that deep matching compares.

A picture becomes a map of nine channels at half its size: eight directions of its gradient and a
constant, which keeps flat regions alike. `stack_patches` puts 4 x 4 of these cells into one vector.

Where things lie (pixels, `kcorr.ops.grid`): with cells of s pixels, cell a covers the pixels s a to
s a + s - 1. A patch of an even number of cells has its middle on the corner between two cells, half
a pixel before a pixel's centre: patch r of `stack_patches` is that around corner r, its middle at
s r - 1/2. The released programs count from the picture's edge, not from the first
pixel's centre, and call the same point s r.
"""

import math

import numpy as np
from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops.correlation import unit_length
from kcorr.ops.grid import geometry_dtype

VARIANTS = ("cpu", "gpu")
GRADIENTS = ("sobel", "difference")
ORIENTATIONS = 8
_WIDEST = 1.86  # standard deviation of one pass of the "cpu" Gaussian; more takes several
# The "gpu" program divides the deviations of its first two Gaussians, and of its last, by these.
_CORRECTION, _LAST_CORRECTION = 0.996, 1.004
_EPSILON = 1e-8


def hog_maps(
    images,
    variant="cpu",
    presmooth=1.0,
    gradient=None,
    mid=None,
    post=1.0,
    slope=0.2,
    ninth=0.3,
    downscale=1,
):
    """Eight smoothed gradient directions and a constant for every cell of a picture.

    In order: the mean of the colours, in 0..255; a Gaussian; the gradient (dx, dy); channels
    max(0, cos(k pi/4) dx + sin(k pi/4) dy), k = 0..7; a Gaussian each; 2 / (1 + exp(-slope v)) - 1;
    a Gaussian each; the constant; pooling.

    - "cpu", the released C++ program: separable Gaussians of 3, 5 or 7 integer weights (see
      `integer_gaussian`), borders replicated, average-pooling.
    - "gpu", the released GPU program, the baseline of the paper that trains deep matching: 5 x 5
      Gaussians, divided at borders by the weights that lie inside; the first one also makes a
      frame of one pixel, which the gradient uses up; max-pooling; each cell scaled to length 1/4,
      so that a patch of 4 x 4 has length 1.

    All is computed in floating point, where the C++ program rounds towards 0 to 8 bits after the
    colours' mean, after each axis of the first Gaussian and after the gradient's own smoothing, and
    reads the sigmoid from a table (linear between steps of 1/8 of `slope v`, its end at 8), which
    moves its value by less than 0.001. Emulated with these integers, the patches of a picture have
    a cosine above 0.99 with ours (a test holds it).

    Args:
        images: [b, h, w, 3], RGB in [0, 1].
        variant: "cpu" or "gpu".
        presmooth: standard deviation of the first Gaussian, pixels; 1 for JPEG pictures, 0 (none)
            for lossless ones. At 0 "gpu" has no frame and replicates the border for the gradient;
            the program would lose a pixel on each side.
        gradient: "difference", [-1, 0, 1], or "sobel", the same of the picture smoothed by
            [1, 2, 1] / 4 across; None is "sobel" for "cpu" and "difference" for "gpu". The C++
            program has both, and a public copy of it takes the plain difference.
        mid: deviation of the Gaussian before the sigmoid; None is 1.5 for "cpu", 1 for "gpu".
        post: deviation of the one after it.
        slope: of the sigmoid.
        ninth: the constant; 0.3 for JPEG pictures, 0.1 for lossless ones.
        downscale: times that the map is halved; 1 in the released programs' matching. Rows and
            columns that fill no cell are left out.

    Returns:
        [b, h // 2^downscale, w // 2^downscale, 9], float32 (float64 for float64 images), at least
        0. A constant picture has 0 but in the last channel.

    Raises:
        ValueError: an argument out of its range, or no such images.

    Source: Revaud et al., DeepMatching, IJCV 2016, and its released programs.
    """
    images = ops.convert_to_tensor(images)
    check_shapes("hog_maps", images=(images, "b h w 3"))
    check_hog(variant, presmooth, gradient, mid, post, slope, ninth, downscale)
    gradient = gradient or ("sobel" if variant == "cpu" else "difference")
    mid = (1.5 if variant == "cpu" else 1.0) if mid is None else mid
    cpu, cells = variant == "cpu", 2**downscale

    images = ops.cast(images, geometry_dtype(images))
    grey = ops.sum(images, axis=-1, keepdims=True) * (255.0 / 3)  # Keras' mean is float32 on jax
    dx, dy = (_cpu_gradient if cpu else _gpu_gradient)(grey, presmooth, gradient == "sobel")
    angles = np.arange(ORIENTATIONS) * (2 * np.pi / ORIENTATIONS)
    maps = dx * ops.cast(np.cos(angles), dx.dtype) + dy * ops.cast(np.sin(angles), dx.dtype)
    maps = _smoothed(ops.relu(maps), mid, cpu, _CORRECTION)
    maps = 2.0 * ops.sigmoid(slope * maps) - 1.0
    maps = _smoothed(maps, post, cpu, _LAST_CORRECTION)
    # The GPU program adds the constant before the sigmoid, so that it is `ninth` after; nothing in
    # between changes a constant.
    maps = ops.concatenate([maps, ops.full_like(maps[..., :1], ninth)], axis=-1)
    if downscale:
        pool = ops.average_pool if cpu else ops.max_pool
        maps = pool(maps, cells, cells, padding="valid")
    return maps if cpu else unit_length(maps, _EPSILON) * 0.25


def stack_patches(maps, variant="cpu", side=4, stride=1):
    """One descriptor of side x side cells around each corner between cells, or each stride-th.

    They start with the patch around the picture's top-left corner and include all that are half
    outside, where cells are 0: patch i is that around corner `stride i`.

    Args:
        maps: [b, h, w, c], of `hog_maps`.
        variant: "cpu" scales each descriptor to length 1 (eps 1e-8), over the cells that lie
            inside. "gpu" multiplies it by side^2 / n, n the cells that lie inside: whole patches of
            cells of length 1/side have length 1, and a patch across the border scores 1 with its
            like.
        side: cells, even.
        stride: cells from one patch to the next.

    Returns:
        [b, h // stride + 1, w // stride + 1, side^2 c]; channel (row side + column) c + k is
        channel k of a cell of the patch.

    Raises:
        ValueError: unknown variant, odd `side`, `stride` below 1, or the map is smaller than one
            patch.
    """
    maps = ops.convert_to_tensor(maps)
    check_shapes("stack_patches", maps=(maps, "b h w c"))
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    if side < 2 or side % 2 or stride < 1 or stride != int(stride):
        raise ValueError(f"need an even side and a stride from 1, got {side} and {stride}")
    if any(size is not None and size < side for size in maps.shape[1:3]):
        raise ValueError(
            f"expected at least {side}x{side} cells, one patch, got {tuple(maps.shape)}"
        )
    patches = _stacked(maps, side, stride)
    if variant == "cpu":
        return unit_length(patches, _EPSILON)
    inside = ops.sum(_stacked(ops.ones_like(maps[:1, :, :, :1]), side, stride), -1)
    return patches * ops.expand_dims(side**2 / inside, -1)


def integer_gaussian(deviation):
    """The C++ program's Gaussians: weights [2 n + 1] of each pass along an axis, each of sum 1.

    A weight is round(1000 exp(-k^2 / (2 deviation^2))); those of k = 3 (and of k = 2) are left out
    where they are below 100. Deviations above 1.86 are made of several passes.

    Args:
        deviation: pixels; 0 is no pass.

    Returns:
        A list of float64 arrays.
    """
    passes, remaining = [], deviation**2
    while remaining >= 1e-3:
        one = min(_WIDEST, math.sqrt(remaining))
        remaining -= one * one
        side = [int(0.5 + 1000 * math.exp(-((k / one) ** 2) / 2)) for k in (1, 2, 3)]
        count = 1 if side[1] < 100 else 2 if side[2] < 100 else 3
        weights = np.array([*side[:count][::-1], 1000, *side[:count]], "float64")
        passes.append(weights / weights.sum())
    return passes


def true_gaussian(deviation):
    """Weights [5] of a Gaussian along an axis, of sum 1; the 5 x 5 one is their outer product."""
    weights = np.exp(-0.5 * (np.arange(-2, 3) / deviation) ** 2)
    return weights / weights.sum()


def check_hog(variant, presmooth, gradient, mid, post, slope, ninth, downscale):
    """Raises ValueError for arguments of `hog_maps` that it cannot use."""
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    if gradient not in (None, *GRADIENTS):
        raise ValueError(
            f"gradient must be None or one of {', '.join(GRADIENTS)}, got {gradient!r}"
        )
    for name, value in (("presmooth", presmooth), ("mid", mid or 0.0), ("post", post)):
        if not 0 <= value <= 3:
            raise ValueError(f"{name} must be from 0 to 3 pixels, got {value}")
        # The program's own limit, but for its corrections: what 5x5 cuts off is below a tenth.
        if variant == "gpu" and math.exp(-4.5 / max(value, 0.1) ** 2) >= 0.1:
            raise ValueError(f"{name} of {value} pixels is too wide for the 5x5 Gaussian of 'gpu'")
    if not slope > 0:
        raise ValueError(f"slope must be above 0, got {slope}")
    if not 0 <= ninth <= 1:
        raise ValueError(f"ninth must be from 0 to 1, got {ninth}")
    if downscale not in (0, 1, 2):
        raise ValueError(f"downscale must be 0, 1 or 2, got {downscale!r}")


def _cpu_gradient(grey, presmooth, sobel):
    for weights in integer_gaussian(presmooth):
        grey = _filtered(_filtered(grey, 1, weights), 2, weights)
    across = (lambda x, axis: _filtered(x, axis, [0.25, 0.5, 0.25])) if sobel else lambda x, _: x
    return tuple(_filtered(across(grey, 3 - axis), axis, [-1.0, 0.0, 1.0]) for axis in (2, 1))


def _gpu_gradient(grey, presmooth, sobel):
    if not presmooth:
        return _cpu_gradient(grey, 0, sobel)
    for axis in (1, 2):
        grey = _renormalised(grey, axis, true_gaussian(presmooth / _CORRECTION), frame=1)
    across = [0.25, 0.5, 0.25] if sobel else [0.0, 1.0, 0.0]
    return tuple(
        _correlated(_correlated(grey, 3 - axis, across), axis, [-1.0, 0.0, 1.0]) for axis in (2, 1)
    )


def _smoothed(maps, deviation, cpu, correction):
    if cpu:
        for weights in integer_gaussian(deviation):
            maps = _filtered(_filtered(maps, 1, weights), 2, weights)
    elif deviation:
        for axis in (1, 2):
            maps = _renormalised(maps, axis, true_gaussian(deviation / correction))
    return maps


def _filtered(maps, axis, weights):
    """Correlation along an axis, the border replicated."""
    reach = len(weights) // 2
    first = maps[:, :1] if axis == 1 else maps[:, :, :1]
    last = maps[:, -1:] if axis == 1 else maps[:, :, -1:]
    padded = ops.concatenate([first] * reach + [maps] + [last] * reach, axis=axis)
    return _correlated(padded, axis, weights)


def _renormalised(maps, axis, weights, frame=0):
    """Correlation along an axis, divided by the weights that lie inside; `frame` pixels wider."""
    reach = len(weights) // 2 + frame
    padding = [[0, 0], [0, 0], [0, 0], [0, 0]]
    padding[axis] = [reach, reach]
    line = maps[:1, :, :1, :1] if axis == 1 else maps[:1, :1, :, :1]
    inside = _correlated(ops.pad(ops.ones_like(line), padding), axis, weights)
    return _correlated(ops.pad(maps, padding), axis, weights) / inside


def _correlated(maps, axis, weights):
    """Correlation along an axis without padding: shorter by len(weights) - 1."""
    total = None
    for k, weight in enumerate(weights):
        if weight:
            window = slice(k, k + 1 - len(weights) or None)
            part = (maps[:, window] if axis == 1 else maps[:, :, window]) * float(weight)
            total = part if total is None else total + part
    return total


def _stacked(maps, side, stride):
    maps = ops.pad(maps, [[0, 0], [side // 2, side // 2], [side // 2, side // 2], [0, 0]])
    parts = []
    for row in range(side):
        rows = maps[:, row : row + 1 - side or None : stride]
        parts += [rows[:, :, column : column + 1 - side or None : stride] for column in range(side)]
    return ops.concatenate(parts, axis=-1)
