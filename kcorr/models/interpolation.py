"""From matches to dense flow, along the edges of the picture; numpy, scipy and scikit-image.

Each pixel follows the match that is nearest along a path that crosses no edges, and that match's
model of motion, which is fitted to its own nearest matches.
"""

import numpy as np

from kcorr.models.geodesic import geodesic_labels, nearest_seeds, seed_graph
from kcorr.models.picture_arrays import as_float

# Neighbours of a fit, slope of their kernel, neighbours of the consistency filter.
PRESETS = {
    None: (100, 0.8, 25),
    "sintel": (160, 1.1, 25),
    "kitti": (160, 1.1, 25),
    "middlebury": (65, 0.2, 15),
}
_EXTRA = "pip install 'kcorr[matching]'"


def interpolate_matches(
    matches,
    image,
    edges=None,
    method="affine",
    preset=None,
    *,
    neighbours=None,
    coefficient=None,
    filter_neighbours=None,
    saliency=0.045,
    consistency=5.0,
    second_looks=4,
    floor=0.001,
):
    """Dense flow from quasi-dense matches, by edge-aware interpolation.

    Both ends of matches are clamped to the frame. Matches where the picture is flat, and those that
    their neighbours contradict, are dropped (neither filter drops all). The rest are seeds: a
    seed's pixel is the nearest to (x1, y1), and of several matches there the highest score counts,
    of equal ones the first. Distances are geodesic, with `edges + floor` as the cost of a pixel; a
    neighbour at distance D has weight exp(-coefficient D) + 1e-8.

    Args:
        matches: [n, 5], n >= 1: x1, y1, x2, y2 in pixels, score; or [n, 4], equal scores.
        image: [h, w, 3], picture 1: uint8, uint16 or float in [0, 1].
        edges: [h, w] or [h, w, 1], from 0, 1 = a sure edge; None takes `edge_map(image)`.
        method: "affine", a weighted least-squares affine motion about each seed; "average", the
            weighted mean motion (Nadaraya-Watson).
        preset: None, "sintel", "kitti" or "middlebury": the published numbers for what follows.
        neighbours: nearest seeds that a model is fitted to, itself included. None: the preset's.
        coefficient: per unit of geodesic distance. None: the preset's.
        filter_neighbours: of the consistency filter, itself not included. None: the preset's.
        saliency: least `corner_saliency` of a match; None keeps all.
        consistency: pixels; matches as far from the mean of their neighbours are dropped. None
            keeps all.
        second_looks: a wild match spoils the means of its neighbours, too, and takes them with it.
            As often as this, dropped matches are compared with the mean of their neighbours that
            were kept, themselves not included, and come back if they agree. 0 is the published
            filter.
        floor: cost of a pixel without an edge, above 0.

    Returns:
        [h, w, 2] float32 pixels.

    Raises:
        ValueError: no matches, coordinates that are not finite, other shapes, or unknown names.
        ImportError: scipy is not installed, or scikit-image, which saliency and edges need.

    Source: Revaud et al., EpicFlow, CVPR 2015, and its released program for numbers and filters.
    Ours are: the second looks, the edges (theirs are those of structured forests), octile paths in
    place of eikonal sweeps, and the corners (+-0.1, +-0.1) as places of the affine fit's
    pseudo-points.
    """
    image, matches = as_float(image, "image"), _as_matches(matches)
    if method not in ("affine", "average"):
        raise ValueError(f"method must be affine or average, got {method!r}")
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(map(str, PRESETS))}, got {preset!r}")
    numbers = zip((neighbours, coefficient, filter_neighbours), PRESETS[preset], strict=True)
    neighbours, coefficient, filter_neighbours = (
        default if given is None else given for given, default in numbers
    )
    if neighbours < 1 or filter_neighbours < 1 or not (coefficient >= 0 and floor > 0):
        raise ValueError(
            "expected neighbours and filter_neighbours from 1, coefficient from 0 and floor above "
            f"0, got {neighbours}, {filter_neighbours}, {coefficient} and {floor}"
        )
    _scipy()
    edges = edge_map(image) if edges is None else _as_edges(edges, image)
    cost = edges + float(floor)
    seeds, points, motion = _seeds(matches, image.shape[:2])
    if saliency is not None:
        salient = corner_saliency(image)[seeds[:, 1], seeds[:, 0]] >= saliency
        seeds, points, motion = _keep(salient, seeds, points, motion)
    labels, graph = _cells(cost, seeds)
    if consistency is not None:
        index, distance = nearest_seeds(graph, filter_neighbours + 1)
        weight = _kernel(distance, coefficient)
        agree = _agreeing(motion, index, weight, consistency, second_looks)
        if not agree.all():
            seeds, points, motion = _keep(agree, seeds, points, motion)
            labels, graph = _cells(cost, seeds)
    index, distance = nearest_seeds(graph, neighbours)
    weight = _kernel(distance, coefficient)
    if method == "average":
        return _average(motion, index, weight)[labels].astype(np.float32)
    slope, offset = _affine(points, motion, index, weight)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in labels.shape[::-1])), axis=-1)
    away = grid - points[labels]
    return (np.einsum("hwij,hwj->hwi", slope[labels], away) + offset[labels]).astype(np.float32)


