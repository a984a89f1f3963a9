"""The recipes of object structure on the user's own pictures: what they leave and refuse."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from _command import recipe

from kcorr import datasets
from kcorr.datasets import DeformableFaces
from kcorr.export import export_network
from kcorr.io import read_image, write_image
from kcorr.models import build, load
from recipes import common, object_symmetry, object_training, objects

FEW = "fewer than 20 pictures (12), so none is held out"
SMALL = ("--steps=2", "--epoch_steps=2", "--side=40", "--crop=4", "--noprogress")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twelve faces, wider than high, and a table of their key points, one of them known nowhere."""
    folder = tmp_path_factory.mktemp("pictures")
    faces = DeformableFaces((40, 40), 6, 2).pictures
    lines = ["image,eye_x,eye_y,nose_x,nose_y,ear_x,ear_y"]
    for number in range(12):
        record = faces[number]
        image = np.pad(record["image1"], ((0, 0), (5, 7), (0, 0)), mode="edge")
        write_image(folder / f"{number}.png", image)
        (eye, nose) = record["points1"][[0, 2]] + [5, 0]
        lines.append(f"{number}.png,{eye[0]},{eye[1]},{nose[0]},{nose[1]},,")
    (folder / "points.csv").write_text("\n".join(lines) + "\n")
    return folder


def measured(models, folder, workdir):
    """What evaluate_landmarks finds of networks on a folder of 12 pictures, a list."""
    flags = ("--further_views=20", f"--data_dir={folder}", f"--workdir={workdir}")
    done = recipe("evaluate_landmarks", f"--model={','.join(map(str, models))}", *flags)
    assert done.returncode == 0, done.stderr[-3000:]
    assert FEW in done.stderr and "learned from" in " ".join(done.stdout.split())
    return list(json.loads((workdir / "metrics.json").read_text()).values())


