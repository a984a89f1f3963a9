"""Two pictures in, everything a user asks of them out: numpy in, numpy out."""

import numbers

import keras
import numpy as np
from keras import ops

from kcorr import schema
from kcorr.models.picture_arrays import as_float, scaled, size_within
from kcorr.models.registry import check_gives
from kcorr.ops import backward_warp, fb_occlusion, resize, resize_flow

SMALLEST = 16  # what networks take; smaller pictures are padded
PROTOCOLS = (None, "selflow", "bilinear")
_MULTIPLE = 64  # of the protocols' sides
_SEEN = "seen_"  # before the key of an image as the network sees it


def predict(
    network,
    image1,
    image2,
    backward=True,
    max_side=None,
    protocol=None,
    image0=None,
    image3=None,
):
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
        protocol: how the network's size is made from the pictures'. None takes it as it is, which
            all networks can. "selflow" is how SelFlow's authors test: each side is rounded up to a
            multiple of 64, pictures and flow are resized by nearest neighbours, corners on corners;
            only to reproduce their numbers. "bilinear" rounds up as they do but interpolates.
        image0: the frame before `image1`, like it, for networks of three frames (SelFlow). Without
            it, as at the start of a video, `image1` is repeated.
        image3: the frame after `image2`, which these use for the flow from frame 2 to frame 1.
            Without it `image2` is repeated.

    Returns:
        A dict of float32 arrays:
        flow: [h, w, 2] pixels, frame 1 to frame 2.
        warped: [h, w, 3] in [0, 1], frame 2 pulled onto frame 1, black outside.
        inside: [h, w, 1], 1 where the warp stays in the picture.
        flow_previous: [h, w, 2] pixels, frame 1 to frame 0, of networks of three frames.
        flow_backward: [h, w, 2] pixels, frame 2 to frame 1, if `backward`.
        occlusion, occlusion_backward: [h, w, 1], 1 = hidden in the other frame, if `backward`.

    Raises:
        ValueError: a wrong shape, dtype or range, sizes that differ, a bad `max_side`, an unknown
            `protocol`, "selflow" with a `max_side`, a frame more than the network takes, or a
            network that gives no flow.

    Source: protocol: the released code of SelFlow (Liu et al., CVPR 2019).
    """
    predictor = Predictor(network, backward, max_side, compiled=False, protocol=protocol)
    return predictor(image1, image2, image0, image3)


class Predictor:
    """`predict` for many pairs: `Predictor(network)(image1, image2)`.

    Args:
        network, backward, max_side, protocol: see `predict`.
        compiled: build a graph at the first call. This takes seconds, and again for another size.

    Call: `predictor(image1, image2, image0=None, image3=None)`, see `predict`.
    """

    def __init__(self, network, backward=True, max_side=None, compiled=True, protocol=None):
        if max_side is not None and not (
            isinstance(max_side, numbers.Integral) and max_side >= SMALLEST
        ):
            raise ValueError(f"max_side is {max_side!r}, expected a whole number from {SMALLEST}")
        if protocol not in PROTOCOLS:
            raise ValueError(
                f"unknown protocol {protocol!r}; known are None, 'selflow', 'bilinear'"
            )
        if protocol == "selflow" and max_side is not None:
            raise ValueError("the protocol 'selflow' sees pictures enlarged: it has no max_side")
        check_gives(network, "flow")
        self.network, self.backward, self.max_side = network, backward, max_side
        self.protocol = protocol
        self._graph = _Graph(network, backward, protocol) if compiled else None

    def __call__(self, image1, image2, image0=None, image3=None):
        images = self._frames(image0, image1, image2, image3)
        size = images[schema.IMAGE1].shape[:2]
        seen = size_within(size, self.max_side)
        if self.protocol:
            seen = tuple(-(-side // _MULTIPLE) * _MULTIPLE for side in seen)
        crop = seen if min(seen) < SMALLEST else None
        inputs = dict(images)
        if seen != size or crop:
            inputs = {key: images[key] for key in (schema.IMAGE1, schema.IMAGE2)}
            for key, image in images.items():
                image = image if seen == size else _resized(image, seen, self.protocol)
                inputs[_SEEN + key] = _pad(image) if crop else image
        inputs = {key: value[None] for key, value in inputs.items()}
        if self._graph is None or crop:
            result = _infer(self.network, inputs, self.backward, self.protocol, crop)
        else:
            result = self._graph.predict_on_batch(inputs)
        return {
            key: np.asarray(ops.convert_to_numpy(value)[0], "float32")
            for key, value in result.items()
        }

    def _frames(self, image0, image1, image2, image3):
        """{key: image} of what the network takes, as float, all of one size."""
        given = {schema.IMAGE1: image1, schema.IMAGE2: image2}
        if getattr(self.network, "frames", 2) == 3:
            # Always all of them: another set of frames would build another graph.
            given[schema.IMAGE0] = image1 if image0 is None else image0
            if self.backward:
                given[schema.IMAGE3] = image2 if image3 is None else image3
        elif image0 is not None or image3 is not None:
            raise ValueError("image0 and image3 are for a network of three frames; this takes two")
        images = {key: as_float(image, key) for key, image in given.items()}
        height, width, _ = images[schema.IMAGE1].shape
        for key, image in images.items():
            if image.shape != (height, width, 3):
                h, w, _ = image.shape
                raise ValueError(f"image1 is {width}x{height} and {key} {w}x{h}, expected one size")
        return images


class _Graph(keras.Model):
    """`_infer` as a model, because Keras compiles models on every backend."""

    def __init__(self, network, backward, protocol):
        super().__init__(name="predictor")
        self.network, self.backward, self.protocol = network, backward, protocol

    def build(self, input_shape=None):
        self.built = True

    def call(self, inputs):
        return _infer(self.network, inputs, self.backward, self.protocol)


def _infer(network, inputs, backward, protocol=None, crop=None):
    """What `predict` returns, for a batch.

    Args:
        inputs: image1, image2 and others; where the network sees them at another size, only these
            two, and all of them as it sees them: seen_image1, ...
        crop: (height, width) of what counts of the seen ones, None for all.
    """
    image1, image2 = inputs[schema.IMAGE1], inputs[schema.IMAGE2]
    seen = {key[len(_SEEN) :]: image for key, image in inputs.items() if key.startswith(_SEEN)}
    output = network(seen or inputs, backward=backward)
    keys = [schema.FLOW, schema.FLOW_PREVIOUS, *([schema.FLOW_BACKWARD] if backward else [])]
    result = {key: output[key] for key in keys if key in output}
    if crop:
        result = {key: flow[:, : crop[0], : crop[1]] for key, flow in result.items()}
    if seen:
        method = ("nearest", True) if protocol == "selflow" else ("bilinear", False)
        size = ops.shape(image1)[1:3]
        result = {key: resize_flow(flow, size, *method) for key, flow in result.items()}
    flow = result[schema.FLOW]
    result["warped"], result["inside"] = backward_warp(image2, flow)
    if backward:
        back = result[schema.FLOW_BACKWARD]
        result[schema.OCCLUSION] = fb_occlusion(flow, back)
        result[schema.OCCLUSION_BACKWARD] = fb_occlusion(back, flow)
    return result


def _resized(image, size, protocol):
    if protocol == "selflow":
        resized = resize(image[None], size, "nearest", align_corners=True)
        return ops.convert_to_numpy(resized)[0]
    return scaled(image, size)


def _pad(image):
    height, width = image.shape[:2]
    more = [(0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width)), (0, 0)]
    return np.pad(image, more, mode="edge")
