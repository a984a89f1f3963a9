"""Networks of matches as SavedModels: what is served is what the network says."""

import json

import numpy as np
import pytest
import tensorflow as tf
from _warmup import asked_and_answered
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from kcorr import models
from kcorr.cli.__main__ import main
from kcorr.export import export_flow, export_network, saved_model
from kcorr.io import read_matches, write_image
from kcorr.models import DeepMatching, build, load, predict_matches, with_search
from recipes import export as recipe

KEYS = {"points1", "points2", "confidence", "reciprocal"}
CONFIG = {"radius": 2, "levels": 1, "cell": 4}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network, its export, and the same loaded by plain TensorFlow."""
    network = build("deep_matching", **CONFIG, spacing=20)
    network.exponents.assign([1.2])
    folder = tmp_path_factory.mktemp("served") / "pairs"
    version = export_network(network, folder, card={"data": "none"})
    return network, version, tf.saved_model.load(str(version))


@pytest.fixture(scope="module")
def loaded(made):
    """What `kcorr.load` makes of the export."""
    return load(made[1].parent, gives="matches")


@pytest.fixture(scope="module")
def pair(image_pair):
    """Two pictures of 51x40."""
    return [image[0] for image in image_pair(1, 40, 51)]


@pytest.mark.parametrize("size", [(1, 40, 51), (2, 61, 20)])
def test_every_signature_says_what_the_network_says(made, image_pair, size):
    network, _, served = made
    assert served.signatures.keys() == {"serving_default", "match"}
    images = dict(zip(("image1", "image2"), image_pair(*size), strict=True))
    expected = network({key: np.float32(image) / 255 for key, image in images.items()})
    for signature in served.signatures.values():
        answer = signature(**{key: tf.constant(image) for key, image in images.items()})
        assert answer.keys() == KEYS
        for key, value in answer.items():
            np.testing.assert_allclose(value, expected[key], rtol=1e-5, atol=1e-5)
    count = (size[1] // 20) * (size[2] // 20)
    assert expected["points2"].shape == (size[0], count, 2)


def test_a_network_without_weights_of_its_own_is_served_too(pair, tmp_path, made):
    network = build("deep_matching_hog", radius=2, levels=1)
    loaded = load(export_network(network, tmp_path / "hog"))
    np.testing.assert_allclose(
        predict_matches(loaded, *pair, verified=False),
        predict_matches(network, *pair, verified=False),
        atol=1e-5,
    )


def test_the_card_and_the_warm_up_fit_the_signatures(made):
    network, version, served = made
    card = json.loads((version / "model_card.json").read_text())
    assert card["network"]["config"] == network.config
    assert type(network)(**card["network"]["config"]).config == network.config
    assert "from 20x20, one size" in card["sizes"] and "points2 in pixels" in card["coordinates"]
    asked = []
    for name, described, answer in asked_and_answered(version, card, served):
        assert described["outputs"].keys() == answer.keys()
        for key, value in answer.items():
            axes = described["outputs"][key]["shape"].split()
            assert np.isfinite(value).all() and value.shape == (1, 12, int(axes[-1]))
        asked.append(name)
    assert asked == ["serving_default", "match"]


def test_a_signature_of_two_names_is_stored_once(made):
    graph = (
        SavedModel.FromString((made[1] / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    )
    functions = graph.library.function
    whole = [f for f in functions if any("Segment" in node.op for node in f.node_def)]
    assert len(whole) == 1
    # Nobody trains a served network: it holds no pullbacks.
    assert not any("_gradient_op_type" in n.attr for f in functions for n in f.node_def)


def test_kcorr_loads_its_own_export(made, loaded, pair):
    network, version, _ = made
    assert (loaded.gives, loaded.smallest, loaded.name) == ("matches", 20, "pairs")
    for verified in (True, False):
        expected, found = (predict_matches(one, *pair, verified) for one in (network, loaded))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert len(expected) == 4
    with pytest.raises(ValueError, match="too small for patches to match; expected at least 20x20"):
        predict_matches(loaded, *(image[:19] for image in pair))
    with pytest.raises(ValueError, match="1: gives matches; expected a flow network such as"):
        load(version, gives="flow")
    with pytest.raises(ValueError, match="'pairs' keeps the radius and the cell that it has"):
        with_search(loaded, radius=8)


def test_the_command_matches_with_an_export(made, loaded, pair, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(models, "load", lambda *_, **__: loaded)
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "m.txt")]
    for path, image in zip(paths, pair, strict=False):
        write_image(path, image)
    command = ["match", *paths[:2], "-o", paths[2], "--model", str(made[1])]
    assert main([*command, "--radius", "8"]) == 2
    said = "kcorr match: --radius: 'pairs' keeps the radius and the cell that it has; expected a "
    assert capsys.readouterr().err.startswith(said) and not (tmp_path / "m.txt").exists()
    assert main(command) == 0
    expected = predict_matches(made[0], *pair)
    np.testing.assert_allclose(read_matches(paths[2]), expected, rtol=1e-5, atol=1e-5)


def test_the_recipe_measures_its_difference(made, monkeypatch):
    network, version, served = made
    monkeypatch.setattr(tf.saved_model, "load", {str(version): served}.get)
    assert recipe.largest_difference(network, version) < recipe.TOLERANCE["matches"]
    other = type(network).from_config(network.get_config())
    other.build()
    assert recipe.largest_difference(other, version) > recipe.TOLERANCE["matches"]


def test_the_recipe_knows_every_network():
    from kcorr.models.registry import MATCH_NETWORKS

    assert sorted(MATCH_NETWORKS) == list(recipe.MATCH_NETWORKS)


def test_requests_that_cannot_be_answered_are_refused_in_plain_words(made):
    match = made[2].signatures["match"]
    blank = tf.zeros([2, 20, 40, 3], tf.uint8)
    for first, second, said in (
        (blank[:, :19], blank[:, :19], "at least 20x20 pixels"),
        (blank[:, :1, :1], blank[:, :1, :1], "at least 20x20 pixels"),
        (blank, blank[:1], "image1 and image2 must have the same shape"),
        (blank, blank[:, :, :30], "image1 and image2 must have the same shape"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=said):
            match(image1=first, image2=second)
    assert float(tf.reduce_sum(match(image1=blank, image2=blank)["reciprocal"])) <= 1


def test_the_command_exports_matches(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(saved_model, "_write_saved_model", lambda *_: None)
    made[0].save(tmp_path / "pairs.keras")
    out = tmp_path / "served"
    assert main(["export", str(tmp_path / "pairs.keras"), str(out)]) == 0
    assert capsys.readouterr().out == f"{out / '1'}\n"
    card = json.loads((out / "1" / "model_card.json").read_text())
    assert card["signatures"].keys() == {"serving_default", "match"}


def test_what_computes_in_half_precision_is_served_in_float32(tmp_path, pair, monkeypatch):
    monkeypatch.setattr(saved_model, "_write_saved_model", lambda *_: None)
    network = DeepMatching("small", dtype="mixed_float16", **CONFIG)
    network.build()
    copy = saved_model.float32_copy(network)
    assert copy.descriptor.compute_dtype == "float32"
    for one, other in zip(network.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_not_exported_as_a_flow_network(made, loaded, tmp_path):
    for model in (made[0], loaded):
        with pytest.raises(ValueError, match="expected a built flow network, as of kcorr"):
            export_flow(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()
