"""Portable float maps, held to bytes written by hand."""

import struct

import numpy as np
import pytest

from kcorr.io import FormatError, read_disparity, read_flow, read_pfm, write_pfm


def grey(scale=b"-1.0", order="<", end=b"\n"):
    """Two rows of three: the file begins with the lower row."""
    return b"Pf\n3 2\n" + scale + end + struct.pack(order + "6f", 4, 5, 6, 1, 2, 3)


@pytest.mark.parametrize(
    "data",
    [
        grey(),
        grey(b"1.0", ">"),
        grey(b"-0.0039"),
        grey(b"1e2", ">"),
        grey(end=b"\r\n"),
        grey(end=b" "),
        grey().replace(b"\n3 2\n", b" 3\n2\n"),
    ],
)
def test_rows_are_bottom_up_in_either_byte_order(tmp_path, data):
    path = tmp_path / "a.pfm"
    path.write_bytes(data)
    values = read_pfm(path)
    assert values.dtype == np.float32 and values.dtype.isnative
    np.testing.assert_array_equal(values[..., 0], [[1, 2, 3], [4, 5, 6]])


def test_colour_interleaves_its_channels(tmp_path):
    path = tmp_path / "a.pfm"
    path.write_bytes(b"PF\n2 1\n1\n" + struct.pack(">6f", 1, 2, 0, 3, 4, 0))
    np.testing.assert_array_equal(read_pfm(path), [[[1, 2, 0], [3, 4, 0]]])
    np.testing.assert_array_equal(read_flow(path)[0], [[[1, 2], [3, 4]]])


def test_a_first_value_that_looks_like_the_end_of_the_line(tmp_path):
    # "\r" ends the header and 0x0a begins the first value: the value must not lose its byte.
    path = tmp_path / "a.pfm"
    path.write_bytes(b"Pf\n1 1\n-1\r" + b"\x0a\x00\x80\x3f")
    assert read_pfm(path) == np.frombuffer(b"\x0a\x00\x80\x3f", "<f4")


@pytest.mark.parametrize("big_endian", [False, True])
def test_written_bytes(tmp_path, big_endian):
    path = tmp_path / "a.pfm"
    write_pfm(path, [[1, 2, 3], [4, 5, 6]], big_endian=big_endian)
    assert path.read_bytes() == (grey(b"1.0", ">") if big_endian else grey())


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip_keeps_nan_and_infinity(tmp_path, big_endian, channels):
    values = np.random.default_rng(0).normal(size=(4, 5, channels)).astype(np.float32)
    values[0, 0], values[1, 1], values[2, 2] = np.nan, np.inf, -np.inf
    write_pfm(tmp_path / "a.pfm", values, big_endian=big_endian)
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), values)


def test_middlebury_marks_unknown_disparity_by_infinity(tmp_path):
    path = tmp_path / "a.pfm"
    path.write_bytes(b"Pf\n2 1\n-1\n" + struct.pack("<2f", 7.25, np.inf))
    disparity, valid = read_disparity(path)
    np.testing.assert_array_equal(disparity[..., 0], [[7.25, 0]])
    np.testing.assert_array_equal(valid[..., 0], [[1, 0]])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"P5\n3 2\n255\n......", "header of a PFM"),
        (b"Pf\n3\n", "header of a PFM"),
        (b"Pf\n3 -2\n-1\n", "3x-2"),
        (b"Pf\n0 2\n-1\n", "0x2"),
        (b"Pf\n99999 99999\n-1\n", "at most"),
        (b"Pf\n" + b"9" * 5000 + b" 1\n-1\n", "header of a PFM"),
        (b"Pf\n3 2\n0.0\n" + bytes(24), "the scale is 0.0"),
        (b"Pf\n3 2\n1-e\n" + bytes(24), "the scale is 1-e"),
        (grey()[:-1], "truncated: 23 bytes"),
        (grey() + b"\n", "too long"),
        (grey().replace(b"Pf", b"PF"), "truncated: 24 bytes of values; expected 72"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, data, says):
    path = tmp_path / "broken.pfm"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"broken\.pfm: ") as caught:
        read_pfm(path)
    assert says in str(caught.value)


def test_a_disparity_is_no_flow_and_a_flow_no_disparity(tmp_path):
    write_pfm(tmp_path / "d.pfm", np.zeros((2, 3)))
    write_pfm(tmp_path / "f.pfm", np.zeros((2, 3, 3)))
    with pytest.raises(FormatError, match="one channel: a disparity"):
        read_flow(tmp_path / "d.pfm")
    with pytest.raises(FormatError, match="3 channels: a flow"):
        read_disparity(tmp_path / "f.pfm")


@pytest.mark.parametrize("shape", [(2, 3, 2), (3,), (2, 0, 1), (2, 3, 1, 1)])
def test_only_one_or_three_channels_are_written(tmp_path, shape):
    with pytest.raises(FormatError, match=r"expected \[h, w, 1\] or \[h, w, 3\]"):
        write_pfm(tmp_path / "a.pfm", np.zeros(shape))
    with pytest.raises(FormatError, match="dtype <U1"):
        write_pfm(tmp_path / "a.pfm", [["a", "b"]])
