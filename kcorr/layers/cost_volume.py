"""Local correlation of two feature maps as a layer."""

import keras
from keras import ops

from kcorr.layers._base import GeometryLayer
from kcorr.ops.correlation import NORMALISATIONS, check_reach, local_correlation


@keras.saving.register_keras_serializable(package="kcorr")
class CostVolume(GeometryLayer):
    """Correlates every pixel of one feature map with the neighbourhood of it in another.

    `kcorr.ops.local_correlation` with its configuration. The sums are float32, the result has the
    compute dtype.

    Args:
        radius: largest displacement, in steps.
        dilation: pixels a step.
        normalise: "none", "mean" (over channels) or "cosine".

    Call arguments:
        first: [b, h, w, c].
        second: [b, h, w, c].

    Output:
        [b, h, w, (2 radius + 1)^2], displacements row by row (dy outer).

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> CostVolume(radius=4)(features1, features2).shape
        (1, 48, 64, 81)
    """

    def __init__(self, radius=4, dilation=1, normalise="none", **kwargs):
        super().__init__(**kwargs)
        check_reach(radius, dilation)
        if normalise not in NORMALISATIONS:
            raise ValueError(
                f"normalise must be one of {', '.join(NORMALISATIONS)}, got {normalise!r}"
            )
        self.radius = radius
        self.dilation = dilation
        self.normalise = normalise

    def call(self, first, second):
        """Correlates `first` [b, h, w, c] with `second` [b, h, w, c]."""
        volume = local_correlation(first, second, self.radius, self.dilation, self.normalise)
        return ops.cast(volume, self.compute_dtype)

    def compute_output_shape(self, first_shape, second_shape):
        """[b, h, w, (2 radius + 1)^2]."""
        return (*first_shape[:3], (2 * self.radius + 1) ** 2)

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "radius": self.radius,
            "dilation": self.dilation,
            "normalise": self.normalise,
        }
