"""From a source of records to a tf.data stream of examples."""

import atexit
import functools
import logging
import threading
import time
import weakref

import numpy as np
import tensorflow as tf

from kcorr import schema
from kcorr.pipelines._seeds import SEED, first_seed, folded
from kcorr.pipelines.changes import as_is

_LOG = logging.getLogger("kcorr")
ERRORS = ("raise", "skip")
_READ, _SKIPPED, _CLOSED = 0, 1, 2
UNREADABLE = (ValueError, OSError, EOFError)  # what a damaged file raises; the rest is a bug


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
    """Streams the records of `source` as dicts of tensors.

    Indices are shuffled, not decoded pictures: the memory this takes does not depend on their
    size, and no more than `workers` records are read ahead. Order and seeds are pure functions of
    (`seed`, epoch, record, use), so every random decision downstream can be repeated.

    Args:
        source: a sequence of records (`kcorr.datasets`): `len`, `[]`, `names`.
        keys: record keys to take.
        seed: of the shuffling and of the examples' own seeds; any integer.
        shuffle: draw the records in another random order each epoch.
        repeat: endless, or one epoch.
        reuse: times in a row that a loaded record is handed on, each with its own seed; for
            sources that cost more than their augmentation.
        on_error: "raise" stops at a record that cannot be read, "skip" leaves it out with a
            warning that counts. A record that lacks a key is an error always.
        workers: records loaded at once.

    Returns:
        A `tf.data.Dataset` of dicts with `keys` and the example's stateless seed, sizes dynamic.
        Images are still uint8 here, which makes crops and flips four times cheaper; `random_colour`
        and `batches` make them float32 in [0, 1]. Everything else is float32.

    Raises:
        ValueError: an empty source, no or unknown keys, an unknown `on_error`, `reuse` or `workers`
            below 1. While it runs, tf.errors.InvalidArgumentError names the record and what is
            wrong with it.
    """
    keys = tuple(keys)
    unknown = [key for key in keys if key not in schema.FIELDS]
    if unknown or not keys:
        raise ValueError(f"keys must be names of kcorr.schema, got {', '.join(unknown) or 'none'}")
    if on_error not in ERRORS:
        raise ValueError(f"on_error must be one of {', '.join(ERRORS)}, got {on_error!r}")
    if reuse < 1 or workers < 1:
        raise ValueError(f"reuse and workers must be at least 1, got {reuse} and {workers}")
    if len(source) == 0:
        raise ValueError("the source holds no record: nothing to stream")
    loader = _Loader(source, keys, on_error)
    root = first_seed(seed)

    @as_is
    def order(epoch):
        if not shuffle:
            return tf.data.Dataset.range(len(source)).map(lambda index: (epoch, index))
        indices = tf.range(len(source), dtype=tf.int64)
        # A pure function of the seed, which the shuffle of tf.data is not; 8 bytes a record.
        indices = tf.random.experimental.stateless_shuffle(indices, folded(root, 0, epoch))
        return tf.data.Dataset.from_tensor_slices(indices).map(lambda index: (epoch, index))

    @as_is
    def load(epoch, index):
        state, *arrays = tf.numpy_function(
            loader, [index], [tf.int32, *(_DTYPES[key] for key in keys)], stateful=False
        )
        state.set_shape([])
        for key, array in zip(keys, arrays, strict=True):
            array.set_shape(_record_shape(key))
        example = dict(zip(keys, arrays, strict=True))
        return state, {**example, SEED: folded(root, 1, epoch, index)}

    epochs = tf.data.Dataset.counter() if repeat else tf.data.Dataset.range(1)
    stream = epochs.flat_map(order).map(load, num_parallel_calls=workers)
    stream = stream.take_while(as_is(lambda state, example: state != _CLOSED))
    if on_error == "skip":
        stream = stream.filter(as_is(lambda state, example: state == _READ))
    stream = stream.map(as_is(lambda state, example: example))
    if reuse > 1:
        stream = stream.flat_map(as_is(functools.partial(_uses, reuse=reuse)))
    return stream


