"""Submissions: what the writers leave, and that the checker names what is wrong."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from kcorr.datasets import (
    SINTEL_TEST_SCENES,
    SubmissionWriter,
    check_submission,
    official_names,
    submissions,
    wrong_names,
)
from kcorr.io import FormatError, read_disparity, read_flow, write_disparity, write_flow

H, W = 5, 7
NAMES = ["000000_10", "000001_10", "000002_10"]
SINTEL = [f"{dtype}/{scene}/frame_0001" for dtype in ("clean", "final") for scene in ("a", "b")]
BENCHMARKS = {
    ("kitti2015", "flow"): [f"flow/{name}.png" for name in NAMES],
    ("kitti2015", "disparity"): [f"disp_0/{name}.png" for name in NAMES],
    ("kitti2012", "flow"): [f"{name}.png" for name in NAMES],
    ("kitti2012", "disparity"): [f"{name}.png" for name in NAMES],
    ("sintel", "flow"): [f"{name.replace('frame_', 'frame')}.flo" for name in SINTEL],
}


def prediction(task, number=0):
    """Values that 16 bits hold exactly."""
    channels = 2 if task == "flow" else 1
    values = np.arange(H * W * channels, dtype=np.float32).reshape(H, W, channels) / 4 + 1
    return values + number


def write(path, benchmark, task, leave_out=()):
    names = SINTEL if benchmark == "sintel" else NAMES
    with SubmissionWriter(path, benchmark, task, names) as submission:
        for number, name in enumerate(names):
            if name not in leave_out:
                submission.add(name, prediction(task, number), (H, W))
    return names


def target(tmp_path, benchmark):
    return tmp_path / ("sintel" if benchmark == "sintel" else "submission.zip")


# === What a complete one holds ===


def test_the_official_lists():
    for task in ("flow", "disparity"):
        names = official_names("kitti2015", task)
        assert list(names) == [f"{i:06d}_10" for i in range(200)] and set(names.values()) == {None}
        assert list(official_names("kitti2012", task)) == [f"{i:06d}_10" for i in range(195)]
    for benchmark, task in (("sintel", "disparity"), ("kitti2016", "flow")):
        with pytest.raises(ValueError, match=f"no benchmark '{benchmark}' for '{task}'; known are"):
            official_names(benchmark, task)


@pytest.mark.parametrize(("benchmark", "task"), BENCHMARKS)
def test_what_is_written_is_in_the_official_layout_and_reads_back(tmp_path, benchmark, task):
    path = target(tmp_path, benchmark)
    names = write(path, benchmark, task)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]  # nothing temporary is left
    folder = path
    if benchmark != "sintel":
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == BENCHMARKS[benchmark, task]
            folder = tmp_path / "unpacked"
            archive.extractall(folder)
    found = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
    assert found == set(BENCHMARKS[benchmark, task])
    read = read_flow if task == "flow" else read_disparity
    for number, file in enumerate(BENCHMARKS[benchmark, task]):
        values, valid = read(folder / file)
        np.testing.assert_array_equal(values, prediction(task, number))
        assert (valid == 1).all()
    for names_or_sizes in (names, dict.fromkeys(names, (H, W))):
        assert check_submission(path, benchmark, task, names_or_sizes) == len(names)
    assert check_submission(folder, benchmark, task, names) == len(names)


def test_the_same_predictions_are_the_same_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        write(tmp_path / name, "kitti2015", "flow")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_values_that_a_png_cannot_hold_become_the_nearest(tmp_path):
    flow = np.full((H, W, 2), (600, -700), np.float32)
    with SubmissionWriter(tmp_path / "a.zip", "kitti2012", names=["x"]) as submission:
        submission.add("x", flow)
    with SubmissionWriter(tmp_path / "d.zip", "kitti2012", "disparity", ["x"]) as submission:
        submission.add("x", np.full((H, W, 1), -3, np.float32))
    for name in ("a.zip", "d.zip"):
        zipfile.ZipFile(tmp_path / name).extract("x.png", tmp_path / name[0])
    assert (read_flow(tmp_path / "a/x.png")[0] == (511.984375, -512)).all()
    disparity, valid = read_disparity(tmp_path / "d/x.png")
    assert (disparity == 1 / 256).all() and valid.all()  # 0 would say that there is none


def sintel_names(lengths):
    return [
        f"{dtype}/{scene}/frame_{number:04d}"
        for dtype in ("clean", "final")
        for scene, length in lengths.items()
        for number in range(1, length + 1)
    ]


def test_sintels_test_split_by_its_scenes_and_the_number_of_its_pairs():
    """The scenes are known by name, and that they make 552 pairs, not how long each is."""
    assert len(SINTEL_TEST_SCENES) == 12
    lengths = {**dict.fromkeys(SINTEL_TEST_SCENES, 49), "tiger": 552 - 11 * 49}
    names = sintel_names(lengths)
    assert len(names) == 2 * 552 and wrong_names(names, "sintel") is None
    assert set(official_names("sintel", present=names)) == set(names)
    assert set(official_names("sintel", present=names).values()) == {(436, 1024)}
    without = [name for name in names if name != "final/wall/frame_0007"]
    assert wrong_names(without, "sintel") == "missing final/wall/frame_0007"
    # The last frame of one rendering is missing by the other one's, of both by the sum.
    assert wrong_names([n for n in names if n != "clean/wall/frame_0049"], "sintel") == (
        "missing clean/wall/frame_0049"
    )
    short = [name for name in names if not name.endswith("wall/frame_0049")]
    assert wrong_names(short, "sintel").startswith("551 pairs of frames in 12 scenes, expected 552")
    gone = [name for name in names if "/cave_3/" not in name]
    assert wrong_names(gone, "sintel") == (
        "missing clean/cave_3/frame_0001, final/cave_3/frame_0001"
    )
    more = [*names, "clean/alley_1/frame_0001"]
    assert wrong_names(more, "sintel") == "not part of it: clean/alley_1/frame_0001"


def test_a_whole_sintel_submission(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "SINTEL_TEST_PAIRS", 13)
    monkeypatch.setattr(submissions, "_SINTEL_SIZE", (H, W))
    names = sintel_names({**dict.fromkeys(SINTEL_TEST_SCENES, 1), "wall": 2})
    with SubmissionWriter(tmp_path / "sintel", "sintel") as submission:
        for name in names:
            submission.add(name, prediction("flow"))
    assert check_submission(tmp_path / "sintel", "sintel") == 26
    for dtype in ("clean", "final"):
        (tmp_path / f"sintel/{dtype}/wall/frame0002.flo").unlink()
        missing = "12 pairs of" if dtype == "final" else r"missing clean/wall/frame0002\.flo"
        with pytest.raises(FormatError, match=missing):
            check_submission(tmp_path / "sintel", "sintel")
    with (
        pytest.raises(FormatError, match=r"12 pairs of .*; nothing was written"),
        SubmissionWriter(tmp_path / "short", "sintel") as submission,
    ):
        for name in [name for name in names if not name.endswith("0002")]:
            submission.add(name, prediction("flow"))


# === All or nothing ===


@pytest.mark.parametrize(("benchmark", "task"), BENCHMARKS)
def test_an_incomplete_one_is_not_written(tmp_path, benchmark, task):
    path = target(tmp_path, benchmark)
    names = SINTEL if benchmark == "sintel" else NAMES
    with pytest.raises(FormatError, match=f"missing {BENCHMARKS[benchmark, task][1]}; nothing"):
        write(path, benchmark, task, leave_out=names[1:2])
    assert list(tmp_path.iterdir()) == []


def test_an_error_on_the_way_leaves_what_was_there(tmp_path):
    path = tmp_path / "flow.zip"
    path.write_bytes(b"the last one")
    with pytest.raises(KeyboardInterrupt), SubmissionWriter(path, "kitti2015") as submission:
        submission.add("000000_10", prediction("flow"))
        raise KeyboardInterrupt
    assert path.read_bytes() == b"the last one" and len(list(tmp_path.iterdir())) == 1
    write(path, "kitti2015", "flow")
    assert check_submission(path, "kitti2015", "flow", NAMES) == 3


def test_predictions_that_do_not_fit_are_refused_by_name(tmp_path):
    lost = prediction("flow")
    lost[2, 3, 0] = np.nan
    for name, values, size, message in (
        ("000009_10", prediction("flow"), None, r"flow/000009_10\.png: is not part of this"),
        ("000000_10", prediction("flow"), (W, H), r"flow/000000_10\.png: is 7x5; expected 5x7"),
        ("000000_10", prediction("disparity"), None, r"000000_10\.png: the flow has shape"),
        ("000000_10", lost, None, r"^flow/000000_10\.png: the flow is NaN.* at 1 pixels"),
    ):
        with (
            pytest.raises(FormatError, match=message),
            SubmissionWriter(tmp_path / "a.zip", "kitti2015", names=NAMES) as submission,
        ):
            submission.add(name, values, size)
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(FormatError, match=r"frame0001\.flo: is 7x5; expected 1024x436"),
        SubmissionWriter(tmp_path / "sintel", "sintel") as submission,
    ):
        submission.add("clean/tiger/frame_0001", prediction("flow"))


def test_paths_are_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(ValueError, match=r"KITTI takes a \.zip"):
        SubmissionWriter(tmp_path / "flow", "kitti2015")
    (tmp_path / "sintel").mkdir()
    with pytest.raises(FileExistsError, match="sintel: is there already"):
        SubmissionWriter(tmp_path / "sintel", "sintel")
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        SubmissionWriter(tmp_path / "nowhere" / "a.zip", "kitti2015")


# === What the checker says ===


def test_missing_strange_and_doubled_files_are_named(tmp_path):
    path = tmp_path / "flow.zip"
    write(path, "kitti2015", "flow")
    with pytest.raises(FormatError) as caught:
        check_submission(path, "kitti2015")
    shown = ", ".join(f"flow/{i:06d}_10.png" for i in range(3, 8))
    assert str(caught.value) == f"{path}: missing {shown} and 192 more"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._flow", b"")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("flow/000001_10.png", archive.read("flow/000001_10.png"))
    with pytest.raises(FormatError) as caught:
        check_submission(path, "kitti2015", names=NAMES)
    assert str(caught.value) == (
        f"{path}: not part of it: __MACOSX/._flow; there twice: flow/000001_10.png"
    )


def test_files_one_folder_too_deep_are_told(tmp_path):
    source, path = tmp_path / "flow.zip", tmp_path / "deep.zip"
    write(source, "kitti2015", "flow")
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(path, "w") as deep:
        for name in good.namelist():
            deep.writestr(f"results/{name}", good.read(name))
    with pytest.raises(FormatError, match=r"\(it lies in results/, one folder too deep\)"):
        check_submission(path, "kitti2015", names=NAMES)


def _sparse(path):
    valid = np.ones((H, W))
    valid[1, 2:4] = 0
    write_flow(path, prediction("flow"), valid)


def _truncated(path):
    write_flow(path, prediction("flow"))
    path.write_bytes(path.read_bytes()[:60])


MISSHAPEN = {
    "has no value at 2 pixels": _sparse,
    "is 7x4, expected 7x5": lambda path: write_flow(path, prediction("flow")[1:]),
    "is a 16-bit grey PNG": lambda path: write_disparity(path, prediction("disparity")),
    "is an 8-bit RGB PNG": lambda path: Image.new("RGB", (W, H)).save(path),
    "the file is empty": lambda path: path.write_bytes(b""),
    "truncated": _truncated,
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("problem", MISSHAPEN)
def test_misshapen_files_are_named(tmp_path, problem, packed):
    folder = tmp_path / "tree"
    (folder / "flow").mkdir(parents=True)
    for name in NAMES:
        write_flow(folder / f"flow/{name}.png", prediction("flow"))
    MISSHAPEN[problem](folder / "flow/000001_10.png")
    path = folder
    if packed:
        path = tmp_path / "flow.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*.png")):
                archive.write(file, file.relative_to(folder))
    with pytest.raises(FormatError) as caught:
        check_submission(path, "kitti2015", names=dict.fromkeys(NAMES, (H, W)))
    text = str(caught.value)
    assert text.startswith(f"{path}: flow/000001_10.png ") and problem in text
    assert "000000_10" not in text and "000002_10" not in text and "\n" not in text


def test_a_flo_with_unknown_values_is_misshapen(tmp_path):
    write(tmp_path / "sintel", "sintel", "flow")
    flow = prediction("flow")
    flow[0, 0] = np.nan
    write_flow(tmp_path / "sintel/final/b/frame0001.flo", flow)
    with pytest.raises(FormatError, match=r"final/b/frame0001\.flo has no value at 1 pixels"):
        check_submission(tmp_path / "sintel", "sintel", names=SINTEL)


def test_damaged_zips(tmp_path):
    path = tmp_path / "flow.zip"
    write(path, "kitti2015", "flow")
    data = bytearray(path.read_bytes())
    data[data.find(b"IDAT") + 8] ^= 255  # the zip's own checksum tells
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"flow/000000_10\.png cannot be unpacked \(Bad CRC"):
        check_submission(path, "kitti2015", names=NAMES)
    path.write_bytes(b"no zip")
    with pytest.raises(FormatError, match="is no zip file"):
        check_submission(path, "kitti2015", names=NAMES)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        check_submission(tmp_path / "none.zip", "kitti2015")
