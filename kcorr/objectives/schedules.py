"""Weights of terms as functions of the step: what `Objective(weights=...)` takes.

Each function here returns a function of the step, a float32 scalar (or any array of steps), which
is made of keras.ops and compiles with the training step. They may be combined with plain Python:
`lambda step: 0.5 * ramp(1000, 500)(step)`.

For learning rates use Keras' own schedules. The DDFlow authors' halving every 80,000 steps is
`keras.optimizers.schedules.ExponentialDecay(1e-4, 80_000, 0.5, staircase=True)`.
"""

import itertools
import math

from keras import ops


def constant(value):
    """`value` at every step."""
    return lambda step: ops.full_like(_float(step), value)


def ramp(start, length, low=0.0, high=1.0):
    """`low` until step `start`, then linear to `high`, which is reached `length` steps later.

    Raises:
        ValueError: `length` is not positive; for a jump use `piecewise`.
    """
    if length <= 0:
        raise ValueError(f"length must be positive, got {length}; for a jump use piecewise")
    return lambda step: low + (high - low) * ops.clip((_float(step) - start) / length, 0.0, 1.0)


def cosine(start, length, low=0.0, high=1.0):
    """As `ramp`, along half a cosine: slow at both ends."""
    line = ramp(start, length)
    return lambda step: low + (high - low) * 0.5 * (1.0 - ops.cos(math.pi * line(step)))


def piecewise(boundaries, values):
    """`values[k]` from step `boundaries[k - 1]` on, that step included.

    Args:
        boundaries: increasing steps.
        values: one number more than there are boundaries.

    Raises:
        ValueError: the numbers do not fit, or the boundaries do not increase.
    """
    boundaries, values = list(boundaries), list(values)
    if len(values) != len(boundaries) + 1:
        raise ValueError(
            f"piecewise needs one value more than boundaries, got {len(values)} values and "
            f"{len(boundaries)} boundaries"
        )
    if any(late <= early for early, late in itertools.pairwise(boundaries)):
        raise ValueError(f"boundaries must increase, got {boundaries}")

    def at(step):
        step = _float(step)
        value = ops.full_like(step, values[0])
        for boundary, after in zip(boundaries, values[1:], strict=True):
            value = ops.where(step >= boundary, after, value)
        return value

    return at


def _float(step):
    return ops.cast(step, "float32")
