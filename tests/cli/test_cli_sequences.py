"""`kcorr flow VIDEO` and `kcorr flow FOLDER`."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kcorr.datasets import VideoFrames
from kcorr.io import read_flow, read_image, write_image
from kcorr.viz import video_writer

KINDS = ("color", "flow", "occlusion", "overlay", "warped")


@pytest.fixture
def folder(tmp_path, texture):
    """Six frames f8.png ... f13.png; a hard cut before f11.png."""
    path = tmp_path / "frames"
    path.mkdir()
    for number in range(8, 14):
        picture = texture(number) // 4 + (150 if number >= 11 else 0)
        write_image(path / f"f{number}.png", picture.astype(np.uint8))
    return path


@pytest.fixture
def video(tmp_path):
    """Seven frames at 12 frames a second; a hard cut before frame 4."""
    path = tmp_path / "clip.mp4"
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None], (48, 64, 3))
    with video_writer(path, 12) as writer:
        for number in range(7):
            writer.write(np.roll(ramp, 2 * number, axis=1) + np.uint8(120 if number >= 4 else 0))
    return path


def test_a_folder_gives_files_by_name_and_a_video(kcorr, planted, folder, tmp_path, tree):
    out = tmp_path / "out"
    result = kcorr("flow", folder, "-o", out)
    assert (result.status, result.err) == (0, "")
    # f10 and f11 lie on both sides of the cut.
    stems = ["f11", "f12", "f8", "f9"]
    expected = [f"{kind}/{stem}.{'flo' if kind == 'flow' else 'png'}"
                for kind in KINDS for stem in stems]  # fmt: skip
    assert tree(out) == sorted([*expected, "flow.mp4"])
    assert result.out.startswith(f"{out}: 4 pairs of 64x48, motion 2.24 px (median), 2.2 (largest)")
    np.testing.assert_array_equal(read_flow(out / "flow" / "f8.flo")[0][5, 5], [2, -1])
    movie = VideoFrames(out / "flow.mp4", cut_threshold=None)
    assert len(movie) == 4
    overlay = read_image(out / "overlay" / "f8.png")
    assert np.abs(movie[0].astype(int) - overlay).mean() < 20  # the codec is lossy


def test_a_video_gives_numbered_files_at_its_own_speed(kcorr, planted, video, tmp_path, tree):
    import av

    out = tmp_path / "out"
    result = kcorr("flow", video, "-o", out, "--save", "flow,video")
    assert (result.status, result.err) == (0, "")
    assert tree(out) == ["flow.mp4", *(f"flow/{n:06d}.flo" for n in (0, 1, 2, 4, 5))]
    with av.open(str(out / "flow.mp4")) as container:
        assert container.streams.video[0].average_rate == 12


def test_frames_and_stride(kcorr, planted, video, folder, tmp_path, tree):
    out = tmp_path / "out"
    options = ["--save", "flow", "--frames", "1:4", "--stride", "2"]
    assert kcorr("flow", video, "-o", out, *options).status == 0
    assert tree(out) == ["flow/000001.flo"]
    assert kcorr("flow", folder, "-o", out, *options[:2], "--frames", "4:").status == 0
    assert tree(out) == ["flow/000001.flo", "flow/f12.flo"]


def test_a_long_run_computes_what_a_short_one_does(kcorr, folder, tmp_path, monkeypatch):
    """Long runs are compiled."""
    import importlib

    models = importlib.import_module("kcorr.models")
    network = models.build("ddflow_small")
    monkeypatch.setattr(models, "load", lambda *args, **options: network)
    for number in range(14, 19):
        picture = read_image(folder / f"f{number - 1}.png")
        write_image(folder / f"f{number}.png", np.roll(picture, 1, axis=1))
    options = ["--save", "flow,mask"]
    assert kcorr("flow", folder, "-o", tmp_path / "long", *options).status == 0
    assert kcorr("flow", folder, "-o", tmp_path / "short", *options, "--frames", "8:").status == 0
    names = sorted(path.name for path in (tmp_path / "short" / "flow").iterdir())
    assert names == ["f16.flo", "f17.flo"]
    for name in names:
        long, short = (read_flow(tmp_path / one / "flow" / name)[0] for one in ("long", "short"))
        np.testing.assert_allclose(long, short, atol=1e-3)


def test_sizes_may_change_between_shots(kcorr, planted, folder, tmp_path, texture):
    for number in (20, 21):
        write_image(folder / f"f{number}.png", texture(20, 40, 40))
    result = kcorr("flow", folder, "-o", tmp_path / "out")
    assert (result.status, result.err) == (0, "")
    assert read_image(tmp_path / "out" / "color" / "f20.png").shape == (40, 40, 3)
    assert len(VideoFrames(tmp_path / "out" / "flow.mp4", cut_threshold=None)) == 5


def test_an_interrupted_run_leaves_finished_files_only(
    kcorr, planted, folder, tmp_path, tree, monkeypatch
):
    work = type(planted).__call__

    def interrupted(self, *args, **kwargs):
        if len(self.seen) == 2:
            raise KeyboardInterrupt
        return work(self, *args, **kwargs)

    monkeypatch.setattr(type(planted), "__call__", interrupted)
    out = tmp_path / "out"
    result = kcorr("flow", folder, "-o", out)
    assert result.status == 130
    assert result.err == f"kcorr flow: interrupted; 2 of 4 pairs are complete in {out}\n"
    assert [name for name in tree(out) if name.startswith("flow")] == ["flow/f8.flo", "flow/f9.flo"]
    assert len(tree(out)) == 10  # and no hidden one


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_finished_files_only(folder, tmp_path, tree, number):
    """A real process, with a slow network in place of `kcorr.models`, so that it starts at once."""
    code = """
