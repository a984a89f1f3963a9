"""Middlebury's .flo: a tag, width, height, then (u, v) row by row; all little-endian.

Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 2011 (the format of its
web site). Unknown flow is written as 1e10; anything beyond 1e9 is unknown.
"""

import struct

import numpy as np

from kcorr.io._bytes import check_payload, check_size
from kcorr.io._errors import FormatError

_TAG = b"PIEH"  # float32 202021.25
_HEADER = 12
UNKNOWN = 1e10


def decode_flo(data, path):
    """The bytes of a .flo file -> [h, w, 2] float32, unknown values as they are stored."""
    if data[:4] != _TAG:
        hint = " (big-endian?)" if data[:4] == _TAG[::-1] else ""
        raise FormatError(path, f"begins with {data[:4]!r}{hint}", f"the tag {_TAG!r} of a .flo")
    if len(data) < _HEADER:
        raise FormatError(path, f"truncated: {len(data)} bytes", "a header of 12 bytes")
    width, height = struct.unpack("<ii", data[4:_HEADER])
    check_size(path, height, width)
    check_payload(path, len(data) - _HEADER, height * width * 8)
    return np.frombuffer(data, "<f4", offset=_HEADER).reshape(height, width, 2)


def encode_flo(flow, known):
    """[h, w, 2] and [h, w, 1] bool -> the bytes of a .flo file."""
    height, width = flow.shape[:2]
    values = np.where(known, flow, UNKNOWN).astype("<f4")
    return _TAG + struct.pack("<ii", width, height) + values.tobytes()
