"""Matches out of a restricted 4-D volume of scores: the best of each point, if it is the best of
its target, too."""

from keras import ops

from kcorr.ops._arguments import check_shapes, sizes
from kcorr.ops._backend import gather_in_rows, segment_max, take_rows

# Scores this near to the best one are as good.
_EQUAL = 1e-6


def best_displacements(scores):
    """The best displacement of each point.

    Args:
        scores: [b, 2R + 1, 2R + 1, i, j], see `kcorr.ops.deep_matching`.

    Returns:
        displacement: int32 [b, i, j, 2], (x, y) in steps, the first of equals in the order of rows.
        score: [b, i, j, 1].
        alone: [b, i, j, 1], 1 unless another displacement is as good to a millionth, as everywhere
            on a picture without texture.

    Raises:
        ValueError: shapes that do not fit.
    """
    scores = ops.convert_to_tensor(scores)
    check_shapes("best_displacements", scores=(scores, "b k k i j"))
    batch, count, _, rows, columns = sizes(scores)
    flat = ops.reshape(scores, [batch, count * count, rows, columns])
    best = ops.cast(ops.argmax(flat, axis=1), "int32")
    score = ops.max(flat, axis=1, keepdims=True)
    near = ops.cast(flat >= score - _EQUAL * ops.abs(score), "float32")
    alone = ops.cast(ops.sum(near, axis=1) < 1.5, score.dtype)
    displacement = ops.stack([best % count, best // count], axis=-1) - count // 2
    return displacement, score[:, 0, :, :, None], alone[..., None]


def best_of_targets(scores, spacing=8):
    """The best score that each pixel of image 2 gets from any point.

    Args:
        scores: as in `best_displacements`.
        spacing: steps from one point to the next.

    Returns:
        [b, u, v], u = spacing (i - 1) + 2R + 1: from the first row and column that any window
        reaches; -inf where none does.

    Raises:
        ValueError: shapes that do not fit, or a spacing below 1.
    """
    scores = ops.convert_to_tensor(scores)
    check_shapes("best_of_targets", scores=(scores, "b k k i j"))
    if spacing < 1:
        raise ValueError(f"spacing must be at least 1, got {spacing}")
    for point in (3, 4):
        scores = _folded(scores, point, spacing)
    return scores[..., 0, 0]


def reciprocal(displacement, score, targets, radius, spacing=8, cell=1, first=(0, 0)):
    """Which points are the best ones of where they go.

    Args:
        displacement, score: of `best_displacements`.
        targets: of `best_of_targets`.
        radius, spacing: of the scores.
        cell: side of the square cells of targets, in steps, that may have one match each: 1 is the
            exact verification; the released programs have 8 pixels.
        first: (x, y) of the first column and row of `targets` in steps from where cells begin:
            the offset of point (0, 0) less `radius`.

    Returns:
        [b, i, j, 1], 1 = no other point has a better score in that cell. Of equals the first one.

    Raises:
        ValueError: shapes that do not fit, or a cell below 1.

    Source: Thewlis et al., BMVC 2016, section 3.4; the cells: DeepMatching 1.2.
    """
    check_shapes(
        "reciprocal",
        displacement=(displacement, "b i j 2"),
        score=(score, "b i j 1"),
        targets=(targets, "b u v"),
    )
    if cell < 1:
        raise ValueError(f"cell must be at least 1, got {cell}")
    batch, rows, columns, _ = sizes(score)
    padding, size = [[0, 0]], sizes(targets)
    for axis, at in ((1, first[1]), (2, first[0])):
        before = at % cell
        padding.append([before, (-size[axis] - before) % cell])
    targets = ops.pad(targets, padding, constant_values=-float("inf"))
    _, high, wide = sizes(targets)
    high, wide = high // cell, wide // cell
    targets = ops.max(ops.reshape(targets, [batch, high, cell, wide, cell]), axis=(2, 4))
    x, y = (
        spacing * ops.arange(count, dtype="int32") + radius + at % cell
        for count, at in ((columns, first[0]), (rows, first[1]))
    )
    x = (x + displacement[..., 0]) // cell
    y = (y[:, None] + displacement[..., 1]) // cell
    count = rows * columns
    places = ops.reshape(y * wide + x, [batch, count])
    best = gather_in_rows(ops.reshape(targets, [batch, high * wide]), places)
    score = ops.reshape(score, [batch, count])
    # Of equals the one with the smallest number: else flat scores would all be matches.
    number = ops.arange(count, dtype="int32")
    turn = ops.where((score >= best) & (score > -float("inf")), -number, -count)
    of_batch = ops.arange(batch, dtype="int32")[:, None] * (high * wide)
    places = ops.reshape(places + of_batch, [-1])
    winners = segment_max(ops.reshape(turn, [-1]), places, batch * high * wide)
    winners = take_rows(winners, places)
    kept = (ops.reshape(winners, [batch, count]) == -number) & (turn > -count)
    return ops.cast(ops.reshape(kept, [batch, rows, columns, 1]), score.dtype)


def _folded(scores, point, spacing):
    """Displacements and points of one axis become places, at the axis of the displacements.

    Place spacing (i + a) + r gets the best of what points i give their displacement spacing a + r.
    """
    axis = point - 2
    count = scores.shape[axis]
    turns = -(-count // spacing)
    padding = [[0, turns * spacing - count] if at == axis else [0, 0] for at in range(5)]
    scores = ops.pad(scores, padding, constant_values=-float("inf"))
    lead, best = (slice(None),) * axis, None
    for turn in range(turns):
        part = scores[(*lead, slice(turn * spacing, (turn + 1) * spacing))]
        padding = [[turn, turns - 1 - turn] if at == point else [0, 0] for at in range(5)]
        part = ops.pad(part, padding, constant_values=-float("inf"))
        best = part if best is None else ops.maximum(best, part)
    shape = sizes(best)
    order = [at for at in range(5) if at != point]
    best = ops.transpose(best, [*order[:axis], point, *order[axis:]])
    shape = sizes(best)
    places = shape[axis] * spacing
    best = ops.reshape(best, [*shape[:axis], places, *shape[axis + 2 :]])
    # What the padding added lies behind the last displacement of the last point.
    best = best[(*lead, slice(0, places - (turns * spacing - count)))]
    return ops.expand_dims(best, point)
