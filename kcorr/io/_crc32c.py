"""CRC-32C (Castagnoli) of whole arrays, in numpy.

The check sum is linear over GF(2), so the data are cut into many equal lanes which advance a byte
at a time together, and the lanes' remainders are then joined pairwise: the left one is moved over
as many zero bytes as the right one is long, which is a linear map, and the two are added (XOR).
"""

import numpy as np

_POLYNOMIAL = 0x82F63B78  # reversed
_SHORT = 8192  # bytes


def masked_crc32c(data):
    """The check sum as LevelDB and TensorFlow store it: rotated by 15 bits, plus a constant."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data):
    """CRC-32C of bytes, an integer; 17 MB take about 0.3 s."""
    return (_bytewise if len(data) < _SHORT else _lanewise)(data)


def _bytewise(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE_LIST[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def _lanewise(data):
    """The same for at least four bytes, worth its overhead from `_SHORT` on."""
    lanes = 1 << (len(data).bit_length() // 2)
    steps = -(-len(data) // lanes)
    # Zeros in front do not change a remainder that starts at 0; the real start, all ones, is the
    # same as inverting the first four bytes.
    values = np.zeros(lanes * steps, np.uint8)
    values[-len(data) :] = np.frombuffer(data, np.uint8)
    start = lanes * steps - len(data)
    values[start : start + 4] ^= 255
    columns = np.ascontiguousarray(values.reshape(lanes, steps).T)
    crc = np.zeros(lanes, np.uint32)
    for column in columns:
        crc = (crc >> 8) ^ _TABLE[crc.astype(np.uint8) ^ column]
    shift = _over_zeros(steps)
    while len(crc) > 1:
        crc = _apply(shift, crc[0::2]) ^ crc[1::2]
        shift = _apply(shift, shift)
    return int(crc[0]) ^ 0xFFFFFFFF


def _byte_table():
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table.astype(np.uint32)


_TABLE = _byte_table()
_TABLE_LIST = _TABLE.tolist()


def _over_zeros(count):
    """The map that moves a remainder over `count` zero bytes: images of the 32 unit vectors."""
    result = np.uint32(1) << np.arange(32, dtype=np.uint32)
    power = (result >> 8) ^ _TABLE[result & 255]
    while count:
        if count & 1:
            result = _apply(power, result)
        power = _apply(power, power)
        count >>= 1
    return result


def _apply(images, vectors):
    """The linear map with the given images of the unit vectors, of each of `vectors`."""
    total = np.zeros_like(vectors)
    for bit in range(32):
        total ^= np.where(vectors >> np.uint32(bit) & 1, images[bit], np.uint32(0))
    return total
