"""Two cameras' sequences as sets of four pictures."""

import pytest
from _tree_files import image

from kcorr.datasets import FrameFolder, StereoVideo, open_stereo
from kcorr.io import FormatError

FOUR = ["image1", "image2", "image3", "image4"]


def reds(record):
    assert list(record) == FOUR
    return [int(record[key][0, 0, 0]) for key in FOUR]


def cameras(root, names=("left", "right"), frames=4):
    for camera, base in zip(names, (10, 60), strict=True):
        for scene in ("a", "b"):
            for frame in range(frames):
                path = root / camera / scene / f"{frame:02d}.png"
                image(path, base + frame + (20 if scene == "b" else 0))
    return root


@pytest.mark.parametrize("names", [("left", "right"), ("image_2", "image_3")])
def test_two_folders(tmp_path, names):
    source = open_stereo(cameras(tmp_path, names))
    assert source.names == [f"{s}/{t:02d}.png+1" for s in "ab" for t in range(3)]
    expected = [[b, b + 50, b + 1, b + 51] for b in (10, 11, 12, 30, 31, 32)]
    assert [reds(record) for record in source] == expected


def test_a_stride_and_a_list(tmp_path):
    first, second = cameras(tmp_path / "x"), cameras(tmp_path / "y")
    source = open_stereo([first, second], stride=2)
    assert len(source) == len(set(source.names)) == 8
    assert reds(source[0]) == [10, 60, 12, 62]


def test_frames_of_one_camera_only_are_left_out(tmp_path):
    root = cameras(tmp_path)
    (root / "right/a/03.png").unlink()
    source = open_stereo(root)
    assert "a/02.png+1" not in source.names and len(source) == 5
    with pytest.raises(ValueError, match="left has 3 records and right 3, and none of one name"):
        StereoVideo(FrameFolder(root / "left/b"), FrameFolder(root / "right/b", name="other"))


def test_cameras_of_two_sizes_are_refused(tmp_path):
    for camera, size in (("left", (8, 6)), ("right", (8, 5))):
        for frame in (0, 1):
            image(tmp_path / camera / f"{frame}.png", 10, size)
    source = open_stereo(tmp_path)
    with pytest.raises(FormatError, match="the files differ in size"):
        source[0]


@pytest.mark.parametrize("splits", [["training"], ["training", "testing"]])
def test_kittis_multi_view_trees(tmp_path, splits):
    for split in splits:
        for camera, base in (("image_2", 0), ("image_3", 100)):
            for scene in (0, 1):
                for frame in range(21):
                    path = tmp_path / split / camera / f"{scene:06d}_{frame:02d}.png"
                    image(path, base + frame + 50 * scene)
    source = open_stereo(tmp_path)
    assert len(source) == 30 * len(splits)  # frames 9 to 12 are left out
    assert source.names[0] == "training/000000_00" and source.names[29] == "training/000001_19"
    assert reds(source[8]) == [13, 113, 14, 114]
    assert reds(source[15]) == [50, 150, 51, 151]
    assert len(open_stereo(tmp_path, split="training")) == 30
    with pytest.raises(ValueError, match="stride is 2, expected 1"):
        open_stereo(tmp_path, stride=2)


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no stereo sequence; expected") as caught:
        open_stereo(tmp_path)
    assert "left/0001.png" in str(caught.value) and "image_3/000000_00.png" in str(caught.value)
    with pytest.raises(ValueError, match="empty list"):
        open_stereo([])
