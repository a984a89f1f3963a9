"""SavedModels of `kcorr export`, called like the networks that they were made of."""

import json
from pathlib import Path

import keras
from keras import ops

_ENDPOINT = "serving_float"
_ENDPOINT_OF_THREE = "three_frames"
_OBJECT_ENDPOINTS = {"landmarks": "landmarks", "label": "labels"}  # and what they give
_MATCH_ENDPOINT = "match"


def load_saved_model(directory, expected):
    """A SavedModel as a network.

    Args:
        directory: a folder with `saved_model.pb`, or one with version folders 1, 2, ... of which
            the highest is taken.
        expected: what a message says that was expected.

    Returns:
        A `SavedObjectNetwork` or a `SavedMatchNetwork` where the model card beside the SavedModel
        names one of its signatures, else a `SavedModelNetwork`.

    Raises:
        ValueError: the folder holds no SavedModel, or not one with kcorr's signatures.
    """
    directory = Path(directory)
    path = _newest_version(directory, expected)
    card = _card(path)
    if _MATCH_ENDPOINT in _signatures(card):
        kind = SavedMatchNetwork
    else:
        kind = SavedObjectNetwork if _object_endpoint(card) else SavedModelNetwork
    endpoint = kind.endpoint_of(card)
    try:
        layer = keras.layers.TFSMLayer(str(path), call_endpoint=endpoint)
    except Exception as error:  # TensorFlow raises what it likes for a damaged file
        raise ValueError(
            f"{directory}: no SavedModel with the signature {endpoint!r} can be read from it "
            f"({first_line(error)}); expected {expected}"
        ) from error
    return kind(directory.name, path, card, layer)


class SavedModelNetwork:
    """A SavedModel of a flow network, called like one; `load_saved_model` makes it.

    Attributes:
        frames: 3 where the model card beside the SavedModel names the signature "three_frames",
            else 2.
        gives: "flow".

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, backward=False)`, images in [0, 1]
        -> dict with "flow" [b, h, w, 2] and, if `backward`, "flow_backward". A network of three
        frames takes "image0", and for the flow back "image3", as `SelFlowNet` does, and also gives
        "flow_previous"; its signature is of 8-bit pictures, so that images are rounded to them.
    """

    gives = "flow"

    def __init__(self, name, path, card, layer):
        self.name, self.path, self._layer = name, path, layer
        self.frames = 3 if self.endpoint_of(card) == _ENDPOINT_OF_THREE else 2

    @staticmethod
    def endpoint_of(card):
        """The signature that is called."""
        return _ENDPOINT_OF_THREE if _ENDPOINT_OF_THREE in _signatures(card) else _ENDPOINT

    def __call__(self, inputs, backward=False):
        first, second = inputs["image1"], inputs["image2"]
        names, returned = ("image1", "image2"), "flow"
        passes = [(first, second), (second, first)]
        if self.frames == 3:
            names, returned = ("image0", *names), "flow_previous"
            before, after = inputs.get("image0", first), inputs.get("image3", second)
            passes = [(before, first, second), (first, second, after)]
        # Both directions as one batch: a signature has no flags.
        passes = passes[: 1 + bool(backward)]
        images = [ops.cast(ops.concatenate(same), "float32") for same in zip(*passes, strict=True)]
        if self.frames == 3:
            images = [_of_8_bits(image) for image in images]
        outputs = self._layer(images[0], **dict(zip(names[1:], images[1:], strict=True)))
        flows = {key: ops.split(flow, len(passes), axis=0) for key, flow in outputs.items()}
        back = {"flow_backward": flows[returned][1]} if backward else {}
        return {**{key: halves[0] for key, halves in flows.items()}, **back}


class SavedObjectNetwork:
    """A SavedModel of landmarks or dense labels, called like such a network.

    Attributes:
        gives: "landmarks" or "labels".
        picture_size: of the network that was exported, see `kcorr.models.LandmarkNet`.
        stride: pixels a cell.

    Call: `net({"image": [b, h, w, 3]})`, RGB in [0, 1], which is rounded to 8 bits, from 16 x 16
        -> dict with "points" [b, k, 2] and "confidence" [b, k, 1], or with "labels".
    """

    stride = 2

    def __init__(self, name, path, card, layer):
        self.name, self.path, self._layer = name, path, layer
        self.gives = _OBJECT_ENDPOINTS[self.endpoint_of(card)]
        self.picture_size = _configured(card, "picture_size")

    @staticmethod
    def endpoint_of(card):
        """The signature that is called."""
        return _object_endpoint(card)

    def __call__(self, inputs, training=False):
        return dict(self._layer(_of_8_bits(ops.cast(inputs["image"], "float32"))))


class SavedMatchNetwork:
    """A SavedModel of deep matching, called like such a network.

    Attributes:
        gives: "matches".
        smallest: least height and width of the images.

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]})`, RGB in [0, 1], which is rounded
        to 8 bits -> dict with "points1", "points2" [b, n, 2], "confidence" and "reciprocal"
        [b, n, 1], see `kcorr.models.DeepMatching`.
    """

    gives = "matches"

    def __init__(self, name, path, card, layer):
        self.name, self.path, self._layer = name, path, layer
        self.smallest = max(16, _configured(card, "spacing") or 0)

    @staticmethod
    def endpoint_of(card):
        """The signature that is called."""
        return _MATCH_ENDPOINT

    def __call__(self, inputs, training=False):
        first, second = (
            _of_8_bits(ops.cast(inputs[key], "float32")) for key in ("image1", "image2")
        )
        return dict(self._layer(first, image2=second))


def first_line(error):
    """The first line of an error's text; its type where there is none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _of_8_bits(image):
    return ops.cast(ops.round(255.0 * ops.clip(image, 0.0, 1.0)), "uint8")


def _card(path):
    """The model card; empty where there is none that can be read."""
    try:
        card = json.loads((path / "model_card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


def _configured(card, key):
    """What the network that was exported had as this argument; None where the card is silent."""
    try:
        return card["network"]["config"].get(key)
    except (KeyError, TypeError, AttributeError):
        return None


def _signatures(card):
    signatures = card.get("signatures")
    return signatures if isinstance(signatures, dict) else {}


def _object_endpoint(card):
    return next((name for name in _OBJECT_ENDPOINTS if name in _signatures(card)), None)


def _newest_version(directory, expected):
    if (directory / "saved_model.pb").is_file():
        return directory
    versions = [
        one
        for one in directory.iterdir()
        if one.name.isdecimal() and (one / "saved_model.pb").is_file()
    ]
    if not versions:
        raise ValueError(f"{directory}: a folder without a SavedModel; expected {expected}")
    return max(versions, key=lambda one: int(one.name))
