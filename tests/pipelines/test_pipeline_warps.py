"""Synthetic pairs: the published map, exact correspondence, and how strong the warps are."""

import numpy as np
import pytest
from _sources import as_numpy, changed, example, textured

from kcorr import pipelines
from kcorr.ops import pixel_grid


def _record(size=(96, 104), seed=0):
    return {"image1": textured(size, seed)}


def _lookup(image, points):
    """Slow bilinear look-up [n, c] at points [n, 2] that lie inside."""
    out = []
    for x, y in points:
        left, top = min(int(x), image.shape[1] - 2), min(int(y), image.shape[0] - 2)
        fx, fy = x - left, y - top
        upper = (1 - fx) * image[top, left] + fx * image[top, left + 1]
        lower = (1 - fx) * image[top + 1, left] + fx * image[top + 1, left + 1]
        out.append((1 - fy) * upper + fy * lower)
    return np.array(out)


def _slow_warp(weights, affine, size):
    """The published warp pixel by pixel, in [-1, 1], before conversion to pixels."""
    height, width = size
    ticks = np.linspace(-1, 1, 10)
    control = np.array([(x, y) for y in ticks for x in ticks])
    grid = np.empty((height, width, 2))
    for row in range(height):
        for column in range(width):
            at = np.array([2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1])
            squared = ((at - control) ** 2).sum(-1)
            kernel = squared * np.log(squared + 1e-5)
            grid[row, column] = kernel @ weights + affine[0] + at @ affine[1:]
    return grid


def test_image1_comes_from_image2_at_the_grid():
    """Where valid, image1(p) is image2(grid(p)), exactly: it was looked up there."""
    for out in changed(_record(), pipelines.warp_pair, 6):
        rows, columns = np.nonzero(out["valid"][..., 0])
        assert 0.4 < len(rows) / out["valid"].size <= 1
        values = _lookup(out["image2"], out["grid"][rows, columns])
        assert np.abs(values - out["image1"][rows, columns]).max() < 1e-4
        assert np.abs(out["flow"] + pixel_grid(66, 74) - out["grid"]).max() < 1e-5


def test_outputs_have_the_schemas_names_shapes_and_ranges():
    out = pipelines.warp_pair(example(_record((64, 80))), crop=10)
    assert {key: tuple(value.shape) for key, value in out.items()} == {
        "image1": (44, 60, 3),
        "image2": (44, 60, 3),
        "grid": (44, 60, 2),
        "flow": (44, 60, 2),
        "valid": (44, 60, 1),
        "seed": (2,),
    }
    images = np.stack([out["image1"], out["image2"]])
    assert images.dtype == np.float32 and images.min() >= 0 and images.max() <= 1
    assert set(np.unique(out["valid"])) <= {0.0, 1.0}


def test_valid_is_0_where_either_view_shows_what_is_not_in_the_picture():
    """A white picture on a black outside: valid pixels of image1 are white, all of them."""
    white = {"image1": np.full((64, 80, 3), 255, np.uint8)}

    def strong(each):
        return pipelines.warp_pair(each, crop=2, translation=0.4, border="zero")

    blacks = 0
    for out in changed(white, strong, 8):
        assert (out["image1"][out["valid"][..., 0] > 0] > 0.99).all()
        x, y = out["grid"][..., 0], out["grid"][..., 1]
        outside = (x < 0) | (x > 75) | (y < 0) | (y > 59)
        assert (out["valid"][..., 0][outside] == 0).all()
        # And little else is left out: what is white and lies in image2 counts.
        white_there = ~outside & (out["image1"][..., 0] > 0.9999)
        assert (out["valid"][..., 0] == white_there).mean() > 0.998
        blacks += (out["image1"] < 0.5).sum()
    assert blacks > 0


def test_nothing_drawn_is_the_identity():
    def still(each):
        return pipelines.warp_pair(
            each, 5, deformation=0, strong_deformation=0, translation=0, scale=0, rotation=0
        )

    record = _record()
    (out,) = changed(record, still, 1)
    inner = record["image1"][5:-5, 5:-5] / 255
    assert np.abs(out["flow"]).max() < 1e-3 and out["valid"].all()
    assert np.abs(out["image1"] - inner).max() < 1e-3
    assert np.abs(out["image2"] - inner).max() < 1e-3


