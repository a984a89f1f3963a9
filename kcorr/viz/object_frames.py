"""Object frames: what lies where on the sphere, and the symmetry of an object in its picture."""

import numpy as np

from kcorr.viz._arrays import as_uint8, positive
from kcorr.viz._labels import (
    as_label_map,
    as_label_mask,
    as_labels,
    cell_side,
    directions_of,
)
from kcorr.viz._strokes import draw_lines, enlarged, line_thickness, placed

_EMPTY = 128
_LINE = (255, 220, 60)
_CROSS = (255, 255, 255)
_POLES = {1: (255, 120, 20), -1: (40, 160, 255)}  # by the sign of z


def unroll_sphere(images, labels, size=(96, 192), mask=None, smooth=0.0):
    """Unrolls an object frame: the mean colour of all pixels whose label points the same way.

    The map is equirectangular. Columns are the longitude atan2(x, y), from -π at the left to π at
    the right: the middle column is +y, and the halves x < 0 and x > 0 of a frame that is symmetric
    in x mirror each other. Rows are the latitude, from z = 1 at the top to z = -1 at the bottom: an
    n-fold symmetry about z repeats the map n times along its rows.

    Args:
        images: n pictures as [n, H, W, 3] or in a list, uint8 or float in [0, 1]; or one.
        labels: their labels, [n, h, w, 3] or a list; or [h, w, 3] of one picture. H and W are h and
            w times a whole number: each label meets the mean colour of its cell. The last rows and
            columns that do not fill a cell are left out.
        size: (height, width) of the map.
        mask: [n, h, w], [n, h, w, 1] or a list, 1 = counts; or that of one picture.
        smooth: each pixel's colour also counts in the cells around its own, weighted by a Gaussian
            of this standard deviation in cells, up to three of it away.

    Returns:
        uint8 [height, width, 3]; grey (128) where no label points, nor near.

    Raises:
        ValueError: no pictures, a wrong shape, or sizes that do not fit together.

    Source: Thewlis et al. (NeurIPS 2017, 2018) show such maps; the axes are our choice.
    """
    height, width = _as_size(size)
    if not isinstance(labels, (list, tuple)) and np.ndim(labels) == 3:
        images, labels, mask = [images], [labels], None if mask is None else [mask]
    if len(labels) == 0 or len(images) != len(labels):
        raise ValueError(
            f"there are {len(images)} images and {len(labels)} labels, expected as many, at least 1"
        )
    if mask is not None and len(mask) != len(labels):
        raise ValueError(f"there are {len(mask)} masks and {len(labels)} labels")
    total, count = np.zeros((height * width, 3)), np.zeros(height * width)
    for i, label in enumerate(labels):
        label = as_label_map(label, 3)
        if label.shape[-1] != 3:
            raise ValueError(f"labels have shape {label.shape}, expected [h, w, 3]")
        picture = as_uint8(images[i], f"image {i}")
        colors = _cell_means(picture, label.shape[:2], cell_side(picture, label))
        units, known = directions_of(label)
        known &= as_label_mask(None if mask is None else mask[i], label)
        place = _place(units[known], height, width)
        count += np.bincount(place, minlength=len(count))
        for channel in range(3):
            weights = colors[known][:, channel]
            total[:, channel] += np.bincount(place, weights, minlength=len(count))
    total, count = total.reshape(height, width, 3), count.reshape(height, width, 1)
    if smooth:
        smooth = positive(smooth, "smooth")
        total, count = _spread(total, smooth), _spread(count, smooth)
    color = np.where(count > 0, total / np.where(count > 0, count, 1), _EMPTY)
    return np.rint(color).astype(np.uint8)


def _as_size(size):
    try:
        height, width = (int(positive(side, "size")) for side in size)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise ValueError(f"size is {size!r}, expected (height, width), at least 1 each")
    return height, width


def _cell_means(picture, size, side):
    h, w = size
    cells = picture[: h * side, : w * side].reshape(h, side, w, side, 3)
    return cells.mean((1, 3), dtype=np.float64)


