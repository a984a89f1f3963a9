"""Colours for labels: the direction of a vector at each pixel of an object frame or embedding."""

import numpy as np

from kcorr.viz._arrays import real
from kcorr.viz._labels import as_label_mask, as_labels, directions_of
from kcorr.viz.flow_color import wheel_color

_REACH = 2.5  # standard deviations from the mean to the end of a colour channel
_WEAKEST = 0.1  # of the strongest direction's spread


def label_basis(labels):
    """Principal components of labels' directions: a basis for the colours of many pictures.

    Args:
        labels: [..., c], c at least 2; those that are 0 or not finite are left out. Leave out the
            background, too, where it is known: `label_basis(labels[mask > 0])`.

    Returns:
        mean: [c], of the labels at length 1.
        directions: [c, 3], orthogonal, strongest first; the largest component of each is above 0.
            Their lengths are such that `(unit - mean) @ directions` is 1 at 2.5 standard
            deviations. A direction with less than a tenth of the first one's spread gets that
            tenth, so that noise stays pale. Directions that 2 channels do not have are 0, and all
            are where no label has a direction.

    Raises:
        ValueError: fewer than 2 channels.
    """
    labels = np.asarray(labels)
    if labels.ndim < 1 or labels.shape[-1] < 2:
        raise ValueError(f"labels have shape {labels.shape}, expected [..., c], c at least 2")
    count = labels.shape[-1]
    units, known = directions_of(real(labels, "labels").reshape(-1, count))
    units = units[known]
    if not len(units):
        return np.zeros(count), np.zeros((count, 3))
    mean = units.mean(0)
    variances, vectors = np.linalg.eigh((units - mean).T @ (units - mean) / len(units))
    spread = np.sqrt(np.maximum(variances[:-4:-1], 0))
    vectors = vectors[:, :-4:-1]
    # The sign is free; an almost-tie of two components must not turn on rounding errors.
    size = np.abs(vectors)
    largest = np.argmax(size > size.max(0) - 1e-6, axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(largest))])
    if spread[0] > 1e-7:  # else all labels are the same but for rounding
        vectors = vectors / (_REACH * np.maximum(spread, _WEAKEST * spread[0]))
    return mean, np.pad(vectors, ((0, 0), (0, 3 - len(largest))))


def labels_to_color(labels, basis=None, mask=None):
    """Colours labels by their direction; their length does not count.

    2 channels: hue by angle, on the Middlebury wheel of `flow_to_color`. 3 channels: a place on the
    sphere, (unit + 1) / 2 as (r, g, b). More: the three principal components of the unit labels as
    (r, g, b), their mean as grey.

    Labels of a network of stride 2 give a picture of half the size: enlarge it by nearest
    neighbours, `color.repeat(2, -3).repeat(2, -2)`.

    Args:
        labels: [..., h, w, c], c at least 2.
        basis: (mean [c], directions [c, 3]) of `label_basis`, for more than 3 channels: pictures
            are then comparable only if they share one. None takes that of the labels at hand, those
            of the mask. With 2 or 3 channels it is not used: each direction has its one colour.
        mask: [..., h, w] or [..., h, w, 1], 1 = counts.

    Returns:
        uint8 [..., h, w, 3]; black, which no label has, where the mask is 0 and where a label is 0
        or not finite.

    Raises:
        ValueError: a wrong shape.
    """
    labels = as_labels(labels, least=2)
    units, known = directions_of(labels)
    known &= as_label_mask(mask, labels)
    count = labels.shape[-1]
    if basis is not None:
        basis = _as_basis(basis, count)
    if count == 2:
        return np.where(known[..., None], wheel_color(units[..., 0], units[..., 1], 1.0), 0)
    if count == 3:
        share = (units + 1) / 2
    else:
        mean, directions = basis or label_basis(units[known])
        # Kept off black, which means unknown.
        share = np.clip(((units - mean) @ directions + 1) / 2, 0.02, 1)
    return np.rint(np.where(known[..., None], share, 0) * 255).astype(np.uint8)


def _as_basis(basis, count):
    try:
        mean, directions = (np.asarray(part, np.float64) for part in basis)
    except (TypeError, ValueError):
        raise ValueError("basis is not a pair (mean, directions)") from None
    if mean.shape != (count,) or directions.shape != (count, 3):
        raise ValueError(
            f"basis has shapes {mean.shape} and {directions.shape}, expected [{count}] and "
            f"[{count}, 3] like the labels"
        )
    return mean, directions
