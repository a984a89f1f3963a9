"""Pictures with a table of key points, and generated objects written as files."""

import numpy as np
import pytest
from PIL import Image

from kcorr.datasets import (
    DeformableFaces,
    FrameFolder,
    PointFolder,
    Scenes,
    TwoArms,
    write_objects,
)
from kcorr.io import FormatError, read_flow, read_image

TABLE = """image,identity,eye_x,eye_y,eye_visible,tail_x,tail_y
a.png,Tom,3.5,4,1,10,11.25
more/b.png,Ada,1,2,0,,

c.png,Tom,5,6,,7,8
"""


def folder(path, table=TABLE, name="points.csv"):
    (path / "more").mkdir()
    for level, file in enumerate(("a.png", "more/b.png", "c.png")):
        Image.new("RGB", (20, 15), (level, 0, 0)).save(path / file)
    (path / name).write_text(table)
    return path


def test_a_folder_with_a_table(tmp_path):
    source = PointFolder(folder(tmp_path))
    assert source.names == ["a.png", "more/b.png", "c.png"]
    assert source.point_names == ("eye", "tail") and source.identities == ["Ada", "Tom"]
    records = list(source)
    assert [int(one["image1"][0, 0, 0]) for one in records] == [0, 1, 2]
    np.testing.assert_array_equal(records[0]["points1"], [[3.5, 4], [10, 11.25]])
    np.testing.assert_array_equal(records[1]["points1"], [[1, 2], [0, 0]])
    assert [one["visible"][:, 0].tolist() for one in records] == [[1, 1], [0, 0], [1, 1]]
    assert [one["identity"].tolist() for one in records] == [[1], [0], [1]]
    assert all(one["points1"].dtype == one["visible"].dtype == np.float32 for one in records)


def test_a_table_of_another_name_without_identities(tmp_path):
    folder(tmp_path, "image,n_x,n_y\nc.png,1,2\n", "marks.csv")
    for source in (PointFolder(tmp_path, "marks.csv"), PointFolder(tmp_path / "marks.csv")):
        assert source.identities is None and set(source[0]) == {"image1", "points1", "visible"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "the columns are nothing"),
        ("image,eye_x\na.png,3\n", "the columns are image, eye_x; expected"),
        ("image,eye_x,eye_y,nose\n", "the columns are .*nose"),
        ("file,eye_x,eye_y\n", "the columns are file"),
        ("image,eye_x,eye_y\n", "no picture in this table"),
        ("image,eye_x,eye_y\na.png,3\n", "line 2 has 2 cells; expected 3"),
        ("image,eye_x,eye_y\na.png,3,north\n", "line 2: eye is no point"),
        ("image,eye_x,eye_y\na.png,3,nan\n", "line 2: eye is no point"),
        ("image,eye_x,eye_y\n\na.png,3,4\n,\n\nc.png,3\n", "line 6 has 2 cells"),
        (f"image,eye_x,eye_y\na.png,3,{'4' * 200000}\n", "line 2: field larger than field limit"),
        ("image,eye_x,eye_y\na.png,3,4\na.png,5,6\n", "a.png stands there twice"),
    ],
)
def test_tables_that_cannot_be_understood(tmp_path, table, message):
    with pytest.raises(FormatError, match=message) as caught:
        PointFolder(folder(tmp_path, table))
    assert "points.csv" in str(caught.value)


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 3), ("utf-16", 1)])
def test_tables_in_another_encoding(tmp_path, encoding, line):
    folder(tmp_path)
    (tmp_path / "points.csv").write_bytes(TABLE.replace("Ada", "Ånna").encode(encoding))
    with pytest.raises(
        FormatError, match=f"points.csv: line {line} is not text in UTF-8; expected"
    ):
        PointFolder(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"points.csv: no such table\nexpected:\n") as shown:
        PointFolder(tmp_path)
    assert "left_eye_x" in str(shown.value)
    folder(tmp_path, "image,eye_x,eye_y\nz.png,1,2\n")
    with pytest.raises(FileNotFoundError, match=r"z.png of this table not found"):
        PointFolder(tmp_path)


@pytest.mark.parametrize("make", [TwoArms, DeformableFaces])
def test_written_objects_are_read_as_they_were(tmp_path, make):
    source = make((40, 48), sequences=2, frames=3, seed=8)
    table = write_objects(source, tmp_path / "new")
    points = PointFolder(table)
    assert len(points) == 6 and points.point_names == source.point_names
    for index, record in enumerate(points):
        truth = source.pictures[index]
        for key in ("image1", "points1", "visible", "identity"):
            np.testing.assert_array_equal(record[key], truth[key])
    for index, name in enumerate(("00000/0000", "00000/0001", "00001/0000", "00001/0001")):
        flow, valid = read_flow(tmp_path / f"new/flow/{name}.flo")
        np.testing.assert_array_equal(flow, source[index]["flow"])
        assert (valid == 1).all()
        hidden = read_image(tmp_path / f"new/occlusion/{name}.png", channels=1)
        np.testing.assert_array_equal(hidden > 127, source[index]["occlusion"] > 0)
        parts = read_image(tmp_path / f"new/objects/{name}.png", channels=1)
        np.testing.assert_array_equal(parts, source[index]["objects"])
    # The frames are two films.
    assert len(FrameFolder(tmp_path / "new/frames", cut_threshold=None)) == 4


def test_only_objects_with_pairs_within_sequences_are_written(tmp_path):
    for source in (Scenes(length=1), DeformableFaces(sequences=2, across=True)):
        with pytest.raises(ValueError, match="pairs within sequences"):
            write_objects(source, tmp_path)
    assert not any(tmp_path.iterdir())
