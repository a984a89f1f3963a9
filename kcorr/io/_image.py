"""Pictures of the usual formats as arrays, in stored pixel coordinates."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from kcorr.io._atomic import write_bytes
from kcorr.io._bytes import check_compression, check_size, read_bytes, reading_error
from kcorr.io._errors import FormatError
from kcorr.io._png import SIGNATURE, check_png, decode_png16, encode_png16, png_header
from kcorr.io._pnm import decode_pnm, is_binary_pnm

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
_EXPECTED = "a picture: PNG, JPEG, PPM, PGM, BMP or WebP"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601, as JPEG, pillow and OpenCV


def read_image(path, channels=3, dtype="uint8"):
    """Reads a picture: PNG, JPEG, PPM/PGM/PBM, BMP or WebP, told by content and not by suffix.

    Any depth, palette, grey or colour. Transparent pictures are laid on white. 16-bit samples are
    rounded to 8 bits unless `dtype` is "float32". Orientation tags (EXIF) are not applied, since
    correspondences are in stored pixel coordinates; colour profiles and gamma are ignored; of an
    animation the first frame is read.

    Args:
        path: the file.
        channels: 3 for RGB or 1 for grey (Rec. 601 luma).
        dtype: "uint8" in [0, 255], or "float32" in [0, 1].

    Returns:
        [h, w, channels] of that dtype.

    Raises:
        FormatError: not a picture, damaged, truncated, or of an absurd size.
        FileNotFoundError: no such file.
        ValueError: other `channels` or `dtype`.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels!r}; expected 1 or 3")
    if dtype not in ("uint8", "float32"):
        raise ValueError(f"dtype is {dtype!r}; expected 'uint8' or 'float32'")
    samples, white = _decode(read_bytes(path), path)
    samples = _lay_on_white(samples, white)
    if samples.shape[-1] == 1 and channels == 3:
        samples = np.repeat(samples, 3, axis=-1)
    elif samples.shape[-1] == 3 and channels == 1:
        samples = samples.astype(np.float32) @ _LUMA[:, None]
    if dtype == "float32":
        return samples.astype(np.float32) / np.float32(white)
    if samples.dtype == np.uint8 and white == 255:
        return samples
    return np.rint(samples.astype(np.float32) * np.float32(255 / white)).astype(np.uint8)


def write_image(path, image):
    """Writes a picture in the format of the suffix.

    JPEG has quality 95, WebP is lossless.

    Args:
        path: the file, one of `IMAGE_SUFFIXES`; written under a temporary name and renamed.
        image: [h, w, c] or [h, w]; c is 1 (grey), 3 (RGB) or 4 (RGB + alpha; `.png` and `.webp`).
            uint8; uint16 (`.png` only); bool; or floats in [0, 1], rounded to 8 bits.

    Raises:
        FormatError: a suffix, shape, dtype or value that cannot be written.
        FileNotFoundError: the folder does not exist.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise FormatError(
            path,
            f"the suffix {suffix!r} names no picture format",
            f"one of {' '.join(IMAGE_SUFFIXES)}",
        )
    image = _as_samples(path, image)
    channels = image.shape[-1]
    if channels == 4 and suffix not in (".png", ".webp"):
        raise FormatError(
            path, f"a {suffix} holds no alpha channel", ".png or .webp, or 3 channels"
        )
    if suffix == ".pgm" and channels != 1:
        raise FormatError(path, f"a .pgm is grey, the image has {channels} channels", ".ppm")
    if image.dtype == np.uint16:
        if suffix != ".png":
            raise FormatError(path, f"a {suffix} is not written with 16 bits", ".png, or uint8")
        write_bytes(path, encode_png16(image))
        return
    if suffix == ".ppm" and channels == 1:
        image = np.repeat(image, 3, axis=-1)  # a .ppm is colour
    file = io.BytesIO()
    kind, options = {
        ".bmp": ("BMP", {}),
        ".jpg": ("JPEG", {"quality": 95}),
        ".jpeg": ("JPEG", {"quality": 95}),
        ".pgm": ("PPM", {}),
        ".png": ("PNG", {}),
        ".ppm": ("PPM", {}),
        ".webp": ("WEBP", {"lossless": True, "exact": True}),
    }[suffix]
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    try:
        picture.save(file, kind, **options)
    except (OSError, ValueError) as error:  # WebP ends at 16383 pixels a side, JPEG at 65535
        height, width = image.shape[:2]
        raise FormatError(
            path, f"{width}x{height} cannot be written as {kind} ({error})"
        ) from error
    write_bytes(path, file.getvalue())


def image_size(path):
    """Height and width of a picture from its header, without decoding it.

    Args:
        path: a file that `read_image` reads.

    Returns:
        (height, width) in pixels.

    Raises:
        FormatError: not a picture, or of an absurd size.
        FileNotFoundError: no such file.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            start = file.read(32)
            file.seek(0)
            with _open(file, _kind(start, path), path) as picture:
                width, height = picture.size
    except FormatError:
        raise
    except OSError as error:
        raise reading_error(path, error) from error
    check_size(path, height, width)
    return height, width


