"""Streams of records: order, seeds, laziness, damaged records, the end of the interpreter."""

import functools
import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest
import tensorflow as tf
from _sources import Listed, Numbered, as_numpy, equal

from kcorr import pipelines
from kcorr.datasets import FrameFolder
from kcorr.io import write_image
from kcorr.pipelines._seeds import SEED

INVALID = tf.errors.InvalidArgumentError


def _numbers(stream, count):
    return [int(each["image1"][0, 0, 0]) for each in stream.take(count)]


def _augmented(source, seed, workers=2, batch_size=4):
    stream = pipelines.examples(source, seed=seed, workers=workers, reuse=2)
    stream = pipelines.mapped(
        stream,
        functools.partial(pipelines.random_crop, size=(16, 16)),
        pipelines.random_flips,
        pipelines.random_channel_order,
        pipelines.random_colour,
        workers=workers,
    )
    return pipelines.batches(stream, batch_size, mixing=6, seed=seed)


class _Noise(Numbered):
    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        return {key: rng.integers(0, 256, (20, 24, 3), np.uint8) for key in ("image1", "image2")}


def test_changes_follow_one_another_and_examples_keep_their_order():
    numbers = tf.data.Dataset.range(6)
    assert pipelines.mapped(numbers) is numbers
    found = pipelines.mapped(numbers, lambda n: n + 1, lambda n: n * 10, workers=3)
    assert list(found.as_numpy_iterator()) == [10, 20, 30, 40, 50, 60]


def test_each_epoch_holds_every_record_once_in_another_order():
    numbers = _numbers(pipelines.examples(Numbered(30), seed=3), 90)
    epochs = [numbers[:30], numbers[30:60], numbers[60:]]
    assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0] != list(range(30))


def test_without_shuffling_and_repeating_the_records_come_once_in_order():
    stream = pipelines.examples(Numbered(9), shuffle=False, repeat=False)
    assert _numbers(stream, 99) == list(range(9))


def test_the_same_seed_gives_the_same_batches_whatever_the_threads():
    source = _Noise(7)
    first = [as_numpy(batch) for batch in _augmented(source, seed=5, workers=1).take(6)]
    again = [as_numpy(batch) for batch in _augmented(source, seed=5, workers=4).take(6)]
    other = [as_numpy(batch) for batch in _augmented(source, seed=6, workers=1).take(6)]
    assert all(map(equal, first, again))
    assert not any(map(equal, first, other))


def test_a_dataset_iterated_twice_repeats_itself():
    stream = _augmented(_Noise(5), seed=1)
    first, again = ([as_numpy(batch) for batch in stream.take(4)] for _ in range(2))
    assert all(map(equal, first, again))


@pytest.mark.parametrize("seed", [0, -1, 2**31, 1000003 * 16000, 10**30])
def test_seeds_of_any_size_and_sign(seed):
    stream = pipelines.batches(pipelines.examples(Numbered(3), seed=seed), 2, mixing=3, seed=seed)
    assert len(list(stream.take(2))) == 2


def test_no_two_uses_of_a_record_share_a_seed():
    """40 records, 3 epochs, 2 uses each; and none of them with another stream seed."""
    seeds = []
    for seed in (0, 1, 2**32):
        stream = pipelines.examples(Numbered(40), seed=seed, reuse=2)
        seeds += [tuple(each[SEED].numpy()) for each in stream.take(240)]
    assert len(set(seeds)) == 3 * 240


def test_reuse_hands_each_record_on_so_many_times():
    stream = pipelines.examples(Numbered(4), shuffle=False, repeat=False, reuse=3)
    assert _numbers(stream, 99) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_records_are_read_late_and_only_a_few_ahead():
    """Shuffling moves indices, not pictures: of 5,000 records those in use are read."""
    source = Numbered(5000)
    stream = pipelines.examples(source, workers=2)
    stream = pipelines.batches(stream, 2)
    assert source.read == []
    iterator = iter(stream)
    for _ in range(3):
        next(iterator)
    # Six are out. How far the threads are ahead depends on the machine: some batches.
    assert len(source.read) < 60
    del iterator


def test_a_damaged_record_stops_the_stream_and_is_named():
    stream = pipelines.examples(Numbered(4, broken=[2]), shuffle=False)
    with pytest.raises(INVALID, match="number_2: a damaged file"):
        _numbers(stream, 4)


