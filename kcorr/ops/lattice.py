"""Where the cells of a feature map lie in the picture that it was made of.

A network of stride s sees s x s pixels as one cell. By the coordinate law the middle of cell i is
s i + (s - 1) / 2: with stride 2 cell 0 holds pixels 0 and 1, and its middle is 0.5. Only so is the
mirror image of a cell's place the place of the mirrored cell, w - 1 - x. The published code of DVE
puts cell i at s i, its top left pixel ("topleft"): harmless where both views share the offset, but
off by s - 1 pixels when one of them is a mirror image.
"""

from keras import ops

from kcorr.ops._arguments import sizes
from kcorr.ops.grid import geometry_dtype
from kcorr.ops.sample import sample_points

LATTICES = ("centre", "topleft")
_WHOLE = 1 - 1e-4  # what is left of a weight of 1 after interpolation in float32


def cell_axis(count, stride, lattice="centre", dtype="float32"):
    """Coordinates of `count` cells along one axis, in pixels of the picture: [count].

    Args:
        count: cells, an integer or a scalar tensor.
        stride: pixels a cell, an integer or a scalar tensor.
        lattice: "centre" or "topleft".
        dtype: of the result.

    Raises:
        ValueError: `lattice` is unknown.

    Source: "topleft": Thewlis et al., ICCV 2019 (DVE, released code).
    """
    if lattice not in LATTICES:
        raise ValueError(f"lattice must be one of {', '.join(LATTICES)}, got {lattice!r}")
    stride = ops.cast(stride, dtype)
    places = ops.arange(count, dtype=dtype) * stride
    return places + (stride - 1) / 2 if lattice == "centre" else places


def cell_strides(function, picture, height, width):
    """Pixels a cell, (down, across), of a map of `height` x `width` cells.

    A network that halves an odd size may round it up or down, so a side of 71 pixels has a stride
    of 2 with 35 cells and with 36.

    Args:
        function: whom the message names.
        picture: [b, H, W, .].
        height, width: cells, integers or scalar tensors.

    Raises:
        ValueError: the map cannot be that of a network with a whole stride.
    """
    strides = []
    for axis, cells in ((1, height), (2, width)):
        pixels = sizes(picture)[axis]
        stride = (2 * pixels + cells) // (2 * cells)
        if isinstance(stride, int) and (
            stride < 1 or cells not in (pixels // stride, -(-pixels // stride))
        ):
            raise ValueError(
                f"{function}: {height}x{width} cells are not those of a picture of "
                f"{picture.shape[1]}x{picture.shape[2]} pixels at a whole stride"
            )
        strides.append(stride)
    return strides


def cell_axes(height, width, strides, lattice="centre", dtype="float32"):
    """x of the columns [w] and y of the rows [h] of a map, see `cell_axis`.

    Args:
        height, width: cells.
        strides: (down, across), as from `cell_strides`.
        lattice, dtype: of `cell_axis`.
    """
    down, across = strides
    return cell_axis(width, across, lattice, dtype), cell_axis(height, down, lattice, dtype)


def at_cells(function, picture, height, width, lattice="centre"):
    """Values of a picture at the places of a map's cells, with what is not finite left out.

    Args:
        function: whom messages name.
        picture: [b, H, W, k], float32 or float64.
        height, width: cells of the map.
        lattice: "centre" or "topleft".

    Returns:
        values: [b, h w, k], interpolated; at the border where a cell's middle lies beyond it, as
            that of a cell that is half padding. 0 where not known.
        known: [b, h w, 1], 1 where all pixels that take part are finite, else 0.

    Raises:
        ValueError: see `cell_axis` and `cell_strides`.
    """
    strides = cell_strides(function, picture, height, width)
    dtype = geometry_dtype(picture)
    known = ops.all(ops.isfinite(picture), axis=-1, keepdims=True)
    picture = ops.where(known, picture, ops.zeros_like(picture))
    table = ops.concatenate([picture, ops.cast(known, dtype)], axis=-1)
    x, y = ops.meshgrid(*cell_axes(height, width, strides, lattice, dtype))
    places = ops.reshape(ops.stack([x, y], axis=-1), [1, height * width, 2])
    places = ops.broadcast_to(places, [sizes(picture)[0], height * width, 2])
    values, _ = sample_points(table, places, "edge")
    known = ops.cast(values[..., -1:] > _WHOLE, dtype)
    return values[..., :-1] * known, known


def mask_at_cells(function, mask, height, width, lattice="centre"):
    """A mask [b, H, W, 1], of pixels or of cells, at a map's cells: [b, h w, 1], without gradient.

    A cell that is interpolated from pixels counts if all of them do. Arguments as in `at_cells`.
    """
    if len(mask.shape) != 4 or mask.shape[-1] != 1:
        raise ValueError(f"{function} expects mask [b, H, W, 1], got {tuple(mask.shape)}")
    # NaN is what `at_cells` leaves out.
    mask = ops.where(mask > 0, mask, float("nan"))
    return ops.stop_gradient(at_cells(f"{function}, mask", mask, height, width, lattice)[0])
