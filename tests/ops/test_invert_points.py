"""Points carried through a warp: against maps whose inverse is known, and the authors' way."""

import numpy as np
import pytest
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.ops import invert_points, sample_points, tps_grid


def affine_grid(height, width, matrix, shift):
    """grid(p) = matrix (p - centre) + centre + shift."""
    y, x = np.mgrid[:height, :width]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return ((np.stack([x, y], -1) - centre) @ np.array(matrix).T + centre + shift)[None]


def inverse(points, height, width, matrix, shift):
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return (points - shift - centre) @ np.linalg.inv(matrix).T + centre


MATRIX, SHIFT = [[0.9, 0.2], [-0.15, 1.1]], (2.5, -1.25)


def both(grid, points, *args):
    places, found = invert_points(grid, points, *args)
    return ops.convert_to_numpy(places)[0], ops.convert_to_numpy(found)[0, :, 0]


def test_the_inverse_of_an_affine_map_inside_and_outside():
    """Also beyond the view, where the grid goes on only roughly: those are not found."""
    random = np.random.default_rng(0)
    points = random.uniform(-4, 40, (1, 60, 2))
    truth = inverse(points[0], 24, 36, MATRIX, SHIFT)
    places, found = both(affine_grid(24, 36, MATRIX, SHIFT), points)
    inside = (truth >= 0).all(-1) & (truth <= [35, 23]).all(-1)
    assert (found == inside).all() and 10 < inside.sum() < 50
    np.testing.assert_allclose(places[inside], truth[inside], atol=1e-3)
    near = (truth > -6).all(-1) & (truth < [41, 29]).all(-1) & ~inside
    assert near.any() and np.abs(places - truth)[near].max() < 2
    outside = (places < 0).any(-1) | (places > [35, 23]).any(-1)
    assert (outside == ~inside).all()


def test_a_warp_as_strong_as_the_published_is_undone_to_rounding():
    random = np.random.default_rng(1)
    weights = random.normal(0, 0.007, (3, 100, 2)).astype("float32")
    affine = np.float32([[0.1, -0.05], [1.05, 0.1], [-0.1, 0.95]]) + np.zeros((3, 1, 1), "float32")
    grid = tps_grid(weights, affine, 50, 60)
    truth = np.float32(random.uniform([8, 8], [51, 41], (3, 20, 2)))
    points, _ = sample_points(grid, truth)
    places, found = map(ops.convert_to_numpy, invert_points(grid, points))
    assert found.all()
    np.testing.assert_allclose(places, truth, atol=2e-3)


def test_nearest_is_a_whole_pixel_and_snaps_to_the_border():
    """The authors' way; a brute-force search over all pixels."""
    random = np.random.default_rng(2)
    grid = affine_grid(20, 30, MATRIX, SHIFT)
    points = np.concatenate([random.uniform(6, 14, (1, 12, 2)), [[[-40.0, 5.0], [90.0, 90.0]]]], 1)
    places, found = both(grid, points, "nearest")
    for place, point in zip(places, points[0], strict=True):
        row, column = np.unravel_index(((grid[0] - point) ** 2).sum(-1).argmin(), grid[0].shape[:2])
        assert tuple(place) == (column, row)
    assert found[:12].all() and not found[12:].any()
    assert places[12, 0] == 0 and tuple(places[13]) == (29, 19)
    exact, _ = both(grid, points)
    assert 0.2 < np.abs(places - exact)[:12].max() < 0.8


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_point_that_is_nowhere_is_not_found_and_does_not_spread(bad):
    grid = affine_grid(20, 30, MATRIX, SHIFT)
    points = np.full((1, 2, 2), 10.0)
    points[0, 0, 1] = bad
    for method in ("newton", "nearest"):
        places, found = both(grid, points, method)
        assert found.tolist() == [0, 1] and np.isfinite(places).all()


def test_every_mode_gives_the_same():
    grid = np.float32(affine_grid(20, 30, MATRIX, SHIFT).repeat(2, 0))
    points = np.float32(np.random.default_rng(3).uniform(6, 14, (2, 5, 2)))
    assert_same_in_every_mode(lambda g, p: invert_points(g, p), grid, points, atol=1e-3)


def test_precision_and_what_is_refused():
    grid, points = affine_grid(20, 30, MATRIX, SHIFT), np.full((1, 2, 2), 10.0)
    assert invert_points(np.float32(grid), np.float32(points))[0].dtype == "float32"
    with pytest.raises(ValueError, match="method must be newton or nearest, got 'linear'"):
        invert_points(grid, points, "linear")
    with pytest.raises(ValueError, match="invert_points expects grid"):
        invert_points(grid[0], points)
