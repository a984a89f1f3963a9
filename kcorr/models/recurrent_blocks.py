"""Parts of the recurrent network: residual encoder, motion encoder, recurrent unit, upsampling."""

import keras
from keras import ops

from kcorr.models.blocks import build_chain, convolution

NORMALISATIONS = ("none", "instance", "group")
GROUPS = 8


def normalisation(kind, name, dtype):
    """A layer of one of `NORMALISATIONS`, None for "none". None of them looks at the batch.

    Raises:
        ValueError: `kind` is unknown.
    """
    if kind not in NORMALISATIONS:
        raise ValueError(f"norm must be one of {', '.join(NORMALISATIONS)}, got {kind!r}")
    if kind == "none":
        return None
    groups = -1 if kind == "instance" else GROUPS  # -1 is one group for each channel
    return keras.layers.GroupNormalization(groups, epsilon=1e-5, name=name, dtype=dtype)


@keras.saving.register_keras_serializable(package="kcorr")
class NormalisedConvolution(keras.layers.Layer):
    """A convolution, a normalisation or none, and a ReLU or none.

    Args:
        channels: of the result.
        kernel: side of the kernel.
        stride: of the convolution.
        norm: "none", "instance" or "group" (8 channel groups).
        relu: whether a ReLU follows.
    """

    def __init__(self, channels, kernel=3, stride=1, norm="none", relu=True, **kwargs):
        super().__init__(**kwargs)
        self.config = {
            "channels": channels,
            "kernel": kernel,
            "stride": stride,
            "norm": norm,
            "relu": relu,
        }
        self.filters, self.relu = channels, relu
        self.convolution = convolution(
            channels, "convolution", stride=stride, kernel=kernel, dtype=self.dtype_policy
        )
        self.normalisation = normalisation(norm, "normalisation", self.dtype_policy)

    def build(self, input_shape):
        channels = build_chain([self.convolution], input_shape[-1])
        if self.normalisation is not None:
            self.normalisation.build((None, None, None, channels))
        self.built = True

    def call(self, features):
        features = self.convolution(features)
        if self.normalisation is not None:
            features = self.normalisation(features)
        return ops.relu(features) if self.relu else features

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="kcorr")
class ResidualBlock(keras.layers.Layer):
    """Two 3x3 convolutions beside a shortcut, relu(x + f(x)), both branches ending alike.

    Args:
        channels: of the result.
        stride: of the first convolution; the shortcut is a 1x1 convolution of every stride-th pixel
            where it is not 1 or where the channels change.
        norm: of `NormalisedConvolution`.
    """

    def __init__(self, channels, stride=1, norm="none", **kwargs):
        super().__init__(**kwargs)
        self.filters, self.stride, self.norm = channels, stride, norm
        options = {"norm": norm, "dtype": self.dtype_policy}
        self.first = NormalisedConvolution(channels, stride=stride, name="first", **options)
        self.second = NormalisedConvolution(channels, name="second", **options)
        self.shortcut = NormalisedConvolution(
            channels, kernel=1, relu=False, name="shortcut", **options
        )
        self.changes = stride != 1

    def build(self, input_shape):
        self.changes = self.stride != 1 or input_shape[-1] != self.filters
        build_chain([self.first, self.second], input_shape[-1])
        if self.changes:
            self.shortcut.build(input_shape)
        self.built = True

    def call(self, features):
        shortcut = features
        if self.changes:
            # A 1x1 convolution with a stride of its own does the same, but TensorFlow 2.21's
            # gradient of its kernel writes past its memory on the CPU (oneDNN, 8 channels).
            shortcut = self.shortcut(features[:, :: self.stride, :: self.stride])
        return ops.relu(shortcut + self.second(self.first(features)))

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.filters,
            "stride": self.stride,
            "norm": self.norm,
        }


