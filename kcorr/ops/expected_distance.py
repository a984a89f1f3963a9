"""How far matches lie from where a known warp says they must be: the core of object frames.

Two views of an object and the grid that maps one to the other are given, and features Phi of each.
Cell u of the first view votes for the cells v of the second one, and pays for the distance:

    p(v | u) = softmax_v <Phi_u, Phi'_v>        L_u = sum_v |v - g(u)|^power p(v | u)

`matching_log_loss` is its sibling that only looks at the one cell that g(u) falls into. Both take
auxiliary features to look through, a mirror image, and a list of symmetries.
"""

import math

import numpy as np
from keras import ops

from kcorr.ops._arguments import check_shapes, sizes
from kcorr.ops._backend import take_rows
from kcorr.ops._streaming import (
    attend,
    expected_distance_sum,
    expected_distances_of_group,
    log_partition,
    log_partition_sum,
)
from kcorr.ops.correlation import unit_length
from kcorr.ops.grid import geometry_dtype
from kcorr.ops.lattice import at_cells, cell_axes, cell_strides, mask_at_cells
from kcorr.ops.reduce import masked_mean

# Length of normalised descriptors, so that logits are 400 times a cosine (released code of DVE).
DESCRIPTOR_LENGTH = 20.0


def expected_distance(
    first,
    second,
    grid,
    power=0.5,
    mask=None,
    aux=None,
    normalise=False,
    group=None,
    mirror=None,
    lattice="centre",
    chunk=None,
):
    """Expected distance, under the softmax of their correlations, from where the match must be.

    Memory grows with the number of cells, not with its square, and so does what the gradient keeps.
    A constant embedding costs the mean distance of all cells: 5.838 for 35 x 35 cells of stride 2,
    power 0.5 and the identity (a loss that stays there has collapsed).

    Args:
        first: [b, h, w, c]. Features of the view that the grid lives on, not normalised: their
            length is how certain they are.
        second: [b, h2, w2, c]. Features of the other view, at the same stride.
        grid: [b, H, W, 2] pixels, (x, y): where each pixel of the first picture lies in the second
            one. Read bilinearly at the cells; it receives no gradient. Cells whose pixels are not
            finite there do not count.
        power: gamma, of the distance in pixels; the papers use 0.5 and 1.
        mask: [b, H, W, 1] or [b, h, w, 1], which source positions count (1 = counts). A cell that
            is interpolated from pixels counts if all of them do. Targets are never excluded: that
            would change the chance level. None counts all.
        aux: [b, h3, w3, c], or [b, a, h3, w3, c] for several that share one softmax: features of
            other instances. Each source is first rebuilt from them, Phi^_u = sum_w Phi_w softmax_w
            <Phi_u, Phi_w> (vector exchange), and Phi^_u votes in its place.
        normalise: True gives all features, but not the rebuilt ones, length 20; a number gives them
            that length. The published configurations differ in it, so there is no "right" one.
        group: finite list of orthogonal matrices [n, 3, 3] that turn the first three channels of
            the sources: the loss of each pair is that of its best matrix, for all cells at once,
            and only that one receives a gradient. For ambiguous symmetries, such as
            `rotations(n)`. It is a constant, not a tensor.
        mirror: [b] or [b, 1], 1 = the second view is a mirror image: channel 0 of the sources (the
            rebuilt ones, given `aux`) changes its sign. `second` and `grid` are those of the mirror
            image, as `kcorr.pipelines.mirror_second` makes them: x is w - 1 - x there already.
        lattice: "centre", or "topleft" for parity with published code; see `kcorr.ops.lattice`.
        chunk: rows of the correlation that are in memory at a time; None chooses.

    Returns:
        [b], float32 (float64 for float64 features): the mean of L_u over the cells that count, 0
        where none does. A NaN among the features of `second` reaches its own example's loss.

    Raises:
        ValueError: shapes do not fit, or `power`, `group`, `normalise`, `lattice` or `chunk` are
            not what they may be.

    Source: Thewlis et al., NeurIPS 2017, eq. 5 and 6 (0.5 and 1: its section 4); `mirror` and
    `group`: NeurIPS 2018, eq. 4 and 6; `aux`: ICCV 2019, eq. 3 to 5, `normalise` its released code.
    """
    if not power > 0:
        raise ValueError(f"power must be above 0, got {power}")
    pair = _Pair("expected_distance", first, second, grid, mask, aux, normalise, lattice, chunk)
    where = pair.places, pair.columns, pair.rows, power
    return _loss(
        pair,
        mirror,
        group,
        lambda source, weights: expected_distance_sum(source, pair.target, *where, weights, chunk),
        lambda sources: expected_distances_of_group(sources, pair.target, *where, chunk),
        pair.counts,
    )


