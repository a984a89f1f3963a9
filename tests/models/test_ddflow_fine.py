"""DDFlowNet with flow at half the size: a slow float64 version, and a start from a network without.

What it shares with the network without is tested there (test_ddflow.py, test_ddflow_golden.py).
"""

import keras
import numpy as np
import pytest
from _authors_truth import ddflow, golden_image, golden_weights
from _calls import call, weight_gradients
from _contract import KEYS, assert_close, pictures
from keras import ops

from kcorr.models import DDFlowNet, build

FINE = {"fine_widths": (8, 6), "fine_radius": 2}
TINY = {
    "feature_widths": (4, 5, 6),
    "estimator_widths": (8, 6),
    "context_widths": (8, 7, 6),
    "radius": 2,
    "residual": True,
    "border": "zero",
    **FINE,
}


def tiny(**options):
    keras.utils.set_random_seed(3)
    network = DDFlowNet(**{**TINY, **options})
    network.build()
    return network


def test_it_is_what_a_slow_truth_computes(golden_network):
    network = DDFlowNet(**FINE)
    network.build()
    random = np.random.default_rng(5)
    own = [random.normal(0, 0.1, w.shape) for w in network.fine.weights]
    network.set_weights([*golden_network.get_weights(), *own])
    weights = golden_weights()
    for layer in [*network.fine.hidden, network.fine.head]:
        for name, weight in zip(("weights", "biases"), layer.get_weights(), strict=True):
            weights[f"estimator_level_1/{layer.name}/{name}"] = weight
    images = {"image1": golden_image(0)[:, :91], "image2": golden_image(1)[:, :91]}
    outputs = call(network, images)
    expected = ddflow(images["image1"][0], images["image2"][0], weights, fine_radius=2)
    assert len(expected) == 8 and np.abs(expected[-2] - np.mean(expected[-2])).mean() > 0.1
    found = [*outputs["flow_pyramid"], outputs["flow"]]
    assert_close([flow[0] for flow in found], expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (75, 124)])
def test_any_size(size):
    outputs = call(tiny(), pictures(*size), backward=True)
    assert outputs.keys() == KEYS | {"flow_backward", "flow_backward_pyramid"}
    assert outputs["flow"].shape == outputs["flow_backward"].shape == (1, *size, 2)
    half = tuple(-(-side // 2) for side in size)
    assert outputs["flow_pyramid"][-1].shape == (1, *half, 2)
    assert all(np.isfinite(flow).all() for flow in outputs["flow_pyramid"])


def test_gradients_reach_every_weight():
    gradients = weight_gradients(
        tiny(), pictures(32, 48), lambda outputs: ops.sum(ops.square(outputs["flow"] - 1))
    )
    assert len(gradients) == 2 * (6 + 2 * 3 + 4 + 3)
    for path, gradient in gradients.items():
        assert gradient is not None and np.isfinite(gradient).all() and gradient.any(), path


def test_save_and_reload(tmp_path):
    network, images = tiny(dtype="mixed_bfloat16"), pictures(32, 40)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert again.get_config() == network.get_config()
    assert_close(call(again, images), call(network, images), rtol=0, atol=0)


def test_it_begins_with_the_weights_of_the_network_without():
    """What `--init` of a recipe relies on."""
    fine, small = build("ddflow_fine"), build("ddflow_small")
    shapes = [[tuple(w.shape) for w in network.weights] for network in (fine, small)]
    assert shapes[0][: len(shapes[1])] == shapes[1]
    assert fine.count_params() == 1_259_830 and small.count_params() == 1_207_724
