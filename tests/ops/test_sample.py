"""Backward warping against a slow loop, its three borders, laws, gradients and bad values."""

import keras
import numpy as np
import pytest
from _compiled import compiled
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.ops import backward_warp, sample_points
from kcorr.ops.sample import BORDERS

every_border = pytest.mark.parametrize("border", BORDERS)


def slow_axis(position, size, border):
    """The two corners of one position: [(pixel, weight), ...], one number at a time."""
    if border == "authors":
        low = int(position)  # towards zero
        low, high = min(max(low, 0), size - 1), min(max(low + 1, 0), size - 1)
        return [(low, high - position), (high, position - low)]
    if border == "edge":
        position = min(max(position, 0), size - 1)
    low = int(np.floor(position))
    corners = [(low, 1 - (position - low)), (low + 1, position - low)]
    if border == "edge":
        return [(min(pixel, size - 1), weight) for pixel, weight in corners]
    return [(pixel, weight) for pixel, weight in corners if 0 <= pixel < size]


def slow_warp(image, flow, border):
    """[h2, w2, c], [h, w, 2] -> warped [h, w, c], inside [h, w, 1], in float64."""
    height, width, _ = flow.shape
    warped = np.zeros((height, width, image.shape[-1]))
    inside = np.zeros((height, width, 1))
    for row in range(height):
        for column in range(width):
            x, y = column + float(flow[row, column, 0]), row + float(flow[row, column, 1])
            inside[row, column] = 0 <= x <= image.shape[1] - 1 and 0 <= y <= image.shape[0] - 1
            for pixel_y, weight_y in slow_axis(y, image.shape[0], border):
                for pixel_x, weight_x in slow_axis(x, image.shape[1], border):
                    warped[row, column] += weight_x * weight_y * image[pixel_y, pixel_x]
    return warped, inside


def draw(height, width, channels=3, image_size=None, reach=4.0, seed=0, batch=2):
    random = np.random.default_rng(seed)
    image = random.normal(size=(batch, *(image_size or (height, width)), channels))
    flow = random.uniform(-reach, reach, (batch, height, width, 2))
    return image.astype("float32"), flow.astype("float32")


def warp(image, flow, border="zero"):
    run = compiled(lambda i, f: backward_warp(i, f, border))
    return [ops.convert_to_numpy(x) for x in run(image, flow)]


