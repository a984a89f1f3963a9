"""`FusedAdam` beside the optimizers of Keras whose place it takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from _toy_objective import assert_same_state, compiled_step, fit, state, toy, toy_batch, toy_data

from kcorr.objectives import Checkpoints, FusedAdam

AVERAGED = {"use_ema": True, "ema_momentum": 0.9}
RATE = keras.optimizers.schedules.ExponentialDecay(3e-2, 3, 0.5, staircase=True)
# {what: (Keras' class, arguments of both)}
SAME = {
    "plain": (keras.optimizers.Adam, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4}),
    "decay and averages": (keras.optimizers.AdamW, {"weight_decay": 0.1, **AVERAGED}),
    "clipped": (keras.optimizers.Adam, {"global_clipnorm": 0.1}),
    "amsgrad": (keras.optimizers.Adam, {"amsgrad": True}),
}


def learned(optimizer, steps=8, **kwargs):
    """What the network and the optimizer hold after some steps."""
    objective = toy(optimizer, **kwargs)
    step = compiled_step(objective)
    for _ in range(steps):
        logs = step(toy_batch())
    assert logs["skipped_steps"] == 0
    return state(objective)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize(("other", "arguments"), SAME.values(), ids=SAME)
def test_steps_are_those_of_keras(other, arguments, jit_compile):
    ours, theirs = (
        learned(make(RATE, **arguments), jit_compile=jit_compile) for make in (FusedAdam, other)
    )
    assert len(ours) == len(theirs)
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=1e-6)


def test_half_precision_steps_are_those_of_keras():
    ours, theirs = (
        learned(make(1e-2), steps=4, dtype="mixed_bfloat16")
        for make in (FusedAdam, keras.optimizers.Adam)
    )
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=1e-6)


def test_sparse_gradients_touch_what_keras_touches():
    tables = []
    for make in (FusedAdam, keras.optimizers.Adam):
        table = keras.Variable(np.ones([4, 2], "float32"))
        optimizer = make(0.1)
        optimizer.build([table])
        rows = tf.IndexedSlices(tf.ones([1, 2]), tf.constant([2]), tf.constant([4, 2]))
        optimizer.apply([rows], [table])
        tables.append(table.numpy())
    np.testing.assert_array_equal(*tables)
    assert tables[0][2, 0] != 1


def test_the_update_of_a_variable_is_one_operation():
    variables = [keras.Variable(np.ones(3, "float32")) for _ in range(5)]
    counts = []
    for make, kernels in ((FusedAdam, 5), (keras.optimizers.Adam, 0)):
        optimizer = make(0.1)
        optimizer.build(variables)

        @tf.function
        def update(optimizer=optimizer):
            optimizer.apply([tf.ones(3)] * 5, variables)

        graph = update.get_concrete_function().graph
        counts.append(len(graph.get_operations()))
        assert sum(op.type == "ResourceApplyAdam" for op in graph.get_operations()) == kernels
    assert counts[0] < counts[1] / 2


@pytest.mark.parametrize("ours_first", [True, False])
def test_each_goes_on_from_a_checkpoint_of_the_other(tmp_path, ours_first):
    makes = [FusedAdam, keras.optimizers.AdamW][:: 1 if ours_first else -1]
    before, after = (toy(make(1e-2, weight_decay=0.004)) for make in makes)
    fit(before, toy_data(), callbacks=[Checkpoints(tmp_path)])
    assert Checkpoints(tmp_path).restore(after) == 4
    assert_same_state(state(before), state(after))


def test_it_is_written_and_read_as_configuration():
    optimizer = FusedAdam(RATE, beta_1=0.8, weight_decay=0.1, **AVERAGED)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, FusedAdam) and again.get_config() == optimizer.get_config()
