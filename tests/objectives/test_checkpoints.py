"""Checkpoints: exact, verified, pruned; the best one holds what one wants to use."""

import hashlib
import json
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from _toy_objective import (
    assert_same_state,
    bad_batch,
    compiled_step,
    fit,
    state,
    toy,
    toy_batch,
    toy_data,
    toy_network,
)

from kcorr.objectives import Checkpoints, StepCallback, StopAt, averaged
from kcorr.objectives import checkpoints as checkpoints_module
from kcorr.objectives.steps import update_count

ENDLESS = {"steps_per_epoch": 2}


class Spy(StepCallback):
    """Notes the state at every epoch's end, before fit changes it."""

    def __init__(self):
        super().__init__()
        self.states, self.steps = {}, []

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.steps.append(self.step)

    def on_epoch_end(self, epoch, logs=None):
        self.states[self.step] = state(self.model)


def run(folder, epochs, keep=3, best=None, **kwargs):
    objective, spy = toy(**kwargs), Spy()
    checkpoints = Checkpoints(folder, keep=keep, best=best)
    checkpoints.restore(objective)
    data = toy_data(repeat=True)
    fit(objective, data, epochs=epochs, callbacks=[spy, checkpoints], **ENDLESS)
    return objective, spy


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def newest(folder):
    return sorted(folder.glob("step_*.h5"))[-1]


def restored(folder, **kwargs):
    objective = toy(**kwargs)
    return Checkpoints(folder).restore(objective), objective


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_weights_slots_averages_and_counters_come_back_exactly(tmp_path, policy):
    _, spy = run(tmp_path, 2, dtype=policy)
    step, objective = restored(tmp_path, dtype=policy)
    assert step == objective.steps_done == 4
    assert update_count(objective) == 4
    assert_same_state(spy.states[4], state(objective))
    # The raw weights were saved, not the averages.
    raw = objective.network.get_weights()
    with averaged(objective):
        assert not np.array_equal(raw[0], objective.network.get_weights()[0])


def test_interrupted_and_uninterrupted_runs_are_the_same_run(tmp_path):
    """On the same batches: every step's update depends on nothing but the restored state."""
    straight, resumed = toy(), toy()
    step = compiled_step(straight)
    for _ in range(4):
        step(toy_batch())
    data = tf.data.Dataset.from_tensors(toy_batch()).repeat()
    for epoch in (0, 1):
        resumed = toy()
        checkpoints, spy = Checkpoints(tmp_path), Spy()
        checkpoints.restore(resumed)
        callbacks = [spy, checkpoints]
        fit(resumed, data, initial_epoch=epoch, epochs=epoch + 1, callbacks=callbacks, **ENDLESS)
    assert spy.steps == [3, 4]
    for a, b in zip(state(straight), spy.states[4], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_a_skipped_step_is_a_step_of_the_run_but_not_an_update(tmp_path):
    batches = [toy_batch(), bad_batch(), toy_batch(), toy_batch()]
    data = tf.data.Dataset.from_tensor_slices(
        {key: tf.stack([batch[key] for batch in batches]) for key in ("x", "y")}
    )
    fit(toy(), data, epochs=2, callbacks=[Checkpoints(tmp_path)], **ENDLESS)
    step, objective = restored(tmp_path)
    assert (step, update_count(objective)) == (4, 3)


@pytest.mark.parametrize("steps", [1, 4, 5])
def test_a_run_stops_at_its_last_step_and_saves_it(tmp_path, steps):
    callbacks = [StopAt(steps), Checkpoints(tmp_path)]
    fit(toy(), toy_data(repeat=True), epochs=5, callbacks=callbacks, **ENDLESS)
    assert restored(tmp_path)[0] == steps


def test_steps_are_counted_over_several_fits():
    objective, spy = toy(), Spy()
    for _ in range(2):
        fit(objective, toy_data(), callbacks=[spy])
    assert spy.steps == list(range(1, 9))
    assert objective.steps_done == 8


def test_only_the_last_few_are_kept(tmp_path):
    run(tmp_path, 5, keep=2)
    kept = ["step_00000008.weights", "step_00000010.weights"]
    assert names(tmp_path) == [f"{name}.{end}" for name in kept for end in ("h5", "json")]


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "truncated": (cut, "checksum is wrong"),
    "empty": (lambda path: path.write_bytes(b""), "checksum is wrong"),
    "one bit": (flip, "checksum is wrong"),
    "no JSON": (lambda path: path.with_suffix(".json").unlink(), "JSON file is missing"),
    "JSON cut": (lambda path: cut(path.with_suffix(".json")), "JSON file cannot be read"),
    "JSON of another kind": (
        lambda path: path.with_suffix(".json").write_text("[1]"),
        "JSON file cannot be read",
    ),
    "JSON is binary": (
        lambda path: path.with_suffix(".json").write_bytes(b"\xff\xfe\x00"),
        "JSON file cannot be read",
    ),
}


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    _, spy = run(folder, 2)
    return {path.name: path.read_bytes() for path in folder.iterdir()}, spy.states


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    tmp_path, caplog, two_checkpoints, damage
):
    files, states = two_checkpoints
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    break_it, complaint = DAMAGES[damage]
    break_it(newest(tmp_path))
    with caplog.at_level(logging.WARNING, "kcorr"):
        step, objective = restored(tmp_path)
    assert step == 2
    assert_same_state(states[2], state(objective))
    (warning,) = caplog.messages
    assert "step_00000004.weights.h5" in warning and complaint in warning


