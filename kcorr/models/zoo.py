"""Networks that are ready to call: the ones that ship with kcorr, and files."""

import functools
import inspect
import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras
from keras import ops

from kcorr.models.registry import NETWORKS, build

_WEIGHTS = Path(__file__).parents[1] / "weights"
_KINDS = "a .keras file, a .weights.h5 file or a SavedModel folder of `kcorr export`"
_ENDPOINT = "serving_float"
_ENDPOINT_OF_THREE = "three_frames"


@dataclass(frozen=True)
class Shipped:
    """A trained network that comes with kcorr.

    Attributes:
        network: its name for `kcorr.models.build`.
        file: name of the weights file in `kcorr/weights`.
        description: one line.
    """

    network: str
    file: str
    description: str


SHIPPED = {
    "ddflow": Shipped(
        "ddflow_small", "ddflow.weights.h5", "optical flow, small, learned without labels"
    ),
}


def load(name_or_path, network=None, dtype="float32"):
    """A trained network, ready to call.

    Args:
        name_or_path: a name of `SHIPPED` ("ddflow"), or a path: a `.keras` file, a `.weights.h5`
            file, or a SavedModel folder that `kcorr export` made (with or without its version).
        network: what a `.weights.h5` file belongs to, a name of `kcorr.models.build`. None finds
            the known network that has exactly these parameters.
        dtype: dtype policy that the network computes in; a SavedModel keeps its own.

    Returns:
        A `keras.Model`, dict in, dict out; for a SavedModel an object that is called alike.

    Raises:
        FileNotFoundError: no such file, or the weights of a shipped network are missing.
        ValueError: an unknown name, a damaged file, or one that holds something else.
    """
    if name_or_path in SHIPPED:
        shipped = SHIPPED[name_or_path]
        path = _WEIGHTS / shipped.file
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: the weights of {name_or_path!r} are missing from this installation of "
                "kcorr; expected them to come with the package"
            )
        return _load_weights(path, shipped.network, dtype)
    path = Path(name_or_path)
    if path.is_dir():
        return SavedModelNetwork(path)
    name = path.name.lower()
    kind = next((one for one in (".weights.h5", ".keras") if name.endswith(one)), None)
    if not path.exists():
        if kind or len(path.parts) > 1 or path.suffix:
            raise FileNotFoundError(f"{path}: no such file; expected {_allowed()}")
        raise ValueError(f"unknown model {str(name_or_path)!r}; expected {_allowed()}")
    if kind is None:
        raise ValueError(f"{path}: not a model by its name; expected {_allowed()}")
    if kind == ".keras":
        return _load_keras(path, dtype)
    if network is not None and network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}; known are {', '.join(sorted(NETWORKS))}")
    return _load_weights(path, network, dtype)


class SavedModelNetwork:
    """A SavedModel of `kcorr export`, called like a network.

    Args:
        directory: a folder with `saved_model.pb`, or one with version folders 1, 2, ... of which
            the highest is taken.

    Attributes:
        frames: 3 where the model card beside the SavedModel names the signature "three_frames",
            else 2.

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, backward=False)`, images in [0, 1]
        -> dict with "flow" [b, h, w, 2] and, if `backward`, "flow_backward". A network of three
        frames takes "image0", and for the flow back "image3", as `SelFlowNet` does, and also gives
        "flow_previous"; its signature is of 8-bit pictures, so that images are rounded to them.

    Raises:
        ValueError: the folder holds no SavedModel, or not one with kcorr's signatures.
    """

    def __init__(self, directory):
        self.path = _newest_version(Path(directory))
        self.name = Path(directory).name
        self.frames = 3 if _ENDPOINT_OF_THREE in _named_signatures(self.path) else 2
        endpoint = _ENDPOINT_OF_THREE if self.frames == 3 else _ENDPOINT
        try:
            self._layer = keras.layers.TFSMLayer(str(self.path), call_endpoint=endpoint)
        except Exception as error:  # TensorFlow raises what it likes for a damaged file
            raise ValueError(
                f"{directory}: no SavedModel with the signature {endpoint!r} can be read from it "
                f"({_first_line(error)}); expected {_allowed()}"
            ) from error

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
        images = [self._pixels(ops.concatenate(same)) for same in zip(*passes, strict=True)]
        outputs = self._layer(images[0], **dict(zip(names[1:], images[1:], strict=True)))
        flows = {key: ops.split(flow, len(passes), axis=0) for key, flow in outputs.items()}
        back = {"flow_backward": flows[returned][1]} if backward else {}
        return {**{key: halves[0] for key, halves in flows.items()}, **back}

    def _pixels(self, image):
        image = ops.cast(image, "float32")
        if self.frames == 2:
            return image
        return ops.cast(ops.round(255.0 * ops.clip(image, 0.0, 1.0)), "uint8")


