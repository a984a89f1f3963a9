"""Arrows on a picture: where each pixel of a grid goes."""

import numpy as np

from kcorr.viz._arrays import as_flow, as_uint8, positive, same_size
from kcorr.viz._text import draw_text, fit_size, text_size
from kcorr.viz.flow_color import length_label, wheel_color

_HALO = np.zeros(3)


def draw_arrows(image, flow, step=None, scale=None, valid=None, color=None, key=True):
    """Draws arrows from pixels on a staggered grid along their flow, coloured by direction.

    Arrows are anti-aliased and have a dark rim, so that they stand out from any picture. Pixels
    that do not move get a small dot, unknown ones nothing. Long arrows lie on top of short ones.

    Args:
        image: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1]: frame 1.
        flow: [h, w, 2] pixels.
        step: pixels between arrows. None: about 18 arrows along the shorter side, at least 12
            pixels apart.
        scale: length of an arrow in pixels per pixel of motion; 1 ends at the pixel's match. None
            picks the round factor (..., 1/3, 1/2, 1, 2, 3, 5, ...) that makes fast motion about
            as long as a step.
        valid: [h, w] or [h, w, 1], 1 = counts; elsewhere no arrow.
        color: (r, g, b) in [0, 255] of all arrows. None: by direction, as on the Middlebury wheel.
        key: draw a reference arrow with its motion in pixels at the lower left, where it fits.

    Returns:
        uint8 [h, w, 3]; pixels away from arrows and key are the image's own.

    Raises:
        ValueError: a wrong shape, different sizes, or a step or scale that is not above 0.
    """
    picture = as_uint8(image)
    flow, known = as_flow(flow, valid=valid)
    same_size(flow, picture, "flow")
    height, width = known.shape
    step = max(12, min(height, width) / 18) if step is None else positive(step, "step")
    step = max(1, round(step))
    x, y = _staggered_grid(height, width, step)
    x, y = x[known[y, x]], y[known[y, x]]
    vectors = flow[y, x]
    lengths = np.hypot(vectors[:, 0], vectors[:, 1])
    fast = _fast(lengths)
    if scale is None:
        scale = _round_factor(0.85 * step / max(fast, 1e-9))
    scale = positive(scale, "scale")

    canvas = picture.astype(np.float64)
    thickness = float(np.clip(step / 11, 1.2, 12))
    if color is None:
        colors = wheel_color(vectors[:, 0], vectors[:, 1], 1.0).astype(np.float64)
    else:
        colors = np.broadcast_to(np.asarray(color, np.float64), (len(x), 3))
    for i in np.argsort(lengths, kind="stable"):
        start = np.array([x[i], y[i]], np.float64)
        _stroke(canvas, start, vectors[i] * scale, thickness, colors[i])
    picture = np.rint(canvas).astype(np.uint8)
    if key and fast > 0:
        _draw_key(picture, scale, step, thickness)
    return picture


