"""The source convention: a sequence of named records, and the few ways to combine sources.

A source is anything with `len(source)`, `source.names` (unique, stable strings) and `source[i]`, a
dict of numpy arrays under the keys of `kcorr.schema`. `Source` is a convenient base, not a
requirement. Reading a record happens in `source[i]`, never earlier, so a source can be shuffled by
its names; a file that turns out broken raises there, and the pipeline decides what follows.
"""

import operator
from bisect import bisect_right
from itertools import accumulate

from kcorr.schema import IMAGE1, IMAGE2


class Source:
    """A sequence of records.

    A subclass sets `names` and implements `_read(index)`; the base checks the index, so that
    negative indices and iteration work.

    Attributes:
        names: a list of unique strings, one for each record.
    """

    names = ()

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return self._read(checked_index(index, len(self), type(self).__name__))

    def _read(self, index):
        raise NotImplementedError


class Subset(Source):
    """Some records of a source, in the given order.

    Args:
        source: any source.
        indices: which records; each at most once, negative ones count from the end.

    Raises:
        IndexError: an index outside the source.
        ValueError: an index given twice (names would not be unique).
    """

    def __init__(self, source, indices):
        self._source = source
        self._indices = [checked_index(i, len(source), "the source of Subset") for i in indices]
        if len(set(self._indices)) < len(self._indices):
            raise ValueError("Subset: an index is given twice, expected each at most once")
        self.names = [source.names[i] for i in self._indices]

    def _read(self, index):
        return self._source[self._indices[index]]


class Concat(Source):
    """The records of several sources, one source after the other.

    Args:
        sources: sources whose names do not collide.

    Raises:
        ValueError: two records have the same name; names identify a record across files.
    """

    def __init__(self, sources):
        self._sources = list(sources)
        self._ends = list(accumulate(len(source) for source in self._sources))
        self.names = [name for source in self._sources for name in source.names]
        if len(set(self.names)) < len(self.names):
            seen = set()
            twice = next(name for name in self.names if name in seen or seen.add(name))
            raise ValueError(f"Concat: two records are called {twice!r}, expected unique names")

    def _read(self, index):
        which = bisect_right(self._ends, index)
        start = self._ends[which - 1] if which else 0
        return self._sources[which][index - start]


class Pairs(Source):
    """Frame pairs `{image1, image2}` of a sequence: frames i and i + stride.

    A pair never spans a cut: with a stride above 1 none may lie between any of the frames that it
    steps over. Records are named "<name of the first frame>+<stride>"; reading one whose frames
    differ in size raises ValueError.

    Args:
        frames: a frame sequence: `len`, `frames[i]` uint8 `[h, w, 3]`, `frames.names`, and usually
            `frames.cuts`.
        stride: distance of the two frames, at least 1.
        cuts: indices i for which frame i starts a new shot; None takes `frames.cuts`, `()` says
            there are none.

    Raises:
        ValueError: stride below 1.
    """

    def __init__(self, frames, stride=1, cuts=None):
        self.stride = checked_stride(stride)
        self._frames = frames
        cuts = sorted(frames.cuts if cuts is None else cuts)
        self._firsts = [
            first
            for first in range(len(frames) - stride)
            # As many cuts up to the first frame as up to the second one: none in between.
            if bisect_right(cuts, first) == bisect_right(cuts, first + stride)
        ]
        self.names = [f"{frames.names[first]}+{stride}" for first in self._firsts]

    def _read(self, index):
        first = self._firsts[index]
        image1, image2 = self._frames[first], self._frames[first + self.stride]
        if image1.shape != image2.shape:
            (h1, w1, _), (h2, w2, _) = image1.shape, image2.shape
            raise ValueError(
                f"{self.names[index]}: the frames are {w1}x{h1} and {w2}x{h2}, expected one size"
            )
        return {IMAGE1: image1, IMAGE2: image2}


def checked_index(index, count, what):
    """Returns a non-negative index below `count`, or raises IndexError."""
    plain = operator.index(index)
    if not -count <= plain < count:
        raise IndexError(f"{what} has {count} records, there is no record {plain}")
    return plain % count


def checked_stride(stride):
    """Returns stride, or raises ValueError when it is not a whole number of at least 1."""
    if not isinstance(stride, int) or stride < 1:
        raise ValueError(f"stride is {stride!r}, expected a whole number of at least 1")
    return stride
