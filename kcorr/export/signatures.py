"""What a served flow network answers: its signatures as functions, with their description.

A SavedModel's signature has fixed dtypes, so there is one entry for uint8 pictures
(`serving_default`, what cameras and files give and a quarter of the bytes) and one for float32 in
[0, 1] (`serving_float`). Batch, height and width are free, from 1x1 up.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from kcorr import schema
from kcorr.models.two_frames import features_of_one
from kcorr.ops import fb_occlusion

SMALLEST = 16  # height and width that the networks take as they are

PIXELS = {
    "uint8": {"dtype": "uint8", "shape": "b h w 3", "unit": "RGB, 0 to 255"},
    "float32": {"dtype": "float32", "shape": "b h w 3", "unit": "RGB in [0, 1]"},
}


@dataclass(frozen=True)
class Signature:
    """One entry of the SavedModel.

    Attributes:
        function: takes one tensor for each of `inputs`, in their order; returns a dict.
        inputs: {name: {"dtype", "shape", "unit"}}, one-letter axes.
        outputs: the same for what it returns.
    """

    function: Callable
    inputs: dict
    outputs: dict

    @property
    def specs(self):
        """The `tf.TensorSpec` of each input; axes with a letter are free."""
        return [
            tf.TensorSpec(
                [int(axis) if axis.isdigit() else None for axis in entry["shape"].split()],
                entry["dtype"],
                name=name,
            )
            for name, entry in self.inputs.items()
        ]


def flow_signatures(network):
    """All signatures of a flow network.

    Args:
        network: as `kcorr.models.DDFlowNet`: `net({"image1", "image2"}, backward=...)` gives
            `flow` and `flow_backward`; `net.encode(images)`, if there is a `pyramid`, begins with
            the features of its levels.

    Returns:
        {name: `Signature`}: `serving_default` and `serving_float` (flow), `flow_and_occlusion`
        (both directions); of a network with a feature pyramid, `features` (one image; `level_1`,
        `level_2`, ...); of one of three frames, `three_frames` (the flows from image1 to both of
        its neighbours), while the others repeat the first frame.
    """

    def flow_of_uint8(image1, image2):
        return flow(unit_range(image1), unit_range(image2))

    # A function of the graph, so that both signatures of flow share it.
    @functools.partial(tf.function, autograph=False)
    def flow(image1, image2):
        return _flows(network, [schema.FLOW], image1, image2)

    def flow_and_occlusion(image1, image2):
        keys = [schema.FLOW, schema.FLOW_BACKWARD]
        flows = _flows(network, keys, unit_range(image1), unit_range(image2))
        forward, backward = flows[schema.FLOW], flows[schema.FLOW_BACKWARD]
        return {
            **flows,
            schema.OCCLUSION: fb_occlusion(forward, backward),
            schema.OCCLUSION_BACKWARD: fb_occlusion(backward, forward),
        }

    def three_frames(image0, image1, image2):
        images = [unit_range(image) for image in (image1, image2, image0)]
        return _flows(network, [schema.FLOW, schema.FLOW_PREVIOUS], *images)

    def features(image):
        # Convolutions with "same" padding take any size: nothing is padded here.
        levels = features_of_one(network, unit_range(image))
        return {f"level_{number}": level for number, level in enumerate(levels, start=1)}

    both = {schema.IMAGE1: PIXELS["uint8"], schema.IMAGE2: PIXELS["uint8"]}
    floats = {schema.IMAGE1: PIXELS["float32"], schema.IMAGE2: PIXELS["float32"]}
    one_flow = _described(schema.FLOW)
    all_maps = _described(
        schema.FLOW, schema.FLOW_BACKWARD, schema.OCCLUSION, schema.OCCLUSION_BACKWARD
    )
    signatures = {
        "serving_default": Signature(flow_of_uint8, both, one_flow),
        "serving_float": Signature(flow, floats, one_flow),
        "flow_and_occlusion": Signature(flow_and_occlusion, both, all_maps),
    }
    if getattr(network, "frames", 2) == 3:
        signatures["three_frames"] = Signature(
            three_frames,
            {schema.IMAGE0: PIXELS["uint8"], **both},
            _described(schema.FLOW, schema.FLOW_PREVIOUS),
        )
    if not hasattr(network, "pyramid"):
        return signatures
    levels = {
        f"level_{number}": {
            "dtype": "float32",
            "shape": f"b {_side(network, 'h', number)} {_side(network, 'w', number)} {width}",
            "unit": "features",
        }
        for number, width in enumerate(network.pyramid.widths, start=1)
    }
    return {**signatures, "features": Signature(features, {"image": PIXELS["uint8"]}, levels)}


def _side(network, letter, level):
    """In words, how long a side of the image is in a level: ceil(h/4), 16*ceil(h/64), ..."""
    divisor, zoom = getattr(network, "divisor", 1), getattr(network, "zoom", 1)
    if divisor > 1:  # a multiple of it is halved without rounding
        return f"{divisor // 2**level}*ceil({letter}/{divisor})"
    return f"ceil({'' if zoom == 1 else f'{zoom:g}*'}{letter}/{2**level})"


def _described(*keys):
    fields = {key: schema.FIELDS[key] for key in keys}
    return {
        key: {"dtype": field.dtype, "shape": field.shape, "unit": field.unit}
        for key, field in fields.items()
    }


def unit_range(image):
    """uint8 pixels as float32 in [0, 1]."""
    return tf.cast(image, tf.float32) / 255.0


def large_enough(image, least=SMALLEST):
    """Assertions that images have so many pixels a side; none where that is known."""
    check = tf.debugging.assert_greater_equal(
        tf.reduce_min(tf.shape(image)[1:3]),
        least,
        f"pictures must have at least {least}x{least} pixels",
    )
    return [] if check is None else [check]


def same_shape(image1, others):
    """Assertions that images have the shape of image1; none where that is known.

    Args:
        image1: [b, h, w, 3].
        others: {name: image}.
    """
    checks = [
        tf.debugging.assert_equal(
            tf.shape(image1), tf.shape(image), f"image1 and {key} must have the same shape"
        )
        for key, image in others.items()
    ]
    return [check for check in checks if check is not None]


def _flows(network, keys, image1, image2, image0=None):
    """The network's full-size flows, each of them [b, h, w, 2], for images of any size."""
    images = {schema.IMAGE1: image1, schema.IMAGE2: image2}
    if image0 is not None:
        images[schema.IMAGE0] = image0
    # Without this check two small images of different sizes would both be padded to 16x16, and
    # 3 + 1 images would be halved into 2 + 2.
    others = {key: image for key, image in images.items() if image is not image1}
    with tf.control_dependencies(same_shape(image1, others)):
        images = {key: _padded(image) for key, image in images.items()}
    outputs = network(images, training=False, backward=schema.FLOW_BACKWARD in keys)
    height, width = tf.unstack(tf.shape(image1)[1:3])
    return {key: outputs[key][:, :height, :width] for key in keys}


def _padded(image):
    """Repeats the last row and column until both sides reach `SMALLEST`; else unchanged."""
    for axis in (1, 2):
        size = tf.shape(image)[axis]
        index = tf.minimum(tf.range(tf.maximum(size, SMALLEST)), size - 1)
        image = tf.gather(image, index, axis=axis)
    return image