def _staggered_grid(height, width, step):
    """Pixels (x, y) `step` apart, every other row half a step on: rows of arrows do not merge."""
    rows = range((height - 1) % step // 2, height, step)
    xs, ys = [], []
    for number, row in enumerate(rows):
        first = (width - 1) % step // 2
        if number % 2:
            first = (first + step // 2) % step
        columns = np.arange(first, width, step)
        xs.append(columns)
        ys.append(np.full_like(columns, row))
    return np.concatenate(xs), np.concatenate(ys)


def _fast(lengths):
    """How long the arrows are that matter: a mean in which each counts by its length squared.

    Where only something small moves, a plain mean or a percentile would be the background's noise.
    """
    if not lengths.size:
        return 0.0
    lengths = np.minimum(lengths, np.percentile(lengths, 99.8))
    weights = lengths**2
    return (weights * lengths).sum() / max(weights.sum(), 1e-9)


def _round_factor(factor):
    """The largest of ..., 1/3, 1/2, 1, 2, 3, 5, 10, 20 that is not above factor."""
    # Beyond 20 only noise would be on show.
    up = np.array([1, 2, 3, 5, 10, 20])
    choices = np.concatenate([1 / np.array([1000, 300, 100, 50, 20, 10, 5, 3, 2]), up])
    return float(choices[max(0, np.searchsorted(choices, factor, side="right") - 1)])


def _round_below(value):
    """The largest 1, 2 or 5 times a power of ten that is not above value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(n for n in (1, 2, 5) if n == 1 or n * power <= value))


def _stroke(canvas, start, moved, thickness, color):
    """Blends one arrow with its rim into float canvas [h, w, 3], in place."""
    if np.hypot(*moved) < thickness:
        # A dot, white as motion zero is.
        moved, thickness, color = np.zeros(2), 0.7 * thickness, np.full(3, 255.0)
    rim = max(0.7, 0.4 * thickness)
    head = 3.2 * thickness
    # The rim of the sharp tip and the half-width of the head reach beyond the axis.
    margin = 3 * rim + head
    ends = np.stack([start, start + moved])
    limit = np.array(canvas.shape[1::-1])
    # Clipped as floats: the motion may be larger than any integer type.
    low = np.clip(np.floor(ends.min(0) - margin), 0, limit).astype(int)
    high = np.clip(np.ceil(ends.max(0) + margin) + 1, 0, limit).astype(int)
    if (low >= high).any():
        return
    py, px = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float64)
    distance = arrow_distance(px - start[0], py - start[1], moved, thickness, head)
    patch = canvas[low[1] : high[1], low[0] : high[0]]
    for reach, alpha, ink in ((rim, 0.8, _HALO), (0.0, 1.0, color)):
        coverage = alpha * np.clip(0.5 + reach - distance, 0, 1)[..., None]
        patch += coverage * (ink - patch)


def arrow_distance(px, py, moved, thickness, head):
    """Signed distance, in pixels, of points to an arrow from the origin along `moved`.

    Negative inside. An arrow shorter than it is thick is a round dot.

    Args:
        px, py: points, arrays of one shape.
        moved: (x, y) of the tip.
        thickness: of the shaft.
        head: length of the head; short arrows get a smaller one.
    """
    length = np.hypot(*moved)
    if length < thickness:
        return np.hypot(px, py) - 0.6 * thickness
    along, across = moved / length
    t, s = px * along + py * across, np.abs(py * along - px * across)
    head = min(head, 0.75 * length)
    neck = length - head
    shaft = np.hypot(t - np.clip(t, 0, neck), s) - 0.5 * thickness
    half = max(0.55 * head, 0.9 * thickness)
    # The head as an intersection of half-planes: its two slanted sides by symmetry, and its base.
    slant = (s * head + (t - length) * half) / np.hypot(head, half)
    return np.minimum(shaft, np.maximum(slant, neck - t))


def _draw_key(picture, scale, step, thickness):
    """A box at the lower left with one arrow to the right and the motion that it stands for."""
    height, width = picture.shape[:2]
    size = fit_size(height, width)
    motion = _round_below(1.5 * step / scale)
    arrow = motion * scale
    labels = [length_label(motion)]
    if scale != 1:
        times = f"{scale:.3g}" if scale > 1 else f"1/{1 / scale:.3g}"
        labels.insert(0, f"{labels[0]} (drawn x {times})")
    pad = size // 2
    for label in labels:  # a small picture gets the shorter one, so that the key does not hide it
        letters, line = text_size(label, size)
        box_height, box_width = line + pad, round(arrow + letters + 4 * pad)
        if box_width <= 0.4 * width and box_height <= 0.3 * height:
            break
    else:
        return
    box = picture[height - box_height :, :box_width]
    box[...] = box // 4
    canvas = box.astype(np.float64)
    middle = np.array([1.5 * pad, (box_height - 1) / 2])
    _stroke(canvas, middle, np.array([arrow, 0.0]), thickness, np.full(3, 255.0))
    box[...] = np.rint(canvas)
    draw_text(box, round(arrow + 3 * pad), pad // 2, label, size)
