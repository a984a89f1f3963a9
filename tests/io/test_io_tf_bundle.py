"""The reader of checkpoint bundles: written by hand, by TensorFlow's own op, and damaged."""

import time
import tracemalloc

import numpy as np
import pytest
from _bundle_writer import DTYPES, HEADER, entry, field, table, write_bundle

from kcorr.io import FormatError, _crc32c
from kcorr.io._crc32c import crc32c
from kcorr.io.tf_bundle import bundle_prefix, read_bundle, read_bundle_index


def tensors():
    random = np.random.default_rng(0)
    many = {f"layer_{i:03d}/weights": random.random(i).astype("float32") for i in range(130)}
    return {
        **many,
        "kernel": random.normal(size=(3, 3, 4, 5)).astype("float32"),
        "half": np.arange(6, dtype="float16").reshape(2, 3),
        "double": np.array([np.nan, np.inf, -0.0]),
        "step": np.array(-7, "int64"),
        "none": np.zeros((3, 0, 2), "float32"),
    }


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype and found[name].shape == values.shape
        np.testing.assert_array_equal(found[name], values)


def test_round_trip(tmp_path):
    expected = dict(sorted(tensors().items()))
    prefix = write_bundle(tmp_path / "a b.c", expected)
    assert_equal(read_bundle(prefix), expected)
    assert_equal(
        read_bundle(prefix, ["step", "kernel"]), {k: expected[k] for k in ("step", "kernel")}
    )
    index = read_bundle_index(prefix)
    assert {name: index[name].shape for name in index} == {n: v.shape for n, v in expected.items()}


def test_what_tensorflow_writes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    expected = dict(sorted(tensors().items()))
    words = {"words": np.array([b"a", b"bc"])}
    everything = dict(sorted({**expected, **words}.items()))
    prefix = str(tmp_path / "by tensorflow")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(everything),
        shape_and_slices=[""] * len(everything),
        tensors=[tf.constant(values) for values in everything.values()],
    )
    assert_equal(read_bundle(prefix, expected), expected)
    assert read_bundle_index(prefix)["words"].dtype == "type 7"
    with pytest.raises(FormatError, match="words has type 7"):
        read_bundle(prefix)


def test_names_of_files_stand_for_the_prefix():
    for name in ("m", "m.index", "m.meta", "m.data-00000-of-00001"):
        assert bundle_prefix(f"a.b/{name}") == "a.b/m"
    assert bundle_prefix("my.data-set/m") == "my.data-set/m"


def test_check_sum_of_known_strings():
    # The values of RFC 3720, B.4.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


def test_check_sum_of_every_length_against_bit_by_bit():
    data = np.random.default_rng(1).bytes(300)
    slow = 0xFFFFFFFF
    for length, byte in enumerate(data):
        assert crc32c(data[:length]) == slow ^ 0xFFFFFFFF
        if length >= 4:  # the way of long data, which has no other rule for short ones
            assert _crc32c._lanewise(data[:length]) == slow ^ 0xFFFFFFFF
        slow ^= byte
        for _ in range(8):
            slow = slow >> 1 ^ (0x82F63B78 if slow & 1 else 0)


def test_a_released_files_size_is_summed_in_time():
    data = np.random.default_rng(2).bytes(17_094_516)
    start = time.process_time()
    crc32c(data)
    assert time.process_time() - start < 2


def refused(tmp_path, index, data=b""):
    (tmp_path / "m.index").write_bytes(index)
    (tmp_path / "m.data-00000-of-00001").write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_bundle(tmp_path / "m")
    assert str(caught.value).startswith(str(tmp_path / "m."))
    return str(caught.value)


@pytest.mark.parametrize(
    "pairs, words",
    [
        ([(b"a", entry(1, [4], 0, 16, 0))], "without a bundle's header"),
        ([HEADER, (b"a", entry(1, [4], 0, 12, 0))], "a has 12 bytes for float32"),
        ([HEADER, (b"a", entry(1, [2**40, 2**40], 0, 16, 0))], "absurd shape"),
        ([HEADER, (b"a", entry(1, [2**64 - 1], 0, 16, 0))], "absurd shape"),
        ([HEADER, (b"a", entry(1, [0, 2**62], 0, 0, 0))], "absurd shape"),
        ([HEADER, (b"a", entry(1, [1] * 40, 0, 4, 0))], "absurd shape"),
        ([HEADER, (b"a", entry(1, [4], 2**63, 16, 0))], "truncated: 0 bytes"),
        ([HEADER, (b"a", entry(1, [4], 0, 16, 0, field(3, 5)))], "data file 6 of 1"),
        ([HEADER, (b"a", entry(1, [4], 0, 16, 0, field(7, b"")))], "stored in slices"),
        ([HEADER, (b"a", entry(1, [4], 0, 16, 0, field(1, b"x")))], "garbled"),
        ([HEADER, (b"a", entry(99, [4], 0, 0, 0))], "type 99"),
        ([HEADER, (b"b", b""), (b"a", b"")], "not in order"),
        ([HEADER, (b"\xff\xfe", entry(1, [], 0, 4, 0))], "is not a name"),
        ([(b"", field(1, b"one"))], "garbled"),
    ],
)
def test_sound_tables_with_odd_entries(tmp_path, pairs, words):
    assert words in refused(tmp_path, table(pairs))


