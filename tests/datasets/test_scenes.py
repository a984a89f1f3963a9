"""Generated scenes: exact flow, exact occlusion, and scenes that are functions of (seed, index)."""

import re

import numpy as np
import pytest

from kcorr.datasets import Scenes
from kcorr.datasets._layers import _shift
from kcorr.datasets._textures import Texture, _mirrored

SIZE = (72, 96)


def _smooth(size, seed):
    """A soft picture, in which bilinear look-ups err little: uint8 [h, w, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    waves = [
        rng.uniform(10, 25)
        * np.sin(rng.uniform(-0.12, 0.12) * x + rng.uniform(-0.12, 0.12) * y + rng.uniform(0, 6))
        for _ in range(9)
    ]
    return (128 + np.stack([sum(waves[i::3]) for i in range(3)], axis=-1)).astype(np.uint8)


def _scenes(size=SIZE, **options):
    textures = [_smooth((120, 150), seed) for seed in range(6)]
    options = {"seed": 3, "photometric": 0, "noise_share": 0, "max_motion": 12, **options}
    return Scenes(textures, size, **options)


def _sampled(image, flow):
    """image2(p + flow(p)) by bilinear look-ups; NaN outside."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    x, y = x + flow[..., 0].astype(float), y + flow[..., 1].astype(float)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    left = np.clip(x.astype(int), 0, width - 2)
    top = np.clip(y.astype(int), 0, height - 2)
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    image = image.astype(float)
    upper = image[top, left] * (1 - fx) + image[top, left + 1] * fx
    lower = image[top + 1, left] * (1 - fx) + image[top + 1, left + 1] * fx
    return np.where(inside[..., None], upper * (1 - fy) + lower * fy, np.nan)


def _layers(scenes, index):
    return scenes._draw_layers(np.random.default_rng([scenes.seed, index]))


