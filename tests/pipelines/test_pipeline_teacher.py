"""Teachers computed before: files by name, both directions, in step with the pictures."""

import numpy as np
import pytest
import tensorflow as tf
from _sources import Listed, changed

from kcorr import pipelines
from kcorr.io import write_teacher_flow

SIZE = (10, 14)


def _source(names=("000001", "clip.mp4/000002+1")):
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    source = Listed([{"image1": image, "image2": image} for _ in names])
    source.names = list(names)
    return source


def _flow(number):
    """Multiples of 1/64 pixel, which the files hold exactly."""
    rng = np.random.default_rng(number)
    return np.round(rng.normal(0, 9, (*SIZE, 2)) * 64).astype(np.float32) / 64, rng.random(
        SIZE
    ) < 0.4


def _write(folder, names):
    for number, name in enumerate(names):
        for way, path in enumerate(pipelines.teacher_files(folder, name)):
            write_teacher_flow(path, *_flow(2 * number + way))


def test_files_carry_the_authors_names_and_never_collide(tmp_path):
    forward, backward = pipelines.teacher_files(tmp_path, "000017")
    assert forward == tmp_path / "flow_occ_fw_000017.png"
    assert backward == tmp_path / "flow_occ_bw_000017.png"
    names = ["a/b", "a_b", "a%2Fb", "a b", "a\\b", "ä", "../b", "a:b", "a+1"]
    files = [pipelines.teacher_files(tmp_path, name)[0] for name in names]
    assert len(set(files)) == len(names)
    assert all(file.parent == tmp_path for file in files)


def test_records_carry_the_teacher_of_both_directions(tmp_path):
    source = _source()
    _write(tmp_path, source.names)
    taught = pipelines.with_teacher(source, tmp_path)
    assert len(taught) == 2 and taught.names == source.names
    for number, name in enumerate(source.names):
        record = taught[number]
        assert np.array_equal(record["image1"], source[number]["image1"]), name
        for way, suffix in enumerate(("", "_backward")):
            flow, hidden = _flow(2 * number + way)
            assert np.array_equal(record[f"teacher_flow{suffix}"], flow)
            assert np.array_equal(record[f"teacher_occlusion{suffix}"], hidden[..., None])


def test_the_teacher_is_cropped_and_mirrored_with_the_pictures(tmp_path):
    """The picture says where each pixel was, so the teacher's maps can be looked up there."""
    source = _source(["one"])
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.uint8)
    source.records[0]["image1"] = np.stack([x, y, x], axis=-1)
    _write(tmp_path, source.names)
    record = pipelines.with_teacher(source, tmp_path)[0]

    def change(each):
        return pipelines.random_flips(pipelines.random_crop(each, (6, 8)))

    for out in changed(record, change, 12):
        column, row = out["image1"][..., 0].astype(int), out["image1"][..., 1].astype(int)
        sign = [np.sign(column[0, 1] - column[0, 0]), np.sign(row[1, 0] - row[0, 0])]
        for suffix in ("", "_backward"):
            flow = record[f"teacher_flow{suffix}"][row, column] * sign
            assert np.array_equal(out[f"teacher_flow{suffix}"], flow)
            hidden = record[f"teacher_occlusion{suffix}"][row, column]
            assert np.array_equal(out[f"teacher_occlusion{suffix}"], hidden)


def test_a_stream_with_teacher_and_crop_offset_makes_distillation_batches(tmp_path):
    source = _source()
    _write(tmp_path, source.names)
    keys = ("image1", "image2", *pipelines.TEACHER)
    stream = pipelines.examples(pipelines.with_teacher(source, tmp_path), keys)
    stream = stream.map(lambda each: pipelines.with_crop_offset(each, (6, 6)))
    batch = next(iter(pipelines.batches(stream, 2)))
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "image1": (2, 10, 14, 3),
        "image2": (2, 10, 14, 3),
        "teacher_flow": (2, 10, 14, 2),
        "teacher_flow_backward": (2, 10, 14, 2),
        "teacher_occlusion": (2, 10, 14, 1),
        "teacher_occlusion_backward": (2, 10, 14, 1),
        "crop": (2, 2),
    }
    assert all(value.dtype == tf.float32 for value in batch.values())


def test_missing_files_are_named_before_anything_runs(tmp_path):
    source = _source()
    _write(tmp_path, source.names)
    gone = pipelines.teacher_files(tmp_path, source.names[1])[1]
    gone.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        pipelines.with_teacher(source, tmp_path)
    assert str(gone) in str(caught.value) and "1 of 4 files" in str(caught.value)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        pipelines.with_teacher(source, tmp_path / "nowhere")


def test_a_teacher_of_another_size_or_a_damaged_file_is_named(tmp_path):
    source = _source(["small", "damaged"])
    _write(tmp_path, source.names)
    path = pipelines.teacher_files(tmp_path, "small")[1]
    write_teacher_flow(path, np.zeros((4, 5, 2), np.float32), np.zeros((4, 5)))
    damaged = pipelines.teacher_files(tmp_path, "damaged")[0]
    damaged.write_bytes(damaged.read_bytes()[:60])
    taught = pipelines.with_teacher(source, tmp_path)
    with pytest.raises(
        ValueError, match=r"flow_occ_bw_small\.png is 5x4, expected the pictures' 14"
    ):
        taught[0]
    with pytest.raises(ValueError, match=r"flow_occ_fw_damaged\.png"):
        taught[1]
    stream = pipelines.examples(taught, pipelines.TEACHER, shuffle=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"small: .*flow_occ_bw_small\.png"):
        next(iter(stream))
