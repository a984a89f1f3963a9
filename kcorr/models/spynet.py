"""SpyNet: a small network for each level of an image pyramid."""

import keras
from keras import ops

from kcorr.models.blocks import FlowEstimator, joined
from kcorr.models.two_frames import TwoFrameNetwork
from kcorr.ops import backward_warp, resize, resize_flow

# Mean and standard deviation of ImageNet's pixels, RGB.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)

VARIANTS = {
    # 1,440,300 parameters, 240,050 a level: as the common port. With five levels 1,200,250, which
    # the paper is remembered to have.
    "spynet": {},
    # Less than a sixth of the multiplications, for CPUs: the finest level is half the image's size.
    # Sizes are kcorr's own.
    "spynet_small": {"widths": (24, 48, 24, 16), "finest": 1},
}


@keras.saving.register_keras_serializable(package="kcorr")
class SpyNet(TwoFrameNetwork):
    """Optical flow of two frames: at each scale a network adds what is left to the flow so far.

    The images are halved `levels - 1 + finest` times, to ceil(h / 2), which is 2x2 averaging of
    even sizes. From coarse to fine the second image is warped by the enlarged flow, and a network
    of five 7x7 convolutions with ReLU between them gives the residual. Any size from 16x16 works.

    The port stops halving when both sides are 32 pixels or less; here the number of levels is
    fixed, so that one graph serves all sizes.

    Args:
        widths: hidden channels of each level's network (weights are not shared).
        levels: of the pyramid.
        finest: halvings of the finest level; 0 is the image itself.
        standardise: whether images have ImageNet's mean taken off and are divided by its standard
            deviation first, as in the common port.

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, backward=False)`, images in [0, 1].
        Returns a dict:
        flow: [b, h, w, 2] pixels, frame 1 to frame 2, float32.
        flow_pyramid: list from coarse to fine, each in pixels of its own grid.
        features: list of the first image's pyramid, finest level first; it has no other features.
        flow_backward, flow_backward_pyramid: the same from frame 2 to frame 1, if `backward`.

    Raises:
        ValueError: no level, or a negative `finest`.

    Source: Ranjan and Black, Optical Flow Estimation Using a Spatial Pyramid Network, CVPR 2017,
    layer sizes and upsampling (bilinear, corners on corners) as in its common port.
    """

    def __init__(
        self,
        widths=(32, 64, 32, 16),
        levels=6,
        finest=0,
        standardise=True,
        name="spynet",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if levels < 1 or finest < 0:
            raise ValueError(f"need levels >= 1 and finest >= 0, got {levels} and {finest}")
        # === Config ===
        self.config = {
            "widths": tuple(widths),
            "levels": levels,
            "finest": finest,
            "standardise": standardise,
        }
        self.finest, self.standardise = finest, standardise
        # === Layers ===
        self.estimators = [
            FlowEstimator(
                widths, kernel=7, slope=0.0, dtype=self.dtype_policy, name=f"level_{level}"
            )
            for level in range(finest + levels - 1, finest - 1, -1)
        ]

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        for estimator in self.estimators:
            estimator.build((None, None, None, 8))
        self.built = True

    def encode(self, images):
        """The image pyramid of images [b, h, w, 3], finest level first, float32."""
        images = ops.cast(images, "float32")
        if self.standardise:
            images = (images - ops.array(MEAN)) / ops.array(DEVIATION)
        pyramid = [images]
        while len(pyramid) < self.finest + len(self.estimators):
            height, width = ops.shape(pyramid[-1])[1:3]
            pyramid.append(resize(pyramid[-1], ((height + 1) // 2, (width + 1) // 2)))
        return pyramid[self.finest :]

    def decode(self, first, second, size):
        """Flow of two image pyramids at `size`, and those from coarse to fine."""
        flow, pyramid = None, []
        for image, other, estimator in zip(first[::-1], second[::-1], self.estimators, strict=True):
            if flow is None:
                flow = ops.zeros_like(image[..., :2])
            else:
                flow = resize_flow(flow, ops.shape(image)[1:3], align_corners=True)
            warped, _ = backward_warp(other, flow)
            _, residual = estimator(joined([image, warped, flow], self.compute_dtype))
            flow = flow + residual
            pyramid.append(flow)
        full = resize_flow(flow, size, align_corners=True) if self.finest else flow
        return {"flow": full, "flow_pyramid": pyramid}

    def get_config(self):
        return {**super().get_config(), **self.config}
