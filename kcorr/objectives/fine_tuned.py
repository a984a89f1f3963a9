"""Fine-tuning on ground truth, as the authors do it: the endpoint error at full resolution."""

from kcorr import schema
from kcorr.losses import sequence_endpoint_error
from kcorr.objectives.flow import FlowObjective, check_gamma


class FineTunedFlow(FlowObjective):
    """Masked endpoint error of the full-resolution flow only, for sparse or dense ground truth.

    The authors found levels of the pyramid to make little difference (`SupervisedFlow` has them).
    They feed standardised images here, which is the network's business: `standardise=True` of
    `DDFlowNet` and `SelFlowNet`, saved with it.

    Args:
        network: any flow network, usually with the weights of self-supervised learning.
        epsilon, exponent: of the robust form of the error, see `kcorr.losses.endpoint_error`; the
            defaults are the plain Euclidean error.
        gamma: the flow of each iteration counts, with weights that fall by this factor from the
            last iteration to the first: RAFT's 0.8. None: only the last flow does.
        **kwargs: of `Objective`.

    Batches: image1, image2, flow and valid; image0 too for networks of three frames.
    Terms: `endpoint`.

    Raises:
        ValueError: a `gamma` for a network that has no iterations.

    Source: the authors' replies on SelFlow (Liu et al., CVPR 2019) and its released code; gamma:
    Teed and Deng, RAFT, ECCV 2020, eq. 7.
    """

    term_names = ("endpoint",)

    def __init__(self, network, epsilon=0.0, exponent=1.0, gamma=None, **kwargs):
        check_gamma(gamma, network)
        super().__init__(network, **kwargs)
        self.gamma = gamma
        self.robust = {"epsilon": epsilon, "exponent": exponent}

    def terms(self, batch, training):
        """{"endpoint": [b]}."""
        target, valid = batch[schema.FLOW], batch[schema.VALID]
        if self.gamma is None:
            flows = [self.network(batch, training=training)[schema.FLOW]]
        else:
            flows = self.network(batch, training=training, sequence=True)[schema.FLOW_SEQUENCE]
        error = sequence_endpoint_error(flows, target, valid, self.gamma or 1.0, **self.robust)
        return {"endpoint": error}
