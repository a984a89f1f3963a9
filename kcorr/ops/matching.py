"""Matches of points by dense labels, as tensors: what networks serve."""

from keras import ops

from kcorr.ops._arguments import check_shapes, sizes
from kcorr.ops._backend import gather_in_rows, matmul, take_rows
from kcorr.ops.grid import geometry_dtype


def match_points(first, second, points, stride=2, normalise="none"):
    """Where points of one picture are in another one: where the labels are most similar.

    A point's label is that of the cell that it falls into; its match is the middle of the cell with
    the most similar label, so that matches have whole cells.

    Args:
        first: [b, h, w, c], labels of the pictures that the points are in.
        second: [b, k, l, c], labels of the others.
        points: [b, n, 2] pixels of the first pictures. Those outside go to the nearest cell, NaN to
            any.
        stride: pixels a cell; the middle of cell i is at stride i + (stride - 1) / 2.
        normalise: "none" takes inner products, as DVE's released code does: a longer label is surer
            of itself, and short ones of a background that never counted in training do not win.
            "cosine" compares directions, which say the place: more exact where the whole picture
            was learned, as from warped pictures, above all in few dimensions.

    Returns:
        points2: [b, n, 2] pixels of the second pictures (the first of equals; NaN counts as least).
        similarity: [b, n, 1], cosines or inner products.

    Memory: n k l numbers a pair.

    Raises:
        ValueError: shapes that do not fit, or an unknown `normalise`.

    Source: Thewlis et al., ICCV 2019. `kcorr.metrics.match_points` is the same in numpy, with the
    protocols' options.
    """
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    points = ops.convert_to_tensor(points)
    check_shapes(
        "match_points",
        first=(first, "b h w c"),
        second=(second, "b k l c"),
        points=(points, "b n 2"),
    )
    if normalise not in ("cosine", "none"):
        raise ValueError(f"normalise must be 'cosine' or 'none', got {normalise!r}")
    dtype = geometry_dtype(first)
    batch, height, width, channels = sizes(first)
    _, rows, columns, _ = sizes(second)
    count = sizes(points)[1]
    middle = (stride - 1) / 2
    cells = ops.round((ops.cast(points, dtype) - middle) / stride)
    # Clipped as integers: NaN reads some cell instead of none.
    cells = ops.cast(cells, "int32")
    x, y = ops.clip(cells[..., 0], 0, width - 1), ops.clip(cells[..., 1], 0, height - 1)
    index = (ops.expand_dims(ops.arange(batch, dtype="int32"), 1) * height + y) * width + x
    table = ops.cast(ops.reshape(first, [batch * height * width, channels]), dtype)
    others = ops.cast(ops.reshape(second, [batch, rows * columns, channels]), dtype)
    if normalise == "cosine":
        table, others = _directions(table), _directions(others)
    vectors = take_rows(table, ops.reshape(index, [-1]))
    vectors = ops.reshape(vectors, [batch, count, channels])
    scores = matmul(vectors, others, transpose_second=True)
    scores = ops.where(ops.isnan(scores), ops.full_like(scores, -float("inf")), scores)
    best = ops.cast(ops.argmax(scores, axis=-1), "int32")
    found = ops.cast(ops.stack([best % columns, best // columns], axis=-1), dtype)
    # Picked, not ops.max: that refuses to be asked for no points.
    scores = ops.reshape(scores, [batch * count, rows * columns])
    similarity = gather_in_rows(scores, ops.reshape(best, [-1, 1]))
    return found * stride + middle, ops.reshape(similarity, [batch, count, 1])


def _directions(vectors):
    """Vectors at length 1; 0 stays 0."""
    # By the largest first: squares of large and of tiny numbers leave the range of floats.
    largest = ops.max(ops.abs(vectors), axis=-1, keepdims=True)
    vectors = vectors / ops.where(largest > 0, largest, 1.0)
    length = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
    return vectors / ops.where(length > 0, length, 1.0)
