"""Pictures as users hand them in, as numpy arrays that networks take."""

import numpy as np
from PIL import Image


def as_float(image, name):
    """A picture as float32 [h, w, 3] in [0, 1].

    Args:
        image: [h, w, 3], uint8, uint16 or float in [0, 1].
        name: what a message calls it.

    Raises:
        ValueError: another shape, dtype or range.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"{name} has shape {image.shape}, expected [h, w, 3]")
    if image.dtype in (np.uint8, np.uint16):
        return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    if image.dtype.kind != "f":
        raise ValueError(f"{name} has dtype {image.dtype}, expected uint8, uint16 or float")
    # Interpolation may overshoot a little; 2 and more is a picture in [0, 255].
    if not (image.min() >= -1 and image.max() < 2):
        raise ValueError(
            f"{name} has values from {image.min():g} to {image.max():g}, expected [0, 1]"
        )
    return image.astype(np.float32)


def size_within(size, max_side):
    """The (height, width) of a picture that is shrunk to a longest side; None: as it is."""
    longest = max(size)
    if max_side is None or longest <= max_side:
        return size
    return tuple(max(1, round(side * max_side / longest)) for side in size)


def scaled(image, size):
    """A picture of another size; unlike plain bilinear sampling this averages as it shrinks.

    Args:
        image: [h, w, 3], uint8 or float32.
        size: (height, width).

    Returns:
        [height, width, 3] of the same dtype; of uint8 what `kcorr.datasets.crops` makes.
    """
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., c])).resize(
            size[::-1], Image.Resampling.BILINEAR
        )
        for c in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)
