"""Resizing in both conventions against a slow truth and TensorFlow's own functions."""

import keras
import numpy as np
import pytest
from _compiled import compiled
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode, every_mode
from keras import ops

from kcorr.ops import resize, resize_flow

SIZES = [
    ((5, 7), (9, 4)),
    ((4, 4), (8, 8)),
    ((8, 6), (3, 3)),
    ((1, 5), (4, 1)),
    ((3, 1), (1, 6)),
    ((1, 1), (3, 2)),
    ((6, 5), (6, 5)),
    ((5, 5), (1, 1)),
]
each_size = pytest.mark.parametrize("old, new", SIZES)
corners = pytest.mark.parametrize("align_corners", [False, True])


def slow_positions(old, new, align_corners):
    index = np.arange(new, dtype="float64")
    if align_corners:
        return index * (old - 1) / max(new - 1, 1)
    return (index + 0.5) * old / new - 0.5


def slow_resize(image, size, method, align_corners):
    """[b, h, w, c] -> [b, *size, c], one axis after the other."""
    for axis, new in ((1, size[0]), (2, size[1])):
        old = image.shape[axis]
        position = slow_positions(old, new, align_corners)
        if method == "nearest":
            pixel = np.floor(position + 0.5 + 1e-9).astype(int)
            image = np.take(image, np.clip(pixel, 0, old - 1), axis)
            continue
        position = np.clip(position, 0, old - 1)
        low = np.floor(position).astype(int)
        shape = [1, 1, 1, 1]
        shape[axis] = new
        weight = (position - low).reshape(shape)
        left, right = np.take(image, low, axis), np.take(image, np.minimum(low + 1, old - 1), axis)
        image = left * (1 - weight) + right * weight
    return image


def draw(height, width, channels=3, batch=2, seed=0):
    shape = (batch, height, width, channels)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@each_size
@corners
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_against_a_slow_truth(old, new, align_corners, method):
    image = draw(*old)
    run = compiled(lambda x: resize(x, new, method, align_corners))
    found = ops.convert_to_numpy(run(image))
    assert found.dtype == np.float32
    expected = slow_resize(image, new, method, align_corners)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@each_size
@corners
def test_the_float64_way_is_the_float32_way(old, new, align_corners):
    image = draw(*old)
    run = compiled(lambda x: resize(x, new, align_corners=align_corners))
    exact = evaluate(run, image.astype("float64"))
    assert exact.dtype == np.float64
    rough = ops.convert_to_numpy(run(image))
    np.testing.assert_allclose(rough, exact, rtol=1e-5, atol=1e-5)


def test_four_pixels_to_eight_in_both_conventions():
    row = np.arange(4, dtype="float32").reshape(1, 1, 4, 1)
    half = ops.convert_to_numpy(resize(row, (1, 8)))[0, 0, :, 0]
    np.testing.assert_allclose(half, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], rtol=1e-6)
    aligned = ops.convert_to_numpy(resize(row, (1, 8), align_corners=True))[0, 0, :, 0]
    np.testing.assert_allclose(aligned, np.arange(8) * 3 / 7, rtol=1e-6)


def picked(old, new, align_corners):
    """Which of `old` pixels nearest-neighbour resizing takes for each of `new`."""
    row = np.arange(old, dtype="float32").reshape(1, 1, old, 1)
    found = resize(row, (1, new), "nearest", align_corners)
    return ops.convert_to_numpy(found)[0, 0, :, 0].astype(int)


