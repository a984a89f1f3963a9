"""What objectives of optical flow share, and learning without any supervision."""

import functools
import inspect

from keras import ops

from kcorr import schema
from kcorr.losses import (
    census,
    edge_aware_smoothness,
    endpoint_error,
    photometric,
    sequence_mean,
)
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
        smoothness: weight of the edge-aware smoothness of the flow at a quarter of the size (of the
            enlarged size for a network with `zoom`), 0 for none (DDFlow has none).
        order: of the smoothness, 1 or 2.
        border: of the warp: "zero", or "authors" for the authors' sampler.
        gamma: the flow of each iteration counts photometrically, with weights that fall by this
            factor from the last iteration to the first (0.8 in RAFT and SMURF); what is hidden is
            found by the last flows. For recurrent networks, of which else only the last counts.
        **kwargs: of `Objective`.

    Batches: image1, image2, or windows image0 to image4, of which a network learns four flows as
    SelFlow's does (see `kcorr.objectives.directions`). Terms: `photometric` (summed over all
    directions, as the authors do) and `smoothness` (of the last flows). Watched: `hidden`, the mean
    share of pixels that the forward-backward check hides, also where `occlusion` is False. Near 1
    the photometric term is small because it compares hardly anything.

    Raises:
        ValueError: unknown `photometric`, a `gamma` for a network that has no iterations, or
            `smoothness` for one that returns no `flow_pyramid`.

    Source: Liu et al., DDFlow, AAAI 2019, eq. 1-3; smoothness: Jonschkowski et al., ECCV 2020;
    gamma: Stone et al., SMURF, CVPR 2021 (sequence loss).
    """

    watched_names = ("hidden",)

    def __init__(
        self,
        network,
        photometric="census",
        occlusion=True,
        smoothness=0.0,
        order=1,
        border="zero",
        gamma=None,
        weights=None,
        **kwargs,
    ):
        if photometric not in PHOTOMETRIC:
            raise ValueError(
                f"photometric must be one of {', '.join(PHOTOMETRIC)}, got {photometric!r}"
            )
        check_gamma(gamma, network)
        super().__init__(network, weights={"smoothness": smoothness, **(weights or {})}, **kwargs)
        self.photometric, self.occlusion = photometric, occlusion
        self.smoothness, self.order, self.border = smoothness, order, border
        self.gamma = gamma

    @property
    def term_names(self):
        """`photometric`, and `smoothness` if it weighs anything."""
        return ("photometric", "smoothness") if self.smoothness else ("photometric",)

    def terms(self, batch, training):
        """The terms and the watched value of the class's docstring, each [b]."""
        ways = self.ways(batch, training)
        return {**self.photometric_terms(ways), "hidden": ways.hidden_share}

    def ways(self, images, training):
        """The network's `Directions` of images."""
        found = flows_between(self.network, images, training, sequence=self.gamma is not None)
        return all_directions(images, *found, border=self.border)

    def over_iterations(self, ways, loss):
        """`loss(flow)` [n b] of each iteration, weighed by `gamma`, summed over directions: [b]."""
        return summed(sequence_mean(map(loss, ways.sequence), self.gamma or 1.0), ways.count)

    def photometric_terms(self, ways):
        """The terms of `Directions`."""
        terms = {}
        left_out = [ways.hidden] if self.occlusion else []
        if ways.unusable is not None:
            left_out.append(ways.unusable)
        mask = 1.0 - functools.reduce(ops.maximum, left_out) if left_out else None

        def difference(flow):
            warped, _ = backward_warp(ways.second, flow, self.border)
            return PHOTOMETRIC[self.photometric](ways.first, warped, mask)

        if self.photometric is not None:
            terms["photometric"] = self.over_iterations(ways, difference)
        if self.smoothness:
            if ways.finest is None:
                raise ValueError(
                    f"smoothness is of a network's flow_pyramid, and {self.network.name!r} returns "
                    "none"
                )
            small = resize(ways.first, ops.shape(ways.finest)[1:3])
            values = edge_aware_smoothness(ways.finest, small, self.order)
            terms["smoothness"] = summed(values, ways.count)
        return terms


def check_gamma(gamma, network):
    """Raises ValueError if there is a `gamma`, but no iterations that it could weigh."""
    if gamma is not None and "sequence" not in inspect.signature(network.call).parameters:
        raise ValueError(
            f"gamma weighs the iterations of a recurrent network, and {network.name!r} has none"
        )
