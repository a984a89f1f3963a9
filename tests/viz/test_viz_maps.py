"""Error maps, heat maps, disparity: bins, ends, unknowns."""

import numpy as np
import pytest

from kcorr import viz

PALETTE = [
    (49, 54, 149), (69, 117, 180), (116, 173, 209), (171, 217, 233), (224, 243, 248),
    (254, 224, 144), (253, 174, 97), (244, 109, 67), (215, 48, 39), (165, 0, 38),
]  # fmt: skip
INLIERS = {PALETTE[i] for i in range(5)}


def errors(target_u, error):
    """The colours of errors made straight up against targets to the right."""
    target = np.zeros((1, len(error), 2))
    target[..., 0] = target_u
    flow = target.copy()
    flow[..., 1] = error
    return [tuple(c) for c in viz.error_map(flow, target)[0].tolist()]


def test_errors_of_slow_motion_fall_into_bins_of_three_pixels():
    # Motion of 10 px: 3 px is 30 %, so error / 3 px is the smaller term.
    edges = 3 * np.array([0, 0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16])
    assert errors(10, edges) == PALETTE  # a bin holds its lower edge
    assert errors(10, edges[1:] - 1e-6) == PALETTE[:9]
    assert errors(10, [1000]) == PALETTE[9:]


def test_errors_of_fast_motion_fall_into_bins_of_five_percent():
    # Motion of 200 px: 5 % is 10 px, so 4 px is an inlier.
    assert errors(200, [0, 4, 9.99, 10, 25, 41]) == [PALETTE[i] for i in (0, 3, 4, 5, 6, 7)]


def test_still_targets_count_in_pixels_alone():
    assert errors(0, [0, 1, 2.9, 3, 100]) == [PALETTE[i] for i in (0, 3, 4, 5, 9)]


def test_red_is_what_the_outlier_measure_counts():
    rng = np.random.default_rng(3)
    target = rng.normal(0, 60, (50, 60, 2))
    flow = target + rng.normal(0, 4, target.shape)
    error = np.linalg.norm(flow - target, axis=-1)
    outlier = (error > 3) & (error > 0.05 * np.linalg.norm(target, axis=-1))
    assert 0.1 < outlier.mean() < 0.9
    red = [[tuple(c) not in INLIERS for c in row] for row in viz.error_map(flow, target).tolist()]
    np.testing.assert_array_equal(red, outlier)


def test_hidden_pixels_are_half_as_bright_and_invalid_ones_black():
    target = np.full((2, 4, 2), 5.0)
    target[0, 3] = np.nan  # no truth
    flow = target + np.array([0, 1])
    flow[1, 3] = np.nan  # no prediction where there is a truth: as wrong as can be
    occlusion = np.zeros((2, 4, 1))
    occlusion[0, 1] = 1
    valid = np.ones((2, 4))
    valid[0, 2] = 0
    color = viz.error_map(flow, target, valid, occlusion)
    assert color[0].tolist() == [[171, 217, 233], [85, 108, 116], [0, 0, 0], [0, 0, 0]]
    assert color[1, 3].tolist() == [165, 0, 38]


def test_error_map_refuses_other_sizes():
    flow = np.zeros((4, 5, 2))
    with pytest.raises(ValueError, match="target is 5x4"):
        viz.error_map(flow, np.zeros((5, 4, 2)))
    with pytest.raises(ValueError, match="occlusion is 2x2"):
        viz.error_map(flow, flow, occlusion=np.zeros((2, 2)))
    with pytest.raises(ValueError, match="target has shape"):
        viz.error_map(flow, np.zeros((4, 5)))


def test_error_legend_runs_from_the_best_to_the_worst_colour():
    strip = viz.error_map_legend(500)
    assert strip.shape == (24, 500, 3)
    # The lowest row is free of letters.
    assert [tuple(c) for c in strip[-1, 25::50].tolist()] == PALETTE
    assert viz.error_map_legend(1).shape == (24, 1, 3)


def lightness(color):
    linear = np.asarray(color) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16


def test_equal_steps_of_value_are_equal_steps_of_lightness():
    color = viz.heat(np.linspace(0, 1, 11)[None])
    light = lightness(color[0])
    assert light[-1] > 95 and light[0] < 20
    steps = np.diff(light)
    assert steps.min() > 0.9 * steps.mean() and steps.max() < 1.1 * steps.mean()


def test_heat_clips_and_leaves_the_unknown_black():
    values = np.array([[-5.0, 0, 5, 10, 99], [np.nan, np.inf, -np.inf, 5, 5]])
    valid = np.ones((2, 5, 1))
    valid[1, 4] = 0
    color = viz.heat(values[..., None], low=0, high=10, valid=valid)
    assert (color[0, 0] == color[0, 1]).all() and (color[0, 3] == color[0, 4]).all()
    assert not color[1, [0, 1, 2, 4]].any()
    assert (color[1, 3] == color[0, 2]).all()
    assert color[0].any(-1).all(), "no known value is black"


def test_heat_of_odd_maps():
    flat = viz.heat(np.full((3, 4), 7.0))
    assert (flat == flat[0, 0]).all() and flat.any()
    assert not viz.heat(np.full((3, 4), np.nan), bar=True)[:3].any()
    huge = viz.heat(np.array([[-1.7e308, 0, 1.7e308]]))
    ends = viz.heat(np.array([[-1.0, 0, 1]]))
    np.testing.assert_array_equal(huge, ends)
    with pytest.raises(ValueError, match="low <= high"):
        viz.heat(np.zeros((2, 2)), low=2, high=1)
    with pytest.raises(ValueError, match="values has shape"):
        viz.heat(np.zeros((2, 2, 2)))


@pytest.mark.parametrize("shape", [(1, 1), (50, 31), (300, 400)])
def test_bar_stands_below_the_map(shape):
    values = np.random.default_rng(0).random(shape)
    plain, barred = viz.heat(values), viz.heat(values, bar=True, unit="px")
    assert barred.shape[1] == max(160, shape[1]) and barred.shape[0] > shape[0] + 20
    left = (barred.shape[1] - shape[1]) // 2
    np.testing.assert_array_equal(barred[: shape[0], left : left + shape[1]], plain)
    ramp = barred[shape[0] + 8]
    assert lightness(ramp[10]) < 25 and lightness(ramp[-10]) > 85


def test_near_is_bright_and_unknown_disparity_black():
    disparity = np.array([[0, -3, np.inf, np.nan, 1, 20, 40]])
    color = viz.disparity_to_color(disparity)[0]
    assert not color[:4].any()
    light = lightness(color[4:])
    assert light[0] < light[1] < light[2]
    half = viz.disparity_to_color(disparity, max_disparity=80)[0]
    assert (half[6] == viz.disparity_to_color(np.array([[40.0, 80]]))[0, 0]).all()
    assert not viz.disparity_to_color(np.zeros((2, 2))).any()
    with pytest.raises(ValueError, match="max_disparity"):
        viz.disparity_to_color(disparity, max_disparity=0)
