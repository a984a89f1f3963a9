"""The stacked-hourglass network that makes dense labels of a larger neighbourhood."""

import keras
from keras import ops

from kcorr.models.blocks import convolution
from kcorr.models.trunk import batch_normalisation, check_images, check_picture_size, standardised

NORMALISATIONS = ("batch", "group")

# A sixtieth of the weights, for CPUs; the sizes are kcorr's own.
SMALL = {"width": 32, "blocks": 1, "depth": 3}
VARIANTS = {"hourglass": {}, "hourglass_small": SMALL}


def _normalisation(kind, name, dtype):
    if kind == "group":
        return keras.layers.GroupNormalization(groups=16, epsilon=1e-5, name=name, dtype=dtype)
    return batch_normalisation(name, dtype)


def _normalised(layer, features, training):
    """ReLU of the normalised features; group normalisation has no training mode."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return ops.relu(layer(features, training=training))
    return ops.relu(layer(features))


@keras.saving.register_keras_serializable(package="kcorr")
class Bottleneck(keras.layers.Layer):
    """Pre-activation residual block: 1x1, 3x3 and 1x1 convolutions, each after norm and ReLU.

    Args:
        width: channels in the middle; twice as many come out. The skip is a 1x1 convolution where
            other ones come in.
        normalisation: "batch" or "group" (of 16).

    Call: [b, h, w, c] -> [b, h, w, 2 width].
    """

    def __init__(self, width, normalisation="batch", **kwargs):
        super().__init__(**kwargs)
        self.width, self.normalisation = width, normalisation
        policy = self.dtype_policy
        self.norms = [_normalisation(normalisation, f"norm{i}", policy) for i in (1, 2, 3)]
        self.convolutions = [
            convolution(channels, f"conv{i}", kernel=kernel, dtype=policy)
            for i, (channels, kernel) in enumerate(
                ((width, 1), (width, 3), (2 * width, 1)), start=1
            )
        ]
        self.projection = None

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels != 2 * self.width:
            self.projection = convolution(
                2 * self.width, "projection", kernel=1, dtype=self.dtype_policy
            )
            self.projection.build((None, None, None, channels))
        for norm, layer in zip(self.norms, self.convolutions, strict=True):
            norm.build((None, None, None, channels))
            layer.build((None, None, None, channels))
            channels = layer.filters
        self.built = True

    def call(self, features, training=False):
        skip = features if self.projection is None else self.projection(features)
        for norm, layer in zip(self.norms, self.convolutions, strict=True):
            features = layer(_normalised(norm, features, training))
        return skip + features

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "normalisation": self.normalisation,
        }


@keras.saving.register_keras_serializable(package="kcorr")
class Hourglass(keras.layers.Layer):
    """Down to 1 / 2^depth of the size and up again, a skip on every level.

    Other than Newell et al.'s, the skip's blocks come first and what they make is pooled. Sides
    that 2 does not divide are pooled with a last half cell and cut back on the way up.

    Args:
        width: of the bottlenecks, which have `2 width` channels.
        depth: levels.
        blocks: bottlenecks at each place: the skip, the way down, the way up, and the bottom.
        normalisation: of the bottlenecks.

    Call: [b, h, w, 2 width] -> the same shape.
    """

    def __init__(self, width, depth=4, blocks=4, normalisation="batch", **kwargs):
        super().__init__(**kwargs)
        self.config = {
            "width": width,
            "depth": depth,
            "blocks": blocks,
            "normalisation": normalisation,
        }
        policy = self.dtype_policy

        def chain(place):
            return [
                Bottleneck(width, normalisation, name=f"{place}_{i}", dtype=policy)
                for i in range(1, blocks + 1)
            ]

        levels = range(1, depth + 1)
        self.skips = [chain(f"skip{level}") for level in levels]
        self.downs = [chain(f"down{level}") for level in levels]
        self.ups = [chain(f"up{level}") for level in levels]
        self.bottom = chain("bottom")

    def build(self, input_shape):
        chains = [*self.skips, *self.downs, *self.ups, self.bottom]
        for block in (block for chain in chains for block in chain):
            block.build((None, None, None, input_shape[-1]))
        self.built = True

    def call(self, features, training=False):
        kept = []
        for skip, down in zip(self.skips, self.downs, strict=True):
            features = _through(skip, features, training)
            kept.append(features)
            features = ops.max_pool(features, 2, 2, padding="same")
            features = _through(down, features, training)
        features = _through(self.bottom, features, training)
        for skip, up in zip(kept[::-1], self.ups[::-1], strict=True):
            features = _through(up, features, training)
            features = ops.repeat(ops.repeat(features, 2, axis=1), 2, axis=2)
            height, width = ops.shape(skip)[1:3]
            features = skip + features[:, :height, :width]
        return features

    def get_config(self):
        return {**super().get_config(), **self.config}


def _through(chain, features, training):
    for block in chain:
        features = block(features, training=training)
    return features


@keras.saving.register_keras_serializable(package="kcorr")
class HourglassNet(keras.Model):
    """A label vector for every second pixel, from an hourglass that sees the whole object.

    12,597,136 weights that learn for 16 dimensions, 12,609,472 for 64. "hourglass_small" is kcorr's
    own, for CPUs.

    Args:
        dimensions: length of a label.
        width: of the hourglass' bottlenecks; they have twice as many channels.
        depth: levels of the hourglass.
        blocks: bottlenecks at each place of it, and after it.
        stacks: hourglasses one after the other; the labels are of the last one.
        normalisation: "batch" or "group" (of 16 channels).
        picture_size: shorter side in pixels of the pictures that it learned from; not used by the
            call; `kcorr.models.predict_labels` and the like scale pictures to it.

    Call: as `kcorr.models.ObjectFrameNet`. The first convolution stands on the even pixels, half a
        pixel beside the centre of its cell, which the labels' grid does not know: that is the
        network's to learn.

    Raises:
        ValueError: unknown `normalisation`, `dimensions` below 2, or no such images.

    Source: Thewlis et al., ICCV 2019 (DVE, released code); Newell et al., ECCV 2016. How several
    stacks follow each other was not run by the authors. Initial weights are Keras'.
    """

    stride = 2
    gives = "labels"

    def __init__(
        self,
        dimensions=64,
        width=128,
        depth=4,
        blocks=4,
        stacks=1,
        normalisation="batch",
        picture_size=None,
        name="hourglass",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if normalisation not in NORMALISATIONS:
            raise ValueError(
                f"normalisation must be one of {', '.join(NORMALISATIONS)}, got {normalisation!r}"
            )
        if dimensions < 2:
            raise ValueError(f"labels have at least 2 dimensions, got {dimensions}")
        check_picture_size(picture_size)
        # === Config ===
        self.dimensions, self.width = dimensions, width
        self.picture_size = picture_size
        self.config = {
            "dimensions": dimensions,
            "width": width,
            "depth": depth,
            "blocks": blocks,
            "stacks": stacks,
            "normalisation": normalisation,
            "picture_size": picture_size,
        }
        # === Layers ===
        policy = self.dtype_policy
        self.stem = keras.layers.Conv2D(width // 2, 7, strides=2, name="stem", dtype=policy)
        self.stem_norm = _normalisation(normalisation, "stem_norm", policy)
        self.entry = [
            Bottleneck(channels, normalisation, name=f"entry{i}", dtype=policy)
            for i, channels in enumerate((width // 2, width, width), start=1)
        ]
        self.hourglasses = [
            Hourglass(width, depth, blocks, normalisation, name=f"hourglass{i}", dtype=policy)
            for i in range(1, stacks + 1)
        ]
        self.exit = [
            Bottleneck(width, normalisation, name=f"exit{i}", dtype=policy)
            for i in range(1, blocks + 1)
        ]
        self.mix = convolution(2 * width, "mix", kernel=1, dtype=policy)
        self.mix_norm = _normalisation(normalisation, "mix_norm", policy)
        self.head = convolution(dimensions, "head", kernel=1, dtype="float32")

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        self.stem.build((None, None, None, 3))
        channels = self.stem.filters
        self.stem_norm.build((None, None, None, channels))
        for block in self.entry:
            block.build((None, None, None, channels))
            channels = 2 * block.width
        for layer in [*self.hourglasses, *self.exit, self.mix, self.mix_norm, self.head]:
            layer.build((None, None, None, channels))
        self.built = True

    def call(self, inputs, training=False):
        images = ops.convert_to_tensor(inputs["image"])
        check_images(images)
        # The last row or column of an odd side has no cell, as with the other networks' pooling.
        height, width = ops.shape(images)[1:3]
        images = images[:, : height // 2 * 2, : width // 2 * 2]
        images = standardised(images, self.compute_dtype)
        features = self.stem(ops.pad(images, [[0, 0], [3, 3], [3, 3], [0, 0]]))
        features = _normalised(self.stem_norm, features, training)
        features = _through(self.entry, features, training)
        for hourglass in self.hourglasses:
            features = hourglass(features, training=training)
        features = _through(self.exit, features, training)
        features = _normalised(self.mix_norm, self.mix(features), training)
        return {"labels": self.head(features)}

    def get_config(self):
        return {**super().get_config(), **self.config}
