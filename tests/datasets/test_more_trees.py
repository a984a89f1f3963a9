"""Benchmark trees, written small in the official layout: the data sets for supervised training,
object maps, the frames around a pair."""

import numpy as np
import pytest
from _tree_files import H, W, check, flow, image, kitti_tree, sintel_tree
from PIL import Image

from kcorr.datasets import (
    HD1K,
    KITTI2012,
    KITTI2015,
    FlyingThings3D,
    KITTIMultiView,
    Middlebury,
    Sintel,
)
from kcorr.io import FormatError


def levels(record):
    return [int(record[key][0, 0, 0]) for key in sorted(record) if key.startswith("image")]


# === FlyingThings3D ===


@pytest.fixture
def things(tmp_path):
    for part, scenes in (("TRAIN", ("A/0000", "B/0003")), ("TEST", ("C/0001",))):
        for number, scene in enumerate(scenes):
            for camera, base in (("left", 0), ("right", 100)):
                for t in (6, 7, 8):
                    level = base + 10 * number + t
                    frame = f"{part}/{scene}/{camera}/{t:04d}.png"
                    image(tmp_path / "frames_cleanpass" / frame, level)
                    image(tmp_path / "frames_finalpass" / frame, level + 50)
                    for folder, word, u in (
                        ("into_future", "IntoFuture", t),
                        ("into_past", "IntoPast", -t),
                    ):
                        file = f"OpticalFlow{word}_{t:04d}_{camera[0].upper()}.pfm"
                        flow(
                            tmp_path / f"optical_flow/{part}/{scene}/{folder}/{camera}/{file}",
                            u,
                            0.5,
                            [(1, 1)],
                        )
    return tmp_path


def test_things(things):
    train = FlyingThings3D(things)
    assert train.names == [
        f"TRAIN/{scene}/left/000{t}+1" for scene in ("A/0000", "B/0003") for t in (6, 7)
    ]
    assert check(train[3], "image1", "image2", "flow", "valid") == [17, 18]
    assert (train[3]["flow"][0, 0] == (7, 0.5)).all()
    assert np.argwhere(train[3]["valid"][..., 0] == 0).tolist() == [[1, 1]]
    final = FlyingThings3D(things, "test", "final")
    assert len(final) == 2 and levels(final[0]) == [56, 57]


def test_things_backward_in_time_and_the_right_camera(things):
    both = FlyingThings3D(things, cameras=("left", "right"), directions=("future", "past"))
    assert len(both) == len(set(both.names)) == 2 * 2 * 2 * 2
    record = both[both.names.index("TRAIN/B/0003/right/0008-1")]
    assert levels(record) == [118, 117] and (record["flow"][0, 0] == (-8, 0.5)).all()