@every_border
@pytest.mark.parametrize(
    "height, width, image_size",
    [(6, 9, None), (7, 5, (4, 11)), (3, 8, (1, 8)), (5, 4, (5, 1)), (2, 2, (1, 1)), (1, 1, (6, 7))],
)
def test_against_a_slow_loop(border, height, width, image_size):
    image, flow = draw(height, width, image_size=image_size)
    flow[0, 0] = np.round(flow[0, 0])  # and exact pixels
    warped, inside = warp(image, flow, border)
    for i in range(2):
        expected, expected_inside = slow_warp(image[i].astype("float64"), flow[i], border)
        np.testing.assert_allclose(warped[i], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(inside[i], expected_inside)
    assert warped.dtype == inside.dtype == np.float32


@every_border
def test_no_motion_is_the_identity(border):
    image, _ = draw(6, 7)
    warped, inside = warp(image, np.zeros((2, 6, 7, 2), "float32"), border)
    assert (inside == 1).all()
    if border == "authors":  # and its famous black edge
        np.testing.assert_array_equal(warped[:, -1], 0)
        np.testing.assert_array_equal(warped[:, :, -1], 0)
        warped, image = warped[:, :-1, :-1], image[:, :-1, :-1]
    np.testing.assert_array_equal(warped, image)


@pytest.mark.parametrize("dx, dy", [(3, 0), (-2, 1), (0, -4), (40, 0)])
def test_whole_pixels_are_exact(dx, dy):
    image, _ = draw(8, 9)
    flow = np.zeros((2, 8, 9, 2), "float32") + np.array([dx, dy], "float32")
    warped, inside = warp(image, flow)
    padded = np.pad(image, [(0, 0), (50, 50), (50, 50), (0, 0)])
    visible = np.pad(np.ones_like(image[..., :1]), [(0, 0), (50, 50), (50, 50), (0, 0)])
    window = np.s_[:, 50 + dy : 58 + dy, 50 + dx : 59 + dx]
    np.testing.assert_array_equal(warped, padded[window])
    np.testing.assert_array_equal(inside, visible[window])


def row_sample(values, position, border="authors"):
    """One position on a horizontal ramp, three equal rows high so that only x matters."""
    image = np.broadcast_to(
        np.array(values, "float32")[None, None, :, None], (1, 3, len(values), 1)
    )
    points = np.array([[[position, 1.0]]], "float32")
    return float(ops.convert_to_numpy(sample_points(image, points, border)[0])[0, 0, 0])


@pytest.mark.parametrize(
    "position, expected",
    [
        *[(0, 10), (0.25, 12.5), (2.75, 37.5), (3, 0), (3.5, 0), (4, 0)],
        *[(-0.5, 5), (-0.25, 7.5), (-1, 0), (-1.5, 0), (1e12, 0), (-1e12, 0)],
    ],
)
def test_the_authors_sampler(position, expected):
    assert np.isclose(row_sample([10, 20, 30, 40], position), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "position, zero, edge",
    [(-0.25, 7.5, 10), (-1, 0, 10), (3, 40, 40), (3.25, 30, 40), (4, 0, 40), (1e12, 0, 40)],
)
def test_the_drawing_of_zero_and_edge(position, zero, edge):
    assert np.isclose(row_sample([10, 20, 30, 40], position, "zero"), zero)
    assert np.isclose(row_sample([10, 20, 30, 40], position, "edge"), edge)


def test_the_numbers_of_the_authors_function():
    y, x, c = np.ogrid[:24, :32, :3]
    image = (((5 * y + 2 * x + 3 * c) % 13) / 12.0).astype("float32")[None]
    y, x = np.mgrid[:24, :32]
    flow = np.stack([1.5 + 0.05 * x, -0.75 + 0.1 * y], -1).astype("float32")[None]
    warped, _ = warp(image, flow, "authors")
    assert np.isclose(warped.sum(), 958.58295, rtol=1e-5)
    np.testing.assert_allclose(warped[0, 3, 4], (0.5120834, 0.5833334, 0.3458333), rtol=1e-5)
    np.testing.assert_allclose(warped[0, 0, 0], (-0.0625, 0.1875, 1.25), rtol=1e-5)


def test_beyond_the_last_centre_the_authors_sampler_is_exactly_zero():
    """Rounding must leave nothing that unit length could blow up (see `sample_points`)."""
    image, flow = draw(9, 12, reach=0.3, seed=4)
    flow[..., 0] += 12
    assert not warp(image * 1e3, flow, "authors")[0].any()


def test_edge_is_zero_with_clamped_positions():
    image, flow = draw(9, 8, reach=7)
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(9)), -1)
    clamped = np.clip(grid + flow, 0, [7, 8]) - grid
    np.testing.assert_allclose(
        warp(image, flow, "edge")[0], warp(image, clamped.astype("float32"))[0], atol=1e-5
    )


BAD = [np.nan, np.inf, -np.inf, 1e12, -1e12, 3e38]


@every_border
@pytest.mark.parametrize("both", [False, True])
def test_bad_vectors_sample_nothing_and_touch_no_neighbour(border, both):
    image, flow = draw(5, 7)
    spoilt = flow.copy()
    for i, value in enumerate(BAD):
        spoilt[i % 2, i % 5, i % 7, slice(None) if both else i % 2] = value
    bad = (spoilt != flow).any(-1)
    clean, clean_inside = warp(image, flow, border)
    warped, inside = warp(image, spoilt, border)
    np.testing.assert_array_equal(warped[~bad], clean[~bad])
    np.testing.assert_array_equal(inside[~bad], clean_inside[~bad])
    assert not inside[bad].any() and np.isfinite(warped).all()
    nothing = bad if border != "edge" else bad & ~np.isfinite(spoilt).all(-1)
    assert not warped[nothing].any()


@pytest.mark.parametrize(
    "border, value",
    # Under "edge" a finite vector is clamped and samples the corner, whatever stands there.
    [(b, v) for b in BORDERS for v in BAD if b != "edge" or not np.isfinite(v)],
)
def test_bad_vectors_do_not_even_read_a_bad_pixel(border, value):
    image, flow = draw(4, 5, reach=0)
    image[:, 0, 0] = np.nan  # where positions that sample nothing are sent
    flow[:, 2, 3] = value
    warped, _ = warp(image, flow, border)
    assert np.isfinite(warped[:, 2, 3]).all()
    to_flow = gradient(compiled(lambda f: backward_warp(image, f, border)[0]), flow)[0]
    assert not to_flow[:, 2, 3].any()


