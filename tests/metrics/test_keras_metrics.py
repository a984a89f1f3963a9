"""The Keras metrics give what the numpy definitions give, batch by batch."""

import keras
import numpy as np
import pytest

from kcorr import metrics


def batches(seed=0, channels=2):
    random = np.random.default_rng(seed)
    for size in (1, 3, 2):
        target = random.normal(0, 60, (size, 7, 9, channels)).astype("float32")
        flow = target + random.standard_t(1.5, target.shape).astype("float32") * 2
        valid = (random.random((size, 7, 9, 1)) > 0.5).astype("float32")
        valid[0] *= size > 1  # a picture without any ground truth
        yield target, flow, valid


def run(metric, data):
    for target, prediction, valid in data:
        metric.update_state(target, prediction, valid)
    return float(metric.result())


def average(values, masks, reduction):
    """Slow truth: one loop over the pictures."""
    chosen = [
        v[m > 0.5] for batch in zip(values, masks, strict=True) for v, m in zip(*batch, strict=True)
    ]
    if reduction == "pixel":
        return np.concatenate(chosen).mean()
    return np.mean([c.mean() for c in chosen if c.size])


@pytest.mark.parametrize("reduction", ["image", "pixel"])
@pytest.mark.parametrize(
    ("tracker", "function", "channels", "unit"),
    [
        ("EndPointError", metrics.endpoint_error_map, 2, 1),
        ("FlowOutliers", metrics.flow_outliers, 2, 100),
        ("DisparityOutliers", metrics.disparity_outliers, 1, 100),
    ],
)
def test_equal_to_the_numpy_definition(tracker, function, channels, unit, reduction):
    data = list(batches(channels=channels))
    maps = [unit * function(flow, target) for target, flow, _ in data]
    expected = average(maps, [valid for *_, valid in data], reduction)
    found = run(getattr(metrics, tracker)(reduction=reduction), data)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("reduction", ["image", "pixel"])
def test_equal_to_the_evaluation(reduction):
    evaluation = metrics.FlowEvaluation(reduction)
    data = list(batches(1))
    for target, flow, valid in data:
        evaluation.update(flow, target, valid)
    result = evaluation.result()
    assert run(metrics.EndPointError(reduction), data) == pytest.approx(result["epe_all"], rel=1e-5)
    outliers = metrics.FlowOutliers(reduction=reduction)
    assert run(outliers, data) == pytest.approx(result["fl_all"], rel=1e-5)


def test_occlusion_f_score():
    random = np.random.default_rng(2)
    data = [
        [random.random((2, 6, 5, 1)).astype("float32").round() for _ in range(3)] for _ in range(4)
    ]
    stacked = [np.concatenate(arrays) for arrays in zip(*data, strict=True)]
    expected = metrics.occlusion_f_score(stacked[1], stacked[0], stacked[2])
    metric = metrics.OcclusionFScore()
    assert np.isnan(float(metric.result()))
    assert run(metric, data) == pytest.approx(expected, rel=1e-6)
    metric.reset_state()
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize("length", [20, 60, 80, 100, 140, 220, 260, 300, 380])
def test_exactly_five_percent_and_exactly_three_pixels(length):
    def row(*values):
        return np.array([[[[value, 0] for value in values]]], "float32")

    true = row(length, length, 0, 0)
    predicted = row(length + length // 20, length * 1.125, 3, 3.5)
    outliers = metrics.flow_outliers(predicted, true)
    found = run(metrics.FlowOutliers(), [(true, predicted, None)])
    assert found == pytest.approx(100 * outliers.mean()) and not outliers[..., [0, 2], :].any()
    found = run(metrics.DisparityOutliers(), [(true[..., :1], predicted[..., :1], None)])
    assert found == pytest.approx(100 * outliers.mean())


def test_predictions_that_are_not_numbers_count_as_errors():
    target, flow, valid = next(batches(3))
    valid = np.ones_like(valid)
    valid[0, 0, 0] = 0
    flow = target.copy()
    flow[0, 0, 0] = np.nan  # unknown there
    assert run(metrics.EndPointError(), [(target, flow, valid)]) == 0
    flow[0, 2, 3, 1] = np.nan
    assert run(metrics.EndPointError(), [(target, flow, valid)]) == np.inf
    assert run(metrics.FlowOutliers(), [(target, flow, valid)]) == pytest.approx(100 / 62)
    hidden = np.array([0, 1], "float32").reshape(1, 1, 2, 1)
    metric = metrics.OcclusionFScore()
    metric.update_state(hidden, np.full_like(hidden, np.nan))
    assert [float(v) for v in metric.variables] == [0, 1, 1]


def test_unknown_ground_truth_may_be_anything():
    target, flow, valid = next(iter(list(batches(4))[1:]))
    expected = run(metrics.EndPointError(), [(target, flow, valid)])
    target = np.where(valid > 0, target, np.nan)
    assert run(metrics.EndPointError(), [(target, flow, valid)]) == pytest.approx(expected)


@pytest.mark.parametrize(
    "metric",
    [
        lambda: metrics.EndPointError("pixel", name="epe_pixel"),
        lambda: metrics.FlowOutliers(2.0, 0.1, "image"),
        lambda: metrics.DisparityOutliers(absolute=1.0),
        lambda: metrics.OcclusionFScore(name="f"),
    ],
)
def test_serialisation(metric):
    metric = metric()
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(twin) is type(metric) and twin.get_config() == metric.get_config()
    assert twin.name == metric.name


def test_in_compile():
    # A network that predicts a constant; `fit` must report what the numpy definition gives.
    inputs = keras.Input((6, 8, 3))
    flow = keras.layers.Conv2D(2, 1, kernel_initializer="zeros", bias_initializer="ones")(inputs)
    network = keras.Model(inputs, flow)
    tracked = [metrics.EndPointError("pixel"), metrics.FlowOutliers()]
    network.compile(keras.optimizers.SGD(0.0), "mse", weighted_metrics=tracked)
    random = np.random.default_rng(5)
    images = random.random((4, 6, 8, 3)).astype("float32")
    target = random.normal(0, 4, (4, 6, 8, 2)).astype("float32")
    valid = (random.random((4, 6, 8)) > 0.3).astype("float32")
    logs = network.evaluate(images, target, 2, 0, sample_weight=valid, return_dict=True)
    prediction = np.ones_like(target)
    errors = metrics.endpoint_error_map(prediction, target)[..., 0][valid > 0]
    outliers = metrics.flow_outliers(prediction, target)[..., 0][valid > 0]
    assert logs["epe"] == pytest.approx(errors.mean(), rel=1e-5)
    assert logs["fl"] == pytest.approx(100 * outliers.mean(), rel=1e-5)


def test_bad_arguments():
    with pytest.raises(ValueError, match="reduction must be"):
        metrics.EndPointError("batch")
    flow = np.zeros((1, 4, 5, 2), "float32")
    with pytest.raises(ValueError, match=r"y_true must be \[b, h, w, 2\]"):
        metrics.EndPointError().update_state(flow[0], flow[0])
    with pytest.raises(ValueError, match="must have the same shape"):
        metrics.EndPointError().update_state(flow, flow[:, 1:])
    with pytest.raises(ValueError, match="sample_weight must"):
        metrics.EndPointError().update_state(flow, flow, flow)
    with pytest.raises(ValueError, match="sample_weight must fit"):
        metrics.EndPointError().update_state(flow, flow, flow[:, 1:, :, :1])
    with pytest.raises(AttributeError, match="no attribute 'Missing'"):
        metrics.Missing  # noqa: B018
