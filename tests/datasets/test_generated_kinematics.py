"""Kinematics and physics of the generated objects against formulas, slow truths and differences."""

import dataclasses

import numpy as np
import pytest

from kcorr.datasets import (
    ArticulatedArm,
    DeformableFaces,
    GeneratedObjects,
    NFoldObject,
    RotatingSphere,
    TwoArms,
)
from kcorr.datasets._chains import ChainsFrame, swing
from kcorr.datasets._placed import pixel_points


def arm():
    source = ArticulatedArm(sequences=1, frames=3, seed=4)
    return source._object(0)[0]


def slow_ends(chains, joints):
    """Starts, ends and angles by walking from each capsule to its root, one by one."""
    found = []
    for k in range(len(joints)):
        path = [k]
        while chains.parent[path[0]] >= 0:
            path.insert(0, chains.parent[path[0]])
        x, y = chains.root[path[0]]
        angle = 0.0
        for j in path:
            angle += chains.rest[j] + chains.sign[j] * joints[j]
            start = x, y
            x += chains.length[j] * np.cos(angle)
            y -= chains.length[j] * np.sin(angle)
        found.append((*start, x, y, angle))
    return np.array(found)


def test_a_chain_is_where_a_walk_along_it_ends():
    chains = arm()
    joints = np.array([0.2, -0.4, 0.5, 0.3, -0.1])
    truth = slow_ends(chains, joints)
    angles = chains.angles(joints)
    np.testing.assert_allclose(angles, truth[:, 4])
    np.testing.assert_allclose(chains.starts(angles), truth[:, :2])
    frame = ChainsFrame(chains, angles)
    np.testing.assert_allclose(frame.project(*frame.points)[0], (truth[:, :2] + truth[:, 2:4]) / 2)


def test_a_pixel_belongs_to_the_last_capsule_within_whose_radius_it_is():
    chains = arm()
    joints = np.array([0.1, -0.9, -0.9, 0.4, 0.2])
    frame = ChainsFrame(chains, chains.angles(joints))
    truth = slow_ends(chains, joints)
    points = pixel_points((90, 90))
    owner = np.zeros(len(points), int)
    for k, (x0, y0, x1, y1, _) in enumerate(truth):
        for share in np.linspace(0, 1, 401):  # many discs
            middle = np.array([x0 + share * (x1 - x0), y0 + share * (y1 - y0)])
            owner[np.hypot(*(points - middle).T) <= chains.radius[k]] = k + 1
    assert (frame.locate(points)[0] != owner).sum() <= 2  # between two discs
    assert set(owner) == set(range(6))


def test_the_flow_of_a_capsule_is_the_rotation_of_the_spec():
    """u' = P' + R(dT) (u - P), R = [[cos, sin], [-sin, cos]] for dT counter-clockwise, y down."""
    source = ArticulatedArm(sequences=1, frames=4, seed=4)
    chains, angles = source._object(0)
    record = source.pair((0, 1), (0, 3))
    points = pixel_points(source.size)
    parts = record["objects"].ravel().astype(int)
    starts = [chains.starts(angles[time]) for time in (1, 3)]
    for k in range(5):
        turn = angles[3][k] - angles[1][k]
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        mine = parts == k + 1
        moved = starts[1][k] + (points[mine] - starts[0][k]) @ matrix.T
        flow = record["flow"].reshape(-1, 2)[mine]
        np.testing.assert_allclose(flow, moved - points[mine], atol=1e-4)
        assert mine.sum() > 20


def test_small_motions_are_the_derivative_of_the_kinematics():
    """Flow over a tiny change of each joint, against the velocity of a turning rigid body."""
    chains = arm()
    joints, h = np.array([0.1, -0.3, 0.4, 0.2, -0.2]), 1e-6
    frame = ChainsFrame(chains, chains.angles(joints))
    parts, places = frame.locate(pixel_points((90, 90)))
    parts, places = parts[parts > 0], places[parts > 0]
    here = frame.project(parts, places)[0]
    starts = slow_ends(chains, joints)
    for j in range(5):
        step = np.zeros(5)
        step[j] = h
        ends = [
            ChainsFrame(chains, chains.angles(joints + side * step)).project(parts, places)[0]
            for side in (-1, 1)
        ]
        velocity = (ends[1] - ends[0]) / (2 * h)
        carried = chains.ancestors()[parts - 1, j] > 0
        arm_of = here - starts[j, :2]
        turning = np.stack([arm_of[:, 1], -arm_of[:, 0]], axis=-1)  # counter-clockwise, y down
        np.testing.assert_allclose(velocity, np.where(carried[:, None], turning, 0), atol=1e-5)


