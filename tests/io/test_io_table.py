"""Comma-separated text: rows with their lines, and what is no such text."""

import pytest

from kcorr.io import FormatError, read_table


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n , \r\n", []),
        (b"x,y\n1,2\n", [(1, ["x", "y"]), (2, ["1", "2"])]),
        (b"\xef\xbb\xbfx , y\r\n\r\n,\r\n 1,\r\n", [(1, ["x", "y"]), (4, ["1", ""])]),
        (b'\n"a\nb",c\nd', [(3, ["a\nb", "c"]), (4, ["d"])]),
        (b"a\rb\r", [(1, ["a"]), (2, ["b"])]),
        ("Åse,1".encode(), [(1, ["Åse", "1"])]),
    ],
)
def test_rows_and_the_lines_they_end_in(tmp_path, data, expected):
    (tmp_path / "t.csv").write_bytes(data)
    assert read_table(tmp_path / "t.csv") == expected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("name\n\nÅse\n".encode("latin-1"), "line 3 is not text in UTF-8"),
        (b"\xef\xbb\xbfname\n\xff\n", "line 2 is not text in UTF-8"),
        ("name\n".encode("utf-16"), "line 1 is not text in UTF-8"),
        (b"a\n\n" + b"b" * 200000 + b"\n", "line 3: field larger than field limit (131072)"),
    ],
)
def test_what_is_no_such_text(tmp_path, data, said):
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: {said}; expected comma-separated text in UTF-8"


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.csv: no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(IsADirectoryError, match="is a folder; expected a file"):
        read_table(tmp_path)