def _kind(start, path):
    """pillow's name of the format that these first bytes belong to."""
    if start.startswith(SIGNATURE):
        return "PNG"
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"BM"):
        return "BMP"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[:1] == b"P" and start[1:2] in b"123456" and start[2:3].isspace():
        return "PPM"
    raise FormatError(
        path, f"begins with {start[:8]!r}" if start else "the file is empty", _EXPECTED
    )


def _open(file, kind, path):
    """pillow's lazy image: the header is read, no pixel is."""
    try:
        return Image.open(file, formats=[kind])
    except Exception as error:
        # Broken headers make pillow raise SyntaxError, struct.error, IndexError, OverflowError,
        # its bomb error and more; each means that the file is none that can be read.
        raise _damaged(path, kind, error) from error


def _damaged(path, kind, error):
    """One line from whatever a decoder raised."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, Image.UnidentifiedImageError):
        reason = "its header makes no sense"
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * Image.MAX_IMAGE_PIXELS
        return FormatError(path, f"the {kind} is too large for pillow", f"at most {most} pixels")
    return FormatError(path, f"the {kind} is damaged or truncated: {reason}", _EXPECTED)


def _decode(data, path):
    """The bytes of a picture -> [h, w, c] uint8 or uint16, and the value of white."""
    kind = _kind(data[:32], path)
    if kind == "PNG":
        if png_header(data, path).depth == 16:
            return decode_png16(data, path), 65535
        check_png(data, path)
    if is_binary_pnm(data):
        return decode_pnm(data, path)
    with _open(io.BytesIO(data), kind, path) as picture:
        width, height = picture.size
        check_size(path, height, width)
        raw = height * width * len(picture.getbands())
        # pillow decodes a compressed bitmap in a Python loop: a false size would cost minutes.
        check_compression(path, raw, len(data), **({"small": 2**22} if kind == "BMP" else {}))
        try:
            return _as_array(picture)
        except Exception as error:  # as in _open
            raise _damaged(path, kind, error) from error


def _as_array(picture):
    """A pillow image of any mode -> [h, w, c] uint8 or uint16 of 1 to 4 channels, and white."""
    if picture.mode.startswith("I"):  # plain-text PGM beyond 8 bits, which pillow scales to 16
        return np.array(picture)[..., None].astype(np.uint16), 65535
    if picture.has_transparency_data:
        grey = picture.mode in ("LA", "La")
        return np.array(picture.convert("LA" if grey else "RGBA")), 255
    if picture.mode in ("1", "L"):
        return np.array(picture.convert("L"))[..., None], 255
    return np.array(picture.convert("RGB")), 255


def _lay_on_white(samples, white):
    """[h, w, 2 or 4] -> [h, w, 1 or 3]: what a viewer with a white page shows."""
    if samples.shape[-1] in (1, 3):
        return samples
    colour, alpha = samples[..., :-1], samples[..., -1:]
    if np.all(alpha == white):
        return np.ascontiguousarray(colour)
    alpha = alpha.astype(np.float32) / np.float32(white)
    laid = colour * alpha + np.float32(white) * (1 - alpha)
    return np.rint(laid).astype(samples.dtype)


def _as_samples(path, image):
    """An array to be written as [h, w, c] uint8 or uint16."""
    image = np.asarray(image)
    shape = list(image.shape)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 3, 4) or 0 in image.shape:
        raise FormatError(path, f"the image has shape {shape}", "[h, w] or [h, w, c], c 1, 3 or 4")
    if image.dtype.kind == "f":
        # Half a step is what interpolation overshoots; a picture of 0 ... 255 is far beyond.
        if not np.all((image > -0.5 / 255) & (image < 1 + 0.5 / 255)):
            raise FormatError(
                path,
                f"the image is a float one from {np.min(image):g} to {np.max(image):g}",
                "floats in [0, 1], or uint8",
            )
        return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if image.dtype == bool:
        return image.astype(np.uint8) * 255
    if image.dtype not in (np.uint8, np.uint16):
        raise FormatError(
            path, f"the image has dtype {image.dtype}", "uint8, uint16, bool or float"
        )
    return np.ascontiguousarray(image)