class Constant:
    """A generator of one gravity."""

    def __init__(self, gravity):
        self.gravity = np.array(gravity)

    def normal(self, mean, deviation, shape):
        return np.broadcast_to(self.gravity, shape)


def test_gravity_pulls_down_until_the_spring_holds_it():
    chains = dataclasses.replace(
        arm(),
        parent=np.full(5, -1),
        length=np.array([20.0, 40, 20, 20, 20]),
        rest=np.array([0, 0, np.pi, np.pi / 2, 0]),
        sign=np.array([1.0, 1, 1, 1, -1]),
        limit=np.full(5, np.deg2rad(75)),
    )
    joints = swing(Constant((0, -9.81)), chains, 2, 4000)[-1]
    metres = chains.length / 20
    angles = chains.angles(joints)
    torque = np.cos(angles) * -9.81 / metres * chains.sign
    np.testing.assert_allclose(60 * joints, torque, atol=1e-6)
    assert joints[0] < joints[1] < 0 < joints[2]  # the longer hangs less; the other side mirrored
    assert joints[4] == pytest.approx(-joints[0]) and abs(joints[3]) < 1e-9
    starts = chains.starts(angles)
    tips = starts + chains.length[:, None] * np.stack([np.cos(angles), -np.sin(angles)], axis=-1)
    assert (tips[[0, 1, 2, 4], 1] > starts[[0, 1, 2, 4], 1] + 1).all()  # down is larger y


def test_joints_stay_within_their_limits_and_swing_between_them():
    source = ArticulatedArm(sequences=2, frames=200, seed=3)
    joints = swing(np.random.default_rng(0), arm(), 400, 20)
    assert (np.abs(joints) <= arm().limit).all()
    assert (joints.std(axis=0) > 0.08).all()
    assert (np.abs(joints[:, :3].mean(axis=0)) < 0.15).all()
    # The limbs of two arms and the legs of an n-fold object move on their own.
    for other, first, second in (
        (TwoArms(sequences=1, frames=300), slice(0, 5), slice(5, 10)),
        (NFoldObject(sequences=1, frames=300, turn=0), slice(1, 3), slice(3, 5)),
    ):
        angles = other._object(0)[1]
        angles = angles - angles.mean(axis=0)
        for a, b in zip(angles[:, first].T, angles[:, second].T, strict=True):
            assert abs(np.corrcoef(a, b)[0, 1]) < 0.45
    assert source._object(0)[1].shape == (200, 5)


