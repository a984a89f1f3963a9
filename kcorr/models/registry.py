"""Networks by name."""

from kcorr.models.ddflow import VARIANTS as DDFLOW_VARIANTS
from kcorr.models.ddflow import DDFlowNet

NETWORKS = {name: (DDFlowNet, config) for name, config in DDFLOW_VARIANTS.items()}


def build(name, **overrides):
    """A network with fresh weights, built.

    Args:
        name: one of `NETWORKS`: "ddflow" (the authors' network) or "ddflow_small".
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
