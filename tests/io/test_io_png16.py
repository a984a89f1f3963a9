"""The own 16-bit PNG codec against OpenCV and against filters written out pixel by pixel."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from kcorr.io import FormatError, read_flow, read_image
from kcorr.io._png import decode_png16, encode_png16

PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
          (1, 0, 2, 1)]  # fmt: skip


def noisy(shape, seed=0):
    """Smooth enough for encoders to choose every filter, noisy enough to use every bit."""
    rng = np.random.default_rng(seed)
    y, x, c = np.ogrid[: shape[0], : shape[1], : shape[2]]
    smooth = 30000 + 9000 * np.sin(y / 9 + c) + 150 * x
    return (smooth + rng.normal(0, 40, shape)).astype(np.uint16)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(height, width, colour, filtered, *, depth=16, interlace=0, extra=b"", parts=1):
    """A PNG file put together by hand; the pixels in `parts` IDAT chunks."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    stream = zlib.compress(filtered)
    step = -(-len(stream) // parts)
    pixels = b"".join(chunk(b"IDAT", stream[k : k + step]) for k in range(0, len(stream), step))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + pixels + chunk(b"IEND", b"")


def filter_rows(rows, kinds, step):
    """The five filters of the PNG standard, byte by byte."""
    out, above = bytearray(), bytes(len(rows[0]))
    for row, kind in zip(rows, kinds, strict=True):
        out.append(kind)
        for k, value in enumerate(row):
            left = row[k - step] if k >= step else 0
            up = above[k]
            corner = above[k - step] if k >= step else 0
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda near: abs(guess - near))
            predicted = [0, left, up, (left + up) // 2, paeth][kind]
            out.append((value - predicted) % 256)
        above = row
    return bytes(out)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("filters", [8, 16, 32, 64, 128, 248])
@pytest.mark.parametrize("strategy", [0, 1, 2, 3, 4])
def test_reads_what_opencv_writes(channels, filters, strategy):
    samples = noisy((37, 51, channels), seed=filters + strategy)
    stored = cv2.cvtColor(samples, {1: cv2.COLOR_GRAY2BGR, 3: cv2.COLOR_RGB2BGR,
                                    4: cv2.COLOR_RGBA2BGRA}[channels])  # fmt: skip
    stored = samples if channels == 1 else stored
    options = [cv2.IMWRITE_PNG_FILTER, filters, cv2.IMWRITE_PNG_STRATEGY, strategy]
    done, data = cv2.imencode(".png", stored, options)
    assert done
    np.testing.assert_array_equal(decode_png16(data.tobytes(), "a.png"), samples)


@pytest.mark.parametrize("size", [(37, 51), (1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_opencv_reads_what_is_written(size, channels):
    samples = noisy((*size, channels))
    read = cv2.imdecode(np.frombuffer(encode_png16(samples), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint16
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    np.testing.assert_array_equal(read.reshape(samples.shape), samples[..., order])


@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_every_filter_of_the_standard(channels, colour):
    samples = noisy((15, 7, channels))
    rows = [row.astype(">u2").tobytes() for row in samples]
    filtered = filter_rows(rows, [k % 5 for k in range(15)], 2 * channels)
    for parts in (1, 3):
        data = png(15, 7, colour, filtered, parts=parts)
        np.testing.assert_array_equal(decode_png16(data, "a.png"), samples)
    np.testing.assert_array_equal(decode_png16(encode_png16(samples), "a.png"), samples)


@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
@pytest.mark.parametrize("size", [(13, 17), (1, 1), (2, 9), (8, 8), (7, 1), (3, 5)])
def test_interlaced(channels, colour, size):
    samples = noisy((*size, channels))
    filtered = b""
    for top, left, down, right in PASSES:
        part = samples[top::down, left::right]
        if part.size:
            rows = [row.astype(">u2").tobytes() for row in part]
            filtered += filter_rows(rows, [(k + 4) % 5 for k in range(len(rows))], 2 * channels)
    data = png(*size, colour, filtered, interlace=1)
    np.testing.assert_array_equal(decode_png16(data, "a.png"), samples)


def test_a_transparent_colour_becomes_an_alpha_channel():
    rows = [struct.pack(">6H", 1, 2, 3, 1, 2, 4)]
    data = png(
        1, 2, 2, filter_rows(rows, [0], 6), extra=chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    )
    np.testing.assert_array_equal(decode_png16(data, "a.png"), [[[1, 2, 3, 0], [1, 2, 4, 65535]]])


ONE_ROW = b"\0" + bytes(12)  # 2 x 1 pixels of 16-bit RGB


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (png(1, 2, 2, ONE_ROW)[:-5], "truncated"),
        (png(1, 2, 2, ONE_ROW)[:-12], "without its end chunk"),
        (png(1, 2, 2, ONE_ROW)[:50], "truncated inside the chunk b'IDAT'"),
        (png(1, 2, 2, ONE_ROW)[:20], "truncated inside the chunk b'IHDR'"),
        (
            png(1, 2, 2, ONE_ROW).replace(b"\0\0\0\2", b"\0\0\0\3", 1),
            "check sum of the chunk b'IHDR'",
        ),
        (png(1, 3, 2, ONE_ROW), "truncated: the pixels decompress to other than 19 bytes"),
        (png(1, 1, 2, ONE_ROW), "too long: the pixels decompress to other than 7 bytes"),
        (png(1, 2, 2, b"\5" + bytes(12)), "filters 0 to 4"),
        (png(0, 2, 2, ONE_ROW), "2x0; expected at least 1x1"),
        (png(2**31, 2**31 - 1, 2, ONE_ROW), "expected at most"),
        (png(2**14, 2**14, 2, ONE_ROW), "hold at most"),
        (png(2**14, 2**14, 2, np.random.default_rng(0).bytes(2**21)), "decompression bomb"),
        (png(1, 2, 5, ONE_ROW), "colour type 5"),
        (png(1, 2, 3, ONE_ROW), "depth 16, colour type 3"),
        (png(1, 2, 2, ONE_ROW, interlace=2), "interlace 2"),
        (png(1, 2, 2, ONE_ROW, extra=chunk(b"tRNS", b"ab")), "tRNS"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b""), "no header"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "no header"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, data, says):
    path = tmp_path / "broken.png"
    path.write_bytes(data)
    for read in (read_flow, read_image):
        with pytest.raises(FormatError, match=r"broken\.png: ") as caught:
            read(path)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (8, 0), (8, 3), (8, 2)])
def test_8_bit_pixels_that_the_file_cannot_hold(tmp_path, depth, colour):
    """pillow would make all rows, black ones, and take seconds."""
    path = tmp_path / "tall.png"
    path.write_bytes(png(2**20, 17, colour, bytes(400), depth=depth))
    with pytest.raises(FormatError, match=r"tall\.png: truncated: the header asks for \d+ bytes"):
        read_image(path)


def test_pixels_as_well_compressed_as_possible_are_read(tmp_path):
    (tmp_path / "a.png").write_bytes(png(4000, 4096, 0, bytes(4000 * 513), depth=1))
    assert read_image(tmp_path / "a.png").shape == (4000, 4096, 3)


def test_pixels_that_do_not_decompress():
    data = png(1, 2, 2, ONE_ROW)
    stream = zlib.compress(ONE_ROW)
    broken = data.replace(chunk(b"IDAT", stream), chunk(b"IDAT", b"\xff" + stream[1:]))
    assert broken != data
    with pytest.raises(FormatError, match="do not decompress"):
        decode_png16(broken, "a.png")


def test_a_bomb_inside_a_small_header_stays_small():
    # 2 x 1 pixels in the header, a hundred million bytes in the stream.
    data = png(1, 2, 2, bytes(10**8))
    with pytest.raises(FormatError, match="too long"):
        decode_png16(data, "a.png")
