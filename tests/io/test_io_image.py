"""Pictures: depth, palette, grey, alpha, orientation, and files that are none."""

import io
import struct
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from kcorr.io import FormatError, image_size, read_image, write_image

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (11, 7, 3), np.uint8)
GREY = RGB[..., :1]


def smooth(height=64, width=96):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 2, y * 3, x + y], -1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".ppm", ".bmp", ".webp"])
@pytest.mark.parametrize("image", [RGB, GREY, RGB[:1, :1]])
def test_lossless_formats_round_trip(tmp_path, suffix, image):
    path = tmp_path / f"a{suffix}"
    write_image(path, image)
    read = read_image(path)
    assert read.dtype == np.uint8 and read.flags.writeable and read.flags.c_contiguous
    np.testing.assert_array_equal(read, np.broadcast_to(image, (*image.shape[:2], 3)))
    assert image_size(path) == image.shape[:2]
    # OpenCV agrees about the pixels (its order is blue, green, red).
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], read)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_is_near(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_image(path, smooth())
    assert np.abs(read_image(path).astype(int) - smooth()).mean() < 3
    assert image_size(path) == (64, 96)


def test_the_content_counts_and_not_the_suffix(tmp_path):
    write_image(tmp_path / "a.png", RGB)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), RGB)


def test_grey_and_colour_convert_into_each_other(tmp_path):
    write_image(tmp_path / "a.pgm", GREY)
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm", channels=1), GREY)
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm"), np.repeat(GREY, 3, -1))
    write_image(tmp_path / "b.png", RGB)
    luma = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(read_image(tmp_path / "b.png", channels=1)[..., 0] - luma).max() <= 1
    exact = (RGB @ [0.299, 0.587, 0.114])[..., None] / 255
    read = read_image(tmp_path / "b.png", channels=1, dtype="float32")
    np.testing.assert_allclose(read, exact, atol=1e-6)


def test_float32_is_the_byte_over_255(tmp_path):
    write_image(tmp_path / "a.png", RGB)
    read = read_image(tmp_path / "a.png", dtype="float32")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, RGB.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_rounded_to_8_or_kept_as_floats(tmp_path, channels):
    deep = RNG.integers(0, 65536, (9, 8, channels), np.uint16)
    deep[0, 0], deep[0, 1] = 0, 65535
    write_image(tmp_path / "a.png", deep)
    white = np.broadcast_to(deep, (9, 8, 3)) / 65535
    read = read_image(tmp_path / "a.png", dtype="float32")
    np.testing.assert_allclose(read, white, atol=1e-7)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rint(white * 255))


@pytest.mark.parametrize("kind", [b"P5", b"P6"])
@pytest.mark.parametrize("white", [1, 100, 255, 256, 1023, 65535])
def test_binary_pnm_of_any_depth(tmp_path, kind, white):
    channels = 1 if kind == b"P5" else 3
    samples = RNG.integers(0, white + 1, (3, 4, channels))
    samples[0, 0] = white
    header = kind + b" # a comment\n# another 7 7\n4\t3\n" + str(white).encode() + b"\n"
    pixels = samples.astype(">u2" if white > 255 else np.uint8).tobytes()
    (tmp_path / "a.ppm").write_bytes(header + pixels)
    truth = np.broadcast_to(samples, (3, 4, 3)) / white
    read = read_image(tmp_path / "a.ppm", dtype="float32")
    np.testing.assert_allclose(read, truth, atol=1e-6)
    # A 10-bit value may lie half-way between two bytes; float32 may then decide either way.
    assert np.abs(read_image(tmp_path / "a.ppm") - truth * 255).max() <= 0.5 + 1e-4


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("P1\n3 1\n1 0 1\n", [0, 255, 0]),  # in a bitmap 1 is black
        ("P2\n3 1\n255\n0 7 255\n", [0, 7, 255]),
        ("P2\n3 1\n65535\n0 32768 65535\n", [0, 128, 255]),
        ("P3\n1 1\n255\n9 8 7\n", [[9, 8, 7]]),
    ],
)
def test_plain_text_pnm(tmp_path, text, row):
    (tmp_path / "a.pgm").write_text(text)
    row = np.array(row, np.uint8)
    expected = row if row.ndim == 2 else np.repeat(row[:, None], 3, -1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm")[0], expected)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparent_pictures_are_laid_on_white(tmp_path, suffix):
    image = np.zeros((1, 3, 4), np.uint8)
    image[0, :, :3] = 100, 150, 200
    image[0, :, 3] = 255, 0, 51  # a fifth
    write_image(tmp_path / f"a{suffix}", image)
    read = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read, [[[100, 150, 200], [255] * 3, [224, 234, 244]]])


def test_transparency_of_grey_palette_and_16_bits(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[[10, 255], [10, 0]]], np.uint8), "LA").save(path)
    np.testing.assert_array_equal(read_image(path, channels=1)[0, :, 0], [10, 255])
    Image.fromarray(np.array([[10, 20]], np.uint8)).save(path, transparency=20)
    np.testing.assert_array_equal(read_image(path, channels=1)[0, :, 0], [10, 255])
    palette = Image.new("P", (2, 1))
    palette.putpalette([1, 2, 3, 4, 5, 6])
    palette.putpixel((1, 0), 1)
    palette.save(path)
    np.testing.assert_array_equal(read_image(path)[0], [[1, 2, 3], [4, 5, 6]])
    palette.save(path, transparency=0)
    np.testing.assert_array_equal(read_image(path)[0], [[255] * 3, [4, 5, 6]])
    palette.save(path, transparency=bytes([255, 0]))
    np.testing.assert_array_equal(read_image(path)[0], [[1, 2, 3], [255] * 3])
    deep = np.full((1, 2, 4), 1000, np.uint16)
    deep[0, :, 3] = 65535, 0
    write_image(path, deep)
    read = read_image(path, dtype="float32")
    np.testing.assert_allclose(read[0, :, 0], [1000 / 65535, 1], atol=1e-6)


