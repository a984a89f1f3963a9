"""SelFlowNet as a network: frames, directions, windows, parts, precisions, saving, learning."""

import functools

import _contract
import keras
import numpy as np
import pytest
from _calls import call, weight_gradients
from keras import ops

from kcorr.models import SelFlowNet, build
from kcorr.models.coarse_to_fine import standardised
from kcorr.ops import resize, resize_flow

TINY = {  # four levels and not six: there is less to trace
    "feature_widths": (4, 5, 6, 7),
    "estimator_widths": (8, 6),
    "context_widths": (8, 7, 6),
    "radius": 2,
}
KEYS = {"flow", "flow_pyramid", "flow_previous", "flow_previous_pyramid", "features"}


def tiny(**options):
    keras.utils.set_random_seed(3)
    network = SelFlowNet(**{**TINY, **options})
    network.build()
    return network


@pytest.fixture(scope="module")
def network():
    """For tests that leave it as it is."""
    return tiny()


def pictures(height, width, batch=1, count=3):
    random = np.random.default_rng(0)
    shape = (batch, height, width, 3)
    return {f"image{i}": random.random(shape, "float32") for i in range(count)}


def numbered(*images):
    return {f"image{i}": image for i, image in enumerate(images)}


assert_close = functools.partial(_contract.assert_close, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (65, 101)])
def test_any_size_gives_named_outputs_of_ceil_sizes(network, size):
    outputs = call(network, pictures(*size, batch=2))
    assert outputs.keys() == KEYS
    levels = [tuple(-(-side // 2**level) for side in size) for level in range(1, 5)]
    for key in ("flow", "flow_previous"):
        pyramid = outputs[f"{key}_pyramid"]
        shapes = [(2, *levels[level - 1], 2) for level in (4, 3, 2, 2)]
        assert [flow.shape for flow in pyramid] == shapes
        for flow in [outputs[key], *pyramid]:
            assert flow.dtype == np.float32 and np.isfinite(flow).all() and flow.any()
        assert outputs[key].shape == (2, *size, 2)
    expected = [(2, *level, c) for level, c in zip(levels, TINY["feature_widths"], strict=True)]
    assert [features.shape for features in outputs["features"]] == expected


def test_a_zoomed_network_estimates_on_a_finer_grid():
    images = pictures(20, 30)
    found = call(tiny(zoom=1.5), images)
    large = {key: np.asarray(resize(image, (30, 45))) for key, image in images.items()}
    expected = call(tiny(), large)
    for key in ("flow", "flow_previous"):
        assert_close(found[f"{key}_pyramid"], expected[f"{key}_pyramid"])
        refined = expected[f"{key}_pyramid"][-1]
        assert_close(found[key], np.asarray(resize_flow(refined, (20, 30), align_corners=True)))


@pytest.mark.parametrize("variant", [{}, {"residual": True, "border": "zero"}])
def test_time_run_backwards_exchanges_the_two_flows(variant):
    network, images = tiny(**variant), pictures(33, 50)
    there = call(network, images)
    back = call(network, numbered(*list(images.values())[::-1]))
    assert np.abs(there["flow"] - there["flow_previous"]).max() > 0.01
    for tail in ("", "_pyramid"):
        assert_close(there[f"flow{tail}"], back[f"flow_previous{tail}"])
        assert_close(there[f"flow_previous{tail}"], back[f"flow{tail}"])
    assert_close(there["features"], back["features"])


def test_two_frames_repeat_the_first(network):
    _, first, second, _ = pictures(33, 50, count=4).values()
    pair = {"image1": first, "image2": second}
    assert_close(call(network, pair), call(network, numbered(first, first, second)))


def test_backward_is_a_pass_around_the_second_image(network):
    images = pictures(33, 50, count=4)
    both = call(network, images, backward=True)
    assert both.keys() == KEYS | {"flow_backward", "flow_backward_pyramid"}
    assert_close({key: both[key] for key in KEYS}, call(network, images))
    second = call(network, numbered(*list(images.values())[1:]))
    assert_close(both["flow_backward"], second["flow_previous"])
    assert_close(both["flow_backward_pyramid"], second["flow_previous_pyramid"])


def test_backward_of_two_frames_is_the_call_with_swapped_images(network):
    first, second = pictures(33, 50, count=2).values()
    both = call(network, {"image1": first, "image2": second}, backward=True)
    back = call(network, {"image1": second, "image2": first})
    assert_close(both["flow_backward"], back["flow"])
    assert_close(both["flow_backward_pyramid"], back["flow_pyramid"])


def test_a_window_is_one_pass_around_each_inner_frame(network):
    images = list(pictures(33, 50, batch=2, count=5).values())
    flows = call(network, numbered(*images), window=True)
    names = {"flow12", "flow10", "flow23", "flow21", "flow34", "flow32"}
    assert flows.keys() == names | {f"{name}_pyramid" for name in names}
    for centre in (1, 2, 3):
        expected = call(network, numbered(*images[centre - 1 : centre + 2]))
        for key, other in (("flow", centre + 1), ("flow_previous", centre - 1)):
            assert_close(flows[f"flow{centre}{other}"], expected[key])
            assert_close(flows[f"flow{centre}{other}_pyramid"], expected[f"{key}_pyramid"])


def test_a_window_has_three_frames_and_no_gap(network):
    images = pictures(16, 16, count=5)
    assert {"flow12", "flow10"} < call(network, pictures(16, 16), window=True).keys()
    del images["image2"]
    with pytest.raises(ValueError, match="has images image0, image1, image3, image4, expected"):
        network(images, window=True)
    with pytest.raises(ValueError, match="at least these three"):
        network(pictures(16, 16, count=2), window=True)


@pytest.mark.tensorflow_only  # nothing of a backend is in it
@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        (5, {"window": True}, 10),
        (5, {}, 6),
        (4, {"backward": True}, 8),
        (2, {}, 4),
    ],
)
def test_features_are_computed_once_per_image(given, options, expected):
    network, batches = tiny(), []
    original = network.pyramid.call

    def counting(images):
        batches.append(images.shape[0])
        return original(images)

    network.pyramid.call = counting
    images = list(pictures(20, 20, batch=2, count=given).values())
    start = 1 if given == 2 else 0
    call(network, {f"image{i}": image for i, image in enumerate(images, start)}, **options)
    assert batches == [expected]  # one call, each image of the two examples in it once


def test_examples_of_a_batch_do_not_touch_one_another(network):
    images = pictures(17, 33, batch=2)
    alone = call(network, {name: image[1:] for name, image in images.items()}, backward=True)
    images["image1"][0, 6:11] = np.nan
    together = call(network, images, backward=True)
    assert np.isnan(together["features"][0][0]).any()
    for key in ("flow", "flow_previous", "flow_backward"):
        assert_close(together[key][1:], alone[key])


def test_parameters_of_each_part():
    network = build("selflow")
    assert network.count_params() == 4_790_876
    assert len(network.trainable_variables) == len(network.variables) == 98
    parts = [network.pyramid, *network.estimators, network.context]
    assert {part.name: part.count_params() for part in parts} == {
        "feature_extractor": 1_022_160,
        "estimator_level_6": 745_218,
        "estimator_level_5": 671_490,
        "estimator_level_4": 634_626,
        "estimator_level_3": 597_762,
        "estimator_level_2": 560_898,
        "context_network": 558_722,
    }
    small = build("selflow_small")
    assert small.residual and small.border == "zero" and small.frames == 3
    assert small.count_params() < 4_790_876 / 3


planted_network = functools.cache(tiny)


def planted(biases, **options):
    """Both flows when all heads are 0 but for these biases: {part name: (u, v)}."""
    network = planted_network(**options)
    for part in [*network.estimators, network.context]:
        kernel, bias = part.head.weights
        kernel.assign(np.zeros(kernel.shape))
        bias.assign(biases.get(part.name, (0, 0)))
    outputs = call(network, pictures(32, 48))
    return outputs["flow"], outputs["flow_previous"]


@pytest.mark.parametrize(
    ("residual", "expected"),
    # The authors' is the context network's output alone, the other the sum of all, enlarged.
    [(False, (4, 8)), (True, (16 + 8 + 4, -32 + 8))],
)
def test_what_counts_of_the_levels(residual, expected):
    biases = {
        "estimator_level_4": (1, -2),
        "estimator_level_2": (2, 0),
        "context_network": (1, 2),
    }
    for flow in planted(biases, residual=residual):
        np.testing.assert_allclose(flow, np.broadcast_to(expected, flow.shape), rtol=1e-5)


@pytest.mark.parametrize("residual", [False, True])
def test_gradients_reach_every_weight(residual):
    gradients = weight_gradients(
        tiny(residual=residual),
        pictures(64, 96),
        lambda outputs: sum(ops.sum(ops.square(f - 1)) for f in outputs["flow_pyramid"]),
    )
    assert len(gradients) == 2 * (8 + 3 * 3 + 4)
    for path, gradient in gradients.items():
        assert gradient is not None and np.isfinite(gradient).all() and gradient.any(), path


def test_standardised_images_have_mean_0_and_variance_1():
    images = np.random.default_rng(1).random((2, 9, 7, 3), "float32") * 0.2 + 0.3
    found = np.asarray(ops.convert_to_numpy(standardised(ops.convert_to_tensor(images))))
    wide = images.astype("float64")
    expected = (wide - wide.mean((1, 2), keepdims=True)) / np.sqrt(
        wide.var((1, 2), keepdims=True) + 1e-12
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # A channel without variance stays finite, though its rounding errors are scaled by 1e6.
    flat = standardised(ops.full((1, 9, 7, 3), 0.7))
    assert np.abs(ops.convert_to_numpy(flat)).max() < 1


def test_standardising_takes_each_frame_by_itself():
    """Another brightness of one frame and one contrast of a channel change nothing then."""
    network, images = tiny(standardise=True), pictures(33, 50)
    other = {**images, "image2": images["image2"] * np.float32([0.5, 1, 1]) + 0.25}
    assert_close(call(network, other), call(network, images), rtol=1e-3, atol=1e-3)
    plain = tiny()
    apart = np.abs(call(plain, other)["flow"] - call(plain, images)["flow"]).max()
    assert apart > 0.01


@pytest.mark.tensorflow_only
def test_one_graph_for_all_sizes(network):
    import tensorflow as tf

    traces = []
    spec = {f"image{i}": tf.TensorSpec([None, None, None, 3]) for i in range(4)}

    @tf.function(input_signature=[spec])
    def run(images):
        traces.append(1)
        return network(images, backward=True)

    for height, width, batch in [(17, 33, 1), (64, 50, 2)]:
        images = pictures(height, width, batch, count=4)
        found = keras.tree.map_structure(np.asarray, run(images))
        assert_close(found, call(network, images, backward=True))
    assert len(traces) == 1


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_save_and_reload(policy, tmp_path):
    network = tiny(dtype=policy, residual=True, border="zero", standardise=True, name="mine")
    images = pictures(32, 40)
    expected = call(network, images)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert again.get_config() == network.get_config() and again.name == "mine"
    assert again.dtype_policy.name == policy
    assert_close(call(again, images), expected, rtol=0, atol=0)
    network.save_weights(tmp_path / "network.weights.h5")
    fresh = SelFlowNet(**again.config, dtype=policy)
    fresh.build()
    fresh.load_weights(tmp_path / "network.weights.h5")
    assert_close(call(fresh, images), expected, rtol=0, atol=0)


def test_mixed_precision_stays_close(network):
    images = pictures(33, 50)
    exact = call(network, images)
    rough = call(tiny(dtype="mixed_bfloat16"), images)
    assert rough["features"][0].dtype != np.float32
    for key in ("flow", "flow_previous"):
        assert rough[key].dtype == np.float32
        pairs = zip(rough[f"{key}_pyramid"], exact[f"{key}_pyramid"], strict=True)
        for found, expected in pairs:
            assert found.dtype == np.float32
            # bfloat16 has 8 bits; single convolutions are that much off.
            assert np.abs(found - expected).mean() < 0.08 * np.abs(expected).mean()


@pytest.mark.tensorflow_only
def test_export(tmp_path):
    import tensorflow as tf

    from kcorr.export import export_flow

    network = tiny(feature_widths=(4, 5, 6), estimator_widths=(6,), context_widths=(6,))
    served = tf.saved_model.load(str(export_flow(network, tmp_path / "served"))).signatures
    images = {key: np.uint8(255 * image) for key, image in pictures(33, 50).items()}
    floats = {key: np.float32(image) / 255 for key, image in images.items()}
    expected = call(network, floats)
    found = served["three_frames"](**images)
    assert found.keys() == {"flow", "flow_previous"}
    for key, flow in found.items():
        np.testing.assert_allclose(np.asarray(flow), expected[key], atol=1e-4)
    pair = {key: floats[key] for key in ("image1", "image2")}
    found = served["serving_float"](**pair)["flow"]
    np.testing.assert_allclose(np.asarray(found), call(network, pair)["flow"], atol=1e-4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="image1 and image0 must have the"):
        served["three_frames"](**{**images, "image0": images["image0"][:, 1:]})


@pytest.mark.tensorflow_only
def test_it_learns_planted_shifts():
    """Two examples that move oppositely: only what is seen can tell them apart."""
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    network = SelFlowNet(
        feature_widths=(8, 12, 16, 16),
        estimator_widths=(24, 16),
        context_widths=(16, 16),
        radius=2,
        residual=True,
        border="zero",
    )
    network.build()
    texture = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    texture = np.asarray(ops.convert_to_numpy(ops.image.resize(texture, (64, 64))))
    shifts = np.array([[4, -2], [-4, 2]])

    def frame(time):
        moved = zip(texture, shifts * time, strict=True)
        return np.stack([np.roll(image, (dy, dx), (0, 1)) for image, (dx, dy) in moved])

    images = numbered(*[frame(time) for time in (-1, 0, 1)])
    target = tf.constant(shifts[:, None, None], tf.float32)
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(network.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = network(images, training=True)
            ahead = tf.reduce_mean(tf.abs(outputs["flow"] - target))
            behind = tf.reduce_mean(tf.abs(outputs["flow_previous"] + target))
            total = ahead + behind
        variables = network.trainable_variables
        gradients = tape.gradient(total, [one.value for one in variables])
        optimizer.apply(gradients, variables)
        return ahead, behind

    errors = [np.array(step()) for _ in range(80)]
    assert errors[0].min() > 2  # zero flow: 3
    assert np.mean(errors[-10:], axis=0).max() < 0.4
