"""Expected distance and its sibling from their definitions, in numpy, all pairs at once."""

import numpy as np


def cells(count, stride, lattice="centre"):
    return stride * np.arange(count) + (0.5 * (stride - 1) if lattice == "centre" else 0.0)


def places_of(grid, stride, lattice="centre"):
    """The grid [b, h s, w s, 2] at the cells, [b, h w, 2]: the mean of a cell's middle pixels."""
    batch, height, width, _ = grid.shape
    if lattice == "topleft":
        return grid[:, ::stride, ::stride].reshape(batch, -1, 2)
    blocks = grid.reshape(batch, height // stride, stride, width // stride, stride, 2)
    low, high = (stride - 1) // 2, stride // 2 + 1
    return blocks[:, :, low:high, :, low:high].mean((2, 4)).reshape(batch, -1, 2)


def softmax(logits):
    mass = np.exp(logits - logits.max(-1, keepdims=True))
    return mass / mass.sum(-1, keepdims=True)


def rows(features):
    return features.reshape(len(features), -1, features.shape[-1]).astype("float64")


def sources_of(first, second, aux=None, normalise=False, mirror=None):
    first, second = rows(first), rows(second)
    aux = None if aux is None else rows(aux)
    if normalise:
        length = 20 if normalise is True else normalise
        first, second, aux = (
            x if x is None else x * length / np.linalg.norm(x, axis=-1, keepdims=True)
            for x in (first, second, aux)
        )
    if aux is not None:
        first = softmax(first @ aux.transpose(0, 2, 1)) @ aux
    if mirror is not None:
        first = first.copy()
        first[..., 0] *= 1 - 2 * np.reshape(mirror, [-1, 1])
    return first, second


def slow_distance(
    first, second, grid, power=0.5, mask=None, stride=2, lattice="centre", group=None, **options
):
    """[b]; the mask is [b, h, w, 1], on cells."""
    source, target = sources_of(first, second, **options)
    height, width = second.shape[1:3]
    y, x = np.meshgrid(cells(height, stride, lattice), cells(width, stride, lattice), indexing="ij")
    lattice_points = np.stack([x, y], -1).reshape(-1, 2)
    places = places_of(grid, stride, lattice)
    distance = np.linalg.norm(places[:, :, None] - lattice_points, axis=-1) ** power
    weights = np.ones(source.shape[:2]) if mask is None else mask.reshape(len(mask), -1)

    def loss(source):
        share = softmax(source @ target.transpose(0, 2, 1))
        return ((share * distance).sum(-1) * weights).sum(-1) / weights.sum(-1)

    if group is None:
        return loss(source)
    turned = [
        np.concatenate([source[..., :3] @ np.transpose(matrix), source[..., 3:]], -1)
        for matrix in group
    ]
    return np.min([loss(source) for source in turned], axis=0)


def slow_log_loss(first, second, grid, stride=2, **options):
    """[b]; every place must fall into a cell."""
    source, target = sources_of(first, second, **options)
    width = second.shape[2]
    index = np.floor((places_of(grid, stride) - 0.5 * (stride - 1)) / stride + 0.5).astype(int)
    share = softmax(source @ target.transpose(0, 2, 1))
    at = np.take_along_axis(share, (index[..., 1] * width + index[..., 0])[..., None], -1)
    return -np.log(at[..., 0]).mean(-1)


def pixel_grid(height, width, batch=1):
    y, x = np.mgrid[:height, :width]
    return np.repeat(np.stack([x, y], -1)[None].astype("float64"), batch, 0)