@every_border
def test_bad_vectors_have_no_gradient_and_spoil_no_other(border):
    image, flow = draw(5, 7, seed=1)
    spoilt = flow.copy()
    for i, value in enumerate(BAD):
        spoilt[i % 2, i % 5, i % 7, i % 2] = value
    bad = (spoilt != flow).any(-1)

    visible = (~bad[..., None]).astype("float32")

    @compiled
    def whole(image, flow):
        return ops.square(backward_warp(image, flow, border)[0])

    def total(image, flow):
        return whole(image, flow) * visible

    to_image, to_flow = gradient(whole, image, spoilt)
    assert np.isfinite(to_image).all() and np.isfinite(to_flow).all()
    if border != "edge":  # a clamped position still counts along the other axis
        assert not to_flow[bad].any()
        to_image_clean, to_flow_clean = gradient(total, image, flow)
        np.testing.assert_allclose(to_image, to_image_clean, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(to_flow[~bad], to_flow_clean[~bad], rtol=1e-5, atol=1e-5)


@every_border
def test_gradients_by_differences(border):
    random = np.random.default_rng(5)
    image = random.normal(size=(2, 5, 6, 2))
    # Between the pixels' centres, where the interpolation has no kink; many beyond the border.
    flow = random.integers(-4, 4, (2, 5, 6, 2)) + random.uniform(0.1, 0.9, (2, 5, 6, 2))
    factor = random.normal(size=(2, 5, 6, 2))

    @compiled
    def weighted(image, flow):
        return backward_warp(image, flow, border)[0] * factor

    assert_gradient(weighted, image, flow, entries=25)


@every_border
def test_no_gradient_where_nothing_is_sampled(border):
    image, _ = draw(4, 5)
    flow = np.full((2, 4, 5, 2), 30.0, "float32")
    to_image, to_flow = gradient(compiled(lambda i, f: backward_warp(i, f, border)[0]), image, flow)
    assert not to_flow.any()
    assert to_image.any() == (border == "edge")


@every_border
def test_every_mode(border):
    image, flow = draw(7, 6, image_size=(5, 9), reach=6)
    flow[0, 0, 0] = np.nan
    assert_same_in_every_mode(lambda i, f: backward_warp(i, f, border), image, flow)


@every_border
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_pictures_are_sampled_at_exact_places(border, dtype):
    width = 700  # bfloat16 has no odd integers beyond 256
    image = ops.cast(np.random.default_rng(0).random((1, 2, width, 1), "float32"), dtype)
    flow = np.full((1, 2, width, 2), 0.25, "float32")
    warped, inside = backward_warp(image, flow, border)
    expected, _ = backward_warp(ops.cast(image, "float32"), flow, border)
    assert keras.backend.standardize_dtype(warped.dtype) == dtype
    assert keras.backend.standardize_dtype(inside.dtype) == dtype
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(ops.cast(x, "float32")) for x in (warped, ops.cast(expected, dtype)))
    )


def test_float64_is_kept():
    image, flow = (x.astype("float64") for x in draw(6, 7))
    warped = evaluate(lambda i, f: backward_warp(i, f)[0], image, flow)
    assert warped.dtype == np.float64
    expected = np.stack([slow_warp(i, f, "zero")[0] for i, f in zip(image, flow, strict=True)])
    np.testing.assert_allclose(warped, expected, atol=1e-13)


@every_border
def test_points_need_no_grid(border):
    image, _ = draw(6, 7)
    points = np.random.default_rng(2).uniform(-3, 9, (2, 31, 2)).astype("float32")
    points[0, :4] = [[0, 0], [6, 5], [6, 0], [-0.001, 2]]
    values, inside = (ops.convert_to_numpy(x) for x in sample_points(image, points, border))
    grid = np.stack([np.arange(31), np.zeros(31)], -1)
    for i in range(2):
        expected = slow_warp(image[i].astype("float64"), (points[i] - grid)[None], border)
        np.testing.assert_allclose(values[i], expected[0][0], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(inside[0, :4, 0], [1, 1, 1, 0])


def test_what_is_refused():
    image, flow = draw(4, 5)
    with pytest.raises(ValueError, match="border must be one of zero, edge, authors, got 'clamp'"):
        backward_warp(image, flow, "clamp")
    with pytest.raises(ValueError, match=r"expects image \[b, h2, w2, c\] and flow \[b, h, w, 2\]"):
        backward_warp(image, flow[..., :1])
    with pytest.raises(ValueError, match=r"got \(4, 5, 3\) and"):
        backward_warp(image[0], flow)
    with pytest.raises(ValueError, match=r"got \(2, 4, 5, 3\) and \(1, 4, 5, 2\)"):
        backward_warp(image, flow[:1])
    with pytest.raises(ValueError, match=r"sample_points expects .* points \[b, n, 2\]"):
        sample_points(image, flow[:1, 0])