def _slow_truth(layers, size):
    """Owner, flow and occlusion from the layers' formulas alone: every layer at every pixel.

    Returns:
        owner [h, w], flow [h, w, 2], hidden [h, w], near [h, w]: whether any outline is near, in
        frame 1 or where the pixel goes in frame 2.
    """
    height, width = size
    whole = slice(0, height), slice(0, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    owner, flow = np.zeros(size, int), np.zeros((*size, 2))
    near = np.zeros(size, bool)
    for depth, layer in enumerate(layers):
        alpha = layer.alpha(*layer.deformed(whole))
        mine = alpha >= 0.5
        moved = layer.move(*layer.deformed(whole))
        owner[mine] = depth
        flow[mine] = np.stack([moved[0] - x, moved[1] - y], axis=-1)[mine]
        near |= _border(alpha)
    to_x, to_y = x + flow[..., 0], y + flow[..., 1]
    hidden = (to_x < 0) | (to_x > width - 1) | (to_y < 0) | (to_y > height - 1)
    for depth, layer in enumerate(layers):
        alpha = layer.alpha(*layer.undo(to_x, to_y))
        hidden |= (alpha >= 0.5) & (depth > owner)
        near |= _border(alpha)
    return owner, flow, hidden, near


def _border(alpha):
    """True within two pixels of where coverage is not the same as everywhere around."""
    padded = np.pad(alpha, 2, mode="edge")
    height, width = alpha.shape
    around = [padded[i : i + height, j : j + width] for i in range(5) for j in range(5)]
    return (np.max(around, axis=0) > 0) & (np.min(around, axis=0) < 1)


@pytest.mark.parametrize("index", range(8))
def test_flow_and_occlusion_are_those_of_every_layer_at_every_pixel(index):
    scenes = _scenes()
    record = scenes[index]
    _, flow, hidden, _ = _slow_truth(_layers(scenes, index), SIZE)
    # Float32 on other paths: a pixel exactly on an outline may fall to the other side.
    apart = np.abs(record["flow"] - flow).max(-1) > 1e-3
    assert apart.mean() < 1e-3
    wrong = (record["occlusion"][..., 0] > 0) != hidden
    assert wrong.mean() < 1e-3
    assert (record["valid"] == 1).all()


@pytest.mark.parametrize("index", range(8))
def test_frame_2_at_the_flow_is_frame_1_where_nothing_hides_it(index):
    """Within rounding and the interpolation of a soft picture, away from the layers' outlines."""
    scenes = _scenes()
    record = scenes[index]
    *_, near = _slow_truth(_layers(scenes, index), SIZE)
    error = np.abs(_sampled(record["image2"], record["flow"]) - record["image1"]).max(-1)
    seen = (record["occlusion"][..., 0] == 0) & ~near
    assert seen.mean() > 0.2
    assert error[seen].max() < 3.5
    # The rule can fail: half a pixel beside the flow the error is another.
    beside = np.abs(_sampled(record["image2"], record["flow"] + 1.5) - record["image1"]).max(-1)
    assert np.nanmean(beside[seen]) > 2 * np.mean(error[seen])


def test_hidden_pixels_show_something_else_in_frame_2():
    scenes = _scenes(layers=(4, 8))
    errors = []
    for index in range(12):
        record = scenes[index]
        *_, near = _slow_truth(_layers(scenes, index), SIZE)
        error = np.abs(_sampled(record["image2"], record["flow"]) - record["image1"]).max(-1)
        covered = (record["occlusion"][..., 0] > 0) & ~near & np.isfinite(error)
        errors.append(error[covered])
    assert np.median(np.concatenate(errors)) > 20


def test_scenes_are_functions_of_seed_and_index():
    options = {"photometric": 1.0, "noise_share": 0.5}
    first, again, other = (_scenes(**options, seed=seed) for seed in (3, 3, 4))
    again[5]  # what was drawn before must not matter
    for index in (0, 7):
        one, same, different = first[index], again[index], other[index]
        assert all(np.array_equal(one[key], same[key]) for key in one)
        assert not np.array_equal(one["flow"], different["flow"])
    assert not np.array_equal(first[0]["flow"], first[1]["flow"])


def test_held_out_seeds_share_no_scene_with_training_seeds():
    flows = {}
    for seed in (0, 1, 2, 1000, 2**32 - 1):
        scenes = _scenes((16, 16), length=12, seed=seed)
        for index in range(12):
            flows[scenes[index]["flow"].tobytes()] = scenes.names[index]
    assert len(flows) == len(set(flows.values())) == 60


@pytest.mark.parametrize("max_motion", [0.2, 2.0, 60.0])
def test_layers_shift_by_at_most_max_motion(max_motion):
    scenes = _scenes(max_motion=max_motion)
    shifts = [np.hypot(*layer.shift) for index in range(60) for layer in _layers(scenes, index)]
    assert max(shifts) <= max_motion * (1 + 1e-5)
    assert max(shifts) > 0.7 * max_motion


@pytest.mark.parametrize(
    ("fast_share", "above_half"), [(0.0, np.log(2) / np.log(48 / 0.3)), (1.0, 0.5)]
)
def test_fast_share_makes_large_shifts_as_frequent_as_small_ones(fast_share, above_half):
    rng = np.random.default_rng(0)
    lengths = np.array([np.hypot(*_shift(rng, 48.0, fast_share)) for _ in range(2000)])
    assert lengths.max() <= 48
    assert abs((lengths > 24).mean() - above_half) < 0.04


def test_few_motions_are_large_and_few_are_tiny():
    """Log-uniform shifts: a quarter to three quarters of the scenes move less than 1/8 of most."""
    scenes = _scenes((64, 64), length=300, max_motion=64)
    mean = np.array([np.hypot(*_layers(scenes, i)[-1].shift) for i in range(300)])
    assert 0.25 < (mean < 8).mean() < 0.75
    assert (mean > 32).mean() > 0.05


@pytest.mark.parametrize("size", [(16, 16), (16, 200), (97, 33), (192, 256)])
def test_sizes_of_frames(size):
    record = _scenes(size)[1]
    assert {key: (value.shape, str(value.dtype)) for key, value in record.items()} == {
        "image1": ((*size, 3), "uint8"),
        "image2": ((*size, 3), "uint8"),
        "flow": ((*size, 2), "float32"),
        "valid": ((*size, 1), "float32"),
        "occlusion": ((*size, 1), "float32"),
    }
    assert np.isfinite(record["flow"]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (700, 5)])
def test_textures_of_any_size(shape):
    texture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    record = Scenes([texture], SIZE, noise_share=0)[0]
    assert record["image1"].shape == (*SIZE, 3)


