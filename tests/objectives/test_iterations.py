"""Methods without labels on recurrent networks: each iteration's flow counts, as `gamma` says."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from _planted import PixelReader, marked

from kcorr.losses import census
from kcorr.models import build
from kcorr.objectives import (
    ChallengedFlow,
    DistilledFlow,
    FineTunedFlow,
    Flow2Stereo,
    FusedAdam,
    UnsupervisedFlow,
)
from kcorr.objectives.directions import flows_between
from kcorr.ops import backward_warp, fb_occlusion

pytestmark = pytest.mark.tensorflow_only

SIZE = (24, 32)
PLACES = [(1.2, 3.1), (4.5, 3.5), (6.9, 4.7), (8.2, 6.4), (8.6, 9.0)]
ERRORS = np.float32([(3, 0), (1, 0), (0.2, 0)])  # of the three iterations
GAMMA = 0.5
WEIGHTS = np.array([0.25, 0.5, 1]) / 1.75


class Steps(PixelReader):
    """Three iterations whose flows come closer; the last one is the network's."""

    def call(self, inputs, training=False, backward=False, sequence=False):
        outputs = super().call(inputs, training, backward)
        found = {}
        for key in ("flow", "flow_backward")[: 1 + backward]:
            steps = [outputs[key] + error for error in ERRORS]
            found |= {key: steps[-1], f"{key}_pyramid": [steps[-1][:, ::2, ::2]]}
            if sequence:
                found[f"{key}_sequence"] = steps
        return found


def frames(*numbers):
    images = marked(SIZE, [PLACES[i] for i in numbers])
    return {f"image{i}": image for i, image in zip(numbers, images, strict=True)}


def planted(i, j, error):
    motion = np.subtract(PLACES[j], PLACES[i]) + error
    return np.float32(np.broadcast_to(motion, (1, *SIZE, 2)))


PAIR = [(1, 2), (2, 1)]
CASES = {
    (1, 2): PAIR,
    (0, 1, 2, 3, 4): [*PAIR, (2, 3), (3, 2)],
    (1, 2, 3, 4): [(i, j) for i in range(1, 5) for j in range(1, 5) if i != j],
}


@pytest.mark.parametrize("numbers", CASES)
def test_each_iteration_counts_where_the_last_one_is_visible(numbers):
    batch, ways = frames(*numbers), CASES[numbers]
    expected = 0.0
    for i, j in ways:
        hidden = fb_occlusion(planted(i, j, ERRORS[-1]), planted(j, i, ERRORS[-1]))
        for weight, error in zip(WEIGHTS, ERRORS, strict=True):
            warped, _ = backward_warp(batch[f"image{j}"], planted(i, j, error))
            expected += weight * census(batch[f"image{i}"], warped, 1 - hidden)
    kind = Flow2Stereo if len(numbers) == 4 else UnsupervisedFlow
    terms = kind(Steps(), gamma=GAMMA).terms(batch, training=True)
    np.testing.assert_allclose(terms["photometric"], expected, rtol=1e-4)
    last = kind(Steps()).terms(batch, training=True)
    assert abs(float(last["photometric"][0] - terms["photometric"][0])) > 1e-3
    np.testing.assert_array_equal(terms["hidden"], last["hidden"])


@pytest.mark.parametrize("robust", [{}, {"epsilon": 0.01, "exponent": 0.4}])
def test_fine_tuning_counts_known_pixels_of_each_iteration(robust):
    """The truth is one pixel above the planted motion in the upper half and unknown below."""
    batch = frames(1, 2)
    batch["flow"] = planted(1, 2, (0, -1))
    batch["valid"] = np.float32(np.indices((1, *SIZE, 1))[1] < SIZE[0] / 2)
    batch["flow"][batch["valid"][..., 0] == 0] = 1e6
    errors = np.hypot(*(ERRORS + np.float32([0, 1])).T)
    if robust:
        errors = (errors + robust["epsilon"]) ** robust["exponent"]
    for gamma, expected in ((GAMMA, WEIGHTS @ errors), (1.0, errors.mean()), (None, errors[-1])):
        terms = FineTunedFlow(Steps(), gamma=gamma, **robust).terms(batch, training=True)
        np.testing.assert_allclose(terms["endpoint"], [expected], rtol=1e-4)


