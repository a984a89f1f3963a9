"""Middlebury .flo, held to bytes written by hand."""

import struct

import numpy as np
import pytest

from kcorr.io import FormatError, read_flow, write_flow

# Two pixels wide, one high: (1.5, -2) and (unknown, 3).
GOLDEN = struct.pack("<f", 202021.25) + struct.pack("<ii", 2, 1)
GOLDEN += struct.pack("<4f", 1.5, -2.0, 1e10, 3.0)


def test_values_and_validity_come_from_the_right_bytes(tmp_path):
    path = tmp_path / "a.flo"
    path.write_bytes(GOLDEN)
    flow, valid = read_flow(path)
    np.testing.assert_array_equal(flow, [[[1.5, -2.0], [0.0, 0.0]]])
    np.testing.assert_array_equal(valid, [[[1.0], [0.0]]])
    assert flow.dtype == valid.dtype == np.float32


def test_width_comes_before_height_and_rows_from_the_top(tmp_path):
    path = tmp_path / "a.flo"
    write_flow(path, np.arange(12.0).reshape(3, 2, 2))
    data = path.read_bytes()
    assert data == b"PIEH" + struct.pack("<ii", 2, 3) + struct.pack("<12f", *range(12))


def test_an_invalid_pixel_is_written_as_1e10(tmp_path):
    path = tmp_path / "a.flo"
    write_flow(path, [[[1.5, -2.0], [7.0, 3.0]]], valid=[[1, 0]])
    assert path.read_bytes()[-16:] == struct.pack("<4f", 1.5, -2.0, 1e10, 1e10)


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf, 1.1e9, -2e9, 1e300])
def test_every_kind_of_unknown_is_unknown(tmp_path, unknown):
    flow = np.zeros((2, 3, 2))
    flow[1, 2, 0] = unknown
    write_flow(tmp_path / "a.flo", flow)
    read, valid = read_flow(tmp_path / "a.flo")
    assert valid.sum() == 5 and valid[1, 2, 0] == 0
    np.testing.assert_array_equal(read, 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"HEIP" + GOLDEN[4:], "big-endian"),
        (b"not a flow at all", "begins with b'not '"),
        (GOLDEN[:9], "truncated: 9 bytes"),
        (GOLDEN[:-1], "truncated: 15 bytes of values; expected 16"),
        (GOLDEN + b"x", "too long"),
        (b"PIEH" + struct.pack("<ii", 0, 1), "0x1"),
        (b"PIEH" + struct.pack("<ii", -2, 1) + bytes(16), "-2x1"),
        (b"PIEH" + struct.pack("<ii", 2**31 - 1, 2**31 - 1), "at most 268435456"),
        (b"PIEH" + struct.pack("<ii", 2**14, 2**14) + bytes(99), "truncated"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, data, says):
    path = tmp_path / "broken.flo"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"broken\.flo: ") as caught:
        read_flow(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_flow_that_valid_counts_must_be_finite(tmp_path):
    flow = np.full((2, 2, 2), np.nan)
    with pytest.raises(FormatError, match="NaN, infinite or beyond 1e9 at 3 pixels"):
        write_flow(tmp_path / "a.flo", flow, valid=[[1, 1], [0, 1]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flow", "valid", "says"),
    [
        (np.zeros((2, 3)), None, r"shape \[2, 3\]; expected \[h, w, 2\]"),
        (np.zeros((2, 3, 3)), None, r"shape \[2, 3, 3\]"),
        (np.zeros((0, 3, 2)), None, r"shape \[0, 3, 2\]"),
        (np.zeros((2, 3, 2), complex), None, "dtype complex128"),
        (np.zeros((2, 3, 2)), np.ones((3, 2)), "valid is for 2x3 pixels; expected 3x2"),
    ],
)
def test_an_array_that_is_no_flow_is_refused(tmp_path, flow, valid, says):
    with pytest.raises(FormatError, match=says):
        write_flow(tmp_path / "a.flo", flow, valid)


def test_missing_file_folder_and_unknown_suffix(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.flo: no such file$"):
        read_flow(tmp_path / "gone.flo")
    (tmp_path / "folder.flo").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_flow(tmp_path / "folder.flo")
    with pytest.raises(FormatError, match=r"'\.txt' names no flow format; expected one of \.flo"):
        read_flow(tmp_path / "a.txt")
    with pytest.raises(FormatError, match=r"'\.jpg' names no flow format"):
        write_flow(tmp_path / "a.jpg", np.zeros((1, 1, 2)))
