"""Cost volumes against shifted slices, their gradients, planted truths and odd shapes."""

import keras
import numpy as np
import pytest
from _compiled import compiled
from _gradients import assert_gradient, gradient
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.ops import all_pairs_correlation, local_correlation, unit_length


def shifted(array, dy, dx):
    """array(y + dy, x + dx), 0 outside; [b, h, w, c]."""
    _, height, width, _ = array.shape
    y, x = abs(dy), abs(dx)
    padded = np.pad(array, [(0, 0), (y, y), (x, x), (0, 0)])
    return padded[:, y + dy : y + dy + height, x + dx : x + dx + width]


def displacements(radius, dilation):
    steps = [dilation * k for k in range(-radius, radius + 1)]
    return [(dy, dx) for dy in steps for dx in steps]


def slow_volume(first, second, radius, dilation=1):
    first, second = first.astype("float64"), second.astype("float64")
    slices = [
        (first * shifted(second, dy, dx)).sum(-1) for dy, dx in displacements(radius, dilation)
    ]
    return np.stack(slices, -1)


def slow_gradients(first, second, upstream, radius, dilation=1):
    """Of sum(volume * upstream): first gathers from second, second from first the other way."""
    to_first, to_second = np.zeros((2, *first.shape))
    for k, (dy, dx) in enumerate(displacements(radius, dilation)):
        part = upstream[..., k : k + 1].astype("float64")
        to_first += part * shifted(second, dy, dx)
        to_second += shifted(part * first, -dy, -dx)
    return to_first, to_second


def draw(height, width, channels=5, batch=2, seed=0):
    shape = (2, batch, height, width, channels)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def correlate(first, second, *arguments, **options):
    run = compiled(lambda a, b: local_correlation(a, b, *arguments, **options))
    return ops.convert_to_numpy(run(first, second))


