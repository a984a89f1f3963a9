"""What DDFlowNet and SelFlowNet share: parts, weights, and the way from coarse to fine."""

import keras
from keras import ops

from kcorr.models.blocks import FeaturePyramid, FlowEstimator, joined
from kcorr.ops import backward_warp, local_correlation, resize, resize_flow, unit_length

DILATIONS = (1, 2, 4, 8, 16, 1, 1)
FINE_DILATIONS = (1, 2, 4, 1)  # repeated as needed

# About a quarter of the compute, for CPUs and demos. It learns residuals on the clean warp: without
# released weights to match there is no reason to keep the authors' sampler.
SMALL = {
    "feature_widths": (16, 24, 32, 48, 64, 96),
    "estimator_widths": (64, 64, 48, 32, 24),
    "context_widths": (64, 64, 48, 48, 32, 24),
    "residual": True,
    "border": "zero",
}
# The same and flow at half the size, where a quarter blurs the edges of what moves.
FINE = {**SMALL, "fine_widths": (32, 32, 32, 24)}


class CoarseToFineNet(keras.Model):
    """Base of networks that estimate flow level by level of a feature pyramid.

    Level L has size ceil(h / 2^L); levels 6 to 2 carry flow, the flow of level 2 is refined by a
    dilated context network and enlarged four times, or with `fine_widths` corrected once more at
    level 1 and enlarged twice. Layer names are the authors'. A subclass calls `encode` and
    `decode`, and says in `estimator_inputs`, `context_inputs` and `refine` what its convolutions
    see and make.

    Args:
        feature_widths: channels of the pyramid's levels 1 to 6.
        estimator_widths: hidden channels of each level's estimator (weights are not shared).
        context_widths: hidden channels of the context network.
        radius: of the cost volume, in pixels of the level.
        residual: True adds an estimator's output to the flow that came from the level above; False
            (the authors) takes it as the flow itself.
        border: of the warp, see `kcorr.ops.backward_warp`. The authors' weights need "authors".
        standardise: brings each image to mean 0 and variance 1 first, see `standardised`; the
            authors do so where they learn from ground truth.
        fine_widths: hidden channels of the estimator of level 1, which adds to the refined flow;
            none (the authors): that flow is the last.
        fine_radius: of the cost volume of level 1.
        name: default: the subclass' `default_name`.

    Source: Liu et al., DDFlow, AAAI 2019, and SelFlow, CVPR 2019, and their released code.
    """

    default_name = None
    frames = 2  # how many consecutive images the network sees at once

    def __init__(
        self,
        feature_widths=(16, 32, 64, 96, 128, 192),
        estimator_widths=(128, 128, 96, 64, 32),
        context_widths=(128, 128, 128, 96, 64, 32),
        radius=4,
        residual=False,
        border="authors",
        standardise=False,
        fine_widths=(),
        fine_radius=3,
        name=None,
        **kwargs,
    ):
        super().__init__(name=name or self.default_name, **kwargs)
        # === Config ===
        self.config = {
            "feature_widths": tuple(feature_widths),
            "estimator_widths": tuple(estimator_widths),
            "context_widths": tuple(context_widths),
            "radius": radius,
            "residual": residual,
            "border": border,
            "standardise": standardise,
            "fine_widths": tuple(fine_widths),
            "fine_radius": fine_radius,
        }
        # === Layers ===
        self.radius, self.residual, self.border = radius, residual, border
        self.standardise = standardise
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
        self.fine_radius, self.fine = fine_radius, None
        if fine_widths:
            repeated = FINE_DILATIONS * len(fine_widths)
            self.fine = FlowEstimator(
                fine_widths,
                dilations=(*repeated[: len(fine_widths)], 1),
                dtype=self.dtype_policy,
                name="estimator_level_1",
            )

    @property
    def levels(self):
        """Levels that carry flow, coarsest first."""
        return range(len(self.config["feature_widths"]), 1, -1)

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        self.pyramid.build((None, None, None, 3))
        widths = self.config["feature_widths"]
        for level, estimator in zip(self.levels, self.estimators, strict=True):
            estimator.build((None, None, None, self._matches(self.radius) + widths[level - 1]))
        others = self.frames - 1
        hidden = self.config["estimator_widths"][-1]
        self.context.build((None, None, None, others * (hidden + 2)))
        if self.fine is not None:
            channels = self._matches(self.fine_radius) + widths[0] + hidden
            self.fine.build((None, None, None, channels))
        self.built = True

    def _matches(self, radius):
        """Channels that the other frames bring: each a cost volume and a flow."""
        return (self.frames - 1) * ((2 * radius + 1) ** 2 + 2)

    def encode(self, images):
        """Features of the levels 1, 2, ... of images [b, h, w, 3] in [0, 1]."""
        if self.standardise:
            images = standardised(ops.cast(images, "float32"))
        return self.pyramid(ops.cast(images, self.compute_dtype))

    def decode(self, first, second, size):
        """Flow between two feature pyramids.

        Args:
            first, second: lists of [b, h', w', c], level 1 first.
            size: (height, width) of the images.

        Returns:
            A dict: `flow` [b, height, width, 2], and `flow_pyramid`, a list from the coarsest level
            to the refined flow, and to that of level 1 if there is one.
        """
        flow, pyramid, hidden = None, [], None
        for level, estimator in zip(self.levels, self.estimators, strict=True):
            inputs, flow = self._compared(first[level - 1], second[level - 1], flow, self.radius)
            hidden, update = estimator(joined(inputs, self.compute_dtype))
            flow = flow + update if self.residual else update
            pyramid.append(flow)
        inputs = self.context_inputs(hidden, flow)
        _, update = self.context(joined(inputs, self.compute_dtype))
        pyramid.append(self.refine(flow, update))
        if self.fine is not None:
            inputs, flow = self._compared(first[0], second[0], pyramid[-1], self.fine_radius)
            known = resize(ops.cast(hidden, "float32"), ops.shape(flow)[1:3], align_corners=True)
            _, update = self.fine(joined([*inputs, known], self.compute_dtype))
            pyramid.append(flow + update)
        full = resize_flow(pyramid[-1], size, align_corners=True)
        return {"flow": full, "flow_pyramid": pyramid}

    def _compared(self, features, other, flow, radius):
        """What the estimator of a level sees, and the flow that it begins with.

        Args:
            features, other: [b, h', w', c] of the two images.
            flow: of the level above, None for 0.
            radius: of the cost volume.
        """
        features, other = ops.cast(features, "float32"), ops.cast(other, "float32")
        if flow is None:
            flow = ops.zeros_like(features[..., :2])
        else:
            flow = resize_flow(flow, ops.shape(features)[1:3], align_corners=True)
        warped, _ = backward_warp(other, flow, self.border)
        unit = unit_length(features)
        volume = local_correlation(unit, unit_length(warped), radius)
        return self.estimator_inputs(volume, features, unit, flow), flow

    def estimator_inputs(self, volume, features, unit, flow):
        """What a level's estimator sees, to be joined.

        Args:
            volume: [b, h', w', (2 radius + 1)^2], of the features and the warped other ones.
            features: [b, h', w', c], float32.
            unit: the same scaled to unit length.
            flow: [b, h', w', 2], from the level above.
        """
        raise NotImplementedError

    def context_inputs(self, hidden, flow):
        """What the context network sees: of the last estimator's features and flow."""
        raise NotImplementedError

    def refine(self, flow, update):
        """The refined flow, of the flow of level 2 and what the context network made of it."""
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), **self.config}


def standardised(images):
    """Each image and channel with mean 0 and variance 1 over its pixels.

    Args:
        images: [b, h, w, c], float32.

    Returns:
        [b, h, w, c], (x - mean) / sqrt(variance + 1e-12), the population's variance.

    Source: the authors' replies and released code of SelFlow (Liu et al., CVPR 2019).
    """
    centred = images - ops.mean(images, axis=(1, 2), keepdims=True)
    variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
    return centred * ops.rsqrt(variance + 1e-12)
