"""Many pairs of pictures at once: the flows of separate calls, features computed once."""

import numpy as np
import pytest
from keras import ops

from kcorr.models import build, flows_of_pairs

PAIRS = [(1, 2), (2, 1), (1, 3), (4, 2)]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return {i: rng.random((2, 64, 72, 3), "float32") for i in (1, 2, 3, 4)}


@pytest.mark.parametrize("name", ["ddflow_small", "spynet_small", "recurrent_small"])
def test_each_flow_is_that_of_the_pair_alone(images, name):
    network = build(name)
    flows, finest = flows_of_pairs(network, images, PAIRS)
    assert list(flows) == list(finest) == PAIRS
    for i, j in PAIRS:
        alone = network({"image1": images[i], "image2": images[j]})
        found = ops.convert_to_numpy(flows[i, j])
        np.testing.assert_allclose(found, alone["flow"], atol=2e-4, rtol=1e-3)
        np.testing.assert_allclose(
            ops.convert_to_numpy(finest[i, j]), alone["flow_pyramid"][-1], atol=2e-4, rtol=1e-3
        )


@pytest.mark.parametrize("name", ["ddflow_small", "recurrent_small"])
def test_each_picture_is_encoded_once(images, name):
    network, seen = build(name), []
    encode = network.encode
    network.encode = lambda pictures: seen.append(pictures.shape) or encode(pictures)
    flows_of_pairs(network, images, [(i, j) for i in images for j in images if i != j])
    assert seen == [(8, 64, 72, 3)]


def test_a_network_without_parts_is_called_once(images):
    calls = []

    def network(inputs, training=False):
        calls.append(inputs["image1"].shape)
        return {"flow": ops.mean(inputs["image2"] - inputs["image1"], -1, keepdims=True)}

    flows, finest = flows_of_pairs(network, images, PAIRS)
    assert calls == [(8, 64, 72, 3)] and finest == {}
    expected = (images[2] - images[4]).mean(-1, keepdims=True)
    np.testing.assert_allclose(flows[4, 2], expected, atol=1e-6)


def test_a_network_of_three_frames_is_refused(images):
    with pytest.raises(ValueError, match="sees three frames at once"):
        flows_of_pairs(build("selflow_small"), images, PAIRS)
