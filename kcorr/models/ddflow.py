"""DDFlowNet: the two-frame coarse-to-fine flow network of DDFlow."""

import keras
from keras import ops

from kcorr.models.blocks import FeaturePyramid, FlowEstimator
from kcorr.ops import backward_warp, local_correlation, resize_flow, unit_length

DILATIONS = (1, 2, 4, 8, 16, 1, 1)

VARIANTS = {
    # Exactly the authors' network, 4,273,628 parameters.
    "ddflow": {},
    # About a quarter of the compute, for CPUs and demos. It learns residuals on the clean warp:
    # without released weights to match there is no reason to keep the authors' sampler.
    "ddflow_small": {
        "feature_widths": (16, 24, 32, 48, 64, 96),
        "estimator_widths": (64, 64, 48, 32, 24),
        "context_widths": (64, 64, 48, 48, 32, 24),
        "residual": True,
        "border": "zero",
    },
}


@keras.saving.register_keras_serializable(package="kcorr")
class DDFlowNet(keras.Model):
    """Optical flow of two frames, from coarse to fine, features computed once per image.

    Level L has size ceil(h / 2^L); levels 6 to 2 carry flow, the flow of level 2 is refined by a
    dilated context network and enlarged four times. Any size from 16x16 works.

    Args:
        feature_widths: channels of the pyramid's levels 1 to 6.
        estimator_widths: hidden channels of each level's estimator (weights are not shared).
        context_widths: hidden channels of the context network.
        radius: of the cost volume, in pixels of the level.
        residual: True adds an estimator's output to the flow that came from the level above; False
            (the authors) takes it as the flow itself.
        border: of the warp, see `kcorr.ops.backward_warp`. The authors' weights need "authors".

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, backward=False)`, images in [0, 1].
        Returns a dict:
        flow: [b, h, w, 2] pixels, frame 1 to frame 2, float32.
        flow_pyramid: list from level 6 to level 2, then the refined flow at 1/4, each in pixels of
            its own grid.
        features: list of the first image's features, level 1 to 6.
        flow_backward, flow_backward_pyramid: the same from frame 2 to frame 1, if `backward`.

    Source: Liu et al., DDFlow: Learning Optical Flow with Unlabeled Data Distillation, AAAI 2019,
    and its released code (layer names are the authors').
    """

    def __init__(
        self,
        feature_widths=(16, 32, 64, 96, 128, 192),
        estimator_widths=(128, 128, 96, 64, 32),
        context_widths=(128, 128, 128, 96, 64, 32),
        radius=4,
        residual=False,
        border="authors",
        name="ddflow",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        # === Config ===
        self.config = {
            "feature_widths": tuple(feature_widths),
            "estimator_widths": tuple(estimator_widths),
            "context_widths": tuple(context_widths),
            "radius": radius,
            "residual": residual,
            "border": border,
        }
        # === Layers ===
        self.radius, self.residual, self.border = radius, residual, border
        self.pyramid = FeaturePyramid(
            feature_widths, dtype=self.dtype_policy, name="feature_extractor"
        )
        self.estimators = [
            FlowEstimator(
                estimator_widths, dtype=self.dtype_policy, name=f"estimator_level_{level}"
            )
            for level in self.levels
        ]
        self.context = FlowEstimator(
            context_widths,
            dilations=DILATIONS,
            prefix="dilated_conv",
            dtype=self.dtype_policy,
            name="context_network",
        )

    @property
    def levels(self):
        """Levels that carry flow, coarsest first."""
        return range(len(self.config["feature_widths"]), 1, -1)

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        self.pyramid.build((None, None, None, 3))
        volume = (2 * self.radius + 1) ** 2
        for level, estimator in zip(self.levels, self.estimators, strict=True):
            features = self.config["feature_widths"][level - 1]
            estimator.build((None, None, None, volume + features + 2))
        self.context.build((None, None, None, self.config["estimator_widths"][-1] + 2))
        self.built = True

    def call(self, inputs, training=False, backward=False):
        images = ops.concatenate([inputs["image1"], inputs["image2"]], axis=0)
        features = self.pyramid(ops.cast(images, self.compute_dtype))
        pairs = [ops.split(level, 2, axis=0) for level in features]
        size = ops.shape(inputs["image1"])[1:3]
        if not backward:
            flow, pyramid = self.decode(*zip(*pairs, strict=True), size)
            return {"flow": flow, "flow_pyramid": pyramid, "features": [f for f, _ in pairs]}
        # Both directions as one batch of twice the size.
        swapped = [ops.concatenate([second, first], axis=0) for first, second in pairs]
        flow, pyramid = self.decode(features, swapped, size)
        flow, flow_backward = ops.split(flow, 2, axis=0)
        pyramid = [ops.split(level, 2, axis=0) for level in pyramid]
        return {
            "flow": flow,
            "flow_pyramid": [level for level, _ in pyramid],
            "features": [first for first, _ in pairs],
            "flow_backward": flow_backward,
            "flow_backward_pyramid": [level for _, level in pyramid],
        }

    def decode(self, first, second, size):
        """Flow of two feature pyramids: (flow at `size`, list of flows from coarse to refined)."""
        flow, pyramid, hidden = None, [], None
        for level, estimator in zip(self.levels, self.estimators, strict=True):
            features = ops.cast(first[level - 1], "float32")
            other = ops.cast(second[level - 1], "float32")
            if flow is None:
                flow = ops.zeros_like(features[..., :2])
            else:
                flow = resize_flow(flow, ops.shape(features)[1:3], align_corners=True)
            warped, _ = backward_warp(other, flow, self.border)
            features, warped = unit_length(features), unit_length(warped)
            volume = local_correlation(features, warped, self.radius)
            hidden, update = estimator(self._join(volume, features, flow))
            flow = flow + update if self.residual else update
            pyramid.append(flow)
        _, update = self.context(self._join(hidden, flow))
        refined = flow + update
        pyramid.append(refined)
        return resize_flow(refined, size, align_corners=True), pyramid

    def _join(self, *tensors):
        return ops.concatenate([ops.cast(t, self.compute_dtype) for t in tensors], axis=-1)

    def get_config(self):
        return {**super().get_config(), **self.config}
