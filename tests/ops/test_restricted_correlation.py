"""Points against windows of pixels: the slow loop, adjoints, odd places and sizes; matches."""

import numpy as np
import pytest
from _gradients import assert_gradient, evaluate
from keras import ops

from kcorr.ops import best_displacements, best_of_targets, reciprocal, restricted_correlation

CASES = [
    # rows, columns, height, width, radius, spacing, offset
    (3, 4, 20, 30, 5, 8, (4, 4)),
    (2, 18, 9, 70, 3, 4, (2, 1)),
    (2, 3, 10, 10, 2, 3, (5, 4)),
    (1, 1, 3, 3, 0, 1, (0, 0)),
    (2, 2, 6, 6, 2, 3, (9, -7)),
]


def draw(rows, columns, height, width, *_, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, rows, columns, channels)), rng.normal(
        size=(2, height, width, channels)
    )


def slow(first, second, radius, spacing, offset):
    batch, rows, columns, _ = first.shape
    height, width = second.shape[1:3]
    count = 2 * radius + 1
    found = np.zeros((batch, count, count, rows, columns))
    for b, ky, kx, i, j in np.ndindex(*found.shape):
        y = offset[1] + spacing * i + ky - radius
        x = offset[0] + spacing * j + kx - radius
        if 0 <= y < height and 0 <= x < width:
            found[b, ky, kx, i, j] = first[b, i, j] @ second[b, y, x]
    return found


@pytest.mark.parametrize("case", CASES)
def test_scores_are_inner_products_within_the_window(case):
    first, second = draw(*case)
    found = evaluate(lambda a, b: restricted_correlation(a, b, *case[4:]), first, second)
    np.testing.assert_allclose(found, slow(first, second, *case[4:]), atol=1e-12)


@pytest.mark.parametrize("case", CASES[:3])
def test_gradients(case):
    first, second = draw(*case)
    count = 2 * case[4] + 1
    weights = np.random.default_rng(1).normal(size=(2, count, count, *case[:2]))

    def weighed(a, b):
        return restricted_correlation(a, b, *case[4:]) * ops.cast(weights, a.dtype)

    assert_gradient(weighed, first, second)


@pytest.mark.tensorflow_only
def test_unknown_sizes_and_half_precision():
    import tensorflow as tf

    case = CASES[0]
    first, second = (x.astype("float16") for x in draw(*case))
    expected = slow(first.astype("float64"), second.astype("float64"), *case[4:])
    spec = tf.TensorSpec([None, None, None, 3], tf.float16)
    found = tf.function(
        lambda a, b: restricted_correlation(a, b, *case[4:]), input_signature=[spec, spec]
    )(first, second)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bad_arguments_of_the_correlation_are_named():
    with pytest.raises(ValueError, match=r"first \[b, i, j, c\] and second \[b, h, w, c\]"):
        restricted_correlation(np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 4)), 1)
    with pytest.raises(ValueError, match="radius >= 0 and spacing >= 1, got -1 and 8"):
        restricted_correlation(np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 3)), -1)


# === Matches ===

VOLUMES = [
    # rows, columns, radius, spacing, cell, offset
    (3, 4, 5, 4, 1, (2, 2)),
    (4, 3, 3, 2, 4, (1, 3)),
    (2, 5, 8, 8, 8, (4, 4)),
    (3, 3, 1, 4, 2, (0, 0)),
]


def scores_of(rows, columns, radius, *_):
    count = 2 * radius + 1
    return np.random.default_rng(2).random((2, count, count, rows, columns)).astype("float32")


@pytest.mark.parametrize("case", VOLUMES)
def test_each_target_gets_its_best_score(case):
    scores, (rows, columns, radius, spacing) = scores_of(*case), case[:4]
    expected = np.full((2, *(spacing * (n - 1) + 2 * radius + 1 for n in (rows, columns))), -np.inf)
    for b, y, x, i, j in np.ndindex(*scores.shape):
        place = (b, spacing * i + y, spacing * j + x)
        expected[place] = max(expected[place], scores[b, y, x, i, j])
    np.testing.assert_array_equal(best_of_targets(scores, spacing), expected)


@pytest.mark.parametrize("case", VOLUMES)
def test_a_match_is_the_best_of_its_target_cell(case):
    scores, (rows, columns, radius, spacing, cell, offset) = scores_of(*case), case
    best = {}
    for b, y, x, i, j in np.ndindex(*scores.shape):
        place = (
            b,
            (offset[1] + spacing * i + y - radius) // cell,
            (offset[0] + spacing * j + x - radius) // cell,
        )
        best[place] = max(best.get(place, 0), scores[b, y, x, i, j])
    displacement, score, alone = best_displacements(scores)
    expected = np.zeros((2, rows, columns, 1))
    for b, i, j in np.ndindex(2, rows, columns):
        y, x = np.unravel_index(scores[b, :, :, i, j].argmax(), scores.shape[1:3])
        assert tuple(np.asarray(displacement)[b, i, j]) == (x - radius, y - radius)
        place = (
            b,
            (offset[1] + spacing * i + y - radius) // cell,
            (offset[0] + spacing * j + x - radius) // cell,
        )
        expected[b, i, j] = scores[b, y, x, i, j] >= best[place]
    first = (offset[0] - radius, offset[1] - radius)
    targets = best_of_targets(scores, spacing)
    found = reciprocal(displacement, score, targets, radius, spacing, cell, first)
    np.testing.assert_array_equal(found, expected)
    assert 0 < expected.mean() <= 1 and np.asarray(alone).all()


def test_a_shift_keeps_all_points_and_flat_scores_one_of_each_cell():
    scores = np.zeros((1, 7, 7, 4, 5), "float32")
    scores[:, 4, 1] = 1  # (-2, 1)
    displacement, score, alone = best_displacements(scores)
    assert (np.asarray(displacement) == (-2, 1)).all() and np.asarray(alone).all()
    kept = reciprocal(displacement, score, best_of_targets(scores, 4), 3, 4)
    assert np.asarray(kept).all()

    flat = np.ones((1, 7, 7, 4, 5), "float32")
    displacement, score, alone = best_displacements(flat)
    assert not np.asarray(alone).any()
    targets = best_of_targets(flat, 2)
    kept = np.asarray(reciprocal(displacement, score, targets, 3, 2, cell=4))[0, ..., 0]
    y, x = np.nonzero(kept)
    cells = list(zip((2 * y) // 4, (2 * x) // 4, strict=True))
    assert len(cells) == len(set(cells)) == 6


def test_points_without_a_score_match_nothing():
    scores = np.full((1, 3, 3, 2, 2), -np.inf, "float32")
    displacement, score, _ = best_displacements(scores)
    kept = reciprocal(displacement, score, best_of_targets(scores, 2), 1, 2)
    assert not np.asarray(kept).any()


def test_bad_arguments_of_matches_are_named():
    scores = np.zeros((1, 3, 3, 2, 2), "float32")
    with pytest.raises(ValueError, match="spacing must be at least 1, got 0"):
        best_of_targets(scores, 0)
    displacement, score, _ = best_displacements(scores)
    with pytest.raises(ValueError, match="cell must be at least 1, got 0"):
        reciprocal(displacement, score, best_of_targets(scores, 2), 1, 2, cell=0)
