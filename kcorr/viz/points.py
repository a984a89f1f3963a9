"""Key points and matches on pictures: each index has its colour, the same everywhere."""

import functools

import numpy as np

from kcorr.viz._arrays import as_uint8, real
from kcorr.viz._strokes import draw_dot, draw_line, enlarged, line_thickness, placed

_PAPER = (24, 26, 30)
_FIRST = (255, 51, 51)
_COUNT = 256  # colours; beyond that they come again
_GAP = 4  # pixels of the pictures between the two of a match


def point_colors(count):
    """The colours of the points 0, 1, ..., count - 1, for legends and tables beside pictures.

    Each is the one farthest, to the eye, from all before it, among colours that are neither dark
    nor pale. So the first few are as different as can be, and the first 256 all differ.

    Args:
        count: how many, from 0; the 256 colours come again after the last.

    Returns:
        uint8 [count, 3]; `point_colors(n)[:m]` is `point_colors(m)`.

    Raises:
        ValueError: count is not a whole number from 0.

    Source: distances in OKLab (Ottosson 2020); farthest-point order.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
        raise ValueError(f"count is {count!r}, expected a whole number from 0")
    return _palette()[np.arange(count) % _COUNT]


@functools.cache
def _palette():
    levels = np.arange(0, 256, 17)
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    lab = _oklab(colors)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # Dark colours would drown in the rim, pale ones look alike on small dots.
    keep = (lab[:, 0] > 0.65) & (lab[:, 0] < 0.93) & (chroma > 0.14)
    colors, lab = colors[keep], lab[keep]
    chosen, last, gap = [_FIRST], _oklab(_FIRST), np.inf
    while len(chosen) < _COUNT:
        gap = np.minimum(gap, ((lab - last) ** 2).sum(-1))
        # Rounded, so that no machine's last bit decides between equals.
        best = int(np.argmax(gap.round(9)))
        chosen.append(colors[best])
        last = lab[best]
    return np.array(chosen, np.uint8)


def _oklab(colors):
    """OKLab [..., 3] of sRGB colours in [0, 255]: Euclidean distance is about what eyes see."""
    share = np.asarray(colors) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def draw_points(image, points, visible=None, scale=1):
    """Draws numbered points as dots; each index has its own colour, the same in every picture.

    Dots are anti-aliased, have a thin dark rim, and grow with the picture; hidden ones are rings.
    Later points lie on top of earlier ones.

    Args:
        image: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1].
        points: [n, 2], (x, y) in pixels of the image. Those outside its area,
            [-1/2, w - 1/2] x [-1/2, h - 1/2], or not finite, are left out.
        visible: [n] or [n, 1], 1 = seen. None: all are.
        scale: whole factor by which the picture is enlarged before; a point (x, y) is then drawn
            at ((x + 1/2) scale - 1/2, (y + 1/2) scale - 1/2).

    Returns:
        uint8 [scale h, scale w, 3]; pixels away from the dots are the image's own.

    Raises:
        ValueError: a wrong shape, numbers of points that differ, or a wrong scale.
    """
    picture = as_uint8(image)
    points = _as_points(points, "points")
    seen = _as_seen(visible, len(points))
    canvas = enlarged(picture, scale).astype(np.float64)
    inside = inside_picture(points, picture)
    _draw_dots(canvas, placed(points, scale), inside, seen, _radius(min(canvas.shape[:2])))
    return np.rint(canvas).astype(np.uint8)


def draw_matches(image1, image2, points1, points2, visible=None, scale=1):
    """Draws two pictures side by side, and a line from each point to its match.

    Points and their line have the colour of their index, as in `draw_points`. Matches that are
    not visible have rings and a pale line. A match with an end outside its picture, or not finite,
    is left out.

    Args:
        image1, image2: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1]; their sizes may
            differ.
        points1, points2: [n, 2], (x, y) in pixels of image1 and of image2.
        visible: [n] or [n, 1], 1 = seen in both. None: all are.
        scale: whole factor by which the pictures are enlarged before.

    Returns:
        uint8 [scale max(h1, h2), scale (w1 + 4 + w2), 3]: both at the top, dark below the lower
        one and in the gap of 4 pixels between them.

    Raises:
        ValueError: a wrong shape, numbers of points that differ, or a wrong scale.
    """
    first, second = as_uint8(image1, "image1"), as_uint8(image2, "image2")
    points1, points2 = _as_points(points1, "points1"), _as_points(points2, "points2")
    if len(points1) != len(points2):
        raise ValueError(f"there are {len(points1)} points1 and {len(points2)} points2")
    seen = _as_seen(visible, len(points1))
    inside = inside_picture(points1, first) & inside_picture(points2, second)
    left = first.shape[1] + _GAP
    sheet = np.empty((max(len(first), len(second)), left + second.shape[1], 3), np.uint8)
    sheet[...] = _PAPER
    sheet[: len(first), : first.shape[1]] = first
    sheet[: len(second), left:] = second

    canvas = enlarged(sheet, scale).astype(np.float64)
    size = min(canvas.shape[0], int(scale) * min(first.shape[1], second.shape[1]))
    radius = _radius(size)
    starts, ends = placed(points1, scale), placed(points2 + np.array([left, 0]), scale)
    colors = point_colors(len(points1))
    for i in np.flatnonzero(inside):
        # From rim to rim: what a ring shows is the picture, not the line.
        cut = (ends[i] - starts[i]) * min(radius / np.hypot(*(ends[i] - starts[i])), 0.5)
        thickness = line_thickness(size, size)
        alpha = 0.9 if seen[i] else 0.4
        draw_line(canvas, starts[i] + cut, ends[i] - cut, colors[i], thickness, alpha)
    for where in (starts, ends):
        _draw_dots(canvas, where, inside, seen, radius)
    return np.rint(canvas).astype(np.uint8)


def _draw_dots(canvas, points, inside, seen, radius):
    colors = point_colors(len(points))
    for i in np.flatnonzero(inside):
        draw_dot(canvas, points[i], colors[i], radius, hollow=not seen[i])


def _radius(side):
    return float(np.clip(side / 60, 2, 24))


def _as_points(points, name):
    points = np.asarray(points)
    if points.shape == (0,):  # an empty list
        points = points.reshape(0, 2)
    if points.ndim != 2 or points.shape[-1] != 2:
        raise ValueError(f"{name} has shape {points.shape}, expected [n, 2]")
    return real(points, name)


def _as_seen(visible, count):
    if visible is None:
        return np.ones(count, bool)
    visible = np.asarray(visible)
    if visible.shape not in ((count,), (count, 1)):
        raise ValueError(f"visible has shape {visible.shape}, expected [{count}] or [{count}, 1]")
    return real(visible, "visible").reshape(count) > 0


def inside_picture(points, picture):
    """Which points [n, 2] lie in the area of a picture, and are finite: bool [n]."""
    height, width = picture.shape[:2]
    x, y = points[:, 0], points[:, 1]
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
