"""Averaged weights in the network, for a while."""

import keras
import numpy as np
import pytest
from _toy_objective import (
    assert_same_state,
    compiled_step,
    fit,
    state,
    toy,
    toy_batch,
    toy_data,
)

from kcorr.objectives import ValidateAverage, averaged

MOMENTUM = 0.9  # the toy's


def trained(steps=4, **kwargs):
    """A toy after some steps, and its averages computed by hand."""
    objective = toy(**kwargs)
    step = compiled_step(objective)
    mean = None
    for _ in range(steps):
        step(toy_batch())
        now = objective.network.get_weights()
        if mean is None:
            mean = now
        mean = [MOMENTUM * a + (1 - MOMENTUM) * b for a, b in zip(mean, now, strict=True)]
    return objective, mean


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_block_sees_the_average_and_afterwards_all_is_as_before(policy):
    objective, mean = trained(dtype=policy)
    before = state(objective)
    with averaged(objective) as holds:
        assert holds
        for found, expected in zip(objective.network.get_weights(), mean, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)
        assert not np.array_equal(objective.network.get_weights()[0], before[0])
    assert_same_state(before, state(objective))


def test_raw_weights_come_back_after_an_error_in_the_block():
    objective, _ = trained()
    before = state(objective)
    with pytest.raises(KeyError), averaged(objective):
        raise KeyError
    assert_same_state(before, state(objective))


def test_blocks_may_be_nested():
    objective, mean = trained()
    before = state(objective)
    with averaged(objective):
        with averaged(objective):
            pass
        np.testing.assert_allclose(objective.network.get_weights()[0], mean[0], atol=1e-6)
    assert_same_state(before, state(objective))


def test_without_averages_or_before_the_first_step_the_network_stays():
    plain, _ = trained(optimizer=keras.optimizers.SGD(0.1))
    fresh = toy()
    fresh.build_optimizer()  # its averages are still zeros, which must not reach the network
    for objective in (plain, fresh, toy()):
        before = objective.network.get_weights()
        with averaged(objective) as holds:
            assert not holds
            assert_same_state(before, objective.network.get_weights())


def test_validation_measures_the_average_only_with_the_callback():
    data = toy_data(6)
    losses = {}
    for callbacks in ((), (ValidateAverage(),)):
        objective = toy(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
        history = fit(objective, data.repeat(8), validation_data=data, callbacks=list(callbacks))
        # fit ended by writing the average into the network
        losses[len(callbacks)] = history["val_loss"][0]
        average = objective.evaluate(data, verbose=0, return_dict=True)["loss"]
    assert losses[1] == pytest.approx(average, rel=1e-5)
    assert losses[0] != pytest.approx(average, rel=0.05)


def test_training_goes_on_from_raw_weights_after_validation_of_the_average():
    data = toy_data(6)
    runs = []
    for callbacks in ([], [ValidateAverage()]):
        objective = toy()
        fit(objective, data, validation_data=data, epochs=3, callbacks=callbacks)
        runs.append(state(objective))
    assert_same_state(*runs)
