"""Keras' own BackupAndRestore with an objective: a fit that an exception ended goes on."""

import json

import keras
import pytest
import tensorflow as tf
from _toy_objective import assert_same_state, bad_batch, fit, state, toy, toy_batch

from kcorr.objectives import JsonLines, Pictures, StepCallback
from kcorr.objectives.steps import update_count

EPOCHS, STEPS = 3, 4  # steps an epoch


class Fails(StepCallback):
    """Raises in the middle of the second epoch; notes the state at every epoch's begin."""

    def __init__(self, at=None):
        super().__init__()
        self.at, self.states, self.epochs, self.last = at, {}, [], []

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.epochs.append(epoch)
        self.states[self.step] = state(self.model)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.last.append(self.step)
        if self.step == self.at:
            raise InterruptedError


def data():
    """Endless; the second batch of every four is bad, so that every epoch skips one step."""
    batches = [toy_batch(), bad_batch(), toy_batch(), toy_batch()]
    stacked = {key: tf.stack([batch[key] for batch in batches]) for key in ("x", "y")}
    return tf.data.Dataset.from_tensor_slices(stacked).repeat()


def run(objective, folder, callbacks, last=False):
    backup = keras.callbacks.BackupAndRestore(folder / "backup")
    callbacks = [*callbacks, backup] if last else [backup, *callbacks]
    return fit(objective, data(), epochs=EPOCHS, steps_per_epoch=STEPS, callbacks=callbacks)


@pytest.mark.parametrize("last", [False, True], ids=["first in the list", "last in the list"])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_fit_interrupted_in_its_second_epoch_goes_on_at_its_beginning(tmp_path, policy, last):
    log, interrupted = tmp_path / "log.jsonl", Fails(at=STEPS + 2)
    with pytest.raises(InterruptedError):
        run(toy(dtype=policy), tmp_path, [interrupted, JsonLines(log, every=1)], last)

    objective, resumed = toy(dtype=policy), Fails()
    history = run(objective, tmp_path, [resumed, JsonLines(log, every=1)], last)
    assert resumed.epochs == [1, 2]
    assert resumed.last == list(range(STEPS + 1, EPOCHS * STEPS + 1))
    # Weights, slots, averages, iterations and, under mixed_float16, the loss scale.
    assert_same_state(interrupted.states[STEPS], resumed.states[STEPS])
    assert history["skipped_steps"] == [1, 1]
    # All that were ever skipped: a step that was skipped is no update.
    assert (objective.steps_done, update_count(objective)) == (EPOCHS * STEPS, EPOCHS * STEPS - 3)
    logged = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert logged == list(range(1, EPOCHS * STEPS + 1))

    straight, spy = toy(dtype=policy), Fails()
    run(straight, tmp_path / "straight", [spy])
    assert_same_state(spy.states[2 * STEPS], resumed.states[2 * STEPS])
    assert_same_state(state(straight), state(objective))


def test_a_restored_run_draws_no_picture_of_an_untrained_network(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Pictures, "_write", lambda self: drawn.append(self.step))
    pictures = Pictures(tmp_path / "pictures", None, None)
    with pytest.raises(InterruptedError):
        run(toy(), tmp_path, [pictures, Fails(at=STEPS + 2)], last=True)
    assert drawn == [0, STEPS]
    drawn.clear()
    run(toy(), tmp_path, [pictures], last=True)
    assert drawn[:2] == [2 * STEPS, 3 * STEPS]


def test_weights_from_before_steps_were_counted_still_load(tmp_path, monkeypatch):
    old, new = toy(), toy()
    fit(old, data().take(2))
    with monkeypatch.context() as patch:
        patch.setattr(type(old), "save_own_variables", lambda self, store: None)
        old.save_weights(tmp_path / "old.weights.h5")
    new.build_optimizer()
    new.load_weights(tmp_path / "old.weights.h5")
    assert_same_state(state(old), state(new))
    assert new.steps_done == 0
