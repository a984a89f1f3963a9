"""The end of a pipeline: batches, floats, prefetching, and what belongs to a batch as a whole."""

import tensorflow as tf

from kcorr import schema
from kcorr.pipelines._seeds import SEED, first_seed, folded
from kcorr.pipelines.changes import as_is, mapped
from kcorr.pipelines.colour import to_float
from kcorr.pipelines.geometry import crop_offset


def batches(stream, batch_size, mixing=0, seed=0):
    """Batches of the examples of `stream`.

    Args:
        stream: dataset of examples of one size.
        batch_size: examples a batch; a last, smaller batch is dropped.
        mixing: examples held back to be shuffled again, 0 for none. Only needed where `reuse` put
            copies of one record next to each other.
        seed: of the mixing.

    Returns:
        A `tf.data.Dataset` of dict batches, images float32 in [0, 1], two batches prefetched.
    """
    stream = mapped(stream, lambda example: {k: v for k, v in example.items() if k != SEED})
    if mixing:
        # The same order each time the dataset is iterated: epochs are the stream's business.
        stream = stream.shuffle(mixing, seed=seed % 2**62, reshuffle_each_iteration=False)
    return mapped(stream.batch(batch_size, drop_remainder=True), to_float).prefetch(2)


def with_common_crop_offset(stream, size, seed=0, authors=False):
    """Adds one random `crop` for all examples of a batch, as the code of DDFlow does.

    `with_crop_offset` draws one for each example, which is the better mix.

    Args:
        stream: dataset of batches.
        size: (height, width) of the student's crop.
        seed: any integer.
        authors: see `with_crop_offset`.

    Returns:
        The dataset, with `crop` float32 [b, 2], (x, y) in pixels.
    """
    root = first_seed(seed)

    def add(number, batch):
        shape = tf.shape(batch[schema.IMAGE1])
        corner = crop_offset({SEED: folded(root, number)}, shape[1:3], size, authors)
        return {**batch, schema.CROP: tf.broadcast_to(corner, [shape[0], 2])}

    return stream.enumerate().map(as_is(add))
