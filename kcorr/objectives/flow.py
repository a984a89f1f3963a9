"""What objectives of optical flow share, and learning without any supervision."""

from keras import ops

from kcorr import schema
from kcorr.losses import census, edge_aware_smoothness, endpoint_error, photometric
from kcorr.objectives.objective import Objective
from kcorr.ops import backward_warp, fb_occlusion, resize

PHOTOMETRIC = {"brightness": photometric, "census": census}


class FlowObjective(Objective):
    """An objective whose network maps image1, image2 to flow; measures the error in evaluation."""

    observed_names = ("epe", "epe_zero")

    def observe(self, batch):
        """{"epe": [b] pixels, "epe_zero": [b] of zero flow} if the batch holds flow and valid."""
        if schema.FLOW not in batch:
            return {}
        flow = self.network(batch, training=False)[schema.FLOW]
        target, valid = batch[schema.FLOW], batch[schema.VALID]
        return {
            "epe": endpoint_error(flow, target, valid),
            "epe_zero": endpoint_error(ops.zeros_like(flow), target, valid),
        }


class UnsupervisedFlow(FlowObjective):
    """Photometric learning in both directions, with or without occlusion handling.

    Stage A of DDFlow is `photometric="brightness", occlusion=False`, stage B (the teacher)
    `photometric="census", occlusion=True`. On new data begin with A or with a trained network:
    occlusion masks of an untrained network can hide everything (the authors' advice).

    Args:
        network: called as `network(batch, backward=True)`; returns flow and flow_backward.
        photometric: "brightness" or "census".
        occlusion: whether pixels hidden by the forward-backward check are left out.
        smoothness: weight of the edge-aware smoothness of the flow at a quarter of the size, 0 for
            none (DDFlow has none).
        order: of the smoothness, 1 or 2.
        border: of the warp: "zero", or "authors" for the authors' sampler.
        **kwargs: of `Objective`.

    Batches: image1, image2. Terms: `photometric` (forward plus backward, as the authors sum them)
    and `smoothness`.

    Raises:
        ValueError: unknown `photometric`.

    Source: Liu et al., DDFlow, AAAI 2019, eq. 1-3; smoothness: Jonschkowski et al., ECCV 2020.
    """

    def __init__(
        self,
        network,
        photometric="census",
        occlusion=True,
        smoothness=0.0,
        order=1,
        border="zero",
        weights=None,
        **kwargs,
    ):
        if photometric not in PHOTOMETRIC:
            raise ValueError(
                f"photometric must be one of {', '.join(PHOTOMETRIC)}, got {photometric!r}"
            )
        super().__init__(network, weights={"smoothness": smoothness, **(weights or {})}, **kwargs)
        self.photometric, self.occlusion = photometric, occlusion
        self.smoothness, self.order, self.border = smoothness, order, border

    @property
    def term_names(self):
        """`photometric`, and `smoothness` if it weighs anything."""
        return ("photometric", "smoothness") if self.smoothness else ("photometric",)

    def terms(self, batch, training):
        """{"photometric": [b]} and, if it weighs anything, {"smoothness": [b]}."""
        output = self.network(batch, training=training, backward=True)
        return self.photometric_terms(output, *both_ways(batch, output, self.border))

    def photometric_terms(self, output, images, flow, hidden):
        """The terms of a network's output and what `both_ways` made of it."""
        first, second = images
        warped, _ = backward_warp(second, flow, self.border)
        mask = 1.0 - hidden if self.occlusion else None
        terms = {"photometric": summed(PHOTOMETRIC[self.photometric](first, warped, mask))}
        if self.smoothness:
            rough = both_directions(
                output[schema.FLOW_PYRAMID][-1], output["flow_backward_pyramid"][-1]
            )
            small = resize(first, ops.shape(rough)[1:3])
            terms["smoothness"] = summed(edge_aware_smoothness(rough, small, self.order))
        return terms


def both_directions(forward, backward):
    """[b, ...] and [b, ...] -> [2b, ...]: both directions as one batch."""
    return ops.concatenate([forward, backward], axis=0)


def summed(values):
    """Per-example values of stacked directions, [2b] -> [b], forward plus backward."""
    forward, backward = ops.split(values, 2, axis=0)
    return forward + backward


def both_ways(batch, output, border="zero"):
    """Stacks a batch and a network's output over the two directions.

    Returns:
        images: (first, second), each [2b, h, w, 3].
        flow: [2b, h, w, 2].
        hidden: [2b, h, w, 1], the occlusion of each direction's first frame, without gradient.
    """
    image1, image2 = batch[schema.IMAGE1], batch[schema.IMAGE2]
    images = both_directions(image1, image2), both_directions(image2, image1)
    flow = both_directions(output[schema.FLOW], output[schema.FLOW_BACKWARD])
    back = both_directions(output[schema.FLOW_BACKWARD], output[schema.FLOW])
    hidden = fb_occlusion(flow, back, outside_is_occluded=border != "authors", border=border)
    return images, flow, hidden
