"""What every loss does to its arguments first: precision, shapes, and places that do not count."""

from keras import ops

from kcorr.ops.grid import geometry_dtype


def floats(**tensors):
    """The tensors as [b, h, w, c] in float32, or float64 if one of them is.

    Losses never compute in half precision, also under mixed precision: a squared flow overflows
    float16 above 255 px, and the census differences need more than bfloat16's eight bits.

    Raises:
        ValueError: a tensor has not four axes, or they do not share batch, height and width.
    """
    tensors = {name: ops.convert_to_tensor(tensor) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if len(tensor.shape) != 4:
            raise ValueError(f"{name} must be [b, h, w, c], got shape {tuple(tensor.shape)}")
    (first, *others) = tensors.items()
    for other in others:
        _same_grid(first, other)
    dtype = geometry_dtype(*tensors.values())
    return [ops.cast(tensor, dtype) for tensor in tensors.values()]


def pair(**tensors):
    """`floats` of two tensors that are subtracted: one channel must not broadcast silently."""
    first, second = floats(**tensors)
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"{' and '.join(tensors)} must have the same channels, got shapes "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    return first, second


def mask_like(mask, x):
    """The mask in the dtype of `x` [b, h, w, c], ones where it is None; no gradient flows to it.

    Raises:
        ValueError: the mask is not [b, h, w, 1] on the grid of `x`.
    """
    if mask is None:
        return ops.ones_like(x[..., :1])
    mask = ops.convert_to_tensor(mask)
    if len(mask.shape) != 4 or mask.shape[-1] != 1:
        raise ValueError(f"mask must be [b, h, w, 1], got shape {tuple(mask.shape)}")
    _same_grid(("mask", mask), ("the masked tensor", x))
    # A loss that could lower itself by moving its own mask would learn to hide its errors.
    return ops.stop_gradient(ops.cast(mask, x.dtype))


def where_counted(x, mask):
    """`x` with 0 where the mask is 0.

    Before a non-linearity, not after it: 0 times the gradient of a NaN is NaN.
    """
    return ops.where(mask > 0, x, ops.zeros_like(x))


def sum_pixels(x):
    """[b, h, w, c] -> [b], the sum of each example."""
    return ops.sum(x, axis=(1, 2, 3))


def _same_grid(first, second):
    (first_name, first), (second_name, second) = first, second
    pairs = zip(first.shape[:3], second.shape[:3], strict=True)
    if any(None not in (a, b) and a != b for a, b in pairs):
        raise ValueError(
            f"{first_name} and {second_name} must share batch, height and width, got shapes "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