def test_bilevel_palette_and_cmyk(tmp_path):
    Image.fromarray(GREY[..., 0] > 127).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png", channels=1), (GREY > 127) * np.uint8(255)
    )
    Image.fromarray(smooth()).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - smooth()).mean() < 5


def test_orientation_tags_are_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    Image.fromarray(smooth()).save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert read_image(tmp_path / "a.jpg").shape == smooth().shape
    assert image_size(tmp_path / "a.jpg") == (64, 96)


def test_floats_and_masks_are_written_with_8_bits(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, np.array([[0.0, 0.5, 1.0 + 1e-3, -1e-3]]))
    np.testing.assert_array_equal(read_image(path)[0, :, 0], [0, 128, 255, 0])
    write_image(path, np.array([[True, False]]))
    np.testing.assert_array_equal(read_image(path)[0, :, 0], [255, 0])


@pytest.mark.parametrize(
    ("name", "image", "says"),
    [
        ("a.png", RGB * 1.0, "a float one from 0 to 255; expected floats in"),
        ("a.png", np.full((2, 2), np.nan), "float one from nan"),
        ("a.png", RGB.astype(int), "dtype int64"),
        ("a.png", np.zeros((2, 2, 2), np.uint8), r"shape [2, 2, 2]"),
        ("a.png", np.zeros((0, 2, 3), np.uint8), r"shape [0, 2, 3]"),
        ("a.png", np.zeros(3, np.uint8), r"shape [3]"),
        ("a.jpg", np.zeros((2, 2, 4), np.uint8), "no alpha"),
        ("a.jpg", np.zeros((2, 2, 3), np.uint16), "not written with 16 bits"),
        ("a.pgm", RGB, "a .pgm is grey"),
        ("a.tga", RGB, "'.tga' names no picture format"),
        ("a", RGB, "'' names no picture format"),
        ("a.webp", np.zeros((1, 20000, 3), np.uint8), "20000x1 cannot be written as WEBP"),
    ],
)
def test_an_array_that_cannot_be_written_is_refused(tmp_path, name, image, says):
    with pytest.raises(FormatError) as caught:
        write_image(tmp_path / name, image)
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def encoded(kind, **options):
    file = io.BytesIO()
    Image.fromarray(smooth()).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "PPM", "WEBP"])
def test_truncated_pictures_are_refused(tmp_path, kind):
    path = tmp_path / "cut.img"
    data = encoded(kind)
    for keep in (3, 11, 20, len(data) // 2, len(data) - 20):
        path.write_bytes(data[:keep])
        with pytest.raises(FormatError, match=r"cut\.img: "):
            read_image(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"this is a text\n", "begins with b'this is '; expected a picture: PNG"),
        (b"P6\n0 3\n255\n", "0x3"),
        (b"P6\n-1 3\n255\n", "header of a PGM or PPM"),
        (b"P6\n99999 99999\n255\n", "at most"),
        (b"P6\n9 9\n70000\n", "white is 70000"),
        (b"P6\n9 9\n255\nxx", "truncated: 2 bytes of pixels; expected 243 for 9x9"),
        (b"P5\n1 1\n100\n\xff", "a value of 255; expected at most 100"),
        (b"Pf\n1 1\n-1\n" + bytes(4), "begins with b'Pf"),
        (encoded("PNG").replace(b"\x08\x02\0\0\0", b"\x09\x02\0\0\0", 1), "check sum"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, data, says):
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"bad\.png: ") as caught:
        read_image(path)
    assert says in str(caught.value)


def test_a_small_file_cannot_claim_a_huge_picture(tmp_path):
    bitmap = bytearray(encoded("BMP"))
    bitmap[18:26] = struct.pack("<ii", 9000, 9000)
    path = tmp_path / "huge.bmp"
    path.write_bytes(bitmap)
    start = time.perf_counter()
    with pytest.raises(FormatError, match="decompression bomb"):
        read_image(path)
    bitmap[18:26] = struct.pack("<ii", 30000, 30000)
    path.write_bytes(bitmap)
    with pytest.raises(FormatError, match=r"huge\.bmp: the BMP is too large for pillow; expected"):
        image_size(path)
    assert time.perf_counter() - start < 0.5


def test_missing_files_folders_and_wrong_arguments(tmp_path):
    for read in (read_image, image_size):
        with pytest.raises(FileNotFoundError, match=r"gone\.png: no such file$"):
            read(tmp_path / "gone.png")
        with pytest.raises(IsADirectoryError, match="is a folder; expected a file"):
            read(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(FormatError, match="the file is empty"):
        image_size(tmp_path / "empty.png")
    write_image(tmp_path / "a.png", RGB)
    with pytest.raises(ValueError, match="channels is 2; expected 1 or 3"):
        read_image(tmp_path / "a.png", channels=2)
    with pytest.raises(ValueError, match="dtype is 'float16'"):
        read_image(tmp_path / "a.png", dtype="float16")
