"""Pictures inside a page: files and arrays as data URLs."""

import base64
import io

import numpy as np
from PIL import Image

from kcorr.viz._arrays import as_uint8

_AS_IS = 250_000  # bytes; a larger file of one frame is written anew
_SMALL = 500_000  # pixels; larger pictures are not tried as PNG, which takes seconds
_MIME = {"PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp", "JPEG": "image/jpeg"}
_ERRORS = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def embedded(picture, largest=1600):
    """A data URL and its size.

    Small files and animations are taken byte by byte. Larger pictures become WebP, no wider or
    higher than `largest` pixels: a page of many sheets has to stay one that a phone can load.

    Args:
        picture: [h, w, 3], [h, w, 1] or [h, w], uint8 or float in [0, 1]; or the path of a file.
        largest: pixels.

    Returns:
        (url, width, height).

    Raises:
        ValueError: an array that is no picture, or a file that cannot be read as one (one line
            without its name).
    """
    if isinstance(picture, np.ndarray):
        return _compressed(Image.fromarray(as_uint8(picture)), largest)
    try:
        with Image.open(picture) as image:
            image.load()
            moving = getattr(image, "n_frames", 1) > 1
            if image.format in _MIME and (moving or picture.stat().st_size <= _AS_IS):
                return _url(picture.read_bytes(), image.format), *image.size
            return _compressed(image.convert("RGB"), largest)
    except _ERRORS as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def _compressed(image, largest):
    """PNG where that is small, as for flat colours, else WebP."""
    if max(image.size) > largest:
        image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    formats = {"PNG": {}, "WEBP": {"quality": 88, "method": 2}}
    if image.width * image.height > _SMALL:
        del formats["PNG"]
    for format, options in formats.items():
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        if buffer.tell() <= _AS_IS:
            break
    return _url(buffer.getvalue(), format), *image.size


def _url(data, format):
    return f"data:{_MIME[format]};base64,{base64.b64encode(data).decode()}"
