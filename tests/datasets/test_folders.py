"""Folders of frames and `open_source`: order, sub-folders, sizes, cuts, broken pictures."""

import logging

import numpy as np
import pytest
from PIL import Image

from kcorr.datasets import (
    Concat,
    FrameFolder,
    VideoFrames,
    demo_videos,
    folders,
    open_source,
    video,
)
from kcorr.io import FormatError


def _picture(path, level, size=(24, 16)):
    """A grey picture of `level`, (width, height) `size`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)


def _levels(source):
    return [tuple(int(image[0, 0, 0]) for image in record.values()) for record in source]


def test_frames_come_in_natural_order(tmp_path):
    for number in (10, 9, 2, 1, 11):
        _picture(tmp_path / f"frame_{number}.png", number)
    source = FrameFolder(tmp_path)
    assert _levels(source) == [(1, 2), (2, 9), (9, 10), (10, 11)]
    assert source.names[0] == "frame_1.png+1"
    record = source[0]
    assert list(record) == ["image1", "image2"]
    assert record["image1"].shape == (16, 24, 3) and record["image1"].dtype == np.uint8
    assert _levels(FrameFolder(tmp_path, stride=3)) == [(1, 10), (2, 11)]


def test_each_sub_folder_is_a_sequence_of_its_own(tmp_path):
    for folder, base in (("walk10", 30), ("walk2", 20), (".", 10), (".hidden", 40)):
        for number in (1, 2):
            _picture(tmp_path / folder / f"{number}.bmp", base + number)
    _picture(tmp_path / "walk2" / "._1.bmp", 99)  # what macOS leaves behind
    (tmp_path / "walk2" / "notes.txt").write_text("not a picture")
    source = FrameFolder(tmp_path)
    assert source.names == ["1.bmp+1", "walk2/1.bmp+1", "walk10/1.bmp+1"]
    assert _levels(source) == [(11, 12), (21, 22), (31, 32)]


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "pgm", "ppm", "bmp", "webp", "PNG"])
def test_picture_formats(tmp_path, suffix):
    for number in (1, 2):
        _picture(tmp_path / f"{number}.{suffix}", 100)
    assert _levels(FrameFolder(tmp_path)) == [(100, 100)]


def test_no_pair_crosses_a_cut_or_a_change_of_size(tmp_path):
    levels = [100, 101, 200, 201, 202]
    for number, level in enumerate(levels):
        _picture(tmp_path / f"{number}.png", level, (24, 16) if number < 4 else (32, 16))
    assert _levels(FrameFolder(tmp_path)) == [(100, 101), (200, 201)]
    unchecked = FrameFolder(tmp_path, cut_threshold=None)
    assert len(unchecked) == 4
    assert _levels([unchecked[1]]) == [(101, 200)]
    with pytest.raises(ValueError, match=r"3.png\+1: the frames are 24x16 and 32x16"):
        unchecked[3]


def test_cuts_are_found_behind_the_first_block_of_pictures(tmp_path):
    for number in range(70):  # pictures are looked at in blocks of 32
        _picture(tmp_path / f"{number}.png", 100 if number < 32 else 200 if number < 64 else 0)
    names = set(FrameFolder(tmp_path).names)
    assert len(names) == 69 - 2 and not names & {"31.png+1", "63.png+1"}


def test_a_broken_picture_raises_where_it_is_read_and_hides_no_cut(tmp_path):
    for number, level in enumerate((100, 101, 102, 200, 201)):
        _picture(tmp_path / f"{number}.png", level)
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:40])
    source = FrameFolder(tmp_path)
    with pytest.raises(FormatError, match=r"2\.png"):
        source[source.names.index("1.png+1")]
    assert _levels([source[0], source[-1]]) == [(100, 101), (200, 201)]
    # Frames 1 and 3, over the broken one, are of different shots.
    assert FrameFolder(tmp_path, stride=2).names == ["0.png+2"]


def test_a_pile_of_pictures(tmp_path):
    for number, size in enumerate(((24, 16), (30, 40), (24, 16))):
        _picture(tmp_path / f"{number}.png", 10 * number, size)
    pile = FrameFolder(tmp_path, independent=True, name="pile")
    assert pile.names == ["pile/0.png", "pile/1.png", "pile/2.png"]
    assert _levels(pile) == [(0,), (10,), (20,)]
    assert pile[1]["image1"].shape == (40, 30, 3)


def test_empty_folders_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        FrameFolder(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"no picture in this folder, expected \.bmp"):
        FrameFolder(tmp_path)
    _picture(tmp_path / "only.png", 1)
    with pytest.raises(ValueError, match="independent=True"):
        FrameFolder(tmp_path)
    with pytest.raises(ValueError, match="stride"):
        FrameFolder(tmp_path, stride=0)


def test_open_source_takes_a_video():
    source = open_source(demo_videos()["carphone"])
    assert len(source) == 119 and source.names[0] == "carphone_pristine.mp4/000000+1"
    assert source[5]["image2"].shape == (144, 176, 3)


def test_open_source_takes_a_folder_of_videos_and_pictures(tmp_path):
    video = demo_videos()["carphone"].read_bytes()
    for where in ("b.mp4", "a/b.mp4"):
        (tmp_path / where).parent.mkdir(exist_ok=True)
        (tmp_path / where).write_bytes(video)
    for number in (1, 2, 3):
        _picture(tmp_path / "shots" / f"{number}.png", number)
    _picture(tmp_path / "cover.jpg", 5)  # alone in its folder: no pair, no error
    source = open_source(tmp_path, stride=2)
    assert len(source) == 1 + 118 + 118
    assert {name.rpartition("/")[0] for name in source.names} == {"shots", "b.mp4", "a/b.mp4"}


@pytest.fixture
def opened(monkeypatch):
    """A list that gathers every video that is opened."""
    videos = []

    class Noted(VideoFrames):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            videos.append(self)

    monkeypatch.setattr(video, "VideoFrames", Noted)
    return videos


def test_the_memory_limit_counts_all_videos_together(tmp_path, opened):
    content = demo_videos()["carphone"].read_bytes()
    for name in ("1.mp4", "2.mp4"):
        (tmp_path / name).write_bytes(content)
    size = 120 * 144 * 176 * 3
    open_source(tmp_path, cache_bytes=2 * size)
    assert [one.cached_bytes for one in opened] == [size, size]
    opened.clear()
    open_source(tmp_path, cache_bytes=size + size // 2)
    first, second = (one.cached_bytes for one in opened)
    assert 0 < first < size and second > 0 and first + second <= size + size // 2


def test_several_strides_read_each_video_and_picture_once(tmp_path, opened, monkeypatch):
    content = demo_videos()["carphone"].read_bytes()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(content)
    for number in range(6):
        _picture(tmp_path / "shots" / f"{number}.png", number)
    alone = [open_source(tmp_path, stride) for stride in (1, 2, 4)]
    opened.clear()
    pictures, read = [], folders.read_image
    monkeypatch.setattr(folders, "read_image", lambda path: pictures.append(path) or read(path))
    source = open_source(tmp_path, stride=(1, 2, 4))
    assert [one.path.name for one in opened] == ["a.mp4", "b.mp4"]
    assert len(pictures) == len(set(pictures)) == 6
    # The pairs of the first stride, then those of the second, and so on.
    assert source.names == [name for one in alone for name in one.names]
    assert source.names[0] == "shots/0.png+1" and source.names[-1] == "b.mp4/000115+4"
    for index in (0, 5, len(source) - 1):
        expected = Concat(alone)[index]
        for key in ("image1", "image2"):
            np.testing.assert_array_equal(source[index][key], expected[key])
    # Windows, too; their names end alike.
    names = open_source(tmp_path / "shots", [2, 1], frames=3).names
    assert names == [f"{i}.png+2" for i in (2, 3)] + [f"{i}.png+1" for i in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"stride": ()}, "expected one, or several that differ"),
        ({"stride": (2, 2)}, "expected one, or several that differ"),
        ({"stride": (1, 0)}, "stride is 0, expected a whole number"),
        ({"frames": 6}, "frames is 6"),
        ({"ends": "wrap"}, "ends is 'wrap'"),
    ],
)
def test_wrong_arguments_are_refused_before_a_video_is_decoded(opened, arguments, message):
    with pytest.raises(ValueError, match=message):
        open_source(demo_videos()["carphone"], **arguments)
    assert not opened


def test_a_stride_that_nothing_is_apart_is_named(tmp_path):
    for number in range(3):
        _picture(tmp_path / f"{number}.png", number)
    with pytest.raises(ValueError, match="no two frames of one shot are 4 apart"):
        open_source(tmp_path, stride=(1, 4))


def test_open_source_takes_a_list_and_tells_its_entries_apart(tmp_path):
    for folder in ("one/left", "two/left"):
        for number in (1, 2):
            _picture(tmp_path / folder / f"{number}.png", number)
    source = open_source([tmp_path / "one/left", str(tmp_path / "two/left")], name="x")
    assert source.names == ["x/one/left/1.png+1", "x/two/left/1.png+1"]
    assert open_source([tmp_path / "one/left"]).names == ["1.png+1"]


def test_open_source_refuses_by_name(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    _picture(tmp_path / "still" / "1.png", 1)
    for path, error, message in (
        (tmp_path / "nothing", FileNotFoundError, "nothing: no such file or folder"),
        (text, ValueError, r"notes.txt: expected a folder, or a video \(.3gp"),
        (tmp_path / "still", ValueError, "still: no two frames of one shot are 1 apart"),
        ([], ValueError, "empty list"),
        ([text, text], ValueError, "twice"),
    ):
        with pytest.raises(error, match=message):
            open_source(path)
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileNotFoundError, match="neither pictures nor videos"):
        open_source(tmp_path / "bare")


def _broken_videos(folder):
    """A whole video, one that is text, and one cut off, in a folder with two frames."""
    video = demo_videos()["carphone"].read_bytes()
    folder.mkdir()
    for name, content in (
        ("b.mp4", video),
        ("a.mp4", b"not a film " * 99),
        ("c.mp4", video[:9000]),
    ):
        (folder / name).write_bytes(content)
    for number in (1, 2):
        _picture(folder / "shots" / f"{number}.png", number)
    return folder


def test_broken_videos_are_left_out_with_a_warning_that_counts(tmp_path, caplog):
    folder = _broken_videos(tmp_path / "mixed")
    with caplog.at_level(logging.WARNING, "kcorr"):
        source = open_source(folder, on_error="skip")
    assert {name.partition("/")[0] for name in source.names} == {"shots", "b.mp4"}
    assert len(source) == 1 + 119 and source[-1]["image2"].shape == (144, 176, 3)
    assert [record.getMessage().rpartition(" (")[2] for record in caplog.records] == [
        "1 unreadable so far)",
        "2 unreadable so far)",
    ]
    for record, name in zip(caplog.records, ("a.mp4", "c.mp4"), strict=True):
        assert record.getMessage().startswith(f"skipped {folder / name}: ")
    # A list of videos is treated alike, and may be left with one.
    assert len(open_source([folder / "a.mp4", folder / "b.mp4"], on_error="skip")) == 119


def test_a_broken_video_is_one_line_that_names_it(tmp_path):
    folder = _broken_videos(tmp_path / "mixed")
    with pytest.raises(FormatError, match=r"a\.mp4: not a readable video") as caught:
        open_source(folder)
    assert "\n" not in str(caught.value)
    for name in ("b.mp4", "shots/1.png", "shots/2.png"):
        (folder / name).unlink()
    with pytest.raises(ValueError, match=r"^none of the 2 videos can be read; the last: .*c\.mp4"):
        open_source(folder, on_error="skip")
    with pytest.raises(ValueError, match="on_error is 'ignore', expected 'raise' or 'skip'"):
        open_source(folder, on_error="ignore")
