"""FlowNetS and FlowNetC: contracting convolutions, and an expanding part that refines the flow."""

import keras
from keras import ops

from kcorr.models.blocks import (
    FeaturePyramid,
    build_chain,
    convolution,
    joined,
    leaky_relu,
    upsampling,
)
from kcorr.models.two_frames import TwoFrameNetwork
from kcorr.ops import local_correlation, resize_flow

SLOPE = 0.1
# Not the authors' choice, which is not known here: with Glorot's, which each LeakyReLU halves the
# signal of, FlowNetC took twice the steps to learn a shift.
INITIALIZER = "he_normal"
KERNELS = (7, 5, 5)  # of the first three levels
COARSEST = 6

SMALL = {"widths": (24, 48, 96, 192, 192, 384), "decoder_widths": (192, 96, 48, 24)}

# The papers' networks have 38.7 M and 39.2 M parameters (from memory); these 38,676,514 and
# 39,175,298. The small ones take less than a sixth of the multiplications, for CPUs; their sizes
# are kcorr's own.
VARIANTS = {"flownet_s": {}, "flownet_s_small": SMALL}
CORRELATION_VARIANTS = {
    "flownet_c": {},
    "flownet_c_small": {**SMALL, "redirected": 16, "radius": 6},
}


@keras.saving.register_keras_serializable(package="kcorr")
class Expansion(keras.layers.Layer):
    """From the coarsest features back up: at each level a flow, handed to the next with a skip.

    Args:
        widths: channels of the transposed convolutions, coarsest first; one level more than these
            has a flow.

    Call: features of the levels, coarsest first, each [b, h, w, .], twice the size of the one
        before -> list of flows [b, h, w, 2], float32.
    """

    def __init__(self, widths, **kwargs):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        count = len(self.widths)
        self.heads = [convolution(2, f"flow_{i}", dtype="float32") for i in range(count + 1)]
        self.deconvolutions = [
            upsampling(width, f"deconv_{i}", self.dtype_policy, INITIALIZER)
            for i, width in enumerate(self.widths)
        ]
        self.flow_upsamplers = [
            upsampling(2, f"up_flow_{i}", dtype="float32") for i in range(count)
        ]

    def build(self, input_shape):
        channels = input_shape[0][-1]
        for i, width in enumerate(self.widths):
            self.heads[i].build((None, None, None, channels))
            self.deconvolutions[i].build((None, None, None, channels))
            self.flow_upsamplers[i].build((None, None, None, 2))
            channels = input_shape[i + 1][-1] + width + 2
        self.heads[-1].build((None, None, None, channels))
        self.built = True

    def call(self, maps):
        hidden, flows = maps[0], [self.heads[0](maps[0])]
        for skip, head, deconvolution, enlarge in zip(
            maps[1:], self.heads[1:], self.deconvolutions, self.flow_upsamplers, strict=True
        ):
            grown = leaky_relu(deconvolution(hidden), SLOPE)
            hidden = joined([skip, grown, enlarge(flows[-1])], self.compute_dtype)
            flows.append(head(hidden))
        return flows

    def get_config(self):
        return {**super().get_config(), "widths": self.widths}


