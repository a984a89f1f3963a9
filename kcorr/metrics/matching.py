"""Matching by dense labels: nearest neighbours, identities, symmetry, the ball; in numpy.

Labels are the output of an object network, [b, h, w, c] at `stride` pixels a cell. A point's label
is that of the cell it falls into; its match is the cell with the largest inner product. Not a
cosine: the length of a label says how certain it is.
"""

import numpy as np

from kcorr.metrics.points import mean_of, point_errors

_LATTICES = ("centre", "topleft")


def cell_of(points, shape, stride=2, lattice="centre"):
    """The cells that points fall into; those outside go to the nearest one.

    Args:
        points: [..., 2] pixels of the picture, finite.
        shape: (h, w) of the labels.
        stride: pixels a cell.
        lattice: "centre", the middle of cell i is stride i + (stride - 1) / 2; "topleft", it is
            stride i, as in the released code of DVE.

    Returns:
        (rows, columns), integers [...].

    Raises:
        ValueError: an unknown lattice.
    """
    points = (np.asarray(points, "float64") - _offset(stride, lattice)) / stride
    cells = np.rint(points).astype(int)
    return np.clip(cells[..., 1], 0, shape[0] - 1), np.clip(cells[..., 0], 0, shape[1] - 1)


def labels_at(labels, points, stride=2, lattice="centre"):
    """Labels of points: [b, n, c] of labels [b, h, w, c] and points [b, n, 2]; see `cell_of`."""
    labels, points = np.asarray(labels), np.asarray(points)
    _check(labels, points)
    rows, columns = cell_of(points, labels.shape[1:3], stride, lattice)
    return labels[np.arange(len(labels))[:, None], rows, columns]


