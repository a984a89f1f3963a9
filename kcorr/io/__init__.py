"""Bytes <-> numpy: flow, disparity, float maps, pictures, matches, tables; without TensorFlow.

Each reader raises `FormatError`, a ValueError of one line, for a file it cannot understand, and
refuses absurd sizes before it allocates. Each writer writes under a temporary name and renames
(`atomic_write`). Sizes are (height, width), flow is (u, v) in pixels by the coordinate law of
`kcorr.ops.grid`, and unknown values are read as value 0 and valid 0.
"""

from kcorr.io._atomic import atomic_write, remove_leftovers
from kcorr.io._disparity import DISPARITY_SUFFIXES, read_disparity, write_disparity
from kcorr.io._errors import FormatError
from kcorr.io._flow import (
    FLOW_SUFFIXES,
    read_flow,
    read_teacher_flow,
    write_flow,
    write_teacher_flow,
)
from kcorr.io._image import IMAGE_SUFFIXES, image_size, read_image, write_image
from kcorr.io._json import plain_json
from kcorr.io._matches import read_matches, write_matches
from kcorr.io._pfm import read_pfm, write_pfm
from kcorr.io._table import read_table

__all__ = [
    "DISPARITY_SUFFIXES",
    "FLOW_SUFFIXES",
    "IMAGE_SUFFIXES",
    "FormatError",
    "atomic_write",
    "image_size",
    "plain_json",
    "read_disparity",
    "read_flow",
    "read_image",
    "read_matches",
    "read_pfm",
    "read_table",
    "read_teacher_flow",
    "remove_leftovers",
    "write_disparity",
    "write_flow",
    "write_image",
    "write_matches",
    "write_pfm",
    "write_teacher_flow",
]