def test_the_sphere_is_a_rigid_rotation_seen_orthographically():
    source = RotatingSphere(sequences=1, frames=5, seed=2, turn=8)
    record = source.pair((0, 1), (0, 2))
    rotations = source._object(0)[1]
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), atol=1e-12
    )
    assert np.allclose(np.linalg.det(rotations), 1)
    ball = record["objects"].ravel() > 0
    u = (pixel_points(source.size)[ball] - 44.5) / (0.44 * 90)
    # The velocity of a turning ball: u' - u = (R' R^T - 1) X.
    towards = np.concatenate([u, np.sqrt(1 - np.sum(u**2, -1, keepdims=True))], axis=-1)
    moved = towards @ (rotations[2] @ rotations[1].T).T
    flow = record["flow"].reshape(-1, 2)[ball]
    np.testing.assert_allclose(flow, (moved[:, :2] - u) * 0.44 * 90, atol=1e-4)
    hidden = record["occlusion"].ravel()[ball] > 0
    np.testing.assert_array_equal(hidden, moved[:, 2] <= 0)
    assert 0 < hidden.sum() < 0.2 * ball.sum()
    place = record["coordinates1"].reshape(-1, 3)[ball]
    np.testing.assert_allclose(np.linalg.norm(place, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(place @ rotations[1].T, towards, atol=1e-6)
    assert (record["coordinates1"].reshape(-1, 3)[~ball] == 0).all()


def test_spots_of_a_palette_share_its_colours_and_lie_apart():
    source = RotatingSphere(sequences=2, frames=2, seed=1, palette=2, blobs=30)
    texture = source._object(0)[0]
    assert len(np.unique(texture._colours, axis=0)) == 2
    assert len(np.unique(texture._sharpness)) == 1
    cosines = texture._middles @ texture._middles.T - 2 * np.eye(30)
    # 30 points spread at best are about 38 degrees apart; spots are half as bright at 8.7.
    assert np.rad2deg(np.arccos(cosines.max())) > 18
    assert len(np.unique(RotatingSphere(seed=1)._object(0)[0]._colours, axis=0)) == 30


@pytest.mark.parametrize("amount", [0, 1, 1.5])
def test_a_face_and_its_template_are_inverse_maps_of_each_other(amount):
    source = DeformableFaces(sequences=40, frames=8, shape=amount, motion=amount, seed=9)
    points = np.random.default_rng(0).uniform(-1, 1, (400, 2)) * [0.78, 0.98]
    outside = []
    for sequence in range(40):
        frame = source.frame(sequence, sequence % 8)
        ones = np.ones(400, int)
        there, _ = frame.project(ones, points)
        back = frame._shape.inverse(frame._pose.inverse(there))
        np.testing.assert_allclose(back, points, atol=1e-9)
        # No fold: the determinant of the Jacobian keeps its sign.
        h = 1e-5
        dx, dy = (frame.project(ones, points + step)[0] - there for step in h * np.eye(2))
        assert ((dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]) / h**2 > 0).all()
        outside.append(((there < 0) | (there > 89)).any(axis=-1).mean())
    assert np.mean(outside) < 0.12
    if amount == 0:
        np.testing.assert_allclose(there, source.frame(3, 2).project(ones, points)[0])


def points_of(source, sequence, time):
    frame = source.frame(sequence, time)
    return frame.project(*frame.points)[0]


def test_people_differ_in_shape_and_each_person_moves():
    source = DeformableFaces(sequences=30, frames=6, motion=0, seed=1)
    shapes = np.stack([points_of(source, k, 0) for k in range(30)])
    distance = np.linalg.norm(shapes[:, 1] - shapes[:, 0], axis=-1)
    assert distance.std() > 1.5 and (distance > 8).all()
    moving = DeformableFaces(sequences=1, frames=20, seed=1)
    steps = np.diff([points_of(moving, 0, time) for time in range(20)], axis=0)
    assert 0.5 < np.linalg.norm(steps, axis=-1).mean() < 8


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (ArticulatedArm, {"size": (8, 90)}, "arm: size must be at least 16x16, got 8x90"),
        (ArticulatedArm, {"sequences": 0}, "at least 1, got 0"),
        (ArticulatedArm, {"steps": 0}, "steps must be at least 1"),
        (TwoArms, {"frames": 4, "stride": 4}, "two_arms: 4 frames make no pair at stride 4"),
        (NFoldObject, {"folds": 1}, "folds must be at least 2"),
        (RotatingSphere, {"seed": -1}, "seed must be within"),
        (RotatingSphere, {"points": 0}, "points at least 1"),
        (RotatingSphere, {"tilt": 100}, "tilt must be None or within 0..90 degrees, got 100"),
        (RotatingSphere, {"palette": 9}, "palette must be None or within 1..8, got 9"),
        (DeformableFaces, {"looks": 2}, "looks within 0..1"),
        (DeformableFaces, {"sequences": 1, "across": True}, "at least 2 sequences, got 1"),
    ],
)
def test_arguments_that_make_no_objects(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_frames_outside_and_the_bare_base_are_refused():
    source = ArticulatedArm(sequences=2, frames=3)
    for where in ((2, 0), (0, 3)):
        with pytest.raises(IndexError):
            source.frame(*where)
    with pytest.raises(IndexError, match="has 4 records"):
        source[4]
    with pytest.raises(NotImplementedError):
        GeneratedObjects(sequences=1)[0]


def test_light_changes_pictures_and_nothing_else():
    dark, plain = (NFoldObject(sequences=1, frames=3, seed=1, photometric=p) for p in (1.0, 0.0))
    light = [
        dark.pictures[k]["image1"].mean() / plain.pictures[k]["image1"].mean() for k in (0, 1, 2)
    ]
    assert 0.01 < np.std(light) < 0.5
    np.testing.assert_array_equal(dark[0]["flow"], plain[0]["flow"])
