"""Dense labels without labels: each pixel must find itself in the other view of the object."""

import numpy as np
import tensorflow as tf
from keras import ops

from kcorr import schema
from kcorr.objectives.views import TwoViewObjective
from kcorr.ops import expected_distance, masked_mean, matching_log_loss
from kcorr.ops._backend import take_rows
from kcorr.ops.lattice import at_cells, cell_axes, cell_strides, mask_at_cells

LOSSES = ("distance", "log")
_EVERY = 4  # cells between two sources of the evaluation


class ObjectFrameObjective(TwoViewObjective):
    """Labels of a pixel and of its match must be more alike than all others, near ones excepted.

    One objective for the whole family:

    - the dense object frame (NeurIPS 2017): 3 dimensions, the defaults;
    - symmetric frames (NeurIPS 2018): pairs that `kcorr.pipelines.mirror_second` made, or `group`;
    - vector exchange (ICCV 2019, DVE; in the thesis EVC): `exchange=1` and 16 or more dimensions.

    Batches: image1, image2, grid; valid if `masked`; mirrored if some pairs are. In a mirrored pair
    channel 0 of the label of image1 changes its sign: the plane of symmetry is where it is 0.

    Args:
        network: returns `labels` [b, h, w, c], as `kcorr.models.ObjectFrameNet`.
        loss: "distance": the expected distance of the match; "log": minus the log-probability of
            the right cell.
        power: gamma, of the distance in pixels; the papers have 1 and, later always, 0.5.
        exchange: how many other examples of the batch each label must first be rebuilt from, so
            that it means the same on all of them. 1 is the released code's: the first view of the
            next pair. Several share one softmax over all their pixels; the thesis draws 5 of a
            separate pool of 16 for animals, here they are the next pairs of the batch, which is
            shuffled anyway. 0 is none. Evaluation does without where a batch is known to have no
            `exchange` other examples.
        normalise: whether labels get length 20 before they are compared (True), or another one (a
            number). The released configurations of SmallNet do not when they train and do when
            they are fine-tuned, those of the hourglass always do: say which.
        group: [n, 3, 3] matrices of an ambiguous symmetry (`kcorr.ops.rotations(n)` for n equal
            legs): the loss of a pair is that of its best matrix.
        masked: see `TwoViewObjective`.
        lattice: "centre", or "topleft" for parity with the released code; see `kcorr.ops.lattice`.
        chunk: see `kcorr.ops.expected_distance`.
        **kwargs: of `Objective`.

    Terms: `matching`, in pixels^power or nats. Observed, both in pixels: `match`, the mean distance
    of the most similar cell from the true place, over every fourth cell and row that counts, and
    `match_zero`, the same if each were sought where it is in image1. With a `group` the best
    matrix' of each pair.

    Raises:
        ValueError: an unknown `loss`, or a negative `exchange`; while it learns, a batch that has
            no `exchange` other examples.
    """

    term_names = ("matching",)
    observed_names = ("match", "match_zero")

    def __init__(
        self,
        network,
        loss="distance",
        power=0.5,
        exchange=0,
        normalise=False,
        group=None,
        masked=True,
        lattice="centre",
        chunk=None,
        **kwargs,
    ):
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        if exchange < 0:
            raise ValueError(f"exchange must be 0 or more examples, got {exchange}")
        super().__init__(network, masked, **kwargs)
        self.loss_name, self.power, self.exchange = loss, power, exchange
        self.group = None if group is None else np.asarray(group, "float32")
        self.normalise, self.lattice, self.chunk = normalise, lattice, chunk

    def terms(self, batch, training):
        """{"matching": [b]}."""
        first, second = (output[schema.LABELS] for output in self.views(batch, training))
        options = {
            "mask": self.mask(batch),
            "aux": self.auxiliaries(first) if self._exchanges(first, training) else None,
            "normalise": self.normalise,
            "group": self.group,
            "mirror": batch.get(schema.MIRRORED),
            "lattice": self.lattice,
            "chunk": self.chunk,
        }
        if self.loss_name == "log":
            return {"matching": matching_log_loss(first, second, batch[schema.GRID], **options)}
        return {
            "matching": expected_distance(first, second, batch[schema.GRID], self.power, **options)
        }

    def _exchanges(self, labels, training):
        enough = labels.shape[0] is None or labels.shape[0] > self.exchange
        return self.exchange and (training or enough)

    def auxiliaries(self, labels):
        """Labels of the next examples of the batch: [b, h, w, c], or [b, exchange, h, w, c]."""
        message = (
            f"exchange={self.exchange} needs batches of at least {self.exchange + 1} examples: "
            "an example must not be rebuilt from itself"
        )
        if labels.shape[0] is not None and labels.shape[0] <= self.exchange:
            raise ValueError(f"{message}; this one has {labels.shape[0]}")
        enough = tf.debugging.Assert(tf.shape(labels)[0] > self.exchange, [message])
        with tf.control_dependencies([enough] if enough is not None else []):
            others = [ops.roll(labels, -k, axis=0) for k in range(1, self.exchange + 1)]
        return others[0] if self.exchange == 1 else ops.stack(others, axis=1)

    def observe(self, batch):
        """{"match": [b], "match_zero": [b]} in pixels."""
        first, second = (output[schema.LABELS] for output in self.views(batch, False))
        height, width = ops.shape(first)[1:3]
        grid = batch[schema.GRID]
        places, counts = at_cells("observe", grid, height, width, self.lattice)
        if schema.VALID in batch:
            counts *= mask_at_cells("observe", batch[schema.VALID], height, width, self.lattice)
        if schema.MIRRORED in batch:
            sign = 1.0 - 2.0 * ops.reshape(batch[schema.MIRRORED], [-1, 1, 1, 1])
            first = ops.concatenate([first[..., :1] * sign, first[..., 1:]], axis=-1)
        some = [self._some(x, height, width) for x in (first, places, counts)]
        own = self._cells(first, grid)
        zero = _error(self._some(own[None], height, width), *some[1:])
        sources = [some[0]] if self.group is None else self._turned(some[0])
        targets = ops.reshape(second, [ops.shape(second)[0], -1, second.shape[-1]])
        cells = self._cells(second, grid)
        errors = []
        for source in sources:
            alike = ops.matmul(source, ops.transpose(targets, [0, 2, 1]))
            errors.append(_error(take_rows(cells, ops.argmax(alike, axis=-1)), *some[1:]))
        return {"match": ops.min(ops.stack(errors), axis=0), "match_zero": zero}

    def _some(self, x, height, width):
        """Every fourth cell of every fourth row of [b, h w or h, w, c]: [b, n, c]."""
        channels = x.shape[-1]
        x = ops.reshape(x, [-1, height, width, channels])[:, 1::_EVERY, 1::_EVERY]
        return ops.reshape(x, [ops.shape(x)[0], -1, channels])

    def _cells(self, labels, grid):
        """Places of all cells in pixels, [h w, 2]."""
        height, width = ops.shape(labels)[1:3]
        strides = cell_strides("observe", grid, height, width)
        x, y = ops.meshgrid(*cell_axes(height, width, strides, self.lattice))
        return ops.reshape(ops.stack([x, y], axis=-1), [-1, 2])

    def _turned(self, source):
        return [
            ops.concatenate([ops.matmul(source[..., :3], matrix.T), source[..., 3:]], axis=-1)
            for matrix in self.group
        ]


def _error(found, places, counts):
    distance = ops.sqrt(ops.sum(ops.square(found - places), axis=-1, keepdims=True))
    return masked_mean(distance, counts)
