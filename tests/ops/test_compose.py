import numpy as np
import pytest
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode
from keras import ops
from scipy.ndimage import gaussian_filter

from kcorr.ops import compose_flow, invert_flow

RANDOM = np.random.default_rng(3)


def smooth_flow(height, width, amplitude, sigma, seed=0, dtype="float64"):
    random = np.random.default_rng(seed)
    flow = random.normal(size=(height, width, 2))
    flow = np.stack([gaussian_filter(flow[..., i], sigma) for i in (0, 1)], -1)
    return (flow * (amplitude / np.abs(flow).max()))[None].astype(dtype)


def affine_flow(height, width, matrix, shift):
    """flow(p) = matrix (p - centre) + centre + shift - p."""
    y, x = np.mgrid[:height, :width]
    points = np.stack([x, y], -1) - np.array([(width - 1) / 2, (height - 1) / 2])
    return (points @ np.array(matrix).T - points + np.array(shift))[None]


def both(function, *flows):
    joined = evaluate(lambda *f: ops.concatenate(function(*f), -1), *flows)
    return joined[..., :2].copy(), joined[..., 2:].copy()


def test_translations_add_up():
    first, second = np.zeros((2, 1, 8, 12, 2), "float32")
    first[:], second[:] = (2.5, -1.0), (-0.5, 3.0)
    flow, inside = both(compose_flow, first, second)
    assert (inside[0, 1:, :9] == 1).all()
    assert (inside[0, 0] == 0).all()
    assert (inside[0, :, 10:] == 0).all()
    np.testing.assert_allclose(flow[0, 1:, :9], np.broadcast_to((2.0, 2.0), (7, 9, 2)), atol=1e-6)
    assert not flow[0, 0].any()  # unknown is 0, not half a motion


