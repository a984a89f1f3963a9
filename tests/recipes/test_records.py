"""Broken records: what recipes that read records themselves do, and what is said of a stream's."""

import importlib
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from kcorr import pipelines
from kcorr.datasets import VideoFrames
from recipes import common, frames, labelled, records, students, teacher_labels

SIZE = (20, 24)


class Some(list):
    """Pairs of one grey value each; those at `broken` cannot be read. `asked` were some."""

    def __init__(self, count, broken=(), size=SIZE):
        super().__init__(range(count))
        self.names = [f"film/{i}" for i in range(count)]
        self.broken, self.size, self.asked = broken, size, []

    def __getitem__(self, index):
        self.asked.append(index)
        if index in self.broken:
            raise ValueError(f"{index}.png is no picture")
        image = np.full((*self.size, 3), index, np.uint8)
        return {"image1": image, "image2": image}


def values(source):
    return [int(source[i]["image1"][0, 0, 0]) for i in range(len(source))]


# === One by one ===


@pytest.mark.parametrize(
    ("index", "broken", "found"),
    [(0, (), 0), (0, (0,), 1), (4, (3, 4), 2), (2, (2,), 3), (2, (0, 1, 2, 3), 4)],
)
def test_the_nearest_record_that_can_be_read(index, broken, found, caplog):
    record = records.nearest(Some(5, broken), index, "skip")
    assert record["image1"][0, 0, 0] == found
    assert not caplog.records  # the stream warns


def test_with_raise_a_broken_record_is_one_line():
    for read in (records.nearest, lambda *given: records.Reader(given[0], given[2])(given[1])):
        with pytest.raises(common.UserError) as caught:
            read(Some(3, (0,)), 0, "raise")
        assert str(caught.value) == "film/0: 0.png is no picture; --on_error=skip leaves it out"


def test_where_none_can_be_read_skipping_ends():
    source = Some(3, (0, 1, 2))
    for read in (
        lambda: records.nearest(source, 1, "skip"),
        lambda: records.readable(source, "skip"),
    ):
        with pytest.raises(
            common.UserError, match=r"none of the 3 records can be read; the last: f"
        ):
            read()


def test_readable_records_are_counted_and_keep_their_order(caplog):
    source = Some(5, (1, 4))
    assert values(records.readable(source, "skip")) == [0, 2, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "skipped film/1: 1.png is no picture (1 of 5 skipped)",
        "skipped film/4: 4.png is no picture (2 of 5 skipped)",
    ]
    assert records.readable(source, "raise") is source


def test_the_pictures_of_a_training_are_of_records_that_can_be_read(monkeypatch):
    flags = SimpleNamespace(on_error="skip", frames="2")
    monkeypatch.setattr(frames, "FLAGS", flags)
    batch = frames.sample(Some(6, (0, 5)), (16, 16))
    assert batch["image1"].shape == (2, 16, 16, 3)
    np.testing.assert_allclose(batch["image2"][:, 0, 0, 0] * 255, [1, 4], rtol=1e-6)


def test_validation_knows_how_many_it_has():
    data = records.once(Some(3), ("image1",), lambda one: {**one, "image1": one["image1"] + 1})
    assert int(data.cardinality()) == 3
    found = [float(batch["image1"][0, 0, 0, 0]) * 255 for batch in data]
    np.testing.assert_allclose(found, [1, 2, 3], rtol=1e-6)


# === What ended a stream ===


def ended(source, change=None):
    stream = pipelines.examples(source, shuffle=False)
    stream = stream.map(change) if change else stream
    with pytest.raises(tf.errors.OpError) as caught:
        for _ in pipelines.batches(stream, 2).take(3):
            pass
    return caught.value


def test_a_broken_record_has_its_own_line():
    error = ended(Some(4, (2,)))
    said = "film/2: 2.png is no picture"
    assert records.stream_error(error) == common.what_to_mend(error) == said


def test_pictures_that_are_too_small_say_so():
    found = records.stream_error(ended(Some(4), lambda one: pipelines.random_crop(one, (64, 32))))
    said = "the pictures are smaller than the crop 64x32 (rows x columns): they are 20 24"
    assert found == said

    def within(example):  # as of a student's views
        shape = tf.shape(example["image1"])[:2]
        check = tf.debugging.Assert(shape[0] > 64, ["smaller than the student's: they are", shape])
        with tf.control_dependencies([check]):
            return {**example, "image1": tf.identity(example["image1"])}

    found = records.stream_error(ended(Some(4), within))
    assert found == "smaller than the student's: they are 20 24"


def test_what_is_no_matter_of_data_keeps_its_trace():
    class Bug(Some):
        def __getitem__(self, index):
            raise KeyError("image1")

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.reshape(tf.zeros(3), (2, 2))
    for error in (ended(Bug(2)), caught.value, ValueError("IteratorGetNext"), KeyboardInterrupt()):
        assert records.stream_error(error) is None and common.what_to_mend(error) is None


def test_a_missing_package_is_one_line_and_a_wrong_import_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError) as caught:
        VideoFrames("film.mp4")
    assert common.what_to_mend(caught.value) == "reading video needs PyAV: pip install kcorr[video]"
    with pytest.raises(ImportError) as caught:
        from kcorr.datasets import NoSuchThing  # noqa: F401
    assert common.what_to_mend(caught.value) is None