def matching_log_loss(
    first,
    second,
    grid,
    mask=None,
    aux=None,
    normalise=False,
    group=None,
    mirror=None,
    lattice="centre",
    chunk=None,
):
    """Minus the log-probability of the cell in which the match lies, -log p(g(u) | u).

    g(u) is rounded to the nearest cell; sources whose match lies in none do not count. Unlike
    `expected_distance` a near miss costs as much as a far one. Chance level is log(h2 w2).

    Args:
        first, second, grid, mask, aux, normalise, group, mirror, lattice, chunk: as in
            `expected_distance`.

    Returns:
        [b], float32 (float64 for float64 features), 0 where nothing counts.

    Raises:
        ValueError: as in `expected_distance`.

    Source: Thewlis et al., NeurIPS 2017, eq. 4 (L_log).
    """
    pair = _Pair("matching_log_loss", first, second, grid, mask, aux, normalise, lattice, chunk)
    match, inside = pair.nearest_cells()

    def weighted_sum(source, weights):
        score = ops.sum(source * match, axis=-1, keepdims=True)
        partition = log_partition_sum(source, pair.target, weights, chunk)
        return partition - masked_mean(score, weights)  # weights sum to 1, or to 0

    def rows_of_group(sources):
        batch, cells, copies, channels = sizes(sources)
        together = ops.reshape(sources, [batch, cells * copies, channels])
        level = ops.reshape(log_partition(together, pair.target, chunk), [batch, cells, copies])
        return level - ops.sum(sources * ops.expand_dims(match, 2), axis=-1)

    return _loss(pair, mirror, group, weighted_sum, rows_of_group, pair.counts * inside)


