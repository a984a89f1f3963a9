"""The model card: what a served model is, in one JSON file beside it."""

import datetime
import hashlib

import keras
import numpy as np
import tensorflow as tf

import kcorr

COORDINATES = (
    "A pixel's centre sits at integer (x, y), (0, 0) is the top left pixel. The last axis of a "
    "flow is (x, y); flow(p) = q - p in pixels of the images sent: what lies at p in image1 lies "
    "at p + flow(p) in image2."
)
OBJECT_COORDINATES = (
    "A pixel's centre sits at integer (x, y), (0, 0) is the top left pixel. The last axis of "
    "points is (x, y), in pixels of the images sent. An image that was resized by the factor s "
    "has its points at s (x + 1/2) - 1/2."
)
MATCH_COORDINATES = (
    "A pixel's centre sits at integer (x, y), (0, 0) is the top left pixel. The last axis of "
    "points is (x, y): points2 in pixels of image2 is where the points1 of image1 were found. "
    "Matches are those with reciprocal 1; the others are the best guesses of their points."
)


def model_card(name, network, signatures, training=None):
    """The card as a dict of JSON values.

    Args:
        name: of the model.
        network: built `keras.Model`, as exported.
        signatures: {name: `kcorr.export.signatures.Signature`}.
        training: dict of JSON values about how it was trained, or None.

    Returns:
        dict.
    """
    gives = getattr(network, "gives", "flow")
    return {
        "name": name,
        "network": {
            "class": type(network).__name__,
            "config": getattr(network, "config", None) or network.get_config(),
            "parameters": int(network.count_params()),
            "dtype": network.compute_dtype,
        },
        "signatures": {
            key: {"inputs": signature.inputs, "outputs": signature.outputs}
            for key, signature in signatures.items()
        },
        "sizes": _sizes(network, gives),
        "coordinates": {"flow": COORDINATES, "matches": MATCH_COORDINATES}.get(
            gives, OBJECT_COORDINATES
        ),
        "training": training,
        "variables_sha256": variables_sha256(network),
        "versions": {
            "kcorr": kcorr.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
        "exported": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _sizes(network, gives):
    if gives == "flow":
        return "any batch, height and width; below 16x16 padded inside by edge replication"
    if gives == "matches":
        least = network.smallest
        return (
            f"any batch, any height and width from {least}x{least}, one size for both images; "
            "memory grows with their pixels times the square of the radius"
        )
    picture_size = network.picture_size
    sizes = "any batch and number of points, any height and width from 16x16"
    if picture_size is None:
        return f"{sizes}; best about the size of the pictures that it learned from"
    return f"{sizes}; best resized to a shorter side of {picture_size} pixels (picture_size)"


def variables_sha256(network):
    """Digest of all variables: name, dtype, shape and little-endian bytes, in the network's order.

    Two exports with the same digest and configuration compute the same function.
    """
    digest = hashlib.sha256()
    for variable in network.variables:
        value = np.asarray(variable.value)
        digest.update(f"{variable.path} {value.dtype.name} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"))).tobytes())
    return digest.hexdigest()
