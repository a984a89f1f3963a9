"""16-bit PNG files, every bit of them.

pillow keeps only the high byte of a 16-bit colour PNG, and KITTI stores flow in all 16. This file
reads the chunks itself and has pillow's C decoder undo the filters twice: once keeping the high
bytes and once, by calling the pixels little-endian, keeping the low ones. So the sequential
filters (average, Paeth) and interlacing cost no Python loop; 375x1242 KITTI flow takes 20-30 ms.
"""

import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from kcorr.io._bytes import check_compression, check_size
from kcorr.io._errors import FormatError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type of the header
_COLOUR_NAMES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey + alpha", 6: "RGB + alpha"}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Adam7: first row, first column, row step, column step of each pass.
_PASSES = (
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)
)  # fmt: skip
# 4 is 3-6 times faster than 6 on KITTI flow for 4 % more bytes.
_COMPRESSION = 4
# What deflate makes of one byte at most, so that a false size is told before it costs memory.
_MOST_INFLATED = 1032


@dataclass(frozen=True)
class PngHeader:
    """What the IHDR chunk says."""

    height: int
    width: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def channels(self):
        """Samples of a pixel as stored (1 for a palette)."""
        return _CHANNELS[self.colour]

    def __str__(self):
        article = "an" if self.depth == 8 else "a"
        return f"{article} {self.depth}-bit {_COLOUR_NAMES[self.colour]} PNG"


def png_header(data, path):
    """The checked header of a PNG file's bytes.

    Raises:
        FormatError: no PNG, or a header that no PNG can have.
    """
    if not data.startswith(SIGNATURE):
        raise FormatError(path, f"begins with {data[:8]!r}", "the signature of a PNG file")
    name, body = next(_chunks(data, path), (None, b""))
    if name != b"IHDR" or len(body) != 13:
        raise FormatError(path, "the first chunk is no header", "IHDR with 13 bytes")
    width, height, depth, colour, method, filters, interlace = struct.unpack(">IIBBBBB", body)
    check_size(path, height, width)
    if depth not in _DEPTHS.get(colour, ()) or method or filters or interlace > 1:
        raise FormatError(
            path,
            f"the header says depth {depth}, colour type {colour}, compression {method}, "
            f"filter {filters}, interlace {interlace}",
            "a combination of the PNG standard",
        )
    return PngHeader(height, width, depth, colour, bool(interlace))


def check_png(data, path):
    """Refuses a PNG file that is cut short, has a damaged chunk or by far too few pixels.

    pillow shows what it can of such files, and black for the rest.

    Raises:
        FormatError: the chunk and what is wrong with it, or the size that cannot be true.
    """
    stored = sum(len(body) for name, body in _chunks(data, path) if name == b"IDAT")
    _check_inflation(path, _filtered_size(png_header(data, path)), stored)


def decode_png16(data, path):
    """The bytes of a 16-bit PNG file -> [h, w, c] uint16, c as stored (grey 1 ... RGBA 4).

    A transparent colour (tRNS) adds an alpha channel.

    Raises:
        FormatError: not a PNG, not 16-bit, truncated, damaged, or of an absurd size.
    """
    header = png_header(data, path)
    if header.depth != 16:
        raise FormatError(path, f"is {header}", "16 bits")
    compressed, transparent = [], None
    for name, body in _chunks(data, path):
        if name == b"IDAT":
            compressed.append(body)
        elif name == b"tRNS":
            transparent = body
    samples = _unfilter(_inflate(b"".join(compressed), header, path), header, path)
    if transparent is None or header.colour not in (0, 2):
        return samples
    if len(transparent) != 2 * header.channels:
        raise FormatError(path, "the transparent colour (tRNS) has a wrong length")
    hidden = np.all(samples == np.frombuffer(transparent, ">u2"), axis=-1, keepdims=True)
    return np.concatenate([samples, np.where(hidden, 0, 65535).astype(np.uint16)], axis=-1)


