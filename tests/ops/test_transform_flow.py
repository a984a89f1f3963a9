"""Affine changes of frames, against a slow truth and against scenes whose motion is known."""

import math

import numpy as np
import pytest
from _compiled import compiled
from _gradients import gradient

from kcorr.datasets import Scenes
from kcorr.ops import (
    backward_warp,
    compose_affine,
    fuse_flows,
    invert_affine,
    transform_flow,
    transform_image,
    transform_points,
)

H, W = 12, 15


def turned(degrees, zoom=1.0, shift=(0.0, 0.0), centre=(W / 2, H / 2)):
    """A rotation and zoom about a centre, then a shift: [2, 3] float64."""
    c, s = zoom * math.cos(math.radians(degrees)), zoom * math.sin(math.radians(degrees))
    linear = np.array([[c, -s], [s, c]])
    offset = np.array(centre) + shift - linear @ centre
    return np.concatenate([linear, offset[:, None]], 1)


def crop(x, y):
    return np.array([[1.0, 0, -x], [0, 1, -y]])


def apply(affine, point):
    return affine[:, :2] @ point + affine[:, 2]


def undo(affine, point):
    return np.linalg.solve(affine[:, :2], point - affine[:, 2])


def batch(*affines):
    return np.stack(affines).astype("float32")


# === Points ===


def test_points_maps_and_inverses_by_hand():
    first, second = turned(31, 1.3, (2, -5)), np.array([[1.2, 0.4, 3], [-0.1, 0.7, 900]])
    points = np.random.default_rng(0).uniform(-50, 2000, (2, 4, 2)).astype("float32")
    moved = np.asarray(transform_points(batch(first, second), points))
    back = np.asarray(transform_points(invert_affine(batch(first, second)), moved))
    both = np.asarray(compose_affine(batch(second, first), batch(first, second)))
    for b, (one, other) in enumerate([(first, second), (second, first)]):
        for n in range(4):
            np.testing.assert_allclose(moved[b, n], apply(one, points[b, n]), rtol=2e-6)
            np.testing.assert_allclose(
                apply(both[b], points[b, n]), apply(other, apply(one, points[b, n])), rtol=2e-6
            )
    np.testing.assert_allclose(back, points, rtol=1e-5, atol=1e-3)


# === Flows, pixel by pixel ===


def test_each_new_pixel_holds_the_law_of_two_maps():
    """w'(A1 p) = A2(p + w(p)) - A1 p at every new pixel; unknown ones spread to no other."""
    first, second = turned(20, 1.2, (1, 0.5)), turned(-13, 0.9, (-2, 1))
    row, column = np.mgrid[:H, :W]
    # Linear in the position, so that looking it up between pixels is exact.
    flow = np.stack([2 + 0.1 * column - 0.05 * row, -1 + 0.2 * row + 0.03 * column], -1)
    valid = np.ones((H, W, 1))
    valid[5, 7] = 0
    spoiled = flow.copy()
    spoiled[5, 7], spoiled[2, 3] = 1e6, np.nan
    size = (10, 14)
    new, known = transform_flow(spoiled[None], batch(first), batch(second), size, valid[None])
    new, known = np.asarray(new)[0], np.asarray(known)[0]
    unknown = {(7, 5), (3, 2)}
    seen = 0
    for y, x in np.ndindex(*size):
        px, py = undo(first, np.array([x, y], float))
        inside = 0 <= px <= W - 1 and 0 <= py <= H - 1
        cell = {(int(px) + i, int(py) + j) for i in (0, 1) for j in (0, 1)}
        expected_known = inside and not (cell & unknown)
        assert known[y, x, 0] == expected_known, (x, y)
        if expected_known:
            w = np.array([2 + 0.1 * px - 0.05 * py, -1 + 0.2 * py + 0.03 * px])
            expected = apply(second, np.array([px, py]) + w) - [x, y]
            np.testing.assert_allclose(new[y, x], expected, atol=1e-4)
            seen += 1
        else:
            np.testing.assert_array_equal(new[y, x], 0)
    assert 60 < seen < 130


def test_one_map_for_both_frames_only_turns_the_vectors():
    affine = turned(25, 1.4, (3, 1))
    flow = np.broadcast_to([2.0, -1.0], (1, H, W, 2))
    new, known = (np.asarray(x) for x in transform_flow(flow, batch(affine), batch(affine), (H, W)))
    inside = known[..., 0] > 0
    assert 50 < inside.sum() < H * W
    turned_vector = affine[:, :2] @ [2, -1]
    np.testing.assert_allclose(new[inside] - turned_vector, 0, atol=1e-4)