def edge_map(image, sigma=2.0):
    """Edges as strength of the colour gradient: our stand-in for structured forests.

    The largest change of colour per pixel, in any direction, in Lab, smoothed by `sigma`. It is
    divided by its 99th percentile (at least 5 units of Lab a pixel, so that noise on a flat
    picture makes no edges) and clipped to 1.

    Args:
        image: [h, w, 3], uint8, uint16 or float in [0, 1].
        sigma: pixels.

    Returns:
        [h, w] float64 in [0, 1].

    Raises:
        ValueError: another shape, dtype or range.
        ImportError: scipy or scikit-image is not installed.
    """
    strength = np.sqrt(_eigenvalues(as_float(image, "image"), sigma, 0.0)[1])
    return np.minimum(strength / max(np.percentile(strength, 99), 5.0), 1.0)


def corner_saliency(image, sigma=0.8, window=1.0):
    """How well a place can be told from its surroundings: small on flats and along edges.

    The smaller eigenvalue of the structure tensor of the picture in Lab (squared units a pixel).

    Args:
        image: [h, w, 3], uint8, uint16 or float in [0, 1].
        sigma: pixels, of the Gaussian whose derivatives are taken.
        window: pixels, of the Gaussian by which products of derivatives are averaged.

    Returns:
        [h, w] float64, from 0.

    Raises:
        ValueError: another shape, dtype or range.
        ImportError: scipy or scikit-image is not installed.
    """
    return _eigenvalues(as_float(image, "image"), sigma, window)[0]