def test_a_damaged_checkpoint_never_pushes_out_an_intact_one(tmp_path, two_checkpoints):
    files, _ = two_checkpoints
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    cut(newest(tmp_path))
    objective, checkpoints = toy(), Checkpoints(tmp_path, keep=1)
    checkpoints.restore(objective)
    data = toy_data(repeat=True)
    fit(objective, data, steps_per_epoch=1, callbacks=[checkpoints])
    assert names(tmp_path) == ["step_00000003.weights.h5", "step_00000003.weights.json"]
    assert restored(tmp_path)[0] == 3


def test_when_none_is_intact_the_run_starts_again_and_says_so(tmp_path, caplog, two_checkpoints):
    files, _ = two_checkpoints
    for name, data in files.items():
        (tmp_path / name).write_bytes(data[:-20])
    with caplog.at_level(logging.WARNING, "kcorr"):
        step, _ = restored(tmp_path)
    assert step == 0
    assert len(caplog.messages) == 3 and "starting from step 0" in caplog.messages[-1]


def test_nothing_to_restore_is_no_complaint(tmp_path, caplog):
    assert restored(tmp_path)[0] == 0
    assert not caplog.messages


@pytest.mark.parametrize(
    "other",
    [
        {"hidden": 5},
        {"optimizer": "sgd"},
        {"dtype": "mixed_float16"},
        {"optimizer": "adamw"},  # without averages
    ],
    ids=lambda other: "-".join(map(str, other.values())),
)
def test_an_intact_checkpoint_of_another_run_is_refused(tmp_path, two_checkpoints, other):
    files, _ = two_checkpoints
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=r"step_00000004.*does not fit"):
        restored(tmp_path, **other)


def test_restoring_twice_is_restoring_once(tmp_path, two_checkpoints):
    files, states = two_checkpoints
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    objective = toy()
    for _ in range(2):
        assert Checkpoints(tmp_path).restore(objective) == 4
    assert_same_state(states[4], state(objective))


def test_what_a_killed_write_left_behind_is_removed(tmp_path):
    left = [".0123456789ab.step_00000002.weights.h5", ".ba9876543210.best.json"]
    others = [".gitignore", "notes.h5"]
    for name in (*left, *others):
        (tmp_path / name).write_bytes(b"half")
    restored(tmp_path)
    assert names(tmp_path) == sorted(others)


class Dictated(keras.callbacks.Callback):
    """Replaces a logged value by those of a list."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["loss"] = self.values[epoch]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_best_epochs_average_is_kept(tmp_path, policy):
    """The minimum is in the second of four epochs; NaN is no minimum."""
    values = [3.0, 1.0, float("nan"), 2.0]

    class Average(StepCallback):
        found = ()

        def on_epoch_end(self, epoch, logs=None):
            with averaged(self.model):
                self.found = (*self.found, self.model.network.get_weights())

    average, objective = Average(), toy(dtype=policy)
    callbacks = [Dictated(values), average, Checkpoints(tmp_path, best="loss")]
    fit(objective, toy_data(repeat=True), epochs=4, callbacks=callbacks, **ENDLESS)
    network = toy_network(policy)
    network.load_weights(tmp_path / "best.weights.h5")
    assert_same_state(average.found[1], network.get_weights())
    facts = json.loads((tmp_path / "best.json").read_text())
    assert (facts["step"], facts["value"]) == (4, 1.0)
    assert json.loads(newest(tmp_path).with_suffix(".json").read_text())["logs"]["loss"] == 2.0


def test_a_best_of_an_earlier_run_is_not_replaced_by_a_worse_one(tmp_path):
    for epoch, values in enumerate(([1.0], [None, 2.0])):
        objective, checkpoints = toy(), Checkpoints(tmp_path, best="loss")
        checkpoints.restore(objective)
        callbacks = [Dictated(values), checkpoints]
        data = toy_data(repeat=True)
        fit(
            objective,
            data,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=callbacks,
            **ENDLESS,
        )
    assert json.loads((tmp_path / "best.json").read_text())["step"] == 2


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    run(tmp_path, 1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    objective, checkpoints = toy(), Checkpoints(tmp_path)
    checkpoints.restore(objective)

    def fails(path, overwrite):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(objective, "save_weights", fails)
    with pytest.raises(OSError, match="disk full"):
        fit(objective, toy_data(), callbacks=[checkpoints])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_kill_between_best_and_checkpoint_loses_neither(tmp_path, monkeypatch):
    """The epoch is repeated from the checkpoint before; its best is there already."""
    saved = []
    monkeypatch.setattr(
        checkpoints_module, "_save_facts", lambda path, facts: saved.append(path.name)
    )
    run(tmp_path, 1, best="loss")
    assert saved == ["best.json", "step_00000002.weights.json"]


def test_a_kill_between_the_bests_two_files_makes_its_value_unknown(tmp_path, monkeypatch):
    """The epoch that was killed was better than the best, the repeated one is worse than both."""

    class Killed(BaseException):
        pass

    def killed(path, facts):
        assert path.name == "best.json"
        raise Killed

    def epoch(number, value):
        objective, checkpoints = toy(), Checkpoints(tmp_path, best="loss")
        checkpoints.restore(objective)
        callbacks = [Dictated({number: value}), checkpoints]
        span = {"initial_epoch": number, "epochs": number + 1}
        fit(objective, toy_data(repeat=True), callbacks=callbacks, **span, **ENDLESS)

    def best():
        facts = json.loads((tmp_path / "best.json").read_text())
        digest = hashlib.sha256((tmp_path / "best.weights.h5").read_bytes()).hexdigest()
        return facts["value"], facts["sha256"] == digest

    epoch(0, 2.0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoints_module, "_save_facts", killed)
        epoch(1, 1.0)
    assert best() == (2.0, False)
    epoch(1, 3.0)
    assert best() == (3.0, True)
    epoch(2, 4.0)
    assert best() == (3.0, True)


def test_keep_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        Checkpoints(tmp_path, keep=0)
