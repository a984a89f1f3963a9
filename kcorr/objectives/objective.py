"""The one train_step of the library."""

import keras
import tensorflow as tf
from keras import ops

from kcorr.objectives.trackers import Trackers
from kcorr.ops._backend import forward_only


class Objective(keras.Model):
    """How a method learns: a subclass says which terms, this class does everything else.

    A subclass implements `terms(batch, training) -> {name: per-example loss [b]}` in keras.ops;
    what stands there under one of `watched_names` is only logged. The step weights and sums the
    terms, averages over the examples of all replicas, scales the loss under mixed_float16, clips by
    the global norm of the unscaled gradients of all replicas, and leaves out a step whose gradients
    are not finite: weights, optimizer state, averages and `optimizer.iterations` stay, and the step
    is counted.

    Args:
        network: the `keras.Model` that learns.
        weights: {term: number or function of the step}; a term without an entry weighs 1. Functions
            get `optimizer.iterations` as a float32 scalar tensor and return a scalar (see
            `kcorr.objectives.schedules`).
        clip_norm: largest global norm of the gradients, None for no clipping.

    Metrics, means over examples: `loss` (weighted sum), each term unweighted and each watched
    value; also `gradient_norm` (unscaled, before clipping) and `skipped_steps`, how many in this
    epoch. Values that are not finite are left out of the means. Under mixed_float16 the first few
    steps of a run are skipped while the loss scale falls to what the gradients bear.

    EMA of the weights is the optimizer's (`use_ema=True`); `kcorr.objectives.averaged` puts the
    average into the network for evaluation or saving.

    `steps_done` counts the steps of a run, skipped ones included. It is saved with the weights, so
    that `Checkpoints` and `keras.callbacks.BackupAndRestore` (anywhere in the list of callbacks)
    go on at the right step; steps that were skipped are those that `optimizer.iterations` lacks.

    With `tf.distribute.MirroredStrategy`, construct, build and compile inside the strategy's scope.

    Raises:
        ValueError: a weight for a term that is not in `term_names`; on compiling, what would
            silently be something else: `gradient_accumulation_steps` with `clip_norm`, and, with
            several replicas, jit_compile=True, `gradient_accumulation_steps` or the optimizer's
            own clipping.
    """

    def __init__(self, network, weights=None, clip_norm=1.0, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.term_weights = dict(weights or {})
        self.clip_norm = clip_norm
        self.trackers = Trackers()
        # A variable, so that it is counted in the compiled step and saved with the weights.
        self._steps_done = self.add_weight(
            initializer="zeros",
            dtype="int",
            trainable=False,
            aggregation="only_first_replica",
            name="steps_done",
        )

    @property
    def steps_done(self):
        """Steps of the run so far, those before a restart and skipped ones included, as int."""
        return int(ops.convert_to_numpy(self._steps_done))

    @steps_done.setter
    def steps_done(self, steps):
        self._steps_done.assign(steps)

    # === For subclasses ===

    term_names = ()  # names of the terms, fixed when the objective is made
    watched_names = ()  # names of values that `terms` returns beside them, no part of the loss
    observed_names = ()  # names that `observe` may return

    def terms(self, batch, training):
        """Per-example losses, and watched values, of a batch: {name: [b] float32}."""
        raise TypeError(f"{type(self).__name__} must define terms(batch, training)")

    def observe(self, batch):
        """Values to be averaged over evaluation batches: {name: [b] float32}; none by default."""
        return {}

    # === Keras ===

    def build(self, input_shape=None):
        """Creates the weights and trackers, so that a backup can be restored before training."""
        unknown = [
            name
            for name, weight in self.term_weights.items()
            if name not in self.term_names and (callable(weight) or weight != 0)
        ]
        if unknown:
            raise ValueError(
                f"weights for {', '.join(unknown)}, but {type(self).__name__} has only the terms "
                f"{', '.join(self.term_names)}"
            )
        if not self.network.built:
            self.network.build()
        logged = (*self.term_names, *self.watched_names)
        means = ("loss", *logged, "gradient_norm", *self.observed_names)
        self.trackers = Trackers(means, sums=("skipped_steps",))
        self.built = True

    def compile(self, optimizer="adam", jit_compile="auto", auto_scale_loss=True, **kwargs):
        """As `keras.Model.compile`, with the loss scaled where the network is mixed_float16."""
        optimizer = keras.optimizers.get(optimizer)
        half = self.network.dtype_policy.name == "mixed_float16"  # the objective's own is float32
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if half and auto_scale_loss and not scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        replicas = self.distribute_strategy.num_replicas_in_sync
        if jit_compile is True and replicas > 1:
            raise ValueError(f"jit_compile=True works on one replica only, here are {replicas}")
        _check_optimizer(optimizer, self.clip_norm, replicas)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def build_optimizer(self):
        """Creates the optimizer's variables, once; `fit` and `Checkpoints.restore` need them."""
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.network.trainable_variables)

    def load_own_variables(self, store):
        """As Keras'; a file without `steps_done` (older ones) leaves it as it is."""
        if store.keys():
            super().load_own_variables(store)

    def make_train_function(self, force=False):
        """As Keras': what the step needs is created before it is traced."""
        if not self.built:
            self.build()
        self.build_optimizer()
        return super().make_train_function(force)

    def call(self, inputs, training=False):
        """The network's output; an objective can stand where its network can."""
        return self.network(inputs, training=training)

    @property
    def metrics(self):
        """Only our own trackers: Keras' constant zero `loss` would hide ours."""
        return self.trackers.metrics()

    def get_metrics_result(self):
        """Nothing, so that Keras shows what the steps return.

        Keras would add up the counters of all replicas, and show metrics that a step did not have.
        """
        return {}

    def train_step(self, batch):
        """One update of the network. See the class for what it takes care of."""
        share, count = _share_and_count(batch)
        with tf.GradientTape() as tape:
            terms = self.terms(batch, training=True)
            loss = self._weighted(terms)
            scaled = self.optimizer.scale_loss(loss * share)
        variables = self.network.trainable_variables
        gradients = _summed_over_replicas(tape.gradient(scaled, variables))
        norm = self._norm(gradients)
        finite = tf.math.is_finite(norm)
        self._apply(self._clipped(gradients, norm, finite), variables, finite)
        self._steps_done.assign_add(1)
        self._track({"loss": loss, **_means(terms)}, share, count)
        self.trackers.update({"gradient_norm": norm})
        self.trackers.update({"skipped_steps": tf.where(finite, 0.0, 1.0)})
        return self.trackers.results(["loss", *terms, "gradient_norm", "skipped_steps"])

    def test_step(self, batch):
        """Terms and observations without an update."""
        share, count = _share_and_count(batch)
        with forward_only():
            terms = self.terms(batch, training=False)
        values = {"loss": self._weighted(terms), **_means(terms), **_means(self.observe(batch))}
        self._track(values, share, count)
        return self.trackers.results(values)

    # === Parts of the step ===

    def _weighted(self, terms):
        step = ops.cast(self.optimizer.iterations, "float32")
        total = 0.0
        for name, value in _means(terms).items():
            if name in self.watched_names:
                continue
            weight = self.term_weights.get(name, 1.0)
            total += (weight(step) if callable(weight) else weight) * value
        return total

    def _track(self, values, share, count):
        summed = _summed_over_replicas([value * share for value in values.values()])
        self.trackers.update(dict(zip(values, summed, strict=True)), count)

    def _norm(self, gradients):
        """Global norm of the gradients without the loss scale, which is divided out first: the
        squares of scaled gradients would overflow early."""
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            scale = tf.convert_to_tensor(self.optimizer.dynamic_scale)
        else:
            scale = self.optimizer.loss_scale_factor
        known = [g for g in gradients if g is not None]
        return tf.linalg.global_norm([g / scale for g in known] if scale is not None else known)

    def _clipped(self, gradients, norm, finite):
        """Shortened to `clip_norm`. All NaN where the norm is not finite: the sum of squares can
        overflow while each gradient is finite, and a loss scale optimizer must see it."""
        factor = (
            1.0 if self.clip_norm is None else self.clip_norm / tf.maximum(norm, self.clip_norm)
        )
        factor = tf.where(finite, factor, float("nan"))
        return [None if g is None else g * tf.cast(factor, g.dtype) for g in gradients]

    def _apply(self, gradients, variables, finite):
        strategy = tf.distribute.get_strategy()
        replicas = strategy.num_replicas_in_sync
        if replicas > 1:  # the optimizer sums over the replicas once more
            gradients = [None if g is None else g / replicas for g in gradients]

        def update(gradients):
            self.optimizer.apply(gradients, variables)

        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            update(gradients)  # skips non-finite steps itself, and lowers its scale
        elif replicas == 1 or tf.__internal__.distribute.strategy_supports_no_merge_call():
            _only_if(finite, lambda: update(gradients))
        else:
            # The optimizer merges the replicas, which TensorFlow forbids inside a conditional
            # unless the conditional itself stands across them.
            def across(strategy, finite, gradients):
                _only_if(
                    strategy.experimental_local_results(finite)[0],
                    lambda: strategy.extended.call_for_each_replica(update, args=(gradients,)),
                )

            tf.distribute.get_replica_context().merge_call(across, args=(finite, gradients))


