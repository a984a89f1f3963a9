"""Odd and bad input of every command that computes: one line that names it, nothing written."""

import os

import numpy as np
import pytest

from kcorr.io import write_image

COMMANDS = {"two": ("flow", 2), "three": ("flow", 3), "stereo": ("stereo", 2)}
# `match` has files of its own as output, and does not take every size.
ALL = {**COMMANDS, "match": ("match", 2)}
POSITIONS = [(name, i) for name, (_, count) in ALL.items() for i in range(count)]


@pytest.fixture
def inputs(tmp_path, texture):
    """Function of a name of `ALL`: as many pictures of 64x48 as the command takes."""

    def make(name, height=48, width=64):
        paths = [tmp_path / f"{letter}.png" for letter in "abc"[: ALL[name][1]]]
        for seed, path in enumerate(paths):
            write_image(path, texture(seed, height, width))
        return paths

    return make


@pytest.fixture
def network(planted):
    """Function of a name of `ALL`: the planted network, of as many frames as it takes."""

    def make(name):
        planted.frames = ALL[name][1]
        return planted

    return make


def _missing(path):
    path.unlink()


def _truncated(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _folder(path):
    path.unlink()
    path.mkdir()


BAD = {
    "missing": (_missing, "{path}: no such file or folder"),
    "text": (lambda path: path.write_text("not a picture"), "{path}: begins with b'not a pi'; exp"),
    "empty": (lambda path: path.write_bytes(b""), "{path}: the file is empty"),
    "truncated": (_truncated, "{path}: truncated inside the chunk b'IDAT'"),
    "folder": (_folder, "{path}: is a folder; expected a file"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize(("name", "position"), POSITIONS)
def test_a_picture_that_cannot_be_read(refused, network, inputs, tmp_path, name, position, kind):
    model, paths = network(name), inputs(name)
    spoil, said = BAD[kind]
    spoil(paths[position])
    command = ALL[name][0]
    line = refused(command, *paths, "-o", tmp_path / "out")
    assert line.startswith(f"kcorr {command}: {said.format(path=paths[position])}")
    assert not (tmp_path / "out").exists() and model.seen == []


@pytest.mark.parametrize(("name", "position"), POSITIONS)
def test_pictures_of_two_sizes(refused, network, inputs, tmp_path, name, position):
    model, paths = network(name), inputs(name)
    write_image(paths[position], np.zeros((32, 64, 3), np.uint8))
    line = refused(ALL[name][0], *paths, "-o", tmp_path / "out")
    # The first one says what is expected.
    wrong, sizes = (paths[position], ("64x32", "64x48"))
    if position == 0:
        wrong, sizes = paths[1], ("64x48", "64x32")
    assert line.endswith(f": {wrong} is {sizes[0]}; expected {sizes[1]} like {paths[0]}")
    assert not (tmp_path / "out").exists() and model.seen == []


@pytest.mark.parametrize("name", COMMANDS)
def test_one_pixel(kcorr, network, inputs, tmp_path, tree, name):
    network(name)
    result = kcorr(COMMANDS[name][0], *inputs(name, 1, 1), "-o", tmp_path / "out")
    assert (result.status, result.err.replace(SWAPPED, "")) == (0, "")
    assert len(tree(tmp_path / "out")) >= 4


# What the planted motion to the right looks like in stereo.
SWAPPED = (
    "kcorr stereo: warning: most points lie 2.0 px further right in the right picture: are left "
    "and right swapped?\n"
)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", ["alpha", "deep", "grey"])
def test_pictures_of_other_kinds_are_read(
    kcorr, network, inputs, tmp_path, texture, tree, name, kind
):
    model, paths = network(name), inputs(name)
    picture = {
        "alpha": np.dstack([texture(1), np.full((48, 64), 9, np.uint8)]),
        "deep": texture(1).astype(np.uint16) * 257,
        "grey": texture(1)[..., :1],
    }[kind]
    write_image(paths[1], picture)
    result = kcorr(COMMANDS[name][0], *paths, "-o", tmp_path / "out")
    assert (result.status, result.err.replace(SWAPPED, "")) == (0, "")
    assert len(tree(tmp_path / "out")) >= 4 and model.seen == [((1, 48, 64, 3), True)]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_folder_that_cannot_be(refused, network, inputs, tmp_path, monkeypatch, name):
    model, paths = network(name), inputs(name)
    (tmp_path / "taken").write_text("mine")
    for out in ("taken", "taken/deeper/still"):
        line = refused(COMMANDS[name][0], *paths, "-o", tmp_path / out)
        assert f": {tmp_path / out}: " in line
        assert line.endswith("is a file; expected a folder for the output")
    assert (tmp_path / "taken").read_text() == "mine"
    # Root may write anywhere, so that for the usual case the question is answered for it.
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        line = refused(COMMANDS[name][0], *paths, "-o", tmp_path / "locked")
    assert line.endswith(
        f": {tmp_path / 'locked'}: the folder {tmp_path} is not writable; expected one that is, "
        "for the output"
    )
    assert model.seen == [] and not (tmp_path / "locked").exists()
    # Where that answer is wrong it is found out when the folder is made.
    line = refused(COMMANDS[name][0], *paths, "-o", "/proc/kcorr")
    assert line.startswith(f"kcorr {COMMANDS[name][0]}: /proc/kcorr: this folder cannot be created")


@pytest.mark.parametrize("model", ["none.keras", "broken.keras", "broken.weights.h5", "no_such"])
@pytest.mark.parametrize("name", ALL)
def test_a_bad_model(refused, inputs, tmp_path, name, model):
    if model.startswith("broken"):
        (tmp_path / model).write_bytes(b"PK\x03\x04 but not a model")
    given = model if model == "no_such" else tmp_path / model
    line = refused(ALL[name][0], *inputs(name), "-o", tmp_path / "out", "--model", given)
    assert line.startswith(f"kcorr {ALL[name][0]}: ") and model in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_out_of_memory_is_one_line(refused, network, inputs, tmp_path, monkeypatch, name):
    def starve(self, *args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(type(network(name)), "__call__", starve)
    line = refused(COMMANDS[name][0], *inputs(name), "-o", tmp_path / "out")
    assert "not enough memory" in line and "--max-side" in line and "--low-memory" in line
    assert not (tmp_path / "out").exists()
