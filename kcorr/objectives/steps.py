"""Counting the steps of a run, over epochs, calls of fit, and restarts."""

import math

import keras


def plain_logs(logs):
    """Logs as JSON can hold them: {name: float, or None where it is not finite}."""
    numbers = {name: float(value) for name, value in (logs or {}).items()}
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def update_count(objective):
    """Updates the optimizer has made, as int: the steps less the skipped ones."""
    # int(variable) fails on a mirrored variable.
    return int(keras.ops.convert_to_numpy(objective.optimizer.iterations))


class StepCallback(keras.callbacks.Callback):
    """A callback that knows `self.step`, the steps taken since the run began, restarts included.

    Steps are counted, not read from `optimizer.iterations`: a skipped step is a step. A subclass
    that overrides one of the methods below calls it first.
    """

    step = 0

    def on_train_begin(self, logs=None):
        self.step = self.model.steps_done

    def on_epoch_begin(self, epoch, logs=None):
        # Read again: a BackupAndRestore that stands behind this callback restores after it.
        self._first = self.step = self.model.steps_done

    def on_train_batch_end(self, batch, logs=None):
        # Not read from the objective: that would wait for the device after every step.
        self.step = self._first + batch + 1

    def on_epoch_end(self, epoch, logs=None):
        # With steps_per_execution Keras' last batch of an epoch may be one that there was not.
        self.step = self.model.steps_done


class StopAt(StepCallback):
    """Ends `fit` after exactly `steps` steps in all, in the middle of an epoch if need be.

    With `steps_per_execution` it ends with the execution in which that step is taken.
    """

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.step >= self.steps:
            self.model.stop_training = True