def test_375_to_384_rows_as_selflow_does():
    exact = [(2 * i * 374 + 383) // (2 * 383) for i in range(384)]  # round half up, in integers
    np.testing.assert_array_equal(picked(375, 384, True), exact)


@pytest.mark.tensorflow_only
@each_size
def test_tensorflows_functions(old, new):
    import tensorflow as tf

    image, v1 = draw(*old), tf.compat.v1.image
    for method in ("bilinear", "nearest"):
        np.testing.assert_allclose(
            resize(image, new, method), tf.image.resize(image, new, method), rtol=1e-5, atol=1e-5
        )
        kind = getattr(v1.ResizeMethod, method.replace("nearest", "nearest_neighbor").upper())
        np.testing.assert_allclose(
            resize(image, new, method, align_corners=True),
            v1.resize(image, new, kind, align_corners=True),
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.tensorflow_only
def test_tensorflow_picks_the_same_nearest_pixels():
    import tensorflow as tf

    for old in (1, 2, 3, 10, 33, 64):
        row = tf.reshape(tf.range(old), [1, 1, old, 1])
        for new in (1, 2, 3, 4, 5, 7, 12, 25, 32, 64, 448):
            half = tf.image.resize(row, (1, new), "nearest")
            np.testing.assert_array_equal(picked(old, new, False), np.ravel(half), f"{old} {new}")
            aligned = tf.compat.v1.image.resize_nearest_neighbor(row, (1, new), align_corners=True)
            np.testing.assert_array_equal(picked(old, new, True), np.ravel(aligned), f"{old} {new}")


@corners
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_every_mode(method, align_corners):
    image = draw(6, 5)
    assert_same_in_every_mode(lambda x: resize(x, (4, 9), method, align_corners), image)
    assert_same_in_every_mode(
        lambda x: resize_flow(x, (4, 9), method, align_corners), image[..., :2]
    )


@corners
@pytest.mark.parametrize(
    "old, new", [((5, 3), (9, 9)), ((15, 6), (27, 4)), ((33, 12), (47, 48)), ((24, 9), (6, 5))]
)
def test_compiled_positions_that_are_integers_but_for_rounding(old, new, align_corners):
    """XLA may round the pixel's position and the weight's differently: a whole pixel of error."""
    image = draw(*old)
    (_, found) = list(every_mode(lambda x: resize(x, new, align_corners=align_corners), image))[-1]
    expected = slow_resize(image, new, "bilinear", align_corners)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.tensorflow_only
@corners
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_the_new_size_may_be_a_tensor(method, align_corners):
    import tensorflow as tf

    specs = [tf.TensorSpec([None, None, None, 2]), tf.TensorSpec([None, None, None, 1])]

    @tf.function(input_signature=specs)
    def like(flow, other):
        return resize_flow(flow, ops.shape(other)[1:3], method, align_corners)

    for old, new in SIZES:
        flow = draw(*old, channels=2)
        expected = slow_resize(flow, new, method, align_corners)
        expected = expected * (np.array(new[::-1]) / old[::-1])
        np.testing.assert_allclose(
            like(flow, tf.zeros([1, *new, 1])), expected, rtol=1e-5, atol=1e-5
        )


@each_size
@corners
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_a_constant_flow_is_only_rescaled(old, new, align_corners, method):
    flow = np.zeros((1, *old, 2), "float32") + np.array([3, -2], "float32")
    run = compiled(lambda x: resize_flow(x, new, method, align_corners))
    found = ops.convert_to_numpy(run(flow))
    expected = (3 * new[1] / old[1], -2 * new[0] / old[0])
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-6)


def test_a_zooming_flow_stays_the_same_zoom():
    """p -> s p about the pictures' common corner (half-pixel centres) at either resolution."""

    def zoom(height, width, s):
        y, x = np.mgrid[:height, :width] + 0.5
        return ((s - 1) * np.stack([x, y], -1)).astype("float32")[None]

    found = ops.convert_to_numpy(resize_flow(zoom(16, 20, 1.1), (32, 30)))
    inner = np.s_[:, 1:-1, 1:-1]  # the outermost ring of an enlargement is clamped
    np.testing.assert_allclose(found[inner], zoom(32, 30, 1.1)[inner], rtol=1e-4)


@corners
def test_gradients_by_differences(align_corners):
    image = draw(4, 5).astype("float64")
    for new in [(7, 3), (1, 9), (4, 5)]:
        factor = np.random.default_rng(1).normal(size=(2, *new, 3))
        assert_gradient(
            lambda x, n=new, f=factor: resize(x, n, align_corners=align_corners) * f, image
        )


@corners
def test_gradient_in_float32(align_corners):
    """TensorFlow's own kernel has its own gradient: the transposed truth, column by column."""
    image, new = draw(4, 5, channels=1, batch=1), (7, 3)
    factor = np.random.default_rng(1).normal(size=(1, *new, 1)).astype("float32")
    (found,) = gradient(
        compiled(lambda x: resize(x, new, align_corners=align_corners) * factor), image
    )
    units = np.eye(20).reshape(20, 4, 5, 1)
    columns = slow_resize(units, new, "bilinear", align_corners)
    expected = (columns * factor).sum((1, 2, 3)).reshape(image.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_interpolated_in_float32(dtype):
    image = ops.cast(draw(4, 600), dtype)
    found = resize(image, (3, 601), align_corners=True)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    exact = resize(ops.cast(image, "float32"), (3, 601), align_corners=True)
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(ops.cast(x, "float32")) for x in (found, ops.cast(exact, dtype)))
    )


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_vectors_in_half_precision_are_rescaled_in_float32(method):
    flow = ops.cast(np.full((1, 375, 5, 2), 100, "float32"), "bfloat16")
    found = resize_flow(flow, (384, 6), method)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    expected = np.broadcast_to((120, 102.4), (1, 384, 6, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-6)


def test_masks_stay_masks_under_nearest():
    mask = (draw(6, 7, 1) > 0).astype("int32")
    found = resize(mask, (11, 5), "nearest")
    assert keras.backend.standardize_dtype(found.dtype) == "int32"
    assert set(np.unique(ops.convert_to_numpy(found))) <= {0, 1}


def test_what_is_refused():
    with pytest.raises(ValueError, match="method must be one of bilinear, nearest, got 'cubic'"):
        resize(draw(4, 4), (2, 2), "cubic")
    with pytest.raises(ValueError, match=r"expects \[b, h, w, c\], got \(4, 4, 3\)"):
        resize(draw(4, 4)[0], (2, 2))
    with pytest.raises(ValueError, match=r"resize_flow expects flow \[b, h, w, 2\]"):
        resize_flow(draw(4, 4, channels=1), (2, 2))
