"""`kcorr match-points A B --points=...`: what is written, and what is refused."""

import numpy as np
import pytest
from _planted_objects import PlantedLabels

from kcorr import viz
from kcorr.io import read_image, write_image

SHIFT = (-6, 4)  # of B against A
POINTS = np.array([[20.5, 10.5], [31.5, 8.5], [8.0, 29.49]])
MATCHES = np.array([[14.5, 14.5], [26.5, 12.5], [2.5, 32.5]])  # middles of their cells


@pytest.fixture
def network(planted_objects):
    return planted_objects(PlantedLabels())


@pytest.fixture
def pair(tmp_path):
    """a.png of 60x40, and b.png, the same moved by `SHIFT`, of 60x36."""
    first = np.random.default_rng(0).integers(20, 256, (40, 60, 3), dtype=np.uint8)
    second = np.roll(first, SHIFT[::-1], axis=(0, 1))[:36]
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, image in zip(paths, (first, second), strict=True):
        write_image(path, image)
    return paths


def written(out):
    """Header and numbers of matches.csv."""
    header, *lines = (out / "matches.csv").read_text().splitlines()
    return header, np.array([[float(cell) for cell in line.split(",")] for line in lines])


TABLES = {
    "header": "x,y\n20.5,10.5\n31.5,8.5\n8,29.49\n",
    "none": "20.5,10.5\r\n31.5,8.5\r\n\r\n8,29.49",
    "mark": "\ufeff X , Y \n20.5, 10.5\n31.5, 8.5\n8, 29.49\n,\n",
    "inline": "20.5,10.5;31.5,8.5; 8,29.49;",
}


@pytest.mark.parametrize("table", TABLES)
def test_points_of_a_file_or_inline_are_found(kcorr, network, pair, tmp_path, tree, table):
    points = TABLES[table]
    if table != "inline":
        points = tmp_path / "points.csv"
        points.write_bytes(TABLES[table].encode())
    out = tmp_path / "new" / "out"
    result = kcorr("match-points", *pair, f"--points={points}", "-o", out, "--model", "mine")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"{out}: 3 points, similarity 1 (median), ")
    assert tree(out) == ["matches.csv", "matches.png"]
    header, numbers = written(out)
    assert header == "x1,y1,x2,y2,similarity"
    np.testing.assert_allclose(numbers[:, :2], POINTS)
    np.testing.assert_allclose(numbers[:, 2:4], MATCHES, atol=1e-3)
    np.testing.assert_allclose(numbers[:, 4], 1, atol=1e-5)
    images = [read_image(path) for path in pair]
    expected = viz.draw_matches(*images, POINTS, MATCHES, scale=8)
    np.testing.assert_array_equal(read_image(out / "matches.png"), expected)
    assert network.seen == [(1, 40, 60, 3), (1, 36, 60, 3)]


