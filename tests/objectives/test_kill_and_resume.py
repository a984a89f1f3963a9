"""A recipe killed by SIGKILL and started again with the same command ends as if nothing were."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
STEPS = 6
PATIENCE = 500  # seconds; a start takes 15 on two free cores


def command(folder):
    return [
        sys.executable,
        "-m",
        "recipes.flow_scenes",
        f"--workdir={folder / 'run'}",
        f"--textures={folder / 'textures'}",
        "--size=32x48",
        f"--steps={STEPS}",
        "--epoch_steps=1",
        "--batch_size=1",
        "--network=spynet_small",  # the fastest to trace
        "--validation_scenes=2",
        "--noprogress",
    ]


def start(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # stderr goes to a file: a full pipe would stop the run.
    with open(folder / "stderr.txt", "w") as stderr:
        return subprocess.Popen(
            command(folder), cwd=ROOT, env=environment, stdout=stderr, stderr=stderr
        )


def complete_checkpoints(folder):
    found = (folder / "run" / "checkpoints").glob("step_*.weights.json")
    return sorted(path.with_suffix(".h5") for path in found)


def kill_after(folder, count):
    """Kills the run as soon as `count` checkpoints have been completed."""
    process = start(folder)
    try:
        deadline = time.monotonic() + PATIENCE
        while len(complete_checkpoints(folder)) < count:
            assert process.poll() is None, (folder / "stderr.txt").read_text()[-3000:]
            assert time.monotonic() < deadline, "no checkpoint in time"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def textures(folder):
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(random.integers(0, 255, (80, 120, 3), np.uint8)).save(folder / name)


def updates(checkpoint):
    """`optimizer.iterations` as the file holds it: the only whole number among its variables."""
    with h5py.File(checkpoint) as file:
        variables = [value[()] for value in file["optimizer/vars"].values()]
    (iterations,) = [value for value in variables if np.issubdtype(value.dtype, np.integer)]
    return int(iterations)


@pytest.mark.slow
def test_a_killed_run_goes_on_behind_its_damaged_checkpoints_and_ends_on_the_step(tmp_path):
    textures(tmp_path / "textures")
    kill_after(tmp_path, 3)
    before = complete_checkpoints(tmp_path)
    assert len(before) == 3 and not (tmp_path / "run" / "network.weights.h5").exists()
    # The kill may have come while a fourth was written: what follows must hold in any case.
    good, without_json, truncated = before
    truncated.write_bytes(truncated.read_bytes()[:5000])
    without_json.with_suffix(".json").unlink()
    done = int(good.name[5:13])
    (tmp_path / "run" / "pictures").mkdir()
    for name in (".0123456789ab.log.jsonl", "pictures/.0123456789ab.flow_00000001.png"):
        (tmp_path / "run" / name).touch()  # of a kill in an atomic_write

    process = start(tmp_path)
    assert process.wait(timeout=PATIENCE) == 0, (tmp_path / "stderr.txt").read_text()[-3000:]
    said = (tmp_path / "stderr.txt").read_text()
    assert f"{truncated.name} is damaged (its checksum is wrong)" in said
    assert f"{without_json.name} is half-written (its JSON file is missing)" in said
    assert f"going on from step {done} of {STEPS}" in said

    run = tmp_path / "run"
    assert [updates(path) for path in complete_checkpoints(tmp_path)] == [
        STEPS - 2,
        STEPS - 1,
        STEPS,
    ]
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged] == list(range(1, STEPS + 1))
    assert (run / "network.weights.h5").exists()
    assert not [path for path in run.rglob(".*")], "temporary files were left behind"