@pytest.mark.slow
def test_a_folder_is_all_that_is_needed(pictures, tmp_path):
    run = tmp_path / "run"
    flags = (f"--data_dir={pictures}", "--landmarks=3", *SMALL)
    done = recipe("landmarks", *flags, f"--workdir={run}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{FEW}: what is measured is what was learned from, the annotated" in done.stderr
    network = load(run / "network.keras")
    assert network.landmarks == 3 and network.picture_size == 40
    export_network(network, tmp_path / "exported")
    models = (run / "network.keras", tmp_path / "exported")
    found, served = measured(models, pictures, tmp_path / "measured")
    assert found["equivariance px, training warps"] > 0
    assert 0 < found["mean shape %"] < 30 and found["all shots %"] > 0
    assert found["5 shots %, deviation"] > 0
    # Views are rounded to 8 bits for a SavedModel.
    assert served.keys() == found.keys() and served == pytest.approx(found, rel=0.05)
    names = {path.name for path in (tmp_path / "measured" / "pictures").rglob("*.png")}
    assert names == {
        f"{of}_{what}.png" for of in ("run", "exported") for what in ("objects", "warps")
    }


@pytest.fixture
def damaged(pictures, tmp_path):
    """24 pictures without a table, of which two cannot be read; every tenth is held out."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(24):
        shutil.copy(pictures / f"{number % 12}.png", folder / f"{number:02d}.png")
    for name in ("05.png", "10.png"):
        path = folder / name
        path.write_bytes(path.read_bytes()[:200])
    return folder


@pytest.mark.slow
def test_a_damaged_picture_is_one_line(damaged, tmp_path):
    shutil.copy(damaged / "11.png", damaged / "10.png")  # the held-out one
    flags = (*SMALL, "--batch_size=21", f"--workdir={tmp_path / 'run'}")
    done = recipe("object_frame", f"--data_dir={damaged}", *flags)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"object_frame: {damaged / '05.png'}: "), line
    assert line.endswith("; --on_error=skip leaves it out"), line
    # One of those that are drawn while it learns is read before.
    (damaged / "00.png").write_bytes(b"")
    done = recipe("object_frame", f"--data_dir={damaged}", *flags)
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and line.startswith(f"object_frame: {damaged / '00.png'}: "), line
    assert line.endswith("; --on_error=skip leaves it out"), line


@pytest.mark.slow
def test_damaged_pictures_are_left_out(damaged, tmp_path):
    """Two are still held out then: too few to be rebuilt from two others, so that is left out."""
    flags = (*SMALL, "--on_error=skip", "--exchange=2", "--dim=4", f"--workdir={tmp_path / 'run'}")
    done = recipe("object_frame", f"--data_dir={damaged}", *flags)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 held out: too few for --exchange=2" in done.stderr
    assert "skipped 05.png" in done.stderr and "skipped 10.png" in done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["val_matching"] > 0 and metrics["val_match"] > 0


@pytest.mark.slow
def test_more_pictures_to_be_rebuilt_from_than_a_batch_has_elsewhere(tmp_path):
    flags = ("--smoke", "--exchange=8", "--batch_size=16", "--data=faces", "--side=32")
    done = recipe("object_frame", *flags, f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "metrics.json").read_text())["val_matching"] > 0


MATCHING = {"equivariance px", "equivariance px, unmoved", "same px"}
TRANSFER = {"transfer px", "transfer, plane fitted px", "transfer px, unmoved"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "symmetry", "measures", "picture"),
    [
        ("two_arms", "bilateral", {"different px", "nearest %"} | TRANSFER, "symmetry"),
        ("n_fold", "rotation3", {"match px", "axis deg"}, "axis"),
        ("sphere", "none", {"different px", "nearest %", "angle deg", "over 30 deg %"}, "unrolled"),
    ],
)
def test_films_of_objects_with_a_symmetry(tmp_path, data, symmetry, measures, picture):
    run, workdir = tmp_path / "run", tmp_path / "measured"
    flags = ("--smoke", "--side=32", f"--data={data}", f"--symmetry={symmetry}")
    done = recipe("object_frame", *flags, f"--workdir={run}")
    assert done.returncode == 0, done.stderr[-3000:]
    flags = (f"--data={data}", f"--model={run / 'network.keras'}")
    flags += ("--symmetric",) if symmetry == "bilateral" else ()
    done = recipe("evaluate_landmarks", *flags, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr[-3000:]
    (found,) = json.loads((workdir / "metrics.json").read_text()).values()
    # What is not finite is left out there.
    assert set(found) == MATCHING | measures and all(0 < value < 180 for value in found.values())
    pictures = {path.stem: path for path in (workdir / "pictures").glob("*.png")}
    assert set(pictures) == {"labels", "matches", "unrolled", picture}
    for path in pictures.values():
        assert read_image(path).std() > 10, path


@pytest.mark.slow
def test_a_table_without_points_leaves_cycles(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    people = "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(12))
    (folder / "points.csv").write_text(f"image,identity\n{people}")
    network = build("object_frame", widths=(4, 4, 4, 4, 4), picture_size=40)
    network.save(tmp_path / "network.keras")
    export_network(network, tmp_path / "exported")
    models = (tmp_path / "network.keras", tmp_path / "exported")
    found, served = measured(models, folder, tmp_path / "measured")
    between = {"cycle px", "spread px", "spread px, of the grid"}
    assert set(found) == between | {"equivariance px", "equivariance px, unmoved"}
    assert found["cycle px"] > 0
    assert served == pytest.approx(found, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bilateral", 0, 50, 71), "needs views of even width, .* leave 71 pixels"),
        (("none", 1, 1, 70), "--exchange=1 needs at least 2 pictures to learn from; there is 1"),
        (("none", 3, 3, 70), "--exchange=3 needs at least 4 pictures .* there are 3"),
    ],
)
def test_what_cannot_be_learned_is_refused(arguments, message):
    with pytest.raises(common.UserError, match=message):
        object_symmetry.check_learnable(*arguments)
    object_symmetry.check_learnable("bilateral", 1, 2, 70)


def test_a_group_of_the_users_own(tmp_path):
    path = tmp_path / "group.npy"
    turns = np.stack([np.eye(3), np.diag([-1.0, -1.0, 1.0])])
    np.save(path, turns)
    np.testing.assert_array_equal(object_symmetry.group_of(str(path)), turns)
    np.testing.assert_allclose(object_symmetry.group_of("rotation2"), turns, atol=1e-7)
    assert (
        object_symmetry.group_of("none") is None and object_symmetry.group_of("bilateral") is None
    )
    for matrices, message in (
        (2 * turns, "expected orthogonal"),
        (np.eye(3), r"got shape \(3, 3\)"),
    ):
        np.save(path, matrices)
        with pytest.raises(common.UserError, match=message):
            object_symmetry.group_of(str(path))
    path.write_text("no numbers")
    with pytest.raises(common.UserError, match=r"group\.npy: cannot be read"):
        object_symmetry.group_of(str(path))


def test_labels_are_normalised_as_published_for_their_network():
    known = {"hourglass_small": ("hourglass", True), "object_frame": ("smallnet", False)}
    for network, (schedule, normalise) in known.items():
        found, objective = object_training.published(network)
        assert found == schedule and objective["normalise"] is normalise


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"data": "orl", "side": None, "crop": 40}, 20),  # of 100
        ({"data": "faces", "side": 17, "crop": None}, 17),
        ({"data": "faces", "side": 30, "crop": None}, 22),
    ],
)
def test_views_may_be_small(monkeypatch, given, left):
    monkeypatch.setattr(objects, "FLAGS", SimpleNamespace(data_dir=None, **given))
    assert objects.side() - 2 * objects.crop() == left


def test_frames_may_be_further_apart_than_test_films_are_long(monkeypatch):
    flags = {"data": "arm", "side": 32, "frames": 50, "stride": 20, "sequences": 2, "seed": 0}
    flags |= {"data_dir": None, "smoke": False, "marks": 0}
    monkeypatch.setattr(objects, "FLAGS", SimpleNamespace(**flags))
    shown = objects.open_objects()
    assert min(map(len, (shown.training, shown.held_out, shown.test))) > 0


def test_training_is_not_watched_on_what_is_measured(monkeypatch):
    class Faces:
        eyes, symmetric_points = (0, 1), (1, 0)

        def __init__(self, root, split, size):
            self.split = split

    monkeypatch.setattr(datasets, "CelebA", Faces)
    given = {"data": "celeba", "data_dir": "celeba", "side": 100, "on_error": "raise"}
    monkeypatch.setattr(objects, "FLAGS", SimpleNamespace(**given))
    shown = objects.open_objects()
    parts = (shown.training, shown.held_out, shown.test, shown.annotated)
    assert [part.split for part in parts] == ["train", "validation", "mafl_test", "mafl_train"]


def test_a_crop_that_does_not_go_with_the_networks_pictures_is_one_line(tmp_path):
    done = recipe("evaluate_landmarks", "--smoke", "--crop=20", f"--workdir={tmp_path}")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "--crop leaves less than 16 pixels of --side" in done.stderr


@pytest.mark.slow
def test_one_picture_has_no_other_to_be_rebuilt_from(pictures, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.copy(pictures / "0.png", folder)
    flags = (f"--data_dir={folder}", "--exchange=1", *SMALL, f"--workdir={tmp_path / 'run'}")
    done = recipe("object_frame", *flags)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    line = "object_frame: --exchange=1 needs at least 2 pictures to learn from; there is 1"
    assert done.stderr.splitlines()[-1] == line
    assert not (tmp_path / "run" / "network.keras").exists()


@pytest.mark.slow
def test_a_folder_without_pictures_is_one_line(tmp_path):
    run = tmp_path / "run"
    (tmp_path / "empty").mkdir()
    done = recipe("landmarks", f"--data_dir={tmp_path / 'empty'}", *SMALL, f"--workdir={run}")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "no picture" in done.stderr.splitlines()[-1]
