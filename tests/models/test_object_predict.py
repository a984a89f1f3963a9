"""Pictures of any size in, landmarks, labels and matches in pixels of them out."""

import numpy as np
import pytest
from _planted_objects import PlantedLabels, PlantedLandmarks

from kcorr.datasets.crops import crop_square
from kcorr.models import (
    HourglassNet,
    LandmarkNet,
    ObjectFrameNet,
    ObjectPredictor,
    build,
    match_object_points,
    predict,
    predict_labels,
    predict_landmarks,
)

CENTRES = np.array([[20.3, 31.8], [60.5, 12.25], [44.0, 40.9]])  # of blobs in red, green and blue


def blobs(height=56, width=90, spread=4.0):
    """uint8, a soft dot in each colour."""
    y, x = np.mgrid[:height, :width]
    squares = [(x - cx) ** 2 + (y - cy) ** 2 for cx, cy in CENTRES]
    return np.rint(255 * np.exp(-np.stack(squares, -1) / 2 / spread**2)).astype(np.uint8)


def colours(height, width, seed=0):
    """A picture of which no two cells have the same colour."""
    return np.random.default_rng(seed).integers(20, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "own", "seen"),
    [
        (None, None, (56, 90)),
        (None, 28, (28, 45)),
        (84, 28, (84, 135)),  # asked for, so that the network's own does not count
        (37, None, (37, 59)),  # 59.46 columns: both axes have their own factor
    ],
)
def test_points_are_in_pixels_of_the_picture_whatever_the_network_sees(size, own, seen):
    network = PlantedLandmarks(own)
    found = predict_landmarks(network, blobs(), size)
    assert network.seen == [(1, *seen, 3)]
    np.testing.assert_allclose(found["points"], CENTRES, atol=0.05)
    assert found["points"].dtype == np.float32 and found["confidence"].shape == (3, 1)


def test_a_portrait_is_scaled_by_its_width():
    network = PlantedLandmarks(28)
    found = predict_landmarks(network, blobs().transpose(1, 0, 2))
    assert network.seen == [(1, 45, 28, 3)]
    np.testing.assert_allclose(found["points"], CENTRES[:, ::-1], atol=0.05)


def test_other_kinds_of_pictures_are_the_same_picture():
    expected = predict_landmarks(PlantedLandmarks(28), blobs())["points"]
    for image in (blobs().astype(np.uint16) * 257, blobs() / 255, np.float32(blobs() / 255)):
        found = predict_landmarks(PlantedLandmarks(28), image)["points"]
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_what_the_network_sees_is_what_it_learned_from():
    """The very bytes of `crop_square`, which makes training pictures."""

    class Keeping(PlantedLabels):
        def __call__(self, inputs, training=False):
            self.image = np.asarray(inputs["image"])
            return super().__call__(inputs)

    network, image = Keeping(32), colours(80, 80)
    predict_labels(network, image)
    expected, _ = crop_square(image, (0, 0), 80, 32)
    np.testing.assert_array_equal(np.rint(network.image[0] * 255), expected)


@pytest.mark.parametrize(("size", "cells"), [(None, (20, 30)), (20, (10, 15)), (81, (40, 60))])
def test_labels_say_where_their_cells_are(size, cells):
    y, x = np.mgrid[:41, :61]
    ramps = np.stack([3 * x, 4 * y, 100 + 0 * x], -1).astype(np.uint8)
    result = predict_labels(PlantedLabels(), ramps, size)
    labels, grid = result["labels"], result["grid"]
    assert labels.shape == (*cells, 3) and grid.shape == (*cells, 2)
    inner = (slice(2, -2), slice(2, -2))  # the border of a resized ramp is bent
    found = 100 * labels[inner] / labels[inner][..., 2:] / [3, 4, 1]
    np.testing.assert_allclose(grid[inner], found[..., :2], atol=0.2)


def test_a_shifted_picture_is_matched_to_the_shift():
    first = colours(40, 60)
    second = np.roll(first, (4, -6), axis=(0, 1))[:36]  # of another size, too
    points = np.array([[20, 11], [31.5, 8.5], [8.0, 29.49], [59.5, 0]])
    found = match_object_points(PlantedLabels(), first, second, points)
    cells = np.floor((points + 0.5) / 2).clip(0, [29, 19]) * 2 + 0.5  # middles of their cells
    np.testing.assert_array_equal(found["points2"], cells + np.array([-6, 4]))
    np.testing.assert_allclose(found["similarity"], 1, atol=1e-5)


