"""Changes of single examples, as tf.data applies them."""

import tensorflow as tf

# For functions that tf.data is to take as they are: AutoGraph would read and rewrite their sources
# and all they call, a second or two at the start of each run, though none has Python control flow
# on tensors. It holds for what they map inside, too.
as_is = tf.autograph.experimental.do_not_convert


def mapped(stream, *changes, workers=None):
    """The examples of `stream` after all changes, one after the other.

    What `stream.map` does, but in one function and without AutoGraph, which kcorr's changes do not
    need. One of yours with Python control flow on tensors (`if` on a tensor) does: `stream.map` it.

    Args:
        stream: a `tf.data.Dataset` of examples or batches.
        changes: functions of one example that return it changed, such as `random_flips`.
        workers: examples changed at once, None lets tf.data choose; their order is kept.

    Returns:
        A `tf.data.Dataset`.
    """

    @as_is
    def change(example):
        for one in changes:
            example = one(example)
        return example

    workers = tf.data.AUTOTUNE if workers is None else workers
    return stream.map(change, num_parallel_calls=workers) if changes else stream
