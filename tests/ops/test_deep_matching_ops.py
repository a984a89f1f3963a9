"""The U of deep matching against brute force: pooling, recursion, planted truths, gradients."""

import keras
import numpy as np
import pytest
from _compiled import compiled
from _gradients import assert_gradient, evaluate
from keras import ops

from kcorr.ops import deep_matching as dm

CONVENTIONS = [(r, b) for r in dm.ROUNDINGS for b in dm.BORDERS]
conventions = pytest.mark.parametrize(("rounding", "border"), CONVENTIONS)


def random_scores(radius, rows=4, columns=5, batch=1, seed=0):
    """Positive and without ties."""
    count = 2 * radius + 1
    return np.random.default_rng(seed).uniform(0.1, 1, (batch, count, count, rows, columns))


def children(level, border):
    if level:
        return -(2 ** (level - 1)), 2 ** (level - 1)
    return (-1, 0) if border == "full" else (0, 1)


def slow_pool(scores, half):
    """Best of 3 x 3 around twice each coarse displacement, and where it is, the first of equals."""
    radius = scores.shape[1] // 2
    shape = (len(scores), 2 * half + 1, 2 * half + 1, *scores.shape[3:])
    pooled, where = np.full(shape, -np.inf), np.zeros((*shape, 2), int)
    for b, y, x, i, j in np.ndindex(*shape):
        for row in range(2 * (y - half) + radius - 1, 2 * (y - half) + radius + 2):
            for column in range(2 * (x - half) + radius - 1, 2 * (x - half) + radius + 2):
                if 0 <= row <= 2 * radius and 0 <= column <= 2 * radius:
                    value = scores[b, row, column, i, j]
                    if value > pooled[b, y, x, i, j]:
                        pooled[b, y, x, i, j], where[b, y, x, i, j] = value, (row, column)
    return pooled, where


