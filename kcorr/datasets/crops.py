"""Square crops of pictures with key points, resized in one step."""

import numpy as np
from PIL import Image

from kcorr import schema
from kcorr.datasets.source import Source

SCALINGS = ("centre", "corner")


def check_crop(size, scaling="centre"):
    """Raises ValueError for a size or scaling that `crop_square` refuses."""
    if size < 1 or int(size) != size:
        raise ValueError(f"size must be a whole number of pixels, at least 1, got {size}")
    if scaling not in SCALINGS:
        raise ValueError(f"scaling must be one of {', '.join(SCALINGS)}, got {scaling!r}")


def crop_square(image, corner, side, size=None, points=None, scaling="centre"):
    """Cuts a square out of a picture and resizes it; key points follow.

    Beyond the picture's border its last pixels are repeated.

    Args:
        image: uint8 [h, w, 3].
        corner: (x, y) of the square's top left corner, where a pixel covers x to x + 1 and y to
            y + 1: (0, 0) is the picture's own corner. Need not be whole.
        side: of the square, in pixels of the picture; or (width, height) of a rectangle that is
            stretched to a square.
        size: side of the result; None keeps `side`, which must then be whole.
        points: [n, 2] pixels, (0, 0) at the centre of the top left pixel.
        scaling: "centre" moves points as the coordinate law wants, x' = (x + 1/2) s - 1/2;
            "corner" as the papers' programs do, x' = x s, which is off by up to half a pixel.

    Returns:
        (uint8 [size, size, 3], float32 [n, 2]); (the picture, None) without points.

    Raises:
        ValueError: a side or size below 1, or an unknown scaling.
    """
    check_crop(side if size is None else size, scaling)
    size = int(side if size is None else size)
    sides = np.broadcast_to(np.asarray(side, float), 2)
    if not (sides > 0).all():
        raise ValueError(f"a square needs a side above 0, got {side}")
    left, top = float(corner[0]), float(corner[1])
    height, width = image.shape[:2]
    before = max(0, int(np.ceil(-left))), max(0, int(np.ceil(-top)))
    after = (
        max(0, int(np.ceil(left + sides[0] - width))),
        max(0, int(np.ceil(top + sides[1] - height))),
    )
    if any((*before, *after)):
        # A square far outside would pad without end: the crop is then all border.
        if max(*before, *after) > 100 * max(height, width, *sides):
            raise ValueError(f"a square at {left:.0f}, {top:.0f} lies far outside the picture")
        pads = ((before[1], after[1]), (before[0], after[0]), (0, 0))
        image = np.pad(image, pads, mode="edge")
    x, y = left + before[0], top + before[1]
    box = (x, y, min(x + sides[0], image.shape[1]), min(y + sides[1], image.shape[0]))
    resized = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=box)
    if points is None:
        return np.asarray(resized), None
    scale = size / sides
    half = 0.5 if scaling == "centre" else 0.0
    moved = (np.asarray(points, "float64") - [left, top] + half) * scale - half
    return np.asarray(resized), moved.astype(np.float32)


class SquareCrops(Source):
    """Pictures of any source as squares of one size: the middle of each, resized.

    Args:
        source: records with image1, and points1 and visible if it has them; what else has a place
            in the picture must not be there.
        size: side of the squares in pixels.

    Records: as the source's, image1 uint8 [size, size, 3], points moved along; points outside the
    square are not visible.

    Raises:
        ValueError: a size below 1; while records are read, one with maps that were left as they
            are.
    """

    def __init__(self, source, size):
        check_crop(size)
        self.size, self._source = size, source
        self.names = source.names

    def _read(self, index):
        record = dict(self._source[index])
        moved = {schema.IMAGE1, schema.POINTS1, schema.VISIBLE, schema.IDENTITY}
        maps = sorted(set(record) - moved)
        if maps:
            raise ValueError(f"SquareCrops cannot move {', '.join(maps)}")
        image, points = record[schema.IMAGE1], record.get(schema.POINTS1)
        height, width = image.shape[:2]
        side = min(height, width)
        corner = (width - side) / 2, (height - side) / 2
        image, points = crop_square(image, corner, side, self.size, points)
        record[schema.IMAGE1] = image
        if points is not None:
            inside = ((points >= -0.5) & (points <= self.size - 0.5)).all(axis=-1, keepdims=True)
            record[schema.POINTS1] = points
            record[schema.VISIBLE] = record.get(schema.VISIBLE, 1.0) * inside.astype(np.float32)
        return record
