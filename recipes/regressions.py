"""What regressions of annotated points share: few shots, errors in per cent, a line of progress."""

import sys
import time

import numpy as np

from recipes import common, objects
from recipes.object_tables import DEVIATION

SHOTS = (1, 5, 10, 20)
SEEDS = 3  # draws of the few shots


def by_shots(count, error_of, name="{shots} shots"):
    """What is learned from few pictures: {measure: mean, measure and `DEVIATION`: of the draws}.

    Args:
        count: pictures there are; numbers of shots are below it.
        error_of: function of (picks, seed): the error in per cent of what learns from those.
        name: of a measure.
    """
    from kcorr.metrics import few_shot

    found = {}
    for shots in (number for number in SHOTS if number < count):
        errors = [error_of(few_shot(count, shots, seed), seed) for seed in range(SEEDS)]
        measure = f"{name.format(shots=shots)} %"
        found |= {measure: float(np.mean(errors)), measure + DEVIATION: float(np.std(errors))}
    return found


def known_points(visible):
    """Which points [n] are known in any picture, from visible [b, n, 1]: others are not learned."""
    return (np.asarray(visible)[..., 0] > 0.5).any(axis=0)


def per_cent(predicted, shown, points, visible, learned=None):
    """Mean error in per cent of the eyes' distance, or of the pictures' width where there are none.

    Each point that counts counts the same, however many its picture has.

    Args:
        predicted: [b, k, 2] pixels, the k points that were learned.
        shown: an `Objects`.
        points: [b, n, 2] pixels, the true ones.
        visible: [b, n, 1].
        learned: [n] booleans of which k are True; None for all.
    """
    from kcorr.metrics import inter_ocular_error, point_errors
    from kcorr.metrics.points import mean_of

    visible = np.asarray(visible)
    learned = np.ones(points.shape[1], bool) if learned is None else learned
    whole = np.zeros(points.shape)
    whole[:, learned] = predicted
    counted = visible * learned[:, None]
    if shown.eyes is None:
        return 100 * mean_of(point_errors(whole, points, counted)) / objects.side()
    try:
        errors = inter_ocular_error(whole, points, shown.eyes, counted)
    except ValueError as error:
        raise common.UserError(f"--data={objects.data_name()}, test pictures: {error}") from error
    number = (counted > 0.5).sum(axis=(1, 2))
    some = number > 0
    return float(np.average(errors[some], weights=number[some])) if some.any() else np.nan


def progress(text, seconds=30, stream=None):
    """A Keras callback that says how far a fit is.

    Args:
        text: what is fitted.
        seconds: between two lines where there is no terminal, so that short fits are silent; at a
            terminal one line changes.
        stream: where to write, default stderr.
    """
    import keras

    stream = stream or sys.stderr

    class Line(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.said = time.monotonic()

        def on_epoch_end(self, epoch, logs=None):
            line = f"{text}: epoch {epoch + 1} of {self.params['epochs']}"
            if stream.isatty():
                print(f"\r{line}", end="", file=stream, flush=True)
            elif time.monotonic() - self.said >= seconds:
                self.said = time.monotonic()
                print(line, file=stream, flush=True)

        def on_train_end(self, logs=None):
            if stream.isatty():
                print("\r\033[K", end="", file=stream, flush=True)  # the line goes

    return Line()
