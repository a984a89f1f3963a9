"""CelebA, MAFL, AFLW, 300-W, cat heads and ORL on small trees with a bright dot at each point."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from kcorr.datasets import (
    AFLW,
    AFLWRecropped,
    CatHeads,
    CelebA,
    Faces300W,
    ORLFaces,
    crop_square,
)
from kcorr.io import FormatError


def dotted(path, size, points):
    """A black picture with a soft white dot at each point; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[: size[1], : size[0]]
    image = np.zeros((size[1], size[0]))
    for point in points:
        image = np.maximum(image, np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / 4.5))
    Image.fromarray((255 * image).astype(np.uint8)).convert("RGB").save(path, quality=98)


def middles(image, points, radius=4.5):
    """Centres of brightness around points."""
    grey = image[..., 0].astype(float)
    found = []
    for x, y in points:
        rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]]
        weight = grey * (np.hypot(columns - x, rows - y) < radius)
        found.append([(weight * columns).sum(), (weight * rows).sum()] / weight.sum())
    return np.array(found)


def check(record, size, tolerance=0.12):
    """The points of a record lie on its dots, by the coordinate law."""
    assert record["image1"].shape == (size, size, 3) and record["image1"].dtype == np.uint8
    assert record["points1"].dtype == record["visible"].dtype == np.float32
    assert record["visible"].shape == (len(record["points1"]), 1) and record["visible"].all()
    np.testing.assert_allclose(
        middles(record["image1"], record["points1"]), record["points1"], atol=tolerance
    )


# === crops ===


@pytest.mark.parametrize(("corner", "side"), [((3.25, 7.5), 31.5), ((-9.5, -4), 80), ((10, 5), 60)])
def test_points_follow_a_crop_that_may_reach_beyond_the_border(tmp_path, corner, side):
    points = np.array([[21.0, 18], [29, 33]])
    dotted(tmp_path / "a.png", (50, 40), points)
    image = np.asarray(Image.open(tmp_path / "a.png"))
    cut, moved = crop_square(image, corner, side, 96, points)
    wide = 96 / side
    np.testing.assert_allclose(middles(cut, moved, 4.5 * wide), moved, atol=0.12 * max(wide, 1))
    half, papers = crop_square(image, corner, side, 96, points, "corner")
    np.testing.assert_array_equal(half, cut)
    np.testing.assert_allclose(papers - moved, np.full((2, 2), 0.5 - wide / 2), atol=1e-5)
    assert crop_square(image, corner, side, 96)[1] is None


def test_a_whole_crop_copies_pixels():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    cut, moved = crop_square(image, (4, 6), 12, points=[[5, 9]])
    np.testing.assert_array_equal(cut, image[6:18, 4:16])
    np.testing.assert_array_equal(moved, [[1, 3]])
    beyond, _ = crop_square(image, (-2, 15), 8)
    np.testing.assert_array_equal(beyond[:5, 2:], image[15:, :6])
    assert (beyond[5:] == beyond[4]).all() and (beyond[:, 0] == beyond[:, 2]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 0), 0, 5), "side above 0"),
        (((0, 0), 5, 2.5), "whole number"),
        (((0, 0), 5.5), "whole number"),
        (((0, 0), 5, 5, None, "edge"), "scaling must be one of centre, corner"),
        (((1e6, 0), 5), "far outside"),
    ],
)
def test_crops_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        crop_square(np.zeros((10, 10, 3), np.uint8), *arguments)


# === CelebA and MAFL ===

PARTITION = (0, 0, 0, 2, 2, 1, 2)


def face(k):
    return np.array([[69, 109], [106, 113], [87, 132], [73, 152], [108, 154]]) + np.array([k, -k])


@pytest.fixture
def celeba(tmp_path):
    names = [f"{k:06d}.jpg" for k in range(1, 8)]
    for k, name in enumerate(names):
        dotted(tmp_path / "Img/img_align_celeba" / name, (178, 218), face(k))
    for folder in ("Anno", "Eval", "MAFL"):
        (tmp_path / folder).mkdir()
    lines = ["7", "lefteye_x lefteye_y righteye_x ..."]
    lines += [f"{n}  {' '.join(map(str, face(k).ravel()))}" for k, n in enumerate(names)]
    (tmp_path / "Anno/list_landmarks_align_celeba.txt").write_text("\n".join(lines) + "\n")
    parts = [f"{n} {p}" for n, p in zip(names, PARTITION, strict=True)]
    (tmp_path / "Eval/list_eval_partition.txt").write_text("\n".join(parts))
    (tmp_path / "MAFL/training.txt").write_text("000002.jpg\n000007.jpg\n")
    (tmp_path / "MAFL/testing.txt").write_text("000004.jpg\n")
    return tmp_path


