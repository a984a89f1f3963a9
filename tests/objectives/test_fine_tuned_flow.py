"""Fine-tuning's endpoint error against a slow truth, on sparse ground truth and three frames."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from _planted import PixelReader, marked

from kcorr.objectives import FineTunedFlow

pytestmark = pytest.mark.tensorflow_only

SIZE = (12, 16)


def labelled(share):
    random = np.random.default_rng(0)
    images = [np.concatenate([image] * 2) for image in marked(SIZE, [(1, 1), (3, 1), (6, 2)])]
    batch = {f"image{i}": image for i, image in enumerate(images)}
    batch["flow"] = random.normal(0, 4, (2, *SIZE, 2)).astype("float32")
    batch["valid"] = (random.random((2, *SIZE, 1)) < share).astype("float32")
    return batch


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_only_known_pixels_at_full_resolution_count(share):
    batch = labelled(share)
    batch["flow"][batch["valid"][..., 0] == 0] = np.nan
    terms = FineTunedFlow(PixelReader()).terms(batch, training=True)
    expected = []
    for flow, valid in zip(batch["flow"], batch["valid"][..., 0], strict=True):
        errors = [np.hypot(*(flow[y, x] - [3, 1])) for y, x in np.argwhere(valid > 0)]
        expected.append(np.mean(errors))
    assert terms.keys() == {"endpoint"}
    np.testing.assert_allclose(terms["endpoint"], expected, rtol=1e-5)


def test_a_network_of_three_frames_sees_the_frame_before():
    network = PixelReader(frames=3)
    FineTunedFlow(network).terms(labelled(1.0), training=True)
    assert network.asked == [["image0", "image1", "image2"]]


def test_training_moves_towards_the_truth_and_measures_it():
    batch = {key: tf.constant(value) for key, value in labelled(0.3).items()}
    batch["flow"] = tf.zeros_like(batch["flow"]) + tf.constant([5.0, 1.0])
    network = PixelReader()
    objective = FineTunedFlow(network)
    objective.build()
    objective.compile(keras.optimizers.SGD(0.5))
    objective.build_optimizer()
    losses = [float(objective.train_step(batch)["endpoint"]) for _ in range(3)]
    assert losses[0] == pytest.approx(2.0, abs=1e-4) and losses[2] < losses[0]
    assert network.shift[0] > 0.9 and abs(network.shift[1]) < 1e-3
    observed = objective.observe(batch)
    np.testing.assert_allclose(observed["epe"], [2.0 - float(network.shift[0])] * 2, atol=1e-3)