import signal, sys, time, types
import numpy as np
# A test run in the background of a shell inherits an ignored SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
models = types.ModuleType("kcorr.models")
class Predictor:
    def __init__(self, *args, **kwargs): pass
    def __call__(self, first, second):
        time.sleep(0.3)
        return {"flow": np.ones((48, 64, 2), "float32")}
models.Predictor, models.load = Predictor, lambda *args, **options: None
sys.modules["kcorr.models"] = models
from kcorr.cli.__main__ import main
sys.exit(main())
"""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "flow", folder, "-o", out, "--save", "flow,video"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (out / "flow" / "f8.flo").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert errors.count("\n") == (number == signal.SIGINT), errors
    assert all(re.fullmatch(r"flow/f\d+\.flo", name) for name in tree(out)), tree(out)
    assert "flow/f8.flo" in tree(out)


def _text(folder):
    path = folder / "text.mp4"
    path.write_text("not a video")
    return path, "not a readable video"


def _sound(folder):
    import wave

    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
        file.writeframes(bytes(16000))
    return path, "holds no video stream"


def _no_frames(folder):
    path = folder / "none"
    path.mkdir()
    return path, "no picture in this folder; expected the frames of a video"


def _one_frame(folder):
    path = folder / "one"
    path.mkdir()
    write_image(path / "a.png", np.zeros((16, 16, 3), np.uint8))
    return path, "1 frame; expected two that are 1 apart, with no hard cut between them"


def _two_folders(folder):
    path = folder / "two"
    for name in ("left", "right"):
        (path / name).mkdir(parents=True)
        write_image(path / name / "a.png", np.zeros((16, 16, 3), np.uint8))
    first = path / "left"
    return path, f"pictures lie in 2 folders, the first is {first}; expected the frames of one"


def _missing(folder):
    return folder / "none.mp4", "no such file or folder"


@pytest.mark.parametrize("make", [_text, _sound, _no_frames, _one_frame, _two_folders, _missing])
def test_a_bad_source(refused, planted, tmp_path, make):
    path, said = make(tmp_path)
    line = refused("flow", path, "-o", tmp_path / "out")
    assert line.startswith(f"kcorr flow: {path}: {said}"), line
    assert not (tmp_path / "out").exists()


def test_a_broken_frame_is_found_before_anything_is_written(refused, planted, folder, tmp_path):
    broken = folder / "f13.png"
    broken.write_bytes(broken.read_bytes()[:500])
    line = refused("flow", folder, "-o", tmp_path / "out")
    assert line.startswith(f"kcorr flow: {broken}: ")
    assert not (tmp_path / "out").exists()


def test_a_cut_off_video_is_refused_unless_kept(refused, kcorr, planted, tmp_path, texture):
    path = tmp_path / "clip.avi"  # an .mp4 without its end cannot be opened at all
    with video_writer(path) as writer:
        for number in range(12):
            writer.write(texture(number, 96, 128) // 8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    options = ["-o", tmp_path / "out", "--save", "flow"]
    line = refused("flow", path, *options)
    assert line.startswith(f"kcorr flow: {path}: ") and "--damaged keep uses the" in line
    assert not (tmp_path / "out").exists()
    assert kcorr("flow", path, *options, "--damaged", "keep").status == 0
    assert 0 < len(list((tmp_path / "out" / "flow").iterdir())) < 11


@pytest.mark.parametrize("span", ["3:99", "50:"])
def test_frames_beyond_the_end(refused, planted, folder, video, tmp_path, span):
    for source in (folder, video):
        line = refused("flow", source, "--frames", span, "-o", tmp_path / "out")
        assert str(source) in line and "frames" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "1e-9", "1e9"])
def test_a_speed_that_no_player_has(refused, planted, folder, tmp_path, fps):
    line = refused("flow", folder, "-o", tmp_path / "out", f"--fps={fps}")
    assert line.startswith("kcorr flow: --fps is ") and line.endswith("expected 0.001 to 1000")
    assert not (tmp_path / "out").exists()


def test_without_pyav(refused, kcorr, planted, folder, video, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    out = tmp_path / "out"
    line = refused("flow", video, "-o", out)
    assert line == f"kcorr flow: {video}: reading video needs PyAV: pip install kcorr[video]"
    line = refused("flow", folder, "-o", out)
    assert line.startswith(f"kcorr flow: {out / 'flow.mp4'}: writing a video needs PyAV: ")
    assert not out.exists()
    assert kcorr("flow", folder, "-o", out, "--save", "flow").status == 0
