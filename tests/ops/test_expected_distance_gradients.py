"""The hand-written gradients of the matching losses: by differences, and beside autodiff."""

import keras
import numpy as np
import pytest
from _compiled import compiled
from _gradients import assert_gradient, evaluate, gradient
from _matching_truth import pixel_grid
from keras import ops

from kcorr.ops import expected_distance, matching_log_loss, rotations
from kcorr.ops._backend import forward_only


def draw(batch=2, height=3, width=4, channels=3, seed=3):
    random = np.random.default_rng(seed)
    first, second, aux = random.normal(size=(3, batch, height, width, channels))
    grid = pixel_grid(2 * height, 2 * width, batch)
    grid = grid + random.normal(size=grid.shape)
    return first, second, np.clip(grid, 0, [2 * width - 1, 2 * height - 1]), aux


WEIGHT = np.array([1.0, -2.5])  # examples must not share an upstream gradient


@pytest.mark.parametrize("power", [0.5, 1, 2, 0.7])
def test_gradients_by_differences(power):
    first, second, grid, _ = draw()

    @compiled
    def weighted(a, b):
        return expected_distance(a, b, grid, power, chunk=5) * WEIGHT

    assert_gradient(weighted, first, second, entries=4)


@pytest.mark.parametrize("options", [
    {"normalise": 2.0},
    {"mirror": np.array([1.0, 0.0]), "mask": np.arange(24.0).reshape(2, 3, 4, 1) % 3},
    {"group": rotations(3)},
], ids=lambda options: "-".join(options))  # fmt: skip
@pytest.mark.parametrize("loss", [expected_distance, matching_log_loss])
def test_gradients_of_all_forms(loss, options):
    first, second, grid, aux = draw()

    @compiled
    def weighted(a, b, c):
        return loss(a, b, grid, aux=c, chunk=7, **options) * WEIGHT

    assert_gradient(weighted, first, second, aux, entries=4)


@pytest.mark.parametrize("loss", [expected_distance, matching_log_loss])
def test_several_auxiliaries_by_differences(loss):
    first, second, grid, _ = draw()
    aux = np.random.default_rng(8).normal(size=(2, 2, 2, 3, 3))
    weighted = compiled(lambda a, b, c: loss(a, b, grid, aux=c, chunk=4) * WEIGHT)
    assert_gradient(weighted, first, second, aux, entries=4)


def naive(first, second, grid, aux):
    """All pairs at once, differentiated by the backend; both maps have 6 x 6 cells."""
    first, second, aux = (
        ops.reshape(x, [x.shape[0], -1, x.shape[-1]]) for x in (first, second, aux)
    )
    share = ops.softmax(ops.einsum("buc,bwc->buw", first, aux), axis=-1)
    first = ops.einsum("buw,bwc->buc", share, aux)
    share = ops.softmax(ops.einsum("buc,bvc->buv", first, second), axis=-1)
    cells = pixel_grid(6, 6).reshape(-1, 2) * 2 + 0.5
    places = grid.reshape(-1, 6, 2, 6, 2, 2).mean((2, 4)).reshape(-1, 36, 1, 2)
    distance = np.linalg.norm(places - cells, axis=-1) ** 0.5
    return ops.mean(ops.sum(share * distance.astype("float32"), axis=-1), axis=-1)


@pytest.mark.parametrize("length", [1, 20])
def test_beside_autodiff_in_single_precision(length):
    """T5; at length 20 logits are +-400."""
    first, second, grid, aux = draw(height=6, width=6)
    maps = [
        (x * length / np.linalg.norm(x, axis=-1, keepdims=True)).astype("float32")
        for x in (first, second, aux)
    ]
    truth = gradient(compiled(lambda a, b, c: naive(a, b, grid, c)), *maps)
    run = compiled(lambda a, b, c: expected_distance(a, b, grid.astype("float32"), aux=c))
    for found, expected in zip(gradient(run, *maps), truth, strict=True):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_grid_and_the_mask_receive_no_gradient():
    first, second, grid, _ = draw()
    mask = np.ones((2, 3, 4, 1))
    for loss in (expected_distance, matching_log_loss):
        run = compiled(lambda g, m, f=loss: f(first, second, g, mask=m))
        found = gradient(run, grid, mask)
        assert not any(x.any() for x in found)


def test_only_the_best_of_a_group_receives_a_gradient():
    """The gradient is that of the plain loss of the turned sources, turned back."""
    first, second, grid, _ = draw()
    group = rotations(3)
    plain = compiled(lambda a, b: expected_distance(a, b, grid))
    losses = [evaluate(plain, first @ matrix.T, second) for matrix in group]
    best = np.argmin(losses, axis=0)
    run = compiled(lambda a, b: expected_distance(a, b, grid, group=group))
    found = gradient(run, first, second)
    for example, k in enumerate(best):
        turned = first @ group[k].T
        expected = gradient(plain, turned, second)
        np.testing.assert_allclose(found[0][example], (expected[0] @ group[k])[example], atol=1e-12)
        np.testing.assert_allclose(found[1][example], expected[1][example], atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"group": rotations(3)}], ids=["plain", "group"])
@pytest.mark.parametrize("loss", [expected_distance, matching_log_loss])
def test_the_value_is_the_same_where_nobody_asks_for_gradients(loss, options):
    first, second, grid, aux = draw()

    def value():
        return keras.ops.convert_to_numpy(loss(first, second, grid, aux=aux, chunk=5, **options))

    with forward_only():
        found = value()
    np.testing.assert_allclose(found, value(), rtol=1e-12)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("jit", [False, True])
def test_gradients_in_graphs(jit):
    import tensorflow as tf

    maps = [x.astype("float32") for x in draw(height=4, width=4)[:2]]
    grid = draw(height=4, width=4)[2].astype("float32")
    spec = [tf.TensorSpec([None, None, None, 3])] * 2 + [tf.TensorSpec([None, None, None, 2])]

    @tf.function(input_signature=None if jit else spec, jit_compile=jit)
    def gradients(a, b, grid):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            total = tf.reduce_sum(expected_distance(a, b, grid, chunk=5))
        return tape.gradient(total, [a, b])

    truth = gradient(lambda a, b: expected_distance(a, b, grid), *maps)
    for found, expected in zip(gradients(*maps, grid), truth, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_descending_finds_the_match():
    """From noise, towards a planted shift: the loss falls far below chance."""
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 1, 6, 6, 8)).astype("float32") * 0.1
    grid = pixel_grid(6, 6).astype("float32")
    run = compiled(lambda a, b: expected_distance(a, b, grid))
    start = keras.ops.convert_to_numpy(run(first, second))[0]
    for _ in range(60):
        steps = gradient(run, first, second)
        first, second = first - 40 * steps[0], second - 40 * steps[1]
    assert keras.ops.convert_to_numpy(run(first, second))[0] < 0.3 * start
