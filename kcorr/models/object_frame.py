"""Dense labels on an object: where on the object's own frame does each pixel lie?"""

import keras

from kcorr.models.trunk import DILATIONS, SIMPLE, TrunkNetwork

VARIANTS = {
    "object_frame": dict(zip(("kernels", "widths", "dilations"), DILATIONS, strict=True)),
    "object_frame_simple": dict(zip(("kernels", "widths", "dilations"), SIMPLE, strict=True)),
}


@keras.saving.register_keras_serializable(package="kcorr")
class ObjectFrameNet(TrunkNetwork):
    """A label vector for every second pixel: a place on a sphere, or a longer embedding.

    The labels are not normalised: a vector's direction is the place on the object, its length how
    certain that is. Similar are labels with a large inner product.

    Variants: "object_frame" sees 54 x 54 pixels around each (DILATIONS of the paper, SmallNet of
    the released code: 334,875 weights that learn for 3 dimensions, 338,216 for 16, 342,328 for 32,
    350,552 for 64); "object_frame_simple" 26 x 26, too few to tell alike places apart.

    Args:
        dimensions: length of a label. 3 is the papers' object frame; 2 makes a circle, which cannot
            hold an object that branches; 16, 32 and 64 need vector exchange to mean the same place
            on different objects (`kcorr.objectives.ObjectFrameObjective`).
        kernels, widths, dilations, slope, normalised, initializer: of the trunk
            (`kcorr.models.trunk.Trunk`). LeakyReLU 0.2, batch normalisation and Xavier-normal
            weights are the released code's; the first paper has a ReLU.
        picture_size: shorter side in pixels of the pictures that it learned from; not used by the
            call; `kcorr.models.predict_labels` and the like scale pictures to it.

    Call: `net({"image": [b, h, w, 3]}, training=False)`, RGB in [0, 1], any size from 16 x 16.
        Returns a dict:
        labels: [b, h // 2, w // 2, dimensions], float32; that of cell (i, j) belongs to the point
            (2 i + 0.5, 2 j + 0.5) of the picture.

    Raises:
        ValueError: `dimensions` below 2, lists that do not fit, or no such images.

    Source: Thewlis et al., NeurIPS 2017 and ICCV 2019 (DVE, released code).
    """

    gives = "labels"

    def __init__(
        self,
        dimensions=3,
        kernels=DILATIONS[0],
        widths=DILATIONS[1],
        dilations=DILATIONS[2],
        slope=0.2,
        normalised=True,
        initializer="glorot_normal",
        picture_size=None,
        name="object_frame",
        **kwargs,
    ):
        if dimensions < 2:
            raise ValueError(f"labels have at least 2 dimensions, got {dimensions}")
        trunk = {
            "kernels": kernels,
            "widths": widths,
            "dilations": dilations,
            "slope": slope,
            "normalised": normalised,
            "initializer": initializer,
        }
        super().__init__(dimensions, trunk, picture_size, name=name, **kwargs)
        self.dimensions = dimensions
        self.config = {
            "dimensions": dimensions,
            "picture_size": picture_size,
            **self.trunk.config,
        }

    def call(self, inputs, training=False):
        return {"labels": self.maps(inputs, training)}
