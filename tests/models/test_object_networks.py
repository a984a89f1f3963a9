"""Networks of one picture: object frames, landmarks, hourglass."""

import functools

import keras
import numpy as np
import pytest
from _calls import call, weight_gradients
from _contract import parameters
from _numpy_networks import Weights
from keras import ops

from kcorr.models import HourglassNet, LandmarkNet, ObjectFrameNet, build
from kcorr.models.trunk import DEVIATION, DILATIONS, MEAN

TINY_TRUNK = {"kernels": (5, 3, 3), "widths": (5, 6, 7), "dilations": (1, 2, 1)}
TINY = {
    ObjectFrameNet: {**TINY_TRUNK, "dimensions": 4},
    LandmarkNet: {**TINY_TRUNK, "landmarks": 3},
    HourglassNet: {"dimensions": 4, "width": 8, "depth": 2, "blocks": 1},
}
KINDS = pytest.mark.parametrize("kind", TINY, ids=lambda kind: kind.__name__)
SIZE = (22, 27)


def pictures(height, width, batch=1, seed=0):
    return np.random.default_rng(seed).random((batch, height, width, 3), "float32")


def make(kind, **options):
    """A network with weights that no layer leaves at 0 or 1."""
    keras.utils.set_random_seed(3)
    network = kind(**{**TINY[kind], **options})
    network.build()
    random = np.random.default_rng(5)
    for weight in network.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif len(weight.shape) == 1:
            weight.assign(random.normal(0, 0.1, weight.shape))
    return network


@functools.cache
def shared(kind, policy="float32"):
    return make(kind, dtype=policy, picture_size=70)


