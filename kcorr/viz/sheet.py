"""Several pictures on one sheet, with titles."""

import math

import numpy as np
from PIL import Image

from kcorr.viz._arrays import as_uint8, positive
from kcorr.viz._text import draw_text, shorten, text_size

_PAPER = (24, 26, 30)
_LARGEST = 256 * 2**20  # pixels


def side_by_side(pictures, columns=None, cell=None):
    """A contact sheet: every picture under its title, row by row.

    Each picture is fitted into a cell of the same width without changing its proportions; small
    ones are enlarged pixel by pixel. Titles too long for a cell end in an ellipsis.

    Args:
        pictures: list of (title, image); image is [h, w, 3], [h, w, 1] or [h, w], uint8 or float
            in [0, 1]. Sizes may differ.
        columns: pictures in a row. None: all in one row up to three, else about square.
        cell: width of a cell in pixels. None: that of the widest picture, at least 200.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ValueError: no pictures, an entry that is not (title, image), a wrong image, a sheet of
            more than 2^28 pixels.
    """
    entries = []
    for index, entry in enumerate(pictures):
        if not (isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str)):
            raise ValueError(f"picture {index} is not a pair (title, image)")
        entries.append((entry[0], as_uint8(entry[1], f"picture {index} ({entry[0]!r})")))
    if not entries:
        raise ValueError("there are no pictures, expected at least one (title, image)")
    if columns is None:
        columns = len(entries) if len(entries) <= 3 else math.ceil(math.sqrt(len(entries)))
    columns = min(max(1, int(positive(columns, "columns"))), len(entries))
    widest = max(image.shape[1] for _, image in entries)
    cell = max(16, int(positive(cell, "cell"))) if cell is not None else max(200, widest)

    rows = [entries[i : i + columns] for i in range(0, len(entries), columns)]
    heights = [max(_fitted(image, cell)[1] for _, image in row) for row in rows]
    size = int(np.clip(round(cell / 26), 12, 40))
    gap = max(4, size // 2)
    title = text_size("X", size)[1] + gap
    width = columns * (cell + gap) + gap
    height = sum(heights) + len(rows) * (title + gap)
    if width * height > _LARGEST:
        raise ValueError(f"the sheet would be {height}x{width} (h x w): use a smaller cell")
    sheet = np.empty((height, width, 3), np.uint8)
    sheet[...] = _PAPER
    top = 0
    for row, tallest in zip(rows, heights, strict=True):
        for column, (text, image) in enumerate(row):
            left = gap + column * (cell + gap)
            draw_text(sheet[top:], left, gap // 2, shorten(text, size, cell), size, (235, 235, 235))
            fitted = _resize(image, _fitted(image, cell))
            h, w = fitted.shape[:2]
            x = left + (cell - w) // 2
            y = top + title + (tallest - h) // 2
            sheet[y : y + h, x : x + w] = fitted
        top += title + tallest + gap
    return sheet


def _fitted(image, cell):
    """(width, height) of an image in a cell, no taller than four times the cell's width."""
    height, width = image.shape[:2]
    factor = min(cell / width, 4 * cell / height)
    if factor > 1:
        factor = math.floor(factor)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _resize(image, size):
    if size == image.shape[1::-1]:
        return image
    enlarged = size[0] > image.shape[1]
    how = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize(size, how))
