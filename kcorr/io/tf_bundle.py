"""TensorFlow's checkpoint bundles (format V2), read with numpy alone.

A bundle is `<prefix>.index` and one or more `<prefix>.data-SSSSS-of-NNNNN`. The index is a sorted
string table in LevelDB's format: blocks of prefix-compressed (key, value) pairs, each followed by a
type byte and a check sum, an index block of their places, and a footer of 48 bytes. The key "" has
a BundleHeaderProto, every other key is a tensor's name with a BundleEntryProto. The data files are
the tensors' bytes. All check sums are CRC-32C, stored "masked".

Source of the format: TensorFlow's tensor_bundle.proto and LevelDB's table format document.
"""

import math
import os
from typing import NamedTuple

import numpy as np

from kcorr.io._bytes import read_bytes, reading_error
from kcorr.io._crc32c import masked_crc32c
from kcorr.io._errors import FormatError

_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
_FOOTER = 48
_TRAILER = 5  # type byte and check sum after each block
_MAX_INDEX = 2**26  # bytes, of the file and of all names together; the authors' have 5,000
_MAX_VALUES = 2**31
# The numbers are those of TensorFlow's types.proto.
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    9: "int64",
    10: "bool",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}


class BundleEntry(NamedTuple):
    """What the index says of one tensor, and where its bytes lie."""

    dtype: str  # a numpy name, or "type <number>" for what this reader does not read
    shape: tuple[int, ...]
    file: str
    offset: int
    size: int
    checksum: int
    big_endian: bool


def bundle_prefix(path):
    """The prefix of a bundle, given as such or as the name of one of its files."""
    path = os.fspath(path)
    for suffix in (".index", ".meta"):
        if path.endswith(suffix):
            return path[: -len(suffix)]
    head, dot, tail = path.rpartition(".data-")
    return head if dot and "-of-" in tail else path


def read_bundle_index(prefix):
    """Lists the tensors of a bundle; the data files are not needed.

    Args:
        prefix: the path without `.index`; a name of one of the bundle's files is understood too.

    Returns:
        A dict from name to `BundleEntry`.

    Raises:
        FileNotFoundError: there is no `<prefix>.index`.
        FormatError: it is not a sound index.
    """
    prefix = bundle_prefix(prefix)
    path = prefix + ".index"
    data = read_bytes(path)
    if len(data) > _MAX_INDEX:
        raise FormatError(path, f"has {len(data)} bytes", f"an index of at most {_MAX_INDEX}")
    try:
        table = _read_table(data)
        if "" not in table:
            raise _Damaged("a sorted string table without a bundle's header")
        header = _fields(table.pop(""))
        shards = _number(header.get(1, [0])[-1])
        big_endian = header.get(2, [0])[-1] == 1
        return {
            name: _read_entry(name, value, prefix, shards, big_endian)
            for name, value in table.items()
        }
    except _Damaged as error:
        raise FormatError(path, str(error), "the index of a TensorFlow V2 checkpoint") from None


def read_bundle(prefix, names=None):
    """Reads tensors of a bundle.

    Args:
        prefix: as in `read_bundle_index`.
        names: the tensors to read; None is all.

    Returns:
        A dict from name to array, with the dtype and shape as stored.

    Raises:
        FileNotFoundError: the index or a data file does not exist.
        FormatError: the index is not sound, a name is not in it, a tensor has a type without a
            numpy counterpart, a data file is truncated, or a check sum differs.
    """
    entries = read_bundle_index(prefix)
    index = bundle_prefix(prefix) + ".index"
    names = list(entries if names is None else names)
    absent = [name for name in names if name not in entries]
    if absent:
        raise FormatError(index, f"there is no tensor {', '.join(absent)}")
    tensors = {}
    for file in {entries[name].file: None for name in names}:
        inside = [name for name in names if entries[name].file == file]
        needed = max(entries[name].offset + entries[name].size for name in inside)
        try:
            stored = os.path.getsize(file)
            if stored < needed:
                raise FormatError(
                    file, f"truncated: {stored} bytes", f"at least {needed} bytes by its index"
                )
            with open(file, "rb") as handle:
                for name in inside:
                    tensors[name] = _read_tensor(handle, name, entries[name])
        except OSError as error:
            raise reading_error(file, error) from error
    return {name: tensors[name] for name in names}


def _read_tensor(handle, name, entry):
    if entry.dtype.startswith("type "):
        raise FormatError(entry.file, f"{name} has {entry.dtype}", "numbers that numpy has")
    handle.seek(entry.offset)
    data = handle.read(entry.size)
    if len(data) != entry.size:
        raise FormatError(entry.file, f"truncated: {name} has {len(data)} of {entry.size} bytes")
    if masked_crc32c(data) != entry.checksum:
        raise FormatError(entry.file, f"damaged: the check sum of {name} differs")
    dtype = np.dtype(entry.dtype)
    values = np.frombuffer(data, dtype.newbyteorder(">" if entry.big_endian else "<"))
    return values.astype(dtype).reshape(entry.shape)


