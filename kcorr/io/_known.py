"""What is known and what is unknown: one meaning of missing values for every format."""

import numpy as np

from kcorr.io._errors import FormatError

# Middlebury's .flo marks unknown flow by values beyond this, and writes 1e10.
LARGEST_KNOWN = 1e9


def split_unknown(values, valid=None):
    """Replaces unknown values by 0 and says where they were.

    A pixel is unknown when any of its values is NaN, infinite or beyond 1e9.

    Args:
        values: [h, w, c], as a file holds them.
        valid: None, or [h, w, 1], above 0 where the file itself says that a pixel counts.

    Returns:
        values: [h, w, c] float32, 0 where unknown.
        valid: [h, w, 1] float32, 1 = known.
    """
    values = _as_float(values)
    known = _is_known(values)
    if valid is not None:
        known &= valid > 0
    # The cast comes after the choice, because a float64 of 1e300 has no float32.
    return np.where(known, values, 0).astype(np.float32), known.astype(np.float32)


def merge_unknown(path, values, valid, channels, what):
    """Checks an array that shall be written and says which of its pixels are known.

    Args:
        values: [h, w, channels] real numbers.
        valid: [h, w] or [h, w, 1], above 0 = known; or None: known where the values are.
        what: the name of the values in an error message.

    Returns:
        values: [h, w, channels] float64 or float32, 0 where unknown.
        known: [h, w, 1] bool.

    Raises:
        FormatError: wrong shape or dtype, or values that `valid` claims to be known and that are
            NaN, infinite or beyond 1e9.
    """
    values = as_map(path, values, channels, what)
    known = finite = _is_known(values)
    if valid is not None:
        known = as_map(path, valid, 1, "valid") > 0
        if known.shape != finite.shape:
            raise FormatError(
                path,
                f"valid is for {known.shape[1]}x{known.shape[0]} pixels",
                f"{values.shape[1]}x{values.shape[0]} like the {what}",
            )
        lost = int(np.sum(known & ~finite))
        if lost:
            raise FormatError(
                path,
                f"the {what} is NaN, infinite or beyond 1e9 at {lost} pixels that count as known",
                "finite values there",
            )
    return np.where(known, values, 0), known


def as_map(path, values, channels, what):
    """An array for a file as float [h, w, channels]; [h, w] is taken for one channel.

    Raises:
        FormatError: wrong shape, no pixel, or not real numbers.
    """
    values = np.asarray(values)
    shape = values.shape
    if values.ndim == 2 and channels == 1:
        values = values[..., None]
    if values.ndim != 3 or values.shape[-1] != channels or 0 in values.shape:
        raise FormatError(path, f"the {what} has shape {list(shape)}", f"[h, w, {channels}]")
    if values.dtype.kind not in "fiub":
        raise FormatError(path, f"the {what} has dtype {values.dtype}", "real numbers")
    return _as_float(values)


def _is_known(values):
    """[h, w, c] floats -> [h, w, 1] bool; comparisons with NaN are False, so NaN is unknown."""
    with np.errstate(invalid="ignore"):
        return np.all(np.abs(values) <= LARGEST_KNOWN, axis=-1, keepdims=True)


def _as_float(values):
    """Native float32 or float64; integers become float64 (the least int64 has no absolute)."""
    small = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    with np.errstate(invalid="ignore", over="ignore"):  # signalling NaNs, long doubles
        return values.astype(np.float32 if small else np.float64)
