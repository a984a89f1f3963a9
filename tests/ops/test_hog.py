"""The descriptors of deep matching against slow ones, borders included."""

import functools

import numpy as np
import pytest
from _compiled import compiled
from _gradients import assert_gradient, evaluate
from _modes import assert_same_in_every_mode
from scipy import ndimage

from kcorr.ops import hog_maps, stack_patches
from kcorr.ops.hog import integer_gaussian

VARIANTS = pytest.mark.parametrize("variant", ["cpu", "gpu"])
RANDOM = np.random.default_rng(3)
# The C++ program's weights of sigma 1 and 1.5.
ONE = np.array([135, 607, 1000, 607, 135]) / 2484
ONE_AND_A_HALF = np.array([135, 411, 801, 1000, 801, 411, 135]) / 3694


@functools.cache  # one compilation under jax for all pictures of a size
def function(variant, stacked):
    def one(images):
        maps = hog_maps(images, variant)
        return stack_patches(maps, variant) if stacked else maps

    return compiled(one)


def cells(images, variant):
    return evaluate(function(variant, False), images)


def descriptors(images, variant):
    return evaluate(function(variant, True), images)


def picture(height, width, batch=1, contrast=0.3):
    """Of a contrast at which the sigmoid is not flat."""
    return 0.5 + contrast * (RANDOM.random((batch, height, width, 3)) - 0.5)


def smooth(x, weights):
    down = ndimage.correlate1d(x, weights, 0, mode="nearest")
    return ndimage.correlate1d(down, weights, 1, mode="nearest")


