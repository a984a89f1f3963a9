"""Checks on maps of labels, and their directions."""

import numpy as np

from kcorr.viz._arrays import real


def as_labels(labels, least=1):
    """Returns labels [..., h, w, c] as float64; raises ValueError for fewer channels or pixels."""
    labels = np.asarray(labels)
    if labels.ndim < 3 or labels.shape[-1] < least or labels.size == 0:
        raise ValueError(
            f"labels have shape {labels.shape}, expected [..., h, w, c], none empty and c at least "
            f"{least}"
        )
    return real(labels, "labels")


def as_label_map(labels, least=1):
    """As `as_labels` for the labels [h, w, c] of one picture."""
    if np.ndim(labels) != 3:
        raise ValueError(f"labels have shape {np.shape(labels)}, expected [h, w, c]")
    return as_labels(labels, least)


def as_label_mask(mask, labels):
    """Returns mask as bool, one for each of `labels`; all True for None.

    Raises:
        ValueError: not the labels' shape without channels, or with one; not real numbers.
    """
    shape = labels.shape[:-1]
    if mask is None:
        return np.ones(shape, bool)
    mask = np.asarray(mask)
    if mask.shape not in (shape, (*shape, 1)):
        raise ValueError(f"mask has shape {mask.shape}, expected {shape} like the labels")
    return real(mask, "mask").reshape(shape) > 0


def directions_of(labels):
    """Returns labels [..., c] at length 1, and known [...].

    Labels that are not finite, or 0, have no direction: they are not known, and become 0.
    """
    known = np.isfinite(labels).all(-1)
    labels = np.where(known[..., None], labels, 0.0)
    # Divided by the largest first: squares of huge or tiny numbers leave the range of floats.
    largest = np.abs(labels).max(-1, keepdims=True)
    known &= largest[..., 0] > 0
    labels = labels / np.where(largest > 0, largest, 1)
    length = np.sqrt((labels**2).sum(-1, keepdims=True))
    return labels / np.where(length > 0, length, 1), known


def cell_side(picture, labels):
    """The whole number s of pixels along a label's cell.

    As where a network pools, the last s - 1 rows and columns of a picture may have no cell.

    Args:
        picture: [H, W, 3].
        labels: [h, w, c].

    Raises:
        ValueError: there is no s with H // s = h and W // s = w.
    """
    (height, width), (h, w) = picture.shape[:2], labels.shape[:2]
    side = height // h
    if side < 1 or height // side != h or width // side != w:
        raise ValueError(
            f"labels are {h}x{w} (h x w), which is no whole part of the picture's {height}x{width}"
        )
    return side