def _place(units, height, width):
    """Number of the map's cell, row by row, of unit vectors [n, 3]."""
    x, y, z = units.T
    column = np.floor((np.arctan2(x, y) / (2 * np.pi) + 0.5) * width).astype(np.intp) % width
    row = np.floor((0.5 - np.arctan2(z, np.hypot(x, y)) / np.pi) * height).astype(np.intp)
    return np.minimum(row, height - 1) * width + column


def _spread(values, deviation):
    """Gaussian mean of cells [height, width, c] of a map whose left and right sides meet."""
    reach = int(np.ceil(3 * deviation))
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (steps / deviation) ** 2)
    height = len(values)
    steps = list(zip(steps, weights, strict=True))
    padded = np.pad(values, ((reach, reach), (0, 0), (0, 0)))  # nothing lies beyond the poles
    rows = sum(weight * padded[reach + step : reach + step + height] for step, weight in steps)
    return sum(weight * np.roll(rows, step, axis=1) for step, weight in steps)


def upright_frame(labels, mask=None):
    """The orthogonal matrix R that sets an object frame upright: `labels @ R` looks at +y.

    A frame is learned up to an orthogonal matrix. R is the one (Procrustes) by which labels come
    nearest to a globe that fills the pictures: +y in their middle, +x to the right and +z up, so
    that the map of `unroll_sphere` shows the object as its pictures do. It may mirror. Frames of a
    symmetry have axes of their own, which R does not keep.

    Args:
        labels: [n, h, w, 3] of n pictures, or [h, w, 3].
        mask: [n, h, w], [n, h, w, 1], or that of one picture; 1 = counts.

    Returns:
        float64 [3, 3].

    Raises:
        ValueError: a wrong shape.
    """
    labels = as_labels(labels, 3)
    if labels.shape[-1] != 3:
        raise ValueError(f"labels have shape {labels.shape}, expected [..., h, w, 3]")
    units, known = directions_of(labels)
    known &= as_label_mask(mask, labels)
    height, width = labels.shape[-3:-1]
    longitude = np.pi * ((np.arange(width) + 0.5) / width - 0.5)
    latitude = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    x, y = np.sin(longitude) * np.cos(latitude), np.cos(longitude) * np.cos(latitude)
    globe = np.stack([x, y, np.broadcast_to(np.sin(latitude), x.shape)], -1)
    units = (units * known[..., None]).reshape(-1, height * width, 3).sum(0)
    u, _, v = np.linalg.svd(units.T @ globe.reshape(-1, 3))
    return u @ v


def symmetry_line(labels, mask=None):
    """Where channel 0 of labels changes its sign: the plane x = 0 of a frame symmetric in x.

    Marching squares: the sign changes are found between neighbouring cells, and placed between them
    by linear interpolation. 0 counts as positive.

    Args:
        labels: [h, w, c].
        mask: [h, w] or [h, w, 1], 1 = counts. All four labels around a piece of line must count
            and be finite.

    Returns:
        float64 [n, 2, 2]: segments from (x, y) to (x, y), in pixels of the labels' own grid.

    Raises:
        ValueError: a wrong shape.
    """
    labels = as_label_map(labels)
    known = as_label_mask(mask, labels) & np.isfinite(labels[..., 0])
    values = np.where(known, labels[..., 0], 0.0)
    values = values / max(np.abs(values).max(), 1e-300)
    known = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1] & known[1:, 1:]
    y, x = np.nonzero(known)
    # The corners of each square as on a walk around it; edge k goes from corner k to the next.
    corners = np.stack([[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]]).transpose(0, 2, 1)
    at = values[corners[..., 1], corners[..., 0]]  # [4, squares]
    after, end = np.roll(at, -1, 0), np.roll(corners, -1, 0)
    crossed = (at >= 0) != (after >= 0)
    share = at / np.where(crossed, at - after, 1)
    crossings = corners + share[..., None] * (end - corners)  # [4, squares, 2]

    count = crossed.sum(0)
    # All four edges are crossed: the middle tells which opposite corners belong together.
    joined = (count == 4) & ((at.mean(0) >= 0) == (at[0] >= 0))
    apart = (count == 4) & ~joined
    segments = []
    for first in range(4):
        for second in range(first + 1, 4):
            here = (count == 2) & crossed[first] & crossed[second]
            # Around corners 1 and 3 where 0 and 2 belong together, else around 0 and 2.
            if (first, second) in ((0, 1), (2, 3)):
                here |= joined
            elif (first, second) in ((0, 3), (1, 2)):
                here |= apart
            segments.append(np.stack([crossings[first][here], crossings[second][here]], 1))
    return np.concatenate(segments)