def test_a_crop_copies_and_a_mirror_turns_signs_bit_for_bit():
    flow = np.random.default_rng(1).normal(0, 9, (2, H, W, 2)).astype("float32")
    corners = [(3, 2), (6, 5)]
    affine = batch(*(crop(*corner) for corner in corners))
    new, known = transform_flow(flow, affine, affine, (7, 9))
    image, inside = transform_image(flow, affine, (7, 9))
    for b, (x, y) in enumerate(corners):
        expected = flow[b, y : y + 7, x : x + 9]
        np.testing.assert_allclose(new[b], expected, rtol=1e-6, atol=2e-6)  # (p + w) - p rounds
        np.testing.assert_array_equal(image[b], expected)
    assert np.all(known) and np.all(inside)
    mirror = batch(np.array([[-1.0, 0, W - 1], [0, 1, 0]])).repeat(2, 0).astype("float32")
    new, known = transform_flow(flow, mirror, mirror, (H, W))
    np.testing.assert_allclose(new, flow[:, :, ::-1] * [-1, 1], rtol=1e-6, atol=2e-6)
    np.testing.assert_array_equal(transform_image(flow, mirror, (H, W))[0], flow[:, :, ::-1])


def test_nearest_keeps_single_known_pixels_and_mixes_none():
    """Sparse truth: bilinear look-ups between its pixels would find nothing known."""
    valid = np.zeros((1, H, W, 1))
    valid[0, 2::4, 1::4] = 1
    row, column = np.mgrid[:H, :W]
    flow = np.stack([row * 10.0, column * 10.0], -1)[None] * valid
    affine, other = turned(10, 1.5), turned(11, 1.5, (1, 0))
    new, known = transform_flow(flow, batch(affine), batch(other), (H, W), valid, "nearest")
    new, known = np.asarray(new)[0], np.asarray(known)[0, ..., 0] > 0
    assert not np.any(transform_flow(flow, batch(affine), batch(other), (H, W), valid)[1])
    assert known.sum() >= 6
    for y, x in zip(*np.nonzero(known), strict=True):
        point = undo(affine, np.array([x, y], float))
        column, row = np.floor(point + 0.5).astype(int)
        expected = apply(other, point + flow[0, row, column]) - [x, y]
        assert valid[0, row, column]
        np.testing.assert_allclose(new[y, x], expected, atol=1e-4)


def test_labels_stay_labels():
    labels = np.arange(H * W).reshape(1, H, W, 1)
    new, inside = transform_image(labels, batch(turned(33, 1.1)), (H, W), method="nearest")
    assert np.all(np.asarray(new) == np.round(new))
    assert np.all(np.asarray(new)[np.asarray(inside) == 0] == 0)


# === Scenes: the transformed flow warps the transformed frames onto each other ===


@pytest.fixture(scope="module")
def scene():
    rows, columns = np.mgrid[:128, :128] / 128
    texture = np.stack(
        [np.sin(9 * rows + 4 * columns + c) * np.cos(11 * columns - 3 * c) for c in range(3)], -1
    )
    textures = [np.uint8(127 + 110 * texture)]
    scenes = Scenes(textures, (96, 128), seed=3, max_motion=9, photometric=0, noise_share=0)
    record = scenes[4]
    batched = {key: np.asarray(value, "float32")[None] for key, value in record.items()}
    for key in ("image1", "image2"):
        batched[key] /= 255
    return batched


@pytest.mark.parametrize(
    ("affine1", "affine2"),
    [
        (crop(20, 10), crop(20, 10)),
        (turned(17, 1.3, (-20, -14), (64, 48)), turned(17, 1.3, (-20, -14), (64, 48))),
        (turned(-9, 1.2, (-18, -8), (64, 48)), turned(-5, 1.26, (-13, -12), (64, 48))),
        (np.array([[-1.2, 0.1, 120], [0, 1.1, -10]]), np.array([[-1.2, 0, 122], [0.1, 1.1, -9]])),
    ],
    ids=["crop", "one turn", "two turns", "mirror and shear"],
)
def test_transformed_scenes_keep_exact_flow(scene, affine1, affine2):
    size = (72, 88)
    image1, inside = transform_image(scene["image1"], batch(affine1), size)
    image2, _ = transform_image(scene["image2"], batch(affine2), size)
    maps = [batch(affine) for affine in (affine1, affine2)]
    flow, visible = transform_flow(scene["flow"], *maps, size, 1 - scene["occlusion"])
    warped, target_inside = backward_warp(image2, flow)
    counts = np.asarray(visible * inside * target_inside)[0, ..., 0] > 0
    assert counts.mean() > 0.5
    wrong = np.abs(np.asarray(warped) - np.asarray(image1))[0].mean(-1)[counts]
    still = np.abs(np.asarray(image2) - np.asarray(image1))[0].mean(-1)[counts]
    # Resampled twice, and at motion boundaries two motions mix.
    assert np.median(wrong) < 0.002 and wrong.mean() < 0.006 < 0.12 * still.mean()
    # A pixel beside the truth does not fit.
    spoiled, _ = backward_warp(image2, np.asarray(flow) + np.float32([0.7, 0.7]))
    assert np.abs(np.asarray(spoiled) - np.asarray(image1))[0].mean(-1)[counts].mean() > 0.006


