"""Correlation of feature maps: local cost volumes and all pairs.

The local volume is computed as banded matrix products. For one row of frame 1 and one row of
frame 2 (offset dy), a tile of T columns of frame 1 times T + 2r columns of frame 2 is one small
GEMM whose 2r + 1 inner diagonals are the wanted correlations. A diagonal step moves one row down
and one column right, so with rows of length L it is L + 1 apart in memory: padding the flattened
tile by T numbers and reshaping to rows of length L + 1 turns the diagonals into columns. The
gradient is written in the same form. Nothing 81-fold is ever stored but the result itself.
"""

from keras import ops

from kcorr.ops._backend import custom_gradient
from kcorr.ops.grid import geometry_dtype

NORMALISATIONS = ("none", "mean", "cosine")
_TILE = 16


def local_correlation(first, second, radius=4, dilation=1, normalise="none"):
    """Correlates every pixel of `first` with the (2 radius + 1)^2 pixels around it in `second`.

    Args:
        first: [b, h, w, c].
        second: [b, h, w, c].
        radius: largest displacement, in steps.
        dilation: pixels a step.
        normalise: "none" sums over channels, "mean" divides by c, "cosine" normalises both
            features to unit length first (x * rsqrt(max(sum x^2, 1e-12))).

    Returns:
        [b, h, w, (2 radius + 1)^2], float32 (float64 for float64 inputs). Channel
        k = (dy + radius) * (2 radius + 1) + (dx + radius), dy outer; its value at (y, x) is
        <first(y, x), second(y + dy * dilation, x + dx * dilation)>, 0 where that lies outside.

    Raises:
        ValueError: negative radius, dilation below 1, unknown `normalise`, or not two equal shapes
            of four axes.

    Source: Sun et al., PWC-Net, CVPR 2018, eq. 2; channel order and "cosine": Liu et al., DDFlow,
    AAAI 2019 (released code).
    """
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    if radius < 0 or dilation < 1:
        raise ValueError(f"need radius >= 0 and dilation >= 1, got {radius} and {dilation}")
    shapes = tuple(first.shape), tuple(second.shape)
    if len(shapes[0]) != 4 or len(shapes[1]) != 4 or _differ(*shapes):
        raise ValueError(
            f"local_correlation expects two equal [b, h, w, c], got {shapes[0]} and {shapes[1]}"
        )
    dtype = geometry_dtype(first, second)
    first, second = ops.cast(first, dtype), ops.cast(second, dtype)
    first, second = _normalised(first, second, normalise)

    @custom_gradient
    def correlate(first, second):
        band = _Band(first, second, radius, dilation)
        return band.volume(), band.gradients

    return correlate(first, second)


def all_pairs_correlation(first, second, normalise="none"):
    """Correlates every pixel of `first` with every pixel of `second`.

    Args:
        first: [b, h, w, c].
        second: [b, h2, w2, c].
        normalise: as in `local_correlation`.

    Returns:
        [b, h, w, h2, w2], float32 (float64 for float64 inputs).

    Source: Teed and Deng, RAFT, ECCV 2020, eq. 1.
    """
    dtype = geometry_dtype(first, second)
    first, second = _normalised(ops.cast(first, dtype), ops.cast(second, dtype), normalise)
    batch, height, width, channels = _sizes(first)
    _, height2, width2, _ = _sizes(second)
    first = ops.reshape(first, [batch, height * width, channels])
    second = ops.reshape(second, [batch, height2 * width2, channels])
    volume = ops.matmul(first, ops.transpose(second, [0, 2, 1]))
    return ops.reshape(volume, [batch, height, width, height2, width2])


def unit_length(features):
    """`features` [b, h, w, c] scaled to unit length over channels, 0 stays 0."""
    square = ops.sum(features * features, axis=-1, keepdims=True)
    return features * ops.rsqrt(ops.maximum(square, 1e-12))


def _normalised(first, second, normalise):
    if normalise == "cosine":
        return unit_length(first), unit_length(second)
    if normalise == "mean":
        return first * (1.0 / first.shape[-1]), second
    if normalise != "none":
        raise ValueError(f"normalise must be one of {', '.join(NORMALISATIONS)}, got {normalise!r}")
    return first, second


def _differ(shape, other):
    return any(a != b for a, b in zip(shape, other, strict=True) if None not in (a, b))


def _sizes(tensor):
    dynamic = ops.shape(tensor)
    return [s if s is not None else dynamic[i] for i, s in enumerate(tensor.shape)]


