"""What the papers learn from in the trees of the benchmarks, and what they leave out."""

import shutil

import pytest
from _tree_files import flow, image, kitti_tree, sintel_tree

from kcorr.datasets import demo_videos, open_source, open_unlabelled


def kitti(root, splits=("training",), cameras=("image_2", "image_3")):
    for split in splits:
        for camera in cameras:
            for scene in (0, 1):
                for frame in range(21):
                    image(root / split / camera / f"{scene:06d}_{frame:02d}.png", frame)
    return root


def frames_of(source):
    """(image1's frame, image2's frame) of every record of `kitti`, by their red."""
    return [tuple(int(record[f"image{i}"][0, 0, 0]) for i in (1, 2)) for record in source]


def test_kittis_evaluated_frames_are_never_learned_from(tmp_path):
    root = kitti(tmp_path / "multiview", ("training", "testing"))
    source = open_unlabelled(root)
    assert len(source) == 2 * 2 * 2 * 15  # splits, cameras, scenes, pairs
    assert source.names[0] == "training/image_2/000000_00"
    pairs = frames_of(source)
    assert all(second == first + 1 for first, second in pairs)  # none from scene to scene
    assert {frame for pair in pairs for frame in pair} == set(range(21)) - {9, 10, 11, 12}
    # What `open_source` makes of the same folder: the pair that is measured is among it.
    assert (10, 11) in frames_of(open_source(root / "training/image_2", cut_threshold=None))
    windows = open_unlabelled(root, frames=5)
    assert len(windows) == 2 * 2 * 2 * 9 and set(windows[0]) == {f"image{i}" for i in range(5)}


def test_parts_of_kittis_tree(tmp_path):
    kitti(tmp_path)
    assert len(open_unlabelled(tmp_path / "training")) == 60
    camera = open_unlabelled(tmp_path / "training/image_3")
    assert len(camera) == 30 and camera.names[0] == "training/image_3/000000_00"
    shutil.rmtree(tmp_path / "training/image_3")
    with pytest.raises(FileNotFoundError, match="image_3/000000_00"):
        open_unlabelled(tmp_path)


def test_kitti_of_2012_under_the_names_of_its_pairs(tmp_path):
    kitti(tmp_path, cameras=("colored_0", "colored_1"))
    assert len(open_unlabelled(tmp_path)) == 60


def test_kittis_labelled_pairs_are_refused(tmp_path):
    root = kitti_tree(tmp_path, "image_2", "image_3", ("disp_occ_0", "disp_noc_0"))
    for path in (root, root / "training", root / "testing/image_2"):
        with pytest.raises(ValueError, match="only KITTI's labelled pairs, frames 10 and 11"):
            open_unlabelled(path)


def test_sintels_masks_are_no_films(tmp_path):
    root = sintel_tree(tmp_path / "sintel")
    for path in (root, root / "training"):
        source = open_unlabelled(path)
        assert len(source) == 2 * 2 * 2  # renderings, scenes, pairs of three frames
        assert {name.split("/")[0] for name in source.names} == {"clean", "final"}
        assert set(source[0]) == {"image1", "image2"}
    assert len(open_unlabelled(root, frames=3)) == 4
    assert len(open_unlabelled(root, stride=2)) == 4
    names = open_unlabelled(root, stride=(1, 2)).names
    assert [name[-2:] for name in names] == ["+1"] * 8 + ["+2"] * 4
    shutil.rmtree(root / "training/final")
    assert open_unlabelled(root).names[0] == "alley_1/frame_0001.png+1"


def test_flying_chairs_are_pairs_of_their_own(tmp_path):
    for i in (1, 2, 3):
        for k in (1, 2):
            image(tmp_path / f"data/{i:05d}_img{k}.ppm", 10 * i + k)
        flow(tmp_path / f"data/{i:05d}_flow.flo", 1.0)
    assert frames_of(open_unlabelled(tmp_path)) == [(11, 12), (21, 22), (31, 32)]
    (tmp_path / "FlyingChairs_train_val.txt").write_text("1\n2\n1\n")
    source = open_unlabelled(tmp_path)
    assert source.names == ["00001", "00003"] and set(source[0]) == {"image1", "image2"}
    with pytest.raises(ValueError, match="frames is 5, expected 2 for FlyingChairs"):
        open_unlabelled(tmp_path, frames=5)


def test_a_list_of_trees_and_folders(tmp_path):
    kitti(tmp_path / "kitti")
    for frame in (1, 2):
        image(tmp_path / f"mine/{frame}.png", frame)
    source = open_unlabelled([tmp_path / "kitti", tmp_path / "mine"])
    assert len(source) == 61
    assert source.names[0] == "kitti/training/image_2/000000_00"
    assert source.names[-1] == "1.png+1"
    with pytest.raises(ValueError, match="stride is 2, expected 1 for KITTI's"):
        open_unlabelled([tmp_path / "kitti"], stride=2)
    with pytest.raises(ValueError, match="stride is 1, 2, expected 1 for KITTI's"):
        open_unlabelled([tmp_path / "kitti"], stride=(1, 2))
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        open_unlabelled(tmp_path / "nowhere")


def test_several_strides_of_a_tree_and_a_folder_within_a_budget(tmp_path, caplog):
    """A tree comes first, whatever its place; each goes through its own strides."""
    sintel_tree(tmp_path / "sintel")
    for frame in range(3):
        image(tmp_path / f"mine/{frame}.png", frame)
    source = open_unlabelled([tmp_path / "mine", tmp_path / "sintel"], stride=(2, 1))
    assert [name.startswith("sintel/") for name in source.names] == [True] * 12 + [False] * 3
    assert source.names[-3:] == ["0.png+2", "0.png+1", "1.png+1"]
    video = demo_videos()["carphone"]
    source = open_unlabelled(video, stride=(1, 4), cache_bytes=1_500_000)
    assert len(source) == 119 + 116 and source.names[-1].endswith("/000115+4")
    [record] = caplog.records  # one video, decoded once, and the budget was passed on
    assert "do not fit into 1 MB" in record.getMessage()
