"""Distributions over an image: spatial softmax and the point it stands for."""

from keras import ops

from kcorr.ops.grid import geometry_dtype, pixel_grid


def spatial_softmax(logits, temperature=1.0):
    """Softmax over all pixels of each channel.

    Args:
        logits: [b, h, w, k]. -inf excludes a pixel.
        temperature: the logits are divided by it; small values sharpen.

    Returns:
        [b, h, w, k], float32 (float64 for float64 logits), each channel sums to 1.

    Raises:
        ValueError: the logits have not four axes, or `temperature` is not above 0.

    Source: Finn et al., Deep Spatial Autoencoders, ICRA 2016.
    """
    logits = ops.convert_to_tensor(logits)
    if len(logits.shape) != 4:
        raise ValueError(f"spatial_softmax expects [b, h, w, k], got {tuple(logits.shape)}")
    if isinstance(temperature, (int, float)) and not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    dtype = geometry_dtype(logits)
    if not isinstance(temperature, (int, float)):
        temperature = ops.cast(temperature, dtype)
    scaled = ops.cast(logits, dtype) / temperature
    peak = ops.stop_gradient(ops.max(scaled, axis=(1, 2), keepdims=True))
    mass = ops.exp(scaled - peak)
    return mass / ops.sum(mass, axis=(1, 2), keepdims=True)


def soft_argmax(heatmap, temperature=1.0, normalised=False):
    """Mean position of each channel, the differentiable stand-in of its arg-max.

    Args:
        heatmap: [b, h, w, k]. Logits, or probabilities if `normalised`.
        temperature: of `spatial_softmax`, unused if `normalised`.
        normalised: whether each channel sums to 1 already (the output of `spatial_softmax`).

    Returns:
        [b, k, 2] pixels, (x, y), float32 (float64 for a float64 heatmap).

    Raises:
        ValueError: as `spatial_softmax`.

    Source: Levine et al., JMLR 2016; landmarks: Thewlis et al., ICCV 2017.
    """
    heatmap = ops.convert_to_tensor(heatmap)
    if len(heatmap.shape) != 4:
        raise ValueError(f"soft_argmax expects [b, h, w, k], got {tuple(heatmap.shape)}")
    mass = heatmap if normalised else spatial_softmax(heatmap, temperature)
    mass = ops.cast(mass, geometry_dtype(mass))
    height, width = ops.shape(mass)[1:3]
    grid = pixel_grid(height, width, mass.dtype)
    x = ops.sum(mass * grid[..., 0:1], axis=(1, 2))
    y = ops.sum(mass * grid[..., 1:2], axis=(1, 2))
    return ops.stack([x, y], axis=-1)
