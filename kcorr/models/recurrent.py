"""RecurrentFlowNet: one small network that improves the flow again and again."""

import numbers

import keras
from keras import ops

from kcorr.models.blocks import FlowEstimator, build_chain, convolution
from kcorr.models.recurrent_blocks import (
    ConvexUpsampling,
    ConvolutionalGRU,
    MotionEncoder,
    NormalisedConvolution,
    ResidualEncoder,
)
from kcorr.models.two_frames import TwoFrameNetwork
from kcorr.ops import CorrelationLookup, resize_flow
from kcorr.ops.lookup import check_correlation

SEPARABLE = ((1, 5), (5, 1))
PLAIN = ((3, 3),)

VARIANTS = {
    # RAFT's sizes.
    "recurrent": {},
    # For CPUs: one encoder for features and context, few iterations, and one normalisation where
    # everywhere would cost a tenth of the time. Without that one it does not learn: the features'
    # common mean drowns what tells one place from another.
    "recurrent_small": {
        "feature_widths": (24, 48, 96),
        "blocks": (0, 1, 2),
        "stem": 5,
        "channels": 96,
        "hidden": 80,
        "context": 64,
        "correlation_widths": (96,),
        "flow_widths": (32, 32),
        "motion": 64,
        "head": 96,
        "upsampling": 64,
        "kernels": PLAIN,
        "radius": 3,
        "iterations": 6,
        "norm": "none",
        "features_norm": "instance",
        "shared_context": True,
    },
}


