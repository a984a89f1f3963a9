"""Key point errors, closed-form regression, point vectors and equivariance."""

import numpy as np
import pytest

from kcorr.metrics import (
    LandmarkRegression,
    cell_of,
    equivariance_errors,
    few_shot,
    fit_point_vectors,
    inter_ocular_error,
    mean_shape,
    nearest_points,
    point_errors,
)
from kcorr.metrics.points import mean_of

RNG = np.random.default_rng


def test_errors_are_distances_and_say_what_does_not_count():
    target = np.array([[[0.0, 0], [1, 1], [5, 5], [2, 2]]])
    predicted = np.array([[[3.0, 4], [np.nan, 1], [9, 9], [2, np.inf]]])
    visible = np.array([[[1], [1], [0], [1]]])
    errors = point_errors(predicted, target, visible)
    np.testing.assert_array_equal(errors, [[5, np.inf, np.nan, np.inf]])
    assert mean_of(errors) == np.inf and np.isnan(mean_of(np.full(3, np.nan)))
    np.testing.assert_array_equal(point_errors(predicted[:, ::2], target[:, ::2]), [[5, 32**0.5]])


def test_inter_ocular_error_is_that_of_a_slow_sum():
    rng = RNG(0)
    predicted, target = rng.uniform(0, 90, (2, 6, 5, 2))
    visible = (rng.random((6, 5, 1)) > 0.3).astype("float32")
    visible[4] = 0
    truth = []
    for b in range(6):
        eyes = np.hypot(*(target[b, 2] - target[b, 4]))
        each = [np.hypot(*(predicted[b, k] - target[b, k])) for k in range(5) if visible[b, k]]
        truth.append(100 * np.mean(each) / eyes if each else np.nan)
    np.testing.assert_allclose(inter_ocular_error(predicted, target, (2, 4), visible), truth)
    # Invariant under a similarity of the picture.
    turn = 3.0 * np.array([[0.8, -0.6], [0.6, 0.8]])
    moved = (predicted @ turn + 7, target @ turn + 7)
    np.testing.assert_allclose(
        inter_ocular_error(*moved), inter_ocular_error(predicted, target), rtol=1e-12
    )


def test_mean_shape():
    points = np.array([[[0.0, 0], [1, 2]], [[2, 4], [9, 9]]])
    visible = np.array([[[1], [1]], [[1], [0]]])
    np.testing.assert_array_equal(mean_shape(points), [[1, 2], [5, 5.5]])
    np.testing.assert_array_equal(mean_shape(points, visible), [[1, 2], [1, 2]])
    assert np.isnan(mean_shape(points, 0 * visible)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: point_errors(np.zeros((2, 3)), np.zeros((2, 3))), r"\[..., n, 2\]"),
        (lambda: point_errors(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2)), "visible"),
        (lambda: inter_ocular_error(np.zeros((2, 2)), np.zeros((2, 2))), r"\[b, n, 2\]"),
        (lambda: inter_ocular_error(*np.zeros((2, 1, 5, 2))), "eyes of picture 0 are at one place"),
        (lambda: LandmarkRegression(alpha=-1), "alpha"),
        (lambda: few_shot(4, 5), "shots must be within 1..4"),
        (lambda: few_shot(4, 0), "shots"),
        (lambda: LandmarkRegression().fit(np.zeros((2, 3)), np.zeros((2, 1, 2))), "landmarks"),
        (
            lambda: LandmarkRegression().fit(np.full((2, 1, 2), np.nan), np.zeros((2, 1, 2))),
            "finite",
        ),
        (
            lambda: LandmarkRegression().fit(np.zeros((2, 1, 2)), np.zeros((3, 1, 2))),
            r"\[2, p, 2\]",
        ),
        (
            lambda: LandmarkRegression().fit(*np.zeros((2, 2, 3, 2)), np.zeros((2, 3, 1))),
            "point 0 is known in no picture",
        ),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def planted(count, seed, noise=0.0):
    """Annotated points that are a linear map of landmarks, about (45, 45)."""
    rng = RNG(1)
    matrix = rng.normal(0, 0.5, (12, 6))
    rng = RNG(seed)
    landmarks = rng.normal(45, 15, (count, 6, 2))
    points = ((landmarks - 45).reshape(count, 12) @ matrix).reshape(count, 3, 2) + 45
    return landmarks, points + rng.normal(0, noise, points.shape) if noise else points, matrix


