"""Linear points: the formula, the map that they learn, and that they are saved whole."""

import keras
import numpy as np
import pytest

from kcorr.metrics import LandmarkRegression
from kcorr.models import LinearPoints, fit_linear_points

SIZE = (40, 60)
CENTRE = np.array([29.5, 19.5])


def planted(count, seed, landmarks=4, points=3):
    """Landmarks, and points that are linear functions of them about the picture's middle."""
    shares = np.random.default_rng(7).normal(0, 0.4, (2 * landmarks, 2 * points))
    found = np.random.default_rng(seed).uniform(-1, 1, (count, landmarks, 2)) * CENTRE
    truth = ((found / CENTRE).reshape(count, -1) @ shares).reshape(count, points, 2) * CENTRE
    return (found + CENTRE).astype("float32"), (truth + CENTRE).astype("float32")


def test_the_formula():
    net = LinearPoints(2, 1, SIZE)
    net.build()
    net.kernel.assign([[1.0, 0, 0, 0.5], [0, 1, 0, 0]])
    out = net({"landmarks": np.float32([[[59, 0]], [[29.5, 39]]])})
    np.testing.assert_allclose(out["normalised"], [[[1, -1], [0, 0.5]], [[0, 1], [0, 0]]])
    np.testing.assert_allclose(
        out["points"], [[[59, 0], [29.5, 29.25]], [[29.5, 39], CENTRE]], rtol=1e-6
    )


def test_it_learns_a_planted_linear_map():
    landmarks, points = planted(128, 0)
    visible = np.ones((128, 3, 1), "float32")
    visible[:30, 0] = 0
    points[:30, 0] = 1e4  # must not count
    net = fit_linear_points(landmarks, points, visible, size=SIZE)
    unseen, truth = planted(50, 1)
    found = np.asarray(net({"landmarks": unseen})["points"])
    errors = np.linalg.norm(found - truth, axis=-1)
    chance = np.linalg.norm(truth - CENTRE, axis=-1)
    assert errors.mean() < 0.02 * chance.mean(), (errors.mean(), chance.mean())
    # So does the closed form, in one step.
    closed = LandmarkRegression(centre=CENTRE).fit(landmarks, points, visible)
    np.testing.assert_allclose(closed.predict(unseen), truth, atol=1e-3)


def test_fits_are_repeatable_and_decay_shrinks():
    landmarks, points = planted(40, 2)
    one, two, other, small = (
        np.asarray(
            fit_linear_points(
                landmarks, points, size=SIZE, epochs=3, drops=(), seed=seed, decay=decay
            ).kernel
        )
        for seed, decay in ((4, 0.0), (4, 0.0), (5, 0.0), (4, 100.0))
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    assert np.abs(small).mean() < np.abs(one).mean()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_saved_and_loaded(tmp_path, policy):
    net = LinearPoints(3, 4, SIZE, dtype=policy)
    net.build()
    net.kernel.assign(np.random.default_rng(0).normal(size=(8, 6)))
    landmarks, _ = planted(5, 3)
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    assert again.get_config() == net.get_config() and again.size == SIZE
    found, expected = (np.asarray(one({"landmarks": landmarks})["points"]) for one in (again, net))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LinearPoints(0, 3, SIZE), "at least 1 point and 1 landmark"),
        (lambda: LinearPoints(2, 3, (1, 40)), "at least 2 x 2"),
        (
            lambda: LinearPoints(2, 3, SIZE)({"landmarks": np.zeros((1, 4, 2))}),
            r"landmarks \[b, 3, 2\], got \(1, 4, 2\)",
        ),
        (
            lambda: fit_linear_points(np.zeros((2, 4, 2)), np.zeros((3, 1, 2)), size=SIZE),
            r"landmarks \[b, k, 2\] and points \[b, p, 2\], got \(2, 4, 2\) and \(3, 1, 2\)",
        ),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
