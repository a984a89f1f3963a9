"""Pictures of what the network makes of one fixed batch, while it learns.

How they are drawn is passed in, because drawing (`kcorr.viz`) stands above the objectives.
"""

from pathlib import Path

import keras
import numpy as np

from kcorr.io import atomic_write
from kcorr.objectives.averages import averaged
from kcorr.objectives.steps import StepCallback


def draw_batch(objective, batch, draw):
    """Draws the network's output for `batch`; with averaged weights where the optimizer has them.

    Args:
        objective: compiled and built.
        batch: {name: array}, what the network takes and what `draw` wants to see beside it.
        draw: function of (batch, output), both dicts of numpy arrays (lists of arrays for
            pyramids), that returns {name: uint8 [h, w, 3]}.

    Returns:
        What `draw` returns.
    """
    with averaged(objective):
        output = objective.network(
            {key: keras.ops.convert_to_tensor(value) for key, value in batch.items()},
            training=False,
        )
    output = keras.tree.map_structure(keras.ops.convert_to_numpy, output)
    return draw({key: np.asarray(value) for key, value in batch.items()}, output)


class Pictures(StepCallback):
    """Writes FOLDER/NAME_STEP.png: before training, after every `every` epochs, and at the end.

    The pictures of step 0 show the network before it has learnt anything.

    Args:
        folder: where the pictures go; created if missing.
        batch, draw: see `draw_batch`.
        every: epochs between pictures.

    Raises:
        ValueError: `every` below 1.
    """

    def __init__(self, folder, batch, draw, every=1):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch, got {every}")
        self.folder, self.batch, self.draw, self.every = Path(folder), batch, draw, every
        self._drawn = None

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if self.step == 0:
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if (epoch + 1) % self.every == 0:
            self._write()

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if self._drawn != self.step:
            self._write()

    def _write(self):
        from PIL import Image

        self._drawn = self.step
        for name, picture in draw_batch(self.model, self.batch, self.draw).items():
            with atomic_write(self.folder / f"{name}_{self.step:08d}.png") as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")
