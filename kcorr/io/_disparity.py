"""Disparity files of every format, chosen by suffix."""

from pathlib import Path

import numpy as np

from kcorr.io import _kitti
from kcorr.io._atomic import write_bytes
from kcorr.io._bytes import read_bytes
from kcorr.io._errors import FormatError
from kcorr.io._known import merge_unknown, split_unknown
from kcorr.io._npy import decode_npy, encode_npy
from kcorr.io._pfm import decode_pfm, encode_pfm
from kcorr.io._png import encode_png16

DISPARITY_SUFFIXES = (".npy", ".pfm", ".png")


def read_disparity(path):
    """Reads a disparity file: KITTI's 16-bit grey `.png`, `.pfm` (Middlebury) or `.npy`.

    Args:
        path: the file; its suffix names the format.

    Returns:
        disparity: [h, w, 1] float32, x_left - x_right in pixels, 0 where unknown.
        valid: [h, w, 1] float32, 1 = known. Unknown is 0 in a `.png`, and NaN, infinity or
            anything beyond 1e9 in the others.

    Raises:
        FormatError: unknown suffix, or a file that is not what its suffix says.
        FileNotFoundError: no such file.
    """
    suffix = _suffix(path)
    data = read_bytes(path)
    if suffix == ".png":
        return split_unknown(*_kitti.decode_disparity(data, path))
    if suffix == ".pfm":
        values = decode_pfm(data, path)
    else:
        values = decode_npy(data, path)
        values = values[..., None] if values.ndim == 2 else values
    if values.shape[-1] != 1:
        raise FormatError(path, f"has {values.shape[-1]} channels: a flow?", "one")
    return split_unknown(values)


def write_disparity(path, disparity, valid=None, *, clip=False):
    """Writes a disparity file: KITTI's 16-bit grey `.png`, `.pfm` or `.npy`.

    Unknown pixels become 0 in a `.png`, infinity in a `.pfm` (as in Middlebury) and NaN in a
    `.npy` of [h, w, 1]. A `.png` rounds to 1/256 pixel and holds [1/256, 255.996]: as in KITTI's
    own writer a known disparity of 0 becomes 1/256, because 0 means unknown.

    Args:
        path: the file, its suffix names the format; written under a temporary name and renamed.
        disparity: [h, w, 1] or [h, w] pixels.
        valid: [h, w, 1] or [h, w], above 0 = known. None: known where the disparity is finite
            and within 1e9.
        clip: write values outside the range of a `.png` as its nearest ones.

    Raises:
        FormatError: unknown suffix, wrong shape, a disparity that is not finite where `valid`
            counts it, or, for a `.png` without `clip`, values outside its range.
        FileNotFoundError: the folder does not exist.
    """
    suffix = _suffix(path)
    disparity, known = merge_unknown(path, disparity, valid, 1, "disparity")
    if suffix == ".png":
        data = encode_png16(_kitti.encode_disparity(path, disparity, known, clip))
    elif suffix == ".pfm":
        data = encode_pfm(np.where(known, disparity, np.inf))
    else:
        data = encode_npy(np.where(known, disparity, np.nan).astype(np.float32))
    write_bytes(path, data)


def _suffix(path):
    suffix = Path(path).suffix.lower()
    if suffix not in DISPARITY_SUFFIXES:
        raise FormatError(
            path,
            f"the suffix {suffix!r} names no disparity format",
            f"one of {' '.join(DISPARITY_SUFFIXES)}",
        )
    return suffix
