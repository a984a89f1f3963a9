"""Damaged files of every format: an array of the right kind or a FormatError, and nothing else."""

import io
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from kcorr.io import (
    FormatError,
    image_size,
    read_disparity,
    read_flow,
    read_image,
    read_matches,
    read_pfm,
    read_teacher_flow,
    write_disparity,
    write_flow,
    write_matches,
    write_pfm,
)

HEIGHT, WIDTH = 12, 17
TRIALS = 150
LARGEST = 2**20  # bytes, for files of 5 kB


def picture(kind, mode="RGB", **options):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = Image.fromarray(np.stack([x * 9, y * 9, x + y], -1).astype(np.uint8)).convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def written(write, name, tmp_path, channels, **options):
    values = np.random.default_rng(3).uniform(1, 50, (HEIGHT, WIDTH, channels))
    write(tmp_path / name, values, **options)
    return (tmp_path / name).read_bytes()


def matches_file(tmp_path):
    values = np.random.default_rng(5).uniform(0, 400, (HEIGHT, 5))
    write_matches(tmp_path / "s.txt", values)
    return (tmp_path / "s.txt").read_bytes()


def paeth(channels):
    samples = np.random.default_rng(4).integers(0, 65536, (HEIGHT, WIDTH, channels), np.uint16)
    return cv2.imencode(".png", samples, [cv2.IMWRITE_PNG_FILTER, 128])[1].tobytes()


CASES = {
    "flow.flo": (read_flow, lambda p: written(write_flow, "s.flo", p, 2)),
    "flow.pfm": (read_flow, lambda p: written(write_flow, "s.pfm", p, 2)),
    "flow.npy": (read_flow, lambda p: written(write_flow, "s.npy", p, 2)),
    "flow.png": (read_flow, lambda p: written(write_flow, "s.png", p, 2)),
    "paeth.png": (read_flow, lambda p: paeth(3)),
    "teacher.png": (read_teacher_flow, lambda p: written(write_flow, "s.png", p, 2)),
    "disparity.png": (read_disparity, lambda p: written(write_disparity, "s.png", p, 1)),
    "disparity.npy": (read_disparity, lambda p: written(write_disparity, "s.npy", p, 1)),
    "disparity.pfm": (read_disparity, lambda p: written(write_disparity, "s.pfm", p, 1)),
    "big.pfm": (read_pfm, lambda p: written(write_pfm, "s.pfm", p, 3, big_endian=True)),
    "a.png": (read_image, lambda p: picture("PNG")),
    "palette.png": (read_image, lambda p: picture("PNG", "P", transparency=3)),
    "alpha.png": (read_image, lambda p: picture("PNG", "RGBA")),
    "deep.png": (read_image, lambda p: paeth(4)),
    "bits.png": (read_image, lambda p: picture("PNG", "1")),
    "a.jpg": (read_image, lambda p: picture("JPEG")),
    "progressive.jpg": (read_image, lambda p: picture("JPEG", progressive=True)),
    "a.bmp": (read_image, lambda p: picture("BMP")),
    "palette.bmp": (read_image, lambda p: picture("BMP", "P")),
    "a.ppm": (read_image, lambda p: picture("PPM")),
    "deep.ppm": (read_image, lambda p: b"P6\n17 12\n1000\n" + b"\1\2" * (HEIGHT * WIDTH * 3)),
    "text.pgm": (read_image, lambda p: b"P2\n3 2\n255\n1 2 3\n4 5 6\n"),
    "a.webp": (read_image, lambda p: picture("WEBP", lossless=True)),
    "lossy.webp": (read_image, lambda p: picture("WEBP", "RGBA")),
    "matches.txt": (read_matches, lambda p: matches_file(p)),
    "six.txt": (read_matches, lambda p: b"4 4 12.5 9 0.25 7\n" * 12),
}


def damage(data, rng):
    """One of: cut, bytes overwritten (half of the time in the header), removed or inserted."""
    data = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    reach = min(len(data), 64) if rng.random() < 0.5 else len(data)
    for _ in range(rng.integers(1, 5)):
        at = rng.integers(reach)
        if kind == 1:
            data[at : at + 1] = bytes([rng.choice([0, 1, 127, 128, 255, rng.integers(256)])])
        elif kind == 2:
            del data[at : at + rng.integers(1, 9)]
        else:
            data[at:at] = rng.bytes(rng.integers(1, 9))
    return bytes(data)


def mend(data):
    """The same PNG with right check sums, as far as its chunks can be followed."""
    data, at = bytearray(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4)
        at = end + 4
    return bytes(data)


def check(result):
    """Whatever is returned can be used: shapes belong together, no NaN, no infinity."""
    if isinstance(result, tuple):
        values, mask = result
        assert values.dtype == mask.dtype == np.float32
        assert mask.shape == (*values.shape[:2], 1) and values.shape[-1] in (1, 2)
        assert np.isfinite(values).all() and set(np.unique(mask)) <= {0, 1}
    elif result.ndim == 2:
        assert result.shape[1] == 5 and result.dtype == np.float32 and np.isfinite(result).all()
    else:
        assert result.ndim == 3 and result.shape[-1] == 3 and result.size
        assert result.dtype in (np.uint8, np.float32)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # pillow may warn about what it repairs
def test_damaged_files(name, tmp_path):
    read, make = CASES[name]
    good = make(tmp_path)
    path = tmp_path / name
    path.write_bytes(good)
    check(read(path))
    rng = np.random.default_rng(sum(name.encode()))
    refused = 0
    if read is not read_image:  # pillow allocates in C, unseen, and is slow when traced
        tracemalloc.start()
    try:
        for _ in range(TRIALS):
            data = damage(good, rng)
            # With their sums mended, damaged PNGs get past the first check, into the decoders.
            mended = name.endswith(".png") and rng.random() < 0.7
            path.write_bytes(mend(data) if mended else data)
            for reader in [read, image_size] if read is read_image else [read]:
                try:
                    result = reader(path)
                except FormatError as error:
                    refused += 1
                    assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
                else:
                    if reader is not image_size:
                        check(result)
                    else:
                        assert min(result) >= 1
        assert tracemalloc.get_traced_memory()[1] < LARGEST  # 0 when not started
    finally:
        tracemalloc.stop()
    assert refused > TRIALS // 10


@pytest.mark.parametrize("name", CASES)
def test_random_bytes_and_files_of_another_format(name, tmp_path):
    read, _ = CASES[name]
    rng = np.random.default_rng(0)
    path = tmp_path / name
    texts = [b"\0", b"\n", b"\xff" * 99, b"<html></html>", b"\x1f\x8b\x08", b"PK\3\4", b"GIF89a"]
    for data in [*texts, *(rng.bytes(n) for n in (1, 7, 8, 12, 64, 999))]:
        path.write_bytes(data)
        if read is read_matches and not data.split():
            assert read(path).shape == (0, 5)
            continue
        with pytest.raises(FormatError):
            read(path)
