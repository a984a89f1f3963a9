"""PWCNet: the contract of all flow networks, its parameters, and what only it does."""

from types import MappingProxyType

import keras
import numpy as np
import pytest
from _calls import call
from _contract import SIZE, Contract, assert_close, parameters, pictures
from _numpy_networks import pwc_net

from kcorr.models import PWCNet, build


class TestPWCNet(Contract):
    network = PWCNet
    config = MappingProxyType(
        {
            "feature_widths": (6, 8, 10, 12),
            "estimator_widths": (16, 12),
            "context_widths": (8, 7, 6, 8, 7, 6),
            "radius": 2,
        }
    )
    truth = staticmethod(pwc_net)
    # 65x84 becomes 80x96.
    pyramid_sizes = ((5, 6), (10, 12), (20, 24), (20, 24))
    feature_sizes = ((40, 48), (20, 24), (10, 12), (5, 6))
    learning_rate, steps = 3e-3, 120

    def test_flow_counts_in_pixels_of_the_given_image(self):
        """All heads silent but the last: 1 of it are 2 pixels of the enlarged image."""
        network = self.make()
        for part in [*network.estimators, network.context]:
            kernel, bias = part.head.weights
            kernel.assign(np.zeros(kernel.shape))
            bias.assign([0.0, 0.0])
        network.context.head.weights[1].assign([1.0, -0.5])
        outputs = call(network, pictures(*SIZE))
        flow = np.broadcast_to([2 * 84 / 96, -65 / 80], (1, *SIZE, 2))
        np.testing.assert_allclose(outputs["flow"], flow, rtol=1e-5)
        np.testing.assert_allclose(outputs["flow_pyramid"][-1][..., 0], 0.5, rtol=1e-5)


def test_the_papers_levels_and_another_normalisation():
    widths = {"feature_widths": (4,) * 6, "estimator_widths": (4,), "context_widths": (4,) * 6}
    network = PWCNet(**widths, radius=1, normalise="mean")
    network.build()
    images = pictures(65, 84)
    outputs = call(network, images)
    sizes = [flow.shape[1:3] for flow in outputs["flow_pyramid"]]
    assert sizes == [(2, 2), (4, 4), (8, 8), (16, 16), (32, 32), (32, 32)]
    *_, truth = pwc_net(network, images["image1"][0], images["image2"][0])
    assert_close([outputs["flow"][0]], [truth])


def test_parameters_of_each_part():
    with keras.StatelessScope(initialize_variables=False):  # no memory is taken for them
        network = build("pwcnet")
    parts = [network.pyramid, *network.estimators, network.context]
    assert [part.count_params() for part in parts] == [
        1_040_744,
        1_027_764,
        1_562_364,
        1_432_764,
        1_303_164,
        1_173_564,
        1_131_266,
    ]
    enlarging = [*network.flow_upsamplers, *network.feature_upsamplers]
    assert [layer.count_params() for layer in enlarging] == [66] * 4 + [
        16_930,
        21_154,
        20_130,
        19_106,
    ]
    assert network.count_params() == 8_749_214
    assert network.count_params() == pytest.approx(8.75e6, rel=0.03)  # the spec's, from memory
    assert parameters("pwcnet_small") == 2_076_782


def test_the_published_variant_has_the_same_weights():
    with keras.StatelessScope(initialize_variables=False):
        ours, published = build("pwcnet"), build("pwcnet_published")
    assert [w.shape for w in published.weights] == [w.shape for w in ours.weights]
    assert published.config == {**ours.config, "normalise": "mean", "flow_scale": 20.0}


def test_too_few_levels_are_refused():
    with pytest.raises(ValueError, match="at least three levels"):
        PWCNet(feature_widths=(4, 5))
