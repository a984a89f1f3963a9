"""Networks of dense descriptors, and weights of VGG-16 from files of Keras."""

import functools

import h5py
import keras
import numpy as np
import pytest
from _calls import call, weight_gradients
from _numpy_networks import Weights
from keras import ops

from kcorr.models import SmallDescriptor, VggDescriptor

TINY = {
    "small": (SmallDescriptor, {"widths": (5, 4, 16)}),
    "vgg": (VggDescriptor, {}),
    "vgg with pool": (VggDescriptor, {"pool": True}),
}
EVERY = pytest.mark.parametrize("name", TINY)
BLUE_GREEN_RED = np.array([103.939, 116.779, 123.68])


def pictures(height=18, width=21, batch=1):
    return np.random.default_rng(0).random((batch, height, width, 3), "float32")


@functools.cache
def shared(name, policy="float32"):
    """A network with biases; tests leave it as it is."""
    keras.utils.set_random_seed(3)
    kind, config = TINY[name]
    network = kind(dtype=policy, **config)
    network.build()
    random = np.random.default_rng(5)
    for weight in network.weights:
        if len(weight.shape) == 1:
            weight.assign(random.normal(0, 0.1, weight.shape))
    return network


def features(network, images):
    return call(network, {"image": images})["features"]


def slow(name, image):
    """One picture in numpy, float64."""
    truth = Weights(shared(name))
    vgg = name.startswith("vgg")
    x = image[..., ::-1] * 255 - BLUE_GREEN_RED if vgg else 2 * image - 1
    layers = [weight.path.split("/")[1] for weight in shared(name).weights[::2]]
    for layer in layers:
        wide = name == "vgg with pool" and layer.startswith("block2")
        if wide and layer == "block2_conv1":
            x = np.pad(x, [(0, 1), (0, 1), (0, 0)], mode="edge")
            x = np.max([x[:-1, :-1], x[1:, :-1], x[:-1, 1:], x[1:, 1:]], 0)
        x = np.maximum(truth.convolve(x, layer, dilation=2 if wide else 1), 0)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-8)


@EVERY
def test_is_what_a_slow_truth_computes(name):
    images = pictures()
    found = features(shared(name), images)
    assert found.dtype == np.float32 and found.min() == 0
    np.testing.assert_allclose(found[0], slow(name, images[0].astype("float64")), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-5)


def test_parameters():
    """By hand: kernels 3 x 3 and biases."""
    for kind, widths, count in [
        (SmallDescriptor, (32, 32, 64, 64), 65_568),
        (VggDescriptor, (64, 64, 128, 128), 260_160),
    ]:
        inputs = (3, *widths[:-1])
        assert count == sum(9 * i * o + o for i, o in zip(inputs, widths, strict=True))
        with keras.StatelessScope(initialize_variables=False):
            network = kind()
            network.build()
            assert network.count_params() == count
            assert len(network.trainable_variables) == 8


@EVERY
def test_how_many_pixels_a_descriptor_sees(name):
    width, middle = 40, 20
    images = pictures(16, width).repeat(width + 1, 0)
    images[np.arange(width), :, np.arange(width)] += 20
    found = features(shared(name), images)[:, 8, middle]
    (seen,) = np.nonzero(np.abs(found[:-1] - found[-1]).max(-1) > 1e-7)
    reach = {"small": (3, 3), "vgg": (4, 4), "vgg with pool": (6, 7)}[name]
    assert (seen == np.arange(middle - reach[0], middle + reach[1] + 1)).all()


@EVERY
def test_gradients_reach_every_weight(name):
    target = np.random.default_rng(1).normal(size=(1, 16, 17, 1)).astype("float32")
    gradients = weight_gradients(
        shared(name),
        {"image": pictures(16, 17)},
        lambda outputs: ops.sum(outputs["features"] * target),
    )
    assert len(gradients) == len(shared(name).weights)
    for path, gradient in gradients.items():
        assert gradient is not None and np.isfinite(gradient).all() and gradient.any(), path


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_where_nothing_is_left_the_descriptor_is_0_and_learns_no_nan(policy):
    network = SmallDescriptor(widths=(4, 4), dtype=policy)
    network.build()
    network.weights[-1].assign(np.full(4, -1e4))
    images = {"image": pictures(16, 16)}
    np.testing.assert_array_equal(call(network, images)["features"], np.zeros((1, 16, 16, 4)))
    gradients = weight_gradients(network, images, lambda outputs: ops.sum(outputs["features"]))
    for path, gradient in gradients.items():
        assert np.isfinite(gradient).all(), path


