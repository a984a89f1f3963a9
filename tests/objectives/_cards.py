"""Cards with spots, moved by known affine maps: pairs of views without any pipeline of kcorr."""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates


def textured_card(size=96, seed=0):
    """A card on which no two places look alike."""
    random = np.random.default_rng(seed)
    fine = gaussian_filter(random.normal(size=(size, size, 3)), (3, 3, 0))
    coarse = gaussian_filter(random.normal(size=(size, size, 3)), (12, 12, 0))
    card = fine / fine.std() + 1.5 * coarse / coarse.std()
    return np.clip(0.5 + 0.15 * card, 0, 1)


def spotted_card(places, colours, size=96, radius=3.0):
    """Round spots on dark grey; places count from the card's middle."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    card = np.full((size, size, 3), 0.2)
    for (px, py), colour in zip(places, colours, strict=True):
        weight = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2))[..., None]
        card += weight * (np.array(colour) - card)
    return card


def affine(random, turn=15.0, zoom=0.08, shift=3.0):
    """(matrix, shift) of a small similarity about the middle of a view."""
    angle, scale = np.radians(random.normal(0, turn)), 1 + random.normal(0, zoom)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return matrix, random.normal(0, shift, 2)


def pair(card, random, size=32, first=None, second=None):
    """A pair of views: image2 = card o first, image1 = image2 o second, from the card itself."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    own = np.stack([x, y], -1)
    (a, s), (b, t) = first or affine(random), second or affine(random)
    place1 = own @ b.T + t  # of image1's pixels in image2, from its middle
    images = [_look(card, place @ a.T + s) for place in (place1, own)]
    grid = place1 + (size - 1) / 2
    inside = ((grid >= 0) & (grid <= size - 1)).all(-1, keepdims=True)
    return {
        "image1": images[0],
        "image2": images[1],
        "grid": grid,
        "valid": inside.astype(float),
    }


def _look(card, places):
    at = places + (len(card) - 1) / 2
    channels = [
        map_coordinates(card[..., c], [at[..., 1], at[..., 0]], order=1, mode="nearest")
        for c in range(3)
    ]
    return np.stack(channels, -1)


def batch(pairs):
    """Pairs as one batch of float32 arrays."""
    return {key: np.float32([one[key] for one in pairs]) for key in pairs[0]}


def batches(card, count, size=32, pairs=4, seed=0):
    random = np.random.default_rng(seed)
    return [batch([pair(card, random, size) for _ in range(pairs)]) for _ in range(count)]


def mirrored(views):
    """The batch with every second image2 in the mirror."""
    out = {**views, "mirrored": np.float32([[i % 2] for i in range(len(views["image2"]))])}
    last = views["image2"].shape[2] - 1
    for i in range(1, len(views["image2"]), 2):
        out["image2"][i] = views["image2"][i, :, ::-1].copy()
        out["grid"][i, ..., 0] = last - views["grid"][i, ..., 0]
    return out