def test_celeba_without_mafl_and_mafl(celeba):
    numbers = {
        split: [int(name[:6]) for name in CelebA(celeba, split).names]
        for split in ("train", "validation", "test", "mafl_train", "mafl_test")
    }
    assert numbers == {
        "train": [1, 3],
        "validation": [5],
        "test": [5],
        "mafl_train": [2, 7],
        "mafl_test": [4],
    }


@pytest.mark.parametrize("size", [100, 136])
def test_celeba_points_and_preprocessing(celeba, size):
    source = CelebA(celeba, "train", size)
    for record in source:
        check(record, size)
    truth = (face(2) - [0, 30] + 0.5) * size / 178 - 0.5
    np.testing.assert_allclose(source[1]["points1"], truth, atol=1e-5)
    papers = CelebA(celeba, "train", size, scaling="corner")[1]["points1"]
    np.testing.assert_allclose(papers, (face(2) - [0, 30]) * size / 178, atol=1e-5)
    assert "identity" not in source[0] and source.eyes == (0, 1)
    (celeba / "Anno/identity_CelebA.txt").write_text("000001.jpg 2880\n000003.jpg 5\n")
    assert [one["identity"].tolist() for one in CelebA(celeba)] == [[2880], [5]]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "Anno/list_landmarks_align_celeba.txt",
            "1\nx\n000001.jpg 1 2\n",
            "line 3 is '000001.jpg 1",
        ),
        ("Anno/list_landmarks_align_celeba.txt", "1\nx\n", "has no key points of 000001.jpg"),
        ("Eval/list_eval_partition.txt", "000001.jpg train\n", "a name and 1 numbers"),
        ("MAFL/training.txt", "000001.jpg 3\n", "a name and 0 numbers"),
    ],
)
def test_celeba_lists_that_cannot_be_understood(celeba, file, text, message):
    (celeba / file).write_text(text)
    with pytest.raises(FormatError, match=message):
        CelebA(celeba)


def test_celeba_pictures_of_another_release(celeba):
    dotted(celeba / "Img/img_align_celeba/000001.jpg", (409, 687), [])
    with pytest.raises(FormatError, match="is 409x687; expected 178x218"):
        CelebA(celeba)[0]
    (celeba / "Img/img_align_celeba/000003.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing Img/img_align_celeba/000003.jpg\n"):
        CelebA(celeba)


# === AFLW ===

AFLW_POINTS = np.array([[50, 60], [100, 58], [75, 85], [55, 110], [96, 108]])


@pytest.fixture
def aflw(tmp_path):
    for name in ("cropped/1.jpg", "cropped/2_b.jpg", "cropped/3.jpg"):
        dotted(tmp_path / "aflw_cropped" / name, (150, 150), AFLW_POINTS)
    header = ["image_file", "crop_file", "set", "id", *(f"p{k}" for k in range(10)), "more"]
    rows = [header]
    for name, part in (("cropped/1.jpg", 1), ("cropped/2_b.jpg", 2), ("cropped/3.jpg", 1)):
        rows.append(["i.jpg", name, part, 7, *(AFLW_POINTS + 1).ravel(), "x"])
    text = "\n".join(",".join(map(str, row)) for row in rows)
    (tmp_path / "aflw_cropped/facedata_cropped.csv").write_text(text)
    dotted(tmp_path / "MTFL/AFLW/0001-image20056.jpg", (150, 150), AFLW_POINTS)
    numbers = " ".join(map(str, (AFLW_POINTS + 1).T.ravel()))
    (tmp_path / "MTFL/testing.txt").write_text(f"AFLW\\0001-image20056.jpg {numbers} 1 2 2 3\n\n")
    return tmp_path


def test_aflw(aflw):
    train, test = AFLW(aflw), AFLW(aflw, "test", 150)
    assert train.names == ["cropped/1.jpg", "cropped/3.jpg"]
    assert test.names == ["AFLW/0001-image20056.jpg"]
    check(train[1], 100)
    check(test[0], 150)
    np.testing.assert_allclose(test[0]["points1"], AFLW_POINTS)  # counted from 1 in the files