def slow_cpu(image, presmooth, sobel, ninth, cells):
    """One picture [h, w, 3], with scipy's filters."""

    grey = image.mean(-1) * 255
    grey = smooth(grey, ONE) if presmooth else grey
    gradients = []
    for axis in (1, 0):
        x = grey
        if sobel:
            x = ndimage.correlate1d(x, [0.25, 0.5, 0.25], 1 - axis, mode="nearest")
        gradients.append(ndimage.correlate1d(x, [-1, 0, 1], axis, mode="nearest"))
    maps = []
    for k in range(8):
        angle = k * np.pi / 4
        hog = np.maximum(np.cos(angle) * gradients[0] + np.sin(angle) * gradients[1], 0)
        hog = 2 / (1 + np.exp(-0.2 * smooth(hog, ONE_AND_A_HALF))) - 1
        maps.append(smooth(hog, ONE))
    maps = np.stack([*maps, np.full_like(grey, ninth)], -1)
    height, width = (side // cells for side in maps.shape[:2])
    maps = maps[: height * cells, : width * cells]
    return maps.reshape(height, cells, width, cells, 9).mean((1, 3))


def slow_blur(x, deviation, frame=0):
    """A 5 x 5 Gaussian, tap by tap, over the weights that lie inside x [h, w]."""
    height, width = x.shape
    out = np.zeros((height + 2 * frame, width + 2 * frame))
    for row, column in np.ndindex(*out.shape):
        value = weight = 0.0
        for dy, dx in np.ndindex(5, 5):
            y, x_ = row - frame + dy - 2, column - frame + dx - 2
            if 0 <= y < height and 0 <= x_ < width:
                one = np.exp(-((dy - 2) ** 2 + (dx - 2) ** 2) / (2 * deviation**2))
                value, weight = value + one * x[y, x_], weight + one
        out[row, column] = value / weight
    return out


def slow_gpu(image, ninth):
    grey = slow_blur(image.mean(-1) * 255, 1 / 0.996, frame=1)
    across, down = grey[1:-1, 2:] - grey[1:-1, :-2], grey[2:, 1:-1] - grey[:-2, 1:-1]
    maps = []
    for k in range(9):
        hog = np.maximum(np.cos(k * np.pi / 4) * across + np.sin(k * np.pi / 4) * down, 0)
        if k == 8:  # before the sigmoid, as the program does it
            hog = np.full_like(across, -np.log(2 / (1 + ninth) - 1) / 0.2)
        hog = 2 / (1 + np.exp(-0.2 * slow_blur(hog, 1 / 0.996))) - 1
        maps.append(slow_blur(hog, 1 / 1.004))
    maps = np.stack(maps, -1)
    height, width = (side // 2 for side in maps.shape[:2])
    maps = maps[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 9).max((1, 3))
    return maps / np.linalg.norm(maps, axis=-1, keepdims=True) / 4


@pytest.mark.parametrize(
    ("presmooth", "gradient", "ninth", "downscale"),
    [(1.0, None, 0.3, 1), (0, "sobel", 0.1, 0), (1, "difference", 0.3, 2)],
)
def test_cpu_is_the_slow_truth(presmooth, gradient, ninth, downscale):
    images = picture(11, 14, batch=2)
    found = evaluate(
        lambda x: hog_maps(
            x, presmooth=presmooth, gradient=gradient, ninth=ninth, downscale=downscale
        ),
        images,
    )
    sobel = gradient != "difference"
    expected = [slow_cpu(image, presmooth, sobel, ninth, 2**downscale) for image in images]
    assert np.ptp(expected[0][..., :8]) > 0.2
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_gpu_is_the_slow_truth():
    images = picture(9, 10, batch=2)
    found = evaluate(lambda x: hog_maps(x, "gpu", ninth=0.2), images)
    np.testing.assert_allclose(found, [slow_gpu(image, 0.2) for image in images], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 0.25, atol=1e-12)


def test_integer_gaussians_are_those_of_the_program():
    np.testing.assert_array_equal(*integer_gaussian(1.0), ONE)
    np.testing.assert_array_equal(*integer_gaussian(1.5), ONE_AND_A_HALF)
    assert integer_gaussian(0) == [] and [len(w) for w in integer_gaussian(0.5)] == [3]
    first, second = integer_gaussian(2.5)  # 1.86, and what is left of the variance
    np.testing.assert_array_equal(first, integer_gaussian(1.86)[0])
    np.testing.assert_array_equal(second, integer_gaussian((2.5**2 - 1.86**2) ** 0.5)[0])


def table(x):
    """The program's sigmoid of slope 0.2."""
    values = 1 / (1 + np.exp(-np.arange(65) / 8))
    values = (values - 0.5) / 0.5
    steps = np.minimum(8 * 0.2 * x, 64 - 1e-3)
    low = steps.astype(int)
    return values[low] + (steps - low) * (values[low + 1] - values[low])


def test_the_programs_table_is_the_sigmoid_to_a_thousandth():
    x = np.linspace(0, 100, 5001)
    assert np.abs(table(x) - (2 / (1 + np.exp(-0.2 * x)) - 1)).max() < 1e-3


def test_the_programs_integers_change_little():
    picture = ndimage.gaussian_filter(RANDOM.random((64, 64)), 2)
    picture = (picture - picture.min()) / np.ptp(picture)

    def whole(x, weights, axis):
        return np.trunc(ndimage.correlate1d(x, weights, axis, mode="nearest") + 1e-9)

    grey = whole(whole(np.trunc(picture * 255), ONE, 1), ONE, 0)
    down, across = (
        ndimage.correlate1d(whole(grey, [0.25, 0.5, 0.25], 1 - axis), [-1, 0, 1], axis,
                            mode="nearest") for axis in (0, 1)
    )  # fmt: skip
    maps = []
    for k in range(8):
        hog = np.maximum(np.cos(k * np.pi / 4) * across + np.sin(k * np.pi / 4) * down, 0)
        maps.append(smooth(table(smooth(hog, ONE_AND_A_HALF)), ONE))
    maps = np.stack([*maps, np.full_like(grey, 0.3)], -1).reshape(1, 32, 2, 32, 2, 9).mean((2, 4))
    theirs = evaluate(stack_patches, maps)
    ours = descriptors(np.repeat(picture[None, ..., None], 3, -1), "cpu")
    cosines = (theirs * ours).sum(-1)
    assert cosines.min() > 0.99 and cosines.min() < 1 - 1e-5


def slow_patches(maps, variant, stride):
    """Patch by patch from their corners; maps [h, w, c]."""
    height, width, channels = maps.shape
    rows, columns = (range(0, side + 1, stride) for side in (height, width))
    out = np.zeros((len(rows), len(columns), 4, 4, channels))
    count = np.zeros((len(rows), len(columns)))
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            for y, x in np.ndindex(4, 4):
                if 0 <= r - 2 + y < height and 0 <= c - 2 + x < width:
                    out[i, j, y, x] = maps[r - 2 + y, c - 2 + x]
                    count[i, j] += 1
    out = out.reshape(len(rows), len(columns), -1)
    if variant == "gpu":
        return out * 16 / count[..., None]
    return out / np.linalg.norm(out, axis=-1, keepdims=True)


@VARIANTS
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_patches_are_the_slow_truth(variant, stride):
    maps = RANDOM.random((2, 9, 12, 3))
    found = evaluate(lambda x: stack_patches(x, variant, stride=stride), maps)
    expected = [slow_patches(one, variant, stride) for one in maps]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@VARIANTS
def test_descriptors_have_length_1(variant):
    dense = descriptors(picture(36, 36, batch=2), variant)
    assert dense.shape == (2, 19, 19, 144)
    whole = dense[:, 2:-2, 2:-2]  # of "gpu", those across the border have another
    np.testing.assert_allclose(np.linalg.norm(whole, axis=-1), 1, atol=1e-7)


def test_a_patch_that_is_cut_off_still_scores_1_with_its_like():
    maps = cells(picture(36, 36, batch=2), "gpu")
    whole = evaluate(lambda x: stack_patches(x, "gpu"), maps)[0, 4, 5]
    cut = evaluate(lambda x: stack_patches(x, "gpu"), maps[:, 4:, 4:])[0, 0, 1]
    assert whole @ cut == pytest.approx(1, abs=1e-9)  # 6 of 16 cells, the same ones


def test_patches_correlate_as_their_cells_do():
    maps = cells(picture(36, 36, batch=2), "gpu")
    first, second = evaluate(lambda x: stack_patches(x, "gpu"), maps)[:, 2:-2, 2:-2]
    products = (maps[0, :, :-1] * maps[1, :, 1:]).sum(-1)  # displacement (1, 0)
    summed = sum(products[y : y + 15, x : x + 14] for y, x in np.ndindex(4, 4))
    np.testing.assert_allclose((first[:, :-1] * second[:, 1:]).sum(-1), summed, atol=1e-12)


@VARIANTS
def test_a_flat_picture_has_the_constant_alone(variant):
    images = np.stack([np.full((36, 36, 3), grey) for grey in (0.0, 0.7)])
    maps = cells(images, variant)
    np.testing.assert_allclose(maps[..., :8], 0, atol=1e-9)
    np.testing.assert_allclose(maps[..., 8], 0.3 if variant == "cpu" else 0.25, atol=1e-9)
    patches = descriptors(images, variant)
    assert np.isfinite(patches).all()
    inside = patches[:, 2:-2, 2:-2].reshape(-1, 16, 9)
    np.testing.assert_allclose(inside[..., 8], 0.25, atol=1e-9)
    np.testing.assert_allclose(inside[..., :8], 0, atol=1e-9)


@VARIANTS
def test_nothing_at_all_is_no_nan(variant):
    found = evaluate(lambda x: stack_patches(x, variant), np.zeros((1, 5, 6, 9)))
    np.testing.assert_array_equal(found, np.zeros((1, 6, 7, 144)))


def test_next_to_nothing_still_has_length_1():
    found = evaluate(stack_patches, np.full((1, 4, 4, 9), 1e-9))
    assert np.linalg.norm(found[0, 2, 2]) == pytest.approx(1)


@VARIANTS
def test_a_mirrored_picture_has_mirrored_descriptors(variant):
    images = picture(36, 36, batch=2)
    there, back = cells(images, variant), cells(images[:, :, ::-1].copy(), variant)
    turned = [(4 - k) % 8 for k in range(8)]  # dx changes its sign
    np.testing.assert_allclose(back[:, :, ::-1, [*turned, 8]], there, atol=1e-9)


@VARIANTS
def test_what_moves_by_a_cell_has_its_descriptor_a_cell_on(variant):
    images = picture(40, 38, batch=2)
    there = descriptors(images[:, :36, :36], variant)
    moved = descriptors(images[:, 4:, 2:], variant)
    inner = slice(7, 10)  # 5 cells see the border, a patch 2 more
    np.testing.assert_allclose(moved[:, inner, inner], there[:, 9:12, 8:11], atol=1e-9)
    assert np.abs(moved[:, inner, inner] - there[:, inner, inner]).max() > 0.05


@VARIANTS
def test_brightness_does_not_matter(variant):
    images = picture(36, 36, batch=2)
    brighter = descriptors(images + 0.2, variant)
    np.testing.assert_allclose(brighter, descriptors(images, variant), atol=1e-9)


@VARIANTS
def test_a_bad_pixel_spoils_what_sees_it_and_no_more(variant):
    images = picture(36, 36, batch=2)
    bad = images.copy()
    bad[0, 0, 0] = np.nan
    clean, found = descriptors(images, variant), descriptors(bad, variant)
    assert not np.allclose(found[0, 0, 0], clean[0, 0, 0])  # NaN, but where a pooling drops it
    for part in [(1,), (0, slice(8, None)), (0, slice(None), slice(8, None))]:
        np.testing.assert_array_equal(found[part], clean[part])


@VARIANTS
def test_gradient(variant):
    weights = RANDOM.random((1, 5, 5, 144))
    function = compiled(lambda x: stack_patches(hog_maps(x, variant), variant) * weights)
    assert_gradient(function, picture(8, 9), entries=8, rtol=1e-4)


@VARIANTS
def test_every_mode_gives_the_same(variant):
    def both(images):
        maps = hog_maps(images, variant)
        return maps, stack_patches(maps, variant, stride=2)

    assert_same_in_every_mode(both, picture(17, 22, batch=2).astype("float32"), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "tpu"}, "variant must be one of cpu, gpu, got 'tpu'"),
        ({"gradient": "scharr"}, "gradient must be None or one of sobel, difference"),
        ({"presmooth": -1}, "presmooth must be from 0 to 3 pixels, got -1"),
        ({"post": float("nan")}, "post must be from 0 to 3"),
        ({"variant": "gpu", "mid": 1.5}, "mid of 1.5 pixels is too wide"),
        ({"slope": 0}, "slope must be above 0"),
        ({"ninth": 1.5}, "ninth must be from 0 to 1"),
        ({"downscale": 3}, "downscale must be 0, 1 or 2, got 3"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        hog_maps(np.zeros((1, 16, 16, 3)), **options)


def test_what_no_patch_can_be_made_of():
    with pytest.raises(ValueError, match=r"hog_maps expects images \[b, h, w, 3\]"):
        hog_maps(np.zeros((1, 16, 16, 1)))
    for options, message in [
        ({"variant": "other"}, "variant must be one of"),
        ({"side": 3}, "even side and a stride from 1, got 3 and 1"),
        ({"stride": 0}, "got 4 and 0"),
        ({"side": 10}, r"at least 10x10 cells, one patch, got \(1, 8, 8, 9\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            stack_patches(np.zeros((1, 8, 8, 9)), **options)
