import keras
import numpy as np
import pytest
from keras import ops

from kcorr import layers
from kcorr.ops import (
    backward_warp,
    hog_maps,
    local_correlation,
    resize,
    resize_flow,
    soft_argmax,
    spatial_softmax,
    stack_patches,
    tps_warp,
)

RANDOM = np.random.default_rng(4)


def image(channels=3, batch=2, height=12, width=14):
    return RANDOM.random((batch, height, width, channels)).astype("float32")


def flow():
    return RANDOM.normal(size=(2, 12, 14, 2)).astype("float32")


def points():
    return (RANDOM.random((2, 5, 2)) * 10).astype("float32")


# Layer, arguments, inputs, the function it stands for, and which outputs are coordinates (or
# probabilities), which stay float32 under mixed precision.
CASES = {
    "CostVolume": (
        layers.CostVolume,
        {"radius": 2, "dilation": 2, "normalise": "cosine"},
        [image(8), image(8)],
        lambda a, b: local_correlation(a, b, 2, 2, "cosine"),
        [False],
    ),
    "HogDescriptor": (
        layers.HogDescriptor,
        {"variant": "gpu", "presmooth": 0.8, "ninth": 0.2, "gradient": "sobel", "post": 0.9},
        [image()],
        lambda x: stack_patches(
            hog_maps(x, "gpu", presmooth=0.8, ninth=0.2, gradient="sobel", post=0.9), "gpu"
        ),
        [False],
    ),
    "HogDescriptor of cells": (
        layers.HogDescriptor,
        {"mid": 1.2, "slope": 0.1, "downscale": 0, "patches": False},
        [image()],
        lambda x: hog_maps(x, mid=1.2, slope=0.1, downscale=0),
        [False],
    ),
    "Warp": (
        layers.Warp,
        {"border": "edge"},
        [image(), flow()],
        lambda i, f: backward_warp(i, f, "edge"),
        [False, False],
    ),
    "TPSWarp": (
        layers.TPSWarp,
        {"order": 1, "regularisation": 0.1, "boundary_points": 1, "border": "zero"},
        [image(), points(), points()],
        lambda i, s, d: tps_warp(i, s, d, 1, 0.1, 1, "zero")[0],
        [False],
    ),
    "SpatialSoftmax": (
        layers.SpatialSoftmax,
        {"temperature": 0.5},
        [image()],
        lambda x: spatial_softmax(x, 0.5),
        [True],
    ),
    "SoftArgmax": (
        layers.SoftArgmax,
        {"temperature": 0.5, "normalised": False},
        [image()],
        lambda x: soft_argmax(x, 0.5),
        [True],
    ),
    "SoftArgmax of probabilities": (
        layers.SoftArgmax,
        {"normalised": True},
        [image()],
        lambda x: soft_argmax(x, normalised=True),
        [True],
    ),
    "Resize to a size": (
        layers.Resize,
        {"size": (5, 9), "method": "nearest"},
        [image()],
        lambda x: resize(x, (5, 9), "nearest"),
        [False],
    ),
    "Resize by a factor": (
        layers.Resize,
        {"scale": 0.5, "align_corners": True},
        [image()],
        lambda x: resize(x, (6, 7), align_corners=True),
        [False],
    ),
    "ResizeFlow": (
        layers.ResizeFlow,
        {"scale": 2, "align_corners": True},
        [flow()],
        lambda x: resize_flow(x, (24, 28), align_corners=True),
        [True],
    ),
}
EVERY = pytest.mark.parametrize("name", CASES)


def listed(outputs):
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def numbers(outputs):
    return [ops.convert_to_numpy(ops.cast(output, "float32")) for output in listed(outputs)]


def dtype_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def functional(layer, inputs, sizes=None):
    """A model of the layer alone, for inputs of `sizes` or of their own."""
    shapes = [sizes or array.shape[1:-1] for array in inputs]
    symbols = [
        keras.Input((*shape, array.shape[-1])) for shape, array in zip(shapes, inputs, strict=True)
    ]
    return keras.Model(symbols, layer(*symbols))


@EVERY
def test_is_its_function(name):
    cls, arguments, inputs, function, _ = CASES[name]
    found, expected = numbers(cls(**arguments)(*inputs)), numbers(function(*inputs))
    assert len(found) == len(expected)
    for one, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, truth, atol=1e-6)


@EVERY
def test_config_round_trip(name):
    cls, arguments, inputs, _, _ = CASES[name]
    layer = cls(name="it", **arguments)
    config = layer.get_config()
    for key, value in arguments.items():
        assert config[key] == value
    again = cls.from_config(config)
    assert again.get_config() == config
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(restored) is cls
    for one, two in zip(numbers(layer(*inputs)), numbers(restored(*inputs)), strict=True):
        np.testing.assert_array_equal(one, two)


@EVERY
def test_a_saved_model_gives_the_same(name, tmp_path):
    cls, arguments, inputs, _, _ = CASES[name]
    model = functional(cls(**arguments), inputs)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    for one, two in zip(numbers(model(inputs)), numbers(restored(inputs)), strict=True):
        np.testing.assert_array_equal(one, two)


