"""Networks by name."""

import inspect

from kcorr.models.ddflow import VARIANTS as DDFLOW_VARIANTS
from kcorr.models.ddflow import DDFlowNet
from kcorr.models.deep_matching import VARIANTS as MATCHING_VARIANTS
from kcorr.models.deep_matching import DeepMatching
from kcorr.models.flownet import CORRELATION_VARIANTS as FLOWNETC_VARIANTS
from kcorr.models.flownet import VARIANTS as FLOWNETS_VARIANTS
from kcorr.models.flownet import FlowNetC, FlowNetS
from kcorr.models.hourglass import VARIANTS as HOURGLASS_VARIANTS
from kcorr.models.hourglass import HourglassNet
from kcorr.models.landmarks import VARIANTS as LANDMARK_VARIANTS
from kcorr.models.landmarks import LandmarkNet
from kcorr.models.object_frame import VARIANTS as OBJECT_FRAME_VARIANTS
from kcorr.models.object_frame import ObjectFrameNet
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
_OBJECT_FAMILIES = [
    (LandmarkNet, LANDMARK_VARIANTS),
    (ObjectFrameNet, OBJECT_FRAME_VARIANTS),
    (HourglassNet, HOURGLASS_VARIANTS),
]


def _by_name(families):
    return {
        name: (network, config)
        for network, variants in families
        for name, config in variants.items()
    }


NETWORKS = _by_name(_FAMILIES)  # two or more frames in, flow out
OBJECT_NETWORKS = _by_name(_OBJECT_FAMILIES)  # one picture in, landmarks or labels out
MATCH_NETWORKS = _by_name([(DeepMatching, MATCHING_VARIANTS)])  # two pictures in, matches out

_KINDS = {
    "flow": f"a flow network such as {' or '.join(sorted(NETWORKS))}",
    **{
        gives: f"a network of {what} such as "
        + " or ".join(sorted(k for k, (kind, _) in OBJECT_NETWORKS.items() if kind.gives == gives))
        for gives, what in (("landmarks", "landmarks"), ("labels", "dense labels"))
    },
    "matches": f"a network of matches such as {' or '.join(sorted(MATCH_NETWORKS))}",
}


def gives_of(network):
    """What it gives: "flow", "landmarks", "labels" or "matches"; None if it is not of kcorr."""
    if hasattr(network, "gives"):
        return network.gives
    call = getattr(network, "call", None)
    return "flow" if callable(call) and "backward" in inspect.signature(call).parameters else None


def kind_of_network(gives=None):
    """Words for networks that give this, with their names; None for any network."""
    return _KINDS[gives] if gives else ", or ".join(_KINDS.values())


def check_gives(network, gives):
    """Raises ValueError for a network of kcorr that gives something else.

    A flow network may be anything that is called like one.
    """
    given = getattr(network, "gives", "flow")
    if given != gives:
        name = getattr(network, "name", type(network).__name__)
        raise ValueError(f"{name!r} gives {given}; expected {kind_of_network(gives)}")


def build(name, **overrides):
    """A network with fresh weights, built.

    Args:
        name: one of `NETWORKS`: "ddflow" and the three-frame "selflow" (the authors' networks),
            "ddflow_small" and "selflow_small" (about three tenths of the work), ...; or one of
            `OBJECT_NETWORKS`: "landmarks", "object_frame", "hourglass", ...; or one of
            `MATCH_NETWORKS`: "deep_matching", "deep_matching_hog", ...
        **overrides: constructor arguments that replace the variant's, for example `dtype`.

    Returns:
        A `keras.Model` with all weights created.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.
    """
    known = {**NETWORKS, **OBJECT_NETWORKS, **MATCH_NETWORKS}
    if name not in known:
        raise ValueError(f"unknown network {name!r}; known are {', '.join(sorted(known))}")
    network, config = known[name]
    model = network(**{**config, **overrides})
    model.build()
    return model
