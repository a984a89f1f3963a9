"""Tables of measured numbers: what a measure is called, which is better, which one is best."""

import math
import re

from kcorr.viz._page import sortable_table

_NAMES = {"epe": "EPE", "fl": "Fl %", "d1": "D1 %", "out3": "> 3 px %", "out_noc": "out-noc %"}
_LOWER = re.compile(
    r"(val_)?(epe|fl|d1|out|avg|loss|error|photometric|bad|missing|rmse|mae)([_ -]|\d|$)"
    r"|[ds]\d+(-\d+|\+)$"  # Sintel's bands
)
_HIGHER = re.compile(r"(val_)?(occlusion_f|f|f1|accuracy|precision|recall|psnr|ssim|pck)(_|$)")
# Losses of methods with other terms are other quantities: no one of them is the better.
_OWN_SCALE = re.compile(r"(val_)?(loss|photometric)(_|$)")
# What stays the same however good a method is.
_FIXED = re.compile(r"pixels_|images$|(val_)?epe_zero$")
# Both ways of averaging, counts, and the finer measures: for the table of everything, not for the
# one that is read.
_MINOR = re.compile(
    r".*_per_(image|pixel)$|out3_|epe_(out$|[sd]\d)|pixels_|images$|(val_)?epe_zero$"
)


def better(key):
    """-1 where a lower value of this measure is better, 1 where a higher one is, 0 for neither."""
    key = key.lower()
    if _FIXED.match(key):
        return 0
    return 1 if _HIGHER.match(key) else -1 if _LOWER.match(key) else 0


def tables(rows, first="", marks=None):
    """The table that is read and, where some measures are left out of it, one of everything.

    Args:
        rows: list of (name, {measure: number, None, "inf" or "nan"}).
        first: heading over the names.
        marks: whether to mark the best values; None marks where there are two rows or more.

    Returns:
        HTML; "" without a row or measure.
    """
    keys = list(dict.fromkeys(key for _, values in rows for key in values))
    # A measure that nobody has says nothing, but that of a single row may be what is looked for.
    known = [key for key in keys if any(number(values.get(key)) is not None for _, values in rows)]
    # Nothing missing and nothing skipped is how it should be.
    fine = {
        key
        for key in known
        if key in ("missing", "skipped_steps") and not any(values.get(key) for _, values in rows)
    }
    major = [key for key in known if not _MINOR.match(key) and key not in fine] or known
    marks = len(rows) > 1 if marks is None else marks
    if not known:
        return ""
    shown = _table(rows, major, first, marks)
    if len(major) == len(keys):
        return shown
    everything = _table(rows, keys, first, marks)
    return f"{shown}\n<details><summary>all numbers</summary>{everything}</details>"


def _table(rows, keys, first, marks):
    columns = []
    one_method = len({frozenset(values) for _, values in rows}) == 1
    for key in keys:
        values = [number(values.get(key)) for _, values in rows]
        texts = formatted(values)
        fair = marks and (one_method or not _OWN_SCALE.match(key))
        winner = best(values, better(key)) if fair else None
        columns.append(
            [
                (text, value, winner is not None and value == winner)
                for text, value in zip(texts, values, strict=True)
            ]
        )
    lines = [(name, *cells) for (name, _), *cells in zip(rows, *columns, strict=True)]
    return sortable_table([first, *map(heading, keys)], lines)


def best(values, sign):
    """The best finite value, or None where none is better than another."""
    known = {value for value in values if value is not None and math.isfinite(value)}
    others = {value for value in values if value is not None}
    if sign == 0 or len(others) < 2 or not known:
        return None
    return max(known) if sign > 0 else min(known)


def number(value):
    """A float, infinite for "inf"; None for None, NaN, text and truth values."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        value = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(value) else value


def formatted(values):
    """Texts of a column with one number of decimals: about three figures of the middle value."""
    finite = sorted(abs(value) for value in values if value is not None and math.isfinite(value))
    if all(value == int(value) for value in finite):
        decimals = 0
    else:
        middle = next((one for one in finite[(len(finite) - 1) // 2 :] if one), 1.0)
        decimals = min(8, max(1, 2 - math.floor(math.log10(middle))))
    return ["-" if value is None else _text(value, decimals) for value in values]


def _text(value, decimals):
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) >= 1e7 or (decimals == 8 and 0 < abs(value) < 1e-6):
        return f"{value:.3e}"
    return f"{value:.{decimals}f}"


def heading(key):
    """epe_occ -> "EPE occ", fl_all_per_pixel -> "Fl all % per pixel"; others as they are."""
    if key.startswith("epe_out"):  # "EPE out" would be taken for outliers
        key = key.replace("epe_out", "epe_out of frame", 1)
    for short, name in _NAMES.items():
        if key.startswith(f"{short}_"):
            rest = key.removeprefix(f"{short}_").replace("_per_", " per ")
            if short == "epe" and re.match(r"[sd]\d", rest):
                rest = rest.replace("_", "-")
            base, percent, _ = name.partition(" %")
            return f"{base} {rest}{percent}"
    return key
