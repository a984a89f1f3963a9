"""Deep matching learns: its terms by hand, what counts, and a planted flaw that is mended."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kcorr.losses import structured_hinge
from kcorr.models import DeepMatching, SmallDescriptor
from kcorr.objectives import DeepMatchingObjective


def textured(rng, height, width):
    coarse = rng.integers(0, 255, (height // 4, width // 4, 3), "uint8")
    return np.asarray(Image.fromarray(coarse).resize((width, height), 3), "float32") / 255


def shifted_pairs(count, seed):
    """Pairs moved by whole pixels; blue is of another picture in each."""
    rng, pairs = np.random.default_rng(seed), []
    for _ in range(count):
        big, (x, y) = textured(rng, 64, 64), rng.integers(-6, 7, 2)
        first, second = big[8:56, 8:56], big[8 - y : 56 - y, 8 - x : 56 - x]
        first, second = (
            np.concatenate([image[..., :2], textured(rng, 48, 48)[..., 2:]], axis=-1)
            for image in (first, second)
        )
        flow = np.broadcast_to(np.float32([x, y]), (48, 48, 2))
        pairs.append((first, second, flow, np.ones((48, 48, 1), "float32")))
    arrays = (np.stack(column) for column in zip(*pairs, strict=True))
    return dict(zip(("image1", "image2", "flow", "valid"), arrays, strict=True))


def objective(**options):
    keras.utils.set_random_seed(1)
    network = DeepMatching(SmallDescriptor(widths=(8, 12)), radius=8, levels=2)
    made = DeepMatchingObjective(network, **options)
    made.build()
    return made


def tensors(batch):
    return {key: tf.constant(value) for key, value in batch.items()}


def test_the_hinge_is_that_of_the_scores_at_the_points():
    made = objective(sigma=2.0)
    batch = shifted_pairs(2, seed=0)
    batch["valid"][0, :24] = 0
    batch["occlusion"] = np.zeros((2, 48, 48, 1), "float32")
    batch["occlusion"][1, :, :24] = 1
    scores = made.network(batch, training=True)["scores"]
    counts = np.ones((2, 6, 6, 1), "float32")
    counts[0, :3], counts[1, :, :3] = 0, 0
    ends = batch["flow"][:, 4::8, 4::8] + np.stack(np.meshgrid(*[np.arange(4, 48, 8)] * 2), axis=-1)
    leaves = ((ends < 0) | (ends > 47)).any(axis=-1)
    assert 0 < leaves[0, 3:].sum() < 12
    counts[leaves] = 0
    expected = structured_hinge(scores, batch["flow"][:, 4::8, 4::8], counts, 2.0)
    found = made.terms(tensors(batch), True)["hinge"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_decay_is_half_the_squares_of_the_descriptor_alone():
    made, plain = objective(decay=0.02), objective()
    assert (made.term_names, plain.term_names) == (("hinge", "decay"), ("hinge",))
    batch = tensors(shifted_pairs(2, seed=0))
    terms = made.terms(batch, True)
    squares = sum(np.sum(np.square(weight)) for weight in made.network.descriptor.get_weights())
    np.testing.assert_allclose(terms["decay"], [squares / 2] * 2, rtol=1e-5)
    np.testing.assert_array_equal(terms["hinge"], plain.terms(batch, True)["hinge"])
    # One step of plain SGD: every weight of the descriptor shrinks by its share, no exponent does.
    for one in (made, plain):
        one.clip_norm = None
        one.compile(keras.optimizers.SGD(0.1))
    before = made.network.descriptor.get_weights()
    losses = [float(one.train_step(batch)["loss"]) for one in (made, plain)]
    assert losses[0] == pytest.approx(losses[1] + 0.02 * squares / 2, rel=1e-5)
    after, other = (one.network.descriptor.get_weights() for one in (made, plain))
    for old, new, free in zip(before, after, other, strict=True):
        np.testing.assert_allclose(new, free - 0.1 * 0.02 * old, rtol=0, atol=1e-5)
        assert not old.any() or np.abs(new - free).max() > 1e-4
    np.testing.assert_array_equal(made.network.exponents, plain.network.exponents)


def test_what_is_observed_is_of_points_that_count():
    made = objective()
    batch = shifted_pairs(2, seed=3)
    batch["valid"][:, :, 24:] = 0
    seen = made.observe(tensors(batch))
    output = made.network(batch, training=False)
    error = np.linalg.norm(
        output["points2"] - output["points1"] - batch["flow"][:, 4::8, 4::8].reshape(2, 36, 2),
        axis=-1,
    )[:, np.tile(np.arange(6) < 3, 6)]
    np.testing.assert_allclose(seen["epe"], error.mean(1), rtol=1e-4)
    np.testing.assert_allclose(seen["right_5"], (error <= 5).mean(1), rtol=1e-4)
    length = np.linalg.norm(batch["flow"][:, 0, 0], axis=-1)
    np.testing.assert_allclose(seen["epe_zero"], length, rtol=1e-4)
    assert made.observe({"image1": batch["image1"], "image2": batch["image2"]}) == {}


@pytest.mark.slow
def test_descriptors_learn_what_to_look_at():
    """The planted flaw: blue says nothing, and random descriptors do not know."""
    made = objective()
    data, held_out = shifted_pairs(24, seed=5), shifted_pairs(6, seed=6)
    before = {key: float(np.mean(value)) for key, value in made.observe(tensors(held_out)).items()}
    made.compile(keras.optimizers.Adam(3e-3))
    stream = tf.data.Dataset.from_tensor_slices(data).batch(4).repeat()
    history = made.fit(stream, steps_per_epoch=40, verbose=0, shuffle=False).history
    assert history["skipped_steps"] == [0]
    after = {key: float(np.mean(value)) for key, value in made.observe(tensors(held_out)).items()}
    assert after["epe"] < 0.65 * before["epe"] < before["epe_zero"], (before, after)
    assert after["right_2"] > before["right_2"] + 0.1, (before, after)
    assert np.abs(made.network.exponents - 1.4).max() > 1e-3
