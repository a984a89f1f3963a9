"""The same metrics as `keras.metrics.Metric`, for `compile(weighted_metrics=...)` and objectives.

`update_state(y_true, y_pred, sample_weight)` takes the validity mask as `sample_weight`, > 0.5 =
counts; in `compile` that makes them `weighted_metrics`. Predictions that are not finite are errors
of infinite size. `result()` is NaN until something was counted.
"""

import keras
from keras import ops


class _Ratio(keras.metrics.Metric):
    """A sum over a count; subclasses say what one pixel contributes."""

    _channels = 2
    _reductions = ("image", "pixel")

    def __init__(self, reduction, name, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if reduction not in self._reductions:
            raise ValueError(f'reduction must be "image" or "pixel", got {reduction!r}')
        self.reduction = reduction
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: [b, h, w, c], the ground truth.
            y_pred: [b, h, w, c], the prediction.
            sample_weight: [b, h, w, 1] or [b, h, w], > 0.5 = counts; None counts everything.
        """
        y_true, y_pred, counted = _prepare(y_true, y_pred, sample_weight, self._channels)
        y_true = ops.where(counted, y_true, 0.0)
        finite = ops.all(ops.isfinite(y_pred), axis=-1, keepdims=True)
        y_pred = ops.where(finite, y_pred, 0.0)
        error = ops.sqrt(ops.sum(ops.square(y_pred - y_true), axis=-1, keepdims=True))
        error = ops.where(finite, error, float("inf"))
        # where, not a product: 0 times infinity is NaN.
        values = ops.where(counted, ops.cast(self._contribution(error, y_true), "float32"), 0.0)
        total = ops.sum(values, axis=(1, 2, 3))
        count = ops.sum(ops.cast(counted, "float32"), axis=(1, 2, 3))
        if self.reduction == "image":
            some = count > 0
            total, count = total / ops.maximum(count, 1.0), ops.cast(some, "float32")
        self.total.assign_add(ops.cast(ops.sum(total), self.total.dtype))
        self.count.assign_add(ops.cast(ops.sum(count), self.count.dtype))

    def result(self):
        """The average so far, NaN if nothing was counted."""
        return self.total / self.count

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "reduction": self.reduction}

    def _contribution(self, error, y_true):
        raise NotImplementedError


@keras.saving.register_keras_serializable("kcorr")
class EndPointError(_Ratio):
    """Mean endpoint error in pixels.

    Args:
        reduction: "image", the mean of the pictures' means (pictures without a valid pixel are
            left out), or "pixel", the mean over all valid pixels.
        name: of the metric.
        dtype: of the accumulators.
    """

    def __init__(self, reduction="image", name="epe", dtype=None):
        super().__init__(reduction, name, dtype)

    def _contribution(self, error, y_true):
        return error


class _Outliers(_Ratio):
    def __init__(self, absolute, relative, reduction, name, dtype):
        super().__init__(reduction, name, dtype)
        self.absolute = absolute
        self.relative = relative

    def get_config(self):
        """The constructor's arguments."""
        thresholds = {"absolute": self.absolute, "relative": self.relative}
        return {**super().get_config(), **thresholds}

    def _contribution(self, error, y_true):
        length = ops.sqrt(ops.sum(ops.square(y_true), axis=-1, keepdims=True))
        outlier = error > ops.maximum(self.absolute, self.relative * length)
        return 100.0 * ops.cast(outlier, "float32")


@keras.saving.register_keras_serializable("kcorr")
class FlowOutliers(_Outliers):
    """Fl of KITTI 2015 in percent: error over 3 px and over 5 % of the true length, both strictly.

    Args:
        absolute: pixels.
        relative: share of the true vector's length.
        reduction: "pixel", all valid pixels pooled, or "image", the mean of the pictures' values.
        name: of the metric.
        dtype: of the accumulators.
    """

    def __init__(self, absolute=3.0, relative=0.05, reduction="pixel", name="fl", dtype=None):
        super().__init__(absolute, relative, reduction, name, dtype)


