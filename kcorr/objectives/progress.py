"""How far a run is, for the person who waits for it."""

import logging
import math
import sys
import time

from kcorr.objectives.steps import StepCallback

_LOG = logging.getLogger("kcorr")
_RARE = ("skipped_steps",)  # shown only when not 0


class Progress(StepCallback):
    """A bar with steps, loss terms, speed and time left; where no terminal is, a line an epoch.

    It writes to stderr and never ends a run: what goes wrong while drawing switches the display
    off, with one warning. Use it as a context, so that an exception in `fit` leaves the terminal
    as it was:

        with Progress(total=1000) as progress:
            objective.fit(..., callbacks=[progress], verbose=0)

    Args:
        total: steps of the whole run, restarts included; None takes what `fit` was asked for.
        terminal: True or False instead of looking whether the stream is a terminal.
        stream: where to write, default stderr.
    """

    def __init__(self, total=None, terminal=None, stream=None):
        super().__init__()
        self.total, self._stream = total, stream or sys.stderr
        self._terminal = self._stream.isatty() if terminal is None else terminal
        self._bar, self._broken = None, False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Ends the display; may be called at any time, more than once."""
        if self._bar is not None:
            bar, self._bar = self._bar, None
            self._guarded(bar.stop)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._first_step, self._first_time = None, None
        self._total = self.total
        if self._total is None:
            per_epoch, epochs = self.params.get("steps"), self.params.get("epochs")
            self._total = per_epoch * epochs if per_epoch and epochs else None
        if self._terminal:
            self._guarded(self._open)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self._first_step is None:
            self._first_step, self._first_time = self.step, time.monotonic()
        if self._bar is not None:
            self._guarded(lambda: self._move(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self._bar is not None:
            self._guarded(lambda: self._move(logs))
        elif not self._terminal:
            self._guarded(lambda: print(self._line(logs), file=self._stream, flush=True))

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self.close()

    def _open(self):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        self._bar = Bar(
            TextColumn("[bold]step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[values]}", table_column=Column(no_wrap=True, ratio=1)),
            TextColumn("[cyan]{task.fields[speed]}"),
            console=Console(file=self._stream, force_terminal=True),
        )
        self._task = self._bar.add_task(
            "", total=self._total, completed=self.step, values="", speed=""
        )
        self._bar.start()

    def _move(self, logs):
        self._bar.update(self._task, completed=self.step, values=_values(logs), speed=self._speed())

    def _line(self, logs):
        of = "" if self._total is None else f"/{self._total}"
        return f"step {self.step}{of}  {_values(logs)}  {self._speed()}"

    def _speed(self):
        """Mean speed and the time left at it; without the first step, which compiles."""
        if self._first_step is None or self.step == self._first_step:
            return ""
        done, seconds = self.step - self._first_step, time.monotonic() - self._first_time
        rate = done / max(seconds, 1e-9)
        text = f"{rate:.3g} steps/s"
        if self._total is None:
            return text
        return f"{text}  {_duration(max(0, self._total - self.step) / rate)} left"

    def _guarded(self, action):
        if self._broken:
            return
        try:
            action()
        except Exception as error:  # whatever a terminal or rich may do, the training goes on
            self._broken, self._bar = True, None
            _LOG.warning("the progress display failed and is switched off: %s", error)


def _values(logs):
    numbers = {name: float(value) for name, value in (logs or {}).items()}
    shown = {name: value for name, value in numbers.items() if name not in _RARE or value}
    return "  ".join(f"{name} {_number(value)}" for name, value in shown.items())


def _number(value):
    return f"{value:.4g}" if math.isfinite(value) else "nan"


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
