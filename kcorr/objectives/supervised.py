"""Learning from known flow: generated scenes, or a benchmark's ground truth."""

from kcorr import schema
from kcorr.losses import pyramid_endpoint_error
from kcorr.objectives.flow import FlowObjective


class SupervisedFlow(FlowObjective):
    """Robust endpoint error at every level of the network's pyramid and at full resolution.

    Batches: image1, image2, flow, valid. On generated scenes the flow is known because kcorr made
    the scene from unlabelled pictures: supervision without labels.

    Args:
        network: returns `flow` and `flow_pyramid`.
        epsilon, exponent: robustness of the error, see `kcorr.losses.pyramid_endpoint_error`. The
            defaults keep a share of 100 px motions from drowning the sub-pixel ones.
        **kwargs: of `Objective`.
    """

    term_names = ("pyramid",)

    def __init__(self, network, epsilon=0.1, exponent=0.6, **kwargs):
        super().__init__(network, **kwargs)
        self.robust = {"epsilon": epsilon, "exponent": exponent}

    def terms(self, batch, training):
        """{"pyramid": [b]}."""
        output = self.network(batch, training=training)
        levels = [*output[schema.FLOW_PYRAMID], output[schema.FLOW]]
        target, valid = batch[schema.FLOW], batch[schema.VALID]
        return {"pyramid": pyramid_endpoint_error(levels, target, valid, **self.robust)}
