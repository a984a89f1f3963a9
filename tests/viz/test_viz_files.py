"""Contact sheets, flickers and videos."""

import builtins
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from kcorr import viz

RED, BLUE = (np.full((40, 60, 3), c, np.uint8) for c in ((200, 20, 20), (20, 20, 200)))


def holds(sheet, color):
    return (sheet == np.array(color)).all(-1)


def test_sheet_shows_every_picture_whole_and_in_order():
    sheet = viz.side_by_side([("first", RED), ("second", BLUE)], cell=60)
    for color in ((200, 20, 20), (20, 20, 200)):
        assert holds(sheet, color).sum() == 40 * 60
    assert (
        holds(sheet, (200, 20, 20)).nonzero()[1].max()
        < holds(sheet, (20, 20, 200)).nonzero()[1].min()
    )
    stacked = viz.side_by_side([("first", RED), ("second", BLUE)], columns=1, cell=60)
    assert stacked.shape[0] > sheet.shape[0] and stacked.shape[1] < sheet.shape[1]


def test_titles_are_written_above_and_cut_to_their_cell():
    sheet = viz.side_by_side([("W" * 300, RED), ("", BLUE)], cell=200)
    top = holds(sheet, (200, 20, 20)).nonzero()[0].min()
    bright = (sheet[:top] > 150).all(-1)
    columns = bright.nonzero()[1]
    assert bright.sum() > 100
    assert columns.max() < sheet.shape[1] // 2, "a long title stays out of the next cell"


def test_small_pictures_are_enlarged_pixel_by_pixel_and_large_ones_shrunk():
    dots = np.zeros((2, 3, 3), np.uint8)
    dots[0, 1] = (10, 250, 10)
    sheet = viz.side_by_side([("dots", dots)], cell=90)
    assert holds(sheet, (10, 250, 10)).sum() == 30 * 30
    large = viz.side_by_side([("large", np.full((500, 800), 77, np.uint8))], cell=80)
    assert holds(large, (77, 77, 77)).sum() == 80 * 50
    for shape in ((1, 1), (1, 900), (900, 1)):
        assert viz.side_by_side([("odd", np.zeros(shape))], cell=50).size


def test_sheets_of_many_are_about_square():
    sheet = viz.side_by_side([(str(i), RED) for i in range(9)], cell=60)
    assert holds(sheet, (200, 20, 20)).sum() == 9 * 40 * 60
    assert 0.4 < sheet.shape[0] / sheet.shape[1] < 1.5


def test_sheet_refuses_what_is_no_pair():
    for pictures, message in [
        ([], "no pictures"),
        ([RED], "picture 0 is not a pair"),
        ([("a", RED), (RED, "b")], "picture 1 is not a pair"),
        ([("a", np.zeros((3, 3, 2)))], "picture 0 .'a'. has shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            viz.side_by_side(pictures)
    with pytest.raises(ValueError, match="smaller cell"):
        viz.side_by_side([(str(i), RED) for i in range(4)], cell=20000)
    with pytest.raises(ValueError, match="columns"):
        viz.side_by_side([("a", RED)], columns=0)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_flicker_holds_both_frames_and_runs_for_ever(tmp_path, suffix):
    path = tmp_path / f"flicker.{suffix}"
    viz.flicker([RED, BLUE / 255.0], path, duration=0.25)
    with Image.open(path) as image:
        frames = [np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(image)]
        assert image.info.get("loop") == 0
        assert len(frames) == 2
    for frame, truth in zip(frames, (RED, BLUE), strict=True):
        assert frame.shape == truth.shape
        assert np.abs(frame - truth).max() <= 6
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no temporary file stays"


def test_flicker_refuses_bad_input_and_leaves_no_file(tmp_path):
    for images, name, message in [
        ([], "a.gif", "no images"),
        ([RED, BLUE[1:]], "a.gif", "image 1 is 39x60"),
        ([RED], "a.jpg", "expected a name that ends in"),
    ]:
        with pytest.raises(ValueError, match=message):
            viz.flicker(images, tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"missing does not exist"):
        viz.flicker([RED], tmp_path / "missing" / "a.gif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shape", "suffix"), [((48, 64), "mp4"), ((33, 47), "mp4"), ((1, 1), "mkv")]
)
def test_video_has_every_frame_in_its_colours(tmp_path, shape, suffix):
    path = tmp_path / f"flow.{suffix}"
    turns = np.array([(30, 0), (0, 30), (-30, 0), (0, -30), (0, 0), (15, 15), (9, 0)])
    pictures = [viz.flow_to_color(np.broadcast_to(t, (*shape, 2)), 30) for t in turns]
    with viz.video_writer(path, 12.5) as video:
        for picture in pictures:
            assert not path.exists(), "the file appears when it is complete"
            video.write(picture)
        assert video.count == len(pictures)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(12.5)
        frames = [f.to_ndarray(format="rgb24").astype(int) for f in container.decode(stream)]
    assert len(frames) == len(pictures)
    h, w = shape
    for frame, picture in zip(frames, pictures, strict=True):
        assert frame.shape == (h + h % 2, w + w % 2, 3)
        assert np.abs(frame[:h, :w] - picture).max() <= 12
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_failed_video_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "flow.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="stop"), viz.video_writer(path, 10) as video:
        video.write(RED)
        raise RuntimeError("stop")
    with (
        pytest.raises(ValueError, match=r"frame 1 of flow\.mp4 is 39x60"),
        viz.video_writer(path, 10) as video,
    ):
        video.write(RED)
        video.write(RED[1:])
    with pytest.raises(ValueError, match="no frame was written"), viz.video_writer(path, 10):
        pass
    for name, fps, message in [
        ("flow.txt", 10, "expected a name"),
        ("flow.mp4", 0, "fps is 0"),
        ("flow.mp4", 1e-9, "0.001 to 1000"),
        ("flow.mp4", 1e9, "0.001 to 1000"),
    ]:
        with pytest.raises(ValueError, match=message), viz.video_writer(tmp_path / name, fps):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["flow.mp4"]
    assert path.read_bytes() == b"old"


def test_missing_pyav_is_one_clear_line(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_av(name, *rest, **more):
        if name == "av":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with (
        pytest.raises(ImportError, match=r"needs PyAV: pip install 'kcorr\[video\]'"),
        viz.video_writer(tmp_path / "flow.mp4"),
    ):
        pass


def test_importing_the_pictures_imports_nothing_heavy():
    code = (
        "import sys, kcorr.viz; heavy = {'tensorflow', 'keras', 'av', 'matplotlib', 'cv2', 'scipy'}"
        "; assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