@EVERY
def test_save_and_reload(name, tmp_path):
    network, images = shared(name, "mixed_bfloat16"), pictures()
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert again.get_config() == network.get_config()
    assert {layer.dtype_policy.name for layer in again.layers} == {"mixed_bfloat16"}
    np.testing.assert_array_equal(features(again, images), features(network, images))
    network.save_weights(tmp_path / "network.weights.h5")
    kind, config = TINY[name]
    fresh = kind(**config)
    fresh.build()
    fresh.load_weights(tmp_path / "network.weights.h5")
    for one, other in zip(fresh.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@EVERY
def test_mixed_precision_stays_close(name):
    images = pictures()
    exact, rough = (features(shared(name, p), images) for p in ("float32", "mixed_bfloat16"))
    assert rough.dtype == np.float32 and (rough != exact).any()
    assert np.abs(rough - exact).mean() < 0.03 * exact.mean()
    np.testing.assert_allclose(np.linalg.norm(rough, axis=-1), 1, atol=1e-5)


@pytest.mark.tensorflow_only
@EVERY
def test_one_graph_serves_all_sizes(name):
    import tensorflow as tf

    network = shared(name)
    graph = tf.function(network, input_signature=[{"image": tf.TensorSpec([None, None, None, 3])}])
    for images in (pictures(), pictures(16, 30, batch=2)):
        found = graph({"image": images})["features"]
        np.testing.assert_allclose(found, features(network, images), atol=1e-5)


@functools.cache
def published():
    """The network of Keras, with random weights and biases."""
    keras.utils.set_random_seed(7)
    network = keras.applications.VGG16(weights=None, include_top=False)
    for layer in network.layers:
        if layer.weights:
            layer.bias.assign(np.random.default_rng(len(layer.name)).normal(0, 3, layer.bias.shape))
    return network


def save(kind, path):
    network = published()
    if kind == "weights":
        network.save_weights(path)
    elif kind == "model":
        network.save(path)
    else:  # the layout of the files that Keras offers for download
        with h5py.File(path, "w") as file:
            for layer in network.layers:
                group = file.create_group(layer.name)
                for letter, weight in zip("Wb", layer.weights, strict=False):
                    group[f"{layer.name}_{letter}_1:0"] = ops.convert_to_numpy(weight)


@pytest.mark.parametrize(
    ("kind", "file"), [("weights", "a.weights.h5"), ("model", "b.h5"), ("download", "c.h5")]
)
def test_weights_of_keras_give_what_keras_gives(kind, file, tmp_path):
    save(kind, tmp_path / file)
    images = pictures(16, 20)
    prepared = keras.applications.vgg16.preprocess_input(images * 255.0)
    network = published()
    # Without the pooling: layer after layer.
    x = ops.convert_to_tensor(prepared)
    for layer in ("block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"):
        x = network.get_layer(layer)(x)
    ours = VggDescriptor(tmp_path / file)
    np.testing.assert_allclose(features(ours, images), unit(x), atol=1e-6)
    assert "weights" not in ours.get_config()
    # With it: every second descriptor, borders included.
    part = keras.Model(network.inputs[0], network.get_layer("block2_conv2").output)
    ours = VggDescriptor(str(tmp_path / file), pool=True)
    np.testing.assert_allclose(features(ours, images)[:, ::2, ::2], unit(part(prepared)), atol=1e-6)


def unit(x):
    x = ops.convert_to_numpy(x)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_files_that_hold_no_vgg(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.h5: no such file; expected weights of a VGG"):
        VggDescriptor(tmp_path / "no.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(ValueError, match=r"text\.h5: damaged, or not an HDF5 file"):
        VggDescriptor(tmp_path / "text.h5")
    shared("small").save_weights(tmp_path / "small.weights.h5")
    with pytest.raises(ValueError, match=r"one kernel each of the shapes \(3, 3, 3, 64\)"):
        VggDescriptor(tmp_path / "small.weights.h5")


def test_a_trained_networks_file_has_more_than_its_weights(tmp_path):
    """The optimizer's moments have the shapes of the kernels."""
    trained = VggDescriptor()
    trained.build()
    trained.compile(optimizer="adam")
    trained.optimizer.build(trained.trainable_variables)
    trained.save_weights(tmp_path / "trained.weights.h5")
    again = VggDescriptor(tmp_path / "trained.weights.h5")
    for one, other in zip(again.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"at least one width, each from 1, got \(\)"):
        SmallDescriptor(widths=())
    for shape in ((1, 15, 20, 3), (1, 20, 20, 1), (20, 20, 3)):
        with pytest.raises(ValueError, match=r"expected images \[b, h, w, 3\] of at least 16x16"):
            shared("small")({"image": np.zeros(shape, "float32")})
