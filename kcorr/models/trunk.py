"""The plain convolutional trunk of landmarks and object frames, and what their networks share."""

import keras
from keras import ops

from kcorr.models.blocks import convolution

# Of RGB in [0, 1], as DVE's released code subtracts and divides (its CelebA crops).
MEAN, DEVIATION = (0.5084, 0.4224, 0.3769), (0.2599, 0.2371, 0.2323)

# (kernels, widths, dilations) of the convolutions before the last 1x1.
SIMPLE = ((5, 5, 3, 3, 3), (20, 48, 64, 80, 256), (1, 1, 1, 1, 1))
# A chapter of the thesis places the dilations elsewhere; paper and released code place them here.
DILATIONS = ((5, 5, 5, 3, 3), (20, 48, 64, 80, 256), (1, 1, 2, 4, 2))


def batch_normalisation(name, dtype):
    """Batch normalisation with PyTorch's constants, which the released code was trained with."""
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name, dtype=dtype)


def standardised(images, dtype):
    """RGB [b, h, w, 3] in [0, 1] less the mean colour, by its deviation."""
    images = ops.cast(images, "float32")
    return ops.cast((images - ops.array(MEAN)) / ops.array(DEVIATION), dtype)


def check_images(images):
    """Raises ValueError for what is not RGB of at least 16x16."""
    shape = tuple(images.shape)
    if (
        len(shape) != 4
        or shape[-1] != 3
        or any(side is not None and side < 16 for side in shape[1:3])
    ):
        raise ValueError(f"expected images [b, h, w, 3] of at least 16x16, got {shape}")


def check_picture_size(size):
    """Raises ValueError for what is neither None nor a whole number from 16."""
    if size is not None and (int(size) != size or size < 16):
        raise ValueError(f"picture_size must be None or a whole number from 16, got {size!r}")


def check_margin(margin):
    """Raises ValueError for what is no even number of pixels below 16."""
    if int(margin) != margin or margin % 2 or not 0 <= margin < 16:
        raise ValueError(f"margin must be an even number of pixels from 0 to 14, got {margin!r}")


@keras.saving.register_keras_serializable(package="kcorr")
class Trunk(keras.layers.Layer):
    """Convolutions, each with batch normalisation and LeakyReLU; after the first a 2x2 max-pool.

    Cell i of the output covers the pixels 2 i and 2 i + 1; the last pixel of an odd side is seen by
    the convolutions, but has no cell. All is symmetric, so that a mirrored picture of even width
    has mirrored features (of mirrored kernels).

    Args:
        kernels, widths, dilations: of the convolutions.
        slope: of the LeakyReLU; 0 is a ReLU.
        normalised: whether there is batch normalisation.
        initializer: of the kernels.

    Call: [b, h, w, 3] -> [b, h // 2, w // 2, widths[-1]].
    """

    def __init__(
        self,
        kernels,
        widths,
        dilations,
        slope=0.2,
        normalised=True,
        initializer="glorot_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not len(kernels) == len(widths) == len(dilations) or not widths:
            raise ValueError(
                f"expected as many kernels and dilations as widths, got {kernels}, {widths} and "
                f"{dilations}"
            )
        self.config = {
            "kernels": tuple(kernels),
            "widths": tuple(widths),
            "dilations": tuple(dilations),
            "slope": slope,
            "normalised": normalised,
            "initializer": initializer,
        }
        self.slope = slope
        policy = self.dtype_policy
        self.convolutions = [
            convolution(
                width,
                f"conv{i}",
                dilation=dilation,
                kernel=kernel,
                initializer=initializer,
                dtype=policy,
            )
            for i, (kernel, width, dilation) in enumerate(
                zip(kernels, widths, dilations, strict=True), start=1
            )
        ]
        self.normalisations = [
            batch_normalisation(f"norm{i}", policy) if normalised else None
            for i in range(1, len(widths) + 1)
        ]

    def build(self, input_shape):
        channels = input_shape[-1]
        for layer, norm in zip(self.convolutions, self.normalisations, strict=True):
            layer.build((None, None, None, channels))
            channels = layer.filters
            if norm is not None:
                norm.build((None, None, None, channels))
        self.built = True

    def call(self, images, training=False):
        features = images
        for number, (layer, norm) in enumerate(
            zip(self.convolutions, self.normalisations, strict=True)
        ):
            features = layer(features)
            if norm is not None:
                features = norm(features, training=training)
            features = ops.leaky_relu(features, self.slope)
            if number == 0:
                features = ops.max_pool(features, 2, 2, padding="valid")
        return features

    def get_config(self):
        return {**super().get_config(), **self.config}


class TrunkNetwork(keras.Model):
    """A `Trunk` with a 1x1 head in float32: what landmarks and object frames share.

    Args:
        outputs: channels of the head.
        trunk: arguments of the `Trunk`, all of them.
        picture_size, margin: see `kcorr.models.LandmarkNet`.
        **kwargs: of `keras.Model`.
    """

    stride = 2

    def __init__(self, outputs, trunk, picture_size=None, margin=0, **kwargs):
        super().__init__(**kwargs)
        check_picture_size(picture_size)
        check_margin(margin)
        self.picture_size, self.margin = picture_size, margin
        self.trunk = Trunk(**trunk, dtype=self.dtype_policy, name="trunk")
        # Inner products of labels and logits reach hundreds: exact whatever the rest computes in.
        self.head = convolution(
            outputs, "head", kernel=1, initializer=trunk["initializer"], dtype="float32"
        )

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        self.trunk.build((None, None, None, 3))
        self.head.build((None, None, None, self.trunk.config["widths"][-1]))
        self.built = True

    def maps(self, inputs, training):
        """The head's output [b, h // 2, w // 2, outputs] for {"image": [b, h, w, 3]}."""
        images = ops.convert_to_tensor(inputs["image"])
        check_images(images)
        images = standardised(images, self.compute_dtype)
        if not self.margin:
            return self.head(self.trunk(images, training=training))
        around = [[0, 0], [self.margin] * 2, [self.margin] * 2, [0, 0]]
        features = self.trunk(ops.pad(images, around, mode="reflect"), training=training)
        cells = self.margin // self.stride
        return self.head(features[:, cells:-cells, cells:-cells])

    def get_config(self):
        return {**super().get_config(), **self.config}
