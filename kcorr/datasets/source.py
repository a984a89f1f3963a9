"""The source convention: a sequence of named records, and the few ways to combine sources.

A source is anything with `len(source)`, `source.names` (unique, stable strings) and `source[i]`, a
dict of numpy arrays under the keys of `kcorr.schema`. `Source` is a convenient base, not a
requirement. Reading a record happens in `source[i]`, never earlier, so a source can be shuffled by
its names; a file that turns out broken raises there, and the pipeline decides what follows.
"""

import operator
from bisect import bisect_right
from itertools import accumulate

from kcorr.datasets._windows import image1_of, image_keys, windows


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


class InMemory(Source):
    """A source that keeps the records it has read: where making them costs more than keeping.

    Args:
        source: any source.
        keys: which of a record's arrays are kept and given; None takes all. Keys that a record
            lacks are left out.
    """

    def __init__(self, source, keys=None):
        self._source, self._keys = source, keys
        self._kept = [None] * len(source)
        self.names = source.names

    def _read(self, index):
        record = self._kept[index]  # once only: another thread may be about to put it there, too
        if record is None:
            record = self._source[index]
            if self._keys is not None:
                record = {key: record[key] for key in self._keys if key in record}
            self._kept[index] = record
        return dict(record)


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


class Windows(Source):
    """Windows of two to five frames of a sequence, `{image1, image2}` to `{image0 ... image4}`.

    image1 and image2 are frames i and i + stride; three and more frames have one before image1, as
    networks of three frames want it, and four and five go on behind image2. A window never spans a
    cut: with a stride above 1 none may lie between any of the frames that it steps over. Records
    are named "<name of image1's frame>+<stride>"; reading one whose frames differ in size raises
    ValueError.

    Args:
        sequence: `len`, `sequence[i]` uint8 `[h, w, 3]`, `sequence.names`, and usually
            `sequence.cuts`.
        frames: frames of a window, 2 to 5.
        stride: distance of two frames of a window, at least 1.
        cuts: indices i for which frame i starts a new shot; None takes `sequence.cuts`, `()` says
            there are none.
        ends: "skip" gives whole windows only; "repeat" gives one for each pair image1, image2, and
            repeats the first or last frame of a shot where there is none before or behind it.

    Raises:
        ValueError: `frames`, `stride` or `ends` is none of these.
    """

    def __init__(self, sequence, frames=3, stride=1, cuts=None, *, ends="skip"):
        self.stride = stride
        self._sequence = sequence
        self._keys = image_keys(frames)
        cuts = sequence.cuts if cuts is None else cuts
        self._windows = windows(len(sequence), frames, stride, cuts, ends=ends)
        self.names = [f"{sequence.names[image1_of(one)]}+{stride}" for one in self._windows]

    def _read(self, index):
        window = self._windows[index]
        images = {frame: self._sequence[frame] for frame in sorted(set(window))}
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in images.values()]
        if len(set(sizes)) > 1:
            raise ValueError(
                f"{self.names[index]}: the frames are {' and '.join(sizes)}, expected one size"
            )
        return {key: images[frame] for key, frame in zip(self._keys, window, strict=True)}


class Pairs(Windows):
    """Frame pairs `{image1, image2}` of a sequence: `Windows` of two frames.

    Args:
        sequence, stride, cuts: see `Windows`.

    Raises:
        ValueError: stride below 1.
    """

    def __init__(self, sequence, stride=1, cuts=None):
        super().__init__(sequence, 2, stride, cuts)


def checked_index(index, count, what):
    """Returns a non-negative index below `count`, or raises IndexError."""
    plain = operator.index(index)
    if not -count <= plain < count:
        raise IndexError(f"{what} has {count} records, there is no record {plain}")
    return plain % count
