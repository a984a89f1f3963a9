"""Writes TensorFlow V2 checkpoint bundles in plain Python, sound ones and deliberately odd ones."""

import numpy as np

from kcorr.io._crc32c import masked_crc32c

DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """One field of a protocol buffer: an integer as varint, bytes with their length."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def entry(dtype, shape, offset, size, checksum, more=b""):
    dimensions = b"".join(field(2, field(1, side)) for side in shape)
    return (
        field(1, dtype)
        + field(2, dimensions)
        + field(4, offset)
        + field(5, size)
        + bytes([6 << 3 | 5])
        + checksum.to_bytes(4, "little")
        + more
    )


def block(pairs):
    """Pairs (key, value) with their shared beginnings left out, one restart point."""
    out, last = bytearray(), b""
    for key, value in pairs:
        shared = 0
        while key[: shared + 1] == last[: shared + 1] and shared < min(len(last), len(key)):
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:]
        out += value
        last = key
    return bytes(out) + bytes(4) + (1).to_bytes(4, "little")


def table(pairs, kind=0, per_block=40):
    """A sorted string table of (key, value) pairs."""
    file, index = bytearray(), []

    def append(content):
        place = varint(len(file)) + varint(len(content))
        content += bytes([kind])
        file.extend(content + masked_crc32c(content).to_bytes(4, "little"))
        return place

    for start in range(0, len(pairs), per_block):
        some = pairs[start : start + per_block]
        index.append((some[-1][0], append(block(some))))
    footer = append(block([])) + append(block(index))
    return bytes(file) + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")


HEADER = (b"", field(1, 1) + field(3, field(1, 1)))


def write_bundle(prefix, tensors):
    """Writes `{name: array}` as one bundle."""
    pairs, data = [HEADER], bytearray()
    for name in sorted(tensors):
        values = np.asarray(tensors[name])
        content = values.tobytes()
        place = len(data), len(content), masked_crc32c(content)
        pairs.append((name.encode(), entry(DTYPES[values.dtype.name], values.shape, *place)))
        data += content
    with open(f"{prefix}.data-00000-of-00001", "wb") as file:
        file.write(data)
    with open(f"{prefix}.index", "wb") as file:
        file.write(table(pairs))
    return str(prefix)
