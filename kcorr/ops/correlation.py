"""Correlation of feature maps: local cost volumes and all pairs.

The local volume is computed as banded matrix products. For one row of frame 1 and one row of
frame 2 (offset dy), a tile of T columns of frame 1 times the L = T + 2r columns of frame 2 around
it is one small GEMM whose 2r + 1 inner diagonals are the wanted correlations. A diagonal step moves
one row down and one column right, so with rows of length L it is L + 1 apart in memory: padding the
flattened tile by T numbers and reshaping to rows of length L + 1 turns the diagonals into columns.
With T = 2 and r = 1:

    a b c .    flattened           in rows of L + 1
    . d e f    a b c . . d e f     a b c . .
                                   d e f 0 0

The gradient is written in the same form. Nothing 81-fold is ever stored but the result itself.

What makes it fast on a CPU: everything between the GEMMs has two axes, where pads and slices are
plain runs of memory; rows lead, so that the rows of one dy are a view; rows of frame 1 whose
partner lies above or below frame 2 are not multiplied but padded in; and the columns of frame 2 are
stored as [c, L], which the GEMM reads directly, where [L, c] would be rearranged for each dy.
"""

from keras import ops

from kcorr.ops._arguments import check_shapes, sizes
from kcorr.ops._backend import custom_gradient, matmul, take_rows
from kcorr.ops.grid import geometry_dtype

NORMALISATIONS = ("none", "mean", "cosine")
# Columns a tile. Long tiles waste products off the band, short ones are too small a GEMM; in the
# gradient they are the summed axis, so that longer ones pay.
_TILE = 8
_GRADIENT_TILE = 16


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
        <first(y, x), second(y + dy * dilation, x + dx * dilation)>, 0 where that lies outside. A
        pixel that is not finite spoils its own correlations, and the gradients of the pixels of the
        other map that it is correlated with; no others.

    Raises:
        ValueError: negative radius, dilation below 1 or either of them no integer, unknown
            `normalise`, or the shapes do not fit.

    Source: Sun et al., PWC-Net, CVPR 2018, eq. 2; channel order and "cosine": Liu et al., DDFlow,
    AAAI 2019 (released code).
    """
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    check_reach(radius, dilation)
    check_shapes("local_correlation", first=(first, "b h w c"), second=(second, "b h w c"))
    dtype = geometry_dtype(first, second)
    first, second = ops.cast(first, dtype), ops.cast(second, dtype)
    first, second = _normalised(first, second, normalise)

    @custom_gradient
    def correlate(first, second):
        def pullback(upstream):
            band = _Band(_finite(first), _finite(second), radius, dilation, _GRADIENT_TILE)
            to_first, to_second = band.gradients(upstream)
            return (
                to_first + _spoilt(second, radius, dilation),
                to_second + _spoilt(first, radius, dilation),
            )

        return _Band(first, second, radius, dilation, _TILE).volume(), pullback

    return correlate(first, second)


def all_pairs_correlation(first, second, normalise="none"):
    """Correlates every pixel of `first` with every pixel of `second`.

    Args:
        first: [b, h, w, c].
        second: [b, h2, w2, c].
        normalise: as in `local_correlation`.

    Returns:
        [b, h, w, h2, w2], float32 (float64 for float64 inputs).

    Raises:
        ValueError: unknown `normalise`, or the shapes do not fit.

    Source: Teed and Deng, RAFT, ECCV 2020, eq. 1.
    """
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    check_shapes("all_pairs_correlation", first=(first, "b h w c"), second=(second, "b h2 w2 c"))
    dtype = geometry_dtype(first, second)
    first, second = _normalised(ops.cast(first, dtype), ops.cast(second, dtype), normalise)
    batch, height, width, channels = sizes(first)
    _, height2, width2, _ = sizes(second)
    first = ops.reshape(first, [batch, height * width, channels])
    second = ops.reshape(second, [batch, height2 * width2, channels])
    volume = ops.matmul(first, ops.transpose(second, [0, 2, 1]))
    return ops.reshape(volume, [batch, height, width, height2, width2])


def unit_length(features, epsilon=1e-6):
    """`features` [b, h, w, c] scaled to unit length over channels, in their dtype; 0 stays 0.

    What is shorter than `epsilon` is only divided by it.
    """
    features = ops.convert_to_tensor(features)
    # float16 has no 1e-12 (0 would become NaN) and no squares above 255.
    exact = ops.cast(features, geometry_dtype(features))
    square = ops.sum(exact * exact, axis=-1, keepdims=True)
    return ops.cast(exact * ops.rsqrt(ops.maximum(square, epsilon**2)), features.dtype)


def check_reach(radius, dilation):
    """Raises ValueError unless these make a window of displacements."""
    if radius < 0 or dilation < 1 or radius != int(radius) or dilation != int(dilation):
        raise ValueError(
            f"need integers radius >= 0 and dilation >= 1, got {radius} and {dilation}"
        )


def _normalised(first, second, normalise):
    if normalise == "cosine":
        return unit_length(first), unit_length(second)
    if normalise == "mean":
        return first * (1.0 / first.shape[-1]), second
    if normalise != "none":
        raise ValueError(f"normalise must be one of {', '.join(NORMALISATIONS)}, got {normalise!r}")
    return first, second


def _finite(features):
    """0 for what is not: in a band matrix's product 0 times NaN would spoil the whole tile."""
    return ops.where(ops.isfinite(features), features, 0.0)


