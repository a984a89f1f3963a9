"""Regression of annotated points from dense labels, through virtual points that are learned."""

import keras
from keras import ops

from kcorr.models.point_fits import check_points, fit_points
from kcorr.ops import soft_argmax


@keras.saving.register_keras_serializable(package="kcorr")
class VirtualPoints(keras.Model):
    """Annotated points as linear combinations of virtual ones, that filters find in frozen labels.

    Each annotated point has `virtual` filters of its own (1x1, no bias). A filter's answer, times
    `sharpness`, makes a distribution over the labels; its mean is a virtual point in [-1, 1]. The
    annotated point is a linear combination, without bias, of its virtual points.

    Args:
        points: number of annotated points.
        dimensions: length of a label.
        virtual: virtual points for each annotated one.
        sharpness: factor before the softmax. At 100 (published) labels that are not normalised make
            distributions of one cell, and gradients to the filters vanish early.
        stride: pixels a label.

    Call: `net({"labels": [b, h, w, dimensions]})`. Returns a dict, float32:
        points: [b, points, 2] pixels of the picture of stride h x stride w pixels.
        virtual_points: [b, points, virtual, 2], the same.
        normalised: [b, points, 2], `points` in [-1, 1] from the first to the last pixel's centre.

    Memory: `points` x `virtual` heat maps a picture, 31 MB for 68 points and 48 x 48 labels.

    Raises:
        ValueError: numbers below 1, or labels of another length.

    Source: Thewlis et al., ICCV 2019 (DVE, released code).
    """

    def __init__(
        self,
        points,
        dimensions,
        virtual=50,
        sharpness=100.0,
        stride=2,
        name="virtual_points",
        **kwargs,
    ):
        super().__init__(name=name, autocast=False, **kwargs)
        if min(points, dimensions, virtual, stride) < 1 or not sharpness > 0:
            raise ValueError(
                "VirtualPoints needs points, dimensions, virtual and stride of at least 1 and "
                f"sharpness above 0, got {points}, {dimensions}, {virtual}, {stride}, {sharpness}"
            )
        self.points, self.dimensions, self.virtual = points, dimensions, virtual
        self.sharpness, self.stride = sharpness, stride
        self.filters = self.mixture = None

    def build(self, input_shape=None):
        """Creates the weights; sizes of the input do not matter."""
        if self.built:
            return
        self.filters = self.add_weight(
            shape=(self.dimensions, self.points * self.virtual),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            dtype="float32",
            autocast=False,
            name="filters",
        )
        # PyTorch's initial values of such a layer, as in the released code.
        bound = (2 * self.virtual) ** -0.5
        self.mixture = self.add_weight(
            shape=(self.points, self.virtual, 2, 2),
            initializer=keras.initializers.RandomUniform(-bound, bound),
            dtype="float32",
            autocast=False,
            name="mixture",
        )
        self.built = True

    def call(self, inputs, training=False):
        labels = ops.convert_to_tensor(inputs["labels"])
        if len(labels.shape) != 4 or labels.shape[-1] != self.dimensions:
            raise ValueError(
                f"VirtualPoints expects labels [b, h, w, {self.dimensions}], got "
                f"{tuple(labels.shape)}"
            )
        # float32 whatever the policy: answers times 100 are far apart, coordinates are not whole.
        labels = ops.cast(labels, "float32")
        height, width = ops.shape(labels)[1:3]
        answers = ops.tensordot(labels, ops.convert_to_tensor(self.filters), axes=1)
        found = soft_argmax(answers, temperature=1 / self.sharpness)
        found = ops.reshape(found, [-1, self.points, self.virtual, 2])
        found = 2 * found / _last(height, width) - 1
        normalised = ops.einsum("bpvc,pvcd->bpd", found, ops.convert_to_tensor(self.mixture))
        pixels = _last(self.stride * height, self.stride * width) / 2
        return {
            "points": (normalised + 1) * pixels,
            "virtual_points": (found + 1) * pixels,
            "normalised": normalised,
        }

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "points": self.points,
            "dimensions": self.dimensions,
            "virtual": self.virtual,
            "sharpness": self.sharpness,
            "stride": self.stride,
        }


def fit_virtual_points(
    labels,
    points,
    visible=None,
    *,
    epochs=300,
    batch_size=32,
    learning_rate=1e-3,
    drops=(100, 250),
    decay=5e-4,
    seed=0,
    callbacks=(),
    **options,
):
    """Learns `VirtualPoints` from labels that were computed once.

    Smooth L1 of ten times the coordinates in [-1, 1], Adam (AMSGrad), the learning rate times 0.1
    at `drops`. The defaults are the published ones for all pictures; for few shots the papers have
    `epochs=50, learning_rate=1e-2, drops=()` on warped copies of the few.

    Args:
        labels: [b, h, w, c], a numpy array.
        points: [b, p, 2] pixels of the picture.
        visible: [b, p, 1], > 0.5 = counts.
        epochs, batch_size, learning_rate, drops, decay: of the training; `drops` in epochs.
        seed: of first weights and the order.
        callbacks: for `keras.Model.fit`.
        **options: `virtual`, `sharpness`, `stride` of `VirtualPoints`.

    Returns:
        A trained `VirtualPoints`.

    Raises:
        ValueError: shapes that do not fit.

    Source: Thewlis et al., ICCV 2019 (DVE, released code).
    """
    labels, points = check_points("fit_virtual_points", labels, "labels [b, h, w, c]", 4, points)
    keras.utils.set_random_seed(seed)
    network = VirtualPoints(points.shape[1], labels.shape[-1], **options)
    network.build()
    fit_points(
        network,
        "labels",
        labels,
        points,
        visible,
        [network.stride * side for side in labels.shape[1:3]],
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        drops=drops,
        decay=decay,
        callbacks=callbacks,
    )
    return network


def _last(height, width):
    """(x, y) of the last pixel, at least 1 so that one row or column does not divide by 0."""
    last = ops.stack([ops.cast(width, "float32"), ops.cast(height, "float32")]) - 1
    return ops.maximum(last, 1.0)
