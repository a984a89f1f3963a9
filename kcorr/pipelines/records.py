"""From a source of records to a tf.data stream of float examples."""

import functools
import logging
import threading

import numpy as np
import tensorflow as tf

from kcorr import schema

_LOG = logging.getLogger("kcorr")
SEED = "seed"  # int32 [2], the stateless seed of an example; dropped before batching
ERRORS = ("raise", "skip")


def examples(
    source,
    keys=(schema.IMAGE1, schema.IMAGE2),
    seed=0,
    shuffle=True,
    repeat=True,
    reuse=1,
    on_error="raise",
    workers=2,
):
    """Streams the records of `source` as dicts of float32 tensors.

    Indices are shuffled, not decoded pictures: the memory this takes does not depend on their
    size. The example's `seed` is a pure function of (`seed`, epoch, index, use), so every random
    decision downstream can be repeated.

    Args:
        source: a sequence of records (`kcorr.datasets`): `len`, `[]`, `names`.
        keys: record keys to take; images become float32 in [0, 1].
        seed: of the shuffling and of the examples' own seeds.
        shuffle: draw the records in another random order each epoch.
        repeat: endless, or one epoch.
        reuse: times in a row that a loaded record is handed on, each with its own seed; for
            sources that cost more than their augmentation.
        on_error: "raise" stops at a record that cannot be read, "skip" leaves it out with a
            warning that counts.
        workers: records loaded at once.

    Returns:
        A `tf.data.Dataset` of dicts with `keys` and `SEED`; sizes are dynamic.

    Raises:
        ValueError: an empty source or an unknown `on_error`.
    """
    if on_error not in ERRORS:
        raise ValueError(f"on_error must be one of {', '.join(ERRORS)}, got {on_error!r}")
    if len(source) == 0:
        raise ValueError("the source holds no record: nothing to stream")
    loader = _Loader(source, keys, on_error)
    epochs = tf.data.Dataset.counter() if repeat else tf.data.Dataset.range(1)

    def epoch_indices(epoch):
        indices = tf.data.Dataset.range(len(source))
        if shuffle:
            indices = indices.shuffle(len(source), seed=tf.cast(seed, tf.int64) + epoch)
        return indices.map(lambda index: (epoch, index))

    def load(epoch, index):
        arrays = tf.numpy_function(
            loader, [index], [tf.bool, *([tf.float32] * len(keys))], stateful=False
        )
        found, arrays = arrays[0], dict(zip(keys, arrays[1:], strict=True))
        found.set_shape([])
        for key, value in arrays.items():
            value.set_shape([None, None, int(schema.FIELDS[key].shape[-1])])
        mixed = tf.stack([seed * 7919 + tf.cast(epoch, tf.int32), tf.cast(index, tf.int32)])
        return found, {**arrays, SEED: mixed}

    stream = epochs.flat_map(epoch_indices).map(load, num_parallel_calls=workers)
    stream = stream.filter(_found).map(_example)
    if reuse > 1:
        stream = stream.flat_map(functools.partial(_uses, reuse=reuse))
    return stream


def _found(found, example):
    return found


def _example(found, example):
    return example


def _uses(example, reuse):
    def use(number):
        shift = tf.stack([tf.cast(number, tf.int32) * 65536, 0])
        return {**example, SEED: example[SEED] + shift}

    return tf.data.Dataset.range(reuse).map(use)


class _Loader:
    """Reads one record as float32 arrays; counts what could not be read."""

    def __init__(self, source, keys, on_error):
        self.source, self.keys, self.on_error = source, keys, on_error
        self.lost, self.lock = set(), threading.Lock()

    def __call__(self, index):
        try:
            record = self.source[int(index)]
            missing = [key for key in self.keys if key not in record]
            if missing:
                raise ValueError(f"the record has no {', '.join(missing)}")
            return [np.True_, *(_as_float(record[key]) for key in self.keys)]
        except Exception as error:
            name = self.source.names[int(index)]
            if self.on_error == "raise":
                raise ValueError(f"{name}: {error}") from error
            with self.lock:
                self.lost.add(int(index))
                _LOG.warning("skipped %s: %s (%d skipped so far)", name, error, len(self.lost))
            return [np.False_, *(np.zeros((1, 1, 1), np.float32) for _ in self.keys)]


def _as_float(array):
    if array.dtype == np.uint8:
        return array.astype(np.float32) * np.float32(1 / 255)
    return np.ascontiguousarray(array, np.float32)
