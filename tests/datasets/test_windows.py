"""Windows of frames, and the papers' splits, by their counts: no data is needed."""

import itertools
import random

import numpy as np
import pytest

from kcorr.datasets import (
    SINTEL_FRAMES,
    FrameFolder,
    Windows,
    chairs_split,
    demo_videos,
    kitti_multi_view,
    open_source,
    scene_windows,
    selflow_split,
    video_pairs,
    windows,
)
from kcorr.io import write_image


class _Film:
    """Frames whose grey value is their number."""

    def __init__(self, count, cuts=()):
        self.names, self.cuts = [f"f{i}" for i in range(count)], list(cuts)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return np.full((2, 3, 3), index, np.uint8)


def _levels(record):
    return tuple(int(image[0, 0, 0]) for image in record.values())


# === Which frames stand together ===


def _truth(count, frames, stride, cuts, excluded):
    """Every tuple of that many frames, tried one by one."""
    shot = [sum(cut <= i for cut in cuts) for i in range(count)]
    for first in range(count):
        last = first + (frames - 1) * stride
        between = range(first, last + 1)
        if last < count and shot[first] == shot[last] and not set(between) & set(excluded):
            yield tuple(between[::stride])


@pytest.mark.parametrize("frames", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_whole_windows_are_exactly_those_without_a_cut_or_an_excluded_frame(frames, stride):
    generator = random.Random(10 * frames + stride)
    some = 0
    for _ in range(50):
        count = generator.randrange(40)
        cuts = generator.sample(range(40), 2)
        excluded = generator.sample(range(40), generator.randrange(4))
        found = windows(count, frames, stride, cuts, excluded)
        assert found == list(_truth(count, frames, stride, cuts, excluded))
        some += len(found)
    assert some > 50


def test_repeated_ends_give_a_window_for_each_pair():
    assert windows(4, 3, ends="repeat") == [(0, 0, 1), (0, 1, 2), (1, 2, 3)]
    assert windows(4, 4, ends="repeat") == [(0, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 3)]
    assert windows(2, 5, ends="repeat") == [(0, 0, 1, 1, 1)]
    # In each shot anew, and on the window's own stride.
    assert windows(5, 3, cuts=[2], ends="repeat") == [(0, 0, 1), (2, 2, 3), (2, 3, 4)]
    assert windows(5, 3, 2, ends="repeat") == [(0, 0, 2), (1, 1, 3), (0, 2, 4)]
    assert windows(1, 3, ends="repeat") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 1}, "frames is 1, expected 2, 3, 4 or 5"),
        ({"frames": 6}, "frames is 6"),
        ({"stride": 0}, "stride is 0"),
        ({"ends": "mirror"}, "ends is 'mirror', expected 'skip' or 'repeat'"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        windows(9, **options)
    with pytest.raises(ValueError, match=message):
        Windows(_Film(9), **options)


# === As sources ===


def test_windows_have_the_keys_of_their_frames_and_image1s_name():
    source = Windows(_Film(8, cuts=[6]), 5)
    assert source.names == ["f1+1", "f2+1"]
    assert list(source[0]) == ["image0", "image1", "image2", "image3", "image4"]
    assert [_levels(record) for record in source] == [(0, 1, 2, 3, 4), (1, 2, 3, 4, 5)]
    three = Windows(_Film(3), 3, ends="repeat")
    assert list(three[0]) == ["image0", "image1", "image2"]
    assert [_levels(record) for record in three] == [(0, 0, 1), (0, 1, 2)]
    assert list(Windows(_Film(2), 2)[0]) == ["image1", "image2"]
    assert len(Windows(_Film(8, cuts=[6]), 5, cuts=())) == 4


def test_windows_of_folders_cross_no_cut_and_no_folder(tmp_path):
    for folder, levels in (("a", (100, 101, 102, 200, 201, 202, 203)), ("b", (50, 51))):
        (tmp_path / folder).mkdir()
        for number, level in enumerate(levels):
            write_image(tmp_path / folder / f"{number}.png", np.full((8, 9, 3), level, np.uint8))
    expected = [(100, 101, 102), (200, 201, 202), (201, 202, 203)]
    for source in (FrameFolder(tmp_path, frames=3), open_source(tmp_path, frames=3)):
        assert [_levels(record) for record in source] == expected
        assert source.names == ["a/1.png+1", "a/4.png+1", "a/5.png+1"]
    assert len(open_source(tmp_path, frames=3, ends="repeat")) == 2 + 3 + 1
    with pytest.raises(ValueError, match="no 5 pictures make a window at stride 1"):
        FrameFolder(tmp_path / "a", frames=5)
    with pytest.raises(ValueError, match="no 5 frames of one shot, each 1 behind the one before"):
        open_source(tmp_path / "b", frames=5)


def test_windows_of_a_video_cross_no_cut():
    path = demo_videos()["carphone"]
    five = video_pairs(path, frames=5)
    assert len(five) == 120 - 4 and five.names[0] == "carphone_pristine.mp4/000001+1"
    pairs = video_pairs(path)
    middle = five[20]
    for key, index in (("image1", 21), ("image2", 22), ("image3", 23)):
        np.testing.assert_array_equal(middle[key], pairs[index]["image1"])
    assert len(open_source(path, stride=2, frames=3)) == 120 - 4


# === The papers' lists ===


def test_kitti_multi_view_counts():
    pairs = kitti_multi_view(range(200))
    assert len(pairs) == len(set(pairs)) == 6000
    assert {first for _, _, (first, _) in pairs} == {*range(8), *range(13, 20)}
    five = kitti_multi_view(range(200), 5)
    assert len(five) == 3600
    assert {window[0] for _, _, window in five} == {*range(5), *range(13, 17)}
    assert all(window == tuple(range(window[0], window[0] + 5)) for _, _, window in five)
    for _, _, window in pairs + five:
        assert not set(window) & {9, 10, 11, 12}
    assert {camera for camera, _, _ in pairs} == {"image_2", "image_3"}
    assert len(kitti_multi_view(range(194))) == 194 * 30


def test_the_split_of_labelled_kitti_is_170_and_30():
    train, validation = selflow_split()
    assert (len(train), len(validation)) == (170, 30)
    assert sorted(train + validation) == list(range(200))
    listed = (
        "0 3 4 17 23 30 38 39 53 57 64 65 66 70 81 83 85 98 105 107 109 111 120 132 154 156 157 "
        "166 169 189"
    )
    assert validation == [int(number) for number in listed.split()]
    names = [f"{scene:06d}_10" for scene in range(200)]
    assert selflow_split(names)[1] == [names[scene] for scene in validation]


def test_sintels_counts():
    assert len(SINTEL_FRAMES) == 23 and sum(SINTEL_FRAMES.values()) == 1064
    assert len(scene_windows(SINTEL_FRAMES)) == 1041
    assert len(scene_windows(SINTEL_FRAMES, 5)) == 972
    assert len(scene_windows(SINTEL_FRAMES, 3, ends="repeat")) == 1041
    assert scene_windows({"a": 3, "b": 2}) == [("a", (1, 2)), ("a", (2, 3)), ("b", (1, 2))]


def test_the_authors_film_clips():
    """144 clips with 11,110 frames in all, however long each is."""
    generator = random.Random(0)
    borders = sorted(generator.sample(range(1, 2000), 143))
    clips = [b - a for a, b in itertools.pairwise([0, *(2 * b for b in borders), 11110])]
    lengths = {f"clip_{number}": length for number, length in enumerate(clips)}
    assert len(scene_windows(lengths)) == 10966
    assert len(scene_windows(lengths, 3)) == 10822


def test_the_chairs_split():
    marks = ["1"] * 22872
    for sample in random.Random(0).sample(range(22872), 640):
        marks[sample] = "2"
    split = chairs_split(marks)
    assert (len(split["train"]), len(split["validation"])) == (22232, 640)
    assert sorted(split["train"] + split["validation"]) == [f"{i:05d}" for i in range(1, 22873)]
    assert chairs_split(["2", "1"]) == {"train": ["00002"], "validation": ["00001"]}
    with pytest.raises(ValueError, match="holds '3', expected only 1 and 2"):
        chairs_split(["1", "3"])
