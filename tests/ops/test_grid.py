"""The coordinate law: (x, y) last, centres at integers, flow added, frame 2 pulled onto frame 1."""

import numpy as np
import pytest
from keras import ops

from kcorr.ops import backward_warp, pixel_grid
from kcorr.ops.grid import geometry_dtype


def test_the_grid_holds_x_then_y():
    grid = ops.convert_to_numpy(pixel_grid(3, 5))
    assert grid.shape == (3, 5, 2) and grid.dtype == np.float32
    for row in range(3):
        for column in range(5):
            assert tuple(grid[row, column]) == (column, row)


def test_a_dot_that_moved_right_and_down_is_pulled_back():
    frame1, frame2 = np.zeros((2, 1, 8, 9, 1), "float32")
    frame1[0, 2, 3] = 1  # x = 3, y = 2
    frame2[0, 3, 7] = 1  # moved 4 right, 1 down
    flow = np.broadcast_to(np.array([4, 1], "float32"), (1, 8, 9, 2))
    warped, _ = backward_warp(frame2, flow)
    np.testing.assert_array_equal(ops.convert_to_numpy(warped), frame1)


@pytest.mark.tensorflow_only
def test_sizes_may_be_tensors():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1])])
    def grid_of(image):
        return pixel_grid(*ops.shape(image)[1:3])

    for height, width in [(1, 4), (300, 2)]:
        expected = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
        np.testing.assert_array_equal(grid_of(tf.zeros([1, height, width, 1])), expected)


def test_coordinates_are_never_of_half_precision():
    half, brain = ops.zeros(2, "float16"), ops.zeros(2, "bfloat16")
    assert geometry_dtype(half, brain) == geometry_dtype(ops.zeros(2, "int32")) == "float32"
    assert geometry_dtype(np.zeros(2), half) == "float64"
