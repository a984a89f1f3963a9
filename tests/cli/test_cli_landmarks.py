"""`kcorr landmarks IMAGE...`: what is written, and what is refused."""

import numpy as np
import pytest
from _planted_objects import PlantedLandmarks

from kcorr import viz
from kcorr.datasets import PointFolder
from kcorr.io import read_image, write_image


@pytest.fixture
def network(planted_objects):
    return planted_objects(PlantedLandmarks())


def dots(places, height=36, width=40):
    """A picture with one dot in each colour, whose centres of mass are at the places (x, y)."""
    image = np.zeros((height, width, 3), np.uint8)
    for channel, (x, y) in enumerate(places):
        image[y - 1 : y + 2, x - 1 : x + 2, channel] = 200
    return image


PLACES = ([(5, 6), (20, 11), (33, 30)], [(9, 9), (30, 4), (12, 25)], [(4, 3), (35, 31), (18, 18)])


@pytest.fixture
def folder(tmp_path):
    """pictures/f2.png, pictures/f10.png and pictures/more/f2.png."""
    names = ["f2.png", "f10.png", "more/f2.png"]
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    for name, places in zip(names, PLACES, strict=True):
        write_image(tmp_path / "pictures" / name, dots(places))
    return tmp_path / "pictures"


def test_a_folder_gives_drawings_and_a_table_that_can_be_read(
    kcorr, network, folder, tmp_path, tree
):
    out = tmp_path / "new" / "out"
    result = kcorr("landmarks", folder, "-o", out, "--model", "mine")
    assert (result.status, result.err) == (0, "")
    said = f"{out}: 3 pictures, 3 landmarks each, confidence 0.78 (median), "
    assert result.out.startswith(said) and result.out.count("\n") == 1
    drawn = ["f10_landmarks.png", "f2_2_landmarks.png", "f2_landmarks.png"]
    assert tree(out) == sorted([*drawn, "landmarks.csv"])
    table = PointFolder(out, "landmarks.csv")
    assert table.point_names == ("p0", "p1", "p2")
    prefix = "../../pictures"
    assert table.names == [f"{prefix}/f2.png", f"{prefix}/f10.png", f"{prefix}/more/f2.png"]
    for record, places, name in zip(table, PLACES, ["f2", "f10", "f2_2"], strict=True):
        np.testing.assert_array_equal(record["image1"], dots(places))
        np.testing.assert_allclose(record["points1"], places, atol=1e-3)
        assert record["visible"].all()
        expected = viz.draw_points(dots(places), np.array(places), scale=8)
        found = read_image(out / f"{name}_landmarks.png").astype(int)
        assert found.shape == expected.shape and np.abs(found - expected).max() <= 2
    assert network.seen == [(1, 36, 40, 3)] * 3


def test_what_was_drawn_before_is_no_picture_of_the_object(kcorr, network, folder, tree):
    for _ in range(2):
        result = kcorr("landmarks", folder, folder / "f2.png", "-o", folder, "--model", "mine")
        assert result.status == 0 and ": 3 pictures, " in result.out  # f2.png once
    assert len(tree(folder)) == 3 + 3 + 1
    line = (folder / "landmarks.csv").read_text().splitlines()[1]
    assert line.startswith("f2.png,5,6,20,11,33,30")


def test_one_picture_at_another_size(kcorr, network, folder, tmp_path, tree):
    picture = folder / "f10.png"
    out = tmp_path / "out"
    result = kcorr("landmarks", picture, "-o", out, "--model", "mine", "--size", 72)
    assert result.status == 0 and result.out.startswith(f"{out}: 1 picture, 3 landmarks each")
    assert network.seen == [(1, 72, 80, 3)] and tree(out) == ["f10_landmarks.png", "landmarks.csv"]
    found = PointFolder(out, "landmarks.csv")[0]["points1"]
    np.testing.assert_allclose(found, PLACES[1], atol=0.05)


