"""Parts of the recurrent network against plain numpy."""

import keras
import numpy as np
import pytest
from keras import ops

from kcorr.models.recurrent_blocks import (
    ConvexUpsampling,
    ConvolutionalGRU,
    MotionEncoder,
    NormalisedConvolution,
    ResidualBlock,
)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def filled(layer, *shapes):
    """The layer, built, with random weights, biases too."""
    layer.build(*[(None, None, None, channels) for channels in shapes])
    for number, weight in enumerate(layer.weights):
        weight.assign(0.3 * draw(*weight.shape, seed=number))
    return layer


def convolved(layer, image):
    """A convolution of [b, h, w, c] with "same" padding and stride 1."""
    kernel = np.asarray(ops.convert_to_numpy(layer.kernel), "float64")
    rows, columns = kernel.shape[:2]
    edges = [(0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)]
    padded, (_, height, width, _) = np.pad(image, edges), image.shape
    total = sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(rows)
        for j in range(columns)
    )
    return total if layer.bias is None else total + ops.convert_to_numpy(layer.bias)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("kernels", [((3, 3),), ((1, 5), (5, 1))])
def test_the_recurrent_unit(kernels):
    unit = filled(ConvolutionalGRU(4, kernels), 5, 3)
    hidden, inputs, context = draw(2, 6, 7, 4), draw(2, 6, 7, 5), draw(2, 6, 7, 3)
    found = unit(hidden, inputs, unit.prepare(context))
    h = hidden.astype("float64")
    for number in range(len(kernels)):
        shared = convolved(unit.contexts[number], context)
        gates = convolved(unit.gates[number], np.concatenate([h, inputs], -1))
        z, r = sigmoid(gates[..., :4] + shared[..., :4]), sigmoid(gates[..., 4:] + shared[..., 4:8])
        q = convolved(unit.candidates[number], np.concatenate([r * h, inputs], -1))
        h = (1 - z) * h + z * np.tanh(q + shared[..., 8:])
    np.testing.assert_allclose(found, h, rtol=1e-4, atol=1e-5)


def upsampled(flow, weights):
    """[h, w, 2], [h, w, 8, 8, 9] that sum to 1 -> [8h, 8w, 2], pixel by pixel."""
    height, width, _ = flow.shape
    fine = np.zeros((8 * height, 8 * width, 2))
    for y, x in np.ndindex(8 * height, 8 * width):
        for k in range(9):
            row = np.clip(y // 8 + k // 3 - 1, 0, height - 1)
            column = np.clip(x // 8 + k % 3 - 1, 0, width - 1)
            fine[y, x] += 8 * weights[y // 8, x // 8, y % 8, x % 8, k] * flow[row, column]
    return fine


def test_convex_upsampling():
    layer = filled(ConvexUpsampling(6), 4)
    hidden, flow = draw(1, 3, 4, 4), draw(1, 3, 4, 2)
    logits = convolved(layer.head, np.maximum(convolved(layer.hidden, hidden), 0)) / 4
    weights = np.exp(logits.reshape(3, 4, 8, 8, 9))
    assert weights.std() > 0.1
    expected = upsampled(flow[0].astype("float64"), weights / weights.sum(-1, keepdims=True))
    found = ops.convert_to_numpy(layer(hidden, flow))
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)


def test_an_edge_of_the_motion_stays_an_edge():
    """Weights that choose one neighbour give its vector, where interpolation would blur."""
    layer = filled(ConvexUpsampling(6), 4)
    layer.head.kernel.assign(np.zeros(layer.head.kernel.shape))
    layer.head.bias.assign(np.tile([0] * 4 + [400.0] + [0] * 4, 64))
    flow = np.zeros((1, 2, 4, 2), "float32")
    flow[:, :, 2:] = (5, -3)
    found = ops.convert_to_numpy(layer(draw(1, 2, 4, 4), flow))
    assert (found[:, :, :16] == 0).all() and (found[:, :, 16:] == (40, -24)).all()


def test_the_motion_encoder_ends_in_the_flow():
    layer = filled(MotionEncoder((6, 5), (4,), 8), 9, 2)
    correlations, flow = draw(2, 5, 6, 9), draw(2, 5, 6, 2)
    seen, moved = correlations, flow
    for part in layer.of_correlations:
        seen = np.maximum(convolved(part, seen), 0)
    for part in layer.of_flow:
        moved = np.maximum(convolved(part, moved), 0)
    together = np.maximum(convolved(layer.together, np.concatenate([seen, moved], -1)), 0)
    found = ops.convert_to_numpy(layer(correlations, flow))
    np.testing.assert_allclose(found[..., :6], together, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found[..., 6:], flow)


@pytest.mark.parametrize("norm, axes", [("instance", (1, 2)), ("group", (1, 2, 4))])
def test_normalisations_are_of_one_image(norm, axes):
    layer = NormalisedConvolution(16, norm=norm, relu=False)
    layer.build((None, None, None, 3))
    images = draw(2, 8, 9, 3) * np.float32([1, 50]).reshape(2, 1, 1, 1)
    grouped = convolved(layer.convolution, images).reshape(
        2, 8, 9, 16 if norm == "instance" else 8, -1
    )
    if norm == "instance":
        grouped = grouped.reshape(2, 8, 9, 16)
    mean, variance = grouped.mean(axes, keepdims=True), grouped.var(axes, keepdims=True)
    expected = ((grouped - mean) / np.sqrt(variance + 1e-5)).reshape(2, 8, 9, 16)
    np.testing.assert_allclose(layer(images), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stride, channels", [(1, 6), (2, 6), (1, 8)])
def test_a_block_whose_convolutions_are_zero_is_its_shortcut(stride, channels):
    block = ResidualBlock(channels, stride=stride)
    block.build((None, None, None, 6))
    for layer in (block.first, block.second):
        for weight in layer.weights:
            weight.assign(np.zeros(weight.shape))
    image = draw(2, 6, 8, 6)
    expected = image
    if (stride, channels) != (1, 6):
        kernel = ops.convert_to_numpy(block.shortcut.convolution.kernel)[0, 0]
        expected = image[:, ::stride, ::stride] @ kernel
    np.testing.assert_allclose(block(image), np.maximum(expected, 0), rtol=1e-4, atol=1e-5)
    assert len(block.weights) == (4 if (stride, channels) == (1, 6) else 6)


@pytest.mark.parametrize(
    "layer",
    [
        NormalisedConvolution(8, kernel=5, stride=2, norm="group", relu=False),
        ResidualBlock(8, stride=2, norm="instance"),
        MotionEncoder((6, 5), (4,), 8),
        ConvolutionalGRU(4, ((1, 5), (5, 1))),
        ConvexUpsampling(6, factor=4),
    ],
)
def test_configurations_come_back(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()
