"""Stereo sets: mirrors that keep left on the left, and the student's harder task."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from _sources import textured

from kcorr import pipelines
from kcorr.datasets import StereoScenes
from kcorr.ops import backward_warp, transform_flow
from kcorr.pipelines.stereo import mirror_stereo, proxy_task

FOUR = [f"image{k}" for k in (1, 2, 3, 4)]
SIZE, CROP = (48, 64), (32, 40)


@pytest.fixture(scope="module")
def scenes():
    return StereoScenes(size=SIZE, max_motion=4, max_disparity=6, photometric=0, all_pairs=True)


def example(record, seed=0, keys=FOUR):
    seed = tf.constant([seed, 7], tf.int32)
    return {**{key: tf.constant(record[key]) for key in keys}, "seed": seed}


def test_a_mirror_image_has_the_cameras_swapped(scenes):
    record = scenes[0]
    kinds = set()
    for seed in range(12):
        out = mirror_stereo(example(record, seed))
        for left_right in (0, 1):
            for up_down in (0, 1):
                turn = (slice(None, None, -1 if up_down else 1),)
                turn += (slice(None, None, -1 if left_right else 1),)
                order = (2, 1, 4, 3) if left_right else (1, 2, 3, 4)
                wanted = [record[f"image{k}"][turn] for k in order]
                if all((out[k] == w).numpy().all() for k, w in zip(FOUR, wanted, strict=True)):
                    kinds.add((left_right, up_down))
                    break
    assert len(kinds) == 4


def test_a_mirror_keeps_disparities_positive():
    """The mirrored right camera sees a point further left than the mirrored left one does."""
    record = {key: np.zeros((*SIZE, 3), np.uint8) for key in FOUR}
    for key, x in zip(FOUR, (30, 24, 33, 26), strict=True):
        record[key][20, x] = 255
    out = mirror_stereo(example(record), left_right=1.0, up_down=0.0)
    place = [int(np.argmax(out[key].numpy()[20, :, 0])) for key in FOUR]
    assert place == [63 - 24, 63 - 30, 63 - 26, 63 - 33]
    assert place[0] > place[1] and place[2] > place[3]


def test_mirror_refuses_maps_and_lacking_pictures(scenes):
    with pytest.raises(ValueError, match="cannot mirror disparity"):
        mirror_stereo(example(scenes[0], keys=[*FOUR, "disparity"]))
    with pytest.raises(ValueError, match="lacks image4"):
        mirror_stereo(example(scenes[0], keys=FOUR[:3]))


def test_the_student_sees_smaller_crops(scenes):
    factors = set()
    for seed in range(6):
        out = proxy_task(example(scenes[3], seed), CROP, noise=0.0, patches=(0, 0))
        affine = out["student_affine1"].numpy()
        scale = affine[0, 0]
        factors.add(float(scale))
        assert all((out[f"student_affine{k}"].numpy() == affine).all() for k in (2, 3, 4))
        assert scale == affine[1, 1] and affine[0, 1] == affine[1, 0] == 0 and 0.5 <= scale <= 1
        # The picture fills the crop: corners come from inside.
        corners = (np.array([[0, 0], [CROP[1] - 1, CROP[0] - 1]]) - affine[:, 2]) / scale
        assert (corners >= -1e-4).all()
        assert (corners <= [SIZE[1] - 1 + 1e-4, SIZE[0] - 1 + 1e-4]).all()
    assert len(factors) > 3


def test_the_moved_flow_maps_the_students_pictures_onto_each_other():
    """With smooth textures, so that resampling costs little."""
    textures = [textured((160, 160), seed) for seed in range(3)]
    options = {"max_motion": 6, "max_disparity": 8, "photometric": 0, "noise_share": 0}
    scenes = StereoScenes(textures, SIZE, **options, all_pairs=True)
    for seed in range(6):
        record = scenes[seed]
        out = proxy_task(example(record, seed), CROP, noise=0.0, patches=(0, 0))
        for i, j in ((1, 2), (1, 3), (4, 1)):
            affines = [out[f"student_affine{k}"][None] for k in (i, j)]
            visible = 1 - record[f"occlusion{i}{j}"][None]
            flow, known = transform_flow(record[f"flow{i}{j}"][None], *affines, CROP, visible)
            first, second = (out[f"student_image{k}"].numpy() for k in (i, j))
            warped, inside = backward_warp(second[None], flow)
            counts = (known * inside).numpy()[0, ..., 0] > 0
            wrong = np.abs(warped.numpy()[0] - first).mean(-1)[counts]
            still = np.abs(second - first).mean(-1)[counts]
            assert counts.mean() > 0.3
            assert np.median(wrong) < 0.01 and wrong.mean() < 0.5 * still.mean()


def test_a_scale_of_one_is_a_plain_crop(scenes):
    out = proxy_task(example(scenes[1], 5), CROP, scale=(1.0, 1.0), noise=0.0, patches=(0, 0))
    left, top = (-out["student_affine1"].numpy()[:, 2]).astype(int)
    for key in FOUR:
        cut = scenes[1][key][top : top + CROP[0], left : left + CROP[1]] / 255
        np.testing.assert_allclose(out[f"student_{key}"], cut, atol=1e-5)
        assert not out[key.replace("image", "student_noise")].numpy().any()


def test_noise_differs_between_pictures_and_rectangles_are_marked(scenes):
    plain = proxy_task(example(scenes[1], 5), CROP, noise=0.0, patches=(0, 0))
    noisy = proxy_task(example(scenes[1], 5), CROP, noise=0.1, patches=(3, 3))
    masks = []
    for k in (1, 2, 3, 4):
        difference = np.abs(noisy[f"student_image{k}"] - plain[f"student_image{k}"]).mean(-1)
        mask = noisy[f"student_noise{k}"].numpy()[..., 0] > 0
        assert 0 < mask.mean() < 0.3
        assert difference[mask].mean() > 2 * difference[~mask].mean() > 0
        masks.append(mask)
    assert all((masks[0] != other).any() for other in masks[1:])
    for k in (1, 2, 3, 4):
        image = noisy[f"student_image{k}"].numpy()
        assert image.min() >= 0 and image.max() <= 1


def test_superpixels_are_whole_and_turn_with_the_pictures(scenes):
    """One picture's; which of them are noise is chosen for each picture anew."""
    record = pipelines.with_superpixels(scenes, segments=30)[1]
    given = example(record, 5, keys=[*FOUR, "superpixels"])
    mirrored = mirror_stereo(given, left_right=1.0, up_down=0.0)
    np.testing.assert_array_equal(mirrored["superpixels"], record["superpixels"][:, ::-1])
    out = proxy_task(given, CROP, (1.0, 1.0), noise=0.0, patches=(2, 4), shape="superpixels")
    left, top = (-out["student_affine1"].numpy()[:, 2]).astype(int)
    labels = record["superpixels"][top : top + CROP[0], left : left + CROP[1], 0]
    chosen = set()
    for k in (1, 2, 3, 4):
        mask = out[f"student_noise{k}"].numpy()[..., 0] > 0
        numbers = set(labels[mask])
        assert 2 <= len(numbers) <= 4 and not numbers & set(labels[~mask])
        cut = record[f"image{k}"][top : top + CROP[0], left : left + CROP[1]] / 255
        changed = np.abs(out[f"student_image{k}"] - cut).max(-1) > 1e-4
        np.testing.assert_array_equal(changed, mask)
        chosen.add(frozenset(numbers))
    assert len(chosen) > 1 and "superpixels" not in out
    with pytest.raises(ValueError, match="wrap the source by with_superpixels"):
        proxy_task(example(record), CROP, shape="superpixels")


def test_a_small_picture_is_shrunk_less_and_a_smaller_one_refused(scenes):
    out = proxy_task(example(scenes[0]), (46, 64), scale=(0.5, 0.5))
    assert out["student_affine1"].numpy()[0, 0] == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="smaller than the student's 64x64"):
        proxy_task(example(scenes[0]), (64, 64))
    with pytest.raises(ValueError, match="smallest <= largest <= 1"):
        proxy_task(example(scenes[0]), CROP, scale=(0.5, 1.5))


def test_in_a_stream_of_batches(scenes):
    stream = pipelines.examples(scenes, FOUR, seed=1)
    crop = functools.partial(pipelines.random_crop, size=(40, 56))
    seen = functools.partial(pipelines.proxy_task, size=CROP)
    stream = pipelines.mapped(stream, crop, pipelines.mirror_stereo, seen)
    batch = next(iter(pipelines.batches(stream, 2)))
    assert batch["image4"].shape == (2, 40, 56, 3) and batch["image4"].dtype == tf.float32
    assert batch["student_image3"].shape == (2, *CROP, 3)
    assert batch["student_affine2"].shape == (2, 2, 3)
    assert batch["student_noise4"].shape == (2, *CROP, 1)
