"""The benchmarks' definitions on cases that a person can check by hand."""

import numpy as np
import pytest

from kcorr import metrics


def vectors(*pairs):
    """One row of vectors: [1, n, 2]."""
    return np.array([pairs], "float32")


def numbers(*values):
    """One row of numbers: [1, n, 1]."""
    return np.array([values], "float32")[..., None]


def test_endpoint_error_map():
    found = metrics.endpoint_error_map(vectors((3, 4), (1, 1)), vectors((0, 0), (1, -1)))
    assert found.shape == (1, 2, 1)
    np.testing.assert_array_equal(found[0, :, 0], [5, 2])


@pytest.mark.parametrize(
    ("predicted", "true", "outlier"),
    [
        ((3, 0), (0, 0), False),  # exactly 3 px: not more than 3
        ((np.nextafter(np.float32(3), np.float32(4)), 0), (0, 0), True),
        ((4, 0), (0, 0), True),  # a vector of length 0 has no 5 %
        ((104, 0), (100, 0), False),  # 4 px but 4 %
        ((105, 0), (100, 0), False),  # exactly 5 %
        ((106, 0), (100, 0), True),
        ((12, 0), (10, 0), False),  # 20 % but 2 px
        ((np.nan, 0), (0, 0), True),
        ((0, np.inf), (0, 100), True),
        ((-1e30, 0), (0, 0), True),
    ],
)
def test_flow_outliers_are_strict_in_both_conditions(predicted, true, outlier):
    assert metrics.flow_outliers(vectors(predicted), vectors(true)).item() is outlier


@pytest.mark.parametrize("length", [20, 60, 80, 100, 140, 220, 260, 300, 380])
def test_exactly_five_percent_is_never_an_outlier(length):
    # The share of the length is not exact in floating point (0.05 * 140 is more than 7).
    error = length // 20
    for true, predicted in (
        (vectors((length, 0)), vectors((length + error, 0))),
        (vectors((0, -length)), vectors((0, -length + error))),
    ):
        assert not metrics.flow_outliers(predicted, true).any()
    d = numbers(length)
    assert not metrics.disparity_outliers(d - error, d).any()


@pytest.mark.parametrize(
    ("predicted", "true", "outlier"),
    [(3, 0, False), (3.001, 0, True), (104, 100, True), (np.nan, 0, True)],
)
def test_kitti_2012_knows_the_three_pixels_only(predicted, true, outlier):
    found = metrics.kitti2012_outliers(vectors((predicted, 0)), vectors((true, 0)))
    assert found.item() is outlier


@pytest.mark.parametrize(
    ("predicted", "true", "outlier"),
    [
        (13, 10, False),  # exactly 3 px
        (13.5, 10, True),
        (84, 80, False),  # exactly 5 %
        (84.5, 80, True),
        (76, 80, False),
        (np.inf, 80, True),
        (-80, 80, True),
    ],
)
def test_disparity_outliers(predicted, true, outlier):
    assert metrics.disparity_outliers(numbers(predicted), numbers(true)).item() is outlier


def test_occlusion_counts_and_f_score():
    target = numbers(1, 1, 1, 0, 0, 0, 1)
    predicted = numbers(1, 1, 0, 1, 0, 0, 0)
    assert metrics.occlusion_counts(predicted, target) == (2, 1, 2)
    assert metrics.occlusion_f_score(predicted, target) == pytest.approx(2 * 2 / (4 + 1 + 2))
    precision, recall = 2 / 3, 2 / 4
    assert metrics.occlusion_f_score(predicted, target) == pytest.approx(
        2 * precision * recall / (precision + recall)
    )
    valid = numbers(1, 1, 1, 0, 1, 1, 0)
    assert metrics.occlusion_counts(predicted, target, valid) == (2, 0, 1)


def test_occlusion_f_score_at_its_ends():
    nothing, everything = numbers(0, 0), numbers(1, 1)
    assert np.isnan(metrics.occlusion_f_score(nothing, nothing))
    assert np.isnan(metrics.occlusion_f_score(everything, everything, nothing))
    assert metrics.occlusion_f_score(everything, nothing) == 0
    assert metrics.occlusion_f_score(nothing, everything) == 0
    assert metrics.occlusion_f_score(everything, everything) == 1
    # A prediction that is not a number is wrong, whatever the truth is.
    assert metrics.occlusion_counts(numbers(np.nan, np.nan), numbers(0, 1)) == (0, 1, 1)


@pytest.mark.parametrize(
    ("function", "channels"),
    [
        (metrics.endpoint_error_map, 2),
        (metrics.flow_outliers, 2),
        (metrics.kitti2012_outliers, 2),
        (metrics.disparity_outliers, 1),
        (metrics.occlusion_f_score, 1),
    ],
)
def test_shapes(function, channels):
    good = np.zeros((4, 5, channels))
    with pytest.raises(ValueError, match="must have the same shape"):
        function(good, np.zeros((4, 6, channels)))
    with pytest.raises(ValueError, match=rf"must be \[..., h, w, {channels}\]"):
        function(np.zeros((4, 5, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match=rf"must be \[..., h, w, {channels}\]"):
        function(good[0], good[0])
