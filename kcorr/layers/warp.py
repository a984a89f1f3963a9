"""Warping as layers: by a dense flow, and by a few point correspondences."""

import keras
from keras import ops

from kcorr.layers._base import GeometryLayer
from kcorr.ops.sample import BORDERS, backward_warp
from kcorr.ops.tps import tps_warp


def _checked_border(border):
    if border not in BORDERS:
        raise ValueError(f"border must be one of {', '.join(BORDERS)}, got {border!r}")
    return border


@keras.saving.register_keras_serializable(package="kcorr")
class Warp(GeometryLayer):
    """Pulls frame 2 back onto frame 1: `kcorr.ops.backward_warp` with its border mode.

    Args:
        border: "zero", "edge" or "authors".

    Call arguments:
        image: [b, h2, w2, c]. Frame 2, or features of it.
        flow: [b, h, w, 2] pixels, (x, y), frame 1 to frame 2. Positions are computed in float32
            under every dtype policy.

    Output:
        warped [b, h, w, c] and inside [b, h, w, 1], both in the compute dtype.

    Raises:
        ValueError: unknown `border`.
    """

    def __init__(self, border="zero", **kwargs):
        super().__init__(**kwargs)
        self.border = _checked_border(border)

    def call(self, image, flow):
        """Samples `image` [b, h2, w2, c] at p + `flow`(p)."""
        warped, inside = backward_warp(image, flow, self.border)
        return ops.cast(warped, self.compute_dtype), ops.cast(inside, self.compute_dtype)

    def compute_output_shape(self, image_shape, flow_shape):
        """[b, h, w, c] and [b, h, w, 1]."""
        return (*flow_shape[:3], image_shape[3]), (*flow_shape[:3], 1)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "border": self.border}


@keras.saving.register_keras_serializable(package="kcorr")
class TPSWarp(GeometryLayer):
    """Warps an image so that given points move to given places: `kcorr.ops.tps_warp`.

    Args:
        order: of the polyharmonic spline; 2 is the thin plate.
        regularisation: above 0 the points are met approximately, by a smoother warp.
        boundary_points: 0, or points held still along each edge, see `kcorr.ops.tps_warp`.
        border: "edge", "zero" or "authors".

    Call arguments:
        image: [b, h, w, c].
        source: [b, n, 2] pixels, (x, y), in the image.
        destination: [b, n, 2] pixels, (x, y), where they shall be.

    Output:
        [b, h, w, c] in the compute dtype.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(self, order=2, regularisation=0.0, boundary_points=0, border="edge", **kwargs):
        super().__init__(**kwargs)
        if order < 1 or regularisation < 0 or boundary_points < 0:
            raise ValueError(
                "need order >= 1, regularisation >= 0 and boundary_points >= 0, got "
                f"{order}, {regularisation} and {boundary_points}"
            )
        self.order = order
        self.regularisation = regularisation
        self.boundary_points = boundary_points
        self.border = _checked_border(border)

    def call(self, image, source, destination):
        """Moves the points `source` [b, n, 2] of `image` to `destination` [b, n, 2]."""
        warped, _ = tps_warp(
            image,
            source,
            destination,
            self.order,
            self.regularisation,
            self.boundary_points,
            self.border,
        )
        return ops.cast(warped, self.compute_dtype)

    def compute_output_shape(self, image_shape, source_shape, destination_shape):
        """[b, h, w, c]."""
        return tuple(image_shape)

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "order": self.order,
            "regularisation": self.regularisation,
            "boundary_points": self.boundary_points,
            "border": self.border,
        }
