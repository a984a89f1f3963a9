"""Hard cuts: where a sequence jumps to another shot, so that no pair is made across it."""

import numpy as np
from PIL import Image

THRESHOLD = 25.0  # of 255; between motion and cuts in the demo videos lies a wide gap


def grey_thumbnail(image):
    """Small grey version of a frame, on which shots are compared.

    Args:
        image: uint8 `[h, w, 3]`.

    Returns:
        float32 `[90, 160]`, 0 to 255.
    """
    small = Image.fromarray(image).convert("L").resize((160, 90), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32)


class CutFinder:
    """Finds hard cuts while frames go by one at a time.

    Args:
        threshold: mean |difference| of the grey thumbnails of two consecutive frames above which
            the second one starts a new shot; None finds only changes of the frame size.
    """

    def __init__(self, threshold=THRESHOLD):
        self._threshold = threshold
        self._shape = None
        self._thumbnail = None

    def starts_shot(self, image):
        """Whether a frame, uint8 `[h, w, 3]`, starts a new shot; the very first one does not."""
        last_shape, self._shape = self._shape, image.shape
        last, self._thumbnail = self._thumbnail, None
        if self._threshold is not None:
            self._thumbnail = grey_thumbnail(image)
        if last_shape not in (None, image.shape):
            return True
        if last is None:
            return False
        return float(np.abs(self._thumbnail - last).mean()) > self._threshold


def find_cuts(frames, threshold=THRESHOLD):
    """Finds the hard cuts of a sequence.

    Args:
        frames: iterable of uint8 `[h, w, 3]`; a change of size is a cut too.
        threshold: as in `CutFinder`.

    Returns:
        A list of indices i where frame i starts a new shot (0 is never among them).
    """
    finder = CutFinder(threshold)
    return [index for index, frame in enumerate(frames) if finder.starts_shot(frame)]