class _Band:
    """One evaluation of the banded product, and its pullback.

    Rows lead ([h, b, tiles, columns, c]), so that the rows of one dy are a contiguous piece.
    """

    def __init__(self, first, second, radius, dilation):
        self.reach = radius * dilation
        self.steps = 2 * radius + 1
        self.dilation = dilation
        self.tile = max(_TILE, -(-2 * self.reach // 8) * 8)  # the overlap must fit in one tile
        self.length = self.tile + 2 * self.reach
        self.batch, self.height, self.width, self.channels = _sizes(first)
        self.tiles = (self.width + self.tile - 1) // self.tile
        self.full = self.tiles * self.tile
        self.left = self._tiles_of_first(first)
        self.right = self._tiles_of_second(second)

    def _tiles_of_first(self, first):
        first = ops.pad(first, [[0, 0], [0, 0], [0, self.full - self.width], [0, 0]])
        first = ops.transpose(first, [1, 0, 2, 3])
        return ops.reshape(first, [self.height, self.batch, self.tiles, self.tile, self.channels])

    def _tiles_of_second(self, second):
        reach, more = self.reach, self.full - self.width
        # One whole tile is appended on the right, of which the overlap uses the first 2 * reach.
        second = ops.pad(
            second, [[0, 0], [reach, reach], [reach, more + self.tile - reach], [0, 0]]
        )
        second = ops.transpose(second, [1, 0, 2, 3])
        rows = self.height + 2 * reach
        second = ops.reshape(second, [rows, self.batch, self.tiles + 1, self.tile, self.channels])
        return ops.concatenate([second[:, :, :-1], second[:, :, 1:, : 2 * reach]], axis=3)

    def _rows(self, step):
        start = step * self.dilation
        return self.right[start : start + self.height]

    def volume(self):
        flat = self.tile * self.length
        lead = [self.height, self.batch, self.tiles]
        parts = []
        for step in range(self.steps):
            product = ops.matmul(self.left, ops.swapaxes(self._rows(step), -1, -2))
            product = ops.reshape(product, [*lead, flat])
            product = ops.pad(product, [[0, 0], [0, 0], [0, 0], [0, self.tile]])
            product = ops.reshape(product, [*lead, self.tile, self.length + 1])
            parts.append(product[..., : 2 * self.reach + 1 : self.dilation])
        volume = ops.concatenate(parts, axis=-1)
        volume = ops.reshape(volume, [self.height, self.batch, self.full, self.steps**2])
        return ops.transpose(volume, [1, 0, 2, 3])[:, :, : self.width]

    def gradients(self, upstream):
        lead = [self.height, self.batch, self.tiles]
        upstream = ops.pad(upstream, [[0, 0], [0, 0], [0, self.full - self.width], [0, 0]])
        upstream = ops.transpose(upstream, [1, 0, 2, 3])
        upstream = ops.reshape(upstream, [*lead, self.tile, self.steps, self.steps])
        to_left, to_right = [], []
        for step in range(self.steps):
            band = self._band_matrix(upstream[..., step, :], lead)
            to_left.append(ops.matmul(band, self._rows(step)))
            part = ops.matmul(ops.swapaxes(band, -1, -2), self.left)
            before = step * self.dilation
            rows = [before, 2 * self.reach - before]
            to_right.append(ops.pad(part, [rows, [0, 0], [0, 0], [0, 0], [0, 0]]))
        return self._first_of_tiles(sum(to_left)), self._second_of_tiles(sum(to_right))

    def _band_matrix(self, diagonals, lead):
        """Puts [..., tile, 2 radius + 1] back onto the diagonals of [..., tile, length]."""
        if self.dilation > 1:
            diagonals = ops.expand_dims(diagonals, -1)
            diagonals = ops.pad(diagonals, [[0, 0]] * (len(lead) + 2) + [[0, self.dilation - 1]])
            diagonals = ops.reshape(diagonals, [*lead, self.tile, self.steps * self.dilation])
            diagonals = diagonals[..., : 2 * self.reach + 1]
        more = self.length + 1 - (2 * self.reach + 1)
        matrix = ops.pad(diagonals, [[0, 0]] * (len(lead) + 1) + [[0, more]])
        matrix = ops.reshape(matrix, [*lead, self.tile * (self.length + 1)])
        matrix = matrix[..., : self.tile * self.length]
        return ops.reshape(matrix, [*lead, self.tile, self.length])

    def _first_of_tiles(self, tiles):
        tiles = ops.reshape(tiles, [self.height, self.batch, self.full, self.channels])
        return ops.transpose(tiles, [1, 0, 2, 3])[:, :, : self.width]

    def _second_of_tiles(self, tiles):
        reach = self.reach
        body = ops.pad(tiles[..., : self.tile, :], [[0, 0], [0, 0], [0, 1], [0, 0], [0, 0]])
        tail = ops.pad(
            tiles[..., self.tile :, :],
            [[0, 0], [0, 0], [1, 0], [0, self.tile - 2 * reach], [0, 0]],
        )
        rows = self.height + 2 * reach
        columns = (self.tiles + 1) * self.tile
        whole = ops.reshape(body + tail, [rows, self.batch, columns, self.channels])
        whole = whole[reach : reach + self.height, :, reach : reach + self.width]
        return ops.transpose(whole, [1, 0, 2, 3])