def encode_png16(samples):
    """[h, w, 1..4] uint16 (grey, grey + alpha, RGB, RGBA) -> the bytes of a PNG file."""
    height, width, channels = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.ascontiguousarray(samples, ">u2").view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    step = 2 * channels
    filtered[:, 0] = 1  # filter "sub": each byte minus that of the pixel to its left
    filtered[:, 1 : 1 + step] = rows[:, :step]
    filtered[:, 1 + step :] = rows[:, step:] - rows[:, :-step]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(filtered.tobytes(), _COMPRESSION)),
            (b"IEND", b""),
        )
    )


def _chunks(data, path):
    """Yields (name, body) up to IEND; checks lengths, and the sums of chunks that count.

    A chunk with a small first letter is ancillary (text, time, ...): a wrong sum there is no reason
    to lose a picture.
    """
    position = len(SIGNATURE)
    while True:
        body = position + 8
        if body > len(data):
            raise FormatError(path, "truncated: the PNG ends without its end chunk")
        length, name = struct.unpack(">I4s", data[position:body])
        position = body + length + 4
        if position > len(data):
            raise FormatError(path, f"truncated inside the chunk {name!r} of {length} bytes")
        (stored,) = struct.unpack(">I", data[position - 4 : position])
        if name[:1].isupper() and stored != zlib.crc32(data[body - 4 : position - 4]):
            raise FormatError(path, f"damaged: the check sum of the chunk {name!r} is wrong")
        if name == b"IEND":
            return
        yield name, data[body : position - 4]


def _filtered_size(header):
    """Bytes of all rows, each with the number of its filter in front."""
    needed = 0
    for top, left, down, right in _PASSES if header.interlaced else ((0, 0, 1, 1),):
        rows = math.ceil((header.height - top) / down)
        columns = math.ceil((header.width - left) / right)
        if rows > 0 and columns > 0:
            needed += rows * (1 + math.ceil(columns * header.channels * header.depth / 8))
    return needed


def _check_inflation(path, needed, stored):
    if needed > _MOST_INFLATED * stored:
        raise FormatError(
            path,
            f"truncated: the header asks for {needed} bytes of pixels, {stored} compressed ones "
            f"hold at most {_MOST_INFLATED * stored}",
        )


def _inflate(compressed, header, path):
    """The filtered rows, exactly as many bytes as the header asks for."""
    needed = _filtered_size(header)
    _check_inflation(path, needed, len(compressed))
    check_compression(path, needed, len(compressed))
    stream = zlib.decompressobj()
    try:
        filtered = stream.decompress(compressed, needed + 1)
    except zlib.error as error:
        raise FormatError(path, f"damaged: the pixels do not decompress ({error})") from error
    if len(filtered) != needed:
        what = "truncated" if len(filtered) < needed else "too long"
        raise FormatError(path, f"{what}: the pixels decompress to other than {needed} bytes")
    return filtered


def _unfilter(filtered, header, path):
    """Filtered rows -> [h, w, c] uint16."""
    size = (header.width, header.height)
    # The decoder wants a zlib stream; level 0 only wraps.
    wrapped = zlib.compress(filtered, 0)

    def decode(mode, raw_mode):
        try:
            image = Image.frombytes(mode, size, wrapped, "zip", raw_mode, int(header.interlaced))
        except ValueError as error:
            raise FormatError(
                path, f"damaged: {error}", "filters 0 to 4 before each row"
            ) from error
        return np.asarray(image)

    if header.channels <= 2:
        # One or two 16-bit samples have the width of two or four bytes, filters included.
        mode = "LA" if header.channels == 1 else "RGBA"
        samples = np.ascontiguousarray(decode(mode, mode)).view(">u2")
        return samples.astype(np.uint16)
    mode = "RGB" if header.channels == 3 else "RGBA"
    high = decode(mode, mode + ";16B")
    return high.astype(np.uint16) << 8 | decode(mode, mode + ";16L")
