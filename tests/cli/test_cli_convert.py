"""`kcorr convert`."""

import numpy as np
import pytest

from kcorr.io import read_disparity, read_flow, write_disparity, write_flow, write_image


@pytest.fixture
def flow():
    """Multiples of 1/64 pixel, which every format holds; one pixel is unknown."""
    values = np.random.default_rng(0).integers(-500, 500, (6, 9, 2)).astype(np.float32) / 64
    valid = np.ones((6, 9, 1), np.float32)
    valid[2, 3] = 0
    return np.where(valid > 0, values, 0), valid


@pytest.mark.parametrize("second", ["flo", "png", "pfm", "npy"])
@pytest.mark.parametrize("first", ["flo", "png", "pfm", "npy"])
def test_flow_from_every_format_to_every_other(kcorr, flow, tmp_path, first, second):
    source, target = tmp_path / f"a.{first}", tmp_path / f"b.{second}"
    write_flow(source, *flow)
    result = kcorr("convert", source, target)
    assert (result.status, result.err) == (0, "")
    assert result.out == f"{target}: flow 9x6, 98.1 % known\n"
    for values, expected in zip(read_flow(target), flow, strict=True):
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("second", ["png", "pfm", "npy"])
@pytest.mark.parametrize("first", ["png", "pfm", "npy"])
def test_disparity_is_recognised(kcorr, flow, tmp_path, first, second):
    disparity, valid = np.abs(flow[0][..., :1]) + flow[1], flow[1]
    source, target = tmp_path / f"a.{first}", tmp_path / f"b.{second}"
    write_disparity(source, disparity, valid)
    result = kcorr("convert", source, target)
    assert result.out == f"{target}: disparity 9x6, 98.1 % known\n"
    for values, expected in zip(read_disparity(target), (disparity, valid), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_a_folder_keeps_its_shape(kcorr, flow, tmp_path, tree):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a.flo", "deep/b.png", "deep/c.pfm"):
        write_flow(tmp_path / "in" / name, *flow)
    (tmp_path / "in" / "notes.txt").write_text("not a flow")
    out = tmp_path / "new" / "out"
    result = kcorr("convert", tmp_path / "in", out, "--to", "npy")
    assert (result.status, result.out) == (0, f"{out}: 3 files converted to .npy\n")
    assert tree(out) == ["a.npy", "deep/b.npy", "deep/c.npy"]
    np.testing.assert_array_equal(read_flow(out / "deep" / "b.npy")[0], flow[0])


def test_values_beyond_the_range_need_clip(kcorr, refused, tmp_path):
    source, target = tmp_path / "a.flo", tmp_path / "b.png"
    write_flow(source, np.full((2, 2, 2), 900.0))
    line = refused("convert", source, target)
    assert line == (
        f"kcorr convert: {target}: the flow reaches 900 pixels; expected values in "
        "[-512, 511.984] for a 16-bit PNG (--clip writes the nearest ones)"
    )
    assert not target.exists()
    assert kcorr("convert", source, target, "--clip").status == 0
    assert (read_flow(target)[0] == 511.984375).all()


def test_a_bad_file_in_a_folder_is_named_and_no_other_is_harmed(refused, flow, tmp_path, tree):
    (tmp_path / "in").mkdir()
    write_flow(tmp_path / "in" / "a.flo", *flow)
    (tmp_path / "in" / "b.flo").write_text("broken")
    out = tmp_path / "out"
    line = refused("convert", tmp_path / "in", out, "--to", "png")
    assert line.startswith(f"kcorr convert: {tmp_path / 'in' / 'b.flo'}: ")
    assert line.endswith("(1 of 2 converted)")
    assert tree(out) == ["a.png"]


def test_what_is_refused(refused, flow, tmp_path):
    write_flow(tmp_path / "a.flo", *flow)
    write_disparity(tmp_path / "d.pfm", np.ones((4, 4)))
    write_image(tmp_path / "picture.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "text.png").write_text("hello")
    folder = tmp_path / "folder"
    folder.mkdir()
    cases = {
        ("none.flo", "x.png"): "none.flo: no such file or folder",
        ("a.flo", "x.jpg"): "x.jpg: the suffix '.jpg' names no flow format; expected one of .flo",
        ("d.pfm", "x.flo"): "x.flo: the suffix '.flo' names no disparity format; expected one of",
        ("picture.png", "x.flo"): "picture.png: is an 8-bit RGB PNG; expected 16-bit RGB: KITTI",
        ("text.png", "x.flo"): "text.png: begins with b'hello'; expected the signature of a PNG",
        ("a.flo", "none/x.png"): "none/x.png: the folder",
        ("folder", "x"): "folder: is a folder; expected --to with one of flo npy pfm png",
        ("a.flo", "folder"): "folder: is a folder; expected a file for the output",
        ("a.flo", "x.png", "--to", "npy"): "x.png: does not end in .npy; --to is for folders",
        ("folder", "x", "--to", "npy"): "folder: holds no file to read; expected .flo .npy .pfm",
        ("a.flo", "x.npy", "--kind", "disparity"): "a.flo: the suffix '.flo' names no disparity",
    }
    before = sorted(tmp_path.rglob("*"))
    for (source, target, *options), said in cases.items():
        line = refused("convert", tmp_path / source, tmp_path / target, *options)
        assert line.startswith(f"kcorr convert: {tmp_path}/{said}"), line
    assert sorted(tmp_path.rglob("*")) == before


def test_one_unknown_pixel_of_many_is_not_rounded_away(kcorr, tmp_path):
    values = np.zeros((100, 100, 2))
    values[3, 4] = np.nan
    np.save(tmp_path / "a.npy", values)
    result = kcorr("convert", tmp_path / "a.npy", tmp_path / "b.flo")
    assert result.out.endswith("flow 100x100, 99.9 % known\n")


def test_two_files_of_one_name_in_a_folder(refused, flow, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.flo", "a.pfm"):
        write_flow(tmp_path / "in" / name, *flow)
    line = refused("convert", tmp_path / "in", tmp_path / "out", "--to", "npy")
    assert line.endswith("a.flo: a.pfm has the same name; expected one file a name")
