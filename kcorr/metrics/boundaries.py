"""How far a pixel is from the nearest occlusion boundary."""

import numpy as np


def boundary_distance(occlusion):
    """Distance of each pixel from the nearest edge of an occlusion mask: an approximation.

    Sintel's server averages endpoint errors by the distance from the nearest occlusion boundary,
    and neither these distances nor how they are made is published with the data. Here a pixel lies
    on the boundary if one of its four neighbours is hidden and it is not, or the other way round
    (so a boundary has two sides, both at distance 0), and the distance is the Euclidean one between
    pixel centres. The border of the picture is no boundary. The numbers are therefore close to the
    server's, not equal to them.

    Args:
        occlusion: [h, w, 1], > 0.5 = hidden in the other frame, known everywhere.

    Returns:
        [h, w, 1] float64 pixels; infinite everywhere if there is no boundary.

    Raises:
        ValueError: another shape.
        ImportError: scipy is not installed.
    """
    hidden = np.asarray(occlusion)
    if hidden.ndim != 3 or hidden.shape[-1] != 1:
        raise ValueError(f"occlusion must be [h, w, 1], got shape {hidden.shape}")
    try:
        from scipy.ndimage import distance_transform_edt
    except ImportError as error:
        raise ImportError("distances from boundaries need scipy: pip install scipy") from error
    hidden = hidden[..., 0] > 0.5
    edge = np.zeros(hidden.shape, bool)
    for axis in (0, 1):
        change = np.diff(hidden, axis=axis)
        one_less = hidden.shape[axis] - 1
        for start in (0, 1):
            sides = [slice(None), slice(None)]
            sides[axis] = slice(start, start + one_less)
            edge[tuple(sides)] |= change
    if not edge.any():
        return np.full((*hidden.shape, 1), np.inf)
    return distance_transform_edt(~edge)[..., None]
