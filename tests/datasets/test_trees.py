"""Benchmark trees, written small in the official layout."""

import numpy as np
import pytest
from _tree_files import H, W, check, flow, image, kitti_tree, sintel_tree
from PIL import Image

from kcorr.datasets import (
    KITTI2012,
    KITTI2015,
    SELFLOW_VALIDATION,
    FlyingChairs,
    KITTIMultiView,
    Sintel,
)
from kcorr.io import FormatError


@pytest.fixture
def chairs(tmp_path):
    for i in range(1, 5):
        image(tmp_path / f"data/{i:05d}_img1.ppm", i)
        image(tmp_path / f"data/{i:05d}_img2.ppm", 100 + i)
        flow(tmp_path / f"data/{i:05d}_flow.flo", i, -i)
    (tmp_path / "FlyingChairs_train_val.txt").write_text("1\n2\n1\n1\n")
    return tmp_path


def test_chairs(chairs):
    train = FlyingChairs(chairs)
    assert train.names == ["00001", "00003", "00004"]
    assert FlyingChairs(chairs, "validation").names == ["00002"]
    assert len(FlyingChairs(chairs, "all")) == 4
    assert check(train[1], "image1", "image2", "flow", "valid") == [3, 103]
    assert (train[1]["flow"] == (3, -3)).all() and (train[1]["valid"] == 1).all()


def test_chairs_incomplete(chairs):
    (chairs / "data/00003_flow.flo").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing data/00003_flow\.flo") as caught:
        FlyingChairs(chairs)
    assert "FlyingChairs_train_val.txt" in str(caught.value) and "lmb." in str(caught.value)
    (chairs / "FlyingChairs_train_val.txt").write_text("1\n1\n")
    with pytest.raises(ValueError, match="has 2 marks, expected one for each of 4"):
        FlyingChairs(chairs)
    (chairs / "FlyingChairs_train_val.txt").write_text("1 2 3")
    with pytest.raises(ValueError, match="holds '3', expected only 1 and 2"):
        FlyingChairs(chairs)
    (chairs / "FlyingChairs_train_val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing FlyingChairs_train_val\.txt"):
        FlyingChairs(chairs)
    with pytest.raises(ValueError, match="'train', 'validation' or 'all'"):
        FlyingChairs(chairs, "test")


@pytest.fixture
def sintel(tmp_path):
    return sintel_tree(tmp_path)


def test_sintel(sintel):
    clean, final = Sintel(sintel), Sintel(sintel, dtype="final")
    assert clean.names == [f"clean/{s}/frame_000{i}" for s in ("alley_1", "cave_2") for i in (1, 2)]
    keys = ("image1", "image2", "flow", "valid", "occlusion")
    assert check(clean[1], *keys) == [12, 13]
    assert check(final[2], *keys) == [151, 152]
    record = clean[1]
    # One pixel of unknown flow, one marked invalid; one occluded.
    assert np.argwhere(record["valid"][..., 0] == 0).tolist() == [[5, 5]]
    strict = Sintel(sintel, exclude_invalid=True)[1]["valid"]
    assert np.argwhere(strict[..., 0] == 0).tolist() == [[0, 2], [5, 5]]
    assert np.argwhere(record["occlusion"][..., 0]).tolist() == [[1, 2]]
    assert (record["flow"][5, 5] == 0).all() and (record["flow"][0, 0] == (2, 0)).all()
    test = Sintel(sintel, split="test", dtype="final")
    assert len(test) == 4 and check(test[0], "image1", "image2") == [111, 112]


@pytest.mark.parametrize(
    "gone", ["flow/cave_2/frame_0002.flo", "occlusions/alley_1/frame_0001.png",
             "invalid/cave_2/frame_0001.png", "clean/cave_2/frame_0002.png"],
)  # fmt: skip
def test_sintel_incomplete(sintel, gone):
    """A frame lost in the middle is missing, too: its neighbours make no pair for its flow."""
    (sintel / "training" / gone).unlink()
    with pytest.raises(FileNotFoundError, match=f"missing training/{gone}") as caught:
        Sintel(sintel, exclude_invalid=True)
    assert "occlusions/<scene>" in str(caught.value) and "sintel.is.tue" in str(caught.value)


def test_sintel_refuses_files_that_do_not_belong_together(sintel):
    image(sintel / "training/clean/alley_1/frame_0002.png", 1, (W + 1, H))
    with pytest.raises(FormatError, match=r"frame_0001: the files differ in size .*image2 9x6"):
        Sintel(sintel)[0]
    Image.new("L", (W, H - 1)).save(sintel / "training/invalid/cave_2/frame_0001.png")
    with pytest.raises(FormatError, match=r"valid 8x6, invalid 8x5"):
        Sintel(sintel, exclude_invalid=True)[2]


