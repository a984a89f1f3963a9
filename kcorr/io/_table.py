"""Tables as comma-separated text, with the line that each row stands in."""

import csv
import io

from kcorr.io._bytes import read_bytes
from kcorr.io._errors import FormatError

_EXPECTED = "comma-separated text in UTF-8"


def read_table(path):
    """Reads comma-separated text in UTF-8, with or without a byte order mark.

    Args:
        path: a .csv file; an empty one holds no rows.

    Returns:
        A list of (line, cells) of all rows that hold anything: the number of the row's (last) line,
        from 1 and blank lines included, and its cells without blanks around them.

    Raises:
        FormatError: what is no such text, with the line.
        FileNotFoundError, IsADirectoryError, PermissionError: one line that names the file.
    """
    data = read_bytes(path, may_be_empty=True)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # error.start counts from behind a byte order mark, which holds no line break.
        line = error.object[: error.start].count(b"\n") + 1
        raise FormatError(path, f"line {line} is not text in UTF-8", _EXPECTED) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    rows = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise FormatError(path, f"line {reader.line_num}: {error}", _EXPECTED) from error
    return rows
