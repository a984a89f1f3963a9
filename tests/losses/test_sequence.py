"""Losses of iterations: weights by hand, the objective's use of them, and what is refused."""

import keras
import numpy as np
import pytest
from keras import ops

from kcorr.losses import endpoint_error, sequence_endpoint_error, sequence_mean


def flows(count=3, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(2, 5, 6, 2)).astype("float32") for _ in range(count)]


def test_weights_fall_from_the_last_to_the_first():
    losses = [np.float32([8, 0]), np.float32([4, 1]), np.float32([2, 0])]
    found = ops.convert_to_numpy(sequence_mean(losses, gamma=0.5))
    np.testing.assert_allclose(found, [(8 / 4 + 4 / 2 + 2) / 1.75, 0.5 / 1.75], rtol=1e-6)


def test_alike_losses_give_themselves_however_many():
    for count in (1, 2, 12):
        assert np.isclose(sequence_mean([3.0] * count, gamma=0.8), 3.0)
    assert np.isclose(sequence_mean([1.0, 2.0, 6.0], gamma=1), 3.0)


def test_the_endpoint_error_of_each_iteration_where_it_is_valid():
    *sequence, target = flows(4)
    valid = (np.random.default_rng(1).random((2, 5, 6, 1)) > 0.4).astype("float32")
    found = ops.convert_to_numpy(sequence_endpoint_error(sequence, target, valid, 0.7))
    errors = [
        (np.linalg.norm(flow - target, axis=-1) * valid[..., 0]).sum((1, 2)) for flow in sequence
    ]
    weights = np.array([0.49, 0.7, 1.0])
    expected = weights @ errors / weights.sum() / valid.sum((1, 2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    robust = sequence_endpoint_error(sequence[:1], target, valid, epsilon=0.1, exponent=0.6)
    np.testing.assert_allclose(
        robust, endpoint_error(sequence[0], target, valid, 0.1, 0.6), rtol=1e-6
    )


@pytest.mark.parametrize("gamma", [0, -0.1, 1.1])
def test_bad_gamma(gamma):
    with pytest.raises(ValueError, match=f"gamma must be above 0 and at most 1, got {gamma}"):
        sequence_mean([1.0], gamma)


def test_an_empty_sequence():
    with pytest.raises(ValueError, match="losses is empty"):
        sequence_endpoint_error([], flows()[0])


class Steps(keras.Model):
    """A network without weights whose iterations answer 4, 2, 1 pixels to the right."""

    def call(self, inputs, training=False, sequence=False):
        steps = [ops.ones_like(inputs["flow"]) * ops.array([u, 0.0]) for u in (4.0, 2.0, 1.0)]
        outputs = {"flow": steps[-1], "flow_pyramid": [step[:, ::2, ::2] for step in steps]}
        return {**outputs, "flow_sequence": steps} if sequence else outputs


class Once(Steps):
    """The same without a sequence."""

    def call(self, inputs, training=False):
        return super().call(inputs)


@pytest.mark.tensorflow_only
def test_the_objective_weighs_iterations_by_gamma():
    from kcorr.objectives import SupervisedFlow

    zero = np.zeros((2, 4, 6, 2), "float32")
    batch = {"image1": zero, "image2": zero, "flow": zero, "valid": zero[..., :1] + 1}
    plain = {"epsilon": 0.0, "exponent": 1.0}
    objective = SupervisedFlow(Steps(), gamma=0.5, **plain)
    found = objective.terms(batch, training=True)["pyramid"]
    np.testing.assert_allclose(found, [3 / 1.75] * 2, rtol=1e-5)
    # By default the levels of the pyramid count, whose pixels are twice as large, and the flow.
    found = SupervisedFlow(Steps(), **plain).terms(batch, training=True)["pyramid"]
    np.testing.assert_allclose(found, [(8 + 4 + 2 + 1) / 4] * 2, rtol=1e-5)
    with pytest.raises(ValueError, match="'once' has none"):
        SupervisedFlow(Once(name="once"), gamma=0.8)
