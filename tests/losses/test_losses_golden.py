"""Numbers that the authors' published functions gave (flow specification, 2.1 and 10.1)."""

import keras
import numpy as np
import pytest

from kcorr import losses

ROW, COLUMN = np.mgrid[:24, :32].astype("float32")
ROWS, COLUMNS, CHANNEL = np.ogrid[:24, :32, :3]
IMAGE1 = (((7 * ROWS + 3 * COLUMNS + 5 * CHANNEL) % 11) / 10.0)[None].astype("float32")
IMAGE2 = (((5 * ROWS + 2 * COLUMNS + 3 * CHANNEL) % 13) / 12.0)[None].astype("float32")
FORWARD = np.stack([1.5 + 0.05 * COLUMN, -0.75 + 0.1 * ROW], -1)[None].astype("float32")
BUMP = 1.5 * ((COLUMN >= 10) & (COLUMN < 16))
BACKWARD = np.stack([-1.25 - 0.04 * COLUMN + BUMP, 0.5 - 0.08 * ROW], -1)[None].astype("float32")


def value(loss):
    result = keras.ops.convert_to_numpy(loss)
    assert result.shape == (1,)
    return result[0]


@pytest.fixture(scope="module")
def scene():
    from kcorr.ops import backward_warp, fb_occlusion

    authors = {"outside_is_occluded": False, "border": "authors"}
    hidden_forward = fb_occlusion(FORWARD, BACKWARD, **authors)
    hidden_backward = fb_occlusion(BACKWARD, FORWARD, **authors)
    return {
        "warped2": backward_warp(IMAGE2, FORWARD, border="authors")[0],
        "warped1": backward_warp(IMAGE1, BACKWARD, border="authors")[0],
        "hidden1": keras.ops.convert_to_numpy(hidden_forward),
        "hidden2": keras.ops.convert_to_numpy(hidden_backward),
    }


def test_occlusion_counts(scene):
    assert scene["hidden1"].sum() == 262
    assert scene["hidden2"].sum() == 168


def test_identical_images_cost_the_penalty_of_zero():
    assert np.isclose(value(losses.photometric(IMAGE1, IMAGE1)), 0.2377340, rtol=1e-5)
    assert np.isclose(value(losses.census(IMAGE1, IMAGE1)), 0.0792447, rtol=1e-5)


def test_brightness(scene):
    forward = value(losses.photometric(IMAGE1, scene["warped2"]))
    backward = value(losses.photometric(IMAGE2, scene["warped1"]))
    assert np.isclose(forward + backward, 1.8176821, rtol=1e-5)
    forward = value(losses.photometric(IMAGE1, scene["warped2"], 1 - scene["hidden1"]))
    backward = value(losses.photometric(IMAGE2, scene["warped1"], 1 - scene["hidden2"]))
    assert np.isclose(forward, 0.8871210, rtol=1e-5)
    assert np.isclose(forward + backward, 1.7748009, rtol=1e-5)


def test_census(scene):
    assert np.isclose(value(losses.census(IMAGE1, scene["warped2"])), 1.7623249, rtol=1e-5)
    assert np.isclose(value(losses.census(IMAGE2, scene["warped1"])), 1.8047700, rtol=1e-5)
    forward = value(losses.census(IMAGE1, scene["warped2"], 1 - scene["hidden1"]))
    backward = value(losses.census(IMAGE2, scene["warped1"], 1 - scene["hidden2"]))
    assert np.isclose(forward, 1.7684916, rtol=1e-5)
    assert np.isclose(backward, 1.7995905, rtol=1e-5)


def test_distillation_reduction(scene):
    loss = losses.distillation(-FORWARD, BACKWARD, scene["hidden1"])  # R(w_b + w_f, occ_f)
    assert np.isclose(value(loss), 0.6916358, rtol=1e-5)
    assert np.isclose(value(losses.robust_mean(FORWARD + BACKWARD, scene["hidden1"])), 0.6916358)


def test_penalty_at_zero():
    assert np.isclose(float(losses.robust(np.zeros((), "float32"))), 0.158489, atol=1e-6)