def test_aflw_pictures_of_another_release(aflw):
    dotted(aflw / "aflw_cropped/cropped/1.jpg", (150, 140), AFLW_POINTS)
    with pytest.raises(FormatError, match=r"1\.jpg: is 150x140; expected a square, 150x150"):
        AFLW(aflw)[0]


def test_aflw_lists_that_cannot_be_understood(aflw):
    path = aflw / "aflw_cropped/facedata_cropped.csv"
    path.write_text(path.read_text() + "\ni.jpg,cropped/4.jpg,one,7\n")
    with pytest.raises(FormatError, match="line 5 is not that of a face"):
        AFLW(aflw)
    path.write_text("image,crop_file\n")
    with pytest.raises(FormatError, match="the columns are image, crop_file"):
        AFLW(aflw)
    (aflw / "MTFL/testing.txt").write_text("AFLW\\a.jpg 1 2 3\n")
    with pytest.raises(FormatError, match="line 1 is not that of a face"):
        AFLW(aflw, "test")
    (aflw / "MTFL/testing.txt").write_text("AFLW\\a.jpg 1 2 3 4 5 6 7 8 9 10\n")
    with pytest.raises(FileNotFoundError, match=r"missing MTFL/AFLW/a\.jpg"):
        AFLW(aflw, "test")


def test_aflw_recropped_is_stretched(tmp_path):
    sizes = ((150, 120), (90, 140))
    places = [AFLW_POINTS, AFLW_POINTS * 0.8]
    for k, (size, points) in enumerate(zip(sizes, places, strict=True)):
        dotted(tmp_path / f"output/{k}.png", size, points)
    (tmp_path / "aflw_train_images.txt").write_text("0.png\n1.png\n")
    marks = {"gt": np.array(places)[..., ::-1], "hw": np.array(sizes)[:, ::-1]}
    savemat(tmp_path / "aflw_train_keypoints.mat", marks)
    source = AFLWRecropped(tmp_path)
    assert source.names == ["0.png", "1.png"]
    for record, size, points in zip(source, sizes, places, strict=True):
        check(record, 100)
        truth = (points + 0.5) * 100 / np.array(size) - 0.5
        np.testing.assert_allclose(record["points1"], truth, atol=1e-4)
    (tmp_path / "aflw_train_images.txt").write_text("0.png\n")
    with pytest.raises(FormatError, match=r"gt is \[2, 5, 2\]; expected \[1, 5, 2\]"):
        AFLWRecropped(tmp_path)
    savemat(tmp_path / "aflw_train_keypoints.mat", {"hw": marks["hw"]})
    with pytest.raises(FormatError, match="has no array 'gt'"):
        AFLWRecropped(tmp_path)
    (tmp_path / "aflw_train_keypoints.mat").write_bytes(b"no such format")
    with pytest.raises(FormatError, match="has no array 'gt' that can be read"):
        AFLWRecropped(tmp_path)


# === 300-W ===


def ring(shift):
    """68 points on a circle of diameter 80 about (90, 70) + shift."""
    angle = np.arange(68) * 2 * np.pi / 68
    return np.stack([90 + 40 * np.cos(angle), 70 + 40 * np.sin(angle)], axis=-1) + shift


@pytest.fixture
def faces300(tmp_path):
    parts = ("afw", "helen/trainset", "lfpw/trainset", "helen/testset", "lfpw/testset", "ibug")
    for k, part in enumerate(parts):
        for number, shift in ((10, 0), (2, 30 * (part == "ibug"))):
            stem = tmp_path / part / f"image_{number}"
            dotted(
                stem.with_suffix(".png" if part == "afw" else ".jpg"), (170, 150), [ring(shift)[0]]
            )
            text = "".join(f"{x + 1:.4f} {y + 1:.4f}\n" for x, y in ring(shift))
            stem.with_suffix(".pts").write_text(f"version: 1\nn_points:  68\n{{\n{text}}}\n")
        (tmp_path / part / "readme.txt").write_text(str(k))
    return tmp_path


