"""The geometry of two cameras at two times: exactly 0 on a rigid scene, and by hand elsewhere."""

import numpy as np
import pytest
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.losses import quadrilateral, triangle
from kcorr.losses.stereo import quadrilateral_error, triangle_error

LEAST = 0.01**0.4  # robust(0)
SIZE = (20, 28)


def psi(x):
    return (np.abs(x) + 0.01) ** 0.4


def affine_flows(seed=0, size=SIZE):
    """Flows of a slanted plane that moves rigidly with the cameras: affine maps, float64.

    The maps from picture 1: to 2 by a disparity plane, to 3 by any affine motion, to 4 by both.
    Between pictures they are composed as matrices, which no warp takes part in.
    """
    rng = np.random.default_rng(seed)
    motion = np.eye(3)
    motion[:2] += rng.normal(0, 0.02, (2, 3))
    motion[:2, 2] = (-0.8, 0.6)
    to = {1: np.eye(3), 2: np.eye(3), 3: motion, 4: motion.copy()}
    to[2][0] -= (0.03, -0.02, 1.5)
    to[4][0] -= (0.02, 0.01, 2.0)
    y, x = np.mgrid[: size[0], : size[1]]
    grid = np.stack([x, y, np.ones(size)], axis=-1)

    def flow(i, j):
        return (grid @ (to[j] @ np.linalg.inv(to[i])).T - grid)[None, ..., :2]

    return flow


def quad(flow):
    return [flow(1, 2), flow(1, 3), flow(2, 4), flow(3, 4)]


def tri(flow):
    return [flow(1, 2), flow(1, 4), flow(2, 4)]


@pytest.mark.parametrize("seed", range(3))
def test_a_rigid_plane_violates_nothing(seed):
    flow = affine_flows(seed)
    for function, flows in ((quadrilateral_error, quad(flow)), (triangle_error, tri(flow))):
        both = evaluate(lambda *f, g=function: ops.concatenate(g(*f), axis=-1), *flows)
        error, seen = both[..., :2], both[..., 2:]
        assert 0.5 < seen.mean() < 1 and error.dtype == np.float64
        assert np.abs(error * seen).max() < 1e-12
    for loss in (evaluate(quadrilateral, *quad(flow)), evaluate(triangle, *tri(flow))):
        np.testing.assert_allclose(loss, [2 * LEAST], rtol=1e-4)


def constant(u, v=0.0, batch=1, size=SIZE):
    return np.broadcast_to(np.float32([u, v]), (batch, *size, 2)).copy()


def test_a_hand_made_violation_of_the_quadrilateral():
    """u12 + u24 - u13 - u34 = -3 + 2 - 1.5 + 4, v24 - v13 = 0.5 + 0.25, everywhere."""
    flows = constant(-3, 9), constant(1.5, -0.25), constant(2, 0.5), constant(-4, 9)
    error, seen = (ops.convert_to_numpy(x) for x in quadrilateral_error(*flows))
    np.testing.assert_allclose(error[seen[..., 0] > 0], [[1.5, 0.75]] * int(seen.sum()), rtol=1e-4)
    # p_r = p + (-3, 9) and p_l = p + (1.5, -0.25) must lie inside.
    expected = np.zeros(SIZE)
    expected[1:11, 3:26] = 1
    np.testing.assert_array_equal(seen[0, ..., 0], expected)
    np.testing.assert_allclose(quadrilateral(*flows), [psi(1.5) + psi(0.75)], rtol=1e-4)


def test_a_hand_made_violation_of_the_triangle():
    flows = constant(-3), constant(1, 2), constant(2.5, 1.5)
    np.testing.assert_allclose(triangle(*flows), [psi(1 - 2.5 + 3) + psi(0.5)], rtol=1e-4)
    loud = triangle(*flows, epsilon=0.1, exponent=1.0)
    np.testing.assert_allclose(loud, [1.5 + 0.5 + 0.2], rtol=1e-4)


def test_examples_are_counted_on_their_own():
    flows = [np.concatenate([constant(u), constant(0)]) for u in (-3, 1, 2.5)]
    np.testing.assert_allclose(triangle(*flows), [psi(1.5) + LEAST, 2 * LEAST], rtol=1e-4)


def spot(row, column, size=SIZE):
    mask = np.zeros((1, *size, 1), np.float32)
    mask[0, row, column] = 1
    return mask


@pytest.mark.parametrize(
    ("which", "place"),
    # p = (10, 8) goes to p_r = (6, 8), p_l = (13, 7).
    [("12", (8, 10)), ("13", (8, 10)), ("24", (8, 6)), ("34", (7, 13))],
)
def test_what_is_hidden_on_either_way_does_not_count(which, place):
    flows = constant(-4), constant(3, -1), constant(3, -1), constant(-4)
    _, seen = quadrilateral_error(*flows)
    _, less = quadrilateral_error(*flows, **{f"hidden{which}": spot(*place)})
    gone = np.argwhere(ops.convert_to_numpy(seen - less))
    assert gone.tolist() == [[0, 8, 10, 0]]


@pytest.mark.parametrize(("which", "place"), [("12", (8, 10)), ("14", (8, 10)), ("24", (8, 6))])
def test_what_is_hidden_in_the_triangle_does_not_count(which, place):
    flows = constant(-4), constant(-1, -1), constant(3, -1)
    _, seen = triangle_error(*flows)
    _, less = triangle_error(*flows, **{f"hidden{which}": spot(*place)})
    assert np.argwhere(ops.convert_to_numpy(seen - less)).tolist() == [[0, 8, 10, 0]]


def test_a_place_between_two_pixels_counts_if_both_are_visible():
    flows = constant(-3.5), constant(3), constant(3), constant(-3.5)
    _, seen = quadrilateral_error(*flows)
    _, less = quadrilateral_error(*flows, hidden24=spot(8, 6))
    gone = np.argwhere(ops.convert_to_numpy(seen - less))
    assert gone[:, 2].tolist() == [9, 10]


def test_nothing_seen_is_no_loss_and_unknown_flow_does_not_spread():
    flows = [constant(-4), constant(3, -1), constant(3, -1), constant(-4)]
    everything = np.ones((1, *SIZE, 1), np.float32)
    np.testing.assert_array_equal(quadrilateral(*flows, hidden12=everything), [0])
    clean = quadrilateral(*flows)
    for flow in flows:
        flow[0, 8, 10] = np.nan
    hidden = spot(8, 10)
    np.testing.assert_allclose(quadrilateral(*flows, *[hidden] * 4), clean, rtol=1e-4)


@pytest.mark.parametrize("loss", [quadrilateral, triangle])
def test_gradients_are_those_of_differences(loss):
    flow, rng = affine_flows(1, (9, 11)), np.random.default_rng(2)
    flows = quad(flow) if loss is quadrilateral else tri(flow)
    flows = [one + rng.normal(0, 0.05, one.shape) for one in flows]
    hidden = [np.float64(rng.random((1, 9, 11, 1)) < 0.1) for _ in flows]

    def smooth(*flows):
        return loss(*flows, *hidden, epsilon=0.1)

    assert all(found.any() for found in gradient(smooth, *flows))
    assert_gradient(smooth, *flows)


def test_it_is_the_same_in_every_mode():
    flows = [np.float32(flow) for flow in quad(affine_flows(2))]
    assert_same_in_every_mode(quadrilateral, *flows)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="must share batch, height and width"):
        triangle(constant(0), constant(0), constant(0, size=(9, 9)))
    with pytest.raises(ValueError, match=r"mask must be \[b, h, w, 1\]"):
        triangle(constant(0), constant(0), constant(0), hidden12=constant(0))
