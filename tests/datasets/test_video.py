"""Videos: cuts of the real ones, exact random access, damage, start and stop, turned phones."""

import logging
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from kcorr.datasets import Pairs, VideoFrames, demo_videos, video, video_pairs
from kcorr.datasets._frame_memory import FrameMemory
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
    kept = VideoFrames(path, cache_bytes=6 * size)
    compressed = VideoFrames(path, cache_bytes=6 * size - 1)
    not_kept = VideoFrames(path, cache_bytes=6 * size - 1, compress=False)
    assert (kept.cached_bytes, not_kept.cached_bytes) == (6 * size, 0)
    assert 5 * size < compressed.cached_bytes < 6 * size
    for frames in (kept, compressed, not_kept):
        with pytest.raises(ValueError, match="read-only"):
            frames[2][0, 0, 0] = 1
        with pytest.raises(IndexError):
            frames[6]


def test_compressed_frames_are_close_to_the_videos_and_within_the_budget(caplog):
    truth = VideoFrames(demo_videos()["carphone"])
    # JPEG takes 1.67 MB of these 9.12 MB. With 4:2:0 chroma, 1.4 % of the values differ by more
    # than 8, with quality 90 1.1 %.
    for budget, compressed_least in ((9_000_000, 1), (4_500_000, 60), (1_700_000, 115)):
        frames = VideoFrames(truth.path, cache_bytes=budget)
        assert 0 < frames.cached_bytes <= budget
        differences = [np.abs(frames[i].astype(int) - truth[i]) for i in range(len(truth))]
        lossy = [difference for difference in differences if difference.any()]
        assert compressed_least <= len(lossy) <= compressed_least + 20
        assert max(difference.mean() for difference in lossy) < 1.6
        assert np.mean(np.stack(lossy) > 8) < 0.002 and np.max(lossy) <= 24
    assert not caplog.records


def test_what_does_not_fit_even_compressed_is_decoded_on_demand_and_said_so(caplog):
    path = demo_videos()["carphone"]
    truth = _sequential(path)
    with caplog.at_level(logging.INFO, "kcorr"):
        frames = VideoFrames(path, cache_bytes=1_500_000)
    assert frames.cached_bytes == 0
    for index in (119, 3, 60):
        np.testing.assert_array_equal(frames[index], truth[index])
    [record] = caplog.records
    assert record.levelname == "WARNING" and "\n" not in record.getMessage()
    assert record.getMessage().startswith(f"{path}: 120 frames do not fit into 1 MB even when")
    assert "--cache_gib" in record.getMessage()
    caplog.clear()
    # Those who ask for it need not be told.
    VideoFrames(path, cache_bytes=0)
    VideoFrames(path, cache_bytes=1_500_000, compress=False)
    assert not caplog.records


def test_compressed_frames_are_decoded_by_two_threads_at_once(monkeypatch):
    frames = VideoFrames(demo_videos()["carphone"], cache_bytes=2_000_000)
    both = threading.Barrier(2, timeout=10)
    decode = video.image_of

    def image_of(kept):
        both.wait()  # one thread alone would never come past it
        return decode(kept)

    monkeypatch.setattr(video, "image_of", image_of)
    found = [None, None]

    def read(index):
        found[index] = frames[index]

    threads = [threading.Thread(target=read, args=[index]) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.undo()
    for index in (0, 1):
        np.testing.assert_array_equal(found[index], frames[index])


def test_videos_that_share_a_memory_are_compressed_before_one_is_given_up(tmp_path):
    size, path = 48 * 64 * 3, tmp_path / "a.mp4"
    _write_video(path, _noise_film(20))
    alone = VideoFrames(path)
    memory = FrameMemory(25 * size)
    first, second, third = (VideoFrames(path, cache_bytes=memory) for _ in range(3))
    kept = [one.cached_bytes for one in (first, second, third)]
    assert 0 < kept[0] < kept[2] <= 20 * size  # what came first is compressed first
    assert kept[1] > 0 and sum(kept) <= 25 * size
    for one in (first, second, third):
        assert np.abs(one[7].astype(int) - alone[7]).mean() < 2
    # A video too large for what is left, and a broken one, leave the others their room.
    _write_video(tmp_path / "large.mp4", _noise_film(6, 480, 640))
    assert VideoFrames(tmp_path / "large.mp4", cache_bytes=memory).cached_bytes == 0
    broken, _ = _damaged(tmp_path, "cut off")
    with pytest.raises(FormatError):
        VideoFrames(broken, cache_bytes=memory)
    kept = [one.cached_bytes for one in (first, second, third)]
    assert min(kept) > 0 and memory._used == sum(kept)


def test_a_handful_of_pixels_is_not_made_larger_by_compression():
    memory, frames = FrameMemory(500), []
    image = np.zeros((8, 8, 3), np.uint8)  # 192 bytes, more than 600 as a JPEG picture
    assert memory.add(frames, image) and memory.add(frames, image)
    assert not memory.add(frames, image) and frames == []
    assert memory.add(frames, image) and frames[0] is image


def test_the_log_says_how_far_a_long_video_is(tmp_path, monkeypatch, caplog):
    path = tmp_path / "a.mp4"
    _write_video(path, _noise_film(5))
    monkeypatch.setattr(video, "_SAY_SECONDS", 0)
    with caplog.at_level(logging.INFO, "kcorr"):
        VideoFrames(path)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"{path}: {count} frames decoded so far" for count in range(1, 6)]


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