def test_plain_regression_finds_a_planted_map_and_generalises():
    landmarks, points, matrix = planted(40, 0)
    fit = LandmarkRegression(centre=(45, 45)).fit(landmarks, points)
    np.testing.assert_allclose(fit.weights, matrix, atol=1e-9)
    others, truth, _ = planted(10, 5)
    np.testing.assert_allclose(fit.predict(others), truth, atol=1e-8)
    # Without the centre, y = W x cannot be met, unless a constant is added.
    far = LandmarkRegression().fit(landmarks, points).predict(others)
    assert np.abs(far - truth).max() > 1e-3
    near = LandmarkRegression(intercept=True).fit(landmarks, points).predict(others)
    np.testing.assert_allclose(near, truth, atol=1e-7)


def test_fewer_pictures_than_numbers_give_the_smallest_map_that_fits():
    landmarks, points, _ = planted(5, 0)
    fit = LandmarkRegression(centre=(45, 45)).fit(landmarks, points)
    np.testing.assert_allclose(fit.predict(landmarks), points, atol=1e-8)
    inputs = (landmarks - 45).reshape(5, -1)
    np.testing.assert_allclose(fit.weights, np.linalg.pinv(inputs) @ (points - 45).reshape(5, -1))


@pytest.mark.parametrize("intercept", [False, True])
def test_the_ridge_is_stationary(intercept):
    """The gradient of |X W - Y|^2 + alpha |W|^2 vanishes, by finite differences."""
    landmarks, points, _ = planted(9, 3, noise=2)
    visible = np.ones((9, 3, 1))
    visible[:4, 1] = 0
    fit = LandmarkRegression(50.0, intercept, (45, 45)).fit(landmarks, points, visible)

    def loss(weights):
        fit.weights, kept = weights, fit.weights
        error = (fit.predict(landmarks) - points) * visible
        fit.weights = kept
        shrunk = weights[:-1] if intercept else weights
        return (error**2).sum() + 50 * (shrunk**2).sum()

    least, rng = loss(fit.weights), RNG(0)
    for _ in range(20):
        step = rng.normal(size=fit.weights.shape)
        slope = (loss(fit.weights + 1e-5 * step) - loss(fit.weights - 1e-5 * step)) / 2e-5
        assert abs(slope) < 1e-4 * least and loss(fit.weights + 1e-2 * step) > least


def test_unknown_points_do_not_take_part():
    landmarks, points, matrix = planted(60, 0)
    visible = (RNG(2).random((60, 3, 1)) > 0.4).astype("float32")
    spoiled = np.where(visible > 0, points, np.nan)
    fit = LandmarkRegression(centre=(45, 45)).fit(landmarks, spoiled, visible)
    np.testing.assert_allclose(fit.weights, matrix, atol=1e-8)
    with pytest.raises(ValueError, match="known must be finite"):
        LandmarkRegression().fit(landmarks, spoiled)


def test_prediction_needs_a_fit_of_as_many_landmarks():
    with pytest.raises(RuntimeError, match="comes after fit"):
        LandmarkRegression().predict(np.zeros((1, 2, 2)))
    fit = LandmarkRegression().fit(np.ones((1, 2, 2)), np.ones((1, 1, 2)))
    with pytest.raises(ValueError, match="fitted with 4 numbers a picture, got 6"):
        fit.predict(np.zeros((1, 3, 2)))


