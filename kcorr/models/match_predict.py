"""Two pictures in, matches out: numpy in, numpy out."""

import numpy as np

from kcorr import schema
from kcorr.models.picture_arrays import as_float
from kcorr.models.registry import check_gives

SMALLEST = 16  # shorter side: two patches


def predict_matches(network, image1, image2, verified=True):
    """Quasi-dense matches of two pictures.

    Args:
        network: of matches, as `kcorr.models.DeepMatching` and what `kcorr.load` gives.
        image1, image2: [h, w, 3], uint8, uint16 or float in [0, 1], of one size.
        verified: False also gives the points that are not the best ones of their targets.

    Returns:
        [n, 5] float32, the surest first: x1, y1, x2, y2 in pixels, score. There are none for
        pictures without any texture.

    Raises:
        ValueError: a wrong shape, dtype or range, two sizes, less than 16 pixels a side, or a
            network that gives something else.
    """
    check_gives(network, "matches")
    images = [as_float(image, name) for name, image in (("image1", image1), ("image2", image2))]
    if images[0].shape != images[1].shape:
        (h1, w1), (h2, w2) = (image.shape[:2] for image in images)
        raise ValueError(f"image1 is {w1}x{h1} and image2 {w2}x{h2}, expected one size")
    height, width = images[0].shape[:2]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"the pictures are {width}x{height}, too small for patches to match; expected at least "
            f"{SMALLEST}x{SMALLEST}"
        )
    batch = {f"image{k}": image[None] for k, image in enumerate(images, start=1)}
    output = {key: np.asarray(value)[0] for key, value in network(batch).items()}
    keys = (schema.POINTS1, schema.POINTS2, schema.CONFIDENCE)
    matches = np.concatenate([output[key] for key in keys], axis=-1).astype(np.float32)
    kept = np.isfinite(matches).all(axis=1)
    if verified:
        kept &= output[schema.RECIPROCAL][:, 0] > 0.5
    matches = matches[kept]
    return matches[np.argsort(-matches[:, 4], kind="stable")]
