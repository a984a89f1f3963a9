"""Portable float maps: one or three channels of float32, rows from the bottom up.

The header is "Pf" (one channel) or "PF" (three), width, height and a scale whose sign gives the
byte order, negative = little-endian. The size of the scale has no agreed meaning; it is ignored,
as the readers of Middlebury, KITTI and FlyingThings do.
"""

import re

import numpy as np

from kcorr.io._atomic import write_bytes
from kcorr.io._bytes import check_payload, check_size, read_bytes
from kcorr.io._errors import FormatError

# Bounded repetitions: neither a long run of blanks nor a number of a million digits costs time.
_HEADER = re.compile(
    rb"(P[Ff])\s{1,8}(-?\d{1,10})\s{1,8}(-?\d{1,10})\s{1,8}([-+]?[0-9.eE+-]{1,40})(?:\r\n|\s)"
)
_CHANNELS = {b"Pf": 1, b"PF": 3}


def read_pfm(path):
    """Reads a portable float map of either byte order.

    Args:
        path: a .pfm file.

    Returns:
        [h, w, 1] or [h, w, 3] float32, first row on top; NaN and infinity as they are stored.

    Raises:
        FormatError: not a PFM file, truncated, too long, or of an absurd size.
        FileNotFoundError: no such file.
    """
    return decode_pfm(read_bytes(path), path)


def write_pfm(path, values, *, big_endian=False):
    """Writes a portable float map.

    Args:
        path: the file; written under a temporary name and renamed.
        values: [h, w], [h, w, 1] or [h, w, 3] real numbers, first row on top.
        big_endian: byte order; little-endian is what every reader understands.

    Raises:
        FormatError: another number of channels, or not real numbers.
    """
    values = np.asarray(values)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[-1] not in (1, 3) or 0 in values.shape:
        raise FormatError(
            path, f"the values have shape {list(values.shape)}", "[h, w, 1] or [h, w, 3]"
        )
    if values.dtype.kind not in "fiub":
        raise FormatError(path, f"the values have dtype {values.dtype}", "real numbers")
    write_bytes(path, encode_pfm(values, big_endian))


def decode_pfm(data, path):
    """The bytes of a PFM file -> [h, w, 1] or [h, w, 3] float32."""
    header = _HEADER.match(data)
    if header is None:
        raise FormatError(
            path,
            f"begins with {data[:12]!r}",
            "the header of a PFM: 'Pf' or 'PF', width, height, scale",
        )
    kind, width, height, scale = header.groups()
    try:
        scale = float(scale)
    except ValueError:
        scale = 0.0
    if scale == 0:
        raise FormatError(
            path, f"the scale is {header[4].decode()}", "a number above or below zero"
        )
    channels, width, height = _CHANNELS[kind], int(width), int(height)
    check_size(path, height, width)
    start = header.end()
    needed = 4 * height * width * channels
    if header[0].endswith(b"\r\n") and len(data) - start == needed - 1:
        start -= 1  # The line ended with "\r" alone, and the first value begins with byte 0x0a.
    check_payload(path, len(data) - start, needed)
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", offset=start)
    values = values.reshape(height, width, channels)[::-1]
    return np.ascontiguousarray(values, np.float32)


def encode_pfm(values, big_endian=False):
    """[h, w, 1] or [h, w, 3] -> the bytes of a PFM file."""
    height, width, channels = values.shape
    kind = "PF" if channels == 3 else "Pf"
    header = f"{kind}\n{width} {height}\n{'1.0' if big_endian else '-1.0'}\n".encode()
    return header + values[::-1].astype(">f4" if big_endian else "<f4").tobytes()
