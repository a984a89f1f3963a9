"""Sparse landmarks: K heat maps and the points they stand for."""

import keras
from keras import ops

from kcorr import schema
from kcorr.models.trunk import DILATIONS, SIMPLE, TrunkNetwork, batch_normalisation
from kcorr.ops import soft_argmax, spatial_softmax

VARIANTS = {
    "landmarks": {},
    "landmarks_dilated": dict(zip(("kernels", "widths", "dilations"), DILATIONS, strict=True)),
}


@keras.saving.register_keras_serializable(package="kcorr")
class LandmarkNet(TrunkNetwork):
    """Heat maps at half the size, a distribution over the picture each, and their mean points.

    Variants: "landmarks", the paper's, whose cells see 26 x 26 pixels; "landmarks_dilated", on the
    trunk of the next paper (DILATIONS), sees 54 x 54: one side of a face is told from the other
    by what is around it, and from few pictures it learns in a tenth of the steps.

    Args:
        landmarks: how many; the paper has 10, 30 and 50 for faces, 8 for shoes.
        last_activation: batch normalisation and ReLU after the last convolution, too. The paper's
            text can be read so; a ReLU keeps a distribution from becoming sharp, so the default is
            without.
        kernels, widths, dilations, slope, normalised, initializer: of the trunk
            (`kcorr.models.trunk.Trunk`). The sizes of the kernels are those of the same trunk in
            the next paper; "Gaussian" initial weights of a deviation that is not given.
        margin: even number of pixels, up to 14, by which the picture is continued by its mirror
            image before the convolutions see it; maps are of the picture itself. 0 as published:
            zeros around a picture tell where its border is, and landmarks that learn to stay there
            follow no warp. 14 is half of what a cell of "landmarks" sees.
        picture_size: shorter side in pixels of the pictures that it learned from; not used by the
            call; `kcorr.models.predict_landmarks` and the like scale pictures to it.

    Call: `net({"image": [b, h, w, 3]}, training=False)`, RGB in [0, 1], any size from 16 x 16.
        Returns a dict, all float32:
        heatmaps: [b, h // 2, w // 2, k] logits.
        probabilities: [b, h // 2, w // 2, k], each map sums to 1.
        points: [b, k, 2], (x, y) in pixels of the picture: cell i has its centre at 2 i + 0.5.
        confidence: [b, k, 1], the largest probability of a cell: near 1 for a landmark that is
            surely in one place, and small where it may be anywhere, or between cells.

    Raises:
        ValueError: no landmark, lists that do not fit, or no such images.

    Source: Thewlis et al., ICCV 2017.
    """

    gives = "landmarks"

    def __init__(
        self,
        landmarks=10,
        last_activation=False,
        kernels=SIMPLE[0],
        widths=SIMPLE[1],
        dilations=SIMPLE[2],
        slope=0.0,
        normalised=True,
        initializer="glorot_normal",
        margin=0,
        picture_size=None,
        name="landmarks",
        **kwargs,
    ):
        if landmarks < 1:
            raise ValueError(f"expected at least 1 landmark, got {landmarks}")
        trunk = {
            "kernels": kernels,
            "widths": widths,
            "dilations": dilations,
            "slope": slope,
            "normalised": normalised,
            "initializer": initializer,
        }
        super().__init__(landmarks, trunk, picture_size, margin, name=name, **kwargs)
        self.head_norm = batch_normalisation("head_norm", "float32") if last_activation else None
        self.landmarks = landmarks
        self.config = {
            "landmarks": landmarks,
            "last_activation": last_activation,
            "margin": margin,
            "picture_size": picture_size,
            **self.trunk.config,
        }

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        if self.head_norm is not None:
            self.head_norm.build((None, None, None, self.landmarks))
        super().build(input_shape)

    def call(self, inputs, training=False):
        heatmaps = self.maps(inputs, training)
        if self.head_norm is not None:
            heatmaps = ops.relu(self.head_norm(heatmaps, training=training))
        probabilities = spatial_softmax(heatmaps)
        cells = soft_argmax(probabilities, normalised=True)
        points = cells * float(self.stride) + (self.stride - 1) / 2
        confidence = ops.expand_dims(ops.max(probabilities, axis=(1, 2)), -1)
        return {
            schema.HEATMAPS: heatmaps,
            schema.PROBABILITIES: probabilities,
            schema.POINTS: points,
            schema.CONFIDENCE: confidence,
        }