@EVERY
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_shapes_and_types_are_as_announced(name, policy):
    cls, arguments, inputs, function, coordinates = CASES[name]
    layer = cls(dtype=policy, **arguments)
    model = functional(layer, inputs)
    announced, found = listed(model.outputs), listed(layer(*inputs))
    compute = layer.compute_dtype
    for symbol, tensor, is_coordinate in zip(announced, found, coordinates, strict=True):
        assert symbol.shape[1:] == tuple(tensor.shape)[1:]
        expected = "float32" if is_coordinate else compute
        assert dtype_of(symbol) == dtype_of(tensor) == expected
    # What is computed in float32 and rounded once at the end is right to one unit in the last
    # place of the output's type.
    precision = {"float32": 1e-6, "mixed_bfloat16": 2**-7, "mixed_float16": 2**-10}[policy]
    for one, truth in zip(numbers(found), numbers(function(*inputs)), strict=True):
        np.testing.assert_allclose(one, truth, rtol=precision, atol=1e-5)


@pytest.mark.tensorflow_only  # jax has static shapes only
@EVERY
def test_sizes_may_be_unknown(name):
    cls, arguments, inputs, _, _ = CASES[name]
    layer = cls(**arguments)
    symbols = [keras.Input((*[None] * (array.ndim - 2), array.shape[-1])) for array in inputs]
    model = keras.Model(symbols, layer(*symbols))
    expected = numbers(layer(*inputs))
    found = model.predict(inputs, verbose=0)
    for one, truth in zip(numbers(found), expected, strict=True):
        np.testing.assert_allclose(one, truth, atol=1e-5)


@pytest.mark.tensorflow_only
def test_a_size_is_rounded_the_same_way_whether_known_or_not():
    import tensorflow as tf

    layer = layers.Resize(scale=0.3)
    unknown = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 1])])
    for height in (95, 375, 15):  # ties but for rounding: 112.5 in float64, above it in float32
        picture = np.zeros((1, height, 4, 1), "float32")
        assert unknown(picture).shape == layer(picture).shape


def test_positions_stay_exact_in_a_wide_picture_under_bfloat16():
    # Frame 2 is frame 1 moved by 301 columns. With positions in bfloat16, column 1001 would be
    # read as 1000.
    columns = np.arange(2000) % 7 == 3
    frame2 = columns.astype("float32").reshape(1, 1, 2000, 1)
    motion = np.zeros((1, 1, 1600, 2), "float32")
    motion[..., 0] = 301
    warped, inside = layers.Warp(dtype="mixed_bfloat16")(frame2, motion)
    np.testing.assert_array_equal(
        numbers(warped)[0][0, 0, :, 0], columns[301:1901].astype("float32")
    )
    assert numbers(inside)[0].all()


def test_a_layer_trains_what_stands_before_it():
    # One compiled step moves a convolution whose output is warped and correlated.
    first, second = keras.Input((12, 14, 3)), keras.Input((12, 14, 3))
    convolution = keras.layers.Conv2D(4, 3, padding="same")
    shifts = keras.layers.Conv2D(2, 3, padding="same")(first)
    warped, _ = layers.Warp()(convolution(second), shifts)
    volume = layers.CostVolume(radius=1)(convolution(first), warped)
    model = keras.Model([first, second], keras.layers.Conv2D(1, 1)(volume))
    model.compile("sgd", "mse")
    before = [w.copy() for w in model.get_weights()]
    model.fit([image(), image()], image(1), verbose=0)
    moved = [np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True)]
    assert min(moved) > 0
    assert np.isfinite(moved).all()


@pytest.mark.parametrize(
    "make, word",
    [
        (lambda: layers.CostVolume(radius=-1), "radius"),
        (lambda: layers.CostVolume(dilation=0), "dilation"),
        (lambda: layers.CostVolume(normalise="max"), "normalise must be one of"),
        (lambda: layers.Warp(border="mirror"), "border must be one of"),
        (lambda: layers.TPSWarp(order=0), "order"),
        (lambda: layers.TPSWarp(border="mirror"), "border must be one of"),
        (lambda: layers.HogDescriptor("other"), "variant must be one of"),
        (lambda: layers.HogDescriptor(downscale=2)(image()), "at least 16x16, one patch"),
        (lambda: layers.SoftArgmax(temperature=0), "temperature"),
        (lambda: layers.SpatialSoftmax(temperature=-1), "temperature"),
        (lambda: layers.Resize(), "either size or scale"),
        (lambda: layers.Resize(size=(4, 4), scale=2), "either size or scale"),
        (lambda: layers.ResizeFlow(scale=0), "scale"),
        (lambda: layers.Resize(scale=2, method="cubic"), "method must be one of"),
    ],
)
def test_bad_arguments_are_named(make, word):
    with pytest.raises(ValueError, match=word):
        make()
