"""The served numbers are the network's, in processes that know neither Keras nor kcorr."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kcorr.models import load
from kcorr.ops import fb_occlusion

HERE = Path(__file__).parent
SIZES = [(1, 64, 96), (2, 37, 61), (3, 16, 16), (1, 1, 1), (2, 5, 40), (1, 33, 3)]


def unit_range(image):
    return image.astype(np.float32) / 255


def edge_padded(image):
    _, height, width, _ = image.shape
    rows, columns = max(0, 16 - height), max(0, 16 - width)
    return np.pad(image, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="edge")


def truth(network, directions, first, second):
    """All that the signatures may answer, from the Keras network and numpy padding."""
    _, height, width, _ = first.shape
    found = directions(*[edge_padded(unit_range(image)) for image in (first, second)])
    forward = found["flow"][:, :height, :width]
    backward = found["flow_backward"][:, :height, :width]
    answers = {
        "flow": forward,
        "flow_backward": backward,
        "occlusion": fb_occlusion(forward, backward),
        "occlusion_backward": fb_occlusion(backward, forward),
    }
    for number, level in enumerate(network.pyramid(unit_range(first)), start=1):
        answers[f"level_{number}"] = level
    return {name: np.asarray(value) for name, value in answers.items()}


@pytest.fixture(scope="module")
def questions(network, image_pair, tmp_path_factory):
    """(file of requests, the true answers of each case)."""
    # The network as a graph: what is compared is the export, not graph against eager mode.
    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    directions = tf.function(
        lambda first, second: network({"image1": first, "image2": second}, backward=True),
        input_signature=[spec, spec],
    )
    truths, asked = [], {}
    for case, size in enumerate(SIZES):
        first, second = image_pair(*size, seed=case)
        truths.append(truth(network, directions, first, second))
        for signature in ("serving_default", "flow_and_occlusion"):
            asked[f"{case}|{signature}|image1"] = first
            asked[f"{case}|{signature}|image2"] = second
        asked[f"{case}|serving_float|image1"] = unit_range(first)
        asked[f"{case}|serving_float|image2"] = unit_range(second)
        asked[f"{case}|features|image"] = first
    requests = tmp_path_factory.mktemp("questions") / "requests.npz"
    np.savez(requests, **asked)
    return requests, truths


def check(answers, truths):
    """Compares every answer of every case."""
    expected_names = {
        "serving_default": {"flow"},
        "serving_float": {"flow"},
        "flow_and_occlusion": {"flow", "flow_backward", "occlusion", "occlusion_backward"},
        "features": {f"level_{number}" for number in range(1, 7)},
    }
    for case, expected in enumerate(truths):
        assert np.abs(expected["flow"]).max() > 0.01
        for signature, names in expected_names.items():
            found = {
                key.split("|")[2]: value
                for key, value in answers.items()
                if key.startswith(f"{case}|{signature}|")
            }
            assert set(found) == names
            for name, value in found.items():
                assert value.shape == expected[name].shape and value.dtype == np.float32
                if name.startswith("occlusion"):  # a threshold: a last bit may tip a pixel
                    assert np.mean(value != expected[name]) <= 0.002
                    continue
                np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5)


def run(command, requests, tmp_path, **environment):
    answers = tmp_path / "answers.npz"
    done = subprocess.run(
        [*command, requests, answers],
        cwd=tmp_path,  # not the checkout, where kcorr could be imported
        env={"PATH": os.environ["PATH"], "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "imported:"
    with np.load(answers) as file:
        return {key: file[key] for key in file.files}


def test_plain_tensorflow_without_keras_gives_the_same_numbers(exported, questions, tmp_path):
    # A view of site-packages without keras; -S keeps the real one (and kcorr's link) out.
    # Hiding keras by an import hook would not do: tensorflow looks for it when it is imported.
    view = tmp_path / "packages"
    view.mkdir()
    for path in Path(tf.__file__).parents[1].iterdir():
        if not path.name.lower().startswith(("keras", "kcorr", "__editable__")):
            (view / path.name).symlink_to(path)
    requests, truths = questions
    command = [sys.executable, "-S", HERE / "_plain_tensorflow.py", exported]
    answers = run(command, requests, tmp_path, PYTHONPATH=str(view))
    check(answers, truths)


def test_the_c_api_gives_the_same_numbers(exported, questions, tmp_path):
    requests, truths = questions
    answers = run([sys.executable, HERE / "_c_api.py", exported], requests, tmp_path)
    check(answers, truths)


def test_kcorr_loads_its_own_export(exported, network, image_pair):
    images = [unit_range(image) for image in image_pair(2, 40, 48)]
    inputs = dict(zip(("image1", "image2"), images, strict=True))
    expected = network(inputs, backward=True)
    found = load(exported)(inputs, backward=True)
    for name in ("flow", "flow_backward"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)


def test_images_of_different_shapes_are_refused_in_plain_words(served, image_pair):
    serve = served.signatures["serving_default"]
    small, _ = image_pair(1, 5, 7)
    for other in (image_pair(1, 7, 5), image_pair(3, 5, 7)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must have the same shape"):
            serve(image1=tf.constant(small), image2=tf.constant(other[0]))


def test_nothing_in_the_graph_needs_xla(exported):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    assert len(nodes) > 1000
    assert not [node.op for node in nodes if node.op.startswith("Xla")]
    holders = [*nodes, *graph.library.function]
    assert not [h for h in holders if "_XlaMustCompile" in h.attr and h.attr["_XlaMustCompile"].b]