def recursion(levels, border, rounding):
    """The original's decoding: from each entry of the top level down along every quarter."""
    best = np.full(levels[0].shape, -np.inf)
    halves = [dm.half_radius(level.shape[1] // 2, rounding) for level in levels[:-1]]
    where = [slow_pool(*pair)[1] for pair in zip(levels, halves, strict=False)]

    def descend(level, b, y, x, i, j, total):
        if level == 0:
            best[b, y, x, i, j] = max(best[b, y, x, i, j], total)
            return
        below, steps = levels[level - 1], children(level - 1, border)
        for row in (i + step for step in steps):
            for column in (j + step for step in steps):
                if 0 <= row < below.shape[3] and 0 <= column < below.shape[4]:
                    v, u = where[level - 1][b, y, x, row, column]
                    descend(level - 1, b, v, u, row, column, below[b, v, u, row, column] + total)

    top = levels[-1]
    for entry in np.ndindex(*top.shape):
        descend(len(levels) - 1, *entry, top[entry])
    return best


@pytest.mark.parametrize("rounding", dm.ROUNDINGS)
@pytest.mark.parametrize("radius", [2, 4, 5, 7])
def test_pooling_is_the_best_of_nine_and_remembers_it(radius, rounding):
    scores = random_scores(radius, 2, 3, batch=2).astype("float32")
    half = dm.half_radius(radius, rounding)
    pooled, switches = dm.pool_displacements(scores, rounding)
    expected, where = slow_pool(scores, half)
    np.testing.assert_array_equal(pooled, expected)
    rows, columns = np.meshgrid(*[2 * np.arange(-half, half + 1) + radius] * 2, indexing="ij")
    first = np.stack([rows, columns], axis=-1)[None, :, :, None, None] - 1
    three = where - first
    np.testing.assert_array_equal(switches, 3 * three[..., 0] + three[..., 1])
    assert keras.backend.standardize_dtype(switches.dtype) == "int8"


def test_of_equal_displacements_the_first_is_kept():
    _, switches = dm.pool_displacements(np.ones((1, 5, 5, 1, 1), "float32"))
    # The displacement at the rim has no rows (or columns) above itself.
    assert ops.convert_to_numpy(switches)[0, :, :, 0, 0].tolist() == [
        [4, 3, 3],
        [1, 0, 0],
        [1, 0, 0],
    ]


@pytest.mark.parametrize("rounding", dm.ROUNDINGS)
@pytest.mark.parametrize("radius", [2, 3, 4, 5])
def test_unpooling_puts_the_best_back_where_the_maxima_were(radius, rounding):
    scores = random_scores(radius, 3, 2).astype("float32")
    half = dm.half_radius(radius, rounding)
    _, where = slow_pool(scores, half)
    _, switches = dm.pool_displacements(scores, rounding)
    values = random_scores(half, 3, 2, seed=1).astype("float32")
    expected = np.full(scores.shape, -np.inf, "float32")
    for b, y, x, i, j in np.ndindex(*values.shape):
        row, column = where[b, y, x, i, j]
        expected[b, row, column, i, j] = max(expected[b, row, column, i, j], values[b, y, x, i, j])
    found = dm.unpool_displacements(values, switches, radius, rounding)
    np.testing.assert_array_equal(found, expected)


@conventions
@pytest.mark.parametrize("level", [0, 1, 2])
def test_patches_take_the_mean_of_the_quarters_that_exist(level, rounding, border):
    scores = random_scores(1, 6, 5)
    more = 0 if level else (1 if border == "full" else -1)
    expected = np.zeros((1, 3, 3, 6 + more, 5 + more))
    for entry in np.ndindex(*expected.shape):
        *lead, i, j = entry
        steps = children(level, border)
        inside = [
            scores[(*lead, i + a, j + b)]
            for a in steps
            for b in steps
            if 0 <= i + a < 6 and 0 <= j + b < 5
        ]
        expected[entry] = np.mean(inside) ** 1.4
    found = evaluate(lambda x: dm.aggregate_patches(x, level, 1.4, border), scores)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@conventions
@pytest.mark.parametrize(("radius", "levels"), [(4, 2), (4, 3), (5, 2), (5, 3)])
def test_the_u_equals_the_recursion_exactly(radius, levels, rounding, border):
    if dm.levels_of(radius, levels, rounding) < levels:
        levels = dm.levels_of(radius, levels, rounding)
    size = (6, 7) if border == "valid" else (4, 5)  # each patch of the top needs a quarter
    scores = random_scores(radius, *size)

    def pyramid(x):
        return dm.match_pyramid(x, [1.4] * levels, rounding, border)

    maps = [
        evaluate(lambda x, level=level: pyramid(x)[0][level], scores) for level in range(levels + 1)
    ]
    found = evaluate(lambda x: dm.decode_pyramid(*pyramid(x), rounding, border), scores)
    np.testing.assert_array_equal(found, recursion(maps, border, rounding))
    assert np.isinf(found).any() and np.isfinite(found).any(axis=(1, 2)).all()


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (2, -1), (3, 3)])
@pytest.mark.parametrize("exponent", [1.0, 1.4])
def test_a_translation_is_found_everywhere_with_one_for_each_level(shift, exponent):
    scores = np.zeros((1, 9, 9, 4, 5), "float32")
    scores[:, 4 + shift[1], 4 + shift[0]] = 1
    levels, switches = dm.match_pyramid(scores, [exponent] * 3)
    best = ops.convert_to_numpy(dm.decode_pyramid(levels, switches))[0]
    place = best.reshape(81, 4, 5).argmax(0)
    assert (place == (4 + shift[1]) * 9 + 4 + shift[0]).all()
    np.testing.assert_allclose(best.max((0, 1)), 4, rtol=1e-6)


def test_constant_scores_sum_to_their_powers():
    scores = np.full((1, 9, 9, 4, 5), 0.5)
    best = evaluate(lambda x: dm.decode_pyramid(*dm.match_pyramid(x, [1.4] * 3)), scores)
    np.testing.assert_allclose(best[np.isfinite(best)], 1.28522799667594, rtol=1e-12)


