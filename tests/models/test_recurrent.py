"""RecurrentFlowNet: sizes, directions, iterations, both correlations, saving, precision, learning.

Its parts have their truths in test_recurrent_blocks.py, the lookup in tests/ops/test_lookup.py.
"""

import keras
import numpy as np
import pytest
from _calls import call, weight_gradients
from _contract import KEYS, assert_close, pictures, swapped
from keras import ops

from kcorr.models import RecurrentFlowNet, build
from kcorr.models.recurrent import PLAIN, SEPARABLE

TINY = {
    "feature_widths": (4, 6, 8),
    "blocks": (0, 1, 1),
    "stem": 3,
    "channels": 8,
    "hidden": 8,
    "context": 4,
    "correlation_widths": (8,),
    "flow_widths": (4,),
    "motion": 8,
    "head": 8,
    "upsampling": 8,
    "kernels": PLAIN,
    "levels": 2,
    "radius": 1,
    "iterations": 2,
    "norm": "none",
    "features_norm": "instance",
    "shared_context": True,
}
# Everything that the full network has and the small one has not.
FULL = {
    "blocks": (1, 1, 1),
    "context_norm": "group",
    "correlation_widths": (8, 6),
    "feature_widths": (8, 8, 8),
    "kernels": SEPARABLE,
    "norm": "instance",
    "features_norm": "none",
    "shared_context": False,
}


def tiny(**options):
    keras.utils.set_random_seed(3)
    network = RecurrentFlowNet(**{**TINY, **options})
    network.build()
    return network


@pytest.fixture(scope="module")
def network():
    """For tests that leave it as it is."""
    return tiny()


@pytest.mark.parametrize("size, grid", [((64, 80), (8, 10)), ((67, 90), (9, 12))])
def test_any_size_gives_named_outputs(network, size, grid):
    outputs = call(network, pictures(*size, batch=2))
    assert outputs.keys() == KEYS
    assert outputs["flow"].shape == (2, *size, 2)
    assert [flow.shape for flow in outputs["flow_pyramid"]] == [(2, *grid, 2)] * 2
    features = [(2, grid[0] * scale, grid[1] * scale) for scale in (4, 2, 1)]
    assert [f.shape for f in outputs["features"]] == [
        (*shape, width) for shape, width in zip(features, TINY["feature_widths"], strict=True)
    ]
    for flow in [outputs["flow"], *outputs["flow_pyramid"]]:
        assert flow.dtype == np.float32 and np.isfinite(flow).all() and flow.any()


@pytest.mark.parametrize("options", [{}, FULL])
def test_backward_is_the_call_with_swapped_images(options):
    network, images = tiny(**options), pictures(64, 72)
    both = call(network, images, backward=True, sequence=True)
    there = call(network, images, sequence=True)
    back = call(network, swapped(images), sequence=True)
    forward = KEYS | {"flow_sequence"}
    backward = {"flow_backward", "flow_backward_pyramid", "flow_backward_sequence"}
    assert both.keys() == forward | backward
    assert_close({name: both[name] for name in forward}, there, rtol=1e-4, atol=1e-4)
    for name in backward:
        expected = back[name.replace("_backward", "")]
        assert_close(both[name], expected, rtol=1e-4, atol=1e-4)


def test_each_image_is_encoded_once():
    network, batches = tiny(), []
    original = network.pyramid.call

    def counting(images):
        batches.append(images.shape[0])
        return original(images)

    network.pyramid.call = counting
    call(network, pictures(64, 64, batch=3), backward=True)
    assert batches == [6]