def assert_volume(height, width, radius, dilation=1, batch=2):
    first, second = draw(height, width, batch=batch)
    upstream = np.random.default_rng(9).normal(size=(batch, height, width, (2 * radius + 1) ** 2))
    upstream = upstream.astype("float32")
    found = correlate(first, second, radius, dilation)
    assert found.shape == upstream.shape and found.dtype == np.float32
    np.testing.assert_allclose(
        found, slow_volume(first, second, radius, dilation), rtol=1e-4, atol=1e-5
    )

    @compiled
    def weighted(a, b):
        return local_correlation(a, b, radius, dilation) * upstream

    gradients = gradient(weighted, first, second)
    truth = slow_gradients(first, second, upstream, radius, dilation)
    for value, expected in zip(gradients, truth, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("radius", range(11))
def test_every_radius(radius):
    assert_volume(5, 19, radius)


@pytest.mark.parametrize("radius, dilation", [(1, 2), (4, 2), (3, 3), (2, 9), (10, 2)])
def test_dilations(radius, dilation):
    assert_volume(7, 21, radius, dilation)


@pytest.mark.parametrize(
    "height, width", [(1, 1), (1, 2), (3, 1), (2, 15), (1, 16), (4, 17), (9, 31), (2, 33), (2, 50)]
)
def test_sizes_around_the_tiles(height, width):
    assert_volume(height, width, 4)


@pytest.mark.parametrize("batch", [1, 3])
def test_batches(batch):
    assert_volume(6, 21, 3, batch=batch)


def test_the_numbers_of_the_authors_function():
    y, x, c = np.ogrid[:6, :8, :4]
    first = np.sin(0.7 * y + 0.3 * x + 1.1 * c).astype("float32")[None]
    second = np.cos(0.4 * y - 0.5 * x + 0.9 * c).astype("float32")[None]
    volume = correlate(first, second, normalise="cosine")
    assert volume.shape == (1, 6, 8, 81)
    assert np.isclose(volume.sum(), -84.9831, rtol=1e-5)
    assert np.isclose(np.abs(volume).sum(), 1111.8535, rtol=1e-5)
    found = volume[0, 2, 3, [40, 41, 49]]
    np.testing.assert_allclose(found, (0.0713905, -0.4464463, 0.4364100), rtol=1e-5)
    assert volume[0, 0, 0, 0] == 0


@pytest.mark.parametrize("dx, dy", [(3, 0), (-4, 2), (0, -1), (4, 4)])
def test_a_planted_shift_wins(dx, dy):
    """With unit vectors no other pixel can match better, by Cauchy and Schwarz."""
    first = draw(24, 32, 16)[0]
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    second = np.roll(first, (dy, dx), axis=(1, 2))  # frame 1 moved right by dx, down by dy
    best = correlate(first, second, 4)[:, 4:-4, 4:-4].argmax(-1)
    assert (best == (dy + 4) * 9 + dx + 4).all()


def test_normalisations():
    first, second = draw(6, 18)
    plain = slow_volume(first, second, 2)
    np.testing.assert_allclose(
        correlate(first, second, 2, normalise="mean"), plain / 5, rtol=1e-4, atol=1e-5
    )
    units = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (first, second)]
    cosine = correlate(first, second, 2, normalise="cosine")
    np.testing.assert_allclose(cosine, slow_volume(*units, 2), rtol=1e-4, atol=1e-5)
    assert np.abs(cosine).max() < 1 + 1e-5
    scaled = correlate(first * 7, second * 0.01, 2, normalise="cosine")
    np.testing.assert_allclose(scaled, cosine, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalise", ["none", "mean", "cosine"])
def test_gradients_by_differences(normalise):
    first, second = draw(3, 18, 3, batch=1).astype("float64")
    factor = np.random.default_rng(1).normal(size=(1, 3, 18, 25))

    @compiled
    def weighted(a, b):
        return local_correlation(a, b, 2, normalise=normalise) * factor

    assert_gradient(weighted, first, second, entries=12)


def test_a_dilated_gradient_by_differences():
    first, second = draw(5, 9, 2, batch=1).astype("float64")
    factor = np.random.default_rng(1).normal(size=(1, 5, 9, 9))
    weighted = compiled(lambda a, b: local_correlation(a, b, 1, 3) * factor)
    assert_gradient(weighted, first, second, entries=12)


@pytest.mark.parametrize("radius, dilation", [(4, 1), (2, 3), (0, 1)])
def test_every_mode(radius, dilation):
    first, second = draw(6, 37)
    assert_same_in_every_mode(
        lambda a, b: local_correlation(a, b, radius, dilation, "cosine"), first, second
    )


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_in_graphs(compiled):
    import tensorflow as tf

    first, second = draw(6, 21)
    upstream = np.random.default_rng(2).normal(size=(2, 6, 21, 49)).astype("float32")
    spec = None if compiled else [tf.TensorSpec([None, None, None, 5])] * 2

    @tf.function(input_signature=spec, jit_compile=compiled)
    def gradients(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            total = tf.reduce_sum(local_correlation(a, b, 3) * upstream)
        return tape.gradient(total, [a, b])

    truth = slow_gradients(first, second, upstream, 3)
    found = gradients(tf.constant(first), tf.constant(second))
    for value, expected in zip(found, truth, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)


def test_swapping_the_frames_mirrors_the_displacements():
    first, second = draw(20, 22)
    there, back = correlate(first, second, 3), correlate(second, first, 3)
    for k, (dy, dx) in enumerate(displacements(3, 1)):
        expected = shifted(back, dy, dx)[..., 48 - k]
        np.testing.assert_allclose(there[..., k], expected, rtol=1e-4, atol=1e-5)


def test_a_bad_pixel_spoils_its_own_correlations_only():
    first, second = draw(9, 40)
    clean = correlate(first, second, 3)
    second[0, 4, 17] = np.nan
    first[1, 2, 30] = np.inf
    spoilt = correlate(first, second, 3)
    bad = np.zeros((2, 9, 40, 49), bool)
    bad[1, 2, 30] = True
    for k, (dy, dx) in enumerate(displacements(3, 1)):
        bad[0, 4 - dy, 17 - dx, k] = True
    np.testing.assert_array_equal(spoilt[~bad], clean[~bad])
    assert np.isnan(spoilt[0][bad[0]]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("radius, dilation", [(3, 1), (1, 3), (0, 1)])
def test_a_bad_pixel_spoils_the_gradients_of_its_window_only(bad, radius, dilation):
    def gradients(*maps):
        return gradient(compiled(lambda a, b: local_correlation(a, b, radius, dilation)), *maps)

    maps = draw(12, 40)
    clean = gradients(*maps)
    for which in (0, 1):
        spoilt = maps.copy()
        spoilt[which, 0, 4, 17, 2] = bad
        window = np.zeros((2, 12, 40), bool)
        for dy, dx in displacements(radius, dilation):
            window[0, 4 + dy, 17 + dx] = 4 + dy >= 0
        found = gradients(*spoilt)
        other = 1 - which
        assert not np.isfinite(found[other][window]).all(-1).any()
        np.testing.assert_array_equal(found[other][~window], clean[other][~window])
        np.testing.assert_array_equal(found[which], clean[which])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_summed_in_float32(dtype):
    first, second = (ops.cast(x, dtype) for x in draw(4, 18, 64))
    found = local_correlation(first, second, 2)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    exact = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in (first, second)]
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), slow_volume(*exact, 2), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("normalise", ["none", "mean", "cosine"])
def test_all_pairs(normalise):
    first = draw(3, 4)[0]
    second = draw(5, 2, seed=1)[1]
    found = ops.convert_to_numpy(all_pairs_correlation(first, second, normalise))
    a, b = first.astype("float64"), second.astype("float64")
    if normalise == "cosine":
        a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    expected = np.einsum("bhwc,byxc->bhwyx", a, b) / (5 if normalise == "mean" else 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert_same_in_every_mode(lambda a, b: all_pairs_correlation(a, b, normalise), first, second)


def test_local_is_a_window_of_all_pairs():
    first, second = draw(6, 7)
    pairs = ops.convert_to_numpy(all_pairs_correlation(first, second))
    volume = correlate(first, second, 2)
    for k, (dy, dx) in enumerate(displacements(2, 1)):
        for y in range(6):
            for x in range(7):
                inside = 0 <= y + dy < 6 and 0 <= x + dx < 7
                expected = pairs[:, y, x, y + dy, x + dx] if inside else 0
                np.testing.assert_allclose(volume[:, y, x, k], expected, rtol=1e-4, atol=1e-5)


def test_unit_length():
    features = draw(3, 4)[0]
    features[0, 0, 0] = 0
    units = ops.convert_to_numpy(unit_length(features))
    lengths = np.linalg.norm(units, axis=-1)
    assert lengths[0, 0, 0] == 0
    np.testing.assert_allclose(np.delete(lengths.ravel(), 0), 1, rtol=1e-5)
    (found,) = gradient(unit_length, features)
    assert np.isfinite(found).all()
    assert_gradient(unit_length, draw(2, 3)[0])


def test_unit_length_in_half_precision():
    """float16 has no 1e-12 to divide by and no squares above 255."""
    features = ops.cast(
        np.array([0, 3e-4, 400], "float32").reshape(1, 3, 1, 1) * np.ones(4), "float16"
    )
    units = unit_length(features)
    assert keras.backend.standardize_dtype(units.dtype) == "float16"
    expected = np.array([0, 0.5, 0.5]).reshape(1, 3, 1, 1) * np.ones(4)
    np.testing.assert_allclose(ops.convert_to_numpy(units), expected, rtol=1e-3)


def test_what_is_refused():
    first, second = draw(4, 5)
    with pytest.raises(ValueError, match="radius >= 0 and dilation >= 1, got -1 and 1"):
        local_correlation(first, second, -1)
    with pytest.raises(ValueError, match="got 4 and 0"):
        local_correlation(first, second, 4, 0)
    with pytest.raises(ValueError, match=r"integers .*got 1\.5 and 1"):
        local_correlation(first, second, 1.5)
    with pytest.raises(ValueError, match="normalise must be one of none, mean, cosine, got 'l2'"):
        local_correlation(first, second, normalise="l2")
    with pytest.raises(ValueError, match=r"first \[b, h, w, c\] .*got \(4, 5, 5\)"):
        local_correlation(first[0], second)
    with pytest.raises(ValueError, match=r"got \(2, 4, 5, 5\) and \(2, 4, 4, 5\)"):
        local_correlation(first, second[:, :, 1:])
    with pytest.raises(
        ValueError, match=r"all_pairs_correlation expects .* second \[b, h2, w2, c\]"
    ):
        all_pairs_correlation(first, second[..., :2])
