"""Binary PGM and PPM of 8 or 16 bits. (pillow keeps only 8 of a 16-bit PPM.)"""

import re

import numpy as np

from kcorr.io._bytes import check_size
from kcorr.io._errors import FormatError

# Tokens are separated by blanks and comments that run to the end of their line.
_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(
    rb"P([56])" + _GAP + rb"(\d{1,10})" + _GAP + rb"(\d{1,10})" + _GAP + rb"(\d{1,10})\s"
)
_LONGEST_HEADER = 4096


def is_binary_pnm(data):
    """Whether these bytes begin like a binary PGM or PPM."""
    return data[:2] in (b"P5", b"P6")


def decode_pnm(data, path):
    """The bytes of a binary PGM or PPM -> [h, w, 1 or 3] uint8 or uint16, and the value of white.

    What follows the pixels is ignored, since the format allows several pictures in a file.
    """
    header = _HEADER.match(data[:_LONGEST_HEADER])
    if header is None:
        raise FormatError(
            path, f"begins with {data[:12]!r}", "the header of a PGM or PPM: width, height, white"
        )
    channels = 1 if header[1] == b"5" else 3
    width, height, white = int(header[2]), int(header[3]), int(header[4])
    check_size(path, height, width)
    if not 0 < white < 65536:
        raise FormatError(path, f"the header says white is {white}", "1 to 65535")
    dtype = np.dtype(np.uint8 if white < 256 else ">u2")
    count = height * width * channels
    stored = len(data) - header.end()
    if stored < count * dtype.itemsize:
        raise FormatError(
            path,
            f"truncated: {stored} bytes of pixels",
            f"{count * dtype.itemsize} for {width}x{height}",
        )
    samples = np.frombuffer(data, dtype, count, header.end()).reshape(height, width, channels)
    if white not in (255, 65535) and samples.max() > white:
        raise FormatError(path, f"a value of {samples.max()}", f"at most {white} (white)")
    return samples.astype(dtype.newbyteorder("=")), white
