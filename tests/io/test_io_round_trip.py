"""Laws of all formats: what is written is read back, values and validity."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kcorr.io import (
    DISPARITY_SUFFIXES,
    FLOW_SUFFIXES,
    FormatError,
    read_disparity,
    read_flow,
    read_teacher_flow,
    write_disparity,
    write_flow,
    write_teacher_flow,
)
from kcorr.io._png import decode_png16, encode_png16

sides = st.integers(1, 9)
laws = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def maps(draw, channels, low, high):
    """float32 values in the range and a mask of the same size."""
    height, width = draw(sides), draw(sides)
    values = st.floats(low, high, width=32)
    mask = arrays(bool, (height, width, 1))
    return draw(arrays(np.float32, (height, width, channels), elements=values)), draw(mask)


def step_of(suffix, step):
    return step if suffix == ".png" else 0.0


@pytest.mark.parametrize("suffix", FLOW_SUFFIXES)
@laws
@given(data=maps(2, -512.0, 511.984375))
def test_flow(suffix, data):
    flow, valid = data
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_flow(path, flow, valid)
        read, known = read_flow(path)
        np.testing.assert_array_equal(known, valid)
        np.testing.assert_allclose(read, flow * valid, rtol=0, atol=step_of(suffix, 1 / 128))
        # What was read is written to the same bytes: a second trip loses nothing.
        first = path.read_bytes()
        write_flow(path, read, known)
        assert path.read_bytes() == first


@pytest.mark.parametrize("suffix", DISPARITY_SUFFIXES)
@laws
@given(data=maps(1, 0.0, 65535 / 256))
def test_disparity(suffix, data):
    disparity, valid = data
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_disparity(path, disparity, valid)
        read, known = read_disparity(path)
        np.testing.assert_array_equal(known, valid)
        # 1/256 for a known disparity near 0, which must not become the mark of an unknown one.
        np.testing.assert_allclose(read, disparity * valid, rtol=0, atol=step_of(suffix, 1 / 256))


@laws
@given(data=maps(2, -512.0, 511.984375))
def test_teacher_flow(data):
    flow, hidden = data
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        write_teacher_flow(path, flow, hidden)
        read, occlusion = read_teacher_flow(path)
        np.testing.assert_array_equal(occlusion, hidden)
        np.testing.assert_allclose(read, flow, rtol=0, atol=1 / 128)


@laws
@given(
    st.tuples(sides, sides, st.integers(1, 4)).flatmap(
        lambda shape: arrays(np.uint16, shape, elements=st.integers(0, 65535))
    )
)
def test_16_bit_png(samples):
    np.testing.assert_array_equal(decode_png16(encode_png16(samples), "a.png"), samples)


@pytest.mark.parametrize("suffix", [".flo", ".npy", ".pfm"])
@laws
@given(values=arrays(np.float64, (3, 2, 2), elements=st.floats()))
def test_any_float_is_either_known_or_unknown(suffix, values):
    known = np.all(np.abs(values) <= 1e9, axis=-1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_flow(path, values)
        read, valid = read_flow(path)
    np.testing.assert_array_equal(valid, known)
    np.testing.assert_array_equal(read, np.where(known, values, 0).astype(np.float32))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", "<i4", ">i2", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_dtype_and_order(tmp_path, dtype, order):
    values = np.asarray(np.arange(24).reshape(3, 4, 2), dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", values)
    flow, valid = read_flow(tmp_path / "a.npy")
    np.testing.assert_array_equal(flow, values.astype(np.float32))
    assert flow.dtype == np.float32 and flow.dtype.isnative and valid.all()


def test_npy_of_three_channels_holds_validity_in_the_last(tmp_path):
    values = np.array([[[1, 2, 1], [3, 4, 0], [5, 6, np.nan], [np.inf, 6, 1]]])
    np.save(tmp_path / "a.npy", values)
    flow, valid = read_flow(tmp_path / "a.npy")
    np.testing.assert_array_equal(flow, [[[1, 2], [0, 0], [0, 0], [0, 0]]])
    np.testing.assert_array_equal(valid[0, :, 0], [1, 0, 0, 0])


def test_npy_of_two_axes_is_a_disparity(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1.5, np.nan]]))
    disparity, valid = read_disparity(tmp_path / "a.npy")
    np.testing.assert_array_equal(disparity, [[[1.5], [0]]])
    np.testing.assert_array_equal(valid, [[[1], [0]]])
    with pytest.raises(FormatError, match=r"shape \[1, 2\]; expected \[h, w, 2\]"):
        read_flow(tmp_path / "a.npy")


def test_least_int64_is_unknown(tmp_path):
    np.save(tmp_path / "a.npy", np.full((1, 1, 2), -(2**63)))
    assert read_flow(tmp_path / "a.npy")[1] == 0


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([[Trap()]], object), "dtype object"),
        (np.zeros((2, 2, 2), complex), "dtype complex128"),
        (np.zeros((2, 2, 2), "U3"), "dtype <U3"),
        (np.zeros((2, 2, 2), [("u", "f4")]), "dtype"),
        (np.zeros(()), r"shape []"),
        (np.zeros((2, 2, 2, 2)), "shape [2, 2, 2, 2]"),
        (np.zeros((0, 2, 2)), "2x0"),
        (np.zeros((2, 2, 0)), "shape [2, 2, 0]"),
        (np.zeros((2, 2, 4)), "shape [2, 2, 4]; expected [h, w, 2] for (u, v)"),
    ],
)
def test_npy_of_something_else_is_refused(tmp_path, array, says):
    path = tmp_path / "a.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(FormatError) as caught:
        read_flow(path)
    assert says in str(caught.value)


def test_npy_with_a_lying_header(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((2, 2, 2)))
    data = path.read_bytes()
    for old, new, says in [
        (b"(2, 2, 2)", b"(9, 9, 2)", "truncated: 64 bytes of values; expected 1296"),
        (b"(2, 2, 2)", b"(9**9, 2)", "header of a .npy"),
        (b"(2, 2, 2)", b"(-2,2, 2)", "2x-2"),
        (b"(2, 2, 2)", b"(1, 2, 2)", "too long"),
        (b"NUMPY", b"NUMPI", "header of a .npy"),
        (b"NUMPY\1", b"NUMPY\7", "header of a .npy"),
        (b"{", b"[", "header of a .npy"),
    ]:
        path.write_bytes(data.replace(old, new, 1))
        with pytest.raises(FormatError) as caught:
            read_flow(path)
        assert says in str(caught.value)
