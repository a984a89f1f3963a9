"""SGBM and the filling of its holes."""

import numpy as np
import pytest

from recipes.matching import filled_from_the_left, semi_global_matching


def test_holes_take_the_nearest_known_value_to_their_left():
    n = np.nan
    rows = [[n, n, 3, n, 5, n], [1, n, n, n, n, 2], [n] * 6, [4] * 6]
    filled = [[3, 3, 3, 3, 5, 5], [1, 1, 1, 1, 1, 2], [0] * 6, [4] * 6]
    found = filled_from_the_left(np.float32(rows)[..., None])
    np.testing.assert_array_equal(found[..., 0], filled)


@pytest.mark.parametrize("disparities", [None, 20])
def test_sgbm_finds_a_planted_shift(disparities):
    pytest.importorskip("cv2")
    texture = np.random.default_rng(0).integers(0, 256, (60, 170, 3), np.uint8)
    left, right = texture[:, :160], texture[:, 9:169]  # x_left - x_right = 9
    disparity = semi_global_matching(left, right, disparities)
    assert disparity.shape == (60, 160, 1) and disparity.dtype == np.float32
    seen = disparity[:, 12:-4, 0]
    assert np.nanmax(np.abs(seen - 9)) < 1 and np.isfinite(seen).mean() > 0.9
