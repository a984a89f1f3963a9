"""Softmax over all pairs of two sets of features, a chunk of rows at a time, with its gradients.

For sources [b, n, c] and targets [b, m, c] the logits are s = <source, target>, n x m an example,
and p is their softmax over the targets. Nothing here ever holds n x m numbers: a chunk of rows is
multiplied out, reduced and forgotten. Losses are weighted sums over the rows, so that what the
gradient needs is known while a chunk is there, but for one factor an example:

    ds = p * (what the loss says)        to_source = weight * ds target
                                         to_target = ds^T (weight * source), summed over chunks

They are made with the value, and nothing is multiplied out twice. (What `attend` is used for is
not known here: its pullback multiplies again, with the log-sum-exp that was kept of each row.)

All targets of a row are there at once, so that its maximum need not be followed from block to block
as where the columns are cut as well. A chunk is some megabytes and stays in the processor's cache:
that is why this is faster than whole matrices.
"""

from functools import partial

from keras import ops

from kcorr.ops._arguments import sizes
from kcorr.ops._backend import (
    TENSORFLOW,
    custom_gradient,
    each_example,
    forward_is_all,
    matmul,
    scan,
)

# Numbers of a chunk, in each example that is worked on: under TensorFlow one, elsewhere all.
_CHUNK = 2**20 if TENSORFLOW else 2**18


def expected_distance_sum(source, target, places, columns, rows, power, weights, chunk=None):
    """Weighted sum of the expected distances of each row's place from the targets' cells.

    Args:
        source: [b, n, c].
        target: [b, h w, c], row by row of its map.
        places: [b, n, 2], finite. Receives no gradient.
        columns: [w], x of the cells.
        rows: [h], y of the cells.
        power: of the distance.
        weights: [b, n, 1] of the rows, at least 0; a row of weight 0 adds 0. Receives no gradient.
        chunk: rows at a time; None chooses.

    Returns:
        [b].
    """

    def row_values(mass, peak, total, places, *cells):
        distance = _distances(places, *cells, power)
        value = ops.sum(mass * distance, axis=-1, keepdims=True) / total
        return value, lambda: mass * (distance - value)

    return _weighted_sum(source, target, places, weights, row_values, chunk, (columns, rows))


def expected_distances_of_group(sources, target, places, columns, rows, power, chunk=None):
    """Expected distances of k sources for each place, [b, n, k, c] -> [b, n, k].

    The distances are computed once for all of them. It has no gradient.
    """
    copies, channels = sources.shape[2:]
    chunks = _Chunks(sources, target, chunk, copies)

    def example(sources, target, places):
        def step(_, row):
            mass, _, total = _masses(ops.reshape(row[0], [-1, channels]), target)
            distance = ops.expand_dims(_distances(row[1], columns, rows, power), 1)
            mass = ops.reshape(mass, [-1, copies, chunks.targets])
            mean = ops.sum(mass * distance, axis=-1) / ops.reshape(total, [-1, copies])
            return (), [mean]

        sources = ops.reshape(sources, [chunks.count, copies * channels])
        return chunks.run(step, (), [sources, places], [copies])[1]

    return each_example(example, [sources, target, places], [[chunks.count, copies]])[0]


def log_partition_sum(source, target, weights, chunk=None):
    """Weighted sum of the rows' log-sum-exps, [b]; arguments as in `expected_distance_sum`."""

    def row_values(mass, peak, total, places):
        return peak + ops.log(total), lambda: mass

    return _weighted_sum(source, target, source[..., :0], weights, row_values, chunk)


def log_partition(source, target, chunk=None):
    """Log-sum-exp of each row's logits, [b, n]. It has no gradient."""
    chunks = _Chunks(source, target, chunk)

    def example(source, target):
        def step(_, row):
            _, peak, total = _masses(row[0], target)
            return (), [peak + ops.log(total)]

        return chunks.run(step, (), [source], [1])[1]

    return each_example(example, [source, target], [[chunks.count, 1]])[0][..., 0]


def attend(source, target, chunk=None):
    """Each source rebuilt from the targets: their mean under its softmax, [b, n, c].

    Two products; never an n x m x c tensor. Arguments as in `expected_distance_sum`.
    """
    chunks, channels = _Chunks(source, target, chunk), source.shape[-1]

    def forward(source, target):
        def step(_, row):
            mass, peak, total = _masses(row[0], target)
            return (), [matmul(mass, target) / total, peak + ops.log(total)]

        return chunks.run(step, (), [source], [channels, 1])[1]

    def backward(source, target, mean, level, upstream):
        def step(to_target, row):
            source, mean, level, upstream = row
            share = ops.exp(_logits(source, target) - level)
            # d mean = sum of (target - mean) dp, so that the slopes of a row sum to 0.
            slope = _logits(upstream, target) - ops.sum(upstream * mean, axis=-1, keepdims=True)
            slope = share * slope
            to_target = to_target + matmul(slope, source, transpose_first=True)
            to_target = to_target + matmul(share, upstream, transpose_first=True)
            return to_target, [matmul(slope, target)]

        inputs = [source, mean, level, upstream]
        to_target, (to_source,) = chunks.run(step, ops.zeros_like(target), inputs, [channels])
        return [to_source, to_target]

    @custom_gradient
    def run(source, target):
        shapes = [[chunks.count, channels], [chunks.count, 1]]
        mean, level = each_example(forward, [source, target], shapes)

        def pullback(upstream):
            inputs = [source, target, mean, level, upstream]
            shapes = [[chunks.count, channels], [chunks.targets, channels]]
            return tuple(each_example(backward, inputs, shapes))

        return mean, pullback

    return run(source, target)


