"""Virtual points: the published formula, what they learn, and that they are saved whole."""

import keras
import numpy as np
import pytest

from kcorr.models import VirtualPoints, fit_virtual_points


def network(points=2, dimensions=5, **options):
    keras.utils.set_random_seed(3)
    net = VirtualPoints(points, dimensions, virtual=4, **options)
    net.build()
    return net


def numpy_points(labels, filters, mixture, sharpness):
    """The formula, pixel by pixel in float64."""
    batch, height, width, _ = labels.shape
    points, virtual = mixture.shape[:2]
    result = np.zeros((batch, points, 2))
    for b in range(batch):
        for p in range(points):
            for v in range(virtual):
                answers = sharpness * labels[b].astype(float) @ filters[:, p * virtual + v]
                mass = np.exp(answers - answers.max())
                mass /= mass.sum()
                x = sum(mass[:, j].sum() * (2 * j / (width - 1) - 1) for j in range(width))
                y = sum(mass[i].sum() * (2 * i / (height - 1) - 1) for i in range(height))
                result[b, p] += np.array([x, y]) @ mixture[p, v]
    return result


@pytest.mark.parametrize("sharpness", [1.0, 100.0])
def test_the_formula(sharpness):
    net = network(sharpness=sharpness)
    labels = np.random.default_rng(0).normal(size=(3, 6, 9, 5)).astype("float32")
    out = {key: np.asarray(value) for key, value in net({"labels": labels}).items()}
    filters, mixture = (np.asarray(one) for one in (net.filters, net.mixture))
    assert filters.shape == (5, 8) and mixture.shape == (2, 4, 2, 2)
    truth = numpy_points(labels, filters.astype(float), mixture.astype(float), sharpness)
    np.testing.assert_allclose(out["normalised"], truth, atol=2e-4)
    # Pixels of the 12 x 18 picture, from the centre of the first to that of the last.
    np.testing.assert_allclose(out["points"], (truth + 1) * [17 / 2, 11 / 2], atol=2e-3)
    assert out["virtual_points"].shape == (3, 2, 4, 2)
    mixed = 2 * out["virtual_points"] / [17, 11] - 1
    np.testing.assert_allclose(
        np.einsum("bpvc,pvcd->bpd", mixed, mixture), out["normalised"], atol=1e-5
    )


def test_published_sizes_and_initial_weights():
    keras.utils.set_random_seed(1)
    net = VirtualPoints(5, 64)
    net.build()
    assert net.filters.shape == (64, 250)  # 50 x 5, 3400 for the 68 of 300-W
    assert abs(float(np.std(net.filters)) - 1) < 0.02
    mixture = np.asarray(net.mixture)
    assert np.abs(mixture).max() <= 0.1 and np.abs(mixture).max() > 0.09


def planted(count, seed, size=(8, 10)):
    """Labels whose largest inner products with two vectors stand where two points are."""
    rng = np.random.default_rng(seed)
    labels = rng.normal(0, 0.02, (count, *size, 4)).astype("float32")
    cells = np.stack(
        [rng.integers(0, size[1], (count, 2)), rng.integers(0, size[0], (count, 2))], -1
    )
    for k in range(2):
        labels[np.arange(count), cells[:, k, 1], cells[:, k, 0], k] += 1
    return labels, (2 * cells + 0.5).astype("float32")


def test_it_learns_where_planted_points_are():
    labels, points = planted(160, 0)
    visible = np.ones((160, 2, 1), "float32")
    visible[:40, 0] = 0
    points[:40, 0] = 1e4  # must not count
    net = fit_virtual_points(
        labels, points, visible, epochs=30, learning_rate=5e-2, drops=(20,), virtual=12, seed=1
    )
    test_labels, truth = planted(60, 1)
    found = np.asarray(net({"labels": test_labels})["points"])
    errors = np.linalg.norm(found - truth, axis=-1)
    chance = np.linalg.norm(truth - truth.mean(0), axis=-1)
    assert errors.mean() < 0.25 * chance.mean(), (errors.mean(), chance.mean())


def test_fits_are_repeatable_and_decay_shrinks():
    labels, points = planted(20, 2)
    one, two, other, small = (
        np.asarray(
            fit_virtual_points(
                labels, points, epochs=3, virtual=3, drops=(), seed=seed, decay=decay
            ).filters
        )
        for seed, decay in ((4, 0.0), (4, 0.0), (5, 0.0), (4, 100.0))
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    assert np.abs(small).mean() < np.abs(one).mean()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_saved_and_loaded_under_any_policy(tmp_path, policy):
    net = network(dtype=policy, stride=4)
    labels = 300 * np.random.default_rng(5).normal(size=(2, 5, 7, 5)).astype("float32")
    expected = net({"labels": labels})
    assert all(keras.backend.standardize_dtype(one.dtype) == "float32" for one in expected.values())
    assert all(np.isfinite(np.asarray(one)).all() for one in expected.values())
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    assert again.get_config() == net.get_config()
    for key, value in again({"labels": labels}).items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(expected[key]))
    # Coordinates are those of float32 under every policy.
    plain = network(stride=4)({"labels": labels})["points"]
    np.testing.assert_allclose(np.asarray(expected["points"]), np.asarray(plain), atol=1e-3)


@pytest.mark.tensorflow_only
def test_sizes_may_be_unknown():
    import tensorflow as tf

    net = network()
    call = tf.function(
        lambda labels: net({"labels": labels})["points"],
        input_signature=[tf.TensorSpec([None, None, None, 5])],
    )
    for shape in ((1, 3, 4, 5), (2, 6, 1, 5)):
        labels = np.random.default_rng(0).normal(size=shape).astype("float32")
        np.testing.assert_allclose(call(labels), net({"labels": labels})["points"], atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VirtualPoints(0, 3), "at least 1"),
        (lambda: VirtualPoints(2, 3, sharpness=0), "sharpness above 0"),
        (
            lambda: network()({"labels": np.zeros((1, 4, 4, 3))}),
            r"\[b, h, w, 5\], got \(1, 4, 4, 3\)",
        ),
        (lambda: fit_virtual_points(np.zeros((2, 4, 4, 3)), np.zeros((3, 1, 2))), "expects labels"),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
