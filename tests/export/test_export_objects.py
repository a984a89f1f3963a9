"""Networks of landmarks and labels as SavedModels: what is served is what the network says."""

import json

import numpy as np
import pytest
import tensorflow as tf
from _warmup import asked_and_answered

from kcorr import metrics
from kcorr.cli.__main__ import main
from kcorr.export import export_flow, export_network, saved_model
from kcorr.models import build, load, match_object_points, predict_labels, predict_landmarks
from recipes import export as recipe

SMALL = {"widths": (4, 4, 5, 6, 7), "picture_size": 32}
SIGNATURES = {
    "landmarks": {"serving_default": {"points", "confidence"}},
    "labels": {"serving_default": {"labels"}, "match_points": {"points2", "similarity"}},
}
SIGNATURES["landmarks"]["landmarks"] = SIGNATURES["landmarks"]["serving_default"]
SIGNATURES["labels"]["label"] = SIGNATURES["labels"]["serving_default"]
KINDS = pytest.mark.parametrize("kind", SIGNATURES)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{kind: (network, its export, the same loaded by plain TensorFlow)}."""
    folder, found = tmp_path_factory.mktemp("served"), {}
    for kind, name, options in (
        ("landmarks", "landmarks", {"landmarks": 3}),
        ("labels", "object_frame", {"dimensions": 4}),
    ):
        network = build(name, **options, **SMALL)
        random = np.random.default_rng(3)
        for weight in network.weights:
            if weight.path.endswith(("gamma", "moving_variance")):
                weight.assign(random.uniform(0.5, 1.5, weight.shape))
            elif len(weight.shape) == 4:
                weight.assign(weight * 3)
        version = export_network(network, folder / kind, card={"data": "none"})
        found[kind] = network, version, tf.saved_model.load(str(version))
    return found


def pictures(batch, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


@KINDS
@pytest.mark.parametrize("size", [(1, 40, 51), (2, 16, 17)])
def test_every_signature_says_what_the_network_says(made, kind, size):
    network, _, served = made[kind]
    assert served.signatures.keys() == SIGNATURES[kind].keys()
    images, others = pictures(*size), pictures(size[0], 30, 20, seed=1)
    points = np.random.default_rng(2).uniform(0, 15, (size[0], 6, 2)).astype("float32")
    expected = dict(network({"image": np.float32(images) / 255}))
    for name, keys in SIGNATURES[kind].items():
        inputs = {"image": images}
        if name == "match_points":
            inputs = {"image1": images, "image2": others, "points": points}
            expected |= matched(network, **inputs)
        answer = served.signatures[name](**{key: tf.constant(x) for key, x in inputs.items()})
        assert answer.keys() == keys
        for key in keys:
            np.testing.assert_allclose(answer[key], expected[key], rtol=1e-3, atol=1e-3)
    assert np.ptp(expected["points" if kind == "landmarks" else "points2"]) > 1


def matched(network, image1, image2, points):
    """What `match_points` must answer, by numpy."""
    first, second = (
        network({"image": np.float32(image) / 255})["labels"] for image in (image1, image2)
    )
    found = metrics.match_points(first, points, second)
    alike = metrics.labels_at(first, points) * metrics.labels_at(second, found)
    return {"points2": found, "similarity": alike.sum(-1, keepdims=True)}


@KINDS
def test_the_card_and_the_warm_up_fit_the_signatures(made, kind):
    network, version, served = made[kind]
    card = json.loads((version / "model_card.json").read_text())
    assert card["network"]["config"]["picture_size"] == 32
    assert "32 pixels (picture_size)" in card["sizes"] and "flow" not in card["coordinates"]
    assert type(network)(**card["network"]["config"]).config == network.config
    asked = []
    for name, described, answer in asked_and_answered(version, card, served):
        for key, value in answer.items():
            assert np.isfinite(value).all() and described["outputs"][key]["dtype"] == "float32"
            assert len(described["outputs"][key]["shape"].split()) == len(value.shape)
        asked.append(name)
    assert sorted(asked) == sorted(card["signatures"]) == sorted(SIGNATURES[kind])


@KINDS
def test_kcorr_loads_its_own_export(made, kind):
    network, version, _ = made[kind]
    loaded = load(version.parent, gives=kind)
    assert (loaded.gives, loaded.picture_size) == (kind, 32)
    image, other = pictures(1, 40, 51)[0], pictures(1, 36, 80, seed=1)[0]
    if kind == "landmarks":
        pairs = [(predict_landmarks(one, image) for one in (network, loaded))]
    else:
        points = [[3, 4], [50, 39.5]]
        pairs = [
            (predict_labels(one, image) for one in (network, loaded)),
            (match_object_points(one, image, other, points) for one in (network, loaded)),
        ]
    for expected, found in pairs:
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-3, atol=1e-3)
    wrong = "flow" if kind == "labels" else "labels"
    with pytest.raises(ValueError, match=f"1: gives {kind}; expected a "):
        load(version, gives=wrong)


@KINDS
def test_the_recipe_measures_its_difference(made, kind, monkeypatch):
    network, version, served = made[kind]
    monkeypatch.setattr(tf.saved_model, "load", {str(version): served}.get)
    assert recipe.largest_difference(network, version) < recipe.TOLERANCE[kind]
    other = type(network).from_config(network.get_config())
    other.build()
    assert recipe.largest_difference(other, version) > recipe.TOLERANCE[kind]


def test_the_recipe_knows_every_network():
    from kcorr.models.registry import OBJECT_NETWORKS

    assert sorted(OBJECT_NETWORKS) == list(recipe.OBJECT_NETWORKS)


def test_requests_that_cannot_be_answered_are_refused_in_plain_words(made):
    label = made["labels"][2].signatures["label"]
    match = made["labels"][2].signatures["match_points"]
    refused = pytest.raises(tf.errors.InvalidArgumentError, match="at least 16x16 pixels")
    with refused:
        label(tf.constant(pictures(1, 15, 40)))
    one, two = (tf.constant(pictures(batch, 20, 20)) for batch in (1, 2))
    points = tf.zeros([2, 3, 2])
    for first, second in ((one, two), (two, one)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be as many"):
            match(image1=first, image2=second, points=points)
    assert match(image1=two, image2=two, points=points[:, :0])["points2"].shape == (2, 0, 2)


def test_the_command_exports_objects(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(saved_model, "_write_saved_model", lambda *_: None)
    made["labels"][0].save(tmp_path / "labels.keras")
    out = tmp_path / "served"
    assert main(["export", str(tmp_path / "labels.keras"), str(out)]) == 0
    assert capsys.readouterr().out == f"{out / '1'}\n"
    card = json.loads((out / "1" / "model_card.json").read_text())
    assert card["signatures"].keys() == SIGNATURES["labels"].keys()


def test_what_is_no_flow_network_is_not_exported_as_one(made, tmp_path):
    for model in (made["landmarks"][0], load(made["labels"][1])):
        with pytest.raises(ValueError, match="expected a built flow network, as of kcorr"):
            export_flow(model, tmp_path / "new")
    with pytest.raises(ValueError, match="text: expected a built network, as of kcorr"):
        export_network("text", tmp_path / "new")
    assert not (tmp_path / "new").exists()