def test_few_shots_are_repeatable_different_and_repeated_to_length():
    picks = [few_shot(100, 10, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(picks[0], picks[1])
    assert set(picks[0]) != set(picks[2]) and len(set(picks[0])) == 10
    tiled = few_shot(100, 10, 0, length=25)
    assert len(tiled) == 25 and (tiled[:10] == tiled[10:20]).all() and set(tiled) == set(picks[0])


def test_point_vectors_find_points_that_labels_mark():
    """Two planted directions among noise; the softmax regression's gradient vanishes."""
    rng = RNG(0)
    labels = rng.normal(0, 0.3, (30, 7, 9, 5))
    rows, columns = rng.integers(0, 7, (30, 2)), rng.integers(0, 9, (30, 2))
    directions = np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    for k in range(2):
        labels[np.arange(30), rows[:, k], columns[:, k]] += 2 * directions[k]
    visible = np.ones((30, 2, 1))
    visible[:10, 1] = 0
    rows[:10, 1] = 0  # must not count
    vectors = fit_point_vectors(labels[:20], (rows[:20], columns[:20]), visible[:20], decay=1e-2)
    cosines = [v @ d / np.linalg.norm(v) for v, d in zip(vectors, directions, strict=True)]
    assert min(cosines) > 0.85
    found = nearest_points(vectors, labels[20:])
    truth = 2 * np.stack([columns[20:], rows[20:]], axis=-1) + 0.5
    assert (found == truth).all(axis=-1).mean() > 0.8

    def loss(k, vector):
        total = []
        for b in np.flatnonzero(visible[:20, k, 0]):
            scores = labels[b] @ vector
            total.append(np.log(np.exp(scores).sum()) - scores[rows[b, k], columns[b, k]])
        return np.mean(total) + 1e-2 * vector @ vector / 2

    for k in range(2):
        for axis in np.eye(5):
            h = 1e-5 * axis
            slope = (loss(k, vectors[k] + h) - loss(k, vectors[k] - h)) / 2e-5
            assert abs(slope) < 1e-6
    with pytest.raises(ValueError, match="point 1 is visible in no picture"):
        fit_point_vectors(labels, (rows, columns), visible * [[1], [0]])


def test_point_vectors_are_the_same_from_a_few_pictures_at_a_time(tmp_path):
    """Labels that lie in a file are the whole computation's, whatever a batch holds."""
    rng = RNG(3)
    labels = rng.normal(size=(11, 5, 6, 4)).astype("float32")
    labels.tofile(tmp_path / "labels")
    stored = np.memmap(tmp_path / "labels", "float32", "r", shape=labels.shape)
    cells = rng.integers(0, 5, (11, 3)), rng.integers(0, 6, (11, 3))
    visible = (rng.random((11, 3, 1)) < 0.8).astype("float32")
    whole = fit_point_vectors(labels, cells, visible, batch_size=11)
    for size in (1, 4):
        found = fit_point_vectors(stored, cells, visible, batch_size=size)
        np.testing.assert_allclose(found, whole, atol=1e-7)


def test_equivariance_errors_under_a_known_warp():
    y, x = np.mgrid[:20, :30].astype("float32")
    grid = np.stack([0.5 * x + 0.2 * y + 3, 0.9 * y - 0.1 * x + 2], axis=-1)[None]
    points1 = np.array([[[4.25, 7.5], [0, 0], [29, 19], [30, 3], [10, 10], [np.nan, 3]]])
    exact = points1 @ np.array([[0.5, -0.1], [0.2, 0.9]]) + [3, 2]
    valid = np.ones((1, 20, 30, 1))
    points2 = exact + np.array([[3, 4], [0, 0], [0, 1], [0, 0], [0, 0], [0, 0]])
    errors = equivariance_errors(points1, np.nan_to_num(points2), grid)
    np.testing.assert_allclose(errors, [[5, 0, 1, np.nan, 0, np.inf]], atol=1e-5)
    valid[0, 8, 4] = 0
    grid[0, 0, 0] = np.inf
    errors = equivariance_errors(points1[:, :2], points2[:, :2], grid, valid)
    assert np.isnan(errors).all()


@pytest.mark.parametrize("lattice", ["centre", "topleft"])
def test_cells_and_their_places_belong_together(lattice):
    offset = 0.5 if lattice == "centre" else 0.0
    points = np.array([[[offset, offset], [2 * 3 + offset + 0.9, 2 * 2 + offset - 0.9], [-50, 99]]])
    rows, columns = cell_of(points, (5, 6), 2, lattice)
    assert rows.tolist() == [[0, 2, 4]] and columns.tolist() == [[0, 3, 0]]
    labels = np.zeros((1, 5, 6, 1))
    labels[0, 2, 3] = 1
    np.testing.assert_array_equal(
        nearest_points(np.ones((1, 1)), labels, 2, lattice), [[[6 + offset, 4 + offset]]]
    )
    with pytest.raises(ValueError, match="lattice must be one of centre, topleft"):
        cell_of(points, (5, 6), 2, "middle")
