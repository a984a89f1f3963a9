"""Matches as text, one a line, as the DeepMatching and EpicFlow programs exchange them.

`x1 y1 x2 y2`, then the score, then an index (of the seed that a match came from), which nothing
here needs. Coordinates are pixels, (0, 0) the centre of the top-left one.
"""

import numpy as np

from kcorr.io._atomic import write_bytes
from kcorr.io._bytes import read_bytes
from kcorr.io._errors import FormatError

_LINES = "lines 'x1 y1 x2 y2', 'x1 y1 x2 y2 score' or 'x1 y1 x2 y2 score index'"
_BEYOND = 2.0**128 - 2.0**103  # From here on float32 is infinity.


def read_matches(path):
    """Reads matches as the programs DeepMatching and EpicFlow write and read them.

    Every line has as many numbers as the first: 4, 5 or 6. Blank lines do not count.

    Args:
        path: a text file; an empty one holds no matches.

    Returns:
        [n, 5] float32: x1, y1, x2, y2 in pixels, score (1 where the file has none).

    Raises:
        FormatError: a line that is not made of 4 to 6 finite numbers, or of another number of
            them than the lines before.
        FileNotFoundError: no such file.
    """
    rows, columns = [], None
    for number, line in enumerate(read_bytes(path, may_be_empty=True).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if columns is None and len(words) in (4, 5, 6):
            columns = len(words)
        if len(words) != columns:
            wrong = f"line {number} has {len(words)} {'word' if len(words) == 1 else 'words'}"
            raise FormatError(path, wrong, _LINES if columns is None else f"{columns} as before")
        rows.append([_number(word, path, number) for word in words][:5])
    matches = np.ones((len(rows), 5), np.float32)
    if rows:
        matches[:, : len(rows[0])] = rows
    return matches


def write_matches(path, matches):
    """Writes matches as lines `x1 y1 x2 y2 score`.

    Numbers have the digits that bring float32 back exactly, whole ones none after the point.

    Args:
        path: the file; written under a temporary name and renamed.
        matches: [n, 5] real numbers: x1, y1, x2, y2 in pixels, score; or [n, 4], score 1.

    Raises:
        FormatError: another shape, or numbers that are not real and finite as float32.
    """
    matches = np.asarray(matches)
    if matches.ndim != 2 or matches.shape[1] not in (4, 5):
        raise FormatError(path, f"the matches have shape {list(matches.shape)}", "[n, 5] or [n, 4]")
    if matches.dtype.kind not in "fiub":
        raise FormatError(path, f"the matches have dtype {matches.dtype}", "real numbers")
    with np.errstate(over="ignore"):
        values = np.ones((len(matches), 5), np.float32)
        values[:, : matches.shape[1]] = matches
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if broken.size:
        raise FormatError(path, f"match {broken[0]} holds NaN or infinity", "finite numbers")
    # numpy's shortest digits that are read back as the same float32.
    lines = [" ".join([str(value).removesuffix(".0") for value in row]) for row in values]
    write_bytes(path, "".join([f"{line}\n" for line in lines]).encode())


def _number(word, path, line):
    """A finite number within float32; Python would also take `1_000`, which nobody else does."""
    try:
        value = float(word) if b"_" not in word else np.nan
    except ValueError:
        value = np.nan
    if not abs(value) < _BEYOND:
        raise FormatError(path, f"line {line} holds {word[:20]!r}", "finite numbers")
    return value
