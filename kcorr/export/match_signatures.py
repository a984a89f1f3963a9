"""What a served network of matches answers: its signatures as functions.

Pictures are uint8, both of one size, which is any from that of one patch. All sizes are free, so
that the scores of the smallest patches are held at once: memory grows with the number of points
times the square of the radius.
"""

import tensorflow as tf

from kcorr import schema
from kcorr.export.signatures import PIXELS, Signature, large_enough, same_shape, unit_range

_MATCHES = {
    schema.POINTS1: {"dtype": "float32", "shape": "b n 2", "unit": "(x, y) in pixels of image1"},
    schema.POINTS2: {"dtype": "float32", "shape": "b n 2", "unit": "(x, y) in pixels of image2"},
    schema.CONFIDENCE: {"dtype": "float32", "shape": "b n 1", "unit": "sum of scores"},
    schema.RECIPROCAL: {"dtype": "float32", "shape": "b n 1", "unit": "1 = a match"},
}


def match_signatures(network):
    """All signatures of a network of matches.

    Args:
        network: as `kcorr.models.DeepMatching`.

    Returns:
        {name: `kcorr.export.signatures.Signature`}: `serving_default` and `match`, which are one:
        the n points of image1, one every `spacing` pixels, and where each is in image2.
    """

    def match(image1, image2):
        checks = [
            *same_shape(image1, {schema.IMAGE2: image2}),
            *large_enough(image1, network.smallest),
        ]
        with tf.control_dependencies(checks):
            images = {schema.IMAGE1: unit_range(image1), schema.IMAGE2: unit_range(image2)}
        outputs = network(images, training=False)
        return {key: outputs[key] for key in _MATCHES}

    both = {schema.IMAGE1: PIXELS["uint8"], schema.IMAGE2: PIXELS["uint8"]}
    signature = Signature(match, both, _MATCHES)
    return {"serving_default": signature, "match": signature}
