"""Disparity and depth of a flow, and what it says about the pair."""

import numpy as np
import pytest
from keras import ops

from kcorr.models import (
    Predictor,
    depth_of_disparity,
    disparity_of_flow,
    predict_disparity,
    rectification_problem,
)


class Plane:
    """A network that sees everything at `u`, `v`."""

    def __init__(self, u, v=0.0):
        self.flow = np.float32([u, v])

    def __call__(self, inputs, backward=False):
        flow = ops.zeros_like(inputs["image1"][..., :2]) + self.flow
        return {"flow": flow, "flow_backward": -flow} if backward else {"flow": flow}


@pytest.fixture
def pair():
    return np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)


def test_disparity_is_the_flow_without_sign_and_without_v(pair):
    result = predict_disparity(Plane(-3.0, 0.5), *pair)
    assert result["disparity"].shape == (20, 30, 1) and result["disparity"].dtype == np.float32
    assert (result["disparity"] == 3).all() and (result["flow"] == [-3, 0.5]).all()
    assert result["occlusion"][:-1, 3:].sum() == 0 and result["occlusion"][:, :3].all()
    assert predict_disparity(Plane(-3.0), *pair, occlusion=False).keys() == {"disparity", "flow"}


def test_what_lies_behind_infinity_is_at_infinity(pair):
    assert (predict_disparity(Plane(2.0), *pair)["disparity"] == 0).all()
    flow = np.array([[[-1.5, 9.0], [2.0, 0.0], [np.nan, 0.0]]])
    np.testing.assert_array_equal(disparity_of_flow(flow)[0, :, 0], [1.5, 0, np.nan])


def test_a_predictor_serves_many_pairs(pair):
    predictor = Predictor(Plane(-3.0), backward=False, compiled=False)
    assert predict_disparity(predictor, *pair).keys() == {"disparity", "flow"}


def test_depth_by_hand():
    disparity = np.float32([4, 0.5, 0, np.nan, np.inf, 1e-45])
    depth = depth_of_disparity(disparity, focal=100, baseline=0.2)
    np.testing.assert_allclose(depth, [5, 40, np.inf, np.nan, np.nan, np.inf])
    assert depth.dtype == np.float32
    near = depth_of_disparity(disparity[:3], 100, 0.2, offset=-0.5)
    np.testing.assert_allclose(near, [20 / 3.5, np.inf, np.inf], rtol=1e-6)


def test_whole_disparities_have_depths_with_fractions():
    depth = depth_of_disparity(np.array([3, 0]), focal=100, baseline=0.2, offset=0.5)
    np.testing.assert_allclose(depth, [20 / 3.5, 40])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 1), "focal is 0"),
        ((1, -1), "baseline is -1"),
        ((float("inf"), 1), "focal is inf"),
        ((1, 1, float("nan")), "offset is nan"),
    ],
)
def test_depth_refuses(arguments, said):
    with pytest.raises(ValueError, match=said):
        depth_of_disparity(np.ones(3), *arguments)


@pytest.mark.parametrize(
    ("u", "v", "said"),
    [
        (-5.0, 0.9, None),
        (0.4, 0.0, None),
        (0.6, 0.0, "0.6 px further right"),
        (-5.0, -1.2, "1.2 px higher or lower"),
        (np.nan, 0.0, None),
    ],
)
def test_medians_tell_swapped_and_unrectified_pairs(u, v, said):
    flow = np.full((9, 9, 2), (u, v))
    flow[:4] = (-50, 0)  # less than half of the picture changes no median of |v|
    if u > 0:
        flow[:4] = (50, 0)
    problem = rectification_problem(flow)
    assert problem is None if said is None else said in problem
