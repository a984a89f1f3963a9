"""What objectives of single objects share: a network of one picture sees two views of each."""

import tensorflow as tf
from keras import ops

from kcorr import schema
from kcorr.objectives.objective import Objective


class TwoViewObjective(Objective):
    """An objective whose network sees one picture at a time and learns from pairs of views.

    Both views go through the network as one batch, so that batch normalisation sees both.

    Args:
        network: takes {"image": [b, h, w, 3]}.
        masked: whether positions that `valid` of the batch leaves out do not count. The papers
            have no mask; they cut the border off.
        weights, clip_norm: of `Objective`.

    Running means of batch normalisation that are not finite after a step go back to what they were:
    a batch that spoils a step, which is then skipped, must not spoil the network.
    """

    def __init__(self, network, masked=True, **kwargs):
        super().__init__(network, **kwargs)
        self.masked = masked

    def call(self, inputs, training=False):
        """The network's output for pictures, {"image": [b, h, w, 3]}, or for image1 of a batch."""
        image = inputs["image"] if "image" in inputs else inputs[schema.IMAGE1]
        return self.network({"image": image}, training=training)

    def views(self, batch, training):
        """The network's outputs for image1 and for image2, two dicts."""
        images = ops.concatenate([batch[schema.IMAGE1], batch[schema.IMAGE2]], axis=0)
        outputs = self.network({"image": images}, training=training)
        halves = {key: ops.split(value, 2, axis=0) for key, value in outputs.items()}
        return tuple({key: half[i] for key, half in halves.items()} for i in (0, 1))

    def mask(self, batch):
        """Which positions of image1 count, or None for all."""
        return batch.get(schema.VALID) if self.masked else None

    def train_step(self, batch):
        """One update of the network, see `Objective`."""
        running = self.network.non_trainable_variables
        before = [tf.identity(variable.value) for variable in running]
        logs = super().train_step(batch)
        for variable, old in zip(running, before, strict=True):
            new = tf.convert_to_tensor(variable.value)
            variable.assign(tf.where(tf.reduce_all(tf.math.is_finite(new)), new, old))
        return logs
