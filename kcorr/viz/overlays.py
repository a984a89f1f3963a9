"""Flow, occlusion and warping errors shown on the picture they belong to."""

import numpy as np

from kcorr.viz._arrays import LUMA, as_flow, as_map, as_uint8, flow_scale, positive, same_size
from kcorr.viz.arrows import draw_arrows
from kcorr.viz.flow_color import color_wheel_legend, flow_to_color
from kcorr.viz.heat import heat

_HIDDEN = np.array([255.0, 60.0, 0.0])


def overlay(image, flow, valid=None, max_flow=None, arrows=True, legend=True):
    """What moved, and where to, on the picture itself.

    The picture is grey where nothing moves and takes the colour of the Middlebury wheel where
    something does, with its own light and shade; arrows give the direction and a disc the key to
    the colours. Where the flow is unknown the picture is dark.

    Args:
        image: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1]: frame 1.
        flow: [h, w, 2] pixels.
        valid: [h, w] or [h, w, 1], 1 = counts.
        max_flow: length in pixels that gets full colour; None takes `flow_scale(flow)`.
        arrows: draw them (see `draw_arrows`).
        legend: draw the wheel in the lower right corner, where there is room for it.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: a wrong shape, different sizes, or max_flow not above 0.
    """
    picture = as_uint8(image)
    _, known = as_flow(flow, valid=valid)
    same_size(known, picture, "flow")
    if max_flow is None:
        max_flow = flow_scale(flow, valid=valid)
    max_flow = positive(max_flow, "max_flow")
    grey = (picture @ LUMA)[..., None] / 255
    # A dark picture is brightened, and blacks are lifted: what is dark has to show its colour, too.
    grey = np.minimum(grey / max(np.percentile(grey, 99), 0.4), 1)
    shade = 0.4 + 0.6 * grey
    # Some white in every colour: pure blue is so dark that it would drown the picture.
    color = 0.85 * flow_to_color(flow, max_flow, clip=True) + 0.15 * 255
    blended = np.where(known[..., None], color * shade, 80 * grey)
    picture = np.rint(blended).astype(np.uint8)
    if arrows:
        picture = draw_arrows(picture, flow, valid=valid, color=(255, 255, 255))
    if legend:
        _paste_wheel(picture, max_flow)
    return picture


def _paste_wheel(picture, max_flow):
    height, width = picture.shape[:2]
    side = round(min(height, width) * 0.2)
    if side < 24:
        return
    key = color_wheel_legend(side, max_flow)
    corner = picture[height - side :, width - side :]
    drawn = key.any(-1, keepdims=True)
    corner[...] = np.where(drawn, key, corner // 4)


def occlusion_overlay(image, occlusion):
    """The picture in grey, with what the other frame hides in orange and its border drawn bright.

    Args:
        image: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1].
        occlusion: [h, w] or [h, w, 1] in [0, 1], 1 = hidden in the other frame; NaN counts as 0.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: a wrong shape or different sizes.
    """
    picture = as_uint8(image)
    hidden = as_map(occlusion, "occlusion", like=picture)
    hidden = np.clip(np.nan_to_num(hidden, nan=0.0), 0, 1)
    # Paler than the image: orange is then the only colour and the strongest contrast.
    grey = 70 + 0.65 * (picture @ LUMA)[..., None]
    tint = _HIDDEN * (0.45 + 0.55 * grey / 255)
    out = grey + 0.85 * hidden[..., None] * (tint - grey)
    out[_border(hidden > 0.5)] = (255, 220, 60)
    return np.rint(out).astype(np.uint8)


def _border(mask):
    """Pixels of a mask with a neighbour outside it; the frame of the picture is no border."""
    inner = np.pad(mask, 1, mode="edge")
    around = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    return mask & ~around


def difference(image1, warped, valid=None, limit=64):
    """How far the warped second frame is from the first, as a heat map.

    Args:
        image1: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1].
        warped: the same size: frame 2 pulled onto frame 1.
        valid: [h, w] or [h, w, 1], 1 = counts, such as the warp's inside mask; elsewhere black.
        limit: difference, of 255, that gets the brightest colour. It is fixed rather than taken
            from the pictures so that the maps of two methods can be compared.

    Returns:
        uint8 [h, w, 3]: dark where equal, bright where the largest difference of a channel is
        `limit` or more.

    Raises:
        ValueError: a wrong shape, different sizes, or limit not above 0.
    """
    first, second = as_uint8(image1, "image1"), as_uint8(warped, "warped")
    same_size(second, first, "warped")
    gap = np.abs(first.astype(np.int16) - second).max(-1)
    return heat(gap, low=0, high=positive(limit, "limit"), valid=valid)
