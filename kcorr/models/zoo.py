"""Networks that are ready to call: the ones that ship with kcorr, and files."""

import functools
import inspect
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import keras

from kcorr.models.registry import (
    MATCH_NETWORKS,
    NETWORKS,
    OBJECT_NETWORKS,
    build,
    gives_of,
    kind_of_network,
)
from kcorr.models.saved_models import first_line, load_saved_model

_WEIGHTS = Path(__file__).parents[1] / "weights"
_KINDS = "a .keras file, a .weights.h5 file or a SavedModel folder of `kcorr export`"
_OUTPUTS = {"landmarks": "landmarks", "labels": "dimensions"}  # what is free in a known network


@dataclass(frozen=True)
class Shipped:
    """A trained network that comes with kcorr.

    Attributes:
        network: its name for `kcorr.models.build`.
        file: name of the weights file in `kcorr/weights`.
        description: one line.
        options: constructor arguments besides those of `network`, on which no weight's shape
            depends.
    """

    network: str
    file: str
    description: str
    options: dict = field(default_factory=dict)


SHIPPED = {
    "ddflow": Shipped(
        "ddflow_small", "ddflow.weights.h5", "optical flow, small, learned without labels"
    ),
    "ddflow_zoom": Shipped(
        "ddflow_small",
        "ddflow_zoom.weights.h5",
        "the same on a grid 1.5 times as fine: better on real pictures, 2.25 times the work",
        {"zoom": 1.5},
    ),
    "matching": Shipped(
        "deep_matching", "matching.weights.h5", "deep matching, a CNN that learned end to end"
    ),
}


def load(name_or_path, network=None, dtype="float32", gives=None, **options):
    """A trained network, ready to call.

    Args:
        name_or_path: a name of `SHIPPED` ("ddflow", "ddflow_zoom", "matching"), or a path: a
            `.keras` file, a `.weights.h5` file, or a SavedModel folder that `kcorr export` made
            (with or without its version).
        network: what a `.weights.h5` file belongs to, a name of `kcorr.models.build`. None finds
            the known network that has exactly these parameters, of any number of landmarks or
            dimensions. (Such a file does not hold a `picture_size` or a `zoom`; a `.keras` file
            does.)
        dtype: dtype policy that the network computes in; a SavedModel keeps its own.
        gives: what is wanted: "flow", "landmarks", "labels" or "matches"; None takes any network.
        **options: constructor arguments in place of the network's own, on which no weight's shape
            depends: `correlation="on_demand"` makes a recurrent network take little memory,
            `iterations=20` makes it slower and better.

    Returns:
        A `keras.Model`, dict in, dict out; for a SavedModel an object that is called alike. Its
        attribute `gives` is "landmarks" or "labels" if it is a network of objects, "matches" if
        it is one of deep matching.

    Raises:
        FileNotFoundError: no such file, or the weights of a shipped network are missing.
        ValueError: an unknown name, a damaged file, or one that holds something else; options that
            this network has not, or with which its weights do not fit.
    """
    if gives not in (None, "flow", *_OUTPUTS, "matches"):
        raise ValueError(f"gives must be flow, landmarks, labels, matches or None, got {gives!r}")
    model = _load(name_or_path, network, dtype, gives, options)
    given = gives_of(model)
    if given != (gives or given):
        raise ValueError(f"{name_or_path}: gives {given}; expected {kind_of_network(gives)}")
    return model


def _load(name_or_path, network, dtype, gives, options):
    if name_or_path in SHIPPED:
        shipped = SHIPPED[name_or_path]
        path = _WEIGHTS / shipped.file
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: the weights of {name_or_path!r} are missing from this installation of "
                "kcorr; expected them to come with the package"
            )
        _check_options(name_or_path, _class(shipped.network), options)
        return _load_weights(path, shipped.network, dtype, None, {**shipped.options, **options})
    path = Path(name_or_path)
    if path.is_dir():
        if options:
            raise ValueError(
                f"{path}: a SavedModel stays as it was exported; expected it without "
                f"{' and '.join(options)}"
            )
        return load_saved_model(path, _allowed())
    name = path.name.lower()
    kind = next((one for one in (".weights.h5", ".keras") if name.endswith(one)), None)
    if not path.exists():
        if kind or len(path.parts) > 1 or path.suffix:
            raise FileNotFoundError(f"{path}: no such file; expected {_allowed()}")
        raise ValueError(f"unknown model {str(name_or_path)!r}; expected {_allowed()}")
    if kind is None:
        raise ValueError(f"{path}: not a model by its name; expected {_allowed()}")
    if kind == ".keras":
        return _load_keras(path, dtype, options)
    known = sorted({**NETWORKS, **OBJECT_NETWORKS, **MATCH_NETWORKS})
    if network is not None and network not in known:
        raise ValueError(f"unknown network {network!r}; known are {', '.join(known)}")
    return _load_weights(path, network, dtype, gives, options)


