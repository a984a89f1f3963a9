"""What the student sees, held to scenes whose motion is known: the teacher's flow fits it."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from _sources import Listed, changed, equal, textured

from kcorr import pipelines
from kcorr.datasets import Scenes
from kcorr.ops import backward_warp, transform_flow
from kcorr.pipelines._seeds import SEED, first_seed

SIZE, SEEN = (80, 112), (56, 72)
INVALID = tf.errors.InvalidArgumentError


@pytest.fixture(scope="module")
def scene():
    """A record with smooth textures, so that resampling costs little, and superpixels."""
    textures = [textured((160, 160), seed) for seed in range(3)]
    scenes = Scenes(textures, SIZE, seed=1, max_motion=6, photometric=0, noise_share=0)
    return pipelines.with_superpixels(scenes, segments=60)[2]


def challenged(record, count=4, **families):
    return changed(record, lambda each: pipelines.challenge(each, SEEN, **families), count)


def taught(record, out):
    """The true flow and visibility of image1, moved to what the student sees: numpy arrays."""
    affines = [out[f"student_affine{i}"][None] for i in (1, 2)]
    flow, known = transform_flow(
        record["flow"][None], *affines, SEEN, 1 - record["occlusion"][None]
    )
    return np.asarray(flow), np.asarray(known)


# === Occlusion: a crop and noise ===


def test_hallucination_is_a_crop_with_noise_in_the_target_frame_only(scene):
    corners, places = set(), set()
    for out in challenged(scene, 8):
        (x, y), noise = out["student_affine1"][:, 2], out["hallucinated"][..., 0] > 0
        np.testing.assert_array_equal(out["student_affine1"][:, :2], np.eye(2))
        np.testing.assert_array_equal(out["student_affine1"], out["student_affine2"])
        rows, columns = (slice(int(-o), int(-o) + n) for o, n in zip((y, x), SEEN, strict=True))
        for key in ("image1", "image2"):
            clean = scene[key][rows, columns].astype("float32") / 255
            same = np.isclose(out[f"student_{key}"], clean, atol=1e-6).all(-1)
            assert same[~noise].all()
            assert (key == "image1" and same.all()) or same[noise].mean() < 0.01
            np.testing.assert_array_equal(out[key], scene[key])  # the teacher's stay
        labels = scene["superpixels"][rows, columns, 0]
        chosen = np.unique(labels[noise])
        assert 8 <= len(chosen) <= 15
        assert np.isin(labels, chosen).sum() == noise.sum()  # whole patches
        assert out["hallucinated"].dtype == np.float32 and "superpixels" not in out
        corners.add((x, y))
        places.add(noise.tobytes())
    assert len(corners) > 4 and len(places) == 8


def test_rectangles_need_no_superpixels(scene):
    record = {key: scene[key] for key in ("image1", "image2")}
    occlusion = {"shape": "rectangles", "fewest": 2, "most": 4, "sides": (0.1, 0.2)}
    for out in challenged(record, occlusion=occlusion):
        assert 0.005 < out["hallucinated"].mean() < 0.17
    for out in challenged(record, 1, occlusion=None):
        assert not out["hallucinated"].any()


def test_of_five_frames_the_middle_one_is_corrupted(scene):
    record = {f"image{i}": textured(SIZE, i) for i in range(5)}
    (out,) = challenged({**record, "superpixels": scene["superpixels"]}, 1)
    x, y = -out["student_affine0"][:, 2].astype(int)
    for i in range(5):
        clean = record[f"image{i}"][y : y + SEEN[0], x : x + SEEN[1]] / 255
        differs = (np.abs(out[f"student_image{i}"] - clean) > 1e-6).any(-1)
        assert differs.any() == (i == 2)


# === Geometry ===


def test_the_teachers_flow_fits_what_the_student_sees(scene):
    """Frame 2 as the student sees it, pulled back by the moved flow, is its frame 1, but for the
    noise; with two maps that differ."""
    shares = []
    for out in challenged(scene, 12, geometry=pipelines.GEOMETRY):
        assert not np.array_equal(out["student_affine1"], out["student_affine2"])
        flow, known = taught(scene, out)
        clean = np.concatenate([out["student_image2"], 1 - out["hallucinated"]], -1)[None]
        warped, inside = (np.asarray(x) for x in backward_warp(clean, flow))
        counts = (known * inside)[0, ..., 0] * (warped[0, ..., 3] > 0.999) > 0
        wrong = np.abs(warped[0, ..., :3] - out["student_image1"]).mean(-1)[counts]
        still = np.abs(out["student_image2"] - out["student_image1"]).mean(-1)[counts]
        assert np.median(wrong) < 0.004 and wrong.mean() < max(0.012, 0.25 * still.mean())
        shares.append(counts.mean())
    assert np.mean(shares) > 0.4


def polar(affine):
    """(rotation, zoom, squeeze, mirrored) of a map that stretches first and turns then."""
    linear = affine[:, :2].astype("float64")
    stretch = np.linalg.norm(linear, axis=0)
    turn = linear / stretch
    mirrored = np.linalg.det(turn) < 0
    if mirrored:
        turn = turn * [-1, 1]
    angle = np.arctan2(turn[1, 0], turn[0, 0])
    return angle, np.sqrt(stretch.prod()), np.sqrt(stretch[0] / stretch[1]), mirrored


def test_maps_are_drawn_from_their_ranges():
    record = {f"image{i}": np.zeros((*SIZE, 3), np.uint8) for i in range(3)}
    geometry = {**pipelines.GEOMETRY, "up_down": 0.0}

    def draw(each):
        return pipelines.random_affines(each, SEEN, **geometry)

    found, relative, offsets = [], [], []
    centre = (np.array(SEEN[::-1]) - 1) / 2
    for out in changed(record, draw, 150):
        square = [np.vstack([out[f"image{i}"], [0, 0, 1]]).astype("float64") for i in range(3)]
        steps = [square[i + 1] @ np.linalg.inv(square[i]) for i in range(2)]
        np.testing.assert_allclose(steps[0], steps[1], atol=1e-3)  # a steady motion
        found.append(polar(square[0][:2]))
        relative.append((*polar(steps[0][:2])[:2], *((steps[0] @ [*centre, 1])[:2] - centre)))
        back = np.linalg.inv(square[0]) @ [*centre, 1]
        offsets.append(back[:2])
    angle, zoom, squeeze, mirrored = np.array(found).T
    near = {"abs": 0.03}
    assert angle.min() == pytest.approx(-0.2, **near) and angle.max() == pytest.approx(0.2, **near)
    assert zoom.min() == pytest.approx(1.0, **near) and zoom.max() == pytest.approx(1.5, **near)
    assert squeeze.min() == pytest.approx(0.86, **near)
    assert squeeze.max() == pytest.approx(1.16, **near)
    assert 0.35 < mirrored.mean() < 0.65
    angle, zoom, x, y = np.array(relative).T
    assert 0.012 < np.abs(angle).max() <= 0.0151 and 0.012 < np.abs(zoom - 1).max() <= 0.0151
    # A share of half a side.
    assert 0.012 * 36 < np.abs(x).max() <= 0.0151 * 36
    assert 0.012 * 28 < np.abs(y).max() <= 0.0151 * 28
    assert np.ptp(offsets, axis=0).min() > 20  # windows all over the frame


def test_mirrors_copy_pixels(scene):
    record = {key: scene[key] for key in ("image1", "image2")}
    geometry = {"left_right": 1.0, "up_down": 1.0}
    (out,) = challenged(record, 1, occlusion=None, geometry=geometry)
    corner = out["student_affine1"][:, 2] - np.array(SEEN[::-1]) + 1
    x, y = corner.astype(int)
    clean = record["image1"][y : y + SEEN[0], x : x + SEEN[1]][::-1, ::-1] / 255
    np.testing.assert_allclose(out["student_image1"], clean, atol=1e-6)


# === Colour ===


def jittered(images, number=0, **ranges):
    example = {key: tf.constant(value, tf.float32) for key, value in images.items()}
    seed = tf.constant([number, 3])
    out = pipelines.random_jitter({**example, SEED: seed}, **ranges)
    return {key: out[key].numpy() for key in images}


def test_colours_change_strongly_and_geometry_does_not(scene):
    plain = challenged(scene, 6, occlusion=None)
    coloured = challenged(scene, 6, occlusion=None, colour=pipelines.COLOUR)
    changes = []
    for before, after in zip(plain, coloured, strict=True):
        for key in ("student_affine1", "student_affine2", "image1", "hallucinated"):
            np.testing.assert_array_equal(before[key], after[key])
        assert after["student_image1"].min() >= 0 and after["student_image1"].max() <= 1
        changes.append(np.abs(before["student_image1"] - after["student_image1"]).mean())
    assert np.mean(changes) > 0.06 and np.std(changes) > 0.01


def test_each_part_of_the_jitter_does_what_it_says():
    images = {
        key: textured((24, 32), i) / 255 * 0.4 + 0.3 for i, key in enumerate(("image1", "image2"))
    }
    for key, same in jittered(images).items():
        np.testing.assert_allclose(same, images[key], atol=1e-6)
    ratios, colours = [], []
    mean = np.mean([image.mean() for image in images.values()])
    for number in range(12):
        brighter = jittered(images, number, brightness=0.4)
        np.testing.assert_allclose(np.ptp(brighter["image1"] / images["image1"]), 0, atol=1e-5)
        ratios.append((brighter["image2"] / images["image2"]).mean())
        spread = jittered(images, number, contrast=0.4)["image2"] - mean
        assert np.ptp(spread / (images["image2"] - mean)) < 1e-2
        grey = images["image1"] @ [0.2989, 0.587, 0.114]
        less = jittered(images, number, saturation=0.4)["image1"]
        np.testing.assert_allclose(less @ [0.2989, 0.587, 0.114], grey, atol=1e-4)
        colours.append(np.ptp(less, axis=-1).mean() / np.ptp(images["image1"], axis=-1).mean())
        exponent = np.log(jittered(images, number, gamma=(0.7, 1.5))["image1"]) / np.log(
            images["image1"]
        )
        assert np.ptp(exponent) < 1e-3 and 0.7 <= exponent.mean() <= 1.5
    for factors in (ratios, colours):
        assert 0.6 <= min(factors) < 0.85 and 1.15 < max(factors) <= 1.4


def test_blur_is_a_gaussian_for_half_of_the_examples():
    image = np.zeros((15, 17, 3))
    image[7, 8] = 1
    blurred = [jittered({"image1": image}, number, blur=1.0)["image1"] for number in range(24)]
    sharp = [np.array_equal(each, image.astype("float32")) for each in blurred]
    assert 6 <= sum(sharp) <= 18
    for each in (one for one, same in zip(blurred, sharp, strict=True) if not same):
        np.testing.assert_allclose(each.sum((0, 1)), 1, atol=1e-5)
        line = each[7, 5:12, 0]
        ratio = line[4] / line[3]  # exp(-1 / 2 sigma^2)
        np.testing.assert_allclose(line, line[3] * ratio ** (np.arange(-3.0, 4) ** 2), atol=1e-6)


def test_images_may_change_together_or_apart():
    images = {"image1": textured((24, 32)) / 255, "image2": textured((24, 32)) / 255}
    ranges = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "gamma": (0.7, 1.5)}
    assert np.array_equal(*jittered(images, **ranges).values())
    assert not np.array_equal(*jittered(images, between=0.3, **ranges).values())


# === For labels ===


def test_views_of_labelled_scenes_keep_exact_flow(scene):
    record = {key: value for key, value in scene.items() if key != "superpixels"}
    shares = []
    for out in changed(record, lambda each: pipelines.random_views(each, SEEN), 8):
        assert out["flow"].shape == (*SEEN, 2) and out["image1"].dtype == np.float32
        warped, inside = backward_warp(out["image2"][None], out["flow"][None])
        visible = out["valid"] * (1 - out["occlusion"]) * np.asarray(inside)[0]
        counts = visible[..., 0] > 0
        wrong = np.abs(np.asarray(warped)[0] - out["image1"]).mean(-1)[counts]
        assert np.median(wrong) < 0.004 and wrong.mean() < 0.015
        shares.append(counts.mean())
    assert np.mean(shares) > 0.5


def test_sparse_labels_survive(scene):
    record = {key: scene[key] for key in ("image1", "image2", "flow", "valid")}
    record["valid"] = (np.random.default_rng(0).random((*SIZE, 1)) < 0.2).astype("float32")
    record["flow"] = record["flow"] * record["valid"]

    def share(sparse):
        def change(each):
            return pipelines.random_views(each, SEEN, sparse, rotation=0.3, zoom=(1.0, 1.2))

        return np.mean([out["valid"].mean() for out in changed(record, change, 4)])

    assert share(True) > 0.14 and share(False) < 0.05


# === Purity, refusals ===


def test_the_same_seed_sees_the_same(scene):
    families = {"colour": pipelines.COLOUR, "geometry": pipelines.GEOMETRY}
    first, again = (challenged(scene, 2, **families) for _ in range(2))
    assert all(map(equal, first, again))
    assert not equal(*first)


def test_challenges_make_batches_of_static_size(scene):
    keys = ("image1", "image2", "superpixels")
    stream = pipelines.examples(Listed([scene]), keys)
    crop = functools.partial(pipelines.random_crop, size=(72, 96))
    seen = functools.partial(pipelines.challenge, size=SEEN, colour=pipelines.COLOUR)
    stream = pipelines.mapped(stream, crop, seen)
    spec = pipelines.batches(stream, 2).element_spec
    assert spec["student_image1"].shape == (2, *SEEN, 3)
    assert spec["student_affine2"].shape == (2, 2, 3)
    assert spec["hallucinated"].shape == (2, *SEEN, 1)
    assert spec["image1"].shape == (2, 72, 96, 3) and spec["image1"].dtype == tf.float32


def test_what_cannot_be_a_challenge_is_refused(scene):
    record = {key: scene[key] for key in ("image1", "image2")}
    example = {key: tf.constant(value) for key, value in record.items()}
    example[SEED] = first_seed(0)
    with pytest.raises(ValueError, match="wrap the source by with_superpixels"):
        pipelines.challenge(example, SEEN)
    with pytest.raises(ValueError, match="superpixels, rectangles, got 'blobs'"):
        pipelines.challenge(example, SEEN, occlusion={"shape": "blobs"})
    with pytest.raises(ValueError, match="unknown ranges turn; known are rotation"):
        pipelines.challenge(example, SEEN, occlusion=None, geometry={"turn": 1})
    with pytest.raises(INVALID, match="smaller than the view 90x100"):
        pipelines.challenge(example, (90, 100), occlusion=None)
    seen = pipelines.challenge(example, SEEN, occlusion=None)
    with pytest.raises(ValueError, match="challenge must come after every change of geometry"):
        pipelines.random_flips(seen)
    with pytest.raises(ValueError, match="random_views cannot move disparity, points1"):
        pipelines.random_views({**example, "disparity": 0, "points1": 0}, SEEN)
