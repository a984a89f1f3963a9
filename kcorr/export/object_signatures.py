"""What a served network of landmarks or dense labels answers: its signatures as functions.

Pictures are uint8, of any size from 16x16: a caller scales them so that their shorter side is what
the model card names as `picture_size`, and points are in pixels of the pictures that were sent.
"""

import tensorflow as tf

from kcorr import schema
from kcorr.export.signatures import PIXELS, Signature, large_enough, unit_range
from kcorr.ops import match_points

_PLACES = {"dtype": "float32", "shape": "b n 2", "unit": "(x, y) in pixels"}
_POINTS = {
    schema.POINTS: {**_PLACES, "shape": "b k 2"},
    schema.CONFIDENCE: {"dtype": "float32", "shape": "b k 1", "unit": "1 = surely there"},
}
_MATCHES = {
    schema.POINTS2: {**_PLACES, "unit": "(x, y) in pixels of image2"},
    schema.SIMILARITY: {"dtype": "float32", "shape": "b n 1", "unit": "inner product of labels"},
}


def object_signatures(network):
    """All signatures of a network of one picture.

    Args:
        network: as `kcorr.models.LandmarkNet` or `kcorr.models.ObjectFrameNet`.

    Returns:
        {name: `kcorr.export.signatures.Signature`}: of landmarks `landmarks`; of labels `label`
        and `match_points` (where points of image1 are in image2; their sizes may differ); and in
        both cases `serving_default`, the first of them.
    """

    def answer(image, *keys):
        with tf.control_dependencies(large_enough(image)):
            outputs = network({"image": unit_range(image)}, training=False)
        return {key: outputs[key] for key in keys}

    def landmarks(image):
        return answer(image, *_POINTS)

    def label(image):
        return answer(image, schema.LABELS)

    def matches(image1, image2, points):
        # One picture and several of them would be matched in ways that nobody asked for.
        batch = tf.shape(image1)[0]
        checks = [
            tf.debugging.assert_equal(
                batch, tf.shape(other)[0], f"image1 and {name} must be as many"
            )
            for name, other in (("image2", image2), ("points", points))
        ]
        with tf.control_dependencies([check for check in checks if check is not None]):
            first, second = (label(image)[schema.LABELS] for image in (image1, image2))
            found = match_points(first, second, points, network.stride)
        return dict(zip(_MATCHES, found, strict=True))

    image = {"image": PIXELS["uint8"]}
    if network.gives == "landmarks":
        places = Signature(landmarks, image, _POINTS)
        return {"serving_default": places, "landmarks": places}
    stride = network.stride
    labels = {
        schema.LABELS: {
            "dtype": "float32",
            "shape": f"b floor(h/{stride}) floor(w/{stride}) {network.dimensions}",
            "unit": f"of the cell with its middle at {stride} i + {(stride - 1) / 2}",
        }
    }
    two = {
        schema.IMAGE1: PIXELS["uint8"],
        schema.IMAGE2: {**PIXELS["uint8"], "shape": "b k l 3"},
        schema.POINTS: {**_PLACES, "unit": "(x, y) in pixels of image1"},
    }
    labelling = Signature(label, image, labels)
    return {
        "serving_default": labelling,
        "label": labelling,
        "match_points": Signature(matches, two, _MATCHES),
    }
