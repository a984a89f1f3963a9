"""Brings what a caller hands in to one canonical form, or says in one line what is wrong."""

import numpy as np

UNKNOWN = 1e9  # .flo files mark unknown motion by a size beyond this
LUMA = np.array([0.299, 0.587, 0.114])  # what red, green and blue add to grey


def as_uint8(image, name="image"):
    """Returns `image` as a fresh uint8 [h, w, 3] picture.

    Args:
        image: [h, w, 3], [h, w, 1] or [h, w]; uint8, bool, or float in [0, 1] (clipped; NaN is 0).
        name: what to call it in an error.

    Raises:
        ValueError: another shape or dtype, an empty image, or a float image that was not divided
            by 255.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(f"{name} has shape {image.shape}, expected [h, w, 3], [h, w, 1] or [h, w]")
    _not_empty(image, name)
    if image.dtype == bool:
        image = image * np.uint8(255)
    elif np.issubdtype(image.dtype, np.floating):
        image = np.nan_to_num(image.astype(np.float32), nan=0.0)
        # Interpolation may overshoot 1 a little; 2 and more is an image in [0, 255].
        if image.max() > 2:
            raise ValueError(f"{name} is float with values up to {image.max():g}, expected [0, 1]")
        image = np.rint(np.clip(image, 0, 1) * 255)
    elif image.dtype != np.uint8:
        raise ValueError(f"{name} has dtype {image.dtype}, expected uint8 or float in [0, 1]")
    return np.array(np.broadcast_to(image, (*image.shape[:2], 3)), dtype=np.uint8, order="C")


def as_flow(flow, name="flow", valid=None):
    """Returns flow as float64 [h, w, 2], zero where unknown, and known as bool [h, w].

    Raises:
        ValueError: not [h, w, 2], empty, not real numbers, or a mask of another size.
    """
    flow = np.asarray(flow)
    if flow.ndim != 3 or flow.shape[-1] != 2:
        raise ValueError(f"{name} has shape {flow.shape}, expected [h, w, 2]")
    flow = _real(flow, name)
    with np.errstate(invalid="ignore"):
        known = (np.abs(flow) <= UNKNOWN).all(-1)  # False for NaN and inf, too
    if valid is not None:
        known &= as_map(valid, "valid", like=flow) > 0
    # Adding zero turns -0 into +0, so that motion to the right has one angle, not two.
    return np.where(known[..., None], flow, 0.0) + 0.0, known


def as_map(values, name, like=None):
    """Returns values as float64 [h, w]; `like` is an array whose h and w it has to share.

    Raises:
        ValueError: not [h, w] or [h, w, 1], empty, not real numbers, or another size than `like`.
    """
    values = np.asarray(values)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2:
        raise ValueError(f"{name} has shape {values.shape}, expected [h, w] or [h, w, 1]")
    values = _real(values, name)
    if like is not None:
        same_size(values, like, name)
    return values


def same_size(array, like, name):
    """Raises ValueError where `array` and `like` differ in height or width."""
    if array.shape[:2] != like.shape[:2]:
        (h, w), (height, width) = array.shape[:2], like.shape[:2]
        raise ValueError(f"{name} is {h}x{w} (h x w), expected {height}x{width} like the others")


def positive(value, name):
    """Returns value as a float; raises ValueError unless it is finite and above zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name} is {value!r}, expected a finite number above 0")
    return number


def flow_scale(*flows, valid=None, percentile=99.8):
    """A `max_flow` that a few wild vectors cannot spoil, in pixels; never below 1.

    Hand one scale to every picture that is compared, or equal colours will mean unequal motion.

    Args:
        flows: [h, w, 2] pixels each; unknown vectors are left out.
        valid: [h, w] or [h, w, 1], 1 = counts. For all flows.
        percentile: of the lengths of the known vectors, per flow; the largest is returned. The
            default sees a lone object of 5 % by 5 % of the picture.

    Returns:
        float, at least 1: motion well below a pixel then stays as pale as it is, and is not
        stretched to full colour.

    Raises:
        ValueError: a flow that is not [h, w, 2], or a mask of another size.
    """
    lengths = [1.0]
    for flow in flows:
        flow, known = as_flow(flow, valid=valid)
        if known.any():
            lengths.append(np.percentile(np.hypot(*flow[known].T), percentile))
    return float(max(lengths))


def _not_empty(array, name):
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected at least one pixel")


def _real(array, name):
    _not_empty(array, name)
    return real(array, name)


def real(array, name):
    """Returns an array of any shape as float64; raises ValueError unless it holds real numbers."""
    if array.dtype.kind not in "biuf":
        # ml_dtypes' bfloat16 has kind V but casts like a float.
        try:
            if array.dtype.kind == "c":
                raise TypeError
            return array.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{name} has dtype {array.dtype}, expected real numbers") from None
    return array.astype(np.float64)
