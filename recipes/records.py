"""Records outside a training stream: read one by one, or all of them once, and what broke a stream.

What --on_error says of records that cannot be read is an argument here.
"""

import logging
import re

from recipes import common

_LOG = logging.getLogger("kcorr")


class Reader:
    """Reads the records of a source, as --on_error says; `lost` counts those it could not.

    Args:
        source: of records.
        on_error: "raise" stops at a record that cannot be read, "skip" leaves it out with a
            warning that counts.
        quiet: no warnings, where others read the same records and warn.

    Raises:
        UserError: (when it reads) a record cannot be read; with "skip" only if none can.
    """

    def __init__(self, source, on_error, quiet=False):
        self.source, self.on_error, self.quiet, self.lost = source, on_error, quiet, 0

    def __call__(self, index):
        """The record, or None where it is left out."""
        from kcorr.pipelines.records import UNREADABLE

        name, total = self.source.names[index], len(self.source)
        try:
            return self.source[index]
        except UNREADABLE as error:
            if self.on_error == "raise":
                raise common.UserError(_line(name, str(error)) + common.LEAVES_OUT) from error
            self.lost += 1
            if not self.quiet:
                _LOG.warning("skipped %s: %s (%d of %d skipped)", name, error, self.lost, total)
            if self.lost == total:
                raise common.UserError(
                    f"none of the {total} records can be read; the last: {name}: {error}"
                ) from error
            return None


def readable(source, on_error):
    """The records that can be read; with "skip" each is read once to find out."""
    from kcorr.datasets import Subset

    if on_error == "raise":
        return source  # the first broken one will raise where it is used
    read = Reader(source, on_error)
    return Subset(source, [index for index in range(len(source)) if read(index) is not None])


def nearest(source, index, on_error):
    """The record at `index`, with "skip" the nearest one to it that can be read."""
    read = Reader(source, on_error, quiet=True)
    for distance in range(len(source)):
        for other in dict.fromkeys((index + distance, index - distance)):
            if 0 <= other < len(source):
                record = read(other)
                if record is not None:
                    return record
    raise common.UserError("the source holds no record")


def once(source, keys, change=None):
    """The records one by one, in order, as a dataset of batches that `fit` can validate with.

    Args:
        source: of records that can be read.
        keys: of a record.
        change: one change of an example, None for none.
    """
    import tensorflow as tf

    from kcorr import pipelines

    stream = pipelines.examples(source, keys, shuffle=False, repeat=False)
    if change:
        stream = pipelines.mapped(stream, change)
    # Without its length Keras warns, after each epoch, that the validation data ran out.
    known = tf.data.experimental.assert_cardinality(len(source))
    return pipelines.batches(stream, 1).apply(known)


def stream_error(error, hint=""):
    """What is wrong with a record or a picture, if that is what ended a stream, else None.

    Args:
        error: any exception. TensorFlow wraps what a stream of `kcorr.pipelines.examples` raises:
            the record's own line stands in the middle of graph nodes and stack traces.
        hint: said after what cannot be read.
    """
    text = str(error)
    if type(error).__name__ != "InvalidArgumentError" or "IteratorGetNext" not in text:
        return None
    raised = re.search(r"transformation with iterator: \S+ ValueError: (.*?): (.*)", text)
    if raised:
        return _line(*raised.groups()) + hint
    asserted = re.search(r"transformation with iterator: \S+ assertion failed: (\[.*\])", text)
    return asserted and " ".join(re.findall(r"\[(.*?)\]", asserted[1])).replace("\\'", "'")


def _line(name, text):
    """What is wrong with the record `name`; a file's own line names it: it begins with the path."""
    return text if text.partition(": ")[0].endswith(name) else f"{name}: {text}"
