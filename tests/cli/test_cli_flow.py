"""`kcorr flow FRAME1 FRAME2`: what is written, and what is refused."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from kcorr import io, viz
from kcorr.io import read_flow, read_image, write_image

FILES = ["flow.flo", "flow.png", "occlusion.png", "overlay.png", "warped.png"]


def test_two_pictures_give_five_files(kcorr, planted, frames, tmp_path, tree, texture):
    out = tmp_path / "new" / "out"
    result = kcorr("flow", *frames, "-o", out)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"{out}: 64x48, motion 2.24 px (median), 2.2 (largest), ")
    assert result.out.count("\n") == 1
    assert tree(out) == FILES
    flow, valid = read_flow(out / "flow.flo")
    np.testing.assert_array_equal(flow, np.broadcast_to(np.float32([2, -1]), (48, 64, 2)))
    assert valid.all()
    np.testing.assert_array_equal(
        read_image(out / "flow.png"), viz.flow_to_color(flow, viz.flow_scale(flow))
    )
    # Flow right by 2 and up by 1: frame 2 is pulled left by 2 and down by 1.
    warped, second = read_image(out / "warped.png"), texture(1)
    np.testing.assert_array_equal(warped[1:, :-2], second[:-1, 2:])
    assert not warped[0].any() and not warped[:, -2:].any()
    # Hidden is what leaves the picture: the first row and the last two columns.
    hidden = np.zeros((48, 64), bool)
    hidden[0], hidden[:, -2:] = True, True
    expected = viz.occlusion_overlay(texture(0), hidden)
    np.testing.assert_array_equal(read_image(out / "occlusion.png"), expected)
    assert f"{100 * hidden.mean():.1f} % occluded" in result.out
    expected = viz.overlay(texture(0), flow)
    np.testing.assert_array_equal(read_image(out / "overlay.png"), expected)


@pytest.mark.parametrize(
    ("format_", "name"),
    [("npy", "flow.npy"), ("pfm", "flow.pfm"), ("png", "flow_kitti.png"), ("flo", "flow.flo")],
)
def test_every_format_holds_the_same_flow(kcorr, planted, frames, tmp_path, tree, format_, name):
    out = tmp_path / "out"
    assert kcorr("flow", *frames, "-o", out, "--format", format_).status == 0
    assert tree(out) == sorted([name, *FILES[1:]])
    np.testing.assert_array_equal(read_flow(out / name)[0][0, 0], [2, -1])


def test_what_is_not_asked_for_is_not_computed(kcorr, planted, frames, tmp_path, tree):
    out = tmp_path / "out"
    assert kcorr("flow", *frames, "-o", out, "--save", "flow,color").status == 0
    assert tree(out) == ["flow.flo", "flow.png"]
    assert planted.seen == [((1, 48, 64, 3), False)]


def test_the_mask_is_the_occlusion_itself(kcorr, planted, frames, tmp_path, tree):
    out = tmp_path / "out"
    assert kcorr("flow", *frames, "-o", out, "--save", "mask").status == 0
    mask = read_image(out / "mask.png", channels=1)[..., 0]
    assert mask[0].all() and mask[:, -2:].all() and not mask[1:, :-2].any()


def test_max_side_shrinks_what_the_network_sees(kcorr, planted, frames, tmp_path):
    out = tmp_path / "out"
    assert kcorr("flow", *frames, "-o", out, "--max-side", 32).status == 0
    assert planted.seen == [((1, 24, 32, 3), True)]
    # Two pixels of the small picture are four of the large one.
    np.testing.assert_allclose(read_flow(out / "flow.flo")[0][10, 10], [4, -2])


def test_one_pixel_gives_one_vector(kcorr, planted, tmp_path, texture):
    for name in "ab":
        write_image(tmp_path / f"{name}.png", texture(0, 1, 1))
    out = tmp_path / "out"
    result = kcorr("flow", tmp_path / "a.png", tmp_path / "b.png", "-o", out)
    assert (result.status, result.err) == (0, "")
    assert planted.seen == [((1, 16, 16, 3), True)]
    assert read_flow(out / "flow.flo")[0].tolist() == [[[2.0, -1.0]]]
    for name in FILES[1:]:
        assert read_image(out / name).shape == (1, 1, 3)


def test_alpha_and_16_bit_pictures_are_read(kcorr, planted, tmp_path, texture):
    alpha = np.dstack([texture(0), np.full((48, 64), 0, np.uint8)])
    write_image(tmp_path / "alpha.png", alpha)
    write_image(tmp_path / "deep.png", texture(1).astype(np.uint16) * 257)
    out = tmp_path / "out"
    result = kcorr("flow", tmp_path / "alpha.png", tmp_path / "deep.png", "-o", out)
    assert (result.status, result.err) == (0, "")
    # The 16-bit picture, pulled, has the values of its 8-bit twin.
    np.testing.assert_array_equal(read_image(out / "warped.png")[1:, :-2], texture(1)[:-1, 2:])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stride", "2"], "--stride is for a video or a folder; got two pictures"),
        (["--frames", "0:4"], "--frames is for a video or a folder; got two pictures"),
        (["--max-side", "15"], "--max-side is 15; expected a whole number from 16"),
        (["--max-flow", "0"], "--max-flow is 0; expected a number above 0"),
        (["--max-flow", "nan"], "--max-flow is nan; expected a number above 0"),
        (
            ["--protocol", "selflow", "--max-side", "64"],
            "--protocol selflow sees pictures enlarged; expected it without --max-side, or "
            "--protocol bilinear",
        ),
        (
            ["--network", "alexnet"],
            "--network is for a .weights.h5 file; got the model ddflow_zoom",
        ),
        (["--iterations", "0"], "--iterations is 0; expected a whole number from 1"),
        (["--save", "video"], "--save video is for a video or a folder; got two pictures"),
        (["a", "b"], "4 inputs; expected two or three pictures, one video or one folder of frames"),
    ],
)
def test_bad_options(refused, planted, frames, tmp_path, options, said):
    line = refused("flow", *frames, *options, "-o", tmp_path / "out")
    assert line == f"kcorr flow: {said}"
    assert not (tmp_path / "out").exists()


def test_low_memory_is_the_same_flow(kcorr, frames, tmp_path):
    from kcorr.models import build

    model = tmp_path / "recurrent.keras"
    build("recurrent_small").save(model)
    flows = {}
    for name, options in {
        "usual": ["--iterations", "2"],
        "low": ["--iterations", "2", "--low-memory"],
        "more": ["--low-memory"],
    }.items():
        options = [*options, "--model", model, "--save", "flow", "-o", tmp_path / name]
        result = kcorr("flow", *frames, *options)
        assert (result.status, result.err) == (0, "")
        flows[name], _ = read_flow(tmp_path / name / "flow.flo")
    np.testing.assert_allclose(flows["low"], flows["usual"], rtol=1e-3, atol=1e-3)
    assert np.abs(flows["more"] - flows["usual"]).mean() > 0.01


@pytest.mark.parametrize("command", ["flow", "stereo", "export"])
def test_low_memory_is_for_recurrent_networks(refused, frames, tmp_path, command):
    out = tmp_path / "out"
    given = ["ddflow", out] if command == "export" else [*frames, "-o", out, "--model", "ddflow"]
    line = refused(command, *given, "--low-memory")
    assert line == (
        f"kcorr {command}: --low-memory: ddflow: DDFlowNet has no 'correlation' to choose; "
        "expected recurrent or recurrent_small"
    )
    assert not out.exists()


def test_one_picture_is_too_few(refused, frames):
    line = refused("flow", frames[0])
    assert line == (
        f"kcorr flow: {frames[0]}: is one picture; expected two, or a video, or a folder of frames"
    )


def test_a_flow_that_does_not_fit_the_format(refused, planted, frames, tmp_path, monkeypatch):
    planted.shift = (900.0, 0.0)
    line = refused("flow", *frames, "-o", tmp_path / "out", "--format", "png")
    path = tmp_path / "out" / "flow_kitti.png"
    assert line.startswith(f"kcorr flow: {path}: the flow reaches 900 pixels; expected values in ")
    assert line.endswith("(--format flo holds any flow)")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_named(refused, planted, frames, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")  # as from a write: without a name

    monkeypatch.setattr(io, "write_image", full)
    out = tmp_path / "out"
    line = refused("flow", *frames, "-o", out)
    assert line == f"kcorr flow: {out}: No space left on device"


@pytest.mark.parametrize("arguments", [["", "{b}"], ["{a}", "{b}", "-o", ""]])
def test_an_empty_name_is_not_the_working_directory(refused, planted, frames, arguments):
    line = refused("flow", *[one.format(a=frames[0], b=frames[1]) for one in arguments])
    assert line.endswith(": an empty name; expected that of a file or a folder")


def test_the_fastest_motion_is_not_drawn_dark(kcorr, planted, frames, tmp_path):
    """Of 3072 vectors the 0.2 % above the colours' scale keep the colour of their direction."""
    planted.shift = np.zeros((48, 64, 2), np.float32)
    planted.shift[..., 0] = 10
    planted.shift[0, :2, 0] = 12
    out = tmp_path / "out"
    assert kcorr("flow", *frames, "-o", out, "--save", "color").status == 0
    assert (read_image(out / "flow.png") == (255, 0, 0)).all()


def test_a_bug_shows_its_trace(kcorr, planted, frames, tmp_path, monkeypatch):
    def fail(self, *args, **kwargs):
        raise ValueError("a bug")

    monkeypatch.setattr(type(planted), "__call__", fail)
    with pytest.raises(ValueError, match="a bug"):
        kcorr("flow", *frames, "-o", tmp_path / "out")


def test_a_real_network_in_a_real_process(tmp_path, texture, tree):
    """From a .keras file with fresh weights, at 64x96; nothing but the line is said."""
    from kcorr.models import build, predict

    network = build("ddflow_small")
    network.save(tmp_path / "net.keras")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, path in enumerate(paths):
        write_image(path, texture(seed, 64, 96))
    out = tmp_path / "out"
    options = ["-o", out, "--model", tmp_path / "net.keras"]
    environment = {key: value for key, value in os.environ.items() if "TF_CPP" not in key}
    result = subprocess.run(
        [sys.executable, "-m", "kcorr.cli", "flow", *paths, *options],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{out}: 96x64, motion ")
    assert tree(out) == FILES
    expected = predict(network, texture(0, 64, 96), texture(1, 64, 96))["flow"]
    np.testing.assert_allclose(read_flow(out / "flow.flo")[0], expected, atol=1e-4)
