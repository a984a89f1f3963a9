import keras
import numpy as np
import pytest
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode
from keras import ops
from scipy.interpolate import RBFInterpolator

from kcorr.ops import (
    backward_warp,
    pixel_grid,
    tps_evaluate,
    tps_fit,
    tps_grid,
    tps_interpolate,
    tps_warp,
)

RANDOM = np.random.default_rng(2)
KERNELS = {1: "linear", 2: "thin_plate_spline", 3: "cubic"}
IDENTITY = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])


def scattered(count, scale=10.0, seed=0, dimensions=2):
    return np.random.default_rng(seed).random((1, count, dimensions)) * scale


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 500.0])
def test_equals_scipy(order, scale):
    control, points = scattered(12, scale), scattered(40, scale, seed=1)
    values = RANDOM.normal(size=(1, 12, 3))
    found = evaluate(lambda c, v, p: tps_interpolate(c, v, p, order), control, values, points)
    truth = RBFInterpolator(control[0], values[0], kernel=KERNELS[order], degree=1)(points[0])
    np.testing.assert_allclose(found[0], truth, atol=1e-7)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_regularisation_equals_scipy(order):
    control, points = scattered(12, 8.0), scattered(40, 8.0, seed=1)
    values = RANDOM.normal(size=(1, 12, 2))
    found = evaluate(lambda c, v, p: tps_interpolate(c, v, p, order, 0.3), control, values, points)
    # scipy's cubic and thin-plate kernels have our sign, its linear kernel is -r.
    sign = -1 if order == 1 else 1
    truth = RBFInterpolator(
        control[0], values[0], kernel=KERNELS[order], degree=1, smoothing=sign * 0.3
    )(points[0])
    np.testing.assert_allclose(found[0], truth, atol=1e-7)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_passes_through_its_points_with_balanced_weights(order):
    control, values = scattered(9, 4.0), RANDOM.normal(size=(1, 9, 2))
    weights = evaluate(lambda c, v: tps_fit(c, v, order)[0], control, values)
    affine = evaluate(lambda c, v: tps_fit(c, v, order)[1], control, values)
    back = evaluate(lambda *a: tps_evaluate(*a, order), control, control, weights, affine)
    np.testing.assert_allclose(back, values, atol=1e-7)
    size = np.abs(weights).max()
    np.testing.assert_allclose(weights.sum(1) / size, 0, atol=1e-8)
    moments = np.einsum("bnk,bnd->bkd", weights, control)
    np.testing.assert_allclose(moments / size, 0, atol=1e-7)


def test_an_affine_map_needs_no_weights():
    control = scattered(8, 300.0)
    matrix, shift = np.array([[0.9, 0.2], [-0.3, 1.1]]), np.array([5.0, -7.0])
    weights = evaluate(lambda c, v: tps_fit(c, v)[0], control, control @ matrix.T + shift)
    affine = evaluate(lambda c, v: tps_fit(c, v)[1], control, control @ matrix.T + shift)
    assert np.abs(weights).max() < 1e-10
    np.testing.assert_allclose(affine[0], np.concatenate([shift[None], matrix.T]), atol=1e-9)


