"""Correlation of sparse points with all pixels in a window around each: a restricted 4-D volume.

Computed like `local_correlation` as banded matrix products, one for each vertical displacement: a
tile of T points that lie `spacing` pixels apart times the columns that any of them looks at is one
GEMM, and the windows are diagonals of it, `spacing` columns a row. With rows of length L, padding
the flattened tile to T (L + spacing) and reshaping to rows of that length turns them into columns.
The gradient is the same product the other way round; nothing larger than the result is stored.
"""

from keras import ops

from kcorr.ops._arguments import check_shapes, sizes
from kcorr.ops._backend import custom_gradient, matmul, scatter_add
from kcorr.ops.grid import geometry_dtype

_TILE = 16  # points: more waste products off the band, fewer are too small a GEMM


def restricted_correlation(first, second, radius, spacing=8, offset=(4, 4)):
    """Correlates points of image 1 with the (2 radius + 1)^2 pixels of image 2 around each.

    Args:
        first: [b, i, j, c], the points' descriptors.
        second: [b, h, w, c], the other picture's, of each pixel.
        radius: largest displacement in pixels of `second`, at least 0.
        spacing: pixels from one point to the next.
        offset: (x, y) of point (0, 0) in pixels of `second`. (i, j) is `spacing` (j, i) from it.

    Returns:
        [b, 2 radius + 1, 2 radius + 1, i, j], float32 (float64 for float64 inputs): first the
        vertical displacement, then the horizontal one; 0 outside of `second`.

    Raises:
        ValueError: shapes that do not fit, a spacing below 1, or a negative radius.

    Source: Thewlis et al., BMVC 2016, section 3 (S_0).
    """
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    check_shapes("restricted_correlation", first=(first, "b i j c"), second=(second, "b h w c"))
    if radius < 0 or spacing < 1:
        raise ValueError(f"need radius >= 0 and spacing >= 1, got {radius} and {spacing}")
    dtype = geometry_dtype(first, second)

    @custom_gradient
    def correlate(first, second):
        windows = _Windows(first, second, radius, spacing, offset)
        return windows.volume(), windows.gradients

    return correlate(ops.cast(first, dtype), ops.cast(second, dtype))


class _Windows:
    """The banded products of points and rows of pixels, and their pullback."""

    def __init__(self, first, second, radius, spacing, offset):
        self.first, self.second = first, second
        self.spacing, self.count = spacing, 2 * radius + 1
        self.batch, self.rows, self.columns, self.channels = sizes(first)
        _, self.height, self.width, _ = sizes(second)
        # Where the window of point (0, 0) begins in `second`.
        self.left, self.top = (at - radius for at in offset)
        self.tiles = (self.columns + _TILE - 1) // _TILE
        self.length = spacing * (_TILE - 1) + self.count
        self.group = self.batch * self.rows * self.tiles
        self.extent = spacing * (self.rows - 1) + self.count  # rows of `second` that are looked at
        self.across = spacing * (self.tiles * _TILE - 1) + self.count
        index = ops.arange(self.tiles, dtype="int32")[:, None] * (spacing * _TILE)
        index = index + ops.arange(self.length, dtype="int32")
        self.index = ops.reshape(index, [self.tiles * self.length])

    def volume(self):
        points = self._tiled(self.first)
        padded = _cut(_cut(self.second, 1, self.top, self.extent), 2, self.left, self.across)
        parts = []
        for step in range(self.count):
            product = matmul(points, self._right(padded, step), transpose_second=True)
            product = ops.reshape(product, [self.group, _TILE * self.length])
            product = ops.pad(product, [[0, 0], [0, _TILE * self.spacing]])
            shape = [self.group * _TILE, self.length + self.spacing]
            product = ops.reshape(product, shape)[:, : self.count]
            shape = [self.batch, self.rows, self.tiles * _TILE, self.count]
            product = ops.reshape(product, shape)[:, :, : self.columns]
            parts.append(ops.transpose(product, [0, 3, 1, 2]))
        return ops.stack(parts, axis=1)

    def gradients(self, upstream):
        points = self._tiled(self.first)
        padded = _cut(_cut(self.second, 1, self.top, self.extent), 2, self.left, self.across)
        to_points, more = 0.0, self.tiles * _TILE - self.columns
        # Rows of `padded` by their remainder after division by `spacing`.
        to_rows = [0.0] * self.spacing
        turns = -(-self.count // self.spacing)
        for step in range(self.count):
            band = ops.transpose(upstream[:, step], [0, 2, 3, 1])
            tail = self.length + self.spacing - self.count
            band = ops.pad(band, [[0, 0], [0, 0], [0, more], [0, tail]])
            band = ops.reshape(band, [self.group, _TILE * (self.length + self.spacing)])
            band = band[:, : _TILE * self.length]
            band = ops.reshape(band, [self.group, _TILE, self.length])
            to_points = to_points + matmul(band, self._right(padded, step))
            part = self._untaken(matmul(band, points, transpose_first=True))
            turn, rest = divmod(step, self.spacing)
            padding = [[0, 0], [turn, turns - 1 - turn], [0, 0], [0, 0]]
            to_rows[rest] = to_rows[rest] + ops.pad(part, padding)
        shape = [self.batch, self.rows, self.tiles * _TILE, self.channels]
        to_first = ops.reshape(to_points, shape)[:, :, : self.columns]
        return to_first, self._uncut(to_rows, turns)

    def _tiled(self, first):
        first = ops.pad(first, [[0, 0], [0, 0], [0, self.tiles * _TILE - self.columns], [0, 0]])
        return ops.reshape(first, [self.group, _TILE, self.channels])

    def _right(self, padded, step):
        """What the tiles look at in the rows of one vertical displacement: [., length, c]."""
        last = step + self.spacing * (self.rows - 1) + 1
        rows = padded[:, step : last : self.spacing]
        return ops.reshape(
            ops.take(rows, self.index, axis=2), [self.group, self.length, self.channels]
        )

    def _untaken(self, right):
        """The adjoint of the columns' gather: [b, i, across, c]."""
        lines = self.batch * self.rows
        index = ops.arange(lines, dtype="int32")[:, None] * self.across + self.index
        right = ops.reshape(right, [self.group * self.length, self.channels])
        found = scatter_add(ops.reshape(index, [-1]), right, lines * self.across)
        return ops.reshape(found, [self.batch, self.rows, self.across, self.channels])

    def _uncut(self, to_rows, turns):
        """Rows by remainder put together, and cut back to `second`."""
        shape = [self.batch, self.rows + turns - 1, self.across, self.channels]
        to_rows = [ops.zeros(shape, self.first.dtype) + part for part in to_rows]
        shape[1] = shape[1] * self.spacing
        rows = ops.reshape(ops.stack(to_rows, axis=2), shape)
        return _cut(_cut(rows, 1, -self.top, self.height), 2, -self.left, self.width)


def _cut(image, axis, start, count):
    """`count` entries of an axis of [b, h, w, c] from `start`, which may be negative; 0 outside."""
    size = sizes(image)[axis]
    most = max if isinstance(size, int) and isinstance(count, int) else ops.maximum
    padding = [[0, 0] for _ in range(4)]
    padding[axis] = [max(0, -start), most(0, start + count - size)]
    image = ops.pad(image, padding)
    start = max(0, start)
    return image[(slice(None),) * axis + (slice(start, start + count),)]