def refine_flow(
    flow, image1, image2, alpha=20.0, delta=5.0, gamma=10.0, outer=5, inner=20, warps=5
):
    """A few steps of a variational method that start at a flow; with OpenCV.

    It is for the last pixel or two: what is farther off stays wrong.

    Args:
        flow: [h, w, 2] pixels, finite.
        image1, image2: [h, w, 3] of the same size, uint8, uint16 or float in [0, 1].
        alpha, delta, gamma: weights of smoothness, constant colour and constant gradient.
            These defaults are OpenCV's; EpicFlow's numbers belong to its own energy.
        outer, inner: iterations of the fixed point and of the solver.
        warps: how often picture 2 is warped anew by the flow so far; OpenCV does so once, and then
            goes at most half the way.

    Returns:
        [h, w, 2] float32 pixels.

    Raises:
        ValueError: shapes that differ, or a flow that is not finite.
        ImportError: OpenCV is not installed.

    Source: Brox et al., ECCV 2004, as `cv2.VariationalRefinement`.
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(f"refine_flow needs OpenCV: {_EXTRA}") from error
    first, second = as_float(image1, "image1"), as_float(image2, "image2")
    flow = np.array(flow, np.float32, order="C")
    if first.shape != second.shape or flow.shape != (*first.shape[:2], 2):
        raise ValueError(
            f"flow, image1 and image2 have shapes {flow.shape}, {first.shape} and {second.shape}, "
            "expected [h, w, 2] and twice [h, w, 3]"
        )
    if not np.isfinite(flow).all():
        raise ValueError("flow is not finite everywhere")
    solver = cv2.VariationalRefinement.create()
    solver.setAlpha(alpha)
    solver.setDelta(delta)
    solver.setGamma(gamma)
    solver.setFixedPointIterations(outer)
    solver.setSorIterations(inner)
    bytes8 = (np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8) for image in (first, second))
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in bytes8]
    for _ in range(warps):
        flow = solver.calc(*grey, flow)
    return flow


def _as_matches(matches):
    matches = np.asarray(matches, "float64")
    if matches.ndim != 2 or matches.shape[1] not in (4, 5):
        raise ValueError(f"matches have shape {matches.shape}, expected [n, 5] or [n, 4]")
    if not len(matches):
        raise ValueError("there are no matches to interpolate, expected at least one")
    if not np.isfinite(matches[:, :4]).all():
        raise ValueError("matches have coordinates that are not finite")
    return matches


def _as_edges(edges, image):
    edges = np.asarray(edges, "float64")
    if edges.ndim == 3 and edges.shape[-1] == 1:
        edges = edges[..., 0]
    if edges.shape != image.shape[:2]:
        raise ValueError(f"edges have shape {edges.shape}, expected {image.shape[:2]}")
    if not (np.isfinite(edges).all() and edges.min() >= 0):
        raise ValueError("edges hold values below 0 or not finite, expected [0, 1]")
    return edges


def _seeds(matches, size):
    """Clamped matches of different pixels: their pixels, exact places and motions, (x, y)."""
    last = np.array(size[::-1]) - 1
    points, targets = (np.clip(matches[:, k : k + 2], 0, last) for k in (0, 2))
    seeds = np.rint(points).astype(np.int64)
    place = seeds[:, 1] * size[1] + seeds[:, 0]
    score = matches[:, 4] if matches.shape[1] == 5 else np.ones(len(matches))
    order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
    kept = np.sort(order[np.unique(place[order], return_index=True)[1]])
    return seeds[kept], points[kept], (targets - points)[kept]


def _keep(mask, *arrays):
    """What the mask keeps; everything where it keeps nothing: some flow is better than none."""
    return tuple(array[mask] for array in arrays) if mask.any() else arrays


def _cells(cost, seeds):
    labels, distance = geodesic_labels(cost, seeds)
    return labels, seed_graph(labels, distance, cost)


def _kernel(distance, coefficient):
    return np.exp(-coefficient * distance) + 1e-8


def _average(motion, index, weight):
    """Nadaraya-Watson: the weighted mean motion [n, 2] of the seeds [n, k]."""
    total = np.einsum("nk,nki->ni", weight, motion[index] - motion[:, None])
    # About the seed's own motion, so that equal motions stay equal to the last bit.
    return motion + total / weight.sum(axis=1, keepdims=True)


def _agreeing(motion, index, weight, limit, second_looks):
    """Which seeds move like the mean of their neighbours, within `limit` pixels: bool [n]."""

    def near(weight):
        return np.linalg.norm(_average(motion, index, weight) - motion, axis=-1) < limit

    agree = near(weight)
    for _ in range(second_looks):
        others = weight * agree[index]  # a dropped seed itself has none
        judged = others.any(axis=1)
        others[~judged, 0] = 1
        agree |= judged & near(others)
    return agree


def _affine(points, motion, index, weight):
    """Least squares of rows times weights, about each seed: slope [n, 2, 2] and offset [n, 2].

    The seed itself (first of its neighbours) counts 0.96 of its weight and four pseudo-points
    beside it, that move like it, 0.01 each. Without them one or two neighbours have no affine fit.
    """
    factor = np.ones_like(weight)
    factor[:, 0] = 0.96
    away = points[index] - points[:, None]
    rows = np.concatenate([away, np.ones((*away.shape[:2], 1))], axis=-1)
    rows *= (weight * factor)[..., None]
    values = (motion[index] - motion[:, None]) * (weight * factor)[..., None]
    # Sum over the pseudo-points of (dx, dy, 1)^T (dx, dy, 1); about the seed their motion is 0.
    pseudo = np.diag([0.04, 0.04, 4.0]) * (0.01 * weight[:, :1, None]) ** 2
    normal = np.swapaxes(rows, 1, 2) @ rows + pseudo
    found = np.linalg.solve(normal, np.swapaxes(rows, 1, 2) @ values)
    return np.swapaxes(found[:, :2], 1, 2), motion + found[:, 2]


def _eigenvalues(image, sigma, window):
    """(smaller, larger) eigenvalue [h, w] of the structure tensor of a float picture in Lab."""
    smooth = _scipy().gaussian_filter
    try:
        from skimage.color import rgb2lab
    except ImportError as error:
        raise ImportError(f"edges and saliency need scikit-image: {_EXTRA}") from error
    lab = rgb2lab(np.clip(image, 0, 1, dtype="float64"))
    products = np.zeros((3, *image.shape[:2]))
    for channel in np.moveaxis(lab, -1, 0):
        x, y = (smooth(channel, sigma, order, mode="nearest") for order in ((0, 1), (1, 0)))
        products += np.stack([x * x, y * y, x * y])
    if window:
        products = np.stack([smooth(product, window, mode="nearest") for product in products])
    xx, yy, xy = products
    mean, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return np.maximum(mean - spread, 0.0), mean + spread


def _scipy():
    try:
        from scipy import ndimage
    except ImportError as error:
        raise ImportError(f"interpolation of matches needs scipy: {_EXTRA}") from error
    return ndimage
