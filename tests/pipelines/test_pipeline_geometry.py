"""Crops, mirrors and sizes: every key stays in step, held to plain numpy and to the warp itself."""

import numpy as np
import pytest
import tensorflow as tf
from _sources import Numbered, as_numpy, changed, equal, example, textured

from kcorr import pipelines
from kcorr.datasets.scenes import Scenes
from kcorr.ops import backward_warp, pixel_grid

KEYS = ("image1", "image2", "flow", "valid", "occlusion")
INVALID = tf.errors.InvalidArgumentError


def _crop(size, **options):
    return lambda each: pipelines.random_crop(each, size, **options)


def _position_record(height=23, width=31):
    """Pictures and maps that say of every pixel where it was: (x, y) and the record's size."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    xy = np.stack([x, y], axis=-1)
    one = np.ones((height, width, 1), np.float32)
    points = np.array([[3, 4], [20, 11]], np.float32)
    return {
        "image1": image,
        "image2": image + np.uint8(1),
        "flow": xy,
        "flow_backward": -xy,
        "teacher_flow": 2 * xy,
        "teacher_occlusion": x[..., None] % 2,
        "valid": one * (y[..., None] % 2),
        "occlusion": one,
        "grid": xy,
        "points1": points,
        "visible": points[:, :1],
    }


def test_a_crop_cuts_the_same_window_out_of_every_key():
    record = _position_record()
    for out in changed(record, _crop((9, 12)), 20):
        left, top = out["flow"][0, 0].astype(int)
        window = (slice(top, top + 9), slice(left, left + 12))
        for key in set(record) - {"grid", "points1", "visible"}:
            assert np.array_equal(out[key], record[key][window]), key
        assert np.array_equal(out["grid"], pixel_grid(9, 12))
        assert np.array_equal(out["points1"], record["points1"] - [left, top])


def test_every_place_of_a_crop_is_drawn_the_last_one_too():
    record = {key: value for key, value in _position_record(6, 8).items() if key in KEYS}
    places = {tuple(out["flow"][0, 0]) for out in changed(record, _crop((4, 6)), 200)}
    assert places == {(x, y) for x in range(3) for y in range(3)}


def test_flips_mirror_maps_positions_and_the_sign_of_flows():
    record = _position_record()
    seen = set()
    for out in changed(record, pipelines.random_flips, 40):
        across = bool(out["image1"][0, 0, 0] == 30)
        down = bool(out["image1"][0, 0, 1] == 22)
        seen.add((across, down))
        sign = np.array([-1 if across else 1, -1 if down else 1])
        turned = tuple(slice(None, None, -1 if flip else 1) for flip in (down, across))
        for key in ("image1", "image2", "valid", "occlusion", "teacher_occlusion"):
            assert np.array_equal(out[key], record[key][turned]), key
        for key in ("flow", "flow_backward", "teacher_flow"):
            assert np.array_equal(out[key], record[key][turned] * sign), key
        # The grid was the identity, and a mirrored identity is one.
        assert np.array_equal(out["grid"], record["grid"])
        mirrored = np.where(sign > 0, record["points1"], [30, 22] - record["points1"])
        assert np.array_equal(out["points1"], mirrored)
        assert np.array_equal(out["visible"], record["visible"])
    assert len(seen) == 4


def test_probabilities_of_flips():
    record = _position_record(8, 9)

    def never(each):
        return pipelines.random_flips(each, left_right=0.0, up_down=1.0)

    for out in changed(record, never, 10):
        assert np.array_equal(out["image1"], record["image1"][::-1])


def _mean_error(each, margin=2):
    """Mean difference of image1 and the warped image2 over visible pixels, in grey levels."""
    each = {key: tf.cast(value, tf.float32)[None] for key, value in each.items() if key in KEYS}
    warped, inside = backward_warp(each["image2"], each["flow"])
    seen = inside * each["valid"] * (1 - each["occlusion"])
    seen = seen[:, margin:-margin, margin:-margin]
    error = tf.abs(warped - each["image1"])[:, margin:-margin, margin:-margin]
    return float(tf.reduce_sum(error * seen) / (3 * tf.reduce_sum(seen)))


@pytest.fixture(scope="module")
def scene():
    textures = [textured((96, 128), seed) for seed in range(4)]
    scenes = Scenes(textures, (96, 128), seed=4, max_motion=10, photometric=0, noise_share=0)
    return scenes[1]


CHANGES = {
    "crop": _crop((64, 80)),
    "crop of an enlarged picture": _crop((150, 170), small="resize"),
    "flips": pipelines.random_flips,
    "enlarged": lambda each: pipelines.resize_example(each, (117, 171)),
    "reduced": lambda each: pipelines.resize_example(each, (75, 90)),
    "all": lambda each: pipelines.random_flips(
        pipelines.random_crop(pipelines.resize_example(each, (120, 120)), (80, 96))
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_flow_still_warps_image2_onto_image1_after(name, scene):
    """The warped image2 is image1 to about a grey level, and far from it if a sign is lost."""
    before = _mean_error(scene)
    assert before < 1.5
    for out in changed(scene, CHANGES[name], 4):
        # Resizing adds a second interpolation, and mixes the layers at their borders.
        assert _mean_error(out) < before + 1.0
        assert _mean_error({**out, "flow": -out["flow"]}) > 4 * _mean_error(out)


def test_resizing_scales_flows_positions_and_disparities():
    record = _position_record(20, 30)
    record["flow"] = np.full((20, 30, 2), [3, -2], np.float32)
    record["disparity"] = np.full((20, 30, 1), 6, np.float32)
    record["valid"] = np.ones((20, 30, 1), np.float32)
    out = pipelines.resize_example(example(record), (10, 60))
    assert np.allclose(out["flow"], [6, -1], atol=1e-6)
    assert np.allclose(out["disparity"], 12, atol=1e-6)
    # A pixel's centre p lies at (p + 1/2) s - 1/2; the identity stays one away from the border.
    assert np.allclose(out["points1"], [[6.5, 1.75], [40.5, 5.25]])
    assert np.allclose(out["grid"][1:-1, 1:-1], pixel_grid(10, 60)[1:-1, 1:-1], atol=1e-4)
    assert out["image1"].dtype == tf.uint8


def test_unknown_flow_does_not_leak_when_resized():
    """Known flow is (5, 1) everywhere; unknown pixels hold 0 and must not pull it down."""
    known = (np.random.default_rng(0).random((24, 24, 1)) < 0.6).astype(np.float32)
    image = np.zeros((24, 24, 3), np.uint8)
    record = {"image1": image, "image2": image, "valid": known, "flow": known * np.float32([5, 1])}
    for size in ((48, 48), (16, 20)):
        out = as_numpy(pipelines.resize_example(example(record), size))
        share = out["valid"].mean()
        assert set(np.unique(out["valid"])) == {0, 1} and 0.3 < share < 0.9
        scale = np.array(size[::-1]) / 24
        assert np.allclose(out["flow"], out["valid"] * [5, 1] * scale, atol=1e-5)


def test_reduced_pictures_are_filtered():
    """A checkerboard of single pixels becomes grey and not black or white."""
    board = np.indices((32, 32)).sum(0) % 2 * np.uint8(255)
    image = np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)
    out = pipelines.resize_example(example({"image1": image, "image2": image}), (8, 8))
    assert np.abs(out["image1"].numpy().astype(int) - 127)[1:-1, 1:-1].max() < 20


def test_pictures_of_different_sizes_go_into_one_batch():
    class Sizes(Numbered):
        def __getitem__(self, index):
            image = np.full((10 + 7 * index, 40 - 5 * index, 3), index, np.uint8)
            return {"image1": image, "image2": image}

    stream = pipelines.examples(Sizes(5), shuffle=False)
    batch = next(iter(pipelines.batches(stream.map(_crop((20, 24), small="resize")), 5)))
    assert batch["image1"].shape == (5, 20, 24, 3)
    assert np.allclose(batch["image1"][:, 0, 0, 0] * 255, range(5), atol=1e-4)
    stream = pipelines.examples(Sizes(5), shuffle=False).map(_crop((20, 24)))
    with pytest.raises(INVALID, match="smaller than the crop 20x24"):
        next(iter(stream))


@pytest.mark.parametrize(
    "size, factor", [((7, 50), 32 / 7), ((50, 7), 32 / 7), ((31, 30), 32 / 30)]
)
def test_enlarging_is_by_the_least_factor_the_same_in_both_directions(size, factor):
    """A ramp of flow: its slope tells the factor, and its vectors have grown by it, too."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    image = np.zeros((*size, 3), np.uint8)
    record = {"image1": image, "image2": image, "flow": np.stack([x, y], axis=-1)}
    flow = pipelines.random_crop(example(record), (32, 32), small="resize")["flow"].numpy()
    assert flow.shape == (32, 32, 2)
    across, down = np.diff(flow[..., 0], axis=1), np.diff(flow[..., 1], axis=0)
    # Slope 1 before; vectors and distances both grow. Rounding up the size changes it by a pixel.
    assert np.median(across) == pytest.approx(1, abs=1 / 32)
    assert np.median(down) == pytest.approx(1, abs=1 / 32)
    assert flow.max() / (factor * (np.array(size).max() - 1)) <= 1 + 1 / 32
    assert np.ptp(flow[..., np.argmin(size[::-1])]) == pytest.approx(
        factor * (min(size) - 1), rel=0.05
    )


