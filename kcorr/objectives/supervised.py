"""Learning from known flow: generated scenes, or a benchmark's ground truth."""

from kcorr import schema
from kcorr.losses import pyramid_endpoint_error, sequence_endpoint_error
from kcorr.objectives.flow import FlowObjective, check_gamma


class SupervisedFlow(FlowObjective):
    """Robust endpoint error at every level of the network's pyramid and at full resolution.

    Batches: image1, image2, flow, valid. On generated scenes the flow is known because kcorr made
    the scene from unlabelled pictures: supervision without labels.

    Args:
        network: returns `flow` and `flow_pyramid`.
        epsilon, exponent: robustness of the error, see `kcorr.losses.pyramid_endpoint_error`. The
            defaults keep a share of 100 px motions from drowning the sub-pixel ones.
        gamma: instead of the pyramid the flow of each iteration at full resolution counts, with
            weights that fall by this factor from the last iteration to the first: RAFT's 0.8. For
            recurrent networks, which else are taught at full resolution by the last iteration only.
        **kwargs: of `Objective`.

    Raises:
        ValueError: a `gamma` for a network that has no iterations.
    """

    term_names = ("pyramid",)

    def __init__(self, network, epsilon=0.1, exponent=0.6, gamma=None, **kwargs):
        check_gamma(gamma, network)
        super().__init__(network, **kwargs)
        self.gamma = gamma
        self.robust = {"epsilon": epsilon, "exponent": exponent}

    def terms(self, batch, training):
        """{"pyramid": [b]}."""
        target, valid = batch[schema.FLOW], batch[schema.VALID]
        if self.gamma is not None:
            flows = self.network(batch, training=training, sequence=True)[schema.FLOW_SEQUENCE]
            error = sequence_endpoint_error(flows, target, valid, self.gamma, **self.robust)
            return {"pyramid": error}
        output = self.network(batch, training=training)
        levels = [*output[schema.FLOW_PYRAMID], output[schema.FLOW]]
        return {"pyramid": pyramid_endpoint_error(levels, target, valid, **self.robust)}