class UnevenLabels(PlantedLabels):
    """The same labels, ten times as long in the right half of a picture."""

    def __call__(self, inputs, training=False):
        labels = np.array(super().__call__(inputs)["labels"])
        labels[:, :, labels.shape[2] // 2 :] *= 10
        return {"labels": labels}


@pytest.mark.parametrize(("flags", "similarity"), [([], 100), (["--directions"], 1)])
def test_directions_of_labels_do_not_ask_for_their_length(
    kcorr, planted_objects, pair, tmp_path, flags, similarity
):
    planted_objects(UnevenLabels())
    options = ["--points=44.5,20.5;8.5,28.5", "--model", "mine", "-o", tmp_path / "out", *flags]
    result = kcorr("match-points", pair[0], pair[0], *options)
    assert result.status == 0
    right, left = written(tmp_path / "out")[1]
    np.testing.assert_allclose(right[2:], [44.5, 20.5, similarity], rtol=1e-5)
    # On the left a longer label of the right half is more similar, but for its direction.
    assert np.array_equal(left[2:4], [8.5, 28.5]) == bool(flags)


def test_a_size_is_what_the_network_sees(kcorr, network, pair, tmp_path):
    options = ["--points=30,20", "--model", "mine", "--size", 20]
    result = kcorr("match-points", pair[0], pair[0], *options, "-o", tmp_path / "out")
    assert result.status == 0 and ": 1 point, " in result.out
    assert network.seen == [(1, 20, 30, 3)] * 2
    np.testing.assert_allclose(written(tmp_path / "out")[1][0, :4], [30, 20, 29.5, 21.5])


PARTS = "expected X,Y;X,Y (numbers of pixels), or a .csv file"


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ("", "points: an empty name; expected that of a file or a folder"),
        (";", f"--points: '' is no point; {PARTS}"),
        ("1,2;3", f"--points: '3' is no point; {PARTS}"),
        ("1,2,3", f"--points: '1,2,3' is no point; {PARTS}"),
        ("1,2; nan,3", f"--points: 'nan,3' is no point; {PARTS}"),
        ("1,inf", f"--points: '1,inf' is no point; {PARTS}"),
        ("points.txt", f"--points: 'points.txt' is no point; {PARTS}"),
        ("1,2;" * 3000 + "x", f"--points: 'x' is no point; {PARTS}"),
        ("1,2;60,3", "--points: point 2, 60,3, lies outside {a}; expected x from 0 to 59 and y fr"),
        ("-0.6,2", "--points: point 1, -0.6,2, lies outside {a}"),
        ("none.csv", "none.csv: no such file"),
        ("/", "/: is a folder; expected a file"),
    ],
)
def test_bad_points(refused, network, pair, tmp_path, points, said):
    line = refused(
        "match-points", *pair, f"--points={points}", "-o", tmp_path / "out", "--model", "mine"
    )
    assert line.startswith(f"kcorr match-points: {said.format(a=pair[0])}")
    assert not (tmp_path / "out").exists() and network.seen == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no point in this file"),
        (b"x,y\n\n", "no point in this file"),
        (b"x,y\n1,2\n\n3\n", "line 4: '3' is no point"),
        (b"x,y\n1,2,3\n", "line 2: '1,2,3' is no point"),
        (b"1,2\n3,nan\n", "line 2: '3,nan' is no point"),
        (b"a,b\n1,2\n", "line 1: 'a,b' is no point"),
        (b"x,y\n1,,2\n", "line 2: '1,,2' is no point"),
    ],
)
def test_bad_tables(refused, network, pair, tmp_path, text, said):
    path = tmp_path / "points.csv"
    path.write_bytes(text)
    line = refused(
        "match-points", *pair, "--points", path, "-o", tmp_path / "out", "--model", "mine"
    )
    assert line == f"kcorr match-points: {path}: {said}; expected a line x,y for each point"
    assert not (tmp_path / "out").exists() and network.seen == []


def test_a_table_of_another_encoding(refused, network, pair, tmp_path):
    path = tmp_path / "points.csv"
    path.write_bytes("x,y\n1,2\n".encode("utf-16"))
    options = ["--points", path, "-o", tmp_path / "out", "--model", "mine"]
    line = refused("match-points", *pair, *options)
    said = "line 1 is not text in UTF-8; expected comma-separated text in UTF-8"
    assert line == f"kcorr match-points: {path}: {said}"
    assert not (tmp_path / "out").exists()


def test_bad_pictures_sizes_and_models(refused, network, pair, tmp_path):
    def ask(first, second, *options):
        out = tmp_path / "out"
        given = ["--points=1,2", "--model", "mine", *options, "-o", out]
        line = refused("match-points", first, second, *given)
        assert not out.exists()
        return line.removeprefix("kcorr match-points: ")

    a, b = pair
    write_image(tmp_path / "small.png", np.zeros((15, 90, 3), np.uint8))
    (tmp_path / "text.png").write_text("not a picture")
    assert ask(a, tmp_path / "none.png") == f"{tmp_path / 'none.png'}: no such file or folder"
    assert ask(tmp_path / "text.png", b).startswith(f"{tmp_path / 'text.png'}: begins with b'not")
    assert ask(a, tmp_path).startswith(f"{tmp_path}: is a folder; expected a file")
    said = ask(a, tmp_path / "small.png")
    assert said.startswith(f"{tmp_path / 'small.png'} is 90x15, and the network does not say")
    assert said.endswith("expected at least 16x16, or --size to scale it")
    assert ask(a, b, "--size", 15) == "--size is 15; expected a whole number from 16"
    assert network.seen == []


def test_models_of_another_kind(refused, pair, tmp_path):
    line = refused("match-points", *pair, "--points=1,2", "-o", tmp_path / "out")
    assert line.startswith("kcorr match-points: the following arguments are required: --model")
    options = ["--points=1,2", "-o", tmp_path / "out", "--model", "ddflow"]
    line = refused("match-points", *pair, *options)
    said = "ddflow: gives flow; expected a network of dense labels such as hourglass or "
    assert line.startswith(f"kcorr match-points: {said}") and not (tmp_path / "out").exists()
