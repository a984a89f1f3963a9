"""DDFlowNet: the two-frame coarse-to-fine flow network of DDFlow."""

import keras

from kcorr.models.coarse_to_fine import SMALL, CoarseToFineNet
from kcorr.models.two_frames import TwoFrameNetwork

VARIANTS = {
    # Exactly the authors' network, 4,273,628 parameters.
    "ddflow": {},
    "ddflow_small": SMALL,
}


@keras.saving.register_keras_serializable(package="kcorr")
class DDFlowNet(CoarseToFineNet, TwoFrameNetwork):
    """Optical flow of two frames, from coarse to fine, features computed once per image.

    Level L has size ceil(zoom h / 2^L); levels 6 to 2 carry flow, the flow of level 2 is refined by
    a dilated context network and enlarged to the images' size. Any size from 16x16 works.

    Args:
        feature_widths: channels of the pyramid's levels 1 to 6.
        estimator_widths: hidden channels of each level's estimator (weights are not shared).
        context_widths: hidden channels of the context network.
        radius: of the cost volume, in pixels of the level.
        residual: True adds an estimator's output to the flow that came from the level above; False
            (the authors) takes it as the flow itself.
        border: of the warp, see `kcorr.ops.backward_warp`. The authors' weights need "authors".
        standardise: brings each image to mean 0 and variance 1 first, as the authors do where they
            learn from ground truth.
        zoom: 1 to 4, in sixteenths: images are enlarged so many times before their features are
            found. A grid that is 1.5 times as fine follows thin things better and takes 2.25 times
            as long.

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, backward=False)`, images in [0, 1].
        Returns a dict:
        flow: [b, h, w, 2] pixels, frame 1 to frame 2, float32.
        flow_pyramid: list from level 6 to level 2, then the refined flow, each in pixels of its own
            grid: at 1/4 of the (enlarged) images' size.
        features: list of the (enlarged) first image's features, level 1 to 6.
        flow_backward, flow_backward_pyramid: the same from frame 2 to frame 1, if `backward`.

    Source: Liu et al., DDFlow: Learning Optical Flow with Unlabeled Data Distillation, AAAI 2019,
    and its released code (layer names are the authors').
    """

    default_name = "ddflow"

    def estimator_inputs(self, volume, features, unit, flow):
        """The cost volume, the features in unit length, the flow."""
        return volume, unit, flow

    def context_inputs(self, hidden, flow):
        """The features and the flow."""
        return hidden, flow

    def refine(self, flow, update):
        """Their sum."""
        return flow + update
