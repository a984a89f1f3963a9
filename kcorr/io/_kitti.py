"""KITTI's 16-bit encodings: flow in RGB, disparity in grey, and the authors' teacher flow.

Menze and Geiger, Object Scene Flow for Autonomous Vehicles, CVPR 2015 (its development kit). Flow
is u = (R - 32768) / 64, v = (G - 32768) / 64 with B > 0 where valid; disparity is value / 256 with
0 = invalid.
"""

import numpy as np

from kcorr.io._errors import FormatError
from kcorr.io._png import decode_png16, png_header

FLOW_RANGE = (-512.0, 511.984375)
DISPARITY_RANGE = (0.0, 65535 / 256)
_TOP = 65535


def decode_flow(data, path):
    """A 16-bit RGB PNG -> flow [h, w, 2] float32 pixels, third channel [h, w, 1] uint16."""
    samples = _decode(data, path, 3, "16-bit RGB: KITTI flow, and not a picture of a flow")
    flow = (samples[..., :2].astype(np.float32) - 32768) / 64
    return flow, samples[..., 2:]


def encode_flow(path, flow, third, known, clip):
    """Flow [h, w, 2], third channel and known [h, w, 1] -> [h, w, 3] uint16, 0 where unknown.

    Raises:
        FormatError: a value rounds to one outside [-512, 511.984375] and `clip` is False.
    """
    codes = _round(path, flow * 64.0 + 32768, flow, known, clip, "flow", FLOW_RANGE)
    return np.where(known, np.concatenate([codes, third], axis=-1), 0).astype(np.uint16)


def decode_disparity(data, path):
    """A 16-bit grey PNG -> disparity [h, w, 1] float32 pixels, valid [h, w, 1] bool."""
    samples = _decode(data, path, 1, "16-bit grey: KITTI disparity, and not a picture of one")
    return samples.astype(np.float32) / 256, samples > 0


def encode_disparity(path, disparity, known, clip):
    """Disparity and known [h, w, 1] -> [h, w, 1] uint16, 0 where unknown.

    As in KITTI's own writer a known disparity is at least 1/256, since 0 means unknown.

    Raises:
        FormatError: a value rounds to one outside [0, 255.996] and `clip` is False.
    """
    codes = _round(path, disparity * 256.0, disparity, known, clip, "disparity", DISPARITY_RANGE)
    return np.where(known, np.maximum(codes, 1), 0).astype(np.uint16)


def _decode(data, path, channels, expected):
    header = png_header(data, path)
    if header.depth != 16 or header.channels != channels:
        raise FormatError(path, f"is {header}", expected)
    samples = decode_png16(data, path)
    if samples.shape[-1] != channels:
        raise FormatError(path, "has a transparent colour", expected)
    return samples


def _round(path, codes, values, known, clip, what, span):
    codes = np.rint(codes)
    outside = known & ((codes < 0) | (codes > _TOP))
    if outside.any() and not clip:
        largest = values[outside][np.argmax(np.abs(values[outside]))]
        raise FormatError(
            path,
            f"the {what} reaches {largest:g} pixels",
            f"values in [{span[0]:g}, {span[1]:.6g}] for a 16-bit PNG (clip=True to clip)",
        )
    return np.clip(codes, 0, _TOP)
