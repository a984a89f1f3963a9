"""PWCNet, FlowNetS, FlowNetC and SpyNet in plain numpy, slow, in float64, of one pair of images.

Written from the flow specification (1.8); nothing of kcorr is used. Weights are found by the last
parts of their names.
"""

import numpy as np
from _authors_truth import enlarge

RGB_MEAN, RGB_DEVIATION = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])


class Weights:
    """The convolutions of a network, by name."""

    def __init__(self, network):
        self.values = {
            weight.path.split("/", 1)[1]: np.asarray(weight, "float64")
            for weight in network.weights
        }

    def convolve(self, x, name, stride=1, dilation=1, slope=None):
        """[h, w, c], TensorFlow's "SAME" padding; LeakyReLU unless `slope` is None."""
        kernel, bias = self.values[f"{name}/kernel"], self.values[f"{name}/bias"]
        reach = [dilation * (side - 1) + 1 for side in kernel.shape[:2]]
        size = [-(-side // stride) for side in x.shape[:2]]
        total = [
            max((new - 1) * stride + need - old, 0)
            for new, need, old in zip(size, reach, x.shape[:2], strict=True)
        ]
        x = np.pad(x, [*((n // 2, n - n // 2) for n in total), (0, 0)])
        out = np.zeros((*size, kernel.shape[-1])) + bias
        for i in range(kernel.shape[0]):
            for j in range(kernel.shape[1]):
                piece = x[i * dilation :: stride, j * dilation :: stride]
                out += piece[: size[0], : size[1]] @ kernel[i, j]
        return out if slope is None else np.where(out > 0, out, slope * out)

    def enlarge(self, x, name):
        """Each pixel [c] adds a 4x4 patch around the 2x2 pixels that it becomes."""
        kernel, bias = self.values[f"{name}/kernel"], self.values[f"{name}/bias"]
        height, width, _ = x.shape
        out = np.zeros((2 * height + 2, 2 * width + 2, kernel.shape[2]))
        for row in range(height):
            for column in range(width):
                out[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += kernel @ x[row, column]
        return out[1:-1, 1:-1] + bias


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def join(*maps):
    return np.concatenate(maps, -1)


def stretch(x, size):
    """Bilinear with pixels as squares."""
    for axis in (0, 1):
        old, new = x.shape[axis], size[axis]
        position = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.minimum(position.astype(int), max(old - 2, 0))
        weight = np.expand_dims(position - low, 1 - axis)[..., None]
        low, high = np.take(x, low, axis), np.take(x, np.minimum(low + 1, old - 1), axis)
        x = low + (high - low) * weight
    return x


def stretch_flow(flow, size):
    ratio = np.array([size[1] / flow.shape[1], size[0] / flow.shape[0]])
    return stretch(flow, size) * ratio


def to_multiple(image, divisor):
    return stretch(image, [-(-side // divisor) * divisor for side in image.shape[:2]])


def warp(image, flow):
    """(bilinear samples, 0 for corners outside; which positions are within the pixels' centres)."""
    height, width, _ = image.shape
    rows, columns = np.mgrid[:height, :width]
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    out = np.zeros(image.shape)
    for dy in (0, 1):
        for dx in (0, 1):
            row, column = np.floor(y).astype(int) + dy, np.floor(x).astype(int) + dx
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            weight = weight * ((row >= 0) & (row < height) & (column >= 0) & (column < width))
            row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
            out += image[row, column] * weight[..., None]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return out, inside[..., None]


def correlate(first, second, radius, dilation=1):
    """Mean over channels, displacements row by row."""
    height, width, _ = first.shape
    reach = radius * dilation
    second = np.pad(second, [(reach, reach), (reach, reach), (0, 0)])
    steps = range(0, 2 * reach + 1, dilation)
    return np.stack(
        [
            (first * second[dy : dy + height, dx : dx + width]).mean(-1)
            for dy in steps
            for dx in steps
        ],
        -1,
    )


def unit(x):
    return x / np.sqrt(np.maximum((x * x).sum(-1, keepdims=True), 1e-12))


def pwc_net(network, image1, image2):
    """[h, w, 3] twice -> flows of the levels, refined, full resolution."""
    config, weights = network.config, Weights(network)
    levels = len(config["feature_widths"])
    pyramids = []
    for image in (image1, image2):
        maps, x = [], to_multiple(image, 2**levels)
        for level in range(1, levels + 1):
            x = weights.convolve(x, f"feature_extractor/conv{level}_1", stride=2, slope=0.1)
            x = weights.convolve(x, f"feature_extractor/conv{level}_2", slope=0.1)
            maps.append(x)
        pyramids.append(maps)

    def volume_of(one, other):
        if config["normalise"] == "cosine":
            one, other = unit(one) * one.shape[-1], unit(other)
        return leaky(correlate(one, other, config["radius"]))

    flows, flow, hidden = [], None, None
    for level in range(levels, 1, -1):
        first, second = (maps[level - 1] for maps in pyramids)
        pixels = config["flow_scale"] / 2**level
        if flow is None:
            hidden = volume_of(first, second)
        else:
            flow = weights.enlarge(flow, f"up_flow_{level + 1}")
            more = weights.enlarge(hidden, f"up_features_{level + 1}")
            warped, inside = warp(second, flow * pixels)
            hidden = join(volume_of(first, warped * inside), first, flow, more)
        scope = f"estimator_level_{level}"
        for number in range(1, len(config["estimator_widths"]) + 1):
            found = weights.convolve(hidden, f"{scope}/conv{number}", slope=0.1)
            hidden = join(found, hidden)
        flow = weights.convolve(hidden, f"{scope}/conv{number + 1}")
        flows.append(flow * pixels)
    for number, dilation in enumerate([1, 2, 4, 8, 16, 1], 1):
        name = f"context_network/dilated_conv{number}"
        hidden = weights.convolve(hidden, name, dilation=dilation, slope=0.1)
    refined = (flow + weights.convolve(hidden, "context_network/dilated_conv7")) * pixels
    return [*flows, refined, stretch_flow(refined, image1.shape[:2])]


def flow_net(network, image1, image2):
    """FlowNetS or, if its configuration has a radius, FlowNetC: flows of the levels and full."""
    config, weights = network.config, Weights(network)
    images = [to_multiple(image, 64) for image in (image1, image2)]
    branches = []
    for image in images if "radius" in config else [join(*images)]:
        maps, x = [], image
        for level in (1, 2, 3):
            x = weights.convolve(x, f"front/conv{level}_1", stride=2, slope=0.1)
            maps.append(x)
        branches.append(maps)
    skip, x = branches[0][1], branches[0][2]
    if "radius" in config:
        volume = correlate(x, branches[1][2], config["radius"], config["dilation"])
        x = join(weights.convolve(x, "conv_redir", slope=0.1), leaky(volume))
    x = weights.convolve(x, "conv3_1", slope=0.1)
    skips = [skip, x]
    for level in (1, 2, 3):
        x = weights.convolve(x, f"back/conv{level}_1", stride=2, slope=0.1)
        x = weights.convolve(x, f"back/conv{level}_2", slope=0.1)
        skips.append(x)
    flow, flows = weights.convolve(skips.pop(), "expansion/flow_0"), []
    flows.append(flow * config["flow_scale"] / 64)
    for number, level in enumerate((5, 4, 3, 2)):
        grown = leaky(weights.enlarge(x, f"expansion/deconv_{number}"))
        x = join(skips.pop(), grown, weights.enlarge(flow, f"expansion/up_flow_{number}"))
        flow = weights.convolve(x, f"expansion/flow_{number + 1}")
        flows.append(flow * config["flow_scale"] / 2**level)
    return [*flows, stretch_flow(flows[-1], image1.shape[:2])]


def spy_net(network, image1, image2):
    """Flows of the levels and full resolution."""
    config, weights = network.config, Weights(network)
    count, finest = config["levels"], config["finest"]
    pyramids = []
    for image in (image1, image2):
        maps = [(image - RGB_MEAN) / RGB_DEVIATION if config["standardise"] else image]
        for _ in range(finest + count - 1):
            maps.append(stretch(maps[-1], [-(-side // 2) for side in maps[-1].shape[:2]]))
        pyramids.append(maps)
    flows, flow = [], np.zeros((1, 1, 2))
    for level in range(finest + count - 1, finest - 1, -1):
        first, second = (maps[level] for maps in pyramids)
        flow = enlarge(flow, *first.shape[:2])
        x = join(first, warp(second, flow)[0], flow)
        for number in range(1, len(config["widths"]) + 1):
            x = weights.convolve(x, f"level_{level}/conv{number}", slope=0.0)
        flow = flow + weights.convolve(x, f"level_{level}/conv{number + 1}")
        flows.append(flow)
    return [*flows, enlarge(flow, *image1.shape[:2])]
