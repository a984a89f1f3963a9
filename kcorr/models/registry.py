"""Networks by name."""

from kcorr.models.ddflow import VARIANTS as DDFLOW_VARIANTS
from kcorr.models.ddflow import DDFlowNet
from kcorr.models.flownet import CORRELATION_VARIANTS as FLOWNETC_VARIANTS
from kcorr.models.flownet import VARIANTS as FLOWNETS_VARIANTS
from kcorr.models.flownet import FlowNetC, FlowNetS
from kcorr.models.pwc import VARIANTS as PWC_VARIANTS
from kcorr.models.pwc import PWCNet
from kcorr.models.recurrent import VARIANTS as RECURRENT_VARIANTS
from kcorr.models.recurrent import RecurrentFlowNet
from kcorr.models.selflow import VARIANTS as SELFLOW_VARIANTS
from kcorr.models.selflow import SelFlowNet
from kcorr.models.spynet import VARIANTS as SPYNET_VARIANTS
from kcorr.models.spynet import SpyNet

_FAMILIES = [
    (DDFlowNet, DDFLOW_VARIANTS),
    (SelFlowNet, SELFLOW_VARIANTS),
    (PWCNet, PWC_VARIANTS),
    (FlowNetS, FLOWNETS_VARIANTS),
    (FlowNetC, FLOWNETC_VARIANTS),
    (SpyNet, SPYNET_VARIANTS),
    (RecurrentFlowNet, RECURRENT_VARIANTS),
]
NETWORKS = {
    name: (network, config) for network, variants in _FAMILIES for name, config in variants.items()
}


def build(name, **overrides):
    """A network with fresh weights, built.

    Args:
        name: one of `NETWORKS`: "ddflow" and the three-frame "selflow" (the authors' networks),
            "ddflow_small" and "selflow_small" (about a quarter of the work), ...
        **overrides: constructor arguments that replace the variant's, for example `dtype`.

    Returns:
        A `keras.Model` with all weights created.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.
    """
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; known are {', '.join(sorted(NETWORKS))}")
    network, config = NETWORKS[name]
    model = network(**{**config, **overrides})
    model.build()
    return model
