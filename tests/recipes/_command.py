"""Runs a recipe as a user does.

Most of what a short run takes goes into importing TensorFlow. So runs are forked, each from a fresh
state, off one process that has imported it and done nothing else (`multiprocessing`'s fork server);
with `fresh=True` a run is a process of its own.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[2]
PATIENCE = 540  # seconds; a smoke run takes 10 to 40 on two free cores
WARM = ["tensorflow", "keras", "kcorr.models", "kcorr.objectives", "kcorr.pipelines", "kcorr.viz"]


def recipe(name, *flags, imports=None, fresh=False):
    """Runs `python -m recipes.name`; `imports` is a folder that goes before installed packages."""
    flags = list(map(str, flags))
    if imports is None and not fresh:
        return forked(name, flags)
    environment = {**os.environ, "PYTHONPATH": str(imports or "")}
    return subprocess.run(
        [sys.executable, "-m", f"recipes.{name}", *flags],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def forked(name, flags):
    """The run as a `subprocess.CompletedProcess`."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(WARM)
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        process = server.Process(target=run_here, args=(name, flags, *files))
        # The server starts with the first run, and keeps this. A process of its own sets it where
        # it imports TensorFlow: `kcorr.cli.networks.quiet_start`.
        with mock.patch.dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3"):
            process.start()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(name, PATIENCE)
        stdout, stderr = (Path(file).read_text() for file in files)
    return subprocess.CompletedProcess([name, *flags], process.exitcode, stdout, stderr)


def run_here(name, flags, *files):
    """Makes this process that of the run; recipes end it themselves."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for descriptor, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = [name, *flags]
    runpy.run_module(f"recipes.{name}", run_name="__main__", alter_sys=True)