def test_metrics_are_json_for_every_reader(tmp_path):
    common.write_metrics(tmp_path, {"motorcycle": {"epe": float("inf"), "fl": np.float64(2.5)}})
    text = (tmp_path / "metrics.json").read_text()
    found = json.loads(text, parse_constant=pytest.fail)  # Infinity and NaN are Python's own
    assert found == {"motorcycle": {"epe": "inf", "fl": 2.5}}


# === The size of labelled pictures ===


@pytest.fixture
def sintel(monkeypatch):
    monkeypatch.setattr(labelled, "FLAGS", SimpleNamespace(on_error="skip", data="sintel"))


@pytest.mark.parametrize("size", [(21, 24), (20, 25)])
def test_a_size_beyond_the_first_pictures_is_refused(sintel, size):
    labelled.check_size(Some(2, (0,)), SIZE)
    expected = rf"--size={size[0]}x{size[1]}: pictures of --data=sintel are 20x24 .* within them"
    with pytest.raises(common.UserError, match=expected):
        labelled.check_size(Some(2, (0,)), size)


# === A teacher's labels ===


class Teacher:
    """What is predicted is the weight."""

    def __init__(self, weight):
        self.weight = np.float32([weight])

    def get_config(self):
        return {"name": "teacher"}

    def get_weights(self):
        return [self.weight]


@pytest.fixture
def write(monkeypatch, tmp_path):
    """Function of a teacher, a source, and flags: the values of the labels, and what was read."""
    flags = SimpleNamespace(on_error="skip", data_dir=["a"], strides=["1"], progress=False)
    monkeypatch.setattr(teacher_labels, "FLAGS", flags)

    class Predictor:
        def __init__(self, network):
            self.network = network

        def __call__(self, image1, image2):
            flow = np.full((*SIZE, 2), self.network.weight)
            hidden = np.zeros((*SIZE, 1))
            return {"flow": flow, "flow_backward": -flow, "occlusion": hidden,
                    "occlusion_backward": hidden}  # fmt: skip

    module = importlib.import_module("kcorr.models.predict")
    monkeypatch.setattr(module, "Predictor", Predictor)

    def run(weight, source=None, **changed):
        source = source or Some(3)
        vars(flags).update(changed)
        there = teacher_labels.write(Teacher(weight), source, tmp_path / "labels")
        read, source.asked = source.asked, []
        labels = pipelines.with_teacher(there, tmp_path / "labels")
        return [float(labels[i]["teacher_flow"][0, 0, 0]) for i in range(len(labels))], read

    run.folder = tmp_path / "labels"
    return run


def test_labels_of_the_same_teacher_and_data_are_kept(write):
    assert write(1) == ([1, 1, 1], [0, 1, 2])
    assert write(1) == ([1, 1, 1], [])
    (write.folder / "flow_occ_bw_film%2F1.png").unlink()
    assert write(1) == ([1, 1, 1], [1])


def test_labels_of_another_teacher_or_other_data_are_made_anew(write):
    write(1)
    assert write(2) == ([2, 2, 2], [0, 1, 2])
    assert write(2, data_dir=["b"])[1] == [0, 1, 2]
    assert write(2, strides=["1", "2"])[1] == [0, 1, 2]
    assert write(2, data_dir=None)[1] == [0, 1, 2]


def test_labels_that_a_kill_left_half_written_are_removed(write):
    write(1)
    left = write.folder / ".0123456789ab.flow_occ_bw_film%2F1.png"
    left.touch()
    assert write(1) == ([1, 1, 1], []) and left.exists()  # it may be in the making
    os.utime(left, (0, 0))
    assert write(1) == ([1, 1, 1], []) and not left.exists()


def test_labels_without_a_stamp_may_be_anothers(write):
    """What a kill leaves that came while the labels of another teacher were being removed."""
    write(1)
    (write.folder / "teacher.sha256").unlink()
    (write.folder / "flow_occ_fw_film%2F0.png").unlink()
    assert write(2) == ([2, 2, 2], [0, 1, 2])


def test_a_record_that_cannot_be_read_has_no_label_and_is_no_record(write, caplog):
    assert write(3, Some(4, (0, 3))) == ([3, 3], [0, 1, 2, 3])
    assert "skipped film/3: 3.png is no picture (2 of 4 skipped)" in caplog.text
    with pytest.raises(common.UserError, match=r"film/0: 0\.png is no picture; --on_error=skip"):
        write(3, Some(4, (0, 3)), on_error="raise")


def test_other_flags_are_refused_before_labels_are_made(monkeypatch, tmp_path):
    crop = SimpleNamespace(name="crop", value="16x16")
    flags = SimpleNamespace(flags_by_module_dict=lambda: {"recipes.x": [crop]})
    monkeypatch.setattr(common, "FLAGS", flags)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "flags.json").write_text('{"crop": "32x32"}')
    students.check_flags(tmp_path)  # nothing has been learned
    (folder / "step_00000002.weights.h5").touch()
    with pytest.raises(common.UserError, match=r"began with --crop=32x32 \(now 16x16\)"):
        students.check_flags(tmp_path)
    students.check_flags(tmp_path, ["crop"])
    assert (folder / "flags.json").read_text() == '{"crop": "32x32"}'
