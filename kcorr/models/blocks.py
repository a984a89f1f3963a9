"""Parts that the pyramid networks share: feature pyramid, flow estimator, context network."""

import keras
from keras import ops

SLOPE = 0.2  # the authors' LeakyReLU slope; the Keras layer's default differs


def convolution(channels, name, stride=1, dilation=1, dtype=None):
    """A 3x3 convolution with "same" padding; on an even size stride 2 pads 0 before, 1 after."""
    return keras.layers.Conv2D(
        channels, 3, strides=stride, dilation_rate=dilation, padding="same", name=name, dtype=dtype
    )


def leaky_relu(x):
    """LeakyReLU with the authors' slope."""
    return ops.leaky_relu(x, SLOPE)


def build_chain(layers, channels):
    """Builds convolutions one after the other on [.., channels]; returns the last channel count."""
    for layer in layers:
        layer.build((None, None, None, channels))
        channels = layer.filters
    return channels


class FeaturePyramid(keras.layers.Layer):
    """Two convolutions a level, the first with stride 2: levels 1, 2, ... of sizes ceil(h / 2^l).

    Args:
        widths: channels of each level.

    Call: images [b, h, w, c] -> list of features, level 1 first.

    Source: spec of DDFlow / SelFlow (Liu et al., AAAI and CVPR 2019), released code.
    """

    def __init__(self, widths, **kwargs):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.levels = [
            [
                convolution(width, f"conv{level}_1", stride=2, dtype=self.dtype_policy),
                convolution(width, f"conv{level}_2", dtype=self.dtype_policy),
            ]
            for level, width in enumerate(self.widths, start=1)
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
                features = leaky_relu(layer(features))
            pyramid.append(features)
        return pyramid

    def get_config(self):
        return {**super().get_config(), "widths": self.widths}


class FlowEstimator(keras.layers.Layer):
    """Convolutions that end in a linear two-channel flow (always float32).

    Args:
        widths: channels of the hidden convolutions.
        dilations: their dilations, and the head's at the end; default all 1.
        prefix: layers are called `<prefix>1`, `<prefix>2`, ...

    Call: [b, h, w, c] -> (features [b, h, w, widths[-1]], flow [b, h, w, 2]).
    """

    def __init__(self, widths, dilations=None, prefix="conv", **kwargs):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.dilations = tuple(dilations or (1,) * (len(self.widths) + 1))
        self.prefix = prefix
        self.hidden = [
            convolution(width, f"{prefix}{i}", dilation=dilation, dtype=self.dtype_policy)
            for i, (width, dilation) in enumerate(
                zip(self.widths, self.dilations, strict=False), start=1
            )
        ]
        self.head = convolution(
            2, f"{prefix}{len(self.widths) + 1}", dilation=self.dilations[-1], dtype="float32"
        )

    def build(self, input_shape):
        build_chain([*self.hidden, self.head], input_shape[-1])
        self.built = True

    def call(self, features):
        for layer in self.hidden:
            features = leaky_relu(layer(features))
        return features, self.head(features)

    def get_config(self):
        return {
            **super().get_config(),
            "widths": self.widths,
            "dilations": self.dilations,
            "prefix": self.prefix,
        }