def test_compressed_blocks_are_refused_by_name(tmp_path):
    assert "compressed (type 1, 1 is Snappy)" in refused(tmp_path, table([HEADER], kind=1))


def test_blocks_that_overlap_are_refused(tmp_path):
    sound = table([HEADER, (b"a", b""), (b"b", b"")], per_block=1)
    # A one-block table whose index names the same block twice.
    from _bundle_writer import block, masked_crc32c, varint

    one = block([HEADER])
    index = block([(b"a", varint(0) + varint(len(one))), (b"b", varint(0) + varint(len(one)))])
    content = one + b"\0" + masked_crc32c(one + b"\0").to_bytes(4, "little")
    place = varint(len(content)) + varint(len(index))
    content += index + b"\0" + masked_crc32c(index + b"\0").to_bytes(4, "little")
    footer = (varint(0) * 2 + place).ljust(40, b"\0") + sound[-8:]
    assert "overlap" in refused(tmp_path, content + footer)


def test_every_cut_and_many_scratches_of_an_index(tmp_path):
    prefix = write_bundle(tmp_path / "m", tensors())
    path = tmp_path / "m.index"
    good = path.read_bytes()
    random = np.random.default_rng(5)
    for cut in random.choice(len(good), 200, replace=False):
        path.write_bytes(good[:cut])
        with pytest.raises(FormatError):
            read_bundle_index(prefix)
    for _ in range(300):
        data = bytearray(good)
        at = random.integers(len(data))
        data[at] ^= random.integers(1, 256)
        path.write_bytes(data)
        try:
            read_bundle_index(prefix)
        except FormatError:
            continue
        # Only the unused tail of the footer, the unused metaindex block may change unseen.
        assert at > len(good) - 100


def test_garbage_behind_right_check_sums(tmp_path):
    """Scratches inside keys and entries, the check sums put right: refused, or read as numbers."""
    random = np.random.default_rng(6)
    values = np.arange(4, dtype="float32").tobytes()
    (tmp_path / "m.data-00000-of-00001").write_bytes(values)
    outcomes = set()
    tracemalloc.start()
    try:
        for _ in range(500):
            content = bytearray(entry(random.choice([*DTYPES.values()]), [4], 0, 16, 77))
            for _ in range(random.integers(1, 4)):
                content[random.integers(len(content))] = random.choice([0, 1, 127, 128, 255, 8, 16])
            if random.random() < 0.3:
                content = content[: random.integers(len(content))]
            index = table([HEADER, (b"a", bytes(content)), (b"b", entry(1, [4], 0, 16, 77))])
            (tmp_path / "m.index").write_bytes(index)
            try:
                read_bundle(tmp_path / "m")
            except (FormatError, FileNotFoundError) as error:
                outcomes.add(type(error))
            else:
                outcomes.add(dict)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    assert FormatError in outcomes


def test_garbage_blocks_behind_right_check_sums(tmp_path, monkeypatch):
    import _bundle_writer

    random = np.random.default_rng(7)
    real = _bundle_writer.block

    def scratched(pairs):
        content = bytearray(real(pairs))
        content[random.integers(len(content))] = random.integers(256)
        return bytes(content)

    monkeypatch.setattr(_bundle_writer, "block", scratched)
    pairs = [HEADER] + [(f"n{i}".encode(), entry(1, [4], 0, 16, 77)) for i in range(9)]
    for _ in range(400):
        (tmp_path / "m.index").write_bytes(table(pairs, per_block=4))
        try:
            assert isinstance(read_bundle_index(tmp_path / "m"), dict)
        except FormatError as error:
            assert str(error).startswith(str(tmp_path / "m.index"))
