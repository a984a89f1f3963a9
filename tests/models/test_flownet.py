"""FlowNetS and FlowNetC: the contract of all flow networks, and their parameters."""

from types import MappingProxyType

import keras
import numpy as np
import pytest
from _calls import call
from _contract import SIZE, Contract, parameters, pictures
from _numpy_networks import flow_net

from kcorr.models import FlowNetC, FlowNetS, build

TINY = {"widths": (6, 7, 8, 8, 9, 10), "decoder_widths": (8, 7, 6, 5)}


class TestFlowNetS(Contract):
    network = FlowNetS
    config = MappingProxyType(TINY)
    truth = staticmethod(flow_net)
    # 65x84 becomes 128x128.
    pyramid_sizes = ((2, 2), (4, 4), (8, 8), (16, 16), (32, 32))
    feature_sizes = ((64, 64), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2))
    learning_rate, steps = 3e-3, 120

    def test_flow_counts_in_pixels_of_the_given_image(self):
        """The last head's constant: 1 of it are 20 pixels of the enlarged image."""
        network = self.make()
        kernel, bias = network.expansion.heads[-1].weights
        kernel.assign(np.zeros(kernel.shape))
        bias.assign([1.0, -0.5])
        outputs = call(network, pictures(*SIZE))
        flow = np.broadcast_to([20 * 84 / 128, -10 * 65 / 128], (1, *SIZE, 2))
        np.testing.assert_allclose(outputs["flow"], flow, rtol=1e-5)
        np.testing.assert_allclose(outputs["flow_pyramid"][-1][..., 0], 5, rtol=1e-5)


class TestFlowNetC(Contract):
    network = FlowNetC
    config = MappingProxyType({**TINY, "redirected": 3, "radius": 2})
    learner = MappingProxyType({"widths": (8, 12, 16, 12, 12, 12), "dilation": 1})
    truth = staticmethod(flow_net)
    pyramid_sizes = ((2, 2), (4, 4), (8, 8), (16, 16), (32, 32))
    feature_sizes = ((64, 64), (32, 32), (16, 16))
    learning_rate, steps = 2e-3, 150


def test_parameters():
    """Exact; and the spec's figures, from memory, within 3 %."""
    with keras.StatelessScope(initialize_variables=False):  # no memory is taken for them
        single, correlating = build("flownet_s"), build("flownet_c")
    assert single.count_params() == 38_676_514
    assert single.count_params() == pytest.approx(38.7e6, rel=0.03)
    assert correlating.count_params() == 39_175_298
    assert correlating.count_params() == pytest.approx(39.2e6, rel=0.03)
    assert correlating.bridge.kernel.shape[2] == 441 + 32
    heads = [head.kernel.shape[2] for head in single.expansion.heads]
    assert heads == [head.kernel.shape[2] for head in correlating.expansion.heads]
    assert heads == [1024, 1026, 770, 386, 194]
    assert parameters("flownet_s_small") == 5_462_674
    assert parameters("flownet_c_small") == 5_537_594


@pytest.mark.parametrize("network", [FlowNetS, FlowNetC])
def test_a_wrong_number_of_widths_is_refused(network):
    with pytest.raises(ValueError, match="six widths and four decoder widths"):
        network(widths=(4, 5, 6))
