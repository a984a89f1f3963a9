"""Weights as functions of the step, against numpy."""

import keras
import numpy as np
import pytest

from kcorr.objectives import constant, cosine, piecewise, ramp

STEPS = np.array([0, 1, 99, 100, 101, 149, 150, 199, 200, 201, 1000], "float32")

CASES = {
    "constant": (constant(0.3), np.full(len(STEPS), 0.3)),
    "ramp": (ramp(100, 100), np.interp(STEPS, [100, 200], [0, 1])),
    "falling": (ramp(100, 100, 2.0, 0.5), np.interp(STEPS, [100, 200], [2, 0.5])),
    "cosine": (
        cosine(100, 100, 1.0, 3.0),
        2 - np.cos(np.pi * np.interp(STEPS, [100, 200], [0, 1])),
    ),
    "piecewise": (
        piecewise([100, 200], [1, 5, 0]),
        np.where(STEPS < 100, 1, np.where(STEPS < 200, 5, 0)),
    ),
    "one piece": (piecewise([], [7]), np.full(len(STEPS), 7)),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    schedule, expected = CASES[name]
    one_by_one = [float(schedule(keras.ops.convert_to_tensor(step))) for step in STEPS]
    np.testing.assert_allclose(one_by_one, expected, atol=1e-6)
    np.testing.assert_allclose(schedule(STEPS), expected, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_whole_steps_and_plain_numbers_will_do(name):
    schedule, _ = CASES[name]
    assert float(schedule(150)) == pytest.approx(float(schedule(np.float32(150))))


@pytest.mark.parametrize("name", CASES)
def test_they_compile(name):
    import tensorflow as tf

    schedule, expected = CASES[name]
    compiled = tf.function(schedule, jit_compile=True, input_signature=[tf.TensorSpec([])])
    found = [compiled(step).numpy() for step in STEPS]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ramp(5, 0), "length must be positive"),
        (lambda: cosine(5, -1), "length must be positive"),
        (lambda: piecewise([1, 2], [1, 2]), "one value more"),
        (lambda: piecewise([2, 2], [1, 2, 3]), "increase"),
    ],
)
def test_nonsense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
