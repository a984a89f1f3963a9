"""What the recipe refuses; tests/recipes runs its smoke, which checks what it wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def recipe(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "recipes.export", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "give --model and --directory, or --smoke and --workdir"),
        (["--smoke"], "give --model and --directory, or --smoke and --workdir"),
        (["--model=a.keras"], "give --model and --directory"),
        (["--model=a", "--directory=b", "--version=0"], "--version=0: 0 is not a positive integer"),
        (["--model=a", "--directory=b", "--network=alexnet"], "<ddflow|ddflow_small|"),
        (["--model=a", "--directory=b", "--training=[1]"], "--training is a JSON object"),
    ],
)
def test_flags_are_checked_and_say_what_is_allowed(arguments, message):
    done = recipe(*arguments)
    assert done.returncode == 1 and message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_model_is_one_line(tmp_path):
    missing = tmp_path / "missing.weights.h5"
    done = recipe(f"--model={missing}", f"--directory={tmp_path / 'out'}")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(f"export: --model: {missing}: no such")
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()
