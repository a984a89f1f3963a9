"""`match_points` as tensors: the same as in numpy, for what a server may be sent."""

import numpy as np
import pytest
from keras import ops

from kcorr import metrics
from kcorr.ops import match_points


def labels(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("normalise", ["cosine", "none"])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_it_is_what_numpy_computes(stride, normalise):
    first, second = labels(3, 7, 9, 5), labels(3, 6, 11, 5, seed=1)
    points = np.random.default_rng(2).uniform(-3, 9.3 * stride, (3, 40, 2))
    found, similarity = map(
        ops.convert_to_numpy, match_points(first, second, points, stride, normalise)
    )
    expected = metrics.match_points(first, points, second, stride, normalise=normalise)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == similarity.dtype == np.float32 and len(np.unique(found)) > 10
    vectors = metrics.labels_at(first, points, stride)
    reached = metrics.labels_at(second, expected, stride)
    alike = (vectors * reached).sum(-1)
    if normalise == "cosine":
        alike /= np.linalg.norm(vectors, axis=-1) * np.linalg.norm(reached, axis=-1)
    np.testing.assert_allclose(similarity[..., 0], alike, rtol=1e-4)


def test_a_surer_label_does_not_win_over_the_right_one():
    """Lengths say how sure a label is; huge, tiny and zero ones do no harm."""
    first, second = np.zeros((2, 1, 1, 3, 2), "float32")
    first[0, 0] = [[1, 0], [1e-30, 1e-30], [0, 0]]
    second[0, 0] = [[3, 4], [0.1, 0.001], [0, 0]]
    points = np.array([[[0.0, 0], [1, 0], [2, 0]]])
    for normalise, wanted in (("cosine", [1, 0, 0]), ("none", [0, 0, 0])):
        found, _ = match_points(first, second, points, 1, normalise)
        np.testing.assert_array_equal(ops.convert_to_numpy(found)[0, :, 0], wanted)
    huge, _ = match_points(1e30 * first, 1e30 * second, points, 1, "cosine")
    np.testing.assert_array_equal(ops.convert_to_numpy(huge)[0, :2, 0], [1, 0])
    for match in (match_points, lambda *a, **k: metrics.match_points(a[0], a[2], a[1], **k)):
        with pytest.raises(ValueError, match="normalise must be 'cosine' or 'none', got 'mean'"):
            match(first, second, points, normalise="mean")


def test_what_is_not_a_number_matches_last_and_breaks_nothing():
    first, second = labels(1, 4, 4, 3), labels(1, 4, 4, 3, seed=1)
    points = np.array([[[3.0, 3.0], [np.nan, 1], [np.inf, -np.inf]]])
    best = match_points(first, second, points)[0][0, 0]
    column, row = (ops.convert_to_numpy(best).astype(int)) // 2
    second[0, row, column] = np.nan
    found, similarity = match_points(first, second, points)
    found, similarity = ops.convert_to_numpy(found), ops.convert_to_numpy(similarity)
    assert (found[0, 0] != ops.convert_to_numpy(best)).any()
    assert np.isfinite(found).all() and np.isfinite(similarity).all()
    assert ((found >= 0) & (found <= 7)).all()


@pytest.mark.tensorflow_only
def test_one_graph_serves_all_sizes():
    import tensorflow as tf

    spec = [tf.TensorSpec([None] * 4), tf.TensorSpec([None] * 4), tf.TensorSpec([None, None, 2])]
    graph = tf.function(match_points, input_signature=spec)
    for batch, count in ((1, 3), (2, 0)):
        first, second = labels(batch, 5, 6, 4), labels(batch, 7, 3, 4, seed=1)
        points = labels(batch, count, 2, seed=2) * 5 + 5
        for found, expected in zip(
            graph(first, second, points), match_points(first, second, points), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"match_points expects first \[b, h, w, c\] and second"):
        match_points(labels(1, 4, 4, 3), labels(1, 4, 4, 2), labels(1, 2, 2))
    with pytest.raises(ValueError, match=r"points \[b, n, 2\]"):
        match_points(labels(2, 4, 4, 3), labels(2, 4, 4, 3), labels(1, 2, 2))