class Truth(Weights):
    """The networks in numpy, float64, of one picture."""

    def normalise(self, x, name):
        gamma, beta, mean, variance = (
            self.values[f"{name}/{key}"]
            for key in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    def trunk(self, image, dilations, slope):
        x = (image - np.array(MEAN)) / np.array(DEVIATION)
        for i, dilation in enumerate(dilations, start=1):
            x = self.normalise(
                self.convolve(x, f"trunk/conv{i}", dilation=dilation), f"trunk/norm{i}"
            )
            x = np.where(x > 0, x, slope * x)
            if i == 1:
                x = pooled(x)
        return self.convolve(x, "head")

    def bottleneck(self, x, name):
        skip = x
        if f"{name}/projection/kernel" in self.values:
            skip = self.convolve(x, f"{name}/projection")
        for i in (1, 2, 3):
            x = np.maximum(self.normalise(x, f"{name}/norm{i}"), 0)
            x = self.convolve(x, f"{name}/conv{i}")
        return skip + x

    def level(self, x, name, level, depth):
        if level > depth:
            return self.bottleneck(x, f"{name}/bottom_1")
        skip = self.bottleneck(x, f"{name}/skip{level}_1")
        height, width = skip.shape[:2]
        # An odd side's last pixel is alone in its cell.
        low = pooled(np.pad(skip, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge"))
        low = self.level(self.bottleneck(low, f"{name}/down{level}_1"), name, level + 1, depth)
        low = self.bottleneck(low, f"{name}/up{level}_1")
        return skip + low.repeat(2, 0).repeat(2, 1)[:height, :width]

    def hourglass(self, image, depth, stacks):
        height, width = (side // 2 * 2 for side in image.shape[:2])
        x = ((image - np.array(MEAN)) / np.array(DEVIATION))[:height, :width]
        x = self.convolve(x, "stem")[::2, ::2]  # "same" pads 3 on all sides
        x = np.maximum(self.normalise(x, "stem_norm"), 0)
        for i in (1, 2, 3):
            x = self.bottleneck(x, f"entry{i}")
        for i in range(1, stacks + 1):
            x = self.level(x, f"hourglass{i}", 1, depth)
        x = self.convolve(self.bottleneck(x, "exit1"), "mix")
        return self.convolve(np.maximum(self.normalise(x, "mix_norm"), 0), "head")


def pooled(x):
    height, width = (side // 2 * 2 for side in x.shape[:2])
    x = x[:height, :width]
    return x.reshape(height // 2, 2, width // 2, 2, -1).max((1, 3))


def test_object_frame_is_what_a_slow_truth_computes():
    image = pictures(*SIZE)
    labels = call(shared(ObjectFrameNet), {"image": image})["labels"]
    expected = Truth(shared(ObjectFrameNet)).trunk(image[0], (1, 2, 1), 0.2)
    assert labels.shape == (1, 11, 13, 4) and np.abs(expected).mean() > 0.1
    np.testing.assert_allclose(labels[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("last", [False, True])
def test_landmarks_are_what_a_slow_truth_computes(last):
    image = pictures(*SIZE)
    network = make(LandmarkNet, last_activation=last)
    found = call(network, {"image": image})
    truth = Truth(network)
    logits = truth.trunk(image[0], (1, 2, 1), 0.0)
    if last:
        logits = np.maximum(truth.normalise(logits, "head_norm"), 0)
    np.testing.assert_allclose(found["heatmaps"][0], logits, rtol=1e-4, atol=1e-4)
    mass = np.exp(logits) / np.exp(logits).sum((0, 1))
    np.testing.assert_allclose(found["probabilities"][0], mass, rtol=1e-3)
    y, x = np.mgrid[:11, :13] * 2 + 0.5  # cell 0 is pixels 0 and 1
    points = [[(mass[..., k] * axis).sum() for axis in (x, y)] for k in range(3)]
    np.testing.assert_allclose(found["points"][0], points, rtol=1e-4)


def test_hourglass_is_what_a_slow_truth_computes():
    image = pictures(26, 21)  # 13x10, 7x5, 4x3 cells
    network = make(HourglassNet, stacks=2)
    labels = call(network, {"image": image})["labels"]
    expected = Truth(network).hourglass(image[0], 2, 2)
    assert labels.shape == (1, 13, 10, 4) and np.abs(expected).mean() > 0.1
    np.testing.assert_allclose(labels[0], expected, rtol=1e-3, atol=1e-3)


def test_parameters():
    """Exact: those of the released code, which counts what learns."""
    counts = {3: 334_875, 16: 338_216, 32: 342_328, 64: 350_552}
    for dimensions, count in counts.items():
        assert learnt("object_frame", dimensions=dimensions) == count
    assert learnt("hourglass", dimensions=16) == 12_597_136
    assert learnt("hourglass", dimensions=64) == learnt("hourglass") == 12_609_472
    # Kernels, biases and two numbers a channel of the normalisation, by hand.
    trunk = [(5, 3, 20), (5, 20, 48), (3, 48, 64), (3, 64, 80), (3, 80, 256)]
    simple = sum(k * k * i * o + 3 * o for k, i, o in trunk)
    assert learnt("object_frame_simple") == simple + 256 * 3 + 3
    assert learnt("landmarks", landmarks=30) == simple + 256 * 30 + 30
    assert parameters("object_frame") == 334_875 + 2 * (20 + 48 + 64 + 80 + 256)
    assert learnt("hourglass_small") == 193_696
    with pytest.raises(ValueError, match=r"unknown network 'objects'; known are .*object_frame"):
        build("objects")


def learnt(name, **options):
    with keras.StatelessScope(initialize_variables=False):
        weights = build(name, **options).trainable_variables
        return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.parametrize(("name", "pixels"), [("object_frame", 54), ("object_frame_simple", 26)])
def test_how_many_pixels_a_label_sees(name, pixels):
    """One picture for each column that is changed; all columns that a cell sees must reach it."""
    keras.utils.set_random_seed(0)
    network, width = build(name), 72
    images = pictures(16, width).repeat(width + 1, 0)
    images[np.arange(width), :, np.arange(width)] += 20
    labels = call(network, {"image": images})["labels"]
    changed = np.abs(labels[:-1] - labels[-1]).max((1, 3))[:, width // 4]
    (seen,) = np.nonzero(changed > 1e-6)
    assert len(seen) == pixels and np.ptp(seen) == pixels - 1
    assert seen.mean() == 2 * (width // 4) + 0.5  # as many on the left as on the right


def test_mirrored_kernels_make_mirrored_landmarks():
    """On an even width x becomes w - 1 - x, exactly."""
    network = make(LandmarkNet)
    for weight in network.weights:
        if len(weight.shape) == 4:
            weight.assign((weight + ops.flip(weight, 1)) / 2)
    image = pictures(20, 26)
    there = call(network, {"image": image})["points"]
    back = call(network, {"image": image[:, :, ::-1].copy()})["points"]
    np.testing.assert_allclose(back[..., 0], 25 - there[..., 0], atol=1e-3)
    np.testing.assert_allclose(back[..., 1], there[..., 1], atol=1e-3)


@KINDS
def test_the_smallest_size_and_what_is_no_picture(kind):
    network = shared(kind)
    outputs = call(network, {"image": pictures(16, 17, batch=2)})
    for value in outputs.values():
        assert value.dtype == np.float32 and np.isfinite(value).all() and len(value) == 2
    for shape in ((1, 15, 20, 3), (1, 20, 20, 1), (20, 20, 3)):
        with pytest.raises(ValueError, match=r"\[b, h, w, 3\] of at least 16x16"):
            network({"image": np.zeros(shape, "float32")})


@KINDS
def test_examples_touch_one_another_only_while_training(kind):
    network = make(kind)
    images = pictures(*SIZE, batch=2)
    alone, together = (call(network, {"image": x}) for x in (images[:1], images))
    for key, value in alone.items():
        np.testing.assert_allclose(together[key][:1], value, rtol=1e-4, atol=1e-5)


@pytest.mark.tensorflow_only
@KINDS
def test_training_moves_the_running_means_and_uses_the_batchs(kind):
    network = make(kind)
    before = [ops.convert_to_numpy(weight) for weight in network.non_trainable_variables]
    images = pictures(*SIZE, batch=3)
    still = call(network, {"image": images})
    same = [ops.convert_to_numpy(weight) for weight in network.non_trainable_variables]
    assert all(map(np.array_equal, before, same))
    trained = call(network, {"image": images}, training=True)
    key = next(iter(still))
    assert np.abs(trained[key] - still[key]).mean() > 0.01
    after = [ops.convert_to_numpy(weight) for weight in network.non_trainable_variables]
    assert all((new != old).any() for new, old in zip(after, before, strict=True))


@KINDS
def test_gradients_reach_every_weight(kind):
    network = make(kind)
    images = {"image": pictures(*SIZE, batch=2)}
    random = np.random.default_rng(0)

    def total(outputs):
        value = outputs["labels" if "labels" in outputs else "heatmaps"]
        return ops.sum(value * random.random(value.shape, "float32"))

    gradients = weight_gradients(network, images, total, training=True)
    assert len(gradients) == len(network.trainable_variables)
    for path, gradient in gradients.items():
        assert gradient is not None and np.isfinite(gradient).all(), path
        before_a_norm = path.endswith("bias") and "head" not in path
        assert before_a_norm or gradient.any(), path


@KINDS
def test_save_and_reload(kind, tmp_path):
    network, images = shared(kind, "mixed_bfloat16"), {"image": pictures(*SIZE)}
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert again.get_config() == network.get_config() and again.picture_size == 70
    for layer in again._flatten_layers(include_self=False):
        right = "float32" if "head" in layer.name else "mixed_bfloat16"
        assert layer.dtype_policy.name == right, layer.path
    expected = call(network, images)
    for key, value in call(again, images).items():
        np.testing.assert_array_equal(value, expected[key])
    network.save_weights(tmp_path / "network.weights.h5")
    fresh = kind(**TINY[kind])
    fresh.build()
    fresh.load_weights(tmp_path / "network.weights.h5")
    for one, other in zip(fresh.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@KINDS
def test_mixed_precision_stays_close(kind):
    images = {"image": pictures(*SIZE)}
    exact, rough = call(shared(kind), images), call(shared(kind, "mixed_bfloat16"), images)
    for key, value in exact.items():
        assert rough[key].dtype == np.float32 and (rough[key] != value).any()
        assert np.abs(rough[key] - value).mean() < 0.05 * np.abs(value).mean() + 1e-3


@pytest.mark.tensorflow_only
@KINDS
def test_one_graph_serves_all_sizes(kind):
    import tensorflow as tf

    network = shared(kind)
    graph = tf.function(network, input_signature=[{"image": tf.TensorSpec([None, None, None, 3])}])
    for size, batch in [(SIZE, 1), ((33, 40), 2)]:
        images = pictures(*size, batch=batch)
        expected = call(network, {"image": images})
        for key, value in graph({"image": images}).items():
            np.testing.assert_allclose(value, expected[key], rtol=1e-3, atol=1e-4)


def test_group_normalisation_has_no_running_means():
    network = HourglassNet(dimensions=3, width=32, depth=1, blocks=1, normalisation="group")
    network.build()
    assert not network.non_trainable_variables
    images = {"image": pictures(16, 16, batch=2)}
    np.testing.assert_allclose(
        call(network, images)["labels"], call(network, images, training=True)["labels"], atol=1e-5
    )


def test_what_is_refused():
    with pytest.raises(ValueError, match="at least 2 dimensions, got 1"):
        ObjectFrameNet(1)
    with pytest.raises(ValueError, match="at least 1 landmark, got 0"):
        LandmarkNet(0)
    with pytest.raises(ValueError, match="as many kernels and dilations as widths"):
        ObjectFrameNet(widths=DILATIONS[1][:-1])
    with pytest.raises(ValueError, match="normalisation must be one of batch, group, got 'layer'"):
        HourglassNet(normalisation="layer")
    for kind, size in zip(TINY, (15, 20.5, -32), strict=True):
        with pytest.raises(ValueError, match=f"None or a whole number from 16, got {size}"):
            kind(picture_size=size)
