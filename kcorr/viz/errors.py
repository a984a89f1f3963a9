"""Error maps as the KITTI 2015 benchmark draws them."""

import numpy as np

from kcorr.viz._arrays import as_flow, as_map, positive, same_size
from kcorr.viz._text import draw_text, text_size

# Lower edge of each bin of min(error / 3 px, error / 5 %): below 1 is an inlier, 1 and more is
# what Fl counts as an outlier. Blue is good, red is bad, and the pale middle is the threshold.
EDGES = np.array([0, 0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16])
PALETTE = np.array(
    [
        (49, 54, 149),
        (69, 117, 180),
        (116, 173, 209),
        (171, 217, 233),
        (224, 243, 248),
        (254, 224, 144),
        (253, 174, 97),
        (244, 109, 67),
        (215, 48, 39),
        (165, 0, 38),
    ],
    np.uint8,
)


def error_map(flow, target, valid=None, occlusion=None):
    """Colours the endpoint error in KITTI's ten logarithmic bins.

    The bin is that of `min(e / 3, 20 e / |target|)`, so blue pixels are inliers and yellow to red
    ones are exactly those that Fl counts (but for equality). Where the target does not move only
    the first term counts.

    Args:
        flow: [h, w, 2] pixels, predicted. An unknown vector under a valid target is an error of
            the last bin.
        target: [h, w, 2] pixels, ground truth; unknown vectors are not valid.
        valid: [h, w] or [h, w, 1], 1 = counts; elsewhere black. None: all known targets count.
        occlusion: [h, w] or [h, w, 1], 1 = hidden in the other frame; there half as bright.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: a shape other than the above, empty arrays, or arrays of different sizes.

    Source: Menze and Geiger, Object Scene Flow for Autonomous Vehicles, CVPR 2015, development kit.
    """
    flow, predicted = as_flow(flow)
    target, counts = as_flow(target, "target", valid)
    same_size(target, flow, "target")
    error = np.where(predicted, np.hypot(*np.moveaxis(flow - target, -1, 0)), np.inf)
    length = np.hypot(target[..., 0], target[..., 1])
    relative = np.divide(20 * error, length, out=np.full_like(error, np.inf), where=length > 0)
    level = np.searchsorted(EDGES, np.minimum(error / 3, relative), side="right") - 1
    color = PALETTE[level]
    if occlusion is not None:
        color[as_map(occlusion, "occlusion", like=flow) > 0.5] //= 2
    color[~counts] = 0
    return color


def error_map_legend(width):
    """A strip with the ten colours of `error_map` and the error in pixels at each edge.

    The pixels hold for motion up to 60 px; beyond, 3 px stands for 5 % of the motion.

    Args:
        width: in pixels; below about 400 some labels are left out.

    Returns:
        uint8 [24, width, 3].

    Raises:
        ValueError: width is not above 0.
    """
    width = max(1, int(positive(width, "width")))
    cells = np.minimum(np.arange(width) * len(EDGES) // width, len(EDGES) - 1)
    strip = np.repeat(PALETTE[cells][None], 24, axis=0)
    size = 12
    for index, edge in enumerate(EDGES):
        label = f"{edge * 3:.2g}" if edge else "0 px"
        left = -(-index * width // len(EDGES))
        if text_size(label, size)[0] + 6 <= width / len(EDGES):
            dark = PALETTE[index] @ np.array([0.3, 0.59, 0.11]) < 130
            draw_text(strip, left + 3, 4, label, size, (255,) * 3 if dark else (0,) * 3)
    return strip
