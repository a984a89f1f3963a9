"""From nothing, without labels, through the real recipe: the planted motion is learned."""

import numpy as np
import pytest
from _command import recipe

from kcorr.datasets import Scenes, demo_images
from kcorr.io import read_image, write_image
from kcorr.models import load
from kcorr.models.predict import Predictor

pytestmark = pytest.mark.learning
SIZE, TRAINING, HELD_OUT = (64, 96), range(64), range(64, 128)


@pytest.fixture(scope="module")
def scenes():
    """Scenes of real textures whose motions, up to 5 px, only the test knows."""
    textures = [read_image(path) for path in demo_images("train")]
    return Scenes(textures, SIZE, seed=7, max_motion=5, layers=(1, 3), photometric=0.3)


@pytest.fixture(scope="module")
def errors(scenes, tmp_path_factory):
    """Mean endpoint errors on held-out scenes: {"zero", "teacher", "student": {all, noc, occ}}."""
    root = tmp_path_factory.mktemp("learning")
    for index in TRAINING:
        folder = root / "frames" / f"{index:02d}"
        folder.mkdir(parents=True)
        write_image(folder / "1.png", scenes[index]["image1"])
        write_image(folder / "2.png", scenes[index]["image2"])
    run = root / "run"
    lengths = ("--brightness_steps=400", "--steps=300", "--student_steps=300")
    size = f"--size={SIZE[0]}x{SIZE[1]}"
    start = ("--init=", f"--data_dir={root / 'frames'}", size, "--learning_rate=1e-3")
    student = "--distillation=4"  # what is measured stands clear of chance
    done = recipe("flow_ddflow", *start, *lengths, student, f"--workdir={run}", fresh=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {"zero": measure(scenes, lambda image, _: {"flow": np.zeros((*image.shape[:2], 2))})}
    for name, folder in (("teacher", run / "teacher"), ("student", run)):
        network = load(folder / "network.weights.h5", "ddflow_small")
        found[name] = measure(scenes, Predictor(network, backward=False))
    return found


def measure(scenes, predict):
    wrong, hidden = [], []
    for index in HELD_OUT:
        record = scenes[index]
        flow = predict(record["image1"], record["image2"])["flow"]
        wrong.append(np.linalg.norm(flow - record["flow"], axis=-1))
        hidden.append(record["occlusion"][..., 0] > 0.5)
    wrong, hidden = np.stack(wrong), np.stack(hidden)
    return {"all": wrong.mean(), "noc": wrong[~hidden].mean(), "occ": wrong[hidden].mean()}


def test_photometric_learning_finds_the_motion(errors):
    """Measured: 0.59 of zero flow's error after 700 steps, and falling."""
    assert errors["teacher"]["all"] < 0.7 * errors["zero"]["all"]


def test_distillation_teaches_hidden_pixels(errors):
    """Measured, twice: 0.86 of the teacher's error where hidden, 0.94 and 1.0 where visible.

    The student trains longer than its teacher, which helps everywhere: what distillation adds is
    what hidden pixels gain beyond visible ones. Where training ends differs from machine to
    machine, by most where pixels are visible. (With the weight 1 and 16 scenes instead of 64 the
    difference was as small as the chance.)
    """
    gain = {key: errors["student"][key] / errors["teacher"][key] for key in ("noc", "occ")}
    assert gain["noc"] < 1.02
    assert gain["occ"] < 0.92
    assert gain["occ"] < 0.95 * gain["noc"]
