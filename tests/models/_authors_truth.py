"""The authors' networks in plain numpy, and the weights and pictures of the golden values.

Written from the flow specification alone (1.1 to 1.6 and 10.3), nothing of kcorr is used: names and
shapes of the 98 variables, and slow forward passes in any precision.
"""

import numpy as np

WIDTHS = [16, 32, 64, 96, 128, 192]
ESTIMATOR = [128, 128, 96, 64, 32, 2]
CONTEXT = [128, 128, 128, 96, 64, 32, 2]
DILATIONS = [1, 2, 4, 8, 16, 1, 1]
HEIGHT, WIDTH = 128, 192


def chain(scope, layers, channels, widths):
    shapes = {}
    for layer, width in zip(layers, widths, strict=True):
        shapes[f"{scope}/{layer}/weights"] = (3, 3, channels, width)
        shapes[f"{scope}/{layer}/biases"] = (width,)
        channels = width
    return shapes


def variable_shapes(family="DDFlow"):
    """The 98 variables of either family: {TF1 name: shape}."""
    frames = {"DDFlow": 1, "SelFlow": 2}[family]
    pyramid = [f"conv{level}_{i}" for level in range(1, 7) for i in (1, 2)]
    shapes = chain("feature_extractor", pyramid, 3, [w for w in WIDTHS for _ in range(2)])
    for level in range(2, 7):
        channels = frames * 81 + WIDTHS[level - 1] + frames * 2
        layers = [f"conv{i}" for i in range(1, 7)]
        shapes |= chain(f"estimator_level_{level}", layers, channels, ESTIMATOR)
    layers = [f"dilated_conv{i}" for i in range(1, 8)]
    return shapes | chain("context_network", layers, frames * 34, CONTEXT)


def golden_weights(family="DDFlow"):
    """{TF1 name: float32 array} by the formula of 10.3."""
    shapes, weights = variable_shapes(family), {}
    for k, name in enumerate(sorted(shapes)):
        random, shape = np.random.RandomState(1000 + k), shapes[name]
        limit = 0.05 if len(shape) == 1 else np.sqrt(6 / np.prod(shape[:3]))
        weights[name] = random.uniform(-limit, limit, shape).astype("float32")
    return weights


def golden_image(t):
    """[1, 128, 192, 3] float32, the moving pattern of 10.3."""
    y, x, c = np.ogrid[:HEIGHT, :WIDTH, :3]
    first = 0.25 * np.sin(0.13 * y + 0.07 * x + c + 0.5 * t)
    second = 0.25 * np.sin(0.05 * y - 0.21 * x + 2 * c - 0.3 * t)
    return (0.5 + first + second).astype("float32")[None]