@pytest.mark.parametrize(
    "gone",
    [
        "frames_cleanpass/TRAIN/A/0000/left/0007.png",
        "optical_flow/TRAIN/B/0003/into_future/left/OpticalFlowIntoFuture_0006_L.pfm",
    ],
)
def test_things_incomplete(things, gone):
    (things / gone).unlink()
    with pytest.raises(FileNotFoundError, match=f"missing {gone}\n") as caught:
        FlyingThings3D(things)
    assert "into_past/left/OpticalFlowIntoPast_0006_L.pfm" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "TRAIN"}, "split is 'TRAIN', expected 'train' or 'test'"),
        ({"dtype": "albedo"}, "dtype is 'albedo', expected 'clean' or 'final'"),
        ({"cameras": ("top",)}, "camera is 'top'"),
        ({"directions": ("backward",)}, "direction is 'backward', expected 'future' or 'past'"),
    ],
)
def test_things_arguments(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        FlyingThings3D(tmp_path, **options)


# === HD1K ===


@pytest.fixture
def hd1k(tmp_path):
    for sequence, count in ((0, 3), (7, 2)):
        for t in range(count):
            name = f"{sequence:06d}_{t:04d}.png"
            image(tmp_path / "hd1k_input/image_2" / name, 10 * sequence + t)
            flow(tmp_path / "hd1k_flow_gt/flow_occ" / name, t, -1.5, [(5, 7)])
    return tmp_path


def test_hd1k(hd1k):
    source = HD1K(hd1k)
    # No pair from one sequence to the next, none from a last frame.
    assert source.names == ["000000_0000", "000000_0001", "000007_0000"]
    assert [check(record, "image1", "image2", "flow", "valid") for record in source] == [
        [0, 1],
        [1, 2],
        [70, 71],
    ]
    assert (source[1]["flow"][0, 0] == (1, -1.5)).all()
    assert np.argwhere(source[1]["valid"][..., 0] == 0).tolist() == [[5, 7]]


@pytest.mark.parametrize(
    "gone", ["hd1k_input/image_2/000000_0001.png", "hd1k_flow_gt/flow_occ/000000_0001.png"]
)
def test_hd1k_incomplete(hd1k, gone):
    (hd1k / gone).unlink()
    with pytest.raises(FileNotFoundError, match=f"missing {gone}\n"):
        HD1K(hd1k)


def test_hd1k_pairs_no_neighbours_of_a_lost_frame(hd1k):
    for folder in ("hd1k_input/image_2", "hd1k_flow_gt/flow_occ"):
        (hd1k / folder / "000000_0001.png").unlink()
    assert HD1K(hd1k).names == ["000007_0000"]


def test_hd1k_refuses_a_flow_of_another_size(hd1k):
    image(hd1k / "hd1k_input/image_2/000000_0001.png", 1, (W, H + 1))
    with pytest.raises(FormatError, match=r"000000_0000.png: the files differ in size"):
        HD1K(hd1k)[0]


# === Middlebury ===


@pytest.fixture
def middlebury(tmp_path):
    for folder, scenes in (
        ("other-data", ("Venus", "Walking", "Grove2")),
        ("eval-data", ("Army",)),
    ):
        for i, scene in enumerate(scenes):
            for t in (9, 10, 11):
                image(tmp_path / folder / scene / f"frame{t:02d}.png", 20 * i + t)
    for scene, u in (("Venus", 3), ("Grove2", -3)):
        flow(tmp_path / "other-gt-flow" / scene / "flow10.flo", u, 1, [(2, 2)])
    return tmp_path


def test_middlebury(middlebury):
    source = Middlebury(middlebury)
    assert source.names == ["Grove2", "Venus"]  # Walking has no ground truth
    assert check(source[0], "image1", "image2", "flow", "valid") == [50, 51]
    assert (source[0]["flow"][0, 0] == (-3, 1)).all()
    assert np.argwhere(source[0]["valid"][..., 0] == 0).tolist() == [[2, 2]]
    hidden = Middlebury(middlebury, "eval")
    assert hidden.names == ["Army"] and check(hidden[0], "image1", "image2") == [10, 11]
    (middlebury / "other-data/Venus/frame11.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing other-data/Venus/frame11\.png"):
        Middlebury(middlebury)
    with pytest.raises(ValueError, match="'other' or 'eval'"):
        Middlebury(middlebury, "training")


# === KITTI: object maps, frames around the pair ===


@pytest.fixture
def kitti(tmp_path):
    return kitti_tree(tmp_path, "image_2", "image_3", ("disp_occ_0", "disp_noc_0"))


@pytest.mark.parametrize("task", ["flow", "stereo"])
def test_object_maps(kitti, task):
    (kitti / "training/obj_map").mkdir()
    for scene in (0, 1):
        ids = np.zeros((H, W), np.uint8)
        ids[2:4, 1:3], ids[5, 5] = 1, 7 + scene
        Image.fromarray(ids).save(kitti / f"training/obj_map/{scene:06d}_10.png")
    objects = KITTI2015(kitti, task=task, objects=True)[1]["objects"]
    assert objects.shape == (H, W, 1) and objects.dtype == np.float32
    assert (objects[..., 0] == ids).all()
    assert "objects" not in KITTI2015(kitti, task=task)[1]
    assert set(KITTI2015(kitti, "testing", objects=True)[0]) == {"image1", "image2"}
    (kitti / "training/obj_map/000001_10.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"missing training/obj_map/000001_10\.png"
    ) as caught:
        KITTI2015(kitti, objects=True)
    assert "(for objects=True)" in str(caught.value)
    with pytest.raises(ValueError, match="only KITTI 2015 has object maps"):
        KITTI2012(kitti, objects=True)


def test_frames_around_the_labelled_pair(kitti, tmp_path):
    extension = tmp_path / "multiview"
    for split in ("training", "testing"):
        for scene in (0, 1):
            for t in range(21):
                image(extension / split / f"image_2/{scene:06d}_{t:02d}.png", 100 + 21 * scene + t)
    three = KITTI2015(kitti, frames=3, multi_view=extension)
    # The pair is the labelled tree's own; frame 9 is the extension's.
    assert three.names == ["000000_10", "000001_10"]
    assert [levels(record) for record in three] == [[109, 20, 21], [130, 21, 22]]
    assert list(three[0])[:3] == ["image0", "image1", "image2"] and "flow" in three[0]
    five = KITTI2015(kitti, "testing", frames=5, multi_view=extension)
    assert levels(five[1]) == [130, 21, 22, 133, 134]
    with pytest.raises(
        FileNotFoundError, match=r"missing training/image_2/000000_09\.png"
    ) as caught:
        KITTI2015(kitti, frames=3)  # not in the labelled tree
    assert "data_scene_flow_multiview/" in str(caught.value)
    with pytest.raises(ValueError, match="frames is 3, expected 2 for task='stereo'"):
        KITTI2015(kitti, task="stereo", frames=3)
    with pytest.raises(ValueError, match="frames is 6"):
        KITTI2015(kitti, frames=6)


def test_five_frames_of_the_multi_view_extension(tmp_path):
    for camera, base in (("image_2", 0), ("image_3", 100)):
        for t in range(21):
            image(tmp_path / f"training/{camera}/000000_{t:02d}.png", base + t)
    source = KITTIMultiView(tmp_path, frames=5)
    starts = [*range(5), *range(13, 17)]
    assert [levels(record) for record in source] == [
        [*range(base + start, base + start + 5)] for base in (0, 100) for start in starts
    ]
    assert source.names[0] == "image_2/000000_01" and len(set(source.names)) == 18
    assert len(KITTIMultiView(tmp_path, frames=3)) == 2 * (7 + 6)


# === Sintel: windows, the test split ===


def test_sintel_windows_stay_in_their_scene(tmp_path):
    root = sintel_tree(tmp_path)
    three = Sintel(root, frames=3)
    assert three.names == ["clean/alley_1/frame_0002", "clean/cave_2/frame_0002"]
    assert [levels(record) for record in three] == [[11, 12, 13], [51, 52, 53]]
    record = three[0]
    assert (record["flow"][0, 0] == (2, 0)).all()  # of image1, the second frame
    assert np.argwhere(record["occlusion"][..., 0]).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="ends is 'mirror'"):
        Sintel(root, ends="mirror")


@pytest.mark.parametrize("split", ["training", "test"])
def test_sintel_repeats_the_first_frame_so_that_every_pair_is_there(tmp_path, split):
    root = sintel_tree(tmp_path)
    pairs, three = Sintel(root, split), Sintel(root, split, frames=3, ends="repeat")
    assert three.names == pairs.names
    assert [levels(record) for record in three] == [
        [11, 11, 12], [11, 12, 13], [51, 51, 52], [51, 52, 53]
    ]  # fmt: skip
    for record, pair in zip(three, pairs, strict=True):
        assert set(record) == {*pair, "image0"}
        for key in pair:
            np.testing.assert_array_equal(record[key], pair[key])