def _weighted_sum(source, target, extra, weights, row_values, chunk, constants=()):
    """What the two losses have in common: the loops, and the two products of a gradient.

    Args:
        source, target, weights: as above.
        extra: [b, n, e], more numbers of each row, without gradient.
        row_values: (mass, peak, total, extra, *constants) of a chunk, see `_masses` -> the rows'
            values [r, 1], and a function that returns their slopes ds [r, m] times `total`.
        chunk: as above.
        constants: more tensors that `row_values` needs. Not to be closed over: under jax a function
            with a gradient of its own must not.
    """
    chunks, channels = _Chunks(source, target, chunk), source.shape[-1]

    alone = forward_is_all()

    def example(constants, source, target, extra, weights):
        def step(to_target, row):
            source, extra, weights = row
            mass, peak, total = _masses(source, target)
            value, slopes = row_values(mass, peak, total, extra, *constants)
            value = ops.where(weights > 0, value, ops.zeros_like(value)) * weights
            if alone:
                return to_target, [value]
            slope, factor = slopes(), weights / total
            to_target = to_target + matmul(slope, factor * source, transpose_first=True)
            return to_target, [value, factor * matmul(slope, target)]

        carry, widths = ((), [1]) if alone else (ops.zeros_like(target), [1, channels])
        to_target, (values, *to_source) = chunks.run(step, carry, [source, extra, weights], widths)
        return [ops.sum(values)] if alone else [ops.sum(values), *to_source, to_target]

    @custom_gradient
    def run(source, target, extra, weights, *constants):
        shapes = [[], [chunks.count, channels], [chunks.targets, channels]]
        found, *gradients = each_example(
            partial(example, constants),
            [source, target, extra, weights],
            shapes[: 1 if alone else 3],
        )

        def pullback(upstream):
            upstream = ops.reshape(upstream, [-1, 1, 1])
            return (
                *(upstream * gradient for gradient in gradients),
                *map(ops.zeros_like, (extra, weights, *constants)),
            )

        return found, pullback

    return run(source, target, extra, weights, *constants)


class _Chunks:
    """How the rows of an example are cut: `parts` chunks of `size`, the last filled up with 0."""

    def __init__(self, source, target, chunk, copies=1):
        self.count, self.targets = sizes(source)[1], sizes(target)[1]
        if chunk is None:
            most = max if isinstance(self.targets, int) else ops.maximum
            chunk = most(_CHUNK // (self.targets * copies), 1)
        parts = -(-self.count // chunk)
        self.size = -(-self.count // parts)  # chunks of one size
        self.parts = -(-self.count // self.size)

    def run(self, step, carry, inputs, widths):
        """`scan` of `step` over the chunks of `inputs` [n, .]; outputs [n, width]."""
        filled = self.parts * self.size
        inputs = [
            ops.reshape(
                ops.pad(rows, [[0, filled - self.count], [0, 0]]),
                [self.parts, self.size, rows.shape[-1]],
            )
            for rows in inputs
        ]
        carry, outputs = scan(step, carry, inputs, [[self.size, width] for width in widths])
        pairs = zip(outputs, widths, strict=True)
        return carry, [
            ops.reshape(output, [filled, width])[: self.count] for output, width in pairs
        ]


def _logits(source, target):
    return matmul(source, target, transpose_second=True)


def _masses(source, target):
    """exp(s - peak) of a chunk [r, m], and each row's peak and sum of masses [r, 1]."""
    logits = _logits(source, target)
    peak = ops.max(logits, axis=-1, keepdims=True)
    mass = ops.exp(logits - peak)
    return mass, peak, ops.sum(mass, axis=-1, keepdims=True)


def _distances(places, columns, rows, power):
    """(distance of each place from each cell) ** power: [r, h w]."""
    # Differences of coordinates, not |a|^2 + |b|^2 - 2 <a, b>: near a cell that would lose the
    # distance in rounding, and its fourth root would magnify what is left.
    across, down = ops.square(places[:, :1] - columns), ops.square(places[:, 1:] - rows)
    square = ops.expand_dims(down, 2) + ops.expand_dims(across, 1)
    square = ops.reshape(square, [-1, sizes(rows)[0] * sizes(columns)[0]])
    if power == 2:
        return square
    if power == 1:
        return ops.sqrt(square)
    # The root of a root is several times faster than a power.
    return ops.sqrt(ops.sqrt(square)) if power == 0.5 else ops.power(square, 0.5 * power)
