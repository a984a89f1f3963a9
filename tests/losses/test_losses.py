"""The losses against slow numpy definitions, and the laws that all of them obey."""

import _gradients
import keras
import numpy as np
import pytest
from keras import ops

from kcorr import losses

HEIGHT, WIDTH = 11, 13


def draw(seed=0, batch=2, height=HEIGHT, width=WIDTH, dtype="float32"):
    random = np.random.default_rng(seed)

    def array(*channels, scale=1.0, low=0.0):
        return (random.random((batch, height, width, *channels)) * scale + low).astype(dtype)

    return {
        "image1": array(3),
        "image2": array(3),
        "flow": array(2, scale=6, low=-3),
        "target": array(2, scale=6, low=-3),
        "mask": (array(1) > 0.4).astype(dtype),
    }


# Every loss as a function of (prediction-like array, other array, mask), and what it is fed.
CASES = {
    "robust_mean": (lambda a, b, m: losses.robust_mean(a, m), "flow", "target"),
    "photometric": (losses.photometric, "image2", "image1"),
    "census": (losses.census, "image2", "image1"),
    "smoothness 1": (
        lambda a, b, m: losses.edge_aware_smoothness(a, b, 1, 2.0, m),
        "flow",
        "image1",
    ),
    "smoothness 2": (
        lambda a, b, m: losses.edge_aware_smoothness(a, b, 2, 2.0, m),
        "flow",
        "image1",
    ),
    "endpoint_error": (losses.endpoint_error, "flow", "target"),
    "robust endpoint_error": (
        lambda a, b, m: losses.endpoint_error(a, b, m, 0.01, 0.4),
        "flow",
        "target",
    ),
    "pyramid_endpoint_error": (
        lambda a, b, m: losses.pyramid_endpoint_error(
            [a, a[:, ::2, ::2] / 2, a[:, :3, :3]], b, m, [1, 2, 0.5]
        ),
        "flow",
        "target",
    ),
    "distillation": (losses.distillation, "flow", "target"),
}
every_loss = pytest.mark.parametrize("case", CASES)


def apply(case, data, mask="mask"):
    function, first, second = CASES[case]
    mask = data[mask] if isinstance(mask, str) else mask
    return ops.convert_to_numpy(function(data[first], data[second], mask))


def psi(x, epsilon=0.01, exponent=0.4):
    return (np.abs(x) + epsilon) ** exponent


@every_loss
def test_one_value_per_example_and_examples_do_not_mix(case):
    data = draw()
    both = apply(case, data)
    assert both.shape == (2,) and both.dtype == np.float32
    for index in range(2):
        single = apply(case, {key: value[index : index + 1] for key, value in data.items()})
        np.testing.assert_allclose(both[index], single[0], rtol=1e-6)
    assert abs(both[0] - both[1]) > 1e-6  # two different examples: the values are not pooled


@every_loss
def test_no_mask_is_a_mask_of_ones(case):
    data = draw(1)
    np.testing.assert_allclose(
        apply(case, data, None), apply(case, data, np.ones_like(data["mask"])), rtol=1e-6
    )


@every_loss
def test_a_mask_of_zeros_gives_zero_and_finite_gradients(case):
    data = draw(2)
    function, first, second = CASES[case]
    empty = np.zeros_like(data["mask"])
    np.testing.assert_array_equal(apply(case, data, empty), [0.0, 0.0])
    found = _gradients.gradient(lambda a: function(a, data[second], empty), data[first])
    np.testing.assert_array_equal(found[0], np.zeros_like(data[first]))


@every_loss
def test_nan_and_infinity_where_nothing_counts_are_harmless(case):
    data = draw(3)
    function, first, second = CASES[case]
    mask = data["mask"].copy()
    mask[:, 3:9, 2:8] = 0  # wide enough that census patches in its middle touch nothing that counts
    clean, dirty = ({key: np.array(value) for key, value in data.items()} for _ in range(2))
    for key in (first, second):
        clean[key][:, 5, 5] = 0
        dirty[key][:, 5, 5] = (np.nan, np.inf, -np.inf)[: clean[key].shape[-1]]
    np.testing.assert_allclose(apply(case, dirty, mask), apply(case, clean, mask), rtol=1e-6)
    found = _gradients.gradient(lambda a, b: function(a, b, mask), dirty[first], dirty[second])
    for value in found:
        assert np.isfinite(value).all()
    if case != "pyramid_endpoint_error":  # there the prediction is taken at other sizes
        assert (found[0][:, 5, 5] == 0).all()


