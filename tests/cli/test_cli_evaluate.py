"""`kcorr evaluate`: numbers that were worked out by hand."""

import json

import numpy as np
import pytest

from kcorr.io import write_disparity, write_flow, write_image


@pytest.fixture
def two(tmp_path):
    """Folders truth and result, pictures a (2x4, EPE 1) and sub/b (4x4).

    In b, 4 of 8 known pixels are wrong by 5 px, of those 3 are hidden in the other frame.
    """
    truth, result = tmp_path / "truth", tmp_path / "result"
    for folder in (truth, result):
        (folder / "sub").mkdir(parents=True)
    write_flow(truth / "a.flo", np.full((2, 4, 2), 10.0))
    write_flow(result / "a.npy", np.full((2, 4, 2), [11.0, 10.0]))
    flow, valid = np.zeros((4, 4, 2)), np.zeros((4, 4, 1))
    valid[:2] = 1
    write_flow(truth / "sub" / "b.png", flow, valid)
    wrong = flow.copy()
    wrong[0] = (3, 4)
    wrong[2:] = 99  # does not count
    write_flow(result / "sub" / "b.flo", wrong)
    hidden = np.zeros((4, 4), np.uint8)
    hidden[0, :3] = 255
    (tmp_path / "hidden" / "sub").mkdir(parents=True)
    write_image(tmp_path / "hidden" / "a.png", np.zeros((2, 4), np.uint8))
    write_image(tmp_path / "hidden" / "sub" / "b.png", hidden)
    return tmp_path


def _rows(text):
    """{first column: numbers} of a printed table."""
    rows = {}
    for line in text.splitlines():
        name, *cells = line.split("  ")
        cells = [cell.strip() for cell in cells if cell.strip()]
        rows[name] = [None if cell == "-" else cell for cell in cells]
    return rows


def test_two_files(kcorr, two):
    result = kcorr("evaluate", two / "result" / "sub" / "b.flo", two / "truth" / "sub" / "b.png")
    assert (result.status, result.err) == (0, "")
    rows = _rows(result.out)
    assert rows["picture"] == ["EPE all", "Fl all %"]
    assert rows["b"] == ["2.500", "50.000"]
    assert "1 picture, 8 pixels with ground truth" in rows


def test_folders_by_name_with_both_averages(kcorr, two):
    result = kcorr("evaluate", two / "result", two / "truth", "--occlusion", two / "hidden")
    assert (result.status, result.err) == (0, "")
    rows = _rows(result.out)
    names = [f"{what} {where}" for what in ("EPE", "Fl") for where in ("all", "noc", "occ")]
    assert rows["picture"] == [name + " %" * name.startswith("Fl") for name in names]
    assert rows["a"] == ["1.000", "1.000", None, "0.000", "0.000", None]
    assert rows["sub/b"] == ["2.500", "1.000", "5.000", "50.000", "20.000", "100.000"]
    assert rows["mean of pictures"] == ["1.750", "1.000", "5.000", "25.000", "10.000", "100.000"]
    # 8 pixels of 1 px; 5 pixels of which one has 5 px; 3 pixels of 5 px.
    assert rows["all pixels"] == ["1.750", "1.000", "5.000", "25.000", "7.692", "100.000"]


def test_noc_is_the_other_way_to_say_hidden(kcorr, two):
    truth = two / "truth" / "sub" / "b.png"
    visible = np.zeros((4, 4, 1))
    visible[:2] = 1
    visible[0, :3] = 0
    write_flow(two / "noc.png", np.zeros((4, 4, 2)), visible)
    result = kcorr("evaluate", two / "result/sub/b.flo", truth, "--noc", two / "noc.png")
    assert _rows(result.out)["b"] == ["2.500", "1.000", "5.000", "50.000", "20.000", "100.000"]


def test_json_holds_everything(kcorr, two):
    path = two / "result.json"
    options = ["--occlusion", two / "hidden", "--json", path]
    assert kcorr("evaluate", two / "result", two / "truth", *options).status == 0
    content = json.loads(path.read_text())
    assert content["kind"] == "flow"
    assert [image["name"] for image in content["images"]] == ["a", "sub/b"]
    assert content["images"][1]["epe_occ"] == 5
    assert content["images"][0]["epe_occ"] is None
    assert content["result"]["fl_noc_per_pixel"] == pytest.approx(100 / 13)
    assert content["result"]["images"] == 2


