"""Random affine views of frames, whose flow stays exact; how a pair is augmented for labels."""

import tensorflow as tf

from kcorr import schema
from kcorr.ops import compose_affine, transform_flow, transform_image
from kcorr.pipelines._seeds import draw
from kcorr.pipelines.colour import to_float

# ARFlow's published ranges. DistillFlow's own are not known.
GEOMETRY = {
    "rotation": 0.2,
    "zoom": (1.0, 1.5),
    "squeeze": (0.86, 1.16),
    "translation": 0.2,
    "left_right": 0.5,
    "up_down": 0.5,
    "relative_rotation": 0.015,
    "relative_zoom": (0.985, 1.015),
    "relative_translation": 0.015,
}
STILL = {
    "rotation": 0.0,
    "zoom": (1.0, 1.0),
    "squeeze": (1.0, 1.0),
    "translation": 0.0,
    "left_right": 0.0,
    "up_down": 0.0,
    "relative_rotation": 0.0,
    "relative_zoom": (1.0, 1.0),
    "relative_translation": 0.0,
}
_LABELS = {schema.FLOW, schema.VALID, schema.OCCLUSION}


def random_affines(example, size, **geometry):
    """Random maps from the pixels of each image to those of a view of it.

    A view shows a random window of `size` (placed at whole pixels), mirrored, turned, zoomed,
    squeezed and shifted about the window's centre. All images share this map A; each image after
    the first is moved once more by the same small relative map B than the one before it, about the
    view's centre: A, BA, BBA, ... as if the camera had moved a little differently.

    Args:
        example: an example dict with images.
        size: (height, width) of the views.
        **geometry: ranges, all drawn uniformly; those not given leave things as they are:
            rotation: largest angle, radians.
            zoom: (smallest, largest) magnification.
            squeeze: (smallest, largest) s; x is stretched by s and y by 1 / s.
            translation: largest shift along each axis, as a share of half the view's side.
            left_right, up_down: probabilities of the mirror images.
            relative_rotation, relative_zoom, relative_translation: the same, of B.
            `GEOMETRY` holds ARFlow's.

    Returns:
        {key of the image: float32 [2, 3]}.

    Raises:
        ValueError: an unknown range.
        tf.errors.InvalidArgumentError: (when it runs) a picture is smaller than the view.
    """
    unknown = sorted(set(geometry) - set(STILL))
    if unknown:
        raise ValueError(f"unknown ranges {', '.join(unknown)}; known are {', '.join(STILL)}")
    ranges = {**STILL, **geometry}
    keys = [key for key in schema.IMAGES if key in example]
    shape = tf.shape(example[keys[0]])[:2]
    height, width = size
    fits = tf.debugging.Assert(
        tf.reduce_all(shape >= [height, width]),
        [f"the pictures are smaller than the view {height}x{width}: they are", shape],
    )
    with tf.control_dependencies([fits]):
        top = draw(example, 51, (), 0, shape[0] - height + 1, tf.int32)
        left = draw(example, 52, (), 0, shape[1] - width + 1, tf.int32)
    centre = tf.constant([(width - 1) / 2, (height - 1) / 2], tf.float32)
    half = tf.constant([width / 2, height / 2], tf.float32)
    corner = tf.cast(tf.stack([left, top]), tf.float32)

    turn = _within(example, 53, ranges["rotation"])
    zoom = draw(example, 54, (), *ranges["zoom"])
    squeeze = draw(example, 55, (), *ranges["squeeze"])
    mirrored = draw(example, 56, (2,)) < [ranges["left_right"], ranges["up_down"]]
    scale = zoom * tf.stack([squeeze, 1 / squeeze]) * tf.where(mirrored, -1.0, 1.0)
    shift = _within(example, 57, ranges["translation"], (2,)) * half
    affine = _about(turn, scale, corner + centre, centre + shift)

    turn = _within(example, 58, ranges["relative_rotation"])
    zoom = draw(example, 59, (), *ranges["relative_zoom"])
    shift = _within(example, 60, ranges["relative_translation"], (2,)) * half
    relative = _about(turn, tf.stack([zoom, zoom]), centre, centre + shift)

    affines = {}
    for key in keys:
        affines[key] = affine
        affine = compose_affine(relative[None], affine[None])[0]
    return affines


def random_views(example, size, sparse=False, **geometry):
    """An example seen through random affine maps, one for each frame, with its exact flow.

    Args:
        example: an example dict with images, and flow, valid and occlusion if it has them.
        size: (height, width) of the views; pictures may have any size from it.
        sparse: whether flow is known at single pixels only, whose vectors are then kept as they
            are (see `method="nearest"` of `kcorr.ops.transform_flow`).
        **geometry: of `random_affines`; None given takes `GEOMETRY`.

    Returns:
        The example, images float32 in [0, 1], black outside the picture. `valid` is 0 where
        the flow is not known, and `occlusion` keeps its meaning: a pixel that merely leaves the
        view is not marked anew.

    Raises:
        ValueError: the example holds something else that has a place, or an unknown range.
        tf.errors.InvalidArgumentError: (when it runs) a picture is smaller than the views.
    """
    affines = random_affines(example, size, **(geometry or GEOMETRY))
    maps = set(example) & set(schema.FIELDS)
    refused = sorted(maps - set(schema.IMAGES) - _LABELS)
    if refused:
        raise ValueError(f"random_views cannot move {', '.join(refused)}")
    out = {key: value for key, value in example.items() if key not in maps}
    for key, affine in affines.items():
        out[key] = view(example, key, affine, size)
    method = "nearest" if sparse else "bilinear"
    first, second = (affines[key][None] for key in (schema.IMAGE1, schema.IMAGE2))
    if schema.FLOW in example:
        valid = example.get(schema.VALID)
        valid = None if valid is None else valid[None]
        flow, valid = transform_flow(
            example[schema.FLOW][None], first, second, size, valid, method=method
        )
        out[schema.FLOW], out[schema.VALID] = flow[0], valid[0]
    if schema.OCCLUSION in example:
        hidden, _ = transform_image(example[schema.OCCLUSION][None], first, size, method="nearest")
        out[schema.OCCLUSION] = hidden[0]
    return {key: _sized(value, size) if key in maps else value for key, value in out.items()}


def view(example, key, affine, size):
    """The image under `key` after an affine map, float32 [h, w, 3] in [0, 1], black outside."""
    image = to_float({key: example[key]})[key]
    return _sized(transform_image(image[None], affine[None], size)[0][0], size)


def _sized(value, size):
    return tf.ensure_shape(value, [*size, value.shape[-1]])


def _within(example, salt, most, shape=()):
    return draw(example, salt, shape, -1.0, 1.0) * most


def _about(turn, scale, start, end):
    """The map that stretches, then turns about `start`, which goes to `end`: [2, 3]."""
    cosine, sine = tf.cos(turn), tf.sin(turn)
    linear = tf.stack([tf.stack([cosine, -sine]), tf.stack([sine, cosine])]) * scale
    offset = end - tf.reduce_sum(linear * start, axis=1)
    return tf.concat([linear, offset[:, None]], axis=1)