def _class(network):
    return {**NETWORKS, **OBJECT_NETWORKS, **MATCH_NETWORKS}[network][0]


def _check_options(path, kind, options):
    """Raises ValueError for an option that networks of this class have not."""

    def has(kind, option):
        return option in inspect.signature(kind.__init__).parameters

    for option in options:
        if not has(kind, option):
            others = sorted(name for name, (other, _) in NETWORKS.items() if has(other, option))
            expected = f"; expected {' or '.join(others)}" if others else ""
            raise ValueError(f"{path}: {kind.__name__} has no {option!r} to choose{expected}")


def _load_keras(path, dtype, options):
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: damaged, or not a .keras file; expected one that Keras saved")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zip, json, HDF5 and configuration: each raises its own
        raise ValueError(
            f"{path}: damaged, or not a network of kcorr ({first_line(error)}); expected a "
            f".keras file of {kind_of_network()}"
        ) from error
    if gives_of(model) is None:
        raise ValueError(f"{path}: holds a {type(model).__name__}; expected {kind_of_network()}")
    _check_options(path, type(model), options)
    policy = keras.dtype_policies.get(dtype)
    if model.dtype_policy.name == policy.name and not options:
        return model
    try:
        twin = type(model).from_config({**model.get_config(), "dtype": policy, **options})
        twin.build()
        twin.set_weights(model.get_weights())
    except ValueError as error:
        raise ValueError(
            f"{path}: does not go with this {' and '.join(options)} ({first_line(error)})"
        ) from error
    return twin


def _load_weights(path, network, dtype, gives, options):
    shapes, outputs = _stored_shapes(path)
    if network:
        families = [[network]]
    else:
        # Flow first: the shapes of the others are then not needed.
        families = [
            sorted(name for name, (kind, _) in family.items() if _wanted(kind, gives))
            for family in (NETWORKS, OBJECT_NETWORKS, MATCH_NETWORKS)
        ]
    for candidates in families:
        fitting = [name for name in candidates if _shapes(name, _free(name, outputs)) == shapes]
        if fitting:
            break
    else:
        raise ValueError(
            f"{path}: its {shapes.total()} arrays do not fit; expected exactly the parameters of "
            f"{' or '.join(name for family in families for name in family)}"
        )
    if len(fitting) > 1:
        raise ValueError(
            f"{path}: fits {' and '.join(fitting)}; expected to be told which by `network`"
        )
    [name] = fitting
    _check_options(path, _class(name), options)
    options = {"dtype": dtype, **_options(name, _free(name, outputs)), **options}
    try:
        model = build(name, **options)
        model.load_weights(path)
    except Exception as error:  # HDF5 and Keras raise KeyError, OSError, ValueError, ...
        raise ValueError(f"{path}: does not fit {name} ({first_line(error)})") from error
    return model


def _wanted(kind, gives):
    return gives in (None, getattr(kind, "gives", "flow"))


def _free(name, outputs):
    """The outputs if they are this network's to choose, else None."""
    return outputs if name in OBJECT_NETWORKS else None


def _options(name, outputs):
    """Arguments that make an object network of so many landmarks or dimensions; None for others."""
    return {} if outputs is None else {_OUTPUTS[OBJECT_NETWORKS[name][0].gives]: outputs}


@functools.cache
def _shapes(name, outputs=None):
    """How many arrays of each shape a network has; no memory is taken for them."""
    options = _options(name, outputs)
    try:
        with keras.StatelessScope(initialize_variables=False):
            return Counter(tuple(weight.shape) for weight in build(name, **options).weights)
    except ValueError:  # a head of one channel is of no network of labels
        return None


def _stored_shapes(path):
    """How many arrays of each shape a .weights.h5 holds, and the channels of what is its head."""
    shapes, heads = Counter(), []

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            shapes[tuple(item.shape)] += 1
            if name == "head/vars/1":  # the bias
                heads.extend(item.shape)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except Exception as error:  # h5py: OSError, RuntimeError, KeyError
        raise ValueError(
            f"{path}: damaged, or not a .weights.h5 file; expected one that Keras saved"
        ) from error
    return shapes, heads[0] if len(heads) == 1 else None


def _allowed():
    return f"{' or '.join(sorted(SHIPPED))} (shipped), {_KINDS}"
