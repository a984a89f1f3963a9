"""Runs a recipe as a user does."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 540  # seconds; a smoke run takes 20 to 40 on two free cores


def recipe(name, *flags, imports=None):
    """Runs `python -m recipes.name`; `imports` is a folder that goes before installed packages."""
    environment = {**os.environ, "PYTHONPATH": str(imports or "")}
    return subprocess.run(
        [sys.executable, "-m", f"recipes.{name}", *map(str, flags)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