def _uses(example, reuse):
    def use(number):
        return {**example, SEED: folded(example[SEED], number)}

    return tf.data.Dataset.range(reuse).map(use)


def _record_shape(key):
    """Shape without the batch axis; named axes are dynamic."""
    axes = schema.FIELDS[key].shape.split()[1:]
    return [int(axis) if axis.isdigit() else None for axis in axes]


_DTYPES = {key: tf.uint8 if key in schema.IMAGES else tf.float32 for key in schema.FIELDS}


class _Loader:
    """Reads one record as [state, array, ...]; counts what could not be read."""

    def __init__(self, source, keys, on_error):
        self.source, self.keys, self.on_error = source, keys, on_error
        self.lost, self.lock = set(), threading.Lock()
        self.closed, self.running = False, 0
        _OPEN.add(self)

    def __call__(self, index):
        with self.lock:
            if self.closed:
                return self._nothing(_CLOSED)
            self.running += 1
        try:
            return self._load(int(index))
        finally:
            with self.lock:
                self.running -= 1

    def _load(self, index):
        name = self.source.names[index]
        try:
            record = self.source[index]
            arrays = {key: _checked(key, record[key]) for key in self.keys if key in record}
            _check_sizes(arrays)
        except UNREADABLE as error:
            if self.on_error == "raise":
                raise ValueError(f"{name}: {error}") from error
            self._skip(index, name, error)
            return self._nothing(_SKIPPED)
        missing = [key for key in self.keys if key not in arrays]
        if missing:
            raise ValueError(
                f"{name}: the record has no {', '.join(missing)}, only {', '.join(record)}"
            )
        return [np.int32(_READ), *arrays.values()]

    def _nothing(self, state):
        shapes = {key: [size or 0 for size in _record_shape(key)] for key in self.keys}
        arrays = [np.zeros(shapes[key], _DTYPES[key].as_numpy_dtype) for key in self.keys]
        return [np.int32(state), *arrays]

    def _skip(self, index, name, error):
        with self.lock:
            new = index not in self.lost
            self.lost.add(index)
            count, total = len(self.lost), len(self.source)
        if new:
            _LOG.warning("skipped %s: %s (%d of %d skipped so far)", name, error, count, total)
        if count == total:
            raise ValueError(f"none of the {total} records can be read; the last: {name}: {error}")


def _checked(key, array):
    """The array in the stream's dtype, or ValueError."""
    array = np.asarray(array)
    wanted, shape = _DTYPES[key].as_numpy_dtype, _record_shape(key)
    fits = array.ndim == len(shape) and all(
        axis in (None, size) for axis, size in zip(shape, array.shape, strict=True)
    )
    if not fits or (wanted == np.uint8) != (array.dtype == np.uint8):
        axes = " ".join(schema.FIELDS[key].shape.split()[1:])
        raise ValueError(
            f"{key} is {array.dtype} {list(array.shape)}, expected {wanted.__name__} [{axes}]"
        )
    if wanted != np.uint8 and not np.isfinite(array).all():
        raise ValueError(f"{key} holds NaN or inf, expected 0 where it is unknown")
    return np.ascontiguousarray(array, wanted)


def _check_sizes(arrays):
    sizes = {
        array.shape[:2]
        for key, array in arrays.items()
        if schema.FIELDS[key].shape.startswith("b h w")
    }
    if len(sizes) > 1:
        found = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise ValueError(f"pictures and maps of one record differ in size: {found}")


_OPEN = weakref.WeakSet()


@atexit.register
def _close():
    """Ends what streams still read ahead when Python exits.

    Their threads would wait for ever for an interpreter that is gone, and TensorFlow for its
    threads. A closed loader ends its stream, so what is left is to wait for records being read.
    """
    loaders = list(_OPEN)
    for loader in loaders:
        loader.closed = True
    deadline = time.monotonic() + 5
    while any(loader.running for loader in loaders) and time.monotonic() < deadline:
        time.sleep(0.01)
    if loaders:
        time.sleep(0.05)  # until the calls that were refused have come back
