"""Correlations looked up in windows around where a flow points: a recurrent network's eyes.

A window of (2r + 1)^2 taps that share one fractional offset needs the (2r + 2)^2 correlations at
the integer positions around it and one bilinear interpolation of the whole block, not four
neighbours a tap. Where the correlations come from is the only difference of the two modes:

    all_pairs   from volumes [h, w, h2 / 2^l, w2 / 2^l], computed once. At the finest level the
                block is gathered, and its pullback puts it back by two products with one-hot
                matrices: a scatter would visit every number for itself. A coarser map is so small
                that two products with the interpolation weights are cheaper than gathering.
    on_demand   from the features themselves, at every call. One row of a block is in memory at a
                time, [h w, 2r + 2, c], and the pullback gathers it again instead of keeping it.

Pooling the volume over frame 2 is correlating with pooled features, because both are linear: the
volume of a level is one matrix product, and the two modes see the same numbers.
"""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops._backend import custom_gradient, gather_in_rows, scatter_add, take_rows
from kcorr.ops.correlation import all_pairs_correlation
from kcorr.ops.grid import geometry_dtype, pixel_grid

CORRELATIONS = ("all_pairs", "on_demand")


class CorrelationLookup:
    """Correlates each pixel of `first` with windows of `second`, at every call where a flow points.

    Level l holds `second` averaged over 2^l x 2^l pixels (blocks at the border average what there
    is of them), and its window has steps of 2^l pixels: radius r reaches r 2^l pixels far. A
    position q of frame 2 is (q + 0.5) / 2^l - 0.5 there, by the coordinate law. (RAFT takes
    q / 2^l, which is up to half a pixel of the level off.)

    Args:
        first: [b, h, w, c].
        second: [b, h2, w2, c].
        levels: how many.
        radius: of the windows, in pixels of each level.
        correlation: "all_pairs" keeps h w h2 w2 4 / 3 numbers for each example, "on_demand"
            computes what it needs from the features at every call, several times slower.

    Call: flow [b, h, w, 2] pixels -> [b, h, w, levels (2 radius + 1)^2], float32 (float64 for
        float64 features): channel l (2r + 1)^2 + (dy + r) (2r + 1) + (dx + r) is
        <first(p), second_l(q_l + (dx, dy))> / sqrt(c), interpolated bilinearly, 0 outside; level 0
        of a flow of 0 is `local_correlation` / sqrt(c). A vector that is not finite sees 0.
        Differentiable in the features and in the flow.

    Raises:
        ValueError: `correlation` is unknown, `levels` below 1 or `radius` negative, or tensors
            that are not [b, h, w, c] with the same c.

    Source: Teed and Deng, RAFT, ECCV 2020, section 3.2.
    """

    def __init__(self, first, second, levels=4, radius=4, correlation="all_pairs"):
        check_correlation(correlation)
        if levels < 1 or radius < 0:
            raise ValueError(f"need levels >= 1 and radius >= 0, got {levels} and {radius}")
        first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
        shapes = {"first": (first, "b h w c"), "second": (second, "b h2 w2 c")}
        check_shapes("CorrelationLookup", **shapes)
        self.levels, self.radius, self.correlation = levels, radius, correlation
        self.dtype = geometry_dtype(first, second)
        self.first = ops.cast(first, self.dtype) * first.shape[-1] ** -0.5
        seconds = [ops.cast(second, self.dtype)]
        for _ in range(levels - 1):
            seconds.append(ops.average_pool(seconds[-1], 2, strides=2, padding="same"))
        self._sizes = [ops.shape(second)[1:3] for second in seconds]
        if correlation == "all_pairs":
            self._maps = [all_pairs_correlation(self.first, second) for second in seconds]
        else:
            self._maps = seconds

    def __call__(self, flow):
        batch, height, width, _ = ops.shape(flow)
        flow = ops.cast(flow, self.dtype)
        points = ops.reshape(pixel_grid(height, width, self.dtype) + flow, [-1, 2])
        found = []
        for level, (size, values) in enumerate(zip(self._sizes, self._maps, strict=True)):
            x, y = (
                self._near((points[:, axis] + 0.5) / 2**level - 0.5, size[1 - axis])
                for axis in (0, 1)
            )
            windows = self._windows(values, x, y, size, level)
            found.append(ops.reshape(windows, [batch, height, width, (2 * self.radius + 1) ** 2]))
        return ops.concatenate(found, axis=-1)

    def _near(self, position, size):
        """Positions from which no tap reaches the map, NaN too, become one that does not."""
        reach = self.radius + 1
        near = (position > -reach) & (position < ops.cast(size + self.radius, self.dtype))
        return ops.where(near, position, ops.cast(-reach, self.dtype))

    def _windows(self, values, x, y, size, level):
        """[n, 2r + 1, 2r + 1] of positions x, y [n] on a map of `size`."""
        if self.correlation == "all_pairs" and level > 0:
            volume = ops.reshape(values, [-1, *size])
            across = _tents(x, size[1], self.radius)
            down = ops.swapaxes(_tents(y, size[0], self.radius), 1, 2)
            return ops.matmul(down, ops.matmul(volume, across))
        left, top = ops.floor(x), ops.floor(y)
        corner = left - self.radius, top - self.radius
        count = 2 * self.radius + 2
        if self.correlation == "all_pairs":
            blocks = _blocks_of_volume(values, *corner, size, count)
        else:
            channels = self.first.shape[-1]
            first = ops.reshape(self.first, [-1, channels])
            blocks = _blocks_of_features(first, values, *corner, size, count)
        return _interpolated(blocks, x - ops.stop_gradient(left), y - ops.stop_gradient(top))


