"""The one train_step of the library."""

import keras
import tensorflow as tf
from keras import ops


class Objective(keras.Model):
    """How a method learns: a subclass says which terms, this class does everything else.

    A subclass implements `terms(batch, training) -> {name: per-example loss [b]}` in keras.ops. The
    step weights and sums the terms, divides by the number of replicas (MirroredStrategy sums
    gradients), scales the loss under mixed_float16, clips by the global norm of the unscaled
    gradients, and leaves out a step whose gradients are not finite, which it counts.

    Args:
        network: the `keras.Model` that learns.
        weights: {term: number or function of the step}; a term without an entry weighs 1. Functions
            get the step as a float32 scalar tensor and return a scalar (see
            `kcorr.objectives.schedules`).
        clip_norm: largest global norm of the gradients, None for no clipping.

    Metrics: `loss` (weighted sum), each term unweighted, `gradient_norm`, `skipped_steps`.

    EMA of the weights is the optimizer's (`use_ema=True`); `kcorr.objectives.averaged` puts the
    average into the network for evaluation or saving.
    """

    def __init__(self, network, weights=None, clip_norm=1.0, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.term_weights = dict(weights or {})
        self.clip_norm = clip_norm
        self.trackers = {}
        self.skipped = keras.metrics.Sum(name="skipped_steps")

    # === For subclasses ===

    term_names = ()  # names of the terms, fixed when the objective is made
    observed_names = ()  # names that `observe` may return

    def terms(self, batch, training):
        """Per-example losses of a batch: {name: [b] float32}."""
        raise TypeError(f"{type(self).__name__} must define terms(batch, training)")

    def observe(self, batch):
        """Values to be averaged over evaluation batches: {name: [b] float32}; none by default."""
        return {}

    # === Keras ===

    def build(self, input_shape=None):
        """Creates the weights and trackers, so that a backup can be restored before training."""
        if not self.network.built:
            self.network.build()
        for name in ("loss", *self.term_names, "gradient_norm", *self.observed_names):
            self.trackers[name] = keras.metrics.Mean(name=name)
        self.built = True

    def call(self, inputs, training=False):
        """The network's output; an objective can stand where its network can."""
        return self.network(inputs, training=training)

    @property
    def metrics(self):
        """Only our own trackers: Keras' constant zero `loss` would hide ours."""
        return [*self.trackers.values(), self.skipped]

    def train_step(self, batch):
        """One update of the network. See the class for what it takes care of."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            terms = self.terms(batch, training=True)
            loss = self._weighted(terms)
            scaled = self.optimizer.scale_loss(loss / replicas)
        variables = self.network.trainable_variables
        gradients = tape.gradient(scaled, variables)
        norm = tf.linalg.global_norm([g for g in gradients if g is not None]) / self._loss_scale()
        finite = tf.math.is_finite(norm)
        gradients = self._clipped(gradients, norm)
        self._apply(gradients, variables, finite, replicas)
        self._track(batch, {"loss": loss, **terms})
        self.trackers["gradient_norm"].update_state(tf.where(finite, norm, 0.0), finite)
        self.skipped.update_state(tf.where(finite, 0.0, 1.0))
        return self._results(["loss", *terms, "gradient_norm"]) | {
            "skipped_steps": self.skipped.result()
        }

    def test_step(self, batch):
        """Terms and observations without an update."""
        terms = self.terms(batch, training=False)
        values = {"loss": self._weighted(terms), **terms, **self.observe(batch)}
        self._track(batch, values)
        return self._results(values)

    # === Parts of the step ===

    def _weighted(self, terms):
        step = ops.cast(self.optimizer.iterations, "float32")
        total = 0.0
        for name, values in terms.items():
            weight = self.term_weights.get(name, 1.0)
            total += (weight(step) if callable(weight) else weight) * ops.mean(values)
        return total

    def _loss_scale(self):
        scale = getattr(self.optimizer, "dynamic_scale", None)
        return 1.0 if scale is None else tf.convert_to_tensor(scale)

    def _clipped(self, gradients, norm):
        if self.clip_norm is None:
            return gradients
        factor = self.clip_norm / tf.maximum(norm, self.clip_norm)
        return [None if g is None else g * tf.cast(factor, g.dtype) for g in gradients]

    def _apply(self, gradients, variables, finite, replicas):
        def update():
            self.optimizer.apply(gradients, variables)
            return tf.constant(0)

        if hasattr(self.optimizer, "dynamic_scale"):
            update()  # LossScaleOptimizer leaves out non-finite steps itself, and lowers its scale
        elif replicas > 1:
            # A merge_call is not allowed inside a conditional, and all replicas must do the same:
            # a bad replica contributes nothing, the others' gradients count.
            gradients[:] = [
                None if g is None else tf.where(finite, g, tf.zeros_like(g)) for g in gradients
            ]
            update()
        else:
            tf.cond(finite, update, lambda: tf.constant(0))

    def _track(self, batch, values):
        count = tf.shape(next(iter(batch.values())))[0]
        for name, value in values.items():
            self.trackers[name].update_state(ops.mean(value), sample_weight=count)

    def _results(self, names):
        return {name: self.trackers[name].result() for name in names}
