"""`kcorr.load` of networks of landmarks and labels, and of the wrong kind of network."""

import keras
import numpy as np
import pytest

from kcorr.models import build, load
from kcorr.models.registry import NETWORKS, OBJECT_NETWORKS, gives_of

SMALL = {"widths": (4, 4, 5, 6, 7), "picture_size": 40}


def same(first, second):
    return all(
        np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True)
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with landmarks.keras, labels.keras, flow.keras."""
    folder = tmp_path_factory.mktemp("objects")
    build("landmarks", landmarks=3, **SMALL).save(folder / "landmarks.keras")
    build("object_frame", dimensions=4, **SMALL).save(folder / "labels.keras")
    build("spynet_small").save(folder / "flow.keras")
    return folder


@pytest.mark.parametrize("gives", ["landmarks", "labels"])
def test_a_keras_file_gives_the_network_back(files, gives):
    loaded = load(files / f"{gives}.keras")
    assert loaded.gives == gives_of(loaded) == gives and loaded.picture_size == 40
    half = load(files / f"{gives}.keras", dtype="mixed_bfloat16", gives=gives)
    assert half.trunk.compute_dtype == "bfloat16" and half.picture_size == 40
    assert half.get_config()["widths"] == loaded.get_config()["widths"] and same(half, loaded)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("landmarks", {"landmarks": 7}, {"network": "landmarks"}),
        ("landmarks", {"landmarks": 10}, {"gives": "landmarks"}),
        ("landmarks", {"landmarks": 1}, {}),  # labels have two dimensions
        ("object_frame_simple", {"dimensions": 5}, {"gives": "labels"}),
        ("object_frame", {"dimensions": 16}, {"gives": "labels"}),
        ("landmarks_dilated", {"landmarks": 6}, {"gives": "landmarks"}),
        ("hourglass_small", {"dimensions": 3}, {}),
    ],
)
def test_weights_find_their_network_and_its_outputs(tmp_path, name, options, told):
    original = build(name, **options)
    original.save_weights(tmp_path / "network.weights.h5")
    loaded = load(tmp_path / "network.weights.h5", **told)
    assert loaded.get_config() == original.get_config() and same(loaded, original)


def test_weights_that_fit_two_networks_ask_which(tmp_path):
    path = tmp_path / "network.weights.h5"
    build("landmarks").save_weights(path)
    with pytest.raises(ValueError, match="fits landmarks and object_frame_simple; expected to be"):
        load(path)
    with pytest.raises(ValueError, match="its 32 arrays do not fit; expected exactly the param"):
        load(path, gives="flow")
    with pytest.raises(ValueError, match="gives landmarks; expected a flow network such as"):
        load(path, network="landmarks", gives="flow")
    build("landmarks", last_activation=True).save_weights(path)
    with pytest.raises(ValueError, match="its 36 arrays do not fit; expected exactly the param"):
        load(path, network="landmarks")


def test_the_wrong_kind_is_named(files):
    kinds = {
        "flow": "a flow network such as ddflow or ",
        "landmarks": "a network of landmarks such as landmarks",
        "labels": "a network of dense labels such as hourglass or ",
    }
    for kind, gives in (("flow", "landmarks"), ("landmarks", "labels"), ("labels", "flow")):
        path = files / f"{kind}.keras"
        with pytest.raises(ValueError) as caught:
            load(path, gives=gives)
        assert str(caught.value).startswith(f"{path}: gives {kind}; expected {kinds[gives]}")
    with pytest.raises(ValueError, match="ddflow: gives flow; expected a network of dense"):
        load("ddflow", gives="labels")
    with pytest.raises(ValueError, match="flow, landmarks, labels, matches or None, got 'x'"):
        load(files / "flow.keras", gives="x")


def test_every_known_network_gives_what_its_table_says():
    with keras.StatelessScope(initialize_variables=False):
        assert {gives_of(build(name)) for name in OBJECT_NETWORKS} == {"landmarks", "labels"}
    for network, _ in NETWORKS.values():
        assert gives_of(network) == "flow"
    assert gives_of(keras.layers.Dense) is gives_of("text") is None