@keras.saving.register_keras_serializable(package="kcorr")
class RecurrentFlowNet(TwoFrameNetwork):
    """Optical flow of two frames by a recurrent unit that looks up correlations where the flow is.

    Works at 1/8 of the size (images are enlarged to multiples of 8) from a flow of 0: each
    iteration looks around the present flow's ends at four scales and adds an update; the last
    flow is enlarged by learned convex combinations. The weights are the same at every iteration,
    so their number can be chosen at each call: more are slower and, up to about twice as many as
    in training, better. Gradients flow through the updates and the hidden state, not through the
    positions that are looked up.

    Args:
        feature_widths: channels of the encoder's levels 1, 2, 3 (1/2, 1/4, 1/8 of the size).
        blocks: residual blocks of each level.
        stem: side of the first convolution's kernel.
        channels: of the features that are correlated.
        hidden: channels of the hidden state.
        context: channels of the context, which the unit sees at every iteration.
        correlation_widths, flow_widths, motion: of the `MotionEncoder`.
        head: hidden channels of the convolutions that end in the update.
        upsampling: hidden channels of `ConvexUpsampling`.
        kernels: of the `ConvolutionalGRU`, "separable" in RAFT's full network.
        levels: scales of the lookup.
        radius: of its windows.
        iterations: how many when the call does not say.
        correlation: "all_pairs", or "on_demand" for no tensor of h w x h w pixels (a 436 x 1024
            picture at 1/8: 0.26 GB, 4K: 90 GB); several times slower, the same weights and flow.
        norm: "none", "instance" or "group" normalisation of the features' encoder.
        features_norm: of the features that are correlated, behind their projection.
        context_norm: of the context's encoder.
        shared_context: True makes the context of the first image's features of level 3 instead of
            an encoder of its own.

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, backward=False, iterations=None,
        sequence=False)`, images in [0, 1]. Returns a dict:
        flow: [b, h, w, 2] pixels, frame 1 to frame 2, float32.
        flow_pyramid: list with the flow after each iteration, [b, ceil(h / 8), ceil(w / 8), 2], in
            pixels of that grid.
        features: list of the first image's features, levels 1 to 3.
        flow_sequence: if `sequence`, the list of what `flow` is after each iteration; for losses
            (see `kcorr.losses.sequence_endpoint_error`).
        flow_backward, flow_backward_pyramid, flow_backward_sequence: the same from frame 2 to
            frame 1, if `backward`.

    Raises:
        ValueError: `iterations` below 1, or an unknown `correlation` or normalisation.

    Source: Teed and Deng, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, ECCV 2020.
    Instead of batch normalisation, which tiny batches do not bear, the context's encoder has group
    normalisation; strides pad as TensorFlow does, so ported weights would not give the same flow.
    """

    divisor = 8

    def __init__(
        self,
        feature_widths=(64, 96, 128),
        blocks=(2, 2, 2),
        stem=7,
        channels=256,
        hidden=128,
        context=128,
        correlation_widths=(256, 192),
        flow_widths=(128, 64),
        motion=128,
        head=256,
        upsampling=256,
        kernels=SEPARABLE,
        levels=4,
        radius=4,
        iterations=12,
        correlation="all_pairs",
        norm="instance",
        features_norm="none",
        context_norm="group",
        shared_context=False,
        name="recurrent",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        check_correlation(correlation)
        # === Config ===
        self.config = {
            "feature_widths": tuple(feature_widths),
            "blocks": tuple(blocks),
            "stem": stem,
            "channels": channels,
            "hidden": hidden,
            "context": context,
            "correlation_widths": tuple(correlation_widths),
            "flow_widths": tuple(flow_widths),
            "motion": motion,
            "head": head,
            "upsampling": upsampling,
            "kernels": tuple(tuple(kernel) for kernel in kernels),
            "levels": levels,
            "radius": radius,
            "iterations": int(_checked(iterations)),
            "correlation": correlation,
            "norm": norm,
            "features_norm": features_norm,
            "context_norm": context_norm,
            "shared_context": shared_context,
        }
        self.iterations, self.correlation = self.config["iterations"], correlation
        # === Layers ===
        policy = self.dtype_policy
        encoder = {"widths": feature_widths, "blocks": blocks, "stem": stem, "dtype": policy}
        self.pyramid = ResidualEncoder(norm=norm, name="encoder", **encoder)
        self.projection = NormalisedConvolution(
            channels, kernel=1, norm=features_norm, relu=False, dtype=policy, name="features"
        )
        if not shared_context:
            self.context_encoder = ResidualEncoder(
                norm=context_norm, name="context_encoder", **encoder
            )
        self.context_projection = convolution(hidden + context, "context", kernel=1, dtype=policy)
        self.motion = MotionEncoder(
            correlation_widths, flow_widths, motion, dtype=policy, name="motion"
        )
        self.unit = ConvolutionalGRU(hidden, kernels, dtype=policy, name="unit")
        self.head = FlowEstimator((head,), slope=0.0, dtype=policy, name="head")
        self.upsampling = ConvexUpsampling(upsampling, dtype=policy, name="upsampling")

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        config, unknown = self.config, (None, None, None)
        self.pyramid.build((*unknown, 3))
        if not config["shared_context"]:
            self.context_encoder.build((*unknown, 3))
        for layer in (self.projection, self.context_projection):
            build_chain([layer], config["feature_widths"][-1])
        correlations = config["levels"] * (2 * config["radius"] + 1) ** 2
        self.motion.build((*unknown, correlations), (*unknown, 2))
        self.unit.build((*unknown, config["motion"]), (*unknown, config["context"]))
        for layer in (self.head, self.upsampling):
            layer.build((*unknown, config["hidden"]))
        self.built = True

    def call(self, inputs, training=False, backward=False, iterations=None, sequence=False):
        return self.run(inputs, backward, iterations=iterations, sequence=sequence)

    def encode(self, images):
        """Levels 1 to 3 of the images, the features to correlate, and what has the context."""
        images = ops.cast(2.0 * images - 1.0, self.compute_dtype)
        levels = self.pyramid(images)
        source = levels[-1] if self.config["shared_context"] else images
        return [*levels, self.projection(levels[-1]), source]

    def decode(self, first, second, size, iterations=None, sequence=False):
        """Flows of two encodings: `flow` at `size`, after each iteration, and the features."""
        iterations = self.iterations if iterations is None else _checked(iterations)
        *levels, correlated, source = first
        lookup = CorrelationLookup(
            correlated, second[-2], self.config["levels"], self.config["radius"], self.correlation
        )
        hidden, context = self._context(source)
        prepared = self.unit.prepare(context)
        flow = ops.zeros_like(ops.cast(correlated[..., :2], "float32"))
        flows, fine = [], []
        for _ in range(iterations):
            flow = ops.stop_gradient(flow)
            hidden = self.unit(hidden, self.motion(lookup(flow), flow), prepared)
            flow = flow + self.head(hidden)[1]
            flows.append(flow)
            if sequence or len(flows) == iterations:
                fine.append(resize_flow(self.upsampling(hidden, flow), size))
        outputs = {"flow": fine[-1], "flow_pyramid": flows, "features": levels}
        return {**outputs, "flow_sequence": fine} if sequence else outputs

    def _context(self, source):
        """The first hidden state, and the context."""
        if not self.config["shared_context"]:
            source = self.context_encoder(source)[-1]
        both = self.context_projection(source)
        hidden, context = ops.split(both, [self.config["hidden"]], axis=-1)
        return ops.tanh(hidden), ops.relu(context)

    def get_config(self):
        return {**super().get_config(), **self.config}


def _checked(iterations):
    if not isinstance(iterations, numbers.Integral) or iterations < 1:
        raise ValueError(f"iterations must be a whole number from 1, got {iterations!r}")
    return iterations
