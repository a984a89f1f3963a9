"""Colours for maps of one number per pixel: disparity, error, confidence."""

import numpy as np

from kcorr.viz._arrays import as_map, positive
from kcorr.viz._text import draw_text, fit_size, text_size

# The road through colour space; where on it a value lies is set by lightness, see _ramp.
_ROAD = np.array(
    [(38, 14, 84), (116, 22, 130), (196, 44, 102), (240, 104, 48), (250, 184, 56), (255, 252, 200)]
)


def lightness(color):
    """CIE L* in [0, 100] of sRGB colours [..., 3] in [0, 255]."""
    linear = np.asarray(color) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27)


def _ramp():
    """256 colours along the road with equal steps of lightness: equal steps look equal."""
    at = np.linspace(0, len(_ROAD) - 1, 4096)
    road = np.stack([np.interp(at, np.arange(len(_ROAD)), channel) for channel in _ROAD.T], -1)
    light = lightness(road)
    wanted = np.linspace(light[0], light[-1], 256)
    return np.stack([np.interp(wanted, light, channel) for channel in road.T], -1)


RAMP = np.rint(_ramp()).astype(np.uint8)  # [256, 3]


def heat(values, low=None, high=None, valid=None, bar=False, unit=""):
    """Colours a map from dark violet (low) over red and orange to pale yellow (high).

    Lightness grows evenly with the value, so the map also reads in grey and to colour-blind eyes.

    Args:
        values: [h, w] or [h, w, 1]. Values that are not finite are unknown and drawn black.
        low: value of the darkest colour. None: the smallest known value.
        high: value of the brightest colour. None: the largest known value. Beyond is clipped.
        valid: [h, w] or [h, w, 1], 1 = counts; elsewhere black.
        bar: add a strip below with the colours and the values they stand for.
        unit: written on the strip.

    Returns:
        uint8 [h, w, 3]; with `bar` some rows more, and at least 160 pixels wide.

    Raises:
        ValueError: a wrong shape, an empty map, different sizes, or low above high.
    """
    values = as_map(values, "values")
    known = np.isfinite(values)
    if valid is not None:
        known &= as_map(valid, "valid", like=values) > 0
    inside = values[known]
    low = float(inside.min() if inside.size else 0.0) if low is None else float(low)
    high = float(inside.max() if inside.size else low) if high is None else float(high)
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(f"low is {low:g} and high is {high:g}, expected finite, low <= high")
    # Halved first, so that the range of two huge values of opposite sign stays finite.
    span = high / 2 - low / 2
    share = np.where(known, values, low) / 2 - low / 2
    share = np.clip(share / span, 0, 1) if span > 0 else np.zeros_like(share)
    color = RAMP[np.rint(share * 255).astype(np.intp)]
    color[~known] = 0
    return _add_bar(color, low, high, unit) if bar else color


def disparity_to_color(disparity, max_disparity=None, valid=None, bar=False):
    """Colours a disparity map by `heat`: far is dark, near is bright, unknown is black.

    Args:
        disparity: [h, w] or [h, w, 1] pixels, x_left - x_right. Not finite, or not above 0, is
            unknown, as in KITTI's files.
        max_disparity: pixels that get the brightest colour. None: the largest known value.
        valid: [h, w] or [h, w, 1], 1 = counts; elsewhere black.
        bar: add a strip below with the colours and pixels.

    Returns:
        uint8 [h, w, 3]; with `bar` as in `heat`.

    Raises:
        ValueError: a wrong shape, different sizes, or max_disparity not above 0.
    """
    disparity = as_map(disparity, "disparity")
    known = np.isfinite(disparity) & (disparity > 0)
    if valid is not None:
        known &= as_map(valid, "valid", like=disparity) > 0
    if max_disparity is None:
        max_disparity = disparity[known].max() if known.any() else 1.0
    high = positive(max_disparity, "max_disparity")
    return heat(disparity, low=0, high=high, valid=known, bar=bar, unit="px")


def _add_bar(color, low, high, unit):
    height, width = color.shape[:2]
    size = fit_size(height, width, smallest=12, largest=28)
    line = text_size("0", size)[1]
    pad = size // 3
    total = max(width, 160)
    strip = np.zeros((size + line + 2 * pad, total, 3), np.uint8)
    strip[pad : pad + size, pad : total - pad] = RAMP[
        np.linspace(0, 255, total - 2 * pad).round().astype(int)
    ]
    for share in (0.0, 0.5, 1.0):
        label = f"{low + share * (high - low):.3g} {unit}".strip()
        letters = text_size(label, size)[0]
        x = round(pad + share * (total - 2 * pad - letters))
        draw_text(strip, x, pad + size + 1, label, size)
    canvas = np.zeros((height + len(strip), total, 3), np.uint8)
    left = (total - width) // 2
    canvas[:height, left : left + width] = color
    canvas[height:] = strip
    return canvas