def nearest_points(vectors, labels, stride=2, lattice="centre", normalise="none"):
    """Where the labels are most similar to given vectors.

    Args:
        vectors: [b, n, c], or [n, c] for all pictures.
        labels: [b, h, w, c].
        stride, lattice: see `cell_of`.
        normalise: "none" compares by inner products, as DVE's released code does, "cosine" by
            directions alone.

    Returns:
        [b, n, 2] pixels: the places of the most similar cells (the first of equals; NaN counts as
        least).

    Raises:
        ValueError: shapes that do not fit, or an unknown `normalise`.
    """
    if normalise not in ("cosine", "none"):
        raise ValueError(f"normalise must be 'cosine' or 'none', got {normalise!r}")
    labels = np.asarray(labels, "float32")
    vectors = np.asarray(vectors, "float32")
    if labels.ndim != 4 or vectors.ndim not in (2, 3) or vectors.shape[-1] != labels.shape[-1]:
        raise ValueError(
            "nearest_points expects vectors [b, n, c] or [n, c] and labels [b, h, w, c], got "
            f"{vectors.shape} and {labels.shape}"
        )
    if normalise == "cosine":
        vectors, labels = _directions(vectors), _directions(labels)
    batch, height, width, channels = labels.shape
    vectors = np.broadcast_to(vectors, (batch, *vectors.shape[-2:]))
    scores = vectors @ labels.reshape(batch, height * width, channels).swapaxes(1, 2)
    best = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=-1)
    cells = np.stack([best % width, best // width], axis=-1).astype("float64")
    return cells * stride + _offset(stride, lattice)


def _directions(vectors):
    """Vectors at length 1; 0 stays 0."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    vectors = vectors / np.where(largest > 0, largest, 1)  # squares stay in the range of floats
    length = np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True))
    return vectors / np.where(length > 0, length, 1)


def match_points(
    first, points, second, stride=2, lattice="centre", transform=None, normalise="none"
):
    """Where points of one picture are in another one.

    Args:
        first: [b, h, w, c], labels of the pictures that the points are in.
        points: [b, n, 2] pixels of those.
        second: [b, h2, w2, c], labels of the others.
        stride, lattice: see `cell_of`.
        transform: [c, c], a symmetry of the object frame that is applied to the points' labels;
            `numpy.diag([-1, 1, 1])` for the bilateral one.
        normalise: see `nearest_points`.

    Returns:
        [b, n, 2] pixels of the second pictures.

    Raises:
        ValueError: shapes that do not fit.

    Source: Thewlis et al., ICCV 2019 (DVE, released code; there lattice "topleft").
    """
    vectors = labels_at(first, points, stride, lattice)
    if transform is not None:
        vectors = vectors @ np.asarray(transform, vectors.dtype).T
    return nearest_points(vectors, second, stride, lattice, normalise)


def matching_scores(
    first, second, points1, points2, visible=None, identity=None, scale=1.0, **options
):
    """Errors of matching the same and a different object, by the protocol of DVE.

    Pictures are taken two by two. Points of the first view of picture 2 j are looked for in its own
    second view ("same") and in that of picture 2 j + 1 ("different"): 1,000 test pictures of MAFL
    make 500 of each. Views as in the paper are warp pairs with half the usual strength.

    Args:
        first, second: [b, h, w, c], labels of the two views; b even.
        points1, points2: [b, n, 2] pixels, the points in the two views.
        visible: [b, n, 1], > 0.5 = seen in both views; a point must be so in both pictures.
        identity: [b] or [b, 1]; pairs of pictures of one person are left out of "different".
        scale: errors are multiplied by it: the papers' 70 / (width - 2 crop).
        **options: of `match_points`.

    Returns:
        A dict: "same" and "different", mean errors in (scaled) pixels, NaN where nothing counts;
        "same_errors", "different_errors" [b / 2, n], NaN where a point does not count.

    Raises:
        ValueError: an odd number of pictures, or shapes that do not fit.
    """
    first, second = np.asarray(first), np.asarray(second)
    points1, points2 = np.asarray(points1), np.asarray(points2)
    if len(first) % 2 or not len(first) == len(second) == len(points1) == len(points2):
        raise ValueError(
            "matching_scores expects as many labels and points, an even number, got "
            f"{len(first)}, {len(second)}, {len(points1)} and {len(points2)}"
        )
    seen = np.ones((*points1.shape[:2], 1)) if visible is None else np.asarray(visible)
    both = (seen[0::2] > 0.5) & (seen[1::2] > 0.5)
    if identity is not None:
        people = np.reshape(identity, -1)
        both &= (people[0::2] != people[1::2])[:, None, None]
    result = {}
    for name, target, counted in (("same", 0, seen[0::2]), ("different", 1, both)):
        found = match_points(first[0::2], points1[0::2], second[target::2], **options)
        errors = scale * point_errors(found, points2[target::2], counted)
        result |= {name: mean_of(errors), f"{name}_errors": errors}
    return result


def symmetric_transfer_errors(
    labels, points, counterpart, transform, visible=None, stride=2, lattice="centre"
):
    """How far the symmetric counterpart of a point, found by its label, is from where it is.

    A point's label is transformed (reflected) and looked for in the same picture.

    Args:
        labels: [b, h, w, c].
        points: [b, n, 2] pixels.
        counterpart: index of each point's counterpart, [n].
        transform: [c, c], the symmetry: `numpy.diag([-1, 1, 1])` for symmetric object frames,
            `plane_reflection` for others. The identity would find each point itself again.
        visible: [b, n, 1]; a point counts if it and its counterpart are > 0.5.
        stride, lattice: see `cell_of`.

    Returns:
        [b, n] pixels, NaN where a point does not count.

    Raises:
        ValueError: shapes that do not fit.

    Source: Thewlis et al., NeurIPS 2018, the transfer of left eye and corner of the mouth.
    """
    points, counterpart = np.asarray(points), np.asarray(counterpart)
    found = match_points(labels, points, labels, stride, lattice, transform)
    counted = None
    if visible is not None:
        counted = (np.asarray(visible) > 0.5) & (np.asarray(visible)[:, counterpart] > 0.5)
    return point_errors(found, points[:, counterpart], counted)


def plane_reflection(vectors):
    """The reflection at the plane through the origin that lies nearest to labels.

    Of an object frame that was not taught symmetry: labels of points on the symmetry plane (nose,
    between the eyes, middle of the mouth) show where it is.

    Args:
        vectors: [m, c], labels on the plane, m >= c - 1.

    Returns:
        [c, c], symmetric and orthogonal.

    Raises:
        ValueError: fewer labels than span a plane.

    Source: the baseline of Thewlis et al., NeurIPS 2018; that its plane goes through the origin is
    our reading.
    """
    vectors = np.asarray(vectors, "float64")
    if vectors.ndim != 2 or len(vectors) < vectors.shape[1] - 1:
        raise ValueError(f"plane_reflection expects [m, c] with m >= c - 1, got {vectors.shape}")
    normal = np.linalg.svd(vectors, full_matrices=True)[2][-1]
    return np.eye(len(normal)) - 2 * np.outer(normal, normal)


def cycle_errors(first, points, second, stride=2, lattice="centre", normalise="none"):
    """How far points come back from where they left, matched to another picture and back.

    It needs no ground truth, and tells consistent labels of two people from inconsistent ones (but
    not from labels that are the same everywhere: see that matches differ).

    Args:
        first, second: [b, h, w, c].
        points: [b, n, 2] pixels of the first pictures.
        stride, lattice: see `cell_of`.
        normalise: see `nearest_points`.

    Returns:
        [b, n] pixels.
    """
    options = {"stride": stride, "lattice": lattice, "normalise": normalise}
    there = match_points(first, points, second, **options)
    return point_errors(match_points(second, there, first, **options), points)


def procrustes_angle(predicted, target, visible=None):
    """Angle between labels and true places on a ball, after the best orthogonal map of all of them.

    One map for everything that is handed in: labels that are right within each picture, but turned
    from picture to picture, are not a consistent frame, and do not get a small angle.

    Args:
        predicted: [..., 3], labels; only their direction counts.
        target: [..., 3], true unit vectors; `coordinates1` of `RotatingSphere`.
        visible: [..., 1], > 0.5 = counts; None counts what has a target other than 0.

    Returns:
        (degrees, matrix): the mean angle, and the orthogonal [3, 3] (a reflection is allowed: a
        frame may be mirrored) that maps labels to true places.

    Raises:
        ValueError: shapes that do not fit, or nothing that counts.
    """
    predicted, target = np.asarray(predicted, "float64"), np.asarray(target, "float64")
    if predicted.shape != target.shape or predicted.shape[-1:] != (3,):
        raise ValueError(
            f"procrustes_angle expects two [..., 3], got {predicted.shape} and {target.shape}"
        )
    counted = (target**2).sum(-1) > 0 if visible is None else np.asarray(visible)[..., 0] > 0.5
    if not counted.any():
        raise ValueError("procrustes_angle: nothing counts")
    predicted, target = predicted[counted], target[counted]
    target = target / np.linalg.norm(target, axis=-1, keepdims=True)
    length = np.linalg.norm(predicted, axis=-1, keepdims=True)
    # A label without a direction is at a right angle to everything.
    predicted = np.divide(predicted, length, out=np.zeros_like(predicted), where=length > 0)
    left, _, right = np.linalg.svd(target.T @ predicted)
    matrix = left @ right
    cosine = np.clip(np.sum((predicted @ matrix.T) * target, axis=-1), -1, 1)
    return float(np.degrees(np.arccos(cosine)).mean()), matrix


def _offset(stride, lattice):
    if lattice not in _LATTICES:
        raise ValueError(f"lattice must be one of {', '.join(_LATTICES)}, got {lattice!r}")
    return (stride - 1) / 2 if lattice == "centre" else 0.0


def _check(labels, points):
    if labels.ndim != 4 or points.ndim != 3 or points.shape[-1] != 2 or len(labels) != len(points):
        raise ValueError(
            f"expected labels [b, h, w, c] and points [b, n, 2], got {labels.shape} and "
            f"{points.shape}"
        )
