"""SelFlowNet: the three-frame coarse-to-fine flow network of SelFlow."""

import keras
from keras import ops

from kcorr import schema
from kcorr.models.coarse_to_fine import SMALL, CoarseToFineNet

VARIANTS = {
    # Exactly the authors' network, 4,790,876 parameters.
    "selflow": {},
    "selflow_small": SMALL,
}


@keras.saving.register_keras_serializable(package="kcorr")
class SelFlowNet(CoarseToFineNet):
    """Optical flow of the middle one of three frames, to the next and to the previous frame.

    Both flows lie on image1's grid, so that what one neighbour hides, the other may show: each
    level sees the cost volumes and flows of both, with the same weights in exchanged roles and the
    other flow negated (under steady motion the two are then equal). Features are computed once per
    image. Any size from 16x16 works.

    Args:
        feature_widths: channels of the pyramid's levels 1 to 6.
        estimator_widths: hidden channels of each level's estimator (weights are not shared).
        context_widths: hidden channels of the context network.
        radius: of the cost volume, in pixels of the level.
        residual: True adds an estimator's output to the flow that came from the level above, and
            the context network's to the flow of level 2; False (the authors) takes either as the
            flow itself.
        border: of the warp, see `kcorr.ops.backward_warp`. The authors' weights need "authors".
        standardise: brings each image to mean 0 and variance 1 first, as the authors do where they
            learn from ground truth (their Sintel model).
        zoom: 1 to 4, in sixteenths: images are enlarged so many times before their features are
            found.

    Call: `net({"image0", "image1", "image2"}, backward=False)`, each [b, h, w, 3] in [0, 1],
        consecutive frames. Returns a dict, float32 but for the features:
        flow: [b, h, w, 2] pixels, frame 1 to frame 2.
        flow_previous: [b, h, w, 2] pixels, frame 1 to frame 0, also on image1's grid.
        flow_pyramid, flow_previous_pyramid: lists from level 6 to level 2, then the refined flow at
            1/4 of the (enlarged) images' size, each in pixels of its own grid.
        features: list of the (enlarged) image1's features, level 1 to 6.
        flow_backward, flow_backward_pyramid: from frame 2 to frame 1, on image2's grid, if
            `backward`: the previous flow of a second pass, centred on frame 2, with `image3` after
            it. This, not `flow_previous`, goes with `flow` into a forward-backward check.

        At the ends of a video there is no frame before or after: without `image0` the first image
        is repeated, without `image3` the second. So two frames are enough, and swapping them gives
        `flow_backward`; three are better.

        `net({"image0", ..., "image4"}, window=True)` is for training: one pass for each inner
        frame, all features computed once. Returns, each with a `..._pyramid`: flow12, flow10;
        flow23, flow21; flow34, flow32 (`kcorr.schema.flow_between`); any three or more frames work.

    Raises:
        ValueError: a window of fewer than three images, or with a gap.

    Source: Liu et al., SelFlow: Self-Supervised Learning of Optical Flow, CVPR 2019, and its
    released code (layer names are the authors').
    """

    default_name = "selflow"
    frames = 3

    def call(self, inputs, training=False, backward=False, window=False):
        if window:
            return self._window(inputs)
        keys = [schema.IMAGE0, schema.IMAGE1, schema.IMAGE2]
        if backward:
            keys.append(schema.IMAGE3)
        pyramids = self._pyramids(inputs, [key for key in keys if key in inputs])
        first, second = pyramids[schema.IMAGE1], pyramids[schema.IMAGE2]
        passes = [(pyramids.get(schema.IMAGE0, first), first, second)]
        if backward:
            passes.append((first, second, pyramids.get(schema.IMAGE3, second)))
        flows = self._flows(passes, ops.shape(inputs[schema.IMAGE1])[1:3])
        outputs = {**_named(schema.FLOW, *flows[0][0]), schema.FEATURES: first}
        outputs |= _named(schema.FLOW_PREVIOUS, *flows[0][1])
        if backward:
            outputs |= _named(schema.FLOW_BACKWARD, *flows[1][1])
        return outputs

    def _window(self, inputs):
        """{"flow12": ..., "flow12_pyramid": ..., "flow10": ..., ...} of consecutive images."""
        found = [i for i in range(10) if f"image{i}" in inputs]
        if len(found) < 3 or found != list(range(len(found))):
            raise ValueError(
                f"a window has images {', '.join(f'image{i}' for i in found) or 'none'}, "
                "expected image0, image1, image2 and so on, at least these three"
            )
        pyramids = list(self._pyramids(inputs, [f"image{i}" for i in found]).values())
        passes = list(zip(pyramids, pyramids[1:], pyramids[2:], strict=False))
        flows = self._flows(passes, ops.shape(inputs[schema.IMAGE0])[1:3])
        outputs = {}
        for centre, (following, previous) in enumerate(flows, start=1):
            outputs |= _named(schema.flow_between(centre, centre + 1), *following)
            outputs |= _named(schema.flow_between(centre, centre - 1), *previous)
        return outputs

    def _pyramids(self, inputs, keys):
        """{key: feature pyramid} of the images under `keys`."""
        features = self.encode(ops.concatenate([inputs[key] for key in keys], axis=0))
        levels = [ops.split(level, len(keys), axis=0) for level in features]
        return dict(zip(keys, map(list, zip(*levels, strict=True)), strict=True))

    def _flows(self, passes, size):
        """Runs all passes in both directions as one batch.

        Args:
            passes: list of n (previous, centre, next) feature pyramids.
            size: (height, width) of the images.

        Returns:
            For each pass the pair (to the next, to the previous frame), each of which is
            (flow, pyramid).
        """
        previous, centre, following = (
            [ops.concatenate(same, axis=0) for same in zip(*pyramids, strict=True)]
            for pyramids in zip(*passes, strict=True)
        )
        both = self.decode(
            [ops.concatenate([level, level], axis=0) for level in centre],
            [ops.concatenate(both, axis=0) for both in zip(following, previous, strict=True)],
            size,
        )
        count = len(passes)
        flows = ops.split(both["flow"], 2 * count, axis=0)
        levels = [ops.split(level, 2 * count, axis=0) for level in both["flow_pyramid"]]
        results = list(zip(flows, map(list, zip(*levels, strict=True)), strict=True))
        return list(zip(results[:count], results[count:], strict=True))

    def estimator_inputs(self, volume, features, unit, flow):
        """Both cost volumes, the features as they are, both flows: the own one, the other's -w."""
        return volume, _other(volume), features, flow, -_other(flow)

    def context_inputs(self, hidden, flow):
        """The features and flows of both directions."""
        return hidden, _other(hidden), flow, -_other(flow)

    def refine(self, flow, update):
        """The authors take the context network's output alone."""
        return flow + update if self.residual else update


def _other(values):
    """What the other direction has: `decode` runs both, one half of the batch each."""
    following, previous = ops.split(values, 2, axis=0)
    return ops.concatenate([previous, following], axis=0)


def _named(key, flow, pyramid):
    return {key: flow, f"{key}_pyramid": pyramid}
