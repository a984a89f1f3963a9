"""Recipes of teachers and students, one stage at a time, with other policies and TensorBoard."""

import json
import os
import zipfile

import numpy as np
import pytest
from _command import recipe

from kcorr.models import load

# Stages of another seed: a network that was not loaded but made anew would be quite another.
OTHER_SEED = "--seed=5"


def run(name, *flags):
    done = recipe(name, "--smoke", *flags)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr and "WARNING" not in done.stderr, done.stderr


def log(folder, half=False):
    """The last line of two. With `half`, float16, steps are skipped while the loss scale falls."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    for line in lines[1:] if half else lines:
        assert np.isfinite(line["loss"]) and line["gradient_norm"] > 0
        assert line["skipped_steps"] <= (1 if half else 0)
    return lines[-1]


def assert_learned_from(network, teacher):
    """It began with the teacher's weights: four steps of Adam go no further."""
    pairs = zip(network.get_weights(), teacher.get_weights(), strict=True)
    assert 0 < max(np.abs(one - other).max() for one, other in pairs) < 0.01


@pytest.mark.slow
def test_ddflow_a_teacher_and_later_a_student_from_its_files(tmp_path):
    """The one under mixed_bfloat16 and with TensorBoard, the other under mixed_float16."""
    first, second = tmp_path / "first", tmp_path / "second"
    policy = "--dtype_policy=mixed_bfloat16"
    run("flow_ddflow", "--stage=teacher", policy, "--tensorboard", OTHER_SEED, f"--workdir={first}")
    assert not (first / "network.keras").exists()
    assert "photometric" in log(first / "teacher")
    (events,) = (first / "teacher" / "board" / "train").iterdir()
    assert {"learning_rate", "gradient_norm", "flow"} <= set(tags(events))
    path = first / "teacher" / "network.keras"
    teacher = load(path)
    assert policy_of(path) == "mixed_bfloat16"

    flags = ("--stage=student", f"--teacher={path}", "--precompute")
    run("flow_ddflow", *flags, "--dtype_policy=mixed_float16", f"--workdir={second}")
    assert not (second / "teacher").exists()
    assert len(list((second / "labels").glob("flow_occ_?w_*.png"))) == 16  # of eight pairs
    assert log(second, half=True)["distillation"] > 0
    assert policy_of(second / "network.keras") == "mixed_float16"
    assert_learned_from(load(second / "network.keras"), teacher)


def policy_of(path):
    """Name of the dtype policy that a network was written with; it is loaded under another."""
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("config.json"))["config"]["dtype"]["config"]["name"]


def tags(path):
    """Names of what an event file holds."""
    import tensorflow as tf

    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        yield from (value.tag for value in event.summary.value)


@pytest.mark.slow
def test_distillflow_stage_by_stage(tmp_path):
    run("flow_distillflow", "--stage=teachers", OTHER_SEED, f"--workdir={tmp_path}")
    assert not (tmp_path / "data_0").exists() and not (tmp_path / "network.keras").exists()
    assert "photometric" in log(tmp_path / "teacher_0")
    teacher = tmp_path / "teacher_0" / "network.keras"

    left = tmp_path / "data_0" / "superpixels" / ".0123456789ab.of_a_killed_run.npz"
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (0, 0))
    flags = ("--keep_superpixels", "--challenges=occlusion", f"--workdir={tmp_path}")
    run("flow_distillflow", "--stage=data", f"--members={teacher}", *flags)
    assert not (tmp_path / "network.keras").exists()
    assert {path.suffix for path in left.parent.iterdir()} == {".npz"} and not left.exists()
    assert log(tmp_path / "data_0")["distillation"] > 0
    student = tmp_path / "data_0" / "network.keras"
    assert_learned_from(load(student), load(teacher))

    members = f"--members={student},{teacher}"
    run("flow_distillflow", "--stage=model", members, "--challenges=", f"--workdir={tmp_path}")
    assert log(tmp_path)["distillation"] > 0
    assert_learned_from(load(tmp_path / "network.keras"), load(student))
