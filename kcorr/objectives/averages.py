"""The optimizer's averaged weights, put into the network for a while."""

import contextlib

import keras

from kcorr.objectives.steps import update_count


@contextlib.contextmanager
def averaged(objective):
    """Inside the block the network holds the average (EMA) of its weights, afterwards the raw ones.

        with averaged(objective):
            objective.network.save_weights("network.weights.h5")

    The raw weights come back bit for bit, also when the block raises; what the block writes into
    the trainable weights is lost. Without `use_ema=True`, or before the first update, there is no
    average and the network stays as it is. Works through a `LossScaleOptimizer`.

    Args:
        objective: compiled.

    Yields:
        Whether the network holds averages.
    """
    optimizer = getattr(objective.optimizer, "inner_optimizer", objective.optimizer)
    if not optimizer.use_ema or not optimizer.built or update_count(objective) == 0:
        yield False
        return
    variables = objective.network.trainable_variables
    raw = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]
    objective.optimizer.finalize_variable_values(variables)
    try:
        yield True
    finally:
        for variable, value in zip(variables, raw, strict=True):
            variable.assign(value)


class ValidateAverage(keras.callbacks.Callback):
    """Validation during `fit` measures the averaged weights, those that will be kept."""

    def on_test_begin(self, logs=None):
        self._block = averaged(self.model)
        self._block.__enter__()

    def on_test_end(self, logs=None):
        self._block.__exit__(None, None, None)
