"""What the one train_step promises to every method."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from _toy_objective import (
    Toy,
    assert_same_state,
    bad_batch,
    compiled_step,
    fit,
    state,
    toy,
    toy_arrays,
    toy_batch,
    toy_data,
    toy_network,
)

from kcorr.objectives import FusedAdam, Objective, piecewise, ramp
from kcorr.objectives.steps import update_count

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def sgd(rate=1.0):
    return keras.optimizers.SGD(rate)


def moved(objective, before):
    """Norm of the change of the weights."""
    pairs = zip(objective.network.get_weights(), before, strict=True)
    return float(np.sqrt(sum(np.sum(np.square(a - b)) for a, b in pairs)))


def numpy_terms(objective, arrays):
    first, bias, second, bias2 = objective.network.get_weights()
    y = np.tanh(arrays["x"] @ first + bias) @ second + bias2
    return np.mean((y - arrays["y"]) ** 2, -1), np.mean(np.abs(y), -1), np.abs(y).max(-1)


def test_a_step_descends_along_the_gradient_of_the_weighted_sum():
    objective = toy(sgd(0.1), weights={"fit": 2.0, "size": 0.25}, clip_norm=None)
    batch, before = toy_batch(), objective.network.get_weights()
    with tf.GradientTape() as tape:
        terms = objective.terms(batch, training=True)
        loss = 2.0 * tf.reduce_mean(terms["fit"]) + 0.25 * tf.reduce_mean(terms["size"])
    gradients = tape.gradient(loss, [v.value for v in objective.network.trainable_variables])
    objective.build_optimizer()
    logs = objective.train_step(batch)
    for old, gradient, new in zip(before, gradients, objective.network.get_weights(), strict=True):
        np.testing.assert_allclose(new, old - 0.1 * gradient.numpy(), atol=1e-6)
    norm = float(tf.linalg.global_norm(gradients))
    np.testing.assert_allclose([logs["loss"], logs["gradient_norm"]], [loss, norm], rtol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_policies_and_xla_learn_the_same(policy, jit_compile):
    logs = []
    for dtype, jit in (("float32", False), (policy, jit_compile)):
        objective = toy(sgd(0.05), dtype=dtype, jit_compile=jit)
        history = fit(objective, toy_data(), epochs=3)
        logs.append([history[name] for name in ("loss", "fit", "gradient_norm")])
        assert history["skipped_steps"] == [0, 0, 0]
        assert update_count(objective) == 12
    assert logs[0][0][-1] < logs[0][0][0]
    tolerance = {"float32": 1e-5, "mixed_bfloat16": 3e-2, "mixed_float16": 3e-3}[policy]
    np.testing.assert_allclose(logs[1], logs[0], rtol=tolerance)


def test_mixed_float16_networks_get_a_loss_scale_and_others_do_not():
    # The objective's own policy is float32: Keras alone would leave the optimizer as it is.
    assert isinstance(toy(dtype="mixed_float16").optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(toy(dtype="mixed_bfloat16").optimizer, FusedAdam)


def test_gradients_below_float16_survive_because_the_loss_is_scaled(monkeypatch):
    """A loss of 1e-8 has gradients that float16 rounds to 0, unless the loss is scaled."""

    def change(dtype):
        objective = toy(sgd(1e6), dtype=dtype, weights={"fit": 1e-8, "size": 0.0}, clip_norm=None)
        before = objective.network.get_weights()
        objective.build_optimizer()
        objective.train_step(toy_batch())
        return moved(objective, before)

    assert change("mixed_float16") == pytest.approx(change("float32"), rel=0.02)
    monkeypatch.setattr(keras.optimizers.LossScaleOptimizer, "scale_loss", lambda self, loss: loss)
    assert change("mixed_float16") < 0.5 * change("float32")


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_unscaled_global_norm_is_clipped_and_logged_before(policy):
    objective = toy(sgd(), dtype=policy, clip_norm=0.05)
    before = objective.network.get_weights()
    objective.build_optimizer()
    norm = float(objective.train_step(toy_batch())["gradient_norm"])
    truth = toy(sgd(), clip_norm=None)
    truth.build_optimizer()
    start = truth.network.get_weights()
    truth.train_step(toy_batch())
    assert norm == pytest.approx(moved(truth, start), rel=5e-3)
    assert norm > 0.1
    assert moved(objective, before) == pytest.approx(0.05, rel=5e-3)


def test_short_gradients_are_not_clipped():
    one, other = toy(sgd(0.1), clip_norm=1e3), toy(sgd(0.1), clip_norm=None)
    for objective in (one, other):
        fit(objective, toy_data())
    assert_same_state(one.network.get_weights(), other.network.get_weights())


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_bad_step_changes_nothing_is_counted_and_training_goes_on(policy, jit_compile):
    objective = toy(dtype=policy, jit_compile=jit_compile)
    fit(objective, tf.data.Dataset.from_tensors(toy_batch()))
    scale = getattr(objective.optimizer, "dynamic_scale", None)
    kept = getattr(objective.optimizer, "inner_optimizer", objective.optimizer)
    names = [variable.path for variable in kept.variables]
    assert any("average" in name for name in names) and any("momentum" in name for name in names)
    weights = objective.network.get_weights()
    before = [v.numpy().copy() for v in kept.variables]
    step = compiled_step(objective)
    objective.reset_metrics()
    step(bad_batch())
    assert_same_state(weights, objective.network.get_weights())
    assert_same_state(before, [v.numpy() for v in kept.variables])
    assert update_count(objective) == 1
    if scale is not None:
        assert float(scale) == 2.0**14
    logs = step(toy_batch())
    assert update_count(objective) == 2
    assert logs["skipped_steps"] == 1
    assert np.isfinite(list(logs.values())).all()
    assert not np.array_equal(weights[0], objective.network.get_weights()[0])


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_norm_that_overflows_is_skipped_though_each_gradient_is_finite(policy):
    def huge(step):
        return 1e24  # squares of gradients are beyond float32, the gradients are not

    objective = toy(dtype="float32", weights={"fit": huge})
    if policy == "mixed_float16":
        objective.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(1e-2)))
    objective.build_optimizer()
    before = objective.network.get_weights()
    logs = objective.train_step(toy_batch())
    assert float(logs["skipped_steps"]) == 1
    assert_same_state(before, objective.network.get_weights())


def test_a_run_of_bad_batches_only_has_no_loss_rather_than_a_perfect_one():
    history = fit(toy(), tf.data.Dataset.from_tensors(bad_batch()))
    assert np.isnan(history["loss"]).all() and np.isnan(history["gradient_norm"]).all()
    assert history["skipped_steps"] == [1]


def test_metrics_are_means_over_examples_also_when_the_last_batch_is_small():
    objective = toy(sgd(0.0), weights={"size": 0.5})
    arrays = toy_arrays(7)
    fits, sizes, spreads = numpy_terms(objective, arrays)
    expected = {"fit": fits.mean(), "size": sizes.mean()}
    expected["loss"] = expected["fit"] + 0.5 * expected["size"]
    expected["spread"] = spreads.mean()  # watched: logged, no part of the loss
    history = fit(objective, toy_data(7, batch=5))
    for name, value in expected.items():
        assert history[name][0] == pytest.approx(value, rel=1e-5), name
    found = objective.evaluate(toy_data(7, batch=5), verbose=0, return_dict=True)
    assert set(found) == {"loss", "fit", "size", "spread", "error"}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_fit_logs_what_the_step_measures_and_nothing_else():
    data = toy_data()
    history = fit(toy(), data, validation_data=data, epochs=2)
    measured = {"loss", "fit", "size", "spread"}
    trained = {*measured, "gradient_norm", "skipped_steps"}
    assert set(history) == trained | {f"val_{name}" for name in (*measured, "error")}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_weights_follow_the_step(jit_compile):
    weights = {"fit": piecewise([2], [1.0, 3.0]), "size": ramp(0, 4, high=8.0)}
    objective = toy(sgd(0.0), weights=weights, jit_compile=jit_compile)
    step = compiled_step(objective)
    losses = []
    for _ in range(5):
        objective.reset_metrics()
        logs = step(toy_batch())
        losses.append(logs["loss"])
    first, second = logs["fit"], logs["size"]
    expected = [w * first + 2 * k * second for k, w in enumerate([1, 1, 3, 3, 3])]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_evaluation_updates_nothing(policy):
    objective = toy(dtype=policy)
    fit(objective, toy_data())
    before = state(objective)
    objective.evaluate(toy_data(), verbose=0)
    assert_same_state(before, state(objective))


def test_the_objective_stands_where_its_network_can():
    objective, batch = toy(), toy_batch()
    np.testing.assert_array_equal(objective(batch["x"]), objective.network(batch["x"]))


def test_an_objective_that_was_not_built_trains():
    objective = Toy(toy_network())
    objective.compile(keras.optimizers.SGD(0.1))
    assert np.isfinite(fit(objective, toy_data())["loss"]).all()


def test_weights_for_terms_that_do_not_exist_are_refused_by_name():
    with pytest.raises(ValueError, match=r"sise.*fit, size"):
        toy(weights={"sise": 1.0})
    with pytest.raises(ValueError, match=r"spread.*only the terms fit, size"):
        toy(weights={"spread": 1.0})  # what is watched is no term
    toy(weights={"other": 0})  # a weight of 0 asks for nothing


def test_a_term_that_was_not_announced_is_refused_by_name():
    class Sloppy(Toy):
        term_names = ("fit",)

    objective = Sloppy(toy_network())
    objective.build()
    objective.compile(sgd())
    objective.build_optimizer()
    with pytest.raises(ValueError, match="size"):
        objective.train_step(toy_batch())


def test_terms_must_be_defined():
    with pytest.raises(TypeError, match="must define terms"):
        Objective(toy_network()).terms({}, training=True)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_may_be_accumulated(jit_compile):
    """Two halves of a batch, accumulated, are the step of the batch."""
    whole = toy(sgd(0.1), clip_norm=None)
    fit(whole, toy_data(batch=12), epochs=2)
    rate = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    halves = toy(rate, clip_norm=None, jit_compile=jit_compile)
    fit(halves, toy_data(batch=6), epochs=2)
    for a, b in zip(whole.network.get_weights(), halves.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert (update_count(halves), halves.steps_done) == (4, 8)


def test_clipping_parts_of_an_accumulated_step_is_refused():
    for dtype in ("float32", "mixed_float16"):
        with pytest.raises(ValueError, match="expected clip_norm=None, and global_clipnorm"):
            toy(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), dtype=dtype)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_several_steps_per_execution_are_counted_and_are_the_same_steps(jit_compile):
    """Three do not divide the four batches of an epoch."""
    runs = []
    for count in (1, 3):
        objective = toy(sgd(0.1))
        objective.compile(sgd(0.1), steps_per_execution=count, jit_compile=jit_compile)
        history = fit(objective, toy_data(), epochs=2)
        assert objective.steps_done == update_count(objective) == 8
        runs.append((history["loss"], objective.network.get_weights()))
    np.testing.assert_allclose(runs[0][0], runs[1][0], rtol=1e-5)
    for a, b in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