@every_loss
def test_nan_that_counts_reaches_the_result_of_its_example_only(case):
    data = draw(4)
    _, first, _ = CASES[case]
    data[first][0, 4, 4] = np.nan  # even, so that the coarse level of the pyramid sees it
    mask = np.ones_like(data["mask"])
    result = apply(case, data, mask)
    assert np.isnan(result[0]) and np.isfinite(result[1])


@every_loss
def test_gradient(case):
    data = draw(5, batch=1, dtype="float64")
    function, first, _ = CASES[case]
    other = data[CASES[case][2]]
    _gradients.assert_gradient(
        lambda a: function(a, ops.convert_to_tensor(other), ops.convert_to_tensor(data["mask"])),
        data[first],
        rtol=1e-4,
        atol=1e-8,
    )


@every_loss
def test_gradient_is_finite_where_prediction_and_truth_agree(case):
    data = draw(6)
    function, first, second = CASES[case]
    same = data[first]
    other = data[second] if "smooth" in case else same
    flat = np.ones_like(same)  # for the smoothness: no difference anywhere
    found = _gradients.gradient(
        lambda a: function(a, other, data["mask"]), flat if "smooth" in case else same
    )
    assert np.isfinite(found[0]).all()


@every_loss
def test_no_gradient_to_the_mask(case):
    data = draw(7)
    function, first, second = CASES[case]
    found = _gradients.gradient(lambda m: function(data[first], data[second], m), data["mask"])
    np.testing.assert_array_equal(found[0], 0)


@every_loss
def test_half_precision_is_computed_in_float32(case):
    data = draw(8)
    half = {key: value.astype("float16") for key, value in data.items()}
    widened = {key: value.astype("float32") for key, value in half.items()}
    assert apply(case, half).dtype == np.float32
    np.testing.assert_allclose(apply(case, half), apply(case, widened), rtol=1e-6)


@every_loss
def test_shapes_that_do_not_fit_are_refused(case):
    data = draw(9)
    with pytest.raises(ValueError, match="mask"):
        apply(case, data, data["mask"][..., 0])
    with pytest.raises(ValueError, match="share batch, height and width"):
        apply(case, data, data["mask"][:, 1:])
    if case not in ("robust_mean", "pyramid_endpoint_error"):
        _, first, second = CASES[case]
        with pytest.raises(ValueError, match="share batch, height and width"):
            apply(case, {**data, first: data[first][:, :, 1:]}, None)
        if "smooth" not in case:
            with pytest.raises(ValueError):
                apply(case, {**data, second: data[second][..., :1]}, None)


@every_loss
def test_under_the_compiler(case):
    # jit of the backend in use; the TensorFlow graph has dynamic sizes, as in a data pipeline.
    data = draw(10)
    function, first, second = CASES[case]
    expected = apply(case, data)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        specs = [
            tf.TensorSpec([None, None, None, data[key].shape[-1]])
            for key in (first, second, "mask")
        ]
        dynamic = tf.function(function, input_signature=specs, autograph=False)
        fixed = tf.function(function, jit_compile=True, autograph=False)
        results = [f(data[first], data[second], data["mask"]) for f in (dynamic, fixed)]
    else:
        import jax

        results = [jax.jit(function)(data[first], data[second], data["mask"])]
    for result in results:
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-5)


def test_robust_is_the_formula_and_keeps_any_shape():
    x = np.linspace(-3, 3, 25, dtype="float32").reshape(5, 5)
    np.testing.assert_allclose(ops.convert_to_numpy(losses.robust(x)), psi(x), rtol=1e-6)
    np.testing.assert_allclose(
        ops.convert_to_numpy(losses.robust(x, 0.0, 1.0)), np.abs(x), rtol=1e-6
    )
    slope = _gradients.gradient(losses.robust, np.array([0.0, 1e-7, -1e-7]))[0]
    np.testing.assert_allclose(slope, [0.0, 6.3396, -6.3396], rtol=1e-3)


@pytest.mark.parametrize(("epsilon", "exponent"), [(0.0, 0.4), (-0.1, 2.0), (0.01, 0.0)])
def test_penalties_without_a_gradient_are_refused(epsilon, exponent):
    with pytest.raises(ValueError, match="must be positive"):
        losses.robust(np.ones(3, "float32"), epsilon, exponent)
    with pytest.raises(ValueError, match="must be positive"):
        flow = np.ones((1, 2, 2, 2), "float32")
        losses.endpoint_error(flow, flow, None, epsilon, exponent)


