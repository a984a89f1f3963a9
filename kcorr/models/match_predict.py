"""Two pictures in, matches out: numpy in, numpy out."""

import numbers

import numpy as np

from kcorr import schema
from kcorr.models.deep_matching import SMALLEST, DeepMatching
from kcorr.models.match_memory import check_matching_memory
from kcorr.models.picture_arrays import as_float, scaled, size_within
from kcorr.models.registry import check_gives


def predict_matches(network, image1, image2, verified=True, max_side=None):
    """Quasi-dense matches of two pictures.

    Args:
        network: of matches, as `kcorr.models.DeepMatching` and what `kcorr.load` gives.
        image1, image2: [h, w, 3], uint8, uint16 or float in [0, 1], of one size.
        verified: False also gives the points that are not the best ones of their targets.
        max_side: the network sees pictures shrunk to this longest side, from 16. Its radius is in
            pixels of those; matches are in pixels of the pictures as given.

    Returns:
        [n, 5] float32, the surest first: x1, y1, x2, y2 in pixels, score. There are none for
        pictures without any texture.

    Raises:
        ValueError: a wrong shape, dtype, range or `max_side`, two sizes, pictures that are (or are
            seen) smaller than 16 x 16, or a network that gives something else.
        MemoryError: at this size and radius they need more memory than is available.
    """
    check_gives(network, "matches")
    if max_side is not None and not (
        isinstance(max_side, numbers.Integral) and max_side >= SMALLEST
    ):
        raise ValueError(f"max_side is {max_side!r}, expected a whole number from {SMALLEST}")
    images = [as_float(image, name) for name, image in (("image1", image1), ("image2", image2))]
    if images[0].shape != images[1].shape:
        (h1, w1), (h2, w2) = (image.shape[:2] for image in images)
        raise ValueError(f"image1 is {w1}x{h1} and image2 {w2}x{h2}, expected one size")
    size = images[0].shape[:2]
    seen = check_matched_size(network, size, max_side)
    check_matching_memory(network, seen)
    if seen != size:
        images = [scaled(image, seen) for image in images]
    batch = {f"image{k}": image[None] for k, image in enumerate(images, start=1)}
    output = {key: np.asarray(value)[0] for key, value in network(batch).items()}
    points = np.concatenate([output[key] for key in (schema.POINTS1, schema.POINTS2)], axis=-1)
    if seen != size:
        points = (points + 0.5) * np.tile(np.divide(size, seen)[::-1], 2) - 0.5
    matches = np.concatenate([points, output[schema.CONFIDENCE]], axis=-1).astype(np.float32)
    kept = np.isfinite(matches).all(axis=1)
    if verified:
        kept &= output[schema.RECIPROCAL][:, 0] > 0.5
    matches = matches[kept]
    return matches[np.argsort(-matches[:, 4], kind="stable")]


def check_matched_size(network, size, max_side=None):
    """The (height, width) at which a network of matches sees pictures of this (height, width).

    Raises:
        ValueError: they are too small for one of its patches.
    """
    least = getattr(network, "smallest", SMALLEST)
    seen = size_within(size, max_side)
    if min(seen) < least:
        (height, width), shrunk = seen, " seen at" if seen != size else ""
        raise ValueError(
            f"the pictures are{shrunk} {width}x{height}, too small for patches to match; expected "
            f"at least {least}x{least}"
        )
    return seen


def with_search(network, radius=None, cell=None):
    """The same network, with the same weights, that searches elsewhere; a new one.

    Args:
        network: built, of `DeepMatching`.
        radius: largest displacement in pixels. Where this makes for more levels than the network
            has, the new ones have the exponent that it began with. None: the network's.
        cell: side in pixels of the cells that may have one match each, 1 for the exact
            verification. None: the network's.

    Raises:
        ValueError: numbers that do not fit the network, or a network without such options, as a
            SavedModel is.
    """
    if not isinstance(network, DeepMatching):
        name = getattr(network, "name", type(network).__name__)
        raise ValueError(
            f"{name!r} keeps the radius and the cell that it has; expected a network as of "
            "kcorr.models.build"
        )
    config = network.get_config()
    radius = config["radius"] if radius is None else radius
    cell = config["cell"] if cell is None else cell
    step = network.step
    if not isinstance(radius, numbers.Integral) or radius < step or radius % step:
        raise ValueError(f"radius is {radius!r}, expected a multiple of {step} from {step}")
    if not isinstance(cell, numbers.Integral) or cell < 1:
        raise ValueError(f"cell is {cell!r}, expected a whole number from 1")
    twin = DeepMatching.from_config({**config, "radius": int(radius), "cell": int(cell)})
    twin.build()
    twin.descriptor.set_weights(network.descriptor.get_weights())
    known = np.asarray(network.exponents)
    exponents = np.full(twin.exponents.shape, config["exponent"], np.float32)
    common = min(len(known), len(exponents))
    exponents[:common] = known[:common]
    twin.exponents.assign(exponents)
    return twin