def _named_signatures(path):
    """The signatures by the model card; none where there is no card that can be read."""
    try:
        return json.loads((path / "model_card.json").read_text(encoding="utf-8"))["signatures"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _newest_version(directory):
    if (directory / "saved_model.pb").is_file():
        return directory
    versions = [
        one
        for one in directory.iterdir()
        if one.name.isdecimal() and (one / "saved_model.pb").is_file()
    ]
    if not versions:
        raise ValueError(f"{directory}: a folder without a SavedModel; expected {_allowed()}")
    return max(versions, key=lambda one: int(one.name))


def _load_keras(path, dtype):
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: damaged, or not a .keras file; expected one that Keras saved")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zip, json, HDF5 and configuration: each raises its own
        raise ValueError(
            f"{path}: damaged, or not a network of kcorr ({_first_line(error)}); expected a "
            f".keras file of {' or '.join(sorted(NETWORKS))}"
        ) from error
    if "backward" not in inspect.signature(model.call).parameters:
        raise ValueError(
            f"{path}: holds a {type(model).__name__}; expected a flow network such as "
            f"{' or '.join(sorted(NETWORKS))}"
        )
    policy = keras.dtype_policies.get(dtype)
    if model.dtype_policy.name == policy.name:
        return model
    twin = type(model).from_config({**model.get_config(), "dtype": policy})
    twin.build()
    twin.set_weights(model.get_weights())
    return twin


def _load_weights(path, network, dtype):
    shapes = _stored_shapes(path)
    candidates = [network] if network else sorted(NETWORKS)
    fitting = [name for name in candidates if _shapes(name) == shapes]
    if not fitting:
        raise ValueError(
            f"{path}: its {shapes.total()} arrays do not fit; expected exactly the parameters of "
            f"{' or '.join(candidates)}"
        )
    if len(fitting) > 1:
        raise ValueError(
            f"{path}: fits {' and '.join(fitting)}; expected to be told which by `network`"
        )
    [name] = fitting
    model = build(name, dtype=dtype)
    try:
        model.load_weights(path)
    except Exception as error:  # HDF5 and Keras raise KeyError, OSError, ValueError, ...
        raise ValueError(f"{path}: does not fit {name} ({_first_line(error)})") from error
    return model


@functools.cache
def _shapes(name):
    """How many arrays of each shape a network has; no memory is taken for them."""
    with keras.StatelessScope(initialize_variables=False):
        return Counter(tuple(weight.shape) for weight in build(name).weights)


def _stored_shapes(path):
    """How many arrays of each shape a .weights.h5 holds."""
    shapes = Counter()

    def visit(_, item):
        if isinstance(item, h5py.Dataset):
            shapes[tuple(item.shape)] += 1

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except Exception as error:  # h5py: OSError, RuntimeError, KeyError
        raise ValueError(
            f"{path}: damaged, or not a .weights.h5 file; expected one that Keras saved"
        ) from error
    return shapes


def _allowed():
    return f"{' or '.join(sorted(SHIPPED))} (shipped), {_KINDS}"


def _first_line(error):
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