def test_crops_that_fit_exactly_and_wrong_options():
    record = {key: _position_record()[key] for key in KEYS}
    (out,) = changed(record, _crop((23, 31)), 1)
    assert equal({key: out[key] for key in KEYS}, record)
    with pytest.raises(ValueError, match="small must be one of error, resize"):
        pipelines.random_crop(example(record), (4, 4), small="pad")


def test_disparities_are_not_mirrored():
    record = {"image1": np.zeros((8, 8, 3), np.uint8), "disparity": np.ones((8, 8, 1), np.float32)}
    with pytest.raises(ValueError, match="left_right=0"):
        pipelines.random_flips(example(record))
    out = pipelines.random_flips(example(record), left_right=0)
    assert np.array_equal(out["disparity"], record["disparity"])


@pytest.mark.parametrize("authors", [False, True])
def test_crop_offsets_are_uniform_over_all_places(authors):
    """6x8 pictures, 4x6 crops: 3 x 3 places; the authors never draw the last row and column."""
    record = {key: _position_record(6, 8)[key] for key in ("image1", "image2")}

    def offset(each):
        return pipelines.with_crop_offset(each, (4, 6), authors=authors)

    drawn = [tuple(out["crop"]) for out in changed(record, offset, 600)]
    side = 2 if authors else 3
    assert set(drawn) == {(x, y) for x in range(side) for y in range(side)}
    counts = [drawn.count(place) for place in set(drawn)]
    mean = 600 / side**2
    assert max(abs(count - mean) for count in counts) < 4 * mean**0.5


