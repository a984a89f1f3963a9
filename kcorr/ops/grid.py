"""The coordinate law, and the grid it speaks of.

A pixel's centre sits at integer (x, y); (0, 0) is the top-left centre. The last axis of every
coordinate or flow tensor is (x, y). `flow(p) = q - p`, in pixels of the grid the tensor lives on:
resizing a flow rescales its vectors (`resize_flow`), resizing a mask does not. Backward warping
pulls frame 2 onto frame 1: `warped(p) = image2(p + flow(p))`. Coordinates are float32 (float64 when
the caller brings float64), never half precision: bfloat16 holds integers exactly up to 256 only.
"""

from keras import ops


def pixel_grid(height, width, dtype="float32"):
    """Coordinates of every pixel's centre.

    Args:
        height: rows, an integer or a scalar tensor.
        width: columns, an integer or a scalar tensor.
        dtype: dtype of the result.

    Returns:
        [h, w, 2], (x, y) in pixels: `pixel_grid(h, w)[row, column] == (column, row)`.
    """
    x, y = ops.meshgrid(ops.arange(width, dtype=dtype), ops.arange(height, dtype=dtype))
    return ops.stack([x, y], axis=-1)


def geometry_dtype(*tensors):
    """The dtype of coordinate arithmetic: float64 if any tensor is, else float32."""
    names = {str(getattr(t.dtype, "name", t.dtype)) for t in tensors}
    return "float64" if "float64" in names else "float32"
