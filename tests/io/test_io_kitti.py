"""KITTI's 16-bit PNG encodings, held to files that OpenCV and zlib write."""

import time

import cv2
import numpy as np
import pytest

from kcorr.io import (
    FormatError,
    read_disparity,
    read_flow,
    read_teacher_flow,
    write_disparity,
    write_flow,
    write_image,
    write_teacher_flow,
)


def test_flow_written_by_opencv(tmp_path):
    # OpenCV's channel order is blue, green, red: (valid, v, u).
    codes = np.zeros((2, 2, 3), np.uint16)
    codes[0, 0] = 1, 32768 - 64, 32768 + 32  # (0.5, -1)
    codes[0, 1] = 0, 11, 12  # invalid, whatever it holds
    codes[1, 0] = 65535, 65535, 0  # the two ends of the range
    codes[1, 1] = 1, 0, 65535
    cv2.imwrite(str(tmp_path / "a.png"), codes)
    flow, valid = read_flow(tmp_path / "a.png")
    end = 511.984375
    np.testing.assert_array_equal(flow, [[[0.5, -1], [0, 0]], [[-512, end], [end, -512]]])
    np.testing.assert_array_equal(valid[..., 0], [[1, 0], [1, 1]])


def test_flow_is_rounded_and_unknown_is_all_zero(tmp_path):
    path = tmp_path / "a.png"
    write_flow(path, [[[0.5 + 0.0076, -1 - 0.0076], [np.nan, 3], [4, 5]]], valid=None)
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    # 0.0076 px is 0.486 of a step: rounding keeps the step below, truncating would not for -1.
    np.testing.assert_array_equal(codes[0, 0], [1, 32768 - 64, 32768 + 32])
    np.testing.assert_array_equal(codes[0, 1], [0, 0, 0])
    np.testing.assert_array_equal(codes[0, 2], [1, 32768 + 320, 32768 + 256])


def test_rounding_has_no_bias(tmp_path):
    flow = np.random.default_rng(0).uniform(-500, 500, (60, 80, 2)).astype(np.float32)
    write_flow(tmp_path / "a.png", flow)
    error = read_flow(tmp_path / "a.png")[0] - flow
    assert np.abs(error).max() <= 1 / 128 + 1e-4
    assert abs(error.mean()) < 5e-4  # truncating would give 1/128 = 7.8e-3


def test_flow_out_of_range_is_named_or_clipped(tmp_path):
    path = tmp_path / "a.png"
    flow = np.zeros((2, 2, 2))
    flow[0, 0], flow[1, 1] = (513, 0), (0, -700)
    with pytest.raises(
        FormatError, match=r"reaches -700 pixels; expected values in \[-512, 511.98"
    ):
        write_flow(path, flow)
    assert not path.exists()
    write_flow(path, flow, valid=[[0, 1], [1, 0]])  # what is unknown may hold anything
    write_flow(path, flow, clip=True)
    np.testing.assert_array_equal(read_flow(path)[0][1, 1], [0, -512])
    assert read_flow(path)[1].all()


def test_disparity_written_by_opencv(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, 1, 256, 65535]], np.uint16))
    disparity, valid = read_disparity(tmp_path / "a.png")
    np.testing.assert_array_equal(disparity[0, :, 0], [0, 1 / 256, 1, 65535 / 256])
    np.testing.assert_array_equal(valid[0, :, 0], [0, 1, 1, 1])
    assert disparity.dtype == valid.dtype == np.float32


def test_disparity_written_for_opencv(tmp_path):
    path = tmp_path / "a.png"
    write_disparity(path, [[0.0, 2.5, 7.0, np.inf]], valid=[[1, 1, 0, 0]])
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(codes, [[1, 640, 0, 0]])  # a known 0 must not become unknown


@pytest.mark.parametrize("value", [-1.0, 256.5])
def test_disparity_out_of_range_is_named_or_clipped(tmp_path, value):
    path = tmp_path / "a.png"
    with pytest.raises(FormatError, match=f"disparity reaches {value:g} pixels"):
        write_disparity(path, [[1.0, value]])
    write_disparity(path, [[1.0, value]], clip=True)
    nearest = 1 / 256 if value < 0 else 65535 / 256
    assert read_disparity(path)[0][0, 1, 0] == nearest


def test_teacher_flow_holds_occlusion_where_kitti_holds_validity(tmp_path):
    path = tmp_path / "a.png"
    flow = np.array([[[1.25, -3], [400, 0.5]]], np.float32)
    write_teacher_flow(path, flow, [[0, 1]])
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(codes[0, :, 0], [0, 1])
    np.testing.assert_array_equal(codes[0, :, 2], [32768 + 80, 32768 + 25600])
    read, occlusion = read_teacher_flow(path)
    np.testing.assert_array_equal(read, flow)  # also where it is not occluded
    np.testing.assert_array_equal(occlusion, [[[0], [1]]])


def test_teacher_flow_is_rounded_where_the_authors_truncate(tmp_path):
    flow = np.full((1, 1, 2), 0.9 / 64)
    write_teacher_flow(tmp_path / "a.png", flow, [[0]])
    np.testing.assert_array_equal(read_teacher_flow(tmp_path / "a.png")[0], 1 / 64)


def test_teacher_flow_refuses_what_it_cannot_hold(tmp_path):
    zeros = np.zeros((2, 3, 2))
    with pytest.raises(FormatError, match=r"expected \.png"):
        write_teacher_flow(tmp_path / "a.flo", zeros, zeros[..., :1])
    with pytest.raises(FormatError, match="occlusion is for 2x3 pixels; expected 3x2"):
        write_teacher_flow(tmp_path / "a.png", zeros, np.zeros((3, 2)))
    with pytest.raises(FormatError, match="at 6 pixels"):
        write_teacher_flow(tmp_path / "a.png", zeros + np.nan, zeros[..., :1])
    with pytest.raises(FormatError, match="reaches 600"):
        write_teacher_flow(tmp_path / "a.png", zeros + 600, zeros[..., :1])


def test_a_picture_of_a_flow_is_no_flow(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(FormatError, match=r"a\.png: is an 8-bit RGB PNG; expected 16-bit RGB"):
        read_flow(tmp_path / "a.png")
    with pytest.raises(FormatError, match="expected 16-bit grey"):
        read_disparity(tmp_path / "a.png")
    write_image(tmp_path / "b.png", np.zeros((4, 5, 1), np.uint16))
    with pytest.raises(FormatError, match="is a 16-bit grey PNG"):
        read_flow(tmp_path / "b.png")
    (tmp_path / "c.png").write_text("this is no picture")
    with pytest.raises(FormatError, match="begins with b'this is '"):
        read_flow(tmp_path / "c.png")


def test_a_kitti_sized_flow_reads_fast(tmp_path):
    path = tmp_path / "a.png"
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:375, :1242]
    flow = np.stack([x * 0.05 + np.sin(y / 30), y * 0.03], -1) + rng.normal(0, 0.05, (375, 1242, 2))
    codes = np.concatenate([np.rint(flow * 64 + 32768), np.ones((375, 1242, 1))], -1)
    # Paeth is the slowest filter, sequential along the row.
    paeth = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH]
    cv2.imwrite(str(path), codes[..., ::-1].astype(np.uint16), paeth)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        read, _ = read_flow(path)
        times.append(time.perf_counter() - start)
    assert np.abs(read - flow).max() <= 1 / 128 + 1e-4
    assert min(times) < 0.1
