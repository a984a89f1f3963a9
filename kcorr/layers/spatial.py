"""Heat maps and the points they stand for, as layers."""

import keras
from keras import ops

from kcorr.layers._base import CoordinateLayer
from kcorr.ops.spatial import soft_argmax, spatial_softmax


def _checked_temperature(temperature):
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    return temperature


@keras.saving.register_keras_serializable(package="kcorr")
class SpatialSoftmax(CoordinateLayer):
    """Softmax over all pixels of each channel.

    Args:
        temperature: the logits are divided by it.

    Call arguments:
        logits: [b, h, w, k].

    Output:
        [b, h, w, k], float32 under mixed precision, too: each channel sums to 1.

    Raises:
        ValueError: `temperature` is not above 0.
    """

    def __init__(self, temperature=1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = _checked_temperature(temperature)

    def call(self, inputs):
        """Softmax of logits [b, h, w, k] over h and w."""
        return ops.cast(spatial_softmax(inputs, self.temperature), self.coordinate_dtype)

    def compute_output_shape(self, input_shape):
        """[b, h, w, k]."""
        return tuple(input_shape)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="kcorr")
class SoftArgmax(CoordinateLayer):
    """Mean position of each channel's distribution over the pixels.

    Args:
        temperature: of the softmax.
        normalised: whether the input is a distribution already (from `SpatialSoftmax`).

    Call arguments:
        heatmap: [b, h, w, k], logits, or probabilities if `normalised`.

    Output:
        [b, k, 2] pixels of the heat map, (x, y), float32 under mixed precision, too.

    Raises:
        ValueError: `temperature` is not above 0.
    """

    def __init__(self, temperature=1.0, normalised=False, **kwargs):
        super().__init__(**kwargs)
        self.temperature = _checked_temperature(temperature)
        self.normalised = normalised

    def call(self, inputs):
        """Mean positions [b, k, 2] of heat maps [b, h, w, k]."""
        points = soft_argmax(inputs, self.temperature, self.normalised)
        return ops.cast(points, self.coordinate_dtype)

    def compute_output_shape(self, input_shape):
        """[b, k, 2]."""
        return (input_shape[0], input_shape[3], 2)

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "normalised": self.normalised,
        }
