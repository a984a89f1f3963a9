"""PWCNet: pyramid, warping and cost volume with densely connected estimators."""

import keras
from keras import ops

from kcorr.models.blocks import FeaturePyramid, FlowEstimator, joined, leaky_relu, upsampling
from kcorr.models.coarse_to_fine import DILATIONS
from kcorr.models.two_frames import TwoFrameNetwork
from kcorr.ops import backward_warp, local_correlation, resize_flow

SLOPE = 0.1
# Glorot's halves the features from level to level: of level 6 nothing would be left to compare.
INITIALIZER = "he_normal"
FINEST = 2  # the level that the context network refines, a quarter of the image's size

VARIANTS = {
    # 8,749,214 parameters: the 8.75 M that are quoted for the released network (from memory).
    "pwcnet": {},
    # The same weights, which mean another flow: a file of weights alone fits both.
    "pwcnet_published": {"normalise": "mean", "flow_scale": 20.0},
    # Less than a quarter of the multiplications, for CPUs. Sizes are kcorr's own.
    "pwcnet_small": {
        "feature_widths": (16, 24, 32, 48, 64, 96),
        "estimator_widths": (64, 48, 32, 24, 16),
        "context_widths": (48, 48, 48, 32, 24, 16),
    },
}


@keras.saving.register_keras_serializable(package="kcorr")
class PWCNet(TwoFrameNetwork):
    """Optical flow of two frames, from coarse to fine, with densely connected estimators.

    Images are enlarged to multiples of 64 (2 to the number of levels); level L then has size
    h / 2^L. Levels 6 to 2 carry flow; the flow of level 2 is refined by a dilated context network
    and enlarged to the images' size. Any size works; sizes from 64x64 are what it is made for.

    Sizes, slopes, dilations and connections are the released network's. Two defaults are kcorr's
    own: `normalise` and `flow_scale`. Released are the mean over channels (from memory) and 20,
    which `kcorr.models.build("pwcnet_published")` has; with these pwcnet_small still answered zero
    flow after 1,500 steps of `recipes.flow_scenes` from nothing, and with the defaults here it does
    better than that within 100 on motions up to 8 pixels.

    Args:
        feature_widths: channels of the pyramid's levels 1, 2, ...
        estimator_widths: channels that each level's estimator adds (weights are not shared).
        context_widths: hidden channels of the context network.
        radius: of the cost volume, in pixels of the level.
        normalise: of the cost volume, "cosine" (kcorr's), "mean" over channels (the released
            network's) or "none", see `kcorr.ops.local_correlation`. A LeakyReLU follows.
        flow_scale: the heads predict the flow in units of so many pixels of the enlarged image: 2
            is kcorr's, 20 the released network's.

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, backward=False)`, images in [0, 1].
        Returns a dict:
        flow: [b, h, w, 2] pixels, frame 1 to frame 2, float32.
        flow_pyramid: list from level 6 to level 2, then the refined flow at 1/4, each in pixels of
            its own grid.
        features: list of the first image's features, level 1 to 6.
        flow_backward, flow_backward_pyramid: the same from frame 2 to frame 1, if `backward`.

    Raises:
        ValueError: fewer than three levels.

    Source: Sun et al., PWC-Net: CNNs for Optical Flow Using Pyramid, Warping, and Cost Volume, CVPR
    2018, and its released dense ("DC") network with two convolutions a level. Strided convolutions
    pad as TensorFlow does; ported weights would not give the same numbers.
    """

    def __init__(
        self,
        feature_widths=(16, 32, 64, 96, 128, 196),
        estimator_widths=(128, 128, 96, 64, 32),
        context_widths=(128, 128, 128, 96, 64, 32),
        radius=4,
        normalise="cosine",
        flow_scale=2.0,
        name="pwcnet",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if len(feature_widths) <= FINEST:
            raise ValueError(f"need at least three levels, got feature_widths {feature_widths}")
        # === Config ===
        self.config = {
            "feature_widths": tuple(feature_widths),
            "estimator_widths": tuple(estimator_widths),
            "context_widths": tuple(context_widths),
            "radius": radius,
            "normalise": normalise,
            "flow_scale": flow_scale,
        }
        self.radius, self.normalise, self.flow_scale = radius, normalise, flow_scale
        self.levels = range(len(feature_widths), FINEST - 1, -1)
        self.divisor = 2 ** len(feature_widths)
        # === Layers ===
        policy = self.dtype_policy
        self.pyramid = FeaturePyramid(
            feature_widths,
            slope=SLOPE,
            initializer=INITIALIZER,
            dtype=policy,
            name="feature_extractor",
        )
        self.estimators = [
            FlowEstimator(
                estimator_widths,
                slope=SLOPE,
                dense=True,
                dtype=policy,
                name=f"estimator_level_{level}",
            )
            for level in self.levels
        ]
        # What a level hands down: its flow and two channels of its features, both enlarged.
        self.flow_upsamplers = [
            upsampling(2, f"up_flow_{level}", dtype="float32") for level in self.levels[:-1]
        ]
        self.feature_upsamplers = [
            upsampling(2, f"up_features_{level}", dtype=policy) for level in self.levels[:-1]
        ]
        self.context = FlowEstimator(
            context_widths,
            dilations=DILATIONS,
            prefix="dilated_conv",
            slope=SLOPE,
            dtype=policy,
            name="context_network",
        )

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        self.pyramid.build((None, None, None, 3))
        volume = (2 * self.radius + 1) ** 2
        hidden, grown = None, sum(self.config["estimator_widths"])
        for index, (level, estimator) in enumerate(zip(self.levels, self.estimators, strict=True)):
            channels = volume
            if index:
                self.flow_upsamplers[index - 1].build((None, None, None, 2))
                self.feature_upsamplers[index - 1].build((None, None, None, hidden))
                channels += self.config["feature_widths"][level - 1] + 4
            estimator.build((None, None, None, channels))
            hidden = channels + grown
        self.context.build((None, None, None, hidden))
        self.built = True

    def encode(self, images):
        """Features of the levels 1, 2, ... of images [b, h, w, 3]."""
        return self.pyramid(ops.cast(images, self.compute_dtype))

    def decode(self, first, second, size):
        """Flow of two feature pyramids at `size`, and those from coarse to refined."""
        flow, hidden, pyramid = None, None, []
        for index, (level, estimator) in enumerate(zip(self.levels, self.estimators, strict=True)):
            features = ops.cast(first[level - 1], "float32")
            other = ops.cast(second[level - 1], "float32")
            pixels = self.flow_scale / 2**level  # of this level, for 1 of a head
            if index:
                flow = self.flow_upsamplers[index - 1](flow)
                more = self.feature_upsamplers[index - 1](hidden)
                warped, inside = backward_warp(other, flow * pixels)
                # As released: a position that is not wholly inside counts as outside.
                given = [self._volume(features, warped * inside), features, flow, more]
            else:
                given = [self._volume(features, other)]
            hidden, flow = estimator(joined(given, self.compute_dtype))
            pyramid.append(flow * pixels)
        _, update = self.context(hidden)
        pyramid.append((flow + update) * pixels)
        return {"flow": resize_flow(pyramid[-1], size), "flow_pyramid": pyramid}

    def _volume(self, first, second):
        return leaky_relu(local_correlation(first, second, self.radius, 1, self.normalise), SLOPE)

    def get_config(self):
        return {**super().get_config(), **self.config}
