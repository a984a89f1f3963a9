"""MirroredStrategy on two devices takes the steps that one device takes on the same batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("_replicas_program.py")


@pytest.fixture(scope="module")
def found():
    tests = PROGRAM.parent
    search = [str(tests.parents[1]), str(tests), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(search)}
    done = subprocess.run(
        [sys.executable, str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=550
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "case, updates, skipped",
    [
        ("clipped, last batch uneven", 6, 0),
        ("bad example", 6, 1),  # the step is skipped on both replicas, and counted once
        ("float16, bad example", 6, 1),
    ],
)
def test_two_replicas_equal_one_device(found, case, updates, skipped):
    result = found[case]
    tolerance = 2e-3 if "float16" in case else 2e-6
    assert result["state"] < tolerance and result["logs"] < tolerance
    assert result["counters"] == [[updates, skipped, skipped]] * 2


def test_averages_and_checkpoints_work_on_replicas(found):
    result = found["averages and checkpoints"]
    assert result == {"holds": True, "back": True, "step": 4, "same": True}


def test_what_works_on_one_replica_only_is_refused(found):
    assert found["refusals"].keys() == {"xla", "accumulation", "clipping"}
    for message in found["refusals"].values():
        assert "one replica only, here are 2" in message
