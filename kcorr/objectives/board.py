"""What TensorBoard shows of a run."""

import importlib.util
from pathlib import Path

import numpy as np
import tensorflow as tf

from kcorr.objectives.logs import learning_rate
from kcorr.objectives.pictures import draw_batch
from kcorr.objectives.steps import StepCallback


class Board(StepCallback):
    """Writes event files: scalars of every epoch, and pictures of a fixed batch.

    Training and validation are two runs, FOLDER/train and FOLDER/validation, so that TensorBoard
    lays a loss and its `val_` twin into one diagram. Look at them by `tensorboard --logdir FOLDER`.
    A resumed run adds a file.

    Args:
        folder: where the event files go.
        batch, draw: of pictures, see `kcorr.objectives.draw_batch`; None for scalars only.
        every: epochs between pictures.

    Raises:
        ValueError: only one of `batch` and `draw`, or `every` below 1.
        ImportError: the package tensorboard, to which tf.summary hands on, is not installed.
    """

    def __init__(self, folder, batch=None, draw=None, every=1):
        super().__init__()
        if importlib.util.find_spec("tensorboard") is None:
            raise ImportError("Board needs the package tensorboard: pip install tensorboard")
        if (batch is None) != (draw is None):
            raise ValueError("pictures need both batch and draw, got one of them")
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch, got {every}")
        self.folder, self.batch, self.draw, self.every = Path(folder), batch, draw, every

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._train = tf.summary.create_file_writer(str(self.folder / "train"))
        self._validation = None

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if self.step == 0:
            self._pictures()

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        logs = dict(logs or {})
        held_out = {name[4:]: logs.pop(name) for name in list(logs) if name.startswith("val_")}
        self._scalars(self._train, {**logs, "learning_rate": learning_rate(self.model)})
        if held_out:
            if self._validation is None:
                path = str(self.folder / "validation")
                self._validation = tf.summary.create_file_writer(path)
            self._scalars(self._validation, held_out)
        if (epoch + 1) % self.every == 0:
            self._pictures()

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        for writer in (self._train, self._validation):
            if writer is not None:
                writer.close()

    def _scalars(self, writer, values):
        with writer.as_default(step=self.step):
            for name, value in values.items():
                tf.summary.scalar(name, float(value))
        writer.flush()

    def _pictures(self):
        if self.draw is None:
            return
        pictures = draw_batch(self.model, self.batch, self.draw)
        with self._train.as_default(step=self.step):
            for name, picture in pictures.items():
                tf.summary.image(name, np.asarray(picture)[None])
        self._train.flush()
