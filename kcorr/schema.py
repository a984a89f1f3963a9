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
IMAGE3 = "image3"
IMAGE4 = "image4"
FLOW = "flow"
FLOW_BACKWARD = "flow_backward"
FLOW_PREVIOUS = "flow_previous"
FLOW_PYRAMID = "flow_pyramid"
FLOW_SEQUENCE = "flow_sequence"
FEATURES = "features"
VALID = "valid"
OCCLUSION = "occlusion"
OCCLUSION_BACKWARD = "occlusion_backward"
TEACHER_FLOW = "teacher_flow"
TEACHER_FLOW_BACKWARD = "teacher_flow_backward"
TEACHER_OCCLUSION = "teacher_occlusion"
TEACHER_OCCLUSION_BACKWARD = "teacher_occlusion_backward"
CROP = "crop"
SUPERPIXELS = "superpixels"
HALLUCINATED = "hallucinated"
DISPARITY = "disparity"
OBJECTS = "objects"
GRID = "grid"
POINTS1 = "points1"
POINTS2 = "points2"
VISIBLE = "visible"
IDENTITY = "identity"
COORDINATES1 = "coordinates1"
COORDINATES2 = "coordinates2"
COUNTERPART = "counterpart"
COUNTERPART_VALID = "counterpart_valid"
MIRRORED = "mirrored"
LABELS = "labels"
HEATMAPS = "heatmaps"
PROBABILITIES = "probabilities"
POINTS = "points"
CONFIDENCE = "confidence"
SIMILARITY = "similarity"
SCORES = "scores"
RECIPROCAL = "reciprocal"

_IMAGE = Field("b h w 3", "float32", "RGB in [0, 1]")
_FLOW = Field("b h w 2", "float32", "(x, y) in pixels, q - p")
_MASK = Field("b h w 1", "float32", "1 = counts")
_HIDDEN = Field("b h w 1", "float32", "1 = hidden in the other frame")
_POINTS = Field("b n 2", "float32", "(x, y) in pixels")

FIELDS = {
    IMAGE0: _IMAGE,
    IMAGE1: _IMAGE,
    IMAGE2: _IMAGE,
    IMAGE3: _IMAGE,
    IMAGE4: _IMAGE,
    FLOW: _FLOW,
    FLOW_BACKWARD: _FLOW,
    FLOW_PREVIOUS: Field("b h w 2", "float32", "(x, y) in pixels, image1 to image0"),
    VALID: _MASK,
    OCCLUSION: _HIDDEN,
    OCCLUSION_BACKWARD: _HIDDEN,
    TEACHER_FLOW: _FLOW,
    TEACHER_FLOW_BACKWARD: _FLOW,
    TEACHER_OCCLUSION: _HIDDEN,
    TEACHER_OCCLUSION_BACKWARD: _HIDDEN,
    SUPERPIXELS: Field("b h w 1", "float32", "number of the superpixel of image2, whole"),
    CROP: Field("b 2", "float32", "(x, y) of the student's crop, top left pixel"),
    DISPARITY: Field("b h w 1", "float32", "x_left - x_right in pixels, 0 where invalid"),
    OBJECTS: Field("b h w 1", "float32", "0 = background, 1, 2, ... = moving objects"),
    GRID: Field("b h w 2", "float32", "(x, y) in pixels of the other view"),
    POINTS1: _POINTS,
    POINTS2: _POINTS,
    VISIBLE: Field("b n 1", "float32", "1 = seen in both views"),
    IDENTITY: Field("b 1", "float32", "number of the object or person, whole"),
    COORDINATES1: Field("b h w 3", "float32", "place on the object, 0 where there is none"),
    COORDINATES2: Field("b h w 3", "float32", "place on the object, 0 where there is none"),
    COUNTERPART: Field("b h w 2", "float32", "(x, y) in image1 of the symmetric counterpart"),
    COUNTERPART_VALID: Field("b h w 1", "float32", "1 = the counterpart is seen"),
    MIRRORED: Field("b 1", "float32", "1 = image2 is mirrored, and so is the grid into it"),
}

IMAGES = tuple(key for key in FIELDS if key.startswith("image"))


def student(image):
    """The key of what a student sees instead of an image: "student_image1" for "image1"."""
    return f"student_{image}"


def student_affine(image):
    """The key of the map [2, 3] from an image's pixels to those of what the student sees of it."""
    return f"student_affine{image.removeprefix('image')}"


# What a student sees has a size of its own, k x l.
FIELDS |= {student(image): Field("b k l 3", "float32", "RGB in [0, 1]") for image in IMAGES}
FIELDS |= {student_affine(image): Field("b 2 3", "float32", "(x, y), pixels") for image in IMAGES}
FIELDS[HALLUCINATED] = Field("b k l 1", "float32", "1 = noise in the student's image2")


def flow_between(first, second):
    """The key of the flow from image `first` to image `second`: (1, 0) gives "flow10".

    For outputs with more flows than have names of their own. `flow` is flow12, `flow_previous`
    flow10 and `flow_backward` flow21; each lies on the grid of the image that it starts from.
    """
    return f"flow{first}{second}"


def occlusion_between(first, second):
    """The key of what is hidden of image `first` in image `second`: (1, 3) gives "occlusion13"."""
    return f"occlusion{first}{second}"


def student_noise(image):
    """The key of where a student sees noise instead of an image: "student_noise1" for "image1"."""
    return f"student_noise{image.removeprefix('image')}"


FIELDS |= {student_noise(image): Field("b k l 1", "float32", "1 = noise") for image in IMAGES}
