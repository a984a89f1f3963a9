"""Alignment and diversity of landmarks, against double loops and the specification's end points."""

import numpy as np
import pytest
from _compiled import compiled
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.losses import (
    coordinate_alignment,
    pooled_diversity,
    probability_alignment,
    quadratic_diversity,
)
from kcorr.ops import spatial_softmax

RANDOM = np.random.default_rng(21)


def maps(height=4, width=5, landmarks=3, batch=2, sharpness=2.0):
    mass = np.exp(RANDOM.normal(size=(batch, height, width, landmarks)) * sharpness)
    return mass / mass.sum((1, 2), keepdims=True)


def random_grid(height=8, width=10, batch=2, noise=2.0):
    y, x = np.mgrid[:height, :width]
    grid = np.repeat(np.stack([x, y], -1)[None].astype("float64"), batch, 0)
    return grid + RANDOM.normal(size=grid.shape) * noise


def value(loss, *arrays):
    return evaluate(compiled(lambda *inputs: loss(*inputs)), *arrays)


def places_in_cells(grid):
    """Stride 2: a cell's middle is the mean of its four pixels; in cells from the first middle."""
    batch, height, width, _ = grid.shape
    blocks = grid.reshape(batch, height // 2, 2, width // 2, 2, 2).mean((2, 4))
    return (blocks - 0.5) / 2


def slow_alignment(first, second, places):
    """The quadratic form, pair by pair."""
    batch, height, width, landmarks = first.shape
    y, x = np.mgrid[:height, :width]
    own = np.stack([x, y], -1).reshape(-1, 2)
    square = ((own[None, :, None] - places.reshape(batch, 1, -1, 2)) ** 2).sum(-1)
    p, q = (m.reshape(batch, -1, landmarks) for m in (second, first))
    return np.einsum("buv,buk,bvk->b", square, p, q) / landmarks


def test_linear_quadratic_and_moment_forms_agree():
    """T1, with places off the lattice."""
    first, second, grid = maps(), maps(), random_grid()
    places = places_in_cells(grid)
    expected = slow_alignment(first, second, places)
    found = value(probability_alignment, first, second, grid)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    y, x = np.mgrid[:4, :5]
    own = np.stack([x, y], -1)[None]
    mean_p = np.einsum("bhwk,ihwd->bkd", second, own)
    mean_q = np.einsum("bhwk,bhwd->bkd", first, places)
    linear = (
        np.einsum("bhwk,ihw->bk", second, (own**2).sum(-1))
        + np.einsum("bhwk,bhw->bk", first, (places**2).sum(-1))
        - 2 * (mean_p * mean_q).sum(-1)
    )
    np.testing.assert_allclose(found, linear.mean(-1), rtol=1e-10)


def test_no_cancellation_far_from_the_origin():
    """Two sharp maps at one place cost 0, in float32 too; sums of squares would leave 0.01."""
    first = np.zeros((1, 2, 300, 1), "float32")
    first[0, 1, 290:292] = 0.5
    y, x = np.mgrid[:2, :300].astype("float32")
    grid = np.stack([x, y], -1)[None] + np.float32(0.1)
    found = value(probability_alignment, first, first, grid)
    np.testing.assert_allclose(found, [0.25 + 0.25 + 0.02], rtol=1e-3)


def test_topleft_reads_the_first_pixel_of_a_cell():
    first, second, grid = maps(), maps(), random_grid()
    found = value(lambda *a: probability_alignment(*a, lattice="topleft"), first, second, grid)
    np.testing.assert_allclose(found, slow_alignment(first, second, grid[:, ::2, ::2] / 2))


def test_cells_that_do_not_count_are_taken_out_of_the_first_map():
    first, second, grid = maps(), maps(), random_grid()
    mask = (RANDOM.random((2, 4, 5, 1)) > 0.3).astype("float64")
    grid[0, 3, 4] = np.nan
    mask[0, 1, 2] = 1
    left = mask.copy()
    left[0, 1, 2] = 0
    weight = (first * left).sum((1, 2))
    q = first * left / weight[:, None, None]
    places = places_in_cells(np.nan_to_num(grid))
    expected = np.stack(
        [
            slow_alignment(q[..., k : k + 1], second[..., k : k + 1], places) * weight[:, k]
            for k in range(3)
        ]
    ).mean(0)
    found = value(probability_alignment, first, second, grid, mask)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    pixels = mask.repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(value(probability_alignment, first, second, grid, pixels), found)
    run = compiled(lambda *a: probability_alignment(*a, grid, mask))
    slopes = gradient(run, first, second)
    assert all(np.isfinite(slope).all() and slope.any() for slope in slopes)
    assert not value(probability_alignment, first, second, grid, 0 * mask).any()


def test_points_that_agree_cost_nothing():
    first, second = np.zeros((2, 1, 6, 8, 2))
    first[0, 2, 3, 0] = first[0, 4, 1, 1] = 1
    second[0, 1, 5, 0] = second[0, 3, 3, 1] = 1  # two cells right, one up
    y, x = np.mgrid[:12, :16]
    grid = np.stack([x + 4.0, y - 2.0], -1)[None]
    for loss in (probability_alignment, coordinate_alignment):
        np.testing.assert_allclose(value(loss, first, second, grid), [0], atol=1e-12)
        away = value(loss, first, second, grid + np.array([2.0, 0]))
        np.testing.assert_allclose(away, [1], rtol=1e-12)  # one cell off


def test_the_coordinate_loss_is_the_mean_mismatch_alone():
    """On an affine grid the mean of g is g of the mean: then it is the first of the three terms."""
    first, second = maps(6, 6), maps(6, 6)
    y, x = np.mgrid[:12, :12]
    grid = np.stack([0.9 * x + 0.1 * y + 0.4, 0.8 * y - 0.1 * x + 1.0], -1)[None].repeat(2, 0)
    y, x = np.mgrid[:6, :6]
    own = np.stack([x, y], -1)
    mean_p = np.einsum("bhwk,hwd->bkd", second, own)
    mean_q = np.einsum("bhwk,bhwd->bkd", first, places_in_cells(grid))
    expected = ((mean_p - mean_q) ** 2).sum(-1).mean(-1)
    found = value(coordinate_alignment, first, second, grid)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert (found < value(probability_alignment, first, second, grid)).all()


def test_what_does_not_count_does_not_change_the_coordinate_loss():
    """Landmarks 0 and 1 of two: one left, one right of the border between cells 4 and 5."""
    first, second = np.zeros((2, 1, 6, 10, 2))
    first[0, 2, 1:4, 0], first[0, 3, 6:9, 1] = 1 / 3, 1 / 3
    second[0, 4, 2, 0] = second[0, 1, 7, 1] = 1
    grid, mask = random_grid(12, 20, 1), np.ones((1, 12, 20, 1))
    mask[:, :, 10:] = 0
    everything = value(coordinate_alignment, first, second, grid, np.ones_like(mask))
    np.testing.assert_array_equal(value(coordinate_alignment, first, second, grid), everything)
    found = value(coordinate_alignment, first, second, grid, mask)
    assert 0 < found < everything
    elsewhere = np.where(mask > 0, grid, grid + 50)
    np.testing.assert_array_equal(
        value(coordinate_alignment, first, second, elsewhere, mask), found
    )
    assert value(coordinate_alignment, first, second, elsewhere) > everything + 100
    # The other half is what is missing, and cells serve as well as pixels.
    rest = value(coordinate_alignment, first, second, grid, (1 - mask)[:, ::2, ::2])
    np.testing.assert_allclose(found + rest, everything, rtol=1e-12)


# === Diversity ===


def deltas(count=5):
    """`count` points in as many blocks of 2 x 2 cells."""
    points = np.zeros((1, 6, 6, count))
    for k in range(count):
        points[0, 2 * (k // 3) + 1, 2 * (k % 3), k] = 1
    return points


def test_the_end_points_of_diversity():
    """T9 and the printed overlap of the quadratic form: 1 / K for K points."""
    points, same = deltas(), maps(6, 6, 1).repeat(5, -1)
    assert value(lambda x: pooled_diversity(x, 2), points) == [0]
    np.testing.assert_allclose(value(lambda x: pooled_diversity(x, 2), same), [4, 4])
    assert value(quadratic_diversity, points) == [0]
    np.testing.assert_allclose(
        value(lambda x: quadratic_diversity(x, own=True), points), [0.2], rtol=1e-12
    )


def test_the_quadratic_form_pair_by_pair():
    found = maps()
    pairs = np.einsum("bhwr,bhws->brs", found, found)
    own = np.einsum("brr->b", pairs)
    expected = pairs.sum((1, 2)) / 9
    np.testing.assert_allclose(value(lambda x: quadratic_diversity(x, True), found), expected)
    np.testing.assert_allclose(value(quadratic_diversity, found), expected - own / 9)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 7])
def test_blocks_that_do_not_divide_the_map_lose_nothing(window):
    found = maps(5, 7)
    expected = np.full(2, 3.0)
    for top in range(0, 5, window):
        for left in range(0, 7, window):
            block = found[:, top : top + window, left : left + window]
            expected -= block.sum((1, 2)).max(-1)
    result = value(lambda x: pooled_diversity(x, window), found)
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_only_the_largest_map_of_a_block_receives_a_gradient():
    found = maps(4, 8)
    (slope,) = gradient(lambda x: pooled_diversity(x, 4), found)
    expected = np.zeros_like(found)
    for block in (np.s_[:, :, :4], np.s_[:, :, 4:]):
        for example, largest in enumerate(found[block].sum((1, 2)).argmax(-1)):
            expected[block][example, ..., largest] = -1
    np.testing.assert_allclose(slope, expected, atol=1e-12)


# === Gradients, modes, arguments ===


def test_gradients_by_differences():
    logits, grid = RANDOM.normal(size=(2, 2, 4, 5, 2)), random_grid()
    weight = np.array([1.0, -2.0])
    for loss in (probability_alignment, coordinate_alignment):
        run = compiled(
            lambda a, b, f=loss: f(spatial_softmax(a), spatial_softmax(b), grid) * weight
        )
        assert_gradient(run, *logits, entries=6)
    for loss in (pooled_diversity, quadratic_diversity):
        run = compiled(lambda a, f=loss: f(spatial_softmax(a)) * weight)
        assert_gradient(run, logits[0], entries=6)


def test_every_mode():
    def losses(first, second, grid, mask):
        return [
            probability_alignment(first, second, grid, mask),
            coordinate_alignment(first, second, grid, mask),
            pooled_diversity(first, 3),
            quadratic_diversity(first),
        ]

    mask = np.ones((2, 8, 10, 1))
    arrays = (maps(), maps(), random_grid(), mask)
    assert_same_in_every_mode(losses, *(x.astype("float32") for x in arrays), rtol=1e-4)


def test_half_precision_is_summed_in_float32():
    first, second = (ops.cast(x, "bfloat16") for x in (maps(), maps()))
    grid = random_grid().astype("float32")
    for loss in (probability_alignment, coordinate_alignment):
        assert "float32" in str(loss(first, second, grid).dtype)
    assert "float32" in str(pooled_diversity(first).dtype)


def test_what_is_refused():
    first, second, grid = maps(), maps(), random_grid()
    with pytest.raises(ValueError, match="the same landmarks"):
        probability_alignment(first, second[..., :2], grid)
    with pytest.raises(ValueError, match=r"grid must be \[b, h, w, 2\]"):
        coordinate_alignment(first, second, grid[..., :1])
    with pytest.raises(ValueError, match="4x5 cells are not those of a picture of 7x3"):
        coordinate_alignment(first, second, grid[:, :7, :3])
    with pytest.raises(ValueError, match="share batch, height and width"):
        probability_alignment(first, second[:, 1:], grid)
    with pytest.raises(ValueError, match="window"):
        pooled_diversity(first, 0)
    with pytest.raises(ValueError, match="lattice must be"):
        probability_alignment(first, second, grid, lattice="corner")
