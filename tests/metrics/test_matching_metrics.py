"""Matching by labels: planted truths, protocols, symmetry, and one frame for all pictures."""

import numpy as np
import pytest

from kcorr.datasets import DeformableFaces, RotatingSphere, TwoArms
from kcorr.metrics import (
    cycle_errors,
    labels_at,
    match_points,
    matching_scores,
    nearest_points,
    plane_reflection,
    procrustes_angle,
    symmetric_transfer_errors,
)

MIRROR = np.diag([-1.0, 1, 1])


def at_cells(values):
    """Every second pixel of maps [b, h, w, c], where labels of stride 2 lie on "topleft"."""
    return np.stack(values)[:, ::2, ::2]


def lifted(record, key="coordinates1"):
    """Template places as labels whose inner product is largest for the same place."""
    place = record[key][..., :2]
    face = (record[key] != 0).any(axis=-1, keepdims=True)
    label = np.concatenate([place, 1 - (place**2).sum(-1, keepdims=True) / 2], axis=-1)
    label /= np.linalg.norm(label, axis=-1, keepdims=True)
    return np.where(face, label, [0, 0, -1]).astype("float32")


def test_a_shifted_picture_matches_at_the_shifted_cell():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(2, 12, 10, 4))
    labels /= np.linalg.norm(labels, axis=-1, keepdims=True)
    moved = np.roll(labels, (3, -2), (1, 2))
    points = np.array([[[6.5, 4.5], [8, 10]], [[12.5, 0.5], [6.5, 8.5]]])
    found = match_points(labels, points, moved)
    snapped = np.array([[[6.5, 4.5], [8.5, 10.5]], [[12.5, 0.5], [6.5, 8.5]]])
    np.testing.assert_array_equal(found, snapped + np.array([-4, 6]))
    assert labels_at(labels, points).shape == (2, 2, 4)
    np.testing.assert_array_equal(labels_at(labels, points)[1, 0], labels[1, 0, 6])


def test_it_is_an_inner_product_and_nan_never_wins():
    labels = np.array([[[[1.0, 0], [5, 4], [np.nan, 9]]]])
    found = nearest_points([[1.0, 0.0]], labels, stride=1, lattice="topleft")
    np.testing.assert_array_equal(found, [[[1, 0]]])  # a cosine would choose cell 0


def test_same_and_different_people_by_the_protocol():
    """True places as labels match everybody; labels with a person's own turn match one only."""
    source = DeformableFaces(sequences=4, frames=2, seed=3)
    pairs = [source.pair((k, 0), (k, 1)) for k in range(4)]
    first = at_cells([lifted(one) for one in pairs])
    second = at_cells([lifted(one, "coordinates2") for one in pairs])
    points1, points2, visible = (
        np.stack([one[key] for one in pairs]) for key in ("points1", "points2", "visible")
    )
    options = {"visible": visible, "lattice": "topleft"}
    scores = matching_scores(first, second, points1, points2, **options)
    assert scores["same"] < 2.5 and scores["different"] < 2.5
    assert scores["same_errors"].shape == scores["different_errors"].shape == (2, 10)
    turns = [np.linalg.qr(np.random.default_rng(k).normal(size=(3, 3)))[0] for k in range(4)]
    turned = [
        np.stack([a @ t for a, t in zip(maps, turns, strict=True)]) for maps in (first, second)
    ]
    own = matching_scores(*turned, points1, points2, **options)
    assert own["same"] == pytest.approx(scores["same"], abs=0.3) and own["different"] > 10
    # The points of the different person are its own, and the scale is a factor.
    found = match_points(first[2:3], points1[2:3], second[3:4], lattice="topleft")
    truth = np.linalg.norm(found - points2[3], axis=-1)[0]
    both = (visible[2, :, 0] > 0) & (visible[3, :, 0] > 0)
    np.testing.assert_allclose(scores["different_errors"][1][both], truth[both])
    half = matching_scores(first, second, points1, points2, scale=0.5, **options)
    assert half["different"] == pytest.approx(scores["different"] / 2)
    # Two pictures of one person make no "different".
    alone = matching_scores(first, second, points1, points2, identity=[1, 1, 2, 3], **options)
    assert np.isnan(alone["different_errors"][0]).all()
    assert np.isfinite(alone["different_errors"][1]).any()
    with pytest.raises(ValueError, match="an even number, got 3"):
        matching_scores(first[:3], second[:3], points1[:3], points2[:3])


def test_symmetric_transfer_with_and_without_the_mirror():
    source = DeformableFaces(sequences=6, frames=1, seed=2, across=True)
    records = [source.pictures[k] for k in range(6)]
    labels = at_cells([lifted(one) for one in records])
    points, visible = (np.stack([one[key] for one in records]) for key in ("points1", "visible"))
    partner = list(source.symmetric_points)
    good = symmetric_transfer_errors(labels, points, partner, MIRROR, visible, lattice="topleft")
    assert np.nanmean(good) < 2.5
    plain = symmetric_transfer_errors(
        labels, points, partner, np.eye(3), visible, lattice="topleft"
    )
    paired = np.arange(10) != partner
    assert np.nanmean(plain[:, paired]) > 8
    # The plane may be found from points that lie on it.
    middle = np.stack([labels_at(labels, points, lattice="topleft")[:, k] for k in (2, 9)], 1)
    reflection = plane_reflection(middle.reshape(-1, 3))
    found = symmetric_transfer_errors(
        labels, points, partner, reflection, visible, lattice="topleft"
    )
    assert np.nanmean(found) < 3.5
    visible[:, 0] = 0
    hidden = symmetric_transfer_errors(labels, points, partner, MIRROR, visible)
    assert np.isnan(hidden[:, :2]).all() and np.isfinite(hidden[:, 2]).any()


