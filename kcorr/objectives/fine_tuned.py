"""Fine-tuning on ground truth, as the authors do it: the endpoint error at full resolution."""

from kcorr import schema
from kcorr.losses import endpoint_error
from kcorr.objectives.flow import FlowObjective


class FineTunedFlow(FlowObjective):
    """Masked endpoint error of the full-resolution flow only, for sparse or dense ground truth.

    The authors found levels of the pyramid to make little difference (`SupervisedFlow` has them).
    They feed standardised images here, which is the network's business: `standardise=True` of
    `DDFlowNet` and `SelFlowNet`, saved with it.

    Args:
        network: any flow network, usually with the weights of self-supervised learning.
        epsilon, exponent: of the robust form of the error, see `kcorr.losses.endpoint_error`; the
            defaults are the plain Euclidean error.
        **kwargs: of `Objective`.

    Batches: image1, image2, flow and valid; image0 too for networks of three frames.
    Terms: `endpoint`.

    Source: the authors' replies on SelFlow (Liu et al., CVPR 2019) and its released code.
    """

    term_names = ("endpoint",)

    def __init__(self, network, epsilon=0.0, exponent=1.0, **kwargs):
        super().__init__(network, **kwargs)
        self.robust = {"epsilon": epsilon, "exponent": exponent}

    def terms(self, batch, training):
        """{"endpoint": [b]}."""
        flow = self.network(batch, training=training)[schema.FLOW]
        error = endpoint_error(flow, batch[schema.FLOW], batch[schema.VALID], **self.robust)
        return {"endpoint": error}