@keras.saving.register_keras_serializable(package="kcorr")
class ResidualEncoder(keras.layers.Layer):
    """Residual blocks down to 1/8 of the size: levels 1, 2, 3 of sizes ceil(h / 2^l).

    Args:
        widths: channels of the three levels.
        blocks: how many residual blocks each level has. The first of levels 2 and 3 has stride 2.
        stem: side of the first convolution's kernel, which has stride 2.
        norm: "none", "instance" or "group", after every convolution.

    Call: images [b, h, w, 3] -> list of features, level 1 first.

    Raises:
        ValueError: not three widths and three numbers of blocks, a level without its stride, or an
            unknown `norm`.

    Source: Teed and Deng, RAFT, ECCV 2020, figure 6.
    """

    def __init__(self, widths, blocks=(2, 2, 2), stem=7, norm="instance", **kwargs):
        super().__init__(**kwargs)
        if len(widths) != 3 or len(blocks) != 3 or min(blocks[1:]) < 1:
            raise ValueError(
                f"need three widths, and three numbers of blocks of which the last two are at "
                f"least 1, got {widths} and {blocks}"
            )
        self.widths, self.blocks = tuple(widths), tuple(blocks)
        self.stem, self.norm = stem, norm
        options = {"norm": norm, "dtype": self.dtype_policy}
        self.levels = [
            [
                ResidualBlock(
                    width,
                    stride=2 if level > 1 and number == 1 else 1,
                    name=f"block{level}_{number}",
                    **options,
                )
                for number in range(1, count + 1)
            ]
            for level, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1)
        ]
        first = NormalisedConvolution(widths[0], kernel=stem, stride=2, name="stem", **options)
        self.levels[0].insert(0, first)

    def build(self, input_shape):
        channels = input_shape[-1]
        for level in self.levels:
            channels = build_chain(level, channels)
        self.built = True

    def call(self, images):
        features, pyramid = images, []
        for level in self.levels:
            for layer in level:
                features = layer(features)
            pyramid.append(features)
        return pyramid

    def get_config(self):
        return {
            **super().get_config(),
            "widths": self.widths,
            "blocks": self.blocks,
            "stem": self.stem,
            "norm": self.norm,
        }


@keras.saving.register_keras_serializable(package="kcorr")
class MotionEncoder(keras.layers.Layer):
    """What the recurrent unit sees of the present flow and of the correlations it leads to.

    Args:
        correlation_widths: channels of the convolutions of the correlations, the first 1x1.
        flow_widths: of the convolutions of the flow, the first 7x7.
        channels: of the result; its last two are the flow itself.

    Call: correlations [b, h, w, .], flow [b, h, w, 2] -> [b, h, w, channels] in the compute dtype.
    """

    def __init__(self, correlation_widths, flow_widths, channels, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.config = {
            "correlation_widths": tuple(correlation_widths),
            "flow_widths": tuple(flow_widths),
            "channels": channels,
        }
        policy = self.dtype_policy
        self.of_correlations = [
            convolution(width, f"correlation{i}", kernel=1 if i == 1 else 3, dtype=policy)
            for i, width in enumerate(correlation_widths, start=1)
        ]
        self.of_flow = [
            convolution(width, f"flow{i}", kernel=7 if i == 1 else 3, dtype=policy)
            for i, width in enumerate(flow_widths, start=1)
        ]
        self.together = convolution(channels - 2, "together", dtype=policy)

    def build(self, correlations_shape, flow_shape):
        channels = build_chain(self.of_correlations, correlations_shape[-1])
        channels += build_chain(self.of_flow, flow_shape[-1])
        build_chain([self.together], channels)
        self.built = True

    def call(self, correlations, flow):
        correlations = ops.cast(correlations, self.compute_dtype)
        flow = moved = ops.cast(flow, self.compute_dtype)
        for layer in self.of_correlations:
            correlations = ops.relu(layer(correlations))
        for layer in self.of_flow:
            moved = ops.relu(layer(moved))
        together = self.together(ops.concatenate([correlations, moved], axis=-1))
        return ops.concatenate([ops.relu(together), flow], axis=-1)

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="kcorr")
class ConvolutionalGRU(keras.layers.Layer):
    """A gated recurrent unit whose products are convolutions, one after the other for each kernel.

        z, r = sigmoid(gates * [h, x] + c_zr)
        q = tanh(candidate * [r h, x] + c_q)
        h <- (1 - z) h + z q

    c is a convolution of the context, which is the same at every step: `prepare` computes it once.

    Args:
        channels: of the hidden state h.
        kernels: sizes (rows, columns); ((1, 5), (5, 1)) is RAFT's separable unit, ((3, 3),) the
            plain one.

    Call: h [b, h, w, channels], x [b, h, w, .], `prepare(context)` -> h.

    Source: Teed and Deng, RAFT, ECCV 2020, eq. 3-6.
    """

    def __init__(self, channels, kernels=((3, 3),), **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.kernels = tuple(tuple(kernel) for kernel in kernels)

        def each(width, name, bias=True):
            return [
                keras.layers.Conv2D(
                    width,
                    kernel,
                    padding="same",
                    use_bias=bias,
                    name=f"{name}{i}",
                    dtype=self.dtype_policy,
                )
                for i, kernel in enumerate(self.kernels, start=1)
            ]

        self.gates = each(2 * channels, "gates")
        self.candidates = each(channels, "candidate")
        self.contexts = each(3 * channels, "context", bias=False)

    def build(self, input_shape, context_shape):
        """Of what x and the context are."""
        for layer in [*self.gates, *self.candidates]:
            layer.build((None, None, None, self.channels + input_shape[-1]))
        for layer in self.contexts:
            layer.build(context_shape)
        self.built = True

    def prepare(self, context):
        """The context's share, a list with one [b, h, w, 3 channels] for each kernel."""
        return [layer(context) for layer in self.contexts]

    def call(self, hidden, inputs, prepared):
        for gates, candidate, context in zip(self.gates, self.candidates, prepared, strict=True):
            to_gates, to_candidate = ops.split(context, [2 * self.channels], axis=-1)
            opened = ops.sigmoid(gates(ops.concatenate([hidden, inputs], axis=-1)) + to_gates)
            update, reset = ops.split(opened, 2, axis=-1)
            new = candidate(ops.concatenate([reset * hidden, inputs], axis=-1)) + to_candidate
            hidden = hidden + update * (ops.tanh(new) - hidden)
        return hidden

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "kernels": self.kernels}