@keras.saving.register_keras_serializable("kcorr")
class DisparityOutliers(_Outliers):
    """D1 of KITTI 2015 in percent: error over 3 px and over 5 % of the true disparity, strictly.

    Args:
        absolute: pixels.
        relative: share of the true disparity.
        reduction: "pixel", all valid pixels pooled, or "image", the mean of the pictures' values.
        name: of the metric.
        dtype: of the accumulators.
    """

    _channels = 1

    def __init__(self, absolute=3.0, relative=0.05, reduction="pixel", name="d1", dtype=None):
        super().__init__(absolute, relative, reduction, name, dtype)


@keras.saving.register_keras_serializable("kcorr")
class OcclusionFScore(keras.metrics.Metric):
    """F-measure of a predicted occlusion, all valid pixels pooled; occluded is the positive class.

    Args:
        name: of the metric.
        dtype: of the accumulators.
    """

    def __init__(self, name="occlusion_f", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.true_positives = self.add_variable((), "zeros", name="true_positives")
        self.false_positives = self.add_variable((), "zeros", name="false_positives")
        self.false_negatives = self.add_variable((), "zeros", name="false_negatives")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: [b, h, w, 1], > 0.5 = hidden in the other frame.
            y_pred: [b, h, w, 1], > 0.5 = hidden; a value that is not finite is wrong either way.
            sample_weight: [b, h, w, 1] or [b, h, w], > 0.5 = counts; None counts everything.
        """
        y_true, y_pred, counted = _prepare(y_true, y_pred, sample_weight, 1)
        hidden = y_true > 0.5
        shown = ops.logical_not(hidden)
        said_hidden = ops.where(ops.isfinite(y_pred), y_pred > 0.5, shown)
        said_shown = ops.logical_not(said_hidden)
        for variable, first, second in (
            (self.true_positives, said_hidden, hidden),
            (self.false_positives, said_hidden, shown),
            (self.false_negatives, said_shown, hidden),
        ):
            hits = ops.logical_and(counted, ops.logical_and(first, second))
            variable.assign_add(ops.sum(ops.cast(hits, variable.dtype)))

    def result(self):
        """`2 tp / (2 tp + fp + fn)` so far, NaN if nothing was hidden or said to be."""
        twice = 2.0 * self.true_positives
        return twice / (twice + self.false_positives + self.false_negatives)


def _prepare(y_true, y_pred, sample_weight, channels):
    """Both as float32 [b, h, w, channels], and what counts as bool [b, h, w, 1]."""
    y_true, y_pred = (ops.cast(ops.convert_to_tensor(y), "float32") for y in (y_true, y_pred))
    for name, y in (("y_true", y_true), ("y_pred", y_pred)):
        if len(y.shape) != 4 or y.shape[-1] != channels:
            raise ValueError(f"{name} must be [b, h, w, {channels}], got shape {tuple(y.shape)}")
    pairs = zip(y_true.shape, y_pred.shape, strict=True)
    if any(None not in (a, b) and a != b for a, b in pairs):
        raise ValueError(
            f"y_true and y_pred must have the same shape, got {tuple(y_true.shape)} and "
            f"{tuple(y_pred.shape)}"
        )
    if sample_weight is None:
        return y_true, y_pred, ops.ones_like(y_true[..., :1], dtype="bool")
    weight = ops.convert_to_tensor(sample_weight)
    if len(weight.shape) == 3:
        weight = ops.expand_dims(weight, -1)
    if len(weight.shape) != 4 or weight.shape[-1] != 1:
        raise ValueError(
            f"sample_weight must be [b, h, w, 1] or [b, h, w], got shape {tuple(weight.shape)}"
        )
    pairs = zip(weight.shape[:3], y_true.shape[:3], strict=True)
    if any(None not in (a, b) and a != b for a, b in pairs):
        raise ValueError(
            f"sample_weight must fit y_true {tuple(y_true.shape)}, got shape {tuple(weight.shape)}"
        )
    return y_true, y_pred, weight > 0.5