# === Laws, bad values, gradients ===


def test_there_and_back_again():
    row, column = np.mgrid[:H, :W]
    flow = np.stack([1 + 0.1 * column, 0.1 * row - 1], -1)[None]
    maps = [batch(turned(8, 1.05)), batch(turned(12, 0.95, (1, 1)))]
    new, known = transform_flow(flow, *maps, (3 * H, 3 * W))
    back = [invert_affine(each) for each in maps]
    old, again = transform_flow(new, *back, (H, W), known)
    counts = np.asarray(again)[..., 0] > 0
    assert counts.sum() > 80
    np.testing.assert_allclose(np.asarray(old)[counts], flow[counts], atol=1e-4)


def test_a_map_without_inverse_makes_nothing_valid():
    flat = batch(np.array([[1.0, 1, 0], [1, 1, 0]]))
    flow = np.ones((1, H, W, 2), "float32")
    new, valid = transform_flow(flow, flat, flat, (H, W))
    image, inside = transform_image(flow, flat, (H, W))
    for values in (new, valid, image, inside):
        np.testing.assert_array_equal(values, 0)


def test_gradients_reach_known_pixels_only_and_are_finite():
    flow = np.full((1, H, W, 2), 0.5)
    flow[0, 4, 4] = np.nan
    affine = batch(turned(10, 1.0))
    [slope] = gradient(lambda x: transform_flow(x, affine, affine, (H, W))[0], flow)
    assert np.isfinite(slope).all() and (slope[0, 4, 4] == 0).all()
    assert np.abs(slope[0, 7, 7]).min() > 0.3


def test_compiled_and_in_half_precision_as_is():
    random = np.random.default_rng(0)
    flow = random.normal(0, 3, (1, H, W, 2)).astype("float32")
    maps = batch(turned(10)), batch(turned(7, 1.1))

    def run(flow):
        return transform_flow(flow, *maps, (H, W))[0]

    np.testing.assert_allclose(compiled(run)(flow), run(flow), atol=1e-4)


def test_what_does_not_fit_is_named():
    flow, affine = np.zeros((2, H, W, 2)), np.zeros((2, 2, 3))
    with pytest.raises(ValueError, match="one of bilinear, nearest, got 'cubic'"):
        transform_flow(flow, affine, affine, (H, W), method="cubic")
    with pytest.raises(ValueError, match=r"affine2 \[b, 2, 3\]"):
        transform_flow(flow, affine, np.zeros((1, 2, 3)), (H, W))
    with pytest.raises(ValueError, match=r"transform_image expects image \[b, h, w, c\]"):
        transform_image(flow[0], affine, (H, W))


# === Fusion ===


def test_fusion_is_the_mean_where_all_agree():
    random = np.random.default_rng(0)
    flows = random.normal(0, 0.6, (3, 2, 5, 6, 2))
    flows[1, 0, 2, 3, 0], flows[2, 1, 0, 0, 1] = np.nan, np.inf
    for tolerance in (None, 1.0):
        fused, agree = (np.asarray(x) for x in fuse_flows(list(flows), tolerance))
        for b, y, x in np.ndindex(2, 5, 6):
            ends = flows[:, b, y, x]
            finite = np.isfinite(ends).all()
            gaps = [np.linalg.norm(p - q) for p in ends for q in ends] if finite else [np.inf]
            expected = finite and (tolerance is None or max(gaps) < tolerance)
            assert agree[b, y, x, 0] == expected
            np.testing.assert_allclose(fused[b, y, x], ends.mean(0) if finite else 0, atol=1e-6)
        assert tolerance is None or 0 < agree.mean() < 0.9


def test_fusion_refuses_what_is_no_ensemble():
    with pytest.raises(ValueError, match="at least one flow"):
        fuse_flows([])
    with pytest.raises(ValueError, match="positive tolerance"):
        fuse_flows([np.zeros((1, 2, 2, 2))], 0.0)
    with pytest.raises(ValueError, match=r"flow1 \[b, h, w, 2\]"):
        fuse_flows([np.zeros((1, 2, 2, 2)), np.zeros((1, 2, 3, 2))])