def _spoilt(features, radius, dilation):
    """What `_finite` hid: [b, h, w, 1], NaN where the window of a pixel holds a bad one, else 0."""
    bad = ops.any(~ops.isfinite(features), axis=-1, keepdims=True)
    window = ops.ones([2 * radius + 1, 2 * radius + 1, 1, 1])
    hits = ops.conv(ops.cast(bad, "float32"), window, padding="same", dilation_rate=dilation)
    return ops.cast(ops.where(hits > 0.5, float("nan"), 0.0), features.dtype)


class _Band:
    """The banded product of two feature maps, and its pullback.

    Tiles are [rows * batch * tiles, ., .]: rows lead, and `group` tiles make one row.
    """

    def __init__(self, first, second, radius, dilation, tile):
        self.radius, self.dilation = radius, dilation
        self.reach = radius * dilation
        self.steps = 2 * radius + 1
        self.tile = max(tile, -(-2 * self.reach // 8) * 8)  # the overlap must fit in one tile
        self.length = self.tile + 2 * self.reach
        self.batch, self.height, self.width, self.channels = sizes(first)
        # Of a single picture both orders are the same memory: nothing is to be moved.
        self.single = isinstance(self.batch, int) and self.batch == 1
        self.tiles = (self.width + self.tile - 1) // self.tile
        self.group = self.batch * self.tiles
        self.count = self.height * self.group
        self.left = self._tiles_of_first(first)
        self.second = second

    def volume(self):
        right = self._columns_of_second()
        parts = []
        for step in range(self.steps):
            above, below = self._rows_without_partner(step)
            left = self._without_rows(self.left, above, below)
            product = matmul(left, self._without_rows(right, below, above))
            rows = (self.height - above - below) * self.group
            product = ops.reshape(product, [rows, self.tile * self.length])
            product = ops.pad(product, [[above * self.group, below * self.group], [0, self.tile]])
            product = ops.reshape(product, [self.count * self.tile, self.length + 1])
            parts.append(product[:, : 2 * self.reach + 1 : self.dilation])
        return self._image(ops.concatenate(parts, axis=-1), self.steps**2)

    def gradients(self, upstream):
        right = self._tiles_of_second()
        upstream = self._rows_first(upstream, 0, self.tiles * self.tile - self.width)
        upstream = ops.reshape(upstream, [self.count * self.tile, self.steps**2])
        to_left, to_right = [], []
        for step in range(self.steps):
            above, below = self._rows_without_partner(step)
            diagonals = upstream[:, step * self.steps : (step + 1) * self.steps]
            band = self._without_rows(self._band_matrix(diagonals), above, below)
            part = matmul(band, self._without_rows(right, below, above))
            to_left.append(self._with_rows(part, above, below))
            left = self._without_rows(self.left, above, below)
            part = matmul(band, left, transpose_first=True)
            to_right.append(self._with_rows(part, below, above))
        return self._image(sum(to_left), self.channels), self._second_of_tiles(sum(to_right))

    def _tiles_of_first(self, first):
        first = self._rows_first(first, 0, self.tiles * self.tile - self.width)
        return ops.reshape(first, [self.count, self.tile, self.channels])

    def _columns_of_second(self):
        """`second` as [., c, length], what the products read.

        Rows and columns of a tile change places before tiles overlap, while there are about half
        as many. (Done last, TensorFlow's optimiser would move the exchange into the product of the
        one dy that needs no slice.)
        """
        blocks = ops.transpose(self._blocks_of_second(), [0, 1, 3, 2])
        overlap = blocks[:, 1:, :, : 2 * self.reach]
        columns = ops.concatenate([blocks[:, :-1], overlap], axis=-1)
        return ops.reshape(columns, [self.count, self.channels, self.length])

    def _tiles_of_second(self):
        """`second` as [., length, c]: each tile with `reach` columns on both sides."""
        rows = self.height * self.batch
        blocks = self._blocks_of_second()
        blocks = ops.reshape(blocks, [rows * (self.tiles + 1), self.tile * self.channels])
        index = ops.arange(rows, dtype="int32")[:, None, None] * (self.tiles + 1)
        index = index + ops.arange(self.tiles, dtype="int32")[:, None]
        index = ops.reshape(index + ops.arange(2, dtype="int32"), [2 * self.count])
        pairs = take_rows(blocks, index)  # one copy, where slices and a concat are three
        return ops.reshape(pairs, [self.count, 2 * self.tile, self.channels])[:, : self.length]

    def _blocks_of_second(self):
        """`second` as [h * b, tiles + 1, tile, c].

        Moved right by `reach`, a tile starts where its columns start; the next holds the rest.
        """
        more = (self.tiles + 1) * self.tile - self.width - self.reach
        second = self._rows_first(self.second, self.reach, more)
        shape = [self.height * self.batch, self.tiles + 1, self.tile, self.channels]
        return ops.reshape(second, shape)

    def _second_of_tiles(self, tiles):
        """The adjoint of `_tiles_of_second`: the overlaps are added up."""
        shape = [self.height, self.batch, self.tiles, self.length, self.channels]
        tiles = ops.reshape(tiles, shape)
        rest = self.tile - 2 * self.reach
        body = ops.pad(tiles[:, :, :, : self.tile], [[0, 0], [0, 0], [0, 1], [0, 0], [0, 0]])
        tail = ops.pad(tiles[:, :, :, self.tile :], [[0, 0], [0, 0], [1, 0], [0, rest], [0, 0]])
        columns = (self.tiles + 1) * self.tile
        second = ops.reshape(body + tail, [self.height, self.batch, columns, self.channels])
        second = self._batch_first(second)
        return second[:, :, self.reach : self.reach + self.width]

    def _rows_first(self, image, before, after):
        """[b, h, w, c] to [h, b, before + w + after, c]."""
        image = ops.pad(image, [[0, 0], [0, 0], [before, after], [0, 0]])
        if self.single:
            return ops.reshape(image, [self.height, 1, -1, image.shape[-1]])
        return ops.transpose(image, [1, 0, 2, 3])

    def _batch_first(self, image):
        """[h, b, w, c] to [b, h, w, c]."""
        if self.single:
            return ops.reshape(image, [1, self.height, -1, image.shape[-1]])
        return ops.transpose(image, [1, 0, 2, 3])

    def _image(self, tiles, channels):
        tiles = ops.reshape(tiles, [self.height, self.batch, self.tiles * self.tile, channels])
        return self._batch_first(tiles)[:, :, : self.width]

    def _rows_without_partner(self, step):
        """How many rows of frame 1, (at the top, at the bottom), have none in frame 2 at this dy.

        Seen from frame 2 the two numbers change places.
        """
        shift = (step - self.radius) * self.dilation
        least = min if isinstance(self.height, int) else ops.minimum
        lost = least(abs(shift), self.height)
        return (lost, 0) if shift < 0 else (0, lost)

    def _without_rows(self, tiles, above, below):
        return tiles[above * self.group : (self.height - below) * self.group]

    def _with_rows(self, tiles, above, below):
        return ops.pad(tiles, [[above * self.group, below * self.group], [0, 0], [0, 0]])

    def _band_matrix(self, diagonals):
        """Puts [. * tile, 2 radius + 1] back onto the diagonals of [., tile, length]."""
        if self.dilation > 1:
            diagonals = ops.pad(diagonals[..., None], [[0, 0], [0, 0], [0, self.dilation - 1]])
            columns = self.steps * self.dilation
            diagonals = ops.reshape(diagonals, [self.count * self.tile, columns])
            diagonals = diagonals[:, : 2 * self.reach + 1]
        matrix = ops.pad(diagonals, [[0, 0], [0, self.tile]])  # 2 reach + 1 + tile = length + 1
        matrix = ops.reshape(matrix, [self.count, self.tile * (self.length + 1)])
        matrix = matrix[:, : self.tile * self.length]
        return ops.reshape(matrix, [self.count, self.tile, self.length])
