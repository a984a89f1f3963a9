"""Stateless seeds: what an example is made of is a pure function of its own two numbers."""

import numpy as np
import tensorflow as tf

SEED = "seed"  # int32 [2], the stateless seed of an example; dropped before batching


def first_seed(seed):
    """The stateless seed int32 [2] of a Python integer of any size."""
    bits = np.array([seed % 2**32, seed // 2**32 % 2**32], np.uint32)
    return tf.constant(bits.view(np.int32))


def folded(seed, *numbers):
    """The seed made of `seed` and some integers, one after the other."""
    for number in numbers:
        seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int32))
    return seed


def draw(example, salt, shape=(), low=0.0, high=1.0, dtype=tf.float32):
    """Uniform numbers in [low, high); each kind of decision has a salt of its own."""
    return tf.random.stateless_uniform(shape, folded(example[SEED], salt), low, high, dtype)


def draw_normal(example, salt, shape=()):
    """Normal numbers of mean 0 and deviation 1."""
    return tf.random.stateless_normal(shape, folded(example[SEED], salt))