def test_without_levels_the_scores_are_what_they_are():
    scores = random_scores(3)
    assert dm.levels_of(3, 0) == 0
    np.testing.assert_array_equal(dm.decode_pyramid(*dm.match_pyramid(scores, [])), scores)


def test_displacements_of_the_scores_move_with_the_picture():
    scores = random_scores(8, 4, 5).astype("float32")
    scores[:, :4], scores[:, -4:], scores[:, :, :4], scores[:, :, -4:] = 0, 0, 0, 0
    # By whole steps of the coarsest level, or its grid falls elsewhere.
    moved = np.roll(scores, 4, axis=2)
    one, other = (
        ops.convert_to_numpy(dm.decode_pyramid(*dm.match_pyramid(x, [1.4] * 2)))
        for x in (scores, moved)
    )
    inner = (slice(None), slice(4, 13), slice(4, 13))
    outer = (slice(None), slice(4, 13), slice(8, 17))
    np.testing.assert_array_equal(one[inner].max((1, 2)), other[outer].max((1, 2)))


@conventions
def test_gradients_of_scores_and_exponents(rounding, border):
    scores = random_scores(4, 4, 5, seed=3)
    weights = random_scores(4, 4, 5, seed=4)

    def weighed(x, first, second):
        options = {"rounding": rounding, "border": border}
        best = dm.decode_pyramid(*dm.match_pyramid(x, [first, second], **options), **options)
        return ops.where(best > -float("inf"), best * ops.cast(weights, x.dtype), 0.0)

    assert_gradient(weighed, scores, np.array(1.4), np.array(1.2), rtol=1e-6)


def test_scores_below_zero_have_a_finite_power_and_slope():
    assert_gradient(lambda x: dm.raised(x, 1.4), np.array([0.5, 2.0]))
    assert np.isfinite(evaluate(lambda x: dm.raised(x, 1.4), np.array([-1.0, 0.0]))).all()


def test_patches_larger_than_the_picture_say_nothing():
    scores = random_scores(8, 1, 2).astype("float32")
    levels, switches = dm.match_pyramid(scores, [1.4] * 4)
    best = ops.convert_to_numpy(dm.decode_pyramid(levels, switches))
    assert np.isfinite(best).any(axis=(1, 2)).all() and not np.isnan(best).any()


@pytest.mark.tensorflow_only
def test_the_same_in_graphs_of_unknown_sizes_and_compiled():
    import tensorflow as tf

    def u(x):
        return dm.decode_pyramid(*dm.match_pyramid(x, [1.4, 1.4, 1.4]))

    scores = random_scores(5, 4, 5, batch=2).astype("float32")
    expected = u(scores)
    spec = tf.TensorSpec([None, 11, 11, None, None], tf.float32)
    np.testing.assert_array_equal(tf.function(u, input_signature=[spec])(scores), expected)
    np.testing.assert_allclose(compiled(u)(scores), expected, rtol=1e-6)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"\[b, k, k, i, j\]"):
        dm.pool_displacements(np.zeros((1, 5, 3, 2, 2), "float32"))
    with pytest.raises(ValueError, match="odd number of displacements, got 4"):
        dm.aggregate_patches(np.zeros((1, 4, 4, 2, 2), "float32"), 0)
    with pytest.raises(ValueError, match="radius of 1 is 0"):
        dm.pool_displacements(np.zeros((1, 3, 3, 2, 2), "float32"), "floor")
    with pytest.raises(ValueError, match="rounding must be one of ceil, floor, got 'up'"):
        dm.half_radius(3, "up")
    with pytest.raises(ValueError, match="border must be one of full, valid"):
        dm.aggregate_patches(np.zeros((1, 3, 3, 2, 2), "float32"), 0, border="none")
    with pytest.raises(ValueError, match="a radius of 7 becomes 4, got 1"):
        dm.unpool_displacements(
            np.zeros((1, 3, 3, 2, 2), "float32"), np.zeros((1, 3, 3, 2, 2), "int8"), 7
        )