def convolve(image, weights, name, stride=1, dilation=1, activate=True):
    """3x3 convolution of [h, w, c], TensorFlow's "SAME" padding: what is odd goes to the end."""
    kernel, bias = weights[f"{name}/weights"], weights[f"{name}/biases"]
    height, width, _ = image.shape
    rows, columns = -(-height // stride), -(-width // stride)
    total = [
        max((n - 1) * stride + 2 * dilation + 1 - old, 0)
        for n, old in ((rows, height), (columns, width))
    ]
    image = np.pad(
        image, [(total[0] // 2, -(-total[0] // 2)), (total[1] // 2, -(-total[1] // 2)), (0, 0)]
    )
    out = np.zeros((rows, columns, kernel.shape[-1]), image.dtype) + bias
    for i in range(3):
        for j in range(3):
            y, x = i * dilation, j * dilation
            piece = image[y : y + rows * stride : stride, x : x + columns * stride : stride]
            out += piece[:rows, :columns] @ kernel[i, j]
    return np.where(out > 0, out, 0.2 * out) if activate else out


def warp(image, flow):
    """The sampler of 1.2: truncation, clipped corners, weights from the clipped corners."""
    height, width, _ = image.shape
    y, x = np.mgrid[:height, :width] + flow[..., ::-1].transpose(2, 0, 1)
    x0, y0 = np.trunc(x).astype(int), np.trunc(y).astype(int)
    x0, x1 = np.clip(x0, 0, width - 1), np.clip(x0 + 1, 0, width - 1)
    y0, y1 = np.clip(y0, 0, height - 1), np.clip(y0 + 1, 0, height - 1)
    corners = [
        (y0, x0, (y1 - y) * (x1 - x)),
        (y0, x1, (y1 - y) * (x - x0)),
        (y1, x0, (y - y0) * (x1 - x)),
        (y1, x1, (y - y0) * (x - x0)),
    ]
    return sum(image[row, column] * weight[..., None] for row, column, weight in corners)


def unit(features):
    return features / np.sqrt(np.maximum((features**2).sum(-1, keepdims=True), 1e-12))


def cost_volume(first, second):
    height, width, _ = first.shape
    second = np.pad(second, [(4, 4), (4, 4), (0, 0)])
    return np.stack(
        [
            (first * second[dy : dy + height, dx : dx + width]).sum(-1)
            for dy in range(9)
            for dx in range(9)
        ],
        -1,
    )


def enlarge(flow, height, width):
    """Bilinear with corners on corners; the vectors times new size / old size."""
    for axis, new in ((0, height), (1, width)):
        old = flow.shape[axis]
        position = np.arange(new) * ((old - 1) / max(new - 1, 1))
        low = np.minimum(position.astype(int), max(old - 2, 0))
        fraction = np.expand_dims(position - low, 1 - axis)[..., None]
        left = np.take(flow, low, axis)
        flow = left + (np.take(flow, np.minimum(low + 1, old - 1), axis) - left) * fraction
        scale = np.ones(2)
        scale[1 - axis] = new / old
        flow = flow * scale
    return flow


def features_of(image, weights):
    pyramid = []
    for level in range(1, 7):
        image = convolve(image, weights, f"feature_extractor/conv{level}_1", stride=2)
        image = convolve(image, weights, f"feature_extractor/conv{level}_2")
        pyramid.append(image)
    return pyramid


def ddflow(image1, image2, weights):
    """[h, w, 3] twice -> flows of level 6 to 2, refined, full resolution, in float64."""
    weights = {name: value.astype("float64") for name, value in weights.items()}
    firsts, seconds = (features_of(i.astype("float64"), weights) for i in (image1, image2))
    flows, flow = [], np.zeros((1, 1, 2))
    for level in range(6, 1, -1):
        first, second = firsts[level - 1], seconds[level - 1]
        height, width, _ = first.shape
        flow = enlarge(flow, height, width)
        first = unit(first)
        volume = cost_volume(first, unit(warp(second, flow)))
        hidden = np.concatenate([volume, first, flow], -1)
        for i in range(1, 6):
            hidden = convolve(hidden, weights, f"estimator_level_{level}/conv{i}")
        flow = convolve(hidden, weights, f"estimator_level_{level}/conv6", activate=False)
        flows.append(flow)
    hidden = np.concatenate([hidden, flow], -1)
    for i, dilation in enumerate(DILATIONS, 1):
        name = f"context_network/dilated_conv{i}"
        hidden = convolve(hidden, weights, name, dilation=dilation, activate=i < 7)
    refined = flow + hidden
    return [*flows, refined, enlarge(refined, *image1.shape[:2])]


def selflow(image0, image1, image2, weights):
    """[h, w, 3] three times -> (forward, backward), each like `ddflow`'s result, on image1's grid.

    One branch after the other, frame by frame, as 1.5 tells it.
    """
    weights = {name: value.astype("float64") for name, value in weights.items()}
    before, middle, after = (
        features_of(image.astype("float64"), weights) for image in (image0, image1, image2)
    )
    forward = backward = np.zeros((1, 1, 2))
    forwards, backwards = [], []
    for level in range(6, 1, -1):
        features = middle[level - 1]
        height, width, _ = features.shape
        forward, backward = enlarge(forward, height, width), enlarge(backward, height, width)
        ahead = cost_volume(unit(features), unit(warp(after[level - 1], forward)))
        behind = cost_volume(unit(features), unit(warp(before[level - 1], backward)))
        branches = [
            np.concatenate([ahead, behind, features, forward, -backward], -1),
            np.concatenate([behind, ahead, features, backward, -forward], -1),
        ]
        for i in range(1, 6):
            name = f"estimator_level_{level}/conv{i}"
            branches = [convolve(branch, weights, name) for branch in branches]
        name = f"estimator_level_{level}/conv6"
        forward, backward = (convolve(b, weights, name, activate=False) for b in branches)
        forwards.append(forward)
        backwards.append(backward)
    hidden = [
        np.concatenate([branches[0], branches[1], forward, -backward], -1),
        np.concatenate([branches[1], branches[0], backward, -forward], -1),
    ]
    for i, dilation in enumerate(DILATIONS, 1):
        name = f"context_network/dilated_conv{i}"
        hidden = [convolve(h, weights, name, dilation=dilation, activate=i < 7) for h in hidden]
    size = image1.shape[:2]
    return (
        [*forwards, hidden[0], enlarge(hidden[0], *size)],
        [*backwards, hidden[1], enlarge(hidden[1], *size)],
    )