def penalty(error):
    return ((np.abs(error) + 0.01) ** 0.4).sum() / 2


def test_the_students_iterations_all_learn_from_the_teacher():
    """The teacher is right, and visible pixels are the same for every iteration."""
    batch = frames(1, 2)
    views = {f"student_{key}": image for key, image in batch.items()}
    views |= {f"student_affine{i}": np.eye(2, 3, dtype="float32")[None] for i in (1, 2)}
    expected = sum(w * penalty(error) for w, error in zip(WEIGHTS, ERRORS, strict=True))
    objective = ChallengedFlow(Steps(), PixelReader(), gamma=GAMMA)
    terms = objective.terms({**batch, **views}, training=True)
    np.testing.assert_allclose(terms["distillation"], [2 * expected], rtol=1e-4)
    # Forwards pixels leave the crop, to where the teacher still sees; backwards they leave both.
    whole = {**batch, "crop": np.float32([[0, 0]])}
    objective = DistilledFlow(Steps(), (20, 28), teacher=PixelReader(), gamma=GAMMA)
    terms = objective.terms(whole, training=True)
    np.testing.assert_allclose(terms["distillation"], [expected / 2], rtol=1e-4)


def test_a_recurrent_network_gives_its_iterations_in_every_direction():
    network = build("recurrent_small", iterations=2)
    random = np.random.default_rng(0)
    images = {f"image{i}": random.random((1, 64, 72, 3), "float32") for i in range(5)}
    for first, count in ((1, 3), (0, 5), (1, 5)):  # two frames, a window, stereo
        batch = {f"image{i}": images[f"image{i}"] for i in range(first, count)}
        flows, _, sequences = flows_between(network, batch, sequence=True)
        assert (
            sequences.keys() == flows.keys()
            and len(flows) == {3: 2, 5: 4 if not first else 12}[count]
        )
        i, j = list(flows)[-1]
        pair = {"image1": images[f"image{i}"], "image2": images[f"image{j}"]}
        alone = network(pair, sequence=True)["flow_sequence"]
        assert len(sequences[i, j]) == 2
        for found, expected in zip(sequences[i, j], alone, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(sequences[i, j][-1], flows[i, j])


def test_it_trains_and_moves_every_weight():
    keras.utils.set_random_seed(0)
    network = build("recurrent_small", iterations=2)
    objective = UnsupervisedFlow(network, gamma=0.8, occlusion=False, smoothness=0.1)
    objective.build()
    objective.compile(FusedAdam(1e-3, epsilon=1e-20))
    objective.build_optimizer()
    before = [weight.numpy() for weight in network.weights]
    images = np.random.default_rng(0).random((2, 1, 64, 64, 3), "float32")
    batch = {f"image{i}": tf.constant(image) for i, image in enumerate(images, 1)}
    logs = objective.train_step(batch)
    assert np.isfinite([float(value) for value in logs.values()]).all()
    moved = [(a != b.numpy()).any() for a, b in zip(before, network.weights, strict=True)]
    # In front of instance normalisation a bias does nothing: it is subtracted again.
    assert np.mean(moved) > 0.9


def test_networks_without_iterations_or_pyramid_are_refused_by_name():
    for kind in (UnsupervisedFlow, ChallengedFlow, Flow2Stereo, FineTunedFlow):
        with pytest.raises(ValueError, match=r"gamma weighs the iter.* 'spynet' has none"):
            kind(build("spynet_small"), gamma=0.8)

    class Bare(keras.Model):
        def call(self, inputs, training=False, backward=False):
            flow = keras.ops.zeros_like(inputs["image1"][..., :2])
            return {"flow": flow, "flow_backward": flow}

    with pytest.raises(ValueError, match="network's flow_pyramid, and 'bare' returns none"):
        UnsupervisedFlow(Bare(), smoothness=1.0).terms(frames(1, 2), training=True)
