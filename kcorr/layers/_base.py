"""What all layers of kcorr share."""

import keras


class GeometryLayer(keras.layers.Layer):
    """A layer whose inputs are never cast to the compute dtype.

    Under mixed precision Keras casts what a layer receives to half precision, in which coordinates
    above 256 (bfloat16) or 2048 (float16) are not exact. The ops below compute in float32 whatever
    they are given; images and features leave in the compute dtype, coordinates in float32.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    @property
    def coordinate_dtype(self):
        """Dtype of coordinates, flows and probabilities that the layer returns."""
        return "float64" if self.compute_dtype == "float64" else "float32"


class CoordinateLayer(GeometryLayer):
    """A geometry layer with one input, whose output stays float32 under mixed precision."""

    def compute_output_spec(self, inputs):
        """The symbolic output: Keras would assume the compute dtype."""
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.coordinate_dtype)
