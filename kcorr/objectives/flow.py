"""What objectives of optical flow share, and learning without any supervision."""

from keras import ops

from kcorr import schema
from kcorr.losses import census, edge_aware_smoothness, endpoint_error, photometric
from kcorr.objectives.directions import all_directions, flows_between, summed
from kcorr.objectives.objective import Objective
from kcorr.ops import backward_warp, resize

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

    Batches: image1, image2, or windows image0 to image4, of which a network learns four flows as
    SelFlow's does (see `kcorr.objectives.directions`). Terms: `photometric` (summed over all
    directions, as the authors do) and `smoothness`.

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
        flows, finest = flows_between(self.network, batch, training)
        return self.photometric_terms(all_directions(batch, flows, finest, self.border))

    def photometric_terms(self, ways):
        """The terms of `Directions`."""
        terms = {}
        if self.photometric is not None:
            warped, _ = backward_warp(ways.second, ways.flow, self.border)
            mask = 1.0 - ways.hidden if self.occlusion else None
            values = PHOTOMETRIC[self.photometric](ways.first, warped, mask)
            terms["photometric"] = summed(values, ways.count)
        if self.smoothness:
            small = resize(ways.first, ops.shape(ways.finest)[1:3])
            values = edge_aware_smoothness(ways.finest, small, self.order)
            terms["smoothness"] = summed(values, ways.count)
        return terms
