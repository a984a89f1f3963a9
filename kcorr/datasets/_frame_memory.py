"""Decoded frames in memory, within a budget: as they are while they fit, compressed after that."""

import io
from collections import deque

import numpy as np
from PIL import Image

# With the chroma whole, what is lost is far less than what the video's own compression took.
_JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}


class FrameMemory:
    """A budget for the frames of one video or of several.

    When a frame does not fit, those that came first are compressed, one by one, until it does, so
    that no more are than need be. A video that does not fit although all frames are compressed is
    given up. Frames are added by one thread; any number may read them meanwhile.

    Args:
        limit: bytes.
        compress: False gives a video up as soon as its frames do not fit as they are.
    """

    def __init__(self, limit, compress=True):
        self.limit, self.compress = limit, compress
        self._used = 0
        self._plain = deque()  # (frames of a video, index) of what is not compressed, oldest first

    def add(self, frames, image):
        """Appends uint8 `[h, w, 3]` to a video's list; False where the video had to be given up."""
        self._plain.append((frames, len(frames)))
        frames.append(image)
        self._used += image.nbytes
        while self._used > self.limit:
            if not (self.compress and self._plain):
                self.give_up(frames)
                return False
            self._compress(*self._plain.popleft())
        return True

    def give_up(self, frames):
        """Empties a video's list, so that others may have its room."""
        self._plain = deque(entry for entry in self._plain if entry[0] is not frames)
        self._used -= bytes_of(frames)
        frames.clear()

    def _compress(self, frames, index):
        image = frames[index]
        file = io.BytesIO()
        Image.fromarray(image).save(file, **_JPEG)
        compressed = file.getvalue()
        if len(compressed) < image.nbytes:  # not so for a handful of pixels
            frames[index] = compressed
            self._used -= image.nbytes - len(compressed)


def bytes_of(frames):
    """How much memory a video's list takes."""
    return sum(len(kept) if isinstance(kept, bytes) else kept.nbytes for kept in frames)


def image_of(kept):
    """The frame, uint8 `[h, w, 3]`, read-only, of an element of a video's list."""
    if not isinstance(kept, bytes):
        return kept
    image = np.asarray(Image.open(io.BytesIO(kept)))
    image.setflags(write=False)
    return image
