"""Running means of what a step measures."""

import keras
from keras import ops


class FiniteMean(keras.metrics.Mean):
    """Mean of the finite values; NaN when there was none.

    Keras' own mean turns NaN for the rest of the epoch after one bad value, and is 0, the best of
    all losses, when it has seen nothing.
    """

    def update_state(self, values, sample_weight=None):
        """Adds scalars; one that is not finite counts nothing."""
        values = ops.cast(values, "float32")
        weight = 1.0 if sample_weight is None else ops.cast(sample_weight, "float32")
        finite = ops.isfinite(values)
        super().update_state(
            ops.where(finite, values, 0.0), sample_weight=ops.where(finite, weight, 0.0)
        )

    def result(self):
        """The mean so far, float32 scalar."""
        return ops.divide(self.total, self.count)


class Trackers:
    """The metrics of an objective by name.

    A plain object, which Keras does not look into: the state of metrics stays out of weight files,
    so that a checkpoint still loads when what is measured changes.

    Args:
        means: names of values to be averaged.
        sums: names of counters.
    """

    def __init__(self, means=(), sums=()):
        self._metrics = {name: FiniteMean(name=name) for name in means}
        self._metrics |= {name: keras.metrics.Sum(name=name) for name in sums}

    def __getitem__(self, name):
        return self._metrics[name]

    def metrics(self):
        """All metrics, as a list."""
        return list(self._metrics.values())

    def update(self, values, weight=None):
        """Adds {name: scalar}, each counting `weight`."""
        unknown = sorted(set(values) - set(self._metrics))
        if unknown:
            raise ValueError(
                f"got values named {', '.join(unknown)}; an objective lists all names in "
                f"term_names, watched_names and observed_names, here {', '.join(self._metrics)}"
            )
        for name, value in values.items():
            self._metrics[name].update_state(value, sample_weight=weight)

    def results(self, names):
        """{name: value so far} of `names`."""
        return {name: self._metrics[name].result() for name in names}
