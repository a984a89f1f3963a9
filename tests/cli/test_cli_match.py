"""`kcorr match A B`: what is written, and what is refused."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kcorr import viz
from kcorr.io import read_flow, read_image, read_matches, write_image
from kcorr.models import DeepMatching, interpolate_matches, predict_matches

SHIFT = (5, -3)  # what moved from A to B
FAST = ("--radius", 8)


@pytest.fixture(autouse=True, scope="module")
def started():
    keras.ops.zeros(1)  # what TensorFlow says when it looks for devices is said now


@pytest.fixture
def pair(tmp_path):
    """a.png and b.png of 64x48: blurred noise, moved by `SHIFT`."""
    noise = np.random.default_rng(0).uniform(0, 1, (70, 90, 3))
    for axis in (0, 1):
        noise = sum(np.roll(noise, k, axis) for k in range(3)) / 3
    noise = np.uint8(255 * (noise - noise.min()) / np.ptp(noise))
    x, y = SHIFT
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    write_image(paths[0], noise[10:58, 10:74])
    write_image(paths[1], noise[10 - y : 58 - y, 10 - x : 74 - x])
    return paths


@pytest.fixture
def images(pair):
    return [read_image(path) for path in pair]


@pytest.fixture
def saved(tmp_path):
    """A small .keras network that learns."""
    keras.utils.set_random_seed(0)
    network = DeepMatching("small", radius=4, levels=1)
    network.build()
    network.exponents.assign([1.1])
    network.save(tmp_path / "mine.keras")
    return tmp_path / "mine.keras"


def hog(radius, **options):
    network = DeepMatching("hog", radius, **options)
    network.build()
    return network


def test_matches_and_their_picture(kcorr, pair, images, tmp_path, tree):
    out = tmp_path / "new" / "found.txt"
    result = kcorr("match", *pair, "-o", out, *FAST)
    assert (result.status, result.err) == (0, "")
    assert tree(out.parent) == ["found.png", "found.txt"]
    matches = read_matches(out)
    np.testing.assert_array_equal(matches, predict_matches(hog(8), *images))
    motion = matches[:, 2:4] - matches[:, :2]
    # What left the picture is matched with what is nearest to it.
    assert len(matches) > 35 and np.mean(np.abs(motion - SHIFT).max(axis=1) <= 1) > 0.85
    drawn = viz.match_sheet(*images, matches)
    np.testing.assert_array_equal(read_image(out.with_suffix(".png")), drawn)
    length = np.hypot(*motion.T)
    assert result.out.startswith(
        f"{out}: 64x48, {len(matches)} matches, motion {np.median(length):.2f} px (median), "
        f"{length.max():.1f} (largest), "
    )


@pytest.mark.parametrize("method", ["affine", "average"])
def test_dense_flow(kcorr, pair, images, tmp_path, tree, method):
    dense = ["--dense"] if method == "affine" else ["--dense", method]
    out = tmp_path / "out" / "m.txt"
    result = kcorr("match", *pair, "-o", out, *FAST, *dense)
    assert (result.status, result.err) == (0, "")
    assert tree(out.parent) == ["m.flo", "m.png", "m.txt", "m_flow.png"]
    flow = interpolate_matches(read_matches(out), images[0], method=method)
    np.testing.assert_allclose(read_flow(out.with_suffix(".flo"))[0], flow, atol=1e-3)
    assert read_image(out.with_name("m_flow.png")).shape == (48, 64, 3)
    assert np.median(np.abs(flow - SHIFT)) < 1.5
    sheet = viz.match_sheet(*images, read_matches(out))
    assert read_image(out.with_suffix(".png")).size > sheet.size


def test_refined_flow(kcorr, pair, tmp_path):
    pytest.importorskip("cv2")
    flows = []
    for more in ([], ["--refine"]):
        assert kcorr("match", *pair, "-o", tmp_path / "m", *FAST, "--dense", *more).status == 0
        flows.append(read_flow(tmp_path / "m.flo")[0])
    far = [np.mean(np.abs(flow - SHIFT)[8:40, 8:50]) for flow in flows]
    assert far[1] < 0.8 * far[0]


def test_the_cell_and_the_other_descriptor(kcorr, pair, images, tmp_path):
    out, many = tmp_path / "m.txt", {}
    for name, options, network in (
        ("binned", [], hog(8)),
        ("exact", ["--exact"], hog(8, cell=1)),
        ("wide", ["--cell", 16], hog(8, cell=16)),
    ):
        assert kcorr("match", *pair, "-o", out, *FAST, *options).status == 0
        np.testing.assert_array_equal(read_matches(out), predict_matches(network, *images))
        many[name] = len(read_matches(out))
    assert many["wide"] < many["binned"] <= many["exact"]
    assert kcorr("match", *pair, "-o", out, *FAST, "--model", "hog_gpu").status == 0
    other = DeepMatching("hog_gpu", 8)
    np.testing.assert_array_equal(read_matches(out), predict_matches(other, *images))


def test_a_network_of_ones_own_and_another_radius(kcorr, saved, pair, images, tmp_path):
    out = tmp_path / "m.txt"
    assert kcorr("match", *pair, "-o", out, "--model", saved).status == 0
    network = keras.models.load_model(saved)
    found = read_matches(out)
    np.testing.assert_array_equal(found, predict_matches(network, *images))
    assert np.abs(found[:, 2:4] - found[:, :2]).max() <= 4
    assert kcorr("match", *pair, "-o", out, "--model", saved, "--radius", 6).status == 0
    assert np.abs(np.median(read_matches(out)[:, 2:4] - read_matches(out)[:, :2], 0)).max() > 4


def test_shrunk_pictures_give_matches_of_full_size(kcorr, pair, tmp_path):
    out = tmp_path / "m.txt"
    assert kcorr("match", *pair, "-o", out, *FAST, "--max-side", 32).status == 0
    matches = read_matches(out)
    assert matches[:, 0].max() > 40 and np.ptp(matches[:, 1]) > 24
    # Half the size: points are 16 pixels apart.
    assert set(np.diff(np.unique(matches[:, 0]))) <= {16, 32}


def test_pictures_without_texture(kcorr, refused, pair, tmp_path, tree):
    blank = tmp_path / "blank.png"
    write_image(blank, np.full((48, 64, 3), 90, np.uint8))
    out = tmp_path / "out" / "m.txt"
    line = refused("match", blank, blank, "-o", out, "--radius", 16, "--dense")
    said = f"{blank} and {blank} have no matches to make dense flow of; expected pictures with"
    assert line.startswith(f"kcorr match: {said}") and not out.parent.exists()
    result = kcorr("match", blank, blank, "-o", out, "--radius", 16)
    assert (result.status, result.err) == (0, "")
    assert f"{out}: 64x48, no matches (is there texture in both pictures?), " in result.out
    assert tree(out.parent) == ["m.png", "m.txt"] and out.read_bytes() == b""
    # At the corners, or with something in one of them, there may be a few.
    for first in (blank, pair[0]):
        assert kcorr("match", first, blank, "-o", out, *FAST).status == 0
        assert len(read_matches(out)) < 12


@pytest.mark.parametrize("kind", ["alpha", "deep", "grey"])
def test_pictures_of_other_kinds_are_read(kcorr, pair, images, tmp_path, kind):
    second = {
        "alpha": np.dstack([images[1], np.full((48, 64), 9, np.uint8)]),
        "deep": images[1].astype(np.uint16) * 257,
        "grey": images[1][..., :1],
    }[kind]
    write_image(pair[1], second)
    out = tmp_path / "m.txt"
    result = kcorr("match", *pair, "-o", out, *FAST)
    assert (result.status, result.err) == (0, "")
    assert len(read_matches(out)) > 10
    if kind == "deep":
        np.testing.assert_array_equal(read_matches(out), predict_matches(hog(8), *images))


@pytest.mark.parametrize(
    ("size", "options", "said"),
    [
        ((1, 1), [], "{a} and {b}: the pictures are 1x1, too small for patches to match; expected"),
        ((15, 40), [], "{a} and {b}: the pictures are 40x15, too small for patches to match"),
        ((40, 80), ["--max-side", 20], "{a} and {b}: the pictures are seen at 20x10, too small"),
        ((40, 80), ["--max-side", 15], "--max-side is 15; expected a whole number from 16"),
        ((40, 80), ["--radius", 0], "--radius is 0; expected a whole number from 1"),
        ((40, 80), ["--radius", 7], "--radius: radius is 7, expected a multiple of 2 from 2"),
        (
            (40, 80),
            ["--radius", 82],
            "--radius is 82; expected at most 80 for pictures seen at 80x40",
        ),
        ((40, 80), ["--radius", "wide"], "argument --radius: invalid int value: 'wide'"),
        ((40, 80), ["--cell", -1], "--cell is -1; expected a whole number from 1"),
        ((40, 80), ["--cell", 4, "--exact"], "argument --exact: not allowed with argument --cell"),
        ((40, 80), ["--dense", "cubic"], "argument --dense: invalid choice: 'cubic'"),
        ((40, 80), ["--refine"], "--refine is for the flow of --dense; expected both"),
        ((40, 80), ["--model", "ddflow"], "ddflow: gives flow; expected a network of matches such"),
        ((40, 80), ["--network", "vgg"], "--network is for a .weights.h5 file; got the model hog"),
    ],
)
def test_bad_sizes_and_options(refused, texture, tmp_path, size, options, said):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        write_image(path, texture(0, *size))
    line = refused("match", *paths, "-o", tmp_path / "out" / "m.txt", *options)
    said = said.format(a=paths[0], b=paths[1])
    assert line.startswith(f"kcorr match: {said}") and not (tmp_path / "out").exists()


def test_more_memory_than_there_is(refused, pair, tmp_path, monkeypatch):
    monkeypatch.setattr("kcorr.models.match_memory.available_bytes", lambda: 1000)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0"])
    line = refused("match", *pair, "-o", tmp_path / "out" / "m.txt", *FAST)
    a, b = pair
    assert line == (
        f"kcorr match: {a} and {b}: matching at 64x48 with radius 8 needs 0.0 GiB of memory or "
        "more, 0.0 GiB are available; expected a smaller --max-side or --radius"
    )
    assert not (tmp_path / "out").exists()


def test_bad_outputs(refused, pair, tmp_path, tree):
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "m.flo").mkdir()
    before = {name: (tmp_path / name).read_bytes() for name in tree(tmp_path)}
    for name, options, said in (
        ("taken/m.txt", [], "is a file; expected a folder for the output"),
        ("m.flo", [], "beside them; expected a name such as matches.txt"),
        ("m.PNG", [], "beside them; expected a name such as matches.txt"),
        ("m.txt", ["--dense"], "m.flo: is a folder; expected a file for the output"),
        (".", [], "is a folder; expected a file for the output"),
        ("a.txt", [], "a.png: is an input; expected another name for the output"),
    ):
        line = refused("match", *pair, "-o", tmp_path / name, *FAST, *options)
        assert line.endswith(said), line
    assert {name: (tmp_path / name).read_bytes() for name in tree(tmp_path)} == before
    line = refused("match", *pair, "-o", "/proc/kcorr/m.txt", *FAST)
    assert line.startswith("kcorr match: /proc/kcorr: this folder cannot be created")


@pytest.mark.parametrize("name", [".", "./", "..", "/", "new/..", "sub", "sub/"])
def test_a_folder_for_the_matches(refused, pair, tmp_path, tree, monkeypatch, name):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    (tmp_path / "sub" / "sub").mkdir()
    line = refused("match", *pair, "-o", name, *FAST, "--dense")
    assert line == f"kcorr match: {Path(name)}: is a folder; expected a file for the output"
    assert tree(tmp_path) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        ("scipy", ["--dense"], "--dense needs scipy: pip install 'kcorr[matching]'"),
        ("skimage", ["--dense"], "--dense needs scikit-image: pip install 'kcorr[matching]'"),
        ("cv2", ["--dense", "--refine"], "--refine needs OpenCV: pip install 'kcorr[matching]'"),
    ],
)
def test_packages_that_are_missing(
    kcorr, refused, pair, tmp_path, monkeypatch, module, options, said
):
    monkeypatch.setitem(sys.modules, module, None)
    line = refused("match", *pair, "-o", tmp_path / "m.txt", *options)
    assert line == f"kcorr match: {said}" and not (tmp_path / "m.txt").exists()
    if module == "scipy":  # matches alone do without
        assert kcorr("match", *pair, "-o", tmp_path / "m.txt", *FAST).status == 0
