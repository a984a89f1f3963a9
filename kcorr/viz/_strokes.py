"""Anti-aliased dots and lines: coverage from distances, computed near them alone."""

import numpy as np

from kcorr.viz._arrays import positive

LARGEST = 2**28  # pixels
_RIM = np.array([12.0, 12.0, 16.0])


def enlarged(picture, scale):
    """Repeats each pixel of uint8 [h, w, 3] scale x scale times.

    A point (x, y) of the picture then lies at `placed((x, y), scale)`.

    Raises:
        ValueError: scale is not a whole number from 1, or a picture of more than 2^28 pixels.
    """
    number = positive(scale, "scale")
    if number != int(number):
        raise ValueError(f"scale is {scale!r}, expected a whole number from 1")
    height, width = picture.shape[:2]
    if height * width * number * number > LARGEST:
        raise ValueError(
            f"scale {scale!r} makes a picture of {height}x{width} (h x w) too large, expected at "
            f"most {LARGEST} pixels"
        )
    return picture.repeat(int(number), 0).repeat(int(number), 1)


def placed(points, factor):
    """Where points [..., 2] of a grid lie once each of its cells is factor x factor pixels."""
    return (np.asarray(points, np.float64) + 0.5) * factor - 0.5


def line_thickness(height, width):
    """Thickness in pixels of a line that is seen well on a picture of this size."""
    return float(np.clip(min(height, width) / 150, 1.5, 8))


def near(start, end, reach, shape):
    """Finds the pixels within `reach` of a segment.

    Args:
        start, end: (x, y) pixels, finite; the same for a dot.
        reach: pixels.
        shape: (h, w, ...) of the picture.

    Returns:
        rows [n], columns [n], distances [n]; no pixel comes twice.
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    steep = abs(end[1] - start[1]) > abs(end[0] - start[0])
    if steep:
        start, end, shape = start[::-1], end[::-1], shape[1::-1]
    moved = end - start
    slope = moved[1] / moved[0] if moved[0] else 0.0
    # A band along the line's longer axis: the box around a long line would hold far more pixels.
    limit = shape[1] - 1.0
    low = np.clip(np.ceil(min(start[0], end[0]) - reach), 0, limit + 1)
    high = np.clip(np.floor(max(start[0], end[0]) + reach), -1, limit)
    x = np.arange(int(low), int(high) + 1)[:, None]
    middle = start[1] + slope * (x - start[0])
    half = int(np.ceil(reach * np.hypot(1, slope))) + 1
    y = np.floor(middle).astype(np.int64) + np.arange(-half, half + 1)
    along = (x - start[0]) * moved[0] + (y - start[1]) * moved[1]
    along = np.clip(along / max(moved @ moved, 1e-30), 0, 1)
    distance = np.hypot(x - start[0] - along * moved[0], y - start[1] - along * moved[1])
    keep = (distance <= reach) & (y >= 0) & (y < shape[0])
    x, y, distance = np.broadcast_to(x, y.shape)[keep], y[keep], distance[keep]
    return (x, y, distance) if steep else (y, x, distance)


def ink(canvas, rows, columns, distance, color, rim, alpha=1.0):
    """Blends a shape with a dark rim around it into float [h, w, 3], in place.

    Args:
        rows, columns: the pixels, each at most once; one array of each.
        distance: signed distance in pixels of each to the shape's border, negative inside.
        color: (r, g, b) in [0, 255].
        rim: width in pixels.
        alpha: of the whole, in [0, 1].
    """
    before = canvas[rows, columns]
    patch = before
    for reach, share, shade in ((rim, 0.85, _RIM), (0.0, 1.0, np.asarray(color, np.float64))):
        coverage = share * np.clip(0.5 + reach - distance, 0, 1)[:, None]
        patch = patch + coverage * (shade - patch)
    canvas[rows, columns] = before + alpha * (patch - before)


def draw_line(canvas, start, end, color, thickness, alpha=1.0):
    """Draws a line with round ends and a rim into float [h, w, 3], in place."""
    rim = _line_rim(thickness)
    rows, columns, distance = near(start, end, thickness / 2 + rim + 0.5, canvas.shape)
    ink(canvas, rows, columns, distance - thickness / 2, color, rim, alpha)


def draw_lines(canvas, segments, color, thickness):
    """Draws segments [n, 2, 2] as one shape with one rim around it.

    Drawn one by one, each would lay its rim over those before.
    """
    rim = _line_rim(thickness)
    distance = np.full(canvas.shape[:2], np.inf)
    for start, end in segments:
        rows, columns, away = near(start, end, thickness / 2 + rim + 0.5, canvas.shape)
        distance[rows, columns] = np.minimum(distance[rows, columns], away)
    rows, columns = np.nonzero(np.isfinite(distance))
    ink(canvas, rows, columns, distance[rows, columns] - thickness / 2, color, rim)


def _line_rim(thickness):
    return max(0.6, 0.4 * thickness)


def draw_dot(canvas, point, color, radius, hollow=False):
    """Draws a disc, or a ring of the same size, with a rim into float [h, w, 3], in place."""
    rim = max(0.6, 0.12 * radius) if hollow else max(0.6, 0.22 * radius)
    reach = 1.1 * radius if hollow else radius
    rows, columns, distance = near(point, point, reach + rim + 0.5, canvas.shape)
    outside = distance - reach
    if hollow:
        outside = np.maximum(outside, reach - max(1.0, 0.4 * radius) - distance)
    ink(canvas, rows, columns, outside, color, rim)
