"""DDFlowNet as a network: sizes, directions, parts, gradients, graphs, saving, precisions."""

import functools

import keras
import numpy as np
import pytest
from _calls import call, weight_gradients
from _contract import KEYS, assert_close, pictures, swapped
from keras import ops

from kcorr.models import DDFlowNet, build
from kcorr.ops import resize, resize_flow

TINY = {
    "feature_widths": (4, 5, 6, 7, 8, 9),
    "estimator_widths": (8, 6),
    "context_widths": (8, 7, 6),
    "radius": 2,
}


def tiny(**options):
    keras.utils.set_random_seed(3)
    network = DDFlowNet(**{**TINY, **options})
    network.build()
    return network


@pytest.fixture(scope="module")
def network():
    """For tests that leave it as it is."""
    return tiny()


def ceil_sizes(height, width, levels):
    return [(-(-height // 2**level), -(-width // 2**level)) for level in levels]


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (375, 124)])
def test_any_size_gives_named_outputs_of_ceil_sizes(network, size):
    outputs = call(network, pictures(*size, batch=2))
    assert outputs.keys() == KEYS
    assert outputs["flow"].shape == (2, *size, 2)
    pyramid = ceil_sizes(*size, [6, 5, 4, 3, 2, 2])
    assert [flow.shape for flow in outputs["flow_pyramid"]] == [(2, *s, 2) for s in pyramid]
    features = zip(ceil_sizes(*size, range(1, 7)), TINY["feature_widths"], strict=True)
    assert [f.shape for f in outputs["features"]] == [(2, *s, width) for s, width in features]
    for flow in [outputs["flow"], *outputs["flow_pyramid"]]:
        assert flow.dtype == np.float32 and np.isfinite(flow).all() and flow.any()


@pytest.mark.parametrize("variant", [{}, {"residual": True, "border": "zero"}])
def test_backward_is_the_call_with_swapped_images(variant):
    network, images = tiny(**variant), pictures(49, 70)
    both = call(network, images, backward=True)
    there = call(network, images)
    back = call(network, swapped(images))
    assert both.keys() == KEYS | {"flow_backward", "flow_backward_pyramid"}
    assert_close({name: both[name] for name in KEYS}, there, rtol=1e-4, atol=1e-5)
    assert_close(both["flow_backward"], back["flow"], rtol=1e-4, atol=1e-5)
    assert_close(both["flow_backward_pyramid"], back["flow_pyramid"], rtol=1e-4, atol=1e-5)


def test_features_are_computed_once_per_image():
    network, batches = tiny(), []
    original = network.pyramid.call

    def counting(images):
        batches.append(images.shape[0])
        return original(images)

    network.pyramid.call = counting
    call(network, pictures(20, 20, batch=3), backward=True)
    assert batches == [6]  # one call: both images of three pairs, for both directions


def test_examples_of_a_batch_do_not_touch_one_another(network):
    images = pictures(17, 33, batch=2)
    alone = call(network, {name: image[1:] for name, image in images.items()})
    for image in images.values():
        image[0, 6:11] = np.nan
    together = call(network, images)
    assert np.isnan(together["features"][0][0]).any()
    assert_close(together["flow"][1:], alone["flow"], rtol=1e-4, atol=1e-5)


def test_parameters_of_each_part():
    network = build("ddflow")
    assert network.count_params() == 4_273_628
    assert len(network.trainable_variables) == len(network.variables) == 98
    parts = [network.pyramid, *network.estimators, network.context]
    assert {part.name: part.count_params() for part in parts} == {
        "feature_extractor": 1_022_160,
        "estimator_level_6": 649_602,
        "estimator_level_5": 575_874,
        "estimator_level_4": 539_010,
        "estimator_level_3": 502_146,
        "estimator_level_2": 465_282,
        "context_network": 519_554,
    }
    assert build("ddflow_small").count_params() < 4_273_628 / 3


planted_network = functools.cache(tiny)


def planted(biases, **options):
    """The full-resolution flow when all heads are 0 but for these biases: {part name: (u, v)}."""
    network = planted_network(**options)
    for part in [*network.estimators, network.context]:
        kernel, bias = part.head.weights
        kernel.assign(np.zeros(kernel.shape))
        bias.assign(biases.get(part.name, (0, 0)))
    return call(network, pictures(128, 192))["flow"]


def test_an_absolute_flow_counts_at_its_own_level_only():
    flow = planted({"estimator_level_6": (9, 9), "estimator_level_2": (1, -2)})
    np.testing.assert_allclose(flow, np.broadcast_to([4, -8], flow.shape), rtol=1e-5)


def test_a_residual_flow_doubles_from_level_to_level():
    flow = planted({"estimator_level_6": (1, -2), "estimator_level_3": (0, 1)}, residual=True)
    np.testing.assert_allclose(flow, np.broadcast_to([64, -120], flow.shape), rtol=1e-5)


def test_the_context_network_adds():
    flow = planted({"estimator_level_2": (1, 0), "context_network": (1, 1)})
    np.testing.assert_allclose(flow, np.broadcast_to([8, 4], flow.shape), rtol=1e-5)


def test_a_zoomed_network_estimates_on_a_finer_grid():
    images, zoomed = pictures(50, 70), tiny(zoom=1.5)
    found = call(zoomed, images, backward=True)
    large = {key: np.asarray(resize(image, (75, 105))) for key, image in images.items()}
    expected = call(tiny(), large, backward=True)
    assert_close(found["flow_pyramid"], expected["flow_pyramid"], rtol=1e-4, atol=1e-5)
    for name in ("flow", "flow_backward"):
        refined = expected[f"{name}_pyramid"][-1]
        full = np.asarray(resize_flow(refined, (50, 70), align_corners=True))
        assert_close(found[name], full, rtol=1e-4, atol=1e-5)


def test_a_zoomed_size_is_rounded_up():
    outputs = call(tiny(zoom=1.25), pictures(17, 33))  # 22 x 42 of 21.25 x 41.25
    assert outputs["features"][0].shape[1:3] == (11, 21) and outputs["flow"].shape[1:3] == (17, 33)


def test_a_zoomed_flow_is_in_pixels_of_the_picture():
    flow = planted({"estimator_level_2": (3, -6)}, zoom=1.5)  # on 48x72 of 128x192
    np.testing.assert_allclose(flow, np.broadcast_to([8, -16], flow.shape), rtol=1e-5)


@pytest.mark.parametrize("zoom", [0.5, 5, 1.3, float("nan")])
def test_bad_zooms(zoom):
    with pytest.raises(ValueError, match=r"zoom must be 1 to 4 in sixteenths, such as 1\.5, got"):
        tiny(zoom=zoom)


@pytest.mark.parametrize("residual", [False, True])
def test_gradients_reach_every_weight(residual):
    gradients = weight_gradients(
        tiny(residual=residual),
        pictures(64, 96),
        lambda outputs: sum(ops.sum(ops.square(f - 1)) for f in outputs["flow_pyramid"]),
    )
    assert len(gradients) == 2 * (12 + 5 * 3 + 4)
    for path, gradient in gradients.items():
        assert gradient is not None and np.isfinite(gradient).all() and gradient.any(), path


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("zoom", [1, 1.25])
def test_one_graph_for_all_sizes(zoom):
    import tensorflow as tf

    network, traces = tiny(zoom=zoom), []
    spec = tf.TensorSpec([None, None, None, 3])

    @tf.function(input_signature=[{"image1": spec, "image2": spec}])
    def run(images):
        traces.append(1)
        return network(images, backward=True)

    for height, width, batch in [(17, 33, 1), (64, 64, 2), (16, 50, 3)]:
        images = pictures(height, width, batch)
        found = keras.tree.map_structure(np.asarray, run(images))
        assert_close(found, call(network, images, backward=True), rtol=1e-4, atol=1e-5)
    assert len(traces) == 1


@pytest.mark.tensorflow_only
def test_compiled_by_xla():
    import tensorflow as tf

    network, images = tiny(), pictures(50, 70)
    found = tf.function(network, jit_compile=True)(images)
    found = keras.tree.map_structure(np.asarray, found)
    assert_close(found, call(network, images), rtol=1e-4, atol=1e-4)


def every_layer(network):
    return list(network._flatten_layers(include_self=False))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_save_and_reload(policy, tmp_path):
    network = tiny(dtype=policy, residual=True, border="zero", zoom=1.25, name="mine")
    images = pictures(32, 40)
    expected = call(network, images)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert again.get_config() == network.get_config() and again.name == "mine"
    assert again.dtype_policy.name == policy
    # Children made under the global policy would compute in float32 here; only heads should.
    heads = {part.head.path for part in [*again.estimators, again.context]}
    layers = every_layer(again)
    assert len(layers) > 25 and len(heads) == 6
    for layer in layers:
        right = "float32" if layer.path in heads else policy
        assert layer.dtype_policy.name == right, layer.path
    assert_close(call(again, images), expected, rtol=0, atol=0)


def test_weights_reload_into_a_fresh_network(network, tmp_path):
    images = pictures(16, 16, batch=2)
    network.save_weights(tmp_path / "network.weights.h5")
    keras.utils.set_random_seed(99)
    again = DDFlowNet(**TINY)
    again.build()
    assert not np.allclose(again.weights[0], network.weights[0])
    again.load_weights(tmp_path / "network.weights.h5")
    assert_close(call(again, images), call(network, images), rtol=0, atol=0)


def test_mixed_precision_stays_close(network):
    images = pictures(64, 96)
    exact = call(network, images)
    rough = call(tiny(dtype="mixed_bfloat16"), images)
    assert rough["flow"].dtype == np.float32
    assert rough["features"][0].dtype != np.float32
    for found, expected in zip(rough["flow_pyramid"], exact["flow_pyramid"], strict=True):
        assert found.dtype == np.float32
        assert np.abs(found - expected).mean() < 0.05 * np.abs(expected).mean()


def test_registry():
    assert build("ddflow_small", radius=3).radius == 3
    with pytest.raises(ValueError, match="unknown network 'raft'; known are ddflow, ddflow_small"):
        build("raft")
