"""`kcorr stereo LEFT RIGHT`: what is written, and what is refused."""

import numpy as np
import pytest

from kcorr import viz
from kcorr.io import read_disparity, read_image, read_pfm, write_image

FILES = ["disparity.pfm", "disparity.png", "disparity_color.png", "occlusion.png"]
DEPTH = ["depth.npy", "depth.pfm"]


@pytest.fixture
def stereo(planted):
    """The planted network sees a plane at disparity 4."""
    planted.shift = (-4.0, 0.25)
    return planted


def test_a_pair_gives_disparity_in_two_formats_and_two_pictures(
    kcorr, stereo, frames, tmp_path, tree, texture
):
    out = tmp_path / "new" / "out"
    result = kcorr("stereo", *frames, "-o", out)
    assert (result.status, result.err) == (0, "")
    # Hidden is what leaves the right picture: four columns, and the last row, by v.
    hidden = np.zeros((48, 64), bool)
    hidden[:, :4], hidden[-1] = True, True
    said = f"{out}: 64x48, disparity 4.00 px (median), 4.0 (largest), {100 * hidden.mean():.1f} %"
    assert result.out.startswith(said) and result.out.count("\n") == 1
    assert tree(out) == FILES
    for name in FILES[:2]:
        disparity, valid = read_disparity(out / name)
        assert (disparity == 4).all() and valid.all() and disparity.shape == (48, 64, 1)
    expected = viz.disparity_to_color(np.full((48, 64), 4.0), 4.0)
    np.testing.assert_array_equal(read_image(out / "disparity_color.png"), expected)
    expected = viz.occlusion_overlay(texture(0), hidden)
    np.testing.assert_array_equal(read_image(out / "occlusion.png"), expected)


def test_focal_length_and_baseline_give_depth(kcorr, stereo, frames, tmp_path, tree):
    stereo.shift = np.zeros((48, 64, 2), np.float32)
    stereo.shift[..., 0] = -4
    stereo.shift[0, :, 0] = 0
    stereo.shift[1, :5, 0] = 3
    out = tmp_path / "out"
    options = ["--focal", 100, "--baseline", 0.5]
    assert kcorr("stereo", *frames, "-o", out, *options).status == 0
    assert tree(out) == sorted([*DEPTH, *FILES])
    expected = np.full((48, 64, 1), 12.5, np.float32)
    expected[0], expected[1, :5] = np.inf, np.inf  # no disparity, and a negative one
    np.testing.assert_array_equal(read_pfm(out / "depth.pfm"), expected)
    np.testing.assert_array_equal(np.load(out / "depth.npy"), expected)
    disparity, _ = read_disparity(out / "disparity.pfm")
    assert disparity.min() == 0 and disparity[1, 4] == 0
    # Middlebury: the principal points lie apart.
    assert kcorr("stereo", *frames, "-o", out, *options, "--offset", 1).status == 0
    depth = np.load(out / "depth.npy")
    np.testing.assert_array_equal(depth[[0, 5], 9, 0], [50, 10])


def test_what_is_not_asked_for_is_not_computed(kcorr, stereo, frames, tmp_path, tree):
    out = tmp_path / "out"
    assert kcorr("stereo", *frames, "-o", out, "--save", "pfm,color").status == 0
    assert tree(out) == [FILES[0], FILES[2]]
    assert stereo.seen == [((1, 48, 64, 3), False)]


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        ((3.0, 0.0), "most points lie 3.0 px further right in the right picture: are left and"),
        ((-4.0, -2.0), "points lie 2.0 px higher or lower in the right picture (median): the pair"),
    ],
)
def test_a_pair_that_is_swapped_or_not_rectified_is_warned_of(
    kcorr, stereo, frames, tmp_path, tree, shift, said
):
    stereo.shift = shift
    result = kcorr("stereo", *frames, "-o", tmp_path / "out")
    assert result.status == 0 and tree(tmp_path / "out") == FILES
    assert result.err.startswith(f"kcorr stereo: warning: {said}") and result.err.count("\n") == 1


def test_a_disparity_beyond_16_bits_is_in_the_pfm_only(
    kcorr, refused, stereo, frames, tmp_path, tree
):
    stereo.shift = (-300.0, 0.0)
    result = kcorr("stereo", *frames, "-o", tmp_path / "out")
    path = tmp_path / "out" / "disparity.png"
    text = "the disparity reaches 300 px, and a 16-bit PNG holds 255.996"
    assert result.err == f"kcorr stereo: warning: {path} is not written: {text}\n"
    assert tree(tmp_path / "out") == [name for name in FILES if name != "disparity.png"]
    assert (read_disparity(tmp_path / "out" / "disparity.pfm")[0] == 300).all()
    line = refused("stereo", *frames, "-o", tmp_path / "other", "--save", "pfm,png")
    path = tmp_path / "other" / "disparity.png"
    assert line == f"kcorr stereo: {path}: {text}; --save pfm holds any disparity"
    assert not (tmp_path / "other").exists()


def test_one_pixel_gives_one_disparity(kcorr, stereo, tmp_path, texture):
    for name in "ab":
        write_image(tmp_path / f"{name}.png", texture(0, 1, 1))
    out = tmp_path / "out"
    result = kcorr("stereo", tmp_path / "a.png", tmp_path / "b.png", "-o", out)
    assert (result.status, result.err) == (0, "")
    assert read_disparity(out / "disparity.png")[0].tolist() == [[[4.0]]]
    for name in FILES[2:]:
        assert read_image(out / name).shape == (1, 1, 3)


def test_max_side_shrinks_what_the_network_sees(kcorr, stereo, frames, tmp_path):
    out = tmp_path / "out"
    assert kcorr("stereo", *frames, "-o", out, "--max-side", 32).status == 0
    assert stereo.seen == [((1, 24, 32, 3), True)]
    # Four pixels of the small picture are eight of the large one.
    np.testing.assert_allclose(read_disparity(out / "disparity.pfm")[0][10, 10], [8])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--focal", "700"], "depth needs both --focal and --baseline; expected them together"),
        (["--offset", "3"], "depth needs both --focal and --baseline; expected them together"),
        (["--save", "depth"], "--save depth needs --focal and --baseline"),
        (["--focal", "0", "--baseline", "1"], "--focal is 0; expected a number above 0"),
        (["--focal", "1", "--baseline", "nan"], "--baseline is nan; expected a number above 0"),
        (["--max-disparity", "-1"], "--max-disparity is -1; expected a number above 0"),
        (["--max-side", "15"], "--max-side is 15; expected a whole number from 16"),
        (
            ["--network", "alexnet"],
            "--network is for a .weights.h5 file; got the model ddflow_zoom",
        ),
        (["--save", "png,art"], "argument --save: 'art' is unknown; expected some of png,pfm"),
    ],
)
def test_bad_options(refused, stereo, frames, tmp_path, options, said):
    line = refused("stereo", *frames, *options, "-o", tmp_path / "out")
    assert line.startswith(f"kcorr stereo: {said}")
    assert not (tmp_path / "out").exists() and stereo.seen == []