@pytest.mark.parametrize("textures", [None, []])
def test_without_textures_scenes_are_made_of_noise(textures):
    record = Scenes(textures, SIZE)[0]
    assert record["image1"].std() > 5


def test_no_blob_is_a_moving_background_that_hides_nothing_of_itself():
    scenes = _scenes(layers=(0, 0), seed=8)
    for index in range(5):
        record = scenes[index]
        out_of_frame = np.isnan(_sampled(record["image2"], record["flow"])[..., 0])
        assert np.array_equal(record["occlusion"][..., 0] > 0, out_of_frame)


def test_photometric_changes_touch_frame_2_only():
    plain, changed = _scenes(), _scenes(photometric=1.0)
    differences = []
    for index in range(6):
        assert np.array_equal(plain[index]["image1"], changed[index]["image1"])
        assert np.array_equal(plain[index]["flow"], changed[index]["flow"])
        difference = plain[index]["image2"].astype(float) - changed[index]["image2"]
        differences.append(np.abs(difference).mean())
    assert min(differences) > 0.5 and max(differences) < 60


def test_small_frames_do_not_fold():
    """Neighbours keep their order on the layer: u grows along both axes, at every size."""
    for size in ((16, 16), (48, 64), (192, 256)):
        scenes = _scenes(size, length=40, seed=1)
        folded = 0
        for index in range(40):
            for layer in _layers(scenes, index):
                x, y = layer.deformed((slice(0, size[0]), slice(0, size[1])))
                folded += (np.diff(x, axis=1) <= 0).any() or (np.diff(y, axis=0) <= 0).any()
        assert folded == 0, size


def test_mirrored_indices_against_a_list():
    for size in (1, 2, 3, 7, 1000, 4096):
        forth = list(range(size))
        period = forth + forth[::-1]
        positions = np.concatenate([np.arange(-5 * size - 3, 5 * size + 3), [99999, -100000]])
        expected = [period[position % (2 * size)] for position in positions]
        assert _mirrored(positions.astype(np.float32), size).tolist() == expected


def test_texture_look_up_against_a_slow_one():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-20, 20, (2, 200)).astype(np.float32)
    padded = np.pad(image.astype(float), ((40, 40), (42, 42), (0, 0)), mode="symmetric")
    got = Texture(image).sample(x, y)
    for number in range(200):
        left, top = int(np.floor(x[number])), int(np.floor(y[number]))
        fx, fy = x[number] - left, y[number] - top
        corner = padded[top + 40 : top + 42, left + 42 : left + 44]
        value = np.einsum("ijc,i,j->c", corner, [1 - fy, fy], [1 - fx, fx])
        assert np.abs(got[:, number] - value).max() < 1e-2


@pytest.mark.parametrize(
    "textures, options, message",
    [
        (None, {"size": (15, 64)}, "at least 16x16, got 15x64"),
        (None, {"length": 0}, "length 0"),
        (None, {"layers": (3, 2)}, "fewest <= most"),
        (None, {"max_motion": 0}, "max_motion > 0"),
        (None, {"fast_share": 1.5}, "fast_share within 0..1"),
        (None, {"seed": -1}, "seed within 0..2^32 - 1, got -1"),
        (None, {"seed": 2**32}, "seed within"),
        ([np.zeros((8, 8), np.uint8)], {}, "a texture must be a uint8 picture"),
        ([np.zeros((8, 8, 3), np.float32)], {}, "a texture must be a uint8 picture"),
        ([np.zeros((0, 8, 3), np.uint8)], {}, "a texture must be a uint8 picture"),
    ],
)
def test_wrong_arguments_are_refused(textures, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Scenes(textures, **options)


def test_indices_and_names():
    scenes = Scenes(size=(16, 16), length=3, seed=5)
    assert len(scenes) == 3
    assert list(scenes.names) == ["scene_5_0000000", "scene_5_0000001", "scene_5_0000002"]
    assert scenes.names[-1] == "scene_5_0000002"
    assert np.array_equal(scenes[-1]["flow"], scenes[2]["flow"]) and len(list(scenes)) == 3
    for index in (3, -4):
        for sequence in (scenes, scenes.names):
            with pytest.raises(
                IndexError, match=f"Scenes has 3 records, there is no record {index}"
            ):
                sequence[index]
