"""Flow files of every format, chosen by suffix."""

from pathlib import Path

import numpy as np

from kcorr.io import _kitti
from kcorr.io._atomic import write_bytes
from kcorr.io._bytes import read_bytes
from kcorr.io._errors import FormatError
from kcorr.io._flo import decode_flo, encode_flo
from kcorr.io._known import as_map, merge_unknown, split_unknown
from kcorr.io._npy import decode_npy, encode_npy
from kcorr.io._pfm import decode_pfm, encode_pfm
from kcorr.io._png import encode_png16

FLOW_SUFFIXES = (".flo", ".npy", ".pfm", ".png")


def read_flow(path):
    """Reads a flow file: `.flo`, KITTI's 16-bit `.png`, `.pfm` or `.npy`.

    Unknown pixels are those that the file marks (third channel 0 in a `.png` and in a `.npy` of
    [h, w, 3]) and, in every other format, those with a value that is NaN, infinite or beyond 1e9.

    Args:
        path: the file; its suffix names the format.

    Returns:
        flow: [h, w, 2] float32, (u, v) in pixels, 0 where unknown.
        valid: [h, w, 1] float32, 1 = known.

    Raises:
        FormatError: unknown suffix, or a file that is not what its suffix says.
        FileNotFoundError: no such file.
    """
    suffix = _suffix(path)
    data = read_bytes(path)
    if suffix == ".png":
        return split_unknown(*_kitti.decode_flow(data, path))
    if suffix == ".flo":
        return split_unknown(decode_flo(data, path))
    if suffix == ".pfm":
        values = decode_pfm(data, path)
        if values.shape[-1] != 3:
            raise FormatError(path, "has one channel: a disparity?", "three, of them (u, v) first")
        return split_unknown(values[..., :2])
    values = decode_npy(data, path)
    if values.ndim != 3 or values.shape[-1] not in (2, 3):
        raise FormatError(
            path,
            f"holds an array of shape {list(values.shape)}",
            "[h, w, 2] for (u, v) or [h, w, 3] for (u, v, valid)",
        )
    return split_unknown(values[..., :2], values[..., 2:] if values.shape[-1] == 3 else None)


def write_flow(path, flow, valid=None, *, clip=False):
    """Writes a flow file: `.flo`, KITTI's 16-bit `.png`, `.pfm` or `.npy`.

    Unknown pixels become 1e10 in a `.flo`, (0, 0, 0) in a `.png`, infinity in a `.pfm` (whose
    third channel is 0, as in FlyingThings3D) and NaN in a `.npy` of [h, w, 2]; `read_flow` gives
    back values and validity. A `.png` rounds to 1/64 pixel and holds [-512, 511.984375].

    Args:
        path: the file, its suffix names the format; written under a temporary name and renamed.
        flow: [h, w, 2] pixels.
        valid: [h, w, 1] or [h, w], above 0 = known. None: known where the flow is finite and
            within 1e9.
        clip: write values outside the range of a `.png` as its nearest ones.

    Raises:
        FormatError: unknown suffix, wrong shape, a flow that is not finite where `valid` counts
            it, or, for a `.png` without `clip`, values outside its range (the largest is named).
        FileNotFoundError: the folder does not exist.
    """
    suffix = _suffix(path)
    flow, known = merge_unknown(path, flow, valid, 2, "flow")
    if suffix == ".png":
        data = encode_png16(_kitti.encode_flow(path, flow, np.ones_like(known), known, clip))
    elif suffix == ".flo":
        data = encode_flo(flow, known)
    elif suffix == ".pfm":
        data = encode_pfm(np.concatenate([np.where(known, flow, np.inf), known * 0.0], axis=-1))
    else:
        data = encode_npy(np.where(known, flow, np.nan).astype(np.float32))
    write_bytes(path, data)


def read_teacher_flow(path):
    """Reads a teacher's flow as the authors of DDFlow store it: occlusion in the third channel.

    The 16-bit PNG is KITTI's but for that channel, which marks occlusion and not validity: every
    pixel has a flow.

    Args:
        path: a .png file.

    Returns:
        flow: [h, w, 2] float32, (u, v) in pixels.
        occlusion: [h, w, 1] float32, 1 = hidden in the other frame.

    Raises:
        FormatError: not a 16-bit RGB PNG.
        FileNotFoundError: no such file.
    """
    flow, third = _kitti.decode_flow(read_bytes(path), path)
    return flow, (third > 0).astype(np.float32)


def write_teacher_flow(path, flow, occlusion, *, clip=False):
    """Writes a teacher's flow as the authors of DDFlow store it: occlusion in the third channel.

    Values are rounded to 1/64 pixel. (The authors truncate, which shifts the flow by 1/128 pixel
    on average.)

    Args:
        path: a .png file; written under a temporary name and renamed.
        flow: [h, w, 2] pixels, finite everywhere.
        occlusion: [h, w, 1] or [h, w], above 0 = hidden in the other frame.
        clip: write values outside [-512, 511.984375] as the nearest ones.

    Raises:
        FormatError: another suffix, wrong shape, not finite, or out of range without `clip`.
        FileNotFoundError: the folder does not exist.
    """
    if Path(path).suffix.lower() != ".png":
        raise FormatError(path, f"the suffix is {Path(path).suffix!r}", ".png")
    everywhere = np.ones(np.shape(flow)[:2])
    flow, known = merge_unknown(path, flow, everywhere, 2, "flow")
    hidden = as_map(path, occlusion, 1, "occlusion") > 0
    if hidden.shape != known.shape:
        raise FormatError(
            path,
            f"the occlusion is for {hidden.shape[1]}x{hidden.shape[0]} pixels",
            f"{known.shape[1]}x{known.shape[0]} like the flow",
        )
    write_bytes(path, encode_png16(_kitti.encode_flow(path, flow, hidden, known, clip)))


def _suffix(path):
    suffix = Path(path).suffix.lower()
    if suffix not in FLOW_SUFFIXES:
        raise FormatError(
            path, f"the suffix {suffix!r} names no flow format", f"one of {' '.join(FLOW_SUFFIXES)}"
        )
    return suffix
