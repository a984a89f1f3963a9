"""Colours for flow: the Middlebury wheel, and the HSV code of the authors of DDFlow and SelFlow."""

import numpy as np

from kcorr.viz._arrays import as_flow, positive
from kcorr.viz._text import draw_text, text_size

# Hues from red over yellow, green, cyan, blue, magenta back to red, with the number of steps each
# way. The eye tells yellows from reds better than greens from cyans: hence the unequal counts.
_STEPS = (("RY", 15), ("YG", 6), ("GC", 4), ("CB", 11), ("BM", 13), ("MR", 6))
_CORNERS = {
    "R": (255, 0, 0),
    "Y": (255, 255, 0),
    "G": (0, 255, 0),
    "C": (0, 255, 255),
    "B": (0, 0, 255),
    "M": (255, 0, 255),
}


def _wheel():
    rows = []
    for (start, end), count in _STEPS:
        first, last = np.array(_CORNERS[start]), np.array(_CORNERS[end])
        for i in range(count):
            # Rounded towards the start: floor for a rising channel, 255 - floor for a falling one.
            rows.append(first + np.sign(last - first) * (255 * i // count))
    return np.array(rows, np.float64)


WHEEL = _wheel()  # [55, 3] in [0, 255]
_NEXT = np.roll(WHEEL, -1, axis=0) - WHEEL  # from each hue to the next


def wheel_color(u, v, radius):
    """Middlebury colours, uint8 [..., 3], of directions (u, v); radius 1 is full colour."""
    position = np.arctan2(-v, -u)
    position *= (len(WHEEL) - 1) / (2 * np.pi)
    position += (len(WHEEL) - 1) / 2
    low = position.astype(np.intp)  # never negative, so this is the floor
    position -= low
    color = np.empty((*np.shape(u), 3), np.uint8)
    long = radius > 1 + 1e-12  # the longest vector itself is not, whatever its rounding error
    for channel in range(3):  # one plane at a time: this is what pictures of video spend time on
        hue = position * _NEXT[low, channel] + WHEEL[low, channel]
        value = 255 - radius * (255 - hue)
        # The nudge keeps what is exactly 212 from falling to 211 by a rounding error.
        color[..., channel] = np.where(long, hue * 0.75, value) + 1e-9
    return color


def flow_to_color(flow, max_flow=None, valid=None, clip=False):
    """Colours a flow by the Middlebury wheel: hue is direction, saturation is length.

    Motion to the right is red, down yellow, left cyan-blue, up violet-blue; none is white, and
    vectors longer than `max_flow` are darkened. Unknown vectors are black.

    Args:
        flow: [h, w, 2] pixels.
        max_flow: length in pixels that gets full colour. None takes the longest known vector
            plus 1e-5, as the benchmark does; see `flow_scale` for a choice that outliers cannot
            spoil and for pictures that are to be compared.
        valid: [h, w] or [h, w, 1], 1 = counts; elsewhere black.
        clip: give vectors longer than `max_flow` the full colour of their direction instead of
            the benchmark's darker one, which looks like a hole in the fastest motion.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: flow is not [h, w, 2] or is empty, valid has another size, or max_flow is not
            above 0.

    Source: Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 2011.
    """
    flow, known = as_flow(flow, valid=valid)
    u, v = flow[..., 0], flow[..., 1]
    length = np.hypot(u, v)
    scale = length.max() + 1e-5 if max_flow is None else positive(max_flow, "max_flow")
    color = np.zeros((*known.shape, 3), np.uint8)
    # By strips, so that the many temporaries stay in the cache.
    rows = max(1, 2**15 // known.shape[1])
    for top in range(0, len(color), rows):
        part = slice(top, top + rows)
        radius = length[part] / scale
        color[part] = wheel_color(u[part], v[part], np.minimum(radius, 1) if clip else radius)
    color[~known] = 0
    return color


def flow_to_color_authors(flow, max_flow=256, valid=None):
    """Colours a flow as the authors of DDFlow and SelFlow print it: plain HSV, full brightness.

    Hue is the angle (right red, down yellow-green, left cyan, up violet), saturation is
    `8 |flow| / max_flow` clipped to 1. It is not the Middlebury wheel, and it has its own quirks:

    - `max_flow` is not the longest motion but eight times the shortest one of full colour: with
      the default, all motion from 32 pixels on looks the same.
    - The formula for brightness is `8 - saturation` clipped to [0, 1], which is always 1: long
      vectors are never darkened, and hues stand evenly, so greens fill a third of the circle.
    - The scale is fixed, so pictures of slow motion are pale; there equal colours mean equal
      motion in every picture.

    Black for unknown vectors is ours; the authors draw whatever the arithmetic gives.

    Args:
        flow: [h, w, 2] pixels.
        max_flow: eight times the length in pixels that gets full colour.
        valid: [h, w] or [h, w, 1], 1 = counts; elsewhere black.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: as `flow_to_color`.

    Source: the authors' public code for DDFlow (AAAI 2019) and SelFlow (CVPR 2019).
    """
    flow, known = as_flow(flow, valid=valid)
    u, v = flow[..., 0], flow[..., 1]
    hue = np.arctan2(v, u) / (2 * np.pi) % 1.0
    saturation = np.clip(8 * np.hypot(u, v) / positive(max_flow, "max_flow"), 0, 1)
    # HSV to RGB with value 1: each channel falls from 1 by the saturation, as a trapezoid of hue.
    sector = (hue[..., None] * 6 + np.array([0.0, 4.0, 2.0])) % 6
    pure = np.clip(np.abs(sector - 3) - 1, 0, 1)
    color = np.rint(255 * (1 - saturation[..., None] * (1 - pure))).astype(np.uint8)
    color[~known] = 0
    return color


def wheel_disc(size):
    """Returns the wheel as uint8 [size, size, 3] and its anti-aliased coverage [size, size]."""
    offset = np.arange(size) - (size - 1) / 2
    u, v = np.meshgrid(offset, offset)
    outer = size / 2
    length = np.hypot(u, v)
    # Colour beyond the rim too, or the blended edge pixels would be dark.
    color = wheel_color(u + 0.0, v + 0.0, np.minimum(length / max(outer - 0.5, 0.5), 1))
    return color, np.clip(outer - length, 0, 1)


def color_wheel_legend(size, max_flow=None):
    """Draws the key to `flow_to_color`: a disc in which each pixel has the colour of its offset.

    Args:
        size: side in pixels.
        max_flow: length in pixels at the rim, written below the disc; None writes nothing.

    Returns:
        uint8 [size, size, 3]: the disc on black, its label below where there is room.

    Raises:
        ValueError: size is below 1, or max_flow is not above 0.
    """
    size = int(positive(size, "size"))
    if size < 1:
        raise ValueError("size is below 1, expected a whole number of pixels above 0")
    label, room, letters = "", 0, int(np.clip(size // 8, 10, 28))
    if max_flow is not None:
        label = length_label(positive(max_flow, "max_flow"))
        width, room = text_size(label, letters)
        if width > size or room * 4 > size:
            label, room = "", 0
    disc, coverage = wheel_disc(size - room)
    picture = np.zeros((size, size, 3), np.uint8)
    left = room // 2
    square = picture[: size - room, left : left + size - room]
    square[...] = np.rint(disc * coverage[..., None])
    if label:
        x = (size - text_size(label, letters)[0]) // 2
        draw_text(picture, x, size - room - 1, label, letters)
    return picture


def length_label(pixels):
    """Three figures and the unit: "0.5 px", "12.3 px", "150 px"."""
    return f"{float(f'{pixels:.3g}'):,g} px".replace(",", "")