def test_300w(faces300):
    train, test = Faces300W(faces300), Faces300W(faces300, "test")
    assert train.names[:3] == ["afw/image_2", "afw/image_10", "helen/trainset/image_2"]
    assert len(train) == len(test) == 6 and test.names[-1] == "ibug/image_10"
    for record in (train[0], test[0], test[4]):  # the last reaches beyond the picture
        points = record["points1"]
        assert record["image1"].shape == (100, 100, 3) and points.shape == (68, 2)
        # A box of 81 pixels makes 52 of 100; its middle is 2 further down than the picture's.
        assert np.ptp(points[:, 0]) == pytest.approx(80 * 52 / 81, abs=1e-3)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        np.testing.assert_allclose(middle, [49.5, 51.5], atol=1e-3)
        np.testing.assert_allclose(middles(record["image1"], points[:1]), points[:1], atol=0.15)


def test_300w_with_something_missing(faces300):
    (faces300 / "lfpw/trainset/image_2.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing lfpw/trainset/image_2\.jpg"):
        Faces300W(faces300)
    (faces300 / "ibug/image_2.pts").write_text("version: 1\n{\n1 2\n}\n")
    with pytest.raises(FormatError, match="is no list of 68 points"):
        Faces300W(faces300, "test")


# === cat heads ===

CAT = np.array(
    [[40, 60], [70, 58], [55, 80], [25, 50], [30, 20], [45, 40], [65, 38], [80, 18], [88, 48]]
)


@pytest.fixture
def cats(tmp_path):
    for name in ("CAT_00/00000001_000.jpg", "CAT_03/00000700_001.jpg"):
        dotted(tmp_path / name, (120, 110), CAT)
        text = "9 " + " ".join(map(str, CAT.ravel())) + " "
        (tmp_path / f"{name}.cat").write_text(text)
    return tmp_path


def test_cats(cats):
    source = CatHeads(cats)
    assert source.names == ["CAT_00/00000001_000.jpg", "CAT_03/00000700_001.jpg"]
    assert len(source.point_names) == 9
    check(source[1], 100)
    wide, tight = CatHeads(cats, margin=0.5)[0], CatHeads(cats, margin=0)[0]
    assert np.ptp(tight["points1"][:, 0]) == pytest.approx(100 * 63 / 64, abs=1e-3)
    assert np.ptp(wide["points1"][:, 0]) == pytest.approx(50 * 63 / 64, abs=1e-3)
    (cats / "CAT_03/00000700_001.jpg.cat").write_text("8 1 2\n")
    with pytest.raises(FormatError, match="is no list of 9 points"):
        CatHeads(cats)
    (cats / "CAT_00/00000001_000.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing CAT_00/00000001_000\.jpg\n"):
        CatHeads(cats)
    with pytest.raises(ValueError, match="margin must be at least 0"):
        CatHeads(cats, margin=-1)


# === all ===


@pytest.mark.parametrize("make", [CelebA, AFLW, AFLWRecropped, Faces300W])
def test_unknown_splits_and_scalings(tmp_path, make):
    with pytest.raises(ValueError, match="split is 'val'"):
        make(tmp_path, "val")
    with pytest.raises(ValueError, match="scaling must be"):
        make(tmp_path, "train", scaling="half")
    with pytest.raises(ValueError, match="size must be"):
        make(tmp_path, "train", 0)


# === ORL ===


def test_orl_people_are_held_out():
    train, test, everybody = (ORLFaces(split) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(everybody)) == (320, 80, 400)
    assert not set(train.names) & set(test.names)
    assert test.names[0] == "s33/1" and train.names[-1] == "s32/10"
    people = {int(test[k]["identity"][0]) for k in range(0, 80, 10)}
    assert people == set(range(32, 40)) and train[15]["identity"] == [1]
    assert len(ORLFaces("test", held_out=12)) == 120


def test_orl_pictures_are_square_or_whole():
    square, whole = ORLFaces(size=92)[4]["image1"], ORLFaces(size=None)[4]["image1"]
    assert whole.shape == (112, 92, 3) and whole.dtype == np.uint8
    np.testing.assert_array_equal(square, whole[12:104])
    assert ORLFaces(size=64)[0]["image1"].shape == (64, 64, 3)
    assert (whole[..., 0] == whole[..., 2]).all() and whole.std() > 20


@pytest.mark.parametrize(
    "options", [{"split": "val"}, {"held_out": 0}, {"held_out": 40}, {"size": 0}]
)
def test_orl_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ORLFaces(**options)
