"""Names, shapes, types and units of every key of a record, a batch or a network's output.

One-letter axes: b batch, h height, w width, c channels, n points. Coordinates and flows follow the
coordinate law of `kcorr.ops.grid`: the last axis is (x, y), in pixels of the tensor's own grid.
Records (of `kcorr.datasets`) hold the same keys without the batch axis, images as uint8.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """What stands under one key.

    Attributes:
        shape: axes of a batch, one letter or number each.
        dtype: dtype in a batch.
        unit: unit or meaning of a value.
    """

    shape: str
    dtype: str
    unit: str


IMAGE0 = "image0"
IMAGE1 = "image1"
IMAGE2 = "image2"
FLOW = "flow"
FLOW_BACKWARD = "flow_backward"
FLOW_PYRAMID = "flow_pyramid"
FEATURES = "features"
VALID = "valid"
OCCLUSION = "occlusion"
OCCLUSION_BACKWARD = "occlusion_backward"
TEACHER_FLOW = "teacher_flow"
TEACHER_FLOW_BACKWARD = "teacher_flow_backward"
TEACHER_OCCLUSION = "teacher_occlusion"
TEACHER_OCCLUSION_BACKWARD = "teacher_occlusion_backward"
CROP = "crop"
DISPARITY = "disparity"
GRID = "grid"
POINTS1 = "points1"
POINTS2 = "points2"
VISIBLE = "visible"

_IMAGE = Field("b h w 3", "float32", "RGB in [0, 1]")
_FLOW = Field("b h w 2", "float32", "(x, y) in pixels, q - p")
_MASK = Field("b h w 1", "float32", "1 = counts")
_HIDDEN = Field("b h w 1", "float32", "1 = hidden in the other frame")
_POINTS = Field("b n 2", "float32", "(x, y) in pixels")

FIELDS = {
    IMAGE0: _IMAGE,
    IMAGE1: _IMAGE,
    IMAGE2: _IMAGE,
    FLOW: _FLOW,
    FLOW_BACKWARD: _FLOW,
    VALID: _MASK,
    OCCLUSION: _HIDDEN,
    OCCLUSION_BACKWARD: _HIDDEN,
    TEACHER_FLOW: _FLOW,
    TEACHER_FLOW_BACKWARD: _FLOW,
    TEACHER_OCCLUSION: _HIDDEN,
    TEACHER_OCCLUSION_BACKWARD: _HIDDEN,
    CROP: Field("b 2", "float32", "(x, y) of the student's crop, top left pixel"),
    DISPARITY: Field("b h w 1", "float32", "x_left - x_right in pixels, 0 where invalid"),
    GRID: Field("b h w 2", "float32", "(x, y) in pixels of the other view"),
    POINTS1: _POINTS,
    POINTS2: _POINTS,
    VISIBLE: Field("b n 1", "float32", "1 = seen in both views"),
}