@keras.saving.register_keras_serializable(package="kcorr")
class FlowNetS(TwoFrameNetwork):
    """Optical flow of two frames that are stacked and go through one plain network.

    Images are enlarged to multiples of 64; level L then has size h / 2^L. Levels 6 to 2 carry flow;
    that of level 2 is enlarged to the images' size. Any size works; sizes from 64x64 are what it is
    made for.

    Args:
        widths: channels of the levels 1 to 6.
        decoder_widths: channels of the transposed convolutions that lead to levels 5, 4, 3 and 2.
        flow_scale: the heads predict the flow in units of so many pixels of the enlarged image.
            From memory of the released training, not read.

    Call: `net({"image1": [b, h, w, 3], "image2": [b, h, w, 3]}, backward=False)`, images in [0, 1].
        Returns a dict:
        flow: [b, h, w, 2] pixels, frame 1 to frame 2, float32.
        flow_pyramid: list from level 6 to level 2, each in pixels of its own grid.
        features: list of level 1 to 6; they belong to the pair, one image alone has none.
        flow_backward, flow_backward_pyramid: the same from frame 2 to frame 1, if `backward`.

    Raises:
        ValueError: not six widths and four decoder widths.

    Source: Dosovitskiy et al., FlowNet: Learning Optical Flow with Convolutional Networks, ICCV
    2015 (layer sizes as in public ports). Strided convolutions pad as TensorFlow does.
    """

    divisor = 2**COARSEST

    def __init__(
        self,
        widths=(64, 128, 256, 512, 512, 1024),
        decoder_widths=(512, 256, 128, 64),
        flow_scale=20.0,
        name="flownet_s",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if len(widths) != COARSEST or len(decoder_widths) != COARSEST - 2:
            raise ValueError(
                f"need six widths and four decoder widths, got {widths} and {decoder_widths}"
            )
        # === Config ===
        self.config = {
            "widths": tuple(widths),
            "decoder_widths": tuple(decoder_widths),
            "flow_scale": flow_scale,
        }
        self.flow_scale = flow_scale
        # === Layers ===
        policy = self.dtype_policy
        shared = {"slope": SLOPE, "initializer": INITIALIZER, "dtype": policy}
        self.front = FeaturePyramid(
            widths[:3], kernels=KERNELS, convolutions=1, name="front", **shared
        )
        self.bridge = convolution(widths[2], "conv3_1", dtype=policy, initializer=INITIALIZER)
        self.back = FeaturePyramid(widths[3:], name="back", **shared)
        self.expansion = Expansion(decoder_widths, dtype=policy, name="expansion")

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        widths = self.config["widths"]
        self.front.build((None, None, None, self.image_channels))
        self.back.build((None, None, None, build_chain([self.bridge], self.bridge_channels)))
        self.expansion.build([(None, None, None, width) for width in widths[:0:-1]])
        self.built = True

    @property
    def image_channels(self):
        """What the first convolution sees: both images."""
        return 6

    @property
    def bridge_channels(self):
        """What the convolution behind the third level sees."""
        return self.config["widths"][2]

    def encode(self, images):
        """The images [b, h, w, 3] themselves: nothing is computed of one alone."""
        return [images]

    def decode(self, first, second, size):
        """Flow of two images at `size`, those of the levels, and the pair's features."""
        front = self.front(joined([first[0], second[0]], self.compute_dtype))
        outputs, rest = self.refine(front[1], front[2], size)
        return {**outputs, "features": [*front[:2], *rest]}

    def refine(self, skip, hidden, size):
        """Flow at `size` from features of level 2 (a skip) and of level 3.

        Returns:
            flow and flow_pyramid; and the features of levels 3 to 6.
        """
        hidden = leaky_relu(self.bridge(hidden), SLOPE)
        rest = [hidden, *self.back(hidden)]
        flows = self.expansion([*rest[::-1], skip])
        pyramid = [
            flow * (self.flow_scale / 2**level)
            for level, flow in zip(range(COARSEST, 1, -1), flows, strict=True)
        ]
        return {"flow": resize_flow(pyramid[-1], size), "flow_pyramid": pyramid}, rest

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="kcorr")
class FlowNetC(FlowNetS):
    """FlowNet whose first three levels see each image alone and then are correlated.

    The correlation of level 3 looks at (2 radius + 1)^2 displacements, `dilation` pixels apart: 441
    with a reach of 20 pixels, 160 pixels of the image.

    Args:
        widths, decoder_widths, flow_scale: of `FlowNetS`.
        redirected: channels of the 1x1 convolution of the first image's level 3 that goes beside
            the correlations.
        radius: of the correlation, in steps.
        dilation: pixels of level 3 a step.

    Call: as `FlowNetS`; features are those of the first image alone, levels 1 to 3.

    Source: as `FlowNetS`. Correlations are divided by the channels and go through a LeakyReLU.
    """

    def __init__(
        self,
        widths=(64, 128, 256, 512, 512, 1024),
        decoder_widths=(512, 256, 128, 64),
        flow_scale=20.0,
        redirected=32,
        radius=10,
        dilation=2,
        name="flownet_c",
        **kwargs,
    ):
        super().__init__(widths, decoder_widths, flow_scale, name=name, **kwargs)
        self.config |= {"redirected": redirected, "radius": radius, "dilation": dilation}
        self.radius, self.dilation = radius, dilation
        self.redirect = convolution(
            redirected, "conv_redir", kernel=1, dtype=self.dtype_policy, initializer=INITIALIZER
        )

    @property
    def pyramid(self):
        """The layer that makes the features of one image."""
        return self.front

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        build_chain([self.redirect], self.config["widths"][2])
        super().build(input_shape)

    @property
    def image_channels(self):
        """What the first convolution sees: one image."""
        return 3

    @property
    def bridge_channels(self):
        """What the convolution behind the third level sees: correlations and redirected maps."""
        return (2 * self.radius + 1) ** 2 + self.config["redirected"]

    def encode(self, images):
        """Features of the levels 1 to 3 of images [b, h, w, 3]."""
        return self.front(ops.cast(images, self.compute_dtype))

    def decode(self, first, second, size):
        """Flow of two images' features at `size`, and those of the levels."""
        volume = local_correlation(first[2], second[2], self.radius, self.dilation, "mean")
        redirected = leaky_relu(self.redirect(first[2]), SLOPE)
        hidden = joined([redirected, leaky_relu(volume, SLOPE)], self.compute_dtype)
        outputs, _ = self.refine(first[1], hidden, size)
        return outputs
