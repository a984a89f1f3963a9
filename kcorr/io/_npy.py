"""numpy's .npy, never through pickle, and with the header checked before anything is allocated."""

import io
import math

import numpy as np

from kcorr.io._bytes import check_payload, check_size
from kcorr.io._errors import FormatError


def decode_npy(data, path):
    """The bytes of a .npy file -> [h, w] or [h, w, c] of real numbers, as stored."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read_header(file)
    except Exception as error:
        # The header is a Python literal; what a broken one raises (SyntaxError, TokenError,
        # KeyError, ...) differs between versions of Python, and each means the same.
        raise FormatError(
            path, f"begins with {data[:8]!r}", "the header of a .npy, version 1 or 2"
        ) from error
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise FormatError(path, f"holds values of dtype {dtype}", "real numbers of up to 8 bytes")
    if len(shape) not in (2, 3):
        raise FormatError(path, f"holds an array of shape {list(shape)}", "[h, w] or [h, w, c]")
    check_size(path, shape[0], shape[1])
    needed = math.prod(shape) * dtype.itemsize
    check_payload(path, len(data) - file.tell(), needed)
    if not needed:
        raise FormatError(path, f"holds an array of shape {list(shape)}", "at least one channel")
    values = np.frombuffer(data, dtype, offset=file.tell())
    return values.reshape(shape, order="F" if fortran_order else "C")


def encode_npy(values):
    """An array -> the bytes of a .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()
