"""SpyNet: the contract of all flow networks, its parameters, and what only it does."""

from types import MappingProxyType

import keras
import numpy as np
import pytest
from _calls import call
from _contract import SIZE, Contract, assert_close, parameters, pictures
from _numpy_networks import spy_net

from kcorr.models import SpyNet


class TestSpyNet(Contract):
    network = SpyNet
    config = MappingProxyType({"widths": (8, 8, 7, 6), "levels": 4})
    truth = staticmethod(spy_net)
    # Of 65x84 and what halving makes of it.
    pyramid_sizes = ((9, 11), (17, 21), (33, 42), (65, 84))
    feature_sizes = pyramid_sizes[::-1]
    learning_rate, steps = 3e-3, 60

    @pytest.mark.parametrize("finest", [0, 1])
    def test_residuals_add_up(self, finest):
        """Every level adds one pixel of its own to the flow, which doubles from level to level."""
        network = self.make(levels=3, finest=finest, standardise=False)
        for estimator in network.estimators:
            kernel, bias = estimator.head.weights
            kernel.assign(np.zeros(kernel.shape))
            bias.assign([1.0, -1.0])
        flow = call(network, pictures(64, 96))["flow"]
        expected = np.broadcast_to([7 * 2**finest, -7 * 2**finest], flow.shape)
        np.testing.assert_allclose(flow, expected, rtol=1e-5)


def test_the_finest_level_can_be_left_out():
    keras.utils.set_random_seed(3)
    network = SpyNet(widths=(8, 7), levels=3, finest=1, standardise=False)
    network.build()
    images = pictures(*SIZE)
    outputs = call(network, images)
    expected = spy_net(network, images["image1"][0], images["image2"][0])
    assert [flow.shape[:2] for flow in expected[:-1]] == [(9, 11), (17, 21), (33, 42)]
    assert_close([flow[0] for flow in [*outputs["flow_pyramid"], outputs["flow"]]], expected)
    assert [level.shape[1:3] for level in outputs["features"]] == [(33, 42), (17, 21), (9, 11)]


def test_the_pyramid_averages_two_by_two():
    image = pictures(64, 96)["image1"]
    network = SpyNet(levels=2, standardise=False)
    expected = image.reshape(1, 32, 2, 48, 2, 3).mean((2, 4))
    np.testing.assert_allclose(np.asarray(network.encode(image)[1]), expected, rtol=1e-5)


def test_parameters():
    """Exact; and within the spec's range, 1.2 to 1.44 M, from memory."""
    assert parameters("spynet") == 6 * 240_050 == 1_440_300
    assert parameters("spynet", levels=5) == 1_200_250
    assert parameters("spynet_small") == 6 * 142_802 == 856_812


@pytest.mark.parametrize("wrong", [{"levels": 0}, {"finest": -1}])
def test_levels_that_make_no_pyramid_are_refused(wrong):
    with pytest.raises(ValueError, match="levels >= 1 and finest >= 0"):
        SpyNet(**wrong)
