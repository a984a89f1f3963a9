"""What DDFlowNet and SelFlowNet share: parts, weights, and the way from coarse to fine."""

import keras
from keras import ops

from kcorr.models.blocks import FeaturePyramid, FlowEstimator, joined
from kcorr.ops import backward_warp, local_correlation, resize, resize_flow, unit_length

DILATIONS = (1, 2, 4, 8, 16, 1, 1)
ZOOMS = tuple(number / 16 for number in range(16, 65))  # exact, so that sizes are, too

# Three tenths of the compute, for CPUs and demos. It learns residuals on the clean warp: without
# released weights to match there is no reason to keep the authors' sampler.
SMALL = {
    "feature_widths": (16, 24, 32, 48, 64, 96),
    "estimator_widths": (64, 64, 48, 32, 24),
    "context_widths": (64, 64, 48, 48, 32, 24),
    "residual": True,
    "border": "zero",
}


class CoarseToFineNet(keras.Model):
    """Base of networks that estimate flow level by level of a feature pyramid.

    Level L has size ceil(zoom h / 2^L); levels 6 to 2 carry flow, the flow of level 2 is refined by
    a dilated context network and enlarged to the images' size. Layer names are the authors'. A
    subclass calls `encode` and `decode`, and says in `estimator_inputs`, `context_inputs` and
    `refine` what its convolutions see and make.

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
        zoom: 1 to 4, in sixteenths: images are enlarged so many times before their features are
            found, so that flow is estimated on a finer grid. What comes out as `flow` is of the
            images as they are.
        name: default: the subclass' `default_name`.

    Raises:
        ValueError: another `zoom`.

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
        zoom=1.0,
        name=None,
        **kwargs,
    ):
        if zoom not in ZOOMS:
            raise ValueError(f"zoom must be 1 to 4 in sixteenths, such as 1.5, got {zoom}")
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
            "zoom": zoom,
        }
        # === Layers ===
        self.radius, self.residual, self.border = radius, residual, border
        self.standardise, self.zoom = standardise, zoom
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
        others = self.frames - 1  # each brings a cost volume and a flow
        matches = others * ((2 * self.radius + 1) ** 2 + 2)
        for level, estimator in zip(self.levels, self.estimators, strict=True):
            features = self.config["feature_widths"][level - 1]
            estimator.build((None, None, None, matches + features))
        hidden = self.config["estimator_widths"][-1]
        self.context.build((None, None, None, others * (hidden + 2)))
        self.built = True

    def prepared(self, images):
        """Images [b, h, w, 3] in [0, 1] as the pyramid sees them: standardised, enlarged."""
        if self.standardise:
            images = standardised(ops.cast(images, "float32"))
        if self.zoom != 1:
            images = resize(images, [self._zoomed(side) for side in ops.shape(images)[1:3]])
        return images

    def encode(self, images):
        """Features of the levels 1, 2, ... of images [b, h, w, 3] in [0, 1], enlarged by `zoom`."""
        return self.pyramid(ops.cast(self.prepared(images), self.compute_dtype))

    def _zoomed(self, side):
        """`zoom` times a number of pixels, rounded up; it may be a tensor."""
        return -(-side * int(16 * self.zoom) // 16)

    def decode(self, first, second, size):
        """Flow between two feature pyramids.

        Args:
            first, second: lists of [b, h', w', c], level 1 first.
            size: (height, width) of the images.

        Returns:
            A dict: `flow` [b, height, width, 2], and `flow_pyramid`, a list from the coarsest level
            to the refined flow.
        """
        flow, pyramid, hidden = None, [], None
        for level, estimator in zip(self.levels, self.estimators, strict=True):
            features = ops.cast(first[level - 1], "float32")
            other = ops.cast(second[level - 1], "float32")
            if flow is None:
                flow = ops.zeros_like(features[..., :2])
            else:
                flow = resize_flow(flow, ops.shape(features)[1:3], align_corners=True)
            warped, _ = backward_warp(other, flow, self.border)
            unit = unit_length(features)
            volume = local_correlation(unit, unit_length(warped), self.radius)
            inputs = self.estimator_inputs(volume, features, unit, flow)
            hidden, update = estimator(joined(inputs, self.compute_dtype))
            flow = flow + update if self.residual else update
            pyramid.append(flow)
        inputs = self.context_inputs(hidden, flow)
        _, update = self.context(joined(inputs, self.compute_dtype))
        pyramid.append(self.refine(flow, update))
        full = resize_flow(pyramid[-1], size, align_corners=True)
        return {"flow": full, "flow_pyramid": pyramid}

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