def test_robust_mean_divides_by_twice_the_mask():
    data = draw(11)
    mask = data["mask"]
    expected = (psi(data["image1"]) * mask).sum((1, 2, 3)) / (2 * mask.sum((1, 2, 3)) + 1e-6)
    found = ops.convert_to_numpy(losses.robust_mean(data["image1"], mask))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    half = ops.convert_to_numpy(losses.robust_mean(data["image1"], mask / 2))  # a weight cancels
    np.testing.assert_allclose(half, expected, rtol=1e-6)


def test_census_ignores_the_frame_and_forgives_brightness():
    data = draw(12, height=17, width=19)
    dark = data["image1"].copy()
    reference = ops.convert_to_numpy(losses.census(data["image1"], dark))
    np.testing.assert_allclose(reference, 0.0792447, rtol=1e-5)
    brighter = ops.convert_to_numpy(losses.census(data["image1"], dark + 0.2))
    np.testing.assert_allclose(brighter, reference, rtol=1e-3)
    for border, changes in ((2, False), (3, True)):  # pixel 3 is the first that counts itself
        other = dark.copy()
        other[:, border, border] += 0.5
        mask = np.zeros_like(data["mask"])
        mask[:, border, border] = 1
        found = ops.convert_to_numpy(losses.census(data["image1"], other, mask))
        assert (found > 0.1).all() if changes else (found == 0).all()
    tiny = draw(12, height=6, width=40)
    assert not ops.convert_to_numpy(losses.census(tiny["image1"], tiny["image2"])).any()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_smoothness_against_a_loop(order, masked):
    data = draw(13)
    flow, image = data["flow"], data["image1"]
    mask = data["mask"] if masked else np.ones_like(data["mask"])
    expected = []
    for b in range(2):
        terms = []
        for dy, dx in ((0, 1), (1, 0)):
            total, count = 0.0, 0.0
            for y in range(HEIGHT - order * dy):
                for x in range(WIDTH - order * dx):
                    at = [(b, y + k * dy, x + k * dx) for k in range(order + 1)]
                    if not all(mask[p][0] for p in at):
                        continue
                    if order == 1:
                        d = flow[at[1]] - flow[at[0]]
                    else:
                        d = flow[at[0]] - 2 * flow[at[1]] + flow[at[2]]
                    edge = np.abs(image[at[-1]] - image[at[0]]).mean()
                    total += (np.exp(-3.0 * edge) * np.sqrt(d**2 + 1e-6)).mean()
                    count += 1
            terms.append(total / count)
        expected.append(np.mean(terms))
    found = losses.edge_aware_smoothness(flow, image, order, 3.0, mask)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


def test_smoothness_knows_constant_and_affine_motion():
    y, x = np.mgrid[:9, :12].astype("float32")
    plain = np.full((1, 9, 12, 3), 0.5, "float32")
    affine = np.stack([2 + 0.5 * x - 0.25 * y, 1 - x + 0.125 * y], -1)[None]
    constant = np.zeros_like(affine) + 3

    def cost(flow, order, image=plain):
        return float(losses.edge_aware_smoothness(flow, image, order)[0])

    assert np.isclose(cost(constant, 1), 1e-3) and np.isclose(cost(affine, 2), 1e-3, rtol=1e-3)
    assert np.isclose(cost(affine, 1), ((0.5 + 1) / 2 + (0.25 + 0.125) / 2) / 2, rtol=1e-4)
    step = np.where(x < 6, 0.0, 4.0)[None, ..., None] * np.ones(2, "float32")
    edge = np.where(x < 6, 0.2, 0.8)[None, ..., None] * np.ones(3, "float32")
    assert np.isclose(cost(step, 1), (4 / 11 + 10e-3 / 11 + 1e-3) / 2, rtol=1e-3)
    assert cost(step, 1, edge.astype("float32")) < 1.1e-3
    with pytest.raises(ValueError, match="order must be 1 or 2"):
        cost(step, 3)


def test_endpoint_error_by_hand():
    flow = np.zeros((1, 2, 2, 2), "float32")
    target = np.array([[[[3, 4], [0, 0]], [[6, 8], [1e6, 0]]]], "float32")
    valid = np.array([[[[1], [1]], [[1], [0]]]], "float32")
    assert np.isclose(float(losses.endpoint_error(flow, target, valid)[0]), 5.0)
    robust = losses.endpoint_error(flow, target, valid, 0.01, 0.4)
    assert np.isclose(float(robust[0]), (5.01**0.4 + 0.01**0.4 + 10.01**0.4) / 3, rtol=1e-5)


