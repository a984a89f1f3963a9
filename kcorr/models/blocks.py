"""Parts that the networks share: feature pyramid, flow estimator, context network, upsampling."""

import keras
from keras import ops

SLOPE = 0.2  # LeakyReLU of DDFlow's authors; the Keras layer's default differs


def convolution(
    channels, name, stride=1, dilation=1, dtype=None, kernel=3, initializer="glorot_uniform"
):
    """A convolution with "same" padding; on an even size 3x3 with stride 2 pads 0 before, 1 after.

    Padding is TensorFlow's: a stride on an odd size pads differently than on an even one.
    """
    return keras.layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        dilation_rate=dilation,
        padding="same",
        kernel_initializer=initializer,
        name=name,
        dtype=dtype,
    )


def upsampling(channels, name, dtype=None, initializer="glorot_uniform"):
    """A learned enlargement, 4x4 transposed convolution: [b, h, w, c] -> [b, 2h, 2w, channels]."""
    return keras.layers.Conv2DTranspose(
        channels,
        4,
        strides=2,
        padding="same",
        kernel_initializer=initializer,
        name=name,
        dtype=dtype,
    )


def leaky_relu(x, slope=SLOPE):
    """LeakyReLU, by default with the slope of DDFlow's authors."""
    return ops.leaky_relu(x, slope)


def joined(tensors, dtype):
    """Tensors [b, h, w, .] side by side over channels, in `dtype`."""
    return ops.concatenate([ops.cast(tensor, dtype) for tensor in tensors], axis=-1)


def build_chain(layers, channels):
    """Builds convolutions one after the other on [.., channels]; returns the last channel count."""
    for layer in layers:
        layer.build((None, None, None, channels))
        channels = layer.filters
    return channels


class FeaturePyramid(keras.layers.Layer):
    """Convolutions of which each level's first has stride 2: levels 1, 2, ... of ceil(h / 2^l).

    Args:
        widths: channels of each level.
        kernels: side of each level's kernels; default all 3.
        convolutions: how many a level.
        slope: of the LeakyReLU after each.
        initializer: of the kernels.

    Call: images [b, h, w, c] -> list of features, level 1 first.

    Source: spec of DDFlow / SelFlow (Liu et al., AAAI and CVPR 2019), released code (the defaults).
    """

    def __init__(
        self,
        widths,
        kernels=None,
        convolutions=2,
        slope=SLOPE,
        initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.kernels = tuple(kernels or (3,) * len(self.widths))
        self.convolutions, self.slope, self.initializer = convolutions, slope, initializer
        self.levels = [
            [
                convolution(
                    width,
                    f"conv{level}_{number}",
                    stride=2 if number == 1 else 1,
                    kernel=kernel,
                    initializer=initializer,
                    dtype=self.dtype_policy,
                )
                for number in range(1, convolutions + 1)
            ]
            for level, (width, kernel) in enumerate(
                zip(self.widths, self.kernels, strict=True), start=1
            )
        ]

    def build(self, input_shape):
        channels = input_shape[-1]
        for level in self.levels:
            channels = build_chain(level, channels)
        self.built = True

    def call(self, images):
        features, pyramid = images, []
        for level in self.levels:
            for layer in level:
                features = leaky_relu(layer(features), self.slope)
            pyramid.append(features)
        return pyramid

    def get_config(self):
        return {
            **super().get_config(),
            "widths": self.widths,
            "kernels": self.kernels,
            "convolutions": self.convolutions,
            "slope": self.slope,
            "initializer": self.initializer,
        }


class FlowEstimator(keras.layers.Layer):
    """Convolutions that end in a linear two-channel flow (always float32).

    Args:
        widths: channels of the hidden convolutions.
        dilations: their dilations, and the head's at the end; default all 1.
        prefix: layers are called `<prefix>1`, `<prefix>2`, ...
        kernel: side of all kernels.
        slope: of the LeakyReLU after each hidden convolution; 0 is a ReLU.
        dense: every convolution, the head included, sees the input and all that was computed so
            far, the newest first.

    Call: [b, h, w, c] -> (features [b, h, w, f], flow [b, h, w, 2]), f = widths[-1], or
        c + sum(widths) if dense.
    """

    def __init__(
        self,
        widths,
        dilations=None,
        prefix="conv",
        kernel=3,
        slope=SLOPE,
        dense=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.dilations = tuple(dilations or (1,) * (len(self.widths) + 1))
        self.prefix = prefix
        self.kernel, self.slope, self.dense = kernel, slope, dense
        self.hidden = [
            convolution(
                width, f"{prefix}{i}", dilation=dilation, kernel=kernel, dtype=self.dtype_policy
            )
            for i, (width, dilation) in enumerate(
                zip(self.widths, self.dilations, strict=False), start=1
            )
        ]
        self.head = convolution(
            2,
            f"{prefix}{len(self.widths) + 1}",
            dilation=self.dilations[-1],
            kernel=kernel,
            dtype="float32",
        )

    def build(self, input_shape):
        channels = input_shape[-1]
        for layer in [*self.hidden, self.head]:
            layer.build((None, None, None, channels))
            channels = channels + layer.filters if self.dense else layer.filters
        self.built = True

    def call(self, features):
        for layer in self.hidden:
            found = leaky_relu(layer(features), self.slope)
            features = ops.concatenate([found, features], axis=-1) if self.dense else found
        return features, self.head(features)

    def get_config(self):
        return {
            **super().get_config(),
            "widths": self.widths,
            "dilations": self.dilations,
            "prefix": self.prefix,
            "kernel": self.kernel,
            "slope": self.slope,
            "dense": self.dense,
        }
