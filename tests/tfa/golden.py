"""The recorded inputs, outputs and gradients of tensorflow-addons 0.23.0."""

from pathlib import Path

import numpy as np

FILE = Path(__file__).parents[1] / "data" / "tfa_0_23_golden.npz"

with np.load(FILE) as archive:
    GOLDEN = dict(archive)


def assert_parity(found, name):
    """To 1e-4 of the recorded tensor's largest value.

    The recordings are float32 themselves: the cubic spline's are up to 8e-5 of the largest value
    away from the same formula in float64.
    """
    expected = GOLDEN[name]
    np.testing.assert_allclose(
        np.asarray(found), expected, rtol=0, atol=1e-4 * np.abs(expected).max(), err_msg=name
    )
