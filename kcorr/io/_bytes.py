"""Reading a whole file, and refusing a size before anything is allocated for it."""

import os

from kcorr.io._errors import FormatError

MAX_PIXELS = 2**28
# A compressed picture of up to this many bytes may be as empty as it likes (a black 8K frame is
# honest); beyond, a file smaller than one part in _BOMB_RATIO is taken for a decompression bomb.
_SMALL = 2**27
_BOMB_RATIO = 500


def read_bytes(path, may_be_empty=False):
    """The bytes of a file.

    Args:
        path: the file.
        may_be_empty: an empty file is one of nothing, not a broken one.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: one line that names the file.
        FormatError: the file is empty and may not be.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise reading_error(path, error) from error
    if not data and not may_be_empty:
        raise FormatError(path, "the file is empty")
    return data


def reading_error(path, error):
    """The same kind of OSError, its message one line that begins with the file's name."""
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{path}: no such file")
    if isinstance(error, IsADirectoryError):
        return IsADirectoryError(f"{path}: is a folder; expected a file")
    return type(error)(f"{path}: cannot be read ({error.strerror or error})")


def check_size(path, height, width):
    """Refuses empty, negative and absurd sizes, before anything is allocated.

    Raises:
        FormatError: a side below 1, or more than 2^28 pixels.
    """
    if height < 1 or width < 1:
        raise FormatError(path, f"the header says {width}x{height}", "at least 1x1")
    if height * width > MAX_PIXELS:
        raise FormatError(
            path, f"the header says {width}x{height}", f"at most {MAX_PIXELS} (2^28) pixels"
        )


def check_payload(path, stored, needed):
    """Refuses a file whose values are cut short or followed by something else.

    Raises:
        FormatError: `stored` bytes of values are there where the header asks for `needed`.
    """
    if stored != needed:
        what = "truncated" if stored < needed else "too long"
        raise FormatError(
            path, f"{what}: {stored} bytes of values", f"{needed} bytes for the size in the header"
        )


def check_compression(path, raw, stored, small=_SMALL):
    """Refuses a decompression bomb.

    Args:
        raw: bytes that the header asks for, uncompressed.
        stored: bytes in the file.
        small: as many bytes are never refused.

    Raises:
        FormatError: more than `small` bytes from a file that is over 500 times smaller.
    """
    if raw > small and raw > _BOMB_RATIO * stored:
        raise FormatError(
            path,
            f"decompression bomb? the header asks for {raw} bytes of pixels in a file of {stored}",
            f"at most {_BOMB_RATIO} to one",
        )
