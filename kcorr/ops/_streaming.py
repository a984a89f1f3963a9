"""Softmax over all pairs of two sets of features, a chunk of rows at a time, with its gradients.

For sources [b, n, c] and targets [b, m, c] the logits are s = <source, target>, n x m an example,
and p is their softmax over the targets. Nothing here ever holds n x m numbers: a chunk of rows is
multiplied out, reduced and forgotten. The pullback multiplies it out again, with what was kept of
each row, its value and its log-sum-exp:

    p = exp(s - lse)                                  to_source = ds target
    ds = p * (what the upstream gradient says)        to_target = ds^T source, summed over chunks

All targets of a row are there at once, so that its maximum need not be followed from block to block
as where the columns are cut as well. A chunk is some megabytes and stays in the processor's cache:
that is why this is faster than whole matrices, although the pullback repeats a product.
"""

from functools import partial

from keras import ops

from kcorr.ops._arguments import sizes
from kcorr.ops._backend import TENSORFLOW, custom_gradient, each_example, matmul, scan

# Numbers of a chunk, in each example that is worked on: under TensorFlow one, elsewhere all.
_CHUNK = 2**20 if TENSORFLOW else 2**18


def expected_distances(source, target, places, columns, rows, power, chunk=None):
    """Expected distance of each row's place from the targets' cells.

    Args:
        source: [b, n, c].
        target: [b, h w, c], row by row of its map.
        places: [b, n, 2], finite. Receives no gradient.
        columns: [w], x of the cells.
        rows: [h], y of the cells.
        power: of the distance.
        chunk: rows at a time; None chooses.

    Returns:
        [b, n].
    """

    def values(mass, total, _, places, *cells):
        distance = _distances(places, *cells, power)
        return ops.sum(mass * distance, axis=-1, keepdims=True) / total

    def slopes(share, _, found, upstream, places, *cells):
        return share * (_distances(places, *cells, power) - found), upstream, None

    cells = columns, rows
    return _stream(source, target, places, 1, values, slopes, chunk, cells)[..., 0]


def expected_distances_of_group(sources, target, places, columns, rows, power, chunk=None):
    """`expected_distances` of k sources for each place, [b, n, k, c] -> [b, n, k].

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


def log_partition(source, target, chunk=None):
    """Log-sum-exp of each row's logits, [b, n]; arguments as in `expected_distances`."""

    def slopes(share, _, found, upstream, places):
        return share, upstream, None

    return _stream(source, target, source[..., :0], 0, None, slopes, chunk)[..., 0]


def attend(source, target, chunk=None):
    """Each source rebuilt from the targets: their mean under its softmax, [b, n, c].

    Two products; never an n x m x c tensor. Arguments as in `expected_distances`.
    """

    def values(mass, total, target, places):
        return matmul(mass, target) / total

    def slopes(share, target, found, upstream, places):
        # d mean = sum of (target - mean) dp, so that the slopes of a row sum to 0.
        level = ops.sum(upstream * found, axis=-1, keepdims=True)
        to_target = matmul(share, upstream, transpose_first=True)
        return share * (_logits(upstream, target) - level), 1.0, to_target

    return _stream(source, target, source[..., :0], source.shape[-1], values, slopes, chunk)


def _stream(source, target, extra, width, values, slopes, chunk, constants=()):
    """What the three have in common: the loops, what is kept, and the two products of a gradient.

    Args:
        source, target: as above.
        extra: [b, n, e], more numbers of each row, without gradient.
        width: numbers of a row's value; 0 if the value is the log-sum-exp itself.
        values: (mass, total, target, extra, *constants) of a chunk -> values [r, width].
        slopes: (share, target, values, upstream, extra, *constants) of a chunk -> ds [r, m] without
            a factor, that factor [r, 1], and what the target gets besides, [m, c] or None.
        chunk: as above.
        constants: more tensors that `values` and `slopes` need. Not to be closed over: under jax a
            function with a gradient of its own must not.
    """
    chunks, channels = _Chunks(source, target, chunk), source.shape[-1]

    def forward(constants, source, target, extra):
        def step(_, row):
            source, extra = row
            mass, peak, total = _masses(source, target)
            level = peak + ops.log(total)
            if not width:
                return (), [level]
            found = values(mass, total, target, extra, *constants)
            return (), [ops.concatenate([found, level], axis=-1)]

        return chunks.run(step, (), [source, extra], [width + 1])[1]

    def backward(constants, source, target, extra, found, upstream):
        def step(to_target, row):
            source, extra, found, upstream = row
            share = ops.exp(_logits(source, target) - found[:, width:])
            slope, factor, more = slopes(
                share, target, found[:, :width], upstream, extra, *constants
            )
            to_target = to_target + matmul(slope, factor * source, transpose_first=True)
            to_target = to_target if more is None else to_target + more
            return to_target, [factor * matmul(slope, target)]

        inputs = [source, extra, found, upstream]
        to_target, (to_source,) = chunks.run(step, ops.zeros_like(target), inputs, [channels])
        return [to_source, to_target]

    @custom_gradient
    def run(source, target, extra, *constants):
        inputs = [source, target, extra]
        (found,) = each_example(partial(forward, constants), inputs, [[chunks.count, width + 1]])

        def pullback(upstream):
            gradients = each_example(
                partial(backward, constants),
                [*inputs, found, upstream],
                [[chunks.count, channels], [chunks.targets, channels]],
            )
            return (*gradients, *map(ops.zeros_like, (extra, *constants)))

        return found[..., : max(width, 1)], pullback

    return run(source, target, extra, *constants)


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
