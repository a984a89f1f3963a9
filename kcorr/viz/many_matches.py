"""Thousands of matches at once: a colour per place, the same at both ends, instead of lines."""

import numpy as np

from kcorr.viz._arrays import LUMA, as_uint8, flow_scale, real
from kcorr.viz.flow_color import flow_to_color, wheel_color
from kcorr.viz.points import inside_picture
from kcorr.viz.sheet import side_by_side


def color_matches(image1, image2, matches, radius=None):
    """Paints quasi-dense matches as small squares on both pictures, which turn grey.

    A match has the colour of its place in picture 1 at both ends: its direction from the middle is
    the hue, its distance the strength. So what belongs together has one colour, wrong matches are
    specks of another, and what has no match stays grey. The surest lie on top.

    Args:
        image1, image2: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1]; their sizes may
            differ.
        matches: [n, 5]: x1, y1, x2, y2 in pixels, score; or [n, 4], equal scores. Those with an
            end outside its picture, or not finite, are left out.
        radius: a square has (2 radius + 1)^2 pixels. None: a 200th of picture 1's shorter side,
            from 1: 5 x 5 pixels at a height of 436.

    Returns:
        (first, second): uint8 [h, w, 3], of the size of image1 and of image2.

    Raises:
        ValueError: a wrong shape, or a wrong radius.
    """
    pictures = as_uint8(image1, "image1"), as_uint8(image2, "image2")
    matches = np.asarray(matches)
    if matches.ndim != 2 or matches.shape[1] not in (4, 5):
        raise ValueError(f"matches have shape {matches.shape}, expected [n, 5] or [n, 4]")
    matches = real(matches, "matches")
    height, width = pictures[0].shape[:2]
    if radius is None:
        radius = max(1, round(min(height, width) / 200))
    if isinstance(radius, bool) or not isinstance(radius, (int, np.integer)) or radius < 0:
        raise ValueError(f"radius is {radius!r}, expected a whole number from 0")
    if matches.shape[1] == 5:
        matches = matches[np.argsort(np.nan_to_num(matches[:, 4], nan=-np.inf), kind="stable")]
    ends = matches[:, :2], matches[:, 2:4]
    inside = inside_picture(ends[0], pictures[0]) & inside_picture(ends[1], pictures[1])
    ends = [end[inside] for end in ends]
    u, v = (2 * (ends[0] + 0.5) / [width, height] - 1).T
    # Never white: on a grey picture white would be no colour.
    colors = wheel_color(u, v, 0.3 + 0.7 * np.minimum(np.hypot(u, v), 1))
    return tuple(
        _with_squares(picture, end, colors, radius)
        for picture, end in zip(pictures, ends, strict=True)
    )


def match_sheet(image1, image2, matches, flow=None, valid=None, max_flow=None, columns=None):
    """Both pictures with their matches (`color_matches`), and the flow that these make, by colour.

    Args:
        image1, image2, matches: of `color_matches`.
        flow: [h, w, 2] pixels, such as `kcorr.metrics.densify_matches` gives. None: without.
        valid: [h, w] or [h, w, 1], 1 = known; elsewhere black.
        max_flow: length in pixels that gets full colour. None: such that a twentieth is longer, so
            that wrong matches do not make the right ones pale.
        columns: pictures in a row; 1 stacks them. None: as `side_by_side`.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: a wrong shape, or a flow of another shape.
    """
    first, second = color_matches(image1, image2, matches)
    count = len(matches)
    entries = [(f"{count} match{'' if count == 1 else 'es'}", first), ("where they are", second)]
    if flow is not None:
        if max_flow is None:
            max_flow = flow_scale(flow, valid=valid, percentile=95)
        entries.append(("their motion", flow_to_color(flow, max_flow, valid, clip=True)))
    return side_by_side(entries, columns)


def _with_squares(picture, points, colors, radius):
    grey = np.rint(0.6 * (picture @ LUMA)).astype(np.uint8)
    canvas = np.pad(np.repeat(grey[..., None], 3, axis=-1), ((radius,) * 2, (radius,) * 2, (0, 0)))
    place = np.clip(np.rint(points).astype(int), 0, np.array(picture.shape[1::-1]) - 1)
    side = np.arange(2 * radius + 1)
    rows = place[:, 1, None, None] + side[:, None]
    columns = place[:, 0, None, None] + side
    # Of writes to one pixel the last stays.
    canvas[rows, columns] = colors[:, None, None]
    height, width = grey.shape
    return canvas[radius : radius + height, radius : radius + width].copy()
