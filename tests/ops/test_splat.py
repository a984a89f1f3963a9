import numpy as np
import pytest
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.ops import backward_warp, forward_splat, range_map

RANDOM = np.random.default_rng(7)


def slow_splat(values, flow):
    """Pixel by pixel, corner by corner."""
    batch, height, width, _ = values.shape
    out = np.zeros(values.shape, "float64")
    for b, y, x in np.ndindex(batch, height, width):
        px, py = x + float(flow[b, y, x, 0]), y + float(flow[b, y, x, 1])
        if not (np.isfinite(px) and np.isfinite(py)):
            continue
        for row in (np.floor(py), np.floor(py) + 1):
            for column in (np.floor(px), np.floor(px) + 1):
                if 0 <= row < height and 0 <= column < width:
                    weight = (1 - abs(px - column)) * (1 - abs(py - row))
                    out[b, int(row), int(column)] += weight * values[b, y, x]
    return out


@pytest.mark.parametrize("shape", [(2, 6, 9, 3), (1, 1, 7, 1), (1, 5, 1, 2), (1, 1, 1, 1)])
@pytest.mark.parametrize("spread", [0.0, 2.5, 40.0])
def test_equals_the_slow_truth(shape, spread):
    values = RANDOM.normal(size=shape).astype("float32")
    flow = (RANDOM.normal(size=(*shape[:3], 2)) * spread).astype("float32")
    np.testing.assert_allclose(
        evaluate(forward_splat, values, flow), slow_splat(values, flow), atol=1e-5
    )


@pytest.mark.parametrize("seed", range(5))
def test_is_the_adjoint_of_the_warp(seed):
    # <warp x, y> = <x, splat y> for every flow, with vectors that leave the frame and that end
    # exactly on pixels.
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(2, 2, 7, 8, 3))
    flow = random.normal(size=(2, 7, 8, 2)) * 4
    flow[:, ::2] = np.round(flow[:, ::2])
    warped = evaluate(lambda image, f: backward_warp(image, f)[0], x, flow)
    splatted = evaluate(forward_splat, y, flow)
    assert np.isclose(np.sum(warped * y), np.sum(x * splatted), rtol=1e-10)


def test_whole_pixel_flow_moves_the_picture_and_drops_what_leaves():
    # Three right, one up: content arrives there, the left and lower bands stay empty.
    values = RANDOM.random((1, 8, 10, 2), "float32")
    flow = np.broadcast_to(np.array([3.0, -1.0], "float32"), (1, 8, 10, 2))
    moved = evaluate(forward_splat, values, flow)
    np.testing.assert_allclose(moved[0, :-1, 3:], values[0, 1:, :-3], atol=1e-6)
    assert not moved[0, -1].any()
    assert not moved[0, :, :3].any()


def test_range_map_counts_what_lands():
    zero = np.zeros((1, 5, 6, 2), "float32")
    np.testing.assert_array_equal(evaluate(range_map, zero), np.ones((1, 5, 6, 1), "float32"))
    # Every pixel points at (2, 1): thirty land there, none elsewhere.
    y, x = np.mgrid[:5, :6]
    flow = np.stack([2 - x, 1 - y], -1)[None].astype("float32")
    count = evaluate(range_map, flow)
    assert count[0, 1, 2, 0] == 30
    assert count.sum() == 30


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e12, -1e12, 3e38])
def test_bad_vectors_add_nothing_and_do_not_spread(bad):
    values = RANDOM.normal(size=(1, 6, 7, 2)).astype("float32")
    flow = RANDOM.normal(size=(1, 6, 7, 2)).astype("float32")
    clean = values.copy()
    clean[0, 2, 3] = 0
    expected = slow_splat(clean, flow)
    for component in (0, 1):
        broken = flow.copy()
        broken[0, 2, 3, component] = bad
        np.testing.assert_allclose(evaluate(forward_splat, values, broken), expected, atol=1e-5)
        for slope in gradient(lambda v, f: forward_splat(v, f) ** 2, values, broken):
            assert np.isfinite(slope).all()
            assert not slope[0, 2, 3].any()


def test_gradients():
    values = RANDOM.normal(size=(1, 4, 5, 2))
    flow = RANDOM.normal(size=(1, 4, 5, 2)) * 1.5
    target = RANDOM.normal(size=(1, 4, 5, 2))
    assert_gradient(
        lambda v, f: (forward_splat(v, f) - ops.convert_to_tensor(target)) ** 2, values, flow
    )


def test_every_mode():
    values = RANDOM.normal(size=(2, 6, 9, 3)).astype("float32")
    flow = RANDOM.normal(size=(2, 6, 9, 2)).astype("float32")
    assert_same_in_every_mode(forward_splat, values, flow)
    assert_same_in_every_mode(range_map, flow)


def test_half_precision_values_are_summed_in_float32():
    # A thousand times 1 / 16 on one pixel: bfloat16 sums would stop growing at 32.
    values = ops.cast(np.full((1, 1, 1000, 1), 1 / 16, "float32"), "bfloat16")
    flow = np.zeros((1, 1, 1000, 2), "float32")
    flow[..., 0] = -np.arange(1000)
    total = ops.convert_to_numpy(ops.cast(forward_splat(values, flow), "float32"))
    assert total[0, 0, 0, 0] == 62.5


def test_misshapen_input_is_named():
    with pytest.raises(ValueError, match=r"flow \[b, h, w, 2\]"):
        forward_splat(np.zeros((1, 4, 4, 3), "float32"), np.zeros((1, 4, 4, 3), "float32"))
    with pytest.raises(ValueError, match=r"got \(2, 4, 4, 3\) and \(1, 4, 4, 2\)"):
        forward_splat(np.zeros((2, 4, 4, 3), "float32"), np.zeros((1, 4, 4, 2), "float32"))
