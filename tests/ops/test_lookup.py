"""The lookup against a tap-by-tap truth, its two modes against each other, and its borders."""

import numpy as np
import pytest
from _compiled import compiled
from _gradients import assert_gradient, gradient
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.ops import CorrelationLookup, local_correlation

MODES = ("all_pairs", "on_demand")


def draw(size=(6, 9), size2=None, channels=3, batch=2, motion=3.0, seed=0):
    random = np.random.default_rng(seed)
    first = random.normal(size=(batch, *size, channels)).astype("float32")
    second = random.normal(size=(batch, *(size2 or size), channels)).astype("float32")
    flow = motion * random.normal(size=(batch, *size, 2)).astype("float32")
    return first, second, flow


def look(first, second, flow, levels=3, radius=2, mode="all_pairs"):
    run = compiled(lambda a, b, f: CorrelationLookup(a, b, levels, radius, mode)(f))
    return np.asarray(ops.convert_to_numpy(run(first, second, flow)))


def halved(image):
    """Means of 2x2 pixels; at an odd border of what is there."""
    batch, height, width, channels = image.shape
    small = np.zeros((batch, -(-height // 2), -(-width // 2), channels))
    for y, x in np.ndindex(small.shape[1:3]):
        small[:, y, x] = image[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((1, 2))
    return small


def bilinear(image, x, y):
    """image(y, x) [c], 0 outside."""
    left, top = int(np.floor(x)), int(np.floor(y))
    value = np.zeros(image.shape[-1])
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                value += image[row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return value


def slow_lookup(first, second, flow, levels, radius):
    batch, height, width, channels = first.shape
    steps = range(-radius, radius + 1)
    truth = np.zeros((batch, height, width, levels, len(steps), len(steps)))
    for level in range(levels):
        for b, y, x in np.ndindex(batch, height, width):
            px, py = ((p + 0.5) / 2**level - 0.5 for p in (x, y) + flow[b, y, x])
            for i, dy in enumerate(steps):
                for j, dx in enumerate(steps):
                    tap = bilinear(second[b], px + dx, py + dy)
                    truth[b, y, x, level, i, j] = first[b, y, x] @ tap / np.sqrt(channels)
        second = halved(second)
    return truth.reshape(batch, height, width, -1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size, size2", [((6, 9), None), ((1, 5), (7, 3)), ((3, 3), (1, 1))])
def test_every_tap_of_every_level(mode, size, size2):
    arrays = draw(size, size2)
    found = look(*arrays, mode=mode)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_lookup(*arrays, 3, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_without_motion_level_0_is_the_local_correlation(mode):
    first, second, flow = draw((8, 17), channels=4)
    found = look(first, second, 0 * flow, levels=1, radius=3, mode=mode)
    expected = ops.convert_to_numpy(local_correlation(first, second, 3)) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dx, dy", [(11, -7), (-13, 2)])
def test_a_planted_shift_is_found_by_looking_there(dx, dy):
    """With unit vectors the centre's tap wins; looking at the place itself, another one does."""
    first = draw((20, 32), channels=16, batch=1)[0]
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    second = np.roll(first, (dy, dx), axis=(1, 2))
    flow = np.broadcast_to(np.float32([dx, dy]), (1, 20, 32, 2))
    inner = np.s_[:, 7:-7, 13:-13]
    best = look(first, second, flow, levels=1)[inner].argmax(-1)
    assert (best == 12).all()
    best = look(first, second, 0 * flow, levels=1)[inner].argmax(-1)
    assert (best == 12).mean() < 0.2


def weighted(mode, shape, levels=3, radius=2):
    weights = np.random.default_rng(5).normal(size=shape)

    @compiled
    def run(first, second, flow):
        found = CorrelationLookup(first, second, levels, radius, mode)(flow)
        return found * ops.cast(weights, found.dtype)

    return run


@pytest.mark.parametrize("mode", MODES)
def test_gradients_by_differences(mode):
    arrays = draw((3, 5), (4, 6), motion=1.5)
    assert_gradient(weighted(mode, (2, 3, 5, 18), levels=2, radius=1), *arrays, entries=8)


def test_both_modes_agree_on_larger_maps_and_in_their_gradients():
    arrays = draw((23, 40), channels=16, motion=8.0)
    values = [look(*arrays, mode=mode) for mode in MODES]
    np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-4)
    runs = [weighted(mode, (2, 23, 40, 75)) for mode in MODES]
    for one, other in zip(*(gradient(run, *arrays) for run in runs), strict=True):
        assert np.abs(one).max() > 1
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_dynamic_sizes_and_compiled(mode):
    levels = 2 if mode == "all_pairs" else 1  # whose levels go one way; compiling it takes long

    def lookup(first, second, flow):
        return CorrelationLookup(first, second, levels, 1, mode)(flow)

    assert_same_in_every_mode(lookup, *draw((5, 7), (6, 4)))


@pytest.mark.parametrize("mode", MODES)
def test_a_vector_that_points_nowhere_sees_nothing_and_spoils_nothing(mode):
    first, second, flow = draw()
    run = compiled(lambda a, b, f: CorrelationLookup(a, b, 2, 1, mode)(f))
    clean = np.asarray(ops.convert_to_numpy(run(first, second, flow)))
    bad = np.s_[0, 2, 3:8]
    flow[0, 2, 3:8, 1] = [np.nan, np.inf, -np.inf, 1e30, -1e9]
    found = np.array(ops.convert_to_numpy(run(first, second, flow)))
    assert (found[bad] == 0).all() and clean[bad].any()
    found[bad] = clean[bad]
    np.testing.assert_array_equal(found, clean)
    for value in gradient(weighted(mode, (2, 6, 9, 18), 2, 1), first, second, flow):
        assert np.isfinite(value).all()


@pytest.mark.parametrize("mode", MODES)
def test_half_precision_features_are_correlated_in_float32(mode):
    first, second, flow = draw(channels=64)
    rounded = [ops.cast(ops.cast(x, "bfloat16"), "float32") for x in (first, second)]
    expected = CorrelationLookup(*rounded, 2, 2, mode)(flow)
    found = CorrelationLookup(*[ops.cast(x, "bfloat16") for x in rounded], 2, 2, mode)(flow)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))


@pytest.mark.tensorflow_only
def test_on_demand_keeps_no_tensor_of_all_pairs():
    """Neither forward nor backward: 12 x 16 positions are 192 pixels, 36,864 pairs."""
    import tensorflow as tf

    first, second, flow = draw((12, 16), channels=8, batch=1)

    def largest(mode):
        def step(first, second):
            with tf.GradientTape() as tape:
                tape.watch([first, second])
                total = tf.reduce_sum(CorrelationLookup(first, second, 2, 1, mode)(flow) ** 2)
            return tape.gradient(total, [first, second])

        graph = tf.function(step).get_concrete_function(tf.constant(first), tf.constant(second))
        shapes = [t.shape for op in graph.graph.get_operations() for t in op.outputs]
        assert all(shape.is_fully_defined() for shape in shapes)
        return max(shape.num_elements() for shape in shapes)

    assert largest("all_pairs") == 192**2
    assert largest("on_demand") <= 192 * 4 * 8  # one row of a block's features


@pytest.mark.parametrize(
    "options, message",
    [
        ({"correlation": "none"}, "correlation must be one of all_pairs, on_demand, got 'none'"),
        ({"levels": 0}, "need levels >= 1 and radius >= 0, got 0 and 4"),
        ({"radius": -1}, "need levels >= 1 and radius >= 0, got 4 and -1"),
    ],
)
def test_bad_arguments(options, message):
    first, second, _ = draw()
    with pytest.raises(ValueError, match=message):
        CorrelationLookup(first, second, **options)
    with pytest.raises(ValueError, match=r"CorrelationLookup expects first \[b, h, w, c\]"):
        CorrelationLookup(first, second[..., :2])