def test_affine_part_turns_scales_and_shifts_as_published():
    """Without deformation the map is a similarity [[sc cos, sc sin], [-sc sin, sc cos]] and t."""

    def similarity(each):
        return pipelines.warp_pair(each, 0, deformation=0, strong_deformation=0)

    turns, scales, shifts = [], [], []
    for out in changed({"image1": np.zeros((21, 21, 3), np.uint8)}, similarity, 300):
        normal = out["grid"] / 10 - 1
        shifts.append(normal[10, 10])
        right, down = normal[10, 20] - normal[10, 10], normal[20, 10] - normal[10, 10]
        assert np.allclose(down, [-right[1], right[0]], atol=1e-5)  # no shear, no mirror
        scales.append(np.hypot(*right))
        turns.append(np.degrees(np.arctan2(right[1], right[0])))
    for drawn, mean, deviation in ((turns, 0, 5), (scales, 1, 0.1), (shifts, 0, 0.1)):
        drawn = np.ravel(drawn)
        assert abs(drawn.mean() - mean) < 4 * deviation / len(drawn) ** 0.5
        assert drawn.std() == pytest.approx(deviation, rel=0.15)


def test_deformations_are_as_strong_as_published():
    """Root mean squares of the kernel part of a coordinate, in units of half a side.

    Var(w) = (0.001^2 + 0.01^2) / 2, so at n the variance is that times sum_j U(|n - c_j|)^2.
    """

    def kernels(each):
        return pipelines.warp_pair(each, 0, translation=0, scale=0, rotation=0, first_share=0)

    record = {"image1": np.zeros((21, 21, 3), np.uint8)}
    flows = np.stack([out["flow"] / 10 for out in changed(record, kernels, 400)])
    ticks = np.linspace(-1, 1, 10)
    control = np.array([(x, y) for y in ticks for x in ticks])
    at = pixel_grid(21, 21).numpy().reshape(-1, 1, 2) / 10 - 1
    squared = ((at - control) ** 2).sum(-1)
    kernel = squared * np.log(squared + 1e-5)
    expected = np.sqrt(5.05e-5 * (kernel**2).sum(-1)).reshape(21, 21)
    # The published warp moves the centre little and the corners by a sixth of the picture.
    assert expected[10, 10] == pytest.approx(0.030, abs=1e-3)
    assert expected[0, 0] == pytest.approx(0.374, abs=1e-3)
    drawn = np.sqrt((flows**2).mean(axis=(0, 3)))
    assert np.abs(drawn / expected - 1).max() < 0.2
    assert np.mean(drawn / expected) == pytest.approx(1, abs=0.05)


def test_the_first_warp_is_weaker_and_moves_image2_too():
    """With first_share 0 and no affine part image2 is the picture itself."""

    def change(share):
        return lambda each: pipelines.warp_pair(
            each, 4, translation=0, scale=0, rotation=0, first_share=share
        )

    record = _record()
    inner = record["image1"][4:-4, 4:-4] / 255
    (still,) = changed(record, change(0), 1)
    (moved,) = changed(record, change(0.5), 1)
    assert np.abs(still["image2"] - inner).max() < 1e-3
    assert np.abs(moved["image2"] - inner).max() > 0.05
    # The second warp is the same draw: the first one's strength does not touch it.
    assert np.allclose(still["grid"], moved["grid"], atol=1e-4)


def test_static_and_dynamic_sizes_give_the_same_pair():
    """The kept basis of a static size against kcorr.ops.tps_grid."""
    static = as_numpy(pipelines.warp_pair(example(_record((48, 56)))))
    (dynamic,) = changed(_record((48, 56)), pipelines.warp_pair, 1)
    assert np.array_equal(static["seed"], dynamic["seed"])
    assert np.abs(static["grid"] - dynamic["grid"]).max() < 1e-3
    assert np.abs(static["image1"] - dynamic["image1"]).max() < 1e-3


def test_kept_basis_against_the_formula_pixel_by_pixel():
    from kcorr.pipelines.warps import _warps

    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.01, (2, 100, 2)).astype(np.float32)
    affine = np.float32([[0.1, -0.2], [1.1, 0.1], [-0.1, 0.9]]) + np.zeros((2, 1, 1), np.float32)
    size = (13, 17)
    grids = np.asarray(_warps(np.concatenate([weights, affine], axis=1), *size))
    for grid, weight in zip(grids, weights, strict=True):
        slow = (_slow_warp(weight, affine[0], size) + 1) * [8, 6]
        assert np.abs(grid - slow).max() < 1e-4


def test_pairs_are_pure_functions_of_the_seed():
    first = changed(_record(), pipelines.warp_pair, 3)
    again = changed(_record(), pipelines.warp_pair, 3)
    for one, other in zip(first, again, strict=True):
        assert all(np.array_equal(one[key], other[key]) for key in one)
    assert not np.allclose(first[0]["grid"], first[1]["grid"], atol=0.5)


def test_a_picture_that_the_crop_swallows_is_refused():
    with pytest.raises(ValueError, match="nothing of a 30x80 picture is left after cropping 15"):
        pipelines.warp_pair(
            example(_record((32, 80))) | {"image1": np.zeros((30, 80, 3), np.float32)}
        )
