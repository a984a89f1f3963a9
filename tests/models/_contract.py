"""What every flow network of two frames promises, as tests that a network's test class inherits."""

import functools
from types import MappingProxyType

import keras
import numpy as np
import pytest
from _calls import call, weight_gradients
from keras import ops

from kcorr.models import build

KEYS = {"flow", "flow_pyramid", "features"}
SIZE = (65, 84)  # no multiple of anything that the networks care about
SMALLEST = (16, 17)
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


def pictures(height, width, batch=1, seed=0):
    random = np.random.default_rng(seed)
    shape = (batch, height, width, 3)
    return {name: random.random(shape, "float32") for name in ("image1", "image2")}


def swapped(images):
    return {"image1": images["image2"], "image2": images["image1"]}


def assert_close(found, expected, **tolerance):
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, **(tolerance or CLOSE)), found, expected
    )


def parameters(name, **options):
    """How many parameters a network has; no memory is taken for them."""
    with keras.StatelessScope(initialize_variables=False):
        return build(name, **options).count_params()


class Contract:
    """Subclasses say which network; all that they inherit is run for it.

    `network` is the class, `config` a tiny configuration, `truth` the slow numpy network,
    `pyramid_sizes` and `feature_sizes` the sizes (h, w) of the outputs for images of `SIZE`.
    `learner` changes the configuration for the test that learns.
    """

    learner = MappingProxyType({})

    def make(self, **options):
        """A network of one's own, always with the same weights; biases are not 0."""
        keras.utils.set_random_seed(3)
        network = self.network(**{**self.config, **options})
        network.build()
        random = np.random.default_rng(5)
        for weight in network.weights:
            if len(weight.shape) == 1:
                weight.assign(random.normal(0, 0.05, weight.shape))
        return network

    @property
    def shared(self):
        """For tests that leave it as it is."""
        return _shared(type(self), "float32")

    @property
    def mixed(self):
        """The same under mixed precision."""
        return _shared(type(self), "mixed_bfloat16")

    def test_it_is_what_a_slow_truth_computes(self):
        images = pictures(*SIZE)
        outputs = call(self.shared, images, backward=True)
        expected = self.truth(self.shared, images["image1"][0], images["image2"][0])
        found = [flow[0] for flow in [*outputs["flow_pyramid"], outputs["flow"]]]
        assert np.abs(expected[-1]).mean() > 0.1
        assert_close(found, expected)

    def test_outputs_are_named_and_sized(self):
        outputs = call(self.shared, pictures(*SIZE), backward=True)
        assert outputs.keys() == KEYS | {"flow_backward", "flow_backward_pyramid"}
        for way in ("flow", "flow_backward"):
            assert outputs[way].shape == (1, *SIZE, 2)
            found = [flow.shape for flow in outputs[f"{way}_pyramid"]]
            assert found == [(1, *size, 2) for size in self.pyramid_sizes]
            for flow in [outputs[way], *outputs[f"{way}_pyramid"]]:
                assert flow.dtype == np.float32 and np.isfinite(flow).all() and flow.any()
        assert [f.shape[:3] for f in outputs["features"]] == [(1, *s) for s in self.feature_sizes]

    def test_backward_is_the_call_with_swapped_images(self):
        images = pictures(*SMALLEST, batch=2)
        both = call(self.shared, images, backward=True)
        back = call(self.shared, swapped(images))
        assert both["flow"].shape == (2, *SMALLEST, 2) and back.keys() == KEYS
        assert_close(both["flow_backward"], back["flow"])
        assert_close(both["flow_backward_pyramid"], back["flow_pyramid"])
        again = call(self.shared, swapped(images), backward=True)
        assert_close(again["flow_backward"], both["flow"])
        assert_close(again["features"], back["features"])
        assert np.abs(both["flow"] - both["flow_backward"]).mean() > 1e-3

    def test_examples_of_a_batch_do_not_touch_one_another(self):
        images = pictures(*SMALLEST, batch=2)
        expected = call(self.shared, images, backward=True)
        for image in images.values():
            image[0, 6:11] = np.nan
        found = call(self.shared, images, backward=True)
        assert np.isnan(found["features"][0][0]).any()
        for way in ("flow", "flow_backward"):
            assert_close(found[way][1:], expected[way][1:])

    @pytest.mark.tensorflow_only
    def test_each_image_is_encoded_once(self):
        network, batches = self.make(), []
        original = network.encode

        def counting(images):
            batches.append(images.shape[0])
            return original(images)

        network.encode = counting
        network(pictures(*SMALLEST, batch=3), backward=True)
        assert batches == [6]

    def test_gradients_reach_every_weight(self):
        network = self.make()
        gradients = weight_gradients(
            network,
            pictures(64, 64, batch=2),
            lambda outputs: sum(ops.sum(ops.square(f - 1)) for f in outputs["flow_pyramid"]),
        )
        assert len(gradients) == len(network.weights) == len(network.trainable_variables)
        for path, gradient in gradients.items():
            assert gradient is not None and np.isfinite(gradient).all() and gradient.any(), path

    def test_save_and_reload(self, tmp_path):
        network, images = self.mixed, pictures(*SIZE)
        network.save(tmp_path / "network.keras")
        again = keras.saving.load_model(tmp_path / "network.keras")
        assert again.get_config() == network.get_config() and again.name == network.name
        # A layer made under the global policy would compute in float32 here; only what ends in a
        # flow should.
        for layer in again._flatten_layers(include_self=False):
            makes_flow = getattr(layer, "filters", 0) == 2 and "up_features" not in layer.path
            right = "float32" if makes_flow else "mixed_bfloat16"
            assert layer.dtype_policy.name == right, layer.path
        assert_close(call(again, images), call(network, images), rtol=0, atol=0)
        network.save_weights(tmp_path / "network.weights.h5")
        keras.utils.set_random_seed(99)
        fresh = self.network(**self.config)
        fresh.build()
        fresh.load_weights(tmp_path / "network.weights.h5")
        assert_close(fresh.get_weights(), network.get_weights(), rtol=0, atol=0)

    def test_mixed_precision_stays_close(self):
        images = pictures(*SIZE)
        exact, rough = call(self.shared, images, backward=True), call(self.mixed, images)
        assert rough["flow"].dtype == np.float32
        for found, expected in zip(rough["flow_pyramid"], exact["flow_pyramid"], strict=True):
            assert found.dtype == np.float32 and (found != expected).any()
            assert np.abs(found - expected).mean() < 0.05 * np.abs(expected).mean()

    @pytest.mark.tensorflow_only
    def test_one_exported_graph_serves_all_sizes(self, tmp_path):
        import tensorflow as tf

        from kcorr.export import export_flow

        network = self.shared
        served = tf.saved_model.load(str(export_flow(network, tmp_path / "mine"))).signatures
        single = {"features"} if hasattr(network, "pyramid") else set()
        both = {"serving_default", "serving_float", "flow_and_occlusion"}
        assert set(served) == both | single
        for size, batch in [(SIZE, 1), ((40, 64), 2)]:
            images = {
                name: np.uint8(255 * image) for name, image in pictures(*size, batch=batch).items()
            }
            answer = served["flow_and_occlusion"](**{k: tf.constant(v) for k, v in images.items()})
            expected = network({k: np.float32(v) / 255 for k, v in images.items()}, backward=True)
            for way in ("flow", "flow_backward"):
                assert_close(np.asarray(answer[way]), np.asarray(expected[way]))

    @pytest.mark.tensorflow_only
    def test_it_learns_two_opposite_shifts(self):
        """From one pair of pictures and its mirror motion: a constant flow would miss both."""
        import tensorflow as tf

        from kcorr.losses import endpoint_error, pyramid_endpoint_error

        images, flow = shifted_pictures(np.array([[8, -8], [-8, 8]], "float32"))
        network = self.make(**self.learner)
        optimizer = keras.optimizers.Adam(self.learning_rate)
        optimizer.build(network.trainable_variables)

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                outputs = network(images)
                levels = [*outputs["flow_pyramid"], outputs["flow"]]
                loss = tf.reduce_mean(pyramid_endpoint_error(levels, flow))
            variables = [weight.value for weight in network.trainable_variables]
            optimizer.apply(tape.gradient(loss, variables), network.trainable_variables)
            return tf.reduce_mean(endpoint_error(outputs["flow"], flow))

        errors = [float(step()) for _ in range(self.steps)]
        assert errors[-1] < 0.25 * np.sqrt(128), errors[::10]


@functools.cache  # one of each, so that calls with pictures of one size share a compilation
def _shared(kind, policy):
    return kind().make(dtype=policy, name="mine")


def shifted_pictures(shifts):
    """A smooth random picture and its copies moved by `shifts` [b, 2], and the flow."""
    coarse = np.random.default_rng(1).random((24, 24, 3))
    picture = coarse.repeat(4, 0).repeat(4, 1)
    for axis in (0, 1):
        picture = (picture + np.roll(picture, 1, axis) + np.roll(picture, 2, axis)) / 3
    cut = slice(16, 80)
    image1 = np.stack([picture[cut, cut] for _ in shifts])
    moved = [np.roll(picture, (int(dy), int(dx)), (0, 1))[cut, cut] for dx, dy in shifts]
    flow = np.broadcast_to(shifts[:, None, None], (len(shifts), 64, 64, 2))
    return {"image1": np.float32(image1), "image2": np.float32(np.stack(moved))}, np.float32(flow)
