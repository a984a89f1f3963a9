"""No command writes over what it reads, whichever name it is given by."""

import importlib

import numpy as np
import pytest
from _planted_objects import PlantedLabels, PlantedLandmarks

from kcorr.cli.errors import CommandError
from kcorr.cli.folders import check_outputs
from kcorr.io import write_flow, write_image
from kcorr.viz import video_writer

PICTURES = [
    "a.png", "b.png", "x.png", "x_landmarks.png", "overlay.png", "occlusion.png", "matches.png",
]  # fmt: skip
FLOWS = ["flow.flo", "truth.flo", "deep/flow_kitti.png"]


@pytest.fixture
def folder(tmp_path, texture, monkeypatch):
    """The folder d, full of files of such names as commands write; the working directory is it."""
    path = tmp_path / "d"
    for name in ("overlay", "deep"):
        (path / name).mkdir(parents=True)
    for seed, name in enumerate(PICTURES):
        write_image(path / name, texture(seed))
    for name in ("f1.png", "f2.png"):  # alike: no cut lies between them
        write_image(path / "overlay" / name, texture(0))
    for name in FLOWS:
        write_flow(path / name, np.ones((48, 64, 2), np.float32))
    (path / "matches.csv").write_text("x,y\n20,10\n")
    (path / "link.png").symlink_to("b.png")
    monkeypatch.chdir(path)
    return path


CASES = [
    ("flow overlay.png b.png -o .", "overlay.png", "folder"),
    ("flow b.png x.png occlusion.png -o ../d", "../d/occlusion.png", "folder"),
    ("flow overlay -o . --save overlay", "overlay/f1.png", "folder"),
    ("flow flow.mp4 -o .", "flow.mp4", "folder"),
    ("stereo b.png occlusion.png -o .", "occlusion.png", "folder"),
    ("match a.png b.png -o a.txt", "a.png", "name"),
    ("match a.png link.png -o b.txt", "b.png", "name"),
    ("match a.png b.png -o link.txt", "link.png", "name"),
    ("landmarks x.png x_landmarks.png -o .", "x_landmarks.png", "folder"),
    ("landmarks . x_landmarks.png -o {d}", "{d}/x_landmarks.png", "folder"),
    ("match-points matches.png b.png --points 2,3 -o .", "matches.png", "folder"),
    ("match-points b.png matches.png --points 2,3 -o .", "matches.png", "folder"),
    ("match-points a.png b.png --points matches.csv -o .", "matches.csv", "folder"),
    ("convert flow.flo ./flow.flo", "flow.flo", "name"),
    ("convert deep deep --to png", "deep/flow_kitti.png", "folder"),
    ("evaluate flow.flo truth.flo --json truth.flo", "truth.flo", "name"),
    ("evaluate flow.flo truth.flo --html {d}/flow.flo", "{d}/flow.flo", "name"),
]


@pytest.mark.parametrize(("line", "path", "wanted"), CASES, ids=[line for line, *_ in CASES])
def test_an_output_that_is_an_input(refused, planted, folder, monkeypatch, line, path, wanted):
    objects = {"landmarks": PlantedLandmarks(), "match-points": PlantedLabels()}
    command, *arguments = line.format(d=folder).split()
    if command in objects:
        models = importlib.import_module("kcorr.models")
        monkeypatch.setattr(models, "load", lambda *args, **options: objects[command])
        arguments += ["--model", "mine"]
    if "flow.mp4" in arguments:
        with video_writer(folder / "flow.mp4", 12) as video:
            for _ in range(3):
                video.write(np.zeros((48, 64, 3), np.uint8))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    said = f"{path.format(d=folder)}: is an input; expected another {wanted} for the output"
    assert refused(command, *arguments) == f"kcorr {command}: {said}"
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert planted.seen == []


def test_what_may_be_written(tmp_path):
    (tmp_path / "in.png").write_text("read")
    (tmp_path / "old.png").write_text("of an earlier run")
    (tmp_path / "folder").mkdir()
    new, old = tmp_path / "new.png", tmp_path / "old.png"
    check_outputs([new, old, tmp_path / "none" / "x.png"], [tmp_path / "in.png", "31,40;60,41"])
    for inputs in ([], [tmp_path / "folder"]):
        with pytest.raises(CommandError, match="folder: is a folder; expected a file for the outp"):
            check_outputs([new, tmp_path / "folder"], inputs)
    # Two names of one file.
    (tmp_path / "hard.png").hardlink_to(tmp_path / "in.png")
    with pytest.raises(CommandError, match=r"hard\.png: is an input; expected another folder for"):
        check_outputs([tmp_path / "hard.png"], [tmp_path / "in.png"], "folder")
