"""The Motorcycle pair of Middlebury 2014 (Scharstein et al., GCPR 2014), from scikit-image."""

import numpy as np
from PIL import Image

from kcorr.datasets.source import Source
from kcorr.schema import DISPARITY, FLOW, IMAGE1, IMAGE2, OCCLUSION, VALID

_FACTORS = {1.0: 1, 0.5: 2, 0.25: 4}


class Motorcycle(Source):
    """A real pair with ground truth that comes with pip: one record, 741x500 at scale 1.

    image1 is the left and image2 the right picture of a rectified stereo pair, so the flow is
    (-disparity, 0). Where the disparity is unknown, flow, disparity, occlusion and valid are 0.

    Only the left disparity is known, so `occlusion` is derived from it: see `hidden_in_right`.

    A smaller scale 1/k drops the last columns and rows that do not fill a block, averages the
    pictures over k×k blocks, and takes the ground truth at one pixel of each block: the centre of
    small pixel i lies at (i + 1/2) k - 1/2, between two pixels, and the right (lower) one of them
    is taken, i k + k/2. Averaging disparities would invent surfaces between foreground and
    background, and would have to guess about unknown pixels. Flow and disparity are divided by k.

    Args:
        scale: 1, 0.5 or 0.25.

    Records: image1, image2, flow, disparity, valid, occlusion.

    Raises:
        ValueError: another scale.
        ImportError: scikit-image is not installed.
    """

    def __init__(self, scale=1.0):
        if scale not in _FACTORS:
            raise ValueError(f"scale is {scale!r}, expected 1, 0.5 or 0.25")
        try:
            from skimage.data import stereo_motorcycle
        except ImportError as error:
            raise ImportError(
                "Motorcycle comes with scikit-image: pip install kcorr[demo]"
            ) from error
        self._load = stereo_motorcycle
        self._factor = _FACTORS[scale]
        self.names = ["motorcycle" if self._factor == 1 else f"motorcycle_{self._factor}"]

    def _read(self, index):
        left, right, disparity = self._load()
        valid = np.isfinite(disparity)
        disparity = np.where(valid, disparity, 0).astype(np.float32)
        hidden = hidden_in_right(disparity, valid)
        k = self._factor
        disparity, valid, hidden = (_sample(a, k) for a in (disparity / k, valid, hidden))
        return {
            IMAGE1: _reduce(left, k),
            IMAGE2: _reduce(right, k),
            FLOW: np.stack([-disparity, np.zeros_like(disparity)], axis=-1),
            DISPARITY: disparity[..., None],
            VALID: valid[..., None].astype(np.float32),
            OCCLUSION: hidden[..., None].astype(np.float32),
        }


def hidden_in_right(disparity, valid, margin=1.0):
    """Derives which left pixels the right camera does not see, from the left disparity alone.

    Every valid pixel (x, y) is thrown to (x - d, y) of the right picture. It is hidden when it
    leaves the picture there, or when another one lands within about half a pixel of it (0.5 to
    0.75, the grain of the depth buffer) with a disparity larger by more than `margin`. Pixels of
    unknown disparity hide nothing: what only they would cover counts as seen.

    Args:
        disparity: `[h, w]`, x_left - x_right in pixels.
        valid: bool `[h, w]`.
        margin: how much nearer (in pixels of disparity) a pixel must be to hide another one.

    Returns:
        bool `[h, w]`, False where not valid.
    """
    width = disparity.shape[1]
    rows, columns = np.nonzero(valid)
    d = disparity[rows, columns]
    landing = columns - d
    inside = (landing >= 0) & (landing <= width - 1)
    bins = np.clip(np.round(2 * landing), 0, 2 * (width - 1)).astype(int) + 1
    nearest = np.full((disparity.shape[0], 2 * width + 1), -np.inf, np.float32)
    for shift in (-1, 0, 1):
        np.maximum.at(nearest, (rows[inside], bins[inside] + shift), d[inside])
    hidden = np.zeros(disparity.shape, bool)
    hidden[rows, columns] = ~inside | (nearest[rows, bins] > d + margin)
    return hidden


def _sample(array, k):
    height, width = (size // k for size in array.shape)
    return array[k // 2 :: k, k // 2 :: k][:height, :width]


def _reduce(image, k):
    height, width = (size // k * k for size in image.shape[:2])
    return np.asarray(Image.fromarray(image[:height, :width]).reduce(k))
