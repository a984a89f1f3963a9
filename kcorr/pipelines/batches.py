"""The end of a pipeline: fixed sizes, batches, prefetching."""

import tensorflow as tf

from kcorr.pipelines.records import SEED


def batches(stream, batch_size, mixing=0, seed=0):
    """Batches of the examples of `stream`.

    Args:
        stream: dataset of examples of one size.
        batch_size: examples a batch; a last, smaller batch is dropped.
        mixing: examples held back to be shuffled again, 0 for none. Only needed where `reuse` put
            copies of one record next to each other.
        seed: of the mixing.

    Returns:
        A `tf.data.Dataset` of dict batches, prefetched.
    """
    stream = stream.map(lambda example: {k: v for k, v in example.items() if k != SEED})
    if mixing:
        stream = stream.shuffle(mixing, seed=seed)
    return stream.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
