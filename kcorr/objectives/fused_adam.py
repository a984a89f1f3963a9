"""Adam by TensorFlow's own kernel."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("kcorr")
class FusedAdam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` whose update of a variable is one operation.

    Keras writes the update out in some twenty operations a variable: a third of what is traced and
    optimised when training of flow begins, and on a GPU as many launches. TensorFlow's kernel,
    which the Adam of tf.keras called, computes the same formula. State, arguments and checkpoints
    are those of `keras.optimizers.Adam`, and with `weight_decay` of `keras.optimizers.AdamW`: each
    reads what another has written.

    What the kernel is not made for is left to Keras: `amsgrad`, of which XLA knows no kernel, and
    sparse gradients.

    Args:
        *args, **kwargs: of `keras.optimizers.Adam`.

    Source: Kingma and Ba, ICLR 2015, with the bias corrections in the learning rate (section 2).
    """

    def update_step(self, gradient, variable, learning_rate):
        """As Keras'."""
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.value.handle,
            v=velocity.value.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.constant(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
