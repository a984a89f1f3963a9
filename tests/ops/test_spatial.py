import numpy as np
import pytest
from _gradients import assert_gradient, evaluate, gradient
from _modes import assert_same_in_every_mode
from keras import ops

from kcorr.ops import masked_mean, soft_argmax, spatial_softmax

RANDOM = np.random.default_rng(5)


def slow_softmax(logits, temperature):
    out = np.zeros(logits.shape)
    for b, k in np.ndindex(logits.shape[0], logits.shape[3]):
        scaled = logits[b, :, :, k].astype("float64") / temperature
        mass = np.exp(scaled - scaled.max())
        out[b, :, :, k] = mass / mass.sum()
    return out


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_softmax_equals_the_slow_truth(temperature):
    logits = RANDOM.normal(size=(2, 5, 7, 3)) * 4
    found = evaluate(lambda x: spatial_softmax(x, temperature), logits)
    np.testing.assert_allclose(found, slow_softmax(logits, temperature), rtol=1e-10)


def test_softmax_survives_huge_logits_and_minus_infinity():
    logits = np.full((1, 3, 4, 1), -np.inf, "float32")
    logits[0, 1, 2], logits[0, 2, 0] = 1e4, 1e4
    found = evaluate(spatial_softmax, logits)
    assert found[0, 1, 2, 0] == found[0, 2, 0, 0] == 0.5
    assert found.sum() == 1


def test_a_peak_is_found_in_x_y_order():
    logits = np.full((1, 6, 9, 2), -50.0, "float32")
    logits[0, 4, 7, 0] = 0  # row 4, column 7
    logits[0, 0, 0, 1] = 0
    np.testing.assert_allclose(evaluate(soft_argmax, logits), [[[7, 4], [0, 0]]], atol=1e-5)


def test_points_follow_a_shift_and_a_flip():
    logits = np.full((1, 12, 16, 1), -60.0)
    logits[0, 3:7, 4:8, 0] = RANDOM.normal(size=(4, 4))
    point = evaluate(soft_argmax, logits)[0, 0]
    shifted = evaluate(soft_argmax, np.roll(logits, (2, 3), (1, 2)))[0, 0]
    np.testing.assert_allclose(shifted - point, [3, 2], atol=1e-9)
    flipped = evaluate(soft_argmax, logits[:, :, ::-1].copy())[0, 0]
    np.testing.assert_allclose(flipped, [15 - point[0], point[1]], atol=1e-9)


def test_flat_logits_mean_the_centre():
    np.testing.assert_allclose(
        evaluate(soft_argmax, np.zeros((1, 5, 9, 1), "float32")), [[[4, 2]]], atol=1e-6
    )


def test_probabilities_are_taken_as_they_are():
    logits = RANDOM.normal(size=(2, 5, 6, 3))
    direct = evaluate(lambda x: soft_argmax(x, 0.5), logits)
    by_hand = evaluate(lambda x: soft_argmax(spatial_softmax(x, 0.5), normalised=True), logits)
    np.testing.assert_allclose(direct, by_hand, rtol=1e-12)


def test_half_precision_logits_give_float32_points():
    # On 300 columns bfloat16 could not tell 299 from 300.
    logits = np.full((1, 2, 300, 1), -80.0, "float32")
    logits[0, 1, 299] = 0
    points = soft_argmax(ops.cast(logits, "bfloat16"))
    assert "float32" in str(points.dtype)
    np.testing.assert_allclose(ops.convert_to_numpy(points), [[[299, 1]]], atol=1e-4)


def test_gradients():
    logits = RANDOM.normal(size=(2, 3, 4, 2))
    weight = RANDOM.random((2, 3, 4, 2))
    assert_gradient(lambda x: spatial_softmax(x, 0.7) * weight, logits)
    assert_gradient(lambda x: soft_argmax(x, 0.7) ** 2, logits)


def test_every_mode():
    logits = RANDOM.normal(size=(2, 5, 7, 3)).astype("float32")
    assert_same_in_every_mode(spatial_softmax, logits)
    assert_same_in_every_mode(soft_argmax, logits)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"\[b, h, w, k\]"):
        soft_argmax(np.zeros((2, 3), "float32"))
    with pytest.raises(ValueError, match="temperature"):
        spatial_softmax(np.zeros((1, 2, 2, 1), "float32"), 0)


def test_masked_mean_counts_only_what_the_mask_counts():
    x = RANDOM.normal(size=(3, 4, 5, 2))
    mask = (RANDOM.random((3, 4, 5, 1)) > 0.5).astype("float64")
    mask[1] = 0
    found = evaluate(masked_mean, x, mask)
    expected = [x[b][mask[b, ..., 0] > 0].mean() if mask[b].any() else 0 for b in range(3)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_masked_mean_of_weights_and_of_a_mask_per_channel():
    x, mask = RANDOM.normal(size=(2, 4, 5, 2)), RANDOM.random((2, 4, 5, 2))
    found = evaluate(masked_mean, x, mask)
    np.testing.assert_allclose(found, (x * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)))


def test_masked_mean_stops_nan_in_value_and_gradient():
    x, mask = np.ones((1, 2, 3, 2), "float32"), np.ones((1, 2, 3, 1), "float32")
    x[0, 0, 0], mask[0, 0, 0] = np.nan, 0
    assert evaluate(masked_mean, x, mask) == 1
    slope = gradient(lambda values: masked_mean(values, mask), x)[0]
    assert not slope[0, 0, 0].any()
    np.testing.assert_allclose(slope.sum(), 1, rtol=1e-6)


def test_masked_mean_in_every_mode_and_its_gradients():
    x, mask = RANDOM.normal(size=(2, 4, 5, 3)), RANDOM.random((2, 4, 5, 1)) + 0.1
    assert_same_in_every_mode(masked_mean, x.astype("float32"), mask.astype("float32"))
    assert_gradient(lambda *a: masked_mean(*a) ** 2, x, mask)
    with pytest.raises(ValueError, match="masked_mean expects"):
        masked_mean(x, mask[..., 0])
