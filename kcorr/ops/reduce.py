"""Reductions to one number per example."""

from keras import ops

from kcorr.ops.grid import geometry_dtype


def masked_mean(x, mask):
    """Per-example mean of `x` where the mask counts.

    Values under a zero mask are replaced, not multiplied, so a NaN there reaches neither the mean
    nor the gradient. (Replace it before a non-linearity as well: a gradient of NaN times 0 is NaN.)

    Args:
        x: [b, ..., c]; float16 and bfloat16 are summed in float32.
        mask: [b, ..., 1] or [b, ..., c], weights of at least 0, 1 = counts.

    Returns:
        [b], float32 (float64 for float64 values): sum(x mask) / sum(mask), the mask counted for
        every channel; 0 where nothing counts.

    Raises:
        ValueError: `x` and `mask` differ in their number of axes.
    """
    x, mask = ops.convert_to_tensor(x), ops.convert_to_tensor(mask)
    if len(x.shape) != len(mask.shape) or len(x.shape) < 2:
        raise ValueError(
            f"masked_mean expects [b, ..., c] and [b, ..., 1], got {tuple(x.shape)} and "
            f"{tuple(mask.shape)}"
        )
    dtype = geometry_dtype(x)
    x, mask = ops.cast(x, dtype), ops.cast(mask, dtype)
    axes = list(range(1, len(x.shape)))
    silent = ops.where(mask > 0, x, 0.0)
    weight = ops.sum(ops.broadcast_to(mask, ops.shape(silent)), axis=axes)
    counts = weight > 0
    return ops.sum(silent * mask, axis=axes) / ops.where(counts, weight, 1.0)