def rotations(count):
    """The `count` rotations about z by 2 pi k / count, the group of an object with as many legs.

    Args:
        count: 1 is the identity alone.

    Returns:
        numpy array [count, 3, 3], for the argument `group` of `expected_distance`.

    Raises:
        ValueError: `count` is below 1.

    Source: Thewlis et al., NeurIPS 2018, section 3.2.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    angle = 2 * np.pi * np.arange(count) / count
    matrices = np.zeros([count, 3, 3])
    matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angle)
    matrices[:, 1, 0], matrices[:, 0, 1] = np.sin(angle), -np.sin(angle)
    matrices[:, 2, 2] = 1
    return matrices


class _Pair:
    """The arguments that both losses share: checked, in one dtype, as rows of cells."""

    def __init__(self, function, first, second, grid, mask, aux, normalise, lattice, chunk):
        first, second, grid = (ops.convert_to_tensor(x) for x in (first, second, grid))
        shapes = {"first": (first, "b h w c"), "second": (second, "b h2 w2 c")}
        check_shapes(function, **shapes, grid=(grid, "b H W 2"))
        if chunk is not None and not (chunk >= 1 and chunk == int(chunk)):
            raise ValueError(f"chunk must be a whole number of rows, got {chunk}")
        self.dtype = geometry_dtype(first, second)
        self.length = _descriptor_length(normalise)
        cells, self.size = sizes(first)[1:3], sizes(second)[1:3]
        places, known = at_cells(function, ops.cast(grid, self.dtype), *cells, lattice)
        self.places, self.counts = ops.stop_gradient(places), known
        self.strides = cell_strides(function, grid, *cells)
        self.columns, self.rows = cell_axes(*self.size, self.strides, lattice, self.dtype)
        if mask is not None:
            mask = ops.cast(ops.convert_to_tensor(mask), self.dtype)
            check_shapes(function, first=(first, "b h w c"), mask=(mask, "b H W 1"))
            self.counts = known * mask_at_cells(function, mask, *cells, lattice)
        self.source, self.target = self._as_rows(first, self.counts), self._as_rows(second)
        if aux is not None:
            aux = ops.convert_to_tensor(aux)
            axes = "b a h3 w3 c" if len(aux.shape) == 5 else "b h3 w3 c"
            check_shapes(function, second=(second, "b h2 w2 c"), aux=(aux, axes))
            self.source = attend(self.source, self._as_rows(aux), chunk)

    def nearest_cells(self):
        """Features [b, n, c] of the cells in which the places lie; 1 where there is one [b, n, 1].

        A place half-way between two cells belongs to the later one.
        """
        (height, width), (down, across) = self.size, self.strides
        column = (self.places[..., 0] - self.columns[0]) / ops.cast(across, self.dtype)
        row = (self.places[..., 1] - self.rows[0]) / ops.cast(down, self.dtype)
        column, row = ops.floor(column + 0.5), ops.floor(row + 0.5)
        inside = True
        for index, count in ((column, width), (row, height)):
            inside = inside & (index >= 0) & (index < ops.cast(count, self.dtype))
        column = ops.clip(ops.cast(column, "int32"), 0, width - 1)
        row = ops.clip(ops.cast(row, "int32"), 0, height - 1)
        batch, cells, channels = sizes(self.target)
        start = ops.expand_dims(ops.arange(batch, dtype="int32") * cells, 1)
        table = ops.reshape(self.target, [batch * cells, channels])
        match = take_rows(table, start + row * width + column)
        return match, ops.expand_dims(ops.cast(inside, self.dtype), -1)

    def _as_rows(self, features, counts=None):
        """[b, ..., c] to [b, n, c], with 0 where a row does not count."""
        *leading, channels = sizes(features)
        features = ops.reshape(features, [leading[0], math.prod(leading[1:]), channels])
        features = ops.cast(features, self.dtype)
        if counts is not None:
            # Before anything else: a NaN would reach the targets' gradients although its upstream
            # is 0.
            features = ops.where(counts > 0, features, ops.zeros_like(features))
        return features if self.length is None else unit_length(features) * self.length


def _loss(pair, mirror, group, weighted_sum, rows_of_group, counts):
    """The mean over the cells that count, for the best matrix of the group.

    Args:
        pair: a `_Pair`.
        mirror, group: see `expected_distance`.
        weighted_sum: sources [b, n, c], weights [b, n, 1] that sum to 1 (0 where nothing counts)
            -> weighted sum of their losses [b].
        rows_of_group: sources [b, n, k, c] -> losses [b, n, k], without gradient.
        counts: [b, n, 1].

    Returns:
        [b].
    """
    source = _mirrored(pair.source, mirror)
    if group is not None:
        matrices = ops.cast(_matrices(group, source.shape[-1]), pair.dtype)
        turned = ops.stop_gradient(_turned(source, ops.expand_dims(matrices, 0)))
        found = ops.stop_gradient(rows_of_group(turned))
        found = ops.where(counts > 0, found, ops.zeros_like(found)) * counts
        best = ops.argmin(ops.sum(found, axis=1), axis=-1)  # only now: one matrix for all cells
        matrices = ops.expand_dims(ops.take(matrices, best, axis=0), 1)
        source = _turned(source, matrices)[:, :, 0]
    total = ops.sum(counts, axis=1, keepdims=True)
    return weighted_sum(source, ops.stop_gradient(counts / ops.where(total > 0, total, 1.0)))


def _mirrored(source, mirror):
    """[b, n, c] with channel 0 negated in the examples where `mirror` is 1."""
    if mirror is None:
        return source
    mirror = ops.convert_to_tensor(mirror)
    if len(mirror.shape) not in (1, 2) or (len(mirror.shape) == 2 and mirror.shape[1] != 1):
        raise ValueError(f"mirror must be [b] or [b, 1], got shape {tuple(mirror.shape)}")
    sign = 1 - 2 * ops.cast(ops.reshape(mirror, [-1, 1, 1]), source.dtype)
    return ops.concatenate([source[..., :1] * sign, source[..., 1:]], axis=-1)


def _turned(source, matrices):
    """Sources [b, n, c] with their first three channels turned by [b or 1, k, 3, 3]: [b, n, k, c].

    For k rotations about z the correlations of all turned sources are combinations of three partial
    ones. They are not made so: the turned sources are k rows more of one product, and recombining
    whole matrices takes longer than multiplying so few channels (1.1 and 1.7 ms a chunk of 2^20
    numbers and three channels; equal at 64).
    """
    batch, count, _ = sizes(source)
    copies = matrices.shape[1]
    matrices = ops.expand_dims(matrices, 1)  # [b, 1, k, 3, 3]
    frame = ops.reshape(source[..., :3], [batch, count, 1, 1, 3])
    frame = ops.sum(matrices * frame, axis=-1)
    rest = ops.repeat(ops.expand_dims(source[..., 3:], 2), copies, axis=2)
    return ops.concatenate([frame, rest], axis=-1)


def _matrices(group, channels):
    matrices = np.asarray(group, "float64")
    if matrices.ndim != 3 or matrices.shape[1:] != (3, 3) or not len(matrices):
        raise ValueError(f"group must be a list of 3x3 matrices, got shape {matrices.shape}")
    products = matrices @ matrices.transpose(0, 2, 1)
    if not np.allclose(products, np.eye(3), atol=1e-4):
        raise ValueError("group must hold orthogonal matrices")
    if channels < 3:
        raise ValueError(f"group turns three channels, the features have {channels}")
    return matrices


def _descriptor_length(normalise):
    if normalise is True:
        return DESCRIPTOR_LENGTH
    if normalise is None or normalise is False:
        return None
    if not normalise > 0:
        raise ValueError(f"normalise must be True, False or a length above 0, got {normalise}")
    return float(normalise)
