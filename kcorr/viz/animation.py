"""Pictures in time: a flicker of two frames, and video files."""

import contextlib
import pathlib
from fractions import Fraction

import numpy as np
from PIL import Image

from kcorr.io import atomic_write
from kcorr.viz._arrays import as_uint8, positive, same_size


def flicker(images, path, duration=0.5):
    """Writes pictures as an endless animation; flicking between two frames shows what moved.

    What is equal in two pictures is equal in the file, too: a GIF's pictures share one palette and
    are not dithered, or the still parts would seem to move.

    Args:
        images: at least one of [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1], of one
            size.
        path: a `.png` (animated PNG) or `.webp`, both exact, or a `.gif` (256 colours in all).
        duration: seconds per picture.

    Raises:
        ValueError: no images, different sizes, another suffix, or duration not above 0.
        FileNotFoundError: the folder of path does not exist.
    """
    frames = [as_uint8(image, f"image {i}") for i, image in enumerate(images)]
    if not frames:
        raise ValueError("there are no images, expected at least one")
    for i, frame in enumerate(frames):
        same_size(frame, frames[0], f"image {i}")
    options = {
        ".gif": {"format": "GIF", "disposal": 1},
        ".webp": {"format": "WEBP", "lossless": True, "exact": True, "method": 4},
        ".png": {"format": "PNG"},
    }
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in options:
        raise ValueError(f"{path}: expected a name that ends in .gif, .webp or .png")
    milliseconds = max(20, round(positive(duration, "duration") * 1000))
    first, *rest = _one_palette(frames) if suffix == ".gif" else map(Image.fromarray, frames)
    with atomic_write(path) as temporary:
        first.save(
            temporary,
            save_all=True,
            append_images=rest,
            duration=milliseconds,
            loop=0,
            **options[suffix],
        )


def _one_palette(frames):
    """Palette pictures of all frames, in 256 colours chosen from all of them."""
    tall = Image.fromarray(np.concatenate(frames))
    palette = tall.quantize(256, Image.Quantize.MEDIANCUT)
    return [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]


class _Writer:
    """Takes the frames of one video; made by `video_writer`."""

    def __init__(self, av, container, path, fps):
        self._av, self._container, self._path, self._fps = av, container, path, fps
        self._stream = None
        self._like = None
        self.count = 0

    def write(self, image):
        """Appends a picture: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1]."""
        picture = as_uint8(image, f"frame {self.count} of {self._path.name}")
        if self._stream is None:
            self._like = picture
            self._open(picture)
        same_size(picture, self._like, f"frame {self.count} of {self._path.name}")
        height, width = picture.shape[:2]
        # The codec halves the resolution of colour, so both sides have to be even.
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
        # BT.709 in the stream's tags and in the pixels, or players guess and hues shift.
        frame = frame.reformat(format="yuv420p", src_colorspace=1, dst_colorspace=1)
        frame.colorspace = 1
        frame.pts = self.count
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def _open(self, picture):
        name = "libx264" if "libx264" in self._av.codecs_available else "mpeg4"
        stream = self._container.add_stream(name, rate=self._fps)
        stream.height, stream.width = (n + n % 2 for n in picture.shape[:2])
        stream.pix_fmt = "yuv420p"
        if name == "libx264":
            stream.options = {"crf": "16", "preset": "veryfast"}
        else:
            stream.bit_rate = 8 * stream.height * stream.width
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1
        self._stream = stream

    def _finish(self):
        if self._stream is None:
            raise ValueError(f"{self._path}: no frame was written, expected at least one")
        self._container.mux(self._stream.encode())


@contextlib.contextmanager
def video_writer(path, fps=25):
    """Opens a video for writing: `with video_writer("flow.mp4", 25) as video: video.write(image)`.

    The file appears under its name when the block ends well; an exception leaves nothing behind.
    Frames are H.264 (MPEG-4 where PyAV was built without x264); odd sizes get one more row or
    column, a copy of the last.

    Args:
        path: name of the file; its suffix picks the container (.mp4, .mkv, .mov, .avi).
        fps: frames per second, from 0.001 to 1000.

    Yields:
        an object with `write(image)` and `count`.

    Raises:
        ImportError: PyAV is missing (`pip install kcorr[video]`).
        ValueError: another suffix, fps out of its range, frames of different sizes, or no frame.
        FileNotFoundError: the folder of path does not exist.
    """
    try:
        import av
    except ImportError:
        raise ImportError("writing a video needs PyAV: pip install 'kcorr[video]'") from None
    path = pathlib.Path(path)
    if path.suffix.lower() not in (".mp4", ".mkv", ".mov", ".avi"):
        raise ValueError(f"{path}: expected a name that ends in .mp4, .mkv, .mov or .avi")
    if not 0.001 <= positive(fps, "fps") <= 1000:
        raise ValueError(f"fps is {fps!r}, expected 0.001 to 1000")
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_write(path) as temporary, av.open(str(temporary), "w") as container:
        writer = _Writer(av, container, path, rate)
        yield writer
        writer._finish()