def check_correlation(correlation):
    """Raises ValueError unless it is one of `CORRELATIONS`."""
    if correlation not in CORRELATIONS:
        raise ValueError(
            f"correlation must be one of {', '.join(CORRELATIONS)}, got {correlation!r}"
        )


def _interpolated(blocks, right, down):
    """[n, k, k] at integer positions, offsets in [0, 1) -> [n, k - 1, k - 1]."""
    right, down = ops.reshape(right, [-1, 1, 1]), ops.reshape(down, [-1, 1, 1])
    rows = blocks[:, :-1] + (blocks[:, 1:] - blocks[:, :-1]) * down
    return rows[:, :, :-1] + (rows[:, :, 1:] - rows[:, :, :-1]) * right


def _tents(position, size, radius):
    """[n, size, 2r + 1]: how much each pixel of an axis counts for each tap."""
    taps = ops.arange(-radius, radius + 1, dtype=position.dtype)
    taps = ops.expand_dims(ops.expand_dims(position, -1) + taps, 1)
    pixels = ops.reshape(ops.arange(size, dtype=position.dtype), [1, -1, 1])
    return ops.relu(1.0 - ops.abs(pixels - taps))


def _axis(start, size, count):
    """Indices start .. start + count - 1 [n, count], clipped, and which of them exist."""
    index = ops.expand_dims(ops.cast(start, "int32"), 1) + ops.arange(count, dtype="int32")
    return ops.clip(index, 0, size - 1), (index >= 0) & (index < size)


def _blocks_of_volume(volume, left, top, size, count):
    """[b, h, w, h2, w2] -> [n, count, count], the block at (left, top) of each pixel's map."""
    height, width = size

    @custom_gradient
    def blocks(volume, left, top):
        column, column_exists = _axis(left, width, count)
        row, row_exists = _axis(top, height, count)
        index = ops.expand_dims(row * width, 2) + ops.expand_dims(column, 1)
        exists = ops.expand_dims(row_exists, 2) & ops.expand_dims(column_exists, 1)
        found = gather_in_rows(
            ops.reshape(volume, [-1, height * width]), ops.reshape(index, [-1, count**2])
        )
        found = ops.where(exists, ops.reshape(found, [-1, count, count]), 0.0)

        def pullback(upstream):
            across = _one_hot(column, column_exists, width, upstream.dtype)
            down = _one_hot(row, row_exists, height, upstream.dtype)
            maps = ops.matmul(ops.swapaxes(down, 1, 2), ops.matmul(upstream, across))
            return (
                ops.reshape(maps, ops.shape(volume)),
                ops.zeros_like(left),
                ops.zeros_like(top),
            )

        return found, pullback

    return blocks(volume, left, top)


def _one_hot(index, exists, size, dtype):
    """[n, count] -> [n, count, size]; rows of 0 where an index does not exist."""
    same = ops.expand_dims(index, 2) == ops.arange(size, dtype="int32")
    return ops.cast(same & ops.expand_dims(exists, 2), dtype)


def _blocks_of_features(first, second, left, top, size, count):
    """[n, c], [b, h2, w2, c] -> [n, count, count], correlated with the block at (left, top)."""
    height, width = size
    batch = ops.shape(second)[0]

    @custom_gradient
    def blocks(first, second, left, top):
        channels = second.shape[-1]
        table = ops.reshape(second, [batch * height * width, channels])
        column, column_exists = _axis(left, width, count)
        row, row_exists = _axis(top, height, count)
        pixels = ops.shape(first)[0] // batch
        start = ops.repeat(ops.arange(batch, dtype="int32") * (height * width), pixels)

        def one_row(step):
            index = ops.expand_dims(start + row[:, step] * width, 1) + column
            return index, column_exists & row_exists[:, step : step + 1]

        parts = []
        for step in range(count):
            index, exists = one_row(step)
            part = ops.einsum("nkc,nc->nk", take_rows(table, index), first)
            parts.append(ops.where(exists, part, 0.0))

        def pullback(upstream):
            to_first, to_table = 0.0, 0.0
            for step in range(count):
                index, exists = one_row(step)
                weight = ops.where(exists, upstream[:, step], 0.0)
                rows = take_rows(table, index)
                to_first = to_first + ops.einsum("nk,nkc->nc", weight, rows)
                update = ops.expand_dims(weight, 2) * ops.expand_dims(first, 1)
                to_table = to_table + scatter_add(
                    ops.reshape(index, [-1]),
                    ops.reshape(update, [-1, channels]),
                    batch * height * width,
                )
            to_second = ops.reshape(to_table, ops.shape(second))
            return to_first, to_second, ops.zeros_like(left), ops.zeros_like(top)

        return ops.stack(parts, axis=1), pullback

    return blocks(first, second, left, top)
