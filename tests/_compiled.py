"""Compiles functions where running them eagerly would take longer."""

import keras


def compiled(function):
    """`function` under `jax.jit` if jax is the backend (eagerly it compiles every single operation,
    for every shape), else as it is; for functions of arrays that all take part in tracing."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function