def draw_symmetry(image, labels, mask=None, scale=1):
    """Draws the symmetry plane x = 0 of an object frame, as its labels see it, into the picture.

    Args:
        image: [H, W, 3], [H, W, 1] or [H, W], uint8 or float in [0, 1].
        labels: [h, w, c], of the size of the image or a whole part of it.
        mask: [h, w] or [h, w, 1], 1 = counts. Without one the signs of the background, where labels
            mean nothing, are drawn as well.
        scale: whole factor by which the picture is enlarged before.

    Returns:
        uint8 [scale H, scale W, 3]; pixels away from the line are the image's own.

    Raises:
        ValueError: a wrong shape, sizes that do not fit together, or a wrong scale.

    Source: Thewlis et al., NeurIPS 2018: the plane is where channel 0 changes its sign.
    """
    picture = as_uint8(image)
    segments = symmetry_line(labels, mask)
    side = cell_side(picture, np.asarray(labels))
    canvas = enlarged(picture, scale).astype(np.float64)
    lines = placed(segments, side * scale)
    draw_lines(canvas, lines, _LINE, line_thickness(*canvas.shape[:2]))
    return np.rint(canvas).astype(np.uint8)


def draw_axis(image, labels, mask=None, scale=1, within=10.0):
    """Marks where the axis of rotation z of an object frame meets the object.

    The cell whose label is nearest to +z or -z gets a cross, and all that are near to either are
    tinted: orange for +z, blue for -z.

    Args:
        image: [H, W, 3], [H, W, 1] or [H, W], uint8 or float in [0, 1].
        labels: [h, w, 3], of the size of the image or a whole part of it.
        mask: [h, w] or [h, w, 1], 1 = counts.
        scale: whole factor by which the picture is enlarged before.
        within: degrees from the axis up to which a label is near.

    Returns:
        uint8 [scale H, scale W, 3]; the picture itself where no label counts or has a direction.

    Raises:
        ValueError: a wrong shape, sizes that do not fit together, or a wrong scale or angle.

    Source: Thewlis et al., NeurIPS 2018: the group of an n-fold object turns about z.
    """
    picture = as_uint8(image)
    labels = as_label_map(labels, 3)
    if labels.shape[-1] != 3:
        raise ValueError(f"labels have shape {labels.shape}, expected [h, w, 3]")
    side = cell_side(picture, labels)
    units, known = directions_of(labels)
    known &= as_label_mask(mask, labels)
    canvas = enlarged(picture, scale).astype(np.float64)
    if not known.any():
        return np.rint(canvas).astype(np.uint8)
    z = np.where(known, units[..., 2], 0.0)
    least = np.cos(np.deg2rad(min(positive(within, "within"), 90.0)))
    for sign, color in _POLES.items():
        tinted = _as_pixels(known & (sign * z >= least), canvas.shape, int(side * scale))
        canvas[tinted] += 0.6 * (np.array(color) - canvas[tinted])
    row, column = np.unravel_index(np.argmax(np.where(known, np.abs(z), -1)), z.shape)
    centre = placed((column, row), side * scale)
    thickness = 1.5 * line_thickness(*canvas.shape[:2])
    arms = 2.5 * thickness * np.array([[[-1, -1], [1, 1]], [[-1, 1], [1, -1]]])
    draw_lines(canvas, centre + arms, _CROSS, thickness)
    return np.rint(canvas).astype(np.uint8)


def _as_pixels(cells, shape, side):
    """bool [h, w] of cells as [H, W] of pixels; what is beyond the last whole cell is False."""
    pixels = np.zeros(shape[:2], bool)
    large = cells.repeat(side, 0).repeat(side, 1)
    pixels[: large.shape[0], : large.shape[1]] = large
    return pixels