def test_a_hole_in_the_prediction_is_an_infinite_error(kcorr, tmp_path):
    write_flow(tmp_path / "truth.flo", np.zeros((2, 2, 2)))
    valid = np.ones((2, 2, 1))
    valid[0, 0] = 0
    write_flow(tmp_path / "result.png", np.zeros((2, 2, 2)), valid)
    path = tmp_path / "result.json"
    result = kcorr("evaluate", tmp_path / "result.png", tmp_path / "truth.flo", "--json", path)
    assert _rows(result.out)["truth"] == ["inf", "25.000"]
    assert "1 of them without a prediction: an infinite error each" in result.out
    assert json.loads(path.read_text())["result"]["epe_all"] == "inf"


def test_disparity(kcorr, tmp_path):
    truth = np.full((2, 5), 100.0)
    truth[0, 0] = np.nan  # unknown
    result = np.full((2, 5), 100.0)
    result[1] = 104.5  # more than 3 px, less than 5 %
    result[0, 1] = 94.0
    write_disparity(tmp_path / "truth.pfm", truth)
    write_disparity(tmp_path / "result.png", result)
    said = kcorr("evaluate", tmp_path / "result.png", tmp_path / "truth.pfm", "--disparity")
    assert (said.status, said.err) == (0, "")
    rows = _rows(said.out)
    assert rows["picture"] == ["EPE all", "D1 all %"]
    assert rows["truth"] == [f"{(5 * 4.5 + 6) / 9:.3f}", f"{100 / 9:.3f}"]


def test_predicted_occlusion_is_scored(kcorr, two):
    said = np.zeros((4, 4), np.uint8)
    said[0, 1:] = 1  # two hits, one false alarm, one miss
    said[3] = 1  # does not count
    write_image(two / "said.png", said)
    options = ["--occlusion", two / "hidden/sub/b.png", "--predicted-occlusion", two / "said.png"]
    result = kcorr("evaluate", two / "result/sub/b.flo", two / "truth/sub/b.png", *options)
    assert "occlusion F 0.6667" in result.out.splitlines()


def test_a_name_with_several_suffixes_prefers_that_of_the_truth(kcorr, tmp_path):
    for folder, name, value in (("t", "a.pfm", 0), ("r", "a.flo", 7), ("r", "a.pfm", 1)):
        (tmp_path / folder).mkdir(exist_ok=True)
        write_flow(tmp_path / folder / name, np.full((2, 2, 2), [value, 0.0]))
    assert _rows(kcorr("evaluate", tmp_path / "r", tmp_path / "t").out)["a"][0] == "1.000"


def test_what_is_refused(refused, two):
    write_flow(two / "small.flo", np.zeros((2, 2, 2)))
    write_image(two / "picture.png", np.zeros((2, 4, 3), np.uint8))
    (two / "empty").mkdir()
    truth, result = "truth/a.flo", "result/a.npy"
    cases = {
        ("none.flo", truth): "none.flo: no such file or folder",
        (result, "none.flo"): "none.flo: no such file or folder",
        ("small.flo", truth): f"small.flo is 2x2; expected 4x2 like {two}/truth/a.flo",
        ("result", truth): f"truth/a.flo is a file and {two}/result is a folder; expected two",
        ("picture.png", truth): "picture.png: is an 8-bit RGB PNG; expected 16-bit RGB: KITTI",
        (
            "empty",
            "truth",
        ): f"empty/a: no prediction for {two}/truth/a.flo (and 1 more",
        ("result", "empty"): "empty: holds no file to read; expected .flo .npy .pfm .png",
        (result, truth, "--occlusion", two / "small.flo"): "small.flo: begins with b'PIEH",
        (result, truth, "--occlusion", two / "hidden/sub/b.png"): "hidden/sub/b.png is 4x4; expec",
        (result, truth, "--json", two / "none/x.json"): "none/x.json: the folder",
        (result, truth, "--json", two / "empty"): "empty: is a folder; expected a file for the",
    }
    for (prediction, target, *options), said in cases.items():
        line = refused("evaluate", two / prediction, two / target, *options)
        assert line.startswith(f"kcorr evaluate: {two}/{said}"), line
    both = ["--noc", two / truth, "--occlusion", two / "picture.png"]
    line = refused("evaluate", two / result, two / truth, *both)
    assert line.endswith("--occlusion and --noc say the same thing; expected one of them")
    line = refused("evaluate", two / result, two / truth, "--predicted-occlusion", "x")
    assert line.endswith("needs the truth: expected --occlusion or --noc")