@pytest.mark.parametrize("authors", [False, True])
def test_a_crop_as_large_as_the_picture_has_one_place(authors):
    each = pipelines.with_crop_offset(example(_position_record()), (23, 31), authors)
    assert each["crop"].numpy().tolist() == [0, 0]
    with pytest.raises(INVALID, match="smaller than the crop 24x31"):
        pipelines.with_crop_offset(example(_position_record()), (24, 31), authors)


def test_no_change_of_geometry_may_follow_a_crop_offset():
    each = pipelines.with_crop_offset(example(_position_record()), (8, 8))
    for change in (CHANGES["enlarged"], pipelines.random_flips, _crop((16, 16))):
        with pytest.raises(ValueError, match="after every change of geometry"):
            change(each)


def test_a_batch_may_share_one_crop_offset():
    stream = pipelines.batches(pipelines.examples(Numbered(12)), 6)
    stream = pipelines.with_common_crop_offset(stream, (10, 10), seed=7)
    first, again = ([as_numpy(batch)["crop"] for batch in stream.take(12)] for _ in range(2))
    assert all(crop.shape == (6, 2) and (crop == crop[0]).all() for crop in first)
    assert np.array_equal(first, again)
    assert len({tuple(crop[0]) for crop in first}) > 6
    assert np.max(first) <= 14 and np.min(first) >= 0
