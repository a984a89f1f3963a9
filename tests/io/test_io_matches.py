"""Matches as the original programs exchange them: four, five or six columns, exact and whole."""

import numpy as np
import pytest

from kcorr.io import FormatError, read_matches, write_matches


def test_four_five_and_six_columns_are_read(tmp_path):
    path = tmp_path / "matches.txt"
    path.write_bytes(b"4 4 12.5 -9 0.25 7\r\n  12 4\t1e1 2 3 8\n\n")
    expected = np.array([[4, 4, 12.5, -9, 0.25], [12, 4, 10, 2, 3]], np.float32)
    found = read_matches(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    path.write_bytes(b"4 4 12.5 -9 0.25\n12 4 10 2 3")
    np.testing.assert_array_equal(read_matches(path), expected)
    path.write_bytes(b"4 4 12.5 -9\n12 4 10 2\n")
    np.testing.assert_array_equal(read_matches(path)[:, 4], [1, 1])
    np.testing.assert_array_equal(read_matches(path)[:, :4], expected[:, :4])


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\n"])
def test_an_empty_file_holds_no_matches(tmp_path, data):
    (tmp_path / "none.txt").write_bytes(data)
    found = read_matches(tmp_path / "none.txt")
    assert found.shape == (0, 5) and found.dtype == np.float32


def test_written_lines(tmp_path):
    path = tmp_path / "matches.txt"
    write_matches(path, [[4, 1023, 12.5, -0.1, 2.75], [0, 4, 8, 12, 1]])
    assert path.read_bytes() == b"4 1023 12.5 -0.1 2.75\n0 4 8 12 1\n"
    write_matches(path, np.array([[1, 2, 3, 4]]))
    assert path.read_bytes() == b"1 2 3 4 1\n"
    write_matches(path, np.zeros((0, 5)))
    assert path.read_bytes() == b""
    assert [child.name for child in tmp_path.iterdir()] == ["matches.txt"]


def test_round_trip_is_exact(tmp_path):
    rng = np.random.default_rng(0)
    matches = rng.normal(size=(500, 5)).astype(np.float32)
    matches *= np.float32(10) ** rng.integers(-30, 30, (500, 5)).astype(np.float32)
    matches[:5, 0] = [0, np.finfo(np.float32).max, np.finfo(np.float32).tiny, 1e-45, 2**24]
    write_matches(tmp_path / "a.txt", matches)
    np.testing.assert_array_equal(read_matches(tmp_path / "a.txt"), matches)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"1 2 3\n", "line 1 has 3 words; expected lines 'x1 y1 x2 y2',"),
        (b"1 2 3 4 5 6 7\n", "line 1 has 7 words"),
        (b"1 2 3 4 5\n\n1 2 3 4\n", "line 3 has 4 words; expected 5 as before"),
        (b"1 2 3 4\n5", "line 2 has 1 word; expected 4 as before"),
        (b"1 2 3 4\n1 2 x 4\n", "line 2 holds b'x'; expected finite numbers"),
        (b"1 2 nan 4\n", "line 1 holds b'nan'"),
        (b"1 2 3 -inf\n", "line 1 holds b'-inf'"),
        (b"1 2 3 1e39\n", "line 1 holds b'1e39'"),
        (b"1 2 3 1_0\n", "line 1 holds b'1_0'"),
        (b"1 2 3 " + b"4" * 500, "line 1 holds b'44444444444444444444'"),
        (b"P6 2 2 255\n\xff\xfe\n", "line 1 holds b'P6'"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, data, says):
    path = tmp_path / "broken.txt"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"broken\.txt: ") as caught:
        read_matches(path)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt: no such file"):
        read_matches(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("matches", "says"),
    [
        (np.zeros((3, 6)), "shape [3, 6]; expected [n, 5] or [n, 4]"),
        (np.zeros(5), "shape [5]"),
        ([["a"] * 5], "dtype <U1"),
        ([[0, 0, 0, 0, 1], [0, 0, np.nan, 0, 1]], "match 1 holds NaN or infinity"),
        ([[0, 0, 0, 1e39, 1]], "match 0 holds NaN or infinity"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(tmp_path, matches, says):
    with pytest.raises(FormatError, match=r"a\.txt: ") as caught:
        write_matches(tmp_path / "a.txt", matches)
    assert says in str(caught.value)
    assert not list(tmp_path.iterdir())