def slow_downsample(target, valid, rows, columns):
    """Paints the target on a grid so fine that every coarse cell is a whole number of cells."""
    fine_target = np.repeat(np.repeat(target * valid, rows, 1), columns, 2)
    fine_valid = np.repeat(np.repeat(valid, rows, 1), columns, 2)
    batch, height, width = target.shape[:3]

    def cells(x):
        return x.reshape(batch, rows, height, columns, width, -1).sum((2, 4))

    total, count = cells(fine_target), cells(fine_valid)
    return np.where(count > 0, total / np.maximum(count, 1), 0), count / (height * width)


@pytest.mark.parametrize("size", [(11, 13), (6, 7), (3, 4), (1, 1), (4, 13)])
def test_downsampling_averages_the_known_vectors_of_the_area(size):
    data = draw(14)
    found, share = losses.downsample_target(data["target"], data["mask"], size)
    expected, expected_share = slow_downsample(data["target"], data["mask"], *size)
    np.testing.assert_allclose(ops.convert_to_numpy(share), expected_share, atol=1e-5)
    seen = expected_share[..., 0] > 1e-4
    np.testing.assert_allclose(ops.convert_to_numpy(found)[seen], expected[seen], atol=1e-3)


def test_pyramid_levels_are_comparable():
    # A pyramid that is right at every level costs nothing, and an error of two image pixels costs
    # two at every level, however coarse and whatever the ratio of the sizes.
    target = np.broadcast_to(np.array([6.0, -3.0], "float32"), (1, 24, 30, 2))
    sizes = [(24, 30), (12, 15), (3, 4)]
    for height, width in sizes:
        scale = np.array([width / 30, height / 24], "float32")
        right = np.broadcast_to(target[:, :1, :1] * scale, (1, height, width, 2))
        assert float(losses.pyramid_endpoint_error([right], target)[0]) < 1e-5
        off = right + np.array([2.0, 0.0], "float32") * scale
        assert np.isclose(float(losses.pyramid_endpoint_error([off], target)[0]), 2.0, rtol=1e-5)


def test_pyramid_against_a_slow_sum():
    data = draw(15)
    levels = [data["flow"], data["flow"][:, ::2, ::2], data["flow"][:, :3, :4]]
    weights = [0.5, 1.0, 3.0]
    expected = np.zeros(2)
    for weight, level in zip(weights, levels, strict=True):
        height, width = level.shape[1:3]
        target, share = slow_downsample(data["target"], data["mask"], height, width)
        error = level * [WIDTH / width, HEIGHT / height] - target
        error = (np.linalg.norm(error, axis=-1, keepdims=True) + 0.01) ** 0.4
        expected += weight * (error * share).sum((1, 2, 3)) / share.sum((1, 2, 3))
    found = losses.pyramid_endpoint_error(
        levels, data["target"], data["mask"], weights, epsilon=0.01, exponent=0.4
    )
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected / sum(weights), rtol=1e-4)


def test_pyramid_of_the_full_size_is_the_endpoint_error():
    data = draw(16)
    one = losses.pyramid_endpoint_error([data["flow"]], data["target"], data["mask"])
    other = losses.endpoint_error(data["flow"], data["target"], data["mask"])
    np.testing.assert_allclose(ops.convert_to_numpy(one), ops.convert_to_numpy(other), rtol=1e-5)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_pyramid_refuses_bad_weights(weights):
    flow = np.zeros((1, 4, 4, 2), "float32")
    with pytest.raises(ValueError, match="weights must be 2 numbers"):
        losses.pyramid_endpoint_error([flow, flow], flow, weights=weights)
    with pytest.raises(ValueError, match="empty"):
        losses.pyramid_endpoint_error([], flow)


def test_the_teacher_is_data():
    data = draw(17)
    student, teacher = _gradients.gradient(losses.distillation, data["flow"], data["target"])
    assert (student != 0).any()
    np.testing.assert_array_equal(teacher, 0)
    _, target = _gradients.gradient(losses.endpoint_error, data["flow"], data["target"])
    np.testing.assert_array_equal(target, 0)


def test_distillation_mask_truth_table():
    student = np.array([0, 0, 1, 1, 0.75], "float32").reshape(1, 1, 5, 1)
    teacher = np.array([0, 1, 0, 1, 0.5], "float32").reshape(1, 1, 5, 1)
    found = ops.convert_to_numpy(losses.distillation_mask(student, teacher))
    np.testing.assert_array_equal(found.ravel(), [0, 0, 1, 0, 0.25])
    gradients = _gradients.gradient(losses.distillation_mask, student, teacher)
    assert all((gradient == 0).all() for gradient in gradients)
