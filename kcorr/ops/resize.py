"""Resizing of images, masks and flows on dynamic sizes."""

from keras import ops

from kcorr.ops._arguments import check_shapes
from kcorr.ops._backend import resize_bilinear, source_positions
from kcorr.ops.grid import geometry_dtype

METHODS = ("bilinear", "nearest")


def resize(image, size, method="bilinear", align_corners=False):
    """Resizes `image`, without anti-aliasing.

    `align_corners=False` takes pixels as squares (half-pixel centres, the convention of pillow,
    OpenCV and TensorFlow 2); `align_corners=True` puts the corner pixels' centres on one another
    (the convention of the TensorFlow 1 code of DDFlow and SelFlow).

    Args:
        image: [b, h, w, c]; float16 and bfloat16 are interpolated in float32.
        size: (height, width), integers or scalar tensors.
        method: "bilinear" or "nearest".
        align_corners: see above.

    Returns:
        [b, height, width, c], dtype of the image.

    Raises:
        ValueError: `method` is unknown or the image has not four axes.
    """
    image = ops.convert_to_tensor(image)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if len(image.shape) != 4:
        raise ValueError(f"resize expects [b, h, w, c], got {tuple(image.shape)}")
    if method == "nearest":
        for axis in (1, 2):
            image = ops.take(image, _nearest(image, axis, size[axis - 1], align_corners), axis=axis)
        return image
    dtype = geometry_dtype(image)
    return ops.cast(resize_bilinear(ops.cast(image, dtype), size, align_corners), image.dtype)


def _nearest(image, axis, new, align_corners):
    old = ops.shape(image)[axis]
    index = ops.floor(source_positions(old, new, align_corners) + 0.5)
    return ops.clip(ops.cast(index, "int32"), 0, old - 1)


def resize_flow(flow, size, method="bilinear", align_corners=False):
    """Resizes a flow and rescales its vectors from the old grid to the new one.

    Vectors are multiplied by new / old sizes on both conventions, as the authors do (with
    `align_corners=True` the grids' ratio is (new - 1) / (old - 1); the released weights expect the
    former).

    Args:
        flow: [b, h, w, 2] pixels of its own grid. (A disparity is no flow: only its x scales.)
        size: (height, width) of the new grid.
        method: "bilinear" or "nearest".
        align_corners: as in `resize`.

    Returns:
        [b, height, width, 2] pixels of the new grid, float32 (float64 for a float64 flow).

    Raises:
        ValueError: `method` is unknown or the flow is not [b, h, w, 2].
    """
    flow = ops.convert_to_tensor(flow)
    check_shapes("resize_flow", flow=(flow, "b h w 2"))
    # In bfloat16 the ratio of 384 to 375 rows would be off by half a pixel in a thousand.
    flow = ops.cast(flow, geometry_dtype(flow))
    old_height, old_width = ops.shape(flow)[1:3]
    ratio = [
        ops.cast(size[1], flow.dtype) / ops.cast(old_width, flow.dtype),
        ops.cast(size[0], flow.dtype) / ops.cast(old_height, flow.dtype),
    ]
    return resize(flow, size, method, align_corners) * ops.stack(ratio)
