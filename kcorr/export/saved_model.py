"""Exports a network as a new version of a served model."""

import contextlib
import json
import operator
import os
import secrets
import shutil
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from kcorr import schema
from kcorr.export.card import model_card
from kcorr.export.match_signatures import match_signatures
from kcorr.export.object_signatures import object_signatures
from kcorr.export.signatures import flow_signatures
from kcorr.export.warmup import write_warmup_requests
from kcorr.io import remove_leftovers
from kcorr.models.registry import gives_of
from kcorr.ops._backend import forward_only

WARMUP_FILE = "tf_serving_warmup_requests"
_WARMUP_SIZE = (64, 96)  # what is initialised lazily does not depend on the size


_SIGNATURES = {
    "flow": flow_signatures,
    "landmarks": object_signatures,
    "labels": object_signatures,
    "matches": match_signatures,
}


def export_network(network, directory, version=None, card=None, name=None):
    """Writes `directory/<version>/`: a SavedModel that TF Serving takes as it is.

    Beside the SavedModel lie `model_card.json` and `assets.extra/tf_serving_warmup_requests`. The
    signatures are those of `kcorr.export.signatures.flow_signatures` or, of landmarks and object
    frames, of `kcorr.export.object_signatures.object_signatures` or, of deep matching, of
    `kcorr.export.match_signatures.match_signatures`; they need neither Keras nor kcorr nor XLA,
    and compute in float32 whatever the network's dtype policy. Everything is written under a hidden
    temporary name and renamed, so a server that watches the folder never sees half a version; what
    an export left that was killed an hour ago or earlier is removed. Existing versions are never
    touched.

    Args:
        network: built network of `kcorr.models`; it is not changed.
        directory: folder of the model's versions; created if it is not there.
        version: positive integer; default: one more than the highest there, 1 in an empty folder.
        card: dict of JSON values about the training (data, steps, scores), for the model card.
        name: of the model; default: the folder's name.

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        ValueError: the version is no positive integer, the card is not JSON, the network is not
            built or has no such outputs.
        FileExistsError: the version is there already.
        NotADirectoryError, PermissionError, OSError: the folder cannot be written.
    """
    return _export(network, directory, version, card, name, None)


def export_flow(network, directory, version=None, card=None, name=None):
    """`export_network` of a two-frame or three-frame flow network, and of nothing else."""
    return _export(network, directory, version, card, name, "flow")


def _export(network, directory, version, card, name, wanted):
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"a SavedModel is written by the Keras backend 'tensorflow', not by "
            f"{keras.backend.backend()!r}: set KERAS_BACKEND=tensorflow"
        )
    version = _checked_version(version)
    card = _checked_card(card)
    gives = gives_of(network)
    # What was loaded from a SavedModel gives something, too, but is nothing that was built.
    if not getattr(network, "built", False) or gives is None or gives != (wanted or gives):
        raise ValueError(
            f"{getattr(network, 'name', network)}: expected a built {wanted or ''}"
            f"{' ' if wanted else ''}network, as of kcorr.models.build"
        )
    directory = _open_directory(directory)
    name = name or directory.resolve().name
    remove_leftovers(directory, before=time.time() - 60)  # others may write there
    with _new_version(directory, version) as (temporary, finish):
        network = float32_copy(network)
        signatures = _SIGNATURES[gives](network)
        _write_saved_model(network, signatures, temporary)
        extra = temporary / "assets.extra"
        extra.mkdir()
        write_warmup_requests(extra / WARMUP_FILE, name, _warmup_requests(signatures))
        text = json.dumps(model_card(name, network, signatures, card), indent=1)
        (temporary / "model_card.json").write_text(text + "\n", encoding="utf-8")
        return finish()


def next_version(directory):
    """One more than the highest version in `directory`, 1 if there is none."""
    return max(_versions(Path(directory)), default=0) + 1