def _check_optimizer(optimizer, clip_norm, replicas):
    """Refuses what Keras would do to parts of a step's gradients and not to the whole."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer.gradient_accumulation_steps:
        if replicas > 1:
            raise ValueError(
                f"gradient_accumulation_steps works on one replica only, here are {replicas}"
            )
        if clip_norm is not None:
            raise ValueError(
                "gradient_accumulation_steps with clip_norm would clip each part for itself: "
                "expected clip_norm=None, and global_clipnorm of the optimizer instead"
            )
    for name in ("clipnorm", "global_clipnorm", "clipvalue"):
        if replicas > 1 and getattr(optimizer, name) is not None:
            raise ValueError(
                f"{name} of the optimizer works on one replica only, here are {replicas}: expected "
                "clip_norm of the objective instead"
            )


def _only_if(condition, action):
    def act():
        action()
        return tf.constant(0)

    tf.cond(condition, act, lambda: tf.constant(0))


def _means(values):
    return {name: ops.mean(ops.cast(value, "float32")) for name, value in values.items()}


def _share_and_count(batch):
    """This replica's share of the examples of all replicas, and their number."""
    own = tf.cast(tf.shape(next(iter(batch.values())))[0], tf.float32)
    (count,) = _summed_over_replicas([own])
    return own / count, count


def _summed_over_replicas(tensors):
    """Sums each tensor over the replicas; None stays None."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return tensors
    known = [tensor for tensor in tensors if tensor is not None]
    context = tf.distribute.get_replica_context()
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, known))
    return [None if tensor is None else next(summed) for tensor in tensors]