def test_a_linked_output_folder_leads_back_to_the_pictures(kcorr, network, folder, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    assert kcorr("landmarks", folder, "-o", tmp_path / "link", "--model", "mine").status == 0
    assert len(PointFolder(tmp_path / "link", "landmarks.csv")) == 3


def test_many_pictures_are_computed_compiled(kcorr, network, folder, tmp_path):
    more = [folder / f"g{i}.png" for i in range(2)]
    for path in more:
        write_image(path, dots(PLACES[0]))
    assert kcorr("landmarks", folder, "-o", tmp_path / "out", "--model", "mine").status == 0
    table = PointFolder(tmp_path / "out", "landmarks.csv")
    assert len(table) == 5 and len(network.seen) < 5  # traced, not called
    np.testing.assert_allclose(table[4]["points1"], PLACES[2], atol=1e-3)


@pytest.mark.parametrize(
    ("picture", "options", "said"),
    [
        (None, [], "{path}: no such file or folder"),
        (b"not a picture", [], "{path}: begins with b'not a pi'; expected"),
        (b"", [], "{path}: the file is empty"),
        ("folder", [], "{path}: no picture in this folder; expected some"),
        ((15, 90), [], "{path} is 90x15, and the network does not say at what size it learned; "),
        ((20, 20), ["--size", "15"], "--size is 15; expected a whole number from 16"),
        ((20, 20), ["--size", "0.5"], "argument --size: invalid int value: '0.5'"),
        ((20, 20), ["--network", "landmarks"], "--network is for a .weights.h5 file; got the mo"),
        ((20, 20), ["-o", "/dev/null/out"], "/dev/null/out: /dev/null is a file; expected a fold"),
    ],
)
def test_bad_input(refused, network, folder, tmp_path, picture, options, said):
    path = folder / "x.png"
    if isinstance(picture, bytes):
        path.write_bytes(picture)
    elif picture == "folder":
        path.mkdir()
    elif picture:
        write_image(path, np.zeros((*picture, 3), np.uint8))
    out = tmp_path / "out"
    line = refused("landmarks", folder / "f2.png", path, "-o", out, "--model", "mine", *options)
    assert line.startswith(f"kcorr landmarks: {said.format(path=path)}")
    assert not out.exists() and network.seen == []


def test_a_picture_that_breaks_off_leaves_nothing_written(refused, network, folder, tmp_path):
    data = (folder / "f10.png").read_bytes()
    (folder / "f10.png").write_bytes(data[: len(data) // 2])
    line = refused("landmarks", folder, "-o", tmp_path / "out", "--model", "mine")
    assert line.startswith(f"kcorr landmarks: {folder / 'f10.png'}: truncated")
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_kind_or_none(refused, folder, tmp_path):
    from kcorr.models import build

    build("object_frame", widths=(4, 4, 4, 4, 4)).save(tmp_path / "labels.keras")
    (tmp_path / "broken.keras").write_bytes(b"PK")
    lines = {
        "labels.keras": "{path}: gives labels; expected a network of landmarks such as",
        "broken.keras": "{path}: damaged, or not a .keras file",
        "none.keras": (
            "{path}: no such file; expected ddflow or ddflow_zoom or matching (shipped), a .keras "
            "file"
        ),
    }
    for name, said in lines.items():
        path = tmp_path / name
        line = refused("landmarks", folder, "-o", tmp_path / "out", "--model", path)
        assert line.startswith(f"kcorr landmarks: {said.format(path=path)}")
    line = refused("landmarks", folder, "-o", tmp_path / "out", "--model", "ddflow")
    assert line.startswith("kcorr landmarks: ddflow: gives flow; expected a network of land")
    line = refused("landmarks", folder, "-o", tmp_path / "out")
    assert line.startswith("kcorr landmarks: the following arguments are required: --model")
    flow = refused("stereo", *[folder / "f2.png"] * 2, "--model", tmp_path / "labels.keras")
    assert "labels.keras: gives labels; expected a flow network such as ddflow" in flow
    assert not (tmp_path / "out").exists()


def test_out_of_memory_is_one_line(refused, network, folder, tmp_path, monkeypatch):
    def starve(self, *args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(PlantedLandmarks, "__call__", starve)
    line = refused("landmarks", folder, "-o", tmp_path / "out", "--model", "mine")
    assert line.endswith("not enough memory for pictures of this size; --size N needs less")
    assert not (tmp_path / "out").exists()