def test_a_damaged_record_is_skipped_with_one_counted_warning(caplog):
    source = Numbered(6, broken=[1, 4])
    stream = pipelines.examples(source, shuffle=False, on_error="skip")
    assert _numbers(stream, 8) == [0, 2, 3, 5, 0, 2, 3, 5]
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "skipped number_1: a damaged file (1 of 6 skipped so far)",
        "skipped number_4: a damaged file (2 of 6 skipped so far)",
    ]


def test_every_kind_of_damaged_file_is_skipped_and_counted(tmp_path, caplog):
    for number in range(8):
        write_image(tmp_path / f"{number}.png", np.full((6, 8, 3), number, np.uint8))
    good = (tmp_path / "1.png").read_bytes()
    size = good[:16] + (60000).to_bytes(4) * 2 + good[24:29]
    huge = size + zlib.crc32(size[12:]).to_bytes(4) + good[33:]
    for number, content in ((1, good[:-20]), (2, b""), (4, b"a text"), (5, huge)):
        (tmp_path / f"{number}.png").write_bytes(content)
    (tmp_path / "6.png").unlink()
    (tmp_path / "6.png").symlink_to(tmp_path / "gone")
    source = FrameFolder(tmp_path, independent=True)
    options = {"shuffle": False, "repeat": False, "on_error": "skip"}
    assert _numbers(pipelines.examples(source, ("image1",), **options), 9) == [0, 3, 7]
    messages = sorted(record.getMessage() for record in caplog.records)
    for number, words in ((1, "truncated"), (2, "empty"), (4, "begins"), (5, "60000x60000"),
                          (6, "no such file")):  # fmt: skip
        message = messages.pop(0)
        assert message.startswith(f"skipped {number}.png: ") and words in message
    assert messages == []


def test_an_endless_stream_of_damaged_records_ends_each_time():
    stream = pipelines.examples(Numbered(3, broken=range(3)), on_error="skip")
    for _ in range(2):
        with pytest.raises(INVALID, match="none of the 3 records can be read"):
            next(iter(stream))


def _record(**changes):
    image = np.zeros((6, 8, 3), np.uint8)
    record = {"image1": image, "image2": image, "flow": np.zeros((6, 8, 2), np.float32)}
    return {**record, **changes}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"image2": np.zeros((6, 9, 3), np.uint8)}, "differ in size: 8x6, 9x6"),
        ({"image1": np.zeros((6, 8), np.uint8)}, r"image1 is uint8 \[6, 8\], expected uint8"),
        ({"image1": np.zeros((6, 8, 3), np.float32)}, "image1 is float32"),
        ({"flow": np.zeros((6, 8, 3), np.float32)}, r"flow is float32 \[6, 8, 3\]"),
        ({"flow": np.full((6, 8, 2), np.nan)}, "flow holds NaN or inf"),
    ],
)
def test_a_record_that_breaks_the_schema_is_refused(changes, message):
    stream = pipelines.examples(Listed([_record(**changes)]), ("image1", "image2", "flow"))
    with pytest.raises(INVALID, match=f"record_0: .*{message}"):
        next(iter(stream))


def test_a_missing_key_is_an_error_even_when_damage_is_skipped():
    stream = pipelines.examples(Listed([_record()]), ("image1", "valid"), on_error="skip")
    with pytest.raises(INVALID, match="has no valid, only image1, image2, flow"):
        next(iter(stream))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"keys": ("image1", "picture")}, "names of kcorr.schema, got picture"),
        ({"keys": ()}, "got none"),
        ({"on_error": "ignore"}, "on_error must be one of raise, skip"),
        ({"reuse": 0}, "at least 1"),
        ({"workers": 0}, "at least 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pipelines.examples(Numbered(2), **arguments)
    with pytest.raises(ValueError, match="holds no record"):
        pipelines.examples(Numbered(0))


def test_python_ends_while_an_endless_stream_reads_ahead():
    """Without closing the loaders TensorFlow waits for threads that wait for Python."""
    script = """
        import time
        import numpy as np
        from kcorr import pipelines
        class Slow:
            names = [str(i) for i in range(50)]
            def __len__(self):
                return 50
            def __getitem__(self, index):
                time.sleep(0.01)
                return {"image1": np.zeros((8, 8, 3), np.uint8)}
        stream = pipelines.batches(pipelines.examples(Slow(), ("image1",), workers=4), 4)
        iterator = iter(stream)
        next(iterator)
        print("done")
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert result.stdout == "done\n"
    assert "Traceback" not in result.stderr