def test_sintel_arguments(sintel):
    with pytest.raises(ValueError, match="'training' or 'test'"):
        Sintel(sintel, split="testing")
    with pytest.raises(ValueError, match="'clean' or 'final'"):
        Sintel(sintel, dtype="albedo")


@pytest.mark.parametrize(
    "cls, folders",
    [
        (KITTI2015, ("image_2", "image_3", ("disp_occ_0", "disp_noc_0"))),
        (KITTI2012, ("colored_0", "colored_1", ("disp_occ", "disp_noc"))),
    ],
)
def test_kitti(tmp_path, cls, folders):
    root = kitti_tree(tmp_path, *folders)
    source = cls(root)
    assert source.names == ["000000_10", "000001_10"]
    record = source[1]
    assert check(record, "image1", "image2", "flow", "valid", "occlusion") == [21, 22]
    assert (record["flow"][0, 1] == (4.5, -2)).all() and (record["flow"][0, 0] == 0).all()
    assert np.argwhere(record["valid"][..., 0] == 0).tolist() == [[0, 0]]
    assert np.argwhere(record["occlusion"][..., 0]).tolist() == [[2, 3]]

    stereo = cls(root, task="stereo")[0]
    keys = ("image1", "image2", "flow", "disparity", "valid", "occlusion")
    assert check(stereo, *keys) == [20, 70]
    assert (stereo["flow"][3, 3] == (-7.25, 0)).all() and stereo["disparity"][3, 3] == 7.25
    assert np.argwhere(stereo["valid"][..., 0] == 0).tolist() == [[0, 0]]
    assert np.argwhere(stereo["occlusion"][..., 0]).tolist() == [[2, 3]]
    assert check(cls(root, split="testing")[0], "image1", "image2") == [20, 21]

    (root / "training/flow_noc/000001_10.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing training/flow_noc/000001_10\.png") as e:
        cls(root)
    assert f"{folders[0]}/000000_10.png" in str(e.value) and "cvlibs" in str(e.value)
    assert len(cls(root, task="stereo")) == 2  # does not need flow files
    with pytest.raises(ValueError, match="'flow' or 'stereo'"):
        cls(root, task="depth")
    with pytest.raises(ValueError, match="'training' or 'testing'"):
        cls(root, split="test")


def test_kitti_validation_ids():
    assert len(set(SELFLOW_VALIDATION)) == 30 and max(SELFLOW_VALIDATION) < 200


@pytest.mark.parametrize(
    "year, cameras, scenes, pairs",
    [
        (2015, ("image_2", "image_3"), 8, 240),
        (2012, ("image_2", "image_3"), 7, 210),
        (2012, ("colored_0", "colored_1"), 7, 210),
    ],
)
def test_kitti_multi_view_counts(tmp_path, year, cameras, scenes, pairs):
    """On empty files: making the source reads none of them. (The papers' counts: test_windows.)"""
    for camera in cameras:
        folder = tmp_path / "training" / camera
        folder.mkdir(parents=True)
        for scene in range(scenes):
            for frame in range(21):
                (folder / f"{scene:06d}_{frame:02d}.png").touch()
    source = KITTIMultiView(tmp_path, year)
    assert len(source) == len(set(source.names)) == pairs
    firsts = {int(name[-2:]) for name in source.names}
    assert firsts == {*range(8), *range(13, 20)}
    (tmp_path / "training" / cameras[1] / "000005_14.png").unlink()
    with pytest.raises(FileNotFoundError, match=f"missing training/{cameras[1]}/000005_14.png"):
        KITTIMultiView(tmp_path, year)


def test_kitti_multi_view_pairs(tmp_path):
    for camera, base in (("image_2", 0), ("image_3", 100)):
        for frame in range(21):
            image(tmp_path / f"testing/{camera}/000000_{frame:02d}.png", base + frame)
    source = KITTIMultiView(tmp_path, split="testing")
    found = [check(record, "image1", "image2") for record in source]
    expected = [[base + t, base + t + 1] for base in (0, 100) for t in [*range(8), *range(13, 20)]]
    assert found == expected
    assert source.names[15] == "image_3/000000_00"
    with pytest.raises(ValueError, match="2012 or 2015"):
        KITTIMultiView(tmp_path, year=2013)
