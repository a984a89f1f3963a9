"""Videos: cuts of the real ones, exact random access, damage, start and stop, turned phones."""

from pathlib import Path

import av
import numpy as np
import pytest

from kcorr.datasets import Pairs, VideoFrames, demo_videos, video_pairs
from kcorr.io import FormatError


def _write_video(path, frames, options=None, codec="mpeg4", gop=5, title="film"):
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = gop
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _noise_film(count, height=48, width=64, seed=0):
    """Drifting coarse noise: no two frames are the same, and none is far from the one before."""
    coarse = np.random.default_rng(seed).integers(60, 190, (height // 8 + count, width // 8, 3))
    fine = coarse.repeat(8, 0).repeat(8, 1).astype(np.uint8)
    return [fine[i : i + height] for i in range(count)]


def _sequential(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def bikes():
    return VideoFrames(demo_videos()["bikes"])


def test_bikes_has_five_cuts_and_no_pair_crosses_one(bikes):
    assert bikes.cuts == [30, 76, 137, 187, 242]
    assert len(bikes) == 250 and bikes[0].shape == (272, 640, 3) and bikes[0].dtype == np.uint8
    assert len(Pairs(bikes)) == 249 - 5
    # Stride 3: each cut costs three pairs more.
    names = Pairs(bikes, 3).names
    assert len(names) == 247 - 15
    assert "bikes.mp4/000026+3" in names and "bikes.mp4/000030+3" in names
    assert not {f"bikes.mp4/{i:06d}+3" for i in (27, 28, 29)} & set(names)


def test_city_has_one_cut():
    frames = VideoFrames(demo_videos()["cityCC0"])
    assert (len(frames), frames.cuts, frames.damage) == (190, [116], None)


@pytest.mark.parametrize(
    "name, wanted",
    # In any order, around keyframes (every 12th in the city, cuts in bikes), first and last; 23,
    # 71 and 95 are frames at which seeking in the program stream stamps times wrongly.
    [
        ("cityCC0", [95, 23, 71, 0, 189, 96, 97, 60, 59, 1, 118, 116, 115]),
        ("bikes", [249, 0, 30, 29, 31, 240, 76, 100]),
        ("carphone", [119, 3, 0, 60]),
    ],
)
def test_a_frame_on_demand_is_the_sequential_frame(name, wanted):
    path = demo_videos()[name]
    truth = _sequential(path)
    frames = VideoFrames(path, cache_bytes=0, cut_threshold=None)
    assert frames.cached_bytes == 0 and len(frames) == len(truth)
    for index in wanted:
        np.testing.assert_array_equal(frames[index], truth[index])


def test_every_frame_on_demand_with_bidirectional_frames(tmp_path):
    path = tmp_path / "bframes.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"bf": "2", "g": "7"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in _noise_film(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    truth = _sequential(path)
    frames = VideoFrames(path, cache_bytes=0)
    order = np.random.default_rng(0).permutation(len(truth))
    assert len(frames) == len(truth) == 40
    for index in [*order, *range(40)]:
        np.testing.assert_array_equal(frames[index], truth[index])


def test_frames_are_read_only_and_kept_within_the_limit(tmp_path):
    path = tmp_path / "a.mp4"
    _write_video(path, _noise_film(6))
    size = 48 * 64 * 3
    kept, not_kept = (VideoFrames(path, cache_bytes=6 * size + slack) for slack in (0, -1))
    assert (kept.cached_bytes, not_kept.cached_bytes) == (6 * size, 0)
    for frames in (kept, not_kept):
        with pytest.raises(ValueError, match="read-only"):
            frames[2][0, 0, 0] = 1
        with pytest.raises(IndexError):
            frames[6]


def test_start_and_stop_keep_the_numbers_of_the_file(bikes):
    part = VideoFrames(bikes.path, start=28, stop=33)
    assert part.names == [f"bikes.mp4/{i:06d}" for i in range(28, 33)]
    assert part.cuts == [2]
    np.testing.assert_array_equal(part[4], bikes[32])
    on_demand = VideoFrames(bikes.path, start=28, stop=33, cache_bytes=0)
    np.testing.assert_array_equal(on_demand[4], bikes[32])
    pairs = video_pairs(bikes.path, start=28, stop=33, name="b")
    assert pairs.names == ["b/000028+1", "b/000030+1", "b/000031+1"]
    np.testing.assert_array_equal(pairs[1]["image2"], bikes[31])


@pytest.mark.parametrize("start, stop", [(5, 5), (-1, None), (9, 3)])
def test_an_empty_range_is_refused(bikes, start, stop):
    with pytest.raises(ValueError, match="start < stop"):
        VideoFrames(bikes.path, start, stop)


def test_a_range_past_the_end_says_how_long_the_video_is(tmp_path):
    path = tmp_path / "short.mp4"
    _write_video(path, _noise_film(6))
    with pytest.raises(ValueError, match=r"short.mp4 has 6 frames"):
        VideoFrames(path, stop=7)
    with pytest.raises(FormatError, match=r"6 frames decoded, asked from frame 6"):
        VideoFrames(path, start=6)


def _damaged(tmp_path, kind):
    if kind == "cut off":  # the index comes first, so the file still opens
        whole = tmp_path / "whole.mp4"
        _write_video(whole, _noise_film(30, 240, 320), {"movflags": "faststart"})
        data = whole.read_bytes()[: int(whole.stat().st_size * 0.6)]
        truth = _sequential(whole)
        suffix = ".mp4"
    elif kind == "overwritten":
        path = demo_videos()["bikes"]
        data = bytearray(path.read_bytes())
        data[250_000:300_000] = bytes(50_000)
        truth = _sequential(path)
        suffix = ".mp4"
    else:
        path = demo_videos()["cityCC0"]
        data = path.read_bytes()[:1_000_000]
        truth = _sequential(path)
        suffix = ".mpg"
    broken = tmp_path / f"broken{suffix}"
    broken.write_bytes(data)
    return broken, truth


@pytest.mark.parametrize("kind", ["cut off", "overwritten", "cut-off stream"])
def test_a_damaged_video_is_named_and_its_beginning_is_usable(tmp_path, kind):
    path, truth = _damaged(tmp_path, kind)
    with pytest.raises(FormatError, match=r"broken\..*damaged='keep'") as caught:
        VideoFrames(path)
    assert "\n" not in str(caught.value)
    for cache_bytes in (2**30, 0):
        frames = VideoFrames(path, damaged="keep", cache_bytes=cache_bytes)
        assert 5 < len(frames) < len(truth) and frames.damage
        for index in (0, len(frames) // 2, len(frames) - 2):
            np.testing.assert_array_equal(frames[index], truth[index])


def test_a_title_that_is_no_utf_8_is_no_damage(tmp_path):
    path = tmp_path / "titled.mp4"
    _write_video(path, _noise_film(4), title="caf\N{LATIN SMALL LETTER E WITH ACUTE}-")
    data = path.read_bytes()
    assert b"caf\xc3\xa9-" in data
    path.write_bytes(data.replace(b"caf\xc3\xa9-", b"caf\xe9--"))
    assert len(VideoFrames(path)) == 4


def test_scratched_videos_are_read_or_refused_by_name(tmp_path):
    """Bytes overwritten, removed or inserted, half of the time in the container's tables."""
    path = tmp_path / "scratched.mp4"
    _write_video(path, _noise_film(12))
    good, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for trial in range(120):
        data = bytearray(good)
        for _ in range(rng.integers(1, 8)):
            at = rng.integers(len(data) - 1500 if rng.random() < 0.5 else 0, len(data))
            data[at : at + rng.integers(2)] = rng.bytes(rng.integers(2))
        path.write_bytes(data)
        try:
            frames = VideoFrames(path, damaged="keep", cache_bytes=2**30 * (trial % 2))
            assert frames[len(frames) - 1].ndim == 3
        except FormatError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert 10 < refused < 110


@pytest.mark.parametrize(
    "name, content", [("text.mp4", b"not a film " * 99), ("empty.mpg", b""), ("half.mp4", None)]
)
def test_what_is_no_video_is_refused_by_name(tmp_path, name, content):
    path = tmp_path / name
    if content is None:  # the index is at the end and missing
        content = demo_videos()["bikes"].read_bytes()[:100_000]
    path.write_bytes(content)
    with pytest.raises(FormatError, match=f"{name}: not a readable video") as caught:
        VideoFrames(path, damaged="keep")
    assert str(caught.value).count(name) == 1


def test_a_missing_video_and_a_sound_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such video file"):
        VideoFrames(tmp_path / "nothing.mp4")
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(FormatError, match="no video stream"):
        VideoFrames(path)


def test_a_file_that_changes_is_noticed(tmp_path):
    path = tmp_path / "a.mp4"
    _write_video(path, _noise_film(20))
    frames = VideoFrames(path, cache_bytes=0)
    _write_video(path, _noise_film(20, seed=1))
    with pytest.raises(FormatError, match="changed since it was opened"):
        frames[15]


def test_without_pyav_the_message_holds_the_pip_line(monkeypatch, bikes):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install kcorr\[video\]"):
        VideoFrames(bikes.path)


@pytest.mark.parametrize(
    "matrix, turned",
    # Rows (a b u)(c d v) of the display matrix in the track header, 16.16 fixed point.
    [((0, 1, -1, 0), lambda f: np.rot90(f, -1)), ((-1, 0, 0, -1), lambda f: np.rot90(f, 2))],
    ids=["clockwise", "upside down"],
)
def test_phone_videos_come_upright(tmp_path, matrix, turned):
    path = tmp_path / "phone.mp4"
    _write_video(path, _noise_film(3))
    plain = VideoFrames(path)[1]
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    a, b, c, d = (value * 65536 for value in matrix)
    data[place : place + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    Path(path).write_bytes(data)
    np.testing.assert_array_equal(VideoFrames(path)[1], turned(plain))