def float32_copy(network):
    """The same network with the same weights under the float32 policy; its own variables."""
    copy = type(network).from_config({**network.get_config(), "dtype": "float32"})
    copy.build()
    copy.set_weights([np.asarray(value, "float32") for value in network.get_weights()])
    return copy


def _write_saved_model(network, signatures, path):
    # What keras.export.ExportArchive does, but each function is traced once: the archive traces
    # anew what it is given, and TensorFlow does so again when it is saved.
    module = tf.Module()
    module.network_variables = [variable.value for variable in network.variables]
    made, traced = {}, {}
    with _quiet(), forward_only():
        for name, signature in signatures.items():
            # A signature of two names is one function.
            if id(signature) not in made:
                made[id(signature)] = tf.function(
                    signature.function, input_signature=signature.specs, autograph=False
                ).get_concrete_function()
            traced[name] = made[id(signature)]
            # As attributes, too: `keras.layers.TFSMLayer` takes them by name.
            setattr(module, name, traced[name])
        tf.saved_model.save(module, str(path), signatures=traced)


@contextlib.contextmanager
def _quiet():
    """Keeps TensorFlow from narrating each step of saving where an absl app shows its log."""
    level = logging.get_verbosity()
    logging.set_verbosity(min(level, logging.WARNING))
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _warmup_requests(signatures):
    """One request for each signature: noise, so that no branch sees a special value."""
    random = np.random.default_rng(0)
    requests = []
    for name, signature in signatures.items():
        inputs = {}
        for key, entry in signature.inputs.items():
            if key == schema.POINTS:
                inputs[key] = np.float32(random.uniform(0, min(_WARMUP_SIZE) - 1, (1, 5, 2)))
                continue
            pixels = random.integers(0, 256, (1, *_WARMUP_SIZE, 3), dtype=np.uint8)
            inputs[key] = pixels if entry["dtype"] == "uint8" else np.float32(pixels / 255)
        requests.append((name, inputs))
    return requests


def _checked_version(version):
    if version is None:
        return None
    try:
        number = operator.index(version)
    except TypeError:
        number = 0
    if isinstance(version, bool) or number < 1:
        raise ValueError(f"version must be a positive integer, got {version!r}")
    return number


def _checked_card(card):
    if card is None:
        return None
    try:
        return json.loads(json.dumps(dict(card), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"card must be a dict of JSON values: {error}") from error


def _open_directory(directory):
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{directory}: a part of this path is a file") from error
    except OSError as error:
        raise _one_line(error, directory) from error
    return directory


def _one_line(error, directory):
    return type(error)(f"{directory}: cannot be written ({error.strerror or error})")


def _versions(directory):
    """Version numbers in a folder; TF Serving reads "0003" as 3 too."""
    names = (path.name for path in directory.iterdir()) if directory.is_dir() else ()
    return {int(name) for name in names if name.isascii() and name.isdecimal()}


@contextlib.contextmanager
def _new_version(directory, version):
    """Gives (temporary folder, finish); `finish()` renames it and returns the version's path."""
    _refuse_existing(directory, version)
    temporary = directory / f".{secrets.token_hex(6)}.tmp"
    try:
        temporary.mkdir()
    except OSError as error:
        raise _one_line(error, directory) from error

    def finish():
        while True:
            target = directory / str(version or next_version(directory))
            _refuse_existing(directory, version)
            try:
                os.rename(temporary, target)
                return target
            except OSError:
                # Somebody else took this number in the meantime: take the next, unless it was
                # asked for by name.
                if not target.exists():
                    raise

    try:
        yield temporary, finish
    except tf.errors.OpError as error:
        # What writes files in TensorFlow raises no OSError; a full disk is ResourceExhaustedError,
        # like a full memory. The message: "{{node}} file; reason [Op:SaveV2]".
        reason = error.message.rpartition("; ")[2].partition(" [Op:")[0]
        raise OSError(f"{directory}: cannot be written ({reason})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_existing(directory, version):
    if version in _versions(directory):
        raise FileExistsError(
            f"{directory}: version {version} is there already; the next free one is "
            f"{next_version(directory)}"
        )