class _Damaged(Exception):
    """What is wrong with an index; the caller adds the file's name."""


def _read_entry(name, value, prefix, shards, big_endian):
    fields = _fields(value)
    if 7 in fields:
        raise _Damaged(f"{name} is stored in slices (a partitioned variable)")
    dtype = fields.get(1, [0])[-1]
    shard = fields.get(3, [0])[-1]
    offset, size = fields.get(4, [0])[-1], fields.get(5, [0])[-1]
    shape = []
    for message in fields.get(2, []):
        for dimension in _fields(_bytes(message)).get(2, []):
            shape.append(_number(_fields(_bytes(dimension)).get(1, [0])[-1]))
    checksum = _bytes(fields.get(6, [bytes(4)])[-1])
    if not all(isinstance(number, int) for number in (dtype, shard, offset, size)):
        raise _Damaged(f"the entry of {name} is garbled")
    if len(shape) > 32 or math.prod(max(side, 1) for side in shape) > _MAX_VALUES:
        raise _Damaged(f"{name} has an absurd shape, {shape[:32]}")
    if shard >= max(shards, 1):
        raise _Damaged(f"{name} is in data file {shard + 1} of {shards}")
    known = _DTYPES.get(dtype, f"type {dtype}")
    if dtype in _DTYPES and size != math.prod(shape) * np.dtype(known).itemsize:
        raise _Damaged(f"{name} has {size} bytes for {known} {shape}")
    file = f"{prefix}.data-{shard:05d}-of-{shards:05d}"
    checksum = int.from_bytes(checksum, "little")
    return BundleEntry(known, tuple(shape), file, offset, size, checksum, big_endian)


def _number(value):
    if not isinstance(value, int):
        raise _Damaged("a number is garbled")
    return value


def _bytes(value):
    if not isinstance(value, bytes):
        raise _Damaged("a record is garbled")
    return value


def _read_table(data):
    """A sorted string table -> {key: value}, in order."""
    if len(data) < _FOOTER or data[-8:] != _MAGIC:
        raise _Damaged("does not end with the mark of a sorted string table")
    footer = data[-_FOOTER:-8]
    _, at = _handle(footer, 0)
    index, _ = _handle(footer, at)
    table, last, total, free = {}, None, 0, 0
    for _, value in _pairs(_block(data, index)):
        place, _ = _handle(value, 0)
        if place[0] < free:  # a block read twice would let a small file cost hours
            raise _Damaged("its blocks overlap")
        free = sum(place)
        for key, entry in _pairs(_block(data, place)):
            total += len(key)
            if (last is not None and key <= last) or total > _MAX_INDEX:
                raise _Damaged("its keys are not in order, or absurdly long")
            last = key
            try:
                table[key.decode()] = entry
            except UnicodeDecodeError:
                raise _Damaged(f"{key[:40]!r} is not a name") from None
    return table


def _block(data, place):
    """The content of the block at (offset, size)."""
    offset, size = place
    end = offset + size
    if end + _TRAILER > len(data):
        raise _Damaged(f"truncated: a block of {size} bytes at {offset} in {len(data)} bytes")
    kind = data[end]
    if masked_crc32c(data[offset : end + 1]) != int.from_bytes(data[end + 1 : end + 5], "little"):
        raise _Damaged(f"the check sum of the block at {offset} differs")
    if kind:
        raise _Damaged(f"the block at {offset} is compressed (type {kind}, 1 is Snappy)")
    return data[offset:end]


def _pairs(block):
    """The (key, value) pairs of a block; a key shares its beginning with the one before."""
    if len(block) < 4:
        raise _Damaged("a block is too short")
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise _Damaged("a block is too short for its restart points")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        size, at = _varint(block, at)
        if shared > len(key) or at + fresh + size > end:
            raise _Damaged("a key leaves its block")
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + size]
        at += size


def _handle(data, at):
    """((offset, size), position after it)."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _varint(data, at):
    """(number, position after it) of a base-128 number of at most 64 bits."""
    number = 0
    for i, byte in enumerate(data[at : at + 10]):
        number |= (byte & 127) << (7 * i)
        if byte < 128:
            return number, at + i + 1
    raise _Damaged("a number is cut short")


def _fields(message):
    """A protocol buffer -> {field number: [value, ...]}; sub-messages and fixed sizes as bytes."""
    fields, at = {}, 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
        else:
            if wire == 2:
                size, at = _varint(message, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise _Damaged(f"a record has the unknown wire type {wire}")
            if at + size > len(message):
                raise _Damaged("a record is cut short")
            value, at = message[at : at + size], at + size
        fields.setdefault(key >> 3, []).append(value)
    return fields
