"""Whether a flow is right, seen without ground truth: frame 1 and the warped frame 2."""

import numpy as np

from kcorr.viz._arrays import as_map, as_uint8, positive, same_size
from kcorr.viz.animation import flicker
from kcorr.viz.overlays import difference
from kcorr.viz.sheet import side_by_side


def before_after(image1, image2, warped, inside=None, limit=64):
    """A sheet that shows what the flow explains: the frames' difference before and after it.

    Args:
        image1: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1]: frame 1.
        image2: like image1: frame 2.
        warped: like image1: frame 2 pulled onto frame 1 by the flow.
        inside: [h, w] or [h, w, 1], 1 = the warp found its pixel in frame 2. Elsewhere both
            differences are black and do not count, so that they are over the same pixels.
        limit: see `difference`.

    Returns:
        uint8 [H, W, 3]: frame 2 and its difference to frame 1 above, the warped frame 2 and its
        difference below. The titles give the mean absolute difference, of 255.

    Raises:
        ValueError: a wrong shape, different sizes, or limit not above 0.
    """
    first = as_uint8(image1, "image1")
    second, pulled = as_uint8(image2, "image2"), as_uint8(warped, "warped")
    sheet = []
    for when, title, picture in (
        ("before", "frame 2", second),
        ("after", "frame 2 moved onto frame 1", pulled),
    ):
        gap = mean_difference(first, picture, inside)
        number = "nothing to compare" if gap is None else f"mean difference {gap:.1f}"
        sheet += [
            (f"{when}: {title}", picture),
            (f"{when}: {number}", difference(first, picture, inside, limit)),
        ]
    return side_by_side(sheet, columns=2)


def mean_difference(image1, warped, inside=None):
    """Mean absolute difference of two pictures, of 255, over pixels and channels.

    Args:
        image1, warped: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1].
        inside: [h, w] or [h, w, 1], 1 = counts; None counts all.

    Returns:
        float, or None where no pixel counts.

    Raises:
        ValueError: a wrong shape or different sizes.
    """
    first, second = as_uint8(image1, "image1"), as_uint8(warped, "warped")
    same_size(second, first, "warped")
    gap = np.abs(first.astype(np.float64) - second).mean(-1)
    if inside is not None:
        gap = gap[as_map(inside, "inside", like=gap) > 0.5]
    return float(gap.mean()) if gap.size else None


def warped_flicker(image1, warped, path, inside=None, duration=0.5):
    """Writes the animation of frame 1 and the warped frame 2: what still jumps is wrong.

    Args:
        image1: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1]: frame 1.
        warped: like image1: frame 2 pulled onto frame 1.
        path, duration: see `flicker`.
        inside: [h, w] or [h, w, 1], 1 = the warp found its pixel in frame 2. Elsewhere both
            pictures show frame 1 at a third of its light: there is nothing to compare, and the
            black that the warp leaves would flash.

    Raises:
        ValueError: a wrong shape, different sizes, another suffix, or duration not above 0.
        FileNotFoundError: the folder of path does not exist.
    """
    positive(duration, "duration")
    first, second = as_uint8(image1, "image1"), as_uint8(warped, "warped")
    same_size(second, first, "warped")
    if inside is not None:
        outside = as_map(inside, "inside", like=first) <= 0.5
        first[outside] //= 3
        second[outside] = first[outside]
    flicker([first, second], path, duration)
