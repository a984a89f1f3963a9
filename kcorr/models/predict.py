"""Two pictures in, everything a user asks of them out: numpy in, numpy out."""

import keras
import numpy as np
from keras import ops
from PIL import Image

from kcorr.ops import backward_warp, fb_occlusion, resize_flow

SMALLEST = 16  # what networks take; smaller pictures are padded


def predict(network, image1, image2, backward=True, max_side=None):
    """Flow, occlusion and the warped second frame of one pair of pictures.

    For many pairs of one size `Predictor` is several times faster: it compiles.

    Args:
        network: `net({"image1", "image2"}, backward=...)` -> dict with "flow", as all networks of
            `kcorr.models` and those that `kcorr.load` gives.
        image1: [h, w, 3], uint8, uint16 or float in [0, 1]. Any size: pictures below 16 pixels a
            side are padded by repeating their border, and the result is cropped.
        image2: like `image1`, of the same size.
        backward: also the flow from frame 2 to frame 1, and with it occlusions; twice the work.
        max_side: the network sees pictures shrunk to this longest side; the flow is enlarged to
            full size. None: full size.

    Returns:
        A dict of float32 arrays:
        flow: [h, w, 2] pixels, frame 1 to frame 2.
        warped: [h, w, 3] in [0, 1], frame 2 pulled onto frame 1, black outside.
        inside: [h, w, 1], 1 where the warp stays in the picture.
        flow_backward: [h, w, 2] pixels, frame 2 to frame 1, if `backward`.
        occlusion, occlusion_backward: [h, w, 1], 1 = hidden in the other frame, if `backward`.

    Raises:
        ValueError: a wrong shape, dtype or range, sizes that differ, or a bad `max_side`.
    """
    return Predictor(network, backward, max_side, compiled=False)(image1, image2)


class Predictor:
    """`predict` for many pairs: `Predictor(network)(image1, image2)`.

    Args:
        network, backward, max_side: see `predict`.
        compiled: build a graph at the first call. This takes seconds, and again for another size.
    """

    def __init__(self, network, backward=True, max_side=None, compiled=True):
        if max_side is not None and (not isinstance(max_side, int) or max_side < SMALLEST):
            raise ValueError(f"max_side is {max_side!r}, expected a whole number from {SMALLEST}")
        self.network, self.backward, self.max_side = network, backward, max_side
        self._graph = _Graph(network, backward) if compiled else None

    def __call__(self, image1, image2):
        image1, image2 = _as_float(image1, "image1"), _as_float(image2, "image2")
        if image1.shape != image2.shape:
            (h1, w1, _), (h2, w2, _) = image1.shape, image2.shape
            raise ValueError(f"image1 is {w1}x{h1} and image2 {w2}x{h2}, expected one size")
        inputs = {"image1": image1, "image2": image2}
        size, crop = image1.shape[:2], None
        seen = _seen_size(size, self.max_side)
        if seen != size:
            inputs |= {f"seen{i}": _shrink(inputs[f"image{i}"], seen) for i in (1, 2)}
        if min(seen) < SMALLEST:
            crop = seen
            for i in (1, 2):
                inputs[f"seen{i}"] = _pad(inputs.get(f"seen{i}", inputs[f"image{i}"]))
        inputs = {key: value[None] for key, value in inputs.items()}
        if self._graph is None or crop:
            result = _infer(self.network, inputs, self.backward, crop)
        else:
            result = self._graph.predict_on_batch(inputs)
        return {
            key: np.asarray(ops.convert_to_numpy(value)[0], "float32")
            for key, value in result.items()
        }


class _Graph(keras.Model):
    """`_infer` as a model, because Keras compiles models on every backend."""

    def __init__(self, network, backward):
        super().__init__(name="predictor")
        self.network, self.backward = network, backward

    def build(self, input_shape=None):
        self.built = True

    def call(self, inputs):
        return _infer(self.network, inputs, self.backward)


def _infer(network, inputs, backward, crop=None):
    """What `predict` returns, for a batch.

    Args:
        inputs: image1, image2, and, where the network sees others, seen1 and seen2.
        crop: (height, width) of what counts of the seen ones, None for all.
    """
    image1, image2 = inputs["image1"], inputs["image2"]
    seen = {"image1": inputs.get("seen1", image1), "image2": inputs.get("seen2", image2)}
    output = network(seen, backward=backward)
    flows = [output["flow"], output["flow_backward"]] if backward else [output["flow"]]
    if crop:
        flows = [flow[:, : crop[0], : crop[1]] for flow in flows]
    if "seen1" in inputs:
        flows = [resize_flow(flow, ops.shape(image1)[1:3]) for flow in flows]
    warped, inside = backward_warp(image2, flows[0])
    result = {"flow": flows[0], "warped": warped, "inside": inside}
    if backward:
        result["flow_backward"] = flows[1]
        result["occlusion"] = fb_occlusion(*flows)
        result["occlusion_backward"] = fb_occlusion(*flows[::-1])
    return result


def _as_float(image, name):
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"{name} has shape {image.shape}, expected [h, w, 3]")
    if image.dtype in (np.uint8, np.uint16):
        return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    if image.dtype.kind != "f":
        raise ValueError(f"{name} has dtype {image.dtype}, expected uint8, uint16 or float")
    # Interpolation may overshoot a little; 2 and more is a picture in [0, 255].
    if not (image.min() >= -1 and image.max() < 2):
        raise ValueError(
            f"{name} has values from {image.min():g} to {image.max():g}, expected [0, 1]"
        )
    return image.astype(np.float32)


def _seen_size(size, max_side):
    longest = max(size)
    if max_side is None or longest <= max_side:
        return size
    return tuple(max(1, round(side * max_side / longest)) for side in size)


def _shrink(image, size):
    """Averages pixels as it shrinks; plain bilinear sampling would alias."""
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., c])).resize(
            size[::-1], Image.Resampling.BILINEAR
        )
        for c in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def _pad(image):
    height, width = image.shape[:2]
    more = [(0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width)), (0, 0)]
    return np.pad(image, more, mode="edge")
