"""Parity with tensorflow-addons 0.23, outputs and gradients, on recorded data."""

import sys
from pathlib import Path

import pytest
from _gradients import evaluate, gradient

from kcorr import layers
from kcorr.ops import backward_warp, local_correlation, tps_interpolate, tps_warp

sys.path.insert(0, str(Path(__file__).parent))
from golden import GOLDEN, assert_parity

# Ours from theirs: kernel_size 1, stride_1 1, pad = max_displacement.
CORRELATIONS = [("corr_r4", 4, 1), ("corr_r4s2", 2, 2)]  # name, radius, dilation


@pytest.mark.parametrize("name, radius, dilation", CORRELATIONS)
def test_correlation_cost(name, radius, dilation):
    # tensorflow-addons divides by the number of channels and orders the displacements row by row.
    def correlate(a, b):
        return local_correlation(a, b, radius=radius, dilation=dilation, normalise="mean")

    inputs = GOLDEN["corr_a"], GOLDEN["corr_b"]
    assert_parity(evaluate(correlate, *inputs), f"{name}_out")
    upstream = GOLDEN[f"{name}_upstream"]
    slopes = gradient(lambda a, b: correlate(a, b) * upstream, *inputs)
    assert_parity(slopes[0], f"{name}_grad_a")
    assert_parity(slopes[1], f"{name}_grad_b")
    layer = layers.CostVolume(radius=radius, dilation=dilation, normalise="mean")
    assert_parity(evaluate(layer, *inputs), f"{name}_out")


def test_dense_image_warp():
    # Theirs subtracts a flow in (y, x) and clamps at the border.
    def warp(image, flow_yx):
        return backward_warp(image, -flow_yx[..., ::-1], border="edge")[0]

    inputs = GOLDEN["warp_image"], GOLDEN["warp_flow_yx"]
    assert_parity(evaluate(warp, *inputs), "warp_out")
    slopes = gradient(lambda i, f: warp(i, f) * GOLDEN["warp_upstream"], *inputs)
    assert_parity(slopes[0], "warp_grad_image")
    assert_parity(slopes[1], "warp_grad_flow")


@pytest.mark.parametrize("order", [1, 2, 3])
def test_interpolate_spline(order):
    inputs = [GOLDEN[f"spline_{name}"] for name in ("train_points", "train_values", "query_points")]
    # In float64, so that float32 of the jax backend does not stand between the two formulas.
    found = evaluate(
        lambda *a: tps_interpolate(*a, order=order), *[a.astype("float64") for a in inputs]
    )
    assert_parity(found, f"spline_order{order}")


def test_sparse_image_warp():
    # Recorded with num_boundary_points=2. Theirs returns the flow that it subtracts.
    source, destination = GOLDEN["sparse_source_yx"], GOLDEN["sparse_dest_yx"]
    inputs = GOLDEN["sparse_image"], source[..., ::-1].copy(), destination[..., ::-1].copy()
    inputs = [a.astype("float64") for a in inputs]
    warped = evaluate(lambda *a: tps_warp(*a, boundary_points=2)[0], *inputs)
    flow = evaluate(lambda *a: tps_warp(*a, boundary_points=2)[1], *inputs)
    assert_parity(warped, "sparse_out")
    assert_parity(-flow[..., ::-1], "sparse_flow_yx")