def test_matches_of_scaled_pictures_are_in_the_pixels_of_both():
    coarse = colours(10, 16)
    first = coarse.repeat(8, 0).repeat(8, 1)  # 80x128
    second = coarse[:, ::-1].repeat(12, 0).repeat(12, 1)  # 120x192, mirrored
    points = np.array([[3.5, 3.5], [75.5, 43.5], [127.0, 79.0]])
    network = PlantedLabels()
    found = match_object_points(network, first, second, points, size=40)
    assert network.seen == [(1, 40, 64, 3)] * 2
    blocks = np.floor((points + 0.5) / 8)
    expected = np.stack([15 - blocks[:, 0], blocks[:, 1]], -1) * 12 + 5.5
    # Inside the right block of 12 x 12 pixels: its cells look alike.
    assert np.abs(found["points2"] - expected).max() <= 6


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("landmarks", {"landmarks": 3, "widths": (4, 4, 5, 6, 7)}),
        ("object_frame", {"dimensions": 4, "widths": (4, 4, 5, 6, 7)}),
        ("hourglass_small", {"dimensions": 4, "width": 8, "depth": 2}),
    ],
)
def test_a_compiled_predictor_of_a_real_network(name, options):
    network = build(name, picture_size=32, **options)
    predictor = ObjectPredictor(network)
    image = colours(40, 51)
    if network.gives == "landmarks":
        assert isinstance(network, LandmarkNet)
        found, expected = predictor.landmarks(image), predict_landmarks(network, image)
    else:
        assert isinstance(network, (ObjectFrameNet, HourglassNet))
        found, expected = predictor.labels(image), predict_labels(network, image)
        assert found["labels"].shape == (16, 20, 4)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-4, err_msg=key)


def test_what_is_refused():
    landmarks, labels = PlantedLandmarks(), PlantedLabels()
    good = colours(20, 24)
    cases = [
        (lambda: predict_landmarks(landmarks, good[:15]), "image is 24x15, and the network does"),
        (lambda: predict_landmarks(landmarks, good, 15), "size is 15, expected a whole number"),
        (lambda: predict_landmarks(landmarks, good, 20.0), "size is 20.0, expected a whole"),
        (lambda: predict_landmarks(landmarks, good[..., 0]), r"image has shape \(20, 24\), exp"),
        (lambda: predict_landmarks(landmarks, good.astype(int)), "has dtype int64, expected uint8"),
        (lambda: predict_landmarks(landmarks, good * 1.0), r"expected \[0, 1\]"),
        (
            lambda: predict_landmarks(labels, good),
            "'planted' gives labels; expected a network of l",
        ),
        (
            lambda: predict_labels(landmarks, good),
            "'planted' gives landmarks; expected a network of",
        ),
        (lambda: predict(landmarks, good, good), "'planted' gives landmarks; expected a flow net"),
        (
            lambda: predict_labels(build("spynet_small"), good),
            "gives flow; expected a network of d",
        ),
        (lambda: match_object_points(labels, good, good[:9], [[1, 1]]), "second is 24x9"),
    ]
    points = {
        ((3, 4),): None,
        (): r"points are float64 \(0,\), expected numbers \[n, 2\]",
        ((3, 4, 5),): r"points are int64 \(1, 3\), expected numbers",
        (("a", "b"),): r"expected numbers \[n, 2\]",
        ((1, 1), (24, 3)): r"point 1 is \(24, 3\), outside the picture of 24x20",
        ((-0.6, 1),): r"point 0 is \(-0.6, 1\), outside",
        ((1, np.nan),): r"point 0 is \(1, nan\), outside",
    }
    for given, said in points.items():
        if said is None:
            match_object_points(labels, good, good, given)
        else:
            ask = lambda given=given: match_object_points(labels, good, good, np.array(given))  # noqa: E731
            cases.append((ask, said))
    for ask, said in cases:
        with pytest.raises(ValueError, match=said):
            ask()
