"""Networks whose flow is known before they are asked."""

import keras
import numpy as np


class PixelReader(keras.Model):
    """Flow from image i to image j: everywhere `scale * (j[0, 0] - i[0, 0])` of red and green, plus
    one weight. With three frames also in SelFlowNet's training mode.

    So each image carries in its first pixel where its scene has moved to, and every direction of
    any number of frames has a flow of its own.
    """

    def __init__(self, scale=10.0, frames=2, offset=(0.0, 0.0)):
        super().__init__()
        self.scale, self.frames = scale, frames
        self.offset = np.float32(offset)
        self.shift = self.add_weight(shape=(2,), initializer="zeros", name="shift")
        self.asked = []

    def build(self, input_shape=None):
        self.built = True

    def call(self, inputs, training=False, backward=False, window=False):
        self.asked.append(sorted(key for key in inputs if key.startswith("image")))
        if window:
            ways = [(i, j) for i in (1, 2, 3) for j in (i + 1, i - 1)]
            named = {f"flow{i}{j}": self.between(inputs, i, j) for i, j in ways}
        else:
            named = {"flow": self.between(inputs, 1, 2)}
            if backward:
                named["flow_backward"] = self.between(inputs, 2, 1)
        return {**named, **{f"{key}_pyramid": [flow] for key, flow in named.items()}}

    def between(self, inputs, i, j):
        first, second = (inputs[f"image{k}"] for k in (i, j))
        moved = self.scale * (second[:, :1, :1, :2] - first[:, :1, :1, :2]) + self.offset
        shift = keras.ops.convert_to_tensor(self.shift)
        return keras.ops.zeros_like(first[..., :2]) + moved + shift


def marked(shape, places):
    """Random images [b, h, w, 3] whose first pixels say that the scene stands at `places`."""
    random = np.random.default_rng(0)
    images = random.random((len(places), *shape, 3), "float32")
    for image, (x, y) in zip(images, places, strict=True):
        image[0, 0, :2] = np.float32([x, y]) / 10
    return [image[None] for image in images]
