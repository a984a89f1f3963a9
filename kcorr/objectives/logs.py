"""The log of a run, one JSON object a line."""

import json
import time

import keras

from kcorr.io import atomic_write
from kcorr.objectives.steps import StepCallback, plain_logs


class JsonLines(StepCallback):
    """Appends one JSON object at every epoch's end, and every `every` steps in between.

    Keys: `step`, `seconds` (of this process's training so far), `learning_rate`, the logs (means
    over the epoch so far, null where not finite), and at an epoch's end `epoch`, counted from 0.

    When the first epoch begins, lines beyond the step that was restored are dropped, a half-written
    last line too: each step is in the file once, however often the run was killed. A run that
    begins at step 0 begins a new log.

    Args:
        path: the file; its folder must exist.
        every: steps between lines within an epoch, None for epochs only.

    Raises:
        ValueError: `every` below 1.
    """

    def __init__(self, path, every=None):
        super().__init__()
        if every is not None and every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}")
        self.path, self.every = path, every
        self._waiting = None

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._started = time.monotonic()
        self._opened = False

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if self._opened:
            return
        self._opened = True
        lines = [line for line in _read(self.path) if _step(line) <= self.step] if self.step else []
        with atomic_write(self.path) as temporary:
            temporary.write_text("".join(lines))

    def on_train_batch_begin(self, batch, logs=None):
        if self._waiting:
            self._append(self._waiting)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.every and self.step % self.every == 0:
            # Not written yet: if the epoch ends here, its line stands for this step.
            self._waiting = self._line(logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._append({**self._line(logs), "epoch": epoch})

    def _line(self, logs):
        return {
            "step": self.step,
            "seconds": round(time.monotonic() - self._started, 3),
            **plain_logs({"learning_rate": learning_rate(self.model)}),
            **plain_logs(logs),
        }

    def _append(self, line):
        self._waiting = None
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")


def learning_rate(objective):
    """The learning rate of the next step, as float."""
    return float(keras.ops.convert_to_numpy(objective.optimizer.learning_rate))


def _read(path):
    try:
        with open(path, errors="replace") as file:
            return file.readlines()
    except FileNotFoundError:
        return []


def _step(line):
    """The step of a line, infinity if it is none of ours or not complete."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")