def test_float32_pixels_are_accurate():
    # 25 points in a picture of a thousand pixels, displaced by up to 20. TensorFlow solves in
    # float64, jax has float32 only.
    precision = 2e-3 if keras.backend.backend() == "tensorflow" else 5e-2
    control, points = scattered(25, 1000.0), scattered(200, 1000.0, seed=1)
    values = RANDOM.normal(size=(1, 25, 2)) * 8
    truth = evaluate(tps_interpolate, control, values, points)
    found = evaluate(tps_interpolate, *[a.astype("float32") for a in (control, values, points)])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, truth, atol=precision)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradients(order):
    control, points = scattered(6, 3.0), scattered(4, 3.0, seed=1)
    values = RANDOM.normal(size=(1, 6, 2))
    assert_gradient(
        lambda c, v, p: tps_interpolate(c, v, p, order) ** 2,
        control,
        values,
        points,
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradients_at_a_control_point_are_finite(order):
    control = scattered(6, 3.0)
    values = RANDOM.normal(size=(1, 6, 2))
    for slope in gradient(lambda c, v: tps_interpolate(c, v, c, order, 0.1) ** 2, control, values):
        assert np.isfinite(slope).all()


def test_every_mode():
    image = RANDOM.random((2, 10, 12, 3)).astype("float32")
    source = np.repeat(scattered(7, 9.0), 2, 0).astype("float32")
    assert_same_in_every_mode(
        lambda *a: tps_warp(*a, boundary_points=2), image, source, source + 0.5, atol=1e-3
    )


def test_warp_carries_the_points_to_their_places():
    # A smooth picture, so that bilinear samples between pixels are near the truth.
    y, x = np.mgrid[:40, :50]
    image = np.stack([np.sin(x / 9), np.cos(y / 7), x * y / 900], -1)[None]
    source = np.array([[[12, 10], [35, 12], [14, 30], [38, 28], [25, 20]]], "float64")
    destination = source + np.array([[[3, 1], [-2, 2], [0, -3], [1, 1], [2, -2]]])
    warped = evaluate(lambda *a: tps_warp(*a)[0], image, source, destination)
    for (sx, sy), (dx, dy) in zip(source[0].astype(int), destination[0].astype(int), strict=True):
        np.testing.assert_allclose(warped[0, dy, dx], image[0, sy, sx], atol=1e-6)


def test_boundary_points_hold_the_corners_still():
    image = RANDOM.random((1, 20, 30, 1))
    source = np.array([[[10.0, 8.0], [20.0, 8.0], [15.0, 14.0]]])
    flow = evaluate(
        lambda *a: tps_warp(*a, boundary_points=2)[1], image, source, source + np.array([3.0, 1.0])
    )
    for row, column in [(0, 0), (0, 29), (19, 0), (19, 29)]:
        np.testing.assert_allclose(flow[0, row, column], 0, atol=1e-9)
    np.testing.assert_allclose(flow[0, 9, 13], [-3, -1], atol=1e-9)  # at (10, 8) + (3, 1)


def slow_tps_grid(weights, affine, height, width):
    side = round(len(weights) ** 0.5)
    ticks = np.linspace(-1, 1, side)
    out = np.zeros((height, width, 2))
    for row, ny in enumerate(np.linspace(-1, 1, height)):
        for column, nx in enumerate(np.linspace(-1, 1, width)):
            g = affine[0] + affine[1] * nx + affine[2] * ny
            for j, w in enumerate(weights):
                d = (nx - ticks[j % side]) ** 2 + (ny - ticks[j // side]) ** 2
                g = g + w * d * np.log(d + 1e-5)
            out[row, column] = (g + 1) * (np.array([width, height]) - 1) / 2
    return out


def test_grid_equals_the_slow_truth():
    weights, affine = RANDOM.normal(size=(2, 100, 2)) * 0.01, RANDOM.normal(size=(2, 3, 2))
    found = evaluate(lambda w, a: tps_grid(w, a, 9, 13), weights, affine)
    for b in range(2):
        np.testing.assert_allclose(found[b], slow_tps_grid(weights[b], affine[b], 9, 13), atol=1e-9)


def test_grid_without_deformation_is_the_pixel_grid():
    zero = np.zeros((1, 100, 2))
    found = evaluate(lambda w, a: tps_grid(w, a, 12, 17), zero, IDENTITY)
    np.testing.assert_allclose(found[0], evaluate(lambda: pixel_grid(12, 17)), atol=1e-12)
    # One row and one column: no division by zero.
    single = evaluate(lambda w, a: tps_grid(w, a, 1, 1), zero, IDENTITY)
    np.testing.assert_allclose(single, np.zeros((1, 1, 1, 2)), atol=1e-12)


def test_grid_shifts_by_its_affine_part():
    # 0.1 in normalised units is 5 % of the width: the picture's content moves left by that.
    affine = IDENTITY + np.array([[[0.1, 0], [0, 0], [0, 0]]])
    image = RANDOM.random((1, 21, 41, 1))
    grid = evaluate(lambda w, a: tps_grid(w, a, 21, 41), np.zeros((1, 100, 2)), affine)
    flow = grid - evaluate(lambda: pixel_grid(21, 41))
    moved = evaluate(lambda i, f: backward_warp(i, f)[0], image, flow)
    np.testing.assert_allclose(moved[:, :, :-2], image[:, :, 2:], atol=1e-6)


def test_random_grids_bend_as_much_as_measured():
    # Root mean square displacement of the thin-plate term at the papers' defaults: 0.169 of half
    # the picture, averaged over it.
    random = np.random.default_rng(0)
    weights = random.normal(size=(300, 100, 2)) * 0.001
    replaced = random.random(weights.shape) < 0.5
    weights = np.where(replaced, random.normal(size=weights.shape) * 0.01, weights)
    affine = np.repeat(IDENTITY, 300, 0)
    grid = evaluate(lambda w, a: tps_grid(w, a, 21, 21), weights, affine)
    bend = (grid - evaluate(lambda: pixel_grid(21, 21))) / 10.0
    assert np.isclose(np.sqrt(np.mean(bend**2)), 0.169, atol=0.015)


def test_grid_in_every_mode_and_its_gradients():
    weights = (RANDOM.normal(size=(2, 25, 2)) * 0.01).astype("float32")
    affine = np.repeat(IDENTITY, 2, 0).astype("float32")
    image = np.zeros((2, 7, 9, 3), "float32")

    assert_same_in_every_mode(
        lambda i: tps_grid(weights, affine, *ops.shape(i)[1:3]), image, atol=1e-4
    )
    assert_gradient(lambda w, a: tps_grid(w, a, 5, 6) ** 2, weights, affine)


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda p: tps_fit(p[:, :2], p[:, :2]), "at least 3"),
        (lambda p: tps_fit(p, p[:, :5]), "as many values"),
        (lambda p: tps_fit(p, p, order=0), "order"),
        (lambda p: tps_fit(p, p, regularisation=-1.0), "regularisation"),
        (lambda p: tps_fit(p[0], p[0]), r"\[b, n, d\]"),
        (lambda p: tps_grid(np.zeros((1, 99, 2), "float32"), IDENTITY, 4, 4), "m \\* m"),
        (lambda p: tps_warp(np.zeros((1, 4, 4, 1)), p, p, boundary_points=-1), "boundary"),
    ],
)
def test_bad_arguments_are_named(call, word):
    with pytest.raises(ValueError, match=word):
        call(scattered(6))