def test_iterations_go_on_from_one_another(network):
    images = pictures(64, 72)
    three = call(network, images, iterations=3, sequence=True)
    assert len(three["flow_pyramid"]) == len(three["flow_sequence"]) == 3
    for count in (1, 2):
        fewer = call(network, images, iterations=count)
        assert_close(fewer["flow_pyramid"], three["flow_pyramid"][:count], rtol=1e-4, atol=1e-5)
        assert_close(fewer["flow"], three["flow_sequence"][count - 1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(three["flow"], three["flow_sequence"][-1])
    updates = np.diff([flow for flow in three["flow_pyramid"]], axis=0)
    assert (np.abs(updates).max((1, 2, 3, 4)) > 1e-3).all()


def test_examples_of_a_batch_do_not_touch_one_another():
    network, images = tiny(**FULL), pictures(64, 72, batch=2)
    alone = call(network, {name: image[1:] for name, image in images.items()})
    for image in images.values():
        image[0, 6:11] = np.nan
    together = call(network, images)
    assert np.isnan(together["features"][0][0]).any()
    assert_close(together["flow"][1:], alone["flow"], rtol=1e-3, atol=1e-4)


def test_parameters_of_each_part():
    network = build("recurrent")
    # RAFT has 5,257,536 (from memory), its batch normalisation's included.
    assert network.count_params() == 5_260_416
    parts = ["unit", "motion", "head", "upsampling"]
    found = {part: getattr(network, part).count_params() for part in parts}
    z_r_q = 3 * ((128 + 128 + 128) * 5 * 128 + 128)
    assert found == {
        "unit": 2 * z_r_q,
        "motion": (324 + 1) * 256 + (256 * 9 + 1) * 192 + 99 * 128 + 1153 * 64 + 2305 * 126,
        "head": (128 * 9 + 1) * 256 + (256 * 9 + 1) * 2,
        "upsampling": (128 * 9 + 1) * 256 + 257 * 576,
    }
    assert build("recurrent_small").count_params() == 1_059_952


@pytest.mark.parametrize("options", [{}, FULL])
def test_gradients_reach_every_weight(options):
    gradients = weight_gradients(
        tiny(**options),
        pictures(64, 72),
        lambda outputs: sum(ops.sum(ops.square(f - 1)) for f in outputs["flow_sequence"]),
        sequence=True,
    )
    for path, gradient in gradients.items():
        # In front of instance normalisation a bias does nothing: it is subtracted again.
        normalised = "/encoder/" if options else "/features/"
        nothing = path.endswith("convolution/bias") and normalised in path
        assert gradient is not None and np.isfinite(gradient).all(), path
        assert nothing or gradient.any(), path


def test_on_demand_gives_the_same_flow_and_gradients():
    images = pictures(64, 88, batch=2)
    found = {}
    for correlation in ("all_pairs", "on_demand"):
        network = tiny(correlation=correlation, levels=2, radius=1)
        gradients = weight_gradients(
            network, images, lambda outputs: ops.sum(ops.square(outputs["flow"] - 1)) / 1e3
        )
        found[correlation] = call(network, images), gradients
    (outputs, gradients), (others, other_gradients) = found.values()
    assert_close(outputs, others, rtol=1e-4, atol=1e-4)
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    assert largest > 0.1
    assert_close(gradients, other_gradients, rtol=1e-4, atol=1e-4 * largest)


@pytest.mark.tensorflow_only
def test_one_graph_for_all_sizes(network):
    import tensorflow as tf

    traces = []
    spec = tf.TensorSpec([None, None, None, 3])

    @tf.function(input_signature=[{"image1": spec, "image2": spec}])
    def run(images):
        traces.append(1)
        return network(images, backward=True, sequence=True)

    for height, width, batch in [(64, 64, 2), (65, 73, 1)]:
        images = pictures(height, width, batch)
        found = keras.tree.map_structure(np.asarray, run(images))
        expected = call(network, images, backward=True, sequence=True)
        assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert len(traces) == 1


def every_layer(network):
    return list(network._flatten_layers(include_self=False))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_save_and_reload(policy, tmp_path):
    network = tiny(**FULL, dtype=policy, name="mine")
    images = pictures(64, 64)
    expected = call(network, images)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert again.get_config() == network.get_config() and again.name == "mine"
    # Children made under the global policy would compute in float32 here; only the head should.
    assert len(every_layer(again)) > 30
    for layer in every_layer(again):
        right = "float32" if layer is again.head.head else policy
        assert layer.dtype_policy.name == right, layer.path
    assert_close(call(again, images), expected, rtol=0, atol=0)


def test_weights_reload_into_a_fresh_network(network, tmp_path):
    images = pictures(64, 64)
    network.save_weights(tmp_path / "network.weights.h5")
    keras.utils.set_random_seed(99)
    again = RecurrentFlowNet(**{**TINY, "correlation": "on_demand"})
    again.build()
    assert not np.allclose(again.weights[0], network.weights[0])
    again.load_weights(tmp_path / "network.weights.h5")
    assert_close(call(again, images), call(network, images), rtol=1e-4, atol=1e-4)


def test_mixed_precision_stays_close(network):
    images = pictures(64, 96)
    exact = call(network, images)
    rough = call(tiny(dtype="mixed_bfloat16"), images)
    assert rough["features"][0].dtype != np.float32
    for found, expected in zip(
        [rough["flow"], *rough["flow_pyramid"]],
        [exact["flow"], *exact["flow_pyramid"]],
        strict=True,
    ):
        assert found.dtype == np.float32
        assert np.abs(found - expected).mean() < 0.1 * np.abs(expected).mean()


@pytest.mark.tensorflow_only
def test_exported(tmp_path):
    import tensorflow as tf

    from kcorr.export import export_flow

    network = tiny(iterations=1, levels=1)
    served = tf.saved_model.load(str(export_flow(network, tmp_path / "recurrent")))
    images = pictures(70, 64)
    found = served.signatures["serving_float"](**{k: tf.constant(v) for k, v in images.items()})
    assert_close(found["flow"].numpy(), call(network, images)["flow"], rtol=1e-4, atol=1e-4)
    picture = tf.constant(np.uint8(255 * images["image1"]))
    levels = served.signatures["features"](image=picture)
    again = {"image1": np.float32(picture) / 255, "image2": images["image2"]}
    expected = call(network, again)["features"]
    assert_close([levels[f"level_{i}"].numpy() for i in (1, 2, 3)], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.tensorflow_only
def test_learns_a_planted_shift():
    import tensorflow as tf

    from kcorr.objectives import FusedAdam, SupervisedFlow

    texture = tf.image.resize(np.random.default_rng(0).random((1, 20, 20, 3)), (80, 80)).numpy()
    batch = {
        "image1": texture[:, 8:72, 8:72],
        "image2": texture[:, 5:69, 2:66],  # what was at (x, y) is at (x + 6, y + 3)
        "flow": np.broadcast_to(np.float32([6, 3]), (1, 64, 64, 2)),
        "valid": np.ones((1, 64, 64, 1), "float32"),
    }
    network = tiny(hidden=16, channels=16, feature_widths=(8, 12, 16), radius=2)
    objective = SupervisedFlow(network, gamma=0.8, clip_norm=1.0)
    objective.compile(FusedAdam(3e-3))
    data = tf.data.Dataset.from_tensors(batch).repeat(120)
    objective.fit(data, epochs=1, verbose=0, shuffle=False)
    error = np.linalg.norm(call(network, batch)["flow"] - batch["flow"], axis=-1)
    assert error.mean() < 1.0  # standing still: 6.7


def test_the_number_of_iterations_may_be_an_integer_of_numpy():
    assert type(tiny(iterations=np.int32(3)).get_config()["iterations"]) is int


@pytest.mark.parametrize("iterations", [0, -1, 2.0])
def test_bad_iterations(network, iterations):
    with pytest.raises(ValueError, match="iterations must be a whole number from 1"):
        network(pictures(64, 64), iterations=iterations)
    with pytest.raises(ValueError, match="iterations must be a whole number from 1"):
        RecurrentFlowNet(**{**TINY, "iterations": iterations})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"norm": "batch"}, "norm must be one of none, instance, group, got 'batch'"),
        ({"blocks": (1, 0, 1)}, "need three widths"),
        ({"correlation": "some"}, "correlation must be one of all_pairs, on_demand, got 'some'"),
    ],
)
def test_bad_configuration(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)