def test_transfer_between_two_arms_of_labels_that_know_the_arm():
    """Labels (side, capsule, place): the mirror of the side finds the other arm."""
    source = TwoArms(sequences=3, frames=1, seed=1, across=True)
    errors = []
    for k in range(3):
        record, frame = source.pictures[k], source.frame(k, 0)
        y, x = np.mgrid[:90, :90].astype(float)
        parts, places = frame.locate(np.stack([x, y], -1).reshape(-1, 2))
        side = np.where(parts > 5, 1, -1) * (parts > 0)
        along = ((parts - 1) % 5 * 3 + places[:, 0]) * (parts > 0)
        angle, weight = along / 16 * np.pi, 0.4
        across = 0.3 * places[:, 1] * (parts > 0)
        label = np.stack([weight * side, np.cos(angle), np.sin(angle)], -1)
        label /= np.linalg.norm(label, axis=-1, keepdims=True)
        label[parts == 0] = 0
        label *= (1 - 0.05 * np.abs(across))[:, None]
        labels = label.reshape(1, 90, 90, 3)
        options = {"visible": record["visible"][None], "stride": 1}
        points, partner = record["points1"][None], list(source.symmetric_points)
        errors.append(symmetric_transfer_errors(labels, points, partner, MIRROR, **options))
    assert np.nanmean(errors) < 4.5


def test_plane_reflection_is_a_reflection():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=4)
    normal /= np.linalg.norm(normal)
    vectors = rng.normal(size=(20, 4))
    vectors -= np.outer(vectors @ normal, normal)
    matrix = plane_reflection(vectors)
    np.testing.assert_allclose(matrix, np.eye(4) - 2 * np.outer(normal, normal), atol=1e-12)
    np.testing.assert_allclose(vectors @ matrix, vectors)
    assert np.linalg.det(matrix) == pytest.approx(-1)
    np.testing.assert_allclose(plane_reflection([[1.0, 0, 0], [0, 0, 2]]), np.diag([1, -1, 1]))
    with pytest.raises(ValueError, match="m >= c - 1"):
        plane_reflection(np.ones((1, 3)))


def test_cycles_come_home_where_labels_are_consistent():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(1, 9, 9, 8))
    labels /= np.linalg.norm(labels, axis=-1, keepdims=True)
    points = rng.integers(0, 9, (1, 20, 2)) * 2 + 0.5
    shuffled = labels.reshape(1, 81, 8)[:, rng.permutation(81)].reshape(1, 9, 9, 8)
    np.testing.assert_array_equal(cycle_errors(labels, points, shuffled), np.zeros((1, 20)))
    assert cycle_errors(labels, points, rng.normal(size=(1, 9, 9, 8))).mean() > 3


def test_one_orthogonal_map_explains_a_consistent_ball():
    source = RotatingSphere(sequences=2, frames=5, seed=4)
    truth = np.stack([source.pictures[k]["coordinates1"] for k in (0, 3, 6, 9)])
    rng = np.random.default_rng(0)
    frame = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for mirrored in (frame, frame * [-1, 1, 1]):
        labels = truth @ mirrored * rng.uniform(0.1, 9, truth.shape[:3])[..., None]
        angle, matrix = procrustes_angle(labels, truth)
        assert angle < 1e-4
        np.testing.assert_allclose(matrix, mirrored, atol=1e-6)
    # A known tilt of each label is the angle, and a frame of each picture's own is not consistent.
    axis = np.cross(truth, rng.normal(size=truth.shape))
    axis /= np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    tilted = np.cos(0.1) * truth + np.sin(0.1) * axis
    angle, _ = procrustes_angle(tilted @ frame, truth)
    assert angle == pytest.approx(np.degrees(0.1), abs=0.05)
    each = [np.linalg.qr(np.random.default_rng(k).normal(size=(3, 3)))[0] for k in range(4)]
    own = np.stack([one @ turn for one, turn in zip(truth, each, strict=True)])
    assert procrustes_angle(own, truth)[0] > 30
    assert procrustes_angle(own[0], truth[0])[0] < 1e-4
    angle, _ = procrustes_angle(np.zeros_like(truth), truth)
    assert angle == pytest.approx(90)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: procrustes_angle(np.ones((4, 2)), np.ones((4, 2))), r"two \[..., 3\]"),
        (lambda: procrustes_angle(np.ones((4, 3)), np.zeros((4, 3))), "nothing counts"),
        (lambda: nearest_points(np.ones((2, 3)), np.ones((1, 4, 4, 2))), "vectors"),
        (lambda: labels_at(np.ones((1, 4, 4, 2)), np.ones((2, 3, 2))), "expected labels"),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
