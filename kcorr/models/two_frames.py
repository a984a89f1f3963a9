"""What all networks of two frames share: features once per image, both directions as one batch."""

import keras
from keras import ops

from kcorr.ops import resize


class TwoFrameNetwork(keras.Model):
    """A network whose subclass says how one image is encoded and how two encodings make a flow.

    A subclass implements

    - `encode(images)`: [n, h, w, 3] float32 -> list of tensors [n, ...], features of each image;
    - `decode(first, second, size)`: two such lists and the (height, width) wanted -> a dict with
      `flow` at that size, `flow_pyramid`, and `features` if they are others than `first`.

    Both directions of a pair go through `decode` as one batch of twice the size.
    """

    frames = 2  # how many consecutive images the network sees at once
    divisor = 1  # images are enlarged to the next multiple of it before they are encoded

    def call(self, inputs, training=False, backward=False):
        return self.run(inputs, backward)

    def run(self, inputs, backward, **options):
        """What `call` returns; `options` are handed to `decode`."""
        images = ops.concatenate([inputs["image1"], inputs["image2"]], axis=0)
        size = ops.shape(images)[1:3]
        features = self.encode(enlarge_to_multiple(images, self.divisor))
        pairs = [ops.split(level, 2, axis=0) for level in features]
        first, second = [first for first, _ in pairs], [second for _, second in pairs]
        if not backward:
            return {"features": first, **self.decode(first, second, size, **options)}
        swapped = [ops.concatenate([second, first], axis=0) for first, second in pairs]
        both = {"features": features, **self.decode(features, swapped, size, **options)}
        there = keras.tree.map_structure(lambda x: ops.split(x, 2, axis=0)[0], both)
        back = keras.tree.map_structure(lambda x: ops.split(x, 2, axis=0)[1], both)
        flows = [name for name in both if name.startswith("flow")]
        return {**there, **{name.replace("flow", "flow_backward"): back[name] for name in flows}}


def features_of_one(network, images):
    """The `features` that a call gives of first images; the second ones do not matter.

    Args:
        network: of `kcorr.models`, with a `pyramid`: those without have no features of one image.
        images: [b, h, w, 3] in [0, 1].

    Returns:
        list of [b, h', w', c], level 1 first.
    """
    encoded = network.encode(enlarge_to_multiple(images, getattr(network, "divisor", 1)))
    # Behind them a recurrent network has what it correlates and what its context is made of.
    return encoded[: len(network.pyramid.widths)]


def enlarge_to_multiple(images, divisor):
    """Bilinear resize of [b, h, w, c] to the next multiples of `divisor`; others are left alone.

    It stretches, where padding would add an edge that is not in the scene. The released programs
    of PWC-Net and FlowNet do the same (from memory), so that strides always divide the size.
    """
    height, width = ops.shape(images)[1:3]
    size = -(-height // divisor) * divisor, -(-width // divisor) * divisor
    known = all(isinstance(length, int) for length in size)
    if divisor == 1 or (known and size == (height, width)):
        return images
    return resize(images, size)
