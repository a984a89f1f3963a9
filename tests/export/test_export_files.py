"""What `export_flow` leaves on the disk, and what it never does."""

import hashlib
import json
import math
import os
import shutil
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from _serving_protos import PredictionLog

import kcorr
from kcorr.export import export_flow, next_version, saved_model
from kcorr.export.card import variables_sha256
from kcorr.export.signatures import flow_signatures
from kcorr.models.registry import NETWORKS, build


def tree(folder):
    """{relative path: digest} of everything in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def quick(monkeypatch):
    """Replaces the slow part by one small file; `quick.during` is called in the middle of it."""

    class Quick:
        def during(self):
            pass

        def write(self, network, signatures, path):
            (path / "saved_model.pb").write_bytes(b"half")
            self.during()
            (path / "saved_model.pb").write_bytes(b"whole")

    replacement = Quick()
    monkeypatch.setattr(saved_model, "_write_saved_model", replacement.write)
    return replacement


def test_everything_is_there_and_nothing_else(exported):
    assert exported.name == "1"
    assert [path.name for path in exported.parent.iterdir()] == ["1"]
    assert {path.name for path in exported.iterdir()} == {
        "assets", "assets.extra", "fingerprint.pb", "model_card.json", "saved_model.pb",
        "variables",
    }  # fmt: skip


def test_each_variable_is_stored_once(exported, network):
    stored = (exported / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert 4 * network.count_params() <= stored < 4.2 * network.count_params()


def test_the_card_says_what_the_model_is(exported, network):
    card = json.loads((exported / "model_card.json").read_text())
    assert card["name"] == "planted"
    assert card["training"] == {"data": "none", "steps": 0}
    assert card["network"]["parameters"] == network.count_params()
    assert type(network)(**card["network"]["config"]).config == network.config
    assert card["versions"] == {
        "kcorr": kcorr.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    assert card["variables_sha256"] == variables_sha256(network)
    assert card["signatures"]["serving_default"]["outputs"]["flow"]["shape"] == "b h w 2"


def test_the_cards_signatures_are_those_of_the_saved_model(exported, served):
    described = json.loads((exported / "model_card.json").read_text())["signatures"]
    real = served.signatures
    assert set(described) == set(real)
    for name, entry in described.items():
        inputs = real[name].structured_input_signature[1]
        assert set(entry["inputs"]) == set(inputs)
        for key, spec in inputs.items():
            assert spec.dtype.name == entry["inputs"][key]["dtype"]
            assert spec.shape.as_list() == [None, None, None, 3]
        assert set(entry["outputs"]) == set(real[name].structured_outputs)
        for key, spec in real[name].structured_outputs.items():
            assert spec.dtype.name == entry["outputs"][key]["dtype"]
            assert spec.shape.as_list()[:3] == [None, None, None]
            assert str(spec.shape[3]) == entry["outputs"][key]["shape"].split()[-1]


def test_the_digest_changes_with_a_single_weight(network):
    before = variables_sha256(network)
    bias = network.variables[1]
    kept = bias.numpy()
    bias.assign(kept + np.eye(1, len(kept))[0] * 1e-3)
    try:
        assert variables_sha256(network) != before
    finally:
        bias.assign(kept)
    assert variables_sha256(network) == before


def test_the_warm_up_requests_ask_every_signature_and_can_be_answered(exported, served):
    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    signatures = served.signatures
    asked = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = PredictionLog.FromString(record)
        assert log.SerializeToString(deterministic=True) == record  # nothing unknown in it
        request = log.predict_log.request
        assert request.model_spec.name == "planted"
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        assert all(array.std() > 0 for array in inputs.values())
        answer = signatures[request.model_spec.signature_name](
            **{key: tf.constant(array) for key, array in inputs.items()}
        )
        assert all(np.isfinite(value.numpy()).all() for value in answer.values())
        asked.append(request.model_spec.signature_name)
    assert sorted(asked) == sorted(signatures)


def test_a_network_of_mixed_precision_is_exported_in_float32(
    exported, network, tmp_path, monkeypatch
):
    mixed = type(network).from_config({**network.get_config(), "dtype": "mixed_bfloat16"})
    mixed.build()
    mixed.set_weights(network.get_weights())
    written = []
    monkeypatch.setattr(
        saved_model, "_write_saved_model", lambda network, *_: written.append(network)
    )
    version = export_flow(mixed, tmp_path / "mixed")
    card = json.loads((version / "model_card.json").read_text())
    assert card["network"]["dtype"] == "float32"
    reference = json.loads((exported / "model_card.json").read_text())
    assert card["variables_sha256"] == reference["variables_sha256"]
    assert mixed.compute_dtype == "bfloat16"  # the caller's network is left as it was
    images = {name: np.full((1, 16, 32, 3), 0.5, "float32") for name in ("image1", "image2")}
    found, expected = written[0](images)["flow"], network(images)["flow"]
    assert np.array_equal(found, expected)


def test_versions_count_on_and_leave_the_others_alone(network, tmp_path, quick):
    assert export_flow(network, tmp_path).name == "1"
    (tmp_path / "0007").mkdir()  # TF Serving reads it as 7
    (tmp_path / "0007" / "saved_model.pb").write_bytes(b"old")
    (tmp_path / "notes").mkdir()
    before = tree(tmp_path)
    assert next_version(tmp_path) == 8
    assert export_flow(network, tmp_path).name == "8"
    assert export_flow(network, tmp_path, version=np.int64(3)).name == "3"
    after = tree(tmp_path)
    assert {path: after[path] for path in before} == before
    for taken in (3, 7):
        with pytest.raises(FileExistsError, match=f"version {taken} is there.* free one is 9"):
            export_flow(network, tmp_path, version=taken)
    assert tree(tmp_path) == after


def test_a_version_is_invisible_until_it_is_whole(network, tmp_path, quick):
    seen = []
    quick.during = lambda: seen.append([path.name for path in tmp_path.iterdir()])
    version = export_flow(network, tmp_path)
    (names,) = seen
    assert len(names) == 1 and names[0].startswith(".") and not names[0].isdigit()
    assert (version / "saved_model.pb").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_what_a_killed_export_left_goes_when_it_is_surely_dead(network, tmp_path, quick):
    """Another process may be tracing in its folder; TF Serving does not look at either."""
    ages = {".00000000000a.tmp": 2 * 3600, ".00000000000b.tmp": 600}

    def killed():
        (made,) = tmp_path.glob(".*.tmp")
        for name, age in ages.items():
            copy = shutil.copytree(made, tmp_path / name)
            written = time.time() - age
            for path in (*copy.rglob("*"), copy):
                os.utime(path, (written, written))

    quick.during = killed
    export_flow(network, tmp_path)
    quick.during = lambda: None
    export_flow(network, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"1", "2", ".00000000000b.tmp"}


@pytest.mark.parametrize("stage", ["saved model", "warm-up", "card"])
def test_a_failure_leaves_nothing_behind(network, tmp_path, quick, monkeypatch, stage):
    export_flow(network, tmp_path)
    before = tree(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    if stage == "saved model":
        quick.during = full
    else:
        name = "write_warmup_requests" if stage == "warm-up" else "model_card"
        monkeypatch.setattr(saved_model, name, full)
    with pytest.raises(OSError, match="No space left"):
        export_flow(network, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert tree(tmp_path) == before


def test_a_full_disk_is_an_oserror_that_names_the_folder(network, tmp_path, quick):
    def full():
        text = "{{function_node x}} v/part-00000; No space left on device [Op:SaveV2]"
        raise tf.errors.ResourceExhaustedError(None, None, text)

    quick.during = full
    with pytest.raises(OSError) as caught:
        export_flow(network, tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be written (No space left on device)"
    assert not list(tmp_path.iterdir())


def test_two_exports_at_once_both_arrive(network, tmp_path, quick):
    def other():
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "saved_model.pb").write_bytes(b"the other's")

    quick.during = other
    assert export_flow(network, tmp_path).name == "2"
    assert (tmp_path / "1" / "saved_model.pb").read_bytes() == b"the other's"


def test_a_version_asked_for_is_not_given_twice(network, tmp_path, quick):
    quick.during = lambda: (tmp_path / "5").mkdir()
    with pytest.raises(FileExistsError, match="version 5 is there already"):
        export_flow(network, tmp_path, version=5)
    assert [path.name for path in tmp_path.iterdir()] == ["5"]
    assert not any((tmp_path / "5").iterdir())


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True, float("nan"), [1]])
def test_a_version_must_be_a_positive_integer(network, tmp_path, version):
    with pytest.raises(ValueError, match="version must be a positive integer, got"):
        export_flow(network, tmp_path / "new", version=version)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("card", ["text", 3, {"score": np.float32(1)}, {"score": float("nan")}])
def test_a_card_must_be_json(network, tmp_path, card):
    with pytest.raises(ValueError, match="card must be a dict of JSON values"):
        export_flow(network, tmp_path / "new", card=card)
    assert not (tmp_path / "new").exists()


def test_something_else_than_a_flow_network_is_refused(tmp_path):
    for model in (keras.Sequential(name="other"), keras.layers.Dense(3, name="other"), "other"):
        with pytest.raises(ValueError, match="other: expected a built flow network"):
            export_flow(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_named_in_one_line(network, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for directory in (tmp_path / "file", tmp_path / "file" / "models" / "flow"):
        with pytest.raises(NotADirectoryError) as caught:
            export_flow(network, directory)
        assert str(directory) in str(caught.value) and "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_served_features_are_what_the_flow_is_made_of():
    """Of the picture as the network sees it: standardised and enlarged."""
    keras.utils.set_random_seed(3)
    options = {"feature_widths": (4, 5, 6), "estimator_widths": (6,), "context_widths": (6,)}
    network = kcorr.models.DDFlowNet(**options, standardise=True, zoom=1.5)
    network.build()
    image = np.random.default_rng(0).integers(0, 256, (1, 18, 30, 3), np.uint8)
    signature = flow_signatures(network)["features"]
    found = signature.function(tf.constant(image))
    pixels = tf.constant(image / 255, "float32")
    expected = network({"image1": pixels, "image2": pixels})["features"]
    assert signature.outputs["level_2"]["shape"] == "b ceil(1.5*h/4) ceil(1.5*w/4) 5"
    assert len(found) == len(expected) == 3 and expected[1].shape == (1, 7, 12, 5)
    for number, features in enumerate(expected, start=1):
        np.testing.assert_allclose(found[f"level_{number}"], features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(name for name in NETWORKS if name.endswith("_small")))
def test_served_features_are_those_of_a_call(name):
    """At a size that no network takes as it is."""
    keras.utils.set_random_seed(3)
    network = build(name)
    image = np.random.default_rng(0).integers(0, 256, (1, 37, 70, 3), np.uint8)
    pixels = tf.constant(image / 255, "float32")
    expected = network({"image1": pixels, "image2": 1 - pixels})["features"]
    signature = flow_signatures(network).get("features")
    assert (signature is None) == (name in ("flownet_s_small", "spynet_small"))
    if signature is None:  # what they have is of the pair, or the pictures themselves
        return
    found = signature.function(tf.constant(image))
    assert list(found) == list(signature.outputs) == [f"level_{i + 1}" for i in range(len(found))]
    names = {"h": 37, "w": 70, "b": 1, "ceil": math.ceil}
    for key, features in zip(found, expected, strict=True):
        np.testing.assert_allclose(found[key], features, rtol=1e-5, atol=1e-5)
        assert np.std(features) > 1e-3
        shape = signature.outputs[key]["shape"].split()
        assert [eval(side, names) for side in shape] == list(features.shape)
