import numpy as np
import pytest
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.ops import census_distance, census_transform

RANDOM = np.random.default_rng(11)
GREY = np.array([0.2989, 0.587, 0.114]) * 255


def slow_transform(image, radius):
    """Neighbour by neighbour, from the formulas, in float64."""
    grey = image.astype("float64") @ GREY
    batch, height, width = grey.shape
    side = 2 * radius + 1
    out = np.zeros((batch, height, width, side * side))
    for b, y, x in np.ndindex(batch, height, width):
        for k in range(side * side):
            row, column = y + k // side - radius, x + k % side - radius
            known = 0 <= row < height and 0 <= column < width
            d = (grey[b, row, column] if known else 0.0) - grey[b, y, x]
            out[b, y, x, k] = d / np.sqrt(0.81 + d * d)
    return out


def slow_distance(image1, image2, radius):
    s = (slow_transform(image1, radius) - slow_transform(image2, radius)) ** 2
    return np.sum(s / (0.1 + s), -1, keepdims=True)


@pytest.mark.parametrize(
    "shape, radius", [((2, 9, 11, 3), 3), ((1, 5, 4, 3), 1), ((2, 1, 6, 3), 2)]
)
def test_equals_the_slow_truth(shape, radius):
    one, two = RANDOM.random((2, *shape))
    np.testing.assert_allclose(
        evaluate(lambda i: census_transform(i, radius), one), slow_transform(one, radius), atol=1e-9
    )
    np.testing.assert_allclose(
        evaluate(lambda i, j: census_distance(i, j, radius), one, two),
        slow_distance(one, two, radius),
        atol=1e-9,
    )


def test_float32_is_near_enough():
    one, two = RANDOM.random((2, 1, 12, 14, 3)).astype("float32")
    found = evaluate(census_distance, one, two)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_distance(one, two, 3), atol=1e-3)


def test_the_authors_golden_value():
    # Robust loss of an image with itself: psi(0) = 0.01^0.4 at every pixel, halved, inside the
    # three-pixel frame. The distance below must therefore be 0 everywhere.
    y, x, c = np.mgrid[:24, :32, :3]
    image = (((7 * y + 3 * x + 5 * c) % 11) / 10)[None].astype("float32")
    assert not evaluate(census_distance, image, image).any()
    assert np.isclose(0.01**0.4 / 2, 0.0792447, atol=1e-6)


def test_brightness_and_strong_contrast_do_not_count():
    # The inner distance to a brighter copy is 0, to one of double contrast nearly 0: that is what
    # census is for. A shuffled image is near the ceiling.
    image = np.round(RANDOM.random((1, 16, 18, 1)) * 120) / 255
    inner = (slice(None), slice(3, -3), slice(3, -3))
    brighter = evaluate(census_distance, image, image + 0.3)[inner]
    assert brighter.max() < 1e-6
    contrast = evaluate(census_distance, image, image * 2)[inner]
    other = evaluate(census_distance, image, RANDOM.permutation(image.ravel()).reshape(image.shape))
    assert contrast.mean() < 0.1 * other[inner].mean()


def test_is_symmetric_and_bounded():
    one, two = RANDOM.random((2, 1, 10, 10, 3))
    there, back = evaluate(census_distance, one, two), evaluate(census_distance, two, one)
    np.testing.assert_allclose(there, back, atol=1e-12)
    assert (there >= 0).all()
    assert there.max() <= 48 * 4 / 4.1


def test_a_shift_of_both_images_shifts_the_distance():
    one, two = RANDOM.random((2, 1, 20, 22, 3))
    whole = evaluate(census_distance, one, two)
    part = evaluate(census_distance, one[:, 4:, 5:], two[:, 4:, 5:])
    np.testing.assert_allclose(part[:, 3:-3, 3:-3], whole[:, 7:-3, 8:-3], atol=1e-9)


def test_images_of_a_batch_do_not_see_one_another():
    one, two = RANDOM.random((2, 3, 7, 8, 3))
    together = evaluate(census_distance, one, two)
    for b in range(3):
        alone = evaluate(census_distance, one[b : b + 1], two[b : b + 1])
        np.testing.assert_allclose(together[b : b + 1], alone, atol=1e-12)


def test_grey_equals_rgb_of_equal_channels():
    # The authors' three weights sum to 0.9999, hence the tolerance.
    one, two = RANDOM.random((2, 1, 8, 9, 1))
    grey = evaluate(census_distance, one, two)
    rgb = evaluate(census_distance, one.repeat(3, -1), two.repeat(3, -1))
    np.testing.assert_allclose(rgb, grey, atol=2e-2)


def test_gradients():
    # Neighbouring grey values within a few levels, where the soft signs have slopes.
    one, two = 0.5 + RANDOM.normal(size=(2, 2, 5, 6, 3)) * 0.005
    weight = RANDOM.random((2, 5, 6, 1))
    assert_gradient(lambda i, j: census_distance(i, j, 2) * weight, one, two, step=1e-7, entries=12)
    pick = RANDOM.random((2, 5, 6, 25))
    assert_gradient(lambda i: census_transform(i, 2) * pick, one, step=1e-7, entries=12)


def test_gradient_is_finite_where_images_agree():
    image = np.full((1, 6, 6, 3), 0.5, "float32")
    for slope in gradient(census_distance, image, image):
        assert np.isfinite(slope).all()


def test_a_nan_pixel_reaches_its_neighbourhood_only():
    one, two = RANDOM.random((2, 1, 14, 15, 3)).astype("float32")
    clean = evaluate(census_distance, one, two)
    two[0, 6, 7] = np.nan
    found = evaluate(census_distance, one, two)
    near = np.zeros((14, 15), bool)
    near[3:10, 4:11] = True
    assert np.isnan(found[0][near]).all()
    np.testing.assert_allclose(found[0][~near], clean[0][~near], atol=1e-6)


def test_every_mode():
    # XLA's reciprocal root is good to 1e-4 of a grey level's slope; the distance reaches 46.
    one, two = RANDOM.random((2, 2, 9, 11, 3)).astype("float32")
    assert_same_in_every_mode(lambda i, j: census_distance(i, j, 2), one, two, atol=2e-3)
    assert_same_in_every_mode(lambda i: census_transform(i, 1), one, atol=1e-4)


def test_half_precision_images_are_compared_in_float32():
    one, two = RANDOM.random((2, 1, 8, 8, 3)).astype("float16")
    found = census_distance(ops.convert_to_tensor(one), ops.convert_to_tensor(two))
    assert "float32" in str(found.dtype)
    np.testing.assert_allclose(ops.convert_to_numpy(found), slow_distance(one, two, 3), atol=1e-3)


@pytest.mark.parametrize("shape, radius", [((1, 4, 4, 2), 3), ((4, 4, 3), 3), ((1, 4, 4, 3), 0)])
def test_bad_arguments_are_named(shape, radius):
    image = np.zeros(shape, "float32")
    with pytest.raises(ValueError, match=r"radius|census expects"):
        census_distance(image, image, radius)


def test_images_of_different_sizes_are_named():
    with pytest.raises(ValueError, match=r"got \(1, 6, 7\) and \(1, 7, 6\)"):
        census_distance(np.zeros((1, 6, 7, 3), "float32"), np.zeros((1, 7, 6, 3), "float32"))
