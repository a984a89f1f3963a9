"""Resizing by a factor or to a size, as layers."""

import keras
from keras import ops

from kcorr.layers._base import CoordinateLayer, GeometryLayer
from kcorr.ops.resize import METHODS, resize, resize_flow


class _Target:
    """The size that `size` or `scale` asks for; exactly one of them is given."""

    def __init__(self, size, scale, method):
        if (size is None) == (scale is None):
            raise ValueError(f"give either size or scale, got size={size} and scale={scale}")
        if scale is not None and not scale > 0:
            raise ValueError(f"scale must be above 0, got {scale}")
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.scale = scale

    def of(self, shape):
        """(height, width) for an input of `shape`, whose entries may be tensors or None."""
        return self.size or tuple(self._scaled(n) for n in shape[1:3])

    def _scaled(self, length):
        if length is None:
            return None
        if isinstance(length, int):
            return max(1, round(length * self.scale))
        # In Python's precision, so that 375 * 0.3 is rounded the same way whether known or not.
        scaled = ops.cast(length, "float64") * self.scale
        return ops.maximum(ops.cast(ops.round(scaled), "int32"), 1)


class _Resizing(GeometryLayer):
    """The configuration of both layers."""

    def __init__(self, size=None, scale=None, method="bilinear", align_corners=False, **kwargs):
        super().__init__(**kwargs)
        self._target = _Target(size, scale, method)
        self.method = method
        self.align_corners = align_corners

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "size": self._target.size,
            "scale": self._target.scale,
            "method": self.method,
            "align_corners": self.align_corners,
        }


@keras.saving.register_keras_serializable(package="kcorr")
class Resize(_Resizing):
    """Resizes images or features, on any input size: `kcorr.ops.resize` with its configuration.

    Args:
        size: (height, width) of the result. Give this or `scale`.
        scale: factor of both sides; the result is rounded to whole pixels, at least 1.
        method: "bilinear" or "nearest".
        align_corners: whether the corner pixels' centres are put on one another.

    Call arguments:
        image: [b, h, w, c].

    Output:
        [b, height, width, c] in the compute dtype.

    Raises:
        ValueError: both or none of `size` and `scale`, or an unknown `method`.
    """

    def call(self, inputs):
        """Resizes an image [b, h, w, c]."""
        size = self._target.of(ops.shape(inputs))
        resized = resize(inputs, size, self.method, self.align_corners)
        return ops.cast(resized, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """[b, height, width, c]."""
        return (input_shape[0], *self._target.of(input_shape), input_shape[3])


@keras.saving.register_keras_serializable(package="kcorr")
class ResizeFlow(_Resizing, CoordinateLayer):
    """Resizes a flow and rescales its vectors: `kcorr.ops.resize_flow` with its configuration.

    Args:
        size: as in `Resize`.
        scale: as in `Resize`.
        method: as in `Resize`.
        align_corners: as in `Resize`.

    Call arguments:
        flow: [b, h, w, 2] pixels of its own grid.

    Output:
        [b, height, width, 2] pixels of the new grid, float32 under mixed precision, too.

    Raises:
        ValueError: as `Resize`.
    """

    def call(self, inputs):
        """Resizes a flow [b, h, w, 2]."""
        flow = ops.cast(inputs, self.coordinate_dtype)
        size = self._target.of(ops.shape(flow))
        return resize_flow(flow, size, self.method, self.align_corners)

    def compute_output_shape(self, input_shape):
        """[b, height, width, 2]."""
        return (input_shape[0], *self._target.of(input_shape), 2)
