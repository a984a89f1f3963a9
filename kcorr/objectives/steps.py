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
        self._first = self.step

    def on_train_batch_end(self, batch, logs=None):
        self.step = self._first + batch + 1

    def on_train_end(self, logs=None):
        self.model.steps_done = self.step


class StopAt(StepCallback):
    """Ends `fit` after exactly `steps` steps in all, in the middle of an epoch if need be."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.step >= self.steps:
            self.model.stop_training = True
