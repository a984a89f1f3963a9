"""What the tests of the command share: a network with a known answer, files, and a run."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from kcorr.cli.__main__ import main
from kcorr.io import write_image

SHIFT = (2.0, -1.0)  # what the planted network says everywhere


class Planted:
    """A network whose flow is `shift` everywhere, and back; `seen` are its inputs' shapes."""

    def __init__(self):
        self.shift, self.seen = SHIFT, []

    def __call__(self, inputs, backward=False):
        from keras import ops

        self.seen.append((tuple(inputs["image1"].shape), backward))
        flow = ops.zeros_like(inputs["image1"][..., :2]) + np.float32(self.shift)
        return {"flow": flow, "flow_backward": -flow} if backward else {"flow": flow}


@pytest.fixture
def planted(monkeypatch):
    """`kcorr.load` answers "ddflow" with a `Planted`, which this returns."""
    import keras

    keras.ops.zeros(1)  # what TensorFlow says when it looks for devices is said now
    network = Planted()
    models = importlib.import_module("kcorr.models")
    monkeypatch.setattr(models, "load", lambda *args, **options: network)
    return network


@pytest.fixture
def kcorr(capfd):
    """Runs a command in this process: `kcorr("flow", ...)` -> status, out, err."""

    def run(*arguments):
        capfd.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        captured = capfd.readouterr()
        return SimpleNamespace(status=status, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def refused(kcorr):
    """Runs a command that must be refused: one line on stderr, status 2; returns the line."""

    def run(*arguments):
        result = kcorr(*arguments)
        assert result.status == 2, result
        assert result.out == ""
        line = result.err.removesuffix("\n")
        assert result.err.endswith("\n") and "\n" not in line, result.err
        assert line.startswith("kcorr")
        return line

    return run


@pytest.fixture
def texture():
    """A function of a seed and a size that returns a picture, uint8 [h, w, 3]."""

    def make(seed=0, height=48, width=64):
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)

    return make


@pytest.fixture
def frames(tmp_path, texture):
    """Two pictures a.png and b.png of 64x48."""
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, path in enumerate(paths):
        write_image(path, texture(seed))
    return paths


def tree(folder):
    """Relative paths of all files below a folder, hidden ones too."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


@pytest.fixture(name="tree")
def tree_fixture():
    return tree


@pytest.fixture
def planted_objects(monkeypatch):
    """A function of a planted network of objects, which `kcorr.load` then answers."""
    import keras

    keras.ops.zeros(1)
    models = importlib.import_module("kcorr.models")

    def plant(network):
        def load(name, network_name=None, gives=None):
            assert gives == network.gives
            return network

        monkeypatch.setattr(models, "load", load)
        return network

    return plant