@keras.saving.register_keras_serializable(package="kcorr")
class ConvexUpsampling(keras.layers.Layer):
    """Enlarges a flow eight times: each fine pixel is a learned mean of the 3x3 coarse ones.

    The weights are a softmax, so a fine vector lies in the convex hull of nine coarse ones and an
    edge of the motion stays one. Coarse pixels beyond the border repeat it (RAFT: 0).

    Args:
        channels: of the 3x3 convolution between the hidden state and the weights.
        factor: how many times.

    Call: hidden [b, h, w, .], flow [b, h, w, 2] in pixels of its grid -> [b, 8h, 8w, 2], float32,
        in pixels of its own.

    Source: Teed and Deng, RAFT, ECCV 2020, section 3.3, and its released code (the factor 0.25).
    """

    def __init__(self, channels, factor=8, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.channels, self.factor = channels, factor
        self.hidden = convolution(channels, "hidden", dtype=self.dtype_policy)
        self.head = convolution(9 * factor**2, "weights", kernel=1, dtype=self.dtype_policy)

    def build(self, input_shape):
        build_chain([self.hidden, self.head], input_shape[-1])
        self.built = True

    def call(self, hidden, flow):
        batch, height, width, _ = ops.shape(flow)
        fine = self.factor
        # 0.25 balances the gradients of the two heads that share the hidden state.
        logits = 0.25 * ops.cast(self.head(ops.relu(self.hidden(hidden))), "float32")
        weights = ops.softmax(ops.reshape(logits, [batch, height, width, fine**2, 9]))
        padded = ops.pad(flow * fine, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="symmetric")
        around = ops.stack(
            [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=3
        )
        flow = ops.reshape(ops.matmul(weights, around), [batch, height, width, fine, fine, 2])
        flow = ops.transpose(flow, [0, 1, 3, 2, 4, 5])
        return ops.reshape(flow, [batch, height * fine, width * fine, 2])

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "factor": self.factor}