def test_affine_maps_multiply():
    one = np.array([[0.9, 0.1], [-0.1, 0.9]])
    two = np.array([[0.8, 0.0], [0.2, 0.7]])
    flow, inside = both(
        compose_flow, affine_flow(20, 30, one, (0, 0)), affine_flow(20, 30, two, (0, 0))
    )
    expected = affine_flow(20, 30, two @ one, (0, 0))
    assert inside.mean() > 0.8
    np.testing.assert_allclose(flow * inside, expected * inside, atol=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_unknown_vectors_compose_to_nothing_and_do_not_spread(bad):
    for which in (0, 1):
        flows = list(np.ones((2, 1, 6, 8, 2), "float32"))
        clean_flow, clean_inside = both(compose_flow, *flows)
        flows[which][0, 2, 3, 0] = bad
        y, x = (2, 3) if which == 0 else (1, 2)  # the pixel that arrives there
        clean_flow[0, y, x], clean_inside[0, y, x] = 0, 0
        flow, inside = both(compose_flow, *flows)
        np.testing.assert_array_equal(inside, clean_inside)
        np.testing.assert_array_equal(flow, clean_flow)
        for slope in gradient(lambda f, s: compose_flow(f, s)[0] ** 2, *flows):
            assert np.isfinite(slope).all()


@pytest.mark.parametrize("amplitude, sigma", [(1.0, 4), (6.0, 8), (25.0, 24)])
def test_there_and_back_again_is_nowhere(amplitude, sigma):
    flow = smooth_flow(64, 80, amplitude, sigma)
    inverse, covered = both(invert_flow, flow)
    # v + flow(q + v) = 0 wherever it is covered, and all but a rim is covered.
    home, inside = both(compose_flow, inverse, flow)
    assert np.abs(home * covered * inside).max() < 1e-3
    rim = int(np.ceil(amplitude))
    assert covered[0, rim:-rim, rim:-rim].mean() > 0.99
    # The other way round only where the inverse's grid resolves it.
    back, inside = both(compose_flow, flow, inverse)
    certain = (inside > 0)[..., 0]
    assert np.percentile(np.abs(back[certain]), 95) < 0.1


@pytest.mark.parametrize(
    "matrix",
    [
        [[2.0, 0.0], [0.0, 2.0]],  # magnified: the splat has holes
        [[0.5, 0.0], [0.0, 0.5]],
        [[0.8, -0.6], [0.6, 0.8]],
        [[1.0, 0.5], [0.0, 1.0]],
        [[-1.0, 0.0], [0.0, 1.0]],  # mirrored
    ],
)
def test_affine_maps_are_inverted_exactly(matrix):
    height, width, shift = 33, 41, np.array([1.25, -2.5])
    inverse, covered = both(invert_flow, affine_flow(height, width, matrix, shift))
    back = np.linalg.inv(matrix)
    expected = affine_flow(height, width, back, -back @ shift)
    y, x = np.mgrid[:height, :width]
    source = np.stack([x, y], -1) + expected[0]
    limit = np.array([width - 1, height - 1])
    within = ((source >= 0) & (source <= limit)).all(-1)
    # Just outside the frame a source may still count, within the tolerance.
    certain = ~((source > -0.3) & (source < limit + 0.3)).all(-1) | within
    np.testing.assert_array_equal(covered[0, ..., 0][certain], within[certain])
    np.testing.assert_allclose(inverse[0][within], expected[0][within], atol=1e-9)


def test_what_nothing_reaches_is_not_covered():
    flow = np.zeros((1, 10, 20, 2), "float32")
    flow[..., 0] = 5.0
    inverse, covered = both(invert_flow, flow)
    assert not covered[:, :, :5].any()
    assert not inverse[:, :, :5].any()
    assert covered[:, :, 5:].all()
    np.testing.assert_allclose(inverse[0, :, 5:], np.broadcast_to((-5.0, 0.0), (10, 15, 2)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e12])
def test_a_bad_vector_stays_local(bad):
    flow = smooth_flow(24, 28, 2.0, 5, dtype="float32")
    inverse, covered = both(invert_flow, flow)
    broken = flow.copy()
    broken[0, 10, 12] = bad
    found, found_covered = both(invert_flow, broken)
    assert np.isfinite(found).all()
    y, x = np.mgrid[:24, :28]
    far = np.hypot(y - 10 - flow[0, 10, 12, 1], x - 12 - flow[0, 10, 12, 0]) > 4
    np.testing.assert_allclose(found[0][far], inverse[0][far], atol=1e-3)
    np.testing.assert_array_equal(found_covered[0][far], covered[0][far])
    assert np.isfinite(gradient(lambda f: invert_flow(f)[0] ** 2, broken)[0]).all()


def test_gradients():
    first, second = smooth_flow(6, 7, 1.0, 1.5), smooth_flow(6, 7, 1.0, 1.5, seed=1)
    assert_gradient(lambda f, s: compose_flow(f, s)[0] ** 2, first, second)


def test_gradient_of_the_inverse_is_that_of_the_implicit_function():
    # Central differences stand in for the slopes of the interpolated flow, so the gradient is exact
    # where the flow is affine and the source lies in the frame.
    flow = affine_flow(7, 8, [[0.9, 0.2], [-0.1, 0.8]], (0.13, -0.21))
    y, x = np.mgrid[:7, :8]
    source = np.stack([x, y], -1) + both(invert_flow, flow)[0]
    within = ((source > 1e-6) & (source < np.array([7, 6]) - 1e-6)).all(-1, keepdims=True)
    assert within.mean() > 0.5
    assert_gradient(lambda f: (invert_flow(f)[0] * within) ** 2, flow)


def test_every_mode():
    first, second = (smooth_flow(12, 15, 3.0, 4, seed, "float32") for seed in (0, 1))
    assert_same_in_every_mode(compose_flow, first, second)
    assert_same_in_every_mode(invert_flow, first, atol=1e-4)


def test_misshapen_flow_is_named():
    with pytest.raises(ValueError, match=r"invert_flow expects flow \[b, h, w, 2\]"):
        invert_flow(np.zeros((4, 4, 2), "float32"))
    with pytest.raises(ValueError, match=r"compose_flow .*got \(1, 4, 4, 2\) and \(1, 3, 4, 2\)"):
        compose_flow(np.zeros((1, 4, 4, 2), "float32"), np.zeros((1, 3, 4, 2), "float32"))
